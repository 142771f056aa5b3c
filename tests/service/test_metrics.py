"""/metrics: what the service counts, as Prometheus reads it."""

import base64
import collections
import concurrent.futures
import json
import math
import os
import re
import time

import pytest

from conftest import eventually
from pushing import push
from watching import people, silent, stalled

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:{{({LABEL}(?:,{LABEL})*)}})? (\S+)")
NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|Inf)|NaN")
ROUTES = {"/sources/{name}", "/sources", "/sinks/{name}", "/sinks", "/metrics", "/status", "/health", "/ready", "other"}


def unescaped(text):
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)


class Metrics:
    """A text of the format 0.0.4, read strictly: what is not as it must be fails here."""

    def __init__(self, text):
        assert text.endswith("\n")
        self.types, self.helps, self.samples = {}, {}, {}
        family = None
        for line in text.removesuffix("\n").split("\n"):
            if line.startswith("#"):
                family = self.read_head(line)
            else:
                self.read_sample(line, family)
        assert set(self.types) == set(self.helps)
        self.check_names()
        self.check_histograms()

    def read_head(self, line):
        kind, name, rest = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line).groups()
        heads = self.helps if kind == "HELP" else self.types
        assert name not in heads, line
        heads[name] = rest
        assert kind == "HELP" or rest in ("counter", "gauge", "histogram"), line
        return name

    def read_sample(self, line, family):
        found = SAMPLE.fullmatch(line)
        assert found, line
        name, labels, number = found[1], found[2] or "", found[found.lastindex]
        assert NUMBER.fullmatch(number), line
        of = re.sub("_(bucket|sum|count)$", "", name) if self.types[family] == "histogram" else name
        assert of == family, line  # a family's samples stand together, behind its head
        pairs = re.findall(LABEL, labels)
        key = (name, frozenset((label, unescaped(value)) for label, value in pairs))
        assert len(key[1]) == len(pairs) and key not in self.samples, line
        self.samples[key] = float(number)

    def check_names(self):
        """https://prometheus.io/docs/practices/naming/"""
        for name, kind in self.types.items():
            assert name.startswith(("sesam_sql_", "process_")), name
            assert name.endswith("_total") == (kind == "counter"), name
            assert self.helps[name][-1] == ".", name
        assert all(value >= 0 for value in self.samples.values())

    def check_histograms(self):
        series = collections.defaultdict(list)
        for (name, labels), value in self.samples.items():
            if self.types.get(name.removesuffix("_bucket")) == "histogram":
                bounds = dict(labels)
                series[name, frozenset(labels - {("le", bounds["le"])})].append((float(bounds["le"]), value))
        for (name, labels), buckets in series.items():
            name = name.removesuffix("_bucket")
            values = [value for _, value in sorted(buckets)]
            assert values == sorted(values), name
            assert max(buckets)[0] == math.inf
            assert values[-1] == self.samples[name + "_count", labels], name
            assert (name + "_sum", labels) in self.samples, name
            assert (values[-1] > 0) == (self.samples[name + "_sum", labels] > 0)

    def get(self, name, **labels):
        return self.samples.get((name, frozenset(labels.items())))

    def all(self, name):
        return {labels: value for (of, labels), value in self.samples.items() if of == name}


def metrics(service, **more):
    answer = service.get("/metrics", **more)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.body.decode())


def reached(service, name, value, headers=None, **labels):
    """The metrics once one has this value: a client may have its answer a moment before it is counted."""
    return eventually(lambda: (found := metrics(service, headers=headers)).get(name, **labels) == value and found)


# ---- the text


def test_a_fresh_service_tells_itself(sqlite, service):
    before = time.time()
    told = metrics(service(people(sqlite)))
    [version] = told.all("sesam_sql_build_info")
    assert dict(version)["version"] == "0.1.0"
    assert before - 1 < told.get("process_start_time_seconds") < time.time() + 1
    assert told.get("process_resident_memory_bytes") > 1000000
    assert told.get("process_cpu_seconds_total") > 0
    assert told.get("sesam_sql_requests_limit") == 64
    for name in ("pulls", "pull_failures", "pull_entities", "pull_bytes"):
        assert told.get(f"sesam_sql_{name}_total", source="people") == 0
    for name in ("pushes", "push_failures", "push_entities", "push_bytes", "push_conflicts"):
        assert told.get(f"sesam_sql_{name}_total", sink="people") == 0
    routes = {dict(labels)["route"] for labels in told.all("sesam_sql_http_request_duration_seconds_count")}
    assert routes >= ROUTES


