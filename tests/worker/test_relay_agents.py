# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-relay of a pull tunnel and its agents: who gets a request, who waits for whom, what
# becomes of requests when an agent goes.

import contextlib
import os
import signal
import socket
import threading
import time

import msgpack
import pytest
from agent_stage import (
    BINARY, CREDIT, DATA, FIN, NOTICE, OPEN, PING, PONG, RESET, WINDOW, Agent, frame, hello_of)
from child import MSG
from relay_stage import (
    PATIENCE, Relay, closed, config, end_after, get, read_all, read_exactly, read_head, reset,
    wait_until)

REFUSED, NO_TIME, FAILED, PROTO, OVERLOADED = 1, 2, 3, 4, 6
UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\n"


@pytest.fixture
def relay():
    with Relay(backend="") as relay:
        yield relay


class Answering(threading.Thread):
    """An agent that answers whatever comes until its connection is closed."""

    def __init__(self, relay):
        super().__init__(daemon=True)
        self.agent, self.answers, self.end = Agent(relay).greeted(), 0, None
        self.start()

    def run(self):
        with contextlib.suppress(OSError):  # reset while it answers: at the end of a test
            self.answer_all()
        self.agent.close()

    def answer_all(self):
        while (found := self.agent.frame()) is not None and found[0] == BINARY:
            kind, stream, *rest = msgpack.unpackb(found[1])
            if kind == DATA:
                self.answers += 1
                self.agent.answer(stream)
        self.end = found and (int.from_bytes(found[1][:2], "big"), found[1][2:].decode())


def send_until_stuck(sock):
    sock.settimeout(1)
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(bytes(65536))


def relay_config(life_ms):
    values = msgpack.unpackb(config(backend=""))
    values[7] = life_ms
    return msgpack.packb(values)


def pong(payload):
    return frame(PONG, payload)


def log_of(relay, words):
    while words not in (text := relay.expect(MSG.LOG).fields[1]):
        pass
    return text


# ---- opening

def test_what_an_agent_learns_of_a_visitor(relay):
    with Agent(relay, host="app.test:3000").greeted() as agent:
        relay.visit(get("/x?y"))
        stream, what, data = agent.opened()
        assert what == {"peer": "192.0.2.7", "proto": "http"}
        assert data.startswith(b"GET /x?y HTTP/1.1\r\nHost: app.test:3000\r\n")


def test_without_a_host_it_is_localhost(relay):
    with Agent(relay).greeted() as agent:
        relay.visit(get())
        assert b"\r\nHost: localhost\r\n" in agent.opened()[2]


def test_the_host_of_who_comes_later(relay):
    visitor = relay.visit(get("/", "X-A: 1\r\n"))
    with Agent(relay, host="late.test").greeted() as agent:
        stream, _, data = agent.opened()
        assert data.count(b"Host:") == 1 + data.count(b"X-Forwarded-Host:")
        assert data.startswith(b"GET / HTTP/1.1\r\nHost: late.test\r\nX-A: 1\r\n")
        agent.answer(stream)
        assert read_head(visitor)[0][0] == "HTTP/1.1 200 OK"


def test_each_agent_has_a_host_of_its_own(relay):
    with Agent(relay, "one", host="one.test").greeted() as one, Agent(relay, "two").greeted() as two:
        wait_until(lambda: relay.counter("agents") == 2, "both are there")
        first = relay.visit(get("/a"))
        relay.visit(get("/b"))
        for agent, host in ((one, b"one.test"), (two, b"localhost")):
            stream, _, data = agent.opened()
            assert b"\r\nHost: " + host + b"\r\n" in data
            agent.answer(stream)
            if b"GET /a" in data:
                read_head(first)
                first.sendall(get("/again"))
                assert b"\r\nHost: " + host + b"\r\n" in agent.expect(DATA, stream)[2]


