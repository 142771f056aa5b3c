/* Writes the SELECT statements of the PostgreSQL driver. COPY takes no parameters, so values stand in them
 * as literals escaped by libpq; names come from the catalogue and are quoted by libpq. */
#include "db/postgres.h"

#include <inttypes.h>
#include <string.h>

#include "config/placeholder.h"
#include "base/iso.h"

static int typed_literal(struct conn *conn, struct buf *out, const char *text, size_t len, const char *type,
                         struct err *err)
{
    if (postgres_literal(conn, out, text, len, err))
        return -1;
    buf_printf(out, "::%s", type);
    return 0;
}

/* A datetime or date as ISO text; the session's zone is UTC. */
static int time_value(struct conn *conn, struct buf *out, const struct column *column, const struct value *value,
                      struct err *err)
{
    char text[ISO_SIZE];
    size_t len = value->kind == KIND_DATE ? iso_date(text, value->integer)
                                          : iso_datetime(text, value->integer, 6, "Z");
    return typed_literal(conn, out, text, len, column->cast, err);
}

static int bytes_value(struct conn *conn, struct buf *out, const struct column *column, const struct value *value,
                       struct err *err)
{
    struct buf hex = {0};
    buf_puts(&hex, "\\x");
    for (size_t i = 0; i < value->text.len; i++)
        buf_printf(&hex, "%02x", (unsigned char)value->text.bytes[i]);
    int failed = buf_failed(&hex) ? err_memory(err) : typed_literal(conn, out, hex.data, hex.len, column->cast, err);
    buf_free(&hex);
    return failed;
}

/* PostgreSQL takes '-1' for the highest number of these types; as a position it is before them all. */
static bool has_no_sign(const struct column *column)
{
    return column->number == PG_XID8 || column->number == PG_OID;
}

int postgres_value(struct conn *conn, struct buf *out, const struct column *column, const struct value *value,
                   struct err *err)
{
    char text[ISO_SIZE];
    switch (value->kind) {
    case KIND_BOOL:
        buf_puts(out, value->boolean ? "true" : "false");
        return 0;
    case KIND_INT:
        /* A bare number takes the type that holds it, so one beyond a smaller column is no error, and the
         * integer types compare with each other by the index. */
        if (column->number == PG_INT2 || column->number == PG_INT4 || column->number == PG_INT8)
            buf_printf(out, "(%" PRId64 ")", value->integer);
        else
            buf_printf(out, "'%" PRId64 "'::%s", has_no_sign(column) && value->integer < 0 ? 0 : value->integer,
                       column->cast);
        return 0;
    case KIND_UINT:
        if (column->number == PG_XID8)
            buf_printf(out, "'%" PRIu64 "'::%s", value->natural, column->cast);
        else
            buf_printf(out, "(%" PRIu64 ")", value->natural);
        return 0;
    case KIND_DATETIME:
    case KIND_DATE:
        return time_value(conn, out, column, value, err);
    case KIND_BYTES:
        return bytes_value(conn, out, column, value, err);
    case KIND_UUID:
        return typed_literal(conn, out, text, iso_uuid(text, value->text.bytes), column->cast, err);
    default:
        return typed_literal(conn, out, value->text.bytes, value->text.len, column->cast, err);
    }
}

/* parameters of queries */

static int bound_literal(struct conn *conn, struct buf *out, const struct bound *bound, struct err *err)
{
    const char *text = bound->text;
    if (!text) {
        buf_puts(out, "NULL");
        return 0;
    }
    switch (bound->parameter->type) {
    case PARAMETER_INTEGER:
    case PARAMETER_DECIMAL:
        buf_printf(out, "(%s)", text); /* digits, checked where they came in */
        return 0;
    case PARAMETER_BOOLEAN:
        buf_puts(out, strcmp(text, "true") == 0 ? "true" : "false");
        return 0;
    case PARAMETER_DATETIME:
        return typed_literal(conn, out, text, strlen(text), "timestamptz", err);
    case PARAMETER_DATE:
        return typed_literal(conn, out, text, strlen(text), "date", err);
    default:
        return postgres_literal(conn, out, text, strlen(text), err);
    }
}

static int since_literal(struct conn *conn, struct buf *out, const struct plan *plan, struct err *err)
{
    if (plan->since)
        return postgres_value(conn, out, &plan->relation->columns[plan->updated], plan->since, err);
    buf_puts(out, "NULL");
    return 0;
}

