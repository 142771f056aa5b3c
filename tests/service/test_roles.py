"""Least privilege: what `ddl --roles` prints is enough, nothing of it is too much, and whatever is missing is told."""

import re
from functools import partial

import pytest

from clients import apply
from conftest import create, eventually
from pushing import Sync, push, rows

PASSWORD = "roles-4b1c"
EVIL = "x\nDROP TABLE customers;\n-- '\"`\\"
NAMES = {"postgresql": 'service"test\'role', "mysql": "service`test'role"}
COLUMNS = "id integer not null primary key, name {text}, updated {datetime}"
ROWS = [(n, f"n{n}", f"2024-05-01 10:00:0{n}") for n in (1, 2, 3)]


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request):
    """A database in which nobody has a right that nobody gave."""
    database = request.getfixturevalue(request.param)
    mysql = database.type == "mysql"
    database.dialect = {"mark": "%s", "text": "varchar(100)",
                        "datetime": "timestamp(6) null" if mysql else "timestamptz"}
    if not mysql:
        database.sql("revoke all on schema public from public")
        database.sql("revoke all on database service_test from public")
    yield database
    for name in (NAMES[database.type], "sesam_reader", "sesam_writer", EVIL):
        drop(database, name)
    if not mysql:
        database.sql("grant connect, temporary on database service_test to public")


def role_of(database, name=None):
    name = NAMES[database.type] if name is None else name
    quote = "`" if database.type == "mysql" else '"'
    return quote + name.replace(quote, 2 * quote) + quote + ("@`%`" if database.type == "mysql" else "")


def drop(database, name):
    role = role_of(database, name)
    if database.type == "mysql":
        database.sql(f"drop user if exists {role}")
    elif database.sql("select 1 from pg_roles where rolname = %s", (name,)):
        database.sql(f"drop owned by {role}")
        database.sql(f"drop role {role}")


def let_in(database, name=None):
    """What the printed comments ask for."""
    role = role_of(database, name)
    if database.type == "mysql":
        database.sql(f"alter user {role} identified by '{PASSWORD}' account unlock")
    else:
        database.sql(f"alter role {role} password '{PASSWORD}'")


def config_for(database, sources=None, sinks=None, **system):
    entry = database.system(username=NAMES[database.type], password=PASSWORD, pool_recycle=0.001)
    return {"systems": {"db": {**entry, **system}},
            "sources": {name: {"system": "db", **source} for name, source in (sources or {}).items()},
            "sinks": {name: {"system": "db", **sink} for name, sink in (sinks or {}).items()}}


def printed(run, database, config):
    done = run("ddl", database.type, "--roles", config=config)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert PASSWORD not in done.stdout
    return done.stdout


def well(run, config):
    done = run("check", config=config)
    assert done.returncode == 0, done.stdout + done.stderr


def ill(run, config, word):
    done = run("check", config=config)
    assert done.returncode == 1, done.stdout + done.stderr
    assert word.lower() in done.stdout.lower(), done.stdout


# ---- all sources and sinks with all that was printed


SOURCES = {"customers": {"table": "customers", "updated_column": "updated"},
           "orders": {"table": "orders", "tracking": "changelog"},
           "items": {"query": "select * from items", "primary_key": "id"}}
SINKS = {"targets": {"table": "targets", "blacklist": ["updated"], "delete_guard": False}}