def test_raw_tcp(relay):
    with Agent(relay).greeted() as agent:
        visitor = relay.visit(get("/", UPGRADE) + b"early")
        _, stream, what = agent.expect(OPEN)
        assert what["proto"] == "tcp" and agent.expect(DATA, stream)[2] == b"early"
        lines, _ = read_head(visitor)
        assert lines[0] == "HTTP/1.1 101 Switching Protocols" and "Upgrade: tcp" in lines
        agent.send(DATA, stream, b"\0\1\2")
        assert read_exactly(visitor, 3) == b"\0\1\2"
        visitor.shutdown(socket.SHUT_WR)
        agent.expect(FIN, stream)
        agent.send(DATA, stream, b"last")
        agent.send(FIN, stream)
        assert read_all(visitor) == b"last"


def test_the_peer_speaks_first_in_raw_tcp(relay):
    with Agent(relay).greeted() as agent:
        visitor = relay.visit(get("/", UPGRADE))
        _, stream, _ = agent.expect(OPEN)
        agent.send(DATA, stream, b"220 ready")
        _, rest = read_head(visitor)
        assert read_exactly(visitor, 9, rest) == b"220 ready"


@pytest.mark.parametrize("code, status, name, words", [
    (REFUSED, 502, "backend_refused", "could not connect"),
    (NO_TIME, 504, "backend_timeout", "in time"),
    (PROTO, 400, "bad_request", "raw TCP"),
    (FAILED, 502, "backend_bad_response", "without an answer"),
    (99, 502, "backend_bad_response", "without an answer")])
def test_refusals(relay, code, status, name, words):
    with Agent(relay).greeted() as agent:
        visitor = relay.visit(get("/", "Connection: close\r\n"))
        agent.send(RESET, agent.opened()[0], code)
        answer = read_all(visitor).decode()
        assert answer.startswith(f"HTTP/1.1 {status} ") and f"Tunnel-Error: {name}" in answer
        assert words in answer


# ---- waiting for an agent

def test_nobody_comes():
    with Relay(backend="", grace_ms=300) as relay:
        began = time.monotonic()
        answer = read_all(relay.visit(get("/", "Connection: close\r\n")))
        assert 0.3 <= time.monotonic() - began < 5
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Tunnel-Error: agent_offline" in answer
        assert b"\r\nRetry-After: " in answer


def test_no_grace():
    with Relay(backend="", grace_ms=0) as relay:
        assert b"Tunnel-Error: agent_offline" in read_all(relay.visit(get("/", "Connection: close\r\n")))


def test_many_wait(relay):
    visitors = [relay.visit(get(f"/{i}", method="POST" if i % 2 else "GET")) for i in range(20)]
    wait_until(lambda: relay.counter("requests") == 20, "all are there")
    with Agent(relay).greeted() as agent:
        for _ in visitors:
            stream, _, data = agent.opened()
            agent.answer(stream, data.split()[1])
        for i, visitor in enumerate(visitors):
            _, rest = read_head(visitor)
            assert read_exactly(visitor, len(f"/{i}"), rest) == f"/{i}".encode()


def test_who_waits_may_go(relay):
    visitor = relay.visit(get())
    wait_until(lambda: relay.counter("requests") == 1, "it waits")
    reset(visitor)
    wait_until(lambda: relay.counter("open") == 0, "it is gone")
    with Agent(relay).greeted() as agent:
        relay.visit(get("/other"))
        assert b"GET /other" in agent.opened()[2]


def test_an_agent_that_takes_no_more():
    with Relay(backend="", grace_ms=500) as relay, Agent(relay, streams=2).greeted() as agent:
        visitors = [relay.visit(get(f"/{i}", "Connection: close\r\n")) for i in range(4)]
        streams = [agent.opened()[0] for _ in range(2)]
        agent.answer(streams[0])
        third = agent.expect(RESET, streams[0]) and agent.opened()[0]
        assert third not in streams
        wait_until(lambda: visitors[3].recv(65536).startswith(b"HTTP/1.1 503 "), "the fourth is refused")


# ---- when an agent goes

