/* The contract's tests of order, ranges and going on from a place. */
#include <stdio.h>
#include <string.h>

#include "db_session.h"

/* A table of a kind of key. Its rows come in a few groups of equal updated values, NULL among them. */
struct keyed {
    const char *columns; /* of the key */
    const char *key;
    const char *rows[10]; /* the values of the key's columns, in no order */
};

static const struct keyed integers = {
    "k {integer} not null",
    "k",
    {"10", "-5", "9", "0", "9223372036854775807", "-9223372036854775808", "100"}};
static const struct keyed texts = {
    "k {key_text} not null",
    "k",
    {"'b'", "'a'", "'B'", "''", "'a b'", "'\xc3\xa5'", "'o''x'' or ''1''=''1'", "'\\\\'", "'a%s:k~'"}};
static const struct keyed datetimes = {"k {datetime} not null",
                                       "k",
                                       {"'2024-01-02 03:04:05.000006'", "'2024-01-02 03:04:05.000005'",
                                        "'1969-12-31 23:59:59.999999'", "'2024-01-02 03:04:05'",
                                        "'2100-12-31 23:59:59.5'"}};
static const struct keyed uuids = {
    "k {uuid} not null",
    "k",
    {"'531a379e-31bb-4ce1-8690-158dceb64be6'", "'00000000-0000-0000-0000-000000000000'",
     "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'531a379e-31bb-4ce1-8690-158dceb64be7'",
     "'631a379e-31bb-1ce1-8690-058dceb64be6'"}};
static const struct keyed compounds = {
    "k {integer} not null, l {key_text} not null, m {integer} not null",
    "m, l, k",
    {"1, 'a', 2", "2, 'a', 1", "1, 'b', 1", "1, 'a', 1", "2, 'b', 1", "3, '''', 7", "1, 'a%:~', 3"}};

static void make_keyed(const struct keyed *keyed)
{
    char columns[512];
    snprintf(columns, sizeof columns, "%s, updated {datetime} null, primary key (%s)", keyed->columns,
             keyed->key);
    sql_table("keyed", columns);
    for (size_t i = 0; i < sizeof keyed->rows / sizeof *keyed->rows && keyed->rows[i]; i++) {
        static const char *const updated[] = {"'2024-05-01 10:00:00'", "null",
                                              "'2024-05-01 10:00:00.000001'"};
        sql("insert into contract_keyed values (%s, %s)", keyed->rows[i], updated[i % 3]);
    }
}

static int compare(const struct value *a, const struct value *b)
{
    if (a->kind == KIND_NULL || b->kind == KIND_NULL)
        return (b->kind == KIND_NULL) - (a->kind == KIND_NULL);
    assert_int_equal(a->kind, b->kind);
    if (a->kind == KIND_INT || a->kind == KIND_DATETIME || a->kind == KIND_DATE)
        return (a->integer > b->integer) - (a->integer < b->integer);
    size_t shorter = a->text.len < b->text.len ? a->text.len : b->text.len;
    int order = memcmp(a->text.bytes, b->text.bytes, shorter);
    return order ? order : (a->text.len > b->text.len) - (a->text.len < b->text.len);
}

/* Is the order of the values as they come the order of the column? */
static bool comparable(const struct column *column)
{
    return column->kind != KIND_UUID || column->bytewise;
}

static void expect_order(const struct plan *plan, const struct rows *rows)
{
    const struct relation *relation = plan->relation;
    for (size_t i = 1; i < rows->count; i++) {
        const struct value *a = rows->row[i - 1], *b = rows->row[i];
        int order = plan->updated == SIZE_MAX ? 0 : compare(a + plan->updated, b + plan->updated);
        for (size_t k = 0; k < relation->key_count && order == 0; k++) {
            if (!comparable(&relation->columns[relation->key[k]]))
                return;
            order = compare(a + relation->key[k], b + relation->key[k]);
        }
        assert_true(order < 0);
    }
}

