/* Opening a connection: to the first of the system's hosts that answers and is what is asked for. */
#include "db/postgres.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"

enum { CONNECT_SECONDS = 10 };

static const char *sslmode(const struct config_system *system)
{
    if (system->sslmode)
        return system->sslmode;
    return config_is_loopback(system->host) ? "prefer" : "verify-full";
}

/* Of several servers only the primary takes what sinks write, and tells sources of its open transactions. libpq 14
 * was the first to know the word; before, one that can be written to is nearly the same. */
static const char *target_session_attrs(const struct config_system *system)
{
    if (system->target_session_attrs)
        return system->target_session_attrs;
    if (!system->host || !strchr(system->host, ','))
        return "any";
    return PQlibVersion() >= 140000 ? "primary" : "read-write";
}

static PGconn *connect_start(const struct config_system *system, const char *host)
{
    char port[16] = "";
    if (system->port)
        snprintf(port, sizeof port, "%u", system->port);
    const char *mode = sslmode(system);
    bool verify = strncmp(mode, "verify", 6) == 0;
    const char *const pairs[][2] = {
        {"host", host},
        {"port", port},
        {"dbname", system->database},
        {"user", system->username},
        {"password", system->password},
        {"target_session_attrs", target_session_attrs(system)},
        {"sslmode", mode},
        {"sslrootcert", system->sslrootcert ? system->sslrootcert
                        : verify            ? "/etc/ssl/certs/ca-certificates.crt"
                                            : NULL},
        {"sslcert", system->sslcert},
        {"sslkey", system->sslkey},
        {"application_name", "sesam-sql"},
        {"client_encoding", "UTF8"},
        /* An idle connection to a machine that is gone is known to be dead after a minute. */
        {"keepalives_idle", "30"},
        {"keepalives_interval", "10"},
        {"keepalives_count", "3"},
    };
    enum { COUNT = sizeof pairs / sizeof *pairs };
    const char *keys[COUNT + 1] = {0}, *values[COUNT + 1] = {0};
    size_t used = 0;
    for (size_t i = 0; i < COUNT; i++)
        if (pairs[i][1] && pairs[i][1][0]) {
            keys[used] = pairs[i][0];
            values[used++] = pairs[i][1];
        }
    return PQconnectStartParams(keys, values, 0);
}

