/* Describes tables and queries of PostgreSQL from its catalogue. */
#include "db/postgres.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/nearest.h"
#include "db/relation.h"

struct describing {
    struct conn *conn;
    const struct subject *subject;
    struct arena *arena;
    struct relation *relation;
    struct err *err;
    const char *oid; /* of the table; NULL for a query */
    bool inherited;  /* its rows are also those of others, which its indexes know nothing of */
};

/* tables */

/* The catalogue shows it to everybody; but to a role without USAGE on its schema that is as if it were not in the
 * search path. */
static bool is_hidden(struct describing *d)
{
    static const char sql[] = "SELECT n.nspname, pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, current_user)"
                              " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                              " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = $2"
                              " AND CASE WHEN $1::text IS NOT NULL THEN n.nspname = $1 ELSE EXISTS (SELECT FROM"
                              " pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.current_setting('search_path'), ',')) p"
                              " WHERE pg_catalog.btrim(p) IN (pg_catalog.quote_ident(n.nspname), '\"' || n.nspname || '\"')"
                              " OR (pg_catalog.btrim(p) = '\"$user\"' AND n.nspname = current_user)) END"
                              " AND NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') LIMIT 1";
    struct err ignored = {0};
    PGresult *result = postgres_query(d->conn, sql, 2, (const char *const[]){d->subject->schema, d->subject->table},
                                      "cannot look for the schema", &ignored);
    bool hidden = result && PQntuples(result) == 1;
    if (hidden) {
        err_set(d->err, ERR_DATABASE, "table '%s' is not there for the role, which lacks USAGE on the schema '%s'",
                d->subject->table, PQgetvalue(result, 0, 0));
        err_hint(d->err, "%s", PQgetvalue(result, 0, 1));
    }
    PQclear(result);
    return hidden;
}

static int table_missing(struct describing *d)
{
    static const char names[] = "SELECT c.relname, n.nspname FROM pg_catalog.pg_class c"
                                " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                                " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"
                                " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')";
    const struct subject *subject = d->subject;
    struct err ignored = {0};
    struct nearest nearest;
    if (is_hidden(d))
        return -1;
    err_set(d->err, ERR_CHANGED, "table '%s%s%s' does not exist", subject->schema ? subject->schema : "",
            subject->schema ? "." : "", subject->table);
    PGresult *tables = postgres_query(d->conn, names, 0, NULL, "cannot look for tables", &ignored);
    nearest_begin(&nearest, subject->table);
    for (int i = 0; tables && i < PQntuples(tables); i++)
        nearest_offer(&nearest, PQgetvalue(tables, i, 0));
    for (int i = 0; nearest_found(&nearest) && i < PQntuples(tables); i++)
        if (strcmp(PQgetvalue(tables, i, 0), nearest_found(&nearest)) == 0)
            err_hint(d->err, "did you mean '%s' in schema '%s'?", nearest_found(&nearest), PQgetvalue(tables, i, 1));
    PQclear(tables);
    return err_hint(d->err, "look for its name and schema in the configuration");
}

static int find_table(struct describing *d)
{
    static const char sql[] =
        "SELECT c.oid, n.nspname, c.relname, c.relkind IN ('r', 'p', 'm'),"
        " c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid),"
        " EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal"
        "  AND g.tgenabled <> 'D' AND g.tgtype & 20 <> 0)," /* of insert or update */
        " c.relkind IN ('r', 'p') AND NOT c.relhasrules AND NOT pg_catalog.row_security_active(c.oid)"
        " FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND CASE WHEN $1::text IS NULL"
        " THEN c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident($2)) ELSE n.nspname = $1 AND c.relname = $2 END";
    PGresult *result = postgres_query(d->conn, sql, 2, (const char *const[]){d->subject->schema, d->subject->table},
                                      "cannot look for the table", d->err);
    if (!result)
        return -1;
    int failed = -1;
    struct buf from = {0};
    if (PQntuples(result) == 0) {
        table_missing(d);
        goto out;
    }
    if (postgres_identifier(d->conn, &from, PQgetvalue(result, 0, 1), d->err))
        goto out;
    buf_putc(&from, '.');
    if (postgres_identifier(d->conn, &from, PQgetvalue(result, 0, 2), d->err))
        goto out;
    d->oid = arena_strdup(d->arena, PQgetvalue(result, 0, 0));
    d->relation->indexable = PQgetvalue(result, 0, 3)[0] == 't';
    d->inherited = PQgetvalue(result, 0, 4)[0] == 't';
    d->relation->triggers = PQgetvalue(result, 0, 5)[0] == 't';
    d->relation->bulk = PQgetvalue(result, 0, 6)[0] == 't';
    d->relation->from = buf_text(&from) ? arena_strdup(d->arena, from.data) : NULL;
    d->relation->title = arena_printf(d->arena, "%s.%s", PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2));
    failed = d->oid && d->relation->from && d->relation->title ? 0 : err_memory(d->err);
