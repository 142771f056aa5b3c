"""Full syncs: a chain of requests, after which the table has what came and nothing else."""

import concurrent.futures
import json

import pytest

from conftest import create
from pushing import MARKS, Sync, accepted, case_blind, counts, marked, push, rows, sinks_of, with_dialect


def table(db, ids=(), name="things"):
    create(db, name, "id integer not null primary key, v {text}", [(_id, "old") for _id in ids])
    return with_dialect(db)


def thing(_id, v="old"):
    return {"_id": str(_id), "v": v}


def gone(_id):
    return {"_id": str(_id), "_deleted": True}


def things(db, service, ids=(), **sink):
    table(db, ids)
    return service(sinks_of(db, things={"table": "things", "delete_guard": False, **sink}))


def ids(db, name="things"):
    return [row[0] for row in rows(db, name, "id")]


# ---- the chain


def test_chain_of_requests_leaves_what_came_and_deletes_the_rest(db, service):
    running = things(db, service, [1, 2, 3, 4])
    sync = Sync(running, "things")
    assert counts(sync.first([thing(1), thing(2, "new")])) == (0, 1, 1, 0)
    assert counts(sync.next([thing(5), gone(3)])) == (1, 0, 0, 1)
    assert ids(db) == [1, 2, 4, 5]
    assert counts(sync.last([thing(6)])) == (1, 0, 0, 1)
    assert rows(db, "things") == [(1, "old"), (2, "new"), (5, "old"), (6, "old")]


def test_examples_of_the_protocol(db, service):
    running = things(db, service, [7])
    first = {"is_full": True, "sequence_id": "0", "request_id": "0", "is_first": True, "is_last": False}
    second = {"is_full": True, "sequence_id": "0", "request_id": "1", "previous_request_id": "0", "is_first": False,
              "is_last": False}
    third = {**second, "request_id": "2", "previous_request_id": "1", "is_last": True}
    assert push(running, "things", [thing(1)], **first).status == 200
    assert push(running, "things", [thing(2)], **second).status == 200
    assert push(running, "things", [], **third).status == 200
    assert ids(db) == [1, 2]
    incremental = {"is_full": False, "sequence_id": "1", "request_id": "0", "is_first": True, "is_last": True}
    assert counts(push(running, "things", [thing(3)], **incremental)) == (1, 0, 0, 0)
    assert ids(db) == [1, 2, 3]


def test_sync_of_one_request_with_ids_is_first_and_last(db, service):
    running = things(db, service, [1, 2])
    assert counts(Sync(running, "things").send([thing(2), thing(3)], first=True, last=True)) == (1, 0, 1, 1)
    assert ids(db) == [2, 3]


def test_sync_of_one_request_needs_no_ids(db, service):
    running = things(db, service, [1, 2])
    whole = {"is_full": True, "is_first": True, "is_last": True}
    assert counts(push(running, "things", [thing(2), thing(3)], **whole)) == (1, 0, 1, 1)
    assert counts(push(running, "things", [thing(2), thing(3)], **whole)) == (0, 0, 2, 0)
    assert ids(db) == [2, 3]


def test_whole_sync_replaces_an_open_one(db, service):
    running = things(db, service, [1])
    sync = Sync(running, "things")
    assert sync.first([thing(2)]).status == 200
    assert counts(push(running, "things", [thing(3)], is_full=True, is_first=True, is_last=True)) == (1, 0, 0, 2)
    sync.last([]).problem(409)
    assert ids(db) == [3]


def test_empty_requests_may_stand_anywhere(db, service):
    running = things(db, service, [1, 2, 3])
    sync = Sync(running, "things")
    for answer in (sync.first([]), sync.next([]), sync.next([thing(2)]), sync.next([])):
        assert answer.status == 200
    assert counts(sync.last([])) == (0, 0, 0, 2)
    assert ids(db) == [2]


def test_nothing_is_deleted_before_the_last_request(db, service):
    running = things(db, service, [1, 2, 3])
    sync = Sync(running, "things")
    sync.first([thing(4)])
    sync.next([thing(5)])
    assert ids(db) == [1, 2, 3, 4, 5]


