/* Values on their way to a statement, each in the type in which the server compares it exactly: an integer
 * or decimal that came as text would be compared as a double, and a text sent as bytes by its bytes. */
#include "db/mysql.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "base/zone.h"

static MYSQL_BIND *grow(struct mydb_statement *statement)
{
    if (statement->count == statement->cap) {
        size_t cap = statement->cap ? statement->cap * 2 : 8;
        MYSQL_BIND *binds = arena_array(statement->arena, cap, sizeof *binds);
        if (!binds)
            return NULL;
        if (statement->count)
            memcpy(binds, statement->binds, statement->count * sizeof *binds);
        statement->binds = binds;
        statement->cap = cap;
    }
    return &statement->binds[statement->count++];
}

static int add(struct mydb_statement *statement, enum enum_field_types type, const void *bytes, size_t len,
               struct err *err)
{
    MYSQL_BIND *bind = grow(statement);
    void *copy = bind ? arena_copy(statement->arena, bytes, len) : NULL;
    if (!copy)
        return err_memory(err);
    bind->buffer_type = type;
    bind->buffer = copy;
    bind->buffer_length = (unsigned long)len;
    return 0;
}

static int add_integer(struct mydb_statement *statement, int64_t integer, bool is_unsigned, struct err *err)
{
    if (add(statement, MYSQL_TYPE_LONGLONG, &integer, sizeof integer, err))
        return -1;
    statement->binds[statement->count - 1].is_unsigned = is_unsigned;
    return 0;
}

static int add_time(struct mydb_statement *statement, const MYSQL_TIME *time, struct err *err)
{
    enum enum_field_types type = time->time_type == MYSQL_TIMESTAMP_DATE   ? MYSQL_TYPE_DATE
                                 : time->time_type == MYSQL_TIMESTAMP_TIME ? MYSQL_TYPE_TIME
                                                                           : MYSQL_TYPE_DATETIME;
    return add(statement, type, time, sizeof *time, err);
}

static int add_text(struct mydb_statement *statement, const char *text, size_t len, struct err *err)
{
    return add(statement, MYSQL_TYPE_STRING, text, len, err);
}

static int add_null(struct mydb_statement *statement, struct err *err)
{
    return add(statement, MYSQL_TYPE_NULL, "", 0, err);
}

static int misfit(const struct column *column, struct err *err)
{
    return err_set(err, ERR_INPUT, "a value for column '%s' is no %s", column->name, column->type);
}

static bool is_integer(const char *text)
{
    text += *text == '-' || *text == '+';
    return *text && strspn(text, "0123456789") == strlen(text);
}

static bool is_number(const char *text)
{
    char *end;
    strtod(text, &end);
    return end != text && !*end && strspn(text, "+-.0123456789eE") == strlen(text);
}

/* Integers beyond 64 bits are decimals, with which an integer column compares exactly too. */
static int add_number(struct mydb_statement *statement, const char *text, struct err *err)
{
    if (is_integer(text)) {
        errno = 0;
        int64_t integer = strtoll(text, NULL, 10);
        if (!errno)
            return add_integer(statement, integer, false, err);
        errno = 0;
        uint64_t natural = strtoull(text, NULL, 10);
        if (!errno && *text != '-')
            return add_integer(statement, (int64_t)natural, true, err);
    }
    return add(statement, MYSQL_TYPE_NEWDECIMAL, text, strlen(text), err);
}

/* A FLOAT is compared with a double as the double it is, which 0.1 read as a double is not. */
static int add_real(struct mydb_statement *statement, const struct column *column, const char *text, size_t len,
                    struct err *err)
{
    char *copy = arena_copy(statement->arena, text, len);
    if (!copy)
        return err_memory(err);
    if (!is_number(copy))
        return misfit(column, err);
    float real = strtof(copy, NULL);
    double wide = strtod(copy, NULL);
    return column->number == MYSQL_TYPE_FLOAT ? add(statement, MYSQL_TYPE_FLOAT, &real, sizeof real, err)
                                              : add(statement, MYSQL_TYPE_DOUBLE, &wide, sizeof wide, err);
}

