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

#include "entity/json_write.h"

#define SIZED(s) (s), sizeof(s) - 1

/* Where a string is written to: memory of the buffer's own, or lent memory of a size, behind some bytes. */
struct place {
    size_t lent, before;
};

enum { PLACES = 64 };

/* The memory is exactly of its size, so that a sanitizer sees what goes beyond it. */
static void begin(struct buf *out, const struct place *place, char **memory)
{
    *memory = NULL;
    *out = (struct buf){0};
    if (place->lent) {
        *memory = malloc(place->lent);
        assert_non_null(*memory);
        buf_lend(out, *memory, place->lent);
    }
    for (size_t i = 0; i < place->before; i++)
        buf_putc(out, '.');
    out->mark = out->len;
}

/* What was written behind the mark, as a copy; what stood before it is checked. */
static char *end(struct buf *out, const struct place *place, char *memory, size_t *len)
{
    size_t from = out->lent || !place->lent ? place->before : place->before - out->left;
    assert_false(buf_failed(out));
    assert_int_equal(buf_offset(out), from + out->left + (out->len - from));
    for (size_t i = 0; i < place->before; i++)
        assert_int_equal(i < out->left ? memory[i] : out->data[i - out->left], '.');
    *len = out->len - from;
    char *copy = malloc(*len + 1);
    assert_non_null(copy);
    if (*len)
        memcpy(copy, out->data + from, *len);
    copy[*len] = '\0';
    buf_free(out);
    free(memory);
    return copy;
}

/* A writer that takes one byte after the other. text is valid. */
static void naive(struct buf *out, const char *text, size_t len)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        static const char shorts[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
        const char *found = text[i] ? strchr(shorts, text[i]) : NULL;
        if (found)
            buf_printf(out, "\\%c", letters[found - shorts]);
        else if ((unsigned char)text[i] < 0x20)
            buf_printf(out, "\\u%04x", text[i]);
        else
            buf_putc(out, text[i]);
    }
    buf_putc(out, '"');
}

static void check_string(const char *text, size_t len, const struct place *place)
{
    struct buf out, want = {0};
    char *memory, *exact = malloc(len ? len : 1);
    size_t size;
    assert_non_null(exact);
    memcpy(exact, text, len);
    naive(&want, text, len);
    begin(&out, place, &memory);
    assert_int_equal(json_write_string(&out, exact, len), 0);
    char *got = end(&out, place, memory, &size);
    if (size != want.len || memcmp(got, want.data, size) != 0)
        fail_msg("wrote %s, not %s", got, buf_text(&want));
    free(got);
    free(exact);
    buf_free(&want);
}

/* escapes */

