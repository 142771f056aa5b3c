/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <stdbool.h>
#include <string.h>

#include "base/iso.h"
#include "entity/entity.h"

#define INT(n) {.kind = KIND_INT, .integer = (n)}
#define UINT(n) {.kind = KIND_UINT, .natural = (n)}
#define TIME(n) {.kind = KIND_DATETIME, .integer = (n)}
#define DAY(n) {.kind = KIND_DATE, .integer = (n)}
#define OF(k, s) {.kind = (k), .text = {(s), sizeof(s) - 1}}
#define TEXT(s) OF(KIND_TEXT, s)
#define YES {.kind = KIND_BOOL, .boolean = true}
#define NO {.kind = KIND_BOOL, .boolean = false}
#define NOTHING {.kind = KIND_NULL}
#define LIST(items_) {.kind = KIND_LIST, .list = {items_, sizeof(items_) / sizeof *(items_)}}

static const struct value mixed[] = {INT(1), NOTHING, TEXT("~a"), TEXT("b\""), YES, TIME(1500000)};
static const struct value inner[] = {INT(2), INT(3)};
static const struct value outer[] = {LIST(inner), {.kind = KIND_LIST}, OF(KIND_BYTES, "\xFF")};

struct rendering {
    struct value value;
    unsigned digits;
    const char *json, *text; /* text NULL: it has none */
};

