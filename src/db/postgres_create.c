/* Makes a sink's table from its schema_definition. */
#include "db/postgres.h"

#include <string.h>

#include "db/definition.h"

/* The whole of the numbers that are told, or all that numeric holds. */
static void put_decimal(struct buf *out, const struct config_column *column)
{
    enum { MOST = 1000 };
    if (!column->precision && !column->scale)
        buf_puts(out, "numeric");
    else
        buf_printf(out, "numeric(%u,%u)", column->precision ? column->precision : (unsigned)MOST, column->scale);
}

static void put_integer(struct buf *out, const struct config_column *column)
{
    unsigned bits = definition_bits(column);
    if (bits)
        buf_puts(out, bits == 16 ? "smallint" : bits == 32 ? "integer" : "bigint");
    else
        buf_printf(out, "numeric(%u,0)", definition_digits(column));
}

static void put_type(const struct definition *definition, struct buf *out, const struct config_column *column)
{
    enum { VARCHAR_MAX = 10485760 };
    static const char *const names[] = {
        [COLUMN_FLOAT] = "double precision", [COLUMN_BINARY] = "bytea", [COLUMN_DATETIME] = "timestamp(6) with time zone",
        [COLUMN_DATE] = "date",              [COLUMN_TIME] = "time",    [COLUMN_UUID] = "uuid",
        [COLUMN_BOOLEAN] = "boolean"};
    size_t size = definition_size(column);
    (void)definition;
    switch (column->type) {
    case COLUMN_STRING:
        if (size && size <= VARCHAR_MAX)
            buf_printf(out, "varchar(%zu)", size);
        else
            buf_puts(out, "text");
        break;
    case COLUMN_INTEGER:
        put_integer(out, column);
        break;
    case COLUMN_DECIMAL:
        put_decimal(out, column);
        break;
    default:
        buf_puts(out, names[column->type]);
    }
}

static void quote(struct conn *conn, struct buf *out, const char *name)
{
    postgres_identifier(conn, out, name, NULL);
}

static int put_text(struct conn *conn, struct buf *out, const char *text, struct err *err)
{
    return postgres_literal(conn, out, text, strlen(text), err);
}

int postgres_create_sql(struct conn *conn, const struct config_sink *sink, struct buf *sql, struct err *err)
{
    const struct definition definition = {
        .conn = conn, .sink = sink, .quote = quote, .put_type = put_type, .put_text = put_text};
    return definition_write(&definition, sql, err);
}

/* Somebody else made it at the same time: then it is there. */
static bool is_there(const char *state)
{
    return strcmp(state, "42P07") == 0 || strcmp(state, "42710") == 0 || strcmp(state, "23505") == 0;
}

static int create_failed(struct conn *conn, const struct config_sink *sink, const PGresult *result, const char *sql,
                         struct err *err)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (state && is_there(state))
        return 0;
    if (state && (strcmp(state, "42501") == 0 || strcmp(state, "3F000") == 0))
        return definition_refused(sink, PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), sql, err);
    return postgres_write_error(conn, result, "cannot make the table of the sink", NULL, NULL, err);
}

/* Two that make the same table at the same time would collide in the catalogue in spite of IF NOT EXISTS. */
int postgres_create(struct conn *conn, const struct config_sink *sink, struct err *err)
{
    struct buf sql = {0}, whole = {0};
    int failed = postgres_create_sql(conn, sink, &sql, err);
    const char *text = failed ? NULL : buf_text(&sql);
    if (!text)
        goto out;
    buf_puts(&whole, "BEGIN READ WRITE; SELECT pg_catalog.pg_advisory_xact_lock(7310868735486943843);\n");
    buf_puts(&whole, text);
    buf_puts(&whole, "COMMIT");
    if (!buf_text(&whole)) {
        failed = err_memory(err);
        goto out;
    }
    PGresult *result = PQexec(conn->pg, whole.data);
    if (PQresultStatus(result) != PGRES_COMMAND_OK || strcmp(PQcmdStatus(result), "COMMIT") != 0)
        failed = create_failed(conn, sink, result, text, err);
    PQclear(result);
    if (PQtransactionStatus(conn->pg) != PQTRANS_IDLE)
        postgres_rollback(conn);
out:
    buf_free(&sql);
    buf_free(&whole);
    return failed;
}
