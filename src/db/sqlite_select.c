/* The statements of a read. Values are bound: the query's own parameters by their names (:name), ours by
 * names that no configuration can use (@updated, @key0, ...). */
#include "db/sqlite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char attempt[] = "reading";

/* One statement: a range of a plan, or the rest of the tie group before it. */
struct select {
    struct conn *conn;
    const struct plan *plan;
    const struct range *range; /* NULL: everything */
    bool tied;
    uint64_t limit;
};

/* text */

/* Always with its table: SQLite takes a lone "name" that is no column for a string. */
static void put_column(struct buf *sql, const struct select *select, size_t column)
{
    buf_puts(sql, "r.");
    sqlite_identifier(sql, select->plan->relation->columns[column].name);
}

static void put_columns(struct buf *sql, const struct select *select, const size_t *columns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_puts(sql, i ? ", " : "");
        put_column(sql, select, columns[i]);
    }
}

static void put_and(struct buf *sql, size_t *conditions)
{
    buf_puts(sql, (*conditions)++ ? " AND " : " WHERE ");
}

static const struct position *after_of(const struct select *select)
{
    return select->range ? select->range->after : NULL;
}

static void put_updated(struct buf *sql, const struct select *select, size_t *conditions)
{
    const struct range *range = select->range;
    put_and(sql, conditions);
    put_column(sql, select, select->plan->updated);
    if (range->nulls) {
        buf_puts(sql, " IS NULL");
        return;
    }
    if (select->tied)
        buf_puts(sql, " = @updated");
    else if (range->by_key)
        buf_puts(sql, " >= @updated");
    else if (range->after)
        buf_puts(sql, range->after->key ? " > @updated" : " >= @updated");
    else
        buf_puts(sql, " IS NOT NULL");
    if (range->before) {
        put_and(sql, conditions);
        put_column(sql, select, select->plan->updated);
        buf_puts(sql, " < @before");
    }
}

/* Beyond a key, whose parts are bound by this name and their number. */
static void put_key(struct buf *sql, const struct select *select, const char *name)
{
    const struct relation *relation = select->plan->relation;
    buf_putc(sql, '(');
    put_columns(sql, select, relation->key, relation->key_count);
    buf_puts(sql, ") > (");
    for (size_t i = 0; i < relation->key_count; i++)
        buf_printf(sql, "%s@%s%zu", i ? ", " : "", name, i);
    buf_putc(sql, ')');
}

/* By the order of the key: the rows of one updated value that stand before the position are not behind it, and those
 * of a key that was met do not come again. */
static void put_scan(struct buf *sql, const struct select *select, size_t *conditions)
{
    if (after_of(select)->key) {
        put_and(sql, conditions);
        buf_putc(sql, '(');
        put_column(sql, select, select->plan->updated);
        buf_puts(sql, " > @updated OR ");
        put_key(sql, select, "key");
        buf_putc(sql, ')');
    }
    if (select->range->beyond) {
        put_and(sql, conditions);
        put_key(sql, select, "scanned");
    }
}

/* Does the statement stay within one updated value, in the order of the key? */
static bool within_group(const struct select *select)
{
    const struct range *range = select->range;
    return select->plan->order == ORDER_KEY || select->tied || (range && (range->nulls || range->by_key));
}

static void put_where(struct buf *sql, const struct select *select)
{
    size_t conditions = 0;
    const struct position *after = after_of(select);
    if (select->plan->order == ORDER_UPDATED && select->range)
        put_updated(sql, select, &conditions);
    if (select->range && select->range->by_key) {
        put_scan(sql, select, &conditions);
    } else if (after && after->key && within_group(select)) {
        put_and(sql, &conditions);
        put_key(sql, select, "key");
    }
    for (size_t i = 0; i < select->plan->filter_count; i++) {
        const struct filter *filter = &select->plan->filters[i];
        put_and(sql, &conditions);
        buf_puts(sql, filter->unless ? "(" : "");
        put_column(sql, select, filter->column);
        buf_printf(sql, " = @filter%zu", i);
        if (!filter->unless)
            continue;
        buf_puts(sql, " OR ");
        put_column(sql, select, *filter->unless);
        buf_putc(sql, ')');
    }
}

static void put_order(struct buf *sql, const struct select *select)
{
    const struct plan *plan = select->plan;
    if (plan->order == ORDER_NONE)
        return;
    buf_puts(sql, " ORDER BY ");
    if (!within_group(select)) {
        put_column(sql, select, plan->updated);
        buf_puts(sql, plan->relation->key_count ? ", " : "");
    }
    put_columns(sql, select, plan->relation->key, plan->relation->key_count);
}

