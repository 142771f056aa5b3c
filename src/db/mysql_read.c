/* Streams the rows of a plan: an unbuffered prepared statement a range, in the binary protocol. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/iso.h"
#include "base/shortest.h"

/* What a field is fetched as. */
enum fetch {
    FETCH_INT, FETCH_UINT, FETCH_FLOAT, FETCH_DOUBLE, FETCH_TIME, FETCH_CLOCK, FETCH_BITS, FETCH_UUID, FETCH_LIST,
    FETCH_TEXT,
};

enum { BITS = 8, FIRST_SIZE = 256, MOST_AT_FIRST = 8192 };

struct cell {
    const struct column *column;
    enum fetch fetch;
    enum kind kind;
    union {
        int64_t integer;
        float real;
        double wide;
        MYSQL_TIME time;
        unsigned char bits[BITS];
    };
    char *bytes;
    unsigned long cap, len;
    mydb_bool null, cut;
    char text[MYDB_TIME_SIZE]; /* what is made of times, floats and UUIDs */
    struct value *items;       /* a list's */
    size_t item_cap;
};

struct mydb_read {
    const struct plan *plan;
    struct arena *arena; /* of the present range's parameters */
    MYSQL_STMT *stmt;
    MYSQL_BIND *binds;
    struct cell *cells;
    struct value *row;
    size_t columns;
    size_t range;  /* the next to open */
    uint64_t left; /* rows up to the limit */
    bool running;  /* rows of stmt may still be on their way */
    bool transaction;
    bool lost;
};

/* cells */

static enum fetch fetch_of(const struct column *column)
{
    switch (column->kind) {
    case KIND_INT:
        return FETCH_INT;
    case KIND_UINT:
        return column->number == MYSQL_TYPE_BIT ? FETCH_BITS : FETCH_UINT;
    case KIND_FLOAT:
        return column->number == MYSQL_TYPE_FLOAT ? FETCH_FLOAT : FETCH_DOUBLE;
    case KIND_DATE:
    case KIND_DATETIME:
        return FETCH_TIME;
    case KIND_UUID:
        return FETCH_UUID;
    case KIND_LIST:
        return FETCH_LIST;
    default:
        return column->number == MYSQL_TYPE_TIME ? FETCH_CLOCK : FETCH_TEXT;
    }
}

static void bind_fixed(struct cell *cell, MYSQL_BIND *bind)
{
    switch (cell->fetch) {
    case FETCH_INT:
    case FETCH_UINT:
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->is_unsigned = cell->fetch == FETCH_UINT;
        bind->buffer = &cell->integer;
        bind->buffer_length = sizeof cell->integer;
        break;
    case FETCH_FLOAT:
        bind->buffer_type = MYSQL_TYPE_FLOAT;
        bind->buffer = &cell->real;
        bind->buffer_length = sizeof cell->real;
        break;
    case FETCH_DOUBLE:
        bind->buffer_type = MYSQL_TYPE_DOUBLE;
        bind->buffer = &cell->wide;
        bind->buffer_length = sizeof cell->wide;
        break;
    case FETCH_BITS:
        bind->buffer_type = MYSQL_TYPE_BLOB;
        bind->buffer = cell->bits;
        bind->buffer_length = sizeof cell->bits;
        break;
    default:
        bind->buffer_type = cell->fetch == FETCH_CLOCK        ? MYSQL_TYPE_TIME
                            : cell->kind == KIND_DATE         ? MYSQL_TYPE_DATE
                                                              : MYSQL_TYPE_DATETIME;
        bind->buffer = &cell->time;
        bind->buffer_length = sizeof cell->time;
    }
}

/* Begins with what most values need, and grows where one is longer. */
static int bind_bytes(struct cell *cell, MYSQL_BIND *bind, const MYSQL_FIELD *field, struct err *err)
{
    unsigned long size = field->length < FIRST_SIZE ? FIRST_SIZE : field->length;
    if (!cell->bytes) {
        cell->cap = size > MOST_AT_FIRST ? MOST_AT_FIRST : size;
        cell->bytes = malloc(cell->cap);
    }
    bind->buffer_type = MYSQL_TYPE_BLOB; /* as it came; a string would be ended with NUL */
    bind->buffer = cell->bytes;
    bind->buffer_length = cell->cap;
    return cell->bytes ? 0 : err_memory(err);
}

