/* Writes rows, within a transaction. Values are bound as what they are, never written into the statement.
 *
 * MariaDB takes the values of many rows with one execution (bulk binding): four times as fast as a text with
 * all of them, and for updates more. MySQL has no such thing: there an insert has as many rows of parameters
 * as a statement may have, and an update or delete is executed for each row. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAMETERS_MAX = 65535, ROWS_MAX = 1000, PACKET_REST = 1024 };

enum verb { VERB_INSERT, VERB_UPDATE, VERB_DELETE };

struct job {
    struct conn *conn;
    const struct write *write;
    enum verb verb;
    struct mydb_arrays arrays;
    struct buf sql;
    size_t values; /* where the row of an insert's VALUES begins in sql */
    MYSQL_BIND *binds;
    struct fault *fault;
    struct err *err;
    char what[160];
};

static const struct column *place_column(const struct write *write, size_t place)
{
    return &write->target->relation->columns[write->target->columns[place]];
}

/* parameters */

/* Appends the ? of a place and fills in its values. */
static int add_place(struct job *job, size_t place)
{
    const struct write *write = job->write;
    const struct column *column = place_column(write, place);
    struct mydb_array *array = mydb_array_add(&job->arrays, column, job->err);
    if (!array)
        return -1;
    for (size_t i = 0; i < write->row_count; i++)
        if (mydb_array_set(&job->arrays, array, i, &write->rows[i]->values[place], job->err)) {
            job->fault->row = i;
            job->fault->column = write->target->columns[place];
            return -1;
        }
    buf_puts(&job->sql, column->number == MYSQL_TYPE_GEOMETRY ? "ST_GeomFromText(?)" : "?");
    return 0;
}

static int add_special(struct job *job, const struct special *special)
{
    const struct write *write = job->write;
    const struct relation *relation = write->target->relation;
    struct value value;
    bool bound;
    if (mydb_put_special(job->conn, &job->sql, job->verb == VERB_INSERT ? NULL : "", relation, special,
                         job->arrays.arena, &value, &bound, job->err))
        return -1;
    struct mydb_array *array =
        bound ? mydb_array_add(&job->arrays, &relation->columns[special->column], job->err) : NULL;
    if (bound && !array)
        return -1;
    for (size_t i = 0; bound && i < write->row_count; i++)
        if (mydb_array_set(&job->arrays, array, i, &value, job->err))
            return -1;
    return 0;
}

/* statements */

static void put_separator(struct job *job, size_t *count, const char *separator)
{
    if ((*count)++)
        buf_puts(&job->sql, separator);
}

static int put_insert(struct job *job)
{
    const struct write *write = job->write;
    const struct relation *relation = write->target->relation;
    size_t names = 0, values = 0;
    buf_printf(&job->sql, "INSERT INTO %s (", relation->from);
    for (size_t i = 0; i < write->place_count; i++) {
        put_separator(job, &names, ", ");
        mydb_column_name(&job->sql, "", place_column(write, write->places[i]));
    }
    for (size_t i = 0; i < write->special_count; i++) {
        put_separator(job, &names, ", ");
        mydb_column_name(&job->sql, "", &relation->columns[write->specials[i].column]);
    }
    buf_puts(&job->sql, ") VALUES ");
    job->values = job->sql.len;
    buf_putc(&job->sql, '(');
    for (size_t i = 0; i < write->place_count; i++) {
        put_separator(job, &values, ", ");
        if (add_place(job, write->places[i]))
            return -1;
    }
    for (size_t i = 0; i < write->special_count; i++) {
        put_separator(job, &values, ", ");
        if (add_special(job, &write->specials[i]))
            return -1;
    }
    buf_putc(&job->sql, ')');
    return 0;
}

static int put_where(struct job *job)
{
    size_t parts = 0;
    buf_puts(&job->sql, " WHERE ");
    for (size_t i = 0; i < job->write->target->relation->key_count; i++) {
        put_separator(job, &parts, " AND ");
        mydb_column_name(&job->sql, "", place_column(job->write, i));
        buf_puts(&job->sql, " = ");
        if (add_place(job, i))
            return -1;
    }
    return 0;
}

