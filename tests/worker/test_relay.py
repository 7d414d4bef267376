# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-relay, sealed, with the test as its supervisor, its gates, its visitors and its
# backend: what it asks for, what it passes on, what it does when any of them misbehaves.

import contextlib
import fcntl
import hashlib
import mmap
import os
import socket
import struct
import termios
import threading
import time

import msgpack
import pytest

from child import MSG, Channel, Child, one_way

ID = "t-abcdefghijklmnopqrstuvwxyz"
SECRET = "the-secret-of-this-test"
PEER = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7]) + (4711).to_bytes(2, "big")
REFUSED, TIMEOUT = 1, 2
COUNTERS = ("connections", "open", "requests", "bytes_in", "bytes_out", "last_activity")
PATIENCE = 10


def config(backend="http://service.test:8000", auth="none", prefix="strip", reuse="visitor",
           connections=100, requests=0, size=0, rate=0):
    return msgpack.packb([1, ID, "", backend, auth, prefix, reuse, 3600_000, connections, requests,
                          size, rate])


def tcp_pair(reset_on_close=True):
    """(client, server) ends of a TCP connection, the server's with what listeners give it: SO_LINGER {1, 0}, SO_OOBINLINE."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        server, _ = listening.accept()
    if reset_on_close:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(PATIENCE)
    server.setblocking(False)
    return client, server


class Relay(Child):
    def __init__(self, setup=None, **settings):
        memory = os.memfd_create("counters")
        os.ftruncate(memory, mmap.PAGESIZE)
        self.page = mmap.mmap(memory, mmap.PAGESIZE, prot=mmap.PROT_READ)
        sending, receiving = one_way()
        self.gates = Channel(sending)
        super().__init__("relay", {4: receiving, 5: memory})
        self.ready()
        if setup is None:
            self.setup(**settings)

    def setup(self, head_ms=10_000, idle_ms=75_000, connect_ms=5_000, failure_rate=0, request_log=0, **settings):
        self.send(MSG.RELAY_SETUP, config(**settings), hashlib.sha256(SECRET.encode()).digest(),
                  head_ms, idle_ms, connect_ms, "http://tunnels.test:8080", failure_rate, request_log)

    def close(self):
        self.gates.close()
        super().close()

    def visit(self, data, peer=PEER):
        """A visitor whose gate has read DATA; returns the visitor's end."""
        client, server = tcp_pair()
        self.gates.send(MSG.VISITOR, peer, 0, data, fd=server, epoch=0)
        server.close()
        return client

    def accept(self, addresses=1):
        """Answers the next DIAL; returns the backend's end of the connection."""
        dial = self.expect(MSG.DIAL)
        ours, theirs = tcp_pair()
        self.send(MSG.DIALED, dial.fields[0], addresses, fd=theirs)
        theirs.close()
        return ours

    def counter(self, name):
        at = 8 * COUNTERS.index(name)
        return int.from_bytes(self.page[at:at + 8], "little")


def get(path="/", fields="", method="GET"):
    return f"{method} /t/{ID}{path} HTTP/1.1\r\nHost: tunnels.test\r\n{fields}\r\n".encode()


def read_head(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        assert piece, f"ended inside a head: {data!r}"
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), rest


def read_exactly(sock, size, have=b""):
    while len(have) < size:
        piece = sock.recv(65536)
        assert piece, f"ended after {len(have)} of {size} bytes"
        have += piece
    return have


def read_all(sock, have=b""):
    while piece := sock.recv(65536):
        have += piece
    return have


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def closed(sock):
    """How the other side has closed: 'end' or 'reset'. Bytes before that are an error."""
    try:
        piece = sock.recv(65536)
    except ConnectionResetError:
        return "reset"
    assert piece == b"", f"bytes instead of the end: {piece[:200]!r}"
    return "end"


def wait_until(condition, what):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, f"never became true: {what}"
        os.sched_yield()


