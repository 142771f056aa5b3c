/* The fields of a prepared statement's row, in the binary protocol, and the values they become. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "base/shortest.h"

/* What a field is fetched as. */
enum fetch {
    FETCH_INT,
    FETCH_UINT,
    FETCH_FLOAT,
    FETCH_DOUBLE,
    FETCH_TIME,
    FETCH_CLOCK,
    FETCH_BITS,
    FETCH_UUID,
    FETCH_LIST,
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

struct mydb_cells {
    MYSQL_BIND *binds;
    struct cell *cells;
    struct value *row;
    size_t count;
    char title[160]; /* of what is read, for errors */
};

/* fields */

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
        bind->buffer_type = cell->fetch == FETCH_CLOCK ? MYSQL_TYPE_TIME
                            : cell->kind == KIND_DATE  ? MYSQL_TYPE_DATE
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

static int changed(const struct mydb_cells *cells, const struct column *column, struct err *err)
{
    return err_set(err, ERR_CHANGED, "column '%s' of %s is no %s any more", column->name, cells->title,
                   column->type);
}

static int bind_row(struct mydb_cells *cells, MYSQL_RES *metadata, struct err *err)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(metadata);
    if (mysql_num_fields(metadata) < cells->count)
        return err_set(err, ERR_CHANGED, "%s has fewer columns than it had", cells->title);
    for (size_t i = 0; i < cells->count; i++) {
        struct cell *cell = &cells->cells[i];
        if (!mydb_column_fits(cell->column, &fields[i]))
            return changed(cells, cell->column, err);
        if (bind_cell(cell, &cells->binds[i], &fields[i], err))
            return -1;
    }
    return 0;
}

int mydb_cells_bind(struct conn *conn, struct mydb_cells *cells, MYSQL_STMT *stmt, struct err *err)
{
    MYSQL_RES *metadata = mysql_stmt_result_metadata(stmt);
    if (!metadata)
        return mydb_stmt_failed(conn, stmt, "read", err);
    int failed = bind_row(cells, metadata, err);
    mysql_free_result(metadata);
    if (!failed && mysql_stmt_bind_result(stmt, cells->binds))
        failed = mydb_stmt_failed(conn, stmt, "read", err);
    return failed;
}

/* Texts whose size was too small are fetched again; a number or time that does not fit is another type
 * than the catalogue told. */
static int grow_cells(struct conn *conn, struct mydb_cells *cells, MYSQL_STMT *stmt, struct err *err)
{
    for (size_t i = 0; i < cells->count; i++) {
        struct cell *cell = &cells->cells[i];
        MYSQL_BIND *bind = &cells->binds[i];
        if (cell->null || !cell->cut)
            continue;
        if (bind->buffer != cell->bytes)
            return changed(cells, cell->column, err);
        unsigned long cap = cell->len > cell->cap * 2 ? cell->len : cell->cap * 2;
        char *bytes = realloc(cell->bytes, cap);
        if (!bytes)
            return err_memory(err);
        bind->buffer = cell->bytes = bytes;
        bind->buffer_length = cell->cap = cap;
        if (mysql_stmt_fetch_column(stmt, bind, (unsigned)i, 0))
            return mydb_stmt_failed(conn, stmt, "read", err);
    }
    if (mysql_stmt_bind_result(stmt, cells->binds))
        return mydb_stmt_failed(conn, stmt, "read", err);
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
        *value =
            value_text(KIND_TEXT, cell->text, mydb_time_text(&cell->time, cell->column->digits, cell->text));
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

/* rows */

int mydb_cells_fetch(struct conn *conn, struct mydb_cells *cells, MYSQL_STMT *stmt, const struct value **row,
                     struct err *err)
{
    switch (mysql_stmt_fetch(stmt)) {
    case 0:
        break;
    case MYSQL_DATA_TRUNCATED:
        if (grow_cells(conn, cells, stmt, err))
            return -1;
        break;
    case MYSQL_NO_DATA:
        return 0;
    default:
        return mydb_stmt_failed(conn, stmt, "read", err);
    }
    for (size_t i = 0; i < cells->count; i++)
        if (set_value(&cells->cells[i], &cells->row[i], err))
            return -1;
    *row = cells->row;
    return 1;
}

struct mydb_cells *mydb_cells_new(const struct column *const *columns, size_t count, const char *title,
                                  struct err *err)
{
    struct mydb_cells *cells = calloc(1, sizeof *cells);
    if (!cells) {
        err_memory(err);
        return NULL;
    }
    cells->count = count;
    cells->binds = calloc(count + 1, sizeof *cells->binds);
    cells->cells = calloc(count + 1, sizeof *cells->cells);
    cells->row = calloc(count + 1, sizeof *cells->row);
    if (!cells->binds || !cells->cells || !cells->row) {
        err_memory(err);
        mydb_cells_free(cells);
        return NULL;
    }
    snprintf(cells->title, sizeof cells->title, "%s", title);
    for (size_t i = 0; i < count; i++) {
        cells->cells[i].column = columns[i];
        cells->cells[i].kind = columns[i]->kind;
        cells->cells[i].fetch = fetch_of(columns[i]);
    }
    return cells;
}

void mydb_cells_free(struct mydb_cells *cells)
{
    if (!cells)
        return;
    for (size_t i = 0; cells->cells && i < cells->count; i++) {
        free(cells->cells[i].bytes);
        free(cells->cells[i].items);
    }
    free(cells->cells);
    free(cells->binds);
    free(cells->row);
    free(cells);
}
