# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: visitors who are slow, many, or greedy keep nobody else waiting, and leave nothing behind.

import contextlib
import os
import selectors
import socket
import time

import pytest

from support import proc
from support.daemon import SANITIZED, Daemon

pytestmark = pytest.mark.usefixtures("mode")

SLOW_HEADS = 1500
SERVED_S = 3 if SANITIZED else 1  # for one request of somebody else, on a busy machine


@pytest.fixture(scope="module")
def daemon():
    with Daemon(max_connections_per_tunnel="4096") as running:
        yield running


class Crowd:
    """Many connections of one kind, closed together."""

    def __init__(self, address, count, first=b""):
        self.sockets = []
        for _ in range(count):
            sock = socket.create_connection(address, timeout=10)
            self.sockets.append(sock)
            if first:
                sock.send(first)

    def each(self, data):
        """Sends a piece on all that are still open; returns how many those are."""
        left = 0
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.send(data, socket.MSG_DONTWAIT)
                left += 1
        return left

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close()


def served(tunnel, report=None, what="", times=20):
    """Others' requests, on new connections, are answered at once."""
    took = []
    for _ in range(times):
        begin = time.monotonic()
        assert tunnel.reach("/own")["target"] == "/own"
        took.append(time.monotonic() - begin)
    if report:
        report(f"{what}: others are served within {1000 * sorted(took)[times // 2]:.1f} ms (median), "
               f"{1000 * max(took):.1f} ms at most")
    assert max(took) < SERVED_S, f"{what}: {max(took):.2f} s"


def back(processes, before):
    now = lambda: [process.descriptors() for process in processes]
    proc.wait_until(lambda: all(have <= had for have, had in zip(now(), before)), 10,
                    lambda: f"{list(zip(processes, now()))}, before {before}")


def test_1500_slow_heads(daemon, tunnel, report):
    """At the gates: each sends a byte now and then, and none is ever complete."""
    head = f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode()
    processes = daemon.everyone()
    served(tunnel)
    before = [process.descriptors() for process in processes]
    with Crowd(daemon.address, SLOW_HEADS, head) as crowd:
        for _ in range(3):
            assert crowd.each(b"y") == SLOW_HEADS
            served(tunnel, report, f"{SLOW_HEADS} slow heads")
        assert daemon.api.call("GET", "/_api/tunnels").status == 200
    back(processes, before)


def test_slow_second_heads(daemon, tunnel, backend, report):
    """In the relay: connections that are let in, then send half a request."""
    count = 500
    relay = daemon.relays()[-1]
    request = f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    before = relay.descriptors()
    with Crowd(daemon.address, count, request) as crowd:
        for sock in crowd.sockets:
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        for _ in range(3):
            assert crowd.each(request[:20]) == count
            served(tunnel, report, f"{count} slow second heads")
    proc.wait_until(lambda: relay.descriptors() <= before, 10, lambda: f"{relay.descriptors()}, before {before}")


def test_slow_bodies(daemon, tunnel, backend, report):
    """A byte now and then of a body that is long: held up is nobody, kept is nothing."""
    count = 200
    tap = backend.tap("/slow")
    relay = daemon.relays()[-1]
    head = f"POST {tunnel.target('/slow')} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n".encode()
    memory = relay.rss_anon_kib()
    with Crowd(daemon.address, count, head) as crowd:
        for number in range(1, 4):
            assert crowd.each(b"y") == count
            assert len(tap.wait(number * count)) == number * count, "each byte is passed on as it comes"
            served(tunnel, report, f"{count} slow bodies")
        assert relay.rss_anon_kib() - memory < (40 if SANITIZED else 4) * 1024
    proc.wait_until(lambda: backend.open_connections() == 0, 10, "connections to the backend stay")


def test_slow_chunks(daemon, tunnel, backend):
    """The same in chunks of one byte, torn apart everywhere."""
    tap = backend.tap("/slow")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/slow"), [("Transfer-Encoding", "chunked")])
        for piece in b"1\r\na\r\n" * 20 + b"0\r\n\r\n":
            visitor.send(bytes([piece]))
            time.sleep(0.002)
        assert visitor.answer().status == 200
    assert bytes(tap.data) == b"a" * 20


def test_slow_readers(daemon, tunnel, report):
    """Large answers nobody reads: what waits is in sockets and pipes, not in the relay."""
    count = 64
    relay = daemon.relays()[-1]
    request = f"GET {tunnel.target('/big/67108864')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with Crowd(daemon.address, count, request) as crowd:
        for sock in crowd.sockets:
            assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
        served(tunnel, report, f"{count} slow readers")
        memory = relay.rss_anon_kib()
        report(f"{count} slow readers: the relay has {memory} KiB of its own")
        assert memory < (200 if SANITIZED else 32) * 1024