@pytest.fixture
def relay():
    with Relay() as relay:
        yield relay


# ---- requests

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


class Sender:
    def __init__(self, sock, chunked, body):
        self.thread = threading.Thread(target=self.run, args=(sock, chunked, body))
        self.thread.start()

    def run(self, sock, chunked, body):
        if not chunked:
            sock.sendall(body)
            return
        for at in range(0, len(body), 100_000):
            piece = body[at:at + 100_000]
            sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        sock.sendall(b"0\r\n\r\n")

    def join(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the sender is stuck"


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


# ---- access

def authorized(fields, path="/"):
    return get(path, fields)


@pytest.mark.parametrize("auth, fields, passes", (
    ("bearer", f"Authorization: Bearer {SECRET}\r\n", False),
    ("bearer", f"X-Tunnel-Authorization: Bearer {SECRET}\r\nAuthorization: mine\r\n", True),
    ("basic", "Authorization: Basic eDp0aGUtc2VjcmV0LW9mLXRoaXMtdGVzdA==\r\n", False),
    ("none", "Authorization: Bearer whatever\r\n", True),
))
def test_credentials_open_the_tunnel_and_stay_here(auth, fields, passes):
    with Relay(auth=auth) as relay:
        relay.visit(authorized(fields))
        lines, _ = read_head(relay.accept())
        assert ("Authorization" in "".join(lines)) == passes, lines
        assert "X-Tunnel" not in "".join(lines) and SECRET not in "".join(lines)


@pytest.mark.parametrize("auth, fields, code", (
    ("bearer", "", "auth_required"),
    ("bearer", "Authorization: Bearer wrong\r\n", "auth_failed"),
    ("bearer", "Authorization: Basic eDp0aGUtc2VjcmV0LW9mLXRoaXMtdGVzdA==\r\n", "auth_failed"),
    ("bearer", f"Authorization: Bearer {SECRET}\r\nX-Tunnel-Authorization: Bearer no\r\n", "auth_failed"),
    ("basic", "Authorization: Basic !!\r\n", "auth_failed"),
    ("basic", "", "auth_required"),
))
def test_refused_credentials(auth, fields, code):
    with Relay(auth=auth) as relay:
        visitor = relay.visit(authorized(fields + "Connection: close\r\n"))
        answer = read_all(visitor)
        assert answer.startswith(b"HTTP/1.1 401 "), answer
        assert f"Tunnel-Error: {code}".encode() in answer
        scheme = b"Basic" if auth == "basic" else b"Bearer"
        assert b"WWW-Authenticate: " + scheme in answer
        assert relay.silent(0.2), "nobody was dialled"


def test_navigation_goes_to_the_page_maker(relay):
    with Relay(auth="bearer") as relay:
        visitor = relay.visit(get("/", "Accept: text/html\r\n"))
        page = relay.expect(MSG.PAGE_OUT)
        assert page.fields == [3, False, 0]  # auth_required
        theirs = page.take_socket()
        theirs.sendall(b"a page")
        assert read_exactly(visitor, 6) == b"a page"
        wait_until(lambda: relay.counter("open") == 0, "the relay has let go of it")
        theirs.close()


def test_upgrade_is_refused_with_a_bare_status():
    with Relay(auth="bearer") as relay:
        visitor = relay.visit(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        lines, rest = read_head(visitor)
        assert lines[0].startswith("HTTP/1.1 401") and "Content-Length: 0" in lines and rest == b""


# ---- limits and budgets

def test_connection_limit():
    with Relay(connections=2) as relay:
        held = [relay.visit(get()) for _ in range(2)]
        backends = [relay.accept() for _ in held]
        over = relay.visit(get("/", "Connection: close\r\n"))
        assert b"Tunnel-Error: too_many_connections" in read_all(over)
        reset(held[0])
        wait_until(lambda: relay.counter("open") == 1, "one connection left")
        again = relay.visit(get("/again"))
        assert read_head(relay.accept())[0][0] == "GET /again HTTP/1.1"
        again.close()
        [backend.close() for backend in backends]


def test_connections_without_the_secret_take_no_place():
    with Relay(auth="bearer", connections=3) as relay:
        right = f"Authorization: Bearer {SECRET}\r\n"
        visitor = relay.visit(get("/1", right))
        backend = relay.accept()
        read_head(backend)
        backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        read_head(visitor)
        strangers = [relay.visit(get()) for _ in range(5)]
        for stranger in strangers:
            lines, _ = read_head(stranger)
            assert lines[0].startswith("HTTP/1.1 401") and "Connection: close" in lines
        visitor.sendall(get("/2", right))
        assert read_head(backend)[0][0] == "GET /2 HTTP/1.1"
        other = relay.visit(get("/3", right))
        assert read_head(relay.accept())[0][0] == "GET /3 HTTP/1.1"
        other.close()


def test_request_budget_is_served_to_the_last_request_and_then_reported():
    with Relay(requests=2) as relay:
        visitor = relay.visit(get("/1"))
        backend = relay.accept()
        for number in (1, 2):
            if number == 2:
                visitor.sendall(get("/2"))
            read_head(backend)
            assert relay.silent(0.05)
            backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            lines, rest = read_head(visitor)
            assert read_exactly(visitor, 2, rest) == b"ok"
        assert relay.expect(MSG.USED_UP).fields == ["requests"]
        assert "Connection: close" in lines and closed(visitor) == "end"
        late = relay.visit(get("/3", "Connection: close\r\n"))
        assert b"Tunnel-Error: tunnel_over" in read_all(late)


def test_last_answer_of_a_request_budget_arrives_whole():
    """However slowly it is read: the end is reported when it has been delivered."""
    body = os.urandom(3_000_000)
    with Relay(requests=1) as relay:
        visitor = relay.visit(get("/1"))
        backend = relay.accept()
        read_head(backend)
        sender = Sender(backend, False, b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + body)
        assert relay.silent(0.3), "reported while most of it is still on its way"
        lines, got = read_head(visitor)
        assert read_exactly(visitor, len(body), got) == body
        sender.join()
        assert relay.expect(MSG.USED_UP).fields == ["requests"]


def test_byte_budget_is_exact_for_bytes_that_came_with_a_head():
    with Relay(size=10) as relay:
        visitor = relay.visit(get("/", "Content-Length: 40000\r\n", "POST") + bytes(40000))
        backend = relay.accept()
        lines, got = read_head(backend)
        assert read_exactly(backend, 10, got) == bytes(10)
        assert relay.expect(MSG.USED_UP).fields == ["bytes"]
        backend.settimeout(0.2)
        with pytest.raises(TimeoutError):
            backend.recv(1)
        late = relay.visit(get("/", "Connection: close\r\n"))
        assert b"Tunnel-Error: tunnel_over" in read_all(late)
        visitor.close()


def test_byte_budget():
    with Relay(size=1000) as relay:
        visitor = relay.visit(get())
        backend = relay.accept()
        read_head(backend)
        backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(999))
        assert relay.silent(0.2)
        backend.sendall(b"x")
        assert relay.expect(MSG.USED_UP).fields == ["bytes"]
        visitor.close()


def test_request_rate():
    with Relay(rate=3) as relay:
        visitor = relay.visit(get("/", "", "GET") * 4)
        backend = relay.accept()
        for _ in range(3):
            read_head(backend)
            backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        seen = b""
        while b"}\n" not in seen:
            seen += visitor.recv(65536)
        assert seen.count(b"HTTP/1.1 204") == 3
        assert b"HTTP/1.1 429 " in seen and b"Retry-After: 1\r\n" in seen


# ---- byte relays

def upgraded(relay, rest=b"", extra=b""):
    visitor = relay.visit(get("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n") + extra)
    backend = relay.accept()
    lines, got = read_head(backend)
    assert "Connection: Upgrade" in lines and "Upgrade: websocket" in lines
    backend.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                    b"Upgrade: websocket\r\n\r\n" + rest)
    lines, had = read_head(visitor)
    assert lines[0] == "HTTP/1.1 101 Switching Protocols" and "Upgrade: websocket" in lines
    return visitor, backend, had, got


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


