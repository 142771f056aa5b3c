#include "push/gate.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "base/monotonic.h"

struct gate {
    size_t most, held, waiting;
    struct share *oldest, *newest; /* of those who hold something */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

struct gate *gate_new(size_t most)
{
    struct gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return NULL;
    gate->most = most;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&gate->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&gate->mutex, NULL);
    return gate;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
}

static bool may_take(const struct gate *gate, const struct share *share, size_t bytes)
{
    if (!gate->oldest || gate->oldest == share)
        return true;
    return gate->held <= gate->most && bytes <= gate->most - gate->held;
}

static void add(struct gate *gate, struct share *share, size_t bytes)
{
    if (!share->held && bytes) {
        share->older = gate->newest;
        share->newer = NULL;
        *(gate->newest ? &gate->newest->newer : &gate->oldest) = share;
        gate->newest = share;
    }
    share->held += bytes;
    gate->held += bytes;
}

static bool try_take(struct gate *gate, struct share *share, size_t bytes)
{
    pthread_mutex_lock(&gate->mutex);
    bool may = may_take(gate, share, bytes);
    if (may)
        add(gate, share, bytes);
    pthread_mutex_unlock(&gate->mutex);
    return may;
}

static void wake_waiters(void *arg)
{
    struct gate *gate = arg;
    pthread_mutex_lock(&gate->mutex);
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

/* With the mutex held. */
static int wait_and_take(struct gate *gate, struct share *share, size_t bytes, double seconds, struct cancel *cancel,
                         struct err *err)
{
    double deadline = monotonic_seconds() + seconds;
    struct timespec until = {(time_t)deadline, (long)((deadline - (double)(time_t)deadline) * 1e9)};
    bool over = false, may;
    gate->waiting++;
    while (!(may = may_take(gate, share, bytes)) && !cancel_fired(cancel) && !over)
        over = pthread_cond_timedwait(&gate->changed, &gate->mutex, &until) != 0;
    gate->waiting--;
    if (cancel_fired(cancel))
        return err_set(err, ERR_CANCELLED, "%s while its body waited for room", cancel_why(cancel));
    if (may) {
        add(gate, share, bytes);
        return 0;
    }
    err_set(err, ERR_BUSY, "the bodies of other requests held all of %zu bytes for %.3g s", gate->most, seconds);
    return err_hint(err, "raise listen.max_buffered_bytes, or let fewer pipes push at the same time");
}

int gate_take(struct gate *gate, struct share *share, size_t bytes, double seconds, struct cancel *cancel,
              struct err *err)
{
    if (try_take(gate, share, bytes))
        return 0;
    cancel_arm(cancel, wake_waiters, gate);
    pthread_mutex_lock(&gate->mutex);
    int failed = wait_and_take(gate, share, bytes, seconds, cancel, err);
    pthread_mutex_unlock(&gate->mutex);
    cancel_disarm(cancel);
    return failed;
}

void gate_give(struct gate *gate, struct share *share)
{
    if (!share->held)
        return; /* only its own request changes it */
    pthread_mutex_lock(&gate->mutex);
    gate->held -= share->held;
    *(share->older ? &share->older->newer : &gate->oldest) = share->newer;
    *(share->newer ? &share->newer->older : &gate->newest) = share->older;
    *share = (struct share){0};
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void gate_state(struct gate *gate, struct gate_state *state)
{
    pthread_mutex_lock(&gate->mutex);
    *state = (struct gate_state){gate->held, gate->most, gate->waiting};
    pthread_mutex_unlock(&gate->mutex);
}
