/* The contract's tests of transactions that write: find, insert, update, erase. */
#include <stdio.h>
#include <string.h>

#include "db_writing.h"

static struct target *make_people(struct session *session)
{
    sql_table("people", "id {integer} not null primary key, name {text}, age {integer}");
    return target_of(session, "contract_people", NULL);
}

/* What most tests begin with: three rows that are there. */
static struct target *make_three(struct session *session)
{
    struct target *target = make_people(session);
    sql("insert into contract_people values (1, 'Kari', 30), (2, 'Ola', null), (3, null, 7)");
    return target;
}

static const char three[] = "1|Kari|30 2|Ola|NULL 3|NULL|7";

/* transactions */

static void what_is_committed_is_seen_by_others(void **state)
{
    struct session *session = *state;
    struct target *target = make_people(session);
    struct batch batch = batch_of(session, target, three);
    begin(session);
    insert(session, target, &batch);
    assert_string_equal(table_text(session, target), "");
    commit(session);
    assert_string_equal(table_text(session, target), three);
}

static void what_is_rolled_back_leaves_nothing(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, "1|x|1 4|y|2"), rest;
    rest = (struct batch){batch.rows + 1, 1};
    begin(session);
    batch.count = 1;
    assert_string_equal(find_text(session, target, &batch, FIND_LOCK), "1|Kari|30");
    update(session, target, &batch);
    insert(session, target, &rest);
    rollback(session);
    assert_string_equal(table_text(session, target), three);
    begin(session); /* the connection is as good as new */
    insert(session, target, &rest);
    commit(session);
    assert_int_equal(table_count(session, target), 4);
}

static void what_is_not_committed_when_the_connection_closes_is_gone(void **state)
{
    struct session *session = *state;
    struct target *target = make_people(session);
    struct batch batch = batch_of(session, target, three);
    begin(session);
    insert(session, target, &batch);
    session_reopen(session);
    assert_string_equal(table_text(session, target), "");
    begin(session); /* and nothing is locked any more */
    insert(session, target, &batch);
    commit(session);
    assert_string_equal(table_text(session, target), three);
}

static void connection_only_reads_again_after_a_transaction(void **state)
{
    struct session *session = *state;
    struct target *target = make_people(session);
    struct batch batch = batch_of(session, target, three);
    struct write write = write_of(session, target, &batch, true);
    struct fault fault;
    begin(session);
    commit(session);
    assert_int_equal(contract->driver->insert(session->conn, &write, &fault, &session->err), -1);
    session_reopen(session);
    assert_string_equal(table_text(session, target), "");
}

static void transaction_that_only_looks_reads_and_ends(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, three);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(contract->driver->begin(session->conn, false, 30, &session->err), 0);
        assert_string_equal(find_text(session, target, &batch, FIND_LOOK), three);
        if (i == 1)
            commit(session);
        else
            rollback(session);
    }
}

static void rows_are_read_on_the_same_connection_afterwards(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    begin(session);
    commit(session);
    struct plan plan = plan_by_key(session, target->relation);
    assert_string_equal(read_text(session, &plan), three);
    begin(session);
    rollback(session);
    assert_true(contract->driver->alive(session->conn));
}

static void cancelled_transaction_fails_and_leaves_nothing(void **state)
{
    struct session *session = *state;
    struct target *target = make_people(session);
    struct batch batch = batch_of(session, target, three);
    struct write write = write_of(session, target, &batch, true);
    struct fault fault;
    begin(session);
    contract->driver->cancel(session->conn);
    if (contract->driver->insert(session->conn, &write, &fault, &session->err) == 0)
        assert_int_equal(contract->driver->commit(session->conn, &session->err), -1);
    contract->driver->rollback(session->conn);
    session_reopen(session);
    assert_string_equal(table_text(session, target), "");
}

/* find */

static void rows_that_are_there_are_found_in_order(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch all = batch_of(session, target, three),
                 some = batch_of(session, target, "0|x|1 2|y|2 3|z|3 9|q|9"),
                 none = batch_of(session, target, "4|x|1 5|y|1"), no_rows = {.rows = none.rows};
    begin(session);
    for (int mode = FIND_LOOK; mode <= FIND_LOCK; mode++) {
        assert_string_equal(find_text(session, target, &all, (enum find_mode)mode), three);
        assert_string_equal(find_text(session, target, &some, (enum find_mode)mode), "2|Ola|NULL 3|NULL|7");
        assert_string_equal(find_text(session, target, &none, (enum find_mode)mode), "");
        assert_string_equal(find_text(session, target, &no_rows, (enum find_mode)mode), "");
    }
    commit(session);
}

