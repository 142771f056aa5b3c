/* A target that was taken apart, encoded again and taken apart again has the same parts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(struct buf *out, const char *text)
{
    for (; *text; text++)
        buf_printf(out, "%%%02x", (unsigned char)*text);
}

static void check(const struct query *query, struct arena *arena)
{
    struct buf uri = {0};
    struct query again;
    struct err err = {0};
    encode(&uri, query->path);
    for (size_t i = 0; i < query->count; i++) {
        buf_putc(&uri, i ? '&' : '?');
        encode(&uri, query->parameters[i].name);
        buf_putc(&uri, '=');
        encode(&uri, query->parameters[i].value);
    }
    if (!buf_text(&uri) || query_parse(&again, uri.data, arena, &err) || again.count != query->count ||
        strcmp(again.path, query->path) != 0)
        abort();
    for (size_t i = 0; i < query->count; i++)
        if (strcmp(again.parameters[i].name, query->parameters[i].name) != 0 ||
            strcmp(again.parameters[i].value, query->parameters[i].value) != 0)
            abort();
    buf_free(&uri);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    char *uri = malloc(size + 1);
    struct query query;
    struct err err = {0};
    if (!arena || !uri)
        abort();
    if (size)
        memcpy(uri, data, size);
    uri[size] = '\0';
    if (query_parse(&query, uri, arena, &err) == 0)
        check(&query, arena);
    else if (err.code != ERR_INPUT)
        abort();
    free(uri);
    arena_free(arena);
    return 0;
}
