/* Reads a plan's ranges as binary COPY streams of PostgreSQL. One range is one statement and needs no
 * transaction; several share the snapshot of a REPEATABLE READ transaction. */
#include "db/postgres.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

struct read {
    const struct plan *plan;
    const struct column **columns; /* of the row's fields; NULL for xmin */
    struct value *row;
    size_t width;
    struct arena *arena;  /* of the read */
    struct arena *scratch; /* of the row */
    size_t next_range;
    uint64_t left;        /* rows still wanted */
    bool newest;          /* it only wants the highest value of the updated column */
    bool transaction;
    bool copying;         /* the server is sending */
    bool finished;        /* all ranges ended well */
    bool failed;
    bool begun;           /* the header of this stream was read */
    char *message;        /* libpq's, the row now in hand */
};

static int read_failed(struct conn *conn, const PGresult *result, struct err *err)
{
    conn->read->failed = true;
    return postgres_error(conn->pg, result, "cannot read", err);
}

static int begin_snapshot(struct conn *conn, struct err *err)
{
    PGresult *result = PQexec(conn->pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; " POSTGRES_ANNOUNCE);
    int failed = PQresultStatus(result) == PGRES_COMMAND_OK ? 0 : read_failed(conn, result, err);
    PQclear(result);
    conn->read->transaction = !failed;
    return failed;
}

/* A binary row does not tell its types, so they are asked for with it. */
static int check_types(struct conn *conn, const PGresult *probe, struct err *err)
{
    const struct plan *plan = conn->read->plan;
    for (size_t i = 0; i < plan->column_count; i++) {
        const struct column *column = conn->read->columns[i];
        if (PQftype(probe, (int)i) != column->number || PQfmod(probe, (int)i) != column->modifier)
            return err_set(err, ERR_CHANGED, "column '%s' of %s is no %s any more", column->name, plan->relation->title,
                           column->type);
    }
    return 0;
}

/* Reads results until the server sends rows of the COPY, or fails. */
static int await_copy(struct conn *conn, struct err *err)
{
    int failed = 0;
    for (PGresult *result; (result = PQgetResult(conn->pg)); PQclear(result)) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK && !failed)
            failed = check_types(conn, result, err);
        else if (status == PGRES_COMMAND_OK)
            continue;
        else if (status == PGRES_COPY_OUT) {
            conn->read->copying = true;
            PQclear(result);
            return failed;
        } else if (!failed)
            failed = read_failed(conn, result, err);
    }
    return failed ? failed : read_failed(conn, NULL, err);
}

/* The statements of one message are one transaction: the lock that the probe takes keeps the types as it told them
 * until the reading is done, and the name is only for as long. */
static int start_copy(struct conn *conn, const struct range *range, struct err *err)
{
    struct read *read = conn->read;
    struct buf sql = {0};
    buf_puts(&sql, read->transaction ? "" : POSTGRES_ANNOUNCE);
    int failed = postgres_probe(conn, &sql, read->plan, err);
    buf_puts(&sql, "; COPY (");
    failed = failed || (read->newest ? postgres_select_newest(conn, &sql, read->plan, err)
                                     : postgres_select(conn, &sql, read->plan, range, read->left, err));
    buf_puts(&sql, ") TO STDOUT (FORMAT binary)");
    const char *text = buf_text(&sql);
    if (!failed && !text)
        failed = err_memory(err);
    if (!failed)
        failed = PQsendQuery(conn->pg, text) ? await_copy(conn, err) : read_failed(conn, NULL, err);
    read->failed = read->failed || failed;
    read->begun = false;
    buf_free(&sql);
    return failed ? -1 : 0;
}

/* The stream ended: only the result behind it tells whether it ended well. */
static int end_copy(struct conn *conn, int status, struct err *err)
{
    conn->read->copying = false;
    if (status == -2)
        return read_failed(conn, NULL, err);
    int failed = 0;
    for (PGresult *result; (result = PQgetResult(conn->pg)); PQclear(result))
        if (PQresultStatus(result) != PGRES_COMMAND_OK && !failed)
            failed = read_failed(conn, result, err);
    if (!failed && PQstatus(conn->pg) != CONNECTION_OK)
        failed = read_failed(conn, NULL, err);
    return failed;
}

static int next_range(struct conn *conn, struct err *err)
{
    struct read *read = conn->read;
    size_t count = read->plan->range_count ? read->plan->range_count : 1;
    if (read->next_range == count || read->left == 0) {
        read->finished = true;
        return 0;
    }
    const struct range *range = read->plan->range_count ? &read->plan->ranges[read->next_range] : NULL;
    read->next_range++;
    return start_copy(conn, range, err);
}

static int prepare_row(struct read *read)
{
    const struct plan *plan = read->plan;
    read->width = plan->column_count + plan->xmin;
    read->columns = arena_array(read->arena, read->width + 1, sizeof *read->columns);
    read->row = arena_array(read->arena, read->width + 1, sizeof *read->row);
    if (!read->columns || !read->row)
        return -1;
    for (size_t i = 0; i < plan->column_count; i++)
        read->columns[i] = &plan->relation->columns[plan->columns[i]];
    return 0;
}

static void read_free(struct read *read)
{
    PQfreemem(read->message);
    arena_free(read->scratch);
    arena_free(read->arena);
    free(read);
}

