/* MySQL and MariaDB: connections. */
#include "db/mysql.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "db/sql.h"

enum { CONNECT_SECONDS = 10, KILL_SECONDS = 3 };

/* threads */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static bool library_ready;
static _Thread_local bool thread_ready;

static void end_thread(void *unused)
{
    (void)unused;
    mysql_thread_end();
}

static void start_library(void)
{
    library_ready = !mysql_library_init(0, NULL, NULL) && !pthread_key_create(&thread_key, end_thread);
}

void mydb_thread(void)
{
    if (thread_ready)
        return;
    pthread_once(&library_once, start_library);
    thread_ready = true;
    if (library_ready && !mysql_thread_init())
        pthread_setspecific(thread_key, &thread_ready);
}

/* encryption */

enum tls { TLS_DISABLED, TLS_PREFERRED, TLS_REQUIRED, TLS_VERIFY_CA, TLS_VERIFY_FULL };

/* MySQL's and PostgreSQL's names of the same things. */
static const struct {
    const char *name;
    enum tls tls;
} tls_names[] = {
    {"disabled", TLS_DISABLED},   {"disable", TLS_DISABLED},         {"preferred", TLS_PREFERRED},
    {"prefer", TLS_PREFERRED},    {"required", TLS_REQUIRED},        {"require", TLS_REQUIRED},
    {"verify-ca", TLS_VERIFY_CA}, {"verify_ca", TLS_VERIFY_CA},      {"verify-full", TLS_VERIFY_FULL},
    {"verify_identity", TLS_VERIFY_FULL},
};

static int tls_of(const struct config_system *system, enum tls *tls, struct err *err)
{
    *tls = config_is_loopback(system->host) ? TLS_DISABLED : TLS_VERIFY_FULL;
    if (!system->sslmode)
        return 0;
    for (size_t i = 0; i < sizeof tls_names / sizeof *tls_names; i++)
        if (strcmp(system->sslmode, tls_names[i].name) == 0) {
            *tls = tls_names[i].tls;
            return 0;
        }
    err_set(err, ERR_DATABASE, "systems.%s.sslmode: there is no such mode for MySQL", system->name);
    return err_hint(err, "use disabled, preferred, required, verify-ca or verify-full");
}

/* Where the systems keep the certificates they trust. */
static const char *system_bundle(void)
{
    static const char *const paths[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                        "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
    const char *named = getenv("SSL_CERT_FILE");
    if (named && *named)
        return named;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    return NULL;
}

static int check_files(const struct config_system *system, struct err *err)
{
    const char *const keys[] = {"sslrootcert", "sslcert", "sslkey"};
    const char *const paths[] = {system->sslrootcert, system->sslcert, system->sslkey};
    for (size_t i = 0; i < 3; i++)
        if (paths[i] && access(paths[i], R_OK) != 0)
            return err_set(err, ERR_DATABASE, "systems.%s.%s: cannot read '%s': %s", system->name, keys[i],
                           paths[i], strerror(errno));
    return 0;
}

static void set_tls_mode(MYSQL *mysql, enum tls tls)
{
#if LIBRARY_MARIADB
    mydb_bool on = 1, off = 0;
    mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, tls == TLS_DISABLED ? &off : &on);
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, tls == TLS_VERIFY_FULL ? &on : &off);
#else
    static const enum mysql_ssl_mode modes[] = {SSL_MODE_DISABLED, SSL_MODE_PREFERRED, SSL_MODE_REQUIRED,
                                                SSL_MODE_VERIFY_CA, SSL_MODE_VERIFY_IDENTITY};
    unsigned mode = modes[tls];
    mysql_options(mysql, MYSQL_OPT_SSL_MODE, &mode);
#endif
}

