#include "db/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/monotonic.h"
#include "base/wall.h"

/* A connection of the pool, idle or lent. */
struct member {
    struct member *next;
    const struct driver *driver;
    struct conn *conn;
    unsigned number;
    double since; /* opened, monotonic seconds */
};

struct pool {
    const struct driver *driver;
    const struct config_system *system;
    char *title; /* "pool NAME", for the log */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct member *idle; /* the one used last comes first: the others may grow old and go */
    struct member *lent; /* to know age and number of what comes back */
    unsigned open, waiting, numbers;
    struct pool_failure failure;
};

struct pool *pool_new(const struct driver *driver, const struct config_system *system)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        return NULL;
    size_t size = strlen(system->name) + 6;
    pool->title = malloc(size);
    if (!pool->title) {
        free(pool);
        return NULL;
    }
    memcpy(pool->title, "pool ", 5);
    memcpy(pool->title + 5, system->name, size - 5);
    pool->driver = driver;
    pool->system = system;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&pool->mutex, NULL);
    return pool;
}

static void discard(struct pool *pool, struct member *member, const char *why)
{
    log_info(pool->title, "connection %u closed: %s (age %.0f s)", member->number, why, monotonic_seconds() - member->since);
    pool->driver->close(member->conn);
    free(member);
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    for (struct member *member = pool->idle, *next; member; member = next) {
        next = member->next;
        pool->driver->close(member->conn);
        free(member);
    }
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->title);
    free(pool);
}

static void wake_waiters(void *arg)
{
    struct pool *pool = arg;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}

/* Waits, with the mutex held, until a connection is idle or there is room for one more. */
static int wait_for_place(struct pool *pool, struct cancel *cancel, struct err *err)
{
    double deadline = monotonic_seconds() + pool->system->pool_timeout;
    struct timespec until = {(time_t)deadline, (long)((deadline - (double)(time_t)deadline) * 1e9)};
    bool over = false;
    pool->waiting++;
    while (!pool->idle && pool->open >= pool->system->pool_size && !cancel_fired(cancel) && !over)
        over = pthread_cond_timedwait(&pool->changed, &pool->mutex, &until) != 0;
    pool->waiting--;
    if (cancel_fired(cancel))
        return err_set(err, ERR_CANCELLED, "%s while it waited for a connection", cancel_why(cancel));
    if (pool->idle || pool->open < pool->system->pool_size)
        return 0;
    err_set(err, ERR_BUSY, "all %u connections of system '%s' were in use for %.3g s", pool->system->pool_size,
            pool->system->name, pool->system->pool_timeout);
    return err_hint(err, "raise pool_size of the system, or let fewer pipes run at the same time");
}

static const char *why_not_usable(struct pool *pool, struct member *member)
{
    if (monotonic_seconds() - member->since > pool->system->pool_recycle)
        return "recycled";
    return pool->driver->alive(member->conn) ? NULL : "the database closed it";
}

static void leave_place(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->open--;
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
}

/* Gets hold of a place: an idle connection, or the right to open one (NULL). */
static int take_place(struct pool *pool, struct cancel *cancel, struct member **member, struct err *err)
{
    cancel_arm(cancel, wake_waiters, pool);
    pthread_mutex_lock(&pool->mutex);
    int failed = wait_for_place(pool, cancel, err);
    if (!failed) {
        *member = pool->idle;
        if (*member)
            pool->idle = (*member)->next;
        else
            pool->open++;
    }
    pthread_mutex_unlock(&pool->mutex);
    cancel_disarm(cancel);
    return failed;
}

void pool_note(struct pool *pool, const struct err *err)
{
    pthread_mutex_lock(&pool->mutex);
    pool->failure.at = err->code ? wall_microseconds() : 0;
    snprintf(pool->failure.text, sizeof pool->failure.text, "%s", err->text);
    pthread_mutex_unlock(&pool->mutex);
}

static struct member *open_member(struct pool *pool, struct err *err)
{
    struct err failure = {0};
    struct member *member = calloc(1, sizeof *member);
    if (!member) {
        err_memory(err);
        return NULL;
    }
    member->driver = pool->driver;
    int failed = pool->driver->open(&member->conn, pool->system, &failure);
    pool_note(pool, &failure);
    if (failed) {
        free(member);
        *err = failure;
        return NULL;
    }
    member->since = monotonic_seconds();
    return member;
}

static void lend(struct pool *pool, struct member *member)
{
    pthread_mutex_lock(&pool->mutex);
    if (!member->number)
        member->number = ++pool->numbers;
    member->next = pool->lent;
    pool->lent = member;
    pthread_mutex_unlock(&pool->mutex);
}

static void wake_driver(void *arg)
{
    struct member *member = arg;
    member->driver->cancel(member->conn);
}

int pool_take(struct pool *pool, struct cancel *cancel, struct conn **conn, bool *fresh, struct err *err)
{
    struct member *member = NULL;
    if (take_place(pool, cancel, &member, err))
        return -1;
    const char *why = member ? why_not_usable(pool, member) : NULL;
    if (why) {
        discard(pool, member, why);
        member = NULL;
    }
    *fresh = !member;
    if (!member)
        member = open_member(pool, err);
    if (!member) {
        leave_place(pool);
        return -1;
    }
    lend(pool, member);
    cancel_arm(cancel, wake_driver, member);
    *conn = member->conn;
    return 0;
}

static struct member *take_back(struct pool *pool, struct conn *conn)
{
    struct member **link = &pool->lent;
    while ((*link)->conn != conn)
        link = &(*link)->next;
    struct member *member = *link;
    *link = member->next;
    return member;
}

void pool_give(struct pool *pool, struct cancel *cancel, struct conn *conn, const char *why)
{
    cancel_disarm(cancel);
    if (!why && cancel_fired(cancel))
        why = "its request was called off";
    pthread_mutex_lock(&pool->mutex);
    struct member *member = take_back(pool, conn);
    if (!why) {
        pool->failure.at = 0;
        member->next = pool->idle;
        pool->idle = member;
        pthread_cond_signal(&pool->changed);
    }
    pthread_mutex_unlock(&pool->mutex);
    if (why) {
        discard(pool, member, why);
        leave_place(pool);
    }
}

void pool_state(struct pool *pool, struct pool_state *state)
{
    pthread_mutex_lock(&pool->mutex);
    *state = (struct pool_state){.size = pool->system->pool_size, .open = pool->open, .waiting = pool->waiting};
    for (const struct member *member = pool->lent; member; member = member->next)
        state->used++;
    pthread_mutex_unlock(&pool->mutex);
}

void pool_failure(struct pool *pool, struct pool_failure *failure)
{
    pthread_mutex_lock(&pool->mutex);
    *failure = pool->failure;
    pthread_mutex_unlock(&pool->mutex);
}
