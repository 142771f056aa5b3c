"""Sources with "tracking": "changelog": triggers keep a log of the table, and the source reads it."""

import datetime
import random
import threading
import time

import pytest

from clients import apply
from conftest import DIALECTS, config_of, create, eventually, insert

TABLE = "id integer not null primary key, name {text}, country {key_text}"
ROWS = [(1, "Kari", "NO"), (2, "Ola", "NO"), (3, "Sven", "SE")]


def logged(db, table="people", **keys):
    return config_of(db, **{"people": {"table": table, "tracking": "changelog", **keys}})


def ddl(run, db, table="people", **keys):
    done = run("ddl", db.type, "--table", table, config=logged(db, table, **keys))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture
def people(db, run):
    """A table of three rows with its log."""
    create(db, "people", TABLE, ROWS)
    apply(db, ddl(run, db))
    return db


class Reader:
    """A pipe: keeps the newest state of each entity, and goes on from the last token."""

    def __init__(self, service, **parameters):
        self.service = service
        self.parameters = parameters
        self.since = None
        self.state = {}
        self.received = 0

    def poll(self):
        entities = self.service.pull("people", since=self.since, **self.parameters)
        for entity in entities:
            self.since = entity["_updated"]
            self.state[entity["_id"]] = entity
        self.received += len(entities)
        return [entity["_id"] for entity in entities]

    def follow(self):
        """Polls until nothing comes any more."""
        came = []
        while True:
            page = self.poll()
            came += page
            if not page:
                return came

    def alive(self):
        return sorted(key for key, entity in self.state.items() if not entity.get("_deleted"))

    def deleted(self):
        return sorted(key for key, entity in self.state.items() if entity.get("_deleted"))


@pytest.fixture
def reader(people, service):
    """Has seen what is there."""
    reader = Reader(service(logged(people)))
    reader.follow()
    return reader


def settled(reader):
    """Waits until all is final: then the token is no pair any more."""
    eventually(lambda: not reader.poll() and reader.since.count("!") < 5)


# ---- what is sent


def test_full_read_gives_every_row_with_its_columns(people, reader):
    assert reader.alive() == ["1", "2", "3"] and not reader.deleted()
    entity = dict(reader.state["1"])
    assert isinstance(entity.pop("_updated"), str)
    assert entity == {"_id": "1", "id": 1, "name": "Kari", "country": "NO"}


def test_insert_update_and_delete_are_told_without_any_column_for_it(people, reader):
    people.sql("insert into people values (4, 'Aino', 'FI')")
    people.sql("update people set name = 'Olav' where id = 2")
    people.sql("delete from people where id = 3")
    reader.follow()
    assert reader.alive() == ["1", "2", "4"] and reader.deleted() == ["3"]
    assert reader.state["2"]["name"] == "Olav"


def test_tombstone_has_only_the_key(people, reader, service):
    people.sql("delete from people where id = 3")
    reader.follow()
    tombstone = dict(reader.state["3"])
    tombstone.pop("_updated")
    assert tombstone == {"_id": "3", "_deleted": True, "id": 3}
    other = Reader(service(logged(people, preserve_null_values=True, hash_property="hash")))
    other.follow()
    assert set(other.state["3"]) == {"_id", "_deleted", "_updated", "id"}
    assert "hash" in other.state["1"]


def test_changed_key_is_a_deletion_and_a_row(people, reader):
    people.sql("update people set id = 30 where id = 3")
    reader.follow()
    assert reader.alive() == ["1", "2", "30"] and reader.deleted() == ["3"]


def test_key_that_returns_is_alive_again(people, reader):
    people.sql("delete from people where id = 3")
    reader.follow()
    people.sql("insert into people values (3, 'Sigrid', 'NO')")
    reader.follow()
    assert reader.alive() == ["1", "2", "3"]
    assert reader.state["3"]["name"] == "Sigrid" and "_deleted" not in reader.state["3"]


def test_keys_that_move_on_by_one_stay_alive(people, reader, run):
    order = " order by id desc" if people.type == "mysql" else ""
    if people.type != "mysql":
        people.sql("update people set id = -id")
    people.sql("update people set id = " + ("id + 1" if people.type == "mysql" else "1 - id") + order)
    reader.follow()
    assert reader.alive() == ["2", "3", "4"] and "1" in reader.deleted()
    assert "all is well" in run("check", config=logged(people)).stdout


