"""How a push travels over HTTP: heads, bodies in pieces, and clients that do not wait."""

import base64
import contextlib
import http.client
import json
import signal
import threading
import time

import pytest

from conftest import create, eventually, read_to_end

ONE = [{"_id": "1", "id": 1, "name": "Kari"}]
JSON = {"Content-Type": "application/json"}


def config_for(database, **listen):
    return {"systems": {"db": database.system()}, "listen": listen,
            "sources": {"people": {"system": "db", "table": "people"}},
            "sinks": {"people": {"system": "db", "table": "people"}}}


def names(database):
    return [row[0] for row in database.sql("select name from people order by id")]


@pytest.fixture
def empty(sqlite):
    """A database with a table of nobody."""
    sqlite.dialect = {"mark": "?", "text": "text"}
    create(sqlite, "people", "id integer not null primary key, name {text}")
    return sqlite


@pytest.fixture
def start(service, empty):
    """start(**listen) runs a service with a sink on that table."""
    return lambda **listen: service(config_for(empty, **listen))


def post(service, body, path="/sinks/people", headers=None):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.get(path, method="POST", body=body, headers=JSON if headers is None else headers)


def send(connection, body, path="/sinks/people", **headers):
    """A push on an open connection: its status and its body."""
    connection.request("POST", path, body=body, headers={**JSON, **headers})
    response = connection.getresponse()
    return response.status, response.read()


