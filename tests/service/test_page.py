"""The status page, looked at by a browser."""

import base64
import hashlib
import http.server
import json
import re
import threading

import pytest

import browser
import servers
from conftest import config_of, create, eventually
from pushing import Sync, push, with_dialect
from test_auth import TOKENS, USERS, basic, bearer

HOSTILE = "<img src=x onerror=\"window.owned='yes'\">"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    driver = browser.start(tmp_path_factory.mktemp("chromium"))
    browser.Page(driver).hurry()
    yield driver
    driver.quit()


@pytest.fixture
def page(chromium):
    """A tab that has seen nothing yet."""
    tab = browser.Page(chromium)
    tab.open("about:blank")
    tab.emulate()
    tab.headers()
    tab.logged("browser")
    tab.logged("performance")
    return tab


def root(running, who=""):
    return f"http://{who}127.0.0.1:{running.port}/"


@pytest.fixture
def people(sqlite):
    """A source and a sink of a table of two rows."""
    create(with_dialect(sqlite), "people", "id integer not null primary key, name text, version integer, changed datetime",
           [(1, "Kari", 1, "2024-01-01 00:00:00"), (2, "Ola", 1, "2024-01-02 00:00:00")])
    config = config_of(sqlite, people={"table": "people", "updated_column": "changed"}, all={"query": "select * from people",
                                                                                           "primary_key": "id"})
    config["sinks"] = {"people": {"system": "db", "table": "people", "optimistic_lock": {"column": "version"}}}
    return config


def shows(page, condition, seconds=60):
    """Waits until the page has figures of which a condition is true."""
    return eventually(lambda: page.mood()[1] == "" and condition(), seconds)


def number(text):
    return int(text.replace(",", ""))


# ---- what comes over HTTP ----------------------------------------------------------------------------------


def test_page_is_at_the_root_and_nowhere_else(people, service):
    running = service(people)
    answer = running.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    head = running.get("/", method="HEAD")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(answer.body)))
    for path in ("/page.js", "/index.html", "//", "/x", "/web/page.js", "/sources/", "/sinks/"):
        running.get(path).problem(404)
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        refused = running.get("/", method=method)
        refused.problem(405)
        assert refused.headers["Allow"] == "GET, HEAD"


def test_page_wants_the_same_credentials_as_the_rest(people, service):
    people["listen"] = {"authentication": USERS}
    running = service(people)
    assert b"<html" not in running.get("/").body
    assert running.get("/").headers["WWW-Authenticate"].startswith("Basic")
    assert b"<html" in running.get("/", headers=basic("sesam", "right:one")).body


def test_policy_names_the_page_s_own_style_and_script_and_no_others(people, service):
    answer = service(people).get("/")
    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    text = answer.body.decode()
    for directive, tag in (("style-src", "style"), ("script-src", "script")):
        found = re.findall(f"<{tag}[^>]*>(.*?)</{tag}>", text, re.DOTALL)
        assert len(found) == 1
        assert policy[directive] == f"'sha256-{base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()}'"
    assert re.findall("https?:[^' ]*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|\son\w+=|style=", text)


# ---- what it shows -----------------------------------------------------------------------------------------


def entity(_id, version=None):
    return {"_id": str(_id), "name": "x", **({} if version is None else {"version": version})}


@pytest.fixture
def busy(people, service):
    """A service that has been pulled from and pushed to, with a conflict, an error and an open full sync."""
    people["systems"]["gone"] = {"type": "postgresql", "host": "127.0.0.1", "port": servers.free_port(), "database": "d",
                                 "username": "u", "password": "p"}
    people["sources"]["gone"] = {"system": "gone", "table": "gone"}
    running = service(people)
    for _ in range(3):
        running.pull("people")
    running.pull("all")
    assert running.get("/sources/gone").status == 503
    assert push(running, "people", [entity(1, 1), entity(3)]).status == 200
    assert push(running, "people", [entity(2, 7)]).status == 412
    assert Sync(running, "people").first([entity(2, 1)]).status == 200
    return running


