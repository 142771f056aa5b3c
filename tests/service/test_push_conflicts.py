"""Optimistic locking: nothing is written over what somebody else wrote meanwhile."""

import concurrent.futures
import contextlib
import datetime
import itertools
import random
import threading

import pytest

import servers
from conftest import Service, create
from pushing import Sync, accepted, counts, push, refused, rows, sinks_of, with_dialect

FAR = "2999-01-01 00:00:00"


class Lock:
    """A way to tell a row's version, and a table `docs` (id, name, n, who) that has it."""

    column = None    # its declaration
    source = {}      # what the source needs
    beside = ""      # what another program sets besides, as it should
    triggers = ()
    property = "version"

    def __init__(self, database):
        self.database = with_dialect(database)

    def sink(self):
        return {"optimistic_lock": {"column": "version"}}

    def create(self):
        columns = "id integer not null primary key, name {text}, n integer, who {text}"
        create(self.database, "docs", columns + (", " + self.column if self.column else ""))
        for statement in self.triggers:
            self.database.sql(statement)

    def fill(self, ids=(1, 2, 3)):
        """The table has these rows, and no others."""
        self.database.sql("delete from docs")
        values = ", ".join(f"({_id}, 'old', 0, '')" for _id in ids)
        self.database.sql(f"insert into docs (id, name, n, who) values {values}")

    def config(self, **more):
        docs = {"table": "docs", **self.sink(), **more}
        return sinks_of(self.database, {"docs": {"table": "docs", **self.source}}, docs=docs,
                        skipping={**docs, "on_conflict": "skip"}, winning={**docs, "on_conflict": "overwrite"},
                        syncing={**docs, "full_sync_deletes": True})

    def change(self, sets="name = 'changed beside'", where="id = 1"):
        """Another program changes rows, and their version as it should."""
        self.database.sql(f"update docs set {sets}{self.beside} where {where}")


class IntegerLock(Lock):
    column = "version integer not null default 1"
    beside = ", version = version + 1"


class NullableIntegerLock(IntegerLock):
    column = "version integer default 1"


class TimestampLock(Lock):
    def __init__(self, database):
        super().__init__(database)
        self.column, self.beside = {
            "postgresql": ("version timestamptz(6) not null default clock_timestamp()",
                           ", version = clock_timestamp()"),
            "mysql": ("version datetime(6) not null default now(6)", ", version = now(6)"),
            "sqlite": ("version datetime not null default (strftime('%Y-%m-%d %H:%M:%f', 'now'))",
                       ", version = strftime('%Y-%m-%d %H:%M:%f', version, '+0.002 seconds')"),
        }[database.type]


class DatabaseLock(Lock):
    column = "version integer not null default 1"

    def sink(self):
        return {"optimistic_lock": {"column": "version", "maintained_by": "database"}}

    def __init__(self, database):
        super().__init__(database)
        self.triggers = {
            "postgresql": ["create function bump() returns trigger language plpgsql as"
                           " $$begin new.version = old.version + 1; return new; end$$",
                           "create trigger bump before update on docs for each row execute function bump()"],
            "mysql": ["create trigger bump before update on docs for each row set new.version = old.version + 1"],
            "sqlite": ["create trigger bump after update of name, n, who on docs begin"
                       " update docs set version = old.version + 1 where id = new.id; end"],
        }[database.type]


class XminLock(Lock):
    property = "$xmin"
    source = {"xmin_property": "$xmin"}

    def sink(self):
        return {"optimistic_lock": {"column": "xmin", "property": "$xmin"}}


class HashLock(Lock):
    property = "$hash"
    source = {"hash_property": "$hash"}

    def sink(self):
        return {"optimistic_lock": {"hash": "$hash", "source": "docs"}}


FIXTURES = {"postgresql": "postgresql", "mysql": "mariadb", "sqlite": "sqlite"}
KINDS = {"integer": IntegerLock, "nullable": NullableIntegerLock, "timestamp": TimestampLock, "database": DatabaseLock,
         "xmin": XminLock, "hash": HashLock}
LOCKS = [f"{database}-{kind}" for database in FIXTURES for kind in KINDS if kind != "xmin" or database == "postgresql"]


