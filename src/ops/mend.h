/* SQL that mends what check and init find, for people to run. */
#ifndef OPS_MEND_H
#define OPS_MEND_H

#include <stdio.h>

#include "db/driver.h"

/* Appends the statement that makes the index by which a source is read: of the updated column and the key. */
void mend_index(struct buf *out, const struct driver *driver, struct conn *conn, const struct relation *relation,
                const char *table, const char *updated);

/* Writes statements, each line a little to the right. */
void mend_show(FILE *out, const char *sql);

#endif
