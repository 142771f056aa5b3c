"""What a source answers, the same for every database."""

import json

import pytest

from conftest import DIALECTS, config_of, create, insert, numbered

T = "2024-05-01 10:00:0"

PEOPLE = [(1, "Kari", "NO", T + "2"), (2, "Ola", "NO", T + "1.000001"), (3, "Sven", "SE", T + "1"),
          (4, None, "NO", T + "2"), (5, "Aino", "FI", T + "0")]


def people(db, rows=None):
    create(db, "people", "id integer not null primary key, name {text}, country {key_text}, updated {datetime}",
           PEOPLE if rows is None else rows)
    return {"table": "people", "updated_column": "updated"}


def ids(entities):
    return [entity["_id"] for entity in entities]


def tokens(entities):
    return [entity["_updated"] for entity in entities]


# ---- full reads


def test_full_read_gives_every_row_in_order_of_updated_and_key(db, service):
    entities = service(config_of(db, people=people(db))).pull("people")
    assert ids(entities) == ["5", "3", "2", "1", "4"]


def test_entity_has_id_updated_and_the_columns(db, service):
    entity = service(config_of(db, people=people(db))).pull("people")[3]
    token = entity.pop("_updated")
    assert isinstance(token, str) and token
    updated = entity.pop("updated")
    assert entity == {"_id": "1", "id": 1, "name": "Kari", "country": "NO"}
    assert updated.startswith(("~t2024-05-01T10:00:02", "2024-05-01 10:00:02"))


def test_source_without_updated_column_comes_in_key_order_without_updated(db, service):
    people(db)
    entities = service(config_of(db, people={"table": "people"})).pull("people")
    assert ids(entities) == ["1", "2", "3", "4", "5"]
    assert all("_updated" not in entity for entity in entities)


def test_empty_table_is_an_empty_array(db, service):
    answer = service(config_of(db, people=people(db, []))).get("/sources/people")
    assert answer.entities() == []
    assert answer.body.strip() == b"[]"


def test_query_is_a_source_with_since_and_limit(db, service):
    people(db)
    source = {"query": "select id, updated, name as title from people where country = 'NO'", "primary_key": "id",
              "updated_column": "updated"}
    running = service(config_of(db, norwegians=source))
    entities = running.pull("norwegians")
    assert ids(entities) == ["2", "1", "4"]
    assert entities[0]["title"] == "Ola"
    assert ids(running.pull("norwegians", since=entities[0]["_updated"])) == ["1", "4"]
    assert ids(running.pull("norwegians", limit=2)) == ["2", "1"]


def test_query_may_be_a_list_of_lines(db, service):
    people(db)
    source = {"query": ["select id -- the key", "from people", "where id < 3"], "primary_key": ["id"]}
    assert ids(service(config_of(db, few=source)).pull("few")) == ["1", "2"]


def test_query_may_end_like_a_statement(db, service):
    people(db)
    ended = {"query": "select * from people; \n", "updated_query": "select * from people where updated >= :since;",
             "primary_key": "id", "updated_column": "updated"}
    running = service(config_of(db, people=ended))
    assert ids(running.pull("people")) == ["5", "3", "2", "1", "4"]
    assert ids(running.pull("people", since="2024-05-01T10:00:02Z")) == ["1", "4"]


def test_thousands_of_rows_come_once_each(db, service):
    numbered(db, "many", 30000)
    source = {"table": "many", "updated_column": "updated"}
    entities = service(config_of(db, many=source)).pull("many")
    assert [entity["id"] for entity in entities] == list(range(30000))


def test_view_is_read_with_a_configured_key(db, service):
    people(db)
    db.sql("create view norwegians as select id, name from people where country = 'NO'")
    source = {"table": "norwegians", "primary_key": "id"}
    assert ids(service(config_of(db, norwegians=source)).pull("norwegians")) == ["1", "2", "4"]


# ---- going on


