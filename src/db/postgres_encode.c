/* Encodes values for PostgreSQL: in the binary formats of the types' receive functions, numbers big endian, and as
 * the texts that their input functions read. The reverse of postgres_decode.c. */
#include "db/postgres.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"

#define EPOCH_DAYS INT64_C(10957) /* 2000-01-01, from where PostgreSQL counts */

enum { MAX_DIMENSIONS = 6 };

static void put16(struct buf *out, uint16_t number)
{
    number = htobe16(number);
    buf_put(out, &number, 2);
}

static void put32(struct buf *out, uint32_t number)
{
    number = htobe32(number);
    buf_put(out, &number, 4);
}

static void put64(struct buf *out, uint64_t number)
{
    number = htobe64(number);
    buf_put(out, &number, 8);
}

bool postgres_encodes(unsigned type)
{
    switch ((enum pg_type)type) {
    case PG_NAME:
    case PG_TEXT:
    case PG_BPCHAR:
    case PG_VARCHAR:
        return true;
    default:
        return postgres_kind(type) != KIND_TEXT;
    }
}

/* numbers */

static int no_number(const struct column *column, struct err *err)
{
    return err_set(err, ERR_VALUE, "column '%s' of type %s was given no number", column->name, column->type);
}

static int put_float(struct buf *out, const struct column *column, const struct value *value, bool single,
                     struct err *err)
{
    char text[64], *end = NULL;
    if (value->text.len == 0 || value->text.len >= sizeof text)
        return no_number(column, err);
    memcpy(text, value->text.bytes, value->text.len);
    text[value->text.len] = '\0';
    if (single) {
        float number = strtof(text, &end);
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        put32(out, bits);
    } else {
        double number = strtod(text, &end);
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        put64(out, bits);
    }
    return *end ? no_number(column, err) : 0;
}

/* The digits of a decimal: whole ones, then scale ones behind the point. */
struct decimal {
    bool negative;
    const char *whole, *fraction;
    size_t whole_len, scale;
};

static bool is_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

static int read_decimal(const struct value *value, struct decimal *decimal)
{
    const char *at = value->text.bytes, *end = at + value->text.len;
    decimal->negative = at < end && *at == '-';
    at += decimal->negative;
    const char *point = memchr(at, '.', (size_t)(end - at));
    decimal->whole = at;
    decimal->whole_len = (size_t)((point ? point : end) - at);
    decimal->fraction = point ? point + 1 : end;
    decimal->scale = (size_t)(end - decimal->fraction);
    while (decimal->whole_len && *decimal->whole == '0') {
        decimal->whole++;
        decimal->whole_len--;
    }
    bool some = end > at && !(point && end == at + 1);
    return some && is_digits(decimal->whole, decimal->whole_len) && is_digits(decimal->fraction, decimal->scale) ? 0 : -1;
}

/* The group of four digits that is worth 10000^weight. */
static uint16_t decimal_group(const struct decimal *decimal, long weight)
{
    unsigned group = 0;
    for (long place = 4 * weight + 3; place >= 4 * weight; place--) {
        size_t index = place >= 0 ? (size_t)place : (size_t)(-1 - place);
        char digit = '0';
        if (place >= 0 && index < decimal->whole_len)
            digit = decimal->whole[decimal->whole_len - 1 - index];
        else if (place < 0 && index < decimal->scale)
            digit = decimal->fraction[index];
        group = group * 10 + (unsigned)(digit - '0');
    }
    return (uint16_t)group;
}

static int put_special_number(struct buf *out, const struct value *value)
{
    static const struct {
        const char *text;
        uint16_t sign, scale;
    } specials[] = {{"NaN", 0xC000, 0}, {"Infinity", 0xD000, 0x20}, {"-Infinity", 0xF000, 0x20}};
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (value->text.len == strlen(specials[i].text) && memcmp(value->text.bytes, specials[i].text, value->text.len) == 0) {
            put16(out, 0);
            put16(out, 0);
            put16(out, specials[i].sign);
            put16(out, specials[i].scale);
            return 0;
        }
    return -1;
}

