/* The shortest decimal digits that read back as the same binary floating point number. The forms are
 * JSON's, digits[.digits][e+dd]; what JSON cannot say is "NaN", "Infinity" and "-Infinity". The program
 * never sets a locale, so the decimal point is a point. */
#ifndef BASE_SHORTEST_H
#define BASE_SHORTEST_H

#include <stddef.h>

enum { SHORTEST_SIZE = 32 };

/* Writes a string and returns its length. Of several shortest the one nearest to the number is taken. */
size_t shortest_double(double value, char text[SHORTEST_SIZE]);

/* The same for single precision: 0.1f is "0.1" and not "0.10000000149011612". */
size_t shortest_float(float value, char text[SHORTEST_SIZE]);

#endif
