# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The ends of a relay's connections, where what the kernel still holds decides whether bytes that
# should arrive do, and whether bytes that should not do not.

import os
import signal
import socket
import time

import pytest

from child import MSG
from relay_stage import Relay, closed, get, read_all, read_exactly, read_head, upgraded, wait_until


def drained(sock):
    """What has come and still comes while nobody sends more."""
    got = b""
    sock.settimeout(0.3)
    try:
        while piece := sock.recv(1 << 20):
            got += piece
    except TimeoutError:
        pass
    sock.settimeout(10)
    return got


def test_urgent_bytes_just_before_the_end_of_a_bulk_transfer():
    """A pipe meets the end where urgent bytes stop it, and it is not the end."""
    with Relay() as relay:
        visitor, backend, had, _ = upgraded(relay)
        sent, step = 0, os.urandom(65536)
        while relay.counter("bytes_out") == sent:  # all of it is on its way, the relay waits for more
            backend.sendall(step)
            sent += len(step)
            limit = time.monotonic() + 0.3
            while relay.counter("bytes_out") < sent and time.monotonic() < limit:
                time.sleep(0.001)
        relay.kill(signal.SIGSTOP)
        got = len(had + drained(visitor))  # the relay learns of this first,
        backend.send(b"!", socket.MSG_OOB)  # and of this later, in one go
        backend.sendall(b"tail")
        backend.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        relay.kill(signal.SIGCONT)
        rest = read_all(visitor)
        assert (got + len(rest), rest[-5:]) == (sent + 5, b"!tail")


@pytest.mark.parametrize("written", ["before", "behind"])
def test_answers_to_others_arrive_whole_when_the_last_request_is_answered(written):
    """That of a request which was not the last one of the budget, and is read slowly."""
    body = os.urandom(1_000_000)
    with Relay(requests=2) as relay:
        slow = relay.visit(get("/1"))
        backend = relay.accept()
        read_head(backend)
        backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        _, got = read_head(slow)
        if written == "before":
            backend.sendall(body)
            wait_until(lambda: relay.counter("bytes_out") == len(body), "all has been taken")
        quick = relay.visit(get("/2", "Connection: close\r\n"))
        other = relay.accept()
        read_head(other)
        other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert read_all(quick).endswith(b"ok")
        if written == "behind":
            backend.sendall(body)
        assert relay.silent(0.3), "reported while most of an answer is still on its way"
        assert read_exactly(slow, len(body), got) == body
        assert closed(slow) == "end"
        assert relay.expect(MSG.USED_UP).fields == ["requests"]


def test_a_slow_reader_of_a_budget_goes_on():
    body = os.urandom(1_000_000)
    with Relay(requests=9) as relay:
        visitor = relay.visit(get("/1") + get("/2"))
        backend = relay.accept()
        for _ in range(3):
            head, rest = read_head(backend)
            assert rest == b"", "nothing more before the answer"
            backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + body)
            time.sleep(0.3)
            lines, got = read_head(visitor)
            assert read_exactly(visitor, len(body), got) == body
            if "/2" in head[0]:
                visitor.sendall(get("/3"))


def both_ended(relay):
    """A visitor who sent much more than the backend has read; both have ended their part."""
    visitor, backend, _, _ = upgraded(relay)
    body = os.urandom(1_000_000)
    visitor.sendall(body)
    visitor.shutdown(socket.SHUT_WR)
    wait_until(lambda: relay.counter("bytes_in") == len(body), "all has been taken")
    backend.shutdown(socket.SHUT_WR)
    assert closed(visitor) == "end"
    time.sleep(0.3)
    return visitor, backend, body


def test_nothing_reaches_a_backend_after_the_end():
    with Relay() as relay:
        visitor, backend, body = both_ended(relay)
        relay.kill()
        got = 0
        try:
            while piece := backend.recv(65536):
                got += len(piece)
            raise AssertionError(f"an end in order behind {got} of {len(body)} bytes")
        except ConnectionResetError:
            assert got < len(body)


def test_a_slow_backend_gets_everything_while_the_tunnel_lives():
    with Relay() as relay:
        visitor, backend, body = both_ended(relay)
        assert read_exactly(backend, len(body)) == body
        assert closed(backend) == "end"
        visitor.close()
        wait_until(lambda: relay.counter("open") == 0, "the connection is forgotten")
