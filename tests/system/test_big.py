# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: 2 GiB cross the tunnel in each direction and framing, exact to the byte, while no process of
# ours ever holds more than 8 MiB of its own.

import json
import time

import pytest

from support import daemon as daemons
from support import pattern, proc

LESS = 256 << 20  # where it would take too long: the agent of the tests is in Python
SIZE = LESS if daemons.SANITIZED else (2 << 30)
PRIVATE_MAX_KIB = 8 << 10

pytestmark = pytest.mark.usefixtures("mode")


@pytest.fixture
def size(mode):
    return SIZE if mode == "push" else LESS


@pytest.fixture
def watched(daemon, report, request, size):
    """Fails when a process of ours grows; a sanitizer's own memory cannot be judged."""
    begin = time.monotonic()
    with proc.MemoryWatch(daemon.everyone) as watch:
        yield
    took = time.monotonic() - begin
    highest = {}
    for process, kib in watch.highest.items():
        highest[process.role] = max(kib, highest.get(process.role, 0))
    what = "Private_*" if proc.ROOT else "RssAnon"
    report(f"{request.node.name}: {size >> 20} MiB in {took:.1f} s, highest {what} in KiB: {highest}")
    assert watch.samples > 3, "the transfer was too short to be watched"
    if not daemons.SANITIZED:
        assert max(highest.values()) <= PRIVATE_MAX_KIB, highest


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_down(tunnel, watched, size, framing):
    digest = pattern.Sha256()
    with tunnel.connect(timeout=60) as visitor:
        visitor.request("GET", tunnel.target(f"/big/{size}?framing={framing}"))
        assert visitor.answer(sink=digest).status == 200
    assert (digest.length, digest.hex()) == (size, pattern.digest(size))


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_up(tunnel, watched, size, framing):
    with tunnel.connect(timeout=60) as visitor:
        if framing == "chunked":
            visitor.request("PUT", tunnel.target("/sink"), (), pattern.blocks(size), chunked=True)
        else:
            visitor.request("PUT", tunnel.target("/sink"), [("Content-Length", str(size))])
            for block in pattern.blocks(size):
                visitor.send(block)
        echo = json.loads(visitor.answer().body)
    assert (echo["length"], echo["sha256"]) == (size, pattern.digest(size)), echo
