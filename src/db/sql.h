/* The statements of sql/, as texts for the program: sql/embed makes them when we are built. */
#ifndef DB_SQL_H
#define DB_SQL_H

extern const char sql_postgresql_horizon[], sql_postgresql_state[], sql_mysql_horizon[], sql_mysql_state[], sql_sqlite_state[],
    sql_postgresql_changelog[], sql_mysql_changelog[], sql_sqlite_changelog[],
    sql_postgresql_roles[], sql_mysql_roles[], sql_sqlite_roles[];

#endif
