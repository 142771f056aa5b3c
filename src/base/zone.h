/* Shifts between the wall clock of a time zone and UTC, for datetimes stored without a zone. Reads the
 * system's zone files (TZif, RFC 8536), footer rule included; "UTC" and fixed offsets ("+02:00") need no
 * file. Immutable once open, so any thread may use it. */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct zone;

/* name as in "Europe/Oslo". Fails with ERR_CONFIG when there is no such zone or no zone files at all
 * (the hint names the package tzdata). $TZDIR is honoured. Free with zone_close. */
int zone_open(struct zone **zone, const char *name, struct err *err);
void zone_close(struct zone *zone);

/* Microseconds since 1970-01-01T00:00:00 on the wall clock, to UTC. A time that the clock skipped is
 * read with the offset before the jump; one that came twice is the earlier of the two (as PEP 495,
 * fold=0). zone NULL is UTC. */
int64_t zone_to_utc(const struct zone *zone, int64_t wall);

/* UTC to the wall clock. */
int64_t zone_to_wall(const struct zone *zone, int64_t utc);

/* Is this a name of UTC, as servers and people write it? */
bool zone_is_utc(const char *name);

#endif
