/* A part of a token: one value of the updated column or of the key, as text that orders by its bytes like the
 * values do, where they can. The grammar is in entity/since.h. */
#ifndef ENTITY_PART_H
#define ENTITY_PART_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "db/driver.h"

enum { PART_SEPARATOR = '!' }; /* stands between parts, and is lower than every byte of one */

/* Appends a part. local: the column's datetimes stand as on a wall clock, without "Z". Returns 0, or -1 for
 * what has no place in an order: NULL, lists, and texts that are not UTF-8. */
int part_write(struct buf *out, const struct column *column, bool local, const struct value *value, struct err *err);

/* Reads a part as part_write writes it. Texts of the value live in arena. Returns 0, or -1 when it is no part
 * of this column. */
int part_parse(const struct column *column, bool local, const char *text, size_t len, struct arena *arena,
               struct value *value);

/* Reads decimal digits, and nothing else. Returns 0, or -1 also when the number has more than 64 bits. */
int part_natural(const char *text, size_t len, uint64_t *number);

#endif
