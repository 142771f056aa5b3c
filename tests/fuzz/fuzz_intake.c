/* A body is taken exactly when it is what the header says, by jansson's reading; its records hold what stands in
 * it; and it makes no difference how it was cut. The first byte says where. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "push/intake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL };

static void check(bool good)
{
    if (!good)
        abort();
}

/* What a body came to: its error, or its entities as a list of objects. */
struct outcome {
    struct err err;
    struct buf entities;
    char digest[65];
    size_t count;
    bool beyond; /* a name that jansson does not take */
};

static void put_quoted(struct buf *out, const char *text, size_t len)
{
    json_t *string = json_stringn(text, len);
    char *quoted = json_dumps(string, JSON_ENCODE_ANY);
    check(quoted != NULL);
    buf_puts(out, quoted);
    free(quoted);
    json_decref(string);
}

static void put_item(struct outcome *outcome, const struct intake *intake, const struct item *item)
{
    static const char *const literals[] = {[ITEM_NULL] = "null", [ITEM_FALSE] = "false", [ITEM_TRUE] = "true"};
    size_t len;
    const char *name = names_text(intake_names(intake), item->name, &len);
    outcome->beyond |= memchr(name, '\0', len) != NULL;
    buf_putc(&outcome->entities, ',');
    put_quoted(&outcome->entities, name, len);
    buf_putc(&outcome->entities, ':');
    if (item->kind == ITEM_STRING)
        put_quoted(&outcome->entities, item->text, item->len);
    else if (item->kind >= ITEM_NUMBER)
        buf_put(&outcome->entities, item->text, item->len);
    else
        buf_puts(&outcome->entities, literals[item->kind]);
}

static void put_entity(struct outcome *outcome, struct intake *intake, const struct entry *entry, struct arena *arena)
{
    const char *record = intake_record(intake, entry, arena, NULL);
    size_t offset = 0;
    struct item item;
    check(record != NULL);
    buf_puts(&outcome->entities, entry->deleted ? ",{\"_deleted\":true" : ",{\"_deleted\":false");
    while (record_next(record, entry->len, &offset, &item))
        put_item(outcome, intake, &item);
    check(offset == entry->len);
    buf_putc(&outcome->entities, '}');
}

static int feed(struct intake *intake, const char *text, size_t size, size_t step, struct err *err)
{
    for (size_t at = 0, len; at < size; at += len) {
        len = size - at < step ? size - at : step;
        char *copy = malloc(len); /* gone afterwards, so that a sanitizer sees what was kept of it */
        check(copy != NULL);
        memcpy(copy, text + at, len);
        int failed = intake_feed(intake, copy, len, err);
        free(copy);
        if (failed)
            return -1;
    }
    return intake_end(intake, err);
}

static void take(struct outcome *outcome, const char *text, size_t size, size_t step)
{
    const struct config_listen listen = {
        .max_body_bytes = 1 << 20, .max_entity_bytes = 3000, .request_timeout = 1, .spool_directory = "/nowhere"};
    struct gate *gate = gate_new(1);
    struct arena *arena = arena_new();
    struct intake *intake = intake_new(&listen, gate, NULL, NULL);
    *outcome = (struct outcome){0};
    check(gate && arena && intake);
    int failed = feed(intake, text, size, step, &outcome->err);
    check((failed != 0) == (outcome->err.code != ERR_NONE));
    if (!failed) {
        outcome->count = intake_count(intake);
        memcpy(outcome->digest, intake_digest(intake), sizeof outcome->digest);
        check(intake_bytes(intake) == size);
        for (size_t i = 0; i < outcome->count; i++)
            put_entity(outcome, intake, intake_entry(intake, i), arena);
    }
    intake_free(intake);
    arena_free(arena);
    struct gate_state state;
    gate_state(gate, &state);
    check(state.held == 0);
    gate_free(gate);
}

static void check_same(const struct outcome *one, const struct outcome *other)
{
    check(one->err.code == other->err.code && strcmp(one->err.text, other->err.text) == 0);
    check(one->count == other->count && strcmp(one->digest, other->digest) == 0);
    check(one->entities.len == other->entities.len &&
          (one->entities.len == 0 || memcmp(one->entities.data, other->entities.data, one->entities.len) == 0));
}

static bool is_entity(const json_t *value)
{
    const json_t *id = json_object_get(value, "_id"), *deleted = json_object_get(value, "_deleted");
    return json_is_object(value) && json_is_string(id) &&
           (!deleted || json_is_boolean(deleted) || json_is_null(deleted));
}

static bool is_body(const json_t *value)
{
    if (!json_is_array(value))
        return is_entity(value);
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_entity(json_array_get(value, i)))
            return false;
    return true;
}

/* The entity as its record should have it. */
static json_t *expected_entity(json_t *entity)
{
    json_t *want = json_object();
    const char *name;
    json_t *value;
    json_object_set_new(want, "_deleted", json_boolean(json_is_true(json_object_get(entity, "_deleted"))));
    json_object_foreach(entity, name, value)
        if (name[0] != '_' || strcmp(name, "_id") == 0)
            json_object_set(want, name, value);
    return want;
}

static void check_entities(struct outcome *outcome, json_t *body)
{
    json_t *want = json_array();
    if (json_is_object(body))
        json_array_append_new(want, expected_entity(body));
    for (size_t i = 0; i < json_array_size(body); i++)
        json_array_append_new(want, expected_entity(json_array_get(body, i)));
    if (outcome->entities.len)
        outcome->entities.data[0] = '[';
    else
        buf_putc(&outcome->entities, '[');
    buf_putc(&outcome->entities, ']');
    json_t *got = json_loadb(outcome->entities.data, outcome->entities.len, FLAGS, NULL);
    check(got && json_equal(got, want));
    json_decref(got);
    json_decref(want);
}

static void check_jansson(struct outcome *outcome, const char *text, size_t size)
{
    if (outcome->err.code == ERR_LARGE || outcome->beyond)
        return;
    if (outcome->err.code == ERR_NONE) {
        json_t *body = json_loadb(text, size, FLAGS, NULL);
        /* jansson takes no number that a double cannot hold, and no name with a NUL. */
        if (body) {
            check(is_body(body));
            check_entities(outcome, body);
        }
        json_decref(body);
        return;
    }
    check(outcome->err.code == ERR_INPUT);
    json_t *body = memchr(text, '\0', size) ? NULL : json_loadb(text, size, FLAGS | JSON_REJECT_DUPLICATES, NULL);
    check(!body || !is_body(body));
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 1;
    take(&whole, text, size - 1, size);
    take(&cut, text, size - 1, (size_t)data[0] + 1);
    check_same(&whole, &cut);
    buf_free(&cut.entities);
    take(&cut, text, size - 1, 1);
    check_same(&whole, &cut);
    buf_free(&cut.entities);
    check_jansson(&whole, text, size - 1);
    buf_free(&whole.entities);
    return 0;
}
