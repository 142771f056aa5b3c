/* The horizon of MySQL and MariaDB, on a server: who holds it back, who does not, and when it is refused. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "db/sql.h"
#include "mysql_world.h"

enum { PATIENCE = 60 }; /* seconds for what must happen some time: others use the server, too */

static struct config_system system_of_tests, limited;
static struct sampler *sampler;
static MYSQL *other; /* a writer's session */
static struct horizon horizon;

/* asking */

static int ask_with(struct sampler *asked, bool clock_only)
{
    struct horizon_question question = {.clock_only = clock_only};
    return driver_mysql.horizon(world.conn, asked, &question, &horizon, &world.err);
}

static void ask(void)
{
    if (ask_with(sampler, false))
        fail_msg("%s (%s)", world.err.text, world.err.hint);
}

static int64_t now(void)
{
    return strtoll(native_ask(world.native, "select cast(unix_timestamp(now(6)) * 1000000 as signed)"), NULL, 10);
}

static void wait_beyond(int64_t time)
{
    double until = monotonic_seconds() + PATIENCE;
    for (ask(); !horizon.known || horizon.time <= time; ask()) {
        if (monotonic_seconds() > until)
            fail_msg("the horizon does not pass: %s", horizon.holder);
        usleep(50000);
    }
}

/* Asks again and again for some time: what is there must be held. */
static void stays_until(int64_t time, double seconds)
{
    double until = monotonic_seconds() + seconds;
    do {
        ask();
        assert_true(horizon.known);
        if (horizon.time > time)
            fail_msg("the horizon is %" PRId64 " us beyond a row that is still to come", horizon.time - time);
        usleep(20000);
    } while (monotonic_seconds() < until);
}

/* Other tests are at work on this server as well, and who began first is named. */
static void wait_for_holder(const char *name)
{
    double until = monotonic_seconds() + PATIENCE;
    for (ask(); !horizon.waits || !strstr(horizon.holder, name); ask()) {
        if (monotonic_seconds() > until)
            fail_msg("'%s' does not name %s", horizon.holder, name);
        usleep(20000);
    }
}

/* The updated value of the last row that a session wrote. */
static int64_t last_row(MYSQL *native)
{
    return strtoll(native_ask(native, "select cast(unix_timestamp(u) * 1000000 as signed) from h order by id desc"
                                      " limit 1"), NULL, 10);
}

static void run(MYSQL *native, const char *sql)
{
    assert_int_equal(native_run(native, sql), 0);
}

/* a session at work */

struct work {
    MYSQL *native;
    const char *sql;
    pthread_t thread;
    int failed;
};

static void *work(void *arg)
{
    struct work *self = arg;
    mydb_thread();
    self->failed = native_run(self->native, self->sql);
    return NULL;
}

static void start(struct work *self, MYSQL *native, const char *sql)
{
    *self = (struct work){.native = native, .sql = sql};
    assert_int_equal(pthread_create(&self->thread, NULL, work, self), 0);
}

static void finish(struct work *self)
{
    pthread_join(self->thread, NULL);
    assert_int_equal(self->failed, 0);
}

static void wait_for(const char *condition)
{
    for (double until = monotonic_seconds() + PATIENCE; monotonic_seconds() < until; usleep(20000))
        if (*native_ask(world.native, "select 1 from information_schema.PROCESSLIST where %s limit 1", condition))
            return;
    fail_msg("there is no session where %s", condition);
}

/* setup */

static int begin(void **state)
{
    world.system = &system_of_tests;
    if (world_open(state))
        return -1;
    sampler = driver_mysql.sampler_new(&system_of_tests);
    other = native_open(&system_of_tests);
    return sampler && other ? 0 : -1;
}

/* A test that failed may have left it, and then its table could not be dropped. */
static void end_prepared(void)
{
    bool there = false;
    if (mysql_query(world.native, "xa recover"))
        return;
    MYSQL_RES *rows = mysql_store_result(world.native);
    for (MYSQL_ROW row; rows && (row = mysql_fetch_row(rows));)
        there |= row[3] && strcmp(row[3], "sesam-test") == 0;
    mysql_free_result(rows);
    if (there)
        native_run(world.native, "xa rollback 'sesam-test'");
}

static int end(void **state)
{
    mysql_close(other);
    end_prepared();
    driver_mysql.sampler_free(sampler);
    return world_close(state);
}

/* a watcher that has seen the server before the test's writers begin */
static void watch_server(void)
{
    wait_beyond(now());
    world_run("delete from h");
    wait_beyond(now());
}