static int bind_cell(struct cell *cell, MYSQL_BIND *bind, const MYSQL_FIELD *field, struct err *err)
{
    memset(bind, 0, sizeof *bind);
    bind->length = &cell->len;
    bind->is_null = &cell->null;
    bind->error = &cell->cut;
    if (cell->fetch == FETCH_TEXT || cell->fetch == FETCH_UUID || cell->fetch == FETCH_LIST)
        return bind_bytes(cell, bind, field, err);
    bind_fixed(cell, bind);
    return 0;
}

static int bind_row(struct mydb_read *read, MYSQL_RES *metadata, struct err *err)
{
    const struct plan *plan = read->plan;
    const MYSQL_FIELD *fields = mysql_fetch_fields(metadata);
    for (size_t i = 0; i < plan->column_count; i++) {
        struct cell *cell = &read->cells[i];
        if (!mydb_column_fits(cell->column, &fields[i])) {
            err_set(err, ERR_CHANGED, "column '%s' of %s is no %s any more", cell->column->name,
                    plan->relation->title, cell->column->type);
            return -1;
        }
        if (bind_cell(cell, &read->binds[i], &fields[i], err))
            return -1;
    }
    return 0;
}

/* Texts whose size was too small are fetched again; a number or time that does not fit is another type
 * than the catalogue told. */
static int grow_cells(struct conn *conn, struct mydb_read *read, struct err *err)
{
    for (size_t i = 0; i < read->columns; i++) {
        struct cell *cell = &read->cells[i];
        MYSQL_BIND *bind = &read->binds[i];
        if (cell->null || !cell->cut)
            continue;
        if (bind->buffer != cell->bytes)
            return err_set(err, ERR_CHANGED, "column '%s' of %s is no %s any more", cell->column->name,
                           read->plan->relation->title, cell->column->type);
        unsigned long cap = cell->len > cell->cap * 2 ? cell->len : cell->cap * 2;
        char *bytes = realloc(cell->bytes, cap);
        if (!bytes)
            return err_memory(err);
        bind->buffer = cell->bytes = bytes;
        bind->buffer_length = cell->cap = cap;
        if (mysql_stmt_fetch_column(read->stmt, bind, (unsigned)i, 0))
            return mydb_stmt_failed(conn, read->stmt, "read", err);
    }
    if (mysql_stmt_bind_result(read->stmt, read->binds))
        return mydb_stmt_failed(conn, read->stmt, "read", err);
    return 0;
}

/* values */

static int set_list(struct cell *cell, struct value *value, struct err *err)
{
    size_t count = cell->len ? 1 : 0; /* the empty set is an empty text */
    for (size_t i = 0; i < cell->len; i++)
        count += cell->bytes[i] == ',';
    if (count > cell->item_cap) {
        struct value *items = realloc(cell->items, count * sizeof *items);
        if (!items)
            return err_memory(err);
        cell->items = items;
        cell->item_cap = count;
    }
    const char *at = cell->bytes, *end = cell->bytes + cell->len;
    for (size_t i = 0; i < count; i++) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        size_t len = (size_t)((comma ? comma : end) - at);
        cell->items[i] = value_text(KIND_TEXT, at, len);
        at += len + 1;
    }
    value->kind = KIND_LIST;
    value->list.items = cell->items;
    value->list.count = count;
    return 0;
}

static uint64_t bits_number(const struct cell *cell)
{
    uint64_t number = 0;
    for (unsigned long i = 0; i < cell->len && i < BITS; i++)
        number = number << 8 | cell->bits[i];
    return number;
}

