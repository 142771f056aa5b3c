/* The state of full syncs, in tables beside the target: see sql/mysql/state.sql.
 *
 * Who locks whom: a transaction locks the one row of its table and sink, shared or exclusively, and only then
 * does anything else. Without tables, or without the row, there is nothing to lock: a transaction that found
 * none counts as one from before the first sequence, also if it commits while that runs. */
#include "db/mysql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/sql.h"

enum { NO_SUCH_TABLE = 1146, DENIED = 1142 };

void mydb_put_schema(struct buf *out, const struct target *target)
{
    const char *at = target->relation->from + 1;
    while (*at && !(at[0] == '`' && at[1] != '`'))
        at += at[0] == '`' ? 2 : 1;
    buf_put(out, target->relation->from, (size_t)(at + 1 - target->relation->from));
    buf_putc(out, '.');
}

/* There, _ and % stand for other characters; written so they stand for themselves. */
void mydb_put_all(struct buf *out, const struct target *target)
{
    struct buf schema = {0};
    mydb_put_schema(&schema, target);
    for (size_t i = 0; i < schema.len; i++) {
        if (strchr("_%\\", schema.data[i]))
            buf_putc(out, '\\');
        buf_putc(out, schema.data[i]);
    }
    buf_putc(out, '*');
    out->failed = out->failed || buf_failed(&schema);
    buf_free(&schema);
}

/* statements */

/* Each % of the text is the schema and its point. */
static void put_sql(struct mydb_statement *statement, const struct target *target, const char *sql)
{
    for (; *sql; sql++)
        if (*sql == '%')
            mydb_put_schema(&statement->sql, target);
        else
            buf_putc(&statement->sql, *sql);
}

/* NULL is SQL's. Ids and names are bytes. */
static int bind_bytes(struct mydb_statement *statement, const char *text, struct err *err)
{
    if (mydb_bind_text(statement, text ? text : "", text ? strlen(text) : 0, err))
        return -1;
    statement->binds[statement->count - 1].buffer_type = text ? MYSQL_TYPE_BLOB : MYSQL_TYPE_NULL;
    return 0;
}

static int bind_number(struct mydb_statement *statement, uint64_t number, struct err *err)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    const char *copy = arena_strdup(statement->arena, text);
    return copy ? mydb_bind_text(statement, copy, strlen(copy), err) : err_memory(err);
}

static int bind_sink(struct mydb_statement *statement, const struct target *target, struct err *err)
{
    return bind_bytes(statement, target->relation->title, err) || bind_bytes(statement, target->sink, err)
               ? -1
               : 0;
}

static int open_statement(struct mydb_statement *statement, const struct target *target, const char *sql,
                          struct err *err)
{
    mydb_thread();
    *statement = (struct mydb_statement){.arena = arena_new()};
    if (!statement->arena)
        return err_memory(err);
    put_sql(statement, target, sql);
    return 0;
}

static void close_statement(struct mydb_statement *statement)
{
    buf_free(&statement->sql);
    arena_free(statement->arena);
}

static const char *about(const struct target *target, char what[160])
{
    snprintf(what, 160, "cannot keep the state of full syncs of %s", target->relation->title);
    return what;
}

/* Executes it when all was bound, and closes it. */
static int finish(struct conn *conn, struct mydb_statement *statement, const struct target *target,
                  int failed, struct err *err)
{
    char what[160];
    if (!failed)
        failed = mydb_execute(conn, statement, about(target, what), NULL, err);
    close_statement(statement);
    conn->doomed = conn->doomed || failed;
    return failed ? -1 : 0;
}

/* Runs a statement about the sink: its last two parameters are the target and the sink, those before are
 * texts. */
static int run(struct conn *conn, const struct target *target, const char *sql, const char *first,
               const char *second, struct err *err)
{
    struct mydb_statement statement;
    int failed = open_statement(&statement, target, sql, err);
    if (!failed && first)
        failed = bind_bytes(&statement, first, err);
    if (!failed && second)
        failed = bind_bytes(&statement, second, err);
    return finish(conn, &statement, target, failed || bind_sink(&statement, target, err), err);
}

/* rows */

enum { FIELDS_MAX = 5 };

/* Reads the first row of what the statement gives, all fields as text into arena (NULL is NULL). Returns 1, 0
 * when there is none, or -1; *number is the error's. */
