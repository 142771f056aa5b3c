/* What the service has done and is doing, as JSON for people and programs that look after it. */
#ifndef OPS_STATUS_H
#define OPS_STATUS_H

#include "base/buf.h"
#include "ops/observed.h"

/* Appends one object; docs/monitoring.md has its members. Asks no database and waits for nobody. */
void status_write(const struct observed *observed, struct buf *out);

#endif
