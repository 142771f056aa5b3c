-- The same table in MariaDB, filled with PostgreSQL's rows as tab separated text from standard input.
create table customers (
    id bigint primary key,
    name text not null,
    email text,
    country char(2),
    balance decimal(12, 2),
    score double,
    active boolean,
    birth date,
    created datetime(6),
    updated datetime(6) not null,
    notes text,
    key customers_updated_id (updated, id)
) engine = InnoDB, default charset = utf8mb4;

load data local infile '/dev/stdin' into table customers character set utf8mb4;
analyze table customers;
