/* What only the SQLite driver does when it writes; the rest is in the contract, see test_sqlite.c. */
/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "db/sqlite.h"

/* A folder with a database, the library's own connection to it, and the driver's. */
struct world {
    char folder[64], path[96];
    struct config_system system;
    sqlite3 *native;
    struct conn *conn;
    struct arena *arena;
    struct relation *relation;
    struct target target;
    struct fault fault;
    struct err err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    strcpy(world->folder, "/tmp/sesam-sql-test-XXXXXX");
    if (!mkdtemp(world->folder))
        return -1;
    snprintf(world->path, sizeof world->path, "%s/demo.db", world->folder);
    world->system = (struct config_system){.name = "local",
                                           .type = DATABASE_SQLITE,
                                           .path = world->path,
                                           .timezone = "UTC",
                                           .pool_size = 10,
                                           .pool_timeout = 5};
    world->arena = arena_new();
    setenv("SQLITE_TMPDIR", world->folder, 1);
    *state = world;
    return world->arena && sqlite3_open(world->path, &world->native) == SQLITE_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    int failed = seteuid(getuid());
    driver_sqlite.close(world->conn);
    sqlite3_close(world->native);
    arena_free(world->arena);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", world->path, suffixes[i]);
        unlink(name);
    }
    failed |= rmdir(world->folder);
    free(world);
    return failed;
}