def test_every_token_is_a_place_to_resume_from(db, service):
    running = service(config_of(db, people=people(db)))
    entities = running.pull("people")
    for place, token in enumerate(tokens(entities)):
        assert ids(running.pull("people", since=token)) == ids(entities)[place + 1:]


def test_tokens_rise_bytewise(db, service):
    create(db, "numbers", "id bigint not null primary key, updated {datetime}",
           [(n, T + "1") for n in (-100, -9, 0, 7, 10, 9007199254740993)])
    entities = service(config_of(db, numbers={"table": "numbers", "updated_column": "updated"})).pull("numbers")
    assert ids(entities) == ["-100", "-9", "0", "7", "10", "9007199254740993"]
    given = [token.encode() for token in tokens(entities)]
    assert given == sorted(given) and len(set(given)) == len(given)


def test_only_what_changed_comes_after_the_last_token(db, service):
    running = service(config_of(db, people=people(db)))
    last = running.pull("people")[-1]["_updated"]
    assert running.pull("people", since=last) == []
    insert(db, "people", [(6, "Ny", "NO", T + "3")])
    db.sql(f"update people set name = 'Kari Ann', updated = '{T}4' where id = 1")
    changed = running.pull("people", since=last)
    assert [(entity["_id"], entity["name"]) for entity in changed] == [("6", "Ny"), ("1", "Kari Ann")]
    assert running.pull("people", since=changed[-1]["_updated"]) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7])
def test_pages_of_any_size_make_the_whole_stream(db, service, limit):
    running = service(config_of(db, people=people(db, PEOPLE + [(6, "x", "NO", None), (7, "y", "NO", None)])))
    whole = running.pull("people")
    assert ids(whole) == ["6", "7", "5", "3", "2", "1", "4"]
    met, since = [], None
    while True:
        page = running.pull("people", since=since, limit=limit)
        assert len(page) <= limit
        if not page:
            break
        met += page
        since = page[-1]["_updated"]
    assert met == whole


@pytest.mark.parametrize("limit", [2**63 - 2, 2**63 - 1, 2**64 - 2])
def test_limit_beyond_what_a_database_counts_is_none(db, service, limit):
    assert len(service(config_of(db, people=people(db))).pull("people", limit=limit)) == 5


def test_limit_zero_is_an_empty_array(db, service):
    assert service(config_of(db, people=people(db))).pull("people", limit=0) == []


def test_rows_without_updated_value_come_first_and_never_after_a_value(db, service):
    running = service(config_of(db, people=people(db, PEOPLE + [(9, "x", "NO", None), (8, "y", "NO", None)])))
    entities = running.pull("people")
    assert ids(entities) == ["8", "9", "5", "3", "2", "1", "4"]
    assert ids(running.pull("people", since=entities[0]["_updated"])) == ids(entities)[1:]
    assert ids(running.pull("people", since=entities[1]["_updated"])) == ids(entities)[2:]
    assert ids(running.pull("people", since="1970-01-01")) == ids(entities)[2:]


@pytest.mark.parametrize("since", [
    "2024-05-01T10:00:01Z", "~t2024-05-01T10:00:01Z", "2024-05-01T10:00:01.000000Z", "2024-05-01T12:00:01+02:00",
    "~t2024-05-01T10:00:01.000000000Z"])
def test_since_takes_a_datetime_as_at_or_after(db, service, since):
    assert ids(service(config_of(db, people=people(db))).pull("people", since=since)) == ["3", "2", "1", "4"]


def test_since_takes_a_date_as_its_midnight(db, service):
    running = service(config_of(db, people=people(db)))
    assert len(running.pull("people", since="2024-05-01")) == 5
    assert running.pull("people", since="~t2024-05-02") == []


def test_since_takes_an_integer_on_an_integer_column(db, service):
    create(db, "versions", "id integer not null primary key, version bigint",
           [(1, 10), (2, 9), (3, 10), (4, -1)])
    source = {"table": "versions", "updated_column": "version", "late_commits": "ignore"}
    running = service(config_of(db, versions=source))
    assert ids(running.pull("versions")) == ["4", "2", "1", "3"]
    assert ids(running.pull("versions", since=10)) == ["1", "3"]
    assert ids(running.pull("versions", since=-1)) == ["4", "2", "1", "3"]


