/* The contract's tests of full syncs: the state in the database, and what is left over. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db_writing.h"

static void drop_state(void)
{
    sql("drop table if exists sesam_sql_request");
    sql("drop table if exists sesam_sql_retired");
    sql("drop table if exists sesam_sql_sync");
}

static void prepare(struct session *session, const struct target *target)
{
    if (contract->driver->sync_prepare(session->conn, target, &session->err))
        fail_msg("sync_prepare: %s (%s)", session->err.text, session->err.hint);
}

/* A table with the rows 1 .. 9, of which those above 6 are another tenant's, and fresh state. */
static struct target *make_world(struct session *session)
{
    sql_table(
        "sync",
        "id {integer} not null primary key, name {text}, tenant {text}, gone {text}, left_at {datetime}");
    sql("insert into contract_sync (id, name, tenant) select n, 'x', case when n > 6 then 'theirs' else "
        "'ours' end"
        " from contract_numbers where n between 1 and 9");
    drop_state();
    struct target *target = target_of(session, "contract_sync", "id name");
    prepare(session, target);
    return target;
}

static void expect_well(const struct session *session, const char *what, int failed)
{
    if (failed)
        fail_msg("%s: %s (%s)", what, session->err.text, session->err.hint);
}

static struct sync_state lock_state(struct session *session, const struct target *target, bool exclusive)
{
    struct sync_state state = {0};
    expect_well(
        session, "sync_lock",
        contract->driver->sync_lock(session->conn, target, exclusive, &state, session->arena, &session->err));
    return state;
}

/* The state as anybody sees it who comes now. */
static struct sync_state state_of(struct session *session, const struct target *target)
{
    begin(session);
    struct sync_state state = lock_state(session, target, false);
    rollback(session);
    return state;
}

static void begin_sequence(struct session *session, const struct target *target, const char *sequence)
{
    expect_well(session, "sync_begin",
                contract->driver->sync_begin(session->conn, target, sequence, &session->err));
}

static void end_sequence(struct session *session, const struct target *target, const char *sequence)
{
    expect_well(session, "sync_end",
                contract->driver->sync_end(session->conn, target, sequence, &session->err));
}

/* The list of the keys of a batch. */
static const char *seen_of(struct session *session, const struct target *target, const struct batch *batch)
{
    struct buf list = {0};
    buf_putc(&list, '[');
    for (size_t i = 0; i < batch->count; i++)
        expect_well(session, "seen", contract->driver->seen(target, batch->rows[i], &list, &session->err));
    buf_putc(&list, ']');
    const char *text = arena_strdup(session->arena, buf_text(&list));
    buf_free(&list);
    return text;
}

static const char *seen_ids(struct session *session, const struct target *target, const char *rows)
{
    struct batch batch = batch_of(session, target, rows);
    return seen_of(session, target, &batch);
}

/* A request of the open sequence; request NULL is an incremental one. */
static void add(struct session *session, const struct target *target, const char *request, const char *seen)
{
    struct sync_state state = lock_state(session, target, request != NULL);
    struct receipt receipt = {.request_id = request, .digest = "0a1b", .answer = "{\"inserted\":1}"};
    expect_well(session, "sync_add",
                contract->driver->sync_add(session->conn, target, &state, seen, strlen(seen),
                                           request ? &receipt : NULL, &session->err));
}

static bool is_over(struct session *session, const struct target *target, const char *sequence)
{
    bool over = false;
    begin(session);
    expect_well(session, "sync_is_over",
                contract->driver->sync_is_over(session->conn, target, sequence, &over, &session->err));
    rollback(session);
    return over;
}

static struct receipt receipt_of(struct session *session, const struct target *target, const char *sequence,
                                 const char *request)
{
    struct receipt receipt = {0};
    begin(session);
    expect_well(session, "sync_receipt",
                contract->driver->sync_receipt(session->conn, target, sequence, request, &receipt,
                                               session->arena, &session->err));
    rollback(session);
    return receipt;
}

/* state */

static void there_is_no_state_before_the_tables(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    drop_state();
    assert_false(state_of(session, target).exists);
    begin(session); /* and what else the transaction does goes well */
    lock_state(session, target, false);
    struct batch batch = batch_of(session, target, "77|x");
    insert(session, target, &batch);
    commit(session);
    assert_int_equal(table_count(session, target), 10);
}

