/* Looks for rows of PostgreSQL by their keys: one statement that joins the keys, as arrays, with the table by its
 * index, in the order of the keys. Where a row only has to be found, and its key is an integer, an array to choose
 * from does as well, and takes the server three quarters of the time; and where the keys lie close together, their
 * range does, for half of the rest: what nobody asked for in it is passed over. */
#include "db/postgres.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct find {
    const struct target *target;
    const struct row *const *rows;
    size_t count;
    bool ours;             /* the server tells how it would hold our values */
    bool by_key;           /* a row tells its key, not the number it has among ours */
    bool by_range;         /* by_key, and there may be rows of other keys among them */
    size_t next;           /* by_key: where the row after the last one should be */
    struct arena *arena;   /* of the find */
    struct arena *scratch; /* of the row */
    struct value *values, *our_values;
    PGresult *result;      /* the row now in hand */
    bool finished, failed;
    char xmin[16];
};

enum { FIELD_NUMBER, FIELD_XMIN, FIELDS }; /* what stands before the columns */

static int find_failed(struct conn *conn, const PGresult *result, struct err *err)
{
    conn->find->failed = true;
    return postgres_write_error(conn, result, "cannot look for rows", NULL, NULL, err);
}

static const struct column *read_column(const struct target *target, size_t place)
{
    return &target->relation->columns[target->reads[place]];
}

static const struct column *own_column(const struct target *target, size_t place)
{
    return &target->relation->columns[target->columns[place]];
}

static bool any_normalised(const struct target *target)
{
    for (size_t i = 0; i < target->column_count; i++)
        if (own_column(target, i)->normalised)
            return true;
    return false;
}

/* Is the value at this place sent with the statement: part of the key, or to be told how it would be held? */
static bool is_sent(const struct find *find, size_t place)
{
    return place < find->target->relation->key_count || (find->ours && own_column(find->target, place)->normalised);
}

/* Which row of ours was found is told by a search for its key; whoever locks wants them in order. */
static bool can_find_by_key(const struct target *target, enum find_mode mode)
{
    const struct column *key = own_column(target, 0);
    return mode == FIND_LOOK && target->relation->key_count == 1 && key->kind == KIND_INT && key->binary;
}

/* Is at least every other key of the range they span among them? The difference of two 64 bit integers has 64 bits. */
static bool are_close(const struct row *const *rows, size_t count)
{
    uint64_t span = count ? (uint64_t)rows[count - 1]->values[0].integer - (uint64_t)rows[0]->values[0].integer : 0;
    return count && span < 2 * (uint64_t)count;
}

static int put_reads(struct conn *conn, struct buf *sql, const struct target *target, struct err *err)
{
    for (size_t i = 0; i < target->read_count; i++) {
        const struct column *column = read_column(target, i);
        buf_puts(sql, ", ");
        if (postgres_column(conn, sql, "t", column, err))
            return -1;
        buf_puts(sql, column->expression ? column->expression : "");
    }
    return 0;
}

/* Our values as the column would hold them, read as the column is. */
static void put_ours(struct buf *sql, const struct find *find)
{
    for (size_t i = 0; find->ours && i < find->target->column_count; i++) {
        const struct column *column = own_column(find->target, i);
        if (column->normalised)
            buf_printf(sql, ", (k.c%zu::%s)%s", i, column->type, column->expression ? column->expression : "");
    }
}

static int put_keys(struct parameters *parameters, struct buf *sql, const struct find *find, struct err *err)
{
    struct buf names = {0};
    int failed = 0;
    for (size_t i = 0; i < find->target->column_count && !failed; i++) {
        if (!is_sent(find, i))
            continue;
        buf_puts(sql, names.len ? ", " : "unnest(");
        buf_printf(&names, "c%zu, ", i);
        failed = parameters_column(parameters, sql, own_column(find->target, i), find->rows, find->count, i, err);
    }
    const char *text = buf_text(&names);
    if (!failed && !text)
        failed = err_memory(err);
    buf_printf(sql, ") WITH ORDINALITY AS k(%sn)", text ? text : "");
    buf_free(&names);
    return failed;
}

