/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "db/sqlite.h"
#include "db_contract.h"

/* A folder with a database, the library's own connection to it, and the driver's. */
struct world {
    char folder[64], path[96];
    struct config_system system;
    sqlite3 *native;
    struct conn *conn;
    struct arena *arena;
    struct relation *relation;
    struct err err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    strcpy(world->folder, "/tmp/sesam-sql-test-XXXXXX");
    if (!world || !mkdtemp(world->folder))
        return -1;
    snprintf(world->path, sizeof world->path, "%s/demo.db", world->folder);
    world->system = (struct config_system){.name = "local",
                                           .type = DATABASE_SQLITE,
                                           .path = world->path,
                                           .timezone = "UTC",
                                           .pool_size = 10,
                                           .pool_timeout = 5};
    world->arena = arena_new();
    /* What is left there makes the folder stay, and tear_down fail. */
    setenv("SQLITE_TMPDIR", world->folder, 1);
    *state = world;
    return world->arena && sqlite3_open(world->path, &world->native) == SQLITE_OK ? 0 : -1;
}

static void remove_file(const struct world *world, const char *suffix)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s", world->path, suffix);
    unlink(name);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    int failed = seteuid(getuid()); /* back from become_nobody */
    driver_sqlite.close(world->conn);
    sqlite3_close(world->native);
    arena_free(world->arena);
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal", ".other"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        remove_file(world, suffixes[i]);
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
    err_clear(&world->err);
}

static void connect_to(struct world *world)
{
    check_ok(world, driver_sqlite.open(&world->conn, &world->system, &world->err));
}

static void describe(struct world *world, const struct subject *subject)
{
    if (!world->conn)
        connect_to(world);
    check_ok(world,
             driver_sqlite.describe(world->conn, subject, world->arena, &world->relation, &world->err));
}

static void describe_table(struct world *world, const char *table)
{
    describe(world, &(struct subject){.table = table, .updated = "u"});
}

/* The values of a row as "1|text|NULL". */
static void put_row(struct buf *out, const struct value *row, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i ? "|" : "");
        switch (row[i].kind) {
        case KIND_NULL:
            buf_puts(out, "NULL");
            break;
        case KIND_INT:
            buf_printf(out, "%lld", (long long)row[i].integer);
            break;
        case KIND_FLOAT:
            buf_puts(out, "f:");
            buf_put(out, row[i].text.bytes, row[i].text.len);
            break;
        case KIND_BYTES:
            buf_puts(out, "x:");
            for (size_t at = 0; at < row[i].text.len; at++)
                buf_printf(out, "%02x", (unsigned char)row[i].text.bytes[at]);
            break;
        default:
            assert_int_equal(row[i].kind, KIND_TEXT);
            buf_put(out, row[i].text.bytes, row[i].text.len);
        }
    }
    buf_putc(out, ' ');
}

/* Every row of an open read, then its end. */
static int read_all(struct world *world, size_t columns, struct buf *out)
{
    const struct value *row;
    int more;
    while ((more = driver_sqlite.read_next(world->conn, &row, &world->err)) == 1)
        put_row(out, row, columns);
    return more;
}

static const size_t first_columns[] = {0, 1, 2, 3, 4, 5, 6, 7};

/* A plan that reads all columns of what was described, whose "u" is its updated column. */
static struct plan plan_of(const struct world *world)
{
    struct plan plan = {.relation = world->relation,
                        .columns = first_columns,
                        .column_count = world->relation->column_count,
                        .updated = SIZE_MAX,
                        .limit = UINT64_MAX,
                        .fetch_size = 1000};
    for (size_t i = 0; i < world->relation->column_count; i++)
        if (strcmp(world->relation->columns[i].name, "u") == 0)
            plan.updated = i;
    return plan;
}

static void check_rows(struct world *world, const struct plan *plan, const char *expected)
{
    struct buf out = {0};
    check_ok(world, driver_sqlite.read_open(world->conn, plan, &world->err));
    check_ok(world, read_all(world, plan->column_count, &out));
    check_ok(world, driver_sqlite.read_close(world->conn));
    assert_string_equal(buf_text(&out), expected);
    buf_free(&out);
}

/* connection */

static void missing_file_is_an_error_and_is_not_created(void **state)
{
    struct world *world = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/none.db", world->folder);
    world->system.path = path;
    int result = driver_sqlite.open(&world->conn, &world->system, &world->err);
    assert_non_null(strstr(world->err.hint, "path"));
    check_error(world, result, ERR_DATABASE, "does not exist");
    assert_int_equal(access(path, F_OK), -1);
}

static void what_is_no_file_is_refused(void **state)
{
    struct world *world = *state;
    const char *const paths[] = {":memory:", "", world->folder};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        world->system.path = paths[i];
        check_error(world, driver_sqlite.open(&world->conn, &world->system, &world->err), ERR_DATABASE,
                    i < 2 ? "is not a database file" : "is not a file");
    }
}

/* Taken as a URI this would be an empty database in memory. */
static void a_uri_is_the_name_of_a_file(void **state)
{
    static const char name[] = "file:demo.db?mode=memory";
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (7)");
    assert_int_equal(chdir(world->folder), 0);
    assert_int_equal(rename("demo.db", name), 0);
    world->system.path = name;
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    check_rows(world, &plan, "7 ");
    assert_int_equal(unlink(name), 0);
    assert_int_equal(chdir("/"), 0);
}

static void write_file(const struct world *world, const char *text)
{
    FILE *file = fopen(world->path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void file_that_is_no_database_is_an_error_with_a_hint(void **state)
{
    struct world *world = *state;
    write_file(world,
               "This is a letter, and no database, however long it is made by this text that says so.\n");
    int result = driver_sqlite.open(&world->conn, &world->system, &world->err);
    assert_non_null(strstr(world->err.hint, "not a SQLite database"));
    check_error(world, result, ERR_DATABASE, "not a database");
}

/* Root may read and write everything, and is somebody else for the rest of the test. */
static void become_nobody(const struct world *world)
{
    enum { NOBODY = 65534 };
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(world->folder, NOBODY, NOBODY), 0);
    assert_int_equal(chown(world->path, NOBODY, NOBODY), 0);
    assert_int_equal(seteuid(NOBODY), 0);
}

static void file_without_rights_is_an_error_with_a_hint(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id)");
    become_nobody(world);
    assert_int_equal(chmod(world->path, 0), 0);
    int result = driver_sqlite.open(&world->conn, &world->system, &world->err);
    assert_true(*world->err.hint);
    check_error(world, result, ERR_DATABASE, "no right");
}