static void run(struct world *world, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(world->native, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

/* The one value a statement gives, as text. */
static const char *ask(struct world *world, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(world->native, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(stmt, 0),
               *copy = arena_strdup(world->arena, text ? text : "NULL");
    sqlite3_finalize(stmt);
    return copy;
}

static void check_ok(const struct world *world, int failed)
{
    if (failed)
        fail_msg("%s (%s)", world->err.text, world->err.hint);
}

static void check_error(struct world *world, int result, enum err_code code, const char *part)
{
    assert_int_equal(result, -1);
    if (world->err.code != code || !strstr(world->err.text, part))
        fail_msg("expected error %d about '%s', got %d: %s", code, part, world->err.code, world->err.text);
}

/* All columns of a table, whose key comes first. */
static void aim(struct world *world, const char *table)
{
    if (!world->conn)
        check_ok(world, driver_sqlite.open(&world->conn, &world->system, &world->err));
    check_ok(world, driver_sqlite.describe(world->conn, &(struct subject){.table = table}, world->arena,
                                           &world->relation, &world->err));
    size_t count = world->relation->column_count,
           *columns = arena_array(world->arena, count, sizeof *columns);
    for (size_t i = 0; i < count; i++)
        columns[i] = i;
    world->target = (struct target){.relation = world->relation,
                                    .sink = "s",
                                    .columns = columns,
                                    .column_count = count,
                                    .reads = columns,
                                    .read_count = count};
}

static void begin(struct world *world)
{
    check_ok(world, driver_sqlite.begin(world->conn, true, 30, &world->err));
}

static void give_up(struct world *world)
{
    err_clear(&world->err);
    assert_int_equal(driver_sqlite.rollback(world->conn), 0);
}

typedef int (*write_call)(struct conn *conn, const struct write *write, struct fault *fault, struct err *err);

/* Calls the verb with one row, of which the first count values are given. */
static int write_one(struct world *world, write_call verb, const struct value *values, size_t count)
{
    const struct row row = {.values = values}, *rows = &row;
    size_t places[16], first = verb == driver_sqlite.insert ? 0 : world->relation->key_count;
    for (size_t i = first; i < count; i++)
        places[i - first] = i;
    const struct write write = {.target = &world->target,
                                .places = places,
                                .place_count = count - first,
                                .rows = &rows,
                                .row_count = 1};
    return verb(world->conn, &write, &world->fault, &world->err);
}

static struct value text(const char *bytes)
{
    return value_text(KIND_TEXT, bytes, strlen(bytes));
}

static struct value number(int64_t integer)
{
    return value_integer(KIND_INT, integer);
}

/* describing */

static void what_a_sink_needs_to_know_is_described(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a INT DEFAULT 5, b TEXT DEFAULT NULL,"
               " c AS (a + 1), d AS (a * 2) STORED, e TEXT COLLATE NOCASE)");
    aim(world, "t");
    const struct column *columns = world->relation->columns;
    assert_true(columns[0].identity && !columns[1].identity);
    assert_true(columns[1].defaulted && !columns[0].defaulted && !columns[2].defaulted);
    assert_true(columns[3].generated && columns[4].generated && !columns[1].generated);
    assert_true(columns[0].exact && columns[2].exact);
    assert_false(columns[1].exact || columns[5].exact);
    assert_false(world->relation->triggers);
    run(world, "CREATE TRIGGER x AFTER UPDATE ON t BEGIN SELECT 1; END");
    aim(world, "T");
    assert_true(world->relation->triggers);
    run(world,
        "CREATE TABLE w (id INTEGER PRIMARY KEY) WITHOUT ROWID; CREATE TABLE s (id INT PRIMARY KEY) STRICT;"
        "CREATE TABLE i (id TEXT, x TEXT); CREATE UNIQUE INDEX i_id ON i (id COLLATE NOCASE)");
    aim(world, "w");
    assert_false(world->relation->columns[0].identity);
    aim(world, "s");
    assert_true(world->relation->columns[0].exact);
    const char *key = "id";
    check_ok(world,
             driver_sqlite.describe(world->conn, &(struct subject){.table = "i", .key = &key, .key_count = 1},
                                    world->arena, &world->relation, &world->err));
    assert_true(world->relation->key_unique);
    assert_false(world->relation->columns[0].exact); /* the index says so, not the column */
}

/* The index takes them for the same, so that the row must be found and not inserted. */
static void coarser_collation_of_the_index_decides(void **state)
{
    struct world *world = *state;
    const char *key = "id";
    run(world, "CREATE TABLE t (id TEXT NOT NULL, x INT); CREATE UNIQUE INDEX t_id ON t (id COLLATE NOCASE);"
               "INSERT INTO t VALUES ('Kari', 1), ('ola', 2)");
    aim(world, "t");
    check_ok(world,
             driver_sqlite.describe(world->conn, &(struct subject){.table = "t", .key = &key, .key_count = 1},
                                    world->arena, &world->relation, &world->err));
    world->target.relation = world->relation;
    const struct value values[] = {text("KARI"), number(7)};
    const struct row row = {.values = values}, *rows = &row;
    struct found found;
    struct buf list = {0};
    uint64_t left, total;
    begin(world);
    check_ok(world, driver_sqlite.find_open(world->conn, &world->target, &rows, 1, FIND_LOOK, &world->err));
    assert_int_equal(driver_sqlite.find_next(world->conn, &found, &world->err), 1);
    check_ok(world, driver_sqlite.find_close(world->conn));
    check_ok(world, write_one(world, driver_sqlite.update, values, 2));
    buf_putc(&list, '[');
    check_ok(world, driver_sqlite.seen(&world->target, &row, &list, &world->err));
    buf_putc(&list, ']');
    const struct sweep sweep = {.target = &world->target, .kind = SWEEP_DELETE, .seen = buf_text(&list)};
    check_ok(world, driver_sqlite.sweep(world->conn, &sweep, 100, &left, &total, &world->err));
    assert_int_equal(left, 1);
    check_ok(world, driver_sqlite.commit(world->conn, &world->err));
    assert_string_equal(ask(world, "SELECT group_concat(id || x) FROM t"), "Kari7");
    buf_free(&list);
}

/* values */

static const char types_table[] =
    "CREATE TABLE types (id INTEGER PRIMARY KEY, i INTEGER, t TEXT, v VARCHAR(3), n NUMERIC, d DECIMAL(10,2),"
    " dt DATETIME, bo BOOLEAN, r REAL, b BLOB, none);"
    "CREATE TABLE strict (id INTEGER PRIMARY KEY, i INT, t TEXT, r REAL, b BLOB, a ANY) STRICT";

/* All kinds that accept gives for a column of no kind of its own. */
static size_t all_values(struct value *values)
{
    static const char *const numbers[] = {
        "0",
        "-0",
        "5",
        "-5",
        "1.5",
        "0.1",
        "1e3",
        "1.50",
        "1e-7",
        "0.30000000000000004",
        "1e300",
        "5e-324",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "1e18",
        "9.223372036854775e18",
        "-9.223372036854775808e18",
        "12345678901234567890.123",
        "0.1234567890123456789",
        "1e400",
        "123456789012345678901234567890",
        "Infinity",
        "-Infinity",
        "NaN",
        "100000000000000000000",
    };
    static const char *const texts[] = {
        "",         "x",     " 12 ",  "12",   "0012", "+5",         "1.",   ".5", "1.e2",
        ".",        "1e",    "-",     "0x10", "1e5",  "1_000",      "12\n", "-0", "9999999999999999999",
        "\xc3\xa6", "1e999", "abc 1", "nan",  "inf",  "2024-01-02", "1 2"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        values[count++] = value_text(KIND_FLOAT, numbers[i], strlen(numbers[i]));
        values[count++] = value_text(KIND_DECIMAL, numbers[i], strlen(numbers[i]));
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        values[count++] = text(texts[i]);
    values[count++] = value_text(KIND_TEXT, "12\0", 3);
    values[count++] = value_text(KIND_BYTES, "12\0\xff", 4);
    values[count++] = value_text(KIND_BYTES, "", 0);
    values[count++] = value_text(KIND_JSON, "{\"a\":[1]}", 9);
    values[count++] = value_text(KIND_JSON, "17", 2);
    values[count++] = value_text(KIND_UUID, "0123456789abcdef", 16);
    values[count++] = value_integer(KIND_DATETIME, 0);
    values[count++] = value_integer(KIND_DATETIME, 1500000);
    values[count++] = value_integer(KIND_DATETIME, -1);
    values[count++] = value_integer(KIND_DATE, 19000);
    values[count++] = (struct value){.kind = KIND_BOOL, .boolean = true};
    values[count++] = (struct value){.kind = KIND_BOOL};
    values[count++] = (struct value){.kind = KIND_NULL};
    values[count++] = (struct value){.kind = KIND_UINT, .natural = UINT64_MAX};
    values[count++] = (struct value){.kind = KIND_UINT, .natural = 7};
    values[count++] = number(INT64_MAX);
    values[count++] = number(INT64_MIN);
    values[count++] = number(0);
    values[count++] = number(INT64_C(1) << 60);
    return count;
}

static void put(struct buf *out, const struct value *value)
{
    static const char *const names[] = {[KIND_NULL] = "NULL",
                                        [KIND_INT] = "int ",
                                        [KIND_FLOAT] = "float ",
                                        [KIND_TEXT] = "text ",
                                        [KIND_BYTES] = "bytes "};
    assert_true(value->kind < sizeof names / sizeof *names && names[value->kind]);
    buf_puts(out, names[value->kind]);
    if (value->kind == KIND_INT)
        buf_printf(out, "%lld", (long long)value->integer);
    else if (value->kind != KIND_NULL)
        buf_put(out, value->text.bytes, value->text.len);
}

/* Writes one value and compares what comes back. */
static void check_round_trip(struct world *world, size_t column, const struct value *fitted)
{
    const struct value key = number(1), *values[2] = {&key, fitted};
    struct value given[2] = {*values[0], *values[1]};
    const size_t columns[] = {0, column};
    struct target target = world->target;
    target.columns = target.reads = columns;
    target.column_count = target.read_count = 2;
    const struct row row = {.values = given}, *rows = &row;
    const struct write write = {
        .target = &target, .places = (const size_t[]){0, 1}, .place_count = 2, .rows = &rows, .row_count = 1};
    struct found found;
    struct buf sent = {0}, held = {0};
    begin(world);
    check_ok(world, driver_sqlite.insert(world->conn, &write, &world->fault, &world->err));
    check_ok(world, driver_sqlite.find_open(world->conn, &target, &rows, 1, FIND_LOOK, &world->err));
    assert_int_equal(driver_sqlite.find_next(world->conn, &found, &world->err), 1);
    put(&sent, &given[1]);
    put(&held, &found.values[1]);
    if (sent.len != held.len || memcmp(sent.data, held.data, sent.len) != 0)
        fail_msg("%s: '%s' came back as '%s'", world->relation->columns[column].name, buf_text(&sent),
                 buf_text(&held));
    assert_int_equal(driver_sqlite.rollback(world->conn), 0);
    buf_free(&sent);
    buf_free(&held);
}

/* The one thing that fit is for. */
static void fitted_value_is_what_comes_back(void **state)
{
    static const char *const tables[] = {"types", "strict"};
    struct world *world = *state;
    struct value values[128];
    size_t count = all_values(values), refused = 0, kept = 0;
    run(world, types_table);
    for (size_t t = 0; t < 2; t++) {
        aim(world, tables[t]);
        for (size_t column = 1; column < world->relation->column_count; column++)
            for (size_t i = 0; i < count; i++) {
                struct value value = values[i];
                if (driver_sqlite.fit(&world->relation->columns[column], &value, world->arena, &world->err)) {
                    assert_int_equal(world->err.code, ERR_VALUE);
                    err_clear(&world->err);
                    refused++;
                    continue;
                }
                check_round_trip(world, column, &value);
                kept++;
            }
    }
    assert_true(kept > 800 && refused > 200);
}

static void values_are_fitted_by_affinity(void **state)
{
    static const struct {
        const char *table, *column;
        struct value value;
        const char *expected; /* NULL: refused */
    } cases[] = {
#define FLOAT(digits) {.kind = KIND_FLOAT, .text = {digits, sizeof digits - 1}}
#define DECIMAL(digits)                                                                                      \
    {                                                                                                        \
        .kind = KIND_DECIMAL, .text = { digits, sizeof digits - 1 }                                          \
    }
#define TEXT(digits)                                                                                         \
    {                                                                                                        \
        .kind = KIND_TEXT, .text = { digits, sizeof digits - 1 }                                             \
    }
#define INT(number)                                                                                          \
    {                                                                                                        \
        .kind = KIND_INT, .integer = number                                                                  \
    }
        {"types", "i", TEXT("12"), "int 12"},
        {"types", "i", TEXT("twelve"), "text twelve"},
        {"types", "i", FLOAT("5"), "int 5"},
        {"types", "i", FLOAT("1.5"), "float 1.5"},
        {"types", "i", DECIMAL("12345678901234567890"), NULL},
        {"types", "i", {.kind = KIND_UINT, .natural = UINT64_MAX}, NULL},
        {"types", "t", INT(5), "text 5"},
        {"types", "t", FLOAT("1.5"), "text 1.5"},
        {"types", "t", DECIMAL("1.50"), "text 1.50"},
        {"types", "t", DECIMAL("12345678901234567890.123"), "text 12345678901234567890.123"},
        {"types", "t", {.kind = KIND_BOOL, .boolean = true}, "text 1"},
        {"types", "v", TEXT("longer than three"), "text longer than three"},
        {"types", "n", DECIMAL("1.50"), "float 1.5"},
        {"types", "n", DECIMAL("2.00"), "int 2"},
        {"types", "n", DECIMAL("0.1234567890123456789"), NULL},
        {"types", "n", TEXT("12345678901234567890"), NULL},
        {"types", "r", INT(5), "float 5"},
        {"types", "r", INT(9007199254740993), NULL},
        {"types", "r", FLOAT("-0"), "float 0"},
        {"types", "r", TEXT("x"), "text x"},
        {"types", "none", INT(5), "int 5"},
        {"types", "none", TEXT("12"), "text 12"},
        {"types", "none", DECIMAL("1.50"), "text 1.50"},
        {"types", "none", FLOAT("-0"), "float -0"},
        {"types", "none", {.kind = KIND_UINT, .natural = UINT64_MAX}, NULL},
        {"types", "dt", {.kind = KIND_DATETIME, .integer = 0}, "text 1970-01-01 00:00:00"},
        {"types", "dt", {.kind = KIND_DATETIME, .integer = 1500000}, "text 1970-01-01 00:00:01.5"},
        {"types", "dt", {.kind = KIND_DATE, .integer = 1}, "text 1970-01-02"},
        {"types", "bo", {.kind = KIND_BOOL}, "int 0"},
        {"types",
         "t",
         {.kind = KIND_UUID, .text = {"0123456789abcdef", 16}},
         "text 30313233-3435-3637-3839-616263646566"},
        {"types", "n", FLOAT("NaN"), NULL},
        {"types", "n", FLOAT("Infinity"), "float Infinity"},
        {"types", "id", INT(5), "int 5"},
        {"types", "id", TEXT("12"), "int 12"},
        {"types", "id", TEXT("x"), NULL},
        {"types", "id", FLOAT("1.5"), NULL},
        {"strict", "i", TEXT("12"), "int 12"},
        {"strict", "i", TEXT("x"), NULL},
        {"strict", "i", FLOAT("1.5"), NULL},
        {"strict", "r", INT(5), "float 5"},
        {"strict", "r", TEXT("x"), NULL},
        {"strict", "t", INT(5), "text 5"},
        {"strict", "t", {.kind = KIND_BYTES, .text = {"x", 1}}, NULL},
        {"strict", "b", TEXT("x"), NULL},
        {"strict", "b", {.kind = KIND_BYTES, .text = {"x", 1}}, "bytes x"},
        {"strict", "a", TEXT("12"), "text 12"},
#undef FLOAT
#undef DECIMAL
#undef TEXT
#undef INT
    };
    struct world *world = *state;
    run(world, types_table);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aim(world, cases[i].table);
        struct value value = cases[i].value;
        struct buf out = {0};
        size_t column = 0;
        while (strcmp(world->relation->columns[column].name, cases[i].column) != 0)
            column++;
        int failed = driver_sqlite.fit(&world->relation->columns[column], &value, world->arena, &world->err);
        if (!failed)
            put(&out, &value);
        if (failed != (cases[i].expected ? 0 : -1) ||
            (!failed && strcmp(buf_text(&out), cases[i].expected) != 0))
            fail_msg("case %zu, %s.%s: '%s' %s", i, cases[i].table, cases[i].column,
                     failed ? "" : buf_text(&out), world->err.text);
        err_clear(&world->err);
        buf_free(&out);
    }
}

/* A float among the keys of a list, bytes, and a text with a NUL, in a file of another encoding too. */
static void seen_keys_come_back_as_they_were(void **state)
{
    struct world *world = *state;
    run(world, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a, b TEXT, PRIMARY KEY (a, b))");
    aim(world, "t");
    assert_false(world->relation->columns[1].exact);
    const struct value keys[][2] = {
        {value_text(KIND_FLOAT, "0.30000000000000004", 19), text("\"\\\x01 \xc3\xa6")},
        {value_text(KIND_BYTES, "\0\xff[]", 4), value_text(KIND_TEXT, "a\0b", 3)},
        {number(INT64_MIN), text("")},
    };
    struct buf list = {0};
    uint64_t left, total;
    buf_putc(&list, '[');
    begin(world);
    for (size_t i = 0; i < 3; i++) {
        const struct row row = {.values = keys[i]};
        check_ok(world, write_one(world, driver_sqlite.insert, keys[i], 2));
        check_ok(world, driver_sqlite.seen(&world->target, &row, &list, &world->err));
    }
    buf_putc(&list, ']');
    const struct value other[] = {value_text(KIND_FLOAT, "0.3", 3), text("x")};
    check_ok(world, write_one(world, driver_sqlite.insert, other, 2));
    struct sweep sweep = {.target = &world->target, .kind = SWEEP_DELETE, .seen = buf_text(&list)};
    check_ok(world, driver_sqlite.sweep(world->conn, &sweep, 100, &left, &total, &world->err));
    assert_int_equal(left, 1);
    static const char *const damaged[] = {"[",       "[1",         "[1]",           "[[1,2]", "[[\"t",
                                          "[[\"t\\", "[[\"t\\u00", "[[\"bx1\",1]]", "x",      "[[1,2],",
                                          "[[1,2]2", "[\"\"",      "[[1,\"\"]]"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        sweep.seen = damaged[i];
        check_error(world, driver_sqlite.sweep(world->conn, &sweep, 100, &left, &total, &world->err),
                    ERR_DATABASE, "damaged");
        err_clear(&world->err);
    }
    buf_free(&list);
    assert_int_equal(driver_sqlite.rollback(world->conn), 0);
}

/* faults */

static void fault_names_the_row_and_the_column(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INT UNIQUE, c INT, UNIQUE (b, c));"
               "INSERT INTO t VALUES (1, 'x', 1, 1)");
    aim(world, "t");
    begin(world);
    check_error(world,
                write_one(world, driver_sqlite.insert, (struct value[]){number(2), {.kind = KIND_NULL}}, 2),
                ERR_VALUE, "NOT NULL");
    assert_int_equal(world->fault.row, 0);
    assert_int_equal(world->fault.column, 1);
    assert_false(world->fault.duplicate);
    err_clear(&world->err);
    check_error(world,
                write_one(world, driver_sqlite.insert, (struct value[]){number(2), text("y"), number(1)}, 3),
                ERR_VALUE, "UNIQUE");
    assert_int_equal(world->fault.column, 2);
    assert_true(world->fault.duplicate);
    err_clear(&world->err);
    check_error(world, write_one(world, driver_sqlite.insert, (struct value[]){number(1), text("y")}, 2),
                ERR_VALUE, "UNIQUE");
    assert_int_equal(world->fault.column, 0);
    assert_true(world->fault.duplicate);
    give_up(world);
}