/* who holds it back */

static void clock_needs_no_watching(void **state)
{
    (void)state;
    int64_t before = now();
    assert_int_equal(ask_with(NULL, true), 0);
    assert_true(horizon.known);
    assert_int_equal(horizon.time, horizon.clock);
    assert_true(horizon.clock >= before && horizon.clock <= now());
    assert_string_equal(horizon.zone, native_ask(world.native, "select if(@@global.time_zone = 'SYSTEM',"
                                                               " @@global.system_time_zone, @@global.time_zone)"));
}

static void quiet_server_is_known(void **state)
{
    (void)state;
    int64_t before = now();
    wait_beyond(before);
    assert_true(horizon.time <= horizon.clock);
}

static void idle_transaction_that_wrote_holds_until_it_ends(void **state)
{
    (void)state;
    watch_server();
    run(other, "start transaction");
    run(other, "insert into h (v) values (1)");
    int64_t written = last_row(other);
    char name[64];
    snprintf(name, sizeof name, "session %lu of user 'sesam'", mysql_thread_id(other));
    stays_until(written, 2.5);
    wait_for_holder(name);
    assert_non_null(strstr(horizon.holder, "in a transaction since 20"));
    run(other, "commit");
    wait_beyond(written);
}

/* NOW() is fixed before the wait, and InnoDB's transaction begins after it. */
static void wait_for_a_metadata_lock_holds_also_after_the_statement(void **state)
{
    (void)state;
    struct work insert;
    watch_server();
    run(other, "set autocommit = 0");
    world_run("lock tables h write");
    start(&insert, other, "insert into h (v) values (1)");
    wait_for("state like 'Waiting for table metadata lock%%' and info like 'insert into h%%'");
    sleep(1);
    world_run("unlock tables");
    finish(&insert);
    int64_t written = last_row(other);
    assert_true(written < now() - 900000);
    stays_until(written, 1.5);
    run(other, "commit");
    wait_beyond(written);
}

static void long_statement_holds_until_it_ends(void **state)
{
    (void)state;
    struct work insert;
    watch_server();
    start(&insert, other, "insert into h (v) select 1 + sleep(2)");
    wait_for("info like 'insert into h (v) select 1 + sleep(2)'");
    stays_until(now(), 1);
    wait_for_holder("in a statement since 20");
    finish(&insert);
    wait_beyond(last_row(other));
}

static void statements_of_a_procedure_hold_for_its_transaction(void **state)
{
    (void)state;
    struct work call;
    watch_server();
    start(&call, other, "call writes_and_waits()");
    wait_for("info like 'do sleep(2)%%'");
    int64_t about = now() - 1;
    stays_until(about, 1);
    finish(&call);
    assert_true(last_row(other) <= about);
    wait_beyond(about);
}

static void prepared_transaction_holds_after_its_session_has_gone(void **state)
{
    (void)state;
    watch_server();
    run(other, "xa start 'sesam-test'");
    run(other, "insert into h (v) values (1)");
    int64_t written = last_row(other);
    run(other, "xa end 'sesam-test'");
    run(other, "xa prepare 'sesam-test'");
    mysql_close(other);
    other = native_open(&system_of_tests);
    stays_until(written, 2);
    wait_for_holder("sesam-test");
    run(other, "xa commit 'sesam-test'");
    wait_beyond(written);
}

static void transaction_from_before_is_unknown_until_it_ends(void **state)
{
    (void)state;
    run(other, "start transaction");
    run(other, "insert into h (v) values (1)");
    for (int i = 0; i < 10; i++) {
        ask();
        assert_false(horizon.known);
        assert_true(horizon.waits);
        assert_non_null(strstr(horizon.holder, "from before it was watched"));
        usleep(100000);
    }
    int64_t written = last_row(other);
    run(other, "commit");
    wait_beyond(written);
}

/* who does not */

static void transaction_declared_read_only_holds_nothing(void **state)
{
    (void)state;
    watch_server();
    run(other, "start transaction with consistent snapshot, read only");
    run(other, "select count(*) from h");
    wait_beyond(now());
    run(other, "commit");
}

struct reading {
    struct conn *conn;
    struct plan plan;
    pthread_t thread;
    int failed;
};

static void *read_slowly(void *arg)
{
    struct reading *self = arg;
    struct err err = {0};
    self->failed = driver_mysql.read_open(self->conn, &self->plan, &err);
    driver_mysql.read_close(self->conn);
    return NULL;
}

