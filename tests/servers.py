"""Private database servers for the tests, each in a temporary folder of its own.

    with PostgreSQL() as server:
        server.sql("create table t (id int)")
        config = {"systems": {"crm": server.system()}}

A server listens on a free port of 127.0.0.1 and on a socket in its folder, as an unprivileged user, and
dies with the process that started it, whatever becomes of that; its folder goes too.

The classes without a server of their own (PostgreSQLDatabase, MariaDBDatabase, SQLiteFile) speak to
whatever a `systems` entry describes, so that one server can serve many programs (see with-servers).
"""

import ctypes
import glob
import os
import pwd
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

import psycopg2
import pymysql

START_TIMEOUT = 120
PR_SET_PDEATHSIG = 1


class ServerError(Exception):
    """A server that cannot be had, with the tail of its log."""


# ---- what can be asked of a database -------------------------------------------------------------------


class Database:
    """A database that a `systems` entry describes."""

    type = None
    name = None

    def __init__(self, system):
        self._system = dict(system)

    def system(self, **changes):
        """The entry for `systems`. Changes replace keys; None takes a key out."""
        system = {**self._system, **changes}
        return {key: value for key, value in system.items() if value is not None}

    def connect(self, autocommit=True, **changes):
        raise NotImplementedError

    def sql(self, statement, parameters=None, **changes):
        """Runs one statement on a connection of its own and returns its rows, if it has any."""
        connection = self.connect(**changes)
        try:
            cursor = connection.cursor()
            cursor.execute(statement, parameters)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def many(self, statement, rows, **changes):
        """Runs one statement for each row, in one transaction."""
        connection = self.connect(autocommit=False, **changes)
        try:
            cursor = connection.cursor()
            cursor.executemany(statement, rows)
            connection.commit()
        finally:
            connection.close()


class PostgreSQLDatabase(Database):
    type = "postgresql"
    name = "PostgreSQL"

    def connect(self, autocommit=True, **changes):
        system = self.system(**changes)
        connection = psycopg2.connect(
            host=system.get("host"), port=system.get("port"), dbname=system.get("database"),
            user=system.get("username"), password=system.get("password"), connect_timeout=10)
        connection.autocommit = autocommit
        return connection

    def create_database(self, name, options=""):
        """A new database, dropped first if it is there. Returns it."""
        self.drop_database(name)
        self.sql(f'create database "{name}" {options}')
        return PostgreSQLDatabase(self.system(database=name))

    def drop_database(self, name):
        self.sql(f'drop database if exists "{name}" with (force)')


class MariaDBDatabase(Database):
    type = "mysql"
    name = "MariaDB"

    def connect(self, autocommit=True, **changes):
        system = self.system(**changes)
        host = system.get("host")
        where = {"unix_socket": host} if host and host.startswith("/") else {
            "host": host, "port": system.get("port", 3306)}
        return pymysql.connect(
            **where, user=system.get("username"), password=system.get("password", ""),
            database=system.get("database"), autocommit=autocommit, charset="utf8mb4",
            init_command="set time_zone = '+00:00'", connect_timeout=10)

    def create_database(self, name, options=""):
        self.drop_database(name)
        self.sql(f"create database `{name}` {options}")
        return MariaDBDatabase(self.system(database=name))

    def drop_database(self, name):
        self.sql(f"drop database if exists `{name}`")


