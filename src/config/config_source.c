#include <string.h>

#include "base/iso.h"
#include "config/query.h"
#include "config/reader.h"
#include "config/link.h"

#define AT(member) offsetof(struct config_source, member)

static const struct choice units[] = {{"s", UNIT_S}, {"ms", UNIT_MS}, {"us", UNIT_US}, {NULL, 0}};
static const struct choice tokens[] = {{"keyset", false}, {"plain", true}, {NULL, 0}};
static const struct choice trackings[] = {{"updated", false}, {"changelog", true}, {NULL, 0}};
static const struct choice parameter_types[] = {{"string", PARAMETER_STRING},
                                                {"integer", PARAMETER_INTEGER},
                                                {"decimal", PARAMETER_DECIMAL},
                                                {"boolean", PARAMETER_BOOLEAN},
                                                {"datetime", PARAMETER_DATETIME},
                                                {"date", PARAMETER_DATE},
                                                {NULL, 0}};

static const struct key updated_keys[] = {
    {.name = "column", .type = KEY_TEXT, .required = true, .at = AT(updated_column), .help = "the column"},
    {.name = "unit",
     .type = KEY_CHOICE,
     .choices = units,
     .at = AT(updated_unit),
     .shown = "none: the column is no epoch",
     .help = "what an integer counts since 1970"},
    {.name = NULL},
};
static const struct section section_updated = {
    .title = "sources.NAME.updated_column", .help = "A string alone is the column.", .keys = updated_keys};

static int read_updated(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    struct config_source *source = place;
    if (json_is_object(value))
        return reader_section(reader, &section_updated, path, value, source);
    if (!json_is_string(value))
        return reader_expected(reader, path, "a string or an object", value);
    source->updated_column = reader_filled(reader, path, value);
    return source->updated_column ? 0 : -1;
}

static const struct key deleted_keys[] = {
    {.name = "column",
     .type = KEY_TEXT,
     .required = true,
     .at = AT(deleted) + offsetof(struct config_deleted, column),
     .help = "the column that tells a deletion"},
    {.name = "value",
     .type = KEY_VALUES,
     .at = AT(deleted) + offsetof(struct config_deleted, values),
     .count_at = AT(deleted) + offsetof(struct config_deleted, value_count),
     .shown = "anything but NULL",
     .help = "the value, or one of the values, that tells it. Decimals are compared as numbers, and PostgreSQL's"
             " `char(n)` without the blanks at its end; a boolean is also 1 or 0"},
    {.name = NULL},
};
static const struct section section_deleted = {
    .title = "sources.NAME.deleted", .help = "Such rows come as `_deleted: true`.", .keys = deleted_keys};

static int check_late(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    struct config_late *late = target;
    if (reader_has(object, "margin") == reader_has(object, "settle"))
        return reader_mistake(reader, path, "must have either margin or settle");
    late->mode = reader_has(object, "settle") ? LATE_SETTLE : LATE_AUTO;
    late->margin_written = late->mode == LATE_AUTO;
    return 0;
}

static const struct key late_keys[] = {
    {.name = "margin",
     .type = KEY_NUMBER,
     .max = 1e9,
     .at = offsetof(struct config_late, seconds),
     .shown = "1",
     .help = "as `\"auto\"`, with so many seconds between the horizon and the oldest open transaction"},
    {.name = "settle",
     .type = KEY_NUMBER,
     .min = 0.001,
     .max = 1e9,
     .at = offsetof(struct config_late, seconds),
     .shown = "none",
     .help = "the horizon is so many seconds ago; rows of longer transactions can be missed"},
    {.name = NULL},
};
static const struct section section_late = {
    .title = "sources.NAME.late_commits",
    .help = "`\"auto\"` asks the server for its open transactions, `\"ignore\"` has no horizon.",
    .keys = late_keys,
    .check = check_late};

static int read_late(struct reader *reader, const struct path *path, json_t *value, void *place)
{
    struct config_late *late = place;
    if (json_is_object(value))
        return reader_section(reader, &section_late, path, value, late);
    if (!json_is_string(value))
        return reader_expected(reader, path, "a string or an object", value);
    const char *text = reader_text(reader, path, value);
    if (!text)
        return -1;
    if (strcmp(text, "auto") != 0 && strcmp(text, "ignore") != 0)
        return reader_mistake(reader, path,
                              "must be auto, ignore, {\"margin\": SECONDS} or {\"settle\": SECONDS}");
    *late = (struct config_late){.mode = text[0] == 'a' ? LATE_AUTO : LATE_IGNORE, .seconds = 1};
    return 0;
}

