"""Tables that are made from a schema_definition: create_table_if_missing."""

import concurrent.futures
import contextlib

import pytest

from conftest import create
from pushing import counts, push, refused, rows, sinks_of

KEY = {"name": "id", "type": "integer", "primary_key": True}

# A column of every type, what an entity has for it, and what a source gives back where that is something else.
EVERYTHING = [
    ({"name": "short", "type": "string", "max_size": 20}, "é" * 20, {}),
    ({"name": "long", "type": "string"}, "~~x" * 30000, {}),
    ({"name": "small", "type": "integer", "min_value": -5, "max_value": 1000}, -5, {}),
    ({"name": "medium", "type": "integer", "max_value": 2000000000}, 2000000000, {}),
    ({"name": "large", "type": "integer"}, 9223372036854775807, {}),
    ({"name": "price", "type": "decimal", "precision": 12, "scale": 3}, "~f123456789.125", {"sqlite": "123456789.125"}),
    ({"name": "any_price", "type": "decimal"}, "~f1.5",
     {"sqlite": "1.5", "mysql": "~f1.500000000000000000000000000000"}),
    ({"name": "ratio", "type": "float"}, 0.1, {}),
    ({"name": "data", "type": "binary", "max_size": 10}, "~bAP8=", {}),
    ({"name": "at", "type": "datetime"}, "~t2024-01-02T03:04:05.123456Z", {"sqlite": "2024-01-02 03:04:05.123456"}),
    ({"name": "day", "type": "date"}, "~t2024-01-02", {"sqlite": "2024-01-02"}),
    ({"name": "hour", "type": "time"}, "03:04:05", {"mysql": "03:04:05.000000"}),
    ({"name": "ident", "type": "uuid"}, "~u00112233-4455-6677-8899-aabbccddeeff",
     {"sqlite": "00112233-4455-6677-8899-aabbccddeeff"}),
    ({"name": "flag", "type": "boolean"}, True, {"sqlite": 1, "mysql": 1}),
]


def making(database, *columns, **sink):
    """A configuration with a sink that makes its table, and a source on it."""
    return sinks_of(database, {"made": {"table": "made", "preserve_null_values": True}},
                    made={"table": "made", "schema_definition": [KEY, *columns], "create_table_if_missing": True, **sink})


def only(running):
    """The one entity of the source, without what is Sesam's."""
    (entity,) = running.pull("made")
    return {name: value for name, value in entity.items() if not name.startswith("_")}


@pytest.mark.parametrize("column, value, back", EVERYTHING, ids=[case[0]["name"] for case in EVERYTHING])
def test_column_of_every_type_gives_back_what_it_was_given(db, service, column, value, back):
    running = service(making(db, column))
    entity = {"_id": "1", column["name"]: value}
    assert counts(push(running, "made", [entity])) == (1, 0, 0, 0)
    assert counts(push(running, "made", [entity])) == (0, 0, 1, 0)
    assert only(running) == {"id": 1, column["name"]: back.get(db.type, value)}
    assert counts(push(running, "made", [{"_id": "1", column["name"]: None}])) == (0, 1, 0, 0)
    assert only(running)[column["name"]] is None


@pytest.mark.parametrize("column, value", [
    ({"type": "string", "max_size": 3}, "abcd"), ({"type": "integer", "max_value": 100}, 40000),
    ({"type": "decimal", "precision": 4, "scale": 1}, "~f1.25"), ({"type": "string", "allow_null": False}, None)],
    ids=["string", "integer", "decimal", "null"])
def test_definition_bounds_what_a_server_takes(db, service, column, value):
    running = service(making(db, {"name": "c", **column}))
    if db.type == "sqlite" and value is not None:  # its types have no bounds
        assert counts(push(running, "made", [{"_id": "1", "c": value}])) == (1, 0, 0, 0)
        return
    refused(push(running, "made", [{"_id": "1", "c": value}]), "1")
    assert rows(db, "made") == []


