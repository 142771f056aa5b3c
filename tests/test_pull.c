/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "pull/pull.h"
#include "scripted.h"

#define INT(n) {.kind = KIND_INT, .integer = (n)}
#define TIME(n) {.kind = KIND_DATETIME, .integer = (n)}
#define TEXT(s) {.kind = KIND_TEXT, .text = {(s), sizeof(s) - 1}}
#define NOTHING {.kind = KIND_NULL}
#define COUNT(list) (sizeof(list) / sizeof *(list))

/* a source on a scripted table: id, name, changed */

enum { ID, NAME, CHANGED, COLUMNS };

struct world {
    struct script script;
    struct column columns[COLUMNS];
    size_t key[2];
    struct config_source source;
    struct config config;
    struct db db;
    struct source **sources;
};

static const struct column table[COLUMNS] = {
    [ID] = {.name = "id", .type = "integer", .kind = KIND_INT, .position = POSITION_INTEGER, .bytewise = true},
    [NAME] = {.name = "name", .type = "text", .kind = KIND_TEXT, .position = POSITION_TEXT, .nullable = true},
    [CHANGED] = {.name = "changed", .type = "timestamp", .kind = KIND_DATETIME, .position = POSITION_DATETIME,
                 .digits = 6, .bytewise = true},
};

/* The test may change all of it before open_world. */
static void begin_world(struct world *world, const struct value *rows, size_t count)
{
    *world = (struct world){.source = {.name = "customers",
                                       .table = "customers",
                                       .updated_column = "changed",
                                       .is_chronological_full = true,
                                       .late_commits = {.mode = LATE_IGNORE}, /* test_stream has horizons */
                                       .fetch_size = 100}};
    memcpy(world->columns, table, sizeof table);
    script_begin(&world->script);
    world->script.relation = (struct relation){.columns = world->columns,
                                               .column_count = COLUMNS,
                                               .key = world->key,
                                               .key_count = 1,
                                               .key_unique = true,
                                               .from = "customers",
                                               .title = "customers"};
    world->script.rows = rows;
    world->script.row_count = count / COLUMNS;
}

static void open_world(struct world *world)
{
    struct err err = {0};
    world->source.system = &world->script.system;
    world->config = (struct config){.systems = &world->script.system,
                                    .system_count = 1,
                                    .sources = &world->source,
                                    .source_count = 1};
    world->db = (struct db){.system = &world->script.system, .driver = &script_driver};
    world->db.pool = pool_new(&script_driver, &world->script.system);
    assert_non_null(world->db.pool);
    if (source_open_all(&world->sources, &world->config, &world->db, &err))
        fail_msg("%s", err.text);
}

/* Nothing is lent any more, every read was closed, and every connection is. */
static void close_world(struct world *world)
{
    struct pool_state state;
    pool_state(world->db.pool, &state);
    assert_int_equal(state.used, 0);
    source_close_all(world->sources, 1);
    pool_free(world->db.pool);
    assert_int_equal(world->script.opened, world->script.closed);
    assert_int_equal(world->script.reads, world->script.read_closes);
}

static int open_pull(struct world *world, struct pull **pull, const char *since, const char *limit,
                     struct cancel *cancel, struct err *err)
{
    struct pull_parameter parameters[2];
    struct pull_request request = {.parameters = parameters, .cancel = cancel};
    if (since)
        parameters[request.count++] = (struct pull_parameter){"since", since};
    if (limit)
        parameters[request.count++] = (struct pull_parameter){"limit", limit};
    *pull = NULL;
    return pull_open(pull, world->sources[0], &request, err);
}

/* Reads to the end or the failure, in blocks of a size. The memory is exactly as large. */
static int read_pull(struct pull *pull, size_t size, struct buf *out, struct err *err)
{
    char *block = malloc(size);
    ssize_t got;
    assert_non_null(block);
    while ((got = pull_read(pull, block, size, err)) > 0) {
        assert_true((size_t)got <= size);
        buf_put(out, block, (size_t)got);
    }
    free(block);
    return (int)got;
}

static char *pulled(struct world *world, const char *since, const char *limit, size_t size)
{
    struct pull *pull;
    struct err err = {0};
    struct buf out = {0};
    if (open_pull(world, &pull, since, limit, NULL, &err) || read_pull(pull, size, &out, &err))
        fail_msg("%s", err.text);
    pull_close(pull, NULL);
    assert_non_null(buf_text(&out));
    return out.data;
}

