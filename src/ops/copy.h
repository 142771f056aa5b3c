/* sesam-sql pull: copies the entities of a source to a file, with a line of progress where somebody looks. */
#ifndef OPS_COPY_H
#define OPS_COPY_H

#include <stdio.h>

#include "pull/source.h"

/* since and limit are as in the URL, NULL: not given. On any failure what was written has no closing bracket. Progress
 * is on standard error when that is a terminal and out is none: one terminal shows one thing. */
int copy_run(struct source *source, const char *since, const char *limit, FILE *out, struct err *err);

#endif
