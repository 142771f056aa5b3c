/* Descriptions of tables made from the catalogue, shared by the requests that use them. Whoever takes one keeps it
 * as it is; a newer one is made when it is asked for, or when the newest is older than a minute. */
#ifndef DB_DESCRIBED_H
#define DB_DESCRIBED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/arena.h"
#include "db/driver.h"

/* The first member of whoever makes more of it. Lives in its own arena. Const once made. */
struct described {
    atomic_uint users;
    struct arena *arena;
    const struct relation *relation;
    void (*drop)(struct described *described); /* gives back what is not in the arena; NULL: nothing */
};

/* Who keeps the newest. Starts with followed_init. */
struct followed {
    pthread_mutex_t mutex;
    struct described *newest; /* NULL before the first */
    double asked;
    const char *title; /* of the log's lines; borrowed */
};

void followed_init(struct followed *followed, const char *title);
void followed_destroy(struct followed *followed);

/* Makes one, with users 1, from conn. */
typedef struct described *described_make(void *maker, struct conn *conn, struct err *err);

/* The one to use, made anew if anew, or if there is none or it is too old. *fresh tells whether it was made just
 * now. Give it back with described_give. A change is one line of the log. */
int followed_take(struct followed *followed, bool anew, described_make *make, void *maker, struct conn *conn,
                  struct described **described, bool *fresh, struct err *err);
/* Seconds since the newest was asked for; very many before the first. */
double followed_age(struct followed *followed);
void described_give(struct described *described); /* accepts NULL */

#endif
