"""sesam-sql init: looks into a database and prints a configuration that check takes and pulls work with."""

import json
import re
import urllib.parse

import pytest

import servers
from clients import apply
from conftest import create
from terminal import Terminal

CANARY = "canary-93c1f0"
T = "2024-05-01 10:00:0"


def url_of(database, **changes):
    """The URL of a database, without its password."""
    system = database.system(**changes)
    if system["type"] == "sqlite":
        return f"sqlite:{urllib.parse.quote(system['path'])}"
    host, quote = system["host"], urllib.parse.quote
    host = quote(host, safe="") if host.startswith("/") else host
    port = f":{system['port']}" if system.get("port") else ""
    return f"{system['type']}://{quote(system['username'], safe='')}@{host}{port}/{quote(system['database'], safe='')}"


def secret_of(database):
    return {"SESAM_SQL_PASSWORD": database.system()["password"]} if database.system().get("password") else {}


class Proposal:
    """What init printed, and what it said of each table."""

    def __init__(self, done):
        assert done.returncode == 0, done.stderr
        self.text = done.stdout
        self.said = done.stderr
        self.config = json.loads(done.stdout)

    def about(self, table):
        """What was said of a table, without the schema before its name."""
        found = re.search(rf"^(?:\w+\.)?{re.escape(table)}:\n((?:  .*\n|  NULL.*\n)*)", self.said, re.MULTILINE)
        assert found, self.said
        return found.group(1)

    def source(self, name):
        return self.config["sources"][name]

    def sink(self, name):
        return self.config["sinks"][name]


@pytest.fixture
def init(run):
    def start(database, *more, environment=None):
        return Proposal(run("init", "--system", url_of(database), *more,
                            environment=secret_of(database) if environment is None else environment))
    return start


# ---- a zoo of tables: columns, rows, and what is to be found

STAMP = {"postgresql": "timestamptz", "mysql": "datetime(6)", "sqlite": "datetime"}

ZOO = {
    "customers": ("id integer not null primary key, name {text}, updated_at {stamp} not null, version integer not null default 1,"
                  " deleted_at {stamp} null", [(1, "Kari", T + "1", 1, None), (2, "Ola", T + "2", 1, T + "2")]),
    "two_times": ("id integer not null primary key, modified {stamp} not null, last_update {stamp} not null, born {stamp} null",
                  [(1, T + "1", T + "1", None)]),
    "epochs": ("a integer not null, b {key_text} not null, changed bigint not null, is_deleted integer not null, primary key (a, b)",
               [(1, "x", 1700000000123, 0), (1, "y", 1700000001123, 1)]),
    "traps": ("id integer not null primary key, updated_by integer, update_count integer, password_changed_at {stamp} null,"
              " changes decimal(10,2), schema_version integer, undeleted integer", [(1, 7, 2, T + "1", 1, 2, 0)]),
    "keyless": ("a integer", []),
    "full_only": ("id integer not null primary key, v {text}", [(1, "x")]),
    "odd": ("_id integer not null primary key, _updated {text}, _hash {text}, id integer", [(1, "x", "y", 2)]),
}


def make(database, names=tuple(ZOO)):
    database.dialect = {**database.dialect, "stamp": STAMP[database.type]}
    for name in names:
        create(database, name, *ZOO[name])


@pytest.fixture
def zoo(db):
    make(db)
    db.sql("create index two_times_index on two_times (last_update, id)")
    db.sql("create view seen as select * from customers")
    apply(db, ddl_of(db))
    return db


def ddl_of(db):
    """One of our own tables, which is none of the user's."""
    return "create table sesam_sql_sync (id integer not null primary key);"


def test_printed_configuration_passes_check_and_every_source_can_be_pulled(run, init, zoo):
    proposal = init(zoo)
    assert proposal.said.count("WARNING") and "sesam_sql" not in proposal.text
    zoo.sql("drop table sesam_sql_sync")
    checked = run("check", config=proposal.text, environment=secret_of(zoo))
    assert checked.returncode == 0 and "all is well" in checked.stdout, checked.stdout + checked.stderr
    assert set(proposal.config["sources"]) == set(ZOO) - {"keyless"} == set(proposal.config["sinks"])
    for name in proposal.config["sources"]:
        done = run("pull", name, config=proposal.text, environment=secret_of(zoo))
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)) == len(ZOO[name][1]), name


