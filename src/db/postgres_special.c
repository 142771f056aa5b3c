/* What a write to PostgreSQL sets besides the values of its rows: constants, the time, the next version. */
#include "db/postgres.h"

#include <string.h>

int postgres_column(struct conn *conn, struct buf *out, const char *table, const struct column *column, struct err *err)
{
    if (table)
        buf_printf(out, "%s.", table);
    return postgres_identifier(conn, out, column->name, err);
}

/* A constant of the configuration as the column's type. */
static int put_constant(struct conn *conn, struct buf *out, const struct column *column,
                        const struct config_value *value, struct err *err)
{
    const char *text = value->text;
    if (value->type == CONFIG_BOOL)
        text = column->kind == KIND_BOOL ? (value->boolean ? "true" : "false") : value->boolean ? "1" : "0";
    if (value->type == CONFIG_NULL || value->type == CONFIG_ABSENT)
        buf_puts(out, "NULL");
    else if (postgres_literal(conn, out, text, strlen(text), err))
        return -1;
    buf_printf(out, "::%s", column->cast);
    return 0;
}

/* The transaction's time, as a column's default of now() has it. A time without zone is one on the wall of the
 * system's timezone, as our source reads it. */
static int put_now(struct conn *conn, struct buf *out, const struct column *column, struct err *err)
{
    switch (column->kind) {
    case KIND_INT:
    case KIND_DECIMAL:
    case KIND_FLOAT:
        buf_printf(out, "pg_catalog.floor(pg_catalog.date_part('epoch', pg_catalog.now()))::%s", column->cast);
        return 0;
    case KIND_TEXT:
        if (!postgres_encodes(column->number))
            break;
        buf_printf(out,
                   "pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')::%s",
                   column->cast);
        return 0;
    default:
        break;
    }
    bool zoned = column->number == PG_TIMESTAMPTZ;
    buf_puts(out, zoned ? "pg_catalog.now()" : "(pg_catalog.now() AT TIME ZONE ");
    if (!zoned && postgres_literal(conn, out, conn->system->timezone, strlen(conn->system->timezone), err))
        return -1;
    /* With the type's modifier, so that it is compared with an old value as it will be stored. */
    buf_printf(out, zoned ? "::%s" : ")::%s", column->type);
    return 0;
}

static bool is_time(const struct column *column)
{
    return column->kind == KIND_DATETIME || column->kind == KIND_DATE;
}

static int put_next_time(struct conn *conn, struct buf *out, const struct column *column, struct err *err)
{
    static const char *const units[] = {"1", "0.1", "0.01", "0.001", "0.0001", "0.00001", "0.000001"};
    buf_puts(out, "greatest(");
    if (put_now(conn, out, column, err))
        return -1;
    buf_puts(out, ", (");
    if (postgres_column(conn, out, "t", column, err))
        return -1;
    if (column->kind == KIND_DATE)
        buf_puts(out, " + 1))");
    else
        buf_printf(out, " + interval '%s s')::%s)", units[column->digits <= 6 ? column->digits : 6], column->type);
    return 0;
}

int postgres_special(struct conn *conn, struct buf *out, const struct relation *relation, const struct special *special,
                     bool old, struct err *err)
{
    const struct column *column = &relation->columns[special->column];
    if (special->kind == SPECIAL_VALUE)
        return put_constant(conn, out, column, &special->value, err);
    if (special->kind == SPECIAL_NOW || (!old && is_time(column)))
        return put_now(conn, out, column, err);
    if (is_time(column))
        return put_next_time(conn, out, column, err);
    if (!old) {
        buf_printf(out, "1::%s", column->cast);
        return 0;
    }
    buf_puts(out, "coalesce(");
    if (postgres_column(conn, out, "t", column, err))
        return -1;
    buf_puts(out, ", 0) + 1");
    return 0;
}

int postgres_set_specials(struct conn *conn, struct buf *out, const struct relation *relation,
                          const struct special *specials, size_t count, const char **link, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, *link);
        *link = ", ";
        if (postgres_column(conn, out, NULL, &relation->columns[specials[i].column], err))
            return -1;
        buf_puts(out, " = ");
        if (postgres_special(conn, out, relation, &specials[i], true, err))
            return -1;
    }
    return 0;
}
