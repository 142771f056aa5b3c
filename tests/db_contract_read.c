/* The contract's tests of what a read gives: values, parameters, filters, one snapshot. */
#include <stdio.h>
#include <string.h>

#include "db_session.h"

static void make_people(void)
{
    sql_table("people", "id {integer} not null primary key, name {text}, age {integer}");
    sql("insert into contract_people values (1, 'Kari', 30), (2, 'Ola', null), (3, null, 30), (4, 'o''x', "
        "-1)");
}

static void all_rows_and_columns_are_read(void **state)
{
    struct session *session = *state;
    make_people();
    struct plan plan = plan_by_key(session, describe_table(session, "contract_people"));
    assert_string_equal(read_text(session, &plan), "1|Kari|30 2|Ola|NULL 3|NULL|30 4|o'x|-1");
}

static void columns_come_in_the_order_asked_for(void **state)
{
    struct session *session = *state;
    make_people();
    struct plan plan = plan_by_key(session, describe_table(session, "contract_people"));
    plan_columns(session, &plan, "age id");
    assert_string_equal(read_text(session, &plan), "30|1 NULL|2 30|3 -1|4");
}

static void order_may_stand_on_columns_that_are_not_read(void **state)
{
    struct session *session = *state;
    make_people();
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_people"), "age");
    plan_columns(session, &plan, "name");
    assert_string_equal(read_text(session, &plan), "Ola o'x Kari NULL");
}

static void empty_table_ends_at_once(void **state)
{
    struct session *session = *state;
    sql_table("empty", "id {integer} not null primary key, updated {datetime}");
    struct relation *relation = describe_table(session, "contract_empty");
    struct plan plan = plan_all(session, relation, NULL);
    assert_int_equal(read_all(session, &plan).count, 0);
    plan = plan_by_updated(session, relation, "updated");
    assert_int_equal(read_all(session, &plan).count, 0);
}

static void unordered_read_gives_every_row_up_to_the_limit(void **state)
{
    struct session *session = *state;
    struct plan plan = plan_all(session, describe_table(session, "contract_numbers"), NULL);
    assert_int_equal(read_all(session, &plan).count, 100000);
    plan.limit = 1234;
    assert_int_equal(read_all(session, &plan).count, 1234);
    plan.limit = 0;
    assert_int_equal(read_all(session, &plan).count, 0);
}

static void every_size_of_fetch_gives_the_same_rows(void **state)
{
    struct session *session = *state;
    struct relation *relation =
        describe_query(session, "select n as id from contract_numbers where n < 7 or n = 99", "id");
    for (unsigned size = 1; size < 10; size++) {
        struct plan plan = plan_by_key(session, relation);
        plan.fetch_size = size;
        assert_string_equal(read_text(session, &plan), "0 1 2 3 4 5 6 99");
    }
}

static void extreme_integers_are_exact(void **state)
{
    struct session *session = *state;
    sql_table("extremes", "id {integer} not null primary key");
    sql("insert into contract_extremes values (9223372036854775807), (-9223372036854775808), (0)");
    struct plan plan = plan_by_key(session, describe_table(session, "contract_extremes"));
    assert_string_equal(read_text(session, &plan), "-9223372036854775808 0 9223372036854775807");
}

static void text_keeps_every_byte(void **state)
{
    struct session *session = *state;
    static const char text[] =
        "tab\tline\nreturn\rquote\"apostrophe'' \xc3\xa6\xe2\x82\xac\xf0\x9f\x98\x80 ~tilde \x01|";
    sql_table("texts", "id {integer} not null primary key, name {text}");
    sql("insert into contract_texts values (1, '%s'), (2, ''), (3, ' x ')", text);
    struct plan plan = plan_by_key(session, describe_table(session, "contract_texts"));
    plan_columns(session, &plan, "name");
    assert_string_equal(
        read_text(session, &plan),
        "tab\tline\nreturn\rquote\"apostrophe' \xc3\xa6\xe2\x82\xac\xf0\x9f\x98\x80 ~tilde \x01|"
        "   x ");
}

static void long_values_are_whole(void **state)
{
    struct session *session = *state;
    sql_table("long", "id {integer} not null primary key, name {text}");
    for (int id = 1; id <= 3; id++)
        sql("insert into contract_long select %d, %s", id, contract->dialect.long_text);
    sql("insert into contract_long values (4, 'short')");
    struct plan plan = plan_by_key(session, describe_table(session, "contract_long"));
    struct rows rows = read_all(session, &plan);
    assert_int_equal(rows.count, 4);
    for (size_t i = 0; i < 3; i++) {
        const struct value *value = &rows.row[i][1];
        assert_int_equal(value->kind, KIND_TEXT);
        assert_int_equal(value->text.len, 1048576);
        assert_int_equal(strspn(value->text.bytes, "x"), 1048576);
    }
    assert_int_equal(rows.row[3][1].text.len, 5);
}

