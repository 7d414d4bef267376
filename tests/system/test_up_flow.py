# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Many streams and long ways through one agent: nobody waits for anybody else, and a stream fills the
# path it has.

import contextlib
import os
import socket
import threading
import time

import pytest

from support import wire
from support.crowd import Backend, Player
from support.slow_path import SlowPath
from support.up import Up

RATE = 100e6 / 8
ONE_WAY = 0.05
SIZE = 50_000_000
SLOWER = 4 if os.environ.get("TUNNELD_SANITIZED") else 1


@pytest.fixture
def server(daemon):
    return f"http://127.0.0.1:{daemon.port}"


def download(address, target, size):
    """Seconds for a download."""
    begun, got = time.monotonic(), [0]
    with wire.Client(address) as client:
        client.sock.settimeout(60)
        client.request("GET", target)
        answer = client.answer_head()
        assert answer.status == 200, answer
        client.exactly(size, lambda piece: got.__setitem__(0, got[0] + len(piece)))
    assert got[0] == size
    return time.monotonic() - begun


def upload(address, target, size):
    begun = time.monotonic()
    with wire.Client(address) as client:
        client.sock.settimeout(60)
        client.request("POST", target, [("Content-Length", str(size))])
        piece = bytes(1 << 18)
        for at in range(0, size, len(piece)):
            client.send(piece[:min(len(piece), size - at)])
        answer = client.answer_head()
        assert answer.status == 200, answer
    return time.monotonic() - begun


@pytest.mark.parametrize("move", [download, upload])
def test_a_stream_fills_a_long_path(daemon, backend, move, report):
    target = f"/big/{SIZE}" if move is download else "/any"
    with SlowPath(backend.address, ONE_WAY, RATE) as path:
        plain = move(("127.0.0.1", path.port), target, SIZE)
    with SlowPath(daemon.address, ONE_WAY, RATE) as path:
        with Up(f"http://127.0.0.1:{path.port}", backend.port, "-q", "--auth", "none") as up:
            prefix = "/t/" + up.url().split("/t/")[1].rstrip("/")
            tunnelled = move(daemon.address, prefix + target, SIZE)
    report(f"{move.__name__} over 100 ms and 100 Mbit/s: plain {SIZE / plain / 1e6:.1f} MB/s, "
           f"through the tunnel {SIZE / tunnelled / 1e6:.1f} MB/s")
    assert plain / tunnelled >= 0.85, (plain, tunnelled)


@contextlib.contextmanager
def stalled(address, target):
    """A visitor who asks for much and reads nothing."""
    with wire.Client(address) as visitor:
        visitor.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        visitor.request("GET", target)
        assert visitor.answer_head().status == 200
        yield


def test_500_visitors_while_one_stops_reading(daemon, server, report):
    """
    Each keeps its own pace, from 10 to 60 kB/s, whatever the one does; the agent does not collect what
    nobody takes. Together it is 17 MB/s, of which a machine is not short; if it is for a while, the next
    of a few rounds says so.
    """
    rounds = 3
    with Backend() as backend, Up(server, backend.port, "-q", "--auth", "none", "--connections", "1000") as up:
        prefix = "/t/" + up.url().split("/t/")[1].rstrip("/")
        with stalled(daemon.address, prefix + "/big/1000000000"):
            for _ in range(rounds):
                with Player("paced", daemon.port, 500, 10_000 // SLOWER, 60_000 // SLOWER, 5000, 100_000, prefix) as readers:
                    assert readers.next(100) == {"reading": 500}
                    kept = readers.next()
                if kept["behind"] == 0:
                    break
            memory = up.rss()
    report(f"500 visitors beside one that stalls: the slowest keeps {kept['slowest']:.2f} of its pace; "
           f"the agent has {memory} KiB")
    assert (kept["cut"], kept["behind"]) == (0, 0), kept
    assert memory < 64 << 10


def test_a_target_that_stalls_stops_its_own_stream_only(daemon, backend, server):
    gate = threading.Event()
    backend.route("/stall", lambda received, request, stream: gate.wait(20) and None)
    with Up(server, backend.port, "-q", "--auth", "none") as up:
        prefix = "/t/" + up.url().split("/t/")[1].rstrip("/")
        with wire.Client(daemon.address) as stalled:
            stalled.request("POST", prefix + "/stall", [("Content-Length", str(1 << 30))])
            stalled.sock.settimeout(0.5)
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 1 << 30:
                    sent += stalled.sock.send(bytes(1 << 16))
            assert sent < 64 << 20, sent
            for _ in range(20):
                assert download(daemon.address, prefix + "/big/1000000", 1000000) < 5
            assert up.rss() < 64 << 10, up.rss()
        gate.set()
