/* The writing side of the PostgreSQL driver, on a server: what only PostgreSQL can do, or does its own way. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "db/relation.h"
#include "db_session.h"

static PGconn *native_connection;

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

/* targets */

static struct target target_of(struct session *session, const struct relation *relation)
{
    size_t count = relation->column_count, used = 0;
    size_t *columns = arena_array(session->arena, count, sizeof *columns);
    size_t *reads = arena_array(session->arena, count, sizeof *reads);
    for (size_t i = 0; i < relation->key_count; i++)
        columns[used++] = relation->key[i];
    for (size_t i = 0; i < count; i++) {
        bool key = false;
        for (size_t j = 0; j < relation->key_count; j++)
            key = key || relation->key[j] == i;
        if (!key && !relation->columns[i].generated)
            columns[used++] = i;
        reads[i] = i;
    }
    return (struct target){.relation = relation, .sink = "sink", .columns = columns, .column_count = used,
                           .reads = reads, .read_count = count};
}

static struct target target_table(struct session *session, const char *table)
{
    return target_of(session, describe_table(session, table));
}

static struct value text_value(const char *text)
{
    return value_text(KIND_TEXT, text, strlen(text));
}

static const struct row *row_of(struct session *session, const struct target *target, const struct value *values)
{
    struct row *row = arena_alloc(session->arena, sizeof *row);
    row->values = row_copy(session, values, target->column_count);
    return row;
}

/* (id, text) */
static const struct row *pair(struct session *session, const struct target *target, int64_t id, const char *text)
{
    struct value values[2] = {value_integer(KIND_INT, id), {.kind = KIND_NULL}};
    if (text)
        values[1] = text_value(text);
    return row_of(session, target, values);
}