/* The reader fails such a row; a driver only has to pass it on, in any order. */
static void null_in_the_key_is_passed_on(void **state)
{
    struct session *session = *state;
    struct relation *relation = describe_query(
        session,
        "select case when n = 2 then null else n end as id, n as updated from contract_numbers where n < 4",
        "id");
    struct plan plans[] = {plan_all(session, relation, NULL), plan_by_key(session, relation),
                           plan_by_updated(session, relation, "updated")};
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct rows rows = read_all(session, plans + i);
        size_t nulls = 0;
        assert_int_equal(rows.count, 4);
        for (size_t j = 0; j < rows.count; j++)
            nulls += rows.row[j][0].kind == KIND_NULL;
        assert_int_equal(nulls, 1);
    }
}

static void xmin_comes_behind_the_columns(void **state)
{
    struct session *session = *state;
    if (!(contract->driver->features & FEATURE_XMIN))
        return;
    make_people();
    struct plan plan = plan_by_key(session, describe_table(session, "contract_people"));
    plan.xmin = true;
    const struct value *before = read_all(session, &plan).row[0];
    sql("update contract_people set age = 31 where id = 1");
    const struct value *after = read_all(session, &plan).row[0];
    assert_int_equal(before[3].kind, KIND_TEXT);
    assert_true(before[3].text.len > 0);
    assert_false(before[3].text.len == after[3].text.len &&
                 memcmp(before[3].text.bytes, after[3].text.bytes, after[3].text.len) == 0);
}

/* filters */

static const char *filtered(struct session *session, const char *column, enum config_value_type type,
                            const char *text)
{
    struct plan plan = plan_by_key(session, describe_table(session, "contract_people"));
    struct filter filter = {.column = column_index(plan.relation, column),
                            .value = {.type = type, .text = text}};
    plan.filters = &filter;
    plan.filter_count = 1;
    plan_columns(session, &plan, "id");
    return read_text(session, &plan);
}

static void filter_takes_only_equal_rows(void **state)
{
    struct session *session = *state;
    make_people();
    assert_string_equal(filtered(session, "age", CONFIG_INTEGER, "30"), "1 3");
    assert_string_equal(filtered(session, "age", CONFIG_INTEGER, "-1"), "4");
    assert_string_equal(filtered(session, "age", CONFIG_INTEGER, "31"), "");
    assert_string_equal(filtered(session, "name", CONFIG_STRING, "Ola"), "2");
}

static void filter_is_never_sql(void **state)
{
    struct session *session = *state;
    make_people();
    assert_string_equal(filtered(session, "name", CONFIG_STRING, "o'x"), "4");
    assert_string_equal(filtered(session, "name", CONFIG_STRING, "' or '1'='1"), "");
    assert_string_equal(filtered(session, "name", CONFIG_STRING, "\\' or 1=1 -- "), "");
}

static void filters_are_all_needed(void **state)
{
    struct session *session = *state;
    make_people();
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_people"), "age");
    const struct filter filters[] = {
        {.column = 2, .value = {.type = CONFIG_INTEGER, .text = "30"}},
        {.column = 1, .value = {.type = CONFIG_STRING, .text = "Kari"}},
    };
    plan.filters = filters;
    plan.filter_count = 2;
    plan_columns(session, &plan, "id");
    assert_string_equal(read_text(session, &plan), "1");
}

/* parameters */

static const struct config_parameter text_parameter = {.name = "text", .type = PARAMETER_STRING};
static const struct config_parameter integer_parameter = {.name = "number", .type = PARAMETER_INTEGER};

static const char *bound_to(struct session *session, const char *query,
                            const struct config_parameter *parameter, const char *text)
{
    const char *key = "id";
    struct relation *relation = describe(
        session,
        &(struct subject){
            .query = query, .parameters = parameter, .parameter_count = 1, .key = &key, .key_count = 1});
    struct plan plan = plan_by_key(session, relation);
    struct bound bound = {.parameter = parameter, .text = text};
    plan.bounds = &bound;
    plan.bound_count = 1;
    return read_text(session, &plan);
}

static void parameter_is_bound(void **state)
{
    struct session *session = *state;
    make_people();
    assert_string_equal(
        bound_to(session, "select id from contract_people where name = :text", &text_parameter, "Ola"), "2");
    assert_string_equal(
        bound_to(session, "select id from contract_people where age = :number", &integer_parameter, "30"),
        "1 3");
}

static void parameter_may_be_null(void **state)
{
    struct session *session = *state;
    static const char query[] = "select id from contract_people where :number is null or age = :number";
    make_people();
    assert_string_equal(bound_to(session, query, &integer_parameter, NULL), "1 2 3 4");
    assert_string_equal(bound_to(session, query, &integer_parameter, "-1"), "4");
}