static int put_join(struct conn *conn, struct buf *sql, const struct target *target, struct arena *arena,
                    struct err *err)
{
    buf_printf(sql, " JOIN %s AS t ON ", target->relation->from);
    for (size_t i = 0; i < target->relation->key_count; i++) {
        const struct column *column = own_column(target, i);
        const char *cast = parameters_cast(column, arena);
        buf_puts(sql, i ? " AND " : "");
        if (!cast)
            return err_memory(err);
        if (postgres_column(conn, sql, "t", column, err))
            return -1;
        buf_printf(sql, " = k.c%zu%s", i, cast);
    }
    return 0;
}

/* An array of the first and the last key. */
static int put_range(struct parameters *parameters, struct buf *sql, const struct find *find, struct err *err)
{
    const struct row *const ends[] = {find->rows[0], find->rows[find->count - 1]};
    buf_puts(sql, " BETWEEN (");
    if (parameters_column(parameters, sql, own_column(find->target, 0), ends, 2, 0, err))
        return -1;
    buf_printf(sql, ")[1] AND ($%zu)[2]", parameters->count);
    return 0;
}

static int put_array(struct parameters *parameters, struct buf *sql, const struct find *find, struct err *err)
{
    buf_puts(sql, " = ANY(");
    if (parameters_column(parameters, sql, own_column(find->target, 0), find->rows, find->count, 0, err))
        return -1;
    buf_putc(sql, ')');
    return 0;
}

static int put_choice(struct conn *conn, struct parameters *parameters, struct buf *sql, const struct find *find,
                      struct err *err)
{
    const struct column *key = own_column(find->target, 0);
    buf_puts(sql, "SELECT ");
    if (postgres_column(conn, sql, "t", key, err))
        return -1;
    buf_puts(sql, "::bigint, t.xmin");
    if (put_reads(conn, sql, find->target, err))
        return -1;
    buf_printf(sql, " FROM %s AS t WHERE ", find->target->relation->from);
    if (postgres_column(conn, sql, "t", key, err))
        return -1;
    return find->by_range ? put_range(parameters, sql, find, err) : put_array(parameters, sql, find, err);
}

static int put_look(struct conn *conn, struct parameters *parameters, struct buf *sql, const struct find *find,
                    enum find_mode mode, struct err *err)
{
    if (find->by_key)
        return put_choice(conn, parameters, sql, find, err);
    buf_puts(sql, "SELECT k.n, t.xmin");
    if (put_reads(conn, sql, find->target, err))
        return -1;
    put_ours(sql, find);
    buf_puts(sql, " FROM ");
    if (put_keys(parameters, sql, find, err) || put_join(conn, sql, find->target, find->arena, err))
        return -1;
    if (mode == FIND_LOCK)
        buf_puts(sql, " FOR UPDATE OF t");
    return 0;
}

static int send_find(struct conn *conn, enum find_mode mode, struct err *err)
{
    struct find *find = conn->find;
    struct parameters parameters;
    struct buf sql = {0};
    if (parameters_new(&parameters, find->target->column_count, find->arena, err))
        return -1;
    int failed = put_look(conn, &parameters, &sql, find, mode, err);
    const char *text = buf_text(&sql);
    if (!failed && !text)
        failed = err_memory(err);
    failed = failed || parameters_send(conn, text, &parameters, err) ? -1 : 0;
    if (!failed && !PQsetSingleRowMode(conn->pg))
        failed = find_failed(conn, NULL, err);
    parameters_free(&parameters);
    buf_free(&sql);
    return failed;
}

static void find_free(struct find *find)
{
    if (!find)
        return;
    PQclear(find->result);
    arena_free(find->scratch);
    arena_free(find->arena);
    free(find);
}

int postgres_find_open(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                       enum find_mode mode, struct err *err)
{
    struct find *find = calloc(1, sizeof *find);
    if (!find)
        return err_memory(err);
    *find = (struct find){.target = target, .rows = rows, .count = count, .arena = arena_new(), .scratch = arena_new()};
    find->ours = mode == FIND_LOCK && any_normalised(target);
    find->by_key = can_find_by_key(target, mode);
    find->by_range = find->by_key && are_close(rows, count);
    if (find->arena && find->scratch) {
        find->values = arena_array(find->arena, target->read_count + 1, sizeof *find->values);
        find->our_values = arena_array(find->arena, target->column_count + 1, sizeof *find->our_values);
    }
    if (!find->values || !find->our_values) {
        find_free(find);
        return err_memory(err);
    }
    conn->find = find;
    find->finished = count == 0;
    if (!find->finished && send_find(conn, mode, err)) {
        find->failed = true;
        return -1;
    }
    return 0;
}