def test_rolled_back_changes_are_not_told(people, reader):
    settled(reader)
    connection = people.connect(autocommit=False)
    connection.cursor().execute("delete from people where id = 1")
    connection.cursor().execute("insert into people values (9, 'x', 'x')")
    connection.rollback()
    connection.close()
    assert reader.follow() == [] and reader.alive() == ["1", "2", "3"]


def test_lists_renames_and_limit_work_as_for_a_table(people, service):
    reader = Reader(service(logged(people, blacklist=["country"], properties={"name": "who"})), limit=1)
    reader.follow()
    assert reader.alive() == ["1", "2", "3"]
    assert set(reader.state["1"]) == {"_id", "_updated", "id", "who"}


def test_subset_gives_its_rows_and_every_deletion(people, service):
    people.sql("delete from people where id = 1")
    reader = Reader(service(logged(people)), subset='["eq", "_S.country", "SE"]')
    reader.follow()
    assert reader.alive() == ["3"] and reader.deleted() == ["1"]


def test_tokens_survive_a_restart(people, service):
    reader = Reader(service(logged(people)))
    reader.follow()
    people.sql("delete from people where id = 1")
    reader.service = service(logged(people))
    reader.follow()
    assert reader.deleted() == ["1"]


def test_rows_without_order_are_all_sent(people, service):
    people.sql("delete from people where id = 1")
    reader = Reader(service(logged(people, is_chronological_full=False)))
    reader.poll()
    assert reader.alive() == ["2", "3"] and reader.deleted() == ["1"]


# ---- keys and names


def quoted(db, name):
    mark = "`" if db.type == "mysql" else '"'
    return mark + name.replace(mark, 2 * mark) + mark


def test_odd_names_and_compound_keys(db, run, service):
    table = quoted(db, "select '\\ \"{x} %s % $sesam$ ø")
    part, other = quoted(db, "a'b\"c` :d {keys}"), quoted(db, "Order")
    columns = f"{part} varchar(20) not null, {other} integer not null, v {db.dialect['text']}"
    db.sql(f"create table {table} ({columns}, primary key ({other}, {part}))")
    name = "select '\\ \"{x} %s % $sesam$ ø"
    apply(db, ddl(run, db, name))
    apply(db, ddl(run, db, name))
    for text, number in (("a:b", 1), ("c", 2)):
        db.sql(f"insert into {table} values ('{text}', {number}, 'x')")
    reader = Reader(service(logged(db, name)))
    reader.follow()
    assert reader.alive() == ["1:a%3Ab", "2:c"]
    db.sql(f"delete from {table} where {other} = 1")
    reader.follow()
    assert reader.alive() == ["2:c"] and reader.deleted() == ["1:a%3Ab"]


def test_long_names_are_cut_and_kept_apart(db, run, service):
    tables = ["t" * 58 + end for end in ("a", "b")]
    for table in tables:
        create(db, table, TABLE, ROWS)
        apply(db, ddl(run, db, table))
    db.sql(f"delete from {tables[0]} where id = 1")
    for table, count in zip(tables, (2, 3)):
        reader = Reader(service(logged(db, table)))
        reader.follow()
        assert len(reader.alive()) == count


TYPES = {
    "postgresql": [("uuid", "'531a379e-31bb-4ce1-8690-158dceb64be6'", "'631a379e-31bb-4ce1-8690-158dceb64be6'"),
                   ("numeric(10,3)", "1.500", "-2"), ("timestamptz", "'2024-01-02 03:04:05+00'", "'2024-01-02+00'"),
                   ("bytea", "'\\x0001'", "'\\x02'"), ("varchar(5)", "'a '", "'a'"), ("boolean", "true", "false"),
                   ("char(4)", "'ab'", "'abc'"), ("inet", "'10.0.0.1'", "'::1'"), ("smallint", "1", "2"),
                   ("text collate \"C\"", "'Å'", "'z'"), ("date", "'2024-01-02'", "'2024-01-03'")],
    "mysql": [("uuid", "'531a379e-31bb-4ce1-8690-158dceb64be6'", "'631a379e-31bb-4ce1-8690-158dceb64be6'"),
              ("decimal(10,3)", "1.5", "-2"), ("timestamp(3)", "'2024-01-02 03:04:05'", "'2024-01-02 03:04:06'"),
              ("varbinary(9)", "x'0001'", "x'02'"), ("varchar(5)", "'Ab'", "'ac'"), ("bigint unsigned", "1", "2"),
              ("char(4) character set latin1", "'ab'", "'abc'"), ("enum('b','a')", "'b'", "'a'"),
              ("date", "'2024-01-02'", "'2024-01-03'"), ("time", "'10:00:00'", "'-11:00:00'")],
    "sqlite": [("integer", "1", "2"), ("text", "'a'", "'A'"), ("blob", "x'00'", "x'01'"), ("", "1", "'b'"),
               ("datetime", "'2024-01-02'", "'2024-01-03'"), ("real", "1.5", "2"), ("text collate nocase", "'a'", "'b'"),
               ("numeric", "1.5", "'x'")],
}


