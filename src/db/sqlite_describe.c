#include "db/sqlite.h"

#include <stdint.h>
#include <string.h>

#include "base/nearest.h"

static const char attempt[] = "reading the catalogue";

/* What a table is, beyond its columns. */
struct table {
    const char *name; /* as the catalogue writes it */
    bool strict;      /* values have their declared type */
    size_t *key;      /* the declared primary key, indexes into relation->columns */
    size_t key_count;
    struct column *rowid; /* the column that is the rowid, or NULL */
};

/* A text column as a string in arena; a NULL is "". */
static const char *text_of(sqlite3_stmt *stmt, int column, struct arena *arena)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return arena_strdup(arena, text ? text : "");
}

static int bind_text(struct conn *conn, sqlite3_stmt *stmt, int number, const char *text, struct err *err)
{
    int rc = sqlite3_bind_text(stmt, number, text, -1, SQLITE_STATIC);
    return rc == SQLITE_OK ? 0 : sqlite_fail(conn, rc, attempt, err);
}

/* columns */

static bool contains(const char *type, const char *part)
{
    size_t len = strlen(part);
    for (; *type; type++)
        if (sqlite3_strnicmp(type, part, (int)len) == 0)
            return true;
    return false;
}

/* The rules of https://www.sqlite.org/datatype3.html#determination_of_column_affinity, in their order. */
static enum affinity affinity_of(const char *type, bool strict)
{
    if (contains(type, "INT"))
        return AFFINITY_INTEGER;
    if (contains(type, "CHAR") || contains(type, "CLOB") || contains(type, "TEXT"))
        return AFFINITY_TEXT;
    if (!*type || contains(type, "BLOB") || (strict && sqlite3_stricmp(type, "ANY") == 0))
        return AFFINITY_NONE;
    if (contains(type, "REAL") || contains(type, "FLOA") || contains(type, "DOUB"))
        return AFFINITY_REAL;
    return AFFINITY_NUMERIC;
}

/* What values of such a column most likely are; what each one is, it says itself. A date or time lands in
 * a NUMERIC column, and is text there. */
static enum kind kind_of(enum affinity affinity, const char *type)
{
    switch (affinity) {
    case AFFINITY_INTEGER:
        return KIND_INT;
    case AFFINITY_REAL:
        return KIND_FLOAT;
    case AFFINITY_NONE:
        return contains(type, "BLOB") ? KIND_BYTES : KIND_TEXT;
    case AFFINITY_NUMERIC:
        return contains(type, "BOOL") ? KIND_INT : KIND_TEXT;
    default:
        return KIND_TEXT;
    }
}

static void set_column(struct column *column, const char *name, const char *type, bool strict)
{
    enum affinity affinity = affinity_of(type, strict);
    *column = (struct column){
        .name = name,
        .type = *type ? type : "any",
        .kind = kind_of(affinity, type),
        .position = POSITION_ANY,
        .nullable = true,
        .number = affinity,
        .modifier = strict ? TRAIT_STRICT : 0,
    };
}

