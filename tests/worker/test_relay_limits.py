# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-relay at its limits: budgets, connections to the backend, deadlines, and messages
# that its supervisor and its gates do not send.

import contextlib
import os
import socket
import time

import msgpack
import pytest

from child import MSG
from relay_stage import (
    PEER, REFUSED, SECRET, TIMEOUT, Relay, Sender, closed, get, read_all, read_exactly,
    read_head, reset, tcp_pair, wait_until)


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
    with Relay(idle_ms=2000) as relay:
        size = 15_000_000  # more than the sockets on the way hold
        visitor = relay.visit(get("/", f"Content-Length: {size}\r\n", "POST"))
        backend = relay.accept()
        sender = Sender(visitor, False, bytes(size))
        lines, got = read_head(backend)
        time.sleep(4)  # longer than the deadline, and nobody reads
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
            (msgpack.packb([MSG.VISITOR, 0, PEER, 0, False, "", b"x"]), ()),                     # no descriptor
            (msgpack.packb([MSG.VISITOR, 0, PEER, 0, False, "", b"x"]), (server, server)),       # two
            (msgpack.packb([MSG.VISITOR, 0, PEER[:-1], 0, False, "", b"x"]), (server,)),         # short peer
            (msgpack.packb([MSG.VISITOR, 0, PEER, 0, False, "", b"x", 1]), (server,)),           # one field more
            (msgpack.packb([MSG.VISITOR, 0, PEER, 0, False, "", b"x" * (48 * 1024 + 1)]), (server,)),
            (msgpack.packb([99, 0]), ()),
            (msgpack.packb([MSG.RELAY_SETUP, 0, b"", b"", 1, 1, 1, ""]), ()),
            (msgpack.packb([[[1]], 0]), ())):
        relay.gates.raw(data, fds)
    listening = socket.create_server(("127.0.0.1", 0))
    relay.gates.send(MSG.VISITOR, PEER, 0, False, "", get(), fd=listening, epoch=0)
    relay.gates.send(MSG.VISITOR, PEER, 0, False, "", get(), fd=socket.socket(), epoch=0)
    pipe = os.pipe()
    relay.gates.send(MSG.VISITOR, PEER, 0, False, "", get(), fd=pipe[0], epoch=0)
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
