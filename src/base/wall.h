/* The time of day, for what people read. Somebody may set it: ages and deadlines are monotonic.h's. */
#ifndef BASE_WALL_H
#define BASE_WALL_H

#include <stdint.h>
#include <time.h>

/* Microseconds since 1970. */
static inline int64_t wall_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
