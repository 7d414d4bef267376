# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a WebSocket through a tunnel is a WebSocket: Python's websockets library cannot tell the
# difference, and not one byte differs between the two ends.

import asyncio
import hashlib
import random

import pytest
import websockets
from websockets.frames import Opcode

from support import pattern, proc
from support import websocket as ws
from support.backend import TcpBackend, head

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]

BIG = 64 << 20


def run(tunnel, path, story, **how):
    """Runs STORY(connection) on the real client, as a user of the library writes it."""
    async def connected():
        url = "ws" + tunnel.url[4:].rstrip("/") + path
        options = {"max_size": 2 * BIG, "ping_interval": None, "open_timeout": 10, "compression": None}
        async with websockets.connect(url, **(options | how)) as connection:
            return await asyncio.wait_for(story(connection), 60)

    return asyncio.run(connected())


def test_text_and_binary(tunnel):
    async def story(connection):
        for message in ("hello", "ünïcödé ☕", "", b"\0\1\2", b"", "x" * 70000, bytes(70000)):
            await connection.send(message)
            assert await connection.recv() == message

    run(tunnel, "/ws/echo", story)


def test_with_compression_negotiated_end_to_end(tunnel):
    async def story(connection):
        await connection.send("a" * 100000)
        assert await connection.recv() == "a" * 100000

    run(tunnel, "/ws/echo", story, compression="deflate")


def test_fragments_in_both_directions(tunnel):
    async def story(connection):
        await connection.send(["one ", "message ", "in ", "parts"])
        return await connection.recv()

    assert run(tunnel, "/ws/echo", story) == "one message in parts"
    wire = ws.connect(tunnel, "/ws/fragments")
    coming = ws.frames(wire)
    frames = [next(coming) for _ in range(5)]
    assert [(f.opcode, bytes(f.data), f.fin) for f in frames] == [
        (Opcode.TEXT, b"one", False), (Opcode.PING, b"are you there", True),
        (Opcode.CONT, b"two", False), (Opcode.CONT, b"three", True),
        (Opcode.TEXT, b"pong: are you there", True)], frames
    wire.stream.close()


def test_ping_and_pong(tunnel):
    async def story(connection):
        await asyncio.wait_for(await connection.ping(b"payload"), 5)

    run(tunnel, "/ws/echo", story)


def test_messages_of_64_mib(tunnel):
    message = pattern.data(BIG)

    async def story(connection):
        await connection.send(message)
        return await connection.recv()

    back = run(tunnel, "/ws/echo", story)
    assert hashlib.sha256(back).hexdigest() == pattern.digest(BIG)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_close_codes_from_the_backend(tunnel, code):
    async def story(connection):
        await connection.send("close")
        with pytest.raises(websockets.ConnectionClosed):
            await connection.recv()
        return connection.close_code, connection.close_reason

    assert run(tunnel, f"/ws/close/{code}", story) == (code, "as you wish")


def test_close_codes_from_the_visitor(tunnel, backend):
    async def story(connection):
        await connection.close(4001, "enough")

    run(tunnel, "/ws/echo", story)
    proc.wait_until(lambda: backend.upgraded, 5, "the backend's end")
    closed = backend.upgraded[0].protocol.close_rcvd
    assert (closed.code, closed.reason) == (4001, "enough")


def test_an_end_without_a_close_frame(tunnel):
    async def story(connection):
        await connection.send("go")
        with pytest.raises(websockets.ConnectionClosed):
            await connection.recv()
        return connection.close_code

    assert run(tunnel, "/ws/vanish", story) == 1006


def test_subprotocols_are_the_backends_choice(tunnel):
    async def story(connection):
        return connection.subprotocol

    assert run(tunnel, "/ws/echo", story, subprotocols=["other", "tunneld.test"]) == "tunneld.test"


