/* What is there, for those who look around: in one schema, since a schema is a database here. */
#include "db/mysql.h"

#include <string.h>

static enum listed_kind kind_of(const char *type)
{
    if (strcmp(type, "BASE TABLE") == 0 || strcmp(type, "SYSTEM VERSIONED") == 0)
        return LISTED_TABLE;
    return strcmp(type, "VIEW") == 0 ? LISTED_VIEW : LISTED_OTHER;
}

static int take(struct listed *listed, MYSQL_ROW row, const char *schema, struct arena *arena)
{
    listed->schema = schema;
    listed->name = arena_strdup(arena, row[0]);
    listed->kind = kind_of(row[1]);
    return listed->name ? 0 : -1;
}

static const char statement[] = "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ";

/* A name that is the connection's own need not be written. */
static MYSQL_RES *ask(struct mydb_describing *d, const char *schema)
{
    struct buf sql = {0};
    buf_printf(&sql, "%s%s ORDER BY BINARY TABLE_NAME", statement, schema ? "%" : "DATABASE()");
    MYSQL_RES *rows = NULL;
    if (buf_text(&sql))
        rows = mydb_ask(d, sql.data, &schema);
    else
        err_memory(d->err);
    buf_free(&sql);
    return rows;
}

int mydb_list(struct conn *conn, const char *schema, struct arena *arena, struct listed **list, size_t *count,
              struct err *err)
{
    struct err own = {0};
    struct mydb_describing d = {.conn = conn, .arena = arena, .err = err ? err : &own};
    const char *database = conn->system->database,
               *written = schema && database && strcmp(schema, database) == 0 ? NULL : schema;
    mydb_thread();
    MYSQL_RES *rows = ask(&d, schema);
    if (!rows)
        return -1;
    *count = 0;
    *list = arena_array(arena, (size_t)mysql_num_rows(rows) + 1, sizeof **list);
    int failed = *list ? 0 : -1;
    for (MYSQL_ROW row; !failed && (row = mysql_fetch_row(rows));)
        failed = take(&(*list)[(*count)++], row, written, arena);
    mysql_free_result(rows);
    return failed ? err_memory(err) : 0;
}
