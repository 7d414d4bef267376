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


def test_scanner(daemon, tmp_path):
    """testssl.sh finds nothing above INFO but what testssl_accepted.txt lists, with reasons."""
    accepted = {line.split()[0] for line in ACCEPTED.read_text().splitlines()
                if line and not line.startswith("#")}
    report = tmp_path / "report.json"
    subprocess.run(["testssl", "--color", "0", "--warnings", "off", "--quiet", "--jsonfile", report,
                    daemon.options["tls_listen"]],
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=550)
    found = json.loads(report.read_text())
    assert {"TLS1_2", "TLS1_3"} <= {f["id"] for f in found}, "it did not get far"
    bad = [(f["severity"], f["id"], f["finding"]) for f in found
           if f["severity"] not in ("OK", "INFO", "DEBUG") and f["id"] not in accepted]
    assert not bad, bad
