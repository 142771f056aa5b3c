/* What only the MySQL driver does when it writes: its types, its locks, its ways to say what went wrong. */
#include "mysql_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 1000 };

/* targets and rows */

/* All columns, the key's first. */
static struct target *target_of(const char *table)
{
    const struct relation *relation = world_table(table, NULL);
    struct target *target = arena_alloc(world.arena, sizeof *target);
    size_t *columns = arena_array(world.arena, relation->column_count, sizeof *columns), count = 0;
    for (size_t i = 0; i < relation->key_count; i++)
        columns[count++] = relation->key[i];
    for (size_t i = 0; i < relation->column_count; i++) {
        bool in_key = false;
        for (size_t k = 0; k < relation->key_count; k++)
            in_key = in_key || relation->key[k] == i;
        if (!in_key)
            columns[count++] = i;
    }
    *target = (struct target){.relation = relation,
                              .sink = "people",
                              .columns = columns,
                              .column_count = count,
                              .reads = columns,
                              .read_count = count};
    return target;
}

static struct value text_value(const char *text)
{
    return value_text(KIND_TEXT, text, strlen(text));
}

static struct value int_value(int64_t integer)
{
    return value_integer(KIND_INT, integer);
}

/* A copy of count values as a row of their own. */
static struct row *row_of(const struct value *values, size_t count)
{
    struct row *row = arena_alloc(world.arena, sizeof *row);
    row->values = world_copy(values, count);
    return row;
}

/* (id, text) */
static struct row *pair(int64_t id, const char *text)
{
    return row_of(
        (struct value[]){int_value(id), text ? text_value(text) : (struct value){.kind = KIND_NULL}}, 2);
}

static struct write write_of(const struct target *target, struct row *const *rows, size_t count, bool insert)
{
    size_t first = insert ? 0 : target->relation->key_count;
    size_t *places = arena_array(world.arena, target->column_count + 1, sizeof *places);
    for (size_t i = first; i < target->column_count; i++)
        places[i - first] = i;
    return (struct write){.target = target,
                          .places = places,
                          .place_count = target->column_count - first,
                          .rows = (const struct row *const *)rows,
                          .row_count = count};
}

/* calls that go well */

static void check_ok(int failed)
{
    if (failed)
        fail_msg("%s (%s)", world.err.text, world.err.hint);
}

static void begin(void)
{
    check_ok(driver_mysql.begin(world.conn, true, 30, &world.err));
}

static void commit(void)
{
    check_ok(driver_mysql.commit(world.conn, &world.err));
}

static void rollback(void)
{
    assert_int_equal(driver_mysql.rollback(world.conn), 0);
}

static void insert_now(const struct target *target, struct row *const *rows, size_t count)
{
    struct write write = write_of(target, rows, count, true);
    struct fault fault;
    begin();
    check_ok(driver_mysql.insert(world.conn, &write, &fault, &world.err));
    commit();
}

/* The rows found, on lines; with ours behind " = " where there is. */
static const char *find(const struct target *target, struct row *const *rows, size_t count,
                        enum find_mode mode)
{
    struct buf out = {0};
    struct found found;
    int got;
    check_ok(
        driver_mysql.find_open(world.conn, target, (const struct row *const *)rows, count, mode, &world.err));
    while ((got = driver_mysql.find_next(world.conn, &found, &world.err)) == 1) {
        buf_puts(&out, out.len ? "\n" : "");
        buf_puts(&out, world_text(found.values, target->read_count));
        if (found.ours)
            buf_printf(&out, " = %s", world_text(found.ours, target->column_count));
    }
    check_ok(got);
    assert_int_equal(driver_mysql.find_close(world.conn), 0);
    const char *text = arena_copy(world.arena, out.data ? out.data : "", out.len);
    buf_free(&out);
    return text;
}

/* Fails an insert of all columns, and gives the transaction up. */
static struct fault insert_fails(const struct target *target, struct row *const *rows, size_t count,
                                 enum err_code code, const char *part)
{
    struct write write = write_of(target, rows, count, true);
    struct fault fault;
    begin();
    world_expect(driver_mysql.insert(world.conn, &write, &fault, &world.err), code, part);
    assert_int_equal(driver_mysql.commit(world.conn, &world.err), -1);
    err_clear(&world.err);
    rollback();
    return fault;
}

static void remake(const char *table, const char *columns)
{
    world_run("drop table if exists %s", table);
    world_run("create table %s (%s)", table, columns);
}

/* the types */

struct type_case {
    const char *type, *literal;
};

static const struct type_case types[] = {
    {"tinyint", "-128"},
    {"tinyint unsigned", "255"},
    {"boolean", "true"},
    {"smallint", "-32768"},
    {"smallint unsigned", "65535"},
    {"mediumint", "-8388608"},
    {"mediumint unsigned", "16777215"},
    {"int", "-2147483648"},
    {"int unsigned", "4294967295"},
    {"int(8) zerofill", "42"},
    {"bigint", "-9223372036854775808"},
    {"bigint", "9223372036854775807"},
    {"bigint unsigned", "18446744073709551615"},
    {"bigint unsigned", "0"},
    {"bit(1)", "b'1'"},
    {"bit(9)", "b'100000001'"},
    {"bit(64)", "18446744073709551615"},
    {"bit(64)", "0"},
    {"year", "2155"},
    {"year", "1901"},
    {"year", "0"},
    {"decimal(65,30)", "'12345678901234567890123456789012345.123456789012345678901234567890'"},
    {"decimal(65,0)", "'-99999999999999999999999999999999999999999999999999999999999999999'"},
    {"decimal(10,2)", "-0.01"},
    {"decimal(10,2) zerofill", "1.5"},
    {"decimal(4,0) unsigned", "9999"},
    {"double", "0.1"},
    {"double", "5e-324"},
    {"double", "2.2250738585072014e-308"},
    {"double", "-1.7976931348623157e308"},
    {"double", "1e21"},
    {"double", "0"},
    {"double(10,3)", "1.235"},
    {"float", "0.1"},
    {"float", "16777217"},
    {"float", "3.4028234e38"},
    {"float", "1e-45"},
    {"float(7,2)", "12345.68"},
    {"date", "'2024-02-29'"},
    {"date", "'0001-01-01'"},
    {"date", "'9999-12-31'"},
    {"date", "'0000-00-00'"},
    {"date", "'2024-00-10'"},
    {"date", "'0000-01-01'"},
    {"datetime", "'2024-01-02 03:04:05'"},
    {"datetime(1)", "'2024-01-02 03:04:05.6'"},
    {"datetime(6)", "'1000-01-01 00:00:00.000001'"},
    {"datetime(6)", "'9999-12-31 23:59:59.999999'"},
    {"datetime(3)", "'0000-00-00 00:00:00'"},
    {"datetime(6)", "'2024-00-10 11:12:13.5'"},
    {"timestamp null", "'2024-07-01 12:00:00'"},
    {"timestamp(6) null", "'1970-01-01 00:00:01.5'"},
    {"timestamp null", "'2038-01-19 03:14:07'"},
    {"timestamp null", "'0000-00-00 00:00:00'"},
    {"time", "'838:59:59'"},
    {"time", "'-838:59:59'"},
    {"time(6)", "'-00:00:00.000001'"},
    {"time(3)", "'100:00:00.25'"},
    {"char(5)", "'a  '"},
    {"char(5)", "''"},
    {"varchar(20)", "'a  '"},
    {"varchar(20)", "'it''s \\\\ \\n \\0 ? :x'"},
    {"varchar(20) character set latin1", "'\xc3\xa6\xe2\x82\xac'"},
    {"varchar(20) character set utf8mb4", "'\xf0\x9f\x98\x80'"},
    {"varchar(20) character set ucs2", "'\xc3\xb8'"},
    {"text character set latin1", "'\xc3\xa5'"},
    {"tinytext", "repeat('x', 255)"},
    {"mediumtext", "repeat('y', 100000)"},
    {"binary(4)", "x'00ff'"},
    {"varbinary(4)", "x'00ff'"},
    {"varbinary(4)", "''"},
    {"blob", "x'7e00ff275c'"},
    {"longblob", "repeat(x'ff00', 70000)"},
    {"enum('x','\xc3\xa6') character set latin1", "'\xc3\xa6'"},
    {"enum('it''s','b,c')", "'it''s'"},
    {"enum('it''s','b,c')", "'b,c'"},
    {"set('a','b','c')", "'c,a'"},
    {"set('a','b','c')", "''"},
    {"json", "'{\"a\": [1, 1.50, \"~x\"]}'"},
    {"point", "point(0.1, -2)"},
    {"geometry", "st_geomfromtext('LINESTRING(0 0,1 1)')"},
    {"int", "null"},
    {"datetime(6)", "null"},
    {"varchar(9)", "null"},
    {"blob", "null"},
    {"set('a')", "null"},
    {"json", "null"},
    {"double", "null"},
    {"point", "null"},
    {"time", "null"},
};

