#include "config/config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/interpolate.h"
#include "config/reader.h"
#include "config/schema.h"
#include "config/shown.h"

enum { FILE_MAX = 16 << 20 };

/* The public part comes first, so that the one pointer is also the other. */
struct owned {
    struct config config;
    struct arena *arena;
};

/* jansson's own text quotes the document, which may hold secrets; its code does not. */
static const char *why(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_out_of_memory:
        return "there is no memory for it";
    case json_error_stack_overflow:
        return "it is nested too deep";
    case json_error_invalid_utf8:
        return "this is not UTF-8";
    case json_error_premature_end_of_input:
        return "the document ends too early";
    case json_error_end_of_input_expected:
        return "there is something behind the end of the document";
    case json_error_duplicate_key:
        return "this key stands in its object twice";
    case json_error_numeric_overflow:
        return "this number is too large";
    case json_error_null_character:
        return "a string must not hold \\u0000";
    default:
        return "this is not JSON";
    }
}

static json_t *parse(struct reader *reader, const char *text, size_t len)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (root)
        return root;
    struct path document = {.up = NULL};
    reader_mistake(reader, &document, "line %d, column %d: %s", error.line, error.column, why(&error));
    return NULL;
}

static int show(struct reader *reader, json_t *root)
{
    json_t *shown = shown_make(&section_root, root, reader->config);
    char *text = json_dumps(shown, JSON_COMPACT);
    reader->config->shown = text ? arena_strdup(reader->arena, text) : NULL;
    free(text);
    json_decref(shown);
    return reader->config->shown ? 0 : err_memory(reader->err);
}

static int fill(struct reader *reader, const char *text, size_t len)
{
    struct path document = {.up = NULL};
    json_t *root = parse(reader, text, len);
    if (!root)
        return -1;
    int result = reader_section(reader, &section_root, &document, root, reader->config);
    if (!result && !reader->mistake_count)
        result = show(reader, root);
    json_decref(root);
    return result;
}

static int sum_up(const struct reader *reader, const char *origin, struct err *err)
{
    if (buf_failed(reader->mistakes))
        return err_memory(err);
    if (err->code)
        return -1;
    return err_set(err, ERR_CONFIG, "the configuration in %s has %zu mistake%s", origin,
                   reader->mistake_count, reader->mistake_count == 1 ? "" : "s");
}

int config_parse(struct config **config, const char *text, size_t len, const char *origin,
                 struct buf *mistakes, struct err *err)
{
    struct owned *owned = calloc(1, sizeof *owned);
    struct arena *arena = arena_new();
    struct err failure = {0};
    struct reader reader = {.arena = arena, .mistakes = mistakes, .err = &failure};
    *config = NULL;
    if (!owned || !arena || !(owned->config.origin = arena_strdup(arena, origin))) {
        free(owned);
        arena_free(arena);
        return err_memory(err);
    }
    owned->arena = arena;
    reader.config = &owned->config;
    if (fill(&reader, text, len) || reader.mistake_count || failure.code) {
        sum_up(&reader, origin, &failure);
        config_free(&owned->config);
        return err_set(err, failure.code, "%s", failure.text);
    }
    *config = &owned->config;
    return 0;
}

static int read_file(struct config **config, const char *path, struct buf *mistakes, struct err *err)
{
    struct buf text = {0};
    int result = interpolate_file(path, FILE_MAX, &text, err);
    if (!result)
        result = config_parse(config, text.data ? text.data : "", text.len, path, mistakes, err);
    buf_free(&text);
    return result;
}

/* An empty variable is as good as none. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

bool config_is_given(const char *file)
{
    return file || variable("SESAM_SQL_CONFIG") || variable("SESAM_SQL_CONFIG_FILE");
}

int config_read(struct config **config, const char *file, struct buf *mistakes, struct err *err)
{
    const char *text = variable("SESAM_SQL_CONFIG");
    *config = NULL;
    if (!file && text)
        return config_parse(config, text, strlen(text), "$SESAM_SQL_CONFIG", mistakes, err);
    if (!file)
        file = variable("SESAM_SQL_CONFIG_FILE");
    if (file)
        return read_file(config, file, mistakes, err);
    err_set(err, ERR_CONFIG, "there is no configuration");
    return err_hint(
        err, "name a file with --config FILE or in $SESAM_SQL_CONFIG_FILE, or put the JSON itself into "
             "$SESAM_SQL_CONFIG");
}

void config_free(struct config *config)
{
    struct owned *owned = (struct owned *)config;
    if (!owned)
        return;
    arena_free(owned->arena);
    free(owned);
}

const struct config_system *config_system(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->system_count; i++) {
        if (strcmp(config->systems[i].name, name) == 0)
            return &config->systems[i];
    }
    return NULL;
}

const struct config_source *config_source(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->source_count; i++) {
        if (strcmp(config->sources[i].name, name) == 0)
            return &config->sources[i];
    }
    return NULL;
}

const struct config_sink *config_sink(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->sink_count; i++) {
        if (strcmp(config->sinks[i].name, name) == 0)
            return &config->sinks[i];
    }
    return NULL;
}