def test_plain_tokens_are_bare_and_include_the_last_ties(db, service):
    source = {**people(db), "token": "plain"}
    running = service(config_of(db, people=source))
    entities = running.pull("people")
    assert ids(entities) == ["5", "3", "2", "1", "4"]
    last = entities[-1]["_updated"]
    assert last.startswith("~t2024-05-01T10:00:02") and last.endswith("Z")
    assert ids(running.pull("people", since=last)) == ["1", "4"]
    running.get("/sources/people", {"limit": 2}).problem(400)


def test_plain_token_of_an_integer_column_is_an_integer(db, service):
    create(db, "versions", "id integer not null primary key, version bigint", [(1, 10), (2, 9), (3, 10)])
    source = {"table": "versions", "updated_column": "version", "late_commits": "ignore", "token": "plain"}
    running = service(config_of(db, versions=source))
    assert tokens(running.pull("versions")) == [9, 10, 10]
    assert ids(running.pull("versions", since=10)) == ["1", "3"]


def test_unordered_full_read_loses_nothing_wherever_it_is_cut(db, service):
    running = service(config_of(db, people={**people(db), "is_chronological_full": False}))
    entities = running.pull("people")
    assert sorted(ids(entities)) == ["1", "2", "3", "4", "5"]
    for place, token in enumerate(tokens(entities)):
        assert set(ids(entities)[:place + 1]) | set(ids(running.pull("people", since=token))) == set(ids(entities))


def test_unordered_full_read_goes_on_at_its_last_token(db, service):
    running = service(config_of(db, people={**people(db), "is_chronological_full": False}))
    last = running.pull("people")[-1]["_updated"]
    # Keys order as the database says, so the last token may stand before its ties; no further back.
    assert set(ids(running.pull("people", since=last))) <= {"1", "4"}
    insert(db, "people", [(6, "Ny", "NO", T + "3")])
    assert ids(running.pull("people", since=last))[-1] == "6"


def test_unordered_full_read_gives_the_lowest_token_to_all_but_the_last(postgresql, mariadb, service):
    """Not so where no client can compare values; there it is read in order."""
    for database in (postgresql, mariadb):
        database.dialect = DIALECTS[database.type]
        running = service(config_of(database, people={**people(database), "is_chronological_full": False}))
        entities = running.pull("people")
        assert len(set(tokens(entities)[:-1])) == 1
        assert len(running.pull("people", since=entities[0]["_updated"])) == 5


def test_updated_query_gets_since_as_its_lower_bound(db, service):
    people(db)
    source = {"query": "select id, name, updated from people", "primary_key": "id", "updated_column": "updated",
              "updated_query": "select id, name, updated from people where updated >= :since and country = 'NO'"}
    running = service(config_of(db, people=source))
    entities = running.pull("people")
    assert ids(entities) == ["5", "3", "2", "1", "4"]
    assert ids(running.pull("people", since=entities[0]["_updated"])) == ["2", "1", "4"]
    assert ids(running.pull("people", since=entities[3]["_updated"])) == ["4"]
    assert ids(running.pull("people", since=entities[0]["_updated"], limit=1)) == ["2"]


# ---- keys


def test_parts_of_a_compound_key_are_joined_and_escaped(db, service):
    create(db, "order_lines", "b {key_text} not null, a integer not null, primary key (b, a)",
           [("x", 2), ("a:b", 1), ("50%", 1), ("", 7), ("x", 1), ("%3A:", 3)])
    entities = service(config_of(db, rows={"table": "order_lines"})).pull("rows")
    assert ids(entities) == [":7", "%253A%3A:3", "50%25:1", "a%3Ab:1", "x:1", "x:2"]


