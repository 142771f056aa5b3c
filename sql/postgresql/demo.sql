-- A small shop to try sesam-sql on: psql -d shop -f demo.sql
--
-- Customers are never deleted but marked (is_deleted), and orders have a key of two columns. Each row of both keeps
-- the time of its last change (updated_at), and customers count their changes (version). Triggers see to that, whoever
-- writes. Products are a plain list that another system keeps.
BEGIN;

CREATE TABLE customers (
    id         integer PRIMARY KEY,
    name       text NOT NULL,
    email      text,
    country    text NOT NULL DEFAULT 'NO',
    credit     numeric(12, 2) NOT NULL DEFAULT 0,
    logo       bytea,
    is_deleted boolean NOT NULL DEFAULT false,
    version    integer NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE orders (
    customer_id  integer NOT NULL REFERENCES customers (id),
    order_number integer NOT NULL,
    status       text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'sent', 'paid', 'cancelled')),
    amount       numeric(12, 2) NOT NULL,
    note         text,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, order_number)
);

CREATE TABLE products (
    number text COLLATE "C" PRIMARY KEY,
    name   text NOT NULL,
    price  numeric(12, 2) NOT NULL
);

-- What sesam-sql reads by: the updated column, then the key.
CREATE INDEX customers_updated ON customers (updated_at, id);
CREATE INDEX orders_updated ON orders (updated_at, customer_id, order_number);

-- The time of a change is never before that of the change before it, also when the clock was set back.
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.updated_at = old.updated_at THEN
        new.updated_at := greatest(old.updated_at, now());
    END IF;
    RETURN new;
END $$;

-- Only for those who did not count by themselves.
CREATE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.version = old.version THEN
        new.version := old.version + 1;
    END IF;
    RETURN new;
END $$;

-- Someone who forgets about is_deleted must not make a customer vanish unseen.
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'customers are not deleted, set is_deleted';
END $$;

CREATE TRIGGER touch BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER count_version BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION count_version();
CREATE TRIGGER keep BEFORE DELETE ON customers FOR EACH ROW EXECUTE FUNCTION keep();

INSERT INTO customers (id, name, email, country, credit, logo, updated_at) VALUES
    (1, 'Fjord Fisk AS',         'post@fjordfisk.example',   'NO', 50000,   '\x89504e470d0a1a0a', '2024-01-08 07:30:00Z'),
    (2, 'Bølgen & Moi',          'bord@bolgen.example',      'NO', 12500.5, NULL,                 '2024-01-08 07:30:00Z'),
    (3, 'Ångström Optik AB',     'info@angstrom.example',    'SE', 0,       NULL,                 '2024-01-08 07:30:00Z'),
    (4, 'Smørrebrød ApS',        NULL,                       'DK', 7500,    NULL,                 '2024-02-14 12:00:05.25Z'),
    (5, 'Kahvila Sininen Oy',    'hei@sininen.example',      'FI', 1999.99, NULL,                 '2024-03-01 09:15:42.007Z'),
    (6, 'Þingvellir Travel ehf', 'ferd@thingvellir.example', 'IS', 30000,   NULL,                 '2024-03-17 16:45:00.12Z'),
    (7, 'Nordlys Strikk',        'garn@nordlys.example',     'NO', 0.1,     NULL,                 '2024-05-22 21:02:11.9Z'),
    (8, 'Café ~ Sør',            'hola@cafesor.example',     'NO', 250,     NULL,                 '2024-06-30 23:59:59.999999Z');

-- One that left before anybody looked.
INSERT INTO customers (id, name, country, is_deleted, updated_at) VALUES
    (9, 'Gamle Handel ENK', 'NO', true, '2024-07-01 00:00:00Z');

INSERT INTO orders (customer_id, order_number, status, amount, note, updated_at) VALUES
    (1, 1, 'paid',      12400,   NULL,                          '2024-01-09 10:00:00Z'),
    (1, 2, 'paid',      8650.75, 'to the back door',            '2024-02-01 10:00:00Z'),
    (1, 3, 'open',      420,     NULL,                          '2024-06-03 08:12:30.5Z'),
    (2, 1, 'sent',      1999.9,  'half on Friday',              '2024-03-05 14:20:00Z'),
    (3, 1, 'cancelled', 75,      NULL,                          '2024-03-05 14:20:00Z'),
    (3, 2, 'paid',      149.5,   'the customer said: "thanks"', '2024-03-06 09:00:00Z'),
    (5, 1, 'paid',      33.33,   NULL,                          '2024-04-01 06:00:00Z'),
    (6, 1, 'open',      10250,   'two buses',                   '2024-06-17 11:11:11.111Z'),
    (7, 1, 'open',      0.3,     NULL,                          '2024-06-18 12:00:00Z'),
    (8, 1, 'sent',      64,      '~ without sugar',             '2024-07-01 07:00:00Z');

INSERT INTO products (number, name, price) VALUES
    ('A-1', 'Anchor',      1250),
    ('B-1', 'Buoy, red',   89.5),
    ('B-2', 'Buoy, green', 89.5),
    ('C-1', 'Compass',     429);

COMMIT;
