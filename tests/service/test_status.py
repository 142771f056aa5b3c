"""/status: what the service says of itself."""

import base64
import datetime
import json

from conftest import eventually
from pushing import JSON, Sync, accepted, counts, push
from watching import named, people, settled, silent, stalled, status, stop_taking

SECRETS = ["canary-one", "canary-two", "canary-three", "canary-four", "canary-five"]


def moment(text):
    assert text.endswith("Z"), text
    return datetime.datetime.fromisoformat(text.removesuffix("Z"))


def conflicting(count, version=99, prefix=""):
    return [{"_id": str(i), "id": i, "name": f"{prefix}other {i}", "version": version} for i in range(1, count + 1)]


# ---- the shape


def test_a_fresh_service_has_done_nothing(sqlite, service):
    told = status(service(people(sqlite)))
    assert told["version"] and told["draining"] is False
    assert moment(told["started"]) <= moment(told["now"])
    assert told["requests"] == {"at_work": 0, "max": 64}
    assert told["buffered_bytes"] == {"used": 0, "max": 67108864, "waiting": 0}
    [system] = told["systems"]
    assert (system["name"], system["type"], system["error"]) == ("db", "sqlite", None)
    assert system["where"] == sqlite.system()["path"]
    assert system["pool"]["size"] == 10 and set(system["pool"]) == {"size", "open", "used", "waiting"}
    nothing = {"per_minute": [0] * 60, "this_minute": 0, "entities": 0, "bytes": 0, "failures": 0, "last": None}
    assert named(told["sources"], "people") == {
        "name": "people", "system": "db", "reads": "people", "tracking": "changed", "pulls": 0, "horizon": None, **nothing}
    assert named(told["sources"], "endless")["reads"] == "a query"
    assert named(told["sources"], "endless")["tracking"] is None
    assert named(told["sinks"], "people") == {
        "name": "people", "system": "db", "table": "people", "pushes": 0, "inserted": 0, "updated": 0, "unchanged": 0,
        "deleted": 0, "conflicts": 0, "full_sync": None, "last_conflicts": [], **nothing}


def test_it_needs_authentication(sqlite, service):
    config = people(sqlite, listen={"authentication": {"type": "basic", "users": [{"username": "a", "password": "b"}]}})
    running = service(config)
    running.get("/status").problem(401)
    word = base64.b64encode(b"a:b").decode()
    assert status(running, headers={"Authorization": f"Basic {word}"})["sources"]
    running.get("/status", method="POST").problem(401)


# ---- counts


def test_pulls_are_counted(sqlite, service):
    running = service(people(sqlite))
    length = len(running.get("/sources/people").body)
    length += len(running.get("/sources/people?limit=1").body)
    running.get("/sources/people?since=nonsense").problem(400)
    told = settled(running, "sources", "people", pulls=3)
    assert (told["failures"], told["entities"], told["bytes"]) == (1, 4, length)
    assert sum(told["per_minute"]) + told["this_minute"] == 4
    whole = status(running)
    assert moment(whole["started"]) < moment(told["last"]) <= moment(whole["now"])
    assert told["horizon"]["lag"] >= 0 and told["horizon"]["holder"] == ""


def test_a_pull_counts_while_it_goes_on(sqlite, service):
    running = service(people(sqlite))
    with stalled(running):
        told = named(status(running)["sources"], "endless")
        assert told["pulls"] == 0 and told["entities"] > 0 and told["bytes"] > 0
    told = settled(running, "sources", "endless", pulls=1)
    assert told["failures"] == 1 and sum(told["per_minute"]) + told["this_minute"] == told["entities"]