def test_guesses_of_the_zoo(init, zoo):
    proposal = init(zoo)
    sources, sinks = proposal.config["sources"], proposal.config["sinks"]
    tracked = {name: source.get("updated_column") for name, source in sources.items()}
    assert tracked == {"customers": "updated_at", "two_times": "last_update", "epochs": {"column": "changed", "unit": "ms"},
                       "traps": None, "full_only": None, "odd": None}
    assert {name: source["deleted"] for name, source in sources.items() if "deleted" in source} == {
        "customers": {"column": "deleted_at"}, "epochs": {"column": "is_deleted", "value": 1}}
    assert {name: sink["optimistic_lock"] for name, sink in sinks.items() if "optimistic_lock" in sink} == {
        "customers": {"column": "version"}}
    assert sinks["customers"]["whitelist"] == ["id", "name"]
    assert sinks["customers"]["timestamp"] == "updated_at"
    assert sinks["customers"]["deletes"] == {"column": "deleted_at", "value": "now"}
    assert sinks["epochs"]["deletes"] == {"column": "is_deleted", "value": 1, "live": 0}
    assert "its name" in proposal.about("customers")


def test_index_decides_between_two_times(init, zoo):
    said = init(zoo).about("two_times")
    assert "last_update" in said and "an index serves the reads" in said
    assert "others that could be: modified" in said and "born" not in said


def test_missing_index_is_told_with_the_sql_that_mends_it(run, init, zoo):
    said = init(zoo).about("customers")
    (statement,) = re.findall(r"CREATE INDEX .*;", said)
    zoo.sql(statement)
    assert "CREATE INDEX" not in init(zoo).about("customers")


def test_tables_that_cannot_be_tracked_are_told_why(init, zoo):
    proposal = init(zoo)
    assert "left out" in proposal.about("keyless") and "no primary key" in proposal.about("keyless")
    said = proposal.about("full_only")
    assert "read in full" in said and f"sesam-sql ddl {zoo.type} --config FILE --table" in said and '"changelog"' in said
    assert "views" in proposal.said and "seen" in proposal.said
    assert "the sink does not set changed" in proposal.about("epochs")


def test_names_that_are_sesams_own_are_renamed_both_ways(init, zoo):
    proposal = init(zoo)
    properties = proposal.source("odd")["properties"]
    assert properties == {"_id": "id_2", "_updated": "updated", "_hash": "hash"}
    assert proposal.sink("odd")["properties"] == {name: column for column, name in properties.items()}
    assert proposal.about("odd").count("is called") == 3


def test_change_log_that_is_there_is_used(run, init, db):
    make(db, ["full_only"])
    config = init(db).config
    config["sources"]["full_only"]["tracking"] = "changelog"
    table = {"postgresql": "public.full_only"}.get(db.type, "full_only")
    ddl = run("ddl", db.type, "--table", table, config=config, environment=secret_of(db))
    assert ddl.returncode == 0, ddl.stderr
    apply(db, ddl.stdout)
    proposal = init(db)
    assert set(proposal.config["sources"]) == {"full_only"}
    assert proposal.source("full_only")["tracking"] == "changelog"
    assert "change log" in proposal.about("full_only")


def test_database_without_tables_is_an_error(run, db):
    done = run("init", "--system", url_of(db), environment=secret_of(db))
    assert done.returncode == 1 and "no tables" in done.stderr and done.stdout == ""


def test_columns_that_the_database_fills_are_not_written(init, postgresql, mariadb):
    postgresql.sql("create table t (id integer generated always as identity primary key, v text,"
                   " w text generated always as (v || v) stored)")
    mariadb.sql("create table t (id integer auto_increment primary key, v text, w text as (concat(v, v)) stored)")
    assert init(postgresql).sink("t")["whitelist"] == ["v"]
    assert init(mariadb).sink("t")["whitelist"] == ["id", "v"]


def test_transaction_ids_come_before_times(init, postgresql):
    postgresql.sql("create table t (id integer primary key, updated_at timestamptz not null, changed_in xid8 not null"
                   " default pg_current_xact_id())")
    proposal = init(postgresql)
    assert proposal.source("t")["updated_column"] == "changed_in"
    assert "no trigger" in proposal.about("t")
    assert proposal.sink("t")["whitelist"] == ["id", "updated_at"]


