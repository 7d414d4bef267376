# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The service behind a tunnel: a TCP server whose connections a test serves itself, and an HTTP
# server with the few paths most stories need. A thread serves each connection. Whatever reaches
# the backend is kept for the test to look at, and anything malformed fails the test at close().

import json
import queue
import socket
import threading
import traceback
import urllib.parse

from . import pattern, wire
from .websocket import serve_websocket

KEEP_BODY = 1 << 20
PATIENCE = 20


class TcpBackend:
    """Calls SERVE(stream) in a thread for every connection and closes it afterwards."""

    def __init__(self, serve, host="127.0.0.1", port=0):
        self.serve = serve
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, port), family=family, backlog=1024)
        self.address = self.listener.getsockname()[:2]
        self.port = self.address[1]
        self.accepted = 0
        self.faults = []
        self._lock = threading.Lock()
        self._streams = {}
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def url(self, scheme="http", host=None):
        host = host or self.address[0]
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream = wire.Stream(sock)
            thread = threading.Thread(target=self._run, args=(stream,), daemon=True)
            with self._lock:
                self.accepted += 1
                stream.number = self.accepted
                self._streams[stream] = thread
            thread.start()

    def _run(self, stream):
        try:
            self.serve(stream)
        except OSError:
            pass  # the other side may go whenever it likes
        except Exception:
            self.faults.append(traceback.format_exc())
        finally:
            stream.close()
            with self._lock:
                self._streams.pop(stream, None)

    def open_connections(self):
        with self._lock:
            return len(self._streams)

    def refuse(self):
        """Stops listening: new connections are refused, old ones stay."""
        self.listener.shutdown(socket.SHUT_RDWR)  # a thread waits in accept()
        self.listener.close()

    def drop_all(self):
        with self._lock:
            streams = dict(self._streams)
        for stream in streams:
            try:
                stream.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        return streams

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self._accepting.join(PATIENCE)
        for thread in self.drop_all().values():
            thread.join(PATIENCE)
        assert not self.faults, "the backend saw:\n" + "\n".join(self.faults[:3])


class Received:
    """A request as it arrived."""

    def __init__(self, request, connection):
        self.method, self.target, self.path = request.method, request.target, request.path
        self.version, self.fields, self.raw = request.version, request.fields, request.raw
        self.framing, self.connection = request.framing, connection
        self.query = dict(urllib.parse.parse_qsl(request.query))
        self.trailers = wire.Fields()
        self.length, self.sha256, self.body = 0, None, b""

    def as_json(self):
        return {
            "method": self.method,
            "target": self.target,
            "fields": list(self.fields),
            "framing": self.framing,
            "connection": self.connection,
            "length": self.length,
            "sha256": self.sha256,
        }

    def __repr__(self):
        return f"<{self.method} {self.target} {list(self.fields)} {self.length} bytes>"