static int set_value(struct cell *cell, struct value *value, struct err *err)
{
    if (cell->null) {
        value->kind = KIND_NULL;
        return 0;
    }
    switch (cell->fetch) {
    case FETCH_INT:
        *value = value_integer(KIND_INT, cell->integer);
        return 0;
    case FETCH_UINT:
        value->kind = KIND_UINT;
        value->natural = (uint64_t)cell->integer;
        return 0;
    case FETCH_BITS:
        value->kind = KIND_UINT;
        value->natural = bits_number(cell);
        return 0;
    case FETCH_FLOAT:
        *value = value_text(KIND_FLOAT, cell->text, shortest_float(cell->real, cell->text));
        return 0;
    case FETCH_DOUBLE: /* by us, since finding the digits is what costs the server most of a text */
        *value = value_text(KIND_FLOAT, cell->text, shortest_double(cell->wide, cell->text));
        return 0;
    case FETCH_TIME:
        mydb_from_time(&cell->time, cell->kind, cell->column->digits, cell->text, value);
        return 0;
    case FETCH_CLOCK:
        *value = value_text(KIND_TEXT, cell->text,
                            mydb_time_text(&cell->time, cell->column->digits, cell->text));
        return 0;
    case FETCH_UUID:
        if (iso_parse_uuid(cell->bytes, cell->len, cell->text))
            *value = value_text(KIND_TEXT, cell->bytes, cell->len);
        else
            *value = value_text(KIND_UUID, cell->text, 16);
        return 0;
    case FETCH_LIST:
        return set_list(cell, value, err);
    default:
        *value = value_text(cell->kind, cell->bytes, cell->len);
        return 0;
    }
}

/* ranges */

static int bind_result(struct conn *conn, struct mydb_read *read, struct err *err)
{
    MYSQL_RES *metadata = mysql_stmt_result_metadata(read->stmt);
    if (!metadata)
        return mydb_stmt_failed(conn, read->stmt, "read", err);
    int failed = bind_row(read, metadata, err);
    mysql_free_result(metadata);
    if (!failed && mysql_stmt_bind_result(read->stmt, read->binds))
        failed = mydb_stmt_failed(conn, read->stmt, "read", err);
    return failed;
}

/* A filter may hold letters that the column's character set does not have. */
static int execute_failed(struct conn *conn, const struct mydb_read *read, const char *what, struct err *err)
{
    enum { MIX_OF_COLLATIONS = 1267 };
    if (read->plan->filter_count && mydb_stmt_number(conn, read->stmt) == MIX_OF_COLLATIONS)
        return err_set(err, ERR_INPUT, "%s: a filter's text cannot be in the column's character set", what);
    return mydb_stmt_failed(conn, read->stmt, what, err);
}

static int execute(struct conn *conn, struct mydb_read *read, struct mydb_statement *statement, struct err *err)
{
    MYSQL_STMT *stmt = read->stmt;
    char what[200];
    snprintf(what, sizeof what, "cannot read %s", read->plan->relation->title);
    conn->busy = true;
    if (mysql_stmt_prepare(stmt, statement->sql.data, (unsigned long)statement->sql.len))
        return mydb_stmt_failed(conn, stmt, what, err);
    if (mysql_stmt_param_count(stmt) != statement->count) {
        err_set(err, ERR_DATABASE, "%s: it has a bare '?'", what);
        return err_hint(err, "name parameters as :name");
    }
    if ((statement->count && mysql_stmt_bind_param(stmt, statement->binds)) || mysql_stmt_execute(stmt))
        return execute_failed(conn, read, what, err);
    read->running = true;
    return bind_result(conn, read, err);
}

static void end_range(struct conn *conn, struct mydb_read *read)
{
    if (read->stmt)
        mysql_stmt_close(read->stmt);
    read->stmt = NULL;
    arena_free(read->arena);
    read->arena = NULL;
    read->running = false;
    conn->busy = false;
}

static int open_range(struct conn *conn, struct mydb_read *read, struct err *err)
{
    const struct plan *plan = read->plan;
    const struct range *range = plan->range_count ? &plan->ranges[read->range] : NULL;
    read->range++;
    read->arena = arena_new();
    read->stmt = mysql_stmt_init(conn->mysql);
    if (!read->arena || !read->stmt)
        return err_memory(err);
    struct mydb_statement statement = {.arena = read->arena};
    int failed = mydb_select(conn, &statement, plan, range, read->left, err);
    if (!failed)
        failed = execute(conn, read, &statement, err);
    buf_free(&statement.sql);
    return failed;
}

