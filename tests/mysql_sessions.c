/* Sessions of MySQL and MariaDB: what the server's configuration must not change, what is refused, how
 * statements end. */
#include "mysql_world.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static int open_again(void)
{
    driver_mysql.close(world.conn);
    world.conn = NULL;
    return driver_mysql.open(&world.conn, world.system, &world.err);
}

static void settings_of_the_server_change_nothing(void **state)
{
    (void)state;
    world_run("drop table if exists sessions_rows");
    world_run("create table sessions_rows (id int primary key, c char(5), t timestamp null)");
    world_run("insert into sessions_rows values (1, 'a', '2024-07-01 12:00:00'), (2, 'b', null)");
    char mode[256], zone[64];
    snprintf(mode, sizeof mode, "%s", native_ask(world.native, "select @@global.sql_mode"));
    snprintf(zone, sizeof zone, "%s", native_ask(world.native, "select @@global.time_zone"));
    world_run("set global sql_mode = 'ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES,NO_ZERO_DATE',"
              " global time_zone = '+05:00', global autocommit = 0, global sql_select_limit = 1");
    int failed = open_again();
    world_run("set global sql_mode = '%s', global time_zone = '%s', global autocommit = 1,"
              " global sql_select_limit = default", mode, zone);
    assert_int_equal(failed, 0);
    const char *query = "select id, c, t, \"it's\" as q, 'a\\'b' as r from sessions_rows";
    struct plan plan = world_plan(world_describe(&(struct subject){.query = query}), ORDER_NONE, NULL);
    const char *first = world_read(&plan);
    assert_string_equal(first, "int:1 text:a datetime:2024-07-01T12:00:00.000000 text:it's text:a'b\n"
                               "int:2 text:b null text:it's text:a'b");
    world_run("delete from sessions_rows");
    assert_string_equal(world_read(&plan), ""); /* no snapshot was left open */
}

static void session_only_reads_until_a_transaction_asks_for_more(void **state)
{
    (void)state;
    world_run("drop table if exists sessions_rows");
    world_run("create table sessions_rows (id int primary key)");
    assert_int_not_equal(mysql_query(world.conn->mysql, "insert into sessions_rows values (1)"), 0);
    assert_int_equal(mysql_errno(world.conn->mysql), 1792);
    assert_int_equal(mysql_query(world.conn->mysql, "start transaction read write"), 0);
    assert_int_equal(mysql_query(world.conn->mysql, "insert into sessions_rows values (1)"), 0);
    assert_int_equal(mysql_query(world.conn->mysql, "commit"), 0);
    assert_int_not_equal(mysql_query(world.conn->mysql, "delete from sessions_rows"), 0);
}

static void function_that_writes_is_refused_with_a_hint(void **state)
{
    (void)state;
    struct relation *relation;
    world_run("drop table if exists sessions_rows");
    world_run("create table sessions_rows (id int primary key)");
    world_run("drop function if exists sessions_write");
    world_run("create function sessions_write() returns int modifies sql data"
              " begin insert into sessions_rows values (1); return 1; end");
    struct subject subject = {.query = "select sessions_write() as id"};
    world_expect(driver_mysql.describe(world.conn, &subject, world.arena, &relation, &world.err), ERR_DATABASE,
                 "source only reads");
    world_run("drop function sessions_write");
    assert_string_equal(native_ask(world.native, "select count(*) from sessions_rows"), "0");
}

static void local_files_and_second_statements_are_refused(void **state)
{
    (void)state;
    MYSQL *mysql = world.conn->mysql;
    world_run("drop table if exists sessions_rows");
    world_run("create table sessions_rows (line text)");
    assert_int_equal(mysql_query(mysql, "start transaction read write"), 0);
    assert_int_not_equal(mysql_query(mysql, "load data local infile '/etc/hostname' into table sessions_rows"), 0);
    mysql_query(mysql, "rollback");
    assert_int_not_equal(mysql_query(mysql, "select 1; select 2"), 0);
    assert_string_equal(native_ask(world.native, "select count(*) from sessions_rows"), "0");
}

static void killed_connection_is_not_alive_and_lost(void **state)
{
    (void)state;
    assert_true(driver_mysql.alive(world.conn));
    world_run("kill %lu", world.conn->id);
    for (int i = 0; i < 1000 && driver_mysql.alive(world.conn); i++)
        poll(NULL, 0, 10);
    assert_false(driver_mysql.alive(world.conn));
    world_expect(driver_mysql.ping(world.conn, &world.err), ERR_LOST, "ping");
}

