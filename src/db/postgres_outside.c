/* Which relations under a table, view or query get rows that the horizon knows nothing of: as a copy of what was
 * committed before (materialised views), from elsewhere (foreign tables), or with times of elsewhere (what a
 * subscription fills). */
#include "db/postgres.h"

/* What the statement just described reads is what it locked: parsing locks the tables, and, as it puts views in the
 * place of their names, all that is under those. Partitions and children are locked only when it runs; a subscription
 * may also name what a table is a partition of. */
int postgres_outside(struct conn *conn, struct relation *relation, struct arena *arena, struct err *err)
{
    static const char sql[] =
        "WITH RECURSIVE below(oid) AS ("
        " SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.pid = pg_catalog.pg_backend_pid()"
        "  AND l.locktype = 'relation' AND l.relation >= 16384 UNION"
        " SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN below b ON b.oid = i.inhparent"
        "), above(oid, top) AS ("
        " SELECT b.oid, b.oid FROM below b UNION"
        " SELECT a.oid, i.inhparent FROM above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.top"
        ") SELECT pg_catalog.concat(n.nspname, '.', c.relname, CASE c.relkind WHEN 'm' THEN ' is a materialised view'"
        " WHEN 'f' THEN ' is a foreign table' ELSE ' is filled by a subscription' END)"
        " FROM below b JOIN pg_catalog.pg_class c ON c.oid = b.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('m', 'f') OR EXISTS (SELECT FROM above a JOIN pg_catalog.pg_subscription_rel s"
        "  ON s.srrelid = a.top WHERE a.oid = c.oid) ORDER BY 1 LIMIT 1";
    PGresult *result = postgres_query(conn, sql, 0, NULL, "cannot look for what is under the table", err);
    if (!result)
        return -1;
    int failed = 0;
    if (PQntuples(result) == 1) {
        relation->outside = arena_strdup(arena, PQgetvalue(result, 0, 0));
        failed = relation->outside ? 0 : err_memory(err);
    }
    PQclear(result);
    return failed;
}
