"""What a source reads, a sink writes: into the same kind of database, where everything is equal again, and into each
of the others, where it is equal as far as the types allow and refused where they do not."""

import contextlib
import json

import pytest

import servers
from conftest import DIALECTS
from pushing import counts, push
from test_types_postgresql import TYPES, VALUES

# ---- the types of each database, and values on their edges, as SQL


POSTGRESQL = VALUES
MYSQL = [
    ("tinyint", ["-128", "127"]), ("tinyint unsigned", ["0", "255"]), ("smallint", ["-32768", "32767"]),
    ("mediumint", ["-8388608", "8388607"]), ("mediumint unsigned", ["16777215"]),
    ("int", ["-2147483648", "2147483647"]), ("int unsigned", ["4294967295"]), ("int(5) zerofill", ["42"]),
    ("bigint", ["-9223372036854775808", "9223372036854775807"]), ("bigint unsigned", ["18446744073709551615"]),
    ("boolean", ["true", "false"]), ("bit(1)", ["b'1'"]), ("bit(8)", ["b'10000001'"]),
    ("bit(64)", ["18446744073709551615"]), ("year", ["1901", "2155", "0"]),
    ("decimal(65,30)", ["12345678901234567890123456789012345.123456789012345678901234567890", "-0.5"]),
    ("decimal(12,2)", ["1.5", "-1234567890.12", "0"]), ("double", ["0.1", "1e308", "5e-324", "123456789.123456789"]),
    ("float", ["0.1", "3.4028235e38", "16777216", "1.17549e-38"]), ("double(10,3)", ["1.235"]),
    ("date", ["'2024-02-29'", "'0001-01-01'", "'9999-12-31'"]), ("datetime", ["'2024-01-02 03:04:05'"]),
    ("datetime(3)", ["'2024-01-02 03:04:05.100'"]),
    ("datetime(6)", ["'2024-01-02 03:04:05.123456'", "'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'"]),
    ("timestamp null", ["'2024-01-02 03:04:05'"]),
    ("timestamp(6) null", ["'1970-01-01 00:00:01.000001'", "'2038-01-19 03:14:07.999999'"]),
    ("time", ["'-838:59:59'", "'00:00:00'", "'838:59:59'"]), ("time(6)", ["'-00:00:00.000001'", "'23:59:59.999999'"]),
    ("char(5)", ["'ab'", "''"]), ("varchar(20)", ["'ab  '", "'~x'", "'\u00e6 \u20ac \U0001f600'"]),
    ("varchar(20) character set latin1", ["'\u00e6\u00f8\u00e5'"]), ("tinytext", ["'x'"]),
    ("text", ["''", "'a\\nb'"]),
    ("longtext", ["repeat('\u00e6', 70000)"]), ("binary(4)", ["x'00ff'"]), ("varbinary(10)", ["x''", "x'00ff00'"]),
    ("blob", ["x'deadbeef00'"]), ("longblob", ["repeat(x'00ff', 50000)"]),
    ("enum('sad', 'glad', '')", ["'glad'", "''"]),
    ("set('a', 'b', 'c')", ["'a,c'", "''"]),
    ("json", ["'{\"b\": 1.50, \"a\": [null, true, \"~x\"]}'", "'[]'", "'\"~s\"'", "'12345678901234567890'"]),
    ("uuid", ["'531A379E-31BB-4CE1-8690-158DCEB64BE6'"]), ("inet6", ["'::1'", "'::ffff:10.0.0.1'"]),
    ("inet4", ["'10.0.0.1'"]), ("point", ["st_geomfromtext('POINT(1 2)')"]),
    ("geometry", ["st_geomfromtext('LINESTRING(0 0,1 1.5)')"]),
]
SQLITE = [
    ("integer", ["-9223372036854775808", "9223372036854775807", "0", "'abc'", "x'00ff'", "1.5"]),
    ("real", ["0.1", "1e308", "5e-324", "3.0", "9e999", "-9e999", "'abc'"]),
    ("text", ["'\u00e6 \u20ac \U0001f600'", "''", "'~x'", "'1'", "x'00ff'", "'a' || char(10)", "'a' || char(0) || 'b'"]),
    ("blob", ["x''", "x'00ff10'", "'text'", "1", "1.5"]), ("", ["1", "1.5", "'1'", "x'31'"]),
    ("numeric", ["1", "1.5", "'abc'", "12345678901234567"]), ("decimal(10,2)", ["1.5", "1", "'1.50'"]),
    ("boolean", ["0", "1"]), ("date", ["'2024-02-29'"]), ("varchar(3)", ["'longer than that'"]),
    ("datetime", ["'2024-01-02 03:04:05'", "'2024-01-02 03:04:05.123'", "'2024-01-02T03:04:05Z'", "1704164645"]),
]

