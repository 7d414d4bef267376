# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel up` and servers that are not what they should be: the test plays the server.

import signal
import struct
import time

import msgpack
import pytest

from support import proc
from support.backend import HttpBackend, TcpBackend
from support.false_server import (CREDIT, DATA, FIN, HELLO, ID, NOTICE, OPEN, RESET, SECRET, FalseServer, frame)
from support.up import Up

WINDOW = 256 * 1024
GET = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def server():
    with FalseServer() as server:
        yield server


@pytest.fixture
def backend():
    with HttpBackend() as backend:
        yield backend


def serving(server, up):
    agent = server.agent()
    agent.hello()
    up.url()
    return agent


def ask(agent, stream, request=GET):
    agent.send(OPEN, stream, {"peer": "192.0.2.1", "proto": "http"})
    agent.send(DATA, stream, request)


# What it says

def test_it_says_who_it_is(server, backend):
    with Up(server.url, backend.port) as up:
        said = server.agent().hello()
        assert said["host"] == f"localhost:{backend.port}", said
        assert said["agent"].startswith("tunnel/"), said
        assert len(said["instance"]) >= 16 and said["streams"] > 100, said
        assert server.fields.get("Authorization") == "Bearer agent-token"
        assert server.fields.get("Sec-WebSocket-Protocol") == "tunneld.v1"


def test_the_url_alone_is_on_standard_output(server, backend):
    with Up(server.url, backend.port) as up:
        agent = serving(server, up)
        ask(agent, 1)
        agent.expect(DATA)
        up.expect("GET")
        up.interrupt()
        assert up.wait() == 0, up.both()
        assert up.out.decode() == f"{server.url}/t/{ID}/\n"
        for piece in (SECRET, f"#{SECRET}", f"http://localhost:{backend.port}", "/hello", "200"):
            assert piece in up.text(), piece
        assert "\033" not in up.text()
        assert "agent-token" not in up.both()
        assert ("DELETE", f"/_api/tunnels/{ID}") in server.calls


def test_nothing_of_a_server_or_visitor_acts_on_the_terminal(server, backend):
    hostile = "\033]0;title\007\033[2J\u202e"
    server.members = {"share_url": "http://a/" + hostile, "secret": hostile, "auth": "bearer"}
    with Up(server.url, backend.port, tty=True, NO_COLOR="1") as up:
        agent = serving(server, up)
        agent.send(NOTICE, "expiring", 299)
        up.expect("4m 59s")
        agent.raw(frame(struct.pack(">H", 4009) + hostile.encode(), 8))
        up.expect("closed the connection")
        server.agent().hello()
        up.expect("connected again")
        assert "\033" not in up.text() and "\007" not in up.text() and "\u202e" not in up.text(), repr(up.text())


# What a server may not do

def hello_twice(agent):
    agent.send(HELLO, 1, {"instance": "relay", "agent": "test", "streams": 0})


def masked(agent):
    agent.raw(b"\x82\x81\0\0\0\0x")


def long_form(agent):
    agent.raw(b"\x82\x7e\x00\x01\x90")


def reserved_bits(agent):
    agent.raw(b"\xc2\x01\x90")


def unknown_opcode(agent):
    agent.raw(b"\x83\x00")


def long_ping(agent):
    agent.raw(frame(b"x" * 126, 9))


def text(agent):
    agent.raw(frame(b"[6]", 1))


def no_msgpack(agent):
    agent.raw(frame(b"\xc1"))


def unknown_type(agent):
    agent.send(7, 1)


def trailing_bytes(agent):
    agent.raw(frame(msgpack.packb([FIN, 1]) + b"\0"))


def an_even_longer_message(agent):
    agent.send(NOTICE, "x" * 2000, 1)


def unopened_stream(agent):
    agent.send(DATA, 77, b"x")


def stream_twice(agent):
    agent.send(OPEN, 1, {"peer": "", "proto": "http"})
    agent.send(OPEN, 1, {"peer": "", "proto": "http"})


def beyond_credit(agent):
    agent.send(OPEN, 1, {"peer": "", "proto": "http"})
    for _ in range(5):
        agent.send(DATA, 1, b"x" * 65000)


def too_much_at_once(agent):
    agent.send(OPEN, 1, {"peer": "", "proto": "http"})
    agent.send(DATA, 1, b"x" * 65537)


def credit_overflow(agent):
    agent.send(OPEN, 1, {"peer": "", "proto": "http"})
    for _ in range(3):
        agent.send(CREDIT, 1, 0x7FFFFFFF)


def data_after_fin(agent):
    agent.send(OPEN, 1, {"peer": "", "proto": "http"})
    agent.send(FIN, 1)
    agent.send(DATA, 1, b"x")


VIOLATIONS = [hello_twice, masked, long_form, reserved_bits, unknown_opcode, long_ping, text, no_msgpack, unknown_type,
              trailing_bytes, an_even_longer_message, unopened_stream, stream_twice, beyond_credit, too_much_at_once,
              credit_overflow, data_after_fin]
LEAVE_MORE_BEHIND = [beyond_credit, too_much_at_once]


@pytest.mark.parametrize("violation", VIOLATIONS, ids=lambda violation: violation.__name__)
def test_violations_end_the_connection_by_name(server, violation):
    def silent(stream):  # does not shake hands, so nothing is taken and no credit returned
        stream.ended(30)

    with TcpBackend(silent) as backend, Up(server.url, f"https+insecure:127.0.0.1:{backend.port}") as up:
        agent = serving(server, up)
        violation(agent)
        up.expect("did not keep to the protocol")
        closed = agent.ended()
        if closed is None and violation in LEAVE_MORE_BEHIND:
            return  # the reset that unread bytes cause has overtaken the close frame
        assert closed is not None and closed[0] in (1002, 1003, 1008, 1009) and closed[1], closed
        serving(server, up)
        assert up.process.poll() is None


