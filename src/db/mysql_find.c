/* Looks for the rows of a table that have the keys of other rows: a statement for some hundred thousand bytes
 * of keys, joined with the table by the key's index in the order of the keys. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mydb_find {
    const struct target *target;
    const struct row *const *rows;
    size_t count;
    size_t first, next; /* of rows: where the present statement's keys begin, and where the next one's do */
    bool ours;          /* the table's form of our values is asked for, too */
    struct buf sql, keys;
    MYSQL_STMT *stmt;
    struct mydb_cells *cells;
    struct value *mine; /* row->values with those replaced that the server normalised */
    bool running;       /* rows may still be on their way */
    bool prepared;
};

/* FOR ORDINALITY's column. */
static const struct column ordinal = {
    .name = "n", .type = "int", .kind = KIND_INT, .number = MYSQL_TYPE_LONG};

static const struct column *column_at(const struct target *target, size_t i)
{
    return &target->relation->columns[i];
}

/* the statement */

static bool is_normalised(const struct target *target, size_t place)
{
    return column_at(target, target->columns[place])->normalised;
}

static bool has_normalised(const struct target *target)
{
    for (size_t i = 0; i < target->column_count; i++)
        if (is_normalised(target, i))
            return true;
    return false;
}

/* What the server makes of a text v<i>, as a select of the column would give it. */
static void put_normalised(struct buf *out, const struct column *column, size_t i)
{
    if (column->number == MYSQL_TYPE_GEOMETRY)
        buf_printf(out, ", ST_AsText(ST_GeomFromText(k.v%zu))", i);
    else
        buf_printf(out, ", CAST(k.v%zu AS %s)", i,
                   column->kind == KIND_JSON       ? "JSON"
                   : column->modifier & MYDB_INET6 ? "INET6"
                                                   : "INET4");
}

static void put_columns(struct buf *out, const struct target *target)
{
    buf_puts(out, "SELECT k.n");
    for (size_t i = 0; i < target->read_count; i++) {
        const struct column *column = column_at(target, target->reads[i]);
        buf_puts(out, ", ");
        if (column->number == MYSQL_TYPE_GEOMETRY)
            buf_puts(out, "ST_AsText(");
        mydb_column_name(out, "t.", column);
        if (column->number == MYSQL_TYPE_GEOMETRY)
            buf_putc(out, ')');
    }
}

/* STRAIGHT_JOIN: the keys first, in their order. */
static int write_statement(struct mydb_find *find, enum find_mode mode, struct err *err)
{
    const struct target *target = find->target;
    struct buf more = {0};
    size_t path = target->relation->key_count;
    put_columns(&find->sql, target);
    for (size_t i = 0; find->ours && i < target->column_count; i++)
        if (is_normalised(target, i)) {
            put_normalised(&find->sql, column_at(target, target->columns[i]), i);
            buf_printf(&more, ", v%zu LONGTEXT CHARACTER SET utf8mb4 PATH '$[%zu]'", i, path++);
        }
    buf_puts(&find->sql, " FROM ");
    const char *columns = buf_text(&more);
    if (columns)
        mydb_put_keys(&find->sql, target, "?", false, columns);
    buf_puts(&find->sql, " STRAIGHT_JOIN ");
    mydb_put_join(&find->sql, target);
    if (mode == FIND_LOCK)
        buf_puts(&find->sql, " FOR UPDATE");
    bool failed = !columns || !buf_text(&find->sql);
    buf_free(&more);
    return failed ? err_memory(err) : 0;
}

/* Opens the cells of n, what is read, and what is normalised. */
static int make_cells(struct mydb_find *find, struct err *err)
{
    const struct target *target = find->target;
    size_t count = 0;
    const struct column **columns = calloc(1 + target->read_count + target->column_count, sizeof *columns);
    if (!columns)
        return err_memory(err);
    columns[count++] = &ordinal;
    for (size_t i = 0; i < target->read_count; i++)
        columns[count++] = column_at(target, target->reads[i]);
    for (size_t i = 0; find->ours && i < target->column_count; i++)
        if (is_normalised(target, i))
            columns[count++] = column_at(target, target->columns[i]);
    find->cells = mydb_cells_new(columns, count, target->relation->title, err);
    free(columns);
    return find->cells ? 0 : -1;
}

