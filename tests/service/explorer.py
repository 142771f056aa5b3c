"""A model of a sink, and an explorer that drives the real one through random schedules beside it.

The model knows the rules of the interface and nothing of how they are kept. It is a value: applying a request gives a
new model and the answer that must come. Where nobody can know what became of a request (the service was killed, two
requests ran at once), the explorer goes on with every model that is possible, and drops those that the next answer or
the table contradicts. When none is left, the service broke a rule.

A rule of the model can be switched off, to see that the explorer would notice a service that does not keep it.
"""

import copy
import http.client
import itertools
import json
import random
import threading
import time

from conftest import query_string
from pushing import parameters_of, push, sinks_of, with_dialect

RULES = ("incrementals_are_seen", "receipts", "retired", "chain", "conflicts_are_seen", "equal_before_version",
         "last_of_a_key", "scope", "all_or_nothing", "new_forgets_old")
TOO_MUCH = 1000  # a value that a CHECK refuses


# ---- the model -------------------------------------------------------------------------------------------


class World:
    """Which sinks there are on the one table. keys: those that a sink's entities have."""

    def __init__(self, name, sinks, keys, lock=False, marks=False):
        self.name = name
        self.sinks = sinks  # name: scope, or None
        self.keys = keys    # name: list of ids
        self.lock = lock
        self.marks = marks

    def config(self, database):
        sink = {"table": "things", "delete_guard": False, "full_sync_deletes": True}
        if self.lock:
            sink["optimistic_lock"] = {"column": "version"}
        if self.marks:
            sink["deletes"] = {"column": "gone", "value": 1, "live": 0}
        sinks = {name: {**sink, **({"scope": {"column": "part", "value": scope}} if scope else {})}
                 for name, scope in self.sinks.items()}
        return sinks_of(database, **sinks)

    @staticmethod
    def create(database):
        with_dialect(database)
        key = database.dialect["key_text"]
        database.sql(f"create table things (id integer not null primary key, v integer check (v < {TOO_MUCH}),"
                     f" part {key}, version integer not null default 1, gone integer not null default 0)")


SCOPES = World("two sinks with scopes", {"a": "a", "b": "b"}, {"a": [1, 2, 3, 4], "b": [11, 12, 13]})
SHARED = World("two sinks that share a table", {"one": None, "two": None}, {"one": [1, 2, 3, 4], "two": [1, 2, 3, 4]})
LOCKED = World("versions", {"a": "a", "b": "b"}, {"a": [1, 2, 3], "b": [11, 12]}, lock=True)
MARKED = World("marks", {"a": "a", "b": "b"}, {"a": [1, 2, 3], "b": [11, 12]}, marks=True)
LOCKED_MARKED = World("versions and marks", {"a": None}, {"a": [1, 2, 3, 4]}, lock=True, marks=True)
WORLDS = [SCOPES, SHARED, LOCKED, MARKED, LOCKED_MARKED]


class Row:
    """v, part, version, gone."""

    def __init__(self, v, part, version=1, gone=0):
        self.v, self.part, self.version, self.gone = v, part, version, gone

    def __eq__(self, other):
        return self.__dict__ == other.__dict__

    def tuple(self):
        return (self.v, self.part, self.version, self.gone)


class SinkState:
    """What a sink knows of its full syncs."""

    def __init__(self):
        self.sequence = None
        self.open = False
        self.last = None
        self.receipts = {}
        self.retired = set()
        self.seen = set()