@pytest.mark.parametrize("how", ["killed", "closed", "violation"])
def test_requests_without_an_answer_go_to_the_next(relay, how):
    agent = Agent(relay).greeted()
    visitors = [relay.visit(get(f"/{i}")) for i in range(10)]
    streams = [agent.opened()[0] for _ in visitors]
    agent.answer(streams[0])
    assert read_head(visitors[0])[0][0] == "HTTP/1.1 200 OK"
    if how == "killed":
        reset(agent.sock)
    elif how == "closed":
        agent.close()
    else:
        agent.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with Agent(relay).greeted() as second:
        for _ in visitors[1:]:
            stream, _, data = second.opened()
            second.answer(stream, data.split()[1])
        for i, visitor in enumerate(visitors[1:], 1):
            _, rest = read_head(visitor)
            assert read_exactly(visitor, 2, rest) == f"/{i}".encode()


def test_what_may_not_be_repeated_is_not(relay):
    agent = Agent(relay).greeted()
    visitor = relay.visit(get("/", "Content-Length: 3\r\nConnection: close\r\n", "POST") + b"abc")
    stream, _, _ = agent.opened()
    assert agent.expect(DATA, stream)[2] == b"abc"
    reset(agent.sock)
    answer = read_all(visitor).decode()
    assert answer.startswith("HTTP/1.1 502 ") and "may have reached the service" in " ".join(answer.split())


def test_what_was_never_sent_is(relay):
    """An agent that has stopped reading and then dies has not seen what was queued for it."""
    deaf = Agent(relay, narrow=True)
    wait_until(lambda: relay.counter("agents") == 1, "it is there")
    idle = relay.visit(get("/idle"))
    uploads = [relay.visit(get("/up", f"Content-Length: {1 << 30}\r\n", "PUT")) for _ in range(4)]
    for upload in uploads:
        upload.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                upload.sendall(bytes(1 << 20))
    visitors = [relay.visit(get(f"/{i}", method="DELETE")) for i in range(3)]
    wait_until(lambda: relay.counter("requests") == 8, "all are there")
    reset(deaf.sock)
    with Agent(relay).greeted() as agent:
        paths = set()
        for _ in range(4):
            stream, _, data = agent.opened()
            agent.answer(stream)
            paths.add(data.split(b" HTTP")[0])
        assert paths == {b"GET /idle", b"DELETE /0", b"DELETE /1", b"DELETE /2"}
        for visitor in (idle, *visitors):
            assert read_head(visitor)[0][0] == "HTTP/1.1 200 OK"


def test_an_agent_that_cannot_be_written_to_gets_no_more(relay):
    """One request finds out, in the same round others come: they wait for the next agent."""
    agent = Agent(relay).greeted()
    wait_until(lambda: relay.counter("agents") == 1, "it is there")
    os.kill(relay.pid, signal.SIGSTOP)
    fields = "Content-Length: 20000\r\n"
    finds = relay.visit(get("/", fields, "POST") + bytes(20000))
    others = [relay.visit(get(f"/{i}")) for i in range(3)]
    reset(agent.sock)
    os.kill(relay.pid, signal.SIGCONT)
    assert "502" in read_head(finds)[0][0]
    with Agent(relay).greeted() as agent:
        for _ in others:
            agent.answer(agent.opened()[0])
        for visitor in others:
            assert read_head(visitor)[0][0] == "HTTP/1.1 200 OK"


@pytest.mark.parametrize("body", [b"hello", bytes(20000)], ids=["small", "large"])
def test_a_body_is_not_repeated(relay, body):
    """It is gone once it was sent: a head that announces it must not go out again alone."""
    first = Agent(relay).greeted()
    visitor = relay.visit(get("/", f"Content-Length: {len(body)}\r\n") + body)
    first.opened()
    reset(first.sock)
    with Agent(relay).greeted() as agent:
        assert "502" in read_head(visitor)[0][0]
        other = relay.visit(get("/other"))
        stream, _, data = agent.opened()
        assert data.startswith(b"GET /other ")
        agent.answer(stream)
        assert read_head(other)[0][0] == "HTTP/1.1 200 OK"