/* A statement alone sees one snapshot; several need a transaction around them. */
static int begin(struct conn *conn, struct mydb_read *read, struct err *err)
{
    if (read->plan->order == ORDER_NONE || read->plan->range_count < 2)
        return 0;
    if (mydb_run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", "cannot begin a snapshot", err))
        return -1;
    read->transaction = true;
    return 0;
}

static int allocate(struct mydb_read *read, struct err *err)
{
    const struct plan *plan = read->plan;
    size_t count = plan->column_count + 1;
    read->columns = plan->column_count;
    read->binds = calloc(count, sizeof *read->binds);
    read->cells = calloc(count, sizeof *read->cells);
    read->row = calloc(count, sizeof *read->row);
    if (!read->binds || !read->cells || !read->row)
        return err_memory(err);
    for (size_t i = 0; i < plan->column_count; i++) {
        read->cells[i].column = &plan->relation->columns[plan->columns[i]];
        read->cells[i].kind = read->cells[i].column->kind;
        read->cells[i].fetch = fetch_of(read->cells[i].column);
    }
    return 0;
}

static bool has_more(const struct mydb_read *read)
{
    const struct plan *plan = read->plan;
    size_t ranges = plan->order == ORDER_NONE || !plan->range_count ? 1 : plan->range_count;
    return read->range < ranges && read->left;
}

int mydb_read_open(struct conn *conn, const struct plan *plan, struct err *err)
{
    mydb_thread();
    struct mydb_read *read = conn->read = calloc(1, sizeof *read);
    if (!read)
        return err_memory(err);
    read->plan = plan;
    read->left = plan->limit;
    if (allocate(read, err) || begin(conn, read, err))
        return -1;
    return has_more(read) ? open_range(conn, read, err) : 0;
}

/* 1 and the row is in the cells, 0 at the end of the range, or -1. */
static int fetch(struct conn *conn, struct mydb_read *read, struct err *err)
{
    switch (mysql_stmt_fetch(read->stmt)) {
    case 0:
        return 1;
    case MYSQL_DATA_TRUNCATED:
        return grow_cells(conn, read, err) ? -1 : 1;
    case MYSQL_NO_DATA:
        return 0;
    default:
        mydb_stmt_failed(conn, read->stmt, "read", err);
        read->running = false;
        read->lost = mydb_is_loss(mydb_stmt_number(conn, read->stmt));
        return -1;
    }
}

int mydb_read_next(struct conn *conn, const struct value **row, struct err *err)
{
    struct mydb_read *read = conn->read;
    mydb_thread();
    for (;;) {
        if (read->stmt) {
            int got = fetch(conn, read, err);
            if (got < 0)
                return -1;
            if (got)
                break;
            end_range(conn, read);
        }
        if (!has_more(read))
            return 0;
        if (open_range(conn, read, err))
            return -1;
    }
    for (size_t i = 0; i < read->columns; i++)
        if (set_value(&read->cells[i], &read->row[i], err))
            return -1;
    if (read->left != UINT64_MAX)
        read->left--;
    *row = read->row;
    return 1;
}

static void free_read(struct mydb_read *read)
{
    for (size_t i = 0; read->cells && i < read->columns; i++) {
        free(read->cells[i].bytes);
        free(read->cells[i].items);
    }
    free(read->cells);
    free(read->binds);
    free(read->row);
    free(read);
}

/* Rows that nobody will read are not fetched: the library would, to make the connection fit for use, and
 * so it is broken first. conn->busy stays, and close ends what still runs on the server. */
int mydb_read_close(struct conn *conn)
{
    struct mydb_read *read = conn->read;
    if (!read)
        return 0;
    mydb_thread();
    conn->read = NULL;
    bool abandoned = read->running || read->lost || atomic_load(&conn->cancelled);
    if (abandoned)
        shutdown(conn->socket, SHUT_RDWR);
    bool transaction = read->transaction;
    end_range(conn, read);
    free_read(read);
    conn->busy = abandoned;
    if (!abandoned && transaction)
        abandoned = mydb_run(conn, "ROLLBACK", "cannot end the snapshot", NULL) != 0;
    return abandoned ? -1 : 0;
}