def test_keys_of_every_type_are_logged(db, run, service):
    for type_, one, two in TYPES[db.type]:
        db.sql("drop table if exists sesam_sql_log_people")
        db.sql("drop table if exists people")
        if db.type == "postgresql":
            db.sql("drop function if exists sesam_sql_log_people() cascade")
        db.sql(f"create table people (k {type_} not null primary key, v integer)")
        apply(db, ddl(run, db))
        db.sql(f"insert into people values ({one}, 1)")
        db.sql(f"insert into people values ({two}, 2)")
        reader = Reader(service(logged(db)), limit=1)
        reader.follow()
        assert len(reader.alive()) == 2, type_
        db.sql("delete from people where v = 1")
        db.sql("update people set v = 3 where v = 2")
        reader.follow()
        assert len(reader.deleted()) == len(reader.alive()) == 1, type_
        assert reader.state[reader.alive()[0]]["v"] == 3, type_


@pytest.mark.parametrize("db", ["mysql", "sqlite"], indirect=True)
def test_key_that_changes_only_its_case_is_another_key(db, run, service):
    collation = "collate utf8mb4_general_ci" if db.type == "mysql" else "collate nocase"
    db.sql(f"create table people (k varchar(20) {collation} not null primary key, v integer)")
    apply(db, ddl(run, db))
    db.sql("insert into people values ('Kari', 1)")
    reader = Reader(service(logged(db)))
    reader.follow()
    db.sql("update people set k = 'KARI'")
    reader.follow()
    assert reader.alive() == ["KARI"] and reader.deleted() == ["Kari"]
    assert "all is well" in run("check", config=logged(db)).stdout


# ---- the statements


def test_statements_may_be_run_again_and_tell_nothing_new(people, reader, run):
    people.sql("delete from people where id = 1")
    reader.follow()
    settled(reader)
    apply(people, ddl(run, people))
    apply(people, ddl(run, people))
    assert reader.follow() == []
    people.sql("insert into people values (1, 'Kari', 'NO')")
    reader.follow()
    assert reader.alive() == ["1", "2", "3"]


def test_statements_lose_no_change_of_those_who_write_meanwhile(db, run, service):
    create(db, "people", TABLE, [(i, "x", "NO") for i in range(2000)])
    stop = threading.Event()
    failures = []

    def write(number):
        generator = random.Random(number)
        connection = db.connect()
        while not stop.is_set():
            key = generator.randrange(number * 1000, number * 1000 + 999)
            try:
                connection.cursor().execute(f"delete from people where id = {key}")
                if generator.random() < 0.5:
                    connection.cursor().execute(f"insert into people values ({key}, 'y', 'NO')")
            except Exception as failure:  # pylint: disable=broad-except
                if "deadlock" not in str(failure).lower() and "locked" not in str(failure):
                    failures.append(failure)
            time.sleep(0.001)
        connection.close()

    writers = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(2)]
    for writer in writers:
        writer.start()
    time.sleep(0.1)
    apply(db, ddl(run, db))
    stop.set()
    for writer in writers:
        writer.join()
    assert not failures
    reader = Reader(service(logged(db)))
    reader.follow()
    assert reader.alive() == sorted(str(row[0]) for row in db.sql("select id from people"))
    assert "all is well" in run("check", config=logged(db)).stdout


def test_system_of_several_is_that_of_the_source_that_names_the_table(people, run):
    config = logged(people)
    config["systems"]["other"] = people.system()
    assert "sesam_sql_log_people" in run("ddl", people.type, "--table", "people", config=config).stdout
    done = run("ddl", people.type, "--table", "orders", config=config)
    assert done.returncode == 1 and "no source reads the table 'orders'" in done.stderr and not done.stdout