def test_an_answer_that_has_begun_is_cut(relay):
    agent = Agent(relay).greeted()
    visitor = relay.visit(get())
    stream, _, _ = agent.opened()
    agent.send(DATA, stream, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    _, rest = read_head(visitor)
    assert read_exactly(visitor, 5, rest) == b"hello"
    reset(agent.sock)
    assert closed(visitor) == "reset"


def test_an_answer_that_is_complete_is_delivered(relay):
    agent = Agent(relay).greeted()
    visitor = relay.visit(get("/", "Connection: close\r\n"))
    stream, _, _ = agent.opened()
    agent.send(DATA, stream, b"HTTP/1.1 200 OK\r\n\r\nhello")
    agent.send(FIN, stream)
    agent.expect(RESET, stream)
    reset(agent.sock)
    assert b"hello" in read_all(visitor)


def test_it_is_not_repeated_for_ever(relay):
    visitor = relay.visit(get("/", "Connection: close\r\n"))
    for _ in range(4):
        agent = Agent(relay).greeted()
        agent.opened()
        reset(agent.sock)
    assert read_all(visitor).startswith(b"HTTP/1.1 502 ")


# ---- several

def test_two_instances_share(relay):
    with Agent(relay, "one").greeted() as one, Agent(relay, "two").greeted() as two:
        wait_until(lambda: relay.counter("agents") == 2, "both are there")
        visitors = [relay.visit(get(f"/{i}")) for i in range(10)]
        for agent in (one, two):
            for _ in range(5):
                agent.answer(agent.opened()[0])
        for visitor in visitors:
            assert read_head(visitor)[0][0] == "HTTP/1.1 200 OK"


def test_the_newest_connection_of_an_instance_counts(relay):
    old = Agent(relay).greeted()
    busy = relay.visit(get("/busy"))
    stream, _, _ = old.opened()
    idle = relay.visit(get("/idle"))
    idle_stream, _, _ = old.opened()
    old.answer(idle_stream)
    assert read_head(idle)[0][0] == "HTTP/1.1 200 OK"
    with Agent(relay).greeted() as new:
        assert old.expect(NOTICE)[1:] == ["replaced", 0]
        old.expect(RESET, idle_stream)  # of no use any more
        idle.sendall(get("/again"))
        new.answer(new.opened()[0])
        assert read_head(idle)[0][0] == "HTTP/1.1 200 OK"
        old.answer(stream)              # streams on the old one finish there
        assert read_head(busy)[0][0] == "HTTP/1.1 200 OK"
        busy.sendall(get("/busy-again"))
        assert b"GET /busy-again" in new.opened()[2]
        assert old.closed() == (4000, "a newer connection of this instance is there")
        wait_until(lambda: relay.counter("agents") == 1, "one is left")
    assert "4000" in log_of(relay, "is gone")


def test_make_before_break(relay):
    """Connections are exchanged under load: not one request fails."""
    agents, answered = [Answering(relay)], []

    def visit():
        visitor = relay.visit(get("/0"))
        for i in range(1, 200):
            _, rest = read_head(visitor)
            assert read_exactly(visitor, 5, rest) == b"hello"
            answered.append(i)
            visitor.sendall(get(f"/{i}"))

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for n in range(100, 700, 100):
        wait_until(lambda n=n: len(answered) > n, f"{n} answers")
        agents.append(Answering(relay))
    for visitor in visitors:
        visitor.join(PATIENCE)
    assert len(answered) == 4 * 199
    for agent in agents[:-1]:
        agent.join(PATIENCE)
        assert agent.end == (4000, "a newer connection of this instance is there")
    assert sum(agent.answers > 0 for agent in agents) == len(agents)
    agents[-1].agent.sock.shutdown(socket.SHUT_RDWR)
    agents[-1].join(PATIENCE)


def test_bulk_does_not_hold_up_others(relay):
    """Of what is sent on a slow way little waits in the kernel: a new request is soon behind it."""
    with Agent(relay) as agent:
        agent.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wait_until(lambda: relay.counter("agents") == 1, "it is there")
        uploads = [relay.visit(get("/up", f"Content-Length: {1 << 30}\r\n", "PUT")) for _ in range(40)]
        for upload in uploads:
            threading.Thread(target=send_until_stuck, args=(upload,), daemon=True).start()
        before = -1
        while before != (before := relay.counter("bytes_in")):
            time.sleep(0.3)  # until nothing goes any more: the way is full
        relay.visit(get("/quick"))
        wait_until(lambda: relay.counter("requests") == 41, "it is on its way")
        ahead = 0
        while (message := agent.message())[0] != OPEN or message[1] != 41:
            ahead += len(message[2]) if message[0] == DATA else 0
        assert ahead < 1_000_000, f"{ahead} bytes of others come first"


# ---- the tunnel's end

def test_expiring_soon():
    with Relay(backend="", life_s=30) as relay, Agent(relay).greeted() as agent:
        kind, what, seconds = agent.expect(NOTICE)
        assert what == "expiring" and 28 <= seconds <= 30


def test_expiring_in_time():
    with Relay(backend="", life_s=301.5) as relay, Agent(relay).greeted() as agent:
        began = time.monotonic()
        assert agent.expect(NOTICE)[1:] == ["expiring", 300]
        assert time.monotonic() - began > 0.2
        config = relay_config(60_000)
        relay.send(MSG.RELAY_CONFIG, config, end_after(61))
        assert agent.expect(NOTICE)[1:] == ["expiring", 60]
        relay.send(MSG.RELAY_CONFIG, config, end_after(400))


def test_no_notice_of_a_far_end(relay):
    with Agent(relay).greeted() as agent:
        relay.visit(get())
        agent.opened()


# ---- life and death

def test_silence_after_the_101():
    with Relay(backend="") as relay:
        agent = Agent(relay, hello=False).greeted()
        agent.sock.settimeout(2 * PATIENCE)
        assert agent.closed() == (4001, "no HELLO came in time")


def test_pings_without_an_answer(relay):
    agent = Agent(relay)
    agent.pongs = False
    agent.greeted()
    began, pings = time.monotonic(), 0
    agent.sock.settimeout(60)
    visitor = relay.visit(get())
    visitor.settimeout(60)
    while (found := agent.frame()) is not None:
        pings += found[0] == PING
        if pings == 1 and time.monotonic() - began < 1:
            continue
    assert pings == 2 and 39 < time.monotonic() - began < 50, "20 s apart, dead after two"
    with Agent(relay).greeted() as second:  # the request is not lost
        second.answer(second.opened()[0])
        assert read_head(visitor)[0][0] == "HTTP/1.1 200 OK"


def test_bytes_read_too_early(relay):
    """What came right behind the agent's request is part of its connection."""
    agent = Agent(relay, hello=False, early=hello_of("early")).greeted()
    assert "agent early" in log_of(relay, "is there")
    relay.visit(get())
    agent.opened()


def test_what_is_kept_is_bounded(relay):
    """Who does not read is cut when more is kept than the supervisor allows; whoever reads gets on."""
    relay.send(MSG.AGENT_MEMORY, 1 << 20)
    before = relay.process.rss_anon_kib()
    head, cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", set()

    def asked(path):
        """The stream that it was asked on; meanwhile others may be reset."""
        while (message := agent.message())[0] != DATA or path not in message[2]:
            if message[0] == RESET:
                assert message[2] == OVERLOADED
                cut.add(message[1])
        return message[1]

    with Agent(relay).greeted() as agent:
        visitors = []
        for n in range(40):
            visitors.append(relay.visit(get(f"/{n}-"), narrow=True))
            stream = asked(b"/%d-" % n)
            agent.send(DATA, stream, head)
            for _ in range(3):
                agent.send(DATA, stream, bytes(65536))
        last = relay.visit(get("/last"))
        agent.answer(asked(b"/last"))
        assert read_exactly(last, 5, read_head(last)[1]) == b"hello"
        last.sendall(get("/behind"))  # all resets have been said before
        asked(b"/behind")
        assert 10 < len(cut) < 40, f"{len(cut)} of 40 were cut"
        most = 64 if os.environ.get("TUNNELD_SANITIZED") else 8  # what has been freed is kept aside there
        assert relay.process.rss_anon_kib() - before < most << 10
        for visitor in visitors:
            visitor.close()


def test_the_server_stops(relay):
    """Agents are told, no request goes from one to the other, and the relay exits when they have gone."""
    with Agent(relay, "one").greeted() as one, Agent(relay, "two").greeted() as two:
        wait_until(lambda: relay.counter("agents") == 2, "both are there")
        visitor = relay.visit(get())
        relay.send(MSG.DRAIN)
        said = [agent.closed_after() for agent in (one, two)]
        assert sum(OPEN in [message[0] for message in messages] for messages, _ in said) == 1
        for messages, end in said:
            assert messages[-1] == [NOTICE, "draining", 0] and end == (1001, "the server is stopping")
        assert relay.alive(), "it waits for them to close"
    assert relay.wait() == 0
    assert closed(visitor)


def test_the_server_stops_and_nobody_is_there(relay):
    relay.send(MSG.DRAIN)
    assert relay.wait() == 0


@pytest.mark.parametrize("message", [(MSG.DRAIN,), (MSG.AGENT_MEMORY, 1 << 20)])
def test_what_is_not_for_a_push_tunnel(message):
    with Relay() as relay:
        relay.send(*message)
        assert relay.closed() and relay.wait() == 0


def test_too_many_agents(relay):
    agents = [Agent(relay, f"i{n}").greeted() for n in range(64)]
    assert Agent(relay, "one-more").closed() == (4002, "this tunnel has too many agents")
    agents[0].close()
    wait_until(lambda: relay.counter("agents") == 63, "one is gone")
    Agent(relay, "one-more").greeted()


def test_a_push_tunnel_takes_none():
    with Relay() as relay:
        Agent(relay, hello=False)
        assert relay.closed() and relay.wait() == 0


def test_counters_of_a_pull_tunnel():
    with Relay(backend="", size=1000) as relay, Agent(relay).greeted() as agent:
        visitor = relay.visit(get("/", "Content-Length: 100\r\n", "POST") + b"x" * 100)
        stream, _, _ = agent.opened()
        agent.answer(stream, b"y" * 200)
        read_head(visitor)
        wait_until(lambda: relay.counter("bytes_out") == 200, "bytes out")
        assert relay.counter("bytes_in") == 100
        visitor.sendall(get("/2"))
        agent.expect(DATA, stream)
        agent.answer(stream, b"z" * 5000)
        assert relay.expect(MSG.USED_UP).fields == ["bytes"]
        assert relay.counter("bytes_in") + relay.counter("bytes_out") == 1000


def test_large_windows_are_used(relay):
    """A long path: credit grows until it carries the bytes of a round trip."""
    with Agent(relay) as agent:
        agent.pongs = False
        agent.sock.settimeout(PATIENCE)
        while (found := agent.frame())[0] != PING:
            pass
        time.sleep(0.2)  # the length of the path: nothing else is waited for here
        agent.sock.sendall(pong(found[1]))
        agent.pongs = True
        visitor = relay.visit(get())
        stream, _, _ = agent.opened()
        size = 20_000_000
        agent.send(DATA, stream, f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        reader = threading.Thread(target=lambda: read_exactly(visitor, size))
        reader.start()
        credit, sent, most = WINDOW - 100, 0, 0
        while sent < size:
            while credit <= 0:
                credit += agent.expect(CREDIT, stream)[2]
            most = max(most, credit)
            n = min(credit, 65536, size - sent)
            agent.send(DATA, stream, bytes(n))
            credit, sent = credit - n, sent + n
        reader.join(PATIENCE)
        assert most > 2 * WINDOW
