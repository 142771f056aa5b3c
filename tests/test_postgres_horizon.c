/* The horizon of PostgreSQL, on a server: who holds it back, who does not, and when it is refused. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "db/postgres.h"
#include "db_session.h"

static const struct driver *driver = &driver_postgresql;
static PGconn *native_connection;
static const struct config_system *outer; /* the database that we were given; the tests have one of their own */
static struct sampler *sampler;
static PGconn *writers[8]; /* of the test that runs */
static size_t writer_count;

#define MUST(call) \
    if (call)      \
    fail_msg("%s: %s (%s)", #call, session->err.text, session->err.hint)

static int run_native(void *arg, const char *statement)
{
    PGresult *result = PQexec(arg, statement);
    ExecStatusType status = PQresultStatus(result);
    int failed = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : -1;
    if (failed)
        fprintf(stderr, "%s", PQerrorMessage(arg));
    PQclear(result);
    return failed;
}

static PGconn *connect_natively(const struct config_system *system, const char *user, const char *more)
{
    char info[512];
    snprintf(info, sizeof info, "host='%s' port=%u dbname='%s' user='%s' password='%s' %s", system->host, system->port,
             system->database, user ? user : system->username, user ? "secret" : system->password, more);
    PGconn *pg = PQconnectdb(info);
    if (PQstatus(pg) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(pg));
        exit(99);
    }
    return pg;
}

/* A session that may hold the horizon, until the test ends. */
static PGconn *writer_as(const struct config_system *system, const char *user, const char *more)
{
    assert_true(writer_count < sizeof writers / sizeof *writers);
    return writers[writer_count++] = connect_natively(system, user, more);
}

static PGconn *writer(void)
{
    return writer_as(contract->system, NULL, "application_name=nightly");
}

static void run(PGconn *pg, const char *statement)
{
    if (run_native(pg, statement))
        fail_msg("%s: %s", statement, PQerrorMessage(pg));
}

/* The first field of a query's only row. */
static const char *ask(struct session *session, const char *query)
{
    PGresult *result = PQexec(native_connection, query);
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
        fail_msg("%s: %s", query, PQerrorMessage(native_connection));
    const char *text = arena_strdup(session->arena, PQgetvalue(result, 0, 0));
    PQclear(result);
    return text;
}

/* What the server tells of a session: a field as text, a time in microseconds. */
static const char *activity(struct session *session, const PGconn *pg, const char *expression)
{
    return ask(session, arena_printf(session->arena, "select (%s)::text from pg_stat_activity where pid = %d", expression,
                                     PQbackendPID(pg)));
}

static int64_t activity_time(struct session *session, const PGconn *pg, const char *field)
{
    char *expression = arena_printf(session->arena, "(extract(epoch from %s) * 1000000)::bigint", field);
    const char *text = activity(session, pg, expression);
    assert_true(text[0] != '\0');
    return strtoll(text, NULL, 10);
}

/* A step of waiting for what must come; half a minute without it is a failure, not a test that hangs. */
static void wait_on(int *steps)
{
    if (++*steps > 15000)
        fail_msg("waited in vain");
    usleep(2000);
}

/* Until a session is where the test wants it. */
static void await(struct session *session, const PGconn *pg, const char *condition)
{
    for (int steps = 0; strcmp(activity(session, pg, condition), "true") != 0;)
        wait_on(&steps);
}

static struct horizon look(struct session *session, const struct relation *relation, const char *column)
{
    const struct horizon_question question = {.relation = relation, .updated = column_index(relation, column)};
    struct horizon horizon;
    MUST(driver->horizon(session->conn, sampler, &question, &horizon, &session->err));
    return horizon;
}

static const struct relation *times_table(struct session *session)
{
    sql_table("times", "id bigint primary key, u timestamptz default now()");
    return describe_table(session, "contract_times");
}

static int setup(void **state)
{
    sampler = driver->sampler_new(contract->system);
    assert_non_null(sampler);
    return session_setup(state);
}

/* Also what a test that failed left behind. The next begins when the server has cleared it away. */
static void end_all_others(void)
{
    static const char others[] = "select 1 / (count(pg_terminate_backend(pid)) = 0)::int from pg_stat_activity"
                                 " where datname = current_database() and pid <> pg_backend_pid()"
                                 " and backend_type <> 'autovacuum worker'";
    PGresult *result;
    int steps = 0;
    while (PQresultStatus(result = PQexec(native_connection, others)) != PGRES_TUPLES_OK) {
        PQclear(result);
        wait_on(&steps);
    }
    PQclear(result);
}

static void roll_back_prepared(void)
{
    PGresult *left = PQexec(native_connection, "select format('rollback prepared %L', gid) from pg_prepared_xacts"
                                               " where database = current_database()");
    for (int i = 0; i < PQntuples(left); i++)
        run_native(native_connection, PQgetvalue(left, i, 0));
    PQclear(left);
}

static int teardown(void **state)
{
    int failed = session_teardown(state);
    for (size_t i = 0; i < writer_count; i++)
        PQfinish(writers[i]);
    writer_count = 0;
    end_all_others();
    roll_back_prepared();
    driver->sampler_free(sampler);
    return failed;
}