static void tables_are_made_once(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    prepare(session, target);
    prepare(session_other(session), target);
    assert_false(state_of(session, target).open);
    begin(session);
    begin_sequence(session, target, "first");
    commit(session);
    prepare(session, target); /* what stands there stays */
    assert_true(state_of(session, target).open);
}

static void state_tells_the_open_sequence(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    begin(session);
    begin_sequence(session, target, "s\xc3\xa6kvens 'one'");
    add(session, target, "request:0", seen_ids(session, target, "1|x 2|x 3|x"));
    commit(session);
    struct sync_state known = state_of(session_other(session), target);
    assert_true(known.exists && known.open);
    assert_string_equal(known.sequence_id, "s\xc3\xa6kvens 'one'");
    assert_string_equal(known.request_id, "request:0");
    assert_int_equal(known.requests, 1);
    assert_int_equal(known.entities, 3);
    begin(session);
    add(session, target, "request:1", "[]");
    add(session, target, NULL, seen_ids(session, target, "9|x"));
    add(session, target, "request:2", seen_ids(session, target, "4|x 1|x"));
    commit(session);
    known = state_of(session, target);
    assert_string_equal(known.request_id, "request:2");
    assert_int_equal(known.requests, 3);
    assert_int_equal(known.entities, 5); /* the incremental request's is none of the sequence */
}

static void what_is_rolled_back_leaves_the_state(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    begin(session);
    begin_sequence(session, target, "one");
    add(session, target, "a", "[]");
    commit(session);
    begin(session);
    add(session, target, "b", "[]");
    begin_sequence(session, target, "two");
    rollback(session);
    struct sync_state known = state_of(session, target);
    assert_string_equal(known.sequence_id, "one");
    assert_string_equal(known.request_id, "a");
    assert_int_equal(known.requests, 1);
    assert_false(is_over(session, target, "one"));
}

static void receipts_stay_until_the_next_sequence(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    begin(session);
    begin_sequence(session, target, "one");
    add(session, target, "a", seen_ids(session, target, "1|x"));
    add(session, target, "b", "[]");
    commit(session);
    assert_null(receipt_of(session, target, "one", "c").request_id);
    assert_null(receipt_of(session, target, "two", "a").request_id);
    begin(session);
    end_sequence(session, target, "one");
    commit(session);
    struct receipt receipt = receipt_of(session, target, "one", "a");
    assert_string_equal(receipt.request_id, "a");
    assert_string_equal(receipt.digest, "0a1b");
    assert_string_equal(receipt.answer, "{\"inserted\":1}");
    assert_string_equal(receipt_of(session, target, "one", "b").request_id, "b");
    begin(session);
    begin_sequence(session, target, "two");
    commit(session);
    assert_null(receipt_of(session, target, "one", "a").request_id);
    assert_null(receipt_of(session, target, "two", "a").request_id);
}

static void ended_and_retired_sequences_are_over(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    assert_false(is_over(session, target, "one"));
    begin(session);
    begin_sequence(session, target, "one");
    commit(session);
    assert_false(is_over(session, target, "one"));
    begin(session);
    begin_sequence(session, target, "two"); /* one is not done, and retired */
    commit(session);
    assert_true(is_over(session, target, "one"));
    assert_false(is_over(session, target, "two"));
    begin(session);
    end_sequence(session, target, "two");
    commit(session);
    assert_true(is_over(session, target, "two"));
    struct sync_state known = state_of(session, target);
    assert_true(known.exists);
    assert_false(known.open);
    assert_string_equal(known.sequence_id, "two");
    begin(session);
    begin_sequence(session, target, "three");
    commit(session);
    assert_true(is_over(session, target, "one") && is_over(session, target, "two"));
    known = state_of(session, target);
    assert_true(known.open);
    assert_null(known.request_id);
    assert_int_equal(known.requests, 0);
    assert_int_equal(known.entities, 0);
}

