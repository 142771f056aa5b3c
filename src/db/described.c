#include "db/described.h"

#include <string.h>

#include "base/log.h"
#include "base/monotonic.h"
#include "db/relation.h"

enum { DESCRIPTION_SECONDS = 60 };

static bool same_column(const struct column *a, const struct column *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->type, b->type) == 0 && a->nullable == b->nullable;
}

static bool same_columns(const struct relation *a, const struct relation *b)
{
    if (a->column_count != b->column_count || a->key_count != b->key_count)
        return false;
    for (size_t i = 0; i < a->column_count; i++)
        if (!same_column(&a->columns[i], &b->columns[i]))
            return false;
    return true;
}

static void tell_change(const char *title, const struct relation *old, const struct relation *new)
{
    if (same_columns(old, new))
        return;
    struct buf what = {0};
    for (size_t i = 0; i < new->column_count; i++) {
        const struct column *column = &new->columns[i];
        size_t before = relation_find(old, column->name);
        if (before == SIZE_MAX || !same_column(column, &old->columns[before]))
            buf_printf(&what, ", '%s' is %s%s%s", column->name, before == SIZE_MAX ? "new: " : "", column->type,
                       column->nullable ? "" : " not null");
    }
    for (size_t i = 0; i < old->column_count; i++)
        if (relation_find(new, old->columns[i].name) == SIZE_MAX)
            buf_printf(&what, ", '%s' is gone", old->columns[i].name);
    const char *text = buf_text(&what);
    log_info(title, "%s changed%s", new->title, text && *text ? text : ", its columns have another order");
    buf_free(&what);
}

void followed_init(struct followed *followed, const char *title)
{
    *followed = (struct followed){.title = title};
    pthread_mutex_init(&followed->mutex, NULL);
}

void followed_destroy(struct followed *followed)
{
    described_give(followed->newest);
    pthread_mutex_destroy(&followed->mutex);
}

void described_give(struct described *described)
{
    if (!described || atomic_fetch_sub(&described->users, 1) != 1)
        return;
    if (described->drop)
        described->drop(described);
    arena_free(described->arena);
}

double followed_age(struct followed *followed)
{
    pthread_mutex_lock(&followed->mutex);
    double age = followed->newest ? monotonic_seconds() - followed->asked : 1e9;
    pthread_mutex_unlock(&followed->mutex);
    return age;
}

/* The one that is there, with one more user, unless it is too old. */
static struct described *take_newest(struct followed *followed)
{
    pthread_mutex_lock(&followed->mutex);
    struct described *newest = followed->newest;
    if (newest && monotonic_seconds() - followed->asked > DESCRIPTION_SECONDS)
        newest = NULL;
    if (newest)
        atomic_fetch_add(&newest->users, 1);
    pthread_mutex_unlock(&followed->mutex);
    return newest;
}

int followed_take(struct followed *followed, bool anew, described_make *make, void *maker, struct conn *conn,
                  struct described **described, bool *fresh, struct err *err)
{
    *described = anew ? NULL : take_newest(followed);
    *fresh = !*described;
    if (*described)
        return 0;
    struct described *made = make(maker, conn, err);
    if (!made)
        return -1;
    atomic_fetch_add(&made->users, 1); /* one who follows, one who takes */
    pthread_mutex_lock(&followed->mutex);
    struct described *old = followed->newest;
    if (old)
        tell_change(followed->title, old->relation, made->relation);
    followed->newest = made;
    followed->asked = monotonic_seconds();
    pthread_mutex_unlock(&followed->mutex);
    described_give(old);
    *described = made;
    return 0;
}
