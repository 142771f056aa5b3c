"""Clients that keep a connection busy without ever coming to a point."""

import contextlib
import http.client
import json
import os
import resource
import select
import socket
import ssl
import threading
import time

import pytest

import certificates
from conftest import Answer, config_of, create, eventually, numbered, read_to_end

HEAD = b"GET /sources/people HTTP/1.1\r\nHost: x\r\n"
LONG = 600  # a limit that no test waits for


def post(*headers):
    return b"\r\n".join([b"POST /sinks/people HTTP/1.1", b"Host: x", *headers, b"", b""])


@pytest.fixture
def people(sqlite):
    sqlite.dialect = {"mark": "?", "text": "text", "datetime": "datetime"}
    create(sqlite, "people", "id integer not null primary key, name text", [(1, "Kari")])
    config = config_of(sqlite, people={"table": "people"})
    config["sinks"] = {"people": {"system": "db", "table": "people"}}
    return config


@pytest.fixture
def start(people, service):
    """start(limit=seconds) runs a service; limits that are not named are long."""

    def run(**listen):
        limits = ("head_timeout", "idle_timeout", "body_timeout", "request_timeout", "send_timeout")
        return service({**people, "listen": {**dict.fromkeys(limits, LONG), **listen}})

    return run


def trickle(connection, data, pause=0.1, seconds=60):
    """Sends a byte at a time, until the other side has closed. Returns what came back."""
    connection.settimeout(pause)
    until = time.monotonic() + seconds
    received = b""
    for i in range(10 ** 6):
        assert time.monotonic() < until, "the connection is still open"
        try:
            connection.sendall(data[i:i + 1] or data[-1:])
            block = connection.recv(65536)
            if not block:
                return received
            received += block
        except TimeoutError:
            continue
        except ConnectionError:
            return received
    return received


# ---- heads


@pytest.mark.parametrize("head", [b"GET /", HEAD + b"X: ", b"\r\n"], ids=["first line", "header", "empty lines"])
def test_head_that_trickles_is_cut_off(start, head):
    service = start(head_timeout=1)
    with service.raw() as connection:
        assert trickle(connection, head) == b""
    assert service.get("/health").status == 200


def test_connection_without_a_request_is_cut_off(start):
    with start(head_timeout=1).raw() as connection:
        assert read_to_end(connection)[0] == b""


def test_kept_connection_is_closed_when_it_is_idle(start):
    with start(idle_timeout=1).raw(HEAD + b"\r\n") as connection:
        received, _ = read_to_end(connection)
    assert received.count(b"HTTP/1.1 200 ") == 1


def test_next_request_on_a_kept_connection_may_not_trickle_either(start):
    service = start(head_timeout=1)
    with service.raw(HEAD + b"\r\n") as connection:
        assert b"HTTP/1.1 200 " in connection.recv(65536)
        connection.sendall(HEAD)
        trickle(connection, b"X: ")


def test_limits_of_waiting_do_not_touch_work(start):
    """Each of several requests on a connection has a head_timeout of its own, and an answer may take longer."""
    with start(head_timeout=3).raw() as connection:
        for _ in range(8):
            connection.sendall(HEAD + b"\r\n")
            assert b"HTTP/1.1 200 " in connection.recv(65536)
            time.sleep(0.5)


# ---- bodies


def test_body_that_trickles_is_cut_off_and_nothing_is_applied(start, people):
    service = start(body_timeout=1)
    with service.raw(post(b"Content-Length: 1000000")) as connection:
        assert trickle(connection, b'[{"_id": "7", "name": "') == b""
    eventually(lambda: "more slowly than body_timeout" in service.log())
    assert len(service.pull("people")) == 1


def test_body_that_trickles_to_nobody_is_cut_off(start):
    service = start(body_timeout=1)
    with service.raw(post(b"Content-Length: 1000000").replace(b"/sinks/people", b"/health")) as connection:
        assert trickle(connection, b"x") == b""


def test_large_body_earns_the_time_it_takes(start):
    body = json.dumps([{"_id": "7", "name": "x" * 30000}]).encode()
    service = start(body_timeout=1, min_body_rate=100)
    with service.raw(post(b"Content-Length: %d" % len(body), b"Connection: close") + body[:2000]) as connection:
        for i in range(2000, len(body), 2000):
            time.sleep(0.15)
            connection.sendall(body[i:i + 2000])
        received, _ = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 200 "), received


# ---- readers


