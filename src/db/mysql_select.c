/* Writes the SELECT statement of a range. */
#include "db/mysql.h"

#include <inttypes.h>
#include <string.h>

#include "config/placeholder.h"

void mydb_name(struct buf *out, const char *name)
{
    buf_putc(out, '`');
    for (; *name; name++) {
        if (*name == '`')
            buf_putc(out, '`');
        buf_putc(out, *name);
    }
    buf_putc(out, '`');
}

/* queries */

/* After a token that begins at sql: a quoted text, a comment (then *blank is set), or one character. A
 * comment that MySQL executes counts as text. */
static const char *skip_token(const char *sql, bool *blank)
{
    const char *end;
    *blank = false;
    if (*sql == '\'' || *sql == '"' || *sql == '`') {
        for (end = sql + 1; *end && *end != *sql; end++)
            if (*end == '\\' && *sql != '`' && end[1])
                end++;
        return *end ? end + 1 : end;
    }
    if (*sql == '#' || (sql[0] == '-' && sql[1] == '-' && (!sql[2] || strchr(" \t\r\n", sql[2])))) {
        *blank = true;
        end = strchr(sql, '\n');
        return end ? end + 1 : sql + strlen(sql);
    }
    if (sql[0] == '/' && sql[1] == '*') {
        *blank = sql[2] != '!' && strncmp(sql + 2, "M!", 2) != 0;
        end = strstr(sql + 2, "*/");
        return end ? end + 2 : sql + strlen(sql);
    }
    *blank = strchr(" \t\r\n;", *sql);
    return sql + 1;
}

/* A query may end like a statement, with a semicolon and comments: they are left out, and so it can stand
 * in parentheses. */
static size_t meaning_length(const char *query)
{
    const char *meant = query;
    bool blank;
    for (const char *at = query; *at;) {
        at = skip_token(at, &blank);
        if (!blank)
            meant = at;
    }
    return (size_t)(meant - query);
}

void mydb_wrap(struct buf *out, const char *query)
{
    buf_putc(out, '(');
    buf_put(out, query, meaning_length(query));
    buf_puts(out, "\n) AS q");
}

static int bind_placeholder(struct mydb_statement *statement, const struct plan *plan, const char *name,
                            struct err *err)
{
    for (size_t i = 0; i < plan->bound_count; i++)
        if (strcmp(plan->bounds[i].parameter->name, name) == 0)
            return mydb_bind_parameter(statement, &plan->bounds[i], err);
    if (strcmp(name, "since") != 0 || plan->updated == SIZE_MAX)
        return err_set(err, ERR_DATABASE, "the query names ':%s', which is no parameter", name);
    const struct column *column = &plan->relation->columns[plan->updated];
    return plan->since ? mydb_bind_value(statement, column, plan->since, err)
                       : mydb_bind_lowest(statement, column, err);
}

static int put_from(struct mydb_statement *statement, const struct plan *plan, struct err *err)
{
    struct buf wrapped = {0};
    struct placeholder *list = NULL;
    size_t count = 0, done = 0;
    int failed = -1;
    if (plan->query)
        mydb_wrap(&wrapped, plan->query);
    else
        buf_puts(&wrapped, plan->relation->from);
    const char *from = buf_text(&wrapped);
    if (!from) {
        err_memory(err);
        goto out;
    }
    if (placeholder_find(from, DATABASE_MYSQL, statement->arena, &list, &count, err))
        goto out;
    for (size_t i = 0; i < count; i++) {
        buf_put(&statement->sql, from + done, list[i].start - done);
        buf_putc(&statement->sql, '?');
        done = list[i].end;
        if (bind_placeholder(statement, plan, list[i].name, err))
            goto out;
    }
    buf_puts(&statement->sql, from + done);
    failed = 0;
out:
    buf_free(&wrapped);
    return failed;
}

/* conditions */

/* A column as it is ordered and compared. ENUM and SET order by the number of the member but compare with
 * a text as text, and documents compare by rules of their own: these go by the bytes of their text. */
static void put_ordered(struct buf *out, const struct column *column)
{
    bool by_bytes = column->modifier & (MYDB_ENUM | MYDB_DOCUMENT);
    if (by_bytes)
        buf_puts(out, "CAST(CONVERT(");
    if (by_bytes && column->expression)
        buf_puts(out, column->expression);
    else
        mydb_name(out, column->name);
    if (by_bytes)
        buf_puts(out, " USING utf8mb4) AS BINARY)");
}