static const struct type_case mariadb_types[] = {
    {"uuid", "'531a379e-31bb-4ce1-8690-158dceb64be6'"},
    {"inet6", "'2001:db8::1'"},
    {"inet6", "'::ffff:192.0.2.1'"},
    {"inet4", "'192.0.2.1'"},
    {"uuid", "null"},
    {"inet6", "null"},
};

/* Brings the values of a read row to the columns' form once more. */
static void fit_row(const struct target *target, struct value *values)
{
    for (size_t i = 0; i < target->column_count; i++)
        if (values[i].kind != KIND_NULL)
            check_ok(driver_mysql.fit(&target->relation->columns[target->columns[i]], &values[i], world.arena,
                                      &world.err));
}

/* What one table holds is written into another like it, three rows at once, and is the same there. */
static void check_round_trip(const struct type_case *c)
{
    char columns[300];
    snprintf(columns, sizeof columns, "id int primary key, v %s", c->type);
    remake("write_from", columns);
    remake("write_to", columns);
    for (int i = 1; i <= 3; i++)
        world_run("insert into write_from values (%d, %s)", i, c->literal);
    const struct target *from = target_of("write_from"), *to = target_of("write_to");
    struct plan plan = world_plan(from->relation, ORDER_KEY, NULL);
    struct row *rows[3];
    const struct value *row;
    size_t count = 0;
    plan.ranges = &(struct range){0};
    plan.range_count = 1;
    check_ok(driver_mysql.read_open(world.conn, &plan, &world.err));
    while (driver_mysql.read_next(world.conn, &row, &world.err) == 1)
        rows[count++] = row_of(row, 2);
    driver_mysql.read_close(world.conn);
    assert_int_equal(count, 3);
    const char *wanted = world_text(rows[0]->values, 2);
    for (size_t i = 0; i < 3; i++)
        fit_row(to, (struct value *)rows[i]->values);
    if (strcmp(world_text(rows[0]->values, 2), wanted) != 0)
        fail_msg("%s %.80s: fit made %.80s of %.80s", c->type, c->literal, world_text(rows[0]->values, 2),
                 wanted);
    insert_now(to, rows, 3);
    begin();
    const char *found = find(to, rows, 1, FIND_LOOK);
    rollback();
    if (strcmp(found, wanted) != 0)
        fail_msg("%s %.80s: %.80s became %.80s", c->type, c->literal, wanted, found);
    /* Also to the server itself. */
    if (strcmp(native_ask(world.native, "select count(*) from write_from a join write_to b on a.id = b.id"
                                        " and cast(a.v as binary) <=> cast(b.v as binary)"),
               "3") != 0)
        fail_msg("%s %.80s is another to the server", c->type, c->literal);
}

static void check_types(void)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        check_round_trip(&types[i]);
    for (size_t i = 0; world.conn->mariadb && i < sizeof mariadb_types / sizeof *mariadb_types; i++)
        check_round_trip(&mariadb_types[i]);
}

static void every_type_comes_back_as_it_went_in_bulk(void **state)
{
    (void)state;
    assert_int_equal(world.conn->bulk, LIBRARY_MARIADB && world.conn->mariadb);
    check_types();
}

static void every_type_comes_back_as_it_went_without_bulk(void **state)
{
    (void)state;
    world.conn->bulk = false;
    check_types();
}

/* fit */

struct fit_case {
    const char *type;
    struct value value;
    const char *expected; /* as world_text, or what the error says */
};

#define TEXT(letters)                                                                                        \
    {                                                                                                        \
        .kind = KIND_TEXT, .text = { letters, sizeof letters - 1 }                                           \
    }
#define DECIMAL(digits)                                                                                      \
    {                                                                                                        \
        .kind = KIND_DECIMAL, .text = { digits, sizeof digits - 1 }                                          \
    }
#define REAL(digits)                                                                                         \
    {                                                                                                        \
        .kind = KIND_FLOAT, .text = { digits, sizeof digits - 1 }                                            \
    }
#define BYTES(raw)                                                                                           \
    {                                                                                                        \
        .kind = KIND_BYTES, .text = { raw, sizeof raw - 1 }                                                  \
    }
#define INT(number)                                                                                          \
    {                                                                                                        \
        .kind = KIND_INT, .integer = number                                                                  \
    }
#define UINT(number)                                                                                         \
    {                                                                                                        \
        .kind = KIND_UINT, .natural = number                                                                 \
    }

static const struct value members_twice[] = {TEXT("c"), TEXT("A"), TEXT("c")};
static const struct value member_unknown[] = {TEXT("a"), TEXT("d")};

