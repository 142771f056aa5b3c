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

int mydb_tables(struct conn *conn, const struct config_sink *sink, const struct target *target,
                struct tables *tables, struct err *err)
{
    struct buf schema = {0};
    (void)target;
    mydb_thread();
    int failed = put_schema(conn, &schema, sink, err);
    if (!failed && !buf_text(&schema))
        failed = err_memory(err);
    failed = failed || ask_tables(conn, schema.data, &tables->there, err) ||
             ask_right(conn, schema.data, &tables->may, err);
    buf_free(&schema);
    return failed ? -1 : 0;
}
