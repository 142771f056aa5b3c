#include "http/watch.h"

#include <math.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/monotonic.h"

enum { ROOM = 16, LONGEST_WAIT = 3600 }; /* sockets, seconds */

struct watch {
    pthread_t thread;
    pthread_mutex_t mutex;
    struct watched *first;
    size_t count;
    double wake; /* when the thread looks at the deadlines again at the latest; HUGE_VAL: when it is nudged */
    bool stopped;
    struct pollfd *list; /* the thread's */
    int changed; /* eventfd: the list is another, look again */
};

static void nudge(struct watch *watch)
{
    uint64_t one = 1;
    while (write(watch->changed, &one, sizeof one) < 0)
        ;
}

/* Calls those off whose time is up, and finds out when that will be true of the next one. */
static void expire(struct watch *watch)
{
    double now = monotonic_seconds();
    watch->wake = HUGE_VAL;
    for (struct watched *at = watch->first; at; at = at->next) {
        if (at->deadline <= 0 || cancel_fired(at->cancel))
            continue;
        if (at->deadline <= now)
            cancel_fire(at->cancel, CANCEL_EXPIRED);
        else if (at->deadline < watch->wake)
            watch->wake = at->deadline;
    }
}

/* Milliseconds for poll, rounded up, so that the time is really over then. */
static int wait_of(double wake)
{
    double seconds = wake - monotonic_seconds();
    if (wake >= HUGE_VAL)
        return -1;
    if (seconds > LONGEST_WAIT)
        seconds = LONGEST_WAIT;
    return seconds > 0 ? (int)(seconds * 1000) + 1 : 0;
}

/* The sockets to look at, behind the eventfd, and how long. Those that were called off already are left out. */
static size_t list_sockets(struct watch *watch, struct pollfd **list, size_t *room, int *wait)
{
    size_t used = 1;
    pthread_mutex_lock(&watch->mutex);
    expire(watch);
    if (watch->count + 1 > *room) {
        struct pollfd *larger = realloc(*list, (watch->count + ROOM) * sizeof **list);
        if (larger) { /* else the last ones are not watched until there is memory again */
            *list = larger;
            *room = watch->count + ROOM;
        }
    }
    for (struct watched *at = watch->first; at && used < *room; at = at->next)
        if (!cancel_fired(at->cancel))
            (*list)[used++] = (struct pollfd){.fd = at->fd, .events = POLLRDHUP};
    *wait = wait_of(watch->wake);
    pthread_mutex_unlock(&watch->mutex);
    (*list)[0] = (struct pollfd){.fd = watch->changed, .events = POLLIN};
    return used;
}

/* Looks again before it fires: meanwhile the number may be another client's. */
static void fire(struct watch *watch, int fd)
{
    struct pollfd now = {.fd = fd, .events = POLLRDHUP};
    pthread_mutex_lock(&watch->mutex);
    for (struct watched *at = watch->first; at; at = at->next)
        if (at->fd == fd && poll(&now, 1, 0) > 0)
            cancel_fire(at->cancel, CANCEL_GONE);
    pthread_mutex_unlock(&watch->mutex);
}

static bool is_stopped(struct watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    bool stopped = watch->stopped;
    pthread_mutex_unlock(&watch->mutex);
    return stopped;
}

static void *run(void *arg)
{
    struct watch *watch = arg;
    size_t room = ROOM;
    struct pollfd *list = watch->list;
    while (!is_stopped(watch)) {
        int wait;
        size_t count = list_sockets(watch, &list, &room, &wait);
        if (poll(list, count, wait) <= 0)
            continue;
        uint64_t nudges;
        if (list[0].revents && read(watch->changed, &nudges, sizeof nudges) > 0)
            continue; /* the list may be another; a closed socket will still be one then */
        for (size_t i = 1; i < count; i++)
            if (list[i].revents)
                fire(watch, list[i].fd);
    }
    watch->list = list;
    return NULL;
}

int watch_start(struct watch **out, struct err *err)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return err_memory(err);
    watch->changed = eventfd(0, EFD_CLOEXEC);
    watch->list = calloc(ROOM, sizeof *watch->list);
    pthread_mutex_init(&watch->mutex, NULL);
    if (watch->changed < 0 || !watch->list || pthread_create(&watch->thread, NULL, run, watch)) {
        if (watch->changed >= 0)
            close(watch->changed);
        free(watch->list);
        free(watch);
        return err_set(err, ERR_INTERNAL, "cannot start the thread that watches clients");
    }
    *out = watch;
    return 0;
}

void watch_stop(struct watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->mutex);
    watch->stopped = true;
    pthread_mutex_unlock(&watch->mutex);
    nudge(watch);
    pthread_join(watch->thread, NULL);
    close(watch->changed);
    pthread_mutex_destroy(&watch->mutex);
    free(watch->list);
    free(watch);
}

void watch_add(struct watch *watch, struct watched *watched)
{
    pthread_mutex_lock(&watch->mutex);
    watched->next = watch->first;
    watch->first = watched;
    watch->count++;
    pthread_mutex_unlock(&watch->mutex);
    nudge(watch);
}

void watch_remove(struct watch *watch, struct watched *watched)
{
    pthread_mutex_lock(&watch->mutex);
    struct watched **link = &watch->first;
    while (*link && *link != watched)
        link = &(*link)->next;
    if (*link) {
        *link = watched->next;
        watch->count--;
    }
    pthread_mutex_unlock(&watch->mutex);
    nudge(watch); /* while somebody polls a socket, closing it does not end it */
}

/* Deadlines are mostly as long as the last one's, so the thread is rarely woken: it will look at the first one,
 * and whoever is over by then costs it nothing. */
void watch_deadline(struct watch *watch, struct watched *watched, double deadline)
{
    pthread_mutex_lock(&watch->mutex);
    watched->deadline = deadline;
    bool sooner = deadline > 0 && deadline < watch->wake;
    if (sooner)
        watch->wake = deadline;
    pthread_mutex_unlock(&watch->mutex);
    if (sooner)
        nudge(watch);
}

void watch_fire_all(struct watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    for (struct watched *at = watch->first; at; at = at->next)
        cancel_fire(at->cancel, CANCEL_STOPPED);
    pthread_mutex_unlock(&watch->mutex);
}