static const struct fit_case fitting[] = {
    {"enum('x','It''s')", TEXT("it's"), "text:It's"},
    {"enum('x','It''s')", TEXT("X  "), "text:x"},
    {"enum('a','A') collate utf8mb4_bin", TEXT("A"), "text:A"},
    {"set('a','b','c')", {.kind = KIND_LIST, .list = {members_twice, 3}}, "list:a,c"},
    {"char(5)", TEXT("ab   "), "text:ab"},
    {"varchar(5)", TEXT("ab   "), "text:ab   "},
    {"binary(4)", BYTES("ab"), "bytes:61620000"},
    {"varbinary(4)", BYTES("ab"), "bytes:6162"},
    {"time", TEXT("1:02:03"), "text:01:02:03"},
    {"time(3)", TEXT("01:02:03.5"), "text:01:02:03.500"},
    {"time", TEXT("01:02:03.000"), "text:01:02:03"},
    {"time", TEXT("-00:00:00"), "text:00:00:00"},
    {"time", TEXT("838:59:59"), "text:838:59:59"},
    {"double", REAL("-0"), "float:0"},
    {"double(10,3)", REAL("1.235"), "float:1.2349999999999999"},
    {"decimal(6,2) zerofill", DECIMAL("1.50"), "decimal:0001.50"},
    {"datetime(2)", TEXT("0000-00-00 00:00:00"), "text:0000-00-00 00:00:00.00"},
    {"tinyint unsigned", INT(255), "int:255"},
    {"bit(3)", UINT(7), "uint:7"},
    {"year", INT(0), "int:0"},
};

static const struct fit_case misfitting[] = {
    {"enum('x','y')", TEXT("z"), "is not one of enum('x','y')"},
    {"enum('x','y')", TEXT(""), "is not one of"},
    {"set('a','b','c')", {.kind = KIND_LIST, .list = {member_unknown, 2}}, "not one of set('a','b','c')"},
    {"time", TEXT("01:02:03.5"), "more than the column's 0 digits"},
    {"time(3)", TEXT("01:02:03.1234"), "more than the column's 3 digits"},
    {"time", TEXT("839:00:00"), "no time of the column"},
    {"time(6)", TEXT("838:59:59.000001"), "no time of the column"},
    {"time", TEXT("12:60:00"), "no time of the column"},
    {"time", TEXT("noon"), "no time of the column"},
    {"year", INT(1900), "no year"},
    {"year", INT(2156), "no year"},
    {"tinyint unsigned", INT(-1), "is negative"},
    {"decimal(6,2) unsigned", DECIMAL("-0.01"), "is negative"},
    {"decimal(6,2)", DECIMAL("NaN"), "is no number"},
    {"double", REAL("Infinity"), "is no number"},
    {"float(7,2)", REAL("1.239"), "more digits"},
    {"double(5,2)", REAL("12345.6"), "more digits"},
    {"bit(3)", UINT(8), "more than the column's 3 bits"},
    {"timestamp null", {.kind = KIND_DATETIME, .integer = 0}, "is before 1970"},
    {"datetime", TEXT("yesterday"), "is no datetime"},
};

static const struct column *column_of_type(const char *type)
{
    char columns[200];
    snprintf(columns, sizeof columns, "id int primary key, v %s", type);
    remake("write_fit", columns);
    return world_column(world_table("write_fit", NULL), "v");
}

static void values_get_the_form_of_the_column(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fitting / sizeof *fitting; i++) {
        struct value value = fitting[i].value;
        check_ok(driver_mysql.fit(column_of_type(fitting[i].type), &value, world.arena, &world.err));
        assert_string_equal(world_text(&value, 1), fitting[i].expected);
    }
}

static void values_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof misfitting / sizeof *misfitting; i++) {
        struct value value = misfitting[i].value;
        world_expect(driver_mysql.fit(column_of_type(misfitting[i].type), &value, world.arena, &world.err),
                     ERR_VALUE, misfitting[i].expected);
    }
}

/* describing for sinks */

static void description_tells_what_columns_take(void **state)
{
    (void)state;
    world_run("drop table if exists write_facts");
    world_run(
        "create table write_facts (id int unsigned auto_increment primary key, a varchar(20), b "
        "varbinary(30),"
        " c decimal(12,2), d float, e int not null default 7, f int as (e + 1) stored, g int, h tinytext,"
        " i bit(9), j enum('x') not null, k set('a'), l datetime(3), m char(3) collate utf8mb4_general_ci)");
    const struct relation *relation = world_table("write_facts", NULL);
    const struct column *id = world_column(relation, "id");
    assert_true(id->identity && id->exact && id->bits == 33);
    assert_int_equal(world_column(relation, "a")->max_chars, 20);
    assert_false(world_column(relation, "a")->exact);
    assert_int_equal(world_column(relation, "b")->max_bytes, 30);
    assert_int_equal(world_column(relation, "c")->precision, 12);
    assert_int_equal(world_column(relation, "c")->scale, 2);
    assert_true(world_column(relation, "d")->single);
    assert_true(world_column(relation, "e")->defaulted);
    assert_true(world_column(relation, "f")->generated);
    assert_false(world_column(relation, "e")->generated);
    assert_false(world_column(relation, "g")->defaulted || world_column(relation, "l")->defaulted);
    assert_int_equal(world_column(relation, "h")->max_bytes, 255);
    assert_int_equal(world_column(relation, "i")->bits, 9);
    assert_true(world_column(relation, "j")->defaulted);
    assert_int_equal(world_column(relation, "k")->element_kind, KIND_TEXT);
    assert_false(world_column(relation, "m")->exact);
    assert_false(relation->triggers);
    world_run("create trigger write_facts_t before insert on write_facts for each row set new.g = 1");
    assert_true(world_table("write_facts", NULL)->triggers);
}

/* looking for keys */

struct key_case {
    const char *type;    /* of the key's columns: "id bigint", "a int, b varchar(20)" */
    const char *key;     /* its names */
    const char *filling; /* the key's expressions over seq */
};

static const struct key_case keys[] = {
    {"id int", "id", "seq"},
    {"id bigint unsigned", "id", "18446744073709551615 - seq"},
    {"id int unsigned", "id", "seq + 4000000000"},
    {"id bit(40)", "id", "seq"},
    {"a int, b varchar(20) collate utf8mb4_general_ci", "a, b", "seq, concat('B', seq)"},
    {"id varchar(50) collate utf8mb4_unicode_ci", "id", "concat('B\xc3\xa6', seq)"},
    {"id varchar(50) collate utf8mb4_bin", "id", "concat('B\\\\\"', char(9), seq, '\xf0\x9f\x98\x80')"},
    {"id varchar(50) character set latin1", "id", "concat('\xc3\xa6', seq)"},
    {"id char(20)", "id", "concat('B', seq)"},
    {"id binary(16)", "id", "unhex(md5(seq))"},
    {"id varbinary(20)", "id", "concat(x'00ff', seq)"},
    {"id decimal(20,6)", "id", "seq * 12345678901.000001"},
    {"id datetime(6)", "id", "timestamp'2024-01-01 00:00:00' + interval seq microsecond"},
    {"id timestamp(3)", "id", "timestamp'2024-01-01 00:00:00' + interval seq second"},
    {"id date", "id", "date'2024-01-01' + interval seq day"},
    {"id datetime(1)", "id",
     "if(seq = 1, '0000-00-00 00:00:00', timestamp'2024-01-01 00:00:00' + interval seq second)"},
    {"id time(3)", "id", "sec_to_time(seq - 500.5)"},
    {"id double", "id", "seq / 3"},
    {"id float", "id", "seq / 10"},
};