def test_pushes_are_counted(sqlite, service):
    running = service(people(sqlite))
    bodies = [[{"_id": "7", "name": "new"}], [{"_id": "1", "name": "other", "version": 1}, {"_id": "2", "name": "name 2"}],
              [{"_id": "3", "version": 1, "_deleted": True}], conflicting(2)]
    for entities in bodies:
        accepted(push(running, "people", entities))
    push(running, "people", b"[1]").problem(400)
    push(running, "people", b"[]", is_full="perhaps").problem(400)
    told = settled(running, "sinks", "people", pushes=6)
    assert [told[name] for name in ("failures", "entities", "inserted", "updated", "unchanged", "deleted", "conflicts")] == [
        2, 6, 1, 1, 1, 1, 2]
    assert told["bytes"] == sum(len(json.dumps(body)) for body in bodies) + len("[1]")
    assert sum(told["per_minute"]) + told["this_minute"] == 6
    assert told["last"] is not None


# ---- conflicts


def test_the_last_conflicts_are_kept_the_newest_first(sqlite, service):
    running = service(people(sqlite, count=12))
    push(running, "people", conflicting(12))
    push(running, "people", [{"_id": "3", "name": "\u00e6\"\n"}])
    told = settled(running, "sinks", "people", pushes=2)
    assert told["conflicts"] == 13
    kept = told["last_conflicts"]
    assert [conflict["_id"] for conflict in kept] == ["3", *[str(i) for i in range(12, 3, -1)]]
    assert kept[0]["reason"] == "exists" and kept[0]["actual"] == 1
    assert kept[1] == {"at": kept[1]["at"], "_id": "12", "reason": "version", "expected": 99, "actual": 1}
    times = [moment(conflict["at"]) for conflict in kept]
    assert times == sorted(times, reverse=True)


def test_conflicts_of_a_rejected_push_are_kept_too(sqlite, service):
    config = people(sqlite)
    config["sinks"]["people"]["on_conflict"] = "reject"
    running = service(config)
    push(running, "people", [*conflicting(1), {"_id": "2", "name": "other", "version": 1}]).problem(412)
    told = settled(running, "sinks", "people", pushes=1)
    assert (told["failures"], told["conflicts"], told["updated"]) == (1, 1, 0)
    assert [conflict["_id"] for conflict in told["last_conflicts"]] == ["1"]


def test_a_huge_conflict_leaves_its_reason(sqlite, service):
    running = service(people(sqlite))
    push(running, "people", [{"_id": "x" * 100000, "id": 1, "name": "other", "version": 2}])
    [kept] = settled(running, "sinks", "people", pushes=1)["last_conflicts"]
    assert kept["reason"] == "version" and len(kept["_id"]) < 100


# ---- full syncs


def test_an_open_full_sync_is_shown_until_its_last_request(sqlite, service):
    running = service(people(sqlite))
    sync = Sync(running, "people", "se\"quence \u00e6")
    assert counts(sync.first([{"_id": "1", "name": "name 1"}]))
    begun = settled(running, "sinks", "people", pushes=1)["full_sync"]
    assert (begun["sequence_id"], begun["requests"]) == ("se\"quence \u00e6", 1)
    sync.next([{"_id": "2", "name": "name 2"}], request_id="1", previous_request_id="x").problem(409)
    assert counts(sync.next([{"_id": "2", "name": "name 2"}]))
    sync.requests, sync.previous = 1, "1"
    assert counts(sync.next([{"_id": "2", "name": "name 2"}]))  # the same again counts once
    later = settled(running, "sinks", "people", pushes=4)["full_sync"]
    assert (later["requests"], later["begun"]) == (2, begun["begun"])
    assert moment(later["last"]) >= moment(begun["last"])
    assert counts(sync.last([]))
    assert settled(running, "sinks", "people", pushes=5)["full_sync"] is None


def test_another_process_shows_what_it_has_seen_itself(sqlite, service):
    config = people(sqlite)
    first = service(config)
    sync = Sync(first, "people")
    assert counts(sync.first([{"_id": "1", "name": "name 1"}]))
    sync.service = service(config)
    assert named(status(sync.service)["sinks"], "people")["full_sync"] is None
    assert counts(sync.next([{"_id": "2", "name": "name 2"}]))
    assert settled(sync.service, "sinks", "people", pushes=1)["full_sync"]["requests"] == 1


# ---- the log's last errors