static const struct rendering renderings[] = {
    {NOTHING, 0, "null", NULL},
    {YES, 0, "true", "true"},
    {NO, 0, "false", "false"},
    {INT(-12), 0, "-12", "-12"},
    {INT(INT64_MIN), 0, "-9223372036854775808", "-9223372036854775808"},
    {INT(INT64_MAX), 0, "9223372036854775807", "9223372036854775807"},
    {UINT(UINT64_MAX), 0, "18446744073709551615", "18446744073709551615"},
    {OF(KIND_FLOAT, "1.5"), 0, "1.5", "1.5"},
    {OF(KIND_FLOAT, "-1e-07"), 0, "-1e-07", "-1e-07"},
    {OF(KIND_FLOAT, "NaN"), 0, "\"NaN\"", "NaN"},
    {OF(KIND_FLOAT, "Infinity"), 0, "\"Infinity\"", "Infinity"},
    {OF(KIND_FLOAT, "-Infinity"), 0, "\"-Infinity\"", "-Infinity"},
    {OF(KIND_DECIMAL, "12345678901234567890.10"), 0, "\"~f12345678901234567890.10\"", "12345678901234567890.10"},
    {OF(KIND_DECIMAL, "-0.5"), 0, "\"~f-0.5\"", "-0.5"},
    {OF(KIND_DECIMAL, "NaN"), 0, "\"NaN\"", "NaN"},
    {OF(KIND_DECIMAL, "-Infinity"), 0, "\"-Infinity\"", "-Infinity"},
    {TEXT(""), 0, "\"\"", ""},
    {TEXT("a \"b\" \\ bl\xC3\xA5\n"), 0, "\"a \\\"b\\\" \\\\ bl\xC3\xA5\\n\"", "a \"b\" \\ bl\xC3\xA5\n"},
    {TEXT("~"), 0, "\"~~\"", "~"},
    {TEXT("~t2024-01-31"), 0, "\"~~t2024-01-31\"", "~t2024-01-31"},
    {TEXT("~~"), 0, "\"~~~\"", "~~"},
    {TEXT("a~"), 0, "\"a~\"", "a~"},
    /* texts that are not UTF-8 can only go as bytes */
    {TEXT("\xE6\xF8\xE5"), 0, "\"~b5vjl\"", "5vjl"},
    {TEXT("~\xFF"), 0, "\"~bfv8=\"", "fv8="},
    {TEXT("a long text, good for most of its length, and then \xC3"), 0,
     "\"~bYSBsb25nIHRleHQsIGdvb2QgZm9yIG1vc3Qgb2YgaXRzIGxlbmd0aCwgYW5kIHRoZW4gww==\"",
     "YSBsb25nIHRleHQsIGdvb2QgZm9yIG1vc3Qgb2YgaXRzIGxlbmd0aCwgYW5kIHRoZW4gww=="},
    {OF(KIND_BYTES, ""), 0, "\"~b\"", ""},
    {OF(KIND_BYTES, "\x00\x01\x02\x03\x04\x05"), 0, "\"~bAAECAwQF\"", "AAECAwQF"},
    {TIME(0), 0, "\"~t1970-01-01T00:00:00Z\"", "1970-01-01T00:00:00Z"},
    {TIME(1234567), 0, "\"~t1970-01-01T00:00:01Z\"", "1970-01-01T00:00:01Z"},
    {TIME(1234567), 3, "\"~t1970-01-01T00:00:01.234Z\"", "1970-01-01T00:00:01.234Z"},
    {TIME(1234567), 6, "\"~t1970-01-01T00:00:01.234567Z\"", "1970-01-01T00:00:01.234567Z"},
    {TIME(-1), 6, "\"~t1969-12-31T23:59:59.999999Z\"", "1969-12-31T23:59:59.999999Z"},
    {TIME(ISO_TIME_MIN), 6, "\"~t0001-01-01T00:00:00.000000Z\"", "0001-01-01T00:00:00.000000Z"},
    {TIME(ISO_TIME_MAX), 6, "\"~t9999-12-31T23:59:59.999999Z\"", "9999-12-31T23:59:59.999999Z"},
    {DAY(0), 0, "\"~t1970-01-01\"", "1970-01-01"},
    {DAY(ISO_DAYS_MIN), 0, "\"~t0001-01-01\"", "0001-01-01"},
    {DAY(ISO_DAYS_MAX), 0, "\"~t9999-12-31\"", "9999-12-31"},
    {OF(KIND_UUID, "\x53\x1a\x37\x9e\x31\xbb\x4c\xe1\x86\x90\x15\x8d\xce\xb6\x4b\xe6"), 0,
     "\"~u531a379e-31bb-4ce1-8690-158dceb64be6\"", "531a379e-31bb-4ce1-8690-158dceb64be6"},
    {OF(KIND_JSON, "{\"a\":[1,\"~b\"]}"), 0, "{\"a\":[1,\"~~b\"]}", "{\"a\":[1,\"~b\"]}"},
    {OF(KIND_JSON, ""), 0, "\"\"", ""},
    {OF(KIND_JSON, "\"\t\""), 0, "\"\\\"\\t\\\"\"", "\"\t\""},
    {OF(KIND_JSON, "\"\xFF\""), 0, "\"~bIv8i\"", "\"\xFF\""},
    {LIST(mixed), 1, "[1,null,\"~~a\",\"b\\\"\",true,\"~t1970-01-01T00:00:01.5Z\"]", NULL},
    {LIST(outer), 0, "[[2,3],[],\"~b/w==\"]", NULL},
};

static void each_kind_has_its_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof renderings / sizeof *renderings; i++) {
        const struct field field = {.digits = renderings[i].digits};
        struct buf out = {0};
        entity_value(&out, &field, &renderings[i].value);
        assert_string_equal(buf_text(&out), renderings[i].json);
        buf_free(&out);
    }
}

static void each_kind_has_its_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof renderings / sizeof *renderings; i++) {
        const struct field field = {.digits = renderings[i].digits};
        struct buf out = {0};
        entity_text(&out, &field, &renderings[i].value);
        assert_string_equal(buf_text(&out), renderings[i].text ? renderings[i].text : "");
        buf_free(&out);
    }
}

/* A value written into lent memory of each size, behind a mark at each place. */
static void a_value_may_outgrow_lent_memory_at_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof renderings / sizeof *renderings; i++)
        for (size_t lent = 1; lent < 80; lent++) {
            const struct field field = {.digits = renderings[i].digits};
            size_t len = strlen(renderings[i].json), before = lent / 3;
            char memory[80];
            struct buf out;
            buf_lend(&out, memory, lent);
            for (size_t b = 0; b < before; b++)
                buf_putc(&out, '.');
            out.mark = out.len;
            entity_value(&out, &field, &renderings[i].value);
            size_t from = before - out.left;
            assert_int_equal(out.len, from + len);
            assert_memory_equal(out.data + from, renderings[i].json, len);
            buf_free(&out);
        }
}

