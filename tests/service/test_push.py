"""What a sink does with the entities of an incremental push, the same for every database."""

import concurrent.futures
import datetime
import decimal
import json

import pytest

from conftest import create
from pushing import MARKS, accepted, case_blind, counts, marked, push, refused, rows, sinks_of, with_dialect

PEOPLE = "id integer not null primary key, name {text}, age integer"


def people(db, service, given=(), **sink):
    """A service with a sink called people, on a table of that name."""
    create(db, "people", PEOPLE, given)
    return service(sinks_of(db, people={"table": "people", **sink}))


def person(number, name="x", age=1, **more):
    return {"_id": str(number), "id": number, "name": name, "age": age, **more}


# ---- what becomes of entities


def test_new_entities_are_inserted(db, service):
    running = people(db, service)
    told = accepted(push(running, "people", [person(2, "Ola", 40), person(1, "K\u00e5re \U0001f600", 50)]))
    assert told["inserted"] == 2 and told["conflicts"] == []
    assert rows(db, "people") == [(1, "K\u00e5re \U0001f600", 50), (2, "Ola", 40)]


def test_entities_are_counted_by_what_became_of_them(db, service):
    running = people(db, service, [(1, "same", 1), (2, "old", 1), (4, "gone", 1)])
    batch = [person(1, "same"), person(2, "new"), person(3, "fresh"), {"_id": "4", "_deleted": True},
             {"_id": "5", "_deleted": True}]
    assert counts(push(running, "people", batch)) == (1, 1, 2, 1)
    assert rows(db, "people", "id, name") == [(1, "same"), (2, "new"), (3, "fresh")]


def test_repeated_request_changes_nothing_and_says_so(db, service):
    running = people(db, service, [(9, "x", 1)])
    batch = [person(number) for number in range(5)] + [{"_id": "9", "_deleted": True}]
    assert counts(push(running, "people", batch)) == (5, 0, 0, 1)
    assert counts(push(running, "people", batch)) == (0, 0, 6, 0)


def test_empty_array_is_a_push_of_nothing(db, service):
    running = people(db, service, [(1, "x", 1)])
    assert counts(push(running, "people", [])) == (0, 0, 0, 0)
    assert counts(push(running, "people", b" [ \n] ")) == (0, 0, 0, 0)


def test_single_object_is_taken_as_a_list_of_one(db, service):
    running = people(db, service)
    assert counts(push(running, "people", person(1, "Kari"))) == (1, 0, 0, 0)
    assert rows(db, "people", "id, name") == [(1, "Kari")]


def test_last_entity_of_a_key_counts(db, service):
    running = people(db, service, [(1, "old", 1), (2, "old", 1), (3, "old", 1)])
    batch = [person(1, "first"), {"_id": "2", "_deleted": True}, person(3, "first"), person(4, "first"),
             person(1, "last"), person(2, "back"), {"_id": "3", "_deleted": True}, {"_id": "4", "_deleted": True}]
    told = counts(push(running, "people", batch))
    assert (told[0], told[1], told[3]) == (0, 2, 1)
    assert rows(db, "people", "id, name") == [(1, "last"), (2, "back")]


def test_last_entity_of_a_key_counts_in_a_long_batch(db, service):
    running = people(db, service)
    batch = [person(n % 1000, f"round {n // 1000}") for n in range(6000)]
    assert counts(push(running, "people", batch))[0] == 1000
    assert rows(db, "people", "count(*), min(name), max(name)") == [(1000, "round 5", "round 5")]


