"""What becomes of a push when the service, the database, the client or another program comes in between. The one rule
above all: a request is applied whole or not at all, and what was answered with 200 is there."""

import concurrent.futures
import contextlib
import http.client
import itertools
import os
import random
import subprocess
import threading
import time

import pytest

import servers
from conftest import create, eventually
from pushing import Sync, body_of, counts, power_off, push, rows, seconds, seed, sinks_of, with_dialect

GROUPS, SIZE = 4, 250


@pytest.fixture(params=["postgresql", "mysql"])
def server(request):
    """A database of each kind that is a server."""
    return with_dialect(request.getfixturevalue({"postgresql": "postgresql", "mysql": "mariadb"}[request.param]))


def retry_later(answer):
    answer.problem(503)
    assert int(answer.headers["Retry-After"]) > 0


# ---- kill -9 at random moments


class Rounds:
    """Groups of rows, each written as one request with one value. Whoever breaks what in between: a group always has
    one value, and never an older one than what was answered."""

    def __init__(self, database, service):
        create(database, "rounds", "id integer not null primary key, grp integer, v integer")
        self.database = database
        self.running = service(sinks_of(database, rounds={"table": "rounds"}))
        self.numbers = itertools.count(1)
        self.dice = random.Random(seed())
        self.acknowledged = dict.fromkeys(range(GROUPS), 0)
        self.sent = dict.fromkeys(range(GROUPS), 0)
        for group in range(GROUPS):
            assert self.write_group(group)

    @staticmethod
    def entities(group, v):
        return [{"_id": str(group * SIZE + n), "grp": group, "v": v} for n in range(SIZE)]

    def write(self):
        return self.write_group(self.dice.randrange(GROUPS))

    def write_group(self, group):
        """True when it was answered that it is written."""
        v = self.sent[group] = next(self.numbers)
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = push(self.running, "rounds", self.entities(group, v))
            if answer.status == 200:
                self.acknowledged = {**self.acknowledged, group: v}
                return True
            assert answer.status == 503, (answer.status, answer.body)
        return False

    def check(self):
        found = self.database.sql("select grp, min(v), max(v), count(*) from rounds group by grp order by grp")
        for group, least, most, number in found:
            assert least == most, f"group {group} was written by halves: {least} to {most}"
            assert self.acknowledged[group] <= most <= self.sent[group], (group, most)
            assert number == SIZE
        assert len(found) == GROUPS


class Syncs:
    """Full syncs one after the other, each with other keys. Sesam's client repeats what was not answered, and begins
    again when the chain is broken. After a last request the table has what came, before it never less."""

    def __init__(self, database, service):
        create(database, "syncs", "id integer not null primary key, v integer")
        self.database = database
        self.running = service(sinks_of(database, syncs={"table": "syncs", "delete_guard": False}))
        self.numbers = itertools.count(1)
        self.parts = self.sequence = None
        self.old = self.new = set()
        self.place = 0
        self.begin()

    def begin(self):
        number = next(self.numbers)
        shift = number % 5 * 100
        self.parts = [range(start + shift, start + shift + SIZE) for start in (0, 1000, 2000)]
        self.sequence = f"sync {number}"
        self.new = {n for part in self.parts for n in part}
        self.place = 0

    def write(self):
        """Sends the next request, or the same again."""
        place, last = self.place, self.place == len(self.parts) - 1
        parameters = {"is_full": True, "sequence_id": self.sequence, "request_id": str(place),
                      "previous_request_id": str(place - 1) if place else None, "is_first": place == 0, "is_last": last}
        entities = [{"_id": str(n), "v": 1} for n in self.parts[place]]
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = push(self.running, "syncs", entities, **parameters)
            assert answer.status in (200, 503), (answer.status, answer.body)
            if answer.status == 200:
                self.place += 1
            if answer.status == 200 and last:
                self.old = self.new
                self.begin()

    def check(self):
        """Rows come by requests, and go only with the last."""
        found = {row[0] for row in self.database.sql("select id from syncs")}
        assert found <= self.old | self.new, "rows are left over that came in no sync since the last one"
        for place, part in enumerate(self.parts):
            only_new = set(part) - self.old
            assert not only_new & found or only_new <= found, f"request {place} was applied by halves"
            assert place >= self.place or set(part) <= found, f"request {place} was answered, but is not there"
        complete = found == self.new
        assert complete or self.old <= found, "rows are gone before the sync was over"