static int put_numeric(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    struct decimal decimal;
    if (read_decimal(value, &decimal))
        return put_special_number(out, value) ? no_number(column, err) : 0;
    if (decimal.whole_len > 131072 || decimal.scale > 16383)
        return no_number(column, err);
    long high = decimal.whole_len ? (long)(decimal.whole_len - 1) / 4 : -1, low = -(long)((decimal.scale + 3) / 4);
    while (high >= low && decimal_group(&decimal, high) == 0)
        high--;
    while (low <= high && decimal_group(&decimal, low) == 0)
        low++;
    size_t groups = high >= low ? (size_t)(high - low + 1) : 0;
    put16(out, (uint16_t)groups);
    put16(out, groups ? (uint16_t)(int16_t)high : 0);
    put16(out, groups && decimal.negative ? 0x4000 : 0);
    put16(out, (uint16_t)decimal.scale);
    for (long weight = high; groups-- > 0; weight--)
        put16(out, decimal_group(&decimal, weight));
    return 0;
}

/* times */

static bool take_number(const char **at, const char *end, size_t least, size_t most, int64_t *number)
{
    size_t len = 0;
    *number = 0;
    for (; *at < end && **at >= '0' && **at <= '9' && len < most; ++*at, len++)
        *number = *number * 10 + (**at - '0');
    return len >= least;
}

static bool take(const char **at, const char *end, const char *text)
{
    size_t len = strlen(text);
    if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0)
        return false;
    *at += len;
    return true;
}

static bool take_clock(const char **at, const char *end, int64_t *time)
{
    int64_t hours, minutes, seconds, micros = 0;
    if (!take(at, end, " ") || !take_number(at, end, 2, 2, &hours) || !take(at, end, ":") ||
        !take_number(at, end, 2, 2, &minutes) || !take(at, end, ":") || !take_number(at, end, 2, 2, &seconds))
        return false;
    if (take(at, end, ".")) {
        const char *begin = *at;
        if (!take_number(at, end, 1, 6, &micros))
            return false;
        for (size_t digits = (size_t)(*at - begin); digits < 6; digits++)
            micros *= 10;
    }
    *time = ((hours * 60 + minutes) * 60 + seconds) * ISO_SECOND + micros;
    return hours < 24 && minutes < 60 && seconds < 60;
}

int postgres_odd_time(const char *text, size_t len, bool date, int64_t *time)
{
    const char *at = text, *end = text + len;
    bool negative = take(&at, end, "-");
    if (take(&at, end, "infinity") && at == end) {
        *time = date ? (negative ? INT32_MIN : INT32_MAX) : negative ? INT64_MIN : INT64_MAX;
        return 0;
    }
    int64_t year, month, day, clock = 0;
    if (negative || !take_number(&at, end, 4, 7, &year) || !take(&at, end, "-") || !take_number(&at, end, 2, 2, &month) ||
        !take(&at, end, "-") || !take_number(&at, end, 2, 2, &day) || (!date && !take_clock(&at, end, &clock)))
        return -1;
    if (!date)
        take(&at, end, "+00");
    bool before = take(&at, end, " BC");
    if (at != end || month < 1 || month > 12 || day < 1 || (before && year == 0))
        return -1;
    year = before ? 1 - year : year;
    int64_t days = iso_days(year, (unsigned)month, 1), checked;
    unsigned same_month, same_day;
    iso_civil(days + day - 1, &checked, &same_month, &same_day);
    /* 4714-11-24 BC to 5874897-12-31, or to 294276-12-31 with a time. */
    if (same_month != (unsigned)month || days + day - 1 < INT64_C(-2440588) || year > (date ? 5874897 : 294276))
        return -1;
    days += day - 1 - EPOCH_DAYS;
    *time = date ? days : days * ISO_DAY + clock;
    return 0;
}

static int put_time(struct buf *out, const struct column *column, const struct value *value, bool date, struct err *err)
{
    int64_t time;
    if (value->kind == KIND_DATE || value->kind == KIND_DATETIME) {
        if (date == (value->kind == KIND_DATE))
            time = value->integer - EPOCH_DAYS * (date ? 1 : ISO_DAY);
        else
            time = date ? iso_floor(value->integer, ISO_DAY) - EPOCH_DAYS : (value->integer - EPOCH_DAYS) * ISO_DAY;
    } else if (value->kind != KIND_TEXT || postgres_odd_time(value->text.bytes, value->text.len, date, &time)) {
        return err_set(err, ERR_VALUE, "column '%s' of type %s was given no time", column->name, column->type);
    }
    if (date)
        put32(out, (uint32_t)(int32_t)time);
    else
        put64(out, (uint64_t)time);
    return 0;
}