def test_long_syncs_delete_just_the_rest(db, service):
    running = things(db, service, range(0, 12000, 2))
    sync = Sync(running, "things")
    batches = [[thing(_id) for _id in range(start, start + 3000)] for start in range(0, 9000, 3000)]
    answers = [sync.send(batch, first=number == 0, last=number == 2) for number, batch in enumerate(batches)]
    assert [counts(answer) for answer in answers] == [(1500, 0, 1500, 0)] * 2 + [(1500, 0, 1500, 1500)]
    assert rows(db, "things", "count(*), max(id)") == [(9000, 8999)]


def test_same_keys_in_several_requests_are_seen_once(db, service):
    running = things(db, service, [1, 2])
    sync = Sync(running, "things")
    sync.first([thing(1, "a"), thing(1, "b")])
    sync.next([thing(1, "c")])
    assert counts(sync.last([thing(1, "c")])) == (0, 0, 1, 1)
    assert rows(db, "things") == [(1, "c")]


def test_ids_may_be_any_text(db, service):
    running = things(db, service, [1])
    sync = Sync(running, "things", sequence_id="S\u00e6quence '\"%/ \U0001f600" + "x" * 100)
    sync.first([thing(2)], request_id="r'1\\")
    assert counts(sync.last([], request_id="a:b&c=d")) == (0, 0, 0, 1)
    assert ids(db) == [2]


def test_ids_are_compared_by_their_bytes(db, service):
    """No collation of the state's tables may take one for another."""
    running = things(db, service, [1])
    sync = Sync(running, "things", sequence_id="abc")
    sync.first([thing(2)], request_id="r")
    for sequence_id, previous in (("ABC", "r"), ("abc ", "r"), ("abc", "R"), ("abc", "r ")):
        sync.last([], sequence_id=sequence_id, previous_request_id=previous).problem(409)
    assert sync.next([], request_id="R").status == 200
    assert counts(sync.last([])) == (0, 0, 0, 1)


# ---- 409, and nothing else


def begun(db, service):
    """A sync whose first request was accepted."""
    running = things(db, service, [1, 2])
    sync = Sync(running, "things")
    assert counts(sync.first([thing(1)])) == (0, 0, 1, 0)
    return running, sync