def test_page_shows_what_status_says(busy, page):
    page.open(root(busy))
    shows(page, lambda: page.rows("sources"))
    status = busy.get("/status").json()
    assert page.text("#version") == status["version"]
    assert [(row["name"], row["Where"]) for row in page.rows("systems")] == [
        ([system["name"], system["type"]], [system["where"]]) for system in status["systems"]]
    assert page.rows("systems")[0]["State"] == ["answers"]
    assert status["systems"][1]["error"]["text"] in page.rows("systems")[1]["State"][0]
    for row, source in zip(page.rows("sources"), status["sources"], strict=True):
        assert row["name"][0] == source["name"]
        assert source["reads"] in row["name"][1]
        assert [number(row[column][0]) for column in ("Polls", "Failed", "Rows")] == [
            source["pulls"], source["failures"], source["entities"]]
    assert [row["name"][1].split(", ")[1] for row in page.rows("sources")] == ["by changed", "in full", "in full"]
    sink, row = status["sinks"][0], page.rows("sinks")[0]
    assert row["name"] == ["people", "people in db"]
    assert [number(row[column][0]) for column in (
        "Pushes", "Failed", "Rows", "Inserted", "Updated", "Unchanged", "Deleted", "Conflicts")] == [
            sink[key] for key in ("pushes", "failures", "entities", "inserted", "updated", "unchanged", "deleted", "conflicts")]
    assert page.rows("syncs")[0]["Sequence"] == [sink["full_sync"]["sequence_id"]]
    assert [(row["_id"], row["Reason"], row["Expected"]) for row in page.rows("conflicts")] == [(["2"], ["version"], ["7"])]
    assert [(row["Level"], row["Subject"], row["Text"]) for row in page.rows("errors")] == [
        ([error["level"]], [error["subject"]], [error["text"]]) for error in status["errors"]]
    assert json.loads(page.run("return document.querySelector('#configuration pre').textContent")) == status["configuration"]


def test_headline_says_in_a_sentence_how_things_are(people, busy, service, page):
    page.open(root(busy))
    shows(page, lambda: page.mood()[0] == "bad")
    assert page.verdict().startswith("gone does not answer, and 1 more")
    del people["systems"]["gone"], people["sources"]["gone"]
    well = service(people)
    page.open(root(well))
    shows(page, lambda: page.mood()[0] == "good")
    assert page.verdict() == "1 system answers; 2 sources, no poll yet; 1 sink, no push yet"
    well.pull("people")
    page.ask()
    shows(page, lambda: re.fullmatch(r"1 system answers; 2 sources, last poll \d+ s ago; 1 sink, no push yet", page.verdict()))


def test_plot_has_the_rows_of_this_hour(people, service, page):
    running = service(people)
    for _ in range(3):
        running.pull("people")
    page.open(root(running))
    svg = "return document.querySelector('#sources svg').getAttribute('aria-label')"
    shows(page, lambda: "at most" in page.run(svg))
    bars = page.run("return document.querySelector('#sources path').getAttribute('d')").count("M")
    source = running.get("/status").json()["sources"][0]
    assert bars == sum(minute > 0 for minute in [*source["per_minute"], source["this_minute"]])
    assert page.run(svg.replace("#sources", "#sinks")) == "no rows in the last hour"


def test_page_follows_by_itself(people, service, page):
    running = service(people)
    page.open(root(running))
    shows(page, lambda: page.rows("sources")[0]["Polls"] == ["0"])
    running.pull("people")
    shows(page, lambda: page.rows("sources")[0]["Polls"] == ["1"])


def test_configuration_without_sources_is_shown_as_such(sqlite, service, page):
    page.open(root(service(config_of(sqlite))))
    shows(page, lambda: "no sources" in page.text("#sources"))


def asks_no_more(page):
    """Not within the time of some three looks."""
    asked = page.looks()
    page.wait(1000)
    return page.looks() == asked


# ---- when the service is away ------------------------------------------------------------------------------


def is_old(page, *words):
    """The page says that its figures are old, of when, and why."""
    mood, age = page.mood()
    told = page.verdict() + " " + page.freshness()
    return age == "old" and mood != "good" and re.search(r"old: they are of [\d-]+ [\d:]+ UTC", told) and all(
        word in told for word in words)


