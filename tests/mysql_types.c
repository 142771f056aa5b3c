/* What the types become: exactly their value, or the database's own text. */
#include "mysql_world.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct type_case {
    const char *type, *literal, *expected;
};

/* Literals are stored with an sql_mode that takes the dates which a strict one refuses. */
static const struct type_case cases[] = {
    {"tinyint", "-128", "int:-128"},
    {"tinyint unsigned", "255", "int:255"},
    {"tinyint(1)", "true", "int:1"},
    {"boolean", "false", "int:0"},
    {"smallint", "-32768", "int:-32768"},
    {"smallint unsigned", "65535", "int:65535"},
    {"mediumint", "-8388608", "int:-8388608"},
    {"mediumint unsigned", "16777215", "int:16777215"},
    {"int", "-2147483648", "int:-2147483648"},
    {"int unsigned", "4294967295", "int:4294967295"},
    {"int(8) zerofill", "42", "int:42"},
    {"bigint", "-9223372036854775808", "int:-9223372036854775808"},
    {"bigint", "9223372036854775807", "int:9223372036854775807"},
    {"bigint unsigned", "18446744073709551615", "uint:18446744073709551615"},
    {"bigint unsigned", "0", "uint:0"},
    {"bit(1)", "b'1'", "uint:1"},
    {"bit(9)", "b'100000001'", "uint:257"},
    {"bit(64)", "18446744073709551615", "uint:18446744073709551615"},
    {"bit(64)", "0", "uint:0"},
    {"year", "2155", "int:2155"},
    {"year", "1901", "int:1901"},
    {"year", "0", "int:0"},
    {"decimal(65,30)", "'12345678901234567890123456789012345.123456789012345678901234567890'",
     "decimal:12345678901234567890123456789012345.123456789012345678901234567890"},
    {"decimal(65,0)", "'-99999999999999999999999999999999999999999999999999999999999999999'",
     "decimal:-99999999999999999999999999999999999999999999999999999999999999999"},
    {"decimal(10,2)", "1", "decimal:1.00"},
    {"decimal(10,2)", "-0.01", "decimal:-0.01"},
    {"double", "0.1", "float:0.1"},
    {"double", "5e-324", "float:5e-324"},
    {"double", "2.2250738585072014e-308", "float:2.2250738585072014e-308"},
    {"double", "-1.7976931348623157e308", "float:-1.7976931348623157e+308"},
    {"double", "1e21", "float:1e+21"},
    {"double", "123456.789", "float:123456.789"},
    {"double(10,3)", "1.2501", "float:1.25"},
    {"float", "0.1", "float:0.1"},
    {"float", "16777217", "float:16777216"},
    {"float", "1234567.8", "float:1234567.8"},
    {"float", "3.4028234e38", "float:3.4028235e+38"},
    {"float", "1e-45", "float:1e-45"},
    {"float", "-1.17549435e-38", "float:-1.1754944e-38"},
    {"float(7,2)", "12345.678", "float:12345.68"},
    {"date", "'2024-02-29'", "date:2024-02-29"},
    {"date", "'0001-01-01'", "date:0001-01-01"},
    {"date", "'9999-12-31'", "date:9999-12-31"},
    {"date", "'0000-00-00'", "text:0000-00-00"},
    {"date", "'2024-00-10'", "text:2024-00-10"},
    {"date", "'2024-10-00'", "text:2024-10-00"},
    {"date", "'0000-01-01'", "text:0000-01-01"},
    {"date", "'2023-02-29'", "text:2023-02-29"},
    {"datetime", "'2024-01-02 03:04:05'", "datetime:2024-01-02T03:04:05.000000"},
    {"datetime(1)", "'2024-01-02 03:04:05.6'", "datetime:2024-01-02T03:04:05.600000"},
    {"datetime(2)", "'2024-01-02 03:04:05.67'", "datetime:2024-01-02T03:04:05.670000"},
    {"datetime(3)", "'2024-01-02 03:04:05.678'", "datetime:2024-01-02T03:04:05.678000"},
    {"datetime(4)", "'2024-01-02 03:04:05.6789'", "datetime:2024-01-02T03:04:05.678900"},
    {"datetime(5)", "'2024-01-02 03:04:05.67891'", "datetime:2024-01-02T03:04:05.678910"},
    {"datetime(6)", "'1000-01-01 00:00:00.000001'", "datetime:1000-01-01T00:00:00.000001"},
    {"datetime(6)", "'9999-12-31 23:59:59.999999'", "datetime:9999-12-31T23:59:59.999999"},
    {"datetime", "'0000-00-00 00:00:00'", "text:0000-00-00 00:00:00"},
    {"datetime(3)", "'0000-00-00 00:00:00'", "text:0000-00-00 00:00:00.000"},
    {"datetime(6)", "'2024-00-10 11:12:13.5'", "text:2024-00-10 11:12:13.500000"},
    {"timestamp null", "'2024-07-01 12:00:00'", "datetime:2024-07-01T12:00:00.000000"},
    {"timestamp(6) null", "'1970-01-01 00:00:01.5'", "datetime:1970-01-01T00:00:01.500000"},
    {"timestamp null", "'0000-00-00 00:00:00'", "text:0000-00-00 00:00:00"},
    {"time", "'12:34:56'", "text:12:34:56"},
    {"time", "'838:59:59'", "text:838:59:59"},
    {"time", "'-838:59:59'", "text:-838:59:59"},
    {"time(6)", "'-00:00:00.000001'", "text:-00:00:00.000001"},
    {"time(3)", "'100:00:00.25'", "text:100:00:00.250"},
    {"char(5)", "'a  '", "text:a"},
    {"char(5)", "''", "text:"},
    {"varchar(20)", "'a  '", "text:a  "},
    {"varchar(20) character set latin1", "'\xc3\xa6\xe2\x82\xac'", "text:\xc3\xa6\xe2\x82\xac"},
    {"varchar(20) character set utf8mb4", "'\xf0\x9f\x98\x80'", "text:\xf0\x9f\x98\x80"},
    {"varchar(20) character set ucs2", "'\xc3\xb8'", "text:\xc3\xb8"},
    {"text character set latin1", "'~t \xc3\xa5'", "text:~t \xc3\xa5"},
    {"tinytext", "'x'", "text:x"},
    {"mediumtext", "'y'", "text:y"},
    {"binary(4)", "x'00ff'", "bytes:00ff0000"},
    {"varbinary(4)", "x'00ff'", "bytes:00ff"},
    {"varbinary(4)", "''", "bytes:"},
    {"blob", "x'7e00ff'", "bytes:7e00ff"},
    {"longblob", "x'ff'", "bytes:ff"},
    {"enum('x','\xc3\xa6') character set latin1", "'\xc3\xa6'", "text:\xc3\xa6"},
    {"enum('x','y')", "'not there'", "text:"},
    {"set('a','b','c')", "'c,a'", "list:a,c"},
    {"set('a','b','c')", "'b'", "list:b"},
    {"set('a','b','c')", "''", "list:"},
    {"json", "'{\"a\": [1, 1.50, \"~x\"]}'", "json:{\"a\": [1, 1.50, \"~x\"]}"},
    {"point", "point(0.1, -2)", "text:POINT(0.1 -2)"},
    {"geometry", "st_geomfromtext('LINESTRING(0 0,1 1)')", "text:LINESTRING(0 0,1 1)"},
    {"int", "null", "null"},
    {"datetime(6)", "null", "null"},
    {"varchar(9)", "null", "null"},
    {"set('a')", "null", "null"},
    {"json", "null", "null"},
    {"double", "null", "null"},
};

