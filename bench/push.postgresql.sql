-- What is pushed, and the tables it is pushed to. Run after customers.postgresql.sql, with :rows of them to push.
alter table customers rename to wanted;
alter index customers_pkey rename to wanted_pkey;
alter index customers_updated_id rename to wanted_updated_id;

-- Autovacuum would fall into the one opponent's time and not into the other's.
create table customers (like wanted including all) with (autovacuum_enabled = off);
create table versioned (like wanted including all, version integer not null) with (autovacuum_enabled = off);

-- The rows in the order of COPY's files: for the table, and changed for the versioned one, which has version 1.
create view fresh as select * from wanted where id <= :rows;
create view old as select fresh.*, 1 as version from fresh;
create view changed as
select id, name, email, country, (balance + 1)::numeric(12, 2) as balance, score, active, birth, created,
    updated + interval '1 year' as updated, notes, 1 as version
from fresh;
-- What the versioned table must hold in the end.
create view moved as
select id, name, email, country, balance, score, active, birth, created, updated, notes, 2 as version from changed;

-- The same as entities, as our source would send them.
create function iso(timestamptz) returns text immutable language sql
return to_char($1 at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

create view entities as
select entity.id, json_strip_nulls(row_to_json(entity))::text as entity
from wanted, lateral (
    select id::text as "_id", iso(updated) || ':' || id as "_updated", id, name, email, country,
        '~f' || balance as balance, score, active, '~t' || birth as birth, '~t' || iso(created) as created,
        '~t' || iso(updated) as updated, notes
) as entity;

create view entities_changed as
select entity.id, json_strip_nulls(row_to_json(entity))::text as entity
from changed, lateral (
    select id::text as "_id", iso(updated) || ':' || id as "_updated", id, name, email, country,
        '~f' || balance as balance, score, active, '~t' || birth as birth, '~t' || iso(created) as created,
        '~t' || iso(updated) as updated, notes, version
) as entity;

-- MariaDB's booleans are the integers 0 and 1.
create view entities_of_mariadb as
select entity.id, json_strip_nulls(row_to_json(entity))::text as entity
from fresh, lateral (
    select id::text as "_id", iso(updated) || ':' || id as "_updated", id, name, email, country,
        '~f' || balance as balance, score, active::int as active, '~t' || birth as birth,
        '~t' || iso(created) as created, '~t' || iso(updated) as updated, notes
) as entity;
