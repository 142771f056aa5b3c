/* The values of many rows as parameters: each place has an array of what is bound, in the type in which the
 * server takes it as it is. */
#include "db/mysql.h"

#include <stdlib.h>
#include <string.h>

#include "base/iso.h"

struct mydb_array {
    const struct column *column;
    enum enum_field_types type;
    size_t width; /* of one of values */
    union {
        int64_t *integers;
        float *singles;
        double *doubles;
        MYSQL_TIME *times;
        const char **texts;
        char *values;
    };
    unsigned long *lengths; /* of texts */
    MYSQL_TIME **pointers;  /* to times: in bulk the library takes no array of them */
    mydb_bool *nulls;
    bool is_unsigned;
};

static void set_type(struct mydb_array *array, enum enum_field_types type, size_t width)
{
    array->type = type;
    array->width = width;
}

/* ENUM, SET, TIME and the like are texts that the server reads; UUIDs too. */
static void choose_type(struct mydb_array *array)
{
    const struct column *column = array->column;
    switch (column->kind) {
    case KIND_BOOL:
    case KIND_INT:
    case KIND_UINT:
        array->is_unsigned = column->kind == KIND_UINT;
        set_type(array, MYSQL_TYPE_LONGLONG, sizeof *array->integers);
        break;
    case KIND_FLOAT:
        if (column->number == MYSQL_TYPE_FLOAT)
            set_type(array, MYSQL_TYPE_FLOAT, sizeof *array->singles);
        else
            set_type(array, MYSQL_TYPE_DOUBLE, sizeof *array->doubles);
        break;
    case KIND_DATE:
        set_type(array, MYSQL_TYPE_DATE, sizeof *array->times);
        break;
    case KIND_DATETIME:
        set_type(array, MYSQL_TYPE_DATETIME, sizeof *array->times);
        break;
    case KIND_BYTES:
        set_type(array, MYSQL_TYPE_BLOB, sizeof *array->texts);
        break;
    default:
        set_type(array, MYSQL_TYPE_STRING, sizeof *array->texts);
    }
}

static bool is_text(const struct mydb_array *array)
{
    return array->type == MYSQL_TYPE_STRING || array->type == MYSQL_TYPE_BLOB;
}

static bool is_time(const struct mydb_array *array)
{
    return array->type == MYSQL_TYPE_DATE || array->type == MYSQL_TYPE_DATETIME;
}

/* Room for the values of all rows. */
static int allocate(struct mydb_arrays *arrays, struct mydb_array *array)
{
    struct arena *arena = arrays->arena;
    array->values = arena_array(arena, arrays->rows, array->width);
    array->nulls = arena_array(arena, arrays->rows, sizeof *array->nulls);
    array->lengths = is_text(array) ? arena_array(arena, arrays->rows, sizeof *array->lengths) : NULL;
    array->pointers = is_time(array) ? arena_array(arena, arrays->rows, sizeof *array->pointers) : NULL;
    if (!array->values || !array->nulls || (is_text(array) && !array->lengths) ||
        (is_time(array) && !array->pointers))
        return -1;
    for (size_t i = 0; array->pointers && i < arrays->rows; i++)
        array->pointers[i] = &array->times[i];
    return 0;
}

struct mydb_array *mydb_array_add(struct mydb_arrays *arrays, const struct column *column, struct err *err)
{
    if (arrays->count == arrays->cap) {
        size_t cap = arrays->cap ? arrays->cap * 2 : 16;
        struct mydb_array *items = arena_array(arrays->arena, cap, sizeof *items);
        if (!items) {
            err_memory(err);
            return NULL;
        }
        if (arrays->count)
            memcpy(items, arrays->items, arrays->count * sizeof *items);
        arrays->items = items;
        arrays->cap = cap;
    }
    struct mydb_array *array = &arrays->items[arrays->count];
    array->column = column;
    choose_type(array);
    if (allocate(arrays, array)) {
        err_memory(err);
        return NULL;
    }
    arrays->count++;
    return array;
}

/* values */

static int misfit(const struct column *column, struct err *err)
{
    return err_set(err, ERR_VALUE, "a value for column '%s' is no %s", column->name, column->type);
}

static int set_text(struct mydb_array *array, size_t row, const char *bytes, size_t len, struct err *err)
{
    array->texts[row] = bytes;
    array->lengths[row] = (unsigned long)len;
    return bytes ? 0 : err_memory(err);
}

static int set_real(struct mydb_array *array, size_t row, const struct value *value, struct err *err)
{
    char text[64], *end;
    if (value->kind != KIND_FLOAT || value->text.len >= sizeof text)
        return misfit(array->column, err);
    memcpy(text, value->text.bytes, value->text.len);
    text[value->text.len] = '\0';
    if (array->type == MYSQL_TYPE_FLOAT)
        array->singles[row] = strtof(text, &end);
    else
        array->doubles[row] = strtod(text, &end);
    return end == text || *end ? misfit(array->column, err) : 0;
}

