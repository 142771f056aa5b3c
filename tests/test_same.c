/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entity/same.h"

#define INT(n) {.kind = KIND_INT, .integer = (n)}
#define UINT(n) {.kind = KIND_UINT, .natural = (n)}
#define TIME(n) {.kind = KIND_DATETIME, .integer = (n)}
#define DAY(n) {.kind = KIND_DATE, .integer = (n)}
#define OF(k, s) {.kind = (k), .text = {(s), sizeof(s) - 1}}
#define TEXT(s) OF(KIND_TEXT, s)
#define FLOAT(s) OF(KIND_FLOAT, s)
#define JSON(s) OF(KIND_JSON, s)
#define LIST(items_) {.kind = KIND_LIST, .list = {items_, sizeof(items_) / sizeof *(items_)}}

static const struct column any = {.name = "a", .kind = KIND_TEXT}, json = {.name = "j", .kind = KIND_JSON};

struct comparison {
    struct value held, ours;
    bool same;
};

static void check(const struct column *column, const struct comparison *comparisons, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct comparison *c = &comparisons[i];
        if (same_value(column, &c->held, &c->ours) != c->same || same_value(column, &c->ours, &c->held) != c->same)
            fail_msg("comparison %zu: they should%s be the same", i, c->same ? "" : " not");
    }
}

#define CHECK(column, comparisons) check(column, comparisons, sizeof(comparisons) / sizeof *(comparisons))

static void values_of_one_kind_are_compared_as_they_are(void **state)
{
    static const struct comparison comparisons[] = {
        {{.kind = KIND_NULL}, {.kind = KIND_NULL, .integer = 5}, true},
        {{.kind = KIND_NULL}, TEXT(""), false},
        {{.kind = KIND_NULL}, INT(0), false},
        {{.kind = KIND_BOOL, .boolean = true}, {.kind = KIND_BOOL, .boolean = true}, true},
        {{.kind = KIND_BOOL, .boolean = true}, {.kind = KIND_BOOL}, false},
        {INT(-1), INT(-1), true},
        {INT(-1), INT(1), false},
        {UINT(UINT64_MAX), UINT(UINT64_MAX), true},
        {UINT(UINT64_MAX), UINT(1), false},
        {TIME(1), TIME(1), true},
        {TIME(1), TIME(2), false},
        {DAY(1), DAY(1), true},
        {DAY(1), DAY(2), false},
        {DAY(0), TIME(0), false},
        {TEXT(""), TEXT(""), true},
        {TEXT("a"), TEXT("a"), true},
        {TEXT("a"), TEXT("A"), false},
        {TEXT("a"), TEXT("a "), false},
        {TEXT("a\0b"), TEXT("a\0c"), false},
        {TEXT("\xC3\xA5"), TEXT("a\xCC\x8A"), false},
        {TEXT("a"), OF(KIND_BYTES, "a"), false},
        {OF(KIND_BYTES, "\0"), OF(KIND_BYTES, "\0"), true},
        {OF(KIND_BYTES, "\0"), OF(KIND_BYTES, ""), false},
        {OF(KIND_DECIMAL, "1.50"), OF(KIND_DECIMAL, "1.50"), true},
        {OF(KIND_DECIMAL, "1.50"), OF(KIND_DECIMAL, "1.5"), false},
        {OF(KIND_UUID, "aaaaaaaaaaaaaaaa"), OF(KIND_UUID, "aaaaaaaaaaaaaaaa"), true},
        {OF(KIND_UUID, "aaaaaaaaaaaaaaaa"), OF(KIND_UUID, "aaaaaaaaaaaaaaab"), false},
        {TEXT("infinity"), TIME(0), false},
    };
    (void)state;
    CHECK(&any, comparisons);
}

static void floats_are_compared_by_their_number(void **state)
{
    static const struct comparison comparisons[] = {
        {FLOAT("1.5"), FLOAT("1.5"), true},
        {FLOAT("1.5"), FLOAT("1.50"), true},
        {FLOAT("1.5"), FLOAT("15e-1"), true},
        {FLOAT("100000"), FLOAT("1e5"), true},
        {FLOAT("1e+05"), FLOAT("1e5"), true},
        {FLOAT("0.001"), FLOAT("1E-3"), true},
        {FLOAT("0.001"), FLOAT("0.0010"), true},
        {FLOAT("1.5"), FLOAT("1.6"), false},
        {FLOAT("1.5"), FLOAT("-1.5"), false},
        {FLOAT("1.5"), FLOAT("15"), false},
        {FLOAT("1e5"), FLOAT("1e6"), false},
        {FLOAT("12"), FLOAT("123"), false},
        {FLOAT("0"), FLOAT("0.0e7"), true},
        {FLOAT("0"), FLOAT("-0"), false},
        {FLOAT("-0"), FLOAT("-0.0"), true},
        {FLOAT("NaN"), FLOAT("NaN"), true},
        {FLOAT("Infinity"), FLOAT("Infinity"), true},
        {FLOAT("Infinity"), FLOAT("-Infinity"), false},
        {FLOAT("NaN"), FLOAT("0"), false},
        {FLOAT("NaN"), FLOAT("Infinity"), false},
    };
    (void)state;
    CHECK(&any, comparisons);
}

