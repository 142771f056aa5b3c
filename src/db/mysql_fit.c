/* The last step of a value into a column: what only the server's types know. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shortest.h"

enum { YEAR_FIRST = 1901, YEAR_LAST = 2155, LABELS_MAX = 64 };

/* labels */

/* Walks over the labels of "enum('a','it''s')". *at starts at the type and moves on; the label stands between
 * *from and *to, its quotes still doubled. */
static bool next_label(const char **at, const char **from, const char **to)
{
    const char *open = strchr(*at, '\'');
    if (!open)
        return false;
    const char *end = open + 1;
    while (*end && !(end[0] == '\'' && end[1] != '\''))
        end += end[0] == '\'' ? 2 : 1;
    *from = open + 1;
    *to = end;
    *at = *end ? end + 1 : end;
    return true;
}

static bool same_letter(char a, char b)
{
    bool upper_a = a >= 'A' && a <= 'Z', upper_b = b >= 'A' && b <= 'Z';
    return (upper_a ? a + 32 : a) == (upper_b ? b + 32 : b);
}

static bool is_label(const char *from, const char *to, const char *text, size_t len, bool any_case)
{
    size_t i = 0;
    for (; from < to && i < len; from++, i++) {
        if (any_case ? !same_letter(*from, text[i]) : *from != text[i])
            return false;
        from += *from == '\''; /* it is doubled */
    }
    return from == to && i == len;
}

/* The label that the text means, as it was declared: its number from 1, or 0. One that is written just so is
 * preferred; blanks at the end are none of a label. */
static unsigned find_label(const struct column *column, const char *text, size_t len, const char **from,
                           const char **to)
{
    while (len && text[len - 1] == ' ')
        len--;
    for (int any_case = 0; any_case < 2; any_case++) {
        const char *at = column->type;
        for (unsigned number = 1; next_label(&at, from, to); number++)
            if (is_label(*from, *to, text, len, any_case))
                return number;
    }
    return 0;
}

unsigned mydb_enum_number(const struct column *column, const char *text, size_t len)
{
    const char *from, *to;
    return find_label(column, text, len, &from, &to);
}

static int set_label(struct value *value, const char *from, const char *to, struct arena *arena,
                     struct err *err)
{
    char *label = arena_alloc(arena, (size_t)(to - from) + 1);
    size_t len = 0;
    if (!label)
        return err_memory(err);
    for (; from < to; from += 1 + (*from == '\''))
        label[len++] = *from;
    *value = value_text(KIND_TEXT, label, len);
    return 0;
}

static int fit_enum(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    const char *from, *to;
    if (!find_label(column, value->text.bytes, value->text.len, &from, &to))
        return err_set(err, ERR_VALUE, "is not one of %s", column->type);
    return set_label(value, from, to, arena, err);
}

/* The members in the order of the declaration, each once. */
static int fit_set(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    uint64_t members = 0;
    const char *from, *to, *at = column->type;
    for (size_t i = 0; i < value->list.count; i++) {
        const struct value *item = &value->list.items[i];
        unsigned number =
            item->kind == KIND_TEXT ? find_label(column, item->text.bytes, item->text.len, &from, &to) : 0;
        if (!number || number > LABELS_MAX)
            return err_set(err, ERR_VALUE, "has a member that is not one of %s", column->type);
        members |= UINT64_C(1) << (number - 1);
    }
    struct value *items = arena_array(arena, LABELS_MAX, sizeof *items);
    size_t count = 0;
    if (!items)
        return err_memory(err);
    for (unsigned i = 0; i < LABELS_MAX && next_label(&at, &from, &to); i++)
        if (members >> i & 1 && set_label(&items[count++], from, to, arena, err))
            return -1;
    value->list.items = items;
    value->list.count = count;
    return 0;
}

/* numbers */

static int fit_integer(const struct column *column, const struct value *value, struct err *err)
{
    if (value->kind != KIND_INT)
        return 0;
    if (column->modifier & MYDB_UNSIGNED && column->number != MYSQL_TYPE_YEAR && value->integer < 0)
        return err_set(err, ERR_VALUE, "is negative, the column is unsigned");
    if (column->number == MYSQL_TYPE_YEAR && value->integer &&
        (value->integer < YEAR_FIRST || value->integer > YEAR_LAST))
        return err_set(err, ERR_VALUE, "is no year of the column: 0, or %d to %d", YEAR_FIRST, YEAR_LAST);
    return 0;
}

