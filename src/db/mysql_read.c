/* Streams the rows of a plan: an unbuffered prepared statement a range, in the binary protocol. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct mydb_read {
    const struct plan *plan;
    struct arena *arena; /* of the present range's parameters */
    MYSQL_STMT *stmt;
    struct mydb_cells *cells;
    size_t range;  /* the next to open */
    uint64_t left; /* rows up to the limit */
    bool running;  /* rows of stmt may still be on their way */
    bool transaction;
    bool lost;
};

/* ranges */

/* A filter may hold letters that the column's character set does not have. */
static int execute_failed(struct conn *conn, const struct mydb_read *read, const char *what, struct err *err)
{
    enum { MIX_OF_COLLATIONS = 1267 };
    if (read->plan->filter_count && mydb_stmt_number(conn, read->stmt) == MIX_OF_COLLATIONS)
        return err_set(err, ERR_INPUT, "%s: a filter's text cannot be in the column's character set", what);
    return mydb_stmt_failed(conn, read->stmt, what, err);
}

static int execute(struct conn *conn, struct mydb_read *read, struct mydb_statement *statement, struct err *err)
{
    MYSQL_STMT *stmt = read->stmt;
    char what[200];
    snprintf(what, sizeof what, "cannot read %s", read->plan->relation->title);
    conn->busy = true;
    if (mysql_stmt_prepare(stmt, statement->sql.data, (unsigned long)statement->sql.len))
        return mydb_stmt_failed(conn, stmt, what, err);
    if (mysql_stmt_param_count(stmt) != statement->count) {
        err_set(err, ERR_DATABASE, "%s: it has a bare '?'", what);
        return err_hint(err, "name parameters as :name");
    }
    if ((statement->count && mysql_stmt_bind_param(stmt, statement->binds)) || mysql_stmt_execute(stmt))
        return execute_failed(conn, read, what, err);
    read->running = true;
    return mydb_cells_bind(conn, read->cells, stmt, err);
}

static void end_range(struct conn *conn, struct mydb_read *read)
{
    if (read->stmt)
        mysql_stmt_close(read->stmt);
    read->stmt = NULL;
    arena_free(read->arena);
    read->arena = NULL;
    read->running = false;
    conn->busy = false;
}

static int open_range(struct conn *conn, struct mydb_read *read, struct err *err)
{
    const struct plan *plan = read->plan;
    const struct range *range = plan->range_count ? &plan->ranges[read->range] : NULL;
    read->range++;
    read->arena = arena_new();
    read->stmt = mysql_stmt_init(conn->mysql);
    if (!read->arena || !read->stmt)
        return err_memory(err);
    struct mydb_statement statement = {.arena = read->arena};
    int failed = mydb_select(conn, &statement, plan, range, read->left, err);
    if (!failed)
        failed = execute(conn, read, &statement, err);
    buf_free(&statement.sql);
    return failed;
}

/* One snapshot for all ranges. A single statement has one of its own; but the transaction also says, before the statement
 * begins and for whoever looks at the server's transactions, that nothing will be written: else a long read would hold back
 * the horizon, ours and that of others who read this server. */
static int begin(struct conn *conn, struct mydb_read *read, struct err *err)
{
    if (mydb_run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "cannot begin a snapshot", err))
        return -1;
    read->transaction = true;
    return 0;
}

static int allocate(struct mydb_read *read, struct err *err)
{
    const struct plan *plan = read->plan;
    const struct column **columns = calloc(plan->column_count + 1, sizeof *columns);
    if (!columns)
        return err_memory(err);
    for (size_t i = 0; i < plan->column_count; i++)
        columns[i] = &plan->relation->columns[plan->columns[i]];
    read->cells = mydb_cells_new(columns, plan->column_count, plan->relation->title, err);
    free(columns);
    return read->cells ? 0 : -1;
}

static bool has_more(const struct mydb_read *read)
{
    const struct plan *plan = read->plan;
    size_t ranges = plan->order == ORDER_NONE || !plan->range_count ? 1 : plan->range_count;
    return read->range < ranges && read->left;
}

int mydb_read_open(struct conn *conn, const struct plan *plan, struct err *err)
{
    mydb_thread();
    struct mydb_read *read = conn->read = calloc(1, sizeof *read);
    if (!read)
        return err_memory(err);
    read->plan = plan;
    read->left = plan->limit;
    if (allocate(read, err) || mydb_limit(conn, 0, err) || begin(conn, read, err))
        return -1;
    return has_more(read) ? open_range(conn, read, err) : 0;
}

static int fetch(struct conn *conn, struct mydb_read *read, const struct value **row, struct err *err)
{
    int got = mydb_cells_fetch(conn, read->cells, read->stmt, row, err);
    if (got < 0 && mydb_stmt_number(conn, read->stmt)) {
        read->running = false;
        read->lost = mydb_is_loss(mydb_stmt_number(conn, read->stmt));
    }
    return got;
}

int mydb_read_next(struct conn *conn, const struct value **row, struct err *err)
{
    struct mydb_read *read = conn->read;
    mydb_thread();
    for (;;) {
        if (read->stmt) {
            int got = fetch(conn, read, row, err);
            if (got < 0)
                return -1;
            if (got)
                break;
            end_range(conn, read);
        }
        if (!has_more(read))
            return 0;
        if (open_range(conn, read, err))
            return -1;
    }
    if (read->left != UINT64_MAX)
        read->left--;
    return 1;
}

/* Rows that nobody will read are not fetched: the library would, to make the connection fit for use, and
 * so it is broken first. conn->busy stays, and close ends what still runs on the server. */
int mydb_read_close(struct conn *conn)
{
    struct mydb_read *read = conn->read;
    if (!read)
        return 0;
    mydb_thread();
    conn->read = NULL;
    bool abandoned = read->running || read->lost || atomic_load(&conn->cancelled);
    if (abandoned)
        shutdown(conn->socket, SHUT_RDWR);
    bool transaction = read->transaction;
    end_range(conn, read);
    mydb_cells_free(read->cells);
    free(read);
    conn->busy = abandoned;
    if (!abandoned && transaction)
        abandoned = mydb_run(conn, "ROLLBACK", "cannot end the snapshot", NULL) != 0;
    return abandoned ? -1 : 0;
}