static void read_only_file_is_served_but_needs_its_folder_for_wal(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    become_nobody(world);
    assert_int_equal(chmod(world->path, 0444), 0);
    assert_int_equal(chmod(world->folder, 0555), 0);
    setenv("SQLITE_TMPDIR", "/tmp", 1); /* what is read goes elsewhere */
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    check_rows(world, &plan, "1 ");
    driver_sqlite.close(world->conn);
    world->conn = NULL;
    assert_int_equal(chmod(world->folder, 0755), 0);
    assert_int_equal(chmod(world->path, 0644), 0);
    run(world, "PRAGMA journal_mode = WAL; INSERT INTO t VALUES (2)");
    sqlite3_close(world->native);
    world->native = NULL;
    assert_int_equal(chmod(world->path, 0444), 0);
    assert_int_equal(chmod(world->folder, 0555), 0);
    int result = driver_sqlite.open(&world->conn, &world->system, &world->err);
    assert_int_equal(chmod(world->folder, 0755), 0);
    assert_non_null(strstr(world->err.hint, "-shm"));
    check_error(world, result, ERR_AWAY, "reading the database");
}

static void connection_tells_its_server_and_answers(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id)");
    connect_to(world);
    assert_int_equal(strncmp(driver_sqlite.server(world->conn), "SQLite 3.", 9), 0);
    check_ok(world, driver_sqlite.ping(world->conn, &world->err));
    assert_true(driver_sqlite.alive(world->conn));
}

static void replaced_file_is_not_served(void **state)
{
    struct world *world = *state;
    char other[128];
    run(world, "CREATE TABLE t (id)");
    connect_to(world);
    snprintf(other, sizeof other, "%s.other", world->path);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(rename(other, world->path), 0);
    assert_false(driver_sqlite.alive(world->conn));
    check_error(world, driver_sqlite.ping(world->conn, &world->err), ERR_LOST, "replaced");
    unlink(world->path);
    assert_false(driver_sqlite.alive(world->conn));
}

static void connection_cannot_write(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id)");
    connect_to(world);
    static const char *const statements[] = {"INSERT INTO t VALUES (1)",   "DROP TABLE t",
                                             "CREATE TABLE x (id)",        "PRAGMA user_version = 7",
                                             "ATTACH ':memory:' AS other", "SELECT load_extension('x')"};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (sqlite3_exec(world->conn->db, statements[i], NULL, NULL, NULL) == SQLITE_OK)
            fail_msg("%s was allowed", statements[i]);
}

/* describing */

static void columns_have_type_kind_and_nullability(void **state)
{
    static const struct {
        const char *name, *type;
        enum kind kind;
        bool nullable, bytewise;
    } expected[] = {
        {"id", "INTEGER", KIND_INT, false, true}, {"a", "varchar(20)", KIND_TEXT, false, true},
        {"b", "DOUBLE", KIND_FLOAT, true, false}, {"c", "BLOB", KIND_BYTES, true, false},
        {"d", "any", KIND_TEXT, true, false},     {"e", "datetime", KIND_TEXT, true, false},
        {"f", "TEXT", KIND_TEXT, true, false},    {"g", "INT", KIND_INT, true, false},
        {"twice", "INT", KIND_INT, true, false},  {"kept", "INT", KIND_INT, true, false},
    };
    struct world *world = *state;
    run(world,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a varchar(20) NOT NULL, b DOUBLE, c BLOB, d, e datetime,"
        " f TEXT COLLATE NOCASE, g INT, twice INT AS (g * 2), kept INT AS (g * 3) STORED)");
    describe_table(world, "T");
    assert_string_equal(world->relation->title, "t");
    assert_string_equal(world->relation->from, "\"t\"");
    size_t count = sizeof expected / sizeof *expected;
    assert_int_equal(world->relation->column_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct column *column = &world->relation->columns[i];
        assert_string_equal(column->name, expected[i].name);
        assert_string_equal(column->type, expected[i].type);
        assert_int_equal(column->kind, expected[i].kind);
        assert_int_equal(column->position, POSITION_ANY);
        assert_int_equal(column->nullable, expected[i].nullable);
        if (column->bytewise != expected[i].bytewise)
            fail_msg("%s: bytewise is wrong", column->name);
    }
}

static void strict_table_keeps_integers_bytewise(void **state)
{
    struct world *world = *state;
    if (sqlite3_libversion_number() < 3037000)
        skip();
    run(world, "CREATE TABLE t (a INT, b TEXT, c ANY, PRIMARY KEY (a, b)) STRICT");
    describe_table(world, "t");
    assert_true(world->relation->columns[0].bytewise);
    assert_true(world->relation->columns[1].bytewise);
    assert_false(world->relation->columns[2].bytewise);
}

static void text_of_a_utf16_file_is_not_bytewise(void **state)
{
    struct world *world = *state;
    run(world, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (id TEXT PRIMARY KEY)");
    describe_table(world, "t");
    assert_false(world->relation->columns[0].bytewise);
}

static void key_comes_from_the_catalogue(void **state)
{
    static const struct {
        const char *sql, *key;
        bool unique, nullable;
    } cases[] = {
        {"CREATE TABLE t (x, id INTEGER PRIMARY KEY)", "id", true, false},
        {"CREATE TABLE t (x, id INT PRIMARY KEY)", "id", true, true},
        {"CREATE TABLE t (x, id TEXT PRIMARY KEY)", "id", true, true},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY DESC)", "id", true, true},
        {"CREATE TABLE t (a, b, c, PRIMARY KEY (c, a))", "c a", true, true},
        {"CREATE TABLE t (a, b, c, PRIMARY KEY (c, a)) WITHOUT ROWID", "c a", true, false},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY) WITHOUT ROWID", "id", true, false},
        {"CREATE TABLE t (id INTEGER NOT NULL UNIQUE)", "", false, false},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(world, "DROP TABLE IF EXISTS t");
        run(world, cases[i].sql);
        describe_table(world, "t");
        const struct relation *relation = world->relation;
        char key[64] = "";
        for (size_t k = 0; k < relation->key_count; k++)
            sprintf(key + strlen(key), "%s%s", k ? " " : "", relation->columns[relation->key[k]].name);
        assert_string_equal(key, cases[i].key);
        assert_int_equal(relation->key_unique, cases[i].unique);
        if (relation->key_count && relation->columns[relation->key[0]].nullable != cases[i].nullable)
            fail_msg("%s: nullable is wrong", cases[i].sql);
    }
}

