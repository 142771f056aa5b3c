#include <string.h>

#include "config/link.h"
#include "config/reader.h"

#define AT(member) offsetof(struct config_sink, member)

static const struct choice conflicts[] = {
    {"reject", CONFLICT_REJECT}, {"skip", CONFLICT_SKIP}, {"overwrite", CONFLICT_OVERWRITE}, {NULL, 0}};
static const struct choice missings[] = {{"keep", false}, {"null", true}, {NULL, 0}};
static const struct choice unknowns[] = {{"ignore", false}, {"reject", true}, {NULL, 0}};
static const struct choice deletions[] = {{"delete", DELETES_DELETE}, {"ignore", DELETES_IGNORE}, {NULL, 0}};

static bool is_same(const struct config_value *a, const struct config_value *b)
{
    if (a->type != b->type)
        return false;
    return a->type == CONFIG_BOOL ? a->boolean == b->boolean : !a->text || strcmp(a->text, b->text) == 0;
}

/* A deletion that sets what a living row has anyway could not be told from it. */
static int check_deletes(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    struct config_sink *sink = target;
    struct config_mark *mark = &sink->mark;
    const struct config_value *value = &mark->value;
    bool lively = value->type == CONFIG_NULL || (value->type == CONFIG_BOOL && !value->boolean);
    (void)object;
    sink->deletes = DELETES_MARK;
    mark->now = value->type == CONFIG_STRING && strcmp(value->text, "now") == 0;
    if (lively && mark->live.type == CONFIG_ABSENT)
        return reader_mistake_at(reader, path, "live", "is missing; the value is what a living row would get");
    if (mark->live.type != CONFIG_ABSENT && is_same(value, &mark->live))
        return reader_mistake_at(reader, path, "live", "is the same as the value");
    return 0;
}

static const struct key deletes_keys[] = {
    {.name = "column",
     .type = KEY_TEXT,
     .required = true,
     .at = AT(mark) + offsetof(struct config_mark, column),
     .help = "the column that tells a deletion"},
    {.name = "value",
     .type = KEY_VALUE,
     .required = true,
     .at = AT(mark) + offsetof(struct config_mark, value),
     .help = "what a deletion sets; `\"now\"` is the time"},
    {.name = "live",
     .type = KEY_VALUE,
     .at = AT(mark) + offsetof(struct config_mark, live),
     .shown = "NULL; false for a boolean column",
     .help = "what an entity that returns sets"},
    {.name = NULL},
};
static const struct section section_deletes = {
    .title = "sinks.NAME.deletes",
    .help = "Or `\"delete\"`, or `\"ignore\"`. A row that is deleted already is left alone.",
    .keys = deletes_keys,
    .check = check_deletes};

static int read_deletes(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    struct config_sink *sink = place;
    if (json_is_object(value))
        return reader_section(reader, &section_deletes, path, value, sink);
    if (!json_is_string(value))
        return reader_expected(reader, path, "a string or an object", value);
    const char *text = reader_text(reader, path, value);
    if (!text)
        return -1;
    for (const struct choice *choice = deletions; choice->word; choice++) {
        if (strcmp(choice->word, text) != 0)
            continue;
        sink->deletes = (enum config_deletes)choice->value;
        return 0;
    }
    return reader_mistake(reader, path, "must be delete, ignore or an object with a column");
}

static const struct key scope_keys[] = {
    {.name = "column",
     .type = KEY_TEXT,
     .required = true,
     .at = AT(scope_column),
     .help = "the column that divides the table"},
    {.name = "value",
     .type = KEY_VALUE,
     .required = true,
     .at = AT(scope_value),
     .help = "its value in this sink's part; inserts set it"},
    {.name = NULL},
};
static const struct section section_scope = {
    .title = "sinks.NAME.scope", .help = "It is all that a full sync may delete.", .keys = scope_keys};

static const struct key guard_keys[] = {
    {.name = "rows",
     .type = KEY_SIZE,
     .at = offsetof(struct config_guard, rows),
     .def = "100",
     .help = "so many may always be deleted"},
    {.name = "fraction",
     .type = KEY_NUMBER,
     .max = 1,
     .at = offsetof(struct config_guard, fraction),
     .def = "0.5",
     .help = "such a part of the table may always be deleted"},
    {.name = NULL},
};
static const struct section section_guard = {
    .title = "sinks.NAME.delete_guard",
    .help = "Or `false`: there is none. A sync in which no entity came deletes nothing either way, unless it is off.",
    .keys = guard_keys};

static int read_guard(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    struct config_guard *guard = place;
    if (json_is_object(value))
        return reader_section(reader, &section_guard, path, value, guard);
    guard->off = true;
    return json_is_false(value) ? 0 : reader_expected(reader, path, "an object or false", value);
}

/* checks */

