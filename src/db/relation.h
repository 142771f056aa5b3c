/* Looking things up in a description. */
#ifndef DB_RELATION_H
#define DB_RELATION_H

#include "db/driver.h"

/* The column of this name, as an index; SIZE_MAX if there is none. */
size_t relation_find(const struct relation *relation, const char *name);

/* "R has no column 'x', which primary_key names", with the nearest name as hint. Returns -1. */
int relation_lacks(const struct relation *relation, const char *name, const char *key, struct err *err);

#endif
