/* The horizon of PostgreSQL: what the server tells of the transactions that are open.
 *
 * Times. now() of a transaction is the time at which the message that began it was received, and the session announces
 * that time before it runs the message and until it ended the transaction, so a transaction that was not announced when
 * the list of sessions was read either begins later or is over, and then every later snapshot sees its rows. Between
 * receipt and announcement lie microseconds, for which the margin stands. A prepared transaction leaves the list of
 * sessions and stands in a list of its own: see postgres_prepared.c.
 *
 * Transaction ids. A snapshot's xmin is the lowest id that is still at work, prepared ones and those of other databases
 * included: exact, and no right is needed. */
#include "db/postgres.h"

#include <stdlib.h>
#include <string.h>

#include "db/sql.h"

static const char what[] = "cannot ask for the horizon";

#define SETTLE "or write \"late_commits\": {\"settle\": 60}, with more seconds than any transaction takes"

/* asking */

/* Runs the statements of one message, one after the other, and gives the rows of each that has some. Whatever it
 * returns, those results that are not NULL are the caller's to clear. */
static int ask(struct conn *conn, const char *sql, PGresult **results, size_t count, struct err *err)
{
    size_t got = 0;
    int failed = 0;
    memset(results, 0, count * sizeof *results);
    if (PQtransactionStatus(conn->pg) != PQTRANS_IDLE && PQstatus(conn->pg) == CONNECTION_OK)
        return err_set(err, ERR_INTERNAL, "%s: the list of sessions stands still within a transaction", what);
    if (!PQsendQuery(conn->pg, sql))
        return postgres_error(conn->pg, NULL, what, err);
    for (PGresult *result; (result = PQgetResult(conn->pg));) {
        if (PQresultStatus(result) == PGRES_TUPLES_OK && got < count) {
            results[got++] = result;
            continue;
        }
        if (!failed && PQresultStatus(result) != PGRES_COMMAND_OK)
            failed = postgres_error(conn->pg, result, what, err);
        PQclear(result);
    }
    if (!failed && got < count)
        failed = postgres_error(conn->pg, NULL, what, err);
    return failed;
}

static void clear(PGresult **results, size_t count)
{
    for (size_t i = 0; i < count; i++)
        PQclear(results[i]);
}

static int64_t field_integer(const PGresult *result, int row, int field)
{
    return strtoll(PQgetvalue(result, row, field), NULL, 10);
}

static bool field_true(const PGresult *result, int row, int field)
{
    return PQgetvalue(result, row, field)[0] == 't';
}

