/* The stream of a source under writers, against a model of a database: transactions that take the time when they
 * begin and commit whenever they like, readers that follow their tokens and are cut off anywhere. What the readers
 * hold in the end must be what the table holds. */
/* clang-format off: cmocka wants its includes first and in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "pull/pull.h"

enum { IDS = 24, OPEN = 4, STEPS = 120, VERSIONS = STEPS + 1, SCHEDULES = 1500 };
enum { ID, VERSION, CHANGED, COLUMNS };

/* 2024-01-01T00:00:00Z */
#define BEGINNING INT64_C(1704067200000000)

static uint64_t random_state;

static unsigned draw(unsigned below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state % below);
}

/* the database */

struct row_state {
    unsigned version; /* 0: there is no row */
    int64_t changed;
};

struct transaction {
    bool open;
    int64_t began, told; /* told: when the server begins to tell of it, if it tells of others */
    bool writes[IDS];
};

struct model {
    struct config_system system; /* first: it is how the driver finds the model */
    struct relation relation;
    struct column columns[COLUMNS];
    size_t key[1];
    struct row_state rows[IDS];
    struct transaction transactions[OPEN];
    int64_t now, unit; /* unit: of the column's resolution */
    int64_t margin;    /* how late the server may be in telling of a transaction */
    bool shy;          /* it is */
    bool forgetful;    /* at times the server tells nothing */
    bool busy;         /* somebody writes between the question for the horizon and the snapshot */
};

static void write_something(struct model *model);

struct conn {
    struct model *model;
    const struct plan *plan;
    struct value found[IDS][COLUMNS], row[COLUMNS];
    size_t count, at;
};

static int model_open(struct conn **conn, const struct config_system *system, struct err *err)
{
    *conn = calloc(1, sizeof **conn);
    if (!*conn)
        return err_memory(err);
    (*conn)->model = (struct model *)system;
    return 0;
}

static void model_close(struct conn *conn)
{
    free(conn);
}

static bool model_alive(struct conn *conn)
{
    return conn != NULL;
}

static void model_cancel(struct conn *conn)
{
    (void)conn;
}

static int model_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                          struct relation **relation, struct err *err)
{
    (void)subject;
    *relation = arena_alloc(arena, sizeof **relation);
    if (!*relation)
        return err_memory(err);
    **relation = conn->model->relation;
    return 0;
}

static int compare_rows(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    int order = value_compare(&x[CHANGED], &y[CHANGED]);
    return order ? order : value_compare(&x[ID], &y[ID]);
}

static bool is_behind(const struct value *row, const struct position *after)
{
    int order = value_compare(&row[CHANGED], after->updated);
    return order > 0 || (order == 0 && (!after->key || value_compare(&row[ID], &after->key[0]) > 0));
}

static int compare_keys(const void *a, const void *b)
{
    const struct value *x = a, *y = b;
    return value_compare(&x[ID], &y[ID]);
}

static bool is_in(const struct value *row, const struct range *range)
{
    return !range->nulls && (!range->after || is_behind(row, range->after)) &&
           (!range->before || value_compare(&row[CHANGED], range->before) < 0) &&
           (!range->beyond || value_compare(&row[ID], &range->beyond[0]) > 0);
}

static void find_range(struct conn *conn, const struct range *range)
{
    size_t begin = conn->count;
    for (size_t id = 0; id < IDS; id++) {
        struct value row[COLUMNS] = {value_integer(KIND_INT, (int64_t)id),
                                     value_integer(KIND_INT, conn->model->rows[id].version),
                                     value_integer(KIND_DATETIME, conn->model->rows[id].changed)};
        if (conn->model->rows[id].version && (!range || is_in(row, range)))
            memcpy(conn->found[conn->count++], row, sizeof row);
    }
    qsort(conn->found + begin, conn->count - begin, sizeof *conn->found,
          range && range->by_key ? compare_keys : compare_rows);
}

static int model_read_open(struct conn *conn, const struct plan *plan, struct err *err)
{
    (void)err;
    for (unsigned i = conn->model->busy ? draw(4) : 0; i; i--) {
        conn->model->now += draw(2);
        write_something(conn->model);
    }
    conn->plan = plan;
    conn->count = conn->at = 0;
    for (size_t i = 0; i < plan->range_count; i++)
        find_range(conn, &plan->ranges[i]);
    if (!plan->range_count)
        find_range(conn, NULL);
    return 0;
}

