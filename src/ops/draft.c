#include "ops/draft.h"

#include <stdlib.h>
#include <string.h>

static void put(struct draft *draft, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value))
        draft->failed = true;
}

static void add(struct draft *draft, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value))
        draft->failed = true;
}

/* A text of the configuration means what it says, though it holds the beginning of a reference. */
static json_t *literal(const char *text)
{
    struct buf out = {0};
    for (; *text; text++) {
        if (strncmp(text, "${", 2) == 0)
            buf_putc(&out, '$');
        buf_putc(&out, *text);
    }
    json_t *string = buf_text(&out) ? json_string(out.data) : NULL;
    buf_free(&out);
    return string;
}

static void put_text(struct draft *draft, json_t *object, const char *key, const char *text)
{
    if (text)
        put(draft, object, key, literal(text));
}

/* the system */

static json_t *system_object(struct draft *draft)
{
    const struct url *url = draft->url;
    json_t *system = json_object();
    put(draft, system, "type", json_string(url->type_name));
    put_text(draft, system, "path", url->path);
    put_text(draft, system, "host", url->host);
    if (url->port)
        put(draft, system, "port", json_integer(url->port));
    put_text(draft, system, "database", url->database);
    put_text(draft, system, "username", url->username);
    if (draft->password)
        put(draft, system, "password", json_string(draft->password));
    put_text(draft, system, "sslmode", url->sslmode);
    put_text(draft, system, "sslrootcert", url->sslrootcert);
    put_text(draft, system, "sslcert", url->sslcert);
    put_text(draft, system, "sslkey", url->sslkey);
    put_text(draft, system, "timezone", draft->timezone);
    return system;
}

/* a source */

static const char *column_name(const struct survey *survey, size_t column)
{
    return survey->relation->columns[column].name;
}

static void put_updated(struct draft *draft, json_t *source, const struct survey *survey)
{
    static const char *const units[] = {[UNIT_S] = "s", [UNIT_MS] = "ms", [UNIT_US] = "us"};
    if (survey->changelog)
        put(draft, source, "tracking", json_string("changelog"));
    if (survey->updated == SIZE_MAX)
        return;
    if (survey->unit == UNIT_NONE) {
        put_text(draft, source, "updated_column", column_name(survey, survey->updated));
        return;
    }
    json_t *updated = json_object();
    put_text(draft, updated, "column", column_name(survey, survey->updated));
    put(draft, updated, "unit", json_string(units[survey->unit]));
    put(draft, source, "updated_column", updated);
}

/* What the mark's column holds of a row that is deleted, or not. */
static json_t *mark(const struct survey *survey, bool deleted)
{
    return survey->relation->columns[survey->deleted].kind == KIND_BOOL ? json_boolean(deleted) : json_integer(deleted);
}

static void put_deleted(struct draft *draft, json_t *source, const struct survey *survey)
{
    if (survey->deleted == SIZE_MAX)
        return;
    json_t *deleted = json_object();
    put_text(draft, deleted, "column", column_name(survey, survey->deleted));
    if (survey->marks_by_value)
        put(draft, deleted, "value", mark(survey, true));
    put(draft, source, "deleted", deleted);
}

/* Renames, from column to property or back. */
static void put_properties(struct draft *draft, json_t *object, const struct survey *survey, bool source)
{
    json_t *properties = json_object();
    for (size_t i = 0; i < survey->relation->column_count; i++) {
        const char *column = column_name(survey, i), *property = survey->properties[i];
        if (strcmp(column, property) != 0)
            put_text(draft, properties, source ? column : property, source ? property : column);
    }
    if (json_object_size(properties))
        put(draft, object, "properties", properties);
    else
        json_decref(properties);
}

static json_t *table_object(struct draft *draft, const struct survey *survey)
{
    json_t *object = json_object();
    put(draft, object, "system", json_string(draft->system));
    put_text(draft, object, "schema", survey->listed->schema);
    put_text(draft, object, "table", survey->listed->name);
    return object;
}

static json_t *source_object(struct draft *draft, const struct survey *survey)
{
    json_t *source = table_object(draft, survey);
    put_updated(draft, source, survey);
    put_deleted(draft, source, survey);
    put_properties(draft, source, survey, true);
    return source;
}

