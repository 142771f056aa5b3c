/* What became of a sink's pushes, for /status and /metrics: counts, the last conflicts, the full sync that is under
 * way. It is what this process has seen; the state that decides is in the database. In fixed memory. */
#ifndef PUSH_LEDGER_H
#define PUSH_LEDGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"
#include "base/minutes.h"

enum { LEDGER_CONFLICTS = 10, LEDGER_ID = 200 };

/* Times are in microseconds since 1970; 0: never. */
struct ledger_counts {
    uint64_t pushes, failures, entities, bytes;
    uint64_t inserted, updated, unchanged, deleted, conflicts;
    int64_t last; /* when the last push ended */
    struct histogram durations;
    struct minutes minutes; /* entities */
};

struct ledger_conflict {
    int64_t at;
    char members[512]; /* of a JSON object: "_id":"7","reason":"version" */
};

struct ledger_sync {
    char sequence_id[LEDGER_ID + 1]; /* "": none is open */
    uint64_t requests;
    int64_t begun, last;
};

/* Its members are its own. */
struct ledger {
    pthread_mutex_t mutex;
    struct ledger_counts counts;
    struct ledger_sync sync;
    struct ledger_conflict conflicts[LEDGER_CONFLICTS];
    uint64_t conflict_count; /* ever noted; the next one's place, modulo */
};

void ledger_init(struct ledger *ledger);
void ledger_destroy(struct ledger *ledger);

/* A push that ended. */
struct ledger_push {
    bool applied;
    uint64_t entities, bytes;
    uint64_t inserted, updated, unchanged, deleted, conflicts;
    double seconds;
};
void ledger_add(struct ledger *ledger, const struct ledger_push *push);

/* A conflict, as the JSON object that the client got. One that is too long is kept as its reason alone. */
void ledger_add_conflict(struct ledger *ledger, const char *object, size_t len, const char *reason);

/* A request of a full sync was applied. sequence_id NULL: the whole sync was this one request. */
void ledger_add_sync(struct ledger *ledger, const char *sequence_id, bool last);

void ledger_counts(struct ledger *ledger, struct ledger_counts *counts);
void ledger_sync(struct ledger *ledger, struct ledger_sync *sync);
/* The newest first. Returns how many. */
size_t ledger_conflicts(struct ledger *ledger, struct ledger_conflict conflicts[LEDGER_CONFLICTS]);

#endif