static void named_key_is_unique_by_a_whole_index_only(void **state)
{
    static const struct {
        const char *sql;
        bool unique;
    } cases[] = {
        {"CREATE TABLE t (a, b)", false},
        {"CREATE TABLE t (a, b); CREATE INDEX i ON t (a, b)", false},
        {"CREATE TABLE t (a, b, UNIQUE (a, b))", true},
        {"CREATE TABLE t (a, b, UNIQUE (b, a))", true},
        {"CREATE TABLE t (a, b, c, UNIQUE (a, b, c))", false},
        {"CREATE TABLE t (a, b); CREATE UNIQUE INDEX i ON t (a, b) WHERE a > 0", false},
        {"CREATE TABLE t (a, b); CREATE UNIQUE INDEX i ON t (a, lower(b))", false},
        {"CREATE TABLE t (a, b COLLATE NOCASE); CREATE UNIQUE INDEX i ON t (a, b)", true},
        {"CREATE TABLE t (a, b COLLATE NOCASE); CREATE UNIQUE INDEX i ON t (a, b COLLATE BINARY)", false},
        {"CREATE TABLE t (a, b); CREATE UNIQUE INDEX i ON t (a, b COLLATE NOCASE)", true},
    };
    static const char *const key[] = {"a", "B"};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(world, "DROP TABLE IF EXISTS t");
        run(world, cases[i].sql);
        describe(world, &(struct subject){.table = "t", .key = key, .key_count = 2});
        assert_int_equal(world->relation->key_count, 2);
        if (world->relation->key_unique != cases[i].unique)
            fail_msg("%s: key_unique is wrong", cases[i].sql);
    }
}

static void index_on_updated_and_key_is_found(void **state)
{
    static const struct {
        const char *sql;
        bool indexed;
    } cases[] = {
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u)", false},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u); CREATE INDEX i ON t (u)", true},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u); CREATE INDEX i ON t (u, id)", true},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u); CREATE INDEX i ON t (u DESC)", false},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u); CREATE INDEX i ON t (u DESC, id DESC)", true},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u); CREATE INDEX i ON t (u) WHERE u > 1", false},
        {"CREATE TABLE t (id INTEGER PRIMARY KEY, u COLLATE NOCASE); CREATE INDEX i ON t (u COLLATE BINARY)",
         false},
        {"CREATE TABLE t (id TEXT PRIMARY KEY, u); CREATE INDEX i ON t (u)", false},
        {"CREATE TABLE t (id TEXT PRIMARY KEY, u); CREATE INDEX i ON t (u, id)", true},
        {"CREATE TABLE t (id TEXT PRIMARY KEY, u); CREATE INDEX i ON t (u, id, lower(u))", true},
        {"CREATE TABLE t (id TEXT PRIMARY KEY, u) WITHOUT ROWID; CREATE INDEX i ON t (u)", true},
        {"CREATE TABLE t (a, b, u, PRIMARY KEY (a, b)); CREATE INDEX i ON t (u, b, a)", false},
        {"CREATE TABLE t (a, b, u, PRIMARY KEY (a, b)); CREATE INDEX i ON t (u, a, b)", true},
        {"CREATE TABLE t (u INTEGER PRIMARY KEY)", true},
        {"CREATE TABLE t (u, id, PRIMARY KEY (u, id))", true},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run(world, "DROP TABLE IF EXISTS t");
        run(world, cases[i].sql);
        describe_table(world, "t");
        if (world->relation->updated_indexed != cases[i].indexed)
            fail_msg("%s: updated_indexed is wrong", cases[i].sql);
    }
}

static void view_takes_a_named_key(void **state)
{
    static const char *const key[] = {"id"};
    struct world *world = *state;
    run(world,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u); CREATE VIEW v AS SELECT id, u, 1 + 1 AS two FROM t;"
        "INSERT INTO t VALUES (1, 'x')");
    describe_table(world, "v");
    assert_int_equal(world->relation->key_count, 0);
    describe(world, &(struct subject){.table = "v", .key = key, .key_count = 1});
    assert_int_equal(world->relation->key_count, 1);
    assert_false(world->relation->key_unique);
    struct plan plan = plan_of(world);
    check_rows(world, &plan, "1|x|2 ");
}

static void missing_names_come_with_the_nearest(void **state)
{
    static const char *const key[] = {"idd"};
    struct world *world = *state;
    struct relation *relation;
    run(world, "CREATE TABLE customers (id INTEGER PRIMARY KEY)");
    connect_to(world);
    int result = driver_sqlite.describe(world->conn, &(struct subject){.table = "custmers"}, world->arena,
                                        &relation, &world->err);
    assert_string_equal(world->err.hint, "there is a table or view 'customers'");
    check_error(world, result, ERR_CHANGED, "custmers");
    result = driver_sqlite.describe(world->conn,
                                    &(struct subject){.table = "customers", .key = key, .key_count = 1},
                                    world->arena, &relation, &world->err);
    assert_string_equal(world->err.hint, "there is a column 'id'");
    check_error(world, result, ERR_CHANGED, "'idd'");
    result = driver_sqlite.describe(world->conn, &(struct subject){.schema = "crm", .table = "customers"},
                                    world->arena, &relation, &world->err);
    check_error(world, result, ERR_CHANGED, "schema 'crm'");
    describe(world, &(struct subject){.schema = "main", .table = "customers"});
}

static void changed_table_is_described_anew(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    describe_table(world, "t");
    run(world, "ALTER TABLE t ADD COLUMN name TEXT; CREATE TABLE later (id INTEGER PRIMARY KEY)");
    describe_table(world, "t");
    assert_int_equal(world->relation->column_count, 2);
    describe_table(world, "later");
    assert_int_equal(world->relation->column_count, 1);
    describe(world, &(struct subject){.query = "SELECT * FROM t"});
    run(world, "ALTER TABLE t ADD COLUMN town TEXT");
    describe(world, &(struct subject){.query = "SELECT * FROM t"});
    assert_int_equal(world->relation->column_count, 3);
}

static void names_are_quoted(void **state)
{
    struct world *world = *state;
    run(world,
        "CREATE TABLE \"a \"\"b\"\" c\" (\"select\" INTEGER PRIMARY KEY, \"x\"\"; DROP TABLE t\" TEXT);"
        "INSERT INTO \"a \"\"b\"\" c\" VALUES (1, 'y')");
    describe_table(world, "a \"b\" c");
    struct plan plan = plan_of(world);
    plan.order = ORDER_KEY;
    check_rows(world, &plan, "1|y ");
}

static struct config_parameter parameters[] = {
    {.name = "region", .type = PARAMETER_STRING},  {.name = "number", .type = PARAMETER_INTEGER},
    {.name = "amount", .type = PARAMETER_DECIMAL}, {.name = "flag", .type = PARAMETER_BOOLEAN},
    {.name = "day", .type = PARAMETER_DATE},
};

