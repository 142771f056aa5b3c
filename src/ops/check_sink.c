#include "ops/check_sink.h"

#include <string.h>

#include "ops/check.h"
#include "ops/mend.h"

/* A sink that is looked at, on a connection. */
struct look {
    FILE *out;
    const struct config_sink *config;
    const struct driver *driver;
    struct conn *conn;
    unsigned problems;
    bool worn; /* something failed on the connection */
};

static void problem(struct look *look, const struct err *err)
{
    look->problems++;
    check_problem(look->out, err);
}

static void failed(struct look *look, const struct err *err)
{
    look->worn = true;
    problem(look, err);
}

/* a table that is not there */

static void show_creation(struct look *look)
{
    struct buf sql = {0};
    struct err err = {0};
    struct tables tables = {.there = false};
    if (look->driver->create_sql(look->conn, look->config, &sql, &err) || !buf_text(&sql) ||
        look->driver->tables(look->conn, look->config, NULL, &tables, &err)) {
        failed(look, &err);
    } else if (tables.may == MAY_NOT) {
        err_set(&err, ERR_DATABASE, "the table is not there, and the role may not make it");
        problem(look, &err);
        fprintf(look->out, "  mend with either of:\n");
        mend_show(look->out, buf_text(&tables.mend) ? tables.mend.data : "");
        mend_show(look->out, sql.data);
    } else {
        fprintf(look->out, "  table: not there, the first request makes it%s:\n",
                tables.may == MAY ? "" : " if the role may, else run");
        mend_show(look->out, sql.data);
    }
    buf_free(&tables.mend);
    buf_free(&sql);
}

/* the key */

static bool is_nullable(const struct relation *relation)
{
    for (size_t i = 0; i < relation->key_count; i++)
        if (relation->columns[relation->key[i]].nullable)
            return true;
    return false;
}

static void show_key(const struct look *look, const struct relation *relation)
{
    if (!relation->key_count)
        return;
    fprintf(look->out, "  key:");
    for (size_t i = 0; i < relation->key_count; i++)
        fprintf(look->out, "%s %s", i ? "," : "", relation->columns[relation->key[i]].name);
    bool nullable = is_nullable(relation);
    fprintf(look->out, relation->key_unique ? nullable ? " (unique; may be NULL: such a row is no entity's)\n"
                                                       : " (unique and never NULL)\n"
                                            : " (no unique index)\n");
}

/* The columns that the configuration calls the key. */
static size_t put_key(const struct look *look, struct buf *out)
{
    const struct config_sink *config = look->config;
    size_t count = 0;
    for (size_t i = 0; i < config->primary_key.count; i++, count++) {
        buf_puts(out, count ? ", " : "");
        look->driver->quote(look->conn, out, config->primary_key.items[i]);
    }
    for (size_t i = 0; !config->primary_key.count && i < config->column_count; i++) {
        if (!config->columns[i].primary_key)
            continue;
        buf_puts(out, count++ ? ", " : "");
        look->driver->quote(look->conn, out, config->columns[i].name);
    }
    return count;
}

/* A sink needs a unique index on its key, and only a table can have one. */
static void mend_key(const struct look *look, const struct relation *relation)
{
    struct buf key = {0}, statement = {0};
    char name[64];
    if ((relation->key_count && relation->key_unique) || !relation->indexable)
        return;
    if (!put_key(look, &key))
        buf_puts(&key, "...");
    snprintf(name, sizeof name, "%.40s_key_sesam_sql", look->config->table);
    if (relation->key_count || look->config->column_count) {
        buf_puts(&statement, "CREATE UNIQUE INDEX ");
        look->driver->quote(look->conn, &statement, name);
        buf_printf(&statement, " ON %s (%s);", relation->from, buf_text(&key) ? key.data : "...");
    } else {
        buf_printf(&statement, "ALTER TABLE %s ADD PRIMARY KEY (%s);", relation->from, buf_text(&key) ? key.data : "...");
    }
    if (buf_text(&statement))
        fprintf(look->out, "  mend with:\n    %s\n", statement.data);
    buf_free(&key);
    buf_free(&statement);
}