static void fault_of_a_strict_table_names_the_column(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT) STRICT");
    aim(world, "t");
    begin(world);
    check_error(world, write_one(world, driver_sqlite.insert, (struct value[]){number(1), text("x")}, 2),
                ERR_VALUE, "TEXT value in INT");
    assert_int_equal(world->fault.column, 1);
    assert_false(world->fault.duplicate);
    give_up(world);
}

static void foreign_keys_are_kept(void **state)
{
    struct world *world = *state;
    run(world,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, p INT REFERENCES "
        "p);"
        "CREATE TABLE later (id INTEGER PRIMARY KEY, p INT REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
    aim(world, "t");
    begin(world);
    check_error(world, write_one(world, driver_sqlite.insert, (struct value[]){number(1), number(7)}, 2),
                ERR_VALUE, "FOREIGN KEY");
    give_up(world);
    aim(world, "later");
    begin(world);
    check_ok(world, write_one(world, driver_sqlite.insert, (struct value[]){number(1), number(7)}, 2));
    check_error(world, driver_sqlite.commit(world->conn, &world->err), ERR_VALUE, "FOREIGN KEY");
    give_up(world);
    assert_string_equal(ask(world, "SELECT count(*) FROM later"), "0");
}

/* It would be left out again and again, so it is no race. */
static void row_that_a_trigger_passes_over_is_refused(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT); INSERT INTO t VALUES (1, 1);"
               "CREATE TRIGGER i BEFORE INSERT ON t BEGIN SELECT RAISE(IGNORE); END;"
               "CREATE TRIGGER u BEFORE UPDATE ON t BEGIN SELECT RAISE(IGNORE); END;"
               "CREATE TRIGGER d BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'not this one'); END");
    aim(world, "t");
    const struct value values[] = {number(1), number(2)}, fresh[] = {number(2), number(2)};
    begin(world);
    check_error(world, write_one(world, driver_sqlite.insert, fresh, 2), ERR_VALUE, "trigger");
    give_up(world);
    begin(world);
    check_error(world, write_one(world, driver_sqlite.update, values, 2), ERR_VALUE, "trigger");
    give_up(world);
    begin(world);
    check_error(world, write_one(world, driver_sqlite.erase, values, 1), ERR_VALUE, "not this one");
    give_up(world);
}

