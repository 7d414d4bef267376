# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a peer that stalls is let go after the time its phase has, and not before; what may take
# long takes as long as it wants.

import socket
import time

import pytest

from support import websocket as ws
from support.backend import HttpBackend, head
from support.daemon import Daemon


@pytest.fixture(scope="module")
def daemon():
    with Daemon(head_timeout="1", idle_timeout="2", connect_timeout="1") as running:
        yield running


def lasted(visitor, seconds=6):
    """How long the connection stays open, and what it says before its end."""
    begin = time.monotonic()
    said = b""
    try:
        while visitor.readable(max(0, begin + seconds - time.monotonic())):
            piece = visitor.some()
            if not piece:
                return time.monotonic() - begin, said
            said += piece
    except ConnectionResetError:
        return time.monotonic() - begin, said
    raise AssertionError(f"still open after {seconds} s")


@pytest.mark.parametrize("sent", ["", "GET {}/ HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_first_head_that_does_not_come(tunnel, sent):
    with tunnel.connect() as visitor:
        visitor.send(sent.replace("{}", tunnel.prefix).encode())
        took, said = lasted(visitor)
        assert 0.9 < took < 3.5, took
        assert said == b"" or said.startswith(b"HTTP/1.1 408 "), said


def test_a_head_that_trickles_is_not_saved_by_trickling(tunnel):
    with tunnel.connect() as visitor:
        begin = time.monotonic()
        visitor.send(f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: x\r\nX-Slow: ".encode())
        try:
            while time.monotonic() - begin < 5 and not visitor.readable(0.05):
                visitor.send(b"a")
        except ConnectionError:
            pass
        assert 0.9 < time.monotonic() - begin < 3, time.monotonic() - begin


def test_a_second_head_that_does_not_come_completely(tunnel):
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/")).status == 200
        visitor.send(b"GET /t/")
        took, said = lasted(visitor)
        assert 0.9 < took < 3.5, took


def test_an_idle_kept_connection(tunnel):
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/")).status == 200
        took, said = lasted(visitor)
        assert 1.9 < took < 4 and said == b"", (took, said)


def test_a_slow_answer_has_all_the_time_it_wants(tunnel, backend):
    feed = backend.feed("/slow", head(200, [("Content-Length", 4)]))
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/slow"))
        assert visitor.answer_head().status == 200
        assert not visitor.readable(3), "nothing was sent, so nothing may come, not even an end"
        feed.send(b"late")
        assert visitor.take(4) == b"late"


def test_a_slow_upload_has_all_the_time_it_wants(tunnel, backend):
    tap = backend.tap("/tap")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"), [("Content-Length", "4")])
        for sent in range(1, 5):  # each pause is shorter than the deadline, all of them longer
            visitor.send(b"a")
            assert tap.wait(sent) == b"a" * sent
            assert sent == 4 or not visitor.readable(1)
        assert visitor.answer().status == 200


def test_an_upload_that_stops_arriving(tunnel, backend):
    tap = backend.tap("/tap")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"), [("Content-Length", "2")])
        visitor.send(b"a")
        took, said = lasted(visitor)
        assert 1.9 < took < 5 and said.startswith(b"HTTP/1.1 408 "), (took, said)
    assert tap.wait_end() in ("Ended", "ConnectionResetError"), tap.ended


def test_an_upload_that_waits_for_the_backends_100(tunnel, backend):
    """It is not the visitor who stalls."""
    def ponder(received, request, stream):
        assert not stream.readable(3), "the body must wait"
        HttpBackend.absorb(received, request, stream)
        stream.send(head(200, [("Content-Length", 0)]))

    backend.route("/ponder", ponder)
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/ponder"), [("Expect", "100-continue"), ("Content-Length", "2")])
        assert visitor.head().startswith(b"HTTP/1.1 100 ")
        visitor.send(b"ab")
        assert visitor.answer().status == 200


def test_a_silent_websocket_stays_open(tunnel):
    wire = ws.connect(tunnel, "/ws/echo")
    assert not wire.stream.readable(3), "no idle cut"
    wire.protocol.send_text(b"still here")
    wire.flush()
    assert bytes(next(ws.messages(wire))[1]) == b"still here"
    wire.stream.close()


def test_a_full_backlog_is_504_after_the_connect_deadline(api):
    """Nobody accepts and the queue is full: the connect gets no answer at all."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    filling = []
    try:
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            filling.append(sock)
        tunnel = api.create(f"http://127.0.0.1:{listener.getsockname()[1]}")
        begin = time.monotonic()
        answer = tunnel.get("/")
        took = time.monotonic() - begin
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (504, "backend_timeout"), answer
        assert 0.9 < took < 3, f"{took:.1f} s for a connect deadline of 1 s"
    finally:
        for sock in (*filling, listener):
            sock.close()