static void numbers_of_different_kinds_can_be_the_same(void **state)
{
    static const struct comparison comparisons[] = {
        {INT(7), UINT(7), true},
        {INT(7), UINT(8), false},
        {INT(-1), UINT(UINT64_MAX), false},
        {INT(3), FLOAT("3"), true},
        {INT(3), FLOAT("3.0"), true},
        {INT(-3), FLOAT("-3"), true},
        {INT(3), FLOAT("-3"), false},
        {INT(3), FLOAT("3.5"), false},
        {INT(0), FLOAT("0"), true},
        {INT(0), FLOAT("-0"), false},
        {INT(1000000000000000), FLOAT("1e+15"), true},
        {INT(INT64_MIN), FLOAT("-9223372036854775808"), true},
        {INT(INT64_MIN), FLOAT("-9.223372036854776e+18"), false},
        {UINT(UINT64_MAX), FLOAT("18446744073709551615"), true},
        {INT(0), FLOAT("NaN"), false},
        {INT(3), TEXT("3"), false},
        {INT(1), {.kind = KIND_BOOL, .boolean = true}, false},
    };
    (void)state;
    CHECK(&any, comparisons);
}

static const struct value one[] = {INT(1), {.kind = KIND_NULL}, TEXT("a")};
static const struct value other[] = {INT(1), {.kind = KIND_NULL}, TEXT("b")};
static const struct value nested[] = {LIST(one), LIST(other)}, swapped[] = {LIST(other), LIST(one)};

static void lists_are_compared_in_their_order(void **state)
{
    static const struct comparison comparisons[] = {
        {LIST(one), LIST(one), true},
        {LIST(one), LIST(other), false},
        {LIST(nested), LIST(nested), true},
        {LIST(nested), LIST(swapped), false},
        {{.kind = KIND_LIST}, {.kind = KIND_LIST}, true},
        {LIST(one), {.kind = KIND_LIST}, false},
        {LIST(one), {.kind = KIND_LIST, .list = {one, 2}}, false},
        {LIST(nested), LIST(one), false},
    };
    (void)state;
    CHECK(&any, comparisons);
}

static void documents_are_compared_by_their_tokens(void **state)
{
    static const struct comparison comparisons[] = {
        {JSON("{}"), JSON("{}"), true},
        {JSON("{}"), JSON(" { } "), true},
        {JSON("{}"), JSON("[]"), false},
        {JSON("{\"a\":1,\"b\":2}"), JSON("{ \"b\" : 2 , \"a\" : 1 }"), true},
        {JSON("{\"a\":1,\"b\":2}"), JSON("{\"a\":2,\"b\":1}"), false},
        {JSON("{\"a\":1,\"b\":2}"), JSON("{\"a\":1}"), false},
        {JSON("{\"a\":1,\"b\":2}"), JSON("{\"a\":1,\"c\":2}"), false},
        {JSON("{\"a\":1,\"ab\":2}"), JSON("{\"ab\":2,\"a\":1}"), true},
        {JSON("{\"a\":{\"b\":[{\"c\":1,\"d\":null}]}}"), JSON("{\"a\":{\"b\":[{\"d\":null,\"c\":1}]}}"), true},
        {JSON("{\"a\":{\"b\":[{\"c\":1,\"d\":null}]}}"), JSON("{\"a\":{\"b\":[{\"d\":null,\"c\":2}]}}"), false},
        {JSON("{\"b\":[1],\"a\":[2]}"), JSON("{\"a\":[2],\"b\":[1]}"), true},
        {JSON("{\"\":[\"\"]}"), JSON("{ \"\" : [ \"\" ] }"), true},
        {JSON("{\"\":[]}"), JSON("{ \"\" : {} }"), false},
        {JSON("[1,2]"), JSON("[1, 2]"), true},
        {JSON("[1,2]"), JSON("[2,1]"), false},
        {JSON("[1,2]"), JSON("[1,2,3]"), false},
        {JSON("[[1],2]"), JSON("[[1,2]]"), false},
        {JSON("[[],[]]"), JSON("[[ ],[ ]]"), true},
        {JSON("[[],[]]"), JSON("[[[]]]"), false},
        {JSON("[1]"), JSON("[1.0]"), false},
        {JSON("[1.0]"), JSON("[1.00]"), false},
        {JSON("[1]"), JSON("[\"1\"]"), false},
        {JSON("[true]"), JSON("[false]"), false},
        {JSON("[null]"), JSON("[\"null\"]"), false},
        {JSON("\"\xC3\xA5\\n\""), JSON("\"\\u00e5\\u000A\""), true},
        {JSON("\"\xF0\x9F\x98\x80\""), JSON("\"\\ud83d\\ude00\""), true},
        {JSON("\"/\""), JSON("\"\\/\""), true},
        {JSON("{\"\xC3\xA5\":1}"), JSON("{\"\\u00e5\":1}"), true},
        {JSON("\"a\""), JSON("\"b\""), false},
        {JSON("\"\\u0000a\""), JSON("\"\\u0000b\""), false},
        {JSON("1"), JSON(" 1 "), true},
        {JSON("true"), JSON("true\n"), true},
        /* of a name that comes twice neither is lost */
        {JSON("{\"a\":1,\"a\":2}"), JSON("{ \"a\":1,\"a\":2}"), true},
        {JSON("{\"a\":1,\"a\":2}"), JSON("{\"a\":2,\"a\":1}"), false},
        {JSON("{\"a\":1,\"a\":2}"), JSON("{\"a\":2}"), false},
        /* what is no JSON is only the same as itself */
        {JSON("nope"), JSON("nope"), true},
        {JSON("nope"), JSON("nope "), false},
        {JSON("[1"), JSON("[1 "), false},
        {JSON("[1]]"), JSON("[1]] "), false},
        {JSON(""), JSON(""), true},
        {JSON(""), JSON(" "), false},
        {JSON(""), JSON("[]"), false},
    };
    (void)state;
    CHECK(&json, comparisons);
}

