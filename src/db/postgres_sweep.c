/* What a full sync leaves over in PostgreSQL: the rows of the scope whose keys no request of the sequence has seen.
 * A list of seen keys is a JSON array of the keys' texts, one a row of sesam_sql_request; all of them become one hash
 * table that the target is compared with. Where all lists are runs of integers, only the rows in the gaps between those
 * are looked at. */
#include "db/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* lists */

/* Makes what stands behind begin the content of a JSON string, in place. Returns with out failed if there is no
 * memory. */
static void escape(struct buf *out, size_t begin)
{
    static const char digits[] = "0123456789abcdef";
    size_t more = 0, len = out->len;
    for (size_t i = begin; i < len; i++)
        more += (unsigned char)out->data[i] < ' ' ? 5 : out->data[i] == '"' || out->data[i] == '\\';
    if (!more || buf_reserve(out, more))
        return;
    out->len += more;
    char *to = out->data + out->len;
    for (size_t i = len; i-- > begin;) {
        unsigned char c = (unsigned char)out->data[i];
        if (c < ' ') {
            *--to = digits[c & 15];
            *--to = digits[c >> 4];
            to -= 4;
            memcpy(to, "\\u00", 4);
            continue;
        }
        *--to = (char)c;
        if (c == '"' || c == '\\')
            *--to = '\\';
    }
}

static int put_key(struct buf *out, const struct column *column, const struct value *value, struct err *err)
{
    bool number = value->kind == KIND_INT || value->kind == KIND_UINT;
    if (value->kind == KIND_NULL)
        return err_set(err, ERR_VALUE, "column '%s' of the key is NULL", column->name);
    if (!number)
        buf_putc(out, '"');
    size_t begin = out->len;
    if (postgres_text(out, column, value, err))
        return -1;
    if (!number) {
        escape(out, begin);
        buf_putc(out, '"');
    }
    return 0;
}

int postgres_seen(const struct target *target, const struct row *row, struct buf *out, struct err *err)
{
    const struct relation *relation = target->relation;
    if (out->len && out->data[out->len - 1] != '[')
        buf_putc(out, ',');
    if (relation->key_count > 1)
        buf_putc(out, '[');
    for (size_t i = 0; i < relation->key_count; i++) {
        if (i)
            buf_putc(out, ',');
        if (put_key(out, &relation->columns[target->columns[i]], &row->values[i], err))
            return -1;
    }
    if (relation->key_count > 1)
        buf_putc(out, ']');
    return buf_failed(out) ? err_memory(err) : 0;
}

/* statements */

/* $1 to $3 are target, sink and sequence; the list that comes besides is $4, or $1 if it is all. */
static void put_lists(struct buf *sql, const struct sweep *sweep)
{
    buf_puts(sql, "(");
    if (sweep->sequence_id) {
        buf_puts(sql, "SELECT seen FROM ");
        postgres_schema(sql, sweep->target);
        buf_puts(sql, ".sesam_sql_request WHERE target = $1 AND sink = $2 AND sequence_id = $3 AND seen IS NOT NULL");
    }
    if (sweep->seen)
        buf_puts(sql, sweep->sequence_id ? " UNION ALL SELECT $4::text" : "SELECT $1::text");
    else if (!sweep->sequence_id)
        buf_puts(sql, "SELECT '[]'::text");
    buf_puts(sql, ") AS l(seen)");
}

/* The keys of integers: those of plain lists, and those of runs. */
static void put_integers(struct buf *sql, const struct sweep *sweep, const char *cast)
{
    buf_printf(sql, "e.v::%s AS c0 FROM ", cast);
    put_lists(sql, sweep);
    buf_printf(sql,
               ", pg_catalog.json_array_elements_text(l.seen::json) AS e(v) WHERE pg_catalog.substr(l.seen, 1, 2) <> '[['"
               " UNION ALL SELECT pg_catalog.generate_series((e.v ->> 0)::bigint, (e.v ->> 1)::bigint)::%s FROM ",
               cast);
    put_lists(sql, sweep);
    buf_puts(sql, ", pg_catalog.json_array_elements(l.seen::json) AS e(v) WHERE pg_catalog.substr(l.seen, 1, 2) = '[['");
}

static void put_keys(struct buf *sql, const struct sweep *sweep)
{
    const struct relation *relation = sweep->target->relation;
    bool single = relation->key_count == 1;
    for (size_t i = 0; i < relation->key_count; i++) {
        const char *cast = relation->columns[sweep->target->columns[i]].cast;
        if (single)
            buf_printf(sql, "e.v::%s AS c0", cast);
        else
            buf_printf(sql, "%s(e.v ->> %zu)::%s AS c%zu", i ? ", " : "", i, cast, i);
    }
    buf_puts(sql, " FROM ");
    put_lists(sql, sweep);
    buf_printf(sql, ", pg_catalog.json_array_elements%s(l.seen::json) AS e(v)", single ? "_text" : "");
}