def test_column_that_the_server_refreshes_comes_before_other_times(init, mariadb):
    mariadb.sql("create table t (id integer primary key, updated_at datetime(6) not null,"
                " seen timestamp(6) not null default current_timestamp(6) on update current_timestamp(6))")
    proposal = init(mariadb)
    assert proposal.source("t")["updated_column"] == "seen"
    assert "at every update" in proposal.about("t")
    assert "timestamp" not in proposal.sink("t") and proposal.sink("t")["whitelist"] == ["id", "updated_at"]


@pytest.mark.parametrize("kind, there, here", [
    ("postgresql", "alter database service_test set timezone = 'Europe/Oslo'", "alter database service_test reset timezone"),
    ("mariadb", "set global time_zone = '+02:00'", "set global time_zone = '+00:00'")])
def test_zone_of_the_server_is_written_where_times_have_none(run, init, request, kind, there, here):
    database = request.getfixturevalue(kind)
    database.sql(f"create table t (id integer primary key, updated_at {'timestamp' if kind == 'postgresql' else 'datetime'} not null)")
    assert "timezone" not in init(database).config["systems"]["service_test"]
    database.sql(there)
    try:
        proposal = init(database)
        assert proposal.config["systems"]["service_test"]["timezone"] in there and "timezone:" in proposal.said
        checked = run("check", config=proposal.text, environment=secret_of(database))
        assert checked.returncode == 0, checked.stdout
    finally:
        database.sql(here)


# ---- names


def test_tables_of_two_schemas_get_names_of_their_own(run, init, postgresql):
    for schema in ("sales", "public"):
        postgresql.sql(f"create schema if not exists {schema}")
        for table in ("orders", '"Orders"', '"or/ders"', '"æ ø"', '"%?#"', '".."'):
            postgresql.sql(f"create table {schema}.{table} (id integer primary key, \"${{x}}\" text)")
    proposal = init(postgresql)
    names = list(proposal.config["sources"])
    assert len(names) == 12 == len({name.lower() for name in names})
    assert {"public.Orders", "public.orders-2", "sales.Orders", "public.or_ders", "sales.table-3"} <= set(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) and name not in (".", "..") for name in names)
    checked = run("check", config=proposal.text, environment=secret_of(postgresql))
    assert checked.returncode == 0, checked.stdout
    only = init(postgresql, "--schema", "sales")
    assert len(only.config["sources"]) == 6 and "Orders" in only.config["sources"]


def test_schema_without_tables_is_told(run, db):
    make(db, ["full_only"])
    done = run("init", "--system", url_of(db), "--schema", "nowhere", environment=secret_of(db))
    assert done.returncode == 1 and "nowhere" in done.stderr and done.stdout == ""


# ---- what a role may not


def test_table_that_may_not_be_read_is_left_out_and_the_sql_mends_it(run, postgresql):
    postgresql.sql("create table open (id integer primary key)")
    postgresql.sql("create schema shut")
    postgresql.sql("create table shut.closed (id integer primary key)")
    postgresql.sql(f"create role init_reader login password '{CANARY}'")
    try:
        postgresql.sql("grant select on open to init_reader")
        start = ("init", "--system", url_of(postgresql, username="init_reader"))
        proposal = Proposal(run(*start, environment={"SESAM_SQL_PASSWORD": CANARY}))
        assert list(proposal.config["sources"]) == ["open"] and not proposal.config["sinks"]
        assert "no sink" in proposal.about("open") and "GRANT" in proposal.about("open")
        for statement in re.findall(r"^    (GRANT .*;)", proposal.about("closed"), re.MULTILINE):
            postgresql.sql(statement)
        postgresql.sql("grant usage on schema shut to init_reader")
        for statement in re.findall(r"^    (GRANT .*;)",
                                    Proposal(run(*start, environment={"SESAM_SQL_PASSWORD": CANARY})).about("closed"), re.MULTILINE):
            postgresql.sql(statement)
        proposal = Proposal(run(*start, environment={"SESAM_SQL_PASSWORD": CANARY}))
        assert list(proposal.config["sources"]) == ["open", "closed"]
    finally:
        postgresql.sql("drop owned by init_reader")
        postgresql.sql("drop role init_reader")