static int put_compared(struct mydb_statement *statement, const struct column *column, const char *operator,
                        const struct value *value, struct err *err)
{
    put_ordered(&statement->sql, column);
    buf_printf(&statement->sql, " %s ?", operator);
    return mydb_bind_value(statement, column, value, err);
}

/* (k1 > ? OR (k1 = ? AND (k2 > ? OR ...))) */
static int put_key_after(struct mydb_statement *statement, const struct relation *relation,
                         const struct value *key, struct err *err)
{
    struct buf *out = &statement->sql;
    for (size_t i = 0; i < relation->key_count; i++) {
        const struct column *column = &relation->columns[relation->key[i]];
        buf_putc(out, '(');
        if (put_compared(statement, column, ">", &key[i], err))
            return -1;
        if (i + 1 == relation->key_count)
            break;
        buf_puts(out, " OR (");
        if (put_compared(statement, column, "=", &key[i], err))
            return -1;
        buf_puts(out, " AND ");
    }
    for (size_t i = 0; i < relation->key_count; i++)
        buf_puts(out, i ? "))" : ")");
    return 0;
}

/* (u > ? OR (u = ? AND key > ...)). This form, and not u = ? AND key > ... as a statement of its own, since
 * MariaDB (10.11) reads it as ranges over the whole index on (updated, key) and so begins at the row where
 * it goes on: 1000 index entries for 1000 rows at any place among 100,000 rows with one value. With the
 * equality alone it chooses a look-up by u and walks over all that was sent before: 51,000 entries from the
 * middle, hidden from Handler_read_next in Handler_icp_attempts. A row comparison, (u, key) > (?, ?), uses
 * no range at all, and u >= ? AND (u > ? OR key > ...) walks as the equality does. */
static int put_updated_after(struct mydb_statement *statement, const struct relation *relation,
                             const struct column *updated, const struct position *after, struct err *err)
{
    if (!after->key)
        return put_compared(statement, updated, ">=", after->updated, err);
    buf_putc(&statement->sql, '(');
    if (put_compared(statement, updated, ">", after->updated, err))
        return -1;
    buf_puts(&statement->sql, " OR (");
    if (put_compared(statement, updated, "=", after->updated, err))
        return -1;
    buf_puts(&statement->sql, " AND ");
    if (put_key_after(statement, relation, after->key, err))
        return -1;
    buf_puts(&statement->sql, "))");
    return 0;
}

/* Among the NULLs the same choice of plans has to be made: the alternative that is never true keeps MariaDB
 * from the look-up by u. */
static int put_nulls_after(struct mydb_statement *statement, const struct relation *relation,
                           const struct column *updated, const struct position *after, struct err *err)
{
    struct buf *out = &statement->sql;
    buf_puts(out, "((");
    put_ordered(out, updated);
    buf_puts(out, " IS NULL AND ");
    if (put_key_after(statement, relation, after->key, err))
        return -1;
    buf_puts(out, ") OR ");
    put_ordered(out, updated);
    buf_puts(out, " < NULL)");
    return 0;
}

/* The first page of a full read. It has no bound, and then MariaDB would rather read all rows of a narrow table and sort
 * them than go along the index for a thousand; it does when there is one, if only the lowest value there can be. */
static bool begins_page(const struct plan *plan, const struct range *range)
{
    const struct column *updated = &plan->relation->columns[plan->updated];
    switch (updated->kind) {
    case KIND_INT:
    case KIND_UINT:
    case KIND_DATE:
    case KIND_DATETIME:
        return plan->limit != UINT64_MAX && plan->relation->updated_indexed && !range->nulls && !range->after;
    default:
        return false;
    }
}

static int put_updated_range(struct mydb_statement *statement, const struct plan *plan,
                             const struct range *range, struct err *err)
{
    const struct relation *relation = plan->relation;
    const struct column *updated = &relation->columns[plan->updated];
    const struct position *after = range->after;
    struct buf *out = &statement->sql;
    bool lowest = begins_page(plan, range);
    if (range->nulls && after && after->key)
        return put_nulls_after(statement, relation, updated, after, err);
    if (range->nulls || (!after && !range->before && !lowest)) {
        put_ordered(out, updated);
        buf_puts(out, range->nulls ? " IS NULL" : " IS NOT NULL");
        return 0;
    }
    if (lowest) {
        put_ordered(out, updated);
        buf_puts(out, " >= ?");
        if (mydb_bind_lowest(statement, updated, err))
            return -1;
    }
    if (after && put_updated_after(statement, relation, updated, after, err))
        return -1;
    if (range->beyond) {
        buf_puts(out, " AND ");
        return put_key_after(statement, relation, range->beyond, err);
    }
    if (!range->before)
        return 0;
    buf_puts(out, after || lowest ? " AND " : "");
    return put_compared(statement, updated, "<", range->before, err);
}

