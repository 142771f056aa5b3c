/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/iso.h"
#include "db/sqlite.h"

/* SQLite's clock as text and as microseconds since 1970. */
#define NOW "strftime('%Y-%m-%d %H:%M:%f', 'now')"
#define TABLE "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT DEFAULT (" NOW "))"

/* A folder with a database, the library's own connection to it, the driver's, and what it remembers. */
struct world {
    char folder[64], path[96];
    struct config_system system;
    sqlite3 *native;
    struct conn *conn;
    struct sampler *sampler;
    struct arena *arena;
    struct horizon horizon; /* the last answer */
    struct err err;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    strcpy(world->folder, "/tmp/sesam-sql-test-XXXXXX");
    if (!world || !mkdtemp(world->folder))
        return -1;
    snprintf(world->path, sizeof world->path, "%s/demo.db", world->folder);
    world->system = (struct config_system){
        .name = "local", .type = DATABASE_SQLITE, .path = world->path, .timezone = "UTC", .pool_timeout = 30};
    world->sampler = driver_sqlite.sampler_new(&world->system);
    world->arena = arena_new();
    *state = world;
    return world->sampler && world->arena && sqlite3_open(world->path, &world->native) == SQLITE_OK ? 0 : -1;
}

static void remove_files(const struct world *world)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", world->path, suffixes[i]);
        unlink(name);
    }
}

static int tear_down(void **state)
{
    struct world *world = *state;
    int failed = seteuid(getuid()); /* back from become_nobody */
    driver_sqlite.close(world->conn);
    driver_sqlite.sampler_free(world->sampler);
    sqlite3_close(world->native);
    arena_free(world->arena);
    remove_files(world);
    failed |= rmdir(world->folder);
    free(world);
    return failed;
}

static void execute(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static void run(struct world *world, const char *sql)
{
    execute(world->native, sql);
}

/* The integer that a statement gives. */
static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t result = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return result;
}

static void check_ok(const struct world *world, int failed)
{
    if (failed)
        fail_msg("%s (%s)", world->err.text, world->err.hint);
}

static void connect_to(struct world *world)
{
    check_ok(world, driver_sqlite.open(&world->conn, &world->system, &world->err));
}

static int try_horizon(struct world *world)
{
    if (!world->conn)
        connect_to(world);
    const struct horizon_question question = {0};
    return driver_sqlite.horizon(world->conn, world->sampler, &question, &world->horizon, &world->err);
}

static struct horizon ask(struct world *world)
{
    check_ok(world, try_horizon(world));
    return world->horizon;
}

/* Until SQLite's clock shows another millisecond than when time was read. */
static void wait_past(int64_t time)
{
    struct timespec now;
    do
        clock_gettime(CLOCK_REALTIME, &now);
    while (now.tv_sec * ISO_SECOND + now.tv_nsec / 1000 < time + 2000);
}

