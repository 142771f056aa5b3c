"""What the tests of pushes share: a sink's configuration, its requests and answers, a full sync's chain."""

import contextlib
import itertools
import json
import os
import random
import signal

from conftest import DIALECTS, create, eventually

JSON = {"Content-Type": "application/json"}
COUNTS = ("inserted", "updated", "unchanged", "deleted")


def seconds(normally):
    """How long a test of random schedules goes on: $SESAM_SQL_TEST_SECONDS, or what a normal run can spare."""
    return float(os.environ.get("SESAM_SQL_TEST_SECONDS") or normally)


def seed():
    """A fresh one each time, told by whatever fails; $SESAM_SQL_TEST_SEED repeats a run."""
    return int(os.environ.get("SESAM_SQL_TEST_SEED") or random.SystemRandom().randrange(1 << 32))


# ---- configuration ---------------------------------------------------------------------------------------


def sinks_of(database, sources=None, listen=None, system=None, **sinks):
    """A configuration with one system called db, these sinks and sources, and changes of the system."""
    config = {"systems": {"db": {**database.system(), **(system or {})}},
              "sinks": {name: {"system": "db", **sink} for name, sink in sinks.items()},
              "sources": {name: {"system": "db", **source} for name, source in (sources or {}).items()}}
    if listen:
        config["listen"] = listen
    return config


def with_dialect(database):
    database.dialect = DIALECTS[database.type]
    return database


def rows(database, table, columns="*"):
    """The table's rows in the order of their first column. Bytes and texts as Python's own."""
    found = database.sql(f"select {columns} from {table} order by 1")
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in found]


def case_blind(database):
    """A table whose key does not tell A from a."""
    with_dialect(database)
    kind = {"sqlite": "text collate nocase", "mysql": "varchar(50) collate utf8mb4_general_ci",
            "postgresql": "text collate blind"}[database.type]
    if database.type == "postgresql":
        database.sql("create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    create(database, "words", f"k {kind} not null primary key, v integer")


MARKS = {"postgresql": (True, False), "mysql": (1, 0), "sqlite": (1, 0)}


def marked(database, **more):
    """A sink of a table with a mark for deletions, on which Kari lives and Ola does not."""
    dead, live = MARKS[database.type]
    create(database, "people", "id integer not null primary key, name {text}, gone boolean not null default false",
           [(1, "Kari", live), (2, "Ola", dead)])
    # Where booleans are integers the column does not tell that alive is not NULL.
    deletes = {"column": "gone", "value": True, **({} if database.type == "postgresql" else {"live": False})}
    return {"table": "people", "deletes": deletes, **more}


# ---- ends of a service -------------------------------------------------------------------------------------


def ports_of(pid):
    """The local ports of a process' TCP connections, by which a server knows them."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}").removeprefix("socket:[").removesuffix("]"))
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as table:
        lines = [line.split() for line in table.readlines()[1:]]
    return {int(line[1].split(":")[1], 16) for line in lines if line[9] in inodes}


def sessions_on(database, ports):
    """Those of a server's sessions whose client has one of these ports."""
    if database.type == "sqlite" or not ports:
        return []
    if database.type == "postgresql":
        found = [row[0] for row in database.sql("select client_port from pg_stat_activity")]
    else:
        hosts = [row[0] for row in database.sql("select host from information_schema.processlist")]
        found = [int(host.rpartition(":")[2]) for host in hosts if host.rpartition(":")[2].isdigit()]
    return [port for port in found if port in ports]


def power_off(service, database):
    """kill -9 of the service. What the database still had from it is done or forgotten afterwards."""
    service.process.send_signal(signal.SIGSTOP)
    ports = ports_of(service.process.pid)
    service.process.kill()
    service.process.wait()
    eventually(lambda: not sessions_on(database, ports))


# ---- requests ----------------------------------------------------------------------------------------------


def parameters_of(given):
    """Parameters as a URL has them: true and false in small letters."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}


def body_of(entities):
    return entities if isinstance(entities, (bytes, str)) else json.dumps(entities, ensure_ascii=False).encode()


def push(service, name, entities, **parameters):
    """Posts entities (or a body as it is) to a sink."""
    return service.get(f"/sinks/{name}", parameters_of(parameters), method="POST", body=body_of(entities),
                       headers=JSON)


def accepted(answer):
    """The answer of a push that was applied."""
    assert answer.status == 200, (answer.status, answer.body[:3000])
    assert answer.headers.get_content_type() == "application/json"
    told = answer.json()
    assert isinstance(told["conflicts"], list), told
    assert all(isinstance(told[name], int) for name in COUNTS), told
    return told


def counts(answer):
    """(inserted, updated, unchanged, deleted) of a push that was applied."""
    told = accepted(answer)
    return tuple(told[name] for name in COUNTS)


def refused(answer, _id, prop=None):
    """The problem of a push that was refused for one entity, and maybe one of its properties."""
    problem = answer.problem(422)
    assert problem.get("_id") == _id, problem
    if prop is not None:
        assert problem.get("property") == prop, problem
    return problem


# ---- full syncs ----------------------------------------------------------------------------------------------


class Sync:
    """A full sync as Sesam's client runs it: it knows its sequence and the request that was answered last."""

    numbers = itertools.count(1)

    def __init__(self, service, sink, sequence_id=None):
        self.service = service
        self.sink = sink
        self.sequence_id = sequence_id or f"sequence-{next(self.numbers)}"
        self.previous = None
        self.requests = 0

    def parameters(self, first=False, last=False, **changes):
        """Those of the next request; changes replace them, None leaves one out."""
        return {"is_full": True, "sequence_id": self.sequence_id, "request_id": str(self.requests + 1),
                "previous_request_id": None if first else self.previous,
                "is_first": True if first else None, "is_last": True if last else None, **changes}

    def send(self, entities, first=False, last=False, **changes):
        """Sends the next request; only an answer of success moves the client on."""
        parameters = self.parameters(first, last, **changes)
        answer = push(self.service, self.sink, entities, **parameters)
        if answer.status == 200:
            self.previous = parameters["request_id"]
            self.requests += 1
        return answer

    def first(self, entities, **changes):
        return self.send(entities, first=True, **changes)

    def next(self, entities, **changes):
        return self.send(entities, **changes)

    def last(self, entities, **changes):
        return self.send(entities, last=True, **changes)