static int put_unseen(struct conn *conn, struct buf *sql, const struct sweep *sweep, struct err *err)
{
    const struct target *target = sweep->target;
    buf_puts(sql, "NOT EXISTS (SELECT FROM (SELECT ");
    if (postgres_has_runs(target))
        put_integers(sql, sweep, target->relation->columns[target->columns[0]].cast);
    else
        put_keys(sql, sweep);
    /* OFFSET 0 keeps the subquery apart: pulled up, each key in the hash table would carry its whole list along. */
    buf_puts(sql, " OFFSET 0) AS s WHERE ");
    for (size_t i = 0; i < target->relation->key_count; i++) {
        buf_puts(sql, i ? " AND " : "");
        if (postgres_column(conn, sql, "t", &target->relation->columns[target->columns[i]], err))
            return -1;
        buf_printf(sql, " = s.c%zu", i);
    }
    buf_puts(sql, ")");
    return 0;
}

/* Between the runs, and before and behind all of them: from one integer to another, both included. Runs of different
 * lists may overlap. The NULL comes last, and stands for the end. */
static void put_gaps(struct buf *sql, const struct sweep *sweep)
{
    static const char lowest[] = "'-9223372036854775808'::bigint", highest[] = "'9223372036854775807'::bigint";
    buf_printf(sql,
               "(SELECT coalesce(w.before + 1, %s), coalesce(w.after - 1, %s) FROM"
               " (SELECT pg_catalog.max(r.last) OVER (ORDER BY r.first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),"
               " r.first FROM (SELECT (e.v ->> 0)::bigint, (e.v ->> 1)::bigint FROM ", lowest, highest);
    put_lists(sql, sweep);
    buf_printf(sql,
               ", pg_catalog.json_array_elements(l.seen::json) AS e(v) UNION ALL SELECT NULL, NULL) AS r(first, last))"
               " AS w(before, after) WHERE w.before IS DISTINCT FROM %s AND w.after IS DISTINCT FROM %s)"
               " AS g(first, last)", highest, lowest);
}

/* "t.c IS [NOT] DISTINCT FROM value" */
static int put_compare(struct conn *conn, struct buf *sql, const struct relation *relation, const struct special *special,
                       bool same, struct err *err)
{
    if (postgres_column(conn, sql, "t", &relation->columns[special->column], err))
        return -1;
    if (special->value.type == CONFIG_NULL) {
        buf_puts(sql, same ? " IS NULL" : " IS NOT NULL");
        return 0;
    }
    /* An index serves equality, and not the other. */
    buf_puts(sql, same ? " = " : " IS DISTINCT FROM ");
    return postgres_special(conn, sql, relation, special, false, err);
}

/* The rows that are the sink's, and alive. */
static int put_scope(struct conn *conn, struct buf *sql, const struct sweep *sweep, const char **link, struct err *err)
{
    const struct relation *relation = sweep->target->relation;
    if (sweep->target->scope) {
        buf_puts(sql, *link);
        *link = " AND ";
        if (put_compare(conn, sql, relation, sweep->target->scope, true, err))
            return -1;
    }
    if (sweep->kind != SWEEP_MARK || !sweep->dead)
        return 0;
    buf_puts(sql, *link);
    *link = " AND ";
    return sweep->dead->kind == SPECIAL_NOW ? put_compare(conn, sql, relation, sweep->live, true, err)
                                            : put_compare(conn, sql, relation, sweep->dead, false, err);
}

static int put_rest(struct conn *conn, struct buf *sql, const struct sweep *sweep, bool gaps, struct err *err)
{
    const char *link = " WHERE ";
    if (gaps) {
        buf_puts(sql, sweep->kind == SWEEP_COUNT ? ", " : " USING ");
        put_gaps(sql, sweep);
        buf_puts(sql, " WHERE ");
        if (postgres_column(conn, sql, "t", &sweep->target->relation->columns[sweep->target->columns[0]], err))
            return -1;
        buf_puts(sql, " BETWEEN g.first AND g.last");
        return 0;
    }
    if (put_scope(conn, sql, sweep, &link, err))
        return -1;
    buf_puts(sql, link);
    return put_unseen(conn, sql, sweep, err);
}

static int put_sweep(struct conn *conn, struct buf *sql, const struct sweep *sweep, bool gaps, struct err *err)
{
    const char *from = sweep->target->relation->from, *link = " SET ";
    if (sweep->kind == SWEEP_COUNT)
        buf_printf(sql, "SELECT pg_catalog.count(*) FROM %s AS t", from);
    else if (sweep->kind == SWEEP_DELETE)
        buf_printf(sql, "DELETE FROM %s AS t", from);
    else {
        buf_printf(sql, "UPDATE %s AS t", from);
        if (postgres_set_specials(conn, sql, sweep->target->relation, sweep->specials, sweep->special_count, &link, err))
            return -1;
    }
    return put_rest(conn, sql, sweep, gaps, err);
}

