/* Whatever a command line says is a URL of a system or is refused, and no
 * error repeats what was said. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct url url;
    struct arena *arena = arena_new();
    char *text = arena ? arena_copy(arena, data, size) : NULL;
    if (!text)
        abort();
    if (url_parse(&url, text, arena, &err)) {
        if (err.code != ERR_CONFIG || (strlen(text) > 40 && strstr(err.text, text)))
            abort();
    } else if (!url.type_name || url.port > 65535 ||
               (url.type == DATABASE_SQLITE ? !url.path || url.username : !url.username || !url.database)) {
        abort();
    }
    arena_free(arena);
    return 0;
}