class Model:
    """The table and every sink's state."""

    def __init__(self, world, without=()):
        assert set(without) <= set(RULES)
        self.world = world
        self.without = frozenset(without)
        self.rows = {}
        self.sinks = {name: SinkState() for name in world.sinks}

    def copy(self):
        result = copy.copy(self)
        result.rows = {key: copy.copy(row) for key, row in self.rows.items()}
        result.sinks = copy.deepcopy(self.sinks)
        return result

    def has(self, rule):
        return rule not in self.without

    def table(self):
        return [(key, *row.tuple()) for key, row in sorted(self.rows.items())]

    def fingerprint(self):
        """Two models with the same are the same."""
        return repr((self.table(), [(name, state.sequence, state.open, state.last, sorted(state.receipts.items()),
                                     sorted(state.retired), sorted(state.seen))
                                    for name, state in sorted(self.sinks.items())]))

    def apply(self, request):
        """The model after a request, and its answer: (status, None or the answer's parts that matter)."""
        after = self.copy()
        status, answer = after._request(request)
        return (after if status == 200 or not self.has("all_or_nothing") else self), (status, answer)

    # -- requests

    def _request(self, request):
        state = self.sinks[request.sink]
        flags = request.parameters
        if not flags.get("is_full"):
            if self.has("chain") and state.open and flags.get("sequence_id") == state.sequence:
                return 409, None
            return self._batch(request, state, full=False, last=False)
        first, last = flags.get("is_first", False), flags.get("is_last", False)
        sequence, request_id = flags.get("sequence_id"), flags.get("request_id")
        if first and last and sequence is None and request_id is None:
            # It takes the place of an open one, of which the answers are still known. It is none itself.
            state.seen, state.open = set(), True
            return self._batch(request, state, full=True, last=True)
        if sequence is None or request_id is None or not first and flags.get("previous_request_id") is None:
            return 400, None
        known = state.receipts.get(request_id) if state.sequence == sequence else None
        if known and self.has("receipts"):
            return (200, known[1]) if known[0] == request.digest() else (409, None)
        broken = self._broken(state, flags, sequence, first)
        if broken and self.has("chain"):
            return 409, None
        if state.sequence != sequence:
            self._begin(state, sequence)
        status, answer = self._batch(request, state, full=True, last=last)
        state.last = request_id
        state.receipts[request_id] = (request.digest(), answer)
        return status, answer

    def _broken(self, state, flags, sequence, first):
        if state.sequence == sequence:
            return not state.open or first or flags["previous_request_id"] != state.last
        return not first or (sequence in state.retired and self.has("retired"))

    def _begin(self, state, sequence):
        if state.sequence is not None:
            state.retired.add(state.sequence)
        if self.has("new_forgets_old"):
            state.seen = set()
        state.sequence, state.open, state.last, state.receipts = sequence, True, None, {}

    # -- entities

    def _batch(self, request, state, full, last):
        told = {"inserted": 0, "updated": 0, "unchanged": 0, "deleted": 0, "conflicts": {}}
        entities = {}
        for entity in request.entities:
            if self.has("last_of_a_key") or entity["_id"] not in entities:
                entities[entity["_id"]] = entity
        for entity in entities.values():
            self._entity(entity, self.world.sinks[request.sink], told)
        if told["conflicts"] and not full:
            return 412, {"conflicts": told["conflicts"]}
        if any(row.v == TOO_MUCH for row in self.rows.values()):
            return 422, None
        if state.open and (full or self.has("incrementals_are_seen")):
            self._see(state, entities, told)
        if last:
            self._sweep(state, self.world.sinks[request.sink], told)
            state.open = False
        return 200, told

    def _see(self, state, entities, told):
        for _id, entity in entities.items():
            conflict = _id in told["conflicts"]
            if conflict and not self.has("conflicts_are_seen"):
                continue
            if conflict or not entity.get("_deleted"):
                state.seen.add(int(_id))

    def _entity(self, entity, scope, told):
        key = int(entity["_id"])
        row = self.rows.get(key)
        gone = entity.get("_deleted", False)
        what = self._classify(entity, row, gone)
        if what in ("version", "missing", "exists"):
            told["conflicts"][entity["_id"]] = what
        elif what == "insert":
            self.rows[key] = Row(entity["v"], scope)
            told["inserted"] += 1
        elif what == "update":
            row.v, row.gone = entity["v"], 0
            self._touch(row)
            told["updated"] += 1
        elif what == "delete":
            self._delete(key)
            told["deleted"] += 1
        else:
            told["unchanged"] += 1

    def _classify(self, entity, row, gone):
        if row is None:
            return "unchanged" if gone else "missing" if self._version(entity) is not None else "insert"
        equal = row.gone == 1 if gone else row.v == entity["v"] and row.gone == 0
        version = self._version(entity)
        conflict = self.world.lock and version != row.version and ("exists" if version is None else "version")
        if equal and (self.has("equal_before_version") or not conflict):
            return "unchanged"
        return conflict or ("delete" if gone else "update")

    def _version(self, entity):
        return entity.get("version") if self.world.lock else None

    def _touch(self, row):
        if self.world.lock:
            row.version += 1

    def _delete(self, key):
        if self.world.marks:
            self.rows[key].gone = 1
            self._touch(self.rows[key])
        else:
            del self.rows[key]

    def _sweep(self, state, scope, told):
        for key, row in list(self.rows.items()):
            mine = scope is None or row.part == scope or not self.has("scope")
            if mine and key not in state.seen and not row.gone:
                self._delete(key)
                told["deleted"] += 1