static void query_is_described_and_its_parameters_checked(void **state)
{
    static const char *const key[] = {"id"};
    struct world *world = *state;
    run(world, "CREATE TABLE orders (id INTEGER PRIMARY KEY, region TEXT, amount REAL)");
    describe(world, &(struct subject){
                        .query = "SELECT *, amount * 2 AS double FROM orders WHERE region = :region -- end",
                        .parameters = parameters,
                        .parameter_count = 5,
                        .key = key,
                        .key_count = 1});
    assert_int_equal(world->relation->column_count, 4);
    assert_string_equal(world->relation->title, "query");
    assert_string_equal(world->relation->columns[1].type, "TEXT");
    assert_string_equal(world->relation->columns[3].type, "any");
    assert_int_equal(world->relation->key_count, 1);
    static const struct {
        const char *query, *part;
        enum err_code code;
    } wrong[] = {
        {"SELECT :regoin", "':regoin'", ERR_DATABASE},
        {"SELECT ?", "'?'", ERR_DATABASE},
        {"SELECT @region", "'@region'", ERR_DATABASE},
        {"SELECT 1 FROM nowhere", "nowhere", ERR_CHANGED},
        {"SELECT absent FROM orders", "absent", ERR_CHANGED},
        {"SELECT 1); DELETE FROM orders; SELECT (1", "exactly one", ERR_DATABASE},
        {"DELETE FROM orders", "syntax", ERR_DATABASE},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct subject subject = {.query = wrong[i].query, .parameters = parameters, .parameter_count = 5};
        struct relation *relation;
        check_error(world,
                    driver_sqlite.describe(world->conn, &subject, world->arena, &relation, &world->err),
                    wrong[i].code, wrong[i].part);
    }
    assert_true(sqlite3_get_autocommit(world->conn->db));
}

/* values */

static void value_is_its_storage_class_and_not_the_declared_type(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, b BLOB, d DECIMAL(10, 2), x);"
               "INSERT INTO t VALUES (1, 'abc', 1, '1.50', NULL), (2, 1.5, 'text', 'x', x'00ff'), (3, '7', "
               "2.5, 3, '7'),"
               " (4, 9223372036854775807, '', 1e999, -1e999), (5, -9223372036854775808, x'', 5e-324, 0.1)");
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    plan.order = ORDER_KEY;
    check_rows(world, &plan,
               "1|abc|1|f:1.5|NULL 2|f:1.5|text|x|x:00ff 3|7|f:2.5|3|7 "
               "4|9223372036854775807||f:Infinity|f:-Infinity 5|-9223372036854775808|x:|f:5e-324|f:0.1 ");
}

static void text_is_passed_byte_by_byte(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);"
               "INSERT INTO t VALUES (1, CAST(x'610062' AS TEXT)), (2, CAST(x'ff61' AS TEXT)), (3, 'æ😀')");
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    plan.order = ORDER_KEY;
    const struct value *row;
    check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
    static const struct {
        const char *bytes;
        size_t len;
    } expected[] = {{"a\0b", 3},
                    {"\xff"
                     "a",
                     2},
                    {"æ😀", 6}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 1);
        assert_int_equal(row[1].kind, KIND_TEXT);
        assert_int_equal(row[1].text.len, expected[i].len);
        assert_memory_equal(row[1].text.bytes, expected[i].bytes, expected[i].len);
    }
    assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 0);
    assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 0);
    check_ok(world, driver_sqlite.read_close(world->conn));
}

static void utf16_is_converted(void **state)
{
    struct world *world = *state;
    run(world,
        "PRAGMA encoding = 'UTF-16be'; CREATE TABLE t (id TEXT PRIMARY KEY); INSERT INTO t VALUES ('æ😀')");
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    check_rows(world, &plan, "æ😀 ");
}

/* ranges */

static struct value integer(int64_t number)
{
    return value_integer(KIND_INT, number);
}

static struct value text(const char *bytes)
{
    return value_text(KIND_TEXT, bytes, strlen(bytes));
}

static void range_reads_what_it_says(void **state)
{
    struct world *world = *state;
    run(world,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u INT);"
        "INSERT INTO t VALUES (1, 20), (2, 10), (3, 10), (4, NULL), (5, 30), (6, 20), (7, NULL), (8, 10)");
    describe_table(world, "t");
    const struct value ten = integer(10), twenty = integer(20), thirty = integer(30), three = integer(3),
                       four = integer(4), last = integer(99);
    const struct position at_ten = {&ten, NULL}, in_ten = {&ten, &three}, behind_ten = {&ten, &last},
                          in_nulls = {NULL, &four};
    const struct {
        struct range range;
        const char *rows;
    } cases[] = {
        {{.nulls = false}, "2|10 3|10 8|10 1|20 6|20 5|30 "},
        {{.nulls = true}, "4|NULL 7|NULL "},
        {{.nulls = true, .after = &in_nulls}, "7|NULL "},
        {{.after = &at_ten}, "2|10 3|10 8|10 1|20 6|20 5|30 "},
        {{.after = &in_ten}, "8|10 1|20 6|20 5|30 "},
        {{.after = &behind_ten}, "1|20 6|20 5|30 "},
        {{.before = &twenty}, "2|10 3|10 8|10 "},
        {{.after = &in_ten, .before = &thirty}, "8|10 1|20 6|20 "},
        {{.after = &in_ten, .before = &ten}, ""},
        {{.after = &at_ten, .by_key = true}, "1|20 2|10 3|10 5|30 6|20 8|10 "},
        {{.after = &in_ten, .by_key = true}, "1|20 5|30 6|20 8|10 "},
        {{.after = &in_ten, .by_key = true, .beyond = &four}, "5|30 6|20 8|10 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan plan = plan_of(world);
        plan.order = ORDER_UPDATED;
        plan.ranges = &cases[i].range;
        plan.range_count = 1;
        check_rows(world, &plan, cases[i].rows);
    }
}

static void ranges_follow_each_other_under_one_limit(void **state)
{
    struct world *world = *state;
    run(world,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u INT);"
        "INSERT INTO t VALUES (1, 20), (2, 10), (3, 10), (4, NULL), (5, 30), (6, 20), (7, NULL), (8, 10)");
    describe_table(world, "t");
    const struct value ten = integer(10), thirty = integer(30), three = integer(3);
    const struct position in_ten = {&ten, &three};
    const struct range ranges[] = {{.nulls = true}, {.after = &in_ten, .before = &thirty}, {.before = &thirty}};
    static const char whole[] = "4|NULL 7|NULL 8|10 1|20 6|20 2|10 3|10 8|10 1|20 6|20 ";
    for (uint64_t limit = 0; limit <= 11; limit++) {
        struct plan plan = plan_of(world);
        plan.order = ORDER_UPDATED;
        plan.ranges = ranges;
        plan.range_count = 3;
        plan.limit = limit;
        char expected[sizeof whole] = "";
        const char *end = whole;
        for (uint64_t i = 0; i < limit && *end; i++)
            end = strchr(end, ' ') + 1;
        memcpy(expected, whole, (size_t)(end - whole));
        check_rows(world, &plan, expected);
    }
}