# ---- what becomes of a type in another database: (of, value, into, wanted) with the value as the source's entity has
# it, and wanted as the other source's; SAME is equal, REFUSED is refused.

SAME, REFUSED = object(), object()
U = "~u531a379e-31bb-4ce1-8690-158dceb64be6"
ACROSS = {
    ("postgresql", "mysql"): [
        ("smallint", "-32768", "smallint", SAME), ("integer", "2147483647", "int", SAME),
        ("bigint", "-9223372036854775808", "bigint", SAME), ("bigint", "9223372036854775807", "int", REFUSED),
        ("integer", "-1", "int unsigned", REFUSED), ("xid8", "'18446744073709551615'", "bigint unsigned", SAME),
        ("oid", "4294967295", "int unsigned", SAME), ("boolean", "true", "boolean", 1),
        ("boolean", "false", "boolean", 0),
        ("numeric", "12345678901234567890.1234567890", "decimal(40,10)", SAME),
        ("numeric", "1.234", "decimal(10,2)", REFUSED), ("numeric", "'NaN'", "decimal(10,2)", REFUSED),
        ("double precision", "0.1", "double", SAME), ("double precision", "1e308", "double", SAME),
        ("double precision", "'NaN'", "double", REFUSED), ("double precision", "'-Infinity'", "double", REFUSED),
        ("real", "0.1", "float", SAME), ("real", "3.4028235e38", "float", SAME),
        ("double precision", "1e300", "float", REFUSED),
        ("text", "'\u00e6 \u20ac \U0001f600'", "longtext", SAME), ("text", "''", "text", SAME),
        ("text", "'~x'", "varchar(10)", SAME), ("text", "'~~x'", "varchar(10)", SAME),
        ("text", "'too long'", "varchar(3)", REFUSED), ("text", "'\U0001f600'", "text character set latin1", REFUSED),
        ("text", "repeat('\u00e6', 100000)", "longtext", SAME), ("text", "repeat('x', 70000)", "text", REFUSED),
        ("char(5)", "'ab'", "varchar(5)", SAME), ("bytea", "'\\x00ff10'", "longblob", SAME),
        ("bytea", "''", "blob", SAME), ("bytea", "'\\x00ff10'", "varbinary(2)", REFUSED),
        ("uuid", f"'{U[2:]}'", "uuid", SAME),
        ("date", "'2024-02-29'", "date", SAME), ("date", "'9999-12-31'", "date", SAME),
        ("date", "'infinity'", "date", REFUSED), ("date", "'0044-03-15 BC'", "date", REFUSED),
        ("timestamptz", "'2024-01-02 03:04:05.123456+02'", "datetime(6)", SAME),
        ("timestamptz", "'2024-01-02 03:04:05.123456+02'", "datetime(3)", REFUSED),
        ("timestamptz", "'2024-01-02 03:04:05.123+02'", "datetime(3)", "~t2024-01-02T01:04:05.123Z"),
        ("timestamptz", "'2024-01-02 03:04:05+00'", "timestamp(6) null", SAME),
        ("timestamptz", "'1900-01-02 03:04:05+00'", "timestamp(6) null", REFUSED),
        ("timestamptz", "'infinity'", "datetime(6)", REFUSED),
        ("timestamp", "'2024-01-02 03:04:05.1'", "datetime(6)", SAME),
        ("time", "'03:04:05.123456'", "time(6)", SAME), ("interval", "'1 year 2 days'", "varchar(50)", SAME),
        ("inet", "'::1'", "inet6", SAME), ("inet", "'10.0.0.1/8'", "varchar(50)", SAME),
        ("jsonb", "'{\"a\": [1, \"~x\", null, 1.5, 12345678901234567890]}'", "json", SAME),
        ("json", "'\"~s\"'", "json", SAME),
        ("integer[]", "'{1,NULL,3}'", "json", SAME), ("text[]", "array['a', '~b', 'c,d']", "json", SAME),
        ("text[]", "array['a', 'c']", "set('a', 'b', 'c')", SAME), ("mood", "'glad'", "enum('sad', 'glad')", SAME),
        ("mood", "'glad'", "enum('sad')", REFUSED), ("pair", "row(1, 'a')", "text", SAME),
        ("bit(5)", "B'10101'", "text", SAME),
    ],
    ("postgresql", "sqlite"): [
        ("bigint", "-9223372036854775808", "integer", SAME), ("xid8", "'18446744073709551615'", "integer", REFUSED),
        ("boolean", "true", "boolean", 1), ("boolean", "false", "boolean", 0),
        ("numeric", "12345678901234567890.1234567890", "text", "12345678901234567890.1234567890"),
        ("numeric", "12345678901234567890.1234567890", "decimal(40,10)", REFUSED),
        ("double precision", "0.1", "real", SAME), ("double precision", "'-Infinity'", "real", "-Infinity"),
        ("real", "0.1", "real", SAME), ("text", "'\u00e6 \u20ac \U0001f600'", "text", SAME),
        ("text", "'~x'", "text", SAME),
        ("text", "''", "text", SAME), ("char(5)", "'ab'", "text", SAME), ("bytea", "'\\x00ff10'", "blob", SAME),
        ("bytea", "''", "blob", SAME), ("uuid", f"'{U[2:]}'", "text", U[2:]),
        ("date", "'2024-02-29'", "date", "2024-02-29"),
        ("timestamptz", "'2024-01-02 03:04:05.123456+02'", "datetime", "2024-01-02 01:04:05.123456"),
        ("timestamptz(0)", "'2024-01-02 03:04:05+00'", "datetime", "2024-01-02 03:04:05"),
        ("time", "'03:04:05.123456'", "text", SAME), ("inet", "'10.0.0.1/8'", "text", SAME),
        ("jsonb", "'{\"a\": [1, \"~x\", null]}'", "text", json), ("integer[]", "'{1,NULL,3}'", "text", json),
        ("mood", "'glad'", "text", SAME),
    ],
    ("mysql", "postgresql"): [
        ("tinyint", "-128", "smallint", SAME), ("bigint", "-9223372036854775808", "bigint", SAME),
        ("bigint unsigned", "18446744073709551615", "numeric(20,0)", "~f18446744073709551615"),
        ("bigint unsigned", "18446744073709551615", "bigint", REFUSED), ("boolean", "true", "smallint", SAME),
        ("bit(8)", "255", "smallint", SAME), ("year", "2155", "smallint", SAME),
        ("decimal(65,30)", "12345678901234567890123456789012345.123456789012345678901234567890", "numeric", SAME),
        ("decimal(12,2)", "1.5", "numeric(12,2)", SAME), ("decimal(12,2)", "1.55", "numeric(12,1)", REFUSED),
        ("double", "0.1", "double precision", SAME), ("float", "0.1", "real", SAME),
        ("float", "3.4028235e38", "real", SAME), ("date", "'9999-12-31'", "date", SAME),
        ("date", "'0000-00-00'", "date", REFUSED),
        ("datetime(6)", "'2024-01-02 03:04:05.123456'", "timestamptz", SAME),
        ("datetime(3)", "'2024-01-02 03:04:05.123'", "timestamp(3)", SAME),
        ("timestamp(6) null", "'2024-01-02 03:04:05.123456'", "timestamptz", SAME),
        ("time", "'-838:59:59'", "text", SAME), ("time", "'03:04:05'", "time(0)", SAME),
        ("varchar(20)", "'\u00e6 \u20ac \U0001f600'", "text", SAME), ("varchar(20)", "'~x'", "varchar(20)", SAME),
        ("varchar(20)", "'a\\0b'", "text", REFUSED), ("varchar(20)", "'abcd'", "varchar(3)", REFUSED),
        ("char(5)", "'ab'", "text", SAME), ("binary(4)", "x'00ff'", "bytea", SAME), ("blob", "x''", "bytea", SAME),
        ("longblob", "repeat(x'00ff', 50000)", "bytea", SAME), ("enum('sad', 'glad')", "'glad'", "mood", SAME),
        ("enum('angry')", "'angry'", "mood", REFUSED), ("set('a', 'b', 'c')", "'a,c'", "text[]", SAME),
        ("set('a', 'b', 'c')", "''", "text[]", SAME),
        ("json", "'{\"b\": 1.50, \"a\": [null, true, \"~x\"]}'", "jsonb", SAME),
        ("json", "'12345678901234567890'", "json", SAME), ("uuid", f"'{U[2:]}'", "uuid", SAME),
        ("inet6", "'::1'", "inet", SAME),
        ("point", "st_geomfromtext('POINT(1 2)')", "text", SAME),
    ],
    ("mysql", "sqlite"): [
        ("bigint", "-9223372036854775808", "integer", SAME),
        ("bigint unsigned", "18446744073709551615", "integer", REFUSED),
        ("bigint unsigned", "9223372036854775807", "integer", SAME), ("boolean", "true", "boolean", SAME),
        ("bit(8)", "255", "integer", SAME), ("decimal(12,2)", "1.50", "text", "1.50"),
        ("double", "0.1", "real", SAME),
        ("float", "0.1", "real", SAME), ("date", "'2024-02-29'", "date", "2024-02-29"),
        ("datetime(6)", "'2024-01-02 03:04:05.123456'", "datetime", "2024-01-02 03:04:05.123456"),
        ("datetime", "'2024-01-02 03:04:05'", "datetime", "2024-01-02 03:04:05"),
        ("time", "'-838:59:59'", "text", SAME),
        ("varchar(20)", "'\u00e6 \u20ac \U0001f600'", "text", SAME), ("varchar(20)", "'~x'", "text", SAME),
        ("varchar(20)", "'a\\0b'", "text", SAME), ("blob", "x'00ff'", "blob", SAME),
        ("enum('sad', 'glad')", "'glad'", "text", SAME),
        ("set('a', 'b', 'c')", "'a,c'", "text", json),
        ("json", "'{\"b\": 1.50, \"a\": [null, \"~x\"]}'", "text", json),
        ("uuid", f"'{U[2:]}'", "text", U[2:]), ("inet6", "'::1'", "text", SAME),
    ],
    ("sqlite", "postgresql"): [
        ("integer", "-9223372036854775808", "bigint", SAME), ("integer", "9223372036854775807", "integer", REFUSED),
        ("integer", "'abc'", "bigint", REFUSED), ("real", "0.1", "double precision", SAME),
        ("real", "9e999", "double precision", SAME), ("real", "1.5", "integer", REFUSED),
        ("text", "'\u00e6 \u20ac \U0001f600'", "text", SAME), ("text", "'~x'", "text", SAME),
        ("text", "''", "text", SAME),
        ("text", "'a' || char(0) || 'b'", "text", REFUSED), ("blob", "x'00ff10'", "bytea", SAME),
        ("blob", "x''", "bytea", SAME),
        ("integer", "1", "numeric(5,2)", "~f1.00"), ("integer", "2147483648", "integer", REFUSED),
    ],
    ("sqlite", "mysql"): [
        ("integer", "-9223372036854775808", "bigint", SAME), ("integer", "9223372036854775807", "int", REFUSED),
        ("integer", "'abc'", "bigint", REFUSED), ("real", "0.1", "double", SAME),
        ("real", "9e999", "double", REFUSED),
        ("real", "1.5", "int", REFUSED), ("text", "'\u00e6 \u20ac \U0001f600'", "longtext", SAME),
        ("text", "'~x'", "text", SAME),
        ("text", "''", "text", SAME), ("text", "'a' || char(0) || 'b'", "text", SAME),
        ("blob", "x'00ff10'", "blob", SAME),
        ("integer", "1", "decimal(5,2)", "~f1.00"), ("integer", "1", "boolean", SAME),
    ],
}


