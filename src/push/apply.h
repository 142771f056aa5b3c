/* Applies a batch within an open transaction: compares its entities with the rows they name, and writes what
 * differs, in bulk and in the order of the keys. */
#ifndef PUSH_APPLY_H
#define PUSH_APPLY_H

#include "push/batch.h"

/* What becomes of the entities. */
struct tally {
    uint64_t inserted, updated, unchanged, deleted, conflicts;
};

enum { APPLY_LISTED = 100 };

/* A conflict that is listed: where in the list it begins. */
struct apply_conflict {
    size_t at;
    const char *reason;
};

struct apply {
    /* set by the caller */
    struct rows *rows;
    const struct batch *batch;
    struct conn *conn;
    bool look;              /* write nothing: only see whether there is something to write */
    bool skip_conflicts;    /* a conflict stops nothing */
    bool lock;              /* rows to be written are locked first, also where they have stamps: races were lost */
    bool release_first;     /* deletions and updates go before inserts */
    bool want_seen;
    double deadline;        /* monotonic seconds */
    size_t isolate;         /* from this entity of the batch on they go one by one, to tell whose fault it is; SIZE_MAX */

    /* what came of it */
    struct tally tally;
    struct buf conflict_list; /* JSON objects with commas between, at most APPLY_LISTED */
    struct apply_conflict listed[APPLY_LISTED];
    struct buf seen;          /* "[...": the keys that came, without the closing bracket */
    uint64_t seen_count;
    bool must_write;          /* look: something differs */
    bool duplicate;           /* failed: a unique index has a value already, perhaps by a race */
    bool unknown;             /* failed: one of several, from isolate on */
};

/* Returns 0, or -1: roll back. ERR_CONFLICT when entities are in conflict and that is not to be skipped. Does not
 * free the buffers; they begin zeroed. */
int apply_run(struct apply *apply, struct err *err);

#endif
