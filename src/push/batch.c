#include "push/batch.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

/* A key as bytes that order as memcmp does, and are equal just when the key is. */
struct keyed {
    const char *key;
    uint32_t len;
    uint32_t number; /* of the entity */
};

static void put_big_endian(struct buf *out, uint64_t number)
{
    uint64_t raw = htobe64(number);
    buf_put(out, &raw, sizeof raw);
}

/* Parts end with 0 0; a 0 inside is 0 1, so that no part runs into the next. */
static void put_bytes(struct buf *out, const char *bytes, size_t len)
{
    while (len) {
        const char *zero = memchr(bytes, '\0', len);
        size_t plain = zero ? (size_t)(zero - bytes) : len;
        buf_put(out, bytes, plain);
        if (zero)
            buf_put(out, "\0\1", 2);
        bytes += plain + (zero != NULL);
        len -= plain + (zero != NULL);
    }
    buf_put(out, "\0\0", 2);
}

static void put_part(struct buf *out, const struct value *value)
{
    buf_putc(out, (char)value->kind);
    switch (value->kind) {
    case KIND_BOOL:
        buf_putc(out, value->boolean);
        break;
    case KIND_INT:
    case KIND_DATETIME:
    case KIND_DATE:
        put_big_endian(out, (uint64_t)value->integer ^ (UINT64_C(1) << 63));
        break;
    case KIND_UINT:
        put_big_endian(out, value->natural);
        break;
    case KIND_NULL:
    case KIND_LIST:
        break;
    default:
        put_bytes(out, value->text.bytes, value->text.len);
    }
}

static int compare_keys(const void *a, const void *b)
{
    const struct keyed *one = a, *other = b;
    uint32_t len = one->len < other->len ? one->len : other->len;
    int order = memcmp(one->key, other->key, len);
    if (order)
        return order;
    if (one->len != other->len)
        return one->len < other->len ? -1 : 1;
    return one->number < other->number ? -1 : one->number > other->number;
}

static bool is_same(const struct keyed *a, const struct keyed *b)
{
    return a->len == b->len && memcmp(a->key, b->key, a->len) == 0;
}

/* Most requests come in order already. */
static void sort(struct keyed *keys, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (compare_keys(&keys[i - 1], &keys[i]) > 0) {
            qsort(keys, count, sizeof *keys, compare_keys);
            return;
        }
}

/* Keys that order by their bytes. */
static int read_exact(struct rows *rows, struct keyed *keys, size_t count, struct err *err)
{
    size_t parts = rows->shape->relation->key_count;
    struct value *values = arena_array(rows->arena, parts, sizeof *values);
    struct arena *scratch = arena_new();
    struct buf key = {0};
    int failed = values && scratch ? 0 : err_memory(err);
    for (size_t i = 0; i < count && !failed; i++) {
        arena_reset(scratch);
        buf_reset(&key);
        failed = rows_key(rows, intake_entry(rows->intake, i), scratch, values, err);
        for (size_t k = 0; k < parts && !failed; k++)
            put_part(&key, &values[k]);
        if (failed)
            break;
        keys[i] = (struct keyed){arena_copy(rows->arena, key.data, key.len), (uint32_t)key.len, (uint32_t)i};
        if (!keys[i].key)
            failed = err_memory(err);
    }
    buf_free(&key);
    arena_free(scratch);
    return failed;
}

/* A key's values for as long as the request lives; what else there was of the entity may go. */
static int keep_values(struct rows *rows, struct value *kept, const struct value *values, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        kept[i] = values[i];
        if (!value_has_text(&values[i]))
            continue;
        kept[i].text.bytes = arena_copy(rows->arena, values[i].text.bytes, values[i].text.len);
        if (!kept[i].text.bytes)
            return err_memory(err);
    }
    return 0;
}

static int read_keys(struct rows *rows, struct value *kept, size_t count, struct err *err)
{
    size_t columns = rows->shape->relation->key_count;
    struct value *values = arena_array(rows->arena, columns, sizeof *values);
    struct arena *scratch = arena_new();
    int failed = values && scratch ? 0 : err_memory(err);
    for (size_t i = 0; i < count && !failed; i++) {
        arena_reset(scratch);
        failed = rows_key(rows, intake_entry(rows->intake, i), scratch, values, err) ||
                 keep_values(rows, kept + i * columns, values, columns, err);
    }
    arena_free(scratch);
    return failed ? -1 : 0;
}

/* Keys whose equality and order only the database knows: each becomes its number in that order. */
static int read_ranked(struct rows *rows, struct conn *conn, struct keyed *keys, size_t count, struct err *err)
{
    size_t columns = rows->shape->relation->key_count;
    struct row *list = arena_array(rows->arena, count, sizeof *list);
    const struct row **pointers = arena_array(rows->arena, count, sizeof *pointers);
    struct value *values = arena_array(rows->arena, count, columns * sizeof *values);
    uint32_t *ranks = arena_array(rows->arena, count, sizeof *ranks);
    if (!list || !pointers || !values || !ranks)
        return err_memory(err);
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct row){.values = values + i * columns, .number = i};
        pointers[i] = &list[i];
    }
    if (read_keys(rows, values, count, err) ||
        sink_db(rows->sink)->driver->rank(conn, &rows->shape->target, pointers, count, ranks, err))
        return -1;
    for (size_t i = 0; i < count; i++) {
        ranks[i] = htobe32(ranks[i]);
        keys[i] = (struct keyed){(const char *)&ranks[i], sizeof *ranks, (uint32_t)i};
    }
    return 0;
}

int batch_make(struct batch *batch, struct rows *rows, struct conn *conn, struct err *err)
{
    size_t count = intake_count(rows->intake);
    struct keyed *keys = arena_array(rows->arena, count + 1, sizeof *keys);
    *batch = (struct batch){.entries = arena_array(rows->arena, count + 1, sizeof *batch->entries)};
    if (!keys || !batch->entries)
        return err_memory(err);
    if (count && (rows->shape->exact ? read_exact(rows, keys, count, err) : read_ranked(rows, conn, keys, count, err)))
        return -1;
    sort(keys, count);
    for (size_t i = 0; i < count; i++)
        if (i + 1 == count || !is_same(&keys[i], &keys[i + 1]))
            batch->entries[batch->count++] = intake_entry(rows->intake, keys[i].number);
    batch->doubles = count - batch->count;
    return 0;
}
