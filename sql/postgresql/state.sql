-- The state of full syncs. These tables stand in the schema of the table that a sink writes to.
-- The role of the system needs SELECT, INSERT, UPDATE and DELETE on them.

-- One row for each sink that was ever synced in full: its sequence.
CREATE TABLE IF NOT EXISTS sesam_sql_sync (
    target text NOT NULL,           -- the table, as schema.table
    sink text NOT NULL,             -- the sink's name in the configuration
    sequence_id text,
    open boolean NOT NULL,          -- it waits for more requests
    request_id text,                -- of the last request that was accepted
    requests bigint NOT NULL,       -- accepted in this sequence
    entities bigint NOT NULL,       -- that came in it and were no deletions
    started timestamp with time zone NOT NULL,
    changed timestamp with time zone NOT NULL,
    PRIMARY KEY (target, sink)
);

-- What the requests of the sequence were answered, so that one that comes twice is applied once, and the keys they
-- have seen, so that the last one can delete the rest.
CREATE TABLE IF NOT EXISTS sesam_sql_request (
    target text NOT NULL,
    sink text NOT NULL,
    sequence_id text NOT NULL,
    n bigint GENERATED ALWAYS AS IDENTITY,
    request_id text,                -- NULL: an incremental batch that came meanwhile
    digest text,
    answer text,
    seen text,                      -- a JSON array of keys, or of runs of integers; NULL once the sequence is done
    PRIMARY KEY (target, sink, sequence_id, n)
);
CREATE UNIQUE INDEX IF NOT EXISTS sesam_sql_request_id ON sesam_sql_request (target, sink, sequence_id, request_id);

-- Sequences that newer ones took the place of, for a week: a late request of theirs must not bring them back.
CREATE TABLE IF NOT EXISTS sesam_sql_retired (
    target text NOT NULL,
    sink text NOT NULL,
    sequence_id text NOT NULL,
    retired timestamp with time zone NOT NULL,
    PRIMARY KEY (target, sink, sequence_id)
);
