/* The keys of a table, and what its indexes do for a read. */
#include "db/mysql.h"

#include <string.h>
#include <strings.h>

struct index_part {
    const char *index, *column; /* column is NULL for an expression or the beginning of a column */
    bool unique;
};

static int primary_key(struct mydb_describing *d, const struct index_part *parts, size_t count)
{
    struct relation *relation = d->relation;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i].index, "PRIMARY") != 0)
            continue;
        size_t column = parts[i].column ? mydb_find_column(relation, parts[i].column) : SIZE_MAX;
        if (column == SIZE_MAX) { /* the role may not read it, or it is the beginning of a text */
            relation->key_count = 0;
            return 0;
        }
        relation->key[relation->key_count++] = column;
    }
    return 0;
}

static bool same_name(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

static bool in_key(const struct relation *relation, const char *column)
{
    for (size_t i = 0; column && i < relation->key_count; i++)
        if (same_name(relation->columns[relation->key[i]].name, column))
            return true;
    return false;
}

/* Does the index parts[0 .. count) hold just the columns of the key, in any order? */
static bool covers_key(const struct relation *relation, const struct index_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!parts[i].unique || !in_key(relation, parts[i].column))
            return false;
    return count == relation->key_count;
}

/* Does it begin with the updated column and go on with the key? InnoDB adds the primary key's columns that
 * an index does not have to its end. */
static bool orders_updated(const struct relation *relation, const char *updated, const struct index_part *parts,
                           size_t count, bool key_follows)
{
    if (!parts[0].column || !same_name(parts[0].column, updated))
        return false;
    size_t i = 1;
    for (; i < count && i - 1 < relation->key_count; i++)
        if (!parts[i].column || !same_name(parts[i].column, relation->columns[relation->key[i - 1]].name))
            return false;
    return i - 1 == relation->key_count || key_follows;
}

/* All or nothing is not to be had from MyISAM and its like. */
static bool has_transactions(const struct mydb_describing *d)
{
    static const char *const engines[] = {"InnoDB", "ROCKSDB", "TokuDB", "ndbcluster"};
    for (size_t i = 0; d->engine && i < sizeof engines / sizeof *engines; i++)
        if (strcasecmp(d->engine, engines[i]) == 0)
            return true;
    return false;
}

static int name_index(struct mydb_describing *d, const char *index)
{
    struct buf name = {0};
    mydb_name(&name, index);
    d->relation->key_index = mydb_keep(d, buf_text(&name));
    buf_free(&name);
    return d->relation->key_index ? 0 : err_memory(d->err);
}

static int judge_index(struct mydb_describing *d, const struct index_part *parts, size_t count, bool key_follows)
{
    struct relation *relation = d->relation;
    if (relation->key_count && covers_key(relation, parts, count)) {
        bool primary = strcmp(parts[0].index, "PRIMARY") == 0;
        if ((!relation->key_unique || primary) && has_transactions(d) && name_index(d, parts[0].index))
            return -1;
        relation->key_unique = true;
    }
    if (relation->key_count && d->subject->updated &&
        orders_updated(relation, d->subject->updated, parts, count, key_follows))
        relation->updated_indexed = true;
    return 0;
}

static bool is_primary(const struct relation *relation, const struct index_part *parts, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(parts[i].index, "PRIMARY") != 0)
            continue;
        if (found >= relation->key_count || !parts[i].column ||
            !same_name(parts[i].column, relation->columns[relation->key[found]].name))
            return false;
        found++;
    }
    return found && found == relation->key_count;
}

static bool on_innodb(const struct mydb_describing *d)
{
    return d->engine && strcasecmp(d->engine, "InnoDB") == 0;
}

static int judge_indexes(struct mydb_describing *d, const struct index_part *parts, size_t count)
{
    bool key_follows = is_primary(d->relation, parts, count) && on_innodb(d);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && strcmp(parts[end].index, parts[i].index) == 0; end++)
            ;
        if (judge_index(d, &parts[i], end - i, key_follows))
            return -1;
    }
    return d->err->code ? -1 : 0;
}

static struct index_part *take_parts(struct mydb_describing *d, MYSQL_RES *rows, size_t *count)
{
    struct index_part *parts = arena_array(d->arena, (size_t)mysql_num_rows(rows) + 1, sizeof *parts);
    *count = 0;
    for (MYSQL_ROW row; parts && (row = mysql_fetch_row(rows));) {
        struct index_part *part = &parts[(*count)++];
        part->index = mydb_keep(d, row[0]);
        part->column = row[3] ? NULL : mydb_keep(d, row[1]);
        part->unique = strcmp(row[2], "0") == 0;
        if (!part->index)
            parts = NULL;
    }
    if (!parts)
        err_memory(d->err);
    return parts;
}

int mydb_indexes(struct mydb_describing *d)
{
    MYSQL_RES *rows =
        mydb_ask(d,
            "SELECT INDEX_NAME, COLUMN_NAME, NON_UNIQUE, SUB_PART FROM information_schema.STATISTICS"
            " WHERE TABLE_SCHEMA = % AND TABLE_NAME = % AND INDEX_TYPE = 'BTREE' ORDER BY INDEX_NAME, SEQ_IN_INDEX",
            (const char *const[]){d->schema, d->table});
    if (!rows)
        return -1;
    size_t count;
    struct index_part *parts = take_parts(d, rows, &count);
    mysql_free_result(rows);
    if (!parts || (d->subject->key_count ? mydb_named_key(d) : primary_key(d, parts, count)))
        return -1;
    return judge_indexes(d, parts, count);
}

