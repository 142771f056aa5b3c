"""TLS between the service and its databases: what each sslmode takes, and what a refusal tells."""

import pytest

import certificates
import servers
from conftest import config_of

# Another name of this machine that does not look like it. "localhost" and it are in the certificate, 127.0.0.1 is not.
ELSEWHERE = "0.0.0.0"

# PostgreSQL's and MySQL's names of the same things.
MODES = {"postgresql": {"off": "disable", "required": "require"}, "mysql": {"off": "disabled"}}

# Tells whether the connection that reads is encrypted.
ENCRYPTED = {"postgresql": "select 1 as id, ssl as encrypted from pg_stat_ssl where pid = pg_backend_pid()",
             "mysql": "select 1 as id, variable_value <> '' as encrypted from information_schema.session_status"
                      " where variable_name = 'Ssl_version'"}


class World:
    def __init__(self, folder):
        self.authority = certificates.Authority(folder)
        self.stranger = certificates.Authority(folder, "stranger")
        self.clients = certificates.Authority(folder, "clients")
        self.files = (*self.authority.issue("server", ["localhost", ELSEWHERE]), self.clients.certificate)
        self.own = self.clients.issue("ours")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure_postgresql(world):
    with servers.PostgreSQL(certificate=world.files) as server:
        yield server


@pytest.fixture(scope="module")
def secure_mariadb(world):
    with servers.MariaDB(certificate=world.files) as server:
        yield server


@pytest.fixture(params=["postgresql", "mysql"])
def secure(request):
    """A server of each kind that speaks TLS, and plain text to who wants it."""
    return request.getfixturevalue({"postgresql": "secure_postgresql", "mysql": "secure_mariadb"}[request.param])


@pytest.fixture(params=["postgresql", "mysql"])
def plain(request):
    """A server of each kind that does not."""
    return request.getfixturevalue({"postgresql": "postgresql_server", "mysql": "mariadb_server"}[request.param])


@pytest.fixture
def pull(run, world):
    """pull(server, ...) reads whether the connection is encrypted. Returns that, or the error."""

    def read(server, host="localhost", mode=None, authority=None, query=ENCRYPTED, **more):
        mode = MODES[server.type].get(mode, mode)
        config = config_of(server, encrypted={"query": query[server.type], "primary_key": "id"})
        config["systems"]["db"] = server.system(host=host, sslmode=mode, sslrootcert=authority, pool_timeout=5, **more)
        done = run("pull", "encrypted", config=config)
        assert done.returncode in (0, 1)
        if done.returncode == 0:
            return "true" in done.stdout or '"encrypted":1' in done.stdout.replace(" ", "")
        assert done.stdout.strip() in ("", "[")
        assert server.system()["password"] not in done.stderr
        return done.stderr

    return read


@pytest.mark.parametrize("host", ["localhost", ELSEWHERE])
@pytest.mark.parametrize("mode", ["required", "verify-ca", "verify-full"])
def test_right_authority_and_name_are_taken(pull, secure, world, host, mode):
    assert pull(secure, host, mode, world.authority.certificate) is True


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_wrong_authority_is_refused(pull, secure, world, mode):
    error = pull(secure, "localhost", mode, world.stranger.certificate)
    assert "sslrootcert" in error and "sslmode" in error, error


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_systems_bundle_does_not_know_our_authority(pull, secure, mode):
    error = pull(secure, "localhost", mode)
    assert "sslrootcert" in error and "sslmode" in error, error


def test_wrong_name_is_refused(pull, secure, world):
    error = pull(secure, "127.0.0.1", "verify-full", world.authority.certificate)
    assert "sslmode" in error and "sslrootcert" in error, error
    assert "host" in error, error


def test_verify_ca_does_not_look_at_the_name(pull, secure, world):
    assert pull(secure, "127.0.0.1", "verify-ca", world.authority.certificate) is True


def test_required_takes_anybody_who_encrypts(pull, secure):
    assert pull(secure, "127.0.0.1", "required") is True


def test_off_is_off(pull, secure):
    assert pull(secure, ELSEWHERE, "off") is False


def test_without_a_mode_another_machine_is_verified_in_full(pull, secure, world):
    assert pull(secure, ELSEWHERE, None, world.authority.certificate) is True
    for authority in (None, world.stranger.certificate):
        error = pull(secure, ELSEWHERE, None, authority)
        assert "sslrootcert" in error and "sslmode" in error, error


def test_without_a_mode_this_machine_is_taken_as_it_comes(pull, secure, plain):
    assert pull(secure, "127.0.0.1") in (True, False)
    assert pull(plain, "127.0.0.1") is False


@pytest.mark.parametrize("mode", ["required", "verify-ca", "verify-full"])
def test_server_that_does_not_encrypt_is_refused(pull, plain, world, mode):
    error = pull(plain, "127.0.0.1", mode, world.authority.certificate)
    assert "sslmode" in error, error


def test_server_elsewhere_that_does_not_encrypt_is_refused_without_a_mode(pull, plain):
    assert "sslmode" in pull(plain, ELSEWHERE)


def test_missing_authority_is_named(pull, secure):
    error = pull(secure, "localhost", "verify-full", "/nowhere/ca.pem")
    assert "/nowhere/ca.pem" in error and "sslrootcert" in error, error


# Who the server takes us for; MariaDB only lets the role in that has a certificate.
ENCRYPTED_AS_US = {"postgresql": "select 1 as id, client_dn = '/CN=ours' as encrypted from pg_stat_ssl"
                                 " where pid = pg_backend_pid()", "mysql": ENCRYPTED["mysql"]}


def test_our_own_certificate_is_shown(pull, secure, world):
    role = {}
    if secure.type == "mysql":
        role = {"username": "certified", "password": secure.system()["password"]}
        secure.sql("create or replace user certified@'%%' identified by %s require subject '/CN=ours'",
                   (role["password"],))
        secure.sql("grant select on *.* to certified@'%'")
    certificate, key = world.own
    shown = {"sslcert": certificate, "sslkey": key}
    arguments = {"mode": "verify-full", "authority": world.authority.certificate, "query": ENCRYPTED_AS_US, **role}
    assert pull(secure, **arguments, **shown) is True
    assert pull(secure, **arguments) is not True
    stranger, key = world.stranger.issue("ours of a stranger")
    assert pull(secure, **arguments, sslcert=stranger, sslkey=key) is not True
    error = pull(secure, **arguments, sslcert=certificate, sslkey="/nowhere/key.pem")
    assert "/nowhere/key.pem" in error and "sslkey" in error, error