def test_bytes_are_identical_on_both_sides(tunnel, backend):
    """Digests of everything after the handshake, taken at both sockets."""
    wire = ws.connect(tunnel, "/ws/echo")
    chance = random.Random(4)
    for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
        data = chance.randbytes(size)
        for cut in (size // 3, size // 2):
            wire.protocol.send_binary(data[:cut], fin=False)
            wire.protocol.send_ping(b"p")
            wire.protocol.send_continuation(data[cut:], fin=True)
            wire.flush()
            opcode, back = next(ws.messages(wire))
            assert (opcode, back) == (Opcode.BINARY, data), f"{size} bytes cut at {cut}"
    wire.protocol.send_close(1000)
    wire.flush()
    while wire.events() is not None:
        pass
    wire.stream.close()
    proc.wait_until(lambda: backend.upgraded, 5, "the backend's end")
    other = backend.upgraded[0]
    assert (wire.sent.length, wire.sent.hex()) == (other.got.length, other.got.hex())
    assert (wire.got.length, wire.got.hex()) == (other.sent.length, other.sent.hex())


def test_frames_that_no_websocket_library_would_send_pass_as_well(api):
    """No inspection: after the 101 bytes are bytes."""
    noise = random.Random(5).randbytes(300_000)

    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\n\r\n" + noise)
        while piece := stream.some():
            stream.send(piece)
        stream.finish()

    with TcpBackend(serve) as backend:
        tunnel = api.create(backend)
        with tunnel.connect() as visitor:
            visitor.request("GET", tunnel.target("/"), [
                ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
            assert visitor.answer_head().status == 101
            visitor.send(b"early bytes")
            assert visitor.take(len(noise)) == noise, "bytes that came with the 101"
            assert visitor.take(11) == b"early bytes"
            visitor.send(noise)
            assert visitor.take(len(noise)) == noise
            visitor.finish()
            assert visitor.rest() == b"", "a half-close crosses and comes back"


def test_bytes_sent_together_with_the_upgrade_request_arrive(api):
    def serve(stream):
        stream.head()
        stream.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        stream.send(stream.take(7))

    with TcpBackend(serve) as backend:
        tunnel = api.create(backend)
        with tunnel.connect() as visitor:
            visitor.send(f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n"
                         "Upgrade: x\r\n\r\nhurried".encode())
            assert visitor.answer_head().status == 101
            assert visitor.take(7) == b"hurried"


def test_an_upgrade_the_backend_declines_is_an_ordinary_answer(tunnel, backend):
    backend.route("/no", lambda received, request, stream: stream.send(
        head(426, [("Content-Length", 3), ("Upgrade", "other")]), b"no\n") or True)
    with tunnel.connect() as visitor:
        answer = visitor.exchange("GET", tunnel.target("/no"), [
            ("Connection", "Upgrade"), ("Upgrade", "websocket")])
        assert (answer.status, answer.body) == (426, b"no\n"), answer
        assert visitor.exchange("GET", tunnel.target("/after")).status == 200


def test_the_secret_is_asked_for_upgrades_and_does_not_pass(api, backend):
    tunnel = api.create(backend, auth="bearer")
    with pytest.raises(AssertionError, match="401"):
        ws.connect(tunnel, "/ws/echo")
    wire = ws.connect(tunnel, "/ws/echo", tunnel.bearer())
    wire.protocol.send_text(b"in")
    wire.flush()
    assert next(ws.messages(wire)) == (Opcode.TEXT, b"in")
    wire.stream.close()
    assert len(backend.received) == 1 and tunnel.secret.encode() not in backend.last().raw


def test_a_hundred_at_once(tunnel):
    async def one(number, url):
        async with websockets.connect(url, ping_interval=None, open_timeout=20) as connection:
            for turn in range(5):
                await connection.send(f"{number}.{turn}")
                assert await connection.recv() == f"{number}.{turn}"

    async def all_of_them():
        url = "ws" + tunnel.url[4:].rstrip("/") + "/ws/echo"
        await asyncio.gather(*(one(number, url) for number in range(100)))

    asyncio.run(all_of_them())
