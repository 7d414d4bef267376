# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What takes long with TLS: gigabytes both ways, and a scanner that looks for weaknesses.

import json
import pathlib
import subprocess

import pytest

from support import pattern, tls, wire
from support.daemon import TlsDaemon

SIZE = 2 << 30
ANYBODY = tls.trusting_nobody()
ACCEPTED = pathlib.Path(__file__).with_name("testssl_accepted.txt")


@pytest.fixture(scope="module")
def daemon():
    with TlsDaemon() as running:
        yield running


def test_two_gigabytes_down(tunnel):
    digest = pattern.Sha256()
    with tunnel.connect(tls=ANYBODY, timeout=60) as visitor:
        visitor.request("GET", tunnel.target(f"/big/{SIZE}"))
        assert visitor.answer(sink=digest).status == 200
    assert (digest.length, digest.hex()) == (SIZE, pattern.digest(SIZE))


def test_two_gigabytes_up(tunnel):
    with tunnel.connect(tls=ANYBODY, timeout=60) as visitor:
        visitor.request("PUT", tunnel.target("/echo"), body=pattern.blocks(SIZE), chunked=True)
        seen = json.loads(visitor.answer("PUT").body)
    assert (seen["length"], seen["sha256"]) == (SIZE, pattern.digest(SIZE))


def test_a_cut_in_the_middle_is_no_end(daemon, tunnel):
    """The connection is cut between the visitor and us: neither side takes it for the end."""
    with tunnel.connect(tls=ANYBODY) as visitor:
        visitor.request("GET", tunnel.target(f"/big/{SIZE}?framing=close"), version="HTTP/1.0")
        assert visitor.answer_head().status == 200
        visitor.take(100 << 20)
        for edge in daemon.children("tunneld-edge"):
            edge.signal(9)
        with pytest.raises(ConnectionError):
            while visitor.some():
                pass


SCANS = {  # what testssl.sh is asked for, and what it has to have got to
    "protocols": (["-p", "-s", "-f", "-P"], {"TLS1_2", "TLS1_3", "cipherlist_NULL", "PFS", "cipher_negotiated"}),
    "defaults": (["-S", "-h"], {"cert_keySize", "cert_notAfter", "HTTP_status_code"}),
    "weaknesses": (["-U"], {"heartbleed", "CCS", "ROBOT", "secure_client_renego", "LOGJAM", "RC4"}),
    "clients": (["-c"], {"clientsimulation-firefox_100_win10", "clientsimulation-openssl_111d"}),
}


@pytest.mark.parametrize("scan", SCANS)
def test_scanner(daemon, tmp_path, scan):
    """testssl.sh finds nothing above INFO but what testssl_accepted.txt lists, with reasons."""
    options, wanted = SCANS[scan]
    accepted = {line.split()[0] for line in ACCEPTED.read_text().splitlines()
                if line and not line.startswith("#")}
    report = tmp_path / "report.json"
    said = subprocess.run(["testssl", *options, "--nodns", "none", "--color", "0", "--warnings", "off",
                           "--quiet", "--jsonfile", report, "%s:%d" % daemon.tls_address],
                          stdin=subprocess.DEVNULL, capture_output=True).stdout
    found = json.loads(report.read_text())
    assert wanted <= {finding["id"] for finding in found}, said.decode()
    bad = [(finding["severity"], finding["id"], finding["finding"]) for finding in found
           if finding["severity"] not in ("OK", "INFO", "DEBUG") and finding["id"] not in accepted]
    assert not bad, bad
