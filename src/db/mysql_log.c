/* Change logs of MySQL and MariaDB: the triggers write the server's time. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/change_log.h"
#include "db/sql.h"

/* Never before the statement began, as the process list shows it, and in UTC. SYSDATE is immune to SET TIMESTAMP, but
 * goes back with the session's zone when summer time ends: the later one of both goes back only when both do. */
#define NOW "COALESCE(GREATEST(UTC_TIMESTAMP(6), CONVERT_TZ(SYSDATE(6), @@session.time_zone, '+00:00')), UTC_TIMESTAMP(6))"

/* finding */

/* Takes a quoted name, and the point behind it. */
static const char *unquote(const char **from, struct arena *arena)
{
    struct buf name = {0};
    const char *at = *from + 1;
    for (; *at && (*at != '`' || at[1] == '`'); at++) {
        at += *at == '`';
        buf_putc(&name, *at);
    }
    *from = *at && at[1] ? at + 2 : at;
    const char *kept = buf_text(&name) ? arena_strdup(arena, name.data) : NULL;
    buf_free(&name);
    return kept;
}

static const char *keep(struct buf *text, struct arena *arena)
{
    const char *kept = buf_text(text) ? arena_strdup(arena, text->data) : NULL;
    buf_free(text);
    return kept;
}

static const char *qualified(struct arena *arena, const char *schema, const char *name)
{
    struct buf text = {0};
    mydb_name(&text, schema);
    buf_putc(&text, '.');
    mydb_name(&text, name);
    return keep(&text, arena);
}

/* As long as the sql_mode says nothing else, and in all of them ours and those that ddl prints do not. */
static void put_literal(struct buf *out, const char *text)
{
    buf_putc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            buf_putc(out, *text);
        buf_putc(out, *text);
    }
    buf_putc(out, '\'');
}

/* What the catalogue says of a column of the key. */
struct part {
    const char *name, *type;
    const char *charset, *collation; /* NULL: it holds no text */
    const char *bin;                 /* the collation of its charset that tells all texts apart */
};

/* The schema and the name of the table, its engine, and its key. */
struct logged {
    const char *schema, *name, *engine;
    struct part *parts;
    size_t count;
};

static int find_part(struct mydb_describing *d, const struct logged *logged, const char *column, struct part *part)
{
    MYSQL_RES *rows = mydb_ask(d,
                               "SELECT COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME"
                               " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = % AND TABLE_NAME = %"
                               " AND COLUMN_NAME = %",
                               (const char *const[]){logged->schema, logged->name, column});
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    bool found = row, text = row && row[2];
    if (found)
        *part = (struct part){mydb_keep(d, row[0]), mydb_keep(d, row[1]), mydb_keep(d, row[2]), mydb_keep(d, row[3]),
                              text ? arena_printf(d->arena, "%s_bin", row[2]) : NULL};
    if (rows)
        mysql_free_result(rows);
    if (found)
        return part->name && part->type && (!text || part->bin) ? 0 : err_memory(d->err);
    return err_set(d->err, ERR_CHANGED, "%s.%s was changed just now", logged->schema, logged->name);
}

static int find_logged(struct mydb_describing *d, const struct relation *table, struct logged *logged)
{
    const char *from = table->from;
    logged->schema = unquote(&from, d->arena);
    logged->name = unquote(&from, d->arena);
    logged->count = table->key_count;
    logged->parts = arena_array(d->arena, table->key_count + 1, sizeof *logged->parts);
    if (!logged->schema || !logged->name || !logged->parts)
        return err_memory(d->err);
    for (size_t i = 0; i < table->key_count; i++)
        if (find_part(d, logged, table->columns[table->key[i]].name, &logged->parts[i]))
            return -1;
    return 0;
}

/* t.k = l.k by the table's own collation, so that its index is used, and then by all that is in the text. row is "l." or
 * "OLD.", whose values compare by collation bin or that of the table. */
