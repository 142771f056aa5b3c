-- Lets a role ask what the oldest open transaction of the database is, without the right to see what other sessions
-- do. To be run by a role that has pg_read_all_stats (or a superuser), once in each database, in any schema. Then:
--
--     GRANT EXECUTE ON FUNCTION sesam_sql_horizon() TO the role of the system
--
-- A role that has pg_read_all_stats itself needs no such function.

CREATE OR REPLACE FUNCTION sesam_sql_horizon(
    OUT allowed boolean,            -- the owner may see what all sessions do
    OUT since timestamp with time zone, -- of the oldest transaction or message at work; NULL: there is none
    OUT holder text,                -- whose that is
    OUT hidden text                 -- a session that keeps to itself what it does, so that nothing is certain
) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $horizon$
    -- A transaction's now() is when the message that began it was received. Of several transactions in one message
    -- the later ones have no xact_start yet while the earlier end: query_start covers those.
    WITH session AS (
        SELECT a.pid, a.usename, a.application_name, a.state, a.xact_start,
            CASE WHEN a.state = 'idle' THEN a.xact_start
                WHEN a.backend_type = 'walsender' THEN a.backend_start
                ELSE least(a.xact_start, a.query_start) END AS since
        FROM pg_catalog.pg_stat_activity a
        WHERE a.datname = pg_catalog.current_database() AND a.backend_type IS DISTINCT FROM 'autovacuum worker'
            -- A walsender can run SQL, too, and the server does not tell since when; one that streams does nothing else.
            AND (a.backend_type = 'walsender' AND a.query ~* '^\s*START_REPLICATION') IS NOT TRUE
    ), oldest AS (
        SELECT s.* FROM session s
        WHERE s.since IS NOT NULL AND s.pid <> pg_catalog.pg_backend_pid()
            -- Reads of sources write nothing. They have a name of their own while they run, and our role.
            AND (s.application_name = 'sesam-sql source' AND s.usename = session_user) IS NOT TRUE
        ORDER BY s.since LIMIT 1
    )
    SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
        (SELECT o.since FROM oldest o),
        (SELECT pg_catalog.concat('session ', o.pid, ' of role ''' || o.usename || '''',
            ', application ''' || nullif(o.application_name, '') || '''',
            CASE WHEN o.xact_start IS NULL THEN ', running since ' ELSE ', in a transaction since ' END,
            pg_catalog.to_char(o.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) FROM oldest o),
        (SELECT pg_catalog.concat('session ', s.pid, ' of role ''' || s.usename || '''')
            FROM session s WHERE s.state = 'disabled' LIMIT 1)
$horizon$;

REVOKE ALL ON FUNCTION sesam_sql_horizon() FROM PUBLIC;
