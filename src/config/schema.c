#include "config/schema.h"

#include <string.h>

#include "base/nearest.h"

static const struct choice levels[] = {
    {"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warning", LOG_WARNING}, {"error", LOG_ERROR}, {NULL, 0}};
static const struct choice formats[] = {{"text", LOG_TEXT}, {"json", LOG_JSON}, {NULL, 0}};

static const struct key log_keys[] = {
    {.name = "level",
     .type = KEY_CHOICE,
     .choices = levels,
     .at = offsetof(struct config, log_level),
     .def = "\"info\"",
     .help = "the least that is logged"},
    {.name = "format",
     .type = KEY_CHOICE,
     .choices = formats,
     .at = offsetof(struct config, log_format),
     .def = "\"text\"",
     .help = "lines for people, or one JSON object a line"},
    {.name = NULL},
};
static const struct section section_log = {
    .title = "log", .help = "The log goes to standard error.", .keys = log_keys};

/* In this order they are read: a source names a system, a sink names a source. */
static const struct key root_keys[] = {
    {.name = "listen",
     .type = KEY_OBJECT,
     .section = &section_listen,
     .at = offsetof(struct config, listen),
     .def = "{}",
     .help = "where and how the service is reached"},
    {.name = "log",
     .type = KEY_OBJECT,
     .section = &section_log,
     .at = 0,
     .def = "{}",
     .help = "what is logged"},
    {.name = "systems",
     .type = KEY_MAP,
     .section = &section_system,
     .at = offsetof(struct config, systems),
     .count_at = offsetof(struct config, system_count),
     .def = "{}",
     .help = "the databases, by name"},
    {.name = "sources",
     .type = KEY_MAP,
     .section = &section_source,
     .at = offsetof(struct config, sources),
     .count_at = offsetof(struct config, source_count),
     .def = "{}",
     .help = "what is read, by the name in `GET /sources/NAME`"},
    {.name = "sinks",
     .type = KEY_MAP,
     .section = &section_sink,
     .at = offsetof(struct config, sinks),
     .count_at = offsetof(struct config, sink_count),
     .def = "{}",
     .help = "what is written, by the name in `POST /sinks/NAME`"},
    {.name = NULL},
};
const struct section section_root = {
    .title = "", .help = "The document is one JSON object.", .keys = root_keys};

const struct key *schema_find(const struct section *section, const char *name)
{
    for (const struct key *key = section->keys; key->name; key++) {
        if (strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}

const struct key *schema_nearest(const struct section *section, const char *name)
{
    const struct key *nearest = NULL;
    size_t least = SIZE_MAX;
    for (const struct key *key = section->keys; key->name; key++) {
        size_t distance = nearest_distance(name, key->name);
        if (key->type == KEY_IGNORED || key->type == KEY_REFUSED || distance >= least)
            continue;
        least = distance;
        nearest = key;
    }
    return nearest && nearest_worth(name, least) ? nearest : NULL;
}

const char *schema_type(const struct key *key)
{
    static const char *const words[] = {
        [KEY_TEXT] = "string",
        [KEY_SECRET] = "string",
        [KEY_LINES] = "string or list of lines",
        [KEY_LIST] = "list of strings",
        [KEY_NAMES] = "string or list of strings",
        [KEY_UNSIGNED] = "integer",
        [KEY_SIZE] = "integer",
        [KEY_NUMBER] = "number",
        [KEY_BOOL] = "boolean",
        [KEY_CHOICE] = "string",
        [KEY_SWITCH] = "string",
        [KEY_VALUE] = "string, number, boolean or null",
        [KEY_VALUES] = "scalar or list of scalars",
        [KEY_PAIRS] = "object of strings",
        [KEY_OBJECT] = "object",
        [KEY_OBJECTS] = "list of objects",
        [KEY_MAP] = "object of objects",
        [KEY_OTHER] = "see right",
        [KEY_IGNORED] = "any",
        [KEY_REFUSED] = "boolean",
    };
    return key->kind ? key->kind : words[key->type];
}
