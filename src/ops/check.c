#include "ops/check.h"

#include <string.h>

struct check {
    FILE *out;
    unsigned problems;
};

static void problem(struct check *check, const struct err *err)
{
    check->problems++;
    fprintf(check->out, "  PROBLEM: %s\n", err->text);
    if (err->hint[0])
        fprintf(check->out, "           %s\n", err->hint);
}

static void check_system(struct check *check, struct db *db)
{
    struct err err = {0};
    struct conn *conn = NULL;
    bool fresh;
    fprintf(check->out, "system %s: ", db->system->name);
    if (pool_take(db->pool, NULL, &conn, &fresh, &err)) {
        fprintf(check->out, "%s\n", db->driver->type);
        problem(check, &err);
        return;
    }
    fprintf(check->out, "%s, answers\n", db->driver->server(conn));
    pool_give(db->pool, NULL, conn, NULL);
}

static void list_key(FILE *out, const struct relation *relation)
{
    for (size_t i = 0; i < relation->key_count; i++)
        fprintf(out, "%s%s", i ? ", " : "", relation->columns[relation->key[i]].name);
}

static void check_key(struct check *check, const struct relation *relation)
{
    fprintf(check->out, "  key: ");
    list_key(check->out, relation);
    bool nullable = false;
    for (size_t i = 0; i < relation->key_count; i++)
        nullable = nullable || relation->columns[relation->key[i]].nullable;
    fprintf(check->out, " (%s, %s)\n", relation->key_unique ? "unique" : "not known to be unique",
            nullable ? "may be NULL as far as the catalogue knows: a row with a NULL key fails the read" : "never NULL");
}

static void check_updated(struct check *check, const struct config_source *config, const struct relation *relation)
{
    if (!config->updated_column) {
        fprintf(check->out, "  updated column: none, only full reads\n");
        return;
    }
    for (size_t i = 0; i < relation->column_count; i++)
        if (strcmp(relation->columns[i].name, config->updated_column) == 0)
            fprintf(check->out, "  updated column: %s, %s%s\n", config->updated_column, relation->columns[i].type,
                    relation->columns[i].nullable ? ", may be NULL: such rows come in full reads only" : "");
    if (config->late_commits.mode != LATE_IGNORE)
        fprintf(check->out, "  horizon: not in this version; rows that are committed late can be missed until the next "
                            "full read\n");
    if (relation->updated_indexed || !config->table)
        return;
    fprintf(check->out, "  advice: no index serves the order of the reads; mend with:\n    CREATE INDEX ON %s (%s",
            relation->title, config->updated_column);
    for (size_t i = 0; i < relation->key_count; i++)
        fprintf(check->out, ", %s", relation->columns[relation->key[i]].name);
    fprintf(check->out, ");\n");
}

static void list_columns(struct check *check, const struct shape *shape)
{
    fprintf(check->out, "  columns:");
    for (size_t i = 0; i < shape->column_count; i++) {
        const struct column *column = &shape->relation->columns[shape->columns[i]];
        if (!shape->fields[i].silent)
            fprintf(check->out, "%s %s %s", i ? "," : "", column->name, column->type);
    }
    fprintf(check->out, "\n");
}

/* A row, any row: whether it may be read is best known by reading. */
static int try_read(const struct driver *driver, struct conn *conn, const struct source *source,
                    const struct shape *shape, struct err *err)
{
    const struct config_source *config = source_config(source);
    struct bound bounds[64] = {{0}};
    const struct value *row;
    const struct plan plan = {
        .relation = shape->relation,
        .query = config->query,
        .columns = shape->columns,
        .column_count = shape->column_count,
        .updated = SIZE_MAX,
        .order = ORDER_NONE,
        .limit = 1,
        .bounds = bounds,
        .bound_count = config->parameter_count < 64 ? config->parameter_count : 64,
        .fetch_size = 1,
        .xmin = shape->xmin.prefix != NULL,
    };
    for (size_t i = 0; i < plan.bound_count; i++)
        bounds[i].parameter = &config->parameters[i];
    int failed = driver->read_open(conn, &plan, err) || driver->read_next(conn, &row, err) < 0 ? -1 : 0;
    if (driver->read_close(conn) && !failed)
        err_set(err, ERR_LOST, "the connection could not be kept");
    return failed;
}

static void check_source(struct check *check, struct source *source)
{
    const struct config_source *config = source_config(source);
    struct db *db = source_db(source);
    struct err err = {0};
    struct conn *conn = NULL;
    struct shape *shape = NULL;
    bool fresh;
    fprintf(check->out, "source %s: ", config->name);
    if (pool_take(db->pool, NULL, &conn, &fresh, &err)) {
        fprintf(check->out, "system %s does not answer\n", db->system->name);
        check->problems++;
        return;
    }
    if (source_take(source, conn, true, &shape, &fresh, &err)) {
        fprintf(check->out, "%s\n", config->table ? config->table : "query");
        problem(check, &err);
    } else {
        fprintf(check->out, "%s\n", shape->relation->title);
        check_key(check, shape->relation);
        check_updated(check, config, shape->relation);
        list_columns(check, shape);
        if (try_read(db->driver, conn, source, shape, &err))
            problem(check, &err);
    }
    source_give(shape);
    pool_give(db->pool, NULL, conn, err.code ? "a check failed on it" : NULL);
}

unsigned check_run(const struct config *config, struct db *dbs, struct source **sources, FILE *out)
{
    struct check check = {.out = out};
    for (size_t i = 0; i < config->system_count; i++)
        check_system(&check, &dbs[i]);
    for (size_t i = 0; i < config->source_count; i++)
        check_source(&check, sources[i]);
    for (size_t i = 0; i < config->sink_count; i++)
        fprintf(out, "sink %s: this version does not push yet\n", config->sinks[i].name);
    if (check.problems)
        fprintf(out, "%u problem%s\n", check.problems, check.problems == 1 ? "" : "s");
    else
        fprintf(out, "all is well\n");
    return check.problems;
}
