"""Secrets show nowhere: each place where one can stand gets a canary, and all that the program says is searched."""

import base64
import itertools
import json
import os
import urllib.parse

import pytest

import servers
from conftest import create, eventually, read_to_end
from pushing import Sync, push

T = "2024-05-01 10:00:0"


class Cage:
    """Hands out canaries, collects whatever was said, and finds them in it."""

    def __init__(self):
        self.birds = {}
        self.said = []
        self.numbers = itertools.count(1)

    def bird(self, name):
        self.birds[name] = f"canary{next(self.numbers)}+/ø{name.replace(' ', '-')}#7d41"
        return self.birds[name]

    def hear(self, where, text):
        self.said.append((where, text if isinstance(text, bytes) else text.encode()))

    def forms(self, name):
        """As it is, as JSON and a URL write it, and as a client encodes it with the user before it."""
        bird = self.birds[name]
        yield bird.encode()
        yield json.dumps(bird)[1:-1].encode()
        yield urllib.parse.quote(bird, safe="").encode()
        for before in ("", "sesam:", "nobody:"):
            yield base64.b64encode((before + bird).encode()).rstrip(b"=")

    def silent(self):
        assert self.said
        for name in self.birds:
            for form in self.forms(name):
                for where, text in self.said:
                    at = text.find(form)
                    assert at < 0, f"{name} in {where}: {text[max(at - 300, 0):at + 200]!r}"


@pytest.fixture
def cage():
    return Cage()


def listen_to(cage, running):
    """All that a service left, once it ended."""
    with open(f"/proc/{running.process.pid}/cmdline", "rb") as line:
        cage.hear("cmdline", line.read())
    running.stop()
    cage.hear("the log", running.log())


def heard(cage, done, where):
    cage.hear(f"output of {where}", done.stdout)
    cage.hear(f"errors of {where}", done.stderr)
    return done


# ---- secrets of systems and clients


def system_user(database, password):
    """A role of the database with this password."""
    if database.type == "postgresql":
        if not database.sql("select 1 from pg_roles where rolname = 'service_test_secret'"):
            database.sql("create role service_test_secret login")
        database.sql("alter role service_test_secret password %s", (password,))
        database.sql("grant select, insert, update, delete on people to service_test_secret")
    else:
        database.sql("create or replace user service_test_secret@'%%' identified by %s", (password,))
        database.sql("grant select, insert, update, delete on people to service_test_secret@'%'")
    return {**database.system(), "username": "service_test_secret", "password": password}


@pytest.fixture
def databases(cage, postgresql, mariadb, sqlite, tmp_path):
    """Systems that work, with secrets from everywhere, and systems that do not."""
    environment = {"PG_SECRET": cage.bird("password from the environment"),
                   "BAD_SECRET": cage.bird("refused from there")}
    secret = tmp_path / "secret"
    secret.write_text(cage.bird("password from a file") + "\n", encoding="utf-8")
    for database, mark, kind in ((postgresql, "%s", "timestamptz"), (mariadb, "%s", "datetime(6)"),
                                 (sqlite, "?", "datetime")):
        database.dialect = {"mark": mark, "datetime": kind}
        create(database, "people", "id integer not null primary key, name varchar(100), updated {datetime}",
               [(1, "Kari", T + "1"), (2, "Ola", T + "2")])
    pg = system_user(postgresql, environment["PG_SECRET"])
    my = system_user(mariadb, secret.read_text(encoding="utf-8").strip())
    away = servers.free_port()
    systems = {
        "pg": {**pg, "password": "${PG_SECRET}"}, "my": {**my, "password": "${file:%s}" % secret},
        "lite": sqlite.system(),
        "pg_bad": {**pg, "password": "${BAD_SECRET}"}, "my_bad": {**my, "password": cage.bird("refused by MariaDB")},
        "pg_away": {**pg, "port": away, "password": cage.bird("of a server that is away")},
        "my_away": {**my, "port": away, "password": cage.bird("of another server that is away")},
        "pg_name": {**pg, "host": "nowhere.invalid", "password": cage.bird("of a host without address")},
        "my_name": {**my, "host": "nowhere.invalid", "password": cage.bird("of another host without address")},
        "pg_tls": {**pg, "sslmode": "verify-full", "password": cage.bird("of a server without TLS")},
        "my_tls": {**my, "sslmode": "verify-full", "password": cage.bird("of another server without TLS")},
        "pg_none": {**pg, "database": "nothing"}, "my_none": {**my, "database": "nothing"},
    }
    yield systems, environment
    postgresql.sql("drop owned by service_test_secret")
    postgresql.sql("drop role service_test_secret")
    mariadb.sql("drop user service_test_secret@'%'")


