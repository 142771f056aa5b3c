#include "config/shown.h"

#include <stdbool.h>

static json_t *show_section(const struct section *section, const json_t *object);

static json_t *mask(const json_t *value)
{
    json_t *list, *stars = json_string("***");
    if (!json_is_array(value))
        return stars;
    list = json_array();
    for (size_t i = 0; i < json_array_size(value); i++)
        json_array_append(list, stars);
    json_decref(stars);
    return list;
}

static json_t *show_objects(const struct section *section, const json_t *list)
{
    json_t *shown = json_array();
    for (size_t i = 0; i < json_array_size(list); i++)
        json_array_append_new(shown, show_section(section, json_array_get(list, i)));
    return shown;
}

static json_t *show_map(const struct section *section, json_t *map)
{
    json_t *shown = json_object(), *member;
    const char *name;
    json_object_foreach(map, name, member) json_object_set_new(shown, name, show_section(section, member));
    return shown;
}

/* Some keys take an object or something short for it. */
static json_t *show_value(const struct key *key, json_t *value)
{
    if (key->secret)
        return mask(value);
    if (key->type == KEY_MAP)
        return show_map(key->section, value);
    if (key->type == KEY_OBJECTS)
        return show_objects(key->section, value);
    return key->section && json_is_object(value) ? show_section(key->section, value) : json_incref(value);
}

static json_t *show_section(const struct section *section, const json_t *object)
{
    json_t *shown = json_object();
    for (const struct key *key = section->keys; key->name; key++) {
        json_t *value = json_object_get(object, key->name);
        if (key->type == KEY_IGNORED || key->type == KEY_REFUSED || (!value && !key->def))
            continue;
        value = value ? json_incref(value) : json_loads(key->def, JSON_DECODE_ANY, NULL);
        json_object_set_new(shown, key->name, value ? show_value(key, value) : NULL);
        json_decref(value);
    }
    return shown;
}

/* What other keys or the environment decide. */
static void show_settled(json_t *shown, const struct config *config)
{
    json_t *listen = json_object_get(shown, "listen"), *sinks = json_object_get(shown, "sinks");
    json_object_set_new(listen, "address", json_string(config->listen.address));
    json_object_set_new(listen, "port", json_integer(config->listen.port));
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_sink *sink = &config->sinks[i];
        json_t *object = json_object_get(sinks, sink->name);
        json_object_set_new(object, "missing_properties", json_string(sink->missing_null ? "null" : "keep"));
        json_object_set_new(object, "full_sync_deletes", json_boolean(sink->full_sync_deletes));
    }
}

json_t *shown_make(const struct section *root, json_t *document, const struct config *config)
{
    json_t *shown = show_section(root, document);
    show_settled(shown, config);
    return shown;
}