static void check_pull(struct world *world, const char *since, const char *limit, const char *want)
{
    for (size_t size = 1; size < strlen(want) + 20; size += size < 100 ? 1 : 13) {
        char *got = pulled(world, since, limit, size);
        assert_string_equal(got, want);
        free(got);
    }
    char *got = pulled(world, since, limit, 65536);
    assert_string_equal(got, want);
    free(got);
}

static void check_refused(struct world *world, const char *since, const char *limit, enum err_code code,
                          const char *text)
{
    struct pull *pull;
    struct err err = {0};
    assert_int_equal(open_pull(world, &pull, since, limit, NULL, &err), -1);
    assert_null(pull);
    if (err.code != code || !strstr(err.text, text))
        fail_msg("error %d: %s", err.code, err.text);
}

/* the stream */

static const struct value rows[] = {
    INT(1), TEXT("a"), TIME(0),
    INT(2), TEXT("~b \"c\""), TIME(1000000),
    INT(-3), NOTHING, TIME(1000000),
    INT(4), TEXT("a name that is somewhat longer than the others are"), TIME(2000001),
};

#define FIRST "{\"_id\":\"1\",\"_updated\":\"1970-01-01T00:00:00.000000Z!00000000000000000001\",\"id\":1," \
              "\"name\":\"a\",\"changed\":\"~t1970-01-01T00:00:00.000000Z\"}"
#define SECOND "{\"_id\":\"2\",\"_updated\":\"1970-01-01T00:00:01.000000Z!00000000000000000002\",\"id\":2," \
               "\"name\":\"~~b \\\"c\\\"\",\"changed\":\"~t1970-01-01T00:00:01.000000Z\"}"
#define THIRD "{\"_id\":\"-3\",\"_updated\":\"1970-01-01T00:00:01.000000Z!-99999999999999999997\",\"id\":-3," \
              "\"changed\":\"~t1970-01-01T00:00:01.000000Z\"}"
#define FOURTH "{\"_id\":\"4\",\"_updated\":\"1970-01-01T00:00:02.000001Z!00000000000000000004\",\"id\":4," \
               "\"name\":\"a name that is somewhat longer than the others are\"," \
               "\"changed\":\"~t1970-01-01T00:00:02.000001Z\"}"
#define ALL "[\n" FIRST ",\n" SECOND ",\n" THIRD ",\n" FOURTH "\n]\n"

static void blocks_of_every_size_give_the_same_bytes(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    check_pull(&world, NULL, NULL, ALL);
    assert_int_equal(world.script.opened, 1);
    close_world(&world);
}

static void a_source_without_rows_is_an_empty_array(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, 0);
    open_world(&world);
    check_pull(&world, NULL, NULL, "[]");
    close_world(&world);
}

static void a_limit_is_asked_of_the_database(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    check_pull(&world, NULL, "2", "[\n" FIRST ",\n" SECOND "\n]\n");
    assert_int_equal(world.script.plan.limit, 2);
    check_pull(&world, NULL, "4", ALL);
    check_pull(&world, NULL, "18446744073709551616", ALL);
    close_world(&world);
}

static void a_limit_of_nothing_reads_nothing(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    check_pull(&world, NULL, "0", "[]");
    check_pull(&world, "!", "0", "[]");
    assert_int_equal(world.script.reads, 0);
    close_world(&world);
}

/* failures */

static bool is_json(const char *text, size_t len)
{
    json_t *json = json_loadb(text, len, JSON_DECODE_ANY, NULL);
    json_decref(json);
    return json != NULL;
}

/* What came is the beginning of the whole answer, and it cannot be taken for one, nor can its beginnings. */
static void check_broken(const struct buf *got, const char *whole, bool beginnings)
{
    assert_true(got->len < strlen(whole));
    if (got->len)
        assert_memory_equal(got->data, whole, got->len);
    for (size_t len = beginnings ? 1 : got->len; len && len <= got->len; len++)
        if (is_json(got->data, len))
            fail_msg("%.*s is a whole array", (int)len, got->data);
}

static void a_stream_that_breaks_is_never_a_whole_array(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    world.script.row_error = ERR_AWAY;
    for (size_t row = 1; row <= COUNT(rows) / COLUMNS; row++)
        for (size_t size = 1; size < sizeof ALL + 20; size++) {
            struct pull *pull;
            struct err err = {0}, again = {0};
            struct buf got = {0};
            char more[16];
            world.script.row_fails = row;
            assert_int_equal(open_pull(&world, &pull, NULL, NULL, NULL, &err), 0);
            assert_int_equal(read_pull(pull, size, &got, &err), -1);
            assert_int_equal(err.code, ERR_AWAY);
            assert_int_equal(pull_read(pull, more, sizeof more, &again), -1);
            assert_int_equal(again.code, ERR_AWAY);
            check_broken(&got, ALL, size == 1);
            pull_close(pull, "it broke");
            buf_free(&got);
        }
    close_world(&world);
}

