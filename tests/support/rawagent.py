# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# An agent in the hands of a test: it says what the test wants, message by message or byte by byte.

import contextlib
import os
import socket
import struct
import threading
import urllib.parse

import msgpack
from websockets.client import ClientConnection
from websockets.frames import Opcode
from websockets.uri import parse_uri

from . import wire
from .websocket import Wire

HELLO, OPEN, DATA, CREDIT, FIN, RESET, NOTICE = range(7)
WINDOW = 256 * 1024


def mask(payload, key):
    n = len(payload)
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")


def frame(payload, opcode=2, first=0x80, masked=True, length=None):
    """A frame with FIN and reserved bits FIRST, whose head says LENGTH (None: the truth)."""
    n = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    if n < 126:
        head = struct.pack("BB", first | opcode, bit | n)
    elif n < 65536:
        head = struct.pack("!BBH", first | opcode, bit | 126, n)
    else:
        head = struct.pack("!BBQ", first | opcode, bit | 127, n)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


class RawAgent:
    """Connected to TUNNEL, by TLS with a context for it; it says HELLO by itself unless INSTANCE is None."""

    def __init__(self, tunnel, instance="raw", token=None, fields=(), port=None, tls=None, **hello):
        agent = tunnel.document["agent"]
        self._serving = None
        parts = urllib.parse.urlsplit(agent["url"])
        self.stream = wire.Client((parts.hostname, port or parts.port), timeout=30, tls=tls)
        protocol = ClientConnection(parse_uri(agent["url"]), subprotocols=["tunneld.v1"], max_size=1 << 20)
        ours = [(name, value) for name, value in protocol.connect().headers.raw_items() if name != "Host"]
        self.stream.request("GET", parts.path, [
            *ours, ("Authorization", f"Bearer {token or agent['token']}"), *fields])
        self.answer = self.stream.answer_head()
        if self.answer.status != 101:
            self.answer.read(lambda piece: None)
            return
        protocol.receive_data(self.answer.raw)
        protocol.events_received()
        assert protocol.handshake_exc is None, protocol.handshake_exc
        self.wire = Wire(self.stream, protocol)
        self._messages = []
        if instance is not None:
            self.say(HELLO, 1, {"instance": instance, **hello})
            assert self.hear()[:2] == [HELLO, 1], "the relay says HELLO, too"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._serving:
            with contextlib.suppress(OSError):
                self.stream.sock.shutdown(socket.SHUT_RDWR)  # a thread waits for it
            self._serving.join(10)
        self.stream.close()

    # Speaking

    def say(self, *message):
        self.raw(frame(msgpack.packb(message)))

    def raw(self, data):
        self.stream.send(data)

    # Hearing; pings are answered on the way

    def hear(self, kind=None, seconds=10):
        """The next message (of this kind); None when there is none in that time, or the end has come."""
        while True:
            for i, message in enumerate(self._messages):
                if kind in (None, message[0]):
                    return self._messages.pop(i)
            if not self.stream.readable(seconds) or not self._read():
                return None

    def _read(self):
        try:
            events = self.wire.events()
        except (ConnectionError, TimeoutError):
            return False
        for event in events or ():
            if event.opcode is Opcode.BINARY:
                self._messages.append(msgpack.unpackb(event.data))
        return events is not None

    def closed(self, seconds=10):
        """Waits for the relay's close frame: (code, reason); None when it ended without one."""
        while self.wire.protocol.close_rcvd is None:
            if not self.stream.readable(seconds) or not self._read():
                break
        found = self.wire.protocol.close_rcvd
        return found and (found.code, found.reason)

    # Serving

    def request(self, seconds=10):
        """The next stream that is opened, with its request head: (stream, head); None: none came."""
        opened = self.hear(OPEN, seconds)
        if opened is None:
            return None
        head = b""
        while b"\r\n\r\n" not in head:
            _, stream, data = self.hear(DATA)
            assert stream == opened[1], "one at a time"
            head += data
        return opened[1], head

    def reply(self, stream, body, end=True):
        head = b"HTTP/1.1 200 Fine\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        self.say(DATA, stream, head + body)
        if end:
            self.say(FIN, stream)

    def serve(self, name):
        """Answers every request with NAME, in a thread, until the connection ends."""
        self.served = 0

        def run():
            with contextlib.suppress(OSError):
                while found := self.request(60):
                    self.served += 1
                    self.reply(found[0], name.encode())
        self._serving = threading.Thread(target=run, daemon=True)
        self._serving.start()
        return self
