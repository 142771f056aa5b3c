/* Rows written one by one, each call by one prepared statement. */
#include "db/sqlite.h"

#include <string.h>

enum verb { INSERT, UPDATE, ERASE };

static const char *const attempts[] = {"inserting rows", "updating rows", "deleting rows"};

/* statements */

static size_t column_at(const struct write *write, size_t i)
{
    return write->target->columns[write->places[i]];
}

/* The column's own default is the first version, where there is one. */
static bool left_out(const struct write *write, const struct special *special)
{
    return special->kind == SPECIAL_NEXT && write->target->relation->columns[special->column].defaulted;
}

static void put_insert(struct buf *sql, const struct write *write)
{
    const struct relation *relation = write->target->relation;
    const struct special *specials = write->specials;
    buf_printf(sql, "INSERT INTO %s (", relation->from);
    for (size_t i = 0; i < write->place_count; i++) {
        buf_puts(sql, i ? ", " : "");
        sqlite_identifier(sql, relation->columns[column_at(write, i)].name);
    }
    for (size_t i = 0; i < write->special_count; i++)
        if (!left_out(write, &specials[i])) {
            buf_puts(sql, ", ");
            sqlite_identifier(sql, relation->columns[specials[i].column].name);
        }
    buf_puts(sql, ") VALUES (");
    for (size_t i = 0; i < write->place_count; i++)
        buf_puts(sql, i ? ", ?" : "?");
    for (size_t i = 0; i < write->special_count; i++)
        if (!left_out(write, &specials[i])) {
            buf_puts(sql, ", ");
            sqlite_put_special(sql, relation, &specials[i], true);
        }
    buf_putc(sql, ')');
}

static void put_update(struct buf *sql, const struct write *write)
{
    const struct relation *relation = write->target->relation;
    const char *comma = "";
    buf_printf(sql, "UPDATE %s SET ", relation->from);
    for (size_t i = 0; i < write->place_count; i++, comma = ", ") {
        buf_puts(sql, comma);
        sqlite_identifier(sql, relation->columns[column_at(write, i)].name);
        buf_puts(sql, " = ?");
    }
    for (size_t i = 0; i < write->special_count; i++, comma = ", ") {
        buf_puts(sql, comma);
        sqlite_identifier(sql, relation->columns[write->specials[i].column].name);
        buf_puts(sql, " = ");
        sqlite_put_special(sql, relation, &write->specials[i], false);
    }
    sqlite_put_key(sql, relation);
}

static int prepare(struct conn *conn, const struct write *write, enum verb verb, sqlite3_stmt **stmt,
                   struct err *err)
{
    struct buf sql = {0};
    if (verb == INSERT) {
        put_insert(&sql, write);
    } else if (verb == UPDATE) {
        put_update(&sql, write);
    } else {
        buf_printf(&sql, "DELETE FROM %s", write->target->relation->from);
        sqlite_put_key(&sql, write->target->relation);
    }
    int failed = sqlite_prepare(conn, buf_text(&sql), stmt, attempts[verb], err);
    buf_free(&sql);
    return failed;
}

/* faults */

static bool ends_with(const char *text, const char *ending, const char *mark)
{
    size_t len = strlen(text), tail = strlen(ending), before = strlen(mark);
    return len >= tail + before && strcmp(text + len - tail, ending) == 0 &&
           strncmp(text + len - tail - before, mark, before) == 0;
}

/* "NOT NULL constraint failed: t.c", "cannot store TEXT value in INTEGER column t.c"; of a UNIQUE constraint
 * over several columns none is at fault alone. */
static size_t column_told(const struct relation *relation, const char *message)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < relation->column_count; i++) {
        char *name = sqlite3_mprintf("%s.%s", relation->title, relation->columns[i].name);
        if (name && (ends_with(message, name, "failed: ") || ends_with(message, name, "column ")))
            found = i;
        sqlite3_free(name);
    }
    return found;
}

static void tell_fault(struct conn *conn, const struct relation *relation, size_t row, struct fault *fault)
{
    int rc = sqlite3_extended_errcode(conn->db);
    fault->row = row;
    fault->duplicate =
        rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_ROWID;
    if ((rc & 0xFF) == SQLITE_CONSTRAINT)
        fault->column = column_told(relation, sqlite3_errmsg(conn->db));
}

/* A trigger can pass a row over (RAISE(IGNORE)), and would again. */
static int not_written(struct conn *conn, const struct write *write, enum verb verb, struct err *err)
{
    const struct relation *relation = write->target->relation;
    if (verb == INSERT || relation->triggers)
        return err_set(err, ERR_VALUE, "system '%s': %s: a trigger of %s left one out", conn->system->name,
                       attempts[verb], relation->title);
    return err_set(err, ERR_RACE, "system '%s': %s: a row of %s is not there any more", conn->system->name,
                   attempts[verb], relation->title);
}

/* rows */

static int bind_row(struct conn *conn, sqlite3_stmt *stmt, const struct write *write, enum verb verb,
                    const struct row *row, struct err *err)
{
    size_t places = verb == ERASE ? 0 : write->place_count,
           specials = verb == ERASE ? 0 : write->special_count;
    for (size_t i = 0; i < places; i++) {
        int rc = sqlite_bind_value(stmt, (int)i + 1, &row->values[write->places[i]]);
        if (rc != SQLITE_OK)
            return sqlite_fail(conn, rc, attempts[verb], err);
    }
    int number = sqlite_bind_specials(conn, stmt, (int)places + 1, write->specials, specials, err);
    if (number < 0 || verb == INSERT)
        return number < 0 ? -1 : 0;
    return sqlite_bind_key(conn, stmt, number, write->target, row, err);
}

static int write_row(struct conn *conn, sqlite3_stmt *stmt, const struct write *write, enum verb verb,
                     size_t row, struct fault *fault, struct err *err)
{
    fault->row = row;
    if (atomic_load_explicit(&conn->cancelled, memory_order_relaxed))
        return sqlite_fail(conn, SQLITE_INTERRUPT, attempts[verb], err);
    if (bind_row(conn, stmt, write, verb, write->rows[row], err))
        return -1;
    if (sqlite_step(conn, stmt, attempts[verb], err) < 0) {
        tell_fault(conn, write->target->relation, row, fault);
        return -1;
    }
    if (sqlite3_changes(conn->db) != 1)
        return not_written(conn, write, verb, err);
    sqlite3_reset(stmt);
    return 0;
}

static int write_rows(struct conn *conn, const struct write *write, enum verb verb, struct fault *fault,
                      struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    *fault = (struct fault){.row = SIZE_MAX, .column = SIZE_MAX};
    if (sqlite_transaction_check(conn, err))
        return -1;
    if (verb == UPDATE && write->place_count + write->special_count == 0)
        return 0; /* there is nothing to set */
    int failed = prepare(conn, write, verb, &stmt, err);
    for (size_t i = 0; i < write->row_count && !failed; i++)
        failed = write_row(conn, stmt, write, verb, i, fault, err);
    sqlite3_finalize(stmt);
    return failed;
}

int sqlite_insert(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    return write_rows(conn, write, INSERT, fault, err);
}

int sqlite_update(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    return write_rows(conn, write, UPDATE, fault, err);
}

int sqlite_erase(struct conn *conn, const struct write *write, struct fault *fault, struct err *err)
{
    return write_rows(conn, write, ERASE, fault, err);
}
