/* What is in a file, for those who look around. */
#include "db/sqlite.h"

static const char attempt[] = "listing the tables";

/* The tables behind a virtual one are its own; which those are SQLite tells since 3.37. */
static const char *statement(void)
{
    if (sqlite3_libversion_number() < 3037000)
        return "SELECT name, CASE WHEN type = 'view' THEN 'v' WHEN sql LIKE 'CREATE VIRTUAL%' THEN 'o' ELSE 't' END"
               " FROM main.sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
               " ORDER BY name";
    return "SELECT name, CASE type WHEN 'view' THEN 'v' WHEN 'virtual' THEN 'o' ELSE 't' END FROM pragma_table_list"
           " WHERE schema = 'main' AND type <> 'shadow' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
}

static int take_rows(struct conn *conn, sqlite3_stmt *stmt, struct arena *arena, struct listed *list, size_t most,
                     size_t *count, struct err *err)
{
    int more = 1;
    for (*count = 0; *count < most && (more = sqlite_step(conn, stmt, attempt, err)) == 1; ++*count) {
        char kind = *(const char *)sqlite3_column_text(stmt, 1);
        list[*count].name = arena_strdup(arena, (const char *)sqlite3_column_text(stmt, 0));
        list[*count].kind = kind == 't' ? LISTED_TABLE : kind == 'v' ? LISTED_VIEW : LISTED_OTHER;
        if (!list[*count].name)
            return err_memory(err);
    }
    return more < 0 ? -1 : 0;
}

int sqlite_list(struct conn *conn, const char *schema, struct arena *arena, struct listed **list, size_t *count,
                struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    size_t most = 0;
    *count = 0;
    *list = NULL;
    if (schema && sqlite3_stricmp(schema, "main") != 0)
        return 0;
    int failed = sqlite_prepare(conn, statement(), &stmt, attempt, err) ||
                 sqlite_count(conn, stmt, &most, attempt, err) ? -1 : 0;
    if (!failed) {
        *list = arena_array(arena, most + 1, sizeof **list);
        failed = *list ? take_rows(conn, stmt, arena, *list, most, count, err) : err_memory(err);
    }
    sqlite3_finalize(stmt);
    return failed;
}