static void found_row_has_just_the_columns_asked_for(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    const size_t reads[] = {column_index(target->relation, "age"), column_index(target->relation, "id")};
    struct batch batch = batch_of(session, target, "1|x|0 3|y|0");
    target->reads = reads;
    target->read_count = 2;
    begin(session);
    assert_string_equal(find_text(session, target, &batch, FIND_LOOK), "30|1 7|3");
    target->read_count = 0;
    assert_string_equal(find_text(session, target, &batch, FIND_LOOK), "");
    struct rows rows;
    assert_int_equal(try_find(session, target, &batch, FIND_LOCK, &rows), 0);
    assert_int_equal(rows.count, 2);
    rollback(session);
}

static void find_can_be_closed_midway(void **state)
{
    struct session *session = *state;
    const struct driver *driver = contract->driver;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, three), more = batch_of(session, target, "4|x|1");
    struct found found;
    begin(session);
    for (int taken = 0; taken < 3; taken++) {
        assert_int_equal(driver->find_open(session->conn, target, (const struct row *const *)batch.rows, 3,
                                           FIND_LOOK, &session->err),
                         0);
        for (int i = 0; i < taken; i++)
            assert_int_equal(driver->find_next(session->conn, &found, &session->err), 1);
        assert_int_equal(driver->find_close(session->conn), 0);
    }
    insert(session, target, &more); /* the transaction goes on */
    commit(session);
    assert_int_equal(table_count(session, target), 4);
}

static void compound_keys_are_found_written_and_erased(void **state)
{
    struct session *session = *state;
    sql_table("compound", "name {text}, b {folded} not null, a {integer} not null, primary key (a, b)");
    struct target *target = target_of(session, "contract_compound", "a b name");
    struct batch batch = batch_of(session, target, "1|x|p 1|y|q 2|x|r 3|x|s"), two, last;
    begin(session);
    insert(session, target, &batch);
    struct batch looked = batch_of(session, target, "1|w|0 1|y|z 2|y|0 3|x|z");
    assert_string_equal(find_text(session, target, &looked, FIND_LOCK), "1|y|q 3|x|s");
    two = (struct batch){(struct row *[]){looked.rows[1], looked.rows[3]}, 2};
    update(session, target, &two);
    last = batch_of(session, target, "2|x|0");
    find_text(session, target, &last, FIND_LOCK);
    erase(session, target, &last);
    commit(session);
    assert_string_equal(table_text(session, target), "1|x|p 1|y|z 3|x|z");
}

static void keys_that_the_collation_takes_for_the_same_are_found(void **state)
{
    struct session *session = *state;
    sql_table("folded", "name {folded} not null primary key, age {integer}");
    sql("insert into contract_folded values ('Kari', 1), ('ola', 2)");
    struct target *target = target_of(session, "contract_folded", "name age");
    struct batch batch = batch_of(session, target, "KARI|5 Ola|6 per|7");
    begin(session);
    assert_string_equal(find_text(session, target, &batch, FIND_LOCK), "Kari|1 ola|2");
    batch.count = 2;
    update(session, target, &batch);
    commit(session);
    assert_string_equal(table_text(session, target), "Kari|5 ola|6");
    begin(session);
    find_text(session, target, &batch, FIND_LOCK);
    erase(session, target, &batch);
    commit(session);
    assert_string_equal(table_text(session, target), "");
}

/* Not exact: then they are ranked. Exact: then their bytes tell. */
static void keys_are_ranked_as_the_collation_orders_them(void **state)
{
    struct session *session = *state;
    sql_table("ranked", "a {integer} not null, name {folded} not null, primary key (a, name)");
    struct target *target = target_of(session, "contract_ranked", "a name");
    struct batch batch = batch_of(session, target, "2|b 1|c 2|B 2|a 2|A 1|b 2|b 3|a");
    assert_false(target->relation->columns[target->columns[1]].exact);
    uint32_t rank[8];
    static const int expected[8] = {3, 1, 3, 2, 2, 0, 3, 4};
    if (contract->driver->rank(session->conn, target, (const struct row *const *)batch.rows, batch.count,
                               rank, &session->err))
        fail_msg("rank: %s", session->err.text);
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++) {
            assert_int_equal(rank[i] == rank[j], expected[i] == expected[j]);
            assert_int_equal(rank[i] < rank[j], expected[i] < expected[j]);
        }
    begin(session); /* the connection is as it was */
    insert(session, target, &(struct batch){batch.rows, 2});
    commit(session);
    assert_string_equal(table_text(session, target), "1|c 2|b");
}

