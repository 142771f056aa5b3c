/* Describes tables and queries of MySQL and MariaDB: what columns there are and what keys the catalogue
 * (information_schema) tells, of what type they are a prepared statement. */
#include "db/mysql.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/nearest.h"
#include "db/relation.h"
#include "config/placeholder.h"

static bool same_name(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0; /* column names know no case */
}

/* catalogue */

MYSQL_RES *mydb_ask(struct mydb_describing *d, const char *sql, const char *const *values)
{
    struct conn *conn = d->conn;
    struct buf text = {0};
    MYSQL_RES *rows = NULL;
    for (; *sql; sql++) {
        if (*sql != '%') {
            buf_putc(&text, *sql);
            continue;
        }
        size_t len = strlen(*values);
        buf_putc(&text, '\'');
        if (!buf_reserve(&text, 2 * len + 1))
            text.len += mysql_real_escape_string(conn->mysql, text.data + text.len, *values, (unsigned long)len);
        buf_putc(&text, '\'');
        values++;
    }
    if (!buf_text(&text))
        err_memory(d->err);
    else if (mysql_real_query(conn->mysql, text.data, (unsigned long)text.len) ||
             !(rows = mysql_store_result(conn->mysql)))
        mydb_failed(conn, "cannot read the catalogue", d->err);
    buf_free(&text);
    return rows;
}

const char *mydb_keep(struct mydb_describing *d, const char *text)
{
    return text ? arena_strdup(d->arena, text) : NULL;
}

/* what is not there */

static int table_missing(struct mydb_describing *d)
{
    const struct subject *subject = d->subject;
    err_set(d->err, ERR_CHANGED, "there is no table '%s.%s'", d->schema, subject->table);
    struct err ignored = {0}, *kept = d->err;
    d->err = &ignored;
    MYSQL_RES *rows = mydb_ask(d, "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %",
                          (const char *const[]){d->schema});
    d->err = kept;
    struct nearest nearest;
    nearest_begin(&nearest, subject->table);
    for (MYSQL_ROW row; rows && (row = mysql_fetch_row(rows));)
        nearest_offer(&nearest, row[0]);
    if (nearest_found(&nearest))
        err_hint(d->err, "did you mean '%s'? a table on which the role has no right is not there for it",
                 nearest_found(&nearest));
    else
        err_hint(d->err, "a table on which the role has no right is not there for it: GRANT SELECT on it; other schemas"
                           " need 'schema'");
    if (rows)
        mysql_free_result(rows);
    return -1;
}

/* tables */

static int find_schema(struct mydb_describing *d)
{
    if (d->subject->schema) {
        d->schema = d->subject->schema;
        return 0;
    }
    MYSQL_RES *rows = mydb_ask(d, "SELECT DATABASE()", NULL);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    d->schema = row ? mydb_keep(d, row[0]) : NULL;
    if (rows)
        mysql_free_result(rows);
    if (d->schema || d->err->code)
        return d->schema ? 0 : -1;
    err_set(d->err, ERR_DATABASE, "table '%s' has no schema", d->subject->table);
    return err_hint(d->err, "write 'schema' in the source, or 'database' in the system");
}

static int name_relation(struct mydb_describing *d)
{
    struct buf from = {0};
    mydb_name(&from, d->schema);
    buf_putc(&from, '.');
    mydb_name(&from, d->table);
    d->relation->from = mydb_keep(d, buf_text(&from));
    d->relation->title = arena_printf(d->arena, "%s.%s", d->schema, d->table);
    buf_free(&from);
    return d->relation->from && d->relation->title ? 0 : err_memory(d->err);
}

/* The server may take names for the same that differ in case; one that is written the same is preferred. */
static int find_table(struct mydb_describing *d)
{
    MYSQL_RES *rows = mydb_ask(d,
                          "SELECT TABLE_NAME, TABLE_SCHEMA, TABLE_TYPE, ENGINE FROM information_schema.TABLES"
                          " WHERE TABLE_SCHEMA = % AND TABLE_NAME = %",
                          (const char *const[]){d->schema, d->subject->table});
    if (!rows)
        return -1;
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows));) {
        bool exact = strcmp(row[0], d->subject->table) == 0;
        if (d->table && !exact)
            continue;
        d->table = mydb_keep(d, row[0]);
        d->schema = mydb_keep(d, row[1]);
        d->engine = mydb_keep(d, row[3]);
        d->relation->indexable = strcmp(row[2], "BASE TABLE") == 0;
    }
    mysql_free_result(rows);
    return d->table ? name_relation(d) : table_missing(d);
}