def test_thousands_of_entities_are_one_request(db, service):
    running = people(db, service, [(n, "old", 1) for n in range(0, 9000, 3)])
    batch = [person(n, "old" if n % 2 else "new") for n in range(8999, -1, -1)]
    batch[0:100] = [{"_id": str(8999 - n), "_deleted": True} for n in range(100)]
    told = counts(push(running, "people", batch))
    assert sum(told) == 9000 and told[3] == len([n for n in range(8900, 9000) if n % 3 == 0])
    assert rows(db, "people", "count(*), sum(id)") == [(8900, 8899 * 8900 // 2)]
    assert rows(db, "people", "count(*)")[0] == (8900,)
    assert counts(push(running, "people", batch)) == (0, 0, 9000, 0)


def test_entities_need_not_have_the_same_properties(db, service):
    running = people(db, service, [(3, "three", 3)])
    batch = [{"_id": "1", "age": 10}, {"_id": "2", "name": "two"}, {"_id": "3", "age": 30}, {"_id": "4"},
             {"_id": "5", "age": None, "name": "five"}]
    assert counts(push(running, "people", batch)) == (4, 1, 0, 0)
    assert rows(db, "people") == [(1, None, 10), (2, "two", None), (3, "three", 30), (4, None, None), (5, "five", None)]
    assert counts(push(running, "people", batch)) == (0, 0, 5, 0)


def test_deletion_of_what_is_not_there_is_unchanged(db, service):
    running = people(db, service)
    assert counts(push(running, "people", [{"_id": "1", "_deleted": True}])) == (0, 0, 1, 0)
    assert rows(db, "people") == []


def test_deleted_false_is_no_deletion(db, service):
    running = people(db, service)
    assert counts(push(running, "people", [person(1, _deleted=False), person(2, _deleted=None)])) == (2, 0, 0, 0)


# ---- keys


def test_key_properties_win_over_the_id(db, service):
    running = people(db, service, [(1, "old", 1)])
    assert counts(push(running, "people", [{"_id": "99", "id": 1, "name": "new"}])) == (0, 1, 0, 0)
    assert counts(push(running, "people", [{"_id": "whatever", "id": 1, "_deleted": True}])) == (0, 0, 0, 1)
    assert rows(db, "people") == []


def test_two_ids_with_the_same_key_properties_are_one_entity(db, service):
    running = people(db, service)
    assert counts(push(running, "people", [{"_id": "a", "id": 1, "name": "a"}, {"_id": "1", "name": "b"}]))[0] == 1
    assert rows(db, "people", "id, name") == [(1, "b")]


def lines(db, service):
    create(db, "order_lines", "b {key_text} not null, a integer not null, v integer, primary key (b, a)")
    return service(sinks_of(db, {"lines": {"table": "order_lines"}}, lines={"table": "order_lines"}))


def test_id_is_taken_apart_into_the_key(db, service):
    running = lines(db, service)
    ids = [":7", "%253A%3A:3", "50%25:1", "a%3Ab:1", "x:1", "x:2"]
    assert counts(push(running, "lines", [{"_id": _id, "v": 1} for _id in ids])) == (6, 0, 0, 0)
    assert sorted(rows(db, "order_lines", "b, a")) == [("", 7), ("%3A:", 3), ("50%", 1), ("a:b", 1), ("x", 1), ("x", 2)]
    assert sorted(entity["_id"] for entity in running.pull("lines")) == sorted(ids)


def test_id_that_does_not_make_the_key_is_refused(db, service):
    running = lines(db, service)
    wrong = ["x", "x:1:2", "%3A"] + ([] if db.type == "sqlite" else ["x:", "x:y", ":"])  # whose integers may be text
    for _id in wrong:
        refused(push(running, "lines", [{"_id": "x:1", "v": 1}, {"_id": _id, "v": 1}]), _id)
    assert rows(db, "order_lines") == []


def test_key_with_a_part_missing_is_refused(db, service):
    running = lines(db, service)
    refused(push(running, "lines", [{"_id": "x:1", "b": "x", "v": 1}]), "x:1")
    refused(push(running, "lines", [{"_id": "x:1", "b": "x", "a": None, "v": 1}]), "x:1")
    assert rows(db, "order_lines") == []


def test_single_key_is_the_id_as_it_stands(db, service):
    create(db, "labels", "k {key_text} not null primary key, v integer")
    keys = ["50%", "a:b", "%3A", "~t2024", "\u00e6 \u20ac \U0001f600", 'quote"back\\slash', "line\nend"]
    running = service(sinks_of(db, {"labels": {"table": "labels"}}, labels={"table": "labels"}))
    assert counts(push(running, "labels", [{"_id": key, "v": 1} for key in keys])) == (len(keys), 0, 0, 0)
    assert sorted(row[0] for row in rows(db, "labels")) == sorted(keys)
    assert counts(push(running, "labels", running.pull("labels"))) == (0, 0, len(keys), 0)


def test_keys_that_the_index_takes_for_the_same_are_one_entity(db, service):
    case_blind(db)
    running = service(sinks_of(db, words={"table": "words"}))
    batch = [{"_id": "Kari", "v": 1}, {"_id": "OLA", "v": 1}, {"_id": "kari", "v": 2}, {"_id": "ola", "_deleted": True}]
    assert counts(push(running, "words", batch))[0] == 1
    assert [(k.lower(), v) for k, v in rows(db, "words")] == [("kari", 2)]
    assert counts(push(running, "words", [{"_id": "KARI", "v": 2}])) == (0, 0, 1, 0)
    assert counts(push(running, "words", [{"_id": "KARI", "v": 3}])) == (0, 1, 0, 0)
    assert counts(push(running, "words", [{"_id": "kARI", "_deleted": True}])) == (0, 0, 0, 1)


def test_keys_of_citext_are_the_same_whatever_their_case(postgresql, service):
    with_dialect(postgresql).sql("create extension citext")
    create(postgresql, "words", "k citext not null primary key, v integer", [("Kari", 1)])
    running = service(sinks_of(postgresql, words={"table": "words"}))
    assert counts(push(running, "words", [{"_id": "KARI", "v": 1}, {"_id": "kari", "v": 2}]))[:2] == (0, 1)
    assert rows(postgresql, "words", "v") == [(2,)]


def test_keys_that_differ_by_padding_are_the_same_where_the_index_says_so(mariadb, service):
    with_dialect(mariadb)
    create(mariadb, "words", "k varchar(20) collate utf8mb4_bin not null primary key, v integer", [("a", 1)])
    running = service(sinks_of(mariadb, words={"table": "words"}))
    assert counts(push(running, "words", [{"_id": "a ", "v": 2}, {"_id": "b", "v": 1}, {"_id": "b  ", "v": 2}])) \
        [:2] == (1, 1)
    assert [(k.rstrip(), v) for k, v in rows(mariadb, "words")] == [("a", 2), ("b", 2)]


def test_numeric_keys_are_the_same_whatever_their_digits(db, service):
    if db.type == "sqlite":
        kind, keys = "integer", [1, 1]
    else:
        kind, keys = "decimal(10,2)", ["~f1.5", "~f1.50"]
    create(db, "prices", f"k {kind} not null primary key, v integer")
    running = service(sinks_of(db, prices={"table": "prices"}))
    batch = [{"_id": "a", "k": keys[0], "v": 1}, {"_id": "b", "k": keys[1], "v": 2}]
    assert counts(push(running, "prices", batch))[0] == 1
    assert rows(db, "prices", "v") == [(2,)]


def test_unique_index_is_a_key_when_it_is_named(db, service):
    create(db, "people", "id integer not null primary key, email {key_text} not null unique, name {text}",
           [(1, "a@b", "old")])
    running = service(sinks_of(db, people={"table": "people", "primary_key": "email"}))
    assert counts(push(running, "people", [{"_id": "a@b", "name": "new"}])) == (0, 1, 0, 0)
    assert rows(db, "people") == [(1, "a@b", "new")]


def test_table_without_key_is_refused_with_a_hint(db, service):
    create(db, "keyless", "a integer")
    problem = push(service(sinks_of(db, keyless={"table": "keyless"})), "keyless", [{"_id": "1", "a": 1}]).problem(500)
    assert "primary_key" in problem["hint"]


def test_remove_pk_char_trailing_spaces_takes_the_padding_off(db, service):
    create(db, "words", "k {key_text} not null primary key, v integer")
    running = service(sinks_of(db, words={"table": "words", "remove_pk_char_trailing_spaces": True}))
    assert counts(push(running, "words", [{"_id": "ab  ", "v": 1}, {"_id": "x", "k": "cd ", "v": 1}])) == (2, 0, 0, 0)
    assert rows(db, "words") == [("ab", 1), ("cd", 1)]


# ---- properties


def test_unknown_properties_are_ignored(db, service):
    running = people(db, service)
    assert counts(push(running, "people", [person(1, shoe_size=44), person(2, friends=[1, {"a": 2}])])) == (2, 0, 0, 0)


def test_unknown_properties_are_refused_if_so_configured(db, service):
    running = people(db, service, unknown_properties="reject")
    refused(push(running, "people", [person(1), person(2, shoe_size=44)]), "2", "shoe_size")
    assert rows(db, "people") == []
    assert counts(push(running, "people", [person(1, _hash="abc", _previous=None, _updated=7)])) == (1, 0, 0, 0)


def test_missing_properties_keep_what_the_row_has(db, service):
    running = people(db, service, [(1, "Kari", 50)])
    assert counts(push(running, "people", [{"_id": "1", "age": 51}])) == (0, 1, 0, 0)
    assert rows(db, "people") == [(1, "Kari", 51)]
    assert counts(push(running, "people", [{"_id": "1"}])) == (0, 0, 1, 0)


def test_missing_properties_become_null_if_so_configured(db, service):
    running = people(db, service, [(1, "Kari", 50)], missing_properties="null")
    assert counts(push(running, "people", [{"_id": "1", "age": 51}])) == (0, 1, 0, 0)
    assert rows(db, "people") == [(1, None, 51)]


def test_whitelist_owns_its_columns_so_that_missing_ones_become_null(db, service):
    running = people(db, service, [(1, "Kari", 50)], whitelist=["id", "name"])
    assert counts(push(running, "people", [{"_id": "1", "age": 51}])) == (0, 1, 0, 0)
    assert rows(db, "people") == [(1, None, 50)]


def test_whitelist_with_keep_keeps(db, service):
    running = people(db, service, [(1, "Kari", 50)], whitelist=["id", "name"], missing_properties="keep")
    assert counts(push(running, "people", [{"_id": "1", "age": 51}])) == (0, 0, 1, 0)
    assert rows(db, "people") == [(1, "Kari", 50)]


def test_null_of_the_entity_becomes_null(db, service):
    running = people(db, service, [(1, "Kari", 50)])
    assert counts(push(running, "people", [{"_id": "1", "name": None}])) == (0, 1, 0, 0)
    assert rows(db, "people") == [(1, None, 50)]


def test_blacklisted_columns_are_left_alone_and_not_compared(db, service):
    running = people(db, service, [(1, "Kari", 50)], blacklist=["age"])
    assert counts(push(running, "people", [person(1, "Kari", 99), person(2, "Ola", 99)])) == (1, 0, 1, 0)
    assert rows(db, "people") == [(1, "Kari", 50), (2, "Ola", None)]


def test_blacklist_wins_over_whitelist(db, service):
    running = people(db, service, [(1, "Kari", 50)], whitelist=["id", "name", "age"], blacklist=["name"])
    assert counts(push(running, "people", [person(1, "new", 51)])) == (0, 1, 0, 0)
    assert rows(db, "people") == [(1, "Kari", 51)]


def test_properties_are_renamed_to_columns(db, service):
    running = people(db, service, properties={"crm:full-name": "name", "number": "id"})
    assert counts(push(running, "people", [{"_id": "x", "number": 7, "crm:full-name": "Kari", "age": 1}])) \
        == (1, 0, 0, 0)
    assert rows(db, "people") == [(7, "Kari", 1)]


def test_problem_names_the_property_as_the_entity_has_it(db, service):
    running = people(db, service, properties={"years": "age"})
    refused(push(running, "people", [{"_id": "1", "years": 10 ** 40}]), "1", "years")


def test_namespaces_are_stripped(db, service):
    create(db, "people", "id {key_text} not null primary key, name {text}, friend {text}")
    running = service(sinks_of(db, people={"table": "people", "strip_namespaces": True}))
    batch = [{"_id": "crm:kari", "crm:name": "crm:Kari", "crm:friend": "~:crm:ola"},
             {"_id": "crm:ola", "crm:id": "ola", "name": "Ola"}]
    assert counts(push(running, "people", batch)) == (2, 0, 0, 0)
    assert rows(db, "people") == [("kari", "crm:Kari", "ola"), ("ola", "Ola", None)]


def test_namespaces_stay_unless_told(db, service):
    create(db, "people", "id {key_text} not null primary key, name {text}")
    running = service(sinks_of(db, people={"table": "people"}))
    assert counts(push(running, "people", [{"_id": "crm:kari", "crm:name": "x", "name": "y"}])) == (1, 0, 0, 0)
    assert rows(db, "people") == [("crm:kari", "y")]


def as_time(value):
    """A time as the client library gave it."""
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    return value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)


def test_timestamp_column_tells_when_a_row_was_written(db, service):
    create(db, "people", PEOPLE + ", written {datetime}")
    running = service(sinks_of(db, people={"table": "people", "timestamp": "written"}))
    before = datetime.datetime.now(datetime.timezone.utc)
    push(running, "people", [person(1), person(2)])
    after = datetime.datetime.now(datetime.timezone.utc)
    times = [as_time(row[0]) for row in db.sql("select written from people")]
    slack = datetime.timedelta(seconds=1)  # a column may keep whole seconds
    assert all(before - slack <= written <= after + slack for written in times)
    db.sql("update people set written = '2001-01-01 00:00:00'")
    old = rows(db, "people", "id, written")
    assert counts(push(running, "people", [person(1), person(2, "new")])) == (0, 1, 1, 0)
    new = rows(db, "people", "id, written")
    assert new[0] == old[0] and as_time(new[1][1]) >= before - slack


def test_timestamp_column_is_not_for_entities(db, service):
    create(db, "people", PEOPLE + ", written {datetime}")
    running = service(sinks_of(db, people={"table": "people", "timestamp": "written"}))
    assert counts(push(running, "people", [person(1, written="~t1999-01-01T00:00:00Z")])) == (1, 0, 0, 0)
    assert as_time(db.sql("select written from people")[0][0]).year > 2000
    assert counts(push(running, "people", [person(1, written="~t1999-01-01T00:00:00Z")])) == (0, 0, 1, 0)


@pytest.fixture(params=["postgresql", "mysql"])
def server(request):
    """A database of each kind that numbers columns which are no keys, and has types."""
    return with_dialect(request.getfixturevalue({"postgresql": "postgresql", "mysql": "mariadb"}[request.param]))


def test_identity_columns_are_left_to_the_database(server, service):
    kind = {"postgresql": "integer generated always as identity", "mysql": "integer auto_increment unique"}
    create(server, "codes", f"code {{key_text}} not null primary key, n {kind[server.type]}, v integer")
    running = service(sinks_of(server, codes={"table": "codes", "skip_identity_columns": True}))
    assert counts(push(running, "codes", [{"_id": "a", "n": 777, "v": 1}])) == (1, 0, 0, 0)
    assert rows(server, "codes") == [("a", 1, 1)]
    assert counts(push(running, "codes", [{"_id": "a", "n": 778, "v": 1}])) == (0, 0, 1, 0)
    assert counts(push(running, "codes", [{"_id": "a", "n": 778, "v": 2}])) == (0, 1, 0, 0)
    assert rows(server, "codes") == [("a", 1, 2)]


def test_identity_columns_are_written_unless_told(server, service):
    kind = {"postgresql": "integer generated by default as identity", "mysql": "integer auto_increment unique"}
    create(server, "codes", f"code {{key_text}} not null primary key, n {kind[server.type]}, v integer")
    running = service(sinks_of(server, codes={"table": "codes"}))
    assert counts(push(running, "codes", [{"_id": "a", "n": 777, "v": 1}, {"_id": "b", "v": 1}])) == (2, 0, 0, 0)
    assert rows(server, "codes")[0] == ("a", 777, 1)
    assert rows(server, "codes")[1][1] is not None


def test_defaults_are_for_columns_that_no_insert_mentions(db, service):
    create(db, "people", "id integer not null primary key, name {text}, state varchar(10) not null default 'new'")
    running = service(sinks_of(db, people={"table": "people"}))
    assert counts(push(running, "people", [{"_id": "1", "name": "x"}, {"_id": "2", "state": "old"}])) == (2, 0, 0, 0)
    assert rows(db, "people", "id, state") == [(1, "new"), (2, "old")]


def test_generated_columns_are_neither_written_nor_compared(db, service):
    create(db, "people", "id integer not null primary key, a integer, twice integer generated always as (a * 2) stored")
    running = service(sinks_of(db, {"people": {"table": "people"}}, people={"table": "people"}))
    assert counts(push(running, "people", [{"_id": "1", "a": 4, "twice": 99}])) == (1, 0, 0, 0)
    assert rows(db, "people") == [(1, 4, 8)]
    assert counts(push(running, "people", [{"_id": "1", "a": 4, "twice": 99}])) == (0, 0, 1, 0)
    entity = running.pull("people")[0]
    assert counts(push(running, "people", [{**entity, "a": 5}])) == (0, 1, 0, 0)
    assert rows(db, "people") == [(1, 5, 10)]


TOUCHED = {
    "postgresql": ["create function touch() returns trigger language plpgsql as"
                   " $$begin new.touched = coalesce(old.touched, 0) + 1; return new; end$$",
                   "create trigger touch before update on people for each row execute function touch()"],
    "mysql": ["create trigger touch before update on people for each row"
              " set new.touched = coalesce(old.touched, 0) + 1"],
    "sqlite": ["create trigger touch after update of name, age on people begin"
               " update people set touched = coalesce(old.touched, 0) + 1 where id = new.id; end"],
}


def touched(db, service):
    create(db, "people", PEOPLE + ", touched integer", [(1, "old", 1, None)])
    for statement in TOUCHED[db.type]:
        db.sql(statement)
    return service(sinks_of(db, {"people": {"table": "people"}}, people={"table": "people"}))


def test_trigger_that_keeps_a_column_does_not_make_a_repeated_request_a_change(db, service):
    running = touched(db, service)
    assert counts(push(running, "people", [person(1, "new")])) == (0, 1, 0, 0)
    assert counts(push(running, "people", [person(1, "new")])) == (0, 0, 1, 0)
    assert rows(db, "people", "touched") == [(1,)]


UPDATED_AT = {
    "postgresql": ["create function stamp() returns trigger language plpgsql as"
                   " $$begin new.updated_at = clock_timestamp(); return new; end$$",
                   "create trigger stamp before update on people for each row execute function stamp()"],
    "mysql": ["create trigger stamp before update on people for each row set new.updated_at = now(6)"],
}


def test_time_that_a_trigger_keeps_is_not_compared_though_entities_have_it(server, service):
    create(server, "people", PEOPLE + ", updated_at {datetime}", [(1, "old", 1, "2024-01-02 03:04:05")])
    for statement in UPDATED_AT[server.type]:
        server.sql(statement)
    running = service(sinks_of(server, {"people": {"table": "people"}}, people={"table": "people"}))
    entity = {**running.pull("people")[0], "name": "new"}
    assert counts(push(running, "people", [entity])) == (0, 1, 0, 0)
    before = rows(server, "people")
    assert counts(push(running, "people", [entity])) == (0, 0, 1, 0)
    assert rows(server, "people") == before


# ---- deletions


def marking(db, service):
    """The service, and how the table writes true and false."""
    return (service(sinks_of(db, people=marked(db))), *MARKS[db.type])


def test_deletions_are_ignored_if_so_configured(db, service):
    running = people(db, service, [(1, "Kari", 50)], deletes="ignore")
    assert counts(push(running, "people", [{"_id": "1", "_deleted": True}]))[3] == 0
    assert rows(db, "people") == [(1, "Kari", 50)]


def test_deletions_set_a_mark_and_returning_entities_take_it_off(db, service):
    running, dead, live = marking(db, service)
    assert counts(push(running, "people", [{"_id": "1", "_deleted": True}])) == (0, 0, 0, 1)
    assert rows(db, "people") == [(1, "Kari", dead), (2, "Ola", dead)]
    assert counts(push(running, "people", [{"_id": "1", "_deleted": True}, {"_id": "2", "_deleted": True}])) \
        == (0, 0, 2, 0)
    assert counts(push(running, "people", [{"_id": "1", "name": "Kari"}])) == (0, 1, 0, 0)
    assert rows(db, "people") == [(1, "Kari", live), (2, "Ola", dead)]
    assert counts(push(running, "people", [{"_id": "1", "name": "Kari"}, {"_id": "3", "name": "Ny"}])) == (1, 0, 1, 0)
    assert rows(db, "people")[2] == (3, "Ny", live)


def test_deletion_of_what_is_not_there_marks_nothing(db, service):
    running, _, _ = marking(db, service)
    assert counts(push(running, "people", [{"_id": "9", "_deleted": True}])) == (0, 0, 1, 0)
    assert len(rows(db, "people")) == 2


def test_deletion_may_be_marked_with_its_time(db, service):
    create(db, "people", "id integer not null primary key, name {text}, gone {datetime}",
           [(1, "Kari", None), (2, "Ola", "2001-01-01 00:00:00")])
    running = service(sinks_of(db, people={"table": "people", "deletes": {"column": "gone", "value": "now"}}))
    batch = [{"_id": "1", "_deleted": True}, {"_id": "2", "_deleted": True}]
    assert counts(push(running, "people", batch)) == (0, 0, 1, 1)
    times = [as_time(row[0]).year for row in db.sql("select gone from people order by id")]
    assert times[0] > 2020 and times[1] == 2001
    before = rows(db, "people")
    assert counts(push(running, "people", batch)) == (0, 0, 2, 0)
    assert rows(db, "people") == before
    assert counts(push(running, "people", [{"_id": "2"}])) == (0, 1, 0, 0)
    assert db.sql("select gone from people where id = 2") == [(None,)]


def test_row_that_references_keep_is_not_deleted(db, service):
    create(db, "people", PEOPLE, [(1, "Kari", 1), (2, "Ola", 1)])
    create(db, "pets", "id integer not null primary key, owner integer not null, foreign key (owner)"
           " references people (id)", [(1, 2)])
    running = service(sinks_of(db, people={"table": "people"}))
    refused(push(running, "people", [{"_id": "1", "_deleted": True}, {"_id": "2", "_deleted": True}]), "2")
    assert len(rows(db, "people")) == 2


# ---- one bad entity leaves no trace


ALL, SERVERS = ("postgresql", "mysql", "sqlite"), ("postgresql", "mysql")
# What the column v is, what cannot be stored in it, where, and whether the database tells the column.
BAD = [
    ("bigint", 10 ** 40, ALL, True), ("bigint", -2 ** 63 - 1, ALL, True), ("smallint", 70000, SERVERS, True),
    ("integer", "abc", SERVERS, True), ("integer", 1.5, SERVERS, True), ("integer", [1], SERVERS, True),
    ("varchar(3)", "abcd", SERVERS, True), ("varchar(3)", "\u00e6\u00f8\u00e5\U0001f600", SERVERS, True),
    ("char(3)", "abcd", SERVERS, True), ("text", "a\0b", ("postgresql",), True),
    ("jsonb", {"a": ["\0"]}, ("postgresql",), True), ("text[]", ["a", "\0"], ("postgresql",), True),
    ("timestamptz(3)", "~t2024-01-02T03:04:05.123456Z", ("postgresql",), True),
    ("timestamptz", "~t2024-01-02T03:04:05.123456789Z", ("postgresql",), True),
    ("datetime(3)", "~t2024-01-02T03:04:05.123456Z", ("mysql",), True),
    ("timestamp(6)", "~t1930-01-02T03:04:05Z", ("mysql",), True), ("date", "~t2024-01-02T03:04:05Z", SERVERS, True),
    ("date", "2024-02-30", SERVERS, True), ("numeric(5,2)", "~f1.234", SERVERS, True),
    ("numeric(5,2)", "~f12345.6", SERVERS, True), ("numeric(5,2)", 1e10, SERVERS, True),
    ("real", 1e300, ("postgresql",), True), ("float", 1e300, ("mysql",), True), ("double", "NaN", ("mysql",), True),
    ("boolean", "perhaps", SERVERS, True), ("uuid", "xyz", SERVERS, True), ("integer not null", None, ALL, True),
    ("integer check (v < 10)", 10, ALL, False), ("integer unique", 7, ALL, False),
    ("integer, foreign key (v) references others (id)", 8, ALL, False),
    ("mood", "angry", ("postgresql",), True), ("enum('sad', 'glad')", "angry", ("mysql",), True),
    ("set('a', 'b')", ["a", "c"], ("mysql",), True), ("tinyint unsigned", -1, ("mysql",), True),
    ("bit(3)", 8, ("mysql",), True), ("year", 1800, ("mysql",), True), ("varbinary(2)", "~bAAEC", ("mysql",), True),
    ("text character set utf8mb3", "\U0001f600", ("mysql",), True), ("inet", "10.0.0.256", ("postgresql",), True),
    ("positive", -1, ("postgresql",), False), ("time", "25 o'clock", SERVERS, True),
    ("integer[]", [1, "x"], ("postgresql",), True), ("tinyblob", "~b" + "AAAA" * 100, ("mysql",), True),
    ("decimal(30,10)", "~f12345678901234567890.123", ("sqlite",), True),
    ("integer not null strict", "abc", ("sqlite",), True),
]
GOOD = {"integer unique": 1, "integer, foreign key (v) references others (id)": 7}


def test_batch_with_one_bad_entity_leaves_no_trace(db, service):
    """One table for each case: good, bad and good entities; the problem names the bad one and its property."""
    if db.type == "postgresql":
        db.sql("create type mood as enum ('sad', 'glad')")
        db.sql("create domain positive as integer check (value > 0)")
    create(db, "others", "id integer not null primary key", [(7,)])
    cases = [case for case in BAD if db.type in case[2]]
    for number, (kind, _, _, _) in enumerate(cases):
        strict = kind.endswith(" strict")
        db.sql(f"create table t{number} (id integer not null primary key, w integer, v {kind.removesuffix(' strict')})"
               + (" strict" if strict else ""))
        needed = ", v" if "not null" in kind or "unique" in kind else ""
        db.sql(f"insert into t{number} (id, w{needed}) values (1, 1{', 7' if needed else ''})")
    running = service(sinks_of(db, **{f"t{number}": {"table": f"t{number}"} for number in range(len(cases))}))
    wrong = []
    for number, (kind, value, _, told) in enumerate(cases):
        before = rows(db, f"t{number}", "id, w")
        filler = {"v": 5} if "not null" in kind else {}
        batch = [{"_id": "1", "w": 2}, {"_id": "2", "w": 2, **filler}, {"_id": "3", "v": value},
                 {"_id": "4", "w": 2, **filler}]
        answer = push(running, f"t{number}", batch)
        problem = answer.json()
        if answer.status != 422 or problem.get("_id") != "3" or (told and problem.get("property") != "v") \
                or rows(db, f"t{number}", "id, w") != before:
            wrong.append((kind, value if len(str(value)) < 60 else "long", answer.status, problem))
    assert not wrong, "\n".join(map(repr, wrong))
    # Where the sender was wrong the log need not shout, and the service goes on.
    assert running.get("/health").status == 200


def test_missing_value_for_a_column_that_needs_one_is_refused(db, service):
    create(db, "people", "id integer not null primary key, name varchar(20) not null", [(1, "Kari")])
    running = service(sinks_of(db, people={"table": "people"}))
    refused(push(running, "people", [{"_id": "1"}, {"_id": "2"}]), "2", "name")
    assert rows(db, "people") == [(1, "Kari")]


def test_bad_entity_at_the_end_of_a_long_batch_leaves_no_trace(db, service):
    create(db, "people", "id integer not null primary key, name varchar(20) not null, age integer check (age < 100)",
           [(1, "Kari", 50)])
    running = service(sinks_of(db, people={"table": "people"}))
    batch = [person(number) for number in range(7000)]
    for bad, prop in ((person(7000, age=100), None), (person(7000, name=None), "name"),
                      (person(7000, age=10 ** 20), "age")):
        refused(push(running, "people", batch + [bad]), "7000", prop)
        assert rows(db, "people") == [(1, "Kari", 50)]
    assert counts(push(running, "people", batch)) == (6999, 1, 0, 0)


def test_bad_entity_that_a_later_one_replaces_does_no_harm(db, service):
    create(db, "people", "id integer not null primary key, age integer check (age < 100)")
    running = service(sinks_of(db, people={"table": "people"}))
    assert counts(push(running, "people", [{"_id": "1", "age": 100}, {"_id": "1", "age": 99}])) == (1, 0, 0, 0)


def test_values_are_not_quoted_in_the_log(db, service):
    create(db, "people", "id integer not null primary key, name varchar(20), age integer check (age < 10)")
    running = service(sinks_of(db, people={"table": "people"}))
    push(running, "people", [{"_id": "1", "name": "Canary-7d1f", "age": 99}]).problem(422)
    push(running, "people", [{"_id": "1", "name": "Canary-7d1f and more than twenty"}]).status in (200, 422)
    assert "Canary-7d1f" not in running.log()


def test_texts_keep_what_the_database_can_hold(db, service):
    texts = ["\u00e6\u00f8\u00e5 \u20ac \U0001f600", '"\\/\b\f\n\r\t', "\x01\x1f\x7f", "\u2028\u2029", " a ", "",
             "x" * 100000, "\ufeff", "\\N", "NULL", "a\tb\\", "{a,b}", "'; drop table texts; --"]
    if db.type != "postgresql":
        texts.append("a\0b")
    create(db, "texts", "id integer not null primary key, name {text}")
    running = service(sinks_of(db, {"texts": {"table": "texts"}}, texts={"table": "texts"}))
    batch = [{"_id": str(number), "name": text} for number, text in enumerate(texts)]
    assert counts(push(running, "texts", batch)) == (len(texts), 0, 0, 0)
    assert [entity["name"] for entity in running.pull("texts")] == texts
    assert counts(push(running, "texts", batch)) == (0, 0, len(texts), 0)


def test_text_with_two_tildes_loses_one(db, service):
    create(db, "texts", "id integer not null primary key, name {text}")
    running = service(sinks_of(db, texts={"table": "texts"}))
    texts = ["~~t2024-01-01", "~~~", "~~"]
    push(running, "texts", [{"_id": str(number), "name": text} for number, text in enumerate(texts, 1)])
    assert rows(db, "texts", "id, name") == [(1, "~t2024-01-01"), (2, "~~"), (3, "~")]


def test_numbers_reach_the_database_with_all_their_digits(server, service):
    create(server, "numbers", "id bigint not null primary key, n numeric(60,30), i bigint")
    running = service(sinks_of(server, numbers={"table": "numbers"}))
    digits = "123456789012345678901234567890.123456789012345678901234567890"
    body = f'[{{"_id": "9007199254740993", "n": {digits}, "i": 9223372036854775807}},' \
           f' {{"_id": "9007199254740994", "n": "~f-{digits}", "i": -9223372036854775808}}]'
    assert counts(push(running, "numbers", body)) == (2, 0, 0, 0)
    assert rows(server, "numbers") == [(9007199254740993, decimal.Decimal(digits), 9223372036854775807),
                                       (9007199254740994, decimal.Decimal("-" + digits), -9223372036854775808)]
    assert counts(push(running, "numbers", body)) == (0, 0, 2, 0)


def test_equal_is_by_bytes_not_by_collation(db, service):
    kind = {"sqlite": "text collate nocase", "mysql": "varchar(50) collate utf8mb4_general_ci", "postgresql": "text"}
    create(db, "words", f"id integer not null primary key, w {kind[db.type]}", [(1, "abc")])
    running = service(sinks_of(db, words={"table": "words"}))
    assert counts(push(running, "words", [{"_id": "1", "w": "ABC"}])) == (0, 1, 0, 0)
    assert rows(db, "words", "w") == [("ABC",)]


# ---- writing no more than needed


def test_rows_that_are_equal_are_not_written(postgresql, service):
    with_dialect(postgresql)
    running = people(postgresql, service)
    batch = [person(number, "x" * 100) for number in range(4000)]
    push(running, "people", batch)
    before = postgresql.sql("select id, xmin, ctid from people order by id")
    start = postgresql.sql("select pg_current_wal_insert_lsn()")[0][0]
    assert counts(push(running, "people", batch)) == (0, 0, 4000, 0)
    written = postgresql.sql("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", (start,))[0][0]
    assert postgresql.sql("select id, xmin, ctid from people order by id") == before
    assert written < 10 * 4000


def test_rows_that_are_equal_are_not_locked(server, service):
    running = people(server, service, [(1, "x", 1), (2, "x", 1)])
    other = server.connect(autocommit=False)
    try:
        other.cursor().execute("select * from people where id = 1 for update")
        assert counts(push(running, "people", [person(1), person(2, "new")])) == (0, 1, 1, 0)
    finally:
        other.close()


def test_request_that_changes_nothing_does_not_write_the_file(sqlite, service):
    with_dialect(sqlite)
    running = people(sqlite, service)
    push(running, "people", [person(1), person(2)])
    watcher = sqlite.connect()
    try:
        before = watcher.execute("pragma data_version").fetchone()
        assert counts(push(running, "people", [person(2), person(1)])) == (0, 0, 2, 0)
        assert watcher.execute("pragma data_version").fetchone() == before
        push(running, "people", [person(3)])
        assert watcher.execute("pragma data_version").fetchone() != before
    finally:
        watcher.close()


# ---- others at the same time


def test_same_new_keys_from_many_clients_are_inserted_once(db, service):
    running = people(db, service)
    clients, keys = 6, 60

    def client(number):
        order = list(range(number, keys)) + list(range(number))
        return counts(push(running, "people", [person(key, f"client {number}") for key in order]))

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        told = list(pool.map(client, range(clients)))
    assert all(sum(one) == keys for one in told)
    assert sum(one[0] for one in told) == keys
    assert rows(db, "people", "count(*), count(distinct name)") == [(keys, 1)]


def test_clients_that_write_different_keys_do_not_disturb_each_other(db, service):
    running = people(db, service)

    def client(number):
        return counts(push(running, "people", [person(key) for key in range(number, 1200, 4)]))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(client, range(4))) == [(300, 0, 0, 0)] * 4
    assert rows(db, "people", "count(*)") == [(1200,)]