static void each_sink_and_table_has_a_state_of_its_own(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    sql_table("sync2", "id {integer} not null primary key, name {text}");
    struct target sink = *target, *table = target_of(session, "contract_sync2", "id name");
    sink.sink = "other";
    begin(session);
    begin_sequence(session, target, "one");
    add(session, target, "a", "[]");
    commit(session);
    assert_false(state_of(session, &sink).open);
    assert_false(state_of(session, table).open);
    begin(session);
    begin_sequence(session, &sink, "one");
    commit(session);
    begin(session);
    begin_sequence(session, &sink, "two");
    commit(session);
    assert_true(is_over(session, &sink, "one"));
    assert_false(is_over(session, target, "one"));
    assert_null(receipt_of(session, &sink, "one", "a").request_id);
    assert_string_equal(receipt_of(session, target, "one", "a").request_id, "a");
}

/* locks */

/* May the other take its lock while we hold ours? Where there is one writer, it cannot even begin. */
static bool other_gets_lock(struct session *session, const struct target *target, bool exclusive)
{
    struct session *other = session_other(session);
    struct sync_state state;
    bool had =
        contract->driver->begin(other->conn, true, 1, &other->err) == 0 &&
        contract->driver->sync_lock(other->conn, target, exclusive, &state, other->arena, &other->err) == 0;
    assert_true(had || other->err.code == ERR_BUSY || other->err.code == ERR_RACE);
    give_up(other);
    return had;
}

static void expect_locks(struct session *session, const struct target *target)
{
    begin(session);
    lock_state(session, target, true);
    assert_false(other_gets_lock(session, target, true));
    assert_false(other_gets_lock(session, target, false));
    rollback(session);
    begin(session);
    lock_state(session, target, false);
    assert_false(other_gets_lock(session, target, true));
    if (!has_feature(FEATURE_ONE_WRITER))
        assert_true(other_gets_lock(session, target, false));
    rollback(session);
    assert_true(other_gets_lock(session, target, true));
}

/* Also before the first sequence, when there is no row to lock: two replicas may both get a first request. */
static void exclusive_lock_keeps_all_others_out(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    expect_locks(session, target);
    begin(session);
    begin_sequence(session, target, "one");
    commit(session);
    expect_locks(session, target);
}

static void locks_of_other_sinks_are_no_matter(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session), sink = *target;
    sink.sink = "other";
    if (has_feature(FEATURE_ONE_WRITER))
        return;
    for (int i = 0; i < 2; i++) {
        begin(session);
        lock_state(session, target, true);
        assert_true(other_gets_lock(session, &sink, true));
        if (i == 0)
            begin_sequence(session, target, "one");
        commit(session);
    }
}

static void state_is_what_the_one_before_left(void **state)
{
    struct session *session = *state, *other = session_other(session);
    struct target *target = make_world(session);
    begin(session);
    lock_state(session, target, true);
    begin_sequence(session, target, "one");
    commit(session);
    begin(other);
    struct sync_state known = lock_state(other, target, true);
    assert_string_equal(known.sequence_id, "one");
    add(other, target, "a", "[]");
    commit(other);
    assert_string_equal(state_of(session, target).request_id, "a");
}

/* what is left over */

static uint64_t sweep_all(struct session *session, const struct sweep *sweep, uint64_t enough,
                          uint64_t *total)
{
    uint64_t rows = 0;
    *total = 0;
    expect_well(session, "sweep",
                contract->driver->sweep(session->conn, sweep, enough, &rows, total, &session->err));
    return rows;
}

/* Runs a sweep of its own transaction and commits. */
static uint64_t sweep_now(struct session *session, const struct target *target, enum sweep_kind kind,
                          const char *sequence, const char *seen)
{
    const struct sweep sweep = {.target = target, .kind = kind, .sequence_id = sequence, .seen = seen};
    uint64_t total;
    begin(session);
    uint64_t rows = sweep_all(session, &sweep, UINT64_MAX, &total);
    commit(session);
    return rows;
}

static void what_no_list_names_is_left_over(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    const char *all = seen_ids(session, target, "1|x 2|x 3|x 4|x 5|x 6|x 7|x 8|x 9|x");
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, NULL, "[]"), 9);
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, NULL, NULL), 9);
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, NULL, all), 0);
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, NULL, seen_ids(session, target, "3|x 99|x 3|x")),
                     8);
    assert_int_equal(table_count(session, target), 9);
    assert_int_equal(sweep_now(session, target, SWEEP_DELETE, NULL, seen_ids(session, target, "1|x 9|x")), 7);
    assert_string_equal(table_text(session, target), "1|x 9|x");
    assert_int_equal(sweep_now(session, target, SWEEP_DELETE, NULL, "[]"), 2);
    assert_int_equal(table_count(session, target), 0);
}

