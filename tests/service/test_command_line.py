"""The program as people and scripts run it."""

import json
import os
import threading
import time

import pytest

import servers
from conftest import config_of, create
from terminal import Terminal

CANARY = "canary-7d41ab"
T = "2024-05-01 10:00:0"


@pytest.fixture
def people(sqlite):
    sqlite.dialect = {"mark": "?"}
    create(sqlite, "people", "id integer not null primary key, name text, updated datetime not null",
           [(1, "Kari", T + "1"), (2, "Ola", T + "2"), (3, "Sven", T + "3")])
    sqlite.sql("create index people_updated on people (updated, id)")
    return sqlite


def source(**more):
    return {"table": "people", "updated_column": "updated", **more}


# ---- the program itself


def test_version_is_told(run):
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("sesam-sql ")


def test_help_names_every_command(run):
    done = run("--help")
    assert done.returncode == 0
    for command in ("init", "serve", "check", "pull", "ddl"):
        assert command in done.stdout


@pytest.mark.parametrize("arguments", [[], ["dance"], ["serve", "--dance"], ["pull"], ["serve", "--config"],
                                       ["pull", "people", "--limit"], ["serve", "more"], ["ddl"], ["ddl", "oracle"],
                                       ["ddl", "sqlite", "more"], ["serve", "--roles"], ["check", "--table", "x"],
                                       ["ddl", "sqlite", "--limit", "1"], ["init"], ["init", "--system"],
                                       ["init", "--system", "sqlite:x", "--config", "y"], ["check", "--sesam"],
                                       ["serve", "--schema", "x"], ["pull", "x", "--password-file", "y"],
                                       ["init", "sqlite:x"],
                                       ["ddl", "sqlite", "--roles", "--table", "x"]])
def test_wrong_use_is_told_on_standard_error(run, arguments):
    done = run(*arguments)
    assert done.returncode not in (0, -6, -11)
    assert done.stderr.strip()
    assert not done.stdout.strip()


def test_ddl_can_be_run_and_run_again(run, db):
    """A role without the right to make tables has an administrator run it; without any configuration."""
    done = run("ddl", db.type)
    assert (done.returncode, done.stderr) == (0, "")
    statements = "\n".join(line.split("--")[0] for line in done.stdout.splitlines()).split(";")
    for statement in 2 * [statement for statement in statements if statement.strip()]:
        db.sql(statement)
    for table in ("sesam_sql_sync", "sesam_sql_request", "sesam_sql_retired"):
        assert db.sql(f"select * from {table}") == []


def test_mariadb_is_mysql_to_ddl(run):
    assert run("ddl", "mariadb").stdout == run("ddl", "mysql").stdout


def test_missing_configuration_is_told(run):
    done = run("serve")
    assert done.returncode != 0
    assert "SESAM_SQL_CONFIG" in done.stderr
    done = run("serve", "--config", "/nowhere/config.json")
    assert done.returncode != 0
    assert "/nowhere/config.json" in done.stderr


# ---- configuration


def test_all_mistakes_are_told_at_once_with_their_paths(run, people):
    config = config_of(people, people=source(tabel="x"), others={"table": "people", "late_commits": 7})
    config["systems"]["more"] = {"type": "oracle"}
    config["listne"] = {}
    done = run("serve", config=config)
    assert done.returncode != 0
    for path in ("sources.people.tabel", "sources.others.late_commits", "systems.more.type", "listne"):
        assert path in done.stderr, done.stderr
    assert "table" in done.stderr and "listen" in done.stderr


def test_json_that_does_not_parse_is_told_with_its_place(run):
    done = run("serve", config='{"systems": {}\n "sources": {}}')
    assert done.returncode != 0
    assert "2" in done.stderr


def test_configuration_comes_from_the_environment(run, people):
    text = json.dumps(config_of(people, people=source()))
    done = run("pull", "people", environment={"SESAM_SQL_CONFIG": text})
    assert [entity["_id"] for entity in json.loads(done.stdout)] == ["1", "2", "3"]