static const size_t all_places[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static struct write write_of(const struct target *target, const struct row *const *rows, size_t count, bool insert)
{
    size_t keys = target->relation->key_count;
    return (struct write){.target = target,
                          .places = insert ? all_places : all_places + keys,
                          .place_count = target->column_count - (insert ? 0 : keys),
                          .rows = rows,
                          .row_count = count};
}

/* steps that must go well */

#define MUST(call) \
    if (call)      \
    fail_msg("%s: %s (%s)", #call, session->err.text, session->err.hint)

static const struct driver *driver = &driver_postgresql;

static void begin(struct session *session)
{
    MUST(driver->begin(session->conn, true, 5, &session->err));
}

static void commit(struct session *session)
{
    MUST(driver->commit(session->conn, &session->err));
}

static void insert_rows(struct session *session, const struct target *target, const struct row *const *rows,
                        size_t count)
{
    struct write write = write_of(target, rows, count, true);
    struct fault fault;
    MUST(driver->insert(session->conn, &write, &fault, &session->err));
}

/* Finds them all and stamps the rows; returns how many there were, and "number:values" of each. */
static size_t find_rows(struct session *session, const struct target *target, const struct row *const *rows,
                        size_t count, enum find_mode mode, const char **text)
{
    struct found found;
    struct rows seen = {.row = arena_array(session->arena, count + 1, sizeof *seen.row)};
    MUST(driver->find_open(session->conn, target, rows, count, mode, &session->err));
    int more;
    while ((more = driver->find_next(session->conn, &found, &session->err)) == 1) {
        ((struct row *)found.row)->stamp = found.stamp;
        seen.row[seen.count++] = row_copy(session, found.values, target->read_count);
    }
    if (more)
        fail_msg("find_next: %s", session->err.text);
    assert_int_equal(driver->find_close(session->conn), 0);
    if (text)
        *text = rows_text(session, &seen, target->read_count);
    return seen.count;
}

/* tests: rows */

static void row_is_inserted_found_updated_and_deleted(void **state)
{
    struct session *session = *state;
    struct fault fault;
    const char *text;
    sql_table("pairs", "id bigint primary key, name text");
    struct target target = target_table(session, "contract_pairs");
    const struct row *rows[] = {pair(session, &target, 1, "one\ttab \\ \"quoted\""), pair(session, &target, 2, NULL),
                                pair(session, &target, 3, "")};
    begin(session);
    assert_int_equal(find_rows(session, &target, rows, 3, FIND_LOOK, NULL), 0);
    insert_rows(session, &target, rows, 3);
    commit(session);
    begin(session);
    assert_int_equal(find_rows(session, &target, rows, 3, FIND_LOOK, &text), 3);
    assert_string_equal(text, "1|one\ttab \\ \"quoted\" 2|NULL 3|");
    const struct row *changed[] = {pair(session, &target, 1, "uno"), pair(session, &target, 3, NULL)};
    ((struct row *)changed[0])->stamp = rows[0]->stamp;
    ((struct row *)changed[1])->stamp = rows[2]->stamp;
    struct write write = write_of(&target, changed, 2, false);
    MUST(driver->update(session->conn, &write, &fault, &session->err));
    write = write_of(&target, &rows[1], 1, false);
    MUST(driver->erase(session->conn, &write, &fault, &session->err));
    commit(session);
    assert_string_equal(ask(session, "select string_agg(t::text, ' ' order by id) from contract_pairs t"), "(1,uno) (3,)");
}

static void rollback_leaves_nothing(void **state)
{
    struct session *session = *state;
    sql_table("pairs", "id bigint primary key, name text");
    struct target target = target_table(session, "contract_pairs");
    const struct row *row = pair(session, &target, 1, "one");
    begin(session);
    insert_rows(session, &target, &row, 1);
    assert_int_equal(driver->rollback(session->conn), 0);
    assert_string_equal(ask(session, "select count(*) from contract_pairs"), "0");
}

/* Every type of docs/types.md: written by the server, read by find, written by us into another row, and read back
 * the same, by us and as the server's text. */
static void types_come_back_as_they_went(void **state)
{
    static const struct {
        const char *type, *literal;
    } cases[] = {
        {"smallint", "'-32768'"}, {"integer", "'2147483647'"}, {"bigint", "'-9223372036854775808'"},
        {"oid", "'4294967295'"}, {"xid8", "'18446744073709551615'"}, {"boolean", "'true'"}, {"boolean", "'false'"},
        {"numeric", "'-12345678901234567890.00012300'"}, {"numeric", "'0.000'"}, {"numeric", "'NaN'"},
        {"numeric", "'-Infinity'"}, {"numeric", "'10000'"}, {"numeric", "'0.00001'"}, {"numeric", "'99999999.9999'"},
        {"numeric(12,2)", "'1234567890.12'"}, {"numeric(5,-2)", "'1234500'"}, {"real", "'1.1754944e-38'"},
        {"double precision", "'0.1'"}, {"double precision", "'NaN'"}, {"double precision", "'-Infinity'"},
        {"text", "E'a\\\\b\\t\\n\\r\\\\N \"x\" {} æøå'"}, {"text", "'\\N'"}, {"text", "''"}, {"varchar(5)", "'abc  '"},
        {"char(5)", "'ab'"}, {"name", "'name'"}, {"bytea", "'\\x00ff5c'"}, {"bytea", "''"},
        {"timestamptz", "'2024-02-29 23:59:59.999999+02'"}, {"timestamptz(3)", "'1969-12-31 23:59:59.001Z'"},
        {"timestamptz", "'infinity'"}, {"timestamptz", "'0044-03-15 12:00:00.5 BC'"}, {"timestamptz", "'294276-12-31 00:00Z'"},
        {"timestamp", "'0001-01-01 00:00'"}, {"timestamp", "'-infinity'"}, {"timestamp", "'4714-11-24 00:00 BC'"},
        {"date", "'2024-02-29'"}, {"date", "'infinity'"}, {"date", "'4714-11-24 BC'"}, {"date", "'5874897-12-31'"},
        {"date", "'0001-12-31 BC'"}, {"time", "'23:59:59.123456'"}, {"time(2)", "'01:02:03.45'"},
        {"timetz", "'23:59:59+02'"}, {"interval", "'1 year 2 mons -3 days 04:05:06.7'"},
        {"uuid", "'00112233-4455-6677-8899-aabbccddeeff'"}, {"json", "'{\"a\" : [1,  2.50]}'"},
        {"jsonb", "'{\"b\": 1e2, \"a\": \"\\u00e5\"}'"}, {"inet", "'10.0.0.1'"}, {"inet", "'::1/64'"}, {"cidr", "'10.0.0.0/8'"},
        {"integer[]", "'{1,NULL,3}'"}, {"integer[]", "'{}'"}, {"integer[]", "'{{1,2},{3,4}}'"},
        {"text[]", "'{a,\"b c\",NULL,\"NULL\",\"\",\"q\\\"\\\\\"}'"}, {"timestamptz[]", "'{2024-01-01 00:00Z,infinity}'"},
        {"numeric[]", "'{1.50,-2}'"}, {"bytea[]", "'{\"\\\\x00ff\"}'"}, {"uuid[]", "'{00112233-4455-6677-8899-aabbccddeeff}'"},
        {"jsonb[]", "'{\"{\\\"a\\\": 1}\",null}'"}, {"inet[]", "'{10.0.0.1}'"}, {"double precision[]", "'{0.1,NaN}'"},
        {"box[]", "'{(1,1),(0,0);(3,3),(2,2)}'"}, {"int2vector", "'1 2 3'"}, {"oidvector", "'4 5'"},
        {"contract_age", "'7'"}, {"contract_age[]", "'{7,8}'"}, {"contract_mood", "'so so'"},
        {"contract_mood[]", "'{good,NULL,so so}'"}, {"contract_both", "'(1,\"a b\")'"}, {"int4range", "'[1,5)'"},
        {"int4multirange", "'{[1,5),[7,9)}'"}, {"money", "'12.34'"}, {"bit(3)", "B'101'"}, {"varbit(5)", "B'1'"},
        {"xml", "'<a>x</a>'"}, {"tsvector", "'''a'':1 ''b'':2'"}, {"tsquery", "'''a'' & ''b'''"}, {"point", "'(1,2.5)'"},
        {"macaddr", "'08:00:2b:01:02:03'"}, {"pg_lsn", "'16/B374D848'"}, {"xid", "'17'"}, {"tid", "'(1,2)'"},
        {"regclass", "'pg_class'"}, {"jsonpath", "'$.\"a\"'"}, {"\"char\"", "'x'"}, {"text", "NULL"}, {"integer[]", "NULL"},
    };
    struct session *session = *state;
    sql("drop domain if exists contract_age cascade");
    sql("drop type if exists contract_mood, contract_both cascade");
    sql("create domain contract_age as integer check (value > 0)");
    sql("create type contract_mood as enum ('good', 'so so')");
    sql("create type contract_both as (a integer, b text)");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int alone = 0; alone < 2; alone++) {
            /* Beside a column of a type without known binary form, COPY is in text format. */
            char columns[128];
            struct found found;
            snprintf(columns, sizeof columns, "id integer primary key, v %s%s", cases[i].type, alone ? "" : ", other point");
            sql_table("types", columns);
            sql("insert into contract_types (id, v) values (1, %s)", cases[i].literal);
            struct target target = target_table(session, "contract_types");
            struct value values[3] = {value_integer(KIND_INT, 1), {.kind = KIND_NULL}, {.kind = KIND_NULL}};
            const struct row *row = row_of(session, &target, values);
            begin(session);
            MUST(driver->find_open(session->conn, &target, &row, 1, FIND_LOOK, &session->err));
            if (driver->find_next(session->conn, &found, &session->err) != 1)
                fail_msg("%s %s is not found: %s", cases[i].type, cases[i].literal, session->err.text);
            values[1] = *row_copy(session, &found.values[1], 1);
            assert_int_equal(driver->find_close(session->conn), 0);
            struct value fitted = values[1];
            if (driver->fit(&target.relation->columns[1], &fitted, session->arena, &session->err))
                fail_msg("%s %s does not fit: %s", cases[i].type, cases[i].literal, session->err.text);
            values[0].integer = 2;
            values[1] = fitted;
            row = row_of(session, &target, values);
            struct write write = write_of(&target, &row, 1, true);
            struct fault fault;
            if (driver->insert(session->conn, &write, &fault, &session->err))
                fail_msg("%s %s is not inserted: %s", cases[i].type, cases[i].literal, session->err.text);
            assert_int_equal(find_rows(session, &target, &row, 1, FIND_LOCK, NULL), 1);
            write = write_of(&target, &row, 1, false);
            if (driver->update(session->conn, &write, &fault, &session->err))
                fail_msg("%s %s is not updated: %s", cases[i].type, cases[i].literal, session->err.text);
            commit(session);
            const char *same = ask(session, "select (a.v::text is not distinct from b.v::text)::text"
                                            " from contract_types a, contract_types b where a.id = 1 and b.id = 2");
            if (strcmp(same, "true") != 0)
                fail_msg("%s %s came back as %s", cases[i].type, cases[i].literal,
                         ask(session, "select v::text from contract_types where id = 2"));
        }
}

static void what_the_server_normalises_is_told_as_ours(void **state)
{
    struct session *session = *state;
    struct found found;
    sql_table("addresses", "id bigint primary key, address inet");
    sql("insert into contract_addresses values (1, '10.0.0.1')");
    struct target target = target_table(session, "contract_addresses");
    assert_true(target.relation->columns[1].normalised);
    const struct row *row = pair(session, &target, 1, "10.0.0.1/32");
    begin(session);
    MUST(driver->find_open(session->conn, &target, &row, 1, FIND_LOCK, &session->err));
    assert_int_equal(driver->find_next(session->conn, &found, &session->err), 1);
    assert_non_null(found.ours);
    assert_int_equal(found.ours[0].integer, 1);
    assert_int_equal(found.ours[1].text.len, 8);
    assert_memory_equal(found.ours[1].text.bytes, "10.0.0.1", 8);
    assert_int_equal(driver->find_close(session->conn), 0);
    commit(session);
}

static void keys_of_many_types_are_found_by_the_index(void **state)
{
    static const struct {
        const char *type, *expression;
    } cases[] = {
        {"integer", "g::integer"}, {"numeric(20,2)", "g::numeric"}, {"text", "'k' || g"}, {"char(10)", "'k' || g"},
        {"uuid", "('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid"}, {"date", "date '2000-01-01' + g::integer"},
        {"timestamptz", "timestamptz '2000-01-01Z' + g * interval '1 s'"}, {"bytea", "int8send(g)"},
        {"double precision", "g / 7.0"}, {"inet", "inet '10.0.0.0' + g"}, {"contract_age", "g::integer"},
        {"text collate \"C\"", "'k' || g"}, {"time", "time '00:00' + g * interval '1 s'"},
    };
    struct session *session = *state;
    sql("drop domain if exists contract_age cascade");
    sql("create domain contract_age as integer check (value > 0)");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char columns[128];
        snprintf(columns, sizeof columns, "k %s primary key, name text", cases[i].type);
        sql_table("keys", columns);
        sql("insert into contract_keys select %s, 'x' from generate_series(1::bigint, 3000) g", cases[i].expression);
        sql("analyze contract_keys");
        struct relation *relation = describe_table(session, "contract_keys");
        struct target target = target_of(session, relation);
        struct plan plan = plan_by_key(session, relation);
        plan.limit = 100;
        struct rows there = read_all(session, &plan);
        const struct row *rows[100];
        for (size_t j = 0; j < 100; j++)
            rows[j] = row_of(session, &target, there.row[j]);
        begin(session);
        if (find_rows(session, &target, rows, 100, FIND_LOCK, NULL) != 100)
            fail_msg("not all keys of type %s were found", cases[i].type);
        commit(session);
        /* Each key is a scan of its own, which the server tells once the session has ended. */
        session_reopen(session);
        const char *scans = "select idx_scan >= 100 from pg_stat_user_tables where relname = 'contract_keys'";
        bool told = false;
        for (int tries = 0; tries < 500 && !told; tries++) {
            sql("select pg_sleep(0.01)");
            told = strcmp(ask(session, scans), "t") == 0;
        }
        if (!told)
            fail_msg("keys of type %s were looked for without the index", cases[i].type);
    }
}

