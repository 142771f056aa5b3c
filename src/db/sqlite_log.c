/* Change logs of SQLite: the triggers number the changes. There is one writer at a time, so a number that can be seen
 * is above all that could be seen before. */
#include "db/sqlite.h"

#include <stdio.h>
#include <string.h>

#include "db/change_log.h"
#include "db/sql.h"

static const char attempt[] = "looking for the change log";

static const char *keep(struct buf *text, struct arena *arena)
{
    const char *kept = buf_text(text) ? arena_strdup(arena, text->data) : NULL;
    buf_free(text);
    return kept;
}

static void put_literal(struct buf *out, const char *text)
{
    buf_putc(out, '\'');
    for (; *text; text++) {
        if (*text == '\'')
            buf_putc(out, '\'');
        buf_putc(out, *text);
    }
    buf_putc(out, '\'');
}

static const char *quoted(struct arena *arena, const char *name, bool literal)
{
    struct buf text = {0};
    if (literal)
        put_literal(&text, name);
    else
        sqlite_identifier(&text, name);
    return keep(&text, arena);
}

/* The fields of the only row; a NULL leaves a number as it is. */
static int ask_numbers(struct conn *conn, struct buf *sql, int64_t *numbers, int count, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int row = buf_text(sql) ? sqlite_prepare(conn, sql->data, &stmt, attempt, err) : err_memory(err);
    if (!row)
        row = sqlite_step(conn, stmt, attempt, err);
    for (int i = 0; row == 1 && i < count; i++)
        if (sqlite3_column_type(stmt, i) != SQLITE_NULL)
            numbers[i] = sqlite3_column_int64(stmt, i);
    sqlite3_finalize(stmt);
    buf_free(sql);
    return row < 0 ? -1 : 0;
}

/* finding */

static void put_same(struct buf *out, const struct relation *table, const char *row)
{
    for (size_t i = 0; i < table->key_count; i++) {
        const struct column *column = &table->columns[table->key[i]];
        buf_puts(out, i ? " AND t." : "t.");
        sqlite_identifier(out, column->name);
        buf_printf(out, " = %s", row); /* by the table's own collation, so that its index is used */
        sqlite_identifier(out, column->name);
        if (!column->collation || sqlite3_stricmp(column->collation, "BINARY") == 0)
            continue;
        buf_puts(out, " AND t.");
        sqlite_identifier(out, column->name);
        buf_printf(out, " = %s", row);
        sqlite_identifier(out, column->name);
        buf_puts(out, " COLLATE BINARY");
    }
}

static int find_fault(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
                      struct err *err)
{
    for (size_t i = 0; i < CHANGE_LOG_TRIGGERS && !log->fault; i++) {
        struct buf sql = {0};
        char name[CHANGE_LOG_NAME + 8];
        int64_t found = 0;
        snprintf(name, sizeof name, "%s_%s", log->name, change_log_events[i]);
        buf_puts(&sql, "SELECT count(*) FROM main.sqlite_master WHERE type = 'trigger' AND name = ");
        put_literal(&sql, name);
        buf_printf(&sql, " AND tbl_name = %s COLLATE NOCASE", log->table);
        if (ask_numbers(conn, &sql, &found, 1, err))
            return -1;
        if (!found)
            log->fault = arena_printf(arena, "the trigger '%s' of %s is missing", name, table->title);
    }
    return 0;
}

int sqlite_log_find(struct conn *conn, const struct relation *table, struct arena *arena, struct change_log *log,
                    struct err *err)
{
    char name[CHANGE_LOG_NAME];
    struct buf sql = {0}, same = {0};
    int64_t found = 0;
    change_log_name(name, table->title);
    put_same(&same, table, "l.");
    log->schema = NULL;
    log->name = arena_strdup(arena, name);
    log->hint = "";
    log->from = quoted(arena, name, false);
    log->list = "\"sesam_sql_log\"";
    log->table = quoted(arena, table->title, true);
    log->same = keep(&same, arena);
    if (!log->name || !log->from || !log->table || !log->same)
        return err_memory(err);
    buf_puts(&sql, "SELECT count(*) = 2 FROM main.sqlite_master WHERE type = 'table' AND name IN ('sesam_sql_log', ");
    put_literal(&sql, name);
    buf_putc(&sql, ')');
    if (ask_numbers(conn, &sql, &found, 1, err))
        return -1;
    log->exists = found;
    return log->exists ? find_fault(conn, table, arena, log, err) : 0;
}

/* the statements */

static bool is_plain(const char *type)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_ (),";
    return type[strspn(type, plain)] == '\0' && sqlite3_stricmp(type, "any") != 0;
}

/* The same type, so that values stay what they are, and no two keys are the same that differ. */
static void put_columns(struct buf *out, const struct relation *table)
{
    static const char *const affinities[] = {
        [AFFINITY_NONE] = "BLOB",       [AFFINITY_TEXT] = "TEXT", [AFFINITY_NUMERIC] = "NUMERIC",
        [AFFINITY_INTEGER] = "INTEGER", [AFFINITY_REAL] = "REAL",
    };
    for (size_t i = 0; i < table->key_count; i++) {
        const struct column *column = &table->columns[table->key[i]];
        bool none = sqlite3_stricmp(column->type, "any") == 0;
        buf_puts(out, i ? ",\n    " : "    ");
        sqlite_identifier(out, column->name);
        buf_printf(out, "%s%s NOT NULL", none ? "" : " ",
                   none                     ? ""
                   : is_plain(column->type) ? column->type
                                            : affinities[column->number]);
    }
}

