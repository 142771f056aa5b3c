"""Two replicas of the service behind HAProxy, on a PostgreSQL with a synchronous standby. One replica is killed while
clients are at work, then the primary, and the standby takes its place: what was answered is there, nothing was applied
by halves or twice, and who reads loses nothing."""

import contextlib
import http.client
import os
import shutil
import subprocess
import threading
import time

import pytest

import servers
from clients import apply
from conftest import HERE, Service, eventually
from pushing import Sync, accepted, push

CONFIGURATION = os.path.join(HERE, "..", "..", "deploy", "haproxy", "haproxy.cfg")
AWAY = (502, 503, 504)
TABLES = """
create table items (id integer primary key, round integer not null);
create table stock (place text not null, id integer not null, batch integer not null, version integer not null default 1,
    tx xid8 not null default pg_current_xact_id(), primary key (place, id));
create function touch() returns trigger language plpgsql as $$ begin new.tx := pg_current_xact_id(); return new; end $$;
create trigger touch before update on stock for each row execute function touch();
create table slow (id serial primary key, changed timestamptz not null default now(),
    tx xid8 not null default pg_current_xact_id());
create index on slow (changed, id);
create index on slow (tx, id);
create index on stock (tx, place, id)
"""


def config_of(system):
    return {"systems": {"db": system},
            "sources": {"items": {"system": "db", "table": "items", "tracking": "changelog"},
                        "stock": {"system": "db", "table": "stock", "updated_column": "tx"},
                        "slow_times": {"system": "db", "table": "slow", "updated_column": "changed"},
                        "slow_ids": {"system": "db", "table": "slow", "updated_column": "tx"}},
            "sinks": {"items": {"system": "db", "table": "items"},
                      "stock": {"system": "db", "table": "stock", "optimistic_lock": {"column": "version"}}}}


# ---- what stands around the service ----------------------------------------------------------------------