@contextlib.contextmanager
def database_of(request, folder):
    """An empty database of a kind, for more than one test."""
    kind = request.param.split("-")[0]
    if kind == "sqlite":
        yield servers.SQLiteFile(folder / "lock.db")
        return
    server = request.getfixturevalue({"postgresql": "postgresql_server", "mysql": "mariadb_server"}[kind])
    yield server.create_database("lock_test", "character set utf8mb4" if kind == "mysql" else "")
    server.drop_database("lock_test")


@pytest.fixture(scope="module", params=LOCKS)
def locked(request, program, tmp_path_factory):
    """Each kind of lock on each database, and a service that keeps it."""
    folder = tmp_path_factory.mktemp("lock")
    with database_of(request, folder) as database:
        lock = KINDS[request.param.split("-")[1]](database)
        lock.create()
        running = Service(program, lock.config(), str(folder)).start()
        yield lock, running
        running.stop()


@pytest.fixture
def lock(locked):
    locked[0].fill()
    return locked[0]


@pytest.fixture
def running(locked):
    return locked[1]


@pytest.fixture
def integer(db):
    lock = IntegerLock(db)
    lock.create()
    lock.fill()
    return lock


def pulled(running, source="docs"):
    """The source's entities by id, ready to be pushed."""
    return {entity["_id"]: entity for entity in running.pull(source)}


def without(entity, *names):
    return {name: value for name, value in entity.items() if name not in names}


def told(answer, status):
    """The conflicts of an answer as {_id: reason}."""
    assert answer.status == status, (answer.status, answer.body[:2000])
    body = answer.problem(412) if status == 412 else accepted(answer)
    return {conflict["_id"]: conflict["reason"] for conflict in body["conflicts"]}


# ---- the cases, for every kind of lock


def test_row_with_the_entitys_version_is_updated_and_gets_another(lock, running):
    for number in range(3):
        before = pulled(running)
        assert counts(push(running, "docs", [{**before["1"], "name": f"new {number}"}])) == (0, 1, 0, 0)
        after = pulled(running)
        assert after["1"]["name"] == f"new {number}"
        assert after["1"][lock.property] != before["1"][lock.property]
        assert after["2"] == before["2"]


def test_entity_without_version_and_row_is_inserted(lock, running):
    assert counts(push(running, "docs", [{"_id": "7", "name": "new", "n": 1, "who": ""}])) == (1, 0, 0, 0)
    entity = pulled(running)["7"]
    assert entity["name"] == "new" and entity[lock.property]
    assert counts(push(running, "docs", [{**entity, "name": "newer"}])) == (0, 1, 0, 0)


def test_row_of_another_version_is_a_conflict_and_stays(lock, running):
    stale = pulled(running)
    lock.change()
    current = pulled(running)
    before = rows(lock.database, "docs")
    answer = push(running, "docs", [{**stale["1"], "name": "mine"}, {**stale["2"], "name": "mine"}])
    problem = answer.problem(412)
    assert told(answer, 412) == {"1": "version"}
    conflict = problem["conflicts"][0]
    assert conflict["expected"] == stale["1"][lock.property]
    assert conflict["actual"] == current["1"][lock.property]
    assert rows(lock.database, "docs") == before


def test_version_without_a_row_is_a_conflict(lock, running):
    stale = pulled(running)
    lock.database.sql("delete from docs where id = 1")
    assert told(push(running, "docs", [{**stale["1"], "name": "mine"}]), 412) == {"1": "missing"}
    assert [row[0] for row in rows(lock.database, "docs")] == [2, 3]


def test_row_without_a_version_in_the_entity_is_a_conflict(lock, running):
    assert told(push(running, "docs", [{"_id": "1", "name": "mine"}]), 412) == {"1": "exists"}
    assert rows(lock.database, "docs", "id, name")[0] == (1, "old")


