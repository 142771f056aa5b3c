/* The PostgreSQL driver: its table, errors, and what is asked of an open connection. All else has files of its own. */
#include "db/postgres.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "db/sql.h"

struct verdict {
    const char *state; /* beginning of a SQLSTATE */
    enum err_code code;
    const char *hint;
};

/* The first that fits. PostgreSQL's manual, appendix A. */
static const struct verdict verdicts[] = {
    {"08", ERR_LOST, NULL},
    {"57P", ERR_LOST, NULL},
    {"57014", ERR_AWAY, "the server cancelled the statement; look at statement_timeout of this role"},
    {"25006", ERR_DATABASE, "sources only read: the query must not write"},
    {"25P03", ERR_LOST, NULL},
    {"40", ERR_AWAY, NULL},
    {"53", ERR_AWAY, NULL},
    {"55", ERR_BUSY, NULL},
    {"57", ERR_AWAY, NULL},
    {"42501", ERR_DATABASE, "grant the role of this system SELECT on what the source reads, and USAGE on its schema"},
    {"42P01", ERR_CHANGED, "look for the table's name and schema in the configuration; the role needs USAGE on the schema"},
    {"42703", ERR_CHANGED, "look for the column's name in the configuration"},
    {"3F000", ERR_CHANGED, "look for the schema's name in the configuration"},
    {"0A000", ERR_CHANGED, NULL},
    {"28", ERR_DATABASE, "check username and password of the system, and pg_hba.conf on the server"},
    {"3D", ERR_DATABASE, "check the database's name in the system"},
    {"22", ERR_VALUE, NULL},
};

int postgres_verdict(struct err *err, const char *state, const char *what, const char *message)
{
    enum err_code code = ERR_DATABASE;
    const char *hint = NULL;
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++)
        if (strncmp(state, verdicts[i].state, strlen(verdicts[i].state)) == 0) {
            code = verdicts[i].code;
            hint = verdicts[i].hint;
            break;
        }
    err_set(err, code, "%s: %s (SQLSTATE %s)", what, message, state);
    return hint ? err_hint(err, "%s", hint) : -1;
}

void postgres_one_line(const char *text, char *line, size_t size)
{
    size_t len = 0;
    for (; *text && len + 1 < size; text++) {
        char c = strchr("\n\t\r ", *text) ? ' ' : *text;
        if (c != ' ' || (len && line[len - 1] != ' '))
            line[len++] = c;
    }
    while (len && line[len - 1] == ' ')
        len--;
    line[len] = '\0';
}

