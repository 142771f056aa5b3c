/* A value as SQLite would store it in a column, and give it back: by the column's affinity
 * (https://www.sqlite.org/datatype3.html). Numbers are compared by their decimal digits, so that none is lost
 * on the way to a floating point number. */
#include "db/sqlite.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "base/shortest.h"

/* numbers */

/* digits * 10^exponent; digits begin and end with another digit than 0, and zero has none. */
struct number {
    bool negative;
    char *digits;
    size_t count;
    int64_t exponent;
};

/* Beyond every double, and adding a text's length to it overflows nothing. */
enum { EXPONENT_MAX = 1000000000 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || (*at >= '\t' && *at <= '\r')))
        at++;
    return at;
}

static const char *take_sign(const char *at, const char *end, bool *negative)
{
    *negative = at < end && *at == '-';
    return at < end && (*at == '-' || *at == '+') ? at + 1 : at;
}

/* NULL unless there is a digit. */
static const char *take_exponent(const char *at, const char *end, int64_t *exponent)
{
    bool negative;
    int64_t number = 0;
    at = take_sign(at, end, &negative);
    if (at == end || !is_digit(*at))
        return NULL;
    for (; at < end && is_digit(*at); at++)
        if (number < EXPONENT_MAX)
            number = number * 10 + (*at - '0');
    *exponent += negative ? -number : number;
    return at;
}

static void strip_zeros(struct number *number)
{
    while (number->count && number->digits[number->count - 1] == '0') {
        number->count--;
        number->exponent++;
    }
    size_t zeros = 0;
    while (zeros < number->count && number->digits[zeros] == '0')
        zeros++;
    number->digits += zeros;
    number->count -= zeros;
    number->digits[number->count] = '\0';
}

/* What SQLite takes for a number in a text: blanks around it, a sign, digits with a point anywhere, an
 * exponent. 1 if it is one, 0 if not, -1 when there is no memory. */
static int read_number(const char *text, size_t len, struct arena *arena, struct number *number)
{
    const char *end = text + len, *at = skip_blanks(text, end);
    *number = (struct number){.digits = arena_alloc(arena, len + 1)};
    if (!number->digits)
        return -1;
    at = take_sign(at, end, &number->negative);
    for (bool point = false; at < end && (is_digit(*at) || (*at == '.' && !point)); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        number->digits[number->count++] = *at;
        number->exponent -= point;
    }
    if (number->count == 0)
        return 0;
    if (at < end && (*at == 'e' || *at == 'E'))
        at = take_exponent(at + 1, end, &number->exponent);
    if (!at || skip_blanks(at, end) != end)
        return 0;
    strip_zeros(number);
    return 1;
}

static bool same_number(const struct number *a, const struct number *b)
{
    if (a->count == 0 || b->count == 0)
        return a->count == b->count;
    return a->negative == b->negative && a->exponent == b->exponent && a->count == b->count &&
           memcmp(a->digits, b->digits, a->count) == 0;
}

