/* MYSQL_TIME, in which the client library hands out and takes dates and times, and our values. */
#include "db/mysql.h"

#include <stdio.h>
#include <string.h>

#include "base/iso.h"

static size_t put_fraction(char *text, size_t len, unsigned long microseconds, unsigned digits)
{
    if (!digits)
        return len;
    char fraction[32];
    snprintf(fraction, sizeof fraction, "%06lu", microseconds % 1000000);
    text[len++] = '.';
    memcpy(text + len, fraction, digits > 6 ? 6 : digits);
    return len + (digits > 6 ? 6 : digits);
}

static bool in_calendar(const MYSQL_TIME *time)
{
    static const unsigned char lengths[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (time->year < 1 || time->year > 9999 || time->month < 1 || time->month > 12 || time->day < 1)
        return false;
    bool leap = time->year % 4 == 0 && (time->year % 100 != 0 || time->year % 400 == 0);
    return time->day <= lengths[time->month] + (leap && time->month == 2 ? 1U : 0U);
}

static size_t date_text(const MYSQL_TIME *time, enum kind kind, unsigned digits, char *text)
{
    int len = snprintf(text, MYDB_TIME_SIZE - 8, "%04u-%02u-%02u", time->year % 10000, time->month % 100,
                       time->day % 100);
    if (kind == KIND_DATE)
        return (size_t)len;
    len += snprintf(text + len, MYDB_TIME_SIZE - 8 - (size_t)len, " %02u:%02u:%02u", time->hour % 100,
                    time->minute % 100, time->second % 100);
    return put_fraction(text, (size_t)len, time->second_part, digits);
}

void mydb_from_time(const MYSQL_TIME *time, enum kind kind, unsigned digits, char text[MYDB_TIME_SIZE],
                    struct value *value)
{
    if (!in_calendar(time)) {
        *value = value_text(KIND_TEXT, text, date_text(time, kind, digits, text));
        return;
    }
    int64_t days = iso_days(time->year, time->month, time->day);
    value->kind = kind;
    value->integer = kind == KIND_DATE ? days
                                       : days * ISO_DAY +
                                             ((int64_t)time->hour * 3600 + time->minute * 60 + time->second) *
                                                 ISO_SECOND +
                                             (int64_t)time->second_part;
}

size_t mydb_time_text(const MYSQL_TIME *time, unsigned digits, char text[MYDB_TIME_SIZE])
{
    unsigned long hours = (time->day * 24UL + time->hour) % 10000; /* either library's way to say 838 */
    int len = snprintf(text, MYDB_TIME_SIZE - 8, "%s%02lu:%02u:%02u", time->neg ? "-" : "", hours,
                       time->minute % 100, time->second % 100);
    return put_fraction(text, (size_t)len, time->second_part, digits);
}

/* Takes exactly width digits, or with width 0 as many as there are up to nine. Returns where they end. */
static const char *take_number(const char *at, const char *end, int width, unsigned *number)
{
    const char *start = at;
    *number = 0;
    while (at < end && *at >= '0' && *at <= '9' && at - start < (width ? width : 9))
        *number = *number * 10 + (unsigned)(*at++ - '0');
    return at == start || (width && at - start < width) ? NULL : at;
}

static const char *take_char(const char *at, const char *end, char wanted)
{
    return at && at < end && *at == wanted ? at + 1 : NULL;
}

/* Takes ":mm:ss" and a fraction that may be missing. */
static bool take_clock(const char *at, const char *end, MYSQL_TIME *time)
{
    if (!(at = take_char(at, end, ':')) || !(at = take_number(at, end, 2, &time->minute)) ||
        !(at = take_char(at, end, ':')) || !(at = take_number(at, end, 2, &time->second)))
        return false;
    if (at < end && *at == '.') {
        unsigned long unit = 100000;
        for (at++; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10)
            time->second_part += (unsigned long)(*at - '0') * unit;
    }
    return at == end && time->minute < 60 && time->second < 60;
}

bool mydb_parse_time(const char *text, size_t len, MYSQL_TIME *time)
{
    const char *at = text, *end = text + len;
    memset(time, 0, sizeof *time);
    time->time_type = MYSQL_TIMESTAMP_TIME;
    time->neg = at < end && *at == '-';
    at += time->neg ? 1 : 0;
    if (!(at = take_number(at, end, 0, &time->hour)) || time->hour > 838)
        return false;
    time->day = time->hour / 24; /* the protocol has one byte for the hour */
    time->hour %= 24;
    return take_clock(at, end, time);
}

/* Not by iso_parse: it would refuse the very dates that come as text. */
static bool parse_datetime(const char *at, size_t len, MYSQL_TIME *time)
{
    const char *end = at + len;
    if (!(at = take_number(at, end, 4, &time->year)) || !(at = take_char(at, end, '-')) ||
        !(at = take_number(at, end, 2, &time->month)) || !(at = take_char(at, end, '-')) ||
        !(at = take_number(at, end, 2, &time->day)))
        return false;
    if (at == end)
        return true;
    time->time_type = MYSQL_TIMESTAMP_DATETIME;
    return (at = take_char(at, end, ' ')) && (at = take_number(at, end, 2, &time->hour)) && time->hour < 24 &&
           take_clock(at, end, time);
}

static void set_date(MYSQL_TIME *time, int64_t days)
{
    int64_t year;
    iso_civil(days, &year, &time->month, &time->day);
    time->year = (unsigned)year;
}

bool mydb_to_time(const struct value *value, MYSQL_TIME *time)
{
    memset(time, 0, sizeof *time);
    time->time_type = MYSQL_TIMESTAMP_DATE;
    if (value->kind == KIND_TEXT)
        return parse_datetime(value->text.bytes, value->text.len, time);
    if (value->kind == KIND_DATE) {
        set_date(time, value->integer);
        return true;
    }
    if (value->kind != KIND_DATETIME)
        return false;
    time->time_type = MYSQL_TIMESTAMP_DATETIME;
    int64_t days = iso_floor(value->integer, ISO_DAY);
    int64_t rest = value->integer - days * ISO_DAY;
    set_date(time, days);
    time->second_part = (unsigned long)(rest % ISO_SECOND);
    rest /= ISO_SECOND;
    time->hour = (unsigned)(rest / 3600);
    time->minute = (unsigned)(rest / 60 % 60);
    time->second = (unsigned)(rest % 60);
    return true;
}
