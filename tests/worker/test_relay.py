# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-relay: what it passes on between visitors and backend, and how; with a backend of
# its own, and with one behind an agent.

import fcntl
import hashlib
import os
import socket
import termios

import pytest

from agent_stage import PullRelay
from relay_stage import (
    ID, Relay, Sender, closed, get, read_all, read_exactly, read_head, reset, upgraded,
    wait_until)


@pytest.fixture(params=[Relay, PullRelay], ids=["push", "pull"])
def relay(request):
    with request.param() as relay:
        yield relay


def test_request_and_answer(relay):
    visitor = relay.visit(get("/a?b=c", "Accept: */*\r\nX-Forwarded-For: 6.6.6.6\r\n"))
    backend = relay.accept()
    lines, rest = read_head(backend)
    assert lines[0] == "GET /a?b=c HTTP/1.1" and rest == b""
    fields = dict(line.split(": ", 1) for line in lines[1:])
    assert fields == {
        "Host": "service.test:8000", "Accept": "*/*", "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "http", "X-Forwarded-Host": "tunnels.test",
        "X-Forwarded-Prefix": f"/t/{ID}", "Via": "1.1 tunneld",
        "Forwarded": 'for=192.0.2.7;host="tunnels.test";proto=http'}
    backend.sendall(b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello")
    lines, rest = read_head(visitor)
    assert lines[0] == "HTTP/1.1 200 Fine"
    assert "Content-Length: 5" in lines and "X-A: 1" in lines
    assert read_exactly(visitor, 5, rest) == b"hello"
    assert relay.counter("requests") == 1 and relay.counter("bytes_out") == 5

    # The connections on both sides are used again.
    visitor.sendall(get("/second"))
    lines, _ = read_head(backend)
    assert lines[0] == "GET /second HTTP/1.1"
    backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert read_head(visitor)[0][0] == "HTTP/1.1 204 No Content"
    assert relay.counter("connections") == 1 and relay.counter("open") == 1
    visitor.close()
    wait_until(lambda: relay.counter("open") == 0, "no open connection")


def test_trickled_answer_and_chunks(relay):
    visitor = relay.visit(get())
    backend = relay.accept()
    read_head(backend)
    answer = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
              b"4;x=y\r\nabcd\r\n3\r\nefg\r\n0\r\nTrailer: dropped\r\n\r\n")
    for i in range(len(answer)):
        backend.sendall(answer[i:i + 1])
    lines, rest = read_head(visitor)
    assert "Transfer-Encoding: chunked" in lines
    while not rest.endswith(b"0\r\n\r\n"):
        rest += visitor.recv(65536)
    body = b"".join(line for i, line in enumerate(rest.split(b"\r\n")) if i % 2)
    assert body == b"abcdefg" and b"Trailer" not in rest


def test_pipelined_requests_are_answered_in_order(relay):
    visitor = relay.visit(get("/1") + get("/2") + get("/3", "Connection: close\r\n"))
    backend = relay.accept()
    for i in (1, 2, 3):
        lines, rest = read_head(backend)
        assert lines[0] == f"GET /{i} HTTP/1.1" and rest == b""
        backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % i)
    answers = read_all(visitor)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert [answers.index(b"\r\n\r\n%d" % i) for i in (1, 2, 3)] == sorted(
        answers.index(b"\r\n\r\n%d" % i) for i in (1, 2, 3))
    assert b"Connection: close" in answers


