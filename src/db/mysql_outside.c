/* Finds out whether rows come from where InnoDB's transactions tell nothing. Of views and queries the server shows what is
 * behind them when it explains them, to a role that may see views; what it does not show is not told. */
#include "db/mysql.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST = 64 }; /* tables of one query that are looked at */

struct behind {
    struct mydb_describing *d;
    const char *schemas[MOST], *tables[MOST];
    size_t count;
};

/* reading SQL as the server writes it */

/* After a name in backticks that begins at text; name is without them. NULL: there is none. */
static const char *take_name(struct arena *arena, const char *text, char **name)
{
    if (*text != '`')
        return NULL;
    char *to = *name = arena_alloc(arena, strlen(text) + 1);
    if (!to)
        return NULL;
    for (text++; *text && (*text != '`' || text[1] == '`'); text++) {
        if (*text == '`')
            text++;
        *to++ = *text;
    }
    *to = '\0';
    return *text ? text + 1 : NULL;
}

/* Does FROM or JOIN stand before at? Parentheses may be between. */
static bool is_source(const char *begin, const char *at)
{
    while (at > begin && (at[-1] == ' ' || at[-1] == '('))
        at--;
    return at - begin >= 4 && (strncasecmp(at - 4, "from", 4) == 0 || strncasecmp(at - 4, "join", 4) == 0);
}

static void add(struct behind *behind, const char *schema, const char *table)
{
    for (size_t i = 0; i < behind->count; i++)
        if (strcmp(behind->schemas[i], schema) == 0 && strcmp(behind->tables[i], table) == 0)
            return;
    if (behind->count == MOST)
        return;
    behind->schemas[behind->count] = schema;
    behind->tables[behind->count++] = table;
}

/* Adds each `schema`.`table` that is read from. */
static void collect(struct behind *behind, const char *sql)
{
    struct arena *arena = behind->d->arena;
    char *schema = NULL, *table = NULL;
    for (const char *at = sql; at && (at = strchr(at, '`'));) {
        bool source = is_source(sql, at);
        at = take_name(arena, at, &schema);
        if (!at || *at != '.' || !source)
            continue;
        at = take_name(arena, at + 1, &table);
        if (at)
            add(behind, schema, table);
    }
}

/* what is behind */

static void explain(struct behind *behind)
{
    struct mydb_describing *d = behind->d;
    struct buf sql = {0};
    struct err ignored = {0};
    enum { NOTE = 1003 };
    buf_puts(&sql, d->conn->mariadb ? "EXPLAIN EXTENDED " : "EXPLAIN ");
    if (mydb_put_described(d, &sql) || !buf_text(&sql))
        goto out;
    MYSQL_RES *rows = mydb_run(d->conn, sql.data, "explain", &ignored) ? NULL : mysql_store_result(d->conn->mysql);
    if (!rows)
        goto out;
    mysql_free_result(rows);
    rows = mydb_run(d->conn, "SHOW WARNINGS", "explain", &ignored) ? NULL : mysql_store_result(d->conn->mysql);
    for (MYSQL_ROW row; rows && (row = mysql_fetch_row(rows));)
        if (row[1] && row[2] && strtoul(row[1], NULL, 10) == NOTE)
            collect(behind, row[2]);
    if (rows)
        mysql_free_result(rows);
out:
    buf_free(&sql);
    d->conn->busy = true; /* as mydb_describe has it */
}

/* A view that the server keeps apart is not explained with what reads it. */
static int collect_view(struct behind *behind, const char *schema, const char *table)
{
    MYSQL_RES *rows = mydb_ask(behind->d,
                               "SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = % AND"
                               " TABLE_NAME = %", (const char *const[]){schema, table});
    if (!rows)
        return -1;
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows));)
        if (row[0])
            collect(behind, row[0]);
    mysql_free_result(rows);
    return 0;
}

/* engines */

static const char *why_outside(const char *engine)
{
    static const char *const elsewhere[] = {"CONNECT", "FEDERATED", "SPIDER", "NDB", "ndbcluster", "S3"};
    static const char *const own[] = {"ROCKSDB", "TokuDB"};
    if (strcasecmp(engine, "InnoDB") == 0)
        return NULL;
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strcasecmp(engine, elsewhere[i]) == 0)
            return "whose rows are written elsewhere";
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcasecmp(engine, own[i]) == 0)
            return "whose transactions are not among those of InnoDB";
    return "which has no transactions";
}

static void judge(struct mydb_describing *d, const char *schema, const char *table, const char *engine)
{
    const char *why = engine ? why_outside(engine) : NULL;
    if (why && !d->relation->outside)
        d->relation->outside =
            arena_printf(d->arena, "%s.%s is of the engine %s, %s", schema, table, engine, why);
}

static int look_up(struct behind *behind, const char *schema, const char *table)
{
    struct mydb_describing *d = behind->d;
    MYSQL_RES *rows = mydb_ask(d,
                               "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_TYPE FROM information_schema.TABLES"
                               " WHERE TABLE_SCHEMA = % AND TABLE_NAME = %", (const char *const[]){schema, table});
    if (!rows)
        return -1;
    MYSQL_ROW row = mysql_fetch_row(rows);
    bool view = row && row[3] && strcmp(row[3], "VIEW") == 0;
    if (row && !view)
        judge(d, row[0], row[1], row[2]);
    mysql_free_result(rows);
    return view ? collect_view(behind, schema, table) : 0;
}

int mydb_outside(struct mydb_describing *d)
{
    if (d->relation->indexable) {
        judge(d, d->schema, d->table, d->engine);
        return 0;
    }
    struct behind behind = {.d = d};
    if (d->table)
        add(&behind, d->schema, d->table);
    explain(&behind);
    for (size_t i = 0; i < behind.count && !d->relation->outside; i++)
        if (look_up(&behind, behind.schemas[i], behind.tables[i]))
            return -1;
    return 0;
}