# ---- the catalogue


def test_column_added_while_running_can_be_written_at_once(db, service):
    running = people(db, service)
    push(running, "people", [person(1)])
    db.sql("alter table people add column phone varchar(20)")
    assert counts(push(running, "people", [person(1, phone="112")])) == (0, 1, 0, 0)
    assert rows(db, "people", "id, phone") == [(1, "112")]


def test_column_dropped_while_running_is_an_unknown_property(db, service):
    running = people(db, service)
    push(running, "people", [person(1)])
    db.sql("alter table people drop column age")
    assert counts(push(running, "people", [person(1, "new", 7), person(2, "x", 7)])) == (1, 1, 0, 0)
    assert rows(db, "people") == [(1, "new"), (2, "x")]


def test_column_that_grew_takes_longer_values(server, service):
    create(server, "people", "id integer not null primary key, name varchar(3)")
    running = service(sinks_of(server, people={"table": "people"}))
    refused(push(running, "people", [{"_id": "1", "name": "Kari"}]), "1", "name")
    server.sql("alter table people " + ("alter name type varchar(10)" if server.type == "postgresql"
                                        else "modify name varchar(10)"))
    # Once a minute at the latest; a full read or an unknown property tells at once.
    assert counts(push(running, "people", [{"_id": "2", "phone": "unknown"}])) == (1, 0, 0, 0)
    assert counts(push(running, "people", [{"_id": "1", "name": "Kari"}])) == (1, 0, 0, 0)


