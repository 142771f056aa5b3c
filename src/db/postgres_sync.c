/* The state of full syncs in PostgreSQL, in the schema of the target (sql/postgresql/state.sql). Who excludes whom is
 * told by advisory locks of the server, which need no table and write no log. */
#include "db/postgres.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/sql.h"

static const char attempt[] = "cannot use the state of full syncs";

/* relation->from is "schema"."table", always quoted. */
void postgres_schema(struct buf *out, const struct target *target)
{
    const char *from = target->relation->from, *at = from + 1;
    while (*at && (at[0] != '"' || at[1] == '"'))
        at += at[0] == '"' ? 2 : 1;
    buf_put(out, from, (size_t)(at - from) + 1);
}

/* Two sinks get the same number once in 2^64: then they wait for each other, and nothing worse. */
static int64_t lock_number(const struct target *target)
{
    const char *const parts[] = {"sesam-sql", target->relation->title, target->sink};
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const char *c = parts[i];; c++) {
            hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
            if (!*c)
                break;
        }
    return (int64_t)hash;
}

/* Writes a statement's text, where @ stands for the schema. */
static void put_statement(struct buf *out, const struct target *target, const char *text)
{
    for (; *text; text++)
        if (*text == '@')
            postgres_schema(out, target);
        else
            buf_putc(out, *text);
}

static int sync_failed(struct conn *conn, const struct target *target, const PGresult *result, struct err *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (state && strcmp(state, "42P01") == 0) {
        free(conn->synced);
        conn->synced = NULL;
        return err_set(err, ERR_RACE, "%s: its tables were dropped meanwhile", attempt);
    }
    if (state && strcmp(state, "42501") == 0) {
        err_set(err, ERR_DATABASE, "%s: %s", attempt, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
        return err_hint(err, "grant the role of this system SELECT, INSERT, UPDATE and DELETE on sesam_sql_sync,"
                             " sesam_sql_request and sesam_sql_retired beside %s", target->relation->title);
    }
    return postgres_write_error(conn, result, attempt, NULL, NULL, err);
}

/* Runs a statement whose first parameters are the target and the sink; others follow, NULL for none. */
static PGresult *run(struct conn *conn, const struct target *target, const char *text, const char *const *others,
                     size_t count, struct err *err)
{
    enum { MOST = 8 };
    const char *values[MOST] = {target->relation->title, target->sink};
    struct buf sql = {0};
    PGresult *result = NULL;
    for (size_t i = 0; i < count && i < MOST - 2; i++)
        values[2 + i] = others[i];
    put_statement(&sql, target, text);
    const char *whole = buf_text(&sql);
    if (!whole) {
        err_memory(err);
        goto out;
    }
    result = PQexecParams(conn->pg, whole, (int)count + 2, NULL, values, NULL, NULL, 0);
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK) {
        sync_failed(conn, target, result, err);
        PQclear(result);
        result = NULL;
    }
out:
    buf_free(&sql);
    return result;
}

