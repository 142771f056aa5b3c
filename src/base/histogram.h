/* How long things took: how many lasted up to each of a few bounds, and all of them together. Who counts keeps others
 * out meanwhile. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 10 };

/* In seconds, ascending: from what a small answer takes to what a full read of a large table does. */
extern const double histogram_bounds[HISTOGRAM_BOUNDS];

/* Starts zeroed. */
struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* of what lasted up to this bound, but more than the one before; the last: more */
    double sum;                            /* seconds */
};

void histogram_add(struct histogram *histogram, double seconds);

#endif