def test_table_may_come_after_the_start(db, service):
    running = service(sinks_of(db, people={"table": "people"}))
    push(running, "people", [person(1)]).problem(500)
    create(db, "people", PEOPLE)
    assert counts(push(running, "people", [person(1)])) == (1, 0, 0, 0)


def test_schemas_and_odd_names_are_quoted(postgresql, service):
    postgresql.sql('create schema "My Schema"')
    postgresql.sql('create table "My Schema"."T""a;b" ("Id" int primary key, "select" text, "a b" int)')
    running = service(sinks_of(postgresql, odd={"schema": "My Schema", "table": 'T"a;b'}))
    batch = [{"_id": "1", "select": "x", "a b": 2}, {"_id": "2", "Id": 2, "select": "y"}]
    assert counts(push(running, "odd", batch)) == (2, 0, 0, 0)
    assert counts(push(running, "odd", [{**batch[0], "a b": 3}, {"_id": "2", "_deleted": True}])) == (0, 1, 0, 1)
    assert postgresql.sql('select * from "My Schema"."T""a;b"') == [(1, "x", 3)]


def test_partitioned_table_is_written_like_any(postgresql, service):
    postgresql.sql("create table r (id int primary key, v text) partition by range (id)")
    postgresql.sql("create table r1 partition of r for values from (0) to (10)")
    postgresql.sql("create table r2 partition of r for values from (10) to (20)")
    running = service(sinks_of(postgresql, r={"table": "r"}))
    assert counts(push(running, "r", [{"_id": "1", "v": "a"}, {"_id": "11", "v": "a"}])) == (2, 0, 0, 0)
    assert counts(push(running, "r", [{"_id": "1", "v": "b"}, {"_id": "11", "_deleted": True}])) == (0, 1, 0, 1)
    refused(push(running, "r", [{"_id": "12", "v": "a"}, {"_id": "99", "v": "a"}]), "99")
    assert rows(postgresql, "r") == [(1, "b")]