/* Runs one that gives nothing. *touched may be NULL: how many rows. */
static int execute(struct conn *conn, const struct target *target, const char *text, const char *const *others,
                   size_t count, unsigned long *touched, struct err *err)
{
    PGresult *result = run(conn, target, text, others, count, err);
    if (result && touched)
        *touched = strtoul(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return result ? 0 : -1;
}

/* NULL stays NULL. */
static int text_of(const PGresult *result, int field, struct arena *arena, const char **text, struct err *err)
{
    *text = PQgetisnull(result, 0, field) ? NULL : arena_strdup(arena, PQgetvalue(result, 0, field));
    return *text || PQgetisnull(result, 0, field) ? 0 : err_memory(err);
}

/* tables */

/* 1 if all are there, 0, -1. */
static int have_tables(struct conn *conn, const struct target *target, struct err *err)
{
    static const char *const names[] = {"sesam_sql_sync", "sesam_sql_request", "sesam_sql_retired"};
    struct buf sql = {0}, name = {0};
    int have = 0;
    for (size_t i = 0; i < 3 && have == 0; i++) {
        buf_reset(&name);
        postgres_schema(&name, target);
        buf_printf(&name, ".%s", names[i]);
        buf_puts(&sql, i ? " AND pg_catalog.to_regclass(" : "SELECT pg_catalog.to_regclass(");
        have = buf_failed(&name) ? err_memory(err) : postgres_literal(conn, &sql, name.data, name.len, err);
        buf_puts(&sql, ") IS NOT NULL");
    }
    const char *text = buf_text(&sql);
    PGresult *result = !have && text ? postgres_query(conn, text, 0, NULL, attempt, err) : NULL;
    if (!have && !text)
        err_memory(err);
    have = result ? PQgetvalue(result, 0, 0)[0] == 't' : -1;
    PQclear(result);
    buf_free(&name);
    buf_free(&sql);
    return have;
}

/* Who may not make the tables asks somebody who may. */
static int making_failed(struct conn *conn, const struct target *target, const PGresult *result, struct err *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    struct buf schema = {0};
    if (!state || (strncmp(state, "42", 2) != 0 && strncmp(state, "3F", 2) != 0))
        return postgres_write_error(conn, result, "cannot make the tables of full syncs", NULL, NULL, err);
    err_set(err, ERR_DATABASE, "cannot make the tables of full syncs: %s (SQLSTATE %s)",
            PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), state);
    postgres_schema(&schema, target);
    const char *name = buf_text(&schema);
    err_hint(err, "run what 'sesam-sql ddl postgresql' prints, as a role that may create tables in schema %s, and grant"
                  " the role of this system SELECT, INSERT, UPDATE and DELETE on them", name ? name : "");
    buf_free(&schema);
    return -1;
}

int postgres_sync_prepare(struct conn *conn, const struct target *target, struct err *err)
{
    int have = have_tables(conn, target, err);
    if (have)
        return have < 0 ? -1 : 0;
    struct buf sql = {0};
    /* Two that make the same table at the same time would collide in the catalogue in spite of IF NOT EXISTS. */
    put_statement(&sql, target,
                  "BEGIN READ WRITE; SET LOCAL search_path = @; SELECT pg_catalog.pg_advisory_xact_lock(7310868735486943843);");
    buf_puts(&sql, sql_postgresql_state);
    buf_puts(&sql, "; COMMIT");
    const char *text = buf_text(&sql);
    int failed = text ? 0 : err_memory(err);
    if (text) {
        PGresult *result = PQexec(conn->pg, text);
        if (PQresultStatus(result) != PGRES_COMMAND_OK || strcmp(PQcmdStatus(result), "COMMIT") != 0)
            failed = making_failed(conn, target, result, err);
        PQclear(result);
    }
    if (failed)
        postgres_rollback(conn);
    buf_free(&sql);
    return failed;
}

/* the sequence */

static bool knows_tables(const struct conn *conn, const char *schema)
{
    return conn->synced && strcmp(conn->synced, schema) == 0;
}

/* Takes the lock; in the same round trip, what comes behind it is read by a snapshot taken after it. */
static PGresult *lock_and(struct conn *conn, const struct target *target, bool exclusive, const char *text,
                          struct err *err)
{
    struct buf sql = {0};
    PGresult *result = NULL;
    buf_printf(&sql, "SELECT pg_catalog.pg_advisory_xact_lock%s(%" PRId64 "); ", exclusive ? "" : "_shared",
               lock_number(target));
    buf_puts(&sql, text);
    const char *whole = buf_text(&sql);
    if (!whole) {
        err_memory(err);
        goto out;
    }
    result = PQexec(conn->pg, whole);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        sync_failed(conn, target, result, err);
        PQclear(result);
        result = NULL;
    }
out:
    buf_free(&sql);
    return result;
}

static int put_state(struct conn *conn, struct buf *sql, const struct target *target, struct err *err)
{
    const char *title = target->relation->title;
    put_statement(sql, target, "SELECT open, requests, entities, sequence_id, request_id FROM @.sesam_sql_sync WHERE target = ");
    if (postgres_literal(conn, sql, title, strlen(title), err))
        return -1;
    buf_puts(sql, " AND sink = ");
    return postgres_literal(conn, sql, target->sink, strlen(target->sink), err);
}