/* Which property and which column are spoken for. Two properties cannot fill one column, nor one property two. */
struct renames {
    struct config_list properties, columns;
};

static int take_rename(struct reader *reader, const struct path *path, const char *property, const char *column,
                       struct renames *taken)
{
    if (reader_list_has(&taken->properties, property))
        return reader_mistake(reader, path, "this property is renamed to another column already");
    if (reader_list_has(&taken->columns, column))
        return reader_mistake(reader, path, "another property is renamed to the same column");
    if (reader_append(reader, &taken->properties, property))
        return -1;
    return reader_append(reader, &taken->columns, column);
}

static int check_renames(struct reader *reader, const struct path *path, const struct config_sink *sink)
{
    struct path properties = {.up = path, .name = "properties"};
    struct path definition = {.up = path, .name = "schema_definition"};
    struct renames taken = {.properties = {.count = 0}};
    int result = 0;
    for (size_t i = 0; i < sink->property_count; i++) {
        const struct config_pair *pair = &sink->properties[i];
        struct path inner = {.up = &properties, .name = pair->from};
        if (take_rename(reader, &inner, pair->from, pair->to, &taken))
            result = -1;
    }
    for (size_t i = 0; i < sink->column_count; i++) {
        const struct config_column *column = &sink->columns[i];
        struct path inner = {.up = &definition, .index = i};
        if (column->name && take_rename(reader, &inner, column->property, column->name, &taken))
            result = -1;
    }
    return result;
}

/* Columns that the service sets by itself. None may be set for two reasons, and only a scope may be part of the key. */
static int check_special(struct reader *reader, const struct path *path, const struct config_sink *sink)
{
    const struct {
        const char *section, *key, *column;
        bool in_key;
    } specials[] = {
        {"optimistic_lock", "column", sink->lock.column, false},
        {"deletes", "column", sink->mark.column, false},
        {"scope", "column", sink->scope_column, true},
        {NULL, "timestamp", sink->timestamp, false},
    };
    static const char *const roles[] = {"the lock's column", "the column of deletions", "the scope's column"};
    int result = 0;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        struct path section = {.up = path, .name = specials[i].section};
        const struct path *at = specials[i].section ? &section : path;
        const char *column = specials[i].column;
        if (column && !specials[i].in_key && reader_list_has(&sink->primary_key, column))
            result = reader_mistake_at(reader, at, specials[i].key, "is part of the primary_key");
        for (size_t j = 0; column && j < i; j++) {
            if (specials[j].column && strcmp(specials[j].column, column) == 0)
                result = reader_mistake_at(reader, at, specials[i].key, "is %s", roles[j]);
        }
    }
    return result;
}

/* The hash is computed by the source's definition, and compared with this table's rows. */
static int check_hash_source(struct reader *reader, const struct path *path, const struct config_sink *sink)
{
    struct path lock = {.up = path, .name = "optimistic_lock"};
    const struct config_source *source = sink->lock.source;
    if (!source || !sink->table)
        return 0;
    if (source->system && sink->system && source->system != sink->system)
        return reader_mistake_at(reader, &lock, "source", "this source reads another system");
    if (source->query)
        return reader_mistake_at(reader, &lock, "source", "this source reads a query; a hash needs the table");
    if (source->table && strcmp(source->table, sink->table) != 0)
        return reader_mistake_at(reader, &lock, "source", "this source reads another table");
    if (!source->schema != !sink->schema || (sink->schema && strcmp(source->schema, sink->schema) != 0))
        return reader_mistake_at(reader, &lock, "source", "this source reads a table of another schema");
    return 0;
}

static int check_xmin(struct reader *reader, const struct path *path, const struct config_sink *sink)
{
    struct path lock = {.up = path, .name = "optimistic_lock"};
    bool other = sink->system && reader_told((int)sink->system->type) && sink->system->type != DATABASE_POSTGRESQL;
    if (!other || sink->lock.kind != LOCK_XMIN)
        return 0;
    return reader_mistake_at(reader, &lock, "column", "only PostgreSQL has an xmin; a hash would do");
}

static int check_creation(struct reader *reader, const struct path *path, const struct config_sink *sink)
{
    if (!sink->create_table_if_missing)
        return 0;
    for (size_t i = 0; i < sink->column_count; i++) {
        if (sink->columns[i].primary_key)
            return 0;
    }
    return reader_mistake_at(reader, path, "create_table_if_missing",
                             "needs a schema_definition with a column that is primary_key");
}

static void settle(struct config_sink *sink, const json_t *object)
{
    if (!sink->missing_written)
        sink->missing_null = sink->has_whitelist || sink->column_count > 0;
    if (!reader_has(object, "full_sync_deletes"))
        sink->full_sync_deletes = sink->lock.kind == LOCK_NONE || sink->scope_column;
}