static bool range_restricts(const struct plan *plan, const struct range *range)
{
    if (!range || plan->order == ORDER_NONE)
        return false;
    if (plan->order == ORDER_KEY)
        return range->after && range->after->key;
    return range->nulls || range->after || range->before || plan->relation->columns[plan->updated].nullable ||
           begins_page(plan, range);
}

static int put_where(struct conn *conn, struct mydb_statement *statement, const struct plan *plan,
                     const struct range *range, struct err *err)
{
    const char *link = " WHERE ";
    if (range_restricts(plan, range)) {
        buf_puts(&statement->sql, link);
        link = " AND ";
        if (plan->order == ORDER_KEY ? put_key_after(statement, plan->relation, range->after->key, err)
                                     : put_updated_range(statement, plan, range, err))
            return -1;
    }
    for (size_t i = 0; i < plan->filter_count; i++) {
        const struct column *column = &plan->relation->columns[plan->filters[i].column];
        buf_puts(&statement->sql, link);
        link = " AND ";
        buf_puts(&statement->sql, plan->filters[i].unless ? "(" : "");
        put_ordered(&statement->sql, column);
        buf_puts(&statement->sql, " = ?");
        if (mydb_bind_filter(statement, conn, column, &plan->filters[i].value, err))
            return -1;
        if (!plan->filters[i].unless)
            continue;
        buf_puts(&statement->sql, " OR ");
        put_ordered(&statement->sql, &plan->relation->columns[*plan->filters[i].unless]);
        buf_putc(&statement->sql, ')');
    }
    return 0;
}

/* Among NULLs only the key orders, and saying more would make MariaDB sort where the index has the order;
 * but with a position it takes the index as a whole, and must be told to. */
static void put_order(struct buf *out, const struct plan *plan, const struct range *range)
{
    const struct relation *relation = plan->relation;
    if (plan->order == ORDER_NONE)
        return;
    const char *link = " ORDER BY ";
    bool among_nulls = range && range->nulls && !(range->after && range->after->key);
    if (plan->order == ORDER_UPDATED && !among_nulls && !(range && range->by_key)) {
        buf_puts(out, link);
        put_ordered(out, &relation->columns[plan->updated]);
        link = ", ";
    }
    for (size_t i = 0; i < relation->key_count; i++) {
        buf_puts(out, link);
        put_ordered(out, &relation->columns[relation->key[i]]);
        link = ", ";
    }
}

int mydb_select(struct conn *conn, struct mydb_statement *statement, const struct plan *plan,
                const struct range *range, uint64_t limit, struct err *err)
{
    struct buf *out = &statement->sql;
    buf_puts(out, "SELECT ");
    for (size_t i = 0; i < plan->column_count; i++) {
        const struct column *column = &plan->relation->columns[plan->columns[i]];
        buf_puts(out, i ? ", " : "");
        if (column->expression)
            buf_puts(out, column->expression);
        else
            mydb_name(out, column->name);
    }
    buf_puts(out, plan->column_count ? " FROM " : "1 FROM ");
    if (put_from(statement, plan, err) || put_where(conn, statement, plan, range, err))
        return -1;
    put_order(out, plan, range);
    if (limit != UINT64_MAX)
        buf_printf(out, " LIMIT %" PRIu64, limit);
    return buf_text(out) ? 0 : err_memory(err);
}

/* The NULLs come last. */
int mydb_select_newest(struct mydb_statement *statement, const struct plan *plan, struct err *err)
{
    const struct column *column = &plan->relation->columns[plan->updated];
    struct buf *out = &statement->sql;
    buf_puts(out, "SELECT ");
    if (column->expression)
        buf_puts(out, column->expression);
    else
        mydb_name(out, column->name);
    buf_puts(out, " FROM ");
    if (put_from(statement, plan, err))
        return -1;
    buf_puts(out, " ORDER BY ");
    put_ordered(out, column);
    buf_puts(out, " DESC LIMIT 1");
    return buf_text(out) ? 0 : err_memory(err);
}
