/* The subset parameter: ["eq", "_S.property", value] becomes a filter on a column. */
#ifndef PULL_SUBSET_H
#define PULL_SUBSET_H

#include "pull/request.h"

/* Fills in the filters of wanted. ERR_NOT_FOUND for a subset that this source cannot give, as Sesam's
 * protocol asks. */
int subset_check(struct wanted *wanted, const struct pull_request *request, const struct source *source,
                 const struct shape *shape, struct arena *arena, struct err *err);

#endif