static int add_decimal(struct mydb_statement *statement, const struct column *column, const char *text,
                       size_t len, struct err *err)
{
    char *copy = arena_copy(statement->arena, text, len);
    if (!copy)
        return err_memory(err);
    return is_number(copy) ? add(statement, MYSQL_TYPE_NEWDECIMAL, text, len, err) : misfit(column, err);
}

static int add_uuid(struct mydb_statement *statement, const char *bytes, struct err *err)
{
    char text[ISO_SIZE];
    return add_text(statement, text, iso_uuid(text, bytes), err);
}

/* The members of a SET as the database writes them. */
static int add_list(struct mydb_statement *statement, const struct value *value, struct err *err)
{
    struct buf text = {0};
    for (size_t i = 0; i < value->list.count; i++) {
        if (i)
            buf_putc(&text, ',');
        buf_put(&text, value->list.items[i].text.bytes, value->list.items[i].text.len);
    }
    int failed = buf_text(&text) ? add(statement, MYSQL_TYPE_BLOB, text.data, text.len, err) : err_memory(err);
    buf_free(&text);
    return failed;
}

static int add_text_value(struct mydb_statement *statement, const struct column *column,
                          const struct value *value, struct err *err)
{
    const char *text = value->text.bytes;
    size_t len = value->text.len;
    MYSQL_TIME time;
    if (column->kind == KIND_DATE || column->kind == KIND_DATETIME)
        return mydb_to_time(value, &time) ? add_time(statement, &time, err) : misfit(column, err);
    if (column->kind == KIND_FLOAT)
        return add_real(statement, column, text, len, err);
    if (column->kind == KIND_DECIMAL)
        return add_decimal(statement, column, text, len, err);
    if (column->kind == KIND_BYTES || column->modifier & (MYDB_ENUM | MYDB_DOCUMENT))
        return add(statement, MYSQL_TYPE_BLOB, text, len, err);
    if (column->number == MYSQL_TYPE_TIME)
        return mydb_parse_time(text, len, &time) ? add_time(statement, &time, err) : misfit(column, err);
    return add_text(statement, text, len, err);
}

int mydb_bind_value(struct mydb_statement *statement, const struct column *column, const struct value *value,
                    struct err *err)
{
    MYSQL_TIME time;
    switch (value->kind) {
    case KIND_NULL:
        return add_null(statement, err);
    case KIND_BOOL:
        return add_integer(statement, value->boolean, false, err);
    case KIND_INT:
        return add_integer(statement, value->integer, false, err);
    case KIND_UINT:
        return add_integer(statement, (int64_t)value->natural, true, err);
    case KIND_DATETIME:
    case KIND_DATE:
        return mydb_to_time(value, &time) ? add_time(statement, &time, err) : misfit(column, err);
    case KIND_UUID:
        return add_uuid(statement, value->text.bytes, err);
    case KIND_LIST:
        return add_list(statement, value, err);
    default:
        return add_text_value(statement, column, value, err);
    }
}

