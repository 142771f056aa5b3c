"""/openapi.json: the document tells what the service does, all of it, and the service does what it tells."""

import base64
import collections
import json

import jsonschema
import pytest

from conftest import Answer, create
from pushing import JSON, Sync
from watching import people, stalled, status, stop_taking
from test_metrics import metrics

VALID = {"listen": {"authentication": {"type": "basic", "users": [{"username": "a", "password": "b"}]}}}
METHODS = ("get", "head", "post")


class Document:
    """The document, and which of its answers were seen."""

    def __init__(self, document):
        self.document = document
        self.seen = collections.defaultdict(set)

    def resolved(self, item):
        while "$ref" in item:
            target = self.document
            for step in item["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            item = target
        return item

    def operations(self):
        return {(path, method.upper()): item[method] for path, item in self.document["paths"].items()
                for method in METHODS if method in item}

    def check(self, path, method, answer):
        """Is this answer of an operation one that is documented?"""
        operation = self.operations()[path, method]
        assert str(answer.status) in operation["responses"], (path, method, answer.status, answer.body[:500])
        self.seen[path, method].add(str(answer.status))
        response = self.resolved(operation["responses"][str(answer.status)])
        self.check_headers(response, answer)
        content = response["content"]
        kind = answer.headers.get_content_type()
        assert list(content) == [kind], (path, method, answer.status, kind)
        if method == "HEAD":
            assert answer.body == b""
        else:
            body = answer.json() if kind.endswith("json") else answer.body.decode()
            self.validate(content[kind]["schema"], body)

    def check_headers(self, response, answer):
        documented = {name.lower(): self.resolved(header) for name, header in response.get("headers", {}).items()}
        for name, header in documented.items():
            if header.get("required"):
                assert answer.headers[name], name
        ours = {name.lower() for name in answer.headers if name.lower().startswith(("x-dataset-", "www-", "retry-"))}
        assert ours <= set(documented), (ours, answer.status)

    def validate(self, schema, value):
        """The schemas stand in the document, so that their references are found from its root."""
        root = {**schema, "components": self.document["components"]}
        jsonschema.Draft202012Validator(root).validate(value)


@pytest.fixture
def document(sqlite, service):
    """The document of a service, and that service."""
    config = people(sqlite, system={"pool_size": 2, "pool_timeout": 60},
                    listen={"max_body_bytes": 10000, "max_buffered_bytes": 100000})
    create(sqlite, "words", "id {text} not null, language {text} not null, changed {datetime}, primary key (id, language)",
           [("a", "no", "2024-01-02 03:04:05")])
    config["sources"]["words"] = {"system": "db", "table": "words", "updated_column": "changed"}
    config["sources"]["broken"] = {"system": "db", "table": "nowhere"}
    config["sinks"]["strict"] = {"system": "db", "table": "people", "optimistic_lock": {"column": "version"}}
    config["sinks"]["words"] = {"system": "db", "table": "words"}
    config["sinks"]["broken"] = {"system": "db", "table": "nowhere"}
    config["systems"]["away"] = {"type": "sqlite", "path": "nowhere.db"}
    running = service(config)
    answer = running.get("/openapi.json")
    assert answer.status == 200
    return Document(answer.json()), running


def concrete(path, name="people"):
    return path.replace("{name}", name)


# ---- the document


def test_it_is_openapi_and_tells_the_version(document):
    told, running = document
    assert told.document["openapi"] == "3.1.0"
    assert told.document["info"]["version"] == status(running)["version"]
    names = [operation["operationId"] for operation in told.operations().values()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere_and_everything_is_used(document):
    told = document[0].document
    used = set()

    def walk(item):
        if isinstance(item, dict):
            if "$ref" in item:
                used.add(item["$ref"])
                assert document[0].resolved(item)
            for value in item.values():
                walk(value)
        elif isinstance(item, list):
            for value in item:
                walk(value)

    walk(told)
    components = {f"#/components/{kind}/{name}" for kind, items in told["components"].items() for name in items
                  if kind != "securitySchemes"}
    assert components == used


def test_every_schema_is_one(document):
    for schema in document[0].document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_route_of_the_service_is_in_it_with_its_methods(document):
    told, running = document
    counted = metrics(running).all("sesam_sql_http_request_duration_seconds_count")
    routes = {dict(labels)["route"] for labels in counted} - {"other"}
    assert set(told.document["paths"]) == routes
    for path in routes:
        allowed = running.get(concrete(path), method="OPTIONS")
        allowed.problem(405)
        methods = {method for of, method in told.operations() if of == path}
        assert methods == set(allowed.headers["Allow"].split(", ")), path


def test_every_parameter_of_a_path_is_told(document):
    for path, item in document[0].document["paths"].items():
        names = {document[0].resolved(parameter)["name"] for parameter in item.get("parameters", [])
                 if document[0].resolved(parameter)["in"] == "path"}
        assert names == ({"name"} if "{name}" in path else set())


# ---- the answers


def ask_plainly(told, running):
    for (path, method), _ in told.operations().items():
        body = json.dumps([{"_id": "70", "name": "x"}]) if method == "POST" else None
        answer = running.get(concrete(path), method=method, body=body, headers=JSON if body else None)
        assert answer.status == 200, answer.body
        told.check(path, method, answer)
        told.check(path, method, running.get(concrete(path) + "?x=%zz", method=method, body=body))


def ask_wrongly(told, running):
    word = running.pull("words")[0]["_updated"]
    questions = {"/sources/{name}": ["/sources/nobody", "/sources/broken", f"/sources/people?since={word}",
                                     "/sources/people?since=x", "/sources/people?subset=[\"eq\",\"_S.x\",1]"],
                 "/ready": ["/ready?system=nobody", "/ready?system=away"]}
    for path, asked in questions.items():
        for uri in asked:
            for method in ("GET", "HEAD"):
                told.check(path, method, running.get(uri.replace('"', "%22"), method=method))
    for uri in ("/sources/people?subset=[%22eq%22,%22_S.id%22,1]", "/sources/words", "/sources/people?limit=0"):
        told.check("/sources/{name}", "GET", running.get(uri))


def push_all_kinds(told, running):
    conflict = [{"_id": "1", "name": "other", "version": 9}]
    pushes = [
        (200, "/sinks/people", conflict, {}),
        (200, "/sinks/people", [{"_id": "1", "name": "x", "version": 1, "unknown": 1}], {}),
        (200, "/sinks/words?is_full=true&is_first=true&is_last=true&delete_guard=off", [{"_id": "b:no"}], {}),
        (200, "/sinks/people?is_full=true&is_first=true&is_last=true", [{"_id": "1", "name": "x"}], {}),
        (404, "/sinks/nobody", [], {}),
        (412, "/sinks/strict", conflict, {}),
        (413, "/sinks/people", [{"_id": "1", "name": "x" * 20000}], {}),
        (415, "/sinks/people", [], {"Content-Type": "text/plain"}),
        (422, "/sinks/people", [{"_id": "1", "id": "no number", "name": "x"}], {}),
        (422, "/sinks/words?is_full=true&is_first=true&is_last=true", [], {}),
        (500, "/sinks/broken", [{"_id": "1"}], {}),
    ]
    for expected, uri, entities, headers in pushes:
        answer = running.get(uri, method="POST", body=json.dumps(entities), headers={**JSON, **headers})
        assert answer.status == expected, (uri, answer.body)
        told.check("/sinks/{name}", "POST", answer)
    sync = Sync(running, "people")
    told.check("/sinks/{name}", "POST", sync.first([{"_id": "1", "name": "x"}]))
    told.check("/sinks/{name}", "POST", sync.next([], previous_request_id="another"))


def ask_without_credentials(told, running):
    for (path, method), operation in told.operations().items():
        body = "[]" if method == "POST" else None
        answer = running.get(concrete(path), method=method, body=body, headers=JSON if body else None)
        assert (answer.status == 401) == (operation.get("security") != []), path
        told.check(path, method, answer)


def ask_at_the_end(told, running):
    """While the service shuts down. It takes no new connections then."""
    late = {key: running.connect() for key, operation in told.operations().items() if "503" in operation["responses"]}
    for connection in late.values():
        connection.request("GET", "/health")
        assert connection.getresponse().read()
    with stalled(running):
        stop_taking(running)
        for (path, method), connection in late.items():
            body = "[]" if method == "POST" else None
            connection.request(method, concrete(path), body=body, headers=JSON if body else {})
            response = connection.getresponse()
            told.check(path, method, Answer(response, response.read()))


def test_every_operation_answers_as_documented_and_every_answer_was_seen(document, service):
    told, running = document
    ask_plainly(told, running)
    push_all_kinds(told, running)
    ask_wrongly(told, running)
    told.check("/status", "GET", running.get("/status"))
    ask_without_credentials(told, service({**running.config, "listen": {**running.config["listen"], **VALID["listen"]}}))
    ask_at_the_end(told, running)
    for key, operation in told.operations().items():
        assert told.seen[key] == set(operation["responses"]), key


def test_with_credentials_the_systems_that_fail_say_why(document, service):
    told, running = document
    guarded = service({**running.config, "listen": VALID["listen"]})
    word = {"Authorization": "Basic " + base64.b64encode(b"a:b").decode()}
    for headers in (word, {}):
        answer = guarded.get("/ready?system=away", headers=headers)
        told.check("/ready", "GET", answer)
        assert ("detail" in answer.json()["away"]) == bool(headers)
