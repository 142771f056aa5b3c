"""Who takes part in the push side: clients over HTTP, and the databases' own clients with scripts."""

import json
import time

from bodies import Client
from measure import Opponent


class Pusher(Opponent):
    """An opponent that writes into the table of a stage; by default with a command, as the databases' clients do."""

    def __init__(self, name, title, stage, command=None, environment=None, slow=False):
        super().__init__(name, title, command, environment, slow)
        self.stage = stage
        self.begin = 0
        self.logged = []  # bytes of write-ahead log, by run

    def prepare(self):
        self.stage.prepare()
        self.begin = self.stage.target.log_position()

    def check(self):
        self.logged.append(self.stage.target.log_position() - self.begin)
        self.stage.check(self.title)

    def warm_up(self):
        self.prepare()
        self.run()
        self.check()
        self.logged.clear()


class HTTPPusher(Pusher):
    """One that takes bodies by POST, a request after the other on one connection. `parameters` makes the URL's of
    each, `counts` is what the answers must add up to."""

    def __init__(self, process, title, stage, path, bodies, counts=None, parameters=None, name=None, slow=False):
        super().__init__(name or process.name, title, stage, slow=slow)
        self.process = process
        self.path = path
        self.bodies = bodies
        self.counts = counts
        self.parameters = parameters or (lambda *_: "")
        self.size = bodies.size
        self.runs = 0
        self.client_seconds = []  # of the processor

    def run(self):
        try:
            return self._push()
        except (OSError, RuntimeError) as error:
            raise RuntimeError(f"{self.title}: {error}\n{self.process.log_tail()}") from error

    def _push(self):
        self.runs += 1
        count = len(self.bodies.pieces)
        paths = [self.path + self.parameters(self.runs, number, count) for number in range(count)]
        busy = time.thread_time()
        begin = time.perf_counter()
        client = Client(self.process.port, self.bodies)
        answers = [client.post(path, piece) for path, piece in zip(paths, self.bodies.pieces)]
        seconds = time.perf_counter() - begin
        self.client_seconds.append(time.thread_time() - busy)
        client.close()
        if self.counts is not None:
            self._add_up([json.loads(answer) for answer in answers])
        return seconds

    def _add_up(self, answers):
        found = {name: sum(answer[name] for answer in answers) for name in self.counts}
        if found != self.counts or any(answer["conflicts"] for answer in answers):
            raise RuntimeError(f"counted {found}, where {self.counts} was wanted")


def full_sync(run, number, count):
    """The parameters of request `number`, from 0, of a full sync of `count`."""
    previous = f"&previous_request_id={number}" if number else "&is_first=true"
    last = "&is_last=true" if number == count - 1 else ""
    return f"?is_full=true&sequence_id=run-{run}&request_id={number + 1}{previous}{last}"