static void put_same(struct buf *out, const struct logged *logged, const char *row)
{
    for (size_t i = 0; i < logged->count; i++) {
        const struct part *part = &logged->parts[i];
        buf_puts(out, i ? " AND t." : "t.");
        mydb_name(out, part->name);
        buf_printf(out, " = %s", row);
        mydb_name(out, part->name);
        if (!part->collation || strcmp(part->collation, part->bin) == 0 || strcmp(part->collation, "binary") == 0)
            continue;
        buf_printf(out, " COLLATE %s AND t.", part->collation);
        mydb_name(out, part->name);
        buf_printf(out, " COLLATE %s = %s", part->bin, row);
        mydb_name(out, part->name);
        buf_printf(out, " COLLATE %s", part->bin);
    }
}

/* Triggers can only be seen by who may make some; the function that ddl prints sees them for others. */
static int count_triggers(struct mydb_describing *d, const struct logged *logged, const char *name, unsigned *count)
{
    char names[CHANGE_LOG_TRIGGERS][CHANGE_LOG_NAME + 8];
    for (size_t i = 0; i < CHANGE_LOG_TRIGGERS; i++)
        snprintf(names[i], sizeof names[i], "%s_%s", name, change_log_events[i]);
    MYSQL_RES *rows = mydb_ask(d,
                               "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = % AND"
                               " EVENT_OBJECT_SCHEMA = % AND EVENT_OBJECT_TABLE = % AND ACTION_TIMING = 'AFTER'"
                               " AND TRIGGER_NAME IN (%, %, %)",
                               (const char *const[]){logged->schema, logged->schema, logged->name, names[0], names[1],
                                                     names[2]});
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    *count = row ? (unsigned)atoi(row[0]) : 0;
    if (rows)
        mysql_free_result(rows);
    return rows ? 0 : -1;
}

enum { TRIGGERS_HIDDEN = 4 };

static unsigned ask_function(struct conn *conn, const struct change_log *log)
{
    struct buf sql = {0};
    unsigned count = TRIGGERS_HIDDEN;
    buf_printf(&sql, "SELECT %s()", log->from);
    if (buf_text(&sql) && mysql_real_query(conn->mysql, sql.data, (unsigned long)sql.len) == 0) {
        MYSQL_RES *rows = mysql_store_result(conn->mysql);
        MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
        if (row && row[0])
            count = (unsigned)atoi(row[0]);
        if (rows)
            mysql_free_result(rows);
    }
    buf_free(&sql);
    return count;
}

static int find_fault(struct mydb_describing *d, const struct logged *logged, struct change_log *log)
{
    unsigned count;
    if (count_triggers(d, logged, log->name, &count))
        return -1;
    if (count != CHANGE_LOG_TRIGGERS)
        count = ask_function(d->conn, log);
    if (count == TRIGGERS_HIDDEN)
        log->fault = arena_printf(d->arena, "the role may not see whether its triggers are there: GRANT EXECUTE ON FUNCTION "
                                            "%s to it", log->from);
    else if (count != CHANGE_LOG_TRIGGERS)
        log->fault = "one of its triggers is missing";
    return 0;
}

static int find_log(struct mydb_describing *d, const struct relation *table, struct logged *logged,
                    struct change_log *log)
{
    char name[CHANGE_LOG_NAME];
    struct buf same = {0}, literal = {0};
    if (find_logged(d, table, logged))
        return -1;
    change_log_name(name, logged->name);
    put_same(&same, logged, "l.");
    put_literal(&literal, logged->name);
    log->schema = logged->schema;
    /* Else a long list of one time is read by two indexes, and sorted. */
    log->hint = " FORCE INDEX (sesam_change)";
    log->name = mydb_keep(d, name);
    log->from = qualified(d->arena, logged->schema, name);
    log->list = qualified(d->arena, logged->schema, "sesam_sql_log");
    log->same = keep(&same, d->arena);
    log->table = keep(&literal, d->arena);
    if (!log->name || !log->from || !log->list || !log->same || !log->table)
        return err_memory(d->err);
    MYSQL_RES *rows = mydb_ask(d,
                               "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = % AND"
                               " TABLE_NAME IN (%, 'sesam_sql_log')",
                               (const char *const[]){logged->schema, name});
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    log->exists = row && strcmp(row[0], "2") == 0;
    if (!log->exists)
        log->fault = arena_printf(d->arena, "or the role may not see it: GRANT SELECT ON %s, and ON %s, to it", log->list,
                                  log->from);
    if (rows)
        mysql_free_result(rows);
    return rows ? 0 : -1;
}