static int check_sink(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    struct config_sink *sink = target;
    int result = reader_check_name(reader, path, path->name);
    if (check_xmin(reader, path, sink))
        result = -1;
    if (check_hash_source(reader, path, sink))
        result = -1;
    if (check_renames(reader, path, sink))
        result = -1;
    if (check_special(reader, path, sink))
        result = -1;
    if (check_creation(reader, path, sink))
        result = -1;
    settle(sink, object);
    return result;
}

static const struct key sink_keys[] = {
    {.name = "system",
     .type = KEY_OTHER,
     .required = true,
     .read = link_system,
     .at = AT(system),
     .kind = "string",
     .help = "the system's name"},
    {.name = "table", .type = KEY_TEXT, .required = true, .at = AT(table), .help = "the table"},
    {.name = "schema",
     .type = KEY_TEXT,
     .at = AT(schema),
     .shown = "the connection's own",
     .help = "its schema"},
    {.name = "primary_key",
     .type = KEY_NAMES,
     .at = AT(primary_key),
     .shown = "from the catalogue",
     .help = "the columns of the key"},
    {.name = "optimistic_lock",
     .type = KEY_OBJECT,
     .section = &section_lock,
     .at = AT(lock),
     .shown = "none",
     .help = "write only where nobody else wrote meanwhile"},
    {.name = "on_conflict",
     .type = KEY_CHOICE,
     .choices = conflicts,
     .at = AT(on_conflict),
     .def = "\"reject\"",
     .help = "`reject`: nothing of the request is applied; `skip`: the others are; `overwrite`: the last "
             "writer wins"},
    {.name = "missing_properties",
     .type = KEY_SWITCH,
     .choices = missings,
     .at = AT(missing_null),
     .told_at = AT(missing_written),
     .shown = "`null` with a `whitelist` or `schema_definition`, else `keep`",
     .help = "columns that the entity does not mention"},
    {.name = "unknown_properties",
     .type = KEY_SWITCH,
     .choices = unknowns,
     .at = AT(reject_unknown),
     .def = "\"ignore\"",
     .help = "properties that the table has no column for"},
    {.name = "properties",
     .type = KEY_PAIRS,
     .at = AT(properties),
     .count_at = AT(property_count),
     .shown = "none",
     .help = "`{\"property\": \"column\"}` renames"},
    {.name = "strip_namespaces",
     .type = KEY_BOOL,
     .at = AT(strip_namespaces),
     .def = "false",
     .help = "take `ns:` off names, `_id` and `~:ns:` values"},
    {.name = "deletes",
     .type = KEY_OTHER,
     .read = read_deletes,
     .section = &section_deletes,
     .at = 0,
     .kind = "string or object",
     .def = "\"delete\"",
     .help = "what a deletion does"},
    {.name = "scope",
     .type = KEY_OBJECT,
     .section = &section_scope,
     .at = 0,
     .shown = "none",
     .help = "the part of the table that is this sink's"},
    {.name = "full_sync_deletes",
     .type = KEY_BOOL,
     .at = AT(full_sync_deletes),
     .shown = "true; false with `optimistic_lock` and no `scope`",
     .help = "whether the end of a full sync deletes what did not come"},
    {.name = "delete_guard",
     .type = KEY_OTHER,
     .read = read_guard,
     .section = &section_guard,
     .at = AT(delete_guard),
     .kind = "object or false",
     .def = "{}",
     .help = "when the end of a full sync is refused"},
    {.name = "whitelist",
     .type = KEY_LIST,
     .at = AT(whitelist),
     .told_at = AT(has_whitelist),
     .shown = "all columns",
     .help = "the columns that are written"},
    {.name = "blacklist",
     .type = KEY_LIST,
     .at = AT(blacklist),
     .shown = "none",
     .help = "columns that are not written; it wins over `whitelist`"},
    {.name = "timestamp",
     .type = KEY_TEXT,
     .at = AT(timestamp),
     .shown = "none",
     .help = "a column that gets the time of writing"},
    {.name = "skip_identity_columns",
     .type = KEY_BOOL,
     .at = AT(skip_identity_columns),
     .def = "false",
     .help = "whether identity columns are left to the database"},
    {.name = "remove_pk_char_trailing_spaces",
     .type = KEY_BOOL,
     .at = AT(remove_pk_char_trailing_spaces),
     .def = "false",
     .help = "take the padding off CHAR keys"},
    {.name = "schema_definition",
     .type = KEY_OBJECTS,
     .section = &section_column,
     .at = AT(columns),
     .count_at = AT(column_count),
     .shown = "none",
     .help = "the columns, which are then the pipe's own; `source_property` to `name` renames"},
    {.name = "create_table_if_missing",
     .type = KEY_BOOL,
     .at = AT(create_table_if_missing),
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