/* BINARY compares the bytes of the encoding the file has. */
static bool is_utf8(struct conn *conn)
{
    sqlite3_stmt *stmt = NULL;
    bool utf8 = false;
    if (sqlite3_prepare_v2(conn->db, "PRAGMA encoding", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        utf8 = strcmp((const char *)sqlite3_column_text(stmt, 0), "UTF-8") == 0;
    sqlite3_finalize(stmt);
    return utf8;
}

const char *sqlite_collation(struct conn *conn, const char *table, const char *column)
{
    const char *collation = NULL;
    if (sqlite3_table_column_metadata(conn->db, "main", table, column, NULL, &collation, NULL, NULL, NULL) !=
        SQLITE_OK)
        return NULL;
    return collation;
}

/* Only what the schema promises counts: a column declared INTEGER may hold 1.5 unless the table is
 * STRICT or the column is the rowid. A TEXT column holds texts, and blobs behind them. */
static bool is_bytewise(struct conn *conn, const struct table *table, const struct column *column)
{
    if (column == table->rowid)
        return true;
    if (column->number == AFFINITY_INTEGER)
        return table->strict;
    const char *collation = sqlite_collation(conn, table->name, column->name);
    return column->number == AFFINITY_TEXT && collation && sqlite3_stricmp(collation, "BINARY") == 0 &&
           is_utf8(conn);
}

/* Only the rowid and what is of one storage class, so that the bytes tell whether two values are the same. */
static bool is_exact(struct conn *conn, const struct column *column)
{
    if (column->modifier & TRAIT_ROWID)
        return true;
    if (column->number == AFFINITY_INTEGER)
        return column->modifier & TRAIT_STRICT;
    return column->number == AFFINITY_TEXT && column->collation &&
           sqlite3_stricmp(column->collation, "BINARY") == 0 && is_utf8(conn);
}

/* tables */

/* The nearest of the names that a statement gives, as a hint. */
static void hint_nearest(sqlite3_stmt *names, const char *wanted, const char *what, struct err *err)
{
    struct nearest nearest;
    nearest_begin(&nearest, wanted);
    while (sqlite3_step(names) == SQLITE_ROW)
        if (sqlite3_column_type(names, 0) == SQLITE_TEXT)
            nearest_offer(&nearest, (const char *)sqlite3_column_text(names, 0));
    if (nearest_found(&nearest))
        err_hint(err, "there is a %s '%s'", what, nearest_found(&nearest));
}

static int no_table(struct conn *conn, const char *wanted, struct err *err)
{
    sqlite3_stmt *names = NULL;
    err_set(err, ERR_CHANGED, "system '%s': there is no table or view '%s'", conn->system->name, wanted);
    if (sqlite_prepare(conn, "SELECT name FROM main.sqlite_master WHERE type IN ('table', 'view')", &names,
                       attempt, NULL) == 0)
        hint_nearest(names, wanted, "table or view", err);
    sqlite3_finalize(names);
    return -1;
}

/* Names of tables are the same in upper and lower case. */
static int find_table(struct conn *conn, const char *wanted, struct arena *arena, const char **name,
                      bool *is_table, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int found = -1;
    if (sqlite_prepare(conn,
                       "SELECT name, type = 'table' FROM main.sqlite_master"
                       " WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE",
                       &stmt, attempt, err) ||
        bind_text(conn, stmt, 1, wanted, err) || (found = sqlite_step(conn, stmt, attempt, err)) < 0)
        goto out;
    if (found == 0) {
        found = no_table(conn, wanted, err);
        goto out;
    }
    *name = text_of(stmt, 0, arena);
    *is_table = sqlite3_column_int(stmt, 1);
    found = *name ? 0 : err_memory(err);
out:
    sqlite3_finalize(stmt);
    return found;
}

/* STRICT tables came with SQLite 3.37. */
static int find_strict(struct conn *conn, struct table *table, struct err *err)
{
    if (sqlite3_libversion_number() < 3037000)
        return 0;
    sqlite3_stmt *stmt = NULL;
    int found = -1;
    if (sqlite_prepare(conn, "SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?1",
                       &stmt, attempt, err) == 0 &&
        bind_text(conn, stmt, 1, table->name, err) == 0 &&
        (found = sqlite_step(conn, stmt, attempt, err)) == 1)
        table->strict = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return found < 0 ? -1 : 0;
}

/* DEFAULT NULL is as good as none. */
static bool is_default(const char *expression)
{
    return expression && sqlite3_stricmp(expression, "NULL") != 0;
}

/* One column of table_xinfo's: name, type, notnull, pk, hidden, dflt_value. */
static int read_column(sqlite3_stmt *stmt, struct table *table, struct relation *relation,
                       struct arena *arena)
{
    const char *name = text_of(stmt, 0, arena), *type = text_of(stmt, 1, arena);
    int part = sqlite3_column_int(stmt, 3);
    if (!name || !type)
        return -1;
    struct column *column = &relation->columns[relation->column_count];
    set_column(column, name, type, table->strict);
    column->nullable = !sqlite3_column_int(stmt, 2);
    column->generated = sqlite3_column_int(stmt, 4) != 0;
    column->defaulted = is_default((const char *)sqlite3_column_text(stmt, 5));
    if (part > 0) {
        table->key[part - 1] = relation->column_count;
        table->key_count++;
    }
    relation->column_count++;
    return 0;
}

/* Generated columns are columns to us (hidden 2 and 3), a virtual table's own ones are not (1). */
static int read_columns(struct conn *conn, struct table *table, struct relation *relation,
                        struct arena *arena, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    size_t count;
    int more = -1;
    if (sqlite_prepare(
            conn,
            "SELECT name, type, \"notnull\", pk, hidden, dflt_value FROM pragma_table_xinfo(?1, 'main')"
            " WHERE hidden <> 1 ORDER BY cid",
            &stmt, attempt, err) ||
        bind_text(conn, stmt, 1, table->name, err) || sqlite_count(conn, stmt, &count, attempt, err))
        goto out;
    relation->columns = arena_array(arena, count, sizeof *relation->columns);
    table->key = arena_array(arena, count, sizeof *table->key);
    if (!relation->columns || !table->key) {
        more = err_memory(err);
        goto out;
    }
    while (relation->column_count < count && (more = sqlite_step(conn, stmt, attempt, err)) == 1)
        if (read_column(stmt, table, relation, arena)) {
            more = err_memory(err);
            goto out;
        }
    more = more < 0 ? -1 : 0;
out:
    sqlite3_finalize(stmt);
    return more;
}

/* A single key column declared INTEGER is the rowid itself, and then the key has no index of its own. */
static int find_rowid(struct conn *conn, struct table *table, const struct relation *relation,
                      struct err *err)
{
    struct column *column = table->key_count == 1 ? &relation->columns[table->key[0]] : NULL;
    if (!column || sqlite3_stricmp(column->type, "INTEGER") != 0)
        return 0;
    sqlite3_stmt *stmt = NULL;
    int found = -1;
    if (sqlite_prepare(conn, "SELECT 1 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'", &stmt,
                       attempt, err) == 0 &&
        bind_text(conn, stmt, 1, table->name, err) == 0)
        found = sqlite_step(conn, stmt, attempt, err);
    sqlite3_finalize(stmt);
    if (found == 0) {
        table->rowid = column;
        column->nullable = false;
        column->identity = true;
        column->modifier |= TRAIT_ROWID;
    }
    return found < 0 ? -1 : 0;
}

static int find_triggers(struct conn *conn, const struct table *table, struct relation *relation,
                         struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int found = -1;
    if (sqlite_prepare(
            conn, "SELECT 1 FROM main.sqlite_master WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE",
            &stmt, attempt, err) == 0 &&
        bind_text(conn, stmt, 1, table->name, err) == 0)
        found = sqlite_step(conn, stmt, attempt, err);
    sqlite3_finalize(stmt);
    relation->triggers = found == 1;
    return found < 0 ? -1 : 0;
}

/* the key */

static struct column *column_named(const struct relation *relation, const char *name)
{
    for (size_t i = 0; i < relation->column_count; i++)
        if (strcmp(relation->columns[i].name, name) == 0)
            return &relation->columns[i];
    for (size_t i = 0; i < relation->column_count; i++)
        if (sqlite3_stricmp(relation->columns[i].name, name) == 0)
            return &relation->columns[i];
    return NULL;
}

static int no_column(struct conn *conn, const struct relation *relation, const char *wanted, struct err *err)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < relation->column_count; i++) {
        size_t distance = nearest_distance(wanted, relation->columns[i].name);
        if (distance < best && nearest_worth(wanted, distance)) {
            best = distance;
            nearest = relation->columns[i].name;
        }
    }
    err_set(err, ERR_CHANGED, "system '%s': %s has no column '%s', which primary_key names",
            conn->system->name, relation->title, wanted);
    return nearest ? err_hint(err, "there is a column '%s'", nearest) : -1;
}