static bool is_number(const struct config_value *value, bool whole)
{
    static const char digits[] = "0123456789";
    if (value->type == CONFIG_INTEGER || (value->type == CONFIG_REAL && !whole))
        return true;
    if (value->type != CONFIG_STRING)
        return false;
    const char *text = value->text + (value->text[0] == '-' || value->text[0] == '+');
    size_t len = strspn(text, digits), rest = 0;
    if (!whole && text[len] == '.')
        rest = 1 + strspn(text + len + 1, digits);
    return len > 0 && rest != 1 && text[len + rest] == '\0';
}

static bool is_time(const struct config_value *value, bool date)
{
    struct iso_time time;
    if (value->type != CONFIG_STRING || iso_parse(value->text, strlen(value->text), &time))
        return false;
    return time.is_date || !date;
}

static bool default_fits(const struct config_parameter *parameter)
{
    const struct config_value *def = &parameter->def;
    if (def->type == CONFIG_NULL || def->type == CONFIG_ABSENT)
        return true;
    switch (parameter->type) {
    case PARAMETER_INTEGER:
        return is_number(def, true);
    case PARAMETER_DECIMAL:
        return is_number(def, false);
    case PARAMETER_BOOLEAN:
        return def->type == CONFIG_BOOL || (def->type == CONFIG_STRING && (strcmp(def->text, "true") == 0 ||
                                                                           strcmp(def->text, "false") == 0));
    case PARAMETER_DATETIME:
        return is_time(def, false);
    case PARAMETER_DATE:
        return is_time(def, true);
    default:
        return def->type == CONFIG_STRING;
    }
}

static bool is_parameter_name(const char *name)
{
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *name && !(*name >= '0' && *name <= '9') && name[strspn(name, word)] == '\0';
}

static int check_parameter(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    const struct config_parameter *parameter = target;
    int result = 0;
    if (!is_parameter_name(path->name))
        result = reader_mistake(reader, path,
                                "a parameter's name is made of letters, digits and _, a digit not first");
    if (strcmp(path->name, "since") == 0 || strcmp(path->name, "limit") == 0 ||
        strcmp(path->name, "subset") == 0)
        result = reader_mistake(reader, path, "this name is Sesam's own in the URL");
    if (!default_fits(parameter))
        result = reader_mistake_at(reader, path, "default", "does not fit the parameter's type");
    if (parameter->required && reader_has(object, "default"))
        result = reader_mistake_at(reader, path, "default", "a required parameter has no default");
    return result;
}

static const struct key parameter_keys[] = {
    {.name = "type",
     .type = KEY_CHOICE,
     .choices = parameter_types,
     .at = offsetof(struct config_parameter, type),
     .def = "\"string\"",
     .help = "what the URL must hold"},
    {.name = "default",
     .type = KEY_VALUE,
     .at = offsetof(struct config_parameter, def),
     .told_at = offsetof(struct config_parameter, has_default),
     .shown = "NULL",
     .help = "the value where the URL has none"},
    {.name = "required",
     .type = KEY_BOOL,
     .at = offsetof(struct config_parameter, required),
     .def = "false",
     .help = "a request without it is 400"},
    {.name = NULL},
};
static const struct section section_parameter = {.title = "sources.NAME.parameters.PARAMETER",
                                                 .keys = parameter_keys,
                                                 .size = sizeof(struct config_parameter),
                                                 .check = check_parameter};

static int check_what(struct reader *reader, const struct path *path, json_t *object)
{
    bool table = reader_has(object, "table"), query = reader_has(object, "query");
    int result = 0;
    if (table == query)
        result = reader_mistake(reader, path,
                                table ? "has both a table and a query; one of them must go"
                                      : "needs a table or a query");
    if (query && !reader_has(object, "primary_key"))
        result = reader_mistake_at(reader, path, "primary_key", "is missing; a query does not tell its key");
    if (query && !table && reader_has(object, "schema"))
        result =
            reader_mistake_at(reader, path, "schema", "goes with a table; a query names its schemas itself");
    if (reader_has(object, "updated_query") && !reader_has(object, "updated_column"))
        result = reader_mistake_at(reader, path, "updated_column", "is missing; the updated_query needs it");
    return result;
}