static void key_order_and_no_order_are_served(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (a INT, b TEXT, PRIMARY KEY (b, a));"
               "INSERT INTO t VALUES (2, 'x'), (1, 'y'), (1, 'x'), (3, 'x')");
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    check_rows(world, &plan, "2|x 1|y 1|x 3|x ");
    plan.order = ORDER_KEY;
    struct range range = {.nulls = false};
    plan.ranges = &range;
    plan.range_count = 1;
    check_rows(world, &plan, "1|x 2|x 3|x 1|y ");
    const struct value key[] = {text("x"), integer(1)};
    const struct position after = {NULL, key};
    range.after = &after;
    check_rows(world, &plan, "2|x 3|x 1|y ");
    plan.limit = 1;
    check_rows(world, &plan, "2|x ");
}

/* Copies one value of a row into an arena, so that it outlives the read. */
static struct value kept(struct arena *arena, const struct value *value)
{
    struct value copy = *value;
    if (value->kind == KIND_TEXT || value->kind == KIND_BYTES || value->kind == KIND_FLOAT)
        copy.text.bytes = arena_copy(arena, value->text.bytes, value->text.len);
    return copy;
}

/* Reads a table page by page, each from the last row of the page before, as a client with limit does. */
static void read_in_pages(struct world *world, uint64_t limit, struct buf *out)
{
    struct plan plan = plan_of(world);
    const struct relation *relation = world->relation;
    struct value updated, key[2];
    struct position after = {NULL, NULL};
    struct range ranges[2] = {{.nulls = true}, {.nulls = false}};
    plan.order = ORDER_UPDATED;
    plan.limit = limit;
    for (bool more = true; more;) {
        const struct value *row;
        uint64_t count = 0;
        plan.ranges = after.updated ? &ranges[1] : ranges;
        plan.range_count = after.updated ? 1 : 2;
        check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
        while (driver_sqlite.read_next(world->conn, &row, &world->err) == 1) {
            put_row(out, row, plan.column_count);
            updated = kept(world->arena, &row[plan.updated]);
            for (size_t i = 0; i < relation->key_count; i++)
                key[i] = kept(world->arena, &row[relation->key[i]]);
            count++;
        }
        check_ok(world, world->err.code);
        check_ok(world, driver_sqlite.read_close(world->conn));
        after = (struct position){updated.kind == KIND_NULL ? NULL : &updated, key};
        ranges[after.updated ? 1 : 0].after = &after;
        more = count == limit;
    }
}

/* What the library itself says of the whole stream. */
static void read_natively(struct world *world, const char *sql, struct buf *out)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(world->native, sql, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW)
        buf_printf(out, "%s ", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
}

static void pages_of_any_size_make_the_whole_stream(void **state)
{
    /* One of everything that orders: storage classes, equal numbers, collations, descending keys. */
    static const char *const tables[] = {
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u INT, k TEXT)",
        "CREATE TABLE t (id INTEGER, u, k TEXT, PRIMARY KEY (k, id))",
        "CREATE TABLE t (id INTEGER, u TEXT COLLATE NOCASE, k TEXT COLLATE NOCASE, PRIMARY KEY (k, id)); "
        "CREATE INDEX i ON t (u, k, id)",
        "CREATE TABLE t (id INTEGER, u NUMERIC, k TEXT COLLATE RTRIM, PRIMARY KEY (k DESC, id)) WITHOUT "
        "ROWID; "
        "CREATE INDEX i ON t (u)",
        "CREATE TABLE t (id INTEGER, u REAL, k BLOB, PRIMARY KEY (id, k)); CREATE INDEX i ON t (u DESC, id, "
        "k)",
    };
    static const char fill[] =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)"
        " INSERT INTO t (id, u, k) SELECT i, CASE i % 10 WHEN 0 THEN NULL WHEN 1 THEN 7 WHEN 2 THEN 7.0"
        " WHEN 3 THEN '7' WHEN 4 THEN 'a' WHEN 5 THEN 'A' WHEN 6 THEN x'41' WHEN 7 THEN 9007199254740993"
        " WHEN 8 THEN '' ELSE 0.1 + 0.2 END, substr('aAbB', i % 4 + 1, 1) || CASE i % 3 WHEN 0 THEN '' ELSE "
        "' ' END"
        " FROM n";
    struct world *world = *state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        run(world, "DROP TABLE IF EXISTS t");
        run(world, tables[i]);
        run(world, fill);
        describe_table(world, "t");
        char order[64] = "ORDER BY u";
        for (size_t k = 0; k < world->relation->key_count; k++)
            sprintf(order + strlen(order), ", %s", world->relation->columns[world->relation->key[k]].name);
        char sql[512];
        snprintf(sql, sizeof sql,
                 "SELECT printf('%%s|%%s|%%s', id, CASE typeof(u) WHEN 'blob' THEN 'x:' || lower(hex(u))"
                 " WHEN 'real' THEN 'f:' || CASE u WHEN 7 THEN '7' WHEN 0.1 + 0.2 THEN '0.30000000000000004'"
                 " ELSE '9007199254740992' END ELSE ifnull(u, 'NULL') END, k) FROM t %s",
                 order);
        struct buf expected = {0};
        read_natively(world, sql, &expected);
        for (uint64_t limit = 1; limit <= 61; limit += limit < 8 ? 1 : 13) {
            struct buf out = {0};
            read_in_pages(world, limit, &out);
            assert_string_equal(buf_text(&out), buf_text(&expected));
            buf_free(&out);
        }
        buf_free(&expected);
    }
}

/* How many steps of SQLite's machine a plan's rows take in all its statements. */
static int steps_of(struct world *world, const struct plan *plan, uint64_t rows)
{
    const struct value *row;
    int steps = 0;
    check_ok(world, driver_sqlite.read_open(world->conn, plan, &world->err));
    for (uint64_t i = 0; i < rows; i++) {
        assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 1);
        sqlite3_stmt *stmt = sqlite3_next_stmt(world->conn->db, NULL);
        steps += sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 1);
        assert_int_equal(sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1), 0);
        assert_int_equal(sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_SORT, 1), 0);
    }
    check_ok(world, driver_sqlite.read_close(world->conn));
    return steps;
}

/* A row costs the same number of steps wherever it is read, so steps count the rows that were looked at. */
static void check_tie_pages(struct world *world, const char *table, const char *statistics,
                            const struct value *before)
{
    run(world, "DROP TABLE IF EXISTS t");
    run(world, table);
    run(world, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
               " INSERT INTO t (a, b, u) SELECT i, i % 7, '2024-01-02 03:04:05' FROM n");
    run(world, "INSERT INTO t (a, b, u) VALUES (200000, 1, '2023-01-01'), (200001, 1, '2025-01-01')");
    run(world, statistics);
    driver_sqlite.close(world->conn);
    world->conn = NULL;
    describe_table(world, "t");
    assert_true(world->relation->updated_indexed);
    struct plan plan = plan_of(world);
    const struct value tie = text("2024-01-02 03:04:05");
    struct position after = {&tie, NULL};
    const struct range range = {.after = &after, .before = before};
    plan.order = ORDER_UPDATED;
    plan.ranges = &range;
    plan.range_count = 1;
    plan.limit = 1000;
    const struct value lowest[] = {integer(0), integer(0)};
    after.key = lowest;
    int first = steps_of(world, &plan, 1000);
    for (int64_t last = 500; last <= 98500; last += 14000) {
        const struct value key[] = {integer(last), integer(last % 7)};
        after.key = key;
        int steps = steps_of(world, &plan, 1000);
        if (steps > first * 1.1)
            fail_msg("%s: %d steps behind %d ties, %d without", table, steps, (int)last, first);
    }
}

