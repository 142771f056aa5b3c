"""What the service answers to what it should not be asked."""

import concurrent.futures
import contextlib
import json

import pytest

import servers
from conftest import DIALECTS, config_of, create, eventually, read_to_end

T = "2024-05-01 10:00:0"


@pytest.fixture
def people(sqlite, service):
    """A service with a source of three people, and one of a table that is not there."""
    sqlite.dialect = {"mark": "?"}
    create(sqlite, "people", "id integer not null primary key, name text, updated datetime",
           [(1, "Kari", T + "1"), (2, "Ola", T + "2"), (3, "Sven", T + "3")])
    query = "select id from people where name = :name"
    return service(config_of(
        sqlite, people={"table": "people", "updated_column": "updated"}, gone={"table": "peeple"},
        named={"query": query, "primary_key": "id", "parameters": {"name": {"type": "string", "default": "Ola"}}}))


def status_line(connection):
    received, _ = read_to_end(connection)
    return received.split(b"\r\n", 1)[0]


def ask(service, request):
    """The status of the answer to these bytes; None when the connection was just closed."""
    with service.raw(request) as connection:
        line = status_line(connection)
        return int(line.split()[1]) if line else None


def alive(service):
    return len(service.pull("people")) == 3


# ---- requests that are odd


def test_query_string_of_64_kb_is_refused_and_harms_nothing(people):
    try:
        answer = people.get("/sources/people?since=" + "a" * 65536)
        assert 400 <= answer.status < 500
    except ConnectionError:
        pass  # cut off while it was still sending
    assert alive(people)