def test_single_key_is_verbatim(db, service):
    keys = ["50%", "a:b", "~t2024", "\u00e6 \u20ac \U0001f600", 'quote"back\\slash', "", "line\nend"]
    create(db, "labels", "k {key_text} not null primary key, updated {datetime}", [(key, T + "1") for key in keys])
    running = service(config_of(db, labels={"table": "labels", "updated_column": "updated"}))
    entities = running.pull("labels")
    assert sorted(ids(entities)) == sorted(keys)
    for place, token in enumerate(tokens(entities)):
        assert ids(running.pull("labels", since=token)) == ids(entities)[place + 1:]


def test_table_without_key_is_refused_with_a_hint(db, service):
    create(db, "keyless", "a integer")
    problem = service(config_of(db, keyless={"table": "keyless"})).get("/sources/keyless").problem(500)
    assert "primary_key" in problem["hint"]


def test_missing_part_of_a_key_fails_the_read(db, service):
    create(db, "holes", "a integer, b integer", [(1, 1), (None, 2)])
    answer = service(config_of(db, holes={"table": "holes", "primary_key": "a"})).get("/sources/holes")
    assert "a" in answer.problem(500)["detail"]


# ---- properties


def test_blacklist_wins_over_whitelist(db, service):
    people(db)
    running = service(config_of(
        db, white={"table": "people", "whitelist": ["id", "name"]}, black={"table": "people", "blacklist": ["updated"]},
        both={"table": "people", "whitelist": ["name", "country"], "blacklist": ["name"]}))
    assert running.pull("white")[0] == {"_id": "1", "id": 1, "name": "Kari"}
    assert running.pull("black")[0] == {"_id": "1", "id": 1, "name": "Kari", "country": "NO"}
    assert running.pull("both")[0] == {"_id": "1", "country": "NO"}


def test_columns_are_renamed(db, service):
    people(db)
    source = {"table": "people", "properties": {"name": "full:name", "id": "number"}, "blacklist": ["updated"]}
    entity = service(config_of(db, people=source)).pull("people")[0]
    assert entity == {"_id": "1", "number": 1, "full:name": "Kari", "country": "NO"}


def test_null_is_left_out_unless_preserved(db, service):
    people(db)
    running = service(config_of(db, without={"table": "people", "blacklist": ["updated"]},
                                preserved={"table": "people", "blacklist": ["updated"],
                                           "preserve_null_values": True}))
    assert running.pull("without")[3] == {"_id": "4", "id": 4, "country": "NO"}
    assert running.pull("preserved")[3] == {"_id": "4", "id": 4, "name": None, "country": "NO"}


def test_reserved_column_names_must_be_renamed(db, service):
    create(db, "reserved", "id integer not null primary key, _deleted integer", [(1, 2)])
    running = service(config_of(db, refused={"table": "reserved"},
                                renamed={"table": "reserved", "properties": {"_deleted": "gone"}},
                                left_out={"table": "reserved", "blacklist": ["_deleted"]}))
    problem = running.get("/sources/refused").problem(500)
    assert "_deleted" in problem["detail"] + problem.get("hint", "")
    assert running.pull("renamed") == [{"_id": "1", "id": 1, "gone": 2}]
    assert running.pull("left_out") == [{"_id": "1", "id": 1}]


def test_text_that_begins_with_a_tilde_gets_another(db, service):
    create(db, "tildes", "id integer not null primary key, name {text}",
           [(1, "~t2024-01-01"), (2, "~~"), (3, "a~b"), (4, "~")])
    entities = service(config_of(db, tildes={"table": "tildes"})).pull("tildes")
    assert [entity["name"] for entity in entities] == ["~~t2024-01-01", "~~~", "a~b", "~~"]


