/* Dates, datetimes and UUIDs as text and back: ISO 8601 in the proleptic Gregorian calendar, years 0001 to
 * 9999, and the 8-4-4-4-12 form of RFC 4122. Times are microseconds since 1970-01-01T00:00:00, dates are
 * days since 1970-01-01. */
#ifndef BASE_ISO_H
#define BASE_ISO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ISO_SIZE = 48 }; /* bytes any of these texts needs at most */

#define ISO_SECOND INT64_C(1000000)
#define ISO_DAY (86400 * ISO_SECOND)
#define ISO_DAYS_MIN (-INT64_C(719162)) /* 0001-01-01 */
#define ISO_DAYS_MAX INT64_C(2932896)   /* 9999-12-31 */
#define ISO_TIME_MIN (ISO_DAYS_MIN * ISO_DAY)
#define ISO_TIME_MAX ((ISO_DAYS_MAX + 1) * ISO_DAY - 1)

/* time / unit, rounded down also below zero: the day of a time, the second of it. */
static inline int64_t iso_floor(int64_t time, int64_t unit)
{
    return time / unit - (time % unit < 0);
}

/* Write at text, without a NUL, and return the length. The value must be within the bounds above. */
size_t iso_date(char *text, int64_t days);
/* "2024-01-31T23:59:59" with digits (0 to 6) of the fraction and zone ("Z" or "") behind. */
size_t iso_datetime(char *text, int64_t time, unsigned digits, const char *zone);
size_t iso_uuid(char *text, const char *bytes);

/* The decimal digits of number, two at a time, right-aligned so that they end before end; returns where they
 * begin. Up to 20 bytes. */
char *iso_digits(char *end, uint64_t number);

/* Days since 1970-01-01 to year (any, 0 is 1 BC), month and day, and back. */
void iso_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day);
int64_t iso_days(int64_t year, unsigned month, unsigned day);

struct iso_time {
    int64_t time;   /* in UTC if zoned, else as written; a date is its midnight */
    bool is_date;   /* there was no time of day */
    bool zoned;     /* there was a Z or an offset */
    bool rest;      /* there were digits beyond microseconds other than 0; time is rounded down */
};

/* Reads "2024-01-31", "2024-01-31T23:59", with ":59", with ".123456789", with "Z" or "+01:00" or "+0100",
 * a space instead of the T, and a space instead of the + (as it comes from a query string). Returns 0, or
 * -1 when the text is anything else or outside the years. */
int iso_parse(const char *text, size_t len, struct iso_time *out);

/* Reads a UUID with or without hyphens and braces into 16 bytes. Returns 0 or -1. */
int iso_parse_uuid(const char *text, size_t len, char *bytes);

#endif
