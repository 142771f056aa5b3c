/* Strings of the configuration that name another part of it. */
#ifndef CONFIG_LINK_H
#define CONFIG_LINK_H

#include "config/reader.h"

/* KEY_OTHER: place is a const struct config_system *, or NULL. */
int link_system(struct reader *reader, const struct path *path, json_t *value, void *place);

/* KEY_OTHER: place is a const struct config_source *, or NULL. */
int link_source(struct reader *reader, const struct path *path, json_t *value, void *place);

#endif
