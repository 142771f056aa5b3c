"""sesam-sql check, for sinks: what it says of a table, and that the SQL it prints mends what it found."""

import contextlib

import pytest

from clients import apply
from conftest import create
from pushing import Sync, sinks_of

TABLE = "id integer not null primary key, name {text}, version bigint not null, changed {datetime}"
ALL = "select, insert, update, delete"
# What a role needs to make the tables of full syncs by itself, and to use them.
MAKING = {"postgresql": ["create on schema public"],
          "mysql": [*(f"create, {ALL} on service_test.sesam_sql_{table}" for table in ("sync", "request", "retired")),
                    "create temporary tables on service_test.*"]}


def sql_of(done):
    """The statements that the report prints. Hints stand further to the right."""
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith("    ") and line[:11].strip()]
    text = " ".join(lines)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def well(done):
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "all is well" in done.stdout
    return done.stdout


def ill(done):
    assert done.returncode == 1, done.stdout + done.stderr
    assert "PROBLEM" in done.stdout
    return done.stdout


def test_good_sink_is_zero_and_tells_key_columns_and_lock(run, db):
    create(db, "people", TABLE)
    told = well(run("check", config=sinks_of(db, people={
        "table": "people", "optimistic_lock": {"column": "version"}, "properties": {"full_name": "name"},
        "timestamp": "changed"})))
    assert "key: id (unique and never NULL)" in told
    assert "(property full_name)" in told
    assert "optimistic lock: version" in told and "advanced by 1" in told
    assert "timestamp: changed" in told
    columns = next(line for line in told.splitlines() if "columns:" in line)
    assert "id " in columns and "name " in columns and "version" not in columns and "changed" not in columns


def test_tables_of_full_syncs_are_made_by_the_first_or_there(run, db):
    create(db, "people", TABLE)
    config = sinks_of(db, people={"table": "people"})
    assert "the first one makes their tables" in well(run("check", config=config))
    apply(db, run("ddl", db.type).stdout)
    assert "their tables are there" in well(run("check", config=config))


def test_missing_table_is_a_problem_with_the_nearest_name(run, db):
    create(db, "people", TABLE)
    assert "people" in ill(run("check", config=sinks_of(db, p={"table": "peeple"}))).replace("peeple", "")


def test_missing_table_that_a_request_would_make_is_well_and_is_not_made(run, db):
    columns = [{"name": "id", "type": "integer", "primary_key": True}, {"name": "v", "type": "string", "index": True}]
    done = run("check", config=sinks_of(db, made={"table": "made", "schema_definition": columns,
                                                  "create_table_if_missing": True}))
    told = well(done)
    assert "CREATE TABLE IF NOT EXISTS" in told and "the first request makes it" in told
    with pytest.raises(Exception):
        db.sql("select * from made")
    for statement in sql_of(done):
        db.sql(statement)
    assert db.sql("select * from made") == []


def test_table_without_key_is_mended_by_the_sql_that_is_told(run, db):
    create(db, "people", "a integer not null, b integer not null, v {text}")
    done = run("check", config=sinks_of(db, people={"table": "people", "primary_key": ["b", "a"]}))
    ill(done)
    for statement in sql_of(done):
        db.sql(statement)
    well(run("check", config=sinks_of(db, people={"table": "people", "primary_key": ["b", "a"]})))


def test_table_without_any_key_is_told_to_get_one(run, db):
    create(db, "people", "a integer not null, v {text}")
    assert "ADD PRIMARY KEY" in ill(run("check", config=sinks_of(db, people={"table": "people"})))


@pytest.mark.parametrize("named", [{}, {"primary_key": ["id"]}], ids=["no key", "named key"])
def test_view_is_called_one_and_no_sql_is_told_that_it_cannot_have(run, db, named):
    create(db, "people", TABLE)
    db.sql("create view people_view as select id, name from people")
    try:
        done = run("check", config=sinks_of(db, people={"table": "people_view", **named}))
    finally:
        db.sql("drop view people_view")
    assert "is no table" in ill(done)
    assert sql_of(done) == []


