"""Every type PostgreSQL has comes out, as the interface says or as the server's own text."""

import base64
import datetime
import decimal
import json

import pytest

from conftest import DIALECTS, config_of

# What is written, and what must come as the property. None: the server's own text, as its output function
# (not always a cast) gives it.
VALUES = [
    ("boolean", ["true", "false"], [True, False]),
    ("smallint", ["-32768", "32767"], [-32768, 32767]),
    ("integer", ["-2147483648", "2147483647"], [-2147483648, 2147483647]),
    ("bigint", ["-9223372036854775808", "9223372036854775807"], [-9223372036854775808, 9223372036854775807]),
    ("oid", ["4294967295"], [4294967295]),
    ("numeric", ["12345678901234567890.1234567890", "-0.00", "1e-20", "1e30", "'NaN'", "'Infinity'", "'-Infinity'"],
     ["~f12345678901234567890.1234567890", "~f0.00", "~f0.00000000000000000001", "~f1" + "0" * 30, "NaN", "Infinity",
      "-Infinity"]),
    ("numeric(12,2)", ["1.5", "-1234567890.12"], ["~f1.50", "~f-1234567890.12"]),
    ("real", ["0.1", "3.4028235e38", "'NaN'", "'-Infinity'", "16777216"],
     [0.1, 3.4028235e38, "NaN", "-Infinity", 16777216]),
    ("double precision", ["0.1", "1e308", "5e-324", "'-0'", "'NaN'", "'Infinity'", "123456789.123456789"],
     [0.1, 1e308, 5e-324, -0.0, "NaN", "Infinity", 123456789.123456789]),
    ("text", ["'\u00e6 \u20ac'", "''", "'~x'", "E'a\\nb'"], ["\u00e6 \u20ac", "", "~~x", "a\nb"]),
    ("varchar(10)", ["'abc'"], ["abc"]),
    ("char(5)", ["'ab'"], ["ab   "]),
    ('"char"', ["'x'"], ["x"]),
    ("name", ["'abc'"], ["abc"]),
    ("bytea", ["'\\x00ff10'", "''"], ["~bAP8Q", "~b"]),
    ("uuid", ["'531A379E-31BB-4CE1-8690-158DCEB64BE6'"], ["~u531a379e-31bb-4ce1-8690-158dceb64be6"]),
    ("date", ["'2024-02-29'", "'0001-01-01'", "'9999-12-31'"], ["~t2024-02-29", "~t0001-01-01", "~t9999-12-31"]),
    ("timestamptz", ["'2024-01-02 03:04:05.123456+02'", "'0001-01-01 00:00:00+00'"],
     ["~t2024-01-02T01:04:05.123456Z", "~t0001-01-01T00:00:00.000000Z"]),
    ("timestamptz(0)", ["'2024-01-02 03:04:05+00'"], ["~t2024-01-02T03:04:05Z"]),
    ("timestamptz(3)", ["'2024-01-02 03:04:05.1+00'"], ["~t2024-01-02T03:04:05.100Z"]),
    ("timestamp", ["'2024-01-02 03:04:05.000001'"], ["~t2024-01-02T03:04:05.000001Z"]),
    ("json", ["'{\"b\": 1.50, \"a\": [null, true, \"\u00e6\"]}'"], [{"b": 1.5, "a": [None, True, "\u00e6"]}]),
    ("jsonb", ["'{\"b\": 12345678901234567890, \"t\": \"~x\", \"l\": [\"~y\"]}'", "'[]'", "'\"~s\"'", "'null'"],
     [{"b": 12345678901234567890, "t": "~~x", "l": ["~~y"]}, [], "~~s", None]),
    ("integer[]", ["'{1,NULL,3}'", "'{}'", "'{{1,2},{3,4}}'"], [[1, None, 3], [], [[1, 2], [3, 4]]]),
    ("text[]", ["array['a','~b','c,d','{}','NULL',null]"], [["a", "~~b", "c,d", "{}", "NULL", None]]),
    ("numeric[]", ["'{1.50,NaN}'"], [["~f1.50", "NaN"]]),
    ("timestamptz[]", ["array['2024-01-02 03:04:05+00', null, '2024-01-02 03:04:05.123456+00']::timestamptz[]"],
     [["~t2024-01-02T03:04:05.000000Z", None, "~t2024-01-02T03:04:05.123456Z"]]),
    ("date[]", ["array['2024-02-29', 'infinity']::date[]"], [["~t2024-02-29", "infinity"]]),
    ("float8[]", ["'{0.1,NaN,-Infinity}'"], [[0.1, "NaN", "-Infinity"]]),
    ("uuid[]", ["array['531a379e-31bb-4ce1-8690-158dceb64be6'::uuid]"], [["~u531a379e-31bb-4ce1-8690-158dceb64be6"]]),
    ("bytea[]", ["array['\\x00ff'::bytea]"], [["~bAP8="]]),
    ("boolean[]", ["'{t,f}'"], [[True, False]]),
    ("jsonb[]", ["array['{\"a\": \"~b\"}'::jsonb]"], [[{"a": "~~b"}]]),
    ("time", ["'03:04:05.5'"], None),
    ("timetz", ["'03:04:05+02'"], None),
    ("interval", ["'1 year 2 days 03:04:05.5'"], None),
    ("money", ["'12.34'"], None),
    ("inet", ["'10.0.0.1/8'", "'::1'"], None),
    ("cidr", ["'10.0.0.0/8'"], None),
    ("macaddr", ["'08:00:2b:01:02:03'"], None),
    ("macaddr8", ["'08:00:2b:01:02:03:04:05'"], None),
    ("bit(5)", ["B'10101'"], None),
    ("bit varying", ["B'101'"], None),
    ("point", ["'(1,2)'"], None),
    ("line", ["'{1,2,3}'"], None),
    ("lseg", ["'[(1,2),(3,4)]'"], None),
    ("box", ["'(3,4),(1,2)'"], None),
    ("path", ["'((1,2),(3,4))'"], None),
    ("polygon", ["'((1,2),(3,4),(5,6))'"], None),
    ("circle", ["'<(1,2),3>'"], None),
    ("tsvector", ["'a fat cat'"], None),
    ("tsquery", ["'fat & cat'"], None),
    ("xml", ["'<a>b</a>'"], None),
    ("int4range", ["'[1,5)'", "'empty'"], None),
    ("tstzrange", ["'[2024-01-01 00:00+00,)'"], None),
    ("int4multirange", ["'{[1,3),[5,7)}'"], None),
    ("pg_lsn", ["'16/B374D848'"], None),
    ("txid_snapshot", ["'10:20:10,14,15'"], None),
    ("pg_snapshot", ["'10:20:10,14,15'"], None),
    ("xid8", ["'12345'"], [12345]),
    ("regclass", ["'pg_class'"], None),
    ("regtype", ["'integer'"], None),
    ("jsonpath", ["'$.a'"], None),
    ("oidvector", ["'1 2'"], [[1, 2]]),
    ("int2vector", ["'1 2'"], [[1, 2]]),
    ("mood", ["'sad'"], None),
    ("pair", ["row(1, '~a')"], None),
    ("positive", ["7"], [7]),
    ("note", ["'~n'"], ["~~n"]),
    ("positive[]", ["array[1, 2]::positive[]"], [[1, 2]]),
    ("mood[]", ["array['sad', 'glad']::mood[]"], [["sad", "glad"]]),
    ("floatrange", ["'[1.5,2.5]'"], None),
    ("information_schema.yes_or_no", ["'YES'"], ["YES"]),
]

