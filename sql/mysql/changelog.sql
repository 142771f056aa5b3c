-- The change log of {title}: one row for each key that there is or was, with the time of its
-- last change in UTC. To be run with the mysql or mariadb client by a role that may make triggers there. It can be
-- run again at any time: it does no harm, and gives a change to rows and deletions that the triggers did not see.

SET NAMES utf8mb4;
SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'; -- the triggers keep it: they take whatever the table took
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; -- the last statements do not lock the table
CREATE TABLE IF NOT EXISTS {list} (
    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    prunes BIGINT NOT NULL DEFAULT 0,
    pruned DATETIME(6)
) ENGINE = InnoDB;
CREATE TABLE IF NOT EXISTS {log} (
{columns},
    sesam_change DATETIME(6) NOT NULL,
    sesam_gone DATETIME(6),
    PRIMARY KEY ({keys}),
    KEY sesam_change (sesam_change, {keys})
) ENGINE = InnoDB;
INSERT IGNORE INTO {list} (name) VALUES ({name});

-- The time of a change is the server's own: never before the statement began, whatever SET TIMESTAMP said.
{lock}DELIMITER //
{create_insert}
    INSERT INTO {log} ({keys}, sesam_change) VALUES ({new}, {now})
        ON DUPLICATE KEY UPDATE {set}, sesam_change = VALUES(sesam_change), sesam_gone = NULL//
{create_update}
BEGIN
    IF NOT ({unchanged}) THEN
        INSERT INTO {log} ({keys}, sesam_change, sesam_gone)
            VALUES ({old}, {now}, IF(EXISTS (SELECT 1 FROM {table} AS t WHERE {old_same}), NULL, UTC_TIMESTAMP(6)))
            ON DUPLICATE KEY UPDATE sesam_change = VALUES(sesam_change), sesam_gone = VALUES(sesam_gone);
    END IF;
    INSERT INTO {log} ({keys}, sesam_change) VALUES ({new}, {now})
        ON DUPLICATE KEY UPDATE {set}, sesam_change = VALUES(sesam_change), sesam_gone = NULL;
END//
{create_delete}
    INSERT INTO {log} ({keys}, sesam_change, sesam_gone) VALUES ({old}, {now}, UTC_TIMESTAMP(6))
        ON DUPLICATE KEY UPDATE sesam_change = VALUES(sesam_change), sesam_gone = VALUES(sesam_gone)//
-- Tells the service, which may make no triggers and so sees none, how many of them are there.
DROP FUNCTION IF EXISTS {log}//
CREATE FUNCTION {log}() RETURNS INT READS SQL DATA SQL SECURITY DEFINER
    RETURN (SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {schema_text}
        AND EVENT_OBJECT_SCHEMA = {schema_text} AND EVENT_OBJECT_TABLE = {name} AND ACTION_TIMING = 'AFTER'
        AND TRIGGER_NAME IN ({trigger_texts}))//
DELIMITER ;
{unlock}
-- From here on every change is logged. Now the rows from before, and what was missed:
INSERT IGNORE INTO {log} ({keys}, sesam_change)
    SELECT {t_keys}, UTC_TIMESTAMP(6) FROM {table} AS t
        WHERE NOT EXISTS (SELECT 1 FROM {log} AS l WHERE {same});
UPDATE {log} AS l JOIN {table} AS t ON {same}
    SET l.sesam_change = UTC_TIMESTAMP(6), l.sesam_gone = NULL WHERE l.sesam_gone IS NOT NULL;
UPDATE {log} AS l LEFT JOIN {table} AS t ON {same}
    SET l.sesam_change = UTC_TIMESTAMP(6), l.sesam_gone = UTC_TIMESTAMP(6)
    WHERE l.sesam_gone IS NULL AND t.{first_key} IS NULL;

-- What the service's role needs:
-- GRANT SELECT ON {list} TO {role};
-- GRANT SELECT ON {log} TO {role};
-- GRANT EXECUTE ON FUNCTION {log} TO {role};
--
-- Deletions stay in the log until they are pruned. Whoever comes from before gets 410, and must read everything
-- again. The pause lets those finish who looked at the mark just before. To prune what is older than 90 days:
--
-- UPDATE {list} AS m JOIN (SELECT MAX(sesam_change) AS pruned FROM {log}
--         WHERE sesam_gone < UTC_TIMESTAMP(6) - INTERVAL 90 DAY) AS p
--     SET m.prunes = m.prunes + 1, m.pruned = p.pruned
--     WHERE m.name = {name} AND p.pruned > COALESCE(m.pruned, '1970-01-01');
-- DO SLEEP(5);
-- DELETE l FROM {log} AS l JOIN {list} AS m ON m.name = {name} LEFT JOIN {table} AS t ON {same}
--     WHERE l.sesam_change < m.pruned AND l.sesam_gone < UTC_TIMESTAMP(6) - INTERVAL 90 DAY
--         AND t.{first_key} IS NULL;
--
-- To drop the log: DROP FUNCTION {log}; DROP TABLE {log}; and {drop_triggers}