/* specials */

static void time_is_kept_as_the_column_has_it(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, epoch INTEGER, stamp TIMESTAMP, word TEXT);"
               "INSERT INTO t VALUES (1, 0, 'no time at all', '2137-12-31T23:59:59.9995+01:00')");
    aim(world, "t");
    const struct value key = number(1);
    const struct row row = {.values = &key}, *rows = &row;
    const struct special specials[] = {{.column = 1, .kind = SPECIAL_NOW},
                                       {.column = 2, .kind = SPECIAL_NEXT},
                                       {.column = 3, .kind = SPECIAL_NEXT}};
    const struct write write = {
        .target = &world->target, .rows = &rows, .row_count = 1, .specials = specials, .special_count = 3};
    begin(world);
    check_ok(world, driver_sqlite.update(world->conn, &write, &world->fault, &world->err));
    check_ok(world, driver_sqlite.commit(world->conn, &world->err));
    assert_string_equal(ask(world, "SELECT typeof(epoch) || (epoch > 1700000000) FROM t"), "integer1");
    assert_string_equal(ask(world, "SELECT stamp LIKE '20__-__-__ __:__:__.___' FROM t"), "1");
    assert_string_equal(ask(world, "SELECT word FROM t"), "2137-12-31 23:00:00.001");
}

