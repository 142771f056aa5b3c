"""What happens when the database, the reader or the network breaks while rows flow. The one rule above
all: an answer that is not whole can never be taken for whole."""

import contextlib
import json
import select
import signal
import socket
import time

import pytest

import servers
from conftest import DIALECTS, config_of, create, eventually, numbered, read_to_end

ROWS = 60000  # with 500 bytes each: more than all buffers on the way


class Big:
    """A database with a great table, and what can be seen and broken from the server's side."""

    def __init__(self, database):
        self.database = database
        database.dialect = DIALECTS[database.type]

    def sessions(self):
        """The service's sessions at the database's server."""
        raise NotImplementedError

    def working(self):
        """Those that do something, or hold a transaction open."""
        raise NotImplementedError

    def waiting(self):
        """Those that wait for a lock."""
        raise NotImplementedError

    def kill(self, session):
        raise NotImplementedError

    def kill_all(self):
        for session in self.sessions():
            self.kill(session)


class BigPostgreSQL(Big):
    failing_last = "select i as id, 1 / ({last} - i) as x from generate_series(1, {last}) i"
    lock = "lock table big in access exclusive mode"

    def _ids(self, condition):
        return [row[0] for row in self.database.sql(
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            f" and backend_type = 'client backend' and {condition}")]

    def sessions(self):
        return self._ids("true")

    def working(self):
        return self._ids("state <> 'idle'")

    def waiting(self):
        return self._ids("wait_event_type = 'Lock'")

    def kill(self, session):
        self.database.sql(f"select pg_terminate_backend({session})")


class BigMariaDB(Big):
    failing_last = ("select id, (select t.i from (select 1 as i union all select 2) t"
                    " where t.i <= if(a.id = {last}, 2, 1)) as x from big a where id <= {last}")
    lock = "lock tables big write"

    def _ids(self, condition):
        return [row[0] for row in self.database.sql(
            "select id from information_schema.processlist where db = database() and id <> connection_id()"
            f" and {condition}")]

    def sessions(self):
        return self._ids("true")

    def working(self):
        return self._ids("command not in ('Sleep', 'Killed')")

    def waiting(self):
        return self._ids("state like '%metadata lock%'")

    def kill(self, session):
        with contextlib.suppress(Exception):  # it may be gone already
            self.database.sql(f"kill {session}")


@pytest.fixture(params=["postgresql", "mysql"])
def big(request):
    if request.param == "postgresql":
        result = BigPostgreSQL(request.getfixturevalue("postgresql"))
    else:
        result = BigMariaDB(request.getfixturevalue("mariadb"))
    numbered(result.database, "big", ROWS, 500)
    return result


def config(big, **listen):
    result = config_of(big.database, big={"table": "big", "updated_column": "updated"}, whole={"table": "big"},
                       unordered={"table": "big", "updated_column": "updated", "is_chronological_full": False})
    result["listen"] = listen
    return result


def request_for(path, version="1.1"):
    return f"GET {path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


def unchunked(received):
    """The body as a client gets it, and whether the transfer itself told that it was whole."""
    head, body = received.split(b"\r\n\r\n", 1)
    if b"chunked" not in head.lower():
        return body, None
    out = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            return out, False
        if length == 0:
            return out, True
        out += body[:length]
        if len(body) < length + 2:
            return out, False
        body = body[length + 2:]


def is_whole(received):
    """Could a client take this for a whole array? Those of HTTP/1.0 see nothing but the body; for the
    others the transfer must not look complete either."""
    if not received or b" 200 " not in received.split(b"\r\n", 1)[0]:
        return False
    body, complete = unchunked(received)
    try:
        return isinstance(json.loads(body), list)
    except ValueError:
        assert complete is not True, "the transfer ended as if the answer were whole"
        return False