out:
    buf_free(&from);
    PQclear(result);
    return failed;
}

static int wrap_query(struct describing *d)
{
    struct plan plan = {0};
    struct bound *bounds = arena_array(d->arena, d->subject->parameter_count + 1, sizeof *bounds);
    if (!bounds)
        return err_memory(d->err);
    for (size_t i = 0; i < d->subject->parameter_count; i++)
        bounds[i].parameter = &d->subject->parameters[i];
    plan.bounds = bounds;
    plan.bound_count = d->subject->parameter_count;
    struct buf from = {0};
    int failed = postgres_bind(d->conn, &from, d->subject->query, &plan, d->err);
    if (!failed) {
        d->relation->from = buf_text(&from) ? arena_printf(d->arena, "(%s\n)", from.data) : NULL;
        d->relation->title = "query";
        failed = d->relation->from ? 0 : err_memory(d->err);
    }
    buf_free(&from);
    return failed;
}

/* columns */


/* Lists of the row description as array literals for one look into the catalogue. */
static void array_literals(const PGresult *description, struct buf lists[4])
{
    for (int i = 0; i < PQnfields(description); i++) {
        const char *comma = i ? "," : "{";
        buf_printf(&lists[0], "%s%u", comma, PQftype(description, i));
        buf_printf(&lists[1], "%s%d", comma, PQfmod(description, i));
        buf_printf(&lists[2], "%s%u", comma, PQftable(description, i));
        buf_printf(&lists[3], "%s%d", comma, PQftablecol(description, i));
    }
    for (int i = 0; i < 4; i++)
        buf_puts(&lists[i], PQnfields(description) ? "}" : "{}");
}

/* One row a column: type's name, name for casts, typtype, typcategory, base type of the elements,
 * NOT NULL, whether its collation compares bytes; and for sinks: numbered by the database, computed by it, has a
 * default, whether its collation takes only equal bytes for the same, whether its texts are its binary form, type
 * of the elements. Generated columns and such collations exist since PostgreSQL 12. */
static PGresult *ask_types(struct describing *d, const PGresult *description)
{
    bool old = PQserverVersion(d->conn->pg) < 120000;
    char *sql = arena_printf(
        d->arena,
        "SELECT pg_catalog.format_type(f.type, f.modifier), pg_catalog.format_type(f.type, -1), t.typtype, t.typcategory,"
        " CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN (WITH RECURSIVE base(oid, up) AS ("
        "  SELECT e.oid, e.typbasetype FROM pg_catalog.pg_type e WHERE e.oid = t.typelem UNION ALL"
        "  SELECT e.oid, e.typbasetype FROM pg_catalog.pg_type e JOIN base ON e.oid = base.up)"
        "  SELECT oid FROM base WHERE up = 0) ELSE 0 END,"
        " coalesce(a.attnotnull, false),"
        " coalesce(c.collname IN ('C', 'POSIX', 'ucs_basic') OR (c.collname = 'default' AND"
        "  (SELECT datcollate IN ('C', 'POSIX') FROM pg_catalog.pg_database WHERE datname = current_database())), false),"
        " coalesce(a.attidentity <> '' OR pg_catalog.pg_get_expr(v.adbin, v.adrelid) LIKE 'nextval(%%', false),"
        " coalesce(%s, false), coalesce(a.atthasdef OR a.attidentity <> '' OR own.typdefault IS NOT NULL, false),"
        " coalesce(%s, true), t.typtype = 'e' OR t.typreceive::text IN ('textrecv', 'citextrecv'), t.typelem"
        " FROM unnest($1::oid[], $2::int[], $3::oid[], $4::int[]) WITH ORDINALITY AS f(type, modifier, rel, number, place)"
        " JOIN pg_catalog.pg_type t ON t.oid = f.type"
        " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = f.rel AND a.attnum = f.number AND f.number > 0"
        " LEFT JOIN pg_catalog.pg_collation c ON c.oid = coalesce(a.attcollation, t.typcollation)"
        " LEFT JOIN pg_catalog.pg_attrdef v ON v.adrelid = a.attrelid AND v.adnum = a.attnum"
        " LEFT JOIN pg_catalog.pg_type own ON own.oid = a.atttypid"
        " ORDER BY f.place",
        old ? "a.attidentity = 'a'" : "a.attgenerated <> '' OR a.attidentity = 'a'", old ? "true" : "c.collisdeterministic");
    struct buf lists[4] = {{0}};
    array_literals(description, lists);
    PGresult *types = NULL;
    const char *values[4];
    bool whole = sql != NULL;
    for (int i = 0; i < 4; i++)
        whole = (values[i] = buf_text(&lists[i])) && whole;
    if (whole)
        types = postgres_query(d->conn, sql, 4, values, "cannot read the types of the columns", d->err);
    else
        err_memory(d->err);
    for (int i = 0; i < 4; i++)
        buf_free(&lists[i]);
    if (types && PQntuples(types) != PQnfields(description)) {
        err_set(d->err, ERR_CHANGED, "the types of '%s' changed while they were read", d->relation->title);
        PQclear(types);
        return NULL;
    }
    return types;
}

