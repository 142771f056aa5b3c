"""The horizon: rows that are committed late are sent all the same, and nobody is told what is not certain."""

import json
import time

import pytest

from conftest import config_of, eventually

NOW = {"postgresql": "timestamptz not null default now()",
       "mysql": "datetime(6) not null default current_timestamp(6)",
       "sqlite": "text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"}


@pytest.fixture(params=["postgresql", "mysql"])
def shared(request):
    """A database that many write to at the same time."""
    return request.getfixturevalue({"postgresql": "postgresql", "mysql": "mariadb"}[request.param])


@pytest.fixture(params=["postgresql", "mysql", "sqlite"])
def any_db(request):
    return request.getfixturevalue({"postgresql": "postgresql", "mysql": "mariadb", "sqlite": "sqlite"}[request.param])


def make_rows(db, *ids, updated=None):
    db.sql(f"create table rows_ (id integer not null primary key, n integer not null default 0, u {updated or NOW[db.type]})")
    for number in ids:
        add(db, number)


def add(db, number):
    db.sql(f"insert into rows_ (id) values ({number})")


def source(**more):
    return {"table": "rows_", "updated_column": "u", **more}


def ids(entities):
    return [entity["_id"] for entity in entities]


class Reader:
    """Follows the tokens of a source and counts what comes."""

    def __init__(self, running, **parameters):
        self.running = running
        self.parameters = parameters
        self.token = None
        self.rows = {}
        self.times = {}

    def poll(self):
        since = {} if self.token is None else {"since": self.token}
        entities = self.running.pull("rows", **since, **self.parameters)
        for entity in entities:
            key = (entity["_id"], entity["n"], entity["u"])
            self.times[key] = self.times.get(key, 0) + 1
            self.rows[entity["_id"]] = entity["n"]
            self.token = entity["_updated"]
        return ids(entities)

    def poll_until(self, number):
        eventually(lambda: self.poll() and str(number) in self.rows or str(number) in self.rows)


class Open:
    """A transaction that stays open."""

    def __init__(self, db, *statements):
        self.connection = db.connect(autocommit=False)
        self.cursor = self.connection.cursor()
        for statement in statements:
            self.cursor.execute(statement)

    def commit(self):
        self.connection.commit()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


# ---- late commits


@pytest.mark.parametrize("parameters", [{}, {"limit": 1}])
def test_row_of_a_transaction_that_commits_late_is_not_lost(shared, service, parameters):
    make_rows(shared)
    with Open(shared, "insert into rows_ (id) values (1)") as late:
        time.sleep(0.01)
        add(shared, 2)
        reader = Reader(service(config_of(shared, rows=source())), **parameters)
        reader.poll_until(2)
        late.commit()
        reader.poll_until(1)
    assert all(times <= 2 for times in reader.times.values())


def test_such_a_row_is_lost_where_late_commits_are_ignored(shared, service):
    make_rows(shared)
    with Open(shared, "insert into rows_ (id) values (1)") as late:
        time.sleep(0.01)
        add(shared, 2)
        reader = Reader(service(config_of(shared, rows=source(late_commits="ignore"))))
        reader.poll_until(2)
        late.commit()
        assert reader.poll() == [] == reader.poll()


def test_row_of_a_writer_that_holds_the_file_is_not_lost(sqlite, service):
    make_rows(sqlite, 1)
    reader = Reader(service(config_of(sqlite, rows=source())))
    with Open(sqlite, "begin immediate", "insert into rows_ (id) values (2)") as late:
        time.sleep(0.01)
        reader.poll_until(1)
        late.commit()
    reader.poll_until(2)


@pytest.mark.parametrize("parameters", [{}, {"limit": 3}])
def test_no_row_comes_more_than_twice_while_a_transaction_stays_open(shared, service, parameters):
    make_rows(shared)
    with Open(shared, "insert into rows_ (id) values (0)") as late:
        reader = Reader(service(config_of(shared, rows=source())), **parameters)
        for number in range(1, 40):
            add(shared, number)
            reader.poll()
            time.sleep(0.1)
        late.commit()
        reader.poll_until(0)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        reader.poll()
        time.sleep(0.1)
    assert set(reader.rows) == {str(number) for number in range(40)}
    assert max(reader.times.values()) <= 2


