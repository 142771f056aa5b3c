/* Change logs of PostgreSQL: the triggers write the transaction's id, so that what is still open is known exactly. */
#include "db/postgres.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "db/change_log.h"
#include "db/sql.h"

static const char what[] = "cannot look for the change log";

/* finding */

/* "a"."b", in arena. */
static const char *qualified(struct conn *conn, struct arena *arena, const char *schema, const char *name,
                             struct err *err)
{
    struct buf text = {0};
    int failed = postgres_identifier(conn, &text, schema, err);
    buf_putc(&text, '.');
    failed = failed || postgres_identifier(conn, &text, name, err);
    const char *kept = !failed && buf_text(&text) ? arena_strdup(arena, text.data) : NULL;
    buf_free(&text);
    if (!kept)
        err_memory(err);
    return kept;
}

static const char *literal(struct conn *conn, struct arena *arena, const char *value, struct err *err)
{
    struct buf text = {0};
    int failed = postgres_literal(conn, &text, value, strlen(value), err);
    const char *kept = !failed && buf_text(&text) ? arena_strdup(arena, text.data) : NULL;
    buf_free(&text);
    if (!kept)
        err_memory(err);
    return kept;
}

static const char *same_key(struct conn *conn, const struct relation *table, struct arena *arena, struct err *err)
{
    const struct change_log_names names = {&driver_postgresql, conn, table};
    struct buf text = {0};
    change_log_each(&text, &names, "t.% = l.%", " AND ");
    const char *kept = buf_text(&text) ? arena_strdup(arena, text.data) : NULL;
    buf_free(&text);
    if (!kept)
        err_memory(err);
    return kept;
}

static int name_log(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
                    struct err *err)
{
    char name[CHANGE_LOG_NAME];
    PGresult *result = postgres_query(conn,
                                      "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
                                      " ON n.oid = c.relnamespace WHERE c.oid = $1::pg_catalog.regclass",
                                      1, &table->from, what, err);
    if (!result)
        return -1;
    int failed = PQntuples(result) != 1;
    if (failed) {
        err_set(err, ERR_CHANGED, "table '%s' does not exist", table->title);
    } else {
        const char *own = PQgetvalue(result, 0, 1);
        change_log_name(name, own);
        log->schema = arena_strdup(arena, PQgetvalue(result, 0, 0));
        log->name = arena_strdup(arena, name);
        log->hint = "";
        failed = !log->schema || !log->name || !(log->from = qualified(conn, arena, log->schema, name, err)) ||
                 !(log->list = qualified(conn, arena, log->schema, "sesam_sql_log", err)) ||
                 !(log->table = literal(conn, arena, own, err)) || !(log->same = same_key(conn, table, arena, err));
    }
    PQclear(result);
    return failed ? err_memory(err) : 0;
}

/* The tables that hold rows, each with the states of its triggers, "-" where there is none: its own for rows, and for
 * TRUNCATE. Those of partitions are made with the table's own, but not the one for TRUNCATE. */
static PGresult *ask_triggers(struct conn *conn, const struct relation *table, struct err *err)
{
    static const char sql[] =
        "SELECT r.oid::regclass::text, r.oid = $1::regclass,"
        " coalesce((SELECT g.tgenabled FROM pg_trigger g WHERE g.tgrelid = r.oid AND g.tgname = 'sesam_sql_log'"
        "  AND g.tgtype = 29), '-'),"
        " coalesce((SELECT g.tgenabled FROM pg_trigger g WHERE g.tgrelid = r.oid AND g.tgname = 'sesam_sql_log_truncate'"
        "  AND g.tgtype = 32), '-')"
        " FROM (SELECT $1::regclass::oid AS oid UNION SELECT p.relid::oid FROM pg_partition_tree($1::regclass) p) r"
        " ORDER BY 2 DESC, 1";
    return postgres_query(conn, sql, 1, &table->from, what, err);
}

