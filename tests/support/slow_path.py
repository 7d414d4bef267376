# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A long way to a server: everything arrives later, and no more of it a second than the path carries.
# Made of threads and not of the kernel's netem, which a machine may lack.

import collections
import contextlib
import socket
import threading
import time

PIECE = 16 << 10
ON_ITS_WAY = 4 << 20  # bytes, each way: what TCP's windows allow on such a path


class _Way:
    """One direction of a connection."""

    def __init__(self, source, sink, path):
        self._source, self._sink, self._path = source, sink, path
        self._queue, self._held = collections.deque(), 0
        self._news = threading.Condition()
        for run in (self._read, self._write):
            threading.Thread(target=run, daemon=True).start()

    def _read(self):
        free = 0
        while True:
            try:
                piece = self._source.recv(PIECE)
            except OSError:
                piece = b""
            free = max(free, time.monotonic()) + len(piece) / self._path.rate
            with self._news:
                self._queue.append((free + self._path.delay, piece))
                self._held += len(piece)
                self._news.notify_all()
                self._news.wait_for(lambda: self._held < ON_ITS_WAY)
            if not piece:
                return

    def _write(self):
        while True:
            with self._news:
                self._news.wait_for(lambda: self._queue)
                due, piece = self._queue.popleft()
            time.sleep(max(0, due - time.monotonic()))
            with contextlib.suppress(OSError):
                if piece:
                    self._sink.sendall(piece)
                else:
                    self._sink.shutdown(socket.SHUT_WR)
            with self._news:
                self._held -= len(piece)
                self._news.notify_all()
            if not piece:
                return


class SlowPath:
    """Listens, and leads to ADDRESS with so many seconds each way and so many bytes a second."""

    def __init__(self, address, delay, rate):
        self.address, self.delay, self.rate = address, delay, rate
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._sockets:
            sock.close()

    def _accept(self):
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            there = socket.create_connection(self.address)
            for sock in (here, there):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [here, there]
            _Way(here, there, self)
            _Way(there, here, self)
