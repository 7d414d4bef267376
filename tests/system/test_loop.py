# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a service that is a proxy which leads back to the tunnel does not use up the server, and
# tunnels that lead to tunnels work (RFC 9110 section 7.6.3).

import re
import socket

import pytest

from support.backend import TcpBackend

pytestmark = pytest.mark.usefixtures("mode")

PASSAGES = 5


class Proxy(TcpBackend):
    """Sends each request on to the path it is told, on a connection of its own."""

    def __init__(self):
        super().__init__(self.forward)
        self.to = self.address_to = None

    def lead_to(self, tunnel):
        self.to, self.address_to = tunnel.prefix.encode(), tunnel.address

    def forward(self, stream):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = stream.sock.recv(65536)
            if not piece:
                return
            head += piece
        head = re.sub(rb"^(\w+) (\S+)", rb"\1 " + self.to + rb"\2", head)
        head = re.sub(rb"\r\nConnection: [^\r]*", b"", head).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        with socket.create_connection(self.address_to) as onwards:
            onwards.sendall(head)
            while piece := onwards.recv(65536):
                stream.sock.sendall(piece)


@pytest.fixture
def proxy():
    with Proxy() as proxy:
        yield proxy


def test_a_loop_ends(api, proxy):
    tunnel = api.create(proxy.url())
    proxy.lead_to(tunnel)
    answer = tunnel.get("/round")
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (502, None), "an answer of the service's, by now"
    assert b'"loop_detected"' in answer.body
    assert proxy.accepted == PASSAGES


def test_a_tunnel_to_a_tunnel(api, proxy, tunnel):
    proxy.lead_to(tunnel)
    echo = api.create(proxy.url()).reach("/through")
    assert echo["target"] == "/through"
    assert [v for n, v in echo["fields"] if n == "Via"] == ["1.1 tunneld", "1.1 tunneld"]


@pytest.mark.parametrize(("fields", "passes"), [
    (["1.1 tunneld"] * 4, True),
    (["1.1 tunneld"] * 5, False),
    (["1.1 tunneld, 1.0 other, 1.1 tunneld", "1.1 tunneld,1.1 tunneld ,\t1.1 tunneld"], False),
    (["1.1 tunneld.example, 1.1 a (1.1 tunneld), 1.0 tunneld, tunneld"] * 3, True),
])
def test_what_counts(tunnel, fields, passes):
    answer = tunnel.get("/", [("Via", value) for value in fields])
    assert (answer.status, answer.fields.get("Tunnel-Error")) == ((200, None) if passes else (502, "loop_detected"))
    if not passes:
        assert "proxy_loop_detected" in answer.fields.get("Proxy-Status")
