/* Decodes values of PostgreSQL's binary formats: those of the types' send functions, numbers big endian. */
#include "db/postgres.h"

#include <arpa/inet.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/iso.h"

#define EPOCH_DAYS INT64_C(10957) /* 2000-01-01, from where PostgreSQL counts */

static uint16_t get16(const char *bytes)
{
    uint16_t raw;
    memcpy(&raw, bytes, 2);
    return be16toh(raw);
}

static uint32_t get32(const char *bytes)
{
    uint32_t raw;
    memcpy(&raw, bytes, 4);
    return be32toh(raw);
}

static uint64_t get64(const char *bytes)
{
    uint64_t raw;
    memcpy(&raw, bytes, 8);
    return be64toh(raw);
}

enum kind postgres_kind(unsigned type)
{
    switch ((enum pg_type)type) {
    case PG_BOOL:
        return KIND_BOOL;
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
        return KIND_INT;
    case PG_XID8:
        return KIND_UINT;
    case PG_FLOAT4:
    case PG_FLOAT8:
        return KIND_FLOAT;
    case PG_NUMERIC:
        return KIND_DECIMAL;
    case PG_BYTEA:
        return KIND_BYTES;
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return KIND_DATETIME;
    case PG_DATE:
        return KIND_DATE;
    case PG_UUID:
        return KIND_UUID;
    case PG_JSON:
    case PG_JSONB:
        return KIND_JSON;
    default:
        return KIND_TEXT;
    }
}

bool postgres_decodes(unsigned type)
{
    switch ((enum pg_type)type) {
    case PG_NAME:
    case PG_TEXT:
    case PG_BPCHAR:
    case PG_VARCHAR:
    case PG_CIDR:
    case PG_INET:
        return true;
    case PG_FLOAT4:
    case PG_FLOAT8:
        return false; /* the server prints the shortest digits faster than we do */
    default:
        return postgres_kind(type) != KIND_TEXT;
    }
}

static int broken(const struct column *column, struct err *err)
{
    return err_set(err, ERR_INTERNAL, "cannot decode column '%s' of type %s: its binary form is unknown", column->name,
                   column->type);
}


/* The server's own text of a date outside of what we can write, as EncodeDateOnly does. */
static int odd_date(int64_t days, int64_t time_of_day, const char *zone, bool date_only, struct arena *arena,
                    struct value *value, struct err *err)
{
    char clock[48] = "", *text;
    int64_t year;
    unsigned month, day;
    iso_civil(days, &year, &month, &day);
    if (!date_only) {
        unsigned micros = (unsigned)(time_of_day % ISO_SECOND), seconds = (unsigned)(time_of_day / ISO_SECOND);
        int len = snprintf(clock, sizeof clock, " %02u:%02u:%02u", seconds / 3600, seconds / 60 % 60, seconds % 60);
        if (micros) {
            len += snprintf(clock + len, sizeof clock - (size_t)len, ".%06u", micros);
            while (clock[len - 1] == '0')
                clock[--len] = '\0';
        }
    }
    text = arena_printf(arena, "%04" PRId64 "-%02u-%02u%s%s%s", year > 0 ? year : 1 - year, month, day, clock, zone,
                        year > 0 ? "" : " BC");
    if (!text)
        return err_memory(err);
    value_set_text(value, KIND_TEXT, text, strlen(text));
    return 0;
}

static void infinite(bool negative, struct value *value)
{
    value_set_text(value, KIND_TEXT, negative ? "-infinity" : "infinity", negative ? 9 : 8);
}

static int decode_datetime(uint64_t raw, bool zoned, struct arena *arena, struct value *value, struct err *err)
{
    int64_t time = (int64_t)raw;
    if (time == INT64_MAX || time == INT64_MIN) {
        infinite(time == INT64_MIN, value);
        return 0;
    }
    int64_t days = iso_floor(time, ISO_DAY);
    if (days + EPOCH_DAYS < ISO_DAYS_MIN || days + EPOCH_DAYS > ISO_DAYS_MAX)
        return odd_date(days + EPOCH_DAYS, time % ISO_DAY + (time % ISO_DAY < 0 ? ISO_DAY : 0), zoned ? "+00" : "", false,
                        arena, value, err);
    value_set_integer(value, KIND_DATETIME, time + EPOCH_DAYS * ISO_DAY);
    return 0;
}