/* files */

static void full_file_ends_the_transaction_and_nothing_is_written_after_it(void **state)
{
    static const char *const modes[] = {"PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = WAL"};
    struct world *world = *state;
    char *long_text = arena_alloc(world->arena, 5000000);
    memset(long_text, 'x', 5000000);
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    aim(world, "t");
    for (size_t i = 0; i < 2; i++) {
        run(world, modes[i]);
        sqlite3_exec(world->conn->db, "PRAGMA max_page_count = 100", NULL, NULL, NULL);
        const struct value small[] = {number(1), text("x")},
                           great[] = {number(2), value_text(KIND_TEXT, long_text, 5000000)};
        begin(world);
        check_ok(world, write_one(world, driver_sqlite.insert, small, 2));
        int result = write_one(world, driver_sqlite.insert, great, 2);
        assert_non_null(strstr(world->err.hint, "make room"));
        check_error(world, result, ERR_AWAY, "full");
        err_clear(&world->err);
        if (sqlite3_get_autocommit(world->conn->db)) {
            assert_int_equal(write_one(world, driver_sqlite.insert, small, 2), -1);
            err_clear(&world->err);
            assert_int_equal(driver_sqlite.commit(world->conn, &world->err), -1);
        }
        give_up(world);
        assert_string_equal(ask(world, "SELECT count(*) FROM t"), "0");
        begin(world);
        check_ok(world, write_one(world, driver_sqlite.insert, small, 2));
        check_ok(world, driver_sqlite.commit(world->conn, &world->err));
        assert_string_equal(ask(world, "SELECT count(*) FROM t"), "1");
        run(world, "DELETE FROM t");
    }
}