/* running it */

static void put_row(struct mydb_find *find, const struct row *row)
{
    const struct target *target = find->target;
    mydb_put_key(&find->keys, target, row);
    if (!find->ours)
        return;
    find->keys.len--; /* what is normalised goes behind the key */
    for (size_t i = 0; i < target->column_count; i++)
        if (is_normalised(target, i)) {
            buf_putc(&find->keys, ',');
            mydb_put_text(&find->keys, &row->values[i]);
        }
    buf_putc(&find->keys, ']');
}

static void put_rows(struct mydb_find *find, size_t most)
{
    buf_reset(&find->keys);
    find->first = find->next;
    buf_putc(&find->keys, '[');
    do {
        if (find->next > find->first)
            buf_putc(&find->keys, ',');
        put_row(find, find->rows[find->next++]);
    } while (find->next < find->count && find->keys.len < most);
    buf_putc(&find->keys, ']');
}

static int find_failed(struct conn *conn, struct mydb_find *find, struct err *err)
{
    char what[200];
    snprintf(what, sizeof what, "cannot look for rows of %s", find->target->relation->title);
    conn->doomed = true;
    return mydb_stmt_failed(conn, find->stmt, what, err);
}

static int execute(struct conn *conn, struct mydb_find *find, struct err *err)
{
    MYSQL_BIND bind;
    put_rows(find, conn->packet);
    if (!buf_text(&find->keys))
        return err_memory(err);
    memset(&bind, 0, sizeof bind);
    bind.buffer_type = MYSQL_TYPE_STRING;
    bind.buffer = find->keys.data;
    bind.buffer_length = (unsigned long)find->keys.len;
    conn->busy = true;
    if (!find->prepared && mysql_stmt_prepare(find->stmt, find->sql.data, (unsigned long)find->sql.len))
        return find_failed(conn, find, err);
    find->prepared = true;
    if (mysql_stmt_bind_param(find->stmt, &bind) || mysql_stmt_execute(find->stmt))
        return find_failed(conn, find, err);
    find->running = true;
    if (mydb_cells_bind(conn, find->cells, find->stmt, err)) {
        conn->doomed = true;
        return -1;
    }
    return 0;
}

int mydb_find_open(struct conn *conn, const struct target *target, const struct row *const *rows,
                   size_t count, enum find_mode mode, struct err *err)
{
    mydb_thread();
    struct mydb_find *find = conn->find = calloc(1, sizeof *find);
    if (!find)
        return err_memory(err);
    find->target = target;
    find->rows = rows;
    find->count = count;
    find->ours = mode == FIND_LOCK && has_normalised(target);
    find->mine = calloc(target->column_count + 1, sizeof *find->mine);
    find->stmt = mysql_stmt_init(conn->mysql);
    if (!find->mine || !find->stmt)
        return err_memory(err);
    if (mydb_check_key(target, err) || mydb_packet(conn, err) || write_statement(find, mode, err) ||
        make_cells(find, err))
        return -1;
    return count ? execute(conn, find, err) : 0;
}

static const struct value *ours(struct mydb_find *find, const struct row *row, const struct value *normalised)
{
    for (size_t i = 0; i < find->target->column_count; i++)
        find->mine[i] = is_normalised(find->target, i) ? *normalised++ : row->values[i];
    return find->mine;
}

static int take(struct mydb_find *find, const struct value *fields, struct found *found, struct err *err)
{
    size_t n = fields[0].kind == KIND_INT && fields[0].integer > 0 ? (size_t)fields[0].integer - 1 : SIZE_MAX;
    if (n >= find->next - find->first)
        return err_set(err, ERR_INTERNAL, "%s: the server gave a row that nobody looked for",
                       find->target->relation->title);
    memset(found, 0, sizeof *found);
    found->row = find->rows[find->first + n];
    found->values = fields + 1;
    if (find->ours)
        found->ours = ours(find, found->row, fields + 1 + find->target->read_count);
    return 1;
}

