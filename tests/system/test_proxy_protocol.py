# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: behind a proxy, backends and the request log see the visitor that the proxy names: by a PROXY
# header where one is required, by X-Forwarded-For where the operator believes it, and never because
# the visitor says so.

import json

import pytest

from support import proxy_header, tls, wire
from support.backend import HttpBackend
from support.daemon import Daemon, free_port
from support.proc import wait_until

VISITOR, VISITOR_6 = "198.51.100.7", "2001:db8:1::7"
FORGED = {"X-Forwarded-For": "192.0.2.66", "Forwarded": "for=192.0.2.66", "X-Real-IP": "192.0.2.66"}


@pytest.fixture(scope="module")
def daemon():
    """Listens for anybody, for a proxy that sends PROXY headers, for one on [::1], and for one before TLS."""
    proxied, six, secure = free_port(), free_port(), free_port()
    starting = Daemon(request_log="addresses", trusted_proxies="127.0.0.1,10.0.0.0/8",
                      proxy_protocol=f"127.0.0.1:{proxied},[::1]:{six}-{six},127.0.0.1:{secure}",
                      tls_listen=f"127.0.0.1:{secure}")
    starting.options["listen"] += f",127.0.0.1:{proxied},[::1]:{six}"
    with starting as running:
        running.proxied, running.six, running.secure = ("127.0.0.1", proxied), ("::1", six), ("127.0.0.1", secure)
        yield running


def echo(address, lead, tunnel, fields=()):
    with wire.Client(address) as client:
        client.send(lead)
        answer = client.exchange("GET", tunnel.target("/"), fields)
        assert answer.status == 200, answer
        return {name.lower(): value for name, value in json.loads(answer.body)["fields"]}