static bool is_named(const struct subject *subject, const char *name)
{
    for (size_t i = 0; i < subject->key_count; i++)
        if (same_name(subject->key[i], name))
            return true;
    return subject->updated && same_name(subject->updated, name);
}

/* A table's columns are those that SELECT * shows, and the invisible ones that are in the key or named;
 * but none that the role may not read. */
static bool is_wanted(const struct subject *subject, MYSQL_ROW row)
{
    bool invisible = strstr(row[5], "INVISIBLE") != NULL;
    if (*row[7] && !strstr(row[7], "select"))
        return false;
    return !invisible || strcmp(row[6], "PRI") == 0 || is_named(subject, row[0]);
}

static void take_facts(struct mydb_describing *d, size_t i, MYSQL_ROW row)
{
    d->facts[i] = (struct mydb_facts){.chars = mydb_keep(d, row[8]), .bytes = mydb_keep(d, row[9]),
                                      .precision = mydb_keep(d, row[10]), .scale = mydb_keep(d, row[11]),
                                      .def = mydb_keep(d, row[12]), .extra = mydb_keep(d, row[5]),
                                      .collation = d->collations[i]};
}

static int take_columns(struct mydb_describing *d, MYSQL_RES *rows)
{
    struct relation *relation = d->relation;
    size_t most = (size_t)mysql_num_rows(rows);
    relation->columns = arena_array(d->arena, most, sizeof *relation->columns);
    d->collations = arena_array(d->arena, most, sizeof *d->collations);
    d->type_names = arena_array(d->arena, most, sizeof *d->type_names);
    d->facts = arena_array(d->arena, most, sizeof *d->facts);
    if (!relation->columns || !d->collations || !d->type_names || !d->facts)
        return err_memory(d->err);
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows));) {
        if (strcmp(row[4], d->table) != 0 || !is_wanted(d->subject, row))
            continue;
        size_t i = relation->column_count++;
        relation->columns[i].name = mydb_keep(d, row[0]);
        relation->columns[i].type = mydb_keep(d, row[1]);
        d->type_names[i] = mydb_keep(d, row[2]);
        d->collations[i] = mydb_keep(d, row[3]);
        take_facts(d, i, row);
        if (!relation->columns[i].name || !relation->columns[i].type)
            return err_memory(d->err);
    }
    if (relation->column_count)
        return 0;
    err_set(d->err, ERR_DATABASE, "the role may read no column of %s", relation->title);
    return err_hint(d->err, "GRANT SELECT ON %s TO the role", relation->from);
}

static int read_columns(struct mydb_describing *d)
{
    MYSQL_RES *rows =
        mydb_ask(d,
            "SELECT COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, COLLATION_NAME, TABLE_NAME, EXTRA, COLUMN_KEY, PRIVILEGES,"
            " CHARACTER_MAXIMUM_LENGTH, CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, COLUMN_DEFAULT"
            " FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = % AND TABLE_NAME = % ORDER BY ORDINAL_POSITION",
            (const char *const[]){d->schema, d->table});
    if (!rows)
        return -1;
    int failed = take_columns(d, rows);
    mysql_free_result(rows);
    return failed;
}

size_t mydb_find_column(const struct relation *relation, const char *name)
{
    for (size_t i = 0; i < relation->column_count; i++)
        if (same_name(relation->columns[i].name, name))
            return i;
    return SIZE_MAX;
}

/* MariaDB's JSON is a LONGTEXT with a check of the same name. */
static int read_json_checks(struct mydb_describing *d)
{
    if (!d->conn->mariadb || mysql_get_server_version(d->conn->mysql) < 100403)
        return 0;
    MYSQL_RES *rows = mydb_ask(d,
                          "SELECT CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS"
                          " WHERE CONSTRAINT_SCHEMA = % AND TABLE_NAME = %",
                          (const char *const[]){d->schema, d->table});
    if (!rows)
        return -1;
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows));) {
        struct buf clause = {0};
        size_t i = mydb_find_column(d->relation, row[0]);
        buf_puts(&clause, "json_valid(");
        mydb_name(&clause, row[0]);
        buf_putc(&clause, ')');
        if (i != SIZE_MAX && buf_text(&clause) && strcasecmp(clause.data, row[1]) == 0)
            d->type_names[i] = "json";
        buf_free(&clause);
    }
    mysql_free_result(rows);
    return 0;
}

/* types */

