#include "base/iso.h"

#include <string.h>

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

static void put_pair(char *text, unsigned number)
{
    memcpy(text, pairs + 2 * number, 2);
}

char *iso_digits(char *end, uint64_t number)
{
    for (; number >= 100; number /= 100)
        put_pair(end -= 2, (unsigned)(number % 100));
    if (number >= 10)
        put_pair(end -= 2, (unsigned)number);
    else
        *--end = (char)('0' + number);
    return end;
}

/* The calendar repeats every 400 years of 146097 days. A year is taken to begin in March, so that the
 * leap day is its last day. */
void iso_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t since = days + 719468; /* days since 0000-03-01 */
    int64_t era = (since >= 0 ? since : since - 146096) / 146097;
    unsigned in_era = (unsigned)(since - era * 146097);
    unsigned year_of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned from_march = (5 * in_year + 2) / 153;
    *day = in_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

int64_t iso_days(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned in_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + in_year;
    return era * 146097 + (int64_t)in_era - 719468;
}

static void write_date(char *text, int64_t days)
{
    int64_t year;
    unsigned month, day;
    iso_civil(days, &year, &month, &day);
    put_pair(text, (unsigned)year / 100);
    put_pair(text + 2, (unsigned)year % 100);
    text[4] = '-';
    put_pair(text + 5, month);
    text[7] = '-';
    put_pair(text + 8, day);
}

size_t iso_date(char *text, int64_t days)
{
    /* Most rows are of few different days, those of one read often of the same. */
    enum { REMEMBERED = 64 };
    static _Thread_local struct {
        int64_t days;
        char text[10];
        bool used;
    } memory[REMEMBERED];
    unsigned place = (unsigned)days % REMEMBERED;
    if (memory[place].days != days || !memory[place].used) {
        write_date(memory[place].text, days);
        memory[place].days = days;
        memory[place].used = true;
    }
    memcpy(text, memory[place].text, 10);
    return 10;
}

size_t iso_datetime(char *text, int64_t time, unsigned digits, const char *zone)
{
    int64_t days = iso_floor(time, ISO_DAY);
    uint64_t micros = (uint64_t)(time - days * ISO_DAY);
    unsigned seconds = (unsigned)(micros / 1000000), fraction = (unsigned)(micros % 1000000);
    size_t len = iso_date(text, days);
    text[len] = 'T';
    put_pair(text + len + 1, seconds / 3600);
    text[len + 3] = ':';
    put_pair(text + len + 4, seconds / 60 % 60);
    text[len + 6] = ':';
    put_pair(text + len + 7, seconds % 60);
    len += 9;
    if (digits) {
        text[len] = '.';
        put_pair(text + len + 1, fraction / 10000);
        put_pair(text + len + 3, fraction / 100 % 100);
        put_pair(text + len + 5, fraction % 100);
        len += 1 + digits;
    }
    while (*zone)
        text[len++] = *zone++;
    return len;
}

size_t iso_uuid(char *text, const char *bytes)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[len++] = '-';
        text[len++] = hex[(unsigned char)bytes[i] >> 4];
        text[len++] = hex[(unsigned char)bytes[i] & 15];
    }
    return len;
}

/* reading */

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *cursor, const char *any)
{
    if (cursor->at == cursor->end || !*cursor->at || !strchr(any, *cursor->at))
        return false;
    cursor->at++;
    return true;
}

/* Exactly count digits, or -1. */
static int take_number(struct cursor *cursor, int count)
{
    int number = 0;
    if (cursor->end - cursor->at < count)
        return -1;
    for (int i = 0; i < count; i++, cursor->at++) {
        if (*cursor->at < '0' || *cursor->at > '9')
            return -1;
        number = number * 10 + (*cursor->at - '0');
    }
    return number;
}

static unsigned days_in(int year, int month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static int take_date(struct cursor *cursor, int64_t *days)
{
    int year = take_number(cursor, 4);
    if (year < 1 || !take(cursor, "-"))
        return -1;
    int month = take_number(cursor, 2);
    if (month < 1 || month > 12 || !take(cursor, "-"))
        return -1;
    int day = take_number(cursor, 2);
    if (day < 1 || (unsigned)day > days_in(year, month))
        return -1;
    *days = iso_days(year, (unsigned)month, (unsigned)day);
    return 0;
}

static int take_fraction(struct cursor *cursor, struct iso_time *out)
{
    int64_t unit = ISO_SECOND / 10;
    int count = 0;
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++, count++) {
        out->time += (*cursor->at - '0') * unit;
        out->rest = out->rest || (unit == 0 && *cursor->at != '0');
        unit /= 10;
    }
    return count ? 0 : -1;
}

static int take_clock(struct cursor *cursor, struct iso_time *out)
{
    int hour = take_number(cursor, 2), minute, second = 0;
    if (hour < 0 || hour > 23 || !take(cursor, ":"))
        return -1;
    minute = take_number(cursor, 2);
    if (minute < 0 || minute > 59)
        return -1;
    bool seconds = take(cursor, ":");
    if (seconds && ((second = take_number(cursor, 2)) < 0 || second > 59))
        return -1;
    out->time += (hour * 3600 + minute * 60 + second) * ISO_SECOND;
    return seconds && take(cursor, ".") ? take_fraction(cursor, out) : 0;
}

static int take_zone(struct cursor *cursor, struct iso_time *out)
{
    if (cursor->at == cursor->end)
        return 0;
    out->zoned = true;
    if (take(cursor, "Zz"))
        return 0;
    int sign = *cursor->at == '-' ? -1 : 1;
    if (!take(cursor, "+- "))
        return -1;
    int hours = take_number(cursor, 2), minutes = 0;
    if (hours < 0 || hours > 23)
        return -1;
    bool colon = take(cursor, ":");
    if ((colon || cursor->at < cursor->end) && ((minutes = take_number(cursor, 2)) < 0 || minutes > 59))
        return -1;
    out->time -= sign * (hours * 3600 + minutes * 60) * ISO_SECOND;
    return 0;
}

int iso_parse(const char *text, size_t len, struct iso_time *out)
{
    struct cursor cursor = {text, text + len};
    int64_t days;
    *out = (struct iso_time){.is_date = true};
    if (take_date(&cursor, &days))
        return -1;
    out->time = days * ISO_DAY;
    if (cursor.at < cursor.end) {
        out->is_date = false;
        if (!take(&cursor, "Tt ") || take_clock(&cursor, out) || take_zone(&cursor, out))
            return -1;
    }
    return cursor.at == cursor.end && out->time >= ISO_TIME_MIN && out->time <= ISO_TIME_MAX ? 0 : -1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int iso_parse_uuid(const char *text, size_t len, char *bytes)
{
    int digits = 0;
    if (len >= 2 && text[0] == '{' && text[len - 1] == '}') {
        text++;
        len -= 2;
    }
    for (size_t i = 0; i < len; i++) {
        int digit = hex_digit(text[i]);
        if (text[i] == '-' && digits % 4 == 0 && digits > 0 && digits < 32 && text[i - 1] != '-')
            continue;
        if (digit < 0 || digits == 32)
            return -1;
        bytes[digits / 2] = (char)(digits % 2 ? bytes[digits / 2] | digit : digit << 4);
        digits++;
    }
    return digits == 32 ? 0 : -1;
}