static int named_key(struct conn *conn, const struct subject *subject, struct arena *arena,
                     struct relation *relation, struct err *err)
{
    relation->key = arena_array(arena, subject->key_count, sizeof *relation->key);
    if (!relation->key)
        return err_memory(err);
    for (size_t i = 0; i < subject->key_count; i++) {
        const struct column *column = column_named(relation, subject->key[i]);
        if (!column)
            return no_column(conn, relation, subject->key[i], err);
        relation->key[relation->key_count++] = (size_t)(column - relation->columns);
    }
    return 0;
}

static int set_collations(struct conn *conn, const struct table *table, struct relation *relation,
                          struct arena *arena)
{
    for (size_t i = 0; i < relation->column_count; i++) {
        struct column *column = &relation->columns[i];
        const char *collation = sqlite_collation(conn, table->name, column->name);
        column->collation = collation ? arena_strdup(arena, collation) : NULL;
        if (collation && !column->collation)
            return -1;
    }
    return 0;
}

static int describe_table(struct conn *conn, const struct subject *subject, struct arena *arena,
                          struct relation *relation, struct err *err)
{
    struct table table = {.name = NULL};
    struct buf from = {0};
    if (subject->schema && sqlite3_stricmp(subject->schema, "main") != 0) {
        err_set(err, ERR_CHANGED, "system '%s': there is no schema '%s'", conn->system->name,
                subject->schema);
        return err_hint(err, "a SQLite file has one schema, 'main'");
    }
    if (find_table(conn, subject->table, arena, &table.name, &relation->indexable, err) ||
        find_strict(conn, &table, err) || read_columns(conn, &table, relation, arena, err) ||
        find_rowid(conn, &table, relation, err) || find_triggers(conn, &table, relation, err))
        return -1;
    sqlite_identifier(&from, table.name);
    relation->from = buf_text(&from) ? arena_strdup(arena, from.data) : NULL;
    buf_free(&from);
    relation->title = table.name;
    if (!relation->from)
        return err_memory(err);
    for (size_t i = 0; i < relation->column_count; i++)
        relation->columns[i].bytewise = is_bytewise(conn, &table, &relation->columns[i]);
    relation->key = table.key;
    relation->key_count = subject->key_count ? 0 : table.key_count;
    if (subject->key_count && named_key(conn, subject, arena, relation, err))
        return -1;
    const struct column *updated = subject->updated ? column_named(relation, subject->updated) : NULL;
    if (set_collations(conn, &table, relation, arena) ||
        sqlite_describe_indexes(conn, table.name, table.rowid, updated, relation, arena, err))
        return err_memory(err);
    for (size_t i = 0; i < relation->column_count; i++)
        relation->columns[i].exact = is_exact(conn, &relation->columns[i]);
    return 0;
}

