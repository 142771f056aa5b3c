/* sesam-sql check: looks at everything a configuration names and says what it finds, what is wrong and what
 * would mend it. Findings that make a source fail or its answers doubtful are problems; the rest is advice. */
#ifndef OPS_CHECK_H
#define OPS_CHECK_H

#include <stdio.h>

#include "config/config.h"
#include "db/db.h"
#include "pull/source.h"
#include "push/sink.h"

/* Writes the report to out and returns the number of problems. */
unsigned check_run(const struct config *config, struct db *dbs, struct source **sources, struct sink **sinks,
                   FILE *out);

/* The same of one source; check_sink.h has that of a sink. */
unsigned check_source(struct source *source, FILE *out);

/* Writes one problem, with what mends it. */
void check_problem(FILE *out, const struct err *err);

#endif
