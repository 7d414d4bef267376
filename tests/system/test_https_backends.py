# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# https and wss backends: an edge speaks TLS to them, and only to those whose certificate is right.

import json
import signal
import socket
import ssl

import pytest

from support import proc, tls, wire
from support import websocket as ws
from support.backend import HttpBackend, TcpBackend, head
from support.daemon import Daemon


class HttpsBackend(HttpBackend):
    """An HttpBackend behind TLS."""

    def __init__(self, certificate, key, **versions):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        for name, value in versions.items():
            setattr(self.context, name, value)
        self.names = []
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        super().__init__()

    def _serve_connection(self, stream):
        try:
            stream.sock = self.context.wrap_socket(stream.sock, server_side=True)
        except (ssl.SSLError, OSError):
            return
        super()._serve_connection(stream)


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return tls.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def daemon(ca):
    with Daemon(tls_roots=str(ca.certificate), edges=2) as running:
        yield running


@pytest.fixture
def backend(ca):
    with HttpsBackend(*ca.issue("localhost", "127.0.0.1")) as serving:
        yield serving


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_good_certificate(daemon, backend, host):
    tunnel = daemon.api.create(backend.url("https", host))
    seen = tunnel.reach("/echo?a=b")
    assert dict(seen["fields"])["Host"] == f"{host}:{backend.port}"
    assert backend.names[-1] == (None if host == "127.0.0.1" else "localhost")
    with tunnel.connect() as visitor:  # one connection serves several requests
        for _ in range(3):
            assert visitor.exchange("GET", tunnel.target("/echo")).status == 200
    size = 20_000_000
    digest = wire.pattern.Sha256()
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target(f"/big/{size}"))
        visitor.answer(sink=digest)
    assert digest.hex() == wire.pattern.digest(size)
    sent = tunnel.ask("PUT", "/echo", body=wire.pattern.data(3_000_000))
    assert json.loads(sent.body)["sha256"] == wire.pattern.digest(3_000_000)


def test_an_end_without_a_length(daemon, backend):
    """close_notify ends it; Python's server sends one."""
    def closing(received, request, stream):
        stream.send(head(200, [("Connection", "close")]), b"x" * 100_000)
        stream.sock.unwrap()

    def cutting(received, request, stream):
        stream.send(head(200, [("Connection", "close")]), b"x" * 100_000)
        stream.sock.shutdown(socket.SHUT_WR)

    backend.route("/closing", closing)
    backend.route("/cutting", cutting)
    tunnel = daemon.api.create(backend.url("https"))
    assert len(tunnel.get("/closing").body) == 100_000
    with pytest.raises((ConnectionError, wire.Ended)):
        tunnel.get("/cutting")


def test_websocket(daemon, backend):
    tunnel = daemon.api.create(backend.url("wss"))
    wire_ = ws.connect(tunnel, "/ws/echo")
    wire_.protocol.send_text(b"hello")
    wire_.flush()
    assert bytes(next(ws.frames(wire_)).data) == b"hello"


BAD = {
    "expired": "has expired",
    "self-signed": "Nobody who is trusted",
    "wrong name": "for another name",
    "wrong address": "for another name",
    "too old": "speaks no TLS",
    "no TLS": "speaks no TLS",
}


@pytest.mark.parametrize("what", BAD)
def test_bad_backends(daemon, ca, tmp_path, what):
    versions = {}
    other = tls.Authority(tmp_path)
    pair = {"expired": lambda: ca.issue("localhost", "127.0.0.1", days=-1, file="expired"),
            "self-signed": lambda: (other.certificate, other.key),
            "wrong name": lambda: ca.issue("other.test"),
            "wrong address": lambda: ca.issue("localhost", "127.0.0.2", file="address")}.get(
                what, lambda: ca.issue("localhost", "127.0.0.1", file="fine"))()
    if what == "too old":
        versions["minimum_version"] = ssl.TLSVersion.TLSv1
        versions["maximum_version"] = ssl.TLSVersion.TLSv1_1
    host = "localhost" if what == "wrong name" else "127.0.0.1"
    refusal = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    serving = (TcpBackend(lambda stream: stream.some() and stream.send(refusal)) if what == "no TLS"
               else HttpsBackend(*pair, **versions))
    with serving:
        tunnel = daemon.api.create(serving.url("https", host))
        answer = tunnel.get("/")
        assert answer.status == 502 and answer.fields.get("Tunnel-Error") == "backend_bad_response", answer
        assert BAD[what] in json.loads(answer.body)["detail"], answer
        assert not getattr(serving, "received", [])


def test_nobody_listens(daemon, backend):
    tunnel = daemon.api.create(backend.url("https"))
    backend.refuse()
    answer = tunnel.get("/")
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (502, "backend_refused"), answer


def test_a_server_that_does_not_answer(ca):
    """Neither the handshake nor anything else: connect_timeout."""
    with TcpBackend(lambda stream: stream.rest()) as silent, \
            Daemon(tls_roots=str(ca.certificate), connect_timeout="1") as daemon:
        answer = daemon.api.create(silent.url("https")).get("/")
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (504, "backend_timeout"), answer


def test_any_certificate_if_operator_and_tunnel_say_so(tmp_path):
    other = tls.Authority(tmp_path)
    with HttpsBackend(*other.issue("somebody.test")) as serving, Daemon(tls_insecure="yes") as daemon:
        for scheme in ("https+insecure", "wss+insecure"):
            tunnel = daemon.api.create(serving.url(scheme))
            assert tunnel.get("/echo").status == 200
            assert tunnel.show()["backend"] == serving.url("https+insecure"), tunnel.show()
        # One that does not say so has it checked, beside them.
        assert daemon.api.create(serving.url("https")).get("/echo").status == 502


def test_an_unchecked_certificate_is_the_operators_to_allow(daemon, backend):
    answer = daemon.api.call("POST", "/_api/tunnels", {"backend": backend.url("https+insecure")})
    assert (answer.status, answer.json()["code"]) == (422, "backend_forbidden"), answer
    assert "tls_insecure" in answer.json()["detail"], answer


def test_an_edge_may_die(daemon, backend):
    tunnel = daemon.api.create(backend.url("https"))
    assert tunnel.get("/echo").status == 200
    edges = daemon.children("tunneld-edge")
    for edge in edges:
        edge.signal(signal.SIGKILL)
    daemon.expect_gone(edges)
    proc.wait_until(lambda: tunnel.get("/echo").status == 200, 2, "no edge is back")