int mydb_find_next(struct conn *conn, struct found *found, struct err *err)
{
    struct mydb_find *find = conn->find;
    const struct value *fields;
    mydb_thread();
    while (find->running) {
        int got = mydb_cells_fetch(conn, find->cells, find->stmt, &fields, err);
        if (got > 0)
            return take(find, fields, found, err);
        if (got < 0) {
            conn->doomed = true;
            return -1;
        }
        find->running = false;
        conn->busy = false;
        mysql_stmt_free_result(find->stmt);
        if (find->next < find->count && execute(conn, find, err))
            return -1;
    }
    return 0;
}

/* What is left of the rows is few, and read away. */
int mydb_find_close(struct conn *conn)
{
    struct mydb_find *find = conn->find;
    if (!find)
        return 0;
    mydb_thread();
    conn->find = NULL;
    bool lost = find->stmt && mydb_is_loss(mysql_stmt_errno(find->stmt));
    if (find->stmt)
        mysql_stmt_close(find->stmt);
    conn->busy = false;
    mydb_cells_free(find->cells);
    buf_free(&find->sql);
    buf_free(&find->keys);
    free(find->mine);
    free(find);
    return lost || atomic_load(&conn->cancelled) ? -1 : 0;
}

/* numbering keys */

static int read_ranks(struct conn *conn, MYSQL_STMT *stmt, uint32_t *ranks, size_t count, struct err *err)
{
    static const struct column *const columns[] = {&ordinal, &ordinal};
    struct mydb_cells *cells = mydb_cells_new(columns, 2, "keys", err);
    const struct value *fields;
    int got = cells && !mydb_cells_bind(conn, cells, stmt, err) ? 1 : -1;
    while (got > 0 && (got = mydb_cells_fetch(conn, cells, stmt, &fields, err)) > 0) {
        size_t n = (size_t)fields[0].integer - 1;
        if (n < count)
            ranks[n] = (uint32_t)fields[1].integer;
    }
    mydb_cells_free(cells);
    return got;
}

static void put_rank(struct buf *sql, const struct target *target)
{
    buf_puts(sql, "SELECT CAST(k.n AS SIGNED), CAST(DENSE_RANK() OVER (ORDER BY ");
    for (size_t i = 0; i < target->relation->key_count; i++) {
        buf_puts(sql, i ? ", " : "");
        mydb_put_part(sql, target, i);
    }
    buf_puts(sql, ", TRUE");
    mydb_put_kept(sql, target);
    buf_puts(sql, ") AS SIGNED) FROM ");
    mydb_put_keys(sql, target, "?", false, "");
}

/* All keys in one text: who is the same as whom cannot be told piece by piece. */
int mydb_rank(struct conn *conn, const struct target *target, const struct row *const *rows, size_t count,
              uint32_t *ranks, struct err *err)
{
    mydb_thread();
    struct mydb_statement statement = {.arena = arena_new()};
    struct buf keys = {0};
    int failed = statement.arena ? mydb_check_key(target, err) || mydb_packet(conn, err) : err_memory(err);
    buf_putc(&keys, '[');
    for (size_t i = 0; i < count && !failed; i++) {
        buf_puts(&keys, i ? "," : "");
        mydb_put_key(&keys, target, rows[i]);
    }
    buf_putc(&keys, ']');
    put_rank(&statement.sql, target);
    MYSQL_STMT *stmt = failed ? NULL : mysql_stmt_init(conn->mysql);
    if (!failed && (!stmt || !buf_text(&keys)))
        failed = err_memory(err);
    if (!failed && keys.len > conn->packet_most - statement.sql.len) {
        err_set(err, ERR_LARGE, "the keys of the request are more than the server takes at once, %zu bytes",
                conn->packet_most);
        failed = err_hint(err, "raise the server's max_allowed_packet, or send smaller batches");
    }
    if (!failed)
        failed = mydb_bind_text(&statement, keys.data, keys.len, err) ||
                 mydb_execute_on(conn, stmt, &statement, "cannot compare keys", err) ||
                 read_ranks(conn, stmt, ranks, count, err);
    if (stmt)
        mysql_stmt_close(stmt);
    conn->busy = false;
    buf_free(&keys);
    buf_free(&statement.sql);
    arena_free(statement.arena);
    return failed ? -1 : 0;
}