class SQLiteFile(Database):
    """A database file in WAL mode; made in a temporary folder of its own unless a path is given."""

    type = "sqlite"
    name = "SQLite"

    def __init__(self, path=None, journal="wal"):
        self.folder = None
        if path is None:
            self.folder = tempfile.mkdtemp(prefix="sesam-sqlite-")
            path = os.path.join(self.folder, "test.db")
        super().__init__({"type": "sqlite", "path": str(path)})
        self.sql(f"pragma journal_mode = {journal}")

    def connect(self, autocommit=True, **changes):
        path = self.system(**changes)["path"]
        return sqlite3.connect(path, timeout=10, isolation_level=None if autocommit else "DEFERRED")

    def sql(self, statement, parameters=None, **changes):
        return super().sql(statement, parameters or (), **changes)

    def cleanup(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup()


# ---- processes -------------------------------------------------------------------------------------------


def die_with_parent():
    """In a child, before exec: whatever becomes of us, it ends with us."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def program(name, *folders):
    """The path of a program: in one of the folders (which may hold wildcards, the newest wins) or in PATH."""
    for folder in folders:
        found = [path for path in glob.glob(os.path.join(folder, name)) if os.access(path, os.X_OK)]
        if found:
            return max(found, key=lambda path: [int(n) for n in path.split("/") if n.isdigit()])
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin")
    if not found:
        raise ServerError(f"{name} is not installed")
    return found


# ---- servers -------------------------------------------------------------------------------------------


class Server:
    """A server process in a temporary folder. Subclasses say how it is set up and started."""

    user_names = ()  # who should own it when we are root: the first that exists

    def __init__(self, durable=False, options=(), certificate=None):
        """durable: as safe as a real one; else the disk is never waited for. options: more for its command line.
        certificate: the paths of one, of its key, and of the authority of clients', for a server that also speaks TLS."""
        self.durable = durable
        self.options = list(options)
        self.password = secrets.token_hex(12)
        self.port = None
        self.process = None
        self.account = self._account()
        self.folder = tempfile.mkdtemp(prefix="sesam-server-", dir=self._temporary())
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "server.log")
        self.watcher = None
        try:
            self._own(self.folder)
            self.certificate = self._take(certificate or ())
            self._watch()
            self._make()
            self.start()
            self._prepare()
        except BaseException:
            self.cleanup()
            raise

    # -- for subclasses

    def _make(self):
        """Makes the data directory."""
        raise NotImplementedError

    def _command(self):
        """The command that runs the server in the foreground."""
        raise NotImplementedError

    def _answers(self):
        """Raises an exception unless the server answers."""
        raise NotImplementedError

    def _prepare(self):
        """After the first start."""

    # -- for tests

    def start(self):
        """Starts it, on the same port as before if it ran before."""
        first = self.port is None
        for attempt in range(10):
            if first:
                self.port = free_port()
            try:
                self._start()
                return
            except ServerError:
                if attempt == 9 or not self._port_was_taken():
                    raise
                if not first:
                    time.sleep(0.5)

    def stop(self):
        """An orderly end that breaks what is connected."""
        self._end(self.stop_signal)

    def kill(self):
        """As if the power went: kill -9."""
        self._end(signal.SIGKILL)

    def restart(self):
        self.stop()
        self.start()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def cleanup(self):
        """Ends the server and takes its folder away. Can be called again."""
        if self.running():
            self.kill()
        if self.watcher:
            self.watcher.stdin.close()
            self.watcher.wait()
            self.watcher = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup()

    # -- how it is done

    stop_signal = signal.SIGTERM

    def _account(self):
        if os.geteuid() != 0:
            return None
        for name in (*self.user_names, "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise ServerError("there is no unprivileged user to run a server as")

    @staticmethod
    def _temporary():
        # A socket's path has room for 107 bytes.
        folder = tempfile.gettempdir()
        return folder if len(folder) < 50 else "/tmp"

    def _own(self, path):
        os.chmod(path, 0o755)  # the service may run as somebody else, and looks for the socket
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def _take(self, paths):
        """Copies of files that only the server's user may read."""
        copies = []
        for path in paths:
            copies.append(shutil.copy(path, self.folder))
            os.chmod(copies[-1], 0o600)
            if self.account:
                os.chown(copies[-1], self.account.pw_uid, self.account.pw_gid)
        return copies

    def _become(self):
        """In the child, before exec."""
        os.setsid()  # what the terminal sends is for us, not for the server
        if self.account:
            os.setgroups([])
            os.setgid(self.account.pw_gid)
            os.setuid(self.account.pw_uid)
        die_with_parent()  # after setuid, which forgets it

    def _environment(self):
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("PG", "MYSQL", "MARIADB", "LC_", "LANG"))}
        environment.update(HOME=self.folder, TMPDIR=self.folder, LC_ALL="C.UTF-8", TZ="UTC")
        for sanitizer in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LD_PRELOAD"):
            environment.pop(sanitizer, None)
        return environment

    def _run(self, command, **more):
        """Runs a tool as the server's user, to its end."""
        done = subprocess.run(command, preexec_fn=self._become, cwd=self.folder, env=self._environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=START_TIMEOUT, check=False, **more)
        if done.returncode != 0:
            raise ServerError(f"{command[0]} failed:\n{done.stdout.decode(errors='replace')[-2000:]}")

    def _watch(self):
        """A shell that waits until we are gone and then takes the folder away."""
        self.watcher = subprocess.Popen(
            ["/bin/sh", "-c", 'read _; for _ in 1 2 3 4 5; do rm -rf "$1" && exit; sleep 1; done', "sh", self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            cwd="/")

    def _start(self):
        with open(self.log, "wb") as log:
            self._own(self.log)
            self.process = subprocess.Popen(
                self._command() + self.options, preexec_fn=self._become, cwd=self.folder, env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self._answers()
                return
            except Exception as error:  # whatever the client library calls "not yet"
                if self.process.poll() is not None:
                    raise ServerError(f"the server ended with status {self.process.returncode}:\n"
                                      f"{self.log_tail()}") from error
                if time.monotonic() > until:
                    self.kill()
                    raise ServerError(f"the server does not answer: {error}\n{self.log_tail()}") from error
                time.sleep(0.05)

    def _port_was_taken(self):
        return "Address already in use" in self.log_tail() or "in use" in self.log_tail()

    def log_tail(self, size=4000):
        try:
            with open(self.log, "rb") as log:
                return log.read()[-size:].decode(errors="replace")
        except OSError:
            return ""

    def _end(self, how):
        if self.running():
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._settle()

    def _settle(self):
        """Waits until what the server leaves behind is gone, so that it can start again."""


class PostgreSQL(Server, PostgreSQLDatabase):
    """A PostgreSQL of the newest version installed. The socket lets anybody in, TCP wants the password."""

    user_names = ("postgres",)
    stop_signal = signal.SIGINT  # fast: breaks what is connected
    address = "127.0.0.1"

    def __init__(self, durable=False, options=(), database="sesam_test", certificate=None):
        self.database = database
        self.programs = os.path.dirname(program("postgres", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"))
        Server.__init__(self, durable, options, certificate)

    def system(self, socket=False, **changes):
        entry = {"type": "postgresql", "host": self.folder if socket else self.address, "port": self.port,
                 "database": self.database, "username": "sesam", "password": self.password, **changes}
        return {key: value for key, value in entry.items() if value is not None}

    def _make(self):
        password = os.path.join(self.folder, "password")
        with open(password, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(self.password + "\n")
        if self.account:
            os.chown(password, self.account.pw_uid, self.account.pw_gid)
        self._run([f"{self.programs}/initdb", "--pgdata", self.data, "--username", "sesam", "--pwfile", password,
                   "--encoding", "UTF8", "--locale", "C.UTF-8", "--auth-local", "trust",
                   "--auth-host", "scram-sha-256", *([] if self.durable else ["--no-sync"])])
        os.unlink(password)

    def _command(self):
        settings = {"listen_addresses": self.address, "port": self.port, "unix_socket_directories": self.folder,
                    "max_prepared_transactions": 10, "shared_buffers": "64MB", "max_connections": 100,
                    "logging_collector": "off", "log_statement": "none", "timezone": "UTC"}
        if not self.durable:
            settings.update(fsync="off", synchronous_commit="off", full_page_writes="off")
        if self.certificate:
            certificate, key, authority = self.certificate
            settings.update(ssl="on", ssl_cert_file=certificate, ssl_key_file=key, ssl_ca_file=authority)
        command = [f"{self.programs}/postgres", "-D", self.data]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _answers(self):
        self.connect(database="postgres").close()

    def _prepare(self):
        self.sql(f'create database "{self.database}"', database="postgres")

    def _settle(self):
        # After kill -9 the backends notice by themselves; until then they hold the shared memory.
        pid_file = os.path.join(self.data, "postmaster.pid")
        if os.path.exists(pid_file):
            until = time.monotonic() + 10
            while time.monotonic() < until and self._backends():
                time.sleep(0.05)

    def _backends(self):
        """Processes that still work in the data directory."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/cwd") == self.data:
                    found.append(int(pid))
            except OSError:
                continue
        return found


class Standby(PostgreSQL):
    """A copy of a running PostgreSQL that follows it, on the same port of another loopback address. Each commit on the
    primary waits until it is here, too."""

    address = "127.0.0.2"

    def __init__(self, primary):
        self.primary = primary
        PostgreSQL.__init__(self, primary.durable, primary.options, primary.database)

    def _make(self):
        self.password, self.port = self.primary.password, self.primary.port
        self._run([f"{self.programs}/pg_basebackup", "--pgdata", self.data, "--write-recovery-conf", "--checkpoint=fast",
                   "--wal-method=stream", "--no-sync", "--dbname",
                   f"host={self.primary.folder} port={self.port} user=sesam application_name=standby"])

    def _prepare(self):
        self.primary.sql("alter system set synchronous_standby_names = 'standby'")
        self.primary.sql("select pg_reload_conf()")
        until = time.monotonic() + START_TIMEOUT
        while self.primary.sql("select sync_state from pg_stat_replication") != [("sync",)]:
            if time.monotonic() > until:
                raise ServerError(f"the standby does not follow:\n{self.log_tail()}")
            time.sleep(0.05)

    def promote(self):
        """Makes it a primary of its own."""
        self.sql("select pg_promote()")


class MariaDB(Server, MariaDBDatabase):
    """A MariaDB. User sesam may do everything, with a password; root comes in by the socket without one."""

    user_names = ("mysql",)
    stop_signal = signal.SIGTERM

    def __init__(self, durable=False, options=(), database="sesam_test", certificate=None):
        self.database = database
        self.binary = program("mariadbd", "/usr/sbin", "/usr/libexec")
        self.socket = None
        Server.__init__(self, durable, options, certificate)

    def system(self, socket=False, **changes):
        entry = {"type": "mysql", "host": self.socket if socket else "127.0.0.1", "port": self.port,
                 "database": self.database, "username": "sesam", "password": self.password, **changes}
        return {key: value for key, value in entry.items() if value is not None}

    def _make(self):
        self.socket = os.path.join(self.folder, "mysqld.sock")
        self._run([program("mariadb-install-db"), "--no-defaults", f"--datadir={self.data}",
                   "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
                   "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=16M", "--sync-frm=0"])

    def _command(self):
        command = [self.binary, "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}",
                   "--bind-address=127.0.0.1", f"--port={self.port}", f"--pid-file={self.folder}/mysqld.pid",
                   "--skip-name-resolve", "--character-set-server=utf8mb4", "--default-time-zone=+00:00",
                   "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--performance-schema=off",
                   f"--tmpdir={self.folder}", "--max-connections=200", "--max-allowed-packet=64M"]
        if not self.durable:
            command += ["--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0", "--innodb-doublewrite=0",
                        "--innodb-flush-method=nosync"]
        if self.certificate:
            certificate, key, authority = self.certificate
            command += [f"--ssl-cert={certificate}", f"--ssl-key={key}", f"--ssl-ca={authority}"]
        return command

    def _root(self):
        return pymysql.connect(unix_socket=self.socket, user="root", autocommit=True, connect_timeout=10)

    def _answers(self):
        if not os.path.exists(self.socket):
            raise ServerError("no socket yet")
        self._root().close()

    def _prepare(self):
        root = self._root()
        cursor = root.cursor()
        cursor.execute("delete from mysql.global_priv where User = ''")
        cursor.execute("flush privileges")
        cursor.execute("create user sesam@'%%' identified by %s", (self.password,))
        cursor.execute("grant all on *.* to sesam@'%' with grant option")
        cursor.execute(f"create database `{self.database}` character set utf8mb4")
        root.close()

    def _settle(self):
        # A killed server leaves its socket, and a client would wait for an answer there.
        if os.path.exists(self.socket):
            os.unlink(self.socket)
