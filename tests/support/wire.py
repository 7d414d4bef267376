# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# HTTP/1.1 as bytes on a socket, from either end. Reading is strict: whatever is not exactly what
# the RFC says raises Malformed, so every test that reads an answer is also a test of its form.
# Writing is whatever the test wants.

import select
import socket
import time

from . import openapi, pattern
from .tls import TlsSocket

CHUNK_LINE_MAX = 1024
HEAD_MAX = 256 << 10


class Malformed(AssertionError):
    """The peer sent something that is not HTTP."""


class Ended(ConnectionError):
    """An orderly end of the stream where more was promised."""


class Stream:
    """A connected socket and what has been read from it but not yet asked for."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = bytearray()
        self._scratch = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, *pieces):
        for piece in pieces:
            self.sock.sendall(piece)

    def finish(self):
        """No more from this side; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends the connection with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def readable(self, seconds):
        """Whether bytes, an end or an error can be read within that time; None: any time."""
        if self.buffer or (isinstance(self.sock, TlsSocket) and self.sock.pending()):
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))

    def _fill(self):
        piece = self.sock.recv(65536)
        self.buffer += piece
        return bool(piece)

    def _until(self, mark, limit):
        start = 0
        while (at := self.buffer.find(mark, start)) < 0:
            start = max(0, len(self.buffer) - len(mark))
            if len(self.buffer) > limit:
                raise Malformed(f"no {mark!r} within {limit} bytes: {bytes(self.buffer[:200])!r}")
            if not self._fill():
                raise Ended(f"ended after {bytes(self.buffer[:200])!r}")
        found = bytes(self.buffer[: at + len(mark)])
        del self.buffer[: at + len(mark)]
        return found

    def line(self):
        """One line, without its CRLF."""
        found = self._until(b"\n", CHUNK_LINE_MAX)
        if not found.endswith(b"\r\n"):
            raise Malformed(f"bare LF in {found!r}")
        return found[:-2]

    def head(self):
        """All bytes up to and with the empty line."""
        return self._until(b"\r\n\r\n", HEAD_MAX)

    def some(self, limit=65536):
        """What is there, waiting for at least one byte; b"" at the end."""
        if not self.buffer and not self._fill():
            return b""
        found = bytes(self.buffer[:limit])
        del self.buffer[:limit]
        return found

    def exactly(self, size, sink):
        taken = min(size, len(self.buffer))
        if taken:
            sink(bytes(self.buffer[:taken]))
            del self.buffer[:taken]
        if self._scratch is None and taken < size:
            self._scratch = memoryview(bytearray(pattern.BLOCK))
        while taken < size:
            got = self.sock.recv_into(self._scratch[: min(size - taken, pattern.BLOCK)])
            if got == 0:
                raise Ended(f"ended after {taken} of {size} bytes")
            sink(self._scratch[:got])
            taken += got

    def take(self, size):
        found = bytearray()
        self.exactly(size, found.extend)
        return bytes(found)

    def to_end(self, sink):
        while piece := self.some(pattern.BLOCK):
            sink(piece)

    def rest(self):
        """Everything up to an orderly end."""
        found = bytearray()
        self.to_end(found.extend)
        return bytes(found)

    def chunks(self, sink):
        """A chunked body; returns its trailer fields."""
        while True:
            size_text, _, _ = self.line().partition(b";")
            if not size_text or size_text.strip(b"0123456789abcdefABCDEF"):
                raise Malformed(f"chunk size {size_text!r}")
            if (size := int(size_text, 16)) == 0:
                break
            self.exactly(size, sink)
            if (after := self.line()) != b"":
                raise Malformed(f"after a chunk: {after!r}")
        lines = []
        while line := self.line():
            lines.append(line)
        return Fields.parse(lines)

    def ended(self, seconds=5):
        """Waits for the end: "eof", "reset", or "open" when neither came; bytes are dropped."""
        limit = time.monotonic() + seconds
        try:
            while self.readable(max(0, limit - time.monotonic())):
                if not self.some():
                    return "eof"
        except ConnectionError:
            return "reset"
        return "open"


class Fields(list):
    """Header fields in order, as (name, value) text."""

    @classmethod
    def parse(cls, lines):
        fields = cls()
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not name or any(c <= 32 or c >= 127 for c in name):
                raise Malformed(f"field line {line!r}")
            if any(c < 32 and c != 9 or c == 127 for c in value):
                raise Malformed(f"control byte in {line!r}")
            fields.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))
        return fields

    def all(self, name):
        return [value for have, value in self if have.lower() == name.lower()]

    def get(self, name, default=None):
        found = self.all(name)
        return ", ".join(found) if found else default

    def tokens(self, name):
        return [token.strip().lower() for token in (self.get(name) or "").split(",") if token.strip()]

    def __contains__(self, name):
        return bool(self.all(name))


