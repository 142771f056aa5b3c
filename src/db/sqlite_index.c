#include "db/sqlite.h"

#include <string.h>

static const char attempt[] = "reading the catalogue's indexes";

/* One column of an index, in its order: those it was declared with, then those that lead to the row. */
struct part {
    const char *column; /* NULL: an expression */
    bool declared, descending;
    const char *collation;
};

struct index {
    bool unique;
    struct part *parts;
    size_t count;
};

/* What the indexes are asked for. */
struct question {
    struct conn *conn;
    const char *table;
    const struct column *rowid, *updated; /* NULL: there is none */
    struct relation *relation;
    struct arena *arena; /* of the relation */
};

/* unique indexes */

/* What is different for a coarser collation is different byte by byte, but not the other way round:
 * a BINARY index on a NOCASE column lets in both 'a' and 'A', which are one key to the column. */
static bool as_strict_as_column(const struct question *question, const struct part *part)
{
    const char *collation = sqlite_collation(question->conn, question->table, part->column);
    return collation &&
           (sqlite3_stricmp(collation, "BINARY") == 0 || sqlite3_stricmp(collation, part->collation) == 0);
}

static const struct part *part_named(const struct index *index, const char *name)
{
    for (size_t i = 0; i < index->count; i++)
        if (index->parts[i].declared && index->parts[i].column && strcmp(index->parts[i].column, name) == 0)
            return &index->parts[i];
    return NULL;
}

static size_t declared_count(const struct index *index)
{
    size_t count = 0;
    while (count < index->count && index->parts[count].declared)
        count++;
    return count;
}

static bool covers_key(const struct question *question, const struct index *index)
{
    const struct relation *relation = question->relation;
    if (!index->unique || declared_count(index) != relation->key_count)
        return false;
    for (size_t i = 0; i < relation->key_count; i++) {
        const struct part *part = part_named(index, relation->columns[relation->key[i]].name);
        if (!part || !as_strict_as_column(question, part))
            return false;
    }
    return true;
}

/* The index has the last word on which keys are the same. */
static int take_collations(const struct question *question, const struct index *index, struct err *err)
{
    const struct relation *relation = question->relation;
    for (size_t i = 0; i < relation->key_count; i++) {
        struct column *column = &relation->columns[relation->key[i]];
        const struct part *part = part_named(index, column->name);
        if (sqlite3_stricmp(part->collation, "BINARY") == 0)
            continue;
        column->collation = arena_strdup(question->arena, part->collation);
        if (!column->collation)
            return err_memory(err);
    }
    return 0;
}

/* order */

/* The index orders rows as (updated, key) do: every part is the column wanted, in the column's own
 * collation, and all go the same way. */
static bool orders_stream(const struct question *question, const struct index *index)
{
    const struct relation *relation = question->relation;
    size_t at = 0;
    for (size_t i = 0; i <= relation->key_count; i++) {
        const struct column *column = i ? &relation->columns[relation->key[i - 1]] : question->updated;
        if (i && column == question->updated)
            continue;
        const struct part *part = at < index->count ? &index->parts[at++] : NULL;
        if (!part || !part->column || strcmp(part->column, column->name) != 0 ||
            part->descending != index->parts[0].descending)
            return false;
        const char *collation = sqlite_collation(question->conn, question->table, column->name);
        if (!collation || sqlite3_stricmp(collation, part->collation) != 0)
            return false;
    }
    return true;
}

/* reading */

static int read_parts(const struct question *question, sqlite3_stmt *stmt, struct arena *arena,
                      struct index *index, struct err *err)
{
    int more;
    while ((more = sqlite_step(question->conn, stmt, attempt, err)) == 1) {
        struct part *part = &index->parts[index->count++];
        const char *name = (const char *)sqlite3_column_text(stmt, 1);
        if (sqlite3_column_int(stmt, 0) == -1 && question->rowid)
            name = question->rowid->name;
        const char *collation = (const char *)sqlite3_column_text(stmt, 3);
        part->column = name ? arena_strdup(arena, name) : NULL;
        part->descending = sqlite3_column_int(stmt, 2);
        part->collation = arena_strdup(arena, collation ? collation : "BINARY");
        part->declared = sqlite3_column_int(stmt, 4);
        if ((name && !part->column) || !part->collation)
            return err_memory(err);
    }
    return more;
}

static int read_index(const struct question *question, const char *name, struct arena *arena,
                      struct index *index, struct err *err)
{
    static const char sql[] = "SELECT cid, name, desc, coll, key, count(*) OVER ()"
                              " FROM pragma_index_xinfo(?1, 'main') ORDER BY seqno";
    sqlite3_stmt *stmt = NULL;
    int result = -1;
    if (sqlite_prepare(question->conn, sql, &stmt, attempt, err))
        return -1;
    int rc = sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    if (rc != SQLITE_OK) {
        sqlite_fail(question->conn, rc, attempt, err);
        goto out;
    }
    if (sqlite_step(question->conn, stmt, attempt, err) < 0)
        goto out;
    index->parts = arena_array(arena, (size_t)sqlite3_column_int64(stmt, 5), sizeof *index->parts);
    sqlite3_reset(stmt);
    result = index->parts ? read_parts(question, stmt, arena, index, err) : err_memory(err);
out:
    sqlite3_finalize(stmt);
    return result;
}

static int ask_index(const struct question *question, const char *name, bool unique, struct err *err)
{
    struct index index = {.unique = unique};
    struct arena *arena = arena_new();
    int failed = arena ? read_index(question, name, arena, &index, err) : err_memory(err);
    if (!failed && question->relation->key_count) {
        bool covers = covers_key(question, &index);
        failed = covers ? take_collations(question, &index, err) : 0;
        question->relation->key_unique |= covers;
        question->relation->updated_indexed |= question->updated && orders_stream(question, &index);
    }
    arena_free(arena);
    return failed;
}

int sqlite_describe_indexes(struct conn *conn, const char *table, const struct column *rowid,
                            const struct column *updated, struct relation *relation, struct arena *arena,
                            struct err *err)
{
    const struct question question = {conn, table, rowid, updated, relation, arena};
    /* The rowid is no index, it is the order of the table itself. */
    relation->key_unique = rowid && relation->key_count == 1 && &relation->columns[relation->key[0]] == rowid;
    relation->updated_indexed = rowid && updated == rowid;
    sqlite3_stmt *stmt = NULL;
    int more = -1;
    if (sqlite_prepare(conn, "SELECT name, \"unique\" FROM pragma_index_list(?1, 'main') WHERE NOT partial",
                       &stmt, attempt, err))
        return -1;
    int rc = sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    if (rc != SQLITE_OK)
        sqlite_fail(conn, rc, attempt, err);
    else
        while ((more = sqlite_step(conn, stmt, attempt, err)) == 1)
            if ((more = ask_index(&question, (const char *)sqlite3_column_text(stmt, 0),
                                  sqlite3_column_int(stmt, 1), err)))
                break;
    sqlite3_finalize(stmt);
    return more < 0 ? -1 : 0;
}
