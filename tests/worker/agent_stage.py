# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# An agent of the test's own, and a relay of a pull tunnel whose backend connections lead through
# one: what a test of relaying does with a socket it can do with either kind of tunnel.

import contextlib
import os
import selectors
import socket
import struct
import threading

import msgpack

from child import MSG
from relay_stage import PATIENCE, Relay, reset, tcp_pair

HELLO, OPEN, DATA, CREDIT, FIN, RESET, NOTICE = range(7)
WINDOW = 256 * 1024
BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


def mask(payload, key):
    n = len(payload)
    whole = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(whole, "little")).to_bytes(n, "little")


def frame(opcode, payload=b"", last=True, masked=True):
    n = len(payload)
    head = bytes([last << 7 | opcode])
    length = bytes([n]) if n < 126 else b"\x7e" + struct.pack(">H", n) if n < 65536 else b"\x7f" + struct.pack(">Q", n)
    if not masked:
        return head + length + payload
    key = os.urandom(4)
    return head + bytes([length[0] | 0x80]) + length[1:] + key + mask(payload, key)


def hello_of(instance, **said):
    return frame(BINARY, msgpack.packb([HELLO, 1, {"instance": instance, "agent": "test/1", **said}]))


class Frames:
    """Takes a server's frames apart."""

    def __init__(self):
        self.data = bytearray()

    def next(self):
        """(opcode, payload), or None while it is not complete."""
        have = self.data
        if len(have) < 2:
            return None
        first, n, at = have[0], have[1], 2
        assert first & 0xf0 == 0x80 and n < 128, f"no frame of this server's: {bytes(have[:2])}"
        if n >= 126:
            at = 4 if n == 126 else 10
            n = int.from_bytes(have[2:at], "big")
        if len(have) < at or len(have) < at + n:
            return None
        payload = bytes(have[at:at + n])
        del have[:at + n]
        return first & 0x0f, payload


class Agent:
    """One connection of an agent, step by step."""

    def __init__(self, relay, instance="one", hello=True, early=b"", narrow=False, **said):
        self.sock, theirs = tcp_pair()
        if narrow:  # the kernel holds little of what it does not read
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        relay.send(MSG.AGENT, early, fd=theirs)
        theirs.close()
        if hello:
            self.sock.sendall(hello_of(instance, **said))
        self.frames = Frames()
        self.pongs = True  # answers pings

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *message):
        self.sock.sendall(frame(BINARY, msgpack.packb(message)))

    def frame(self):
        """The next frame that is no ping, unless they are not answered; None at the end."""
        while True:
            while (found := self.frames.next()) is None:
                try:
                    data = self.sock.recv(1 << 18)
                except ConnectionResetError:
                    return None
                if not data:
                    return None
                self.frames.data += data
            if not self.pongs or found[0] != PING:
                return found
            self.sock.sendall(frame(PONG, found[1]))

    def message(self):
        opcode, payload = self.frame() or (None, b"the end")
        assert opcode == BINARY, f"no message but {opcode}: {payload!r}"
        return msgpack.unpackb(payload)

    def expect(self, kind, stream=None):
        message = self.message()
        assert message[0] == kind and stream in (None, message[1]), f"not {kind} of {stream}: {message!r}"
        return message

    def greeted(self):
        hello = self.expect(HELLO)
        assert hello[1] == 1 and hello[2]["agent"] == "tunneld"
        return self

    def opened(self):
        """(stream, what OPEN says, the first bytes). Streams that are reset before are passed over."""
        while (message := self.message())[0] == RESET:
            pass
        kind, stream, what = message
        assert kind == OPEN, f"no OPEN: {message!r}"
        return stream, what, self.expect(DATA, stream)[2]

    def answer(self, stream, body=b"hello", head=""):
        self.send(DATA, stream, f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body)

    def closed_after(self):
        """Messages up to the close frame, and (code, reason) of that."""
        messages = []
        while (found := self.frame()) is not None:
            if found[0] == CLOSE:
                return messages, (int.from_bytes(found[1][:2], "big"), found[1][2:].decode())
            messages.append(msgpack.unpackb(found[1]))
        return messages, None

    def closed(self):
        """(code, reason) of the close frame; what comes before it is passed over."""
        while (found := self.frame()) is not None:
            if found[0] == CLOSE:
                return int.from_bytes(found[1][:2], "big"), found[1][2:].decode()
        return None


class Bridged:
    """A stream of a bridge and the socket it is bridged to."""

    def __init__(self, number, sock):
        self.number, self.sock = number, sock
        self.credit, self.taken = WINDOW, 0
        self.out = bytearray()  # for the socket
        self.fin_in = self.fin_out = self.ended = False


