-- A small shop to try sesam-sql on, for MySQL 8 and MariaDB: mysql shop < demo.sql
--
-- Customers are never deleted but marked (is_deleted), and orders have a key of two columns. Each row of both keeps
-- the time of its last change (updated_at), and customers count their changes (version). The server and a trigger see to
-- that, whoever writes. Products are a plain list that another system keeps.
SET NAMES utf8mb4;
SET time_zone = '+00:00';

CREATE TABLE customers (
    id         integer NOT NULL PRIMARY KEY,
    name       varchar(200) NOT NULL,
    email      varchar(200),
    country    char(2) NOT NULL DEFAULT 'NO',
    credit     decimal(12, 2) NOT NULL DEFAULT 0,
    logo       blob,
    is_deleted boolean NOT NULL DEFAULT false,
    version    integer NOT NULL DEFAULT 1,
    updated_at timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
    -- What sesam-sql reads by: the updated column, then the key (which every index of InnoDB ends with).
    KEY customers_updated (updated_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE orders (
    customer_id  integer NOT NULL,
    order_number integer NOT NULL,
    status       enum('open', 'sent', 'paid', 'cancelled') NOT NULL DEFAULT 'open',
    amount       decimal(12, 2) NOT NULL,
    note         varchar(1000),
    updated_at   timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
    PRIMARY KEY (customer_id, order_number),
    KEY orders_updated (updated_at),
    FOREIGN KEY (customer_id) REFERENCES customers (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE products (
    number varchar(20) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    name   varchar(200) NOT NULL,
    price  decimal(12, 2) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

-- Only for those who did not count by themselves.
CREATE TRIGGER customers_count BEFORE UPDATE ON customers FOR EACH ROW
    SET new.version = if(new.version = old.version, old.version + 1, new.version);

-- Someone who forgets about is_deleted must not make a customer vanish unseen.
CREATE TRIGGER customers_keep BEFORE DELETE ON customers FOR EACH ROW
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'customers are not deleted, set is_deleted';

INSERT INTO customers (id, name, email, country, credit, logo, updated_at) VALUES
    (1, 'Fjord Fisk AS',         'post@fjordfisk.example',   'NO', 50000,   x'89504e470d0a1a0a', '2024-01-08 07:30:00'),
    (2, 'Bølgen & Moi',          'bord@bolgen.example',      'NO', 12500.5, NULL,                '2024-01-08 07:30:00'),
    (3, 'Ångström Optik AB',     'info@angstrom.example',    'SE', 0,       NULL,                '2024-01-08 07:30:00'),
    (4, 'Smørrebrød ApS',        NULL,                       'DK', 7500,    NULL,                '2024-02-14 12:00:05.25'),
    (5, 'Kahvila Sininen Oy',    'hei@sininen.example',      'FI', 1999.99, NULL,                '2024-03-01 09:15:42.007'),
    (6, 'Þingvellir Travel ehf', 'ferd@thingvellir.example', 'IS', 30000,   NULL,                '2024-03-17 16:45:00.12'),
    (7, 'Nordlys Strikk',        'garn@nordlys.example',     'NO', 0.1,     NULL,                '2024-05-22 21:02:11.9'),
    (8, 'Café ~ Sør',            'hola@cafesor.example',     'NO', 250,     NULL,                '2024-06-30 23:59:59.999999');

-- One that left before anybody looked.
INSERT INTO customers (id, name, country, is_deleted, updated_at) VALUES
    (9, 'Gamle Handel ENK', 'NO', true, '2024-07-01 00:00:00');

INSERT INTO orders (customer_id, order_number, status, amount, note, updated_at) VALUES
    (1, 1, 'paid',      12400,   NULL,                          '2024-01-09 10:00:00'),
    (1, 2, 'paid',      8650.75, 'to the back door',            '2024-02-01 10:00:00'),
    (1, 3, 'open',      420,     NULL,                          '2024-06-03 08:12:30.5'),
    (2, 1, 'sent',      1999.9,  'half on Friday',              '2024-03-05 14:20:00'),
    (3, 1, 'cancelled', 75,      NULL,                          '2024-03-05 14:20:00'),
    (3, 2, 'paid',      149.5,   'the customer said: "thanks"', '2024-03-06 09:00:00'),
    (5, 1, 'paid',      33.33,   NULL,                          '2024-04-01 06:00:00'),
    (6, 1, 'open',      10250,   'two buses',                   '2024-06-17 11:11:11.111'),
    (7, 1, 'open',      0.3,     NULL,                          '2024-06-18 12:00:00'),
    (8, 1, 'sent',      64,      '~ without sugar',             '2024-07-01 07:00:00');

INSERT INTO products (number, name, price) VALUES
    ('A-1', 'Anchor',      1250),
    ('B-1', 'Buoy, red',   89.5),
    ('B-2', 'Buoy, green', 89.5),
    ('C-1', 'Compass',     429);
