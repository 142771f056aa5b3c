#include "http/door.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/monotonic.h"

enum { LONGEST_WAIT = 3600, QUIET = 60 }; /* seconds; QUIET: between two warnings of the same */

struct door {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* there is an earlier deadline, or the end */
    struct guest *first;
    size_t count, room; /* count: without those that were shown out */
    double wake;        /* when the thread looks again at the latest; HUGE_VAL: when it is told to */
    double warned;
    bool closed;
};

/* All static functions but run are called with the mutex held. */

static void show_out(struct door *door, struct guest *guest, const char *why)
{
    log_debug("http", "connection closed: %s", why);
    guest->why = why;
    door->count--;
    shutdown(guest->fd, SHUT_RDWR);
}

static void expire(struct door *door)
{
    double now = monotonic_seconds();
    door->wake = HUGE_VAL;
    for (struct guest *at = door->first; at; at = at->next) {
        if (at->deadline <= 0 || at->why)
            continue;
        if (at->deadline <= now)
            show_out(door, at, at->stay.late);
        else if (at->deadline < door->wake)
            door->wake = at->deadline;
    }
}

static void wait_until(struct door *door, double time)
{
    double now = monotonic_seconds();
    if (time > now + LONGEST_WAIT)
        time = now + LONGEST_WAIT;
    double whole = floor(time);
    struct timespec until = {.tv_sec = (time_t)whole, .tv_nsec = (long)((time - whole) * 1e9)};
    pthread_cond_timedwait(&door->changed, &door->mutex, &until);
}

static void *run(void *arg)
{
    struct door *door = arg;
    pthread_mutex_lock(&door->mutex);
    while (!door->closed) {
        expire(door);
        wait_until(door, door->wake);
    }
    pthread_mutex_unlock(&door->mutex);
    return NULL;
}

static void set_stay(struct door *door, struct guest *guest, struct stay stay)
{
    guest->stay = stay;
    guest->since = monotonic_seconds();
    guest->deadline = stay.seconds > 0 ? guest->since + stay.seconds : 0;
    if (guest->deadline > 0 && guest->deadline < door->wake) {
        door->wake = guest->deadline;
        pthread_cond_signal(&door->changed);
    }
}

/* Under a flood, the newest are those among whom a client of good will is that has just come. */
static void make_room(struct door *door, const struct guest *newest)
{
    struct guest *oldest = NULL;
    if (door->count <= door->room)
        return;
    for (struct guest *at = door->first; at; at = at->next)
        if (at != newest && at->stay.spare && !at->why && (!oldest || at->since < oldest->since))
            oldest = at;
    if (!oldest)
        return;
    show_out(door, oldest, "others needed the room");
    if (monotonic_seconds() < door->warned + QUIET)
        return;
    door->warned = monotonic_seconds();
    log_warning("http", "more than %zu connections: those that wait longest are closed for new ones",
                door->room);
}

int door_open(struct door **out, size_t room, struct err *err)
{
    struct door *door = calloc(1, sizeof *door);
    pthread_condattr_t attributes;
    if (!door)
        return err_memory(err);
    door->room = room;
    door->wake = HUGE_VAL;
    door->warned = -QUIET;
    pthread_mutex_init(&door->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&door->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&door->thread, NULL, run, door)) {
        free(door);
        return err_set(err, ERR_INTERNAL, "cannot start the thread that watches over connections");
    }
    *out = door;
    return 0;
}

void door_close(struct door *door)
{
    if (!door)
        return;
    pthread_mutex_lock(&door->mutex);
    door->closed = true;
    pthread_cond_signal(&door->changed);
    pthread_mutex_unlock(&door->mutex);
    pthread_join(door->thread, NULL);
    pthread_cond_destroy(&door->changed);
    pthread_mutex_destroy(&door->mutex);
    free(door);
}

void door_enter(struct door *door, struct guest *guest, int fd, struct stay stay)
{
    *guest = (struct guest){.fd = fd};
    pthread_mutex_lock(&door->mutex);
    guest->next = door->first;
    door->first = guest;
    door->count++;
    set_stay(door, guest, stay);
    make_room(door, guest);
    pthread_mutex_unlock(&door->mutex);
}

void door_leave(struct door *door, struct guest *guest)
{
    pthread_mutex_lock(&door->mutex);
    struct guest **link = &door->first;
    while (*link && *link != guest)
        link = &(*link)->next;
    if (*link) {
        *link = guest->next;
        door->count -= !guest->why;
    }
    pthread_mutex_unlock(&door->mutex);
}

void door_let(struct door *door, struct guest *guest, struct stay stay)
{
    pthread_mutex_lock(&door->mutex);
    set_stay(door, guest, stay);
    pthread_mutex_unlock(&door->mutex);
}

double door_pause(struct door *door, struct guest *guest)
{
    enum { SMALLEST = 1000 }; /* parts of a second: the time is nearly up, which is not to have no end */
    pthread_mutex_lock(&door->mutex);
    double left = guest->deadline > 0 ? guest->deadline - monotonic_seconds() : 0;
    if (guest->deadline > 0 && left < 1.0 / SMALLEST)
        left = 1.0 / SMALLEST;
    guest->deadline = 0;
    guest->stay.spare = false;
    pthread_mutex_unlock(&door->mutex);
    return left;
}

const char *door_why(struct door *door, const struct guest *guest)
{
    pthread_mutex_lock(&door->mutex);
    const char *why = guest->why;
    pthread_mutex_unlock(&door->mutex);
    return why;
}
