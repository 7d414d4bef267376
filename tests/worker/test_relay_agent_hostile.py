# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Agents that break the rules: each is cut off with the name of what it did, in its close frame and
# in the log; the relay lives, and an honest agent beside it serves on.

import resource
import struct
import threading
import time

import msgpack
import pytest
from agent_stage import (
    BINARY, CLOSE, CREDIT, DATA, FIN, HELLO, NOTICE, OPEN, PING, PONG, RESET, WINDOW, Agent, frame)
from child import MSG
from relay_stage import (
    PATIENCE, Relay, closed, get, read_all, read_exactly, read_head, reset, wait_until)

from support import proc


def pack(*message):
    return msgpack.packb(message)


def message(*values):
    return frame(BINARY, pack(*values))


HELLO_MAP = {"instance": "x"}
VIOLATIONS = {  # name: what it sends, code and words of the close frame
    "unmasked": (frame(BINARY, b"x", masked=False), 1002, "an unmasked frame of a client"),
    "reserved bit": (b"\xc2\x80\0\0\0\0", 1002, "a reserved bit is set"),
    "opcode": (b"\x83\x80\0\0\0\0", 1002, "an unknown opcode"),
    "continuation": (b"\x80\x80\0\0\0\0", 1002, "a continuation without a message"),
    "length": (b"\x82\xfe\0\x01\0\0\0\0x", 1002, "a length that is not in its shortest form"),
    "long length": (b"\x82\xff\xff" + bytes(11), 1002, "a length with its highest bit set"),
    "long ping": (b"\x89\xfe\0\x7e\0\0\0\0", 1002, "a control frame of more than 125 bytes"),
    "ping in fragments": (b"\x09\x80\0\0\0\0", 1002, "a control frame in fragments"),
    "close code": (frame(CLOSE, struct.pack(">H", 1005)), 1002, "an invalid close code"),
    "close reason": (frame(CLOSE, b"\x03\xe8\xff"), 1002, "a close reason that is not UTF-8"),
    "text": (frame(1, b"hello"), 1003, "a text message"),
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002, "a reserved bit is set"),
    "no array": (frame(BINARY, b"\x80"), 1002, "a message that is not an array"),
    "empty": (frame(BINARY), 1002, "a message that is not an array"),
    "type": (message(7, 1), 1002, "a message of an unknown type"),
    "trailing": (frame(BINARY, pack(FIN, 1) + b"\0"), 1002, "bytes behind a message"),
    "long number": (frame(BINARY, b"\x92\x04\xcc\x01"), 1002, "a malformed FIN"),
    "nested": (message(HELLO, 1, {"instance": "x", "y": [1]}), 1002, "a malformed HELLO"),
    "large": (frame(BINARY, b"\x93" + bytes(2000)), 1002, "a message of more than 1 KiB"),
    "large and slow": (frame(BINARY, b"\x93\0" + b"x" * 1100, last=False), 1002,
                       "a message of more than 1 KiB"),
    "second HELLO": (message(HELLO, 1, HELLO_MAP), 1002, "a second HELLO"),
    "OPEN": (message(OPEN, 1, {}), 1002, "a message that only relays send"),
    "NOTICE": (message(NOTICE, "expiring", 1), 1002, "a message that only relays send"),
    "DATA of an unknown stream": (message(DATA, 2, b"x"), 1002, "a stream that was never opened"),
    "FIN of an unknown stream": (message(FIN, 99), 1002, "a stream that was never opened"),
    "RESET of an unknown stream": (message(RESET, 2**32 - 1, 0), 1002, "a stream that was never opened"),
    "CREDIT of an unknown stream": (message(CREDIT, 2, 1), 1002, "a stream that was never opened"),
    "stream 0": (message(FIN, 0), 1002, "a malformed FIN"),
    "DATA without bytes": (message(DATA, 1, "text"), 1002, "a malformed DATA"),
    "DATA cut short": (frame(BINARY, b"\x93\x02\x01\xc4\x05abc"), 1002, "a malformed DATA"),
    "large DATA": (message(DATA, 1, bytes(65537)), 1002, "a DATA of more than 64 KiB"),
    "credit": (message(CREDIT, 1, 16 * 1024 * 1024), 1002, "credit that overflows"),
    "much credit": (message(CREDIT, 1, 2**32 - 1), 1002, "credit that overflows"),
    "no credit": (message(CREDIT, 1, 0), 1002, "credit that overflows"),
}

