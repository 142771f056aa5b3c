/* Takes samples of a server's sessions and transactions, for mysql_watch.c.
 *
 * INNODB_TRX shows a picture that InnoDB takes anew only when nobody has read it for 0.1 s, so that whoever reads it
 * often keeps an old one alive, and nothing tells its age. So each picture has to prove itself: after the list of
 * statements our session begins or ends a transaction of its own, and a picture is only used if it shows that. Since pictures
 * only get newer, and the last one that was used showed the state before, it then looked at our session after the
 * change. Others it may have looked at before, when another session began to take it: but all of it is newer than
 * the picture used before, and so than the change and the list of statements before that one. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_PRIVILEGE = 1227, SYNTAX = 1064, NO_PROCEDURE = 1305, MAY_NOT_EXECUTE = 1370, NO_DATABASE = 1046 };

static const char what[] = "cannot ask for the open transactions";

#define SETTLE "{\"settle\": 60} as late_commits"

/* The same as in sql/mysql/horizon.sql. */
static const char sessions_sql[] =
    "SELECT ID,"
    " CAST((UNIX_TIMESTAMP(NOW(6)) - /*M!100000 TIME_MS / 1000 + 0 * */ (TIME + 1)) * 1000000 AS SIGNED),"
    " CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED),"
    " COMMAND LIKE 'Slave%' OR (USER = 'system user' AND COMMAND IN ('Connect', 'Query'))"
    " FROM information_schema.PROCESSLIST"
    " WHERE COMMAND NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')"
    " AND NOT (COMMAND = 'Connect' AND USER = 'unauthenticated user')";
static const char trxs_sql[] =
    "SELECT trx_mysql_thread_id, trx_id, CAST(UNIX_TIMESTAMP(trx_started) AS SIGNED),"
    " trx_is_read_only = 1 AND trx_autocommit_non_locking = 0, trx_state = 'LOCK WAIT'"
    " FROM information_schema.INNODB_TRX";

/* asking */

/* A procedure's rows come with the end of the call behind them. */
static int drain(struct conn *conn, struct err *err)
{
    int more;
    while ((more = mysql_next_result(conn->mysql)) == 0) {
        MYSQL_RES *rows = mysql_store_result(conn->mysql);
        if (rows)
            mysql_free_result(rows);
    }
    return more > 0 ? mydb_failed(conn, what, err) : 0;
}

static MYSQL_RES *ask(struct conn *conn, const char *sql, struct err *err)
{
    if (mydb_run(conn, sql, what, err))
        return NULL;
    MYSQL_RES *rows = mysql_store_result(conn->mysql);
    if (!rows)
        mydb_failed(conn, what, err);
    else if (drain(conn, err)) {
        mysql_free_result(rows);
        rows = NULL;
    }
    return rows;
}

/* may we? */

static int refuse_right(struct mydb_look *look, struct err *err)
{
    char role[512] = "the role";
    MYSQL_RES *rows = ask(look->conn,
                          "SELECT CONCAT(QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', 1)), '@',"
                          " QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)))", NULL);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    if (row && row[0])
        snprintf(role, sizeof role, "%s", row[0]);
    if (rows)
        mysql_free_result(rows);
    err_set(err, ERR_DATABASE, "system '%s': the role may not see the transactions of others, so nobody knows which"
                               " rows are still to come", look->conn->system->name);
    return err_hint(err, "GRANT PROCESS ON *.* TO %s; or make the procedures that 'sesam-sql ddl mysql' prints, as"
                         " somebody who has PROCESS, and GRANT EXECUTE on them; or write " SETTLE, role);
}

static int refuse(struct mydb_look *look, const char *why, struct err *err)
{
    err_set(err, ERR_DATABASE, "system '%s': %s, so its open transactions do not tell which rows are still to come",
            look->conn->system->name, why);
    return err_hint(err, "read from the server that is written to, or write " SETTLE);
}

/* Which of the two ways the role may go. The same right lets it see all sessions and all transactions; it does not
 * change while we are connected, and a definer's is seen anew in each list of transactions. */
