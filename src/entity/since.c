#include "entity/since.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "entity/entity.h"
#include "entity/json_write.h"

enum { SEPARATOR = '!', ESCAPE = '#' };

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

static bool is_local(const struct since_shape *shape, const struct column *column)
{
    return column->zoneless && shape->zone;
}

static void put_class(struct buf *out, const struct column *column, const struct value *value)
{
    if (column->position != POSITION_ANY)
        return;
    bool whole = value->kind == KIND_INT || value->kind == KIND_UINT;
    buf_putc(out, whole ? 'i' : value->kind == KIND_FLOAT ? 'r' : value->kind == KIND_BYTES ? 'x' : 't');
}

static int put_part(struct buf *out, const struct since_shape *shape, const struct column *column,
                    const struct value *value, struct err *err)
{
    char text[ISO_SIZE];
    put_class(out, column, value);
    switch (value->kind) {
    case KIND_INT:
        put_integer(out, value->integer);
        return 0;
    case KIND_UINT:
        put_digits(out, value->natural, false);
        return 0;
    case KIND_DATETIME:
        buf_put_short(out, text, iso_datetime(text, value->integer, 6, is_local(shape, column) ? "" : "Z"));
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

int since_write(struct buf *out, const struct since_shape *shape, const struct value *updated,
                const struct value *const *key, struct err *err)
{
    const struct relation *relation = shape->relation;
    if (updated && put_part(out, shape, &relation->columns[shape->updated], updated, err))
        return -1;
    if (!key)
        buf_putc(out, SEPARATOR);
    for (size_t i = 0; key && i < relation->key_count; i++) {
        buf_putc(out, SEPARATOR);
        if (put_part(out, shape, &relation->columns[relation->key[i]], key[i], err))
            return -1;
    }
    return 0;
}

void since_write_plain(struct buf *out, const struct since_shape *shape, const struct value *updated)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    struct field field = {.digits = 6, .zone = column->zoneless ? shape->zone : NULL};
    struct iso_time time;
    struct value datetime;
    if (updated->kind == KIND_TEXT && iso_parse(updated->text.bytes, updated->text.len, &time) == 0) {
        datetime = value_integer(KIND_DATETIME, time.time);
        updated = &datetime;
    }
    entity_value(out, &field, updated);
}

static int64_t floor_to(int64_t time, int64_t unit)
{
    return time / unit - (time % unit < 0);
}

/* reading a part of a token */

static int parse_natural(const char *text, size_t len, uint64_t *number)
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
    if (len == 20 && parse_natural(text, len, &number) == 0) {
        if (number <= INT64_MAX) {
            *value = value_integer(KIND_INT, (int64_t)number);
        } else {
            value->kind = KIND_UINT;
            value->natural = number;
        }
        return 0;
    }
    if (len != 21 || text[0] != '-' || text[1] != '9' || parse_natural(text + 2, 19, &number))
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

/* Only as put_part writes it. What is no time at all stands for infinity, years BC and zero dates. */
static int parse_time_part(const char *text, size_t len, bool date, bool local, struct arena *arena,
                           struct value *value)
{
    struct iso_time time;
    char same[ISO_SIZE];
    if (iso_parse(text, len, &time))
        return parse_escaped(text, len, KIND_TEXT, arena, value);
    int64_t days = floor_to(time.time, ISO_DAY);
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
    case 'x':
        return parse_hex(text + 1, len - 1, arena, value);
    default:
        return -1;
    }
}

static int parse_part(const struct since_shape *shape, const struct column *column, const char *text, size_t len,
                      struct arena *arena, struct value *value)
{
    switch (column->position) {
    case POSITION_INTEGER:
        return parse_integer_part(text, len, value);
    case POSITION_DATETIME:
    case POSITION_DATE:
        return parse_time_part(text, len, column->position == POSITION_DATE, is_local(shape, column), arena, value);
    case POSITION_UUID:
        return parse_uuid_part(text, len, arena, value);
    case POSITION_ANY:
        return parse_any_part(text, len, arena, value);
    default:
        return parse_text_part(column, text, len, arena, value);
    }
}

/* reading a token */

static int misfit(const struct since_shape *shape, struct err *err)
{
    err_set(err, ERR_GONE, "the token does not fit the key and updated column '%s' of this source as they are now",
            shape->relation->columns[shape->updated].name);
    return err_hint(err, "reset the pipe, so that it begins with a full read");
}

static int parse_key(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena)
{
    const struct relation *relation = shape->relation;
    struct value *key = arena_array(arena, relation->key_count + 1, sizeof *key);
    if (!key)
        return -1;
    for (size_t i = 0; i < relation->key_count; i++) {
        if (*text != SEPARATOR)
            return -1;
        size_t len = strcspn(++text, "!");
        if (parse_part(shape, &relation->columns[relation->key[i]], text, len, arena, &key[i]))
            return -1;
        text += len;
    }
    since->position.key = key;
    return *text ? -1 : 0;
}

