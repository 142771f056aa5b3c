/* What the service counts, in the text format that Prometheus reads. */
#ifndef OPS_METRICS_H
#define OPS_METRICS_H

#include "base/buf.h"
#include "config/config.h"
#include "pull/source.h"

/* Appends all metrics. Asks no database and waits for nobody. */
void metrics_write(const struct config *config, struct source *const *sources, struct buf *out);

#endif