BROKEN = {
    "the previous request is another": lambda sync: sync.next([thing(9)], previous_request_id="77"),
    "the previous request is the one itself": lambda sync: sync.next([thing(9)], previous_request_id="2"),
    "the sequence begins again": lambda sync: sync.first([thing(9)]),
    "the sequence is another": lambda sync: sync.next([thing(9)], sequence_id="another"),
    "the last is of another sequence": lambda sync: sync.last([thing(9)], sequence_id="another"),
    "the same ids come with another body": lambda sync: sync.first([thing(9)], request_id="1"),
    "the same ids come with other flags": lambda sync: sync.send([thing(1)], first=True, last=True, request_id="1"),
    "is_full is gone": lambda sync: sync.next([thing(9)], is_full=None),
    "is_full is false": lambda sync: sync.last([thing(9)], is_full=False),
    "is_full is false in the first again": lambda sync: sync.first([thing(9)], is_full=False),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_chain_is_409_and_the_chain_goes_on(db, service, case):
    _, sync = begun(db, service)
    BROKEN[case](sync).problem(409)
    assert ids(db) == [1, 2]
    assert counts(sync.next([thing(3)])) == (1, 0, 0, 0)
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert ids(db) == [1, 3]


def test_sequence_that_never_began_cannot_go_on(db, service):
    running = things(db, service, [1])
    sync = Sync(running, "things")
    sync.next([thing(9)], previous_request_id="0").problem(409)
    sync.last([thing(9)], previous_request_id="0").problem(409)
    assert ids(db) == [1]


def test_sequence_that_is_done_takes_no_more(db, service):
    _, sync = begun(db, service)
    assert sync.last([]).status == 200
    sync.next([thing(9)]).problem(409)
    sync.last([thing(9)]).problem(409)
    sync.first([thing(9)]).problem(409)
    assert ids(db) == [1]


def test_new_sequence_replaces_an_unfinished_one(db, service):
    running, old = begun(db, service)
    new = Sync(running, "things")
    assert counts(new.first([thing(2)])) == (0, 0, 1, 0)
    old.next([thing(8)]).problem(409)
    old.last([thing(9)]).problem(409)
    assert counts(new.last([])) == (0, 0, 0, 1)
    assert ids(db) == [2]


def test_late_first_request_of_a_retired_sequence_is_409(db, service):
    running, old = begun(db, service)
    new = Sync(running, "things")
    assert new.first([thing(2)]).status == 200
    push(running, "things", [thing(1)], is_full=True, sequence_id=old.sequence_id, request_id="1",
         is_first=True).problem(409)
    assert counts(new.last([])) == (0, 0, 0, 1)
    newer = Sync(running, "things")
    assert newer.first([thing(3)]).status == 200
    for late in (old, new):
        push(running, "things", [thing(1)], is_full=True, sequence_id=late.sequence_id, request_id="9",
             is_first=True).problem(409)
    assert counts(newer.last([])) == (0, 0, 0, 1)
    assert ids(db) == [3]


def test_replaced_sequences_keys_are_forgotten(db, service):
    """What only the old sequence saw is deleted by the new one."""
    running, old = begun(db, service)
    old.next([thing(3)])
    new = Sync(running, "things")
    new.first([thing(2)])
    assert counts(new.last([])) == (0, 0, 0, 2)
    assert ids(db) == [2]


# ---- parameters


@pytest.mark.parametrize("parameters", [
    {"is_first": True}, {}, {"is_last": True}, {"sequence_id": "1", "is_first": True},
    {"request_id": "1", "is_first": True}, {"sequence_id": "1", "request_id": "2"},
    {"sequence_id": "1", "request_id": "2", "is_last": True}, {"sequence_id": "", "request_id": "1", "is_first": True},
    {"sequence_id": "1", "request_id": "", "is_first": True},
    {"sequence_id": "1", "request_id": "1", "is_first": "maybe"}])
def test_missing_ids_are_400(db, service, parameters):
    running = things(db, service, [1])
    push(running, "things", [thing(2)], is_full=True, **parameters).problem(400)
    assert ids(db) == [1]


def test_is_full_that_is_no_boolean_is_400(db, service):
    running = things(db, service, [1])
    push(running, "things", [thing(2)], is_full="perhaps", sequence_id="1", request_id="1", is_first=True).problem(400)
    assert ids(db) == [1]


def test_without_is_full_the_other_parameters_do_not_matter(db, service):
    running = things(db, service, [1])
    assert counts(push(running, "things", [thing(2)], is_first=True, is_last=True)) == (1, 0, 0, 0)
    assert counts(push(running, "things", [thing(3)], sequence_id="1", request_id="5", previous_request_id="4",
                       is_last=True)) == (1, 0, 0, 0)
    assert ids(db) == [1, 2, 3]


# ---- the same request again


def test_repeated_requests_get_their_first_answer(db, service):
    running = things(db, service, [1, 2, 3])
    sync = Sync(running, "things")
    sent = []
    for number, entities in enumerate(([thing(1, "new"), thing(4)], [gone(2), thing(5)], [thing(6)])):
        parameters = sync.parameters(first=number == 0, last=number == 2)
        sent.append((entities, parameters, sync.send(entities, first=number == 0, last=number == 2).json()))
        db.sql("update things set v = 'touched beside'")
        before = rows(db, "things")
        for entities, parameters, answer in sent:
            again = push(running, "things", entities, **parameters)
            assert again.status == 200 and again.json() == answer
        assert rows(db, "things") == before
    assert ids(db) == [1, 4, 5, 6]


def test_repeated_request_must_have_the_same_bytes(db, service):
    running = things(db, service, [])
    sync = Sync(running, "things")
    parameters = sync.parameters(first=True)
    assert push(running, "things", [thing(1)], **parameters).status == 200
    push(running, "things", json.dumps([thing(1, "other")]), **parameters).problem(409)
    assert rows(db, "things") == [(1, "old")]


def test_request_ids_are_unique_within_their_sequence_only(db, service):
    running = things(db, service, [1])
    for v in ("a", "b", "c"):
        sync = Sync(running, "things")
        assert sync.first([thing(1, v)], request_id="1").status == 200
        assert sync.last([thing(2, v)], request_id="2").status == 200
    assert rows(db, "things") == [(1, "c"), (2, "c")]


def test_request_that_failed_can_be_sent_again(db, service):
    create(db, "things", "id integer not null primary key, v integer check (v < 10)", [(1, 1), (2, 2)])
    running = service(sinks_of(db, things={"table": "things", "delete_guard": False}))
    sync = Sync(running, "things")
    sync.first([thing(1, 1), thing(3, 11)]).problem(422)
    sync.next([thing(3, 3)], previous_request_id="1").problem(409)
    assert counts(sync.first([thing(1, 1), thing(3, 3)])) == (1, 0, 1, 0)
    sync.next([thing(4, 4), thing(5, 50)]).problem(422)
    sync.last([], request_id="3", previous_request_id="2").problem(409)
    assert counts(sync.next([thing(4, 4)])) == (1, 0, 0, 0)
    sync.last([thing(5, 50)]).problem(422)
    assert ids(db) == [1, 2, 3, 4]
    assert counts(sync.last([thing(5, 5)])) == (1, 0, 0, 1)
    assert ids(db) == [1, 3, 4, 5]


def test_same_request_twice_at_once_is_applied_once(db, service):
    running = things(db, service, [1, 2])
    sync = Sync(running, "things")
    entities = [thing(_id) for _id in range(2, 50)]
    for first in (True, False):
        parameters = sync.parameters(first=first, last=not first)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: push(running, "things", entities, **parameters), range(4)))
        assert len({json.dumps(accepted(answer), sort_keys=True) for answer in answers}) == 1
        sync.previous, sync.requests = parameters["request_id"], sync.requests + 1
    assert ids(db) == list(range(2, 50))