/* From each row on, the stream is what it was. */
static void expect_resumable(struct session *session, const struct plan *plan)
{
    struct rows all = read_all(session, plan);
    expect_order(plan, &all);
    for (size_t i = 0; i < all.count; i++) {
        struct rows rest = {all.row + i + 1, all.count - i - 1};
        struct plan resumed = *plan;
        plan_resume(session, &resumed, all.row[i]);
        assert_string_equal(read_text(session, &resumed), rows_text(session, &rest, plan->column_count));
    }
}

/* Pages of any size make the whole stream. */
static void expect_pages(struct session *session, const struct plan *plan, uint64_t limit)
{
    struct rows all = read_all(session, plan);
    struct plan page = *plan;
    size_t met = 0;
    page.limit = limit;
    for (;;) {
        struct rows rows = read_all(session, &page);
        struct rows same = {all.row + met, met + rows.count <= all.count ? rows.count : 0};
        assert_string_equal(rows_text(session, &rows, plan->column_count),
                            rows_text(session, &same, plan->column_count));
        assert_true(rows.count <= limit);
        met += rows.count;
        if (rows.count < limit)
            break;
        plan_resume(session, &page, rows.row[rows.count - 1]);
    }
    assert_int_equal(met, all.count);
}

static void expect_resumable_keys(struct session *session, const struct keyed *keyed)
{
    make_keyed(keyed);
    struct relation *relation = describe_table(session, "contract_keyed");
    struct plan plan = plan_by_updated(session, relation, "updated");
    expect_resumable(session, &plan);
    expect_pages(session, &plan, 1);
    expect_pages(session, &plan, 2);
    plan = plan_by_key(session, relation);
    expect_resumable(session, &plan);
    expect_pages(session, &plan, 3);
}

static void stream_resumes_after_an_integer_key(void **state)
{
    expect_resumable_keys(*state, &integers);
}

static void stream_resumes_after_a_text_key(void **state)
{
    expect_resumable_keys(*state, &texts);
}

static void stream_resumes_after_a_datetime_key(void **state)
{
    expect_resumable_keys(*state, &datetimes);
}

static void stream_resumes_after_a_uuid_key(void **state)
{
    if (contract->dialect.uuid)
        expect_resumable_keys(*state, &uuids);
}

static void stream_resumes_after_a_compound_key(void **state)
{
    expect_resumable_keys(*state, &compounds);
}

static void stream_of_a_query_resumes(void **state)
{
    struct session *session = *state;
    make_keyed(&texts);
    struct relation *relation =
        describe_query(session, "select updated, k from contract_keyed where k <> 'b'", "k");
    struct plan plan = plan_by_updated(session, relation, "updated");
    expect_resumable(session, &plan);
    expect_pages(session, &plan, 2);
}

static void integer_and_text_serve_as_updated(void **state)
{
    struct session *session = *state;
    sql_table("versions", "id {integer} not null primary key, number {integer}, label {key_text}");
    sql("insert into contract_versions values (1, 10, 'b'), (2, 9, 'a'), (3, null, null), (4, 10, 'a'),"
        " (5, -1, ''), (6, 9223372036854775807, 'o''x')");
    struct relation *relation = describe_table(session, "contract_versions");
    struct plan plan = plan_by_updated(session, relation, "number");
    expect_resumable(session, &plan);
    plan_columns(session, &plan, "id");
    assert_string_equal(read_text(session, &plan), "3 5 2 1 4 6");
    plan = plan_by_updated(session, relation, "label");
    expect_resumable(session, &plan);
    plan_columns(session, &plan, "id");
    assert_string_equal(read_text(session, &plan), "3 5 2 4 1 6");
}

static void rows_without_updated_value_come_first(void **state)
{
    struct session *session = *state;
    sql_table("stream", "id {integer} not null primary key, updated {datetime}");
    sql("insert into contract_stream values (1, '2024-05-01 10:00:01'), (4, null), (2, '2024-05-01 "
        "10:00:00'),"
        " (3, null), (5, '2024-05-01 10:00:00')");
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_stream"), "updated");
    plan_columns(session, &plan, "id");
    assert_string_equal(read_text(session, &plan), "3 4 2 5 1");
    plan.ranges++;
    plan.range_count = 1;
    assert_string_equal(read_text(session, &plan), "2 5 1");
}

