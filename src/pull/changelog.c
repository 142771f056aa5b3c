#include "pull/changelog.h"

#include <stdlib.h>
#include <string.h>

#include "db/relation.h"

/* finding the log */

static int check_table(const struct driver *driver, const struct relation *table, struct err *err)
{
    if (!table->indexable || !driver->log_find) {
        err_set(err, ERR_DATABASE, "%s cannot have a change log: it is no table", table->title);
        return err_hint(err, "log the table behind it, or use an updated_column");
    }
    if (!table->key_count || !table->key_unique) {
        err_set(err, ERR_DATABASE, "%s cannot have a change log: it has no primary key", table->title);
        return err_hint(err, "give it one, or name a unique one as primary_key");
    }
    if (relation_find(table, CHANGE_LOG_CHANGE) == SIZE_MAX && relation_find(table, CHANGE_LOG_GONE) == SIZE_MAX)
        return 0;
    return err_set(err, ERR_DATABASE, "%s cannot have a change log: it has columns with names of the log's own",
                   table->title);
}

int changelog_find(struct change_log *log, const struct driver *driver, struct conn *conn, const struct relation *table,
                   struct arena *arena, struct err *err)
{
    return check_table(driver, table, err) || driver->log_find(conn, table, arena, log, err) ? -1 : 0;
}

static int need_ddl(const struct driver *driver, const struct relation *table, struct err *err)
{
    return err_hint(err, "run what 'sesam-sql ddl %s --table %s --config FILE' prints", driver->type, table->title);
}

static int other_key(const struct driver *driver, const struct change_log *log, const struct relation *table,
                     struct err *err)
{
    err_set(err, ERR_DATABASE, "the change log of %s was made for another key", table->title);
    return err_hint(err, "DROP TABLE %s, run what 'sesam-sql ddl %s --table %s --config FILE' prints, and reset the pipes",
                    log->from, driver->type, table->title);
}

int changelog_check_key(const struct change_log *log, const struct driver *driver, struct conn *conn,
                        const struct relation *table, struct arena *arena, struct relation **described, struct err *err)
{
    const struct subject subject = {.schema = log->schema, .table = log->name, .updated = CHANGE_LOG_CHANGE};
    if (driver->describe(conn, &subject, arena, described, err))
        return -1;
    const struct relation *relation = *described;
    bool same = relation->key_count == table->key_count && relation_find(relation, CHANGE_LOG_CHANGE) != SIZE_MAX &&
                relation_find(relation, CHANGE_LOG_GONE) != SIZE_MAX;
    for (size_t i = 0; same && i < table->key_count; i++) {
        const struct column *wanted = &table->columns[table->key[i]], *logged = &relation->columns[relation->key[i]];
        same = strcmp(wanted->name, logged->name) == 0 && wanted->kind == logged->kind &&
               strcmp(wanted->type, logged->type) == 0;
    }
    return same ? 0 : other_key(driver, log, table, err);
}

/* what is read */

/* The log's columns of the key and the table's others, and whether the table has such a row. */
static void put_query(struct buf *out, const struct changelog *changelog, const struct driver *driver, struct conn *conn)
{
    const struct relation *table = changelog->table;
    buf_puts(out, "SELECT ");
    for (size_t i = 0; i < table->column_count; i++) {
        bool key = false;
        for (size_t part = 0; part < table->key_count; part++)
            key = key || table->key[part] == i;
        buf_puts(out, key ? "l." : "t.");
        driver->quote(conn, out, table->columns[i].name);
        buf_puts(out, ", ");
    }
    buf_puts(out, "l." CHANGE_LOG_CHANGE ", t.");
    driver->quote(conn, out, table->columns[table->key[0]].name);
    buf_printf(out, " IS NULL AS " CHANGE_LOG_GONE " FROM %s AS l%s LEFT JOIN %s AS t ON %s", changelog->log.from,
               changelog->log.hint, table->from, changelog->log.same);
}

/* What the server makes of the query: how it is read from, and of what type the last column is. */
static int describe_query(struct relation **query, const struct changelog *changelog, const struct driver *driver,
                          struct conn *conn, struct arena *arena, struct err *err)
{
    struct buf text = {0};
    put_query(&text, changelog, driver, conn);
    const struct subject subject = {.query = buf_text(&text)};
    int failed = subject.query ? driver->describe(conn, &subject, arena, query, err) : err_memory(err);
    buf_free(&text);
    if (!failed && (*query)->column_count != changelog->table->column_count + 2)
        failed = err_set(err, ERR_CHANGED, "%s was changed just now", changelog->table->title);
    return failed;
}

