"""HTTPS: who the service says it is, which versions it speaks, and a certificate that is renewed while it runs."""

import concurrent.futures
import http.client
import os
import shutil
import signal
import socket
import ssl

import pytest

import certificates
from conftest import Answer, config_of, create, eventually, numbered, read_to_end

HOSTS = ["127.0.0.1", "localhost"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def first(authority):
    return authority.issue("first", HOSTS)


@pytest.fixture(scope="module")
def second(authority):
    return authority.issue("second", HOSTS)


class Renewed:
    """A certificate and a key in files of their own, that others can be put into."""

    def __init__(self, folder, pair):
        self.certificate, self.key = str(folder / "certificate.pem"), str(folder / "key.pem")
        self.put(*pair)

    def put(self, certificate=None, key=None):
        for source, target in ((certificate, self.certificate), (key, self.key)):
            if source:
                shutil.copy(source, target + ".new")
                os.rename(target + ".new", target)

    def config(self):
        return {"certificate": self.certificate, "key": self.key}


@pytest.fixture
def pair(tmp_path, first):
    return Renewed(tmp_path, first)


@pytest.fixture
def people(sqlite, pair):
    sqlite.dialect = {"mark": "?"}
    create(sqlite, "people", "id integer not null primary key", [(1,), (2,)])
    return {**config_of(sqlite, people={"table": "people"}), "listen": {"tls": pair.config()}}


def context(authority, least=None, most=None):
    made = ssl.create_default_context(cafile=authority.certificate)
    if least:
        made.set_ciphers("ALL:@SECLEVEL=0")  # so that the old versions are really offered
        made.minimum_version, made.maximum_version = least, most
    return made


class Client:
    """Speaks HTTPS to a service, and trusts an authority."""

    def __init__(self, running, authority):
        self.running = running
        self.authority = authority

    def connect(self, **versions):
        plain = socket.create_connection((self.running.address, self.running.port), timeout=60)
        return context(self.authority, **versions).wrap_socket(plain, server_hostname="localhost")

    def shown(self):
        """The name in the certificate that a new connection is shown."""
        with self.connect() as connection:
            return dict(pair[0] for pair in connection.getpeercert()["subject"])["commonName"]

    def get(self, path):
        connection = http.client.HTTPSConnection(self.running.address, self.running.port, timeout=60,
                                                 context=context(self.authority))
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()


@pytest.fixture
def serve(service, authority):
    """serve(config) starts a service that speaks HTTPS, and returns a client of it."""

    def start(config):
        running = service(config, ready=lambda running: Client(running, authority).get("/health"))
        return Client(running, authority)

    return start


def ask_to_reload(running, times):
    """SIGHUP, and until the log has as many lines about certificates as that makes."""
    running.process.send_signal(signal.SIGHUP)
    eventually(lambda: sum("certificate" in line for line in running.log().splitlines()) >= times)


# ---- what is spoken


@pytest.mark.parametrize("version, name", [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_entities_come_over_https(people, serve, version, name):
    client = serve(people)
    assert len(client.get("/sources/people").entities()) == 2
    with client.connect(least=version, most=version) as connection:
        assert connection.version() == name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(people, serve, version):
    client = serve(people)
    with pytest.raises(ssl.SSLError) as refusal:
        client.connect(least=version, most=version)
    # It is the service that wants no more, by an end or an alert, and not our own library that did not even try.
    assert refusal.value.reason in (None, "TLSV1_ALERT_PROTOCOL_VERSION"), refusal.value
    with client.connect(least=version, most=ssl.TLSVersion.TLSv1_2) as connection:
        assert connection.version() == "TLSv1.2"


def test_plain_http_gets_no_answer(people, serve):
    client = serve(people)
    with client.running.raw(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        received, _ = read_to_end(connection)
    assert b"HTTP" not in received
    assert client.get("/health").status == 200


def test_whole_chain_is_shown(people, serve, pair, authority, tmp_path):
    lesser = certificates.Authority(tmp_path, "lesser", signer=authority)
    certificate, key = lesser.issue("behind", HOSTS)
    pair.put(certificates.chain(tmp_path / "chain.pem", certificate, lesser.certificate), key)
    assert serve(people).shown() == "behind"


def test_rsa_key_is_as_good(people, serve, pair, authority):
    pair.put(*authority.issue("rsa", HOSTS, algorithm=["rsa:2048"]))
    assert serve(people).shown() == "rsa"


# ---- files that cannot be used


def broken(pair, authority, tmp_path):
    """By name: what is done to the files, and what the error must tell."""
    encrypted = str(tmp_path / "encrypted.key")
    certificates.openssl("pkey", "-in", pair.key, "-aes128", "-passout", "pass:canary-71c2", "-out", encrypted)
    other = authority.issue("other", HOSTS)
    nonsense, nothing = tmp_path / "nonsense.pem", tmp_path / "nothing.pem"
    nonsense.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", encoding="ascii")
    nothing.write_bytes(b"")
    return {
        "no certificate": (lambda: os.unlink(pair.certificate), ["tls.certificate", pair.certificate, "No such file"]),
        "no key": (lambda: os.unlink(pair.key), ["tls.key", pair.key, "No such file"]),
        "empty certificate": (lambda: pair.put(nothing), ["tls.certificate", pair.certificate, "PEM"]),
        "nonsense": (lambda: pair.put(nonsense), ["tls.certificate", pair.certificate, "PEM"]),
        "key as certificate": (lambda: pair.put(pair.key), ["tls.certificate", pair.certificate, "PEM"]),
        "certificate as key": (lambda: pair.put(key=pair.certificate), ["tls.key", pair.key, "PEM"]),
        "encrypted key": (lambda: pair.put(key=encrypted), ["tls.key", pair.key, "encrypted"]),
        "key of another": (lambda: pair.put(key=other[1]), ["tls.key", pair.key, pair.certificate, "not the key"]),
    }


BROKEN = ["no certificate", "no key", "empty certificate", "nonsense", "key as certificate", "certificate as key",
          "encrypted key", "key of another"]


@pytest.mark.parametrize("name", BROKEN)
def test_unusable_files_are_an_error_at_the_start(people, run, pair, authority, tmp_path, name):
    damage, words = broken(pair, authority, tmp_path)[name]
    damage()
    done = run("serve", config=people, environment={"PORT": "0"})
    assert done.returncode == 1
    for word in words:
        assert word in done.stderr, done.stderr
    assert "canary" not in done.stderr and "PRIVATE" not in done.stderr


def test_expired_certificate_is_a_warning(people, service, pair, authority):
    pair.put(*authority.issue("expired", HOSTS, days=-1))
    running = service(people, ready=lambda running: "listening on" in running.log())
    assert "expired at 20" in running.log()
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(running, authority).shown()


# ---- renewal


def test_sighup_brings_the_new_certificate_to_new_connections(people, serve, pair, second):
    client = serve(people)
    assert client.shown() == "first"
    pair.put(*second)
    assert client.shown() == "first"
    ask_to_reload(client.running, 2)
    assert client.shown() == "second"


@pytest.mark.parametrize("name", BROKEN)
def test_unusable_files_at_sighup_leave_the_old_certificate(people, serve, pair, authority, tmp_path, second, name):
    client = serve(people)
    damage, words = broken(pair, authority, tmp_path)[name]
    damage()
    ask_to_reload(client.running, 2)
    line = client.running.log().splitlines()[-1]
    assert "error" in line.lower() and "stays in use" in line
    for word in words:
        assert word in line
    assert client.shown() == "first"
    pair.put(*second)
    ask_to_reload(client.running, 3)
    assert client.shown() == "second"


def test_running_stream_goes_on_after_a_renewal(sqlite, serve, pair, first, second):
    sqlite.dialect = {"mark": "?", "text": "text", "datetime": "datetime"}
    numbered(sqlite, "big", 30000, 500)
    client = serve({**config_of(sqlite, big={"table": "big"}), "listen": {"tls": pair.config()}})
    with client.connect() as stream:
        stream.sendall(b"GET /sources/big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = stream.recv(1000)
        assert b" 200 " in received
        for number, files in enumerate((second, first, second)):
            pair.put(*files)
            ask_to_reload(client.running, number + 2)
        assert client.shown() == "second"
        rest, orderly = read_to_end(stream)
    assert orderly
    assert (received + rest).count(b'"_id"') == 30000
    assert rest.endswith(b"]\n\r\n0\r\n\r\n") or rest.endswith(b"]\r\n0\r\n\r\n")


def test_sighup_without_tls_harms_nothing(people, service):
    running = service({**people, "listen": {}})
    ask_to_reload(running, 1)
    assert len(running.pull("people")) == 2
    ask_to_reload(running, 2)
    running.stop()


def test_renewals_while_clients_come_break_nobody(people, serve, pair, first, second):
    client = serve(people)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        shown = [pool.submit(client.shown) for _ in range(40)]
        for number, files in enumerate((second, first, second)):
            pair.put(*files)
            ask_to_reload(client.running, number + 2)
        assert {one.result() for one in shown} <= {"first", "second"}
    assert client.shown() == "second"