static const char *trigger_fault(struct arena *arena, const char *trigger, const char *table, const char *state)
{
    if (*state == '-')
        return arena_printf(arena, "the trigger '%s' of %s is missing", trigger, table);
    if (*state == 'D')
        return arena_printf(arena, "the trigger '%s' of %s is disabled", trigger, table);
    if (*state == 'R')
        return arena_printf(arena, "the trigger '%s' of %s fires for replicated changes only", trigger, table);
    return NULL;
}

static int find_fault(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
                      struct err *err)
{
    PGresult *result = ask_triggers(conn, table, err);
    if (!result)
        return -1;
    for (int i = 0; i < PQntuples(result) && !log->fault; i++) {
        const char *name = PQgetvalue(result, i, 0);
        log->fault = trigger_fault(arena, "sesam_sql_log", name, PQgetvalue(result, i, 2));
        if (!log->fault && PQgetvalue(result, i, 1)[0] == 't')
            log->fault = trigger_fault(arena, "sesam_sql_log_truncate", name, PQgetvalue(result, i, 3));
    }
    PQclear(result);
    return 0;
}

int postgres_log_find(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
                      struct err *err)
{
    if (PQserverVersion(conn->pg) < 130000) {
        err_set(err, ERR_DATABASE, "a change log needs PostgreSQL 13, this is %s", conn->server);
        return err_hint(err, "use an updated_column");
    }
    if (name_log(conn, table, arena, log, err))
        return -1;
    PGresult *result = postgres_query(conn, "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL", 2,
                                      (const char *const[]){log->from, log->list}, what, err);
    if (!result)
        return -1;
    log->exists = PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return log->exists ? find_fault(conn, table, arena, log, err) : 0;
}

/* the statements */

static int put_column(struct conn *conn, struct buf *out, const PGresult *result, struct err *err)
{
    buf_puts(out, "    ");
    if (postgres_identifier(conn, out, PQgetvalue(result, 0, 0), err))
        return -1;
    buf_printf(out, " %s", PQgetvalue(result, 0, 1));
    if (!PQgetisnull(result, 0, 2))
        buf_printf(out, " COLLATE %s", PQgetvalue(result, 0, 2));
    buf_puts(out, " NOT NULL");
    return 0;
}

/* Types and collations with their schemas: whoever runs the statements may have another search_path. */
static int put_columns(struct conn *conn, struct buf *out, const struct relation *table, struct err *err)
{
    static const char sql[] =
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attcollation <> t.typcollation THEN"
        " (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.collname) FROM pg_collation c"
        "  JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = a.attcollation) END"
        " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
        " WHERE a.attrelid = $1::regclass AND a.attname = $2 AND a.attnum > 0";
    for (size_t i = 0; i < table->key_count; i++) {
        const char *values[] = {table->from, table->columns[table->key[i]].name};
        PGresult *result = postgres_query(conn, sql, 2, values, what, err);
        if (!result)
            return -1;
        buf_puts(out, i ? ",\n" : "");
        int failed = PQntuples(result) == 1 ? put_column(conn, out, result, err)
                                            : err_set(err, ERR_CHANGED, "%s was changed just now", table->title);
        PQclear(result);
        if (failed)
            return -1;
    }
    return 0;
}

static void put_trigger(struct conn *conn, struct buf *out, const char *trigger, const char *when, const char *table,
                        const char *function)
{
    const char *create = "CREATE OR REPLACE TRIGGER";
    if (PQserverVersion(conn->pg) < 140000) {
        buf_printf(out, "DROP TRIGGER IF EXISTS %s ON %s;\n", trigger, table);
        create = "CREATE TRIGGER";
    }
    buf_printf(out, "%s %s AFTER %s ON %s\n    %s EXECUTE FUNCTION %s();\n", create, trigger, when, table,
               strcmp(when, "TRUNCATE") == 0 ? "FOR EACH STATEMENT" : "FOR EACH ROW", function);
    buf_printf(out, "ALTER TABLE %s ENABLE ALWAYS TRIGGER %s;\n", table, trigger);
}

