--- head
-- Roles for sesam-sql that may do what it needs, and nothing else. To be run with the mysql or mariadb client by an
-- administrator: who may create users, has the rights below with GRANT OPTION, and PROCESS. It can be run again at any
-- time, and takes nothing away from these roles. None has rights on all databases. Its host is '%', any; a narrower one is
-- better, and must then stand in all lines.
--- connect

-- What follows is of another server or database: {where}.
--- system

-- System {system}: {where}.
CREATE USER IF NOT EXISTS {role}@`%` ACCOUNT LOCK;
-- A new one is locked, since without a password it would let anybody in. Give it one, and let it in:
-- ALTER USER {role_said}@`%` IDENTIFIED BY <the password, in quotes> ACCOUNT UNLOCK;
--- home

-- None of its tables is known to be in its own database, and who has no right there is not let in. A weak one:
GRANT SHOW VIEW ON {pattern}.* TO {role}@`%`;
--- source

-- Source {name}
GRANT SELECT{columns} ON {table} TO {role}@`%`;
--- log
-- Its change log, which 'sesam-sql ddl mysql --table' makes.
GRANT SELECT ON {list} TO {role}@`%`;
GRANT SELECT ON {log} TO {role}@`%`;
GRANT EXECUTE ON FUNCTION {log} TO {role}@`%`;
--- query

-- Source {name} is a query: SELECT on each table or view in it. To be filled in:
-- GRANT SELECT ON ... TO {role_said}@`%`;
--- horizon

-- The horizon, for sources with an updated column or a change log. Made anew, the procedures are forgotten by all whom
-- this file does not name.
USE {database};
{horizon}
--- horizon_grant

-- Asking for the horizon. GRANT PROCESS ON *.* TO the role does the same, and shows it what everybody runs.
GRANT EXECUTE ON PROCEDURE {database}.sesam_sql_horizon_sessions TO {role}@`%`;
GRANT EXECUTE ON PROCEDURE {database}.sesam_sql_horizon_transactions TO {role}@`%`;
--- sink

-- Sink {name}
GRANT {rights} ON {table} TO {role}@`%`;
--- create

-- Sink {name} makes its table.
GRANT CREATE, {rights} ON {table} TO {role}@`%`;
--- state

USE {schema};
{state}
--- state_grant

-- What is remembered of full syncs, and the table for a moment in which their last request looks for the rest.
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.sesam_sql_sync TO {role}@`%`;
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.sesam_sql_request TO {role}@`%`;
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.sesam_sql_retired TO {role}@`%`;
GRANT CREATE TEMPORARY TABLES ON {pattern}.* TO {role}@`%`;
--- example
{"systems": {"reader": {"type": "mysql", "host": "db.example.com", "database": "crm", "username": "sesam_reader"},
             "writer": {"type": "mysql", "host": "db.example.com", "database": "crm", "username": "sesam_writer"}},
 "sources": {"customers": {"system": "reader", "table": "customers", "updated_column": "updated_at"}},
 "sinks": {"customers": {"system": "writer", "table": "customers"}}}