/* tests: sessions */

static void nobody_at_work_holds_nothing(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    writer(); /* connected, and idle */
    struct horizon horizon = look(session, relation, "u");
    assert_true(horizon.known);
    assert_false(horizon.waits);
    assert_int_equal(horizon.time, horizon.clock);
    int64_t now = strtoll(ask(session, "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"), NULL, 10);
    assert_true(horizon.clock <= now && now - horizon.clock < INT64_C(60000000));
}

static void idle_open_transaction_holds(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    run(pg, "begin; select 1");
    run(pg, "insert into contract_times values (1)");
    struct horizon horizon = look(session, relation, "u");
    assert_true(horizon.known && horizon.waits);
    assert_string_equal(activity(session, pg, "query_start > xact_start"), "true");
    assert_int_equal(horizon.time, activity_time(session, pg, "xact_start"));
    assert_true(horizon.clock > horizon.time);
    const char *start = activity(session, pg, "to_char(xact_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    assert_string_equal(horizon.holder,
                        arena_printf(session->arena, "session %d of role '%s', application 'nightly', in a transaction since %s",
                                     PQbackendPID(pg), contract->system->username, start));
    run(pg, "commit");
    horizon = look(session, relation, "u");
    assert_false(horizon.waits);
    assert_int_equal(horizon.time, horizon.clock);
}

static void oldest_of_several_holds(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *first = writer(), *second = writer(), *third = writer();
    run(second, "begin; select 1");
    run(first, "begin; select 1");
    run(third, "begin; select 1");
    assert_int_equal(look(session, relation, "u").time, activity_time(session, second, "xact_start"));
    run(second, "rollback");
    assert_int_equal(look(session, relation, "u").time, activity_time(session, first, "xact_start"));
}

/* now() of the later transaction is when the message came, and between the two no transaction is announced. */
static void message_holds_from_its_receipt_also_between_its_transactions(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    assert_int_equal(PQenterPipelineMode(pg), 1);
    assert_int_equal(PQsendQueryParams(pg, "begin", 0, NULL, NULL, NULL, NULL, 0), 1);
    assert_int_equal(PQsendQueryParams(pg, "commit", 0, NULL, NULL, NULL, NULL, 0), 1);
    assert_int_equal(PQsendFlushRequest(pg), 1);
    assert_int_equal(PQflush(pg), 0);
    await(session, pg, "state = 'active' and xact_start is null and query ilike 'commit' and wait_event = 'ClientRead'");
    struct horizon horizon = look(session, relation, "u");
    assert_true(horizon.waits);
    assert_int_equal(horizon.time, activity_time(session, pg, "query_start"));
}

/* The same as it happens: many transactions in one message. */
static void later_transactions_of_a_message_are_covered(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    struct buf message = {0};
    for (int i = 0; i < 20000; i++)
        buf_puts(&message, "begin;commit;");
    buf_puts(&message, "insert into contract_times values (1)");
    assert_int_equal(PQsendQuery(pg, buf_text(&message)), 1);
    buf_free(&message);
    int64_t highest = 0, time = 0;
    await(session, pg, "state = 'active'");
    do {
        highest = time > highest ? time : highest;
        time = look(session, relation, "u").time;
    } while (strcmp(activity(session, pg, "state"), "active") == 0); /* it still ran after the look */
    for (PGresult *result; (result = PQgetResult(pg));)
        PQclear(result);
    const char *row = ask(session, "select (extract(epoch from u) * 1000000)::bigint from contract_times");
    assert_true(highest > 0);
    assert_true(highest <= strtoll(row, NULL, 10));
}

static void other_databases_hold_no_times(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    run(writer_as(outer, NULL, ""), "begin; select pg_current_xact_id()");
    assert_false(look(session, relation, "u").waits);
}

/* Their SQL is as good as anybody's; only the streaming of a log is none. */
static void replication_connection_holds_by_what_it_runs(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer_as(contract->system, NULL, "replication=database");
    run(pg, "begin");
    run(pg, "insert into contract_times values (1)");
    /* The server hides when its transaction began. */
    assert_string_equal(activity(session, pg, "xact_start is null and query_start > backend_start"), "true");
    assert_int_equal(look(session, relation, "u").time, activity_time(session, pg, "backend_start"));
    run(pg, "commit");
    assert_false(look(session, relation, "u").waits);
    PGresult *result =
        PQexec(pg, arena_printf(session->arena, "START_REPLICATION %s", ask(session, "select pg_current_wal_flush_lsn()")));
    assert_int_equal(PQresultStatus(result), PGRES_COPY_BOTH);
    PQclear(result);
    await(session, pg, "state = 'active'");
    assert_false(look(session, relation, "u").waits);
}

/* tests: our own sessions */

/* More than the sockets take, so that the server is still at it. */
static struct plan long_plan(struct session *session)
{
    return plan_all(session, describe_query(session, "select g as id, repeat('x', 1000) as t from generate_series(1, 50000) g", "id"),
                    NULL);
}