static const struct type_case mariadb_cases[] = {
    {"uuid", "'531a379e-31bb-4ce1-8690-158dceb64be6'", "uuid:531a379e31bb4ce18690158dceb64be6"},
    {"inet6", "'2001:db8::1'", "text:2001:db8::1"},
    {"inet4", "'192.0.2.1'", "text:192.0.2.1"},
    {"uuid", "null", "null"},
};

/* By the table and by a query over it; and at the end of a row, where a wrong length would show. */
static void check_case(const struct type_case *c)
{
    world_run("drop table if exists types_case");
    world_run("create table types_case (id int primary key, v %s, last int) character set utf8mb4", c->type);
    world_run("insert into types_case values (1, %s, 7)", c->literal);
    struct relation *table = world_table("types_case", NULL);
    const char *query = "select * from types_case";
    struct relation *wrapped = world_describe(&(struct subject){.query = query});
    char expected[256];
    snprintf(expected, sizeof expected, "int:1 %s int:7", c->expected);
    struct plan plan = world_plan(table, ORDER_NONE, NULL);
    const char *got = world_read(&plan);
    if (strcmp(got, expected) != 0)
        fail_msg("%s %s: %s, not %s", c->type, c->literal, got, expected);
    plan = world_plan(wrapped, ORDER_NONE, NULL);
    got = world_read(&plan);
    if (strcmp(got, expected) != 0)
        fail_msg("query over %s %s: %s, not %s", c->type, c->literal, got, expected);
}

static void every_type_is_exact_or_its_own_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_case(&cases[i]);
    if (!native_is_mariadb(world.native))
        return;
    for (size_t i = 0; i < sizeof mariadb_cases / sizeof *mariadb_cases; i++)
        check_case(&mariadb_cases[i]);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static double random_double(uint64_t *state, int i)
{
    double value;
    uint64_t bits = next_random(state);
    if (i % 4 == 0)
        bits &= UINT64_C(0x800fffffffffffff); /* subnormal */
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : 0.5;
}

