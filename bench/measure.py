"""Takes times: opponents in turns, so that what disturbs the machine disturbs them all."""

import re
import statistics
import subprocess
import sys
import time

ID = re.compile(rb'"_id": ?"(\d+)"')
LONGEST_ID = 64  # bytes that a match may need beyond the end of a block
BLOCK = 4 << 20


class Opponent:
    """One way to do a work. `command` does it once, with what it reads thrown away."""

    def __init__(self, name, title, command, environment=None, slow=False):
        self.name = name
        self.title = title
        self.command = command
        self.environment = environment
        self.slow = slow  # takes so long that it gets fewer rounds
        self.seconds = []
        self.size = None  # bytes of an answer over HTTP, or of all bodies

    def prepare(self):
        """Before each run, outside the time."""

    def check(self):
        """After each run, outside the time: raises RuntimeError unless it did the work."""

    def run(self):
        begin = time.perf_counter()
        subprocess.run(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       check=True)
        return time.perf_counter() - begin

    def warm_up(self):
        self.run()


class HTTPOpponent(Opponent):
    """One that answers a URL with entities, read by curl."""

    def __init__(self, name, title, url, rows, ordered, slow=False):
        super().__init__(name, title, ["curl", "--silent", "--show-error", "--fail", "--output", "/dev/null",
                                       "--write-out", "%{size_download}", url], slow=slow)
        self.url = url
        self.rows = rows
        self.ordered = ordered
        self.last = None  # the end of the answer

    def run(self):
        begin = time.perf_counter()
        done = subprocess.run(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
        seconds = time.perf_counter() - begin
        if int(done.stdout) != self.size:
            raise RuntimeError(f"{self.title}: {int(done.stdout)} bytes, where the warm-up had {self.size}")
        return seconds

    def warm_up(self):
        """Reads everything once and looks whether each row came, and in order."""
        with subprocess.Popen(["curl", "--silent", "--show-error", "--fail", self.url],
                              stdout=subprocess.PIPE) as curl:
            count, total, in_order = self._read(curl.stdout)
        if curl.returncode != 0:
            raise RuntimeError(f"{self.title}: curl ended with status {curl.returncode}")
        if count != self.rows or total != self.rows * (self.rows + 1) // 2:
            raise RuntimeError(f"{self.title}: {count} entities, not each of the {self.rows} once")
        if self.ordered and not in_order:
            raise RuntimeError(f"{self.title}: not in order")
        if not self.last.rstrip().endswith(b"]"):
            raise RuntimeError(f"{self.title}: the answer is no whole array")

    def _read(self, stream):
        self.size = count = total = highest = 0
        in_order = True
        rest = b""
        while block := stream.read(BLOCK):
            self.size += len(block)
            block = rest + block
            ids = []
            end = 0
            for match in ID.finditer(block):
                ids.append(int(match[1]))
                end = match.end()
            in_order = in_order and [highest, *ids] == sorted([highest, *ids])
            highest = ids[-1] if ids else highest
            count += len(ids)
            total += sum(ids)
            rest = block[max(end, len(block) - LONGEST_ID):]
            self.last = block[-4096:]
        return count, total, in_order


def alternate(opponents, rounds, slow_rounds):
    """Warms each up, then lets them run in turns. Who begins changes from round to round."""
    for opponent in opponents:
        note(f"  warm-up: {opponent.title}")
        opponent.warm_up()
    for number in range(rounds):
        taking_part = [each for each in opponents if not each.slow or number < slow_rounds]
        first = number % len(taking_part)
        for opponent in taking_part[first:] + taking_part[:first]:
            opponent.prepare()
            opponent.seconds.append(opponent.run())
            opponent.check()
        note(f"  round {number + 1}: " + ", ".join(f"{each.name} {each.seconds[-1]:.2f} s" for each in taking_part))


def spread(values):
    """A sample in numbers."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"count": len(values), "median": statistics.median(values), "min": min(values), "max": max(values),
            "lower_quartile": low, "upper_quartile": high}


def note(text):
    print(text, file=sys.stderr, flush=True)
