-- A small shop to try sesam-sql on: sqlite3 demo.db < demo.sql
--
-- Customers are never deleted but marked (is_deleted), and orders have a key of two columns. Each row of both keeps
-- the time of its last change (updated_at), in UTC with milliseconds, and customers count their changes (version).
-- Triggers see to that, whoever writes. Products are a plain list that another system keeps.

-- Readers do not wait for writers in this mode, nor writers for readers. The file remembers it.
PRAGMA journal_mode = WAL;

BEGIN;

CREATE TABLE customers (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    email      TEXT,
    country    TEXT    NOT NULL DEFAULT 'NO',
    credit     REAL    NOT NULL DEFAULT 0,
    logo       BLOB,
    is_deleted INTEGER NOT NULL DEFAULT 0 CHECK (is_deleted IN (0, 1)),
    version    INTEGER NOT NULL DEFAULT 1,
    updated_at TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
);

CREATE TABLE orders (
    customer_id  INTEGER NOT NULL REFERENCES customers (id),
    order_number INTEGER NOT NULL,
    status       TEXT    NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'sent', 'paid', 'cancelled')),
    amount       REAL    NOT NULL,
    note         TEXT,
    updated_at   TEXT    NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')),
    PRIMARY KEY (customer_id, order_number)
);

CREATE TABLE products (
    number TEXT PRIMARY KEY NOT NULL,
    name   TEXT NOT NULL,
    price  REAL NOT NULL
);

-- What sesam-sql reads by: the updated column, then the key. (The id of customers is the row's own number,
-- which every index of SQLite ends with.)
CREATE INDEX customers_updated ON customers (updated_at);
CREATE INDEX orders_updated ON orders (updated_at, customer_id, order_number);

-- The time of a change is never before that of the change before it, also when the clock was set back. The
-- columns are named so that the trigger's own update does not fire it again.
CREATE TRIGGER customers_touch AFTER UPDATE OF name, email, country, credit, logo, is_deleted ON customers
WHEN new.updated_at IS old.updated_at
BEGIN
    UPDATE customers SET updated_at = max(old.updated_at, strftime('%Y-%m-%d %H:%M:%f', 'now')) WHERE id = new.id;
END;

-- Only for those who did not count by themselves.
CREATE TRIGGER customers_count AFTER UPDATE OF name, email, country, credit, logo, is_deleted ON customers
WHEN new.version IS old.version
BEGIN
    UPDATE customers SET version = old.version + 1 WHERE id = new.id;
END;

CREATE TRIGGER orders_touch AFTER UPDATE OF status, amount, note ON orders
WHEN new.updated_at IS old.updated_at
BEGIN
    UPDATE orders SET updated_at = max(old.updated_at, strftime('%Y-%m-%d %H:%M:%f', 'now'))
    WHERE customer_id = new.customer_id AND order_number = new.order_number;
END;

-- Someone who forgets about is_deleted must not make a customer vanish unseen.
CREATE TRIGGER customers_keep BEFORE DELETE ON customers
BEGIN
    SELECT raise(ABORT, 'customers are not deleted, set is_deleted = 1');
END;

INSERT INTO customers (id, name, email, country, credit, logo, updated_at) VALUES
    (1, 'Fjord Fisk AS',        'post@fjordfisk.example',    'NO', 50000,    x'89504e470d0a1a0a', '2024-01-08 07:30:00.000'),
    (2, 'Bølgen & Moi',         'bord@bolgen.example',       'NO', 12500.5,  NULL,                '2024-01-08 07:30:00.000'),
    (3, 'Ångström Optik AB',    'info@angstrom.example',     'SE', 0,        NULL,                '2024-01-08 07:30:00.000'),
    (4, 'Smørrebrød ApS',       NULL,                        'DK', 7500,     NULL,                '2024-02-14 12:00:05.250'),
    (5, 'Kahvila Sininen Oy',   'hei@sininen.example',       'FI', 1999.99,  NULL,                '2024-03-01 09:15:42.007'),
    (6, 'Þingvellir Travel ehf','ferd@thingvellir.example',  'IS', 30000,    NULL,                '2024-03-17 16:45:00.120'),
    (7, 'Nordlys Strikk',       'garn@nordlys.example',      'NO', 0.1,      NULL,                '2024-05-22 21:02:11.900'),
    (8, 'Café ~ Sør',           'hola@cafesor.example',      'NO', 250,      NULL,                '2024-06-30 23:59:59.999');

-- One that left before anybody looked.
INSERT INTO customers (id, name, country, is_deleted, updated_at) VALUES
    (9, 'Gamle Handel ENK', 'NO', 1, '2024-07-01 00:00:00.000');

INSERT INTO orders (customer_id, order_number, status, amount, note, updated_at) VALUES
    (1, 1, 'paid',      12400,   NULL,                          '2024-01-09 10:00:00.000'),
    (1, 2, 'paid',      8650.75, 'to the back door',            '2024-02-01 10:00:00.000'),
    (1, 3, 'open',      420,     NULL,                          '2024-06-03 08:12:30.500'),
    (2, 1, 'sent',      1999.9,  'half on Friday',              '2024-03-05 14:20:00.000'),
    (3, 1, 'cancelled', 75,      NULL,                          '2024-03-05 14:20:00.000'),
    (3, 2, 'paid',      149.5,   'the customer said: "thanks"', '2024-03-06 09:00:00.000'),
    (5, 1, 'paid',      33.33,   NULL,                          '2024-04-01 06:00:00.000'),
    (6, 1, 'open',      10250,   'two buses',                   '2024-06-17 11:11:11.111'),
    (7, 1, 'open',      0.3,     NULL,                          '2024-06-18 12:00:00.000'),
    (8, 1, 'sent',      64,      '~ without sugar',             '2024-07-01 07:00:00.000');

INSERT INTO products (number, name, price) VALUES
    ('A-1', 'Anchor',      1250),
    ('B-1', 'Buoy, red',   89.5),
    ('B-2', 'Buoy, green', 89.5),
    ('C-1', 'Compass',     429);

COMMIT;
