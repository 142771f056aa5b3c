/* One value of a row, on its way from a driver to an entity, in the form that costs least to make: what
 * the database sent, decoded only as far as its kind needs. */
#ifndef DB_VALUE_H
#define DB_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind {
    KIND_NULL,
    KIND_BOOL,     /* boolean */
    KIND_INT,      /* integer */
    KIND_UINT,     /* natural: an unsigned 64 bit integer */
    KIND_FLOAT,    /* text: the shortest digits that read back the same; "NaN", "Infinity", "-Infinity" */
    KIND_DECIMAL,  /* text: digits as the database has them; "NaN", "Infinity", "-Infinity" */
    KIND_TEXT,     /* text: bytes in UTF-8 as the database holds them, not checked; may hold NUL */
    KIND_BYTES,    /* text: raw bytes */
    KIND_DATETIME, /* integer: microseconds since 1970-01-01T00:00:00Z within years 1..9999 */
    KIND_DATE,     /* integer: days since 1970-01-01 within years 1..9999 */
    KIND_UUID,     /* text: 16 raw bytes */
    KIND_JSON,     /* text: a JSON document */
    KIND_LIST,     /* list: elements, themselves values */
};

struct value {
    enum kind kind;
    union {
        bool boolean;
        int64_t integer;
        uint64_t natural;
        struct {
            const char *bytes;
            size_t len;
        } text;
        struct {
            const struct value *items;
            size_t count;
        } list;
    };
};

static inline bool value_has_text(const struct value *value)
{
    switch (value->kind) {
    case KIND_NULL:
    case KIND_BOOL:
    case KIND_INT:
    case KIND_UINT:
    case KIND_DATETIME:
    case KIND_DATE:
    case KIND_LIST:
        return false;
    default:
        return true;
    }
}

/* Set a value in place: a struct that is built elsewhere and copied costs more than the decoding. */
static inline void value_set_text(struct value *value, enum kind kind, const char *bytes, size_t len)
{
    value->kind = kind;
    value->text.bytes = bytes;
    value->text.len = len;
}

static inline void value_set_integer(struct value *value, enum kind kind, int64_t integer)
{
    value->kind = kind;
    value->integer = integer;
}

static inline struct value value_text(enum kind kind, const char *bytes, size_t len)
{
    struct value value = {.kind = kind};
    value.text.bytes = bytes;
    value.text.len = len;
    return value;
}

static inline struct value value_integer(enum kind kind, int64_t integer)
{
    struct value value = {.kind = kind};
    value.integer = integer;
    return value;
}

/* Orders two values of one column: as the database does for numbers, times, UUIDs and bytes; for texts by
 * their bytes, which a collation may see otherwise. */
int value_compare(const struct value *a, const struct value *b);

#endif