static int model_read_next(struct conn *conn, const struct value **row, struct err *err)
{
    (void)err;
    if (conn->at == conn->count || conn->at == conn->plan->limit)
        return 0;
    for (size_t i = 0; i < conn->plan->column_count; i++)
        conn->row[i] = conn->found[conn->at][conn->plan->columns[i]];
    conn->at++;
    *row = conn->row;
    return 1;
}

static int model_read_close(struct conn *conn)
{
    conn->plan = NULL;
    return 0;
}

/* A server may be late in telling of one while it tells of others. */
static bool is_told(const struct model *model, const struct transaction *transaction)
{
    return transaction->open && transaction->told <= model->now;
}

static int model_horizon(struct conn *conn, struct sampler *sampler, const struct horizon_question *question,
                         struct horizon *horizon, struct err *err)
{
    const struct model *model = conn->model;
    (void)sampler;
    (void)question;
    (void)err;
    *horizon = (struct horizon){.known = !model->forgetful || draw(8), .time = model->now, .clock = model->now};
    bool any = false;
    for (size_t i = 0; i < OPEN; i++)
        any = any || is_told(model, &model->transactions[i]);
    for (size_t i = 0; i < OPEN; i++) {
        const struct transaction *transaction = &model->transactions[i];
        if ((any ? is_told(model, transaction) : transaction->open) && transaction->began <= horizon->time) {
            horizon->time = transaction->began;
            horizon->waits = true;
        }
    }
    return 0;
}

static const struct driver model_driver = {
    .type = "model",
    .open = model_open,
    .close = model_close,
    .alive = model_alive,
    .cancel = model_cancel,
    .describe = model_describe,
    .horizon = model_horizon,
    .read_open = model_read_open,
    .read_next = model_read_next,
    .read_close = model_read_close,
};

/* writers */

static bool is_taken(const struct model *model, unsigned id)
{
    for (size_t i = 0; i < OPEN; i++)
        if (model->transactions[i].open && model->transactions[i].writes[id])
            return true;
    return false;
}

static void commit(struct model *model, struct transaction *transaction)
{
    for (size_t id = 0; id < IDS; id++)
        if (transaction->writes[id]) {
            model->rows[id].version++;
            model->rows[id].changed = transaction->began / model->unit * model->unit;
        }
    *transaction = (struct transaction){.open = false};
}

static void write_something(struct model *model)
{
    struct transaction *transaction = &model->transactions[draw(OPEN)];
    unsigned id = draw(IDS);
    if (!transaction->open) {
        *transaction = (struct transaction){.open = true, .began = model->now};
        transaction->told = model->now + (model->shy ? draw((unsigned)model->margin + 1) : 0);
    } else if (draw(3) == 0) {
        if (draw(5))
            commit(model, transaction);
        else
            *transaction = (struct transaction){.open = false};
        return;
    }
    if (!is_taken(model, id))
        transaction->writes[id] = true;
}

/* readers */

struct reader {
    const char *limit;      /* or NULL */
    bool cut, plain, unordered;
    double margin;          /* seconds */
    struct config_source source;
    struct config config;
    struct db db;
    struct source **sources;
    char token[256];        /* "" before the first */
    unsigned versions[IDS]; /* what it holds */
    unsigned times[IDS][VERSIONS]; /* how often each version came */
};

static void open_reader(struct reader *reader, struct model *model, enum config_late_mode mode)
{
    struct err err = {0};
    reader->source = (struct config_source){.name = "rows",
                                            .table = "rows",
                                            .system = &model->system,
                                            .updated_column = "changed",
                                            .is_chronological_full = !reader->unordered,
                                            .token_plain = reader->plain,
                                            .late_commits = {.mode = mode, .seconds = reader->margin},
                                            .fetch_size = 100};
    reader->config = (struct config){
        .systems = &model->system, .system_count = 1, .sources = &reader->source, .source_count = 1};
    reader->db = (struct db){.system = &model->system, .driver = &model_driver};
    reader->db.pool = pool_new(&model_driver, &model->system);
    assert_non_null(reader->db.pool);
    if (source_open_all(&reader->sources, &reader->config, &reader->db, &err))
        fail_msg("%s", err.text);
}

static void close_reader(struct reader *reader)
{
    source_close_all(reader->sources, 1);
    pool_free(reader->db.pool);
}