def test_row_that_changes_all_the_time_reaches_a_paged_reader(any_db, service):
    make_rows(any_db, *range(20))
    reader = Reader(service(config_of(any_db, rows=source())), limit=2)
    for number in range(1, 25):
        any_db.sql(f"update rows_ set n = {number}, u = "
                   f"{NOW[any_db.type].split('default')[1]} where id = 7")
        time.sleep(0.3)
        reader.poll()
    assert reader.rows["7"] >= 20


def test_pages_of_a_full_run_hold_every_row_that_was_there(any_db, service):
    make_rows(any_db, *range(30))
    with Open(any_db, "select 1"):
        running = service(config_of(any_db, rows=source()))
        reader = Reader(running, limit=7)
        for _ in range(5):
            reader.poll()
        assert set(reader.rows) == {str(number) for number in range(30)}


def moved_back_between_two_pages(db, service, updated=None, **begin):
    """Ids of the pages of a run beside which a row of a later page is put back to before the first page's end, while an
    older transaction holds the horizon."""
    make_rows(db, updated=updated)
    db.sql(f"create table others (id integer not null primary key, t {updated or NOW[db.type]})")
    with Open(db, "insert into others (id) values (1)"), Open(db, "insert into others (id) values (2)") as mover:
        time.sleep(0.01)
        for number in (4, 1, 2, 3):
            add(db, number)
        running = service(config_of(db, rows=source()))
        came, token, count = [], begin, 2
        while count == 2:
            page = running.pull("rows", limit=2, **token)
            assert all(entity["_updated"] > token.get("since", "") for entity in page)
            if not came:
                unsent = [number for number in (3, 2) if str(number) not in ids(page)][0]
                mover.cursor.execute(f"update rows_ set u = (select t from others where id = 2) where id = {unsent}")
                mover.commit()
            came += ids(page)
            count = len(page)
            token = {"since": page[-1]["_updated"]} if page else token
    reader = Reader(running, limit=2)
    reader.token = token["since"]
    reader.poll_until(unsent)
    return sorted(came)


def test_pages_of_a_full_run_hold_a_row_that_is_put_back_meanwhile(shared, service):
    assert moved_back_between_two_pages(shared, service) == ["1", "2", "3", "4"]


def test_pages_hold_a_row_that_a_lower_transaction_id_is_put_on_meanwhile(postgresql, service):
    came = moved_back_between_two_pages(postgresql, service, "xid8 not null default pg_current_xact_id()")
    assert came == ["1", "2", "3", "4"]


def test_pages_of_a_poll_miss_a_row_that_is_put_back_meanwhile(shared, service):
    time_ = "2024-01-01T00:00:00.000000Z"
    assert len(moved_back_between_two_pages(shared, service, since=f"{time_}!!{time_}!{0:020}!")) == 3


@pytest.mark.parametrize("limit", [2, 3], ids=["last page full", "last page not full"])
def test_pages_of_a_poll_behind_a_run_go_by_time(shared, service, limit):
    make_rows(shared, 1, 2, 3, 4)
    reader = Reader(service(config_of(shared, rows=source())), limit=limit)
    with Open(shared, "insert into rows_ (id) values (5)"):
        assert reader.poll() + reader.poll() == ["1", "2", "3", "4"]
        for number in (9, 8, 7, 6):
            add(shared, number)
        assert reader.poll() + reader.poll() == ["9", "8", "7", "6"]
        assert reader.poll() == []


def test_fresh_rows_of_an_idle_server_come_once_and_in_order_in_pages(any_db, service):
    make_rows(any_db)
    running = service(config_of(any_db, rows=source()))
    running.pull("rows")
    for number in reversed(range(12)):
        add(any_db, number)
        time.sleep(0.002)  # SQLite's times have milliseconds
    any_db.sql("update rows_ set n = 1, u = " + NOW[any_db.type].split("default")[1] + " where id = 5")

    def whole_run():
        reader = Reader(running, limit=5)
        came = reader.poll() + reader.poll() + reader.poll()
        assert sorted(came, key=int) == [str(number) for number in range(12)]
        return came == [str(number) for number in (11, 10, 9, 8, 7, 6, 4, 3, 2, 1, 0, 5)]

    if any_db.type == "mysql":
        eventually(whole_run)  # as soon as the sampler knows that nobody is at work
    else:
        assert whole_run()