static void a_failure_before_the_first_row_is_told_by_open(void **state)
{
    static const enum err_code codes[] = {ERR_AWAY,  ERR_DATABASE, ERR_GONE, ERR_BUSY,
                                          ERR_INPUT, ERR_CHANGED,  ERR_LOST};
    struct world world;
    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        const enum err_code fails[] = {codes[i], ERR_NONE};
        begin_world(&world, rows, COUNT(rows));
        open_world(&world);
        world.script.read_fails = fails;
        check_refused(&world, NULL, NULL, codes[i], "read_open");
        close_world(&world);
        begin_world(&world, rows, COUNT(rows));
        open_world(&world);
        world.script.row_error = codes[i];
        check_refused(&world, NULL, NULL, codes[i], "row 0");
        close_world(&world);
    }
}

static void a_key_with_null_breaks_the_stream(void **state)
{
    static const struct value bad[] = {
        INT(1), TEXT("a"), TIME(0),
        NOTHING, TEXT("b"), TIME(1000000),
        INT(3), TEXT("c"), TIME(1000000),
    };
    struct world world;
    (void)state;
    begin_world(&world, bad, COUNT(bad));
    open_world(&world);
    for (size_t size = 1; size < sizeof ALL; size++) {
        struct pull *pull;
        struct err err = {0};
        struct buf got = {0};
        assert_int_equal(open_pull(&world, &pull, NULL, NULL, NULL, &err), 0);
        assert_int_equal(read_pull(pull, size, &got, &err), -1);
        assert_int_equal(err.code, ERR_DATABASE);
        assert_non_null(strstr(err.text, "'id'"));
        check_broken(&got, ALL, size == 1);
        pull_close(pull, "it broke");
        buf_free(&got);
    }
    close_world(&world);
}

static void fire(void *arg, size_t row)
{
    if (row == 2)
        cancel_fire(arg, CANCEL_GONE);
}

