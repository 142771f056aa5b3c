#include "entity/entity.h"

#include <string.h>

#include "base/iso.h"
#include "entity/json_write.h"
#include "entity/number.h"

int entity_field(struct field *field, struct arena *arena, const char *property, struct err *err)
{
    struct buf prefix = {0};
    buf_putc(&prefix, ',');
    if (json_write_string(&prefix, property, strlen(property))) {
        buf_free(&prefix);
        return err_set(err, ERR_DATABASE, "the column name '%s' is not valid UTF-8", property);
    }
    buf_putc(&prefix, ':');
    field->prefix_len = prefix.len;
    char *copy = buf_failed(&prefix) ? NULL : arena_alloc(arena, prefix.len + BUF_SHORT);
    if (copy)
        memcpy(copy, prefix.data, prefix.len);
    field->prefix = copy;
    buf_free(&prefix);
    return field->prefix ? 0 : err_memory(err);
}

static void put_bytes(struct buf *out, const struct value *value)
{
    buf_put(out, "\"~b", 3);
    json_write_base64(out, value->text.bytes, value->text.len);
    buf_putc(out, '"');
}

/* A text; what begins with "~" gets one more, and what is not UTF-8 can only go as bytes. */
static void put_text(struct buf *out, const struct value *value)
{
    size_t start = buf_offset(out);
    buf_putc(out, '"');
    if (value->text.len && value->text.bytes[0] == '~')
        buf_putc(out, '~');
    if (json_write_chars(out, value->text.bytes, value->text.len)) {
        buf_rewind(out, start);
        put_bytes(out, value);
        return;
    }
    buf_putc(out, '"');
}

/* NaN and the infinities are no numbers in JSON, nor decimals in Transit. */
static bool is_number(const struct value *value)
{
    const char *text = value->text.bytes;
    size_t len = value->text.len;
    size_t sign = len && text[0] == '-';
    return len > sign && text[sign] >= '0' && text[sign] <= '9';
}

static void put_float(struct buf *out, const struct value *value)
{
    if (!is_number(value)) {
        put_text(out, value);
        return;
    }
    buf_put(out, value->text.bytes, value->text.len);
    if (value->text.len == 2 && memcmp(value->text.bytes, "-0", 2) == 0)
        buf_put(out, ".0", 2); /* many readers take "-0" for an integer, which has no such sign */
}

static void put_decimal(struct buf *out, const struct value *value)
{
    if (!is_number(value)) {
        put_text(out, value);
        return;
    }
    buf_put(out, "\"~f", 3);
    buf_put(out, value->text.bytes, value->text.len);
    buf_putc(out, '"');
}

static size_t datetime_text(char *text, const struct field *field, const struct value *value)
{
    int64_t time = field->zone ? zone_to_utc(field->zone, value->integer) : value->integer;
    /* A zone can push the first and last hours of the calendar over its edge. */
    if (time < ISO_TIME_MIN || time > ISO_TIME_MAX)
        return iso_datetime(text, value->integer, field->digits, "");
    return iso_datetime(text, time, field->digits, "Z");
}

static void put_datetime(struct buf *out, const struct field *field, const struct value *value)
{
    char text[ISO_SIZE + 4] = "\"~t";
    size_t len = 3 + datetime_text(text + 3, field, value);
    size_t from = text[len - 1] == 'Z' ? 0 : 2;
    if (from)
        text[2] = '"';
    text[len++] = '"';
    buf_put_short(out, text + from, len - from);
}

static void put_date(struct buf *out, const struct value *value)
{
    char text[ISO_SIZE + 4] = "\"~t";
    size_t len = 3 + iso_date(text + 3, value->integer);
    text[len++] = '"';
    buf_put_short(out, text, len);
}

static void put_uuid(struct buf *out, const struct value *value)
{
    char text[ISO_SIZE + 4] = "\"~u";
    size_t len = 3 + iso_uuid(text + 3, value->text.bytes);
    text[len++] = '"';
    buf_put(out, text, len);
}

static void put_list(struct buf *out, const struct field *field, const struct value *value)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < value->list.count; i++) {
        if (i)
            buf_putc(out, ',');
        entity_value(out, field, &value->list.items[i]);
    }
    buf_putc(out, ']');
}

void entity_value(struct buf *out, const struct field *field, const struct value *value)
{
    switch (value->kind) {
    case KIND_NULL:
        buf_put(out, "null", 4);
        break;
    case KIND_BOOL:
        buf_puts(out, value->boolean ? "true" : "false");
        break;
    case KIND_INT:
        json_write_integer(out, value->integer);
        break;
    case KIND_UINT:
        json_write_natural(out, value->natural);
        break;
    case KIND_FLOAT:
        put_float(out, value);
        break;
    case KIND_DECIMAL:
        put_decimal(out, value);
        break;
    case KIND_TEXT:
        put_text(out, value);
        break;
    case KIND_BYTES:
        put_bytes(out, value);
        break;
    case KIND_DATETIME:
        put_datetime(out, field, value);
        break;
    case KIND_DATE:
        put_date(out, value);
        break;
    case KIND_UUID:
        put_uuid(out, value);
        break;
    case KIND_JSON:
        if (json_write_document(out, value->text.bytes, value->text.len))
            put_text(out, value);
        break;
    case KIND_LIST:
        put_list(out, field, value);
        break;
    }
}

