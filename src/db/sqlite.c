#include "db/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/monotonic.h"
#include "db/sql.h"

/* How often a running statement looks whether it was called off, in steps of SQLite's machine. */
enum { STEPS_BETWEEN_LOOKS = 20000 };

static double patience(const struct conn *conn)
{
    double most = conn->system->pool_timeout;
    return conn->seconds > 0 && conn->seconds < most ? conn->seconds : most;
}

/* SQLite's own busy_timeout would sleep on when the request is called off. */
static int wait_for_lock(void *arg, int tries)
{
    struct conn *conn = arg;
    if (tries == 0)
        conn->lock_deadline = monotonic_seconds() + patience(conn);
    if (atomic_load(&conn->cancelled) || monotonic_seconds() >= conn->lock_deadline)
        return 0;
    long milliseconds = tries < 5 ? 1L << tries : 25;
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL);
    return 1;
}

/* sqlite3_interrupt says nothing to a statement that is about to begin, this does. */
static int look_for_cancel(void *arg)
{
    struct conn *conn = arg;
    return atomic_load_explicit(&conn->cancelled, memory_order_relaxed) ||
           (conn->deadline > 0 && monotonic_seconds() >= conn->deadline);
}

/* errors */

static bool begins(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

static bool tells_of_change(const char *message)
{
    return begins(message, "no such table") || begins(message, "no such column") ||
           strstr(message, " has no column named ");
}

static enum err_code code_of(int rc, const char *message, bool writing)
{
    if (rc == SQLITE_BUSY_SNAPSHOT)
        return ERR_RACE;
    switch (rc & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT: /* not called off, so it is the time that is over */
        return ERR_BUSY;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return ERR_VALUE;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
    case SQLITE_READONLY: /* a WAL file that cannot be recovered or made without the right to write */
        return ERR_AWAY;
    case SQLITE_SCHEMA:
        return ERR_CHANGED;
    case SQLITE_ERROR:
        if (writing && begins(message, "integer overflow")) /* of a version, or of what a trigger reckons */
            return ERR_VALUE;
        return tells_of_change(message) ? ERR_CHANGED : ERR_DATABASE;
    case SQLITE_NOMEM:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
        return ERR_INTERNAL;
    default: /* corrupt, not a database, no right ... */
        return ERR_DATABASE;
    }
}

/* While we write, other things are in the way. True when there was something to say. */
static bool hint_of_writing(struct conn *conn, int rc, struct err *err)
{
    const char *path = conn->system->path;
    switch (rc & 0xFF) {
    case SQLITE_BUSY:
        err_hint(err,
                 "another program writes to '%s', or has its transaction open, for longer than we may wait: "
                 "pool_timeout of the system, request_timeout of 'listen'",
                 path);
        return true;
    case SQLITE_INTERRUPT:
        err_hint(err, "request_timeout of 'listen' bounds it");
        return true;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        err_hint(err, "the service's user needs the right to write to '%s' and into its folder", path);
        return true;
    case SQLITE_FULL:
        err_hint(err,
                 "make room on the disk of '%s', and where temporary files are: $SQLITE_TMPDIR, $TMPDIR or "
                 "/var/tmp; or PRAGMA max_page_count bounds the file",
                 path);
        return true;
    default:
        return false;
    }
}

static void hint_of(struct conn *conn, int rc, struct err *err)
{
    if (conn->writing && hint_of_writing(conn, rc, err))
        return;
    switch (rc & 0xFF) {
    case SQLITE_BUSY:
        err_hint(
            err,
            "another program holds the lock on '%s' for longer than pool_timeout; WAL mode lets it write "
            "while we read: PRAGMA journal_mode=WAL",
            conn->system->path);
        break;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        err_hint(
            err,
            "a database in WAL mode needs the right to write into its folder, for the files '%s-wal' and "
            "'%s-shm'",
            conn->system->path, conn->system->path);
        break;
    case SQLITE_FULL:
        err_hint(err, "make room where temporary files are: $SQLITE_TMPDIR, $TMPDIR or /var/tmp");
        break;
    case SQLITE_NOTADB:
        err_hint(err, "'%s' is not a SQLite database, or it is an encrypted one", conn->system->path);
        break;
    case SQLITE_CORRUPT:
        err_hint(err, "look into it with: sqlite3 '%s' 'PRAGMA integrity_check'", conn->system->path);
        break;
    default:
        break;
    }
}

int sqlite_fail(struct conn *conn, int rc, const char *attempt, struct err *err)
{
    int primary = rc & 0xFF;
    conn->broken |= primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_CORRUPT ||
                    primary == SQLITE_NOTADB || primary == SQLITE_NOMEM || primary == SQLITE_MISUSE;
    if (atomic_load(&conn->cancelled))
        return err_set(err, ERR_CANCELLED, "system '%s': %s: called off", conn->system->name, attempt);
    if (primary == SQLITE_NOMEM)
        return err_memory(err);
    const char *message = conn->db && (sqlite3_errcode(conn->db) & 0xFF) == primary ? sqlite3_errmsg(conn->db)
                                                                                    : sqlite3_errstr(rc);
    if (err && !err->code) {
        err_set(err, code_of(rc, message, conn->writing), "system '%s': %s: %s", conn->system->name, attempt,
                message);
        hint_of(conn, rc, err);
    }
    return -1;
}

/* statements */

int sqlite_prepare(struct conn *conn, const char *sql, sqlite3_stmt **stmt, const char *attempt,
                   struct err *err)
{
    if (!sql)
        return err_memory(err);
    const char *tail = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, stmt, &tail);
    if (rc != SQLITE_OK)
        return sqlite_fail(conn, rc, attempt, err);
    tail += strspn(tail, " \t\r\n;");
    if (*stmt && !*tail)
        return 0;
    sqlite3_finalize(*stmt);
    *stmt = NULL;
    return err_set(err, ERR_DATABASE, "system '%s': %s: not exactly one statement", conn->system->name,
                   attempt);
}

