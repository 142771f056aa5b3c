/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <string.h>

#include "ops/guess.h"
#include "ops/segment.h"

/* A table whose first column is its key. */
static struct relation table_of(struct column *columns, size_t count)
{
    static size_t key[1] = {0};
    return (struct relation){.columns = columns, .column_count = count, .key = key, .key_count = 1};
}

static const char *updated_of(struct column column, struct sample sample, enum config_unit *unit)
{
    struct column columns[] = {{.name = "id", .type = "integer", .kind = KIND_INT}, column};
    const struct relation relation = table_of(columns, 2);
    const struct sample samples[] = {{0}, sample};
    struct guess guesses[GUESS_MOST];
    size_t count = guess_updated(&relation, samples, "customers", guesses);
    *unit = count ? guesses[0].unit : UNIT_NONE;
    return count ? columns[guesses[0].column].name : NULL;
}

static void names_of_times_are_understood(void **state)
{
    static const char *const good[] = {"updated_at",
                                       "UpdatedAt",
                                       "LASTUPDATED",
                                       "last_modified",
                                       "modified",
                                       "changed_on",
                                       "mtime",
                                       "row_updated_ts",
                                       "ts",
                                       "timestamp",
                                       "customer_updated_at",
                                       "customers_modified",
                                       "DateModified",
                                       "lastChange",
                                       "sist_endret",
                                       "update_time",
                                       "sys_mod_time"};
    static const char *const bad[] = {
        "created_at", "updated_by",        "password_changed_at", "deleted_at", "date", "time",     "at",
        "born",       "orders_updated_at", "update_count",        "last_login", "",     "changedx", "_"};
    enum config_unit unit;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct column column = {.name = good[i], .type = "timestamptz", .kind = KIND_DATETIME};
        if (!updated_of(column, (struct sample){0}, &unit))
            fail_msg("'%s' is not taken", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct column column = {.name = bad[i], .type = "timestamptz", .kind = KIND_DATETIME};
        if (updated_of(column, (struct sample){0}, &unit))
            fail_msg("'%s' is taken", bad[i]);
    }
}

static struct sample sample_of(const struct value *values, size_t count)
{
    struct sample sample = {0};
    for (size_t i = 0; i < count; i++)
        sample_add(&sample, &values[i]);
    return sample;
}

static void epochs_are_told_by_what_they_hold(void **state)
{
    static const struct {
        int64_t values[2];
        enum config_unit unit; /* UNIT_NONE: no guess */
    } cases[] = {
        {{1700000000, 1}, UNIT_NONE},
        {{1700000000, 946684800}, UNIT_S},
        {{1700000000, 1700000000000}, UNIT_NONE},
        {{1700000000000, 1700000000001}, UNIT_MS},
        {{1700000000000000, 1700000000000001}, UNIT_US},
        {{1700000000000000000, 1700000000000000001}, UNIT_NONE},
        {{0, 1}, UNIT_NONE},
        {{-1700000000, 1700000000}, UNIT_NONE},
    };
    const struct column column = {.name = "updated", .type = "bigint", .kind = KIND_INT};
    enum config_unit unit;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct value values[] = {value_integer(KIND_INT, cases[i].values[0]),
                                       {.kind = KIND_NULL},
                                       value_integer(KIND_INT, cases[i].values[1])};
        const char *name = updated_of(column, sample_of(values, 3), &unit);
        assert_int_equal(unit, cases[i].unit);
        assert_int_equal(name != NULL, cases[i].unit != UNIT_NONE);
    }
    assert_null(updated_of(column, (struct sample){0}, &unit));
}

static void texts_must_all_be_times(void **state)
{
    const struct value times[] = {value_text(KIND_TEXT, "2024-01-31 10:00:00", 19),
                                  value_text(KIND_TEXT, "2024-01-31T10:00:00Z", 20)};
    const struct value mixed[] = {times[0], value_text(KIND_TEXT, "yesterday", 9)};
    struct column column = {.name = "updated", .type = "text", .kind = KIND_TEXT, .position = POSITION_TEXT};
    enum config_unit unit;
    (void)state;
    assert_non_null(updated_of(column, sample_of(times, 2), &unit));
    assert_null(updated_of(column, sample_of(mixed, 2), &unit));
    assert_null(updated_of(column, (struct sample){0}, &unit));
    assert_int_equal(sample_of(times, 2).spaced, 1);
    column.position = POSITION_ANY;
    assert_null(updated_of(column, (struct sample){0}, &unit));
    column.type = "DATETIME";
    assert_non_null(updated_of(column, (struct sample){0}, &unit));
}

