/* What a role may do with a sink's table and the tables of full syncs. The catalogue tells little of rights that come
 * with roles; a statement that is only explained needs the same ones as when it runs. */
#include "db/mysql.h"

#include <stdio.h>
#include <string.h>

static const char what[] = "cannot ask for the role's rights";

static bool is_right(unsigned number)
{
    return number == 1044 || number == 1142 || number == 1143 || number == 1227;
}

/* The first field of the only row, into text. */
static int ask(struct conn *conn, const char *sql, char *text, size_t size, struct err *err)
{
    *text = '\0';
    if (mydb_run(conn, sql, what, err))
        return -1;
    MYSQL_RES *rows = mysql_store_result(conn->mysql);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    if (row && row[0])
        snprintf(text, size, "%s", row[0]);
    if (rows)
        mysql_free_result(rows);
    return rows ? 0 : mydb_failed(conn, what, err);
}

/* 1: the role may run it, 0: it lacks a right, or -1. */
static int may_run(struct conn *conn, struct buf *statement, struct err *err)
{
    struct err own = {0};
    char ignored[8];
    if (!buf_text(statement))
        return err_memory(err);
    if (ask(conn, statement->data, ignored, sizeof ignored, &own) == 0 || own.code == ERR_VALUE)
        return 1; /* no right was in the way, a column without a default was */
    return is_right(mysql_errno(conn->mysql)) ? 0 : err_set(err, own.code, "%s", own.text);
}

static void put_columns(struct buf *out, const struct target *target, size_t from, const char *suffix)
{
    for (size_t i = from; i < target->column_count; i++) {
        const char *name = target->relation->columns[target->columns[i]].name;
        buf_puts(out, i > from ? ", " : "");
        mydb_name(out, name);
        if (*suffix) {
            buf_puts(out, suffix);
            mydb_name(out, name);
        }
    }
}

/* Writes the statement that needs the right, and NULL where none does. */
static const char *put_probe(struct buf *out, const struct config_sink *sink, const struct target *target, int right)
{
    const char *from = target->relation->from;
    size_t key = target->relation->key_count;
    buf_reset(out);
    switch (right) {
    case 0:
        buf_printf(out, "EXPLAIN INSERT INTO %s (", from);
        put_columns(out, target, 0, "");
        buf_puts(out, ") SELECT ");
        put_columns(out, target, 0, "");
        buf_printf(out, " FROM %s WHERE 1 = 0", from);
        return "INSERT";
    case 1:
        if (target->column_count == key)
            return NULL;
        buf_printf(out, "EXPLAIN UPDATE %s SET ", from);
        put_columns(out, target, key, " = ");
        buf_puts(out, " WHERE 1 = 0");
        return "UPDATE";
    default:
        buf_printf(out, "EXPLAIN DELETE FROM %s WHERE 1 = 0", from);
        return sink->deletes == DELETES_DELETE ? "DELETE" : NULL;
    }
}

static int put_grant(struct conn *conn, const char *rights, const char *on, struct buf *mend, struct err *err)
{
    char role[512];
    if (ask(conn, "SELECT CONCAT(QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', 1)), '@',"
                  " QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)))", role, sizeof role, err))
        return -1;
    buf_printf(mend, "GRANT %s ON %s TO %s;\n", rights, on, role);
    return 0;
}

/* One column that may be read is enough for the statement; the others are told by the description. */
int mydb_reading(struct conn *conn, const char *schema, const char *table, struct buf *mend, struct err *err)
{
    struct buf from = {0}, statement = {0};
    mydb_thread();
    mydb_name(&from, schema ? schema : conn->system->database);
    buf_putc(&from, '.');
    mydb_name(&from, table);
    buf_printf(&statement, "SELECT 1 FROM %s LIMIT 0", buf_text(&from) ? from.data : "");
    struct err own = {0};
    int may = may_run(conn, &statement, &own);
    int failed = may ? 0 : put_grant(conn, "SELECT", from.data, mend, err);
    if (may < 0 && own.code != ERR_CHANGED)
        failed = err_set(err, own.code, "%s", own.text);
    buf_free(&from);
    buf_free(&statement);
    return failed;
}

