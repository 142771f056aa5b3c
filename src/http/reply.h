/* What a request is answered: the status, some headers, and the body or where it comes from. The HTTP library is
 * http.c's. */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct pull;

struct reply {
    unsigned status;        /* 0: not yet known */
    const char *type;       /* Content-Type */
    struct buf body;        /* the whole body, or the first block of the stream */
    struct pull *pull;      /* NULL, or what brings the rest, and is to be closed */
    bool streamed;          /* the body goes on with pull_read */
    bool filtered;          /* X-Dataset-Filtered */
    bool dataset;           /* it is a source's answer */
    int64_t completeness;   /* X-Dataset-Completeness: all until this time, in microseconds since 1970; below 0: none */
    const char *policy;     /* Content-Security-Policy, of a page */
    const char *allow;      /* Allow, of a 405 */
    const char *challenge;  /* WWW-Authenticate, of a 401 */
    unsigned retry_after;   /* seconds; 0: none */
    bool abandoned;         /* nobody is left to answer */
};

/* Begins a 200 of JSON. */
void reply_json(struct reply *reply);

/* An error as application/problem+json (RFC 9457), instead of what was there. hint may be NULL. members: what the
 * object says besides, each member behind a comma; NULL: nothing. */
void reply_problem(struct reply *reply, unsigned status, const char *detail, const char *hint, struct buf *members);

/* The same, with the status that the error's code stands for. Logs it under subject, unless that is NULL: then
 * it is not worth a line. */
void reply_error(struct reply *reply, const char *subject, const struct err *err, struct buf *members);

/* Appends "name":"text". What is not UTF-8 in it is replaced. */
void reply_member(struct buf *out, const char *name, const char *text);

#endif