class HttpBackend(TcpBackend):
    """
    Answers, by path:
      /big/N            N bytes of the pattern; ?framing=length|chunked|close
      /status/N         that status and a small body where one is allowed
      /early            413 at once, without reading the body
      /ws/...           WebSocket, see support.websocket
      a path added by route(), feed(), tap() or raw()
      any other         JSON: what the request looked like, with the SHA-256 of its body
    """

    def __init__(self, host="127.0.0.1"):
        self.received = []
        self.upgraded = []
        self._routes = {}
        self._feeds = []
        super().__init__(self._serve_connection, host)

    # What tests call

    def route(self, path, handler):
        """HANDLER(received, request, stream) answers; it returns True to keep the connection."""
        self._routes[path] = handler

    def raw(self, path, answer):
        """Sends those bytes and closes."""
        self.route(path, lambda received, request, stream: stream.send(answer))

    def feed(self, path, head):
        """Sends HEAD, then what the test hands to the returned Feed."""
        feed = Feed(head)
        self._feeds.append(feed)
        self.route(path, feed.serve)
        return feed

    def tap(self, path):
        """Reads a body piece by piece; the returned Tap knows how much has come."""
        tap = Tap()
        self.route(path, tap.serve)
        return tap

    def last(self):
        assert self.received, "no request reached the backend"
        return self.received[-1]

    def close(self):
        for feed in self._feeds:
            feed.close()
        super().close()

    # Inside

    def _serve_connection(self, stream):
        while stream.readable(None) and self._peek(stream):
            request = wire.Request(stream)
            received = Received(request, stream.number)
            self.received.append(received)
            handler = self._routes.get(request.path) or self._built_in(request)
            if not handler(received, request, stream):
                return

    @staticmethod
    def _peek(stream):
        return stream.buffer or stream._fill()

    def _built_in(self, request):
        first = request.path.split("/")[1]
        return {
            "big": self._big,
            "status": self._status,
            "early": self._early,
            "ws": self._websocket,
        }.get(first, self._echo)

    @staticmethod
    def absorb(received, request, stream):
        """Reads the body, granting 100-continue where it was asked for."""
        if "100-continue" in request.fields.tokens("Expect"):
            stream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        digest = pattern.Sha256()
        kept = bytearray()

        def sink(piece):
            digest(piece)
            if len(kept) < KEEP_BODY:
                kept.extend(piece)

        request.read(sink)
        received.length, received.sha256, received.body = digest.length, digest.hex(), bytes(kept)
        received.trailers = request.trailers

    def _echo(self, received, request, stream):
        self.absorb(received, request, stream)
        body = json.dumps(received.as_json()).encode()
        fields = [("Content-Type", "application/json"), ("Content-Length", len(body))]
        stream.send(head(200, fields), b"" if request.method == "HEAD" else body)
        return True

    def _big(self, received, request, stream):
        self.absorb(received, request, stream)
        size = int(request.path.split("/")[2])
        framing = received.query.get("framing", "length")
        field = {
            "length": [("Content-Length", size)],
            "chunked": [("Transfer-Encoding", "chunked")],
            "close": [("Connection", "close")],
        }[framing]
        stream.send(head(200, field))
        if request.method == "HEAD":
            return True
        for block in pattern.blocks(size):
            if framing == "chunked":
                stream.send(b"%x\r\n" % len(block), block, b"\r\n")
            else:
                stream.send(block)
        if framing == "chunked":
            stream.send(b"0\r\n\r\n")
        return framing != "close"

    def _status(self, received, request, stream):
        self.absorb(received, request, stream)
        status = int(request.path.split("/")[2])
        if status in (204, 304):
            stream.send(head(status, [("ETag", '"v1"')]))
        else:
            body = b"status %d\n" % status
            stream.send(head(status, [("Content-Length", len(body))]))
            stream.send(b"" if request.method == "HEAD" else body)
        return True

    def _early(self, received, request, stream):
        stream.send(head(413, [("Content-Length", 6), ("Connection", "close")]), b"enough")
        stream.finish()
        stream.to_end(lambda piece: None)

    def _websocket(self, received, request, stream):
        self.upgraded.append(serve_websocket(received, request, stream))


def head(status, fields=(), reason="Fine"):
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status} {reason}\r\n{lines}\r\n".encode("latin-1")


class Feed:
    """An answer whose bytes come from the test, when the test wants."""

    def __init__(self, head_bytes):
        self.opened = threading.Event()
        self._head = head_bytes
        self._pieces = queue.Queue()

    def serve(self, received, request, stream):
        HttpBackend.absorb(received, request, stream)
        stream.send(self._head)
        self.opened.set()
        while piece := self._pieces.get():
            if piece is RESET:
                stream.reset()
                return
            stream.send(piece)
        self._pieces.put(None)  # the end is everybody's who is served this feed

    def send(self, piece):
        self._pieces.put(piece)

    def close(self):
        """An orderly end."""
        self._pieces.put(None)

    def reset(self):
        self._pieces.put(RESET)


RESET = object()


class Tap:
    """Counts an upload as it arrives; answers when it is complete."""

    def __init__(self):
        self._changed = threading.Condition()
        self.data = bytearray()
        self.ended = None  # "complete", or what broke it

    def serve(self, received, request, stream):
        try:
            request.read(self._sink)
            self._end("complete")
        except (wire.Ended, ConnectionError) as error:
            self._end(type(error).__name__)
            raise
        stream.send(head(200, [("Content-Length", 4)]), b"done")
        return True

    def _sink(self, piece):
        with self._changed:
            self.data += piece
            self._changed.notify_all()

    def _end(self, how):
        with self._changed:
            self.ended = how
            self._changed.notify_all()

    def wait(self, size, seconds=5):
        """Waits until SIZE bytes have come; returns what has."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.data) >= size, seconds)
            return bytes(self.data)

    def wait_end(self, seconds=5):
        with self._changed:
            self._changed.wait_for(lambda: self.ended, seconds)
            return self.ended


def echo_tcp(stream):
    """Sends back what comes, and ends when it ends."""
    while piece := stream.some(pattern.BLOCK):
        stream.send(piece)
    stream.finish()
