"""The works of the push side: what is written, by whom, and what is wanted of us."""

import contextlib
import os
import statistics
import threading
import time

import report
import scripts
from bench import Bench, configuration
from bodies import Client, join_bodies, make_bodies
from measure import note, spread
from pushers import HTTPPusher, Pusher, full_sync
from targets import MariaDBTarget, Stage, Target

BATCH = 10_000
SMALL_BATCH = 100
SMALL_ROWS = 100_000  # pushed in small batches
MEMORY_ROWS = 550_000  # what the bodies of the memory work are made of
RSS_LIMIT_MIB = 64
MEBIBYTE = 1 << 20
SINKS = {"customers": {"system": "bench", "table": "customers"},
         "versioned": {"system": "bench", "table": "versioned", "optimistic_lock": {"column": "version"}}}
COUNTED = ("inserted", "updated", "unchanged", "deleted")


class PushBench(Bench):
    """With a sink for each table, and files of what is pushed."""

    def __init__(self, arguments, folder, stack, postgresql):
        super().__init__(arguments, folder, stack)
        self.postgresql = postgresql
        self.rows = arguments.rows
        self.url = postgresql.url
        self.tables = {name: Target(postgresql, name) for name in SINKS}

    def service(self, database, sinks=("customers",)):
        return self.serve(configuration(database.server.system(), sinks={name: SINKS[name] for name in sinks}))

    def path(self, name):
        return os.path.join(self.folder, name)

    def bodies(self, view, rows, batch):
        path = self.path(f"{view}-{rows}-{batch}")
        return make_bodies(self.postgresql, path, view, rows, batch)

    def files(self, name, query):
        return scripts.Files(self.postgresql, self.path(name), query, self.rows, BATCH)

    def stage(self, table, before, after):
        return Stage(self.tables[table], before, after)

    def peers(self, stack, stage, bodies, slow=False):
        """The Flask peer, unless it is not wanted."""
        if self.arguments.without_peers:
            return []
        process = stack.enter_context(self.flask(self.url, "peer_flask_push"))
        title = "Flask, `execute_values`, gunicorn"
        return [HTTPPusher(process, title, stage, "/customers", bodies, slow=slow)]


def counts(**found):
    return {name: found.get(name, 0) for name in COUNTED}


def ours(service, title, stage, sink, bodies, found, **more):
    return HTTPPusher(service, title, stage, f"/sinks/{sink}", bodies, counts(**found), **more)


def rows_of(opponents, rows):
    """The opponents as they stand in the results. The memory of a process that takes part twice stands once."""
    found = []
    for each in opponents:
        process = getattr(each, "process", None)
        found.append({"name": each.name, "title": each.title, "unit": "s", "rows": rows, "bytes": each.size,
                      "times": spread(each.seconds), "all": each.seconds,
                      "log_bytes_per_row": statistics.median(each.logged) / rows,
                      "client_seconds": statistics.median(each.client_seconds) if process else None,
                      "peak_rss_mib": process.peak_kib() / 1024 if process else None})
    return found


def work_of(title, opponents, rows, ratios, limits=(), remarks=()):
    return {"title": title, "unit": "s", "rows": rows, "opponents": rows_of(opponents, rows),
            "ratio_title": "speed of sesam-sql against", "ratios": ratios, "limits": list(limits),
            "remarks": [*remarks, *client_remark(opponents)]}


def client_remark(opponents):
    spent = [each for each in opponents if getattr(each, "client_seconds", None)]
    share = max(statistics.median(each.client_seconds) / statistics.median(each.seconds) for each in spent)
    return [f"The client's own share of the processor: {100 * share:.1f} % of the time, at most."]


def log_limits(opponents, rows, target=None):
    """The write-ahead log of each: the median of its rounds."""
    return [report.limit(f"write-ahead log, {each.title}", statistics.median(each.logged) / rows, "bytes a row", target)
            for each in opponents]