@pytest.mark.parametrize("lead, seen", [
    (proxy_header.version_1(VISITOR), VISITOR),
    (proxy_header.version_1(VISITOR_6), VISITOR_6),
    (proxy_header.version_2(VISITOR), VISITOR),
    (proxy_header.version_2(VISITOR_6, extensions=b"\x20\0\x03tls\x04\0\x01x"), VISITOR_6),
    (proxy_header.LOCAL, "127.0.0.1"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1")])
def test_the_backend_sees_whom_the_header_names(daemon, tunnel, lead, seen):
    daemon.mark()
    found = echo(daemon.proxied, lead, tunnel, {} if seen == "127.0.0.1" else FORGED)
    quoted = f'"[{seen}]"' if ":" in seen else seen
    assert (found["x-forwarded-for"], found["forwarded"].split(";")[0]) == (seen, f"for={quoted}")
    assert "x-real-ip" not in found
    wait_until(lambda: seen in daemon.log(), 5, daemon.log)


def test_on_ipv6_and_byte_by_byte(daemon, tunnel):
    with wire.Client(daemon.six) as client:
        for byte in proxy_header.version_2(VISITOR) + f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: a\r\n\r\n".encode():
            client.send(bytes([byte]))
        assert ["X-Forwarded-For", VISITOR] in json.loads(client.answer().body)["fields"]


def test_it_stays_true_for_the_whole_connection(daemon, tunnel):
    with wire.Client(daemon.proxied) as client:
        client.send(proxy_header.version_2(VISITOR))
        for _ in range(3):
            fields = json.loads(client.exchange("GET", tunnel.target("/"), FORGED).body)["fields"]
            assert [value for name, value in fields if name == "X-Forwarded-For"] == [VISITOR]


def by_tls(daemon, lead):
    client = wire.Client(daemon.secure)
    client.send(lead)
    client.sock = tls.TlsSocket(client.sock)
    return client


@pytest.mark.parametrize("lead, seen", [
    (proxy_header.version_1(VISITOR), VISITOR),
    (proxy_header.version_2(VISITOR_6, extensions=b"\x20\0\x03tls\x04\0\x01x"), VISITOR_6)])
def test_before_tls(daemon, tunnel, lead, seen):
    """The header is the proxy's; what is inside TLS is the visitor's, and not believed."""
    with by_tls(daemon, lead) as visitor:
        for _ in range(2):
            fields = json.loads(visitor.exchange("GET", tunnel.target("/"), FORGED).body)["fields"]
            found = [value for name, value in fields if name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP")]
            assert sorted(found) == sorted([seen, "https"]), fields


def test_no_tls_without_a_header(daemon):
    with pytest.raises(ConnectionError):
        tls.connect(daemon.secure)


def test_no_header_inside_tls(daemon, tunnel, backend):
    with by_tls(daemon, proxy_header.version_2(VISITOR)) as visitor:
        visitor.send(proxy_header.version_1("192.0.2.66"), f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert visitor.answer().status == 400
    assert not backend.received


@pytest.mark.parametrize("lead", [
    b"", b"PROXY TCP4 1.2.3.4\r\n", proxy_header.version_2(VISITOR, extensions=b"\x04\0\x09x"),
    proxy_header.SIGNATURE + b"\x11\x11\0\0"])
def test_without_a_header_there_is_no_request(daemon, tunnel, backend, lead):
    with wire.Client(daemon.proxied) as client:
        client.send(lead, f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        answer = client.answer()
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (400, "bad_request"), answer
        assert client.rest() == b""
    assert not backend.received


@pytest.mark.parametrize("lead", [proxy_header.version_1(VISITOR), proxy_header.version_2(VISITOR)])
def test_elsewhere_it_is_no_request(daemon, tunnel, backend, lead):
    with daemon.connect() as client:
        client.send(lead, f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert client.answer().status == 400
    assert not backend.received


def test_a_second_header_is_no_request(daemon, tunnel):
    with wire.Client(daemon.proxied) as client:
        client.send(2 * proxy_header.version_1(VISITOR), b"\r\n")
        assert client.answer().status == 400


@pytest.mark.parametrize("given, seen, scheme", [
    ({"X-Forwarded-For": VISITOR, "X-Forwarded-Proto": "https"}, VISITOR, "https"),
    ({"X-Forwarded-For": f"192.0.2.66, {VISITOR}, 10.1.2.3"}, VISITOR, "http"),
    ({"X-Forwarded-For": "nonsense", "Forwarded": "for=192.0.2.66"}, "127.0.0.1", "http"),
    ({}, "127.0.0.1", "http")])
def test_a_trusted_proxy_names_the_visitor_of_each_request(daemon, tunnel, given, seen, scheme):
    with daemon.connect() as client:
        for fields, who in ((given, seen), ({"X-Forwarded-For": "203.0.113.77"}, "203.0.113.77")):
            found = dict(json.loads(client.exchange("GET", tunnel.target("/"), fields).body)["fields"])
            assert found["X-Forwarded-For"] == who
            assert found["X-Forwarded-Proto"] == (scheme if who == seen else "http")


def test_a_named_visitor_is_not_a_trusted_proxy(daemon, tunnel):
    """The header's address is what is looked up: one that is not listed is not believed further."""
    assert echo(daemon.proxied, proxy_header.version_2(VISITOR), tunnel, FORGED)["x-forwarded-for"] == VISITOR
    found = echo(daemon.proxied, proxy_header.version_2("10.9.9.9"), tunnel, {"X-Forwarded-For": VISITOR_6})
    assert found["x-forwarded-for"] == VISITOR_6


def test_wrong_tokens_count_for_the_visitor_that_was_named():
    """One who guesses through the proxy is told so; another one is not."""
    with Daemon(failure_rate="3", trusted_proxies="127.0.0.1") as daemon, HttpBackend() as backend:
        tunnel = daemon.api.create(backend, auth="bearer")
        def guess(who):
            fields = {"X-Forwarded-For": who, "Authorization": "Bearer wrong"}
            return [daemon.get(path, fields).status for path in ("/_api/tunnels", tunnel.target("/"))]
        seen = [guess(VISITOR) for _ in range(6)]
        assert seen[0] == [401, 401] and seen[-1] == [429, 429], seen
        assert guess(VISITOR_6) == [401, 401]


def test_nobody_listens_where_a_header_is_to_be_required():
    port = free_port()
    daemon = Daemon(proxy_protocol=f"127.0.0.1:{port}")
    try:
        with pytest.raises(AssertionError, match=f"proxy_protocol names 127.0.0.1:{port}, where nothing else listens"):
            daemon.start()
    finally:
        daemon.close()
