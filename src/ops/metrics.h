/* What the service counts, in the text format that Prometheus reads. docs/monitoring.md lists it. */
#ifndef OPS_METRICS_H
#define OPS_METRICS_H

#include "base/buf.h"
#include "ops/observed.h"

/* Appends all metrics. Asks no database and waits for nobody. */
void metrics_write(const struct observed *observed, struct buf *out);

#endif