/* Within a transaction too, for the key is looked at again when it is tried again. */
static void thousands_of_keys_are_ranked(void **state)
{
    struct session *session = *state;
    enum { COUNT = 10000 };
    sql_table("ranked", "name {folded} not null primary key");
    struct target *target = target_of(session, "contract_ranked", NULL);
    struct batch batch = batch_numbered(session, target, 0, COUNT);
    uint32_t *rank = arena_array(session->arena, COUNT, sizeof *rank);
    for (size_t i = 0; i < COUNT; i++) { /* each key twice, once in capitals */
        const char *text = arena_printf(session->arena, i % 2 ? "key%05zu" : "KEY%05zu", i / 2 * 7919 % 5000);
        batch_set(session, target, &batch, i, 0, value_text(KIND_TEXT, text, strlen(text)));
    }
    if (contract->driver->rank(session->conn, target, (const struct row *const *)batch.rows, COUNT, rank,
                               &session->err))
        fail_msg("rank: %s", session->err.text);
    for (size_t i = 0; i + 2 < COUNT; i += 2) {
        assert_int_equal(rank[i], rank[i + 1]);
        assert_int_equal(rank[i] < rank[i + 2], i / 2 * 7919 % 5000 < (i / 2 + 1) * 7919 % 5000);
    }
}

/* insert, update, erase */

static void rows_are_updated_and_erased(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch changed = batch_of(session, target, "1|Per|NULL 3|Siv|8"),
                 gone = batch_of(session, target, "2|x|0");
    begin(session);
    find_text(session, target, &changed, FIND_LOCK);
    update(session, target, &changed);
    find_text(session, target, &gone, FIND_LOCK);
    erase(session, target, &gone);
    commit(session);
    assert_string_equal(table_text(session, target), "1|Per|NULL 3|Siv|8");
}

static void only_the_columns_given_are_set(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, "1|x|31 3|y|NULL"),
                 fresh = batch_of(session, target, "4|new|5");
    const size_t age = 2, key_and_name[] = {0, 1};
    struct write write = write_of(session, target, &batch, false);
    struct fault fault;
    write.places = &age;
    write.place_count = 1;
    begin(session);
    find_text(session, target, &batch, FIND_LOCK);
    assert_int_equal(contract->driver->update(session->conn, &write, &fault, &session->err), 0);
    write = write_of(session, target, &fresh, true);
    write.places = key_and_name;
    write.place_count = 2;
    assert_int_equal(contract->driver->insert(session->conn, &write, &fault, &session->err), 0);
    commit(session);
    assert_string_equal(table_text(session, target), "1|Kari|31 2|Ola|NULL 3|NULL|NULL 4|new|NULL");
}

static void column_left_out_of_an_insert_gets_its_default(void **state)
{
    struct session *session = *state;
    sql_table("defaults", "id {integer} not null primary key, age {integer} default 18");
    struct target *target = target_of(session, "contract_defaults", NULL);
    struct batch batch = batch_of(session, target, "1|5 2|NULL"), bare = batch_of(session, target, "3|0");
    struct write write = write_of(session, target, &bare, true);
    struct fault fault;
    assert_true(target->relation->columns[1].defaulted);
    assert_false(target->relation->columns[0].defaulted);
    write.place_count = 1;
    begin(session);
    insert(session, target, &batch);
    assert_int_equal(contract->driver->insert(session->conn, &write, &fault, &session->err), 0);
    commit(session);
    assert_string_equal(table_text(session, target), "1|5 2|NULL 3|18");
}