def test_head_is_the_same_without_its_body(sqlite, service):
    answer = service(people(sqlite)).get("/metrics", method="HEAD")
    assert (answer.status, answer.body) == (200, b"") and int(answer.headers["Content-Length"]) > 1000


def test_it_needs_authentication(sqlite, service):
    config = people(sqlite, listen={"authentication": {"type": "basic", "users": [{"username": "a", "password": "b"}]}})
    running = service(config)
    running.get("/metrics").problem(401)
    word = {"Authorization": "Basic " + base64.b64encode(b"a:b").decode()}
    reached(running, "sesam_sql_http_requests_total", 1, headers=word, route="/metrics", method="GET", status="401")


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "\\n", "\u00e6\u20ac{}=,", "a b"])
def test_names_of_the_configuration_are_escaped(sqlite, service, name):
    config = people(sqlite)
    for kind in ("sources", "sinks"):
        config[kind][name] = config[kind]["people"]
    told = metrics(service(config))
    assert told.get("sesam_sql_pulls_total", source=name) == 0
    assert told.get("sesam_sql_push_rows_total", sink=name, result="inserted") == 0


def test_no_label_is_what_a_client_wrote(sqlite, service):
    running = service(people(sqlite))
    for path in ("/canary", "/sources/canary", "/sinks/canary", "/ready?system=canary", "/sources/people?canary=%zz",
                 "/sources/people?since=canary"):
        running.get(path)
    running.get("/sources", method="CANARY")
    running.get("/sinks/people?sequence_id=canary", method="POST", body=b"canary")
    for route, method, status in (("other", "GET", "404"), ("/sources/{name}", "GET", "404"), ("/sinks/{name}", "GET", "405"),
                                  ("/ready", "GET", "404"), ("other", "GET", "400"), ("/sources/{name}", "GET", "400"),
                                  ("/sources", "other", "405"), ("/sinks/{name}", "POST", "400")):
        reached(running, "sesam_sql_http_requests_total", 1, route=route, method=method, status=status)
    assert "canary" not in running.get("/metrics").body.decode().lower()


def test_every_metric_is_documented_and_every_documented_one_is_there(sqlite, service):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "monitoring.md")
    with open(path, encoding="utf-8") as file:
        rows = [line.split("|") for line in file if line.startswith(("| `sesam_sql_", "| `process_"))]
    documented = {name: set(re.findall("`([a-z]+)`", row[2])) for row in rows for name in re.findall("`([a-z_]+)`", row[1])}
    running = service(people(sqlite))
    running.pull("people")
    told = eventually(lambda: (found := metrics(running)).all("sesam_sql_http_requests_total") and found)
    shown = {name: set() for name in told.types}
    for name, labels in told.samples:
        family = name if name in shown else re.sub("_(bucket|sum|count)$", "", name)
        shown[family] |= {label for label, _ in labels if label != "le"}
    assert shown == documented


# ---- counts


def test_counts_are_exact_under_many_requests_at_once(sqlite, service):
    running = service(people(sqlite, listen={"max_connections": 64}))
    rounds, at_once = 15, 8

    def work(worker):
        length = 0
        for i in range(rounds):
            length += len(running.get("/sources/people").body)
            assert running.get("/sources/nobody").status == 404
            answer = push(running, "people", [{"_id": str(1000 + worker * rounds + i), "name": "x"},
                                              {"_id": "1", "name": "y", "version": 77}])
            assert answer.status == 200, answer.body
            assert push(running, "people", b"{").status == 400
            metrics(running)  # is whole and consistent at every moment
        return length

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        length = sum(pool.map(work, range(at_once)))
    count = rounds * at_once
    source, sink, requests = {"source": "people"}, {"sink": "people"}, "sesam_sql_http_requests_total"
    for name, labels, value in [
            ("sesam_sql_pulls_total", source, count), ("sesam_sql_pull_failures_total", source, 0),
            ("sesam_sql_pull_duration_seconds_count", source, count), ("sesam_sql_pull_bytes_total", source, length),
            ("sesam_sql_pushes_total", sink, 2 * count), ("sesam_sql_push_failures_total", sink, count),
            ("sesam_sql_push_duration_seconds_count", sink, 2 * count), ("sesam_sql_push_entities_total", sink, 2 * count),
            ("sesam_sql_push_rows_total", {**sink, "result": "inserted"}, count),
            ("sesam_sql_push_conflicts_total", sink, count), ("sesam_sql_requests_at_work", {}, 0),
            ("sesam_sql_http_request_duration_seconds_count", {"route": "/sources/{name}"}, 2 * count),
            (requests, {"route": "/sources/{name}", "method": "GET", "status": "200"}, count),
            (requests, {"route": "/sources/{name}", "method": "GET", "status": "404"}, count),
            (requests, {"route": "/sinks/{name}", "method": "POST", "status": "200"}, count),
            (requests, {"route": "/sinks/{name}", "method": "POST", "status": "400"}, count)]:
        reached(running, name, value, **labels)