/* Their rows come as they lie in the table: here from the last key to the first. */
static void integer_keys_are_found_wherever_their_rows_lie(void **state)
{
    static const char *const types[] = {"smallint", "integer", "bigint", "oid", "contract_age"};
    struct session *session = *state;
    sql("drop domain if exists contract_age cascade");
    sql("create domain contract_age as integer check (value > 0)");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char columns[128];
        snprintf(columns, sizeof columns, "k %s primary key, name text", types[i]);
        sql_table("integers", columns);
        sql("insert into contract_integers select (2 * g)::bigint::%s, g from generate_series(5000, 1, -1) g", types[i]);
        sql("analyze contract_integers");
        struct target target = target_table(session, "contract_integers");
        const struct row *rows[600];
        struct found found;
        size_t count = 0;
        int more;
        for (size_t j = 0; j < 600; j++) /* every other key is not there */
            rows[j] = pair(session, &target, (int64_t)(j + 1) * 5, NULL);
        begin(session);
        MUST(driver->find_open(session->conn, &target, rows, 600, FIND_LOOK, &session->err));
        for (; (more = driver->find_next(session->conn, &found, &session->err)) == 1; count++) {
            assert_int_equal(found.row->values[0].integer, found.values[0].integer);
            assert_int_equal(strtol(found.values[1].text.bytes, NULL, 10) * 2, found.values[0].integer);
        }
        if (more)
            fail_msg("find_next: %s", session->err.text);
        assert_int_equal(driver->find_close(session->conn), 0);
        assert_int_equal(count, 300);
        commit(session);
        session_reopen(session);
        bool told = false;
        for (int tries = 0; tries < 3000 && !told; tries++) { /* the server tells it when it finds the time */
            sql("select pg_sleep(0.01)");
            told = strcmp(ask(session, "select coalesce(sum(idx_scan), 0) > 0 from pg_stat_user_tables"
                                       " where relname = 'contract_integers'"), "t") == 0;
        }
        if (!told)
            fail_msg("keys of type %s were looked for without the index", types[i]);
    }
}

/* Keys that lie close together are looked for as a range: whatever else lies in it is not ours. */
static void integer_keys_are_found_wherever_they_lie(void **state)
{
    static const struct {
        const char *what, *type, *there;
        int64_t keys[6];
        size_t count;
        const char *found;
    } cases[] = {
        {"all", "integer", "1, 2, 3", {1, 2, 3}, 3, "1 2 3"},
        {"one", "integer", "4, 5, 6", {5}, 1, "5"},
        {"one that is not there", "integer", "4, 6", {5}, 1, ""},
        {"some are not there", "integer", "2, 5", {1, 2, 3, 4, 5}, 5, "2 5"},
        {"none of those that are there", "integer", "2, 4", {1, 3, 5}, 3, ""},
        {"others between, before and behind", "integer", "0, 1, 2, 3, 4, 5, 6, 7", {1, 3, 4, 6}, 4, "1 3 4 6"},
        {"around 0", "integer", "-2, -1, 0, 1", {-2, 0, 1}, 3, "-2 0 1"},
        {"far apart", "integer", "1, 2, 1000, 1000000", {1, 1000, 1000000}, 3, "1 1000 1000000"},
        {"a range with one far off", "integer", "1, 2, 3, 1000000", {1, 2, 3, 1000000}, 4, "1 2 3 1000000"},
        {"the lowest", "bigint", "-9223372036854775808, -9223372036854775807, -9223372036854775806",
         {INT64_MIN, INT64_MIN + 2}, 2, "-9223372036854775808 -9223372036854775806"},
        {"the highest", "bigint", "9223372036854775805, 9223372036854775806, 9223372036854775807",
         {INT64_MAX - 2, INT64_MAX}, 2, "9223372036854775805 9223372036854775807"},
        {"both ends", "bigint", "-9223372036854775808, 0, 9223372036854775807", {INT64_MIN, INT64_MAX}, 2,
         "-9223372036854775808 9223372036854775807"},
        {"half of all there are", "bigint", "-4611686018427387904, 0, 4611686018427387904",
         {-(INT64_C(1) << 62), INT64_C(1) << 62}, 2, "-4611686018427387904 4611686018427387904"},
        {"the lowest", "integer", "-2147483648, -2147483647", {INT32_MIN, INT32_MIN + 1}, 2, "-2147483648 -2147483647"},
        {"the highest", "integer", "2147483646, 2147483647", {INT32_MAX - 1, INT32_MAX}, 2, "2147483646 2147483647"},
        {"the lowest", "smallint", "-32768, -32767", {INT16_MIN, INT16_MIN + 1}, 2, "-32768 -32767"},
        {"the highest", "smallint", "32766, 32767", {INT16_MAX - 1, INT16_MAX}, 2, "32766 32767"},
        {"both ends", "smallint", "-32768, 0, 32767", {INT16_MIN, INT16_MAX}, 2, "-32768 32767"},
        {"the highest", "oid", "0, 4294967294, 4294967295", {UINT32_MAX - INT64_C(1), UINT32_MAX}, 2, "4294967294 4294967295"},
        {"of a domain", "contract_age", "1, 2, 3", {1, 3}, 2, "1 3"},
    };
    struct session *session = *state;
    sql("drop domain if exists contract_age cascade");
    sql("create domain contract_age as integer check (value > 0)");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char columns[64];
        const char *text;
        snprintf(columns, sizeof columns, "k %s primary key", cases[i].type);
        sql_table("integers", columns);
        sql("insert into contract_integers select k::bigint::%s from unnest('{%s}'::bigint[]) k", cases[i].type, cases[i].there);
        struct target target = target_table(session, "contract_integers");
        const struct row *rows[6];
        for (size_t j = 0; j < cases[i].count; j++)
            rows[j] = row_of(session, &target, (struct value[]){value_integer(KIND_INT, cases[i].keys[j])});
        begin(session);
        for (int mode = FIND_LOOK; mode <= FIND_LOCK; mode++) {
            find_rows(session, &target, rows, cases[i].count, (enum find_mode)mode, &text);
            if (strcmp(text, cases[i].found) != 0)
                fail_msg("%s, %s: found '%s', not '%s'", cases[i].type, cases[i].what, text, cases[i].found);
        }
        commit(session);
    }
}

/* How the session has read by an index until now, once the server tells it; the next begins at 0. */
static void read_by_index(struct session *session, const char *index, unsigned long *scans, unsigned long *rows)
{
    session_reopen(session);
    const char *query = arena_printf(session->arena, "select idx_scan || ' ' || idx_tup_read from pg_stat_user_indexes"
                                                     " where indexrelname = '%s'", index);
    *scans = 0;
    for (int tries = 0; tries < 3000 && *scans == 0; tries++) {
        if (sscanf(ask(session, query), "%lu %lu", scans, rows) != 2)
            fail_msg("the server does not count what is read by %s", index);
        sql("select pg_sleep(0.01)");
    }
    sql("select pg_stat_reset_single_table_counters('%s'::regclass)", index);
}

/* Neither the rows between ours nor those that were deleted change which of ours is told. */
static void close_keys_are_read_in_one_scan_and_far_ones_alone(void **state)
{
    struct session *session = *state;
    sql_table("pairs", "id bigint primary key, name text");
    sql("insert into contract_pairs select g, 'name ' || g from generate_series(3000, 1, -1) g");
    sql("delete from contract_pairs where id %% 10 = 0");
    sql("vacuum analyze contract_pairs");
    struct target target = target_table(session, "contract_pairs");
    const struct row *rows[1000];
    struct found found;
    size_t count = 0, there = 0;
    unsigned long scans, read;
    int more;
    for (size_t j = 0; j < 1000; j++) {
        rows[j] = pair(session, &target, 1001 + (int64_t)j * 2 - (j % 3 == 0), NULL);
        there += rows[j]->values[0].integer % 10 != 0;
    }
    begin(session);
    MUST(driver->find_open(session->conn, &target, rows, 1000, FIND_LOOK, &session->err));
    for (; (more = driver->find_next(session->conn, &found, &session->err)) == 1; count++) {
        char name[32];
        snprintf(name, sizeof name, "name %" PRId64, found.row->values[0].integer);
        assert_int_equal(found.values[0].integer, found.row->values[0].integer);
        assert_int_equal(found.values[1].text.len, strlen(name));
        assert_memory_equal(found.values[1].text.bytes, name, strlen(name));
    }
    if (more)
        fail_msg("find_next: %s", session->err.text);
    assert_int_equal(driver->find_close(session->conn), 0);
    assert_int_equal(count, there);
    commit(session);
    read_by_index(session, "contract_pairs_pkey", &scans, &read);
    assert_in_range(scans, 1, 10); /* the planner looks at its ends, too */
    assert_in_range(read, 1799, 1810);
    const struct row *far[] = {rows[1], rows[998]};
    begin(session);
    assert_int_equal(find_rows(session, &target, far, 2, FIND_LOOK, NULL), 2);
    commit(session);
    read_by_index(session, "contract_pairs_pkey", &scans, &read);
    assert_in_range(read, 2, 10);
}