class Both:
    """One after the other."""

    def __init__(self, database, service):
        self.works = [Rounds(database, service), Syncs(database, service)]
        self.turns = itertools.cycle(self.works)

    def write(self):
        next(self.turns).write()

    def check(self):
        for work in self.works:
            work.check()


def with_kills(work, end, number_of_kills, most_wait):
    """Writes without end on one thread, while another ends something now and then at a random moment. Between two
    requests it looks whether all is well."""
    dice = random.Random(seed())
    stop, errors, between = threading.Event(), [], threading.Lock()

    def writer():
        while not stop.wait(0.0005):
            try:
                with between:
                    work.write()
            except Exception as error:  # told in the end by the one that kills
                errors.append(error)
                return

    until = time.monotonic() + seconds(0)
    thread = threading.Thread(target=writer, daemon=True)
    thread.start()
    try:
        number = 0
        while (number < number_of_kills or time.monotonic() < until) and not errors:
            time.sleep(dice.random() * most_wait)
            end()
            with between:
                work.check()
            number += 1
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]
    work.check()


@pytest.mark.parametrize("kind", [Rounds, Syncs])
def test_kill_of_the_service_at_any_moment_leaves_whole_requests(db, service, kind):
    work = kind(db, service)

    def end():
        power_off(work.running, db)
        work.running.start()

    with_kills(work, end, 8, 0.1)


# What is committed survives the end of the server, though not that of the machine: that is a kill, and quicker.
SAFE = [(servers.PostgreSQL, ["-c", "synchronous_commit=on", "-c", "full_page_writes=on"]),
        (servers.MariaDB, ["--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=1"])]


@pytest.mark.parametrize("make, options", SAFE, ids=["postgresql", "mysql"])
def test_kill_of_the_database_at_any_moment_leaves_whole_requests(service, make, options):
    with make(options=options) as database:
        work = Both(with_dialect(database), service)

        def end():
            database.kill()
            time.sleep(0.05)  # long enough for a request to meet no server
            database.start()
            before = work.works[0].acknowledged
            eventually(lambda: work.works[0].acknowledged != before)  # the service found it again

        with_kills(work, end, 2, 0.3)


# ---- the client breaks