/* a sink */

bool draft_sets_updated(const struct survey *survey)
{
    const struct column *column = survey->updated == SIZE_MAX ? NULL : &survey->relation->columns[survey->updated];
    if (!column || column->generated || column->refreshed || column->transaction)
        return false;
    if (column->position != POSITION_ANY)
        return column->kind == KIND_DATETIME || column->kind == KIND_DATE;
    const struct sample *sample = &survey->samples[survey->updated];
    return column->kind == KIND_INT ? survey->unit == UNIT_S : sample->spaced == sample->count;
}

/* A column that nobody else fills has to be written by the pipe. */
static bool is_filled(const struct column *column)
{
    return column->nullable || column->defaulted || column->refreshed;
}

static bool is_written(const struct survey *survey, size_t i)
{
    const struct column *column = &survey->relation->columns[i];
    if (column->generated || i == survey->version || i == survey->deleted)
        return false;
    return i != survey->updated || (!draft_sets_updated(survey) && !is_filled(column));
}

static void put_mark(struct draft *draft, json_t *sink, const struct survey *survey)
{
    if (survey->deleted == SIZE_MAX)
        return;
    json_t *deletes = json_object();
    put_text(draft, deletes, "column", column_name(survey, survey->deleted));
    put(draft, deletes, "value", survey->marks_by_value ? mark(survey, true) : json_string("now"));
    if (survey->marks_by_value)
        put(draft, deletes, "live", mark(survey, false));
    put(draft, sink, "deletes", deletes);
}

static json_t *sink_object(struct draft *draft, const struct survey *survey)
{
    json_t *sink = table_object(draft, survey), *whitelist = json_array();
    for (size_t i = 0; i < survey->relation->column_count; i++)
        if (is_written(survey, i))
            add(draft, whitelist, literal(column_name(survey, i)));
    put(draft, sink, "whitelist", whitelist);
    put_properties(draft, sink, survey, false);
    if (survey->version != SIZE_MAX) {
        json_t *lock = json_object();
        put_text(draft, lock, "column", column_name(survey, survey->version));
        if (strcmp(column_name(survey, survey->version), survey->properties[survey->version]) != 0)
            put_text(draft, lock, "property", survey->properties[survey->version]);
        put(draft, sink, "optimistic_lock", lock);
    }
    if (draft_sets_updated(survey))
        put_text(draft, sink, "timestamp", column_name(survey, survey->updated));
    put_mark(draft, sink, survey);
    return sink;
}

/* the configuration */

static json_t *listen_object(struct draft *draft, bool container)
{
    json_t *listen = json_object();
    put(draft, listen, "address", json_string(container ? "0.0.0.0" : "127.0.0.1"));
    put(draft, listen, "port", json_integer(5000));
    if (!container)
        return listen;
    json_t *user = json_object(), *users = json_array(), *authentication = json_object();
    put(draft, user, "username", json_string("sesam"));
    put(draft, user, "password", json_string("${SESAM_PASSWORD}"));
    add(draft, users, user);
    put(draft, authentication, "type", json_string("basic"));
    put(draft, authentication, "users", users);
    put(draft, listen, "authentication", authentication);
    return listen;
}

/* Without memory there are NULLs in the pieces, which jansson takes and tells. */
json_t *draft_config(struct draft *draft, bool container)
{
    json_t *config = json_object(), *systems = json_object(), *sources = json_object(), *sinks = json_object();
    put(draft, systems, draft->system, system_object(draft));
    for (size_t i = 0; i < draft->count; i++) {
        const struct survey *survey = &draft->surveys[i];
        if (survey->relation)
            put(draft, sources, survey->name, source_object(draft, survey));
        if (survey->relation && draft->sinks[i])
            put(draft, sinks, survey->name, sink_object(draft, survey));
    }
    put(draft, config, "listen", listen_object(draft, container));
    put(draft, config, "systems", systems);
    put(draft, config, "sources", sources);
    put(draft, config, "sinks", sinks);
    if (!draft->failed)
        return config;
    json_decref(config);
    return NULL;
}
