/* Transactions of PostgreSQL that may write. */
#include "db/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void postgres_forget(struct conn *conn)
{
    free(conn->constants);
    free(conn->constant_fields);
    conn->constants = conn->constant_fields = NULL;
    conn->constant_len = 0;
}

/* A standby calls it a feature that it does not support. */
static int begin_failed(struct conn *conn, const PGresult *result, struct err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!state || strcmp(state, "0A000") != 0)
        return postgres_write_error(conn, result, "cannot begin a transaction", NULL, NULL, err);
    err_set(err, ERR_AWAY, "cannot begin a transaction that writes: the server is a standby");
    return err_hint(err, "a sink needs the primary; PostgreSQL's \"host\" may list several servers");
}

/* Rows are looked for by keys in the order of the keys: a nested loop over the index is right whatever the planner
 * thinks of the number of rows. A wait for a lock ends a little before the statement would, so that it is told from a
 * statement that is slow. */
int postgres_begin(struct conn *conn, bool write, double seconds, struct err *err)
{
    char sql[512];
    long ms = seconds > 0.001 ? seconds < 86400 ? (long)(seconds * 1000) : 86400000 : 1;
    postgres_forget(conn);
    snprintf(sql, sizeof sql,
             "BEGIN ISOLATION LEVEL READ COMMITTED READ %s; SET LOCAL statement_timeout = %ld; SET LOCAL lock_timeout = %ld;"
             " SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off",
             write ? "WRITE" : "ONLY", ms, ms * 9 / 10 + 1);
    PGresult *result = PQexec(conn->pg, sql);
    int failed = PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : begin_failed(conn, result, err);
    PQclear(result);
    return failed;
}

/* A transaction that failed answers COMMIT with ROLLBACK and calls it success. */
int postgres_commit(struct conn *conn, struct err *err)
{
    PGresult *result = PQexec(conn->pg, "COMMIT");
    int failed = 0;
    postgres_forget(conn);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        failed = postgres_write_error(conn, result, "cannot commit", NULL, NULL, err);
    else if (strcmp(PQcmdStatus(result), "COMMIT") != 0)
        failed = err_set(err, ERR_INTERNAL, "cannot commit: a statement before failed, the transaction was rolled back");
    PQclear(result);
    return failed;
}

int postgres_rollback(struct conn *conn)
{
    if (conn->find && postgres_find_close(conn))
        return -1;
    postgres_forget(conn);
    PGTransactionStatusType status = PQtransactionStatus(conn->pg);
    if (status == PQTRANS_INTRANS || status == PQTRANS_INERROR)
        PQclear(PQexec(conn->pg, "ROLLBACK"));
    return PQstatus(conn->pg) == CONNECTION_OK && PQtransactionStatus(conn->pg) == PQTRANS_IDLE ? 0 : -1;
}