static int fit_bits(const struct column *column, const struct value *value, struct err *err)
{
    if (column->number != MYSQL_TYPE_BIT || value->kind != KIND_UINT || !column->bits || column->bits > 63)
        return 0;
    return value->natural >> column->bits
               ? err_set(err, ERR_VALUE, "has more than the column's %u bits", column->bits)
               : 0;
}

static bool is_finite(const struct value *value)
{
    return value->text.len && strchr("-+.0123456789", value->text.bytes[0]) &&
           !memchr(value->text.bytes, 'I', value->text.len);
}

/* -0 is not. */
static bool is_negative(const struct value *value)
{
    if (!value->text.len || value->text.bytes[0] != '-')
        return false;
    for (size_t i = 1; i < value->text.len && (value->text.bytes[i] | 0x20) != 'e'; i++)
        if (value->text.bytes[i] >= '1' && value->text.bytes[i] <= '9')
            return true;
    return false;
}

/* With ZEROFILL the server hands out all the digits there could be. */
static int fill_zeros(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    size_t width = column->precision + (column->scale ? 1 : 0), len = value->text.len;
    if (!(column->modifier & MYDB_ZEROFILL) || len >= width)
        return 0;
    char *text = arena_alloc(arena, width + 1);
    if (!text)
        return err_memory(err);
    memset(text, '0', width - len);
    memcpy(text + width - len, value->text.bytes, len);
    *value = value_text(KIND_DECIMAL, text, width);
    return 0;
}

static int check_number(const struct column *column, const struct value *value, struct err *err)
{
    if (!is_finite(value))
        return err_set(err, ERR_VALUE, "is no number, the column holds nothing else");
    if (column->modifier & MYDB_UNSIGNED && is_negative(value))
        return err_set(err, ERR_VALUE, "is negative, the column is unsigned");
    return 0;
}

static int fit_decimal(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    return check_number(column, value, err) || fill_zeros(column, value, arena, err) ? -1 : 0;
}

static double power_of_ten(unsigned exponent)
{
    double power = 1;
    while (exponent--)
        power *= 10;
    return power;
}

/* What FLOAT(m,d) and DOUBLE(m,d) make of a number when it is stored: the part behind the point is rounded to
 * d digits as a double, which is not always the nearest to these digits. */
static double round_as_stored(double given, double scale)
{
    static const double no_fraction = 4503599627370496.0; /* 2^52: from there on all are whole */
    if (given > no_fraction || given < -no_fraction)
        return given;
    double whole = (double)(int64_t)given;
    whole -= whole > given ? 1 : 0;
    volatile double sum = (given - whole) * scale + no_fraction; /* half goes to even */
    return scale < no_fraction ? whole + (sum - no_fraction) / scale : given;
}

static double distance(double a, double b)
{
    return a > b ? a - b : b - a;
}

/* What comes back must be what we think is there; a number that would become another is refused. */
static int fit_digits(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    unsigned width, digits;
    char text[SHORTEST_SIZE], copy[64];
    if (sscanf(column->type, "%*[a-z](%u,%u)", &width, &digits) != 2 || digits > 30 || width < digits)
        return 0;
    size_t len = value->text.len < sizeof copy ? value->text.len : sizeof copy - 1;
    memcpy(copy, value->text.bytes, len);
    copy[len] = '\0';
    double given = column->single ? (double)strtof(copy, NULL) : strtod(copy, NULL);
    double stored = round_as_stored(given, power_of_ten(digits));
    double most = power_of_ten(width - digits) - 1 / power_of_ten(digits);
    if (distance(stored, 0) > most ||
        distance(stored, given) > distance(given, 0) * (column->single ? 1e-6 : 1e-14))
        return err_set(err, ERR_VALUE, "has more digits than %s keeps", column->type);
    len = column->single ? shortest_float((float)stored, text) : shortest_double(stored, text);
    const char *kept = arena_copy(arena, text, len);
    if (!kept)
        return err_memory(err);
    *value = value_text(KIND_FLOAT, kept, len);
    return 0;
}

