#include "pull/literal.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"

size_t literal_digits(const char *text)
{
    return strspn(text, "0123456789");
}

bool literal_is_integer(const char *text)
{
    size_t sign = *text == '-', digits = literal_digits(text + sign);
    if (!digits || text[sign + digits])
        return false;
    errno = 0;
    strtoll(text, NULL, 10);
    return errno == 0;
}

bool literal_is_decimal(const char *text)
{
    text += *text == '-';
    size_t whole = literal_digits(text);
    text += whole;
    if (!whole)
        return false;
    if (*text == '.') {
        size_t fraction = literal_digits(++text);
        if (!fraction)
            return false;
        text += fraction;
    }
    return *text == '\0';
}

const char *literal_time(struct arena *arena, const char *text, bool date, const struct zone *zone)
{
    struct iso_time time;
    char *out = arena_alloc(arena, ISO_SIZE);
    if (strncmp(text, "~t", 2) == 0)
        text += 2;
    if (!out || iso_parse(text, strlen(text), &time) || (date && !time.is_date))
        return NULL;
    int64_t wall = zone ? zone_to_wall(zone, time.time) : time.time;
    if (wall < ISO_TIME_MIN || wall > ISO_TIME_MAX)
        return NULL; /* the zone pushes it over the edge of the calendar */
    size_t len = date ? iso_date(out, iso_floor(wall, ISO_DAY)) : iso_datetime(out, wall, 6, "");
    if (!date) {
        out[10] = ' ';
        while (out[len - 1] == '0')
            len--;
        len -= out[len - 1] == '.';
        if (len < 19)
            len = 19;
    }
    out[len] = '\0';
    return out;
}
