#include "db/sqlite.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/shortest.h"

static const char attempt[] = "reading";

/* A read goes through its statements one after the other: for each range, the rest of the tie group it
 * begins in and then what lies beyond. The two in one statement, (u, k) > (?, ?), would walk through the
 * tie group again for each page. */
struct read {
    const struct plan *plan;
    sqlite3_stmt *stmt; /* the running one, or NULL */
    size_t range;       /* the range of the next statement */
    bool tie_done;      /* its tie group was read */
    uint64_t left;      /* rows that may still be sent */
    struct cell *cells;
    struct value *values;
    char (*floats)[SHORTEST_SIZE];
    struct spool *spool; /* where rows come from, or NULL: the statements */
    bool ended, failed;
};

static void read_free(struct read *read)
{
    if (!read)
        return;
    sqlite3_finalize(read->stmt);
    sqlite_spool_close(read->spool);
    free(read->cells);
    free(read->values);
    free(read->floats);
    free(read);
}

static int read_new(struct conn *conn, const struct plan *plan, struct err *err)
{
    struct read *read = calloc(1, sizeof *read);
    if (!read)
        return err_memory(err);
    conn->read = read;
    read->plan = plan;
    read->left = plan->limit;
    size_t count = plan->column_count ? plan->column_count : 1;
    read->cells = calloc(count, sizeof *read->cells);
    read->values = calloc(count, sizeof *read->values);
    read->floats = calloc(count, sizeof *read->floats);
    return read->cells && read->values && read->floats ? 0 : err_memory(err);
}

/* statements */

static bool begins_in_tie(const struct plan *plan, const struct range *range)
{
    return plan->order == ORDER_UPDATED && range && !range->nulls && !range->by_key && range->after && range->after->key;
}

/* 1 and the next statement, 0 after the last, or -1. */
static int next_statement(struct conn *conn, struct err *err)
{
    struct read *read = conn->read;
    const struct plan *plan = read->plan;
    bool whole = plan->order == ORDER_NONE || plan->range_count == 0;
    if (read->range >= (whole ? 1 : plan->range_count) || read->left == 0)
        return 0;
    const struct range *range = whole ? NULL : &plan->ranges[read->range];
    bool tied = begins_in_tie(plan, range) && !read->tie_done;
    if (sqlite_select(conn, plan, range, tied, read->left, &read->stmt, err))
        return -1;
    read->tie_done = tied;
    read->range += !tied;
    return 1;
}

/* rows */

int sqlite_cell(struct conn *conn, sqlite3_stmt *stmt, int column, struct cell *cell, struct err *err)
{
    *cell = (struct cell){.type = sqlite3_column_type(stmt, column)};
    switch (cell->type) {
    case SQLITE_INTEGER:
        cell->integer = sqlite3_column_int64(stmt, column);
        return 0;
    case SQLITE_FLOAT:
        cell->real = sqlite3_column_double(stmt, column);
        return 0;
    case SQLITE_TEXT: /* made UTF-8 here if the file is in another encoding */
        cell->bytes = (const char *)sqlite3_column_text(stmt, column);
        break;
    case SQLITE_BLOB:
        cell->bytes = sqlite3_column_blob(stmt, column);
        break;
    default:
        return 0;
    }
    cell->len = (size_t)sqlite3_column_bytes(stmt, column);
    if (cell->bytes)
        return 0;
    cell->bytes = "";
    if (cell->type == SQLITE_BLOB && cell->len == 0 && sqlite3_errcode(conn->db) != SQLITE_NOMEM)
        return 0;
    return sqlite_fail(conn, SQLITE_NOMEM, attempt, err);
}

/* 1 with the cells of the next row, 0 at the end of the last statement, or -1. */
static int fetch(struct conn *conn, struct err *err)
{
    struct read *read = conn->read;
    for (;;) {
        if (!read->stmt) {
            int more = next_statement(conn, err);
            if (more <= 0)
                return more;
        }
        int row = sqlite_step(conn, read->stmt, attempt, err);
        if (row < 0)
            return -1;
        if (row > 0)
            break;
        sqlite3_finalize(read->stmt);
        read->stmt = NULL;
    }
    for (size_t i = 0; i < read->plan->column_count; i++)
        if (sqlite_cell(conn, read->stmt, (int)i, &read->cells[i], err))
            return -1;
    if (read->left != UINT64_MAX)
        read->left--;
    return 1;
}