static void page_within_100000_ties_reads_no_more_than_it_sends(void **state)
{
    static const char *const tables[] = {
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b INT, u TEXT); CREATE INDEX i ON t (u)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY, b INT, u TEXT); CREATE INDEX i ON t (u, a)",
        "CREATE TABLE t (a INT, b INT, u TEXT, PRIMARY KEY (a, b)); CREATE INDEX i ON t (u, a, b)",
        "CREATE TABLE t (a INT, b INT, u TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID; CREATE INDEX i ON t (u)",
    };
    struct world *world = *state;
    run(world, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
    const struct value bound = text("2024-06-01");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        check_tie_pages(world, tables[i], "", NULL);
        /* By the statistics the index on u looks useless, since all rows have the same. */
        check_tie_pages(world, tables[i], "ANALYZE", NULL);
        check_tie_pages(world, tables[i], "", &bound);
        check_tie_pages(world, tables[i], "ANALYZE", &bound);
    }
}

/* filters and parameters */

static void filters_compare_by_their_own_type(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, x);"
               "INSERT INTO t VALUES (1, 'NO'), (2, 12), (3, 1.5), (4, 1), (5, '12'), (6, NULL)");
    describe_table(world, "t");
    const struct {
        struct config_value value;
        const char *rows;
    } cases[] = {
        {{CONFIG_STRING, false, "NO"}, "1|NO "},
        {{CONFIG_STRING, false, "12"}, "5|12 "},
        {{CONFIG_INTEGER, false, "12"}, "2|12 "},
        {{CONFIG_REAL, false, "1.5"}, "3|f:1.5 "},
        {{CONFIG_REAL, false, "12.0"}, "2|12 "},
        {{CONFIG_BOOL, true, NULL}, "4|1 "},
        {{CONFIG_INTEGER, false, "99999999999999999999"}, ""},
        {{CONFIG_STRING, false, "x' OR 1=1 --"}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan plan = plan_of(world);
        const struct filter filter = {.column = 1, .value = cases[i].value};
        plan.filters = &filter;
        plan.filter_count = 1;
        check_rows(world, &plan, cases[i].rows);
    }
}

static void parameters_are_bound_by_their_declared_type(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    describe(world, &(struct subject){
                        .query = "SELECT :region AS a, :number AS b, :amount AS c, :flag AS d, :day AS e,"
                                 " ':region' AS f, /* :x */ :region || :region AS g -- :y",
                        .parameters = parameters,
                        .parameter_count = 5});
    struct plan plan = plan_of(world);
    const struct bound bounds[] = {{&parameters[4], "2024-01-02"},
                                   {&parameters[3], "true"},
                                   {&parameters[2], "1.5"},
                                   {&parameters[1], "-12"},
                                   {&parameters[0], "N'O"}};
    plan.bounds = bounds;
    plan.bound_count = 5;
    check_rows(world, &plan, "N'O|-12|f:1.5|1|2024-01-02|:region|N'ON'O ");
    const struct bound nulls[] = {{&parameters[4], NULL},
                                  {&parameters[3], "false"},
                                  {&parameters[2], "2"},
                                  {&parameters[1], NULL},
                                  {&parameters[0], NULL}};
    plan.bounds = nulls;
    check_rows(world, &plan, "NULL|NULL|2|0|NULL|:region|NULL ");
    plan.bound_count = 4;
    check_error(world, driver_sqlite.read_open(world->conn, &plan, &world->err), ERR_DATABASE, "':region'");
}

static void updated_query_gets_since_or_what_is_below_all(void **state)
{
    static const char *const key[] = {"id"};
    struct world *world = *state;
    run(world,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u INT); INSERT INTO t VALUES (1, -5), (2, 7), (3, 9);"
        "CREATE TABLE s (id INTEGER PRIMARY KEY, u TEXT); INSERT INTO s VALUES (1, ''), (2, '!'), (3, 'x')");
    describe(world, &(struct subject){.query = "SELECT * FROM t", .key = key, .key_count = 1});
    struct plan plan = plan_of(world);
    plan.query = "SELECT * FROM t WHERE u >= :since";
    check_rows(world, &plan, "1|-5 2|7 3|9 ");
    const struct value since = integer(7);
    plan.since = &since;
    check_rows(world, &plan, "2|7 3|9 ");
    describe_table(world, "s");
    plan = plan_of(world);
    plan.query = "SELECT * FROM s WHERE u >= :since";
    check_rows(world, &plan, "1| 2|! 3|x ");
}

static void query_uses_the_index_below_it(void **state)
{
    static const char *const key[] = {"id"};
    struct world *world = *state;
    run(world, "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, u INT, region TEXT);"
               "CREATE INDEX i ON t (u);"
               "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
               " INSERT INTO t SELECT i, i, 'NO' FROM n");
    describe(world, &(struct subject){.query = "SELECT * FROM t WHERE region = :region",
                                      .parameters = parameters,
                                      .parameter_count = 5,
                                      .key = key,
                                      .key_count = 1});
    struct plan plan = plan_of(world);
    const struct bound bound = {&parameters[0], "NO"};
    const struct value updated = integer(4900);
    const struct position after = {&updated, NULL};
    const struct range range = {.after = &after};
    plan.bounds = &bound;
    plan.bound_count = 1;
    plan.order = ORDER_UPDATED;
    plan.ranges = &range;
    plan.range_count = 1;
    assert_true(steps_of(world, &plan, 101) < 101 * 30);
}

/* locks and snapshots */

static void fill(struct world *world, const char *mode)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode = %s; CREATE TABLE t (id INTEGER PRIMARY KEY, u INT);"
             "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
             " INSERT INTO t SELECT i, i FROM n",
             mode);
    run(world, sql);
    describe_table(world, "t");
}

static void check_mode(struct world *world, const char *mode)
{
    struct buf out = {0};
    read_natively(world, "PRAGMA journal_mode", &out);
    assert_memory_equal(buf_text(&out), mode, strlen(mode));
    buf_free(&out);
}

