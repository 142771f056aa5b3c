/* What may be done with a file. */
#include "db/sqlite.h"

int sqlite_rights(struct conn *conn, const struct config_sink *sink, const struct target *target, struct buf *mend,
                  struct err *err)
{
    (void)sink;
    (void)target;
    (void)mend;
    if (sqlite3_db_readonly(conn->db, "main") != 1)
        return 0;
    err_set(err, ERR_DATABASE, "system '%s': the database file can only be read", conn->system->name);
    return err_hint(err, "the service's user needs the right to write to '%s' and into its folder", conn->system->path);
}

int sqlite_tables(struct conn *conn, const struct config_sink *sink, const struct target *target,
                  struct tables *tables, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    (void)sink;
    (void)target;
    int row = sqlite_prepare(conn,
                             "SELECT count(*) = 3 FROM main.sqlite_master WHERE type = 'table' AND name IN"
                             " ('sesam_sql_sync', 'sesam_sql_request', 'sesam_sql_retired')",
                             &stmt, "reading the catalogue", err);
    if (!row)
        row = sqlite_step(conn, stmt, "reading the catalogue", err);
    tables->there = row == 1 && sqlite3_column_int(stmt, 0);
    tables->may = sqlite3_db_readonly(conn->db, "main") == 1 ? MAY_NOT : MAY;
    sqlite3_finalize(stmt);
    return row < 0 ? -1 : 0;
}
