/* Columns that hold values of any kind, each in a class it has by itself (SQLite). */
#include <string.h>

#include "base/iso.h"
#include "entity/accept_kind.h"
#include "entity/number.h"

/* An integer stays one; what is written with a point or an exponent is a floating point number. */
static int any_number(const struct accept *accept, const struct incoming *in, struct arena *arena,
                      struct value *value, struct err *err)
{
    static const struct column integers = {.kind = KIND_INT};
    struct number number;
    if (number_parse(&number, in->text, in->len))
        return err_set(err, ERR_VALUE, "is no number");
    bool minus_zero = number.negative && !number.count; /* no integer, and a key's text of it has no ".0" */
    if (number.fixed && !number.dot && !minus_zero && accept->column->kind != KIND_FLOAT)
        return accept_integer(&integers, in, value, err);
    return accept_float(accept->column, in, arena, value, err);
}

static int any_text(const struct accept *accept, const struct incoming *in, struct value *value, struct err *err)
{
    if (accept->column->kind == KIND_FLOAT && (accept_is_word(in, "Infinity") || accept_is_word(in, "-Infinity"))) {
        value_set_text(value, KIND_FLOAT, in->text, in->len);
        return 0;
    }
    return accept_set_text(accept, in->text, in->len, value, err);
}

static int any_uuid(const struct incoming *in, struct arena *arena, struct value *value, struct err *err)
{
    char bytes[16], text[ISO_SIZE];
    if (iso_parse_uuid(in->text, in->len, bytes))
        return err_set(err, ERR_VALUE, "is no UUID");
    size_t len = iso_uuid(text, bytes);
    const char *copy = arena_copy(arena, text, len);
    if (!copy)
        return err_memory(err);
    value_set_text(value, KIND_TEXT, copy, len);
    return 0;
}

/* _id tells no kind: digits in a column of numbers are one, base64 in one of bytes are bytes. */
static int any_part(const struct accept *accept, const struct incoming *in, struct arena *arena,
                    struct value *value, struct err *err)
{
    enum kind kind = accept->column->kind;
    struct number number;
    if ((kind == KIND_INT || kind == KIND_FLOAT) && number_parse(&number, in->text, in->len) == 0 && number.json)
        return any_number(accept, in, arena, value, err);
    if (kind == KIND_BYTES && accept_base64(in, arena, value, NULL) == 0)
        return 0;
    return any_text(accept, in, value, err);
}

int accept_any(const struct accept *accept, const struct incoming *in, struct arena *arena, struct value *value,
               struct err *err)
{
    static const struct column decimals = {.kind = KIND_DECIMAL};
    switch (in->kind) {
    case IN_BOOL:
        value_set_integer(value, KIND_INT, in->boolean);
        return 0;
    case IN_NUMBER:
        return any_number(accept, in, arena, value, err);
    case IN_DECIMAL:
        return accept_decimal(&decimals, in, arena, value, err);
    case IN_BYTES:
        return accept_base64(in, arena, value, err);
    case IN_TIME:
        return accept_time_text(in, arena, value, err);
    case IN_UUID:
        return any_uuid(in, arena, value, err);
    case IN_PART:
        return any_part(accept, in, arena, value, err);
    case IN_DOCUMENT:
        return accept_plain(accept, in, arena, value, err);
    case IN_TEXT:
        break;
    }
    return any_text(accept, in, value, err);
}