static int parse_token(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena,
                       struct err *err)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    size_t len = strcspn(text, "!");
    if (strcmp(text, "!") == 0)
        return 0;
    since->kind = SINCE_NULLS;
    if (len) {
        struct value *updated = arena_alloc(arena, sizeof *updated);
        if (!updated)
            return err_memory(err);
        if (parse_part(shape, column, text, len, arena, updated))
            return misfit(shape, err);
        since->position.updated = updated;
        since->kind = SINCE_AFTER;
        if (strcmp(text + len, "!") == 0) {
            since->kind = SINCE_FROM;
            return 0;
        }
    }
    return parse_key(since, shape, text + len, arena) ? misfit(shape, err) : 0;
}

/* reading plain forms */

static int64_t in_unit(int64_t time, enum config_unit unit)
{
    return floor_to(time, unit == UNIT_S ? ISO_SECOND : unit == UNIT_MS ? ISO_SECOND / 1000 : 1);
}

/* The lowest that a wall clock shows at or after this time: where the clock goes back, an hour comes twice. At
 * the edges of the calendar the wall clock may be beyond them. */
static int64_t lowest_wall(const struct zone *zone, int64_t time)
{
    const int64_t window = 2 * 3600 * ISO_SECOND;
    int64_t now = zone_to_wall(zone, time), later = zone_to_wall(zone, time + window);
    int64_t wall = later - now < window ? now - (window - (later - now)) : now;
    return wall < ISO_TIME_MIN ? ISO_TIME_MIN : wall > ISO_TIME_MAX ? ISO_TIME_MAX : wall;
}

/* The lowest ISO text of this time or a later one: with a space, which is lower than "T", and without what
 * may be left out. */
static int lowest_text(int64_t time, struct arena *arena, struct value *value)
{
    char *text = arena_alloc(arena, ISO_SIZE);
    if (!text)
        return -1;
    size_t len = iso_datetime(text, time, 6, "");
    text[10] = ' ';
    while (text[len - 1] == '0' && len > 20)
        len--;
    if (len == 20)
        len = 19;
    if (len == 19 && memcmp(text + 16, ":00", 3) == 0)
        len = 16;
    if (len == 16 && memcmp(text + 10, " 00:00", 6) == 0)
        len = 10;
    *value = value_text(KIND_TEXT, text, len);
    return 0;
}

static int from_time(struct since *since, const struct since_shape *shape, int64_t time, struct arena *arena,
                     struct value *value)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    if (shape->unit != UNIT_NONE) {
        *value = value_integer(KIND_INT, in_unit(time, shape->unit));
        return 0;
    }
    switch (column->position) {
    case POSITION_DATETIME:
        *value = value_integer(KIND_DATETIME, is_local(shape, column) ? lowest_wall(shape->zone, time) : time);
        return 0;
    case POSITION_DATE:
        *value = value_integer(KIND_DATE, floor_to(time, ISO_DAY));
        return 0;
    case POSITION_TEXT:
        if (column->kind != KIND_TEXT)
            return -1;
        /* fall through */
    case POSITION_ANY:
        since->by_time = true;
        since->time = time;
        return lowest_text(time, arena, value);
    default:
        return -1;
    }
}

static int parse_signed(const char *text, struct value *value)
{
    uint64_t number;
    bool negative = *text == '-';
    if (parse_natural(text + negative, strlen(text + negative), &number))
        return -1;
    if (number > (uint64_t)INT64_MAX + negative) {
        value->kind = KIND_UINT;
        value->natural = number;
        return negative ? -1 : 0;
    }
    *value = value_integer(KIND_INT, negative ? (int64_t)(0 - number) : (int64_t)number);
    return 0;
}

static int from_integer(const struct column *column, const char *text, struct value *value)
{
    if (column->position == POSITION_INTEGER || column->position == POSITION_ANY)
        return parse_signed(text, value);
    if (column->kind != KIND_DECIMAL && column->kind != KIND_FLOAT)
        return -1;
    *value = value_text(column->kind, text, strlen(text));
    return 0;
}

static int parse_plain(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena,
                       struct value *value)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    struct iso_time time;
    struct value number;
    if (parse_signed(text, &number) == 0)
        return from_integer(column, text, value);
    if (iso_parse(text, strlen(text), &time) == 0)
        return from_time(since, shape, time.time, arena, value);
    if (!shape->plain || column->kind != KIND_TEXT || !json_write_is_utf8(text, strlen(text)))
        return -1;
    *value = value_text(KIND_TEXT, text, strlen(text)); /* our own plain token of a text */
    return 0;
}

