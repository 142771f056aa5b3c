--- head
-- Roles for sesam-sql that may do what it needs, and nothing else. To be run with psql by an administrator: who may
-- create roles, owns the schemas and tables (or is a superuser), and has pg_read_all_stats. It can be run again at any
-- time, and takes nothing away. No role here is a superuser, has REPLICATION, makes tables or owns anything, but where
-- a sink makes its table. A schema that the configuration does not name is taken to be "public".
--- connect
\connect {database_text} - {host_text} {port_text}
--- system

-- System {system}: {where}.
DO '
BEGIN
    CREATE ROLE {role_text} LOGIN;
EXCEPTION WHEN duplicate_object THEN
    NULL; -- it is there already
END';
-- A new role has no password, and cannot come in with one. In psql, which asks for it: \password {role_said}
GRANT CONNECT ON DATABASE {database} TO {role};
--- schema
GRANT USAGE ON SCHEMA {schema} TO {role};
--- source

-- Source {name}
GRANT SELECT{columns} ON TABLE {table} TO {role};
--- log
-- Its change log, which 'sesam-sql ddl postgresql --table' makes.
GRANT SELECT ON TABLE {list}, {log} TO {role};
--- query

-- Source {name} is a query: SELECT on each table or view in it, and USAGE on their schemas. To be filled in:
-- GRANT SELECT ON TABLE ... TO {role_said};
--- horizon

-- The horizon, for sources with an updated column that is a time. (One of xid8 needs nothing.)
SET search_path = public;
{horizon}RESET search_path;
--- horizon_grant

-- Asking for the horizon. GRANT pg_read_all_stats TO the role does the same, and shows it what everybody runs.
GRANT USAGE ON SCHEMA public TO {role};
GRANT EXECUTE ON FUNCTION public.sesam_sql_horizon() TO {role};
--- sink

-- Sink {name}. Where a serial column is left to the database, its sequence, too:
-- GRANT USAGE ON SEQUENCE ... TO {role_said};
GRANT {rights} ON TABLE {table} TO {role};
--- create

-- Sink {name} makes its table, and then owns it.
GRANT CREATE ON SCHEMA {schema} TO {role};
-- Where the table is there already, instead:
-- GRANT {rights} ON TABLE {table_said} TO {role_said};
--- state

SET search_path = {schema};
{state}RESET search_path;
--- state_grant

-- What is remembered of full syncs.
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {schema}.sesam_sql_sync, {schema}.sesam_sql_request,
    {schema}.sesam_sql_retired TO {role};
--- example
{"systems": {"reader": {"type": "postgresql", "host": "db.example.com", "database": "crm", "username": "sesam_reader"},
             "writer": {"type": "postgresql", "host": "db.example.com", "database": "crm", "username": "sesam_writer"}},
 "sources": {"customers": {"system": "reader", "table": "customers", "updated_column": "updated_at"}},
 "sinks": {"customers": {"system": "writer", "table": "customers"}}}
