#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST = 256 };

void buf_lend(struct buf *buf, char *memory, size_t size)
{
    *buf = (struct buf){.data = memory, .cap = size, .lent = true};
}

static size_t doubled(size_t cap, size_t want)
{
    size_t size = cap < SMALLEST ? SMALLEST : cap;
    while (size < want)
        size = size > SIZE_MAX / 2 ? want : size * 2;
    return size;
}

int buf_grow(struct buf *buf, size_t need)
{
    size_t kept = buf->lent ? buf->mark : 0;
    size_t moved = buf->len - kept;
    if (buf->failed || need > SIZE_MAX - moved)
        goto failed;
    size_t cap = doubled(buf->lent ? moved : buf->cap, moved + need);
    char *data = realloc(buf->lent ? NULL : buf->data, cap);
    if (!data)
        goto failed;
    if (buf->lent && moved)
        memcpy(data, buf->data + kept, moved);
    buf->data = data;
    buf->left += kept;
    buf->len = moved;
    buf->cap = cap;
    buf->lent = false;
    return 0;
failed:
    buf->failed = true;
    return -1;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (need < 0 || buf_reserve(buf, (size_t)need + 1)) {
        buf->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)need + 1, format, args);
    va_end(args);
    buf->len += (size_t)need;
}

const char *buf_text(struct buf *buf)
{
    if (buf_reserve(buf, 1))
        return NULL;
    buf->data[buf->len] = '\0';
    return buf->failed ? NULL : buf->data;
}

void buf_free(struct buf *buf)
{
    if (!buf->lent)
        free(buf->data);
    *buf = (struct buf){0};
}