/* zones */

static struct zone *open_zone(const char *name)
{
    struct zone *zone = NULL;
    struct err err = {0};
    if (zone_open(&zone, name, &err))
        fail_msg("%s: %s", name, err.text);
    return zone;
}

static int64_t time_of(const char *text)
{
    struct iso_time time;
    if (iso_parse(text, strlen(text), &time))
        fail_msg("'%s' is no time", text);
    return time.time;
}

static void a_zoneless_datetime_is_shifted_to_utc(void **state)
{
    static const struct {
        const char *zone, *wall, *json;
    } cases[] = {
        {"Europe/Oslo", "2024-01-31T12:00", "\"~t2024-01-31T11:00:00Z\""},
        {"Europe/Oslo", "2024-07-31T12:00", "\"~t2024-07-31T10:00:00Z\""},
        {"Europe/Oslo", "2024-01-01T00:30", "\"~t2023-12-31T23:30:00Z\""},
        {"Europe/Oslo", "2024-10-27T02:30", "\"~t2024-10-27T00:30:00Z\""},
        {"Europe/Oslo", "2024-10-27T03:00", "\"~t2024-10-27T02:00:00Z\""},
        {"-05:00", "2024-12-31T20:00", "\"~t2025-01-01T01:00:00Z\""},
        /* what the zone pushes over the edge of the calendar stays as it is, as text */
        {"+01:00", "0001-01-01T00:30", "\"0001-01-01T00:30:00\""},
        {"+01:00", "0001-01-01T01:00", "\"~t0001-01-01T00:00:00Z\""},
        {"-01:00", "9999-12-31T23:00", "\"9999-12-31T23:00:00\""},
        {"-01:00", "9999-12-31T22:59", "\"~t9999-12-31T23:59:00Z\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zone *zone = open_zone(cases[i].zone);
        const struct field field = {.zone = zone};
        const struct value value = TIME(time_of(cases[i].wall));
        struct buf out = {0};
        entity_value(&out, &field, &value);
        assert_string_equal(buf_text(&out), cases[i].json);
        buf_free(&out);
        zone_close(zone);
    }
}

/* properties */

static void make_field(struct field *field, struct arena *arena, const char *name)
{
    struct err err = {0};
    *field = (struct field){0};
    if (entity_field(field, arena, name, &err))
        fail_msg("%s: %s", name, err.text);
}

static void a_property_has_its_name_escaped_before_it(void **state)
{
    static const struct {
        const char *name, *json;
    } cases[] = {
        {"name", ",\"name\":1"},     {"", ",\"\":1"},
        {"a \"b\"", ",\"a \\\"b\\\"\":1"}, {"bl\xC3\xA5", ",\"bl\xC3\xA5\":1"},
        {"~a", ",\"~a\":1"},         {"a\nb\\", ",\"a\\nb\\\\\":1"},
    };
    struct arena *arena = arena_new();
    const struct value one = INT(1);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct field field;
        struct buf out = {0};
        make_field(&field, arena, cases[i].name);
        entity_property(&out, &field, &one, false);
        assert_string_equal(buf_text(&out), cases[i].json);
        buf_free(&out);
    }
    arena_free(arena);
}

static void a_name_that_is_not_utf8_is_refused(void **state)
{
    struct arena *arena = arena_new();
    struct field field = {0};
    struct err err = {0};
    (void)state;
    assert_int_equal(entity_field(&field, arena, "a\xFF", &err), -1);
    assert_int_equal(err.code, ERR_DATABASE);
    arena_free(arena);
}

static void nulls_are_left_out_unless_they_are_kept(void **state)
{
    struct arena *arena = arena_new();
    const struct value null = NOTHING;
    struct field field;
    struct buf out = {0};
    (void)state;
    make_field(&field, arena, "a");
    entity_property(&out, &field, &null, false);
    assert_int_equal(out.len, 0);
    entity_property(&out, &field, &null, true);
    assert_string_equal(buf_text(&out), ",\"a\":null");
    buf_free(&out);
    arena_free(arena);
}

