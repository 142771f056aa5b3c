/* The sinks' keys are checked by name, type and sense; only the system is kept. */
#include <string.h>

#include "config/link.h"
#include "config/reader.h"

static const struct choice conflicts[] = {{"reject", 0}, {"skip", 1}, {"overwrite", 2}, {NULL, 0}};
static const struct choice missings[] = {{"keep", 0}, {"null", 1}, {NULL, 0}};
static const struct choice unknowns[] = {{"ignore", 0}, {"reject", 1}, {NULL, 0}};
static const struct choice maintainers[] = {{"service", 0}, {"database", 1}, {NULL, 0}};
static const struct choice deletions[] = {{"delete", 0}, {"ignore", 1}, {NULL, 0}};
static const struct choice column_types[] = {{"string", 0}, {"integer", 1},  {"decimal", 2}, {"float", 3},
                                             {"binary", 4}, {"datetime", 5}, {"date", 6},    {"time", 7},
                                             {"uuid", 8},   {"boolean", 9},  {NULL, 0}};

static const char *string_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int check_hash_lock(struct reader *reader, const struct path *path, json_t *object)
{
    static const char *const others[] = {"property", "maintained_by", "coarse"};
    int result = 0;
    if (!reader_has(object, "source"))
        result = reader_mistake_at(reader, path, "source",
                                   "is missing; it is the source whose hash the property holds");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (reader_has(object, others[i]))
            result = reader_mistake_at(reader, path, others[i], "does not go with a hash");
    }
    return result;
}

static int check_lock(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    bool xmin = strcmp(string_at(object, "column"), "xmin") == 0;
    (void)target;
    if (reader_has(object, "column") == reader_has(object, "hash"))
        return reader_mistake(reader, path, "must have either a column or a hash");
    if (reader_has(object, "hash"))
        return check_hash_lock(reader, path, object);
    if (reader_has(object, "source"))
        return reader_mistake_at(reader, path, "source", "goes with a hash");
    if (xmin && !reader_has(object, "property"))
        return reader_mistake_at(reader, path, "property",
                                 "is missing; it is the property that holds the xmin");
    return 0;
}

static int read_hash_source(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    const struct config_source *source = NULL;
    (void)place;
    if (link_source(reader, path, value, &source))
        return -1;
    if (!source->hash_property)
        return reader_mistake(reader, path, "this source has no hash_property");
    return 0;
}

static const struct key lock_keys[] = {
    {.name = "column",
     .type = KEY_TEXT,
     .at = NOWHERE,
     .help = "an integer or timestamp column, or PostgreSQL's `xmin`; this or `hash`"},
    {.name = "property",
     .type = KEY_TEXT,
     .at = NOWHERE,
     .shown = "the column's",
     .help = "the property that holds the version; required with `xmin`"},
    {.name = "maintained_by",
     .type = KEY_CHOICE,
     .choices = maintainers,
     .at = NOWHERE,
     .shown = "`service`",
     .help = "`database`: the column is only compared"},
    {.name = "coarse",
     .type = KEY_BOOL,
     .at = NOWHERE,
     .def = "false",
     .help = "whether a timestamp coarser than a millisecond will do"},
    {.name = "hash", .type = KEY_TEXT, .at = NOWHERE, .help = "the property that holds the hash of the row"},
    {.name = "source",
     .type = KEY_OTHER,
     .read = read_hash_source,
     .at = NOWHERE,
     .kind = "string",
     .help = "the source that gave the hash"},
    {.name = NULL},
};
static const struct section section_lock = {
    .title = "sinks.NAME.optimistic_lock",
    .help = "What is written only where the row still has the version that the entity has.",
    .keys = lock_keys,
    .check = check_lock};

static const struct key deletes_keys[] = {
    {.name = "column",
     .type = KEY_TEXT,
     .required = true,
     .at = NOWHERE,
     .help = "the column that tells a deletion"},
    {.name = "value",
     .type = KEY_VALUE,
     .required = true,
     .at = NOWHERE,
     .help = "what a deletion sets; `\"now\"` is the time"},
    {.name = "live",
     .type = KEY_VALUE,
     .at = NOWHERE,
     .shown = "NULL or false",
     .help = "what an entity that returns sets"},
    {.name = NULL},
};
static const struct section section_deletes = {
    .title = "sinks.NAME.deletes", .help = "Or `\"delete\"`, or `\"ignore\"`.", .keys = deletes_keys};

static int read_deletes(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    (void)place;
    if (json_is_object(value))
        return reader_section(reader, &section_deletes, path, value, NULL);
    if (!json_is_string(value))
        return reader_expected(reader, path, "a string or an object", value);
    const char *text = reader_text(reader, path, value);
    if (!text)
        return -1;
    for (const struct choice *choice = deletions; choice->word; choice++) {
        if (strcmp(choice->word, text) == 0)
            return 0;
    }
    return reader_mistake(reader, path, "must be delete, ignore or an object with a column");
}

