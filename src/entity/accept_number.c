#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/shortest.h"
#include "entity/accept_kind.h"
#include "entity/number.h"

/* PostgreSQL's bounds of a numeric; no other database has wider ones. */
enum { MOST_WHOLE = 131072, MOST_FRACTION = 16383 };

static bool brings_number(const struct incoming *in)
{
    return in->kind == IN_NUMBER || in->kind == IN_DECIMAL || accept_is_text(in);
}

static int parse(const struct column *column, const struct incoming *in, struct number *number, struct err *err)
{
    if (!brings_number(in))
        return accept_mismatch(column, in, err);
    if (number_parse(number, in->text, in->len))
        return err_set(err, ERR_VALUE, "is no number");
    return 0;
}

/* integers */

/* Most integers: a sign and up to 18 digits. False where it takes more than this. */
static bool quick_integer(const char *text, size_t len, int64_t *number)
{
    bool negative = len && text[0] == '-';
    int64_t sum = 0;
    if (len <= negative || len > 18)
        return false;
    for (size_t i = negative; i < len; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9)
            return false;
        sum = sum * 10 + digit;
    }
    *number = negative ? -sum : sum;
    return true;
}

static unsigned bits_of(const struct column *column)
{
    return column->bits && column->bits < 64 ? column->bits : 64;
}

static int too_many_digits(const struct column *column, int64_t digits, struct err *err)
{
    return err_set(err, ERR_VALUE, "has %lld digits, the column holds integers of %u bits", (long long)digits,
                   bits_of(column));
}

/* The number without its sign. */
static int parse_size(const struct column *column, const struct number *number, uint64_t *size, struct err *err)
{
    *size = 0;
    if (number->count && number->point < (int64_t)number->count)
        return err_set(err, ERR_VALUE, "has a fraction, the column holds integers");
    int64_t digits = number_whole(number);
    if (digits > 20)
        return too_many_digits(column, digits, err);
    for (int64_t i = 0; i < digits; i++)
        if (__builtin_mul_overflow(*size, 10, size) ||
            __builtin_add_overflow(*size, (uint64_t)(number_digit(number, i) - '0'), size))
            return too_many_digits(column, digits, err);
    return 0;
}

static int set_integer(const struct column *column, bool negative, uint64_t size, struct value *value,
                       struct err *err)
{
    unsigned bits = bits_of(column);
    bool natural = column->kind == KIND_UINT;
    if (natural && negative && size)
        return err_set(err, ERR_VALUE, "is negative, the column holds natural numbers");
    uint64_t most = natural ? UINT64_MAX >> (64 - bits) : (UINT64_C(1) << (bits - 1)) - 1 + negative;
    if (size > most)
        return err_set(err, ERR_VALUE, "is outside of the range of integers of %u bits, which the column holds", bits);
    value->kind = natural ? KIND_UINT : KIND_INT;
    value->natural = negative ? 0 - size : size;
    return 0;
}

int accept_integer(const struct column *column, const struct incoming *in, struct value *value, struct err *err)
{
    int64_t integer;
    uint64_t size;
    struct number number;
    if (in->kind == IN_BOOL)
        return set_integer(column, false, in->boolean, value, err);
    if (brings_number(in) && quick_integer(in->text, in->len, &integer))
        return set_integer(column, integer < 0, integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer, value, err);
    if (parse(column, in, &number, err) || parse_size(column, &number, &size, err))
        return -1;
    return set_integer(column, number.negative, size, value, err);
}

/* Numbers that are none. */
static bool is_special(const struct incoming *in)
{
    return accept_is_word(in, "NaN") || accept_is_word(in, "Infinity") || accept_is_word(in, "-Infinity");
}

/* decimals */

/* Digits behind the point that the number has as it was written: 1.50e1 is 15.0. */
static int64_t written_fraction(const struct number *number)
{
    int64_t fraction = (int64_t)number->fraction - number->exponent;
    return fraction > 0 ? fraction : 0;
}

/* The digits it takes to write all of it. */
static int64_t needed_fraction(const struct number *number)
{
    int64_t fraction = number->count ? (int64_t)number->count - number->point : 0;
    return fraction > 0 ? fraction : 0;
}

/* Does it fit, and how many digits behind the point does the column show then? */
static int fit_decimal(const struct column *column, const struct number *number, size_t *fraction, struct err *err)
{
    bool any = column->precision == 0;
    int64_t most_whole = any ? MOST_WHOLE : column->precision > column->scale ? column->precision - column->scale : 0;
    int64_t most_fraction = any ? MOST_FRACTION : column->scale;
    int64_t has = any ? written_fraction(number) : needed_fraction(number);
    if (number_whole(number) > most_whole)
        return err_set(err, ERR_VALUE, "has %lld digits before the point, the column holds %lld",
                       (long long)number_whole(number), (long long)most_whole);
    if (has > most_fraction)
        return err_set(err, ERR_VALUE, "has %lld digits behind the point, the column holds %lld", (long long)has,
                       (long long)most_fraction);
    *fraction = (size_t)(any ? has : most_fraction);
    return 0;
}