static void lists_of_a_sequence_are_taken_together(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    begin(session);
    begin_sequence(session, target, "old");
    add(session, target, "a", seen_ids(session, target, "1|x 2|x 3|x 4|x 5|x 6|x 7|x 8|x 9|x"));
    begin_sequence(session, target, "one"); /* what the old one has seen counts no more */
    add(session, target, "a", seen_ids(session, target, "2|x 4|x"));
    add(session, target, "b", "[]");
    add(session, target, NULL, seen_ids(session, target, "6|x"));
    commit(session);
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, "one", "[]"), 6);
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, "one", NULL), 6);
    assert_int_equal(sweep_now(session, target, SWEEP_DELETE, "one", seen_ids(session, target, "8|x")), 5);
    assert_string_equal(table_text(session, target), "2|x 4|x 6|x 8|x");
    begin(session);
    end_sequence(session, target, "one");
    commit(session);
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, "one", "[]"), 4); /* it is forgotten */
}

static void only_the_scope_is_swept(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    struct special scope = special_of(target, "tenant", SPECIAL_VALUE, CONFIG_STRING, "theirs");
    const struct sweep sweep = {
        .target = target, .kind = SWEEP_DELETE, .seen = seen_ids(session, target, "8|x")};
    uint64_t total;
    target->scope = &scope;
    begin(session);
    assert_int_equal(sweep_all(session, &sweep, 1, &total), 2);
    assert_int_equal(total, 3);
    commit(session);
    assert_string_equal(table_text(session, target), "1|x 2|x 3|x 4|x 5|x 6|x 8|x");
    scope.value = (struct config_value){.type = CONFIG_NULL};
    sql("update contract_sync set tenant = null where id < 3");
    assert_int_equal(sweep_now(session, target, SWEEP_DELETE, NULL, seen_ids(session, target, "2|x")), 1);
    assert_string_equal(table_text(session, target), "2|x 3|x 4|x 5|x 6|x 8|x");
}

static void total_is_asked_when_more_than_enough_are_left_over(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    struct sweep sweep = {.target = target, .seen = seen_ids(session, target, "1|x 2|x")};
    uint64_t total;
    for (int kind = SWEEP_COUNT; kind <= SWEEP_DELETE; kind++) {
        sweep.kind = (enum sweep_kind)kind;
        begin(session);
        assert_int_equal(sweep_all(session, &sweep, 6, &total), 7);
        assert_int_equal(total, 9);
        rollback(session); /* a guard said no */
    }
    assert_int_equal(table_count(session, target), 9);
}

static void what_is_left_over_is_marked_once(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    struct special mark = special_of(target, "gone", SPECIAL_VALUE, CONFIG_STRING, "yes"),
                   live = special_of(target, "gone", SPECIAL_VALUE, CONFIG_NULL, NULL);
    const struct sweep sweep = {.target = target,
                                .kind = SWEEP_MARK,
                                .seen = seen_ids(session, target, "1|x 2|x"),
                                .specials = &mark,
                                .special_count = 1,
                                .dead = &mark,
                                .live = &live};
    uint64_t total;
    sql("update contract_sync set gone = 'yes' where id = 9");
    sql("update contract_sync set gone = 'no' where id = 8");
    begin(session);
    assert_int_equal(sweep_all(session, &sweep, 5, &total), 6);
    assert_int_equal(total, 8); /* the living */
    commit(session);
    begin(session);
    assert_int_equal(sweep_all(session, &sweep, 0, &total), 0);
    commit(session);
    struct target *marks = target_of(session, "contract_sync", "id gone");
    assert_string_equal(table_text(session, marks),
                        "1|NULL 2|NULL 3|yes 4|yes 5|yes 6|yes 7|yes 8|yes 9|yes");
}

