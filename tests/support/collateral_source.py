# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Where an operator has collateral: an HTTP server that answers as HOW says.
#
#     with Source() as source:
#         source.url, source.asked      # (path, Host) of each request

import contextlib
import json
import socket
import threading

CONTENT = b'{ "tcb_info" : "{\\"a\\": 1}", "level" : 1 }\n'


class Source:
    def __init__(self, how="good"):
        self.how, self.asked, self.content = how, [], CONTENT
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.url = "http://127.0.0.1:%d/intel/collateral.json?fmspc=00" % self.address[1]

    def __enter__(self):
        threading.Thread(target=self._run, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    @property
    def object(self):
        return json.loads(self.content)

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                self._serve(sock)

    def _serve(self, sock):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := sock.recv(4096)):
                return
            head += piece
        line, *fields = head.decode().split("\r\n")
        named = dict(field.split(": ", 1) for field in fields if field)
        self.asked.append((line.split(" ")[1], named["Host"]))
        status, body = "200 OK", self.content
        if self.how == "error":
            status = "404 Not Found"
        elif self.how == "huge":
            body = b'{"a": "' + b"x" * 600_000 + b'"}'
        elif self.how == "no object":
            body = b"[]"
        answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        if self.how == "garbage":
            answer = b"nothing of the kind\r\n\r\n"
        sock.sendall(answer[:-5] if self.how == "cut off" else answer)