TYPES = ["create type mood as enum ('sad', 'glad')", "create type pair as (a int, b text)",
         "create domain positive as int check (value > 0)", "create domain note as text",
         "create type floatrange as range (subtype = float8)"]


@pytest.fixture
def database(postgresql):
    postgresql.dialect = DIALECTS["postgresql"]
    for statement in TYPES:
        postgresql.sql(statement)
    return postgresql


def as_text(text):
    """A text as it stands in an entity."""
    return "~" + text if text.startswith("~") else text


def table_of(database, number, kind, literals):
    table = f"t{number}"
    database.sql(f"create table {table} (id int primary key, v {kind})")
    for place, literal in enumerate(literals):
        database.sql(f"insert into {table} values ({place}, {literal})")
    database.sql(f"insert into {table} values (1000, null)")
    return table


def same(given, wanted):
    """Equal, and of the same kind: 1 is not true, and 0.0 is not -0.0."""
    return json.dumps(given, sort_keys=True) == json.dumps(wanted, sort_keys=True) or (
        isinstance(wanted, (int, float)) and not isinstance(wanted, bool) and not isinstance(given, (bool, str))
        and given == wanted and str(given)[0] == str(wanted)[0])


def test_every_type_comes_as_the_interface_says(database, service):
    sources = {}
    for number, (kind, literals, _) in enumerate(VALUES):
        sources[f"t{number}"] = {"table": table_of(database, number, kind, literals)}
    running = service(config_of(database, **sources))
    wrong = []
    for number, (kind, literals, wanted) in enumerate(VALUES):
        if wanted is None:
            rows = database.sql(f"select format('%s', v) from t{number} where v is not null order by id")
            wanted = [as_text(row[0]) for row in rows]
        answer = running.get(f"/sources/t{number}")
        if answer.status != 200:
            wrong.append((kind, answer.status, answer.body))
            continue
        entities = json.loads(answer.body)
        given = [entity.get("v") for entity in entities]
        if len(given) != len(literals) + 1 or "v" in entities[-1] or not all(map(same, given, wanted)):
            wrong.append((kind, given, wanted))
    assert not wrong, "\n".join(map(repr, wrong))


