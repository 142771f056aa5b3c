#include <string.h>

#include "entity/accept.h"
#include "entity/json_write.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes the part in place of its percent signs. */
static int percent_decode(struct id_part *part, struct arena *arena, struct err *err)
{
    if (!part->len || !memchr(part->text, '%', part->len))
        return 0;
    char *decoded = arena_alloc(arena, part->len);
    size_t len = 0;
    if (!decoded)
        return err_memory(err);
    for (size_t i = 0; i < part->len; i++) {
        char c = part->text[i];
        if (c == '%') {
            int high = part->len - i > 2 ? hex_digit(part->text[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_digit(part->text[i + 2]);
            if (low < 0)
                return err_set(err, ERR_VALUE, "has a '%%' without two hexadecimal digits behind it");
            c = (char)(high * 16 + low);
            i += 2;
        }
        decoded[len++] = c;
    }
    if (!json_write_is_utf8(decoded, len))
        return err_set(err, ERR_VALUE, "is not valid UTF-8 when it is percent-decoded");
    *part = (struct id_part){decoded, len};
    return 0;
}

static size_t count_parts(const char *id, size_t len)
{
    size_t count = 1;
    for (size_t i = 0; i < len; i++)
        count += id[i] == ':';
    return count;
}

int accept_id(const char *id, size_t len, struct arena *arena, struct id_part *parts, size_t count, struct err *err)
{
    if (count == 1) {
        *parts = (struct id_part){id, len};
        return 0;
    }
    size_t has = count_parts(id, len);
    if (has != count)
        return err_set(err, ERR_VALUE, "has %zu parts, the key has %zu", has, count);
    const char *end = id + len;
    for (size_t i = 0; i < count; i++) {
        const char *colon = i + 1 < count ? memchr(id, ':', (size_t)(end - id)) : end;
        parts[i] = (struct id_part){id, (size_t)(colon - id)};
        if (percent_decode(&parts[i], arena, err))
            return -1;
        id = colon + 1;
    }
    return 0;
}