def head(*lines, path="/sinks/people"):
    return b"\r\n".join([b"POST %s HTTP/1.1" % path.encode(), b"Host: x", *lines, b"", b""])


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def receive_head(connection):
    """One head of an answer, and nothing behind it."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, received
        received += byte
    return received


# ---- a push that goes well


def test_push_is_applied_and_counted(start, empty):
    answer = post(start(), ONE)
    assert answer.status == 200, answer.body
    assert answer.headers.get_content_type() == "application/json"
    assert answer.json()["inserted"] == 1
    assert names(empty) == ["Kari"]


def test_body_may_come_in_chunks_cut_anywhere(start, empty):
    body = json.dumps(ONE).encode()
    with start().raw(head(b"Transfer-Encoding: chunked", b"Connection: close")) as connection:
        for i in range(len(body)):
            connection.sendall(chunk(body[i:i + 1]))
        connection.sendall(b"0\r\n\r\n")
        received, _ = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 200 "), received
    assert names(empty) == ["Kari"]


def test_body_of_many_pieces_arrives_whole(start, empty):
    people = [{"_id": str(i), "id": i, "name": f"{i:04d}" * 100} for i in range(3000)]
    answer = post(start(), people)
    assert answer.status == 200, answer.body
    assert names(empty) == [person["name"] for person in people]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8",
                                          "Application/JSON ;x=y", None])
def test_json_is_known_by_its_name_or_none(start, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    assert post(start(), ONE, headers=headers).status == 200


def test_connection_is_kept_after_a_push(start, empty):
    connection = start().connect()
    assert send(connection, json.dumps(ONE))[0] == 200
    first = connection.sock
    assert send(connection, json.dumps([{"_id": "2", "id": 2, "name": "Ola"}]))[0] == 200
    assert connection.sock is first
    connection.close()
    assert names(empty) == ["Kari", "Ola"]


def test_client_that_asks_first_is_told_to_go_on(start, empty):
    body = json.dumps(ONE).encode()
    ask = head(b"Content-Length: %d" % len(body), b"Expect: 100-continue", b"Connection: close")
    with start().raw(ask) as connection:
        assert receive_head(connection).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        received, _ = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 200 "), received
    assert names(empty) == ["Kari"]


# ---- heads that are refused


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonp", "application/x-www-form-urlencoded",
                                          "multipart/form-data; boundary=x", "application/ndjson"])
def test_other_types_are_415(start, empty, content_type):
    service = start()
    problem = post(service, ONE, headers={"Content-Type": content_type}).problem(415)
    assert "application/json" in problem["hint"]
    eventually(lambda: f"answered 415: {problem['detail']}" in service.log())
    assert names(empty) == []


def test_encoded_body_is_415(start, empty):
    service = start()
    post(service, ONE, headers={**JSON, "Content-Encoding": "gzip"}).problem(415)
    assert names(empty) == []
    assert post(service, ONE, headers={**JSON, "Content-Encoding": "identity"}).status == 200


def test_unknown_sink_is_404(start):
    problem = post(start(), ONE, "/sinks/peeple").problem(404)
    assert "peeple" in problem["detail"] and "/sinks" in problem["hint"]


def test_bad_parameter_is_400(start, empty):
    assert "is_full" in post(start(), ONE, "/sinks/people?is_full=maybe").problem(400)["detail"]
    assert names(empty) == []


def test_other_methods_on_a_sink_are_405(start):
    service = start()
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        answer = service.get("/sinks/people", method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_without_credentials_it_is_401_however_long_the_body(start, empty):
    service = start(authentication={"type": "basic", "users": [{"username": "sesam", "password": "x"}]})
    post(service, ONE).problem(401)
    post(service, b" " * 5000000).problem(401)
    assert names(empty) == []
    allowed = {**JSON, "Authorization": "Basic " + base64.b64encode(b"sesam:x").decode()}
    assert post(service, ONE, headers=allowed).status == 200


def test_length_over_the_bound_is_413_before_the_body(start):
    with start(max_body_bytes=1000).raw(head(b"Content-Length: 1001")) as connection:
        received, _ = read_to_end(connection)  # and we did not send a byte
    assert received.startswith(b"HTTP/1.1 413 "), received
    assert b"max_body_bytes" in received


def test_client_that_asks_first_is_refused_at_once(start):
    ask = head(b"Content-Length: 10", b"Expect: 100-continue", path="/sinks/nobody")
    with start().raw(ask) as connection:
        received, _ = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 404 "), received


def test_connection_goes_on_after_a_refused_head(start):
    connection = start().connect()
    assert send(connection, b"x" * 300000, "/sinks/nobody")[0] == 404
    first = connection.sock
    assert send(connection, json.dumps(ONE))[0] == 200
    assert connection.sock is first
    connection.close()


# ---- errors while the body comes


def test_first_error_is_answered_when_the_body_is_over(start, empty):
    connection = start().connect()
    status, body = send(connection, b'[{"_id": BAD' + b" " * 3000000 + b"]")
    assert status == 400
    assert json.loads(body)["status"] == 400
    first = connection.sock
    assert send(connection, json.dumps(ONE))[0] == 200
    assert connection.sock is first
    connection.close()
    assert names(empty) == ["Kari"]


@pytest.mark.parametrize("body", [b"", b"[", b"nonsense", b'[{"_id": "1", "id": 1', b"[1]", b'"x"'])
def test_what_is_no_list_of_entities_is_400(start, empty, body):
    post(start(), body).problem(400)
    assert names(empty) == []


def test_body_that_grows_over_the_bound_is_413(start, empty):
    service = start(max_body_bytes=100000)
    connection = service.connect()
    pieces = (b"[" if i == 0 else b" " * 1000 for i in range(150))
    connection.request("POST", "/sinks/people", body=pieces, headers=JSON, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413
    assert json.loads(response.read())["status"] == 413
    first = connection.sock
    assert send(connection, json.dumps(ONE))[0] == 200
    assert connection.sock is first
    connection.close()


def test_body_that_never_ends_is_cut_off(start, empty):
    service = start(max_body_bytes=100000)
    with service.raw(head(b"Transfer-Encoding: chunked")) as connection:
        with pytest.raises(ConnectionError):
            while True:
                connection.sendall(chunk(b" " * 10000))
    assert post(service, ONE).status == 200


# ---- clients that go away


def test_client_that_leaves_in_the_middle_leaves_nothing(start, empty):
    service = start(max_connections=1)
    body = json.dumps(ONE).encode()
    with service.raw(head(b"Content-Length: %d" % (len(body) + 1)) + body):
        pass
    eventually(lambda: "the client went away" in service.log())
    eventually(lambda: post(service, [{"_id": "2", "id": 2, "name": "Ola"}]).status == 200)
    assert names(empty) == ["Ola"]


def test_push_in_progress_keeps_its_place(start, empty):
    service = start(max_connections=1)
    body = json.dumps(ONE).encode()
    with service.raw(head(b"Content-Length: %d" % len(body), b"Connection: close", b"Expect: 100-continue")) as connection:
        assert receive_head(connection).startswith(b"HTTP/1.1 100 ")  # so it has its place
        connection.sendall(body[:5])
        refused = post(service, [])
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert service.get("/health").status == 200
        connection.sendall(body[5:])
        received, _ = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 200 "), received
    assert names(empty) == ["Kari"]


def test_push_in_progress_is_finished_when_the_service_stops(start, empty):
    service = start()
    body = json.dumps(ONE).encode()
    with service.raw(head(b"Content-Length: %d" % len(body), b"Expect: 100-continue")) as connection:
        assert receive_head(connection).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body[:5])
        service.process.send_signal(signal.SIGTERM)
        eventually(lambda: "stopping" in service.log())
        connection.sendall(body[5:])
        received, _ = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 200 "), received
    assert b"Connection: close" in received
    assert service.process.wait(60) == 0
    assert names(empty) == ["Kari"]


# ---- time


@contextlib.contextmanager
def locked(database):
    """Nobody else can write into the table meanwhile."""
    connection = database.connect(autocommit=False)
    cursor = connection.cursor()
    lock = {"sqlite": "begin immediate", "mysql": "lock tables people write"}
    cursor.execute(lock.get(database.type, "lock table people in exclusive mode"))
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.fixture
def people(db, service):
    """A database of each kind with that table, and start(**listen) for it."""
    create(db, "people", "id integer not null primary key, name {text}")
    db.start = lambda **listen: service(config_for(db, **listen))
    return db


def test_push_that_cannot_be_committed_in_time_is_503_and_undone(people):
    service = people.start(request_timeout=1)
    connection = service.connect()
    with locked(people):
        status, body = send(connection, json.dumps(ONE))
    assert status == 503, body
    assert "request_timeout" in json.loads(body)["detail"]
    assert names(people) == []
    assert send(connection, json.dumps(ONE))[0] == 200
    connection.close()
    assert names(people) == ["Kari"]


def test_client_that_leaves_while_its_push_waits_leaves_nothing(people):
    service = people.start(max_connections=1)
    body = json.dumps(ONE).encode()
    with locked(people):
        with service.raw(head(b"Content-Length: %d" % len(body)) + body):
            time.sleep(0.5)  # so that it mostly waits in the database by then
        eventually(lambda: "the client went away" in service.log())
    eventually(lambda: service.get("/sources/people").status == 200)
    assert names(people) == []


def test_slow_body_has_all_the_time_it_takes(start, empty):
    body = json.dumps(ONE).encode()
    with start(request_timeout=2).raw(head(b"Content-Length: %d" % len(body), b"Connection: close")) as connection:
        for i in range(0, len(body), 5):
            connection.sendall(body[i:i + 5])
            time.sleep(0.4)
        received, _ = read_to_end(connection)
    assert received.startswith(b"HTTP/1.1 200 "), received
    assert names(empty) == ["Kari"]


def test_body_that_stops_coming_is_cut_off(start, empty):
    service = start(request_timeout=1)
    with service.raw(head(b"Content-Length: 100") + b"[") as connection:
        received, _ = read_to_end(connection)
    assert received == b""
    eventually(lambda: "sent nothing" in service.log())
    assert names(empty) == []


def test_body_that_waits_for_others_is_not_taken_for_idle(start, empty):
    """What one push holds lets the other wait for longer than a client may be idle."""
    service = start(request_timeout=1, max_buffered_bytes=200000)
    people = [{"_id": str(i), "id": i, "name": "x" * 1000} for i in range(300)]
    first, second = (json.dumps(people[i::2]).encode() for i in range(2))
    answers = []
    with service.raw(head(b"Content-Length: %d" % len(first), b"Connection: close")) as connection:
        connection.sendall(first[:-20])
        time.sleep(0.5)  # so that it mostly is the one that holds
        waiting = threading.Thread(target=lambda: answers.append(post(service, second)), daemon=True)
        waiting.start()
        for i in range(-20, 0):
            connection.sendall(first[i:][:1])
            time.sleep(0.15)
        received, _ = read_to_end(connection)
    waiting.join()
    assert received.startswith(b"HTTP/1.1 200 "), received
    assert answers[0].status == 200, answers[0].body
    assert len(names(empty)) == 300


# ---- the list


def test_sinks_are_listed(service, empty):
    config = config_for(empty)
    config["sinks"]["locked"] = {"system": "db", "table": "people", "optimistic_lock": {"column": "version"},
                                 "on_conflict": "skip"}
    sinks = service(config).get("/sinks").json()
    assert sinks == [
        {"name": "people", "system": "db", "table": "people", "optimistic_lock": "none", "on_conflict": "reject"},
        {"name": "locked", "system": "db", "table": "people", "optimistic_lock": "column", "on_conflict": "skip"}]


def test_chunks_of_a_client_library_arrive(start, empty):
    connection = http.client.HTTPConnection("127.0.0.1", start().port, timeout=60)
    body = (piece.encode() for piece in ('[{"_id":"1",', '"id":1,"name":', '"Kari"}', "]"))
    connection.request("POST", "/sinks/people", body=body, headers=JSON, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["inserted"]) == (200, 1)
    connection.close()
    assert names(empty) == ["Kari"]