/* However the driver puts it that it was woken. */
static void a_client_that_went_away_is_not_the_databases_fault(void **state)
{
    struct world world;
    struct pull *pull;
    struct cancel cancel;
    struct err err = {0};
    struct buf got = {0};
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    cancel_init(&cancel);
    world.script.at_row = fire;
    world.script.at_row_arg = &cancel;
    world.script.row_fails = 2;
    world.script.row_error = ERR_LOST;
    assert_int_equal(open_pull(&world, &pull, NULL, NULL, &cancel, &err), 0);
    assert_int_equal(read_pull(pull, 65536, &got, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(world.script.cancelled, 1);
    pull_close(pull, "the client went away");
    assert_int_equal(world.script.closed, 1);
    err_clear(&err);
    assert_int_equal(open_pull(&world, &pull, NULL, NULL, &cancel, &err), -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    cancel_destroy(&cancel);
    close_world(&world);
    buf_free(&got);
}

/* connections */

static void a_finished_read_gives_its_connection_back(void **state)
{
    struct world world;
    struct pool_state pool;
    struct pull *pull;
    struct err err = {0};
    struct buf got = {0};
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    assert_int_equal(open_pull(&world, &pull, NULL, NULL, NULL, &err), 0);
    pool_state(world.db.pool, &pool);
    assert_int_equal(pool.used, 1);
    assert_int_equal(read_pull(pull, 65536, &got, &err), 0);
    pool_state(world.db.pool, &pool);
    assert_int_equal(pool.used, 0);
    pull_close(pull, NULL);
    assert_int_equal(world.script.closed, 0);
    buf_free(&got);
    close_world(&world);
}

static void a_pull_that_is_closed_or_stopped_early_gives_it_back_too(void **state)
{
    struct world world;
    struct pull *pull;
    struct err err = {0};
    char block[16];
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    assert_int_equal(open_pull(&world, &pull, NULL, NULL, NULL, &err), 0);
    pull_close(pull, "the client went away");
    assert_int_equal(open_pull(&world, &pull, NULL, NULL, NULL, &err), 0);
    assert_int_equal(pull_read(pull, block, sizeof block, &err), sizeof block);
    pull_close(pull, "the client went away");
    assert_int_equal(open_pull(&world, &pull, NULL, NULL, NULL, &err), 0);
    pull_stop(pull);
    pull_close(pull, NULL);
    pull_close(NULL, NULL);
    assert_int_equal(world.script.opened, 1);
    close_world(&world);
}

static void a_connection_that_is_no_good_after_a_read_is_closed(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    world.script.broken_by_close = true;
    free(pulled(&world, NULL, NULL, 65536));
    assert_int_equal(world.script.closed, 1);
    close_world(&world);
}

static void an_idle_connection_that_broke_is_tried_again_on_another(void **state)
{
    static const enum err_code twice[] = {ERR_LOST, ERR_LOST, ERR_NONE};
    struct world world;
    struct pull *first, *second;
    struct err err = {0};
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    assert_int_equal(open_pull(&world, &first, NULL, NULL, NULL, &err), 0);
    assert_int_equal(open_pull(&world, &second, NULL, NULL, NULL, &err), 0);
    pull_close(first, "enough");
    pull_close(second, "enough");
    world.script.read_fails = twice;
    check_pull(&world, NULL, NULL, ALL);
    assert_int_equal(world.script.opened, 3);
    assert_int_equal(world.script.closed, 2);
    close_world(&world);
}

static void a_fresh_connection_that_broke_is_not_tried_again(void **state)
{
    static const enum err_code once[] = {ERR_LOST, ERR_NONE};
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    world.script.read_fails = once;
    check_refused(&world, NULL, NULL, ERR_LOST, "read_open");
    assert_int_equal(world.script.reads, 1);
    assert_int_equal(world.script.closed, 1);
    close_world(&world);
}

static void a_broken_describe_on_an_idle_connection_is_tried_again(void **state)
{
    static const enum err_code once[] = {ERR_LOST, ERR_NONE};
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    free(pulled(&world, NULL, NULL, 65536));
    world.script.describe_fails = once;
    check_pull(&world, NULL, NULL, ALL);
    assert_int_equal(world.script.opened, 2);
    close_world(&world);
}

/* descriptions */

static void a_full_read_describes_anew_and_a_since_does_not(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    free(pulled(&world, NULL, NULL, 65536));
    assert_int_equal(world.script.described, 1);
    free(pulled(&world, "!", NULL, 65536));
    free(pulled(&world, "1970-01-01", "3", 65536));
    assert_int_equal(world.script.described, 1);
    free(pulled(&world, NULL, NULL, 65536));
    assert_int_equal(world.script.described, 2);
    close_world(&world);
}

static void an_old_description_is_made_once_more_when_the_table_changed(void **state)
{
    static const enum err_code once[] = {ERR_CHANGED, ERR_NONE},
                               twice[] = {ERR_CHANGED, ERR_CHANGED, ERR_NONE};
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    free(pulled(&world, NULL, NULL, 65536));
    world.script.read_fails = once;
    char *got = pulled(&world, "!", NULL, 65536);
    assert_string_equal(got, ALL);
    free(got);
    assert_int_equal(world.script.described, 2);
    world.script.read_fails = twice;
    check_refused(&world, "!", NULL, ERR_CHANGED, "read_open");
    assert_int_equal(world.script.described, 3);
    world.script.read_fails = once;
    check_refused(&world, NULL, NULL, ERR_CHANGED, "read_open");
    assert_int_equal(world.script.described, 4);
    close_world(&world);
}

static void a_column_that_came_is_in_the_next_full_read(void **state)
{
    static const struct value added[] = {INT(1), TEXT("a"), TIME(0)};
    struct world world;
    (void)state;
    begin_world(&world, added, COUNT(added));
    world.script.relation.column_count = CHANGED;
    world.script.row_count = 0;
    world.source.updated_column = NULL;
    open_world(&world);
    check_pull(&world, NULL, NULL, "[]");
    world.script.relation.column_count = COLUMNS;
    world.script.row_count = 1;
    check_pull(&world, NULL, NULL,
               "[\n{\"_id\":\"1\",\"id\":1,\"name\":\"a\",\"changed\":\"~t1970-01-01T00:00:00.000000Z\"}\n]\n");
    close_world(&world);
}

/* what is asked of the database */

static void check_ranges(struct world *world, const char *since, size_t count, bool nulls, bool after)
{
    free(pulled(world, since, NULL, 65536));
    assert_int_equal(world->script.plan.order, ORDER_UPDATED);
    assert_int_equal(world->script.plan.range_count, count);
    assert_int_equal(world->script.ranges[0].nulls, nulls);
    assert_int_equal(world->script.ranges[0].after != NULL, after);
    if (count > 1)
        assert_true(!world->script.ranges[1].nulls && !world->script.ranges[1].after);
}

static void each_since_reads_its_part_of_the_stream(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, 0);
    open_world(&world);
    check_ranges(&world, NULL, 1, false, false);
    check_ranges(&world, "!", 1, false, false);
    world.columns[CHANGED].nullable = true;
    check_ranges(&world, NULL, 2, true, false);
    check_ranges(&world, "!", 2, true, false);
    check_ranges(&world, "!00000000000000000001", 2, true, true);
    check_ranges(&world, "1970-01-01T00:00:00.000000Z!00000000000000000001", 1, false, true);
    check_ranges(&world, "1970-01-01T00:00:00.000000Z!", 1, false, true);
    check_ranges(&world, "1970-01-01", 1, false, true);
    close_world(&world);
}

static void without_an_updated_column_rows_come_by_key_and_since_is_refused(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COLUMNS);
    world.source.updated_column = NULL;
    open_world(&world);
    check_pull(&world, NULL, NULL,
               "[\n{\"_id\":\"1\",\"id\":1,\"name\":\"a\",\"changed\":\"~t1970-01-01T00:00:00.000000Z\"}\n]\n");
    assert_int_equal(world.script.plan.order, ORDER_KEY);
    assert_int_equal(world.script.plan.updated, SIZE_MAX);
    check_refused(&world, "!", NULL, ERR_INPUT, "since");
    close_world(&world);
}

static void an_updated_query_is_read_once_there_is_a_value_to_bind(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, 0);
    world.source.table = NULL;
    world.source.query = "select * from t";
    world.source.updated_query = "select * from t where changed >= :since";
    open_world(&world);
    free(pulled(&world, NULL, NULL, 65536));
    assert_string_equal(world.script.plan.query, world.source.query);
    free(pulled(&world, "!00000000000000000001", NULL, 65536));
    assert_string_equal(world.script.plan.query, world.source.query);
    free(pulled(&world, "1970-01-01", NULL, 65536));
    assert_string_equal(world.script.plan.query, world.source.updated_query);
    assert_non_null(world.script.plan.since);
    close_world(&world);
}