# ---- dialling

def test_other_addresses_are_tried(relay):
    visitor = relay.visit(get())
    for attempt in range(3):
        dial = relay.expect(MSG.DIAL)
        assert dial.fields[1] == attempt
        if attempt == 2:
            break
        # A socket whose connection attempt is refused: nobody listens there.
        with socket.create_server(("127.0.0.1", 0)) as closing:
            address = closing.getsockname()
        refused = socket.socket()
        refused.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            refused.connect(address)
        relay.send(MSG.DIALED, dial.fields[0], 3, fd=refused)
        refused.close()
    ours, theirs = tcp_pair()
    relay.send(MSG.DIALED, dial.fields[0], 3, fd=theirs)
    assert read_head(ours)[0][0] == "GET / HTTP/1.1"
    visitor.close()


@pytest.mark.parametrize("reason, code", ((REFUSED, b"backend_refused"), (TIMEOUT, b"backend_timeout")))
def test_failed_dial_is_reported(relay, reason, code):
    visitor = relay.visit(get("/", "Connection: close\r\n"))
    relay.send(MSG.DIAL_FAILED, relay.expect(MSG.DIAL).fields[0], reason)
    assert b"Tunnel-Error: " + code in read_all(visitor)


def test_connect_timeout():
    with Relay(connect_ms=200) as relay:
        visitor = relay.visit(get("/", "Connection: close\r\n"))
        relay.expect(MSG.DIAL)
        assert b"Tunnel-Error: backend_timeout" in read_all(visitor)