static void read_of_ours_holds_nothing_however_long_its_statement(void **state)
{
    (void)state;
    const char *key = "id";
    struct reading reading = {.failed = 0};
    struct subject subject = {.query = "select id, sleep(1) as s from pause", .key = &key, .key_count = 1};
    watch_server();
    reading.plan = world_plan(world_describe(&subject), ORDER_NONE, NULL);
    reading.plan.query = subject.query;
    assert_int_equal(driver_mysql.open(&reading.conn, &system_of_tests, &world.err), 0);
    pthread_create(&reading.thread, NULL, read_slowly, &reading);
    wait_for("info like '%%sleep(1) as s from pause%%' and state = 'User sleep'");
    int64_t running = now();
    wait_beyond(running);
    bool still = *native_ask(world.native, "select 1 from information_schema.PROCESSLIST where id <> connection_id() and"
                                           " info like '%%sleep(1) as s from pause%%'") != '\0';
    driver_mysql.cancel(reading.conn);
    pthread_join(reading.thread, NULL);
    driver_mysql.close(reading.conn);
    assert_true(still); /* else it proved nothing */
}

/* the picture's age */

struct reader {
    MYSQL *native;
    pthread_t thread;
    atomic_bool stop;
};

static void *read_often(void *arg)
{
    struct reader *self = arg;
    mydb_thread();
    while (!self->stop) {
        native_run(self->native, "select count(*) from information_schema.INNODB_TRX");
        usleep(20000);
    }
    return NULL;
}

static void picture_that_another_reader_keeps_old_loses_nothing_and_says_so(void **state)
{
    (void)state;
    struct reader reader = {.stop = false};
    bool said = false;
    watch_server();
    reader.native = native_open(&system_of_tests);
    pthread_create(&reader.thread, NULL, read_often, &reader);
    usleep(300000);
    run(other, "start transaction");
    run(other, "insert into h (v) values (1)");
    int64_t written = last_row(other);
    for (double until = monotonic_seconds() + 3; monotonic_seconds() < until; usleep(20000)) {
        ask();
        assert_true(horizon.time <= written);
        said |= strstr(horizon.holder, "INNODB_TRX") != NULL;
    }
    run(other, "commit");
    reader.stop = true;
    pthread_join(reader.thread, NULL);
    mysql_close(reader.native);
    wait_beyond(written);
    assert_true(said);
}

/* servers */

/* What it knew is of late, but nobody has its lock any more. */
static void watcher_that_lost_its_connection_begins_anew(void **state)
{
    (void)state;
    struct mydb_answer answer;
    watch_server();
    assert_int_equal(mydb_sampler_ask(sampler, world.conn, &answer, &world.err), 0);
    unsigned long before = answer.epoch;
    world_run("kill %lu", answer.thread);
    while (*native_ask(world.native, "select is_used_lock('%s')", answer.lock))
        usleep(100);
    ask();
    assert_int_equal(mydb_sampler_ask(sampler, world.conn, &answer, &world.err), 0);
    assert_true(answer.epoch > before);
    wait_beyond(now());
}

/* As if the connection that watches had reached another server: nobody here has its lock. */
static void what_was_watched_on_another_server_is_not_used(void **state)
{
    (void)state;
    struct mydb_answer answer;
    watch_server();
    assert_int_equal(mydb_sampler_ask(sampler, world.conn, &answer, &world.err), 0);
    mydb_sampler_renew(sampler, answer.epoch);
    run(other, "start transaction");
    run(other, "insert into h (v) values (1)");
    int64_t written = last_row(other);
    ask(); /* waits for the next connection, which does not know this transaction */
    assert_false(horizon.known && horizon.time > written);
    run(other, "rollback");
    wait_beyond(written);
}

static void replica_is_refused_with_the_alternative(void **state)
{
    (void)state;
    if (!native_is_mariadb(world.native))
        skip();
    world_run("change master 'sesam_test' to master_host = '127.0.0.1', master_port = 1");
    int failed = ask_with(sampler, false);
    world_run("reset slave 'sesam_test' all");
    world_expect(failed, ERR_DATABASE, "is a replica");
    failed = ask_with(sampler, false); /* still remembered, or not any more */
    if (failed)
        world_expect(failed, ERR_DATABASE, "{\"settle\": 60}");
}

/* rights */

