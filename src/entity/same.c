#include "entity/same.h"

#include <string.h>

#include "base/iso.h"
#include "entity/number.h"
#include "entity/same_document.h"

static bool same_bytes(const struct value *a, const struct value *b)
{
    return a->text.len == b->text.len && (!a->text.len || memcmp(a->text.bytes, b->text.bytes, a->text.len) == 0);
}

static bool is_whole(const struct value *value)
{
    return value->kind == KIND_INT || value->kind == KIND_UINT;
}

/* Both kinds have the same bits for the numbers that both have. */
static bool same_whole(const struct value *a, const struct value *b)
{
    if (a->kind != b->kind && a->integer < 0)
        return false;
    return a->natural == b->natural;
}

enum { INTEGER_SIZE = 24 };

/* text has room for an integer's digits and is only used for one. */
static int number_of(const struct value *value, char text[INTEGER_SIZE], struct number *number)
{
    if (!is_whole(value))
        return number_parse(number, value->text.bytes, value->text.len);
    bool negative = value->kind == KIND_INT && value->integer < 0;
    char *end = text + INTEGER_SIZE, *first = iso_digits(end, negative ? 0 - value->natural : value->natural);
    if (negative)
        *--first = '-';
    return number_parse(number, first, (size_t)(end - first));
}

/* Floats are shortest digits, so that the same digits are the same number. "NaN" is no number, but itself. */
static bool same_float(const struct value *a, const struct value *b)
{
    char a_text[INTEGER_SIZE], b_text[INTEGER_SIZE];
    struct number x, y;
    if (!is_whole(a) && !is_whole(b) && same_bytes(a, b))
        return true;
    return number_of(a, a_text, &x) == 0 && number_of(b, b_text, &y) == 0 && number_equal(&x, &y);
}

static bool is_number(const struct value *value)
{
    return is_whole(value) || value->kind == KIND_FLOAT;
}

/* An entity has one null for SQL's and for JSON's. */
static bool is_null(const struct value *value)
{
    return value->kind == KIND_NULL ||
           (value->kind == KIND_JSON && value->text.len == 4 && memcmp(value->text.bytes, "null", 4) == 0);
}

static bool same_list(const struct column *column, const struct value *held, const struct value *ours)
{
    if (held->list.count != ours->list.count)
        return false;
    for (size_t i = 0; i < held->list.count; i++)
        if (!same_value(column, &held->list.items[i], &ours->list.items[i]))
            return false;
    return true;
}

static bool same_kind(const struct column *column, const struct value *held, const struct value *ours)
{
    switch (held->kind) {
    case KIND_NULL:
        return true;
    case KIND_BOOL:
        return held->boolean == ours->boolean;
    case KIND_INT:
    case KIND_UINT:
    case KIND_DATETIME:
    case KIND_DATE:
        return held->integer == ours->integer;
    case KIND_FLOAT:
        return same_float(held, ours);
    case KIND_JSON:
        return same_document(held->text.bytes, held->text.len, ours->text.bytes, ours->text.len);
    case KIND_LIST:
        return same_list(column, held, ours);
    case KIND_DECIMAL:
    case KIND_TEXT:
    case KIND_BYTES:
    case KIND_UUID:
        break;
    }
    return same_bytes(held, ours);
}

bool same_value(const struct column *column, const struct value *held, const struct value *ours)
{
    if (held->kind == ours->kind)
        return same_kind(column, held, ours);
    if (is_whole(held) && is_whole(ours))
        return same_whole(held, ours);
    if (is_number(held) && is_number(ours))
        return same_float(held, ours);
    return column->kind == KIND_JSON && is_null(held) && is_null(ours);
}