def test_answer_that_is_not_taken_is_cut_off(start):
    """Thousands of small answers, which fill all buffers on the way."""
    service = start(send_timeout=1)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((service.address, service.port))
        connection.settimeout(60)
        with pytest.raises(ConnectionError):
            while True:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
    assert service.get("/health").status == 200


# ---- many


def is_open(connection):
    """Whether the other side has neither closed nor reset it. What comes meanwhile is left where it is."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return not poll.poll(0)


def test_those_who_wait_longest_make_room_for_others(start):
    room = 1 + 256
    service = start(max_connections=1)
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(service.raw(b"GET /")) for _ in range(room + 50)]
        eventually(lambda: not is_open(waiting[0]))
        assert service.get("/health").status == 200
        assert service.get("/sources/people").status == 200
        assert eventually(lambda: sum(map(is_open, waiting)) <= room)
        assert is_open(waiting[-1]) and is_open(waiting[100])
        assert "those that wait longest" in service.log()


def test_few_open_files_make_the_room_smaller(start):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        service = start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(service.raw(b"GET /")) for _ in range(150)]
        assert service.get("/health").status == 200
        assert len(service.pull("people")) == 1
        assert is_open(waiting[-1])


class Flood:
    """Connections of all the slow kinds, over TLS, kept slow by a thread."""

    def __init__(self, service, trusted):
        self.service = service
        self.context = ssl.create_default_context(cafile=trusted)
        self.connections = []
        self.slow = []  # those that get a byte now and then

    def silent(self):
        self._keep(self.service.raw())

    def half_handshake(self):
        self._keep(self.service.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))

    def slow_head(self):
        self.slow.append(self._secure(HEAD + b"X: "))

    def slow_body(self):
        self.slow.append(self._secure(post(b"Content-Length: 1000000") + b'[{"_id": "7", "name": "'))

    def deaf_reader(self):
        self._secure(b"GET /sources/big HTTP/1.1\r\nHost: x\r\n\r\n")

    def trickle(self):
        for connection in self.slow:
            with contextlib.suppress(OSError):
                connection.send(b"x")

    def left(self):
        return [connection for connection in self.connections if is_open(connection)]

    def close(self):
        for connection in self.connections:
            connection.close()

    def _secure(self, request):
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.settimeout(120)
        plain.connect((self.service.address, self.service.port))
        secure = self.context.wrap_socket(plain, server_hostname="localhost")
        secure.sendall(request)
        return self._keep(secure)

    def _keep(self, connection):
        self.connections.append(connection)
        return connection


def secure_get(service, context, path, method="GET", body=None):
    connection = http.client.HTTPSConnection(service.address, service.port, timeout=120, context=context)
    try:
        connection.request(method, path, body=body)
        response = connection.getresponse()
        return Answer(response, response.read())
    finally:
        connection.close()


def test_good_client_is_served_beside_500_slow_ones_and_none_of_them_is_left(sqlite, people, service, tmp_path):
    authority = certificates.Authority(tmp_path)
    certificate, key = authority.issue("server", ["127.0.0.1", "localhost"])
    context = ssl.create_default_context(cafile=authority.certificate)
    numbered(sqlite, "big", 20000, 500)
    people["sources"]["big"] = {"system": "db", "table": "big"}
    people["systems"]["db"]["pool_size"] = 20
    people["listen"] = {"tls": {"certificate": certificate, "key": key}, "max_connections": 40, "head_timeout": 8,
                        "body_timeout": 8, "send_timeout": 8}
    running = service(people, ready=lambda one: secure_get(one, context, "/health"))
    flood = Flood(running, authority.certificate)
    over = threading.Event()

    def keep_slow():
        while not over.wait(0.5):
            flood.trickle()

    trickling = threading.Thread(target=keep_slow, daemon=True)
    try:
        for make, count in ((flood.slow_body, 20), (flood.deaf_reader, 10), (flood.slow_head, 120),
                            (flood.half_handshake, 150), (flood.silent, 200)):
            for _ in range(count):
                make()
        trickling.start()
        assert flood.left()
        assert secure_get(running, context, "/health").status == 200
        assert len(secure_get(running, context, "/sources/people").entities()) == 1
        assert secure_get(running, context, "/sinks/people", "POST", b'[{"_id": "2", "name": "Ola"}]').status == 200
        eventually(lambda: not flood.left(), 120)
        eventually(lambda: len(os.listdir(f"/proc/{running.process.pid}/task")) < 30)
        assert len(secure_get(running, context, "/sources/people").entities()) == 2
    finally:
        over.set()
        flood.close()