/* Explaining a statement that writes is writing to a session that only reads; nothing is. */
int mydb_rights(struct conn *conn, const struct config_sink *sink, const struct target *target, struct buf *mend,
                struct err *err)
{
    struct buf statement = {0};
    char missing[64] = "";
    mydb_thread();
    int failed = mydb_begin(conn, true, conn->system->pool_timeout, err);
    for (int right = 0; right < 3 && !failed; right++) {
        const char *name = put_probe(&statement, sink, target, right);
        int may = name ? may_run(conn, &statement, err) : 1;
        failed = may < 0 ? -1 : 0;
        if (!may) {
            size_t len = strlen(missing);
            snprintf(missing + len, sizeof missing - len, "%s%s", len ? ", " : "", name);
        }
    }
    if (mydb_rollback(conn))
        failed = err_set(err, ERR_LOST, "%s", what);
    if (!failed && *missing)
        failed = put_grant(conn, missing, target->relation->from, mend, err);
    buf_free(&statement);
    return failed;
}

/* Appends the schema's name as a literal, or DATABASE(). */
static int put_schema(struct conn *conn, struct buf *out, const struct config_sink *sink, struct err *err)
{
    size_t len = sink->schema ? strlen(sink->schema) : 0;
    if (!sink->schema) {
        buf_puts(out, "DATABASE()");
        return 0;
    }
    buf_putc(out, '\'');
    if (buf_reserve(out, 2 * len + 1))
        return err_memory(err);
    out->len += mysql_real_escape_string(conn->mysql, out->data + out->len, sink->schema, (unsigned long)len);
    buf_putc(out, '\'');
    return 0;
}

/* What a role has of another role is not told here: then nobody knows. */
static int ask_right(struct conn *conn, const char *schema, enum may *may, struct err *err)
{
    struct buf sql = {0};
    char answer[16] = "";
    const char *role = "CONCAT(QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', 1)), '@',"
                       " QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', -1)))";
    buf_printf(&sql,
               "SELECT (SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE = 'CREATE' AND"
               " GRANTEE = %s) + (SELECT COUNT(*) FROM information_schema.SCHEMA_PRIVILEGES WHERE PRIVILEGE_TYPE ="
               " 'CREATE' AND GRANTEE = %s AND %s LIKE TABLE_SCHEMA)", role, role, schema);
    int failed = buf_text(&sql) ? ask(conn, sql.data, answer, sizeof answer, err) : err_memory(err);
    *may = *answer > '0' ? MAY : MAY_UNKNOWN;
    buf_free(&sql);
    return failed;
}

static int ask_tables(struct conn *conn, const char *schema, bool *there, struct err *err)
{
    struct buf sql = {0};
    char answer[16] = "";
    buf_printf(&sql,
               "SELECT COUNT(*) = 3 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN"
               " ('sesam_sql_sync', 'sesam_sql_request', 'sesam_sql_retired')", schema);
    int failed = buf_text(&sql) ? ask(conn, sql.data, answer, sizeof answer, err) : err_memory(err);
    *there = *answer == '1';
    buf_free(&sql);
    return failed;
}

enum { STATE_TABLES = 3 };
static const char *const state_tables[STATE_TABLES] = {"sesam_sql_sync", "sesam_sql_request", "sesam_sql_retired"};

/* What the state's tables are asked for. None of it is done. */
static const struct {
    const char *right, *before, *behind;
} state_rights[] = {{"SELECT", "SELECT 1 FROM ", " LIMIT 0"},
                    {"INSERT", "EXPLAIN INSERT INTO ", " (target) VALUES ('')"},
                    {"UPDATE", "EXPLAIN UPDATE ", " SET target = '' WHERE 1 = 0"},
                    {"DELETE", "EXPLAIN DELETE FROM ", " WHERE 1 = 0"}};

/* 1, 0 or -1. table has its schema before it. */
static int may_on_state(struct conn *conn, const char *table, size_t right, struct err *err)
{
    struct buf sql = {0};
    buf_printf(&sql, "%s%s%s", state_rights[right].before, table, state_rights[right].behind);
    int may = may_run(conn, &sql, err);
    buf_free(&sql);
    return may;
}

static int probe_table(struct conn *conn, const char *table, struct buf *mend, struct err *err)
{
    char missing[64] = "";
    for (size_t i = 0; i < sizeof state_rights / sizeof *state_rights; i++) {
        int may = may_on_state(conn, table, i, err);
        if (may < 0)
            return -1;
        size_t len = strlen(missing);
        if (!may)
            snprintf(missing + len, sizeof missing - len, "%s%s", len ? ", " : "", state_rights[i].right);
    }
    return *missing ? put_grant(conn, missing, table, mend, err) : 0;
}

