# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: bytes sent as urgent (MSG_OOB) are bytes of the stream like any other: none is lost, and none
# of those behind them is waited for in vain.

import hashlib
import os
import socket

import pytest

from support.backend import TcpBackend, echo_tcp

# The agent in Python leaves urgent bytes where its library does.
pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "tunnel")]


def send_urgent(stream, data):
    """The last byte is urgent; DATA arrives as one."""
    stream.sock.send(data, socket.MSG_OOB)


@pytest.mark.parametrize("place", ["line", "fields", "end"])
def test_in_a_head(tunnel, backend, place):
    request = f"GET {tunnel.target('/x')} HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n".encode()
    at = {"line": 10, "fields": len(request) - 6, "end": len(request)}[place]
    for first in (True, False):
        with tunnel.connect() as visitor:
            if not first:
                assert visitor.exchange("GET", tunnel.target("/y")).status == 200
            send_urgent(visitor, request[:at])
            visitor.send(request[at:])
            assert visitor.answer().status == 200


def test_in_a_request_body(tunnel, backend):
    tap = backend.tap("/tap")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"), [("Content-Length", "30")])
        tap.wait(0)
        for _ in range(3):
            send_urgent(visitor, b"abcde")
            visitor.send(b"fghij")
        assert visitor.answer().status == 200
    assert bytes(tap.data) == b"abcdefghij" * 3


def test_in_a_large_upload(tunnel, backend):
    """Large enough to go through a pipe, which stops at urgent bytes."""
    block = os.urandom(1 << 20)
    with tunnel.connect(timeout=20) as visitor:
        visitor.request("POST", tunnel.target("/echo"), [("Content-Length", str(8 * len(block)))])
        for _ in range(4):
            visitor.send(block[:-1])
            send_urgent(visitor, block[-1:])
            visitor.send(block)
        assert visitor.answer().status == 200
    assert backend.last().sha256 == hashlib.sha256(block * 8).hexdigest()


@pytest.mark.parametrize("framing", ["Content-Length: 4194314", "Transfer-Encoding: chunked", "Connection: close"])
def test_in_an_answer(tunnel, backend, framing):
    block = bytes(range(256)) * 4096

    def answer(received, request, stream):
        chunked = framing.startswith("Transfer")
        stream.sock.send(b"HTTP/1.1 200 OK\r\n" + framing.encode() + b"\r", socket.MSG_OOB)
        stream.send(b"\n\r\n", b"400000\r\n" if chunked else b"")
        for _ in range(4):
            stream.send(block[:-1])
            send_urgent(stream, block[-1:])
        stream.send(b"\r\na\r\n" if chunked else b"", b"0123456789", b"\r\n0\r\n\r\n" if chunked else b"")

    backend.route("/urgent", answer)
    got = tunnel.get("/urgent")
    assert got.status == 200 and got.body == block * 4 + b"0123456789", (got.status, len(got.body))


def test_in_a_byte_relay(api):
    with TcpBackend(echo_tcp) as echo:
        tunnel = api.create(echo.url("tcp"))
        with tunnel.connect() as visitor:
            visitor.request("GET", tunnel.target("/"), [("Connection", "Upgrade"), ("Upgrade", "tcp")])
            assert visitor.answer_head().status == 101
            for _ in range(50):
                send_urgent(visitor, b"12345")
                visitor.send(b"67890")
                assert visitor.take(10) == b"1234567890"


def test_at_the_api(api):
    """A token is not cut by it either."""
    body = b'{"backend": "http://127.0.0.1:1", "auth": "none"}'
    start = (f"POST /_api/tunnels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token}\r\n"
             f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode()
    with socket.create_connection(api.address, timeout=10) as sock:
        sock.send(start[:-1], socket.MSG_OOB)
        sock.send(start[-1:] + body[:5], socket.MSG_OOB)
        sock.send(body[5:], socket.MSG_OOB)
        assert sock.recv(100).startswith(b"HTTP/1.1 201 "), "a tunnel"
