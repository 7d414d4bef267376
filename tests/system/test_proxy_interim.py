# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: what may happen before the final answer happens: 100-continue, early hints, an answer that
# comes before the request is complete.

import contextlib
import socket

import pytest

from support import pattern
from support.backend import head

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]


def test_expect_continue_waits_for_the_backends_word(tunnel, backend):
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/sink"),
                        [("Expect", "100-continue"), ("Content-Length", "5")])
        interim = visitor.head()
        assert interim.startswith(b"HTTP/1.1 100 "), interim
        visitor.send(b"hello")
        answer = visitor.answer()
    assert (answer.status, answer.interim) == (200, []), answer
    assert backend.last().body == b"hello"


def test_expect_continue_refused_by_the_backend(tunnel, backend):
    """The final answer comes instead of the 100, and no body was asked for."""
    backend.route("/no", lambda received, request, stream: stream.send(
        head(403, [("Content-Length", 2), ("Connection", "close")]), b"no"))
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/no"),
                        [("Expect", "100-continue"), ("Content-Length", "5")])
        answer = visitor.answer()
        assert (answer.status, answer.interim) == (403, []), answer


def test_expect_continue_with_a_body_that_does_not_wait(tunnel, backend):
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/sink"),
                        [("Expect", "100-continue")], b"impatient")
        assert visitor.answer().status == 200
    assert backend.last().body == b"impatient"


def test_a_backend_that_ignores_expect(tunnel, backend):
    tap = backend.tap("/tap")  # reads at once, never says 100
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"),
                        [("Expect", "100-continue"), ("Content-Length", "3")])
        visitor.readable(0.2)  # as curl does: waits a little, then sends
        visitor.send(b"abc")
        assert visitor.answer().status == 200
    assert tap.data == b"abc"


def test_an_unknown_expectation_is_refused(tunnel, backend):
    answer = tunnel.get("/", [("Expect", "the-unexpected")])
    assert 400 <= answer.status < 500, answer
    assert backend.received == []


def test_early_hints_pass(tunnel, backend):
    backend.raw("/hints", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
                          b"HTTP/1.1 102 Processing\r\n\r\n" + head(200, [("Content-Length", 2)]) + b"ok")
    answer = tunnel.get("/hints")
    assert answer.status == 200 and answer.body == b"ok"
    assert [interim.status for interim in answer.interim] == [103, 102], answer.interim
    assert answer.interim[0].fields.get("Link") == f"<{tunnel.prefix}/a.css>; rel=preload"


def test_an_http_1_0_visitor_gets_no_interim_answers(tunnel, backend):
    backend.raw("/hints", b"HTTP/1.1 103 Early Hints\r\n\r\n" + head(200, [("Content-Length", 0)]))
    answer = tunnel.ask("GET", "/hints", version="HTTP/1.0")
    assert (answer.status, answer.interim) == (200, [])


def test_an_endless_row_of_interim_answers_costs_nobody_else(tunnel, backend):
    def forever(received, request, stream):
        while True:
            stream.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    backend.route("/forever", forever)
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/forever"))
        assert visitor.readable(5)
        assert all(tunnel.get("/x").status == 200 for _ in range(20))


def test_an_early_answer_reaches_an_uploading_visitor(tunnel, backend):
    """The backend answers 413 and closes while the visitor still sends."""
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/early"), [("Content-Length", str(1 << 30))])
        try:
            for block in pattern.blocks(1 << 30):
                if visitor.readable(0):
                    break
                visitor.send(block)
        except ConnectionError:
            pass
        answer = visitor.answer()
        assert (answer.status, answer.body) == (413, b"enough"), answer
        assert visitor.ended() in ("eof", "reset"), "what is left of the body is not read"


def test_an_answer_may_begin_before_the_upload_is_complete(tunnel, backend):
    """Both directions at once: each piece comes back before the next is sent."""
    def parrot(received, request, stream):
        stream.send(head(200, [("Transfer-Encoding", "chunked")]))

        def say(piece):
            stream.send(b"%x\r\n" % len(piece), piece, b"\r\n")

        request.read(say)
        stream.send(b"0\r\n\r\n")

    backend.route("/parrot", parrot)
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/parrot"), [("Transfer-Encoding", "chunked")])
        answer = None
        for word in (b"one", b"two", b"three"):
            visitor.chunk(word)
            answer = answer or visitor.answer_head()
            assert visitor.line() == b"%x" % len(word)
            assert visitor.take(len(word) + 2) == word + b"\r\n"
        visitor.send(b"0\r\n\r\n")
        assert visitor.line() == b"0" and visitor.line() == b""


def test_a_backend_that_answers_and_resets_at_once(tunnel, backend):
    """
    What was answered before the reset is delivered, whole or visibly cut, or the visitor sees an
    error; never a hang.
    """
    def hasty(received, request, stream):
        stream.send(head(200, [("Content-Length", 2)]), b"ok")
        stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    backend.route("/hasty", hasty)
    for _ in range(20):
        with contextlib.suppress(ConnectionResetError):
            answer = tunnel.ask("POST", "/hasty", body=b"not read by the backend")
            assert answer.status in (200, 502), answer
