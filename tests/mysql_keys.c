/* Keys and updated columns of every type: their order, resuming after any row, filters, indexes. */
#include "mysql_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 16 };

/* A type and values of it, in no particular order. */
struct key_case {
    const char *type;
    const char *values[MOST_ROWS];
};

static const struct key_case cases[] = {
    {"tinyint", {"-128", "127", "0", "-1"}},
    {"bigint", {"9007199254740993", "9007199254740992", "9007199254740994", "-9223372036854775808", "0"}},
    {"bigint unsigned", {"18446744073709551615", "18446744073709551614", "9223372036854775808", "0", "1"}},
    {"bit(64)", {"18446744073709551615", "18446744073709551614", "1", "0"}},
    {"year", {"0", "1901", "2000", "2155", "1970", "1969"}},
    {"decimal(65,30)", {"'12345678901234567890.000000000000000000000000000001'", "'12345678901234567890'",
                        "'12345678901234567890.000000000000000000000000000002'", "'-1'", "0"}},
    {"double", {"0.1", "0.30000000000000004", "0.3", "-1e300", "5e-324", "0"}},
    {"float", {"0.1", "0.10000001", "16777216", "16777218", "-3.4e38", "1e-45"}},
    {"date", {"'0000-00-00'", "'2024-00-10'", "'2024-02-29'", "'0001-01-01'", "'9999-12-31'", "'2024-02-00'", "'2024-02-31'"}},
    {"datetime(6)", {"'0000-00-00'", "'2024-00-10 01:02:03.000001'", "'2024-01-01 00:00:00.000001'", "'2024-01-01'",
                     "'9999-12-31 23:59:59.999999'"}},
    {"datetime", {"'2024-01-01 00:00:01'", "'2024-01-01'", "'0000-00-00'"}},
    {"timestamp(6)", {"'0000-00-00'", "'1970-01-01 00:00:01'", "'2024-03-31 01:30:00.5'", "'2038-01-19 03:14:07.999999'"}},
    {"time(6)", {"'-838:59:59'", "'838:59:59'", "'100:00:00'", "'99:00:00'", "'-00:00:00.000001'", "0", "'-100:00:00'"}},
    {"varchar(50) character set utf8mb4", {"'a'", "'B'", "'c'", "'\xc3\xa6'", "''", "'A b'", "'a\\tb'", "'a''b\\\\'"}},
    {"varchar(50) character set latin1", {"'a'", "'\xc3\xa5'", "'z'", "'\xe2\x82\xac'", "''"}},
    {"varchar(50) character set latin1 collate latin1_danish_ci", {"'a'", "'\xc3\xa5'", "'z'", "'aa'", "'B'"}},
    {"varchar(50) character set utf8mb4 collate utf8mb4_bin", {"'a'", "'A'", "'a\\t'", "'\xf0\x9f\x98\x80'", "'\xef\xbf\xbd'"}},
    {"char(20)", {"'a'", "'b'", "''"}},
    {"binary(3)", {"x'000000'", "x'ff'", "x'7f0001'", "x'0001'"}},
    {"varbinary(9)", {"x'00'", "x''", "x'0000'", "x'ff'", "x'7f'", "x'2700'"}},
    {"enum('z','a','m','B')", {"'z'", "'a'", "'m'", "'B'"}},
    {"set('z','a','m')", {"'z'", "'a,z'", "'m'", "''", "'a,m,z'"}},
    {"uuid", {"'531a379e-31bb-4ce1-8690-158dceb64be6'", "'00000000-0000-0000-0000-000000000000'",
              "'9073926b-929f-11c2-abc9-fad77ae3e8eb'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}},
    {"inet6", {"'::1'", "'2001:db8::a'", "'::ffff:1.2.3.4'", "'2001:db8::10'", "'2001:db8::9'"}},
};

static bool known_here(const struct key_case *c)
{
    return native_is_mariadb(world.native) || (strcmp(c->type, "uuid") != 0 && strcmp(c->type, "inet6") != 0);
}

static size_t make_table(const struct key_case *c)
{
    world_run("drop table if exists keys_rows");
    world_run("create table keys_rows (k %s not null%s, u %s null, n int auto_increment unique, primary key (k),"
              " key u_k (u, k)) character set utf8mb4",
              c->type, strncmp(c->type, "timestamp", 9) == 0 ? " default 0" : "", c->type);
    size_t count = 0;
    for (; count < MOST_ROWS && c->values[count]; count++)
        world_run("insert into keys_rows (k, u) values (%s, %s)", c->values[count], c->values[count]);
    return count;
}

/* Page by page of one row, as a reader with the smallest limit does. */
static size_t page_through(const struct plan *whole, bool updated, size_t *seen, size_t most)
{
    const struct relation *relation = whole->relation;
    struct position after = {0};
    struct range range = {0};
    struct plan plan = *whole;
    plan.ranges = &range;
    plan.range_count = 1;
    plan.limit = 1;
    size_t count = 0;
    for (const struct value *row; count <= most; count++) {
        assert_int_equal(driver_mysql.read_open(world.conn, &plan, &world.err), 0);
        int more = driver_mysql.read_next(world.conn, &row, &world.err);
        if (more < 0)
            fail_msg("%s", world.err.text);
        const struct value *kept = more ? world_copy(row, relation->column_count) : NULL;
        assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 0);
        assert_int_equal(driver_mysql.read_close(world.conn), 0);
        if (!kept || count == most)
            return count + (kept != NULL);
        seen[count] = (size_t)kept[2].integer;
        after = (struct position){.updated = updated ? &kept[1] : NULL, .key = &kept[0]};
        range.after = &after;
    }
    return count;
}

static size_t read_whole(const struct plan *plan, size_t *seen)
{
    size_t count = 0;
    int more;
    assert_int_equal(driver_mysql.read_open(world.conn, plan, &world.err), 0);
    for (const struct value *row; (more = driver_mysql.read_next(world.conn, &row, &world.err)) == 1;)
        seen[count++] = (size_t)row[2].integer;
    assert_int_equal(more, 0);
    assert_int_equal(driver_mysql.read_close(world.conn), 0);
    return count;
}

static void check_pages(const struct key_case *c, enum plan_order order)
{
    size_t whole[MOST_ROWS + 1], pages[MOST_ROWS + 1];
    size_t count = make_table(c);
    struct range all = {0};
    struct plan plan = world_plan(world_table("keys_rows", "u"), order, "u");
    plan.ranges = &all;
    plan.range_count = 1;
    assert_int_equal(read_whole(&plan, whole), count);
    size_t paged = page_through(&plan, order == ORDER_UPDATED, pages, count);
    if (paged != count || memcmp(whole, pages, count * sizeof *whole) != 0)
        fail_msg("%s: %zu rows of %zu by pages, or in another order", c->type, paged, count);
}

static void each_row_is_met_once_by_pages_of_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!known_here(&cases[i]))
            continue;
        check_pages(&cases[i], ORDER_KEY);
        check_pages(&cases[i], ORDER_UPDATED);
    }
}