static void thousands_of_rows_go_in_one_call(void **state)
{
    struct session *session = *state;
    enum { COUNT = 5000 };
    struct target *target = make_people(session);
    struct batch batch = batch_numbered(session, target, -10, COUNT), half;
    struct rows rows;
    begin(session);
    insert(session, target, &batch);
    commit(session);
    assert_int_equal(table_count(session, target), COUNT);
    begin(session);
    assert_int_equal(try_find(session, target, &batch, FIND_LOCK, &rows), 0);
    assert_int_equal(rows.count, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        batch_set(session, target, &batch, i, 1, value_text(KIND_TEXT, "changed", 7));
    update(session, target, &batch);
    commit(session);
    rows = (struct rows){0};
    half = (struct batch){batch.rows + 7, COUNT / 2};
    begin(session);
    assert_int_equal(try_find(session, target, &batch, FIND_LOOK, &rows), 0);
    for (size_t i = 0; i < COUNT; i++)
        assert_memory_equal(rows.row[i][1].text.bytes, "changed", 7);
    assert_int_equal(try_find(session, target, &half, FIND_LOCK, &rows), 0);
    erase(session, target, &half);
    commit(session);
    assert_int_equal(table_count(session, target), COUNT - COUNT / 2);
}

static void texts_of_all_sorts_come_back(void **state)
{
    struct session *session = *state;
    static const char *const texts[] = {
        "",
        " x ",
        "tab\tline\nreturn\rquote\"apostrophe' \\ backslash \\N \\. , {} NULL",
        "\xc3\xa6\xe2\x82\xac\xf0\x9f\x98\x80 \xef\xbb\xbf e\xcc\x81",
        "\x01\x7f|;--",
        "12",
        "NULL",
    };
    enum { COUNT = sizeof texts / sizeof *texts };
    struct target *target = make_people(session);
    struct batch batch = batch_numbered(session, target, 0, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        batch_set(session, target, &batch, i, 1, value_text(KIND_TEXT, texts[i], strlen(texts[i])));
    begin(session);
    insert(session, target, &batch);
    struct rows rows;
    assert_int_equal(try_find(session, target, &batch, FIND_LOOK, &rows), 0);
    assert_int_equal(rows.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(rows.row[i][1].kind, KIND_TEXT);
        assert_int_equal(rows.row[i][1].text.len, strlen(texts[i]));
        assert_memory_equal(rows.row[i][1].text.bytes, texts[i], strlen(texts[i]));
    }
    commit(session);
}

static void text_with_a_nul_comes_back_or_is_refused(void **state)
{
    struct session *session = *state;
    struct target *target = make_people(session);
    struct batch batch = batch_numbered(session, target, 0, 1);
    struct value value = value_text(KIND_TEXT, "a\0b", 3);
    const struct column *column = &target->relation->columns[target->columns[1]];
    if (contract->dialect.text_without_nul) {
        assert_non_null(contract->driver->fit);
        expect_error(session, contract->driver->fit(column, &value, session->arena, &session->err),
                     ERR_VALUE);
        return;
    }
    batch_set(session, target, &batch, 0, 1, value);
    begin(session);
    insert(session, target, &batch);
    struct rows rows;
    assert_int_equal(try_find(session, target, &batch, FIND_LOOK, &rows), 0);
    assert_int_equal(rows.row[0][1].text.len, 3);
    assert_memory_equal(rows.row[0][1].text.bytes, "a\0b", 3);
    commit(session);
}

static void long_texts_go_in(void **state)
{
    struct session *session = *state;
    enum { LENGTH = 3000000 };
    struct target *target = make_people(session);
    struct batch batch = batch_numbered(session, target, 0, 3);
    char *text = arena_alloc(session->arena, LENGTH);
    memset(text, 'y', LENGTH);
    batch_set(session, target, &batch, 1, 1, value_text(KIND_TEXT, text, LENGTH));
    begin(session);
    insert(session, target, &batch);
    struct rows rows;
    assert_int_equal(try_find(session, target, &batch, FIND_LOOK, &rows), 0);
    assert_int_equal(rows.row[1][1].text.len, LENGTH);
    assert_memory_equal(rows.row[1][1].text.bytes, text, LENGTH);
    commit(session);
}

static void extreme_values_come_back(void **state)
{
    struct session *session = *state;
    static const char rows[] = "-9223372036854775808|2024-01-02T03:04:05.000006 0|0001-01-01T00:00:00"
                               " 9223372036854775807|9999-12-31T23:59:59.999999";
    sql_table("extremes", "id {integer} not null primary key, at {datetime}");
    struct target *target = target_of(session, "contract_extremes", NULL);
    if (strcmp(contract->driver->type, "mysql") == 0)
        return; /* its years begin with 1000 */
    struct batch batch = batch_of(session, target, rows);
    begin(session);
    insert(session, target, &batch);
    struct rows found;
    assert_int_equal(try_find(session, target, &batch, FIND_LOOK, &found), 0);
    for (size_t i = 0; i < batch.count; i++)
        for (size_t j = 0; j < 2; j++)
            assert_int_equal(value_compare(&found.row[i][j], &batch.rows[i]->values[j]), 0);
    commit(session);
}

/* specials */

static struct target *make_versioned(struct session *session, const char *version)
{
    char columns[512];
    snprintf(columns, sizeof columns,
             "id {integer} not null primary key, name {text}, version {integer} %s, changed {datetime}, "
             "tenant {text}",
             version);
    sql_table("versioned", columns);
    return target_of(session, "contract_versioned", "id name");
}

static void write_specials(struct session *session, const struct target *target, struct batch *batch,
                           bool inserts, const struct special *specials, size_t count)
{
    struct write write = write_of(session, target, batch, inserts);
    struct fault fault;
    write.specials = specials;
    write.special_count = count;
    int (*call)(struct conn *, const struct write *, struct fault *, struct err *) =
        inserts ? contract->driver->insert : contract->driver->update;
    if (call(session->conn, &write, &fault, &session->err))
        fail_msg("%s: %s", inserts ? "insert" : "update", session->err.text);
}

/* A column of the rows of a batch, as find gives it. */
static const struct value *column_of(struct session *session, const struct target *target,
                                     const struct batch *batch, const char *name, size_t row)
{
    struct target one = *target;
    const size_t column = column_index(target->relation, name);
    struct rows rows;
    one.reads = &column;
    one.read_count = 1;
    assert_int_equal(try_find(session, &one, batch, FIND_LOCK, &rows), 0);
    assert_true(row < rows.count);
    return rows.row[row];
}

static void constants_are_set_beside_the_rows(void **state)
{
    struct session *session = *state;
    struct target *target = make_versioned(session, "");
    struct batch batch = batch_of(session, target, "1|a 2|b");
    struct special specials[] = {
        special_of(target, "tenant", SPECIAL_VALUE, CONFIG_STRING, "o'slo \xc3\xa6"),
        special_of(target, "version", SPECIAL_VALUE, CONFIG_INTEGER, "-42"),
    };
    begin(session);
    write_specials(session, target, &batch, true, specials, 2);
    assert_int_equal(column_of(session, target, &batch, "version", 1)->integer, -42);
    assert_memory_equal(column_of(session, target, &batch, "tenant", 1)->text.bytes, "o'slo \xc3\xa6", 8);
    specials[0].value = (struct config_value){.type = CONFIG_NULL};
    write_specials(session, target, &batch, false, specials, 1);
    assert_int_equal(column_of(session, target, &batch, "tenant", 0)->kind, KIND_NULL);
    commit(session);
}

static void version_begins_with_one_and_counts(void **state)
{
    struct session *session = *state;
    struct target *target = make_versioned(session, "");
    struct batch batch = batch_of(session, target, "1|a 2|b");
    struct special next = special_of(target, "version", SPECIAL_NEXT, CONFIG_NULL, NULL);
    begin(session);
    write_specials(session, target, &batch, true, &next, 1);
    for (int version = 1; version <= 3; version++) {
        assert_int_equal(column_of(session, target, &batch, "version", 0)->integer, version);
        assert_int_equal(column_of(session, target, &batch, "version", 1)->integer, version);
        write_specials(session, target, &batch, false, &next, 1);
    }
    commit(session);
}

static void version_begins_with_the_default(void **state)
{
    struct session *session = *state;
    struct target *target = make_versioned(session, "default 100");
    struct batch batch = batch_of(session, target, "1|a");
    struct special next = special_of(target, "version", SPECIAL_NEXT, CONFIG_NULL, NULL);
    begin(session);
    write_specials(session, target, &batch, true, &next, 1);
    assert_int_equal(column_of(session, target, &batch, "version", 0)->integer, 100);
    write_specials(session, target, &batch, false, &next, 1);
    assert_int_equal(column_of(session, target, &batch, "version", 0)->integer, 101);
    commit(session);
}

/* Else it would be NULL for ever, and never tell two versions apart. */
static void version_that_was_null_becomes_one(void **state)
{
    struct session *session = *state;
    struct target *target = make_versioned(session, "");
    sql("insert into contract_versioned (id, name) values (1, 'old')");
    struct batch batch = batch_of(session, target, "1|a");
    struct special next = special_of(target, "version", SPECIAL_NEXT, CONFIG_NULL, NULL);
    begin(session);
    find_text(session, target, &batch, FIND_LOCK);
    write_specials(session, target, &batch, false, &next, 1);
    assert_int_equal(column_of(session, target, &batch, "version", 0)->integer, 1);
    commit(session);
}

/* Two updates within one tick of the clock, and an old value that is ahead of it. */
static void time_as_version_always_rises(void **state)
{
    struct session *session = *state;
    struct target *target = make_versioned(session, "");
    sql("insert into contract_versioned (id, changed) values (7, '2137-01-02 03:04:05.000006'), (8, null)");
    struct batch batch = batch_of(session, target, "1|a 2|b"), old = batch_of(session, target, "7|a 8|b");
    struct special next = special_of(target, "changed", SPECIAL_NEXT, CONFIG_NULL, NULL);
    begin(session);
    write_specials(session, target, &batch, true, &next, 1);
    const struct value *last = column_of(session, target, &batch, "changed", 0);
    for (int i = 0; i < 20; i++) {
        write_specials(session, target, &batch, false, &next, 1);
        const struct value *now = column_of(session, target, &batch, "changed", 0);
        assert_true(value_compare(now, last) > 0);
        last = now;
    }
    last = column_of(session, target, &old, "changed", 0);
    write_specials(session, target, &old, false, &next, 1);
    assert_true(value_compare(column_of(session, target, &old, "changed", 0), last) > 0);
    assert_int_not_equal(column_of(session, target, &old, "changed", 1)->kind, KIND_NULL);
    commit(session);
}

static void now_is_the_time_of_the_server(void **state)
{
    struct session *session = *state;
    struct target *target = make_versioned(session, "");
    sql("insert into contract_versioned (id, changed) values (7, '2020-01-02 03:04:05'), (8, '2137-01-02 "
        "03:04:05')");
    struct batch batch = batch_of(session, target, "1|a"), marks = batch_of(session, target, "7|a 8|a");
    struct special now = special_of(target, "changed", SPECIAL_NOW, CONFIG_NULL, NULL);
    begin(session);
    const struct value *before = column_of(session, target, &marks, "changed", 0),
                       *after = column_of(session, target, &marks, "changed", 1);
    write_specials(session, target, &batch, true, &now, 1);
    const struct value *value = column_of(session, target, &batch, "changed", 0);
    assert_true(value_compare(value, before) > 0 && value_compare(value, after) < 0);
    write_specials(session, target, &marks, false, &now, 1);
    value = column_of(session, target, &marks, "changed", 1);
    assert_true(value_compare(value, before) > 0 && value_compare(value, after) < 0);
    commit(session);
}

/* faults */

/* A row that is there already may be told as a race: another one put it there since it was looked for. */
static void key_that_is_there_already_is_told(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, "0|x|1 2|y|2 5|z|3");
    struct write write = write_of(session, target, &batch, true);
    struct fault fault = {0};
    begin(session);
    assert_int_equal(contract->driver->insert(session->conn, &write, &fault, &session->err), -1);
    if (session->err.code != ERR_RACE) {
        assert_int_equal(session->err.code, ERR_VALUE);
        assert_true(fault.duplicate);
        assert_true(fault.row == 1 || fault.row == SIZE_MAX);
    }
    give_up(session);
    assert_string_equal(table_text(session, target), three);
}

static void unique_value_that_is_there_already_is_told(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    sql("create unique index contract_people_age on contract_people (age)");
    struct batch fresh = batch_of(session, target, "4|x|1 5|secret-7|7"),
                 old = batch_of(session, target, "1|x|7");
    struct write write = write_of(session, target, &fresh, true);
    struct fault fault = {0};
    begin(session);
    expect_error(session, contract->driver->insert(session->conn, &write, &fault, &session->err), ERR_VALUE);
    assert_true(fault.duplicate);
    assert_true(fault.row == 1 || fault.row == SIZE_MAX);
    assert_null(strstr(session->err.text, "secret"));
    give_up(session);
    begin(session);
    find_text(session, target, &old, FIND_LOCK);
    write = write_of(session, target, &old, false);
    fault = (struct fault){0};
    expect_error(session, contract->driver->update(session->conn, &write, &fault, &session->err), ERR_VALUE);
    assert_true(fault.duplicate);
    give_up(session);
    assert_string_equal(table_text(session, target), three);
}

static void null_where_none_may_be_is_told(void **state)
{
    struct session *session = *state;
    sql_table("strict", "id {integer} not null primary key, name {text} not null");
    struct target *target = target_of(session, "contract_strict", NULL);
    struct batch batch = batch_of(session, target, "1|x 2|NULL 3|z");
    struct write write = write_of(session, target, &batch, true);
    struct fault fault = {.duplicate = true};
    begin(session);
    expect_error(session, contract->driver->insert(session->conn, &write, &fault, &session->err), ERR_VALUE);
    assert_false(fault.duplicate);
    assert_true(fault.row == 1 || fault.row == SIZE_MAX);
    assert_true(fault.column == 1 || fault.column == SIZE_MAX);
    give_up(session);
    assert_int_equal(table_count(session, target), 0);
}

static void check_that_fails_is_told(void **state)
{
    struct session *session = *state;
    sql_table("checked", "id {integer} not null primary key, age {integer} check (age >= 18)");
    struct target *target = target_of(session, "contract_checked", NULL);
    struct batch batch = batch_of(session, target, "1|18 2|17 3|19");
    struct write write = write_of(session, target, &batch, true);
    struct fault fault = {0};
    begin(session);
    expect_error(session, contract->driver->insert(session->conn, &write, &fault, &session->err), ERR_VALUE);
    assert_false(fault.duplicate);
    give_up(session);
    assert_int_equal(table_count(session, target), 0);
}

static void table_that_went_is_told_as_changed(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, "4|x|1");
    struct write write = write_of(session, target, &batch, true);
    struct fault fault;
    struct rows rows;
    sql("drop table contract_people");
    begin(session);
    expect_error(session, try_find(session, target, &batch, FIND_LOOK, &rows), ERR_CHANGED);
    give_up(session);
    begin(session);
    expect_error(session, contract->driver->insert(session->conn, &write, &fault, &session->err),
                 ERR_CHANGED);
    give_up(session);
}

