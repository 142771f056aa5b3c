/* Seconds on the clock that nobody sets: for ages and deadlines within this process. */
#ifndef BASE_MONOTONIC_H
#define BASE_MONOTONIC_H

#include <time.h>

static inline double monotonic_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