int sqlite_query_length(const char *query)
{
    size_t len = strlen(query);
    while (len && strchr(" \t\r\n;", query[len - 1]))
        len--;
    return (int)len;
}

static void put_from(struct buf *sql, const struct plan *plan)
{
    if (plan->query)
        buf_printf(sql, " FROM (%.*s\n)", sqlite_query_length(plan->query), plan->query);
    else
        buf_printf(sql, " FROM %s", plan->relation->from);
    buf_puts(sql, " AS r");
}

static void put_select(struct buf *sql, const struct select *select)
{
    const struct plan *plan = select->plan;
    buf_puts(sql, "SELECT ");
    put_columns(sql, select, plan->columns, plan->column_count);
    buf_puts(sql, plan->column_count ? "" : "1");
    put_from(sql, plan);
    put_where(sql, select);
    put_order(sql, select);
    if (select->limit != UINT64_MAX)
        buf_puts(sql, " LIMIT @limit");
}

/* values */

static int no_such_value(const struct select *select, const char *name, const char *why, struct err *err)
{
    return err_set(err, ERR_INPUT, "system '%s': parameter '%s' %s", select->conn->system->name, name, why);
}

/* What does not fit 64 bits is compared as a floating point number, as SQLite's own literals are. */
static int bind_integer(sqlite3_stmt *stmt, int number, const char *text)
{
    errno = 0;
    long long integer = strtoll(text, NULL, 10);
    return errno == ERANGE ? sqlite3_bind_double(stmt, number, strtod(text, NULL))
                           : sqlite3_bind_int64(stmt, number, integer);
}

/* "12" is the integer, "12.5" and "1e3" are floating point numbers: SQLite has no decimals. */
static int bind_number(sqlite3_stmt *stmt, int number, const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    bool whole = *digits && digits[strspn(digits, "0123456789")] == '\0';
    return whole ? bind_integer(stmt, number, text) : sqlite3_bind_double(stmt, number, strtod(text, NULL));
}