static const char *accepted_forms(const struct since_shape *shape)
{
    const struct column *column = &shape->relation->columns[shape->updated];
    bool number = column->position == POSITION_INTEGER || column->kind == KIND_DECIMAL || column->kind == KIND_FLOAT;
    if (number && shape->unit == UNIT_NONE)
        return "accepted are an _updated that this source sent, and an integer (meaning: at or after)";
    if (number || column->position == POSITION_ANY)
        return "accepted are an _updated that this source sent, a datetime (2024-01-31T23:59:59.5Z, with or without"
               " ~t, Z or +01:00), a date (2024-01-31) and an integer (meaning: at or after)";
    return "accepted are an _updated that this source sent, a datetime (2024-01-31T23:59:59.5Z, with or without ~t, Z"
           " or +01:00) and a date (2024-01-31) (meaning: at or after)";
}

int since_parse(struct since *since, const struct since_shape *shape, const char *text, struct arena *arena,
                struct err *err)
{
    *since = (struct since){.kind = SINCE_START};
    if (strchr(text, SEPARATOR) && !shape->plain)
        return parse_token(since, shape, text, arena, err);
    struct value *value = arena_alloc(arena, sizeof *value);
    const char *bare = text + (strncmp(text, "~t", 2) == 0 ? 2 : strncmp(text, "~~", 2) == 0); /* as in entities */
    if (!value || !(bare = arena_strdup(arena, bare)))
        return err_memory(err);
    since->kind = SINCE_FROM;
    since->position.updated = value;
    if (parse_plain(since, shape, bare, arena, value) == 0)
        return 0;
    err_set(err, ERR_INPUT, "'since' is not a position of this source: '%.80s'", text);
    return err_hint(err, "%s", accepted_forms(shape));
}

/* order */

static int by_bytes(const struct value *a, const struct value *b)
{
    size_t common = a->text.len < b->text.len ? a->text.len : b->text.len;
    int order = common ? memcmp(a->text.bytes, b->text.bytes, common) : 0;
    return order ? order : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

/* Negative integers are below all, then those that fit 63 bits, then the others. */
static int by_number(const struct value *a, const struct value *b)
{
    bool low_a = a->kind == KIND_INT && a->integer < 0, low_b = b->kind == KIND_INT && b->integer < 0;
    if (low_a || low_b)
        return low_a && low_b ? (a->integer > b->integer) - (a->integer < b->integer) : low_b - low_a;
    return (a->natural > b->natural) - (a->natural < b->natural); /* both are not negative: the same bits */
}

/* Times that we cannot count come as texts: "infinity" and years of five digits are later than all others,
 * "-infinity", years BC and MySQL's zeros are earlier. */
static int era(const struct value *value)
{
    if (value->kind != KIND_TEXT)
        return 0;
    const char *text = value->text.bytes;
    return value->text.len > 5 && (text[0] == 'i' || (text[0] != '-' && text[4] != '-')) ? 1 : -1;
}

static double as_double(const struct value *value)
{
    switch (value->kind) {
    case KIND_INT:
        return (double)value->integer;
    case KIND_UINT:
        return (double)value->natural;
    case KIND_FLOAT:
    case KIND_DECIMAL: {
        char digits[64];
        snprintf(digits, sizeof digits, "%.*s", (int)(value->text.len < 63 ? value->text.len : 63), value->text.bytes);
        return strtod(digits, NULL);
    }
    default:
        return value->kind == KIND_BOOL && value->boolean;
    }
}

/* SQLite's storage classes: numbers before texts before blobs. */
static int rank(const struct value *value)
{
    return value->kind == KIND_BYTES ? 2 : value->kind == KIND_TEXT ? 1 : 0;
}

int since_compare(const struct value *a, const struct value *b)
{
    bool a_time = a->kind == KIND_DATETIME || a->kind == KIND_DATE, b_time = b->kind == KIND_DATETIME || b->kind == KIND_DATE;
    if (a_time || b_time)
        return a_time && b_time ? (a->integer > b->integer) - (a->integer < b->integer) : era(a) - era(b);
    if (rank(a) != rank(b))
        return rank(a) - rank(b);
    if (rank(a) || a->kind == KIND_UUID)
        return by_bytes(a, b);
    bool a_whole = a->kind == KIND_INT || a->kind == KIND_UINT, b_whole = b->kind == KIND_INT || b->kind == KIND_UINT;
    if (a_whole && b_whole)
        return by_number(a, b);
    double x = as_double(a), y = as_double(b);
    return (x > y) - (x < y);
}