def test_text_survives_as_json(db, service):
    texts = ["\u00e6\u00f8\u00e5 \u20ac \U0001f600", '"\\/\b\f\n\r\t', "\x01\x1f\x7f", "\u2028\u2029", " ", "",
             "x" * 100000]
    create(db, "texts", "id integer not null primary key, name {text}", list(enumerate(texts)))
    entities = service(config_of(db, texts={"table": "texts"})).pull("texts")
    assert [entity["name"] for entity in entities] == texts


def test_soft_deleted_rows_come_as_deletions_with_their_columns(db, service):
    create(db, "marked", "id integer not null primary key, status {key_text}, gone {datetime}",
           [(1, "live", None), (2, "dead", T + "1"), (3, "old", None), (4, None, T + "2")])
    running = service(config_of(
        db, value={"table": "marked", "deleted": {"column": "status", "value": "dead"}},
        values={"table": "marked", "deleted": {"column": "status", "value": ["dead", "old"]}},
        present={"table": "marked", "deleted": {"column": "gone"}}))
    for name, deleted in (("value", ["2"]), ("values", ["2", "3"]), ("present", ["2", "4"])):
        entities = running.pull(name)
        assert ids(entities) == ["1", "2", "3", "4"]
        assert [entity["_id"] for entity in entities if entity.get("_deleted")] == deleted
        assert all(entity["_deleted"] is True for entity in entities if "_deleted" in entity)
        assert entities[1]["status"] == "dead"


# ---- parameters, subsets, methods


def test_parameters_are_bound_and_have_defaults(db, service):
    people(db)
    source = {"query": "select id, country from people where country = :country and id >= :lowest",
              "primary_key": "id", "parameters": {"country": {"type": "string", "default": "NO"},
                                                  "lowest": {"type": "integer", "default": 0}}}
    running = service(config_of(db, people=source))
    assert ids(running.pull("people")) == ["1", "2", "4"]
    assert ids(running.pull("people", country="SE")) == ["3"]
    assert ids(running.pull("people", lowest=2)) == ["2", "4"]
    assert running.pull("people", country="NO' or '1'='1") == []
    assert running.pull("people", country="\\' or 1=1 -- ") == []
    assert len(db.sql("select * from people")) == 5


def test_required_parameter_must_be_given(db, service):
    people(db)
    source = {"query": "select id from people where country = :country", "primary_key": "id",
              "parameters": {"country": {"type": "string", "required": True}}}
    running = service(config_of(db, people=source))
    assert "country" in running.get("/sources/people").problem(400)["detail"]
    assert ids(running.pull("people", country="FI")) == ["5"]


@pytest.mark.parametrize("kind, good, bad", [
    ("integer", "12", "12x"), ("decimal", "1.50", "1,5"), ("boolean", "true", "yes please"),
    ("datetime", "2024-05-01T10:00:00Z", "yesterday"), ("date", "2024-05-01", "2024-13-01")])
def test_parameters_are_checked_against_their_type(db, service, kind, good, bad):
    people(db)
    source = {"query": "select id from people where :p is not null", "primary_key": "id",
              "parameters": {"p": {"type": kind, "required": True}}}
    running = service(config_of(db, people=source))
    assert len(running.pull("people", p=good)) == 5
    assert "p" in running.get("/sources/people", {"p": bad}).problem(400)["detail"]


def test_datetime_parameter_compares_with_a_datetime_column(db, service):
    people(db)
    source = {"query": "select id from people where updated >= :p", "primary_key": "id",
              "parameters": {"p": {"type": "datetime", "required": True}}}
    running = service(config_of(db, people=source))
    for text in ("2024-05-01T10:00:02Z", "2024-05-01T12:00:02+02:00", "2024-05-01T10:00:02"):
        assert ids(running.pull("people", p=text)) == ["1", "4"]


def test_subset_is_an_equality_on_a_column(db, service):
    running = service(config_of(db, people=people(db)))
    subset = json.dumps(["eq", "_S.country", "NO"])
    entities = running.pull("people", subset=subset)
    assert ids(entities) == ["2", "1", "4"]
    assert ids(running.pull("people", subset=subset, since=entities[0]["_updated"])) == ["1", "4"]
    assert ids(running.pull("people", subset=subset, limit=2)) == ["2", "1"]
    assert ids(running.pull("people", subset=json.dumps(["eq", "_S.id", 3]))) == ["3"]
    assert running.pull("people", subset=json.dumps(["eq", "_S.name", "' or '1'='1"])) == []


