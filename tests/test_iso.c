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

#include "base/iso.h"

#define MINUTE (60 * ISO_SECOND)
#define HOUR (60 * MINUTE)

static uint64_t random_state = 88172645463325252U;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* The text in memory of just its size, so that a sanitizer sees who looks behind it. */
static int parse(const char *text, struct iso_time *time)
{
    size_t len = strlen(text);
    char *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    int failed = iso_parse(exact, len, time);
    free(exact);
    return failed;
}

/* writing */

static void every_day_of_the_calendar_goes_out_and_comes_back(void **state)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = ISO_DAYS_MIN;
    (void)state;
    for (unsigned year = 1; year <= 9999; year++)
        for (unsigned month = 1; month <= 12; month++) {
            bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
            unsigned length = lengths[month - 1] + (month == 2 && leap);
            for (unsigned day = 1; day <= length; day++, days++) {
                char got[ISO_SIZE + 1], want[32];
                struct iso_time time;
                int64_t y;
                unsigned m, d;
                got[iso_date(got, days)] = '\0';
                snprintf(want, sizeof want, "%04u-%02u-%02u", year, month, day);
                iso_civil(days, &y, &m, &d);
                if (strcmp(got, want) != 0 || iso_parse(want, 10, &time) || time.time != days * ISO_DAY ||
                    !time.is_date || time.zoned || iso_days(year, month, day) != days || y != year ||
                    m != month || d != day)
                    fail_msg("%s became %s", want, got);
            }
        }
    assert_true(days == ISO_DAYS_MAX + 1);
}

/* The days of one week apart by hundreds of years: a memory of days must not mix them up. */
static void days_are_not_mixed_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        int64_t days = ISO_DAYS_MIN + (int64_t)draw((uint64_t)(ISO_DAYS_MAX - ISO_DAYS_MIN + 1)), year;
        unsigned month, day;
        char got[ISO_SIZE + 1], want[32];
        days -= days % 64 * (i % 2); /* many that share a place */
        iso_civil(days, &year, &month, &day);
        got[iso_date(got, days)] = '\0';
        snprintf(want, sizeof want, "%04d-%02u-%02u", (int)year, month, day);
        assert_string_equal(got, want);
    }
}

static void times_go_out_with_each_number_of_digits_and_come_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        int64_t time = ISO_TIME_MIN + (int64_t)draw((uint64_t)(ISO_TIME_MAX - ISO_TIME_MIN));
        int64_t unit = 1;
        if (i < 4)
            time = i % 2 ? ISO_TIME_MAX - i / 2 : ISO_TIME_MIN + i / 2;
        for (unsigned digits = 6; digits + 1 > 0; digits--, unit *= 10) {
            char text[ISO_SIZE + 1];
            struct iso_time back;
            const char *zone = i % 3 ? "Z" : "";
            size_t len = iso_datetime(text, time, digits, zone);
            int64_t floored = time - (time % unit + unit) % unit;
            text[len] = '\0';
            assert_int_equal(len, 19 + (digits ? digits + 1 : 0) + strlen(zone));
            if (iso_parse(text, len, &back) || back.time != floored || back.is_date ||
                back.zoned != (*zone == 'Z'))
                fail_msg("%s came back otherwise", text);
        }
    }
}

static void digits_of_every_size_are_written(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        uint64_t number = i < 1000 ? i : i < 1100 ? UINT64_MAX - (i - 1000) : draw(UINT64_MAX) >> draw(64);
        char got[21] = {0}, want[32];
        snprintf(want, sizeof want, "%llu", (unsigned long long)number);
        assert_string_equal(iso_digits(got + 20, number), want);
    }
}

/* reading */

struct form {
    const char *text;
    int64_t time; /* from 2024-01-31 */
    bool is_date, zoned, rest;
};