static void a_bad_request_is_told_before_anything_is_read(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    check_refused(&world, "yesterday", NULL, ERR_INPUT, "since");
    check_refused(&world, NULL, "-1", ERR_INPUT, "limit");
    check_refused(&world, "1!2!3", NULL, ERR_GONE, "token");
    assert_int_equal(world.script.reads, 0);
    assert_int_equal(world.script.closed, 0);
    close_world(&world);
}

/* what becomes of columns */

static void columns_are_chosen_and_renamed(void **state)
{
    static const char *white[] = {"name"}, *black[] = {"changed", "id"};
    static struct config_pair properties[] = {{"name", "title"}};
    static const char want[] =
        "[\n{\"_id\":\"1\",\"_updated\":\"1970-01-01T00:00:00.000000Z!00000000000000000001\",\"title\":\"a\"}\n]\n";
    struct world world;
    (void)state;
    for (int blacklist = 0; blacklist < 2; blacklist++) {
        begin_world(&world, rows, COLUMNS);
        world.source.properties = properties;
        world.source.property_count = 1;
        world.source.has_whitelist = !blacklist;
        world.source.whitelist = (struct config_list){white, blacklist ? 0 : 1};
        world.source.blacklist = (struct config_list){black, blacklist ? 2 : 0};
        open_world(&world);
        check_pull(&world, NULL, NULL, want);
        close_world(&world);
    }
}

static void a_name_of_sesams_own_is_refused(void **state)
{
    static const char *const reserved[] = {"_id", "_updated", "_deleted", "id"};
    struct world world;
    (void)state;
    for (size_t i = 0; i < COUNT(reserved); i++) {
        begin_world(&world, rows, COUNT(rows));
        world.columns[NAME].name = reserved[i];
        open_world(&world);
        check_refused(&world, NULL, NULL, ERR_DATABASE, reserved[i]);
        close_world(&world);
    }
}

static void a_table_without_a_key_or_its_updated_column_is_refused(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    world.script.relation.key_count = 0;
    open_world(&world);
    check_refused(&world, NULL, NULL, ERR_DATABASE, "no primary key");
    close_world(&world);
    begin_world(&world, rows, COUNT(rows));
    world.source.updated_column = "modified";
    open_world(&world);
    check_refused(&world, NULL, NULL, ERR_CHANGED, "'modified'");
    close_world(&world);
}