static void column_that_went_is_told_as_changed(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, "4|x|1"), old = batch_of(session, target, "1|x|1");
    struct write write = write_of(session, target, &batch, true);
    struct fault fault;
    struct rows rows;
    sql("alter table contract_people drop column name");
    begin(session);
    expect_error(session, contract->driver->insert(session->conn, &write, &fault, &session->err),
                 ERR_CHANGED);
    give_up(session);
    begin(session);
    expect_error(session, try_find(session, target, &old, FIND_LOOK, &rows), ERR_CHANGED);
    give_up(session);
}

/* what other transactions do */

static void row_that_is_not_there_cannot_be_updated_or_erased(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, "1|x|1 4|y|2");
    struct write write = write_of(session, target, &batch, false);
    struct fault fault;
    for (int i = 0; i < 2; i++) {
        begin(session);
        find_text(session, target, &batch, FIND_LOCK);
        int result = i ? contract->driver->update(session->conn, &write, &fault, &session->err)
                       : contract->driver->erase(session->conn, &write, &fault, &session->err);
        expect_error(session, result, ERR_RACE);
        give_up(session);
    }
    assert_string_equal(table_text(session, target), three);
}

static void row_that_changed_since_it_was_found_is_a_race(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, "1|mine|1 2|mine|2");
    struct write write = write_of(session, target, &batch, false);
    struct fault fault;
    static const char *const changes[] = {
        "update contract_people set name = 'theirs' where id = 2",
        "update contract_people set name = name where id = 2",
        "delete from contract_people where id = 2",
    };
    if (!has_feature(FEATURE_STAMP))
        return; /* they lock what they are going to write */
    for (size_t i = 0; i < 6; i++) {
        begin(session);
        assert_int_equal(strlen(find_text(session, target, &batch, FIND_LOOK)) > 0, 1);
        sql("%s", changes[i / 2]);
        if (i == 4) /* deleted and written anew: the same values, another row */
            sql("insert into contract_people values (2, 'theirs', null)");
        int result = i % 2 ? contract->driver->erase(session->conn, &write, &fault, &session->err)
                           : contract->driver->update(session->conn, &write, &fault, &session->err);
        expect_error(session, result, ERR_RACE);
        give_up(session);
        assert_non_null(strstr(table_text(session, target), "1|Kari|30"));
        sql("delete from contract_people where id = 2");
        sql("insert into contract_people values (2, 'theirs', null)");
    }
}