/* Rows in binary form tell the types they have; what is cast to text has the right one whatever it was. */
static int check_types(struct conn *conn, const PGresult *result, struct err *err)
{
    const struct find *find = conn->find;
    for (size_t i = 0; i < find->target->read_count; i++) {
        const struct column *column = read_column(find->target, i);
        int field = FIELDS + (int)i;
        if (column->expression ||
            (PQftype(result, field) == column->number && PQfmod(result, field) == column->modifier))
            continue;
        conn->find->failed = true;
        return err_set(err, ERR_CHANGED, "column '%s' of %s is no %s any more", column->name,
                       find->target->relation->title, column->type);
    }
    return 0;
}

static int decode_field(const struct find *find, int field, const struct column *column, struct value *value,
                        struct err *err)
{
    if (PQgetisnull(find->result, 0, field)) {
        value->kind = KIND_NULL;
        return 0;
    }
    return postgres_decode(column, PQgetvalue(find->result, 0, field), (size_t)PQgetlength(find->result, 0, field),
                           find->scratch, value, err);
}

static int decode_ours(struct find *find, const struct row *row, struct err *err)
{
    int field = FIELDS + (int)find->target->read_count;
    for (size_t i = 0; i < find->target->column_count; i++) {
        const struct column *column = own_column(find->target, i);
        find->our_values[i] = row->values[i];
        if (column->normalised && decode_field(find, field++, column, &find->our_values[i], err))
            return -1;
    }
    return 0;
}

/* The number, from 1, of our row with this key; 0: there is none. Mostly it is the next. */
static uint64_t number_of_key(struct find *find, int64_t key)
{
    size_t low = 0, high = find->count, at = find->next < high ? find->next : 0;
    while (low < high) {
        int64_t ours = find->rows[at]->values[0].integer;
        if (ours == key)
            return find->next = at + 1;
        if (ours < key)
            low = at + 1;
        else
            high = at;
        at = low + (high - low) / 2;
    }
    return 0;
}

/* Which of our rows has the key of the one in hand, from 1; 0: none. */
static uint64_t number_found(struct find *find)
{
    uint64_t number;
    memcpy(&number, PQgetvalue(find->result, 0, FIELD_NUMBER), sizeof number);
    number = be64toh(number);
    if (find->by_key)
        return number_of_key(find, (int64_t)number);
    return number <= find->count ? number : 0;
}

static int decode_row(struct find *find, uint64_t number, struct found *found, struct err *err)
{
    uint32_t xmin;
    arena_reset(find->scratch);
    memcpy(&xmin, PQgetvalue(find->result, 0, FIELD_XMIN), sizeof xmin);
    xmin = be32toh(xmin);
    snprintf(find->xmin, sizeof find->xmin, "%" PRIu32, xmin);
    *found = (struct found){.row = find->rows[number - 1],
                            .stamp = xmin,
                            .values = find->values,
                            .xmin = find->xmin,
                            .ours = find->ours ? find->our_values : NULL};
    for (size_t i = 0; i < find->target->read_count; i++)
        if (decode_field(find, FIELDS + (int)i, read_column(find->target, i), &find->values[i], err))
            return -1;
    return find->ours ? decode_ours(find, found->row, err) : 0;
}

/* 1 with a row in hand, 0 at the end, -1. The first result of a statement, with or without a row, tells the types. */
static int next_row(struct conn *conn, struct err *err)
{
    struct find *find = conn->find;
    bool first = !find->result;
    PQclear(find->result);
    find->result = PQgetResult(conn->pg);
    ExecStatusType status = PQresultStatus(find->result);
    if (status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK)
        return find_failed(conn, find->result, err);
    if (first && check_types(conn, find->result, err))
        return -1;
    find->finished = status == PGRES_TUPLES_OK;
    return !find->finished;
}

int postgres_find_next(struct conn *conn, struct found *found, struct err *err)
{
    struct find *find = conn->find;
    uint64_t number = 0;
    int more = !find->finished;
    if (find->failed)
        return err_set(err, ERR_INTERNAL, "cannot look for more rows after a failure");
    while (more > 0 && !number) {
        more = next_row(conn, err);
        number = more > 0 ? number_found(find) : 0;
        if (more > 0 && !number && !find->by_range)
            more = err_set(err, ERR_INTERNAL, "cannot look for rows: the server found one that was not looked for");
    }
    if (more > 0 && decode_row(find, number, found, err))
        more = -1;
    find->failed = find->failed || more < 0;
    return more;
}