/* There is no -0 in a table. */
static int fit_float(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    if (check_number(column, value, err))
        return -1;
    if (value->text.bytes[0] == '-' && !is_negative(value))
        *value = value_text(KIND_FLOAT, "0", 1);
    return fit_digits(column, value, arena, err);
}

/* times */

static int fit_time(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    static const char limits[] = "is no time of the column: hh:mm:ss, from -838:59:59 to 838:59:59";
    MYSQL_TIME time;
    char text[MYDB_TIME_SIZE];
    const char *bytes = value->text.bytes, *point = memchr(bytes, '.', value->text.len);
    size_t len = value->text.len, digits;
    if (point) {
        while (len && bytes[len - 1] == '0')
            len--;
        digits = (size_t)(bytes + len - point) - 1;
        if (digits > column->digits)
            return err_set(err, ERR_VALUE, "has more than the column's %u digits of a second",
                           column->digits);
        len -= digits ? 0 : 1;
    }
    if (!mydb_parse_time(bytes, len, &time) ||
        (time.day * 24 + time.hour == 838 && time.minute == 59 && time.second == 59 && time.second_part))
        return err_set(err, ERR_VALUE, "%s", limits);
    if (!time.day && !time.hour && !time.minute && !time.second && !time.second_part)
        time.neg = 0;
    len = mydb_time_text(&time, column->digits, text);
    const char *copy = arena_copy(arena, text, len);
    if (!copy)
        return err_memory(err);
    *value = value_text(KIND_TEXT, copy, len);
    return 0;
}

/* The seconds that a TIMESTAMP counts from 1970 on begin with 1; 0 is the zero date. Where they end is the
 * server's. */
static int fit_timestamp(const struct column *column, const struct value *value, struct err *err)
{
    if (column->number != MYSQL_TYPE_TIMESTAMP || value->kind != KIND_DATETIME || value->integer >= 1000000)
        return 0;
    return err_set(err, ERR_VALUE, "is before 1970-01-01T00:00:01Z, where the column's times begin");
}

/* Dates of no calendar, as the server writes them: with the column's digits. */
static int fit_zero_date(const struct column *column, struct value *value, struct arena *arena,
                         struct err *err)
{
    MYSQL_TIME time;
    struct value again;
    char text[MYDB_TIME_SIZE];
    if (!mydb_to_time(value, &time))
        return err_set(err, ERR_VALUE, "is no %s", column->kind == KIND_DATE ? "date" : "datetime");
    mydb_from_time(&time, column->kind, column->digits, text, &again);
    if (again.kind == KIND_TEXT && !(again.text.bytes = arena_copy(arena, text, again.text.len)))
        return err_memory(err);
    *value = again;
    return 0;
}

/* bytes and texts */

static int pad(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    if (column->number != MYSQL_TYPE_STRING || value->text.len >= column->max_bytes)
        return 0;
    char *bytes = arena_alloc(arena, column->max_bytes); /* zeroed */
    if (!bytes)
        return err_memory(err);
    memcpy(bytes, value->text.bytes, value->text.len);
    *value = value_text(KIND_BYTES, bytes, column->max_bytes);
    return 0;
}

/* A CHAR comes back without the blanks at its end, however many were sent. */
static int fit_text(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    if (column->kind == KIND_DATE || column->kind == KIND_DATETIME)
        return fit_zero_date(column, value, arena, err);
    if (column->number == MYSQL_TYPE_TIME)
        return fit_time(column, value, arena, err);
    if (column->modifier & MYDB_ENUM)
        return fit_enum(column, value, arena, err);
    if (column->number == MYSQL_TYPE_STRING && column->max_chars)
        while (value->text.len && value->text.bytes[value->text.len - 1] == ' ')
            value->text.len--;
    return 0;
}

int mydb_fit(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    switch (value->kind) {
    case KIND_INT:
        return fit_integer(column, value, err);
    case KIND_UINT:
        return fit_bits(column, value, err);
    case KIND_DECIMAL:
        return fit_decimal(column, value, arena, err);
    case KIND_FLOAT:
        return fit_float(column, value, arena, err);
    case KIND_DATETIME:
        return fit_timestamp(column, value, err);
    case KIND_TEXT:
        return fit_text(column, value, arena, err);
    case KIND_BYTES:
        return pad(column, value, arena, err);
    case KIND_LIST:
        return fit_set(column, value, arena, err);
    default:
        return 0;
    }
}