static int choose_way(struct mydb_look *look, struct err *err)
{
    struct err own = {0};
    MYSQL_RES *rows = ask(look->conn, trxs_sql, &own);
    unsigned number = rows ? 0 : mysql_errno(look->conn->mysql);
    if (number == NO_PRIVILEGE) {
        look->by_procedure = true;
        err_clear(&own);
        rows = ask(look->conn, "CALL sesam_sql_horizon_transactions()", &own);
        number = rows ? 0 : mysql_errno(look->conn->mysql);
    }
    if (rows)
        mysql_free_result(rows);
    if (rows)
        return 0;
    if (number == NO_PRIVILEGE || number == NO_PROCEDURE || number == MAY_NOT_EXECUTE || number == NO_DATABASE)
        return refuse_right(look, err);
    return err_set(err, own.code, "%s", own.text);
}

/* Rows of the statement, or -1 where the server does not know it or the role may not. */
static int count_rows(struct mydb_look *look, const char *sql, unsigned *number, struct err *err)
{
    struct err own = {0};
    MYSQL_RES *rows = ask(look->conn, sql, &own);
    *number = rows ? 0 : mysql_errno(look->conn->mysql);
    int count = rows ? (int)mysql_num_rows(rows) : -1;
    if (rows)
        mysql_free_result(rows);
    if (!rows && (own.code == ERR_CANCELLED || mydb_is_loss(*number)))
        err_set(err, own.code, "%s", own.text);
    return count;
}

/* A replica whose threads run is seen in each sample, too; one that rests only here. Where the role may not ask, a
 * server that only reads is taken for one. */
static int check_replica(struct mydb_look *look, struct err *err)
{
    static const char *const statements[] = {"SHOW REPLICA STATUS", "SHOW SLAVE STATUS"};
    unsigned number = SYNTAX;
    struct err own = {0};
    int count = -1;
    if (look->conn->mariadb)
        count = count_rows(look, "SHOW ALL SLAVES STATUS", &number, &own);
    for (size_t i = 0; i < 2 && count < 0 && number == SYNTAX && !own.code; i++)
        count = count_rows(look, statements[i], &number, &own);
    look->blind = count < 0 && number == NO_PRIVILEGE;
    if (look->blind) {
        count = count_rows(look, "SHOW GLOBAL VARIABLES WHERE Variable_name = 'read_only' AND Value <> 'OFF'", &number,
                           &own);
        if (count > 0)
            return refuse(look, "the server only reads, as replicas do", err);
    }
    if (own.code || count < 0)
        return err_set(err, own.code ? own.code : ERR_DATABASE, "%s: %s", what,
                       own.code ? own.text : "the server does not say whether it is a replica");
    return count ? refuse(look, "the server is a replica", err) : 0;
}

static int check_cluster(struct mydb_look *look, struct err *err)
{
    MYSQL_RES *rows = ask(look->conn, "SHOW GLOBAL VARIABLES WHERE Variable_name = 'wsrep_on' AND Value = 'ON'", err);
    if (!rows)
        return -1;
    bool cluster = mysql_num_rows(rows) > 0;
    mysql_free_result(rows);
    return cluster ? refuse(look, "the server is one of a Galera cluster", err) : 0;
}

int mydb_look_begin(struct mydb_look *look, struct err *err)
{
    return check_replica(look, err) || check_cluster(look, err) || choose_way(look, err) ? -1 : 0;
}

/* looking */

static int64_t number_of(const char *text)
{
    return text ? strtoll(text, NULL, 10) : 0;
}

/* Of a statement whose beginning is not told, nothing is known but that it was there: it began before now. None is. */
static int take_session(struct mydb_look *look, struct mydb_sample *sample, MYSQL_ROW row, bool *own)
{
    struct mydb_session session = {.thread = strtoull(row[0], NULL, 10)};
    if (row[2])
        sample->time = number_of(row[2]);
    session.since = row[1] ? number_of(row[1]) : sample->time;
    sample->replica |= row[3] && number_of(row[3]);
    if (session.thread != look->conn->id)
        return mydb_sample_session(sample, session);
    *own = true;
    return 0;
}

