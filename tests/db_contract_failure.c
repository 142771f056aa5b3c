/* The contract's tests of reads that end early: closed, broken, called off, refused. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db_session.h"

static void make_rows(void)
{
    sql_table("rows", "id {integer} not null primary key, name {text}");
    sql("insert into contract_rows select n, 'some text that makes the row longer than a number would'"
        " from contract_numbers where n < 5000");
}

/* Reads to the end, whatever that is: 0 or -1. */
static int read_on(struct session *session, size_t *count)
{
    const struct value *row;
    int more;
    while ((more = contract->driver->read_next(session->conn, &row, &session->err)) == 1)
        ++*count;
    return more;
}

static void expect_all_rows(struct session *session)
{
    struct plan plan = plan_by_key(session, describe_table(session, "contract_rows"));
    assert_int_equal(read_all(session, &plan).count, 5000);
}

/* Closes the read and, if the driver says so, the connection; what comes after must find it good. */
static void close_and_read_again(struct session *session)
{
    err_clear(&session->err);
    if (contract->driver->read_close(session->conn))
        session_reopen(session);
    expect_all_rows(session);
}

static void connection_is_used_again_and_again(void **state)
{
    struct session *session = *state;
    make_rows();
    for (int i = 0; i < 5; i++)
        expect_all_rows(session);
    assert_true(contract->driver->alive(session->conn));
    assert_int_equal(contract->driver->ping(session->conn, &session->err), 0);
}

static void read_can_be_closed_midway(void **state)
{
    struct session *session = *state;
    const struct value *row;
    make_rows();
    for (int taken = 0; taken < 3; taken++) {
        struct plan plan = plan_by_key(session, describe_table(session, "contract_rows"));
        assert_int_equal(contract->driver->read_open(session->conn, &plan, &session->err), 0);
        for (int i = 0; i < taken; i++)
            assert_int_equal(contract->driver->read_next(session->conn, &row, &session->err), 1);
        close_and_read_again(session);
    }
}

static void connection_can_be_closed_midway(void **state)
{
    struct session *session = *state;
    const struct value *row;
    make_rows();
    struct plan plan = plan_by_key(session, describe_table(session, "contract_rows"));
    assert_int_equal(contract->driver->read_open(session->conn, &plan, &session->err), 0);
    assert_int_equal(contract->driver->read_next(session->conn, &row, &session->err), 1);
    session_reopen(session);
    expect_all_rows(session);
}

static void broken_statement_fails_when_opened(void **state)
{
    struct session *session = *state;
    make_rows();
    struct plan plan = plan_by_key(session, describe_table(session, "contract_rows"));
    plan.query = "select id, name from contract_not_there";
    expect_error(session, contract->driver->read_open(session->conn, &plan, &session->err), ERR_CHANGED);
    close_and_read_again(session);
}

static void table_that_went_is_told_as_changed(void **state)
{
    struct session *session = *state;
    make_rows();
    sql_table("gone", "id {integer} not null primary key, name {text}");
    struct plan plan = plan_by_key(session, describe_table(session, "contract_gone"));
    assert_int_equal(read_all(session, &plan).count, 0);
    sql("drop table contract_gone");
    expect_error(session, contract->driver->read_open(session->conn, &plan, &session->err), ERR_CHANGED);
    close_and_read_again(session);
}

static void column_that_went_is_told_as_changed(void **state)
{
    struct session *session = *state;
    make_rows();
    sql_table("gone", "id {integer} not null primary key, name {text}");
    struct plan plan = plan_by_key(session, describe_table(session, "contract_gone"));
    sql("alter table contract_gone drop column name");
    expect_error(session, contract->driver->read_open(session->conn, &plan, &session->err), ERR_CHANGED);
    close_and_read_again(session);
}

static void column_that_came_disturbs_nothing(void **state)
{
    struct session *session = *state;
    make_rows();
    struct plan plan = plan_by_key(session, describe_table(session, "contract_rows"));
    sql("alter table contract_rows add column more %s", contract->dialect.integer);
    assert_int_equal(read_all(session, &plan).count, 5000);
}

/* A server may tell what it is about a value. */
static void expect_fault(const struct session *session)
{
    assert_true(session->err.code == ERR_DATABASE || session->err.code == ERR_VALUE);
}

/* An error while rows come must never look like their end. */
static void expect_failing(struct session *session, int rows)
{
    char query[512];
    size_t count = 0;
    make_rows();
    snprintf(query, sizeof query,
             "select r.id, %s as x from (select n as id from contract_numbers where n >= 4000 and n <= %d) r",
             contract->dialect.failing, rows);
    struct plan plan = plan_all(session, describe_query(session, query, "id"), NULL);
    if (contract->driver->read_open(session->conn, &plan, &session->err) == 0)
        assert_int_equal(read_on(session, &count), -1);
    assert_true(count <= (size_t)rows - 4000);
    expect_fault(session);
    close_and_read_again(session);
}

static void error_at_the_last_row_is_no_end(void **state)
{
    expect_failing(*state, 5000);
}

static void error_in_the_middle_is_no_end(void **state)
{
    expect_failing(*state, 60000);
}

