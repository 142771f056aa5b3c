/* An entity as it came, in one run of bytes that can be kept anywhere: its root properties one after the other,
 * each with the number of its name, its kind and its text. Names are numbered once a request. */
#ifndef ENTITY_RECORD_H
#define ENTITY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum item_kind {
    ITEM_NULL,
    ITEM_FALSE,
    ITEM_TRUE,
    ITEM_NUMBER,   /* text: as it was written */
    ITEM_STRING,   /* text: decoded, Transit's tag and all; may hold NUL */
    ITEM_DOCUMENT, /* text: an object or array as JSON without blanks, strings escaped as json_write.h does */
};

struct item {
    uint32_t name; /* number of the property's name */
    enum item_kind kind;
    const char *text; /* borrowed from the record, no NUL behind it */
    size_t len;
};

void record_put(struct buf *out, const struct item *item);

/* Reads the item at *offset and moves it on. False at the end. */
bool record_next(const char *record, size_t len, size_t *offset, struct item *item);

/* The names of a request's properties, each once, numbered from 0 in the order they came. */
struct names;

struct names *names_new(void);
void names_free(struct names *names); /* accepts NULL */
/* The number of a name, given one if it has none. UINT32_MAX: no memory. */
uint32_t names_number(struct names *names, const char *text, size_t len);
size_t names_count(const struct names *names);
/* NUL behind it, valid until names_free. */
const char *names_text(const struct names *names, uint32_t number, size_t *len);
/* Bytes of memory they take. */
size_t names_size(const struct names *names);

#endif