static float random_float(uint64_t *state)
{
    float value;
    uint32_t bits = (uint32_t)next_random(state);
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : 0.5F;
}

enum { NUMBERS = 20000, BATCH = 500 };

/* Stored by a prepared statement, bit by bit. */
static void store_numbers(const double *doubles, const float *floats)
{
    world_run("drop table if exists types_numbers");
    world_run("create table types_numbers (id int primary key, d double, f float)");
    MYSQL_STMT *stmt = mysql_stmt_init(world.native);
    const char *sql = "insert into types_numbers values (?, ?, ?)";
    assert_int_equal(mysql_stmt_prepare(stmt, sql, strlen(sql)), 0);
    int id;
    double wide;
    float real;
    MYSQL_BIND binds[3] = {{.buffer_type = MYSQL_TYPE_LONG, .buffer = &id},
                           {.buffer_type = MYSQL_TYPE_DOUBLE, .buffer = &wide},
                           {.buffer_type = MYSQL_TYPE_FLOAT, .buffer = &real}};
    assert_int_equal(mysql_stmt_bind_param(stmt, binds), 0);
    world_run("begin");
    for (id = 0; id < NUMBERS; id++) {
        wide = doubles[id];
        real = floats[id];
        assert_int_equal(mysql_stmt_execute(stmt), 0);
    }
    world_run("commit");
    mysql_stmt_close(stmt);
}

static void random_floats_read_back_the_same(void **state)
{
    (void)state;
    static double doubles[NUMBERS];
    static float floats[NUMBERS];
    uint64_t seed = 88172645463325252;
    for (int i = 0; i < NUMBERS; i++) {
        doubles[i] = random_double(&seed, i);
        floats[i] = random_float(&seed);
    }
    doubles[0] = -DBL_MIN; /* not -0.0: the server stores 0 for it */
    doubles[1] = DBL_MAX;
    doubles[2] = DBL_TRUE_MIN;
    floats[0] = -FLT_MIN;
    floats[1] = FLT_MAX;
    floats[2] = FLT_TRUE_MIN;
    store_numbers(doubles, floats);
    struct plan plan = world_plan(world_table("types_numbers", NULL), ORDER_KEY, NULL);
    const struct value *row;
    assert_int_equal(driver_mysql.read_open(world.conn, &plan, &world.err), 0);
    for (int i = 0; i < NUMBERS; i++) {
        assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 1);
        double wide = strtod(arena_copy(world.arena, row[1].text.bytes, row[1].text.len), NULL);
        float real = strtof(arena_copy(world.arena, row[2].text.bytes, row[2].text.len), NULL);
        assert_memory_equal(&wide, &doubles[i], sizeof wide);
        assert_memory_equal(&real, &floats[i], sizeof real);
    }
    assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 0);
    assert_int_equal(driver_mysql.read_close(world.conn), 0);
}

static void long_text_between_short_ones_is_whole(void **state)
{
    (void)state;
    enum { LONG = 20 * 1024 * 1024 };
    /* Made by a connection whose max_allowed_packet lets it, read by one with the server's default. */
    MYSQL *usual = world.native;
    char packet[32];
    snprintf(packet, sizeof packet, "%s", native_ask(usual, "select @@global.max_allowed_packet"));
    world_run("set global max_allowed_packet = 268435456");
    world.native = native_open(world.system);
    assert_non_null(world.native);
    world_run("drop table if exists types_long");
    world_run("create table types_long (id int primary key, a longtext, b longblob) character set utf8mb4");
    world_run("insert into types_long values (1, 'short', 'tiny'), (2, '', ''), (3, repeat('x', 9000), 'y'), (5, 'end', 'fin')");
    world_run("insert into types_long values (4, repeat('\xc3\xa6', 1024), 'b')");
    for (int i = 0; i < 10; i++)
        world_run("update types_long set a = concat(a, a) where id = 4");
    for (int i = 0; i < 4; i++)
        world_run("update types_long set a = concat(a, a), b = a where id = 4");
    unsigned long stored = strtoul(native_ask(world.native, "select length(a) from types_long where id = 4"), NULL, 10);
    mysql_close(world.native);
    world.native = usual;
    world_run("set global max_allowed_packet = %s", packet);
    struct plan plan = world_plan(world_table("types_long", NULL), ORDER_KEY, NULL);
    const struct value *row;
    assert_int_equal(driver_mysql.read_open(world.conn, &plan, &world.err), 0);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 1);
    assert_int_equal(row[1].text.len, 9000);
    assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 1);
    assert_in_range(stored, LONG, 2UL * LONG);
    assert_int_equal(row[1].text.len, stored);
    assert_int_equal(row[2].text.len, stored);
    for (size_t i = 0; i < stored; i += 2)
        if (memcmp(row[1].text.bytes + i, "\xc3\xa6", 2) != 0 || memcmp(row[2].text.bytes + i, "\xc3\xa6", 2) != 0)
            fail_msg("another byte at %zu", i);
    assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 1);
    assert_string_equal(world_text(row, 3), "int:5 text:end bytes:66696e");
    assert_int_equal(driver_mysql.read_next(world.conn, &row, &world.err), 0);
    assert_int_equal(driver_mysql.read_close(world.conn), 0);
}