def against(opponents, targets):
    """The ratios of the first opponent to the others."""
    return [report.ratio(opponents[0].seconds, each.seconds, each.title, targets.get(each.name))
            for each in opponents[1:]]


def postgresql_inserts(bench, postgresql, _):
    stage = bench.stage("customers", None, "fresh")
    bodies = bench.bodies("entities", bench.rows, BATCH)
    command = scripts.psql_upserts(postgresql, bench.files("fresh", "select * from fresh"), bench.path("upsert.sql"))
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(bench.service(postgresql))
        opponents = [ours(service, "**sesam-sql**", stage, "customers", bodies, {"inserted": bench.rows}),
                     Pusher("psql", "`psql`, COPY and INSERT ... ON CONFLICT", stage, command, postgresql.environment),
                     *bench.peers(stack, stage, bodies, slow=True)]
        bench.alternate(opponents)
        targets = {"psql": report.wanted(at_least=0.6), "flask": report.wanted(at_least=4)}
        return work_of(f"PostgreSQL, fresh inserts in batches of {BATCH:,}", opponents, bench.rows,
                       against(opponents, targets), log_limits(opponents, bench.rows))


def postgresql_updates(bench, postgresql, _):
    stage = bench.stage("versioned", "old", "moved")
    bodies = bench.bodies("entities_changed", bench.rows, BATCH)
    files = bench.files("changed", "select * from changed")
    command = scripts.psql_updates(postgresql, files, bench.path("update.sql"))
    with bench.service(postgresql, ["versioned"]) as service:
        opponents = [ours(service, "**sesam-sql**", stage, "versioned", bodies, {"updated": bench.rows}),
                     Pusher("psql", "`psql`, COPY and UPDATE ... FROM, version test", stage, command,
                            postgresql.environment)]
        bench.alternate(opponents)
        return work_of(f"PostgreSQL, version-checked updates of all rows in batches of {BATCH:,}", opponents,
                       bench.rows, against(opponents, {"psql": report.wanted(at_least=0.6)}),
                       log_limits(opponents, bench.rows))


def postgresql_unchanged(bench, postgresql, _):
    inserts = bench.stage("customers", None, "fresh")
    again = bench.stage("customers", "fresh", "fresh")
    bodies = bench.bodies("entities", bench.rows, BATCH)
    found = {"unchanged": bench.rows}
    with bench.service(postgresql) as service:
        fresh = ours(service, "**sesam-sql**, fresh inserts", inserts, "customers", bodies, {"inserted": bench.rows},
                     name="inserts")
        repeats = [ours(service, "**sesam-sql**, nothing changed, incrementally", again, "customers", bodies, found,
                        name="incremental"),
                   ours(service, f"**sesam-sql**, nothing changed, full sync of {len(bodies.pieces)} requests", again,
                        "customers", bodies, found, parameters=full_sync, name="full sync")]
        bench.alternate([fresh, *repeats])
        ratios = [report.ratio(each.seconds, fresh.seconds, each.title, report.wanted(at_least=1.3))
                  for each in repeats]
        work = work_of(f"PostgreSQL, nothing changed, in batches of {BATCH:,}", [fresh, *repeats], bench.rows, ratios,
                       log_limits(repeats, bench.rows, report.wanted(below=10)))
        return {**work, "ratio_title": "speed against the inserts"}


def postgresql_small(bench, postgresql, _):
    rows = min(bench.rows, SMALL_ROWS)
    bench.postgresql.server.sql(f"create or replace view few as select * from fresh where id <= {rows}")
    stage = bench.stage("customers", None, "few")
    bodies = bench.bodies("entities", rows, SMALL_BATCH)
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(bench.service(postgresql))
        opponents = [ours(service, "**sesam-sql**", stage, "customers", bodies, {"inserted": rows}),
                     *bench.peers(stack, stage, bodies)]
        bench.alternate(opponents)
        return work_of(f"PostgreSQL, fresh inserts in batches of {SMALL_BATCH}", opponents, rows,
                       against(opponents, {"flask": report.wanted(at_least=2)}), log_limits(opponents, rows))