/* Other tests run beside this one on the same server. */
#define SOURCES                                                          \
    "select count(*) from pg_stat_activity where datname = current_database()" \
    " and application_name = 'sesam-sql source'"

static const char *sources_at_work(struct session *session)
{
    return ask(session, SOURCES " and xact_start is not null");
}

/* A backend whose read was broken off takes a moment to notice. */
static void wait_for_the_end_of_sources(struct session *session)
{
    for (int tries = 0; tries < 3000 && strcmp(ask(session, SOURCES), "0") != 0; tries++)
        sql("select pg_sleep(0.01)");
}

static void reads_of_sources_hold_nothing(void **state)
{
    struct session *session = *state, *other = session_other(session);
    const struct relation *relation = times_table(session);
    sql("insert into contract_times select g from generate_series(1, 10) g");
    const struct value *row;
    struct plan plan = long_plan(other);
    MUST(driver->read_open(other->conn, &plan, &session->err));
    assert_string_equal(sources_at_work(session), "1");
    assert_false(look(session, relation, "u").waits);
    assert_int_equal(driver->read_close(other->conn), -1);
    session_reopen(other);
    wait_for_the_end_of_sources(session);
    plan = plan_by_updated(other, describe_table(other, "contract_times"), "u");
    MUST(driver->read_open(other->conn, &plan, &session->err));
    for (int i = 0; i < 10; i++)
        assert_int_equal(driver->read_next(other->conn, &row, &session->err), 1);
    assert_int_equal(driver->read_next(other->conn, &row, &session->err), 0);
    assert_string_equal(sources_at_work(session), "1");
    assert_false(look(session, relation, "u").waits);
    assert_int_equal(driver->read_close(other->conn), 0);
    assert_string_equal(ask(session, SOURCES), "0");
}

static void writes_of_sinks_hold(void **state)
{
    struct session *session = *state, *other = session_other(session);
    const struct relation *relation = times_table(session);
    MUST(driver->begin(other->conn, true, 5, &session->err));
    struct horizon horizon = look(session, relation, "u");
    assert_true(horizon.waits);
    assert_non_null(strstr(horizon.holder, "application 'sesam-sql',"));
    assert_int_equal(driver->rollback(other->conn), 0);
    assert_false(look(session, relation, "u").waits);
}

/* The name alone is nobody's right to be overlooked. */
static void name_of_sources_in_another_role_holds(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer_as(contract->system, "contract_app", "application_name='sesam-sql source'");
    run(pg, "begin; select 1");
    assert_int_equal(look(session, relation, "u").time, activity_time(session, pg, "xact_start"));
}

/* tests: prepared transactions */

static void prepared_transactions_hold_one_by_one(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *first = writer(), *second = writer();
    int64_t before = look(session, relation, "u").time;
    run(first, "begin; insert into contract_times values (1)");
    run(first, "prepare transaction 'contract_first'");
    run(second, "begin; insert into contract_times values (2)");
    int64_t second_begins = activity_time(session, second, "xact_start");
    struct horizon horizon = look(session, relation, "u");
    assert_true(horizon.known && horizon.waits);
    assert_int_equal(horizon.time, before);
    assert_non_null(strstr(horizon.holder, "contract_first"));
    assert_non_null(strstr(horizon.holder, arena_printf(session->arena, "role '%s'", contract->system->username)));
    run(second, "prepare transaction 'contract_second'");
    assert_int_equal(look(session, relation, "u").time, before);
    assert_int_equal(look(session, relation, "u").time, before);
    run(first, "commit prepared 'contract_first'");
    horizon = look(session, relation, "u");
    assert_int_equal(horizon.time, second_begins);
    assert_non_null(strstr(horizon.holder, "contract_second"));
    run(first, "rollback prepared 'contract_second'");
    assert_false(look(session, relation, "u").waits);
}

static void same_name_prepared_again_is_another(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    look(session, relation, "u");
    run(pg, "begin; insert into contract_times values (1)");
    run(pg, "prepare transaction 'contract_again'");
    int64_t clock = look(session, relation, "u").clock;
    run(pg, "commit prepared 'contract_again'");
    run(pg, "begin; insert into contract_times values (2)");
    run(pg, "prepare transaction 'contract_again'");
    assert_int_equal(look(session, relation, "u").time, clock);
}

static void transaction_prepared_before_we_looked_leaves_all_unknown(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    run(pg, "begin; insert into contract_times values (1)");
    run(pg, "prepare transaction 'contract_old'");
    struct horizon horizon = look(session, relation, "u");
    assert_false(horizon.known);
    assert_non_null(strstr(horizon.holder, "contract_old"));
    run(pg, "begin; insert into contract_times values (2)");
    run(pg, "prepare transaction 'contract_new'");
    horizon = look(session, relation, "u");
    assert_false(horizon.known);
    assert_non_null(strstr(horizon.holder, "contract_old"));
    run(pg, "commit prepared 'contract_old'");
    horizon = look(session, relation, "u");
    assert_true(horizon.known);
    assert_non_null(strstr(horizon.holder, "contract_new"));
}

