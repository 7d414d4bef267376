# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld as if it ran in a TDX machine: TLS ends here with the key of an Instance, questions for
# evidence are answered with its documents, and every other byte goes to the daemon and back.

import contextlib
import json
import re
import socket
import ssl
import threading

from .evidence_server import tls_context

ASKED = re.compile(rb"GET (?:/_api/attestation|/_api/tunnels/(t-[a-z2-7]+)/attestation\?nonce=([0-9a-f]+)) ")


class AttestedFront:
    def __init__(self, instance, daemon_port, key=None, port=0):
        self.instance, self.daemon_port, self.context = instance, daemon_port, tls_context(key or instance.tls_key)
        self.asked, self.passed = [], []  # heads
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.origin = f"https://127.0.0.1:{self.port}"
        self._open = set()

    def __enter__(self):
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Everything is cut."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _run(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        with contextlib.suppress(OSError, ValueError), raw, self.context.wrap_socket(raw, server_side=True) as inside:
            self._open.add(inside)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (piece := inside.recv(65536)):
                    return
                head += piece
            if asked := ASKED.match(head):
                self.asked.append(head)
                self._answer(inside, asked)
            else:
                self.passed.append(head)
                self._pass(inside, head)

    def _answer(self, inside, asked):
        id, nonce = asked.groups()
        document = self.instance.tunnel_document(id.decode(), nonce.decode()) if id else self.instance.document()
        body = json.dumps(document).encode()
        inside.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        inside.unwrap()

    def _pass(self, inside, head):
        """One thread moves both ways: an SSL socket is not for two."""
        with socket.create_connection(("127.0.0.1", self.daemon_port)) as outside:
            self._open.add(outside)
            outside.sendall(head)
            inside.settimeout(0.02)
            outside.settimeout(0.02)
            while True:
                for source, sink in ((inside, outside), (outside, inside)):
                    try:
                        data = source.recv(65536)
                    except (TimeoutError, ssl.SSLWantReadError):
                        continue
                    if not data:
                        if source is outside:
                            inside.settimeout(5)
                            inside.unwrap()
                        return
                    sink.settimeout(20)
                    sink.sendall(data)
                    sink.settimeout(0.02)