/* :since without a value is the lowest there is, whatever the type. */
static void missing_since_is_below_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!known_here(&cases[i]))
            continue;
        size_t count = make_table(&cases[i]), seen[MOST_ROWS + 1];
        struct plan plan = world_plan(world_table("keys_rows", "u"), ORDER_NONE, "u");
        plan.query = "select * from keys_rows where u >= :since; -- all";
        size_t found = read_whole(&plan, seen);
        if (found != count)
            fail_msg("%s: %zu rows of %zu", cases[i].type, found, count);
    }
}

static void description_marks_bytewise_order_only_where_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!known_here(&cases[i]))
            continue;
        make_table(&cases[i]);
        struct plan plan = world_plan(world_table("keys_rows", "u"), ORDER_KEY, "u");
        const struct column *column = &plan.relation->columns[0];
        if (!column->bytewise || (column->kind != KIND_TEXT && column->kind != KIND_BYTES))
            continue;
        const struct value *row, *last = NULL;
        assert_int_equal(driver_mysql.read_open(world.conn, &plan, &world.err), 0);
        while (driver_mysql.read_next(world.conn, &row, &world.err) == 1) {
            if (last) {
                size_t least = last->text.len < row->text.len ? last->text.len : row->text.len;
                int order = memcmp(last->text.bytes, row->text.bytes, least);
                if (order > 0 || (order == 0 && last->text.len >= row->text.len))
                    fail_msg("%s is said to be bytewise", column->type);
            }
            last = world_copy(row, 1);
        }
        assert_int_equal(driver_mysql.read_close(world.conn), 0);
    }
}

/* index entries */

static unsigned long status_of(const char *name)
{
    return strtoul(native_ask(world.conn->mysql, "select variable_value from information_schema.session_status"
                                                 " where variable_name = '%s'", name), NULL, 10);
}

/* A row passed over by a pushed condition shows in Handler_icp_attempts only. */
static unsigned long index_reads(void)
{
    unsigned long pushed = status_of("Handler_icp_attempts"), plain = status_of("Handler_read_next");
    return pushed > plain ? pushed : plain;
}

enum { TIES = 100000, PAGE = 1000 };