static void parameter_comes_back_byte_by_byte(void **state)
{
    struct session *session = *state;
    static const char *const texts[] = {"x' or '1'='1",
                                        "\\' or 1=1 -- ",
                                        "\\",
                                        "\\\\",
                                        "'; drop table contract_people; --",
                                        "%s%n",
                                        ":text",
                                        "?",
                                        "$1",
                                        "\"`\xc3\xb8\xe2\x82\xac\xf0\x9f\x98\x80",
                                        "line\nend",
                                        "x"};
    make_people();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char expected[128];
        snprintf(expected, sizeof expected, "1|%s", texts[i]);
        assert_string_equal(bound_to(session, "select id, :text as echo from contract_people where id = 1",
                                     &text_parameter, texts[i]),
                            expected);
    }
}

static void name_in_a_literal_or_comment_is_no_parameter(void **state)
{
    struct session *session = *state;
    make_people();
    assert_string_equal(bound_to(session,
                                 "select id, ':text' as literal /* :text */ from contract_people -- :text\n"
                                 " where name = :text -- :text",
                                 &text_parameter, "Ola"),
                        "2|:text");
}

/* updated_query */

static void updated_query_is_given_its_since(void **state)
{
    struct session *session = *state;
    static const char query[] = "select * from contract_since where updated >= :since";
    sql_table("since", "id {integer} not null primary key, updated {datetime}");
    sql("insert into contract_since values (1, '2024-05-01 10:00:01'), (2, '2024-05-01 10:00:00'),"
        " (3, '2024-05-01 10:00:01.000001')");
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_since"), "updated");
    struct rows all = read_all(session, &plan);
    plan.query = query;
    plan_columns(session, &plan, "id");
    plan.since = all.row[1] + plan.updated;
    assert_string_equal(read_text(session, &plan), "1 3");
}

/* snapshot */

static void rows_of_others_do_not_appear_while_reading(void **state)
{
    struct session *session = *state;
    const struct driver *driver = contract->driver;
    const struct value *row;
    sql_table("snapshot", "id {integer} not null primary key, updated {integer}");
    sql("insert into contract_snapshot select n, case when n < 500 then null else n end from contract_numbers"
        " where n < 1000");
    struct plan plan = plan_by_updated(session, describe_table(session, "contract_snapshot"), "updated");
    assert_int_equal(driver->read_open(session->conn, &plan, &session->err), 0);
    assert_int_equal(driver->read_next(session->conn, &row, &session->err), 1);
    sql("insert into contract_snapshot values (2000, null), (2001, 700), (2002, 5000)");
    sql("update contract_snapshot set updated = 9000 where id = 999");
    sql("delete from contract_snapshot where id = 998");
    size_t count = 1;
    while (driver->read_next(session->conn, &row, &session->err) == 1) {
        assert_true(row[0].integer < 1000);
        assert_true(row[1].kind == KIND_NULL || row[1].integer < 1000);
        count++;
    }
    assert_int_equal(session->err.code, ERR_NONE);
    assert_int_equal(count, 1000);
    assert_int_equal(driver->read_close(session->conn), 0);
    assert_int_equal(read_all(session, &plan).count, 1002);
}

const struct CMUnitTest contract_read_tests[] = {
    cmocka_unit_test(all_rows_and_columns_are_read),
    cmocka_unit_test(columns_come_in_the_order_asked_for),
    cmocka_unit_test(order_may_stand_on_columns_that_are_not_read),
    cmocka_unit_test(empty_table_ends_at_once),
    cmocka_unit_test(unordered_read_gives_every_row_up_to_the_limit),
    cmocka_unit_test(every_size_of_fetch_gives_the_same_rows),
    cmocka_unit_test(extreme_integers_are_exact),
    cmocka_unit_test(text_keeps_every_byte),
    cmocka_unit_test(long_values_are_whole),
    cmocka_unit_test(null_in_the_key_is_passed_on),
    cmocka_unit_test(xmin_comes_behind_the_columns),
    cmocka_unit_test(filter_takes_only_equal_rows),
    cmocka_unit_test(filter_is_never_sql),
    cmocka_unit_test(filters_are_all_needed),
    cmocka_unit_test(parameter_is_bound),
    cmocka_unit_test(parameter_may_be_null),
    cmocka_unit_test(parameter_comes_back_byte_by_byte),
    cmocka_unit_test(name_in_a_literal_or_comment_is_no_parameter),
    cmocka_unit_test(updated_query_is_given_its_since),
    cmocka_unit_test(rows_of_others_do_not_appear_while_reading),
};
const size_t contract_read_count = sizeof contract_read_tests / sizeof *contract_read_tests;