enum word { TITLE, LIST, LOG, TABLE, COLUMNS, KEYS, T_KEYS, NEW, OLD, SAME, OLD_SAME, UNCHANGED, NAME, TIME, INDEX, TRIGGER_INSERT,
            TRIGGER_UPDATE, TRIGGER_DELETE, OLD_WHOLE, NEW_WHOLE, T_WHOLE, WORDS };

static void fill_words(struct conn *conn, const struct relation *table, const struct change_log *log,
                       struct change_log_word *words)
{
    const struct change_log_names names = {&driver_sqlite, conn, table};
    char name[CHANGE_LOG_NAME + 8];
    change_log_title(&words[TITLE].text, table);
    buf_puts(&words[LIST].text, log->list);
    buf_puts(&words[LOG].text, log->from);
    buf_puts(&words[TABLE].text, table->from);
    put_columns(&words[COLUMNS].text, table);
    change_log_each(&words[KEYS].text, &names, "%", ", ");
    change_log_each(&words[T_KEYS].text, &names, "t.%", ", ");
    change_log_each(&words[NEW].text, &names, "NEW.%", ", ");
    change_log_each(&words[OLD].text, &names, "OLD.%", ", ");
    buf_puts(&words[SAME].text, log->same);
    put_same(&words[OLD_SAME].text, table, "OLD.");
    change_log_each(&words[UNCHANGED].text, &names, "OLD.% IS NEW.% COLLATE BINARY", " AND ");
    buf_puts(&words[NAME].text, log->table);
    buf_puts(&words[TIME].text, "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')");
    snprintf(name, sizeof name, "%s_change", log->name);
    sqlite_identifier(&words[INDEX].text, name);
    for (size_t i = 0; i < CHANGE_LOG_TRIGGERS; i++) {
        snprintf(name, sizeof name, "%s_%s", log->name, change_log_events[i]);
        sqlite_identifier(&words[TRIGGER_INSERT + i].text, name);
    }
    change_log_each(&words[OLD_WHOLE].text, &names, "OLD.% IS NOT NULL", " AND ");
    change_log_each(&words[NEW_WHOLE].text, &names, "NEW.% IS NOT NULL", " AND ");
    change_log_each(&words[T_WHOLE].text, &names, "t.% IS NOT NULL", " AND ");
}

int sqlite_log_sql(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *sql,
                   struct err *err)
{
    static const char *const names[WORDS] = {
        [TITLE] = "title",         [LIST] = "list",           [LOG] = "log",
        [TABLE] = "table",         [COLUMNS] = "columns",     [KEYS] = "keys",
        [T_KEYS] = "t_keys",       [NEW] = "new",             [OLD] = "old",
        [SAME] = "same",           [OLD_SAME] = "old_same",   [UNCHANGED] = "unchanged",
        [NAME] = "name",           [TIME] = "time",           [INDEX] = "index",
        [TRIGGER_INSERT] = "trigger_insert", [TRIGGER_UPDATE] = "trigger_update", [TRIGGER_DELETE] = "trigger_delete",
        [OLD_WHOLE] = "old_whole", [NEW_WHOLE] = "new_whole", [T_WHOLE] = "t_whole",
    };
    struct change_log_word words[WORDS] = {{0}};
    for (size_t i = 0; i < WORDS; i++)
        words[i].word = names[i];
    fill_words(conn, table, log, words);
    int failed = change_log_fill(sql, sql_sqlite_changelog, words, WORDS, err);
    change_log_free(words, WORDS);
    return failed;
}

/* asking */

int sqlite_log_mark(struct conn *conn, const struct change_log *log, struct change_mark *mark, struct err *err)
{
    struct buf sql = {0};
    int64_t numbers[3] = {0, INT64_MIN, INT64_MIN};
    *mark = (struct change_mark){0};
    buf_printf(&sql, "SELECT prunes, pruned, last FROM %s WHERE name = %s", log->list, log->table);
    if (ask_numbers(conn, &sql, numbers, 3, err))
        return -1;
    mark->prunes = (uint64_t)numbers[0];
    if (numbers[1] != INT64_MIN)
        value_set_integer(&mark->pruned, KIND_INT, numbers[1]);
    if (numbers[2] != INT64_MIN)
        value_set_integer(&mark->last, KIND_INT, numbers[2]);
    return 0;
}

int sqlite_log_missed(struct conn *conn, const struct relation *table, const struct change_log *log,
                      struct change_missed *missed, struct err *err)
{
    const struct change_log_names names = {&driver_sqlite, conn, table};
    struct buf sql = {0};
    int64_t numbers[2] = {0, 0};
    change_log_missed(&sql, &names, log);
    if (ask_numbers(conn, &sql, numbers, 2, err))
        return -1;
    missed->rows = (uint64_t)numbers[0];
    missed->deletions = (uint64_t)numbers[1];
    return 0;
}

/* REPLACE deletes every row that is in its way; those with another key, it deletes without a trigger. */
int sqlite_log_risks(struct conn *conn, const struct relation *table, const struct change_log *log, struct buf *risks,
                     struct err *err)
{
    struct buf sql = {0};
    int64_t others = 0;
    (void)table;
    buf_printf(&sql, "SELECT count(*) FROM pragma_index_list(%s, 'main') WHERE \"unique\" AND origin <> 'pk'", log->table);
    if (ask_numbers(conn, &sql, &others, 1, err))
        return -1;
    if (others)
        buf_puts(risks, "the table has a unique index besides its primary key: INSERT OR REPLACE can delete rows through it "
                        "that are not logged; INSERT ... ON CONFLICT DO UPDATE does not\n");
    return 0;
}