static void stream_that_breaks_off_is_lost_and_its_connection_too(void **state)
{
    (void)state;
    const char *query = "select a.n as id from contract_numbers a, contract_numbers b";
    struct plan plan = world_plan(world_describe(&(struct subject){.query = query}), ORDER_NONE, NULL);
    const struct value *row;
    int more;
    assert_int_equal(driver_mysql.read_open(world.conn, &plan, &world.err), 0);
    assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 1);
    world_run("kill %lu", world.conn->id);
    while ((more = driver_mysql.read_next(world.conn, &row, &world.err)) == 1)
        ;
    world_expect(more, ERR_LOST, "read");
    assert_int_equal(driver_mysql.read_close(world.conn), -1);
}

static const char *threads_of(unsigned long id)
{
    return native_ask(world.native, "select count(*) from information_schema.processlist where id = %lu", id);
}

static void expect_gone(unsigned long id)
{
    for (int i = 0; i < 2000 && strcmp(threads_of(id), "0") != 0; i++)
        poll(NULL, 0, 10);
    assert_string_equal(threads_of(id), "0");
}

/* The native connection is this thread's alone meanwhile. */
static void *cancel_soon(void *conn)
{
    struct conn *target = conn;
    for (int i = 0; i < 2000; i++) {
        poll(NULL, 0, 10);
        if (strcmp(native_ask(world.native, "select count(*) from information_schema.processlist where id = %lu"
                                            " and command = 'Execute'", target->id), "1") == 0)
            break;
    }
    driver_mysql.cancel(target);
    return NULL;
}

/* Such a statement looks at no socket, so the server would go on for hours. */
static void cancelled_statement_ends_on_the_server(void **state)
{
    (void)state;
    pthread_t thread;
    unsigned long id = world.conn->id;
    const struct value *row;
    const char *query = "select count(*) as id from contract_numbers a, contract_numbers b, contract_numbers c";
    struct relation *relation = world_describe(&(struct subject){.query = query});
    struct plan plan = world_plan(relation, ORDER_NONE, NULL);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, world.conn), 0);
    int result = driver_mysql.read_open(world.conn, &plan, &world.err);
    if (!result)
        result = driver_mysql.read_next(world.conn, &row, &world.err);
    pthread_join(thread, NULL);
    world_expect(result, ERR_CANCELLED, "called off");
    assert_int_equal(driver_mysql.read_close(world.conn), -1);
    driver_mysql.close(world.conn);
    world.conn = NULL;
    expect_gone(id);
}

static void abandoned_statement_ends_on_the_server(void **state)
{
    (void)state;
    unsigned long id = world.conn->id;
    const struct value *row;
    const char *query = "select a.n as id from contract_numbers a, contract_numbers b";
    struct plan plan = world_plan(world_describe(&(struct subject){.query = query}), ORDER_NONE, NULL);
    assert_int_equal(driver_mysql.read_open(world.conn, &plan, &world.err), 0);
    assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 1);
    assert_int_equal(driver_mysql.read_close(world.conn), -1);
    driver_mysql.close(world.conn);
    world.conn = NULL;
    expect_gone(id);
}

static void queries_may_end_like_statements(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "select 1 as id;", "select 1 as id ; -- done", "select 1 as id -- ;", "select 1 as id;\n# done\n;\n",
        "select 1 as id /* ; */ ; /* end */", "select 1 as id where ';' = ';';", "select 1 as id where ':x' = ':x'",
        "select 1 as id where '\\'' <> ';--'",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        struct plan plan = world_plan(world_describe(&(struct subject){.query = queries[i]}), ORDER_NONE, NULL);
        assert_string_equal(world_read(&plan), "int:1");
        plan.query = queries[i];
        assert_string_equal(world_read(&plan), "int:1");
    }
}

static void parameters_have_the_types_they_are_declared_with(void **state)
{
    (void)state;
    static const struct config_parameter parameters[] = {
        {.name = "s", .type = PARAMETER_STRING}, {.name = "i", .type = PARAMETER_INTEGER},
        {.name = "d", .type = PARAMETER_DECIMAL}, {.name = "b", .type = PARAMETER_BOOLEAN},
        {.name = "t", .type = PARAMETER_DATETIME}, {.name = "y", .type = PARAMETER_DATE},
        {.name = "n", .type = PARAMETER_INTEGER}};
    static const char *const texts[] = {"it's \xf0\x9f\x98\x80", "9007199254740993", "0.10000000000000000001",
                                        "true", "2024-01-02T03:04:05.000006+01:00", "2024-02-29", "1"};
    struct bound bounds[7];
    for (size_t i = 0; i < 7; i++)
        bounds[i] = (struct bound){&parameters[i], texts[i]};
    struct subject subject = {
        .query = "select concat(:s, '!') as s, :i as i, :i = 9007199254740992 as same, :d = 0.1 as tenth, :b as b,"
                 " :t as t, :y as y from contract_numbers limit :n",
        .parameters = parameters, .parameter_count = 7};
    struct plan plan = world_plan(world_describe(&subject), ORDER_NONE, NULL);
    plan.bounds = bounds;
    plan.bound_count = 7;
    const char *text = world_read(&plan);
    assert_non_null(strstr(text, "text:it's \xf0\x9f\x98\x80! "));
    assert_non_null(strstr(text, ":9007199254740993 int:0 int:0 "));
    assert_non_null(strstr(text, "2024-01-02"));
    bounds[1].text = "1 or 1=1";
    world_expect(driver_mysql.read_open(world.conn, &plan, &world.err), ERR_INPUT, "'i'");
    assert_int_equal(driver_mysql.read_close(world.conn), 0);
}

