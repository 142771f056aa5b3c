#include <string.h>

#include "base/iso.h"
#include "entity/accept_kind.h"

/* times that cannot be counted */

/* How a server writes a time outside of the years 1 to 9999 or one that no calendar has. */
struct strange {
    bool clock, zoned, utc;
    size_t digits; /* of the fraction, without zeros at the end */
};

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *cursor, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(cursor->end - cursor->at) < len || memcmp(cursor->at, word, len) != 0)
        return false;
    cursor->at += len;
    return true;
}

/* Takes at least so many digits; without more, exactly. */
static bool take_digits(struct cursor *cursor, int least, bool more)
{
    int count = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' && (more || count < least)) {
        cursor->at++;
        count++;
    }
    return count >= least;
}

static bool take_fraction(struct cursor *cursor, struct strange *strange)
{
    const char *begin = cursor->at, *last;
    if (!take_digits(cursor, 1, true))
        return false;
    for (last = cursor->at; last > begin && last[-1] == '0'; last--)
        continue;
    strange->digits = (size_t)(last - begin);
    return true;
}

static bool take_clock(struct cursor *cursor, struct strange *strange)
{
    strange->clock = true;
    if (!take_digits(cursor, 2, false) || !take(cursor, ":") || !take_digits(cursor, 2, false))
        return false;
    if (take(cursor, ":") && (!take_digits(cursor, 2, false) || (take(cursor, ".") && !take_fraction(cursor, strange))))
        return false;
    strange->utc = take(cursor, "Z") || take(cursor, "+00:00") || take(cursor, "+00");
    strange->zoned = strange->utc || take(cursor, "+") || take(cursor, "-");
    return strange->utc || !strange->zoned ||
           (take_digits(cursor, 2, false) && (!take(cursor, ":") || take_digits(cursor, 2, false)));
}

/* "infinity", "0044-03-15 12:00:00 BC", "10000-01-01", "0000-00-00 00:00:00". Other words and forms are not left
 * to the servers: they read "now" as a time, and "01/02/2024" as they are set. */
static bool is_strange(const struct incoming *in, struct strange *strange)
{
    struct cursor cursor = {in->text, in->text + in->len};
    *strange = (struct strange){0};
    if (take(&cursor, "infinity") || take(&cursor, "-infinity"))
        return cursor.at == cursor.end;
    if (!take_digits(&cursor, 4, true) || !take(&cursor, "-") || !take_digits(&cursor, 2, false) ||
        !take(&cursor, "-") || !take_digits(&cursor, 2, false))
        return false;
    if ((take(&cursor, "T") || (cursor.end - cursor.at >= 2 && cursor.at[1] != 'B' && take(&cursor, " "))) &&
        !take_clock(&cursor, strange))
        return false;
    take(&cursor, " BC");
    return cursor.at == cursor.end;
}

static int too_fine(unsigned digits, struct err *err)
{
    return err_set(err, ERR_VALUE, "has more than the %u digits of the fraction that the column keeps", digits);
}

static int not_midnight(struct err *err)
{
    return err_set(err, ERR_VALUE, "has a time of day, the column holds dates");
}

static int accept_strange(const struct accept *accept, const struct incoming *in, struct value *value,
                          struct err *err)
{
    const struct column *column = accept->column;
    bool dates = column->kind == KIND_DATE;
    struct strange strange;
    if (!accept_is_text(in) || !is_strange(in, &strange))
        return err_set(err, ERR_VALUE, dates ? "is no date" : "is no datetime");
    if (dates && strange.clock)
        return not_midnight(err);
    if (strange.digits > column->digits)
        return too_fine(column->digits, err);
    /* A server leaves the offset out of account where the column has none. */
    if (column->zoneless && strange.zoned && (!strange.utc || accept->zone))
        return err_set(err, ERR_VALUE, "is outside of the years 1 to 9999 and not in the system's timezone");
    value_set_text(value, KIND_TEXT, in->text, in->len);
    return 0;
}

/* datetimes */

static bool brings_time(const struct incoming *in)
{
    return in->kind == IN_TIME || accept_is_text(in);
}

static bool in_years(int64_t time)
{
    return time >= ISO_TIME_MIN && time <= ISO_TIME_MAX;
}

/* UTC to the wall clock whose times the column holds, so that the source reads the same time from there. */
static int to_wall(const struct zone *zone, const struct incoming *in, const struct iso_time *time, int64_t *wall,
                   struct err *err)
{
    *wall = time->time;
    /* The calendar's first and last hours: what the zone would push over its edge, the source sends as it stands. */
    if (accept_is_text(in) && !time->zoned && !in_years(zone_to_utc(zone, time->time)))
        return 0;
    *wall = zone_to_wall(zone, time->time);
    if (!in_years(*wall))
        return err_set(err, ERR_VALUE, "is outside of the years 1 to 9999 in the system's timezone");
    if (zone_to_utc(zone, *wall) != time->time)
        return err_set(err, ERR_VALUE, "cannot be told apart from the hour before in the system's timezone");
    return 0;
}

int accept_datetime(const struct accept *accept, const struct incoming *in, struct value *value, struct err *err)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    const struct column *column = accept->column;
    unsigned digits = column->digits < 6 ? column->digits : 6;
    struct iso_time time;
    if (!brings_time(in))
        return accept_mismatch(column, in, err);
    if (iso_parse(in->text, in->len, &time))
        return accept_strange(accept, in, value, err);
    if (time.rest || time.time % units[digits] != 0)
        return too_fine(digits, err);
    int64_t wall = time.time;
    if (column->zoneless && accept->zone && to_wall(accept->zone, in, &time, &wall, err))
        return -1;
    value_set_integer(value, KIND_DATETIME, wall);
    return 0;
}

int accept_date(const struct column *column, const struct incoming *in, struct value *value, struct err *err)
{
    const struct accept plain = {.column = column};
    struct iso_time time;
    if (!brings_time(in))
        return accept_mismatch(column, in, err);
    if (iso_parse(in->text, in->len, &time))
        return accept_strange(&plain, in, value, err);
    if (time.rest || time.time % ISO_DAY != 0)
        return not_midnight(err);
    value_set_integer(value, KIND_DATE, time.time / ISO_DAY);
    return 0;
}

/* "." and the digits of the fraction, as they were sent: an offset does not touch them. */
static const char *fraction_of(const struct incoming *in, size_t *len)
{
    const char *end = in->text + in->len, *point = memchr(in->text, '.', in->len), *last = point;
    *len = 0;
    if (!point)
        return NULL;
    for (last++; last < end && *last >= '0' && *last <= '9'; last++)
        continue;
    *len = (size_t)(last - point);
    return point;
}

int accept_time_text(const struct incoming *in, struct arena *arena, struct value *value, struct err *err)
{
    struct iso_time time;
    if (iso_parse(in->text, in->len, &time))
        return err_set(err, ERR_VALUE, "is no datetime");
    if (time.is_date) {
        value_set_text(value, KIND_TEXT, in->text, in->len);
        return 0;
    }
    size_t digits;
    const char *fraction = fraction_of(in, &digits);
    char *text = arena_alloc(arena, ISO_SIZE + digits);
    if (!text)
        return err_memory(err);
    int64_t seconds = iso_floor(time.time, ISO_SECOND) * ISO_SECOND;
    size_t len = iso_datetime(text, seconds, 0, "");
    text[10] = ' ';
    if (digits)
        memcpy(text + len, fraction, digits);
    value_set_text(value, KIND_TEXT, text, len + digits);
    return 0;
}
