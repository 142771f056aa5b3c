/* What whoever describes the service looks at. All of it is borrowed. */
#ifndef OPS_OBSERVED_H
#define OPS_OBSERVED_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "db/db.h"
#include "ops/traffic.h"
#include "pull/source.h"
#include "push/gate.h"
#include "push/sink.h"

struct observed {
    const struct config *config;
    const struct db *dbs; /* these three in the configuration's order */
    struct source *const *sources;
    struct sink *const *sinks;
    struct gate *gate;
    struct traffic *traffic;
    int64_t started;  /* microseconds since 1970 */
    unsigned at_work; /* pulls and pushes */
    bool draining;
};

#endif