/* Cut at a whole character; a prepared transaction's name may hold anything. */
void postgres_holder(struct horizon *horizon, const char *text)
{
    size_t len = strlen(text);
    if (len >= sizeof horizon->holder) {
        len = sizeof horizon->holder - 1;
        while (len && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
    }
    for (size_t i = 0; i < len; i++)
        horizon->holder[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7F ? '?' : text[i];
    horizon->holder[len] = '\0';
    horizon->waits = true;
}

/* the server's clock and zone */

static int ask_clock(struct conn *conn, struct horizon *horizon, struct err *err)
{
    static const char sql[] = "SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint";
    PGresult *result = NULL;
    int failed = ask(conn, sql, &result, 1, err);
    if (!failed) {
        horizon->known = true;
        horizon->clock = horizon->time = field_integer(result, 0, 0);
    }
    PQclear(result);
    return failed;
}

/* The session's own zone is UTC; what RESET would make of it is the server's, or the database's or role's. It is read
 * once, since the list of settings is long. */
static int ask_zone(struct conn *conn, const struct column *column, struct horizon *horizon, struct err *err)
{
    static const char sql[] = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'TimeZone'";
    if (column->transaction || column->position == POSITION_INTEGER ||
        (column->kind == KIND_DATETIME && !column->zoneless))
        return 0;
    if (!conn->zone[0]) {
        PGresult *result = NULL;
        int failed = ask(conn, sql, &result, 1, err);
        if (!failed && PQntuples(result) == 1 && strlen(PQgetvalue(result, 0, 0)) < sizeof conn->zone)
            strcpy(conn->zone, PQgetvalue(result, 0, 0));
        PQclear(result);
        if (failed)
            return -1;
    }
    memcpy(horizon->zone, conn->zone, sizeof conn->zone);
    return 0;
}

/* columns of transaction ids */

/* Whose id is the lowest that is at work: for people, as far as it can be seen. Sessions of other databases count. */
static int ask_writer(struct conn *conn, struct horizon *horizon, struct err *err)
{
    static const char sql[] =
        "SELECT holder, (extract(epoch FROM since) * 1000000)::bigint FROM ("
        "SELECT age(a.backend_xid) AS age, a.xact_start AS since, concat('session ', a.pid, ' of role ''' || a.usename || '''',"
        " ', application ''' || nullif(a.application_name, '') || '''', ', database ''' || nullif(a.datname,"
        " current_database()) || '''', ', in a transaction since ' || to_char(a.xact_start AT TIME ZONE 'UTC',"
        " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) AS holder"
        " FROM pg_catalog.pg_stat_activity a WHERE a.backend_xid IS NOT NULL UNION ALL "
        "SELECT age(p.transaction), p.prepared, concat('a transaction of role ''', p.owner, ''', prepared at ',"
        " to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ' as ''', p.gid, '''')"
        " FROM pg_catalog.pg_prepared_xacts p) AS writer ORDER BY age DESC LIMIT 1";
    PGresult *result = NULL;
    int failed = ask(conn, sql, &result, 1, err);
    if (!failed && PQntuples(result) == 1) {
        postgres_holder(horizon, PQgetvalue(result, 0, 0));
        int64_t since = field_integer(result, 0, 1);
        if (!PQgetisnull(result, 0, 1) && since < horizon->time)
            horizon->time = since;
    } else if (!failed)
        postgres_holder(horizon, "a transaction that this server does not show"); /* of a standby's primary */
    PQclear(result);
    return failed;
}

static int ask_transactions(struct conn *conn, struct horizon *horizon, struct err *err)
{
    static const char sql[] =
        "SELECT pg_snapshot_xmin(s), pg_snapshot_xmax(s), (extract(epoch FROM statement_timestamp()) * 1000000)::bigint"
        " FROM pg_catalog.pg_current_snapshot() s";
    PGresult *result = NULL;
    int failed = ask(conn, sql, &result, 1, err);
    if (!failed) {
        horizon->known = true;
        horizon->number = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
        horizon->next = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
        horizon->clock = horizon->time = field_integer(result, 0, 2);
        horizon->waits = horizon->number < horizon->next;
    }
    PQclear(result);
    return failed || !horizon->waits ? failed : ask_writer(conn, horizon, err);
}

/* columns of times */

/* What looks at the sessions: the body of the function that lends the right to do so is what we run ourselves where
 * the role has it. */
static void put_sessions(struct conn *conn, struct buf *sql)
{
    static const char quote[] = "$horizon$";
    if (conn->horizon_call) {
        buf_puts(sql, conn->horizon_call);
        return;
    }
    const char *begin = strstr(sql_postgresql_horizon, quote) + strlen(quote);
    buf_puts(sql, "(");
    buf_put(sql, begin, (size_t)(strstr(begin, quote) - begin));
    buf_puts(sql, ")");
}

/* The statements as they are prepared: views over views are dear to plan, and cheap to run. */
static void put_statements(struct conn *conn, struct buf *sql)
{
    buf_puts(sql, "DEALLOCATE ALL; PREPARE sesam_sql_sessions AS"
                  " SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint,"
                  " (extract(epoch FROM h.since) * 1000000)::bigint, h.allowed, h.holder, h.hidden, pg_is_in_recovery(),"
                  " concat_ws(' ', pg_postmaster_start_time(), inet_server_addr(), inet_server_port(),"
                  " (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())) FROM ");
    put_sessions(conn, sql);
    buf_puts(sql, " AS h (allowed, since, holder, hidden); PREPARE sesam_sql_prepared AS"
                  " SELECT concat(p.transaction, ' ', p.prepared, ' ', p.gid),"
                  " concat('a transaction of role ''', p.owner, ''', prepared at ',"
                  " to_char(p.prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), ' as ''', p.gid, '''')"
                  " FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database(); ");
}

/* The order is the proof: the prepared transactions are listed by a statement of its own, behind the one that listed the
 * sessions. A transaction stands in the second list before it leaves the first, so whoever was prepared meanwhile is in
 * one of them at least. In one statement nobody would know which is read first. */
static int run_statements(struct conn *conn, PGresult *results[2], struct err *err)
{
    struct buf sql = {0};
    if (!conn->horizon_ready)
        put_statements(conn, &sql);
    buf_puts(&sql, "EXECUTE sesam_sql_sessions; EXECUTE sesam_sql_prepared");
    int failed = buf_text(&sql) ? ask(conn, sql.data, results, 2, err) : err_memory(err);
    conn->horizon_ready = !failed;
    buf_free(&sql);
    return failed;
}

static void clear_times(PGresult *results[2])
{
    clear(results, 2);
    results[0] = results[1] = NULL;
}

/* What was prepared may be gone (a pooler between us and the server) or not fit any more. */
static int ask_times(struct conn *conn, PGresult *results[2], struct err *err)
{
    struct err first = {0};
    if (conn->horizon_ready) {
        if (!run_statements(conn, results, &first))
            return 0;
        clear_times(results);
    }
    return run_statements(conn, results, err);
}

/* rights */

static int refuse_right(const char *role, const char *mend, struct err *err)
{
    err_set(err, ERR_DATABASE, "%s: role '%s' may not see what other sessions do", what, role);
    return err_hint(err, "run %s; %s%s", mend,
                    strstr(mend, "ON FUNCTION") ? "" : "or make the function that 'sesam-sql ddl postgresql' prints; ", SETTLE);
}

/* Looks for the function that tells what the role may not see itself: of an owner who may. */
static int find_call(struct conn *conn, struct err *err)
{
    static const char sql[] =
        "SELECT current_user, CASE WHEN f.usable AND f.able THEN f.name END, CASE WHEN f.name IS NULL"
        " THEN format('GRANT pg_read_all_stats TO %I', current_user) WHEN NOT f.able"
        " THEN format('GRANT pg_read_all_stats TO %I, which owns the function %s', f.owner, f.name) ELSE"
        " format('GRANT USAGE ON SCHEMA %I TO %I; GRANT EXECUTE ON FUNCTION %s TO %I', f.schema, current_user, f.name,"
        " current_user) END FROM (VALUES (1)) v LEFT JOIN ("
        "SELECT format('%I.%I()', n.nspname, p.proname) AS name, n.nspname AS schema, pg_get_userbyid(p.proowner) AS owner,"
        " has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE') AS usable,"
        " pg_has_role(p.proowner, 'pg_read_all_stats', 'USAGE') AS able"
        " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
        " WHERE p.proname = 'sesam_sql_horizon' AND p.pronargs = 0 AND p.prosecdef"
        " ORDER BY 4 DESC, 5 DESC, 1 LIMIT 1) f ON true";
    PGresult *result = NULL;
    int failed = ask(conn, sql, &result, 1, err);
    if (!failed && PQgetisnull(result, 0, 1))
        failed = refuse_right(PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 2), err);
    else if (!failed && !(conn->horizon_call = strdup(PQgetvalue(result, 0, 1))))
        failed = err_memory(err);
    PQclear(result);
    return failed;
}

static void forget_call(struct conn *conn)
{
    free(conn->horizon_call);
    conn->horizon_call = NULL;
    conn->horizon_ready = false;
}

/* A function that fails is not asked again: it may have been dropped, or be of another version of this program. */
static int ask_call(struct conn *conn, PGresult *results[2], struct err *err)
{
    int failed = ask_times(conn, results, err);
    if (!failed || !conn->horizon_call || (err && err->code == ERR_LOST))
        return failed;
    forget_call(conn);
    if (err)
        err->hint[0] = '\0'; /* the server's verdict speaks of tables */
    return err_hint(err, "make the function sesam_sql_horizon again, as 'sesam-sql ddl postgresql' prints it; " SETTLE);
}

/* The right is asked for with every answer: without it the server would show NULLs, not an error. */
static int ask_allowed(struct conn *conn, PGresult *results[2], struct err *err)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (ask_call(conn, results, err))
            return -1;
        if (field_true(results[0], 0, 2))
            return 0;
        clear_times(results);
        forget_call(conn);
        if (find_call(conn, err))
            return -1;
    }
    return err_set(err, ERR_INTERNAL, "%s: the rights changed meanwhile", what);
}