static void bare_question_mark_is_explained(void **state)
{
    (void)state;
    struct relation *relation = world_describe(&(struct subject){.query = "select 1 as id where 1 = ?"});
    struct plan plan = world_plan(relation, ORDER_NONE, NULL);
    world_expect(driver_mysql.read_open(world.conn, &plan, &world.err), ERR_DATABASE, ":name");
    assert_int_equal(driver_mysql.read_close(world.conn), 0);
}

static void changed_type_is_told_as_changed(void **state)
{
    (void)state;
    world_run("drop table if exists sessions_rows");
    world_run("create table sessions_rows (id int primary key, v int)");
    struct plan plan = world_plan(world_table("sessions_rows", NULL), ORDER_NONE, NULL);
    world_run("alter table sessions_rows modify v varchar(20)");
    world_expect(driver_mysql.read_open(world.conn, &plan, &world.err), ERR_CHANGED, "'v'");
    driver_mysql.read_close(world.conn);
}

static void value_of_a_row_is_not_in_the_error(void **state)
{
    (void)state;
    world_run("drop table if exists sessions_rows");
    world_run("create table sessions_rows (id int primary key, v bigint unsigned)");
    world_run("insert into sessions_rows values (1, 4711)");
    struct subject subject = {.query = "select id, v - 4712 as w from sessions_rows"};
    struct plan plan = world_plan(world_describe(&subject), ORDER_NONE, NULL);
    const struct value *row;
    int result = driver_mysql.read_open(world.conn, &plan, &world.err);
    if (!result)
        result = driver_mysql.read_next(world.conn, &row, &world.err);
    assert_null(strstr(world.err.text, "471"));
    world_expect(result, ERR_VALUE, "1690");
    driver_mysql.read_close(world.conn);
}

static void unknown_mode_of_encryption_names_the_key(void **state)
{
    (void)state;
    struct config_system system = *world.system;
    struct conn *conn = NULL;
    system.sslmode = "sometimes";
    world_expect(driver_mysql.open(&conn, &system, &world.err), ERR_DATABASE, "systems.test.sslmode");
    system.sslmode = "verify-full";
    system.sslrootcert = "/nowhere/ca.pem";
    world_expect(driver_mysql.open(&conn, &system, &world.err), ERR_DATABASE, "systems.test.sslrootcert");
    assert_null(conn);
}

int mysql_sessions_run(const struct config_system *system, MYSQL *native)
{
    world = (struct world){.system = system, .native = native};
    const struct CMUnitTest mysql_sessions[] = {
        cmocka_unit_test_setup_teardown(settings_of_the_server_change_nothing, world_open, world_close),
        cmocka_unit_test_setup_teardown(session_only_reads_until_a_transaction_asks_for_more, world_open, world_close),
        cmocka_unit_test_setup_teardown(function_that_writes_is_refused_with_a_hint, world_open, world_close),
        cmocka_unit_test_setup_teardown(local_files_and_second_statements_are_refused, world_open, world_close),
        cmocka_unit_test_setup_teardown(killed_connection_is_not_alive_and_lost, world_open, world_close),
        cmocka_unit_test_setup_teardown(stream_that_breaks_off_is_lost_and_its_connection_too, world_open, world_close),
        cmocka_unit_test_setup_teardown(cancelled_statement_ends_on_the_server, world_open, world_close),
        cmocka_unit_test_setup_teardown(abandoned_statement_ends_on_the_server, world_open, world_close),
        cmocka_unit_test_setup_teardown(queries_may_end_like_statements, world_open, world_close),
        cmocka_unit_test_setup_teardown(parameters_have_the_types_they_are_declared_with, world_open, world_close),
        cmocka_unit_test_setup_teardown(bare_question_mark_is_explained, world_open, world_close),
        cmocka_unit_test_setup_teardown(changed_type_is_told_as_changed, world_open, world_close),
        cmocka_unit_test_setup_teardown(value_of_a_row_is_not_in_the_error, world_open, world_close),
        cmocka_unit_test_setup_teardown(unknown_mode_of_encryption_names_the_key, world_open, world_close),
    };
    return cmocka_run_group_tests(mysql_sessions, NULL, NULL);
}
