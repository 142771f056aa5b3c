#include "db_session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct db_contract *contract;

int session_setup(void **state)
{
    struct session *session = calloc(1, sizeof *session);
    assert_non_null(session);
    session->arena = arena_new();
    assert_non_null(session->arena);
    *state = session;
    if (contract->driver->open(&session->conn, contract->system, &session->err))
        fail_msg("open: %s", session->err.text);
    return 0;
}

int session_teardown(void **state)
{
    struct session *session = *state;
    void *other = session->other;
    if (other)
        session_teardown(&other);
    contract->driver->close(session->conn);
    arena_free(session->arena);
    free(session);
    return 0;
}

struct session *session_other(struct session *session)
{
    void *other = session->other;
    if (!other) {
        session_setup(&other);
        session->other = other;
    }
    return other;
}

void session_reopen(struct session *session)
{
    contract->driver->close(session->conn);
    session->conn = NULL;
    err_clear(&session->err);
    if (contract->driver->open(&session->conn, contract->system, &session->err))
        fail_msg("open again: %s", session->err.text);
}

/* preparing */

void sql(const char *format, ...)
{
    char statement[8192];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(statement, sizeof statement, format, args);
    va_end(args);
    assert_true(length >= 0 && (size_t)length < sizeof statement);
    if (contract->sql(contract->arg, statement))
        fail_msg("preparing failed: %s", statement);
}

static const char *dialect_word(const char *name, size_t len)
{
    const struct db_dialect *dialect = &contract->dialect;
    const struct {
        const char *name, *word;
    } words[] = {
        {"integer", dialect->integer},   {"text", dialect->text}, {"key_text", dialect->key_text},
        {"datetime", dialect->datetime}, {"uuid", dialect->uuid}, {"folded", dialect->folded},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].name) == len && memcmp(words[i].name, name, len) == 0)
            return words[i].word;
    fail_msg("no such word: {%.*s}", (int)len, name);
    return NULL;
}

void sql_table(const char *name, const char *columns)
{
    struct buf out = {0};
    for (const char *c = columns; *c; c++)
        if (*c == '{') {
            size_t len = strcspn(c, "}") - 1;
            buf_puts(&out, dialect_word(c + 1, len));
            c += len + 1;
        } else {
            buf_putc(&out, *c);
        }
    sql("drop table if exists contract_%s", name);
    sql("create table contract_%s (%s)", name, buf_text(&out));
    buf_free(&out);
}

const char *quoted(struct session *session, const char *name)
{
    char mark = contract->dialect.quote;
    char *out = arena_alloc(session->arena, 2 * strlen(name) + 3), *end = out;
    *end++ = mark;
    for (; *name; name++) {
        if (*name == mark)
            *end++ = mark;
        *end++ = *name;
    }
    *end = mark;
    return out;
}

/* describing */

struct relation *describe(struct session *session, const struct subject *subject)
{
    struct relation *relation = NULL;
    if (contract->driver->describe(session->conn, subject, session->arena, &relation, &session->err))
        fail_msg("describe: %s (%s)", session->err.text, session->err.hint);
    assert_non_null(relation);
    session->query = subject->query;
    return relation;
}

struct relation *describe_table(struct session *session, const char *table)
{
    return describe(session, &(struct subject){.table = table});
}

struct relation *describe_query(struct session *session, const char *query, const char *key)
{
    return describe(session, &(struct subject){.query = query, .key = &key, .key_count = 1});
}

size_t column_index(const struct relation *relation, const char *name)
{
    for (size_t i = 0; i < relation->column_count; i++)
        if (strcmp(relation->columns[i].name, name) == 0)
            return i;
    fail_msg("%s has no column %s", relation->title, name);
    return SIZE_MAX;
}

/* plans */

struct plan plan_all(struct session *session, const struct relation *relation, const char *updated)
{
    size_t *columns = arena_array(session->arena, relation->column_count, sizeof *columns);
    for (size_t i = 0; i < relation->column_count; i++)
        columns[i] = i;
    return (struct plan){
        .relation = relation,
        .query = session->query,
        .columns = columns,
        .column_count = relation->column_count,
        .updated = updated ? column_index(relation, updated) : SIZE_MAX,
        .order = ORDER_NONE,
        .limit = UINT64_MAX,
        .fetch_size = 100,
    };
}

struct plan plan_by_key(struct session *session, const struct relation *relation)
{
    struct plan plan = plan_all(session, relation, NULL);
    plan.order = ORDER_KEY;
    plan.ranges = arena_array(session->arena, 1, sizeof *plan.ranges);
    plan.range_count = 1;
    return plan;
}

struct plan plan_by_updated(struct session *session, const struct relation *relation, const char *updated)
{
    struct plan plan = plan_all(session, relation, updated);
    struct range *ranges = arena_array(session->arena, 2, sizeof *ranges);
    ranges[0].nulls = true;
    plan.order = ORDER_UPDATED;
    plan.ranges = ranges;
    plan.range_count = 2;
    return plan;
}

