#include "config/link.h"

#include <string.h>

#include "base/nearest.h"

/* The name that was not found is a value, and not quoted; the one that was meant is a key. */
static int unknown(struct reader *reader, const struct path *path, const char *what, const char *name,
                   const struct config_list *known)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < known->count; i++) {
        size_t distance = nearest_distance(name, known->items[i]);
        if (distance < least) {
            least = distance;
            nearest = known->items[i];
        }
    }
    if (nearest && nearest_worth(name, least))
        return reader_mistake(reader, path, "there is no such %s, did you mean '%s'?", what, nearest);
    return reader_mistake(reader, path, "there is no such %s", what);
}

int link_system(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    const char *name = reader_filled(reader, path, value);
    struct config_list known = {0};
    if (!name)
        return -1;
    const struct config_system *system = config_system(reader->config, name);
    if (system && place)
        *(const struct config_system **)place = system;
    if (system)
        return 0;
    for (size_t i = 0; i < reader->config->system_count; i++) {
        if (reader_append(reader, &known, reader->config->systems[i].name))
            return -1;
    }
    return unknown(reader, path, "system", name, &known);
}

int link_source(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    const char *name = reader_filled(reader, path, value);
    struct config_list known = {0};
    if (!name)
        return -1;
    const struct config_source *source = config_source(reader->config, name);
    if (source && place)
        *(const struct config_source **)place = source;
    if (source)
        return 0;
    for (size_t i = 0; i < reader->config->source_count; i++) {
        if (reader_append(reader, &known, reader->config->sources[i].name))
            return -1;
    }
    return unknown(reader, path, "source", name, &known);
}