/* A key is as the log holds it, since its index gives the order. */
static void take_columns(struct changelog *changelog, const struct relation *logged, const struct relation *query)
{
    const struct relation *table = changelog->table;
    struct relation *relation = changelog->relation;
    for (size_t i = 0; i < table->column_count; i++) {
        relation->columns[i] = table->columns[i];
        relation->columns[i].nullable = true; /* of a row that is gone */
    }
    for (size_t i = 0; i < table->key_count; i++) {
        struct column *column = &relation->columns[table->key[i]];
        const struct column *part = &logged->columns[logged->key[i]];
        column->nullable = false;
        column->bytewise = part->bytewise;
        column->collation = part->collation;
    }
    struct column *change = &relation->columns[table->column_count], *gone = change + 1;
    *change = logged->columns[relation_find(logged, CHANGE_LOG_CHANGE)];
    change->nullable = change->zoneless = false; /* a time of the log is UTC, whatever the system's timezone is */
    change->bytewise = true;
    if (change->kind == KIND_INT)
        change->position = POSITION_INTEGER; /* SQLite's, too: the triggers see to it */
    *gone = query->columns[table->column_count + 1];
}

static int make_relation(struct changelog *changelog, const struct driver *driver, struct conn *conn,
                         const struct relation *logged, struct arena *arena, struct err *err)
{
    const struct relation *table = changelog->table;
    struct relation *relation = changelog->relation = arena_alloc(arena, sizeof *relation), *query = NULL;
    if (!relation)
        return err_memory(err);
    if (describe_query(&query, changelog, driver, conn, arena, err))
        return -1;
    *relation = *table;
    relation->from = query->from;
    relation->column_count = query->column_count;
    relation->columns = arena_array(arena, relation->column_count, sizeof *relation->columns);
    if (!relation->columns)
        return err_memory(err);
    take_columns(changelog, logged, query);
    relation->updated_indexed = logged->updated_indexed;
    relation->bulk = relation->triggers = false;
    if (!relation->outside)
        relation->outside = logged->outside;
    changelog->own = table->column_count;
    changelog->gone = table->column_count + 1;
    return 0;
}

int changelog_describe(struct changelog *changelog, const struct driver *driver, struct conn *conn,
                       const struct relation *table, struct arena *arena, struct err *err)
{
    struct change_log *log = &changelog->log;
    struct relation *logged = NULL;
    changelog->table = table;
    if (changelog_find(log, driver, conn, table, arena, err))
        return -1;
    if (!log->exists) {
        err_set(err, ERR_DATABASE, "%s has no change log%s%s", table->title, log->fault ? ", " : "",
                log->fault ? log->fault : "");
        return need_ddl(driver, table, err);
    }
    if (log->fault) {
        err_set(err, ERR_DATABASE, "the change log of %s misses changes: %s", table->title, log->fault);
        return need_ddl(driver, table, err);
    }
    return changelog_check_key(log, driver, conn, table, arena, &logged, err) ||
                   make_relation(changelog, driver, conn, logged, arena, err)
               ? -1
               : 0;
}

/* resuming */

/* At the "!!" before the number; NULL where there is none. */
static const char *suffix_of(const char *text)
{
    const char *mark = strrchr(text, '!');
    bool number = mark && mark[1] && mark[1 + strspn(mark + 1, "0123456789")] == '\0';
    return number && mark > text && mark[-1] == '!' ? mark - 1 : NULL;
}

uint64_t changelog_prunes(const char *text)
{
    const char *suffix = suffix_of(text);
    return suffix ? strtoull(suffix + 2, NULL, 10) : 0;
}

const char *changelog_position(const char *text, struct arena *arena)
{
    const char *suffix = suffix_of(text);
    return suffix ? arena_copy(arena, text, (size_t)(suffix - text)) : text;
}

static bool is_below(const struct value *value, const struct value *than)
{
    return value && than->kind != KIND_NULL && value_compare(value, than) < 0;
}

static bool is_above(const struct value *value, const struct value *than)
{
    return value && than->kind != KIND_NULL && value_compare(value, than) > 0;
}

int changelog_resume(const struct change_mark *mark, uint64_t prunes, const struct since *since, struct err *err)
{
    const struct position *beginning = since_beginning(since);
    if (prunes > mark->prunes || is_above(since->position.updated, &mark->last))
        err_set(err, ERR_GONE, "'since' is from another state of the change log than the present one");
    else if (prunes < mark->prunes && beginning && is_below(beginning->updated, &mark->pruned))
        err_set(err, ERR_GONE, "deletions after 'since' were pruned from the change log");
    else
        return 0;
    return err_hint(err, "reset the pipe, so that it reads everything again");
}