static int ask(struct conn *conn, struct mydb_statement *statement, const char *what, size_t count,
               const char *fields[FIELDS_MAX], struct arena *arena, unsigned *number, struct err *err)
{
    static const struct column text = {
        .name = "state", .type = "text", .kind = KIND_BYTES, .number = MYSQL_TYPE_BLOB};
    static const struct column *const columns[FIELDS_MAX] = {&text, &text, &text, &text, &text};
    MYSQL_STMT *stmt = mysql_stmt_init(conn->mysql);
    struct mydb_cells *cells = mydb_cells_new(columns, count, what, err);
    const struct value *row = NULL;
    int got = stmt && cells ? 0 : err_memory(err);
    if (!got)
        got = mydb_execute_on(conn, stmt, statement, what, err);
    *number = stmt ? mysql_stmt_errno(stmt) : 0;
    if (!got)
        got = mydb_cells_bind(conn, cells, stmt, err) ? -1 : mydb_cells_fetch(conn, cells, stmt, &row, err);
    for (size_t i = 0; got > 0 && i < count; i++) {
        fields[i] = row[i].kind == KIND_NULL ? NULL : arena_copy(arena, row[i].text.bytes, row[i].text.len);
        if (row[i].kind != KIND_NULL && !fields[i])
            got = err_memory(err);
    }
    if (stmt)
        mysql_stmt_close(stmt);
    mydb_cells_free(cells);
    conn->busy = false;
    return got;
}

static uint64_t number_of(const char *text)
{
    return text ? strtoull(text, NULL, 10) : 0;
}

/* Whether the role has any right on the state's first table, or nobody knows. */
static bool is_seen(struct conn *conn, const struct target *target)
{
    struct buf sql = {0};
    MYSQL_RES *rows = NULL;
    buf_puts(&sql, "SHOW TABLES FROM ");
    mydb_put_schema(&sql, target);
    sql.len -= sql.len ? 1 : 0;
    buf_puts(&sql, " LIKE 'sesam\\_sql\\_sync'");
    if (buf_text(&sql) && mydb_run(conn, sql.data, "cannot look for the state of full syncs", NULL) == 0)
        rows = mysql_store_result(conn->mysql);
    bool seen = !rows || mysql_num_rows(rows) > 0;
    if (rows)
        mysql_free_result(rows);
    buf_free(&sql);
    return seen;
}

/* To a role without any right on a table it makes no difference whether that exists: it began no full sync. One that
 * has some right, but may not read it, must not take a sync that is open for none. */
static bool is_absent(struct conn *conn, const struct target *target, unsigned number)
{
    return number == NO_SUCH_TABLE || (number == DENIED && !is_seen(conn, target));
}

/* making the tables */

static int tables_missing(const struct target *target, struct err *err)
{
    struct buf schema = {0};
    mydb_put_schema(&schema, target);
    schema.len -= schema.len ? 1 : 0;
    const char *name = buf_text(&schema);
    err_hint(
        err,
        "let somebody who may run what 'sesam-sql ddl mysql' prints in database %s (tables sesam_sql_sync,"
        " sesam_sql_request, sesam_sql_retired), and GRANT SELECT, INSERT, UPDATE, DELETE on them TO the "
        "role; or"
        " GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON %s.* TO the role",
        name ? name : "?", name ? name : "?");
    buf_free(&schema);
    return -1;
}

static int state_failed(struct conn *conn, const struct target *target, unsigned number, const struct err *own,
                        struct err *err)
{
    conn->doomed = true;
    err_set(err, own->code, "%s", own->text);
    return number == DENIED ? tables_missing(target, err) : err_hint(err, "%s", own->hint);
}

/* 1: all of them are there, 0: one is not, or -1. */
static int have_tables(struct conn *conn, const struct target *target, struct err *err)
{
    struct mydb_statement statement;
    const char *fields[FIELDS_MAX];
    unsigned number = 0;
    struct err own = {0};
    char what[160];
    int got =
        open_statement(&statement, target,
                       "SELECT CAST(1 AS BINARY) FROM %sesam_sql_sync, %sesam_sql_request, %sesam_sql_retired"
                       " LIMIT 0",
                       err);
    if (!got)
        got = ask(conn, &statement, about(target, what), 1, fields, statement.arena, &number, &own);
    close_statement(&statement);
    if (got < 0 && number == NO_SUCH_TABLE)
        return 0;
    if (got < 0) {
        err_set(err, own.code, "%s", own.text);
        return own.code == ERR_DATABASE ? tables_missing(target, err) : -1;
    }
    return 1;
}