def test_many_dials_queue_up(relay):
    visitors = [relay.visit(get(f"/{i}", "Connection: close\r\n")) for i in range(100)]
    dials = [relay.expect(MSG.DIAL) for _ in range(64)]
    assert relay.silent(0.2), "no more than 64 are open at a time"
    seen = set()
    while dials:
        dial = dials.pop()
        ours, theirs = tcp_pair()
        relay.send(MSG.DIALED, dial.fields[0], 1, fd=theirs)
        theirs.close()
        seen.add(read_head(ours)[0][0])
        ours.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        if len(seen) + len(dials) < 100:
            dials.append(relay.expect(MSG.DIAL))
    assert len(seen) == 100
    for visitor in visitors:
        assert b"204 No Content" in read_all(visitor)


def test_idle_backend_that_closed_is_replaced(relay):
    visitor = relay.visit(get("/1"))
    backend = relay.accept()
    read_head(backend)
    backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    read_head(visitor)
    backend.close()
    visitor.sendall(get("/2"))
    backend = relay.accept()
    assert read_head(backend)[0][0] == "GET /2 HTTP/1.1"
    backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert read_head(visitor)[0][0] == "HTTP/1.1 204 No Content"


def test_shared_backend_connection_serves_the_next_visitor():
    with Relay(reuse="shared") as relay:
        visitor = relay.visit(get("/1", "Connection: close\r\n"))
        backend = relay.accept()
        read_head(backend)
        backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        read_all(visitor)
        visitor = relay.visit(get("/2", "Connection: close\r\n"))
        assert read_head(backend)[0][0] == "GET /2 HTTP/1.1"
        # An answer nobody asked for must not become somebody's.
        backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert b"204" in read_all(visitor)
        visitor = relay.visit(get("/3"))
        assert read_head(relay.accept())[0][0] == "GET /3 HTTP/1.1"


# ---- deadlines

