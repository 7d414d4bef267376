# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Many streams and long ways through one agent: nobody waits for anybody else, and a stream fills the
# path it has.

import socket
import threading
import time

import pytest

from support import wire
from support.slow_path import SlowPath
from support.up import Up

RATE = 100e6 / 8
ONE_WAY = 0.05
SIZE = 50_000_000


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


class Readers:
    """Visitors that download, each at its own pace, and one that does not read at all."""

    SECONDS = 4

    def __init__(self, address, target, paces):
        self.address, self.target = address, target
        self.paces, self.got = paces, [0] * len(paces)
        self.failed = []

    def _read(self, number):
        try:
            with wire.Client(self.address) as client:
                client.request("GET", self.target)
                assert client.answer_head().status == 200
                end = time.monotonic() + self.SECONDS
                begun, got = time.monotonic(), 0
                while time.monotonic() < end:
                    ahead = got / self.paces[number] - (time.monotonic() - begun)
                    if ahead > 0:
                        time.sleep(min(ahead, end - time.monotonic() if end > time.monotonic() else 0))
                        continue
                    piece = client.some(16384)
                    assert piece
                    got += len(piece)
                self.got[number] = got
        except Exception as error:
            self.failed.append(error)

    def run(self):
        threads = [threading.Thread(target=self._read, args=(number,)) for number in range(len(self.paces))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self.failed, self.failed[:3]
        return self.got


def test_500_visitors_while_one_stops_reading(daemon, backend, server, report):
    """Each keeps its pace, whatever the one does; the agent does not collect what nobody takes."""
    paces = [4_000 + 40 * number for number in range(500)]  # bytes a second: 7 MB/s together
    with Up(server, backend.port, "-q", "--auth", "none", "--connections", "1000") as up:
        target = "/t/" + up.url().split("/t/")[1] + "big/1000000000"
        alone = Readers(daemon.address, target, paces).run()
        with wire.Client(daemon.address) as stalled:
            stalled.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.request("GET", target)
            stalled.answer_head()
            beside = Readers(daemon.address, target, paces).run()
            memory = up.rss()
    kept = [with_it / without for with_it, without in zip(beside, alone)]
    report(f"500 visitors: {sum(alone)} bytes without, {sum(beside)} with one that stalls; the slowest keeps "
           f"{min(kept):.2f}; the agent has {memory} KiB")
    assert sum(beside) >= 0.9 * sum(alone)
    assert sorted(kept)[5] >= 0.9, sorted(kept)[:10]
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
