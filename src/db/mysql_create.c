/* Makes a sink's table from its schema_definition. */
#include "db/mysql.h"

#include <string.h>

#include "db/definition.h"

/* Letters: of a key without a length, of an index on a long text; bytes: of all VARCHARs of a row. */
enum { KEY_LETTERS = 255, INDEX_LETTERS = 191, INDEX_MOST = 768, ROW_BYTES = 60000, VARCHAR_MOST = 16000 };

static bool is_short(const struct config_column *column)
{
    return column->primary_key || (definition_size(column) && definition_size(column) <= KEY_LETTERS);
}

/* A row has room for VARCHARs of 65535 bytes: where the sum is more, only the short ones are. */
static bool is_crowded(const struct config_sink *sink)
{
    size_t sum = 0;
    for (size_t i = 0; i < sink->column_count; i++) {
        size_t size = definition_size(&sink->columns[i]);
        if (sink->columns[i].type == COLUMN_STRING || sink->columns[i].type == COLUMN_BINARY)
            sum += size <= VARCHAR_MOST ? 4 * size : 0;
    }
    return sum > ROW_BYTES;
}

/* Its own length, 0: it is a long text or long bytes. */
static size_t length(const struct definition *definition, const struct config_column *column)
{
    size_t size = definition_size(column);
    if (column->primary_key)
        return size ? size : KEY_LETTERS;
    if (size > VARCHAR_MOST || (!is_short(column) && is_crowded(definition->sink)))
        return 0;
    return size;
}

static void put_sized(struct buf *out, size_t size, const char *sized, const char *large)
{
    if (size)
        buf_printf(out, "%s(%zu)", sized, size);
    else
        buf_puts(out, large);
}

static void put_integer(struct buf *out, const struct config_column *column)
{
    unsigned bits = definition_bits(column);
    if (bits)
        buf_puts(out, bits == 16 ? "smallint" : bits == 32 ? "int" : "bigint");
    else
        buf_printf(out, "decimal(%u,0)", definition_digits(column));
}

/* Without a precision as much as there is, on both sides of the point. */
static void put_decimal(struct buf *out, const struct config_column *column)
{
    enum { MOST = 65, SCALE = 30 };
    unsigned precision = column->precision ? column->precision : (unsigned)MOST;
    buf_printf(out, "decimal(%u,%u)", precision, column->precision || column->scale ? column->scale : (unsigned)SCALE);
}

static const char *uuid_type(const struct conn *conn)
{
    return conn->mariadb && mysql_get_server_version(conn->mysql) >= 100700 ? "uuid" : "char(36)";
}

static void put_type(const struct definition *definition, struct buf *out, const struct config_column *column)
{
    static const char *const names[] = {[COLUMN_FLOAT] = "double", [COLUMN_DATETIME] = "datetime(6)",
                                        [COLUMN_DATE] = "date",    [COLUMN_TIME] = "time(6)",
                                        [COLUMN_BOOLEAN] = "boolean"};
    switch (column->type) {
    case COLUMN_STRING:
        put_sized(out, length(definition, column), "varchar", "longtext");
        break;
    case COLUMN_BINARY:
        put_sized(out, length(definition, column), "varbinary", "longblob");
        break;
    case COLUMN_INTEGER:
        put_integer(out, column);
        break;
    case COLUMN_DECIMAL:
        put_decimal(out, column);
        break;
    case COLUMN_UUID:
        buf_puts(out, uuid_type(definition->conn));
        break;
    default:
        buf_puts(out, names[column->type]);
    }
}

/* An index holds so many bytes: of a longer text its beginning. */
static void put_index(const struct definition *definition, struct buf *out, const struct config_column *column)
{
    bool text = column->type == COLUMN_STRING || column->type == COLUMN_BINARY;
    size_t size = text ? length(definition, column) : 0;
    buf_puts(out, "KEY (");
    mydb_name(out, column->name);
    if (text && (!size || size > INDEX_MOST))
        buf_printf(out, "(%d)", INDEX_LETTERS);
    buf_putc(out, ')');
}

static void quote(struct conn *conn, struct buf *out, const char *name)
{
    (void)conn;
    mydb_name(out, name);
}

static int put_text(struct conn *conn, struct buf *out, const char *text, struct err *err)
{
    size_t len = strlen(text);
    buf_putc(out, '\'');
    if (buf_reserve(out, 2 * len + 1))
        return err_memory(err);
    out->len += mysql_real_escape_string(conn->mysql, out->data + out->len, text, (unsigned long)len);
    buf_putc(out, '\'');
    return 0;
}

/* The collations that take no two texts for the same key. */
static const char *options(const struct conn *conn)
{
    if (conn->mariadb)
        return " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin";
    if (mysql_get_server_version(conn->mysql) >= 80017)
        return " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin";
    return " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";
}

int mydb_create_sql(struct conn *conn, const struct config_sink *sink, struct buf *sql, struct err *err)
{
    const struct definition definition = {.conn = conn,
                                          .sink = sink,
                                          .quote = quote,
                                          .put_type = put_type,
                                          .put_text = put_text,
                                          .put_index = put_index,
                                          .timezone = conn->system->timezone,
                                          .options = options(conn)};
    return definition_write(&definition, sql, err);
}

static bool is_right(unsigned number)
{
    return number == 1044 || number == 1142 || number == 1227;
}

/* A session that only reads makes no tables. */
int mydb_create(struct conn *conn, const struct config_sink *sink, struct err *err)
{
    static const char what[] = "cannot make the table of the sink";
    struct buf sql = {0};
    mydb_thread();
    int failed = mydb_create_sql(conn, sink, &sql, err);
    if (!failed && !buf_text(&sql))
        failed = err_memory(err);
    if (failed || mydb_run(conn, "SET SESSION TRANSACTION READ WRITE", what, err)) {
        buf_free(&sql);
        return -1;
    }
    sql.len -= 2; /* ";\n" */
    struct err own = {0};
    failed = buf_text(&sql) ? mydb_run(conn, sql.data, what, &own) : err_memory(&own);
    unsigned number = failed ? mysql_errno(conn->mysql) : 0;
    if (failed && is_right(number))
        definition_refused(sink, own.text, sql.data, err);
    else if (failed && err_set(err, own.code, "%s", own.text))
        err_hint(err, "%s", own.hint);
    buf_free(&sql);
    return mydb_run(conn, "SET SESSION TRANSACTION READ ONLY", what, err) || failed ? -1 : 0;
}
