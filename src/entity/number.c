#include "entity/number.h"

#include <string.h>

/* Far beyond what any database takes, and far from where adding lengths of texts would overflow. */
#define EXPONENT_MOST INT64_C(1000000000000000)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* Reads "e+12" up to the end. */
static int read_exponent(struct number *number, const char *at, const char *end)
{
    if (at == end || (*at != 'e' && *at != 'E'))
        return -1;
    number->fixed = false;
    at++;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || skip_digits(at, end) != end)
        return -1;
    for (; at < end; at++)
        if (number->exponent < EXPONENT_MOST / 10)
            number->exponent = number->exponent * 10 + (*at - '0');
        else
            number->exponent = EXPONENT_MOST;
    if (negative)
        number->exponent = -number->exponent;
    return 0;
}

/* Finds the significant ones of the digits from begin to end. */
static void find_digits(struct number *number, const char *begin, const char *end)
{
    const char *first = begin, *last = end, *dot = number->dot;
    while (first < end && (*first == '0' || first == dot))
        first++;
    number->first = first;
    if (first == end)
        return;
    while (last[-1] == '0' || last - 1 == dot)
        last--;
    bool across = dot && first < dot && last > dot;
    number->count = (size_t)(last - first) - across;
    const char *point = dot ? dot : end;
    number->point = (first < point ? point - first : point + 1 - first) + number->exponent;
}

int number_parse(struct number *number, const char *text, size_t len)
{
    const char *at = text, *end = text + len;
    *number = (struct number){.fixed = true, .json = true};
    if (at < end && (*at == '-' || *at == '+')) {
        number->negative = *at == '-';
        number->json = number->negative;
        at++;
    }
    const char *begin = at;
    at = skip_digits(at, end);
    if (at == begin)
        return -1;
    if (*begin == '0' && at - begin > 1)
        number->json = false;
    if (at < end && *at == '.') {
        number->dot = at++;
        at = skip_digits(at, end);
        number->fraction = (size_t)(at - number->dot - 1);
        if (!number->fraction)
            return -1;
    }
    const char *digits_end = at;
    if (at < end && read_exponent(number, at, end))
        return -1;
    find_digits(number, begin, digits_end);
    return 0;
}

char number_digit(const struct number *number, int64_t i)
{
    if (i < 0 || (uint64_t)i >= number->count)
        return '0';
    const char *at = number->first + i;
    return number->dot && number->first < number->dot && at >= number->dot ? at[1] : *at;
}

bool number_equal(const struct number *a, const struct number *b)
{
    if (a->negative != b->negative || a->count != b->count)
        return false;
    if (a->count && a->point != b->point)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (number_digit(a, (int64_t)i) != number_digit(b, (int64_t)i))
            return false;
    return true;
}

size_t number_write(const struct number *number, size_t fraction, char *text)
{
    char *at = text;
    int64_t whole = number_whole(number), point = number->count ? number->point : 0;
    if (number->negative && number->count)
        *at++ = '-';
    for (int64_t i = 0; i < whole; i++)
        *at++ = number_digit(number, i);
    if (!whole)
        *at++ = '0';
    if (fraction)
        *at++ = '.';
    for (size_t i = 0; i < fraction; i++)
        *at++ = number_digit(number, point + (int64_t)i);
    return (size_t)(at - text);
}
