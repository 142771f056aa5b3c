/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "entity/json_read.h"

#define SIZED(s) (s), sizeof(s) - 1

static const struct json_limits limits = {.depth = 8, .string = 1000, .name = 100, .number = 50};

static void put_text(struct buf *out, const struct json_event *event)
{
    for (size_t i = 0; i < event->len; i++)
        if (event->text[i] < 0x20 && event->text[i] >= 0)
            buf_printf(out, "<%02x>", (unsigned)event->text[i]);
        else
            buf_putc(out, event->text[i]);
    buf_putc(out, ' ');
}

/* An event in few characters: { } [ ] true false null, name: 'string' #number. */
static void put_event(struct buf *out, const struct json_event *event)
{
    static const char *const marks[] = {"{ ", "} ", "[ ", "] ", ":", "'", "#", "true ", "false ", "null "};
    buf_puts(out, marks[event->kind]);
    if (event->kind == JSON_NAME || event->kind == JSON_STRING_VALUE || event->kind == JSON_NUMBER_VALUE)
        put_text(out, event);
}

static int read_some(struct json_read *reader, const char *text, size_t len, struct buf *out, struct err *err)
{
    /* Exactly of its size and gone afterwards, so that a sanitizer sees who reads beyond or keeps a pointer. */
    char *copy = malloc(len);
    assert_true(copy || !len);
    if (len)
        memcpy(copy, text, len);
    struct json_event event;
    int got;
    json_read_feed(reader, copy, len);
    while ((got = json_read_next(reader, &event, err)) > 0)
        put_event(out, &event);
    free(copy);
    return got;
}

/* Reads text in three pieces, cut at two places. Returns the events, and an error's code and text behind. */
static char *read_cut(const struct json_limits *most, const char *text, size_t len, size_t first, size_t second)
{
    struct json_read *reader = json_read_new(most);
    const size_t cuts[] = {0, first, second, len};
    struct buf out = {0};
    struct err err = {0};
    struct json_event event;
    int got = 0;
    assert_non_null(reader);
    for (size_t i = 0; i < 3 && got == 0; i++)
        got = read_some(reader, text + cuts[i], cuts[i + 1] - cuts[i], &out, &err);
    while (got == 0 && (got = json_read_end(reader, &event, &err)) > 0) {
        put_event(&out, &event);
        got = 0;
    }
    if (got < 0)
        buf_printf(&out, "! %s: %s", err.code == ERR_INPUT ? "input" : "large", err.text);
    else
        assert_int_equal(json_read_depth(reader), 0);
    json_read_free(reader);
    assert_non_null(buf_text(&out));
    return out.data;
}

/* The events are these, whole and however the text is cut in up to three pieces. */
static void check_within(const struct json_limits *most, const char *text, size_t len, const char *want)
{
    for (size_t first = 0; first <= len; first++)
        for (size_t second = first; second <= len; second++) {
            char *got = read_cut(most, text, len, first, second);
            if (strcmp(got, want) != 0)
                print_error("%.*s, cut at %zu and %zu\n", (int)len, text, first, second);
            assert_string_equal(got, want);
            free(got);
        }
}

struct document {
    const char *text;
    size_t len;
    const char *want;
};

static void check_all(const struct document *documents, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_within(&limits, documents[i].text, documents[i].len, documents[i].want);
}

#define CHECK_ALL(documents) check_all(documents, sizeof(documents) / sizeof *(documents))

