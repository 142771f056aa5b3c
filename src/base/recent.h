/* The last warnings and errors that were logged, in fixed memory, for whoever asks how the service is. The log fills
 * it. Safe to call from any thread. */
#ifndef BASE_RECENT_H
#define BASE_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

enum { RECENT_MOST = 20 };

struct recent {
    int64_t at; /* microseconds since 1970 */
    enum log_level level;
    char subject[128];
    char text[1280]; /* longer ones are cut, maybe within a character */
};

void recent_add(enum log_level level, const char *subject, const char *text);

/* Copies them, the newest first, and returns how many there are. */
size_t recent_list(struct recent list[RECENT_MOST]);

/* How many there were since the start. */
void recent_counts(uint64_t *warnings, uint64_t *errors);

#endif