@pytest.mark.parametrize("db", ["postgresql", "mysql"], indirect=True)
def test_name_may_have_a_schema(people, run):
    schema = "public" if people.type == "postgresql" else people.system()["database"]
    assert run("ddl", people.type, "--table", f"{schema}.people", config=config_of(people)).stdout == ddl(run, people)


def test_table_without_key_can_have_no_log(db, run, service):
    create(db, "people", "id integer, name {text}")
    done = run("ddl", db.type, "--table", "people", config=logged(db))
    assert done.returncode == 1 and "primary key" in done.stderr
    problem = service(logged(db)).get("/sources/people").problem(500)
    assert "primary key" in problem["detail"]


def test_log_of_another_key_is_no_log(people, run, service):
    people.sql("drop table people")
    create(people, "people", "number integer not null primary key, name {text}")
    done = run("ddl", people.type, "--table", "people", config=logged(people))
    assert done.returncode == 1 and "DROP TABLE" in done.stderr and not done.stdout
    assert service(logged(people)).get("/sources/people").status == 500


# ---- what is missed


def test_missing_log_is_an_error_that_names_the_command(db, run, service):
    create(db, "people", TABLE, ROWS)
    problem = service(logged(db)).get("/sources/people").problem(500)
    assert f"sesam-sql ddl {db.type} --table" in problem["hint"]
    done = run("check", config=logged(db))
    assert done.returncode == 1 and "has no change log" in done.stdout


def drop_trigger(db, event):
    name = "sesam_sql_log" if db.type == "postgresql" else f"sesam_sql_log_people_{event}"
    db.sql(f"drop trigger {name}" + (" on people" if db.type == "postgresql" else ""))


@pytest.mark.parametrize("event", ["insert", "update", "delete"])
def test_dropped_trigger_stops_the_reads_and_ddl_mends_it(people, reader, run, event):
    drop_trigger(people, event)
    problem = reader.service.get("/sources/people").problem(500)
    assert "misses changes" in problem["detail"] and "ddl" in problem["hint"]
    assert run("check", config=logged(people)).returncode == 1
    people.sql("insert into people values (4, 'Aino', 'FI')")
    people.sql("delete from people where id = 1")
    apply(people, ddl(run, people))
    reader.follow()
    assert reader.alive() == ["2", "3", "4"] and reader.deleted() == ["1"]
    assert "all is well" in run("check", config=logged(people)).stdout


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.parametrize("state", ["disable trigger all", "disable trigger sesam_sql_log_truncate",
                                   "enable replica trigger sesam_sql_log"])
def test_disabled_trigger_stops_the_reads(people, reader, run, state):
    people.sql(f"alter table people {state}")
    assert "misses changes" in reader.service.get("/sources/people").problem(500)["detail"]
    apply(people, ddl(run, people))
    reader.follow()


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
def test_trigger_that_is_not_always_is_advice(people, run):
    people.sql("alter table people enable trigger sesam_sql_log")
    assert "by replication are not logged" in run("check", config=logged(people)).stdout


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
def test_changes_of_a_replica_role_are_logged(people, reader):
    connection = people.connect()
    connection.cursor().execute("set session_replication_role = replica")
    connection.cursor().execute("delete from people where id = 1")
    connection.close()
    reader.follow()
    assert reader.deleted() == ["1"]


def test_truncate_is_told_or_found_and_mended(people, reader, run):
    people.sql("delete from people" if people.type == "sqlite" else "truncate table people")
    if people.type == "mysql":
        reader.follow()
        done = run("check", config=logged(people))
        assert done.returncode == 1 and "missed 0 rows and 3 deletions" in done.stdout, done.stdout
        apply(people, ddl(run, people))
    reader.follow()
    assert reader.deleted() == ["1", "2", "3"]
    assert "all is well" in run("check", config=logged(people)).stdout


