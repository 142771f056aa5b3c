/* Watches the sockets of clients whose request is at work, and calls a request off as soon as its client
 * goes away or its time is up, also while the thread that serves it is blocked in a database. One thread for
 * all. What clients send is nothing to it. */
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
    double deadline; /* watch_deadline's; 0: none */
};

int watch_start(struct watch **watch, struct err *err);
void watch_stop(struct watch *watch);

void watch_add(struct watch *watch, struct watched *watched);
/* After this returns, cancel is not fired any more by this watch. */
void watch_remove(struct watch *watch, struct watched *watched);

/* From when on, in monotonic seconds, the request has no more time: then cancel expires. 0: it has all the time
 * there is. Only between watch_add and watch_remove. */
void watch_deadline(struct watch *watch, struct watched *watched, double deadline);

/* Calls all of them off. */
void watch_fire_all(struct watch *watch);

#endif