void entity_property(struct buf *out, const struct field *field, const struct value *value, bool keep_nulls)
{
    if (field->silent || (value->kind == KIND_NULL && !keep_nulls))
        return;
    if (field->prefix_len <= BUF_SHORT)
        buf_put_short(out, field->prefix, field->prefix_len);
    else
        buf_put(out, field->prefix, field->prefix_len);
    entity_value(out, field, value);
}

void entity_text(struct buf *out, const struct field *field, const struct value *value)
{
    char text[ISO_SIZE];
    switch (value->kind) {
    case KIND_BOOL:
        buf_puts(out, value->boolean ? "true" : "false");
        break;
    case KIND_INT:
        json_write_integer(out, value->integer);
        break;
    case KIND_UINT:
        json_write_natural(out, value->natural);
        break;
    case KIND_BYTES:
        json_write_base64(out, value->text.bytes, value->text.len);
        break;
    case KIND_TEXT:
        if (json_write_is_utf8(value->text.bytes, value->text.len))
            buf_put(out, value->text.bytes, value->text.len);
        else
            json_write_base64(out, value->text.bytes, value->text.len);
        break;
    case KIND_DATETIME:
        buf_put_short(out, text, datetime_text(text, field, value));
        break;
    case KIND_DATE:
        buf_put(out, text, iso_date(text, value->integer));
        break;
    case KIND_UUID:
        buf_put(out, text, iso_uuid(text, value->text.bytes));
        break;
    case KIND_FLOAT:
    case KIND_DECIMAL:
    case KIND_JSON:
        buf_put(out, value->text.bytes, value->text.len);
        break;
    case KIND_NULL:
    case KIND_LIST:
        break;
    }
}

/* Encodes what was written from start on. */
static void percent_encode(struct buf *out, size_t start)
{
    struct buf part = {0};
    size_t from = start - out->left;
    buf_put(&part, out->data + from, out->len - from);
    buf_rewind(out, start);
    for (size_t i = 0; i < part.len; i++)
        if (part.data[i] == ':')
            buf_put(out, "%3A", 3);
        else if (part.data[i] == '%')
            buf_put(out, "%25", 3);
        else
            buf_putc(out, part.data[i]);
    if (buf_failed(&part))
        out->failed = true;
    buf_free(&part);
}

static bool has_separator(const struct buf *out, size_t start)
{
    size_t from = start - out->left, len = out->len - from;
    return len && (memchr(out->data + from, ':', len) || memchr(out->data + from, '%', len));
}

void entity_id(struct buf *out, const struct field *const *fields, const struct value *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_putc(out, ':');
        size_t start = buf_offset(out);
        entity_text(out, fields[i], parts[i]);
        if (count > 1 && has_separator(out, start))
            percent_encode(out, start);
    }
}

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len, bool padded)
{
    while (padded && a_len && a[a_len - 1] == ' ')
        a_len--;
    while (padded && b_len && b[b_len - 1] == ' ')
        b_len--;
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

static bool equals_bool(const struct value *value, bool wanted)
{
    if (value->kind == KIND_BOOL)
        return value->boolean == wanted;
    return (value->kind == KIND_INT && value->integer == wanted) ||
           (value->kind == KIND_UINT && value->natural == wanted);
}

/* 1.50 is 1.5 to every database, though not to entities. */
static bool equals_number(const struct value *value, const char *wanted)
{
    struct number a, b;
    return (value->kind == KIND_DECIMAL || value->kind == KIND_FLOAT) &&
           number_parse(&a, value->text.bytes, value->text.len) == 0 &&
           number_parse(&b, wanted, strlen(wanted)) == 0 && number_equal(&a, &b);
}

bool entity_equals(const struct value *value, const struct field *field, const struct config_value *wanted)
{
    if (value->kind == KIND_NULL || value->kind == KIND_LIST || wanted->type == CONFIG_NULL)
        return value->kind == KIND_NULL && wanted->type == CONFIG_NULL;
    if (wanted->type == CONFIG_BOOL)
        return equals_bool(value, wanted->boolean);
    if (value->kind == KIND_BOOL && wanted->type == CONFIG_INTEGER)
        return strcmp(wanted->text, value->boolean ? "1" : "0") == 0;
    if (equals_number(value, wanted->text))
        return true;
    struct buf text = {0};
    entity_text(&text, field, value);
    bool equal = !buf_failed(&text) &&
                 same_text(text.data, text.len, wanted->text, strlen(wanted->text), field->padded);
    buf_free(&text);
    return equal;
}