static const struct key_case mariadb_keys[] = {
    {"id uuid", "id", "concat('00000000-0000-4000-8000-', lpad(hex(seq), 12, '0'))"},
    {"id inet6", "id", "concat('2001:db8::', hex(seq))"},
    {"id varchar(50) collate utf8mb4_nopad_bin", "id", "concat(seq, ' ')"},
};

static uint64_t handler_reads(void)
{
    uint64_t sum = 0;
    assert_int_equal(mysql_query(world.conn->mysql, "show session status like 'Handler_read%'"), 0);
    MYSQL_RES *rows = mysql_store_result(world.conn->mysql);
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows));)
        sum += strtoull(row[1], NULL, 10);
    mysql_free_result(rows);
    return sum;
}

/* Rows of a table, every n-th, as they are looked for: key and values. */
static size_t read_rows(const struct target *target, struct row **rows, size_t step)
{
    struct plan plan = world_plan(target->relation, ORDER_NONE, NULL);
    const struct value *row;
    size_t count = 0;
    plan.columns = target->columns;
    check_ok(driver_mysql.read_open(world.conn, &plan, &world.err));
    for (size_t i = 0; driver_mysql.read_next(world.conn, &row, &world.err) == 1; i++)
        if (i % step == 0)
            rows[count++] = row_of(row, target->column_count);
    driver_mysql.read_close(world.conn);
    return count;
}

static const char *rows_text(const struct target *target, struct row *const *rows, size_t count)
{
    struct buf out = {0};
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, "%s%s", i ? "\n" : "", world_text(rows[i]->values, target->read_count));
    const char *text = arena_copy(world.arena, buf_text(&out), out.len);
    buf_free(&out);
    return text;
}

static void check_key(const struct key_case *c)
{
    enum { STEP = 100, WANTED = MANY / STEP };
    struct row *rows[WANTED + 1];
    char columns[200];
    snprintf(columns, sizeof columns, "%s, v int, primary key (%s)", c->type, c->key);
    remake("write_keys", columns);
    world_run("insert into write_keys select %s, seq from seq_1_to_%d", c->filling, MANY);
    struct target *target = target_of("write_keys");
    size_t count = read_rows(target, rows, STEP);
    assert_int_equal(count, WANTED);
    bool normalised =
        target->relation->columns[target->columns[0]].normalised; /* then find tells ours, too */
    for (enum find_mode mode = FIND_LOOK; mode <= (normalised ? FIND_LOOK : FIND_LOCK); mode++) {
        begin();
        uint64_t before = handler_reads();
        const char *found = find(target, rows, count, mode);
        uint64_t reads = handler_reads() - before;
        rollback();
        if (strcmp(found, rows_text(target, rows, count)) != 0)
            fail_msg("%s: looked for\n%s\nfound\n%s", c->type, rows_text(target, rows, count), found);
        if (reads > 3 * WANTED + 40) /* the status is read from a table, too */
            fail_msg("%s: %lu reads for %d rows", c->type, (unsigned long)reads, WANTED);
    }
    /* Then they are updated, and go. */
    struct write write = write_of(target, rows, count, false);
    struct fault fault;
    begin();
    for (size_t i = 0; i < count; i++)
        ((struct value *)rows[i]->values)[target->column_count - 1] = int_value(-1);
    check_ok(driver_mysql.update(world.conn, &write, &fault, &world.err));
    write.place_count = 0;
    check_ok(driver_mysql.erase(world.conn, &write, &fault, &world.err));
    assert_string_equal(find(target, rows, count, FIND_LOOK), "");
    commit();
    assert_string_equal(native_ask(world.native, "select count(*) from write_keys"), "990");
}

static void keys_of_every_type_are_found_by_their_index(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        check_key(&keys[i]);
    for (size_t i = 0; world.conn->mariadb && i < sizeof mariadb_keys / sizeof *mariadb_keys; i++)
        check_key(&mariadb_keys[i]);
}

static void enum_is_a_key(void **state)
{
    (void)state;
    remake("write_enum", "id enum('b','a','It''s') primary key, v int");
    struct target *target = target_of("write_enum");
    struct row *rows[] = {row_of((struct value[]){text_value("a"), int_value(1)}, 2),
                          row_of((struct value[]){text_value("It's"), int_value(2)}, 2)};
    insert_now(target, rows, 2);
    begin();
    assert_string_equal(find(target, rows, 2, FIND_LOCK), "text:a int:1\ntext:It's int:2");
    rollback();
}

/* A character that the column cannot hold is not replaced by another. */
static void key_outside_of_the_character_set_is_not_found(void **state)
{
    (void)state;
    remake("write_latin", "id varchar(20) character set latin1 primary key, v int");
    world_run("insert into write_latin values ('?', 1)");
    struct target *target = target_of("write_latin");
    struct row *rows[] = {row_of((struct value[]){text_value("\xf0\x9f\x98\x80"), int_value(1)}, 2),
                          row_of((struct value[]){text_value("?"), int_value(1)}, 2)};
    begin();
    assert_string_equal(find(target, rows, 1, FIND_LOOK), "");
    assert_string_equal(find(target, rows, 2, FIND_LOOK), "text:? int:1");
    rollback();
}

static void many_keys_go_in_several_statements(void **state)
{
    (void)state;
    struct row *rows[MANY];
    remake("write_packets", "id int primary key, v varchar(20)");
    struct target *target = target_of("write_packets");
    for (int i = 0; i < MANY; i++)
        rows[i] = pair(i, i % 2 ? NULL : "x");
    world.conn->packet = 1000;
    insert_now(target, rows, MANY);
    begin();
    assert_string_equal(find(target, rows, MANY, FIND_LOCK), rows_text(target, rows, MANY));
    rollback();
    world.conn->bulk = false;
    struct write write = write_of(target, rows, MANY, false);
    struct fault fault;
    write.place_count = 0;
    begin();
    check_ok(driver_mysql.erase(world.conn, &write, &fault, &world.err));
    write = write_of(target, rows, MANY, true);
    check_ok(driver_mysql.insert(world.conn, &write, &fault, &world.err));
    commit();
    assert_string_equal(
        native_ask(world.native, "select count(*) from write_packets where v <=> if(id %% 2, null, 'x')"),
        "1000");
}