static void a_silent_field_is_never_written(void **state)
{
    struct arena *arena = arena_new();
    const struct value one = INT(1);
    struct field field;
    struct buf out = {0};
    (void)state;
    make_field(&field, arena, "a");
    field.silent = true;
    entity_property(&out, &field, &one, true);
    assert_int_equal(out.len, 0);
    buf_free(&out);
    arena_free(arena);
}

/* ids */

struct id {
    struct value parts[3];
    size_t count;
    const char *text;
};

static const struct id ids[] = {
    {{INT(7)}, 1, "7"},
    {{TEXT("a:b%c")}, 1, "a:b%c"},
    {{TEXT("")}, 1, ""},
    {{TEXT("~a\"b")}, 1, "~a\"b"},
    {{TEXT("\xFF")}, 1, "/w=="},
    {{INT(1), INT(2)}, 2, "1:2"},
    {{TEXT("a:b"), TEXT("c%d")}, 2, "a%3Ab:c%25d"},
    {{TEXT("a"), TEXT("%3A:"), TEXT("::")}, 3, "a:%253A%3A:%3A%3A"},
    {{TEXT(""), TEXT("")}, 2, ":"},
    {{TEXT(""), TEXT(":")}, 2, ":%3A"},
    {{TIME(0), DAY(0)}, 2, "1970-01-01T00%3A00%3A00Z:1970-01-01"},
    {{TIME(0)}, 1, "1970-01-01T00:00:00Z"},
    {{YES, OF(KIND_BYTES, "\x00\x01\x02")}, 2, "true:AAEC"},
    {{OF(KIND_DECIMAL, "1.50"), OF(KIND_FLOAT, "1.5")}, 2, "1.50:1.5"},
    {{OF(KIND_UUID, "aaaaaaaaaaaaaaaa"), UINT(UINT64_MAX)}, 2, "61616161-6161-6161-6161-616161616161:18446744073709551615"},
};

/* Into memory of its own, and into lent memory of each size. */
static void a_key_becomes_an_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        for (size_t lent = 0; lent < 80; lent++) {
            const struct field field = {0}, *const fields[] = {&field, &field, &field};
            const struct value *const parts[] = {&ids[i].parts[0], &ids[i].parts[1], &ids[i].parts[2]};
            char memory[80];
            struct buf out = {0};
            if (lent)
                buf_lend(&out, memory, lent);
            buf_putc(&out, '.');
            out.mark = out.len;
            entity_id(&out, fields, parts, ids[i].count);
            size_t from = 1 - out.left;
            if (out.len != from + strlen(ids[i].text) ||
                memcmp(out.data + from, ids[i].text, out.len - from) != 0)
                fail_msg("not %s but %.*s", ids[i].text, (int)(out.len - from), out.data + from);
            buf_free(&out);
        }
}

/* comparing with what the user wrote */

#define WANT_BOOL(b) {.type = CONFIG_BOOL, .boolean = (b)}
#define WANT_INTEGER(s) {.type = CONFIG_INTEGER, .text = (s)}
#define WANT_REAL(s) {.type = CONFIG_REAL, .text = (s)}
#define WANT_STRING(s) {.type = CONFIG_STRING, .text = (s)}
#define WANT_NULL {.type = CONFIG_NULL}

