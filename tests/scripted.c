#include "scripted.h"

#include <stdlib.h>
#include <string.h>

struct conn {
    struct script *script;
    unsigned number; /* the first one opened is 1 */
    const struct plan *plan;
    void *row; /* memory of its own for each row, so that a sanitizer sees who keeps it */
    size_t given;
};

void script_begin(struct script *script)
{
    *script = (struct script){.system = {.name = "test",
                                         .type = DATABASE_SQLITE,
                                         .timezone = "UTC",
                                         .pool_size = 10,
                                         .pool_timeout = 600,
                                         .pool_recycle = 3600}};
}

/* Uses up one failure of a list. */
static int fail_if_told(const enum err_code **list, const char *what, struct err *err)
{
    if (!*list || !**list)
        return 0;
    enum err_code code = *(*list)++;
    return err_set(err, code, "the script lets %s fail", what);
}

static int script_open(struct conn **conn, const struct config_system *system, struct err *err)
{
    struct script *script = (struct script *)system;
    if (fail_if_told(&script->open_fails, "open", err))
        return -1;
    *conn = calloc(1, sizeof **conn);
    if (!*conn)
        return err_memory(err);
    (*conn)->script = script;
    (*conn)->number = atomic_fetch_add(&script->opened, 1) + 1;
    unsigned now = atomic_fetch_add(&script->open_now, 1) + 1, most = script->most_open;
    while (now > most && !atomic_compare_exchange_weak(&script->most_open, &most, now))
        ;
    return 0;
}

static void script_close(struct conn *conn)
{
    if (!conn)
        return;
    atomic_fetch_add(&conn->script->closed, 1);
    atomic_fetch_sub(&conn->script->open_now, 1);
    free(conn->row);
    free(conn);
}

static bool script_alive(struct conn *conn)
{
    return conn->number > conn->script->dead;
}

static void script_cancel(struct conn *conn)
{
    atomic_fetch_add(&conn->script->cancelled, 1);
}

static int script_ping(struct conn *conn, struct err *err)
{
    return script_alive(conn) ? 0 : err_set(err, ERR_LOST, "the script let this connection die");
}

static const char *script_server(struct conn *conn)
{
    (void)conn;
    return "Script 1";
}

static int script_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                           struct relation **relation, struct err *err)
{
    struct script *script = conn->script;
    (void)subject;
    atomic_fetch_add(&script->described, 1);
    if (fail_if_told(&script->describe_fails, "describe", err))
        return -1;
    *relation = arena_alloc(arena, sizeof **relation);
    if (!*relation)
        return err_memory(err);
    **relation = script->relation;
    return 0;
}

static int script_read_open(struct conn *conn, const struct plan *plan, struct err *err)
{
    struct script *script = conn->script;
    atomic_fetch_add(&script->reads, 1);
    conn->plan = plan;
    conn->given = 0;
    script->plan = *plan;
    if (plan->range_count)
        memcpy(script->ranges, plan->ranges, plan->range_count * sizeof *plan->ranges);
    return fail_if_told(&script->read_fails, "read_open", err);
}

static bool has_text(const struct value *value)
{
    return value->kind == KIND_FLOAT || value->kind == KIND_DECIMAL || value->kind == KIND_TEXT ||
           value->kind == KIND_BYTES || value->kind == KIND_UUID || value->kind == KIND_JSON;
}

/* Values and their texts in one piece of memory. Lists are borrowed from the script. */
static struct value *copy_row(const struct plan *plan, const struct value *from)
{
    size_t size = plan->column_count * sizeof *from;
    for (size_t i = 0; i < plan->column_count; i++)
        size += has_text(&from[plan->columns[i]]) ? from[plan->columns[i]].text.len : 0;
    struct value *row = malloc(size);
    char *texts = (char *)(row + plan->column_count);
    for (size_t i = 0; row && i < plan->column_count; i++) {
        row[i] = from[plan->columns[i]];
        if (!has_text(&row[i]) || !row[i].text.len)
            continue;
        memcpy(texts, row[i].text.bytes, row[i].text.len);
        row[i].text.bytes = texts;
        texts += row[i].text.len;
    }
    return row;
}

static int script_read_next(struct conn *conn, const struct value **row, struct err *err)
{
    struct script *script = conn->script;
    free(conn->row);
    conn->row = NULL;
    if (script->at_row)
        script->at_row(script->at_row_arg, conn->given);
    if (script->row_error && conn->given == script->row_fails)
        return err_set(err, script->row_error, "the script lets row %zu fail", conn->given);
    if (conn->given == script->row_count || conn->given == conn->plan->limit)
        return 0;
    conn->row = copy_row(conn->plan, script->rows + conn->given * script->relation.column_count);
    if (!conn->row)
        return err_memory(err);
    conn->given++;
    *row = conn->row;
    return 1;
}

static int script_read_close(struct conn *conn)
{
    atomic_fetch_add(&conn->script->read_closes, 1);
    free(conn->row);
    conn->row = NULL;
    conn->plan = NULL;
    return conn->script->broken_by_close ? -1 : 0;
}

const struct driver script_driver = {
    .type = "script",
    .open = script_open,
    .close = script_close,
    .alive = script_alive,
    .cancel = script_cancel,
    .ping = script_ping,
    .server = script_server,
    .describe = script_describe,
    .read_open = script_read_open,
    .read_next = script_read_next,
    .read_close = script_read_close,
};