# ---- how it is done


FIXTURES = {"postgresql": "postgresql", "mysql": "mariadb", "sqlite": "sqlite"}


def prepared(database):
    database.dialect = DIALECTS[database.type]
    if database.type == "postgresql":
        for statement in TYPES:
            database.sql(statement)
    return database


@contextlib.contextmanager
def working_on(database):
    """A connection for many statements."""
    connection = database.connect()
    try:
        cursor = connection.cursor()
        if database.type == "mysql":
            cursor.execute("set sql_mode = 'NO_ENGINE_SUBSTITUTION'")  # so that dates of no calendar can be stored
        if database.type == "sqlite":
            cursor.execute("pragma synchronous = off")
        yield cursor
    finally:
        connection.close()


def make(cursor, table, kind, literals=None):
    """A table, and if there are values, with these and NULL."""
    cursor.execute(f"create table {table} (id integer not null primary key, v {kind})")
    if literals is not None:
        values = [f"({place}, {literal})" for place, literal in enumerate(literals)] + ["(1000, null)"]
        cursor.execute(f"insert into {table} values {', '.join(values)}")


def pair_config(of, into, number):
    return {"systems": {"of": of.system(), "into": into.system()},
            "sources": {**{f"t{n}": {"system": "of", "table": f"t{n}"} for n in range(number)},
                        **{f"u{n}": {"system": "into", "table": f"u{n}"} for n in range(number)}},
            "sinks": {f"u{n}": {"system": "into", "table": f"u{n}"} for n in range(number)}}