/* The partitions' own: for TRUNCATE of a single one, and since ALWAYS does not reach them on every version. */
static int put_triggers(struct conn *conn, struct buf *out, const struct relation *table, const struct change_log *log,
                        struct err *err)
{
    static const char sql[] = "SELECT p.relid::regclass::text, p.isleaf FROM pg_partition_tree($1::regclass) p"
                              " WHERE p.relid <> $1::regclass ORDER BY p.level, 1";
    PGresult *result = postgres_query(conn, sql, 1, &table->from, what, err);
    if (!result)
        return -1;
    put_trigger(conn, out, "sesam_sql_log", "INSERT OR UPDATE OR DELETE", table->from, log->from);
    put_trigger(conn, out, "sesam_sql_log_truncate", "TRUNCATE", table->from, log->from);
    for (int i = 0; i < PQntuples(result); i++) {
        const char *partition = PQgetvalue(result, i, 0);
        buf_printf(out, "ALTER TABLE %s ENABLE ALWAYS TRIGGER sesam_sql_log;\n", partition);
        put_trigger(conn, out, "sesam_sql_log_truncate", "TRUNCATE", partition, log->from);
    }
    PQclear(result);
    return 0;
}

/* A dollar quote that does not occur in the names. */
static const char *free_tag(const struct relation *table, const struct change_log *log)
{
    static const char *const tags[] = {"$sesam$", "$sesam_sql$", "$sesam_sql_log_function$"};
    for (size_t tag = 0; tag < 3; tag++) {
        bool taken = strstr(log->from, tags[tag]) || strstr(table->from, tags[tag]);
        for (size_t i = 0; i < table->key_count; i++)
            taken = taken || strstr(table->columns[table->key[i]].name, tags[tag]);
        if (!taken)
            return tags[tag];
    }
    return NULL;
}

static int put_role(struct conn *conn, struct buf *out, struct err *err)
{
    PGresult *result = postgres_query(conn, "SELECT current_user", 0, NULL, what, err);
    int failed = result ? postgres_identifier(conn, out, PQgetvalue(result, 0, 0), err) : -1;
    PQclear(result);
    return failed;
}

enum word { TITLE, LIST, LOG, TABLE, COLUMNS, KEYS, T_KEYS, NEW, OLD, SET, SAME, OLD_SAME, INDEX, NAME, TAG, TRIGGERS, ROLE,
            WORDS };

static int fill_words(struct conn *conn, const struct relation *table, const struct change_log *log,
                      struct change_log_word *words, struct err *err)
{
    const struct change_log_names names = {&driver_postgresql, conn, table};
    const char *tag = free_tag(table, log);
    char index[CHANGE_LOG_NAME + 8];
    if (!tag)
        return err_set(err, ERR_DATABASE, "the names of %s cannot stand in a function", table->title);
    change_log_title(&words[TITLE].text, table);
    buf_puts(&words[LIST].text, log->list);
    buf_puts(&words[LOG].text, log->from);
    buf_puts(&words[TABLE].text, table->from);
    change_log_each(&words[KEYS].text, &names, "%", ", ");
    change_log_each(&words[T_KEYS].text, &names, "t.%", ", ");
    change_log_each(&words[NEW].text, &names, "NEW.%", ", ");
    change_log_each(&words[OLD].text, &names, "OLD.%", ", ");
    change_log_each(&words[SET].text, &names, "% = excluded.%", ", ");
    change_log_each(&words[OLD_SAME].text, &names, "t.% = OLD.%", " AND ");
    buf_puts(&words[SAME].text, log->same);
    buf_puts(&words[NAME].text, log->table);
    buf_puts(&words[TAG].text, tag);
    snprintf(index, sizeof index, "%s_change", log->name);
    return postgres_identifier(conn, &words[INDEX].text, index, err) ||
                   put_columns(conn, &words[COLUMNS].text, table, err) ||
                   put_triggers(conn, &words[TRIGGERS].text, table, log, err) ||
                   put_role(conn, &words[ROLE].text, err)
               ? -1
               : 0;
}

