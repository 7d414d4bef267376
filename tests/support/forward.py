# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What a person runs beside a program that speaks plain TCP: listens on a local port, and enters a
# tcp tunnel by an HTTP upgrade for each connection.

import socket
import threading

from . import wire


class Forwarder:
    """`answers` has the status of each attempt to enter the tunnel."""

    def __init__(self, tunnel, fields=()):
        self.tunnel, self.fields = tunnel, list(fields)
        self.answers = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            end.close()

    def _accept(self):
        while True:
            try:
                local, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(local,), daemon=True).start()

    def _serve(self, local):
        local = wire.Stream(local)
        self._ends.append(local)
        try:
            remote = self._enter()
        except OSError:
            remote = None
        if remote is None:
            local.close()
            return
        self._ends.append(remote)
        remote.sock.settimeout(None)
        threading.Thread(target=_pump, args=(local, remote), daemon=True).start()
        _pump(remote, local)

    def _enter(self):
        remote = self.tunnel.connect()
        remote.request("GET", self.tunnel.target("/"),
                       [("Connection", "Upgrade"), ("Upgrade", "tcp"), *self.fields])
        answer = remote.answer_head()
        self.answers.append(answer.status)
        if answer.status == 101:
            return remote
        remote.close()
        return None


def _pump(source, sink):
    """Copies until the end, which it passes on; what ends badly ends both."""
    try:
        while piece := source.some(1 << 18):
            sink.send(piece)
        sink.finish()
    except OSError:
        for stream in (source, sink):
            try:
                stream.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
