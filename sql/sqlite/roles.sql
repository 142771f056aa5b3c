--- head
-- SQLite has no roles: what the service may do is what its user may do with the files. There is no SQL to run here.
--- system

-- System {system}: {where}
--- source
-- Source {name} reads it. In WAL mode, and for the horizon, that takes the right to write to the file and into its
-- folder, too, for the files ...-wal and ...-shm beside it.
--- query
-- Source {name} reads it, as above or below.
--- sink
-- Sink {name} writes to the file, and makes its tables sesam_sql_* in it.
--- create
-- Sink {name} writes to the file, and makes its table and sesam_sql_* in it.
--- end
--
-- A user of its own for the service, a group for all who share the files, and nothing for others:
--     chgrp GROUP FOLDER FILE*; chmod 2770 FOLDER; chmod 660 FILE*
--- example
{"systems": {"crm": {"type": "sqlite", "path": "/data/crm.db"}},
 "sources": {"customers": {"system": "crm", "table": "customers", "updated_column": "updated_at"}},
 "sinks": {"customers": {"system": "crm", "table": "customers"}}}