/* values */

static int put_integer(struct buf *out, const struct column *column, unsigned type, const struct value *value,
                       struct err *err)
{
    if (value->kind != KIND_INT && value->kind != KIND_UINT)
        return no_number(column, err);
    switch ((enum pg_type)type) {
    case PG_INT2:
        put16(out, (uint16_t)value->natural);
        return value->integer < INT16_MIN || value->integer > INT16_MAX ? no_number(column, err) : 0;
    case PG_INT4:
        put32(out, (uint32_t)value->natural);
        return value->integer < INT32_MIN || value->integer > INT32_MAX ? no_number(column, err) : 0;
    case PG_OID:
        put32(out, (uint32_t)value->natural);
        return value->natural > UINT32_MAX ? no_number(column, err) : 0;
    default:
        put64(out, value->natural);
        return 0;
    }
}

static bool has_text(const struct value *value)
{
    switch (value->kind) {
    case KIND_FLOAT:
    case KIND_DECIMAL:
    case KIND_TEXT:
    case KIND_BYTES:
    case KIND_UUID:
    case KIND_JSON:
        return true;
    default:
        return false;
    }
}

static int put_text(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    if (!has_text(value))
        return err_set(err, ERR_INTERNAL, "column '%s' of type %s was given a value of another kind", column->name,
                       column->type);
    buf_put(out, value->text.bytes, value->text.len);
    return 0;
}

static int put_scalar(struct buf *out, const struct column *column, unsigned type, const struct value *value,
                      struct err *err)
{
    switch ((enum pg_type)type) {
    case PG_BOOL:
        buf_putc(out, (char)(value->kind == KIND_BOOL && value->boolean));
        return value->kind == KIND_BOOL ? 0
                                        : err_set(err, ERR_VALUE, "column '%s' was given no boolean", column->name);
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
    case PG_XID8:
        return put_integer(out, column, type, value, err);
    case PG_FLOAT4:
    case PG_FLOAT8:
        return has_text(value) ? put_float(out, column, value, type == PG_FLOAT4, err) : no_number(column, err);
    case PG_NUMERIC:
        return has_text(value) ? put_numeric(out, column, value, err) : no_number(column, err);
    case PG_DATE:
        return put_time(out, column, value, true, err);
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return put_time(out, column, value, false, err);
    case PG_JSONB:
        buf_putc(out, 1);
        return put_text(out, column, value, err);
    default:
        return put_text(out, column, value, err);
    }
}

/* Where the length of what follows goes. */
static size_t put_length(struct buf *out)
{
    put32(out, UINT32_MAX);
    return out->len;
}

static void patch_length(struct buf *out, size_t begin)
{
    uint32_t len = htobe32((uint32_t)(out->len - begin));
    if (!buf_failed(out))
        memcpy(out->data + begin - 4, &len, 4);
}

static int put_elements(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    int failed = 0;
    for (size_t i = 0; i < value->list.count && !failed; i++) {
        const struct value *item = &value->list.items[i];
        if (item->kind == KIND_LIST) {
            failed = put_elements(out, column, item, err);
            continue;
        }
        size_t begin = put_length(out);
        if (item->kind == KIND_NULL)
            continue;
        failed = put_scalar(out, column, column->element, item, err);
        patch_length(out, begin);
    }
    return failed;
}

/* postgres_fit made sure that the lists of one level are of one length. */
static int put_array(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    uint32_t lengths[MAX_DIMENSIONS], dimensions = 0;
    for (const struct value *level = value; level->kind == KIND_LIST && level->list.count; level = &level->list.items[0]) {
        if (dimensions == MAX_DIMENSIONS)
            return err_set(err, ERR_VALUE, "column '%s' was given a list of too many dimensions", column->name);
        lengths[dimensions++] = (uint32_t)level->list.count;
    }
    put32(out, dimensions);
    put32(out, 1); /* there may be NULLs: only a hint */
    put32(out, column->element);
    for (uint32_t i = 0; i < dimensions; i++) {
        put32(out, lengths[i]);
        put32(out, 1);
    }
    return put_elements(out, column, value, err);
}

int postgres_encode(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    size_t begin = put_length(out);
    if (value->kind == KIND_NULL)
        return 0;
    int failed;
    if (column->kind == KIND_LIST)
        failed = value->kind == KIND_LIST ? put_array(out, column, value, err) : put_text(out, column, value, err);
    else
        failed = put_scalar(out, column, column->number, value, err);
    patch_length(out, begin);
    return failed;
}