static void locked_row_is_waited_for_in_vain(void **state)
{
    struct session *session = *state, *other = session_other(session);
    struct target *target = make_three(session);
    struct batch mine = batch_of(session, target, "2|mine|1"),
                 theirs = batch_of(other, target, "1|a|1 2|theirs|2");
    struct rows rows;
    if (has_feature(FEATURE_ONE_WRITER))
        return;
    begin(session);
    find_text(session, target, &mine, FIND_LOCK);
    assert_int_equal(contract->driver->begin(other->conn, true, 1, &other->err), 0);
    assert_string_equal(find_text(other, target, &theirs, FIND_LOOK), "1|Kari|30 2|Ola|NULL");
    assert_int_equal(try_find(other, target, &theirs, FIND_LOCK, &rows), -1);
    assert_true(other->err.code == ERR_BUSY || other->err.code == ERR_RACE);
    give_up(other);
    update(session, target, &mine);
    commit(session);
    begin(other);
    assert_string_equal(find_text(other, target, &theirs, FIND_LOCK), "1|Kari|30 2|mine|1");
    update(other, target, &theirs);
    commit(other);
    assert_string_equal(table_text(session, target), "1|a|1 2|theirs|2 3|NULL|7");
}

static void second_writer_is_kept_out_from_the_beginning(void **state)
{
    struct session *session = *state, *other = session_other(session);
    struct target *target = make_three(session);
    struct batch mine = batch_of(session, target, "2|mine|1"), theirs = batch_of(other, target, "2|theirs|2");
    if (!has_feature(FEATURE_ONE_WRITER))
        return;
    begin(session);
    find_text(session, target, &mine, FIND_LOCK);
    expect_error(other, contract->driver->begin(other->conn, true, 0.05, &other->err), ERR_BUSY);
    assert_true(*other->err.hint);
    give_up(other);
    assert_int_equal(contract->driver->begin(other->conn, false, 0.05, &other->err), 0); /* looking is free */
    update(session, target, &mine);
    assert_string_equal(find_text(other, target, &theirs, FIND_LOOK), "2|Ola|NULL");
    rollback(other);
    commit(session);
    begin(other);
    assert_string_equal(find_text(other, target, &theirs, FIND_LOCK), "2|mine|1");
    update(other, target, &theirs);
    commit(other);
    assert_string_equal(table_text(session, target), "1|Kari|30 2|theirs|2 3|NULL|7");
}