static void limit_counts_across_ranges(void **state)
{
    struct session *session = *state;
    rows_without_updated_value_come_first(state);
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_stream"), "updated");
    plan_columns(session, &plan, "id");
    static const char *const expected[] = {"", "3", "3 4", "3 4 2", "3 4 2 5", "3 4 2 5 1", "3 4 2 5 1"};
    for (uint64_t limit = 0; limit < sizeof expected / sizeof *expected; limit++) {
        plan.limit = limit;
        assert_string_equal(read_text(session, &plan), expected[limit]);
    }
}

/* Bulk statements give thousands of rows one updated value. */
static void each_row_of_a_great_tie_is_met_once(void **state)
{
    struct session *session = *state;
    sql_table("ties", "id {integer} not null primary key, updated {datetime}");
    sql("insert into contract_ties select n, '2024-05-01 10:00:00' from contract_numbers where n < 1000");
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_ties"), "updated");
    assert_int_equal(read_all(session, &plan).count, 1000);
    expect_pages(session, &plan, 37);
    expect_pages(session, &plan, 500);
}

static struct range after_value(const struct value *updated, struct position *place)
{
    *place = (struct position){.updated = updated};
    return (struct range){.after = place};
}

static void position_without_key_is_at_or_beyond_the_value(void **state)
{
    struct session *session = *state;
    rows_without_updated_value_come_first(state);
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_stream"), "updated");
    struct rows all = read_all(session, &plan);
    struct position place;
    struct range range = after_value(all.row[2] + plan.updated, &place);
    plan.ranges = &range;
    plan.range_count = 1;
    plan_columns(session, &plan, "id");
    assert_string_equal(read_text(session, &plan), "2 5 1");
    range = after_value(all.row[4] + plan.updated, &place);
    assert_string_equal(read_text(session, &plan), "1");
}

static void bound_leaves_out_what_is_not_lower(void **state)
{
    struct session *session = *state;
    rows_without_updated_value_come_first(state);
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_stream"), "updated");
    struct rows all = read_all(session, &plan);
    struct range range = {.before = all.row[4] + plan.updated};
    plan.ranges = &range;
    plan.range_count = 1;
    plan_columns(session, &plan, "id");
    assert_string_equal(read_text(session, &plan), "2 5");
    range.before = all.row[2] + plan.updated;
    assert_string_equal(read_text(session, &plan), "");
}

/* As a token of two positions is read: what became final, then what is new beyond. */
static void bounded_range_is_followed_by_another(void **state)
{
    struct session *session = *state;
    rows_without_updated_value_come_first(state);
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_stream"), "updated");
    struct rows all = read_all(session, &plan);
    struct position place;
    struct range ranges[2] = {after_value(all.row[2] + plan.updated, &place)};
    ranges[0].before = all.row[4] + plan.updated;
    ranges[1].after = position_of(session, &plan, all.row[2]);
    plan.ranges = ranges;
    plan.range_count = 2;
    plan_columns(session, &plan, "id");
    assert_string_equal(read_text(session, &plan), "2 5 5 1");
    plan.limit = 3;
    assert_string_equal(read_text(session, &plan), "2 5 5");
}

/* by the order of the key */

static bool same_key(const struct relation *relation, const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < relation->key_count; i++)
        if (compare(a + relation->key[i], b + relation->key[i]))
            return false;
    return true;
}

static size_t place_of(const struct relation *relation, const struct rows *rows, const struct value *row)
{
    size_t place = 0;
    while (!same_key(relation, rows->row[place], row))
        place++;
    return place;
}

/* The rows of the stream from a place on, as they stand in the order of the key. */
static struct rows rows_from(struct session *session, const struct relation *relation, const struct rows *stream,
                             size_t from, const struct rows *keys)
{
    struct rows rows = {arena_array(session->arena, keys->count + 1, sizeof *rows.row), 0};
    for (size_t i = 0; i < keys->count; i++)
        if (place_of(relation, stream, keys->row[i]) >= from)
            rows.row[rows.count++] = keys->row[i];
    return rows;
}