def test_pages_hold_a_row_that_is_put_back_by_less_than_a_written_margin(shared, service):
    make_rows(shared)
    running = service(config_of(shared, rows=source(late_commits={"margin": 600})))
    for number in (1, 2, 3, 4):
        add(shared, number)
    page = running.pull("rows", limit=2)
    ago = "interval 20 second" if shared.type == "mysql" else "interval '20 seconds'"
    shared.sql(f"update rows_ set u = u - {ago} where id = 3")
    rest = running.pull("rows", limit=9, since=page[-1]["_updated"])
    assert sorted(ids(page) + ids(rest)) == ["1", "2", "3", "4"]


def test_own_full_reads_do_not_hold_the_horizon(shared, service):
    make_rows(shared)
    text = "text" if shared.type == "postgresql" else "mediumtext"
    shared.sql(f"create table big (id integer not null primary key, t {text})")
    shared.many("insert into big values (%s, %s)", [(number, "x" * 100_000) for number in range(300)])
    config = config_of(shared, rows=source(), big={"table": "big"})
    running = service(config)
    slow = running.raw(b"GET /sources/big HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        slow.recv(1)
        time.sleep(4)
        running.pull("rows")
        assert lag_of(running) < 3.5
    finally:
        slow.close()


# ---- tokens and headers


def is_pair(entity):
    return "!!" in entity["_updated"]


def test_row_beyond_the_horizon_carries_a_pair_and_a_final_one_its_own_position(shared, service):
    make_rows(shared, 1)
    running = service(config_of(shared, rows=source()))
    final = eventually(lambda: [e for e in running.pull("rows") if not is_pair(e)])[0]["_updated"]
    with Open(shared, "insert into rows_ (id) values (2)"):
        add(shared, 3)
        beyond = running.pull("rows", since=final)[0]
    assert is_pair(beyond) and beyond["_updated"] > final


def test_pair_resumes_where_nothing_is_waited_for_any_more(shared, service):
    make_rows(shared, 1)
    with Open(shared, "insert into rows_ (id) values (2)") as late:
        add(shared, 3)
        pair = service(config_of(shared, rows=source())).pull("rows")[-1]["_updated"]
        late.commit()
    assert "2" in ids(service(config_of(shared, rows=source(late_commits="ignore"))).pull("rows", since=pair))


def test_plain_token_is_capped_at_the_horizon(shared, service):
    make_rows(shared, 1)
    with Open(shared, "insert into rows_ (id) values (2)") as late:
        time.sleep(0.01)
        add(shared, 3)
        running = service(config_of(shared, rows=source(token="plain")))
        entities = running.pull("rows")
        assert ids(entities) == ["1", "3"]
        token = entities[-1]["_updated"]
        assert token < entities[-1]["u"]
        late.commit()
    assert ids(running.pull("rows", since=token))[-2:] == ["2", "3"]


def test_last_entity_of_an_unordered_full_read_carries_a_pair(shared, service):
    make_rows(shared, 1)
    with Open(shared, "insert into rows_ (id) values (2)") as late:
        time.sleep(0.01)
        add(shared, 3)
        running = service(config_of(shared, rows=source(is_chronological_full=False)))
        entities = running.pull("rows")
        assert sorted(ids(entities)) == ["1", "3"]
        assert [e["_updated"] for e in entities[:-1]] == ["!"]
        late.commit()
    eventually(lambda: "2" in ids(running.pull("rows", since=entities[-1]["_updated"])))


def test_completeness_is_the_horizon_in_microseconds(any_db, service):
    make_rows(any_db, 1)
    running = service(config_of(any_db, rows=source()))
    before = time.time()
    told = int(running.get("/sources/rows").headers["X-Dataset-Completeness"])
    assert before - 30 < told / 1e6 <= time.time()
    ignoring = service(config_of(any_db, rows=source(late_commits="ignore")))
    assert ignoring.get("/sources/rows").headers["X-Dataset-Completeness"] is None


def test_settled_horizon_is_so_many_seconds_ago(any_db, service):
    make_rows(any_db, 1)
    running = service(config_of(any_db, rows=source(late_commits={"settle": 3600})))
    answer = running.get("/sources/rows")
    assert abs(time.time() - 3600 - int(answer.headers["X-Dataset-Completeness"]) / 1e6) < 30
    assert is_pair(answer.entities()[0])
    assert "settles" in running.log()


# ---- what is said


def lag_of(running, name="rows"):
    lines = running.get("/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith(f'sesam_sql_horizon_lag_seconds{{source="{name}"}} ')]
    return float(found[0].split()[-1]) if found else None


def test_metrics_tell_the_lag(any_db, service):
    make_rows(any_db, 1)
    running = service(config_of(any_db, rows=source(), others={"table": "rows_"}))
    assert lag_of(running) is None
    running.pull("rows")
    assert 0 <= lag_of(running) < 30
    running.pull("others")
    assert lag_of(running, "others") is None


def test_log_says_how_far_behind_the_horizon_is(any_db, service):
    make_rows(any_db, 1)
    running = service(config_of(any_db, rows=source()))
    running.pull("rows")
    eventually(lambda: "finished, full, 1 entities" in running.log())
    line = [line for line in running.log().splitlines() if "finished" in line][0]
    assert "horizon" in line and "s behind" in line


def test_stall_is_in_the_log_with_who_holds_it(postgresql, service):
    make_rows(postgresql, 1)
    # Prepared before anybody looked, so nobody knows how old its rows are.
    with Open(postgresql, "insert into rows_ (id) values (2)", "prepare transaction 'nightly'"):
        running = service(config_of(postgresql, rows=source()))
        reader = Reader(running)
        try:
            assert reader.poll() == ["1"]
            assert lag_of(running) == float("inf")
            assert "X-Dataset-Completeness" not in running.get("/sources/rows").headers
            eventually(lambda: "there is no horizon yet" in running.log())
            lines = [line for line in running.log().splitlines() if "there is no horizon yet" in line]
            assert len(lines) == 1 and "nightly" in lines[0]
        finally:
            postgresql.sql("commit prepared 'nightly'")
    eventually(lambda: "2" in reader.poll() or "2" in reader.rows)
    eventually(lambda: "the horizon goes on" in running.log())
    assert reader.poll() == []


def test_check_tells_the_horizon_and_who_holds_it(shared, run):
    make_rows(shared, 1)
    with Open(shared, "insert into rows_ (id) values (2)"):
        time.sleep(1.5)
        done = run("check", config=config_of(shared, rows=source()))
    assert done.returncode == 0, done.stdout
    line = [line for line in done.stdout.splitlines() if line.startswith("  horizon:")][0]
    # MariaDB does not tell what a transaction wrote before it was watched.
    assert ("behind" in line or "none yet" in line) and "held by" in line


# ---- what cannot have a horizon


@pytest.mark.parametrize("type_", ["integer", "bigint", "varchar(20)", "numeric(20)"])
def test_column_that_tells_no_time_is_refused(shared, service, run, type_):
    make_rows(shared, updated=f"{type_} not null default '7'")
    add(shared, 1)
    problem = service(config_of(shared, rows=source())).get("/sources/rows").problem(500)
    assert "'u'" in problem["detail"] and "horizon" in problem["detail"]
    for way in ("xid8", "changelog", "ignore", "unit"):
        assert way in problem["hint"]
    done = run("check", config=config_of(shared, rows=source()))
    assert done.returncode == 1 and "horizon: none" in done.stdout


@pytest.mark.parametrize("type_", ["integer", "bigint", "varchar(20)", "numeric(20)"])
def test_column_that_tells_no_time_cannot_settle(shared, service, type_):
    make_rows(shared, updated=f"{type_} not null default '7'")
    add(shared, 1)
    running = service(config_of(shared, rows=source(late_commits={"settle": 60})))
    assert "settle" in running.get("/sources/rows").problem(500)["detail"]


def test_epoch_integers_and_iso_texts_are_times(shared, service):
    make_rows(shared, updated="bigint not null default 0")
    shared.sql("insert into rows_ (id, u) values (1, 1700000000), (2, 99999999999)")
    running = service(config_of(shared, rows=source(updated_column={"column": "u", "unit": "s"})))
    first, second = running.pull("rows")
    assert not is_pair(first) and is_pair(second)
    shared.sql("create table texts (id integer not null primary key, u varchar(30) not null)")
    shared.sql("insert into texts values (1, '2024-01-02T03:04:05Z'), (2, '2999-01-02T03:04:05Z')")
    running = service(config_of(shared, rows={"table": "texts", "updated_column": "u"}))
    first, second = running.pull("rows")
    assert not is_pair(first) and is_pair(second)


def test_growing_integers_of_sqlite_are_final_below_the_last(sqlite, service):
    make_rows(sqlite, updated="integer not null default 0")
    sqlite.sql("insert into rows_ (id, u) values (1, 5), (2, 6), (3, 6)")
    running = service(config_of(sqlite, rows=source()))
    reader = Reader(running)
    assert reader.poll() == ["1", "2", "3"]
    assert reader.poll() == []
    sqlite.sql("insert into rows_ (id, u) values (0, 6), (4, 7)")
    assert reader.poll() == ["0", "2", "3", "4"]
    assert reader.poll() == []


def test_day_is_final_the_day_after(shared, service, run):
    make_rows(shared, updated="date not null default '2024-01-02'")
    add(shared, 1)
    shared.sql("insert into rows_ (id, u) values (2, current_date)")
    first, second = service(config_of(shared, rows=source())).pull("rows")
    assert not is_pair(first) and is_pair(second)
    assert "final the day after" in run("check", config=config_of(shared, rows=source())).stdout


def test_time_without_a_zone_is_refused_until_its_zone_is_written(postgresql, service):
    name = postgresql.system()["database"]
    make_rows(postgresql, 1, updated="timestamp not null default now()")
    postgresql.sql(f"alter database {name} set timezone = 'Europe/Oslo'")
    try:
        problem = service(config_of(postgresql, rows=source())).get("/sources/rows").problem(500)
        assert "Europe/Oslo" in problem["detail"] and "timezone" in problem["hint"]
        config = config_of(postgresql, rows=source())
        config["systems"]["db"]["timezone"] = "Europe/Oslo"
        assert ids(service(config).pull("rows")) == ["1"]
    finally:
        postgresql.sql(f"alter database {name} reset timezone")


# ---- PostgreSQL's ids of transactions


def test_ids_of_transactions_are_exact(postgresql, service):
    make_rows(postgresql, updated="xid8 not null default pg_current_xact_id()")
    with Open(postgresql, "insert into rows_ (id) values (1)") as late:
        add(postgresql, 2)
        reader = Reader(service(config_of(postgresql, rows=source())))
        assert reader.poll() == ["2"]
        assert reader.poll() == []
        late.commit()
        assert reader.poll() == ["1", "2"]
        assert reader.poll() == []
    add(postgresql, 3)
    assert reader.poll() == ["3"]


def test_id_that_was_never_given_out_is_gone(postgresql, service):
    make_rows(postgresql, 1, updated="xid8 not null default pg_current_xact_id()")
    running = service(config_of(postgresql, rows=source()))
    token = running.pull("rows")[0]["_updated"]
    parts = token.split("!")
    ahead = "!".join([f"{int(parts[0]) + 1_000_000:020}", *parts[1:]])
    assert "reset" in running.get("/sources/rows", {"since": ahead}).problem(410)["hint"]


def test_ids_of_transactions_need_not_settle(postgresql, service):
    make_rows(postgresql, 1, updated="xid8 not null default pg_current_xact_id()")
    running = service(config_of(postgresql, rows=source(late_commits={"settle": 60})))
    assert "xid8" in running.get("/sources/rows").problem(500)["hint"]


def test_subset_and_since_and_limit_follow_the_same_stream(shared, service):
    make_rows(shared, *range(6))
    shared.sql("update rows_ set n = 1 where id in (1, 3, 5)")
    running = service(config_of(shared, rows=source()))
    reader = Reader(running, limit=1, subset=json.dumps(["eq", "_S.n", 1]))
    for _ in range(6):
        reader.poll()
    assert set(reader.rows) == {"1", "3", "5"}