static void better_columns_come_first(void **state)
{
    struct column columns[] = {
        {.name = "id", .type = "integer", .kind = KIND_INT},
        {.name = "ts", .type = "timestamptz", .kind = KIND_DATETIME},
        {.name = "update_date", .type = "date", .kind = KIND_DATE},
        {.name = "updated", .type = "timestamptz", .kind = KIND_DATETIME, .nullable = true},
        {.name = "modified", .type = "timestamptz", .kind = KIND_DATETIME},
        {.name = "seen", .type = "timestamp", .kind = KIND_DATETIME, .refreshed = true},
        {.name = "x", .type = "xid8", .kind = KIND_UINT, .transaction = true},
    };
    static const char *const order[] = {"x", "seen", "modified", "updated", "ts", "update_date"};
    const struct relation relation = table_of(columns, 7);
    struct guess guesses[GUESS_MOST];
    struct sample samples[7] = {{0}};
    (void)state;
    assert_int_equal(guess_updated(&relation, samples, "t", guesses), 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(columns[guesses[i].column].name, order[i]);
}

static void more_candidates_than_there_is_room_for_leave_the_best(void **state)
{
    struct column columns[40] = {{.name = "id", .type = "integer", .kind = KIND_INT}};
    struct sample samples[40] = {{0}};
    struct guess guesses[GUESS_MOST];
    (void)state;
    for (size_t i = 1; i < 40; i++)
        columns[i] = (struct column){.name = "updated", .type = "date", .kind = i == 39 ? KIND_DATETIME : KIND_DATE};
    const struct relation relation = table_of(columns, 40);
    assert_int_equal(guess_updated(&relation, samples, "t", guesses), GUESS_MOST);
    assert_int_equal(guesses[0].column, 39);
    assert_int_equal(guesses[1].column, 1);
}

static void versions_and_marks_are_told_by_name_and_type(void **state)
{
    static const struct {
        const char *name;
        enum kind kind;
        bool nullable, version, mark;
    } cases[] = {
        {"version", KIND_INT, false, true, false},         {"lock_version", KIND_INT, true, true, false},
        {"RowVersion", KIND_UINT, false, true, false},     {"version", KIND_TEXT, false, false, false},
        {"schema_version", KIND_INT, false, false, false}, {"customer_version", KIND_INT, false, true, false},
        {"is_deleted", KIND_BOOL, false, false, true},     {"deleted", KIND_INT, true, false, true},
        {"deleted_at", KIND_DATETIME, true, false, true},  {"deleted_at", KIND_DATETIME, false, false, false},
        {"deleted_by", KIND_INT, true, false, false},      {"undeleted", KIND_BOOL, false, false, false},
        {"slettet_dato", KIND_DATE, true, false, true},    {"deleted", KIND_TEXT, true, false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct column columns[] = {
            {.name = "id", .type = "integer", .kind = KIND_INT},
            {.name = cases[i].name, .type = "x", .kind = cases[i].kind, .nullable = cases[i].nullable}};
        const struct relation relation = table_of(columns, 2);
        const struct sample samples[2] = {{0}};
        if ((guess_version(&relation, "customers") == 1) != cases[i].version)
            fail_msg("%s is a version, or is not", cases[i].name);
        if ((guess_deleted(&relation, samples, "customers") == 1) != cases[i].mark)
            fail_msg("%s is a mark, or is not", cases[i].name);
    }
}

static void numbers_other_than_0_and_1_are_no_mark(void **state)
{
    struct column columns[] = {{.name = "id", .type = "integer", .kind = KIND_INT},
                               {.name = "deleted", .type = "integer", .kind = KIND_INT, .nullable = true}};
    const struct relation relation = table_of(columns, 2);
    const struct value values[] = {value_integer(KIND_INT, 0), value_integer(KIND_INT, 2)};
    const struct sample samples[] = {{0}, sample_of(values, 2)};
    (void)state;
    assert_int_equal(guess_deleted(&relation, samples, "t"), SIZE_MAX);
}

static void names_of_sources_are_unique_segments(void **state)
{
    static const struct listed list[] = {
        {"a", "orders", LISTED_TABLE}, {"b", "orders", LISTED_TABLE}, {"b", "Orders", LISTED_TABLE},
        {NULL, "..", LISTED_TABLE},    {NULL, "/", LISTED_TABLE},     {NULL, "x y?#", LISTED_TABLE},
        {NULL, "x_y", LISTED_TABLE},   {NULL, "%41", LISTED_TABLE},   {"\xC3\xA6", "solo", LISTED_TABLE},
        {NULL, "__", LISTED_TABLE},
    };
    static const char *const wanted[] = {"a.orders", "b.orders", "b.Orders-2", "table", "table-2",
                                         "x_y",      "x_y-2",    "41",         "solo",  "table-3"};
    const char *names[sizeof list / sizeof *list];
    struct arena *arena = arena_new();
    (void)state;
    assert_int_equal(segment_names(list, sizeof list / sizeof *list, names, arena), 0);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        assert_string_equal(names[i], wanted[i]);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_times_are_understood),
        cmocka_unit_test(epochs_are_told_by_what_they_hold),
        cmocka_unit_test(texts_must_all_be_times),
        cmocka_unit_test(better_columns_come_first),
        cmocka_unit_test(more_candidates_than_there_is_room_for_leave_the_best),
        cmocka_unit_test(versions_and_marks_are_told_by_name_and_type),
        cmocka_unit_test(numbers_other_than_0_and_1_are_no_mark),
        cmocka_unit_test(names_of_sources_are_unique_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
