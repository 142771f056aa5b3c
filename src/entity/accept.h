/* Turns what an entity has for a property into the value its column holds, exactly, or says why it cannot be:
 * the reverse of entity.h. Nothing is rounded, cut or wrapped: a number with more digits than the column keeps,
 * a text that is too long, a time with a finer fraction are refused. What only one database knows comes after it
 * (driver.h, fit). docs/types.md has the table. */
#ifndef ENTITY_ACCEPT_H
#define ENTITY_ACCEPT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/zone.h"
#include "db/driver.h"
#include "entity/record.h"

/* How a column takes values. */
struct accept {
    const struct column *column;
    const struct zone *zone; /* of zone-less datetimes; NULL is UTC */
    bool strip_namespaces;   /* "~:ns:value" is "value" */
    bool strip_spaces;       /* blanks at the end of a text go (remove_pk_char_trailing_spaces) */
};

/* value is of the column's kind, KIND_NULL, or, where a kind does not hold it but the column does, KIND_TEXT (as
 * the source sends it: "infinity", "0000-00-00"); texts live in arena or are borrowed from item.
 * -1: ERR_VALUE, and the text says why in words that go behind the property's name: "has 40 digits, the column
 * holds integers of 64 bits". It quotes no value. */
int accept_item(const struct accept *accept, const struct item *item, struct arena *arena, struct value *value,
                struct err *err);

/* The same from a part of _id, as entity_text writes it. text may be borrowed by value. */
int accept_text(const struct accept *accept, const char *text, size_t len, struct arena *arena, struct value *value,
                struct err *err);

/* Takes _id apart: the reverse of entity_id. parts has room for count texts, which live in arena or in id.
 * -1 when it does not give exactly count parts (ERR_VALUE). */
struct id_part {
    const char *text;
    size_t len;
};
int accept_id(const char *id, size_t len, struct arena *arena, struct id_part *parts, size_t count, struct err *err);

#endif