@pytest.mark.parametrize("head, status", [
    (b"GET /sources/people?since=" + b"1" * 70000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70000 + b"\r\n\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 9000 + b"\r\n", 431),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20000 + b"\r\nConnection: close\r\n\r\n", 200)],
    ids=["address", "header", "many headers", "not too large"])
def test_head_that_is_too_large_is_told_so(people, head, status):
    with people.raw() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
        with contextlib.suppress(ConnectionError):  # what was not read lets the answer be followed by a reset
            assert connection.recv(65536).startswith(b"HTTP/1.1 %d " % status)
    assert alive(people)


@pytest.mark.parametrize("path", ["/sources/people?since=2024-05-01%00", "/sources/named?name=Ola%00x",
                                  "/sources/people%00x", "/sources/people?limit=1%00", "/sources/people?%00=1"])
def test_nul_in_the_address_is_refused(people, path):
    assert people.get(path).status in (400, 404)
    assert alive(people)


@pytest.mark.parametrize("query", ["limit=1&limit=2", "since=2024-05-01&since=2024-05-02", "since=2024-05-01&since="])
def test_parameter_given_twice_is_refused(people, query):
    assert people.get("/sources/people?" + query).problem(400)


def test_source_parameter_given_twice_is_refused(people):
    problem = people.get("/sources/named?name=Ola&name=Kari").problem(400)
    assert "name" in problem["detail"]


def test_length_and_chunks_together_are_refused(people):
    for body in (b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"):
        request = (b"POST /sources/people HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                   b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + body)
        assert ask(people, request) == 400
    request = (b"GET /sources/people HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
               b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n")
    assert ask(people, request) == 400
    assert alive(people)


def test_smuggled_request_is_not_answered(people):
    request = (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"0\r\n\r\nGET /sources/people HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    with people.raw(request, timeout=5) as connection:
        try:
            received, _ = read_to_end(connection)
        except TimeoutError:
            received = b""
    assert b"Kari" not in received


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_other_methods_on_a_source_are_refused(people, method):
    answer = people.get("/sources/people", method=method)
    answer.problem(405)
    assert "GET" in answer.headers["Allow"]
    assert alive(people)


NO_REQUESTS = {
    "empty": b"\r\n\r\n", "no address": b"GET\r\n\r\n", "unknown version": b"GET / HTTP/9.9\r\n\r\n",
    "binary": b"\x00\x01\x02\r\n\r\n", "no version": b"GET /sources/people\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    "great header": b"GET /sources/people HTTP/1.1\r\nX: " + b"y" * 200000 + b"\r\n\r\n",
    "many headers": b"GET /sources/people HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n"}


@pytest.mark.parametrize("request_bytes", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_what_is_no_request_harms_nothing(people, request_bytes):
    with people.raw() as connection:
        connection.settimeout(3)
        try:
            connection.sendall(request_bytes)
            read_to_end(connection)
        except (TimeoutError, ConnectionError):
            pass
    assert alive(people)


def test_three_hundred_connections_at_once_are_borne(people):
    def one(_):
        try:
            return people.get("/sources/people").status
        except OSError:
            return None

    with concurrent.futures.ThreadPoolExecutor(300) as pool:
        statuses = list(pool.map(one, range(300)))
    assert set(statuses) <= {200, 503, None}
    assert statuses.count(200) >= 64
    assert eventually(lambda: alive(people))


def test_idle_connections_do_not_keep_others_out_for_ever(people):
    idle = [people.raw() for _ in range(20)]
    assert alive(people)
    for connection in idle:
        connection.close()


# ---- names and values


@pytest.mark.parametrize("path", ["/sources/nobody", "/sources/", "/nothing", "/sources/people/1",
                                  "/sources/../sources/nobody", "/sources/Pe%6fple", "/sources/people;drop"])
def test_unknown_names_are_404(people, path):
    problem = people.get(path).problem(404) if path != "/sources/" else None
    assert problem or people.get(path).status in (200, 404)
    assert alive(people)


@pytest.mark.parametrize("since", ["nonsense", "2024-13-01", "2024-05-01T25:00:00Z", "~t", "~", "1.5", "-",
                                   "2024-05-01T10:00:00Zx", "\u00e6", "' or '1'='1",
                                   pytest.param("9" * 400, id="many digits")])
def test_bad_since_is_400_and_the_accepted_forms_are_told(people, since):
    problem = people.get("/sources/people", {"since": since}).problem(400)
    assert "since" in problem["detail"]
    assert "2" in problem["detail"] + problem.get("hint", "")  # an example of a datetime
    assert alive(people)


@pytest.mark.parametrize("since", ["12", pytest.param("0" * 3000, id="many zeros"), "true"])
def test_since_of_another_type_is_400(postgresql, mariadb, service, since):
    for database in (postgresql, mariadb):
        database.dialect = DIALECTS[database.type]
        create(database, "people", "id integer not null primary key, updated {datetime}", [(1, T + "1")])
        running = service(config_of(database, people={"table": "people", "updated_column": "updated"}))
        running.get("/sources/people", {"since": since}).problem(400)


@pytest.mark.parametrize("limit", [2**63 - 2, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1, 2**64, 10**30])
def test_limit_beyond_all_numbers_is_none(people, limit):
    assert len(people.get("/sources/people", {"limit": limit}).entities()) == 3


@pytest.mark.parametrize("limit", ["-1", "1.5", "x", "1x", "0x10", "1e3", "+ 1"])
def test_bad_limit_is_400(people, limit):
    assert "limit" in people.get("/sources/people", {"limit": limit}).problem(400)["detail"]


@pytest.mark.parametrize("subset", [
    "nonsense", "[]", "{}", '["eq"]', '["eq", "_S.nobody", 1]', '["neq", "_S.id", 1]', '["eq", "id", 1]',
    '["eq", "_S.id", 1, 2]', '["eq", "_S.id", [1]]', '["eq", 1, "_S.id"]', pytest.param("[" * 5000, id="deep"),
    '["eq", "_S.id", 1]x'])
def test_unknown_subset_is_404(people, subset):
    people.get("/sources/people", {"subset": subset}).problem(404)
    assert alive(people)


def test_subset_of_another_type_is_no_server_error(people):
    for value in ("x", True, 1.5, "1", 99999999999999999999, None):
        answer = people.get("/sources/people", {"subset": json.dumps(["eq", "_S.id", value])})
        assert answer.status in (200, 400, 404), answer.body
        assert answer.status != 200 or len(answer.json()) <= 1


def test_value_that_is_not_utf8_is_refused(people):
    assert people.get("/sources/named?name=%ff%fe").status in (200, 400)
    assert people.get("/sources/people?since=%ff").status == 400
    assert people.get("/sources/people%ff").status == 404
    assert alive(people)


def test_problem_has_its_five_members(people):
    problem = people.get("/sources/people", {"since": "nonsense"}).problem(400)
    assert problem["hint"]
    assert set(problem) >= {"type", "title", "status", "detail", "hint"}


# ---- the configuration's fault


def test_missing_table_is_500_and_the_hint_names_the_nearest(people):
    problem = people.get("/sources/gone").problem(500)
    assert "peeple" in problem["detail"]
    assert "people" in problem["hint"]
    assert alive(people)


def test_missing_updated_column_is_500_and_the_hint_names_the_nearest(db, service):
    create(db, "people", "id integer not null primary key, updated {datetime}")
    problem = service(config_of(db, people={"table": "people", "updated_column": "updatet"})).get(
        "/sources/people").problem(500)
    assert "updatet" in problem["detail"]
    assert "updated" in problem["hint"]


def test_missing_key_column_is_500_and_the_hint_names_the_nearest(db, service):
    create(db, "people", "id integer not null primary key, number integer not null")
    problem = service(config_of(db, people={"table": "people", "primary_key": "numbr"})).get(
        "/sources/people").problem(500)
    assert "numbr" in problem["detail"] and "number" in problem["hint"]


def test_broken_query_is_500(db, service):
    problem = service(config_of(db, broken={"query": "selekt 1 as id", "primary_key": "id"})).get(
        "/sources/broken").problem(500)
    assert problem["detail"]


def test_missing_right_is_500_with_the_grant(postgresql, service):
    postgresql.sql("create table secrets (id int primary key)")
    postgresql.sql("drop role if exists service_test_reader")
    postgresql.sql("create role service_test_reader login password 'reader'")
    try:
        config = config_of(postgresql, secrets={"table": "secrets"})
        config["systems"]["db"].update(username="service_test_reader", password="reader")
        problem = service(config).get("/sources/secrets").problem(500)
        assert "secrets" in problem["detail"]
        assert "grant" in problem["hint"].lower()
    finally:
        postgresql.sql("drop role service_test_reader")


# ---- the database is away


def test_database_that_is_away_is_503(service):
    config = {"systems": {
        "pg": {"type": "postgresql", "host": "127.0.0.1", "port": servers.free_port(), "database": "x",
               "username": "x", "password": "x"},
        "my": {"type": "mysql", "host": "127.0.0.1", "port": servers.free_port(), "database": "x", "username": "x",
               "password": "x"}},
        "sources": {"one": {"system": "pg", "table": "t"}, "two": {"system": "my", "table": "t"}}}
    running = service(config)
    assert running.get("/health").status == 200
    for name in ("one", "two"):
        answer = running.get(f"/sources/{name}")
        answer.problem(503)
        assert int(answer.headers["Retry-After"]) > 0
    assert running.get("/ready").status == 503


def test_wrong_password_is_told_without_the_password(postgresql, mariadb, service):
    for database in (postgresql, mariadb):
        config = config_of(database, people={"table": "people"})
        config["systems"]["db"]["password"] = "canary-3c1f"
        running = service(config)
        answer = running.get("/sources/people")
        answer.problem(500)
        assert b"canary" not in answer.body
        assert "canary" not in running.log()
