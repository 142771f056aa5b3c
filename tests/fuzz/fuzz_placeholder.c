/* The placeholders found in any text stand where they are said to. The first byte chooses the database. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/placeholder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct placeholder *list = NULL;
    struct err err = {0};
    size_t count = 0, last = 0;
    if (size < 1)
        return 0;
    struct arena *arena = arena_new();
    char *sql = malloc(size);
    if (!arena || !sql)
        abort();
    memcpy(sql, data + 1, size - 1);
    sql[size - 1] = '\0';
    if (placeholder_find(sql, (enum config_database)(data[0] % 3), arena, &list, &count, &err)) {
        count = 0;
        if (err.code != ERR_CONFIG)
            abort();
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(list[i].name);
        if (list[i].start < last || list[i].end != list[i].start + 1 + len || list[i].end > strlen(sql) ||
            len == 0 || sql[list[i].start] != ':' || memcmp(sql + list[i].start + 1, list[i].name, len) != 0)
            abort();
        last = list[i].end;
    }
    free(sql);
    arena_free(arena);
    return 0;
}