static void compound_key_is_found(void **state)
{
    struct session *session = *state;
    const char *text;
    sql_table("compound", "name text, b integer not null, a text not null, primary key (a, b)");
    sql("insert into contract_compound values ('x', 1, 'a'), ('y', 2, 'a'), ('z', 1, 'b')");
    struct target target = target_table(session, "contract_compound");
    struct value first[] = {text_value("a"), value_integer(KIND_INT, 2), {.kind = KIND_NULL}};
    struct value second[] = {text_value("b"), value_integer(KIND_INT, 2), {.kind = KIND_NULL}};
    const struct row *rows[] = {row_of(session, &target, first), row_of(session, &target, second)};
    begin(session);
    assert_int_equal(find_rows(session, &target, rows, 2, FIND_LOOK, &text), 1);
    assert_string_equal(text, "y|2|a");
    commit(session);
}

static void keys_rank_as_the_index_sees_them(void **state)
{
    struct session *session = *state;
    uint32_t ranks[3];
    sql("create collation if not exists contract_blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    sql_table("blind", "id text collate contract_blind primary key");
    struct target target = target_table(session, "contract_blind");
    assert_false(target.relation->columns[0].exact);
    struct value values[] = {text_value("B"), text_value("a"), text_value("b")};
    const struct row *rows[3];
    for (size_t i = 0; i < 3; i++)
        rows[i] = row_of(session, &target, &values[i]);
    MUST(driver->rank(session->conn, &target, rows, 3, ranks, &session->err));
    assert_int_equal(ranks[0], ranks[2]);
    assert_true(ranks[1] < ranks[0]);
}

/* tests: describing */

static void catalogue_tells_what_fits(void **state)
{
    struct session *session = *state;
    sql("drop sequence if exists contract_numbers_seq");
    sql_table("fits", "id bigint generated always as identity primary key, s serial, n smallint, d numeric(12,3),"
                      " h numeric(3,-2), t varchar(7), c char(4), f real, g integer generated always as (id + 1) stored,"
                      " j jsonb, e text default 'x', m name, a varchar(3)[], cc text collate \"C\"");
    const struct relation *relation = describe_table(session, "contract_fits");
    const struct column *c = relation->columns;
    assert_true(c[0].identity && c[0].defaulted && c[0].exact && c[0].generated);
    assert_true(c[1].identity && c[1].bits == 32);
    assert_true(c[2].bits == 16 && !c[2].identity && !c[2].defaulted);
    assert_true(c[3].precision == 12 && c[3].scale == 3 && c[3].exact);
    assert_true(c[4].precision == 5 && c[4].scale == 0);
    assert_true(c[5].max_chars == 7 && c[5].exact && !c[5].normalised);
    assert_true(c[6].max_chars == 4 && c[6].exact);
    assert_true(c[7].single && !c[7].exact);
    assert_true(c[8].generated);
    assert_true(c[9].normalised && !c[9].exact);
    assert_true(c[10].defaulted && !c[10].identity);
    assert_true(c[11].max_bytes == 63);
    assert_true(c[12].max_chars == 3 && c[12].element_kind == KIND_TEXT);
    assert_true(c[13].exact);
    assert_false(relation->triggers);
    assert_true(relation->bulk);
    sql("create or replace function contract_touch() returns trigger language plpgsql as 'begin return new; end'");
    sql("create trigger touch before update on contract_fits for each row execute function contract_touch()");
    assert_true(describe_table(session, "contract_fits")->triggers);
}

static const char *fit_error(struct session *session, const struct column *column, struct value value)
{
    err_clear(&session->err);
    return driver->fit(column, &value, session->arena, &session->err) ? session->err.text : "";
}

static void what_does_not_fit_is_refused_with_a_reason(void **state)
{
    struct session *session = *state;
    sql_table("fits", "id bigint primary key, t text, j jsonb, h numeric(3,-2), o oid, d date, w time(2), a integer[], c char(3)");
    const struct column *c = describe_table(session, "contract_fits")->columns;
    assert_string_equal(fit_error(session, &c[1], value_text(KIND_TEXT, "a\0b", 3)),
                        "holds the character U+0000, which PostgreSQL cannot keep");
    assert_string_not_equal(fit_error(session, &c[2], value_text(KIND_JSON, "\"\\u0000\"", 8)), "");
    assert_string_equal(fit_error(session, &c[2], value_text(KIND_JSON, "\"\\\\u0000\"", 9)), "");
    assert_string_not_equal(fit_error(session, &c[3], value_text(KIND_DECIMAL, "12345", 5)), "");
    assert_string_equal(fit_error(session, &c[3], value_text(KIND_DECIMAL, "12300", 5)), "");
    assert_string_not_equal(fit_error(session, &c[4], value_integer(KIND_INT, -1)), "");
    assert_string_equal(fit_error(session, &c[5], text_value("today")), "is no date");
    assert_string_not_equal(fit_error(session, &c[5], text_value("2024-02-30")), "");
    assert_string_equal(fit_error(session, &c[5], text_value("infinity")), "");
    assert_string_not_equal(fit_error(session, &c[6], text_value("01:02:03.456")), "");
    assert_string_equal(fit_error(session, &c[6], text_value("01:02:03.450")), "");
    struct value numbers[] = {value_integer(KIND_INT, 1), value_integer(KIND_INT, 2)};
    struct value lists[] = {{.kind = KIND_LIST, .list = {numbers, 2}}, {.kind = KIND_LIST, .list = {numbers, 1}}};
    assert_string_not_equal(fit_error(session, &c[7], (struct value){.kind = KIND_LIST, .list = {lists, 2}}), "");
    struct value padded = text_value("å");
    MUST(driver->fit(&c[8], &padded, session->arena, (err_clear(&session->err), &session->err)));
    assert_int_equal(padded.text.len, 4);
    assert_memory_equal(padded.text.bytes, "å  ", 4);
}

/* tests: specials */

static void specials_are_set_on_insert_and_update(void **state)
{
    struct session *session = *state;
    struct fault fault;
    sql_table("versions", "id bigint primary key, name text, version integer, changed timestamptz(3), region text,"
                          " started integer default 5, day timestamp(0)");
    struct relation *relation = describe_table(session, "contract_versions");
    struct target target = target_of(session, relation);
    target.column_count = 2;
    struct special specials[] = {
        {.column = column_index(relation, "version"), .kind = SPECIAL_NEXT},
        {.column = column_index(relation, "changed"), .kind = SPECIAL_NEXT},
        {.column = column_index(relation, "region"), .kind = SPECIAL_VALUE, .value = {.type = CONFIG_STRING, .text = "N'O"}},
        {.column = column_index(relation, "started"), .kind = SPECIAL_NEXT},
        {.column = column_index(relation, "day"), .kind = SPECIAL_NOW},
    };
    const struct row *rows[] = {pair(session, &target, 1, "a"), pair(session, &target, 2, "b")};
    struct write write = write_of(&target, rows, 2, true);
    write.specials = specials;
    write.special_count = 5;
    begin(session);
    MUST(driver->insert(session->conn, &write, &fault, &session->err));
    commit(session);
    const char *now = "select string_agg((id, name, version, region, started, abs(extract(epoch from now() - changed)) < 60,"
                      " abs(extract(epoch from now() at time zone 'UTC' - day)) < 60)::text, ' ' order by id) from contract_versions";
    assert_string_equal(ask(session, now), "(1,a,1,N'O,5,t,t) (2,b,1,N'O,5,t,t)");
    sql("update contract_versions set changed = '2100-01-01', version = null where id = 2");
    begin(session);
    assert_int_equal(find_rows(session, &target, rows, 2, FIND_LOOK, NULL), 2);
    write = write_of(&target, rows, 2, false);
    write.specials = specials;
    write.special_count = 5;
    MUST(driver->update(session->conn, &write, &fault, &session->err));
    commit(session);
    assert_string_equal(ask(session, "select string_agg((id, version, started)::text, ' ' order by id) from contract_versions"),
                        "(1,2,6) (2,1,6)");
    assert_string_equal(ask(session, "select to_char(changed at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') from contract_versions"
                                     " where id = 2"),
                        "2100-01-01 00:00:00.001000");
}

/* tests: other relations */

static void partitioned_table_takes_all_writes(void **state)
{
    struct session *session = *state;
    struct fault fault;
    sql("drop table if exists contract_parts");
    sql("create table contract_parts (id bigint primary key, name text) partition by range (id)");
    sql("create table contract_parts_1 partition of contract_parts for values from (0) to (10)");
    sql("create table contract_parts_2 partition of contract_parts for values from (10) to (20)");
    struct target target = target_table(session, "contract_parts");
    const struct row *rows[] = {pair(session, &target, 1, "a"), pair(session, &target, 11, "b")};
    begin(session);
    insert_rows(session, &target, rows, 2);
    commit(session);
    begin(session);
    assert_int_equal(find_rows(session, &target, rows, 2, FIND_LOCK, NULL), 2);
    const struct row *changed[] = {pair(session, &target, 1, "c"), pair(session, &target, 11, "d")};
    for (size_t i = 0; i < 2; i++)
        ((struct row *)changed[i])->stamp = rows[i]->stamp;
    struct write write = write_of(&target, changed, 2, false);
    MUST(driver->update(session->conn, &write, &fault, &session->err));
    commit(session);
    assert_string_equal(ask(session, "select string_agg(t::text, ' ' order by id) from contract_parts t"), "(1,c) (11,d)");
    begin(session);
    find_rows(session, &target, rows, 2, FIND_LOOK, NULL);
    write = write_of(&target, rows, 2, false);
    MUST(driver->erase(session->conn, &write, &fault, &session->err));
    commit(session);
    assert_string_equal(ask(session, "select count(*) from contract_parts"), "0");
}

static void table_with_rules_is_filled_without_copy(void **state)
{
    struct session *session = *state;
    sql_table("ruled", "id bigint primary key, name text, address inet");
    sql("create rule noted as on insert to contract_ruled do also select 1");
    sql("drop rule noted on contract_ruled");
    sql("create rule noted as on update to contract_ruled where false do also nothing");
    struct target target = target_table(session, "contract_ruled");
    assert_false(target.relation->bulk);
    struct value values[] = {value_integer(KIND_INT, 1), text_value("a"), text_value("10.0.0.1")};
    const struct row *row = row_of(session, &target, values);
    begin(session);
    insert_rows(session, &target, &row, 1);
    commit(session);
    assert_string_equal(ask(session, "select t::text from contract_ruled t"), "(1,a,10.0.0.1)");
}

/* tests: races */

static struct conn *second_connection(struct session *session)
{
    struct conn *conn = NULL;
    MUST(driver->open(&conn, contract->system, &session->err));
    return conn;
}

static void update_after_anothers_update_is_a_race(void **state)
{
    struct session *session = *state;
    struct fault fault;
    sql_table("pairs", "id bigint primary key, name text");
    sql("insert into contract_pairs values (1, 'a')");
    struct target target = target_table(session, "contract_pairs");
    const struct row *row = pair(session, &target, 1, "b");
    for (int erase = 0; erase < 2; erase++) {
        begin(session);
        assert_int_equal(find_rows(session, &target, &row, 1, FIND_LOOK, NULL), 1);
        sql("update contract_pairs set name = 'other' where id = 1");
        struct write write = write_of(&target, &row, 1, false);
        expect_error(session, (erase ? driver->erase : driver->update)(session->conn, &write, &fault, &session->err), ERR_RACE);
        assert_int_equal(driver->rollback(session->conn), 0);
        err_clear(&session->err);
        assert_string_equal(ask(session, "select name from contract_pairs"), "other");
    }
}

static void wait_for_a_lock_ends(void **state)
{
    struct session *session = *state;
    sql_table("pairs", "id bigint primary key, name text");
    sql("insert into contract_pairs values (1, 'a')");
    struct target target = target_table(session, "contract_pairs");
    const struct row *row = pair(session, &target, 1, "b");
    struct found found;
    sql("begin");
    sql("update contract_pairs set name = 'held'");
    MUST(driver->begin(session->conn, true, 0.2, &session->err));
    MUST(driver->find_open(session->conn, &target, &row, 1, FIND_LOCK, &session->err));
    int got = driver->find_next(session->conn, &found, &session->err);
    assert_int_equal(got, -1);
    assert_int_equal(session->err.code, ERR_BUSY);
    assert_int_equal(driver->find_close(session->conn), 0);
    sql("rollback");
    assert_int_equal(driver->rollback(session->conn), 0);
}

static void commit_of_a_failed_transaction_is_an_error(void **state)
{
    struct session *session = *state;
    sql_table("pairs", "id bigint primary key, name text not null");
    struct target target = target_table(session, "contract_pairs");
    const struct row *row = pair(session, &target, 1, NULL);
    struct write write = write_of(&target, &row, 1, true);
    struct fault fault;
    struct err second = {0};
    begin(session);
    expect_error(session, driver->insert(session->conn, &write, &fault, &session->err), ERR_VALUE);
    assert_int_equal(driver->commit(session->conn, &second), -1);
    assert_int_equal(driver->rollback(session->conn), 0);
}

/* Each has what the other wants: the server ends one of them. */
static void deadlock_is_a_race(void **state)
{
    struct session *session = *state;
    struct found found;
    sql_table("pairs", "id bigint primary key, name text");
    sql("insert into contract_pairs values (1, 'a'), (2, 'b')");
    struct target target = target_table(session, "contract_pairs");
    const struct row *first = pair(session, &target, 1, "x"), *second = pair(session, &target, 2, "x");
    sql("begin");
    sql("update contract_pairs set name = 'held' where id = 2");
    begin(session);
    find_rows(session, &target, &first, 1, FIND_LOCK, NULL);
    /* The other waits longer before it looks for a deadlock, so that ours is the one to end. */
    sql("set local deadlock_timeout = '100s'");
    assert_true(PQsendQuery(native_connection, "update contract_pairs set name = 'held' where id = 1"));
    MUST(driver->find_open(session->conn, &target, &second, 1, FIND_LOCK, &session->err));
    expect_error(session, driver->find_next(session->conn, &found, &session->err), ERR_RACE);
    assert_int_equal(driver->find_close(session->conn), 0);
    assert_int_equal(driver->rollback(session->conn), 0);
    for (PGresult *result; (result = PQgetResult(native_connection)); PQclear(result))
        continue;
    sql("rollback");
}

/* tests: faults */

static void fault_tells_row_and_column(void **state)
{
    static const struct {
        const char *columns; /* beside the key */
        const char *bad;     /* value of the second row; NULL is NULL */
        size_t row, column;
        bool duplicate, address;
    } cases[] = {
        {"name text not null", NULL, 1, 1, false, false},
        {"name varchar(3)", "secret-value", 1, 1, false, false},
        {"name text check (name <> 'secret-value')", "secret-value", 1, SIZE_MAX, false, false},
        {"name text unique", "a", 1, SIZE_MAX, true, false},
        {"name inet", "secret-value", 1, 1, false, true},
    };
    struct session *session = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char columns[128];
        struct fault fault;
        snprintf(columns, sizeof columns, "id bigint primary key, %s", cases[i].columns);
        sql_table("faults", columns);
        struct target target = target_table(session, "contract_faults");
        const struct row *rows[] = {pair(session, &target, 1, cases[i].address ? "10.0.0.1" : "a"),
                                    pair(session, &target, 2, cases[i].bad), pair(session, &target, 3, NULL)};
        struct write write = write_of(&target, rows, 2, true);
        begin(session);
        expect_error(session, driver->insert(session->conn, &write, &fault, &session->err), ERR_VALUE);
        if (fault.row != cases[i].row || fault.column != cases[i].column || fault.duplicate != cases[i].duplicate)
            fail_msg("%s: row %zu, column %zu, duplicate %d", cases[i].columns, fault.row, fault.column, fault.duplicate);
        if (strstr(session->err.text, "secret"))
            fail_msg("a value is told: %s", session->err.text);
        assert_int_equal(driver->rollback(session->conn), 0);
        err_clear(&session->err);
    }
}

