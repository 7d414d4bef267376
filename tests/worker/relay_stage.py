# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-relay, sealed, with the test as its supervisor, its gates, its visitors and its
# backend.

import hashlib
import mmap
import os
import socket
import struct
import threading
import time

import msgpack

from child import MSG, USE, Channel, Child, one_way

ID = "t-abcdefghijklmnopqrstuvwxyz"
SECRET = "the-secret-of-this-test"
PEER = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 7]) + (4711).to_bytes(2, "big")
REFUSED, TIMEOUT = 1, 2
COUNTERS = ("connections", "open", "requests", "bytes_in", "bytes_out", "last_activity",
            "agents")
PATIENCE = 10
LISTENING = socket.create_server(("127.0.0.1", 0))  # one for all pairs: free ports become hard to find
PAIRING = threading.Lock()


def config(backend="http://service.test:8000", auth="none", prefix="strip", reuse="visitor",
           connections=100, requests=0, size=0, rate=0, origin="path", port=0):
    return msgpack.packb([1, ID, "", backend, auth, prefix, reuse, 3600_000, connections, requests,
                          size, rate, origin, port])


def end_after(seconds):
    """A deadline as messages carry it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + int(seconds * 1e6)


def tcp_pair(reset_on_close=True):
    """(client, server) ends of a TCP connection, the server's with what listeners give it: SO_LINGER {1, 0}, SO_OOBINLINE."""
    with PAIRING:
        client = socket.create_connection(LISTENING.getsockname())
        server, _ = LISTENING.accept()
    if reset_on_close:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(PATIENCE)
    server.setblocking(False)
    return client, server


class Relay(Child):
    def __init__(self, setup=None, **settings):
        memory = os.memfd_create("counters")
        os.ftruncate(memory, mmap.PAGESIZE)
        self.page = mmap.mmap(memory, mmap.PAGESIZE, prot=mmap.PROT_READ)
        sending, receiving = one_way()
        self.gates = Channel(sending)
        super().__init__("relay", {4: receiving, 5: memory})
        self.ready()
        if setup is None:
            self.setup(**settings)

    def setup(self, head_ms=10_000, idle_ms=75_000, connect_ms=5_000, failure_rate=0, request_log=0,
              grace_ms=10_000, life_s=3600, notice=False, trusted=b"", urls=("http://tunnels.test:8080", "", ""),
              **settings):
        self.send(MSG.ORIGINS, trusted, *urls, False)
        self.send(MSG.RELAY_SETUP, config(**settings), hashlib.sha256(SECRET.encode()).digest(),
                  head_ms, idle_ms, connect_ms, failure_rate, request_log,
                  grace_ms, end_after(life_s), notice)

    def close(self):
        self.gates.close()
        super().close()

    def visit(self, data, peer=PEER, use=USE.VISITORS, tls=False, narrow=False):
        """A visitor whose gate has read DATA; returns the visitor's end. NARROW: the kernel holds little of what it does not read."""
        client, server = tcp_pair()
        if narrow:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.gates.send(MSG.VISITOR, peer, use, tls, "", data, fd=server, epoch=0)
        server.close()
        return client

    def accept(self, addresses=1):
        """Answers the next DIAL; returns the backend's end of the connection."""
        dial = self.expect(MSG.DIAL)
        ours, theirs = tcp_pair()
        self.send(MSG.DIALED, dial.fields[0], addresses, fd=theirs)
        theirs.close()
        return ours

    def counter(self, name):
        at = 8 * COUNTERS.index(name)
        return int.from_bytes(self.page[at:at + 8], "little")


def get(path="/", fields="", method="GET"):
    return f"{method} /t/{ID}{path} HTTP/1.1\r\nHost: tunnels.test\r\n{fields}\r\n".encode()


def read_head(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        assert piece, f"ended inside a head: {data!r}"
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), rest


def read_exactly(sock, size, have=b""):
    while len(have) < size:
        piece = sock.recv(65536)
        assert piece, f"ended after {len(have)} of {size} bytes"
        have += piece
    return have


def read_all(sock, have=b""):
    while piece := sock.recv(65536):
        have += piece
    return have


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def closed(sock):
    """How the other side has closed: 'end' or 'reset'. Bytes before that are an error."""
    try:
        piece = sock.recv(65536)
    except ConnectionResetError:
        return "reset"
    assert piece == b"", f"bytes instead of the end: {piece[:200]!r}"
    return "end"


def wait_until(condition, what):
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, f"never became true: {what}"
        os.sched_yield()


def upgraded(relay, rest=b"", extra=b""):
    visitor = relay.visit(get("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n") + extra)
    backend = relay.accept()
    lines, got = read_head(backend)
    assert "Connection: Upgrade" in lines and "Upgrade: websocket" in lines
    backend.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                    b"Upgrade: websocket\r\n\r\n" + rest)
    lines, had = read_head(visitor)
    assert lines[0] == "HTTP/1.1 101 Switching Protocols" and "Upgrade: websocket" in lines
    return visitor, backend, had, got


class Sender:
    def __init__(self, sock, chunked, body):
        self.thread = threading.Thread(target=self.run, args=(sock, chunked, body))
        self.thread.start()

    def run(self, sock, chunked, body):
        if not chunked:
            sock.sendall(body)
            return
        for at in range(0, len(body), 100_000):
            piece = body[at:at + 100_000]
            sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        sock.sendall(b"0\r\n\r\n")

    def join(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the sender is stuck"