class World:
    """Tables, the role as it was printed, and a service that works as it."""

    def __init__(self, run, service, database):
        self.run, self.database = run, database
        for table in ("customers", "orders", "items", "targets"):
            create(database, table, COLUMNS, ROWS)
        self.config = config_for(database, SOURCES, SINKS)
        administrator = {**self.config, "systems": {"db": database.system()}}
        apply(database, run("ddl", database.type, "--table", "orders", config=administrator).stdout)
        sql = printed(run, database, self.config)
        query = [line[3:].replace("...", "items") for line in sql.splitlines() if line.startswith("-- GRANT SELECT ON")]
        assert len(query) == 1
        self.sql = sql + query[0] + "\n"
        for _ in range(2):
            apply(database, self.sql)
        let_in(database)
        self.service = service(self.config)

    def grants(self):
        """Each right on each object: (right, object, role)."""
        sql = re.sub(r"(?m)^--.*$", "", self.sql)
        for grant in re.findall(r"(?m)^GRANT [^;]*;", sql):
            rights, kind, objects, role = re.fullmatch(
                r"(?s)GRANT (.*?) ON ((?:TABLE |FUNCTION |PROCEDURE |SCHEMA |DATABASE )?)(.*) TO (.*);", grant).groups()
            for one in objects.split(","):
                for right in rights.split(", "):
                    yield right, kind + one.strip(), role

    def empty(self):
        self.database.sql("delete from targets")
        for table in ("sync", "request", "retired"):
            self.database.sql(f"delete from sesam_sql_{table}")
        self.database.many("insert into targets (id, name) values (%s, %s)", [(1, "a"), (2, "b"), (3, "c")])

    def succeeds(self, name):
        self.empty()
        return getattr(self, name)().status == 200

    # operations, each gives its first answer that is no success, or the last

    def pulled(self, source, **parameters):
        answer = self.service.get(f"/sources/{source}", parameters)
        if answer.status == 200:
            assert len(answer.json()) == (2 if parameters else 3)
        return answer

    def pushed(self, send):
        before = rows(self.database, "targets", "id, name")
        answer = send()
        if answer.status != 200:
            assert rows(self.database, "targets", "id, name") == before
        return answer

    def full(self):
        return self.pulled("customers")

    def since(self):
        return self.pulled("customers", since="2024-05-01T10:00:02Z")

    def log(self):
        return self.pulled("orders")

    def query(self):
        return self.pulled("items")

    def insert(self):
        return self.pushed(lambda: push(self.service, "targets", [{"_id": "4", "name": "d"}]))

    def update(self):
        return self.pushed(lambda: push(self.service, "targets", [{"_id": "1", "name": "z"}]))

    def delete(self):
        return self.pushed(lambda: push(self.service, "targets", [{"_id": "3", "_deleted": True}]))

    def sync(self):
        """Two, since the second puts away what the first left."""
        for number in (1, 2):
            sync = Sync(self.service, "targets")
            for send in (lambda: sync.first([{"_id": "1", "name": f"q{number}"}]),
                         lambda: push(self.service, "targets", [{"_id": "9", "name": "meanwhile"}]),
                         lambda: sync.next([{"_id": str(5 + number), "name": "q"}]),
                         lambda: sync.last([{"_id": "8", "name": "q"}])):
                answer = self.pushed(send)
                if answer.status != 200:
                    return answer
            assert [row[0] for row in rows(self.database, "targets")] == [1, 5 + number, 8, 9]
        return answer


PULLS = ("full", "since", "log", "query")
PUSHES = ("insert", "update", "delete", "sync")

# What is taken away, what fails then, and a word that the error and its hint must have. None: check alone tells it.
MISSING = [
    (r"CONNECT ", PULLS + PUSHES, "CONNECT"),
    (r"USAGE ON SCHEMA", PULLS + PUSHES, "USAGE"),
    (r"SELECT ON \S*customers", ("full", "since"), "customers"),
    (r"SELECT ON \S*\border", ("log",), "orders"),
    (r"SELECT ON \S*sesam_sql_log", ("log",), "sesam_sql_log"),
    (r"EXECUTE ON FUNCTION \S*log_orders", ("log",), "EXECUTE"),
    (r"EXECUTE ON PROCEDURE \S*horizon", ("full", "since", "log"), "EXECUTE"),
    (r"EXECUTE ON FUNCTION \S*horizon", ("full", "since"), "EXECUTE"),
    (r"SELECT ON items", ("query",), "items"),
    (r"SELECT ON \S*targets", PUSHES, "targets"),
    (r"INSERT ON \S*targets", ("insert", "sync"), "INSERT"),
    (r"UPDATE ON \S*targets", ("update", "sync"), "UPDATE"),
    (r"DELETE ON \S*targets", ("delete", "sync"), "DELETE"),
    (r"SELECT ON \S*sesam_sql_sync", PUSHES, "sesam_sql_sync"),
    (r"DELETE ON \S*sesam_sql_sync", (), "sesam_sql_sync"),
    (r"UPDATE ON \S*sesam_sql_retired", (), "sesam_sql_retired"),
    (r"\w+ ON \S*sesam_sql_sync", ("sync",), "sesam_sql_sync"),
    (r"\w+ ON \S*sesam_sql_request", ("sync",), "sesam_sql_request"),
    (r"\w+ ON \S*sesam_sql_retired", ("sync",), "sesam_sql_retired"),
    (r"CREATE TEMPORARY TABLES ON", ("sync",), "CREATE TEMPORARY TABLES"),
]


def missing(right, one):
    text = f"{right} ON {one}".replace("TABLE ", "", 1 if right != "CREATE TEMPORARY TABLES" else 0)
    text = text.replace('"', "").replace("`", "")
    found = next(((failing, word) for pattern, failing, word in MISSING if re.match(pattern, text)), None)
    assert found, text
    return found


