/* Takes the target of a request apart: path and parameters, percent-decoded. */
#ifndef HTTP_QUERY_H
#define HTTP_QUERY_H

#include "base/arena.h"
#include "base/err.h"
#include "pull/pull.h"

struct query {
    char *path;
    struct pull_parameter *parameters;
    size_t count;
};

/* uri is changed and borrowed; the list lives in arena. ERR_INPUT for a percent sign without two hexadecimal
 * digits and for %00, which no text here can carry. */
int query_parse(struct query *query, char *uri, struct arena *arena, struct err *err);

#endif
