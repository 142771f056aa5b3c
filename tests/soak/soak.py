#!/usr/bin/python3
"""Lets writers do their worst to a table while readers follow it, and then looks whether anything was lost.

    tests/with-servers tests/soak/soak.py --database postgresql --seconds 60

The writers commit late, by 150 ms or by 1.8 s; they roll back, to savepoints too; they send several transactions
in one message, prepare transactions, run long statements and wait for locks. The readers follow the source token by
token, in whole answers and in pages, break answers off and go on from the last entity that came whole. When the
writers are done each reader's copy must be the table, row for row. Nothing else is forgiven: no copy goes back to an
older version, none holds what was rolled back, no version comes more than twice, and a full run in pages has every
row that lived throughout.

With --late-commits ignore the guard is off: that run is the control, and must lose rows.

The program is $SESAM_SQL or the one in the folder of the sources; the servers are those that with-servers exports.
Prints one line of JSON. The status is 0 when the run was as it must be.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "service"), os.path.join(HERE, "..")]
import servers  # noqa: E402
from clients import apply  # noqa: E402
from conftest import Service  # noqa: E402
import readers  # noqa: E402
import writers  # noqa: E402

QUIET_TIMEOUT = 30  # for the horizon to pass the last change, after the writers ended
FIRST_ROWS = 500
NO_TIME = ("xid8", "changelog")  # have no plain tokens


class Soak:
    """What writers and readers share."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.database = None
        self.table = None          # writers.Table
        self.service = None
        self.stopped = threading.Event()
        self.errors = []
        self.mutex = threading.Lock()
        self.counts = collections.Counter()  # of what writers did
        self.committed = {}        # id: version; a row's versions only grow
        self.doomed = set()        # ids of rows that somebody deletes, or tries to
        self.versions = set()      # every (id, version) that was committed

    def note(self, what, changes):
        """These versions of rows are committed."""
        with self.mutex:
            self.counts[what] += 1
            self.versions.update(changes.items())
            for row, version in changes.items():
                if version is writers.DELETED:
                    del self.committed[row]
                else:
                    self.committed[row] = max(version, self.committed.get(row, version))

    def rows(self):
        """Those that are there, as far as everybody knows."""
        with self.mutex:
            return dict(self.committed)

    def guard(self, what):
        """Runs one thread's work. What goes wrong there ends the soak."""
        try:
            what()
        except Exception as error:
            self.errors.append(f"{what.__self__.name}: {type(error).__name__}: {error}")
            self.stopped.set()

    def start(self, workers):
        threads = [threading.Thread(target=self.guard, args=(worker.run,), name=worker.name, daemon=True)
                   for worker in workers]
        for thread in threads:
            thread.start()
        return threads


@contextlib.contextmanager
def database_of(kind, folder, journal):
    """A database of our own, gone afterwards."""
    if kind == "sqlite":
        yield servers.SQLiteFile(os.path.join(folder, "soak.db"), journal)
        return
    variable, known = {"postgresql": ("SESAM_SQL_TEST_POSTGRESQL", servers.PostgreSQLDatabase),
                       "mysql": ("SESAM_SQL_TEST_MYSQL", servers.MariaDBDatabase)}[kind]
    if not os.environ.get(variable):
        sys.exit(f"soak: no {variable}: run it by tests/with-servers")
    server, name = known(json.loads(os.environ[variable])), f"soak_{os.getpid()}"
    try:
        yield server.create_database(name)
    finally:
        server.drop_database(name)


def late_commits(given):
    return given if given in ("auto", "ignore") else json.loads(given)


def config_of(soak):
    source = {"system": "db", "table": "soak", **soak.table.tracking, "fetch_size": 100,
              "late_commits": late_commits(soak.arguments.late_commits)}
    sources = {"soak": source, "unordered": {**source, "is_chronological_full": False}}
    if soak.arguments.mode not in NO_TIME:
        sources["plain"] = {**source, "token": "plain"}
    return {"systems": {"db": soak.database.system(pool_size=20)}, "sources": sources}