def text_of(value):
    """A value as it compares: 1 is not true, 1.0 is not 1 but is 1.00, and members have no order."""
    return json.dumps(value, sort_keys=True)


def texts_of(entities):
    """Entities, in which the null of a document and NULL are one."""
    return [text_of({name: value for name, value in entity.items() if value is not None}) for entity in entities]


def moved(running, number):
    """Pulls t, pushes into u, pulls u, and pushes once more. What went wrong, or None."""
    entities = running.pull(f"t{number}")
    answer = push(running, f"u{number}", running.get(f"/sources/t{number}").body)
    if answer.status != 200:
        return answer.status, answer.body.decode()[:600]
    back = running.pull(f"u{number}")
    if texts_of(back) != texts_of(entities):
        return "not equal", entities, back
    again = push(running, f"u{number}", running.get(f"/sources/t{number}").body)
    if counts(answer)[0] != len(entities) or counts(again) != (0, 0, len(entities), 0):
        return "counts", counts(answer), counts(again)
    return None


@pytest.mark.parametrize("kind", FIXTURES)
def test_every_type_comes_back_as_it_went(kind, service, request):
    """Into the same kind of database, entity by entity; once more it is unchanged."""
    database = prepared(request.getfixturevalue(FIXTURES[kind]))
    types = [case[:2] for case in {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}[kind]]
    with working_on(database) as cursor:
        for number, (declared, literals) in enumerate(types):
            make(cursor, f"t{number}", declared, literals)
            make(cursor, f"u{number}", declared)
    running = service(pair_config(database, database, len(types)))
    wrong = [(case, fault) for number, case in enumerate(types) if (fault := moved(running, number))]
    assert not wrong, "\n".join(str(one)[:1500] for one in wrong)