class Bridge(threading.Thread):
    """An agent that connects each stream to a socket, whose other end accept() returns."""

    def __init__(self, relay):
        super().__init__(daemon=True)
        self.agent = Agent(relay, host="service.test:8000").greeted()
        self.agent.sock.setblocking(False)
        self.streams = {}
        self.out = bytearray()
        self.accepted, self.ready = [], threading.Condition()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.agent.sock, selectors.EVENT_READ, None)
        self.running = True
        self.start()

    def accept(self):
        with self.ready:
            assert self.ready.wait_for(lambda: self.accepted, PATIENCE), "no OPEN came"
            return self.accepted.pop(0)

    def close(self):
        self.running = False
        with contextlib.suppress(OSError):  # it may have seen that already
            self.agent.sock.shutdown(socket.SHUT_RDWR)
        self.join(PATIENCE)
        assert not self.is_alive(), "the bridge is stuck"

    def say(self, *message):
        self.out += frame(BINARY, msgpack.packb(message))

    # what the relay says

    def on_open(self, number, what):
        ours, theirs = tcp_pair(reset_on_close=False)
        theirs.setblocking(False)
        self.streams[number] = Bridged(number, theirs)
        with self.ready:
            self.accepted.append(ours)
            self.ready.notify()

    def on_data(self, number, data):
        if stream := self.streams.get(number):
            stream.out += data

    def on_credit(self, number, n):
        if stream := self.streams.get(number):
            stream.credit += n

    def on_fin(self, number):
        if stream := self.streams.get(number):
            stream.fin_in = True

    def on_reset(self, number, code):
        if stream := self.streams.pop(number, None):
            self.forget(stream)
            reset(stream.sock)

    def forget(self, stream):
        with contextlib.suppress(KeyError):
            self.selector.unregister(stream.sock)

    # what the sockets do

    def broken(self, stream):
        self.say(RESET, stream.number, 3)
        del self.streams[stream.number]
        self.forget(stream)
        stream.sock.close()

    def pump(self, stream):
        try:
            if stream.out:
                n = stream.sock.send(stream.out)
                del stream.out[:n]
                stream.taken += n
                if stream.taken >= WINDOW // 2 and not stream.fin_in:
                    self.say(CREDIT, stream.number, stream.taken)
                    stream.taken = 0
            if not stream.out and stream.fin_in and not stream.ended:
                stream.ended = True
                stream.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            return self.broken(stream)
        try:
            while not stream.fin_out and stream.credit and len(self.out) < WINDOW:
                data = stream.sock.recv(min(65536, stream.credit))
                stream.credit -= len(data)
                stream.fin_out = not data
                self.say(DATA, stream.number, data) if data else self.say(FIN, stream.number)
        except BlockingIOError:
            pass
        except OSError:
            return self.broken(stream)
        if stream.ended and stream.fin_out:
            del self.streams[stream.number]
            self.forget(stream)
            stream.sock.close()
        return None

    def watch(self, stream):
        events = (selectors.EVENT_READ if not stream.fin_out and stream.credit and len(self.out) < WINDOW else 0) | (
            selectors.EVENT_WRITE if stream.out else 0)
        self.forget(stream)
        if events:
            self.selector.register(stream.sock, events, stream)

    def receive(self):
        handlers = (None, self.on_open, self.on_data, self.on_credit, self.on_fin, self.on_reset, lambda *_: None)
        try:
            data = self.agent.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.running = self.running and bool(data)
        self.agent.frames.data += data
        while (found := self.agent.frames.next()) is not None:
            opcode, payload = found
            if opcode == PING:
                self.out += frame(PONG, payload)
            elif opcode == BINARY:
                kind, *fields = msgpack.unpackb(payload)
                handlers[kind](*fields)
            elif opcode == CLOSE:
                self.running = False

    def run(self):
        while self.running:
            for stream in list(self.streams.values()):
                self.pump(stream)
            for stream in self.streams.values():
                self.watch(stream)
            if self.out:
                try:
                    del self.out[:self.agent.sock.send(self.out)]
                except BlockingIOError:
                    pass
                except OSError:
                    break
            self.selector.modify(self.agent.sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0), None)
            for key, events in self.selector.select(1):
                if key.data is None and events & selectors.EVENT_READ:
                    self.receive()
        for stream in self.streams.values():
            self.forget(stream)
            reset(stream.sock)
        self.agent.close()


class PullRelay(Relay):
    """A relay of a pull tunnel with one agent, to be used like one of a push tunnel."""

    def __init__(self, **settings):
        super().__init__(backend="", **settings)
        self.bridge = Bridge(self)

    def accept(self, addresses=1):
        return self.bridge.accept()

    def close(self):
        self.bridge.close()
        super().close()
