/* Knows every connection, and shows out whoever is too slow: libmicrohttpd sees a client that does nothing at
 * all, but not one that sends a byte now and then for ever. When more come than there is room for, those go
 * who have waited longest without having anything at work. To show out is to shut the socket down; the thread
 * that serves it then ends it. One thread for all. */
#ifndef HTTP_DOOR_H
#define HTTP_DOOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct door;

/* What a connection may do next. */
struct stay {
    double seconds;   /* it has for that; 0: as long as it takes */
    const char *late; /* why it is shown out when they are over: "the client ..."; kept, not copied */
    bool spare;       /* nothing is lost if it is shown out before, to make room */
};

/* One connection. Owned by the caller; must stay until door_leave. */
struct guest {
    struct guest *next;
    int fd;
    struct stay stay;
    double since;      /* when the stay began, and */
    double deadline;   /* when it ends, in monotonic seconds; 0: never */
    const char *why;   /* it was shown out; NULL: it was not */
    unsigned requests; /* it has made; its own thread's */
};

/* room: how many may be in before those who wait are shown out for others. */
int door_open(struct door **door, size_t room, struct err *err);
void door_close(struct door *door);

void door_enter(struct door *door, struct guest *guest, int fd, struct stay stay);
/* Before fd is closed: after this returns, it is not touched any more. */
void door_leave(struct door *door, struct guest *guest);

/* It does something else from now on. */
void door_let(struct door *door, struct guest *guest, struct stay stay);
/* Stops the time. Returns the seconds that were left of it, more than 0; 0: there is no end. */
double door_pause(struct door *door, struct guest *guest);

/* Why it was shown out; NULL: it was not. */
const char *door_why(struct door *door, const struct guest *guest);

#endif