def test_table_is_made_from_its_definition(db, service):
    definition = [{"name": "id", "type": "integer", "primary_key": True, "allow_null": False},
                  {"name": "title", "source_property": "name", "type": "string", "max_size": 20},
                  {"name": "price", "type": "decimal", "precision": 10, "scale": 2},
                  {"name": "at", "type": "datetime"}]
    if db.type == "sqlite":
        definition.pop(2)
    running = service(sinks_of(db, {"made": {"table": "made"}}, made={
        "table": "made", "schema_definition": definition, "create_table_if_missing": True}))
    entity = {"_id": "1", "name": "x", "price": "~f1.50", "at": "~t2024-01-02T03:04:05Z"}
    assert counts(push(running, "made", [entity])) == (1, 0, 0, 0)
    assert counts(push(running, "made", [entity])) == (0, 0, 1, 0)
    assert running.pull("made")[0]["title"] == "x"
    assert counts(push(running, "made", [{"_id": "1", "name": "y"}])) == (0, 1, 0, 0)
    assert set(running.pull("made")[0]) == {"_id", "id", "title"}


# ---- requests


@pytest.mark.parametrize("body", [
    b"", b"  ", b"[", b"[{", b'[{"_id": "1"}', b'[{"_id": "1"}] x', b"nonsense", b"1", b'"x"', b"null", b"[1]", b"[[]]",
    b"[null]", b'[{"_id": "1",}]', b'[{"_id": "1"},]', b'[{"name": "x"}]', b'[{"_id": 1}]',
    b'[{"_id": null}]', b'[{"_id": "1", "name": "a", "name": "b"}]', b'[{"_id": "1", "name": "\\ud800"}]',
    b'[{"_id": "1", "name": "\xff"}]', b'[{"_id": "1", "age": 01}]', b'[{"_id": "1", "age": NaN}]',
    b'[{"_id": "1", "_deleted": "yes"}]', b"\xef\xbb\xbf[]", b'[{"_id": "1"}{"_id": "2"}]'])
