/* Keys on their way to the server, as one JSON text that JSON_TABLE takes apart into the columns' own types
 * and collations, so that it is the server that says which keys are the same. MariaDB has it from 10.6, MySQL
 * from 8.0.4. What MySQL's differs in: it knows no COLLATE in a column of JSON_TABLE before 8.0.31, so that
 * stands where the part is used; UUID and INET are MariaDB's types. */
#include "db/mysql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"

static const struct column *part_column(const struct target *target, size_t i)
{
    return &target->relation->columns[target->columns[i]];
}

/* JSON */

static void put_string(struct buf *out, const char *text, size_t len)
{
    size_t done = 0;
    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_put(out, text + done, i - done);
        buf_printf(out, "\\u%04x", c);
        done = i + 1;
    }
    buf_put(out, text + done, len - done);
    buf_putc(out, '"');
}

void mydb_put_text(struct buf *out, const struct value *value)
{
    if (value->kind == KIND_NULL)
        buf_puts(out, "null");
    else
        put_string(out, value->text.bytes, value->text.len);
}

static void put_hex(struct buf *out, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";
    buf_putc(out, '"');
    if (!buf_reserve(out, 2 * len))
        for (size_t i = 0; i < len; i++) {
            out->data[out->len++] = digits[(unsigned char)bytes[i] >> 4];
            out->data[out->len++] = digits[bytes[i] & 15];
        }
    buf_putc(out, '"');
}

static void put_time(struct buf *out, const struct value *value)
{
    char text[ISO_SIZE];
    size_t len =
        value->kind == KIND_DATE ? iso_date(text, value->integer) : iso_datetime(text, value->integer, 6, "");
    if (value->kind == KIND_DATETIME)
        text[10] = ' ';
    put_string(out, text, len);
}

/* Numbers with a point are texts: MySQL reads JSON's as doubles. */
static void put_part_value(struct buf *out, const struct column *column, const struct value *value)
{
    char text[ISO_SIZE];
    switch (value->kind) {
    case KIND_NULL:
        buf_puts(out, "null");
        break;
    case KIND_BOOL:
        buf_putc(out, value->boolean ? '1' : '0');
        break;
    case KIND_INT:
        buf_printf(out, "%" PRId64, value->integer);
        break;
    case KIND_UINT:
        buf_printf(out, "%" PRIu64, value->natural);
        break;
    case KIND_DATE:
    case KIND_DATETIME:
        put_time(out, value);
        break;
    case KIND_UUID:
        put_string(out, text, iso_uuid(text, value->text.bytes));
        break;
    case KIND_BYTES:
        put_hex(out, value->text.bytes, value->text.len);
        break;
    case KIND_LIST: /* no key */
        buf_puts(out, "null");
        break;
    default:
        if (column->modifier & MYDB_ENUM)
            buf_printf(out, "%u", mydb_enum_number(column, value->text.bytes, value->text.len));
        else
            put_string(out, value->text.bytes, value->text.len);
    }
}

void mydb_put_key(struct buf *out, const struct target *target, const struct row *row)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < target->relation->key_count; i++) {
        if (i)
            buf_putc(out, ',');
        put_part_value(out, part_column(target, i), &row->values[i]);
    }
    buf_putc(out, ']');
}

/* SQL */

int mydb_check_key(const struct target *target, struct err *err)
{
    const struct relation *relation = target->relation;
    if (!relation->key_index) {
        err_set(err, ERR_DATABASE, "%s has no unique index on its key, or its engine has no transactions",
                relation->title);
        return err_hint(err, "a sink needs a table of InnoDB");
    }
    for (size_t i = 0; i < relation->key_count; i++)
        if (!part_column(target, i)->cast)
            return err_set(err, ERR_DATABASE, "column '%s' of %s, a %s, cannot be the key of a sink",
                           part_column(target, i)->name, relation->title, part_column(target, i)->type);
    return 0;
}

void mydb_put_keys(struct buf *out, const struct target *target, const char *source, bool strict,
                   const char *more)
{
    buf_printf(out, "JSON_TABLE(%s, '$[*]' COLUMNS (n FOR ORDINALITY", source);
    for (size_t i = 0; i < target->relation->key_count; i++) {
        const char *type = part_column(target, i)->cast, *collate = strstr(type, " COLLATE ");
        int len = (int)(collate ? (size_t)(collate - type) : strlen(type));
        buf_printf(out, ", k%zu %.*s PATH '$[%zu]'%s", i, len, type, i,
                   strict ? " ERROR ON EMPTY ERROR ON ERROR" : "");
    }
    buf_printf(out, "%s)) AS k", more);
}

/* The character set of a collation is what its name begins with; NULL where texts come in it. */
static const char *narrow_set(const struct column *column, int *len)
{
    const char *collate = strstr(column->cast, " COLLATE "),
               *set = collate ? collate + strlen(" COLLATE ") : NULL;
    *len = set ? (int)strcspn(set, "_") : 0;
    return set && strncmp(set, "utf8mb4_", 8) != 0 ? set : NULL;
}

void mydb_put_part(struct buf *out, const struct target *target, size_t i)
{
    const struct column *column = part_column(target, i);
    const char *collate = strstr(column->cast, " COLLATE ");
    int len;
    const char *set = narrow_set(column, &len);
    if (column->kind == KIND_BYTES)
        buf_printf(out, "UNHEX(k.k%zu)", i);
    else if (column->kind == KIND_UUID)
        buf_printf(out, "CAST(k.k%zu AS UUID)", i);
    else if (column->modifier & (MYDB_INET4 | MYDB_INET6))
        buf_printf(out, "CAST(k.k%zu AS %s)", i, column->modifier & MYDB_INET6 ? "INET6" : "INET4");
    else if (set)
        buf_printf(out, "CONVERT(k.k%zu USING %.*s)%s", i, len, set, collate);
    else
        buf_printf(out, "k.k%zu%s", i, collate ? collate : "");
}

/* A letter that a character set does not have becomes a question mark, without an error. */
void mydb_put_kept(struct buf *out, const struct target *target)
{
    for (size_t i = 0; i < target->relation->key_count; i++) {
        int len;
        const char *set = narrow_set(part_column(target, i), &len);
        if (set)
            buf_printf(out,
                       " AND CONVERT(CONVERT(k.k%zu USING %.*s) USING utf8mb4) = k.k%zu COLLATE utf8mb4_bin",
                       i, len, set, i);
    }
}

void mydb_column_name(struct buf *out, const char *prefix, const struct column *column)
{
    buf_puts(out, prefix);
    mydb_name(out, column->name);
}

/* Without the hint a small table would be scanned, and all of it locked. */
void mydb_put_target(struct buf *out, const struct target *target)
{
    buf_printf(out, "%s AS t FORCE INDEX (%s)", target->relation->from, target->relation->key_index);
}

void mydb_put_join(struct buf *out, const struct target *target)
{
    mydb_put_target(out, target);
    for (size_t i = 0; i < target->relation->key_count; i++) {
        buf_puts(out, i ? " AND " : " ON ");
        mydb_column_name(out, "t.", part_column(target, i));
        buf_puts(out, " = ");
        mydb_put_part(out, target, i);
    }
    mydb_put_kept(out, target);
}
