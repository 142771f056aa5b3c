#include "ops/ddl.h"

#include <string.h>

#include "pull/changelog.h"

int ddl_type(enum config_database *type, const char *name)
{
    static const struct {
        const char *name;
        enum config_database type;
    } types[] = {{"postgresql", DATABASE_POSTGRESQL},
                 {"mysql", DATABASE_MYSQL},
                 {"mariadb", DATABASE_MYSQL},
                 {"sqlite", DATABASE_SQLITE}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) != 0)
            continue;
        *type = types[i].type;
        return 0;
    }
    return -1;
}

static int put(FILE *out, const char *text, struct err *err)
{
    if (fputs(text, out) < 0 || fflush(out))
        return err_set(err, ERR_INTERNAL, "cannot write to standard output");
    return 0;
}

int ddl_print(enum config_database type, FILE *out, struct err *err)
{
    const struct driver *driver = db_driver(type, err);
    if (!driver || put(out, driver->state_sql, err))
        return -1;
    return driver->horizon_sql ? put(out, "\n", err) || put(out, driver->horizon_sql, err) : 0;
}

/* where the table is */

/* A table as it was named on the command line, and what the configuration says of it. */
struct named {
    const char *whole;            /* as it was written */
    const char *schema, *table;   /* split at the first point; schema NULL: there was none */
    const struct config_source *source; /* the first that reads it; NULL: none does */
    size_t system;                /* index into the configuration's systems */
};

static bool reads(const struct config_source *source, enum config_database type, const struct named *named)
{
    if (source->system->type != type || !source->table)
        return false;
    if (strcmp(source->table, named->whole) == 0)
        return true;
    return named->schema && strcmp(source->table, named->table) == 0 && source->schema &&
           strcmp(source->schema, named->schema) == 0;
}

/* Of several sources, one with a log knows best. */
static void find_source(const struct config *config, enum config_database type, struct named *named)
{
    for (size_t i = 0; i < config->source_count; i++) {
        const struct config_source *source = &config->sources[i];
        if (reads(source, type, named) && (!named->source || (source->changelog && !named->source->changelog)))
            named->source = source;
    }
}

static int find_system(const struct config *config, enum config_database type, struct named *named, struct err *err)
{
    size_t count = 0;
    find_source(config, type, named);
    for (size_t i = 0; i < config->system_count; i++) {
        if (config->systems[i].type != type || (named->source && named->source->system != &config->systems[i]))
            continue;
        named->system = i;
        count++;
    }
    if (count == 1)
        return 0;
    if (!count)
        return err_set(err, ERR_CONFIG, "the configuration has no system of this type");
    err_set(err, ERR_CONFIG, "the configuration has %zu systems of this type, and no source reads the table '%s'", count,
            named->whole);
    return err_hint(err, "write a source for the table, with \"tracking\": \"changelog\"");
}

/* describing it */

static int describe(const struct named *named, bool whole, const struct driver *driver, struct conn *conn,
                    struct arena *arena, struct relation **relation, struct err *err)
{
    const struct config_source *source = named->source;
    struct subject subject = {.schema = whole ? NULL : named->schema, .table = whole ? named->whole : named->table};
    if (source) {
        subject.schema = source->schema;
        subject.table = source->table;
        subject.key = source->primary_key.items;
        subject.key_count = source->primary_key.count;
    }
    return driver->describe(conn, &subject, arena, relation, err);
}

/* A point may be part of the name. */
static int describe_named(const struct named *named, const struct driver *driver, struct conn *conn, struct arena *arena,
                          struct relation **relation, struct err *err)
{
    struct err second = {0};
    if (describe(named, !named->schema, driver, conn, arena, relation, err) == 0)
        return 0;
    if (err->code != ERR_CHANGED || named->source || !named->schema ||
        describe(named, true, driver, conn, arena, relation, &second))
        return -1;
    err_clear(err);
    return 0;
}

static int make_log(const struct named *named, const struct driver *driver, struct conn *conn, struct arena *arena,
                    struct buf *sql, struct err *err)
{
    struct relation *table = NULL, *logged = NULL;
    struct change_log log = {0};
    if (describe_named(named, driver, conn, arena, &table, err) || changelog_find(&log, driver, conn, table, arena, err) ||
        (log.exists && changelog_check_key(&log, driver, conn, table, arena, &logged, err)))
        return -1;
    return driver->log_sql(conn, table, &log, sql, err);
}

static int print_log(const struct named *named, struct db *db, struct arena *arena, FILE *out, struct err *err)
{
    struct conn *conn = NULL;
    struct buf sql = {0};
    bool fresh;
    if (pool_take(db->pool, NULL, &conn, &fresh, err))
        return -1;
    int failed = make_log(named, db->driver, conn, arena, &sql, err);
    pool_give(db->pool, NULL, conn, failed ? "a look at a table failed on it" : NULL);
    if (!failed)
        failed = buf_text(&sql) ? put(out, sql.data, err) : err_memory(err);
    buf_free(&sql);
    return failed;
}

int ddl_print_log(const struct config *config, struct db *dbs, enum config_database type, const char *table, FILE *out,
                  struct err *err)
{
    struct arena *arena = arena_new();
    const char *point = strchr(table, '.');
    struct named named = {.whole = table, .table = table};
    if (!arena)
        return err_memory(err);
    if (point && point > table && point[1]) {
        named.schema = arena_copy(arena, table, (size_t)(point - table));
        named.table = point + 1;
    }
    int failed = point && point > table && point[1] && !named.schema ? err_memory(err) : 0;
    failed = failed || find_system(config, type, &named, err) || print_log(&named, &dbs[named.system], arena, out, err);
    arena_free(arena);
    return failed ? -1 : 0;
}