def test_what_a_role_lacks_is_said_once_and_only_a_table_it_does_not_write_has_no_sink(run, postgresql):
    postgresql.sql("revoke create on schema public from public")
    postgresql.sql(f"create role init_writer login password '{CANARY}'")
    try:
        for table in ("a", "b", "c"):
            postgresql.sql(f"create table {table} (id integer primary key, updated timestamptz not null)")
            postgresql.sql(f"grant select{'' if table == 'c' else ', insert, update, delete'} on {table} to init_writer")
        proposal = Proposal(run("init", "--system", url_of(postgresql, username="init_writer"),
                                environment={"SESAM_SQL_PASSWORD": CANARY}))
        assert list(proposal.config["sources"]) == ["a", "b", "c"] and list(proposal.config["sinks"]) == ["a", "b"]
        assert proposal.said.count("GRANT pg_read_all_stats") == 1 and "as above" in proposal.about("b")
        assert "the sink cannot be used yet" in proposal.about("a") and "no sink" in proposal.about("c")
    finally:
        postgresql.sql("drop owned by init_writer")
        postgresql.sql("drop role init_writer")


def test_parts_of_a_table_and_names_that_drive_terminals(init, postgresql):
    postgresql.sql("create table whole (id integer primary key) partition by range (id)")
    postgresql.sql("create table part partition of whole for values from (0) to (10)")
    postgresql.sql('create table "bad\x1b[31mname" (id integer primary key)')
    proposal = init(postgresql)
    assert set(proposal.config["sources"]) == {"whole", "bad_31mname"}
    assert "\x1b" not in proposal.said and proposal.source("bad_31mname")["table"] == "bad\x1b[31mname"


# ---- Sesam's side


def test_sesam_gets_a_system_and_pipes_in_one_array(init, zoo):
    done = init(zoo, "--sesam")
    system, *pipes = done.config
    assert system["type"] == "system:microservice" and system["docker"]["port"] == 5000
    environment = system["docker"]["environment"]
    config = environment["SESAM_SQL_CONFIG"]
    assert config["listen"]["authentication"]["users"] == [{"username": "sesam", "password": "${SESAM_PASSWORD}"}]
    assert re.fullmatch(r"\$SECRET\(.+\)", system["password"]) and environment["SESAM_PASSWORD"] == system["password"]
    assert ("SESAM_SQL_PASSWORD" in environment) == (zoo.type != "sqlite")
    by_url = {(pipe.get("sink") or pipe["source"]).get("url") if pipe["_id"].endswith("share") else pipe["source"]["url"]: pipe
              for pipe in pipes}
    assert set(by_url) == {f"{kind}/{name}" for kind in ("sources", "sinks") for name in config[kind]}
    assert len({pipe["_id"] for pipe in pipes}) == len(pipes)
    following = by_url["sources/two_times"]["source"]
    assert following["supports_since"] and following["is_chronological"]
    assert by_url["sources/two_times"]["pump"] == {"rescan_cron_expression": "0 3 * * ?"}
    assert "pump" not in by_url["sources/customers"]
    assert "supports_since" not in by_url["sources/full_only"]["source"]


def test_tokens_are_comparable_only_where_the_key_orders_by_bytes(init, postgresql):
    postgresql.dialect = {"text": "text"}
    for name, key in (("plain", 'text collate "C"'), ("clever", 'text collate "en-x-icu"')):
        postgresql.sql(f"create table {name} (id {key} primary key, updated_at timestamptz not null)")
    comparable = {pipe["source"].get("url"): pipe["source"].get("is_since_comparable")
                  for pipe in init(postgresql, "--sesam").config[1:]}
    assert comparable["sources/plain"] is True and comparable["sources/clever"] is None


def test_configuration_for_sesam_can_be_checked(run, init, zoo):
    zoo.sql("drop table sesam_sql_sync")
    environment = init(zoo, "--sesam").config[0]["docker"]["environment"]
    checked = run("check", environment={"SESAM_SQL_CONFIG": json.dumps(environment["SESAM_SQL_CONFIG"]), "SESAM_PASSWORD": "x",
                                        **secret_of(zoo)})
    assert checked.returncode == 0, checked.stdout + checked.stderr


# ---- URLs


@pytest.mark.parametrize("url", [
    f"postgresql://user:{CANARY}@localhost/db", f"mysql://user:{CANARY}/x@localhost/db", f"mariadb://user:{CANARY}@x@h/db",
    f"postgresql://user@localhost/db?password={CANARY}", f"postgresql://user:%63{CANARY}@localhost:1/db"])