/* A small table would be scanned if the optimizer had its way. */
static void only_rows_looked_for_are_locked(void **state)
{
    (void)state;
    remake("write_locks", "id int primary key, v varchar(20)");
    world_run("insert into write_locks values (1, 'a'), (2, 'b'), (3, 'c')");
    struct target *target = target_of("write_locks");
    struct row *rows[] = {pair(2, "x")};
    begin();
    find(target, rows, 1, FIND_LOCK);
    world_run("set innodb_lock_wait_timeout = 1");
    world_run("update write_locks set v = 'mine' where id in (1, 3)");
    assert_int_not_equal(mysql_query(world.native, "update write_locks set v = 'mine' where id = 2"), 0);
    assert_int_equal(mysql_errno(world.native), 1205);
    rollback();
    world_run("update write_locks set v = 'mine' where id = 2");
    begin(); /* what is only looked at is not locked */
    find(target, rows, 1, FIND_LOOK);
    world_run("update write_locks set v = 'theirs' where id = 2");
    assert_string_equal(find(target, rows, 1, FIND_LOCK), "int:2 text:theirs");
    rollback();
    world_run("set innodb_lock_wait_timeout = 50");
}

static void values_the_server_normalises_come_in_its_form(void **state)
{
    (void)state;
    if (!world.conn->mariadb)
        return;
    remake("write_normal", "id int primary key, a inet6, g geometry, v int");
    world_run("insert into write_normal values (1, '2001:db8::1', point(1, 2), 5)");
    struct target *target = target_of("write_normal");
    struct value values[] = {int_value(1), text_value("2001:0DB8:0:0::1"), text_value("point(1.0 2)"),
                             int_value(5)};
    struct row *rows[] = {row_of(values, 4)};
    static const char held[] = "int:1 text:2001:db8::1 text:POINT(1 2) int:5";
    char both[200];
    snprintf(both, sizeof both, "%s = %s", held, held);
    begin();
    assert_string_equal(find(target, rows, 1, FIND_LOOK), held);
    assert_string_equal(find(target, rows, 1, FIND_LOCK), both);
    rollback();
}

/* ranks */

static void padded_and_folded_keys_have_the_same_rank(void **state)
{
    (void)state;
    remake("write_rank", "a varchar(20) collate utf8mb4_general_ci, b int, primary key (a, b)");
    struct target *target = target_of("write_rank");
    const char *const texts[] = {"b", "a ", "A", "\xc3\x84", "a"};
    struct row *rows[5];
    uint32_t ranks[5];
    for (int i = 0; i < 5; i++)
        rows[i] = row_of((struct value[]){text_value(texts[i]), int_value(i == 4)}, 2);
    check_ok(driver_mysql.rank(world.conn, target, (const struct row *const *)rows, 5, ranks, &world.err));
    assert_int_equal(ranks[1], ranks[2]);
    assert_int_equal(ranks[1], ranks[3]);
    assert_true(ranks[4] > ranks[1] && ranks[0] > ranks[4]);
}

static void key_outside_of_the_character_set_has_a_rank_of_its_own(void **state)
{
    (void)state;
    remake("write_latin", "id varchar(20) character set latin1 primary key, v int");
    struct target *target = target_of("write_latin");
    const char *const texts[] = {"?", "\xf0\x9f\x98\x80", "\xc3\xa6", "\xc3\x86"};
    struct row *rows[4];
    uint32_t ranks[4];
    for (int i = 0; i < 4; i++)
        rows[i] = row_of((struct value[]){text_value(texts[i]), int_value(0)}, 2);
    check_ok(driver_mysql.rank(world.conn, target, (const struct row *const *)rows, 4, ranks, &world.err));
    assert_int_not_equal(ranks[0], ranks[1]);
    assert_int_equal(ranks[2], ranks[3]);
}

/* what goes wrong */

static void text_outside_of_the_character_set_is_refused_with_its_row(void **state)
{
    (void)state;
    remake("write_latin1", "id int primary key, v varchar(20) character set latin1");
    struct target *target = target_of("write_latin1");
    struct row *rows[] = {pair(1, "a"), pair(2, "b"), pair(3, "geheim \xf0\x9f\x98\x80"), pair(4, "d")};
    for (int bulk = world.conn->bulk; bulk >= 0; bulk--) {
        world.conn->bulk = bulk;
        struct fault fault = insert_fails(target, rows, 4, ERR_VALUE, "column 'v'");
        assert_int_equal(fault.row, 2);
        assert_int_equal(fault.column, 1);
        assert_false(fault.duplicate);
    }
    assert_string_equal(native_ask(world.native, "select count(*) from write_latin1"), "0");
}

static void error_has_no_value_of_a_row(void **state)
{
    (void)state;
    remake("write_secret", "id int primary key, v varchar(40) character set latin1, unique key secret_v (v)");
    world_run("insert into write_secret values (9, 'geheim')");
    struct target *target = target_of("write_secret");
    struct row *rows[] = {pair(1, "x"), pair(2, "geheim"), pair(3, "' for column 'id' \xf0\x9f\x98\x80")};
    struct write write = write_of(target, rows, 2, true);
    struct fault fault;
    begin();
    assert_int_equal(driver_mysql.insert(world.conn, &write, &fault, &world.err), -1);
    assert_null(strstr(world.err.text, "geheim"));
    assert_non_null(strstr(world.err.text, "secret_v"));
    assert_true(fault.duplicate);
    assert_int_equal(fault.row, 1);
    err_clear(&world.err);
    rollback();
    fault = insert_fails(target, &rows[2], 1, ERR_VALUE, "column 'v'");
    assert_int_equal(fault.column, 1);
}

/* Strict sessions only note that. */
static void decimal_with_more_digits_is_refused_not_rounded(void **state)
{
    (void)state;
    remake("write_decimal", "id int primary key, v decimal(10,2)");
    struct target *target = target_of("write_decimal");
    struct row *rows[3];
    for (int i = 0; i < 3; i++)
        rows[i] = row_of((struct value[]){int_value(i), value_text(KIND_DECIMAL, i == 1 ? "1.005" : "1.00",
                                                                   i == 1 ? 5 : 4)},
                         2);
    for (int bulk = world.conn->bulk; bulk >= 0; bulk--) {
        world.conn->bulk = bulk;
        struct fault fault = insert_fails(target, rows, 3, ERR_VALUE, "column 'v'");
        assert_int_equal(fault.row, 1);
        assert_int_equal(fault.column, 1);
    }
}

static void too_long_and_out_of_range_is_refused(void **state)
{
    (void)state;
    remake("write_limits", "id int primary key, v varchar(3), n tinyint");
    struct target *target = target_of("write_limits");
    struct row *rows[] = {row_of((struct value[]){int_value(1), text_value("abcd"), int_value(1)}, 3),
                          row_of((struct value[]){int_value(1), text_value("abc "), int_value(1)}, 3),
                          row_of((struct value[]){int_value(1), text_value("abc"), int_value(128)}, 3)};
    assert_int_equal(insert_fails(target, &rows[0], 1, ERR_VALUE, "'v'").column, 1);
    assert_int_equal(insert_fails(target, &rows[1], 1, ERR_VALUE, "'v'").column, 1); /* a note in a VARCHAR */
    assert_int_equal(insert_fails(target, &rows[2], 1, ERR_VALUE, "'n'").column, 2);
}