static const struct key scope_keys[] = {
    {.name = "column",
     .type = KEY_TEXT,
     .required = true,
     .at = NOWHERE,
     .help = "the column that divides the table"},
    {.name = "value",
     .type = KEY_VALUE,
     .required = true,
     .at = NOWHERE,
     .help = "its value in this sink's part"},
    {.name = NULL},
};
static const struct section section_scope = {
    .title = "sinks.NAME.scope", .help = "It is all that a full sync may delete.", .keys = scope_keys};

static const struct key guard_keys[] = {
    {.name = "rows", .type = KEY_SIZE, .at = NOWHERE, .def = "100", .help = "so many may always be deleted"},
    {.name = "fraction",
     .type = KEY_NUMBER,
     .max = 1,
     .at = NOWHERE,
     .def = "0.5",
     .help = "such a part of the table may always be deleted"},
    {.name = NULL},
};
static const struct section section_guard = {
    .title = "sinks.NAME.delete_guard", .help = "Or `false`: there is none.", .keys = guard_keys};

static int read_guard(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    (void)place;
    if (json_is_object(value))
        return reader_section(reader, &section_guard, path, value, NULL);
    return json_is_false(value) ? 0 : reader_expected(reader, path, "an object or false", value);
}

static int check_column(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    int result = 0;
    (void)target;
    if (reader_has(object, "max_size") && reader_has(object, "max_value"))
        result =
            reader_mistake_at(reader, path, "max_value", "means the same as max_size; one of them must go");
    if (reader_has(object, "min_size") && reader_has(object, "min_value"))
        result =
            reader_mistake_at(reader, path, "min_value", "means the same as min_size; one of them must go");
    if (!reader_has(object, "name") && !reader_has(object, "source_property"))
        result = reader_mistake_at(reader, path, "name", "is missing");
    return result;
}

static const struct key column_keys[] = {
    {.name = "source_property",
     .type = KEY_TEXT,
     .at = NOWHERE,
     .shown = "the column's name",
     .help = "the entity's property"},
    {.name = "name", .type = KEY_TEXT, .at = NOWHERE, .shown = "the property's name", .help = "the column"},
    {.name = "type",
     .type = KEY_CHOICE,
     .required = true,
     .choices = column_types,
     .at = NOWHERE,
     .help = "the column's type"},
    {.name = "max_size",
     .type = KEY_NUMBER,
     .min = -1e30,
     .max = 1e30,
     .at = NOWHERE,
     .help = "the longest value, or the greatest"},
    {.name = "max_value", .type = KEY_NUMBER, .min = -1e30, .max = 1e30, .at = NOWHERE, .help = "the same"},
    {.name = "min_size",
     .type = KEY_NUMBER,
     .min = -1e30,
     .max = 1e30,
     .at = NOWHERE,
     .help = "the shortest value, or the least"},
    {.name = "min_value", .type = KEY_NUMBER, .min = -1e30, .max = 1e30, .at = NOWHERE, .help = "the same"},
    {.name = "precision", .type = KEY_UNSIGNED, .min = 1, .at = NOWHERE, .help = "digits of a decimal"},
    {.name = "scale", .type = KEY_UNSIGNED, .at = NOWHERE, .help = "its digits behind the point"},
    {.name = "allow_null",
     .type = KEY_BOOL,
     .at = NOWHERE,
     .def = "true",
     .help = "whether NULL is possible"},
    {.name = "primary_key",
     .type = KEY_BOOL,
     .at = NOWHERE,
     .def = "false",
     .help = "whether it is part of the key"},
    {.name = "index", .type = KEY_BOOL, .at = NOWHERE, .def = "false", .help = "whether it has an index"},
    {.name = "default", .type = KEY_VALUE, .at = NOWHERE, .help = "the column's default"},
    {.name = NULL},
};
static const struct section section_column = {
    .title = "sinks.NAME.schema_definition[]", .keys = column_keys, .check = check_column};

static int check_pairs(struct reader *reader, const struct path *path, json_t *object)
{
    struct path properties = {.up = path, .name = "properties"};
    struct config_list taken = {0};
    const char *name;
    json_t *value;
    int result = 0;
    json_object_foreach(json_object_get(object, "properties"), name, value)
    {
        struct path pair = {.up = &properties, .name = name};
        const char *column = json_string_value(value);
        if (column && reader_list_has(&taken, column))
            result = reader_mistake(reader, &pair, "another property is renamed to the same column");
        else if (column && reader_append(reader, &taken, column))
            return -1;
    }
    return result;
}

static int check_sink(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    const struct config_sink *sink = target;
    struct path lock = {.up = path, .name = "optimistic_lock"};
    const json_t *written = json_object_get(object, "optimistic_lock");
    int result = reader_check_name(reader, path, path->name);
    bool other =
        sink->system && reader_told((int)sink->system->type) && sink->system->type != DATABASE_POSTGRESQL;
    if (other && strcmp(string_at(written, "column"), "xmin") == 0)
        result = reader_mistake_at(reader, &lock, "column", "only PostgreSQL has an xmin; a hash would do");
    if (check_pairs(reader, path, object))
        result = -1;
    return result;
}