static struct sampler *limited_sampler(void)
{
    driver_mysql.close(world.conn);
    world.conn = NULL;
    assert_int_equal(driver_mysql.open(&world.conn, &limited, &world.err), 0);
    driver_mysql.sampler_free(sampler);
    return sampler = driver_mysql.sampler_new(&limited);
}

static void make_procedures(void)
{
    char *text = strdup(sql_mysql_horizon), *rest = text;
    for (char *statement; (statement = strsep(&rest, ";"));)
        if (strstr(statement, "PROCEDURE ") && strstr(statement, "sesam_sql_horizon"))
            run(world.native, statement);
    free(text);
    world_run("grant execute on procedure sesam_sql_horizon_sessions to sesam_horizon");
    world_run("grant execute on procedure sesam_sql_horizon_transactions to sesam_horizon");
}

static void drop_procedures(void)
{
    world_run("drop procedure if exists sesam_sql_horizon_sessions");
    world_run("drop procedure if exists sesam_sql_horizon_transactions");
}

static void missing_right_names_grant_procedure_and_alternative(void **state)
{
    (void)state;
    limited_sampler();
    drop_procedures();
    assert_int_equal(ask_with(sampler, false), -1);
    assert_int_equal(world.err.code, ERR_DATABASE);
    assert_non_null(strstr(world.err.hint, "GRANT PROCESS ON *.* TO 'sesam_horizon'@'%'"));
    assert_non_null(strstr(world.err.hint, "sesam-sql ddl mysql"));
    assert_non_null(strstr(world.err.hint, "{\"settle\": 60}"));
    err_clear(&world.err);
    assert_int_equal(ask_with(sampler, true), 0); /* the clock is everybody's */
}

static void procedure_stands_in_for_the_right(void **state)
{
    (void)state;
    drop_procedures();
    make_procedures();
    limited_sampler();
    watch_server();
    run(other, "start transaction");
    run(other, "insert into h (v) values (1)");
    int64_t written = last_row(other);
    stays_until(written, 2);
    run(other, "commit");
    wait_beyond(written);
    struct work insert;
    start(&insert, other, "insert into h (v) select 1 + sleep(2)");
    wait_for("info like 'insert into h (v) select 1 + sleep(2)'");
    stays_until(now(), 1);
    finish(&insert);
    drop_procedures();
}

static void procedure_of_somebody_without_the_right_is_refused(void **state)
{
    (void)state;
    drop_procedures();
    make_procedures();
    world_run("drop procedure sesam_sql_horizon_transactions");
    world_run("create definer = sesam_horizon procedure sesam_sql_horizon_transactions()"
              " select * from information_schema.INNODB_TRX");
    world_run("grant execute on procedure sesam_sql_horizon_transactions to sesam_horizon");
    limited_sampler();
    world_expect(ask_with(sampler, false), ERR_DATABASE, "GRANT PROCESS");
    make_procedures();
    world_run("drop procedure sesam_sql_horizon_sessions");
    world_run("create definer = sesam_horizon procedure sesam_sql_horizon_sessions()"
              " select id, 1, 1, 0 from information_schema.PROCESSLIST where id <> connection_id()");
    world_run("grant execute on procedure sesam_sql_horizon_sessions to sesam_horizon");
    driver_mysql.sampler_free(sampler);
    sampler = driver_mysql.sampler_new(&limited);
    world_expect(ask_with(sampler, false), ERR_DATABASE, "GRANT PROCESS");
    drop_procedures();
}

/* tables */

static const char *outside_of(const struct subject *subject)
{
    const char *outside = world_describe(subject)->outside;
    return outside ? outside : "";
}

static void table_without_transactions_is_outside(void **state)
{
    (void)state;
    static const char expected[] = "sesam_test_horizon.old is of the engine MyISAM, which has no transactions";
    const char *key = "id";
#define TABLE(name) outside_of(&(struct subject){.table = name})
#define QUERY(text) outside_of(&(struct subject){.query = text, .key = &key, .key_count = 1})
    assert_string_equal(TABLE("h"), "");
    assert_string_equal(TABLE("old"), expected);
    assert_string_equal(TABLE("view_of_h"), "");
    assert_string_equal(TABLE("view_of_old"), expected);
    assert_string_equal(TABLE("view_of_view"), expected);
    assert_string_equal(TABLE("view_apart"), expected);
    assert_string_equal(QUERY("select id from h"), "");
    assert_string_equal(QUERY("select id from old"), expected);
    assert_string_equal(QUERY("select h.id from h where exists (select 1 from old where old.id = h.id)"), expected);
    assert_string_equal(QUERY("select id from view_apart"), expected);
    assert_string_equal(QUERY("select id from h union select id from view_of_view"), expected);
}

