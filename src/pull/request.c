#include "pull/request.h"

#include <stdlib.h>
#include <string.h>

#include "entity/json_write.h"
#include "pull/literal.h"
#include "pull/subset.h"

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
    if (!*text || text[literal_digits(text)]) {
        err_set(err, ERR_INPUT, "'limit' is not a number of entities");
        return err_hint(err, "accepted are the integers from 0");
    }
    uint64_t limit = strtoull(text, NULL, 10);
    wanted->limit = limit < INT64_MAX ? limit : UINT64_MAX; /* databases count no further: as good as all there are */
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
    if (shape->changelog) {
        wanted->prunes = changelog_prunes(text);
        text = changelog_position(text, arena);
    }
    return text ? since_parse(&wanted->since, &shape->since, text, arena, err) : err_memory(err);
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
        return literal_is_integer(text) ? text : NULL;
    case PARAMETER_DECIMAL:
        return literal_is_decimal(text) ? text : NULL;
    case PARAMETER_BOOLEAN:
        if (strcmp(text, "1") == 0 || strcmp(text, "true") == 0)
            return "true";
        return strcmp(text, "0") == 0 || strcmp(text, "false") == 0 ? "false" : NULL;
    case PARAMETER_DATETIME:
        return literal_time(arena, text, false, NULL);
    case PARAMETER_DATE:
        return literal_time(arena, text, true, NULL);
    default:
        return json_write_is_utf8(text, strlen(text)) ? text : NULL;
    }
}

/* The value stays out: it is a row's, and errors are logged. */
static int bad_parameter(const struct config_parameter *parameter, struct err *err)
{
    static const char *const forms[] = {
        [PARAMETER_STRING] = "a text in UTF-8",
        [PARAMETER_INTEGER] = "an integer of 64 bits",
        [PARAMETER_DECIMAL] = "digits with or without a point",
        [PARAMETER_BOOLEAN] = "true or false",
        [PARAMETER_DATETIME] = "a datetime like 2024-01-31T23:59:59Z",
        [PARAMETER_DATE] = "a date like 2024-01-31",
    };
    err_set(err, ERR_INPUT, "the value of the parameter '%s' cannot be used", parameter->name);
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
            return bad_parameter(parameter, err);
    }
    wanted->bound_count = config->parameter_count;
    return 0;
}

int request_defaults(struct wanted *wanted, const struct source *source, struct arena *arena, struct err *err)
{
    const struct pull_request nothing = {.parameters = NULL};
    *wanted = (struct wanted){0};
    return check_bounds(wanted, &nothing, source_config(source), arena, err);
}

int request_check(struct wanted *wanted, const struct pull_request *request, const struct source *source,
                  const struct shape *shape, struct arena *arena, struct err *err)
{
    const struct config_source *config = source_config(source);
    *wanted = (struct wanted){0};
    return check_names(request, config, err) || check_limit(wanted, request, config, err) ||
                   check_since(wanted, request, config, shape, arena, err) ||
                   check_bounds(wanted, request, config, arena, err) ||
                   subset_check(wanted, request, source, shape, arena, err)
               ? -1
               : 0;
}
