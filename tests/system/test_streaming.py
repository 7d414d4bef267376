# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: nothing waits for more than it needs: an event reaches the visitor when it is sent, a piece
# of an upload reaches the backend when it is sent, and a slow side slows only its own stream.

import time

import pytest

from support import pattern
from support.backend import head

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]

SSE = head(200, [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])


def test_events_arrive_one_by_one(tunnel, backend):
    """Each event is sent only after the one before has arrived, so none can be held back."""
    feed = backend.feed("/events", SSE)
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/events"), {"Accept": "text/event-stream"})
        answer = visitor.answer_head()
        assert answer.fields.get("Content-Type") == "text/event-stream", answer
        received = Body(visitor, answer.framing)
        for number in range(20):
            event = f"data: {number}\n\n".encode()
            feed.send(event)
            assert received.take(len(event)) == event
        feed.close()
        assert received.at_end()


def test_the_head_arrives_before_the_first_event(tunnel, backend):
    backend.feed("/events", SSE)
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/events"))
        assert visitor.answer_head().status == 200


def test_chunked_events_too(tunnel, backend):
    feed = backend.feed("/events", head(200, [("Transfer-Encoding", "chunked")]))
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/events"))
        received = Body(visitor, visitor.answer_head().framing)
        for number in range(20):
            feed.send(b"3\r\n%03d\r\n" % number)
            assert received.take(3) == b"%03d" % number
        feed.send(b"0\r\n\r\n")
        assert received.at_end()


def test_half_a_chunk_is_passed_on_before_the_other_half_comes(tunnel, backend):
    feed = backend.feed("/half", head(200, [("Transfer-Encoding", "chunked")]))
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/half"))
        received = Body(visitor, visitor.answer_head().framing)
        feed.send(b"a\r\nhello")
        assert received.take(5) == b"hello"
        feed.send(b"world\r\n0\r\n\r\n")
        assert received.take(5) == b"world"
        assert received.at_end()


def test_an_upload_reaches_the_backend_as_it_is_sent(tunnel, backend):
    tap = backend.tap("/tap")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"), [("Content-Length", "100")])
        for number in range(10):
            visitor.send(b"%010d" % number)
            assert tap.wait((number + 1) * 10)[-10:] == b"%010d" % number
        assert visitor.answer().status == 200


def test_a_chunked_upload_reaches_the_backend_as_it_is_sent(tunnel, backend):
    tap = backend.tap("/tap")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"), [("Transfer-Encoding", "chunked")])
        for number in range(10):
            visitor.chunk(b"%010d" % number)
            assert tap.wait((number + 1) * 10)[-10:] == b"%010d" % number
        visitor.send(b"0\r\n\r\n")
        assert visitor.answer().status == 200


def test_a_slow_reader_stops_its_backend_and_nobody_else(daemon, backend):
    """What is in flight for a visitor that does not read is bounded by socket buffers and a pipe."""
    tunnel, relay = daemon.create_with_relay(backend)
    sent = []

    def endless(received, request, stream):
        stream.send(head(200, [("Connection", "close")]))
        for block in pattern.blocks(1 << 30):
            stream.send(block)
            sent.append(len(block))

    backend.route("/endless", endless)
    with tunnel.connect(receive_buffer=4096) as slow:
        slow.request("GET", tunnel.target("/endless"))
        assert slow.answer_head().status == 200
        begin = time.monotonic()
        while time.monotonic() - begin < 0.5:
            answer = tunnel.get("/big/1000000")
            assert len(answer.body) == 1_000_000
        assert sum(sent) < 64 << 20, f"{sum(sent)} bytes were taken for a reader that reads nothing"
        # At rest it also costs no processor time.
        before = relay.cpu_seconds()
        time.sleep(0.5)  # a duration to measure over, not an event to wait for
        assert relay.cpu_seconds() - before < 0.2, "the relay spins"


def test_a_slow_backend_stops_its_visitor(tunnel, backend):
    """A backend that does not read makes the visitor's send block instead of being buffered."""
    taken = []

    def deaf(received, request, stream):
        taken.append(stream.sock.recv(1))
        feed.opened.wait(20)

    feed = backend.feed("/unused", b"")
    backend.route("/deaf", deaf)
    with tunnel.connect(timeout=1) as visitor:
        visitor.request("POST", tunnel.target("/deaf"), [("Content-Length", str(1 << 30))])
        sent = 0
        try:
            for block in pattern.blocks(1 << 30):
                visitor.sock.sendall(block)
                sent += len(block)
        except TimeoutError:
            pass
        assert 0 < sent < 64 << 20, f"{sent} bytes were taken for a backend that reads nothing"
    feed.opened.set()


class Body:
    """Takes bytes of a body as they come, whatever carries them."""

    def __init__(self, visitor, framing):
        assert framing in ("chunked", "close"), framing
        self.visitor, self.chunked = visitor, framing == "chunked"
        self.left = 0  # of the chunk being read

    def _next_chunk(self):
        self.left = int(self.visitor.line().split(b";")[0], 16)
        return self.left

    def take(self, size):
        taken = b""
        while self.chunked and len(taken) < size:
            assert self.left or self._next_chunk(), f"ended after {taken!r}"
            piece = self.visitor.take(min(self.left, size - len(taken)))
            self.left -= len(piece)
            taken += piece
            if self.left == 0:
                assert self.visitor.line() == b""
        return taken if self.chunked else self.visitor.take(size)

    def at_end(self):
        if self.chunked:
            return self.left == 0 and self._next_chunk() == 0
        return self.visitor.rest() == b""