/* the newest */

static const char *newest(struct plan *plan)
{
    struct value value = {.kind = KIND_BOOL};
    if (driver_mysql.newest(world.conn, plan, world.arena, &value, &world.err))
        fail_msg("%s", world.err.text);
    return world_text(&value, 1);
}

static void newest_is_the_highest_value_as_rows_have_it(void **state)
{
    (void)state;
    world_run("delete from h");
    struct plan plan = world_plan(world_table("h", "u"), ORDER_UPDATED, "u");
    struct plan texts = world_plan(world_table("h", "t"), ORDER_UPDATED, "t");
    assert_string_equal(newest(&plan), "null");
    world_run("insert into h (u, t) values ('2024-01-31 23:59:59.5', '2024-01-31T23:59:59Z'), (now(6), 'a'), (null, null)");
    world_run("update h set u = '2030-01-01 00:00:00.000001' where t = 'a'");
    assert_string_equal(newest(&plan), "datetime:2030-01-01T00:00:00.000001");
    assert_string_equal(newest(&texts), "text:a");
    const char *key = "id";
    struct subject subject = {.query = "select id, u from h where v < :most", .key = &key, .key_count = 1,
                              .parameters = &(struct config_parameter){.name = "most", .type = PARAMETER_INTEGER},
                              .parameter_count = 1};
    struct plan query = world_plan(world_describe(&subject), ORDER_UPDATED, "u");
    query.query = subject.query;
    query.bounds = &(struct bound){.parameter = subject.parameters, .text = "1"};
    query.bound_count = 1;
    assert_string_equal(newest(&query), "null");
}

/* ties */

enum { TIES = 100000, PAGE = 1000 };

static uint64_t counter(const char *name)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SHOW SESSION STATUS LIKE '%s'", name);
    assert_int_equal(mydb_run(world.conn, sql, "count", &world.err), 0);
    MYSQL_RES *rows = mysql_store_result(world.conn->mysql);
    MYSQL_ROW row = mysql_fetch_row(rows);
    uint64_t count = row ? strtoull(row[1], NULL, 10) : 0;
    mysql_free_result(rows);
    return count;
}

/* Index entries that were looked at, also those which a pushed condition refused in the index. */
static uint64_t index_reads(void)
{
    static const char *const names[] = {"Handler_read_first", "Handler_read_key", "Handler_read_next",
                                        "Handler_read_last", "Handler_read_prev", "Handler_icp_attempts"};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        sum += counter(names[i]);
    return sum - counter("Handler_icp_match"); /* those were counted when they were read, too */
}

static uint64_t rows_walked(void)
{
    return counter("Handler_read_rnd") + counter("Handler_read_rnd_next");
}

struct page {
    struct value updated, key;
    struct position position;
    struct range range;
};

static void read_page(struct plan *plan, struct page *page, char *seen, size_t *sent)
{
    const struct value *row;
    int more;
    assert_int_equal(driver_mysql.read_open(world.conn, plan, &world.err), 0);
    while ((more = driver_mysql.read_next(world.conn, &row, &world.err)) == 1) {
        assert_in_range(row[0].integer, 1, TIES);
        assert_int_equal(seen[row[0].integer]++, 0);
        page->key = row[0];
        page->updated = row[1];
        ++*sent;
    }
    assert_int_equal(more, 0);
    assert_int_equal(driver_mysql.read_close(world.conn), 0);
}

/* before: only rows below the horizon, as a request with one reads them. */
static void read_ties(const struct value *before)
{
    char *seen = calloc(TIES + 1, 1);
    struct page page = {.range = {.nulls = false, .before = before}};
    struct plan plan = world_plan(world_table("ties", "u"), ORDER_UPDATED, "u");
    plan.ranges = &page.range;
    plan.range_count = 1;
    plan.limit = PAGE;
    size_t sent = 0, last = SIZE_MAX;
    uint64_t reads = index_reads(), walked = rows_walked(), silence = index_reads() - reads, still = rows_walked() - walked;
    reads = index_reads(), walked = rows_walked();
    while (sent != last) {
        last = sent;
        read_page(&plan, &page, seen, &sent);
        page.position = (struct position){.updated = &page.updated, .key = &page.key};
        page.range.after = &page.position;
    }
    reads = index_reads() - reads - silence;
    walked = rows_walked() - walked - still;
    assert_int_equal(sent, TIES);
    if (reads > TIES * 11 / 10 || walked > TIES / 10)
        fail_msg("%" PRIu64 " index entries and %" PRIu64 " rows were read", reads, walked);
    free(seen);
}