def without(world, right, one):
    """What is told while a right is missing."""
    failing, word = missing(right, one)
    for name in failing:
        world.empty()
        problem = getattr(world, name)().problem(500)
        assert problem.get("hint"), problem
        assert word.lower() in (problem["detail"] + problem["hint"]).lower(), (right, one, name, problem)
    looks_at = "sources" if failing and failing[0] in PULLS else "sinks"
    ill(world.run, {key: value for key, value in world.config.items() if key in ("systems", looks_at)}, word)


def test_what_is_printed_is_enough_and_each_right_that_is_missing_is_told(run, service, server):
    world = World(run, service, server)
    well(run, world.config)
    grants = list(world.grants())
    assert len(grants) > 20
    for right, one, role in grants:
        server.sql(f"revoke {right} on {one} from {role}")
        without(world, right, one)
        server.sql(f"grant {right} on {one} to {role}")
    for name in PULLS + PUSHES:
        eventually(partial(world.succeeds, name), 10)  # who watches MariaDB tries what failed after a second
    well(run, world.config)
    if server.type == "postgresql":
        assert server.sql("select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, (select count(*)"
                          " from pg_class where relowner = r.oid) from pg_roles r where rolname = %s",
                          (NAMES["postgresql"],)) == [(False, False, False, False, False, 0)]


def test_push_is_refused_while_an_open_sync_cannot_be_read(run, service, server):
    """It would not be told of the row, and delete it."""
    world = World(run, service, server)
    world.empty()
    sync = Sync(world.service, "targets")
    assert sync.first([{"_id": "1", "name": "q"}]).status == 200
    table = {"postgresql": "sesam_sql_sync", "mysql": "service_test.sesam_sql_sync"}[server.type]
    server.sql(f"revoke select on {table} from {role_of(server)}")
    assert "sesam_sql_sync" in world.insert().problem(500)["detail"]
    server.sql(f"grant select on {table} to {role_of(server)}")
    assert world.insert().status == 200
    assert sync.last([]).status == 200
    assert rows(server, "targets", "id, name") == [(1, "q"), (4, "d")]


def test_hidden_table_of_others_is_not_taken_for_ours(run, service, postgresql):
    postgresql.sql("create schema others")
    postgresql.sql("create table others.made (id integer)")
    columns = [{"name": "id", "type": "integer", "primary_key": True}]
    config = config_for(postgresql, {}, {"made": {"table": "made", "schema_definition": columns,
                                                  "create_table_if_missing": True}})
    try:
        apply(postgresql, printed(run, postgresql, config))
        let_in(postgresql)
        assert push(service(config), "made", [{"_id": "1"}]).status == 200
        done = run("check", config=config_for(postgresql, {"made": {"table": "made", "schema": "others"}}))
        assert done.returncode == 1 and "schema others" in done.stdout and "USAGE" in done.stdout
    finally:
        drop(postgresql, NAMES["postgresql"])


# ---- what is printed


def test_new_role_cannot_come_in_before_it_has_a_password(run, server):
    create(server, "customers", COLUMNS)
    config = config_for(server, {"customers": SOURCES["customers"]})
    apply(server, printed(run, server, config))
    for password in ("", PASSWORD):
        with pytest.raises(Exception):
            server.connect(username=NAMES[server.type], password=password)


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "sqlite"])
def test_example_is_printed_without_a_configuration(run, kind):
    done = run("ddl", kind, "--roles")
    assert (done.returncode, done.stderr) == (0, "")
    assert "customers" in done.stdout and "password '" not in done.stdout.lower()
    if kind == "sqlite":
        assert all(line.startswith("--") or not line for line in done.stdout.splitlines())
    else:
        assert "sesam_reader" in done.stdout and "sesam_writer" in done.stdout
    assert run("ddl", "mariadb", "--roles").stdout == run("ddl", "mysql", "--roles").stdout


def test_example_can_be_run_and_keeps_reader_and_writer_apart(run, server):
    create(server, "customers", COLUMNS.replace("updated", "updated_at"), ROWS)
    apply(server, run("ddl", server.type, "--roles").stdout.replace("crm", "service_test"))
    source = {"customers": {"table": "customers", "updated_column": "updated_at"}}
    sink = {"customers": {"table": "customers"}}
    for name, may, may_not in (("sesam_reader", (source, {}), ({}, sink)), ("sesam_writer", ({}, sink), (source, {}))):
        let_in(server, name)
        well(run, config_for(server, *may, username=name))
        ill(run, config_for(server, *may_not, username=name), "GRANT")