static enum position_kind position_of(enum kind kind)
{
    switch (kind) {
    case KIND_INT:
    case KIND_UINT:
        return POSITION_INTEGER;
    case KIND_DATETIME:
        return POSITION_DATETIME;
    case KIND_DATE:
        return POSITION_DATE;
    case KIND_UUID:
        return POSITION_UUID;
    default:
        return POSITION_TEXT;
    }
}

/* How the select list reads a column: as it is where we can decode it, else as the server's text. */
static void choose_reading(struct column *column, char category, unsigned element)
{
    if (category == 'A' && element) {
        bool decodes = postgres_decodes(element);
        column->kind = KIND_LIST;
        column->element = element;
        column->element_kind = postgres_kind(element);
        column->expression = decodes ? NULL : "::text[]";
        return;
    }
    column->kind = postgres_kind(column->number);
    column->expression = postgres_decodes(column->number) ? NULL : "::text";
}

static void limit_number(struct column *column, unsigned type)
{
    int modifier = column->modifier - 4;
    switch ((enum pg_type)type) {
    case PG_INT2:
        column->bits = 16;
        break;
    case PG_INT4:
        column->bits = 32;
        break;
    case PG_FLOAT4:
        column->single = true;
        break;
    case PG_NUMERIC:
        if (modifier >= 0) {
            /* Since PostgreSQL 15 a scale may be negative: so many digits before the point are zeros. */
            int scale = ((modifier & 0x7FF) ^ 1024) - 1024;
            column->precision = (unsigned)(modifier >> 16 & 0xFFFF) + (unsigned)(scale < 0 ? -scale : 0);
            column->scale = scale > 0 ? (unsigned)scale : 0;
        }
        break;
    default:
        break;
    }
}

/* Types whose texts are kept as they are given, but for what postgres_fit does. */
static bool keeps_text(unsigned type, bool text_like)
{
    return text_like || (postgres_encodes(type) && type != PG_JSONB) || type == PG_BIT || type == PG_VARBIT ||
           postgres_kind(type) == KIND_FLOAT;
}

static bool is_exact(const struct column *column, bool deterministic, bool is_enum)
{
    switch (column->kind) {
    case KIND_FLOAT:
    case KIND_JSON:
    case KIND_LIST:
        return false;
    case KIND_DECIMAL:
        return column->precision > 0;
    case KIND_TEXT:
        if (column->number == PG_BPCHAR)
            return deterministic && column->modifier >= 4;
        return is_enum || (deterministic && postgres_encodes(column->number));
    default:
        return true;
    }
}