/* An integer of 64 bits? */
static bool as_integer(const struct number *number, int64_t *integer)
{
    uint64_t bound = number->negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX, sum = 0;
    if (number->count == 0) {
        *integer = 0;
        return true;
    }
    if (number->exponent < 0 || number->exponent > 18 || number->count + (size_t)number->exponent > 19)
        return false;
    for (size_t i = 0; i < number->count + (size_t)number->exponent; i++) {
        unsigned digit = i < number->count ? (unsigned)(number->digits[i] - '0') : 0;
        if (sum > (bound - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *integer = number->negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

static int lost_digits(struct err *err)
{
    return err_set(err, ERR_VALUE,
                   "has more digits than the column keeps (SQLite has integers of 64 bits and floating "
                   "point numbers; a column of type TEXT keeps all digits)");
}

/* The double that is this number, by its shortest digits; another number is refused. A column of REAL
 * affinity keeps whole numbers as integers on the disk, and so no sign of a zero. */
static int to_float(const struct column *column, const struct number *number, struct value *value,
                    struct arena *arena, struct err *err)
{
    char *digits = arena_alloc(arena, SHORTEST_SIZE);
    bool minus = number->negative && (number->count || column->number != AFFINITY_REAL);
    const char *text = arena_printf(arena, "%s%se%" PRId64, minus ? "-" : "",
                                    number->count ? number->digits : "0", number->exponent);
    struct number kept;
    if (!digits || !text)
        return err_memory(err);
    double real = strtod(text, NULL);
    if (!isfinite(real))
        return lost_digits(err);
    size_t len = shortest_double(real, digits);
    if (read_number(digits, len, arena, &kept) < 0)
        return err_memory(err);
    if (!same_number(number, &kept))
        return lost_digits(err);
    *value = value_text(KIND_FLOAT, digits, len);
    return 0;
}

/* storage classes */

static int set_text(struct value *value, const char *text, size_t len, struct arena *arena, struct err *err)
{
    const char *copy = arena_copy(arena, text, len);
    if (!copy)
        return err_memory(err);
    *value = value_text(KIND_TEXT, copy, len);
    return 0;
}

static int time_text(struct value *value, struct arena *arena, struct err *err)
{
    char text[ISO_SIZE];
    size_t len = iso_datetime(text, value->integer, 6, "");
    text[strlen("2024-01-31")] = ' ';
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    return set_text(value, text, len, arena, err);
}

/* Leaves an integer, a float, a decimal, a text, bytes or NULL. */
static int settle(struct value *value, struct arena *arena, struct err *err)
{
    char text[ISO_SIZE];
    switch (value->kind) {
    case KIND_BOOL:
        *value = value_integer(KIND_INT, value->boolean);
        return 0;
    case KIND_UINT: {
        const char *digits = arena_printf(arena, "%" PRIu64, value->natural);
        if (value->natural <= INT64_MAX)
            *value = value_integer(KIND_INT, (int64_t)value->natural);
        else if (digits)
            *value = value_text(KIND_DECIMAL, digits, strlen(digits));
        return digits ? 0 : err_memory(err);
    }
    case KIND_DATETIME:
        return time_text(value, arena, err);
    case KIND_DATE:
        return set_text(value, text, iso_date(text, value->integer), arena, err);
    case KIND_UUID:
        return set_text(value, text, iso_uuid(text, value->text.bytes), arena, err);
    case KIND_JSON:
        value->kind = KIND_TEXT;
        return 0;
    case KIND_LIST:
        return err_set(err, ERR_VALUE, "is a list, for which SQLite has no type");
    default:
        return 0;
    }
}

/* affinities */

/* "NaN", "Infinity", "-Infinity" */
static bool is_infinite(const struct value *value)
{
    return value->text.len > 0 && value->text.bytes[value->text.len - 1] == 'y';
}

static int to_number(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    struct number number;
    int64_t integer;
    int is_number = read_number(value->text.bytes, value->text.len, arena, &number);
    if (is_number < 0)
        return err_memory(err);
    if (!is_number && value->kind == KIND_TEXT)
        return 0;
    if (!is_number && is_infinite(value)) {
        value->kind = KIND_FLOAT;
        return 0;
    }
    if (!is_number)
        return err_set(err, ERR_VALUE, "is not a number, which SQLite would store as NULL");
    bool whole = column->number == AFFINITY_NUMERIC || column->number == AFFINITY_INTEGER;
    if (whole && as_integer(&number, &integer)) {
        *value = value_integer(KIND_INT, integer);
        return 0;
    }
    return to_float(column, &number, value, arena, err);
}

static int integer_to_float(const struct column *column, struct value *value, struct arena *arena,
                            struct err *err)
{
    struct number number;
    const char *digits = arena_printf(arena, "%" PRId64, value->integer);
    if (!digits || read_number(digits, strlen(digits), arena, &number) < 0)
        return err_memory(err);
    return to_float(column, &number, value, arena, err);
}

static int to_text(struct value *value, struct arena *arena, struct err *err)
{
    if (value->kind != KIND_INT) {
        value->kind = KIND_TEXT; /* the digits as they came */
        return 0;
    }
    const char *digits = arena_printf(arena, "%" PRId64, value->integer);
    if (!digits)
        return err_memory(err);
    *value = value_text(KIND_TEXT, digits, strlen(digits));
    return 0;
}

/* A column without affinity keeps each value as it is; decimals are texts, for there is no such number. */
static int keep(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    if (value->kind == KIND_DECIMAL)
        value->kind = KIND_TEXT;
    return value->kind == KIND_FLOAT ? to_number(column, value, arena, err) : 0;
}

static int apply(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    if (value->kind == KIND_BYTES || value->kind == KIND_NULL)
        return 0;
    switch (column->number) {
    case AFFINITY_TEXT:
        return to_text(value, arena, err);
    case AFFINITY_NONE:
        return keep(column, value, arena, err);
    case AFFINITY_REAL:
        return value->kind == KIND_INT ? integer_to_float(column, value, arena, err)
                                       : to_number(column, value, arena, err);
    default:
        return value->kind == KIND_INT ? 0 : to_number(column, value, arena, err);
    }
}

/* declared types that SQLite enforces */

static enum kind enforced(const struct column *column)
{
    if (column->modifier & TRAIT_ROWID)
        return KIND_INT;
    if (!(column->modifier & TRAIT_STRICT))
        return KIND_NULL;
    switch (column->number) {
    case AFFINITY_INTEGER:
        return KIND_INT;
    case AFFINITY_REAL:
        return KIND_FLOAT;
    case AFFINITY_TEXT:
        return KIND_TEXT;
    default:
        return sqlite3_stricmp(column->type, "ANY") == 0 ? KIND_NULL : KIND_BYTES;
    }
}

static const char *class_name(enum kind kind)
{
    return kind == KIND_INT     ? "an integer"
           : kind == KIND_FLOAT ? "a floating point number"
           : kind == KIND_TEXT  ? "a text"
                                : "bytes";
}

int sqlite_fit(const struct column *column, struct value *value, struct arena *arena, struct err *err)
{
    bool great = value->kind == KIND_UINT && value->natural > INT64_MAX;
    if (settle(value, arena, err))
        return -1;
    if (great && column->number == AFFINITY_NONE) /* as text it would be another kind of value */
        return lost_digits(err);
    if (apply(column, value, arena, err))
        return -1;
    enum kind wanted = enforced(column);
    if (wanted == KIND_NULL || value->kind == KIND_NULL || value->kind == wanted)
        return 0;
    return err_set(err, ERR_VALUE, "is %s, the column holds %s only", class_name(value->kind),
                   wanted == KIND_INT     ? "integers"
                   : wanted == KIND_FLOAT ? "floating point numbers"
                   : wanted == KIND_TEXT  ? "texts"
                                          : "bytes");
}