/* From each key on, and before the first. */
static void expect_scan(struct session *session, const struct plan *plan, const struct position *after,
                        const struct rows *rows)
{
    for (size_t met = 0; met <= rows->count; met++) {
        struct rows rest = {rows->row + met, rows->count - met};
        struct range range = {.after = after, .by_key = true};
        struct plan scan = *plan;
        if (met)
            range.beyond = position_of(session, plan, rows->row[met - 1])->key;
        scan.ranges = &range;
        scan.range_count = 1;
        assert_string_equal(read_text(session, &scan), rows_text(session, &rest, plan->column_count));
        rest.count = rest.count < 2 ? rest.count : 2;
        scan.limit = 2;
        assert_string_equal(read_text(session, &scan), rows_text(session, &rest, plan->column_count));
    }
}

/* Behind each row, and from each updated value on. */
static void expect_scans(struct session *session, const struct relation *relation)
{
    struct plan plan = plan_by_updated(session, relation, "updated"), by_key = plan_by_key(session, relation);
    struct rows stream = read_all(session, &plan), keys = read_all(session, &by_key);
    for (size_t i = 0; i < stream.count; i++) {
        const struct position *behind = position_of(session, &plan, stream.row[i]);
        if (!behind->updated)
            continue;
        if (!i || compare(stream.row[i - 1] + plan.updated, behind->updated)) {
            const struct position at = {.updated = behind->updated};
            struct rows rows = rows_from(session, relation, &stream, i, &keys);
            expect_scan(session, &plan, &at, &rows);
        }
        struct rows rows = rows_from(session, relation, &stream, i + 1, &keys);
        expect_scan(session, &plan, behind, &rows);
    }
}

static void expect_scannable_keys(struct session *session, const struct keyed *keyed)
{
    make_keyed(keyed);
    expect_scans(session, describe_table(session, "contract_keyed"));
}

static void rows_from_a_place_on_come_in_the_order_of_the_key(void **state)
{
    static const struct keyed *const all[] = {&integers, &texts, &datetimes, &compounds};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        expect_scannable_keys(*state, all[i]);
    if (contract->dialect.uuid)
        expect_scannable_keys(*state, &uuids);
    make_keyed(&texts);
    expect_scans(*state, describe_query(*state, "select updated, k from contract_keyed where k <> 'b'", "k"));
}

/* As a page of a full run is read: what is final, then the rest by key. */
static void range_in_the_order_of_the_key_follows_another(void **state)
{
    struct session *session = *state;
    rows_without_updated_value_come_first(state);
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_stream"), "updated");
    struct rows all = read_all(session, &plan);
    const struct position from = {.updated = all.row[2] + plan.updated};
    const struct range ranges[] = {
        {.nulls = true}, {.before = from.updated}, {.after = &from, .by_key = true}};
    plan.ranges = ranges;
    plan.range_count = 3;
    plan_columns(session, &plan, "id");
    assert_string_equal(read_text(session, &plan), "3 4 1 2 5");
    plan.limit = 4;
    assert_string_equal(read_text(session, &plan), "3 4 1 2");
}

const struct CMUnitTest contract_resume_tests[] = {
    cmocka_unit_test(stream_resumes_after_an_integer_key),
    cmocka_unit_test(stream_resumes_after_a_text_key),
    cmocka_unit_test(stream_resumes_after_a_datetime_key),
    cmocka_unit_test(stream_resumes_after_a_uuid_key),
    cmocka_unit_test(stream_resumes_after_a_compound_key),
    cmocka_unit_test(stream_of_a_query_resumes),
    cmocka_unit_test(integer_and_text_serve_as_updated),
    cmocka_unit_test(rows_without_updated_value_come_first),
    cmocka_unit_test(limit_counts_across_ranges),
    cmocka_unit_test(each_row_of_a_great_tie_is_met_once),
    cmocka_unit_test(position_without_key_is_at_or_beyond_the_value),
    cmocka_unit_test(bound_leaves_out_what_is_not_lower),
    cmocka_unit_test(bounded_range_is_followed_by_another),
    cmocka_unit_test(rows_from_a_place_on_come_in_the_order_of_the_key),
    cmocka_unit_test(range_in_the_order_of_the_key_follows_another),
};
const size_t contract_resume_count = sizeof contract_resume_tests / sizeof *contract_resume_tests;