static void characters_are_escaped_where_they_must_be(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } cases[] = {
        {SIZED(""), "\"\""},
        {SIZED("a"), "\"a\""},
        {SIZED("\"\\/"), "\"\\\"\\\\/\""},
        {SIZED("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {SIZED("\0"), "\"\\u0000\""},
        {SIZED("\x01\x0b\x1f\x20\x7f"), "\"\\u0001\\u000b\\u001f \x7f\""},
        {SIZED("bl\xC3\xA5 \xE2\x82\xAC \xF0\x9F\x98\x80"), "\"bl\xC3\xA5 \xE2\x82\xAC \xF0\x9F\x98\x80\""},
        {SIZED("\xE2\x80\xA8"), "\"\xE2\x80\xA8\""},
        {SIZED("~tilde"), "\"~tilde\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        assert_int_equal(json_write_string(&out, cases[i].text, cases[i].len), 0);
        assert_string_equal(buf_text(&out), cases[i].json);
        buf_free(&out);
    }
}

static void every_ascii_character_is_written_as_the_naive_writer_does(void **state)
{
    const struct place own = {0};
    (void)state;
    for (int c = 0; c < 0x80; c++) {
        char text[17];
        memset(text, c, sizeof text);
        for (size_t len = 1; len <= sizeof text; len++)
            check_string(text, len, &own);
    }
}

/* Strings of each length with something special at each place: eight bytes are looked at at a time. */
static void a_special_character_is_seen_at_every_place(void **state)
{
    static const char *const specials[] = {"\"", "\\", "\n", "\x1f", "\x01", "\x7f", "\xC2\x80", "\xC3\xA5",
                                           "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\"\"", "\\\xC3\xA5", "\xC3\xA5\n"};
    const struct place own = {0};
    (void)state;
    for (size_t s = 0; s < sizeof specials / sizeof *specials; s++) {
        size_t width = strlen(specials[s]);
        for (size_t len = width; len <= 40; len++)
            for (size_t at = 0; at + width <= len; at++) {
                char text[40];
                memset(text, ' ' + (int)at, len);
                text[at ? 0 : len - 1] = '!'; /* next to the quote, and to the lowest plain character */
                memcpy(text + at, specials[s], width);
                check_string(text, len, &own);
            }
    }
}

static void two_special_characters_are_seen_at_every_distance(void **state)
{
    const struct place own = {0};
    (void)state;
    for (size_t first = 0; first < 24; first++)
        for (size_t second = first + 1; second < 24; second++) {
            char text[24];
            memset(text, 'x', sizeof text);
            text[first] = second % 2 ? '"' : '\n';
            text[second] = first % 2 ? '\\' : '\0';
            check_string(text, sizeof text, &own);
        }
}

static void lent_memory_may_be_outgrown_at_every_place(void **state)
{
    static const char text[] = "0123456789 \"quoted\" bl\xC3\xA5\n and \x01\x02\x03 more";
    (void)state;
    for (size_t lent = 1; lent < PLACES; lent++)
        for (size_t before = 0; before <= lent; before++)
            check_string(text, sizeof text - 1, &(struct place){.lent = lent, .before = before});
}

/* UTF-8 */

struct bytes {
    const char *text;
    size_t len;
};

static const struct bytes valid[] = {
    {SIZED("\x7f")},          {SIZED("\xC2\x80")},         {SIZED("\xDF\xBF")},         {SIZED("\xE0\xA0\x80")},
    {SIZED("\xE0\xBF\xBF")},  {SIZED("\xE1\x80\x80")},     {SIZED("\xEC\xBF\xBF")},     {SIZED("\xED\x80\x80")},
    {SIZED("\xED\x9F\xBF")},  {SIZED("\xEE\x80\x80")},     {SIZED("\xEF\xBF\xBF")},     {SIZED("\xF0\x90\x80\x80")},
    {SIZED("\xF0\xBF\xBF\xBF")}, {SIZED("\xF1\x80\x80\x80")}, {SIZED("\xF3\xBF\xBF\xBF")}, {SIZED("\xF4\x80\x80\x80")},
    {SIZED("\xF4\x8F\xBF\xBF")},
};

static const struct bytes invalid[] = {
    /* continuation bytes alone, bytes that never occur */
    {SIZED("\x80")}, {SIZED("\xBF")}, {SIZED("\xC0")}, {SIZED("\xC1")}, {SIZED("\xF5")}, {SIZED("\xF8")}, {SIZED("\xFE")},
    {SIZED("\xFF")},
    /* overlong */
    {SIZED("\xC0\x80")}, {SIZED("\xC1\xBF")}, {SIZED("\xE0\x80\x80")}, {SIZED("\xE0\x9F\xBF")}, {SIZED("\xF0\x80\x80\x80")},
    {SIZED("\xF0\x8F\xBF\xBF")},
    /* surrogates, above U+10FFFF */
    {SIZED("\xED\xA0\x80")}, {SIZED("\xED\xBF\xBF")}, {SIZED("\xF4\x90\x80\x80")}, {SIZED("\xF5\x80\x80\x80")},
    {SIZED("\xF8\x88\x80\x80\x80")},
    /* cut, or gone on with something else */
    {SIZED("\xC2")}, {SIZED("\xE2\x82")}, {SIZED("\xF0\x9F\x98")}, {SIZED("\xC2 ")}, {SIZED("\xC2\xC2\x80")},
    {SIZED("\xE2\x28\xA1")}, {SIZED("\xE2\x82\x28")}, {SIZED("\xE2\x82\xC2")}, {SIZED("\xF0\x28\x98\x80")},
    {SIZED("\xF0\x9F\x28\x80")}, {SIZED("\xF0\x9F\x98\x28")}, {SIZED("\xF0\x9F\x98\xC0")},
};

/* In the middle, at the beginning and at the end of plain characters. */
static void check_utf8(const struct bytes *bytes, bool good)
{
    for (size_t before = 0; before < 18; before++)
        for (size_t after = 0; after < 18; after += 9) {
            struct buf out = {0};
            size_t len = before + bytes->len + after;
            char *text = malloc(len);
            assert_non_null(text);
            memset(text, 'a', len);
            memcpy(text + before, bytes->text, bytes->len);
            buf_puts(&out, "here: ");
            if (json_write_is_utf8(text, len) != good)
                fail_msg("a text of %zu bytes that begin with %02x was taken wrongly", bytes->len,
                         *bytes->text & 0xFF);
            assert_int_equal(json_write_string(&out, text, len), good ? 0 : -1);
            assert_int_equal(out.len, good ? 6 + 2 + len : 6);
            assert_memory_equal(out.data, "here: ", 6);
            free(text);
            buf_free(&out);
        }
}

static void valid_utf8_is_written_as_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++)
        check_utf8(&valid[i], true);
}