def outcome(running, number, wanted):
    """Moves one row. None when it came as wanted, else what happened."""
    entity = running.pull(f"t{number}")[0]
    answer = push(running, f"u{number}", [entity])
    found = running.pull(f"u{number}")
    if wanted is REFUSED:
        told = answer.json()
        fine = answer.status == 422 and (told["_id"], told["property"]) == ("0", "v") and found == []
        return None if fine else (answer.status, told, found)
    if answer.status != 200 or counts(answer) != (1, 0, 0, 0):
        return answer.status, answer.body.decode()[:600]
    value = found[0].get("v")
    if wanted is json:
        fine = json.loads(value.removeprefix("~") if value.startswith("~~") else value) == unescaped(entity["v"])
    else:
        fine = text_of(value) == text_of(entity["v"] if wanted is SAME else wanted)
    if not fine:
        return "not as wanted", entity, value
    again = counts(push(running, f"u{number}", [entity]))
    return None if again == (0, 0, 1, 0) else ("counts", again)


def unescaped(value):
    """A document as it is, without the tilde that texts get on the way."""
    if isinstance(value, dict):
        return {name: unescaped(one) for name, one in value.items()}
    if isinstance(value, list):
        return [unescaped(one) for one in value]
    return value[1:] if isinstance(value, str) and value.startswith("~~") else value


