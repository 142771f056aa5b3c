"""Nothing is lost: tests/soak for a few seconds ($SOAK_SECONDS) on each database, its controls, and what can be
said without chance."""

import json
import os
import subprocess
import sys
import threading
import time
import types

import pytest

from conftest import DIALECTS, HERE, config_of, create, eventually

SOAK = os.path.join(HERE, "..", "soak")
SECONDS = float(os.environ.get("SOAK_SECONDS", "4"))  # of one soak a database
LONGEST = {"postgresql": "time", "mysql": "time", "sqlite": "second"}  # the mode of that one
OTHERS = min(SECONDS, 15)  # of those in other modes, and of the controls
sys.path.insert(0, SOAK)
import readers  # noqa: E402

NOW = {"postgresql": "now()", "mysql": "now(6)", "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')"}


# ---- chance


def soak(program, database, server, seconds, *more):
    """Runs it to its end: what it found, and its status."""
    variable = {"postgresql": "SESAM_SQL_TEST_POSTGRESQL", "mysql": "SESAM_SQL_TEST_MYSQL"}.get(database)
    environment = {**os.environ, **({variable: json.dumps(server.system())} if variable else {})}
    done = subprocess.run([sys.executable, os.path.join(SOAK, "soak.py"), "--database", database,
                           "--seconds", str(seconds), "--program", program, *more],
                          env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          encoding="utf-8", timeout=SECONDS + 300, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done


@pytest.fixture
def server(request):
    """The server of the database that the test names, which may have none."""
    name = {"postgresql": "postgresql_server", "mysql": "mariadb_server"}.get(request.getfixturevalue("database"))
    return request.getfixturevalue(name) if name else None


@pytest.mark.parametrize("database, mode", [
    ("postgresql", "time"), ("postgresql", "second"), ("postgresql", "xid8"), ("postgresql", "changelog"),
    ("mysql", "time"), ("mysql", "second"), ("mysql", "changelog"),
    ("sqlite", "time"), ("sqlite", "second"), ("sqlite", "changelog")])
def test_soak_loses_nothing(program, database, server, mode):
    found, done = soak(program, database, server, SECONDS if mode == LONGEST[database] else OTHERS, "--mode", mode)
    assert done.returncode == 0 and not found["wrong"], (found, done.stderr)
    assert found["changes"] > 50 and found["full"]["runs"] > 0
    assert all(reader["lost"] == 0 and reader["polls"] > 3 for reader in found["readers"].values())


# SQLite's writers come one after the other, so that only times that are the same for a while lose rows.
@pytest.mark.parametrize("database, mode", [("postgresql", "time"), ("mysql", "time"), ("sqlite", "second")])
def test_soak_without_the_guard_loses_rows(program, database, server, mode):
    lost = {"unlimited": 0, "paged": 0}
    for _ in range(4):  # on a busy machine a slow reader is not overtaken each time
        found, done = soak(program, database, server, OTHERS, "--mode", mode, "--late-commits", "ignore")
        assert done.returncode == 0, (found, done.stderr)
        lost = {name: rows + found["readers"][name]["lost"] for name, rows in lost.items()}
        if all(lost.values()):
            break
    assert all(lost.values()), lost


# ---- no chance


def follower(service, name, **more):
    """One of the soak's readers, that somebody else tells when to poll."""
    arguments = types.SimpleNamespace(seed=1, late_commits="auto")
    return readers.Reader(types.SimpleNamespace(service=service, arguments=arguments), name, source="items", **more)


def items(db, count=100):
    create(db, "items", "id integer not null primary key, version integer not null, updated {datetime}",
           [(i, 1, "2024-05-01 10:00:00") for i in range(count)])
    db.sql("create index items_updated on items (updated, id)")
    create(db, "others", "id integer")
    return {"table": "items", "updated_column": "updated"}


def update(db, row):
    db.sql(f"update items set version = version + 1, updated = {NOW[db.type]} where id = {row}")


def idle_transaction(db):
    """One that wrote, or where that would keep out everybody, one that read."""
    connection = db.connect(autocommit=False)
    cursor = connection.cursor()
    if db.type == "sqlite":
        cursor.execute("begin")
        cursor.execute("select count(*) from others").fetchone()
    else:
        cursor.execute("insert into others values (1)")
    return connection


def test_no_row_comes_more_than_twice_while_a_transaction_stays_open(db, service):
    running = service(config_of(db, items=items(db)))
    following = [follower(running, "unlimited"), follower(running, "paged", limit=7)]
    for reader in following:
        while reader.poll():
            pass
    idle = idle_transaction(db)
    until = time.monotonic() + (SECONDS if db.type == "postgresql" else OTHERS)
    row = 0
    while time.monotonic() < until:
        row = (row + 7) % 100
        update(db, row)
        for reader in following:
            reader.poll()
        time.sleep(0.02)
    idle.close()
    truth = dict(db.sql("select id, version from items"))
    for reader in following:
        reader.finish(truth, time.monotonic() + 30)
        reader.run_to_the_end()
        assert reader.copy == truth
        assert reader.went_back == 0 and max(reader.times.values()) <= 2
    if db.type != "sqlite":
        assert max(following[0].times.values()) == 2  # the transaction did hold something back


def test_row_that_changes_all_the_time_reaches_a_paged_reader(db, service):
    running = service(config_of(db, items=items(db)))
    stopped = threading.Event()

    def change():
        """Row 0 each 0.3 s, and others between."""
        number = 0
        while not stopped.wait(0.06):
            number += 1
            update(db, 0 if number % 5 == 0 else 1 + number % 99)

    changing = threading.Thread(target=change, daemon=True)
    reader = follower(running, "paged", limit=3)
    changing.start()
    try:
        until = time.monotonic() + min(SECONDS, 10)
        while time.monotonic() < until:
            reader.poll()
        version = db.sql("select version from items where id = 0")[0][0]
    finally:
        stopped.set()
        changing.join()
    assert version > 2
    came = {version for row, version in reader.delivered if row == 0}
    assert len(came) > version / 2, (sorted(came), version)


def test_sqlite_is_read_in_full_while_a_writer_never_ends(sqlite, service):
    """The first read of all, so that there is no horizon yet; what it sent comes once more when there is one."""
    sqlite.dialect = DIALECTS["sqlite"]
    source = items(sqlite)
    writer = sqlite.connect()
    writer.execute("begin immediate")
    writer.execute("update items set version = 7 where id = 1")
    running = service(config_of(sqlite, items=source))
    reader = follower(running, "unlimited")
    assert reader.poll() == 100 and reader.copy[1] == 1
    assert reader.poll() == 0
    writer.execute("commit")
    assert reader.poll() == 100 and reader.copy[1] == 7
    assert reader.poll() == 0


def back_in_time(db):
    """Row 11 is the last, and an older transaction is about to change it: it will stand before row 10 then. Returns
    what makes it do so."""
    connection = db.connect(autocommit=False)
    cursor = connection.cursor()
    cursor.execute("select now()")  # of this moment from now on
    time.sleep(0.01)
    update(db, 10)
    update(db, 11)

    def change():
        cursor.execute("update items set version = 100, updated = now() where id = 11")
        connection.commit()
        connection.close()

    return change


def test_row_that_goes_back_in_time_comes_when_it_is_final(postgresql, service):
    postgresql.dialect = DIALECTS["postgresql"]
    running = service(config_of(postgresql, items=items(postgresql, 12)))
    reader = follower(running, "unlimited")
    change = back_in_time(postgresql)
    reader.poll()
    assert reader.copy[11] == 2
    change()
    eventually(lambda: reader.poll() and reader.copy[11] == 100, 10)


def test_row_that_goes_back_in_time_between_two_pages_is_in_the_run(postgresql, service):
    postgresql.dialect = DIALECTS["postgresql"]
    running = service(config_of(postgresql, items=items(postgresql, 12)))
    change = back_in_time(postgresql)
    page = running.pull("items", limit=11)
    assert page[-1]["_id"] == "10"  # row 11 is to come
    change()
    rest = running.pull("items", limit=11, since=page[-1]["_updated"])
    assert [(entity["_id"], entity["version"]) for entity in rest] == [("11", 100)]


def test_sqlite_integer_that_looks_like_the_time_needs_no_unit(sqlite, service):
    sqlite.dialect = DIALECTS["sqlite"]
    now = int(time.time()) + 2  # a second that is not over soon
    create(sqlite, "items", "id integer primary key, version integer, updated integer", [(5, 1, now)])
    reader = follower(service(config_of(sqlite, items={"table": "items", "updated_column": "updated"})), "unlimited")
    reader.poll()
    sqlite.sql(f"insert into items values (3, 1, {now})")  # in the same second
    eventually(lambda: reader.poll() is not None and set(reader.copy) == {3, 5}, 10)
    assert eventually(lambda: reader.poll() == 0)