static void steady_two_phase_traffic_lets_it_advance(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    int64_t clock = look(session, relation, "u").clock;
    for (int i = 0; i < 30; i++) {
        run(pg, arena_printf(session->arena, "begin; insert into contract_times values (%d)", i));
        run(pg, arena_printf(session->arena, "prepare transaction 'contract_%d'", i));
        if (i)
            run(pg, arena_printf(session->arena, "commit prepared 'contract_%d'", i - 1));
        struct horizon horizon = look(session, relation, "u");
        assert_true(horizon.known);
        assert_int_equal(horizon.time, clock);
        clock = horizon.clock;
    }
}

static void transactions_prepared_in_other_databases_hold_no_times(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer_as(outer, NULL, "");
    run(pg, "begin; select pg_current_xact_id()");
    run(pg, "prepare transaction 'contract_outer'");
    struct horizon horizon = look(session, relation, "u");
    run(pg, "rollback prepared 'contract_outer'");
    assert_true(horizon.known);
    assert_false(horizon.waits);
}

/* What one server's sessions told says nothing of another's prepared transactions. */
static void another_database_is_another_memory(void **state)
{
    struct session *session = *state, *other = session_other(session);
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    driver->close(other->conn);
    other->conn = NULL;
    MUST(driver->open(&other->conn, outer, &session->err));
    look(other, relation, "u");
    run(pg, "begin; insert into contract_times values (1)");
    run(pg, "prepare transaction 'contract_here'");
    assert_false(look(session, relation, "u").known);
}

/* Prepares a transaction while the sessions are being listed, and then lets the listing go on. */
static void *prepare_meanwhile(void *arg)
{
    PGconn *pg = arg;
    const char *waits = "select 1 / count(*) from pg_locks where locktype = 'advisory' and not granted"
                        " and database = (select oid from pg_database where datname = current_database())";
    PGresult *result = NULL;
    for (int i = 0; i < 5000 && PQresultStatus(result = PQexec(pg, waits)) != PGRES_TUPLES_OK; i++) {
        PQclear(result);
        result = NULL;
        usleep(2000);
    }
    PQclear(result);
    PQclear(PQexec(pg, "begin; insert into contract_times values (1)"));
    PQclear(PQexec(pg, "prepare transaction 'contract_meanwhile'"));
    PQclear(PQexec(pg, "select pg_advisory_unlock_all()"));
    return NULL;
}

static struct conn *open_as(struct session *session, const char *role)
{
    static char password[] = "secret";
    struct config_system system = *contract->system;
    struct conn *conn = NULL;
    system.username = arena_strdup(session->arena, role);
    system.password = password;
    MUST(driver->open(&conn, &system, &session->err));
    return conn;
}

static int look_as(struct session *session, struct conn *conn, const struct relation *relation, struct horizon *horizon)
{
    const struct horizon_question question = {.relation = relation, .updated = column_index(relation, "u")};
    err_clear(&session->err);
    return driver->horizon(conn, sampler, &question, horizon, &session->err);
}

/* A function in the place of ours reads the sessions and then waits: what is prepared in that time must be seen. */
static void prepared_transactions_are_listed_after_the_sessions(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    pthread_t thread;
    struct horizon horizon;
    int64_t before = look(session, relation, "u").time;
    sql("drop function if exists sesam_sql_horizon()");
    sql("create function sesam_sql_horizon(out allowed boolean, out since timestamptz, out holder text, out hidden text)"
        " language plpgsql security definer as $$ begin allowed := true; perform pg_advisory_lock(4711); end $$");
    struct conn *blind = open_as(session, "contract_blind");
    run(pg, "select pg_advisory_lock(4711)");
    assert_int_equal(pthread_create(&thread, NULL, prepare_meanwhile, pg), 0);
    int failed = look_as(session, blind, relation, &horizon);
    pthread_join(thread, NULL);
    driver->close(blind);
    sql("drop function sesam_sql_horizon()");
    MUST(failed);
    assert_true(horizon.waits);
    assert_int_equal(horizon.time, before);
    assert_non_null(strstr(horizon.holder, "contract_meanwhile"));
}

/* tests: rights and refusals */

static void expect_hint(const struct session *session, const char *part)
{
    if (!strstr(session->err.hint, part))
        fail_msg("no %s in the hint: %s", part, session->err.hint);
}

static void missing_right_names_the_grant_and_the_alternatives(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    struct conn *blind = open_as(session, "contract_blind");
    struct horizon horizon;
    expect_error(session, look_as(session, blind, relation, &horizon), ERR_DATABASE);
    expect_hint(session, "GRANT pg_read_all_stats TO contract_blind");
    expect_hint(session, "sesam-sql ddl postgresql");
    expect_hint(session, "{\"settle\": 60}");
    const struct horizon_question clock = {.relation = relation, .updated = 1, .clock_only = true};
    err_clear(&session->err);
    MUST(driver->horizon(blind, sampler, &clock, &horizon, &session->err));
    assert_true(horizon.known);
    assert_int_equal(horizon.time, horizon.clock);
    assert_int_equal(driver->ping(blind, &session->err), 0);
    driver->close(blind);
}

