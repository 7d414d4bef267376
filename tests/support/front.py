# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What may stand between the tunnel command and a server: a TLS front with a certificate of the
# test's own authority, and an HTTP proxy that knows CONNECT.

import select
import socket
import ssl
import subprocess

from . import wire
from .backend import TcpBackend


class Authority:
    """Issues certificates: authority.pem, and for each set of names a file with key and chain."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / "authority.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", "authority.key", "-out", "authority.pem", "-days", "2",
                      "-subj", "/CN=authority of the tests", "-addext", "basicConstraints=critical,CA:TRUE")

    def _openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True, timeout=30)

    def issue(self, names, days="2"):
        """NAMES as OpenSSL has them: "DNS:a.test,IP:127.0.0.1". Returns the path."""
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=leaf")
        (self.folder / "leaf.ext").write_text(f"subjectAltName={names}\n")
        self._openssl("x509", "-req", "-in", "leaf.csr", "-CA", "authority.pem", "-CAkey", "authority.key",
                      "-CAcreateserial", "-out", "leaf.pem", "-days", days, "-extfile", "leaf.ext")
        path = self.folder / f"leaf-{abs(hash((names, days)))}.pem"
        path.write_text((self.folder / "leaf.pem").read_text() + (self.folder / "leaf.key").read_text())
        return path


def _end(sink):
    if isinstance(sink, ssl.SSLSocket):
        sink.unwrap()  # close_notify
    else:
        sink.shutdown(socket.SHUT_WR)


def _join(a, b):
    """Copies both ways until both have ended or one is cut. In one thread: TLS needs that."""
    others = {a: b, b: a}
    try:
        while others:
            waiting = [end for end in others if isinstance(end, ssl.SSLSocket) and end.pending()]
            for end in waiting or select.select(list(others), [], [])[0]:
                if piece := end.recv(65536):
                    others[end].sendall(piece)
                else:
                    _end(others.pop(end))
    except (OSError, ValueError):
        pass


class TlsFront(TcpBackend):
    """Ends TLS and passes on to ADDRESS. `seen` has the server name each client asked for, and
    whether it resumed a session."""

    def __init__(self, address, certificate, host="127.0.0.1"):
        self._to = address
        self.seen = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.sni_callback = self._note
        self._names = {}
        super().__init__(self._serve, host=host)

    def _note(self, sock, name, _):
        self._names[sock.fileno()] = name

    def _serve(self, stream):
        try:
            inner = self._context.wrap_socket(stream.sock, server_side=True)
        except (ssl.SSLError, OSError):
            return
        stream.sock = inner
        self.seen.append((self._names.pop(inner.fileno(), None), inner.session_reused))
        with socket.create_connection(self._to, timeout=20) as outer:
            outer.settimeout(None)
            inner.settimeout(None)
            _join(inner, outer)


class ConnectProxy(TcpBackend):
    """An HTTP proxy. `seen` has the target and fields of every request; names lead to ADDRESS."""

    def __init__(self, address, answer="200 Connection established"):
        self._to, self._answer = address, answer
        self.seen = []
        super().__init__(self._serve)

    def _serve(self, stream):
        request = wire.Request(stream)
        self.seen.append((request.method, request.target, request.fields))
        stream.send(f"HTTP/1.1 {self._answer}\r\nVia: proxy\r\n\r\n".encode())
        if not self._answer.startswith("2"):
            return
        with socket.create_connection(self._to, timeout=20) as outer:
            outer.settimeout(None)
            stream.sock.settimeout(None)
            _join(stream.sock, outer)