/* Drives the connection to its end, good or bad. Returns 0 or -1 when the time is over. */
static int connect_wait(PGconn *pg, double deadline)
{
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    while (wants != PGRES_POLLING_OK && wants != PGRES_POLLING_FAILED) {
        struct pollfd fd = {.fd = PQsocket(pg),
                            .events = wants == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        double left = deadline - monotonic_seconds();
        int ready = left > 0 ? poll(&fd, 1, (int)(left * 1000) + 1) : 0;
        if (ready == 0)
            return -1;
        if (ready < 0 && errno != EINTR)
            return -1;
        if (ready > 0)
            wants = PQconnectPoll(pg);
    }
    return 0;
}

/* libpq tells a refused login only as text; asked for the verbose form, that text begins with severity
 * and SQLSTATE: "FATAL: 28P01: password ...". Returns 1 with what it was appended to tried where another host may do
 * better, or -1 with err set. */
static int connect_failed(PGconn *pg, const struct config_system *system, struct buf *tried, struct err *err)
{
    char line[512], what[160], state[6] = "";
    postgres_one_line(PQerrorMessage(pg), line, sizeof line);
    char *location = strstr(line, " LOCATION: ");
    if (location)
        *location = '\0';
    const char *fatal = strstr(line, "FATAL: ");
    if (!fatal || sscanf(fatal + 7, "%5[0-9A-Z]:", state) != 1 || strlen(state) != 5 || fatal[12] != ':') {
        buf_puts(tried, line);
        return 1;
    }
    const char *message = fatal + 13 + strspn(fatal + 13, " ");
    /* Login, database and rights are the configuration's fault; all else may pass. */
    if (strncmp(state, "28", 2) != 0 && strncmp(state, "3D", 2) != 0 && strncmp(state, "42", 2) != 0) {
        buf_printf(tried, "%s (SQLSTATE %s)", message, state);
        return 1;
    }
    snprintf(what, sizeof what, "cannot connect to system '%s'", system->name);
    if (strcmp(state, "42501") != 0)
        return postgres_verdict(err, state, what, message);
    err_set(err, ERR_DATABASE, "%s: %s (SQLSTATE %s)", what, message, state);
    return err_hint(err, "GRANT CONNECT ON DATABASE %s TO the role of this system", system->database);
}

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

/* Returns 0 with conn->pg open, 1 or -1 as connect_failed. */
static int connect_host(struct conn *conn, const char *host, double seconds, struct buf *tried, struct err *err)
{
    double deadline = monotonic_seconds() + seconds;
    conn->pg = connect_start(conn->system, host);
    if (!conn->pg)
        return err_memory(err);
    PQsetErrorVerbosity(conn->pg, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(conn->pg, ignore_notice, NULL);
    if (PQstatus(conn->pg) != CONNECTION_BAD && connect_wait(conn->pg, deadline)) {
        bool several = strcmp(host, conn->system->host ? conn->system->host : "") != 0;
        buf_printf(tried, "%s%sno answer within %.3g s", several ? host : "", several ? ": " : "", seconds);
        return 1;
    }
    if (PQstatus(conn->pg) != CONNECTION_OK)
        return connect_failed(conn->pg, conn->system, tried, err);
    PQsetErrorVerbosity(conn->pg, PQERRORS_DEFAULT);
    return 0;
}

static int refuse(const struct config_system *system, struct buf *tried, struct err *err)
{
    const char *line = buf_text(tried);
    if (!line)
        return err_memory(err);
    err_set(err, ERR_AWAY, "cannot connect to system '%s': %s", system->name, line);
    if (strstr(line, "certificate") || strstr(line, "SSL"))
        return err_hint(err, "the keys sslmode, sslrootcert, sslcert and sslkey of the system decide how TLS is used");
    return -1;
}

static size_t count_hosts(const char *list)
{
    size_t count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* The hosts of the list in their order, each with its share of the time. Given the list, libpq would wait for one that
 * is silent until all our time is over, and never come to the next. */
static int connect_hosts(struct conn *conn, char *list, struct buf *tried, struct err *err)
{
    const struct config_system *system = conn->system;
    double deadline = monotonic_seconds() +
                      (system->pool_timeout < CONNECT_SECONDS ? system->pool_timeout : CONNECT_SECONDS);
    int failed = 1;
    for (size_t left = count_hosts(list); failed > 0 && left; left--) {
        char *host = list, *end = list + strcspn(list, ",");
        list = *end ? end + 1 : end;
        *end = '\0';
        buf_puts(tried, tried->len ? "; " : "");
        failed = connect_host(conn, host, (deadline - monotonic_seconds()) / (double)left, tried, err);
        if (failed) {
            PQfinish(conn->pg);
            conn->pg = NULL;
        }
    }
    return failed > 0 ? refuse(system, tried, err) : failed;
}

static int connect_system(struct conn *conn, struct err *err)
{
    struct buf tried = {0};
    char *list = strdup(conn->system->host ? conn->system->host : "");
    int failed = list ? connect_hosts(conn, list, &tried, err) : err_memory(err);
    free(list);
    buf_free(&tried);
    return failed;
}

/* One round trip for all of them. The server ends a statement whose client went away only if it is told
 * to look (PostgreSQL 14 and newer, on Linux). */
static int session_setup(struct conn *conn, struct err *err)
{
    static const char always[] = "SET default_transaction_read_only = on; SET TimeZone = 'UTC';"
                                 " SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres';"
                                 " SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmlbinary = 'base64';"
                                 " SET standard_conforming_strings = on; SET jit = off";
    PGresult *result = PQexec(conn->pg, always);
    int failed = PQresultStatus(result) != PGRES_COMMAND_OK
                     ? postgres_error(conn->pg, result, "cannot set up the session", err)
                     : 0;
    PQclear(result);
    if (!failed && PQserverVersion(conn->pg) >= 140000)
        PQclear(PQexec(conn->pg, "SET client_connection_check_interval = 500"));
    return failed;
}

int postgres_open(struct conn **out, const struct config_system *system, struct err *err)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return err_memory(err);
    conn->system = system;
    if (connect_system(conn, err) || session_setup(conn, err)) {
        postgres_close(conn);
        return -1;
    }
    snprintf(conn->server, sizeof conn->server, "PostgreSQL %s", PQparameterStatus(conn->pg, "server_version"));
    *out = conn;
    return 0;
}