static void right_revoked_meanwhile_is_noticed(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    struct horizon horizon;
    sql("grant pg_read_all_stats to contract_blind");
    struct conn *blind = open_as(session, "contract_blind");
    run(pg, "begin; select 1");
    MUST(look_as(session, blind, relation, &horizon));
    assert_int_equal(horizon.time, activity_time(session, pg, "xact_start"));
    sql("revoke pg_read_all_stats from contract_blind");
    expect_error(session, look_as(session, blind, relation, &horizon), ERR_DATABASE);
    driver->close(blind);
}

static void function_lends_the_right(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    struct horizon horizon;
    struct conn *blind = open_as(session, "contract_blind"), *reader = open_as(session, "contract_blind");
    sql("drop schema if exists contract_tools cascade; create schema contract_tools; set search_path = contract_tools");
    run(native_connection, driver->horizon_sql);
    sql("reset search_path");
    expect_error(session, look_as(session, blind, relation, &horizon), ERR_DATABASE);
    expect_hint(session, "GRANT USAGE ON SCHEMA contract_tools TO contract_blind;"
                         " GRANT EXECUTE ON FUNCTION contract_tools.sesam_sql_horizon() TO contract_blind");
    sql("grant usage on schema contract_tools to contract_blind");
    sql("grant execute on function contract_tools.sesam_sql_horizon() to contract_blind");
    MUST(look_as(session, blind, relation, &horizon));
    assert_true(horizon.known);
    assert_false(horizon.waits);
    run(pg, "begin; select 1");
    MUST(look_as(session, blind, relation, &horizon));
    assert_int_equal(horizon.time, activity_time(session, pg, "xact_start"));
    assert_non_null(strstr(horizon.holder, "application 'nightly', in a transaction since 2"));
    run(pg, "commit");
    struct session other = {.conn = reader, .arena = session->arena};
    struct plan plan = long_plan(&other);
    MUST(driver->read_open(reader, &plan, &session->err));
    assert_string_equal(sources_at_work(session), "1");
    MUST(look_as(session, blind, relation, &horizon));
    assert_false(horizon.waits);
    driver->close(reader);
    sql("alter function contract_tools.sesam_sql_horizon() owner to contract_app");
    expect_error(session, look_as(session, blind, relation, &horizon), ERR_DATABASE);
    expect_hint(session, "GRANT pg_read_all_stats TO contract_app");
    sql("drop schema contract_tools cascade");
    driver->close(blind);
}

static void function_that_went_away_is_not_asked_for_ever(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    struct horizon horizon;
    run(native_connection, driver->horizon_sql);
    sql("grant execute on function sesam_sql_horizon() to contract_blind");
    struct conn *blind = open_as(session, "contract_blind");
    MUST(look_as(session, blind, relation, &horizon));
    sql("drop function sesam_sql_horizon()");
    assert_int_equal(look_as(session, blind, relation, &horizon), -1);
    expect_hint(session, "sesam-sql ddl postgresql");
    sql("grant pg_read_all_stats to contract_blind");
    MUST(look_as(session, blind, relation, &horizon));
    sql("revoke pg_read_all_stats from contract_blind");
    driver->close(blind);
}

static void statements_that_the_session_lost_are_made_again(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    look(session, relation, "u");
    run(session->conn->pg, "deallocate all");
    look(session, relation, "u");
}

static void session_that_hides_what_it_does_is_refused(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    PGconn *pg = writer();
    struct horizon horizon;
    run(pg, "set track_activities = off");
    await(session, pg, "state = 'disabled'");
    expect_error(session, look_as(session, session->conn, relation, &horizon), ERR_DATABASE);
    assert_non_null(strstr(session->err.text, arena_printf(session->arena, "session %d", PQbackendPID(pg))));
    expect_hint(session, "track_activities");
    expect_hint(session, "{\"settle\": 60}");
    run(pg, "set track_activities = on");
    MUST(look_as(session, session->conn, relation, &horizon));
}

static void question_within_a_transaction_is_our_mistake(void **state)
{
    struct session *session = *state;
    const struct relation *relation = times_table(session);
    struct horizon horizon;
    MUST(driver->begin(session->conn, false, 5, &session->err));
    expect_error(session, look_as(session, session->conn, relation, &horizon), ERR_INTERNAL);
    assert_int_equal(driver->rollback(session->conn), 0);
}

/* tests: columns of transaction ids */

static const struct relation *ids_table(struct session *session)
{
    sql_table("ids", "id bigint primary key, x xid8 default pg_current_xact_id()");
    return describe_table(session, "contract_ids");
}

static uint64_t id_of(struct session *session, PGconn *pg)
{
    PGresult *result = PQexec(pg, "select pg_current_xact_id_if_assigned()");
    uint64_t id = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    assert_true(id > 0);
    /* One that is over, so that ids beyond this are, too. */
    ask(session, "select pg_current_xact_id()");
    return id;
}

/* Whoever works in other databases of the server holds it, too: it is waited for. */
static void await_beyond(struct session *session, const struct relation *relation, uint64_t id)
{
    for (int steps = 0; look(session, relation, "x").number <= id;)
        wait_on(&steps);
}

