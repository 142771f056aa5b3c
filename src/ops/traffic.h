/* The requests that came to their end: how many of each route, method and status, and how long they took. Nothing of
 * a request's text is kept. */
#ifndef OPS_TRAFFIC_H
#define OPS_TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/histogram.h"

enum { TRAFFIC_METHODS = 4, TRAFFIC_STATUSES = 24 };

struct traffic;

/* routes are the patterns ("/sources/{name}"), borrowed. One more is added for what has none: "other". NULL when there
 * is no memory. */
struct traffic *traffic_new(const char *const *routes, size_t count);
void traffic_free(struct traffic *traffic); /* accepts NULL */

/* A request ended. route SIZE_MAX: none; status 0: nobody was left to answer. */
void traffic_note(struct traffic *traffic, size_t route, const char *method, unsigned status, double seconds);

/* One route's, as of one moment. */
struct traffic_route {
    const char *pattern;
    struct histogram durations;
    uint64_t counts[TRAFFIC_METHODS][TRAFFIC_STATUSES];
};
size_t traffic_routes(const struct traffic *traffic);
void traffic_route(struct traffic *traffic, size_t route, struct traffic_route *out);

/* What stands for the places in counts: "GET", "HEAD", "POST", "other"; a status, or 0. */
const char *traffic_method(size_t method);
/* Returns how many are in use. They stay where they are. */
size_t traffic_statuses(struct traffic *traffic, unsigned statuses[TRAFFIC_STATUSES]);

#endif
