/* What check says of a source's change log. */
#ifndef OPS_CHECK_LOG_H
#define OPS_CHECK_LOG_H

#include <stdio.h>

#include "db/driver.h"
#include "pull/changelog.h"

/* Writes what it finds to out: how much the log has missed, what it could miss, what was pruned. Reads every row of both.
 * ERR_DATABASE, with what mends it, when it misses something now. */
int check_log(const struct changelog *changelog, const struct driver *driver, struct conn *conn, FILE *out,
              struct err *err);

#endif
