#include "base/recent.h"

#include <pthread.h>
#include <stdio.h>

#include "base/wall.h"

static struct {
    pthread_mutex_t mutex;
    struct recent ring[RECENT_MOST]; /* the newest is the one before the next */
    uint64_t warnings, errors;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

void recent_add(enum log_level level, const char *subject, const char *text)
{
    pthread_mutex_lock(&kept.mutex);
    struct recent *place = &kept.ring[(kept.warnings + kept.errors) % RECENT_MOST];
    place->at = wall_microseconds();
    place->level = level;
    snprintf(place->subject, sizeof place->subject, "%s", subject);
    snprintf(place->text, sizeof place->text, "%s", text);
    ++*(level == LOG_ERROR ? &kept.errors : &kept.warnings);
    pthread_mutex_unlock(&kept.mutex);
}

size_t recent_list(struct recent list[RECENT_MOST])
{
    pthread_mutex_lock(&kept.mutex);
    uint64_t all = kept.warnings + kept.errors;
    size_t count = all < RECENT_MOST ? (size_t)all : RECENT_MOST;
    for (size_t i = 0; i < count; i++)
        list[i] = kept.ring[(all - 1 - i) % RECENT_MOST];
    pthread_mutex_unlock(&kept.mutex);
    return count;
}

void recent_counts(uint64_t *warnings, uint64_t *errors)
{
    pthread_mutex_lock(&kept.mutex);
    *warnings = kept.warnings;
    *errors = kept.errors;
    pthread_mutex_unlock(&kept.mutex);
}