/* The rest of the rows: all as they were when the read began. */
static void check_snapshot(struct world *world, int64_t next)
{
    const struct value *row;
    for (; next <= 5000; next++) {
        assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 1);
        assert_int_equal(row[0].integer, next);
        assert_int_equal(row[1].integer, next);
    }
    assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 0);
}

static void writers_go_on_while_a_snapshot_is_read(void **state)
{
    static const char *const modes[] = {"delete", "truncate", "persist", "wal"};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        run(world, "DROP TABLE IF EXISTS t");
        fill(world, modes[i]);
        struct plan plan = plan_of(world);
        plan.order = ORDER_KEY;
        const struct value *row;
        check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
        /* In the other modes this would be SQLITE_BUSY if the lock were still held. */
        run(world, "UPDATE t SET u = -1 WHERE id % 2; DELETE FROM t WHERE id % 3 = 0");
        assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 1);
        run(world, "UPDATE t SET u = -2; INSERT INTO t VALUES (9000, 9000)");
        check_snapshot(world, 2);
        check_ok(world, driver_sqlite.read_close(world->conn));
        check_mode(world, modes[i]);
        driver_sqlite.close(world->conn);
        world->conn = NULL;
    }
}

static void mode_that_changed_meanwhile_is_seen(void **state)
{
    struct world *world = *state;
    fill(world, "delete");
    run(world, "PRAGMA journal_mode = WAL");
    struct plan plan = plan_of(world);
    check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
    assert_false(sqlite3_get_autocommit(world->conn->db)); /* it streams */
    run(world, "DELETE FROM t");
    check_snapshot(world, 1);
    check_ok(world, driver_sqlite.read_close(world->conn));
    check_rows(world, &plan, "");
}

static void lock_that_is_not_had_in_time_is_busy(void **state)
{
    struct world *world = *state;
    world->system.pool_timeout = 0.1;
    fill(world, "delete");
    run(world, "BEGIN EXCLUSIVE");
    struct plan plan = plan_of(world);
    int result = driver_sqlite.read_open(world->conn, &plan, &world->err);
    assert_non_null(strstr(world->err.hint, "WAL"));
    check_error(world, result, ERR_BUSY, "locked");
    check_ok(world, driver_sqlite.read_close(world->conn));
    run(world, "COMMIT");
    check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
    check_snapshot(world, 1);
    check_ok(world, driver_sqlite.read_close(world->conn));
}

static void spooled_rows_are_those_of_the_database(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, x);"
               "INSERT INTO t VALUES (1, NULL), (2, 1), (3, 0.1), (4, ''), (5, x''), (6, x'00ff'), (7, 'æ'),"
               " (8, -9223372036854775808), (9, 1e999), (10, zeroblob(3000000))");
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    plan.order = ORDER_KEY;
    plan.limit = 9;
    check_rows(world, &plan, "1|NULL 2|1 3|f:0.1 4| 5|x: 6|x:00ff 7|æ 8|-9223372036854775808 9|f:Infinity ");
    plan.limit = UINT64_MAX;
    const struct value *row = NULL;
    check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
    assert_true(sqlite3_get_autocommit(world->conn->db)); /* the lock is gone */
    for (int i = 1; i <= 10; i++)
        assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 1);
    assert_int_equal(row[1].kind, KIND_BYTES);
    assert_int_equal(row[1].text.len, 3000000);
    assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 0);
    check_ok(world, driver_sqlite.read_close(world->conn));
}

static void full_temporary_file_is_an_error_and_frees_the_lock(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, zeroblob(3000000))");
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){1 << 20, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int result = driver_sqlite.read_open(world->conn, &plan, &world->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_non_null(strstr(world->err.hint, "WAL"));
    check_error(world, result, ERR_INTERNAL, "temporary file");
    check_ok(world, driver_sqlite.read_close(world->conn));
    run(world, "DELETE FROM t");
    check_rows(world, &plan, "");
}

/* failures */

static void failure_in_the_midst_is_no_end(void **state)
{
    static const char *const modes[] = {"wal", "delete"};
    struct world *world = *state;
    for (size_t i = 0; i < 2; i++) {
        run(world, "DROP TABLE IF EXISTS t");
        fill(world, modes[i]);
        describe(world, &(struct subject){
                            .query = "SELECT abs(CASE id WHEN 3000 THEN -9223372036854775808 ELSE id END)"
                                     " AS id FROM t"});
        struct plan plan = plan_of(world);
        struct buf out = {0};
        int result = driver_sqlite.read_open(world->conn, &plan, &world->err);
        if (result == 0) {
            result = read_all(world, 1, &out);
            assert_int_equal(world->err.code, ERR_DATABASE);
            const struct value *row;
            assert_int_equal(driver_sqlite.read_next(world->conn, &row, NULL), -1);
        }
        check_error(world, result, ERR_DATABASE, "integer overflow");
        check_ok(world, driver_sqlite.read_close(world->conn));
        buf_free(&out);
        describe_table(world, "t");
        plan = plan_of(world);
        check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
        check_snapshot(world, 1);
        check_ok(world, driver_sqlite.read_close(world->conn));
        driver_sqlite.close(world->conn);
        world->conn = NULL;
    }
}

static void dropped_table_or_column_is_a_change(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'x')");
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    run(world, "ALTER TABLE t RENAME COLUMN name TO title");
    /* Left to itself SQLite would read a "name" that is not there as a text. */
    check_error(world, driver_sqlite.read_open(world->conn, &plan, &world->err), ERR_CHANGED, "name");
    check_ok(world, driver_sqlite.read_close(world->conn));
    run(world, "DROP TABLE t");
    check_error(world, driver_sqlite.read_open(world->conn, &plan, &world->err), ERR_CHANGED,
                "no such table");
    check_ok(world, driver_sqlite.read_close(world->conn));
}

static void damaged_file_is_an_error_and_the_connection_closed(void **state)
{
    struct world *world = *state;
    fill(world, "delete");
    driver_sqlite.close(world->conn);
    world->conn = NULL;
    sqlite3_close(world->native);
    world->native = NULL;
    FILE *file = fopen(world->path, "r+");
    assert_non_null(file);
    for (long at = 4096 * 3; at < 4096 * 6; at += 16) { /* leaves of the table */
        fseek(file, at, SEEK_SET);
        fputs("damaged! damaged", file);
    }
    fclose(file);
    describe_table(world, "t");
    struct plan plan = plan_of(world);
    plan.order = ORDER_KEY;
    check_error(world, driver_sqlite.read_open(world->conn, &plan, &world->err), ERR_DATABASE, "malformed");
    assert_int_equal(driver_sqlite.read_close(world->conn), -1);
    assert_false(driver_sqlite.alive(world->conn));
}

/* cancel */

static const char endless[] = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
                              " SELECT id FROM n WHERE id < 0";

static void *cancel_soon(void *arg)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    driver_sqlite.cancel(arg);
    return NULL;
}

