#include "ops/check.h"

#include <string.h>

#include "ops/check_log.h"
#include "ops/check_sink.h"
#include "ops/mend.h"
#include "pull/horizon.h"
#include "pull/request.h"

struct check {
    FILE *out;
    unsigned problems;
    bool worn; /* a read left the connection in no state to be used again */
};

void check_problem(FILE *out, const struct err *err)
{
    fprintf(out, "  PROBLEM: %s\n", err->text);
    if (err->hint[0])
        fprintf(out, "           %s\n", err->hint);
}

static void problem(struct check *check, const struct err *err)
{
    check->problems++;
    check_problem(check->out, err);
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

/* A source that is looked at, on a connection. */
struct look {
    struct check *check;
    const struct source *source;
    const struct config_source *config;
    const struct driver *driver;
    struct conn *conn;
    const struct shape *shape;
    const struct relation *relation;
    struct wanted wanted; /* the parameters' defaults */
    struct err *err;
};

/* The plan of a read that is only a look: all rows, the parameters' defaults. */
static struct plan plan_look(const struct look *look)
{
    return (struct plan){
        .relation = look->relation,
        .query = look->config->query,
        .updated = SIZE_MAX,
        .order = ORDER_NONE,
        .limit = UINT64_MAX,
        .bounds = look->wanted.bounds,
        .bound_count = look->wanted.bound_count,
        .fetch_size = look->config->fetch_size,
    };
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
static int compare_keys(const struct look *look)
{
    struct buf key = {0}, before = {0};
    const struct value *row;
    int got = 1, failed = 0;
    while (!failed && (got = look->driver->read_next(look->conn, &row, look->err)) > 0) {
        struct buf swap = before;
        if (write_key(&key, row, look->shape))
            failed = err_set(look->err, ERR_DATABASE, "a row has NULL in its key");
        else if (before.len && key.len == before.len && memcmp(key.data, before.data, key.len) == 0)
            failed = err_set(look->err, ERR_DATABASE, "its key is not unique: more than one row has the same");
        before = key;
        key = swap;
    }
    buf_free(&key);
    buf_free(&before);
    return failed || got < 0 ? -1 : 0;
}

/* Where no index promises that the key is unique and never NULL, the rows tell whether it is. */
static int look_at_keys(const struct look *look)
{
    struct plan plan = plan_look(look);
    plan.columns = look->relation->key;
    plan.column_count = look->relation->key_count;
    plan.order = ORDER_KEY;
    int failed = look->driver->read_open(look->conn, &plan, look->err) || compare_keys(look) ? -1 : 0;
    look->check->worn |= look->driver->read_close(look->conn) != 0;
    if (failed)
        err_hint(look->err, "choose a primary_key that is unique and never NULL for source '%s'", look->config->name);
    return failed;
}

static int check_key(const struct look *look)
{
    const struct relation *relation = look->relation;
    bool nullable = false;
    for (size_t i = 0; i < relation->key_count; i++)
        nullable = nullable || relation->columns[relation->key[i]].nullable;
    bool sure = relation->key_unique && !nullable;
    int failed = sure ? 0 : look_at_keys(look);
    fprintf(look->check->out, "  key: ");
    list_key(look->check->out, relation);
    fprintf(look->check->out, sure     ? " (unique and never NULL)\n"
                              : failed ? "\n"
                                       : " (unique and never NULL now, but no index promises it)\n");
    return failed;
}

static void advise_index(const struct look *look)
{
    struct buf statement = {0};
    if (look->relation->updated_indexed || !look->relation->indexable)
        return;
    mend_index(&statement, look->driver, look->conn, look->relation, look->config->table, look->config->updated_column);
    if (buf_text(&statement))
        fprintf(look->check->out, "  advice: no index serves the order of the reads; mend with:\n    %s\n", statement.data);
    buf_free(&statement);
}

static void check_updated(const struct look *look)
{
    const struct config_source *config = look->config;
    FILE *out = look->check->out;
    if (!config->updated_column) {
        fprintf(out, "  updated column: none, only full reads\n");
        return;
    }
    const struct column *column = &look->relation->columns[look->shape->since.updated];
    if (look->shape->changelog)
        return;
    fprintf(out, "  updated column: %s, %s%s\n", column->name, column->type,
            column->nullable ? ", may be NULL: such rows come in full reads only" : "");
    if (config->table)
        advise_index(look);
}

static void say_horizon(const struct look *look, const struct outlook *outlook)
{
    FILE *out = look->check->out;
    const struct column *column = &look->relation->columns[look->shape->since.updated];
    if (!outlook->limited)
        fprintf(out, "  horizon: none (\"late_commits\": \"ignore\"): rows that are committed late are missed until the next "
                     "full read\n");
    else if (outlook->timed && !outlook->horizon.known)
        fprintf(out, "  horizon: none yet");
    else if (outlook->timed)
        fprintf(out, "  horizon: %.1f s behind", outlook->lag);
    else
        fprintf(out, "  horizon: exact");
    if (outlook->limited)
        fprintf(out, "%s%s\n", outlook->horizon.waits ? ", held by " : "", outlook->horizon.waits ? outlook->horizon.holder : "");
    if (outlook->limited && column->position == POSITION_DATE)
        fprintf(out, "  advice: '%s' keeps days: a row that changes twice in a day is final the day after\n", column->name);
}

/* Asked as a read from the beginning would. */
static int look_at_horizon(const struct look *look, struct arena *arena)
{
    struct plan plan = plan_look(look);
    const struct since start = {.kind = SINCE_START};
    struct outlook outlook;
    if (!look->config->updated_column)
        return 0;
    plan.updated = look->shape->since.updated;
    if (outlook_ask(&outlook, look->source, look->shape, look->conn, &plan, &start, arena, look->err)) {
        fprintf(look->check->out, "  horizon: none\n");
        return -1;
    }
    say_horizon(look, &outlook);
    return 0;
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

static int read_all(const struct look *look, const struct plan *plan)
{
    const struct value *row;
    int got = look->driver->read_open(look->conn, plan, look->err) ? -1 : 1;
    while (got > 0)
        got = look->driver->read_next(look->conn, &row, look->err);
    look->check->worn |= look->driver->read_close(look->conn) != 0;
    return got;
}

/* A value of the updated column's kind, whichever. */
static void some_value(const struct column *column, struct value *value)
{
    static const char zeros[16];
    switch (column->position) {
    case POSITION_INTEGER:
    case POSITION_ANY:
        value_set_integer(value, KIND_INT, 0);
        break;
    case POSITION_DATETIME:
    case POSITION_DATE:
        value_set_integer(value, column->kind, 0);
        break;
    case POSITION_UUID:
        value_set_text(value, KIND_UUID, zeros, sizeof zeros);
        break;
    default:
        value_set_text(value, KIND_TEXT, "0", 1);
    }
}

/* A row, any row: whether it may be read is best known by reading. So is whether an updated_query can run. */
static int try_read(const struct look *look)
{
    struct plan plan = plan_look(look);
    struct value since;
    plan.columns = look->shape->columns;
    plan.column_count = look->shape->column_count;
    plan.limit = 1;
    plan.xmin = look->shape->xmin.prefix != NULL;
    if (read_all(look, &plan))
        return -1;
    if (!look->config->updated_query)
        return 0;
    some_value(&look->relation->columns[look->shape->since.updated], &since);
    plan.query = look->config->updated_query;
    plan.updated = look->shape->since.updated;
    plan.since = &since;
    plan.xmin = false;
    if (read_all(look, &plan) == 0)
        return 0;
    return err_hint(look->err, "look at the updated_query of source '%s'", look->config->name);
}

/* Tells what failed, and lets what follows fail for reasons of its own. */
static void note(const struct look *look, int failed)
{
    if (!failed)
        return;
    problem(look->check, look->err);
    look->check->worn = true;
    err_clear(look->err);
}

/* The same of rows, which rights may keep from being read. */
static void note_rows(const struct look *look, int failed)
{
    struct buf mend = {0};
    note(look, failed);
    if (failed && look->config->table &&
        mend_reading(&mend, look->driver, look->conn, look->config->schema, look->config->table)) {
        fprintf(look->check->out, "  mend with:\n");
        mend_show(look->check->out, mend.data);
    }
    buf_free(&mend);
}

static void look_at_rows(const struct look *look, struct arena *arena)
{
    int failed = check_key(look);
    note_rows(look, failed);
    check_updated(look);
    list_columns(look->check, look->shape);
    if (failed)
        return;
    note(look, look_at_horizon(look, arena));
    failed = try_read(look);
    note_rows(look, failed);
    if (!failed && look->shape->changelog)
        note(look, check_log(look->shape->changelog, look->driver, look->conn, look->check->out, look->err));
}

static void look_at_source(struct look *look, struct arena *arena)
{
    struct err required = {0};
    if (request_defaults(&look->wanted, look->source, arena, &required) == 0) {
        look_at_rows(look, arena);
        return;
    }
    check_updated(look);
    list_columns(look->check, look->shape);
    fprintf(look->check->out, "  not looked at: its rows, because %s\n", required.text);
}

unsigned check_source(struct source *source, FILE *out)
{
    struct check here = {.out = out}, *check = &here;
    const struct config_source *config = source_config(source);
    struct db *db = source_db(source);
    struct err err = {0};
    struct conn *conn = NULL;
    struct shape *shape = NULL;
    struct arena *arena = arena_new();
    bool fresh;
    fprintf(check->out, "source %s: ", config->name);
    if (!arena || pool_take(db->pool, NULL, &conn, &fresh, &err)) {
        fprintf(check->out, "system %s does not answer\n", db->system->name);
        arena_free(arena);
        return 1;
    }
    if (source_take(source, conn, true, &shape, &fresh, &err)) {
        fprintf(check->out, "%s\n", config->table ? config->table : "query");
        problem(check, &err);
        if (err.code == ERR_DATABASE || err.code == ERR_CHANGED)
            mend_source(out, db->driver, conn, config, err.code == ERR_CHANGED);
    } else {
        struct look look = {check, source, config, db->driver, conn, shape, shape->relation, {0}, &err};
        fprintf(check->out, "%s\n", shape->relation->title);
        look_at_source(&look, arena);
    }
    source_give(shape);
    arena_free(arena);
    pool_give(db->pool, NULL, conn, check->worn || err.code ? "a check failed on it" : NULL);
    return check->problems;
}

unsigned check_run(const struct config *config, struct db *dbs, struct source **sources, struct sink **sinks,
                   FILE *out)
{
    struct check check = {.out = out};
    for (size_t i = 0; i < config->system_count; i++)
        check_system(&check, &dbs[i]);
    for (size_t i = 0; i < config->source_count; i++)
        check.problems += check_source(sources[i], out);
    for (size_t i = 0; i < config->sink_count; i++)
        check.problems += check_sink(sinks[i], out);
    if (check.problems)
        fprintf(out, "%u problem%s\n", check.problems, check.problems == 1 ? "" : "s");
    else
        fprintf(out, "all is well\n");
    return check.problems;
}