@pytest.mark.parametrize("of, into", ACROSS, ids=lambda kind: kind)
def test_types_go_into_another_database_or_are_refused(of, into, service, request):
    cases = ACROSS[of, into]
    source, target = (prepared(request.getfixturevalue(FIXTURES[kind])) for kind in (of, into))
    with working_on(source) as here, working_on(target) as there:
        for number, (declared, literal, other, _) in enumerate(cases):
            make(here, f"t{number}", declared, [literal])
            make(there, f"u{number}", other)
    running = service(pair_config(source, target, len(cases)))
    wrong = [(case[:3], fault) for number, case in enumerate(cases) if (fault := outcome(running, number, case[3]))]
    assert not wrong, "\n".join(str(one)[:1500] for one in wrong)


def test_large_table_goes_round_all_databases(postgresql, mariadb, tmp_path, service):
    """PostgreSQL to MariaDB to SQLite to PostgreSQL: what comes out is what went in."""
    databases = {"a": prepared(postgresql), "b": mariadb, "c": servers.SQLiteFile(tmp_path / "round.db")}
    for table in ("t", "back"):
        postgresql.sql(f"create table {table} (id bigint primary key, n integer, d double precision, s text, b bytea)")
    mariadb.sql("create table t (id bigint primary key, n int, d double, s longtext, b longblob)")
    databases["c"].sql("create table t (id integer primary key, n integer, d real, s text, b blob)")
    postgresql.sql("insert into t select i, i * 7919, random() * 1e10, case when mod(i, 7) > 0 then md5(i::text)"
                   " || '\u00e6~' end, decode(md5(i::text), 'hex') from generate_series(1, 5000) i")
    running = service({
        "systems": {name: database.system() for name, database in databases.items()},
        "sources": {name: {"system": name, "table": "t"} for name in databases},
        "sinks": {"b": {"system": "b", "table": "t"}, "c": {"system": "c", "table": "t"},
                  "back": {"system": "a", "table": "back"}}})
    for of, into in (("a", "b"), ("b", "c"), ("c", "back")):
        body = running.get(f"/sources/{of}").body
        assert counts(push(running, into, body)) == (5000, 0, 0, 0)
        assert counts(push(running, into, body)) == (0, 0, 5000, 0)
    assert postgresql.sql("(table t except table back) union all (table back except table t)") == []
