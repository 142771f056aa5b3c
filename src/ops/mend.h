/* SQL that mends what check and init find, for people to run. */
#ifndef OPS_MEND_H
#define OPS_MEND_H

#include <stdbool.h>
#include <stdio.h>

#include "db/driver.h"

/* Appends the statement that makes the index by which a source is read: of the updated column and the key. */
void mend_index(struct buf *out, const struct driver *driver, struct conn *conn, const struct relation *relation,
                const char *table, const char *updated);

/* Appends the statements that let the role read a table. False where there are none, or they are not to be had. */
bool mend_reading(struct buf *out, const struct driver *driver, struct conn *conn, const char *schema,
                  const char *table);

/* Writes what a source lacks that could not be described: rights on its table and its change log, and the log itself.
 * changed: its table may not be there at all. */
void mend_source(FILE *out, const struct driver *driver, struct conn *conn, const struct config_source *config,
                 bool changed);

/* Writes statements, each line a little to the right. */
void mend_show(FILE *out, const char *sql);

#endif
