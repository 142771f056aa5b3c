/* The contract's tests of connecting and describing. */
#include <stdio.h>
#include <string.h>

#include "db_session.h"

static void make_described(void)
{
    sql_table("described",
              "id {integer} not null primary key, name {text} null, changed {datetime} not null");
}

static void open_connection_is_alive_and_answers(void **state)
{
    struct session *session = *state;
    assert_true(contract->driver->alive(session->conn));
    assert_int_equal(contract->driver->ping(session->conn, &session->err), 0);
    assert_true(strlen(contract->driver->server(session->conn)) > 0);
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    contract->driver->close(NULL);
}

static void wrong_password_fails_without_naming_it(void **state)
{
    struct session *session = *state;
    struct config_system system = *contract->system;
    struct conn *conn = NULL;
    if (!system.port)
        return; /* nothing to log in to */
    system.password = "canary-3c1f";
    expect_error(session, contract->driver->open(&conn, &system, &session->err), ERR_DATABASE);
    assert_null(strstr(session->err.text, "canary"));
    assert_null(strstr(session->err.hint, "canary"));
}

static void closed_port_is_told_as_away(void **state)
{
    struct session *session = *state;
    struct config_system system = *contract->system;
    struct conn *conn = NULL;
    if (!system.port)
        return; /* nothing to connect to */
    system.port = 1;
    expect_error(session, contract->driver->open(&conn, &system, &session->err), ERR_AWAY);
}

static void table_is_described_in_its_own_order(void **state)
{
    struct session *session = *state;
    make_described();
    struct relation *relation = describe_table(session, "contract_described");
    assert_int_equal(relation->column_count, 3);
    assert_string_equal(relation->columns[0].name, "id");
    assert_string_equal(relation->columns[1].name, "name");
    assert_string_equal(relation->columns[2].name, "changed");
    assert_int_equal(relation->columns[0].kind, KIND_INT);
    assert_int_equal(relation->columns[1].kind, KIND_TEXT);
    assert_non_null(strstr(relation->title, "contract_described"));
    assert_true(strlen(relation->columns[0].type) > 0);
}

static void nullable_columns_are_told(void **state)
{
    struct session *session = *state;
    make_described();
    struct relation *relation = describe_table(session, "contract_described");
    assert_false(relation->columns[0].nullable);
    assert_true(relation->columns[1].nullable);
    assert_false(relation->columns[2].nullable);
}

static void primary_key_comes_from_the_catalogue(void **state)
{
    struct session *session = *state;
    make_described();
    struct relation *relation = describe_table(session, "contract_described");
    assert_int_equal(relation->key_count, 1);
    assert_int_equal(relation->key[0], 0);
    assert_true(relation->key_unique);
}

static void compound_key_has_the_order_of_the_key(void **state)
{
    struct session *session = *state;
    sql_table("compound", "a {integer} not null, b {key_text} not null, c {integer}, primary key (b, a)");
    struct relation *relation = describe_table(session, "contract_compound");
    assert_int_equal(relation->key_count, 2);
    assert_int_equal(relation->key[0], 1);
    assert_int_equal(relation->key[1], 0);
    assert_true(relation->key_unique);
}

static void table_without_key_has_none(void **state)
{
    struct session *session = *state;
    sql_table("keyless", "id {integer}, name {text}");
    struct relation *relation = describe_table(session, "contract_keyless");
    assert_int_equal(relation->key_count, 0);
    assert_false(relation->key_unique);
}

static void configured_key_wins_over_the_catalogue(void **state)
{
    struct session *session = *state;
    const char *const key[] = {"b", "a"};
    sql_table("configured",
              "id {integer} not null primary key, a {key_text} not null, b {key_text} not null");
    struct subject subject = {.table = "contract_configured", .key = key, .key_count = 2};
    struct relation *relation = describe(session, &subject);
    assert_int_equal(relation->key_count, 2);
    assert_int_equal(relation->key[0], 2);
    assert_int_equal(relation->key[1], 1);
    assert_false(relation->key_unique);
    sql("create unique index contract_configured_a_b on contract_configured (a, b)");
    assert_true(describe(session, &subject)->key_unique);
}

static void index_over_more_than_the_key_proves_nothing(void **state)
{
    struct session *session = *state;
    const char *key = "a";
    sql_table("wider", "a {key_text} not null, b {key_text} not null");
    sql("create unique index contract_wider_a_b on contract_wider (a, b)");
    sql("create index contract_wider_a on contract_wider (a)");
    struct subject subject = {.table = "contract_wider", .key = &key, .key_count = 1};
    assert_false(describe(session, &subject)->key_unique);
}

static const struct listed *find_listed(const struct listed *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    return NULL;
}