/* What fits, for sinks. types is as ask_types tells. */
static void limit_column(struct column *column, const PGresult *types, int i)
{
    bool list = column->kind == KIND_LIST, text_like = PQgetvalue(types, i, 11)[0] == 't';
    unsigned type = list ? column->element : column->number;
    column->identity = PQgetvalue(types, i, 7)[0] == 't';
    column->generated = PQgetvalue(types, i, 8)[0] == 't';
    column->defaulted = PQgetvalue(types, i, 9)[0] == 't';
    limit_number(column, type);
    if ((type == PG_VARCHAR || type == PG_BPCHAR) && column->modifier >= 4)
        column->max_chars = (size_t)column->modifier - 4;
    column->max_bytes = type == PG_NAME ? 63 : 0;
    column->padded = column->number == PG_BPCHAR;
    if (list)
        column->binary = postgres_encodes(type) && type == strtoul(PQgetvalue(types, i, 12), NULL, 10) &&
                         column->number != PG_INT2VECTOR && column->number != PG_OIDVECTOR;
    else
        column->binary = postgres_encodes(type) || text_like;
    column->normalised = !keeps_text(type, text_like && !list);
    column->exact = is_exact(column, PQgetvalue(types, i, 10)[0] == 't', PQgetvalue(types, i, 2)[0] == 'e');
}

static int fill_column(struct describing *d, struct column *column, const PGresult *description, int i,
                       const PGresult *types)
{
    *column = (struct column){
        .name = arena_strdup(d->arena, PQfname(description, i)),
        .type = arena_strdup(d->arena, PQgetvalue(types, i, 0)),
        .cast = arena_strdup(d->arena, PQgetvalue(types, i, 1)),
        .number = PQftype(description, i),
        .modifier = PQfmod(description, i),
        .nullable = !d->oid || PQgetvalue(types, i, 5)[0] != 't',
        .transaction = PQftype(description, i) == PG_XID8,
    };
    if (!column->name || !column->type || !column->cast)
        return err_memory(d->err);
    choose_reading(column, PQgetvalue(types, i, 3)[0], (unsigned)strtoul(PQgetvalue(types, i, 4), NULL, 10));
    column->position = position_of(column->kind);
    unsigned scalar = column->kind == KIND_LIST ? column->element : column->number;
    column->zoneless = scalar == PG_TIMESTAMP;
    if (postgres_kind(scalar) == KIND_DATETIME)
        column->digits = column->modifier >= 0 ? (unsigned)column->modifier : 6;
    column->bytewise = column->position != POSITION_TEXT || PQgetvalue(types, i, 6)[0] == 't';
    limit_column(column, types, i);
    return 0;
}

static int describe_columns(struct describing *d)
{
    int failed = -1;
    PGresult *types = NULL, *description = NULL;
    char *sql = arena_printf(d->arena, "SELECT * FROM %s AS t", d->relation->from);
    if (!sql)
        return err_memory(d->err);
    PGresult *prepared = PQprepare(d->conn->pg, "", sql, 0, NULL);
    if (PQresultStatus(prepared) != PGRES_COMMAND_OK) {
        postgres_error(d->conn->pg, prepared, "cannot describe what is to be read", d->err);
        goto out;
    }
    description = PQdescribePrepared(d->conn->pg, "");
    if (PQresultStatus(description) != PGRES_COMMAND_OK) {
        postgres_error(d->conn->pg, description, "cannot describe what is to be read", d->err);
        goto out;
    }
    types = ask_types(d, description);
    if (!types)
        goto out;
    size_t count = (size_t)PQnfields(description);
    d->relation->columns = arena_array(d->arena, count + 1, sizeof(struct column));
    if (!d->relation->columns) {
        err_memory(d->err);
        goto out;
    }
    failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = fill_column(d, &d->relation->columns[i], description, (int)i, types);
    d->relation->column_count = count;
out:
    PQclear(types);
    PQclear(description);
    PQclear(prepared);
    return failed;
}

/* keys */

/* A valid index over plain columns, all rows: "primary unique name name ..." one column a row. */
static PGresult *ask_indexes(struct describing *d)
{
    static const char sql[] =
        "SELECT i.indexrelid, i.indisprimary, i.indisunique, a.attname, k.place <= i.indnkeyatts,"
        " (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = i.indexrelid)"
        " FROM pg_catalog.pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)"
        " JOIN pg_catalog.pg_attribute a ON a.attnum = k.number"
        " WHERE i.indrelid = $1::oid AND a.attrelid = i.indrelid AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"
        " ORDER BY i.indisprimary DESC, i.indexrelid, k.place";
    return postgres_query(d->conn, sql, 1, &d->oid, "cannot read the indexes", d->err);
}

static int named_key(struct describing *d)
{
    struct relation *relation = d->relation;
    for (size_t i = 0; i < d->subject->key_count; i++) {
        size_t column = relation_find(relation, d->subject->key[i]);
        if (column == SIZE_MAX)
            return relation_lacks(relation, d->subject->key[i], "primary_key", d->err);
        relation->key[relation->key_count++] = column;
    }
    return 0;
}