static void transaction_that_sqlite_ended_by_itself_is_not_written_on(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    aim(world, "t");
    const struct value values[] = {number(1), text("x")};
    begin(world);
    assert_int_equal(sqlite3_exec(world->conn->db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    check_error(world, write_one(world, driver_sqlite.insert, values, 2), ERR_INTERNAL, "no transaction");
    err_clear(&world->err);
    assert_int_equal(driver_sqlite.commit(world->conn, &world->err), -1);
    give_up(world);
    assert_string_equal(ask(world, "SELECT count(*) FROM t"), "0");
}

static void session_only_reads_outside_of_a_transaction(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    aim(world, "t");
    for (int i = 0; i < 3; i++) {
        begin(world);
        if (i == 1)
            check_ok(world, driver_sqlite.commit(world->conn, &world->err));
        else
            assert_int_equal(driver_sqlite.rollback(world->conn), 0);
        assert_int_equal(sqlite3_exec(world->conn->db, "INSERT INTO t VALUES (1, 'x')", NULL, NULL, NULL),
                         SQLITE_READONLY);
        check_ok(world, driver_sqlite.begin(world->conn, false, 30, &world->err));
        assert_int_equal(write_one(world, driver_sqlite.insert, (struct value[]){number(1), text("x")}, 2),
                         -1);
        give_up(world);
    }
}

static void become_nobody(const struct world *world)
{
    enum { NOBODY = 65534 };
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(world->folder, NOBODY, NOBODY), 0);
    assert_int_equal(chown(world->path, NOBODY, NOBODY), 0);
    assert_int_equal(seteuid(NOBODY), 0);
}

static void file_that_can_only_be_read_is_away_with_a_hint(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    become_nobody(world);
    assert_int_equal(chmod(world->path, 0444), 0);
    aim(world, "t");
    int result = driver_sqlite.begin(world->conn, true, 30, &world->err);
    assert_non_null(strstr(world->err.hint, "right to write"));
    check_error(world, result, ERR_AWAY, "can only be read");
    give_up(world);
    check_error(world, driver_sqlite.sync_prepare(world->conn, &world->target, &world->err), ERR_AWAY,
                "can only be read");
}

static void journal_mode_is_left_as_it_is(void **state)
{
    static const char *const modes[] = {"delete", "truncate", "persist", "wal"};
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    for (int i = 0; i < 4; i++) {
        char set[64];
        snprintf(set, sizeof set, "PRAGMA journal_mode = %s", modes[i]);
        run(world, set);
        aim(world, "t");
        begin(world);
        check_ok(world, write_one(world, driver_sqlite.insert, (struct value[]){number(i), text("x")}, 2));
        check_ok(world, driver_sqlite.commit(world->conn, &world->err));
        if (i > 1)
            assert_string_equal(ask(world, "PRAGMA journal_mode"), modes[i]);
        driver_sqlite.close(world->conn);
        world->conn = NULL;
    }
    assert_string_equal(ask(world, "SELECT count(*) FROM t"), "4");
}

/* In the other modes readers are in the way of a commit, and only of that. */
static void reader_in_the_way_of_a_commit_is_busy(void **state)
{
    struct world *world = *state;
    run(world, "PRAGMA journal_mode = DELETE; CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    aim(world, "t");
    world->system.pool_timeout = 3600; /* the transaction's own time is shorter */
    alarm(60);
    run(world, "BEGIN; SELECT count(*) FROM t");
    check_ok(world, driver_sqlite.begin(world->conn, true, 0.05, &world->err));
    check_ok(world, write_one(world, driver_sqlite.insert, (struct value[]){number(1), text("x")}, 2));
    int result = driver_sqlite.commit(world->conn, &world->err);
    assert_true(*world->err.hint);
    check_error(world, result, ERR_BUSY, "locked");
    give_up(world);
    alarm(0);
    run(world, "COMMIT");
    assert_string_equal(ask(world, "SELECT count(*) FROM t"), "0");
}

static void long_statement_ends_with_its_time(void **state)
{
    struct world *world = *state;
    run(world,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE TRIGGER slow BEFORE INSERT ON t BEGIN"
        " INSERT INTO t SELECT n, '' FROM (WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n)"
        " SELECT n FROM n) WHERE n < 0; END");
    aim(world, "t");
    check_ok(world, driver_sqlite.begin(world->conn, true, 0.05, &world->err));
    check_error(world, write_one(world, driver_sqlite.insert, (struct value[]){number(1), text("x")}, 2),
                ERR_BUSY, "interrupted");
    assert_true(*world->err.hint);
    give_up(world);
    struct plan plan = {.relation = world->relation,
                        .columns = world->target.columns,
                        .column_count = 2,
                        .updated = SIZE_MAX,
                        .limit = UINT64_MAX};
    const struct value *row; /* and reading has all the time again */
    check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
    assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 0);
    check_ok(world, driver_sqlite.read_close(world->conn));
}

static void *cancel_soon(void *arg)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    driver_sqlite.cancel(arg);
    return NULL;
}