static void changed_type_is_noticed_before_bytes_are_taken_for_it(void **state)
{
    struct session *session = *state;
    struct fault fault;
    sql_table("pairs", "id bigint primary key, name text");
    struct target target = target_table(session, "contract_pairs");
    const struct row *row = pair(session, &target, 1, "12345678");
    sql("alter table contract_pairs alter column name type bigint using 1");
    struct write write = write_of(&target, &row, 1, true);
    begin(session);
    expect_error(session, driver->insert(session->conn, &write, &fault, &session->err), ERR_CHANGED);
    assert_int_equal(driver->rollback(session->conn), 0);
    struct found found;
    err_clear(&session->err);
    begin(session);
    MUST(driver->find_open(session->conn, &target, &row, 1, FIND_LOOK, &session->err));
    expect_error(session, driver->find_next(session->conn, &found, &session->err), ERR_CHANGED);
    assert_int_equal(driver->rollback(session->conn), 0);
}

static void missing_right_names_the_grant(void **state)
{
    struct session *session = *state;
    struct err *err = &session->err;
    sql_table("pairs", "id bigint primary key, name text");
    struct target target = target_table(session, "contract_pairs");
    const struct row *row = pair(session, &target, 1, "a");
    struct write write = write_of(&target, &row, 1, true);
    struct fault fault;
    MUST(driver->begin(session->conn, false, 5, err));
    expect_error(session, driver->insert(session->conn, &write, &fault, err), ERR_AWAY);
    assert_null(strstr(err->hint, "sources"));
    assert_int_equal(driver->rollback(session->conn), 0);
}