static json_t *pull(struct reader *reader)
{
    struct pull_parameter parameters[2];
    struct pull_request request = {.parameters = parameters};
    struct pull *pull = NULL;
    struct err err = {0};
    static char block[65536];
    size_t len = 0;
    if (reader->token[0])
        parameters[request.count++] = (struct pull_parameter){"since", reader->token};
    if (reader->limit)
        parameters[request.count++] = (struct pull_parameter){"limit", reader->limit};
    if (pull_open(&pull, reader->sources[0], &request, &err))
        fail_msg("since %s: %s", reader->token, err.text);
    for (ssize_t got; (got = pull_read(pull, block + len, sizeof block - len, &err)) != 0; len += (size_t)got)
        if (got < 0)
            fail_msg("%s", err.text);
    pull_close(pull, NULL);
    json_t *entities = json_loadb(block, len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(entities);
    return entities;
}

static void take_entity(struct reader *reader, const json_t *entity)
{
    unsigned id = (unsigned)atoi(json_string_value(json_object_get(entity, "_id")));
    unsigned version = (unsigned)json_integer_value(json_object_get(entity, "version"));
    const char *token = json_string_value(json_object_get(entity, "_updated"));
    bool lower = reader->plain ? false : strcmp(token, reader->token) <= 0;
    assert_true(id < IDS && version < VERSIONS);
    if (lower && !reader->unordered)
        fail_msg("the token %s comes behind %s", token, reader->token);
    if (reader->plain && strcmp(token, reader->token) < 0)
        fail_msg("the token %s comes behind %s", token, reader->token);
    snprintf(reader->token, sizeof reader->token, "%s", token);
    reader->versions[id] = version;
    reader->times[id][version]++;
}

/* Returns how many entities came. */
static size_t poll(struct reader *reader, bool may_cut)
{
    json_t *entities = pull(reader);
    size_t count = json_array_size(entities), taken = count;
    if (may_cut && reader->cut && draw(2))
        taken = draw((unsigned)count + 1);
    for (size_t i = 0; i < taken; i++)
        take_entity(reader, json_array_get(entities, i));
    json_decref(entities);
    return count;
}

/* Polls until nothing comes that was not there before, however long that takes. */
static void poll_to_the_end(struct reader *reader)
{
    for (unsigned round = 0; round < 3; round++)
        for (unsigned page = 0; poll(reader, false) && reader->limit; page++)
            if (page == 1000)
                fail_msg("a thousand pages, and no end");
}

/* schedules */

static void make_model(struct model *model, bool forgetful)
{
    static const struct column columns[COLUMNS] = {
        [ID] = {.name = "id", .type = "integer", .kind = KIND_INT, .position = POSITION_INTEGER, .bytewise = true},
        [VERSION] = {.name = "version", .type = "integer", .kind = KIND_INT, .position = POSITION_INTEGER},
        [CHANGED] = {.name = "changed", .type = "timestamp", .kind = KIND_DATETIME, .position = POSITION_DATETIME,
                     .digits = 6},
    };
    *model = (struct model){.system = {.name = "test", .timezone = "UTC", .pool_size = 2, .pool_timeout = 600,
                                       .pool_recycle = 3600},
                            .now = BEGINNING, .unit = 1, .forgetful = forgetful};
    memcpy(model->columns, columns, sizeof columns);
    if (draw(2)) {
        model->unit = 10;
        model->columns[CHANGED].digits = 5;
    }
    model->relation = (struct relation){.columns = model->columns, .column_count = COLUMNS, .key = model->key,
                                        .key_count = 1, .key_unique = true, .from = "rows", .title = "rows"};
}

static const struct reader kinds[] = {
    {.limit = NULL},
    {.limit = "1"},
    {.limit = "3"},
    {.cut = true},
    {.limit = "5", .cut = true},
    {.unordered = true},
    {.plain = true},
    {.plain = true, .cut = true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static unsigned count_stale(const struct model *model, const struct reader *reader)
{
    unsigned stale = 0;
    for (size_t id = 0; id < IDS; id++)
        stale += reader->versions[id] != model->rows[id].version;
    return stale;
}

static void check_times(const struct reader *reader, uint64_t seed)
{
    for (size_t id = 0; id < IDS; id++)
        for (size_t version = 0; version < VERSIONS; version++)
            if (reader->times[id][version] > 2)
                fail_msg("seed %llu: version %zu of row %zu came %u times", (unsigned long long)seed, version, id,
                         reader->times[id][version]);
}

/* Runs a schedule and returns how many rows each kind of reader holds other than the table does. */
static void run_schedule(uint64_t seed, enum config_late_mode mode, bool forgetful, unsigned stale[KINDS])
{
    static struct reader readers[KINDS];
    struct model model;
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    make_model(&model, forgetful);
    for (size_t i = 0; i < KINDS; i++) {
        readers[i] = kinds[i];
        open_reader(&readers[i], &model, mode);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        model.now += draw(3) ? draw(4) : 0;
        write_something(&model);
        if (draw(2))
            poll(&readers[draw(KINDS)], true);
    }
    for (size_t i = 0; i < OPEN; i++)
        if (model.transactions[i].open)
            commit(&model, &model.transactions[i]);
    model.now += 100;
    model.forgetful = false;
    for (size_t i = 0; i < KINDS; i++) {
        poll_to_the_end(&readers[i]);
        stale[i] = count_stale(&model, &readers[i]);
        if (mode == LATE_AUTO && !forgetful && !readers[i].cut && !readers[i].plain && !readers[i].unordered)
            check_times(&readers[i], seed);
        close_reader(&readers[i]);
    }
}

static void check_schedules(bool forgetful)
{
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        unsigned stale[KINDS];
        run_schedule(seed, LATE_AUTO, forgetful, stale);
        for (size_t i = 0; i < KINDS; i++)
            if (stale[i])
                fail_msg("seed %llu: the reader of kind %zu lost %u rows", (unsigned long long)seed, i, stale[i]);
    }
}

static void no_reader_loses_a_row_and_none_comes_a_third_time(void **state)
{
    (void)state;
    check_schedules(false);
}

static void server_that_tells_nothing_at_times_loses_none(void **state)
{
    (void)state;
    check_schedules(true);
}

/* The model can bite. */
static void every_reader_loses_rows_without_a_horizon(void **state)
{
    unsigned lost[KINDS] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES / 10; seed++) {
        unsigned stale[KINDS];
        run_schedule(seed, LATE_IGNORE, false, stale);
        for (size_t i = 0; i < KINDS; i++)
            lost[i] += stale[i];
    }
    for (size_t i = 0; i < KINDS; i++)
        assert_true(lost[i] > 0);
}

/* full runs in pages */

static const char *const limits[] = {"2", "3", "7", "12"};
enum { RUNNERS = sizeof limits / sizeof *limits };

/* Reads full runs one after the other, each followed by some polls. */
struct runner {
    struct reader reader;
    uint64_t seed;      /* of its schedule */
    const char *from;   /* "": full runs; else where each begins */
    bool running;
    bool there[IDS], came[IDS]; /* in the present run: before it began, and in its pages */
    unsigned runs, missing;     /* runs that came to their end, and rows that were in none of a run's pages */
    char position[48];          /* of the last entity */
    unsigned disorder;          /* entities that came behind one of a higher position */
};

/* The horizon of a server that is late in telling can go back, and what was final comes again. */
static void check_copies(const struct runner *runner, const struct model *model)
{
    if (!model->shy)
        check_times(&runner->reader, runner->seed);
}

static void begin_run(struct runner *runner, const struct model *model)
{
    check_copies(runner, model);
    snprintf(runner->reader.token, sizeof runner->reader.token, "%s", runner->from);
    memset(runner->reader.times, 0, sizeof runner->reader.times);
    runner->running = true;
    for (size_t id = 0; id < IDS; id++) {
        runner->there[id] = model->rows[id].version > 0;
        runner->came[id] = false;
    }
}

static void end_run(struct runner *runner)
{
    runner->running = false;
    runner->runs++;
    for (size_t id = 0; id < IDS; id++)
        runner->missing += runner->there[id] && !runner->came[id];
}

static void read_page(struct runner *runner)
{
    json_t *entities = pull(&runner->reader);
    for (size_t i = 0; i < json_array_size(entities); i++) {
        const json_t *entity = json_array_get(entities, i);
        char position[sizeof runner->position];
        int id = atoi(json_string_value(json_object_get(entity, "_id")));
        take_entity(&runner->reader, entity);
        runner->came[id] = true;
        snprintf(position, sizeof position, "%s %02d", json_string_value(json_object_get(entity, "changed")), id);
        runner->disorder += strcmp(position, runner->position) <= 0;
        memcpy(runner->position, position, sizeof position);
    }
    if (runner->running && json_array_size(entities) < (size_t)atoi(runner->reader.limit))
        end_run(runner);
    json_decref(entities);
}

static void open_runner(struct runner *runner, struct model *model, size_t kind, const char *from, uint64_t seed)
{
    *runner = (struct runner){
        .reader = {.limit = limits[kind], .margin = (double)model->margin / 1e6}, .from = from, .seed = seed};
    open_reader(&runner->reader, model, LATE_AUTO);
    begin_run(runner, model);
}

/* On a calm server a transaction is over at the next step or the one after. Where a writer comes at each step, hardly ever
 * nobody is at work. */
static void step(struct model *model, bool calm)
{
    model->now += draw(3) ? draw(4) : 0;
    if (!calm || draw(2) == 0)
        write_something(model);
    for (size_t i = 0; calm && i < OPEN; i++)
        if (model->transactions[i].open && draw(2))
            commit(model, &model->transactions[i]);
}

static void close_runner(struct runner *runner, const struct model *model)
{
    poll_to_the_end(&runner->reader);
    check_copies(runner, model);
    if (!*runner->from && count_stale(model, &runner->reader))
        fail_msg("seed %llu: the reader of pages of %s lost rows", (unsigned long long)runner->seed,
                 runner->reader.limit);
    close_reader(&runner->reader);
}

/* Returns the rows that no page of a run had. */
static unsigned run_pages(uint64_t seed, const char *from, unsigned *runs)
{
    static struct runner runners[RUNNERS];
    struct model model;
    unsigned missing = 0;
    random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    make_model(&model, false);
    model.busy = draw(2);
    bool calm = draw(2);
    model.margin = draw(3) ? draw(20) : 0;
    model.shy = draw(2);
    for (size_t id = 0; id < IDS; id++)
        model.rows[id] = (struct row_state){.version = draw(4) > 0, .changed = BEGINNING - draw(100)};
    for (size_t i = 0; i < RUNNERS; i++)
        open_runner(&runners[i], &model, i, from, seed);
    for (unsigned i = 0; i < STEPS; i++) {
        calm = draw(12) ? calm : !calm;
        step(&model, calm);
        for (struct runner *runner = runners; runner < runners + RUNNERS; runner++) {
            if (!runner->running && draw(4) == 0)
                begin_run(runner, &model);
            if (draw(2))
                read_page(runner);
        }
    }
    for (size_t i = 0; i < OPEN; i++)
        if (model.transactions[i].open)
            commit(&model, &model.transactions[i]);
    model.now += 100;
    model.busy = false;
    for (size_t i = 0; i < RUNNERS; i++) {
        missing += runners[i].missing;
        *runs += runners[i].runs;
        close_runner(&runners[i], &model);
    }
    return missing;
}

static void pages_of_a_full_run_hold_every_row(void **state)
{
    unsigned runs = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES; seed++) {
        unsigned missing = run_pages(seed, "", &runs);
        if (missing)
            fail_msg("seed %llu: %u rows were in no page", (unsigned long long)seed, missing);
    }
    assert_true(runs > SCHEDULES);
}