int postgres_log_sql(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *sql,
                     struct err *err)
{
    struct change_log_word words[WORDS] = {
        [TITLE] = {"title", {0}},       [LIST] = {"list", {0}},         [LOG] = {"log", {0}},   [TABLE] = {"table", {0}},
        [COLUMNS] = {"columns", {0}},   [KEYS] = {"keys", {0}},         [NEW] = {"new", {0}},   [OLD] = {"old", {0}},
        [SET] = {"set", {0}},           [SAME] = {"same", {0}},         [INDEX] = {"index", {0}}, [NAME] = {"name", {0}},
        [OLD_SAME] = {"old_same", {0}}, [TRIGGERS] = {"triggers", {0}}, [TAG] = {"tag", {0}},   [ROLE] = {"role", {0}},
        [T_KEYS] = {"t_keys", {0}},
    };
    PGresult *begun = postgres_query(conn, "BEGIN", 0, NULL, what, err);
    PGresult *path = begun ? postgres_query(conn, "SET LOCAL search_path = pg_catalog", 0, NULL, what, err) : NULL;
    int failed = path ? fill_words(conn, table, log, words, err) : -1;
    PQclear(path);
    PQclear(begun);
    PQclear(PQexec(conn->pg, "ROLLBACK"));
    if (!failed)
        failed = change_log_fill(sql, sql_postgresql_changelog, words, WORDS, err);
    change_log_free(words, WORDS);
    return failed;
}

/* asking */

static PGresult *ask(struct conn *conn, struct buf *sql, struct err *err)
{
    PGresult *result = NULL;
    if (buf_text(sql))
        result = postgres_query(conn, sql->data, 0, NULL, "cannot read the change log", err);
    else
        err_memory(err);
    buf_free(sql);
    return result;
}

int postgres_log_mark(struct conn *conn, const struct change_log *log, struct change_mark *mark, struct err *err)
{
    struct buf sql = {0};
    buf_printf(&sql, "SELECT prunes, pruned FROM %s WHERE name = %s", log->list, log->table);
    PGresult *result = ask(conn, &sql, err);
    *mark = (struct change_mark){0};
    if (!result)
        return -1;
    if (PQntuples(result) == 1) {
        mark->prunes = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
        if (!PQgetisnull(result, 0, 1))
            mark->pruned = (struct value){.kind = KIND_UINT, .natural = strtoull(PQgetvalue(result, 0, 1), NULL, 10)};
    }
    PQclear(result);
    return 0;
}

int postgres_log_missed(struct conn *conn, const struct relation *table, const struct change_log *log,
                        struct change_missed *missed, struct err *err)
{
    const struct change_log_names names = {&driver_postgresql, conn, table};
    struct buf sql = {0};
    change_log_missed(&sql, &names, log);
    PGresult *result = ask(conn, &sql, err);
    if (!result)
        return -1;
    missed->rows = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    missed->deletions = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
    PQclear(result);
    return 0;
}

int postgres_log_risks(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *risks,
                       struct err *err)
{
    (void)log;
    PGresult *result = ask_triggers(conn, table, err);
    if (!result)
        return -1;
    for (int i = 0; i < PQntuples(result); i++) {
        const char *name = PQgetvalue(result, i, 0), *rows = PQgetvalue(result, i, 2), *all = PQgetvalue(result, i, 3);
        if (*rows == 'O')
            buf_printf(risks, "changes that come by replication are not logged: the trigger of %s is not ENABLE ALWAYS\n",
                       name);
        if (*all == '-' || *all == 'D' || *all == 'R')
            buf_printf(risks, "TRUNCATE of the partition %s is not logged: it has no trigger for it\n", name);
    }
    if (PQntuples(result) > 1)
        buf_puts(risks, "DROP and DETACH of a partition are not logged\n");
    PQclear(result);
    return 0;
}
