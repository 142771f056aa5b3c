#include "db_writing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/iso.h"

bool has_feature(enum feature feature)
{
    return contract->driver->features & feature;
}

/* targets */

static bool in_key(const struct relation *relation, size_t column)
{
    for (size_t i = 0; i < relation->key_count; i++)
        if (relation->key[i] == column)
            return true;
    return false;
}

static const char *all_names(struct session *session, const struct relation *relation)
{
    struct buf names = {0};
    for (size_t i = 0; i < relation->key_count; i++)
        buf_printf(&names, "%s ", relation->columns[relation->key[i]].name);
    for (size_t i = 0; i < relation->column_count; i++)
        if (!in_key(relation, i))
            buf_printf(&names, "%s ", relation->columns[i].name);
    const char *text = arena_strdup(session->arena, buf_text(&names));
    buf_free(&names);
    return text;
}

struct target *target_of(struct session *session, const char *table, const char *columns)
{
    const struct relation *relation = describe_table(session, table);
    struct target *target = arena_alloc(session->arena, sizeof *target);
    size_t *places = arena_array(session->arena, relation->column_count, sizeof *places), count = 0;
    char *names = arena_strdup(session->arena, columns ? columns : all_names(session, relation)),
         *rest = NULL;
    for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        places[count++] = column_index(relation, name);
    for (size_t i = 0; i < relation->key_count; i++)
        assert_int_equal(places[i], relation->key[i]);
    *target = (struct target){.relation = relation,
                              .sink = "people",
                              .columns = places,
                              .column_count = count,
                              .reads = places,
                              .read_count = count};
    return target;
}

/* rows */

static struct value value_of(struct session *session, const struct column *column, const char *text,
                             size_t len)
{
    const char *copy = arena_copy(session->arena, text, len);
    struct iso_time time;
    if (strcmp(copy, "NULL") == 0)
        return (struct value){.kind = KIND_NULL};
    switch (column->kind) {
    case KIND_INT:
        return value_integer(KIND_INT, strtoll(copy, NULL, 10));
    case KIND_UINT:
        return (struct value){.kind = KIND_UINT, .natural = strtoull(copy, NULL, 10)};
    case KIND_DATETIME:
        assert_int_equal(iso_parse(copy, len, &time), 0);
        return value_integer(KIND_DATETIME, time.time);
    default:
        return value_text(column->kind == KIND_BYTES ? KIND_BYTES : KIND_TEXT, copy, len);
    }
}

void batch_set(struct session *session, const struct target *target, struct batch *batch, size_t row,
               size_t place, struct value value)
{
    const struct driver *driver = contract->driver;
    const struct column *column = &target->relation->columns[target->columns[place]];
    if (driver->fit && value.kind != KIND_NULL && driver->fit(column, &value, session->arena, &session->err))
        fail_msg("%s %s", column->name, session->err.text);
    ((struct value *)batch->rows[row]->values)[place] = value;
}

static struct batch batch_new(struct session *session, const struct target *target, size_t count)
{
    struct batch batch = {.rows = arena_array(session->arena, count + 1, sizeof *batch.rows), .count = count};
    for (size_t i = 0; i < count; i++) {
        batch.rows[i] = arena_alloc(session->arena, sizeof **batch.rows);
        batch.rows[i]->number = i;
        batch.rows[i]->values = arena_array(session->arena, target->column_count, sizeof(struct value));
    }
    return batch;
}

static size_t words(const char *text)
{
    size_t count = *text != '\0';
    for (; *text; text++)
        count += *text == ' ';
    return count;
}

struct batch batch_of(struct session *session, const struct target *target, const char *text)
{
    struct batch batch = batch_new(session, target, words(text));
    for (size_t row = 0; row < batch.count; row++)
        for (size_t place = 0; place < target->column_count; place++) {
            const struct column *column = &target->relation->columns[target->columns[place]];
            size_t len = strcspn(text, "| ");
            batch_set(session, target, &batch, row, place, value_of(session, column, text, len));
            text += len + (text[len] != '\0');
        }
    assert_int_equal(*text, '\0'); /* as many values as the target has columns */
    return batch;
}