int sqlite_run(struct conn *conn, const char *sql, const char *attempt, struct err *err)
{
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sqlite_fail(conn, rc, attempt, err);
}

/* BEGIN takes no lock, the first read does. And preparing a statement believes what it knows of the schema,
 * only running one finds out that another program changed it. */
int sqlite_begin(struct conn *conn, const char *attempt, struct err *err)
{
    return sqlite_run(conn, "BEGIN; SELECT 1 FROM main.sqlite_master LIMIT 1", attempt, err);
}

int sqlite_step(struct conn *conn, sqlite3_stmt *stmt, const char *attempt, struct err *err)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : sqlite_fail(conn, rc, attempt, err);
}

int sqlite_count(struct conn *conn, sqlite3_stmt *stmt, size_t *count, const char *attempt, struct err *err)
{
    int more;
    *count = 0;
    while ((more = sqlite_step(conn, stmt, attempt, err)) == 1)
        ++*count;
    sqlite3_reset(stmt);
    return more;
}

void sqlite_identifier(struct buf *out, const char *name)
{
    buf_putc(out, '"');
    for (; *name; name++) {
        if (*name == '"')
            buf_putc(out, '"');
        buf_putc(out, *name);
    }
    buf_putc(out, '"');
}

/* connection */

static int file_error(const struct config_system *system, int error, struct err *err)
{
    const char *path = system->path;
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        err_set(err, ERR_DATABASE, "system '%s': database file '%s' does not exist", system->name, path);
        return err_hint(err,
                        "is 'path' right, and the folder mounted? a relative path begins in the service's "
                        "working directory; no file is ever created");
    case EACCES:
    case EPERM:
        err_set(err, ERR_DATABASE, "system '%s': no right to read database file '%s'", system->name, path);
        return err_hint(
            err, "the service's user needs to read the file, and for WAL mode to write to it and to its "
                 "folder");
    default:
        return err_set(err, ERR_AWAY, "system '%s': database file '%s' cannot be read: %s", system->name,
                       path, strerror(error));
    }
}

static int look_at_file(const struct config_system *system, struct stat *file, struct err *err)
{
    if (!system->path || !*system->path || strcmp(system->path, ":memory:") == 0) {
        err_set(err, ERR_DATABASE, "system '%s': '%s' is not a database file", system->name,
                system->path ? system->path : "");
        return err_hint(err,
                        "every connection would have an empty database of its own; 'path' must name a file");
    }
    if (stat(system->path, file) != 0)
        return file_error(system, errno, err);
    if (!S_ISREG(file->st_mode))
        return err_set(err, ERR_DATABASE, "system '%s': '%s' is not a file", system->name, system->path);
    return 0;
}