def test_readers_of_a_byte_at_a_time(daemon, tunnel):
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(tunnel.connect(receive_buffer=2048)) for _ in range(20)]
        for visitor in slow:
            visitor.request("GET", tunnel.target("/big/1000000"))
            assert visitor.answer_head().status == 200
        for _ in range(20):
            for visitor in slow:
                assert visitor.take(1)
            served(tunnel, times=1)


def flood(sock, data, seconds):
    """Sends DATA over and over, reading what comes; returns how often, and what came."""
    sock.setblocking(False)
    limit = time.monotonic() + seconds
    sent, received, offset = 0, 0, 0
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while time.monotonic() < limit:
            for _, events in selector.select(0.1):
                try:
                    if events & selectors.EVENT_WRITE:
                        offset += sock.send(data[offset:])
                        sent, offset = sent + offset // len(data), offset % len(data)
                    if events & selectors.EVENT_READ:
                        piece = sock.recv(1 << 20)
                        received += piece.count(b"HTTP/1.1 200 ")
                        if not piece:
                            return sent, received
                except BlockingIOError:
                    pass
                except ConnectionError:
                    return sent, received
    return sent, received


def test_pipelining_flood(daemon, tunnel, report):
    """Thousands of requests ahead of their answers are answered one by one, in turn with others."""
    relay = daemon.relays()[-1]
    request = f"GET {tunnel.target('/x')} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    memory = relay.rss_anon_kib()
    with Crowd(daemon.address, 8) as crowd:
        for sock in crowd.sockets:
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(20):
                    sock.send(request * 1000)
        served(tunnel, report, "8 floods of pipelined requests whose answers nobody reads")
        sent, received = flood(crowd.sockets[0], request * 100, 1)
        assert received > 10, (sent, received)
        served(tunnel)
        assert relay.rss_anon_kib() - memory < (128 if SANITIZED else 2) * 1024
    proc.wait_until(lambda: tunnel.show()["counters"].get("open", 0) == 0, 5, "connections are still counted")


def test_flood_of_what_is_refused(daemon, tunnel):
    """Behind a refusal nothing is read for long."""
    with socket.create_connection(daemon.address) as sock:
        begin = time.monotonic()
        sent, received = flood(sock, b"\0" * 65536, 10)
        assert time.monotonic() - begin < 5 and received == 0, (sent, received)
    served(tunnel)


def test_connections_that_say_nothing(daemon, tunnel, report):
    with Crowd(daemon.address, SLOW_HEADS):
        served(tunnel, report, f"{SLOW_HEADS} silent connections")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_leaving_at_every_byte(daemon, tunnel, how):
    """At every byte of a request with a body, first and later on a connection."""
    request = (f"POST {tunnel.target('/x')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               "5\r\nabcde\r\n0\r\n\r\n").encode()
    served(tunnel)
    processes = [daemon.supervisor, *daemon.gates(), *daemon.relays()]
    before = [process.descriptors() for process in processes]
    for at in range(len(request)):
        with tunnel.connect() as visitor:
            if at % 2:
                assert visitor.exchange("GET", tunnel.target("/")).status == 200
            visitor.send(request[:at])
            if how == "reset":
                visitor.reset()
    back(processes, before)
    served(tunnel)


def test_upgrade_flood(daemon, tunnel):
    """Upgrades that are left at once, before the backend has answered and after."""
    with contextlib.ExitStack() as stack:
        for number in range(200):
            visitor = stack.enter_context(tunnel.connect())
            visitor.request("GET", tunnel.target("/ws/echo"), [
                ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")])
            if number % 3 == 0:
                visitor.reset()
    served(tunnel)
    proc.wait_until(lambda: tunnel.show()["counters"].get("open", 0) == 0, 5, "connections are still counted")


def test_odd_bytes_in_a_byte_relay(daemon, tunnel):
    """After the switch, bytes are the backend's to judge; others do not notice."""
    for junk in (os.urandom(100_000), b"\0" * 100_000, b"GET / HTTP/1.1\r\n\r\n" * 5000):
        with tunnel.connect() as visitor:
            visitor.request("GET", tunnel.target("/ws/echo"), [
                ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")])
            assert visitor.answer_head().status == 101
            with contextlib.suppress(ConnectionError):
                visitor.send(junk)
            assert visitor.ended() in ("eof", "reset")
        served(tunnel, times=2)