def start_reading(running, path, version="1.1", some=65536):
    """A connection on which the answer has begun; the reader takes little, so that it cannot end yet."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(120)
    connection.connect((running.address, running.port))
    connection.sendall(request_for(path, version))
    received = b""
    while len(received) < some:
        block = connection.recv(65536)
        assert block, received[:1000]
        received += block
    assert b" 200 " in received.split(b"\r\n", 1)[0]
    return connection, received


# ---- the database breaks


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("source", ["big", "whole", "unordered"])
def test_backend_killed_midway_never_makes_a_whole_array(big, service, version, source):
    running = service(config(big))
    connection, received = start_reading(running, f"/sources/{source}", version)
    big.kill_all()
    rest, _ = read_to_end(connection)
    connection.close()
    assert not is_whole(received + rest)
    assert eventually(lambda: running.get(f"/sources/{source}?limit=1" if source == "big" else "/health").status == 200)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_error_at_the_last_row_never_makes_a_whole_array(big, service, version):
    last = ROWS - 1
    source = {"query": big.failing_last.format(last=last), "primary_key": "id", "is_chronological_full": False}
    running = service(config_of(big.database, failing=source))
    with running.raw(request_for("/sources/failing", version)) as connection:
        received, _ = read_to_end(connection)
    assert not is_whole(received)


def test_backend_killed_before_the_first_row_is_an_honest_status(big, service):
    """The session waits for a lock when it is killed, as often as the service tries: nothing was sent yet."""
    running = service(config(big))
    assert running.get("/sources/big?limit=1").status == 200
    with contextlib.closing(big.database.connect(autocommit=False)) as lock:
        lock.cursor().execute(big.lock)
        with running.raw(request_for("/sources/big")) as connection:
            while not select.select([connection], [], [], 0.05)[0]:
                for session in big.waiting():
                    big.kill(session)
            received, _ = read_to_end(connection)
    assert b" 503 " in received.split(b"\r\n", 1)[0]
    assert b"Retry-After" in received


def test_server_that_restarts_is_found_again(service):
    for kind in (servers.PostgreSQL, servers.MariaDB):
        with kind() as server:
            server.dialect = DIALECTS[server.type]
            create(server, "people", "id integer not null primary key", [(1,), (2,)])
            running = service(config_of(server, people={"table": "people"}))
            assert len(running.pull("people")) == 2
            for end in (server.stop, server.kill):
                end()
                answer = running.get("/sources/people")
                answer.problem(503)
                assert int(answer.headers["Retry-After"]) > 0
                assert running.get("/health").status == 200
                eventually(lambda: running.get("/ready").status == 503)
                server.start()
                eventually(lambda: running.get("/sources/people").status == 200)
                eventually(lambda: running.get("/ready").status == 200)


def test_connection_that_died_in_the_pool_is_not_noticed_outside(big, service):
    running = service(config(big))
    for _ in range(3):
        assert len(running.pull("big", limit=3)) == 3
        big.kill_all()


# ---- the reader breaks


def test_reader_that_stops_is_cut_off_after_send_timeout(big, service):
    running = service(config(big, send_timeout=2))
    connection, received = start_reading(running, "/sources/big")
    assert big.working()
    eventually(lambda: not big.working())
    rest, _ = read_to_end(connection)
    connection.close()
    assert not is_whole(received + rest)
    assert len(running.pull("big", limit=1)) == 1


def test_reader_that_is_slow_but_reads_is_not_cut_off(big, service):
    running = service(config(big, send_timeout=2))
    connection, received = start_reading(running, "/sources/big?limit=20000", some=1000)
    parts = [received]
    for _ in range(8):
        time.sleep(0.5)
        parts.append(connection.recv(200000))
    rest, _ = read_to_end(connection)
    connection.close()
    assert is_whole(b"".join(parts) + rest)


def test_client_that_goes_away_frees_its_work_at_the_database(big, service):
    running = service(config(big))
    connection, _ = start_reading(running, "/sources/big")
    assert big.working()
    connection.close()
    eventually(lambda: not big.working())
    assert len(running.pull("big", limit=1)) == 1


def test_client_that_goes_away_while_the_database_works_frees_it(big, service):
    slow = ("select 1 as id from (select pg_sleep(300)) t" if big.database.type == "postgresql"
            else "select 1 as id, sleep(300) as x")
    running = service(config_of(big.database, slow={"query": slow, "primary_key": "id"}))
    connection = running.raw(request_for("/sources/slow"))
    eventually(big.working)
    connection.close()
    eventually(lambda: not big.working(), 30)


def test_second_signal_ends_what_is_at_work_and_the_log_says_so(big, service):
    running = service(config(big))
    connection, received = start_reading(running, "/sources/big")
    running.process.send_signal(signal.SIGTERM)
    eventually(lambda: "stopping" in running.log())
    assert big.working()
    running.process.send_signal(signal.SIGTERM)
    rest, _ = read_to_end(connection)
    connection.close()
    assert running.process.wait(60) == 0
    assert not is_whole(received + rest)
    assert "stopping at once" in running.log()
    assert "the service was stopped" in running.log() and "went away" not in running.log()


# ---- the pool


def test_exhausted_pool_is_503_with_retry_after(big, service):
    settings = config(big)
    settings["systems"]["db"].update(pool_size=2, pool_timeout=1)
    running = service(settings)
    taken = [start_reading(running, "/sources/big")[0] for _ in range(2)]
    answer = running.get("/sources/big?limit=1")
    answer.problem(503)
    assert int(answer.headers["Retry-After"]) > 0
    assert running.get("/health").status == 200
    for connection in taken:
        connection.close()
    assert eventually(lambda: running.get("/sources/big?limit=1").status == 200)
    assert len(big.sessions()) <= 2


def test_waiting_for_the_pool_ends_when_a_place_is_free(big, service):
    settings = config(big)
    settings["systems"]["db"].update(pool_size=1, pool_timeout=60)
    running = service(settings)
    first, _ = start_reading(running, "/sources/big")
    with running.raw(request_for("/sources/big?limit=1")) as second:
        first.close()
        received, _ = read_to_end(second)
    assert b" 200 " in received.split(b"\r\n", 1)[0]


def used(big, running):
    """The service's sessions, once it has used those it opened when it started."""
    eventually(lambda: "system db is" in running.log())
    for _ in range(3):
        running.pull("big", limit=1)
    return set(big.sessions())


def test_connections_are_used_again(big, service):
    running = service(config(big))
    before = used(big, running)
    for _ in range(20):
        running.pull("big", limit=1)
    assert set(big.sessions()) == before


def test_old_connections_are_recycled(big, service):
    settings = config(big)
    settings["systems"]["db"].update(pool_recycle=1)
    running = service(settings)
    before = used(big, running)
    time.sleep(1.5)
    running.pull("big", limit=1)
    eventually(lambda: not before <= set(big.sessions()))


# ---- the service ends


def test_sigterm_lets_what_is_in_flight_come_to_its_end(big, service):
    running = service(config(big))
    connection, received = start_reading(running, "/sources/big?limit=40000")
    running.process.terminate()
    rest, _ = read_to_end(connection)
    connection.close()
    assert is_whole(received + rest)
    assert running.process.wait(60) == 0