# ---- requests ------------------------------------------------------------------------------------------------


class Request:
    """What a client sends, byte for byte the same each time."""

    def __init__(self, sink, entities, **parameters):
        self.sink = sink
        self.entities = entities
        self.parameters = {name: value for name, value in parameters.items() if value not in (None, False)}
        self.body = json.dumps(entities).encode()

    def digest(self):
        return repr((sorted(self.parameters.items()), self.body))

    def __repr__(self):
        return f"{self.sink} {self.parameters} {self.body.decode()}"


def answer_of(response):
    """An answer as the model tells it."""
    if response.status == 200:
        told = response.json()
        return 200, {**{name: told[name] for name in ("inserted", "updated", "unchanged", "deleted")},
                     "conflicts": {one["_id"]: one["reason"] for one in told["conflicts"]}}
    if response.status == 412:
        return 412, {"conflicts": {one["_id"]: one["reason"] for one in response.json()["conflicts"]}}
    return response.status, None


class Client:
    """A pipe that pushes to one sink. It remembers what it was answered, and repeats itself where it was not."""

    def __init__(self, sink, world, dice):
        self.sink = sink
        self.keys = world.keys[sink]
        self.lock = world.lock
        self.dice = dice
        self.numbers = itertools.count(1)
        self.sequence = None  # of the sync it is in
        self.previous = None
        self.sent = []        # everything it ever sent
        self.pending = None   # sent, and no answer came

    def entity(self, rows_now):
        key = self.dice.choice(self.keys)
        entity = {"_id": str(key)}
        if self.dice.random() < 0.25:
            entity["_deleted"] = True
        else:
            entity["v"] = self.dice.randrange(3)
        row = rows_now.get(key)
        if not self.lock:
            return entity
        if self.dice.random() < 0.8 and row is not None:
            entity["version"] = row.version
        elif self.dice.random() < 0.2:
            entity["version"] = self.dice.randrange(1, 4)
        return entity

    def entities(self, rows_now, most=4):
        entities = [self.entity(rows_now) for _ in range(min(self.dice.choice((0, 1, 1, 2, 3, 4)), most))]
        if entities and self.dice.random() < 0.04:
            self.dice.choice(entities).update(v=TOO_MUCH, _deleted=False)
        return entities

    def request(self, rows_now, odd=True):
        """The next one: mostly in good order, sometimes not, sometimes an old one."""
        chance = self.dice.random()
        if self.pending and chance < 0.7:
            return self.pending
        if odd and self.sent and chance < 0.08:
            return self.dice.choice(self.sent[-12:])
        if odd and chance < 0.2:
            return self.odd(rows_now)
        if chance < 0.42:
            return self.incremental(rows_now)
        return self.full(rows_now)

    def incremental(self, rows_now, most=4):
        return Request(self.sink, self.entities(rows_now, most))

    def full(self, rows_now):
        if self.sequence is None or self.dice.random() < 0.05:
            self.sequence, self.previous = f"s{next(self.numbers)}", None
            return Request(self.sink, self.entities(rows_now), is_full=True, is_first=True, sequence_id=self.sequence,
                           request_id=f"r{next(self.numbers)}", is_last=self.dice.random() < 0.1)
        return Request(self.sink, self.entities(rows_now), is_full=True, sequence_id=self.sequence,
                       request_id=f"r{next(self.numbers)}", previous_request_id=self.previous or "r0",
                       is_last=self.dice.random() < 0.4)

    def odd(self, rows_now):
        """What breaks a chain, or seems to."""
        entities = self.entities(rows_now)
        number = next(self.numbers)
        sequence = self.sequence or f"s{number}"
        return self.dice.choice([
            lambda: Request(self.sink, entities, is_full=True, sequence_id=sequence, request_id=f"r{number}",
                            previous_request_id=f"r{number - 1}", is_last=self.dice.random() < 0.5),
            lambda: Request(self.sink, entities, is_full=True, sequence_id=sequence, request_id=f"r{number}",
                            is_first=True),
            lambda: Request(self.sink, entities, is_full=True, sequence_id=f"s{self.dice.randrange(1, number + 1)}",
                            request_id=f"r{number}", is_first=True),
            lambda: Request(self.sink, entities, sequence_id=sequence),
            lambda: Request(self.sink, entities, is_full=True, is_first=True, is_last=True),
            lambda: Request(self.sink, entities, is_full=True, sequence_id=sequence),
            lambda: Request(self.sink, entities, is_full=True, sequence_id=sequence, is_last=True,
                            previous_request_id=self.previous or "r0",
                            request_id=f"r{self.dice.randrange(1, number + 1)}"),
        ])()

    def answered(self, request, status):
        """What a client of Sesam makes of an answer."""
        self.pending = None
        flags = request.parameters
        if not flags.get("is_full") or flags.get("sequence_id") != self.sequence:
            return
        if status == 200:
            self.previous = flags.get("request_id")
            if flags.get("is_last"):
                self.sequence = None
        elif status == 409:
            self.sequence = None  # it stops, and begins a new one later

    def unanswered(self, request):
        self.pending = request