static int command(struct conn *conn, const char *sql, struct err *err)
{
    PGresult *result = PQexec(conn->pg, sql);
    int failed = PQresultStatus(result) == PGRES_COMMAND_OK
                     ? 0
                     : postgres_write_error(conn, result, "cannot compare the table with what was seen", NULL, NULL, err);
    PQclear(result);
    return failed;
}

static int run(struct conn *conn, const struct sweep *sweep, const char *sql, size_t count, uint64_t *rows,
               struct err *err)
{
    const char *values[4] = {sweep->target->relation->title, sweep->target->sink, sweep->sequence_id, sweep->seen};
    if (!sweep->sequence_id)
        values[0] = sweep->seen;
    PGresult *result = PQexecParams(conn->pg, sql, (int)count, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    int failed = 0;
    if (status == PGRES_TUPLES_OK)
        *rows = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    else if (status == PGRES_COMMAND_OK)
        *rows = strtoull(PQcmdTuples(result), NULL, 10);
    else
        failed = postgres_write_error(conn, result, "cannot compare the table with what was seen",
                                      sweep->target->relation, NULL, err);
    PQclear(result);
    return failed;
}

/* Counted afterwards: those that went are known. */
static int count_scope(struct conn *conn, const struct sweep *sweep, uint64_t gone, uint64_t *total, struct err *err)
{
    struct buf sql = {0};
    const char *link = " WHERE ";
    buf_printf(&sql, "SELECT pg_catalog.count(*) FROM %s AS t", sweep->target->relation->from);
    int failed = put_scope(conn, &sql, sweep, &link, err);
    const char *text = buf_text(&sql);
    if (!failed && !text)
        failed = err_memory(err);
    failed = failed || run(conn, sweep, text, 0, total, err) ? -1 : 0;
    if (!failed && sweep->kind != SWEEP_COUNT)
        *total += gone;
    buf_free(&sql);
    return failed;
}

/* Are all lists runs? Rows of a scope, or that are alive, could be found by an index of their own, and that would be
 * read once for each gap. */
static int ask_gaps(struct conn *conn, const struct sweep *sweep, bool *gaps, struct err *err)
{
    struct buf sql = {0};
    uint64_t others = 0;
    *gaps = postgres_has_runs(sweep->target) && !sweep->target->scope && sweep->kind != SWEEP_MARK &&
            (!sweep->seen || postgres_is_runs(sweep->seen));
    if (!*gaps || !sweep->sequence_id)
        return 0;
    buf_puts(&sql, "SELECT pg_catalog.count(*) FROM ");
    postgres_schema(&sql, sweep->target);
    buf_puts(&sql, ".sesam_sql_request WHERE target = $1 AND sink = $2 AND sequence_id = $3"
                   " AND pg_catalog.substr(seen, 1, 2) NOT IN ('[[', '[]')");
    const char *text = buf_text(&sql);
    int failed = text ? run(conn, sweep, text, 3, &others, err) : err_memory(err);
    *gaps = others == 0;
    buf_free(&sql);
    return failed;
}

static int sweep_rows(struct conn *conn, const struct sweep *sweep, uint64_t enough, uint64_t *rows, uint64_t *total,
                      struct err *err)
{
    static const char hashed[] = "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on;"
                                 " SET LOCAL enable_seqscan = on; SET LOCAL work_mem = '64MB'",
                      looped[] = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
                                 " SET LOCAL enable_seqscan = off; SET LOCAL work_mem TO DEFAULT";
    struct buf sql = {0};
    bool gaps;
    int failed = ask_gaps(conn, sweep, &gaps, err) || put_sweep(conn, &sql, sweep, gaps, err);
    const char *text = buf_text(&sql);
    if (!failed && !text)
        failed = err_memory(err);
    size_t count = sweep->sequence_id ? 3 + (sweep->seen != NULL) : sweep->seen != NULL;
    failed = failed || command(conn, gaps ? looped : hashed, err) || run(conn, sweep, text, count, rows, err);
    if (!failed && *rows > enough)
        failed = command(conn, hashed, err) || count_scope(conn, sweep, *rows, total, err);
    failed = failed || command(conn, looped, err) ? -1 : 0;
    buf_free(&sql);
    return failed;
}

int postgres_sweep(struct conn *conn, const struct sweep *sweep, uint64_t enough, uint64_t *rows, uint64_t *total,
                   struct err *err)
{
    struct sweep kept = *sweep;
    struct buf list = {0};
    *rows = *total = 0;
    if (sweep->seen && postgres_has_runs(sweep->target)) {
        postgres_put_runs(&list, sweep->seen, strlen(sweep->seen));
        kept.seen = buf_text(&list);
    }
    int failed = sweep->seen && !kept.seen ? err_memory(err) : sweep_rows(conn, &kept, enough, rows, total, err);
    buf_free(&list);
    return failed;
}