static void constraints_are_told_with_the_row(void **state)
{
    (void)state;
    world_run("drop table if exists write_child");
    remake("write_parent", "id int primary key");
    remake("write_child",
           "id int primary key, v varchar(20), p int, constraint write_fk foreign key (p) references"
           " write_parent (id), constraint write_check check (v <> 'bad')");
    world_run("insert into write_parent values (1)");
    struct target *target = target_of("write_child");
    struct row *good = row_of((struct value[]){int_value(1), text_value("x"), int_value(1)}, 3);
    struct row *orphan[] = {good, row_of((struct value[]){int_value(2), text_value("x"), int_value(2)}, 3)};
    struct row *checked[] = {good,
                             row_of((struct value[]){int_value(2), text_value("bad"), int_value(1)}, 3)};
    assert_int_equal(insert_fails(target, orphan, 2, ERR_VALUE, "write_fk").row, 1);
    assert_int_equal(insert_fails(target, checked, 2, ERR_VALUE, "write_check").row, 1);
    world_run("create trigger write_refuse before insert on write_child for each row"
              " if new.id = 2 then signal sqlstate '45000' set message_text = 'never two'; end if");
    struct row *refused[] = {good, row_of((struct value[]){int_value(2), text_value("x"), int_value(1)}, 3)};
    assert_int_equal(insert_fails(target, refused, 2, ERR_VALUE, "never two").row, 1);
    world_run("drop table write_child");
}

static void row_larger_than_a_packet_is_refused(void **state)
{
    (void)state;
    struct conn *conn = NULL;
    const char *before =
        arena_strdup(world.arena, native_ask(world.native, "select @@global.max_allowed_packet"));
    remake("write_large", "id int primary key, v longtext");
    struct target *target = target_of("write_large");
    char *text = arena_alloc(world.arena, 2 * 1024 * 1024);
    memset(text, 'x', 2 * 1024 * 1024 - 1);
    struct row *rows[] = {pair(1, "x"), pair(2, text)};
    struct write write = write_of(target, rows, 2, true);
    struct fault fault;
    world_run("set global max_allowed_packet = 1048576");
    int opened = driver_mysql.open(&conn, world.system, &world.err);
    world_run("set global max_allowed_packet = %s", before);
    check_ok(opened);
    check_ok(driver_mysql.begin(conn, true, 30, &world.err));
    world_expect(driver_mysql.insert(conn, &write, &fault, &world.err), ERR_VALUE, "max_allowed_packet");
    assert_int_equal(fault.row, 1);
    assert_int_equal(driver_mysql.rollback(conn), 0);
    check_ok(driver_mysql.begin(conn, true, 30, &world.err));
    text[900 * 1024] = '\0'; /* as much as there is room for */
    struct row *smaller[] = {pair(1, text), pair(2, text), pair(3, text)};
    write.rows = (const struct row *const *)smaller;
    write.row_count = 3;
    check_ok(driver_mysql.insert(conn, &write, &fault, &world.err));
    check_ok(driver_mysql.commit(conn, &world.err));
    driver_mysql.close(conn);
}

static void table_without_transactions_is_no_target(void **state)
{
    (void)state;
    world_run("drop table if exists write_myisam");
    world_run("create table write_myisam (id int primary key, v varchar(20)) engine=MyISAM");
    struct row *rows[] = {pair(1, "x")};
    insert_fails(target_of("write_myisam"), rows, 1, ERR_DATABASE, "InnoDB");
    assert_string_equal(native_ask(world.native, "select count(*) from write_myisam"), "0");
}

/* Two that wait for each other's row: the server ends one of them. */
static void deadlock_is_a_race(void **state)
{
    (void)state;
    remake("write_deadlock", "id int primary key, v varchar(20)");
    world_run("insert into write_deadlock values (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')");
    struct target *target = target_of("write_deadlock");
    struct row *one[] = {pair(1, "x")}, *two[] = {pair(2, "x")};
    begin();
    find(target, one, 1, FIND_LOCK);
    pid_t child = fork();
    if (child == 0) { /* who changed more is not the one that is ended */
        MYSQL *other = native_open(world.system);
        _exit(!other || native_run(other, "begin") ||
              native_run(other, "update write_deadlock set v = concat(v, v) where id >= 2") ||
              native_run(other, "update write_deadlock set v = 'theirs' where id = 1") ||
              native_run(other, "commit"));
    }
    for (int i = 0; i < 500; i++) {
        usleep(10000);
        if (atoi(native_ask(world.native,
                            "select count(*) from information_schema.innodb_trx where trx_state ="
                            " 'LOCK WAIT'")) > 0)
            break;
    }
    struct found found;
    int result =
        driver_mysql.find_open(world.conn, target, (const struct row *const *)two, 1, FIND_LOCK, &world.err);
    if (!result)
        result = driver_mysql.find_next(world.conn, &found, &world.err);
    world_expect(result, ERR_RACE, "1213");
    rollback();
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    begin();
    assert_string_equal(find(target, one, 1, FIND_LOCK), "int:1 text:theirs");
    rollback();
}

static void everything_is_rolled_back_after_a_lock_wait(void **state)
{
    (void)state;
    remake("write_wait", "id int primary key, v varchar(20)");
    world_run("insert into write_wait values (1, 'a')");
    struct target *target = target_of("write_wait");
    struct row *one[] = {pair(1, "x")}, *two[] = {pair(2, "x")};
    struct write insert = write_of(target, two, 1, true), update = write_of(target, one, 1, false);
    struct fault fault;
    world_run("begin");
    world_run("update write_wait set v = 'theirs' where id = 1");
    check_ok(driver_mysql.begin(world.conn, true, 1, &world.err));
    check_ok(driver_mysql.insert(world.conn, &insert, &fault, &world.err));
    world_expect(driver_mysql.update(world.conn, &update, &fault, &world.err), ERR_BUSY, "1205");
    assert_int_equal(driver_mysql.commit(world.conn, &world.err), -1); /* half of it */
    err_clear(&world.err);
    rollback();
    world_run("commit");
    assert_string_equal(native_ask(world.native, "select count(*) from write_wait"), "1");
}