# ---- the explorer --------------------------------------------------------------------------------------------


class Difference(AssertionError):
    """The service did what no model allows."""


class Explorer:
    """Drives replicas of a service through a random schedule."""

    def __init__(self, world, database, replicas, seed, without=(), kill=None):
        """kill(replica): ends it as if the power went, and waits until the database knows. None: it never is."""
        self.world = world
        self.database = database
        self.replicas = replicas
        self.seed = seed
        self.dice = random.Random(seed)
        self.kill = kill
        self.models = [Model(world, without)]
        self.clients = [Client(name, world, self.dice) for name in world.sinks]
        self.history = []
        self.steps = 0
        self.connection = database.connect()

    def close(self):
        self.connection.close()

    def run(self, seconds, most=1 << 30):
        until = time.monotonic() + seconds
        while self.steps < most and (self.steps < 20 or time.monotonic() < until):
            self.step()
        return self.steps

    def step(self):
        self.steps += 1
        chance = self.dice.random()
        client = self.dice.choice(self.clients)
        if chance < 0.02 and self.kill:
            self.crash(client)
        elif chance < 0.06:
            self.cut_off(client)
        elif chance < 0.12:
            self.at_once(client)
        elif chance < 0.13 and self.kill:
            self.kill(self.dice.choice(self.replicas))
            self.note("killed while idle")
        else:
            self.plain(client)
        self.compare_table()

    def rows_now(self):
        return self.dice.choice(self.models).rows

    def send(self, replica, request):
        return push(replica, request.sink, request.body, **request.parameters)

    # -- the kinds of steps

    def plain(self, client):
        """One request; sometimes its answer is lost on the way."""
        request = client.request(self.rows_now())
        client.sent.append(request)
        if self.dice.random() < 0.05:
            client.unanswered(request)
            return self.note(f"lost on the way: {request}")
        answer = answer_of(self.send(self.dice.choice(self.replicas), request))
        self.note(f"{request} -> {answer}")
        if self.dice.random() < 0.12:
            client.unanswered(request)
        else:
            client.answered(request, answer[0])
        return self.advance([(request, answer)])

    def cut_off(self, client):
        """A body that breaks off is a request that never came."""
        request = client.request(self.rows_now())
        client.unanswered(request)
        client.sent.append(request)
        replica = self.dice.choice(self.replicas)
        connection = replica.connect()
        try:
            connection.putrequest("POST", path_of(request))
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(request.body) + 1))
            connection.endheaders()
            connection.send(request.body[:self.dice.randrange(len(request.body) + 1)])
        finally:
            connection.close()
        self.note(f"cut off: {request}")

    def crash(self, client):
        """The replica dies at a random moment of a request."""
        request = client.request(self.rows_now())
        client.sent.append(request)
        client.unanswered(request)
        replica = self.dice.choice(self.replicas)
        answers = []

        def sender():
            try:
                answers.append(answer_of(self.send(replica, request)))
            except (OSError, http.client.HTTPException, ValueError):
                pass

        thread = threading.Thread(target=sender, daemon=True)
        thread.start()
        time.sleep(self.dice.random() * 0.008)
        self.kill(replica)
        thread.join()
        self.note(f"killed during: {request} -> {answers}")
        if answers:
            self.advance([(request, answers[0])])
        else:
            self.models = distinct(self.models + [model.apply(request)[0] for model in self.models])

    def at_once(self, client):
        """Two requests at once: as if one came after the other, whichever. That is promised row by row, since rows that
        are equal are not locked; so those that do not keep others out have one entity, and two sinks at once have
        different rows."""
        other = self.dice.choice(self.clients) if all(self.world.sinks.values()) else client
        requests = [client.request(self.rows_now()), other.incremental(self.rows_now(), 1)]
        if not all(len(request.entities) < 2 or request.parameters.get("is_full") for request in requests):
            return
        client.sent.append(requests[0])
        answers = [None, None]

        def sender(number):
            replica = self.replicas[number % len(self.replicas)]
            answers[number] = answer_of(self.send(replica, requests[number]))

        threads = [threading.Thread(target=sender, args=(number,), daemon=True) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.note(f"at once: {list(zip(requests, answers))}")
        client.answered(requests[0], answers[0][0])
        self.advance(list(zip(requests, answers)))

    # -- what is possible

    def advance(self, pairs):
        """Applies requests in every order, and keeps the models that give their answers."""
        kept = []
        for model in self.models:
            for order in itertools.permutations(pairs):
                after, right = model, True
                for request, answer in order:
                    after, wanted = after.apply(request)
                    right = right and wanted == answer
                if right:
                    kept.append(after)
        if not kept:
            wanted = [[model.apply(request)[1] for request, _ in pairs] for model in self.models]
            self.fail(f"answers {[answer for _, answer in pairs]}, but the model says {wanted}")
        self.models = distinct(kept)

    def compare_table(self):
        cursor = self.connection.cursor()
        cursor.execute("select id, v, part, version, gone from things order by id")
        found = [tuple(row) for row in cursor.fetchall()]
        kept = [model for model in self.models if model.table() == found]
        if not kept:
            self.fail(f"the table has {found}, but the model says {[model.table() for model in self.models]}")
        self.models = kept

    def note(self, text):
        self.history.append(text)

    def fail(self, text):
        last = "\n".join(f"  {line}" for line in self.history[-25:])
        raise Difference(f"{self.world.name}, {self.database.type}, seed {self.seed}, step {self.steps}: {text}\n"
                         f"the steps before:\n{last}")


def path_of(request):
    return f"/sinks/{request.sink}?{query_string(parameters_of(request.parameters))}"


def distinct(models):
    return list({model.fingerprint(): model for model in models}.values())