/* When the newest row was written, as the row tells. */
static int64_t newest_time(struct world *world)
{
    char text[64] = "";
    sqlite3_stmt *stmt = NULL;
    struct iso_time time;
    assert_int_equal(sqlite3_prepare_v2(world->native, "SELECT max(u) FROM t", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    assert_int_equal(iso_parse(text, strlen(text), &time), 0);
    return time.time;
}

/* what it says */

static void time_is_now_and_no_row_written_later_is_older(void **state)
{
    struct world *world = *state;
    run(world, TABLE);
    for (int i = 0; i < 200; i++) {
        struct horizon horizon = ask(world);
        assert_true(horizon.known);
        assert_false(horizon.waits);
        assert_true(horizon.time <= horizon.clock && horizon.clock - horizon.time < 1000);
        run(world, "INSERT INTO t DEFAULT VALUES");
        assert_true(newest_time(world) >= horizon.time);
    }
}

static void clock_alone_is_told_while_somebody_writes(void **state)
{
    struct world *world = *state;
    run(world, TABLE ";BEGIN IMMEDIATE; INSERT INTO t DEFAULT VALUES");
    connect_to(world);
    const struct horizon_question question = {.clock_only = true};
    struct horizon horizon;
    check_ok(world, driver_sqlite.horizon(world->conn, world->sampler, &question, &horizon, &world->err));
    assert_true(horizon.known);
    assert_false(horizon.waits);
    assert_true(horizon.time == horizon.clock && horizon.time >= newest_time(world));
}

/* The one the horizon is for: a writer whose clock was read before we look. */
static void row_not_yet_committed_is_beyond_the_horizon(void **state)
{
    struct world *world = *state;
    run(world, TABLE ";PRAGMA journal_mode = WAL");
    ask(world);
    run(world, "BEGIN; INSERT INTO t DEFAULT VALUES");
    int64_t written = newest_time(world);
    wait_past(written);
    struct horizon during = ask(world);
    assert_true(during.known && during.waits);
    assert_true(during.time <= written);
    run(world, "COMMIT");
    struct horizon after = ask(world);
    assert_false(after.waits);
    assert_true(after.time > written);
}

static void writer_is_noticed_and_not_waited_for(void **state)
{
    static const char *const modes[] = {"DELETE", "TRUNCATE", "PERSIST", "WAL"};
    struct world *world = *state;
    run(world, TABLE);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char *sql = sqlite3_mprintf("PRAGMA journal_mode = %s", modes[i]);
        run(world, sql);
        sqlite3_free(sql);
        struct horizon before = ask(world);
        assert_false(before.waits);
        /* It lets go only when we are done: who waits for it waits for ever. */
        run(world, "BEGIN; INSERT INTO t DEFAULT VALUES");
        struct horizon during = ask(world);
        assert_true(during.known && during.waits);
        assert_true(during.time == before.time && during.clock > before.clock);
        assert_non_null(strstr(during.holder, "write lock"));
        run(world, "COMMIT");
        assert_false(ask(world).waits);
        driver_sqlite.close(world->conn); /* the next change of mode needs the file for itself */
        world->conn = NULL;
    }
}

static void nothing_is_known_when_it_begins_under_a_writer(void **state)
{
    struct world *world = *state;
    run(world, TABLE ";BEGIN IMMEDIATE");
    struct horizon horizon = ask(world);
    assert_false(horizon.known);
    assert_true(horizon.waits && horizon.clock > 0);
    run(world, "COMMIT");
    assert_true(ask(world).known);
}

static void holder_says_since_when_it_was_found(void **state)
{
    struct world *world = *state;
    run(world, TABLE ";BEGIN IMMEDIATE");
    struct horizon first = ask(world);
    char when[ISO_SIZE];
    when[iso_datetime(when, first.clock, 0, "Z")] = '\0';
    assert_non_null(strstr(first.holder, when));
    assert_string_equal(ask(world).holder, first.holder);
}

/* A process of its own that has the write lock until its end. */
static pid_t hold_lock(const struct world *world, int *hold)
{
    int ready[2], end[2];
    assert_true(pipe(ready) == 0 && pipe(end) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        sqlite3 *db;
        char byte;
        close(end[1]);
        int failed = sqlite3_open(world->path, &db) || sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (!failed && write(ready[1], "", 1) == 1 && read(end[0], &byte, 1) == 0)
            _exit(0);
        _exit(1);
    }
    char byte;
    close(ready[1]);
    close(end[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *hold = end[1];
    return pid;
}

static void holder_names_the_process(void **state)
{
    struct world *world = *state;
    char name[32];
    int hold, status;
    if (access("/proc/locks", R_OK) != 0)
        skip();
    for (int wal = 0; wal < 2; wal++) {
        run(world, wal ? "PRAGMA journal_mode = WAL; INSERT INTO t DEFAULT VALUES" : TABLE);
        sqlite3_close(world->native); /* locks of this process would be lost when the child closes its copy */
        pid_t pid = hold_lock(world, &hold);
        ask(world);
        snprintf(name, sizeof name, "process %d (", (int)pid);
        close(hold);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_true(world->horizon.waits);
        if (strncmp(world->horizon.holder, name, strlen(name)) != 0)
            fail_msg("expected %s...), got %s", name, world->horizon.holder);
        driver_sqlite.close(world->conn);
        world->conn = NULL;
        assert_int_equal(sqlite3_open(world->path, &world->native), SQLITE_OK);
    }
    ask(world);
    run(world, "BEGIN IMMEDIATE");
    assert_non_null(strstr(ask(world).holder, "this service"));
}

/* What the barrier rests on. */

struct waiter {
    const char *path;
    atomic_bool waits;
};

static int tell_that_it_waits(void *arg, int tries)
{
    struct waiter *waiter = arg;
    (void)tries;
    atomic_store(&waiter->waits, true);
    sqlite3_sleep(1);
    return 1;
}

static void *insert_when_free(void *arg)
{
    struct waiter *waiter = arg;
    sqlite3 *db;
    sqlite3_open(waiter->path, &db);
    sqlite3_busy_handler(db, tell_that_it_waits, waiter);
    int rc = sqlite3_exec(db, "INSERT INTO t DEFAULT VALUES", NULL, NULL, NULL);
    sqlite3_close(db);
    return rc == SQLITE_OK ? waiter : NULL;
}

static void writer_that_waits_reads_the_clock_when_it_has_the_lock(void **state)
{
    struct world *world = *state;
    for (int wal = 0; wal < 2; wal++) {
        run(world, wal ? "DELETE FROM t; PRAGMA journal_mode = WAL" : TABLE);
        run(world, "BEGIN IMMEDIATE");
        struct waiter waiter = {.path = world->path};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, insert_when_free, &waiter), 0);
        while (!atomic_load(&waiter.waits))
            sqlite3_sleep(1);
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        int64_t time = now.tv_sec * ISO_SECOND + now.tv_nsec / 1000;
        wait_past(time);
        run(world, "ROLLBACK");
        void *result;
        pthread_join(thread, &result);
        assert_non_null(result);
        assert_true(newest_time(world) > time);
    }
}

/* what it leaves alone */

static void session_only_reads_again(void **state)
{
    struct world *world = *state;
    run(world, TABLE);
    ask(world);
    assert_int_equal(sqlite3_exec(world->conn->db, "INSERT INTO t DEFAULT VALUES", NULL, NULL, NULL),
                     SQLITE_READONLY);
    run(world, "BEGIN IMMEDIATE");
    assert_true(ask(world).waits);
    run(world, "ROLLBACK");
    assert_int_equal(sqlite3_exec(world->conn->db, "INSERT INTO t DEFAULT VALUES", NULL, NULL, NULL),
                     SQLITE_READONLY);
    assert_true(driver_sqlite.alive(world->conn));
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void barrier_writes_nothing(void **state)
{
    struct world *world = *state;
    char journal[128], log[128];
    snprintf(journal, sizeof journal, "%s-journal", world->path);
    snprintf(log, sizeof log, "%s-wal", world->path);
    for (int wal = 0; wal < 2; wal++) {
        struct stat before, after, wal_before = {0}, wal_after = {0};
        run(world, wal ? "PRAGMA journal_mode = WAL; INSERT INTO t DEFAULT VALUES" : TABLE);
        assert_int_equal(stat(world->path, &before), 0);
        assert_int_equal(stat(log, &wal_before), wal ? 0 : -1);
        for (int i = 0; i < 100; i++)
            assert_false(ask(world).waits);
        assert_int_equal(stat(world->path, &after), 0);
        assert_int_equal(stat(log, &wal_after), wal ? 0 : -1);
        assert_true(same_stat(&before, &after));
        assert_true(same_stat(&wal_before, &wal_after));
        assert_int_equal(access(journal, F_OK), -1);
        driver_sqlite.close(world->conn);
        world->conn = NULL;
    }
}

static void readers_are_not_in_the_way(void **state)
{
    struct world *world = *state;
    for (int wal = 0; wal < 2; wal++) {
        run(world, wal ? "PRAGMA journal_mode = WAL" : TABLE ";INSERT INTO t DEFAULT VALUES");
        run(world, "BEGIN; SELECT * FROM t");
        assert_false(ask(world).waits);
        run(world, "INSERT INTO t DEFAULT VALUES; COMMIT"); /* and its snapshot can still become a writer */
        driver_sqlite.close(world->conn);
        world->conn = NULL;
    }
}

/* what it refuses */

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

static void check_refused(struct world *world)
{
    assert_int_equal(try_horizon(world), -1);
    if (world->err.code != ERR_DATABASE || !strstr(world->err.text, "can only be read"))
        fail_msg("not refused: %d %s", world->err.code, world->err.text);
    assert_non_null(strstr(world->err.hint, "{\"settle\": 60}"));
    assert_non_null(strstr(world->err.hint, "right to write"));
    assert_false(world->horizon.known);
    err_clear(&world->err);
}

static void file_that_can_only_be_read_is_refused(void **state)
{
    struct world *world = *state;
    run(world, TABLE);
    become_nobody(world);
    assert_int_equal(chmod(world->path, 0444), 0);
    check_refused(world);
    check_refused(world); /* and the connection is as good as before */
    assert_true(driver_sqlite.alive(world->conn));
    const struct horizon_question question = {.clock_only = true};
    check_ok(world,
             driver_sqlite.horizon(world->conn, world->sampler, &question, &world->horizon, &world->err));
    assert_true(world->horizon.known);
}

static void folder_without_right_is_refused_in_wal_mode(void **state)
{
    struct world *world = *state;
    run(world, TABLE ";PRAGMA journal_mode = WAL");
    sqlite3_close(world->native); /* takes -wal and -shm along */
    world->native = NULL;
    become_nobody(world);
    connect_to(world);
    driver_sqlite.close(world->conn);
    world->conn = NULL;
    assert_int_equal(chmod(world->folder, 0555), 0);
    int failed = driver_sqlite.open(&world->conn, &world->system, &world->err) || try_horizon(world);
    assert_int_equal(chmod(world->folder, 0755), 0);
    assert_true(failed);
    assert_false(world->horizon.known);
}

/* RESERVED needs no journal: nothing is written. */
static void folder_without_right_is_no_hindrance_in_rollback_mode(void **state)
{
    struct world *world = *state;
    run(world, TABLE);
    become_nobody(world);
    assert_int_equal(chmod(world->folder, 0555), 0);
    int failed = try_horizon(world);
    assert_int_equal(chmod(world->folder, 0755), 0);
    check_ok(world, failed);
    assert_true(world->horizon.known);
    run(world, "BEGIN IMMEDIATE");
    assert_true(ask(world).waits);
}

static void called_off_is_told(void **state)
{
    struct world *world = *state;
    run(world, TABLE);
    connect_to(world);
    driver_sqlite.cancel(world->conn);
    assert_int_equal(try_horizon(world), -1);
    assert_int_equal(world->err.code, ERR_CANCELLED);
}

static void *cancel(void *arg)
{
    driver_sqlite.cancel(arg);
    return NULL;
}

static void called_off_while_it_looks_for_a_gap_is_told(void **state)
{
    struct world *world = *state;
    run(world, TABLE ";BEGIN IMMEDIATE");
    connect_to(world);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel, world->conn), 0);
    int result = try_horizon(world);
    pthread_join(thread, NULL);
    assert_int_equal(result, -1);
    assert_int_equal(world->err.code, ERR_CANCELLED);
}

