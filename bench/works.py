"""The works: what is read, by whom, and what is wanted of us."""

import contextlib
import json
import statistics
from urllib.parse import quote

import build
import polls
import report
from bench import Bench, configuration
from databases import ORDER
from measure import HTTPOpponent, Opponent, note, spread
from process import Process

RSS_LIMIT_MIB = 24


class PullBench(Bench):
    """With a source `customers`, and Express."""

    def __init__(self, arguments, folder, stack):
        super().__init__(arguments, folder, stack)
        self.express = None if arguments.without_peers else build.install_express(folder)

    def service(self, system, **source):
        source = {"system": "bench", "table": "customers", "updated_column": "updated", **source}
        return self.serve(configuration(system, sources={"customers": source}))

    def ours(self, service, ordered=True):
        return HTTPOpponent("sesam-sql", "**sesam-sql**, HTTP to curl", service.url("/sources/customers"),
                            self.arguments.rows, ordered)

    def node(self, url):
        return Process("express", ["node", self.express], self.folder, {"DATABASE_URL": url, "NODE_ENV": "production"})


def rows_of(opponents, unit="s", peaks=None):
    """The opponents as they stand in the results."""
    return [{"name": each.name, "title": each.title, "unit": unit, "times": spread(each.seconds),
             "all": each.seconds, "bytes": each.size, "peak_rss_mib": (peaks or {}).get(each.name)}
            for each in opponents]


def work_of(title, opponents, targets, service, peers=(), remarks=()):
    """A finished work of full reads; the first opponent is ours."""
    ours = opponents[0]
    peak = service.peak_kib()
    peaks = {ours.name: peak / 1024, **{peer.name: peer.peak_kib() / 1024 for peer in peers}}
    return {"title": title, "unit": "s", "opponents": rows_of(opponents, peaks=peaks),
            "ratio_title": "speed of sesam-sql against",
            "ratios": [report.ratio(ours.seconds, each.seconds, each.title, targets.get(each.name))
                       for each in opponents[1:]],
            "limits": [report.memory(peak, RSS_LIMIT_MIB)], "remarks": list(remarks)}


def postgresql_ordered(bench, postgresql, _):
    rows = bench.arguments.rows
    query = f"select * from customers {ORDER}"
    as_json = f"select row_to_json(c) from customers c {ORDER}"
    targets = {"copy": report.wanted(at_least=0.85), "json": report.wanted(at_least=3),
               "express": report.wanted(at_least=10), "flask": report.wanted(at_least=30)}
    without_jit = {**postgresql.environment, "PGOPTIONS": "-c jit=off"}
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(bench.service(postgresql.server.system()))
        opponents = [
            bench.ours(service),
            Opponent("copy", "`psql`, COPY, binary", postgresql.copy(query, "(format binary)"), postgresql.environment),
            Opponent("copy without jit", "`psql`, COPY, binary, `jit = off`", postgresql.copy(query, "(format binary)"),
                     without_jit),
            Opponent("json", "`psql`, COPY of `row_to_json`", postgresql.copy(as_json), postgresql.environment)]
        peers = []
        if not bench.arguments.without_peers:
            peers = [stack.enter_context(bench.node(postgresql.url)),
                     stack.enter_context(bench.flask(postgresql.url, "peer_flask"))]
            opponents += [HTTPOpponent(peer.name, title, peer.url("/customers"), rows, True, slow=True)
                          for peer, title in zip(peers, ("Express, pg-query-stream", "Flask, named cursor, gunicorn"))]
        bench.alternate(opponents)
        return work_of("PostgreSQL, all rows in order of (updated, id)", opponents, targets, service, peers,
                       ["`psql`'s row with `jit = off` is for information: the service's sessions set it so, "
                        "the others keep the server's default."])


def mariadb_unordered(bench, _, mariadb):
    with bench.service(mariadb.server.system(), is_chronological_full=False) as service:
        opponents = [bench.ours(service, ordered=False),
                     Opponent("mariadb", "`mariadb --quick -BN`", mariadb.read("select * from customers"),
                              mariadb.environment)]
        bench.alternate(opponents)
        return work_of("MariaDB, all rows in no order", opponents, {"mariadb": report.wanted(at_least=1.3)}, service)


