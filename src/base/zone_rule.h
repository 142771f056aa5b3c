/* The rule behind the last transition of a zone file: a POSIX TZ string such as
 * "CET-1CEST,M3.5.0,M10.5.0/3" (POSIX.1-2017, 8.3, with the extensions of RFC 8536, 3.3.1). */
#ifndef BASE_ZONE_RULE_H
#define BASE_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum zone_day { DAY_MONTH_WEEK, DAY_JULIAN, DAY_OF_YEAR };

/* When the clock changes, once a year. */
struct zone_change {
    enum zone_day day;
    unsigned month, week, weekday; /* Mm.w.d */
    unsigned number;               /* Jn, or n */
    int32_t time; /* seconds from midnight on the clock before the change, -167 to 167 hours */
};

struct zone_rule {
    int32_t standard, daylight; /* seconds east of UTC */
    bool changes;               /* false: standard all the year */
    struct zone_change start, end;
};

/* Reads len bytes. Returns 0, or -1 when they are no rule. */
int zone_rule_parse(struct zone_rule *rule, const char *text, size_t len);

/* The offset from UTC at seconds since 1970: of UTC, or (wall) of the zone's own clock with the meaning of
 * zone_to_utc. seconds must be within some hundred thousand years of 1970. */
int32_t zone_rule_offset(const struct zone_rule *rule, int64_t seconds, bool wall);

#endif
