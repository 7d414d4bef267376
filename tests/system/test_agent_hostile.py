# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Agents that break the rules of their protocol: each is cut off with a word that says what it did, its
# relay lives, and other tunnels never notice.

import contextlib
import struct

import msgpack
import pytest

from support import proc, websocket
from support.agents import connected
from support.rawagent import (
    CREDIT, DATA, FIN, HELLO, NOTICE, OPEN, RESET, RawAgent, frame)

HELLO_BYTES = msgpack.packb([HELLO, 1, {"instance": "raw"}])


def message(*what):
    return frame(msgpack.packb(what))


# What an agent sends that has not said HELLO: the code it is closed with, and a word of the reason.
BEFORE_HELLO = {
    "unmasked": (frame(HELLO_BYTES, masked=False), 1002, "unmasked"),
    "reserved_bit": (frame(HELLO_BYTES, first=0xc0), 1002, "reserved"),
    "unknown_opcode": (frame(HELLO_BYTES, opcode=3), 1002, "opcode"),
    "length_too_long": (b"\x82\xfe\x00\x05" + bytes(4) + b"hello", 1002, "shortest"),
    "length_too_long_64": (b"\x82\xff" + struct.pack("!Q", 300) + bytes(4), 1002, "shortest"),
    "length_negative": (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1002, "highest bit"),
    "control_in_fragments": (frame(b"", opcode=9, first=0), 1002, "fragments"),
    "control_too_long": (frame(b"x" * 126, opcode=9), 1002, "125"),
    "continuation_of_nothing": (frame(b"x", opcode=0), 1002, "continuation"),
    "message_in_a_message": (frame(b"x", first=0) + frame(b"y"), 1002, "inside"),
    "close_reason": (frame(b"\x03\xe8\xff\xfe", opcode=8), 1002, "UTF-8"),
    "text": (frame(HELLO_BYTES, opcode=1), 1003, "text"),
    "no_array": (frame(b"\x01"), 1002, "array"),
    "empty": (frame(b"\x90"), 1002, "array"),
    "unknown_type": (message(7, 1), 1002, "unknown type"),
    "huge_type": (message(2**40, 1), 1002, "unknown type"),
    "not_shortest": (frame(b"\x93\xcc\x00\x01\x81\xa8instance\xa1x"), 1002, "type"),
    "behind_it": (frame(HELLO_BYTES + b"\0"), 1002, "behind"),
    "no_instance": (message(HELLO, 1, {}), 1002, "HELLO"),
    "long_instance": (message(HELLO, 1, {"instance": "x" * 65}), 1002, "HELLO"),
    "other_version": (message(HELLO, 2, {"instance": "x"}), 1002, "HELLO"),
    "bad_text": (frame(b"\x93\x00\x01\x81\xa8instance\xa2\xff\xfe"), 1002, "HELLO"),
    "bad_host": (message(HELLO, 1, {"instance": "x", "host": "a\r\nX: y"}), 1008, "host"),
    "data_first": (message(DATA, 1, b"x"), 1002, "before HELLO"),
    "credit_first": (message(CREDIT, 1, 1), 1002, "before HELLO"),
    "endless_message": (frame(b"\x93\x00\x01\x81\xd9\xff", first=0) + frame(b"x" * 5000, opcode=0), 1002, "1 KiB"),
    "long_hello": (message(HELLO, 1, {"instance": "x"} | {f"more{i}": "y" * 200 for i in range(8)}), 1002, "1 KiB"),
}

# What an agent sends that has said HELLO and carries stream 1.
BEHIND_HELLO = {
    "hello_again": (message(HELLO, 1, {"instance": "raw"}), "second HELLO"),
    "open": (message(OPEN, 2, {"proto": "http"}), "only relays"),
    "notice": (message(NOTICE, "expiring", 1), "only relays"),
    "data_of_no_stream": (message(DATA, 999, b"x"), "never opened"),
    "fin_of_no_stream": (message(FIN, 999), "never opened"),
    "reset_of_no_stream": (message(RESET, 999, 0), "never opened"),
    "stream_zero": (message(FIN, 0), "malformed FIN"),
    "huge_stream": (message(FIN, 2**40), "malformed FIN"),
    "no_credit": (message(CREDIT, 1, 0), "overflow"),
    "credit_overflow": (message(CREDIT, 1, 16 << 20), "overflow"),
    "credit_overflow_in_parts": (message(CREDIT, 1, 8 << 20) * 3, "overflow"),
    "data_too_large": (message(DATA, 1, b"x" * 65537), "64 KiB"),
    "data_of_text": (message(DATA, 1, "text"), "malformed DATA"),
    "data_cut_short": (frame(b"\x93\x02\x01\xc4\x05abc"), "malformed DATA"),
    "data_beyond_its_end": (frame(b"\x93\x02\x01\xc4\x02abc"), "behind a message"),
    "not_shortest": (frame(b"\x93\x02\xcc\x01\xc4\x01a"), "malformed DATA"),
}


@pytest.fixture
def bystander(api, backend):
    """A visitor of another tunnel, who must notice nothing."""
    tunnel = api.create(backend)
    wire = websocket.connect(tunnel, "/ws/echo")
    heard = websocket.messages(wire)

    def speaks():
        wire.protocol.send_text(b"still here")
        wire.flush()
        return next(heard)[1] == b"still here"
    assert speaks()
    yield
    assert speaks(), "another tunnel has noticed"
    wire.stream.close()
    tunnel.revoke()


