#include "entity/part.h"

#include <string.h>

#include "base/iso.h"
#include "entity/json_write.h"

enum { ESCAPE = '#' };

/* writing */

static void put_digits(struct buf *out, uint64_t number, bool negative)
{
    char text[2 * BUF_SHORT] = "-00000000000000000000";
    iso_digits(text + 21, number);
    if (negative)
        text[1] = '9';
    buf_put_short(out, negative ? text : text + 1, negative ? 21 : 20);
}

/* A negative number as 10^20 less its size: that is a nine, and 10^19 less its size in 19 digits. */
static void put_integer(struct buf *out, int64_t number)
{
    if (number >= 0)
        put_digits(out, (uint64_t)number, false);
    else
        put_digits(out, UINT64_C(10000000000000000000) - (0 - (uint64_t)number), true);
}

static int put_escaped(struct buf *out, const char *text, size_t len, const struct column *column, struct err *err)
{
    if (!json_write_is_utf8(text, len))
        return err_set(err, ERR_DATABASE, "column '%s' is part of the position, but holds a text that is not UTF-8",
                       column->name);
    if (len == 0)
        buf_putc(out, ESCAPE);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ESCAPE) {
            buf_putc(out, ESCAPE);
            buf_putc(out, (char)(text[i] + 0x40));
        } else {
            buf_putc(out, text[i]);
        }
    return 0;
}

static void put_hex(struct buf *out, const char *bytes, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    if (len == 0)
        buf_putc(out, ESCAPE);
    for (size_t i = 0; i < len; i++) {
        buf_putc(out, hex[(unsigned char)bytes[i] >> 4]);
        buf_putc(out, hex[(unsigned char)bytes[i] & 15]);
    }
}

static bool is_odd_text(const struct value *value)
{
    return value->kind == KIND_TEXT && !json_write_is_utf8(value->text.bytes, value->text.len);
}

static void put_class(struct buf *out, const struct value *value)
{
    bool whole = value->kind == KIND_INT || value->kind == KIND_UINT;
    buf_putc(out, whole                        ? 'i'
                  : value->kind == KIND_FLOAT ? 'r'
                  : value->kind == KIND_BYTES ? 'x'
                  : is_odd_text(value)        ? 'u'
                                              : 't');
}

int part_write(struct buf *out, const struct column *column, bool local, const struct value *value, struct err *err)
{
    char text[ISO_SIZE];
    if (column->position == POSITION_ANY) {
        put_class(out, value);
        if (is_odd_text(value)) {
            put_hex(out, value->text.bytes, value->text.len);
            return 0;
        }
    }
    switch (value->kind) {
    case KIND_INT:
        put_integer(out, value->integer);
        return 0;
    case KIND_UINT:
        put_digits(out, value->natural, false);
        return 0;
    case KIND_DATETIME:
        buf_put_short(out, text, iso_datetime(text, value->integer, 6, local ? "" : "Z"));
        return 0;
    case KIND_DATE:
        buf_put(out, text, iso_date(text, value->integer));
        return 0;
    case KIND_UUID:
        buf_put(out, text, iso_uuid(text, value->text.bytes));
        return 0;
    case KIND_BOOL:
        buf_puts(out, value->boolean ? "true" : "false");
        return 0;
    case KIND_BYTES:
        put_hex(out, value->text.bytes, value->text.len);
        return 0;
    case KIND_NULL:
    case KIND_LIST:
        return err_set(err, ERR_DATABASE, "column '%s' is part of the position, but holds a value without an order",
                       column->name);
    default:
        return put_escaped(out, value->text.bytes, value->text.len, column, err);
    }
}

/* reading */

int part_natural(const char *text, size_t len, uint64_t *number)
{
    *number = 0;
    if (len == 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (text[i] < '0' || digit > 9 || *number > (UINT64_MAX - digit) / 10)
            return -1;
        *number = *number * 10 + digit;
    }
    return 0;
}

static int parse_integer_part(const char *text, size_t len, struct value *value)
{
    uint64_t number;
    if (len == 20 && part_natural(text, len, &number) == 0) {
        if (number <= INT64_MAX) {
            *value = value_integer(KIND_INT, (int64_t)number);
        } else {
            value->kind = KIND_UINT;
            value->natural = number;
        }
        return 0;
    }
    if (len != 21 || text[0] != '-' || text[1] != '9' || part_natural(text + 2, 19, &number))
        return -1;
    uint64_t size = UINT64_C(10000000000000000000) - number; /* the leading 9 stands for 9 * 10^19 */
    if (size > (uint64_t)INT64_MAX + 1)
        return -1;
    *value = value_integer(KIND_INT, (int64_t)(0 - size));
    return 0;
}