def test_page_says_that_the_service_is_away_and_recovers(people, service, page):
    running = service(people)
    page.open(root(running))
    shows(page, lambda: page.rows("sources"))
    running.stop()
    eventually(lambda: is_old(page, "does not answer", "Trying again"))
    assert page.rows("sources")[0]["name"][0] == "people"
    before = page.freshness()
    eventually(lambda: page.freshness() != before and is_old(page))
    assert before.split(", ")[0] == page.freshness().split(", ")[0]
    running._start()
    assert running._wait()
    shows(page, lambda: page.mood()[0] == "good" and page.freshness() == "")


def test_figures_grow_old_by_themselves(people, service, page):
    """As in a tab that was asleep: nothing has failed, but nobody knows how things are now."""
    page.open(root(service(people)))
    shows(page, lambda: page.rows("sources"))
    page.run("const now = Date.now; Date.now = () => now() + 60000; window.fetch = () => new Promise(() => {})")
    eventually(lambda: is_old(page, "Waiting for the service", "1 min ago"))


def test_wrong_credentials_are_told_and_not_tried_again(people, service, page):
    people["listen"] = {"authentication": TOKENS}
    page.headers(**bearer("first-token"))
    page.open(root(service(people)))
    shows(page, lambda: page.rows("sources"))
    page.headers(**bearer("no-token"))
    eventually(lambda: is_old(page, "401", "sign in"))
    assert asks_no_more(page)
    page.headers(**bearer("second-token"))
    page.ask()
    shows(page, lambda: page.rows("sources"))


def test_name_and_password_in_the_address_are_no_hindrance(people, service, page):
    people["listen"] = {"authentication": USERS}
    page.open(root(service(people), "sesam:right%3Aone@"))
    shows(page, lambda: page.rows("sources"))


class Between(http.server.ThreadingHTTPServer):
    """A proxy that has the service below a path, and can answer itself."""

    def __init__(self, running):
        super().__init__(("127.0.0.1", 0), Forward)
        self.running = running
        self.instead = None  # what /status is answered: a status and a body