static int replace_placeholder(struct conn *conn, struct buf *out, const char *name, const struct plan *plan,
                               struct err *err)
{
    if (strcmp(name, "since") == 0)
        return since_literal(conn, out, plan, err);
    for (size_t i = 0; i < plan->bound_count; i++)
        if (strcmp(plan->bounds[i].parameter->name, name) == 0)
            return bound_literal(conn, out, &plan->bounds[i], err);
    return err_set(err, ERR_DATABASE, "the query names ':%s', which is no parameter", name);
}

int postgres_bind(struct conn *conn, struct buf *out, const char *query, const struct plan *plan, struct err *err)
{
    struct arena *arena = arena_new();
    struct placeholder *list = NULL;
    size_t count = 0, done = 0;
    int failed = arena ? placeholder_find(query, DATABASE_POSTGRESQL, arena, &list, &count, err) : err_memory(err);
    for (size_t i = 0; i < count && !failed; i++) {
        buf_put(out, query + done, list[i].start - done);
        failed = replace_placeholder(conn, out, list[i].name, plan, err);
        done = list[i].end;
    }
    if (!failed) {
        const char *rest = query + done;
        size_t len = strlen(rest);
        while (len && strchr("; \t\r\n", rest[len - 1]))
            len--; /* a query that ends like a statement can still be wrapped */
        buf_put(out, rest, len);
    }
    arena_free(arena);
    return failed;
}

/* clauses */

static int put_column(struct conn *conn, struct buf *out, const struct column *column, struct err *err)
{
    /* Always qualified: a bare name in ORDER BY would be the output column, which may be cast to text. */
    buf_puts(out, "t.");
    return postgres_identifier(conn, out, column->name, err);
}

/* plain: the columns as they are, not as they are best read. */
static int put_select(struct conn *conn, struct buf *out, const struct plan *plan, bool plain, struct err *err)
{
    buf_puts(out, "SELECT ");
    for (size_t i = 0; i < plan->column_count; i++) {
        const struct column *column = &plan->relation->columns[plan->columns[i]];
        if (i)
            buf_puts(out, ", ");
        if (put_column(conn, out, column, err))
            return -1;
        if (column->expression && !plain)
            buf_puts(out, column->expression);
    }
    if (plan->xmin)
        buf_puts(out, plan->column_count ? ", t.xmin::text" : "t.xmin::text");
    buf_puts(out, " FROM ");
    return 0;
}

static int put_from(struct conn *conn, struct buf *out, const struct plan *plan, struct err *err)
{
    if (!plan->query) {
        buf_puts(out, plan->relation->from);
    } else {
        buf_putc(out, '(');
        if (postgres_bind(conn, out, plan->query, plan, err))
            return -1;
        buf_puts(out, "\n)");
    }
    buf_puts(out, " AS t");
    return 0;
}

/* (t.u, t.k1, t.k2) > (...): PostgreSQL takes a row comparison as a condition of the index. */
static int put_after(struct conn *conn, struct buf *out, const struct plan *plan, const struct position *after,
                     bool updated, struct err *err)
{
    const struct relation *relation = plan->relation;
    buf_putc(out, '(');
    for (int side = 0; side < 2; side++) {
        size_t parts = 0;
        for (size_t i = 0; i < relation->key_count + 1; i++) {
            bool is_updated = i == 0;
            if (is_updated ? !updated : !after->key)
                continue;
            const struct column *column = &relation->columns[is_updated ? plan->updated : relation->key[i - 1]];
            if (parts++)
                buf_puts(out, ", ");
            if (side == 0 ? put_column(conn, out, column, err)
                          : postgres_value(conn, out, column, is_updated ? after->updated : &after->key[i - 1], err))
                return -1;
        }
        if (side == 0)
            buf_puts(out, after->key ? ") > (" : ") >= (");
    }
    buf_putc(out, ')');
    return 0;
}

/* In this form an index over the column is read from its end. */
int postgres_select_newest(struct conn *conn, struct buf *out, const struct plan *plan, struct err *err)
{
    const struct column *updated = &plan->relation->columns[plan->updated];
    if (put_select(conn, out, plan, false, err) || put_from(conn, out, plan, err))
        return -1;
    buf_puts(out, " WHERE ");
    if (put_column(conn, out, updated, err))
        return -1;
    buf_puts(out, " IS NOT NULL ORDER BY ");
    if (put_column(conn, out, updated, err))
        return -1;
    buf_puts(out, " DESC LIMIT 1");
    return buf_failed(out) ? err_memory(err) : 0;
}

/* The newest row is looked at first: if there is none to be scanned, a planner without statistics may go through all keys
 * to find that out. */
