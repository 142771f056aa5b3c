#include "base/cancel.h"

#include <stddef.h>

void cancel_init(struct cancel *cancel)
{
    *cancel = (struct cancel){.wake = NULL};
    pthread_mutex_init(&cancel->mutex, NULL);
}

void cancel_destroy(struct cancel *cancel)
{
    pthread_mutex_destroy(&cancel->mutex);
}

void cancel_arm(struct cancel *cancel, void (*wake)(void *arg), void *arg)
{
    if (!cancel)
        return;
    pthread_mutex_lock(&cancel->mutex);
    if (atomic_load(&cancel->fired)) {
        wake(arg);
    } else {
        cancel->wake = wake;
        cancel->arg = arg;
    }
    pthread_mutex_unlock(&cancel->mutex);
}

void cancel_disarm(struct cancel *cancel)
{
    if (!cancel)
        return;
    pthread_mutex_lock(&cancel->mutex);
    cancel->wake = NULL;
    pthread_mutex_unlock(&cancel->mutex);
}

/* With the mutex held. */
static void fire(struct cancel *cancel)
{
    if (!atomic_exchange(&cancel->fired, true) && cancel->wake) {
        cancel->wake(cancel->arg);
        cancel->wake = NULL;
    }
}

void cancel_fire(struct cancel *cancel)
{
    pthread_mutex_lock(&cancel->mutex);
    fire(cancel);
    pthread_mutex_unlock(&cancel->mutex);
}

void cancel_expire(struct cancel *cancel)
{
    pthread_mutex_lock(&cancel->mutex);
    if (!atomic_load(&cancel->fired))
        atomic_store(&cancel->expired, true);
    fire(cancel);
    pthread_mutex_unlock(&cancel->mutex);
}
