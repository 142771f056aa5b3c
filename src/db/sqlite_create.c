/* Makes a sink's table from its schema_definition. */
#include "db/sqlite.h"

#include "db/definition.h"

static const char attempt[] = "making the table of the sink";

/* There are four storage classes; a declared type only tells one of them. Decimals, times and UUIDs are texts: no
 * class of numbers keeps all digits of a decimal. */
static void put_type(const struct definition *definition, struct buf *out, const struct config_column *column)
{
    (void)definition;
    switch (column->type) {
    case COLUMN_INTEGER:
        buf_puts(out, "INTEGER");
        break;
    case COLUMN_FLOAT:
        buf_puts(out, "REAL");
        break;
    case COLUMN_BINARY:
        buf_puts(out, "BLOB");
        break;
    case COLUMN_BOOLEAN:
        buf_puts(out, "BOOLEAN");
        break;
    default:
        buf_puts(out, "TEXT");
    }
}

static void quote(struct conn *conn, struct buf *out, const char *name)
{
    (void)conn;
    sqlite_identifier(out, name);
}

static int put_text(struct conn *conn, struct buf *out, const char *text, struct err *err)
{
    (void)conn;
    char *quoted = sqlite3_mprintf("%Q", text);
    if (!quoted)
        return err_memory(err);
    buf_puts(out, quoted);
    sqlite3_free(quoted);
    return 0;
}

int sqlite_create_sql(struct conn *conn, const struct config_sink *sink, struct buf *sql, struct err *err)
{
    struct config_sink here = *sink;
    here.schema = NULL; /* a file has one schema, and CREATE INDEX does not want its name before the table's */
    const struct definition definition = {
        .conn = conn, .sink = &here, .quote = quote, .put_type = put_type, .put_text = put_text};
    return definition_write(&definition, sql, err);
}

int sqlite_create(struct conn *conn, const struct config_sink *sink, struct err *err)
{
    struct buf sql = {0};
    int failed = sqlite_create_sql(conn, sink, &sql, err);
    if (!failed && !buf_text(&sql))
        failed = err_memory(err);
    if (!failed)
        failed = sqlite_transaction_begin(conn, true, conn->system->pool_timeout, err);
    if (!failed && (sqlite_run(conn, sql.data, attempt, err) || sqlite_transaction_commit(conn, err))) {
        sqlite_transaction_rollback(conn);
        failed = -1;
    }
    buf_free(&sql);
    return failed;
}
