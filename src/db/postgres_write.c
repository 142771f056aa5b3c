/* Writes rows into PostgreSQL, within a transaction, by statements that are joined with the rows as arrays. */
#include "db/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* what is set */

const struct column *postgres_write_column(const struct write *write, size_t place)
{
    const struct target *target = write->target;
    return &target->relation->columns[target->columns[write->places[place]]];
}

/* A version that has a default of its own begins with it. */
static bool is_left_out(const struct relation *relation, const struct special *special)
{
    return special->kind == SPECIAL_NEXT && relation->columns[special->column].defaulted;
}

/* "a, b": the columns that an insert sets. table NULL: bare names. */
int postgres_insert_columns(struct conn *conn, struct buf *out, const struct write *write, const char *table, struct err *err)
{
    const struct relation *relation = write->target->relation;
    const char *link = "";
    for (size_t i = 0; i < write->place_count; i++, link = ", ") {
        buf_puts(out, link);
        if (postgres_column(conn, out, table, postgres_write_column(write, i), err))
            return -1;
    }
    for (size_t i = 0; i < write->special_count; i++) {
        const struct special *special = &write->specials[i];
        if (is_left_out(relation, special))
            continue;
        buf_puts(out, link);
        link = ", ";
        if (postgres_column(conn, out, table, &relation->columns[special->column], err))
            return -1;
    }
    return 0;
}

int postgres_insert_specials(struct conn *conn, struct buf *out, const struct write *write, const char *link,
                               struct err *err)
{
    const struct relation *relation = write->target->relation;
    for (size_t i = 0; i < write->special_count; i++) {
        if (is_left_out(relation, &write->specials[i]))
            continue;
        buf_puts(out, link);
        link = ", ";
        if (postgres_special(conn, out, relation, &write->specials[i], false, err))
            return -1;
    }
    return 0;
}

size_t postgres_insert_constants(const struct write *write)
{
    size_t count = 0;
    for (size_t i = 0; i < write->special_count; i++)
        count += !is_left_out(write->target->relation, &write->specials[i]);
    return count;
}

int postgres_check_count(const struct write *write, const char *told, const char *what, enum err_code code, struct err *err)
{
    if (strtoull(told, NULL, 10) == write->row_count)
        return 0;
    err_set(err, code, "cannot %s: %s of %zu rows of %s were", what, told, write->row_count, write->target->relation->title);
    return code == ERR_RACE ? -1 : err_hint(err, "a trigger or a rule of the table keeps rows out");
}

/* statements with arrays */

struct statement {
    struct conn *conn;
    const struct write *write;
    struct fault *fault;
    struct err *err;
    struct arena *arena;
    struct parameters parameters;
    struct buf sql;
    bool erases; /* sets nothing */
};

static int statement_new(struct statement *statement, struct conn *conn, const struct write *write,
                         struct fault *fault, struct err *err)
{
    *statement = (struct statement){.conn = conn, .write = write, .fault = fault, .err = err, .arena = arena_new()};
    if (!statement->arena)
        return err_memory(err);
    return parameters_new(&statement->parameters, write->target->column_count + 1, statement->arena, err);
}

static void statement_free(struct statement *statement)
{
    parameters_free(&statement->parameters);
    buf_free(&statement->sql);
    arena_free(statement->arena);
}

/* Runs it, and it must have touched each row. */
static int statement_run(struct statement *statement, const char *what, enum err_code code)
{
    struct conn *conn = statement->conn;
    char attempt[32];
    const char *sql = buf_text(&statement->sql);
    if (!sql)
        return err_memory(statement->err);
    snprintf(attempt, sizeof attempt, "cannot %s", what);
    if (parameters_send(conn, sql, &statement->parameters, statement->err))
        return -1;
    int failed = 0;
    for (PGresult *result; (result = PQgetResult(conn->pg)); PQclear(result))
        if (failed)
            continue;
        else if (PQresultStatus(result) == PGRES_COMMAND_OK)
            failed = postgres_check_count(statement->write, PQcmdTuples(result), what, code, statement->err);
        else
            failed = postgres_write_error(conn, result, attempt, statement->write->target->relation, statement->fault,
                                          statement->err);
    return failed;
}

/* unnest($1::integer[], ...) AS k(c0, ...): the columns at places, each as c and its place. stamps go before. */
static int put_rows(struct statement *statement, size_t key_count, bool stamps)
{
    const struct write *write = statement->write;
    const struct target *target = write->target;
    struct buf names = {0};
    const char *link = "";
    int failed = 0;
    buf_puts(&statement->sql, "unnest(");
    if (stamps) {
        failed = parameters_stamps(&statement->parameters, &statement->sql, write->rows, write->row_count, statement->err);
        buf_puts(&names, "x");
        link = ", ";
    }
    size_t place_count = statement->erases ? 0 : write->place_count;
    for (size_t i = 0; i < key_count + place_count && !failed; i++, link = ", ") {
        size_t place = i < key_count ? i : write->places[i - key_count];
        buf_puts(&statement->sql, link);
        buf_printf(&names, "%sc%zu", link, place);
        failed = parameters_column(&statement->parameters, &statement->sql,
                                   &target->relation->columns[target->columns[place]], write->rows, write->row_count,
                                   place, statement->err);
    }
    const char *text = buf_text(&names);
    buf_printf(&statement->sql, ") AS k(%s)", text ? text : "");
    buf_free(&names);
    return failed;
}