/* what it remembers */

static void file_that_took_its_place_is_not_known(void **state)
{
    struct world *world = *state;
    run(world, TABLE);
    assert_true(ask(world).known);
    struct conn *old = world->conn; /* keeps the old file, and with it its number, alive */
    world->conn = NULL;
    sqlite3_close(world->native);
    remove_files(world);
    assert_int_equal(sqlite3_open(world->path, &world->native), SQLITE_OK);
    run(world, TABLE ";BEGIN IMMEDIATE");
    struct horizon horizon = ask(world);
    driver_sqlite.close(old);
    assert_false(horizon.known);
    assert_true(horizon.waits);
}

static void connections_share_what_is_remembered(void **state)
{
    struct world *world = *state;
    run(world, TABLE);
    struct horizon before = ask(world);
    struct conn *first = world->conn;
    world->conn = NULL;
    run(world, "BEGIN IMMEDIATE");
    struct horizon during = ask(world);
    driver_sqlite.close(first);
    assert_true(during.known && during.time == before.time);
}

/* many at once */

enum { WRITERS = 3, READERS = 3, ROUNDS = 40 };

struct worker {
    struct world *world;
    unsigned seed;
    int64_t times[ROUNDS], counts[ROUNDS]; /* a reader's: rows it saw below its horizon */
    const char *failed;
};