/* The version goes last: the server assigns from left to right. */
static int put_specials(struct job *job, size_t *count, bool next)
{
    const struct write *write = job->write;
    for (size_t i = 0; i < write->special_count; i++) {
        const struct special *special = &write->specials[i];
        if ((special->kind == SPECIAL_NEXT) != next)
            continue;
        put_separator(job, count, ", ");
        mydb_column_name(&job->sql, "", &write->target->relation->columns[special->column]);
        buf_puts(&job->sql, " = ");
        if (add_special(job, special))
            return -1;
    }
    return 0;
}

static int put_update(struct job *job)
{
    const struct write *write = job->write;
    size_t count = 0;
    buf_printf(&job->sql, "UPDATE %s SET ", write->target->relation->from);
    for (size_t i = 0; i < write->place_count; i++) {
        put_separator(job, &count, ", ");
        mydb_column_name(&job->sql, "", place_column(write, write->places[i]));
        buf_puts(&job->sql, " = ");
        if (add_place(job, write->places[i]))
            return -1;
    }
    return put_specials(job, &count, false) || put_specials(job, &count, true) || put_where(job) ? -1 : 0;
}

static int put_delete(struct job *job)
{
    buf_printf(&job->sql, "DELETE FROM %s", job->write->target->relation->from);
    return put_where(job);
}

/* what went wrong */

static void set_column(struct job *job, const char *message)
{
    const struct relation *relation = job->write->target->relation;
    char name[200];
    if (mydb_error_column(message, name, sizeof name))
        job->fault->column = mydb_find_column(relation, name);
}

static int stmt_failed(struct job *job, MYSQL_STMT *stmt)
{
    job->fault->duplicate = mydb_is_duplicate(mydb_stmt_number(job->conn, stmt));
    job->fault->key =
        job->fault->duplicate && mydb_is_key(job->write->target->relation, mysql_stmt_error(stmt));
    set_column(job, mysql_stmt_error(stmt));
    return mydb_stmt_failed(job->conn, stmt, job->what, job->err);
}

/* Even a strict session only warns where it rounds a decimal, and of some other ways to make another value.
 */
static bool alters_value(unsigned long number)
{
    static const unsigned numbers[] = {1048, 1264, 1265, 1292, 1364, 1366,
                                       1406, 1411, 1441, 1690, 1762, 1906};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (number == numbers[i])
            return true;
    return false;
}

static int check_warnings(struct job *job)
{
    MYSQL *mysql = job->conn->mysql;
    int failed = 0;
    if (!mysql_warning_count(mysql))
        return 0;
    if (mydb_run(job->conn, "SHOW WARNINGS", job->what, job->err))
        return -1;
    MYSQL_RES *rows = mysql_store_result(mysql);
    for (MYSQL_ROW row; rows && !failed && (row = mysql_fetch_row(rows));) {
        unsigned long number = row[1] ? strtoul(row[1], NULL, 10) : 0;
        if (!alters_value(number))
            continue;
        char name[200] = "?";
        set_column(job, row[2]);
        mydb_error_column(row[2], name, sizeof name);
        failed = err_set(job->err, ERR_VALUE,
                         "%s: the server would have stored another value in column '%s' (warning %lu)",
                         job->what, name, number);
    }
    if (rows)
        mysql_free_result(rows);
    return failed;
}

static int check_affected(struct job *job, uint64_t affected, size_t rows)
{
    if (affected == rows)
        return 0;
    if (job->verb == VERB_INSERT)
        return err_set(job->err, ERR_INTERNAL, "%s: %llu of %zu rows were inserted", job->what,
                       (unsigned long long)affected, rows);
    return err_set(job->err, ERR_RACE, "%s: %llu of %zu rows were there", job->what,
                   (unsigned long long)affected, rows);
}