def make_log(soak, folder):
    """As its user would: the program prints it, the database's own client runs it."""
    path = os.path.join(folder, "log.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config_of(soak), file)
    printed = subprocess.run([soak.arguments.program, "ddl", soak.arguments.database, "--table", "soak", "--config", path],
                             stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
    apply(soak.database, printed)


def readers_of(soak):
    made = [readers.Reader(soak, "unlimited"), readers.Reader(soak, "paged", limit=20),
            readers.Reader(soak, "cut", cut=True), readers.Reader(soak, "cut and paged", limit=50, cut=True),
            readers.Reader(soak, "unordered", source="unordered"),
            readers.Reader(soak, "unordered and cut", source="unordered", cut=True)]
    if soak.arguments.mode not in NO_TIME:
        made.append(readers.Plain(soak, "plain", source="plain"))
    return made


def difference(soak, reader, truth):
    """In what the reader's copy is not the table, and what else came."""
    return {"lost": len(set(reader.copy.items()) ^ set(truth.items())),
            "phantoms": len(reader.delivered - soak.versions), "went_back": reader.went_back,
            "times": max(reader.times.values(), default=0), "cuts": reader.cuts, "polls": reader.polls,
            "sent_per_change": round(reader.sent / max(len(soak.versions), 1), 3)}


def tell(reader, truth, database):
    """The first rows that a reader lost, for people."""
    lost = sorted({row for row, _ in set(reader.copy.items()) ^ set(truth.items())})
    for row in lost[:5]:
        updated = database.sql(f"select updated from soak where id = {row}")
        print(f"{reader.name}: row {row} is of version {truth.get(row)}, updated {updated}, "
              f"and came with version {reader.copy.get(row)}", file=sys.stderr)


def verdict(soak, found, full, truth):
    """Everything that is not as it must be."""
    if soak.errors:
        return soak.errors
    wrong = []
    if truth != soak.committed:
        wrong.append("the table is not what the writers committed")
    if soak.arguments.late_commits == "ignore":
        return wrong if any(one["lost"] for one in found.values()) else wrong + ["the control lost nothing"]
    for name, one in found.items():
        wrong += [f"{name}: {what} {one[what]}" for what in ("lost", "phantoms", "went_back") if one[what]]
        # A full run in no order that was cut off begins again.
        if name not in ("plain", "unordered and cut") and one["times"] > 2:
            wrong.append(f"{name}: a version came {one['times']} times")
        if name != "plain" and one["sent_per_change"] > 2:
            wrong.append(f"{name}: {one['sent_per_change']} rows sent for each change")
    if full.missing:
        wrong.append(f"full runs in pages: {full.missing} rows missing")
    return wrong


def soak_once(soak):
    """Writers and readers for as long as asked, then readers alone until nothing comes any more."""
    following = readers_of(soak)
    full = readers.Full(soak, "full")
    writing = soak.start(writers.writers_of(soak))
    reading = soak.start([*following, full])
    soak.stopped.wait(soak.arguments.seconds)
    soak.stopped.set()
    for thread in writing:
        thread.join(60)
        if thread.is_alive():
            soak.errors.append(f"{thread.name} does not end")
    truth = dict(soak.database.sql("select id, version from soak"))
    until = time.monotonic() + QUIET_TIMEOUT
    for reader in [*following, full]:
        reader.finish(truth, until)
    for thread in reading:
        thread.join(QUIET_TIMEOUT + 60)
        if thread.is_alive():
            soak.errors.append(f"{thread.name} does not end")
    return following, full, truth


def run(soak, folder):
    started = time.monotonic()
    soak.table = writers.Table(soak)
    soak.table.make(FIRST_ROWS)
    if soak.table.logged:
        make_log(soak, folder)
    soak.service = Service(soak.arguments.program, config_of(soak), folder).start()
    try:
        following, full, truth = soak_once(soak)
    finally:
        soak.service.stop()
    found = {reader.name: difference(soak, reader, truth) for reader in following}
    wrong = verdict(soak, found, full, truth)
    if soak.arguments.late_commits != "ignore" and not soak.errors:
        for reader in following:
            tell(reader, truth, soak.database)
    return {"database": soak.arguments.database, "mode": soak.arguments.mode,
            "late_commits": soak.arguments.late_commits, "seconds": round(time.monotonic() - started, 1),
            "seed": soak.arguments.seed, "rows": len(truth), "changes": len(soak.versions),
            "lost": sum(one["lost"] for one in found.values()), "wrong": wrong, "did": dict(soak.counts),
            "readers": found, "full": {"runs": full.runs, "rows": full.rows, "missing": full.missing}}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, choices=["postgresql", "mysql", "sqlite"])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--mode", default="time", help=f"the updated column: {', '.join(writers.MODES)}")
    parser.add_argument("--late-commits", default="auto", help="auto, ignore, or JSON: '{\"settle\": 3}'")
    parser.add_argument("--journal", default="wal", choices=["wal", "delete", "truncate", "persist"], help="of SQLite")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.randrange(2 ** 32))
    parser.add_argument("--program", default=os.environ.get("SESAM_SQL") or os.path.join(HERE, "..", "..", "sesam-sql"))
    given = parser.parse_args()
    if given.mode not in writers.MODES or given.database not in writers.MODES[given.mode]:
        parser.error(f"--mode {given.mode} is not of {given.database}")
    given.program = os.path.abspath(given.program)
    return given


def main():
    soak = Soak(arguments())
    with tempfile.TemporaryDirectory(prefix="sesam-soak-") as folder, \
            database_of(soak.arguments.database, folder, soak.arguments.journal) as soak.database:
        result = run(soak, folder)
    print(json.dumps(result), flush=True)
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