static void check_reads(const struct relation *relation, const struct position *after, bool nulls)
{
    struct range range = {.after = after, .nulls = nulls};
    struct plan plan = world_plan(relation, ORDER_UPDATED, "u");
    plan.ranges = &range;
    plan.range_count = 1;
    plan.limit = PAGE;
    assert_int_equal(mysql_query(world.conn->mysql, "flush status"), 0);
    const struct value *row;
    int64_t count = 0, first = after->key[0].integer;
    assert_int_equal(driver_mysql.read_open(world.conn, &plan, &world.err), 0);
    for (; driver_mysql.read_next(world.conn, &row, &world.err) == 1; count++)
        assert_int_equal(row[0].integer, first + count + 1);
    assert_int_equal(driver_mysql.read_close(world.conn), 0);
    assert_int_equal(count, PAGE);
    unsigned long reads = index_reads();
    if (reads > PAGE * 11 / 10)
        fail_msg("%lu index entries for %d rows after %lld%s", reads, PAGE, (long long)first, nulls ? " (nulls)" : "");
}

static void page_among_ties_reads_only_its_own_index_entries(void **state)
{
    (void)state;
    if (!native_is_mariadb(world.native))
        skip(); /* the counters are elsewhere */
    static const char *const values[] = {"'2024-01-01'", "null"};
    for (int nulls = 0; nulls < 2; nulls++) {
        world_run("drop table if exists keys_ties");
        world_run("create table keys_ties (id bigint primary key, u datetime(6), pad varchar(100), key u_id (u, id))");
        world_run("insert into keys_ties select n + 1, %s, repeat('x', 50) from contract_numbers", values[nulls]);
        world_run("analyze table keys_ties");
        struct relation *relation = world_table("keys_ties", "u");
        assert_true(relation->updated_indexed);
        static const int64_t places[] = {0, 500, TIES / 2, TIES - PAGE - 100};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            struct value updated = value_integer(KIND_DATETIME, INT64_C(1704067200) * 1000000);
            struct value key = value_integer(KIND_INT, places[i]);
            check_reads(relation, &(struct position){.updated = nulls ? NULL : &updated, .key = &key}, nulls);
        }
    }
    world_run("drop table keys_ties");
}

/* indexes */

static void indexes_are_told_for_what_they_do(void **state)
{
    (void)state;
    static const struct {
        const char *columns, *key;
        bool unique, indexed;
    } told[] = {
        {"id int primary key, u datetime, key (u, id)", NULL, true, true},
        {"id int primary key, u datetime, key (u)", NULL, true, true}, /* InnoDB adds the primary key */
        {"id int primary key, u datetime, key (u)) engine = myisam --", NULL, true, false},
        {"id int primary key, u datetime, x int, key (u, x)", NULL, true, false},
        {"id int primary key, u datetime, key (id, u)", NULL, true, false},
        {"id int, u datetime, key (u, id)", "id", false, true},
        {"id int, u datetime, unique key (id)", "id", true, false},
        {"id int, u datetime, unique key (id, u)", "id", false, false},
        {"id varchar(300), u datetime, unique key (id(10))", "id", false, false},
        {"id int primary key, u datetime, x int unique, key (u)", "x", true, false},
        {"ID int primary key, U datetime, key (U, ID)", "id", true, true},
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        world_run("drop table if exists keys_told");
        world_run("create table keys_told (%s\n%s", told[i].columns, strstr(told[i].columns, "--") ? "" : ")");
        const char *const key[] = {told[i].key};
        struct relation *relation = world_describe(
            &(struct subject){.table = "keys_told", .updated = "u", .key = key, .key_count = told[i].key != NULL});
        if (relation->key_unique != told[i].unique || relation->updated_indexed != told[i].indexed)
            fail_msg("%s: unique %d, indexed %d", told[i].columns, relation->key_unique, relation->updated_indexed);
    }
}

/* filters */