/* The model can bite: a poll goes in the order of positions. */
static void pages_of_a_poll_miss_rows(void **state)
{
    unsigned missing = 0, runs = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= SCHEDULES / 3; seed++)
        missing += run_pages(seed, "2023-01-01T00:00:00.000000Z!!2023-01-01T00:00:00.000000Z!00000000000000000000!", &runs);
    assert_true(runs > 0 && missing > 0);
}

/* Rows that were just written are within the margin, but nobody is at work any more. */
static void fresh_rows_of_a_calm_server_come_once_in_their_order(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < RUNNERS; kind++) {
        static struct runner runner;
        struct model model;
        random_state = kind + 1;
        make_model(&model, false);
        model.now += 1000;
        model.margin = 500;
        for (size_t id = 0; id < IDS; id++)
            model.rows[id] = (struct row_state){.version = 1, .changed = (model.now - 1 - draw(1000)) / model.unit * model.unit};
        open_runner(&runner, &model, kind, "", 0);
        while (runner.running)
            read_page(&runner);
        assert_int_equal(runner.missing, 0);
        assert_int_equal(runner.disorder, 0);
        for (size_t id = 0; id < IDS; id++)
            assert_int_equal(runner.reader.times[id][1], 1);
        close_reader(&runner.reader);
    }
}