def config_of_all(systems, level="debug", form="text", authentication=None):
    return {"systems": {name: {"pool_timeout": 10, **system} for name, system in systems.items()},
            "log": {"level": level, "format": form},
            "listen": {"authentication": authentication or {"type": "none"}},
            "sources": {name: {"system": name, "table": "people", "updated_column": "updated", "late_commits": "ignore"}
                        for name in systems},
            "sinks": {name: {"system": name, "table": "people"} for name in systems}}


PATHS = ("/", "/health", "/ready", "/metrics", "/status", "/sources", "/sinks", "/openapi.json", "/nothing")


def ask_everything(cage, running, systems, headers):
    """Everything that can be asked for, and in ways that it should not."""
    def ask(path, **more):
        answer = running.get(path, **{"headers": headers, **more})
        cage.hear(f"the answer to {path}", answer.body + str(answer.headers).encode())
        return answer

    for path in PATHS:
        ask(path)
    for name in systems:
        ask(f"/ready?system={name}")
        ask(f"/sources/{name}")
        ask(f"/sources/{name}?since=nonsense&limit=x")
        ask(f"/sinks/{name}", method="POST", body=b'[{"_id": "1", "name": "Kari"}]',
            headers={**headers, "Content-Type": "application/json"})
        ask(f"/sinks/{name}", method="POST", body=b'[{"_id": "1", ', headers=headers)
        ask(f"/sinks/{name}", method="DELETE")


