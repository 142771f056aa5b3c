/* Bounds what all requests together hold of their bodies, in memory and in spool files (max_buffered_bytes).
 * Who wants more waits. The oldest of those who hold something never waits, so that somebody always comes to an
 * end; so the bound can be passed by one body. */
#ifndef PUSH_GATE_H
#define PUSH_GATE_H

#include <stddef.h>

#include "base/cancel.h"
#include "base/err.h"

struct gate;

/* One request's share. Starts zeroed. */
struct share {
    struct share *older, *newer;
    size_t held;
};

struct gate *gate_new(size_t most);
void gate_free(struct gate *gate); /* when nothing is held; accepts NULL */

/* Takes more bytes for share. Blocks, at most seconds: then ERR_BUSY. ERR_CANCELLED when cancel (may be NULL)
 * fires. */
int gate_take(struct gate *gate, struct share *share, size_t bytes, double seconds, struct cancel *cancel,
              struct err *err);
/* Gives back all of it. Harmless when there is nothing. */
void gate_give(struct gate *gate, struct share *share);

struct gate_state {
    size_t held, most, waiting;
};
void gate_state(struct gate *gate, struct gate_state *state);

#endif