/* Rows of one time after the other, all within the margin. */
static void make_fresh_rows(struct model *model)
{
    make_model(model, false);
    model->unit = 1;
    model->margin = 500;
    model->now += 1000;
    for (size_t id = 0; id < IDS; id++)
        model->rows[id] = (struct row_state){.version = 1, .changed = ++model->now};
    model->now++;
}

static struct transaction *begin_transaction(struct model *model, int64_t told)
{
    struct transaction *transaction = model->transactions;
    while (transaction->open)
        transaction++;
    *transaction = (struct transaction){.open = true, .began = model->now++, .told = told};
    return transaction;
}

/* Reads the rest of a run beside which a transaction commits a row that was not read yet. */
static void check_put_back(struct runner *runner, struct model *model, struct transaction *transaction)
{
    transaction->writes[IDS - 2] = true;
    assert_false(runner->came[IDS - 2]);
    commit(model, transaction);
    while (runner->running)
        read_page(runner);
    assert_int_equal(runner->missing, 0);
    close_reader(&runner->reader);
}

static void row_put_back_behind_a_page_that_began_calm_is_in_another(void **state)
{
    static struct runner runner;
    struct model model;
    (void)state;
    make_fresh_rows(&model);
    open_runner(&runner, &model, 2, "", 0);
    read_page(&runner);
    begin_transaction(&model, 0);
    struct transaction *late = begin_transaction(&model, 0);
    for (size_t id = 0; id < IDS; id++)
        if (!runner.came[id])
            model.rows[id] = (struct row_state){.version = 2, .changed = ++model.now};
    read_page(&runner);
    check_put_back(&runner, &model, late);
}