static int read_open(struct conn *conn, const struct plan *plan, bool newest, struct err *err)
{
    struct read *read = calloc(1, sizeof *read);
    if (!read)
        return err_memory(err);
    read->plan = plan;
    read->left = plan->limit;
    read->newest = newest;
    read->arena = arena_new();
    read->scratch = arena_new();
    if (!read->arena || !read->scratch || prepare_row(read)) {
        read_free(read);
        return err_memory(err);
    }
    conn->read = read;
    if (plan->range_count > 1 && begin_snapshot(conn, err))
        return -1;
    return next_range(conn, err);
}

int postgres_read_open(struct conn *conn, const struct plan *plan, struct err *err)
{
    return read_open(conn, plan, false, err);
}

static int odd_stream(struct conn *conn, struct err *err)
{
    conn->read->failed = true;
    return err_set(err, ERR_INTERNAL, "cannot read: the COPY stream is not as the manual describes it");
}

/* "PGCOPY\n\377\r\n\0", flags, length of an extension: once before the first row. */
static int skip_header(struct conn *conn, const char **at, const char *end, struct err *err)
{
    uint32_t extension;
    if (end - *at < 19 || memcmp(*at, "PGCOPY\n\377\r\n", 11) != 0)
        return odd_stream(conn, err);
    memcpy(&extension, *at + 15, 4);
    extension = be32toh(extension);
    if ((size_t)(end - *at) - 19 < extension)
        return odd_stream(conn, err);
    *at += 19 + extension;
    conn->read->begun = true;
    return 0;
}

static int decode_row(struct conn *conn, const char *at, const char *end, struct err *err)
{
    struct read *read = conn->read;
    arena_reset(read->scratch);
    for (size_t i = 0; i < read->width; i++) {
        uint32_t len;
        if (end - at < 4)
            return odd_stream(conn, err);
        memcpy(&len, at, 4);
        len = be32toh(len);
        at += 4;
        struct value *value = &read->row[i];
        if (len == UINT32_MAX) {
            value->kind = KIND_NULL;
            continue;
        }
        if ((size_t)(end - at) < len)
            return odd_stream(conn, err);
        if (!read->columns[i])
            value_set_text(value, KIND_TEXT, at, len);
        else if (postgres_decode(read->columns[i], at, len, read->scratch, value, err)) {
            read->failed = true;
            return -1;
        }
        at += len;
    }
    return 1;
}

/* 1 for a row, 0 for the end of this range's stream, -1. A message holds a whole row; the first also the
 * header. */
static int next_row(struct conn *conn, struct err *err)
{
    struct read *read = conn->read;
    for (;;) {
        PQfreemem(read->message);
        read->message = NULL;
        int len = PQgetCopyData(conn->pg, &read->message, 0);
        if (len < 0)
            return end_copy(conn, len, err);
        const char *at = read->message, *end = at + len;
        if (!read->begun && skip_header(conn, &at, end, err))
            return -1;
        uint16_t fields;
        if (end - at < 2)
            continue;
        memcpy(&fields, at, 2);
        if (fields == UINT16_MAX)
            continue; /* the trailer; what decides comes behind it */
        if (be16toh(fields) != read->width)
            return odd_stream(conn, err);
        return decode_row(conn, at + 2, end, err);
    }
}

int postgres_read_next(struct conn *conn, const struct value **row, struct err *err)
{
    struct read *read = conn->read;
    while (!read->failed && !read->finished) {
        int got = next_row(conn, err);
        if (got < 0)
            return -1;
        if (got > 0) {
            read->left -= read->left != UINT64_MAX;
            *row = read->row;
            return 1;
        }
        if (next_range(conn, err))
            return -1;
    }
    return read->failed ? err_set(err, ERR_INTERNAL, "cannot read on after a failure") : 0;
}

int postgres_read_close(struct conn *conn)
{
    struct read *read = conn->read;
    if (!read)
        return 0;
    /* A stream that is still running is not read to its end: closing the connection ends it. A failed
     * statement, however, leaves a connection that is as good as before. */
    bool reusable = !read->copying && PQstatus(conn->pg) == CONNECTION_OK;
    if (reusable && read->transaction) {
        PGresult *result = PQexec(conn->pg, "ROLLBACK");
        reusable = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    reusable = reusable && PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
    conn->read = NULL;
    read_free(read);
    return reusable ? 0 : -1;
}

/* A read of its own, of one column and at most one row. */
int postgres_newest(struct conn *conn, const struct plan *plan, struct arena *arena, struct value *value, struct err *err)
{
    struct plan only = *plan;
    const struct value *row;
    only.columns = &plan->updated;
    only.column_count = 1;
    only.xmin = false;
    only.ranges = NULL;
    only.range_count = 0;
    only.limit = UINT64_MAX;
    value->kind = KIND_NULL;
    int failed = read_open(conn, &only, true, err);
    int got = failed ? -1 : postgres_read_next(conn, &row, err);
    if (got == 1) {
        *value = row[0];
        if (value_has_text(value) && !(value->text.bytes = arena_copy(arena, value->text.bytes, value->text.len)))
            got = err_memory(err);
    }
    if (got == 1)
        got = postgres_read_next(conn, &row, err);
    if (postgres_read_close(conn) && got == 0)
        got = err_set(err, ERR_LOST, "cannot read: the connection broke");
    return got == 0 ? 0 : -1;
}
