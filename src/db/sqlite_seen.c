/* Lists of keys as JSON that is ours alone to read: an integer as such, every other value as a string whose
 * first letter tells what it is - "t" a text, "f" the digits of a floating point number, "b" bytes in hex -
 * so that each comes back as it was. A key of several parts is an array of them. */
#include "db/sqlite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* writing */

static void put_text(struct buf *out, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\')
            buf_putc(out, '\\');
        if (c < 0x20)
            buf_printf(out, "\\u%04x", c);
        else
            buf_putc(out, (char)c);
    }
}

static void put_hex(struct buf *out, const char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        buf_putc(out, digits[c >> 4]);
        buf_putc(out, digits[c & 15]);
    }
}

static int put_value(struct buf *out, const struct value *value)
{
    switch (value->kind) {
    case KIND_INT:
        buf_printf(out, "%" PRId64, value->integer);
        return 0;
    case KIND_TEXT:
        buf_puts(out, "\"t");
        put_text(out, value->text.bytes, value->text.len);
        break;
    case KIND_FLOAT: /* the digits are the number's shortest, and these read back the same */
        buf_puts(out, "\"f");
        put_text(out, value->text.bytes, value->text.len);
        break;
    case KIND_BYTES:
        buf_puts(out, "\"b");
        put_hex(out, value->text.bytes, value->text.len);
        break;
    default:
        return -1;
    }
    buf_putc(out, '"');
    return 0;
}

int sqlite_seen(const struct target *target, const struct row *row, struct buf *out, struct err *err)
{
    size_t count = target->relation->key_count;
    if (out->len && out->data[out->len - 1] != '[')
        buf_putc(out, ',');
    if (count > 1)
        buf_putc(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_putc(out, ',');
        if (put_value(out, &row->values[i]))
            return err_set(err, ERR_INTERNAL, "%s: a key has a value that SQLite cannot hold",
                           target->relation->title);
    }
    if (count > 1)
        buf_putc(out, ']');
    return buf_failed(out) ? err_memory(err) : 0;
}

/* reading */

static bool take(struct seen *seen, char c)
{
    if (seen->at == seen->end || *seen->at != c)
        return false;
    seen->at++;
    return true;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \" \\ \u00xx: what we write. */
static int take_escape(struct seen *seen)
{
    if (seen->end - seen->at < 1)
        return -1;
    char c = *seen->at++;
    if (c == '"' || c == '\\') {
        buf_putc(&seen->text, c);
        return 0;
    }
    if (c != 'u' || seen->end - seen->at < 4 || nibble(seen->at[2]) < 0 || nibble(seen->at[3]) < 0)
        return -1;
    buf_putc(&seen->text, (char)(nibble(seen->at[2]) << 4 | nibble(seen->at[3])));
    seen->at += 4;
    return 0;
}

/* Appends the string to text. */
static int take_string(struct seen *seen)
{
    while (seen->at < seen->end) {
        const char *from = seen->at;
        while (seen->at < seen->end && *seen->at != '"' && *seen->at != '\\')
            seen->at++;
        buf_put(&seen->text, from, (size_t)(seen->at - from));
        if (take(seen, '"'))
            return 0;
        if (take(seen, '\\') && take_escape(seen))
            return -1;
    }
    return -1;
}

static int take_integer(struct seen *seen, struct value *value)
{
    char *end;
    long long integer = strtoll(seen->at, &end, 10); /* a bracket stands behind the last */
    if (end == seen->at || end >= seen->end)
        return -1;
    seen->at = end;
    *value = value_integer(KIND_INT, integer);
    return 0;
}

static int bytes_of_hex(char *text, size_t *len)
{
    for (size_t i = 0; i + 1 < *len; i += 2) {
        int high = nibble(text[i]), low = nibble(text[i + 1]);
        if (high < 0 || low < 0)
            return -1;
        text[i / 2] = (char)(high << 4 | low);
    }
    *len /= 2;
    return 0;
}

/* A text's place in the buffer, for the buffer may move while the key's other parts come. */
static int take_value(struct seen *seen, struct value *value, size_t *place)
{
    if (!take(seen, '"'))
        return take_integer(seen, value);
    *place = seen->text.len;
    if (take_string(seen) || buf_failed(&seen->text) || seen->text.len == *place)
        return -1;
    char letter = seen->text.data[*place];
    size_t len = seen->text.len - ++*place;
    if (letter == 'b' && bytes_of_hex(seen->text.data + *place, &len))
        return -1;
    *value = value_text(letter == 't' ? KIND_TEXT : letter == 'f' ? KIND_FLOAT : KIND_BYTES, NULL, len);
    return 0;
}

static int take_key(struct seen *seen, struct value *key, size_t count)
{
    enum { MOST = 64 }; /* no key has more columns */
    size_t places[MOST] = {0};
    if (count > MOST || (count > 1 && !take(seen, '[')))
        return -1;
    for (size_t i = 0; i < count; i++)
        if ((i && !take(seen, ',')) || take_value(seen, &key[i], &places[i]))
            return -1;
    for (size_t i = 0; i < count; i++)
        if (key[i].kind != KIND_INT)
            key[i].text.bytes = seen->text.data + places[i];
    return count > 1 && !take(seen, ']') ? -1 : 0;
}

int sqlite_seen_next(struct seen *seen, struct value *key, size_t count, struct err *err)
{
    static const char what[] = "a list of seen keys in sesam_sql_request is damaged";
    buf_reset(&seen->text);
    if (seen->at == seen->end && !seen->begun)
        return 0; /* emptied when its sequence ended */
    bool first = !seen->begun;
    if (first && !take(seen, '['))
        return err_set(err, ERR_DATABASE, "%s", what);
    seen->begun = true;
    if (take(seen, ']'))
        return 0;
    if ((!first && !take(seen, ',')) || take_key(seen, key, count))
        return buf_failed(&seen->text) ? err_memory(err) : err_set(err, ERR_DATABASE, "%s", what);
    return 1;
}

void sqlite_seen_end(struct seen *seen)
{
    buf_free(&seen->text);
}
