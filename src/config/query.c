#include "config/query.h"

#include <string.h>

#include "base/nearest.h"
#include "config/placeholder.h"

static const struct config_parameter *find(const struct config_source *source, const char *name)
{
    for (size_t i = 0; i < source->parameter_count; i++) {
        if (strcmp(source->parameters[i].name, name) == 0)
            return &source->parameters[i];
    }
    return NULL;
}

static void undeclared(struct reader *reader, const struct path *path, const struct config_source *source,
                       const char *name)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < source->parameter_count; i++) {
        size_t distance = nearest_distance(name, source->parameters[i].name);
        if (distance < least) {
            least = distance;
            nearest = source->parameters[i].name;
        }
    }
    if (nearest && nearest_worth(name, least))
        reader_mistake(reader, path, "':%s' is not declared in parameters, did you mean ':%s'?", name,
                       nearest);
    else
        reader_mistake(reader, path, "':%s' is not declared in parameters", name);
}

static void check_one(struct reader *reader, const struct path *path, const struct config_source *source,
                      const char *name, bool since_allowed, struct config_list *used)
{
    bool since = strcmp(name, "since") == 0;
    if (reader_list_has(used, name) || reader_append(reader, used, name))
        return;
    if (since && !since_allowed)
        reader_mistake(reader, path, "':since' belongs into an updated_query");
    else if (!since && !find(source, name))
        undeclared(reader, path, source, name);
}

/* Adds the names it found to used; those found before are not told again. Returns -1 when it cannot tell
 * which names there are. */
static int check_query(struct reader *reader, const struct path *path, const struct config_source *source,
                       const char *sql, bool since_allowed, struct config_list *used)
{
    struct placeholder *list;
    size_t count;
    struct err err = {0};
    if (!sql) /* what was wrong with it was told */
        return -1;
    if (placeholder_find(sql, source->system->type, reader->arena, &list, &count, &err)) {
        if (err.code != ERR_CONFIG)
            return err_memory(reader->err);
        return reader_mistake(reader, path, "%s", err.text);
    }
    for (size_t i = 0; i < count; i++)
        check_one(reader, path, source, list[i].name, since_allowed, used);
    return 0;
}

static void check_unused(struct reader *reader, const struct path *path, const struct config_source *source,
                         const struct config_list *used)
{
    for (size_t i = 0; i < source->parameter_count; i++) {
        const char *name = source->parameters[i].name;
        bool reserved = strcmp(name, "since") == 0; /* told already */
        if (!reserved && !reader_list_has(used, name))
            reader_mistake_at(reader, path, name,
                              source->query || source->updated_query
                                  ? "is not used in the query"
                                  : "is not used; parameters go with a query");
    }
}

int query_check(struct reader *reader, const struct path *path, json_t *object,
                const struct config_source *source)
{
    struct path query = {.up = path, .name = "query"}, updated = {.up = path, .name = "updated_query"};
    struct path parameters = {.up = path, .name = "parameters"};
    struct config_list used = {0};
    size_t before = reader->mistake_count;
    bool whole = true;
    if (!source->system || !reader_told((int)source->system->type)) /* each database quotes in its own way */
        return -1;
    if (reader_has(object, "query") && check_query(reader, &query, source, source->query, false, &used))
        whole = false;
    if (reader_has(object, "updated_query") &&
        check_query(reader, &updated, source, source->updated_query, true, &used))
        whole = false;
    if (whole)
        check_unused(reader, &parameters, source, &used);
    return reader->mistake_count == before ? 0 : -1;
}