static void filter_compares_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *type, *value;
        enum config_value_type kind;
        const char *text;
        bool found;
    } filters[] = {
        {"bigint", "9007199254740993", CONFIG_INTEGER, "9007199254740993", true},
        {"bigint", "9007199254740993", CONFIG_INTEGER, "9007199254740992", false},
        {"bigint", "9007199254740993", CONFIG_STRING, "9007199254740993", true},
        {"bigint", "1", CONFIG_REAL, "1.0", true},
        {"bigint", "1", CONFIG_REAL, "1.5", false},
        {"bigint", "1", CONFIG_INTEGER, "99999999999999999999999999", false},
        {"bigint unsigned", "18446744073709551615", CONFIG_INTEGER, "18446744073709551615", true},
        {"bigint unsigned", "18446744073709551615", CONFIG_INTEGER, "-1", false},
        {"decimal(30,10)", "'12345678901234567890.0000000001'", CONFIG_REAL, "12345678901234567890.0000000001", true},
        {"decimal(30,10)", "'12345678901234567890.0000000001'", CONFIG_REAL, "12345678901234567890.0000000002", false},
        {"double", "0.1", CONFIG_REAL, "0.1", true},
        {"float", "0.1", CONFIG_REAL, "0.1", true},
        {"varchar(20)", "'NO'", CONFIG_STRING, "NO", true},
        {"varchar(20)", "'12'", CONFIG_INTEGER, "12", true},
        {"varchar(20)", "'x'' or 1=1'", CONFIG_STRING, "y' or 1=1", false},
        {"varchar(20) character set latin1", "'\xc3\xa6'", CONFIG_STRING, "\xc3\xa6", true},
        {"enum('b','a')", "'a'", CONFIG_STRING, "a", true},
        {"set('b','a')", "'a,b'", CONFIG_STRING, "b,a", true},
        {"date", "'2024-01-02'", CONFIG_STRING, "2024-01-02", true},
        {"datetime(6)", "'2024-01-02 03:04:05.000006'", CONFIG_STRING, "2024-01-02T03:04:05.000006Z", true},
        {"datetime(6)", "'2024-01-02 03:04:05.000006'", CONFIG_STRING, "2024-01-02 03:04:05.000006", true},
        {"timestamp(3)", "'2024-01-02 03:04:05.006'", CONFIG_STRING, "2024-01-02T04:04:05.006+01:00", true},
        {"date", "'0000-00-00'", CONFIG_STRING, "0000-00-00", true},
        {"time", "'-10:00:00'", CONFIG_STRING, "-10:00:00", true},
        {"tinyint(1)", "1", CONFIG_BOOL, NULL, true},
        {"json", "'[1]'", CONFIG_STRING, "[1]", true},
    };
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        world_run("drop table if exists keys_filter");
        world_run("create table keys_filter (id int primary key, v %s) character set utf8mb4", filters[i].type);
        world_run("insert into keys_filter values (1, %s)", filters[i].value);
        struct filter filter = {.column = 1, .value = {filters[i].kind, true, filters[i].text}};
        struct plan plan = world_plan(world_table("keys_filter", NULL), ORDER_KEY, NULL);
        plan.filters = &filter;
        plan.filter_count = 1;
        if ((*world_read(&plan) != '\0') != filters[i].found)
            fail_msg("%s %s by %s", filters[i].type, filters[i].value, filters[i].text);
    }
}

static void filter_of_another_type_is_a_bad_input(void **state)
{
    (void)state;
    static const struct {
        const char *type, *text;
    } bad[] = {{"int", "abc"}, {"int", ""}, {"decimal(9,2)", "1,5"}, {"date", "tomorrow"}, {"time", "noon"}, {"double", "0x10"},
               {"varchar(20) character set latin1", "\xf0\x9f\x98\x80"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        world_run("drop table if exists keys_filter");
        world_run("create table keys_filter (id int primary key, v %s)", bad[i].type);
        struct filter filter = {.column = 1, .value = {CONFIG_STRING, false, bad[i].text}};
        struct plan plan = world_plan(world_table("keys_filter", NULL), ORDER_KEY, NULL);
        plan.filters = &filter;
        plan.filter_count = 1;
        world_expect(driver_mysql.read_open(world.conn, &plan, &world.err), ERR_INPUT, bad[i].text[0] & 0x80 ? "character set" : "'v'");
        assert_int_equal(driver_mysql.read_close(world.conn), 0);
    }
}

int mysql_keys_run(const struct config_system *system, MYSQL *native)
{
    world = (struct world){.system = system, .native = native};
    const struct CMUnitTest mysql_keys[] = {
        cmocka_unit_test_setup_teardown(each_row_is_met_once_by_pages_of_one, world_open, world_close),
        cmocka_unit_test_setup_teardown(missing_since_is_below_every_row, world_open, world_close),
        cmocka_unit_test_setup_teardown(description_marks_bytewise_order_only_where_it_is, world_open, world_close),
        cmocka_unit_test_setup_teardown(page_among_ties_reads_only_its_own_index_entries, world_open, world_close),
        cmocka_unit_test_setup_teardown(indexes_are_told_for_what_they_do, world_open, world_close),
        cmocka_unit_test_setup_teardown(filter_compares_exactly, world_open, world_close),
        cmocka_unit_test_setup_teardown(filter_of_another_type_is_a_bad_input, world_open, world_close),
    };
    return cmocka_run_group_tests(mysql_keys, NULL, NULL);
}