static void running_statement_is_called_off(void **state)
{
    struct world *world = *state;
    run(world, "PRAGMA journal_mode = WAL; CREATE TABLE t (id)");
    describe(world, &(struct subject){.query = endless});
    struct plan plan = plan_of(world);
    const struct value *row;
    pthread_t thread;
    check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, world->conn), 0);
    check_error(world, driver_sqlite.read_next(world->conn, &row, &world->err), ERR_CANCELLED, "called off");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(driver_sqlite.read_close(world->conn), -1);
}

static void spooling_is_called_off(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id)");
    describe(world, &(struct subject){.query = endless});
    struct plan plan = plan_of(world);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, world->conn), 0);
    check_error(world, driver_sqlite.read_open(world->conn, &plan, &world->err), ERR_CANCELLED, "called off");
    assert_int_equal(pthread_join(thread, NULL), 0);
    run(world, "INSERT INTO t VALUES (1)"); /* the lock is gone */
}

static void waiting_for_a_lock_is_called_off(void **state)
{
    struct world *world = *state;
    world->system.pool_timeout = 3600;
    fill(world, "delete");
    run(world, "BEGIN EXCLUSIVE");
    struct plan plan = plan_of(world);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, world->conn), 0);
    check_error(world, driver_sqlite.read_open(world->conn, &plan, &world->err), ERR_CANCELLED, "called off");
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void cancel_between_calls_is_seen_by_the_next(void **state)
{
    struct world *world = *state;
    fill(world, "wal");
    struct plan plan = plan_of(world);
    const struct value *row;
    check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
    assert_int_equal(driver_sqlite.read_next(world->conn, &row, &world->err), 1);
    driver_sqlite.cancel(world->conn);
    check_error(world, driver_sqlite.read_next(world->conn, &row, &world->err), ERR_CANCELLED, "called off");
    assert_int_equal(driver_sqlite.read_close(world->conn), -1);
    check_error(world, driver_sqlite.read_open(world->conn, &plan, &world->err), ERR_CANCELLED, "called off");
}

/* A connection goes from thread to thread, one at a time. */
static void *read_some(void *arg)
{
    struct world *world = arg;
    const struct value *row;
    for (int i = 0; i < 100; i++)
        if (driver_sqlite.read_next(world->conn, &row, &world->err) != 1)
            return world;
    return NULL;
}

static void connection_goes_from_thread_to_thread(void **state)
{
    struct world *world = *state;
    fill(world, "wal");
    struct plan plan = plan_of(world);
    plan.order = ORDER_KEY;
    check_ok(world, driver_sqlite.read_open(world->conn, &plan, &world->err));
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        void *failed;
        assert_int_equal(pthread_create(&thread, NULL, read_some, world), 0);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
    }
    check_snapshot(world, 1001);
    check_ok(world, driver_sqlite.read_close(world->conn));
}

static int run_own(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(missing_file_is_an_error_and_is_not_created),
        TEST(what_is_no_file_is_refused),
        TEST(a_uri_is_the_name_of_a_file),
        TEST(file_that_is_no_database_is_an_error_with_a_hint),
        TEST(file_without_rights_is_an_error_with_a_hint),
        TEST(read_only_file_is_served_but_needs_its_folder_for_wal),
        TEST(connection_tells_its_server_and_answers),
        TEST(replaced_file_is_not_served),
        TEST(connection_cannot_write),
        TEST(columns_have_type_kind_and_nullability),
        TEST(strict_table_keeps_integers_bytewise),
        TEST(text_of_a_utf16_file_is_not_bytewise),
        TEST(key_comes_from_the_catalogue),
        TEST(named_key_is_unique_by_a_whole_index_only),
        TEST(index_on_updated_and_key_is_found),
        TEST(view_takes_a_named_key),
        TEST(missing_names_come_with_the_nearest),
        TEST(changed_table_is_described_anew),
        TEST(names_are_quoted),
        TEST(query_is_described_and_its_parameters_checked),
        TEST(value_is_its_storage_class_and_not_the_declared_type),
        TEST(text_is_passed_byte_by_byte),
        TEST(utf16_is_converted),
        TEST(range_reads_what_it_says),
        TEST(ranges_follow_each_other_under_one_limit),
        TEST(key_order_and_no_order_are_served),
        TEST(pages_of_any_size_make_the_whole_stream),
        TEST(page_within_100000_ties_reads_no_more_than_it_sends),
        TEST(filters_compare_by_their_own_type),
        TEST(parameters_are_bound_by_their_declared_type),
        TEST(updated_query_gets_since_or_what_is_below_all),
        TEST(query_uses_the_index_below_it),
        TEST(writers_go_on_while_a_snapshot_is_read),
        TEST(mode_that_changed_meanwhile_is_seen),
        TEST(lock_that_is_not_had_in_time_is_busy),
        TEST(spooled_rows_are_those_of_the_database),
        TEST(full_temporary_file_is_an_error_and_frees_the_lock),
        TEST(failure_in_the_midst_is_no_end),
        TEST(dropped_table_or_column_is_a_change),
        TEST(damaged_file_is_an_error_and_the_connection_closed),
        TEST(running_statement_is_called_off),
        TEST(spooling_is_called_off),
        TEST(waiting_for_a_lock_is_called_off),
        TEST(cancel_between_calls_is_seen_by_the_next),
        TEST(connection_goes_from_thread_to_thread),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What every driver must do. Failing midway can be seen only where rows are streamed: in WAL mode. */

static int run_statement(void *arg, const char *statement)
{
    char *message = NULL;
    int rc = sqlite3_exec(arg, statement, NULL, NULL, &message);
    if (rc != SQLITE_OK)
        fprintf(stderr, "%s\n", message);
    sqlite3_free(message);
    return rc == SQLITE_OK ? 0 : -1;
}

static int run_contract(void)
{
    void *state = NULL;
    if (set_up(&state))
        return 1;
    struct world *world = state;
    struct db_contract contract = {
        .driver = &driver_sqlite,
        .system = &world->system,
        .sql = run_statement,
        .arg = world->native,
        .dialect = {.quote = '"',
                    .integer = "integer",
                    .text = "text",
                    .key_text = "text",
                    .folded = "text collate nocase",
                    .datetime = "text",
                    .long_text = "replace(hex(zeroblob(524288)), '0', 'x')",
                    .failing = "abs(case r.id when 5000 then -9223372036854775807 - 1 else r.id end)",
                    .slow = "with recursive n (id) as (select 1 union all select id + 1 from n)"
                            " select id from n where id < 0"},
    };
    int failed = run_statement(world->native, "PRAGMA journal_mode = WAL") || db_contract_run(&contract);
    failed += db_contract_write_run(&contract);
    return tear_down(&state) ? 1 : failed;
}

int main(void)
{
    int failed = run_own();
    return run_contract() ? 1 : failed;
}
