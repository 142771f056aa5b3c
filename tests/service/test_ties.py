"""A great many rows with one updated value: pages come once each, and the index is read once."""

import collections
import time

import pytest

from conftest import config_of, create, numbered

COUNT = 100_000
PAGE = 1000
BEST = 1.1  # rows the index gives for each row that is sent

# Keys, and how a row's number is written in them.
KEYS = {
    "integer": ("id bigint not null, primary key (id)", "id", "{i}"),
    "text": ("id {key_text} not null, primary key (id)", "id", "'key ' || {i}"),
    "compound": ("a integer not null, b {key_text} not null, primary key (a, b)", "a, b", "{i} % 10, 'b' || {i}"),
}


def source():
    return {"table": "ties", "updated_column": "updated"}


def ties(db):
    """100,000 rows of one time, their key a bigint."""
    numbered(db, "ties", COUNT, width=1)
    db.sql("create index ties_updated on ties (updated, id)")


def pages(service, name="ties", since=None):
    """Every page, until one is empty."""
    while True:
        page = service.pull(name, limit=PAGE, since=since)
        if not page:
            return
        yield page
        since = page[-1]["_updated"]


def test_page_after_page_gives_each_row_of_a_great_tie_once(db, service):
    ties(db)
    seen = list(pages(service(config_of(db, ties=source()))))
    assert [len(page) for page in seen] == [PAGE] * (COUNT // PAGE)
    assert {int(entity["_id"]) for page in seen for entity in page} == set(range(COUNT))


def test_reader_that_is_cut_anywhere_in_a_great_tie_goes_on_there(db, service):
    ties(db)
    running = service(config_of(db, ties=source()))
    entities = running.pull("ties", limit=3 * PAGE)
    for at in (0, 1, PAGE - 1, PAGE, 2 * PAGE + 17):
        rest = running.pull("ties", limit=PAGE // 2, since=entities[at]["_updated"])
        assert [entity["_id"] for entity in rest] == [entity["_id"] for entity in entities[at + 1:][:PAGE // 2]]


NOW = {"postgresql": "now()", "mysql": "now(6)", "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')"}


def held_back(db, statement):
    """A connection that keeps a transaction open in which it wrote; statement ran while it was, or just before it
    began where nobody else can write then."""
    if db.type == "sqlite":
        db.sql(statement)
    connection = db.connect(autocommit=db.type == "sqlite")
    cursor = connection.cursor()
    cursor.execute("begin immediate" if db.type == "sqlite" else "insert into others values (1)")
    if db.type != "sqlite":
        db.sql(statement)
    return connection


def follow_twice(service, writer, since):
    """How often each row comes while the writer is open, and until it is final."""
    times = collections.Counter()

    def follow(since):
        for page in pages(service, since=since):
            times.update(entity["_id"] for entity in page)
            since = page[-1]["_updated"]
        return since

    since = follow(since)
    assert set(times.values()) == {1} and len(times) == COUNT
    assert follow(since) == since
    writer.close()
    until = time.monotonic() + 60
    while set(times.values()) != {2} and time.monotonic() < until:
        since = follow(since)
        time.sleep(0.2)
    follow(since)
    return times


def test_great_tie_beyond_the_horizon_comes_once_at_once_and_once_when_it_is_final(db, service):
    ties(db)
    create(db, "others", "id integer")
    running = service(config_of(db, ties=source()))
    since = running.pull("ties")[-1]["_updated"]
    time.sleep(2)  # the time of those rows is of long ago; what comes now is of after this
    assert running.pull("ties", since=since) == []
    running.stop()
    running.start()  # PostgreSQL: the sessions of before have told what they read
    running.pull("ties", since=since)
    writer = held_back(db, f"update ties set updated = {NOW[db.type]}")
    before = index_reads(db) if db.type == "postgresql" else None
    times = follow_twice(running, writer, since)
    assert set(times.values()) == {2} and len(times) == COUNT
    if before:
        running.stop()
        reads, scanned = (int(now - then) for now, then in zip(index_reads(db), before))
        assert scanned == 0 and reads <= BEST * 2 * COUNT, (scanned, reads / (2 * COUNT))


def index_reads(database):
    """What the server read of the table so far: rows by its indexes, rows of the whole table."""
    return database.sql("""select (select sum(idx_tup_read) from pg_stat_user_indexes where relname = 'ties'),
                                  (select seq_tup_read from pg_stat_user_tables where relname = 'ties')""")[0]


@pytest.mark.parametrize("analyzed", [False, True], ids=["as made", "analyzed"])
@pytest.mark.parametrize("key", KEYS)
def test_postgresql_reads_hardly_more_of_the_index_than_is_sent(postgresql, service, key, analyzed):
    columns, names, written = KEYS[key]
    postgresql.dialect = {"key_text": 'text collate "C"'}
    create(postgresql, "ties", f"updated timestamptz not null, name text, {columns}")
    postgresql.sql(f"insert into ties (updated, name, {names}) select '2024-01-02 03:04:05', 'x', "
                   f"{written.format(i='i')} from generate_series(1, {COUNT}) i")
    postgresql.sql(f"create index on ties (updated, {names})")
    if analyzed:
        postgresql.sql("analyze ties")
    running = service(config_of(postgresql, ties=source()))
    before = index_reads(postgresql)
    sent = [entity["_id"] for page in pages(running) for entity in page]
    running.stop()  # a session that ends reports all that it read
    reads, scanned = (int(now - then) for now, then in zip(index_reads(postgresql), before))
    assert len(sent) == len(set(sent)) == COUNT
    assert scanned == 0
    assert COUNT <= reads <= BEST * COUNT, reads / COUNT