/* What MariaDB tells of a field beyond its type: "json", "uuid". */
static const char *extended_type(struct mydb_describing *d, const MYSQL_FIELD *field)
{
#if LIBRARY_MARIADB
    static const enum mariadb_field_attr_t attributes[] = {MARIADB_FIELD_ATTR_FORMAT_NAME,
                                                           MARIADB_FIELD_ATTR_DATA_TYPE_NAME};
    MARIADB_CONST_STRING text;
    for (size_t i = 0; i < 2; i++)
        if (!mariadb_field_attr(&text, field, attributes[i]) && text.length)
            return arena_copy(d->arena, text.str, text.length);
#else
    (void)d, (void)field;
#endif
    return NULL;
}

static int take_field(struct mydb_describing *d, size_t i, const MYSQL_FIELD *field)
{
    struct column *column = &d->relation->columns[i];
    const char *extended = extended_type(d, field);
    const char *type_name = d->type_names ? d->type_names[i] : NULL;
    if (extended && (!type_name || strcmp(extended, "json") == 0))
        type_name = extended;
    if (!column->name)
        column->name = mydb_keep(d, field->name);
    if (!column->type)
        column->type = extended ? extended : mydb_type_text(field, d->arena);
    if (!column->name || !column->type)
        return err_memory(d->err);
    const char *collation = d->collations ? d->collations[i] : NULL;
    if (mydb_column(column, field, type_name, collation, d->arena, d->err))
        return -1;
    if (d->facts)
        mydb_facts(column, field, &d->facts[i], d->arena);
    return 0;
}

static int take_fields(struct mydb_describing *d, MYSQL_STMT *stmt)
{
    struct relation *relation = d->relation;
    MYSQL_RES *metadata = mysql_stmt_result_metadata(stmt);
    if (!metadata)
        return err_set(d->err, ERR_DATABASE, "%s gives no rows", relation->title);
    size_t count = mysql_num_fields(metadata);
    int failed = 0;
    if (!relation->columns) {
        relation->columns = arena_array(d->arena, count, sizeof *relation->columns);
        relation->column_count = relation->columns ? count : 0;
    }
    if (!relation->columns || relation->column_count != count)
        failed = relation->columns ? err_set(d->err, ERR_CHANGED, "%s was changed just now", relation->title)
                                   : err_memory(d->err);
    const MYSQL_FIELD *fields = mysql_fetch_fields(metadata);
    for (size_t i = 0; i < relation->column_count && !failed; i++)
        failed = take_field(d, i, &fields[i]);
    mysql_free_result(metadata);
    return failed;
}

/* A NULL of the parameter's type, so that an expression over it has the type it will have. countable makes
 * integers a number, since LIMIT takes nothing else. */
static const char *typed_null(const struct subject *subject, const char *name, bool countable)
{
    static const char *const nulls[] = {
        [PARAMETER_STRING] = "CAST(NULL AS CHAR)",      [PARAMETER_INTEGER] = "CAST(NULL AS SIGNED)",
        [PARAMETER_DECIMAL] = "CAST(NULL AS DECIMAL(65,30))", [PARAMETER_BOOLEAN] = "CAST(NULL AS SIGNED)",
        [PARAMETER_DATETIME] = "CAST(NULL AS DATETIME(6))", [PARAMETER_DATE] = "CAST(NULL AS DATE)",
    };
    for (size_t i = 0; i < subject->parameter_count; i++)
        if (strcmp(subject->parameters[i].name, name) == 0)
            return countable && subject->parameters[i].type == PARAMETER_INTEGER
                       ? "0"
                       : nulls[subject->parameters[i].type];
    return "NULL";
}

static int put_from(struct mydb_describing *d, struct buf *sql, bool countable, size_t *count)
{
    struct placeholder *list = NULL;
    size_t done = 0;
    const char *from = d->relation->from;
    if (placeholder_find(from, DATABASE_MYSQL, d->arena, &list, count, d->err))
        return -1;
    for (size_t i = 0; i < *count; i++) {
        buf_put(sql, from + done, list[i].start - done);
        buf_puts(sql, typed_null(d->subject, list[i].name, countable));
        done = list[i].end;
    }
    buf_puts(sql, from + done);
    return 0;
}