/* Rows below a time. */
static int64_t count_below(sqlite3 *db, int64_t time)
{
    char *sql =
        sqlite3_mprintf("SELECT count(*) FROM t WHERE cast(round((julianday(u) - 2440587.5) * 86400e3) AS "
                        "INTEGER) * 1000 < %lld",
                        (long long)time);
    int64_t count = number(db, sql);
    sqlite3_free(sql);
    return count;
}

static void *write_late(void *arg)
{
    struct worker *worker = arg;
    sqlite3 *db;
    sqlite3_open(worker->world->path, &db);
    sqlite3_busy_timeout(db, 60000);
    for (int i = 0; i < ROUNDS && !worker->failed; i++) {
        if (sqlite3_exec(db, "BEGIN; INSERT INTO t DEFAULT VALUES", NULL, NULL, NULL) != SQLITE_OK)
            worker->failed = "insert";
        sqlite3_sleep(rand_r(&worker->seed) % 4);
        const char *end = rand_r(&worker->seed) % 8 ? "COMMIT" : "ROLLBACK";
        if (sqlite3_exec(db, end, NULL, NULL, NULL) != SQLITE_OK)
            worker->failed = end;
        sqlite3_sleep(rand_r(&worker->seed) % 3);
    }
    sqlite3_close(db);
    return NULL;
}