# ---- incremental requests in between


def test_what_incremental_requests_wrote_meanwhile_survives(db, service):
    running = things(db, service, [1, 2, 3, 4])
    sync = Sync(running, "things")
    sync.first([thing(1)])
    assert counts(push(running, "things", [thing(2, "changed"), thing(3), thing(8, "new")])) == (1, 1, 1, 0)
    sync.next([])
    push(running, "things", [gone(1), thing(9)])
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert rows(db, "things") == [(2, "changed"), (3, "old"), (8, "new"), (9, "old")]


def test_incremental_requests_before_and_after_do_not_count(db, service):
    running = things(db, service, [1])
    push(running, "things", [thing(2)])
    sync = Sync(running, "things")
    sync.first([thing(1)])
    assert counts(sync.last([])) == (0, 0, 0, 1)
    push(running, "things", [thing(3)])
    assert ids(db) == [1, 3]
    sync = Sync(running, "things")
    sync.first([thing(1)])
    assert counts(sync.last([])) == (0, 0, 0, 1)


def test_row_of_another_program_goes_like_any(db, service):
    running = things(db, service, [1])
    sync = Sync(running, "things")
    sync.first([thing(1)])
    db.sql("insert into things values (7, 'beside')")
    assert counts(sync.last([])) == (0, 0, 0, 1)


def test_key_that_came_as_deleted_does_not_count_as_seen(db, service):
    running = things(db, service, [1, 2])
    sync = Sync(running, "things")
    assert counts(sync.first([thing(1), gone(2)])) == (0, 0, 1, 1)
    db.sql("insert into things values (2, 'beside')")
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert ids(db) == [1]


# ---- what it deletes


def test_rest_is_marked_where_deletions_are_marks(db, service):
    running, (dead, live) = service(sinks_of(db, people=marked(db, delete_guard=False))), MARKS[db.type]
    db.sql("insert into people (id, name) values (3, 'Ny'), (4, 'Til')")
    sync = Sync(running, "people")
    assert counts(sync.first([{"_id": "1", "name": "Kari"}])) == (0, 0, 1, 0)
    assert counts(sync.last([{"_id": "5", "name": "Fem"}])) == (1, 0, 0, 2)
    assert rows(db, "people", "id, gone") == [(1, live), (2, dead), (3, dead), (4, dead), (5, live)]
    sync = Sync(running, "people")
    sync.first([{"_id": "1", "name": "Kari"}, {"_id": "2", "name": "Ola"}])
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert rows(db, "people", "id, gone") == [(1, live), (2, live), (3, dead), (4, dead), (5, dead)]


