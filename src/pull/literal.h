/* Texts that a user sent as numbers and times: are they such, and what a database is given for them. */
#ifndef PULL_LITERAL_H
#define PULL_LITERAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/zone.h"

/* How many decimal digits the text begins with. */
size_t literal_digits(const char *text);

/* A signed integer of 64 bits. */
bool literal_is_integer(const char *text);

/* Digits with or without a point, no exponent. */
bool literal_is_decimal(const char *text);

/* A time as every database reads it: "2024-01-31 23:59:59.5" on the wall clock of zone (NULL: UTC), or the
 * date alone. text may begin with "~t". NULL when it is no such thing, or there is no memory. */
const char *literal_time(struct arena *arena, const char *text, bool date, const struct zone *zone);

#endif