def mariadb_ordered(bench, _, mariadb):
    with bench.service(mariadb.server.system()) as service:
        opponents = [bench.ours(service),
                     Opponent("mariadb", "`mariadb --quick -BN`, same order",
                              mariadb.read(f"select * from customers {ORDER}"), mariadb.environment)]
        bench.alternate(opponents)
        return work_of("MariaDB, all rows in order of (updated, id)", opponents,
                       {"mariadb": report.wanted(at_least=0.9)}, service)


def polled_path(bench, service):
    """The URL that asks for what comes after the last row."""
    ours = bench.ours(service)
    ours.warm_up()
    last = json.loads(ours.last[ours.last.rindex(b'{"_id"'):].rstrip().rstrip(b"]"))
    return f"/sources/customers?since={quote(str(last['_updated']), safe='')}"


def statements_of_a_poll(bench, postgresql):
    """The polled path, and what the service says to the database for one poll, from the server's log."""
    with postgresql.log_of_statements() as log:
        with bench.service(postgresql.server.system(), late_commits="ignore") as service:
            path = polled_path(bench, service)
            client = polls.KeepAlive(service.port)
            client.ask(client.request(path))
            before = len(log())
            client.ask(client.request(path))
            client.close()
        return path, polls.logged_statements(log()[before:])


def postgresql_polls(bench, postgresql, _):
    path, statements = statements_of_a_poll(bench, postgresql)
    copy, select = polls.statement_of(statements)
    groups = {"copy": [copy], "select": [select]}
    if statements != [copy] and not any("$1" in each for each in statements):
        groups["all"] = statements
    times = {name: [] for name in ("ours", "auto", "health", *groups)}
    count = bench.arguments.polls
    system = postgresql.server.system()
    with bench.service(system, late_commits="ignore") as service, bench.service(system, late_commits="auto") as guarded:
        for number in range(bench.arguments.rounds):
            client, guard = polls.KeepAlive(service.port), polls.KeepAlive(guarded.port)
            times["ours"].append(client.milliseconds(path, count, b"[]"))
            times["auto"].append(guard.milliseconds(path, count, b"[]"))
            times["health"].append(client.milliseconds("/health", count))
            client.close()
            guard.close()
            for name, each in polls.psql_milliseconds(postgresql.client, postgresql.environment, groups, count).items():
                times[name].append(each)
            note(f"  round {number + 1}: " + ", ".join(f"{name} {statistics.median(each[-1]):.3f} ms"
                                                       for name, each in times.items()))
        return work_of_polls(times, copy, count, service)


def work_of_polls(times, copy, count, service):
    titles = {"ours": "**sesam-sql**, a poll on an open connection",
              "auto": "**sesam-sql**, the same with the horizon (`late_commits` \"auto\")", "health": "sesam-sql, `GET /health` the same way",
              "copy": "`psql`, the service's statement (COPY)", "select": "`psql`, the SELECT inside that COPY",
              "all": "`psql`, all statements of a poll"}
    medians = {name: [statistics.median(each) for each in rounds] for name, rounds in times.items()}
    peak = service.peak_kib()
    return {
        "title": f"PostgreSQL, {count:,} polls without news", "unit": "ms",
        "opponents": [{"name": name, "title": titles[name], "unit": "ms", "times": spread(each), "all": each,
                       "single_polls": spread([one for rounds in times[name] for one in rounds]),
                       "peak_rss_mib": peak / 1024 if name == "ours" else None} for name, each in medians.items()],
        "ratio_title": "median time of a poll against",
        "ratios": [report.ratio(medians["ours"], each, titles[name],
                                report.wanted(below=3) if name in ("copy", "select") else None, cost=True)
                   for name, each in medians.items() if name not in ("ours", "auto", "health")] +
                  [report.ratio(medians["auto"], medians[name], f"{titles[name]}, with the horizon",
                                report.wanted(below=10), cost=True) for name in ("copy", "select")],
        "limits": [report.memory(peak, RSS_LIMIT_MIB)],
        "remarks": [f"One round is {count:,} polls, after {polls.WARM_UP} to warm up; a value is the median of a round.",
                    f"The statement: `{' '.join(copy.split())}`"],
    }


WORKS = {"postgresql-ordered": postgresql_ordered, "mariadb-unordered": mariadb_unordered,
         "mariadb-ordered": mariadb_ordered, "polls": postgresql_polls}
