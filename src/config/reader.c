#include "config/reader.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/shortest.h"
#include "config/interpolate.h"

enum { NAME_SHOWN = 100, MISTAKE = sizeof(struct err) + 64 };

/* A mistake is one line, whatever the names in it. */
static void put_line(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_putc(out, (unsigned char)text[i] < ' ' || text[i] == 0x7F ? '?' : text[i]);
}

/* A key's name comes from the document: its length is not ours. */
static void put_name(struct buf *out, const char *name)
{
    size_t len = strlen(name), end = len < NAME_SHOWN ? len : NAME_SHOWN;
    while (end < len && end > 0 && ((unsigned char)name[end] & 0xC0) == 0x80)
        end--;
    put_line(out, name, end);
    if (end < len)
        buf_puts(out, "...");
}

void reader_put_path(struct buf *out, const struct path *path)
{
    if (!path->up)
        return;
    reader_put_path(out, path->up);
    if (!path->name) {
        buf_printf(out, "[%zu]", path->index);
        return;
    }
    if (path->up->up)
        buf_putc(out, '.');
    put_name(out, path->name);
}

static void put_mistake(struct reader *reader, const struct path *path, const char *format, va_list args)
{
    char text[MISTAKE];
    vsnprintf(text, sizeof text, format, args);
    if (path->up)
        reader_put_path(reader->mistakes, path);
    else
        buf_puts(reader->mistakes, "the document");
    buf_puts(reader->mistakes, ": ");
    put_line(reader->mistakes, text, strlen(text));
    buf_putc(reader->mistakes, '\n');
    reader->mistake_count++;
}

int reader_mistake(struct reader *reader, const struct path *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_mistake(reader, path, format, args);
    va_end(args);
    return -1;
}

int reader_mistake_at(struct reader *reader, const struct path *path, const char *name, const char *format,
                      ...)
{
    struct path inner = {.up = path, .name = name};
    va_list args;
    va_start(args, format);
    put_mistake(reader, &inner, format, args);
    va_end(args);
    return -1;
}

static const char *found_word(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

int reader_expected(struct reader *reader, const struct path *path, const char *what, json_t *found)
{
    return reader_mistake(reader, path, "expected %s, found %s", what, found_word(found));
}

bool reader_has(const json_t *object, const char *name)
{
    return json_object_get(object, name) != NULL;
}

bool reader_lacks(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return !value || (json_is_array(value) && json_array_size(value) == 0);
}

bool reader_list_has(const struct config_list *list, const char *item)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], item) == 0)
            return true;
    }
    return false;
}

/* Doubles at each power of two, so that the list needs no room of its own. */
int reader_append(struct reader *reader, struct config_list *list, const char *item)
{
    if ((list->count & (list->count - 1)) == 0) {
        const char **items = arena_array(reader->arena, list->count ? list->count * 2 : 1, sizeof *items);
        if (!items)
            return err_memory(reader->err);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
    }
    list->items[list->count++] = item;
    return 0;
}

static bool is_control(const unsigned char *c)
{
    return c[0] < ' ' || c[0] == 0x7F || (c[0] == 0xC2 && c[1] < 0xA0);
}

int reader_check_name(struct reader *reader, const struct path *path, const char *name)
{
    if (!*name)
        return reader_mistake(reader, path, "a name must not be empty");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return reader_mistake(reader, path, "this cannot be a name, since it stands in a URL");
    for (const char *c = name; *c; c++) {
        if (strchr("/?#%", *c))
            return reader_mistake(reader, path, "a name must not contain '%c', since it stands in a URL", *c);
        if (is_control((const unsigned char *)c))
            return reader_mistake(reader, path, "a name must not contain control characters");
    }
    return 0;
}

const char *reader_text(struct reader *reader, const struct path *path, json_t *value)
{
    struct buf buf = {0};
    struct err err = {0};
    const char *text = NULL;
    if (!json_is_string(value)) {
        reader_expected(reader, path, "a string", value);
        return NULL;
    }
    if (interpolate(json_string_value(value), &buf, &err)) {
        if (err.code == ERR_CONFIG)
            reader_mistake(reader, path, "%s%s%s", err.text, err.hint[0] ? "; " : "", err.hint);
        else
            err_memory(reader->err);
    } else {
        text = arena_copy(reader->arena, buf.data, buf.len);
        if (!text)
            err_memory(reader->err);
    }
    buf_free(&buf);
    return text;
}

const char *reader_filled(struct reader *reader, const struct path *path, json_t *value)
{
    const char *text = reader_text(reader, path, value);
    if (!text || *text)
        return text;
    reader_mistake(reader, path, "must not be empty");
    return NULL;
}

/* Decimal digits, as JSON has them: strtod alone would take "inf", "0x10" and blanks. */
static bool parse_number(const char *text, double *number)
{
    char *end;
    if (!*text || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    errno = 0;
    *number = strtod(text, &end);
    return *end == '\0' && errno == 0;
}

static int number_of(struct reader *reader, const struct path *path, json_t *value, double *number)
{
    if (json_is_number(value)) {
        *number = json_number_value(value);
        return 0;
    }
    if (!json_is_string(value))
        return reader_expected(reader, path, "a number", value);
    const char *text = reader_text(reader, path, value);
    if (!text)
        return -1;
    return parse_number(text, number) ? 0 : reader_mistake(reader, path, "expected a number");
}

int reader_number(struct reader *reader, const struct path *path, json_t *value, double min, double max,
                  double *number)
{
    double n = 0;
    if (number_of(reader, path, value, &n))
        return -1;
    if (!(n >= min))
        return reader_mistake(reader, path, "must be at least %.15g", min);
    if (!(n <= max))
        return reader_mistake(reader, path, "must be at most %.15g", max);
    *number = n;
    return 0;
}

static int digits_of(struct reader *reader, json_t *value, struct config_value *place)
{
    char text[SHORTEST_SIZE];
    if (json_is_real(value))
        shortest_double(json_real_value(value), text);
    else
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    place->type = json_is_real(value) ? CONFIG_REAL : CONFIG_INTEGER;
    place->text = arena_strdup(reader->arena, text);
    return place->text ? 0 : err_memory(reader->err);
}

int reader_value(struct reader *reader, const struct path *path, json_t *value, struct config_value *place)
{
    if (json_is_number(value))
        return digits_of(reader, value, place);
    if (json_is_null(value)) {
        place->type = CONFIG_NULL;
        return 0;
    }
    if (json_is_boolean(value)) {
        place->type = CONFIG_BOOL;
        place->boolean = json_is_true(value);
        return 0;
    }
    if (!json_is_string(value))
        return reader_expected(reader, path, "a string, number, boolean or null", value);
    place->text = reader_text(reader, path, value);
    place->type = place->text ? CONFIG_STRING : CONFIG_ABSENT;
    return place->text ? 0 : -1;
}