class HAProxy:
    """The one address of all replicas. Speaks HTTP as a Service does."""

    connect = Service.connect
    get = Service.get
    pull = Service.pull

    def __init__(self, replicas):
        self.address = "127.0.0.1"
        self.port = servers.free_port()
        places = {f"REPLICA_{i + 1}": f"{one.address}:{one.port}" for i, one in enumerate(replicas)}
        self.process = subprocess.Popen(
            [shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"), "-db", "-f", CONFIGURATION],
            env={**os.environ, **places, "LISTEN": f"{self.address}:{self.port}"}, preexec_fn=servers.die_with_parent,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/ready").status == 200
        return False

    def __enter__(self):
        eventually(self.answers)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def pair():
    """A primary and its synchronous standby."""
    with servers.PostgreSQL(options=["-c", "synchronous_commit=on"]) as primary:
        with servers.Standby(primary) as standby:
            yield primary, standby


@pytest.fixture
def replicas(pair, service, run):
    """Two replicas whose configuration names both servers."""
    primary, standby = pair
    config = config_of(primary.system(host=f"{primary.address},{standby.address}", pool_timeout=5))
    apply(primary, TABLES)
    done = run("ddl", "postgresql", "--table", "items", config=config)
    assert done.returncode == 0, done.stderr
    apply(primary, done.stdout)
    return [service(config), service(config)]


# ---- the clients -------------------------------------------------------------------------------------------


class Client(threading.Thread):
    """Does one thing again and again, until it is told to stop; it then ends what it has begun."""

    def __init__(self, front):
        super().__init__(daemon=True)
        self.front = front
        self.enough = threading.Event()
        self.failure = None
        self.done = 0   # what was answered with success
        self.again = 0  # what had to be sent again

    def run(self):
        try:
            while not self.enough.is_set():
                self.work()
                self.done += 1
                time.sleep(0.01)
        except BaseException as failure:
            self.failure = failure

    def answered(self, send):
        """Sends until somebody answers: what a client does whose request broke, or came at a bad moment."""
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = send()
                if answer.status not in AWAY:
                    return answer
            self.again += 1
            time.sleep(0.1)

    def work(self):
        raise NotImplementedError


class FullSyncs(Client):
    """Round by round another choice of the items, in a sync of ten requests."""

    requests = 10

    def __init__(self, front):
        super().__init__(front)
        self.round = 0
        self.sync = None
        self.broken = 0

    def items(self):
        return [i for i in range(300) if (i * 7 + self.round) % 4]

    def work(self):
        self.round += 1
        while not self.whole():
            self.broken += 1

    def whole(self):
        """False when the chain was broken and must begin anew."""
        items = self.items()
        size = len(items) // self.requests + 1
        self.sync = Sync(self.front, "items")
        for first in range(0, len(items), size):
            part = [{"_id": str(i), "round": self.round} for i in items[first:first + size]]
            answer = self.answered(lambda part=part, first=first: self.sync.send(
                part, first=first == 0, last=first + size >= len(items)))
            if answer.status == 409:
                return False
            accepted(answer)
        return True

    def amid(self):
        """Is it in the middle of a sync?"""
        return self.sync is not None and 3 <= self.sync.requests < self.requests - 3


class Increments(Client):
    """Twenty rows of a place, all with the number of their request, and with the version that the one before left."""

    def __init__(self, front, place):
        super().__init__(front)
        self.place = place

    def work(self):
        version = {"version": self.done} if self.done else {}
        entities = [{"_id": f"{self.place}:{i}", "batch": self.done + 1, **version} for i in range(20)]
        accepted(self.answered(lambda: push(self.front, "stock", entities)))


class Follower(Client):
    """A pipe: keeps the newest of each entity, and goes on from the last token."""

    def __init__(self, front, source):
        super().__init__(front)
        self.source = source
        self.since = None
        self.state = {}

    def work(self):
        answer = self.answered(lambda: self.front.get(f"/sources/{self.source}", {"since": self.since}))
        for entity in answer.entities():
            self.since = entity["_updated"]
            self.state[entity["_id"]] = entity
        time.sleep(0.05)

    def alive(self):
        return {_id: entity for _id, entity in self.state.items() if not entity.get("_deleted")}


class LateWriter(Client):
    """Writes rows of its own, whose transaction stays open for a while."""

    def __init__(self, databases, pause):
        super().__init__(None)
        self.databases = databases
        self.pause = pause
        self.written = []

    def work(self):
        for database in self.databases:
            with contextlib.suppress(servers.psycopg2.Error):
                connection = database.connect(autocommit=False)
                with contextlib.closing(connection), connection.cursor() as cursor:
                    cursor.execute("insert into slow default values returning id")
                    row = cursor.fetchone()[0]
                    time.sleep(self.pause)
                    connection.commit()
                    self.written.append(row)
                    return
        time.sleep(0.1)


# ---- what happens, and what must hold ----------------------------------------------------------------------


def all_go_on(clients, steps=5):
    """Waits until each has done some more."""
    before = [client.done for client in clients]
    eventually(lambda: any(client.failure for client in clients) or
               all(client.done >= done + steps for client, done in zip(clients, before)), 120)
    failures = [client.failure for client in clients if client.failure]
    if failures:
        raise failures[0]


def restart(replica):
    """kill -9, and another in its place."""
    replica.process.kill()
    replica.process.wait()
    eventually(lambda: replica._start() or replica._wait())


def between(replicas, standby):
    """The primary is gone, and the standby does not know it yet: a read-only server will not do."""
    for replica in replicas:
        answer = push(replica, "stock", [{"_id": "nowhere:1", "batch": 1}])
        assert "hot standby" in answer.problem(503)["detail"] and answer.headers["Retry-After"]
        replica.get("/sources/slow_times").problem(503)
        assert replica.get("/ready").status == 503
    assert standby.sql("select pg_is_in_recovery()") == [(True,)]


def finish(clients):
    for client in clients:
        client.enough.set()
    for client in clients:
        client.join(120)
        assert not client.is_alive()
        if client.failure:
            raise client.failure


def check(database, syncs, increments, late, followers):
    assert database.sql("select id, round from items order by id") == [(i, syncs.round) for i in syncs.items()]
    for one in increments:
        rows = database.sql("select id, batch, version from stock where place = %s order by id", (one.place,))
        assert rows == [(i, one.done, one.done) for i in range(20)], one.place
    slow = {row[0] for row in database.sql("select id from slow")}
    assert all(set(writer.written) <= slow for writer in late)
    tables = {"items": {str(i): {"round": syncs.round} for i in syncs.items()},
              "stock": {f"{one.place}:{i}": {"batch": one.done} for one in increments for i in range(20)},
              "slow_times": {str(i): {"id": i} for i in slow}, "slow_ids": {str(i): {"id": i} for i in slow}}
    for follower in followers:
        wanted, alive = tables[follower.source], follower.alive()
        assert alive.keys() == wanted.keys(), follower.source
        assert all(alive[_id].items() >= entity.items() for _id, entity in wanted.items()), follower.source


@pytest.mark.skipif(not shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"),
                    reason="haproxy is not installed (scripts/test --all installs it)")
def test_nothing_is_lost_when_a_replica_and_then_the_primary_die(pair, replicas):
    primary, standby = pair
    with HAProxy(replicas) as front:
        syncs = FullSyncs(front)
        increments = [Increments(front, place) for place in ("oslo", "bergen")]
        late = [LateWriter(pair, pause) for pause in (0.02, 0.3, 1.5)]
        followers = [Follower(front, source) for source in ("items", "stock", "slow_times", "slow_ids")]
        clients = [syncs, *increments, *late]
        for client in clients + followers:
            client.start()
        try:
            all_go_on(clients + followers, 2)
            eventually(syncs.amid)
            restart(replicas[0])
            all_go_on(clients + followers, 2)
            eventually(syncs.amid)
            primary.kill()
            killed = time.monotonic()
            between(replicas, standby)
            standby.promote()
            promoted = time.monotonic()
            all_go_on([*increments, *followers], 1)
            print(f"promoted {promoted - killed:.2f} s after the kill, all work {time.monotonic() - promoted:.2f} s later")
            all_go_on(clients + followers, 2)
            finish(clients)
            all_go_on(followers, 3)
            time.sleep(1.2)  # the margin, after which the last rows are final
            all_go_on(followers, 2)
        finally:
            for client in clients + followers:
                client.enough.set()
        finish(followers)
        print(f"{syncs.done} syncs, {syncs.broken} begun anew, {[one.done for one in increments]} increments, "
              f"{sum(len(writer.written) for writer in late)} late rows, "
              f"{sum(client.again for client in clients + followers)} requests sent again")
        assert syncs.broken == 0
        check(standby, syncs, increments, late, followers)


def silent(address, port):
    """A server that takes connections and says nothing, as one whose machine hangs."""
    listener = servers.socket.socket()
    listener.bind((address, port))
    listener.listen(16)
    return listener


def test_host_that_is_silent_or_gone_does_not_keep_from_the_next(postgresql_server, service):
    port = postgresql_server.system()["port"]
    with silent("127.0.0.3", port):
        system = postgresql_server.system(host="127.0.0.3,127.0.0.4,127.0.0.1", pool_timeout=2)
        running = service({"systems": {"db": system}})
        assert running.get("/ready").status == 200
        eventually(lambda: "system db is PostgreSQL" in running.log())
    assert "cannot connect" not in running.log()


def test_all_hosts_are_told_when_none_will_do(postgresql_server, service):
    port = postgresql_server.system()["port"]
    with silent("127.0.0.3", port):
        system = postgresql_server.system(host="127.0.0.3,127.0.0.4,127.0.0.1", pool_timeout=2,
                                          target_session_attrs="standby")
        running = service({"systems": {"db": system}})
        eventually(lambda: "cannot connect" in running.log())
    line = next(line for line in running.log().splitlines() if "cannot connect" in line)
    for why in ("127.0.0.3: no answer within", '"127.0.0.4"', "not in hot standby mode"):
        assert why in line, line
