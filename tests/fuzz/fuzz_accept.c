/* What accept takes and a source then sends is taken again, and is the same. The first byte chooses the column, the
 * second what is tried; the rest is the property's JSON, an item's raw text, or an _id. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "entity/accept.h"
#include "entity/entity.h"
#include "entity/json_read.h"
#include "entity/json_write.h"
#include "entity/same.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct column columns[] = {
    {.kind = KIND_BOOL},
    {.kind = KIND_INT},
    {.kind = KIND_INT, .bits = 16},
    {.kind = KIND_UINT},
    {.kind = KIND_FLOAT},
    {.kind = KIND_FLOAT, .single = true},
    {.kind = KIND_DECIMAL},
    {.kind = KIND_DECIMAL, .precision = 10, .scale = 2},
    {.kind = KIND_TEXT},
    {.kind = KIND_TEXT, .max_chars = 5, .max_bytes = 7},
    {.kind = KIND_BYTES, .max_bytes = 9},
    {.kind = KIND_DATETIME, .digits = 6},
    {.kind = KIND_DATETIME, .digits = 3, .zoneless = true},
    {.kind = KIND_DATE},
    {.kind = KIND_UUID},
    {.kind = KIND_JSON},
    {.kind = KIND_LIST, .element_kind = KIND_INT},
    {.kind = KIND_LIST, .element_kind = KIND_TEXT},
    {.kind = KIND_LIST, .element_kind = KIND_JSON},
    {.kind = KIND_LIST, .element_kind = KIND_DATETIME, .digits = 6},
    {.kind = KIND_TEXT, .position = POSITION_ANY},
    {.kind = KIND_FLOAT, .position = POSITION_ANY},
    {.kind = KIND_INT, .position = POSITION_ANY},
    {.kind = KIND_BYTES, .position = POSITION_ANY},
};

enum { COLUMNS = sizeof columns / sizeof *columns };

static struct zone *zone;

/* One event, in the form that items have. */
static void put_event(struct buf *out, const struct json_event *event, bool *comma)
{
    bool closes = event->kind == JSON_END_ARRAY || event->kind == JSON_END_OBJECT;
    if (*comma && !closes)
        buf_putc(out, ',');
    *comma = true;
    switch (event->kind) {
    case JSON_BEGIN_OBJECT:
    case JSON_BEGIN_ARRAY:
        buf_putc(out, event->kind == JSON_BEGIN_ARRAY ? '[' : '{');
        *comma = false;
        break;
    case JSON_END_OBJECT:
    case JSON_END_ARRAY:
        buf_putc(out, event->kind == JSON_END_ARRAY ? ']' : '}');
        break;
    case JSON_NAME:
    case JSON_STRING_VALUE:
        if (json_write_string(out, event->text, event->len))
            abort();
        break;
    case JSON_NUMBER_VALUE:
        buf_put(out, event->text, event->len);
        break;
    default:
        buf_puts(out, event->kind == JSON_NULL_VALUE ? "null" : event->kind == JSON_TRUE_VALUE ? "true" : "false");
    }
    if (event->kind == JSON_NAME) {
        buf_putc(out, ':');
        *comma = false;
    }
}

static void set_item(struct item *item, const struct json_event *event)
{
    switch (event->kind) {
    case JSON_BEGIN_OBJECT:
    case JSON_BEGIN_ARRAY:
        item->kind = ITEM_DOCUMENT;
        break;
    case JSON_STRING_VALUE:
        item->kind = ITEM_STRING;
        break;
    case JSON_NUMBER_VALUE:
        item->kind = ITEM_NUMBER;
        break;
    default:
        item->kind = event->kind == JSON_NULL_VALUE   ? ITEM_NULL
                     : event->kind == JSON_TRUE_VALUE ? ITEM_TRUE
                                                      : ITEM_FALSE;
    }
}