static int set_tls(MYSQL *mysql, const struct config_system *system, enum tls tls, struct err *err)
{
    if (tls == TLS_DISABLED) {
        set_tls_mode(mysql, tls);
        return 0;
    }
    if (check_files(system, err))
        return -1;
    if (tls >= TLS_VERIFY_CA) {
        const char *bundle = system->sslrootcert ? system->sslrootcert : system_bundle();
        if (!bundle) {
            err_set(err, ERR_DATABASE, "systems.%s: there are no certificates to verify the server with",
                    system->name);
            return err_hint(err, "write 'sslrootcert', install ca-certificates, or choose another 'sslmode'");
        }
        mysql_options(mysql, MYSQL_OPT_SSL_CA, bundle);
    }
    if (system->sslcert)
        mysql_options(mysql, MYSQL_OPT_SSL_CERT, system->sslcert);
    if (system->sslkey)
        mysql_options(mysql, MYSQL_OPT_SSL_KEY, system->sslkey);
    set_tls_mode(mysql, tls);
    return 0;
}

/* opening */

static unsigned bounded(double seconds, unsigned most)
{
    if (!(seconds > 1))
        return 1;
    return seconds < most ? (unsigned)(seconds + 0.999) : most;
}

/* Local files stay here whatever the server asks for; a packet may be as large as the protocol allows. */
static void set_options(MYSQL *mysql, const struct config_system *system, unsigned seconds, unsigned answer)
{
    unsigned off = 0;
    unsigned long packet = 1024UL * 1024 * 1024;
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
    if (answer) {
        mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &answer);
        mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &answer);
    }
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off);
    mysql_options(mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
#if LIBRARY_MARIADB
    mydb_bool no = 0;
    mysql_options(mysql, MYSQL_OPT_RECONNECT, &no); /* MySQL's default, and deprecated there */
    (void)system;
#else
    bool yes = true;
    if (config_is_loopback(system->host)) /* caching_sha2_password without TLS asks for the server's key */
        mysql_options(mysql, MYSQL_OPT_GET_SERVER_PUBLIC_KEY, &yes);
#endif
}

static const char *host_name(const struct config_system *system)
{
    return system->host ? system->host : "local socket";
}

static int connect_failed(MYSQL *mysql, const struct config_system *system, struct err *err)
{
    char what[160];
    snprintf(what, sizeof what, "system '%s': cannot connect to %s", system->name, host_name(system));
    unsigned number = mysql_errno(mysql);
    if (number == 2012 || number == 2013 || number == 2006) /* nobody was there yet to be lost */
        return err_set(err, ERR_AWAY, "%s: %s (error %u)", what, mysql_error(mysql), number);
    if (number == 2026 && !system->sslmode) {
        err_set(err, ERR_DATABASE, "%s: %s (error %u)", what, mysql_error(mysql), number);
        return err_hint(err, "without 'sslmode' a host that is not this machine is verified in full: write "
                             "'sslrootcert' with the authority that signed its certificate, and as 'host' a name that is "
                             "in it, or another 'sslmode'");
    }
    return mydb_fault(number, mysql_sqlstate(mysql), mysql_error(mysql), what, err);
}

/* libmariadb goes on without encryption when the server has none. */
static int check_encrypted(MYSQL *mysql, const struct config_system *system, enum tls tls, struct err *err)
{
    if (tls < TLS_REQUIRED || mysql_get_ssl_cipher(mysql))
        return 0;
    err_set(err, ERR_DATABASE, "system '%s': the server at %s does not encrypt", system->name,
            host_name(system));
    return err_hint(err, "turn TLS on there, or choose another 'sslmode' of the system");
}

/* Opens a bare connection. seconds bound each step of it; answer each answer of the server later, 0: nothing does. */
static int connect_to(MYSQL **out, const struct config_system *system, unsigned seconds, unsigned answer,
                      struct err *err)
{
    enum tls tls;
    if (tls_of(system, &tls, err))
        return -1;
    MYSQL *mysql = mysql_init(NULL);
    if (!mysql)
        return err_memory(err);
    bool is_path = system->host && system->host[0] == '/';
    unsigned protocol = MYSQL_PROTOCOL_TCP;
    if (is_path)
        tls = system->sslmode ? tls : TLS_DISABLED;
    else if (system->host && system->port) /* with a port, "localhost" is no socket */
        mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    set_options(mysql, system, seconds, answer);
    if (set_tls(mysql, system, tls, err))
        goto failed;
    if (!mysql_real_connect(mysql, is_path ? NULL : system->host, system->username, system->password,
                            system->database, system->port, is_path ? system->host : NULL, CLIENT_FOUND_ROWS)) {
        connect_failed(mysql, system, err);
        goto failed;
    }
    if (check_encrypted(mysql, system, tls, err))
        goto failed;
    *out = mysql;
    return 0;
failed:
    mysql_close(mysql);
    return -1;
}

