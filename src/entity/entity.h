/* Turns rows into Sesam entities: values to JSON with Transit's tags, keys to _id. What a column becomes is
 * settled once, in a field; writing a row then only appends bytes. */
#ifndef ENTITY_ENTITY_H
#define ENTITY_ENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/zone.h"
#include "config/config.h"
#include "db/value.h"

/* One property. Borrowed by whoever writes. */
struct field {
    const char *prefix; /* ,"name": as it stands in the entity; readable for BUF_SHORT bytes more */
    size_t prefix_len;
    unsigned digits;         /* of the fraction of datetimes */
    const struct zone *zone; /* of zone-less datetimes; NULL is UTC */
    bool padded;             /* blanks at the end of texts do not count */
    bool silent;             /* read, but not sent */
};

/* Makes the field's prefix in arena. */
int entity_field(struct field *field, struct arena *arena, const char *property, struct err *err);

/* Appends ,"name":value; nothing for a silent field, nor for NULL unless keep_nulls. */
void entity_property(struct buf *out, const struct field *field, const struct value *value, bool keep_nulls);

/* Appends the value as JSON. */
void entity_value(struct buf *out, const struct field *field, const struct value *value);

/* Appends the value as it stands in _id, as plain bytes: what the entity shows, without Transit's tag and
 * JSON's quotes. Not for NULL and lists. */
void entity_text(struct buf *out, const struct field *field, const struct value *value);

/* Appends _id's text (no quotes, no JSON escapes) for count parts: one part verbatim; more are joined by
 * ':', with ':' and '%' in them percent-encoded. */
void entity_id(struct buf *out, const struct field *const *fields, const struct value *const *parts, size_t count);

/* Is the value what the user wrote, as the database would compare them? true and false fit the integers 1 and 0, and
 * they true and false; decimals and floats are compared as numbers, all else as entity_text writes it. */
bool entity_equals(const struct value *value, const struct field *field, const struct config_value *wanted);

#endif