/* what is written */

static const char *lock_how(const struct config_optimistic_lock *lock, const struct column *column)
{
    if (lock->by_database)
        return "the database advances it";
    return column->kind == KIND_DATETIME ? "set to the time by us" : "advanced by 1 by us";
}

static void show_lock(const struct look *look, const struct sink_shape *shape)
{
    const struct config_optimistic_lock *lock = &look->config->lock;
    switch (lock->kind) {
    case LOCK_COLUMN: {
        const struct column *column = shape->version.accept.column;
        fprintf(look->out, "  optimistic lock: %s %s, %s\n", column->name, column->type, lock_how(lock, column));
        break;
    }
    case LOCK_XMIN:
        fprintf(look->out, "  optimistic lock: xmin, from property %s\n", lock->property);
        break;
    case LOCK_HASH:
        fprintf(look->out, "  optimistic lock: the hash of source %s, from property %s\n", lock->source->name,
                lock->property);
        break;
    case LOCK_NONE:
        break;
    }
}

static void show_columns(const struct look *look, const struct sink_shape *shape)
{
    fprintf(look->out, "  columns:");
    for (size_t i = 0; i < shape->target.column_count; i++) {
        const struct column *column = shape->takers[i].accept.column;
        fprintf(look->out, "%s %s %s", i ? "," : "", column->name, column->type);
        if (strcmp(column->name, shape->takers[i].property) != 0)
            fprintf(look->out, " (property %s)", shape->takers[i].property);
    }
    fprintf(look->out, "\n");
    if (look->config->timestamp)
        fprintf(look->out, "  timestamp: %s\n", look->config->timestamp);
}

static bool is_set(const struct sink_shape *shape, size_t column)
{
    for (size_t i = 0; i < shape->target.column_count; i++)
        if (shape->target.columns[i] == column)
            return true;
    for (size_t i = 0; i < shape->on_insert.count; i++)
        if (shape->on_insert.items[i].column == column)
            return true;
    return false;
}

/* A row that is new needs a value in each of them. */
static void find_unset(struct look *look, const struct sink_shape *shape)
{
    for (size_t i = 0; i < shape->relation->column_count; i++) {
        const struct column *column = &shape->relation->columns[i];
        struct err err = {0};
        if (column->nullable || column->defaulted || column->generated || column->identity || is_set(shape, i))
            continue;
        err_set(&err, ERR_DATABASE, "column '%s' cannot be NULL, and neither has it a default nor does the sink write it: "
                                    "no row can be inserted", column->name);
        problem(look, &err);
    }
}

/* rights */

static void show_rights(struct look *look, const struct target *target)
{
    struct buf mend = {0};
    struct err err = {0};
    if (look->driver->rights(look->conn, look->config, target, &mend, &err)) {
        failed(look, &err);
    } else if (mend.len && buf_text(&mend)) {
        err_set(&err, ERR_DATABASE, "the role lacks rights on %s; mend with:", target->relation->title);
        problem(look, &err);
        mend_show(look->out, mend.data);
    } else {
        fprintf(look->out, "  rights: all that it needs\n");
    }
    buf_free(&mend);
}

static void lacks_tables(struct look *look, const struct tables *tables, const char *what)
{
    struct err err = {0};
    err_set(&err, ERR_DATABASE, "%s%s", what, tables->mend.len ? "; mend with:" : "");
    problem(look, &err);
    mend_show(look->out, tables->mend.data ? tables->mend.data : "");
    if (!tables->there)
        fprintf(look->out, "  or run what 'sesam-sql ddl %s' prints, there, and grant SELECT, INSERT, UPDATE and DELETE\n",
                look->driver->type);
}