def malformed(headers):
    """Requests that are none, with the header in them."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    yield b"GET /sources/pg HTTP/1.1\r\n" + lines + b"Content-Length: x\r\n\r\n"
    yield b"GET /sources/pg HTTP/9.9\r\nHost: x\r\n" + lines + b"\r\n"
    yield b"FLY /sources/pg HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n"
    yield b"GET /\xff\xfe%zz HTTP/1.0\r\n" + lines + b"\r\n"
    yield b"POST /sinks/pg HTTP/1.1\r\nHost: x\r\n" + lines + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    yield b"POST /sinks/pg HTTP/1.1\r\nHost: x\r\n" + lines + b"Content-Length: 1000\r\n\r\n[{"
    yield lines + lines


@pytest.mark.parametrize("form", ["text", "json"])
def test_service_never_tells_a_secret(cage, databases, service, form):
    systems, environment = databases
    right = cage.bird("password of a client")
    tokens = [cage.bird(name).replace("ø", "o") for name in ("token", "another token")]
    cage.birds.update(zip(("token", "another token"), tokens))
    basic = {"type": "basic", "users": [{"username": "sesam", "password": right},
                                        {"username": "other", "password": cage.bird("password of another client")}]}
    bearer = {"type": "bearer", "tokens": tokens}

    def header(kind, text):
        text = base64.b64encode(text.encode()).decode() if kind == "Basic" else urllib.parse.quote(text, safe="")
        return {"Authorization": f"{kind} {text}"}

    if form == "json":
        authentication, good = bearer, {"Authorization": f"Bearer {tokens[0]}"}
    else:
        authentication, good = basic, header("Basic", f"sesam:{right}")
    running = service(config_of_all(systems, form=form, authentication=authentication), environment=environment)
    ask_everything(cage, running, systems, good)
    assert running.get("/sources/pg", headers=good).status == 200
    assert running.get("/sources/my", headers=good).status == 200
    wrong = cage.bird("wrong password")
    for bad in (header("Basic", f"sesam:{wrong}"), header("Basic", f"nobody:{wrong}"), header("Bearer", wrong),
                header("Basic", wrong), {"Authorization": f"Digest {urllib.parse.quote(wrong, safe='')}"}):
        for path in ("/sources/pg", "/status", "/metrics", "/ready", "/nothing"):
            answer = running.get(path, headers=bad)
            cage.hear(f"the refusal of {path}", answer.body + str(answer.headers).encode())
    for headers in (good, header("Basic", f"sesam:{wrong}")):
        for request in malformed(headers):
            connection = running.raw(request)
            connection.shutdown(1)
            cage.hear("the answer to a malformed request", read_to_end(connection)[0])
            connection.close()
    listen_to(cage, running)
    assert len(running.log()) > 2000
    cage.silent()


def test_commands_never_tell_a_secret(cage, databases, run):
    systems, environment = databases
    config = config_of_all(systems)
    config["listen"]["authentication"] = {
        "type": "basic", "users": [{"username": "sesam", "password": cage.bird("password of a client")}]}
    assert heard(cage, run("check", config=config, environment=environment), "check").returncode == 1
    for name in systems:
        done = heard(cage, run("pull", name, config=config, environment=environment), f"pull {name}")
        assert (done.returncode == 0) == (name in ("pg", "my", "lite"))
    for kind in ("postgresql", "mysql", "sqlite"):
        heard(cage, run("ddl", kind, config=config, environment=environment), f"ddl {kind}")
        done = heard(cage, run("ddl", kind, "--roles", config=config, environment=environment), f"ddl {kind} --roles")
        assert done.returncode == 0
        one = {**config, "systems": {name: system for name, system in config["systems"].items()
                                     if system["type"] == kind}}
        for part in ("sources", "sinks"):
            one[part] = {name: entry for name, entry in config[part].items() if entry["system"] in one["systems"]}
        heard(cage, run("ddl", kind, "--table", "people", config=one, environment=environment), f"ddl {kind} --table")
    cage.silent()


def test_wrong_configuration_never_tells_a_secret(cage, run, sqlite):
    """Secrets where they belong beside mistakes, and where they do not belong at all."""
    secret = cage.bird("password")
    pg = {"type": "postgresql", "host": "127.0.0.1", "port": 1, "database": "x", "username": "x"}
    entry = {"systems": {"db": sqlite.system()}, "sources": {"people": {"system": "db", "table": "people"}}}
    users = [{"username": "sesam", "password": secret}]
    for system in (
            {**pg, "password": secret, "sslmode": secret}, {**pg, "pasword": secret}, {**pg, "password": [secret]},
            {**pg, "password": {"x": secret}}, {**pg, "password": "${%s}" % secret},
            {**pg, "port": secret},
            {**pg, "host": f"postgresql://x:{secret}@db"}, {**pg, "host": f"x:{secret}@127.0.0.1"},
            {**pg, "host": f"mysql://x:{secret}@db:3306/x", "type": "mysql"},
            {**pg, "type": "mysql", "host": f"x:{secret}@db"},
            {**pg, "host": f"db?password={secret}"}, {**pg, "host": f"host=db password={secret}"},
            {**pg, "database": f"postgresql://x:{secret}@db/x"}, {**pg, "database": f"dbname=x password={secret}"},
            {**pg, "timezone": secret}, {**pg, "type": secret}):
        for command in (["check"], ["pull", "pg"]):
            config = {"systems": {"pg": {"pool_timeout": 3, **system}}, "log": {"level": "debug"},
                      "sources": {"pg": {"system": "pg", "table": "x"}}}
            done = heard(cage, run(*command, config=config), f"{command[0]} of {system}".replace(secret, "?"))
            assert done.returncode
    for listen in ({"authentication": {"type": "basic", "users": [{"username": "x", "pasword": secret}]}},
                   {"authentication": {"type": "bearer", "users": users}}, {"authentication": {"type": secret}},
                   {"authentication": {"type": "basic", "users": [{"username": f"x:{secret}", "password": secret}]}},
                   {"authentication": {"type": "bearer", "tokens": [[secret]]}},
                   {"authentication": {"type": "bearer", "tokens": secret}}, {"address": secret}, {"port": secret}):
        done = heard(cage, run("check", config={**entry, "listen": listen}), f"check of {listen}".replace(secret, "?"))
        assert done.returncode
    for text in ('{"systems": {"pg": {"password": "%s"', '{"systems": {"pg": {"password": "%s" "host": 1}}}',
                 '{"password": "%s", "password": "%s"}', "%s"):
        assert heard(cage, run("check", config=text.replace("%s", secret)), "check of no JSON").returncode
    cage.silent()


# ---- values of rows


VALUES = ("id integer not null primary key, name varchar(20) not null unique, age integer not null check (age < 200),"
          " born date")


def test_values_of_rows_are_in_no_log(cage, db, service):
    """But for the _id of the entity that was refused."""
    create(db, "people", VALUES)
    bird, since, body, parameter = (cage.bird(name) for name in ("name of a row", "since", "body", "parameter"))
    cage.birds = {name: one[:12] for name, one in cage.birds.items()}  # the beginning of one is too much already
    bird = bird[:20]
    sources = {"people": {"table": "people", "updated_column": "age", "late_commits": "ignore"},
               "some": {"query": "select * from people where name = :name and age < :age", "primary_key": "id",
                        "parameters": {"name": {"type": "string"}, "age": {"type": "integer", "default": 5}}}}
    config = {"systems": {"db": db.system()},
              "sources": {name: {"system": "db", **source} for name, source in sources.items()},
              "sinks": {"people": {"system": "db", "table": "people"}}}
    running = service(config)
    good = {"_id": "1", "name": bird, "age": 30, "born": "~t2024-01-01" if db.type == "sqlite" else "2024-01-01"}
    assert push(running, "people", [{**good, "born": None}]).status == 200
    for changed in ({"_id": "2"}, {"_id": "2", "name": body}, {"_id": "2", "name": None, "born": bird}, {"age": bird},
                    {"age": 1000, "_id": "2", "name": body[:19]}, {"_id": "2", "name": body[:20], "age": "1e9999"},
                    {"born": body}, {"name": {"x": body}}, {"name": [body]}, {"nome": body}, {"age": 2 ** 70},
                    {"_id": "x"}, {"_id": None, "name": body}):
        answer = push(running, "people", [{**good, **changed}])
        assert answer.status in (200, 400, 422), answer.body
    for text in (f'[{{"_id": "1", "name": "{body}"', f'[{{"_id": "1", "{body}": tru}}]', f'"{body}"',
                 f'[{{"{body}": 1}}]', body):
        assert push(running, "people", text.encode()).status in (400, 422)
    sync = Sync(running, "people")
    assert sync.first([good]).status in (200, 422)
    for parameters in ({"since": since}, {"since": f"2024-01-01T00:00:00Z{since}"},
                       {"subset": json.dumps(["eq", "_S.age", since])},
                       {"subset": json.dumps(["eq", "_S." + body, since])}, {"limit": body}, {"subset": body}):
        assert running.get("/sources/people", parameters).status in (400, 404, 410)
    for parameters in ({"name": parameter}, {"name": parameter, "age": parameter}, {"age": "1e99" + parameter}):
        running.get("/sources/some", parameters)
    token = running.pull("people")[0]["_updated"]
    running.get("/sources/people", {"since": token[:-1] + since})
    db.sql("drop table people")
    eventually(lambda: running.get("/sources/people").status == 500)
    assert push(running, "people", [good]).status == 500
    listen_to(cage, running)
    assert "answered 4" in running.log()
    cage.silent()