def test_ten_thousand_streams(server):
    with TcpBackend(lambda stream: stream.ended(60)) as backend, Up(server.url, backend.port, "-q") as up:
        agent = serving(server, up)
        streams = 10000
        for number in range(1, streams + 1):
            agent.send(OPEN, number, {"peer": "", "proto": "http"})
            agent.send(RESET, number, 0)
        agent.send(OPEN, streams + 1, {"peer": "", "proto": "http"})
        agent.send(FIN, streams + 1)
        proc.wait_until(lambda: up.descriptors() < 100, 20, up.both)
        assert up.process.poll() is None
        assert up.rss() < 64 << 10


def test_a_flood_of_pings_costs_no_memory(server, backend):
    with Up(server.url, backend.port) as up:
        agent = serving(server, up)
        piece = frame(b"p" * 125, 9) * 2000
        agent.stream.sock.settimeout(0.2)
        try:
            for _ in range(200):  # 50 MB, and nothing is read
                agent.raw(piece)
        except TimeoutError:
            pass
        assert up.rss() < 32 << 10


@pytest.mark.parametrize("answer, code, words", [
    ((401, {"code": "token_invalid", "detail": "no such token"}), 3, "does not accept the token"),
    ((404, {"code": "tunnel_unknown", "detail": "unknown"}), 4, "unknown"),
    ((409, {"code": "conflict", "detail": "it leads elsewhere"}), 3, "it leads elsewhere"),
])
def test_refusals_are_final(server, backend, answer, code, words):
    server.refuse = answer
    with Up(server.url, backend.port) as up:
        assert up.wait() == code, up.both()
        assert words in up.text(), up.both()
        assert up.out == b""


def test_a_busy_server_is_asked_again(server, backend):
    server.refuse = (503, {"code": "draining", "detail": "restarting"})
    with Up(server.url, backend.port) as up:
        proc.wait_until(lambda: len(server.calls) >= 3, 10, up.both)
        server.refuse = None
        serving(server, up)


@pytest.mark.parametrize("state, code", [("expired", 10), ("revoked", 9), ("exhausted", 8), ("failed", 1)])
def test_why_it_is_over(server, backend, state, code):
    with Up(server.url, backend.port) as up:
        agent = serving(server, up)
        server.state = state
        server.refuse = (410, {"code": "tunnel_over", "detail": "over"})
        agent.close()
        assert up.wait() == code, up.both()


def test_the_time_is_over_and_the_server_gone(backend):
    with FalseServer(life=2) as server:
        up = Up(server.url, backend.port)
        agent = serving(server, up)
    agent.close()
    with up:
        assert up.wait() == 10, up.both()


def test_a_connection_is_renewed_before_it_is_old(server, backend):
    with Up(server.url, backend.port, "--reconnect-after", "1s", "--output", "json") as up:
        first = server.agent()
        first.hello()
        ask(first, 1, b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12")
        second = server.agent()
        second.hello()
        assert up.event("reconnect")["state"] == "renewed"
        first.send(DATA, 1, b"345")  # what began there ends there
        assert b"200 Fine" in first.expect(DATA)[2]
        first.send(RESET, 1, 0)
        ask(first, 2)  # was on its way before the relay knew of the second
        while (message := first.expect(DATA))[1] != 2:
            pass  # the rest of the first answer
        assert b"200 Fine" in message[2]
        first.send(NOTICE, "replaced", 0)
        first.send(RESET, 2, 0)
        closed = first.ended()
        assert closed == (1000, ""), closed
        ask(second, 1)
        second.expect(DATA)


def test_ctrl_c_twice_does_not_wait(server, backend):
    with Up(server.url, backend.port) as up:
        serving(server, up)
        server._answer = lambda *_: time.sleep(30)  # the server takes its time
        up.interrupt()
        proc.wait_until(lambda: ("DELETE", f"/_api/tunnels/{ID}") in server.calls, 10, up.both)
        up.interrupt()
        assert up.wait(2) == -signal.SIGINT


def test_the_target_is_down_and_back(server):
    with Up(server.url, "127.0.0.1:9") as up:
        agent = serving(server, up)
        for stream in (1, 2):
            ask(agent, stream)
            assert agent.expect(RESET) == [RESET, stream, 1]
        up.expect("nothing answers at http://127.0.0.1:9")
        assert up.text().count("nothing answers") == 1, up.text()


def test_a_tcp_stream_does_not_reach_a_web_server(server, backend):
    with Up(server.url, backend.port) as up:
        agent = serving(server, up)
        agent.send(OPEN, 1, {"peer": "", "proto": "tcp"})
        assert agent.expect(RESET) == [RESET, 1, 4]


def test_it_is_sealed(server, backend):
    with Up(server.url, backend.port) as up:
        serving(server, up)
        with open(f"/proc/{up.pid}/status") as file:
            status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"


def test_ctrl_c_and_the_server_is_gone(backend):
    with FalseServer() as server:
        up = Up(server.url, backend.port)
        agent = serving(server, up)
    with up:
        agent.close()
        up.expect("no server")
        up.interrupt()
        assert up.wait() == 5, up.both()
        assert "the tunnel lives on until its time is over" in up.text()