def test_configuration_file_is_named_by_the_environment(run, people, tmp_path):
    path = tmp_path / "named.json"
    path.write_text(json.dumps(config_of(people, people=source())))
    done = run("pull", "people", environment={"SESAM_SQL_CONFIG_FILE": str(path)})
    assert len(json.loads(done.stdout)) == 3


def test_variables_and_files_are_put_in(run, people, tmp_path):
    (tmp_path / "table").write_text("people\n")
    config = config_of(people, people=source(table="${file:%s}" % (tmp_path / "table"), primary_key="${KEY}"))
    done = run("pull", "people", config=config, environment={"KEY": "id"})
    assert len(json.loads(done.stdout)) == 3
    done = run("pull", "people", config=config)
    assert done.returncode != 0 and "KEY" in done.stderr


def test_service_on_another_address_wants_authentication_written(run, people):
    config = config_of(people, people=source())
    config["listen"] = {"address": "0.0.0.0", "port": 0}
    done = run("serve", config=config)
    assert done.returncode != 0
    assert "authentication" in done.stderr


def test_port_in_use_is_told(run, people, service):
    running = service(config_of(people, people=source()))
    config = config_of(people, people=source())
    config["listen"] = {"port": running.port}
    done = run("serve", config=config)
    assert done.returncode != 0
    assert str(running.port) in done.stderr


# ---- pull


def test_pull_writes_the_entities_to_standard_output(run, people):
    config = config_of(people, people=source())
    done = run("pull", "people", config=config)
    assert done.returncode == 0
    entities = json.loads(done.stdout)
    assert [entity["_id"] for entity in entities] == ["1", "2", "3"]
    done = run("pull", "people", "--since", entities[0]["_updated"], "--limit", "1", config=config)
    assert [entity["_id"] for entity in json.loads(done.stdout)] == ["2"]


def test_pull_of_an_unknown_source_fails(run, people):
    done = run("pull", "peeple", config=config_of(people, people=source()))
    assert done.returncode != 0
    assert "peeple" in done.stderr
    assert not done.stdout


def test_pull_that_fails_writes_no_whole_array(run, people):
    done = run("pull", "gone", config=config_of(people, gone={"table": "gone"}))
    assert done.returncode != 0
    assert not done.stdout.strip().endswith("]")
    assert "gone" in done.stderr


def test_pull_to_a_full_device_fails(run, people, program, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config_of(people, people=source())))
    assert os.system(f"{program} pull people --config {path} >/dev/full 2>/dev/null") != 0


def pull_slowly(program, config, tmp_path):
    """Pulls at a terminal, with a reader that takes little at a time until progress is shown. Returns what was read, what
    was shown, and how many seconds it took."""
    path = tmp_path / "slow.json"
    path.write_text(json.dumps(config))
    reading, writing = os.pipe()
    began = time.monotonic()
    terminal = Terminal(program, "pull", "people", "--config", str(path), out=writing)
    os.close(writing)
    blocks = []

    def read():
        while block := os.read(reading, 65536):
            blocks.append(block)
            time.sleep(0 if "entities/s" in terminal.shown else 0.1)

    reader = threading.Thread(target=read)
    reader.start()
    status = terminal.finish()
    reader.join()
    os.close(reading)
    assert status == 0
    return b"".join(blocks), terminal.shown, time.monotonic() - began


def test_progress_is_shown_on_a_terminal_and_taken_away(program, run, people, tmp_path):
    people.sql("update people set name = hex(zeroblob(300000))")
    people.many("insert into people values (?, hex(zeroblob(300000)), ?)", [(n, T + "4") for n in range(4, 8)])
    read, shown, seconds = pull_slowly(program, config_of(people, people=source()), tmp_path)
    assert len(json.loads(read)) == 7
    lines = shown.split("\r\x1b[K")
    assert lines[0] == lines[-1] == "" and len(lines) > 2
    assert all(" entities, " in line and " MB, " in line and "entities/s" in line for line in lines[1:-1])
    assert len(lines) <= 2 + seconds * 4
    done = run("pull", "people", config=config_of(people, people=source()))
    assert (done.returncode, done.stderr) == (0, "")


# ---- check