@pytest.mark.parametrize("chunked", [False, True])
def test_body_that_breaks_off_applies_nothing(db, service, chunked):
    create(db, "things", "id integer not null primary key, v integer")
    running = service(sinks_of(db, things={"table": "things"}))
    body = body_of([{"_id": str(n), "v": n} for n in range(2000)])
    for cut in (0, 1, len(body) // 2, len(body) - 1, len(body)):
        head = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body) + 1}"
        with running.raw(f"POST /sinks/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                         f"{head}\r\n\r\n".encode()) as connection:
            part = body[:cut]
            connection.sendall(b"%x\r\n%s\r\n" % (len(part), part) if chunked and part else part)
    assert running.get("/health").status == 200
    assert rows(db, "things") == []
    assert counts(push(running, "things", body)) == (2000, 0, 0, 0)


def test_client_that_goes_away_after_its_body_leaves_all_or_nothing(db, service):
    create(db, "things", "id integer not null primary key, v integer")
    running = service(sinks_of(db, things={"table": "things"}))
    dice = random.Random(seed())
    for v in range(10):
        body = body_of([{"_id": str(n), "v": v} for n in range(1500)])
        with running.raw(b"POST /sinks/things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                         b"Content-Length: %d\r\n\r\n" % len(body) + body):
            time.sleep(dice.random() * 0.02)
        assert len(db.sql("select distinct v from things")) <= 1
    # One after the others waits for what they may still hold.
    assert sum(counts(push(running, "things", [{"_id": str(n), "v": 100} for n in range(1500)]))) == 1500
    eventually(lambda: len(db.sql("select distinct v from things")) == 1)
    assert db.sql("select count(*) from things") == [(1500,)]


# ---- other programs are in the way


def waiting(database):
    """Is somebody waiting for a lock? InnoDB has a new answer only once nobody asked for a tenth of a second."""
    if database.type == "postgresql":
        return database.sql("select 1 from pg_stat_activity where datname = current_database()"
                            " and wait_event_type = 'Lock'")
    time.sleep(0.15)
    return database.sql("select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT'")


def test_deadlock_with_a_program_that_goes_the_other_way_is_no_failure(server, service):
    create(server, "things", "id integer not null primary key, v integer", [(n, 0) for n in range(100)])
    running = service(sinks_of(server, things={"table": "things"}))
    batch = [{"_id": str(n), "v": 1} for n in range(100)]
    other = server.connect(autocommit=False)
    cursor = other.cursor()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            cursor.execute("update things set v = 2 where id = 99")
            answer = pool.submit(push, running, "things", batch)
            eventually(lambda: waiting(server))
            with contextlib.suppress(Exception):  # one of the two is the victim
                cursor.execute("update things set v = 2 where id = 0")
                other.commit()
        finally:
            other.close()
        assert sum(counts(answer.result())) == 100
    assert server.sql("select count(*) from things where v <> 1") == [(0,)]


def test_pushes_of_the_same_rows_in_any_order_do_not_fail(db, service):
    create(db, "things", "id integer not null primary key, v integer, w integer unique")
    running = service(sinks_of(db, things={"table": "things"}))

    def client(number):
        dice = random.Random(number)
        for round_ in range(8):
            ids = dice.sample(range(60), 40)
            batch = [{"_id": str(n), "_deleted": True} if dice.random() < 0.3 else {"_id": str(n), "v": round_, "w": n}
                     for n in ids]
            assert sum(counts(push(running, "things", batch))) == 40
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(client, range(4)))


@contextlib.contextmanager
def locked_row(database):
    """Another program has changed row 1 and does not say whether it will stay so."""
    other = database.connect(autocommit=False)
    try:
        if database.type == "sqlite":
            other.execute("begin immediate")
        other.cursor().execute("update things set v = 7 where id = 1")
        yield
        other.rollback()
    finally:
        other.close()


def test_row_that_stays_locked_is_503_and_nothing_is_applied(db, service):
    create(db, "things", "id integer not null primary key, v integer", [(1, 0), (2, 0)])
    running = service(sinks_of(db, listen={"request_timeout": 2}, system={"pool_timeout": 1},
                               things={"table": "things"}))
    batch = [{"_id": "0", "v": 1}, {"_id": "1", "v": 1}, {"_id": "2", "v": 1}]
    with locked_row(db):
        retry_later(push(running, "things", batch))
        assert running.get("/health").status == 200
    assert rows(db, "things") == [(1, 0), (2, 0)]
    assert counts(push(running, "things", batch)) == (1, 2, 0, 0)


def test_row_that_is_let_go_in_time_is_waited_for(db, service):
    create(db, "things", "id integer not null primary key, v integer", [(1, 0), (2, 0)])
    running = service(sinks_of(db, things={"table": "things"}))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with locked_row(db):
            answer = pool.submit(push, running, "things", [{"_id": "1", "v": 1}])
            if db.type == "sqlite":
                time.sleep(0.2)  # nobody can ask who waits
            else:
                eventually(lambda: waiting(db))
        assert counts(answer.result()) == (0, 1, 0, 0)


SLOW = {
    "postgresql": ["create function slow() returns trigger language plpgsql as"
                   " $$begin perform pg_sleep(20); return new; end$$",
                   "create trigger slow before insert on things for each row when (new.v = 5) execute function slow()"],
    "mysql": ["create trigger slow before insert on things for each row"
              " begin declare t int; if new.v = 5 then set t = sleep(20); end if; end"],
}


def test_request_that_takes_too_long_is_503_and_rolled_back(server, service):
    create(server, "things", "id integer not null primary key, v integer", [(1, 0)])
    for statement in SLOW[server.type]:
        server.sql(statement)
    running = service(sinks_of(server, listen={"request_timeout": 1}, things={"table": "things"}))
    retry_later(push(running, "things", [{"_id": "1", "v": 1}, {"_id": "2", "v": 5}, {"_id": "3", "v": 1}]))
    assert rows(server, "things") == [(1, 0)]
    assert counts(push(running, "things", [{"_id": "1", "v": 1}, {"_id": "3", "v": 1}])) == (1, 1, 0, 0)
    assert rows(server, "things") == [(1, 1), (3, 1)]


def test_pool_that_is_exhausted_is_503(server, service):
    create(server, "things", "id integer not null primary key, v integer", [(1, 0), (2, 0)])
    running = service(sinks_of(server, system={"pool_size": 1, "pool_timeout": 1}, things={"table": "things"}))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with locked_row(server):
            first = pool.submit(push, running, "things", [{"_id": "1", "v": 1}])
            eventually(lambda: waiting(server))
            retry_later(push(running, "things", [{"_id": "2", "v": 1}]))
        assert counts(first.result()) == (0, 1, 0, 0)


# ---- the database is away, or does not want


@pytest.mark.parametrize("make", [servers.PostgreSQL, servers.MariaDB], ids=["postgresql", "mysql"])
def test_database_that_is_away_or_only_reads_is_503(service, make):
    with make() as database:
        create(with_dialect(database), "things", "id integer not null primary key, v integer", [(1, 0)])
        system = {}
        if database.type == "mysql":
            database.sql("create user writer@'%' identified by 'w'")
            database.sql("grant select, insert, update, delete on sesam_test.* to writer@'%'")
            system = {"username": "writer", "password": "w"}
        running = service(sinks_of(database, system=system, things={"table": "things"}))
        assert counts(push(running, "things", [{"_id": "1", "v": 1}])) == (0, 1, 0, 0)
        database.stop()
        retry_later(push(running, "things", [{"_id": "1", "v": 2}]))
        standby = os.path.join(database.data, "standby.signal")
        if database.type == "postgresql":
            with open(standby, "wb"):
                pass
        database.start()
        if database.type == "mysql":
            database.sql("set global read_only = 1")
        eventually(lambda: running.get("/ready").status == 200)
        retry_later(push(running, "things", [{"_id": "1", "v": 2}]))
        assert rows(database, "things") == [(1, 1)]
        if database.type == "postgresql":
            database.stop()
            os.unlink(standby)
            database.start()
        else:
            database.sql("set global read_only = 0")
        answer = eventually(lambda: (lambda a: a if a.status == 200 else None)(
            push(running, "things", [{"_id": "1", "v": 2}])))
        assert counts(answer) == (0, 1, 0, 0)


def kill_sessions(database):
    """Ends all sessions but our own."""
    if database.type == "postgresql":
        database.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                     " and pid <> pg_backend_pid() and backend_type = 'client backend'")
        return
    for (session,) in database.sql("select id from information_schema.processlist where db = database()"
                                   " and id <> connection_id()"):
        with contextlib.suppress(Exception):  # it may be gone already
            database.sql(f"kill {session}")


