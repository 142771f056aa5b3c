/* Runs a statement with what is bound to it. */
#include "db/mysql.h"

int mydb_execute_on(struct conn *conn, MYSQL_STMT *stmt, struct mydb_statement *statement, const char *what,
                    struct err *err)
{
    if (!buf_text(&statement->sql))
        return err_memory(err);
    conn->busy = true;
    if (mysql_stmt_prepare(stmt, statement->sql.data, (unsigned long)statement->sql.len) ||
        (statement->count && mysql_stmt_bind_param(stmt, statement->binds)) || mysql_stmt_execute(stmt))
        return mydb_stmt_failed(conn, stmt, what, err);
    return 0;
}

int mydb_execute(struct conn *conn, struct mydb_statement *statement, const char *what, uint64_t *affected,
                 struct err *err)
{
    MYSQL_STMT *stmt = mysql_stmt_init(conn->mysql);
    if (!stmt)
        return err_memory(err);
    int failed = mydb_execute_on(conn, stmt, statement, what, err);
    if (!failed && affected)
        *affected = mysql_stmt_affected_rows(stmt);
    mysql_stmt_close(stmt);
    conn->busy = false;
    return failed;
}
