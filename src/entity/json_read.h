/* Reads a JSON text (RFC 8259, strictly) from bytes that arrive in any cut, and hands out its events one by
 * one. It builds no tree and converts no numbers: those are the caller's. Memory is one string or number, and
 * a bit per level. */
#ifndef ENTITY_JSON_READ_H
#define ENTITY_JSON_READ_H

#include <stddef.h>

#include "base/err.h"

struct json_read;

struct json_limits {
    size_t depth;  /* of arrays and objects within each other */
    size_t string; /* bytes of a string, decoded */
    size_t name;   /* bytes of a member's name, decoded */
    size_t number; /* characters of a number */
};

enum json_kind {
    JSON_BEGIN_OBJECT,
    JSON_END_OBJECT,
    JSON_BEGIN_ARRAY,
    JSON_END_ARRAY,
    JSON_NAME,   /* of a member; its value's events follow */
    JSON_STRING_VALUE, /* text: decoded, valid UTF-8, may hold NUL */
    JSON_NUMBER_VALUE, /* text: as it was written */
    JSON_TRUE_VALUE,
    JSON_FALSE_VALUE,
    JSON_NULL_VALUE,
};

struct json_event {
    enum json_kind kind;
    const char *text; /* of a name, string or number; borrowed until the next call */
    size_t len;
};

/* NULL when there is no memory. */
struct json_read *json_read_new(const struct json_limits *limits);
void json_read_free(struct json_read *reader); /* accepts NULL */

/* Gives it the next bytes: borrowed until json_read_next returned 0 or -1. Only after it did. */
void json_read_feed(struct json_read *reader, const char *data, size_t len);

/* Returns 1 and an event, 0 when it needs more bytes, or -1 with err set: ERR_INPUT, or ERR_LARGE when a limit
 * is passed; the text tells what and at which byte of the document, counted from 1 ("... at byte 1234"), and is the
 * same however the document was cut. After -1 it only returns -1. A name that an object has already is not its
 * business. */
int json_read_next(struct json_read *reader, struct json_event *event, struct err *err);

/* There are no more bytes. Returns 1 and an event where only the end could tell (a number at the root), 0 when
 * the document is whole, -1 when it is empty or cut off. */
int json_read_end(struct json_read *reader, struct json_event *event, struct err *err);

/* How deep in arrays and objects the last event left it: 0 outside of all. */
size_t json_read_depth(const struct json_read *reader);
/* The bytes that were read until the end of the last event. */
size_t json_read_position(const struct json_read *reader);

#endif
