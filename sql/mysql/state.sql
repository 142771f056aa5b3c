-- The state of full syncs. It stands in the database of the table that is written to; needs InnoDB. Names and ids are
-- VARBINARY, UTF-8 as it came: no collation takes two of them for the same.

-- One row per table and sink.
CREATE TABLE IF NOT EXISTS sesam_sql_sync (
    target VARBINARY(516) NOT NULL,
    sink VARBINARY(800) NOT NULL,
    sequence_id VARBINARY(1024) NULL,
    is_open TINYINT NOT NULL DEFAULT 0,
    request_id VARBINARY(1024) NULL,
    requests BIGINT UNSIGNED NOT NULL DEFAULT 0,
    entities BIGINT UNSIGNED NOT NULL DEFAULT 0,
    started DATETIME(6) NULL,
    changed DATETIME(6) NULL,
    PRIMARY KEY (target, sink)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT=DYNAMIC;

-- One row per accepted request of the sequence, and per incremental one meanwhile (request_id NULL). A long list of
-- seen keys goes on in rows of its own.
CREATE TABLE IF NOT EXISTS sesam_sql_request (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    target VARBINARY(516) NOT NULL,
    sink VARBINARY(800) NOT NULL,
    sequence_id VARBINARY(1024) NOT NULL,
    n BIGINT UNSIGNED NULL,
    request_id VARBINARY(1024) NULL,
    digest VARBINARY(128) NULL,
    answer LONGTEXT NULL,
    seen LONGTEXT NULL,
    KEY sesam_sql_request_id (target, sink, request_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT=DYNAMIC;

-- Sequences that a newer one replaced, for a week.
CREATE TABLE IF NOT EXISTS sesam_sql_retired (
    target VARBINARY(516) NOT NULL,
    sink VARBINARY(800) NOT NULL,
    sequence_id VARBINARY(1024) NOT NULL,
    retired DATETIME(6) NOT NULL,
    PRIMARY KEY (target, sink, sequence_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT=DYNAMIC;
