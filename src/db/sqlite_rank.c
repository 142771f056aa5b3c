/* The order of keys, asked of SQLite itself: in a database of its own in memory, which has the columns'
 * affinities and collations and needs no right to write. */
#include "db/sqlite.h"

static const char attempt[] = "ordering keys";

static int fail(sqlite3 *db, int rc, struct err *err)
{
    if ((rc & 0xFF) == SQLITE_NOMEM || !db)
        return err_memory(err);
    return err_set(err, ERR_INTERNAL, "%s: %s", attempt, sqlite3_errmsg(db));
}

/* INT, for an INTEGER PRIMARY KEY would be more than a type. */
void sqlite_put_type(struct buf *sql, const struct column *column)
{
    static const char *const types[] = {
        [AFFINITY_NONE] = "BLOB",   [AFFINITY_TEXT] = "TEXT", [AFFINITY_NUMERIC] = "NUMERIC",
        [AFFINITY_INTEGER] = "INT", [AFFINITY_REAL] = "REAL",
    };
    buf_puts(sql, types[column->number]);
    sqlite_put_collation(sql, column);
}

static void put_names(struct buf *sql, const struct relation *relation, bool types)
{
    for (size_t i = 0; i < relation->key_count; i++) {
        buf_printf(sql, "%sk%zu ", i ? ", " : "", i);
        if (types)
            sqlite_put_type(sql, &relation->columns[relation->key[i]]);
    }
}

static int make_table(sqlite3 *db, const struct relation *relation, struct err *err)
{
    struct buf sql = {0};
    buf_puts(&sql, "PRAGMA temp_store = MEMORY; CREATE TABLE k (n INTEGER PRIMARY KEY, ");
    put_names(&sql, relation, true);
    buf_puts(&sql, "); BEGIN");
    const char *text = buf_text(&sql);
    int rc = text ? sqlite3_exec(db, text, NULL, NULL, NULL) : SQLITE_NOMEM;
    buf_free(&sql);
    return rc == SQLITE_OK ? 0 : fail(db, rc, err);
}

static int prepare_insert(sqlite3 *db, const struct relation *relation, sqlite3_stmt **stmt, struct err *err)
{
    struct buf sql = {0};
    buf_puts(&sql, "INSERT INTO k VALUES (?");
    for (size_t i = 0; i < relation->key_count; i++)
        buf_puts(&sql, ", ?");
    buf_putc(&sql, ')');
    const char *text = buf_text(&sql);
    int rc = text ? sqlite3_prepare_v2(db, text, -1, stmt, NULL) : SQLITE_NOMEM;
    buf_free(&sql);
    return rc == SQLITE_OK ? 0 : fail(db, rc, err);
}

static int insert_keys(sqlite3 *db, const struct relation *relation, const struct row *const *rows,
                       size_t count, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    if (prepare_insert(db, relation, &stmt, err))
        return -1;
    int rc = SQLITE_OK;
    for (size_t row = 0; row < count && rc == SQLITE_OK; row++) {
        rc = sqlite3_bind_int64(stmt, 1, (int64_t)row);
        for (size_t i = 0; i < relation->key_count && rc == SQLITE_OK; i++)
            rc = sqlite_bind_value(stmt, (int)i + 2, &rows[row]->values[i]);
        if (rc == SQLITE_OK && sqlite3_step(stmt) != SQLITE_DONE)
            rc = sqlite3_errcode(db);
        sqlite3_reset(stmt);
    }
    int failed = rc == SQLITE_OK ? 0 : fail(db, rc, err);
    sqlite3_finalize(stmt);
    return failed;
}

static int read_ranks(sqlite3 *db, const struct relation *relation, size_t count, uint32_t *ranks,
                      struct err *err)
{
    struct buf sql = {0};
    sqlite3_stmt *stmt = NULL;
    buf_puts(&sql, "SELECT n, dense_rank() OVER (ORDER BY ");
    put_names(&sql, relation, false);
    buf_puts(&sql, ") FROM k");
    const char *text = buf_text(&sql);
    int rc = text ? sqlite3_prepare_v2(db, text, -1, &stmt, NULL) : SQLITE_NOMEM;
    buf_free(&sql);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        size_t row = (size_t)sqlite3_column_int64(stmt, 0);
        if (row < count)
            ranks[row] = (uint32_t)sqlite3_column_int64(stmt, 1);
        rc = SQLITE_OK;
    }
    int failed = rc == SQLITE_DONE ? 0 : fail(db, rc, err);
    sqlite3_finalize(stmt);
    return failed;
}

int sqlite_rank(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                uint32_t *ranks, struct err *err)
{
    (void)conn;
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(":memory:", &db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    int failed = rc == SQLITE_OK ? 0 : fail(db, rc, err);
    if (!failed)
        failed = make_table(db, target->relation, err) ||
                 insert_keys(db, target->relation, rows, count, err) ||
                 read_ranks(db, target->relation, count, ranks, err);
    sqlite3_close(db);
    return failed ? -1 : 0;
}