def test_the_last_errors_of_the_log_are_kept_whatever_its_level(sqlite, service):
    config = people(sqlite)
    config["log"] = {"level": "error"}
    running = service(config)
    for i in range(25):
        running.get(f"/sources/nobody-{i}").problem(404)
    told = status(running)["errors"]
    assert [error["text"] for error in told[:2]] == [
        f"answered 404: there is no source 'nobody-{i}'; /sources lists them" for i in (24, 23)]
    assert len(told) == 20
    assert all(error["level"] == "warning" and error["subject"] == "http" for error in told)
    assert moment(told[0]["at"]) >= moment(told[-1]["at"])


def test_texts_of_clients_do_not_break_the_json(sqlite, service):
    running = service(people(sqlite))
    for name in ("%22%5c%0a%01", "%ff%c3", "\u00e6".encode() * 200):
        path = name.decode("latin-1") if isinstance(name, bytes) else name
        with running.raw(f"GET /sources/{path} HTTP/1.0\r\n\r\n".encode("latin-1")) as connection:
            assert connection.recv(9)
    told = eventually(lambda: len(found := status(running)["errors"]) == 3 and found)
    assert "\"\\\n\x01" in told[2]["text"] and "\ufffd" in told[1]["text"]


# ---- the configuration


def test_the_configuration_is_shown_without_secrets(sqlite, service, tmp_path):
    config = people(sqlite)
    (tmp_path / "secret").write_text(SECRETS[1] + "\n", encoding="utf-8")
    config["systems"]["other"] = {"type": "postgresql", "host": "${CANARY_HOST}", "port": 1, "database": "x",
                                  "username": "role", "password": "${CANARY}", "pool_timeout": 1}
    config["systems"]["third"] = {"type": "mysql", "host": "127.0.0.1", "port": "1", "database": "x", "username": "role",
                                  "password": "${file:" + str(tmp_path / "secret") + "}"}
    config["sources"]["other"] = {"system": "other", "query": ["select 1 as id where '${CANARY_QUERY}' = ''", "limit 1"],
                                  "primary_key": "id"}
    config["listen"] = {"authentication": {"type": "basic", "users": [
        {"username": "first", "password": SECRETS[2]}, {"username": "second", "password": "x${CANARY}"}]}}
    word = base64.b64encode(f"first:{SECRETS[2]}".encode()).decode()
    running = service(config, environment={"CANARY": SECRETS[0], "CANARY_HOST": "127.0.0.1", "CANARY_QUERY": SECRETS[3]})
    answer = running.get("/status", headers={"Authorization": f"Basic {word}"})
    assert answer.status == 200
    assert not [secret for secret in SECRETS if secret in answer.body.decode()]
    shown = answer.json()["configuration"]
    assert shown["systems"]["other"]["password"] == "***"
    assert shown["systems"]["third"]["password"] == "***"
    assert shown["listen"]["authentication"]["users"] == [{"username": "first", "password": "***"},
                                                          {"username": "second", "password": "***"}]
    assert shown["sources"]["other"]["query"][0] == "select 1 as id where '${CANARY_QUERY}' = ''"


def test_tokens_are_secrets(sqlite, service):
    config = people(sqlite, listen={"authentication": {"type": "bearer", "tokens": SECRETS[:2]}})
    running = service(config)
    answer = running.get("/status", headers={"Authorization": f"Bearer {SECRETS[0]}"})
    assert answer.json()["configuration"]["listen"]["authentication"] == {"type": "bearer", "tokens": ["***", "***"]}
    assert not [secret for secret in SECRETS if secret in answer.body.decode()]


def test_the_configuration_is_shown_as_it_was_understood(sqlite, service):
    config = people(sqlite)
    config["sinks"]["people"].update(use_bulk_operations=True, whitelist=["id", "name", "version"])
    running = service(config)
    shown = status(running)["configuration"]
    assert shown["listen"]["port"] == running.port
    assert shown["listen"]["max_connections"] == 64
    assert shown["log"] == {"level": "info", "format": "text"}
    assert shown["systems"]["db"]["pool_size"] == 10
    assert shown["sources"]["people"]["late_commits"] == "auto"
    sink = shown["sinks"]["people"]
    assert (sink["missing_properties"], sink["full_sync_deletes"], sink["on_conflict"]) == ("null", False, "skip")
    assert sink["delete_guard"] == {"rows": 100, "fraction": 0.5}
    assert sink["optimistic_lock"]["column"] == "version"
    assert "use_bulk_operations" not in sink


