/* What a full sync leaves over. The lists of seen keys are put into a temporary table with the key's
 * affinities and collations, so that each row of the target costs one look into it. */
#include "db/sqlite.h"

#include <string.h>

static const char attempt[] = "looking for what a full sync leaves over";

/* the table of seen keys */

static int make_table(struct conn *conn, const struct relation *relation, struct err *err)
{
    struct buf sql = {0};
    buf_puts(&sql, "DROP TABLE IF EXISTS temp.sesam_sql_seen; CREATE TABLE temp.sesam_sql_seen (");
    for (size_t i = 0; i < relation->key_count; i++) {
        buf_printf(&sql, "k%zu ", i);
        sqlite_put_type(&sql, &relation->columns[relation->key[i]]);
        buf_puts(&sql, " NOT NULL, ");
    }
    for (size_t i = 0; i < relation->key_count; i++)
        buf_printf(&sql, "%sk%zu", i ? ", " : "PRIMARY KEY (", i);
    buf_puts(&sql, ")) WITHOUT ROWID");
    int failed = buf_text(&sql) ? sqlite_run(conn, sql.data, attempt, err) : err_memory(err);
    buf_free(&sql);
    return failed;
}

static int prepare_insert(struct conn *conn, size_t count, sqlite3_stmt **stmt, struct err *err)
{
    struct buf sql = {0};
    buf_puts(&sql, "INSERT OR IGNORE INTO temp.sesam_sql_seen VALUES (?");
    for (size_t i = 1; i < count; i++)
        buf_puts(&sql, ", ?");
    buf_putc(&sql, ')');
    int failed = sqlite_prepare(conn, buf_text(&sql), stmt, attempt, err);
    buf_free(&sql);
    return failed;
}

static int insert_key(struct conn *conn, sqlite3_stmt *stmt, const struct value *key, size_t count,
                      struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = sqlite_bind_value(stmt, (int)i + 1, &key[i]);
        if (rc != SQLITE_OK)
            return sqlite_fail(conn, rc, attempt, err);
    }
    int failed = sqlite_step(conn, stmt, attempt, err);
    sqlite3_reset(stmt);
    return failed;
}

static int insert_list(struct conn *conn, sqlite3_stmt *stmt, const char *list, size_t len, struct value *key,
                       size_t count, struct err *err)
{
    struct seen seen = {.at = list, .end = list + len};
    int more;
    while ((more = sqlite_seen_next(&seen, key, count, err)) == 1)
        if (insert_key(conn, stmt, key, count, err)) {
            more = -1;
            break;
        }
    sqlite_seen_end(&seen);
    return more;
}

/* The lists of the sequence's requests. */
static int insert_lists(struct conn *conn, sqlite3_stmt *stmt, const struct sweep *sweep, struct value *key,
                        struct err *err)
{
    sqlite3_stmt *lists = NULL;
    const struct target *target = sweep->target;
    int more = sqlite_sync_prepare_statement(
        conn, "SELECT seen FROM main.sesam_sql_request WHERE target = ?1 AND sink = ?2 AND sequence_id = ?3",
        target, sweep->sequence_id, &lists, err);
    while (!more && (more = sqlite_step(conn, lists, attempt, err)) == 1) {
        const char *list = (const char *)sqlite3_column_text(lists, 0);
        size_t len = (size_t)sqlite3_column_bytes(lists, 0);
        more = list ? insert_list(conn, stmt, list, len, key, target->relation->key_count, err)
                    : err_memory(err);
    }
    sqlite3_finalize(lists);
    return more;
}

static int fill_table(struct conn *conn, const struct sweep *sweep, struct err *err)
{
    size_t count = sweep->target->relation->key_count;
    sqlite3_stmt *stmt = NULL;
    struct arena *arena = arena_new();
    struct value *key = arena ? arena_array(arena, count, sizeof *key) : NULL;
    int failed = key ? prepare_insert(conn, count, &stmt, err) : err_memory(err);
    if (!failed && sweep->sequence_id)
        failed = insert_lists(conn, stmt, sweep, key, err);
    if (!failed && sweep->seen)
        failed = insert_list(conn, stmt, sweep->seen, strlen(sweep->seen), key, count, err);
    sqlite3_finalize(stmt);
    arena_free(arena);
    return failed;
}

/* the target */

static void put_scope(struct buf *sql, const struct sweep *sweep)
{
    const struct special *scope = sweep->target->scope;
    if (!scope)
        return;
    buf_puts(sql, " AND ");
    sqlite_put_column(sql, sweep->target->relation, scope->column);
    buf_puts(sql, " IS ?");
}

