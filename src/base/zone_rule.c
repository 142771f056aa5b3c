#include "base/zone_rule.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "base/iso.h"

enum { HOUR = 3600, DAY = 86400, HOURS_MAX = 167, OFFSET_HOURS_MAX = 24 };

struct cursor {
    const char *at, *end;
};

static bool skip(struct cursor *cursor, char c)
{
    if (cursor->at == cursor->end || *cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static bool is_digit(const struct cursor *cursor)
{
    return cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
}

static int parse_number(struct cursor *cursor, unsigned min, unsigned max, unsigned *number)
{
    unsigned sum = 0;
    if (!is_digit(cursor))
        return -1;
    while (is_digit(cursor) && sum <= max)
        sum = sum * 10 + (unsigned)(*cursor->at++ - '0');
    *number = sum;
    return sum < min || sum > max ? -1 : 0;
}

/* "CET", "<+0330>": nobody asks for them, but they must be there. */
static int skip_name(struct cursor *cursor)
{
    const char *start = cursor->at;
    if (skip(cursor, '<')) {
        const char *close = memchr(cursor->at, '>', (size_t)(cursor->end - cursor->at));
        if (!close)
            return -1;
        cursor->at = close + 1;
        return 0;
    }
    while (cursor->at < cursor->end && isalpha((unsigned char)*cursor->at))
        cursor->at++;
    return cursor->at - start < 3 ? -1 : 0;
}

/* [+-]hh[:mm[:ss]] */
static int parse_time(struct cursor *cursor, unsigned hours_max, int32_t *seconds)
{
    unsigned hours, minutes = 0, rest = 0;
    bool negative = skip(cursor, '-');
    if (!negative)
        skip(cursor, '+');
    if (parse_number(cursor, 0, hours_max, &hours))
        return -1;
    if (skip(cursor, ':') && parse_number(cursor, 0, 59, &minutes))
        return -1;
    if (skip(cursor, ':') && parse_number(cursor, 0, 59, &rest))
        return -1;
    *seconds = (int32_t)(hours * HOUR + minutes * 60 + rest);
    if (negative)
        *seconds = -*seconds;
    return 0;
}

static int parse_day(struct cursor *cursor, struct zone_change *change)
{
    if (skip(cursor, 'J')) {
        change->day = DAY_JULIAN;
        return parse_number(cursor, 1, 365, &change->number);
    }
    if (!skip(cursor, 'M')) {
        change->day = DAY_OF_YEAR;
        return parse_number(cursor, 0, 365, &change->number);
    }
    change->day = DAY_MONTH_WEEK;
    if (parse_number(cursor, 1, 12, &change->month) || !skip(cursor, '.'))
        return -1;
    if (parse_number(cursor, 1, 5, &change->week) || !skip(cursor, '.'))
        return -1;
    return parse_number(cursor, 0, 6, &change->weekday);
}

static int parse_change(struct cursor *cursor, struct zone_change *change)
{
    if (!skip(cursor, ',') || parse_day(cursor, change))
        return -1;
    change->time = 2 * HOUR;
    return skip(cursor, '/') ? parse_time(cursor, HOURS_MAX, &change->time) : 0;
}

int zone_rule_parse(struct zone_rule *rule, const char *text, size_t len)
{
    struct cursor cursor = {text, text + len};
    memset(rule, 0, sizeof *rule);
    if (skip_name(&cursor) || parse_time(&cursor, OFFSET_HOURS_MAX, &rule->standard))
        return -1;
    rule->standard = -rule->standard; /* POSIX counts to the west */
    if (cursor.at == cursor.end)
        return 0;
    rule->changes = true;
    rule->daylight = rule->standard + HOUR;
    if (skip_name(&cursor))
        return -1;
    if (cursor.at < cursor.end && *cursor.at != ',') {
        if (parse_time(&cursor, OFFSET_HOURS_MAX, &rule->daylight))
            return -1;
        rule->daylight = -rule->daylight;
    }
    if (parse_change(&cursor, &rule->start) || parse_change(&cursor, &rule->end))
        return -1;
    return cursor.at == cursor.end ? 0 : -1;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* 1970-01-01 was a Thursday. */
static unsigned weekday_of(int64_t days)
{
    int64_t rest = (days + 4) % 7;
    return (unsigned)(rest < 0 ? rest + 7 : rest);
}

/* The week-th such weekday of the month; the fifth is the last, be there five or four. */
static int64_t month_week_day(int64_t year, const struct zone_change *change)
{
    bool december = change->month == 12;
    int64_t first = iso_days(year, change->month, 1);
    int64_t next = iso_days(december ? year + 1 : year, december ? 1 : change->month + 1, 1);
    int64_t day = first + (change->weekday + 7 - weekday_of(first)) % 7 + 7 * (int64_t)(change->week - 1);
    return day < next ? day : day - 7;
}

/* Days since 1970. A Julian day never counts the 29th of February. */
static int64_t change_day(int64_t year, const struct zone_change *change)
{
    if (change->day == DAY_MONTH_WEEK)
        return month_week_day(year, change);
    int64_t first = iso_days(year, 1, 1);
    if (change->day == DAY_OF_YEAR)
        return first + change->number;
    return first + change->number - 1 + (is_leap(year) && change->number >= 60);
}

int32_t zone_rule_offset(const struct zone_rule *rule, int64_t seconds, bool wall)
{
    if (!rule->changes)
        return rule->standard;
    int64_t year, best = INT64_MIN;
    unsigned month, day;
    int64_t shifted = seconds + (wall ? 0 : rule->standard);
    iso_civil(shifted / DAY - (shifted % DAY < 0), &year, &month, &day);
    int32_t offset = rule->standard;
    int32_t shift = wall ? (rule->standard > rule->daylight ? rule->standard : rule->daylight) : 0;
    /* The last change before it is of this year or its neighbours, whose changes may lie days off. Of two at
     * the same time the later year's counts: that is how a zone says daylight saving all the year. */
    for (int64_t y = year - 1; y <= year + 1; y++) {
        int64_t start = change_day(y, &rule->start) * DAY + rule->start.time - rule->standard + shift;
        int64_t end = change_day(y, &rule->end) * DAY + rule->end.time - rule->daylight + shift;
        if (start <= seconds && start >= best) {
            best = start;
            offset = rule->daylight;
        }
        if (end <= seconds && end >= best) {
            best = end;
            offset = rule->standard;
        }
    }
    return offset;
}