static void open_transaction_holds_its_id(void **state)
{
    struct session *session = *state;
    const struct relation *relation = ids_table(session);
    assert_true(relation->columns[1].transaction);
    assert_false(relation->columns[0].transaction);
    PGconn *pg = writer();
    run(pg, "begin; insert into contract_ids values (1)");
    uint64_t id = id_of(session, pg);
    await_beyond(session, relation, id - 1);
    struct horizon horizon = look(session, relation, "x");
    assert_true(horizon.known && horizon.waits);
    assert_true(horizon.number == id);
    assert_true(horizon.next > id);
    assert_true(horizon.clock > 0);
    assert_int_equal(horizon.time, activity_time(session, pg, "xact_start"));
    assert_non_null(strstr(horizon.holder, arena_printf(session->arena, "session %d of role", PQbackendPID(pg))));
    run(pg, "commit");
    await_beyond(session, relation, id);
}

static void subtransaction_holds_the_id_of_its_transaction(void **state)
{
    struct session *session = *state;
    const struct relation *relation = ids_table(session);
    PGconn *pg = writer();
    run(pg, "begin; savepoint a; insert into contract_ids values (1); release a; savepoint b; insert into contract_ids values (2)");
    uint64_t id = id_of(session, pg);
    assert_true(look(session, relation, "x").number <= id);
    run(pg, "commit");
    await_beyond(session, relation, id);
    assert_string_equal(ask(session, "select string_agg(x::text, ' ') from contract_ids"),
                        arena_printf(session->arena, "%" PRIu64 " %" PRIu64, id, id));
}

static void prepared_transaction_holds_its_id(void **state)
{
    struct session *session = *state;
    const struct relation *relation = ids_table(session);
    PGconn *pg = writer();
    run(pg, "begin; insert into contract_ids values (1)");
    uint64_t id = id_of(session, pg);
    run(pg, "prepare transaction 'contract_id'");
    await_beyond(session, relation, id - 1);
    struct horizon horizon = look(session, relation, "x");
    assert_true(horizon.known && horizon.waits);
    assert_true(horizon.number == id);
    assert_non_null(strstr(horizon.holder, "contract_id"));
    run(pg, "commit prepared 'contract_id'");
    await_beyond(session, relation, id);
}

static void writers_of_other_databases_hold_ids(void **state)
{
    struct session *session = *state;
    const struct relation *relation = ids_table(session);
    PGconn *pg = writer_as(outer, NULL, "");
    run(pg, "begin; select pg_current_xact_id()");
    uint64_t id = id_of(session, pg);
    assert_true(look(session, relation, "x").number <= id);
    run(pg, "commit");
    await_beyond(session, relation, id);
}

static void readers_hold_no_ids_and_no_right_is_needed(void **state)
{
    struct session *session = *state, other = {.arena = session->arena};
    const struct relation *relation = ids_table(session);
    PGconn *pg = writer();
    run(pg, "begin isolation level repeatable read; select count(*) from contract_ids");
    uint64_t id = strtoull(ask(session, "select pg_current_xact_id()"), NULL, 10);
    other.conn = open_as(session, "contract_blind");
    await_beyond(&other, relation, id);
    driver->close(other.conn);
}

/* tests: what the horizon knows nothing of */

static const char *outside_of_table(struct session *session, const char *table)
{
    const char *outside = describe(session, &(struct subject){.table = table, .updated = "u"})->outside;
    return outside ? outside : "none";
}

static const char *outside_of_query(struct session *session, const char *query)
{
    static const char *const key[] = {"id"};
    const char *outside =
        describe(session, &(struct subject){.query = query, .key = key, .key_count = 1, .updated = "u"})->outside;
    return outside ? outside : "none";
}

static void views_over_plain_tables_are_inside(void **state)
{
    struct session *session = *state;
    times_table(session);
    sql("drop view if exists contract_view");
    sql("create view contract_view as select * from contract_times where id in (select id from contract_times)");
    assert_string_equal(outside_of_table(session, "contract_times"), "none");
    assert_string_equal(outside_of_table(session, "contract_view"), "none");
    assert_string_equal(outside_of_query(session, "select * from contract_view where u > now()"), "none");
    sql("drop view contract_view");
}

static void materialised_view_is_outside_however_deep(void **state)
{
    struct session *session = *state;
    static const char expected[] = "public.contract_report is a materialised view";
    times_table(session);
    sql("create materialized view contract_report as select * from contract_times");
    sql("create view contract_over as select t.* from contract_times t join contract_report r using (id)");
    sql("create view contract_over_over as select * from contract_over");
    assert_string_equal(outside_of_table(session, "contract_report"), expected);
    assert_string_equal(outside_of_table(session, "contract_over_over"), expected);
    assert_string_equal(outside_of_query(session, "with r as (select * from contract_report) select t.id, t.u from contract_times t"
                                                  " where exists (select from r where r.id = t.id)"), expected);
    /* Parameters are NULL while a query is described: what they would leave out counts all the same. */
    assert_string_equal(outside_of_query(session, "select * from contract_report where id = NULL"), expected);
    assert_null(describe_table(session, "contract_report")->outside); /* a sink's */
    assert_int_equal(driver->ping(session->conn, &session->err), 0);
    assert_string_equal(ask(session, "select count(*) from pg_stat_activity where datname = current_database()"
                                     " and state like 'idle in%'"), "0");
    sql("drop materialized view contract_report cascade");
}

