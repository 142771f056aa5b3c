/* One push: a request on a sink. It takes the body in pieces, and applies it as one transaction: all of it, or
 * nothing. It knows no HTTP. */
#ifndef PUSH_PUSH_H
#define PUSH_PUSH_H

#include "base/buf.h"
#include "base/cancel.h"
#include "base/err.h"
#include "push/gate.h"
#include "push/sink.h"

struct push_parameter {
    const char *name, *value;
};

/* The URL's parameters as they came, decoded. */
struct push_request {
    const struct push_parameter *parameters; /* borrowed during push_open */
    size_t count;
    const struct config_listen *listen; /* limits */
    struct gate *gate;
    struct cancel *cancel; /* may be NULL; must outlive the push */
};

struct push;

/* Checks the parameters. Touches no database. ERR_INPUT. */
int push_open(struct push **push, struct sink *sink, const struct push_request *request, struct err *err);

/* Takes the next bytes of the body. After -1 the rest need not be fed. Blocks while others hold too much. */
int push_feed(struct push *push, const char *data, size_t len, struct err *err);

/* The body is whole: applies it, within seconds. Appends the answer's body, a JSON object, to answer. On failure
 * appends to members what the problem says besides: ,"_id":"..","property":".." or ,"conflicts":[..]. Blocks. */
int push_finish(struct push *push, double seconds, struct buf *answer, struct buf *members, struct err *err);

/* Gives everything back and logs the push's line. why NULL: it was answered; else what ended it early. failure:
 * what it was answered, or NULL. Accepts NULL. */
void push_close(struct push *push, const struct err *failure, const char *why);

#endif