/* The place's value as the column's type. */
static int put_value(struct statement *statement, size_t place)
{
    const struct target *target = statement->write->target;
    const char *cast = parameters_cast(&target->relation->columns[target->columns[place]], statement->arena);
    if (!cast)
        return err_memory(statement->err);
    buf_printf(&statement->sql, "k.c%zu%s", place, cast);
    return 0;
}

/* Where COPY is not possible: row level security, rules, views. */
static int insert_select(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    struct statement statement;
    int failed = statement_new(&statement, conn, write, fault, err);
    if (failed)
        goto out;
    buf_printf(&statement.sql, "INSERT INTO %s (", write->target->relation->from);
    failed = postgres_insert_columns(conn, &statement.sql, write, NULL, err);
    buf_puts(&statement.sql, ") OVERRIDING SYSTEM VALUE SELECT ");
    for (size_t i = 0; i < write->place_count && !failed; i++) {
        buf_puts(&statement.sql, i ? ", " : "");
        failed = put_value(&statement, write->places[i]);
    }
    failed = failed || postgres_insert_specials(conn, &statement.sql, write, write->place_count ? ", " : "", err) ? -1 : 0;
    buf_puts(&statement.sql, " FROM ");
    failed = failed || put_rows(&statement, 0, false) || statement_run(&statement, "insert", ERR_DATABASE) ? -1 : 0;
out:
    statement_free(&statement);
    return failed;
}

/* A fault of a single row needs no search. */
static int blame(const struct write *write, struct fault *fault, const struct err *err, int failed)
{
    if (failed && err && err->code == ERR_VALUE && write->row_count == 1 && fault->row == SIZE_MAX)
        fault->row = 0;
    return failed;
}

int postgres_insert(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    *fault = (struct fault){.row = SIZE_MAX, .column = SIZE_MAX};
    if (write->row_count == 0)
        return 0;
    return blame(write, fault, err,
                 write->target->relation->bulk ? postgres_copy(conn, write, fault, err)
                                               : insert_select(conn, write, fault, err));
}

/* update, delete */

/* " WHERE t.key = k.c0 AND ... AND t.xmin = k.x": just the rows as they were found. */
static int put_where(struct statement *statement)
{
    const struct target *target = statement->write->target;
    buf_puts(&statement->sql, " WHERE ");
    for (size_t i = 0; i < target->relation->key_count; i++) {
        if (postgres_column(statement->conn, &statement->sql, "t", &target->relation->columns[target->columns[i]],
                            statement->err))
            return -1;
        buf_puts(&statement->sql, " = ");
        if (put_value(statement, i))
            return -1;
        buf_puts(&statement->sql, " AND ");
    }
    buf_puts(&statement->sql, "t.xmin = k.x");
    return 0;
}

static int put_set(struct statement *statement)
{
    const struct write *write = statement->write;
    const char *link = " SET ";
    for (size_t i = 0; i < write->place_count; i++, link = ", ") {
        buf_puts(&statement->sql, link);
        if (postgres_column(statement->conn, &statement->sql, NULL, postgres_write_column(write, i), statement->err))
            return -1;
        buf_puts(&statement->sql, " = ");
        if (put_value(statement, write->places[i]))
            return -1;
    }
    return postgres_set_specials(statement->conn, &statement->sql, write->target->relation, write->specials,
                                 write->special_count, &link, statement->err);
}

static int change(struct conn *conn, const struct write *write, bool update, struct fault *fault, struct err *err)
{
    struct statement statement;
    *fault = (struct fault){.row = SIZE_MAX, .column = SIZE_MAX};
    if (write->row_count == 0 || (update && write->place_count + write->special_count == 0))
        return 0;
    int failed = statement_new(&statement, conn, write, fault, err);
    if (failed)
        goto out;
    statement.erases = !update;
    buf_printf(&statement.sql, update ? "UPDATE %s AS t" : "DELETE FROM %s AS t USING ", write->target->relation->from);
    if (update && !(failed = put_set(&statement)))
        buf_puts(&statement.sql, " FROM ");
    failed = failed || put_rows(&statement, write->target->relation->key_count, true) || put_where(&statement) ||
                     statement_run(&statement, update ? "update" : "delete", ERR_RACE)
                 ? -1
                 : 0;
out:
    statement_free(&statement);
    return blame(write, fault, err, failed);
}

int postgres_update(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    return change(conn, write, true, fault, err);
}

int postgres_erase(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    return change(conn, write, false, fault, err);
}