def test_rest_stays_where_deletions_are_ignored(db, service):
    running = things(db, service, [1, 2], deletes="ignore")
    sync = Sync(running, "things")
    sync.first([thing(1)])
    assert counts(sync.last([])) == (0, 0, 0, 0)
    assert ids(db) == [1, 2]


def test_rest_stays_and_is_counted_where_full_syncs_do_not_delete(db, service):
    running = things(db, service, [1, 2, 3], full_sync_deletes=False)
    sync = Sync(running, "things")
    sync.first([thing(1)])
    told = accepted(sync.last([]))
    assert (told["deleted"], told["kept"]) == (0, 2)
    assert ids(db) == [1, 2, 3]


def scoped(db, service, **more):
    create(db, "things", "id integer not null primary key, v {text}, part {key_text}",
           [(1, "old", "a"), (2, "old", "a"), (3, "old", "b"), (4, "old", None)])
    sink = {"table": "things", "delete_guard": False, **more}
    return service(sinks_of(with_dialect(db), a={**sink, "scope": {"column": "part", "value": "a"}},
                            b={**sink, "scope": {"column": "part", "value": "b"}}))


def test_scope_is_set_on_insert_and_bounds_what_a_sync_deletes(db, service):
    running = scoped(db, service)
    sync = Sync(running, "a")
    assert counts(sync.first([thing(1), thing(5)])) == (1, 0, 1, 0)
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert rows(db, "things", "id, part") == [(1, "a"), (3, "b"), (4, None), (5, "a")]
    assert counts(push(running, "b", [thing(6)])) == (1, 0, 0, 0)
    assert rows(db, "things", "id, part")[-1] == (6, "b")


def test_syncs_of_two_scopes_do_not_touch_each_other(db, service):
    running = scoped(db, service)
    a, b = Sync(running, "a", "same"), Sync(running, "b", "same")
    a.first([thing(1)])
    b.first([thing(3)])
    a.next([thing(7)])
    b.next([thing(8)])
    assert counts(a.last([])) == (0, 0, 0, 1)
    assert counts(b.last([])) == (0, 0, 0, 0)
    assert ids(db) == [1, 3, 4, 7, 8]


def test_scope_makes_a_sync_delete_though_there_is_a_lock(db, service):
    create(db, "things", "id integer not null primary key, v {text}, part integer, version integer default 1",
           [(1, "old", 1, 1), (2, "old", 1, 1), (3, "old", 2, 1)])
    running = service(sinks_of(db, things={"table": "things", "delete_guard": False,
                                           "optimistic_lock": {"column": "version"},
                                           "scope": {"column": "part", "value": 1}}))
    sync = Sync(running, "things")
    sync.first([thing(1)])
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert ids(db) == [1, 3]


def test_keys_that_the_index_takes_for_the_same_are_seen(db, service):
    case_blind(db)
    db.sql("insert into words values ('Kari', 1), ('OLA', 1), ('Sven', 1)")
    running = service(sinks_of(db, words={"table": "words", "delete_guard": False}))
    sync = Sync(running, "words")
    assert counts(sync.first([{"_id": "KARI", "v": 1}]))[0] == 0
    push(running, "words", [{"_id": "ola", "v": 2}])
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert sorted(row[0].lower() for row in rows(db, "words")) == ["kari", "ola"]


KEYS = {
    "postgresql": [("uuid", "~u531a379e-31bb-4ce1-8690-158dceb64be6"), ("numeric(10,2)", "~f1.50"),
                   ("date", "~t2024-01-02"), ("timestamptz", "~t2024-01-02T03:04:05.123456Z"), ("char(5)", "ab"),
                   ("bytea", "~bAP8="),
                   ("inet", "10.0.0.1"), ("double precision", 0.1), ("boolean", True), ("bigint", 2 ** 63 - 1)],
    "mysql": [("uuid", "~u531a379e-31bb-4ce1-8690-158dceb64be6"), ("decimal(10,2)", "~f1.50"),
              ("date", "~t2024-01-02"), ("datetime(6)", "~t2024-01-02T03:04:05.123456Z"), ("char(5)", "ab"),
              ("varbinary(5)", "~bAP8="),
              ("enum('a', 'b')", "b"), ("double", 0.1), ("bigint unsigned", 2 ** 64 - 1), ("bit(8)", 7),
              ("year", 2024)],
    "sqlite": [("integer", 2 ** 63 - 1), ("text", "\u00e6"), ("blob", "~bAP8="), ("real", 0.1), ("", 7),
    ("", "text")],
}


