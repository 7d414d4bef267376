# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: bodies of every framing cross in both directions without a byte changed, and what is cut
# short is seen to be cut short.

import json
import socket

import pytest

from support import pattern, proc, wire
from support.backend import head

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]

SIZES = [0, 1, 4095, 65536, 65537, 1_000_003, 8 << 20]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_answers(tunnel, size, framing):
    digest = pattern.Sha256()
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target(f"/big/{size}?framing={framing}"))
        answer = visitor.answer(sink=digest)
        assert answer.status == 200, answer
        assert (digest.length, digest.hex()) == (size, pattern.digest(size))
        if framing == "length":
            assert answer.framing == "length", "a known length stays known"
        if framing == "close":
            assert answer.framing in ("close", "chunked")


@pytest.mark.parametrize("size", SIZES)
def test_uploads_with_a_length(tunnel, size):
    answer = tunnel.ask("POST", "/sink", body=pattern.data(size))
    echo = json.loads(answer.body)
    assert (echo["length"], echo["sha256"]) == (size, pattern.digest(size))
    assert ("Content-Length", str(size)) in [tuple(f) for f in echo["fields"]], echo


@pytest.mark.parametrize("size", SIZES)
def test_uploads_in_chunks(tunnel, size):
    answer = tunnel.ask("POST", "/sink", body=pattern.blocks(size), chunked=True)
    echo = json.loads(answer.body)
    assert (echo["length"], echo["sha256"]) == (size, pattern.digest(size))
    assert echo["framing"] == "chunked", echo


def test_chunks_of_every_shape(tunnel):
    body = pattern.data(3000)
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/sink"), [("Transfer-Encoding", "chunked")])
        visitor.send(b"000001\r\n" + body[:1] + b"\r\n")
        visitor.send(b"A;name=value;quoted=\"a;b\"\r\n" + body[1:11] + b"\r\n")
        for byte in b"7d0\r\n":  # one byte at a time
            visitor.send(bytes([byte]))
        visitor.send(body[11:2011], b"\r\n")
        for at in range(2011, 3000, 23):
            visitor.chunk(body[at:min(at + 23, 3000)])
        visitor.send(b"0;last\r\n\r\n")
        echo = json.loads(visitor.answer().body)
    assert (echo["length"], echo["sha256"]) == (3000, pattern.digest(3000)), echo


def test_trailers_are_read_and_dropped_both_ways(tunnel, backend):
    backend.raw("/t", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                      b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nAuthorization: x\r\n\r\n")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/t"), [("Transfer-Encoding", "chunked")])
        visitor.send(b"3\r\nabc\r\n0\r\nX-Up: 1\r\nContent-Length: 7\r\n\r\n")
        answer = visitor.answer()
        assert (answer.status, answer.body, answer.trailers) == (200, b"abc", []), answer
    answer = tunnel.ask("POST", "/sink", body=[b"x"], chunked=True)
    assert backend.last().trailers == [] and answer.status == 200


def test_an_http_1_0_visitor_gets_no_chunks(tunnel):
    answer = tunnel.ask("GET", "/big/100000?framing=chunked", version="HTTP/1.0")
    assert (answer.status, answer.framing, len(answer.body)) == (200, "close", 100000), answer


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\nonly this",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
    ids=["length", "in a chunk", "between chunks", "bad end of chunk", "bad size"])
def test_a_truncated_answer_looks_truncated(tunnel, backend, answer):
    backend.raw("/cut", answer)
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/cut"))
        with pytest.raises(ConnectionError):  # an end inside the body, or a reset
            visitor.answer()


def test_a_reset_read_until_close_answer_is_an_error_not_an_end(tunnel, backend):
    feed = backend.feed("/close", head(200, [("Connection", "close")]))
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/close"))
        feed.send(b"some")
        answer = visitor.answer_head()
        assert answer.status == 200
        if answer.framing == "close":
            assert visitor.take(4) == b"some"
            feed.reset()
            with pytest.raises(ConnectionResetError):
                visitor.rest()
        else:
            feed.reset()
            with pytest.raises(ConnectionError):
                answer.read(lambda piece: None)


def test_a_visitor_that_breaks_off_its_upload_breaks_it_off_for_the_backend(tunnel, backend):
    tap = backend.tap("/tap")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"), [("Content-Length", "1000")])
        visitor.send(b"x" * 10)
        assert tap.wait(10) == b"x" * 10
        visitor.reset()
        assert tap.wait_end() in ("Ended", "ConnectionResetError"), tap.ended


def test_a_visitor_that_goes_away_frees_the_backend(tunnel, backend):
    feed = backend.feed("/endless", head(200, [("Connection", "close")]))
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/endless"))
        assert feed.opened.wait(5)

    def gone():
        feed.send(b"x" * 1000)  # a backend notices when it writes
        return backend.open_connections() == 0

    proc.wait_until(gone, 5, "the backend's connection is still open")


def test_half_close_after_the_request_still_gets_the_answer(tunnel, backend):
    feed = backend.feed("/later", head(200, [("Content-Length", 5)]))
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/later"))
        visitor.finish()
        assert feed.opened.wait(5)
        feed.send(b"later")
        assert visitor.answer().body == b"later"
        assert visitor.ended() == "eof"


def test_a_half_closed_upload_without_all_its_bytes_is_no_upload(tunnel, backend):
    tap = backend.tap("/tap")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"), [("Content-Length", "10")])
        visitor.send(b"12345")
        assert tap.wait(5) == b"12345"
        visitor.finish()
        assert tap.wait_end() in ("Ended", "ConnectionResetError"), tap.ended
    assert tap.data == b"12345"


def test_strict_reading_is_what_the_tests_do():
    """The reader these stories trust refuses what it should."""
    for bad in (b"HTTP/1.1 200 OK\nX: y\r\n\r\n", b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(bad)
            with pytest.raises(wire.Malformed):
                wire.Response(wire.Stream(ours)).frame("GET")
