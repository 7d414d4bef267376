# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Watching connections come to their end: when, how, and that nothing is delivered afterwards.

import socket
import struct
import threading
import time

# struct tcp_info of <linux/tcp.h>: tcpi_bytes_received is the 64-bit field at this offset.
_BYTES_RECEIVED = 128


def bytes_received(sock):
    """Payload bytes the kernel has taken from the network for this socket, read or not."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from("Q", info, _BYTES_RECEIVED)[0]


class Watched:
    """Reads a stream in a thread until it ends; SLOW: reads nothing until released."""

    def __init__(self, name, stream, slow=False):
        self.name, self.stream = name, stream
        self.count = 0
        self.last_byte = self.end = self.how = None
        self._flowing = threading.Event()
        self._released = threading.Event()
        if not slow:
            self._released.set()
        stream.sock.settimeout(30)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        self._released.wait(60)
        try:
            while piece := self.stream.some(1 << 20):
                self.last_byte = time.monotonic()
                self.count += len(piece)
                self._flowing.set()
            self.how = "eof"
        except ConnectionResetError:
            self.how = "reset"
        except OSError as error:
            self.how = repr(error)
        self.end = time.monotonic()

    def flowing(self, seconds=5):
        """Waits for a first byte."""
        assert self._flowing.wait(seconds), f"{self.name}: nothing came"
        return self

    def release(self):
        self._released.set()

    def join(self, seconds=5):
        self._thread.join(seconds)
        assert self.how, f"{self.name}: still open, {self.count} bytes so far"
        return self

    def __repr__(self):
        return f"{self.name}: {self.how} after {self.count} bytes"
