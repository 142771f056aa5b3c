/* A request's way to be called off from another thread: whoever is about to block says how it can be
 * woken; whoever sees the client go away fires. */
#ifndef BASE_CANCEL_H
#define BASE_CANCEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct cancel {
    pthread_mutex_t mutex;
    atomic_bool fired;
    atomic_bool expired;     /* it fired because time was up, and not because nobody waits any more */
    void (*wake)(void *arg); /* called with the mutex held, at most once; must be quick */
    void *arg;
};

void cancel_init(struct cancel *cancel);
void cancel_destroy(struct cancel *cancel);

/* Says how to wake the thread from now on; if it fired already, wakes at once. cancel may be NULL in
 * both: nobody can call it off then. */
void cancel_arm(struct cancel *cancel, void (*wake)(void *arg), void *arg);
/* After this returns, wake is not running and will not run. */
void cancel_disarm(struct cancel *cancel);

void cancel_fire(struct cancel *cancel);
/* The same, because the request's time is up: somebody still waits for an answer. */
void cancel_expire(struct cancel *cancel);

static inline bool cancel_fired(const struct cancel *cancel)
{
    return cancel && atomic_load_explicit(&cancel->fired, memory_order_relaxed);
}

static inline bool cancel_expired(const struct cancel *cancel)
{
    return cancel && atomic_load(&cancel->expired);
}

#endif