def test_body_that_is_no_list_of_entities_is_400(sqlite, service, body):
    with_dialect(sqlite)
    running = people(sqlite, service)
    push(running, "people", body).problem(400)
    assert rows(sqlite, "people") == []


def test_body_that_is_deeper_than_any_use_is_refused(sqlite, service):
    running = people(with_dialect(sqlite), service)
    for body in (b"[" * 100000, b'[{"_id": "1", "name": ' + b"[" * 100000 + b"]" * 100000 + b"}]"):
        assert push(running, "people", body).status in (400, 413)
    assert rows(sqlite, "people") == []


def test_body_and_entity_that_are_too_large_are_413(sqlite, service):
    with_dialect(sqlite)
    create(sqlite, "people", PEOPLE)
    running = service(sinks_of(sqlite, listen={"max_body_bytes": 20000, "max_entity_bytes": 1000},
                               people={"table": "people"}))
    push(running, "people", [person(1), person(2, "x" * 1000)]).problem(413)
    push(running, "people", [person(n, "x" * 500) for n in range(50)]).problem(413)
    assert rows(sqlite, "people") == []
    assert counts(push(running, "people", [person(n, "x" * 500) for n in range(30)])) == (30, 0, 0, 0)


def test_bodies_that_together_are_more_than_is_buffered_wait_for_each_other(sqlite, service):
    with_dialect(sqlite)
    create(sqlite, "people", PEOPLE)
    running = service(sinks_of(sqlite, listen={"max_buffered_bytes": 300000}, people={"table": "people"}))

    def client(number):
        return counts(push(running, "people", [person(number * 1000 + n, "x" * 400) for n in range(400)]))

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(client, range(6))) == [(400, 0, 0, 0)] * 6


