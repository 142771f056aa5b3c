-- The table every opponent reads, filled by PostgreSQL: :rows rows of 11 columns of the usual types.
-- Each run makes the same rows: everything follows from the number n, but for score, which is seeded.
-- 3.1 ms lie between two changes, so (updated, id) is also the order in which the rows were written.
create table customers (
    id bigint primary key,
    name text not null,
    email text,
    country char(2),
    balance numeric(12, 2),
    score double precision,
    active boolean,
    birth date,
    created timestamptz,
    updated timestamptz not null,
    notes text
);

do $$ begin perform setseed(0.42); end $$;

insert into customers
select n,
    format('Customer %s', n),
    format('user%s@example.com', n),
    (array['NO', 'SE', 'DK', 'FI', 'DE'])[n % 5 + 1],
    (n % 1000000)::numeric / 100,
    1000 * random(),
    n % 3 = 0,
    date '1950-01-01' + n % 20000,
    timestamptz '2020-01-01 00:00:00+00' + n * interval '1 second',
    timestamptz '2024-01-01 00:00:00+00' + n * interval '3100 microseconds',
    case when n % 4 <> 0 then format('Some note with "quotes" and æøå number %s', n) end
from generate_series(1, :rows) as n
order by n;

create index customers_updated_id on customers (updated, id);
vacuum (freeze, analyze) customers;