/* tests: full syncs */

static void drop_state(void)
{
    sql("drop table if exists sesam_sql_sync, sesam_sql_request, sesam_sql_retired");
}

static struct sync_state lock_state(struct session *session, const struct target *target, bool exclusive)
{
    struct sync_state sync;
    MUST(driver->sync_lock(session->conn, target, exclusive, &sync, session->arena, &session->err));
    return sync;
}

static const char *seen_list(struct session *session, const struct target *target, const struct row *const *rows,
                             size_t count)
{
    struct buf list = {0};
    buf_putc(&list, '[');
    for (size_t i = 0; i < count; i++)
        MUST(driver->seen(target, rows[i], &list, &session->err));
    buf_putc(&list, ']');
    const char *text = arena_strdup(session->arena, buf_text(&list));
    buf_free(&list);
    return text;
}

static void sequence_goes_from_begin_to_end(void **state)
{
    struct session *session = *state;
    struct receipt receipt = {"r1", "abc", "{\"inserted\":1}"}, got;
    bool over;
    drop_state();
    sql_table("pairs", "id bigint primary key, name text");
    struct target target = target_table(session, "contract_pairs");
    begin(session);
    assert_false(lock_state(session, &target, true).exists);
    commit(session);
    MUST(driver->sync_prepare(session->conn, &target, &session->err));
    MUST(driver->sync_prepare(session->conn, &target, &session->err));
    begin(session);
    assert_false(lock_state(session, &target, true).exists);
    MUST(driver->sync_begin(session->conn, &target, "s1", &session->err));
    struct sync_state sync = {.exists = true, .open = true, .sequence_id = "s1"};
    MUST(driver->sync_add(session->conn, &target, &sync, "[1,\"a,]\\\"\",[3,4]]", 17, &receipt, &session->err));
    MUST(driver->sync_add(session->conn, &target, &sync, "[9]", 3, NULL, &session->err));
    commit(session);
    begin(session);
    sync = lock_state(session, &target, true);
    assert_true(sync.exists && sync.open && sync.requests == 1 && sync.entities == 3);
    assert_string_equal(sync.sequence_id, "s1");
    assert_string_equal(sync.request_id, "r1");
    MUST(driver->sync_receipt(session->conn, &target, "s1", "r1", &got, session->arena, &session->err));
    assert_string_equal(got.request_id, "r1");
    assert_string_equal(got.digest, "abc");
    assert_string_equal(got.answer, "{\"inserted\":1}");
    MUST(driver->sync_receipt(session->conn, &target, "s1", "r2", &got, session->arena, &session->err));
    assert_null(got.request_id);
    MUST(driver->sync_is_over(session->conn, &target, "s1", &over, &session->err));
    assert_false(over);
    MUST(driver->sync_end(session->conn, &target, "s1", &session->err));
    MUST(driver->sync_is_over(session->conn, &target, "s1", &over, &session->err));
    assert_true(over);
    MUST(driver->sync_receipt(session->conn, &target, "s1", "r1", &got, session->arena, &session->err));
    assert_string_equal(got.answer, "{\"inserted\":1}");
    commit(session);
    assert_string_equal(ask(session, "select count(*) || ' ' || count(seen) from sesam_sql_request"), "1 0");
    begin(session);
    MUST(driver->sync_begin(session->conn, &target, "s2", &session->err));
    MUST(driver->sync_is_over(session->conn, &target, "s1", &over, &session->err));
    assert_true(over);
    sync = lock_state(session, &target, true);
    assert_true(sync.open && sync.requests == 0 && !sync.request_id);
    commit(session);
    assert_string_equal(ask(session, "select count(*) from sesam_sql_request"), "0");
}

static void tables_dropped_behind_our_back_are_a_race_once(void **state)
{
    struct session *session = *state;
    struct sync_state sync;
    sql_table("pairs", "id bigint primary key, name text");
    struct target target = target_table(session, "contract_pairs");
    MUST(driver->sync_prepare(session->conn, &target, &session->err));
    begin(session);
    lock_state(session, &target, true);
    commit(session);
    drop_state();
    begin(session);
    expect_error(session, driver->sync_lock(session->conn, &target, true, &sync, session->arena, &session->err), ERR_RACE);
    assert_int_equal(driver->rollback(session->conn), 0);
    err_clear(&session->err);
    begin(session);
    assert_false(lock_state(session, &target, true).exists);
    commit(session);
}

static void exclusive_lock_keeps_all_others_of_the_sink_out(void **state)
{
    struct session *session = *state;
    struct sync_state sync;
    struct err err = {0};
    sql_table("pairs", "id bigint primary key, name text");
    struct target target = target_table(session, "contract_pairs"), other = target;
    other.sink = "another";
    struct conn *second = second_connection(session);
    for (int exclusive = 0; exclusive < 2; exclusive++) {
        begin(session);
        lock_state(session, &target, exclusive);
        MUST(driver->begin(second, true, 0.1, &session->err));
        MUST(driver->sync_lock(second, &other, true, &sync, session->arena, &session->err));
        if (!exclusive)
            MUST(driver->sync_lock(second, &target, false, &sync, session->arena, &session->err));
        assert_int_equal(driver->sync_lock(second, &target, !exclusive, &sync, session->arena, &err), -1);
        assert_int_equal(err.code, ERR_BUSY);
        err_clear(&err);
        assert_int_equal(driver->rollback(second), 0);
        commit(session);
    }
    driver->close(second);
}

static uint64_t sweep_rows(struct session *session, struct sweep *sweep, uint64_t enough, uint64_t *total)
{
    uint64_t rows;
    MUST(driver->sweep(session->conn, sweep, enough, &rows, total, &session->err));
    return rows;
}

