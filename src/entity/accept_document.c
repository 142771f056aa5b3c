#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "entity/accept_kind.h"
#include "entity/json_read.h"

/* taking tags off: documents are in record.h's form, where a "~" is never escaped and no blank stands before ':' */

/* The closing quote of the string whose characters begin at text, or the end. */
static const char *string_end(const char *text, const char *end)
{
    for (; text < end && *text != '"'; text++)
        if (*text == '\\' && end - text > 1)
            text++;
    return text;
}

static bool is_tilded(const char *text, size_t len)
{
    return len && memmem(text, len, "\"~", 2);
}

int accept_document(const struct accept *accept, const struct incoming *in, struct arena *arena,
                    const char **text, size_t *len, struct err *err)
{
    *text = in->text;
    *len = in->len;
    if (!is_tilded(in->text, in->len))
        return 0;
    char *copy = arena_alloc(arena, in->len), *to = copy;
    if (!copy)
        return err_memory(err);
    const char *end = in->text + in->len, *done = in->text;
    for (const char *at = in->text; (at = memchr(at, '"', (size_t)(end - at)));) {
        const char *begin = at + 1, *close = string_end(begin, end);
        at = close < end ? close + 1 : end;
        if (begin == close || *begin != '~' || (at < end && *at == ':'))
            continue;
        struct incoming string;
        accept_untag(begin, (size_t)(close - begin), accept->strip_namespaces, &string);
        memcpy(to, done, (size_t)(begin - done));
        to += begin - done;
        done = string.text;
    }
    memcpy(to, done, (size_t)(end - done));
    to += end - done;
    *text = copy;
    *len = (size_t)(to - copy);
    return 0;
}

/* lists */

/* Deeper than any database's lists; documents among the elements may be deeper. */
enum { DEPTH = 1024, LIST_DEPTH = 16 };

struct listing {
    struct accept accept; /* of the elements */
    const struct incoming *in;
    struct json_read *reader;
    struct arena *arena;
    struct err *err;
};

static int broken(struct listing *l)
{
    return err_set(l->err, ERR_VALUE, "is no list");
}

static int next(struct listing *l, struct json_event *event)
{
    return json_read_next(l->reader, event, NULL) == 1 ? 0 : broken(l);
}

/* Skips the array or object that has begun, and gives all of its text. */
static int take_document(struct listing *l, struct item *item)
{
    struct json_event event;
    size_t depth = json_read_depth(l->reader), begin = json_read_position(l->reader) - 1;
    do {
        if (next(l, &event))
            return -1;
    } while (json_read_depth(l->reader) >= depth);
    item->kind = ITEM_DOCUMENT;
    item->text = l->in->text + begin;
    item->len = json_read_position(l->reader) - begin;
    return 0;
}

static int take_item(struct listing *l, const struct json_event *event, struct item *item)
{
    *item = (struct item){.kind = ITEM_NULL};
    switch (event->kind) {
    case JSON_NULL_VALUE:
        return 0;
    case JSON_TRUE_VALUE:
    case JSON_FALSE_VALUE:
        item->kind = event->kind == JSON_TRUE_VALUE ? ITEM_TRUE : ITEM_FALSE;
        return 0;
    case JSON_STRING_VALUE:
    case JSON_NUMBER_VALUE:
        item->kind = event->kind == JSON_STRING_VALUE ? ITEM_STRING : ITEM_NUMBER;
        item->text = arena_copy(l->arena, event->text, event->len);
        item->len = event->len;
        return item->text ? 0 : err_memory(l->err);
    case JSON_BEGIN_ARRAY:
    case JSON_BEGIN_OBJECT:
        return take_document(l, item);
    default:
        return broken(l);
    }
}

static int take_list(struct listing *l, unsigned level, struct value *value);

static int take_element(struct listing *l, const struct json_event *event, unsigned level, struct value *value)
{
    struct item item;
    if (event->kind == JSON_BEGIN_ARRAY && l->accept.column->kind != KIND_JSON)
        return take_list(l, level + 1, value);
    if (take_item(l, event, &item))
        return -1;
    return accept_item(&l->accept, &item, l->arena, value, l->err);
}

static int take_list(struct listing *l, unsigned level, struct value *value)
{
    struct buf items = {0};
    struct json_event event;
    int failed = -1;
    if (level > LIST_DEPTH)
        return err_set(l->err, ERR_VALUE, "has lists within each other more than %d deep", LIST_DEPTH);
    for (;;) {
        struct value element = {.kind = KIND_NULL};
        if (next(l, &event))
            goto out;
        if (event.kind == JSON_END_ARRAY)
            break;
        if (take_element(l, &event, level, &element))
            goto out;
        buf_put(&items, &element, sizeof element);
    }
    if (buf_failed(&items)) {
        err_memory(l->err);
        goto out;
    }
    value->kind = KIND_LIST;
    value->list.count = items.len / sizeof *value->list.items;
    value->list.items = items.len ? (const void *)arena_copy(l->arena, items.data, items.len) : NULL;
    failed = items.len && !value->list.items ? err_memory(l->err) : 0;
out:
    buf_free(&items);
    return failed;
}

static int begin_list(struct listing *l, struct value *value)
{
    struct json_event event;
    json_read_feed(l->reader, l->in->text, l->in->len);
    return next(l, &event) ? -1 : event.kind == JSON_BEGIN_ARRAY ? take_list(l, 1, value) : broken(l);
}

int accept_list(const struct accept *accept, const struct incoming *in, struct arena *arena, struct value *value,
                struct err *err)
{
    const struct json_limits limits = {DEPTH, in->len, in->len, in->len};
    struct column element = *accept->column;
    if (in->kind != IN_DOCUMENT || !in->len || in->text[0] != '[')
        return accept_mismatch(accept->column, in, err);
    element.kind = element.element_kind == KIND_NULL ? KIND_TEXT : element.element_kind;
    element.nullable = true;
    struct listing listing = {.accept = *accept, .in = in, .arena = arena, .err = err};
    listing.accept.column = &element;
    listing.reader = json_read_new(&limits);
    if (!listing.reader)
        return err_memory(err);
    int failed = begin_list(&listing, value);
    json_read_free(listing.reader);
    return failed;
}