static void *follow(void *arg)
{
    struct worker *worker = arg;
    const struct horizon_question question = {0};
    struct conn *conn = NULL;
    struct horizon horizon;
    if (driver_sqlite.open(&conn, &worker->world->system, NULL))
        worker->failed = "open";
    for (int i = 0; i < ROUNDS && !worker->failed; i++) {
        if (driver_sqlite.horizon(conn, worker->world->sampler, &question, &horizon, NULL))
            worker->failed = "horizon";
        worker->times[i] = horizon.known ? horizon.time : 0;
        worker->counts[i] = count_below(conn->db, worker->times[i]);
    }
    driver_sqlite.close(conn);
    return NULL;
}

static void no_row_appears_below_a_horizon_under_many_writers(void **state)
{
    struct world *world = *state;
    struct worker workers[WRITERS + READERS];
    pthread_t threads[WRITERS + READERS];
    run(world, TABLE ";PRAGMA journal_mode = WAL");
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        workers[i] = (struct worker){.world = world, .seed = i};
        assert_int_equal(pthread_create(&threads[i], NULL, i < WRITERS ? write_late : follow, &workers[i]),
                         0);
    }
    for (size_t i = 0; i < WRITERS + READERS; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].failed)
            fail_msg("worker %zu: %s", i, workers[i].failed);
    }
    int64_t moved = 0;
    for (size_t i = WRITERS; i < WRITERS + READERS; i++)
        for (size_t round = 0; round < ROUNDS; round++) {
            assert_int_equal(count_below(world->native, workers[i].times[round]), workers[i].counts[round]);
            moved = workers[i].counts[round] > moved ? workers[i].counts[round] : moved;
        }
    assert_true(moved > 0); /* it did look at rows */
}

/* the newest */