class Message:
    """One head; what follows it is read with body()."""

    def __init__(self, stream):
        self.stream = stream
        self.raw = stream.head()
        start, *lines = self.raw[:-4].split(b"\r\n")
        if b"\n" in self.raw.replace(b"\r\n", b"") or b"\0" in self.raw:
            raise Malformed(f"bare LF or NUL in {self.raw!r}")
        self.start = start.decode("latin-1")
        self.fields = Fields.parse(lines)
        self.trailers = Fields()

    def _length(self):
        lengths = self.fields.all("Content-Length")
        if len(lengths) > 1 or (lengths and "Transfer-Encoding" in self.fields):
            raise Malformed(f"ambiguous length in {self.raw!r}")
        if lengths and not lengths[0].isdigit():
            raise Malformed(f"Content-Length {lengths[0]!r}")
        return int(lengths[0]) if lengths else None

    def _read(self, framing, sink):
        if framing == "length":
            self.stream.exactly(self._length(), sink)
        elif framing == "chunked":
            self.trailers = self.stream.chunks(sink)
        elif framing == "close":
            self.stream.to_end(sink)


class Request(Message):
    """A request as a server reads it."""

    def __init__(self, stream):
        super().__init__(stream)
        parts = self.start.split(" ")
        if len(parts) != 3 or parts[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise Malformed(f"request line {self.start!r}")
        self.method, self.target, self.version = parts
        self.path, _, self.query = self.target.partition("?")
        length = self._length()
        if "Transfer-Encoding" in self.fields:
            if self.fields.tokens("Transfer-Encoding") != ["chunked"]:
                raise Malformed(f"transfer coding in {self.raw!r}")
            self.framing = "chunked"
        else:
            self.framing = "length" if length else "none"
        self.length = length

    def read(self, sink):
        self._read(self.framing, sink)


class Response(Message):
    """An answer as a client reads it; interim answers before it are kept in `interim`."""

    def __init__(self, stream):
        super().__init__(stream)
        version, _, rest = self.start.partition(" ")
        code, _, self.reason = rest.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or len(code) != 3 or not code.isdigit():
            raise Malformed(f"status line {self.start!r}")
        self.version, self.status = version, int(code)
        self.interim = []
        self.body = b""
        self.framing = None

    def frame(self, method):
        bare = method == "HEAD" or self.status in (204, 304) or self.status < 200
        if self.status == 204 or self.status < 200:
            if "Content-Length" in self.fields or "Transfer-Encoding" in self.fields:
                raise Malformed(f"a length where no body can be: {self.raw!r}")
        length = self._length()
        if bare:
            self.framing = "none"
        elif "Transfer-Encoding" in self.fields:
            if self.fields.tokens("Transfer-Encoding") != ["chunked"]:
                raise Malformed(f"transfer coding in {self.raw!r}")
            self.framing = "chunked"
        else:
            self.framing = "close" if length is None else "length"
        return self

    def read(self, sink):
        self._read(self.framing, sink)
        return self

    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.start!r} {list(self.fields)} {self.body[:500]!r}>"


class Client(Stream):
    """A visitor's connection."""

    def __init__(self, address, *, timeout=10, receive_buffer=None, source=None, tls=None):
        """TLS: an ssl.SSLContext to speak it with."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source:
                sock.bind((source, 0))
            sock.settimeout(timeout)
            sock.connect(address)
            if tls:
                sock = TlsSocket(sock, tls, address[0])
        except OSError:
            sock.close()
            raise
        super().__init__(sock)
        self.asked = []
        self.host = f"{address[0]}:{address[1]}"

    def request(self, method, target, fields=(), body=None, *, chunked=False, version="HTTP/1.1"):
        """Sends a request. BODY: bytes, or with CHUNKED any pieces. Host is added unless given."""
        fields = list(fields.items() if isinstance(fields, dict) else fields)
        if not any(name.lower() == "host" for name, _ in fields):
            fields.insert(0, ("Host", self.host))
        if chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        elif body is not None:
            fields.append(("Content-Length", str(len(body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.asked.append((method, target, [name for name, _ in fields], None if chunked else body))
        self.send(f"{method} {target} {version}\r\n{lines}\r\n".encode("latin-1"))
        if chunked:
            for piece in body or ():
                self.chunk(piece)
            self.send(b"0\r\n\r\n")
        elif body:
            self.send(body)

    def chunk(self, piece):
        self.send(b"%x\r\n" % len(piece), piece, b"\r\n")

    def answer_head(self, method="GET"):
        """The final answer's head, after any interim ones (101 counts as final)."""
        interim = []
        while (answer := Response(self)).status < 200 and answer.status != 101:
            interim.append(answer.frame(method))
        answer.interim = interim
        return answer.frame(method)

    def answer(self, method="GET", sink=None):
        answer = self.answer_head(method)
        if answer.status == 101:
            return answer
        body = bytearray()
        answer.read(sink or body.extend)
        answer.body = bytes(body)
        openapi.check_problem(answer.status, answer.fields, answer.body)
        if self.asked and (asked := self.asked.pop(0))[1].startswith(("/_api/", "/_t/")):
            openapi.check(*asked, answer.status, answer.fields, answer.body)
        return answer

    def exchange(self, method, target, fields=(), body=None, **how):
        self.request(method, target, fields, body, **how)
        return self.answer(method)