def test_password_in_the_url_is_refused_and_not_repeated(run, url):
    done = run("init", "--system", url)
    assert done.returncode == 1 and CANARY not in done.stdout + done.stderr and done.stdout == ""


def test_path_of_a_file_is_decoded_and_made_absolute(run, sqlite, tmp_path):
    odd = servers.SQLiteFile(tmp_path / "a b%20${c}.db")
    odd.sql("create table t (id integer primary key)")
    for url in ("sqlite:a%20b%2520$%7Bc%7D.db", f"sqlite://{urllib.parse.quote(str(tmp_path))}/a%20b%2520${{c}}.db"):
        done = run("init", "--system", url)
        assert done.returncode == 0, done.stderr
        (system,) = json.loads(done.stdout)["systems"].values()
        assert system["path"] == str(tmp_path / "a b%20$${c}.db")
        assert run("check", config=done.stdout).returncode == 0


def test_parameters_of_a_url_reach_the_configuration(run, postgresql):
    postgresql.sql("create table t (id integer primary key)")
    url = url_of(postgresql) + "?sslmode=prefer&sslrootcert=ca%20of%20mine.pem"
    done = run("init", "--system", url, environment=secret_of(postgresql))
    assert done.returncode == 0, done.stderr
    (system,) = json.loads(done.stdout)["systems"].values()
    assert system["sslmode"] == "prefer" and system["sslrootcert"].endswith("/ca of mine.pem")


# ---- passwords


def test_password_comes_from_a_file(run, postgresql, tmp_path):
    postgresql.sql("create table t (id integer primary key)")
    (tmp_path / "secret").write_text(postgresql.system()["password"] + "\n")
    done = run("init", "--system", url_of(postgresql), "--password-file", "secret")
    assert done.returncode == 0, done.stderr
    (system,) = json.loads(done.stdout)["systems"].values()
    assert system["password"] == "${file:%s}" % (tmp_path / "secret")
    assert postgresql.system()["password"] not in done.stdout + done.stderr
    assert run("check", config=done.stdout).returncode == 0


def test_missing_password_is_told_how_to_give_it(run, mariadb):
    done = run("init", "--system", url_of(mariadb))
    assert done.returncode == 1 and done.stdout == "" and "SESAM_SQL_PASSWORD" in done.stderr


def ask_at_terminal(program, database, keys, tmp_path):
    """Runs init with a terminal, and answers its question. Returns status, standard output and what was shown."""
    with open(tmp_path / "printed", "w+", encoding="utf-8") as out:
        terminal = Terminal(program, "init", "--system", url_of(database), out=out.fileno())
        terminal.wait_for("(empty: none): ")
        terminal.type(keys)
        status = terminal.finish()
        return status, (tmp_path / "printed").read_text(), terminal.shown


def test_terminal_is_asked_without_echo(program, run, postgresql, tmp_path):
    postgresql.sql("create table t (id integer primary key)")
    secret = postgresql.system()["password"]
    keys = b"x\x15wrong\x7f\x7f\x7f\x7f\x7f" + secret.encode() + b"\r"
    status, printed, shown = ask_at_terminal(program, postgresql, keys, tmp_path)
    assert status == 0, shown
    assert "Password of" in shown and secret not in shown and "wrong" not in shown and secret not in printed
    (system,) = json.loads(printed)["systems"].values()
    assert system["password"] == "${SESAM_SQL_PASSWORD}" and "$SESAM_SQL_PASSWORD" in shown
    assert run("check", config=printed, environment={"SESAM_SQL_PASSWORD": secret}).returncode == 0


def test_question_can_be_left_by_control_c(program, postgresql, tmp_path):
    status, printed, shown = ask_at_terminal(program, postgresql, b"half\x03", tmp_path)
    assert (status, printed) == (1, "") and "half" not in shown and "no password" in shown


def test_secrets_are_in_no_output(run, zoo):
    if zoo.type == "sqlite":
        pytest.skip("a file has no password")
    for more in ((), ("--sesam",)):
        done = run("init", "--system", url_of(zoo), *more, environment=secret_of(zoo))
        assert zoo.system()["password"] not in done.stdout + done.stderr
    done = run("init", "--system", url_of(zoo, username="nobody"), environment={"SESAM_SQL_PASSWORD": CANARY})
    assert done.returncode == 1 and CANARY not in done.stdout + done.stderr
