#include "pull/request.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "entity/json_write.h"

const char *request_value(const struct pull_request *request, const char *name)
{
    for (size_t i = 0; i < request->count; i++)
        if (strcmp(request->parameters[i].name, name) == 0)
            return request->parameters[i].value;
    return NULL;
}

static bool is_ours(const char *name)
{
    return strcmp(name, "since") == 0 || strcmp(name, "limit") == 0 || strcmp(name, "subset") == 0;
}

static bool is_declared(const struct config_source *config, const char *name)
{
    for (size_t i = 0; i < config->parameter_count; i++)
        if (strcmp(config->parameters[i].name, name) == 0)
            return true;
    return false;
}

/* A name that a source with parameters does not know is a slip in the pipe's URL; without parameters it may
 * be something newer of Sesam's, and makes no difference. */
static int check_names(const struct pull_request *request, const struct config_source *config, struct err *err)
{
    for (size_t i = 0; i < request->count; i++) {
        const char *name = request->parameters[i].name;
        bool declared = is_declared(config, name);
        if (!is_ours(name) && !declared && config->parameter_count)
            return err_set(err, ERR_INPUT, "source '%s' has no parameter '%.80s'", config->name, name);
        for (size_t j = 0; j < i && (is_ours(name) || declared); j++)
            if (strcmp(request->parameters[j].name, name) == 0)
                return err_set(err, ERR_INPUT, "the parameter '%.80s' came more than once", name);
    }
    return 0;
}

static size_t digits_of(const char *text)
{
    return strspn(text, "0123456789");
}

static bool is_integer(const char *text)
{
    size_t sign = *text == '-', digits = digits_of(text + sign);
    if (!digits || text[sign + digits])
        return false;
    errno = 0;
    strtoll(text, NULL, 10);
    return errno == 0;
}

static bool is_decimal(const char *text)
{
    text += *text == '-';
    size_t whole = digits_of(text);
    text += whole;
    if (!whole)
        return false;
    if (*text == '.') {
        size_t fraction = digits_of(++text);
        if (!fraction)
            return false;
        text += fraction;
    }
    return *text == '\0';
}

/* A time as every database reads it: in UTC, with a space, without a fraction of zeros. */
static const char *plain_time(struct arena *arena, const char *text, bool date, const struct zone *zone)
{
    struct iso_time time;
    char *out = arena_alloc(arena, ISO_SIZE);
    if (strncmp(text, "~t", 2) == 0)
        text += 2;
    if (!out || iso_parse(text, strlen(text), &time) || (date && !time.is_date))
        return NULL;
    int64_t wall = zone ? zone_to_wall(zone, time.time) : time.time;
    size_t len = date ? iso_date(out, wall / ISO_DAY - (wall % ISO_DAY < 0)) : iso_datetime(out, wall, 6, "");
    if (!date) {
        out[10] = ' ';
        while (out[len - 1] == '0')
            len--;
        len -= out[len - 1] == '.';
        if (len < 19)
            len = 19;
    }
    out[len] = '\0';
    return out;
}

static int check_limit(struct wanted *wanted, const struct pull_request *request, const struct config_source *config,
                       struct err *err)
{
    const char *text = request_value(request, "limit");
    wanted->limit = UINT64_MAX;
    if (!text)
        return 0;
    if (config->token_plain) {
        err_set(err, ERR_INPUT, "source '%s' has plain tokens, which cannot be paged", config->name);
        return err_hint(err, "leave out 'limit', or let the source have \"token\": \"keyset\"");
    }
    if (!*text || text[digits_of(text)]) {
        err_set(err, ERR_INPUT, "'limit' is not a number of entities: '%.80s'", text);
        return err_hint(err, "accepted are the integers from 0");
    }
    wanted->limit = strtoull(text, NULL, 10); /* more than fits is as good as all there are */
    return 0;
}

