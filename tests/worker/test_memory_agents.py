# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A relay of a pull tunnel without memory: as in test_memory.py every allocation of a story is
# refused, one a round, and then it and all behind it. The story is an agent that comes, a visitor it
# answers, whose reading is slower than the answer, and the end of both.

import contextlib
import select
import time

import msgpack
from agent_stage import BINARY, DATA, PING, PONG, Agent, frame, hello_of
from child import SETTLE
from relay_stage import Relay, get
from support import proc
from test_memory import faults, modes, refuse_each  # noqa: F401

BODY = b"0123456789" * 20_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY


class Story:
    """An agent and a visitor; both ends are played here, as far as the relay gets."""

    def __init__(self, relay):
        self.relay, self.answer = relay, b""
        self.agent = Agent(relay, hello=False)
        with contextlib.suppress(OSError):
            self.agent.sock.sendall(hello_of("one"))
        self.visitor = relay.visit(get("/", "Connection: close\r\n"))
        self.agent_there = self.visitor_there = True

    def agent_says(self):
        """One read of the agent's connection, answered frame by frame."""
        data = self.agent.sock.recv(1 << 18)
        if not data:
            raise ConnectionResetError
        self.agent.frames.data += data
        while (found := self.agent.frames.next()) is not None:
            opcode, payload = found
            if opcode == PING:
                self.agent.sock.sendall(frame(PONG, payload))
            message = msgpack.unpackb(payload) if opcode == BINARY else [None]
            if message[0] == DATA:
                for at in range(0, len(ANSWER), 60_000):
                    self.agent.send(DATA, message[1], ANSWER[at:at + 60_000])

    def step(self, agent, visitor):
        try:
            if agent:
                self.agent_says()
        except OSError:
            self.agent_there = False
        if visitor:
            with contextlib.suppress(ConnectionResetError):
                piece = self.visitor.recv(8192)
                self.answer += piece
                self.visitor_there = bool(piece)
                return
            self.visitor_there = False

    def run(self):
        limit = time.monotonic() + SETTLE
        while self.visitor_there:
            assert time.monotonic() < limit, f"neither an answer nor an end: {self.answer[-200:]!r}"
            sources = [self.visitor] + ([self.agent.sock] if self.agent_there else [])
            ready, _, _ = select.select(sources, [], [], 1)
            self.step(self.agent_there and self.agent.sock in ready, self.visitor in ready)
        self.agent.close()
        self.visitor.close()
        _, _, body = self.answer.partition(b"\r\n\r\n")
        assert not self.answer.startswith(b"HTTP/1.1 200") or BODY.startswith(body), "a wrong answer"
        return self.answer


@modes
def test_a_relay_and_its_agents(faults, stays, report):  # noqa: F811
    with Relay(backend="", grace_ms=200) as relay:
        def sound():
            assert Story(relay).run().endswith(BODY)
            proc.wait_until(lambda: relay.counter("open") == 0 == relay.counter("agents"),
                            SETTLE, "connections are left")

        count = refuse_each(faults, relay, lambda: Story(relay).run(), sound, stays=stays)
    report(f"a relay makes {count} allocations for an agent and a visitor of its")
    assert count >= 8