int mydb_log_find(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
                  struct err *err)
{
    mydb_thread();
    struct err own = {0};
    struct mydb_describing d = {.conn = conn, .arena = arena, .err = err ? err : &own};
    struct logged logged = {0};
    conn->busy = true;
    int failed = find_log(&d, table, &logged, log);
    if (!failed && log->exists)
        failed = find_fault(&d, &logged, log);
    conn->busy = false;
    return failed;
}

/* the statements */

/* A text's collation tells all texts apart, so that a key that changes only its case is another one. */
static void put_columns(struct buf *out, const struct logged *logged)
{
    for (size_t i = 0; i < logged->count; i++) {
        const struct part *part = &logged->parts[i];
        buf_puts(out, i ? ",\n    " : "    ");
        mydb_name(out, part->name);
        buf_printf(out, " %s", part->type);
        if (part->charset)
            buf_printf(out, " CHARACTER SET %s COLLATE %s", part->charset,
                       strcmp(part->collation, "binary") == 0 ? "binary" : part->bin);
        buf_puts(out, " NOT NULL");
        if (strncmp(part->type, "timestamp", 9) == 0)
            buf_puts(out, " DEFAULT '2000-01-01'"); /* else the server may give it one that moves */
    }
}

static void put_unchanged(struct buf *out, const struct logged *logged)
{
    for (size_t i = 0; i < logged->count; i++) {
        const struct part *part = &logged->parts[i];
        buf_puts(out, i ? " AND OLD." : "OLD.");
        mydb_name(out, part->name);
        buf_puts(out, " <=> NEW.");
        mydb_name(out, part->name);
        if (part->charset && strcmp(part->collation, "binary") != 0)
            buf_printf(out, " COLLATE %s", part->bin);
    }
}

static void put_trigger_name(struct buf *out, const struct logged *logged, const struct change_log *log, size_t event)
{
    char name[CHANGE_LOG_NAME + 8];
    snprintf(name, sizeof name, "%s_%s", log->name, change_log_events[event]);
    mydb_name(out, logged->schema);
    buf_putc(out, '.');
    mydb_name(out, name);
}

/* MySQL cannot replace a trigger: there the table is locked meanwhile. */
static void put_create(struct buf *out, const struct conn *conn, const struct logged *logged, const struct relation *table,
                       const struct change_log *log, size_t event)
{
    if (!conn->mariadb) {
        buf_puts(out, "DROP TRIGGER IF EXISTS ");
        put_trigger_name(out, logged, log, event);
        buf_puts(out, "//\n");
    }
    buf_puts(out, conn->mariadb ? "CREATE OR REPLACE TRIGGER " : "CREATE TRIGGER ");
    put_trigger_name(out, logged, log, event);
    buf_printf(out, " AFTER %s ON %s FOR EACH ROW", change_log_events[event], table->from);
}

static void put_trigger_texts(struct buf *out, const struct change_log *log)
{
    char name[CHANGE_LOG_NAME + 8];
    for (size_t i = 0; i < CHANGE_LOG_TRIGGERS; i++) {
        snprintf(name, sizeof name, "%s_%s", log->name, change_log_events[i]);
        buf_puts(out, i ? ", " : "");
        put_literal(out, name);
    }
}

/* 'user'@'host', as the server knows the role. */
static int put_role(struct mydb_describing *d, struct buf *out)
{
    MYSQL_RES *rows = mydb_ask(d, "SELECT CURRENT_USER()", NULL);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    const char *at = row && row[0] ? strrchr(row[0], '@') : NULL;
    if (at) {
        mydb_name(out, arena_copy(d->arena, row[0], (size_t)(at - row[0])));
        buf_putc(out, '@');
        mydb_name(out, at + 1);
    }
    if (rows)
        mysql_free_result(rows);
    return rows ? 0 : -1;
}