static int check_since(struct wanted *wanted, const struct pull_request *request, const struct config_source *config,
                       const struct shape *shape, struct arena *arena, struct err *err)
{
    const char *text = request_value(request, "since");
    if (!text)
        return 0;
    wanted->has_since = true;
    if (shape->updated == SIZE_MAX) {
        err_set(err, ERR_INPUT, "source '%s' cannot answer 'since': it has no updated_column", config->name);
        return err_hint(err, "name an updated_column in the source, or set supports_since to false in the pipe");
    }
    return since_parse(&wanted->since, &shape->since, text, arena, err);
}

/* parameters of the query */

static const char *scalar_text(const struct config_value *value)
{
    return value->type == CONFIG_BOOL ? value->boolean ? "true" : "false" : value->text;
}

static const char *bound_text(enum config_parameter_type type, const char *text, struct arena *arena)
{
    switch (type) {
    case PARAMETER_INTEGER:
        return is_integer(text) ? text : NULL;
    case PARAMETER_DECIMAL:
        return is_decimal(text) ? text : NULL;
    case PARAMETER_BOOLEAN:
        if (strcmp(text, "1") == 0 || strcmp(text, "true") == 0)
            return "true";
        return strcmp(text, "0") == 0 || strcmp(text, "false") == 0 ? "false" : NULL;
    case PARAMETER_DATETIME:
        return plain_time(arena, text, false, NULL);
    case PARAMETER_DATE:
        return plain_time(arena, text, true, NULL);
    default:
        return json_write_is_utf8(text, strlen(text)) ? text : NULL;
    }
}

static int bad_parameter(const struct config_parameter *parameter, const char *text, struct err *err)
{
    static const char *const forms[] = {
        [PARAMETER_STRING] = "a text in UTF-8",
        [PARAMETER_INTEGER] = "an integer of 64 bits",
        [PARAMETER_DECIMAL] = "digits with or without a point",
        [PARAMETER_BOOLEAN] = "true or false",
        [PARAMETER_DATETIME] = "a datetime like 2024-01-31T23:59:59Z",
        [PARAMETER_DATE] = "a date like 2024-01-31",
    };
    err_set(err, ERR_INPUT, "the parameter '%s' cannot be used: '%.80s'", parameter->name, text);
    return err_hint(err, "accepted is %s", forms[parameter->type]);
}

static int check_bounds(struct wanted *wanted, const struct pull_request *request, const struct config_source *config,
                        struct arena *arena, struct err *err)
{
    wanted->bounds = arena_array(arena, config->parameter_count + 1, sizeof *wanted->bounds);
    if (!wanted->bounds)
        return err_memory(err);
    for (size_t i = 0; i < config->parameter_count; i++) {
        const struct config_parameter *parameter = &config->parameters[i];
        const char *text = request_value(request, parameter->name);
        if (!text && parameter->required)
            return err_set(err, ERR_INPUT, "the parameter '%s' is missing", parameter->name);
        if (!text && parameter->has_default)
            text = scalar_text(&parameter->def);
        wanted->bounds[i].parameter = parameter;
        wanted->bounds[i].text = text ? bound_text(parameter->type, text, arena) : NULL;
        if (text && !wanted->bounds[i].text)
            return bad_parameter(parameter, text, err);
    }
    wanted->bound_count = config->parameter_count;
    return 0;
}

/* subset */

static int unusable(const char *why, struct err *err)
{
    err_set(err, ERR_NOT_FOUND, "the subset cannot be used: %s", why);
    return err_hint(err, "a subset looks like [\"eq\", \"_S.country\", \"NO\"], on a property of the source");
}