static void description_tells_digits_zones_and_order(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum position_kind position;
        unsigned digits;
        bool zoneless, bytewise;
    } told[] = {
        {"bigint unsigned", POSITION_INTEGER, 0, false, true},
        {"date", POSITION_DATE, 0, false, true},
        {"datetime", POSITION_DATETIME, 0, true, true},
        {"datetime(3)", POSITION_DATETIME, 3, true, true},
        {"timestamp(6) null", POSITION_DATETIME, 6, false, true},
        {"varchar(20) character set utf8mb4 collate utf8mb4_bin", POSITION_TEXT, 0, false, false},
        {"varchar(20) character set latin1", POSITION_TEXT, 0, false, false},
        {"varbinary(20)", POSITION_TEXT, 0, false, true},
        {"enum('b','a')", POSITION_TEXT, 0, false, true},
        {"time(2)", POSITION_TEXT, 2, false, false},
        {"decimal(9,2)", POSITION_TEXT, 2, false, false},
    };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        world_run("drop table if exists types_told");
        world_run("create table types_told (id int primary key, v %s)", told[i].type);
        const struct column *column = world_column(world_table("types_told", NULL), "v");
        assert_int_equal(column->position, told[i].position);
        if (column->kind == KIND_DATETIME)
            assert_int_equal(column->digits, told[i].digits);
        assert_int_equal(column->zoneless, told[i].zoneless);
        assert_int_equal(column->bytewise, told[i].bytewise);
        assert_true(column->nullable);
    }
    const char *nopad = native_is_mariadb(world.native) ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin";
    world_run("drop table if exists types_told");
    world_run("create table types_told (id varchar(20) character set utf8mb4 collate %s primary key)", nopad);
    const struct column *column = world_column(world_table("types_told", NULL), "id");
    assert_true(column->bytewise);
    assert_false(column->nullable);
}

static void json_stays_json_in_views_and_queries(void **state)
{
    (void)state;
    world_run("drop table if exists types_json");
    world_run("create table types_json (id int primary key, j json, `we``ird` json, t longtext)");
    world_run("insert into types_json values (1, '[1]', '{}', '[2]')");
    world_run("create or replace view types_json_view as select * from types_json");
    const struct subject subjects[] = {
        {.table = "types_json"}, {.table = "types_json_view"}, {.query = "select * from types_json"}};
    for (size_t i = 0; i < 3; i++) {
        struct plan plan = world_plan(world_describe(&subjects[i]), ORDER_NONE, NULL);
        assert_string_equal(world_read(&plan), "int:1 json:[1] json:{} text:[2]");
    }
    world_run("drop view types_json_view");
}

static void generated_columns_are_read_and_invisible_ones_are_not(void **state)
{
    (void)state;
    world_run("drop table if exists types_made");
    world_run("create table types_made (id int invisible primary key default 5, a int,"
              " b int as (a + 1) virtual, c int as (a + 2) stored, hidden int invisible default 9)");
    world_run("insert into types_made (a) values (1)");
    struct plan plan = world_plan(world_table("types_made", NULL), ORDER_NONE, NULL);
    assert_string_equal(world_read(&plan), "int:5 int:1 int:2 int:3");
    plan = world_plan(world_table("types_made", "hidden"), ORDER_NONE, NULL);
    assert_string_equal(world_read(&plan), "int:5 int:1 int:2 int:3 int:9");
}

int mysql_types_run(const struct config_system *system, MYSQL *native)
{
    world = (struct world){.system = system, .native = native};
    const struct CMUnitTest mysql_types[] = {
        cmocka_unit_test_setup_teardown(every_type_is_exact_or_its_own_text, world_open, world_close),
        cmocka_unit_test_setup_teardown(random_floats_read_back_the_same, world_open, world_close),
        cmocka_unit_test_setup_teardown(long_text_between_short_ones_is_whole, world_open, world_close),
        cmocka_unit_test_setup_teardown(description_tells_digits_zones_and_order, world_open, world_close),
        cmocka_unit_test_setup_teardown(json_stays_json_in_views_and_queries, world_open, world_close),
        cmocka_unit_test_setup_teardown(generated_columns_are_read_and_invisible_ones_are_not, world_open,
                                        world_close),
    };
    return cmocka_run_group_tests(mysql_types, NULL, NULL);
}