/* The end of a full sync makes a table that only its session sees; whether the role may is known by making one. */
static int probe_temporary(struct conn *conn, const struct target *target, const char *schema, struct buf *mend,
                           struct err *err)
{
    struct buf make = {0}, drop = {0}, all = {0};
    struct err own = {0};
    int failed = -1;
    buf_printf(&make, "CREATE TEMPORARY TABLE %ssesam_sql_check (k INT)", schema);
    buf_printf(&drop, "DROP TEMPORARY TABLE %ssesam_sql_check", schema);
    mydb_put_all(&all, target);
    if (!buf_text(&make) || !buf_text(&drop) || !buf_text(&all))
        err_memory(err);
    else if (mydb_run(conn, make.data, what, &own) == 0)
        failed = mydb_run(conn, drop.data, what, err);
    else if (is_right(mysql_errno(conn->mysql)))
        failed = put_grant(conn, "CREATE TEMPORARY TABLES", all.data, mend, err);
    else
        err_set(err, own.code, "%s", own.text);
    buf_free(&make);
    buf_free(&drop);
    buf_free(&all);
    return failed;
}

static int probe_tables(struct conn *conn, const char *schema, struct buf *mend, struct err *err)
{
    int failed = 0;
    for (size_t i = 0; i < STATE_TABLES && !failed; i++) {
        struct buf table = {0};
        buf_printf(&table, "%s%s", schema, state_tables[i]);
        failed = buf_text(&table) ? probe_table(conn, table.data, mend, err) : err_memory(err);
        buf_free(&table);
    }
    return failed;
}

/* Rights on tables that are not there, as far as the role sees: it makes them by itself where it may, and can only use
 * what it made where it has the rights beforehand. */
static int probe_absent(struct conn *conn, const char *schema, struct tables *tables, struct err *err)
{
    struct buf sql = {0};
    struct err ignored = {0};
    char nothing[8];
    buf_printf(&sql, "SELECT 1 FROM %ssesam_sql_sync LIMIT 0", schema);
    int failed = buf_text(&sql) ? 0 : err_memory(err);
    bool denied = !failed && ask(conn, sql.data, nothing, sizeof nothing, &ignored) && is_right(mysql_errno(conn->mysql));
    for (size_t i = 0; i < STATE_TABLES && denied && !failed; i++) {
        buf_reset(&sql);
        buf_printf(&sql, "%s%s", schema, state_tables[i]);
        failed = buf_text(&sql) ? put_grant(conn, "CREATE, SELECT, INSERT, UPDATE, DELETE", sql.data, &tables->mend, err)
                                : err_memory(err);
    }
    if (denied)
        tables->may = MAY_NOT;
    buf_free(&sql);
    return failed;
}

static int probe_state(struct conn *conn, const struct target *target, struct tables *tables, struct err *err)
{
    struct buf schema = {0};
    mydb_put_schema(&schema, target);
    const char *name = buf_text(&schema);
    int failed = name ? mydb_begin(conn, true, conn->system->pool_timeout, err) : err_memory(err);
    if (!failed) {
        failed = tables->there ? probe_tables(conn, name, &tables->mend, err) : probe_absent(conn, name, tables, err);
        failed = failed || probe_temporary(conn, target, name, &tables->mend, err);
        if (mydb_rollback(conn))
            failed = err_set(err, ERR_LOST, "%s", what);
    }
    if (tables->mend.len)
        tables->may = MAY_NOT;
    buf_free(&schema);
    return failed;
}

int mydb_tables(struct conn *conn, const struct config_sink *sink, const struct target *target,
                struct tables *tables, struct err *err)
{
    struct buf schema = {0};
    mydb_thread();
    int failed = put_schema(conn, &schema, sink, err);
    if (!failed && !buf_text(&schema))
        failed = err_memory(err);
    failed = failed || ask_tables(conn, schema.data, &tables->there, err) ||
             ask_right(conn, schema.data, &tables->may, err) || (target && probe_state(conn, target, tables, err));
    buf_free(&schema);
    return failed ? -1 : 0;
}