/* The item a property's JSON becomes; its text is in text. False when it is no JSON. */
static bool item_of(const char *json, size_t len, struct buf *text, struct item *item)
{
    const struct json_limits limits = {400, len + 1, len + 1, len + 1};
    struct json_read *reader = json_read_new(&limits);
    struct json_event event;
    bool comma = false, first = true;
    int more;
    if (!reader)
        abort();
    json_read_feed(reader, json, len);
    while ((more = json_read_next(reader, &event, NULL)) == 1 ||
           (more == 0 && json_read_end(reader, &event, NULL) == 1)) {
        if (first)
            set_item(item, &event);
        if (item->kind == ITEM_STRING)
            buf_put(text, event.text, event.len);
        else
            put_event(text, &event, &comma);
        first = false;
        if (more == 0)
            break;
    }
    bool whole = more == 0 && !first && json_read_end(reader, &event, NULL) == 0;
    json_read_free(reader);
    item->text = text->data ? text->data : "";
    item->len = text->len;
    return whole;
}

static void travel(const struct accept *accept, const struct value *value)
{
    const struct column *column = accept->column;
    const struct field field = {.digits = column->digits, .zone = column->zoneless ? accept->zone : NULL};
    struct accept plain = *accept;
    struct arena *arena = arena_new();
    struct buf json = {0}, text = {0};
    struct item item = {.kind = ITEM_NULL};
    struct value back = {.kind = KIND_NULL};
    plain.strip_namespaces = false;
    entity_value(&json, &field, value);
    if (!item_of(json.data, json.len, &text, &item))
        abort();
    if (accept_item(&plain, &item, arena, &back, NULL))
        abort();
    if (!same_value(column, value, &back))
        abort();
    buf_free(&json);
    buf_free(&text);
    arena_free(arena);
}

static void try_json(const struct accept *accept, const char *json, size_t len)
{
    struct arena *arena = arena_new();
    struct buf text = {0};
    struct item item = {.kind = ITEM_NULL};
    struct value value = {.kind = KIND_NULL};
    struct err err = {0};
    if (item_of(json, len, &text, &item)) {
        if (accept_item(accept, &item, arena, &value, &err) == 0)
            travel(accept, &value);
        else if (err.code != ERR_VALUE || !*err.text)
            abort();
    }
    buf_free(&text);
    arena_free(arena);
}

/* Whatever the text is: no step beyond its end. */
static void try_raw(const struct accept *accept, enum item_kind kind, const char *text, size_t len)
{
    struct arena *arena = arena_new();
    struct item item = {.kind = kind, .text = text, .len = len};
    struct value value = {.kind = KIND_NULL}, part = {.kind = KIND_NULL};
    if (accept_item(accept, &item, arena, &value, NULL) == 0 &&
        accept_text(accept, text, len, arena, &part, NULL) == 0)
        same_value(accept->column, &value, &part);
    arena_free(arena);
}

static void try_id(const char *id, size_t len, size_t count)
{
    struct arena *arena = arena_new();
    struct id_part parts[4], again[4];
    struct value values[4];
    const struct value *pointers[4];
    const struct field field = {0}, *const fields[] = {&field, &field, &field, &field};
    struct buf back = {0};
    if (!json_write_is_utf8(id, len) || accept_id(id, len, arena, parts, count, NULL))
        goto out;
    for (size_t i = 0; i < count; i++) {
        values[i] = value_text(KIND_TEXT, parts[i].text, parts[i].len);
        pointers[i] = &values[i];
    }
    entity_id(&back, fields, pointers, count);
    if (accept_id(back.data ? back.data : "", back.len, arena, again, count, NULL))
        abort();
    for (size_t i = 0; i < count; i++)
        if (parts[i].len != again[i].len || (parts[i].len && memcmp(parts[i].text, again[i].text, parts[i].len) != 0))
            abort();
out:
    buf_free(&back);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (!zone && zone_open(&zone, "Europe/Oslo", NULL))
        abort();
    const struct accept accept = {.column = &columns[data[0] % COLUMNS],
                                  .zone = data[1] & 64 ? zone : NULL,
                                  .strip_namespaces = data[1] & 32,
                                  .strip_spaces = data[1] & 16};
    const char *text = (const char *)data + 2;
    switch (data[1] & 7) {
    case 0:
        try_id(text, size - 2, 1 + (data[1] >> 3 & 1) + data[0] % 3);
        break;
    case 1:
        try_raw(&accept, ITEM_STRING, text, size - 2);
        break;
    case 2:
        try_raw(&accept, ITEM_NUMBER, text, size - 2);
        break;
    case 3:
        try_raw(&accept, ITEM_DOCUMENT, text, size - 2);
        break;
    default:
        try_json(&accept, text, size - 2);
    }
    return 0;
}
