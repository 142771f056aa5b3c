/* The entities of a request in the order of their keys, and of several with the same key only the last. */
#ifndef PUSH_BATCH_H
#define PUSH_BATCH_H

#include "push/rows.h"

struct batch {
    const struct entry **entries;
    size_t count;
    size_t doubles; /* entities that a later one with the same key took the place of */
};

/* Two keys are the same when the target's own unique index says so: conn is asked where their bytes do not tell.
 * Lives in the rows' arena. */
int batch_make(struct batch *batch, struct rows *rows, struct conn *conn, struct err *err);

#endif