static void tables_and_views_are_listed_as_what_they_are(void **state)
{
    struct session *session = *state;
    struct listed *list = NULL;
    size_t count = 0;
    make_described();
    sql("drop view if exists contract_view");
    sql("create view contract_view as select name, id from contract_described");
    assert_int_equal(contract->driver->list(session->conn, NULL, session->arena, &list, &count, &session->err), 0);
    const struct listed *table = find_listed(list, count, "contract_described"), *view = find_listed(list, count, "contract_view");
    assert_non_null(table);
    assert_non_null(view);
    assert_int_equal(table->kind, LISTED_TABLE);
    assert_int_equal(view->kind, LISTED_VIEW);
    for (size_t i = 1; i < count; i++)
        if (!list[i].schema || strcmp(list[i - 1].schema, list[i].schema) == 0)
            assert_true(strcmp(list[i - 1].name, list[i].name) < 0);
    struct subject subject = {.schema = table->schema, .table = table->name};
    assert_int_equal(describe(session, &subject)->column_count, 3);
    assert_int_equal(contract->driver->list(session->conn, "contract_nowhere", session->arena, &list, &count, &session->err), 0);
    assert_int_equal(count, 0);
    sql("drop view contract_view");
}

static void what_may_be_read_needs_no_mending(void **state)
{
    struct session *session = *state;
    struct buf mend = {0};
    if (!contract->driver->reading)
        return; /* rights are those of files */
    make_described();
    assert_int_equal(contract->driver->reading(session->conn, NULL, "contract_described", &mend, &session->err), 0);
    assert_int_equal(contract->driver->reading(session->conn, NULL, "contract_nowhere", &mend, &session->err), 0);
    assert_int_equal(mend.len, 0);
    buf_free(&mend);
}

static void view_is_described_without_key(void **state)
{
    struct session *session = *state;
    const char *key = "id";
    sql("drop view if exists contract_view");
    make_described();
    sql("create view contract_view as select name, id from contract_described");
    struct relation *relation = describe_table(session, "contract_view");
    assert_int_equal(relation->column_count, 2);
    assert_string_equal(relation->columns[1].name, "id");
    assert_int_equal(relation->key_count, 0);
    relation = describe(session, &(struct subject){.table = "contract_view", .key = &key, .key_count = 1});
    assert_int_equal(relation->key[0], 1);
    assert_false(relation->key_unique);
    sql("drop view contract_view");
}

static void query_is_described(void **state)
{
    struct session *session = *state;
    make_described();
    struct relation *relation =
        describe_query(session, "select name as title, id from contract_described", "id");
    assert_int_equal(relation->column_count, 2);
    assert_string_equal(relation->columns[0].name, "title");
    assert_int_equal(relation->columns[0].kind, KIND_TEXT);
    assert_int_equal(relation->columns[1].kind, KIND_INT);
    assert_int_equal(relation->key_count, 1);
    assert_int_equal(relation->key[0], 1);
}

static void query_ending_in_a_comment_is_described(void **state)
{
    struct session *session = *state;
    make_described();
    assert_int_equal(
        describe_query(session, "select id from contract_described -- all of them", "id")->column_count, 1);
}

static void broken_query_is_told(void **state)
{
    struct session *session = *state;
    struct relation *relation = NULL;
    struct subject subject = {.query = "selekt 1 as id", .key = (const char *const[]){"id"}, .key_count = 1};
    expect_error(
        session,
        contract->driver->describe(session->conn, &subject, session->arena, &relation, &session->err),
        ERR_DATABASE);
}

static void query_on_a_missing_table_is_told_as_changed(void **state)
{
    struct session *session = *state;
    struct relation *relation = NULL;
    struct subject subject = {
        .query = "select id from contract_not_there", .key = (const char *const[]){"id"}, .key_count = 1};
    expect_error(
        session,
        contract->driver->describe(session->conn, &subject, session->arena, &relation, &session->err),
        ERR_CHANGED);
}

static void connection_is_good_after_a_failed_description(void **state)
{
    struct session *session = *state;
    query_on_a_missing_table_is_told_as_changed(state);
    err_clear(&session->err);
    make_described();
    assert_int_equal(describe_table(session, "contract_described")->column_count, 3);
}

static void missing_table_is_told_with_the_nearest_name(void **state)
{
    struct session *session = *state;
    struct relation *relation = NULL;
    make_described();
    expect_error(session,
                 contract->driver->describe(session->conn, &(struct subject){.table = "contract_descrbed"},
                                            session->arena, &relation, &session->err),
                 ERR_CHANGED);
    assert_non_null(strstr(session->err.text, "contract_descrbed"));
    assert_non_null(strstr(session->err.hint, "contract_described"));
}

