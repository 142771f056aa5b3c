/* The configuration as somebody may see it. */
#ifndef CONFIG_SHOWN_H
#define CONFIG_SHOWN_H

#include <jansson.h>

#include "config/config.h"
#include "config/schema.h"

/* The document with its defaults filled in, keys that make no difference left out, and "***" for what is secret. What
 * came from elsewhere stays as it was written, "${NAME}", since only who wrote it knows what that holds. What was
 * settled while reading is config's. A new object, which lacks something when there is no memory. */
json_t *shown_make(const struct section *root, json_t *document, const struct config *config);

#endif
