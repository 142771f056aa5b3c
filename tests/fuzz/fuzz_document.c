/* A JSON document goes out as the document in which strings that begin with "~" have one more; jansson
 * reads both. The first byte is the size of lent memory that it is written into. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "entity/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLAGS = JSON_DECODE_ANY | JSON_ALLOW_NUL };

static json_t *expected(const json_t *value);

static json_t *expected_string(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);
    char *tilded = malloc(len + 1);
    if (!tilded)
        abort();
    tilded[0] = '~';
    memcpy(tilded + 1, text, len);
    json_t *string = len && text[0] == '~' ? json_stringn(tilded, len + 1) : json_stringn(text, len);
    free(tilded);
    return string;
}

static json_t *expected_object(const json_t *value)
{
    json_t *object = json_object();
    for (void *at = json_object_iter((json_t *)value); at; at = json_object_iter_next((json_t *)value, at))
        json_object_set_new(object, json_object_iter_key(at), expected(json_object_iter_value(at)));
    return object;
}

static json_t *expected(const json_t *value)
{
    if (json_is_string(value))
        return expected_string(value);
    if (json_is_object(value))
        return expected_object(value);
    if (!json_is_array(value))
        return json_incref((json_t *)value);
    json_t *array = json_array();
    for (size_t i = 0; i < json_array_size(value); i++)
        json_array_append_new(array, expected(json_array_get(value, i)));
    return array;
}

static void check(const char *text, size_t size, const struct buf *out)
{
    json_t *before = json_loadb(text, size, FLAGS, NULL);
    if (!before)
        return;
    json_t *after = json_loadb(out->data, out->len, FLAGS, NULL), *wanted = expected(before);
    if (!json_equal(after, wanted))
        abort();
    json_decref(before);
    json_decref(after);
    json_decref(wanted);
}

/* The same bytes come of it in lent memory. */
static void check_lent(const char *text, size_t size, size_t room, int failed, const struct buf *want)
{
    struct buf out;
    char *memory = malloc(room + 1);
    if (!memory)
        abort();
    buf_lend(&out, memory, room);
    if (json_write_document(&out, text, size) != failed || out.len != want->len ||
        (out.len && memcmp(out.data, want->data, out.len) != 0))
        abort();
    buf_free(&out);
    free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    const char *text = (const char *)data + 1;
    struct buf out = {0};
    int failed = json_write_document(&out, text, size - 1);
    json_t *valid = failed ? json_loadb(text, size - 1, FLAGS, NULL) : NULL;
    if (valid || (failed && out.len))
        abort();
    check_lent(text, size - 1, data[0], failed, &out);
    if (!failed)
        check(text, size - 1, &out);
    buf_free(&out);
    return 0;
}
