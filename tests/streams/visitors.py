# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The visitors of the streams: each connection sends one made-up request, whole or in pieces, ends
# as it likes, and is over when the other side has ended too. One that is not over within PATIENCE
# hangs.

import collections
import selectors
import socket
import time

AT_ONCE = 200
PATIENCE = 20
LINGER = 0.2  # seconds a visitor who does not end waits
RESET = b"\1\0\0\0\0\0\0\0"

GOOD = [
    b"GET %s/a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HEAD %s/a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST %s/a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde",
    b"PUT %s/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET %s/a HTTP/1.0\r\n\r\n",
    b"GET %s/a HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    b"GET %s/ HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\nhello",
    b"GET %s/a HTTP/1.1\r\nHost: h\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n"
    b"Sec-Fetch-Dest: document\r\n\r\n",
    b"POST %s/a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde",
    b"GET %s/a HTTP/1.1\r\nHost: h\r\n\r\nGET %s/b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
]
ELSEWHERE = [b"/_t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/login", b"/t-aaaaaaaaaaaaaaaaaaaaaaaaaa", b"/_api/version",
             b"", b"/_api/tunnels", b"/_api/tunnels/x", b"/healthz", b"/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa", b"/_t"]


class Stream:
    def __init__(self, data, grammar, keep):
        self.pieces = []
        while data and grammar.chance() < 0.2:
            at = int(grammar.chance() * len(data))
            self.pieces.append(data[:at])
            data = data[at:]
        self.pieces.append(data)
        self.end = grammar.of(("finish", "finish", "finish", "finish", "close", "reset", "wait", "wait"))
        self.answer = bytearray() if keep else None
        self.status = b""
        self.began = time.monotonic()
        self.leaves = None


class Visitors:
    """run(count) makes that many streams; `outcomes` counts how they ended."""

    def __init__(self, address, prefixes, grammar):
        self.address, self.grammar = address, grammar
        self.prefixes = [prefix.encode() for prefix in prefixes]
        self.selector = selectors.DefaultSelector()
        self.open = {}
        self.outcomes = collections.Counter()
        self.answers = []  # some of them, to be looked at
        self.hung = []
        self.kinds = collections.Counter()

    def data(self):
        grammar = self.grammar
        prefix = grammar.of(self.prefixes)
        if grammar.chance() < 0.5:
            self.kinds["good requests with made-up answers"] += 1
            request = grammar.of(GOOD)
            return request % ((prefix,) * request.count(b"%s"))
        if grammar.chance() < 0.1:
            self.kinds["made-up requests to other places"] += 1
            return grammar.request(grammar.of(ELSEWHERE))
        self.kinds["made-up requests with made-up answers"] += 1
        start = prefix if grammar.chance() < 0.9 else None
        return grammar.request(prefix + b"/x", start_target=start)

    def start(self):
        stream = Stream(self.data(), self.grammar, self.grammar.chance() < 0.1)
        stream.sock = socket.socket()
        stream.sock.setblocking(False)
        stream.sock.connect_ex(self.address)
        self.open[stream.sock.fileno()] = stream
        self.selector.register(stream.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, stream)

    def over(self, stream, how):
        self.selector.unregister(stream.sock)
        del self.open[stream.sock.fileno()]
        stream.sock.close()
        if stream.status.startswith(b"HTTP/1.1 "):
            how += " after " + stream.status[9:12].decode("latin-1")
        self.outcomes[how] += 1
        if stream.answer:
            self.answers.append(bytes(stream.answer))

    def writable(self, stream):
        try:
            sent = stream.sock.send(stream.pieces[0]) if stream.pieces[0] else 0
        except BlockingIOError:
            return
        except ConnectionError:
            return self.over(stream, "reset")
        if sent < len(stream.pieces[0]):
            stream.pieces[0] = stream.pieces[0][sent:]
            return
        stream.pieces.pop(0)
        if not stream.pieces:
            self.selector.modify(stream.sock, selectors.EVENT_READ, stream)
            self.all_sent(stream)

    def all_sent(self, stream):
        if stream.end == "finish":
            try:
                stream.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self.over(stream, "reset")
        elif stream.end == "wait":
            stream.leaves = time.monotonic() + LINGER
        else:
            if stream.end == "reset":
                stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.over(stream, "left")

    def readable(self, stream):
        try:
            data = stream.sock.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            return self.over(stream, "reset")
        if not data:
            return self.over(stream, "ended")
        if len(stream.status) < 12:
            stream.status += data[:12]
        if stream.answer is not None:
            stream.answer += data

    def look_at_clock(self):
        now = time.monotonic()
        for stream in list(self.open.values()):
            if stream.leaves and now > stream.leaves:
                self.over(stream, "left")
            elif now - stream.began > PATIENCE:
                self.hung.append((stream.end, stream.status, now - stream.began))
                self.over(stream, "hung")

    def run(self, count):
        looked = time.monotonic()
        while count > 0 or self.open:
            while count > 0 and len(self.open) < AT_ONCE:
                self.start()
                count -= 1
            for key, events in self.selector.select(0.05):
                stream = key.data
                if events & selectors.EVENT_READ:
                    self.readable(stream)
                if events & selectors.EVENT_WRITE and stream.sock.fileno() >= 0 and stream.pieces:
                    self.writable(stream)
            if time.monotonic() - looked > 0.1:
                looked = time.monotonic()
                self.look_at_clock()
