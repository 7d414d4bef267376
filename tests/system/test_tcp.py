# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a tcp tunnel, once entered by an upgrade, is a byte pipe.

import random

import pytest

from support import pattern
from support.backend import TcpBackend, echo_tcp
from support.daemon import free_port

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "tcp")]


@pytest.fixture
def echo():
    with TcpBackend(echo_tcp) as backend:
        yield backend


def enter(tunnel, fields=()):
    visitor = tunnel.connect()
    visitor.request("GET", tunnel.target("/"), [*UPGRADE, *fields])
    answer = visitor.answer_head()
    assert answer.status == 101, answer
    assert answer.fields.tokens("Upgrade") == ["tcp"], answer
    assert "upgrade" in answer.fields.tokens("Connection"), answer
    return visitor


def test_bytes_go_and_come_back(api, echo):
    noise = random.Random(1).randbytes(1 << 20)
    with enter(api.create(echo.url("tcp"))) as visitor:
        for at in range(0, len(noise), 1 << 16):
            visitor.send(noise[at:at + (1 << 16)])
            assert visitor.take(1 << 16) == noise[at:at + (1 << 16)]


def test_the_backend_may_speak_first(api):
    with TcpBackend(lambda stream: stream.send(b"220 welcome\r\n")) as backend:
        with enter(api.create(backend.url("tcp"))) as visitor:
            assert visitor.rest() == b"220 welcome\r\n"


def test_half_close_crosses_in_both_directions(api, echo):
    with enter(api.create(echo.url("tcp"))) as visitor:
        visitor.send(b"last words")
        visitor.finish()
        assert visitor.rest() == b"last words"


def test_a_reset_crosses_as_a_reset(api):
    def angry(stream):
        stream.send(stream.take(1))
        stream.reset()

    with TcpBackend(angry) as backend:
        with enter(api.create(backend.url("tcp"))) as visitor:
            visitor.send(b"x")
            assert visitor.ended() == "reset"


def test_the_backend_sees_no_http(api):
    seen = []
    with TcpBackend(lambda stream: seen.append(stream.take(5))) as backend:
        with enter(api.create(backend.url("tcp"))) as visitor:
            visitor.send(b"plain")
            assert visitor.ended() == "eof"
    assert seen == [b"plain"]


def test_auth_is_asked_at_the_door(api, echo):
    tunnel = api.create(echo.url("tcp"), auth="bearer")
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/"), UPGRADE).status == 401
    assert echo.accepted == 0
    with enter(tunnel, tunnel.bearer()) as visitor:
        visitor.send(b"x")
        assert visitor.take(1) == b"x"


@pytest.mark.ways("push")  # a pull tunnel does not know what is behind it: HTTP goes through as well
def test_without_the_upgrade_the_visitor_is_told(api, echo):
    answer = api.create(echo.url("tcp")).get("/")
    assert answer.status == 426 or 400 <= answer.status < 500, answer
    assert echo.accepted == 0


@pytest.mark.ways("push")  # an agent connects after the 101
def test_nobody_listening_is_said_before_the_101(api):
    tunnel = api.create(f"tcp://127.0.0.1:{free_port()}")
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/"), UPGRADE).status == 502


def test_a_large_amount_is_exact(api):
    """256 MiB through the pipe, by digest."""
    size = 256 << 20

    def pour(stream):
        for block in pattern.blocks(size):
            stream.send(block)

    digest = pattern.Sha256()
    with TcpBackend(pour) as backend:
        with enter(api.create(backend.url("tcp"))) as visitor:
            visitor.sock.settimeout(30)
            visitor.to_end(digest)
    assert (digest.length, digest.hex()) == (size, pattern.digest(size))