int mydb_bind_lowest(struct mydb_statement *statement, const struct column *column, struct err *err)
{
    MYSQL_TIME time = {.time_type = column->kind == KIND_DATE ? MYSQL_TIMESTAMP_DATE : MYSQL_TIMESTAMP_DATETIME};
    MYSQL_TIME least = {.day = 34, .hour = 22, .minute = 59, .second = 59, .neg = true,
                        .time_type = MYSQL_TIMESTAMP_TIME}; /* -838:59:59 */
    double lowest = -DBL_MAX;
    switch (column->kind) {
    case KIND_INT:
        return add_integer(statement, INT64_MIN, false, err);
    case KIND_UINT:
        return add_integer(statement, 0, true, err);
    case KIND_DATE:
    case KIND_DATETIME:
        return add_time(statement, &time, err); /* the zero date */
    case KIND_DECIMAL:
    case KIND_FLOAT:
        return add(statement, MYSQL_TYPE_DOUBLE, &lowest, sizeof lowest, err);
    case KIND_UUID:
        return add_uuid(statement, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", err);
    default:
        if (column->number == MYSQL_TYPE_TIME)
            return add_time(statement, &least, err);
        if (column->modifier & MYDB_INET6)
            return add_text(statement, "::", 2, err);
        return column->modifier & MYDB_INET4 ? add_text(statement, "0.0.0.0", 7, err)
                                             : add_text(statement, "", 0, err);
    }
}

int mydb_bind_text(struct mydb_statement *statement, const char *text, size_t len, struct err *err)
{
    MYSQL_BIND *bind = grow(statement);
    if (!bind)
        return err_memory(err);
    bind->buffer_type = MYSQL_TYPE_STRING;
    bind->buffer = (void *)text;
    bind->buffer_length = (unsigned long)len;
    return 0;
}

/* parameters of queries */

static int add_iso(struct mydb_statement *statement, const char *text, bool is_date, const struct zone *zone,
                   const char *name, struct err *err)
{
    struct iso_time iso;
    if (iso_parse(text, strlen(text), &iso))
        return err_set(err, ERR_INPUT, "a value for '%s' is no date or datetime", name);
    int64_t time = iso.zoned ? zone_to_wall(zone, iso.time) : iso.time;
    struct value value = value_integer(KIND_DATETIME, time);
    if (is_date)
        value = value_integer(KIND_DATE, iso_floor(time, ISO_DAY));
    MYSQL_TIME fields;
    return mydb_to_time(&value, &fields) ? add_time(statement, &fields, err) : err_memory(err);
}

int mydb_bind_parameter(struct mydb_statement *statement, const struct bound *bound, struct err *err)
{
    const char *text = bound->text, *name = bound->parameter->name;
    if (!text)
        return add_null(statement, err);
    switch (bound->parameter->type) {
    case PARAMETER_INTEGER:
        if (!is_integer(text))
            return err_set(err, ERR_INPUT, "parameter '%s' is no integer", name);
        return add_number(statement, text, err);
    case PARAMETER_DECIMAL:
        if (!is_number(text))
            return err_set(err, ERR_INPUT, "parameter '%s' is no decimal", name);
        return add_number(statement, text, err);
    case PARAMETER_BOOLEAN:
        return add_integer(statement, strcmp(text, "true") == 0 || strcmp(text, "1") == 0, false, err);
    case PARAMETER_DATETIME:
        return add_iso(statement, text, false, NULL, name, err);
    case PARAMETER_DATE:
        return add_iso(statement, text, true, NULL, name, err);
    default:
        return add_text(statement, text, strlen(text), err);
    }
}

/* filters */

/* What a column holds stands for an instant in the system's zone. */
static int add_instant(struct mydb_statement *statement, const struct conn *conn, const struct column *column,
                       const char *text, struct err *err)
{
    struct zone *zone = NULL;
    if (column->zoneless && strcmp(conn->system->timezone, "UTC") != 0 &&
        zone_open(&zone, conn->system->timezone, err))
        return -1;
    int failed = add_iso(statement, text, column->kind == KIND_DATE, zone, column->name, err);
    zone_close(zone);
    return failed;
}

static int filter_text(struct mydb_statement *statement, const struct conn *conn, const struct column *column,
                       const char *text, bool is_string, struct err *err)
{
    struct value value = value_text(KIND_TEXT, text, strlen(text));
    MYSQL_TIME time;
    char uuid[16];
    switch (column->kind) {
    case KIND_INT:
    case KIND_UINT:
        return is_number(text) ? add_number(statement, text, err) : misfit(column, err);
    case KIND_DATE:
    case KIND_DATETIME:
        if (mydb_to_time(&value, &time)) /* as stored: also what no calendar knows */
            return add_time(statement, &time, err);
        return is_string ? add_instant(statement, conn, column, text, err) : misfit(column, err);
    case KIND_UUID:
        return iso_parse_uuid(text, strlen(text), uuid) ? misfit(column, err) : add_uuid(statement, uuid, err);
    default:
        return add_text_value(statement, column, &value, err);
    }
}

int mydb_bind_filter(struct mydb_statement *statement, const struct conn *conn, const struct column *column,
                     const struct config_value *value, struct err *err)
{
    switch (value->type) {
    case CONFIG_BOOL:
        if (column->kind != KIND_INT && column->kind != KIND_UINT)
            return misfit(column, err);
        return add_integer(statement, value->boolean, false, err);
    case CONFIG_INTEGER:
    case CONFIG_REAL:
    case CONFIG_STRING:
        return filter_text(statement, conn, column, value->text, value->type == CONFIG_STRING, err);
    default:
        return add_null(statement, err);
    }
}