/* The value is what its storage class says, whatever the column was declared as. */
struct value sqlite_value(const struct cell *cell, char *digits)
{
    switch (cell->type) {
    case SQLITE_INTEGER:
        return value_integer(KIND_INT, cell->integer);
    case SQLITE_FLOAT:
        return value_text(KIND_FLOAT, digits, shortest_double(cell->real, digits));
    case SQLITE_TEXT:
        return value_text(KIND_TEXT, cell->bytes, cell->len);
    case SQLITE_BLOB:
        return value_text(KIND_BYTES, cell->bytes, cell->len);
    default:
        return (struct value){.kind = KIND_NULL};
    }
}

/* snapshot */

/* The journal's mode is known for certain only within a snapshot: it cannot become WAL, or cease to be, while
 * somebody reads. */
static int begin_snapshot(struct conn *conn, bool *wal, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite_begin(conn, attempt, err) ||
        sqlite_prepare(conn, "PRAGMA main.journal_mode", &stmt, attempt, err))
        return -1;
    int row = sqlite_step(conn, stmt, attempt, err);
    const char *mode = row == 1 ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    *wal = mode && strcmp(mode, "wal") == 0;
    sqlite3_finalize(stmt);
    return row < 0 ? -1 : 0;
}

/* In the other modes nobody can write while we read, so the rows must not wait for a slow client. */
static int spool_rows(struct conn *conn, struct err *err)
{
    struct read *read = conn->read;
    struct spool *spool = NULL;
    if (sqlite_spool_open(&spool, read->plan->column_count, err))
        return -1;
    int more;
    while ((more = fetch(conn, err)) == 1)
        if (sqlite_spool_put(spool, read->cells, err)) {
            more = -1;
            break;
        }
    if (more < 0 || sqlite_spool_rewind(spool, err) || sqlite_run(conn, "COMMIT", attempt, err)) {
        sqlite_spool_close(spool);
        return -1;
    }
    read->spool = spool;
    return 0;
}

int sqlite_read_open(struct conn *conn, const struct plan *plan, struct err *err)
{
    bool wal = true;
    if (plan->xmin)
        return err_set(err, ERR_DATABASE, "system '%s': SQLite has no xmin", conn->system->name);
    if (atomic_load(&conn->cancelled))
        return sqlite_fail(conn, SQLITE_INTERRUPT, attempt, err);
    if (read_new(conn, plan, err) || begin_snapshot(conn, &wal, err) || next_statement(conn, err) < 0 ||
        (!wal && spool_rows(conn, err))) {
        sqlite_read_close(conn);
        return -1;
    }
    return 0;
}

int sqlite_read_next(struct conn *conn, const struct value **row, struct err *err)
{
    struct read *read = conn->read;
    if (!read || read->failed)
        return err_set(err, ERR_INTERNAL, "system '%s': reading on after a failure", conn->system->name);
    if (read->ended)
        return 0;
    int more;
    if (atomic_load_explicit(&conn->cancelled, memory_order_relaxed))
        more = sqlite_fail(conn, SQLITE_INTERRUPT, attempt, err);
    else
        more = read->spool ? sqlite_spool_get(read->spool, read->cells, err) : fetch(conn, err);
    read->ended = more == 0;
    read->failed = more < 0;
    if (more != 1)
        return more;
    for (size_t i = 0; i < read->plan->column_count; i++)
        read->values[i] = sqlite_value(&read->cells[i], read->floats[i]);
    *row = read->values;
    return 1;
}

int sqlite_read_close(struct conn *conn)
{
    read_free(conn->read);
    conn->read = NULL;
    /* A failure in the midst may have ended the transaction by itself. */
    if (conn->db && !sqlite3_get_autocommit(conn->db) &&
        sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        conn->broken = true;
    return conn->broken || atomic_load(&conn->cancelled) ? -1 : 0;
}
