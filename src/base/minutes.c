#include "base/minutes.h"

enum { SLOTS = MINUTES + 1 };
#define MICROSECONDS INT64_C(60000000) /* of a minute */

/* Forgets what is too old, and makes the minute of now the newest. */
static void advance(struct minutes *minutes, int64_t now)
{
    int64_t minute = now / MICROSECONDS;
    int64_t ahead = minute - minutes->newest;
    if (ahead <= 0 && ahead >= -MINUTES)
        return;
    if (ahead < 0 || ahead > SLOTS)
        ahead = SLOTS;
    for (int64_t i = 0; i < ahead; i++)
        minutes->counts[(minute - i) % SLOTS] = 0;
    minutes->newest = minute;
}

void minutes_add(struct minutes *minutes, int64_t now, uint64_t count)
{
    advance(minutes, now);
    minutes->counts[minutes->newest % SLOTS] += count;
}

void minutes_read(struct minutes *minutes, int64_t now, uint64_t whole[MINUTES], uint64_t *current)
{
    advance(minutes, now);
    for (int i = 0; i < MINUTES; i++)
        whole[i] = minutes->counts[(minutes->newest - MINUTES + i) % SLOTS];
    *current = minutes->counts[minutes->newest % SLOTS];
}