static int bind_text(sqlite3_stmt *stmt, int number, const char *bytes, size_t len)
{
    return sqlite3_bind_text64(stmt, number, len ? bytes : "", len, SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_float(sqlite3_stmt *stmt, int number, const struct value *value)
{
    char text[64];
    size_t len = value->text.len < sizeof text ? value->text.len : sizeof text - 1;
    memcpy(text, value->text.bytes, len);
    text[len] = '\0';
    return sqlite3_bind_double(stmt, number, strtod(text, NULL));
}

/* A value as a row gave it, in the storage class it had there. Returns SQLITE_MISMATCH for kinds that no
 * row of ours has. */
int sqlite_bind_value(sqlite3_stmt *stmt, int number, const struct value *value)
{
    switch (value->kind) {
    case KIND_NULL:
        return sqlite3_bind_null(stmt, number);
    case KIND_BOOL:
        return sqlite3_bind_int(stmt, number, value->boolean);
    case KIND_INT:
        return sqlite3_bind_int64(stmt, number, value->integer);
    case KIND_UINT:
        return value->natural <= INT64_MAX ? sqlite3_bind_int64(stmt, number, (int64_t)value->natural)
                                           : sqlite3_bind_double(stmt, number, (double)value->natural);
    case KIND_FLOAT:
        return bind_float(stmt, number, value);
    case KIND_TEXT:
        return bind_text(stmt, number, value->text.bytes, value->text.len);
    case KIND_BYTES:
        return sqlite3_bind_blob64(stmt, number, value->text.len ? value->text.bytes : "", value->text.len,
                                   SQLITE_STATIC);
    default:
        return SQLITE_MISMATCH;
    }
}

int sqlite_bind_scalar(sqlite3_stmt *stmt, int number, const struct config_value *value)
{
    switch (value->type) {
    case CONFIG_BOOL:
        return sqlite3_bind_int(stmt, number, value->boolean);
    case CONFIG_INTEGER:
    case CONFIG_REAL:
        return bind_number(stmt, number, value->text);
    case CONFIG_STRING:
        return bind_text(stmt, number, value->text, strlen(value->text));
    default:
        return sqlite3_bind_null(stmt, number);
    }
}

static bool is_true(const char *text)
{
    return sqlite3_stricmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

/* Datetimes and dates are texts in SQLite and go in as they were sent; datetime(:name) takes any form. */
static int bind_bound(sqlite3_stmt *stmt, int number, const struct bound *bound)
{
    if (!bound->text)
        return sqlite3_bind_null(stmt, number);
    switch (bound->parameter->type) {
    case PARAMETER_INTEGER:
    case PARAMETER_DECIMAL:
        return bind_number(stmt, number, bound->text);
    case PARAMETER_BOOLEAN:
        return sqlite3_bind_int(stmt, number, is_true(bound->text));
    default:
        return bind_text(stmt, number, bound->text, strlen(bound->text));
    }
}

/* Below everything the updated column can hold: its affinity would make a text of -Infinity. */
static int bind_lowest(const struct select *select, sqlite3_stmt *stmt, int number)
{
    const struct plan *plan = select->plan;
    if (plan->updated < plan->relation->column_count &&
        plan->relation->columns[plan->updated].number == AFFINITY_TEXT)
        return bind_text(stmt, number, "", 0);
    return sqlite3_bind_double(stmt, number, -HUGE_VAL);
}

/* :name */
static int bind_query(const struct select *select, sqlite3_stmt *stmt, int number, const char *name,
                      struct err *err)
{
    const struct plan *plan = select->plan;
    for (size_t i = 0; i < plan->bound_count; i++)
        if (strcmp(plan->bounds[i].parameter->name, name) == 0)
            return bind_bound(stmt, number, &plan->bounds[i]);
    if (plan->query && strcmp(name, "since") == 0)
        return plan->since ? sqlite_bind_value(stmt, number, plan->since) : bind_lowest(select, stmt, number);
    err_set(err, ERR_DATABASE, "system '%s': the query uses a parameter ':%s' that is not in 'parameters'",
            select->conn->system->name, name);
    return SQLITE_ERROR;
}

/* @name */
static int bind_own(const struct select *select, sqlite3_stmt *stmt, int number, const char *name)
{
    const struct position *after = after_of(select);
    if (strcmp(name, "limit") == 0)
        return sqlite3_bind_int64(stmt, number,
                                  select->limit < INT64_MAX ? (int64_t)select->limit : INT64_MAX);
    if (strcmp(name, "updated") == 0 && after && after->updated)
        return sqlite_bind_value(stmt, number, after->updated);
    if (strcmp(name, "before") == 0 && select->range && select->range->before)
        return sqlite_bind_value(stmt, number, select->range->before);
    size_t at;
    if (sscanf(name, "key%zu", &at) == 1 && after && after->key && at < select->plan->relation->key_count)
        return sqlite_bind_value(stmt, number, &after->key[at]);
    if (sscanf(name, "scanned%zu", &at) == 1 && select->range && select->range->beyond &&
        at < select->plan->relation->key_count)
        return sqlite_bind_value(stmt, number, &select->range->beyond[at]);
    if (sscanf(name, "filter%zu", &at) == 1 && at < select->plan->filter_count)
        return sqlite_bind_scalar(stmt, number, &select->plan->filters[at].value);
    return SQLITE_RANGE;
}

static int bind_all(const struct select *select, sqlite3_stmt *stmt, struct err *err)
{
    for (int number = 1; number <= sqlite3_bind_parameter_count(stmt); number++) {
        const char *name = sqlite3_bind_parameter_name(stmt, number);
        int rc = SQLITE_RANGE;
        if (name && *name == ':')
            rc = bind_query(select, stmt, number, name + 1, err);
        else if (name && *name == '@')
            rc = bind_own(select, stmt, number, name + 1);
        if (rc == SQLITE_MISMATCH)
            return no_such_value(select, name, "has a type that SQLite does not have", err);
        if (rc != SQLITE_OK)
            return err && err->code ? -1
                                    : sqlite_fail(select->conn, rc, "binding the query's parameters", err);
    }
    return 0;
}

/* From the text to a statement with its values. */
static int prepare(const struct select *select, struct buf *sql, sqlite3_stmt **stmt, struct err *err)
{
    if (sqlite_prepare(select->conn, buf_text(sql), stmt, attempt, err))
        return -1;
    if (!bind_all(select, *stmt, err))
        return 0;
    sqlite3_finalize(*stmt);
    *stmt = NULL;
    return -1;
}

int sqlite_select(struct conn *conn, const struct plan *plan, const struct range *range, bool tied,
                  uint64_t limit, sqlite3_stmt **stmt, struct err *err)
{
    const struct select select = {conn, plan, range, tied, limit};
    struct buf sql = {0};
    put_select(&sql, &select);
    int failed = prepare(&select, &sql, stmt, err);
    buf_free(&sql);
    return failed;
}

/* The last in the order of the stream, which an index gives in one step. */
int sqlite_select_newest(struct conn *conn, const struct plan *plan, sqlite3_stmt **stmt, struct err *err)
{
    const struct select select = {.conn = conn, .plan = plan};
    struct buf sql = {0};
    buf_puts(&sql, "SELECT ");
    put_columns(&sql, &select, &plan->updated, 1);
    put_from(&sql, plan);
    buf_puts(&sql, " ORDER BY 1 DESC LIMIT 1");
    int failed = prepare(&select, &sql, stmt, err);
    buf_free(&sql);
    return failed;
}