ANSWERED = ("DATA cut short",)  # the request is not repeated then


@pytest.fixture
def relay():
    with Relay(backend="") as relay:
        yield relay


def log_of(relay, words):
    while words not in (text := relay.expect(MSG.LOG).fields[1]):
        pass
    return text


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violations(relay, name):
    bytes_sent, code, words = VIOLATIONS[name]
    hostile = Agent(relay, "hostile").greeted()
    visitor = relay.visit(get())
    stream, _, _ = hostile.opened()
    assert stream == 1
    with Agent(relay, "honest").greeted() as honest:
        hostile.sock.sendall(bytes_sent)
        assert hostile.closed() == (code, words)
        assert f"agent hostile is gone: {code} {words}" in log_of(relay, "gone")
        assert closed(hostile.sock) == "end", "the close frame was not destroyed on its way"
        if name in ANSWERED:
            assert read_head(visitor)[0][0] == "HTTP/1.1 502 Bad Gateway"
            return
        honest.answer(honest.opened()[0])  # the request goes on there
        assert read_head(visitor)[0][0] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("hello, words", [
    (message(DATA, 1, b"x"), "a message before HELLO"),
    (message(HELLO, 2, HELLO_MAP), "a malformed HELLO"),
    (message(HELLO, 1, {}), "a malformed HELLO"),
    (message(HELLO, 1, {"instance": ""}), "a malformed HELLO"),
    (message(HELLO, 1, {"instance": "x" * 65}), "a malformed HELLO"),
    (message(HELLO, 1, {"instance": "x", "agent": "y" * 129}), "a malformed HELLO"),
    (message(HELLO, 1, {"instance": "x", "host": "a b"}), "a HELLO with an invalid host"),
    (message(HELLO, 1, {"instance": "x", "host": "a\r\nX: y"}), "a HELLO with an invalid host"),
    (message(HELLO, 1, {"instance": "x", "streams": -1}), "a malformed HELLO")])
def test_greetings(relay, hello, words):
    agent = Agent(relay, hello=False).greeted()
    agent.sock.sendall(hello)
    assert agent.closed()[1] == words
    assert relay.counter("agents") == 0


def test_names_in_the_log_are_harmless(relay):
    with Agent(relay, instance="a\n2026 error forged \x1b[31m\u00e4"):
        text = log_of(relay, "is there")
        assert text.isascii() and text.isprintable() and "a?2026 error forged ?[31m??" in text


def test_data_beyond_its_credit(relay):
    hostile = Agent(relay, "hostile").greeted()
    visitor = relay.visit(get())  # which reads nothing
    stream, _, _ = hostile.opened()
    hostile.send(DATA, stream, b"HTTP/1.1 200 OK\r\n\r\n")
    hostile.sock.settimeout(PATIENCE)
    flood = threading.Thread(target=flood_data, args=(hostile.sock, stream, 64 << 20), daemon=True)
    flood.start()
    assert hostile.closed() == (1002, "DATA beyond its credit")
    visitor.close()