/* A relative path gets "./" before it, so that "file:x" is a file and no URI whose options would be ours. */
static int open_file(struct conn *conn, struct err *err)
{
    const char *path = conn->system->path;
    char *name = sqlite3_mprintf("%s%s", *path == '/' ? "" : "./", path);
    if (!name)
        return err_memory(err);
    /* Where the file can only be read SQLite falls back to that by itself. */
    int rc = sqlite3_open_v2(name, &conn->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    sqlite3_free(name);
    if (rc == SQLITE_OK)
        return 0;
    int error = conn->db ? sqlite3_system_errno(conn->db) : 0;
    if ((rc & 0xFF) == SQLITE_CANTOPEN && error)
        return file_error(conn->system, error, err);
    return sqlite_fail(conn, rc, "opening the database file", err);
}

/* A database file may come from anybody: what is in its schema must not reach beyond it, and what we run
 * must not change it. */
static int set_up(struct conn *conn, struct err *err)
{
    sqlite3_extended_result_codes(conn->db, 1);
    sqlite3_busy_handler(conn->db, wait_for_lock, conn);
    sqlite3_progress_handler(conn->db, STEPS_BETWEEN_LOOKS, look_for_cancel, conn);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    sqlite3_limit(conn->db, SQLITE_LIMIT_ATTACHED, 0);
    /* SQLite keeps a schema's foreign keys only where it is asked to, and never asked within a transaction.
     */
    return sqlite_run(conn, "PRAGMA query_only = ON; PRAGMA cell_size_check = ON; PRAGMA foreign_keys = ON",
                      "setting up the session", err);
}

static bool same_file(const struct conn *conn, const struct stat *file)
{
    return file->st_dev == conn->device && file->st_ino == conn->inode;
}

static bool sqlite_alive(struct conn *conn)
{
    struct stat file;
    return !conn->broken && stat(conn->system->path, &file) == 0 && same_file(conn, &file);
}

static int sqlite_ping(struct conn *conn, struct err *err)
{
    struct stat file;
    if (look_at_file(conn->system, &file, err))
        return -1;
    if (!same_file(conn, &file))
        return err_set(err, ERR_LOST, "system '%s': database file '%s' was replaced", conn->system->name,
                       conn->system->path);
    return sqlite_run(conn, "PRAGMA schema_version", "reading the database", err);
}

static void sqlite_close(struct conn *conn)
{
    if (!conn)
        return;
    sqlite_find_close(conn);
    sqlite_read_close(conn);
    sqlite3_close(conn->db);
    free(conn);
}

static int sqlite_open(struct conn **out, const struct config_system *system, struct err *err)
{
    struct stat file;
    if (look_at_file(system, &file, err))
        return -1;
    if (!sqlite3_threadsafe())
        return err_set(err, ERR_INTERNAL, "system '%s': this build of SQLite is not safe to use from threads",
                       system->name);
    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return err_memory(err);
    conn->system = system;
    conn->device = file.st_dev;
    conn->inode = file.st_ino;
    atomic_init(&conn->cancelled, false);
    snprintf(conn->server, sizeof conn->server, "SQLite %s", sqlite3_libversion());
    /* The ping tells a file that is no database, and one that was put in this one's place just now. */
    if (open_file(conn, err) || set_up(conn, err) || sqlite_ping(conn, err)) {
        sqlite_close(conn);
        return -1;
    }
    *out = conn;
    return 0;
}

static void sqlite_cancel(struct conn *conn)
{
    atomic_store(&conn->cancelled, true);
    sqlite3_interrupt(conn->db);
}

static const char *sqlite_server(struct conn *conn)
{
    return conn->server;
}

static void sqlite_quote(struct conn *conn, struct buf *out, const char *name)
{
    (void)conn;
    sqlite_identifier(out, name);
}

const struct driver driver_sqlite = {
    .type = "sqlite",
    .features = FEATURE_ONE_WRITER | FEATURE_EXACT_LOG,
    .open = sqlite_open,
    .close = sqlite_close,
    .alive = sqlite_alive,
    .cancel = sqlite_cancel,
    .ping = sqlite_ping,
    .server = sqlite_server,
    .describe = sqlite_describe,
    .list = sqlite_list,
    .quote = sqlite_quote,
    .sampler_new = sqlite_sampler_new,
    .sampler_free = sqlite_sampler_free,
    .horizon = sqlite_horizon,
    .newest = sqlite_newest,
    .read_open = sqlite_read_open,
    .read_next = sqlite_read_next,
    .read_close = sqlite_read_close,
    .begin = sqlite_transaction_begin,
    .commit = sqlite_transaction_commit,
    .rollback = sqlite_transaction_rollback,
    .fit = sqlite_fit,
    .rank = sqlite_rank,
    .find_open = sqlite_find_open,
    .find_next = sqlite_find_next,
    .find_close = sqlite_find_close,
    .insert = sqlite_insert,
    .update = sqlite_update,
    .erase = sqlite_erase,
    .sync_prepare = sqlite_sync_prepare,
    .sync_lock = sqlite_sync_lock,
    .sync_receipt = sqlite_sync_receipt,
    .sync_is_over = sqlite_sync_is_over,
    .sync_begin = sqlite_sync_begin,
    .sync_add = sqlite_sync_add,
    .sync_end = sqlite_sync_end,
    .seen = sqlite_seen,
    .sweep = sqlite_sweep,
    .create_sql = sqlite_create_sql,
    .create = sqlite_create,
    .rights = sqlite_rights,
    .tables = sqlite_tables,
    .log_find = sqlite_log_find,
    .log_sql = sqlite_log_sql,
    .log_mark = sqlite_log_mark,
    .log_missed = sqlite_log_missed,
    .log_risks = sqlite_log_risks,
    .state_sql = sql_sqlite_state,
    .roles_sql = sql_sqlite_roles,
    .default_schema = "main",
};