enum word { TITLE, LOGS, LOG, TABLE, COLUMNS, KEYS, T_KEYS, NEW, OLD, SET, SAME, OLD_SAME, UNCHANGED, NAME, TIME, LOCK, UNLOCK,
            CREATE_INSERT, CREATE_UPDATE, CREATE_DELETE, DROP_TRIGGERS, SCHEMA_TEXT, TRIGGER_TEXTS, FIRST_KEY, ROLE, WORDS };

static int fill_words(struct mydb_describing *d, const struct logged *logged, const struct relation *table,
                      const struct change_log *log, struct change_log_word *words)
{
    const struct change_log_names names = {&driver_mysql, d->conn, table};
    change_log_title(&words[TITLE].text, table);
    buf_puts(&words[LOGS].text, log->list);
    buf_puts(&words[LOG].text, log->from);
    buf_puts(&words[TABLE].text, table->from);
    put_columns(&words[COLUMNS].text, logged);
    change_log_each(&words[KEYS].text, &names, "%", ", ");
    change_log_each(&words[T_KEYS].text, &names, "t.%", ", ");
    change_log_each(&words[NEW].text, &names, "NEW.%", ", ");
    change_log_each(&words[OLD].text, &names, "OLD.%", ", ");
    change_log_each(&words[SET].text, &names, "% = VALUES(%)", ", ");
    buf_puts(&words[SAME].text, log->same);
    put_same(&words[OLD_SAME].text, logged, "OLD.");
    put_unchanged(&words[UNCHANGED].text, logged);
    buf_puts(&words[NAME].text, log->table);
    buf_puts(&words[TIME].text, NOW);
    if (!d->conn->mariadb) {
        buf_printf(&words[LOCK].text, "LOCK TABLES %s WRITE;\n", table->from);
        buf_puts(&words[UNLOCK].text, "UNLOCK TABLES;\n");
    }
    for (size_t i = 0; i < CHANGE_LOG_TRIGGERS; i++) {
        put_create(&words[CREATE_INSERT + i].text, d->conn, logged, table, log, i);
        buf_puts(&words[DROP_TRIGGERS].text, i ? " DROP TRIGGER " : "DROP TRIGGER ");
        put_trigger_name(&words[DROP_TRIGGERS].text, logged, log, i);
        buf_putc(&words[DROP_TRIGGERS].text, ';');
    }
    put_literal(&words[SCHEMA_TEXT].text, logged->schema);
    put_trigger_texts(&words[TRIGGER_TEXTS].text, log);
    mydb_name(&words[FIRST_KEY].text, logged->parts[0].name);
    return put_role(d, &words[ROLE].text);
}

int mydb_log_sql(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *sql,
                 struct err *err)
{
    static const char *const names[WORDS] = {
        [TITLE] = "title",       [LOGS] = "list",           [LOG] = "log",
        [TABLE] = "table",       [COLUMNS] = "columns",     [KEYS] = "keys",
        [T_KEYS] = "t_keys",     [NEW] = "new",             [OLD] = "old",
        [SET] = "set",           [SAME] = "same",           [OLD_SAME] = "old_same",
        [UNCHANGED] = "unchanged", [NAME] = "name",         [TIME] = "now",
        [LOCK] = "lock",         [UNLOCK] = "unlock",       [CREATE_INSERT] = "create_insert",
        [CREATE_UPDATE] = "create_update", [CREATE_DELETE] = "create_delete", [DROP_TRIGGERS] = "drop_triggers",
        [SCHEMA_TEXT] = "schema_text", [TRIGGER_TEXTS] = "trigger_texts", [FIRST_KEY] = "first_key",
        [ROLE] = "role",
    };
    struct change_log_word words[WORDS] = {{0}};
    struct arena *arena = arena_new();
    struct err own = {0};
    struct mydb_describing d = {.conn = conn, .arena = arena, .err = err ? err : &own};
    struct logged logged = {0};
    for (size_t i = 0; i < WORDS; i++)
        words[i].word = names[i];
    int failed = arena ? find_logged(&d, table, &logged) : err_memory(err);
    if (!failed)
        failed = fill_words(&d, &logged, table, log, words) ||
                 change_log_fill(sql, sql_mysql_changelog, words, WORDS, err);
    change_log_free(words, WORDS);
    arena_free(arena);
    return failed ? -1 : 0;
}