/* Two transactions that both found nothing: the one that comes second must not write over the first. */
static void row_that_came_since_it_was_looked_for_is_not_written_over(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session);
    struct batch batch = batch_of(session, target, "4|mine|1");
    struct write write = write_of(session, target, &batch, true);
    struct fault fault;
    if (has_feature(FEATURE_ONE_WRITER))
        return;
    begin(session);
    assert_string_equal(find_text(session, target, &batch, FIND_LOOK), "");
    sql("insert into contract_people values (4, 'theirs', 2)");
    assert_int_equal(contract->driver->insert(session->conn, &write, &fault, &session->err), -1);
    assert_true(session->err.code == ERR_RACE || (session->err.code == ERR_VALUE && fault.duplicate));
    give_up(session);
    assert_string_equal(table_text(session, target), "1|Kari|30 2|Ola|NULL 3|NULL|7 4|theirs|2");
}

/* rights */

static void missing_right_to_write_is_told(void **state)
{
    struct session *session = *state;
    struct target *target = make_three(session); /* which nobody let them write */
    struct batch batch = batch_of(session, target, "4|x|1");
    struct write write = write_of(session, target, &batch, true);
    struct fault fault;
    struct conn *conn = NULL;
    if (!contract->dialect.limited)
        return;
    if (contract->driver->open(&conn, contract->dialect.limited, &session->err))
        fail_msg("open as the limited role: %s", session->err.text);
    assert_int_equal(contract->driver->begin(conn, true, 30, &session->err), 0);
    expect_error(session, contract->driver->insert(conn, &write, &fault, &session->err), ERR_DATABASE);
    contract->driver->close(conn);
}

