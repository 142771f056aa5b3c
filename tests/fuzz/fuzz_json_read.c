/* The reader says of a document what jansson says, and of its values too; and it makes no difference how the
 * document is cut. The first bytes say where. */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "entity/json_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL, DEPTH = 24, CUTS = 4 };

static const struct json_limits limits = {.depth = DEPTH, .string = 2000, .name = 200, .number = 100};

static void check(bool good)
{
    if (!good)
        abort();
}

/* Events become a tree as jansson builds it. */
struct tree {
    json_t *open[DEPTH + 1]; /* borrowed: arrays and objects that hold each other */
    size_t depth;
    json_t *root;
    char *name;
    bool beyond; /* something that jansson does not take */
};

static void add_value(struct tree *tree, json_t *value)
{
    json_t *parent = tree->depth ? tree->open[tree->depth - 1] : NULL;
    check(value != NULL);
    if (!parent)
        tree->root = value;
    else if (json_is_array(parent))
        check(json_array_append_new(parent, value) == 0);
    else
        check(tree->name && json_object_set_new(parent, tree->name, value) == 0);
    free(tree->name);
    tree->name = NULL;
}

static json_t *number_of(struct tree *tree, const char *text, size_t len)
{
    char digits[200];
    check(len > 0 && len < sizeof digits);
    memcpy(digits, text, len);
    digits[len] = '\0';
    errno = 0;
    if (!strpbrk(digits, ".eE")) {
        long long integer = strtoll(digits, NULL, 10);
        tree->beyond |= errno == ERANGE;
        return json_integer(integer);
    }
    double real = strtod(digits, NULL);
    if (real - real != 0) {
        tree->beyond = true;
        real = 0;
    }
    return json_real(real);
}

static void add_event(struct tree *tree, const struct json_event *event)
{
    switch (event->kind) {
    case JSON_BEGIN_OBJECT:
    case JSON_BEGIN_ARRAY: {
        json_t *value = event->kind == JSON_BEGIN_OBJECT ? json_object() : json_array();
        add_value(tree, value);
        tree->open[tree->depth++] = value;
        break;
    }
    case JSON_END_OBJECT:
    case JSON_END_ARRAY:
        check(tree->depth > 0 && json_is_object(tree->open[tree->depth - 1]) == (event->kind == JSON_END_OBJECT));
        tree->depth--;
        break;
    case JSON_NAME:
        tree->beyond |= memchr(event->text, '\0', event->len) != NULL;
        tree->name = strndup(event->text, event->len);
        break;
    case JSON_STRING_VALUE:
        add_value(tree, json_stringn(event->text, event->len));
        break;
    case JSON_NUMBER_VALUE:
        add_value(tree, number_of(tree, event->text, event->len));
        break;
    default:
        add_value(tree, event->kind == JSON_NULL_VALUE ? json_null() : json_boolean(event->kind == JSON_TRUE_VALUE));
    }
}

/* What was read: its events as bytes, with depth and position, and the error behind them. */
struct reading {
    struct buf trace;
    struct err err;
    struct tree tree;
};

static void trace_event(struct reading *reading, const struct json_read *reader, const struct json_event *event)
{
    const size_t facts[] = {(size_t)event->kind, event->len, json_read_depth(reader), json_read_position(reader)};
    buf_put(&reading->trace, facts, sizeof facts);
    buf_put(&reading->trace, event->text, event->len);
    add_event(&reading->tree, event);
}

static int read_piece(struct reading *reading, struct json_read *reader, const char *text, size_t len)
{
    struct json_event event;
    int got;
    char *copy = malloc(len + !len); /* gone afterwards, so that a sanitizer sees what was kept of it */
    check(copy != NULL);
    if (len)
        memcpy(copy, text, len);
    json_read_feed(reader, copy, len);
    while ((got = json_read_next(reader, &event, &reading->err)) > 0)
        trace_event(reading, reader, &event);
    free(copy);
    return got;
}

/* Reads text in pieces of step bytes, or cut at the places. */
static void read_all(struct reading *reading, const char *text, size_t size, size_t step, const size_t *places)
{
    struct json_read *reader = json_read_new(&limits);
    struct json_event event;
    int got = 0;
    check(reader != NULL);
    *reading = (struct reading){0};
    for (size_t at = 0, i = 0, end; at < size && got == 0; at = end) {
        end = places ? i < CUTS ? places[i++] : size : at + step;
        if (end < at || end > size)
            end = size;
        got = read_piece(reading, reader, text + at, end - at);
    }
    while (got == 0 && (got = json_read_end(reader, &event, &reading->err)) > 0) {
        trace_event(reading, reader, &event);
        got = 0;
    }
    check((got < 0) == (reading->err.code != ERR_NONE));
    check(got < 0 || (json_read_depth(reader) == 0 && reading->tree.root));
    json_read_free(reader);
}

static void free_reading(struct reading *reading)
{
    json_decref(reading->tree.root);
    free(reading->tree.name);
    buf_free(&reading->trace);
}

static void check_same(const struct reading *one, const struct reading *other)
{
    check(one->err.code == other->err.code && strcmp(one->err.text, other->err.text) == 0);
    check(one->trace.len == other->trace.len &&
          (one->trace.len == 0 || memcmp(one->trace.data, other->trace.data, one->trace.len) == 0));
}

static void check_jansson(const struct reading *reading, const char *text, size_t size)
{
    bool nul = memchr(text, '\0', size) != NULL; /* jansson loses one behind a number at the end */
    check(!nul || reading->err.code != ERR_NONE);
    if (nul || reading->err.code == ERR_LARGE || reading->tree.beyond)
        return;
    json_t *value = json_loadb(text, size, FLAGS, NULL);
    check((value != NULL) == (reading->err.code == ERR_NONE));
    check(!value || json_equal(value, reading->tree.root));
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading whole, other;
    size_t places[CUTS], at = 0;
    if (size < CUTS)
        return 0;
    const char *text = (const char *)data + CUTS;
    size -= CUTS;
    for (size_t i = 0; i < CUTS; i++)
        places[i] = at += data[i];
    read_all(&whole, text, size, size + !size, NULL);
    read_all(&other, text, size, 1, NULL);
    check_same(&whole, &other);
    free_reading(&other);
    read_all(&other, text, size, 0, places);
    check_same(&whole, &other);
    free_reading(&other);
    check_jansson(&whole, text, size);
    free_reading(&whole);
    return 0;
}