static void what_is_not_utf8_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        check_utf8(&invalid[i], false);
}

static size_t put_character(char *text, unsigned code)
{
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        text[i] = (char)(0x80 | (code & 0x3F));
    text[0] = (char)(leads[size] | code);
    return size;
}

static void every_code_point_is_judged(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 0x200000; code++) {
        char text[4];
        bool good = code < 0xD800 || (code > 0xDFFF && code <= 0x10FFFF);
        if (json_write_is_utf8(text, put_character(text, code)) != good)
            fail_msg("U+%04X was judged wrongly", code);
    }
}

static void a_refused_string_gives_its_place_back_also_when_memory_was_outgrown(void **state)
{
    static const char text[] = "a text that is quite long until it ends in \xFF";
    (void)state;
    for (size_t lent = 1; lent < PLACES; lent++)
        for (size_t before = 0; before <= lent; before++) {
            const struct place place = {.lent = lent, .before = before};
            struct buf out;
            char *memory;
            size_t len;
            begin(&out, &place, &memory);
            assert_int_equal(json_write_string(&out, text, sizeof text - 1), -1);
            assert_int_equal(buf_offset(&out), before);
            buf_puts(&out, "next");
            char *got = end(&out, &place, memory, &len);
            assert_string_equal(got, "next");
            free(got);
        }
}

/* numbers */

static void integers_are_written_to_their_ends(void **state)
{
    static const int64_t cases[] = {0,  1,  -1,  9,   10,   -10,       99,        100,      -100,
                                    12, -5, 999, 1000, 10000, INT64_MAX, INT64_MIN, INT32_MIN, INT64_MIN + 1};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        char want[32];
        snprintf(want, sizeof want, "%lld", (long long)cases[i]);
        json_write_integer(&out, cases[i]);
        assert_string_equal(buf_text(&out), want);
        buf_free(&out);
    }
}

static void naturals_of_every_size_are_written(void **state)
{
    (void)state;
    for (uint64_t power = 1, shift = 0; shift < 64; power <<= 1, shift++)
        for (uint64_t near = power - 1; near != power + 2; near++) {
            struct buf out = {0};
            char want[32];
            snprintf(want, sizeof want, "%llu", (unsigned long long)near);
            json_write_natural(&out, near);
            assert_string_equal(buf_text(&out), want);
            buf_free(&out);
        }
    struct buf out = {0};
    json_write_natural(&out, UINT64_MAX);
    assert_string_equal(buf_text(&out), "18446744073709551615");
    buf_free(&out);
}

/* base64 */

static void base64_is_that_of_the_standard(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {SIZED(""), ""},
        {SIZED("f"), "Zg=="},
        {SIZED("fo"), "Zm8="},
        {SIZED("foo"), "Zm9v"},
        {SIZED("foob"), "Zm9vYg=="},
        {SIZED("fooba"), "Zm9vYmE="},
        {SIZED("foobar"), "Zm9vYmFy"},
        {SIZED("\x00\x01\x02\x03\x04\x05"), "AAECAwQF"},
        {SIZED("\xFF\xFE\xFB\xEF\xBE"), "//77774="},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        json_write_base64(&out, cases[i].bytes, cases[i].len);
        assert_string_equal(buf_text(&out), cases[i].text);
        buf_free(&out);
    }
}

/* documents */

struct document {
    const char *text;
    size_t len;
    const char *json; /* NULL: refused */
};
#define DOCUMENT(text, json) {SIZED(text), json}
#define SAME(text) {SIZED(text), text}

