/* What a write sets besides the values of its rows: constants, the time, the next version. */
#include "db/mysql.h"

#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "base/zone.h"

static bool is_utc(const struct conn *conn)
{
    return strcmp(conn->system->timezone, "UTC") == 0;
}

/* On the server's clock, but on the wall of the system's timezone, of which the server need not know. */
static int wall_now(struct conn *conn, const struct column *column, struct value *value, struct err *err)
{
    static const char what[] = "cannot read the server's time";
    struct zone *zone = NULL;
    if (zone_open(&zone, conn->system->timezone, err) ||
        mydb_run(conn, "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))", what, err)) {
        zone_close(zone);
        return -1;
    }
    MYSQL_RES *rows = mysql_store_result(conn->mysql);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    int64_t wall = zone_to_wall(zone, row && row[0] ? strtoll(row[0], NULL, 10) : 0), unit = 1;
    bool known = row && row[0];
    if (rows)
        mysql_free_result(rows);
    zone_close(zone);
    for (unsigned digits = column->digits; digits < 6; digits++)
        unit *= 10;
    *value = column->kind == KIND_DATE ? value_integer(KIND_DATE, iso_floor(wall, ISO_DAY))
                                       : value_integer(KIND_DATETIME, iso_floor(wall, unit) * unit);
    return known ? 0 : mydb_failed(conn, what, err);
}

static bool is_plain_text(const struct column *column)
{
    return column->kind == KIND_TEXT && column->number != MYSQL_TYPE_TIME &&
           !(column->modifier & (MYDB_ENUM | MYDB_DOCUMENT | MYDB_INET4 | MYDB_INET6));
}

/* The statement's time, with no more digits than the column keeps: MySQL would round it up. */
static int put_now(struct conn *conn, struct buf *out, const struct column *column, struct value *value,
                   bool *bound, struct err *err)
{
    switch (column->kind) {
    case KIND_DATE:
    case KIND_DATETIME:
        *bound = !is_utc(conn) && (column->zoneless || column->kind == KIND_DATE);
        if (*bound)
            buf_putc(out, '?');
        else if (column->kind == KIND_DATE)
            buf_puts(out, "CURRENT_DATE()");
        else
            buf_printf(out, "CURRENT_TIMESTAMP(%u)", column->digits);
        return *bound ? wall_now(conn, column, value, err) : 0;
    case KIND_INT:
    case KIND_UINT:
    case KIND_DECIMAL:
    case KIND_FLOAT:
        buf_puts(out, "UNIX_TIMESTAMP()");
        return 0;
    default:
        if (!is_plain_text(column))
            return err_set(err, ERR_DATABASE, "column '%s', a %s, holds no time", column->name, column->type);
        buf_puts(out, "DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ')");
        return 0;
    }
}

static int put_next_time(struct conn *conn, struct buf *out, const char *prefix, const struct column *column,
                         struct value *value, bool *bound, struct err *err)
{
    buf_puts(out, "GREATEST(");
    if (put_now(conn, out, column, value, bound, err))
        return -1;
    buf_puts(out, ", COALESCE(");
    mydb_column_name(out, prefix, column);
    if (column->kind == KIND_DATE)
        buf_puts(out, " + INTERVAL 1 DAY, DATE'1970-01-02'))");
    else
        buf_printf(out, " + INTERVAL %.*s MICROSECOND, TIMESTAMP'1970-01-02 00:00:00'))",
                   7 - (int)column->digits, "1000000");
    return 0;
}

static int put_next(struct conn *conn, struct buf *out, const char *prefix, const struct column *column,
                    struct value *value, bool *bound, struct err *err)
{
    bool time = column->kind == KIND_DATE || column->kind == KIND_DATETIME;
    if (time)
        return prefix ? put_next_time(conn, out, prefix, column, value, bound, err)
                      : put_now(conn, out, column, value, bound, err);
    if (column->kind != KIND_INT && column->kind != KIND_UINT && column->kind != KIND_DECIMAL)
        return err_set(err, ERR_DATABASE, "column '%s', a %s, counts no versions", column->name,
                       column->type);
    if (!prefix) {
        buf_puts(out, column->defaulted ? "DEFAULT" : "1");
        return 0;
    }
    buf_puts(out, "COALESCE(");
    mydb_column_name(out, prefix, column);
    buf_puts(out, ", 0) + 1");
    return 0;
}

int mydb_put_special(struct conn *conn, struct buf *out, const char *prefix, const struct relation *relation,
                     const struct special *special, struct arena *arena, struct value *value, bool *bound,
                     struct err *err)
{
    const struct column *column = &relation->columns[special->column];
    *bound = false;
    if (special->kind == SPECIAL_NOW)
        return put_now(conn, out, column, value, bound, err);
    if (special->kind == SPECIAL_NEXT)
        return put_next(conn, out, prefix, column, value, bound, err);
    *bound = true;
    buf_putc(out, '?');
    return mydb_constant(conn, column, &special->value, arena, value, err);
}
