/* One pull: a request on a source, answered as a stream of bytes that is a JSON array of entities. It knows
 * no HTTP: whoever serves it asks for blocks until there are no more. Memory is one row and one block. */
#ifndef PULL_PULL_H
#define PULL_PULL_H

#include <stdint.h>
#include <sys/types.h>

#include "base/cancel.h"
#include "base/err.h"
#include "pull/source.h"

struct pull_parameter {
    const char *name, *value;
};

/* The URL's parameters as they came, decoded. since, limit and subset are ours, the others the query's. */
struct pull_request {
    const struct pull_parameter *parameters;
    size_t count;
    struct cancel *cancel; /* may be NULL; must outlive the pull */
};

struct pull;

/* Checks the request, takes a connection, opens the stream and fetches the first row, so that whatever is
 * wrong with the request, the configuration or the database is an error here. Blocks. */
int pull_open(struct pull **pull, struct source *source, const struct pull_request *request, struct err *err);

/* Writes the next bytes of the array, at most size (which is best large, 64 KiB or more). Returns their
 * number, 0 after the last, or -1: the stream broke, and the array must not look complete. The bracket that
 * closes the array comes only after the database said that all rows were sent. Blocks. */
ssize_t pull_read(struct pull *pull, char *block, size_t size, struct err *err);

/* Is there a horizon of time? *time is before when all rows were sent: microseconds since 1970. */
bool pull_completeness(const struct pull *pull, int64_t *time);

/* How many entities were written until now. */
uint64_t pull_entities(const struct pull *pull);

/* Was a subset asked for? */
bool pull_is_filtered(const struct pull *pull);

/* Nobody wants the rest (HEAD): gives the connection back and takes the pull for finished. */
void pull_stop(struct pull *pull);

/* Gives everything back and logs the pull's line. why NULL: the reader took all it was given; else what
 * ended it early ("the client went away"). Accepts NULL. */
void pull_close(struct pull *pull, const char *why);

#endif