static void events_are_the_same_however_the_document_is_cut(void **state)
{
    static const struct document documents[] = {
        {SIZED("[]"), "[ ] "},
        {SIZED("{}"), "{ } "},
        {SIZED(" \t\r\n[ 1 , 2 ] \n"), "[ #1 #2 ] "},
        {SIZED("{\"a\":{\"b\":[true,false,null]},\"c\":\"d\"}"), "{ :a { :b [ true false null ] } :c 'd } "},
        {SIZED("[[],{},[{}]]"), "[ [ ] { } [ { } ] ] "},
        {SIZED("\"text\""), "'text "},
        {SIZED("\"\""), "' "},
        {SIZED("true"), "true "},
        {SIZED(" null "), "null "},
        {SIZED("0"), "#0 "},
        {SIZED("-12.50e+03 "), "#-12.50e+03 "},
        {SIZED("{\"\":\"\"}"), "{ : ' } "},
        {SIZED("{\"a\":1,\"a\":2}"), "{ :a #1 :a #2 } "},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void numbers_keep_every_character(void **state)
{
    static const struct document documents[] = {
        {SIZED("[-0,0.0,1E5,1e-7,10,-1.5E+300]"), "[ #-0 #0.0 #1E5 #1e-7 #10 #-1.5E+300 ] "},
        {SIZED("[1234567890123456789012345678901234567890]"), "[ #1234567890123456789012345678901234567890 ] "},
        {SIZED("[0.1000000000000000000000000000000000010]"), "[ #0.1000000000000000000000000000000000010 ] "},
        {SIZED("[1e999999]"), "[ #1e999999 ] "},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void escapes_are_decoded(void **state)
{
    static const struct document documents[] = {
        {SIZED("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "'\"\\/<08><0c><0a><0d><09> "},
        {SIZED("\"a\\u0041\\u00e6\\u20AC\\uD83D\\uDE00z\""), "'aA\xC3\xA6\xE2\x82\xAC\xF0\x9F\x98\x80z "},
        {SIZED("\"\\ud800\\udc00\\udbff\\udfff\""), "'\xF0\x90\x80\x80\xF4\x8F\xBF\xBF "},
        {SIZED("\"\\u0000\\u001f\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
         "'<00><1f>\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF "},
        {SIZED("{\"\\u006eame\\n\":\"\\ud7ff\\ue000\"}"), "{ :name<0a> '\xED\x9F\xBF\xEE\x80\x80 } "},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void valid_utf_8_is_taken_as_it_is(void **state)
{
    static const struct document documents[] = {
        {SIZED("\"\xC3\xA6\xC3\xB8\xC3\xA5 and sixteen bytes of ASCII \xE2\x82\xAC\""),
         "'\xC3\xA6\xC3\xB8\xC3\xA5 and sixteen bytes of ASCII \xE2\x82\xAC "},
        {SIZED("\"\xC2\x80\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""),
         "'\xC2\x80\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF "},
        {SIZED("{\"\xC3\xA6\":\"\x7F\"}"), "{ :\xC3\xA6 '\x7F } "},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void bytes_that_are_not_utf_8_are_refused(void **state)
{
    static const struct document documents[] = {
        {SIZED("\"\x80\""), "! input: a byte that is not UTF-8 at byte 2"},
        {SIZED("\"a\xC0\xAF\""), "! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"\xC1\xBF\""), "! input: a byte that is not UTF-8 at byte 2"},
        {SIZED("\"\xE0\x9F\xBF\""), "! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"\xED\xA0\x80\""), "! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"\xF0\x8F\xBF\xBF\""), "! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"\xF4\x90\x80\x80\""), "! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"\xF5\x80\x80\x80\""), "! input: a byte that is not UTF-8 at byte 2"},
        {SIZED("\"\xFF\""), "! input: a byte that is not UTF-8 at byte 2"},
        {SIZED("\"\xC3\""), "! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"\xE2\x82\""), "! input: a byte that is not UTF-8 at byte 4"},
        {SIZED("\"\xC3\\u00a6\""), "! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"\xC3\x41\""), "! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"\xF0\x9F\x98\x41\""), "! input: a byte that is not UTF-8 at byte 5"},
        {SIZED("{\"\xA6\":1}"), "{ ! input: a byte that is not UTF-8 at byte 3"},
        {SIZED("\"sixteen bytes of ASCII \xA6\x01\""), "! input: a byte that is not UTF-8 at byte 25"},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void what_is_not_json_is_refused_with_its_byte(void **state)
{
    static const struct document documents[] = {
        {SIZED(""), "! input: the document is empty"},
        {SIZED(" \n"), "! input: the document is empty"},
        {SIZED("\xEF\xBB\xBF[]"), "! input: a value was expected, not 0xEF, at byte 1"},
        {SIZED("[1,]"), "[ #1 ! input: a value was expected, not ']', at byte 4"},
        {SIZED("[,1]"), "[ ! input: a value was expected, not ',', at byte 2"},
        {SIZED("[1 2]"), "[ #1 ! input: ',' or ']' was expected, not '2', at byte 4"},
        {SIZED("[1}"), "[ #1 ! input: ',' or ']' was expected, not '}', at byte 3"},
        {SIZED("[1:2]"), "[ #1 ! input: ',' or ']' was expected, not ':', at byte 3"},
        {SIZED("{\"a\":1,}"), "{ :a #1 ! input: a name was expected, not '}', at byte 8"},
        {SIZED("{\"a\":1]"), "{ :a #1 ! input: ',' or '}' was expected, not ']', at byte 7"},
        {SIZED("{\"a\",1}"), "{ :a ! input: ':' was expected, not ',', at byte 5"},
        {SIZED("{\"a\":}"), "{ :a ! input: a value was expected, not '}', at byte 6"},
        {SIZED("{\"a\"::1}"), "{ :a ! input: a value was expected, not ':', at byte 6"},
        {SIZED("{a:1}"), "{ ! input: a name or '}' was expected, not 'a', at byte 2"},
        {SIZED("{1:1}"), "{ ! input: a name or '}' was expected, not '1', at byte 2"},
        {SIZED("[]]"), "[ ] ! input: the end was expected, not ']', at byte 3"},
        {SIZED("[] []"), "[ ] ! input: the end was expected, not '[', at byte 4"},
        {SIZED("1 2"), "#1 ! input: the end was expected, not '2', at byte 3"},
        {SIZED("[] ,"), "[ ] ! input: the end was expected, not ',', at byte 4"},
        {SIZED("]"), "! input: a value was expected, not ']', at byte 1"},
        {SIZED("[\x0B]"), "[ ! input: a value was expected, not 0x0B, at byte 2"},
        {SIZED("[\0]"), "[ ! input: a value was expected, not 0x00, at byte 2"},
        {SIZED("'a'"), "! input: a value was expected, not ''', at byte 1"},
        {SIZED("NaN"), "! input: a value was expected, not 'N', at byte 1"},
        {SIZED("trUe"), "! input: true was expected, not 'U', at byte 3"},
        {SIZED("[nul]"), "[ ! input: null was expected, not ']', at byte 5"},
        {SIZED("[truefalse]"), "[ true ! input: ',' or ']' was expected, not 'f', at byte 6"},
        {SIZED("// x"), "! input: a value was expected, not '/', at byte 1"},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void numbers_that_json_does_not_have_are_refused(void **state)
{
    static const struct document documents[] = {
        {SIZED("[01]"), "[ #0 ! input: ',' or ']' was expected, not '1', at byte 3"},
        {SIZED("[-]"), "[ ! input: a digit was expected, not ']', at byte 3"},
        {SIZED("[--1]"), "[ ! input: a digit was expected, not '-', at byte 3"},
        {SIZED("[+1]"), "[ ! input: a value was expected, not '+', at byte 2"},
        {SIZED("[.5]"), "[ ! input: a value was expected, not '.', at byte 2"},
        {SIZED("[1.]"), "[ ! input: a digit was expected, not ']', at byte 4"},
        {SIZED("[1.e5]"), "[ ! input: a digit was expected, not 'e', at byte 4"},
        {SIZED("[1e]"), "[ ! input: a digit was expected, not ']', at byte 4"},
        {SIZED("[1e+]"), "[ ! input: a digit was expected, not ']', at byte 5"},
        {SIZED("[1.2.3]"), "[ #1.2 ! input: ',' or ']' was expected, not '.', at byte 5"},
        {SIZED("[1e5e5]"), "[ #1e5 ! input: ',' or ']' was expected, not 'e', at byte 5"},
        {SIZED("[0x10]"), "[ #0 ! input: ',' or ']' was expected, not 'x', at byte 3"},
        {SIZED("-"), "! input: the document is cut off after byte 1"},
        {SIZED("1."), "! input: the document is cut off after byte 2"},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void strings_that_json_does_not_have_are_refused(void **state)
{
    static const struct document documents[] = {
        {SIZED("\"a\nb\""), "! input: a control character in a string at byte 3"},
        {SIZED("\"\0\""), "! input: a control character in a string at byte 2"},
        {SIZED("\"sixteen bytes of ASCII\x1F\""), "! input: a control character in a string at byte 24"},
        {SIZED("\"\\a\""), "! input: an escape that JSON does not have at byte 3"},
        {SIZED("\"\\U0041\""), "! input: an escape that JSON does not have at byte 3"},
        {SIZED("\"\\\0\""), "! input: an escape that JSON does not have at byte 3"},
        {SIZED("\"\\u00g0\""), "! input: an escape without four hexadecimal digits at byte 6"},
        {SIZED("\"\\u00\""), "! input: an escape without four hexadecimal digits at byte 6"},
        {SIZED("\"\\ud800\""), "! input: an escape of half a surrogate pair at byte 8"},
        {SIZED("\"\\ud800x\""), "! input: an escape of half a surrogate pair at byte 8"},
        {SIZED("\"\\ud800\\n\""), "! input: an escape of half a surrogate pair at byte 9"},
        {SIZED("\"\\ud800\\u0041\""), "! input: an escape of half a surrogate pair at byte 13"},
        {SIZED("\"\\ud800\\ud800\""), "! input: an escape of half a surrogate pair at byte 13"},
        {SIZED("\"\\udc00\""), "! input: an escape of half a surrogate pair at byte 7"},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void documents_without_an_end_are_refused(void **state)
{
    static const struct document documents[] = {
        {SIZED("["), "[ ! input: the document is cut off after byte 1"},
        {SIZED("[1"), "[ ! input: the document is cut off after byte 2"},
        {SIZED("[1,"), "[ #1 ! input: the document is cut off after byte 3"},
        {SIZED("{\"a\""), "{ :a ! input: the document is cut off after byte 4"},
        {SIZED("{\"a\":"), "{ :a ! input: the document is cut off after byte 5"},
        {SIZED("{\"a\":1"), "{ :a ! input: the document is cut off after byte 6"},
        {SIZED("\"abc"), "! input: the document is cut off after byte 4"},
        {SIZED("\"abc\\"), "! input: the document is cut off after byte 5"},
        {SIZED("\"\xC3"), "! input: the document is cut off after byte 2"},
        {SIZED("tru"), "! input: the document is cut off after byte 3"},
    };
    (void)state;
    CHECK_ALL(documents);
}

static void what_is_within_a_limit_is_taken_and_one_more_is_not(void **state)
{
    static const struct json_limits few = {.depth = 2, .string = 4, .name = 3, .number = 5};
    static const struct document documents[] = {
        {SIZED("[[1]]"), "[ [ #1 ] ] "},
        {SIZED("[[[1]]]"), "[ [ ! large: an array or object within 2 others begins at byte 3"},
        {SIZED("[{\"a\":{}}]"), "[ { :a ! large: an array or object within 2 others begins at byte 7"},
        {SIZED("[\"abcd\"]"), "[ 'abcd ] "},
        {SIZED("[\"abcde\"]"), "[ ! large: a string of more than 4 bytes begins at byte 2"},
        {SIZED("\"\\u0041\\u0042\\u0043\\u0044\""), "'ABCD "},
        {SIZED("\"\\u0041\\u0042\\u0043\\u0044e\""), "! large: a string of more than 4 bytes begins at byte 1"},
        {SIZED("\"abcd\\n\""), "! large: a string of more than 4 bytes begins at byte 1"},
        {SIZED("\"ab\\u20ac\""), "! large: a string of more than 4 bytes begins at byte 1"},
        {SIZED("\"\\ud83d\\ude00\""), "'\xF0\x9F\x98\x80 "},
        {SIZED("\"abcd\xFF\""), "! input: a byte that is not UTF-8 at byte 6"},
        {SIZED("\"abcde\xFF\""), "! large: a string of more than 4 bytes begins at byte 1"},
        {SIZED("{\"abc\":\"abcd\"}"), "{ :abc 'abcd } "},
        {SIZED("{\"abcd\":1}"), "{ ! large: a name of more than 3 bytes begins at byte 2"},
        {SIZED("[12345]"), "[ #12345 ] "},
        {SIZED("[123456]"), "[ ! large: a number of more than 5 characters begins at byte 2"},
        {SIZED("1e+05"), "#1e+05 "},
        {SIZED("-1e+05"), "! large: a number of more than 5 characters begins at byte 1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
        check_within(&few, documents[i].text, documents[i].len, documents[i].want);
}

/* Both branches of a string's scan, at every place within its blocks. */
static void a_quote_is_found_at_every_place_of_a_block(void **state)
{
    (void)state;
    for (size_t len = 0; len < 70; len++)
        for (size_t at = 0; at <= len; at++) {
            struct buf text = {0}, want = {0};
            buf_putc(&text, '"');
            buf_putc(&want, '\'');
            for (size_t i = 0; i < len; i++) {
                buf_puts(&text, i == at ? "\\n" : i == at + 3 ? "\xC3\xA6" : "x");
                buf_puts(&want, i == at ? "<0a>" : i == at + 3 ? "\xC3\xA6" : "x");
            }
            buf_puts(&text, "\" \"no more\"");
            buf_puts(&want, " ");
            buf_printf(&want, "! input: the end was expected, not '\"', at byte %zu", text.len - 8);
            char *got = read_cut(&limits, text.data, text.len, len / 2, text.len);
            assert_string_equal(got, buf_text(&want));
            free(got);
            buf_free(&text);
            buf_free(&want);
        }
}

/* A byte above 0x7F in one block, the quote in the same or a later one. */
static void a_byte_that_is_not_utf_8_is_found_at_every_place_of_a_block(void **state)
{
    (void)state;
    for (size_t len = 1; len < 70; len++)
        for (size_t at = 0; at < len; at++) {
            char text[80], want[80];
            memset(text, 'x', sizeof text);
            text[0] = text[len + 1] = '"';
            text[at + 1] = '\xA6';
            snprintf(want, sizeof want, "! input: a byte that is not UTF-8 at byte %zu", at + 2);
            char *got = read_cut(&limits, text, sizeof text, sizeof text, sizeof text);
            assert_string_equal(got, want);
            free(got);
        }
}

static void deep_levels_are_remembered_beyond_a_word(void **state)
{
    enum { DEPTH = 200 };
    static const struct json_limits deep = {.depth = DEPTH, .string = 9, .name = 9, .number = 9};
    struct buf text = {0}, want = {0};
    (void)state;
    for (int i = 0; i < DEPTH; i++) {
        buf_puts(&text, i % 3 ? "{\"a\":" : "[");
        buf_puts(&want, i % 3 ? "{ :a " : "[ ");
    }
    buf_puts(&text, "1");
    buf_puts(&want, "#1 ");
    for (int i = DEPTH - 1; i >= 0; i--) {
        buf_puts(&text, i % 3 ? "}" : "]");
        buf_puts(&want, i % 3 ? "} " : "] ");
    }
    char *got = read_cut(&deep, text.data, text.len, 100, 500);
    assert_string_equal(got, buf_text(&want));
    free(got);
    buf_free(&text);
    buf_free(&want);
}

static void the_position_is_where_the_last_event_ended(void **state)
{
    static const char text[] = " [ {\"a\" : \"x\\n\" } , 12 ]  ";
    static const struct {
        size_t position, depth;
    } want[] = {{2, 1}, {5 - 1, 2}, {7, 2}, {15, 2}, {17, 1}, {22, 1}, {24, 0}};
    (void)state;
    for (size_t cut = 0; cut <= sizeof text - 1; cut++) {
        struct json_read *reader = json_read_new(&limits);
        struct json_event event;
        size_t n = 0;
        for (int piece = 0; piece < 2; piece++) {
            json_read_feed(reader, piece ? text + cut : text, piece ? sizeof text - 1 - cut : cut);
            for (; json_read_next(reader, &event, NULL) > 0; n++) {
                assert_in_range(n, 0, 6);
                assert_int_equal(json_read_position(reader), want[n].position);
                assert_int_equal(json_read_depth(reader), want[n].depth);
            }
        }
        assert_int_equal(n, 7);
        assert_int_equal(json_read_end(reader, &event, NULL), 0);
        json_read_free(reader);
    }
}

static void strings_without_escapes_are_not_copied(void **state)
{
    static const char text[] = "{\"name\":\"value\"}";
    struct json_read *reader = json_read_new(&limits);
    struct json_event event;
    (void)state;
    json_read_feed(reader, text, sizeof text - 1);
    assert_int_equal(json_read_next(reader, &event, NULL), 1);
    assert_int_equal(json_read_next(reader, &event, NULL), 1);
    assert_ptr_equal(event.text, text + 2);
    assert_int_equal(json_read_next(reader, &event, NULL), 1);
    assert_ptr_equal(event.text, text + 9);
    json_read_free(reader);
}

static void after_an_error_there_are_only_errors(void **state)
{
    struct json_read *reader = json_read_new(&limits);
    struct json_event event;
    struct err err = {0}, later = {0};
    (void)state;
    json_read_feed(reader, "]", 1);
    assert_int_equal(json_read_next(reader, &event, &err), -1);
    json_read_feed(reader, "[]", 2);
    assert_int_equal(json_read_next(reader, &event, &later), -1);
    assert_int_equal(later.code, ERR_INPUT);
    assert_int_equal(json_read_end(reader, &event, &later), -1);
    json_read_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_the_same_however_the_document_is_cut),
        cmocka_unit_test(numbers_keep_every_character),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(valid_utf_8_is_taken_as_it_is),
        cmocka_unit_test(bytes_that_are_not_utf_8_are_refused),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_byte),
        cmocka_unit_test(numbers_that_json_does_not_have_are_refused),
        cmocka_unit_test(strings_that_json_does_not_have_are_refused),
        cmocka_unit_test(documents_without_an_end_are_refused),
        cmocka_unit_test(what_is_within_a_limit_is_taken_and_one_more_is_not),
        cmocka_unit_test(a_quote_is_found_at_every_place_of_a_block),
        cmocka_unit_test(a_byte_that_is_not_utf_8_is_found_at_every_place_of_a_block),
        cmocka_unit_test(deep_levels_are_remembered_beyond_a_word),
        cmocka_unit_test(the_position_is_where_the_last_event_ended),
        cmocka_unit_test(strings_without_escapes_are_not_copied),
        cmocka_unit_test(after_an_error_there_are_only_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
