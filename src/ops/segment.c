#include "ops/segment.h"

#include <string.h>
#include <strings.h>

static bool is_plain(char c)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    return c && strchr(plain, c);
}

const char *segment_of(const char *text, const char *fallback, struct arena *arena)
{
    char *name = arena_strdup(arena, text), *to = name;
    bool odd = false, telling = false;
    if (!name)
        return NULL;
    for (; *text; text++) {
        if (!is_plain(*text)) {
            odd = true;
            continue;
        }
        if (odd && to > name)
            *to++ = '_';
        odd = false;
        telling = telling || (*text != '_' && *text != '-');
        *to++ = *text;
    }
    *to = '\0';
    return telling ? name : fallback;
}

static bool is_taken(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(names[i], name) == 0)
            return true;
    return false;
}

/* Does another schema have a table that would be called the same? */
static bool clashes(const struct listed *list, const char *const *plain, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].schema && list[at].schema && strcmp(list[i].schema, list[at].schema) != 0 &&
            strcasecmp(plain[i], plain[at]) == 0)
            return true;
    return false;
}

static const char *choose(const struct listed *list, const char *const *plain, const char *const *names, size_t count,
                          size_t at, struct arena *arena)
{
    const char *base = plain[at];
    if (clashes(list, plain, count, at)) {
        const char *schema = segment_of(list[at].schema, "schema", arena);
        base = schema ? arena_printf(arena, "%s.%s", schema, plain[at]) : NULL;
    }
    const char *name = base;
    for (unsigned number = 2; name && is_taken(names, at, name); number++)
        name = arena_printf(arena, "%s-%u", base, number);
    return name;
}

int segment_names(const struct listed *list, size_t count, const char **names, struct arena *arena)
{
    const char **plain = arena_array(arena, count + 1, sizeof *plain);
    if (!plain)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (!(plain[i] = segment_of(list[i].name, "table", arena)))
            return -1;
    for (size_t i = 0; i < count; i++)
        if (!(names[i] = choose(list, plain, names, count, i, arena)))
            return -1;
    return 0;
}