static void what_is_left_over_is_marked_with_the_time_once(void **state)
{
    struct session *session = *state;
    struct target *target = make_world(session);
    struct special mark = special_of(target, "left_at", SPECIAL_NOW, CONFIG_NULL, NULL),
                   live = special_of(target, "left_at", SPECIAL_VALUE, CONFIG_NULL, NULL);
    const struct sweep sweep = {.target = target,
                                .kind = SWEEP_MARK,
                                .seen = seen_ids(session, target, "1|x 2|x"),
                                .specials = &mark,
                                .special_count = 1,
                                .dead = &mark,
                                .live = &live};
    uint64_t total;
    sql("update contract_sync set left_at = '2020-01-02 03:04:05' where id = 9");
    struct target *marks = target_of(session, "contract_sync", "id left_at");
    struct batch batch = batch_of(session, marks, "1|NULL 3|NULL 9|NULL");
    struct rows before, after;
    begin(session);
    assert_int_equal(try_find(session, marks, &batch, FIND_LOOK, &before), 0);
    assert_int_equal(sweep_all(session, &sweep, 5, &total), 6);
    assert_int_equal(total, 8);
    assert_int_equal(sweep_all(session, &sweep, 5, &total), 0);
    assert_int_equal(try_find(session, marks, &batch, FIND_LOOK, &after), 0);
    commit(session);
    assert_int_equal(after.row[0][1].kind, KIND_NULL);
    assert_int_not_equal(after.row[1][1].kind, KIND_NULL);
    assert_int_equal(value_compare(&after.row[2][1], &before.row[2][1]), 0);
}

/* "Kari" is in the table, "KARI" came: the collation takes them for the same, so nothing is left over. */
static void seen_keys_are_compared_as_the_collation_does(void **state)
{
    struct session *session = *state;
    sql_table("seen", "a {integer} not null, name {folded} not null, primary key (a, name)");
    sql("insert into contract_seen values (1, 'Kari'), (2, 'Kari'), (2, 'o''la \"\\{},[]')");
    drop_state();
    struct target *target = target_of(session, "contract_seen", "a name");
    prepare(session, target);
    struct batch batch = batch_of(session, target, "1|KARI 2|x 3|KARI");
    if (contract->dialect.quote == '`') /* MySQL's backslash is an escape in our statement */
        sql("update contract_seen set name = 'o''la \"\\\\{},[]' where name like 'o%%'");
    batch_set(session, target, &batch, 1, 1, value_text(KIND_TEXT, "O'LA \"\\{},[]", 12));
    assert_int_equal(sweep_now(session, target, SWEEP_DELETE, NULL, seen_of(session, target, &batch)), 1);
    begin(session);
    begin_sequence(session, target, "one");
    add(session, target, "a", seen_of(session, target, &batch));
    commit(session);
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, "one", NULL), 0);
    batch.count = 1;
    assert_int_equal(sweep_now(session, target, SWEEP_COUNT, NULL, seen_of(session, target, &batch)), 1);
}