def test_integers_of_more_than_64_bits_have_a_column(db, service):
    running = service(making(db, {"name": "c", "type": "integer", "max_value": 1e20}))
    if db.type == "sqlite":  # it has none
        refused(push(running, "made", [{"_id": "1", "c": 99999999999999999999}]), "1")
        return
    push(running, "made", [{"_id": "1", "c": 99999999999999999999}])
    assert only(running)["c"] == "~f99999999999999999999"


@pytest.mark.parametrize("column, expected", [
    ({"type": "string", "default": "it's \\ \"~"}, "it's \\ \"~"), ({"type": "integer", "default": 7}, 7),
    ({"type": "string", "max_size": 5, "default": 7}, "7"), ({"type": "boolean", "default": True}, True),
    ({"type": "string", "default": None}, None),
    ({"type": "datetime", "default": "2024-06-02T03:04:05Z"}, "~t2024-06-02T03:04:05Z")],
    ids=["string", "integer", "number of a string", "boolean", "null", "datetime"])
def test_default_is_what_others_get_who_leave_the_column_out(db, service, column, expected):
    config = making(db, {"name": "c", **column})
    config["systems"]["db"]["timezone"] = "Europe/Oslo"
    running = service(config)
    push(running, "made", [])
    db.sql("insert into made (id) values (1)")
    found = only(running)["c"]
    if column["type"] == "datetime":
        found = found.replace("~t", "").replace(" ", "T").replace(".000000", "").rstrip("Z")
        expected = "2024-06-02T03:04:05"
    assert found == expected


def test_key_of_texts_tells_case_and_blanks_apart(db, service):
    columns = [{"name": "a", "type": "string", "primary_key": True}, {"name": "b", "type": "uuid", "primary_key": True},
               {"name": "v", "type": "integer"}]
    ident = "00112233-4455-6677-8899-aabbccddeeff"
    running = service(sinks_of(db, made={"table": "Made \"of\" `names`", "schema_definition": columns,
                                         "create_table_if_missing": True}))
    entities = [{"_id": f"{a}:{ident}", "v": 1} for a in ("a", "A", "a ", "é", "e")]
    assert counts(push(running, "made", entities)) == (5, 0, 0, 0)
    assert counts(push(running, "made", entities)) == (0, 0, 5, 0)


def indexed(database):
    """The columns of the table that an index of their own begins with."""
    if database.type == "sqlite":
        names = [row[1] for row in database.sql("pragma index_list(made)")]
        return {database.sql(f'pragma index_info("{name}")')[0][2] for name in names}
    if database.type == "mysql":
        return {row[4] for row in database.sql("show index from made") if row[2] != "PRIMARY"}
    return {row[0] for row in database.sql(
        "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]"
        " where i.indrelid = 'made'::regclass and not i.indisprimary")}


def test_indexes_are_made_and_the_table_once(db, service):
    columns = [{"name": "a" * 60, "type": "string", "index": True}, {"name": "b", "type": "integer", "index": True},
               {"name": "c", "type": "integer"}]
    config = making(db, *columns)
    assert counts(push(service(config), "made", [{"_id": "1", "b": 1}])) == (1, 0, 0, 0)
    assert indexed(db) == {"a" * 60, "b"}
    again = service(config)
    assert counts(push(again, "made", [{"_id": "1", "b": 2}])) == (0, 1, 0, 0)
    assert "made from" not in again.log()


def test_many_wide_columns_fit_into_one_row(db, service):
    columns = [{"name": f"c{n}", "type": "string", "max_size": 5000} for n in range(40)]
    running = service(making(db, *columns))
    entity = {"_id": "1", **{f"c{n}": "x" * 5000 for n in range(40)}}
    assert counts(push(running, "made", [entity])) == (1, 0, 0, 0)


