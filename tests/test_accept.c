/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"
#include "entity/accept.h"
#include "entity/entity.h"
#include "entity/json_read.h"
#include "entity/same.h"

enum { REFUSED = -1 };

struct acceptance {
    const char *json; /* of the property */
    int kind;         /* of the value, or REFUSED */
    const char *text; /* the value as shown below, or the error's text */
};

/* An item as the intake makes it from a property's JSON (without blanks). */
static struct item item_of(const char *json, struct arena *arena)
{
    const struct json_limits limits = {100, 1000000, 1000, 1000000};
    struct item item = {.text = json, .len = strlen(json)};
    struct json_event event;
    switch (json[0]) {
    case 'n':
        item.kind = ITEM_NULL;
        break;
    case 't':
    case 'f':
        item.kind = json[0] == 't' ? ITEM_TRUE : ITEM_FALSE;
        break;
    case '[':
    case '{':
        item.kind = ITEM_DOCUMENT;
        break;
    case '"': {
        struct json_read *reader = json_read_new(&limits);
        json_read_feed(reader, json, item.len);
        assert_int_equal(json_read_next(reader, &event, NULL), 1);
        item.kind = ITEM_STRING;
        item.text = arena_copy(arena, event.text, event.len);
        item.len = event.len;
        json_read_free(reader);
        break;
    }
    default:
        item.kind = ITEM_NUMBER;
    }
    return item;
}

static void show(struct buf *out, const struct value *value)
{
    char text[ISO_SIZE];
    switch (value->kind) {
    case KIND_NULL:
        buf_puts(out, "null");
        break;
    case KIND_BOOL:
        buf_puts(out, value->boolean ? "true" : "false");
        break;
    case KIND_INT:
        buf_printf(out, "%" PRId64, value->integer);
        break;
    case KIND_UINT:
        buf_printf(out, "%" PRIu64, value->natural);
        break;
    case KIND_DATETIME:
        buf_put(out, text, iso_datetime(text, value->integer, 6, ""));
        break;
    case KIND_DATE:
        buf_put(out, text, iso_date(text, value->integer));
        break;
    case KIND_UUID:
        assert_int_equal(value->text.len, 16);
        buf_put(out, text, iso_uuid(text, value->text.bytes));
        break;
    case KIND_LIST:
        buf_putc(out, '[');
        for (size_t i = 0; i < value->list.count; i++) {
            buf_puts(out, i ? " " : "");
            show(out, &value->list.items[i]);
        }
        buf_putc(out, ']');
        break;
    default:
        buf_put(out, value->text.bytes, value->text.len);
    }
}

static void check_value(const char *json, const struct value *value, int kind, const char *text)
{
    struct buf shown = {0};
    show(&shown, value);
    if ((int)value->kind != kind)
        fail_msg("%s: kind %d: %s", json, (int)value->kind, buf_text(&shown));
    if (strcmp(buf_text(&shown), text) != 0)
        fail_msg("%s: not %s but %s", json, text, buf_text(&shown));
    buf_free(&shown);
}

static void check(const struct accept *accept, const struct acceptance *want)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    struct value value = {.kind = KIND_NULL};
    struct item item = item_of(want->json, arena);
    /* memory of its own size: a sanitizer sees who reads beyond */
    char *copy = malloc(item.len + 1);
    memcpy(copy, item.text, item.len);
    item.text = copy = realloc(copy, item.len ? item.len : 1);
    if (accept_item(accept, &item, arena, &value, &err) == 0) {
        if (want->kind == REFUSED)
            fail_msg("%.60s: is not refused", want->json);
        check_value(want->json, &value, want->kind, want->text);
    } else {
        if (want->kind != REFUSED)
            fail_msg("%.60s: %s", want->json, err.text);
        assert_int_equal(err.code, ERR_VALUE);
        assert_string_equal(err.text, want->text);
    }
    free(copy);
    arena_free(arena);
}

#define CHECK_ALL(column_, cases)                                                                                      \
    for (size_t i_ = 0; i_ < sizeof(cases) / sizeof *(cases); i_++)                                                    \
    check(&(const struct accept){.column = (column_)}, &(cases)[i_])

/* booleans and integers */

