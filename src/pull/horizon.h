/* Where a source's stream is final: no row of a lower updated value can still appear. A row beyond may be followed by
 * one of a transaction that is still open, so its token must lead back here. The rules are in docs/change-tracking.md. */
#ifndef PULL_HORIZON_H
#define PULL_HORIZON_H

#include "pull/source.h"

struct outlook {
    bool limited;     /* else every row is taken for final: late_commits "ignore", or no updated column */
    struct value low; /* rows below are final; in the updated column's kind, texts in the arena given */
    struct value edge; /* not below low: low without the margin, while nobody is at work as far as the server knows. So a
                          row that is written from now on is not below it */
    bool forward;     /* a row is only ever written with a higher value than before: who writes keeps all others out */
    bool timed;       /* the column's values are times, and then */
    int64_t time;     /* they are final before this one: microseconds since 1970 */
    double lag;       /* seconds from there to the server's clock, or how long the oldest transaction holds it */
    struct horizon horizon; /* what the server said */
};

/* Asks on the connection that will read by plan, before its snapshot. ERR_DATABASE where the source cannot have a
 * horizon, with what it can have instead as hint; ERR_GONE for a since that this server never gave. */
int outlook_ask(struct outlook *outlook, const struct source *source, const struct shape *shape, struct conn *conn,
                const struct plan *plan, const struct since *since, struct arena *arena, struct err *err);

#endif