/* texts */

static void put_hex(struct buf *out, const struct value *value)
{
    static const char digits[] = "0123456789abcdef";
    buf_puts(out, "\\x");
    for (size_t i = 0; i < value->text.len; i++) {
        buf_putc(out, digits[(unsigned char)value->text.bytes[i] >> 4]);
        buf_putc(out, digits[value->text.bytes[i] & 15]);
    }
}

static void put_digits(struct buf *out, bool negative, uint64_t number)
{
    char text[24], *end = text + sizeof text, *begin = iso_digits(end, number);
    if (negative)
        *--begin = '-';
    buf_put(out, begin, (size_t)(end - begin));
}

static int list_text(struct buf *out, const struct column *column, const struct value *value, struct err *err);

int postgres_text(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    char text[ISO_SIZE];
    switch (value->kind) {
    case KIND_NULL:
        return 0;
    case KIND_BOOL:
        buf_putc(out, value->boolean ? 't' : 'f');
        return 0;
    case KIND_INT:
        put_digits(out, value->integer < 0, value->integer < 0 ? -value->natural : value->natural);
        return 0;
    case KIND_UINT:
        put_digits(out, false, value->natural);
        return 0;
    case KIND_DATETIME:
        buf_put(out, text, iso_datetime(text, value->integer, 6, "Z"));
        return 0;
    case KIND_DATE:
        buf_put(out, text, iso_date(text, value->integer));
        return 0;
    case KIND_UUID:
        buf_put(out, text, iso_uuid(text, value->text.bytes));
        return 0;
    case KIND_BYTES:
        put_hex(out, value);
        return 0;
    case KIND_LIST:
        return list_text(out, column, value, err);
    default:
        return put_text(out, column, value, err);
    }
}

/* Puts a backslash before each quotation mark and backslash of what stands behind begin, and quotes around it. */
static void quote_element(struct buf *out, size_t begin)
{
    size_t marks = 2, len = out->len;
    for (size_t i = begin; i < len; i++)
        marks += out->data[i] == '"' || out->data[i] == '\\';
    if (buf_reserve(out, marks))
        return;
    out->len += marks;
    char *to = out->data + out->len;
    *--to = '"';
    for (size_t i = len; i-- > begin;) {
        *--to = out->data[i];
        if (*to == '"' || *to == '\\')
            *--to = '\\';
    }
    *--to = '"';
}

/* An array literal; the two vector types have a form of their own: "1 2 3". */
static int list_text(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    bool vector = column->number == PG_INT2VECTOR || column->number == PG_OIDVECTOR;
    char separator = vector ? ' ' : column->element == PG_BOX ? ';' : ',';
    int failed = 0;
    if (!vector)
        buf_putc(out, '{');
    for (size_t i = 0; i < value->list.count && !failed; i++) {
        const struct value *item = &value->list.items[i];
        if (i)
            buf_putc(out, separator);
        size_t begin = out->len;
        if (item->kind == KIND_NULL)
            buf_puts(out, "NULL");
        else
            failed = postgres_text(out, column, item, err);
        if (item->kind != KIND_NULL && item->kind != KIND_LIST && !vector)
            quote_element(out, begin);
    }
    if (!vector)
        buf_putc(out, '}');
    return failed;
}

static void put_escaped(struct buf *out, const char *text, size_t len)
{
    size_t done = 0;
    for (size_t i = 0; i < len; i++) {
        const char *escape = text[i] == '\\'   ? "\\\\"
                             : text[i] == '\t' ? "\\t"
                             : text[i] == '\n' ? "\\n"
                             : text[i] == '\r' ? "\\r"
                                               : NULL;
        if (!escape)
            continue;
        buf_put(out, text + done, i - done);
        buf_puts(out, escape);
        done = i + 1;
    }
    buf_put(out, text + done, len - done);
}

int postgres_copy_text(struct buf *out, const struct column *column, const struct value *value, struct buf *scratch,
                       struct err *err)
{
    if (value->kind == KIND_NULL) {
        buf_puts(out, "\\N");
        return 0;
    }
    buf_reset(scratch);
    if (postgres_text(scratch, column, value, err))
        return -1;
    put_escaped(out, scratch->data, scratch->len);
    return buf_failed(scratch) ? err_memory(err) : 0;
}
