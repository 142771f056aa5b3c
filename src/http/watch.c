#include "http/watch.h"

#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ROOM = 16 };

struct watch {
    pthread_t thread;
    pthread_mutex_t mutex;
    struct watched *first;
    size_t count;
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

/* The sockets to look at, behind the eventfd. Those whose client is gone already are left out. */
static size_t list_sockets(struct watch *watch, struct pollfd **list, size_t *room)
{
    size_t used = 1;
    pthread_mutex_lock(&watch->mutex);
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
            cancel_fire(at->cancel);
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
        size_t count = list_sockets(watch, &list, &room);
        if (poll(list, count, -1) < 0)
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
}

void watch_fire_all(struct watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    for (struct watched *at = watch->first; at; at = at->next)
        cancel_fire(at->cancel);
    pthread_mutex_unlock(&watch->mutex);
}