# ---- while the service has much to do


def test_it_answers_while_all_connections_are_taken(sqlite, service):
    running = service(people(sqlite, system={"pool_size": 1, "pool_timeout": 60}))
    with stalled(running), running.raw(b"GET /sources/people HTTP/1.1\r\nHost: x\r\n\r\n"):
        told = eventually(lambda: (found := status(running))["systems"][0]["pool"]["waiting"] and found)
        assert told["systems"][0]["pool"] == {"size": 1, "open": 1, "used": 1, "waiting": 1}
        assert told["requests"]["at_work"] == 2
    eventually(lambda: status(running)["requests"]["at_work"] == 0)


def test_it_answers_while_a_system_is_away_and_tells_why(sqlite, service, tmp_path):
    config = people(sqlite)
    config["systems"]["away"] = {"type": "sqlite", "path": str(tmp_path / "folder" / "away.db")}
    config["sources"]["away"] = {"system": "away", "query": "select 1 as id", "primary_key": "id"}
    running = service(config)
    running.get("/sources/away").problem(500)
    told = named(status(running)["systems"], "away")
    assert "away" in told["error"]["text"]
    assert moment(told["error"]["at"])
    assert named(status(running)["systems"], "db")["error"] is None
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "away.db").touch()
    assert eventually(lambda: running.get("/sources/away").status == 200)
    assert named(status(running)["systems"], "away")["error"] is None


def test_it_answers_while_a_database_says_nothing(sqlite, service):
    config = people(sqlite)
    with silent() as config["systems"]["mute"]:
        config["sources"]["mute"] = {"system": "mute", "table": "people"}
        running = service(config)
        connection = running.raw(b"GET /sources/mute HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: (found := status(running))["requests"]["at_work"] and
                   named(found["systems"], "mute")["pool"]["open"])
    with connection:
        assert b" 503 " in connection.recv(100)
    told = named(status(running)["systems"], "mute")
    assert "mute" in told["error"]["text"]
    assert told["where"] == f"127.0.0.1:{config['systems']['mute']['port']}/x"


def test_ready_tells_status_too(sqlite, service, tmp_path):
    config = people(sqlite)
    config["systems"]["away"] = {"type": "sqlite", "path": str(tmp_path / "away.db")}
    running = service(config)
    eventually(lambda: named(status(running)["systems"], "away")["error"])
    (tmp_path / "away.db").touch()
    assert running.get("/ready?system=away").status == 200
    assert named(status(running)["systems"], "away")["error"] is None


def test_bodies_that_are_held_are_shown(sqlite, service):
    running = service(people(sqlite))
    part = json.dumps([{"_id": str(i), "name": "x" * 1000} for i in range(50)])[:-1].encode()
    head = f"POST /sinks/people HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON['Content-Type']}\r\nContent-Length: {len(part) + 1}"
    with running.raw(head.encode() + b"\r\n\r\n" + part):
        told = eventually(lambda: (found := status(running))["buffered_bytes"]["used"] > 40000 and found)
        assert told["requests"]["at_work"] == 1
    eventually(lambda: status(running)["buffered_bytes"]["used"] == 0)


def test_it_answers_while_the_service_drains(sqlite, service):
    running = service(people(sqlite))
    connections = [running.connect() for _ in range(3)]

    def ask(connection, path):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()

    for connection in connections:  # a service that drains takes no new ones
        assert ask(connection, "/health")[0] == 200
    with stalled(running):
        stop_taking(running)
        told = json.loads(ask(connections[0], "/status")[1])
        assert told["draining"] is True and told["requests"]["at_work"] == 1
        assert ask(connections[1], "/metrics")[0] == 200
        assert ask(connections[2], "/sources")[0] == 503