static void writing_is_called_off(void **state)
{
    struct world *world = *state;
    pthread_t thread;
    run(world,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); CREATE TRIGGER slow BEFORE INSERT ON t BEGIN"
        " INSERT INTO t SELECT n, '' FROM (WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n)"
        " SELECT n FROM n) WHERE n < 0; END");
    aim(world, "t");
    begin(world);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, world->conn), 0);
    check_error(world, write_one(world, driver_sqlite.insert, (struct value[]){number(1), text("x")}, 2),
                ERR_CANCELLED, "called off");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(driver_sqlite.rollback(world->conn), -1);
    run(world, "DROP TRIGGER slow; INSERT INTO t VALUES (1, 'x')"); /* the lock is gone */
}

static void waiting_for_the_writer_is_called_off(void **state)
{
    struct world *world = *state;
    pthread_t thread;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)");
    aim(world, "t");
    run(world, "BEGIN IMMEDIATE");
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, world->conn), 0);
    check_error(world, driver_sqlite.begin(world->conn, true, 3600, &world->err), ERR_CANCELLED,
                "called off");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(driver_sqlite.rollback(world->conn), -1);
}

/* full syncs */

static void retired_sequences_are_kept_for_a_week(void **state)
{
    struct world *world = *state;
    bool over;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    aim(world, "t");
    check_ok(world, driver_sqlite.sync_prepare(world->conn, &world->target, &world->err));
    begin(world);
    check_ok(world, driver_sqlite.sync_begin(world->conn, &world->target, "a", &world->err));
    check_ok(world, driver_sqlite.sync_begin(world->conn, &world->target, "b", &world->err));
    check_ok(world, driver_sqlite.sync_begin(world->conn, &world->target, "c", &world->err));
    check_ok(world, driver_sqlite.commit(world->conn, &world->err));
    run(world, "UPDATE sesam_sql_retired SET retired = datetime('now', '-8 days') WHERE sequence_id = 'a';"
               "UPDATE sesam_sql_retired SET retired = datetime('now', '-6 days') WHERE sequence_id = 'b'");
    begin(world);
    check_ok(world, driver_sqlite.sync_begin(world->conn, &world->target, "d", &world->err));
    check_ok(world, driver_sqlite.sync_is_over(world->conn, &world->target, "a", &over, &world->err));
    assert_false(over);
    check_ok(world, driver_sqlite.sync_is_over(world->conn, &world->target, "b", &over, &world->err));
    assert_true(over);
    check_ok(world, driver_sqlite.commit(world->conn, &world->err));
    assert_string_equal(ask(world, "SELECT count(*) FROM sesam_sql_retired"), "2");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_a_sink_needs_to_know_is_described),
        TEST(coarser_collation_of_the_index_decides),
        TEST(fitted_value_is_what_comes_back),
        TEST(values_are_fitted_by_affinity),
        TEST(seen_keys_come_back_as_they_were),
        TEST(fault_names_the_row_and_the_column),
        TEST(fault_of_a_strict_table_names_the_column),
        TEST(foreign_keys_are_kept),
        TEST(row_that_a_trigger_passes_over_is_refused),
        TEST(time_is_kept_as_the_column_has_it),
        TEST(full_file_ends_the_transaction_and_nothing_is_written_after_it),
        TEST(transaction_that_sqlite_ended_by_itself_is_not_written_on),
        TEST(session_only_reads_outside_of_a_transaction),
        TEST(file_that_can_only_be_read_is_away_with_a_hint),
        TEST(journal_mode_is_left_as_it_is),
        TEST(reader_in_the_way_of_a_commit_is_busy),
        TEST(long_statement_ends_with_its_time),
        TEST(writing_is_called_off),
        TEST(waiting_for_the_writer_is_called_off),
        TEST(retired_sequences_are_kept_for_a_week),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
