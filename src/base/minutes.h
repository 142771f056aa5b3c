/* What happened in each of the last minutes, in fixed memory. Knows no clock: who counts tells the time, and keeps
 * others out meanwhile. */
#ifndef BASE_MINUTES_H
#define BASE_MINUTES_H

#include <stdint.h>

enum { MINUTES = 60 };

/* Starts zeroed. */
struct minutes {
    uint64_t counts[MINUTES + 1]; /* a minute's place is its number, modulo */
    int64_t newest;               /* minutes since 1970 */
};

/* now is in microseconds since 1970. What a clock that was set back tells counts for the newest minute known; one that
 * was set back by more than an hour begins anew. */
void minutes_add(struct minutes *minutes, int64_t now, uint64_t count);

/* The last whole minutes, the oldest first, and the one that is not over. */
void minutes_read(struct minutes *minutes, int64_t now, uint64_t whole[MINUTES], uint64_t *current);

#endif
