#include "base/shortest.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digits.h"

/* One of the two precisions: how many digits always survive the way decimal, binary, decimal, how many
 * the way binary, decimal, binary needs, and what reading gives. */
struct format {
    int sure, enough;
    double smallest; /* below it numbers have fewer bits, so fewer digits may do */
    double (*read)(const char *text);
};

static double read_double(const char *text)
{
    return strtod(text, NULL);
}

static double read_float(const char *text)
{
    return (double)strtof(text, NULL);
}

static const struct format double_format = {DBL_DIG, DBL_DECIMAL_DIG, DBL_MIN, read_double};
static const struct format float_format = {FLT_DIG, FLT_DECIMAL_DIG, (double)FLT_MIN, read_float};

/* Numbers that people write (prices, coordinates) are an integer over a small power of ten. Both are
 * exact here, so their quotient is rounded as a reader of the decimal digits would round it. */
static size_t few_decimals(double value, char *text)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double size = fabs(value);
    if ((size < 1e-4 && size != 0.0) || size >= 1e8)
        return 0;
    for (int decimals = 0; decimals <= 6; decimals++) {
        int64_t whole = (int64_t)(size * powers[decimals] + 0.5);
        if ((double)whole / powers[decimals] != size)
            continue;
        int64_t power = (int64_t)powers[decimals];
        const char *sign = signbit(value) ? "-" : "";
        int len = decimals ? snprintf(text, SHORTEST_SIZE, "%s%lld.%0*lld", sign, (long long)(whole / power),
                                      decimals, (long long)(whole % power))
                           : snprintf(text, SHORTEST_SIZE, "%s%lld", sign, (long long)whole);
        return (size_t)len;
    }
    return 0;
}

/* The digits correctly rounded. Room for what the compiler thinks "%g" may write. */
static size_t rounded(char *text, const char *form, int digits, double value)
{
    char room[352];
    int len = snprintf(room, sizeof room, form, digits, value);
    if (len < 0 || len >= SHORTEST_SIZE)
        len = 0;
    memcpy(text, room, (size_t)len);
    text[len] = '\0';
    return (size_t)len;
}

/* Adds 1 to the last digit unless that changes more digits: such a number is shorter, and was tried. */
static bool nudge(char *text)
{
    char *end = strchr(text, 'e');
    char *last = (end ? end : text + strlen(text)) - 1;
    if (*last < '0' || *last >= '9')
        return false;
    ++*last;
    return true;
}

/* Where the number is a power of two the gap below is half the gap above, and the digits that read back
 * may be the neighbours of the nearest ones (2^-44 is 5.684341886080802e-14). */
static bool reads_back(const struct format *format, double value, int digits, char *text)
{
    rounded(text, "%.*g", digits, value);
    if (format->read(text) == value)
        return true;
    rounded(text, "%#.*g", digits, value); /* the last digit may be a zero */
    return nudge(text) && format->read(text) == value;
}

static size_t shortest(const struct format *format, double value, char *text)
{
    if (isnan(value))
        return (size_t)snprintf(text, SHORTEST_SIZE, "NaN");
    if (isinf(value))
        return (size_t)snprintf(text, SHORTEST_SIZE, value < 0 ? "-Infinity" : "Infinity");
    int digits = fabs(value) < format->smallest ? 1 : format->sure;
    while (digits < format->enough && !reads_back(format, value, digits, text))
        digits++;
    return digits < format->enough ? strlen(text) : rounded(text, "%.*g", digits, value);
}

/* Writes all digits of a number, without a NUL, and returns how many. */
static int put_digits(char *text, uint64_t digits)
{
    char reversed[20];
    int count = 0;
    for (; digits; digits /= 10)
        reversed[count++] = (char)('0' + digits % 10);
    for (int i = 0; i < count; i++)
        text[i] = reversed[count - 1 - i];
    return count;
}

/* d.ddde+XX, or with the point among the digits or zeros: as "%g" chooses. first is the power of ten that
 * the first digit stands for. */
static size_t write_digits(char *text, const char *digits, int count, int first)
{
    char *at = text;
    bool fixed = first >= -4 && first < (count > DBL_DIG ? count : DBL_DIG);
    if (fixed && first < 0) {
        memcpy(at, "0.0000", 6);
        at += 1 - first;
        memcpy(at, digits, (size_t)count);
        at += count;
    } else {
        int before = fixed ? first + 1 : 1;
        for (int i = 0; i < count || i < before; i++) {
            if (i == before)
                *at++ = '.';
            *at++ = i < count ? digits[i] : '0';
        }
    }
    if (!fixed)
        at += snprintf(at, 8, "e%+03d", first);
    *at = '\0';
    return (size_t)(at - text);
}

static size_t quick(double value, char *text)
{
    uint64_t number;
    int exponent;
    bool negative = signbit(value);
    if (!digits_find(fabs(value), &number, &exponent))
        return 0;
    char digits[20];
    int count = put_digits(digits, number);
    if (negative)
        *text++ = '-';
    return write_digits(text, digits, count, count - 1 + exponent) + negative;
}

size_t shortest_double(double value, char text[SHORTEST_SIZE])
{
    size_t len = few_decimals(value, text);
    if (!len)
        len = quick(value, text);
    return len ? len : shortest(&double_format, value, text);
}

size_t shortest_float(float value, char text[SHORTEST_SIZE])
{
    return shortest(&float_format, (double)value, text);
}