static int read_state(const PGresult *result, struct sync_state *state, struct arena *arena, struct err *err)
{
    if (PQntuples(result) == 0)
        return 0;
    state->exists = true;
    state->open = PQgetvalue(result, 0, 0)[0] == 't';
    state->requests = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
    state->entities = strtoull(PQgetvalue(result, 0, 2), NULL, 10);
    return text_of(result, 3, arena, &state->sequence_id, err) || text_of(result, 4, arena, &state->request_id, err) ? -1
                                                                                                                    : 0;
}

/* Is there a table for the state? Asked only until it was seen once. 1, 0, -1. */
static int look_for_table(struct conn *conn, const struct target *target, const char *schema, bool exclusive,
                          struct err *err)
{
    struct buf name = {0}, sql = {0};
    buf_printf(&name, "%s.sesam_sql_sync", schema);
    buf_puts(&sql, "SELECT pg_catalog.to_regclass(");
    int have = buf_failed(&name) ? err_memory(err) : postgres_literal(conn, &sql, name.data, name.len, err);
    buf_puts(&sql, ") IS NOT NULL");
    const char *text = buf_text(&sql);
    PGresult *result = NULL;
    if (!have)
        have = text ? 0 : err_memory(err);
    if (!have)
        result = lock_and(conn, target, exclusive, text, err);
    if (!have)
        have = result ? PQgetvalue(result, 0, 0)[0] == 't' : -1;
    PQclear(result);
    buf_free(&sql);
    buf_free(&name);
    return have;
}

int postgres_sync_lock(struct conn *conn, const struct target *target, bool exclusive, struct sync_state *state,
                       struct arena *arena, struct err *err)
{
    struct buf schema = {0}, sql = {0};
    *state = (struct sync_state){.exists = false};
    postgres_schema(&schema, target);
    const char *name = buf_text(&schema);
    int failed = name ? 0 : err_memory(err);
    if (!failed && !knows_tables(conn, name)) {
        int have = look_for_table(conn, target, name, exclusive, err);
        failed = have < 0 ? -1 : 0;
        if (have <= 0)
            goto out;
        free(conn->synced);
        conn->synced = strdup(name);
    }
    failed = failed || put_state(conn, &sql, target, err) ? -1 : 0;
    const char *text = buf_text(&sql);
    if (!failed && !text)
        failed = err_memory(err);
    if (!failed) {
        PGresult *result = lock_and(conn, target, exclusive, text, err);
        failed = result ? read_state(result, state, arena, err) : -1;
        PQclear(result);
    }
out:
    buf_free(&schema);
    buf_free(&sql);
    return failed;
}

int postgres_sync_is_over(struct conn *conn, const struct target *target, const char *sequence_id, bool *over,
                          struct err *err)
{
    PGresult *result =
        run(conn, target,
            "SELECT EXISTS (SELECT FROM @.sesam_sql_retired WHERE target = $1 AND sink = $2 AND sequence_id = $3) OR"
            " EXISTS (SELECT FROM @.sesam_sql_sync WHERE target = $1 AND sink = $2 AND sequence_id = $3 AND NOT open)",
            &sequence_id, 1, err);
    *over = result && PQgetvalue(result, 0, 0)[0] == 't';
    PQclear(result);
    return result ? 0 : -1;
}