def mariadb_inserts(bench, postgresql, mariadb):
    stage = Stage(MariaDBTarget(mariadb, bench.rows), None, "wanted")
    bodies = bench.bodies("entities_of_mariadb", bench.rows, BATCH)
    files = bench.files("mariadb", "select id, name, email, country, balance, score, active::int, birth,"
                        " created at time zone 'UTC', updated at time zone 'UTC', notes from fresh")
    command = scripts.mariadb_loads(mariadb, files, bench.path("load.sql"))
    with bench.service(mariadb) as service:
        opponents = [ours(service, "**sesam-sql**", stage, "customers", bodies, {"inserted": bench.rows}),
                     Pusher("mariadb", "`mariadb`, LOAD DATA LOCAL and INSERT ... SELECT", stage, command,
                            mariadb.environment)]
        bench.alternate(opponents)
        return work_of(f"MariaDB, fresh inserts in batches of {BATCH:,}", opponents, bench.rows,
                       against(opponents, {"mariadb": report.wanted(at_least=0.6)}))


class Crowd:
    """Pushes all bodies at once, each on a connection of its own."""

    def __init__(self, port, bodies):
        self.answers = []
        self.errors = []
        self.threads = [threading.Thread(target=self._push, args=(port, bodies, piece)) for piece in bodies.pieces]

    def seconds(self):
        begin = time.perf_counter()
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]
        return time.perf_counter() - begin

    def _push(self, port, bodies, piece):
        try:
            client = Client(port, bodies)
            self.answers.append(client.post("/sinks/customers", piece))
            client.close()
        except (OSError, RuntimeError) as error:
            self.errors.append(error)


def memory_of(bench, postgresql, bodies):
    """The time and the peak memory of a new service that gets these bodies at once."""
    table = bench.tables["customers"]
    table.empty()
    with bench.service(postgresql) as service:
        seconds = Crowd(service.port, bodies).seconds()
        peak = service.peak_kib()
    if table.count() != bodies.rows:
        raise RuntimeError(f"{table.count()} rows came of {bodies.rows}")
    return seconds, peak


def postgresql_memory(bench, postgresql, _):
    pieces = bench.bodies("entities", MEMORY_ROWS, SMALL_BATCH)
    loads = {"one body of 64 MiB": join_bodies(pieces, bench.path("one"), 64 * MEBIBYTE, 1),
             "ten bodies of 16 MiB at once": join_bodies(pieces, bench.path("ten"), 16 * MEBIBYTE, 10)}
    opponents = []
    limits = []
    for title, bodies in loads.items():
        runs = [memory_of(bench, postgresql, bodies) for _ in range(bench.arguments.slow_rounds)]
        note(f"  {title}: " + ", ".join(f"{peak / 1024:.1f} MiB in {seconds:.2f} s" for seconds, peak in runs))
        seconds = [each for each, _ in runs]
        peak = max(each for _, each in runs)
        opponents.append({"name": title, "title": f"**sesam-sql**, {title}", "unit": "s", "rows": bodies.rows,
                          "bytes": bodies.size, "times": spread(seconds), "all": seconds, "peak_rss_mib": peak / 1024})
        limits.append(report.memory(peak, RSS_LIMIT_MIB, f"peak RSS, {title}"))
    return {"title": "PostgreSQL, memory", "unit": "s", "opponents": opponents, "ratio_title": "", "ratios": [],
            "limits": limits,
            "remarks": ["Fresh inserts, each run with a new service. The highest peak of the runs counts."]}


WORKS = {"postgresql-inserts": postgresql_inserts, "postgresql-updates": postgresql_updates,
         "postgresql-unchanged": postgresql_unchanged, "postgresql-small": postgresql_small,
         "mariadb-inserts": mariadb_inserts, "memory": postgresql_memory}