def test_keys_of_any_type_are_seen(db, service):
    """Each table has a row beside that must go, and one that came and must stay."""
    cases = KEYS[db.type]
    for number, (kind, _) in enumerate(cases):
        create(db, f"t{number}", f"k {kind} not null, n integer not null, v integer, primary key (k, n)")
    running = service(sinks_of(db, {f"t{n}": {"table": f"t{n}"} for n in range(len(cases))},
                               **{f"t{n}": {"table": f"t{n}", "delete_guard": False} for n in range(len(cases))}))
    wrong = []
    for number, (kind, value) in enumerate(cases):
        name = f"t{number}"
        push(running, name, [{"_id": "a", "k": value, "n": n, "v": 1} for n in (1, 2, 3)])
        sync = Sync(running, name)
        answers = [sync.first([{"_id": "a", "k": value, "n": 1, "v": 1}]),
                   push(running, name, [{"_id": "a", "k": value, "n": 2, "v": 2}]), sync.last([])]
        told = [answer.json() for answer in answers]
        if any(answer.status != 200 for answer in answers) or told[2]["deleted"] != 1 \
                or [entity["n"] for entity in running.pull(name)] != [1, 2]:
            wrong.append((kind, value, told))
    assert not wrong, "\n".join(map(repr, wrong))


# ---- the guard


def guarded(db, service, count, **guard):
    table(db)
    db.many(f"insert into things values ({db.dialect['mark']}, 'old')", [(n,) for n in range(count)])
    sink = {"table": "things"}
    return service(sinks_of(db, things={**sink, "delete_guard": guard} if guard else sink))


def test_last_request_that_would_delete_too_much_is_refused_and_leaves_the_chain_open(db, service):
    running = guarded(db, service, 300)
    sync = Sync(running, "things")
    sync.first([thing(n) for n in range(100)])
    assert "delete_guard" in json.dumps(sync.last([thing(1000)]).problem(422))
    assert len(ids(db)) == 300
    assert counts(sync.next([thing(n) for n in range(100, 200)])) == (0, 0, 100, 0)
    assert counts(sync.last([])) == (0, 0, 0, 100)
    assert len(ids(db)) == 200


def test_guard_can_be_turned_off_for_a_request(db, service):
    running = guarded(db, service, 300)
    sync = Sync(running, "things")
    sync.first([thing(n) for n in range(100)])
    sync.last([]).problem(422)
    assert counts(sync.last([], delete_guard="off")) == (0, 0, 0, 200)
    assert len(ids(db)) == 100


def test_guard_lets_few_deletions_through_whatever_their_share(db, service):
    running = guarded(db, service, 101)
    sync = Sync(running, "things")
    sync.first([thing(0)])
    assert counts(sync.last([])) == (0, 0, 0, 100)


def test_guard_lets_a_small_share_through_however_many(db, service):
    running = guarded(db, service, 300)
    sync = Sync(running, "things")
    sync.first([thing(n) for n in range(150)])
    assert counts(sync.last([])) == (0, 0, 0, 150)


def test_guard_is_configured(db, service):
    running = guarded(db, service, 10, rows=2, fraction=0.2)
    sync = Sync(running, "things")
    sync.first([thing(n) for n in range(7)])
    sync.last([]).problem(422)
    sync.next([thing(7)])
    assert counts(sync.last([])) == (0, 0, 0, 2)


def test_guard_refuses_any_deletion_when_nothing_came(db, service):
    running = guarded(db, service, 1)
    sync = Sync(running, "things")
    sync.first([])
    sync.last([]).problem(422)
    assert ids(db) == [0]
    push(running, "things", [], is_full=True, is_first=True, is_last=True).problem(422)
    assert ids(db) == [0]
    assert counts(push(running, "things", [], is_full=True, is_first=True, is_last=True, delete_guard="off")) \
        == (0, 0, 0, 1)