/* Runs one statement of state.sql, with the schema before the table's name. */
static int make_table(struct conn *conn, const struct target *target, const char *sql, const char *end,
                      struct err *err)
{
    struct buf text = {0};
    char what[160];
    struct err own = {0};
    const char *name = strstr(sql, "sesam_sql_");
    int failed = -1;
    if (!name || name >= end)
        return 0;
    buf_put(&text, sql, (size_t)(name - sql));
    mydb_put_schema(&text, target);
    buf_put(&text, name, (size_t)(end - name));
    if (!buf_text(&text))
        err_memory(err);
    else if (mydb_run(conn, text.data, about(target, what), &own))
        err_set(err, own.code, "%s", own.text);
    else
        failed = 0;
    buf_free(&text);
    return failed && own.code == ERR_DATABASE ? tables_missing(target, err) : failed;
}

/* A session that only reads makes no tables. */
static int make_tables(struct conn *conn, const struct target *target, struct err *err)
{
    char what[160];
    int failed = mydb_run(conn, "SET SESSION TRANSACTION READ WRITE", about(target, what), err);
    const char *sql = sql_mysql_state;
    for (const char *end; !failed && (end = strstr(sql, ";\n")); sql = end + 2) {
        const char *start = strstr(sql, "CREATE ");
        failed = start && start < end ? make_table(conn, target, start, end, err) : 0;
    }
    return mydb_run(conn, "SET SESSION TRANSACTION READ ONLY", about(target, what), err) || failed ? -1 : 0;
}

/* The sink's row, in a transaction of its own. */
static int make_row(struct conn *conn, const struct target *target, struct err *err)
{
    char what[160];
    if (mydb_run(conn, "START TRANSACTION READ WRITE", about(target, what), err))
        return -1;
    int failed =
        run(conn, target, "INSERT IGNORE INTO %sesam_sql_sync (target, sink) VALUES (?, ?)", NULL, NULL, err);
    conn->doomed = false;
    return mydb_run(conn, failed ? "ROLLBACK" : "COMMIT", about(target, what), err) || failed ? -1 : 0;
}

/* 1: it is there, 0: it is not, or -1. */
static int have_row(struct conn *conn, const struct target *target, struct err *err)
{
    struct mydb_statement statement;
    const char *fields[FIELDS_MAX];
    unsigned number;
    char what[160];
    int got = open_statement(&statement, target,
                             "SELECT sink FROM %sesam_sql_sync WHERE target = ? AND sink = ?", err);
    if (!got)
        got = bind_sink(&statement, target, err)
                  ? -1
                  : ask(conn, &statement, about(target, what), 1, fields, statement.arena, &number, err);
    close_statement(&statement);
    return got;
}

int mydb_sync_prepare(struct conn *conn, const struct target *target, struct err *err)
{
    mydb_thread();
    int have = have_tables(conn, target, err);
    if (have < 0 || (!have && make_tables(conn, target, err)))
        return -1;
    have = have_row(conn, target, err);
    return have ? (have < 0 ? -1 : 0) : make_row(conn, target, err);
}

/* the state */

/* Reads it with the lock. 1, 0: there is none, or -1. */
static int lock_row(struct conn *conn, const struct target *target, bool exclusive, struct sync_state *state,
                    struct arena *arena, unsigned *number, struct err *err)
{
    struct mydb_statement statement;
    const char *fields[FIELDS_MAX];
    char what[160];
    int got =
        open_statement(&statement, target,
                       "SELECT sequence_id, request_id, CAST(is_open AS BINARY), CAST(requests AS BINARY),"
                       " CAST(entities AS BINARY) FROM %sesam_sql_sync WHERE target = ? AND sink = ?",
                       err);
    buf_puts(&statement.sql, exclusive ? " FOR UPDATE" : " LOCK IN SHARE MODE");
    if (!got)
        got = bind_sink(&statement, target, err)
                  ? -1
                  : ask(conn, &statement, about(target, what), FIELDS_MAX, fields, arena, number, err);
    close_statement(&statement);
    memset(state, 0, sizeof *state);
    if (got <= 0)
        return got;
    *state = (struct sync_state){.exists = true,
                                 .open = number_of(fields[2]),
                                 .sequence_id = fields[0],
                                 .request_id = fields[1],
                                 .requests = number_of(fields[3]),
                                 .entities = number_of(fields[4])};
    return 1;
}

