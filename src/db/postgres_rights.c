/* What a role may do with a sink's table and the tables of full syncs. */
#include "db/postgres.h"

#include <string.h>

static const char what[] = "cannot ask for the role's rights";

/* Appends ARRAY['a', 'b']::text[], the names of columns. */
static int put_names(struct conn *conn, struct buf *sql, const struct target *target, const size_t *columns, size_t count,
                     const struct config_sink *sink, struct err *err)
{
    const char *const specials[] = {sink->timestamp, sink->lock.kind == LOCK_COLUMN ? sink->lock.column : NULL};
    const char *link = "";
    int failed = 0;
    buf_puts(sql, "ARRAY[");
    for (size_t i = 0; i < count + 2 && !failed; i++) {
        const char *name = i < count ? target->relation->columns[columns[i]].name : specials[i - count];
        if (!name)
            continue;
        buf_puts(sql, link);
        failed = postgres_literal(conn, sql, name, strlen(name), err);
        link = ", ";
    }
    buf_puts(sql, "]::text[]");
    return failed;
}

/* A right on the table is one on all columns; a role may have it on those only that it needs. */
static int put_question(struct conn *conn, struct buf *sql, const struct config_sink *sink, const struct target *target,
                        struct err *err)
{
    size_t key = target->relation->key_count;
    buf_puts(sql, "SELECT pg_catalog.format('GRANT %s ON TABLE %s TO %I;', pg_catalog.string_agg(w.r, ', '), $1::text,"
                  " current_user) FROM (VALUES ('SELECT', ");
    if (put_names(conn, sql, target, target->reads, target->read_count, sink, err))
        return -1;
    buf_puts(sql, "), ('INSERT', ");
    if (put_names(conn, sql, target, target->columns, target->column_count, sink, err))
        return -1;
    buf_puts(sql, "), ('UPDATE', ");
    if (put_names(conn, sql, target, target->columns + key, target->column_count - key, sink, err))
        return -1;
    buf_puts(sql, ")");
    if (sink->deletes == DELETES_DELETE)
        buf_puts(sql, ", ('DELETE', NULL)");
    buf_puts(sql, ") w (r, columns) WHERE NOT pg_catalog.has_table_privilege($1, w.r) AND CASE WHEN w.columns IS NULL"
                  " THEN true ELSE EXISTS (SELECT FROM pg_catalog.unnest(w.columns) c"
                  " WHERE NOT pg_catalog.has_column_privilege($1, c, w.r)) END HAVING count(*) > 0");
    return 0;
}

/* Appends the first field of each row as a line. */
static int put_lines(struct conn *conn, struct buf *sql, const char *const *values, size_t count, struct buf *lines,
                     struct err *err)
{
    if (!buf_text(sql))
        return err_memory(err);
    PGresult *result = postgres_query(conn, sql->data, count, values, what, err);
    for (int i = 0; result && i < PQntuples(result); i++)
        buf_printf(lines, "%s\n", PQgetvalue(result, i, 0));
    PQclear(result);
    return result ? 0 : -1;
}

int postgres_rights(struct conn *conn, const struct config_sink *sink, const struct target *target, struct buf *mend,
                    struct err *err)
{
    struct buf sql = {0};
    int failed = put_question(conn, &sql, sink, target, err) ||
                 put_lines(conn, &sql, &target->relation->from, 1, mend, err);
    buf_free(&sql);
    return failed ? -1 : 0;
}

/* The columns of the system catalogues that tell the names can be read by everybody. */
int postgres_reading(struct conn *conn, const char *schema, const char *table, struct buf *mend, struct err *err)
{
    struct buf sql = {0};
    buf_puts(&sql,
             "SELECT pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I;', n.nspname, current_user)"
             " FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
             " UNION ALL SELECT pg_catalog.format('GRANT SELECT ON TABLE %I.%I TO %I;', n.nspname, c.relname, current_user)"
             " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
             " WHERE c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND CASE WHEN $1 IS NULL"
             " THEN c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident($2)) ELSE n.nspname = $1 END"
             " AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')");
    int failed = put_lines(conn, &sql, (const char *const[]){schema, table}, 2, mend, err);
    buf_free(&sql);
    return failed;
}

/* Rights on the tables that are there. */
static int state_rights(struct conn *conn, const char *schema, struct buf *mend, struct err *err)
{
    struct buf sql = {0};
    buf_puts(&sql, "SELECT pg_catalog.format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s.%s TO %I;', $1::text, t,"
                   " current_user) FROM (VALUES ('sesam_sql_sync'), ('sesam_sql_request'), ('sesam_sql_retired')) v (t)"
                   " WHERE EXISTS (SELECT FROM (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) w (r)"
                   " WHERE NOT pg_catalog.has_table_privilege($1 || '.' || t, r))");
    int failed = put_lines(conn, &sql, &schema, 1, mend, err);
    buf_free(&sql);
    return failed;
}

static int look(struct conn *conn, const char *schema, struct tables *tables, struct err *err)
{
    static const char sql[] =
        "SELECT n.oid IS NOT NULL AND NOT EXISTS (SELECT FROM (VALUES ('sesam_sql_sync'), ('sesam_sql_request'),"
        " ('sesam_sql_retired')) v (t) WHERE pg_catalog.to_regclass(pg_catalog.quote_ident(n.nspname) || '.' || t) IS NULL),"
        " coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false),"
        " pg_catalog.format('GRANT USAGE, CREATE ON SCHEMA %s TO %I;', coalesce($1, 'public'), current_user)"
        " FROM (SELECT coalesce($1::text, pg_catalog.quote_ident(pg_catalog.current_schema()::text)) AS name) wanted"
        " LEFT JOIN pg_catalog.pg_namespace n ON pg_catalog.quote_ident(n.nspname) = wanted.name"
        " OR '\"' || pg_catalog.replace(n.nspname, '\"', '\"\"') || '\"' = wanted.name";
    PGresult *result = postgres_query(conn, sql, 1, &schema, what, err);
    if (!result)
        return -1;
    tables->there = PQgetvalue(result, 0, 0)[0] == 't';
    tables->may = PQgetvalue(result, 0, 1)[0] == 't' ? MAY : MAY_NOT;
    if (tables->may == MAY_NOT)
        buf_printf(&tables->mend, "%s\n", PQgetvalue(result, 0, 2));
    PQclear(result);
    return 0;
}

int postgres_tables(struct conn *conn, const struct config_sink *sink, const struct target *target,
                    struct tables *tables, struct err *err)
{
    struct buf schema = {0};
    int failed = 0;
    if (target)
        postgres_schema(&schema, target);
    else if (sink->schema)
        failed = postgres_identifier(conn, &schema, sink->schema, err);
    const char *name = schema.len ? buf_text(&schema) : NULL;
    if (!failed && schema.len && !name)
        failed = err_memory(err);
    if (!failed)
        failed = look(conn, name, tables, err);
    if (!failed && target && tables->there) {
        buf_reset(&tables->mend);
        failed = state_rights(conn, name, &tables->mend, err);
    }
    buf_free(&schema);
    return failed;
}