static void error_in_an_ordered_read_is_no_end(void **state)
{
    struct session *session = *state;
    char query[512];
    size_t count = 0;
    snprintf(query, sizeof query,
             "select r.id, %s as x from (select n as id from contract_numbers where n <= 5000) r",
             contract->dialect.failing);
    struct plan plan = plan_by_updated(session, describe_query(session, query, "id"), "id");
    if (contract->driver->read_open(session->conn, &plan, &session->err) == 0)
        assert_int_equal(read_on(session, &count), -1);
    expect_fault(session);
    contract->driver->read_close(session->conn);
}

/* calling off */

static void *cancel_now(void *arg)
{
    contract->driver->cancel(arg);
    return NULL;
}

static void *cancel_soon(void *arg)
{
    /* Long enough that the other thread most likely waits for the database by then; and if it does not
     * yet, its next call must fail as well. */
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    return cancel_now(arg);
}

static void cancelled_read_fails_before_its_end(void **state)
{
    struct session *session = *state;
    const struct value *row;
    pthread_t thread;
    size_t count = 0;
    make_rows();
    /* Too much for the buffers on the way. */
    struct relation *relation = describe_query(
        session,
        "select a.id * 5000 + b.id as id, a.name as one, b.name as two from contract_rows a, contract_rows b",
        "id");
    struct plan plan = plan_all(session, relation, NULL);
    plan.limit = 5000000;
    assert_int_equal(contract->driver->read_open(session->conn, &plan, &session->err), 0);
    assert_int_equal(contract->driver->read_next(session->conn, &row, &session->err), 1);
    assert_int_equal(pthread_create(&thread, NULL, cancel_now, session->conn), 0);
    pthread_join(thread, NULL);
    assert_int_equal(read_on(session, &count), -1);
    assert_true(count < 4000000);
    contract->driver->read_close(session->conn);
    session_reopen(session);
    expect_all_rows(session);
}

static void cancelled_wait_fails_without_a_row(void **state)
{
    struct session *session = *state;
    pthread_t thread;
    size_t count = 0;
    struct plan plan = plan_all(session, describe_query(session, contract->dialect.slow, "id"), NULL);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, session->conn), 0);
    int result = contract->driver->read_open(session->conn, &plan, &session->err);
    if (result == 0)
        result = read_on(session, &count);
    pthread_join(thread, NULL);
    assert_int_equal(result, -1);
    assert_int_equal(count, 0);
    contract->driver->read_close(session->conn);
    session_reopen(session);
    assert_int_equal(contract->driver->ping(session->conn, &session->err), 0);
}

/* read only */

static void expect_nothing_written(struct session *session)
{
    struct plan plan = plan_all(session, describe_table(session, "contract_written"), NULL);
    assert_int_equal(read_all(session, &plan).count, 0);
}

static void function_that_writes_is_refused(void **state)
{
    struct session *session = *state;
    size_t count = 0;
    if (!contract->dialect.writing)
        return;
    struct plan plan = plan_all(session, describe_query(session, contract->dialect.writing, "id"), NULL);
    int result = contract->driver->read_open(session->conn, &plan, &session->err);
    if (result == 0)
        result = read_on(session, &count);
    expect_error(session, result, ERR_DATABASE);
    assert_int_equal(count, 0);
    if (contract->driver->read_close(session->conn))
        session_reopen(session);
    err_clear(&session->err);
    expect_nothing_written(session);
}

static void statement_that_writes_is_refused(void **state)
{
    struct session *session = *state;
    static const char *const statements[] = {
        "delete from contract_rows",
        "select id from contract_rows) x; delete from contract_rows; select 1 from (select 1 as id",
        "select id from contract_rows; delete from contract_rows",
    };
    make_rows();
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        struct relation *relation = NULL;
        struct subject subject = {.query = statements[i], .key = (const char *const[]){"id"}, .key_count = 1};
        err_clear(&session->err);
        int result =
            contract->driver->describe(session->conn, &subject, session->arena, &relation, &session->err);
        if (result == 0) {
            struct plan plan = plan_all(session, relation, NULL);
            result = contract->driver->read_open(session->conn, &plan, &session->err);
            contract->driver->read_close(session->conn);
        }
        assert_int_equal(result, -1);
        session_reopen(session);
        expect_all_rows(session);
    }
}

const struct CMUnitTest contract_failure_tests[] = {
    cmocka_unit_test(connection_is_used_again_and_again),
    cmocka_unit_test(read_can_be_closed_midway),
    cmocka_unit_test(connection_can_be_closed_midway),
    cmocka_unit_test(broken_statement_fails_when_opened),
    cmocka_unit_test(table_that_went_is_told_as_changed),
    cmocka_unit_test(column_that_went_is_told_as_changed),
    cmocka_unit_test(column_that_came_disturbs_nothing),
    cmocka_unit_test(error_at_the_last_row_is_no_end),
    cmocka_unit_test(error_in_the_middle_is_no_end),
    cmocka_unit_test(error_in_an_ordered_read_is_no_end),
    cmocka_unit_test(cancelled_read_fails_before_its_end),
    cmocka_unit_test(cancelled_wait_fails_without_a_row),
    cmocka_unit_test(function_that_writes_is_refused),
    cmocka_unit_test(statement_that_writes_is_refused),
};
const size_t contract_failure_count = sizeof contract_failure_tests / sizeof *contract_failure_tests;