def test_results_of_pushes_are_counted(sqlite, service):
    running = service(people(sqlite))
    entities = [{"_id": "7", "name": "new"}, {"_id": "1", "name": "other", "version": 1}, {"_id": "2", "name": "name 2"},
                {"_id": "3", "version": 1, "_deleted": True}, {"_id": "4", "name": "x", "version": 3}]
    assert push(running, "people", entities).status == 200
    told = reached(running, "sesam_sql_pushes_total", 1, sink="people")
    for result in ("inserted", "updated", "unchanged", "deleted"):
        assert told.get("sesam_sql_push_rows_total", sink="people", result=result) == 1
    assert told.get("sesam_sql_push_conflicts_total", sink="people") == 1
    assert told.get("sesam_sql_push_bytes_total", sink="people") == len(json.dumps(entities))


def test_warnings_are_counted(sqlite, service):
    running = service(people(sqlite))
    before = metrics(running).get("sesam_sql_log_lines_total", level="warning")
    running.get("/sources/nobody").problem(404)
    told = metrics(running)
    assert told.get("sesam_sql_log_lines_total", level="warning") == before + 1
    assert told.get("sesam_sql_log_lines_total", level="error") == 0


# ---- while the service has much to do


def test_it_answers_while_all_connections_are_taken(sqlite, service):
    running = service(people(sqlite, system={"pool_size": 1, "pool_timeout": 60}))
    with stalled(running):
        with running.raw(b"GET /sources/people HTTP/1.1\r\nHost: x\r\n\r\n"):
            told = reached(running, "sesam_sql_pool_requests_waiting", 1, system="db")
            for name, value in {"limit": 1, "open": 1, "used": 1}.items():
                assert told.get(f"sesam_sql_pool_connections_{name}", system="db") == value
            assert told.get("sesam_sql_requests_at_work") == 2
            assert told.get("sesam_sql_pull_bytes_total", source="endless") > 0
        # who goes away before its answer gets none
        reached(running, "sesam_sql_http_requests_total", 1, route="/sources/{name}", method="GET", status="none")
    told = reached(running, "sesam_sql_pulls_total", 1, source="endless")
    assert told.get("sesam_sql_pull_failures_total", source="endless") == 1
    reached(running, "sesam_sql_http_requests_total", 1, route="/sources/{name}", method="GET", status="200")


def test_it_answers_while_a_system_is_away(sqlite, service, tmp_path):
    config = people(sqlite)
    config["systems"]["away"] = {"type": "sqlite", "path": str(tmp_path / "away.db")}
    config["sources"]["away"] = {"system": "away", "query": "select 1 as id", "primary_key": "id"}
    running = service(config)
    running.get("/sources/away").problem(500)
    told = metrics(running)
    assert told.get("sesam_sql_system_failing", system="away") == 1
    assert told.get("sesam_sql_system_failing", system="db") == 0
    assert told.get("sesam_sql_pull_failures_total", source="away") == 1


def test_it_answers_while_a_database_says_nothing(sqlite, service):
    config = people(sqlite)
    with silent() as config["systems"]["mute"]:
        config["sources"]["mute"] = {"system": "mute", "table": "people"}
        running = service(config)
        connection = running.raw(b"GET /sources/mute HTTP/1.1\r\nHost: x\r\n\r\n")
        reached(running, "sesam_sql_requests_at_work", 1)
        eventually(lambda: metrics(running).get("sesam_sql_pool_connections_open", system="mute"))
    with connection:
        assert b" 503 " in connection.recv(100)
    told = reached(running, "sesam_sql_pull_failures_total", 1, source="mute")
    assert told.get("sesam_sql_system_failing", system="mute") == 1


def test_bodies_that_are_held_are_counted(sqlite, service):
    running = service(people(sqlite))
    part = json.dumps([{"_id": str(i), "name": "x" * 1000} for i in range(50)])[:-1].encode()
    head = b"POST /sinks/people HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
    with running.raw(head + part):
        told = eventually(lambda: (found := metrics(running)).get("sesam_sql_push_buffered_bytes") > 40000 and found)
        assert told.get("sesam_sql_push_buffered_limit_bytes") == 67108864
    reached(running, "sesam_sql_push_buffered_bytes", 0)