static void read_only_server_is_away(void **state)
{
    (void)state;
    struct config_system role = *world.system;
    struct conn *conn = NULL, *own = world.conn;
    remake("write_read_only", "id int primary key, v varchar(20)");
    struct target *target = target_of("write_read_only");
    struct row *rows[] = {pair(1, "x")};
    struct write write = write_of(target, rows, 1, true);
    struct fault fault;
    role.username = role.password = "sesam_limited";
    world_run("grant select, insert on write_read_only to sesam_limited");
    check_ok(driver_mysql.open(&conn, &role, &world.err));
    world_run("set global read_only = 1");
    int result = driver_mysql.begin(conn, true, 30, &world.err);
    if (!result)
        result = driver_mysql.insert(conn, &write, &fault, &world.err);
    world_run("set global read_only = 0");
    driver_mysql.close(conn);
    world.conn = own;
    world_expect(result, ERR_AWAY, "");
}

/* the session */

static void zero_is_a_key_and_not_the_next_number(void **state)
{
    (void)state;
    remake("write_zero", "id int auto_increment primary key, v varchar(20)");
    struct target *target = target_of("write_zero");
    struct row *rows[] = {pair(0, "zero")};
    insert_now(target, rows, 1);
    assert_string_equal(native_ask(world.native, "select id from write_zero"), "0");
}

static void limits_of_a_transaction_do_not_bind_the_reads_after_it(void **state)
{
    (void)state;
    if (!world.conn->mariadb)
        return;
    remake("write_after", "id int primary key, v varchar(20)");
    struct target *target = target_of("write_after");
    check_ok(driver_mysql.begin(world.conn, true, 7, &world.err));
    rollback();
    struct subject subject = {
        .query = "select @@max_statement_time as t, @@innodb_lock_wait_timeout as w, @@tx_read_only"
                 " as r, @@tx_isolation as i"};
    struct plan plan = world_plan(world_describe(&subject), ORDER_NONE, NULL);
    assert_string_equal(world_read(&plan), "float:0 uint:50 int:1 text:REPEATABLE-READ");
    struct row *rows[] = {pair(1, "x")};
    insert_now(target, rows, 1);
}

/* specials */

static void write_special(const struct target *target, struct row *row, bool insert, struct special *specials,
                          size_t count)
{
    struct write write = write_of(target, &row, 1, insert);
    struct fault fault;
    write.place_count = insert ? 1 : 0;
    write.specials = specials;
    write.special_count = count;
    begin();
    check_ok(insert ? driver_mysql.insert(world.conn, &write, &fault, &world.err)
                    : driver_mysql.update(world.conn, &write, &fault, &world.err));
    commit();
}

/* The wall of the system's timezone is what our source takes a DATETIME for. */
static void now_is_on_the_wall_of_the_system(void **state)
{
    (void)state;
    struct config_system system = *world.system;
    const struct config_system *kept = world.conn->system;
    remake("write_now",
           "id int primary key, w datetime(3), s timestamp(6) null, i bigint, t varchar(40), d date");
    struct target *target = target_of("write_now");
    system.timezone = "+05:30";
    world.conn->system = &system;
    struct special specials[] = {{.column = 1, .kind = SPECIAL_NOW},
                                 {.column = 2, .kind = SPECIAL_NOW},
                                 {.column = 3, .kind = SPECIAL_NOW},
                                 {.column = 4, .kind = SPECIAL_NOW},
                                 {.column = 5, .kind = SPECIAL_NOW}};
    write_special(target,
                  row_of((struct value[]){int_value(1), int_value(0), int_value(0), int_value(0),
                                          int_value(0), int_value(0)},
                         6),
                  true, specials, 5);
    world.conn->system = kept;
    assert_string_equal(
        native_ask(world.native,
                   "select abs(timestampdiff(second, utc_timestamp() + interval 330 minute, w)) < 60 and"
                   " abs(timestampdiff(second, utc_timestamp(), s)) < 60 and"
                   " abs(i - unix_timestamp()) < 60 and t like concat(utc_date(), '_T%%Z') = 0 and"
                   " t like concat(year(utc_date()), '-%%T%%Z') and"
                   " d = date(w) from write_now"),
        "1");
}

static void next_time_is_at_least_one_unit_above(void **state)
{
    (void)state;
    static const char *const columns[] = {"datetime", "datetime(3)", "timestamp(6) null", "date"};
    static const char *const above[] = {"2037-01-01 00:00:01", "2037-01-01 00:00:00.001",
                                        "2037-01-01 00:00:00.000001", "2037-01-02"};
    for (size_t i = 0; i < 4; i++) {
        char definition[100];
        snprintf(definition, sizeof definition, "id int primary key, v %s", columns[i]);
        remake("write_next", definition);
        world_run("insert into write_next values (1, '2037-01-01'), (2, null), (3, '2001-01-01')");
        struct target *target = target_of("write_next");
        struct special special = {.column = 1, .kind = SPECIAL_NEXT};
        for (int id = 1; id <= 3; id++)
            write_special(target, pair(id, NULL), false, &special, 1);
        assert_string_equal(native_ask(world.native, "select v from write_next where id = 1"), above[i]);
        assert_string_equal(
            native_ask(world.native,
                       "select count(*) from write_next where id > 1 and"
                       " v between utc_timestamp() - interval 2 day and utc_timestamp() + interval 1 day"),
            "2");
    }
}

/* MySQL assigns left to right: what reads the old row comes before its version. */
static void automatic_time_of_change_keeps_working(void **state)
{
    (void)state;
    remake("write_auto",
           "id int primary key, v varchar(20), c timestamp(6) not null default current_timestamp(6)"
           " on update current_timestamp(6)");
    struct target *target = target_of("write_auto");
    target->column_count = 2;
    struct row *rows[] = {pair(1, "a")};
    insert_now(target, rows, 1);
    world_run("update write_auto set c = '2001-01-01'");
    struct row *changed[] = {pair(1, "b")};
    struct write write = write_of(target, changed, 1, false);
    struct fault fault;
    begin();
    check_ok(driver_mysql.update(world.conn, &write, &fault, &world.err));
    commit();
    assert_string_equal(native_ask(world.native, "select c > '2002-01-01' from write_auto"), "1");
}

/* what full syncs leave over */