def flood_data(sock, stream, size):
    try:
        for _ in range(size // 65536):
            sock.sendall(message(DATA, stream, bytes(65536)))
    except OSError:
        pass


def test_data_behind_a_reset(relay):
    """What was on its way is let pass; more is a violation."""
    hostile = Agent(relay, "hostile").greeted()
    visitor = relay.visit(get())
    stream, _, _ = hostile.opened()
    reset(visitor)
    hostile.expect(RESET, stream)
    for _ in range(WINDOW // 65536):
        hostile.send(DATA, stream, bytes(65536))
    hostile.send(CREDIT, stream, 1)
    hostile.send(FIN, stream)
    hostile.send(RESET, stream, 0)
    relay.visit(get("/still-there"))
    number, _, data = hostile.opened()
    assert b"GET /still-there" in data
    hostile.send(DATA, stream, b"x")
    assert hostile.closed() == (1002, "DATA beyond its credit")


def test_floods(relay):
    """Of whatever is not forbidden: the relay answers what it has to, and keeps nothing."""
    with Agent(relay, "honest").greeted() as honest, Agent(relay, "hostile").greeted() as hostile:
        relay.visit(get("/a"))
        relay.visit(get("/b"))
        stream = hostile.opened()[0]
        honest.opened()
        before = proc.Process(relay.pid).private_kib()
        for flood in (frame(PONG, b"x" * 125), message(DATA, stream, b""), frame(PING, b"x" * 125)):
            hostile.sock.setblocking(False)
            sent, limit = 0, time.monotonic() + 3
            while sent < 4_000_000 and time.monotonic() < limit:
                try:
                    hostile.sock.sendall(flood * 300)
                    sent += 300 * len(flood)
                except BlockingIOError:
                    break
            hostile.sock.settimeout(PATIENCE)
        relay.visit(get("/c"))
        relay.visit(get("/d"))
        honest.opened()
        assert proc.Process(relay.pid).private_kib() - before < 8 * 1024


def test_an_agent_that_never_reads(relay):
    """Its requests wait, those of others do not; what waits for it is bounded."""
    with Agent(relay, "deaf", narrow=True):
        wait_until(lambda: relay.counter("agents") == 1, "it is there")
        visitors = [relay.visit(get(f"/{i}", f"Content-Length: {1 << 30}\r\n", "PUT")) for i in range(8)]
        senders = [threading.Thread(target=send_until_stuck, args=(v,), daemon=True) for v in visitors]
        for sender in senders:
            sender.start()
        with Agent(relay, "honest").greeted() as honest:
            for i in range(20):
                visitor = relay.visit(get(f"/other-{i}"))
                honest.answer(honest.opened()[0])
                assert read_head(visitor)[0][0] == "HTTP/1.1 200 OK"
            assert proc.Process(relay.pid).private_kib() < 16 * 1024
        for visitor in visitors:
            reset(visitor)
        for sender in senders:
            sender.join(PATIENCE)


def send_until_stuck(sock):
    try:
        sock.settimeout(2)
        while True:
            sock.sendall(bytes(65536))
    except OSError:
        pass


# ---- many streams

def test_a_stalled_visitor_stops_nobody(relay):
    with Agent(relay).greeted() as agent:
        stalled, others = relay.visit(get("/stalled")), [relay.visit(get(f"/{i}")) for i in range(5)]
        streams = [agent.opened()[0] for _ in range(6)]
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        for stream in streams:
            agent.send(DATA, stream, head)
        for _ in range(4):
            agent.send(DATA, streams[0], bytes(60_000))  # what its credit allows
        results = [threading.Thread(target=lambda v=v: read_exactly(v, 1_000_000, read_head(v)[1])) for v in others]
        for reader in results:
            reader.start()
        credit = dict.fromkeys(streams[1:], WINDOW - len(head))
        left = dict.fromkeys(streams[1:], 1_000_000)
        while any(left.values()):
            for stream in streams[1:]:
                n = min(left[stream], credit[stream], 65536)
                if n:
                    agent.send(DATA, stream, bytes(n))
                    credit[stream] -= n
                    left[stream] -= n
            if not any(left[s] and credit[s] for s in left) and any(left.values()):
                _, stream, n = agent.expect(CREDIT)
                credit[stream] = credit.get(stream, 0) + n
        for reader in results:
            reader.join(PATIENCE)
            assert not reader.is_alive()
        assert proc.Process(relay.pid).private_kib() < 16 * 1024
        stalled.close()


def test_ten_thousand_streams():
    """As many visitors at once as a relay can have; every stream is answered, and nothing is left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 400), hard))
    try:
        with Relay(backend="", connections=20_000) as relay, Agent(relay, streams=16384).greeted() as agent:
            agent.sock.settimeout(6 * PATIENCE)
            opened, visitors = {}, []
            before = proc.Process(relay.pid).private_kib()
            for at in range(0, count, 500):
                visitors += [relay.visit(get(f"/{i}")) for i in range(at, min(at + 500, count))]
                while len(opened) < len(visitors):
                    stream, _, data = agent.opened()
                    opened[data.split()[1]] = stream
            each = (proc.Process(relay.pid).private_kib() - before) / count
            print(f"{count} streams, {each:.2f} KiB each while their answer is awaited")
            for path, stream in opened.items():
                agent.answer(stream, path)
            for i, visitor in enumerate(visitors):
                _, rest = read_head(visitor)
                assert read_exactly(visitor, len(f"/{i}"), rest) == f"/{i}".encode()
            for visitor in visitors:
                visitor.close()
            ended = 0
            while ended < count:
                ended += agent.message()[0] == RESET
            wait_until(lambda: relay.counter("open") == 0, "nothing is left")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
