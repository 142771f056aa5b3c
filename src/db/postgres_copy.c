/* Inserts rows into PostgreSQL by COPY, which is the fastest way in: in binary form, or as text where the binary form of
 * a column's type is not known. */
#include "db/postgres.h"

#include <stdlib.h>
#include <string.h>

struct insert {
    struct conn *conn;
    const struct write *write;
    const struct relation *relation;
    struct fault *fault;
    struct err *err;
    bool binary; /* COPY's format */
    struct buf data, scratch;
};

static int insert_failed(struct insert *insert, const PGresult *result)
{
    return postgres_write_error(insert->conn, result, "cannot insert", insert->relation, insert->fault, insert->err);
}

/* constants: COPY evaluates no expressions, so they are asked for once and then copied as they came */

static int read_copy(struct insert *insert, struct buf *out)
{
    struct conn *conn = insert->conn;
    char *message;
    int len;
    while ((len = PQgetCopyData(conn->pg, &message, 0)) > 0) {
        buf_put(out, message, (size_t)len);
        PQfreemem(message);
    }
    int failed = len == -2 ? insert_failed(insert, NULL) : 0;
    for (PGresult *result; (result = PQgetResult(conn->pg)); PQclear(result))
        if (PQresultStatus(result) != PGRES_COMMAND_OK && !failed)
            failed = insert_failed(insert, result);
    return failed;
}

/* Takes the fields out of what COPY wrote: behind header and number of fields, before the trailer; or before the
 * line end. */
static int keep_constants(struct insert *insert, const char *sql, const struct buf *row)
{
    struct conn *conn = insert->conn;
    size_t before = insert->binary ? 19 + 2 : 0, behind = insert->binary ? 2 : 1;
    if (buf_failed(row))
        return err_memory(insert->err);
    if (row->len < before + behind)
        return err_set(insert->err, ERR_INTERNAL, "cannot insert: the server did not tell the constants");
    conn->constant_len = row->len - before - behind;
    conn->constants = strdup(sql);
    conn->constant_fields = malloc(conn->constant_len + 1);
    if (!conn->constants || !conn->constant_fields)
        return err_memory(insert->err);
    memcpy(conn->constant_fields, row->data + before, conn->constant_len);
    return 0;
}

static int ask_constants(struct insert *insert)
{
    struct conn *conn = insert->conn;
    struct buf sql = {0}, row = {0};
    int failed = 0;
    buf_puts(&sql, "COPY (SELECT ");
    failed = postgres_insert_specials(conn, &sql, insert->write, "", insert->err);
    buf_puts(&sql, insert->binary ? ") TO STDOUT (FORMAT binary)" : ") TO STDOUT");
    const char *text = buf_text(&sql);
    if (!failed && !text)
        failed = err_memory(insert->err);
    if (failed || (conn->constants && strcmp(conn->constants, text) == 0))
        goto out;
    postgres_forget(conn);
    PGresult *result = PQexec(conn->pg, text);
    failed = PQresultStatus(result) == PGRES_COPY_OUT ? read_copy(insert, &row) : insert_failed(insert, result);
    PQclear(result);
    failed = failed || keep_constants(insert, text, &row) ? -1 : 0;
out:
    buf_free(&row);
    buf_free(&sql);
    return failed;
}

/* copy */

static bool all_binary(const struct write *write)
{
    for (size_t i = 0; i < write->place_count; i++)
        if (!postgres_write_column(write, i)->binary)
            return false;
    return true;
}

/* Bytes do not tell their type, so a type that has changed must be noticed before. */
static int check_types(struct insert *insert, const PGresult *probe)
{
    const struct write *write = insert->write;
    for (size_t i = 0; i < write->place_count; i++) {
        const struct column *column = postgres_write_column(write, i);
        if (PQftype(probe, (int)i) != column->number || PQfmod(probe, (int)i) != column->modifier)
            return err_set(insert->err, ERR_CHANGED, "column '%s' of %s is no %s any more", column->name,
                           insert->relation->title, column->type);
    }
    return 0;
}

static int put_copy(struct insert *insert, struct buf *sql)
{
    struct conn *conn = insert->conn;
    buf_puts(sql, "SELECT ");
    if (postgres_insert_columns(conn, sql, insert->write, "t", insert->err))
        return -1;
    buf_printf(sql, " FROM %s AS t WHERE false; COPY %s (", insert->relation->from, insert->relation->from);
    if (postgres_insert_columns(conn, sql, insert->write, NULL, insert->err))
        return -1;
    buf_puts(sql, insert->binary ? ") FROM STDIN (FORMAT binary)" : ") FROM STDIN");
    return 0;
}