@pytest.mark.parametrize("chunked", (False, True))
def test_large_bodies_both_ways(relay, chunked):
    size = 5_000_000
    body = os.urandom(1 << 16) * (size // (1 << 16) + 1)
    body = body[:size]
    framing = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {size}\r\n"
    visitor = relay.visit(get("/up", framing, "POST"))
    backend = relay.accept()
    lines, got = read_head(backend)
    sender = Sender(visitor, chunked, body)
    if chunked:
        got = unchunk(backend, got)
    else:
        got = read_exactly(backend, size, got)
    sender.join()
    assert hashlib.sha256(got).hexdigest() == hashlib.sha256(body).hexdigest()
    backend.sendall(b"HTTP/1.1 200 OK\r\n" + framing.encode() + b"\r\n")
    sender = Sender(backend, chunked, body)
    lines, got = read_head(visitor)
    got = unchunk(visitor, got) if chunked else read_exactly(visitor, size, got)
    sender.join()
    assert hashlib.sha256(got).hexdigest() == hashlib.sha256(body).hexdigest()
    assert relay.counter("bytes_in") == size and relay.counter("bytes_out") == size


def unchunk(sock, have):
    buffered = [have]

    def line():
        while b"\n" not in buffered[0]:
            piece = sock.recv(65536)
            assert piece, "ended inside chunks"
            buffered[0] += piece
        text, _, buffered[0] = buffered[0].partition(b"\n")
        return text

    body = []
    while size := int(line(), 16):
        buffered[0] = read_exactly(sock, size + 2, buffered[0])
        body.append(buffered[0][:size])
        buffered[0] = buffered[0][size + 2:]
    assert line() == b"\r"
    return b"".join(body)


def test_answer_until_close_becomes_chunks(relay):
    visitor = relay.visit(get())
    backend = relay.accept()
    read_head(backend)
    backend.sendall(b"HTTP/1.0 200 OK\r\n\r\nall of it")
    backend.close()
    lines, rest = read_head(visitor)
    assert "Transfer-Encoding: chunked" in lines
    while not rest.endswith(b"0\r\n\r\n"):
        rest += visitor.recv(65536)
    assert rest == b"9\r\nall of it\r\n0\r\n\r\n"


def test_answer_until_close_that_is_cut_is_an_error(relay):
    visitor = relay.visit(get())
    backend = relay.accept()
    read_head(backend)
    backend.sendall(b"HTTP/1.0 200 OK\r\n\r\nnot all")
    lines, rest = read_head(visitor)
    read_exactly(visitor, len(b"7\r\nnot all\r\n"), rest)
    reset(backend)
    assert closed(visitor) == "reset"


def test_cut_length_is_an_error(relay):
    visitor = relay.visit(get())
    backend = relay.accept()
    read_head(backend)
    backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    lines, rest = read_head(visitor)
    assert read_exactly(visitor, 5, rest) == b"short"
    backend.close()
    assert closed(visitor) == "reset"


def test_old_visitor_gets_plain_bytes_and_the_end(relay):
    visitor = relay.visit(f"GET /t/{ID}/ HTTP/1.0\r\n\r\n".encode())
    backend = relay.accept()
    assert read_head(backend)[0][0] == "GET / HTTP/1.1"
    backend.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    lines, rest = read_head(visitor)
    assert "Connection: close" in lines and not any("chunked" in line for line in lines)
    assert read_all(visitor, rest) == b"abc"


def test_interim_answers_pass_and_a_flood_does_not(relay):
    visitor = relay.visit(get("/", "Expect: 100-continue\r\nContent-Length: 2\r\n", "POST"))
    backend = relay.accept()
    lines, _ = read_head(backend)
    assert "Expect: 100-continue" in lines
    backend.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert read_head(visitor)[0][0] == "HTTP/1.1 100 Continue"
    visitor.sendall(b"ok")
    assert read_exactly(backend, 2) == b"ok"
    backend.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 40)
    seen = b""
    while b"}\n" not in seen:
        seen += visitor.recv(65536)
    assert seen.count(b"HTTP/1.1 103 Early Hints") == 31
    assert b"HTTP/1.1 502 " in seen and b"backend_bad_response" in seen


def test_early_answer_while_the_body_still_comes(relay):
    visitor = relay.visit(get("/", "Content-Length: 1000000\r\n", "PUT"))
    backend = relay.accept()
    read_head(backend)
    backend.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    lines, rest = read_head(visitor)
    assert lines[0].startswith("HTTP/1.1 413") and "Connection: close" in lines
    visitor.sendall(b"x" * 1000)
    assert read_all(visitor, rest) == b"no"


