# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-gate on its stage: the test is everything around it, supervisor, relays, API worker
# and visitors.

import ipaddress
import json
import socket

from child import MSG, SETTLE, USE, Channel, Child, listener, one_way
from support import wire

A = "t-aaaaaaaaaaaaaaaaaaaaaaaaaa"
B = "t-bbbbbbbbbbbbbbbbbbbbbbbbbb"


def get(path, *fields, method="GET", version="HTTP/1.1"):
    lines = "".join(f"{field}\r\n" for field in ("Host: example.org", *fields))
    return f"{method} {path} {version}\r\n{lines}\r\n".encode()


def names(count):
    """Tunnel ids that are neither A nor B."""
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    return [f"t-{'c' * 24}{alphabet[i // 32]}{alphabet[i % 32]}" for i in range(count)]


class Taken:
    """A visitor as a relay or the API worker receives it."""

    def __init__(self, message):
        peer, use, self.tls, self.own, self.bytes = message.fields
        self.use = USE(use)
        self.peer = (ipaddress.IPv6Address(peer[:16]), int.from_bytes(peer[16:], "big"))
        self.sock = message.take_socket()
        self.sock.settimeout(SETTLE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def is_of(self, client):
        """Whether this descriptor is the other end of CLIENT: by address and by bytes."""
        if self.sock.getpeername()[:2] != client.sock.getsockname()[:2]:
            return False
        client.send(b"ping")
        self.sock.sendall(b"pong")
        return self.sock.recv(4, socket.MSG_WAITALL) == b"ping" and client.take(4) == b"pong"


class Stage:
    """A gate that is set up and accepts."""

    def __init__(self, head_timeout=10, max_pending=1024, defer=True, descriptors=None, wildcard=""):
        sending, receiving = one_way()
        self.api = Channel(receiving)
        edges, streams = one_way()
        self.edges = Channel(edges)
        self.gate = Child("gate", {4: sending, 5: streams}, descriptors=descriptors)
        self.reached = self.gate.ready()
        self.gate.send(MSG.ORIGINS, b"", "http://example.org", "", wildcard, False)
        self.gate.send(MSG.GATE_SETUP, round(head_timeout * 1000), max_pending, 0, 256, 5000)
        self.listener = listener(defer=defer)
        self.gate.send(MSG.LISTENER, 0, USE.VISITORS, False, fd=self.listener)
        self.relays = []
        self.clients = []

    def __enter__(self):
        self.gate.__enter__()
        return self

    def __exit__(self, *exception):
        for thing in (*self.clients, *self.relays, self.api, self.edges, self.listener):
            thing.close()
        self.gate.__exit__(*exception)

    def log(self):
        return self.gate.log()

    def relay(self, tunnel, listener=0):
        """A live route; returns where its relay receives visitors."""
        sending, receiving = one_way()
        with sending:
            self.gate.send(MSG.ROUTE_ADD, tunnel, listener, fd=sending)
        self.relays.append(Channel(receiving))
        return self.relays[-1]

    def visitor(self, data=b"", to=None):
        client = wire.Client((to or self.listener).getsockname()[:2])
        self.clients.append(client)
        if data:
            client.send(data)
        return client

    def take(self, channel):
        return Taken(channel.expect(MSG.VISITOR))

    def still_works(self):
        """
        A new visitor is served at once. It asks for an unknown tunnel, before which the gate looks
        at every message that waits for it: all sent so far have been handled.
        """
        client = self.visitor(get("/t/t-unknownunknownunknown/"))
        with self.take(self.api) as taken:
            return taken.is_of(client)


def problem(client, status, code, *, seconds=SETTLE):
    """Reads an answer of the gate's own, complete and followed by an orderly end."""
    client.sock.settimeout(seconds)
    answer = client.answer()
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (status, code), answer
    assert answer.fields.get("Connection") == "close", answer
    assert answer.fields.get("Content-Type") == "application/problem+json", answer
    told = json.loads(answer.body)
    assert (told["status"], told["code"]) == (status, code), told
    assert client.rest() == b""  # an orderly end, or this raises
    return answer, told