/* Ends a COPY that is not to succeed. */
static void give_up(struct insert *insert)
{
    PGconn *pg = insert->conn->pg;
    PQputCopyEnd(pg, "given up");
    for (PGresult *result; (result = PQgetResult(pg)); PQclear(result))
        continue;
}

/* One message of two statements: what the first looks at stays as it is until the transaction ends. */
static int begin_copy(struct insert *insert)
{
    struct conn *conn = insert->conn;
    struct buf sql = {0};
    int failed = put_copy(insert, &sql);
    const char *text = buf_text(&sql);
    bool copying = false;
    if (!failed && !text)
        failed = err_memory(insert->err);
    if (!failed && !PQsendQuery(conn->pg, text))
        failed = insert_failed(insert, NULL);
    bool sent = !failed;
    for (PGresult *result; sent && !copying && (result = PQgetResult(conn->pg)); PQclear(result)) {
        copying = PQresultStatus(result) == PGRES_COPY_IN;
        if (PQresultStatus(result) == PGRES_TUPLES_OK)
            failed = check_types(insert, result);
        else if (!copying && !failed)
            failed = insert_failed(insert, result);
    }
    if (copying && failed)
        give_up(insert);
    buf_free(&sql);
    return failed || copying ? failed : insert_failed(insert, NULL);
}

static int put_row(struct insert *insert, size_t number)
{
    const struct write *write = insert->write;
    const struct value *values = write->rows[number]->values;
    uint16_t fields = (uint16_t)(write->place_count + postgres_insert_constants(write));
    if (insert->binary) {
        buf_putc(&insert->data, (char)(fields >> 8));
        buf_putc(&insert->data, (char)(fields & 0xFF));
    }
    for (size_t i = 0; i < write->place_count; i++) {
        const struct column *column = postgres_write_column(write, i);
        const struct value *value = &values[write->places[i]];
        if (i && !insert->binary)
            buf_putc(&insert->data, '\t');
        if (insert->binary ? postgres_encode(&insert->data, column, value, insert->err)
                           : postgres_copy_text(&insert->data, column, value, &insert->scratch, insert->err)) {
            insert->fault->row = number;
            insert->fault->column = (size_t)(column - insert->relation->columns);
            return -1;
        }
    }
    if (!insert->binary && write->place_count && insert->conn->constant_len)
        buf_putc(&insert->data, '\t');
    buf_put(&insert->data, insert->conn->constant_fields, postgres_insert_constants(write) ? insert->conn->constant_len : 0);
    if (!insert->binary)
        buf_putc(&insert->data, '\n');
    return 0;
}

static int flush(struct insert *insert)
{
    if (buf_failed(&insert->data))
        return err_memory(insert->err);
    size_t len = insert->data.len;
    for (size_t done = 0; done < len;) {
        size_t part = len - done > INT32_MAX ? INT32_MAX : len - done;
        if (PQputCopyData(insert->conn->pg, insert->data.data + done, (int)part) != 1)
            return insert_failed(insert, NULL);
        done += part;
    }
    buf_reset(&insert->data);
    return 0;
}

static int send_rows(struct insert *insert)
{
    enum { FLUSH = 65536 };
    static const char header[19] = "PGCOPY\n\377\r\n", trailer[2] = {'\377', '\377'};
    if (insert->binary)
        buf_put(&insert->data, header, sizeof header);
    for (size_t i = 0; i < insert->write->row_count; i++)
        if (put_row(insert, i) || (insert->data.len >= FLUSH && flush(insert)))
            return -1;
    if (insert->binary)
        buf_put(&insert->data, trailer, sizeof trailer);
    return flush(insert);
}

static int end_copy(struct insert *insert)
{
    PGconn *pg = insert->conn->pg;
    int failed = PQputCopyEnd(pg, NULL) == 1 ? 0 : insert_failed(insert, NULL);
    for (PGresult *result; (result = PQgetResult(pg)); PQclear(result))
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            failed = failed ? failed : insert_failed(insert, result);
        else if (!failed)
            failed = postgres_check_count(insert->write, PQcmdTuples(result), "insert", ERR_DATABASE, insert->err);
    return failed;
}

static int copy(struct insert *insert)
{
    insert->binary = all_binary(insert->write);
    if (postgres_insert_constants(insert->write) && ask_constants(insert))
        return -1;
    if (begin_copy(insert))
        return -1;
    if (send_rows(insert) == 0)
        return end_copy(insert);
    give_up(insert);
    return -1;
}

int postgres_copy(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    struct insert insert = {
        .conn = conn, .write = write, .relation = write->target->relation, .fault = fault, .err = err};
    int failed = copy(&insert);
    buf_free(&insert.data);
    buf_free(&insert.scratch);
    return failed;
}
