"""What the tests of /metrics, /status and their like share: a service on SQLite, and requests that take their time."""

import contextlib
import signal
import socket

from conftest import DIALECTS, create, eventually
from pushing import sinks_of

# More than all buffers on the way hold, made as it is read.
ENDLESS = {"query": "with recursive n(id) as (select 1 union all select id + 1 from n where id < 10000000) "
                    "select id, hex(zeroblob(250)) as filling from n",
           "primary_key": "id", "is_chronological_full": False}


def people(database, count=3, **more):
    """A configuration with a source and a sink of a table of people that has versions, and an endless source."""
    database.dialect = DIALECTS["sqlite"]
    create(database, "people", "id integer not null primary key, name {text}, version integer not null, changed {datetime}",
           [(i, f"name {i}", 1, "2024-01-02 03:04:05") for i in range(1, count + 1)])
    return sinks_of(database, sources={"people": {"table": "people", "updated_column": "changed"}, "endless": ENDLESS},
                    people={"table": "people", "optimistic_lock": {"column": "version"},
                            "on_conflict": "skip", "blacklist": ["changed"]}, **more)


@contextlib.contextmanager
def stalled(service, path="/sources/endless"):
    """A pull whose reader took the first bytes, and takes no more until the end of the block."""
    with service.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) as connection:
        assert connection.recv(9) == b"HTTP/1.1 "
        yield connection


@contextlib.contextmanager
def silent():
    """A PostgreSQL system that takes connections and says no word, until it is gone at the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {"type": "postgresql", "host": "127.0.0.1", "port": server.getsockname()[1], "database": "x",
               "username": "x", "pool_timeout": 60}


def stop_taking(service):
    """SIGTERM, and waits until no new connections are taken: then those that are open are told that it drains."""
    def refuses():
        try:
            service.raw().close()
        except ConnectionError:
            return True
        return False

    service.process.send_signal(signal.SIGTERM)
    eventually(refuses)


def status(service, **more):
    answer = service.get("/status", **more)
    assert answer.status == 200, answer.body
    assert answer.headers.get_content_type() == "application/json"
    return answer.json()


def named(items, name):
    """The item of this name."""
    [found] = [item for item in items if item["name"] == name]
    return found


def settled(service, kind, name, **counts):
    """Waits until a source or sink has these counts: a client may have its answer a moment before it is counted."""
    def reached():
        found = named(status(service)[kind], name)
        return found if counts.items() <= found.items() else None
    return eventually(reached)