int postgres_error(PGconn *pg, const PGresult *result, const char *what, struct err *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (state)
        return postgres_verdict(err, state, what, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    char line[512];
    postgres_one_line(PQerrorMessage(pg), line, sizeof line);
    return err_set(err, ERR_LOST, "%s: %s", what, line[0] ? line : "the connection broke");
}

PGresult *postgres_query(struct conn *conn, const char *sql, size_t count, const char *const *values,
                         const char *what, struct err *err)
{
    PGresult *result = PQexecParams(conn->pg, sql, (int)count, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    postgres_error(conn->pg, result, what, err);
    PQclear(result);
    return NULL;
}

int postgres_identifier(struct conn *conn, struct buf *out, const char *name, struct err *err)
{
    char *quoted = PQescapeIdentifier(conn->pg, name, strlen(name));
    if (!quoted)
        return err_set(err, ERR_DATABASE, "cannot quote the name '%s': it is not valid UTF-8", name);
    buf_puts(out, quoted);
    PQfreemem(quoted);
    return 0;
}

int postgres_literal(struct conn *conn, struct buf *out, const char *text, size_t len, struct err *err)
{
    if (memchr(text, '\0', len))
        return err_set(err, ERR_INPUT, "PostgreSQL cannot hold the character U+0000 in a text");
    char *quoted = PQescapeLiteral(conn->pg, text, len);
    if (!quoted)
        return err_set(err, ERR_INPUT, "a value is not valid UTF-8");
    buf_puts(out, quoted);
    PQfreemem(quoted);
    return 0;
}

/* connection */

void postgres_close(struct conn *conn)
{
    if (!conn)
        return;
    if (conn->read)
        postgres_read_close(conn);
    PQfinish(conn->pg);
    postgres_find_forget(conn);
    free(conn->constants);
    free(conn->constant_fields);
    free(conn->synced);
    free(conn->horizon_call);
    free(conn);
}

static bool postgres_alive(struct conn *conn)
{
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};
    if (PQstatus(conn->pg) != CONNECTION_OK)
        return false;
    /* Between requests the server has nothing to say but goodbye, or a notice. */
    if (poll(&fd, 1, 0) == 0)
        return true;
    return PQconsumeInput(conn->pg) && PQstatus(conn->pg) == CONNECTION_OK && poll(&fd, 1, 0) == 0;
}

static void postgres_cancel(struct conn *conn)
{
    shutdown(PQsocket(conn->pg), SHUT_RDWR);
}

static int postgres_ping(struct conn *conn, struct err *err)
{
    PGresult *result = postgres_query(conn, "SELECT 1", 0, NULL, "cannot ask the server", err);
    PQclear(result);
    return result ? 0 : -1;
}

static const char *postgres_server(struct conn *conn)
{
    return conn->server;
}

/* Which names need quotes, and how they are written, libpq knows of a connection: its encoding matters. */
static void postgres_quote(struct conn *conn, struct buf *out, const char *name)
{
    if (conn) {
        postgres_identifier(conn, out, name, NULL);
        return;
    }
    buf_putc(out, '"');
    for (; *name; name++) {
        buf_puts(out, *name == '"' ? "\"" : "");
        buf_putc(out, *name);
    }
    buf_putc(out, '"');
}

const struct driver driver_postgresql = {
    .type = "postgresql",
    .features = FEATURE_XMIN | FEATURE_STAMP | FEATURE_EXACT_LOG,
    .open = postgres_open,
    .close = postgres_close,
    .alive = postgres_alive,
    .cancel = postgres_cancel,
    .ping = postgres_ping,
    .server = postgres_server,
    .describe = postgres_describe,
    .list = postgres_list,
    .reading = postgres_reading,
    .quote = postgres_quote,
    .sampler_new = postgres_sampler_new,
    .sampler_free = postgres_sampler_free,
    .horizon = postgres_horizon,
    .newest = postgres_newest,
    .read_open = postgres_read_open,
    .read_next = postgres_read_next,
    .read_close = postgres_read_close,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .fit = postgres_fit,
    .rank = postgres_rank,
    .find_open = postgres_find_open,
    .find_next = postgres_find_next,
    .find_close = postgres_find_close,
    .insert = postgres_insert,
    .update = postgres_update,
    .erase = postgres_erase,
    .sync_prepare = postgres_sync_prepare,
    .sync_lock = postgres_sync_lock,
    .sync_receipt = postgres_sync_receipt,
    .sync_is_over = postgres_sync_is_over,
    .sync_begin = postgres_sync_begin,
    .sync_add = postgres_sync_add,
    .sync_end = postgres_sync_end,
    .seen = postgres_seen,
    .sweep = postgres_sweep,
    .create_sql = postgres_create_sql,
    .create = postgres_create,
    .rights = postgres_rights,
    .tables = postgres_tables,
    .log_find = postgres_log_find,
    .log_sql = postgres_log_sql,
    .log_mark = postgres_log_mark,
    .log_missed = postgres_log_missed,
    .log_risks = postgres_log_risks,
    .state_sql = sql_postgresql_state,
    .horizon_sql = sql_postgresql_horizon,
    .roles_sql = sql_postgresql_roles,
    .default_schema = "public",
};
