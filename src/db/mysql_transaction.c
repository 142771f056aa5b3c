/* Transactions that may write. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_MAX = 86400, PACKET_LEAST = 64 * 1024, PACKET_MOST = 4 * 1024 * 1024 };

/* The first field of the one row, as text into answer. */
static int ask(struct conn *conn, const char *sql, char *answer, size_t size, const char *what,
               struct err *err)
{
    if (mydb_run(conn, sql, what, err))
        return -1;
    MYSQL_RES *rows = mysql_store_result(conn->mysql);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    bool known = row && row[0];
    if (known)
        snprintf(answer, size, "%s", row[0]);
    if (rows)
        mysql_free_result(rows);
    return known ? 0 : err_set(err, ERR_DATABASE, "%s: the server does not say", what);
}

/* A variable of MariaDB; MySQL bounds nothing but SELECTs, and that in milliseconds. The role's own limit is
 * never widened, and comes back for reads. */
static int limit_statements(struct conn *conn, unsigned seconds, struct err *err)
{
    static const char what[] = "cannot bound the time of statements";
    char sql[96];
    if (!conn->mariadb)
        return 0;
    if (!*conn->own_limit &&
        ask(conn, "SELECT @@SESSION.max_statement_time", conn->own_limit, sizeof conn->own_limit, what, err))
        return -1;
    double own = strtod(conn->own_limit, NULL);
    if (!seconds || (own > 0 && own <= seconds))
        snprintf(sql, sizeof sql, "SET SESSION max_statement_time = %s", conn->own_limit);
    else /* a wait for a lock ends before, with an error of its own */
        snprintf(sql, sizeof sql, "SET SESSION max_statement_time = %u", seconds + 1);
    return mydb_run(conn, sql, what, err);
}

int mydb_limit(struct conn *conn, unsigned seconds, struct err *err)
{
    char sql[96] = "SET SESSION innodb_lock_wait_timeout = DEFAULT, SESSION lock_wait_timeout = DEFAULT";
    if (conn->limit == seconds)
        return 0;
    if (seconds)
        snprintf(sql, sizeof sql, "SET SESSION innodb_lock_wait_timeout = %u, SESSION lock_wait_timeout = %u",
                 seconds, seconds);
    if (mydb_run(conn, sql, "cannot bound the wait for locks", err) || limit_statements(conn, seconds, err))
        return -1;
    conn->limit = seconds;
    return 0;
}

static unsigned whole_seconds(double seconds)
{
    if (!(seconds > 1))
        return 1;
    return seconds < LIMIT_MAX ? (unsigned)(seconds + 0.999) : LIMIT_MAX;
}

/* Read committed, so that a row which was waited for is read as it is now, and what does not match is not
 * kept locked. The characteristics are of this transaction only: a session is read only and repeatable. */
int mydb_begin(struct conn *conn, bool write, double seconds, struct err *err)
{
    static const char what[] = "cannot begin a transaction";
    mydb_thread();
    if (mydb_limit(conn, whole_seconds(seconds), err) ||
        mydb_run(conn, "SET TRANSACTION ISOLATION LEVEL READ COMMITTED", what, err))
        return -1;
    conn->doomed = false;
    conn->writing = write;
    return mydb_run(conn, write ? "START TRANSACTION READ WRITE" : "START TRANSACTION READ ONLY", what, err);
}

/* Whether the transaction is still there can be seen from what the server says with each statement: a proxy
 * may have gone on with another server. */
int mydb_commit(struct conn *conn, struct err *err)
{
    static const char what[] = "cannot commit";
    mydb_thread();
    if (conn->doomed)
        return err_set(err, ERR_INTERNAL, "%s: a statement of the transaction failed", what);
    if (!(conn->mysql->server_status & SERVER_STATUS_IN_TRANS))
        return err_set(err, ERR_LOST, "%s: the server ended the transaction", what);
    if (mydb_run(conn, "COMMIT", what, err))
        return -1;
    conn->writing = false;
    return 0;
}

int mydb_rollback(struct conn *conn)
{
    mydb_thread();
    if (mydb_find_close(conn) || atomic_load(&conn->cancelled))
        return -1;
    conn->writing = conn->doomed = false;
    return mydb_run(conn, "ROLLBACK", "cannot roll back", NULL);
}

/* The server wants a statement's values in one packet; half of what it takes leaves room for what we do not
 * count. */
int mydb_packet(struct conn *conn, struct err *err)
{
    char answer[32] = "";
    if (conn->packet)
        return 0;
    if (ask(conn, "SELECT @@SESSION.max_allowed_packet", answer, sizeof answer,
            "cannot read max_allowed_packet", err))
        return -1;
    conn->packet_most = (size_t)strtoull(answer, NULL, 10);
    size_t half = conn->packet_most / 2;
    conn->packet = half < PACKET_LEAST ? PACKET_LEAST : half > PACKET_MOST ? PACKET_MOST : half;
    return 0;
}