static void catalogue_key(struct relation *relation, const PGresult *indexes)
{
    for (int i = 0; i < PQntuples(indexes); i++)
        if (PQgetvalue(indexes, i, 1)[0] == 't' && PQgetvalue(indexes, i, 4)[0] == 't')
            relation->key[relation->key_count++] = relation_find(relation, PQgetvalue(indexes, i, 3));
}

static bool is_key_column(const struct relation *relation, const char *name)
{
    for (size_t i = 0; i < relation->key_count; i++)
        if (strcmp(relation->columns[relation->key[i]].name, name) == 0)
            return true;
    return false;
}

/* The name an index must have at place to serve the order of (updated, key). */
static const char *wanted_at(const struct describing *d, size_t place)
{
    const struct relation *relation = d->relation;
    if (!d->subject->updated || place > relation->key_count)
        return NULL;
    return place == 0 ? d->subject->updated : relation->columns[relation->key[place - 1]].name;
}

static void judge_index(struct describing *d, const PGresult *indexes, int first, int end)
{
    struct relation *relation = d->relation;
    bool only_key = true, ordered = d->subject->updated != NULL;
    size_t columns = 0;
    for (int i = first; i < end; i++) {
        if (PQgetvalue(indexes, i, 4)[0] != 't')
            continue; /* INCLUDE columns neither order nor identify */
        const char *name = PQgetvalue(indexes, i, 3), *wanted = wanted_at(d, columns++);
        only_key = only_key && is_key_column(relation, name);
        ordered = ordered && (!wanted || strcmp(wanted, name) == 0);
    }
    if (PQgetvalue(indexes, first, 2)[0] == 't' && only_key && !d->inherited) {
        relation->key_index = relation->key_unique ? relation->key_index
                                                   : arena_strdup(d->arena, PQgetvalue(indexes, first, 5));
        relation->key_unique = true;
    }
    if (ordered && columns > relation->key_count)
        relation->updated_indexed = true;
}

static int describe_key(struct describing *d)
{
    struct relation *relation = d->relation;
    relation->key = arena_array(d->arena, relation->column_count + d->subject->key_count + 1, sizeof *relation->key);
    if (!relation->key)
        return err_memory(d->err);
    if (named_key(d) || !d->oid)
        return d->err->code ? -1 : 0;
    PGresult *indexes = ask_indexes(d);
    if (!indexes)
        return -1;
    if (!relation->key_count)
        catalogue_key(relation, indexes);
    int rows = PQntuples(indexes);
    for (int first = 0, end; first < rows; first = end) {
        for (end = first + 1; end < rows; end++)
            if (strcmp(PQgetvalue(indexes, first, 0), PQgetvalue(indexes, end, 0)) != 0)
                break;
        judge_index(d, indexes, first, end);
    }
    PQclear(indexes);
    return 0;
}

/* One transaction keeps what is read locked, for postgres_outside to see. */
static int begin(struct describing *d)
{
    PGresult *result = PQexec(d->conn->pg, "BEGIN READ ONLY");
    int failed = PQresultStatus(result) == PGRES_COMMAND_OK
                     ? 0
                     : postgres_error(d->conn->pg, result, "cannot begin a transaction", d->err);
    PQclear(result);
    return failed;
}

static int end(struct describing *d)
{
    PQclear(PQexec(d->conn->pg, "ROLLBACK"));
    return PQtransactionStatus(d->conn->pg) == PQTRANS_IDLE ? 0 : -1;
}

int postgres_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                      struct relation **relation, struct err *err)
{
    struct describing d = {.conn = conn, .subject = subject, .arena = arena, .err = err};
    d.relation = arena_alloc(arena, sizeof *d.relation);
    if (!d.relation)
        return err_memory(err);
    /* Only sources track, and only those ask what is under what they read. */
    int failed = subject->updated ? begin(&d) : 0;
    if (!failed)
        failed = (subject->table ? find_table(&d) : wrap_query(&d)) || describe_columns(&d) ||
                 (subject->updated && postgres_outside(conn, d.relation, arena, err)) || describe_key(&d);
    if (subject->updated && end(&d) && !failed)
        failed = err_set(err, ERR_LOST, "cannot describe what is to be read: the connection broke");
    if (!failed)
        *relation = d.relation;
    return failed ? -1 : 0;
}
