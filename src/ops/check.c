#include "ops/check.h"

#include <stdlib.h>
#include <string.h>

struct check {
    FILE *out;
    unsigned problems;
    bool worn; /* a read left the connection in no state to be used again */
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

/* The plan of a read that is only a look: all rows, no parameters given. */
static void plan_look(struct plan *plan, struct bound *bounds, const struct config_source *config,
                      const struct relation *relation)
{
    *plan = (struct plan){
        .relation = relation,
        .query = config->query,
        .updated = SIZE_MAX,
        .order = ORDER_NONE,
        .limit = UINT64_MAX,
        .bounds = bounds,
        .bound_count = config->parameter_count,
        .fetch_size = config->fetch_size,
    };
    for (size_t i = 0; i < config->parameter_count; i++)
        bounds[i] = (struct bound){.parameter = &config->parameters[i]};
}

/* Appends the key's parts, each with its length, so that no two keys look the same. A NULL part is -1. */
static int write_key(struct buf *out, const struct value *row, const struct shape *shape)
{
    buf_reset(out);
    for (size_t i = 0; i < shape->relation->key_count; i++) {
        if (row[i].kind == KIND_NULL)
            return -1;
        size_t start = out->len;
        entity_text(out, shape->key_fields[i], &row[i]);
        buf_printf(out, "/%zu/", out->len - start);
    }
    return 0;
}

/* Reads the keys in order, where equal ones are neighbours. */
static int compare_keys(const struct driver *driver, struct conn *conn, const struct shape *shape, struct err *err)
{
    struct buf key = {0}, before = {0};
    const struct value *row;
    int got, failed = 0;
    while (!failed && (got = driver->read_next(conn, &row, err)) > 0) {
        struct buf swap = before;
        if (write_key(&key, row, shape))
            failed = err_set(err, ERR_DATABASE, "a row has NULL in its key");
        else if (before.len && key.len == before.len && memcmp(key.data, before.data, key.len) == 0)
            failed = err_set(err, ERR_DATABASE, "its key is not unique: more than one row has the same");
        before = key;
        key = swap;
    }
    buf_free(&key);
    buf_free(&before);
    return failed || got < 0 ? -1 : 0;
}

/* Where no index promises that the key is unique and never NULL, the rows tell whether it is. */
static int look_at_keys(struct check *check, const struct source *source, const struct driver *driver, struct conn *conn,
                        const struct shape *shape, struct err *err)
{
    const struct config_source *config = source_config(source);
    struct bound *bounds = calloc(config->parameter_count + 1, sizeof *bounds);
    struct plan plan;
    if (!bounds)
        return err_memory(err);
    plan_look(&plan, bounds, config, shape->relation);
    plan.columns = shape->relation->key;
    plan.column_count = shape->relation->key_count;
    plan.order = ORDER_KEY;
    int failed = driver->read_open(conn, &plan, err) || compare_keys(driver, conn, shape, err) ? -1 : 0;
    check->worn |= driver->read_close(conn) != 0;
    free(bounds);
    if (failed)
        err_hint(err, "choose a primary_key that is unique and never NULL for source '%s'", config->name);
    return failed;
}

static int check_key(struct check *check, const struct source *source, const struct driver *driver, struct conn *conn,
                     const struct shape *shape, struct err *err)
{
    const struct relation *relation = shape->relation;
    bool nullable = false;
    for (size_t i = 0; i < relation->key_count; i++)
        nullable = nullable || relation->columns[relation->key[i]].nullable;
    bool sure = relation->key_unique && !nullable;
    int failed = sure ? 0 : look_at_keys(check, source, driver, conn, shape, err);
    fprintf(check->out, "  key: ");
    list_key(check->out, relation);
    fprintf(check->out, sure ? " (unique and never NULL)\n" : failed ? "\n" : " (unique and never NULL now, but no index promises it)\n");
    return failed;
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
static int try_read(struct check *check, const struct driver *driver, struct conn *conn, const struct source *source,
                    const struct shape *shape, struct err *err)
{
    const struct config_source *config = source_config(source);
    const struct value *row;
    struct bound *bounds = calloc(config->parameter_count + 1, sizeof *bounds);
    struct plan plan;
    if (!bounds)
        return err_memory(err);
    plan_look(&plan, bounds, config, shape->relation);
    plan.columns = shape->columns;
    plan.column_count = shape->column_count;
    plan.limit = 1;
    plan.xmin = shape->xmin.prefix != NULL;
    int got = driver->read_open(conn, &plan, err) ? -1 : 1;
    while (got > 0)
        got = driver->read_next(conn, &row, err);
    check->worn |= driver->read_close(conn) != 0;
    free(bounds);
    return got;
}

static void check_source(struct check *check, struct source *source)
{
    const struct config_source *config = source_config(source);
    struct db *db = source_db(source);
    struct err err = {0};
    struct conn *conn = NULL;
    struct shape *shape = NULL;
    bool fresh;
    check->worn = false;
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
        int failed = check_key(check, source, db->driver, conn, shape, &err);
        check_updated(check, config, shape->relation);
        list_columns(check, shape);
        if (failed || try_read(check, db->driver, conn, source, shape, &err))
            problem(check, &err);
    }
    source_give(shape);
    pool_give(db->pool, NULL, conn, check->worn || err.code ? "a check failed on it" : NULL);
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