/* A string of the subset as text of the column's kind; NULL if it cannot be one. */
static const char *text_of_kind(const struct field *field, const struct column *column, const char *text,
                                struct arena *arena)
{
    char uuid[16], *out;
    const char *bare = text[0] == '~' && strchr("tfu", text[1]) && text[1] ? text + 2 : text;
    switch (column->kind) {
    case KIND_INT:
    case KIND_UINT:
        return is_integer(bare) || (text[digits_of(text)] == '\0' && *text) ? bare : NULL;
    case KIND_DECIMAL:
    case KIND_FLOAT:
        return is_decimal(bare) ? bare : NULL;
    case KIND_DATETIME:
        return plain_time(arena, text, false, field->zone);
    case KIND_DATE:
        return plain_time(arena, text, true, NULL);
    case KIND_UUID:
        if (iso_parse_uuid(bare, strlen(bare), uuid) || !(out = arena_alloc(arena, ISO_SIZE)))
            return NULL;
        out[iso_uuid(out, uuid)] = '\0';
        return out;
    case KIND_TEXT:
        return text[0] == '~' && text[1] == '~' ? text + 1 : text;
    default:
        return NULL;
    }
}

static int filter_value(struct filter *filter, const struct field *field, const struct column *column,
                        const json_t *value, struct arena *arena, struct err *err)
{
    const char *text = NULL;
    filter->value.type = CONFIG_STRING;
    if (json_is_boolean(value) && (column->kind == KIND_BOOL || column->position == POSITION_ANY)) {
        filter->value.type = CONFIG_BOOL;
        filter->value.boolean = json_is_true(value);
        return 0;
    }
    if (json_is_integer(value)) {
        filter->value.type = CONFIG_INTEGER;
        text = arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_string(value) && json_string_length(value) == strlen(json_string_value(value))) {
        text = arena_strdup(arena, json_string_value(value));
    }
    if (!text)
        return unusable("its value is neither a string, an integer nor a boolean that the property can have", err);
    filter->value.text = text_of_kind(field, column, text, arena);
    if (column->position == POSITION_ANY && filter->value.type == CONFIG_INTEGER)
        filter->value.text = text;
    return filter->value.text ? 0 : unusable("its value does not fit the type of the property", err);
}

static const struct field *field_of(const struct shape *shape, size_t column)
{
    size_t place = 0;
    while (shape->columns[place] != column)
        place++;
    return &shape->fields[place];
}

static int parse_subset(struct wanted *wanted, const json_t *subset, const struct source *source,
                        const struct shape *shape, struct arena *arena, struct err *err)
{
    const char *op = json_string_value(json_array_get(subset, 0)), *path = json_string_value(json_array_get(subset, 1));
    if (json_array_size(subset) != 3 || !op || !path || strcmp(op, "eq") != 0 || strncmp(path, "_S.", 3) != 0)
        return unusable("it is not of the form that this service knows", err);
    size_t column = source_property(source, shape, path + 3);
    if (column == SIZE_MAX)
        return unusable("the source has no such property", err);
    wanted->filters = arena_alloc(arena, sizeof *wanted->filters);
    if (!wanted->filters)
        return err_memory(err);
    wanted->filter_count = 1;
    wanted->filters->column = column;
    return filter_value(wanted->filters, field_of(shape, column), &shape->relation->columns[column],
                        json_array_get(subset, 2), arena, err);
}

static int check_subset(struct wanted *wanted, const struct pull_request *request, const struct source *source,
                        const struct shape *shape, struct arena *arena, struct err *err)
{
    const char *text = request_value(request, "subset");
    if (!text)
        return 0;
    json_t *subset = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    int failed = subset ? parse_subset(wanted, subset, source, shape, arena, err) : unusable("it is not JSON", err);
    json_decref(subset);
    return failed;
}

int request_check(struct wanted *wanted, const struct pull_request *request, const struct source *source,
                  const struct shape *shape, struct arena *arena, struct err *err)
{
    const struct config_source *config = source_config(source);
    *wanted = (struct wanted){0};
    return check_names(request, config, err) || check_limit(wanted, request, config, err) ||
                   check_since(wanted, request, config, shape, arena, err) ||
                   check_bounds(wanted, request, config, arena, err) ||
                   check_subset(wanted, request, source, shape, arena, err)
               ? -1
               : 0;
}
