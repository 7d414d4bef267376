# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The backend of the streams: answers everything with what a seed makes up, in pieces, at a wrong
# time, and ends as it likes. Run as a program with a seed: it says its port, and at the end of its
# standard input, as JSON, what it has seen. That what reaches it is always a proper request is the
# one thing it insists on.

import json
import os
import re
import selectors
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from support.grammar import Grammar  # noqa: E402

HOLD = 0.15  # seconds a connection is kept without a byte
PROPER = re.compile(rb"[!#-'*+.0-9A-Z^-z|~-]+ (/[!-~]*|\*) HTTP/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n")
RESET = b"\1\0\0\0\0\0\0\0"


class Connection:
    def __init__(self, sock, grammar):
        self.sock, self.grammar = sock, grammar
        self.first = b""  # until a whole request line and Host have come
        self.pieces = []
        self.over = False
        self.touched = time.monotonic()
        self.early = grammar.chance() < 0.05
        if self.early:
            self.answer()

    def answer(self):
        """Makes up what is sent next and what happens behind it."""
        grammar = self.grammar
        data = grammar.answer()
        while data and grammar.chance() < 0.3:
            at = int(grammar.chance() * len(data))
            self.pieces.append(data[:at])
            data = data[at:]
        self.pieces.append(data)
        self.end = grammar.of(("close", "close", "close", "reset", "keep", "keep"))


class Backend:
    def __init__(self, seed):
        self.grammar = Grammar(seed)
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.selector.register(0, selectors.EVENT_READ, None)
        self.connections = set()
        self.busy = set()  # have more to say
        self.accepted = self.answers = 0
        self.faults = []
        self.requests = []  # the first bytes of some connections

    def accept(self):
        for _ in range(64):
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            self.accepted += 1
            if self.grammar.chance() < 0.02:
                self.finish(sock, self.grammar.of(("close", "reset")))
                continue
            connection = Connection(sock, self.grammar)
            self.connections.add(connection)
            if connection.pieces:
                self.busy.add(connection)
            self.selector.register(sock, selectors.EVENT_READ, connection)

    @staticmethod
    def finish(sock, how):
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()

    def drop(self, connection, how="close"):
        self.selector.unregister(connection.sock)
        self.finish(connection.sock, how)
        self.connections.discard(connection)
        self.busy.discard(connection)

    def readable(self, connection):
        try:
            data = connection.sock.recv(65536)
        except ConnectionError:
            return self.drop(connection)
        connection.touched = time.monotonic()
        if not data:
            return self.drop(connection)
        if connection.first is not None:
            self.look(connection, data)
            if self.accepted % 10 == 0 and len(self.requests) < 1000:
                self.requests.append(data.hex())
        if not connection.pieces:
            connection.answer()
            self.answers += 1
            self.busy.add(connection)

    def look(self, connection, data):
        connection.first += data
        if connection.first.count(b"\r\n") < 2:
            return
        if not PROPER.match(connection.first) or b" /hidden HTTP" in connection.first.split(b"\r\n", 1)[0]:
            self.faults.append(repr(connection.first[:400]))
        connection.first = None

    def speak(self, connection):
        """One piece; the next one in the next round."""
        try:
            connection.sock.send(connection.pieces.pop(0))
        except (BlockingIOError, ConnectionError):
            return self.drop(connection, "reset")
        if connection.pieces:
            return
        self.busy.discard(connection)
        if connection.end != "keep":
            self.drop(connection, connection.end)

    def run(self):
        looked = time.monotonic()
        while True:
            for key, _ in self.selector.select(0 if self.busy else 0.05):
                if key.data is None:
                    if not os.read(0, 1):
                        return
                elif key.fileobj is self.listener:
                    self.accept()
                else:
                    self.readable(key.data)
            for connection in list(self.busy):
                self.speak(connection)
            now = time.monotonic()
            if now - looked > HOLD / 3:
                looked = now
                for connection in [c for c in self.connections if now - c.touched > HOLD]:
                    self.drop(connection)


if __name__ == "__main__":
    backend = Backend(int(sys.argv[1]))
    print(backend.listener.getsockname()[1], flush=True)
    backend.run()
    print(json.dumps({"connections": backend.accepted, "answers": backend.answers, "faults": backend.faults[:5],
                      "requests": backend.requests}))