/* queries */

static bool is_parameter(const struct subject *subject, const char *name)
{
    for (size_t i = 0; i < subject->parameter_count; i++)
        if (strcmp(subject->parameters[i].name, name) == 0)
            return true;
    return false;
}

/* SQLite binds :name by itself, and would take an unbound one for NULL. */
static int check_parameters(struct conn *conn, const struct subject *subject, sqlite3_stmt *stmt,
                            struct err *err)
{
    for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); i++) {
        const char *name = sqlite3_bind_parameter_name(stmt, i);
        if (name && *name == ':' && is_parameter(subject, name + 1))
            continue;
        err_set(err, ERR_DATABASE, "system '%s': the query uses a parameter '%s' that is not in 'parameters'",
                conn->system->name, name ? name : "?");
        return err_hint(err, "parameters are written :name, and each is named in 'parameters'");
    }
    return 0;
}

static int describe_query(struct conn *conn, const struct subject *subject, struct arena *arena,
                          struct relation *relation, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int result = -1;
    /* The line end ends a comment in the query's last line. */
    relation->from = arena_printf(arena, "(%.*s\n)", sqlite_query_length(subject->query), subject->query);
    relation->title = "query";
    const char *sql = relation->from ? arena_printf(arena, "SELECT * FROM %s", relation->from) : NULL;
    if (sqlite_prepare(conn, sql, &stmt, "the query", err) || check_parameters(conn, subject, stmt, err))
        goto out;
    int count = sqlite3_column_count(stmt);
    relation->columns = arena_array(arena, (size_t)count, sizeof *relation->columns);
    for (int i = 0; relation->columns && i < count; i++) {
        const char *name = sqlite3_column_name(stmt, i), *type = sqlite3_column_decltype(stmt, i);
        const char *own_name = name ? arena_strdup(arena, name) : NULL;
        const char *own_type = arena_strdup(arena, type ? type : "");
        if (!own_name || !own_type)
            break;
        set_column(&relation->columns[relation->column_count++], own_name, own_type, false);
    }
    if (relation->column_count < (size_t)count) {
        err_memory(err);
        goto out;
    }
    result = subject->key_count ? named_key(conn, subject, arena, relation, err) : 0;
out:
    sqlite3_finalize(stmt);
    return result;
}

int sqlite_describe(struct conn *conn, const struct subject *subject, struct arena *arena,
                    struct relation **out, struct err *err)
{
    struct relation *relation = arena_alloc(arena, sizeof *relation);
    if (!relation)
        return err_memory(err);
    /* One transaction, so that everything is told of the same schema. */
    int failed = sqlite_begin(conn, attempt, err);
    if (!failed)
        failed = subject->query ? describe_query(conn, subject, arena, relation, err)
                                : describe_table(conn, subject, arena, relation, err);
    if (!sqlite3_get_autocommit(conn->db) &&
        sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        conn->broken = true;
    if (failed)
        return -1;
    *out = relation;
    return 0;
}
