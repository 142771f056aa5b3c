/* The state of full syncs, in tables of the same file. Nothing is locked here: who writes is alone since it
 * began, and who only looks has a snapshot. */
#include "db/sqlite.h"

#include <string.h>

#include "db/sql.h"

static const char attempt[] = "the state of full syncs";

/* statements */

static int bind_text(struct conn *conn, sqlite3_stmt *stmt, int number, const char *text, size_t len,
                     struct err *err)
{
    int rc = text ? sqlite3_bind_text64(stmt, number, text, len, SQLITE_STATIC, SQLITE_UTF8)
                  : sqlite3_bind_null(stmt, number);
    return rc == SQLITE_OK ? 0 : sqlite_fail(conn, rc, attempt, err);
}

static int bind_string(struct conn *conn, sqlite3_stmt *stmt, int number, const char *text, struct err *err)
{
    return bind_text(conn, stmt, number, text, text ? strlen(text) : 0, err);
}

int sqlite_sync_prepare_statement(struct conn *conn, const char *sql, const struct target *target,
                                  const char *sequence_id, sqlite3_stmt **stmt, struct err *err)
{
    if (sqlite_prepare(conn, sql, stmt, attempt, err))
        return -1;
    int count = sqlite3_bind_parameter_count(*stmt);
    if (bind_string(conn, *stmt, 1, target->relation->title, err) ||
        bind_string(conn, *stmt, 2, target->sink, err) ||
        (count >= 3 && bind_string(conn, *stmt, 3, sequence_id, err)))
        return -1;
    return 0;
}

/* Runs a statement whose parameters are the target, the sink and the sequence. */
static int run(struct conn *conn, const char *sql, const struct target *target, const char *sequence_id,
               struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int failed = sqlite_sync_prepare_statement(conn, sql, target, sequence_id, &stmt, err);
    if (!failed)
        failed = sqlite_step(conn, stmt, attempt, err);
    sqlite3_finalize(stmt);
    return failed;
}

/* NULL stays NULL. */
static int text_of(sqlite3_stmt *stmt, int column, struct arena *arena, const char **text, struct err *err)
{
    *text = NULL;
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return 0;
    const char *there = (const char *)sqlite3_column_text(stmt, column);
    *text = there ? arena_strdup(arena, there) : NULL;
    return *text ? 0 : err_memory(err);
}

/* 1 when all tables are there. */
static int have_tables(struct conn *conn, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int row = sqlite_prepare(conn,
                             "SELECT count(*) = 3 FROM main.sqlite_master WHERE type = 'table' AND name IN"
                             " ('sesam_sql_sync', 'sesam_sql_request', 'sesam_sql_retired')",
                             &stmt, attempt, err);
    if (!row)
        row = sqlite_step(conn, stmt, attempt, err);
    int have = row == 1 ? sqlite3_column_int(stmt, 0) : -1;
    sqlite3_finalize(stmt);
    return have;
}

int sqlite_sync_prepare(struct conn *conn, const struct target *target, struct err *err)
{
    (void)target;
    int have = have_tables(conn, err);
    if (have)
        return have < 0 ? -1 : 0;
    if (sqlite_transaction_begin(conn, true, conn->system->pool_timeout, err))
        return -1;
    if (sqlite_run(conn, sql_sqlite_state, "making the tables of full syncs", err) ||
        sqlite_transaction_commit(conn, err)) {
        sqlite_transaction_rollback(conn);
        return -1;
    }
    return 0;
}

/* the sequence */

static int read_state(sqlite3_stmt *stmt, struct sync_state *state, struct arena *arena, struct err *err)
{
    state->exists = true;
    state->open = sqlite3_column_int(stmt, 0);
    state->requests = (uint64_t)sqlite3_column_int64(stmt, 1);
    state->entities = (uint64_t)sqlite3_column_int64(stmt, 2);
    return text_of(stmt, 3, arena, &state->sequence_id, err) ||
                   text_of(stmt, 4, arena, &state->request_id, err)
               ? -1
               : 0;
}

int sqlite_sync_lock(struct conn *conn, const struct target *target, bool exclusive, struct sync_state *state,
                     struct arena *arena, struct err *err)
{
    (void)exclusive;
    *state = (struct sync_state){.exists = false};
    if (sqlite_transaction_check(conn, err))
        return -1;
    int have = have_tables(conn, err);
    if (have <= 0)
        return have;
    sqlite3_stmt *stmt = NULL;
    int row = sqlite_sync_prepare_statement(conn,
                                            "SELECT open, requests, entities, sequence_id, request_id"
                                            " FROM main.sesam_sql_sync WHERE target = ?1 AND sink = ?2",
                                            target, NULL, &stmt, err);
    if (!row)
        row = sqlite_step(conn, stmt, attempt, err);
    if (row == 1)
        row = read_state(stmt, state, arena, err);
    sqlite3_finalize(stmt);
    return row;
}

int sqlite_sync_is_over(struct conn *conn, const struct target *target, const char *sequence_id, bool *over,
                        struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    *over = false;
    if (sqlite_transaction_check(conn, err))
        return -1;
    int row = sqlite_sync_prepare_statement(
        conn,
        "SELECT 1 FROM main.sesam_sql_retired WHERE target = ?1 AND sink = ?2 AND sequence_id = ?3 UNION ALL"
        " SELECT 1 FROM main.sesam_sql_sync WHERE target = ?1 AND sink = ?2 AND sequence_id = ?3 AND NOT "
        "open",
        target, sequence_id, &stmt, err);
    if (!row)
        row = sqlite_step(conn, stmt, attempt, err);
    *over = row == 1;
    sqlite3_finalize(stmt);
    return row < 0 ? -1 : 0;
}