/* Somebody may have taken the row away: whoever wants to keep others out makes it again, and holds it so. */
int mydb_sync_lock(struct conn *conn, const struct target *target, bool exclusive, struct sync_state *state,
                   struct arena *arena, struct err *err)
{
    struct err own = {0};
    unsigned number = 0;
    int got = lock_row(conn, target, exclusive, state, arena, &number, &own);
    if (got < 0 && is_absent(conn, target, number))
        return 0;
    if (!got && exclusive) {
        if (run(conn, target, "INSERT IGNORE INTO %sesam_sql_sync (target, sink) VALUES (?, ?)", NULL, NULL,
                err))
            return -1;
        got = lock_row(conn, target, true, state, arena, &number, &own);
    }
    return got >= 0 ? 0 : state_failed(conn, target, number, &own, err);
}

int mydb_sync_receipt(struct conn *conn, const struct target *target, const char *sequence_id,
                      const char *request_id, struct receipt *receipt, struct arena *arena, struct err *err)
{
    struct mydb_statement statement;
    const char *fields[FIELDS_MAX];
    unsigned number;
    char what[160];
    memset(receipt, 0, sizeof *receipt);
    int got = open_statement(&statement, target,
                             "SELECT request_id, digest, CAST(answer AS BINARY) FROM %sesam_sql_request"
                             " WHERE sequence_id = ? AND request_id = ? AND target = ? AND sink = ?",
                             err);
    if (!got)
        got = bind_bytes(&statement, sequence_id, err) || bind_bytes(&statement, request_id, err) ||
                      bind_sink(&statement, target, err)
                  ? -1
                  : ask(conn, &statement, about(target, what), 3, fields, arena, &number, err);
    close_statement(&statement);
    if (got > 0)
        *receipt = (struct receipt){.request_id = fields[0], .digest = fields[1], .answer = fields[2]};
    conn->doomed = conn->doomed || got < 0;
    return got < 0 ? -1 : 0;
}

int mydb_sync_is_over(struct conn *conn, const struct target *target, const char *sequence_id, bool *over,
                      struct err *err)
{
    struct mydb_statement statement;
    const char *fields[FIELDS_MAX];
    unsigned number = 0;
    char what[160];
    struct err own = {0};
    int got = open_statement(
        &statement, target,
        "SELECT sequence_id FROM %sesam_sql_retired WHERE sequence_id = ? AND target = ? AND sink = ?"
        " UNION ALL SELECT sequence_id FROM %sesam_sql_sync"
        " WHERE sequence_id = ? AND target = ? AND sink = ? AND is_open = 0",
        &own);
    for (int i = 0; i < 2 && !got; i++)
        got = bind_bytes(&statement, sequence_id, &own) || bind_sink(&statement, target, &own);
    if (!got)
        got = ask(conn, &statement, about(target, what), 1, fields, statement.arena, &number, &own);
    close_statement(&statement);
    *over = got > 0;
    return got >= 0 || is_absent(conn, target, number) ? 0 : state_failed(conn, target, number, &own, err);
}

/* changing it */

int mydb_sync_begin(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err)
{
    static const char retire[] = "INSERT IGNORE INTO %sesam_sql_retired (target, sink, sequence_id, retired)"
                                 " SELECT target, sink, sequence_id, UTC_TIMESTAMP(6) FROM %sesam_sql_sync"
                                 " WHERE sequence_id IS NOT NULL AND target = ? AND sink = ?";
    static const char forget[] =
        "DELETE FROM %sesam_sql_retired"
        " WHERE retired < UTC_TIMESTAMP() - INTERVAL 7 DAY AND target = ? AND sink = ?";
    static const char empty[] = "DELETE FROM %sesam_sql_request WHERE target = ? AND sink = ?";
    static const char *const before[] = {retire, forget, empty};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        if (run(conn, target, before[i], NULL, NULL, err))
            return -1;
    return run(
        conn, target,
        "INSERT INTO %sesam_sql_sync (sequence_id, is_open, started, changed, target, sink)"
        " VALUES (?, 1, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), ?, ?) ON DUPLICATE KEY UPDATE"
        " sequence_id = VALUES(sequence_id), is_open = 1, request_id = NULL, requests = 0, entities = 0,"
        " started = VALUES(started), changed = VALUES(changed)",
        sequence_id, NULL, err);
}