static void every_accepted_form_is_read(void **state)
{
    static const struct form forms[] = {
        {"2024-01-31", 0, true, false, false},
        {"2024-01-31T00:00", 0, false, false, false},
        {"2024-01-31T23:59", 24 * HOUR - MINUTE, false, false, false},
        {"2024-01-31 23:59:58", 24 * HOUR - 2 * ISO_SECOND, false, false, false},
        {"2024-01-31t00:00:01", ISO_SECOND, false, false, false},
        {"2024-01-31T00:00:01.5", 1500000, false, false, false},
        {"2024-01-31T00:00:00.000001Z", 1, false, true, false},
        {"2024-01-31T00:00:00.123456789Z", 123456, false, true, true},
        {"2024-01-31T00:00:00.1234560000000000000000Z", 123456, false, true, false},
        {"2024-01-31T00:00:00.0000009", 0, false, false, true},
        {"2024-01-31T00:00:00.0000010900", 1, false, false, true},
        {"2024-01-31T00:00Z", 0, false, true, false},
        {"2024-01-31T00:00z", 0, false, true, false},
        {"2024-01-31T01:00:00+01:00", 0, false, true, false},
        {"2024-01-31T01:00:00 01:00", 0, false, true, false},
        {"2024-01-31 01:00:00 01:00", 0, false, true, false},
        {"2024-01-31T01:00:00+0100", 0, false, true, false},
        {"2024-01-31T01:00:00+01", 0, false, true, false},
        {"2024-01-31T01:00+01:00", 0, false, true, false},
        {"2024-01-31T00:00:00-05:30", 5 * HOUR + 30 * MINUTE, false, true, false},
        {"2024-01-31T00:00:00.5+14:00", 500000 - 14 * HOUR, false, true, false},
        {"2024-01-31T00:00:00+00:00", 0, false, true, false},
        {"2024-01-31T00:00:00-00:00", 0, false, true, false},
        {"2024-02-29", 29 * ISO_DAY, true, false, false},
        {"2024-02-01T00:30+01:00", 24 * HOUR - 30 * MINUTE, false, true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct iso_time time;
        if (parse(forms[i].text, &time))
            fail_msg("'%s' was refused", forms[i].text);
        if (time.time - iso_days(2024, 1, 31) * ISO_DAY != forms[i].time ||
            time.is_date != forms[i].is_date || time.zoned != forms[i].zoned || time.rest != forms[i].rest)
            fail_msg("'%s' was read as another time", forms[i].text);
    }
}

static void other_forms_are_refused(void **state)
{
    static const char *const texts[] = {
        "", "2", "2024", "2024-01", "2024-1-1", "24-01-01", "20240131", "2024/01/31", "2024-01-31T", "2024-01-31 ",
        "2024-01-31T12", "2024-01-31T1:00", "2024-01-31T120000", "2024-01-31T12:", "2024-01-31T12:0", "2024-01-31T12:00:",
        "2024-01-31T12:00:0", "2024-01-31T12:00.5", "2024-01-31T12:00:00.", "2024-01-31T12:00:00.Z", "2024-01-31T12:00:00,5",
        "2024-01-31T12:00:00ZZ", "2024-01-31T12:00:00Z ", " 2024-01-31", "2024-01-31x12:00", "2024-01-31T12:00:00x",
        "2024-01-31T12:00:00+", "2024-01-31T12:00:00+1", "2024-01-31T12:00:00+01:", "2024-01-31T12:00:00+01:0",
        "2024-01-31T12:00:00+01:000", "2024-01-31T12:00:00+010", "2024-01-31T12:00:00+24:00", "2024-01-31T12:00:00+01:60",
        "2024-01-31T12:00:00+-1:00", "2024-01-31T12:00:00++01:00", "2024-01-31Z", "2024-01-31+01:00",
        /* no such time of day, day, month, year */
        "2024-01-31T24:00:00", "2024-01-31T23:60:00", "2024-01-31T23:59:60", "2024-01-31T-1:00:00", "2024-00-01",
        "2024-13-01", "2024-01-00", "2024-01-32", "2024-04-31", "2024-06-31", "2024-09-31", "2024-11-31", "2024-02-30",
        "2023-02-29", "1900-02-29", "2100-02-29", "0000-01-01", "-001-01-01", "10000-01-01", "+2024-01-31",
        /* beyond the calendar in UTC */
        "0001-01-01T00:59:59.999999+01:00", "9999-12-31T23:00:00-01:00",
        /* other words */
        "infinity", "now", "~t2024-01-31", "2024-W05-3", "2024-031", "two-thousand",
        "2024-01-\xD9\xA3\xD9\xA1", "\xEF\xBC\x92\xEF\xBC\x90\xEF\xBC\x92\xEF\xBC\x94-01-31",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct iso_time time;
        if (parse(texts[i], &time) == 0)
            fail_msg("'%s' was taken", texts[i]);
    }
}

static void a_nul_is_no_end(void **state)
{
    struct iso_time time;
    (void)state;
    assert_int_equal(iso_parse("2024-01-31\0", 11, &time), -1);
    assert_int_equal(iso_parse("2024-01-31\0T12:00", 17, &time), -1);
    assert_int_equal(iso_parse("2024-01-31T12:00\0", 17, &time), -1);
}

static void a_text_cut_anywhere_is_refused_or_one_of_the_shorter_forms(void **state)
{
    static const char text[] = "2024-01-31T23:59:58.123456+01:00";
    static const size_t whole[] = {10, 16, 19, 21, 22, 23, 24, 25, 26, 29, 32};
    (void)state;
    for (size_t len = 0, next = 0; len <= sizeof text - 1; len++) {
        char cut[sizeof text];
        struct iso_time time;
        bool good = next < sizeof whole / sizeof *whole && whole[next] == len;
        memcpy(cut, text, len);
        cut[len] = '\0';
        if ((parse(cut, &time) == 0) != good)
            fail_msg("'%s' was judged wrongly", cut);
        next += good;
    }
}

static void leap_days_are_those_of_the_gregorian_calendar(void **state)
{
    (void)state;
    for (int year = 1; year <= 9999; year++) {
        char text[32];
        struct iso_time time;
        snprintf(text, sizeof text, "%04d-02-29", year);
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if ((parse(text, &time) == 0) != leap)
            fail_msg("%s was judged wrongly", text);
    }
}

static void the_calendar_ends_to_the_microsecond(void **state)
{
    struct iso_time time;
    (void)state;
    assert_int_equal(parse("0001-01-01T00:00:00Z", &time), 0);
    assert_true(time.time == ISO_TIME_MIN);
    assert_int_equal(parse("0001-01-01T01:00:00+01:00", &time), 0);
    assert_true(time.time == ISO_TIME_MIN);
    assert_int_equal(parse("9999-12-31T23:59:59.999999999Z", &time), 0);
    assert_true(time.time == ISO_TIME_MAX && time.rest);
    assert_int_equal(parse("9999-12-31T22:59:59.999999-01:00", &time), 0);
    assert_true(time.time == ISO_TIME_MAX);
    assert_int_equal(parse("9999-12-31T22:59:59.999999-01:01", &time), -1);
}

/* UUIDs */

static void a_uuid_goes_out_and_comes_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        char bytes[16], back[16], text[ISO_SIZE];
        for (size_t b = 0; b < 16; b++)
            bytes[b] = (char)draw(256);
        assert_int_equal(iso_uuid(text, bytes), 36);
        assert_int_equal(iso_parse_uuid(text, 36, back), 0);
        assert_memory_equal(back, bytes, 16);
    }
}

