/* What the types of MySQL and MariaDB become. */
#include "db/mysql.h"

#include <string.h>
#include <strings.h>

enum { BINARY_CHARSET = 63 };

static bool is_text_type(unsigned type)
{
    switch (type) {
    case MYSQL_TYPE_VARCHAR:
    case MYSQL_TYPE_VAR_STRING:
    case MYSQL_TYPE_STRING:
    case MYSQL_TYPE_ENUM:
    case MYSQL_TYPE_SET:
    case MYSQL_TYPE_TINY_BLOB:
    case MYSQL_TYPE_MEDIUM_BLOB:
    case MYSQL_TYPE_LONG_BLOB:
    case MYSQL_TYPE_BLOB:
        return true;
    default:
        return false;
    }
}

static enum kind text_kind(const MYSQL_FIELD *field, const char *type_name)
{
    if (type_name && strcasecmp(type_name, "uuid") == 0)
        return KIND_UUID;
    if (type_name && strcasecmp(type_name, "json") == 0)
        return KIND_JSON;
    if (type_name && strncasecmp(type_name, "inet", 4) == 0)
        return KIND_TEXT;
    if (field->flags & SET_FLAG)
        return KIND_LIST;
    return field->charsetnr == BINARY_CHARSET && !(field->flags & ENUM_FLAG) ? KIND_BYTES : KIND_TEXT;
}

static enum kind kind_of(const MYSQL_FIELD *field, const char *type_name)
{
    switch ((unsigned)field->type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_YEAR:
        return KIND_INT;
    case MYSQL_TYPE_LONGLONG:
        return field->flags & UNSIGNED_FLAG ? KIND_UINT : KIND_INT;
    case MYSQL_TYPE_BIT:
        return KIND_UINT;
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
        return KIND_DECIMAL;
    case MYSQL_TYPE_FLOAT:
    case MYSQL_TYPE_DOUBLE:
        return KIND_FLOAT;
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
        return KIND_DATE;
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_TIMESTAMP:
        return KIND_DATETIME;
    case MYDB_TYPE_JSON:
        return KIND_JSON;
    case MYDB_TYPE_VECTOR:
        return KIND_BYTES;
    default:
        return is_text_type(field->type) ? text_kind(field, type_name) : KIND_TEXT;
    }
}

static enum position_kind position_of(enum kind kind)
{
    switch (kind) {
    case KIND_INT:
    case KIND_UINT:
        return POSITION_INTEGER;
    case KIND_DATETIME:
        return POSITION_DATETIME;
    case KIND_DATE:
        return POSITION_DATE;
    case KIND_UUID:
        return POSITION_UUID;
    default:
        return POSITION_TEXT;
    }
}

/* Texts arrive as UTF-8, so the column must compare by code points, which only the "nopad" ones do to the
 * end: with padding 'a' and 'a ' are the same, and 'a\t' is before 'a'. */
static bool collation_is_bytewise(const char *collation)
{
    static const char *const bytewise[] = {"utf8mb4_nopad_bin", "utf8mb4_0900_bin", "utf8mb3_nopad_bin",
                                           "utf8_nopad_bin", "ascii_nopad_bin", "binary"};
    for (size_t i = 0; collation && i < sizeof bytewise / sizeof *bytewise; i++)
        if (strcasecmp(collation, bytewise[i]) == 0)
            return true;
    return false;
}

/* MariaDB orders UUIDs by their parts from the last to the first, so they are not. */
static bool is_bytewise(const struct column *column, const char *collation)
{
    switch (column->kind) {
    case KIND_INT:
    case KIND_UINT:
    case KIND_DATE:
    case KIND_DATETIME:
    case KIND_BYTES:
        return true;
    case KIND_TEXT:
        if (is_text_type(column->number) && collation_is_bytewise(collation))
            return true;
        return column->modifier & (MYDB_ENUM | MYDB_DOCUMENT);
    default:
        return column->modifier & (MYDB_ENUM | MYDB_DOCUMENT);
    }
}

static int flags_of(const struct column *column, const MYSQL_FIELD *field, const char *type_name)
{
    int signs = (field->flags & UNSIGNED_FLAG ? MYDB_UNSIGNED : 0) | (field->flags & ZEROFILL_FLAG ? MYDB_ZEROFILL : 0);
    if (type_name && strcasecmp(type_name, "inet6") == 0)
        return MYDB_INET6;
    if (type_name && strcasecmp(type_name, "inet4") == 0)
        return MYDB_INET4;
    if (column->kind == KIND_JSON || column->number == MYSQL_TYPE_GEOMETRY)
        return MYDB_DOCUMENT;
    return field->flags & (ENUM_FLAG | SET_FLAG) ? MYDB_ENUM : signs;
}