def test_many_pushes_come_on_one_connection(db, service):
    running = people(db, service)
    connection = running.connect()
    for number, status in ((1, 200), (2, 200), (10 ** 30, 422), (3, 200)):
        connection.request("POST", "/sinks/people", body=json.dumps([person(number)]),
                           headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == status, response.read()
        response.read()
    connection.close()
    assert rows(db, "people", "id") == [(1,), (2,), (3,)]


def test_role_that_may_not_write_is_told_so(server, service):
    create(server, "people", PEOPLE, [(1, "Kari", 1)])
    user, password = "sesam_reader", "reader"
    if server.type == "postgresql":
        server.sql(f"create role {user} login password '{password}'")
        server.sql(f"grant select on people to {user}")
        forget = [f"drop owned by {user}", f"drop role {user}"]
    else:
        server.sql(f"create user {user}@'%' identified by '{password}'")
        server.sql(f"grant select on people to {user}@'%'")
        forget = [f"drop user {user}@'%'"]
    try:
        running = service(sinks_of(server, system={"username": user, "password": password}, people={"table": "people"}))
        assert counts(push(running, "people", [person(1, "Kari")])) == (0, 0, 1, 0)
        push(running, "people", [person(1, "new")]).problem(500)
        assert rows(server, "people") == [(1, "Kari", 1)]
    finally:
        for statement in forget:
            server.sql(statement)


def test_key_that_is_empty_comes_back_as_it_went(db, service):
    create(db, "words", "word varchar(20) not null primary key, n integer")
    running = service(sinks_of(db, words={"table": "words"}))
    assert counts(push(running, "words", [{"_id": "", "word": "", "n": 1}])) == (1, 0, 0, 0)
    assert counts(push(running, "words", [{"_id": "", "word": "", "n": 1}])) == (0, 0, 1, 0)


def test_null_is_no_key_and_id_does_not_stand_in_for_it(db, service):
    create(db, "words", "word varchar(20) not null primary key, n integer")
    running = service(sinks_of(db, words={"table": "words"}))
    refused(push(running, "words", [{"_id": "a", "word": None, "n": 1}]), "a", "word")


def test_key_outside_of_the_scope_is_refused(db, service):
    create(db, "parts", "region varchar(20) not null, id integer not null, name varchar(20), primary key (region, id)")
    running = service(sinks_of(db, parts={"table": "parts", "scope": {"column": "region", "value": "NO"}}))
    refused(push(running, "parts", [{"_id": "SE:5", "name": "y"}]), "SE:5", "region")
    assert counts(push(running, "parts", [{"_id": "NO:5", "name": "y"}])) == (1, 0, 0, 0)


def test_unique_value_passes_from_a_row_that_goes_to_one_that_comes(db, service):
    create(db, "badges", "id integer not null primary key, code varchar(20) unique")
    running = service(sinks_of(db, badges={"table": "badges"}))
    push(running, "badges", [{"_id": "1", "code": "a"}, {"_id": "2", "code": "b"}])
    assert counts(push(running, "badges", [{"_id": "1", "_deleted": True}, {"_id": "3", "code": "a"}])) == (1, 0, 0, 1)
    assert counts(push(running, "badges", [{"_id": "2", "code": "c"}, {"_id": "4", "code": "b"}])) == (1, 1, 0, 0)


def test_geometry_that_is_none_is_refused_and_leaves_what_is_there(mariadb, service):
    with_dialect(mariadb)
    create(mariadb, "places", "id integer not null primary key, at point")
    running = service(sinks_of(mariadb, places={"table": "places"}))
    assert counts(push(running, "places", [{"_id": "1", "at": "POINT(1 2)"}])) == (1, 0, 0, 0)
    refused(push(running, "places", [{"_id": "1", "at": "POINT(1 2"}]), "1", "at")
    refused(push(running, "places", [{"_id": "2", "at": "x"}]), "2", "at")
    assert list(mariadb.sql("select id, st_astext(at) from places")) == [(1, "POINT(1 2)")]


@pytest.mark.parametrize("kind, value", [("tsvector", "a:x"), ("tsquery", "a b"), ("jsonpath", "$["), ('"char"', "ab"),
                                         ('"char"[]', ["a", "bc"])])
def test_text_that_a_type_of_postgresql_cannot_read_or_keep_is_refused(postgresql, service, kind, value):
    database = with_dialect(postgresql)
    create(database, "odd", f"id integer not null primary key, v {kind}", [(1, None)])
    running = service(sinks_of(database, odd={"table": "odd"}))
    for key in ("1", "2"):
        good = {"_id": "3", "id": 3, "v": None}
        problem = refused(push(running, "odd", [good, {"_id": key, "id": int(key), "v": value}]), key)
        assert json.dumps(value)[1:-1] not in problem["detail"]
    assert rows(database, "odd") == [(1, None)]


def test_byte_of_char_comes_back_as_it_went(postgresql, service):
    database = with_dialect(postgresql)
    create(database, "odd", 'id integer not null primary key, v "char"', [(1, "x"), (2, ""), (3, "\\351")])
    running = service(sinks_of(database, odd={"table": "odd"}, sources={"odd": {"table": "odd"}}))
    entities = running.pull("odd")
    assert counts(push(running, "odd", entities)) == (0, 0, 3, 0)


@pytest.mark.parametrize("kind, value", [("char(5)", "S"), ("{decimal}", 1.5), ("{decimal}", 7), ("boolean", True)])
def test_scope_and_mark_are_compared_as_the_database_does(db, service, kind, value):
    columns = f"id integer not null primary key, name {{text}}, part {kind}, gone {kind}"
    create(db, "people", columns, [(1, "Kari", value, None)])
    running = service(sinks_of(db, people={"table": "people", "scope": {"column": "part", "value": value},
                                           "deletes": {"column": "gone", "value": value}}))
    assert counts(push(running, "people", [{"_id": "1", "id": 1, "name": "Ola"}])) == (0, 1, 0, 0)
    gone = [{"_id": "1", "_deleted": True}]
    assert counts(push(running, "people", gone)) == (0, 0, 0, 1)
    assert counts(push(running, "people", gone)) == (0, 0, 1, 0)
    assert counts(push(running, "people", [{"_id": "1", "id": 1, "name": "Ola"}])) == (0, 1, 0, 0)