/* What follows on a list that is too long for one statement: the receipt is in the first. */
static int add_part(struct conn *conn, const struct target *target, const struct sync_state *state,
                    const char *seen, size_t seen_len, const struct receipt *receipt, struct err *err)
{
    struct mydb_statement statement;
    int failed = open_statement(
        &statement, target,
        "INSERT INTO %sesam_sql_request (sequence_id, n, request_id, digest, answer, seen, target,"
        " sink) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        err);
    failed = failed || bind_bytes(&statement, state->sequence_id, err) ||
             (receipt ? bind_number(&statement, state->requests, err) : bind_bytes(&statement, NULL, err)) ||
             bind_bytes(&statement, receipt ? receipt->request_id : NULL, err) ||
             bind_bytes(&statement, receipt ? receipt->digest : NULL, err) ||
             (receipt ? mydb_bind_text(&statement, receipt->answer, strlen(receipt->answer), err)
                      : bind_bytes(&statement, NULL, err)) ||
             mydb_bind_text(&statement, seen, seen_len, err) || bind_sink(&statement, target, err);
    return finish(conn, &statement, target, failed, err);
}

/* The end of what can go into one statement: whole items of the list, of which each begins a line. */
static size_t part_end(const char *seen, size_t len, size_t from, size_t most)
{
    if (len - from <= most)
        return len;
    size_t end = from + most;
    while (end > from && seen[end] != '\n')
        end--;
    if (end == from) /* one that is longer than that */
        while (end < len && (seen[end] != '\n' || end == from))
            end++;
    return end;
}

/* Calls add for each part of the list, as a list of its own. */
int mydb_each_part(const char *seen, size_t len, size_t most, struct err *err,
                   int (*add)(void *arg, const char *part, size_t part_len, struct err *err), void *arg)
{
    struct buf part = {0};
    size_t from = len > 0 ? 1 : 0, last = len > 0 ? len - 1 : 0;
    int failed = 0;
    do {
        size_t end = part_end(seen, last, from, most);
        buf_reset(&part);
        buf_putc(&part, '[');
        buf_put(&part, seen + from, end - from);
        if (end < last)
            part.len--; /* the comma before the next line */
        buf_putc(&part, ']');
        failed = buf_text(&part) ? add(arg, part.data, part.len, err) : err_memory(err);
        from = end;
    } while (!failed && from < last);
    buf_free(&part);
    return failed;
}

struct adding {
    struct conn *conn;
    const struct target *target;
    const struct sync_state *state;
    const struct receipt *receipt;
};

/* Each begins a line, and there are no others. */
static size_t count_items(const char *seen, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += seen[i] == '\n';
    return count;
}

static int add(void *arg, const char *part, size_t len, struct err *err)
{
    struct adding *adding = arg;
    int failed = add_part(adding->conn, adding->target, adding->state, part, len, adding->receipt, err);
    adding->receipt = NULL;
    return failed;
}

int mydb_sync_add(struct conn *conn, const struct target *target, const struct sync_state *state,
                  const char *seen, size_t seen_len, const struct receipt *receipt, struct err *err)
{
    struct adding adding = {.conn = conn, .target = target, .state = state, .receipt = receipt};
    struct mydb_statement statement;
    if (mydb_packet(conn, err) || mydb_each_part(seen, seen_len, conn->packet, err, add, &adding))
        return -1;
    if (!receipt)
        return 0;
    int failed = open_statement(
        &statement, target,
        "UPDATE %sesam_sql_sync SET request_id = ?, entities = entities + ?, requests = requests + 1,"
        " changed = UTC_TIMESTAMP(6) WHERE target = ? AND sink = ?",
        err);
    failed = failed || bind_bytes(&statement, receipt->request_id, err) ||
             bind_number(&statement, count_items(seen, seen_len), err) || bind_sink(&statement, target, err);
    return finish(conn, &statement, target, failed, err);
}

int mydb_sync_end(struct conn *conn, const struct target *target, const char *sequence_id, struct err *err)
{
    return run(conn, target,
               "DELETE FROM %sesam_sql_request WHERE request_id IS NULL AND target = ? AND sink = ?", NULL,
               NULL, err) ||
                   run(conn, target,
                       "UPDATE %sesam_sql_request SET seen = NULL WHERE target = ? AND sink = ?", NULL, NULL,
                       err) ||
                   run(conn, target,
                       "UPDATE %sesam_sql_sync SET is_open = 0, changed = UTC_TIMESTAMP(6) WHERE sequence_id "
                       "= ?"
                       " AND target = ? AND sink = ?",
                       sequence_id, NULL, err)
               ? -1
               : 0;
}

/* Each item begins a line, so that a long list can be cut. */
int mydb_seen(const struct target *target, const struct row *row, struct buf *out, struct err *err)
{
    buf_puts(out, out->len && out->data[out->len - 1] == '[' ? "\n" : ",\n");
    mydb_put_key(out, target, row);
    return buf_failed(out) ? err_memory(err) : 0;
}
