"""Who may ask."""

import base64

import pytest

from conftest import config_of, create


@pytest.fixture
def people(sqlite):
    sqlite.dialect = {"mark": "?"}
    create(sqlite, "people", "id integer not null primary key", [(1,), (2,)])
    return config_of(sqlite, people={"table": "people"})


def basic(username, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


USERS = {"type": "basic", "users": [{"username": "sesam", "password": "right:one"},
                                    {"username": "other", "password": "\u00f8"}]}
TOKENS = {"type": "bearer", "tokens": ["first-token", "second-token"]}


def test_without_authentication_everybody_may_ask(people, service):
    for authentication in ({}, {"authentication": {"type": "none"}}):
        people["listen"] = authentication
        assert service(people).get("/sources/people").status == 200


@pytest.mark.parametrize("headers", [basic("sesam", "right:one"), basic("other", "ø")])
def test_right_password_is_let_in(people, service, headers):
    people["listen"] = {"authentication": USERS}
    assert service(people).get("/sources/people", headers=headers).status == 200


@pytest.mark.parametrize("headers", [
    {}, basic("sesam", "wrong"), basic("sesam", ""), basic("", "right:one"), basic("nobody", "right:one"),
    basic("sesam", "right:on"), basic("sesam", "right:onee"), basic("other", "right:one"), bearer("right:one"),
    {"Authorization": "Basic !!!"}, {"Authorization": "Basic"}, {"Authorization": ""},
    {"Authorization": "Basic " + base64.b64encode(b"sesam").decode()},
    {"Authorization": "Basic " + "A" * 20000}], ids=range(14))
def test_wrong_password_is_401_with_a_challenge(people, service, headers):
    people["listen"] = {"authentication": USERS}
    answer = service(people).get("/sources/people", headers=headers)
    answer.problem(401)
    assert answer.headers["WWW-Authenticate"].lower().startswith("basic")
    assert b"_id" not in answer.body


@pytest.mark.parametrize("token", ["first-token", "second-token"])
def test_right_token_is_let_in(people, service, token):
    people["listen"] = {"authentication": TOKENS}
    running = service(people)
    assert running.get("/sources/people", headers=bearer(token)).status == 200
    assert running.get("/sources/people", headers={"authorization": f"bearer {token}"}).status == 200


@pytest.mark.parametrize("headers", [{}, bearer(""), bearer("first"), bearer("first-tokenx"), bearer("x" * 5000),
                                     basic("first-token", ""), {"Authorization": "Bearer"}], ids=range(7))
def test_wrong_token_is_401_with_a_challenge(people, service, headers):
    people["listen"] = {"authentication": TOKENS}
    answer = service(people).get("/sources/people", headers=headers)
    answer.problem(401)
    assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")


def test_health_and_readiness_need_none(people, service):
    people["listen"] = {"authentication": USERS}
    running = service(people)
    assert running.get("/health").status == 200
    assert running.get("/ready").status == 200


def test_everything_else_needs_it(people, service):
    people["listen"] = {"authentication": USERS}
    running = service(people)
    for path in ("/", "/sources", "/sinks", "/status", "/metrics", "/openapi.json", "/sources/people",
                 "/sources/nobody", "/nothing"):
        assert running.get(path).status == 401, path
        assert running.get(path, method="POST").status == 401, path


def test_names_are_not_told_to_those_without_a_password(people, service):
    people["listen"] = {"authentication": USERS}
    running = service(people)
    there, not_there = running.get("/sources/people"), running.get("/sources/nobody")
    assert there.status == not_there.status == 401
    assert there.json()["detail"] == not_there.json()["detail"]


def test_password_stays_out_of_the_log(people, service):
    people["listen"] = {"authentication": USERS}
    people["log"] = {"level": "debug"}
    running = service(people)
    running.get("/sources/people", headers=basic("sesam", "wrong-canary-1"))
    running.get("/sources/people", headers=basic("sesam", "right:one"))
    running.stop()
    for secret in ("right:one", "wrong-canary-1", base64.b64encode(b"sesam:right:one").decode()):
        assert secret not in running.log()


def test_open_service_on_every_address_must_say_so(people, service):
    people["listen"] = {"address": "0.0.0.0", "authentication": {"type": "none"}}
    assert service(people).get("/sources/people").status == 200
