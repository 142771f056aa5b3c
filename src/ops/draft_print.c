/* JSON as people write it. */
#include "ops/draft.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 110, STEP = 2, TOP = 2 }; /* the outermost levels are never one line */

static int print(json_t *value, unsigned depth, size_t before, struct buf *out);

static void indent(struct buf *out, unsigned depth)
{
    buf_printf(out, "\n%*s", (int)depth * STEP, "");
}

/* A string as JSON has it, with its quotes; the caller's to free. */
static char *quoted(const char *text)
{
    json_t *string = json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    return quoted;
}

static int print_members(json_t *object, unsigned depth, struct buf *out)
{
    const char *key;
    json_t *member;
    bool first = true;
    int failed = 0;
    buf_putc(out, '{');
    json_object_foreach(object, key, member)
    {
        char *name = quoted(key);
        if (!name)
            return -1;
        buf_puts(out, first ? "" : ",");
        indent(out, depth + 1);
        buf_printf(out, "%s: ", name);
        failed |= print(member, depth + 1, strlen(name) + 3, out);
        first = false;
        free(name);
    }
    if (!first)
        indent(out, depth);
    buf_putc(out, '}');
    return failed;
}

static int print_elements(json_t *array, unsigned depth, struct buf *out)
{
    int failed = 0;
    buf_putc(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        buf_puts(out, i ? "," : "");
        indent(out, depth + 1);
        failed |= print(json_array_get(array, i), depth + 1, 1, out);
    }
    indent(out, depth);
    buf_putc(out, ']');
    return failed;
}

/* before: the bytes that stand before it on its line, behind the indentation. */
static int print(json_t *value, unsigned depth, size_t before, struct buf *out)
{
    char *line = json_dumps(value, JSON_ENCODE_ANY);
    int failed = line ? 0 : -1;
    bool nested = json_is_object(value) || (json_is_array(value) && json_array_size(value));
    if (line && (!nested || (depth >= TOP && depth * STEP + before + strlen(line) <= WIDTH)))
        buf_puts(out, line);
    else if (line)
        failed = json_is_object(value) ? print_members(value, depth, out) : print_elements(value, depth, out);
    free(line);
    return failed;
}

int draft_print(json_t *document, struct buf *out)
{
    int failed = print(document, 0, 0, out);
    buf_putc(out, '\n');
    return failed || buf_failed(out) ? -1 : 0;
}