def test_deletions_are_checked_like_updates(lock, running):
    stale = pulled(running)
    lock.change()
    gone = {_id: {**entity, "_deleted": True} for _id, entity in stale.items()}
    assert told(push(running, "docs", [gone["1"]]), 412) == {"1": "version"}
    assert told(push(running, "docs", [{"_id": "1", "_deleted": True}]), 412) == {"1": "exists"}
    assert len(rows(lock.database, "docs")) == 3
    assert counts(push(running, "docs", [gone["2"]])) == (0, 0, 0, 1)
    assert counts(push(running, "docs", [gone["2"], {"_id": "9", "_deleted": True}])) == (0, 0, 2, 0)
    assert counts(push(running, "docs", [{**pulled(running)["1"], "_deleted": True}])) == (0, 0, 0, 1)
    assert [row[0] for row in rows(lock.database, "docs")] == [3]


def test_row_that_is_equal_is_unchanged_whatever_the_version(lock, running):
    stale = pulled(running)
    lock.change("name = 'mine'")
    before = rows(lock.database, "docs")
    mine = {**stale["1"], "name": "mine"}
    assert counts(push(running, "docs", [mine])) == (0, 0, 1, 0)
    assert counts(push(running, "docs", [without(mine, lock.property)])) == (0, 0, 1, 0)
    assert rows(lock.database, "docs") == before


def test_request_with_versions_can_be_repeated(lock, running):
    entities = pulled(running)
    batch = [{**entities["1"], "name": "mine"}, {**entities["2"], "_deleted": True}, {"_id": "5", "name": "new"}]
    assert counts(push(running, "docs", batch)) == (1, 1, 0, 1)
    before = rows(lock.database, "docs")
    assert counts(push(running, "docs", batch)) == (0, 0, 3, 0)
    assert rows(lock.database, "docs") == before


def test_reject_applies_nothing_of_the_request(lock, running):
    stale = pulled(running)
    lock.change()
    before = rows(lock.database, "docs")
    batch = [{**entity, "name": "mine"} for entity in stale.values()] + [
        {"_id": "0", "name": "new"}, {"_id": "9", "name": "new"}]
    assert told(push(running, "docs", batch), 412) == {"1": "version"}
    assert rows(lock.database, "docs") == before


def test_skip_applies_the_others(lock, running):
    stale = pulled(running)
    lock.change()
    batch = [{**stale["1"], "name": "mine"}, {**stale["2"], "name": "mine"}, {**stale["3"], "_deleted": True},
             {"_id": "8", lock.property: stale["1"][lock.property], "name": "new"}, {"_id": "9", "name": "new"}]
    answer = push(running, "skipping", batch)
    assert told(answer, 200) == {"1": "version", "8": "missing"}
    assert counts(answer) == (1, 1, 0, 1)
    assert rows(lock.database, "docs", "id, name") == [(1, "changed beside"), (2, "mine"), (9, "new")]


def test_overwrite_lets_the_last_writer_win(lock, running):
    stale = pulled(running)
    lock.change()
    version = pulled(running)["1"][lock.property]
    batch = [{**stale["1"], "name": "mine"}, {"_id": "2", "name": "mine"}, {**stale["3"], "_deleted": True},
             {"_id": "8", lock.property: stale["1"][lock.property], "name": "mine"}]
    assert counts(push(running, "winning", batch)) == (1, 2, 0, 1)
    assert rows(lock.database, "docs", "id, name") == [(1, "mine"), (2, "mine"), (8, "mine")]
    assert pulled(running)["1"][lock.property] != version


def test_last_entity_of_a_key_is_compared_with_the_row_as_it_was(lock, running):
    entity = pulled(running)["1"]
    batch = [{**entity, "name": "first"}, {**entity, "name": "second"}]
    assert counts(push(running, "docs", batch))[1] == 1
    assert rows(lock.database, "docs", "id, name")[0] == (1, "second")


# ---- what conflicts look like


def test_at_most_a_hundred_conflicts_are_listed_and_all_are_counted(integer, service):
    integer.fill(range(150))
    running = service(integer.config())
    batch = [{"_id": str(number), "name": "mine", "version": 7} for number in range(150)]
    problem = push(running, "docs", batch).problem(412)
    assert len(problem["conflicts"]) == 100 and problem["conflict_count"] == 150
    assert problem["conflicts"][0] == {"_id": "0", "reason": "version", "expected": 7, "actual": 1}
    answer = accepted(push(running, "skipping", batch))
    assert len(answer["conflicts"]) == 100 and answer["conflict_count"] == 150