static int check_xmin(struct reader *reader, const struct path *path, json_t *object,
                      const struct config_source *source)
{
    bool other = source->system && reader_told((int)source->system->type) &&
                 source->system->type != DATABASE_POSTGRESQL;
    if (!reader_has(object, "xmin_property"))
        return 0;
    if (other)
        return reader_mistake_at(reader, path, "xmin_property",
                                 "only PostgreSQL has an xmin; hash_property would do");
    if (reader_has(object, "query"))
        return reader_mistake_at(reader, path, "xmin_property",
                                 "only a table has an xmin; hash_property would do");
    return 0;
}

/* The log tells what has changed, and its rows have no xmin. */
static int check_tracking(struct reader *reader, const struct path *path, json_t *object,
                          const struct config_source *source)
{
    static const char *const others[] = {"query", "updated_query", "updated_column"};
    int result = 0;
    if (!source->changelog)
        return 0;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (reader_has(object, others[i]))
            result = reader_mistake_at(reader, path, others[i], "does not go with \"tracking\": \"changelog\"");
    if (reader_has(object, "xmin_property"))
        result = reader_mistake_at(reader, path, "xmin_property",
                                   "does not go with \"tracking\": \"changelog\"; hash_property would do");
    if (source->token_plain)
        result = reader_mistake_at(reader, path, "token", "the changes of a log have no plain tokens");
    return result;
}

/* What a column is called in the entity; NULL when it does not come. */
static const char *property_of(const struct config_source *source, const char *column)
{
    if (reader_list_has(&source->blacklist, column))
        return NULL;
    if (source->has_whitelist && !reader_list_has(&source->whitelist, column))
        return NULL;
    for (size_t i = 0; i < source->property_count; i++) {
        if (strcmp(source->properties[i].from, column) == 0)
            return source->properties[i].to;
    }
    return column;
}

static int take_property(struct reader *reader, const struct path *path, const char *property,
                         struct config_list *taken)
{
    static const char *const reserved[] = {"_id", "_updated", "_deleted"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (strcmp(property, reserved[i]) == 0)
            return reader_mistake(reader, path, "must not be '%s', which is made by the service",
                                  reserved[i]);
    }
    if (reader_list_has(taken, property))
        return reader_mistake(reader, path, "another property of this source has the same name");
    return reader_append(reader, taken, property);
}

/* Of the columns only the named ones are known here; what the others are called shows at the table. */
static int check_properties(struct reader *reader, const struct path *path,
                            const struct config_source *source)
{
    struct path hash = {.up = path, .name = "hash_property"}, xmin = {.up = path, .name = "xmin_property"};
    struct path properties = {.up = path, .name = "properties"};
    struct config_list taken = {0};
    int result = 0;
    for (size_t i = 0; i < source->whitelist.count; i++) {
        const char *column = source->whitelist.items[i], *property = property_of(source, column);
        if (property == column && reader_append(reader, &taken, property))
            return -1;
    }
    for (size_t i = 0; i < source->property_count; i++) {
        struct path pair = {.up = &properties, .name = source->properties[i].from};
        const char *property = property_of(source, pair.name);
        if (property && take_property(reader, &pair, property, &taken))
            result = -1;
    }
    if (source->hash_property && take_property(reader, &hash, source->hash_property, &taken))
        result = -1;
    if (source->xmin_property && take_property(reader, &xmin, source->xmin_property, &taken))
        result = -1;
    return result;
}

static int check_source(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    struct config_source *source = target;
    int result = reader_check_name(reader, path, path->name);
    if (check_tracking(reader, path, object, source))
        result = -1;
    if (check_what(reader, path, object))
        result = -1;
    if (check_xmin(reader, path, object, source))
        result = -1;
    if (check_properties(reader, path, source))
        result = -1;
    if (query_check(reader, path, object, source))
        result = -1;
    if (source->changelog)
        source->updated_column = CONFIG_CHANGE;
    return result;
}

