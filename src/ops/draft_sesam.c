/* The Sesam side of a draft: a system that runs the container, a pipe that collects from each source and one that
 * shares with each sink. */
#include "ops/draft.h"

/* json_pack returns NULL where one of its parts is, and json_array_append_new says so. */
static void add(struct draft *draft, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value))
        draft->failed = true;
}

static json_t *secret(const struct draft *draft, const char *of)
{
    return json_sprintf("$SECRET(%s-%s)", draft->system, of);
}

static json_t *environment(struct draft *draft)
{
    json_t *environment = json_pack("{s:o, s:o}", "SESAM_SQL_CONFIG", draft_config(draft, true), "SESAM_PASSWORD",
                                    secret(draft, "service"));
    if (draft->password && json_object_set_new(environment, "SESAM_SQL_PASSWORD", secret(draft, "database")))
        draft->failed = true;
    return environment;
}

static json_t *system_object(struct draft *draft)
{
    json_t *docker = json_pack("{s:s, s:i, s:i, s:i, s:o}", "image", "sesam-sql", "port", 5000, "memory", 128,
                               "cpu_quota", 25, "environment", environment(draft));
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:o}", "_id", draft->system, "type", "system:microservice", "docker",
                     docker, "authentication", "basic", "username", "sesam", "password", secret(draft, "service"));
}

static json_t *pipe_id(const struct draft *draft, const struct survey *survey, const char *what)
{
    return json_sprintf("%s-%s-%s", draft->system, survey->name, what);
}

/* What goes unseen until everything is read again is seen once a night. */
static json_t *collect(struct draft *draft, const struct survey *survey)
{
    bool since = survey->changelog || survey->updated != SIZE_MAX;
    json_t *source = json_pack("{s:s, s:s, s:o}", "type", "json", "system", draft->system, "url",
                               json_sprintf("sources/%s", survey->name));
    json_t *pipe =
        json_pack("{s:o, s:s, s:O}", "_id", pipe_id(draft, survey, "collect"), "type", "pipe", "source", source);
    int failed = 0;
    if (since)
        failed = json_object_set_new(source, "supports_since", json_true()) |
                 json_object_set_new(source, "is_chronological", json_true());
    if (since && survey->comparable)
        failed |= json_object_set_new(source, "is_since_comparable", json_true());
    if (since && !survey->changelog && survey->deleted == SIZE_MAX)
        failed |= json_object_set_new(pipe, "pump", json_pack("{s:s}", "rescan_cron_expression", "0 3 * * ?"));
    json_decref(source);
    draft->failed |= failed != 0;
    return pipe;
}

static json_t *share(struct draft *draft, const struct survey *survey)
{
    return json_pack("{s:o, s:s, s:{s:s, s:o}, s:{s:s, s:s, s:o, s:i}}", "_id", pipe_id(draft, survey, "share"), "type",
                     "pipe", "source", "type", "dataset", "dataset", pipe_id(draft, survey, "transform"), "sink",
                     "type", "json", "system", draft->system, "url", json_sprintf("sinks/%s", survey->name),
                     "batch_size", 1000);
}

json_t *draft_sesam(struct draft *draft)
{
    json_t *all = json_array();
    add(draft, all, system_object(draft));
    for (size_t i = 0; i < draft->count; i++) {
        if (draft->surveys[i].relation)
            add(draft, all, collect(draft, &draft->surveys[i]));
        if (draft->surveys[i].relation && draft->sinks[i])
            add(draft, all, share(draft, &draft->surveys[i]));
    }
    if (!draft->failed)
        return all;
    json_decref(all);
    return NULL;
}
