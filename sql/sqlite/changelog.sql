-- The change log of {title}: one row for each key that there is or was, with the number of its
-- last change. To be run with sqlite3. It can be run again at any time: it does no harm, and gives a change to rows
-- and deletions that the triggers did not see.

PRAGMA busy_timeout = 10000;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS {list} (
    name TEXT PRIMARY KEY NOT NULL,
    last INTEGER NOT NULL DEFAULT 0, -- the number of the last change
    prunes INTEGER NOT NULL DEFAULT 0,
    pruned INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {log} (
{columns},
    sesam_change INTEGER NOT NULL,
    sesam_gone TEXT,
    PRIMARY KEY ({keys})
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {index} ON {log} (sesam_change, {keys});
INSERT OR IGNORE INTO {list} (name) VALUES ({name});

DROP TRIGGER IF EXISTS {trigger_insert};
CREATE TRIGGER {trigger_insert} AFTER INSERT ON {table} WHEN {new_whole}
BEGIN
    UPDATE {list} SET last = last + 1 WHERE name = {name};
    INSERT INTO {log} ({keys}, sesam_change)
        SELECT {new}, last FROM {list} WHERE name = {name}
        ON CONFLICT ({keys}) DO UPDATE SET sesam_change = excluded.sesam_change, sesam_gone = NULL;
END;
DROP TRIGGER IF EXISTS {trigger_update};
CREATE TRIGGER {trigger_update} AFTER UPDATE ON {table}
BEGIN
    UPDATE {list} SET last = last + 1 WHERE name = {name};
    INSERT INTO {log} ({keys}, sesam_change, sesam_gone)
        SELECT {old}, last, CASE WHEN NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {old_same}) THEN {time} END
            FROM {list} WHERE name = {name} AND NOT ({unchanged}) AND {old_whole}
        ON CONFLICT ({keys}) DO UPDATE SET sesam_change = excluded.sesam_change, sesam_gone = excluded.sesam_gone;
    INSERT INTO {log} ({keys}, sesam_change)
        SELECT {new}, last FROM {list} WHERE name = {name} AND {new_whole}
        ON CONFLICT ({keys}) DO UPDATE SET sesam_change = excluded.sesam_change, sesam_gone = NULL;
END;
DROP TRIGGER IF EXISTS {trigger_delete};
CREATE TRIGGER {trigger_delete} AFTER DELETE ON {table} WHEN {old_whole}
BEGIN
    UPDATE {list} SET last = last + 1 WHERE name = {name};
    INSERT INTO {log} ({keys}, sesam_change, sesam_gone)
        SELECT {old}, last, {time} FROM {list} WHERE name = {name}
        ON CONFLICT ({keys}) DO UPDATE SET sesam_change = excluded.sesam_change, sesam_gone = excluded.sesam_gone;
END;

-- From here on every change is logged. Now the rows from before, and what was missed:
UPDATE {list} SET last = last + 1 WHERE name = {name};
INSERT OR IGNORE INTO {log} ({keys}, sesam_change)
    SELECT {t_keys}, (SELECT last FROM {list} WHERE name = {name}) FROM {table} AS t
        WHERE {t_whole} AND NOT EXISTS (SELECT 1 FROM {log} AS l WHERE {same});
UPDATE {log} AS l SET sesam_change = (SELECT last FROM {list} WHERE name = {name}), sesam_gone = NULL
    WHERE l.sesam_gone IS NOT NULL AND EXISTS (SELECT 1 FROM {table} AS t WHERE {same});
UPDATE {log} AS l SET sesam_change = (SELECT last FROM {list} WHERE name = {name}), sesam_gone = {time}
    WHERE l.sesam_gone IS NULL AND NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same});
COMMIT;

-- Deletions stay in the log until they are pruned. Whoever comes from before gets 410, and must read everything
-- again. To prune what is older than 90 days, with some seconds between the two statements for those who looked
-- at the mark just before:
--
-- UPDATE {list} SET prunes = prunes + 1, pruned = (SELECT max(sesam_change) FROM {log}
--         WHERE sesam_gone < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-90 days'))
--     WHERE name = {name} AND coalesce(pruned, 0) < (SELECT max(sesam_change) FROM {log}
--         WHERE sesam_gone < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-90 days'));
-- DELETE FROM {log} AS l WHERE l.sesam_change < (SELECT pruned FROM {list} WHERE name = {name})
--     AND l.sesam_gone < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-90 days')
--     AND NOT EXISTS (SELECT 1 FROM {table} AS t WHERE {same});
--
-- To drop the log: DROP TRIGGER {trigger_insert}; DROP TRIGGER {trigger_update}; DROP TRIGGER {trigger_delete};
-- DROP TABLE {log};