static void nulls_come_where_they_are_kept(void **state)
{
    static const struct value null[] = {INT(1), NOTHING, NOTHING};
    struct world world;
    (void)state;
    begin_world(&world, null, COUNT(null));
    world.source.preserve_null_values = true;
    open_world(&world);
    check_pull(&world, NULL, NULL,
               "[\n{\"_id\":\"1\",\"_updated\":\"!00000000000000000001\",\"id\":1,\"name\":null,\"changed\":null}\n]\n");
    close_world(&world);
}

static void a_compound_key_is_in_id_and_token(void **state)
{
    static const struct value one[] = {INT(1), TEXT("a:b c"), TIME(0)};
    struct world world;
    (void)state;
    begin_world(&world, one, COUNT(one));
    world.script.relation.key_count = 2;
    world.key[0] = NAME;
    world.key[1] = ID;
    open_world(&world);
    check_pull(&world, NULL, NULL,
               "[\n{\"_id\":\"a%3Ab c:1\",\"_updated\":\"1970-01-01T00:00:00.000000Z!a:b#`c!00000000000000000001\","
               "\"id\":1,\"name\":\"a:b c\",\"changed\":\"~t1970-01-01T00:00:00.000000Z\"}\n]\n");
    close_world(&world);
}

#define DELETED(yes, name) \
    "{\"_id\":\"1\",\"_updated\":\"1970-01-01T00:00:00.000000Z!00000000000000000001\"" yes ",\"id\":1" name \
    ",\"changed\":\"~t1970-01-01T00:00:00.000000Z\"}"

static void deleted_rows_come_as_deleted(void **state)
{
    static const struct value some[] = {
        INT(1), TEXT("D"), TIME(0),
        INT(1), TEXT("d"), TIME(0),
        INT(1), TEXT("X"), TIME(0),
        INT(1), NOTHING, TIME(0),
    };
    static struct config_value values[] = {{.type = CONFIG_STRING, .text = "D"},
                                           {.type = CONFIG_STRING, .text = "X"}};
    struct world world;
    (void)state;
    begin_world(&world, some, COUNT(some));
    world.source.deleted = (struct config_deleted){.column = "name", .values = values, .value_count = 2};
    open_world(&world);
    check_pull(&world, NULL, NULL,
               "[\n" DELETED(",\"_deleted\":true", ",\"name\":\"D\"") ",\n" DELETED("", ",\"name\":\"d\"") ",\n" DELETED(
                   ",\"_deleted\":true", ",\"name\":\"X\"") ",\n" DELETED("", "") "\n]\n");
    close_world(&world);
    begin_world(&world, some, COUNT(some));
    world.source.deleted.column = "name";
    open_world(&world);
    check_pull(&world, NULL, "2",
               "[\n" DELETED(",\"_deleted\":true", ",\"name\":\"D\"") ",\n" DELETED(
                   ",\"_deleted\":true", ",\"name\":\"d\"") "\n]\n");
    close_world(&world);
}

static void plain_tokens_are_the_bare_value(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COLUMNS);
    world.source.token_plain = true;
    open_world(&world);
    check_pull(&world, NULL, NULL,
               "[\n{\"_id\":\"1\",\"_updated\":\"~t1970-01-01T00:00:00.000000Z\",\"id\":1,\"name\":\"a\","
               "\"changed\":\"~t1970-01-01T00:00:00.000000Z\"}\n]\n");
    check_refused(&world, NULL, "5", ERR_INPUT, "plain");
    close_world(&world);
}

/* Entity by entity, the value of a property; NULL where it is missing. */
static void check_property(struct world *world, const char *name, const char *const *want, size_t count)
{
    for (size_t size = 1; size < 700; size += 7) {
        char *got = pulled(world, NULL, NULL, size);
        json_t *entities = json_loads(got, JSON_REJECT_DUPLICATES, NULL);
        assert_int_equal(json_array_size(entities), count);
        for (size_t i = 0; i < count; i++) {
            const char *value = json_string_value(json_object_get(json_array_get(entities, i), name));
            if (!value || !want[i] ? value != want[i] : strcmp(value, want[i]) != 0)
                fail_msg("entity %zu has %s: %s", i, name, value);
        }
        json_decref(entities);
        free(got);
    }
}

static char *hash_of(struct world *world, size_t entity)
{
    char *got = pulled(world, NULL, NULL, 65536);
    json_t *entities = json_loads(got, 0, NULL);
    const char *hash = json_string_value(json_object_get(json_array_get(entities, entity), "hash"));
    assert_non_null(hash);
    char *copy = strdup(hash);
    json_decref(entities);
    free(got);
    return copy;
}