/* The statement that reads it, with NULLs for its parameters. */
static int put_select(struct mydb_describing *d, struct buf *sql, bool countable, size_t *placeholders)
{
    buf_puts(sql, "SELECT ");
    for (size_t i = 0; i < d->relation->column_count; i++) {
        buf_puts(sql, i ? ", " : "");
        mydb_name(sql, d->relation->columns[i].name);
    }
    buf_puts(sql, d->relation->column_count ? " FROM " : "* FROM ");
    return put_from(d, sql, countable, placeholders);
}

int mydb_put_described(struct mydb_describing *d, struct buf *sql)
{
    size_t placeholders = 0;
    return put_select(d, sql, d->countable, &placeholders);
}

/* Nothing is executed. Where a NULL is a syntax error, as in LIMIT, *again is set instead of err. */
static int prepare(struct mydb_describing *d, MYSQL_STMT *stmt, bool countable, bool *again)
{
    enum { SYNTAX = 1064 };
    struct buf sql = {0};
    size_t placeholders = 0;
    int failed = -1;
    d->countable = countable;
    if (put_select(d, &sql, countable, &placeholders))
        goto out;
    if (!buf_text(&sql)) {
        err_memory(d->err);
        goto out;
    }
    failed = mysql_stmt_prepare(stmt, sql.data, (unsigned long)sql.len) ? -1 : 0;
    *again = failed && !countable && placeholders && mysql_stmt_errno(stmt) == SYNTAX;
    if (failed && !*again) {
        char what[200];
        snprintf(what, sizeof what, "cannot read %s", d->relation->title);
        mydb_stmt_failed(d->conn, stmt, what, d->err);
    }
out:
    buf_free(&sql);
    return failed;
}

static int read_types(struct mydb_describing *d)
{
    MYSQL_STMT *stmt = mysql_stmt_init(d->conn->mysql);
    if (!stmt)
        return err_memory(d->err);
    bool again = false;
    int failed = prepare(d, stmt, false, &again);
    if (again)
        failed = prepare(d, stmt, true, &again);
    if (!failed)
        failed = take_fields(d, stmt);
    mysql_stmt_close(stmt);
    return failed;
}

/* keys */

int mydb_named_key(struct mydb_describing *d)
{
    struct relation *relation = d->relation;
    for (size_t i = 0; i < d->subject->key_count; i++) {
        size_t column = mydb_find_column(relation, d->subject->key[i]);
        if (column == SIZE_MAX)
            return relation_lacks(d->relation, d->subject->key[i], "primary_key", d->err);
        relation->key[relation->key_count++] = column;
    }
    return 0;
}

static int allocate_key(struct mydb_describing *d)
{
    size_t most = d->subject->key_count > d->relation->column_count ? d->subject->key_count
                                                                    : d->relation->column_count;
    d->relation->key = arena_array(d->arena, most + 1, sizeof *d->relation->key);
    return d->relation->key ? 0 : err_memory(d->err);
}

/* Only those who may make triggers see them. */
static int read_triggers(struct mydb_describing *d)
{
    MYSQL_RES *rows = mydb_ask(d,
                          "SELECT 1 FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = % AND"
                          " EVENT_OBJECT_TABLE = % AND ACTION_TIMING = 'BEFORE' LIMIT 1",
                          (const char *const[]){d->schema, d->table});
    if (!rows)
        return -1;
    d->relation->triggers = mysql_num_rows(rows) > 0;
    mysql_free_result(rows);
    return 0;
}

static int describe_table(struct mydb_describing *d)
{
    if (find_schema(d) || find_table(d) || read_columns(d) || read_json_checks(d) || read_types(d) ||
        read_triggers(d) || mydb_outside(d) || allocate_key(d))
        return -1;
    return mydb_indexes(d);
}

static int describe_query(struct mydb_describing *d)
{
    struct buf from = {0};
    mydb_wrap(&from, d->subject->query);
    d->relation->from = mydb_keep(d, buf_text(&from));
    buf_free(&from);
    d->relation->title = "query";
    if (!d->relation->from)
        return err_memory(d->err);
    return read_types(d) || mydb_outside(d) || allocate_key(d) || mydb_named_key(d) ? -1 : 0;
}

int mydb_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                  struct relation **relation, struct err *err)
{
    mydb_thread();
    struct err own = {0};
    struct mydb_describing d = {.conn = conn, .subject = subject, .arena = arena, .err = err ? err : &own};
    d.relation = *relation = arena_alloc(arena, sizeof **relation);
    if (!d.relation)
        return err_memory(err);
    conn->busy = true; /* a catalogue can be slow; cancel then has something to end */
    int failed = subject->table ? describe_table(&d) : describe_query(&d);
    conn->busy = false;
    return failed;
}