static void keys_of_all_sorts_are_seen(void **state)
{
    struct session *session = *state;
    static const char *const texts[] = {
        "", " x", "\t\n\r\x01\x7f", "\"'\\,:[]{}", "\xc3\xa6\xf0\x9f\x98\x80", "NULL", "null", "12", "\\N"};
    enum { COUNT = sizeof texts / sizeof *texts };
    sql_table("seen", "name {folded} not null primary key");
    struct target *target = target_of(session, "contract_seen", NULL);
    struct batch batch = batch_of(session, target, "1 2 3 4 5 6 7 8 9");
    assert_int_equal(batch.count, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        batch_set(session, target, &batch, i, 0, value_text(KIND_TEXT, texts[i], strlen(texts[i])));
    struct batch others = batch_of(session, target, "a b c");
    batch.count = 6; /* "null" is the same as "NULL" */
    begin(session);
    insert(session, target, &batch);
    insert(session, target, &(struct batch){batch.rows + 7, 2});
    insert(session, target, &others);
    commit(session);
    batch.count = COUNT;
    assert_int_equal(sweep_now(session, target, SWEEP_DELETE, NULL, seen_of(session, target, &batch)), 3);
    assert_int_equal(table_count(session, target), COUNT - 1);
}

static void many_lists_of_many_keys_are_swept(void **state)
{
    struct session *session = *state;
    enum { LIST = 5000, LISTS = 10 };
    struct target *target = make_world(session);
    sql_table("many", "id {integer} not null primary key, name {text}");
    sql("insert into contract_many select n, 'x' from contract_numbers");
    target = target_of(session, "contract_many", NULL);
    begin(session);
    begin_sequence(session, target, "one");
    for (int i = 0; i < LISTS; i++) {
        struct batch batch = batch_numbered(session, target, i * LIST, LIST);
        char request[16];
        snprintf(request, sizeof request, "%d", i);
        add(session, target, request, seen_of(session, target, &batch));
    }
    commit(session);
    struct sweep sweep = {.target = target, .kind = SWEEP_DELETE, .sequence_id = "one"};
    uint64_t total;
    begin(session);
    assert_int_equal(sweep_all(session, &sweep, 100, &total), 100000 - LIST * LISTS);
    assert_int_equal(total, 100000);
    commit(session);
    assert_int_equal(table_count(session, target), LIST * LISTS);
    sql("drop table contract_many");
}

/* rights */

static void missing_right_to_make_tables_is_told_with_the_statement(void **state)
{
    struct session *session = *state;
    if (!contract->dialect.limited)
        return;
    drop_state();
    sql_table("limited", "id {integer} not null primary key, name {text}");
    if (contract->dialect.grant)
        sql("%s", contract->dialect.grant);
    struct target *target = target_of(session, "contract_limited", NULL);
    struct conn *conn = NULL;
    if (contract->driver->open(&conn, contract->dialect.limited, &session->err))
        fail_msg("open as the limited role: %s", session->err.text);
    expect_error(session, contract->driver->sync_prepare(conn, target, &session->err), ERR_DATABASE);
    assert_non_null(strstr(session->err.hint, "sesam_sql_sync"));
    err_clear(&session->err);
    struct batch batch = batch_of(session, target, "1|x");
    struct write write = write_of(session, target, &batch, true);
    struct fault fault;
    struct sync_state known;
    assert_int_equal(contract->driver->begin(conn, true, 30, &session->err),
                     0); /* incremental requests go on */
    assert_int_equal(contract->driver->sync_lock(conn, target, false, &known, session->arena, &session->err),
                     0);
    assert_false(known.exists);
    assert_int_equal(contract->driver->insert(conn, &write, &fault, &session->err), 0);
    assert_int_equal(contract->driver->commit(conn, &session->err), 0);
    contract->driver->close(conn);
    assert_string_equal(table_text(session, target), "1|x");
}

const struct CMUnitTest contract_sync_tests[] = {
    cmocka_unit_test(there_is_no_state_before_the_tables),
    cmocka_unit_test(tables_are_made_once),
    cmocka_unit_test(state_tells_the_open_sequence),
    cmocka_unit_test(what_is_rolled_back_leaves_the_state),
    cmocka_unit_test(receipts_stay_until_the_next_sequence),
    cmocka_unit_test(ended_and_retired_sequences_are_over),
    cmocka_unit_test(each_sink_and_table_has_a_state_of_its_own),
    cmocka_unit_test(exclusive_lock_keeps_all_others_out),
    cmocka_unit_test(locks_of_other_sinks_are_no_matter),
    cmocka_unit_test(state_is_what_the_one_before_left),
    cmocka_unit_test(what_no_list_names_is_left_over),
    cmocka_unit_test(lists_of_a_sequence_are_taken_together),
    cmocka_unit_test(only_the_scope_is_swept),
    cmocka_unit_test(total_is_asked_when_more_than_enough_are_left_over),
    cmocka_unit_test(what_is_left_over_is_marked_once),
    cmocka_unit_test(what_is_left_over_is_marked_with_the_time_once),
    cmocka_unit_test(seen_keys_are_compared_as_the_collation_does),
    cmocka_unit_test(keys_of_all_sorts_are_seen),
    cmocka_unit_test(many_lists_of_many_keys_are_swept),
    cmocka_unit_test(missing_right_to_make_tables_is_told_with_the_statement),
};
const size_t contract_sync_count = sizeof contract_sync_tests / sizeof *contract_sync_tests;
