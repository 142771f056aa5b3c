/* The configuration, and what Sesam needs to use it, that init proposes: JSON made from what it found. */
#ifndef OPS_DRAFT_H
#define OPS_DRAFT_H

#include <jansson.h>

#include "config/url.h"
#include "ops/survey.h"

struct draft {
    const struct url *url;
    const char *system;           /* the system's name */
    const char *password;         /* as the configuration refers to it: "${NAME}"; NULL: there is none */
    const char *timezone;         /* NULL: not written */
    const struct survey *surveys; /* those with a relation become sources */
    const bool *sinks;            /* parallel: which become sinks, too */
    size_t count;
    bool failed; /* no memory, or a text that is not UTF-8 */
};

/* The configuration; for a container it can be reached from elsewhere, and asks who comes. NULL where failed is set. */
json_t *draft_config(struct draft *draft, bool container);

/* An array of the system and the pipes. */
json_t *draft_sesam(struct draft *draft);

/* Does the sink of a table set its updated column, which the pipe then does not? Not where the database does, nor where
 * the form of the times is not the one in which a sink writes them. */
bool draft_sets_updated(const struct survey *survey);

/* Appends a document as people write it: what is short enough on one line, else a member a line. Returns 0, or -1 when
 * there is no memory. */
int draft_print(json_t *document, struct buf *out);

#endif