static void foreign_table_and_foreign_partition_are_outside(void **state)
{
    struct session *session = *state;
    sql("drop foreign data wrapper if exists contract_wrapper cascade");
    sql("drop table if exists contract_parts");
    sql("create foreign data wrapper contract_wrapper");
    sql("create server contract_server foreign data wrapper contract_wrapper");
    sql("create foreign table contract_foreign (id bigint, u timestamptz) server contract_server");
    assert_string_equal(outside_of_table(session, "contract_foreign"), "public.contract_foreign is a foreign table");
    sql("create table contract_parts (id bigint, u timestamptz) partition by range (id)");
    sql("create table contract_part_a partition of contract_parts for values from (0) to (10)");
    assert_string_equal(outside_of_table(session, "contract_parts"), "none");
    sql("create foreign table contract_part_b partition of contract_parts for values from (10) to (20) server contract_server");
    assert_string_equal(outside_of_table(session, "contract_parts"), "public.contract_part_b is a foreign table");
    sql("drop table contract_parts");
    sql("drop foreign data wrapper contract_wrapper cascade");
}

static void table_of_a_subscription_is_outside(void **state)
{
    struct session *session = *state;
    sql_table("filled", "id bigint, u timestamptz");
    sql("create table contract_filled_parts (id bigint, u timestamptz) partition by range (id)");
    sql("create table contract_filled_part partition of contract_filled_parts for values from (0) to (10)");
    sql("create view contract_filled_view as select * from contract_filled");
    sql("create subscription contract_subscription connection 'host=nowhere' publication p with (connect = false, slot_name = none)");
    assert_string_equal(outside_of_table(session, "contract_filled"), "none");
    sql("insert into pg_subscription_rel select oid, 'contract_filled'::regclass, 'r', NULL::pg_lsn from pg_subscription"
        " where subname = 'contract_subscription' union all select oid, 'contract_filled_parts'::regclass, 'r', NULL"
        " from pg_subscription where subname = 'contract_subscription'");
    assert_string_equal(outside_of_table(session, "contract_filled"), "public.contract_filled is filled by a subscription");
    assert_string_equal(outside_of_table(session, "contract_filled_view"), "public.contract_filled is filled by a subscription");
    assert_string_equal(outside_of_table(session, "contract_filled_part"),
                        "public.contract_filled_part is filled by a subscription");
    sql("drop subscription contract_subscription");
    sql("drop table contract_filled_parts; drop view contract_filled_view; drop table contract_filled");
}

/* tests: zones and the newest value */

static void zone_is_the_servers_own_not_that_of_our_session(void **state)
{
    struct session *session = *state;
    sql_table("zones", "id bigint primary key, u timestamptz, t timestamp, d date, n bigint");
    const struct relation *relation = describe_table(session, "contract_zones");
    assert_string_equal(look(session, relation, "t").zone, ask(session, "select reset_val from pg_settings where name = 'TimeZone'"));
    sql("alter database contract_horizon set timezone = 'Europe/Oslo'");
    session_reopen(session);
    assert_string_equal(look(session, relation, "t").zone, "Europe/Oslo");
    assert_string_equal(look(session, relation, "d").zone, "Europe/Oslo");
    assert_string_equal(look(session, relation, "u").zone, "");
    const struct horizon_question question = {.relation = relation, .updated = column_index(relation, "t"), .clock_only = true};
    struct horizon horizon;
    MUST(driver->horizon(session->conn, sampler, &question, &horizon, &session->err));
    assert_string_equal(horizon.zone, "Europe/Oslo");
    sql("alter database contract_horizon reset timezone");
}

static struct value newest(struct session *session, const struct relation *relation, const char *column)
{
    struct plan plan = plan_all(session, relation, column);
    struct value value;
    MUST(driver->newest(session->conn, &plan, session->arena, &value, &session->err));
    assert_int_equal(driver->ping(session->conn, &session->err), 0);
    return value;
}

static void newest_is_the_highest_that_is_not_null(void **state)
{
    struct session *session = *state;
    sql_table("newest", "id bigint primary key, u timestamptz, t text collate \"C\", f float8");
    const struct relation *relation = describe_table(session, "contract_newest");
    assert_int_equal(newest(session, relation, "u").kind, KIND_NULL);
    sql("insert into contract_newest values (1, '1970-01-01 00:00:01Z', 'a', 10), (2, '1970-01-01 00:00:02Z', 'B', 9), (3, NULL, NULL, NULL)");
    struct value value = newest(session, relation, "u");
    assert_int_equal(value.kind, KIND_DATETIME);
    assert_int_equal(value.integer, 2000000);
    value = newest(session, relation, "t");
    assert_int_equal(value.kind, KIND_TEXT);
    assert_int_equal(value.text.len, 1);
    assert_memory_equal(value.text.bytes, "a", 1);
    value = newest(session, relation, "f"); /* by its number, not by its text */
    assert_int_equal(value.text.len, 2);
    assert_memory_equal(value.text.bytes, "10", 2);
    assert_int_equal(newest(session, relation, "id").integer, 3);
    relation = describe_query(session, "select * from contract_newest where id < 2;", "id");
    assert_int_equal(newest(session, relation, "u").integer, 1000000);
}

