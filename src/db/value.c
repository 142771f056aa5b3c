#include "db/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_bytes(const struct value *a, const struct value *b)
{
    size_t common = a->text.len < b->text.len ? a->text.len : b->text.len;
    int order = common ? memcmp(a->text.bytes, b->text.bytes, common) : 0;
    return order ? order : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

/* Negative integers are below all, then those that fit 63 bits, then the others. */
static int by_number(const struct value *a, const struct value *b)
{
    bool low_a = a->kind == KIND_INT && a->integer < 0, low_b = b->kind == KIND_INT && b->integer < 0;
    if (low_a || low_b)
        return low_a && low_b ? (a->integer > b->integer) - (a->integer < b->integer) : low_b - low_a;
    return (a->natural > b->natural) - (a->natural < b->natural); /* both are not negative: the same bits */
}

/* Times that we cannot count come as texts: "infinity" and years of five digits are later than all others,
 * "-infinity", years BC and MySQL's zeros are earlier. */
static int era(const struct value *value)
{
    if (value->kind != KIND_TEXT)
        return 0;
    const char *text = value->text.bytes;
    return value->text.len > 5 && (text[0] == 'i' || (text[0] != '-' && text[4] != '-')) ? 1 : -1;
}

static double as_double(const struct value *value)
{
    switch (value->kind) {
    case KIND_INT:
        return (double)value->integer;
    case KIND_UINT:
        return (double)value->natural;
    case KIND_FLOAT:
    case KIND_DECIMAL: {
        char digits[64];
        snprintf(digits, sizeof digits, "%.*s", (int)(value->text.len < 63 ? value->text.len : 63), value->text.bytes);
        return strtod(digits, NULL);
    }
    default:
        return value->kind == KIND_BOOL && value->boolean;
    }
}

/* SQLite's storage classes: numbers before texts before blobs. */
static int rank(const struct value *value)
{
    return value->kind == KIND_BYTES ? 2 : value->kind == KIND_TEXT ? 1 : 0;
}

int value_compare(const struct value *a, const struct value *b)
{
    bool a_time = a->kind == KIND_DATETIME || a->kind == KIND_DATE, b_time = b->kind == KIND_DATETIME || b->kind == KIND_DATE;
    if (a_time || b_time)
        return a_time && b_time ? (a->integer > b->integer) - (a->integer < b->integer) : era(a) - era(b);
    if (rank(a) != rank(b))
        return rank(a) - rank(b);
    if (rank(a) || a->kind == KIND_UUID)
        return by_bytes(a, b);
    bool a_whole = a->kind == KIND_INT || a->kind == KIND_UINT, b_whole = b->kind == KIND_INT || b->kind == KIND_UINT;
    if (a_whole && b_whole)
        return by_number(a, b);
    double x = as_double(a), y = as_double(b);
    return (x > y) - (x < y);
}