void plan_columns(struct session *session, struct plan *plan, const char *names)
{
    size_t *columns = arena_array(session->arena, plan->relation->column_count, sizeof *columns), count = 0;
    char *list = arena_strdup(session->arena, names), *rest = NULL;
    for (char *name = strtok_r(list, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
        columns[count++] = column_index(plan->relation, name);
    plan->columns = columns;
    plan->column_count = count;
}

/* rows */

static struct value value_copy(struct session *session, const struct value *from)
{
    struct value value = *from;
    switch (value.kind) {
    case KIND_NULL:
    case KIND_BOOL:
    case KIND_INT:
    case KIND_UINT:
    case KIND_DATETIME:
    case KIND_DATE:
        break;
    case KIND_LIST:
        value.list.items = row_copy(session, from->list.items, from->list.count);
        break;
    default:
        value.text.bytes = arena_copy(session->arena, from->text.bytes, from->text.len);
    }
    return value;
}

const struct value *row_copy(struct session *session, const struct value *row, size_t count)
{
    struct value *copy = arena_array(session->arena, count, sizeof *copy);
    for (size_t i = 0; i < count; i++)
        copy[i] = value_copy(session, row + i);
    return copy;
}

static size_t plan_values(const struct plan *plan)
{
    return plan->column_count + (plan->xmin ? 1 : 0);
}

struct rows read_all(struct session *session, const struct plan *plan)
{
    const struct driver *driver = contract->driver;
    const struct value *row;
    struct rows rows = {0};
    size_t room = 0;
    if (driver->read_open(session->conn, plan, &session->err))
        fail_msg("read_open: %s", session->err.text);
    int more;
    while ((more = driver->read_next(session->conn, &row, &session->err)) == 1) {
        if (rows.count == room) {
            room = room ? 2 * room : 16;
            const struct value **grown = arena_array(session->arena, room, sizeof *grown);
            if (rows.count)
                memcpy(grown, rows.row, rows.count * sizeof *grown);
            rows.row = grown;
        }
        rows.row[rows.count++] = row_copy(session, row, plan_values(plan));
    }
    if (more)
        fail_msg("read_next: %s", session->err.text);
    assert_int_equal(driver->read_close(session->conn), 0);
    return rows;
}

static void value_render(struct buf *out, const struct value *value)
{
    switch (value->kind) {
    case KIND_NULL:
        buf_puts(out, "NULL");
        break;
    case KIND_BOOL:
        buf_puts(out, value->boolean ? "true" : "false");
        break;
    case KIND_UINT:
        buf_printf(out, "%" PRIu64, value->natural);
        break;
    case KIND_INT:
    case KIND_DATETIME:
    case KIND_DATE:
        buf_printf(out, "%" PRId64, value->integer);
        break;
    case KIND_BYTES:
    case KIND_UUID:
        for (size_t i = 0; i < value->text.len; i++)
            buf_printf(out, "%02x", (unsigned char)value->text.bytes[i]);
        break;
    case KIND_LIST:
        buf_putc(out, '[');
        for (size_t i = 0; i < value->list.count; i++) {
            buf_puts(out, i ? "," : "");
            value_render(out, value->list.items + i);
        }
        buf_putc(out, ']');
        break;
    default:
        buf_put(out, value->text.bytes, value->text.len);
    }
}

const char *rows_text(struct session *session, const struct rows *rows, size_t values)
{
    struct buf out = {0};
    for (size_t i = 0; i < rows->count; i++)
        for (size_t j = 0; j < values; j++) {
            buf_puts(&out, j ? "|" : i ? " " : "");
            value_render(&out, rows->row[i] + j);
        }
    const char *text = arena_strdup(session->arena, buf_text(&out));
    buf_free(&out);
    return text;
}

const char *read_text(struct session *session, const struct plan *plan)
{
    struct rows rows = read_all(session, plan);
    return rows_text(session, &rows, plan_values(plan));
}

/* positions */

struct position *position_of(struct session *session, const struct plan *plan, const struct value *row)
{
    const struct relation *relation = plan->relation;
    struct position *position = arena_alloc(session->arena, sizeof *position);
    struct value *key = arena_array(session->arena, relation->key_count, sizeof *key);
    for (size_t i = 0; i < relation->key_count; i++)
        key[i] = row[relation->key[i]];
    position->key = key;
    if (plan->updated != SIZE_MAX && row[plan->updated].kind != KIND_NULL)
        position->updated = row + plan->updated;
    return position;
}

void plan_resume(struct session *session, struct plan *plan, const struct value *row)
{
    struct position *position = position_of(session, plan, row);
    struct range *ranges = arena_array(session->arena, 2, sizeof *ranges);
    bool among_nulls = plan->order == ORDER_UPDATED && !position->updated;
    ranges[0].nulls = among_nulls;
    ranges[0].after = position;
    plan->ranges = ranges;
    plan->range_count = among_nulls ? 2 : 1;
}

void expect_error(struct session *session, int result, enum err_code code)
{
    assert_int_equal(result, -1);
    if (session->err.code != code)
        fail_msg("expected error %d, got %d: %s", (int)code, (int)session->err.code, session->err.text);
    assert_true(session->err.text[0]);
}