/* Texts are for dates that no calendar has. */
static int set_time(struct mydb_array *array, size_t row, const struct value *value, struct err *err)
{
    if (!mydb_to_time(value, &array->times[row]))
        return misfit(array->column, err);
    array->times[row].time_type =
        array->type == MYSQL_TYPE_DATE ? MYSQL_TIMESTAMP_DATE : MYSQL_TIMESTAMP_DATETIME;
    return 0;
}

static int set_integer(struct mydb_array *array, size_t row, const struct value *value, struct err *err)
{
    switch (value->kind) {
    case KIND_BOOL:
        array->integers[row] = value->boolean;
        return 0;
    case KIND_INT:
        array->integers[row] = value->integer;
        return array->is_unsigned && value->integer < 0 ? misfit(array->column, err) : 0;
    case KIND_UINT:
        array->integers[row] = (int64_t)value->natural;
        return !array->is_unsigned && value->natural > INT64_MAX ? misfit(array->column, err) : 0;
    default:
        return misfit(array->column, err);
    }
}

/* The members of a SET as the database writes them. */
static int set_list(struct mydb_array *array, struct arena *arena, size_t row, const struct value *value,
                    struct err *err)
{
    struct buf text = {0};
    for (size_t i = 0; i < value->list.count; i++) {
        if (i)
            buf_putc(&text, ',');
        buf_put(&text, value->list.items[i].text.bytes, value->list.items[i].text.len);
    }
    size_t len = text.len;
    const char *copy = buf_text(&text) ? arena_copy(arena, text.data, len) : NULL;
    buf_free(&text);
    return set_text(array, row, copy, len, err);
}

static int set_uuid(struct mydb_array *array, struct arena *arena, size_t row, const struct value *value,
                    struct err *err)
{
    char text[ISO_SIZE];
    size_t len = iso_uuid(text, value->text.bytes);
    return set_text(array, row, arena_copy(arena, text, len), len, err);
}

int mydb_array_set(struct mydb_arrays *arrays, struct mydb_array *array, size_t row,
                   const struct value *value, struct err *err)
{
    array->nulls[row] = value->kind == KIND_NULL;
    if (value->kind == KIND_NULL)
        return is_text(array) ? set_text(array, row, "", 0, err) : 0;
    switch (array->type) {
    case MYSQL_TYPE_LONGLONG:
        return set_integer(array, row, value, err);
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
        return set_real(array, row, value, err);
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_DATETIME:
        return set_time(array, row, value, err);
    default:
        break;
    }
    switch (value->kind) {
    case KIND_LIST:
        return set_list(array, arrays->arena, row, value, err);
    case KIND_UUID:
        return set_uuid(array, arrays->arena, row, value, err);
    case KIND_DECIMAL:
    case KIND_TEXT:
    case KIND_BYTES:
    case KIND_JSON:
        return set_text(array, row, value->text.len ? value->text.bytes : "", value->text.len, err);
    default:
        return misfit(array->column, err);
    }
}

size_t mydb_array_size(const struct mydb_arrays *arrays, size_t row)
{
    size_t size = 0;
    for (size_t i = 0; i < arrays->count; i++) {
        const struct mydb_array *array = &arrays->items[i];
        size += 12 +
                (array->lengths ? array->lengths[row] : 0); /* a length or a number, and whether it is NULL */
    }
    return size;
}

/* binding */

/* In bulk, texts and times are arrays of pointers, and numbers those of numbers. */
static void *buffer_of(const struct mydb_array *array, size_t row, bool bulk)
{
    if (is_text(array) && !bulk)
        return (void *)array->texts[row];
    if (is_time(array) && bulk)
        return &array->pointers[row];
    return array->values + row * array->width;
}

static void bind_array(const struct mydb_array *array, size_t row, bool bulk, MYSQL_BIND *bind)
{
    bool text = is_text(array);
    memset(bind, 0, sizeof *bind);
    bind->buffer_type = array->type;
    bind->is_unsigned = array->is_unsigned;
    bind->buffer = buffer_of(array, row, bulk);
    bind->length = text ? &array->lengths[row] : NULL;
    bind->buffer_length = text && !bulk ? array->lengths[row] : 0;
    bind->is_null = &array->nulls[row];
#if LIBRARY_MARIADB
    if (bulk) /* a NULL is STMT_INDICATOR_NULL, which is 1, and anything else STMT_INDICATOR_NONE, which is 0
               */
        bind->u.indicator = (char *)&array->nulls[row];
#endif
}

void mydb_arrays_bind(const struct mydb_arrays *arrays, size_t row, bool bulk, MYSQL_BIND *binds)
{
    for (size_t i = 0; i < arrays->count; i++)
        bind_array(&arrays->items[i], row, bulk, &binds[i]);
}
