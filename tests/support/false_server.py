# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A server for the `tunnel` command that the test plays itself: the API answers as tunneld's would,
# and each agent connection is handed to the test, which says frame by frame what the relay would
# never say.

import base64
import contextlib
import hashlib
import json
import os
import queue
import socket
import struct
import threading
import time

import msgpack

from . import wire

HELLO, OPEN, DATA, CREDIT, FIN, RESET, NOTICE = range(7)
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
ID = "t-" + "a" * 26
SECRET = "s" * 43


def frame(payload, opcode=BINARY, first=0x80):
    """An unmasked frame, as servers send them."""
    n = len(payload)
    if n < 126:
        head = bytes([first | opcode, n])
    elif n < 65536:
        head = struct.pack(">BBH", first | opcode, 126, n)
    else:
        head = struct.pack(">BBQ", first | opcode, 127, n)
    return head + payload


class Agent:
    """An agent's connection, after its 101."""

    def __init__(self, stream):
        self.stream = stream
        self.closed = None  # (code, reason) of its close frame

    def send(self, *message):
        self.raw(frame(msgpack.packb(list(message))))

    def raw(self, data):
        self.stream.send(data)

    def hello(self):
        """Greets, and returns what the agent said of itself."""
        kind, version, said = self.next()
        assert (kind, version) == (HELLO, 1), (kind, version)
        self.send(HELLO, 1, {"instance": "relay", "agent": "test", "streams": 0})
        return said

    def frame(self):
        """(opcode, payload), or None at the end."""
        try:
            first, second = self.stream.take(2)
            assert second & 0x80, "a client masks"
            n = second & 0x7F
            if n == 126:
                (n,) = struct.unpack(">H", self.stream.take(2))
            elif n == 127:
                (n,) = struct.unpack(">Q", self.stream.take(8))
            key, payload = self.stream.take(4), self.stream.take(n)
        except (ConnectionError, EOFError):
            return None
        stretched = key * (n // 4 + 1)
        return first & 15, (int.from_bytes(payload, "big") ^ int.from_bytes(stretched[:n], "big")).to_bytes(n, "big")

    def next(self):
        """The next message; None at the end. Pings are answered, a close frame is kept."""
        while (got := self.frame()) is not None:
            opcode, payload = got
            if opcode == BINARY:
                return msgpack.unpackb(payload)
            if opcode == PING:
                with contextlib.suppress(ConnectionError):  # its close frame may be behind it
                    self.raw(frame(payload, PONG))
            if opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else None
                self.closed = (code, payload[2:].decode())
        return None

    def expect(self, *kinds):
        """The next message of one of these kinds."""
        while (message := self.next()) is not None:
            if message[0] in kinds:
                return message
        raise AssertionError(f"the agent went without {kinds}; {self.closed}")

    def ended(self):
        """Reads to the end; returns its close frame."""
        while self.next() is not None:
            pass
        return self.closed

    def close(self):
        self.stream.close()


class FalseServer:
    """`state` of the one tunnel; `agents` are those that came, in a queue; `refuse` is how many more are refused, and how."""

    def __init__(self, life=3600):
        self.state = "active"
        self.expires = time.time() + life
        self.calls = []
        self.members = {}
        self.refuse = None  # (status, body) for agents
        self.agents = queue.Queue()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._streams = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for stream in self._streams:
            stream.close()

    def agent(self, seconds=10):
        """The next agent connection."""
        return self.agents.get(timeout=seconds)

    def document(self):
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.expires))
        return {"id": ID, "url": f"{self.url}/t/{ID}/", "share_url": f"{self.url}/t/{ID}/#{SECRET}",
                "secret": SECRET, "auth": "bearer", "mode": "pull", "state": self.state, "expires_at": ends,
                "agent": {"url": "ws://elsewhere.invalid/", "token": "agent-token"}} | self.members

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            stream = wire.Stream(sock)
            self._streams.append(stream)
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream):
        try:
            request = wire.Request(stream)
        except (OSError, AssertionError):
            return stream.close()
        self.calls.append((request.method, request.path))
        if request.path.endswith("/agent"):
            return self._serve_agent(stream, request)
        if request.method == "DELETE":
            self.state = "revoked"
            return self._answer(stream, 200, {"ok": True})
        return self._answer(stream, 201 if request.method == "POST" else 200, self.document())

    def _answer(self, stream, status, document):
        body = json.dumps(document).encode()
        stream.send(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        stream.close()

    def _serve_agent(self, stream, request):
        self.fields = request.fields
        if self.refuse:
            return self._answer(stream, *self.refuse)
        accept = hashlib.sha1(request.fields.get("Sec-WebSocket-Key").encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        stream.send(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                    + base64.b64encode(accept.digest()) + b"\r\nSec-WebSocket-Protocol: tunneld.v1\r\n\r\n")
        self.agents.put(Agent(stream))
        return None