static const struct key source_keys[] = {
    {.name = "system",
     .type = KEY_OTHER,
     .required = true,
     .read = link_system,
     .at = AT(system),
     .kind = "string",
     .help = "the system's name"},
    {.name = "table", .type = KEY_TEXT, .at = AT(table), .help = "the table or view; this or `query`"},
    {.name = "schema",
     .type = KEY_TEXT,
     .at = AT(schema),
     .shown = "the connection's own",
     .help = "the table's schema"},
    {.name = "query",
     .type = KEY_LINES,
     .at = AT(query),
     .help = "a SELECT; it is wrapped, so `since` and `limit` work on it too"},
    {.name = "updated_query",
     .type = KEY_LINES,
     .at = AT(updated_query),
     .shown = "none",
     .help = "a SELECT instead of the table or query when there is a `since`; `:since` is the lower bound "
             "(write `>=`)"},
    {.name = "primary_key",
     .type = KEY_NAMES,
     .at = AT(primary_key),
     .shown = "from the catalogue",
     .help = "the columns that make `_id`: unique and not NULL; required with `query`"},
    {.name = "tracking",
     .type = KEY_SWITCH,
     .choices = trackings,
     .at = AT(changelog),
     .def = "\"updated\"",
     .help = "what tells changes: the `updated_column`, or `changelog`: a log that triggers keep of the `table`, deletions "
             "included (`sesam-sql ddl TYPE --table NAME` prints them)"},
    {.name = "updated_column",
     .type = KEY_OTHER,
     .read = read_updated,
     .section = &section_updated,
     .at = 0,
     .kind = "string or object",
     .shown = "none: full reads only",
     .help = "the column that tells changes"},
    {.name = "deleted",
     .type = KEY_OBJECT,
     .section = &section_deleted,
     .at = 0,
     .shown = "none",
     .help = "rows that come as deletions"},
    {.name = "whitelist",
     .type = KEY_LIST,
     .at = AT(whitelist),
     .told_at = AT(has_whitelist),
     .shown = "all columns",
     .help = "the columns that come"},
    {.name = "blacklist",
     .type = KEY_LIST,
     .at = AT(blacklist),
     .shown = "none",
     .help = "columns that do not come; it wins over `whitelist`"},
    {.name = "properties",
     .type = KEY_PAIRS,
     .at = AT(properties),
     .count_at = AT(property_count),
     .shown = "none",
     .help = "`{\"column\": \"property\"}` renames"},
    {.name = "preserve_null_values",
     .type = KEY_BOOL,
     .at = AT(preserve_null_values),
     .def = "false",
     .help = "whether NULL comes as null, or not at all"},
    {.name = "hash_property",
     .type = KEY_TEXT,
     .at = AT(hash_property),
     .shown = "none",
     .help = "a property with a hash of the row"},
    {.name = "xmin_property",
     .type = KEY_TEXT,
     .at = AT(xmin_property),
     .shown = "none",
     .help = "a property with PostgreSQL's `xmin`"},
    {.name = "late_commits",
     .type = KEY_OTHER,
     .read = read_late,
     .section = &section_late,
     .at = AT(late_commits),
     .told_at = AT(late_commits_written),
     .kind = "string or object",
     .def = "\"auto\"",
     .help = "how rows of transactions that are still open are waited for"},
    {.name = "token",
     .type = KEY_SWITCH,
     .choices = tokens,
     .at = AT(token_plain),
     .def = "\"keyset\"",
     .help = "`plain`: `_updated` is the bare datetime or integer, for `partial_rescan_delta`"},
    {.name = "is_chronological_full",
     .type = KEY_BOOL,
     .at = AT(is_chronological_full),
     .def = "true",
     .help = "false saves the ORDER BY on full runs"},
    {.name = "fetch_size",
     .type = KEY_UNSIGNED,
     .min = 1,
     .max = 10000000,
     .at = AT(fetch_size),
     .def = "10000",
     .help = "rows per round trip where a cursor is used"},
    {.name = "parameters",
     .type = KEY_MAP,
     .section = &section_parameter,
     .at = AT(parameters),
     .count_at = AT(parameter_count),
     .shown = "none",
     .help = "URL parameters bound into `query` as `:name`"},
    {.name = "type", .type = KEY_IGNORED, .help = "the system tells it"},
    {.name = "batch_size", .type = KEY_IGNORED, .help = "the answer is a stream"},
    {.name = "supports_since", .type = KEY_IGNORED, .help = "belongs into the pipe"},
    {.name = "is_chronological", .type = KEY_IGNORED, .help = "belongs into the pipe"},
    {.name = "is_since_comparable", .type = KEY_IGNORED, .help = "belongs into the pipe"},
    {.name = NULL},
};
const struct section section_source = {.title = "sources.NAME",
                                       .keys = source_keys,
                                       .size = sizeof(struct config_source),
                                       .check = check_source};