static int parse_escaped(const char *text, size_t len, enum kind kind, struct arena *arena, struct value *value)
{
    char *plain = arena_alloc(arena, len + 1);
    size_t used = 0;
    if (!plain || len == 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ESCAPE)
            return -1; /* a "+" that was not encoded in the URL, perhaps */
        if (text[i] != ESCAPE)
            plain[used++] = text[i];
        else if (len == 1)
            break;
        else if (++i == len || text[i] < 0x40 || text[i] > ESCAPE + 0x40)
            return -1;
        else
            plain[used++] = (char)(text[i] - 0x40);
    }
    *value = value_text(kind, plain, used);
    return json_write_is_utf8(plain, used) ? 0 : -1;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_hex(const char *text, size_t len, struct arena *arena, struct value *value)
{
    if (len == 1 && text[0] == ESCAPE)
        len = 0;
    char *bytes = arena_alloc(arena, len / 2 + 1);
    if (!bytes || len % 2)
        return -1;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return -1;
        bytes[i / 2] = (char)(high << 4 | low);
    }
    *value = value_text(KIND_BYTES, bytes, len / 2);
    return 0;
}

/* Only as part_write writes it. What is no time at all stands for infinity, years BC and zero dates. */
static int parse_time_part(const char *text, size_t len, bool date, bool local, struct arena *arena,
                           struct value *value)
{
    struct iso_time time;
    char same[ISO_SIZE];
    if (iso_parse(text, len, &time))
        return parse_escaped(text, len, KIND_TEXT, arena, value);
    int64_t days = iso_floor(time.time, ISO_DAY);
    *value = date ? value_integer(KIND_DATE, days) : value_integer(KIND_DATETIME, time.time);
    size_t size = date ? iso_date(same, days) : iso_datetime(same, time.time, 6, local ? "" : "Z");
    return len == size && memcmp(text, same, len) == 0 ? 0 : -1;
}

static int parse_uuid_part(const char *text, size_t len, struct arena *arena, struct value *value)
{
    char *bytes = arena_alloc(arena, 16), same[ISO_SIZE];
    if (!bytes || iso_parse_uuid(text, len, bytes))
        return -1;
    *value = value_text(KIND_UUID, bytes, 16);
    return len == iso_uuid(same, bytes) && memcmp(text, same, len) == 0 ? 0 : -1;
}

static int parse_text_part(const struct column *column, const char *text, size_t len, struct arena *arena,
                           struct value *value)
{
    if (column->kind == KIND_BYTES)
        return parse_hex(text, len, arena, value);
    if (column->kind == KIND_BOOL) {
        value->kind = KIND_BOOL;
        value->boolean = len == 4;
        return (len == 4 && memcmp(text, "true", 4) == 0) || (len == 5 && memcmp(text, "false", 5) == 0) ? 0 : -1;
    }
    enum kind kind = column->kind == KIND_FLOAT || column->kind == KIND_DECIMAL ? column->kind : KIND_TEXT;
    return parse_escaped(text, len, kind, arena, value);
}

static int parse_any_part(const char *text, size_t len, struct arena *arena, struct value *value)
{
    if (len < 2)
        return -1;
    switch (text[0]) {
    case 'i':
        return parse_integer_part(text + 1, len - 1, value);
    case 'r':
        return parse_escaped(text + 1, len - 1, KIND_FLOAT, arena, value);
    case 't':
        return parse_escaped(text + 1, len - 1, KIND_TEXT, arena, value);
    case 'u':
        if (parse_hex(text + 1, len - 1, arena, value))
            return -1;
        value->kind = KIND_TEXT;
        return is_odd_text(value) ? 0 : -1;
    case 'x':
        return parse_hex(text + 1, len - 1, arena, value);
    default:
        return -1;
    }
}

int part_parse(const struct column *column, bool local, const char *text, size_t len,
                      struct arena *arena, struct value *value)
{
    switch (column->position) {
    case POSITION_INTEGER:
        return parse_integer_part(text, len, value);
    case POSITION_DATETIME:
    case POSITION_DATE:
        return parse_time_part(text, len, column->position == POSITION_DATE, local, arena, value);
    case POSITION_UUID:
        return parse_uuid_part(text, len, arena, value);
    case POSITION_ANY:
        return parse_any_part(text, len, arena, value);
    default:
        return parse_text_part(column, text, len, arena, value);
    }
}
