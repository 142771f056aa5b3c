/* What a write sets besides the values of its rows. Times are texts, in UTC as strftime writes them, except
 * in columns of INTEGER affinity: those hold seconds since 1970. */
#include "db/sqlite.h"

#include <strings.h>

#define TEXT_NOW "strftime('%Y-%m-%d %H:%M:%f', 'now')"

static bool names(const char *type, const char *part)
{
    size_t len = strlen(part);
    for (; *type; type++)
        if (strncasecmp(type, part, len) == 0)
            return true;
    return false;
}

/* Does a version in this column tell a time, or count? */
static bool is_time(const struct column *column)
{
    if (column->number == AFFINITY_INTEGER)
        return false;
    return column->number == AFFINITY_TEXT || names(column->type, "DATE") || names(column->type, "TIME");
}

static void put_now(struct buf *sql, const struct column *column)
{
    buf_puts(sql, column->number == AFFINITY_INTEGER ? "CAST(strftime('%s', 'now') AS INTEGER)" : TEXT_NOW);
}

/* SQLite makes a REAL of an integer beyond 64 bits, which further on stands still: versions end there, with
 * the error of abs() for the least integer. */
static void put_count(struct buf *sql, const struct relation *relation, size_t column)
{
    struct buf next = {0};
    buf_puts(&next, "coalesce(");
    sqlite_put_column(&next, relation, column);
    buf_puts(&next, ", 0) + 1");
    buf_printf(sql, "CASE WHEN %s <= 9223372036854775807 THEN %s ELSE abs(-CAST(", buf_text(&next),
               buf_text(&next));
    sqlite_put_column(sql, relation, column);
    buf_puts(sql, " AS INTEGER) - 1) END");
    buf_free(&next);
}

/* SQLite's clock has milliseconds, so that is the least a time rises by. What is no time is followed by now.
 */
static void put_next(struct buf *sql, const struct relation *relation, size_t column, bool insert)
{
    bool time = is_time(&relation->columns[column]);
    if (insert) {
        buf_puts(sql, time ? TEXT_NOW : "1");
        return;
    }
    if (!time) {
        put_count(sql, relation, column);
        return;
    }
    buf_puts(sql, "max(" TEXT_NOW ", coalesce(strftime('%Y-%m-%d %H:%M:%f', ");
    sqlite_put_column(sql, relation, column);
    buf_puts(sql, ", '+0.001 seconds'), ''))");
}

void sqlite_put_special(struct buf *sql, const struct relation *relation, const struct special *special,
                        bool insert)
{
    switch (special->kind) {
    case SPECIAL_VALUE:
        buf_putc(sql, '?');
        break;
    case SPECIAL_NOW:
        put_now(sql, &relation->columns[special->column]);
        break;
    case SPECIAL_NEXT:
        put_next(sql, relation, special->column, insert);
        break;
    }
}

int sqlite_bind_specials(struct conn *conn, sqlite3_stmt *stmt, int number, const struct special *specials,
                         size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (specials[i].kind != SPECIAL_VALUE)
            continue;
        int rc = sqlite_bind_scalar(stmt, number++, &specials[i].value);
        if (rc != SQLITE_OK)
            return sqlite_fail(conn, rc, "binding a constant", err);
    }
    return number;
}
