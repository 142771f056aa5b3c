/* What each path answers. Requests and replies are plain structs here: the HTTP library is http.c's. */
#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cancel.h"
#include "config/config.h"
#include "http/query.h"
#include "http/reply.h"
#include "pull/pull.h"
#include "push/push.h"

struct db;
struct route;
struct traffic;

/* Everything the service serves. */
struct service {
    const struct config *config;
    struct db *dbs;
    struct source **sources;
    struct sink **sinks;
    struct gate *gate;   /* what all bodies together may hold */
    struct traffic *traffic; /* counts requests */
    int64_t started;     /* microseconds since 1970 */
    atomic_uint streams; /* pulls and pushes at work, a push from its head on */
    atomic_bool draining;
};

/* A request's head. Texts are borrowed from the exchange's arena. */
struct request {
    char *uri;                    /* as it came; is taken apart */
    const char *method;
    const char *authorization;    /* NULL if there was none, as for the next two */
    const char *content_type;
    const char *content_encoding;
    bool body;                    /* one was told of */
    uint64_t length;              /* of it; UINT64_MAX: it will end when it ends */
    bool ambiguous;               /* its length is told in two ways */
    bool expects;                 /* it sends the body when it was told that it may: Expect: 100-continue */
};

/* A request and its answer. Starts zeroed but for service, arena, request and cancel. */
struct exchange {
    struct service *service;
    struct arena *arena;
    struct request request;
    struct cancel *cancel;
    struct reply reply;

    /* the routes' own */
    struct query query;
    const struct route *found; /* of the path */
    const struct route *route; /* the same, if it may answer */
    const char *name;    /* the last part of the path, where the route has one */
    double began;        /* monotonic seconds; 0: not yet */
    struct push *push;   /* takes the body; NULL: nobody does */
    uint64_t received;   /* bytes of the body */
    bool counted;        /* among the service's streams */
};

/* Counts the requests of each path. NULL when there is no memory. */
struct traffic *routes_traffic(void);

/* Looks at a request's head: may it be, who answers it, who takes its body? Returns whether the body is to be
 * read: then all of it is to be fed, also when the answer is known already, since a client that still sends does
 * not listen. Else the request is answered at its head, and its connection ends. */
bool routes_begin(struct exchange *exchange);

/* The next bytes of the body. Blocks. -1: more comes than anybody should have to read, or nobody is left:
 * break the connection. */
int routes_feed(struct exchange *exchange, const char *data, size_t len);

/* The body is over, or will not be read: answers, whatever the request. Blocks. */
void routes_answer(struct exchange *exchange);

/* Counts a pull or push among those at work, or answers that there are too many. For those who answer. */
bool routes_take_place(struct exchange *exchange);

/* Frees everything but the exchange itself. why NULL: the client took the whole answer; else what ended it. */
void routes_finish(struct exchange *exchange, const char *why);

#endif