/* asking */

/* The fields of the only row, as numbers; a NULL leaves a number as it is. */
static int ask_numbers(struct conn *conn, struct buf *sql, int64_t *numbers, unsigned count, struct err *err)
{
    static const char what[] = "cannot read the change log";
    int failed = buf_text(sql) ? mydb_run(conn, sql->data, what, err) : err_memory(err);
    buf_free(sql);
    if (failed)
        return -1;
    MYSQL_RES *rows = mysql_store_result(conn->mysql);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    for (unsigned i = 0; row && i < count; i++)
        if (row[i])
            numbers[i] = strtoll(row[i], NULL, 10);
    if (rows)
        mysql_free_result(rows);
    return rows ? 0 : mydb_failed(conn, what, err);
}

int mydb_log_mark(struct conn *conn, const struct change_log *log, struct change_mark *mark, struct err *err)
{
    struct buf sql = {0};
    int64_t numbers[2] = {0, INT64_MIN};
    *mark = (struct change_mark){0};
    buf_printf(&sql, "SELECT prunes, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', pruned) FROM %s WHERE name = %s", log->list,
               log->table);
    if (ask_numbers(conn, &sql, numbers, 2, err))
        return -1;
    mark->prunes = (uint64_t)numbers[0];
    if (numbers[1] != INT64_MIN)
        value_set_integer(&mark->pruned, KIND_DATETIME, numbers[1]);
    return 0;
}

int mydb_log_missed(struct conn *conn, const struct relation *table, const struct change_log *log,
                    struct change_missed *missed, struct err *err)
{
    const struct change_log_names names = {&driver_mysql, conn, table};
    struct buf sql = {0};
    int64_t numbers[2] = {0, 0};
    change_log_missed(&sql, &names, log);
    if (ask_numbers(conn, &sql, numbers, 2, err))
        return -1;
    missed->rows = (uint64_t)numbers[0];
    missed->deletions = (uint64_t)numbers[1];
    return 0;
}

static int put_cascades(struct mydb_describing *d, const struct logged *logged, struct buf *risks)
{
    MYSQL_RES *rows = mydb_ask(d,
                               "SELECT CONSTRAINT_NAME, REFERENCED_TABLE_NAME, DELETE_RULE, UPDATE_RULE"
                               " FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = %"
                               " AND TABLE_NAME = % ORDER BY 1",
                               (const char *const[]){logged->schema, logged->name});
    if (!rows)
        return -1;
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows));)
        for (int rule = 2; rule < 4; rule++)
            if (strncmp(row[rule], "CASCADE", 7) == 0 || strncmp(row[rule], "SET", 3) == 0)
                buf_printf(risks,
                           "the foreign key '%s' to '%s' has ON %s %s, which fires no trigger: what it does to the rows "
                           "is not logged\n",
                           row[0], row[1], rule == 2 ? "DELETE" : "UPDATE", row[rule]);
    mysql_free_result(rows);
    return 0;
}

static int put_engine(struct mydb_describing *d, const struct logged *logged, struct buf *risks)
{
    MYSQL_RES *rows = mydb_ask(d, "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = % AND TABLE_NAME = %",
                               (const char *const[]){logged->schema, logged->name});
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    if (row && row[0] && strcmp(row[0], "InnoDB") != 0)
        buf_printf(risks, "the table's engine %s has no transactions: a change can be seen before it is logged\n", row[0]);
    if (rows)
        mysql_free_result(rows);
    return rows ? 0 : -1;
}

int mydb_log_risks(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *risks,
                   struct err *err)
{
    struct arena *arena = arena_new();
    struct err own = {0};
    struct mydb_describing d = {.conn = conn, .arena = arena, .err = err ? err : &own};
    struct logged logged = {0};
    (void)log;
    int failed = arena ? find_logged(&d, table, &logged) : err_memory(err);
    failed = failed || put_cascades(&d, &logged, risks) || put_engine(&d, &logged, risks);
    buf_puts(risks, "TRUNCATE and ALTER TABLE ... DROP PARTITION fire no trigger: run what ddl prints after them\n");
    arena_free(arena);
    return failed ? -1 : 0;
}
