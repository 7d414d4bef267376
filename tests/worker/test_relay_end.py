# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The ends of a relay's connections, where what the kernel still holds decides whether bytes that
# should arrive do, and whether bytes that should not do not.

import os
import signal
import socket
import time

from test_relay import Relay, read_all, upgraded


def drained(sock):
    """What has come and still comes while nobody sends more."""
    got = b""
    sock.settimeout(0.3)
    try:
        while piece := sock.recv(1 << 20):
            got += piece
    except TimeoutError:
        pass
    sock.settimeout(10)
    return got


def test_urgent_bytes_just_before_the_end_of_a_bulk_transfer():
    """A pipe meets the end where urgent bytes stop it, and it is not the end."""
    with Relay() as relay:
        visitor, backend, had, _ = upgraded(relay)
        sent, step = 0, os.urandom(65536)
        while relay.counter("bytes_out") == sent:  # all of it is on its way, the relay waits for more
            backend.sendall(step)
            sent += len(step)
            limit = time.monotonic() + 0.3
            while relay.counter("bytes_out") < sent and time.monotonic() < limit:
                time.sleep(0.001)
        relay.kill(signal.SIGSTOP)
        got = len(had + drained(visitor))  # the relay learns of this first,
        backend.send(b"!", socket.MSG_OOB)  # and of this later, in one go
        backend.sendall(b"tail")
        backend.shutdown(socket.SHUT_WR)
        time.sleep(0.1)
        relay.kill(signal.SIGCONT)
        rest = read_all(visitor)
        assert (got + len(rest), rest[-5:]) == (sent + 5, b"!tail")
