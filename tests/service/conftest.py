"""Starts the real program beside real databases, and speaks HTTP to it.

The program is $SESAM_SQL, or the one in the folder of the sources. The servers are those that
tests/with-servers exported, or private ones that start when a test first wants them.
"""

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import servers  # noqa: E402

START_TIMEOUT = 60
STOP_TIMEOUT = 60
REQUEST_TIMEOUT = 120
REPORTS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "UndefinedBehaviorSanitizer", "runtime error:")


@pytest.fixture(scope="session")
def program():
    path = os.environ.get("SESAM_SQL") or os.path.join(HERE, "..", "..", "sesam-sql")
    assert os.access(path, os.X_OK), f"{path} is not there: build it, or name it in $SESAM_SQL"
    return os.path.abspath(path)


# ---- HTTP ----------------------------------------------------------------------------------------------


class Answer:
    """A whole answer."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    def entities(self):
        assert self.status == 200, (self.status, self.body[:2000])
        assert self.headers.get_content_type() == "application/json"
        entities = self.json()
        assert isinstance(entities, list)
        return entities

    def problem(self, status):
        """The problem that this answer tells, of this status."""
        assert self.status == status, (self.status, self.body[:2000])
        assert self.headers.get_content_type() == "application/problem+json"
        problem = self.json()
        assert problem["status"] == status
        for key in ("type", "title", "detail"):
            assert isinstance(problem[key], str) and problem[key], problem
        return problem


def query_string(parameters):
    pairs = parameters.items() if isinstance(parameters, dict) else parameters
    return urllib.parse.urlencode([(name, value) for name, value in pairs if value is not None])


class Service:
    """A running `sesam-sql serve`."""

    def __init__(self, program, config, folder, environment=None, address="127.0.0.1", ready=None):
        """ready: asks the service whether it serves, where a plain GET cannot."""
        self.program = program
        self.folder = folder
        self.address = address
        self.config = config
        self.environment = environment or {}
        self.log_path = os.path.join(folder, "service.log")
        self.ready = ready or (lambda running: running.get("/health").status == 200)
        self.process = None
        self.port = None

    def start(self):
        for _ in range(5):
            self.port = servers.free_port()
            self._start()
            if self._wait():
                return self
        raise AssertionError(f"the service did not start:\n{self.log()}")

    def _start(self):
        config = {**self.config, "listen": {"address": self.address, "port": self.port,
                                            **self.config.get("listen", {})}}
        path = os.path.join(self.folder, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        environment = {key: value for key, value in os.environ.items()
                       if key not in ("PORT", "LISTEN_ADDRESS", "SESAM_SQL_CONFIG", "SESAM_SQL_CONFIG_FILE")}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([self.program, "serve", "--config", path], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT, cwd=self.folder,
                                            preexec_fn=servers.die_with_parent,
                                            env={**environment, **self.environment})

    def _wait(self):
        """True once it answers; False when its port was taken by somebody else meanwhile."""
        until = time.monotonic() + START_TIMEOUT
        while time.monotonic() < until:
            if self.process.poll() is not None:
                if "in use" in self.log():
                    return False
                raise AssertionError(f"the service ended with {self.process.returncode}:\n{self.log()}")
            try:
                if self.ready(self):
                    return True
            except OSError:
                pass
            time.sleep(0.02)
        self.process.kill()
        return False

    def log(self):
        with open(self.log_path, "rb") as log:
            return log.read().decode(errors="replace")

    def connect(self, timeout=REQUEST_TIMEOUT):
        return http.client.HTTPConnection(self.address, self.port, timeout=timeout)

    def get(self, path, parameters=(), method="GET", headers=None, body=None):
        if parameters:
            path += ("&" if "?" in path else "?") + query_string(parameters)
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def pull(self, name, **parameters):
        return self.get(f"/sources/{name}", parameters).entities()

    def raw(self, request=b"", timeout=REQUEST_TIMEOUT):
        """A socket on which these bytes were sent."""
        connection = socket.create_connection((self.address, self.port), timeout=timeout)
        connection.sendall(request)
        return connection

    def stop(self):
        """An orderly end. What the sanitizers have to say fails the test."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the service did not stop on SIGTERM:\n{self.log()[-4000:]}") from None
        log = self.log()
        found = [report for report in REPORTS if report in log]
        assert not found, log[max(log.find(found[0]) - 200, 0):][:12000]
        assert self.process.returncode == 0, (self.process.returncode, log[-4000:])


def read_to_end(connection):
    """All that comes on a socket, and whether it ended in good order."""
    received = bytearray()
    try:
        while True:
            block = connection.recv(65536)
            if not block:
                return bytes(received), True
            received += block
    except ConnectionError:
        return bytes(received), False


def eventually(what, seconds=60):
    """Waits until what() is true, and returns it."""
    until = time.monotonic() + seconds
    while True:
        result = what()
        if result or time.monotonic() > until:
            assert result, f"not within {seconds} s"
            return result
        time.sleep(0.05)