@pytest.mark.parametrize("db", ["mysql"], indirect=True)
def test_cascade_is_said_found_and_mended(db, run, service):
    db.sql("create table firms (id integer primary key) engine = innodb")
    db.sql("create table people (id integer primary key, firm integer, constraint of_firm foreign key (firm)"
           " references firms (id) on delete cascade) engine = innodb")
    db.sql("insert into firms values (1), (2)")
    db.sql("insert into people values (1, 1), (2, 2)")
    apply(db, ddl(run, db))
    told = run("check", config=logged(db)).stdout
    assert "all is well" in told and "'of_firm'" in told and "ON DELETE CASCADE" in told
    reader = Reader(service(logged(db)))
    reader.follow()
    db.sql("delete from firms where id = 1")
    assert "missed 0 rows and 1 deletions" in run("check", config=logged(db)).stdout
    apply(db, ddl(run, db))
    reader.follow()
    assert reader.deleted() == ["1"] and reader.alive() == ["2"]


@pytest.mark.parametrize("db", ["postgresql", "sqlite"], indirect=True)
def test_cascade_is_logged(db, run, service):
    db.sql("create table firms (id integer primary key)")
    db.sql("create table people (id integer primary key, firm integer references firms (id) on delete cascade)")
    db.sql("insert into firms values (1), (2)")
    db.sql("insert into people values (1, 1), (2, 2)")
    apply(db, ddl(run, db))
    reader = Reader(service(logged(db)))
    reader.follow()
    connection = db.connect()
    if db.type == "sqlite":
        connection.execute("pragma foreign_keys = on")
    connection.cursor().execute("delete from firms where id = 1")
    connection.close()
    reader.follow()
    assert reader.deleted() == ["1"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_replace_of_the_same_key_is_a_change(people, reader):
    people.sql("insert or replace into people values (1, 'Karin', 'NO')")
    people.sql("insert or ignore into people values (1, 'Nobody', 'NO')")
    people.sql("replace into people values (7, 'New', 'NO')")
    people.sql("update or replace people set id = 2 where id = 3")
    reader.follow()
    assert reader.state["1"]["name"] == "Karin"
    assert reader.alive() == ["1", "2", "7"] and reader.deleted() == ["3"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_replace_through_another_index_is_said_found_and_mended(db, run, service):
    db.sql("create table people (id integer primary key, email text unique)")
    db.sql("insert into people values (1, 'a'), (2, 'b')")
    apply(db, ddl(run, db))
    told = run("check", config=logged(db)).stdout
    assert "all is well" in told and "OR REPLACE can delete rows" in told
    reader = Reader(service(logged(db)))
    reader.follow()
    db.sql("replace into people values (3, 'b')")
    reader.follow()
    assert "missed 0 rows and 1 deletions" in run("check", config=logged(db)).stdout
    apply(db, ddl(run, db))
    reader.follow()
    assert reader.alive() == ["1", "3"] and reader.deleted() == ["2"]


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
def test_partitions_are_logged_and_their_truncate_too(db, run, service):
    db.sql("create table people (id integer, part integer, name text, primary key (id, part)) partition by list (part)")
    db.sql("create table people_1 partition of people for values in (1)")
    db.sql("create table people_2 partition of people for values in (2) partition by list (id)")
    db.sql("create table people_2_x partition of people_2 default")
    db.sql("insert into people values (1, 1, 'a'), (2, 2, 'b'), (3, 2, 'c'), (4, 1, 'd')")
    apply(db, ddl(run, db))
    assert "all is well" in run("check", config=logged(db)).stdout
    reader = Reader(service(logged(db)))
    reader.follow()
    db.sql("update people set part = 2 where id = 1")
    reader.follow()
    assert reader.alive() == ["1:2", "2:2", "3:2", "4:1"] and reader.deleted() == ["1:1"]
    db.sql("truncate people_2")
    reader.follow()
    assert reader.alive() == ["4:1"]
    db.sql("create table people_3 partition of people for values in (3)")
    db.sql("insert into people_3 values (9, 3, 'e')")
    reader.follow()
    assert reader.alive() == ["4:1", "9:3"]
    assert "TRUNCATE of the partition people_3" in run("check", config=logged(db)).stdout


# ---- rights


@pytest.mark.parametrize("db", ["postgresql", "mysql"], indirect=True)
def test_least_roles_can_write_and_read(db, run, service):
    create(db, "people", TABLE, ROWS)
    everybody = "" if db.type == "postgresql" else "@'%'"
    for role in ("log_writer", "log_reader"):
        if db.type == "postgresql":
            db.sql(f"drop role if exists {role}")
            db.sql(f"create role {role} login password 'x'")
        else:
            db.sql(f"create or replace user {role}@'%' identified by 'x'")
    db.sql(f"grant insert, update, delete, select on people to log_writer{everybody}")
    db.sql(f"grant select on people to log_reader{everybody}")
    least = logged(db)
    least["systems"]["db"].update(username="log_reader", password="x")
    if db.type == "mysql":  # its horizon needs a right that is no matter here
        least["sources"]["people"]["late_commits"] = "ignore"
    sql = run("ddl", db.type, "--table", "people", config=least)
    assert sql.returncode == 0, sql.stderr
    lines = sql.stdout.splitlines()
    grants = [line[3:] for line in lines if line.startswith("-- GRANT")]
    assert len(grants) == (3 if db.type == "mysql" else 0)
    apply(db, sql.stdout)
    if db.type == "mysql":
        hidden = service(least).get("/sources/people").problem(500)
        assert "change log" in hidden["detail"]
    apply(db, "\n".join(grants))
    reader = Reader(service(least))
    reader.follow()
    db.sql("delete from people where id = 1", username="log_writer", password="x")
    db.sql("insert into people values (5, 'x', 'x')", username="log_writer", password="x")
    reader.follow()
    assert reader.alive() == ["2", "3", "5"] and reader.deleted() == ["1"]
    if db.type == "mysql":
        drop_trigger(db, "update")
        assert "trigger" in reader.service.get("/sources/people").problem(500)["detail"]
        for role in ("log_writer", "log_reader"):
            db.sql(f"drop user {role}@'%'")
    else:
        db.sql("drop table people, sesam_sql_log_people, sesam_sql_log")
        for role in ("log_writer", "log_reader"):
            db.sql(f"drop owned by {role}")


# ---- late commits


MANY_WRITERS = pytest.mark.parametrize("db", ["postgresql", "mysql"], indirect=True)


@MANY_WRITERS
def test_rows_of_late_commits_come(people, reader, service):
    late = people.connect(autocommit=False)
    late.cursor().execute("update people set name = 'late' where id = 1")
    late.cursor().execute("delete from people where id = 2")
    people.sql("insert into people values (5, 'early', 'NO')")
    reader.follow()
    assert "5" in reader.alive()
    time.sleep(0.1)
    people.sql("insert into people values (6, 'early', 'NO')")
    reader.follow()
    late.commit()
    late.close()
    eventually(lambda: reader.poll() is not None and reader.state["1"].get("name") == "late"
               and "2" in reader.deleted(), 20)


@MANY_WRITERS
def test_writers_with_late_commits_lose_nothing(people, service):
    """Each version of each row is delivered or superseded."""
    people.sql("delete from people")
    reader = Reader(service(logged(people)), limit=50)
    until = time.monotonic() + 4

    def write(number):
        generator = random.Random(number)
        while time.monotonic() < until:
            connection = people.connect(autocommit=False)
            cursor = connection.cursor()
            try:
                for _ in range(generator.randrange(1, 4)):
                    key = number * 10 + generator.randrange(10)
                    cursor.execute(f"delete from people where id = {key}")
                    if generator.random() < 0.7:
                        cursor.execute(f"insert into people values ({key}, '{generator.random()}', 'NO')")
                    time.sleep(generator.random() * 0.1)
                connection.commit() if generator.random() < 0.9 else connection.rollback()
            except Exception as failure:  # pylint: disable=broad-except
                assert "deadlock" in str(failure).lower(), failure
            connection.close()

    writers = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(6)]
    for writer in writers:
        writer.start()
    while time.monotonic() < until:
        reader.poll()
    for writer in writers:
        writer.join()
    rows = {str(row[0]): row[1] for row in people.sql("select id, name from people")}
    eventually(lambda: reader.poll() is not None
               and {key: reader.state[key]["name"] for key in reader.alive()} == rows, 30)


@pytest.mark.parametrize("db", ["mysql"], indirect=True)
def test_forged_clock_and_zone_of_a_session_do_not_matter(people, reader):
    before = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(seconds=5)
    connection = people.connect()
    for number, setting in enumerate(("timestamp = 1", "time_zone = '+11:00'", "time_zone = 'SYSTEM'")):
        connection.cursor().execute(f"set {setting}")
        connection.cursor().execute(f"insert into people values ({10 + number}, 'x', 'x')")
        connection.cursor().execute("set timestamp = default")
    connection.close()
    for change, in people.sql("select sesam_change from sesam_sql_log_people where id >= 10"):
        assert before < change < before + datetime.timedelta(seconds=60)
    reader.follow()
    assert {"10", "11", "12"} <= set(reader.alive())


# ---- pruning


def prune(db, run, age="0"):
    """What ddl prints for it, with another age."""
    lines = ddl(run, db).splitlines()
    start = next(i for i, line in enumerate(lines) if "To prune what is older" in line or "at the mark just before:" in line)
    end = next(i for i, line in enumerate(lines) if "To drop the log" in line)
    text = "\n".join(line[3:] for line in lines[start + 2:end])
    for old, new in (("interval '90 days'", f"interval '{age} days'"), ("INTERVAL 90 DAY", f"INTERVAL {age} DAY"),
                     ("'-90 days'", f"'-{age} days'"), ("pg_sleep(5)", "pg_sleep(0)"), ("SLEEP(5)", "SLEEP(0)")):
        text = text.replace(old, new)
    assert "90" not in text and "DELETE" in text and "UPDATE" in text
    time.sleep(0.01)
    apply(db, text)


def log_count(db):
    return db.sql("select count(*) from sesam_sql_log_people")[0][0]


def test_reader_from_before_pruned_deletions_is_gone(people, service, run):
    old, new = Reader(service(logged(people))), Reader(service(logged(people)))
    old.follow()
    for key in (1, 2):
        people.sql(f"delete from people where id = {key}")
    settled(old)
    stale = old.since
    people.sql("insert into people values (4, 'x', 'x')")
    people.sql("delete from people where id = 4")
    new.follow()
    settled(new)
    prune(people, run)
    assert log_count(people) == 2  # the row, and the newest deletion
    problem = old.service.get("/sources/people", {"since": stale}).problem(410)
    assert "pruned" in problem["detail"] and "reset the pipe" in problem["hint"]
    assert new.follow() == []
    people.sql("insert into people values (5, 'x', 'x')")
    assert "5" in new.follow()


def test_full_read_after_pruning_goes_on_page_by_page(people, service, run):
    for key in (1, 2):
        people.sql(f"delete from people where id = {key}")
    insert(people, "people", [(key, "x", "NO") for key in range(10, 20)])
    people.sql("delete from people where id = 19")
    prune(people, run)
    reader = Reader(service(logged(people)), limit=1)
    reader.follow()
    assert reader.alive() == sorted(["3"] + [str(key) for key in range(10, 19)])


def test_token_of_an_often_pruned_log_is_never_below_the_since_it_answers(mariadb, service, run):
    """While the sampler knows nothing yet, tokens begin with the position where the answer began."""
    mariadb.dialect = DIALECTS["mysql"]
    create(mariadb, "people", TABLE, ROWS)
    apply(mariadb, ddl(run, mariadb))
    for _ in range(3):
        mariadb.sql("delete from people where id < 3")
        prune(mariadb, run)
        insert(mariadb, "people", ROWS[:2])
    running = service(logged(mariadb))
    first = eventually(lambda: [e["_updated"] for e in running.pull("people", limit=1) if "!!20" not in e["_updated"]])[0]
    assert first.endswith("!3")
    connection = mariadb.connect(autocommit=False)
    connection.cursor().execute("insert into people values (9, 'x', 'x')")
    rest = service(logged(mariadb)).pull("people", since=first, limit=9)
    connection.close()
    assert rest and all(entity["_updated"] > first for entity in rest)


def test_young_deletions_are_not_pruned(people, service, run):
    reader = Reader(service(logged(people)))
    reader.follow()
    people.sql("delete from people where id = 1")
    people.sql("delete from people where id = 2")
    prune(people, run, age="1")
    reader.follow()
    assert reader.deleted() == ["1", "2"]


def test_token_of_another_state_of_the_log_is_gone(people, service, run):
    reader = Reader(service(logged(people)))
    reader.follow()
    changed = reader.since.rsplit("!", 1)[0] + "!7"
    assert "reset" in reader.service.get("/sources/people", {"since": changed}).problem(410)["hint"]
    if people.type == "sqlite":
        people.sql("update people set name = 'x'")
        reader.follow()
        people.sql("update sesam_sql_log set last = 1")
        assert reader.service.get("/sources/people", {"since": reader.since}).status == 410