static void newest_of_a_query_has_its_parameters(void **state)
{
    struct session *session = *state;
    static char name[] = "most";
    struct config_parameter parameter = {.name = name, .type = PARAMETER_INTEGER};
    const struct bound bound = {.parameter = &parameter, .text = "1"};
    sql_table("bound", "id bigint primary key, u bigint");
    sql("insert into contract_bound values (1, 10), (2, 20)");
    static const char *const key[] = {"id"};
    const struct relation *relation =
        describe(session, &(struct subject){.query = "select * from contract_bound where id <= :most", .key = key, .key_count = 1,
                                            .parameters = &parameter, .parameter_count = 1, .updated = "u"});
    struct plan plan = plan_all(session, relation, "u");
    struct value value;
    plan.bounds = &bound;
    plan.bound_count = 1;
    MUST(driver->newest(session->conn, &plan, session->arena, &value, &session->err));
    assert_int_equal(value.integer, 10);
}

/* A role, without any right but to connect. */
static int make_role(PGconn *pg, const char *name)
{
    char statement[256];
    snprintf(statement, sizeof statement,
             "do $$ begin create role %s login password 'secret'; exception when duplicate_object then null; end $$", name);
    return run_native(pg, statement);
}

/* Other programs may run beside this: it has a database of its own, so that nobody else is at work there. */
static struct config_system make_database(const struct config_system *system)
{
    static char name[] = "contract_horizon";
    struct config_system alone = *system;
    PGconn *pg = connect_natively(system, NULL, "");
    if (run_native(pg, "set client_min_messages = warning") || run_native(pg, "drop database if exists contract_horizon") ||
        run_native(pg, "create database contract_horizon") || make_role(pg, "contract_blind") || make_role(pg, "contract_app"))
        exit(99);
    PQfinish(pg);
    alone.database = name;
    native_connection = connect_natively(&alone, NULL, "");
    run_native(native_connection, "set client_min_messages = error; set timezone = 'UTC'");
    return alone;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_at_work_holds_nothing),
        TEST(idle_open_transaction_holds),
        TEST(oldest_of_several_holds),
        TEST(message_holds_from_its_receipt_also_between_its_transactions),
        TEST(later_transactions_of_a_message_are_covered),
        TEST(other_databases_hold_no_times),
        TEST(replication_connection_holds_by_what_it_runs),
        TEST(reads_of_sources_hold_nothing),
        TEST(writes_of_sinks_hold),
        TEST(name_of_sources_in_another_role_holds),
        TEST(prepared_transactions_hold_one_by_one),
        TEST(same_name_prepared_again_is_another),
        TEST(transaction_prepared_before_we_looked_leaves_all_unknown),
        TEST(steady_two_phase_traffic_lets_it_advance),
        TEST(transactions_prepared_in_other_databases_hold_no_times),
        TEST(another_database_is_another_memory),
        TEST(prepared_transactions_are_listed_after_the_sessions),
        TEST(missing_right_names_the_grant_and_the_alternatives),
        TEST(right_revoked_meanwhile_is_noticed),
        TEST(function_lends_the_right),
        TEST(function_that_went_away_is_not_asked_for_ever),
        TEST(statements_that_the_session_lost_are_made_again),
        TEST(session_that_hides_what_it_does_is_refused),
        TEST(question_within_a_transaction_is_our_mistake),
        TEST(open_transaction_holds_its_id),
        TEST(subtransaction_holds_the_id_of_its_transaction),
        TEST(prepared_transaction_holds_its_id),
        TEST(writers_of_other_databases_hold_ids),
        TEST(readers_hold_no_ids_and_no_right_is_needed),
        TEST(views_over_plain_tables_are_inside),
        TEST(materialised_view_is_outside_however_deep),
        TEST(foreign_table_and_foreign_partition_are_outside),
        TEST(table_of_a_subscription_is_outside),
        TEST(zone_is_the_servers_own_not_that_of_our_session),
        TEST(newest_is_the_highest_that_is_not_null),
        TEST(newest_of_a_query_has_its_parameters),
    };
    struct config *config = NULL;
    outer = db_contract_system("SESAM_SQL_TEST_POSTGRESQL", &config);
    if (!outer)
        return DB_CONTRACT_SKIP;
    const struct config_system alone = make_database(outer);
    struct db_contract own = {
        .driver = &driver_postgresql, .system = &alone, .sql = run_native, .arg = native_connection, .dialect = {.quote = '"'}};
    contract = &own;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(native_connection);
    config_free(config);
    return failed;
}
