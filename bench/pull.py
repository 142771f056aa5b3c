"""The pull side of sesam-sql beside the databases' own clients and beside what one would write instead.

Run it as scripts/bench pull; README.md tells what is measured and how."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "tests"))

import build
import machine
import report
from databases import MariaDB, PostgreSQL
from measure import note
from servers import ServerError
from works import WORKS, PullBench

ROWS = 2_000_000
ROUNDS = 9
SLOW_ROUNDS = 3
POLLS = 1000


def arguments_of(given):
    parser = argparse.ArgumentParser(prog="scripts/bench pull", description="Measures full reads and polls of "
                                     "sesam-sql beside psql, mariadb and two peers.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="alternations (%(default)s)")
    parser.add_argument("--slow-rounds", type=int, default=SLOW_ROUNDS,
                        help="how many of them with Express and Flask (%(default)s)")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of the table (%(default)s)")
    parser.add_argument("--polls", type=int, default=POLLS, help="polls in a round (%(default)s)")
    parser.add_argument("--work", action="append", choices=WORKS, help="only this one; can be given again")
    parser.add_argument("--without-peers", action="store_true", help="leave out Express and Flask")
    parser.add_argument("--binary", help="measure this sesam-sql instead of building one")
    parser.add_argument("--results", help="write the results into this folder, however few the rounds")
    arguments = parser.parse_args(given)
    for name in ("rounds", "slow_rounds", "rows", "polls"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return arguments


def is_standard(arguments):
    """Would these results be worth keeping beside the others?"""
    return (arguments.rounds >= ROUNDS and arguments.slow_rounds >= SLOW_ROUNDS and arguments.rows == ROWS
            and arguments.polls >= POLLS and not arguments.work and not arguments.without_peers
            and not arguments.binary)


def run(arguments, folder, stack):
    surroundings = machine.describe()  # before our own work shows in the load
    note("building the service and its peers")
    bench = PullBench(arguments, folder, stack)
    note(f"filling PostgreSQL and MariaDB with {arguments.rows:,} rows")
    postgresql, mariadb = PostgreSQL(stack), MariaDB(stack)
    postgresql.fill(arguments.rows)
    mariadb.fill(postgresql)
    result = {"bench": "pull", "date": report.today(), "machine": surroundings,
              "versions": machine.versions(bench.binary, not arguments.without_peers, bench.express),
              "cflags": build.CFLAGS, "peers": "the two peers",
              "servers": {each.title: {**each.describe(), "plan": each.plan()} for each in (postgresql, mariadb)},
              "rows": arguments.rows, "rounds": arguments.rounds, "slow_rounds": arguments.slow_rounds, "works": []}
    for name in arguments.work or WORKS:
        note(name)
        result["works"].append(WORKS[name](bench, postgresql, mariadb))
    return result


def main():
    arguments = arguments_of(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))  # so that all that was started is ended
    try:
        with tempfile.TemporaryDirectory(prefix="sesam-bench-") as folder, contextlib.ExitStack() as stack:
            result = run(arguments, folder, stack)
    except (RuntimeError, ServerError, subprocess.CalledProcessError) as error:
        sys.exit(f"scripts/bench: {error}")
    print(report.markdown(result))
    if is_standard(arguments) or arguments.results:
        readme = None if arguments.results else os.path.join(HERE, "README.md")
        report.keep(result, arguments.results or os.path.join(HERE, "results"), readme)
    else:
        note("not kept: bench/results/ holds whole runs only (--results FOLDER keeps any)")


if __name__ == "__main__":
    main()