def test_head_answers_as_get_without_body(db, service):
    running = service(config_of(db, people=people(db)))
    head = running.get("/sources/people", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers.get_content_type() == "application/json"
    assert running.get("/sources/nobody", method="HEAD").status == 404
    assert running.get("/sources/people", {"since": "nonsense"}, method="HEAD").status == 400


def test_many_requests_come_on_one_connection(db, service):
    running = service(config_of(db, people=people(db)))
    connection = running.connect()
    for path in ("/sources/people", "/sources/nobody", "/sources/people?limit=1", "/health"):
        connection.request("GET", path)
        response = connection.getresponse()
        assert json.loads(response.read()) is not None
    connection.close()


# ---- the catalogue


def test_column_added_while_running_is_in_the_next_full_read(db, service):
    people(db)
    running = service(config_of(db, people={"table": "people"}))
    assert "phone" not in running.pull("people")[0]
    db.sql("alter table people add column phone varchar(20)")
    db.sql("update people set phone = '112'")
    assert running.pull("people")[0]["phone"] == "112"


def test_column_dropped_while_running_is_no_error(db, service):
    people(db)
    running = service(config_of(db, people={"table": "people", "updated_column": "updated"}))
    since = running.pull("people")[0]["_updated"]
    db.sql("alter table people drop column country")
    assert ids(running.pull("people", since=since)) == ["3", "2", "1", "4"]
    assert "country" not in running.pull("people")[0]


def test_table_may_come_after_the_start(db, service):
    running = service(config_of(db, people={"table": "people"}))
    running.get("/sources/people").problem(500)
    people(db)
    assert len(running.pull("people")) == 5


def test_sources_are_listed(db, service):
    running = service(config_of(db, people=people(db), others={"table": "people"}))
    assert "people" in json.dumps(running.get("/sources").json())
    assert running.get("/health").status == 200
    assert running.get("/ready").status == 200


@pytest.mark.parametrize("token", ["keyset", "plain"])
def test_integer_below_all_numbers_of_a_type_without_sign_begins_with_the_first(postgresql, mariadb, service, token):
    kinds = {"xid8": (postgresql, "'5', '700'"), "oid": (postgresql, "5, 4294967295"),
             "bigint unsigned": (mariadb, "5, 18446744073709551615")}
    for kind, (database, numbers) in kinds.items():
        name = kind.replace(" ", "_")
        first, last = numbers.split(", ")
        database.sql(f"create table t_{name} (id integer not null primary key, n {kind})")
        database.sql(f"insert into t_{name} values (1, {first}), (2, {last})")
        # What a pipe's partial_rescan_delta leaves of a low number is below zero.
        source = {"table": f"t_{name}", "updated_column": "n", "token": token}
        if kind != "xid8":
            source["late_commits"] = "ignore"
        running = service(config_of(database, rows=source))
        for since in ("-1", "-300", str(-2 ** 63)):
            assert [row["_id"] for row in running.pull("rows", since=since)] == ["1", "2"], (kind, since)


@pytest.mark.parametrize("kind, held, values", [("char(5)", "D", ["D"]), ("{decimal}", 1.5, [1.5, "1.50"]),
                                                ("boolean", True, [True, 1])])
def test_value_of_a_deletion_is_compared_as_the_database_does(db, service, kind, held, values):
    create(db, "people", f"id integer not null primary key, gone {kind}", [(1, held), (2, None)])
    for value in values:
        running = service(config_of(db, people={"table": "people", "deleted": {"column": "gone", "value": value}}))
        assert [entity.get("_deleted") for entity in running.pull("people")] == [True, None], value