def test_session_that_died_in_the_pool_is_not_noticed_outside(server, service):
    create(server, "things", "id integer not null primary key, v integer")
    running = service(sinks_of(server, things={"table": "things"}))
    for v in range(3):
        assert sum(counts(push(running, "things", [{"_id": "1", "v": v}]))) == 1
        kill_sessions(server)


def test_sessions_that_die_at_any_moment_lose_and_repeat_nothing(server, service):
    """The service tries again by itself, or says 503; then the client does."""
    create(server, "things", "id integer not null primary key, v integer", [(n, 0) for n in range(300)])
    running = service(sinks_of(server, things={"table": "things", "delete_guard": False}))
    stop = threading.Event()
    dice = random.Random(seed())

    def killer():
        while not stop.wait(dice.random() * 0.05):
            kill_sessions(server)

    thread = threading.Thread(target=killer, daemon=True)
    thread.start()
    try:
        sync = Sync(running, "things")
        for number in range(25):
            entities = [{"_id": str(n), "v": number} for n in range(300)]
            while (answer := sync.send(entities, first=number == 0, last=number == 24)).status != 200:
                retry_later(answer)
            assert sum(counts(answer)) == 300
    finally:
        stop.set()
        thread.join()
    assert server.sql("select count(*), min(v), max(v) from things") == [(300, 24, 24)]


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system with little room, which only root can make."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disk_is_503_and_leaves_no_trace(small_disk, service):
    database = with_dialect(servers.SQLiteFile(small_disk / "test.db"))
    create(database, "things", "id integer not null primary key, v text", [(1, "old")])
    running = service(sinks_of(database, things={"table": "things"}))
    big = [{"_id": str(n), "v": "x" * 1000} for n in range(1000)]
    retry_later(push(running, "things", big))
    assert rows(database, "things") == [(1, "old")]
    assert counts(push(running, "things", [{"_id": "1", "v": "new"}])) == (0, 1, 0, 0)
    assert database.sql("pragma integrity_check") == [("ok",)]


# ---- the service ends


def test_sigterm_lets_a_push_come_to_its_end(server, service):
    create(server, "things", "id integer not null primary key, v integer", [(1, 0)])
    running = service(sinks_of(server, things={"table": "things"}))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with locked_row(server):
            answer = pool.submit(push, running, "things", [{"_id": "1", "v": 1}])
            eventually(lambda: waiting(server))
            running.process.terminate()
        assert counts(answer.result()) == (0, 1, 0, 0)
    assert running.process.wait(60) == 0