static void a_value_equals_what_the_user_wrote(void **state)
{
    static const struct {
        struct value value;
        struct config_value wanted;
        bool equal;
    } cases[] = {
        {YES, WANT_BOOL(true), true},
        {YES, WANT_BOOL(false), false},
        {NO, WANT_BOOL(false), true},
        {INT(1), WANT_BOOL(true), true},
        {INT(0), WANT_BOOL(false), true},
        {INT(0), WANT_BOOL(true), false},
        {INT(2), WANT_BOOL(true), false},
        {INT(-1), WANT_BOOL(true), false},
        {UINT(1), WANT_BOOL(true), true},
        {UINT(0), WANT_BOOL(true), false},
        {TEXT("true"), WANT_BOOL(true), false},
        {NOTHING, WANT_BOOL(false), false},
        {INT(12), WANT_INTEGER("12"), true},
        {INT(12), WANT_INTEGER("1"), false},
        {INT(12), WANT_INTEGER("123"), false},
        {INT(12), WANT_STRING("12"), true},
        {UINT(UINT64_MAX), WANT_INTEGER("18446744073709551615"), true},
        {TEXT("12"), WANT_INTEGER("12"), true},
        {OF(KIND_DECIMAL, "1.50"), WANT_REAL("1.50"), true},
        {OF(KIND_DECIMAL, "1.50"), WANT_REAL("1.5"), true},
        {OF(KIND_DECIMAL, "1.00"), WANT_INTEGER("1"), true},
        {OF(KIND_DECIMAL, "10.0"), WANT_INTEGER("1"), false},
        {OF(KIND_DECIMAL, "1.50"), WANT_STRING("1.5"), true},
        {OF(KIND_DECIMAL, "NaN"), WANT_STRING("NaN"), true},
        {TEXT("1.50"), WANT_REAL("1.5"), false},
        {YES, WANT_INTEGER("1"), true},
        {NO, WANT_INTEGER("1"), false},
        {NO, WANT_INTEGER("0"), true},
        {OF(KIND_FLOAT, "1.5"), WANT_REAL("1.5"), true},
        {TEXT("D"), WANT_STRING("D"), true},
        {TEXT("D"), WANT_STRING("d"), false},
        {TEXT("D "), WANT_STRING("D"), false},
        {TEXT("D\0"), WANT_STRING("D"), false},
        {TEXT(""), WANT_STRING(""), true},
        {TEXT("~t"), WANT_STRING("~t"), true},
        {YES, WANT_STRING("true"), true},
        {DAY(0), WANT_STRING("1970-01-01"), true},
        {TIME(0), WANT_STRING("1970-01-01T00:00:00Z"), true},
        {OF(KIND_BYTES, "\x01"), WANT_STRING("AQ=="), true},
        {NOTHING, WANT_NULL, true},
        {NOTHING, WANT_STRING(""), false},
        {NOTHING, WANT_INTEGER("0"), false},
        {INT(0), WANT_NULL, false},
        {LIST(inner), WANT_STRING("[2,3]"), false},
        {LIST(inner), WANT_NULL, false},
    };
    const struct field field = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (entity_equals(&cases[i].value, &field, &cases[i].wanted) != cases[i].equal)
            fail_msg("case %zu: they should%s be equal", i, cases[i].equal ? "" : " not");
}

static void blanks_at_the_end_count_but_where_the_column_pads(void **state)
{
    const struct value held = TEXT("D   "), blank = TEXT("    "), other = TEXT("D  x");
    const struct config_value wanted = WANT_STRING("D"), written = WANT_STRING("D "), empty = WANT_STRING("");
    const struct field padded = {.padded = true}, plain = {0};
    (void)state;
    assert_true(entity_equals(&held, &padded, &wanted));
    assert_true(entity_equals(&held, &padded, &written));
    assert_true(entity_equals(&blank, &padded, &empty));
    assert_false(entity_equals(&other, &padded, &wanted));
    assert_false(entity_equals(&held, &plain, &wanted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_json),
        cmocka_unit_test(each_kind_has_its_text),
        cmocka_unit_test(a_value_may_outgrow_lent_memory_at_every_place),
        cmocka_unit_test(a_zoneless_datetime_is_shifted_to_utc),
        cmocka_unit_test(a_property_has_its_name_escaped_before_it),
        cmocka_unit_test(a_name_that_is_not_utf8_is_refused),
        cmocka_unit_test(nulls_are_left_out_unless_they_are_kept),
        cmocka_unit_test(a_silent_field_is_never_written),
        cmocka_unit_test(a_key_becomes_an_id),
        cmocka_unit_test(a_value_equals_what_the_user_wrote),
        cmocka_unit_test(blanks_at_the_end_count_but_where_the_column_pads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
