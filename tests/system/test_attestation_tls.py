# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: the evidence names the key of the visitor's own connection, before and after that is changed.

import hashlib
import http.client
import json
import signal
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support import proc
from support.daemon import Daemon, free_port
from support.evidence import Evidence
from support.guest import Guest

ANY = ssl.create_default_context()
ANY.check_hostname, ANY.verify_mode = False, ssl.CERT_NONE


def asked(port):
    """The evidence, and the SHA-256 of the SPKI of the very connection that brought it."""
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=ANY)
    connection.request("GET", "/_api/attestation")
    shown = x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True)).public_key()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        return None
    spki = shown.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Evidence(json.loads(body)), hashlib.sha256(spki).hexdigest()


@pytest.fixture
def daemon(tmp_path):
    port = free_port()
    with Guest(tmp_path / "dstack.sock") as guest:
        with Daemon(tls_listen=f"127.0.0.1:{port}", dstack_socket=guest.path) as running:
            running.tls = port
            yield running


def test_the_key_of_the_connection_is_in_the_evidence(daemon):
    def quoted():
        found = asked(daemon.tls)
        return found if found and found[0].document["tee"] == "tdx" else None
    evidence, spki = proc.wait_until(quoted, 15, daemon.log)
    assert evidence.instance["tls"] == [{"listener": "tls_listen", "spki_sha256": spki}]


def write_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=tunneld.test", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)


def test_it_follows_the_operators_keys(tmp_path):
    port = free_port()
    write_certificate(tmp_path)
    with Daemon(tls_listen=f"127.0.0.1:{port}", tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem")) as daemon:
        def named():
            found = asked(port)
            return found[1] if found and [k["spki_sha256"] for k in found[0].instance["tls"]] == [found[1]] else None
        first = proc.wait_until(named, 15, daemon.log)
        assert all(key["from_file"] is True for key in asked(port)[0].instance["tls"])
        key = asked(port)[0].instance["instance_key"]
        write_certificate(tmp_path)
        daemon.process.send_signal(signal.SIGHUP)
        proc.wait_until(lambda: (found := named()) and found != first, 15, daemon.log)
        assert asked(port)[0].instance["instance_key"] == key  # the same attestor states it anew
