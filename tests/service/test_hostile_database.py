"""Databases that do what they should not be able to, and queries that would do more than read."""

import contextlib
import socket
import struct
import threading

import pytest

from conftest import config_of, create

LOCAL_FILES, MULTI_STATEMENTS = 1 << 7, 1 << 16
QUERY = 3


class Rogue:
    """A MySQL server that lets anybody in and answers each statement by asking for a file of the client's machine."""

    HANDSHAKE = (b"\x0a5.7.0-rogue\x00" + struct.pack("<I", 7) + b"salt4you\x00" + struct.pack("<H", 0xF7FF) + b"\x2d"
                 + struct.pack("<HH", 2, 0x000F) + b"\x15" + bytes(10) + b"salt4youmore\x00mysql_native_password\x00")
    OK = b"\x00\x00\x00\x02\x00\x00\x00"
    ERROR = b"\xff\x28\x04#42000no more"

    def __init__(self, path):
        self.path = path
        self.flags = None
        self.statements = []
        self.handed_over = b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError, EOFError):
                self._talk(connection)

    def _talk(self, connection):
        self._send(connection, 0, self.HANDSHAKE)
        number, login = self._receive(connection)
        self.flags = struct.unpack("<I", login[:4])[0]
        self._send(connection, number + 1, self.OK)
        while True:
            number, command = self._receive(connection)
            if command[:1] != bytes([QUERY]):
                self._send(connection, number + 1, self.ERROR)
                continue
            self.statements.append(command[1:])
            self._send(connection, number + 1, b"\xfb" + self.path.encode())
            while True:  # the file, and an empty packet at its end
                number, piece = self._receive(connection)
                self.handed_over += piece
                if not piece:
                    break
            self._send(connection, number + 1, self.ERROR)

    @staticmethod
    def _send(connection, number, packet):
        connection.sendall(struct.pack("<I", len(packet))[:3] + bytes([number & 255]) + packet)

    @staticmethod
    def _receive(connection):
        def exactly(count):
            data = b""
            while len(data) < count:
                block = connection.recv(count - len(data))
                if not block:
                    raise EOFError
                data += block
            return data

        head = exactly(4)
        return head[3], exactly(int.from_bytes(head[:3], "little"))


def test_server_that_asks_for_a_file_gets_none(run, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("canary-90ab\n", encoding="ascii")
    rogue = Rogue(str(secret))
    config = {"systems": {"db": {"type": "mysql", "host": "127.0.0.1", "port": rogue.port, "database": "x",
                                 "username": "x", "password": "x", "pool_timeout": 5}},
              "sources": {"loaded": {"system": "db", "query": "load data local infile 'x' into table y",
                                     "primary_key": "id"}}}
    done = run("pull", "loaded", config=config)
    rogue.listener.close()
    assert done.returncode == 1
    assert rogue.statements, "the service did not even ask"
    assert rogue.handed_over == b""
    assert "canary" not in done.stderr
    assert not rogue.flags & LOCAL_FILES
    assert not rogue.flags & MULTI_STATEMENTS


@pytest.mark.parametrize("query", [
    "select id from people; drop table people", "select id from people) t; drop table people; select 1 from (select 1",
    "select id from people; drop table people; --", "drop table people", "delete from people",
    "delete from people returning id"])
def test_query_that_would_do_more_than_read_does_not(db, run, query):
    create(db, "people", "id integer not null primary key", [(1,), (2,)])
    config = config_of(db, people={"query": query, "primary_key": "id"})
    done = run("pull", "people", config=config)
    assert done.returncode == 1
    assert sorted(db.sql("select id from people")) == [(1,), (2,)]


@pytest.mark.parametrize("statement", ["load data local infile '{path}' into table people",
                                       "select load_file('{path}') as id, 1 as x into outfile '{path}.out'"])
def test_query_cannot_bring_files_into_the_database(mariadb, run, tmp_path, statement):
    mariadb.dialect = {}
    create(mariadb, "people", "id varchar(100) not null primary key")
    (tmp_path / "numbers").write_text("1\n", encoding="ascii")
    query = statement.format(path=tmp_path / "numbers")
    done = run("pull", "people", config=config_of(mariadb, people={"query": query, "primary_key": "id"}))
    assert done.returncode == 1
    assert mariadb.sql("select id from people") == []
    assert not (tmp_path / "numbers.out").exists()
