# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A relay that is given another CONFIG: another life is all it takes.

import msgpack
import pytest
from child import MSG
from relay_stage import Relay, config, end_after, get, read_head


def with_life(life_ms, **settings):
    values = msgpack.unpackb(config(**settings))
    values[7] = life_ms
    return msgpack.packb(values)


@pytest.fixture
def relay():
    with Relay() as relay:
        yield relay


def test_another_life(relay):
    visitor = relay.visit(get())
    backend = relay.accept()
    read_head(backend)
    for life_ms in (1, 60_000, 86_400_000, 3600_000):
        relay.send(MSG.RELAY_CONFIG, with_life(life_ms), end_after(60))
    backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert read_head(visitor)[0][0] == "HTTP/1.1 200 OK", "connections do not notice"
    assert relay.alive()


@pytest.mark.parametrize("bytes_sent", [
    with_life(60_000, backend="http://elsewhere.test:8000"), with_life(60_000, auth="bearer"),
    with_life(60_000, connections=101), with_life(60_000, size=1), with_life(60_000, rate=1),
    with_life(60_000, requests=1), with_life(60_000, prefix="keep"), with_life(60_000, reuse="shared"),
    with_life(60_000) + b"\0", with_life(60_000)[:-1], b"\0",
    msgpack.packb([1, "t-" + "z" * 26] + msgpack.unpackb(with_life(60_000))[2:]),
    msgpack.packb([1, msgpack.unpackb(config())[1], "name"] + msgpack.unpackb(config())[3:])])
def test_anything_else_ends_it(relay, bytes_sent):
    relay.send(MSG.RELAY_CONFIG, bytes_sent, end_after(60))
    assert relay.closed() and relay.wait() == 0


def test_before_the_first_one():
    with Relay(setup=False) as relay:
        relay.send(MSG.RELAY_CONFIG, config(), end_after(60))
        assert relay.closed() and relay.wait() == 0
