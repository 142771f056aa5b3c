/* schema_definition: a column of a sink's table, as Sesam describes it. */
#include "config/reader.h"

#define AT(member) offsetof(struct config_column, member)

static const struct choice types[] = {{"string", COLUMN_STRING},     {"integer", COLUMN_INTEGER},
                                      {"decimal", COLUMN_DECIMAL},   {"float", COLUMN_FLOAT},
                                      {"binary", COLUMN_BINARY},     {"datetime", COLUMN_DATETIME},
                                      {"date", COLUMN_DATE},         {"time", COLUMN_TIME},
                                      {"uuid", COLUMN_UUID},         {"boolean", COLUMN_BOOLEAN},
                                      {NULL, 0}};

static int check_bounds(struct reader *reader, const struct path *path, json_t *object,
                        const struct config_column *column)
{
    int result = 0;
    if (reader_has(object, "max_size") && reader_has(object, "max_value"))
        result = reader_mistake_at(reader, path, "max_value", "means the same as max_size; one of them must go");
    if (reader_has(object, "min_size") && reader_has(object, "min_value"))
        result = reader_mistake_at(reader, path, "min_value", "means the same as min_size; one of them must go");
    if (!result && column->has_min && column->has_max && column->min > column->max)
        result = reader_mistake_at(reader, path, reader_has(object, "max_size") ? "max_size" : "max_value",
                                   "is less than the least");
    if (column->precision && column->scale > column->precision)
        result = reader_mistake_at(reader, path, "scale", "is more than the precision");
    return result;
}

static int check_column(struct reader *reader, const struct path *path, json_t *object, void *target)
{
    struct config_column *column = target;
    int result = check_bounds(reader, path, object, column);
    if (!reader_has(object, "name") && !reader_has(object, "source_property"))
        return reader_mistake_at(reader, path, "name", "is missing");
    if (!column->name)
        column->name = column->property;
    if (!column->property)
        column->property = column->name;
    if (column->primary_key)
        column->allow_null = false;
    return result;
}

static const struct key column_keys[] = {
    {.name = "source_property",
     .type = KEY_TEXT,
     .at = AT(property),
     .shown = "the column's name",
     .help = "the entity's property"},
    {.name = "name", .type = KEY_TEXT, .at = AT(name), .shown = "the property's name", .help = "the column"},
    {.name = "type",
     .type = KEY_CHOICE,
     .required = true,
     .choices = types,
     .at = AT(type),
     .help = "the column's type"},
    {.name = "max_size",
     .type = KEY_NUMBER,
     .min = -1e30,
     .max = 1e30,
     .at = AT(max),
     .told_at = AT(has_max),
     .help = "the longest value, or the greatest"},
    {.name = "max_value",
     .type = KEY_NUMBER,
     .min = -1e30,
     .max = 1e30,
     .at = AT(max),
     .told_at = AT(has_max),
     .help = "the same"},
    {.name = "min_size",
     .type = KEY_NUMBER,
     .min = -1e30,
     .max = 1e30,
     .at = AT(min),
     .told_at = AT(has_min),
     .help = "the shortest value, or the least"},
    {.name = "min_value",
     .type = KEY_NUMBER,
     .min = -1e30,
     .max = 1e30,
     .at = AT(min),
     .told_at = AT(has_min),
     .help = "the same"},
    {.name = "precision", .type = KEY_UNSIGNED, .min = 1, .at = AT(precision), .help = "digits of a decimal"},
    {.name = "scale", .type = KEY_UNSIGNED, .at = AT(scale), .help = "its digits behind the point"},
    {.name = "allow_null",
     .type = KEY_BOOL,
     .at = AT(allow_null),
     .def = "true",
     .help = "whether NULL is possible; never in the key"},
    {.name = "primary_key",
     .type = KEY_BOOL,
     .at = AT(primary_key),
     .def = "false",
     .help = "whether it is part of the key"},
    {.name = "index", .type = KEY_BOOL, .at = AT(index), .def = "false", .help = "whether it has an index"},
    {.name = "default", .type = KEY_VALUE, .at = AT(def), .help = "the column's default"},
    {.name = NULL},
};
const struct section section_column = {.title = "sinks.NAME.schema_definition[]",
                                       .help = "One object a column.",
                                       .keys = column_keys,
                                       .size = sizeof(struct config_column),
                                       .check = check_column};
