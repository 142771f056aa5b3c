-- The change log of {title}: one row for each key that there is or was, with the transaction
-- that changed it last. To be run with psql by the owner of the table. It can be run again at any time: it does
-- no harm, and gives a change to rows and deletions that the triggers did not see.

BEGIN;
CREATE TABLE IF NOT EXISTS {list} (
    name text PRIMARY KEY,
    prunes bigint NOT NULL DEFAULT 0,
    pruned xid8
);
CREATE TABLE IF NOT EXISTS {log} (
{columns},
    sesam_change xid8 NOT NULL,
    sesam_gone timestamptz,
    PRIMARY KEY ({keys})
);
CREATE INDEX IF NOT EXISTS {index} ON {log} (sesam_change, {keys});
INSERT INTO {list} (name) VALUES ({name}) ON CONFLICT DO NOTHING;

-- It writes with the rights of its owner, so that those who write to the table need none on the log.
CREATE OR REPLACE FUNCTION {log}() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {tag}
#variable_conflict use_column
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE {log} AS l SET sesam_change = pg_current_xact_id(), sesam_gone = clock_timestamp()
            WHERE l.sesam_gone IS NULL AND NOT EXISTS (SELECT FROM {table} AS t WHERE {same});
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND ROW({old}) IS DISTINCT FROM ROW({new})) THEN
        INSERT INTO {log} ({keys}, sesam_change, sesam_gone)
            VALUES ({old}, pg_current_xact_id(), CASE WHEN TG_OP = 'DELETE' OR NOT EXISTS
                (SELECT FROM {table} AS t WHERE {old_same}) THEN clock_timestamp() END)
            ON CONFLICT ({keys}) DO UPDATE
                SET sesam_change = excluded.sesam_change, sesam_gone = excluded.sesam_gone;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {log} ({keys}, sesam_change) VALUES ({new}, pg_current_xact_id())
            ON CONFLICT ({keys}) DO UPDATE SET {set}, sesam_change = excluded.sesam_change, sesam_gone = NULL;
    END IF;
    RETURN NULL;
END
{tag};
REVOKE ALL ON FUNCTION {log}() FROM PUBLIC;

-- ALWAYS: what comes by replication is logged, too.
{triggers}
GRANT SELECT ON {list}, {log} TO {role};
COMMIT;

-- From here on every change is logged. Now the rows from before, and what was missed:
INSERT INTO {log} ({keys}, sesam_change)
    SELECT {t_keys}, pg_current_xact_id() FROM {table} AS t
        WHERE NOT EXISTS (SELECT FROM {log} AS l WHERE {same})
    ON CONFLICT DO NOTHING;
-- A change of the future is from another server: the log was restored from a dump.
UPDATE {log} AS l SET sesam_change = pg_current_xact_id(), sesam_gone = NULL
    FROM {table} AS t WHERE {same}
        AND (l.sesam_gone IS NOT NULL OR l.sesam_change >= pg_snapshot_xmax(pg_current_snapshot()));
UPDATE {log} AS l SET sesam_change = pg_current_xact_id(), sesam_gone = clock_timestamp()
    WHERE (l.sesam_gone IS NULL OR l.sesam_change >= pg_snapshot_xmax(pg_current_snapshot()))
        AND NOT EXISTS (SELECT FROM {table} AS t WHERE {same});
ANALYZE {log};

-- Deletions stay in the log until they are pruned. Whoever comes from before gets 410, and must read everything
-- again. The pause lets those finish who looked at the mark just before. To prune what is older than 90 days:
--
-- UPDATE {list} AS m SET prunes = m.prunes + 1, pruned = p.pruned
--     FROM (SELECT max(sesam_change) AS pruned FROM {log} WHERE sesam_gone < now() - interval '90 days') AS p
--     WHERE m.name = {name} AND p.pruned > coalesce(m.pruned, '0');
-- SELECT pg_sleep(5);
-- DELETE FROM {log} AS l USING {list} AS m WHERE m.name = {name} AND l.sesam_change < m.pruned
--     AND l.sesam_gone < now() - interval '90 days' AND NOT EXISTS (SELECT FROM {table} AS t WHERE {same});
--
-- To drop the log: DROP FUNCTION {log}() CASCADE; DROP TABLE {log};
