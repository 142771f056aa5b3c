#include "pull/subset.h"

#include <jansson.h>
#include <string.h>

#include "base/iso.h"
#include "pull/literal.h"

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
        return literal_is_integer(bare) || (text[literal_digits(text)] == '\0' && *text) ? bare : NULL;
    case KIND_DECIMAL:
    case KIND_FLOAT:
        return literal_is_decimal(bare) ? bare : NULL;
    case KIND_DATETIME:
        return literal_time(arena, text, false, field->zone);
    case KIND_DATE:
        return literal_time(arena, text, true, NULL);
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
    wanted->filters->unless = shape->changelog ? &shape->changelog->gone : NULL; /* whoever had the row must know */
    return filter_value(wanted->filters, field_of(shape, column), &shape->relation->columns[column],
                        json_array_get(subset, 2), arena, err);
}

int subset_check(struct wanted *wanted, const struct pull_request *request, const struct source *source,
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
