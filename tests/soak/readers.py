"""Those who follow the table by HTTP, each with a copy of its own."""

import collections
import http.client
import json
import random
import threading
import time

from conftest import query_string

QUIET = 2         # answers without news after which there is no more
BETWEEN = 0.1     # seconds at most between two polls
AT_THE_END = 0.3  # and when the writers are done
MOST_BYTES = 30000  # of an answer that is cut off
FULL_PAGE = 100


def whole_entities(text):
    """The entities that came whole, of an array that may be cut anywhere."""
    decoder = json.JSONDecoder()
    at = text.find("[") + 1
    found = []
    while at:
        while at < len(text) and text[at] in " \r\n\t,":
            at += 1
        try:
            entity, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        found.append(entity)
    return found


class Reader:
    """Polls a source, each time from the token of the last entity that it got."""

    def __init__(self, soak, name, source="soak", limit=None, cut=False):
        self.soak, self.name, self.source, self.limit, self.cut = soak, name, source, limit, cut
        self.random = random.Random(f"{soak.arguments.seed} {name}")
        self.token = None
        self.copy = {}           # id: version
        self.delivered = set()   # every (id, version) that came
        self.times = collections.Counter()  # how often
        self.sent = self.polls = self.cuts = self.went_back = 0
        self.finishing = threading.Event()
        self.truth = self.until = None

    # -- HTTP

    def ask(self, cut=False, **parameters):
        """The entities of one answer, or those that came before it was cut off."""
        path = f"/sources/{self.source}"
        if parameters:
            path += "?" + query_string(parameters)
        connection = self.soak.service.connect()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status != 200:
                raise AssertionError(f"{path}: {response.status} {response.read()[:500]}")
            if not cut:
                return json.loads(response.read())
            self.cuts += 1
            try:
                return whole_entities(response.read(self.random.randrange(MOST_BYTES)).decode("ascii", "ignore"))
            except http.client.IncompleteRead as broken:
                return whole_entities(broken.partial.decode("ascii", "ignore"))
        finally:
            connection.close()

    def poll(self):
        self.polls += 1
        cut = self.cut and not self.finishing.is_set() and self.random.random() < 0.7
        limit = self.random.randint(1, self.limit) if self.limit else None
        entities = self.ask(cut, since=self.token, limit=limit)
        for entity in entities:
            self.take(entity)
        return len(entities)

    def take(self, entity):
        row, version = int(entity["_id"]), None if entity.get("_deleted") else entity["version"]
        self.token = entity["_updated"]
        self.sent += 1
        self.times[row, version] += 1
        self.delivered.add((row, version))
        if version is None:
            self.copy.pop(row, None)
            return
        self.went_back += version < self.copy.get(row, version)
        self.copy[row] = version

    # -- its life

    def run(self):
        if self.source == "unordered":
            self.soak.stopped.wait(self.soak.arguments.seconds / 3)  # the first run is a full one, among writers
        while not self.finishing.is_set():
            if not self.poll() or self.random.random() < 0.3:
                time.sleep(self.random.random() * BETWEEN)
            if self.soak.errors:
                return
        self.run_to_the_end()

    def finish(self, truth, until):
        """There will be no more changes; truth is how the copy shall be, and until when."""
        self.truth, self.until = truth, until
        self.finishing.set()

    def is_done(self):
        """A copy that is not the table may still become it, while a horizon passes."""
        return self.copy == self.truth or self.soak.arguments.late_commits == "ignore"

    def run_to_the_end(self):
        quiet = 0
        while (quiet < QUIET or not self.is_done()) and time.monotonic() < self.until:
            quiet = 0 if self.poll() else quiet + 1
            if quiet:
                time.sleep(AT_THE_END)


class Plain(Reader):
    """Follows plain tokens: what comes again from the last time on is no news."""

    def poll(self):
        before = len(self.delivered)
        super().poll()
        return len(self.delivered) - before


class Full(Reader):
    """Reads everything in pages, again and again: what was there before and is there afterwards must be in it."""

    def __init__(self, soak, name):
        super().__init__(soak, name)
        self.runs = self.rows = self.missing = 0

    def read_all(self):
        there = set(self.soak.rows())
        since = None
        while True:
            page = self.ask(since=since, limit=FULL_PAGE)
            there.difference_update(int(entity["_id"]) for entity in page)
            self.rows += len(page)
            if not page:
                break
            since = page[-1]["_updated"]
        self.runs += 1
        after = self.soak.rows()
        self.missing += sum(row in after for row in there - self.soak.doomed)

    def run(self):
        while not self.finishing.is_set() and not self.soak.errors:
            self.read_all()
            time.sleep(self.random.random() * BETWEEN)