/* Who begins the sequence again that is there already does not retire it. */
int sqlite_sync_begin(struct conn *conn, const struct target *target, const char *sequence_id,
                      struct err *err)
{
    static const char *const statements[] = {
        "DELETE FROM main.sesam_sql_retired WHERE target = ?1 AND sink = ?2"
        " AND (retired < datetime('now', '-7 days') OR sequence_id = ?3)",
        "INSERT OR REPLACE INTO main.sesam_sql_retired (target, sink, sequence_id, retired)"
        " SELECT target, sink, sequence_id, datetime('now') FROM main.sesam_sql_sync"
        " WHERE target = ?1 AND sink = ?2 AND sequence_id <> ?3",
        "DELETE FROM main.sesam_sql_request WHERE target = ?1 AND sink = ?2",
        "INSERT OR REPLACE INTO main.sesam_sql_sync (target, sink, sequence_id, open, started, changed)"
        " VALUES (?1, ?2, ?3, 1, datetime('now'), datetime('now'))",
    };
    if (sqlite_transaction_check(conn, err))
        return -1;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (run(conn, statements[i], target, sequence_id, err))
            return -1;
    return 0;
}

int sqlite_sync_end(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err)
{
    static const char *const statements[] = {
        "DELETE FROM main.sesam_sql_request WHERE target = ?1 AND sink = ?2 AND sequence_id = ?3"
        " AND request_id IS NULL",
        "UPDATE main.sesam_sql_request SET seen = '' WHERE target = ?1 AND sink = ?2 AND sequence_id = ?3",
        "UPDATE main.sesam_sql_sync SET open = 0, changed = datetime('now')"
        " WHERE target = ?1 AND sink = ?2 AND sequence_id = ?3",
    };
    if (sqlite_transaction_check(conn, err))
        return -1;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (run(conn, statements[i], target, sequence_id, err))
            return -1;
    return 0;
}

/* requests */

int sqlite_sync_receipt(struct conn *conn, const struct target *target, const char *sequence_id,
                        const char *request_id, struct receipt *receipt, struct arena *arena, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    *receipt = (struct receipt){.request_id = NULL};
    if (sqlite_transaction_check(conn, err))
        return -1;
    int row = sqlite_sync_prepare_statement(
        conn,
        "SELECT request_id, digest, answer FROM main.sesam_sql_request"
        " WHERE target = ?1 AND sink = ?2 AND sequence_id = ?3 AND request_id = ?4",
        target, sequence_id, &stmt, err);
    if (!row)
        row = bind_string(conn, stmt, 4, request_id, err);
    if (!row)
        row = sqlite_step(conn, stmt, attempt, err);
    if (row == 1)
        row = text_of(stmt, 0, arena, &receipt->request_id, err) ||
                      text_of(stmt, 1, arena, &receipt->digest, err) ||
                      text_of(stmt, 2, arena, &receipt->answer, err)
                  ? -1
                  : 0;
    sqlite3_finalize(stmt);
    return row;
}

static int add_request(struct conn *conn, const struct target *target, const struct sync_state *state,
                       const char *seen, size_t seen_len, const struct receipt *receipt, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int failed = sqlite_sync_prepare_statement(
        conn,
        "INSERT INTO main.sesam_sql_request (target, sink, n, sequence_id, request_id, digest, answer, seen)"
        " VALUES (?1, ?2, (SELECT coalesce(max(n), 0) + 1 FROM main.sesam_sql_request WHERE target = ?1 AND "
        "sink = ?2),"
        " ?3, ?4, ?5, ?6, ?7)",
        target, state->sequence_id, &stmt, err);
    if (!failed)
        failed = bind_string(conn, stmt, 4, receipt ? receipt->request_id : NULL, err) ||
                 bind_string(conn, stmt, 5, receipt ? receipt->digest : NULL, err) ||
                 bind_string(conn, stmt, 6, receipt ? receipt->answer : NULL, err) ||
                 bind_text(conn, stmt, 7, seen, seen_len, err);
    if (!failed)
        failed = sqlite_step(conn, stmt, attempt, err);
    sqlite3_finalize(stmt);
    return failed ? -1 : 0;
}

static int advance(struct conn *conn, const struct target *target, const struct sync_state *state,
                   const char *seen, size_t seen_len, const struct receipt *receipt, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int failed = sqlite_sync_prepare_statement(
        conn,
        "UPDATE main.sesam_sql_sync SET request_id = ?4, requests = requests + 1,"
        " entities = entities + json_array_length(?5), changed = datetime('now')"
        " WHERE target = ?1 AND sink = ?2 AND sequence_id = ?3 AND open",
        target, state->sequence_id, &stmt, err);
    if (!failed)
        failed = bind_string(conn, stmt, 4, receipt->request_id, err) ||
                 bind_text(conn, stmt, 5, seen, seen_len, err);
    if (!failed)
        failed = sqlite_step(conn, stmt, attempt, err);
    if (!failed && sqlite3_changes(conn->db) != 1)
        failed = err_set(err, ERR_RACE, "system '%s': %s: the sequence is not open any more",
                         conn->system->name, attempt);
    sqlite3_finalize(stmt);
    return failed ? -1 : 0;
}

int sqlite_sync_add(struct conn *conn, const struct target *target, const struct sync_state *state,
                    const char *seen, size_t seen_len, const struct receipt *receipt, struct err *err)
{
    if (sqlite_transaction_check(conn, err) || add_request(conn, target, state, seen, seen_len, receipt, err))
        return -1;
    return receipt ? advance(conn, target, state, seen, seen_len, receipt, err) : 0;
}
