/* sesam-sql ddl --roles: prints the SQL that gives each system's role what the configuration's sources and sinks need,
 * and nothing else. It is made from the configuration alone: no database is asked, and no password is printed. */
#ifndef OPS_ROLES_H
#define OPS_ROLES_H

#include <stdio.h>

#include "config/config.h"

/* For the systems of a type; config NULL: an example. ERR_CONFIG where there is no such system. */
int roles_print(const struct config *config, enum config_database type, FILE *out, struct err *err);

#endif