void postgres_find_forget(struct conn *conn)
{
    find_free(conn->find);
    conn->find = NULL;
}

/* What is left of a chunk is read to its end: the transaction goes on with this connection. */
int postgres_find_close(struct conn *conn)
{
    struct find *find = conn->find;
    if (!find)
        return 0;
    for (PGresult *result; (result = PQgetResult(conn->pg)); PQclear(result))
        continue;
    postgres_find_forget(conn);
    return PQstatus(conn->pg) == CONNECTION_OK && PQtransactionStatus(conn->pg) != PQTRANS_ACTIVE ? 0 : -1;
}

/* rank */

/* A union with nothing of the table gives the keys its types and collations. The answer is one array: a row each
 * would take longer than the sorting. */
static int put_rank(struct conn *conn, struct buf *sql, struct parameters *parameters, const struct find *find,
                    struct arena *arena, struct err *err)
{
    const struct target *target = find->target;
    size_t key_count = target->relation->key_count;
    buf_puts(sql, "SELECT pg_catalog.array_agg(r::integer ORDER BY n) FROM (SELECT n, pg_catalog.dense_rank() OVER (ORDER BY ");
    for (size_t i = 0; i < key_count; i++)
        buf_printf(sql, i ? ", c%zu" : "c%zu", i);
    buf_puts(sql, ") AS r FROM (SELECT NULL::bigint AS n");
    for (size_t i = 0; i < key_count; i++) {
        buf_puts(sql, ", ");
        if (postgres_column(conn, sql, "t", own_column(target, i), err))
            return -1;
        buf_printf(sql, " AS c%zu", i);
    }
    buf_printf(sql, " FROM %s AS t WHERE false UNION ALL SELECT n", target->relation->from);
    for (size_t i = 0; i < key_count; i++) {
        const char *cast = parameters_cast(own_column(target, i), arena);
        if (!cast)
            return err_memory(err);
        buf_printf(sql, ", c%zu%s", i, cast);
    }
    buf_puts(sql, " FROM ");
    if (put_keys(parameters, sql, find, err))
        return -1;
    buf_puts(sql, ") AS keys) AS ranked");
    return 0;
}

static int read_ranks(const PGresult *result, size_t count, uint32_t *ranks, struct err *err)
{
    const char *at = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "";
    size_t head = 20, each = 8; /* of an array of one dimension; of an integer and its length */
    if (PQntuples(result) != 1 || (size_t)PQgetlength(result, 0, 0) != head + each * count)
        return err_set(err, ERR_INTERNAL, "cannot compare keys: the server did not number all of them");
    for (size_t i = 0; i < count; i++) {
        uint32_t rank;
        memcpy(&rank, at + head + each * i + 4, sizeof rank);
        ranks[i] = be32toh(rank);
    }
    return 0;
}

int postgres_rank(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
                  uint32_t *ranks, struct err *err)
{
    struct find find = {.target = target, .rows = rows, .count = count};
    struct parameters parameters = {0};
    struct buf sql = {0};
    struct arena *arena = arena_new();
    int failed = -1;
    if (count == 0 || !arena || parameters_new(&parameters, target->column_count, arena, err)) {
        failed = count == 0 ? 0 : err_memory(err);
        goto out;
    }
    if (put_rank(conn, &sql, &parameters, &find, arena, err))
        goto out;
    const char *text = buf_text(&sql);
    failed = text ? parameters_send(conn, text, &parameters, err) : err_memory(err);
    for (PGresult *result; !failed && (result = PQgetResult(conn->pg)); PQclear(result))
        failed = PQresultStatus(result) == PGRES_TUPLES_OK
                     ? read_ranks(result, count, ranks, err)
                     : postgres_write_error(conn, result, "cannot compare keys", NULL, NULL, err);
    while (failed && PQstatus(conn->pg) == CONNECTION_OK && PQtransactionStatus(conn->pg) == PQTRANS_ACTIVE)
        PQclear(PQgetResult(conn->pg));
out:
    parameters_free(&parameters);
    buf_free(&sql);
    arena_free(arena);
    return failed;
}
