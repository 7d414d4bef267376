# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-edge on its stage: the test is its supervisor, the gates, whoever has the decrypted
# side, and the visitors.

import array
import os
import select
import socket

from child import MSG, SETTLE, Channel, Child, listener, one_way
from support import tls

HALF, WHOLE, LEFT = range(3)  # enum ending


def memory_file(data=b""):
    fd = os.memfd_create("key")
    os.write(fd, data)
    return fd


class Keygen(Child):
    """`tunneld-edge --keygen`."""

    def __init__(self):
        ids = ["61000", "61000", "6"] if os.geteuid() == 0 else ["-1", "-1", "-1"]
        epoch = Child._next_epoch
        super().__init__("edge", args=[str(epoch), str(os.getpid()), *ids, "--keygen"])
        self.ready()

    def ask(self, key, names="127.0.0.1,localhost", life=3600, quote=b"", log=b""):
        """A certificate over KEY, or over a new one that it gets."""
        self.send(MSG.KEY_JOB, names, b"", life, quote, log, fd=key)
        return self.recv()

    def make(self, **how):
        """(key file, its public half, certificate)"""
        key = memory_file()
        answer = self.ask(key, **how)
        assert answer.type == MSG.KEY_MADE, answer
        return key, *answer.fields

    def check(self, key, chain):
        self.send(MSG.KEY_JOB, "", chain, 0, b"", b"", fd=key)
        return self.recv()


class Edge(Child):
    """What it counts comes at any time, so it is no answer: counted() waits for it."""

    def __init__(self, fds):
        super().__init__("edge", fds)
        self.counts = []

    def recv(self, seconds=SETTLE):
        while (message := super().recv(seconds)) is not None and message.type == MSG.EDGE_COUNTS:
            self.counts.append(message.fields)
        return message

    def counted(self):
        """Sums of what has become of handshakes, then what there is now."""
        self.counts.append(Child.recv(self).fields)
        return [sum(n) for n in zip(*(fields[:2] for fields in self.counts))] + self.counts[-1][2:]


class Taken:
    """The decrypted side of a stream, as a gate receives it."""

    def __init__(self, message):
        self.peer, self.listener, self.use, self.bytes = message.fields
        self.sock = message.take_socket()
        self.sock.settimeout(SETTLE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def say(self, how):
        self.sock.sendmsg([bytes([how])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])

    def events(self, seconds=SETTLE):
        """What epoll says once the other end has said or done something."""
        poll = select.poll()
        poll.register(self.sock, select.POLLRDHUP)
        found = poll.poll(seconds * 1000)
        return found[0][1] if found else 0


class Stage:
    def __init__(self, timeout=10, handshakes=1000, proxy=False):
        sending, receiving = one_way()
        self.gates = Channel(receiving)
        self.edge = Edge({4: sending})
        self.edge.ready()
        self.edge.send(MSG.EDGE_SETUP, round(timeout * 1000), handshakes)
        self.edge.send(MSG.TICKET_KEYS, bytes(80), b"")
        with Keygen() as keygen:
            key, _, chain = keygen.make()
        self.edge.send(MSG.EDGE_KEY, 0, 1, chain, fd=key)
        os.close(key)
        self.listener = listener()
        self.edge.send(MSG.LISTENER, 3, 0, proxy, fd=self.listener)
        self.address = self.listener.getsockname()

    def __enter__(self):
        self.edge.__enter__()
        return self

    def __exit__(self, *exception):
        self.gates.close()
        self.listener.close()
        self.edge.__exit__(*exception)

    def visitor(self, data=b"", **how):
        visitor = tls.connect(self.address, **how)
        if data:
            visitor.sendall(data)
        return visitor

    def take(self):
        return Taken(self.gates.expect(MSG.STREAM))

    def pair(self, data=b"hello"):
        """(visitor, its decrypted side), which has DATA already."""
        visitor = self.visitor(data)
        taken = self.take()
        assert taken.bytes == data
        return visitor, taken

    def still_works(self):
        visitor, taken = self.pair()
        with visitor, taken:
            taken.sock.sendall(b"world")
            return visitor.recv(5) == b"world"