def test_row_that_never_got_a_version_is_a_conflict_for_an_entity_that_has_one(db, service):
    lock = NullableIntegerLock(db)
    lock.create()
    lock.fill()
    running = service(lock.config())
    db.sql("update docs set version = null where id = 1")
    assert told(push(running, "docs", [{"_id": "1", "version": 1, "name": "mine"}]), 412) == {"1": "version"}
    assert rows(db, "docs", "id, name")[0] == (1, "old")


def test_version_may_come_under_another_property(integer, service):
    running = service(sinks_of(integer.database, docs={
        "table": "docs", "optimistic_lock": {"column": "version", "property": "crm:v"}}))
    assert told(push(running, "docs", [{"_id": "1", "crm:v": 9, "name": "mine"}]), 412) == {"1": "version"}
    assert counts(push(running, "docs", [{"_id": "1", "crm:v": 1, "name": "mine"}])) == (0, 1, 0, 0)
    assert rows(integer.database, "docs", "version")[2] == (2,)


def test_integer_version_rises_by_one(integer, service):
    running = service(integer.config())
    integer.database.sql("update docs set version = 41 where id = 1")
    assert counts(push(running, "docs", [{"_id": "1", "version": 41, "name": "mine"}])) == (0, 1, 0, 0)
    assert integer.database.sql("select version from docs where id = 1") == [(42,)]


def test_version_at_the_end_of_its_integers_does_not_stand_still(db, service):
    last = 2 ** 63 - 1
    create(db, "docs", "id integer not null primary key, name {text}, version bigint", [(1, "theirs", last - 1)])
    running = service(sinks_of(db, docs={"table": "docs", "optimistic_lock": {"column": "version"}}))
    assert counts(push(running, "docs", [{"_id": "1", "version": last - 1, "name": "mine"}])) == (0, 1, 0, 0)
    refused(push(running, "docs", [{"_id": "1", "version": last, "name": "more"}]), "1")
    assert rows(db, "docs") == [(1, "mine", last)]


def test_version_that_is_no_version_is_refused_and_not_taken_for_none(integer, service):
    running = service(integer.config())
    for version in ("abc", [1], 1.5, 10 ** 30):
        assert push(running, "docs", [{"_id": "7", "version": version, "name": "mine"}]).status in (412, 422)
    assert [row[0] for row in rows(integer.database, "docs")] == [1, 2, 3]


@pytest.fixture(params=["postgresql", "mysql"])
def server(request):
    return with_dialect(request.getfixturevalue(FIXTURES[request.param]))


def test_timestamp_version_rises_though_the_clock_stands_before_it(server, service):
    lock = TimestampLock(server)
    lock.create()
    lock.fill()
    server.sql(f"update docs set version = '{FAR}' where id = 1")
    running = service(lock.config())
    seen = []
    for number in range(3):
        entity = pulled(running)["1"]
        seen.append(entity["version"])
        assert counts(push(running, "docs", [{**entity, "name": f"new {number}"}])) == (0, 1, 0, 0)
    assert seen == ["~t2999-01-01T00:00:00.000000Z", "~t2999-01-01T00:00:00.000001Z", "~t2999-01-01T00:00:00.000002Z"]


def test_timestamp_version_is_the_time_of_writing(server, service):
    lock = TimestampLock(server)
    lock.create()
    lock.fill()
    server.sql("update docs set version = '2001-01-01 00:00:00'")
    running = service(lock.config())
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
    entity = pulled(running)["1"]
    assert counts(push(running, "docs", [{**entity, "name": "new"}])) == (0, 1, 0, 0)
    version = datetime.datetime.fromisoformat(pulled(running)["1"]["version"].removeprefix("~t").replace("Z", "+00:00"))
    assert before <= version <= datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)


