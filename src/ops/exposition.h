/* Prometheus' text format 0.0.4, piece by piece. Names and labels are the caller's to choose well; see
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#ifndef OPS_EXPOSITION_H
#define OPS_EXPOSITION_H

#include <stdint.h>

#include "base/buf.h"
#include "base/histogram.h"

enum { EXPOSITION_LABELS = 3 };

/* A sample's labels; those whose name is NULL are not there. */
struct labels {
    const char *names[EXPOSITION_LABELS], *values[EXPOSITION_LABELS];
};

/* A family's head; its samples follow. type is "counter", "gauge" or "histogram". */
void exposition_family(struct buf *out, const char *name, const char *type, const char *help);

void exposition_count(struct buf *out, const char *name, const struct labels *labels, uint64_t count);
void exposition_number(struct buf *out, const char *name, const struct labels *labels, double number);

/* All samples of one histogram, in seconds. labels have room for one more. */
void exposition_histogram(struct buf *out, const char *name, const struct labels *labels,
                          const struct histogram *histogram);

#endif
