/* Rows by their keys, one prepared statement for all: a statement costs no way to a server here. */
#include "db/sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "base/shortest.h"

static const char attempt[] = "looking for rows";

struct find {
    const struct target *target;
    const struct row *const *rows;
    size_t count, next; /* rows, and the next to look for */
    sqlite3_stmt *stmt;
    struct cell *cells;
    struct value *values;
    char (*floats)[SHORTEST_SIZE];
};

void sqlite_put_column(struct buf *sql, const struct relation *relation, size_t column)
{
    buf_puts(sql, relation->from);
    buf_putc(sql, '.');
    sqlite_identifier(sql, relation->columns[column].name);
}

void sqlite_put_key(struct buf *sql, const struct relation *relation)
{
    for (size_t i = 0; i < relation->key_count; i++) {
        buf_puts(sql, i ? " AND " : " WHERE ");
        sqlite_put_column(sql, relation, relation->key[i]);
        buf_puts(sql, " = ?");
        sqlite_put_collation(sql, &relation->columns[relation->key[i]]);
    }
}

void sqlite_put_collation(struct buf *sql, const struct column *column)
{
    if (!column->collation || sqlite3_stricmp(column->collation, "BINARY") == 0)
        return;
    buf_puts(sql, " COLLATE ");
    sqlite_identifier(sql, column->collation);
}

static void put_select(struct buf *sql, const struct target *target)
{
    buf_puts(sql, "SELECT ");
    for (size_t i = 0; i < target->read_count; i++) {
        buf_puts(sql, i ? ", " : "");
        sqlite_put_column(sql, target->relation, target->reads[i]);
    }
    buf_printf(sql, "%s FROM %s", target->read_count ? "" : "1", target->relation->from);
    sqlite_put_key(sql, target->relation);
}

static int prepare(struct conn *conn, struct find *find, struct err *err)
{
    struct buf sql = {0};
    put_select(&sql, find->target);
    int failed = sqlite_prepare(conn, buf_text(&sql), &find->stmt, attempt, err);
    buf_free(&sql);
    return failed;
}

/* Nothing is locked: whoever writes has kept all others out since it began. */
int sqlite_find_open(struct conn *conn, const struct target *target, const struct row *const *rows,
                     size_t count, enum find_mode mode, struct err *err)
{
    (void)mode;
    if (sqlite_transaction_check(conn, err))
        return -1;
    struct find *find = calloc(1, sizeof *find);
    if (!find)
        return err_memory(err);
    sqlite_find_close(conn);
    conn->find = find;
    find->target = target;
    find->rows = rows;
    find->count = count;
    size_t room = target->read_count ? target->read_count : 1;
    find->cells = calloc(room, sizeof *find->cells);
    find->values = calloc(room, sizeof *find->values);
    find->floats = calloc(room, sizeof *find->floats);
    if (!find->cells || !find->values || !find->floats)
        return err_memory(err);
    return prepare(conn, find, err);
}

int sqlite_bind_key(struct conn *conn, sqlite3_stmt *stmt, int number, const struct target *target,
                    const struct row *row, struct err *err)
{
    for (size_t i = 0; i < target->relation->key_count; i++) {
        int rc = sqlite_bind_value(stmt, number + (int)i, &row->values[i]);
        if (rc != SQLITE_OK)
            return sqlite_fail(conn, rc, "binding a row's key", err);
    }
    return 0;
}

/* 1 when the row is there. */
static int look(struct conn *conn, struct find *find, const struct row *row, struct err *err)
{
    sqlite3_reset(find->stmt);
    if (sqlite_bind_key(conn, find->stmt, 1, find->target, row, err))
        return -1;
    int there = sqlite_step(conn, find->stmt, attempt, err);
    for (size_t i = 0; there == 1 && i < find->target->read_count; i++) {
        if (sqlite_cell(conn, find->stmt, (int)i, &find->cells[i], err))
            return -1;
        find->values[i] = sqlite_value(&find->cells[i], find->floats[i]);
    }
    return there;
}

int sqlite_find_next(struct conn *conn, struct found *found, struct err *err)
{
    struct find *find = conn->find;
    if (!find || !find->stmt)
        return err_set(err, ERR_INTERNAL, "system '%s': looking on after a failure", conn->system->name);
    int there = 0;
    while (there == 0 && find->next < find->count) {
        if (atomic_load_explicit(&conn->cancelled, memory_order_relaxed))
            return sqlite_fail(conn, SQLITE_INTERRUPT, attempt, err);
        const struct row *row = find->rows[find->next++];
        there = look(conn, find, row, err);
        *found = (struct found){.row = row, .values = find->values};
    }
    return there;
}

int sqlite_find_close(struct conn *conn)
{
    struct find *find = conn->find;
    if (!find)
        return 0;
    sqlite3_finalize(find->stmt);
    free(find->cells);
    free(find->values);
    free(find->floats);
    free(find);
    conn->find = NULL;
    return conn->broken ? -1 : 0;
}