def test_slow_head_and_idle_connection():
    with Relay(head_ms=300, idle_ms=300) as relay:
        visitor = relay.visit(get("/"))
        backend = relay.accept()
        read_head(backend)
        backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        read_head(visitor)
        assert closed(visitor) == "end"
        visitor = relay.visit(b"GET /t/")
        answer = read_all(visitor)
        assert answer.startswith(b"HTTP/1.1 408 ") and b"request_timeout" in answer


def test_request_body_that_stops_arriving():
    with Relay(idle_ms=300) as relay:
        visitor = relay.visit(get("/", "Content-Length: 10\r\n", "POST") + b"half")
        backend = relay.accept()
        lines, got = read_head(backend)
        read_exactly(backend, 4, got)
        answer = read_all(visitor)
        assert answer.startswith(b"HTTP/1.1 408 ") and b"idle_timeout" in answer
        assert closed(backend) == "reset", "a cut request must not look complete"


def test_backend_that_does_not_read_is_no_stalled_visitor():
    with Relay(idle_ms=300) as relay:
        size = 30_000_000
        visitor = relay.visit(get("/", f"Content-Length: {size}\r\n", "POST"))
        backend = relay.accept()
        sender = Sender(visitor, False, bytes(size))
        lines, got = read_head(backend)
        time.sleep(1)  # three times the deadline, during which nobody reads
        read_exactly(backend, size, got)
        sender.join()
        backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert read_head(visitor)[0][0] == "HTTP/1.1 204 No Content"


def test_answer_may_take_longer_than_any_deadline():
    with Relay(idle_ms=200, head_ms=200, connect_ms=200) as relay:
        visitor = relay.visit(get("/", "Content-Length: 2\r\n", "POST") + b"ok")
        backend = relay.accept()
        read_head(backend)
        time.sleep(0.7)
        backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla")
        time.sleep(0.7)
        backend.sendall(b"te")
        lines, rest = read_head(visitor)
        assert read_exactly(visitor, 4, rest) == b"late"


# ---- liars

def test_bad_gate_messages_are_dropped_and_others_served(relay):
    client, server = tcp_pair()
    for data, fds in (
            (b"garbage", ()),
            (msgpack.packb([MSG.VISITOR, 0, PEER, 0, b"x"]), ()),                     # no descriptor
            (msgpack.packb([MSG.VISITOR, 0, PEER, 0, b"x"]), (server, server)),       # two
            (msgpack.packb([MSG.VISITOR, 0, PEER[:-1], 0, b"x"]), (server,)),         # short peer
            (msgpack.packb([MSG.VISITOR, 0, PEER, 0, b"x", 1]), (server,)),           # one field more
            (msgpack.packb([MSG.VISITOR, 0, PEER, 0, b"x" * (48 * 1024 + 1)]), (server,)),
            (msgpack.packb([99, 0]), ()),
            (msgpack.packb([MSG.RELAY_SETUP, 0, b"", b"", 1, 1, 1, ""]), ()),
            (msgpack.packb([[[1]], 0]), ())):
        relay.gates.raw(data, fds)
    listening = socket.create_server(("127.0.0.1", 0))
    relay.gates.send(MSG.VISITOR, PEER, 0, get(), fd=listening, epoch=0)
    relay.gates.send(MSG.VISITOR, PEER, 0, get(), fd=socket.socket(), epoch=0)
    pipe = os.pipe()
    relay.gates.send(MSG.VISITOR, PEER, 0, get(), fd=pipe[0], epoch=0)
    os.close(pipe[0])
    os.close(pipe[1])
    visitor = relay.visit(get("/good"))
    assert read_head(relay.accept())[0][0] == "GET /good HTTP/1.1"
    assert relay.counter("connections") == 1
    visitor.close()


def test_it_ends_with_its_supervisor():
    with Relay() as relay:
        relay.visit(get())
        relay.expect(MSG.DIAL)
        relay.sock.close()
        assert relay.wait() == 0