def test_lock_and_timestamp_of_the_definition_are_kept(db, service):
    running = service(making(db, {"name": "v", "type": "string"},
                             {"name": "version", "type": "integer", "allow_null": False},
                             {"name": "written", "type": "datetime"},
                             optimistic_lock={"column": "version"}, timestamp="written"))
    assert counts(push(running, "made", [{"_id": "1", "v": "a"}])) == (1, 0, 0, 0)
    assert counts(push(running, "made", [{"_id": "1", "v": "b", "version": 1}])) == (0, 1, 0, 0)
    (row,) = rows(db, "made", "id, v, version")
    assert row == (1, "b", 2)
    assert rows(db, "made", "written")[0][0] is not None


def test_replicas_that_make_the_table_at_once_all_succeed(db, service):
    config = making(db, {"name": "v", "type": "string", "index": True})
    replicas = [service(config) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: push(replicas[n], "made", [{"_id": str(n), "v": "x"}]), range(4)))
    assert [counts(answer) for answer in answers] == 4 * [(1, 0, 0, 0)]
    assert sum("made from" in replica.log() for replica in replicas) >= 1


def test_table_that_is_dropped_meanwhile_is_made_again(db, service):
    running = service(making(db, {"name": "v", "type": "string"}))
    assert counts(push(running, "made", [{"_id": "1", "v": "x"}])) == (1, 0, 0, 0)
    db.sql("drop table made")
    assert counts(push(running, "made", [{"_id": "1", "v": "x"}])) == (1, 0, 0, 0)


def test_key_that_an_existing_table_has_not_is_no_missing_table(db, service):
    create(db, "made", "id integer not null primary key, v {text}")
    running = service(making(db, primary_key=["idd"]))
    problem = push(running, "made", [{"_id": "1"}]).problem(500)
    assert "idd" in problem["detail"]
    assert "made from" not in running.log()


@contextlib.contextmanager
def role(server, *rights):
    """The system of a role with these rights on the table made."""
    user, password = "service_test_maker", "maker-82fd"
    if server.type == "postgresql":
        grants = [f"create role {user} login password '{password}'",
                  "revoke create on schema public from public",
                  *[f"grant {right} to {user}" for right in rights]]
        ends = [f"drop owned by {user}", f"drop role {user}"]
    else:
        grants = [f"create user {user}@'%' identified by '{password}'",
                  *[f"grant {right} to {user}@'%'" for right in rights]]
        ends = [f"drop user {user}@'%'"]
    for statement in grants:
        server.sql(statement)
    try:
        yield {**server.system(), "username": user, "password": password}
    finally:
        for statement in ends:
            server.sql(statement)


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request):
    return request.getfixturevalue(request.param)


def test_role_that_may_not_make_the_table_is_told_the_statement(server, service):
    create_right = [] if server.type == "postgresql" else ["select on service_test.*"]
    with role(server, *create_right) as system:
        config = making(server, {"name": "v", "type": "string"})
        config["systems"]["db"] = system
        running = service(config)
        problem = push(running, "made", [{"_id": "1"}]).problem(500)
        assert "CREATE TABLE IF NOT EXISTS" in problem["hint"] and "PRIMARY KEY" in problem["hint"]
        server.sql(problem["hint"].partition(": ")[2])
        if server.type == "postgresql":
            server.sql(f"grant select, insert, update, delete on made to {system['username']}")
        else:
            server.sql(f"grant select, insert, update, delete on made to {system['username']}@'%'")
        assert counts(push(running, "made", [{"_id": "1"}])) == (1, 0, 0, 0)
        running.stop()


def test_role_that_may_make_no_tables_is_told_of_the_key_that_is_wrong(server, service):
    server.sql("create table made (id integer not null primary key)")
    right = "select, insert, update, delete on " + ("made" if server.type == "postgresql" else "service_test.*")
    with role(server, right) as system:
        config = making(server, primary_key=["idd"])
        config["systems"]["db"] = system
        running = service(config)
        assert "idd" in push(running, "made", [{"_id": "1"}]).problem(500)["detail"]
        running.stop()
