/* A request's way to be called off from another thread: whoever is about to block says how it can be
 * woken; whoever knows that it is no use any more fires, and says why. */
#ifndef BASE_CANCEL_H
#define BASE_CANCEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct cancel {
    pthread_mutex_t mutex;
    _Atomic(const char *) why; /* it fired; NULL: it did not yet */
    void (*wake)(void *arg); /* called with the mutex held, at most once; must be quick */
    void *arg;
};

/* Why it fires, as errors and the log say it. */
extern const char CANCEL_GONE[], CANCEL_STOPPED[];
extern const char CANCEL_EXPIRED[]; /* somebody still waits for an answer */

void cancel_init(struct cancel *cancel);
void cancel_destroy(struct cancel *cancel);

/* Says how to wake the thread from now on; if it fired already, wakes at once. cancel may be NULL in
 * both: nobody can call it off then. */
void cancel_arm(struct cancel *cancel, void (*wake)(void *arg), void *arg);
/* After this returns, wake is not running and will not run. */
void cancel_disarm(struct cancel *cancel);

/* why: one of the above. The first reason stays. */
void cancel_fire(struct cancel *cancel, const char *why);

/* NULL until it fires. */
static inline const char *cancel_why(const struct cancel *cancel)
{
    return cancel ? atomic_load_explicit(&cancel->why, memory_order_relaxed) : NULL;
}

static inline bool cancel_fired(const struct cancel *cancel)
{
    return cancel_why(cancel) != NULL;
}

static inline bool cancel_expired(const struct cancel *cancel)
{
    return cancel_why(cancel) == CANCEL_EXPIRED;
}

#endif
