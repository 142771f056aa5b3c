/* What is read as a token is written as the same token; what is read as a plain since is read again from the
 * token of its value. The first byte chooses the columns. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "entity/since.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct column sorts[] = {
    {.name = "i", .kind = KIND_INT, .position = POSITION_INTEGER},
    {.name = "t", .kind = KIND_DATETIME, .position = POSITION_DATETIME},
    {.name = "w", .kind = KIND_DATETIME, .position = POSITION_DATETIME, .zoneless = true},
    {.name = "d", .kind = KIND_DATE, .position = POSITION_DATE},
    {.name = "u", .kind = KIND_UUID, .position = POSITION_UUID},
    {.name = "x", .kind = KIND_TEXT, .position = POSITION_TEXT},
    {.name = "n", .kind = KIND_DECIMAL, .position = POSITION_TEXT},
    {.name = "a", .kind = KIND_TEXT, .position = POSITION_ANY},
};

static void write_token(const struct since_shape *shape, const struct since *since, struct buf *token)
{
    const struct value *key[] = {since->position.key, since->position.key ? since->position.key + 1 : NULL};
    const struct value *scanned[] = {since->scanned, since->scanned ? since->scanned + 1 : NULL};
    bool based = since->kind == SINCE_SCAN && since->base.updated != since->low.updated;
    struct err err = {0};
    int failed = since->scanned ? since_write_scan(token, shape, &since->low, &since->position, scanned, &err)
                 : since->kind == SINCE_PAIR
                     ? since_write_pair(token, shape, &since->low, since->position.updated, key, &err)
                     : since_write(token, shape, since->position.updated, since->position.key ? key : NULL, &err);
    if (failed || (based && since_write_sent(token, shape, &since->base, &err)))
        abort();
    if (since->over)
        since_write_mark(token);
}

static void check(const struct since_shape *shape, const char *text, struct arena *arena)
{
    struct since since, again;
    struct err err = {0};
    struct buf token = {0}, second = {0};
    if (since_parse(&since, shape, text, arena, &err)) {
        if ((err.code != ERR_INPUT && err.code != ERR_GONE) || !*err.hint)
            abort();
        return;
    }
    write_token(shape, &since, &token);
    if (strchr(text, '!') && !shape->plain && strcmp(buf_text(&token), text) != 0)
        abort();
    struct since_shape keyset = *shape;
    keyset.plain = false;
    if (since_parse(&again, &keyset, buf_text(&token), arena, &err) || again.kind != since.kind)
        abort();
    write_token(shape, &again, &second);
    if (strcmp(buf_text(&token), buf_text(&second)) != 0)
        abort();
    buf_free(&token);
    buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zone *zone;
    static const size_t key[] = {1, 2};
    struct err err = {0};
    if (!zone && zone_open(&zone, "Europe/Oslo", &err))
        abort();
    if (size < 2)
        return 0;
    struct column columns[] = {sorts[data[0] & 7], sorts[data[0] >> 3 & 7], sorts[data[1] & 7]};
    struct relation relation = {
        .columns = columns, .column_count = 3, .key = (size_t *)key, .key_count = 1 + (data[1] >> 3 & 1)};
    struct since_shape shape = {
        .relation = &relation, .zone = data[1] & 0x10 ? zone : NULL, .plain = data[1] & 0x20};
    if (columns[0].position == POSITION_INTEGER)
        shape.unit = (enum config_unit)(data[1] >> 6);
    struct arena *arena = arena_new();
    char *text = arena ? arena_copy(arena, data + 2, size - 2) : NULL;
    if (text)
        check(&shape, text, arena);
    arena_free(arena);
    return 0;
}