/* executing */

static MYSQL_STMT *prepare(struct job *job, const char *sql, size_t len)
{
    MYSQL_STMT *stmt = mysql_stmt_init(job->conn->mysql);
    if (!stmt) {
        err_memory(job->err);
    } else if (mysql_stmt_prepare(stmt, sql, (unsigned long)len)) {
        stmt_failed(job, stmt);
        mysql_stmt_close(stmt);
        stmt = NULL;
    }
    return stmt;
}

static int execute(struct job *job, MYSQL_STMT *stmt, size_t rows)
{
    if (mysql_stmt_bind_param(stmt, job->binds) || mysql_stmt_execute(stmt))
        return stmt_failed(job, stmt);
    if (check_affected(job, mysql_stmt_affected_rows(stmt), rows))
        return -1;
    return check_warnings(job);
}

/* Row by row, until one fails: then it is known which. */
static int run_singles(struct job *job)
{
    MYSQL_STMT *stmt = prepare(job, job->sql.data, job->sql.len);
    int failed = stmt ? 0 : -1;
    for (size_t i = 0; i < job->write->row_count && !failed; i++) {
        mydb_arrays_bind(&job->arrays, i, false, job->binds);
        failed = execute(job, stmt, 1);
        if (failed)
            job->fault->row = i;
    }
    if (stmt)
        mysql_stmt_close(stmt);
    return failed;
}

/* How many rows from first on fit into a packet, at most most. */
static size_t count_fitting(const struct job *job, size_t first, size_t most)
{
    size_t size = 0, count = 0;
    while (count < most && first + count < job->write->row_count) {
        size += mydb_array_size(&job->arrays, first + count);
        if (count && size > job->conn->packet)
            break;
        count++;
    }
    return count;
}

#if LIBRARY_MARIADB
static int run_bulk(struct job *job)
{
    MYSQL_STMT *stmt = prepare(job, job->sql.data, job->sql.len);
    int failed = stmt ? 0 : -1;
    for (size_t first = 0; first < job->write->row_count && !failed;) {
        unsigned count = (unsigned)count_fitting(job, first, job->write->row_count);
        mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &count);
        mydb_arrays_bind(&job->arrays, first, true, job->binds);
        failed = execute(job, stmt, count);
        first += count;
    }
    if (stmt)
        mysql_stmt_close(stmt);
    return failed;
}
#else
static int run_bulk(struct job *job)
{
    return err_set(job->err, ERR_INTERNAL, "%s: the library has no bulk binding", job->what);
}
#endif

/* An insert of count rows of parameters. */
static MYSQL_STMT *prepare_many(struct job *job, size_t count)
{
    struct buf sql = {0};
    buf_put(&sql, job->sql.data, job->sql.len);
    for (size_t i = 1; i < count; i++) {
        buf_puts(&sql, ", ");
        buf_put(&sql, job->sql.data + job->values, job->sql.len - job->values);
    }
    MYSQL_STMT *stmt = buf_text(&sql) ? prepare(job, sql.data, sql.len) : NULL;
    if (!stmt)
        err_memory(job->err);
    buf_free(&sql);
    return stmt;
}

static int run_many(struct job *job)
{
    size_t most = job->arrays.count ? PARAMETERS_MAX / job->arrays.count : 1, prepared = 0;
    MYSQL_STMT *stmt = NULL;
    int failed = 0;
    most = most > ROWS_MAX ? ROWS_MAX : most;
    job->binds = arena_array(job->arrays.arena, most * job->arrays.count + 1, sizeof *job->binds);
    if (!job->binds)
        return err_memory(job->err);
    for (size_t first = 0; first < job->write->row_count && !failed;) {
        size_t count = count_fitting(job, first, most);
        if (count != prepared) {
            if (stmt)
                mysql_stmt_close(stmt);
            stmt = prepare_many(job, prepared = count);
        }
        for (size_t i = 0; i < count; i++)
            mydb_arrays_bind(&job->arrays, first + i, false, job->binds + i * job->arrays.count);
        failed = stmt ? execute(job, stmt, count) : -1;
        first += count;
    }
    if (stmt)
        mysql_stmt_close(stmt);
    return failed;
}