def test_check_of_a_good_configuration_is_zero(run, db):
    create(db, "people", "id integer not null primary key, name {text}, updated {datetime} not null",
           [(1, "Kari", T + "1")])
    db.sql("create index people_updated on people (updated, id)")
    done = run("check", config=config_of(db, people=source()))
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("people", "id", "name", "updated"):
        assert word in done.stdout


def test_check_tells_a_missing_table_and_the_nearest(run, db):
    create(db, "people", "id integer not null primary key")
    done = run("check", config=config_of(db, peeple={"table": "peeple"}))
    assert done.returncode != 0
    assert "people" in (done.stdout + done.stderr).replace("peeple", "")


def test_check_tells_a_key_that_is_not_unique(run, db):
    create(db, "people", "a integer not null, b integer", [(1, 1), (2, 2), (1, 3)])
    done = run("check", config=config_of(db, people={"table": "people", "primary_key": "a"}))
    assert done.returncode != 0
    assert "unique" in done.stdout + done.stderr


def test_check_tells_a_missing_index_with_its_sql(run, db):
    create(db, "people", "id integer not null primary key, updated {datetime} not null")
    done = run("check", config=config_of(db, people=source()))
    assert "create index" in (done.stdout + done.stderr).lower()


def test_check_tells_a_database_that_is_away(run):
    config = {"systems": {"db": {"type": "postgresql", "host": "127.0.0.1", "port": servers.free_port(),
                                 "database": "x", "username": "x", "password": CANARY}},
              "sources": {"people": {"system": "db", "table": "people"}}}
    done = run("check", config=config)
    assert done.returncode != 0
    assert "db" in done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr


def test_check_tells_every_source_although_one_is_bad(run, people):
    done = run("check", config=config_of(people, bad={"table": "nothing"}, good=source()))
    assert done.returncode != 0
    assert "good" in done.stdout


# ---- secrets


def test_secrets_are_nowhere_in_what_is_said(run, service, people, postgresql, mariadb):
    systems = {
        "pg": postgresql.system(password=CANARY), "my": mariadb.system(password=CANARY),
        "away": {"type": "postgresql", "host": "127.0.0.1", "port": servers.free_port(), "database": "x",
                 "username": "x", "password": "${SECRET}"}}
    config = {"systems": systems, "log": {"level": "debug"},
              "listen": {"authentication": {"type": "basic", "users": [{"username": "sesam", "password": CANARY}]}},
              "sources": {name: {"system": name, "table": "people"} for name in systems}}
    done = run("check", config=config, environment={"SECRET": CANARY})
    assert CANARY not in done.stdout + done.stderr
    running = service(config, environment={"SECRET": CANARY})
    answers = [running.get(path, headers={"Authorization": "Basic c2VzYW06Y2FuYXJ5LTdkNDFhYg=="})
               for path in ("/", "/status", "/sources", "/metrics", "/openapi.json", "/sources/pg", "/sources/my",
                            "/sources/away", "/ready")]
    running.stop()
    assert CANARY not in running.log()
    assert all(CANARY.encode() not in answer.body for answer in answers)


def test_mistake_never_quotes_a_secret(run, people):
    config = config_of(people, people=source())
    config["systems"]["db"].update(password=CANARY, sslmode=CANARY, pool_size=CANARY)
    config["listen"] = {"authentication": {"type": "basic", "users": [{"username": "x", "pasword": CANARY}]}}
    done = run("serve", config=config)
    assert done.returncode != 0
    assert CANARY not in done.stdout + done.stderr


def test_log_tells_one_line_a_request(service, people):
    running = service(config_of(people, people=source()))
    running.pull("people")
    running.stop()
    lines = [line for line in running.log().splitlines() if "pull people" in line]
    assert len([line for line in lines if "3 entities" in line]) == 1


def test_json_log_is_one_object_a_line(service, people):
    config = config_of(people, people=source())
    config["log"] = {"format": "json"}
    running = service(config)
    running.pull("people")
    running.get("/sources/people?since=%0Ax%22")
    running.stop()
    for line in running.log().splitlines():
        assert isinstance(json.loads(line), dict)
