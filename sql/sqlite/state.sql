-- What sesam-sql remembers of full syncs, beside the tables they fill.

-- One row for each sink and its table: the open sequence, or the last one.
CREATE TABLE IF NOT EXISTS sesam_sql_sync (
    target TEXT NOT NULL,
    sink TEXT NOT NULL,
    sequence_id TEXT NOT NULL,
    open INTEGER NOT NULL,
    request_id TEXT,
    requests INTEGER NOT NULL DEFAULT 0,
    entities INTEGER NOT NULL DEFAULT 0,
    started TEXT NOT NULL,
    changed TEXT NOT NULL,
    PRIMARY KEY (target, sink)
);

-- One row for each request of the sequence: what it was answered, and the keys it has seen. A request without an id
-- came in between and is no part of the chain.
CREATE TABLE IF NOT EXISTS sesam_sql_request (
    target TEXT NOT NULL,
    sink TEXT NOT NULL,
    n INTEGER NOT NULL,
    sequence_id TEXT NOT NULL,
    request_id TEXT,
    digest TEXT,
    answer TEXT,
    seen TEXT NOT NULL,
    PRIMARY KEY (target, sink, n),
    UNIQUE (target, sink, sequence_id, request_id)
);

-- Sequences that are over, kept for a week, so that a late request does not begin one again.
CREATE TABLE IF NOT EXISTS sesam_sql_retired (
    target TEXT NOT NULL,
    sink TEXT NOT NULL,
    sequence_id TEXT NOT NULL,
    retired TEXT NOT NULL,
    PRIMARY KEY (target, sink, sequence_id)
);