static int decode_date(uint32_t raw, struct arena *arena, struct value *value, struct err *err)
{
    int32_t days = (int32_t)raw;
    if (days == INT32_MAX || days == INT32_MIN) {
        infinite(days == INT32_MIN, value);
        return 0;
    }
    if (days + EPOCH_DAYS < ISO_DAYS_MIN || days + EPOCH_DAYS > ISO_DAYS_MAX)
        return odd_date(days + EPOCH_DAYS, 0, "", true, arena, value, err);
    value_set_integer(value, KIND_DATE, days + EPOCH_DAYS);
    return 0;
}

/* numeric: groups of four decimal digits, the first worth 10000^weight, and how many digits to show
 * behind the point. */
struct numeric {
    unsigned groups;
    int weight, scale;
    const char *digits;
};

static unsigned numeric_group(const struct numeric *number, int weight)
{
    int place = number->weight - weight;
    return place >= 0 && (unsigned)place < number->groups ? get16(number->digits + 2 * place) : 0;
}

static char *put_group(char *text, unsigned group)
{
    text[0] = (char)('0' + group / 1000);
    text[1] = (char)('0' + group / 100 % 10);
    text[2] = (char)('0' + group / 10 % 10);
    text[3] = (char)('0' + group % 10);
    return text + 4;
}

static size_t numeric_text(const struct numeric *number, bool negative, char *text)
{
    char *at = text;
    if (negative)
        *at++ = '-';
    char *first = at;
    for (int weight = number->weight; weight >= 0; weight--)
        at = put_group(at, numeric_group(number, weight));
    size_t zeros = 0, whole = (size_t)(at - first);
    while (zeros < whole && first[zeros] == '0')
        zeros++;
    memmove(first, first + zeros, whole - zeros);
    at -= zeros;
    if (at == first)
        *at++ = '0';
    if (number->scale > 0) {
        *at++ = '.';
        char *fraction = at;
        for (int weight = -1; at - fraction < number->scale; weight--)
            at = put_group(at, numeric_group(number, weight));
        at = fraction + number->scale;
    }
    return (size_t)(at - text);
}

static int decode_numeric(const struct column *column, const char *bytes, size_t len, struct arena *arena,
                          struct value *value, struct err *err)
{
    if (len < 8)
        return broken(column, err);
    struct numeric number = {get16(bytes), (int16_t)get16(bytes + 2), get16(bytes + 6), bytes + 8};
    switch (get16(bytes + 4)) {
    case 0xC000:
        value_set_text(value, KIND_DECIMAL, "NaN", 3);
        return 0;
    case 0xD000:
        value_set_text(value, KIND_DECIMAL, "Infinity", 8);
        return 0;
    case 0xF000:
        value_set_text(value, KIND_DECIMAL, "-Infinity", 9);
        return 0;
    }
    if (len != 8 + 2 * (size_t)number.groups)
        return broken(column, err);
    for (unsigned i = 0; i < number.groups; i++)
        if (get16(number.digits + 2 * i) > 9999)
            return broken(column, err);
    size_t room = 16 + 4 * (size_t)(number.weight > 0 ? number.weight : 0) + (size_t)number.scale;
    char *text = arena_alloc(arena, room);
    if (!text)
        return err_memory(err);
    value_set_text(value, KIND_DECIMAL, text, numeric_text(&number, get16(bytes + 4) == 0x4000, text));
    return 0;
}

/* inet and cidr: family, bits, is cidr, length, address. A host's full mask is not shown for inet. */
static int decode_address(const struct column *column, const char *bytes, size_t len, struct arena *arena,
                          struct value *value, struct err *err)
{
    char address[INET6_ADDRSTRLEN];
    bool v6 = len == 20;
    if (len != 8 && len != 20)
        return broken(column, err);
    if (!inet_ntop(v6 ? AF_INET6 : AF_INET, bytes + 4, address, sizeof address))
        return broken(column, err);
    unsigned bits = (unsigned char)bytes[1];
    bool show = bytes[2] || bits != (v6 ? 128 : 32);
    char *text = show ? arena_printf(arena, "%s/%u", address, bits) : arena_strdup(arena, address);
    if (!text)
        return err_memory(err);
    value_set_text(value, KIND_TEXT, text, strlen(text));
    return 0;
}