static void missing_key_column_is_told_with_the_nearest_name(void **state)
{
    struct session *session = *state;
    struct relation *relation = NULL;
    struct subject subject = {
        .table = "contract_described", .key = (const char *const[]){"chagned"}, .key_count = 1};
    make_described();
    expect_error(
        session,
        contract->driver->describe(session->conn, &subject, session->arena, &relation, &session->err),
        ERR_CHANGED);
    assert_non_null(strstr(session->err.text, "chagned"));
    assert_non_null(strstr(session->err.hint, "changed"));
}

static void missing_schema_is_told(void **state)
{
    struct session *session = *state;
    struct relation *relation = NULL;
    struct subject subject = {.schema = "contract_no_schema", .table = "contract_described"};
    make_described();
    expect_error(
        session,
        contract->driver->describe(session->conn, &subject, session->arena, &relation, &session->err),
        ERR_CHANGED);
}

static void index_on_updated_and_key_is_seen(void **state)
{
    struct session *session = *state;
    struct subject subject = {.table = "contract_described", .updated = "changed"};
    make_described();
    assert_false(describe(session, &subject)->updated_indexed);
    sql("create index contract_described_id_changed on contract_described (id, changed)");
    assert_false(describe(session, &subject)->updated_indexed);
    sql("create index contract_described_changed_id on contract_described (changed, id)");
    assert_true(describe(session, &subject)->updated_indexed);
}

static void odd_names_are_quoted(void **state)
{
    struct session *session = *state;
    static const char table[] = "contract odd\"`'; select";
    static const char *const names[] = {"select", "a\"b`c'd", "bl\xc3\xa5 b\xc3\xa6r", "%s :name", "Upper"};
    sql("drop table if exists %s", quoted(session, table));
    sql("create table %s (%s %s not null primary key, %s %s, %s %s, %s %s, %s %s)", quoted(session, table),
        quoted(session, names[0]), contract->dialect.integer, quoted(session, names[1]),
        contract->dialect.integer, quoted(session, names[2]), contract->dialect.integer,
        quoted(session, names[3]), contract->dialect.integer, quoted(session, names[4]),
        contract->dialect.integer);
    sql("insert into %s values (1, 2, 3, 4, 5)", quoted(session, table));
    struct relation *relation = describe_table(session, table);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(relation->columns[i].name, names[i]);
    struct plan plan = plan_by_updated(session, relation, names[1]);
    assert_string_equal(read_text(session, &plan), "1|2|3|4|5");
    sql("drop table %s", quoted(session, table));
}

static void column_added_later_is_in_the_next_description(void **state)
{
    struct session *session = *state;
    make_described();
    assert_int_equal(describe_table(session, "contract_described")->column_count, 3);
    sql("alter table contract_described add column more %s", contract->dialect.integer);
    assert_int_equal(describe_table(session, "contract_described")->column_count, 4);
}

const struct CMUnitTest contract_describe_tests[] = {
    cmocka_unit_test(open_connection_is_alive_and_answers),
    cmocka_unit_test(closing_nothing_is_fine),
    cmocka_unit_test(wrong_password_fails_without_naming_it),
    cmocka_unit_test(closed_port_is_told_as_away),
    cmocka_unit_test(table_is_described_in_its_own_order),
    cmocka_unit_test(nullable_columns_are_told),
    cmocka_unit_test(primary_key_comes_from_the_catalogue),
    cmocka_unit_test(compound_key_has_the_order_of_the_key),
    cmocka_unit_test(table_without_key_has_none),
    cmocka_unit_test(configured_key_wins_over_the_catalogue),
    cmocka_unit_test(index_over_more_than_the_key_proves_nothing),
    cmocka_unit_test(tables_and_views_are_listed_as_what_they_are),
    cmocka_unit_test(what_may_be_read_needs_no_mending),
    cmocka_unit_test(view_is_described_without_key),
    cmocka_unit_test(query_is_described),
    cmocka_unit_test(query_ending_in_a_comment_is_described),
    cmocka_unit_test(broken_query_is_told),
    cmocka_unit_test(query_on_a_missing_table_is_told_as_changed),
    cmocka_unit_test(connection_is_good_after_a_failed_description),
    cmocka_unit_test(missing_table_is_told_with_the_nearest_name),
    cmocka_unit_test(missing_key_column_is_told_with_the_nearest_name),
    cmocka_unit_test(missing_schema_is_told),
    cmocka_unit_test(index_on_updated_and_key_is_seen),
    cmocka_unit_test(odd_names_are_quoted),
    cmocka_unit_test(column_added_later_is_in_the_next_description),
};
const size_t contract_describe_count = sizeof contract_describe_tests / sizeof *contract_describe_tests;