/* Only rows that are not marked yet. */
static void put_living(struct buf *sql, const struct sweep *sweep)
{
    if (!sweep->dead)
        return;
    buf_puts(sql, " AND ");
    sqlite_put_column(sql, sweep->target->relation, sweep->dead->column);
    buf_puts(sql, sweep->dead->kind == SPECIAL_NOW ? " IS ?" : " IS NOT ?");
}

static void put_unseen(struct buf *sql, const struct relation *relation)
{
    buf_puts(sql, " AND NOT EXISTS (SELECT 1 FROM temp.sesam_sql_seen");
    for (size_t i = 0; i < relation->key_count; i++) {
        buf_printf(sql, "%ssesam_sql_seen.k%zu = ", i ? " AND " : " WHERE ", i);
        sqlite_put_column(sql, relation, relation->key[i]);
    }
    buf_putc(sql, ')');
}

static void put_marks(struct buf *sql, const struct sweep *sweep)
{
    const struct relation *relation = sweep->target->relation;
    for (size_t i = 0; i < sweep->special_count; i++) {
        buf_puts(sql, i ? ", " : " SET ");
        sqlite_identifier(sql, relation->columns[sweep->specials[i].column].name);
        buf_puts(sql, " = ");
        sqlite_put_special(sql, relation, &sweep->specials[i], false);
    }
}

static void put_sweep(struct buf *sql, const struct sweep *sweep)
{
    const struct relation *relation = sweep->target->relation;
    static const char *const verbs[] = {
        [SWEEP_COUNT] = "SELECT count(*) FROM ", [SWEEP_DELETE] = "DELETE FROM ", [SWEEP_MARK] = "UPDATE "};
    buf_printf(sql, "%s%s", verbs[sweep->kind], relation->from);
    if (sweep->kind == SWEEP_MARK)
        put_marks(sql, sweep);
    buf_puts(sql, " WHERE 1");
    put_scope(sql, sweep);
    put_living(sql, sweep);
    put_unseen(sql, relation);
}

/* In the order of the parameters. */
static int bind(struct conn *conn, sqlite3_stmt *stmt, const struct sweep *sweep, bool marks, struct err *err)
{
    size_t set = marks ? sweep->special_count : 0;
    int number = sqlite_bind_specials(conn, stmt, 1, sweep->specials, set, err);
    if (number > 0 && sweep->target->scope)
        number = sqlite_bind_specials(conn, stmt, number, sweep->target->scope, 1, err);
    if (number > 0 && sweep->dead)
        number = sqlite_bind_specials(conn, stmt, number,
                                      sweep->dead->kind == SPECIAL_NOW ? sweep->live : sweep->dead, 1, err);
    return number > 0 ? 0 : -1;
}

static int run(struct conn *conn, const struct sweep *sweep, uint64_t *rows, struct err *err)
{
    struct buf sql = {0};
    sqlite3_stmt *stmt = NULL;
    put_sweep(&sql, sweep);
    int result = sqlite_prepare(conn, buf_text(&sql), &stmt, attempt, err);
    buf_free(&sql);
    if (!result)
        result = bind(conn, stmt, sweep, sweep->kind == SWEEP_MARK, err);
    if (!result)
        result = sqlite_step(conn, stmt, attempt, err);
    if (result == 1)
        *rows = (uint64_t)sqlite3_column_int64(stmt, 0);
    else if (result == 0)
        *rows = (uint64_t)sqlite3_changes(conn->db);
    sqlite3_finalize(stmt);
    return result < 0 ? -1 : 0;
}

static int count_scope(struct conn *conn, const struct sweep *sweep, uint64_t *count, struct err *err)
{
    struct buf sql = {0};
    sqlite3_stmt *stmt = NULL;
    buf_printf(&sql, "SELECT count(*) FROM %s WHERE 1", sweep->target->relation->from);
    put_scope(&sql, sweep);
    put_living(&sql, sweep);
    int result = sqlite_prepare(conn, buf_text(&sql), &stmt, attempt, err);
    buf_free(&sql);
    if (!result)
        result = bind(conn, stmt, sweep, false, err);
    if (!result)
        result = sqlite_step(conn, stmt, attempt, err);
    if (result == 1)
        *count = (uint64_t)sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return result < 0 ? -1 : 0;
}

int sqlite_sweep(struct conn *conn, const struct sweep *sweep, uint64_t enough, uint64_t *rows,
                 uint64_t *total, struct err *err)
{
    uint64_t left = 0;
    if (sqlite_transaction_check(conn, err) || make_table(conn, sweep->target->relation, err) ||
        fill_table(conn, sweep, err) || run(conn, sweep, rows, err))
        return -1;
    if (*rows > enough) {
        if (count_scope(conn, sweep, &left, err))
            return -1;
        *total = left + (sweep->kind == SWEEP_COUNT ? 0 : *rows);
    }
    return sqlite_run(conn, "DROP TABLE temp.sesam_sql_seen", attempt, err);
}