static const struct key sink_keys[] = {
    {.name = "system",
     .type = KEY_OTHER,
     .required = true,
     .read = link_system,
     .at = offsetof(struct config_sink, system),
     .kind = "string",
     .help = "the system's name"},
    {.name = "table", .type = KEY_TEXT, .required = true, .at = NOWHERE, .help = "the table"},
    {.name = "schema",
     .type = KEY_TEXT,
     .at = NOWHERE,
     .shown = "the connection's own",
     .help = "its schema"},
    {.name = "primary_key",
     .type = KEY_NAMES,
     .at = NOWHERE,
     .shown = "from the catalogue",
     .help = "the columns of the key"},
    {.name = "optimistic_lock",
     .type = KEY_OBJECT,
     .section = &section_lock,
     .at = NOWHERE,
     .shown = "none",
     .help = "write only where nobody else wrote meanwhile"},
    {.name = "on_conflict",
     .type = KEY_CHOICE,
     .choices = conflicts,
     .at = NOWHERE,
     .def = "\"reject\"",
     .help = "`reject`: nothing of the request is applied; `skip`: the others are; `overwrite`: the last "
             "writer wins"},
    {.name = "missing_properties",
     .type = KEY_CHOICE,
     .choices = missings,
     .at = NOWHERE,
     .shown = "`null` with a `whitelist` or `schema_definition`, else `keep`",
     .help = "columns that the entity does not mention"},
    {.name = "unknown_properties",
     .type = KEY_CHOICE,
     .choices = unknowns,
     .at = NOWHERE,
     .def = "\"ignore\"",
     .help = "properties that the table has no column for"},
    {.name = "properties",
     .type = KEY_PAIRS,
     .at = NOWHERE,
     .shown = "none",
     .help = "`{\"property\": \"column\"}` renames"},
    {.name = "strip_namespaces",
     .type = KEY_BOOL,
     .at = NOWHERE,
     .def = "false",
     .help = "take `ns:` off names, `_id` and `~:ns:` values"},
    {.name = "deletes",
     .type = KEY_OTHER,
     .read = read_deletes,
     .section = &section_deletes,
     .at = NOWHERE,
     .kind = "string or object",
     .def = "\"delete\"",
     .help = "what a deletion does"},
    {.name = "scope",
     .type = KEY_OBJECT,
     .section = &section_scope,
     .at = NOWHERE,
     .shown = "none",
     .help = "the part of the table that is this sink's"},
    {.name = "full_sync_deletes",
     .type = KEY_BOOL,
     .at = NOWHERE,
     .shown = "true; false with `optimistic_lock` and no `scope`",
     .help = "whether the end of a full sync deletes what did not come"},
    {.name = "delete_guard",
     .type = KEY_OTHER,
     .read = read_guard,
     .section = &section_guard,
     .at = NOWHERE,
     .kind = "object or false",
     .def = "{}",
     .help = "when the end of a full sync is refused"},
    {.name = "whitelist",
     .type = KEY_LIST,
     .at = NOWHERE,
     .shown = "all columns",
     .help = "the columns that are written"},
    {.name = "blacklist",
     .type = KEY_LIST,
     .at = NOWHERE,
     .shown = "none",
     .help = "columns that are not written; it wins over `whitelist`"},
    {.name = "timestamp",
     .type = KEY_TEXT,
     .at = NOWHERE,
     .shown = "none",
     .help = "a column that gets the time of writing"},
    {.name = "skip_identity_columns",
     .type = KEY_BOOL,
     .at = NOWHERE,
     .def = "false",
     .help = "whether identity columns are left to the database"},
    {.name = "remove_pk_char_trailing_spaces",
     .type = KEY_BOOL,
     .at = NOWHERE,
     .def = "false",
     .help = "take the padding off CHAR keys"},
    {.name = "schema_definition",
     .type = KEY_OBJECTS,
     .section = &section_column,
     .at = NOWHERE,
     .shown = "none",
     .help = "the columns"},
    {.name = "create_table_if_missing",
     .type = KEY_BOOL,
     .at = NOWHERE,
     .def = "false",
     .help = "make the table from `schema_definition`"},
    {.name = "type", .type = KEY_IGNORED, .help = "the system tells it"},
    {.name = "batch_size", .type = KEY_IGNORED, .help = "a request is one transaction"},
    {.name = "use_bulk_operations", .type = KEY_IGNORED, .help = "they always are"},
    {.name = "truncate_table_on_first_run",
     .type = KEY_REFUSED,
     .help = "does not exist here: a full sync deletes what did not come, without a moment in which the "
             "table is empty"},
    {.name = "recreate_table_on_first_run",
     .type = KEY_REFUSED,
     .help = "does not exist here: a full sync deletes what did not come, without a moment in which the "
             "table is empty"},
    {.name = NULL},
};
const struct section section_sink = {
    .title = "sinks.NAME", .keys = sink_keys, .size = sizeof(struct config_sink), .check = check_sink};