def test_guard_does_not_take_an_earlier_syncs_entities_for_those_of_this_one(db, service):
    running = guarded(db, service, 3)
    sync = Sync(running, "things")
    sync.first([thing(n) for n in range(3)])
    assert counts(sync.last([])) == (0, 0, 0, 0)
    push(running, "things", [], is_full=True, is_first=True, is_last=True).problem(422)
    sync = Sync(running, "things")
    sync.first([])
    sync.last([]).problem(422)
    push(running, "things", [], is_full=True, is_first=True, is_last=True).problem(422)
    assert ids(db) == [0, 1, 2]


def test_empty_sync_of_an_empty_table_is_well(db, service):
    running = guarded(db, service, 0)
    assert counts(push(running, "things", [], is_full=True, is_first=True, is_last=True)) == (0, 0, 0, 0)


# ---- the state


STATE = ("sesam_sql_sync", "sesam_sql_request", "sesam_sql_retired")


def state_tables(db):
    if db.type == "sqlite":
        found = db.sql("select name from sqlite_master where type = 'table'")
    else:
        schema = "'public'" if db.type == "postgresql" else "database()"
        found = db.sql(f"select table_name from information_schema.tables where table_schema = {schema}")
    return sorted(row[0] for row in found if row[0].startswith("sesam_sql"))


def test_incremental_requests_need_no_state(db, service):
    running = things(db, service, [1])
    push(running, "things", [thing(2)], sequence_id="1")
    assert state_tables(db) == []


def test_state_is_made_when_it_is_first_needed_and_is_small(db, service):
    running = things(db, service, [])
    sync = Sync(running, "things")
    sync.first([thing(n) for n in range(1000)])
    assert state_tables(db) == sorted(STATE)
    sync.next([thing(n) for n in range(1000, 2000)])
    push(running, "things", [thing(5000)])
    assert db.sql("select count(*) from sesam_sql_request")[0][0] <= 3
    sync.last([])
    assert db.sql("select count(*) from sesam_sql_sync") == [(1,)]
    size = "coalesce(sum(length(seen)), 0)"
    assert db.sql(f"select {size} from sesam_sql_request")[0][0] < 100


def test_ddl_makes_the_state_tables(db, service, run):
    printed = run("ddl", db.type)
    assert printed.returncode == 0, printed.stderr
    connection = db.connect()
    try:
        if db.type == "sqlite":
            connection.executescript(printed.stdout)
        else:
            for statement in without_comments(printed.stdout).split(";"):
                if statement.strip():
                    connection.cursor().execute(statement)
    finally:
        connection.close()
    assert state_tables(db) == sorted(STATE)
    running = things(db, service, [1, 2])
    sync = Sync(running, "things")
    sync.first([thing(1)])
    assert counts(sync.last([])) == (0, 0, 0, 1)


def without_comments(text):
    return "\n".join(line.partition("--")[0] for line in text.splitlines())


@pytest.fixture(params=["postgresql", "mysql"])
def limited(request):
    """A database, and a role in it that may write one table and make none."""
    database = with_dialect(request.getfixturevalue({"postgresql": "postgresql", "mysql": "mariadb"}[request.param]))
    table(database, [1, 2])
    user, password = "sesam_writer", "writer"
    if request.param == "postgresql":
        begin = [f"create role {user} login password '{password}'",
                 f"grant select, insert, update, delete on things to {user}"]
        grant, end = f"grant select, insert, update, delete on {{}} to {user}", [f"drop owned by {user}",
                                                                                f"drop role {user}"]
    else:
        begin = [f"create user {user}@'%' identified by '{password}'",
                 f"grant select, insert, update, delete on things to {user}@'%'",
                 f"grant create temporary tables on service_test.* to {user}@'%'"]
        grant, end = f"grant select, insert, update, delete on {{}} to {user}@'%'", [f"drop user {user}@'%'"]
    for statement in begin:
        database.sql(statement)
    yield database, {"username": user, "password": password}, grant
    for statement in end:
        database.sql(statement)


