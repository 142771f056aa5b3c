"""How long after its commit a row is sent, and is final, on a server where nobody else is at work.

Run it as scripts/bench lag; README.md tells what is measured and how."""

import argparse
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))

import build
import machine
import report
import servers
from bench import configuration
from measure import note
from process import Process

WRITES = 300
PAUSE = 0.05  # seconds between two writes
POLL = 0.005  # and between two polls
PATIENCE = 30

# title, server, type of the updated column, p99 that is wanted
WORKS = (("PostgreSQL, `xid8`", "postgresql", "xid8 not null default pg_current_xact_id()", 0.1),
         ("PostgreSQL, `timestamptz`", "postgresql", "timestamptz not null default now()", 1.2),
         ("MariaDB, `datetime(6)`", "mariadb", "datetime(6) not null default current_timestamp(6)", 2),
         ("SQLite, text to the millisecond", "sqlite",
          "text not null default (strftime('%Y-%m-%d %H:%M:%f', 'now'))", 0.1))


def arguments_of(given):
    parser = argparse.ArgumentParser(prog="scripts/bench lag", description="Measures how soon rows are sent and final.")
    parser.add_argument("--writes", type=int, default=WRITES, help="rows that are written (%(default)s)")
    parser.add_argument("--binary", help="measure this sesam-sql instead of building one")
    parser.add_argument("--results", help="write the results into this folder, however few the writes")
    return parser.parse_args(given)


class Reader:
    """Follows the tokens on one connection, and remembers when each row came first, and when it was final."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.token = None
        self.first = {}
        self.final = {}

    def poll(self):
        since = f"?since={urllib.parse.quote(self.token, safe='')}" if self.token else ""
        self.connection.request("GET", f"/sources/rows{since}")
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"a poll was answered {response.status}: {body[:300]!r}")
        now = time.monotonic()
        for entity in json.loads(body):
            self.token = entity["_updated"]
            self.first.setdefault(entity["id"], now)
            if "!!" not in self.token:  # else it is a pair: the row is beyond the horizon
                self.final.setdefault(entity["id"], now)

    def close(self):
        self.connection.close()


def write_and_read(database, reader, writes):
    """Seconds from each commit until the row came, and until it was final."""
    connection = database.connect()
    cursor = connection.cursor()
    committed = {}
    due = time.monotonic()
    try:
        while len(reader.final) < writes:
            if len(committed) < writes and time.monotonic() >= due:
                number = len(committed)
                cursor.execute(f"insert into rows_ (id) values ({number})")
                committed[number] = time.monotonic()
                due = committed[number] + PAUSE
            if time.monotonic() - max(committed.values()) > PATIENCE:
                raise RuntimeError(f"{writes - len(reader.final)} rows are not final after {PATIENCE} s")
            reader.poll()
            time.sleep(POLL)
    finally:
        connection.close()
    return tuple([round(came[number] - when, 4) for number, when in committed.items()] for came in (reader.first, reader.final))


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def measure(binary, folder, database, column, writes):
    database.sql("drop table if exists rows_")
    database.sql(f"create table rows_ (id integer not null primary key, u {column})")
    source = {"rows": {"system": "bench", "table": "rows_", "updated_column": "u"}}
    config = configuration(database.system(), sources=source)
    with Process("sesam-sql", [binary, "serve"], folder, {"SESAM_SQL_CONFIG": json.dumps(config)},
                 ready="/health") as process:
        reader = Reader(process.port)
        for _ in range(20):  # the sampler of MariaDB awakes
            reader.poll()
            time.sleep(0.1)
        times = write_and_read(database, reader, writes)
        reader.close()
        return times


def run(arguments, folder, stack):
    surroundings = machine.describe()
    note("building the service")
    binary = arguments.binary or build.build_service(folder)
    databases = {"postgresql": stack.enter_context(servers.PostgreSQL(durable=True)),
                 "mariadb": stack.enter_context(servers.MariaDB(durable=True)),
                 "sqlite": stack.enter_context(servers.SQLiteFile())}
    works = []
    for title, server, column, wanted in WORKS:
        note(title)
        first, final = measure(binary, folder, databases[server], column, arguments.writes)
        works.append({"title": title, "wanted": wanted, "first": first, "final": final})
    return {"bench": "lag", "date": report.today(), "machine": surroundings, "writes": arguments.writes, "works": works}


def markdown(result):
    rows = []
    for work in result["works"]:
        p99 = percentile(work["final"], 0.99)
        rows.append([work["title"], *(f"{percentile(work['first'], share):.3f}" for share in (0.5, 0.99)),
                     *(f"{percentile(work['final'], share):.3f}" for share in (0.5, 0.99)), f"{max(work['final']):.3f}",
                     f"≤ {work['wanted']:g}", report.verdict(p99 <= work["wanted"])])
    head = ["seconds after its commit a row is", "sent, median", "sent, p99", "final, median", "final, p99", "final, latest",
            "p99 wanted", "met"]
    return (f"# `scripts/bench lag`, {result['date']}\n\n{result['writes']} rows, one each {PAUSE * 1000:.0f} ms, a poll each "
            f"{POLL * 1000:.0f} ms. {report.surroundings(result['machine'])}\n\n{report.table(head, rows)}\n")


def main():
    arguments = arguments_of(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        with tempfile.TemporaryDirectory(prefix="sesam-bench-") as folder, contextlib.ExitStack() as stack:
            result = run(arguments, folder, stack)
    except (RuntimeError, servers.ServerError, subprocess.CalledProcessError) as error:
        sys.exit(f"scripts/bench: {error}")
    text = markdown(result)
    print(text)
    if arguments.results:
        report.keep(result, arguments.results, None, text)
    elif arguments.writes >= WRITES and not arguments.binary:
        report.keep(result, os.path.join(HERE, "results"), os.path.join(HERE, "README.md"), text)


if __name__ == "__main__":
    main()