static void uuids_are_read_in_the_forms_people_write(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"531a379e-31bb-4ce1-8690-158dceb64be6", true},
        {"531A379E-31BB-4CE1-8690-158DCEB64BE6", true},
        {"531a379e31bb4ce18690158dceb64be6", true},
        {"{531a379e-31bb-4ce1-8690-158dceb64be6}", true},
        {"{531a379e31bb4ce18690158dceb64be6}", true},
        {"531a-379e-31bb-4ce1-8690-158d-ceb6-4be6", true},
        {"", false},
        {"{}", false},
        {"{", false},
        {"}", false},
        {"531a379e-31bb-4ce1-8690-158dceb64be", false},
        {"531a379e-31bb-4ce1-8690-158dceb64be66", false},
        {"531a379e-31bb-4ce1-8690-158dceb64beg", false},
        {"531a379e-31bb-4ce1-8690-158dceb64be6-", false},
        {"-531a379e-31bb-4ce1-8690-158dceb64be6", false},
        {"531a379e--31bb-4ce1-8690-158dceb64be6", false},
        {"531-a379e-31bb-4ce1-8690-158dceb64be6", false},
        {"{531a379e-31bb-4ce1-8690-158dceb64be6", false},
        {"531a379e-31bb-4ce1-8690-158dceb64be6}", false},
        {"531a379e 31bb 4ce1 8690 158dceb64be6", false},
        {"531a379e-31bb-4ce1-8690-158dceb64\xC3\xA6", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].text);
        char bytes[16] = {0}, *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, cases[i].text, len);
        if ((iso_parse_uuid(exact, len, bytes) == 0) != cases[i].good)
            fail_msg("'%s' was judged wrongly", cases[i].text);
        if (cases[i].good)
            assert_memory_equal(bytes, "\x53\x1a\x37\x9e\x31\xbb\x4c\xe1\x86\x90\x15\x8d\xce\xb6\x4b\xe6",
                                16);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_of_the_calendar_goes_out_and_comes_back),
        cmocka_unit_test(days_are_not_mixed_up),
        cmocka_unit_test(times_go_out_with_each_number_of_digits_and_come_back),
        cmocka_unit_test(digits_of_every_size_are_written),
        cmocka_unit_test(every_accepted_form_is_read),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(a_nul_is_no_end),
        cmocka_unit_test(a_text_cut_anywhere_is_refused_or_one_of_the_shorter_forms),
        cmocka_unit_test(leap_days_are_those_of_the_gregorian_calendar),
        cmocka_unit_test(the_calendar_ends_to_the_microsecond),
        cmocka_unit_test(a_uuid_goes_out_and_comes_back),
        cmocka_unit_test(uuids_are_read_in_the_forms_people_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
