/* sesam-sql ddl: prints SQL for people to run: our own tables, what lets a role without rights ask for the horizon, and
 * the change log of a table. */
#ifndef OPS_DDL_H
#define OPS_DDL_H

#include <stdio.h>

#include "config/config.h"
#include "db/db.h"

/* The database of a name as users write it; -1 when there is none. */
int ddl_type(enum config_database *type, const char *name);

/* The SQL that is the same for all databases of a type. */
int ddl_print(enum config_database type, FILE *out, struct err *err);

/* The SQL of the change log of a table, "table" or "schema.table". It is looked at in the configuration's system of this
 * type; of several, in that of the source that names the table. */
int ddl_print_log(const struct config *config, struct db *dbs, enum config_database type, const char *table, FILE *out,
                  struct err *err);

#endif