/* Geometry is read as its own text, WKT. */
static int set_expression(struct column *column, struct arena *arena, struct err *err)
{
    if (column->number != MYSQL_TYPE_GEOMETRY)
        return 0;
    column->doubtful = true;
    struct buf name = {0};
    mydb_name(&name, column->name);
    const char *quoted = buf_text(&name);
    column->expression = quoted ? arena_printf(arena, "ST_AsText(%s)", quoted) : NULL;
    buf_free(&name);
    return column->expression ? 0 : err_memory(err);
}

int mydb_column(struct column *column, const MYSQL_FIELD *field, const char *type_name, const char *collation,
                struct arena *arena, struct err *err)
{
    column->number = field->type;
    column->kind = kind_of(field, type_name);
    column->position = position_of(column->kind);
    column->modifier = flags_of(column, field, type_name);
    /* An expression's number of digits may be unknown, which is 31 or 39. */
    column->digits = field->decimals > 6 ? 6 : field->decimals;
    column->nullable = !(field->flags & NOT_NULL_FLAG);
    column->zoneless = field->type == MYSQL_TYPE_DATETIME;
    column->bytewise = is_bytewise(column, collation);
    return set_expression(column, arena, err);
}

bool mydb_column_fits(const struct column *column, const MYSQL_FIELD *field)
{
    if (field->type == MYSQL_TYPE_NULL || column->number == MYSQL_TYPE_NULL) /* then the library makes text */
        return true;
    if (column->number == MYSQL_TYPE_GEOMETRY)
        return is_text_type(field->type);
    if (column->kind == KIND_UUID || column->kind == KIND_JSON)
        return is_text_type(field->type) || (unsigned)field->type == column->number;
    enum kind now = kind_of(field, NULL);
    /* Between these the library converts, or the kind's text is the same. */
    return column->kind == now &&
           ((unsigned)field->type == column->number || now == KIND_INT || now == KIND_DECIMAL ||
            (is_text_type(field->type) && is_text_type(column->number)));
}

static const char *base_name(const MYSQL_FIELD *field)
{
    bool binary = field->charsetnr == BINARY_CHARSET;
    if (field->flags & ENUM_FLAG)
        return "enum";
    if (field->flags & SET_FLAG)
        return "set";
    switch ((unsigned)field->type) {
    case MYSQL_TYPE_TINY:
        return "tinyint";
    case MYSQL_TYPE_SHORT:
        return "smallint";
    case MYSQL_TYPE_INT24:
        return "mediumint";
    case MYSQL_TYPE_LONG:
        return "int";
    case MYSQL_TYPE_LONGLONG:
        return "bigint";
    case MYSQL_TYPE_YEAR:
        return "year";
    case MYSQL_TYPE_BIT:
        return "bit";
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL:
        return "decimal";
    case MYSQL_TYPE_FLOAT:
        return "float";
    case MYSQL_TYPE_DOUBLE:
        return "double";
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE:
        return "date";
    case MYSQL_TYPE_DATETIME:
        return "datetime";
    case MYSQL_TYPE_TIMESTAMP:
        return "timestamp";
    case MYSQL_TYPE_TIME:
        return "time";
    case MYSQL_TYPE_GEOMETRY:
        return "geometry";
    case MYSQL_TYPE_NULL:
        return "null";
    case MYSQL_TYPE_STRING:
        return binary ? "binary" : "char";
    case MYSQL_TYPE_VARCHAR:
    case MYSQL_TYPE_VAR_STRING:
        return binary ? "varbinary" : "varchar";
    case MYDB_TYPE_JSON:
        return "json";
    case MYDB_TYPE_VECTOR:
        return "vector";
    default:
        return binary ? "blob" : "text";
    }
}

const char *mydb_type_text(const MYSQL_FIELD *field, struct arena *arena)
{
    const char *name = base_name(field);
    const char *sign = IS_NUM(field->type) && field->flags & UNSIGNED_FLAG ? " unsigned" : "";
    bool fraction = field->type == MYSQL_TYPE_DATETIME || field->type == MYSQL_TYPE_TIMESTAMP ||
                    field->type == MYSQL_TYPE_TIME;
    if (fraction && field->decimals > 0 && field->decimals <= 6)
        return arena_printf(arena, "%s(%u)", name, field->decimals);
    if (field->type == MYSQL_TYPE_NEWDECIMAL) {
        unsigned long around = (field->decimals > 0) + (*sign ? 0UL : 1UL); /* the point and the minus */
        unsigned long digits = field->length > around ? field->length - around : field->length;
        return arena_printf(arena, "%s(%lu,%u)%s", name, digits, field->decimals, sign);
    }
    return arena_printf(arena, "%s%s", name, sign);
}