def test_column_that_is_named_and_not_there_is_a_problem(run, db):
    create(db, "people", TABLE)
    for sink in ({"timestamp": "chanced"}, {"optimistic_lock": {"column": "chanced"}}, {"primary_key": ["chanced"]}):
        assert "chanced" in ill(run("check", config=sinks_of(db, people={"table": "people", **sink})))


def test_every_sink_is_told_although_one_is_bad(run, db):
    create(db, "people", TABLE)
    told = ill(run("check", config=sinks_of(db, bad={"table": "nothing"}, good={"table": "people"})))
    assert "sink good" in told and "1 problem" in told


@contextlib.contextmanager
def role(server, *rights):
    """The system of a role with these rights."""
    user, password = "service_test_checker", "checker-11ac"
    name = user if server.type == "postgresql" else f"{user}@'%'"
    begin = f"login password '{password}'" if server.type == "postgresql" else f"identified by '{password}'"
    server.sql(f"create {'role' if server.type == 'postgresql' else 'user'} {name} {begin}")
    try:
        for right in rights:
            server.sql(f"grant {right} to {name}")
        yield {**server.system(), "username": user, "password": password}
    finally:
        if server.type == "postgresql":
            server.sql(f"drop owned by {user}")
        server.sql(f"drop {'role' if server.type == 'postgresql' else 'user'} {name}")


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request):
    database = request.getfixturevalue(request.param)
    if database.type == "postgresql":
        database.sql("revoke create on schema public from public")
    database.dialect = {"text": "text", "datetime": "timestamp(6) null" if database.type == "mysql" else "timestamptz"}
    return database


def config_for(system, **sink):
    return {"systems": {"db": system}, "sinks": {"people": {"system": "db", "table": "people", **sink}}}


@pytest.mark.parametrize("lacking", ["insert", "update", "delete"])
def test_missing_right_is_told_with_its_grant(run, server, lacking):
    create(server, "people", TABLE)
    had = ", ".join(right for right in ALL.split(", ") if right != lacking)
    with role(server, f"{had} on people", *MAKING[server.type]) as system:
        done = run("check", config=config_for(system))
        told = ill(done)
        assert system["password"] not in told
        (grant,) = sql_of(done)
        assert grant.startswith(f"GRANT {lacking.upper()} ON ")
        server.sql(grant)
        well(run("check", config=config_for(system)))
        assert server.sql("select * from people") == []


def test_right_to_delete_is_not_wanted_where_nothing_is_deleted(run, server):
    create(server, "people", TABLE)
    with role(server, "select, insert, update on people", *MAKING[server.type]) as system:
        well(run("check", config=config_for(system, deletes="ignore")))


def test_column_that_must_be_written_and_is_not_is_a_problem(run, db):
    create(db, "people", TABLE)
    config = sinks_of(db, people={"table": "people", "blacklist": ["version"]})
    assert "'version'" in ill(run("check", config=config))
    db.sql("drop table people")
    create(db, "people", TABLE.replace("bigint not null", "bigint not null default 1"))
    well(run("check", config=config))


def test_rights_on_the_columns_that_are_written_are_enough(run, server):
    create(server, "people", TABLE.replace("bigint not null", "bigint"))
    with role(server, "select, delete on people", "insert (id, name), update (name) on people",
              *MAKING[server.type]) as system:
        well(run("check", config=config_for(system, whitelist=["id", "name"])))
        ill(run("check", config=config_for(system)))


def test_role_that_may_make_no_tables_is_told_so(run, service, server):
    create(server, "people", TABLE.replace("bigint not null", "bigint"))
    with role(server, f"{ALL} on people") as system:
        done = run("check", config=config_for(system))
        assert f"ddl {server.type}" in ill(done)
        for statement in sql_of(done):
            server.sql(statement)
        well(run("check", config=config_for(system)))
        sync = Sync(service(config_for(system)), "people")
        assert sync.first([{"_id": "1", "name": "Kari"}]).status == 200
        assert sync.last([{"_id": "2", "name": "Ola"}]).status == 200