/* Notices a server that vanished without a word in about two minutes. Not for sockets of this machine. */
static void keep_alive(int fd)
{
    int on = 1, idle = 60, interval = 10, count = 6;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
#ifdef TCP_KEEPIDLE
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
#else
    (void)idle, (void)interval, (void)count;
#endif
}

/* The server's configuration must not change what we read, so all that could is said here.
 * - sql_mode: strict. Without ANSI_QUOTES and NO_BACKSLASH_ESCAPES, so that placeholders and literals are
 *   found where we look for them; without PAD_CHAR_TO_FULL_LENGTH, so that a CHAR has no blanks at its end;
 *   without NO_ZERO_DATE and NO_ZERO_IN_DATE, so that the zero dates a table holds can be compared with;
 *   without ONLY_FULL_GROUP_BY, so that a query runs on both servers; with NO_AUTO_VALUE_ON_ZERO, so that a
 *   0 written into an AUTO_INCREMENT stays one.
 * - autocommit: a server's default of 0 would keep the first snapshot for as long as the connection lives.
 * - sql_select_limit would cut a read short without a word.
 * - max_error_count: of 0 warnings, none could be looked at.
 * - net_write_timeout: how slow a reader may be is for send_timeout to say; a dead one is noticed by TCP.
 * Repeatable read is what makes a snapshot of more than one statement. Read only holds until a transaction
 * asks for more: a sink begins with START TRANSACTION READ WRITE. */
static int set_session(struct conn *conn, struct err *err)
{
    static const char variables[] =
        "SET SESSION sql_mode = '" MYDB_STRICT "', SESSION time_zone = '+00:00', SESSION autocommit = 1,"
        " SESSION sql_auto_is_null = 0, SESSION sql_select_limit = 18446744073709551615,"
        " SESSION net_write_timeout = 31536000, SESSION max_error_count = 64";
    static const char transactions[] =
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    return mydb_run(conn, variables, "cannot set up the session", err) ||
                   mydb_run(conn, transactions, "cannot make the session read only", err)
               ? -1
               : 0;
}

/* MariaDB's server has it from 10.2, a proxy before it may not. */
static bool has_bulk(MYSQL *mysql)
{
#if LIBRARY_MARIADB
    unsigned long more = 0;
    return !mariadb_get_infov(mysql, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &more) &&
           more & MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32;
#else
    (void)mysql;
    return false;
#endif
}

static void name_server(struct conn *conn)
{
    const char *info = mysql_get_server_info(conn->mysql);
    conn->mariadb = strstr(info, "MariaDB") != NULL;
    const char *version = strncmp(info, "5.5.5-", 6) == 0 ? info + 6 : info; /* for old replicas */
    conn->bulk = has_bulk(conn->mysql);
    snprintf(conn->server, sizeof conn->server, "%s %.*s", conn->mariadb ? "MariaDB" : "MySQL",
             (int)strcspn(version, "-"), version);
}

static void close_connection(struct conn *conn);

int mydb_open_bounded(struct conn **out, const struct config_system *system, unsigned seconds, struct err *err)
{
    mydb_thread();
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return err_memory(err);
    conn->system = system;
    conn->socket = -1;
    atomic_init(&conn->cancelled, false);
    if (connect_to(&conn->mysql, system, bounded(system->pool_timeout, CONNECT_SECONDS), seconds, err))
        goto failed;
    conn->id = mysql_thread_id(conn->mysql);
    conn->socket = dup(conn->mysql->net.fd);
    if (conn->socket < 0) {
        err_set(err, ERR_INTERNAL, "cannot duplicate a socket: %s", strerror(errno));
        goto failed;
    }
    keep_alive(conn->socket);
    name_server(conn);
    if (set_session(conn, err))
        goto failed;
    *out = conn;
    return 0;
failed:
    close_connection(conn);
    return -1;
}

static int connection_open(struct conn **conn, const struct config_system *system, struct err *err)
{
    return mydb_open_bounded(conn, system, 0, err);
}

