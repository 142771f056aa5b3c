"""Polls without news: what a request costs beside what its statement costs the database."""

import re
import socket
import subprocess
import time

WARM_UP = 100
LOGGED = re.compile(r"^.*? LOG:  (?:statement|execute [^:]*): ", re.MULTILINE)
ANY_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
COPY = re.compile(r"\bCOPY\s*\((.*)\)\s*TO\s+STDOUT[^;]*", re.IGNORECASE | re.DOTALL)
TIME = re.compile(r"^Time: ([0-9.]+) ms")


class KeepAlive:
    """The leanest client there is: one socket, and no more looking at the answer than to find its end."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, path):
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()

    def ask(self, request):
        """The whole answer, head and all."""
        self.socket.sendall(request)
        return self.receive()

    def receive(self):
        answer = self.socket.recv(65536)
        while not complete(answer):
            more = self.socket.recv(65536)
            if not more:
                raise RuntimeError("the connection was closed in the middle of an answer")
            answer += more
        return answer

    def milliseconds(self, path, count, body=None):
        """How long each of so many requests took. All must be 200, with this body if one is given."""
        request = self.request(path)
        times = []
        for number in range(WARM_UP + count):
            begin = time.perf_counter_ns()
            answer = self.ask(request)
            end = time.perf_counter_ns()
            if not answer.startswith(b"HTTP/1.1 200 ") or (body is not None and body_of(answer) != body):
                raise RuntimeError(f"{path}: unexpected answer {answer[:300]!r}")
            if number >= WARM_UP:
                times.append((end - begin) / 1e6)
        return times

    def close(self):
        self.socket.close()


def head_of(answer):
    return answer.partition(b"\r\n\r\n")[0].lower()


def complete(answer):
    head, separator, rest = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    head = head.lower()
    if b"transfer-encoding: chunked" in head:
        return rest.endswith(b"0\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    if not length:
        raise RuntimeError(f"an answer without length cannot keep the connection: {head!r}")
    return len(rest) >= int(length[1])


def body_of(answer):
    rest = answer.partition(b"\r\n\r\n")[2]
    if b"transfer-encoding: chunked" not in head_of(answer):
        return rest
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[:int(size, 16)]
        rest = rest[int(size, 16) + 2:]
    return body


def logged_statements(log):
    """The statements in a piece of the server's log, in order."""
    statements = []
    inside = False
    for line in log.splitlines():
        begin = LOGGED.match(line)
        if begin:
            statements.append(line[begin.end():])
            inside = True
        elif ANY_LINE.match(line):
            inside = False
        elif inside:
            statements[-1] += "\n" + line.lstrip("\t")
    return statements


def statement_of(statements):
    """The COPY that reads the table, and the SELECT inside."""
    for statement in statements:
        found = COPY.search(statement)
        if found and "customers" in found[1]:
            return found[0].strip(), found[1].strip()
    raise RuntimeError("the service's statement is not in the server's log:\n" + "\n".join(statements))


def psql_script(groups, count):
    """Runs each group of statements so many times, with psql's own clock on. Results go nowhere."""
    lines = ["\\set QUIET on", "\\timing on", "\\o /dev/null"]
    for name, statements in groups.items():
        # psql ends a statement at the end of the line's ';', so those within stay one message to the server.
        once = [" ".join(each.rstrip("; \n").replace(";", " \\;").split("\n")) + ";" for each in statements]
        for number in range(WARM_UP + count):
            lines.append(f"\\echo {name if number >= WARM_UP else 'warm-up'}")
            lines += once
    return "\n".join(lines) + "\n"


def psql_milliseconds(psql, environment, groups, count):
    """By group: how long each repetition took by psql's clock, in one session."""
    done = subprocess.run([*psql, "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--file", "-"], env=environment,
                          input=psql_script(groups, count), stdout=subprocess.PIPE, text=True, check=True)
    times = {name: [] for name in groups}
    current = None
    for line in done.stdout.splitlines():
        took = TIME.match(line)
        if took:
            if current in times:
                times[current][-1] += float(took[1])
        else:
            current = line.strip()
            if current in times:
                times[current].append(0.0)
    for name, each in times.items():
        if len(each) != count or not all(each):
            raise RuntimeError(f"psql gave {len(each)} times for {name} where {count} were wanted")
    return times
