/* The queries of a source and the parameters declared for them. */
#ifndef CONFIG_QUERY_H
#define CONFIG_QUERY_H

#include "config/reader.h"

/* Reports placeholders that are not declared, and declared parameters that are not used. object is what the
 * source was read from. */
int query_check(struct reader *reader, const struct path *path, json_t *object,
                const struct config_source *source);

#endif
