/* A decimal number as a text has it, taken apart but not converted: its digits stay where they are, however many.
 * The form is JSON's; a "+" and zeros in front are allowed, too. */
#ifndef ENTITY_NUMBER_H
#define ENTITY_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number is 0.ddd * 10^point, ddd its significant digits. Borrows the text. */
struct number {
    const char *first; /* significant digit */
    const char *dot;   /* among or behind the digits from first on; NULL: there is none */
    size_t count;      /* of significant digits: without zeros at either end; 0: the number is 0 */
    int64_t point;
    size_t fraction;   /* digits that were written behind the point */
    int64_t exponent;  /* as written, within some 10^15; 0 where there is none */
    bool negative;     /* of 0, too */
    bool fixed;        /* no exponent was written */
    bool json;         /* JSON has such numbers: no "+" and no zeros in front */
};

/* Returns 0, or -1 when the text is no number. */
int number_parse(struct number *number, const char *text, size_t len);

/* The i-th digit from the first significant one on; '0' before and behind them. */
char number_digit(const struct number *number, int64_t i);

/* The digits before the point: 0 for 0.5. */
static inline int64_t number_whole(const struct number *number)
{
    return number->count && number->point > 0 ? number->point : 0;
}

/* Are they the same number? 0 is not -0. */
bool number_equal(const struct number *a, const struct number *b);

/* Room for number_write. Bound the number first. */
static inline size_t number_room(const struct number *number, size_t fraction)
{
    return (size_t)number_whole(number) + fraction + 3;
}

/* Writes the number with so many digits behind the point (what does not fit is cut), 0 without a sign, and
 * returns the length. No NUL. */
size_t number_write(const struct number *number, size_t fraction, char *text);

#endif