/* closing */

/* A server that sorts does not look whether its client is still there. */
static void kill_running(struct conn *conn)
{
    MYSQL *killer = NULL;
    char sql[48];
    snprintf(sql, sizeof sql, "KILL %lu", conn->id);
    struct err ignored = {0};
    if (connect_to(&killer, conn->system, KILL_SECONDS, 0, &ignored))
        return;
    mysql_query(killer, sql); /* it may have ended by itself */
    mysql_close(killer);
}

static void close_connection(struct conn *conn)
{
    mydb_thread();
    bool called_off = atomic_load(&conn->cancelled);
    if (conn->busy || called_off)
        shutdown(conn->socket, SHUT_RDWR);
    mydb_read_close(conn);
    mydb_find_close(conn);
    if (conn->mysql && (conn->busy || called_off))
        kill_running(conn);
    if (conn->mysql)
        mysql_close(conn->mysql);
    if (conn->socket >= 0)
        close(conn->socket);
    free(conn);
}

static void connection_close(struct conn *conn)
{
    if (conn)
        close_connection(conn);
}

/* the idle connection */

/* Between statements the server says nothing unless it says goodbye. */
static bool connection_alive(struct conn *conn)
{
    struct pollfd poll_fd = {.fd = conn->socket, .events = POLLIN};
    return !atomic_load(&conn->cancelled) && !conn->busy && poll(&poll_fd, 1, 0) == 0;
}

static void connection_cancel(struct conn *conn)
{
    atomic_store(&conn->cancelled, true);
    shutdown(conn->socket, SHUT_RDWR);
}

static int connection_ping(struct conn *conn, struct err *err)
{
    mydb_thread();
    return mysql_ping(conn->mysql) ? mydb_failed(conn, "ping", err) : 0;
}

static const char *connection_server(struct conn *conn)
{
    return conn->server;
}

int mydb_run(struct conn *conn, const char *sql, const char *what, struct err *err)
{
    conn->busy = true;
    int failed = mysql_query(conn->mysql, sql);
    if (failed)
        mydb_failed(conn, what, err);
    conn->busy = false;
    return failed ? -1 : 0;
}

static void mydb_quote(struct conn *conn, struct buf *out, const char *name)
{
    (void)conn;
    mydb_name(out, name);
}

const struct driver driver_mysql = {
    .type = "mysql",
    .open = connection_open,
    .close = connection_close,
    .alive = connection_alive,
    .cancel = connection_cancel,
    .ping = connection_ping,
    .server = connection_server,
    .describe = mydb_describe,
    .list = mydb_list,
    .reading = mydb_reading,
    .quote = mydb_quote,
    .sampler_new = mydb_sampler_new,
    .sampler_free = mydb_sampler_free,
    .horizon = mydb_horizon,
    .newest = mydb_newest,
    .read_open = mydb_read_open,
    .read_next = mydb_read_next,
    .read_close = mydb_read_close,
    .begin = mydb_begin,
    .commit = mydb_commit,
    .rollback = mydb_rollback,
    .fit = mydb_fit,
    .rank = mydb_rank,
    .find_open = mydb_find_open,
    .find_next = mydb_find_next,
    .find_close = mydb_find_close,
    .insert = mydb_insert,
    .update = mydb_update,
    .erase = mydb_erase,
    .sync_prepare = mydb_sync_prepare,
    .sync_lock = mydb_sync_lock,
    .sync_receipt = mydb_sync_receipt,
    .sync_is_over = mydb_sync_is_over,
    .sync_begin = mydb_sync_begin,
    .sync_add = mydb_sync_add,
    .sync_end = mydb_sync_end,
    .seen = mydb_seen,
    .sweep = mydb_sweep,
    .create_sql = mydb_create_sql,
    .create = mydb_create,
    .rights = mydb_rights,
    .tables = mydb_tables,
    .log_find = mydb_log_find,
    .log_sql = mydb_log_sql,
    .log_mark = mydb_log_mark,
    .log_missed = mydb_log_missed,
    .log_risks = mydb_log_risks,
    .state_sql = sql_mysql_state,
    .horizon_sql = sql_mysql_horizon,
    .roles_sql = sql_mysql_roles,
};
