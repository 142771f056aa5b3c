#include "db/sqlite.h"

#include "base/monotonic.h"

static const char beginning[] = "beginning a transaction";

/* The session shall only read again, whatever became of the transaction. */
static void end(struct conn *conn)
{
    conn->deadline = 0;
    conn->seconds = 0;
    conn->writing = false;
    if (sqlite3_exec(conn->db, "PRAGMA query_only = ON", NULL, NULL, NULL) != SQLITE_OK)
        conn->broken = true;
}

static int no_right(struct conn *conn, struct err *err)
{
    err_set(err, ERR_AWAY, "system '%s': the database file can only be read", conn->system->name);
    return err_hint(err, "the service's user needs the right to write to '%s' and into its folder",
                    conn->system->path);
}

/* Who writes begins with the lock: a snapshot that is read first can be too old to write from, and then no
 * waiting helps. The look at the schema makes that what is prepared is of the schema as it is now. */
static int begin_writing(struct conn *conn, struct err *err)
{
    if (sqlite3_db_readonly(conn->db, "main") == 1)
        return no_right(conn, err);
    conn->writing = true;
    return sqlite_run(conn,
                      "PRAGMA query_only = OFF; BEGIN IMMEDIATE; SELECT 1 FROM main.sqlite_master LIMIT 1",
                      beginning, err);
}

int sqlite_transaction_begin(struct conn *conn, bool write, double seconds, struct err *err)
{
    conn->seconds = seconds;
    if (atomic_load(&conn->cancelled))
        return sqlite_fail(conn, SQLITE_INTERRUPT, beginning, err);
    int failed = write ? begin_writing(conn, err) : sqlite_begin(conn, beginning, err);
    if (failed)
        sqlite_transaction_rollback(conn);
    return failed;
}

int sqlite_transaction_check(struct conn *conn, struct err *err)
{
    if (atomic_load(&conn->cancelled))
        return sqlite_fail(conn, SQLITE_INTERRUPT, "writing", err);
    /* SQLite ends a transaction by itself when the disk is full, memory is short and the like; what came
     * after it would be written for good, statement by statement. */
    if (sqlite3_get_autocommit(conn->db))
        return err_set(err, ERR_INTERNAL, "system '%s': writing: no transaction is open", conn->system->name);
    conn->deadline = conn->seconds > 0 ? monotonic_seconds() + conn->seconds : 0;
    return 0;
}

int sqlite_transaction_commit(struct conn *conn, struct err *err)
{
    if (sqlite_transaction_check(conn, err))
        return -1;
    conn->deadline = 0;
    sqlite_find_close(conn);
    if (sqlite_run(conn, "COMMIT", "committing", err))
        return -1;
    end(conn);
    return 0;
}

int sqlite_transaction_rollback(struct conn *conn)
{
    conn->deadline = 0;
    sqlite_find_close(conn);
    if (!sqlite3_get_autocommit(conn->db) &&
        sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        conn->broken = true;
    end(conn);
    return conn->broken || atomic_load(&conn->cancelled) ? -1 : 0;
}