/* As "integer 7", by its storage class. */
static const char *newest(struct world *world, const char *query)
{
    static char text[64];
    static const char *const key[] = {"id"};
    struct relation *relation;
    struct value value;
    const struct subject subject = {
        .table = query ? NULL : "t", .query = query, .key = key, .key_count = 1, .updated = "u"};
    if (!world->conn)
        connect_to(world);
    check_ok(world, driver_sqlite.describe(world->conn, &subject, world->arena, &relation, &world->err));
    size_t updated = 0;
    while (strcmp(relation->columns[updated].name, "u") != 0)
        updated++;
    struct plan plan = {.relation = relation, .query = query, .updated = updated, .limit = UINT64_MAX};
    check_ok(world, driver_sqlite.newest(world->conn, &plan, world->arena, &value, &world->err));
    if (value.kind == KIND_NULL)
        return "null";
    if (value.kind == KIND_INT)
        snprintf(text, sizeof text, "integer %lld", (long long)value.integer);
    else
        snprintf(text, sizeof text, "%s %.*s",
                 value.kind == KIND_TEXT    ? "text"
                 : value.kind == KIND_BYTES ? "bytes"
                                            : "float",
                 (int)value.text.len, value.text.bytes);
    return text;
}

static void newest_is_the_last_in_the_order_of_the_stream(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, u)");
    assert_string_equal(newest(world, NULL), "null");
    run(world, "INSERT INTO t (u) VALUES (NULL)");
    assert_string_equal(newest(world, NULL), "null");
    run(world, "INSERT INTO t (u) VALUES (7), (NULL), (-9)");
    assert_string_equal(newest(world, NULL), "integer 7");
    run(world, "INSERT INTO t (u) VALUES (7.5)");
    assert_string_equal(newest(world, NULL), "float 7.5");
    run(world, "INSERT INTO t (u) VALUES ('2024-01-31'), ('2023-01-31')");
    assert_string_equal(newest(world, NULL), "text 2024-01-31");
    assert_string_equal(newest(world, "SELECT * FROM t WHERE u < '2024'"), "text 2023-01-31");
    run(world, "INSERT INTO t (u) VALUES (x'30')");
    assert_string_equal(newest(world, NULL), "bytes 0");
}

static void newest_is_by_the_columns_collation(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT COLLATE NOCASE); INSERT INTO t (u) VALUES "
               "('a'), ('B')");
    assert_string_equal(newest(world, NULL), "text B");
}

static void newest_takes_one_step_of_an_index(void **state)
{
    struct world *world = *state;
    run(world, "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT); CREATE INDEX i ON t (u, id)");
    run(world, "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000) "
               "INSERT INTO t SELECT n, printf('%05d', n) FROM n");
    struct relation *relation;
    const struct subject subject = {.table = "t", .updated = "u"};
    connect_to(world);
    check_ok(world, driver_sqlite.describe(world->conn, &subject, world->arena, &relation, &world->err));
    struct plan plan = {.relation = relation, .updated = 1, .limit = UINT64_MAX};
    sqlite3_stmt *stmt;
    check_ok(world, sqlite_select_newest(world->conn, &plan, &stmt, &world->err));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "01000");
    assert_true(sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0) < 50);
    assert_int_equal(sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_SORT, 0), 0);
    sqlite3_finalize(stmt);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(time_is_now_and_no_row_written_later_is_older),
        TEST(clock_alone_is_told_while_somebody_writes),
        TEST(row_not_yet_committed_is_beyond_the_horizon),
        TEST(writer_is_noticed_and_not_waited_for),
        TEST(nothing_is_known_when_it_begins_under_a_writer),
        TEST(holder_says_since_when_it_was_found),
        TEST(holder_names_the_process),
        TEST(writer_that_waits_reads_the_clock_when_it_has_the_lock),
        TEST(session_only_reads_again),
        TEST(barrier_writes_nothing),
        TEST(readers_are_not_in_the_way),
        TEST(file_that_can_only_be_read_is_refused),
        TEST(folder_without_right_is_refused_in_wal_mode),
        TEST(folder_without_right_is_no_hindrance_in_rollback_mode),
        TEST(called_off_is_told),
        TEST(called_off_while_it_looks_for_a_gap_is_told),
        TEST(file_that_took_its_place_is_not_known),
        TEST(connections_share_what_is_remembered),
        TEST(no_row_appears_below_a_horizon_under_many_writers),
        TEST(newest_is_the_last_in_the_order_of_the_stream),
        TEST(newest_is_by_the_columns_collation),
        TEST(newest_takes_one_step_of_an_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