const struct CMUnitTest contract_write_tests[] = {
    cmocka_unit_test(what_is_committed_is_seen_by_others),
    cmocka_unit_test(what_is_rolled_back_leaves_nothing),
    cmocka_unit_test(what_is_not_committed_when_the_connection_closes_is_gone),
    cmocka_unit_test(connection_only_reads_again_after_a_transaction),
    cmocka_unit_test(transaction_that_only_looks_reads_and_ends),
    cmocka_unit_test(rows_are_read_on_the_same_connection_afterwards),
    cmocka_unit_test(cancelled_transaction_fails_and_leaves_nothing),
    cmocka_unit_test(rows_that_are_there_are_found_in_order),
    cmocka_unit_test(found_row_has_just_the_columns_asked_for),
    cmocka_unit_test(find_can_be_closed_midway),
    cmocka_unit_test(compound_keys_are_found_written_and_erased),
    cmocka_unit_test(keys_that_the_collation_takes_for_the_same_are_found),
    cmocka_unit_test(keys_are_ranked_as_the_collation_orders_them),
    cmocka_unit_test(thousands_of_keys_are_ranked),
    cmocka_unit_test(rows_are_updated_and_erased),
    cmocka_unit_test(only_the_columns_given_are_set),
    cmocka_unit_test(column_left_out_of_an_insert_gets_its_default),
    cmocka_unit_test(thousands_of_rows_go_in_one_call),
    cmocka_unit_test(texts_of_all_sorts_come_back),
    cmocka_unit_test(text_with_a_nul_comes_back_or_is_refused),
    cmocka_unit_test(long_texts_go_in),
    cmocka_unit_test(extreme_values_come_back),
    cmocka_unit_test(constants_are_set_beside_the_rows),
    cmocka_unit_test(version_begins_with_one_and_counts),
    cmocka_unit_test(version_begins_with_the_default),
    cmocka_unit_test(version_that_was_null_becomes_one),
    cmocka_unit_test(time_as_version_always_rises),
    cmocka_unit_test(now_is_the_time_of_the_server),
    cmocka_unit_test(key_that_is_there_already_is_told),
    cmocka_unit_test(unique_value_that_is_there_already_is_told),
    cmocka_unit_test(null_where_none_may_be_is_told),
    cmocka_unit_test(check_that_fails_is_told),
    cmocka_unit_test(table_that_went_is_told_as_changed),
    cmocka_unit_test(column_that_went_is_told_as_changed),
    cmocka_unit_test(row_that_is_not_there_cannot_be_updated_or_erased),
    cmocka_unit_test(row_that_changed_since_it_was_found_is_a_race),
    cmocka_unit_test(locked_row_is_waited_for_in_vain),
    cmocka_unit_test(second_writer_is_kept_out_from_the_beginning),
    cmocka_unit_test(row_that_came_since_it_was_looked_for_is_not_written_over),
    cmocka_unit_test(missing_right_to_write_is_told),
};
const size_t contract_write_count = sizeof contract_write_tests / sizeof *contract_write_tests;
