"""What a source makes of things that change, or are not what they seem, behind its back."""

import json

import pytest

from conftest import DIALECTS, config_of, create

T = "2024-05-01 10:00:0"


@pytest.fixture(params=["postgresql", "mysql"])
def server(request):
    """An empty database of each kind that has types."""
    database = request.getfixturevalue({"postgresql": "postgresql", "mysql": "mariadb"}[request.param])
    database.dialect = DIALECTS[request.param]
    return database


def change_type(server, column, new):
    if server.type == "postgresql":
        server.sql(f"alter table nodes alter {column} type {new} using {column}::text::{new}")
    else:
        server.sql(f"alter table nodes modify {column} {new}")


# Each pair has the same width in the binary forms, so that only the type tells them apart.
@pytest.mark.parametrize("old, new, value, wanted", [
    ("bigint", "double precision", 42, 42.0), ("integer", "real", 7, 7.0), ("integer", "bigint", 5, 5),
    ("varchar(20)", "integer", "12", 12)])
def test_column_of_another_type_is_never_read_as_the_old_one(server, service, old, new, value, wanted):
    create(server, "nodes", f"id integer not null primary key, updated {{datetime}}, v {old}", [(1, T + "1", value)])
    running = service(config_of(server, nodes={"table": "nodes", "updated_column": "updated"}))
    assert running.pull("nodes")[0]["v"] == value
    change_type(server, "v", new)
    assert running.pull("nodes", since="2024-01-01")[0]["v"] == wanted
    running.pull("nodes")
    assert "changed" in running.log() and "'v' is" in running.log()


def test_key_of_another_type_is_found_again(server, service):
    create(server, "nodes", "id integer not null primary key, updated {datetime}", [(1, T + "1"), (2, T + "2")])
    running = service(config_of(server, nodes={"table": "nodes", "updated_column": "updated"}))
    since = running.pull("nodes")[0]["_updated"]
    change_type(server, "id", "bigint")
    assert [entity["_id"] for entity in running.pull("nodes", since=since)] == ["2"]


def test_inherited_rows_may_hold_the_key_again_and_check_says_so(postgresql, service, run):
    postgresql.sql("create table parent (id integer primary key, updated timestamptz);"
                   " create table child (primary key (id)) inherits (parent);"
                   " insert into parent values (1, now()); insert into child values (1, now())")
    report = run("check", config=config_of(postgresql, parent={"table": "parent", "updated_column": "updated"}))
    assert report.returncode == 1
    assert "not unique" in report.stdout


def test_check_looks_with_the_defaults_of_parameters(db, run):
    create(db, "orders", "id integer not null, state {key_text}", [(1, "open"), (1, "open"), (2, "done")])
    source = {"query": "select * from orders where state = :state", "primary_key": "id",
              "parameters": {"state": {"type": "string", "default": "open"}}}
    report = run("check", config=config_of(db, orders=source))
    assert report.returncode == 1 and "not unique" in report.stdout
    source["parameters"]["state"]["default"] = "done"
    assert run("check", config=config_of(db, orders=source)).returncode == 0


def test_check_tries_the_updated_query(db, run):
    create(db, "orders", "id integer not null primary key, updated {datetime}", [(1, T + "1")])
    source = {"query": "select * from orders", "primary_key": "id", "updated_column": "updated",
              "updated_query": "select nonsense from nowhere where u >= :since"}
    assert run("check", config=config_of(db, orders=source)).returncode == 1


def test_value_that_a_type_cannot_hold_is_the_request_s_fault(postgresql, service):
    postgresql.sql("create type mood as enum ('sad', 'glad'); create table people (id integer primary key, m mood, n integer);"
                   " insert into people values (1, 'sad', 5)")
    running = service(config_of(postgresql, people={"table": "people", "updated_column": "n",
                                                    "late_commits": "ignore"}))
    running.get("/sources/people", {"subset": json.dumps(["eq", "_S.m", "angry"])}).problem(404)
    assert running.pull("people", subset=json.dumps(["eq", "_S.m", "sad"]))[0]["_id"] == "1"
    assert running.pull("people", since="99999999999") == []
    assert running.pull("people", subset=json.dumps(["eq", "_S.n", 99999999999])) == []


@pytest.mark.parametrize("type_, values", [
    ("numeric(20,2)", ["1.50", "3.25"]), ("double precision", ["0.1", "2.5"]), ("numeric(20,0)", ["7", "8"]),
    ("timestamptz", ["2024-01-01 00:00:00+00", "infinity"]), ("timestamptz", ["0044-03-15 12:00:00 BC", "2024-01-01"])])
def test_plain_token_is_taken_back_as_since(postgresql, service, type_, values):
    postgresql.sql(f"create table people (id integer primary key, u {type_})")
    for number, value in enumerate(values):
        postgresql.sql(f"insert into people values ({number}, '{value}')")
    running = service(config_of(postgresql, people={"table": "people", "updated_column": "u", "token": "plain",
                                                    **({} if type_ == "timestamptz" else {"late_commits": "ignore"})}))
    entities = running.pull("people")
    for place, entity in enumerate(entities):
        later = running.pull("people", since=str(entity["_updated"]))
        assert [e["_id"] for e in later] == [e["_id"] for e in entities[place:]]


def test_subset_compares_bytes_whatever_the_collation(mariadb, service):
    mariadb.dialect = DIALECTS["mysql"]
    create(mariadb, "people", "id integer not null primary key, name varchar(20) collate utf8mb4_general_ci",
           [(1, "x"), (2, "X"), (3, "x ")])
    running = service(config_of(mariadb, people={"table": "people"}))
    assert [e["_id"] for e in running.pull("people", subset=json.dumps(["eq", "_S.name", "x"]))] == ["1"]


def test_since_on_texts_with_offsets_loses_none(db, service):
    create(db, "people", "id integer not null primary key, u {key_text} not null",
           [(1, "2024-01-30T20:00:00-05:00"), (2, "2024-01-30T20:00:00Z"), (3, "2024-01-31T02:00:00+01:00")])
    running = service(config_of(db, people={"table": "people", "updated_column": "u"}))
    assert sorted(e["_id"] for e in running.pull("people", since="2024-01-31T00:30:00Z")) == ["1", "3"]


def test_ready_keeps_details_from_those_who_may_not_know(service):
    config = {"listen": {"authentication": {"type": "basic", "users": [{"username": "u", "password": "p"}]}},
              "systems": {"gone": {"type": "sqlite", "path": "/nonexistent/gone.db"}}}
    running = service(config)
    stranger = running.get("/ready")
    assert stranger.status == 503 and "nonexistent" not in stranger.body.decode()
    friend = running.get("/ready", headers={"Authorization": "Basic dTpw"})
    assert "nonexistent" in friend.body.decode()
