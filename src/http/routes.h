/* What each path answers. Requests and replies are plain structs here: the HTTP library is http.c's. */
#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/cancel.h"
#include "config/config.h"
#include "pull/pull.h"

struct db;

/* Everything the service serves. */
struct service {
    const struct config *config;
    struct db *dbs;
    struct source **sources;
    atomic_uint streams; /* pulls at work */
    atomic_bool draining;
};

struct request {
    const char *method;        /* borrowed, as the others */
    char *uri;                 /* as it came; is taken apart */
    const char *authorization; /* NULL if there was none */
    bool ambiguous;            /* its length is told in two ways */
    struct cancel *cancel;
};

struct reply {
    unsigned status;
    const char *type;       /* Content-Type */
    struct buf body;        /* the whole body, or the first block of the stream */
    struct pull *pull;      /* NULL, or what brings the rest, and is to be closed */
    bool streamed;          /* the body goes on with pull_read */
    bool filtered;          /* X-Dataset-Filtered */
    bool dataset;           /* it is a source's answer */
    const char *allow;      /* Allow, of a 405 */
    const char *challenge;  /* WWW-Authenticate, of a 401 */
    unsigned retry_after;   /* seconds; 0: none */
    bool abandoned;         /* nobody is left to answer */
};

/* Answers, whatever the request. Blocks. */
void routes_answer(struct service *service, const struct request *request, struct reply *reply);

/* Frees the body; the pull is closed by pull_close, and its place given back with it. */
void routes_finish(struct service *service, struct reply *reply, const char *why);

/* An error as application/problem+json (RFC 9457). */
void routes_problem(struct reply *reply, unsigned status, const char *detail, const char *hint);

#endif
