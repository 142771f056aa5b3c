/* A pull's URL parameters, checked against a source: since, limit, subset and the query's own. */
#ifndef PULL_REQUEST_H
#define PULL_REQUEST_H

#include "pull/pull.h"

struct wanted {
    bool has_since;
    struct since since;
    uint64_t prunes; /* of a change log, when since was given */
    uint64_t limit; /* UINT64_MAX: none */
    struct filter *filters;
    size_t filter_count;
    struct bound *bounds;
    size_t bound_count;
};

/* Everything is allocated in arena. ERR_INPUT: a bad parameter; ERR_NOT_FOUND: an unusable subset; ERR_GONE:
 * a token that cannot be continued from. */
int request_check(struct wanted *wanted, const struct pull_request *request, const struct source *source,
                  const struct shape *shape, struct arena *arena, struct err *err);

/* The query's parameters as they are when a request brings none: their defaults. Returns 0, or -1 with
 * ERR_INPUT when one is required. */
int request_defaults(struct wanted *wanted, const struct source *source, struct arena *arena, struct err *err);

/* The value of a parameter that came once; NULL if it did not come. */
const char *request_value(const struct pull_request *request, const char *name);

#endif
