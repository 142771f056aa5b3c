/* The connections to one system: at most pool_size, lent one request each, kept open between requests.
 * A connection that is broken, older than pool_recycle, or was called off is closed, never lent again. */
#ifndef DB_POOL_H
#define DB_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cancel.h"
#include "base/err.h"
#include "config/config.h"
#include "db/driver.h"

struct pool;

struct pool_state {
    unsigned size, open, used, waiting;
};

/* Connects to nothing yet. system is borrowed for the pool's life. NULL when there is no memory. */
struct pool *pool_new(const struct driver *driver, const struct config_system *system);
/* Only when everything was given back. Accepts NULL. */
void pool_free(struct pool *pool);

/* Lends a connection that was alive a moment ago, or opens one; waits up to pool_timeout for a place
 * (ERR_BUSY), less if cancel fires (ERR_CANCELLED). *fresh tells whether it was opened just now: an
 * ERR_LOST on one that was not is worth another try. While it is lent, cancel wakes the driver. */
int pool_take(struct pool *pool, struct cancel *cancel, struct conn **conn, bool *fresh, struct err *err);

/* Takes it back. why NULL: it is as good as new; else it is closed and the log says why. */
void pool_give(struct pool *pool, struct cancel *cancel, struct conn *conn, const char *why);

void pool_state(struct pool *pool, struct pool_state *state);

/* Why the system could not be connected to. */
struct pool_failure {
    int64_t at;     /* microseconds since 1970; 0: it could, or a connection was used since */
    char text[640]; /* as in struct err */
};
void pool_failure(struct pool *pool, struct pool_failure *failure);

/* Somebody connected besides the pool: err says why in vain, or that it went well. */
void pool_note(struct pool *pool, const struct err *err);

#endif
