-- Lets a role without the PROCESS privilege ask which sessions and transactions are at work: ids and times, nothing
-- else. They stand in the system's database and run with the rights of whoever makes them, who needs PROCESS. Then, for
-- both: GRANT EXECUTE ON PROCEDURE ... TO the role.

-- The sessions that run a statement: id, since when, the clock, and whether it applies what another server wrote.
-- Times are microseconds since 1970. MySQL, which tells whole seconds only, does not read the comment that MariaDB does.
DROP PROCEDURE IF EXISTS sesam_sql_horizon_sessions;
CREATE PROCEDURE sesam_sql_horizon_sessions() READS SQL DATA SQL SECURITY DEFINER
SELECT ID,
       CAST((UNIX_TIMESTAMP(NOW(6)) - /*M!100000 TIME_MS / 1000 + 0 * */ (TIME + 1)) * 1000000 AS SIGNED),
       CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED),
       COMMAND LIKE 'Slave%' OR (USER = 'system user' AND COMMAND IN ('Connect', 'Query'))
FROM information_schema.PROCESSLIST
WHERE COMMAND NOT IN ('Sleep', 'Daemon', 'Binlog Dump', 'Binlog Dump GTID')
  AND NOT (COMMAND = 'Connect' AND USER = 'unauthenticated user');

-- InnoDB's open transactions: session, id, since when, whether it was declared READ ONLY, whether it waits for a lock.
DROP PROCEDURE IF EXISTS sesam_sql_horizon_transactions;
CREATE PROCEDURE sesam_sql_horizon_transactions() READS SQL DATA SQL SECURITY DEFINER
SELECT trx_mysql_thread_id, trx_id, CAST(UNIX_TIMESTAMP(trx_started) AS SIGNED),
       trx_is_read_only = 1 AND trx_autocommit_non_locking = 0, trx_state = 'LOCK WAIT'
FROM information_schema.INNODB_TRX;
