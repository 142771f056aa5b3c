/* Watches the sockets of clients whose request is at work, and calls a request off as soon as its client
 * goes away, also while the thread that serves it is blocked in a database. One thread for all. */
#ifndef HTTP_WATCH_H
#define HTTP_WATCH_H

#include "base/cancel.h"
#include "base/err.h"

struct watch;

/* One request. Owned by the caller; must stay until watch_remove. */
struct watched {
    struct watched *next;
    int fd;
    struct cancel *cancel;
};

int watch_start(struct watch **watch, struct err *err);
void watch_stop(struct watch *watch);

void watch_add(struct watch *watch, struct watched *watched);
/* After this returns, cancel is not fired any more by this watch. */
void watch_remove(struct watch *watch, struct watched *watched);

/* Calls all of them off. */
void watch_fire_all(struct watch *watch);

#endif
