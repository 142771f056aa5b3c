/* What is there, for those who look around. */
#include "db/postgres.h"

#include <string.h>

/* The parts of a table that is divided are read with it, and what an extension brought is its own. */
static const char sql[] =
    "SELECT n.nspname, c.relname, CASE WHEN c.relkind IN ('r', 'p') THEN 't' WHEN c.relkind = 'f' THEN 'o' ELSE 'v' END"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition"
    " AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND n.nspname = coalesce($1, n.nspname)"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass"
    "  AND d.objid = c.oid AND d.deptype = 'e')"
    " ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

static int take(struct listed *listed, const PGresult *rows, int row, struct arena *arena)
{
    char kind = PQgetvalue(rows, row, 2)[0];
    listed->schema = arena_strdup(arena, PQgetvalue(rows, row, 0));
    listed->name = arena_strdup(arena, PQgetvalue(rows, row, 1));
    listed->kind = kind == 't' ? LISTED_TABLE : kind == 'v' ? LISTED_VIEW : LISTED_OTHER;
    return listed->schema && listed->name ? 0 : -1;
}

int postgres_list(struct conn *conn, const char *schema, struct arena *arena, struct listed **list, size_t *count,
                  struct err *err)
{
    PGresult *rows = postgres_query(conn, sql, 1, &schema, "cannot list the tables", err);
    if (!rows)
        return -1;
    *count = (size_t)PQntuples(rows);
    *list = arena_array(arena, *count + 1, sizeof **list);
    int failed = *list ? 0 : -1;
    for (size_t i = 0; i < *count && !failed; i++)
        failed = take(&(*list)[i], rows, (int)i, arena);
    PQclear(rows);
    return failed ? err_memory(err) : 0;
}
