#include "entity/json_write.h"

#include <nettle/base64.h>
#include <stdbool.h>
#include <string.h>

#include "base/iso.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* A high bit in each byte of word that a JSON string cannot carry as it is, or that begins a character of
 * several bytes: below 0x20, '"', '\\', above 0x7F. Bits above the lowest one set may be wrong. */
static inline uint64_t specials(uint64_t word)
{
    uint64_t quote = word ^ (ONES * '"'), backslash = word ^ (ONES * '\\');
    return (((word - ONES * 0x20) & ~word) | ((quote - ONES) & ~quote) | ((backslash - ONES) & ~backslash) | word) &
           HIGHS;
}

/* The length of the valid UTF-8 character at text, which begins with a byte above 0x7F; 0 if there is none.
 * The bounds of the second byte are those of the Unicode standard's table 3-7. */
static size_t character(const unsigned char *text, size_t left)
{
    unsigned char lead = text[0], low = 0x80, high = 0xBF;
    size_t size = lead >= 0xC2 && lead <= 0xDF ? 2 : lead >= 0xE0 && lead <= 0xEF ? 3 : lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
    if (size == 0 || size > left)
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

bool json_write_is_utf8(const char *text, size_t len)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + len;
    while (at < end) {
        size_t size = *at < 0x80 ? 1 : character(at, (size_t)(end - at));
        if (!size)
            return false;
        at += size;
    }
    return true;
}

static void put_escape(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
    const char *found = c ? strchr(shorts, c) : NULL;
    char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    if (found)
        escape[1] = letters[found - shorts];
    buf_put(out, escape, found ? 2 : 6);
}

int json_write_chars(struct buf *out, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end) {
        if (buf_reserve(out, (size_t)(end - text) + 8))
            return 0;
        char *to = out->data + out->len;
        const char *from = text;
        while (end - text >= 8) {
            uint64_t word;
            memcpy(&word, text, 8);
            memcpy(to + (text - from), &word, 8);
            uint64_t found = specials(word);
            if (found) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
                text += (unsigned)__builtin_ctzll(found) / 8;
#endif
                break;
            }
            text += 8;
        }
        for (; text < end; text++) {
            unsigned char c = (unsigned char)*text;
            if (c < 0x20 || c == '"' || c == '\\' || c > 0x7F)
                break;
            to[text - from] = *text;
        }
        out->len += (size_t)(text - from);
        if (text == end)
            break;
        if ((unsigned char)*text <= 0x7F) {
            put_escape(out, (unsigned char)*text++);
            continue;
        }
        do {
            size_t size = character((const unsigned char *)text, (size_t)(end - text));
            if (!size)
                return -1;
            buf_put(out, text, size);
            text += size;
        } while (text < end && (unsigned char)*text > 0x7F);
    }
    return 0;
}

int json_write_string(struct buf *out, const char *text, size_t len)
{
    size_t start = buf_offset(out);
    buf_putc(out, '"');
    if (json_write_chars(out, text, len)) {
        buf_rewind(out, start);
        return -1;
    }
    buf_putc(out, '"');
    return 0;
}

/* Byte by byte only after a text that is not UTF-8 was seen. */
static void put_replaced(struct buf *out, const char *text)
{
    size_t left = strlen(text);
    for (size_t size; left; text += size, left -= size) {
        bool ascii = (unsigned char)*text < 0x80;
        size = ascii ? 1 : character((const unsigned char *)text, left);
        if (size)
            json_write_chars(out, text, size);
        else
            buf_puts(out, "\xEF\xBF\xBD");
        size = size ? size : 1;
    }
}

void json_write_text(struct buf *out, const char *text)
{
    if (json_write_string(out, text, strlen(text)) == 0)
        return;
    buf_putc(out, '"');
    put_replaced(out, text);
    buf_putc(out, '"');
}

void json_write_natural(struct buf *out, uint64_t number)
{
    char digits[20 + BUF_SHORT], *end = digits + 20, *first = iso_digits(end, number);
    memset(end, 0, BUF_SHORT);
    buf_put_short(out, first, (size_t)(end - first));
}

void json_write_integer(struct buf *out, int64_t number)
{
    if (number < 0)
        buf_putc(out, '-');
    json_write_natural(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void json_write_base64(struct buf *out, const char *bytes, size_t len)
{
    size_t size = BASE64_ENCODE_RAW_LENGTH(len);
    if (!size || buf_reserve(out, size))
        return;
    base64_encode_raw(out->data + out->len, len, (const uint8_t *)bytes);
    out->len += size;
}

/* documents */

/* The end of the string whose characters begin at text: its closing quote. NULL if it has none, or a
 * control character in it. */
static const char *string_end(const char *text, const char *end)
{
    for (; text < end; text++) {
        if (*text == '"')
            return text;
        if ((unsigned char)*text < 0x20)
            return NULL;
        if (*text == '\\')
            text++;
    }
    return NULL;
}

static bool is_name(const char *after, const char *end)
{
    while (after < end && strchr(" \t\r\n", *after))
        after++;
    return after < end && *after == ':';
}

static bool begins_with_tilde(const char *chars, const char *end)
{
    if (chars < end && *chars == '~')
        return true;
    return end - chars >= 6 && chars[0] == '\\' && chars[1] == 'u' && memcmp(chars + 2, "007", 3) == 0 &&
           (chars[5] == 'e' || chars[5] == 'E');
}

int json_write_document(struct buf *out, const char *text, size_t len)
{
    const char *end = text + len, *done = text;
    size_t start = buf_offset(out);
    if (len == 0 || !json_write_is_utf8(text, len))
        return -1;
    for (const char *at = text; (at = memchr(at, '"', (size_t)(end - at)));) {
        const char *close = string_end(at + 1, end);
        if (!close) {
            buf_rewind(out, start);
            return -1;
        }
        if (begins_with_tilde(at + 1, close) && !is_name(close + 1, end)) {
            buf_put(out, done, (size_t)(at + 1 - done));
            buf_putc(out, '~');
            done = at + 1;
        }
        at = close + 1;
    }
    buf_put(out, done, (size_t)(end - done));
    return 0;
}
