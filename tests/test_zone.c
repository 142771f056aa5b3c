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
#include <unistd.h>

#include "base/buf.h"
#include "base/iso.h"
#include "base/zone.h"
#include "base/zone_rule.h"

static int64_t time_of(const char *text)
{
    struct iso_time time;
    if (iso_parse(text, strlen(text), &time))
        fail_msg("'%s' is no time", text);
    return time.time;
}

static void check_time(const char *name, const char *given, int64_t got, const char *want)
{
    if (got != time_of(want))
        fail_msg("%s %s: %lld us from %s", name, given, (long long)(got - time_of(want)), want);
}

struct shift {
    const char *name, *from, *to;
};

static struct zone *open_zone(const char *name)
{
    struct zone *zone = NULL;
    struct err err = {0};
    if (zone_open(&zone, name, &err))
        fail_msg("%s", err.text);
    return zone;
}

static void wall_clocks_are_read_as_utc(void **state)
{
    static const struct shift shifts[] = {
        {"Europe/Oslo", "2024-01-15T12:00:00", "2024-01-15T11:00:00"},
        {"Europe/Oslo", "2024-07-15T12:00:00", "2024-07-15T10:00:00"},
        {"America/New_York", "2024-07-15T12:00:00", "2024-07-15T16:00:00"},
        {"Asia/Kolkata", "1944-01-01T00:00:00", "1943-12-31T17:30:00"},
        {"Asia/Kolkata", "2024-06-01T00:00:00", "2024-05-31T18:30:00"},
        {"Australia/Lord_Howe", "2024-01-01T00:00:00", "2023-12-31T13:00:00"},
        {"Europe/Dublin", "2024-01-15T12:00:00", "2024-01-15T12:00:00"},
        {"Europe/Dublin", "2024-07-15T12:00:00", "2024-07-15T11:00:00"},
        {"Etc/GMT+5", "2024-01-01T00:00:00", "2024-01-01T05:00:00"},
        {"UTC", "2024-07-15T12:00:00.123456", "2024-07-15T12:00:00.123456"},
        {"Z", "2024-07-15T12:00:00", "2024-07-15T12:00:00"},
        {"+02:00", "2024-07-15T12:00:00.000001", "2024-07-15T10:00:00.000001"},
        {"-0330", "2024-07-15T12:00:00", "2024-07-15T15:30:00"},
        {"+14", "2024-07-15T12:00:00", "2024-07-14T22:00:00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        struct zone *zone = open_zone(shifts[i].name);
        check_time(shifts[i].name, shifts[i].from, zone_to_utc(zone, time_of(shifts[i].from)), shifts[i].to);
        check_time(shifts[i].name, shifts[i].to, zone_to_wall(zone, time_of(shifts[i].to)), shifts[i].from);
        zone_close(zone);
    }
}

static void a_skipped_time_has_the_offset_before_the_jump(void **state)
{
    static const struct shift shifts[] = {
        {"Europe/Oslo", "2024-03-31T01:59:59.999999", "2024-03-31T00:59:59.999999"},
        {"Europe/Oslo", "2024-03-31T02:00:00", "2024-03-31T01:00:00"},
        {"Europe/Oslo", "2024-03-31T02:59:59", "2024-03-31T01:59:59"},
        {"Europe/Oslo", "2024-03-31T03:00:00", "2024-03-31T01:00:00"},
        {"America/New_York", "2024-03-10T02:30:00", "2024-03-10T07:30:00"},
        {"Australia/Lord_Howe", "2024-10-06T02:15:00", "2024-10-05T15:45:00"},
        {"Pacific/Apia", "2011-12-29T23:59:59", "2011-12-30T09:59:59"},
        {"Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T22:00:00"},
        {"Pacific/Apia", "2011-12-31T00:00:00", "2011-12-30T10:00:00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        struct zone *zone = open_zone(shifts[i].name);
        check_time(shifts[i].name, shifts[i].from, zone_to_utc(zone, time_of(shifts[i].from)), shifts[i].to);
        zone_close(zone);
    }
}

static void a_time_that_came_twice_is_the_earlier(void **state)
{
    static const struct shift shifts[] = {
        {"Europe/Oslo", "2024-10-27T01:59:59", "2024-10-26T23:59:59"},
        {"Europe/Oslo", "2024-10-27T02:00:00", "2024-10-27T00:00:00"},
        {"Europe/Oslo", "2024-10-27T02:59:59", "2024-10-27T00:59:59"},
        {"Europe/Oslo", "2024-10-27T03:00:00", "2024-10-27T02:00:00"},
        {"America/New_York", "2024-11-03T01:30:00", "2024-11-03T05:30:00"},
        {"America/New_York", "2024-11-03T02:00:00", "2024-11-03T07:00:00"},
        {"Australia/Lord_Howe", "2024-04-07T01:29:59", "2024-04-06T14:29:59"},
        {"Australia/Lord_Howe", "2024-04-07T01:30:00", "2024-04-06T14:30:00"},
        {"Australia/Lord_Howe", "2024-04-07T01:59:59", "2024-04-06T14:59:59"},
        {"Australia/Lord_Howe", "2024-04-07T02:00:00", "2024-04-06T15:30:00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        struct zone *zone = open_zone(shifts[i].name);
        check_time(shifts[i].name, shifts[i].from, zone_to_utc(zone, time_of(shifts[i].from)), shifts[i].to);
        zone_close(zone);
    }
}

static void the_rule_goes_on_after_the_table(void **state)
{
    static const struct shift shifts[] = {
        {"Europe/Oslo", "2060-07-01T12:00:00", "2060-07-01T10:00:00"},
        {"Europe/Oslo", "2060-12-01T12:00:00", "2060-12-01T11:00:00"},
        {"Europe/Oslo", "2060-03-28T02:30:00", "2060-03-28T01:30:00"},
        {"Europe/Oslo", "2060-10-31T02:30:00", "2060-10-31T00:30:00"},
        {"Europe/Oslo", "9999-12-31T23:59:59.999999", "9999-12-31T22:59:59.999999"},
        {"America/New_York", "2060-03-14T02:30:00", "2060-03-14T07:30:00"},
        {"America/New_York", "2060-11-07T01:30:00", "2060-11-07T05:30:00"},
        {"America/New_York", "2060-11-07T02:00:00", "2060-11-07T07:00:00"},
        {"Asia/Kolkata", "2060-06-01T00:00:00", "2060-05-31T18:30:00"},
        {"Australia/Lord_Howe", "2060-01-01T00:00:00", "2059-12-31T13:00:00"},
        {"Australia/Lord_Howe", "2060-07-01T00:00:00", "2060-06-30T13:30:00"},
        {"Australia/Lord_Howe", "2060-10-03T02:15:00", "2060-10-02T15:45:00"},
        {"Europe/Dublin", "2060-01-15T12:00:00", "2060-01-15T12:00:00"},
        {"Europe/Dublin", "2060-07-15T12:00:00", "2060-07-15T11:00:00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        struct zone *zone = open_zone(shifts[i].name);
        check_time(shifts[i].name, shifts[i].from, zone_to_utc(zone, time_of(shifts[i].from)), shifts[i].to);
        zone_close(zone);
    }
}

static void utc_is_shown_on_the_wall_clock(void **state)
{
    static const struct shift shifts[] = {
        {"Europe/Oslo", "2024-03-31T00:59:59.999999", "2024-03-31T01:59:59.999999"},
        {"Europe/Oslo", "2024-03-31T01:00:00", "2024-03-31T03:00:00"},
        {"Europe/Oslo", "2024-10-27T00:59:59", "2024-10-27T02:59:59"},
        {"Europe/Oslo", "2024-10-27T01:00:00", "2024-10-27T02:00:00"},
        {"Europe/Oslo", "2060-03-28T00:59:59", "2060-03-28T01:59:59"},
        {"Europe/Oslo", "2060-03-28T01:00:00", "2060-03-28T03:00:00"},
        {"Europe/Oslo", "2060-10-31T00:59:59", "2060-10-31T02:59:59"},
        {"Europe/Oslo", "2060-10-31T01:00:00", "2060-10-31T02:00:00"},
        {"America/New_York", "1967-04-30T06:59:59.5", "1967-04-30T01:59:59.5"},
        {"America/New_York", "1967-04-30T07:00:00", "1967-04-30T03:00:00"},
        {"America/New_York", "2024-11-03T05:30:00", "2024-11-03T01:30:00"},
        {"America/New_York", "2024-11-03T06:30:00", "2024-11-03T01:30:00"},
        {"America/New_York", "2060-11-07T05:59:59", "2060-11-07T01:59:59"},
        {"America/New_York", "2060-11-07T06:00:00", "2060-11-07T01:00:00"},
        {"Australia/Lord_Howe", "2060-10-02T15:29:59", "2060-10-03T01:59:59"},
        {"Australia/Lord_Howe", "2060-10-02T15:30:00", "2060-10-03T02:30:00"},
        {"Asia/Kolkata", "2060-06-01T00:00:00", "2060-06-01T05:30:00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        struct zone *zone = open_zone(shifts[i].name);
        check_time(shifts[i].name, shifts[i].from, zone_to_wall(zone, time_of(shifts[i].from)), shifts[i].to);
        zone_close(zone);
    }
}

static void no_zone_is_utc(void **state)
{
    (void)state;
    assert_int_equal(zone_to_utc(NULL, 12345), 12345);
    assert_int_equal(zone_to_wall(NULL, -12345), -12345);
    zone_close(NULL);
}

static void the_ends_of_time_do_not_overflow(void **state)
{
    static const char *const names[] = {"Europe/Oslo", "America/New_York", "+14:00", "-12:00"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct zone *zone = open_zone(names[i]);
        assert_true(zone_to_utc(zone, INT64_MIN) < 0 && zone_to_utc(zone, INT64_MAX) > 0);
        assert_true(zone_to_wall(zone, INT64_MIN) < 0 && zone_to_wall(zone, INT64_MAX) > 0);
        zone_close(zone);
    }
}

static void names_that_are_no_zones_are_refused(void **state)
{
    static const char *const names[] = {
        "",
        "Europe/Nowhere",
        "Europe",
        "/etc/localtime",
        "../zoneinfo/UTC",
        "Europe/../UTC",
        "./UTC",
        "CET;1",
        "+2",
        "+2:00",
        "+25:00",
        "+02:60",
        "+02:0",
        "+02:000",
        "+02:",
        "-",
        "+0200x",
        "tzdata.zi",
        "Europe/Oslo/",
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct zone *zone = NULL;
        struct err err = {0};
        if (!zone_open(&zone, names[i], &err))
            fail_msg("'%s' was opened", names[i]);
        assert_int_equal(err.code, ERR_CONFIG);
    }
}

static void a_missing_folder_names_the_package(void **state)
{
    struct zone *zone = NULL;
    struct err err = {0};
    (void)state;
    setenv("TZDIR", "/nonexistent/zones", 1);
    assert_int_equal(zone_open(&zone, "Europe/Oslo", &err), -1);
    unsetenv("TZDIR");
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.hint, "tzdata"));
}

static int open_bytes(const char *folder, const char *bytes, size_t len, struct zone **zone)
{
    char path[256];
    struct err err = {0};
    snprintf(path, sizeof path, "%s/Zone", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(bytes, 1, len, file);
    assert_int_equal(fclose(file), 0);
    int result = zone_open(zone, "Zone", &err);
    if (result)
        assert_int_equal(err.code, ERR_CONFIG);
    unlink(path);
    return result;
}

static int make_folder(void **state)
{
    static char folder[64];
    strcpy(folder, "/tmp/test_zone.XXXXXX");
    *state = mkdtemp(folder);
    return *state ? setenv("TZDIR", folder, 1) : -1;
}

static int remove_folder(void **state)
{
    unsetenv("TZDIR");
    return rmdir(*state);
}

/* Version 1: two types (+01:00, +02:00), one transition at 1000000000. */
static const char version1[] = "TZif\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0"
                               "\0\0\0\0"
                               "\0\0\0\0"
                               "\0\0\0\1"
                               "\0\0\0\2"
                               "\0\0\0\4"
                               "\x3B\x9A\xCA\x00"
                               "\1"
                               "\0\0\x0E\x10"
                               "\0"
                               "\0"
                               "\0\0\x1C\x20"
                               "\1"
                               "\0"
                               "ABC";

static void a_file_of_the_first_version_has_no_rule(void **state)
{
    struct zone *zone = NULL;
    assert_int_equal(open_bytes(*state, version1, sizeof version1, &zone), 0);
    assert_int_equal(zone_to_wall(zone, 999999999 * INT64_C(1000000)), (999999999 + 3600) * INT64_C(1000000));
    assert_int_equal(zone_to_wall(zone, 1000000000 * INT64_C(1000000)),
                     (1000000000 + 7200) * INT64_C(1000000));
    assert_int_equal(zone_to_wall(zone, 4000000000 * INT64_C(1000000)),
                     (4000000000 + 7200) * INT64_C(1000000));
    zone_close(zone);
}

static size_t read_zone(const char *name, char *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, size, file);
    fclose(file);
    return len;
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    static char bytes[8192];
    size_t len = read_zone("Europe/Oslo", bytes, sizeof bytes);
    struct zone *zone = NULL;
    assert_in_range(len, 500, sizeof bytes - 1);
    for (size_t cut = 0; cut < len; cut++) {
        if (!open_bytes(*state, bytes, cut, &zone))
            fail_msg("%zu of %zu bytes were taken for a zone", cut, len);
    }
    assert_int_equal(open_bytes(*state, bytes, len, &zone), 0);
    zone_close(zone);
}

/* Refused or not: what is opened must be safe to use. */
static void a_file_with_any_byte_changed_does_no_harm(void **state)
{
    static char bytes[8192], changed[8192];
    size_t len = read_zone("Europe/Oslo", bytes, sizeof bytes), refused = 0;
    for (size_t i = 0; i < len; i++) {
        static const char values[] = {'\0', '\x7F', '\x80', '\xFF', '\1'};
        struct zone *zone = NULL;
        memcpy(changed, bytes, len);
        changed[i] = values[i % sizeof values];
        if (open_bytes(*state, changed, len, &zone)) {
            refused++;
            continue;
        }
        for (int64_t time = -4000000000; time < 8000000000; time += 500000000)
            zone_to_utc(zone, zone_to_wall(zone, time * 1000000));
        zone_close(zone);
    }
    assert_true(refused > 0);
}

static void files_that_say_what_cannot_be_are_refused(void **state)
{
    static const struct {
        size_t at;
        char byte;
    } changes[] = {
        {0, 'X'},     /* magic */
        {31, 1},      /* leap seconds */
        {39, 0},      /* no types */
        {36, '\x7F'}, /* types beyond the end */
        {48, 2},      /* a type that is not there */
        {49, '\x7F'}, /* an offset of years */
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char bytes[sizeof version1 + 16] = {0}; /* so that it is not its length that is wrong */
        struct zone *zone = NULL;
        memcpy(bytes, version1, sizeof version1);
        bytes[changes[i].at] = changes[i].byte;
        if (!open_bytes(*state, bytes, sizeof bytes, &zone))
            fail_msg("change %zu was not refused", i);
    }
}

static int32_t offset(const char *rule, const char *time, bool wall)
{
    struct zone_rule parsed;
    if (zone_rule_parse(&parsed, rule, strlen(rule)))
        fail_msg("'%s' is no rule", rule);
    return zone_rule_offset(&parsed, time_of(time) / 1000000, wall);
}

static void rules_of_all_forms_are_understood(void **state)
{
    static const struct {
        const char *rule, *utc;
        int32_t offset;
    } cases[] = {
        {"UTC0", "2024-01-01T00:00:00", 0},
        {"<+0530>-5:30", "2024-01-01T00:00:00", 19800},
        {"LMT-0:49:56", "2024-01-01T00:00:00", 2996},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2024-03-31T00:59:59", 3600},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2024-03-31T01:00:00", 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2024-10-27T00:59:59", 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2024-10-27T01:00:00", 3600},
        /* A southern summer goes over the new year. */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2024-12-31T23:00:00", 39600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2025-01-01T00:00:00", 39600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2025-07-01T00:00:00", 36000},
        /* Daylight saving half an hour, said in full; negative, as in Ireland. */
        {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2025-01-01T00:00:00", 39600},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2025-01-01T00:00:00", 0},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2025-07-01T00:00:00", 3600},
        /* Hours before midnight, and beyond the day. */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T00:59:59", -7200},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T01:00:00", -3600},
        {"AAA0BBB,M3.4.4/50,M10.4.4/50", "2024-03-30T01:59:59", 0},
        {"AAA0BBB,M3.4.4/50,M10.4.4/50", "2024-03-30T02:00:00", 3600},
        /* J60 is always the 1st of March, day 59 only in other than leap years. */
        {"AAA0BBB,J60/0,J300", "2024-02-29T23:59:59", 0},
        {"AAA0BBB,J60/0,J300", "2024-03-01T00:00:00", 3600},
        {"AAA0BBB,J60/0,J300", "2023-02-28T23:59:59", 0},
        {"AAA0BBB,J60/0,J300", "2023-03-01T00:00:00", 3600},
        {"AAA0BBB,59/0,300", "2024-02-28T23:59:59", 0},
        {"AAA0BBB,59/0,300", "2024-02-29T00:00:00", 3600},
        {"AAA0BBB,59/0,300", "2023-02-28T23:59:59", 0},
        {"AAA0BBB,59/0,300", "2023-03-01T00:00:00", 3600},
        /* All the year (RFC 8536, 3.3.1). */
        {"EST5EDT,0/0,J365/25", "2024-01-01T04:59:59", -14400},
        {"EST5EDT,0/0,J365/25", "2024-01-01T05:00:00", -14400},
        {"EST5EDT,0/0,J365/25", "2024-07-01T00:00:00", -14400},
        {"EST5EDT,0/0,J365/25", "2024-12-31T23:59:59", -14400},
        {"EST5EDT,0/0,J365/25", "2025-01-01T04:00:00", -14400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t got = offset(cases[i].rule, cases[i].utc, false);
        if (got != cases[i].offset)
            fail_msg("%s at %s: %d", cases[i].rule, cases[i].utc, got);
    }
}

static void rules_on_the_wall_clock_take_the_offset_before(void **state)
{
    static const char rule[] = "CET-1CEST,M3.5.0,M10.5.0/3";
    (void)state;
    assert_int_equal(offset(rule, "2024-03-31T02:59:59", true), 3600);
    assert_int_equal(offset(rule, "2024-03-31T03:00:00", true), 7200);
    assert_int_equal(offset(rule, "2024-10-27T02:59:59", true), 7200);
    assert_int_equal(offset(rule, "2024-10-27T03:00:00", true), 3600);
}

static void what_is_no_rule_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "A",
        "AB0",
        "CET",
        "CET-",
        "CET-25",
        "CET-1CEST",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.0,",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J1",
        "CET-1CEST,J366,J1",
        "CET-1CEST,366,1",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "<CET-1",
        "CET-1CEST,M3.5.0,M10.5.0/3x",
        "CET-1:60",
        "CET-1CEST,M3.5.0/2:,M10.5.0",
        "CET-99999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct zone_rule rule;
        char *exact = malloc(strlen(texts[i]) + 1); /* so that a sanitizer sees one byte too far */
        memcpy(exact, texts[i], strlen(texts[i]));
        if (!zone_rule_parse(&rule, exact, strlen(texts[i])))
            fail_msg("'%s' was taken for a rule", texts[i]);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wall_clocks_are_read_as_utc),
        cmocka_unit_test(a_skipped_time_has_the_offset_before_the_jump),
        cmocka_unit_test(a_time_that_came_twice_is_the_earlier),
        cmocka_unit_test(the_rule_goes_on_after_the_table),
        cmocka_unit_test(utc_is_shown_on_the_wall_clock),
        cmocka_unit_test(no_zone_is_utc),
        cmocka_unit_test(the_ends_of_time_do_not_overflow),
        cmocka_unit_test(names_that_are_no_zones_are_refused),
        cmocka_unit_test(a_missing_folder_names_the_package),
        cmocka_unit_test_setup_teardown(a_file_of_the_first_version_has_no_rule, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_cut_anywhere_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_with_any_byte_changed_does_no_harm, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(files_that_say_what_cannot_be_are_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test(rules_of_all_forms_are_understood),
        cmocka_unit_test(rules_on_the_wall_clock_take_the_offset_before),
        cmocka_unit_test(what_is_no_rule_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
