"""Certificates for the tests, made by openssl.

    authority = Authority(folder)
    certificate, key = authority.issue("server", hosts=["127.0.0.1", "localhost"])

Files are PEM, in the folder; keys are elliptic curves, which are made at once, unless asked otherwise.
"""

import ipaddress
import os
import secrets
import subprocess

CURVE = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


class Authority:
    """Signs certificates, also lesser authorities."""

    def __init__(self, folder, name="authority", signer=None):
        self.folder = str(folder)
        self.name = name
        if signer:
            self.certificate, self.key = signer.issue(name, authority=True)
        else:
            self.certificate, self.key = self._path(name, "pem"), self._path(name, "key")
            openssl("req", "-x509", "-nodes", "-newkey", *CURVE, "-subj", f"/CN={name}", "-days", "2",
                    "-out", self.certificate, "-keyout", self.key)

    def issue(self, name, hosts=(), days=1, algorithm=CURVE, authority=False):
        """The paths of a certificate and of its key. A certificate of -1 days expired yesterday."""
        certificate, key, request = (self._path(name, ending) for ending in ("pem", "key", "csr"))
        extensions = self._path(name, "extensions")
        with open(extensions, "w", encoding="ascii") as out:
            out.write(f"basicConstraints=critical,CA:{'TRUE' if authority else 'FALSE'}\n")
            if hosts:
                names = (f"{'IP' if is_address(host) else 'DNS'}:{host}" for host in hosts)
                out.write(f"subjectAltName={','.join(names)}\n")
        openssl("req", "-new", "-nodes", "-newkey", *algorithm, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-days", str(days),
                "-set_serial", str(secrets.randbits(64)), "-extfile", extensions, "-out", certificate)
        return certificate, key

    def _path(self, name, ending):
        return os.path.join(self.folder, f"{name}.{ending}")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def is_address(host):
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def chain(path, *certificates):
    """One file of several."""
    with open(path, "w", encoding="ascii") as out:
        for certificate in certificates:
            with open(certificate, encoding="ascii") as part:
                out.write(part.read())
    return str(path)
