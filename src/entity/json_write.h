/* Writes JSON texts (RFC 8259) into a buffer, as fast as memory goes. It knows strings and numbers; the
 * shape of the document is the caller's. */
#ifndef ENTITY_JSON_WRITE_H
#define ENTITY_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Are these bytes valid UTF-8 (no surrogates, nothing above U+10FFFF)? */
bool json_write_is_utf8(const char *text, size_t len);

/* The characters of a string, escaped, without its quotes. Returns 0, or -1 when the bytes are not valid
 * UTF-8; what was written until then is the caller's to take back (buf_rewind). */
int json_write_chars(struct buf *out, const char *text, size_t len);

/* A whole string with its quotes. The same return; nothing is left written after -1. */
int json_write_string(struct buf *out, const char *text, size_t len);

/* The same for a text of anybody's: what is not UTF-8 becomes U+FFFD, also what a cut left of a character. */
void json_write_text(struct buf *out, const char *text);

void json_write_integer(struct buf *out, int64_t number);
void json_write_natural(struct buf *out, uint64_t number);

/* Base64 (RFC 4648, with padding), without quotes. */
void json_write_base64(struct buf *out, const char *bytes, size_t len);

/* A JSON document of the database's, copied but for what Sesam asks: strings that begin with "~" get one
 * more, names of members excepted. Line ends between its parts are kept. Returns 0, or -1 when it is not
 * valid UTF-8 or has an unescaped control character in a string (nothing is left written then). */
int json_write_document(struct buf *out, const char *text, size_t len);

#endif