static void sweep_takes_what_no_list_has(void **state)
{
    struct session *session = *state;
    uint64_t total;
    drop_state();
    sql_table("pairs", "id bigint primary key, name text, region text, gone boolean");
    sql("insert into contract_pairs select g, 'x', case when g <= 8 then 'NO' else 'SE' end, false from generate_series(1, 10) g");
    struct relation *relation = describe_table(session, "contract_pairs");
    struct target target = target_of(session, relation);
    target.column_count = 2;
    struct special scope = {.column = 2, .kind = SPECIAL_VALUE, .value = {.type = CONFIG_STRING, .text = "NO"}};
    struct special dead = {.column = 3, .kind = SPECIAL_VALUE, .value = {.type = CONFIG_BOOL, .boolean = true}};
    struct special live = {.column = 3, .kind = SPECIAL_VALUE, .value = {.type = CONFIG_BOOL, .boolean = false}};
    target.scope = &scope;
    struct sync_state sync = {.exists = true, .open = true, .sequence_id = "s"};
    struct receipt receipt = {"r", "d", "{}"};
    MUST(driver->sync_prepare(session->conn, &target, &session->err));
    begin(session);
    MUST(driver->sync_begin(session->conn, &target, "s", &session->err));
    MUST(driver->sync_add(session->conn, &target, &sync, "[1,2]", 5, &receipt, &session->err));
    MUST(driver->sync_add(session->conn, &target, &sync, "[3]", 3, NULL, &session->err));
    struct sweep sweep = {.target = &target, .kind = SWEEP_COUNT, .sequence_id = "s", .seen = "[4]"};
    assert_int_equal(sweep_rows(session, &sweep, 3, &total), 4);
    assert_int_equal(total, 8);
    sweep.kind = SWEEP_MARK;
    sweep.specials = &dead;
    sweep.special_count = 1;
    sweep.dead = &dead;
    sweep.live = &live;
    sweep.seen = "[4,5,6]";
    assert_int_equal(sweep_rows(session, &sweep, 0, &total), 2);
    assert_int_equal(total, 8);
    assert_int_equal(sweep_rows(session, &sweep, 0, &total), 0);
    sweep.kind = SWEEP_DELETE;
    sweep.sequence_id = NULL;
    sweep.seen = "[1,2,3]";
    assert_int_equal(sweep_rows(session, &sweep, 0, &total), 5);
    assert_int_equal(total, 8);
    commit(session);
    assert_string_equal(ask(session, "select string_agg(id::text, ' ' order by id) from contract_pairs"), "1 2 3 9 10");
}

/* Lists of integers are kept as runs where those are few. */
static void list_of_seen_keys_is_kept_in_its_shorter_form(void **state)
{
    static const struct {
        const char *type, *list, *kept;
    } cases[] = {
        {"bigint", "[]", "[]"},
        {"bigint", "[5]", "[[5,5]]"},
        {"smallint", "[1,2,3,5,6,9]", "[[1,3],[5,6],[9,9]]"},
        {"integer", "[-2,-1,0,1]", "[[-2,1]]"},
        {"integer", "[3,2,1,1]", "[[3,3],[2,2],[1,1],[1,1]]"},
        {"integer", "[1,3,5,7,9,11,13,15]", "[[1,1],[3,3],[5,5],[7,7],[9,9],[11,11],[13,13],[15,15]]"},
        {"integer", "[1,3,5,7,9,11,13,15,17]", "[1,3,5,7,9,11,13,15,17]"},
        {"bigint", "[-9223372036854775808,-9223372036854775807,9223372036854775806,9223372036854775807]",
         "[[-9223372036854775808,-9223372036854775807],[9223372036854775806,9223372036854775807]]"},
        {"bigint", "[9223372036854775807,-9223372036854775808]",
         "[[9223372036854775807,9223372036854775807],[-9223372036854775808,-9223372036854775808]]"},
        {"oid", "[1,2,3]", "[1,2,3]"},
        {"numeric", "[\"1\",\"2\"]", "[\"1\",\"2\"]"},
    };
    struct session *session = *state;
    drop_state();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char columns[64];
        snprintf(columns, sizeof columns, "k %s primary key", cases[i].type);
        sql_table("kept", columns);
        struct target target = target_table(session, "contract_kept");
        struct sync_state sync = {.exists = true, .open = true, .sequence_id = "s"};
        MUST(driver->sync_prepare(session->conn, &target, &session->err));
        begin(session);
        MUST(driver->sync_begin(session->conn, &target, "s", &session->err));
        MUST(driver->sync_add(session->conn, &target, &sync, cases[i].list, strlen(cases[i].list), NULL, &session->err));
        commit(session);
        assert_string_equal(ask(session, "select seen from sesam_sql_request where target like '%contract_kept'"),
                            cases[i].kept);
    }
}

/* What is between runs goes, and so it does where not all lists are runs. */
static void sweep_takes_what_is_in_no_run(void **state)
{
    static const char nine[] = "[11,13,15,17,19,21,23,25,27]";
    static const struct {
        const char *what, *type, *there, *lists[3], *left; /* the first list comes with the sweep */
    } cases[] = {
        {"nothing was seen", "integer", "-2147483648, 0, 2147483647", {"[]"}, NULL},
        {"nothing was seen", "bigint", "-9223372036854775808, 0, 9223372036854775807", {"[]", "[]"}, NULL},
        {"all", "integer", "1, 2, 3", {"[1,2,3]"}, "1 2 3"},
        {"before, between and behind", "integer", "1, 2, 3, 4, 5, 6, 7, 8, 9", {"[2,3,4]", "[6]", "[8]"}, "2 3 4 6 8"},
        {"lists that overlap", "integer", "1, 2, 3, 4, 5, 6", {"[2,3,4]", "[3,4,5]"}, "2 3 4 5"},
        {"one within the other", "integer", "1, 2, 3, 4, 5, 6", {"[3]", "[2,3,4,5]", "[4]"}, "2 3 4 5"},
        {"seen and gone", "integer", "1, 4", {"[1,2,3]", "[7]"}, "1"},
        {"the ends stay", "smallint", "-32768, 0, 32767", {"[-32768]", "[32767]"}, "-32768 32767"},
        {"the ends go", "smallint", "-32768, 0, 32767", {"[-32767,0]", "[]"}, "0"},
        {"the ends stay", "bigint", "-9223372036854775808, -9223372036854775807, 0, 9223372036854775806, 9223372036854775807",
         {"[-9223372036854775808]", "[9223372036854775807]"}, "-9223372036854775808 9223372036854775807"},
        {"the ends go", "bigint", "-9223372036854775808, -9223372036854775807, 0, 9223372036854775806, 9223372036854775807",
         {"[-9223372036854775807,9223372036854775806]"}, "-9223372036854775807 9223372036854775806"},
        {"keys without runs", "integer", "10, 11, 12, 13, 28", {nine}, "11 13"},
        {"keys without runs, and runs", "integer", "1, 2, 3, 10, 11, 12, 13, 28", {"[1,2]", nine}, "1 2 11 13"},
        {"runs, and keys without", "bigint", "1, 2, 3, 10, 11, 12, 13, 28", {nine, "[1,2]", "[]"}, "1 2 11 13"},
    };
    struct session *session = *state;
    uint64_t total;
    drop_state();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char columns[64];
        snprintf(columns, sizeof columns, "k %s primary key", cases[i].type);
        sql_table("runs", columns);
        sql("insert into contract_runs select k from unnest('{%s}'::bigint[]) k", cases[i].there);
        struct target target = target_table(session, "contract_runs");
        struct sync_state sync = {.exists = true, .open = true, .sequence_id = "s"};
        struct sweep sweep = {.target = &target, .kind = SWEEP_COUNT, .seen = cases[i].lists[0]};
        MUST(driver->sync_prepare(session->conn, &target, &session->err));
        begin(session);
        MUST(driver->sync_begin(session->conn, &target, "s", &session->err));
        for (size_t j = 1; j < 3 && cases[i].lists[j]; j++) {
            sweep.sequence_id = "s";
            MUST(driver->sync_add(session->conn, &target, &sync, cases[i].lists[j], strlen(cases[i].lists[j]), NULL,
                                  &session->err));
        }
        uint64_t all = strtoull(ask(session, "select count(*) from contract_runs"), NULL, 10);
        uint64_t count = sweep_rows(session, &sweep, 0, &total);
        assert_int_equal(total, count ? all : 0);
        sweep.kind = SWEEP_DELETE;
        assert_int_equal(sweep_rows(session, &sweep, 0, &total), count);
        assert_int_equal(total, count ? all : 0);
        commit(session);
        const char *left = ask(session, "select coalesce(string_agg(k::text, ' ' order by k), '') from contract_runs");
        if (strcmp(left, cases[i].left ? cases[i].left : "") != 0)
            fail_msg("%s, %s: '%s' is left", cases[i].type, cases[i].what, left);
    }
}

