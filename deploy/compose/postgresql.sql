-- The role that sesam-sql works as: what it reads and writes, the tables of full syncs' state (CREATE), and the sight of
-- other sessions, for the horizon.
\set password `cat /run/secrets/database-password`
CREATE ROLE sesam LOGIN PASSWORD :'password';
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sesam;
GRANT CREATE ON SCHEMA public TO sesam;
GRANT pg_read_all_stats TO sesam;
