# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# WebSocket over a Stream, with the sans-I/O half of python3-websockets, keeping a digest of the
# very bytes that crossed the socket in each direction after the handshake.
#
# The server's paths:  /ws/echo            every frame comes back as it was, fragments included
#                      /ws/fragments       sends "one", "two", "three" as one text in three frames,
#                                          a ping in between, then what the pong carried
#                      /ws/close/CODE      closes with CODE and a reason at the first message
#                      /ws/vanish          ends the connection without a close frame

from websockets.client import ClientConnection
from websockets.frames import Opcode
from websockets.server import ServerConnection
from websockets.uri import parse_uri

from . import pattern

MESSAGE_MAX = 128 << 20


class Wire:
    """Moves bytes between a websockets connection and a stream, with a digest each way."""

    def __init__(self, stream, protocol):
        self.stream, self.protocol = stream, protocol
        self.got, self.sent = pattern.Sha256(), pattern.Sha256()

    def flush(self):
        for piece in self.protocol.data_to_send():
            if piece:
                self.sent(piece)
                self.stream.send(piece)
            else:
                self.stream.finish()

    def events(self):
        """What the next bytes bring; None once the peer has ended."""
        piece = self.stream.some(pattern.BLOCK)
        if piece:
            self.got(piece)
            self.protocol.receive_data(piece)
        else:
            self.protocol.receive_eof()
        events = self.protocol.events_received()
        self.flush()
        return events if piece or events else None


def serve_websocket(received, request, stream):
    protocol = ServerConnection(max_size=MESSAGE_MAX, subprotocols=["chat", "tunneld.test"])
    protocol.receive_data(request.raw)
    (handshake,) = protocol.events_received()
    protocol.send_response(protocol.accept(handshake))
    for piece in protocol.data_to_send():
        stream.send(piece)
    wire = Wire(stream, protocol)
    BEHAVIOURS[request.path.split("/")[2]](wire, request.path)
    return wire


def frames(wire):
    """Yields frames as they come, until the peer ends."""
    while (found := wire.events()) is not None:
        yield from found


def _echo(wire, path):
    for frame in frames(wire):
        if frame.opcode is Opcode.TEXT:
            wire.protocol.send_text(frame.data, frame.fin)
        elif frame.opcode is Opcode.BINARY:
            wire.protocol.send_binary(frame.data, frame.fin)
        elif frame.opcode is Opcode.CONT:
            wire.protocol.send_continuation(frame.data, frame.fin)
        wire.flush()


def _fragments(wire, path):
    wire.protocol.send_text(b"one", fin=False)
    wire.protocol.send_ping(b"are you there")
    wire.protocol.send_continuation(b"two", fin=False)
    wire.protocol.send_continuation(b"three", fin=True)
    wire.flush()
    for frame in frames(wire):
        if frame.opcode is Opcode.PONG:
            wire.protocol.send_text(b"pong: " + bytes(frame.data))
            wire.flush()


def _close(wire, path):
    for frame in frames(wire):
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            wire.protocol.send_close(int(path.split("/")[3]), "as you wish")
            wire.flush()


def _vanish(wire, path):
    next(frames(wire))


BEHAVIOURS = {"echo": _echo, "fragments": _fragments, "close": _close, "vanish": _vanish}


def connect(tunnel, path, fields=()):
    """Opens a WebSocket through a tunnel; returns its Wire after a 101."""
    client = tunnel.connect(timeout=30)
    protocol = ClientConnection(parse_uri("ws" + tunnel.url[4:]), max_size=MESSAGE_MAX)
    handshake = protocol.connect()
    ours = [(name, value) for name, value in handshake.headers.raw_items() if name != "Host"]
    client.request("GET", tunnel.target(path), [*ours, *fields])
    answer = client.answer_head()
    assert answer.status == 101, f"no upgrade: {answer!r}"
    protocol.receive_data(answer.raw)
    protocol.events_received()
    assert protocol.handshake_exc is None, protocol.handshake_exc
    return Wire(client, protocol)


def messages(wire):
    """Yields whole messages, (opcode, bytes), until the close."""
    parts, kind = [], None
    for frame in frames(wire):
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            kind = kind if frame.opcode is Opcode.CONT else frame.opcode
            parts.append(bytes(frame.data))
            if frame.fin:
                yield kind, b"".join(parts)
                parts = []
        elif frame.opcode is Opcode.CLOSE:
            return