@pytest.mark.parametrize("digits, fine", [(0, False), (2, False), (3, True), (6, True)])
def test_timestamp_coarser_than_a_millisecond_is_refused_unless_it_will_do(server, service, digits, fine):
    kind = {"postgresql": f"timestamptz({digits})", "mysql": f"datetime({digits})"}[server.type]
    create(server, "docs", f"id integer not null primary key, name {{text}}, version {kind} not null",
           [(1, "old", "2024-01-02 03:04:05")])
    sink = {"table": "docs", "optimistic_lock": {"column": "version"}}
    running = service(sinks_of(server, docs=sink, coarse={
        "table": "docs", "optimistic_lock": {"column": "version", "coarse": True}}))
    entity = {"_id": "1", "version": "~t2024-01-02T03:04:05Z", "name": "new"}
    if fine:
        assert counts(push(running, "docs", [entity])) == (0, 1, 0, 0)
        return
    problem = push(running, "docs", [entity]).problem(500)
    assert "coarse" in problem["detail"] + problem.get("hint", "")
    assert rows(server, "docs", "name") == [("old",)]
    assert counts(push(running, "coarse", [entity])) == (0, 1, 0, 0)
    assert told(push(running, "coarse", [{**entity, "name": "newer"}]), 412) == {"1": "version"}


def test_lock_column_of_another_type_is_refused(db, service):
    create(db, "docs", "id integer not null primary key, name {text}, flag {boolean}, data {bytes}")
    running = service(sinks_of(db, docs={"table": "docs", "optimistic_lock": {"column": "nowhere"}},
                               data={"table": "docs", "optimistic_lock": {"column": "data"}}))
    assert "nowhere" in push(running, "docs", [{"_id": "1", "name": "x"}]).problem(500)["detail"]
    if db.type != "sqlite":
        assert "data" in push(running, "data", [{"_id": "1", "name": "x"}]).problem(500)["detail"]


def test_lock_column_is_not_compared_and_not_written_from_the_entity(integer, service):
    running = service(integer.config())
    assert counts(push(running, "winning", [{"_id": "1", "version": 99, "name": "mine"}])) == (0, 1, 0, 0)
    assert integer.database.sql("select version from docs where id = 1") == [(2,)]
    assert counts(push(running, "docs", [{"_id": "5", "name": "new"}])) == (1, 0, 0, 0)
    assert integer.database.sql("select version from docs where id = 5") == [(1,)]


# ---- hashes


def test_hash_covers_every_column_of_its_source(db, service):
    lock = HashLock(db)
    lock.create()
    lock.fill()
    running = service(lock.config())
    stale = pulled(running)
    lock.change("n = 1")
    assert told(push(running, "docs", [{**stale["1"], "name": "mine"}]), 412) == {"1": "version"}


def test_hash_leaves_out_what_its_source_leaves_out(db, service):
    lock = HashLock(db)
    lock.create()
    lock.fill()
    config = lock.config()
    config["sources"]["docs"]["blacklist"] = ["n"]
    running = service(config)
    stale = pulled(running)
    lock.change("n = 1")
    assert counts(push(running, "docs", [{**stale["1"], "name": "mine"}])) == (0, 1, 0, 0)


def test_hash_of_another_definition_is_a_visible_conflict(db, service):
    lock = HashLock(db)
    lock.create()
    lock.fill()
    config = lock.config()
    config["sources"]["narrow"] = {"system": "db", "table": "docs", "hash_property": "$hash",
                                   "whitelist": ["id", "name"]}
    running = service(config)
    mine = {**pulled(running, "narrow")["1"], "name": "mine"}
    problem = push(running, "docs", [mine]).problem(412)
    conflict = problem["conflicts"][0]
    assert conflict["reason"] == "version" and conflict["expected"] == mine["$hash"]
    assert conflict["actual"] == pulled(running)["1"]["$hash"]
    # Both begin with what tells the columns apart.
    assert conflict["expected"][:8] != conflict["actual"][:8]


def test_hash_is_the_same_in_every_read_and_after_a_restart(lock_of_hash, service):
    lock, running = lock_of_hash
    first = pulled(running)
    assert pulled(running) == first
    running.stop()
    assert pulled(running.start()) == first
    assert len({entity["$hash"] for entity in first.values()}) == len(first)
    since = running.pull("docs", limit=1)
    assert since[0]["$hash"] == first[since[0]["_id"]]["$hash"]


@pytest.fixture
def lock_of_hash(db, service):
    lock = HashLock(db)
    lock.create()
    lock.fill()
    return lock, service(lock.config())


# ---- deletions with marks


