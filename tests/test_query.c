/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "http/query.h"

/* Takes a copy of just its size apart, and writes down what came of it: "path|name=value|...", "!" when it
 * was refused. */
static void take_apart(const char *uri, struct buf *out)
{
    struct arena *arena = arena_new();
    struct query query;
    struct err err = {0};
    char *copy = strdup(uri);
    assert_non_null(arena);
    assert_non_null(copy);
    if (query_parse(&query, copy, arena, &err)) {
        assert_int_equal(err.code, ERR_INPUT);
        buf_puts(out, "!");
    } else {
        buf_puts(out, query.path);
        for (size_t i = 0; i < query.count; i++)
            buf_printf(out, "|%s=%s", query.parameters[i].name, query.parameters[i].value);
    }
    free(copy);
    arena_free(arena);
}

struct case_target {
    const char *uri, *parts;
};

static void check(const struct case_target *targets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf out = {0};
        take_apart(targets[i].uri, &out);
        if (strcmp(buf_text(&out), targets[i].parts) != 0)
            fail_msg("%s became %s, not %s", targets[i].uri, out.data, targets[i].parts);
        buf_free(&out);
    }
}
#define CHECK(targets) check(targets, sizeof targets / sizeof *targets)

static void path_and_parameters_are_told_apart(void **state)
{
    static const struct case_target targets[] = {
        {"", ""},
        {"/", "/"},
        {"/sources/a", "/sources/a"},
        {"/sources/a?", "/sources/a"},
        {"/sources/a?since=5", "/sources/a|since=5"},
        {"/sources/a?since=5&limit=10", "/sources/a|since=5|limit=10"},
        {"?a=b", "|a=b"},
        {"/a?b=c?d=e", "/a|b=c?d=e"},
        {"/a&b=c", "/a&b=c"},
    };
    (void)state;
    CHECK(targets);
}

static void odd_parameters_are_taken_as_they_are(void **state)
{
    static const struct case_target targets[] = {
        {"/a?b", "/a|b="},
        {"/a?b=", "/a|b="},
        {"/a?=b", "/a|=b"},
        {"/a?=", "/a|="},
        {"/a?b=c=d", "/a|b=c=d"},
        {"/a?&", "/a"},
        {"/a?&&b=c&&", "/a|b=c"},
        {"/a?b=1&b=2", "/a|b=1|b=2"},
        {"/a?b=c#d", "/a|b=c#d"},
    };
    (void)state;
    CHECK(targets);
}

static void percent_signs_are_decoded(void **state)
{
    static const struct case_target targets[] = {
        {"/a%20b", "/a b"},
        {"/a%2fb%2Fc", "/a/b/c"},
        {"/%C3%a6", "/\xC3\xA6"},
        {"/a%3Fb=c", "/a?b=c"},
        {"/a?b%3Dc=d", "/a|b=c=d"},
        {"/a?b=%26c%3Dd", "/a|b=&c=d"},
        {"/a?b=%2525", "/a|b=%25"},
        {"/a?b=%23%60!%21", "/a|b=#`!!"},
        {"/a?b=%01%ff", "/a|b=\x01\xff"},
        {"/a?b=%5B%22eq%22%2C%22_S.c%22%2C%22NO%22%5D", "/a|b=[\"eq\",\"_S.c\",\"NO\"]"},
    };
    (void)state;
    CHECK(targets);
}

static void a_plus_is_a_space_in_parameters_only(void **state)
{
    static const struct case_target targets[] = {
        {"/a+b", "/a+b"},
        {"/a?b+c=d+e", "/a|b c=d e"},
        {"/a?b=d%2Be", "/a|b=d+e"},
        {"/a?since=2024-01-31T12:00:00+01:00", "/a|since=2024-01-31T12:00:00 01:00"},
    };
    (void)state;
    CHECK(targets);
}

static void a_percent_sign_without_two_digits_is_refused(void **state)
{
    static const struct case_target targets[] = {
        {"/%", "!"},        {"/%4", "!"},       {"/%4g", "!"},      {"/%g4", "!"},      {"/%%41", "!"},
        {"/a?%=b", "!"},    {"/a?b=%", "!"},    {"/a?b=%4", "!"},   {"/a?b=%4&c=d", "!"}, {"/a?b=%&c=d", "!"},
        {"/a?b%4=c", "!"},  {"/a?b=c&d=%zz", "!"}, {"/a?b=%-1", "!"}, {"/a?b=% 1", "!"}, {"/%4?1=a", "!"},
    };
    (void)state;
    CHECK(targets);
}

static void an_encoded_nul_is_refused(void **state)
{
    static const struct case_target targets[] = {
        {"/%00", "!"}, {"/a?b=%00", "!"}, {"/a?%00=b", "!"}, {"/a?b=c%00d", "!"}};
    (void)state;
    CHECK(targets);
}

/* Each byte goes out encoded and comes back. */
static void every_byte_can_be_sent(void **state)
{
    (void)state;
    for (unsigned byte = 1; byte < 256; byte++) {
        struct buf uri = {0}, want = {0}, got = {0};
        buf_printf(&uri, "/%%%02x?%%%02X=%%%02x", byte, byte, byte);
        buf_printf(&want, "/%c|%c=%c", byte, byte, byte);
        take_apart(buf_text(&uri), &got);
        assert_string_equal(buf_text(&got), buf_text(&want));
        buf_free(&uri);
        buf_free(&want);
        buf_free(&got);
    }
}

static void a_target_cut_anywhere_is_taken_or_refused(void **state)
{
    static const char uri[] = "/sources/bl%C3%A5?since=2024%2D01&x&limit=%31";
    (void)state;
    for (size_t len = 0; len < sizeof uri; len++) {
        char cut[sizeof uri];
        struct buf out = {0};
        memcpy(cut, uri, len);
        cut[len] = '\0';
        const char *percent = strrchr(cut, '%');
        take_apart(cut, &out);
        assert_int_equal(strcmp(buf_text(&out), "!") == 0, percent && strlen(percent) < 3);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_and_parameters_are_told_apart),
        cmocka_unit_test(odd_parameters_are_taken_as_they_are),
        cmocka_unit_test(percent_signs_are_decoded),
        cmocka_unit_test(a_plus_is_a_space_in_parameters_only),
        cmocka_unit_test(a_percent_sign_without_two_digits_is_refused),
        cmocka_unit_test(an_encoded_nul_is_refused),
        cmocka_unit_test(every_byte_can_be_sent),
        cmocka_unit_test(a_target_cut_anywhere_is_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
