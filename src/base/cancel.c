#include "base/cancel.h"

#include <stddef.h>

const char CANCEL_GONE[] = "the client went away";
const char CANCEL_STOPPED[] = "the service was stopped";
const char CANCEL_EXPIRED[] = "request_timeout was over";

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
    if (cancel_fired(cancel)) {
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

void cancel_fire(struct cancel *cancel, const char *why)
{
    pthread_mutex_lock(&cancel->mutex);
    if (!cancel_fired(cancel)) {
        atomic_store(&cancel->why, why);
        if (cancel->wake)
            cancel->wake(cancel->arg);
        cancel->wake = NULL;
    }
    pthread_mutex_unlock(&cancel->mutex);
}
