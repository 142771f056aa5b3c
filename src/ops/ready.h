/* Whether the systems answer, as JSON. */
#ifndef OPS_READY_H
#define OPS_READY_H

#include <stdbool.h>

#include "base/buf.h"
#include "config/config.h"
#include "db/db.h"

/* Appends {"crm":{"ready":true},"shop":{"ready":false,"detail":"..."}}, of one system if only is not
 * NULL, and the details only if asked for, since they name hosts and roles.
 * Each is asked on a connection of its own, so that streams and pools are not waited for, for two seconds at
 * most; by one at a time, whose answer others share. Returns the number that answered; *asked is how many
 * there were. Blocks. */
size_t ready_write(const struct config *config, struct db *dbs, const char *only, bool details, struct buf *out,
                   size_t *asked);

#endif