/* The server does not tell which of many rows it refused, or not which of them altogether. So everything is
 * taken back and written once more, row by row, up to the one that fails. */
static void find_fault(struct job *job)
{
    struct err first = *job->err, *err = job->err;
    struct fault known = *job->fault;
    struct err again = {0};
    job->err = &again;
    bool found = !mydb_run(job->conn, "ROLLBACK TO SAVEPOINT sesam_sql_write", job->what, &again) &&
                 run_singles(job) && job->fault->row != SIZE_MAX;
    job->err = err;
    *err = found || again.code == ERR_LOST ? again : first;
    if (!found)
        *job->fault = known;
}

/* The server would end the connection. */
static int check_sizes(struct job *job)
{
    size_t most = job->conn->packet_most - job->sql.len - PACKET_REST;
    for (size_t i = 0; i < job->write->row_count; i++)
        if (mydb_array_size(&job->arrays, i) > most) {
            job->fault->row = i;
            err_set(job->err, ERR_VALUE,
                    "%s: a row is larger than the %zu bytes that the server takes at once", job->what,
                    job->conn->packet_most);
            return err_hint(job->err, "raise the server's max_allowed_packet");
        }
    return 0;
}

static int run(struct job *job)
{
    const struct write *write = job->write;
    int failed;
    if (mydb_packet(job->conn, job->err) || mydb_check_key(write->target, job->err) || check_sizes(job))
        return -1;
    if (write->row_count == 1 || (!job->conn->bulk && job->verb != VERB_INSERT))
        return run_singles(job);
    if (mydb_run(job->conn, "SAVEPOINT sesam_sql_write", job->what, job->err))
        return -1;
    failed = job->conn->bulk ? run_bulk(job) : run_many(job);
    if (failed && job->err->code == ERR_VALUE)
        find_fault(job);
    return failed;
}

static int put_statement(struct job *job)
{
    if (job->verb == VERB_INSERT)
        return put_insert(job);
    return job->verb == VERB_UPDATE ? put_update(job) : put_delete(job);
}

static int write_rows(struct conn *conn, const struct write *write, enum verb verb, struct fault *fault,
                      struct err *err)
{
    static const char *const verbs[] = {"insert into", "update", "delete from"};
    struct err own = {0};
    struct job job = {.conn = conn, .write = write, .verb = verb, .fault = fault, .err = err ? err : &own};
    mydb_thread();
    *fault = (struct fault){.row = SIZE_MAX, .column = SIZE_MAX};
    if (!write->row_count || (verb == VERB_UPDATE && !write->place_count && !write->special_count))
        return 0;
    snprintf(job.what, sizeof job.what, "cannot %s %s", verbs[verb], write->target->relation->title);
    job.arrays.arena = arena_new();
    job.arrays.rows = write->row_count;
    int failed = job.arrays.arena ? put_statement(&job) : err_memory(job.err);
    if (!failed && !buf_text(&job.sql))
        failed = err_memory(job.err);
    job.binds = failed ? NULL : arena_array(job.arrays.arena, job.arrays.count + 1, sizeof *job.binds);
    if (!failed && !job.binds)
        failed = err_memory(job.err);
    conn->busy = true;
    if (!failed)
        failed = run(&job);
    conn->busy = false;
    conn->doomed = conn->doomed || failed;
    buf_free(&job.sql);
    arena_free(job.arrays.arena);
    return failed;
}

int mydb_insert(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    return write_rows(conn, write, VERB_INSERT, fault, err);
}

int mydb_update(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    return write_rows(conn, write, VERB_UPDATE, fault, err);
}

int mydb_erase(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    return write_rows(conn, write, VERB_DELETE, fault, err);
}