/* What makes the answer worthless. */
static int check_server(const PGresult *sessions, struct err *err)
{
    if (field_true(sessions, 0, 5)) {
        err_set(err, ERR_DATABASE, "%s: the server is a standby, which does not know who is at work on its primary", what);
        return err_hint(err, "read from the primary, or track by a column of xid8; " SETTLE);
    }
    if (!PQgetisnull(sessions, 0, 4)) {
        err_set(err, ERR_DATABASE, "%s: %s does not tell what it does", what, PQgetvalue(sessions, 0, 4));
        return err_hint(err, "turn track_activities on, for all roles; " SETTLE);
    }
    return 0;
}

static int judge_times(struct sampler *sampler, PGresult *const results[2], struct horizon *horizon, struct err *err)
{
    const PGresult *sessions = results[0];
    if (check_server(sessions, err))
        return -1;
    horizon->known = true;
    horizon->clock = horizon->time = field_integer(sessions, 0, 0);
    if (!PQgetisnull(sessions, 0, 1) && field_integer(sessions, 0, 1) < horizon->clock) {
        horizon->time = field_integer(sessions, 0, 1);
        postgres_holder(horizon, PQgetvalue(sessions, 0, 3));
    }
    return postgres_hold(sampler, PQgetvalue(sessions, 0, 6), results[1], horizon, err);
}

int postgres_horizon(struct conn *conn, struct sampler *sampler, const struct horizon_question *question,
                     struct horizon *horizon, struct err *err)
{
    const struct column *column = &question->relation->columns[question->updated];
    *horizon = (struct horizon){.known = false};
    if (ask_zone(conn, column, horizon, err))
        return -1;
    if (question->clock_only)
        return ask_clock(conn, horizon, err);
    if (column->transaction)
        return ask_transactions(conn, horizon, err);
    PGresult *results[2] = {NULL, NULL};
    int failed = ask_allowed(conn, results, err) || judge_times(sampler, results, horizon, err) ? -1 : 0;
    clear(results, 2);
    return failed;
}
