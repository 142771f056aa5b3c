/* What a table's columns take, for those who write: how long, how many digits, who else fills it; and in
 * which type a part of a key is sent. */
#include "db/mysql.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEY_BYTES = 3072 }; /* InnoDB's most for a key */

static size_t number_of(const char *text)
{
    return text ? (size_t)strtoull(text, NULL, 10) : 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcasecmp(text + len - end_len, end) == 0;
}

static bool is_string(const struct column *column)
{
    switch (column->number) {
    case MYSQL_TYPE_VARCHAR:
    case MYSQL_TYPE_VAR_STRING:
    case MYSQL_TYPE_STRING:
        return true;
    default:
        return false;
    }
}

/* texts */

/* CHAR and VARCHAR count characters. The TEXT family counts bytes of its own encoding, which are those of
 * UTF-8 or, with one byte a character, characters; what else there is the server refuses by itself. */
static void set_sizes(struct column *column, const struct mydb_facts *facts)
{
    if (column->modifier & (MYDB_ENUM | MYDB_INET4 | MYDB_INET6) || column->kind == KIND_UUID ||
        column->number == MYSQL_TYPE_GEOMETRY)
        return;
    if (column->kind == KIND_BYTES)
        column->max_bytes = number_of(facts->bytes);
    else if (is_string(column))
        column->max_chars = number_of(facts->chars);
    else if (facts->collation && strncasecmp(facts->collation, "utf8", 4) == 0)
        column->max_bytes = number_of(facts->bytes);
}

/* numbers */

/* An unsigned number that is no KIND_UINT has one bit more, and fit refuses what is below zero. */
static unsigned bits_of(const struct column *column, const MYSQL_FIELD *field)
{
    unsigned sign = column->modifier & MYDB_UNSIGNED ? 1 : 0;
    switch (column->number) {
    case MYSQL_TYPE_TINY:
        return 8 + sign;
    case MYSQL_TYPE_SHORT:
        return 16 + sign;
    case MYSQL_TYPE_INT24:
        return 24 + sign;
    case MYSQL_TYPE_LONG:
        return 32 + sign;
    case MYSQL_TYPE_YEAR:
        return 16;
    case MYSQL_TYPE_BIT:
        return (unsigned)field->length;
    default:
        return 0;
    }
}

static void set_numbers(struct column *column, const MYSQL_FIELD *field, const struct mydb_facts *facts)
{
    if (column->kind == KIND_INT || column->kind == KIND_UINT)
        column->bits = bits_of(column, field);
    if (column->kind == KIND_DECIMAL) {
        column->precision = (unsigned)number_of(facts->precision);
        column->scale = (unsigned)number_of(facts->scale);
    }
    column->single = column->number == MYSQL_TYPE_FLOAT;
}

/* who fills it */

/* MariaDB writes a default as an expression, so that none of a nullable column is the word NULL. */
static bool has_default(const struct column *column, const struct mydb_facts *facts)
{
    bool is_enum = column->modifier & MYDB_ENUM && column->kind == KIND_TEXT;
    if (facts->def && strcasecmp(facts->def, "NULL") != 0)
        return true;
    if (column->identity || (facts->extra && strstr(facts->extra, "DEFAULT_GENERATED")))
        return true;
    return is_enum && !column->nullable; /* then it is the first label, in a strict session too */
}

/* equality */

/* Padding makes 'a' and 'a ' the same. */
static bool is_exact(const struct column *column, const char *collation)
{
    switch (column->kind) {
    case KIND_INT:
    case KIND_UINT:
    case KIND_DATE:
    case KIND_DATETIME:
    case KIND_BYTES:
    case KIND_UUID:
    case KIND_DECIMAL:
        return column->number != MYSQL_TYPE_GEOMETRY;
    case KIND_TEXT:
        if (column->number == MYSQL_TYPE_TIME || column->modifier & MYDB_ENUM)
            return true; /* fit makes the one way to write it */
        if (column->modifier & (MYDB_INET4 | MYDB_INET6 | MYDB_DOCUMENT))
            return false;
        return collation && (ends_with(collation, "_nopad_bin") || ends_with(collation, "_0900_bin"));
    default:
        return false;
    }
}

/* keys */

/* In the character set in which it comes: see mydb_put_part. */
static const char *text_key(const struct column *column, const char *collation, struct arena *arena)
{
    if (!collation || !column->max_chars || column->max_chars > KEY_BYTES)
        return NULL;
    return arena_printf(arena, "VARCHAR(%zu) CHARACTER SET utf8mb4 COLLATE %s", column->max_chars, collation);
}

static const char *time_key(const struct column *column, struct arena *arena)
{
    const char *name = column->number == MYSQL_TYPE_TIME        ? "TIME"
                       : column->number == MYSQL_TYPE_TIMESTAMP ? "TIMESTAMP"
                                                                : "DATETIME";
    return arena_printf(arena, "%s(%u)", name, column->digits);
}

static const char *key_type(const struct column *column, const char *collation, struct arena *arena)
{
    switch (column->kind) {
    case KIND_INT:
        return column->number == MYSQL_TYPE_YEAR ? "YEAR" : "BIGINT";
    case KIND_UINT:
        return "BIGINT UNSIGNED";
    case KIND_FLOAT:
        return column->single ? "FLOAT" : "DOUBLE";
    case KIND_DECIMAL:
        return arena_printf(arena, "DECIMAL(%u,%u)", column->precision, column->scale);
    case KIND_DATE:
        return "DATE";
    case KIND_DATETIME:
        return time_key(column, arena);
    case KIND_UUID:
        return "VARCHAR(36) CHARACTER SET latin1";
    case KIND_BYTES:
        return column->max_bytes && column->max_bytes <= KEY_BYTES
                   ? arena_printf(arena, "VARCHAR(%zu) CHARACTER SET latin1", 2 * column->max_bytes)
                   : NULL;
    case KIND_TEXT:
        if (column->number == MYSQL_TYPE_TIME)
            return time_key(column, arena);
        if (column->modifier & MYDB_ENUM)
            return "INT"; /* the number of the label */
        if (column->modifier & (MYDB_INET4 | MYDB_INET6))
            return "VARCHAR(64) CHARACTER SET latin1";
        return text_key(column, collation, arena);
    default:
        return NULL;
    }
}

void mydb_facts(struct column *column, const MYSQL_FIELD *field, const struct mydb_facts *facts,
                struct arena *arena)
{
    const char *extra = facts->extra ? facts->extra : "";
    bool native_json = column->kind == KIND_JSON && column->number == MYDB_TYPE_JSON;
    set_sizes(column, facts);
    set_numbers(column, field, facts);
    column->generated = strstr(extra, "VIRTUAL GENERATED") || strstr(extra, "STORED GENERATED");
    column->refreshed = strcasestr(extra, "on update current_timestamp");
    column->identity = strcasestr(extra, "auto_increment");
    column->defaulted = has_default(column, facts);
    column->element_kind = column->kind == KIND_LIST ? KIND_TEXT : KIND_NULL;
    column->normalised =
        native_json || column->number == MYSQL_TYPE_GEOMETRY || column->modifier & (MYDB_INET4 | MYDB_INET6);
    column->exact = is_exact(column, facts->collation);
    column->cast = key_type(column, facts->collation, arena);
}
