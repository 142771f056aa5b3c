#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Prints and, where the text was cut, takes off the beginning of a character that lost its end. */
static void print_whole(char *text, size_t size, const char *format, va_list args)
{
    int need = vsnprintf(text, size, format, args);
    if (need < 0) {
        text[0] = '\0';
        return;
    }
    if ((size_t)need < size)
        return;
    size_t end = size - 1;
    while (end > 0 && ((unsigned char)text[end - 1] & 0xC0) == 0x80)
        end--;
    if (end > 0 && ((unsigned char)text[end - 1] & 0xC0) == 0xC0)
        end--;
    text[end] = '\0';
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
    if (!err || err->code)
        return -1;
    err->code = code;
    va_list args;
    va_start(args, format);
    print_whole(err->text, sizeof err->text, format, args);
    va_end(args);
    return -1;
}

int err_hint(struct err *err, const char *format, ...)
{
    if (!err || err->hint[0])
        return -1;
    va_list args;
    va_start(args, format);
    print_whole(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return -1;
}

int err_memory(struct err *err)
{
    return err_set(err, ERR_INTERNAL, "out of memory");
}

void err_clear(struct err *err)
{
    memset(err, 0, sizeof *err);
}