static void show_tables(struct look *look, const struct target *target)
{
    struct tables tables = {.there = false};
    struct err err = {0};
    if (look->driver->tables(look->conn, look->config, target, &tables, &err))
        failed(look, &err);
    else if (tables.mend.len && !buf_text(&tables.mend))
        failed(look, (err_memory(&err), &err));
    else if (tables.there && tables.mend.len)
        lacks_tables(look, &tables, "the role lacks rights on the tables of full syncs");
    else if (tables.there)
        fprintf(look->out, "  full syncs: their tables are there\n");
    else if (tables.may == MAY_NOT)
        lacks_tables(look, &tables, "the tables of full syncs are not there, and the role may not make them");
    else
        fprintf(look->out, "  full syncs: the first one makes their tables%s\n",
                tables.may == MAY ? "" : " if the role may CREATE; else run what 'sesam-sql ddl' prints");
    buf_free(&tables.mend);
}

static void look_at_shape(struct look *look, const struct sink_shape *shape)
{
    show_columns(look, shape);
    show_lock(look, shape);
    find_unset(look, shape);
    show_rights(look, &shape->target);
    show_tables(look, &shape->target);
}

static void unreadable(struct look *look, const struct err *err)
{
    struct buf mend = {0};
    failed(look, err);
    if ((err->code == ERR_DATABASE || err->code == ERR_CHANGED) &&
        mend_reading(&mend, look->driver, look->conn, look->config->schema, look->config->table)) {
        fprintf(look->out, err->code == ERR_CHANGED ? "  if it is there, mend with:\n" : "  mend with:\n");
        mend_show(look->out, mend.data);
    }
    buf_free(&mend);
}

/* Looked at by itself first: taking the sink would make a table that is not there. */
static void look_at_sink(struct look *look, struct sink *sink, struct arena *arena)
{
    const struct config_sink *config = look->config;
    struct subject subject = {.schema = config->schema, .table = config->table};
    struct relation *relation;
    struct sink_shape *shape = NULL;
    struct err err = {0};
    bool fresh;
    if (look->driver->describe(look->conn, &subject, arena, &relation, &err)) {
        fprintf(look->out, "%s\n", config->table);
        if (err.code == ERR_CHANGED && config->create_table_if_missing)
            show_creation(look);
        else
            unreadable(look, &err);
        return;
    }
    fprintf(look->out, "%s\n", relation->title);
    subject.key = config->primary_key.items;
    subject.key_count = config->primary_key.count;
    if (look->driver->describe(look->conn, &subject, arena, &relation, &err)) {
        failed(look, &err);
        return;
    }
    show_key(look, relation);
    if (sink_take(sink, look->conn, true, &shape, &fresh, &err)) {
        failed(look, &err);
        mend_key(look, relation);
    } else {
        look_at_shape(look, shape);
    }
    sink_give(shape);
}

unsigned check_sink(struct sink *sink, FILE *out)
{
    struct db *db = sink_db(sink);
    struct look look = {.out = out, .config = sink_config(sink), .driver = db->driver};
    struct arena *arena = arena_new();
    struct err err = {0};
    bool fresh;
    fprintf(out, "sink %s: ", look.config->name);
    if (!arena || pool_take(db->pool, NULL, &look.conn, &fresh, &err)) {
        fprintf(out, "system %s does not answer\n", db->system->name);
        arena_free(arena);
        return 1;
    }
    look_at_sink(&look, sink, arena);
    arena_free(arena);
    pool_give(db->pool, NULL, look.conn, look.worn ? "a check failed on it" : NULL);
    return look.problems;
}

bool check_writing(struct sink *sink)
{
    struct db *db = sink_db(sink);
    struct conn *conn = NULL;
    struct sink_shape *shape = NULL;
    struct buf mend = {0};
    struct err err = {0};
    bool fresh, may = true;
    if (pool_take(db->pool, NULL, &conn, &fresh, &err))
        return true;
    if (sink_take(sink, conn, false, &shape, &fresh, &err) == 0)
        may = db->driver->rights(conn, sink_config(sink), &shape->target, &mend, &err) == 0 && !mend.len;
    sink_give(shape);
    buf_free(&mend);
    pool_give(db->pool, NULL, conn, err.code ? "a check failed on it" : NULL);
    return may;
}
