/* Names of sources and sinks made from those of tables: what can stand in a URL's path, and in the _id of a pipe. */
#ifndef OPS_SEGMENT_H
#define OPS_SEGMENT_H

#include "base/arena.h"
#include "db/driver.h"

/* The letters, digits, "_" and "-" of a text, and one "_" for each run of anything else; fallback where nothing is
 * left. NULL when there is no memory. */
const char *segment_of(const char *text, const char *fallback, struct arena *arena);

/* One name for each, no two the same, not even but for upper and lower case: the table's, behind its schema's where two
 * schemas have it, and with a number where that is not enough. Returns 0, or -1 when there is no memory. */
int segment_names(const struct listed *list, size_t count, const char **names, struct arena *arena);

#endif