static void row_put_back_by_a_transaction_that_is_told_of_late_is_in_a_page(void **state)
{
    static struct runner runner;
    struct model model;
    (void)state;
    make_fresh_rows(&model);
    struct transaction *late = begin_transaction(&model, INT64_MAX);
    late->began = model.rows[0].changed - 1;
    begin_transaction(&model, 0);
    open_runner(&runner, &model, 2, "", 0);
    read_page(&runner);
    check_put_back(&runner, &model, late);
}

/* The token of a run's last page is no scan's any more, or else new rows of high keys would keep all others back. */
static void change_of_a_low_key_comes_while_high_keys_come_all_the_time(void **state)
{
    static struct runner runner;
    struct model model;
    (void)state;
    random_state = 1;
    make_model(&model, false);
    model.transactions[0] = (struct transaction){.open = true, .began = model.now};
    for (size_t id = 0; id + 1 < IDS; id++)
        model.rows[id] = (struct row_state){.version = 1, .changed = model.now += model.unit};
    open_runner(&runner, &model, 2, "", 0);
    while (runner.running)
        read_page(&runner);
    assert_true(strchr(runner.reader.token, '\0')[-1] == '!');
    model.rows[0] = (struct row_state){.version = 2, .changed = model.now += model.unit};
    for (unsigned version = 1; version < 4; version++) {
        model.rows[IDS - 1] = (struct row_state){.version = version, .changed = model.now += model.unit};
        read_page(&runner);
        assert_int_equal(runner.reader.versions[IDS - 1], version);
    }
    assert_int_equal(runner.reader.versions[0], 2);
    close_reader(&runner.reader);
}

int main(void)
{
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_reader_loses_a_row_and_none_comes_a_third_time),
        cmocka_unit_test(server_that_tells_nothing_at_times_loses_none),
        cmocka_unit_test(every_reader_loses_rows_without_a_horizon),
        cmocka_unit_test(pages_of_a_full_run_hold_every_row),
        cmocka_unit_test(pages_of_a_poll_miss_rows),
        cmocka_unit_test(fresh_rows_of_a_calm_server_come_once_in_their_order),
        cmocka_unit_test(row_put_back_behind_a_page_that_began_calm_is_in_another),
        cmocka_unit_test(row_put_back_by_a_transaction_that_is_told_of_late_is_in_a_page),
        cmocka_unit_test(change_of_a_low_key_comes_while_high_keys_come_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
