/* What check finds of a sink. */
#ifndef OPS_CHECK_SINK_H
#define OPS_CHECK_SINK_H

#include <stdio.h>

#include "push/sink.h"

/* Writes the report of one sink to out and returns the number of problems. Changes nothing in the database. */
unsigned check_sink(struct sink *sink, FILE *out);

/* May the role write the sink's table? Only false when that is certain. */
bool check_writing(struct sink *sink);

#endif