int mydb_look_sessions(struct mydb_look *look, struct mydb_sample *sample, struct err *err)
{
    bool own = false;
    mydb_sample_reset(sample);
    MYSQL_RES *rows = ask(look->conn, look->by_procedure ? "CALL sesam_sql_horizon_sessions()" : sessions_sql, err);
    if (!rows)
        return -1;
    int failed = 0;
    for (MYSQL_ROW row; !failed && (row = mysql_fetch_row(rows));)
        failed = take_session(look, sample, row, &own);
    mysql_free_result(rows);
    if (failed)
        return err_memory(err);
    if (!own || !sample->time) /* the definer of the procedure sees its own sessions only */
        return refuse_right(look, err);
    if (sample->replica)
        return refuse(look, "the server is a replica", err);
    const char *change = look->open ? "COMMIT" : "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
    look->open = !look->open;
    return mydb_run(look->conn, change, what, err);
}

/* InnoDB gives its picture 16 MB, and leaves out what does not fit without a word. Transactions that wait take some more
 * room for each one that they wait for. */
static bool may_be_cut(const struct mydb_sample *sample, size_t waiting)
{
    double rows = (double)sample->trx_count, sessions = (double)sample->session_count;
    return rows * 2048 + (double)waiting * (rows + sessions) * 64 > 8 * 1024 * 1024;
}

static int take_trx(struct mydb_look *look, struct mydb_sample *sample, MYSQL_ROW row, bool *own, size_t *waiting)
{
    static const uint64_t no_id = (uint64_t)1 << 48; /* MySQL invents higher ones for those that have none */
    struct mydb_trx trx = {.thread = row[0] ? strtoull(row[0], NULL, 10) : 0,
                           .id = row[1] ? strtoull(row[1], NULL, 10) : 0, .started = number_of(row[2]),
                           .reads = row[3] && number_of(row[3])};
    if (trx.id >= no_id)
        trx.id = 0;
    *waiting += row[4] && number_of(row[4]);
    if (trx.thread != look->conn->id)
        return mydb_sample_trx(sample, trx);
    *own = true;
    return 0;
}

int mydb_look_trxs(struct mydb_look *look, struct mydb_sample *sample, const char **why, struct err *err)
{
    bool own = false;
    size_t waiting = 0;
    MYSQL_RES *rows =
        ask(look->conn, look->by_procedure ? "CALL sesam_sql_horizon_transactions()" : trxs_sql, err);
    if (!rows)
        return -1;
    int failed = 0;
    sample->trx_count = 0;
    for (MYSQL_ROW row; !failed && (row = mysql_fetch_row(rows));)
        failed = take_trx(look, sample, row, &own, &waiting);
    mysql_free_result(rows);
    if (failed)
        return err_memory(err);
    *why = NULL;
    if (own != look->open)
        *why = "somebody reads INNODB_TRX so often that the server does not renew it";
    else if (may_be_cut(sample, waiting))
        *why = "there are more transactions than INNODB_TRX can show";
    return 0;
}

void mydb_look_name(struct mydb_look *look, uint64_t thread, char *text, size_t size)
{
    char sql[120];
    snprintf(text, size, "session %llu", (unsigned long long)thread);
    snprintf(sql, sizeof sql, "SELECT USER FROM information_schema.PROCESSLIST WHERE ID = %llu",
             (unsigned long long)thread);
    MYSQL_RES *rows = look->by_procedure ? NULL : ask(look->conn, sql, NULL);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    if (row && row[0])
        snprintf(text, size, "session %llu of user '%.80s'", (unsigned long long)thread, row[0]);
    if (rows)
        mysql_free_result(rows);
}

/* Which of several it is nobody tells. */
void mydb_look_prepared(struct mydb_look *look, char *text, size_t size)
{
    MYSQL_RES *rows = ask(look->conn, "XA RECOVER", NULL);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    size_t count = rows ? (size_t)mysql_num_rows(rows) : 0;
    snprintf(text, size, "a transaction without a session, such as a prepared XA transaction");
    if (row && row[3] && count == 1)
        snprintf(text, size, "the prepared XA transaction '%.100s'", row[3]);
    else if (row && row[3])
        snprintf(text, size, "one of %zu prepared XA transactions, such as '%.60s'", count, row[3]);
    if (rows)
        mysql_free_result(rows);
}