def test_role_that_may_not_make_tables_is_told_the_statement(limited, service, run):
    database, role, grant = limited
    running = service(sinks_of(database, system=role, things={"table": "things", "delete_guard": False}))
    assert counts(push(running, "things", [thing(2, "new")])) == (0, 1, 0, 0)
    sync = Sync(running, "things")
    problem = sync.first([thing(1)]).problem(500)
    told = problem["detail"] + problem.get("hint", "")
    assert "create table" in told.lower() or f"sesam-sql ddl {database.type}" in told
    for statement in without_comments(run("ddl", database.type).stdout).split(";"):
        if statement.strip():
            database.sql(statement)
    for name in state_tables(database):
        database.sql(grant.format(name))
    assert sync.first([thing(1)]).status == 200
    push(running, "things", [thing(8)])
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert ids(database) == [1, 8]


def test_state_stands_beside_its_table(postgresql, service):
    with_dialect(postgresql)
    for schema in ("one", "two"):
        postgresql.sql(f"create schema {schema}")
        postgresql.sql(f"create table {schema}.things (id integer primary key, v text)")
        postgresql.sql(f"insert into {schema}.things values (1, 'old'), (2, 'old')")
    sink = {"table": "things", "delete_guard": False}
    running = service(sinks_of(postgresql, one={**sink, "schema": "one"}, two={**sink, "schema": "two"}))
    one, two = Sync(running, "one", "same"), Sync(running, "two", "same")
    one.first([thing(1)])
    two.first([thing(2)])
    assert counts(one.last([])) == (0, 0, 0, 1)
    assert counts(two.last([])) == (0, 0, 0, 1)
    assert ids(postgresql, "one.things") == [1] and ids(postgresql, "two.things") == [2]
    found = postgresql.sql("select distinct schemaname from pg_tables where tablename like 'sesam_sql%' order by 1")
    assert found == [("one",), ("two",)]
    assert postgresql.sql("select count(*) from pg_class where relname like 'sesam_sql%' and relpersistence <> 'p'") \
        == [(0,)]


# ---- another process goes on with the chain


def test_chain_goes_on_after_a_restart(db, service):
    running = things(db, service, [1, 2])
    sync = Sync(running, "things")
    sync.first([thing(1)])
    running.stop()
    running.start()
    push(running, "things", [thing(8)])
    running.process.kill()
    running.process.wait()
    running.start()
    sync.next([thing(3)])
    running.stop()
    running.start()
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert ids(db) == [1, 3, 8]


def test_two_replicas_work_on_one_chain(db, service):
    table(db, [1, 2])
    config = sinks_of(db, things={"table": "things", "delete_guard": False})
    replicas = [service(config), service(config)]
    sync = Sync(replicas[0], "things")
    sync.first([thing(1)])
    sync.service = replicas[1]
    parameters = sync.parameters()
    answer = sync.next([thing(3), thing(4)])
    again = push(replicas[0], "things", [thing(3), thing(4)], **parameters)
    assert again.status == 200 and again.json() == answer.json()
    sync.next([thing(9)], previous_request_id="1").problem(409)
    push(replicas[0], "things", [thing(8)])
    sync.service = replicas[0]
    assert counts(sync.last([])) == (0, 0, 0, 1)
    assert ids(db) == [1, 3, 4, 8]


def test_requests_of_one_chain_on_two_replicas_at_once_are_one_after_the_other(db, service):
    """Both want to be the second; one of them is."""
    table(db, [1])
    config = sinks_of(db, things={"table": "things", "delete_guard": False})
    replicas = [service(config), service(config)]
    for round_ in range(5):
        sync = Sync(replicas[0], "things")
        sync.first([thing(1)])
        requests = [(replica, {**sync.parameters(), "request_id": f"by {number}"}, [thing(100 + number)])
                    for number, replica in enumerate(replicas)]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda r: push(r[0], "things", r[2], **r[1]), requests))
        assert sorted(answer.status for answer in answers) == [200, 409], round_
        winner = 0 if answers[0].status == 200 else 1
        assert sync.last([], previous_request_id=f"by {winner}").status == 200
        assert ids(db) == [1, 100 + winner]


def test_state_is_made_once_though_two_replicas_want_it_at_once(db, service):
    table(db, [1, 2])
    sinks = {name: {"table": "things", "delete_guard": False} for name in ("a", "b", "c", "d")}
    replicas = [service(sinks_of(db, **sinks)) for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: Sync(replicas[n % 2], "abcd"[n]).first([thing(1)]), range(4)))
    assert [answer.status for answer in answers] == [200] * 4
