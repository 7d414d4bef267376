# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whatever two parsers could read in two ways is refused and the connection ended, so that no
# second request can hide in the first.

import pytest

from support.backend import head

pytestmark = pytest.mark.usefixtures("mode")

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"

BAD_FRAMING = {
    "length and chunked": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "two equal lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde",
    "list of lengths": b"Content-Length: 5, 5\r\n\r\nabcde",
    "signed length": b"Content-Length: +5\r\n\r\nabcde",
    "negative length": b"Content-Length: -1\r\n\r\n",
    "hex length": b"Content-Length: 0x5\r\n\r\nabcde",
    "empty length": b"Content-Length: \r\n\r\n",
    "spaced length": b"Content-Length: 1 0\r\n\r\n",
    "huge length": b"Content-Length: 99999999999999999999999\r\n\r\n",
    "not chunked at the end": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "xchunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "quoted": b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "tab behind chunked": b"Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n",
    "tab behind length": b"Content-Length: 5\t\r\n\r\nabcde",
    "coding on a folded line": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "zero length, zero first": b"Content-Length: 00\r\n\r\n",
    "length beyond 64 bits": b"Content-Length: 18446744073709551621\r\n\r\nabcde",
}

BAD_HEADS = {
    "bare LF": b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "all bare LF": b"X: y\n\n",
    "bare CR": b"X: y\rTransfer-Encoding: chunked\r\n\r\n",
    "NUL": b"X: a\0b\r\n\r\n",
    "NUL in name": b"X\0: a\r\n\r\n",
    "space before colon": b"Content-Length : 5\r\n\r\nabcde",
    "tab before colon": b"Content-Length\t: 5\r\n\r\nabcde",
    "folded": b"X: a\r\n b\r\n\r\n",
    "folded with tab": b"X: a\r\n\tTransfer-Encoding: chunked\r\n\r\n",
    "leading space": b" X: a\r\n\r\n",
    "no colon": b"X\r\n\r\n",
    "no name": b": x\r\n\r\n",
    "bad name": b"X(y): z\r\n\r\n",
    "non-ASCII name": b"X\xe4: z\r\n\r\n",
    "control": b"X: a\x01b\r\n\r\n",
    "DEL": b"X: a\x7fb\r\n\r\n",
    "two hosts": b"Host: y\r\n\r\n",
    "two hosts, equal": b"Host: x\r\n\r\n",
}

BAD_LINES = {
    "no version": b"GET {} \r\n",
    "HTTP/0.9": b"GET {}\r\n",
    "HTTP/2": b"GET {} HTTP/2.0\r\n",
    "HTTP/1.10": b"GET {} HTTP/1.10\r\n",
    "lower case": b"GET {} http/1.1\r\n",
    "two spaces": b"GET  {} HTTP/1.1\r\n",
    "tab": b"GET\t{} HTTP/1.1\r\n",
    "space in target": b"GET {} x HTTP/1.1\r\n",
    "trailing space": b"GET {} HTTP/1.1 \r\n",
    "bad method": b"G@T {} HTTP/1.1\r\n",
    "fragment": b"GET {}#x HTTP/1.1\r\n",
    "non-ASCII target": b"GET {}\xe4 HTTP/1.1\r\n",
    "control in target": b"GET {}\x01 HTTP/1.1\r\n",
    "backslash host": b"GET http://x\\@y{} HTTP/1.1\r\n",
    "CR in line": b"GET {}\r HTTP/1.1\r\n",
}

BAD_CHUNKS = {
    "negative": b"-1\r\n\r\n",
    "prefix": b"0x5\r\nabcde\r\n0\r\n\r\n",
    "huge": b"fffffffffffffffff\r\n",
    "largest": b"ffffffffffffffff\r\n",
    "empty": b"\r\nabc\r\n0\r\n\r\n",
    "space": b"5 \r\nabcde\r\n0\r\n\r\n",
    "leading space": b" 5\r\nabcde\r\n0\r\n\r\n",
    "bare LF after size": b"5\nabcde\r\n0\r\n\r\n",
    "bare CR in extension": b"5;a\rb\r\nabcde\r\n0\r\n\r\n",
    "no CRLF after data": b"5\r\nabcdeX0\r\n\r\n",
    "LF after data": b"5\r\nabcde\n0\r\n\r\n",
    "long extension": b"5;" + b"a" * 20000 + b"\r\nabcde\r\n0\r\n\r\n",
    "long trailers": b"0\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
    "bad trailer": b"0\r\nX : y\r\n\r\n",
    "folded trailer": b"0\r\nX: y\r\n z\r\n\r\n",
    "bare LF after the last chunk": b"0\r\n\n",
    "CR and something else at the end": b"0\r\n\rX",
    "line end in a quoted extension": b'5;a="\r\n"\r\nabcde\r\n0\r\n\r\n',
    "size beyond 64 bits": b"10000000000000005\r\nabcde\r\n0\r\n\r\n",
}