/* Who begins the sequence again that is there already does not retire it. */
int postgres_sync_begin(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err)
{
    static const char *const statements[] = {
        "DELETE FROM @.sesam_sql_retired WHERE target = $1 AND sink = $2"
        " AND (retired < pg_catalog.now() - interval '7 days' OR sequence_id = $3)",
        "INSERT INTO @.sesam_sql_retired (target, sink, sequence_id, retired) SELECT target, sink, sequence_id,"
        " pg_catalog.now() FROM @.sesam_sql_sync WHERE target = $1 AND sink = $2 AND sequence_id <> $3"
        " ON CONFLICT (target, sink, sequence_id) DO UPDATE SET retired = excluded.retired",
        "DELETE FROM @.sesam_sql_request WHERE target = $1 AND sink = $2",
        "INSERT INTO @.sesam_sql_sync (target, sink, sequence_id, open, requests, entities, started, changed)"
        " VALUES ($1, $2, $3, true, 0, 0, pg_catalog.now(), pg_catalog.now()) ON CONFLICT (target, sink) DO UPDATE SET"
        " sequence_id = excluded.sequence_id, open = true, request_id = NULL, requests = 0, entities = 0,"
        " started = excluded.started, changed = excluded.changed",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (execute(conn, target, statements[i], &sequence_id, strstr(statements[i], "$3") ? 1 : 0, NULL, err))
            return -1;
    return 0;
}

int postgres_sync_end(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err)
{
    static const char *const statements[] = {
        "DELETE FROM @.sesam_sql_request WHERE target = $1 AND sink = $2 AND sequence_id = $3 AND request_id IS NULL",
        "UPDATE @.sesam_sql_request SET seen = NULL WHERE target = $1 AND sink = $2 AND sequence_id = $3",
        "UPDATE @.sesam_sql_sync SET open = false, changed = now() WHERE target = $1 AND sink = $2 AND sequence_id = $3",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (execute(conn, target, statements[i], &sequence_id, 1, NULL, err))
            return -1;
    return 0;
}

/* requests */

int postgres_sync_receipt(struct conn *conn, const struct target *target, const char *sequence_id,
                          const char *request_id, struct receipt *receipt, struct arena *arena, struct err *err)
{
    *receipt = (struct receipt){.request_id = NULL};
    PGresult *result = run(conn, target,
                           "SELECT request_id, digest, answer FROM @.sesam_sql_request"
                           " WHERE target = $1 AND sink = $2 AND sequence_id = $3 AND request_id = $4",
                           (const char *const[]){sequence_id, request_id}, 2, err);
    int failed = result ? 0 : -1;
    if (result && PQntuples(result) > 0)
        failed = text_of(result, 0, arena, &receipt->request_id, err) || text_of(result, 1, arena, &receipt->digest, err) ||
                         text_of(result, 2, arena, &receipt->answer, err)
                     ? -1
                     : 0;
    PQclear(result);
    return failed;
}

/* Items of a list of seen keys: those of the outermost array. */
static size_t count_items(const char *list, size_t len)
{
    size_t count = 0, depth = 0;
    bool string = false, item = false;
    for (size_t i = 0; i < len; i++) {
        char c = list[i];
        if (string) {
            i += c == '\\';
            string = c != '"';
        } else {
            string = c == '"';
            if (depth == 1 && c == ',')
                count++;
            if (c == ']' || c == '}')
                depth--;
            else if (depth >= 1)
                item = true;
            if (c == '[' || c == '{')
                depth++;
        }
    }
    return count + item;
}

int postgres_sync_add(struct conn *conn, const struct target *target, const struct sync_state *state, const char *seen,
                      size_t seen_len, const struct receipt *receipt, struct err *err)
{
    char entities[24];
    unsigned long touched = 0;
    struct buf list = {0};
    if (postgres_has_runs(target))
        postgres_put_runs(&list, seen, seen_len);
    else
        buf_put(&list, seen, seen_len);
    const char *text = buf_text(&list);
    int failed = !text ? err_memory(err)
                       : execute(conn, target,
                                 "INSERT INTO @.sesam_sql_request (target, sink, sequence_id, request_id, digest, answer,"
                                 " seen) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                                 (const char *const[]){state->sequence_id, receipt ? receipt->request_id : NULL,
                                                       receipt ? receipt->digest : NULL,
                                                       receipt ? receipt->answer : NULL, text},
                                 5, NULL, err);
    buf_free(&list);
    if (failed || !receipt)
        return failed;
    snprintf(entities, sizeof entities, "%zu", count_items(seen, seen_len));
    if (execute(conn, target,
                "UPDATE @.sesam_sql_sync SET request_id = $4, requests = requests + 1, entities = entities + $5::bigint,"
                " changed = pg_catalog.now() WHERE target = $1 AND sink = $2 AND sequence_id = $3 AND open",
                (const char *const[]){state->sequence_id, receipt->request_id, entities}, 3, &touched, err))
        return -1;
    return touched == 1 ? 0 : err_set(err, ERR_RACE, "%s: the sequence is not open any more", attempt);
}