static void check_sweep(const struct key_case *c)
{
    struct row *rows[MANY];
    struct buf list = {0};
    char columns[200];
    uint64_t left, total;
    snprintf(columns, sizeof columns, "%s, v int, primary key (%s)", c->type, c->key);
    remake("write_sweep", columns);
    world_run("insert into write_sweep select %s, seq from seq_1_to_%d", c->filling, MANY);
    struct target *target = target_of("write_sweep");
    size_t count = read_rows(target, rows, 2);
    buf_putc(&list, '[');
    for (size_t i = 0; i < count; i++)
        check_ok(driver_mysql.seen(target, rows[i], &list, &world.err));
    buf_putc(&list, ']');
    check_ok(driver_mysql.sync_prepare(world.conn, target, &world.err));
    world.conn->packet = 1000; /* in parts */
    begin();
    struct sync_state state;
    check_ok(driver_mysql.sync_lock(world.conn, target, true, &state, world.arena, &world.err));
    check_ok(driver_mysql.sync_begin(world.conn, target, "s", &world.err));
    check_ok(driver_mysql.sync_lock(world.conn, target, true, &state, world.arena, &world.err));
    struct receipt receipt = {.request_id = "r", .digest = "d", .answer = "{}"};
    check_ok(
        driver_mysql.sync_add(world.conn, target, &state, buf_text(&list), list.len, &receipt, &world.err));
    struct sweep sweep = {.target = target, .kind = SWEEP_DELETE, .sequence_id = "s"};
    check_ok(driver_mysql.sweep(world.conn, &sweep, 10, &left, &total, &world.err));
    commit();
    if (left != MANY / 2 || total != MANY)
        fail_msg("%s: %lu of %lu left over", c->type, (unsigned long)left, (unsigned long)total);
    begin(); /* and the same by a list alone */
    sweep = (struct sweep){.target = target, .kind = SWEEP_COUNT, .seen = list.data};
    check_ok(driver_mysql.sweep(world.conn, &sweep, 10, &left, &total, &world.err));
    assert_int_equal(left, 0);
    commit();
    buf_free(&list);
}

static void keys_of_every_type_are_swept(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        check_sweep(&keys[i]);
    for (size_t i = 0; world.conn->mariadb && i < sizeof mariadb_keys / sizeof *mariadb_keys; i++)
        check_sweep(&mariadb_keys[i]);
}

/* A list that cannot be read whole must not pass for one with fewer keys. */
static void seen_key_that_is_none_fails_the_sweep(void **state)
{
    (void)state;
    remake("write_broken", "id varchar(20) character set latin1 primary key, v int");
    world_run("insert into write_broken values ('a', 1)");
    struct target *target = target_of("write_broken");
    uint64_t left, total;
    struct sweep sweep = {.target = target, .kind = SWEEP_DELETE, .seen = "[\n[\"a\"],\n[]]"};
    begin();
    assert_int_equal(driver_mysql.sweep(world.conn, &sweep, 10, &left, &total, &world.err), -1);
    err_clear(&world.err);
    rollback();
    assert_string_equal(native_ask(world.native, "select count(*) from write_broken"), "1");
}

static void seen_key_outside_of_the_character_set_is_no_other(void **state)
{
    (void)state;
    remake("write_latin", "id varchar(20) character set latin1 primary key, v int");
    world_run("insert into write_latin values ('?', 1), ('\xc3\xa6', 2)");
    struct target *target = target_of("write_latin");
    uint64_t left, total;
    struct sweep sweep = {
        .target = target, .kind = SWEEP_COUNT, .seen = "[\n[\"\xf0\x9f\x98\x80\"],\n[\"\xc3\xa6\"]]"};
    begin();
    check_ok(driver_mysql.sweep(world.conn, &sweep, 10, &left, &total, &world.err));
    assert_int_equal(left, 1);
    rollback();
}

static void rows_that_stay_are_not_locked_by_a_sweep(void **state)
{
    (void)state;
    remake("write_stay", "id int primary key, v varchar(20)");
    world_run("insert into write_stay values (1, 'a'), (2, 'b'), (3, 'c')");
    struct target *target = target_of("write_stay");
    uint64_t left, total;
    struct sweep sweep = {.target = target, .kind = SWEEP_DELETE, .seen = "[\n[1],\n[3]]"};
    begin();
    check_ok(driver_mysql.sweep(world.conn, &sweep, 10, &left, &total, &world.err));
    assert_int_equal(left, 1);
    world_run("set innodb_lock_wait_timeout = 1");
    world_run("update write_stay set v = 'theirs' where id in (1, 3)");
    world_run("set innodb_lock_wait_timeout = 50");
    commit();
    assert_string_equal(native_ask(world.native, "select group_concat(v) from write_stay"), "theirs,theirs");
}

static void missing_right_to_temporary_tables_is_named(void **state)
{
    (void)state;
    struct config_system role = *world.system;
    struct conn *conn = NULL;
    remake("write_rights", "id int primary key, v varchar(20)");
    struct target *target = target_of("write_rights");
    uint64_t left, total;
    struct sweep sweep = {.target = target, .kind = SWEEP_DELETE, .seen = "[]"};
    role.username = role.password = "sesam_limited";
    world_run("grant select, insert on write_rights to sesam_limited");
    check_ok(driver_mysql.open(&conn, &role, &world.err));
    check_ok(driver_mysql.begin(conn, true, 30, &world.err));
    int result = driver_mysql.sweep(conn, &sweep, 10, &left, &total, &world.err);
    driver_mysql.close(conn);
    world_expect(result, ERR_DATABASE, "GRANT CREATE TEMPORARY TABLES");
}

int mysql_write_run(const struct config_system *system, MYSQL *native)
{
    world.system = system;
    world.native = native;
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
    const struct CMUnitTest mysql_write[] = {
        TEST(every_type_comes_back_as_it_went_in_bulk),
        TEST(every_type_comes_back_as_it_went_without_bulk),
        TEST(values_get_the_form_of_the_column),
        TEST(values_that_do_not_fit_are_refused),
        TEST(description_tells_what_columns_take),
        TEST(keys_of_every_type_are_found_by_their_index),
        TEST(enum_is_a_key),
        TEST(key_outside_of_the_character_set_is_not_found),
        TEST(many_keys_go_in_several_statements),
        TEST(only_rows_looked_for_are_locked),
        TEST(values_the_server_normalises_come_in_its_form),
        TEST(padded_and_folded_keys_have_the_same_rank),
        TEST(key_outside_of_the_character_set_has_a_rank_of_its_own),
        TEST(text_outside_of_the_character_set_is_refused_with_its_row),
        TEST(error_has_no_value_of_a_row),
        TEST(decimal_with_more_digits_is_refused_not_rounded),
        TEST(too_long_and_out_of_range_is_refused),
        TEST(constraints_are_told_with_the_row),
        TEST(row_larger_than_a_packet_is_refused),
        TEST(table_without_transactions_is_no_target),
        TEST(deadlock_is_a_race),
        TEST(everything_is_rolled_back_after_a_lock_wait),
        TEST(read_only_server_is_away),
        TEST(zero_is_a_key_and_not_the_next_number),
        TEST(limits_of_a_transaction_do_not_bind_the_reads_after_it),
        TEST(now_is_on_the_wall_of_the_system),
        TEST(next_time_is_at_least_one_unit_above),
        TEST(automatic_time_of_change_keeps_working),
        TEST(keys_of_every_type_are_swept),
        TEST(seen_key_that_is_none_fails_the_sweep),
        TEST(seen_key_outside_of_the_character_set_is_no_other),
        TEST(rows_that_stay_are_not_locked_by_a_sweep),
        TEST(missing_right_to_temporary_tables_is_named),
    };
#undef TEST
    return cmocka_run_group_tests(mysql_write, NULL, NULL);
}