def test_marks_of_deletions_are_checked_and_move_the_version(integer, service):
    db = integer.database
    db.sql("alter table docs add column gone integer default 0")
    running = service(integer.config(deletes={"column": "gone", "value": 1, "live": 0}))
    assert told(push(running, "docs", [{"_id": "1", "version": 7, "_deleted": True}]), 412) == {"1": "version"}
    assert told(push(running, "docs", [{"_id": "1", "_deleted": True}]), 412) == {"1": "exists"}
    assert counts(push(running, "docs", [{"_id": "1", "version": 1, "_deleted": True}])) == (0, 0, 0, 1)
    assert db.sql("select version, gone from docs where id = 1") == [(2, 1)]
    assert counts(push(running, "docs", [{"_id": "1", "version": 1, "_deleted": True}])) == (0, 0, 1, 0)
    assert told(push(running, "docs", [{"_id": "1", "version": 1, "name": "old"}]), 412) == {"1": "version"}
    assert counts(push(running, "docs", [{"_id": "1", "version": 2, "name": "old"}])) == (0, 1, 0, 0)
    assert db.sql("select version, gone from docs where id = 1") == [(3, 0)]


# ---- conflicts in a full sync


def test_full_sync_skips_conflicts_and_goes_on(lock, running):
    stale = pulled(running)
    lock.change()
    sync = Sync(running, "syncing")
    answer = sync.first([{**stale["1"], "name": "mine"}, {**stale["2"], "name": "mine"}])
    assert told(answer, 200) == {"1": "version"} and counts(answer) == (0, 1, 0, 0)
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert rows(lock.database, "docs", "id, name") == [(1, "changed beside"), (2, "mine")]


def test_deletion_that_is_a_conflict_counts_as_seen(integer, service):
    running = service(integer.config(full_sync_deletes=True))
    sync = Sync(running, "docs")
    answer = sync.first([{"_id": "1", "_deleted": True}, {"_id": "2", "version": 9, "_deleted": True},
                         {"_id": "3", "version": 1, "_deleted": True}])
    assert told(answer, 200) == {"1": "exists", "2": "version"} and counts(answer) == (0, 0, 0, 1)
    assert counts(sync.last([], delete_guard="off")) == (0, 0, 0, 0)
    assert [row[0] for row in rows(integer.database, "docs")] == [1, 2]


def test_table_with_a_lock_keeps_the_rest_unless_told(integer, service):
    running = service(integer.config())
    sync = Sync(running, "docs")
    sync.first([{"_id": "1", "version": 1, "name": "old"}])
    answer = accepted(sync.last([]))
    assert answer["deleted"] == 0 and answer["kept"] == 2
    assert len(rows(integer.database, "docs")) == 3


# ---- many writers


def racers(lock, running, clients, beside, each):
    """Many clients read, add one and write; other programs add one in the database. The sum of all is what the
    rows count in the end, or an update was lost."""
    ids = (1, 2, 3)
    stop = threading.Event()

    def client(number):
        dice, done, attempts = random.Random(number), 0, itertools.count()
        while done < each and not stop.is_set():
            _id = str(dice.choice(ids))
            entity = pulled(running)[_id]
            mine = {**entity, "n": entity["n"] + 1, "who": f"{number}-{next(attempts)}"}
            answer = push(running, "docs", [mine])
            assert answer.status in (200, 412), (answer.status, answer.body)
            if answer.status == 200:
                assert counts(answer) == (0, 1, 0, 0)
                done += 1
        return done

    def program(number):
        dice = random.Random(100 + number)
        for _ in range(each):
            lock.change("n = n + 1, who = 'beside'", f"id = {dice.choice(ids)}")
        return each

    try:
        with concurrent.futures.ThreadPoolExecutor(clients + beside) as pool:
            tasks = [pool.submit(client, number) for number in range(clients)]
            tasks += [pool.submit(program, number) for number in range(beside)]
            return sum(task.result() for task in tasks)
    finally:
        stop.set()


def test_writers_racing_on_the_same_rows_never_lose_an_update(lock, running):
    done = racers(lock, running, clients=4, beside=2, each=8)
    assert done == 6 * 8
    assert lock.database.sql("select sum(n) from docs") == [(done,)]