static void only_gaps_between_runs_are_read(void **state)
{
    struct session *session = *state;
    unsigned long scans, read;
    uint64_t total;
    struct buf list = {0};
    sql_table("pairs", "id bigint primary key, name text");
    sql("insert into contract_pairs select g, 'x' from generate_series(1, 3000) g");
    sql("vacuum analyze contract_pairs");
    struct target target = target_table(session, "contract_pairs");
    for (int id = 1; id <= 3000; id++)
        if (id != 2000)
            buf_printf(&list, "%c%d", id == 1 ? '[' : ',', id);
    buf_putc(&list, ']');
    struct sweep sweep = {.target = &target, .kind = SWEEP_DELETE, .seen = buf_text(&list)};
    begin(session);
    assert_int_equal(sweep_rows(session, &sweep, 1, &total), 1);
    commit(session);
    buf_free(&list);
    read_by_index(session, "contract_pairs_pkey", &scans, &read);
    assert_in_range(read, 1, 10);
    assert_string_equal(ask(session, "select count(*) filter (where id <> 2000) || ' of ' || count(*) from contract_pairs"),
                        "2999 of 2999");
}

static void seen_keys_of_all_types_are_recognised(void **state)
{
    static const struct {
        const char *type, *literal;
    } cases[] = {
        {"integer", "-5"}, {"text", "E'a\"\\\\,]\\x01\\n{}å'"}, {"numeric(10,2)", "1.5"}, {"uuid", "'00112233-4455-6677-8899-aabbccddeeff'"},
        {"timestamptz", "'2024-01-01 00:00:00.000001Z'"}, {"timestamp", "'infinity'"}, {"date", "'2024-01-01'"}, {"bytea", "'\\x00ff'"},
        {"char(5)", "'ab'"}, {"boolean", "true"}, {"inet", "'10.0.0.1/8'"}, {"double precision", "0.1"}, {"interval", "'1 day'"},
    };
    struct session *session = *state;
    uint64_t total;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int compound = 0; compound < 2; compound++) {
            char columns[128];
            snprintf(columns, sizeof columns, "k %s, n integer, primary key (k%s)", cases[i].type, compound ? ", n" : "");
            sql_table("seen", columns);
            sql("insert into contract_seen values (%s, 1)", cases[i].literal);
            struct relation *relation = describe_table(session, "contract_seen");
            struct target target = target_of(session, relation);
            struct plan plan = plan_all(session, relation, NULL);
            struct rows rows = read_all(session, &plan);
            const struct row *row = row_of(session, &target, rows.row[0]);
            struct sweep sweep = {.target = &target, .kind = SWEEP_DELETE, .seen = seen_list(session, &target, &row, 1)};
            begin(session);
            if (sweep_rows(session, &sweep, 0, &total) != 0)
                fail_msg("a key of type %s was not recognised: %s", cases[i].type, sweep.seen);
            sweep.seen = "[]";
            assert_int_equal(sweep_rows(session, &sweep, 0, &total), 1);
            commit(session);
        }
}

static void role_without_rights_is_told_what_to_run(void **state)
{
    struct session *session = *state;
    drop_state();
    sql("drop schema if exists contract_closed cascade");
    sql("drop role if exists contract_poor");
    sql("create role contract_poor login password 'poor'");
    sql("create schema contract_closed");
    sql("grant usage on schema contract_closed to contract_poor");
    sql("create table contract_closed.pairs (id bigint primary key, name text)");
    struct config_system system = *contract->system;
    system.username = "contract_poor";
    system.password = "poor";
    struct conn *poor = NULL;
    MUST(driver->open(&poor, &system, &session->err));
    struct target target = target_of(session, describe(session, &(struct subject){.schema = "contract_closed", .table = "pairs"}));
    expect_error(session, driver->sync_prepare(poor, &target, &session->err), ERR_DATABASE);
    assert_non_null(strstr(session->err.hint, "sesam-sql ddl postgresql"));
    assert_non_null(strstr(session->err.hint, "contract_closed"));
    assert_int_equal(driver->ping(poor, &session->err), 0);
    driver->close(poor);
    sql("drop schema contract_closed cascade");
    sql("drop role contract_poor");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, session_setup, session_teardown)

static PGconn *connect_natively(const struct config_system *system)
{
    char port[16];
    snprintf(port, sizeof port, "%u", system->port);
    PGconn *pg = PQsetdbLogin(system->host, port, NULL, NULL, system->database, system->username, system->password);
    PQclear(PQexec(pg, "set client_min_messages = warning; set timezone = 'UTC'"));
    return pg;
}

/* test_postgres may run beside this, and both drop the tables of full syncs: this has a database of its own. */
static struct config_system make_database(const struct config_system *system)
{
    static char name[] = "contract_write";
    struct config_system alone = *system;
    PGconn *pg = connect_natively(system);
    if (run_native(pg, "drop database if exists contract_write") || run_native(pg, "create database contract_write"))
        exit(99);
    PQfinish(pg);
    alone.database = name;
    native_connection = connect_natively(&alone);
    return alone;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(row_is_inserted_found_updated_and_deleted),
        TEST(rollback_leaves_nothing),
        TEST(types_come_back_as_they_went),
        TEST(what_the_server_normalises_is_told_as_ours),
        TEST(keys_of_many_types_are_found_by_the_index),
        TEST(integer_keys_are_found_wherever_their_rows_lie),
        TEST(integer_keys_are_found_wherever_they_lie),
        TEST(close_keys_are_read_in_one_scan_and_far_ones_alone),
        TEST(compound_key_is_found),
        TEST(keys_rank_as_the_index_sees_them),
        TEST(catalogue_tells_what_fits),
        TEST(what_does_not_fit_is_refused_with_a_reason),
        TEST(specials_are_set_on_insert_and_update),
        TEST(partitioned_table_takes_all_writes),
        TEST(table_with_rules_is_filled_without_copy),
        TEST(update_after_anothers_update_is_a_race),
        TEST(wait_for_a_lock_ends),
        TEST(commit_of_a_failed_transaction_is_an_error),
        TEST(deadlock_is_a_race),
        TEST(fault_tells_row_and_column),
        TEST(changed_type_is_noticed_before_bytes_are_taken_for_it),
        TEST(missing_right_names_the_grant),
        TEST(sequence_goes_from_begin_to_end),
        TEST(tables_dropped_behind_our_back_are_a_race_once),
        TEST(exclusive_lock_keeps_all_others_of_the_sink_out),
        TEST(sweep_takes_what_no_list_has),
        TEST(list_of_seen_keys_is_kept_in_its_shorter_form),
        TEST(sweep_takes_what_is_in_no_run),
        TEST(only_gaps_between_runs_are_read),
        TEST(seen_keys_of_all_types_are_recognised),
        TEST(role_without_rights_is_told_what_to_run),
    };
    struct config *config = NULL;
    const struct config_system *system = db_contract_system("SESAM_SQL_TEST_POSTGRESQL", &config);
    if (!system)
        return DB_CONTRACT_SKIP;
    const struct config_system alone = make_database(system);
    struct db_contract own = {
        .driver = &driver_postgresql, .system = &alone, .sql = run_native, .arg = native_connection, .dialect = {.quote = '"'}};
    contract = &own;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(native_connection);
    config_free(config);
    return failed;
}