def test_sink_makes_its_table_in_a_schema_of_its_own(run, service, server):
    if server.type == "mysql":
        other = server.create_database("service_test_2")
    else:
        server.sql('create schema "Sales 2"')
    schema = "service_test_2" if server.type == "mysql" else "Sales 2"
    columns = [{"name": "id", "type": "integer", "primary_key": True}, {"name": "v", "type": "string"}]
    config = config_for(server, {}, {"made": {"table": "made", "schema": schema, "schema_definition": columns,
                                              "create_table_if_missing": True}})
    try:
        apply(server, printed(run, server, config))
        let_in(server)
        well(run, config)
        running = service(config)
        sync = Sync(running, "made")
        assert sync.first([{"_id": "1", "v": "x"}]).status == 200
        assert sync.last([{"_id": "2", "v": "y"}]).status == 200
        well(run, config)
    finally:
        if server.type == "mysql":
            server.drop_database(other.system()["database"])


def test_systems_of_several_databases_have_a_part_each(run, postgresql, postgresql_server):
    postgresql.dialect = {"mark": "%s", "text": "text", "datetime": "timestamptz"}
    other = postgresql_server.create_database("service'test 2")
    other.dialect = postgresql.dialect
    name = NAMES["postgresql"]
    try:
        for database in (postgresql, other):
            create(database, "customers", COLUMNS, ROWS)
        config = config_for(postgresql, {"customers": SOURCES["customers"]})
        config["systems"]["other"] = {**config["systems"]["db"], "database": "service'test 2"}
        config["sources"]["others"] = {**config["sources"]["customers"], "system": "other"}
        sql = printed(run, postgresql, config)
        assert sql.count("CREATE OR REPLACE FUNCTION") == 2
        apply(postgresql, sql)
        let_in(postgresql)
        well(run, config)
    finally:
        if other.sql("select 1 from pg_roles where rolname = %s", (name,)):
            other.sql(f"drop owned by {role_of(postgresql)}")
        drop(postgresql, name)
        postgresql_server.drop_database("service'test 2")


def test_two_roles_of_one_database_both_ask_for_the_horizon(run, server):
    """Making MySQL's procedures again would take them from the first."""
    create(server, "customers", COLUMNS, ROWS)
    config = config_for(server, {"customers": SOURCES["customers"]})
    config["systems"]["more"] = {**config["systems"]["db"], "username": "sesam_reader"}
    config["sources"]["again"] = {**config["sources"]["customers"], "system": "more"}
    apply(server, printed(run, server, config))
    let_in(server)
    let_in(server, "sesam_reader")
    well(run, config)


def test_names_cannot_leave_their_quotes_and_comments(run, server):
    create(server, "customers", COLUMNS)
    create(server, role_of(server, EVIL).removesuffix("@`%`"), COLUMNS)
    source, sink = {"table": EVIL, "updated_column": "updated"}, {"table": EVIL}
    config = config_for(server, {"evil": source}, {"evil": sink}, username=EVIL)
    apply(server, printed(run, server, config))
    let_in(server, EVIL)
    well(run, config)
    assert server.sql("select * from customers") == []


def test_columns_that_are_not_read_cannot_be(run, service, server):
    create(server, "customers", COLUMNS + ", secret {text}, gone integer", [(*row, "x", 0) for row in ROWS])
    source = {**SOURCES["customers"], "primary_key": "id", "whitelist": ["name", "id"],
              "properties": {"name": "full name"}, "deleted": {"column": "gone", "value": 1}}
    config = config_for(server, {"customers": source})
    apply(server, printed(run, server, config))
    let_in(server)
    well(run, config)
    running = service(config)
    assert len(running.pull("customers")) == 3
    assert [entity["full name"] for entity in running.pull("customers", since="2024-05-01T10:00:02Z")] == ["n2", "n3"]
    with pytest.raises(Exception, match="denied"):
        server.sql("select secret from customers", username=NAMES[server.type], password=PASSWORD)


def test_rights_that_are_not_needed_are_not_printed(run, mariadb):
    config = config_for(mariadb, {"customers": {"table": "customers"},
                                  "x": {**SOURCES["customers"], "late_commits": "ignore"}},
                        {"targets": {"table": "targets", "deletes": "ignore"}})
    sql = printed(run, mariadb, config)
    assert "sesam_sql_horizon" not in sql
    assert "GRANT SELECT, INSERT, UPDATE ON `service_test`.`targets`" in sql


def test_type_without_a_system_is_an_error(run, sqlite):
    done = run("ddl", "postgresql", "--roles", config={"systems": {"db": sqlite.system()}})
    assert (done.returncode, done.stdout) == (1, "")
    assert "no system of this type" in done.stderr