def refused(tunnel, backend, request, reached=()):
    with tunnel.connect() as visitor:
        try:
            visitor.send(request + HIDDEN)
        except ConnectionError:
            pass
        answer = visitor.answer()
        assert answer.status == 400, answer
        assert "close" in answer.fields.tokens("Connection"), answer
        assert visitor.ended() in ("eof", "reset"), "nothing more on this connection"
    paths = [received.path for received in backend.received]
    assert "/hidden" not in paths and set(paths) <= set(reached), paths


def first_and_kept(tunnel, backend, request, reached=()):
    """Refused by the gate as first request of a connection and by the relay as second."""
    refused(tunnel, backend, request, reached)
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/fine")).status == 200
        visitor.send(request + HIDDEN)
        answer = visitor.answer()
        assert answer.status == 400, answer
        assert visitor.ended() in ("eof", "reset")
    paths = {received.path for received in backend.received}
    assert paths <= {"/fine", *reached}, paths


def line(tunnel, method="POST"):
    return f"{method} {tunnel.target('/x')} HTTP/1.1\r\nHost: x\r\n".encode()


@pytest.mark.parametrize("rest", BAD_FRAMING.values(), ids=BAD_FRAMING)
def test_ambiguous_framing(tunnel, backend, rest):
    first_and_kept(tunnel, backend, line(tunnel) + rest)


@pytest.mark.parametrize("rest", BAD_HEADS.values(), ids=BAD_HEADS)
def test_malformed_heads(tunnel, backend, rest):
    first_and_kept(tunnel, backend, line(tunnel) + rest)


@pytest.mark.parametrize("start", BAD_LINES.values(), ids=BAD_LINES)
def test_malformed_request_lines(tunnel, backend, start):
    request = start.replace(b"{}", tunnel.target("/x").encode()) + b"Host: x\r\n\r\n"
    first_and_kept(tunnel, backend, request)


@pytest.mark.parametrize("host", [b"", b"Host: \r\n", b"Host: a b\r\n", b"Host: a/b\r\n", b"Host: u@h\r\n",
                                  b"Host: [::1\r\n", b"Host: a:b\r\n", b"Host: a:99999\r\n", b"Host: a,b\r\n"])
def test_bad_hosts(tunnel, backend, host):
    first_and_kept(tunnel, backend, f"GET {tunnel.target('/x')} HTTP/1.1\r\n".encode() + host + b"\r\n")


def test_chunked_in_http_1_0(tunnel, backend):
    first_and_kept(tunnel, backend, f"POST {tunnel.target('/x')} HTTP/1.0\r\nHost: x\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode())


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS)
def test_malformed_chunks(tunnel, backend, chunks):
    """The request may have begun at the backend, but it is not completed there."""
    tap = backend.tap("/tap")
    request = f"POST {tunnel.target('/tap')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    refused(tunnel, backend, request.encode() + chunks, reached=["/tap"])
    assert not backend.received or tap.wait_end() != "complete", tap.data


@pytest.mark.parametrize("query, fields", [
    (b"?" + b"a" * 9000, b""), (b"", b"".join(b"X%d: y\r\n" % n for n in range(120))),
    (b"", b"".join(b"X%d: %s\r\n" % (n, b"a" * 1000) for n in range(40)))],
    ids=["line", "fields", "head"])
def test_oversized_heads_are_431(tunnel, query, fields):
    for first in (True, False):
        with tunnel.connect() as visitor:
            if not first:
                assert visitor.exchange("GET", tunnel.target("/fine")).status == 200
            start = b"GET " + tunnel.target("/x").encode() + query + b" HTTP/1.1\r\nHost: x\r\n"
            visitor.send(start + fields + b"\r\n")
            answer = visitor.answer()
            assert (answer.status, answer.fields.get("Tunnel-Error")) == (431, "head_too_large"), answer
            assert visitor.ended() in ("eof", "reset")


def test_an_endless_request_line_is_431(tunnel):
    with tunnel.connect() as visitor:
        try:
            visitor.send(f"GET {tunnel.target('/')}".encode() + b"a" * 100000)
        except ConnectionError:
            pass
        assert visitor.answer().status in (414, 431)


BAD_ANSWERS = {
    "not HTTP": b"SSH-2.0-OpenSSH\r\n",
    "nothing": b"",
    "HTTP/0.9": b"<html>hello</html>",
    "bad status": b"HTTP/1.1 20 OK\r\n\r\n",
    "status 600": b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "tab behind chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50000,
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "101 nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + b"z" * 99,
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_malformed_answers_are_502(tunnel, backend, answer):
    backend.raw("/bad", answer)
    got = tunnel.get("/bad")
    assert (got.status, got.fields.get("Tunnel-Error")) == (502, "backend_bad_response"), got


def test_bytes_after_an_answer_are_never_the_next_answer(tunnel, backend):
    """A backend that sends two answers to one request poisons nobody's second request."""
    def double(received, request, stream):
        # At once: what comes behind the visitor's next request cannot be told from its answer.
        stream.send(head(200, [("Content-Length", 3)]) + b"one" +
                    head(200, [("Content-Length", 6)]) + b"poison")
        return True

    backend.route("/double", double)
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/double")).body == b"one"
        try:
            visitor.request("GET", tunnel.target("/next"))
            assert b"poison" not in visitor.answer().body
        except ConnectionError:
            pass  # ending the connection is as good
