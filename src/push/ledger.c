#include "push/ledger.h"

#include <stdio.h>
#include <string.h>

#include "base/wall.h"

void ledger_init(struct ledger *ledger)
{
    memset(ledger, 0, sizeof *ledger);
    pthread_mutex_init(&ledger->mutex, NULL);
}

void ledger_destroy(struct ledger *ledger)
{
    pthread_mutex_destroy(&ledger->mutex);
}

void ledger_add(struct ledger *ledger, const struct ledger_push *push)
{
    struct ledger_counts *counts = &ledger->counts;
    pthread_mutex_lock(&ledger->mutex);
    counts->pushes++;
    counts->failures += !push->applied;
    counts->entities += push->entities;
    counts->bytes += push->bytes;
    counts->inserted += push->inserted;
    counts->updated += push->updated;
    counts->unchanged += push->unchanged;
    counts->deleted += push->deleted;
    counts->conflicts += push->conflicts;
    counts->last = wall_microseconds();
    histogram_add(&counts->durations, push->seconds);
    minutes_add(&counts->minutes, counts->last, push->entities);
    pthread_mutex_unlock(&ledger->mutex);
}

void ledger_add_conflict(struct ledger *ledger, const char *object, size_t len, const char *reason)
{
    pthread_mutex_lock(&ledger->mutex);
    struct ledger_conflict *place = &ledger->conflicts[ledger->conflict_count++ % LEDGER_CONFLICTS];
    place->at = wall_microseconds();
    if (len - 2 < sizeof place->members)
        snprintf(place->members, sizeof place->members, "%.*s", (int)(len - 2), object + 1);
    else
        snprintf(place->members, sizeof place->members, "\"_id\":\"(too long to be kept)\",\"reason\":\"%s\"",
                 reason);
    pthread_mutex_unlock(&ledger->mutex);
}

/* A sequence that begins ends the one before: a sink has one at a time. */
void ledger_add_sync(struct ledger *ledger, const char *sequence_id, bool last)
{
    struct ledger_sync *sync = &ledger->sync;
    pthread_mutex_lock(&ledger->mutex);
    if (!sequence_id || last) {
        *sync = (struct ledger_sync){.requests = 0};
    } else {
        int64_t now = wall_microseconds();
        if (strcmp(sync->sequence_id, sequence_id) != 0)
            *sync = (struct ledger_sync){.begun = now};
        snprintf(sync->sequence_id, sizeof sync->sequence_id, "%s", sequence_id);
        sync->requests++;
        sync->last = now;
    }
    pthread_mutex_unlock(&ledger->mutex);
}

void ledger_counts(struct ledger *ledger, struct ledger_counts *counts)
{
    pthread_mutex_lock(&ledger->mutex);
    *counts = ledger->counts;
    pthread_mutex_unlock(&ledger->mutex);
}

void ledger_sync(struct ledger *ledger, struct ledger_sync *sync)
{
    pthread_mutex_lock(&ledger->mutex);
    *sync = ledger->sync;
    pthread_mutex_unlock(&ledger->mutex);
}

size_t ledger_conflicts(struct ledger *ledger, struct ledger_conflict conflicts[LEDGER_CONFLICTS])
{
    pthread_mutex_lock(&ledger->mutex);
    uint64_t all = ledger->conflict_count;
    size_t count = all < LEDGER_CONFLICTS ? (size_t)all : LEDGER_CONFLICTS;
    for (size_t i = 0; i < count; i++)
        conflicts[i] = ledger->conflicts[(all - 1 - i) % LEDGER_CONFLICTS];
    pthread_mutex_unlock(&ledger->mutex);
    return count;
}