@pytest.fixture
def pull(api, daemon, bystander):
    """A pull tunnel whose relay must be the same at the end, and work."""
    before = set(daemon.relays())
    tunnel = api.pull()
    (relay,) = set(daemon.relays()) - before
    yield tunnel
    assert relay.alive(), "the relay has died"
    with RawAgent(tunnel, "honest") as agent:
        agent.serve("honest")
        assert tunnel.get("/").text() == "honest"
    tunnel.revoke()


def visit(tunnel, path="/"):
    visitor = tunnel.connect()
    visitor.request("GET", tunnel.target(path))
    return visitor


@pytest.mark.parametrize("what", BEFORE_HELLO)
def test_what_is_no_beginning(daemon, pull, what):
    data, code, word = BEFORE_HELLO[what]
    with RawAgent(pull, None) as agent:
        agent.raw(data)
        closed = agent.closed()
        assert closed and closed[0] == code and word in closed[1], closed
        assert agent.stream.ended() != "open"
    assert pull.show()["counters"]["agents"] == 0


@pytest.mark.parametrize("what", BEHIND_HELLO)
def test_what_no_agent_says(daemon, pull, what):
    data, word = BEHIND_HELLO[what]
    with RawAgent(pull, "liar") as agent, contextlib.closing(visit(pull)):
        assert agent.request()[0] == 1
        agent.raw(data)
        closed = agent.closed()
        assert closed and closed[0] == 1002 and word in closed[1], closed
        assert agent.stream.ended() != "open"
    connected(pull, 0)
    proc.wait_until(lambda: "agent liar is gone" in daemon.log(), 5, daemon.log)
    assert word in daemon.log()


@pytest.mark.parametrize("data, word", [
    (message(FIN, 1), "second FIN"), (message(DATA, 1, b"x"), "behind a FIN")])
def test_what_comes_behind_a_fin(pull, data, word):
    """Of a byte stream, which is open until its visitor has ended, too."""
    with RawAgent(pull, "liar") as agent, pull.connect() as visitor:
        visitor.request("GET", pull.target("/"), [("Connection", "Upgrade"), ("Upgrade", "tcp")])
        assert agent.hear(OPEN)[2]["proto"] == "tcp"
        assert visitor.answer_head().status == 101
        agent.say(FIN, 1)
        assert visitor.rest() == b""
        agent.raw(data)
        closed = agent.closed()
        assert closed and closed[0] == 1002 and word in closed[1], closed


def test_data_beyond_its_credit(pull):
    with RawAgent(pull, "liar") as agent, contextlib.closing(visit(pull)):
        stream, _ = agent.request()
        head = b"HTTP/1.1 200 Fine\r\nContent-Length: 100000000\r\n\r\n"
        agent.say(DATA, stream, head)
        for _ in range(1000):  # its visitor reads nothing, so there is no more credit than sockets hold
            with contextlib.suppress(OSError):
                agent.say(DATA, stream, b"x" * 65536)
        closed = agent.closed()
        assert closed is None or (closed[0] == 1002 and "credit" in closed[1]), closed
    connected(pull, 0)


def test_a_flood_of_answers_to_what_was_not_asked(pull):
    """RESET and FIN of streams that have been are dropped; there may be many."""
    with RawAgent(pull, "liar") as agent:
        with visit(pull) as visitor:
            stream, _ = agent.request()
            agent.reply(stream, b"x")
            assert visitor.answer().status == 200
        agent.raw(message(RESET, stream, 0) * 10_000 + message(CREDIT, stream, 5) * 10_000)
        with visit(pull) as visitor:
            stream, _ = agent.request()
            agent.reply(stream, b"x")
            assert visitor.answer().status == 200


def test_a_flood_of_pings(pull):
    with RawAgent(pull, "liar") as agent:
        agent.raw(frame(b"x" * 125, opcode=9) * 10_000)
        with visit(pull) as visitor:
            stream, _ = agent.request()
            agent.reply(stream, b"x")
            assert visitor.answer().status == 200


def test_an_agent_that_reads_nothing(pull):
    """What it does not read is not kept for ever: its visitors stop, others have another agent."""
    with RawAgent(pull, "deaf") as agent:
        visitors = []
        with contextlib.suppress(TimeoutError, ConnectionError):
            for _ in range(8):
                visitor = pull.connect(timeout=2)
                visitors.append(visitor)
                visitor.request("POST", pull.target("/"), [("Content-Length", str(64 << 20))])
                visitor.send(b"x" * (64 << 20))
        with RawAgent(pull, "good") as good:
            good.serve("good")
            proc.wait_until(lambda: pull.get("/").text() == "good", 10, "the good one is not asked")
        for visitor in visitors:
            visitor.close()
        del agent


def test_no_hello(daemon, pull):
    """Its place is not kept for ever (10 s)."""
    with RawAgent(pull, None) as agent:
        assert agent.closed(13) == (4001, "no HELLO came in time")


def test_too_many_agents(pull):
    held = []
    try:
        for i in range(64):
            held.append(RawAgent(pull, f"a{i}"))
        connected(pull, 64)
        with RawAgent(pull, None) as late:
            assert late.closed()[0] == 4002
    finally:
        for agent in held:
            agent.close()
    connected(pull, 0)