static void a_boolean_takes_true_false_0_and_1(void **state)
{
    static const struct column column = {.name = "b", .kind = KIND_BOOL};
    static const struct acceptance cases[] = {
        {"true", KIND_BOOL, "true"},       {"false", KIND_BOOL, "false"},
        {"1", KIND_BOOL, "true"},          {"0", KIND_BOOL, "false"},
        {"1.0", KIND_BOOL, "true"},        {"10e-1", KIND_BOOL, "true"},
        {"\"1\"", KIND_BOOL, "true"},      {"\"0\"", KIND_BOOL, "false"},
        {"\"true\"", KIND_BOOL, "true"},   {"\"false\"", KIND_BOOL, "false"},
        {"\"~f1\"", KIND_BOOL, "true"},    {"null", KIND_NULL, "null"},
        {"2", REFUSED, "is no boolean"},   {"10", REFUSED, "is no boolean"},
        {"0.1", REFUSED, "is no boolean"}, {"-1", REFUSED, "is no boolean"},
        {"\"t\"", REFUSED, "is no boolean"},
        {"\"TRUE\"", REFUSED, "is no boolean"},
        {"\"\"", REFUSED, "is no boolean"},
        {"\"~t2024-01-01\"", REFUSED, "is a time, the column holds booleans"},
        {"[true]", REFUSED, "is an object or a list, the column holds booleans"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

static void an_integer_takes_whatever_is_one(void **state)
{
    static const struct column column = {.name = "i", .kind = KIND_INT};
    static const struct acceptance cases[] = {
        {"0", KIND_INT, "0"},
        {"-0", KIND_INT, "0"},
        {"-0.0", KIND_INT, "0"},
        {"7", KIND_INT, "7"},
        {"-7", KIND_INT, "-7"},
        {"1.0", KIND_INT, "1"},
        {"1e3", KIND_INT, "1000"},
        {"1.25E+2", KIND_INT, "125"},
        {"1200e-2", KIND_INT, "12"},
        {"0e99999999999999999999", KIND_INT, "0"},
        {"123456789012345678", KIND_INT, "123456789012345678"},
        {"9223372036854775807", KIND_INT, "9223372036854775807"},
        {"-9223372036854775808", KIND_INT, "-9223372036854775808"},
        {"9223372036854775807.000", KIND_INT, "9223372036854775807"},
        {"true", KIND_INT, "1"},
        {"false", KIND_INT, "0"},
        {"\"~f12\"", KIND_INT, "12"},
        {"\"~f-12.00\"", KIND_INT, "-12"},
        {"\"0012\"", KIND_INT, "12"},
        {"\"+12\"", KIND_INT, "12"},
        {"1.5", REFUSED, "has a fraction, the column holds integers"},
        {"1e-1", REFUSED, "has a fraction, the column holds integers"},
        {"1e-99999999999999999999", REFUSED, "has a fraction, the column holds integers"},
        {"9223372036854775808", REFUSED, "is outside of the range of integers of 64 bits, which the column holds"},
        {"-9223372036854775809", REFUSED, "is outside of the range of integers of 64 bits, which the column holds"},
        {"18446744073709551616", REFUSED, "has 20 digits, the column holds integers of 64 bits"},
        {"99999999999999999999", REFUSED, "has 20 digits, the column holds integers of 64 bits"},
        {"1234567890123456789012345678901234567890", REFUSED, "has 40 digits, the column holds integers of 64 bits"},
        {"1e400", REFUSED, "has 401 digits, the column holds integers of 64 bits"},
        {"\"~f1.5\"", REFUSED, "has a fraction, the column holds integers"},
        {"\"~fx\"", REFUSED, "is no number"},
        {"\"\"", REFUSED, "is no number"},
        {"\"-\"", REFUSED, "is no number"},
        {"\"1 \"", REFUSED, "is no number"},
        {"\"1.\"", REFUSED, "is no number"},
        {"\"1e\"", REFUSED, "is no number"},
        {"\"1e+\"", REFUSED, "is no number"},
        {"\"1_0\"", REFUSED, "is no number"},
        {"\"0x10\"", REFUSED, "is no number"},
        {"\"NaN\"", REFUSED, "is no number"},
        {"\"1\\u0000\"", REFUSED, "is no number"},
        {"\"~u531a379e-31bb-4ce1-8690-158dceb64be6\"", REFUSED, "is a UUID, the column holds integers"},
        {"{}", REFUSED, "is an object or a list, the column holds integers"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

static void an_integer_is_within_the_columns_bits(void **state)
{
    static const struct column small = {.kind = KIND_INT, .bits = 16};
    static const struct acceptance smalls[] = {
        {"32767", KIND_INT, "32767"},
        {"-32768", KIND_INT, "-32768"},
        {"32768", REFUSED, "is outside of the range of integers of 16 bits, which the column holds"},
        {"-32769", REFUSED, "is outside of the range of integers of 16 bits, which the column holds"},
    };
    static const struct column natural = {.kind = KIND_UINT, .bits = 64};
    static const struct acceptance naturals[] = {
        {"18446744073709551615", KIND_UINT, "18446744073709551615"},
        {"-0", KIND_UINT, "0"},
        {"true", KIND_UINT, "1"},
        {"-1", REFUSED, "is negative, the column holds natural numbers"},
        {"18446744073709551616", REFUSED, "has 20 digits, the column holds integers of 64 bits"},
    };
    static const struct column bit = {.kind = KIND_UINT, .bits = 1};
    static const struct acceptance bits[] = {
        {"1", KIND_UINT, "1"},
        {"2", REFUSED, "is outside of the range of integers of 1 bits, which the column holds"},
    };
    (void)state;
    CHECK_ALL(&small, smalls);
    CHECK_ALL(&natural, naturals);
    CHECK_ALL(&bit, bits);
}

/* decimals */

static void a_decimal_of_any_scale_keeps_its_digits(void **state)
{
    static const struct column column = {.kind = KIND_DECIMAL};
    static const struct acceptance cases[] = {
        {"\"~f1.50\"", KIND_DECIMAL, "1.50"},
        {"1.50", KIND_DECIMAL, "1.50"},
        {"1e5", KIND_DECIMAL, "100000"},
        {"1.50e1", KIND_DECIMAL, "15.0"},
        {"100e-2", KIND_DECIMAL, "1.00"},
        {"-1.5e-3", KIND_DECIMAL, "-0.0015"},
        {"12.5e3", KIND_DECIMAL, "12500"},
        {"0.000", KIND_DECIMAL, "0.000"},
        {"-0", KIND_DECIMAL, "0"},
        {"-0.00", KIND_DECIMAL, "0.00"},
        {"0e3", KIND_DECIMAL, "0"},
        {"\"+007.10\"", KIND_DECIMAL, "7.10"},
        {"\"-000.5\"", KIND_DECIMAL, "-0.5"},
        {"12345678901234567890123456789012345678901234567890.5", KIND_DECIMAL,
         "12345678901234567890123456789012345678901234567890.5"},
        {"\"NaN\"", KIND_DECIMAL, "NaN"},
        {"\"Infinity\"", KIND_DECIMAL, "Infinity"},
        {"\"-Infinity\"", KIND_DECIMAL, "-Infinity"},
        {"\"nan\"", REFUSED, "is no number"},
        {"\"~fNaN\"", REFUSED, "is no number"},
        {"true", REFUSED, "is a boolean, the column holds decimals"},
        {"1e131072", REFUSED, "has 131073 digits before the point, the column holds 131072"},
        {"1e-16384", REFUSED, "has 16384 digits behind the point, the column holds 16383"},
        {"1e999999999999999999999999", REFUSED,
         "has 1000000000000001 digits before the point, the column holds 131072"},
        {"1e-999999999999999999999999", REFUSED,
         "has 1000000000000000 digits behind the point, the column holds 16383"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

static void a_decimal_has_the_columns_scale(void **state)
{
    static const struct column column = {.kind = KIND_DECIMAL, .precision = 5, .scale = 2};
    static const struct acceptance cases[] = {
        {"1.50", KIND_DECIMAL, "1.50"},
        {"\"~f1.5\"", KIND_DECIMAL, "1.50"},
        {"1", KIND_DECIMAL, "1.00"},
        {"1.5000", KIND_DECIMAL, "1.50"},
        {"999.99", KIND_DECIMAL, "999.99"},
        {"-999.99", KIND_DECIMAL, "-999.99"},
        {"-0.001e1", KIND_DECIMAL, "-0.01"},
        {"-0.00", KIND_DECIMAL, "0.00"},
        {"9.9e2", KIND_DECIMAL, "990.00"},
        {"\"000123\"", KIND_DECIMAL, "123.00"},
        {"\"NaN\"", KIND_DECIMAL, "NaN"},
        {"1.005", REFUSED, "has 3 digits behind the point, the column holds 2"},
        {"1000", REFUSED, "has 4 digits before the point, the column holds 3"},
        {"999.999", REFUSED, "has 3 digits behind the point, the column holds 2"},
        {"1e999999999999999999999999", REFUSED,
         "has 1000000000000001 digits before the point, the column holds 3"},
    };
    static const struct column fraction = {.kind = KIND_DECIMAL, .precision = 2, .scale = 2};
    static const struct acceptance fractions[] = {
        {"0.99", KIND_DECIMAL, "0.99"},
        {"1", REFUSED, "has 1 digits before the point, the column holds 0"},
    };
    static const struct column whole = {.kind = KIND_DECIMAL, .precision = 3};
    static const struct acceptance wholes[] = {
        {"12.0", KIND_DECIMAL, "12"},
        {"0.5", REFUSED, "has 1 digits behind the point, the column holds 0"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
    CHECK_ALL(&fraction, fractions);
    CHECK_ALL(&whole, wholes);
}

/* floating point numbers */

static void a_double_takes_what_it_keeps(void **state)
{
    static const struct column column = {.kind = KIND_FLOAT};
    static const struct acceptance cases[] = {
        {"0.1", KIND_FLOAT, "0.1"},
        {"1.5e300", KIND_FLOAT, "1.5e300"},
        {"0", KIND_FLOAT, "0"},
        {"0.000", KIND_FLOAT, "0"},
        {"-0", KIND_FLOAT, "-0"},
        {"-0.0", KIND_FLOAT, "-0"},
        {"0.30000000000000004", KIND_FLOAT, "0.30000000000000004"},
        {"1.7976931348623157e308", KIND_FLOAT, "1.7976931348623157e308"},
        {"5e-324", KIND_FLOAT, "5e-324"},
        {"2.2250738585072014e-308", KIND_FLOAT, "2.2250738585072014e-308"},
        {"9007199254740993.0", REFUSED, "has more digits than a double keeps"},
        {"9007199254740992", KIND_FLOAT, "9007199254740992"},
        {"\"+1.50\"", KIND_FLOAT, "1.5"},
        {"\"0012\"", KIND_FLOAT, "1.2e+1"},
        {"\"~f-0.25\"", KIND_FLOAT, "-0.25"},
        {"1.000000000000000000000000000000000000000000", KIND_FLOAT, "1"},
        {"123000000000000000000000000000000000000000000", KIND_FLOAT, "1.23e+44"},
        {"\"NaN\"", KIND_FLOAT, "NaN"},
        {"\"Infinity\"", KIND_FLOAT, "Infinity"},
        {"\"-Infinity\"", KIND_FLOAT, "-Infinity"},
        {"12345678901234567890", REFUSED, "has more digits than a double keeps"},
        {"0.1000000000000000055511151231257827", REFUSED, "has more digits than a double keeps"},
        {"4.9e-324", REFUSED, "has more digits than a double keeps"},
        {"1e-400", REFUSED, "is too small for a double"},
        {"1e-99999999999999999999", REFUSED, "is too small for a double"},
        {"1e309", REFUSED, "is too large for a double"},
        {"1.8e308", REFUSED, "is too large for a double"},
        {"-1e99999999999999999999", REFUSED, "is too large for a double"},
        {"\"inf\"", REFUSED, "is no number"},
        {"false", REFUSED, "is a boolean, the column holds numbers"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

static void a_single_takes_what_it_keeps(void **state)
{
    static const struct column column = {.kind = KIND_FLOAT, .single = true};
    static const struct acceptance cases[] = {
        {"0.1", KIND_FLOAT, "0.1"},
        {"16777216", KIND_FLOAT, "16777216"},
        {"16777217", REFUSED, "has more digits than a single keeps"},
        {"3.4028235e38", KIND_FLOAT, "3.4028235e38"},
        {"1e-45", KIND_FLOAT, "1e-45"},
        {"0.12345678", KIND_FLOAT, "0.12345678"},
        {"0.123456789", REFUSED, "has more digits than a single keeps"},
        {"0.1234567891", REFUSED, "has more digits than a single keeps"},
        {"1e39", REFUSED, "is too large for a single"},
        {"4e38", REFUSED, "is too large for a single"},
        {"1e-46", REFUSED, "is too small for a single"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

/* texts and bytes */

static void a_text_takes_every_scalar_without_its_tag(void **state)
{
    static const struct column column = {.kind = KIND_TEXT};
    static const struct acceptance cases[] = {
        {"\"abc\"", KIND_TEXT, "abc"},
        {"\"\"", KIND_TEXT, ""},
        {"\"~\"", KIND_TEXT, "~"},
        {"\"~~\"", KIND_TEXT, "~"},
        {"\"~~t2024\"", KIND_TEXT, "~t2024"},
        {"\"~~~\"", KIND_TEXT, "~~"},
        {"\"~t2024-01-31\"", KIND_TEXT, "2024-01-31"},
        {"\"~u531a379e\"", KIND_TEXT, "531a379e"},
        {"\"~rhttp://a/b\"", KIND_TEXT, "http://a/b"},
        {"\"~f1.50\"", KIND_TEXT, "1.50"},
        {"\"~bAAEC\"", KIND_TEXT, "AAEC"},
        {"\"~xyz\"", KIND_TEXT, "~xyz"},
        {"\"~:ns:value\"", KIND_TEXT, "~:ns:value"},
        {"\" a \"", KIND_TEXT, " a "},
        {"1.50", KIND_TEXT, "1.50"},
        {"1234567890123456789012345678901234567890", KIND_TEXT, "1234567890123456789012345678901234567890"},
        {"true", KIND_TEXT, "true"},
        {"false", KIND_TEXT, "false"},
        {"{\"a\":[1,\"~~b\"]}", KIND_TEXT, "{\"a\":[1,\"~b\"]}"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

static void a_text_has_at_most_the_columns_length(void **state)
{
    static const struct column column = {.kind = KIND_TEXT, .max_chars = 3};
    static const struct acceptance cases[] = {
        {"\"abc\"", KIND_TEXT, "abc"},
        {"\"\xC3\xA5\xE2\x82\xAC\xF0\x9F\x98\x80\"", KIND_TEXT, "\xC3\xA5\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"\"~~abc\"", REFUSED, "is longer than the 3 characters of the column"},
        {"\"~~ab\"", KIND_TEXT, "~ab"},
        {"\"abc \"", REFUSED, "is longer than the 3 characters of the column"},
        {"true", REFUSED, "is longer than the 3 characters of the column"},
        {"1234", REFUSED, "is longer than the 3 characters of the column"},
        {"[1,2]", REFUSED, "is longer than the 3 characters of the column"},
    };
    static const struct column bytes = {.kind = KIND_TEXT, .max_bytes = 3};
    static const struct acceptance of_bytes[] = {
        {"\"abc\"", KIND_TEXT, "abc"},
        {"\"\xC3\xA5\xC3\xA5\"", REFUSED, "is longer than the 3 bytes of the column"},
        {"\"abcd\"", REFUSED, "is longer than the 3 bytes of the column"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
    CHECK_ALL(&bytes, of_bytes);
}

static void blanks_at_the_end_of_a_text_go_when_they_shall(void **state)
{
    static const struct column column = {.kind = KIND_TEXT, .max_chars = 3};
    static const struct accept accept = {.column = &column, .strip_spaces = true};
    static const struct acceptance cases[] = {
        {"\"abc   \"", KIND_TEXT, "abc"}, {"\" a\\t \"", KIND_TEXT, " a\t"}, {"\"  \"", KIND_TEXT, ""}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&accept, &cases[i]);
}

static void namespaces_go_when_they_shall(void **state)
{
    static const struct column text = {.kind = KIND_TEXT}, integer = {.kind = KIND_INT}, json = {.kind = KIND_JSON};
    struct accept accept = {.column = &text, .strip_namespaces = true};
    (void)state;
    check(&accept, &(const struct acceptance){"\"~:ns:value\"", KIND_TEXT, "value"});
    check(&accept, &(const struct acceptance){"\"~:ns:a:b\"", KIND_TEXT, "a:b"});
    check(&accept, &(const struct acceptance){"\"~:value\"", KIND_TEXT, "~:value"});
    check(&accept, &(const struct acceptance){"\"~~:ns:value\"", KIND_TEXT, "~:ns:value"});
    check(&accept, &(const struct acceptance){"\"ns:value\"", KIND_TEXT, "ns:value"});
    accept.column = &integer;
    check(&accept, &(const struct acceptance){"\"~:ns:7\"", KIND_INT, "7"});
    accept.column = &json;
    check(&accept, &(const struct acceptance){"[\"~:ns:7\",\"~~:ns:7\"]", KIND_JSON, "[\"7\",\"~:ns:7\"]"});
}

static void a_nul_in_a_text_is_kept_for_the_driver_to_judge(void **state)
{
    static const struct column column = {.kind = KIND_TEXT};
    const struct accept accept = {.column = &column};
    const struct item item = {.kind = ITEM_STRING, .text = "a\0b", .len = 3};
    struct value value;
    (void)state;
    assert_int_equal(accept_item(&accept, &item, NULL, &value, NULL), 0);
    assert_int_equal(value.text.len, 3);
    assert_ptr_equal(value.text.bytes, item.text);
}

static void bytes_come_as_strict_base64(void **state)
{
    static const struct column column = {.kind = KIND_BYTES, .max_bytes = 4};
    static const struct acceptance cases[] = {
        {"\"~b\"", KIND_BYTES, ""},
        {"\"~bYQ==\"", KIND_BYTES, "a"},
        {"\"~bYWI=\"", KIND_BYTES, "ab"},
        {"\"~bYWJj\"", KIND_BYTES, "abc"},
        {"\"~bYWJjZA==\"", KIND_BYTES, "abcd"},
        {"\"~b++//\"", KIND_BYTES, "\xFB\xEF\xFF"},
        {"\"~bYWJjZGU=\"", REFUSED, "is longer than the 4 bytes of the column"},
        {"\"~bYQ\"", REFUSED, "is no base64"},
        {"\"~bYQ=\"", REFUSED, "is no base64"},
        {"\"~bYR==\"", REFUSED, "is no base64"},
        {"\"~bYWJ=\"", REFUSED, "is no base64"},
        {"\"~bY===\"", REFUSED, "is no base64"},
        {"\"~b====\"", REFUSED, "is no base64"},
        {"\"~bYQ==YQ==\"", REFUSED, "is no base64"},
        {"\"~bY WI\"", REFUSED, "is no base64"},
        {"\"~bYW\\nI\"", REFUSED, "is no base64"},
        {"\"~bYW    Jj\"", REFUSED, "is no base64"},
        {"\"~bYW J\"", REFUSED, "is no base64"},
        {"\"~bYQ= =\"", REFUSED, "is no base64"},
        {"\"~bYWJj YWJj\"", REFUSED, "is no base64"},
        {"\"~b--__\"", REFUSED, "is no base64"},
        {"\"~b\\u0000\\u0000\\u0000\\u0000\"", REFUSED, "is no base64"},
        {"\"abcd\"", REFUSED, "is a text, the column holds bytes: ~b and base64"},
        {"1", REFUSED, "is a number, the column holds bytes"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

static void a_uuid_has_one_form(void **state)
{
    static const struct column column = {.kind = KIND_UUID};
    static const struct acceptance cases[] = {
        {"\"~u531a379e-31bb-4ce1-8690-158dceb64be6\"", KIND_UUID, "531a379e-31bb-4ce1-8690-158dceb64be6"},
        {"\"531A379E31BB4CE18690158DCEB64BE6\"", KIND_UUID, "531a379e-31bb-4ce1-8690-158dceb64be6"},
        {"\"~u531a379e\"", REFUSED, "is no UUID"},
        {"\"\"", REFUSED, "is no UUID"},
        {"\"~bAAECAwQFBgcICQoLDA0ODw==\"", REFUSED, "is bytes, the column holds UUIDs"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

/* times */

static void a_datetime_takes_what_its_fraction_holds(void **state)
{
    static const struct column column = {.kind = KIND_DATETIME, .digits = 3};
    static const struct acceptance cases[] = {
        {"\"~t2024-01-31T23:59:59Z\"", KIND_DATETIME, "2024-01-31T23:59:59.000000"},
        {"\"~t2024-01-31T23:59:59.123Z\"", KIND_DATETIME, "2024-01-31T23:59:59.123000"},
        {"\"~t2024-01-31T23:59:59.123000000Z\"", KIND_DATETIME, "2024-01-31T23:59:59.123000"},
        {"\"~t1969-12-31T23:59:59.999Z\"", KIND_DATETIME, "1969-12-31T23:59:59.999000"},
        {"\"~t2024-01-31\"", KIND_DATETIME, "2024-01-31T00:00:00.000000"},
        {"\"2024-01-31\"", KIND_DATETIME, "2024-01-31T00:00:00.000000"},
        {"\"2024-01-31 12:00\"", KIND_DATETIME, "2024-01-31T12:00:00.000000"},
        {"\"2024-01-31T12:00:00+02:00\"", KIND_DATETIME, "2024-01-31T10:00:00.000000"},
        {"\"~t0001-01-01T00:00:00Z\"", KIND_DATETIME, "0001-01-01T00:00:00.000000"},
        {"\"infinity\"", KIND_TEXT, "infinity"},
        {"\"-infinity\"", KIND_TEXT, "-infinity"},
        {"\"0044-03-15 12:00:00 BC\"", KIND_TEXT, "0044-03-15 12:00:00 BC"},
        {"\"0044-03-15 12:00:00.5+00 BC\"", KIND_TEXT, "0044-03-15 12:00:00.5+00 BC"},
        {"\"10000-01-01 00:00:00+00\"", KIND_TEXT, "10000-01-01 00:00:00+00"},
        {"\"0000-00-00 00:00:00.000\"", KIND_TEXT, "0000-00-00 00:00:00.000"},
        {"\"2024-02-31 00:00:00\"", KIND_TEXT, "2024-02-31 00:00:00"},
        {"\"10000-01-01 00:00:00.1234\"", REFUSED, "has more than the 3 digits of the fraction that the column keeps"},
        {"\"~t2024-01-31T23:59:59.1234Z\"", REFUSED,
         "has more than the 3 digits of the fraction that the column keeps"},
        {"\"~t1969-12-31T23:59:59.9999Z\"", REFUSED,
         "has more than the 3 digits of the fraction that the column keeps"},
        {"\"~t2024-01-31T23:59:59.123000001Z\"", REFUSED,
         "has more than the 3 digits of the fraction that the column keeps"},
        {"\"~t10000-01-01T00:00:00Z\"", REFUSED, "is no datetime"},
        {"\"~tinfinity\"", REFUSED, "is no datetime"},
        {"\"now\"", REFUSED, "is no datetime"},
        {"\"infinity \"", REFUSED, "is no datetime"},
        {"\"01/02/2024\"", REFUSED, "is no datetime"},
        {"\"2024-01-31 12:00:00 Europe/Oslo\"", REFUSED, "is no datetime"},
        {"\"2024-01-31 12\"", REFUSED, "is no datetime"},
        {"\"2024-01-31 12:00:00.\"", REFUSED, "is no datetime"},
        {"\"\"", REFUSED, "is no datetime"},
        {"1706745599", REFUSED, "is a number, the column holds datetimes"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

static struct zone *open_zone(const char *name)
{
    struct zone *zone = NULL;
    struct err err = {0};
    if (zone_open(&zone, name, &err))
        fail_msg("%s: %s", name, err.text);
    return zone;
}

static void a_zoneless_datetime_is_shifted_to_the_systems_timezone(void **state)
{
    static const struct column column = {.kind = KIND_DATETIME, .digits = 6, .zoneless = true};
    static const struct {
        const char *zone;
        struct acceptance want;
    } cases[] = {
        {"Europe/Oslo", {"\"~t2024-01-31T11:00:00Z\"", KIND_DATETIME, "2024-01-31T12:00:00.000000"}},
        {"Europe/Oslo", {"\"~t2024-07-31T10:00:00.5Z\"", KIND_DATETIME, "2024-07-31T12:00:00.500000"}},
        {"Europe/Oslo", {"\"2024-07-31 10:00:00\"", KIND_DATETIME, "2024-07-31T12:00:00.000000"}},
        {"Europe/Oslo", {"\"~t2024-07-31\"", KIND_DATETIME, "2024-07-31T02:00:00.000000"}},
        {"Europe/Oslo", {"\"~t2024-10-27T00:59:59Z\"", KIND_DATETIME, "2024-10-27T02:59:59.000000"}},
        {"Europe/Oslo",
         {"\"~t2024-10-27T01:00:00Z\"", REFUSED, "cannot be told apart from the hour before in the system's timezone"}},
        {"Europe/Oslo",
         {"\"~t2024-10-27T01:59:59.999999Z\"", REFUSED,
          "cannot be told apart from the hour before in the system's timezone"}},
        {"Europe/Oslo", {"\"~t2024-10-27T02:00:00Z\"", KIND_DATETIME, "2024-10-27T03:00:00.000000"}},
        {"Europe/Oslo", {"\"~t2024-03-31T01:00:00Z\"", KIND_DATETIME, "2024-03-31T03:00:00.000000"}},
        {"+01:00", {"\"~t0001-01-01T00:00:00Z\"", KIND_DATETIME, "0001-01-01T01:00:00.000000"}},
        {"+01:00", {"\"0001-01-01T00:30:00\"", KIND_DATETIME, "0001-01-01T00:30:00.000000"}},
        {"-01:00", {"\"9999-12-31T23:30:00\"", KIND_DATETIME, "9999-12-31T23:30:00.000000"}},
        {"+01:00",
         {"\"~t9999-12-31T23:30:00Z\"", REFUSED, "is outside of the years 1 to 9999 in the system's timezone"}},
        {"+01:00",
         {"\"10000-01-01 00:00:00+00\"", REFUSED,
          "is outside of the years 1 to 9999 and not in the system's timezone"}},
        {"+01:00", {"\"10000-01-01 00:00:00\"", KIND_TEXT, "10000-01-01 00:00:00"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zone *zone = open_zone(cases[i].zone);
        check(&(const struct accept){.column = &column, .zone = zone}, &cases[i].want);
        zone_close(zone);
    }
}

static void a_datetime_with_a_zone_of_its_own_is_not_shifted(void **state)
{
    static const struct column column = {.kind = KIND_DATETIME, .digits = 6};
    struct zone *zone = open_zone("Europe/Oslo");
    (void)state;
    check(&(const struct accept){.column = &column, .zone = zone},
          &(const struct acceptance){"\"~t2024-10-27T01:00:00Z\"", KIND_DATETIME, "2024-10-27T01:00:00.000000"});
    zone_close(zone);
}

static void a_date_has_no_time_of_day(void **state)
{
    static const struct column column = {.kind = KIND_DATE};
    static const struct acceptance cases[] = {
        {"\"~t2024-01-31\"", KIND_DATE, "2024-01-31"},
        {"\"2024-01-31\"", KIND_DATE, "2024-01-31"},
        {"\"~t0001-01-01\"", KIND_DATE, "0001-01-01"},
        {"\"~t1969-12-31\"", KIND_DATE, "1969-12-31"},
        {"\"~t2024-01-31T00:00:00.000000Z\"", KIND_DATE, "2024-01-31"},
        {"\"0000-00-00\"", KIND_TEXT, "0000-00-00"},
        {"\"0044-03-15 BC\"", KIND_TEXT, "0044-03-15 BC"},
        {"\"infinity\"", KIND_TEXT, "infinity"},
        {"\"~t2024-01-31T00:00:01Z\"", REFUSED, "has a time of day, the column holds dates"},
        {"\"~t2024-01-31T00:00:00.000000001Z\"", REFUSED, "has a time of day, the column holds dates"},
        {"\"2024-01-31 12:00\"", REFUSED, "has a time of day, the column holds dates"},
        {"\"10000-01-31 12:00\"", REFUSED, "has a time of day, the column holds dates"},
        {"\"~t2024-02-31\"", REFUSED, "is no date"},
        {"\"today\"", REFUSED, "is no date"},
        {"20240131", REFUSED, "is a number, the column holds dates"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
}

/* JSON and lists */

static void json_takes_every_value(void **state)
{
    static const struct column column = {.kind = KIND_JSON, .nullable = true};
    static const struct acceptance cases[] = {
        {"null", KIND_NULL, "null"},
        {"true", KIND_JSON, "true"},
        {"1.50", KIND_JSON, "1.50"},
        {"\"a\\\"b\\n\"", KIND_JSON, "\"a\\\"b\\n\""},
        {"\"~~a\"", KIND_JSON, "\"~a\""},
        {"\"~t2024-01-31\"", KIND_JSON, "\"2024-01-31\""},
        {"{}", KIND_JSON, "{}"},
        {"{\"a\":1.0}", KIND_JSON, "{\"a\":1.0}"},
        {"{\"~a\":\"~b\"}", KIND_JSON, "{\"~a\":\"\"}"},
        {"{\"~~a\":\"~~b\"}", KIND_JSON, "{\"~~a\":\"~b\"}"},
        {"[\"~~\",\"~\",\"~u1\",\"~x\",\"a~~\",\"\\\"~~\",\"~~\\\\\"]", KIND_JSON,
         "[\"~\",\"~\",\"1\",\"~x\",\"a~~\",\"\\\"~~\",\"~\\\\\"]"},
        {"[\"~~a\",[\"~~b\",{\"c\":\"~~\\\"d\"}]]", KIND_JSON, "[\"~a\",[\"~b\",{\"c\":\"~\\\"d\"}]]"},
    };
    static const struct column full = {.kind = KIND_JSON};
    static const struct column narrow = {.kind = KIND_JSON, .max_bytes = 4};
    (void)state;
    CHECK_ALL(&column, cases);
    check(&(const struct accept){.column = &full}, &(const struct acceptance){"null", KIND_JSON, "null"});
    check(&(const struct accept){.column = &narrow},
          &(const struct acceptance){"[1,2]", REFUSED, "is longer than the 4 bytes of the column"});
}

static void a_list_takes_elements_of_its_kind(void **state)
{
    static const struct column integers = {.kind = KIND_LIST, .element_kind = KIND_INT, .bits = 16};
    static const struct acceptance of_integers[] = {
        {"[]", KIND_LIST, "[]"},
        {"[1,-2,null,3.0,\"~f4\"]", KIND_LIST, "[1 -2 null 3 4]"},
        {"[[1,2],[3,4]]", KIND_LIST, "[[1 2] [3 4]]"},
        {"[[],[]]", KIND_LIST, "[[] []]"},
        {"[1,\"a\"]", REFUSED, "is no number"},
        {"[40000]", REFUSED, "is outside of the range of integers of 16 bits, which the column holds"},
        {"[{}]", REFUSED, "is an object or a list, the column holds integers"},
        {"{}", REFUSED, "is an object or a list, the column holds lists"},
        {"\"{1,2}\"", REFUSED, "is a text, the column holds lists"},
        {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", REFUSED, "has lists within each other more than 16 deep"},
    };
    static const struct column texts = {.kind = KIND_LIST, .element_kind = KIND_TEXT, .max_chars = 3};
    static const struct acceptance of_texts[] = {
        {"[\"a\",\"~~b\",\"\\u0041\\n\",1,true]", REFUSED, "is longer than the 3 characters of the column"},
        {"[\"a\",\"~~b\",\"\\\"\\n\",1,\"~rc\"]", KIND_LIST, "[a ~b \"\n 1 c]"},
    };
    static const struct column times = {.kind = KIND_LIST, .element_kind = KIND_DATETIME, .digits = 1};
    static const struct acceptance of_times[] = {
        {"[\"~t2024-01-31T00:00:00.5Z\",\"infinity\"]", KIND_LIST, "[2024-01-31T00:00:00.500000 infinity]"},
        {"[\"~t2024-01-31T00:00:00.55Z\"]", REFUSED,
         "has more than the 1 digits of the fraction that the column keeps"},
    };
    static const struct column documents = {.kind = KIND_LIST, .element_kind = KIND_JSON};
    static const struct acceptance of_documents[] = {
        {"[{\"a\":[1,\"~~b\"]},[1,[2]],\"c\",null,{}]", KIND_LIST, "[{\"a\":[1,\"~b\"]} [1,[2]] \"c\" null {}]"},
    };
    static const struct column unsaid = {.kind = KIND_LIST};
    (void)state;
    CHECK_ALL(&integers, of_integers);
    CHECK_ALL(&texts, of_texts);
    CHECK_ALL(&times, of_times);
    CHECK_ALL(&documents, of_documents);
    check(&(const struct accept){.column = &unsaid}, &(const struct acceptance){"[\"a\",1]", KIND_LIST, "[a 1]"});
}

/* SQLite's columns */

static void a_column_of_any_kind_takes_a_value_as_it_is(void **state)
{
    static const struct column column = {.kind = KIND_TEXT, .position = POSITION_ANY};
    static const struct acceptance cases[] = {
        {"null", KIND_NULL, "null"},
        {"true", KIND_INT, "1"},
        {"false", KIND_INT, "0"},
        {"7", KIND_INT, "7"},
        {"-9223372036854775808", KIND_INT, "-9223372036854775808"},
        {"9223372036854775808", REFUSED, "is outside of the range of integers of 64 bits, which the column holds"},
        {"1.5", KIND_FLOAT, "1.5"},
        {"1e3", KIND_FLOAT, "1e3"},
        {"-0.0", KIND_FLOAT, "-0"},
        {"0.12345678901234567890", REFUSED, "has more digits than a double keeps"},
        {"\"~f1.50\"", KIND_DECIMAL, "1.50"},
        {"\"~f12345678901234567890123\"", KIND_DECIMAL, "12345678901234567890123"},
        {"\"~fNaN\"", REFUSED, "is no number"},
        {"\"abc\"", KIND_TEXT, "abc"},
        {"\"~~b\"", KIND_TEXT, "~b"},
        {"\"12\"", KIND_TEXT, "12"},
        {"\"Infinity\"", KIND_TEXT, "Infinity"},
        {"\"~bYWJj\"", KIND_BYTES, "abc"},
        {"\"~bYWJ\"", REFUSED, "is no base64"},
        {"\"~t2024-01-31\"", KIND_TEXT, "2024-01-31"},
        {"\"~t2024-01-31T23:59:59Z\"", KIND_TEXT, "2024-01-31 23:59:59"},
        {"\"~t2024-01-31T23:59:59.120Z\"", KIND_TEXT, "2024-01-31 23:59:59.120"},
        {"\"~t1969-12-31T23:59:59.123456789Z\"", KIND_TEXT, "1969-12-31 23:59:59.123456789"},
        {"\"~t2024-01-01T00:30:00.5+01:00\"", KIND_TEXT, "2023-12-31 23:30:00.5"},
        {"\"~tx\"", REFUSED, "is no datetime"},
        {"\"2024-01-31T23:59:59Z\"", KIND_TEXT, "2024-01-31T23:59:59Z"},
        {"\"~u531A379E31BB4CE18690158DCEB64BE6\"", KIND_TEXT, "531a379e-31bb-4ce1-8690-158dceb64be6"},
        {"\"~u5\"", REFUSED, "is no UUID"},
        {"\"~rhttp://a\"", KIND_TEXT, "http://a"},
        {"[1,\"~~a\"]", KIND_TEXT, "[1,\"~a\"]"},
    };
    static const struct column real = {.kind = KIND_FLOAT, .position = POSITION_ANY};
    static const struct acceptance reals[] = {
        {"7", KIND_FLOAT, "7"},
        {"9007199254740993", REFUSED, "has more digits than a double keeps"},
        {"\"-Infinity\"", KIND_FLOAT, "-Infinity"},
        {"\"abc\"", KIND_TEXT, "abc"},
        {"true", KIND_INT, "1"},
    };
    (void)state;
    CHECK_ALL(&column, cases);
    CHECK_ALL(&real, reals);
}

/* there and back */

#define INT(n) {.kind = KIND_INT, .integer = (n)}
#define TIME(n) {.kind = KIND_DATETIME, .integer = (n)}
#define OF(k, s) {.kind = (k), .text = {(s), sizeof(s) - 1}}
#define TEXT(s) OF(KIND_TEXT, s)
#define LIST(items_) {.kind = KIND_LIST, .list = {items_, sizeof(items_) / sizeof *(items_)}}

static const struct value texts[] = {TEXT("~a"), {.kind = KIND_NULL}, TEXT("b\"\n")};
static const struct value integers[] = {INT(2), {.kind = KIND_NULL}, INT(-3)};
static const struct value rows[] = {LIST(integers), LIST(integers)};
static const struct value stamps[] = {TIME(1500000), TEXT("-infinity")};
static const struct value documents[] = {OF(KIND_JSON, "{\"a\":\"~b\"}"), OF(KIND_JSON, "[1]")};

struct trip {
    struct column column;
    struct value value;
};

static const struct trip trips[] = {
    {{.kind = KIND_INT}, {.kind = KIND_NULL}},
    {{.kind = KIND_BOOL}, {.kind = KIND_BOOL, .boolean = true}},
    {{.kind = KIND_BOOL}, {.kind = KIND_BOOL}},
    {{.kind = KIND_INT}, INT(0)},
    {{.kind = KIND_INT}, INT(INT64_MIN)},
    {{.kind = KIND_INT, .bits = 64}, INT(INT64_MAX)},
    {{.kind = KIND_INT, .bits = 16}, INT(-32768)},
    {{.kind = KIND_UINT}, {.kind = KIND_UINT, .natural = UINT64_MAX}},
    {{.kind = KIND_FLOAT}, OF(KIND_FLOAT, "0.1")},
    {{.kind = KIND_FLOAT}, OF(KIND_FLOAT, "-0")},
    {{.kind = KIND_FLOAT}, OF(KIND_FLOAT, "5e-324")},
    {{.kind = KIND_FLOAT}, OF(KIND_FLOAT, "1e+20")},
    {{.kind = KIND_FLOAT}, OF(KIND_FLOAT, "1.7976931348623157e+308")},
    {{.kind = KIND_FLOAT}, OF(KIND_FLOAT, "12345678901234568")},
    {{.kind = KIND_FLOAT}, OF(KIND_FLOAT, "NaN")},
    {{.kind = KIND_FLOAT}, OF(KIND_FLOAT, "-Infinity")},
    {{.kind = KIND_FLOAT, .single = true}, OF(KIND_FLOAT, "0.1")},
    {{.kind = KIND_FLOAT, .single = true}, OF(KIND_FLOAT, "1.1754944e-38")},
    {{.kind = KIND_FLOAT, .single = true}, OF(KIND_FLOAT, "3.4028235e+38")},
    {{.kind = KIND_DECIMAL}, OF(KIND_DECIMAL, "12345678901234567890123456789.1234500")},
    {{.kind = KIND_DECIMAL}, OF(KIND_DECIMAL, "-0.001")},
    {{.kind = KIND_DECIMAL}, OF(KIND_DECIMAL, "NaN")},
    {{.kind = KIND_DECIMAL}, OF(KIND_DECIMAL, "Infinity")},
    {{.kind = KIND_DECIMAL, .precision = 10, .scale = 2}, OF(KIND_DECIMAL, "1.50")},
    {{.kind = KIND_DECIMAL, .precision = 10}, OF(KIND_DECIMAL, "1234567890")},
    {{.kind = KIND_DECIMAL, .precision = 2, .scale = 2}, OF(KIND_DECIMAL, "-0.99")},
    {{.kind = KIND_TEXT}, TEXT("")},
    {{.kind = KIND_TEXT}, TEXT("~")},
    {{.kind = KIND_TEXT}, TEXT("~~~t")},
    {{.kind = KIND_TEXT}, TEXT("~t2024-01-01")},
    {{.kind = KIND_TEXT}, TEXT("a\"\\\b\f\n\r\t\x01 bl\xC3\xA5 \xF0\x9F\x98\x80")},
    {{.kind = KIND_TEXT}, TEXT("a\0b")},
    {{.kind = KIND_BYTES}, OF(KIND_BYTES, "")},
    {{.kind = KIND_BYTES}, OF(KIND_BYTES, "\0\xFF\x80")},
    {{.kind = KIND_BYTES}, OF(KIND_BYTES, "a")},
    {{.kind = KIND_BYTES}, OF(KIND_BYTES, "ab")},
    {{.kind = KIND_DATETIME, .digits = 6}, TIME(0)},
    {{.kind = KIND_DATETIME, .digits = 6}, TIME(-1)},
    {{.kind = KIND_DATETIME, .digits = 3}, TIME(1234000)},
    {{.kind = KIND_DATETIME}, TIME(-1000000)},
    {{.kind = KIND_DATETIME, .digits = 6}, TIME(ISO_TIME_MIN)},
    {{.kind = KIND_DATETIME, .digits = 6}, TIME(ISO_TIME_MAX)},
    {{.kind = KIND_DATETIME, .digits = 6, .zoneless = true}, TIME(0)},
    {{.kind = KIND_DATETIME, .digits = 6, .zoneless = true}, TIME(ISO_TIME_MIN)},
    {{.kind = KIND_DATETIME, .digits = 6, .zoneless = true}, TIME(ISO_TIME_MAX)},
    {{.kind = KIND_DATETIME, .digits = 6}, TEXT("infinity")},
    {{.kind = KIND_DATETIME, .digits = 6}, TEXT("0044-03-15 12:00:00+00 BC")},
    {{.kind = KIND_DATETIME, .digits = 3}, TEXT("0000-00-00 00:00:00.000")},
    {{.kind = KIND_DATE}, {.kind = KIND_DATE, .integer = ISO_DAYS_MIN}},
    {{.kind = KIND_DATE}, {.kind = KIND_DATE, .integer = -1}},
    {{.kind = KIND_DATE}, {.kind = KIND_DATE, .integer = ISO_DAYS_MAX}},
    {{.kind = KIND_DATE}, TEXT("0044-03-15 BC")},
    {{.kind = KIND_DATE}, TEXT("0000-00-00")},
    {{.kind = KIND_UUID}, OF(KIND_UUID, "\x53\x1a\x37\x9e\x31\xbb\x4c\xe1\x86\x90\x15\x8d\xce\xb6\x4b\xe6")},
    {{.kind = KIND_JSON}, OF(KIND_JSON, "{\"~a\":[1.0,\"~b\",null,{}],\"c\":\"\\\"~\"}")},
    {{.kind = KIND_JSON}, OF(KIND_JSON, "\"~t2024\"")},
    {{.kind = KIND_JSON}, OF(KIND_JSON, "12345678901234567890.10")},
    {{.kind = KIND_JSON}, OF(KIND_JSON, "true")},
    {{.kind = KIND_JSON}, OF(KIND_JSON, "null")},
    {{.kind = KIND_JSON, .nullable = true}, OF(KIND_JSON, "null")},
    {{.kind = KIND_LIST, .element_kind = KIND_TEXT}, LIST(texts)},
    {{.kind = KIND_LIST, .element_kind = KIND_INT}, LIST(rows)},
    {{.kind = KIND_LIST, .element_kind = KIND_DATETIME, .digits = 1}, LIST(stamps)},
    {{.kind = KIND_LIST, .element_kind = KIND_JSON}, LIST(documents)},
    {{.kind = KIND_LIST, .element_kind = KIND_TEXT}, {.kind = KIND_LIST}},
    {{.kind = KIND_TEXT, .position = POSITION_ANY}, INT(INT64_MIN)},
    {{.kind = KIND_TEXT, .position = POSITION_ANY}, OF(KIND_FLOAT, "0.30000000000000004")},
    {{.kind = KIND_INT, .position = POSITION_ANY}, OF(KIND_FLOAT, "3")},
    {{.kind = KIND_INT, .position = POSITION_ANY}, OF(KIND_FLOAT, "-0")},
    {{.kind = KIND_FLOAT, .position = POSITION_ANY}, OF(KIND_FLOAT, "3")},
    {{.kind = KIND_FLOAT, .position = POSITION_ANY}, OF(KIND_FLOAT, "Infinity")},
    {{.kind = KIND_INT, .position = POSITION_ANY}, TEXT("~abc")},
    {{.kind = KIND_TEXT, .position = POSITION_ANY}, TEXT("1.50")},
    {{.kind = KIND_TEXT, .position = POSITION_ANY}, OF(KIND_BYTES, "\0\x01")},
};

static void travel(const struct trip *trip, const char *zone_name, size_t number)
{
    struct arena *arena = arena_new();
    struct zone *zone = strcmp(zone_name, "UTC") == 0 ? NULL : open_zone(zone_name);
    const struct field field = {.digits = trip->column.digits, .zone = trip->column.zoneless ? zone : NULL};
    const struct accept accept = {.column = &trip->column, .zone = zone};
    struct buf json = {0};
    struct value back = {.kind = KIND_NULL};
    struct err err = {0};
    entity_value(&json, &field, &trip->value);
    const struct item item = item_of(buf_text(&json), arena);
    if (accept_item(&accept, &item, arena, &back, &err))
        fail_msg("trip %zu, %s: %s", number, json.data, err.text);
    if (!same_value(&trip->column, &trip->value, &back))
        fail_msg("trip %zu, %s: is not the same", number, json.data);
    buf_free(&json);
    arena_free(arena);
    zone_close(zone);
}

static void what_a_source_sends_comes_back_the_same(void **state)
{
    static const char *const zones[] = {"UTC", "Europe/Oslo", "+14:00", "-12:00"};
    (void)state;
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++)
        for (size_t i = 0; i < sizeof trips / sizeof *trips; i++)
            travel(&trips[i], zones[z], i);
}

/* Every text of a value in a key: to _id, and back by its parts. */
static void a_part_of_an_id_comes_back_the_same(void **state)
{
    struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof trips / sizeof *trips; i++) {
        const struct trip *trip = &trips[i];
        const struct field field = {.digits = trip->column.digits}, *const fields[] = {&field, &field};
        const struct value *const parts[] = {&trip->value, &trip->value};
        const struct accept accept = {.column = &trip->column};
        struct id_part texts_[2] = {{0}};
        struct value back = {.kind = KIND_NULL};
        struct buf id = {0};
        struct err err = {0};
        bool no_key = trip->value.kind == KIND_NULL || trip->value.kind == KIND_LIST ||
                      (trip->column.position == POSITION_ANY && trip->value.kind == KIND_BYTES);
        if (no_key || (trip->column.position == POSITION_ANY && trip->column.kind == KIND_TEXT))
            continue;
        entity_id(&id, fields, parts, 2);
        if (accept_id(id.data, id.len, arena, texts_, 2, &err) ||
            accept_text(&accept, texts_[1].text, texts_[1].len, arena, &back, &err))
            fail_msg("trip %zu, %s: %s", i, buf_text(&id), err.text);
        if (!same_value(&trip->column, &trip->value, &back))
            fail_msg("trip %zu, %s: is not the same", i, buf_text(&id));
        buf_free(&id);
    }
    arena_free(arena);
}

/* _id */

static void check_part(const struct column *column, const char *text, int kind, const char *want)
{
    struct arena *arena = arena_new();
    struct value value = {.kind = KIND_NULL};
    struct err err = {0};
    if (accept_text(&(const struct accept){.column = column}, text, strlen(text), arena, &value, &err)) {
        assert_int_equal(kind, REFUSED);
        assert_string_equal(err.text, want);
    } else {
        check_value(text, &value, kind, want);
    }
    arena_free(arena);
}

static void a_part_of_an_id_has_no_tags(void **state)
{
    static const struct column text = {.kind = KIND_TEXT}, bytes = {.kind = KIND_BYTES}, integer = {.kind = KIND_INT};
    static const struct column boolean = {.kind = KIND_BOOL}, list = {.kind = KIND_LIST};
    static const struct column any_int = {.kind = KIND_INT, .position = POSITION_ANY};
    static const struct column any_text = {.kind = KIND_TEXT, .position = POSITION_ANY};
    static const struct column any_bytes = {.kind = KIND_BYTES, .position = POSITION_ANY};
    (void)state;
    check_part(&text, "~~a", KIND_TEXT, "~~a");
    check_part(&text, "~t1", KIND_TEXT, "~t1");
    check_part(&bytes, "YWJj", KIND_BYTES, "abc");
    check_part(&bytes, "~bYWJj", REFUSED, "is no base64");
    check_part(&integer, "007", KIND_INT, "7");
    check_part(&integer, "a", REFUSED, "is no number");
    check_part(&boolean, "true", KIND_BOOL, "true");
    check_part(&list, "[]", REFUSED, "is a part of _id, the column holds lists");
    check_part(&any_int, "7", KIND_INT, "7");
    check_part(&any_int, "007", KIND_TEXT, "007");
    check_part(&any_int, "a", KIND_TEXT, "a");
    check_part(&any_text, "7", KIND_TEXT, "7");
    check_part(&any_bytes, "YWJj", KIND_BYTES, "abc");
    check_part(&any_bytes, "a b", KIND_TEXT, "a b");
}

static void an_id_is_taken_apart(void **state)
{
    static const struct {
        const char *id;
        size_t count;
        const char *parts[3]; /* NULL: refused, with the text behind it */
    } cases[] = {
        {"7", 1, {"7"}},
        {"a:b%c", 1, {"a:b%c"}},
        {"", 1, {""}},
        {"1:2", 2, {"1", "2"}},
        {":", 2, {"", ""}},
        {"a%3Ab:c%25d", 2, {"a:b", "c%d"}},
        {"a%3ab:%c3%a5", 2, {"a:b", "\xC3\xA5"}},
        {"a:%253A%3A:%3A%3A", 3, {"a", "%3A:", "::"}},
        {"1:2:3", 2, {NULL, "has 3 parts, the key has 2"}},
        {"1", 2, {NULL, "has 1 parts, the key has 2"}},
        {"", 2, {NULL, "has 1 parts, the key has 2"}},
        {"a%:b", 2, {NULL, "has a '%' without two hexadecimal digits behind it"}},
        {"a:b%", 2, {NULL, "has a '%' without two hexadecimal digits behind it"}},
        {"a:b%3", 2, {NULL, "has a '%' without two hexadecimal digits behind it"}},
        {"a:b%3G", 2, {NULL, "has a '%' without two hexadecimal digits behind it"}},
        {"a:%FF", 2, {NULL, "is not valid UTF-8 when it is percent-decoded"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *arena = arena_new();
        struct id_part parts[3];
        struct err err = {0};
        size_t len = strlen(cases[i].id), count = cases[i].count;
        char *id = malloc(len + !len); /* memory of its own size, as above */
        memcpy(id, cases[i].id, len);
        int failed = accept_id(id, len, arena, parts, count, &err);
        assert_int_equal(failed ? -1 : 0, cases[i].parts[0] ? 0 : -1);
        if (failed)
            assert_string_equal(err.text, cases[i].parts[1]);
        for (size_t p = 0; !failed && p < count; p++) {
            assert_int_equal(parts[p].len, strlen(cases[i].parts[p]));
            assert_memory_equal(parts[p].text, cases[i].parts[p], parts[p].len);
        }
        free(id);
        arena_free(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_boolean_takes_true_false_0_and_1),
        cmocka_unit_test(an_integer_takes_whatever_is_one),
        cmocka_unit_test(an_integer_is_within_the_columns_bits),
        cmocka_unit_test(a_decimal_of_any_scale_keeps_its_digits),
        cmocka_unit_test(a_decimal_has_the_columns_scale),
        cmocka_unit_test(a_double_takes_what_it_keeps),
        cmocka_unit_test(a_single_takes_what_it_keeps),
        cmocka_unit_test(a_text_takes_every_scalar_without_its_tag),
        cmocka_unit_test(a_text_has_at_most_the_columns_length),
        cmocka_unit_test(blanks_at_the_end_of_a_text_go_when_they_shall),
        cmocka_unit_test(namespaces_go_when_they_shall),
        cmocka_unit_test(a_nul_in_a_text_is_kept_for_the_driver_to_judge),
        cmocka_unit_test(bytes_come_as_strict_base64),
        cmocka_unit_test(a_uuid_has_one_form),
        cmocka_unit_test(a_datetime_takes_what_its_fraction_holds),
        cmocka_unit_test(a_zoneless_datetime_is_shifted_to_the_systems_timezone),
        cmocka_unit_test(a_datetime_with_a_zone_of_its_own_is_not_shifted),
        cmocka_unit_test(a_date_has_no_time_of_day),
        cmocka_unit_test(json_takes_every_value),
        cmocka_unit_test(a_list_takes_elements_of_its_kind),
        cmocka_unit_test(a_column_of_any_kind_takes_a_value_as_it_is),
        cmocka_unit_test(what_a_source_sends_comes_back_the_same),
        cmocka_unit_test(a_part_of_an_id_comes_back_the_same),
        cmocka_unit_test(a_part_of_an_id_has_no_tags),
        cmocka_unit_test(an_id_is_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
