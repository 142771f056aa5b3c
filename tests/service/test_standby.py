"""What a standby of PostgreSQL can tell, and what it cannot."""

import pytest

import servers
from conftest import config_of, eventually


@pytest.fixture(scope="module")
def pair():
    """A primary and its synchronous standby, with a table that has a time and the id of the transaction."""
    with servers.PostgreSQL(options=["-c", "synchronous_commit=remote_apply"]) as primary:
        primary.sql("create table items (id integer primary key, updated timestamptz not null default now(),"
                    " changed xid8 not null default pg_current_xact_id())")
        primary.sql("insert into items (id) select generate_series(1, 10)")
        with servers.Standby(primary) as standby:
            yield primary, standby


def source(column, **more):
    return {"table": "items", "updated_column": column, **more}


def ids(entities):
    return {int(entity["_id"]) for entity in entities}


def test_time_on_a_standby_is_refused_with_the_alternatives(pair, service, run):
    config = config_of(pair[1], items=source("updated"))
    problem = service(config).get("/sources/items").problem(500)
    assert "is a standby" in problem["detail"]
    assert "settle" in problem["hint"] and "xid8" in problem["hint"] and "primary" in problem["hint"]
    done = run("check", config=config)
    assert done.returncode == 1 and "is a standby" in done.stdout


@pytest.mark.parametrize("late_commits", [{"settle": 60}, "ignore"])
def test_time_on_a_standby_is_read_where_it_is_told_how(pair, service, late_commits):
    running = service(config_of(pair[1], items=source("updated", late_commits=late_commits)))
    assert ids(running.pull("items")) == set(range(1, 11))


def test_transaction_ids_on_a_standby_wait_for_what_is_open_on_the_primary(pair, service):
    primary, standby = pair
    running = service(config_of(standby, items=source("changed")))
    since = running.pull("items")[-1]["_updated"]
    writer = primary.connect(autocommit=False)
    writer.cursor().execute("insert into items (id) values (11)")
    primary.sql("insert into items (id) values (12)")
    first = eventually(lambda: running.pull("items", since=since))
    assert ids(first) == {12}
    writer.commit()
    writer.close()
    rest = eventually(lambda: running.pull("items", since=first[-1]["_updated"]))
    assert 11 in ids(rest)
    primary.sql("delete from items where id > 10")


def test_sink_on_a_standby_is_told_to_come_again(pair, service):
    running = service({**config_of(pair[1]), "sinks": {"items": {"system": "db", "table": "items"}}})
    answer = running.get("/sinks/items", method="POST", headers={"Content-Type": "application/json"},
                         body='[{"_id": "99"}]')
    assert "standby" in answer.problem(503)["detail"] and answer.headers["Retry-After"]