class Forward(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.removeprefix("/crm/service")
        if path == self.path:
            status, body, headers = 404, b"", {}
        elif path == "/status" and self.server.instead:
            status, body, headers = self.server.instead
        else:
            answer = self.server.running.get(path)
            status, body, headers = answer.status, answer.body, dict(answer.headers)
        self.send_response(status)
        for name in ("Content-Type", "Content-Security-Policy", "Location"):
            if name in headers:
                self.send_header(name, headers[name])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def between(people, service):
    with Between(service(people)) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()


def without_a_number(running):
    status = running.get("/status").json()
    del status["sources"][1]["pulls"]
    return 200, json.dumps(status).encode(), {}


WRONG = [((200, b'{"version":"0', {}), "no JSON"),
         ((200, b"<html>", {}), "no JSON"),
         ((200, b"[]", {}), "not the status"),
         ((200, b"null", {}), "not the status"),
         (without_a_number, "not the status"),
         ((503, b'{"detail":"the service is shutting down"}', {}), "503: the service is shutting down"),
         ((404, b"<img src=x onerror=alert(1)>", {}), "The answer is 404"),
         ((302, b"", {"Location": "/elsewhere"}), "sends us elsewhere")]


def test_answers_that_are_no_status_are_told_apart_and_change_nothing(between, page):
    page.open(f"http://127.0.0.1:{between.server_port}/crm/service/")
    shows(page, lambda: page.rows("sources"))
    for instead, words in WRONG:
        between.instead = instead(between.running) if callable(instead) else instead
        page.ask()
        eventually(lambda said=words: is_old(page, said))
        assert page.rows("sources")[0]["name"][0] == "people"
        between.instead = None
        page.ask()
        shows(page, lambda: page.mood()[0] == "good")


def lags(status, *lags):
    for source, lag in zip(status["sources"], lags):
        source["horizon"] = {"lag": lag, "holder": "process 7"}


def settles(status):
    lags(status, 400)
    status["configuration"]["sources"]["people"]["late_commits"] = {"settle": 200}


def rests(status):
    long_ago = status["now"].replace(status["now"][:4], "2001")
    status["sinks"][0]["full_sync"] = {"sequence_id": "s", "requests": 1, "begun": long_ago, "last": long_ago}


def says(status, level, at):
    status["errors"] = [{"at": at or status["now"], "level": level, "subject": "x", "text": "y"}] * 2


HEADLINES = [(lambda s: s.update(draining=True), "bad", "the service is shutting down"),
             (lambda s: s["requests"].update(at_work=7, max=7), "warn", "as many requests as may be are at work"),
             (lambda s: s["buffered_bytes"].update(waiting=1), "warn", "1 body must wait for memory"),
             (lambda s: s["systems"][0]["pool"].update(waiting=2), "warn", "2 requests must wait for a connection to db"),
             (lambda s: lags(s, 299), "good", "1 system answers"),
             (lambda s: lags(s, 400), "warn", "people lags 6 min behind"),
             (lambda s: lags(s, None), "warn", "nothing of people is final yet"),
             (lambda s: lags(s, None, 400), "warn", "2 sources lag behind"),
             (settles, "good", "1 system answers"),
             (rests, "warn", "a full sync of people is open, and nothing comes"),
             (lambda s: says(s, "error", None), "warn", "2 errors in the last 5 min"),
             (lambda s: says(s, "warning", None), "warn", "2 warnings in the last 5 min"),
             (lambda s: says(s, "error", "2001-01-01T00:00:00Z"), "good", "1 system answers")]


def test_headline_names_what_is_wrong(between, page):
    page.open(f"http://127.0.0.1:{between.server_port}/crm/service/")
    shows(page, lambda: page.rows("sources"))
    for change, mood, words in HEADLINES:
        status = between.running.get("/status").json()
        change(status)
        between.instead = 200, json.dumps(status).encode(), {}
        page.ask()
        shows(page, lambda said=words: page.verdict().startswith(said))
        assert page.mood()[0] == mood, words


# ---- who may do what to it ---------------------------------------------------------------------------------


def test_names_and_texts_of_others_stay_texts(sqlite, service, page):
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    create(with_dialect(sqlite), quoted, "id text not null primary key, name text, version integer", [(HOSTILE, "", 1)])
    config = {"systems": {HOSTILE: sqlite.system()},
              "sources": {HOSTILE: {"system": HOSTILE, "table": HOSTILE},
                          "<!--<script>window.owned='yes'": {"system": HOSTILE, "table": f"no {HOSTILE}"}},
              "sinks": {"sink": {"system": HOSTILE, "table": HOSTILE, "optimistic_lock": {"column": "version"}}}}
    running = service(config)
    for source in running.get("/sources").json():
        running.get("/sources/" + "".join(f"%{byte:02x}" for byte in source["name"].encode()))
    assert push(running, "sink", [{"_id": HOSTILE, "name": HOSTILE, "version": 7}]).status == 412
    page.open(root(running))
    shows(page, lambda: page.rows("conflicts"))
    assert page.rows("systems")[0]["name"][0] == HOSTILE
    assert [row["name"][0] for row in page.rows("sources")] == list(config["sources"])
    assert page.rows("conflicts")[0]["_id"] == [HOSTILE]
    assert any(HOSTILE in row["Text"][0] for row in page.rows("errors"))
    assert page.run("return [window.owned, document.images.length, document.scripts.length]") == [None, 0, 1]
    assert page.logged("browser") == []


def test_html_would_not_be_taken_even_if_it_were_put_in(people, service, page):
    page.open(root(service(people)))
    with pytest.raises(Exception, match="TrustedHTML"):
        page.run("document.getElementById('figures').innerHTML = arguments[0]", HOSTILE)


def test_nothing_is_asked_of_anybody_else_and_the_console_is_empty(people, service, page):
    running = service(people)
    page.open(root(running))
    shows(page, lambda: page.looks() >= 2)
    events = [json.loads(entry["message"])["message"] for entry in page.logged("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    assert asked - {"data:,"} == {root(running), root(running) + "status"}
    assert page.logged("browser") == []


# ---- who can use it ----------------------------------------------------------------------------------------


def test_hidden_tab_asks_nothing_and_asks_at_once_when_it_is_seen(people, service, page):
    page.open(root(service(people)))
    shows(page, lambda: page.rows("sources"))
    hide = ("Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange'))")
    page.run(hide, True)
    eventually(lambda: asks_no_more(page))
    asked = page.looks()
    page.run(hide, False)
    eventually(lambda: page.looks() > asked)
    shows(page, lambda: page.rows("sources"))


def test_keyboard_reaches_all_and_nothing_that_was_opened_closes(people, service, page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys
    running = service(people)
    page.open(root(running))
    shows(page, lambda: page.rows("sources"))
    keys = lambda *them: ActionChains(page.driver).send_keys(*them).perform()
    focused = lambda: page.run("return document.activeElement.innerText")
    keys(Keys.TAB)
    assert focused() == "Pause"
    reached = []
    while focused() != "/status" and len(reached) < 30:
        keys(Keys.TAB)
        reached.append(focused())
        if reached[-1:] == ["Configuration"] and page.run("return document.activeElement.nodeName") == "SUMMARY":
            keys(Keys.ENTER)
    assert reached == ["Systems", "Sources", "Sinks", "Open full syncs", "Last conflicts", "Last errors", "Configuration",
                       "Configuration", "/status"]
    running.pull("people")
    page.ask()
    shows(page, lambda: page.rows("sources")[0]["Polls"] == ["1"])
    assert page.run("return document.querySelector('#configuration details').open")
    assert focused() == "/status"


def test_paused_page_says_so_and_goes_on_when_asked(people, service, page):
    page.open(root(service(people)))
    shows(page, lambda: page.rows("sources"))
    page.press()
    assert is_old(page, "Paused")
    page.press()
    shows(page, lambda: page.mood()[0] == "good")


def long_names(sqlite):
    name = "a_name_that_somebody_has_made_of_all_the_words_there_are_" * 2
    create(with_dialect(sqlite), name, "id integer not null primary key", [(i,) for i in range(3)])
    config = {"systems": {name: sqlite.system()},
              "sources": {f"{name}{i}": {"system": name, "table": name} for i in range(30)},
              "sinks": {f"{name}{i}": {"system": name, "table": name} for i in range(3)}}
    config["sources"]["gone"] = {"system": name, "table": f"no_{name}"}
    return config


def test_phone_shows_all_without_sideways_scrolling(sqlite, service, page):
    running = service(long_names(sqlite))
    running.get("/sources/gone")
    page.emulate(width=360)
    page.open(root(running))
    shows(page, lambda: len(page.rows("sources")) == 31)
    wide = """return [...document.querySelectorAll('html, body, section')].filter(e => e.scrollWidth > e.clientWidth)
        .map(e => e.id || e.nodeName)"""
    assert page.run(wide) == []
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert roles.count("table") == 4
    assert roles.count("rowheader") == 1 + 31 + 3 + len(page.rows("errors"))
    assert roles.count("columnheader") > 20


def test_tables_have_captions_and_sections_have_names(busy, page):
    page.open(root(busy))
    shows(page, lambda: page.rows("conflicts"))
    assert page.run("return [...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent)")
    assert page.run("return [...document.querySelectorAll('section[aria-labelledby]')].every("
                    "s => document.getElementById(s.getAttribute('aria-labelledby')).nodeName === 'H2')")
    assert page.run("return [...document.querySelectorAll('thead th')].every(t => t.scope === 'col')")
    assert page.text("#said").startswith("gone does not answer")


# The contrast of every text with the ground below it (WCAG 2, 1.4.3).
CONTRAST = r"""
const light = color => {
    const [r, g, b] = color.match(/[\d.]+/g).map(Number).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
};
const ground = e => {
    const color = getComputedStyle(e).backgroundColor;
    return color === 'rgba(0, 0, 0, 0)' && e.parentElement ? ground(e.parentElement) : color;
};
return [...document.querySelectorAll('body *')].filter(e => e.offsetParent && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => [light(getComputedStyle(e).color), light(ground(e)), e.textContent.slice(0, 30)])
    .map(([a, b, text]) => [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), text]).filter(([ratio]) => !(ratio >= 4.5));
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_told_from_their_ground(busy, page, scheme):
    page.emulate(scheme=scheme)
    page.open(root(busy))
    shows(page, lambda: page.rows("conflicts"))
    assert page.run(CONTRAST) == []
    page.press()
    assert is_old(page, "Paused")
    assert page.run(CONTRAST) == []