static int decode_scalar(const struct column *column, unsigned type, const char *bytes, size_t len, struct arena *arena,
                         struct value *value, struct err *err)
{
    switch ((enum pg_type)type) {
    case PG_BOOL:
        if (len != 1)
            return broken(column, err);
        value->kind = KIND_BOOL;
        value->boolean = bytes[0] != 0;
        return 0;
    case PG_INT2:
        if (len != 2)
            return broken(column, err);
        value_set_integer(value, KIND_INT, (int16_t)get16(bytes));
        return 0;
    case PG_INT4:
        if (len != 4)
            return broken(column, err);
        value_set_integer(value, KIND_INT, (int32_t)get32(bytes));
        return 0;
    case PG_OID:
        if (len != 4)
            return broken(column, err);
        value_set_integer(value, KIND_INT, get32(bytes));
        return 0;
    case PG_INT8:
        if (len != 8)
            return broken(column, err);
        value_set_integer(value, KIND_INT, (int64_t)get64(bytes));
        return 0;
    case PG_XID8:
        if (len != 8)
            return broken(column, err);
        value->kind = KIND_UINT;
        value->natural = get64(bytes);
        return 0;
    case PG_DATE:
        return len == 4 ? decode_date(get32(bytes), arena, value, err) : broken(column, err);
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return len == 8 ? decode_datetime(get64(bytes), type == PG_TIMESTAMPTZ, arena, value, err)
                        : broken(column, err);
    case PG_NUMERIC:
        return decode_numeric(column, bytes, len, arena, value, err);
    case PG_CIDR:
    case PG_INET:
        return decode_address(column, bytes, len, arena, value, err);
    case PG_UUID:
        value_set_text(value, KIND_UUID, bytes, len);
        return len == 16 ? 0 : broken(column, err);
    case PG_JSONB:
        if (len < 1 || bytes[0] != 1)
            return broken(column, err);
        value_set_text(value, KIND_JSON, bytes + 1, len - 1);
        return 0;
    default:
        value_set_text(value, postgres_kind(type), bytes, len);
        return 0;
    }
}

/* arrays: number of dimensions, has nulls, element type; per dimension length and lower bound; then the
 * elements, each with its length or -1. */
struct array {
    const struct column *column;
    const char *at, *end;
    unsigned dimensions;
    uint32_t lengths[6]; /* the server's MAXDIM */
    unsigned type;
    struct arena *arena;
    struct err *err;
};

static int array_element(struct array *array, struct value *value)
{
    if (array->end - array->at < 4)
        return broken(array->column, array->err);
    int32_t len = (int32_t)get32(array->at);
    array->at += 4;
    if (len == -1) {
        value->kind = KIND_NULL;
        return 0;
    }
    if (len < 0 || array->end - array->at < len)
        return broken(array->column, array->err);
    const char *bytes = array->at;
    array->at += len;
    return decode_scalar(array->column, array->type, bytes, (size_t)len, array->arena, value, array->err);
}

static int array_level(struct array *array, unsigned level, struct value *value)
{
    uint32_t count = array->dimensions ? array->lengths[level] : 0;
    if (count > (size_t)(array->end - array->at) / 4) /* an element takes four bytes at least */
        return broken(array->column, array->err);
    struct value *items = arena_array(array->arena, count + 1, sizeof *items);
    if (!items)
        return err_memory(array->err);
    for (uint32_t i = 0; i < count; i++)
        if (level + 1 < array->dimensions ? array_level(array, level + 1, &items[i]) : array_element(array, &items[i]))
            return -1;
    value->kind = KIND_LIST;
    value->list.items = items;
    value->list.count = count;
    return 0;
}

static void kinds_of_text(enum kind kind, struct value *value)
{
    if (value->kind == KIND_TEXT)
        value->kind = kind;
    for (size_t i = 0; value->kind == KIND_LIST && i < value->list.count; i++)
        kinds_of_text(kind, (struct value *)&value->list.items[i]);
}

static int decode_array(const struct column *column, const char *bytes, size_t len, struct arena *arena,
                        struct value *value, struct err *err)
{
    struct array array = {.column = column, .at = bytes, .end = bytes + len, .arena = arena, .err = err};
    if (len < 12)
        return broken(column, err);
    array.dimensions = get32(bytes);
    array.type = column->expression ? PG_TEXT : column->element;
    array.at += 12;
    if (array.dimensions > 6 || len < 12 + 8 * (size_t)array.dimensions)
        return broken(column, err);
    for (unsigned i = 0; i < array.dimensions; i++, array.at += 8)
        array.lengths[i] = get32(array.at);
    if (array_level(&array, 0, value))
        return -1;
    if (column->expression)
        kinds_of_text(postgres_kind(column->element), value);
    return 0;
}

int postgres_decode(const struct column *column, const char *bytes, size_t len, struct arena *arena,
                    struct value *value, struct err *err)
{
    if (column->kind == KIND_LIST)
        return decode_array(column, bytes, len, arena, value, err);
    if (!column->expression)
        return decode_scalar(column, column->number, bytes, len, arena, value, err);
    value_set_text(value, column->kind, bytes, len);
    return 0;
}
