/* Bytes that grow at their end. A writer may append ten times and ask once: after a failed append the
 * buffer stays as it is and buf_failed says so.
 *
 * A buffer can begin in memory that somebody else lends it (buf_lend). When that is full, the bytes
 * before the mark stay there and only those after it move to memory of its own. So a stream of entities
 * is written straight into the block that will be sent, and only the entity that did not fit is copied. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buf {
    char *data;
    size_t len, cap;
    size_t mark;  /* while lent: the bytes that stay when it is outgrown */
    size_t left;  /* the bytes that stayed behind when it was outgrown */
    bool lent;    /* data belongs to somebody else */
    bool failed;  /* no memory */
};

/* Writes into size bytes at memory from now on, until they are outgrown (then lent is false). */
void buf_lend(struct buf *buf, char *memory, size_t size);

/* Makes room for need more bytes, slowly; use buf_reserve. Returns 0, or -1 with failed set. */
int buf_grow(struct buf *buf, size_t need);

/* Makes room for need more bytes at data + len. Returns 0 or -1. */
static inline int buf_reserve(struct buf *buf, size_t need)
{
    return need > buf->cap - buf->len ? buf_grow(buf, need) : 0;
}

static inline void buf_put(struct buf *buf, const void *bytes, size_t len)
{
    if (buf_reserve(buf, len))
        return;
    if (len)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
}

enum { BUF_SHORT = 32 };

/* The same for len of at most BUF_SHORT, where bytes may be read up to that size: two moves instead of a
 * call. */
static inline void buf_put_short(struct buf *buf, const char *bytes, size_t len)
{
    if (buf_reserve(buf, BUF_SHORT))
        return;
    memcpy(buf->data + buf->len, bytes, BUF_SHORT);
    buf->len += len;
}

static inline void buf_putc(struct buf *buf, char c)
{
    if (buf_reserve(buf, 1))
        return;
    buf->data[buf->len++] = c;
}

static inline void buf_puts(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The bytes as a string: a NUL stands after them (not counted in len). NULL when the buffer failed. */
const char *buf_text(struct buf *buf);

static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}

/* A place in what was written, good also when the lent memory is outgrown meanwhile, and the way back. */
static inline size_t buf_offset(const struct buf *buf)
{
    return buf->left + buf->len;
}

static inline void buf_rewind(struct buf *buf, size_t offset)
{
    buf->len = offset - buf->left;
}

/* Empties it and keeps its memory. */
static inline void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->mark = 0;
    buf->left = 0;
    buf->failed = false;
}

/* Frees its own memory and zeroes it. */
void buf_free(struct buf *buf);

#endif