def test_half_closed_visitor_still_gets_its_answer(relay):
    visitor = relay.visit(get())
    visitor.shutdown(socket.SHUT_WR)
    backend = relay.accept()
    read_head(backend)
    backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
    lines, rest = read_head(visitor)
    assert read_all(visitor, rest) == b"late"


def test_connection_of_another_tunnel_is_misdirected(relay):
    visitor = relay.visit(b"GET /t/t-zzzzzzzzzzzzzzzzzzzzzzzzzz/ HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = read_all(visitor)
    assert answer.startswith(b"HTTP/1.1 421 ") and b"Tunnel-Error: misdirected" in answer


def test_missing_slash_is_redirected(relay):
    visitor = relay.visit(get("?a=b", "Connection: close\r\n"))
    answer = read_all(visitor)
    assert answer.startswith(b"HTTP/1.1 308 ") and f"Location: /t/{ID}/?a=b\r\n".encode() in answer
    assert answer.count(b"\r\nDate: ") == 1, answer


@pytest.mark.parametrize("first", (10, 1000, 4096, 9000))
def test_large_head_in_two_parts_on_a_kept_connection(relay, first):
    """More of it waits than one read takes, and no further event comes."""
    visitor = relay.visit(get("/1"))
    backend = relay.accept()
    read_head(backend)
    backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    read_head(visitor)
    head = get("/2", f"Cookie: a={'x' * 7000}\r\nX-Large: {'y' * 7000}\r\n")
    visitor.sendall(head[:first])
    wait_until(lambda: taken(visitor), "the first part has been read")
    visitor.sendall(head[first:])
    assert read_head(backend)[0][0] == "GET /2 HTTP/1.1"


def taken(sock):
    """Whether everything sent has been acknowledged, which on loopback is when it has been queued."""
    return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), "little") == 0


# ---- byte relays

def test_bytes_after_a_101_are_untouched(relay):
    visitor, backend, had, got = upgraded(relay, rest=b"first", extra=b"eager")
    assert read_exactly(visitor, 5, had) == b"first"
    assert read_exactly(backend, 5, got) == b"eager"
    blob = os.urandom(3_000_000)
    for source, sink in ((visitor, backend), (backend, visitor)):
        sender = Sender(source, False, blob)
        assert read_exactly(sink, len(blob)) == blob
        sender.join()
    visitor.shutdown(socket.SHUT_WR)
    assert closed(backend) == "end"
    backend.sendall(b"still")
    assert read_exactly(visitor, 5) == b"still"
    backend.close()
    assert closed(visitor) == "end"
    wait_until(lambda: relay.counter("open") == 0, "the connection is forgotten")


def test_reset_of_either_side_resets_the_other(relay):
    for which in (0, 1):
        ends = upgraded(relay)[:2]
        reset(ends[which])
        assert closed(ends[1 - which]) == "reset"


def test_backend_that_says_goodbye_and_closes_is_heard(relay):
    visitor, backend, _, _ = upgraded(relay)
    backend.sendall(b"goodbye")
    backend.close()
    visitor.sendall(b"late")      # meets a closed backend
    assert read_all(visitor) == b"goodbye"


def test_101_unasked_is_refused(relay):
    visitor = relay.visit(get())
    backend = relay.accept()
    read_head(backend)
    backend.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    lines, _ = read_head(visitor)
    assert lines[0].startswith("HTTP/1.1 502") and "Tunnel-Error: backend_bad_response" in lines


def test_tcp_tunnel():
    with Relay(backend="tcp://service.test:5432") as relay:
        visitor = relay.visit(get("/", "Connection: Upgrade\r\nUpgrade: tcp\r\n") + b"eager")
        backend = relay.accept()
        assert read_head(visitor)[0][0] == "HTTP/1.1 101 Switching Protocols"
        assert read_exactly(backend, 5) == b"eager"
        backend.sendall(b"banner")
        assert read_exactly(visitor, 6) == b"banner"
        plain = relay.visit(get("/", "Connection: close\r\n"))
        assert b"Upgrade: tcp" in read_all(plain)