def test_every_base_type_of_the_catalogue_is_answered(database, service):
    """A column of each type that a table can have, whatever it is, with NULL in it."""
    kinds = [row[0] for row in database.sql(
        "select format_type(oid, null) from pg_type where typtype in ('b', 'r', 'm', 'e', 'd') and typarray <> 0"
        " and typdefault is null"
        " and typnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) order by 1")]
    assert len(kinds) > 70
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(kinds))
    arrays = ", ".join(f"a{number} {kind}[]" for number, kind in enumerate(kinds))
    database.sql(f"create table everything (id int primary key, {columns})")
    database.sql("insert into everything (id) values (1)")
    database.sql(f"create table lists (id int primary key, {arrays})")
    database.sql("insert into lists (id) values (1)")
    running = service(config_of(database, everything={"table": "everything", "preserve_null_values": True},
                                lists={"table": "lists", "preserve_null_values": True}))
    for name in ("everything", "lists"):
        entities = running.pull(name)
        assert len(entities) == 1
        assert len(entities[0]) == len(kinds) + 2
        assert all(value is None for key, value in entities[0].items() if key not in ("_id", "id"))


def test_values_equal_what_the_client_library_reads(database, service):
    database.sql("create table sample (id int primary key, i bigint, n numeric, d double precision, t text, b bytea,"
                 " ts timestamptz, dt date, flag boolean)")
    database.sql("insert into sample select i, (random() * 1e18)::bigint - 5e17::bigint, random()::numeric * 1e10,"
                 " random() * 1e300, md5(i::text), decode(md5(i::text), 'hex'),"
                 " '2024-01-01'::timestamptz + random() * interval '3000 days', date '2024-01-01' + i, random() < 0.5"
                 " from generate_series(1, 500) i")
    entities = service(config_of(database, sample={"table": "sample"})).pull("sample")
    rows = database.sql("select * from sample order by id")
    assert len(entities) == len(rows) == 500
    for entity, (number, i, n, d, t, b, ts, dt, flag) in zip(entities, rows):
        assert (entity["id"], entity["i"], entity["d"], entity["t"], entity["flag"]) == (number, i, d, t, flag)
        assert entity["n"].startswith("~f") and decimal.Decimal(entity["n"][2:]) == n
        assert base64.b64decode(entity["b"].removeprefix("~b")) == bytes(b)
        assert entity["dt"] == "~t" + dt.isoformat()
        utc = ts.astimezone(datetime.timezone.utc)
        assert entity["ts"] == "~t" + utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_times_outside_the_years_are_text(database, service):
    database.sql("create table times (id int primary key, ts timestamptz, d date)")
    database.sql("insert into times values (1, 'infinity', '-infinity'), (2, '0044-03-15 BC', '0044-03-15 BC'),"
                 " (3, '12024-01-01 00:00+00', '12024-01-01')")
    entities = service(config_of(database, times={"table": "times"})).pull("times")
    assert (entities[0]["ts"], entities[0]["d"]) == ("infinity", "-infinity")
    for entity in entities:
        for key in ("ts", "d"):
            assert isinstance(entity[key], str) and not entity[key].startswith("~")
    assert "BC" in entities[1]["ts"] and "12024" in entities[2]["ts"]