@pytest.fixture
def service(program, tmp_path):
    """service(config) starts the program; it is stopped, and must end well, after the test."""
    running = []
    numbers = itertools.count()

    def start(config, **more):
        folder = tmp_path / f"service-{next(numbers)}"
        folder.mkdir()
        running.append(Service(program, config, str(folder), **more))
        return running[-1].start()

    yield start
    errors = []
    for one in running:
        if one.process is None:
            continue
        try:
            one.stop()
        except AssertionError as error:
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def run(program, tmp_path):
    """run(arguments, config) runs the program to its end."""

    def start(*arguments, config=None, environment=None, **more):
        command = [program, *arguments]
        if config is not None:
            path = tmp_path / "run.json"
            path.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
            command += ["--config", str(path)]
        clean = {key: value for key, value in os.environ.items()
                 if key not in ("PORT", "LISTEN_ADDRESS", "SESAM_SQL_CONFIG", "SESAM_SQL_CONFIG_FILE")}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=REQUEST_TIMEOUT, check=False, cwd=tmp_path, encoding="utf-8",
                              env={**clean, **(environment or {})}, **more)
        assert not any(report in done.stderr for report in REPORTS), done.stderr
        return done

    return start


# ---- databases -----------------------------------------------------------------------------------------


def served(variable, database, server):
    """The database that the environment names, or one of a server of our own."""
    if os.environ.get(variable):
        yield database(json.loads(os.environ[variable]))
    else:
        with server() as private:
            yield private


@pytest.fixture(scope="session")
def postgresql_server():
    yield from served("SESAM_SQL_TEST_POSTGRESQL", servers.PostgreSQLDatabase, servers.PostgreSQL)


@pytest.fixture(scope="session")
def mariadb_server():
    yield from served("SESAM_SQL_TEST_MYSQL", servers.MariaDBDatabase, servers.MariaDB)


# Takes all out of a PostgreSQL database, and everybody: much quicker than to make another.
EMPTY = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid();
do $$ declare name text; begin
    for name in select quote_ident(nspname) from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
    loop execute 'drop schema ' || name || ' cascade'; end loop;
end $$;
create schema public;
grant usage on schema public to public
"""


@pytest.fixture(scope="session")
def postgresql_database(postgresql_server):
    yield postgresql_server.create_database("service_test")
    postgresql_server.drop_database("service_test")


@pytest.fixture
def postgresql(postgresql_database):
    """An empty PostgreSQL database."""
    yield postgresql_database
    postgresql_database.sql(EMPTY)


@pytest.fixture
def mariadb(mariadb_server):
    database = mariadb_server.create_database("service_test", "character set utf8mb4")
    yield database
    mariadb_server.drop_database("service_test")


@pytest.fixture
def sqlite(tmp_path):
    return servers.SQLiteFile(tmp_path / "test.db")


# What the databases call things. A place holder of the client library, and types.
DIALECTS = {
    "postgresql": {"mark": "%s", "text": "text", "key_text": 'text collate "C"', "datetime": "timestamptz(6)",
                   "bytes": "bytea", "decimal": "numeric(30,10)", "boolean": "boolean"},
    "mysql": {"mark": "%s", "text": "longtext", "key_text": "varchar(100) collate utf8mb4_bin",
              "datetime": "datetime(6)", "bytes": "blob", "decimal": "decimal(30,10)", "boolean": "boolean"},
    "sqlite": {"mark": "?", "text": "text", "key_text": "text", "datetime": "datetime", "bytes": "blob",
               "decimal": "decimal(30,10)", "boolean": "boolean"},
}


@pytest.fixture(params=["postgresql", "mysql", "sqlite"])
def db(request):
    """An empty database of each kind."""
    fixture = {"postgresql": "postgresql", "mysql": "mariadb", "sqlite": "sqlite"}[request.param]
    database = request.getfixturevalue(fixture)
    database.dialect = DIALECTS[request.param]
    return database


def config_of(database, **sources):
    """A configuration with one system called db."""
    return {"systems": {"db": database.system()},
            "sources": {name: {"system": "db", **source} for name, source in sources.items()}}


def create(database, table, columns, rows=()):
    """Makes a table; {text} and its like in columns are the database's types."""
    database.sql(f"create table {table} ({columns.format(**database.dialect)})")
    insert(database, table, rows)


def insert(database, table, rows):
    rows = list(rows)
    if rows:
        marks = ", ".join([database.dialect["mark"]] * len(rows[0]))
        database.many(f"insert into {table} values ({marks})", rows)


def numbered(database, table, count, width=200):
    """A table of many rows with an updated column, made by the server itself."""
    create(database, f"{table}_n", "i bigint not null primary key", [(i,) for i in range(1000)])
    create(database, table, "id bigint not null primary key, name {text}, updated {datetime}")
    numbers = f"select a.i * 1000 + b.i as i from {table}_n a, {table}_n b where a.i * 1000 + b.i < {count}"
    database.sql(f"insert into {table} select i, '{'x' * width}', '2024-01-02 03:04:05' from ({numbers}) t")
    database.sql(f"drop table {table}_n")
