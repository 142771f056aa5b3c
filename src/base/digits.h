/* The shortest decimal digits of most doubles, in about a hundred nanoseconds. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stdbool.h>
#include <stdint.h>

/* value is positive. True when it could be told with certainty that digits * 10^exponent is the shortest
 * decimal number that reads back as value, and of those the nearest; digits has no zeros at its end. False
 * asks for a slower way: subnormal numbers, powers of two, and where two answers are too close. */
bool digits_find(double value, uint64_t *digits, int *exponent);

#endif