int accept_decimal(const struct column *column, const struct incoming *in, struct arena *arena, struct value *value,
                   struct err *err)
{
    struct number number;
    size_t fraction = 0;
    if (is_special(in)) {
        value_set_text(value, KIND_DECIMAL, in->text, in->len);
        return 0;
    }
    if (parse(column, in, &number, err) || fit_decimal(column, &number, &fraction, err))
        return -1;
    bool minus_zero = number.negative && !number.count;
    if (number.json && number.fixed && number.fraction == fraction && !minus_zero) {
        value_set_text(value, KIND_DECIMAL, in->text, in->len);
        return 0;
    }
    char *text = arena_alloc(arena, number_room(&number, fraction));
    if (!text)
        return err_memory(err);
    value_set_text(value, KIND_DECIMAL, text, number_write(&number, fraction, text));
    return 0;
}

/* floating point numbers */

/* sure: so many digits always survive the way decimal, binary, decimal, where 10^(point - 1) and 10^point are
 * normal numbers. enough: no shortest digits are more. */
struct format {
    size_t sure, enough;
    int64_t least, most;
    const char *name;
};

static const struct format of_double = {DBL_DIG, DBL_DECIMAL_DIG, DBL_MIN_10_EXP + 1, DBL_MAX_10_EXP, "double"};
static const struct format of_single = {FLT_DIG, FLT_DECIMAL_DIG, FLT_MIN_10_EXP + 1, FLT_MAX_10_EXP, "single"};

/* "-d.ddde-12", with a NUL. For numbers of few digits whose point is within some hundred million. */
static size_t write_compact(const struct number *number, char text[SHORTEST_SIZE])
{
    struct number digits = *number;
    digits.point = 1;
    size_t len = number_write(&digits, digits.count - 1, text);
    int64_t exponent = number->point - 1;
    if (exponent) {
        char reversed[12];
        int count = 0;
        text[len++] = 'e';
        text[len++] = exponent < 0 ? '-' : '+';
        for (int64_t left = exponent < 0 ? -exponent : exponent; left; left /= 10)
            reversed[count++] = (char)('0' + left % 10);
        while (count)
            text[len++] = reversed[--count];
    }
    text[len] = '\0';
    return len;
}

static int too_many(const struct format *format, struct err *err)
{
    return err_set(err, ERR_VALUE, "has more digits than a %s keeps", format->name);
}

/* Is the number that is kept the one that was sent? */
static int check_kept(const struct format *format, const struct number *number, struct err *err)
{
    char text[SHORTEST_SIZE];
    struct number kept;
    if (number->point > format->most + 1)
        return err_set(err, ERR_VALUE, "is too large for a %s", format->name);
    if (number->point < -400)
        return err_set(err, ERR_VALUE, "is too small for a %s", format->name);
    write_compact(number, text);
    bool single = format == &of_single;
    double read = single ? (double)strtof(text, NULL) : strtod(text, NULL);
    if (isinf(read))
        return err_set(err, ERR_VALUE, "is too large for a %s", format->name);
    if (read == 0)
        return err_set(err, ERR_VALUE, "is too small for a %s", format->name);
    size_t len = single ? shortest_float((float)read, text) : shortest_double(read, text);
    return number_parse(&kept, text, len) || !number_equal(&kept, number) ? too_many(format, err) : 0;
}

static int set_float(const struct incoming *in, const struct number *number, struct arena *arena,
                     struct value *value, struct err *err)
{
    if (number->json && in->len < SHORTEST_SIZE) {
        value_set_text(value, KIND_FLOAT, in->text, in->len);
        return 0;
    }
    char *text = arena_alloc(arena, SHORTEST_SIZE);
    if (!text)
        return err_memory(err);
    value_set_text(value, KIND_FLOAT, text, write_compact(number, text));
    return 0;
}

int accept_float(const struct column *column, const struct incoming *in, struct arena *arena, struct value *value,
                 struct err *err)
{
    const struct format *format = column->single ? &of_single : &of_double;
    struct number number;
    if (is_special(in)) {
        value_set_text(value, KIND_FLOAT, in->text, in->len);
        return 0;
    }
    if (parse(column, in, &number, err))
        return -1;
    if (!number.count) {
        value_set_text(value, KIND_FLOAT, number.negative ? "-0" : "0", number.negative ? 2 : 1);
        return 0;
    }
    if (number.count > format->enough)
        return too_many(format, err);
    bool sure = number.count <= format->sure && number.point >= format->least && number.point <= format->most;
    if (!sure && check_kept(format, &number, err))
        return -1;
    return set_float(in, &number, arena, value, err);
}