static void a_hash_is_the_same_for_the_same_properties_only(void **state)
{
    static const struct value some[] = {
        INT(1), TEXT("a"), TIME(0),
        INT(1), TEXT("a"), TIME(0),
        INT(1), TEXT("b"), TIME(0),
    };
    struct world world;
    char *hashes[3];
    (void)state;
    begin_world(&world, some, COUNT(some));
    world.source.hash_property = "hash";
    open_world(&world);
    for (size_t i = 0; i < 3; i++)
        hashes[i] = hash_of(&world, i);
    assert_int_equal(strlen(hashes[0]), 40);
    assert_string_equal(hashes[0], hashes[1]);
    assert_string_not_equal(hashes[0], hashes[2]);
    const char *same[] = {hashes[0], hashes[1], hashes[2]};
    check_property(&world, "hash", same, 3);
    close_world(&world);
    for (size_t i = 0; i < 3; i++)
        free(hashes[i]);
}

/* full reads without order */

static const struct value unordered[] = {
    INT(1), TEXT("a"), TIME(1000000),
    INT(3), TEXT("b"), TIME(3000000),
    INT(7), TEXT("c"), TIME(3000000),
    INT(5), TEXT("d"), NOTHING,
    INT(2), TEXT("e"), TIME(2000000),
};

static void without_order_only_the_last_token_is_not_the_lowest(void **state)
{
    static const char *const want[] = {"!", "!", "!", "!",
                                       "1970-01-01T00:00:03.000000Z!00000000000000000007"};
    struct world world;
    (void)state;
    begin_world(&world, unordered, COUNT(unordered));
    world.columns[CHANGED].nullable = true;
    world.source.is_chronological_full = false;
    open_world(&world);
    check_property(&world, "_updated", want, 5);
    assert_int_equal(world.script.plan.order, ORDER_NONE);
    assert_int_equal(world.script.plan.range_count, 0);
    close_world(&world);
}

static void without_order_and_updated_values_all_tokens_are_the_lowest(void **state)
{
    static const struct value some[] = {INT(1), TEXT("a"), NOTHING, INT(2), TEXT("b"), NOTHING};
    static const char *const want[] = {"!", "!"};
    struct world world;
    (void)state;
    begin_world(&world, some, COUNT(some));
    world.source.is_chronological_full = false;
    open_world(&world);
    check_property(&world, "_updated", want, 2);
    world.script.row_count = 0;
    check_pull(&world, NULL, NULL, "[]");
    close_world(&world);
}

static void an_unordered_read_that_breaks_has_only_the_lowest_token(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, unordered, COUNT(unordered));
    world.source.is_chronological_full = false;
    open_world(&world);
    char *whole = pulled(&world, NULL, NULL, 65536);
    world.script.row_error = ERR_AWAY;
    for (world.script.row_fails = 1; world.script.row_fails <= 5; world.script.row_fails++)
        for (size_t size = 1; size < 700; size += 3) {
            struct pull *pull;
            struct err err = {0};
            struct buf got = {0};
            assert_int_equal(open_pull(&world, &pull, NULL, NULL, NULL, &err), 0);
            assert_int_equal(read_pull(pull, size, &got, &err), -1);
            check_broken(&got, whole, size == 1);
            assert_null(got.len ? strstr(buf_text(&got), "Z!") : NULL);
            pull_close(pull, "it broke");
            buf_free(&got);
        }
    free(whole);
    close_world(&world);
}

static void a_page_or_a_since_is_ordered_all_the_same(void **state)
{
    struct world world;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    world.source.is_chronological_full = false;
    open_world(&world);
    check_pull(&world, NULL, "4", ALL);
    assert_int_equal(world.script.plan.order, ORDER_UPDATED);
    check_pull(&world, "!", NULL, ALL);
    assert_int_equal(world.script.plan.order, ORDER_UPDATED);
    close_world(&world);
}

/* times as texts */