struct batch batch_numbered(struct session *session, const struct target *target, int64_t first, size_t count)
{
    struct batch batch = batch_new(session, target, count);
    for (size_t row = 0; row < count; row++)
        for (size_t place = 0; place < target->column_count; place++) {
            bool number = target->relation->columns[target->columns[place]].kind == KIND_INT;
            batch_set(session, target, &batch, row, place,
                      number ? value_integer(KIND_INT, first + (int64_t)row) : value_text(KIND_TEXT, "x", 1));
        }
    return batch;
}

/* transactions */

static void expect_well(const struct session *session, const char *what, int failed)
{
    if (failed)
        fail_msg("%s: %s (%s)", what, session->err.text, session->err.hint);
}

void begin(struct session *session)
{
    expect_well(session, "begin", contract->driver->begin(session->conn, true, 30, &session->err));
}

void commit(struct session *session)
{
    expect_well(session, "commit", contract->driver->commit(session->conn, &session->err));
}

void rollback(struct session *session)
{
    assert_int_equal(contract->driver->rollback(session->conn), 0);
}

void give_up(struct session *session)
{
    err_clear(&session->err);
    if (contract->driver->rollback(session->conn))
        session_reopen(session);
}

/* writing */

struct write write_of(struct session *session, const struct target *target, const struct batch *batch,
                      bool inserts)
{
    size_t *places = arena_array(session->arena, target->column_count, sizeof *places), count = 0;
    for (size_t i = inserts ? 0 : target->relation->key_count; i < target->column_count; i++)
        places[count++] = i;
    return (struct write){.target = target,
                          .places = places,
                          .place_count = count,
                          .rows = (const struct row *const *)batch->rows,
                          .row_count = batch->count};
}

void insert(struct session *session, const struct target *target, const struct batch *batch)
{
    struct write write = write_of(session, target, batch, true);
    struct fault fault;
    expect_well(session, "insert", contract->driver->insert(session->conn, &write, &fault, &session->err));
}

void update(struct session *session, const struct target *target, const struct batch *batch)
{
    struct write write = write_of(session, target, batch, false);
    struct fault fault;
    expect_well(session, "update", contract->driver->update(session->conn, &write, &fault, &session->err));
}

void erase(struct session *session, const struct target *target, const struct batch *batch)
{
    struct write write = write_of(session, target, batch, false);
    struct fault fault;
    write.place_count = 0;
    expect_well(session, "erase", contract->driver->erase(session->conn, &write, &fault, &session->err));
}

static size_t row_position(const struct batch *batch, const struct row *row)
{
    size_t at = 0;
    while (at < batch->count && batch->rows[at] != row)
        at++;
    assert_true(at < batch->count);
    return at;
}

int try_find(struct session *session, const struct target *target, const struct batch *batch,
             enum find_mode mode, struct rows *rows)
{
    const struct driver *driver = contract->driver;
    struct found found;
    size_t next = 0;
    *rows = (struct rows){.row = arena_array(session->arena, batch->count + 1, sizeof *rows->row)};
    if (driver->find_open(session->conn, target, (const struct row *const *)batch->rows, batch->count, mode,
                          &session->err))
        return -1;
    int more;
    while ((more = driver->find_next(session->conn, &found, &session->err)) == 1) {
        size_t at = row_position(batch, found.row);
        assert_true(at >= next); /* in the order asked for, none twice */
        next = at + 1;
        batch->rows[at]->stamp = found.stamp;
        rows->row[rows->count++] = row_copy(session, found.values, target->read_count);
    }
    assert_int_equal(driver->find_close(session->conn), 0);
    return more;
}

const char *find_text(struct session *session, const struct target *target, const struct batch *batch,
                      enum find_mode mode)
{
    struct rows rows;
    expect_well(session, "find", try_find(session, target, batch, mode, &rows));
    return rows_text(session, &rows, target->read_count);
}

static struct rows table_rows(struct session *session, const struct target *target)
{
    struct session *other = session_other(session);
    struct plan plan = plan_by_key(other, target->relation);
    plan.columns = target->columns;
    plan.column_count = target->column_count;
    return read_all(other, &plan);
}

const char *table_text(struct session *session, const struct target *target)
{
    struct rows rows = table_rows(session, target);
    return rows_text(session, &rows, target->column_count);
}

size_t table_count(struct session *session, const struct target *target)
{
    return table_rows(session, target).count;
}

struct special special_of(const struct target *target, const char *column, enum special_kind kind,
                          enum config_value_type type, const char *text)
{
    return (struct special){.column = column_index(target->relation, column),
                            .kind = kind,
                            .value = {.type = type, .text = text}};
}