static void rows_with_one_timestamp_come_once_each_at_the_price_of_one(void **state)
{
    (void)state;
    struct value later = value_integer(KIND_DATETIME, INT64_C(1893456000000000)); /* 2030 */
    read_ties(NULL);
    read_ties(&later);
}

/* the whole */

static int prepare(MYSQL *native)
{
    static const char *const statements[] = {
        "drop database if exists sesam_test_horizon",
        "create database sesam_test_horizon character set utf8mb4",
        "use sesam_test_horizon",
        "create table h (id int auto_increment primary key, v int, u timestamp(6) null default current_timestamp(6),"
        " t varchar(40)) engine = InnoDB",
        "create table pause (id int primary key) engine = InnoDB",
        "insert into pause values (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15),"
        " (16), (17), (18), (19), (20), (21), (22), (23), (24), (25), (26), (27), (28), (29), (30)",
        "create table old (id int primary key, u timestamp(6) null) engine = MyISAM",
        "create view view_of_h as select id, u from h",
        "create view view_of_old as select id, u from old",
        "create view view_of_view as select h.id, o.u from h join view_of_old as o on o.id = h.id",
        "create algorithm = temptable view view_apart as select id, count(*) as n from old group by id",
        "create procedure writes_and_waits() begin start transaction; insert into h (v) values (1); do sleep(2);"
        " commit; end",
        "create table ties (id int primary key, u datetime(6) not null, t varchar(20), index (u, id)) engine = InnoDB",
        "create table digits (n int primary key) engine = InnoDB",
        "insert into digits values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
        "insert into ties select 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n, '2024-01-02 03:04:05.000006',"
        " 'x' from digits as a, digits as b, digits as c, digits as d, digits as e",
        "drop user if exists sesam_horizon",
        "create user sesam_horizon identified by 'sesam_horizon'",
        "grant select on sesam_test_horizon.* to sesam_horizon",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (native_run(native, statements[i]))
            return -1;
    return 0;
}

static void set_systems(const struct config_system *system)
{
    system_of_tests = *system;
    system_of_tests.database = "sesam_test_horizon";
    system_of_tests.pool_timeout = PATIENCE;
    limited = system_of_tests;
    limited.username = limited.password = "sesam_horizon";
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    static const struct CMUnitTest mysql_horizon[] = {
        TEST(clock_needs_no_watching),
        TEST(quiet_server_is_known),
        TEST(idle_transaction_that_wrote_holds_until_it_ends),
        TEST(wait_for_a_metadata_lock_holds_also_after_the_statement),
        TEST(long_statement_holds_until_it_ends),
        TEST(statements_of_a_procedure_hold_for_its_transaction),
        TEST(prepared_transaction_holds_after_its_session_has_gone),
        TEST(transaction_from_before_is_unknown_until_it_ends),
        TEST(transaction_declared_read_only_holds_nothing),
        TEST(read_of_ours_holds_nothing_however_long_its_statement),
        TEST(picture_that_another_reader_keeps_old_loses_nothing_and_says_so),
        TEST(watcher_that_lost_its_connection_begins_anew),
        TEST(what_was_watched_on_another_server_is_not_used),
        TEST(replica_is_refused_with_the_alternative),
        TEST(missing_right_names_grant_procedure_and_alternative),
        TEST(procedure_stands_in_for_the_right),
        TEST(procedure_of_somebody_without_the_right_is_refused),
        TEST(table_without_transactions_is_outside),
        TEST(newest_is_the_highest_value_as_rows_have_it),
        TEST(rows_with_one_timestamp_come_once_each_at_the_price_of_one),
    };
    struct config *config = NULL;
    const struct config_system *system = db_contract_system("SESAM_SQL_TEST_MYSQL", &config);
    if (!system)
        return DB_CONTRACT_SKIP;
    world.native = native_open(system);
    if (!world.native)
        return 1;
    end_prepared();
    if (prepare(world.native))
        return 1;
    set_systems(system);
    int failed = cmocka_run_group_tests(mysql_horizon, NULL, NULL);
    native_run(world.native, "drop user if exists sesam_horizon");
    native_run(world.native, "drop database if exists sesam_test_horizon");
    mysql_close(world.native);
    config_free(config);
    return failed;
}
