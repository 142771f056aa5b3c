/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/shortest.h"

static void hard_cases_have_their_known_digits(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "-0"},
        {1.0, "1"},
        {-1.0, "-1"},
        {0.1, "0.1"},
        {-0.1, "-0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {12.34, "12.34"},
        {1234567.891, "1234567.891"},
        {99999999.5, "99999999.5"},
        {100.0, "100"},
        {0.000123, "0.000123"},
        {0.00001, "1e-05"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {9007199254740993.0, "9007199254740992"},
        {5e-324, "5e-324"},
        {1e-323, "1e-323"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {2.225073858507201e-308, "2.225073858507201e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {5.684341886080802e-14, "5.684341886080802e-14"}, /* 2^-44 */
        {0x1p-791, "7.678447687145631e-239"},
        {9.5367431640625e-07, "9.5367431640625e-07"}, /* 2^-20 */
        {9.345e-2, "0.09345"},
        {HUGE_VAL, "Infinity"},
        {-HUGE_VAL, "-Infinity"},
        {NAN, "NaN"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[SHORTEST_SIZE];
        assert_int_equal(shortest_double(cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void single_precision_has_its_own_digits(void **state)
{
    static const struct {
        float value;
        const char *text;
    } cases[] = {
        {0.1f, "0.1"},
        {16777216.0f, "16777216"},
        {3.4028235e38f, "3.4028235e+38"},
        {1e-45f, "1e-45"},
        {1.1754944e-38f, "1.1754944e-38"},
        {-2.5f, "-2.5"},
        {8.589974e9f, "8.589974e+09"},
        {0.0f, "0"},
        {33554432.0f, "33554432"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[SHORTEST_SIZE];
        assert_int_equal(shortest_float(cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

/* xorshift64*, so that every run sees the same patterns. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* The significant digits without leading and trailing zeros. */
static size_t significant(const char *text)
{
    size_t count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && count == 0))
            continue;
        count++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return count - zeros;
}

/* digits[.digits][e+dd], as in RFC 8259, number without its leading zeros. */
static bool is_json_number(const char *text)
{
    text += *text == '-';
    size_t whole = strspn(text, "0123456789");
    if (whole == 0 || (whole > 1 && *text == '0'))
        return false;
    text += whole;
    if (*text == '.') {
        size_t decimals = strspn(text + 1, "0123456789");
        if (decimals == 0)
            return false;
        text += 1 + decimals;
    }
    if (*text == 'e') {
        text += 1 + (text[1] == '+' || text[1] == '-');
        size_t exponent = strspn(text, "0123456789");
        if (exponent == 0)
            return false;
        text += exponent;
    }
    return *text == '\0';
}

static void check_double(double value)
{
    char text[SHORTEST_SIZE];
    size_t len = shortest_double(value, text);
    assert_true(len < SHORTEST_SIZE && len == strlen(text));
    double back = strtod(text, NULL);
    if (memcmp(&back, &value, sizeof value) != 0 || !is_json_number(text))
        fail_msg("%a was written as %s", value, text);
    /* Digits that are correctly rounded to one less must not do. */
    size_t digits = significant(text);
    char less[SHORTEST_SIZE];
    if (digits > 1) {
        snprintf(less, sizeof less, "%.*e", (int)digits - 2, value);
        if (strtod(less, NULL) == value)
            fail_msg("%s is not the shortest, %s is shorter", text, less);
    }
}

static void a_million_random_doubles_read_back(void **state)
{
    (void)state;
    uint64_t seed = UINT64_C(88172645463325252);
    for (int i = 0; i < 1000000; i++) {
        uint64_t bits = next_random(&seed);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value))
            check_double(value);
    }
}

static void random_prices_and_denormals_read_back(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int i = 0; i < 50000; i++) {
        uint64_t random = next_random(&seed);
        static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
        check_double((double)(random >> 24 >> random % 32) / powers[random % 9]);
        uint64_t bits = random >> (12 + random % 52);
        double denormal;
        memcpy(&denormal, &bits, sizeof denormal);
        check_double(denormal);
    }
}

static void powers_of_two_read_back(void **state)
{
    (void)state;
    for (int exponent = -1074; exponent <= 1023; exponent++) {
        check_double(ldexp(1.0, exponent));
        check_double(-ldexp(1.0, exponent));
    }
}

static void random_floats_read_back(void **state)
{
    (void)state;
    uint64_t seed = 4711;
    for (int i = 0; i < 500000; i++) {
        uint32_t bits = (uint32_t)(next_random(&seed) >> 32);
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        char text[SHORTEST_SIZE];
        shortest_float(value, text);
        float back = strtof(text, NULL);
        if (memcmp(&back, &value, sizeof value) != 0 || !is_json_number(text))
            fail_msg("%a was written as %s", (double)value, text);
        assert_true(significant(text) <= FLT_DECIMAL_DIG);
    }
}

/* Digits without point and zeros at the ends, and the power of ten of the first digit. */
static void normalise(const char *text, char digits[SHORTEST_SIZE], int *exponent)
{
    size_t len = 0;
    bool point = false;
    *exponent = -1;
    for (text += *text == '-'; *text && *text != 'e'; text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        if (len || *text != '0')
            digits[len++] = *text;
        if (!point && len)
            ++*exponent;
        else if (point && !len)
            --*exponent;
    }
    if (*text == 'e')
        *exponent += (int)strtol(text + 1, NULL, 10);
    while (len && digits[len - 1] == '0')
        len--;
    digits[len] = '\0';
}

/* Python's repr has been the shortest, nearest digits since 3.1. */
static void digits_are_those_of_another_implementation(void **state)
{
    static const char *const script =
        "/usr/bin/python3 -c '\n"
        "import random, struct, math\n"
        "random.seed(7)\n"
        "numbers = [math.ldexp(1.0, e) for e in range(-1074, 1024)]\n"
        "numbers += [struct.unpack(\"<d\", random.getrandbits(64).to_bytes(8, \"little\"))[0] for i in "
        "range(30000)]\n"
        "numbers += [round(random.uniform(-1e6, 1e6), random.randrange(8)) for i in range(20000)]\n"
        "for n in numbers:\n"
        "    if math.isfinite(n): print(n.hex(), repr(n))\n"
        "'";
    (void)state;
    if (access("/usr/bin/python3", X_OK) != 0) {
        print_message("/usr/bin/python3 is not there to compare with\n");
        skip();
    }
    FILE *python = popen(script, "r");
    assert_non_null(python);
    char hex[64], theirs[64];
    size_t seen = 0;
    while (fscanf(python, "%63s %63s", hex, theirs) == 2) {
        char ours[SHORTEST_SIZE], our_digits[SHORTEST_SIZE], their_digits[SHORTEST_SIZE];
        int our_exponent, their_exponent;
        shortest_double(strtod(hex, NULL), ours);
        normalise(ours, our_digits, &our_exponent);
        normalise(theirs, their_digits, &their_exponent);
        if (strcmp(our_digits, their_digits) != 0 || our_exponent != their_exponent)
            fail_msg("%s is %s there and %s here", hex, theirs, ours);
        seen++;
    }
    assert_int_equal(pclose(python), 0);
    assert_true(seen > 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hard_cases_have_their_known_digits),
        cmocka_unit_test(single_precision_has_its_own_digits),
        cmocka_unit_test(a_million_random_doubles_read_back),
        cmocka_unit_test(random_prices_and_denormals_read_back),
        cmocka_unit_test(powers_of_two_read_back),
        cmocka_unit_test(random_floats_read_back),
        cmocka_unit_test(digits_are_those_of_another_implementation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