static void texts_of_an_earlier_time_are_left_out_and_do_not_count(void **state)
{
    static const struct value texts[] = {
        INT(1), TEXT("a"), TEXT("2024-01-31 10:00:00Z"),
        INT(2), TEXT("b"), TEXT("2024-01-31T09:00:00Z"),
        INT(3), TEXT("c"), TEXT("2024-01-31T10:00:00.5Z"),
        INT(4), TEXT("d"), TEXT("2024-01-31T11:30:00+02:00"),
        INT(5), TEXT("e"), TEXT("no time at all"),
        INT(6), TEXT("f"), TEXT("2024-02-01"),
    };
    static const char *const wants[][4] = {
        {0}, {"1"}, {"1", "3"}, {"1", "3", "5"}, {"1", "3", "5", "6"}, {"1", "3", "5", "6"}};
    struct world world;
    (void)state;
    begin_world(&world, texts, COUNT(texts));
    world.columns[CHANGED] =
        (struct column){.name = "changed", .type = "text", .kind = KIND_TEXT, .position = POSITION_TEXT};
    open_world(&world);
    for (size_t limit = 0; limit < 6; limit++)
        for (size_t size = 1; size < 700; size += 11) {
            char number[2] = {(char)('0' + limit), 0};
            char *got = pulled(&world, "2024-01-31T10:00:00Z", number, size);
            json_t *entities = json_loads(got, 0, NULL);
            assert_int_equal(json_array_size(entities), limit < 4 ? limit : 4);
            for (size_t i = 0; i < json_array_size(entities); i++)
                assert_string_equal(json_string_value(json_object_get(json_array_get(entities, i), "_id")),
                                    wants[limit][i]);
            json_decref(entities);
            free(got);
        }
    assert_true(world.script.plan.limit == UINT64_MAX);
    close_world(&world);
}

/* counts */

static void pulls_are_counted(void **state)
{
    struct world world;
    struct source_counts counts;
    (void)state;
    begin_world(&world, rows, COUNT(rows));
    open_world(&world);
    free(pulled(&world, NULL, NULL, 100));
    check_refused(&world, "yesterday", NULL, ERR_INPUT, "since");
    source_counts(world.sources[0], &counts);
    assert_int_equal(counts.pulls, 2);
    assert_int_equal(counts.failures, 1);
    assert_int_equal(counts.entities, 4);
    assert_int_equal(counts.bytes, sizeof ALL - 1);
    assert_true(counts.last > 0);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_every_size_give_the_same_bytes),
        cmocka_unit_test(a_source_without_rows_is_an_empty_array),
        cmocka_unit_test(a_limit_is_asked_of_the_database),
        cmocka_unit_test(a_limit_of_nothing_reads_nothing),
        cmocka_unit_test(a_stream_that_breaks_is_never_a_whole_array),
        cmocka_unit_test(a_failure_before_the_first_row_is_told_by_open),
        cmocka_unit_test(a_key_with_null_breaks_the_stream),
        cmocka_unit_test(a_client_that_went_away_is_not_the_databases_fault),
        cmocka_unit_test(a_finished_read_gives_its_connection_back),
        cmocka_unit_test(a_pull_that_is_closed_or_stopped_early_gives_it_back_too),
        cmocka_unit_test(a_connection_that_is_no_good_after_a_read_is_closed),
        cmocka_unit_test(an_idle_connection_that_broke_is_tried_again_on_another),
        cmocka_unit_test(a_fresh_connection_that_broke_is_not_tried_again),
        cmocka_unit_test(a_broken_describe_on_an_idle_connection_is_tried_again),
        cmocka_unit_test(a_full_read_describes_anew_and_a_since_does_not),
        cmocka_unit_test(an_old_description_is_made_once_more_when_the_table_changed),
        cmocka_unit_test(a_column_that_came_is_in_the_next_full_read),
        cmocka_unit_test(each_since_reads_its_part_of_the_stream),
        cmocka_unit_test(without_an_updated_column_rows_come_by_key_and_since_is_refused),
        cmocka_unit_test(an_updated_query_is_read_once_there_is_a_value_to_bind),
        cmocka_unit_test(a_bad_request_is_told_before_anything_is_read),
        cmocka_unit_test(columns_are_chosen_and_renamed),
        cmocka_unit_test(a_name_of_sesams_own_is_refused),
        cmocka_unit_test(a_table_without_a_key_or_its_updated_column_is_refused),
        cmocka_unit_test(nulls_come_where_they_are_kept),
        cmocka_unit_test(a_compound_key_is_in_id_and_token),
        cmocka_unit_test(deleted_rows_come_as_deleted),
        cmocka_unit_test(plain_tokens_are_the_bare_value),
        cmocka_unit_test(a_hash_is_the_same_for_the_same_properties_only),
        cmocka_unit_test(without_order_only_the_last_token_is_not_the_lowest),
        cmocka_unit_test(without_order_and_updated_values_all_tokens_are_the_lowest),
        cmocka_unit_test(an_unordered_read_that_breaks_has_only_the_lowest_token),
        cmocka_unit_test(a_page_or_a_since_is_ordered_all_the_same),
        cmocka_unit_test(texts_of_an_earlier_time_are_left_out_and_do_not_count),
        cmocka_unit_test(pulls_are_counted),
    };
    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