static int put_any(struct conn *conn, struct buf *out, const struct plan *plan, const struct range *range, struct err *err)
{
    const struct column *updated = &plan->relation->columns[plan->updated];
    struct plan newest = *plan;
    newest.columns = &plan->updated;
    newest.column_count = 1;
    newest.xmin = false;
    buf_puts(out, " AND (");
    if (postgres_select_newest(conn, out, &newest, err))
        return -1;
    buf_puts(out, ") >= ");
    return postgres_value(conn, out, updated, range->after->updated, err);
}

static int put_range(struct conn *conn, struct buf *out, const struct plan *plan, const struct range *range,
                     const char **link, struct err *err)
{
    const struct column *updated = plan->updated == SIZE_MAX ? NULL : &plan->relation->columns[plan->updated];
    if (plan->order == ORDER_UPDATED && (range->nulls || (updated->nullable && !range->after))) {
        buf_puts(out, *link);
        *link = " AND ";
        if (put_column(conn, out, updated, err))
            return -1;
        buf_puts(out, range->nulls ? " IS NULL" : " IS NOT NULL");
    }
    if (range->after) {
        buf_puts(out, *link);
        *link = " AND ";
        if (put_after(conn, out, plan, range->after, range->after->updated && !range->nulls, err))
            return -1;
    }
    if (range->by_key && !range->beyond && plan->relation->updated_indexed && !updated->expression &&
        put_any(conn, out, plan, range, err))
        return -1;
    if (range->beyond) {
        const struct position scanned = {.key = range->beyond};
        buf_puts(out, *link);
        *link = " AND ";
        if (put_after(conn, out, plan, &scanned, false, err))
            return -1;
    }
    if (range->before) {
        buf_puts(out, *link);
        *link = " AND ";
        if (put_column(conn, out, updated, err))
            return -1;
        buf_puts(out, " < ");
        return postgres_value(conn, out, updated, range->before, err);
    }
    return 0;
}

static int put_filter(struct conn *conn, struct buf *out, const struct relation *relation, const struct filter *filter,
                      struct err *err)
{
    const struct column *column = &relation->columns[filter->column];
    if (put_column(conn, out, column, err))
        return -1;
    buf_puts(out, " = ");
    if (column->kind == KIND_INT && column->number != PG_OID) {
        buf_printf(out, "(%s)", filter->value.text); /* digits, checked where they came in */
        return 0;
    }
    const char *text = filter->value.type == CONFIG_BOOL ? filter->value.boolean ? "true" : "false" : filter->value.text;
    return typed_literal(conn, out, text, strlen(text), column->cast, err);
}

static int put_filters(struct conn *conn, struct buf *out, const struct plan *plan, const char **link, struct err *err)
{
    for (size_t i = 0; i < plan->filter_count; i++) {
        const struct filter *filter = &plan->filters[i];
        buf_puts(out, *link);
        *link = " AND ";
        buf_puts(out, filter->unless ? "(" : "");
        if (put_filter(conn, out, plan->relation, filter, err))
            return -1;
        if (!filter->unless)
            continue;
        buf_puts(out, " OR ");
        if (put_column(conn, out, &plan->relation->columns[*filter->unless], err))
            return -1;
        buf_putc(out, ')');
    }
    return 0;
}

static int put_order(struct conn *conn, struct buf *out, const struct plan *plan, const struct range *range,
                     struct err *err)
{
    if (plan->order == ORDER_NONE)
        return 0;
    const struct relation *relation = plan->relation;
    const char *link = " ORDER BY ";
    if (plan->order == ORDER_UPDATED && !(range && (range->nulls || range->by_key))) {
        buf_puts(out, link);
        link = ", ";
        if (put_column(conn, out, &relation->columns[plan->updated], err))
            return -1;
    }
    for (size_t i = 0; i < relation->key_count; i++) {
        buf_puts(out, link);
        link = ", ";
        if (put_column(conn, out, &relation->columns[relation->key[i]], err))
            return -1;
    }
    return 0;
}

int postgres_probe(struct conn *conn, struct buf *out, const struct plan *plan, struct err *err)
{
    if (put_select(conn, out, plan, true, err) || put_from(conn, out, plan, err))
        return -1;
    buf_puts(out, " WHERE false");
    return buf_failed(out) ? err_memory(err) : 0;
}

int postgres_select(struct conn *conn, struct buf *out, const struct plan *plan, const struct range *range,
                    uint64_t limit, struct err *err)
{
    const char *link = " WHERE ";
    if (put_select(conn, out, plan, false, err) || put_from(conn, out, plan, err) ||
        (range && put_range(conn, out, plan, range, &link, err)) || put_filters(conn, out, plan, &link, err) ||
        put_order(conn, out, plan, range, err))
        return -1;
    if (limit != UINT64_MAX)
        buf_printf(out, " LIMIT %" PRIu64, limit);
    return buf_failed(out) ? err_memory(err) : 0;
}
