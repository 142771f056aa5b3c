/* What samples of MySQL's sessions and transactions tell, without a server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "db/mysql.h"

static struct mydb_watch watch;
static struct mydb_sample sample;

static int begin(void **state)
{
    (void)state;
    watch = (struct mydb_watch){0};
    sample = (struct mydb_sample){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    mydb_watch_free(&watch);
    mydb_sample_free(&sample);
    return 0;
}

/* A look: the clock, then what runs, then what is open. */
static void clock_is(int64_t time)
{
    mydb_sample_reset(&sample);
    sample.time = time;
}

static void runs(uint64_t thread, int64_t since)
{
    assert_int_equal(mydb_sample_session(&sample, (struct mydb_session){.thread = thread, .since = since}), 0);
}

static void has_open(uint64_t thread, uint64_t id, int64_t started)
{
    assert_int_equal(mydb_sample_trx(&sample, (struct mydb_trx){.thread = thread, .id = id, .started = started}), 0);
}

static void reads(uint64_t thread)
{
    assert_int_equal(mydb_sample_trx(&sample, (struct mydb_trx){.thread = thread, .started = 1, .reads = true}), 0);
}

static void quiet_until(int64_t time)
{
    for (int64_t now = time - 300; now <= time; now += 100) {
        clock_is(now);
        mydb_watch_add(&watch, &sample);
    }
}

static void expect(int64_t horizon)
{
    mydb_watch_add(&watch, &sample);
    assert_true(watch.known);
    assert_int_equal(watch.horizon, horizon);
}

static void expect_unknown(void)
{
    mydb_watch_add(&watch, &sample);
    assert_false(watch.known);
}

/* A picture is only known to be newer than the look before. */
static void quiet_server_is_known_up_to_the_look_before(void **state)
{
    (void)state;
    clock_is(100);
    expect_unknown();
    clock_is(200);
    expect(100);
    clock_is(300);
    expect(200);
    assert_int_equal(watch.hold, MYDB_HOLD_NONE);
}

static void statement_holds_from_its_beginning(void **state)
{
    (void)state;
    quiet_until(1000);
    clock_is(1100);
    runs(7, 950);
    expect(1000);
    clock_is(1200);
    expect(1000); /* 950 is lower than what was told */
    clock_is(1300);
    expect(1200);
}

static void transaction_seen_first_now_keeps_the_bound_it_got(void **state)
{
    (void)state;
    quiet_until(1000);
    clock_is(1100);
    has_open(7, 1, 1);
    expect(900);
    assert_int_equal(watch.lowest, 900);
    for (int64_t now = 1200; now < 2000; now += 100) {
        clock_is(now);
        has_open(7, 1, 1);
        expect(900);
        assert_int_equal(watch.holder, 7);
        assert_int_equal(watch.hold, MYDB_HOLD_TRX);
    }
    clock_is(2000);
    expect(1900);
}

/* The statement began, waited for a metadata lock, and only then opened its transaction. */
static void wait_before_the_transaction_counts(void **state)
{
    (void)state;
    quiet_until(1000);
    for (int64_t now = 1100; now < 2000; now += 100) {
        clock_is(now);
        runs(7, 1050);
        mydb_watch_add(&watch, &sample);
    }
    assert_int_equal(watch.horizon, 1050);
    clock_is(2000); /* it ended, its transaction is still open */
    has_open(7, 1, 1);
    expect(1050);
    clock_is(2100);
    has_open(7, 1, 1);
    expect(1050);
    clock_is(2200);
    expect(2100);
}

static void what_was_open_before_is_unknown_until_it_is_over(void **state)
{
    (void)state;
    for (int64_t now = 100; now < 1000; now += 100) {
        clock_is(now);
        has_open(7, 1, 1);
        expect_unknown();
        assert_true(now == 100 || watch.hold == MYDB_HOLD_UNKNOWN);
    }
    clock_is(1000);
    has_open(8, 2, 1); /* this one was seen to begin */
    expect(800);
}

static void transaction_that_only_reads_holds_nothing_nor_does_what_it_runs(void **state)
{
    (void)state;
    quiet_until(1000);
    for (int64_t now = 1100; now < 2000; now += 100) {
        clock_is(now);
        runs(7, 500);
        reads(7);
        expect(now - 100);
    }
}

static void statement_of_a_session_that_read_only_before_holds(void **state)
{
    (void)state;
    quiet_until(1000);
    clock_is(1100);
    runs(7, 1090);
    reads(7);
    expect(1000);
    clock_is(1200); /* the same session, another transaction */
    runs(7, 1150);
    has_open(7, 0, 2);
    expect(1000);
    clock_is(1300);
    has_open(7, 5, 2);
    expect(1000);
    assert_int_equal(watch.last.trxs[0].bound, 1000);
}

static void prepared_transaction_keeps_its_bound_without_its_session(void **state)
{
    (void)state;
    quiet_until(1000);
    clock_is(1100);
    has_open(7, 42, 1);
    expect(900);
    clock_is(2000);
    has_open(7, 42, 1);
    expect(900);
    clock_is(2100);
    has_open(0, 42, 1);
    expect(900);
    assert_int_equal(watch.last.trxs[0].bound, 900);
}

/* It wrote, was prepared and lost its session between two looks. */
static void prepared_transaction_that_nobody_saw_begin_is_bounded_by_the_last_horizon(void **state)
{
    (void)state;
    quiet_until(1000);
    clock_is(1100);
    runs(9, 950);
    expect(1000);
    clock_is(1200);
    has_open(0, 42, 1);
    expect(1000);
    clock_is(5000);
    has_open(0, 42, 1);
    expect(1000);
}

static void next_transaction_in_the_same_second_is_told_apart_by_its_id(void **state)
{
    (void)state;
    quiet_until(1000);
    clock_is(1100);
    has_open(7, 42, 1);
    expect(900);
    clock_is(1200);
    has_open(7, 43, 1);
    expect(1000);
    clock_is(1300);
    has_open(7, 43, 1);
    expect(1000);
    clock_is(1400);
    has_open(7, 44, 1);
    expect(1200); /* the clock of the sample before */
}

static void first_write_does_not_make_it_another_transaction(void **state)
{
    (void)state;
    quiet_until(1000);
    clock_is(1100);
    has_open(7, 0, 1);
    expect(900);
    clock_is(9000);
    has_open(7, 42, 1);
    expect(900);
    clock_is(9100);
    has_open(7, 42, 1);
    expect(900);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    static const struct CMUnitTest mysql_watch[] = {
        TEST(quiet_server_is_known_up_to_the_look_before),
        TEST(statement_holds_from_its_beginning),
        TEST(transaction_seen_first_now_keeps_the_bound_it_got),
        TEST(wait_before_the_transaction_counts),
        TEST(what_was_open_before_is_unknown_until_it_is_over),
        TEST(transaction_that_only_reads_holds_nothing_nor_does_what_it_runs),
        TEST(statement_of_a_session_that_read_only_before_holds),
        TEST(prepared_transaction_keeps_its_bound_without_its_session),
        TEST(prepared_transaction_that_nobody_saw_begin_is_bounded_by_the_last_horizon),
        TEST(next_transaction_in_the_same_second_is_told_apart_by_its_id),
        TEST(first_write_does_not_make_it_another_transaction),
    };
    return cmocka_run_group_tests(mysql_watch, NULL, NULL);
}
