"""Certificates for the TLS tests, made by the program openssl."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


def openssl(*arguments, input=b""):
    """Runs openssl; what it printed, stderr included, as text."""
    result = subprocess.run(
        ["openssl", *map(str, arguments)],
        input=input,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    return result.stdout.decode("utf-8", "replace")


@dataclass
class Certificate:
    """A self-signed certificate for localhost, which is its own authority."""

    cert: Path
    key: Path

    @property
    def options(self):
        """The program's options that serve it."""
        return ["--ssl-certfile", self.cert, "--ssl-keyfile", self.key]

    def context(self, client=None):
        """For clients that trust it alone and show the client's certificate, if any."""
        context = ssl.create_default_context(cafile=self.cert)
        if client is not None:
            context.load_cert_chain(client.cert, client.key)
        return context

    def replace_by(self, other):
        self.cert.write_bytes(other.cert.read_bytes())
        self.key.write_bytes(other.key.read_bytes())


def make(folder, name, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    if shutil.which("openssl") is None:
        pytest.skip("needs the program openssl")
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    said = openssl(
        *("req", "-x509", "-newkey", *kind, "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", made.key, "-out", made.cert),
    )
    assert made.cert.exists(), said
    return made