static const struct document documents[] = {
    SAME("1"),
    SAME("null"),
    SAME("1.50e+7"),
    SAME("\"\""),
    SAME("\"a\""),
    SAME("{}"),
    SAME("[]"),
    SAME("{\"a\":\"b~\"}"),
    SAME(" { \"a\" :\n [ 1 , \"b\" ] }\n"),
    SAME("{\"a\":\"bl\xC3\xA5\"}"),
    SAME("\"\\\"~\""),
    SAME("\"\\u0041~\""),
    SAME("\"\\\\u007e\""),
    SAME("\"a\\\\\""),
    DOCUMENT("\"~\"", "\"~~\""),
    DOCUMENT("\"~t2024-01-31\"", "\"~~t2024-01-31\""),
    DOCUMENT("\"~~\"", "\"~~~\""),
    DOCUMENT("\"\\u007ex\"", "\"~\\u007ex\""),
    DOCUMENT("\"\\u007Ex\"", "\"~\\u007Ex\""),
    SAME("\"\\u007fx\""),
    SAME("\"\\u107ex\""),
    /* names of members are left alone, however far the colon is */
    SAME("{\"~a\":1}"),
    SAME("{\"~a\" : 1}"),
    SAME("{\"~a\" \t\r\n: 1}"),
    SAME("{\"\\u007ea\":1}"),
    SAME("{\"~a\":{\"~b\":[{\"~c\":null}]}}"),
    DOCUMENT("{\"~a\":\"~b\"}", "{\"~a\":\"~~b\"}"),
    DOCUMENT("{\"~a\" : \"~b\" }", "{\"~a\" : \"~~b\" }"),
    DOCUMENT("[\"~a\",\"~b\" , \"c\",\"~d\"]", "[\"~~a\",\"~~b\" , \"c\",\"~~d\"]"),
    DOCUMENT("[\"~a:\", \":~\"]", "[\"~~a:\", \":~\"]"),
    DOCUMENT("{\"a\":[{\"b\":\"~\\\"c\\\"\"}],\"d\":\"~\\\\\"}",
             "{\"a\":[{\"b\":\"~~\\\"c\\\"\"}],\"d\":\"~~\\\\\"}"),
    /* what JSON does not allow, as far as it is looked at */
    DOCUMENT("", NULL),
    DOCUMENT("\"a", NULL),
    DOCUMENT("\"a\\\"", NULL),
    DOCUMENT("\"a\\", NULL),
    DOCUMENT("\"\n\"", NULL),
    DOCUMENT("\"a\x01\"", NULL),
    DOCUMENT("\"\x1f\"", NULL),
    SAME("\"\x20\x7f\""),
    DOCUMENT("\"\0\"", NULL),
    DOCUMENT("[\"~a\",\"\t\"]", NULL),
    DOCUMENT("\"\xFF\"", NULL),
    DOCUMENT("[\"~a\",\"\xC3\"]", NULL),
    DOCUMENT("\xED\xA0\x80", NULL),
};

static void check_document(const struct document *document, const struct place *place)
{
    struct buf out;
    char *memory, *text = malloc(document->len ? document->len : 1);
    size_t len;
    assert_non_null(text);
    memcpy(text, document->text, document->len);
    begin(&out, place, &memory);
    int failed = json_write_document(&out, text, document->len);
    char *got = end(&out, place, memory, &len);
    if (failed != (document->json ? 0 : -1) || strcmp(got, document->json ? document->json : "") != 0)
        fail_msg("%s became %s", document->text, got);
    free(got);
    free(text);
}

static void texts_in_documents_get_one_more_tilde_and_names_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
        check_document(&documents[i], &(struct place){0});
}

static void documents_may_outgrow_lent_memory_at_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
        for (size_t lent = 1; lent < PLACES; lent++)
            for (size_t before = 0; before <= lent; before += 1 + lent / 7)
                check_document(&documents[i], &(struct place){.lent = lent, .before = before});
}

static void a_text_of_anybodys_is_always_a_string(void **state)
{
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"", "\"\""},
        {"plain \xC3\xA6", "\"plain \xC3\xA6\""},
        {"\xFFx\n\xC3\xA6", "\"\xEF\xBF\xBDx\\n\xC3\xA6\""},
        {"cut \xE2\x82", "\"cut \xEF\xBF\xBD\xEF\xBF\xBD\""},
        {"\xED\xA0\x80\"", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\\\"\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = {0};
        json_write_text(&out, cases[i].text);
        assert_string_equal(buf_text(&out), cases[i].written);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_are_escaped_where_they_must_be),
        cmocka_unit_test(every_ascii_character_is_written_as_the_naive_writer_does),
        cmocka_unit_test(a_special_character_is_seen_at_every_place),
        cmocka_unit_test(two_special_characters_are_seen_at_every_distance),
        cmocka_unit_test(lent_memory_may_be_outgrown_at_every_place),
        cmocka_unit_test(valid_utf8_is_written_as_it_is),
        cmocka_unit_test(what_is_not_utf8_is_refused_and_leaves_nothing),
        cmocka_unit_test(every_code_point_is_judged),
        cmocka_unit_test(a_refused_string_gives_its_place_back_also_when_memory_was_outgrown),
        cmocka_unit_test(integers_are_written_to_their_ends),
        cmocka_unit_test(naturals_of_every_size_are_written),
        cmocka_unit_test(base64_is_that_of_the_standard),
        cmocka_unit_test(texts_in_documents_get_one_more_tilde_and_names_none),
        cmocka_unit_test(documents_may_outgrow_lent_memory_at_every_place),
        cmocka_unit_test(a_text_of_anybodys_is_always_a_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