def test_role_without_rights_on_the_tables_of_full_syncs_is_told_the_grants(run, server):
    create(server, "people", TABLE)
    apply(server, run("ddl", server.type).stdout)
    some = ["create temporary tables on service_test.*"] if server.type == "mysql" else []
    with role(server, f"{ALL} on people", f"{ALL} on sesam_sql_sync", "delete on sesam_sql_request",
              "insert on sesam_sql_retired", *some) as system:
        done = run("check", config=config_for(system))
        ill(done)
        assert len(sql_of(done)) == 2
        for statement in sql_of(done):
            server.sql(statement)
        well(run("check", config=config_for(system)))


def test_role_that_may_not_make_the_table_is_told_the_right_or_the_statement(run, postgresql):
    postgresql.sql("revoke create on schema public from public")
    columns = [{"name": f"column_{n}", "type": "string", "primary_key": n == 0} for n in range(40)]
    with role(postgresql) as system:
        done = run("check", config=config_for(system, schema_definition=columns, create_table_if_missing=True))
        told = ill(done)
        assert "column_39" in told
        postgresql.sql(next(statement for statement in sql_of(done) if statement.startswith("GRANT")))
        well(run("check", config=config_for(system, schema_definition=columns, create_table_if_missing=True)))


# ---- what sources lack


def mended(run, server, config, expected):
    """Runs check, expects this in the report, and runs the statements it prints until there are no problems."""
    done = run("check", config=config)
    assert all(words in ill(done) for words in expected), done.stdout
    for _ in range(3):
        statements = sql_of(done)
        assert statements, done.stdout
        for statement in statements:
            server.sql(statement)
        done = run("check", config=config)
        if done.returncode == 0:
            return
    well(done)


def reading(system, **source):
    return {"systems": {"db": system}, "sources": {"people": {"system": "db", "table": "people", **source}}}


def test_source_that_may_not_be_read_is_told_the_grants(run, postgresql, mariadb):
    postgresql.sql("create schema shut")
    postgresql.sql("create table shut.people (id integer primary key)")
    with role(postgresql) as system:
        mended(run, postgresql, reading(system, schema="shut"), ["GRANT USAGE ON SCHEMA shut", "GRANT SELECT ON TABLE shut.people"])
    postgresql.sql("create table people (id integer primary key, v text)")
    with role(postgresql) as system:
        mended(run, postgresql, reading(system), ["GRANT SELECT ON TABLE public.people"])
    with role(postgresql, "select (id) on people") as system:
        well(run("check", config=reading(system, whitelist=["id"])))
    mariadb.sql("create table people (id integer primary key)")
    mariadb.sql("create table others (id integer primary key)")
    with role(mariadb, "select on service_test.others") as system:
        mended(run, mariadb, reading(system), ["if it is there", "GRANT SELECT ON `service_test`.`people`"])


def test_missing_right_to_the_horizon_does_not_hide_a_missing_right_to_read(run, postgresql):
    postgresql.sql("create table people (id integer primary key, updated timestamptz not null)")
    with role(postgresql) as system:
        told = ill(run("check", config=reading(system, updated_column="updated")))
        assert "2 problems" in told and "GRANT pg_read_all_stats" in told and "GRANT SELECT ON TABLE public.people" in told


def test_index_that_is_printed_serves_the_reads(run, db):
    create(db, "people", "b integer not null, a {key_text} not null, changed {datetime} not null, primary key (b, a)")
    config = {"systems": {"db": db.system()}, "sources": {"people": {"system": "db", "table": "people", "updated_column": "changed"}}}
    done = run("check", config=config)
    assert "no index serves" in well(done)
    (statement,) = sql_of(done)
    db.sql(statement)
    assert "no index" not in well(run("check", config=config))


def test_change_log_that_is_missing_is_printed(run, db):
    create(db, "people", "id integer not null primary key")
    config = {"systems": {"db": db.system()}, "sources": {"people": {"system": "db", "table": "people", "tracking": "changelog"}}}
    told = ill(run("check", config=config))
    assert "mend with:" in told and "1 problem\n" in told
    lines = told.split("  mend with:\n", 1)[1].splitlines()
    apply(db, "\n".join(line[4:] for line in lines if line.startswith("    ") or not line.strip()))
    well(run("check", config=config))
