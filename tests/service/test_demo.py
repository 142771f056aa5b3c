"""The demo data of the servers, and the configuration that docker-compose.yml runs with: on private servers, MariaDB
standing for MySQL, too."""

import base64
import json
import os
import secrets

import pytest

from clients import apply
from conftest import HERE
from pushing import JSON, Sync, accepted, body_of

TOP = os.path.join(HERE, "..", "..")
ROLE = "demo_sesam"


def text(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


class Guarded:
    """A service that wants to know who comes."""

    def __init__(self, running, password):
        self.running = running
        self.authorization = "Basic " + base64.b64encode(f"sesam:{password}".encode()).decode()

    def get(self, path, parameters=(), headers=None, **more):
        return self.running.get(path, parameters, headers={**(headers or {}), "Authorization": self.authorization}, **more)


@pytest.fixture
def places(tmp_path):
    """Where the secrets are."""
    for name in ("database-password", "service-password"):
        (tmp_path / name).write_text(secrets.token_hex(12) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def config(postgresql, mariadb_server, places):
    """The configuration of docker-compose.yml, its three databases filled as the images do."""
    config = json.loads(text("deploy", "compose", "config.json").replace("/run/secrets", str(places)))
    del config["listen"]["address"]
    apply(postgresql, text("sql", "postgresql", "demo.sql"))
    role = text("deploy", "compose", "postgresql.sql").replace("sesam", ROLE)
    apply(postgresql, role.replace("/run/secrets", str(places)))  # whose path may have the word in it, too
    here = {key: postgresql.system()[key] for key in ("host", "port", "database")}
    config["systems"]["postgresql"].update(here, username=ROLE)
    names = [f"demo_{name}" for name in ("mysql", "mariadb")]
    for name in names:
        shop = mariadb_server.create_database(name, "character set latin1")
        apply(shop, text("sql", "mysql", "demo.sql"))
        apply(shop, text("deploy", "compose", "mysql.sql"))
        config["systems"][name.removeprefix("demo_")].update(shop.system(type=None), sslmode="disabled")
    yield config
    for name in names:
        mariadb_server.drop_database(name)
    postgresql.sql(f"drop owned by {ROLE} cascade; drop role {ROLE}")


@pytest.fixture
def demo(config, service, places):
    return Guarded(service(config), (places / "service-password").read_text(encoding="utf-8").strip())


def test_all_is_well_with_the_demo_configuration(config, run):
    report = run("check", config=config)
    assert report.returncode == 0, report.stdout + report.stderr


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "mariadb"])
def test_demo_data_can_be_pulled_and_pushed(demo, kind):
    customers = {entity["_id"]: entity for entity in demo.get(f"/sources/{kind}-customers").entities()}
    assert list(customers) == [str(i) for i in range(1, 10)]
    assert [_id for _id, entity in customers.items() if entity.get("_deleted")] == ["9"]
    assert customers["6"]["name"] == "Þingvellir Travel ehf"
    assert customers["8"]["updated_at"] == "~t2024-06-30T23:59:59.999999Z"
    assert len(demo.get(f"/sources/{kind}-orders").entities()) == 10
    since = customers["9"]["_updated"]

    changes = [{"_id": "1", "version": 1, "credit": 60000}, {"_id": "2", "version": 1, "_deleted": True},
               {"_id": "10", "name": "Sjø & Land"}]
    answer = demo.get(f"/sinks/{kind}-customers", method="POST", body=body_of(changes), headers=JSON)
    told = accepted(answer)
    assert [told[count] for count in ("inserted", "updated", "unchanged", "deleted")] == [1, 1, 0, 1]
    changed = {entity["_id"]: entity for entity in demo.get(f"/sources/{kind}-customers", {"since": since}).entities()}
    assert changed.keys() == {"1", "2", "10"}
    assert changed["2"].get("_deleted") and [changed[i]["version"] for i in ("1", "2", "10")] == [2, 2, 1]

    sync = Sync(demo, f"{kind}-products")
    accepted(sync.first([{"_id": "B-1", "name": "Buoy, red", "price": 79.5}]))
    assert accepted(sync.last([{"_id": "D-1", "name": "Dinghy", "price": 6900}]))["deleted"] == 3