static void an_entitys_null_is_either_null_of_a_json_column(void **state)
{
    static const struct comparison comparisons[] = {
        {JSON("null"), {.kind = KIND_NULL}, true},
        {JSON("\"null\""), {.kind = KIND_NULL}, false},
        {JSON("nul"), {.kind = KIND_NULL}, false},
        {JSON("{}"), {.kind = KIND_NULL}, false},
    };
    static const struct comparison texts[] = {{JSON("null"), {.kind = KIND_NULL}, false}};
    (void)state;
    CHECK(&json, comparisons);
    CHECK(&any, texts);
}

/* Deep documents end in an answer and not in the stack's end. */
static void documents_that_are_too_deep_are_the_same_as_themselves_only(void **state)
{
    enum { DEEP = 1000000 };
    char *text = malloc(2 * DEEP + 1), *spaced = malloc(2 * DEEP + 1);
    (void)state;
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    memcpy(spaced, text, 2 * DEEP);
    spaced[2 * DEEP] = ' ';
    const struct value deep = {.kind = KIND_JSON, .text = {text, 2 * DEEP}};
    const struct value blank = {.kind = KIND_JSON, .text = {spaced, 2 * DEEP + 1}};
    assert_true(same_value(&json, &deep, &deep));
    assert_false(same_value(&json, &deep, &blank));
    /* 500 levels are not too many */
    const struct value flat = {.kind = KIND_JSON, .text = {text + DEEP - 500, 1000}};
    char room[1001];
    memcpy(room, flat.text.bytes, 1000);
    room[1000] = '\n';
    const struct value flat_blank = {.kind = KIND_JSON, .text = {room, 1001}};
    assert_true(same_value(&json, &flat, &flat_blank));
    free(text);
    free(spaced);
}

static void an_object_of_many_members_is_compared(void **state)
{
    enum { MANY = 2000, SIZE = MANY * 20 + 3 };
    char *up = malloc(SIZE), *down = malloc(SIZE), *at = up, *back = down;
    (void)state;
    *at++ = *back++ = '{';
    for (int i = 0; i < MANY; i++) {
        at += sprintf(at, "%s\"k%d\":%d", i ? "," : "", i, i);
        back += sprintf(back, "%s\"k%d\":%d", i ? "," : "", MANY - 1 - i, MANY - 1 - i);
    }
    *at++ = *back++ = '}';
    const struct value a = {.kind = KIND_JSON, .text = {up, (size_t)(at - up)}};
    const struct value b = {.kind = KIND_JSON, .text = {down, (size_t)(back - down)}};
    assert_true(same_value(&json, &a, &b));
    back[-2] = '1'; /* of "k0":0 */
    assert_false(same_value(&json, &a, &b));
    free(up);
    free(down);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_one_kind_are_compared_as_they_are),
        cmocka_unit_test(floats_are_compared_by_their_number),
        cmocka_unit_test(numbers_of_different_kinds_can_be_the_same),
        cmocka_unit_test(lists_are_compared_in_their_order),
        cmocka_unit_test(documents_are_compared_by_their_tokens),
        cmocka_unit_test(an_entitys_null_is_either_null_of_a_json_column),
        cmocka_unit_test(documents_that_are_too_deep_are_the_same_as_themselves_only),
        cmocka_unit_test(an_object_of_many_members_is_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