def test_zoneless_times_are_read_in_the_zone_of_the_system(database, service):
    database.sql("create table times (id int primary key, ts timestamp)")
    database.sql("insert into times values (1, '2024-01-02 12:00:00'), (2, '2024-07-02 12:00:00')")
    config = config_of(database, times={"table": "times"})
    config["systems"]["db"]["timezone"] = "Europe/Oslo"
    entities = service(config).pull("times")
    assert [entity["ts"] for entity in entities] == ["~t2024-01-02T11:00:00.000000Z", "~t2024-07-02T10:00:00.000000Z"]


@pytest.mark.parametrize("kind", ["partitioned", "view", "materialised", "inherited", "generated", "unlogged"])
def test_every_kind_of_relation_is_read(database, service, kind):
    make = {
        "partitioned": ["create table r (id int primary key, v text) partition by range (id)",
                        "create table r1 partition of r for values from (0) to (2)",
                        "create table r2 partition of r for values from (2) to (100)"],
        "view": ["create table base (id int, v text)", "create view r as select * from base"],
        "materialised": ["create materialized view r as select i as id, 'v' || i as v from generate_series(1, 3) i"],
        "inherited": ["create table r (id int primary key, v text)", "create table child () inherits (r)"],
        "generated": ["create table r (id int primary key, v text generated always as ('v' || chr(48 + id)) stored)"],
        "unlogged": ["create unlogged table r (id int primary key, v text)"],
    }[kind]
    into = {"view": "base", "inherited": "child"}.get(kind, "r")
    for statement in make:
        database.sql(statement)
    if kind == "generated":
        database.sql("insert into r (id) values (1), (2), (3)")
    elif kind != "materialised":
        database.sql(f"insert into {into} values (1, 'v1'), (2, 'v2'), (3, 'v3')")
    entities = service(config_of(database, r={"table": "r", "primary_key": "id"})).pull("r")
    assert [(entity["_id"], entity["v"]) for entity in entities] == [("1", "v1"), ("2", "v2"), ("3", "v3")]


def test_schemas_and_odd_names_are_quoted(database, service):
    database.sql('create schema "My Schema"')
    database.sql('create table "My Schema"."T""a;b" ("Id" int primary key, "select" text, "a b" int)')
    database.sql("""insert into "My Schema"."T""a;b" values (1, 'x', 2)""")
    running = service(config_of(database, odd={"schema": "My Schema", "table": 'T"a;b'}))
    assert running.pull("odd") == [{"_id": "1", "Id": 1, "select": "x", "a b": 2}]
    answer = running.get("/sources/odd")
    assert answer.status == 200


@pytest.mark.parametrize("kind, literals", [
    ("bigint", ["-5", "0", "10", "9"]), ("uuid", ["'531a379e-31bb-4ce1-8690-158dceb64be6'", "md5('x')::uuid"]),
    ("numeric", ["1.5", "-2", "10", "1.05"]), ("date", ["'2024-01-02'", "'2023-01-02'"]),
    ("timestamptz", ["'2024-01-02 03:04:05.000001+00'", "'2024-01-02 03:04:05+00'"]),
    ("inet", ["'10.0.0.1'", "'9.0.0.1'"]), ("mood", ["'sad'", "'glad'"]), ("boolean", ["true", "false"]),
    ("text", ["'b'", "'A'", "'a'"]), ("bytea", ["'\\x00'", "'\\xff'"]), ("double precision", ["0.1", "-1e300"]),
    ("char(4)", ["'ab'", "'b'"]), ("int4range", ["'[1,2)'", "'[0,9)'"])])
def test_key_of_any_type_is_a_place_to_resume_from(database, service, kind, literals):
    database.sql(f"create table keyed (k {kind} primary key, updated timestamptz)")
    for literal in literals:
        database.sql(f"insert into keyed values ({literal}, '2024-01-02 03:04:05+00')")
    running = service(config_of(database, keyed={"table": "keyed", "updated_column": "updated"}))
    entities = running.pull("keyed")
    assert len(entities) == len(literals)
    order = [row[0] for row in database.sql("select format('%s', k) from keyed as t order by t.updated, t.k")]
    if kind in ("bigint", "uuid", "inet", "mood", "text", "numeric"):
        assert [entity["_id"] for entity in entities] == order
    for place, entity in enumerate(entities):
        rest = running.pull("keyed", since=entity["_updated"])
        assert [one["_id"] for one in rest] == [one["_id"] for one in entities[place + 1:]]
