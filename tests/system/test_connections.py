# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a connection carries one request after the other for as long as it is allowed to, and never
# one that belongs elsewhere.

import pytest

from support import proc

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]


def test_keep_alive(tunnel, backend):
    with tunnel.connect() as visitor:
        for number in range(50):
            answer = visitor.exchange("POST", tunnel.target(f"/{number}"), body=b"x" * number)
            assert answer.status == 200, answer
    assert [received.path for received in backend.received] == [f"/{n}" for n in range(50)]


def test_pipelined_requests_are_answered_in_order(tunnel):
    with tunnel.connect() as visitor:
        for number in range(30):
            visitor.request("GET", tunnel.target(f"/p{number}"))
        for number in range(30):
            answer = visitor.answer()
            assert answer.status == 200 and f'"/p{number}"' in answer.text(), answer


def test_pipelined_after_a_body(tunnel):
    with tunnel.connect() as visitor:
        for number in range(10):
            visitor.request("POST", tunnel.target(f"/b{number}"), body=b"y" * (number * 7000))
            visitor.request("POST", tunnel.target(f"/c{number}"), body=[b"z" * 10] * number, chunked=True)
        for number in range(10):
            assert f'"length": {number * 7000}' in visitor.answer().text()
            assert f'"length": {number * 10}' in visitor.answer().text()


@pytest.mark.parametrize("pieces", [
    ["head", "end", "head", "end"], ["get+head", "end"], ["get", "head", "end"], ["get+post", "ab", "cde"],
    ["get+post", "abcde"], ["head", "end+get"], ["get+get+head", "end+get"], ["post+ab", "cde+post", "abcde"]],
    ids=" ".join)
def test_a_body_that_comes_later_belongs_to_the_request_before_it(tunnel, pieces):
    """Whatever the timing: requests and bodies in separate segments, sent without waiting."""
    parts = {
        "get": f"GET {tunnel.target('/get')} HTTP/1.1\r\nHost: x\r\n\r\n",
        "head": f"PUT {tunnel.target('/put')} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "end": "0\r\n\r\n",
        "post": f"POST {tunnel.target('/post')} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"}
    texts = ["".join(parts.get(name, name) for name in piece.split("+")).encode() for piece in pieces]
    requests = sum(text.count(b"HTTP/1.1") for text in texts)
    for _ in range(20):
        with tunnel.connect() as visitor:
            visitor.send(*texts)
            assert [visitor.answer().status for _ in range(requests)] == [200] * requests


def test_one_byte_at_a_time(tunnel):
    with tunnel.connect() as visitor:
        request = f"POST {tunnel.target('/slow')} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        for byte in request.encode():
            visitor.send(bytes([byte]))
        assert '"length": 3' in visitor.answer().text()


def test_connection_close_is_honoured(tunnel):
    with tunnel.connect() as visitor:
        answer = visitor.exchange("GET", tunnel.target("/"), {"Connection": "close"})
        assert "close" in answer.fields.tokens("Connection"), answer
        assert visitor.ended() == "eof"


def test_http_1_0_closes_unless_it_asks(tunnel):
    with tunnel.connect() as visitor:
        visitor.exchange("GET", tunnel.target("/"), version="HTTP/1.0")
        assert visitor.ended() == "eof"
    with tunnel.connect() as visitor:
        answer = visitor.exchange("GET", tunnel.target("/"), {"Connection": "keep-alive"}, version="HTTP/1.0")
        if "keep-alive" in answer.fields.tokens("Connection"):
            assert visitor.exchange("GET", tunnel.target("/"), version="HTTP/1.0").status == 200


def test_empty_lines_before_a_request_are_forgiven(tunnel):
    with tunnel.connect() as visitor:
        visitor.send(b"\r\n\r\n")
        assert visitor.exchange("GET", tunnel.target("/")).status == 200


def test_another_tunnels_path_on_the_same_connection_is_421(api, tunnel, backend):
    other = api.create(backend)
    for target in (other.target("/x"), "/_api/version", "/", "/_t/login"):
        with tunnel.connect() as visitor:
            assert visitor.exchange("GET", tunnel.target("/mine")).status == 200
            answer = visitor.exchange("GET", target)
            assert (answer.status, answer.fields.get("Tunnel-Error")) == (421, "misdirected"), answer
            assert visitor.ended() == "eof", "and the connection is over"
    assert {received.path for received in backend.received} == {"/mine"}


@pytest.mark.parametrize("method, body", [("GET", None), ("POST", b"secret=x")])
def test_a_person_who_goes_to_another_tunnel_gets_there(api, tunnel, backend, method, body):
    """A browser may have many connections of the tunnel it comes from, and tries one after the other."""
    other = api.create(backend)
    page = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    for target in (other.target("/x?y=1"), other.prefix, "/", f"/_t/{other.id}/login"):
        with tunnel.connect() as visitor:
            assert visitor.exchange("GET", tunnel.target("/mine")).status == 200
            answer = visitor.exchange(method, target, page, body)
            assert (answer.status, answer.fields.get("Location")) == (307, target), answer
            assert answer.fields.get("Tunnel-Error") == "misdirected" and answer.fields.get("Cache-Control") == "no-store"
            assert visitor.ended() == "eof", "and the connection is over"
    assert {received.path for received in backend.received} == {"/mine"}


@pytest.mark.parametrize("target", ["//evil.example/", "/\\evil.example/", "*"])
def test_nobody_is_sent_to_another_host(tunnel, target):
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/mine")).status == 200
        answer = visitor.exchange("OPTIONS", target, {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
        assert answer.status in (400, 421) and answer.fields.get("Location") is None, answer


@pytest.mark.parametrize("before", ["/_api/version", "/favicon.ico", "/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/"])
def test_a_tunnel_on_a_connection_that_began_elsewhere(tunnel, before):
    """Browsers and sessions reuse connections of an origin: they are told to take another one."""
    with tunnel.connect() as visitor:
        first = visitor.exchange("GET", before)
        if "close" in first.fields.tokens("Connection"):
            assert visitor.ended() == "eof"
            return
        answer = visitor.exchange("GET", tunnel.target("/x"))
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (421, "misdirected"), answer
        assert visitor.ended() == "eof"


def test_a_bare_tunnel_id_is_redirected(tunnel, daemon):
    for method in ("GET", "POST"):
        with daemon.connect() as visitor:
            answer = visitor.exchange(method, f"/{tunnel.id}/x/y?z=1")
            assert answer.status == 308, answer
            assert answer.fields.get("Location", "").endswith(tunnel.target("/x/y?z=1")), answer


def test_what_is_nowhere_is_404(daemon):
    for target in ("/", "/favicon.ico", "/t", "/tt/x", "/_apix", "/_t/nothing"):
        assert daemon.get(target).status in (404, 200), target
    assert daemon.get("/nowhere").status == 404


def test_backend_connections_are_kept_for_one_visitor_and_never_shared(tunnel):
    with tunnel.connect() as first, tunnel.connect() as second:
        seen = {first: set(), second: set()}
        for _ in range(5):
            for visitor in (first, second):
                text = visitor.exchange("GET", tunnel.target("/")).text()
                seen[visitor].add(text.split('"connection": ')[1].split(",")[0])
        assert not seen[first] & seen[second], seen
        assert len(seen[first]) == len(seen[second]) == 1, f"kept alive between requests: {seen}"


def test_a_kept_backend_connection_that_died_is_replaced(tunnel, backend):
    with tunnel.connect() as visitor:
        for _ in range(5):
            assert visitor.exchange("GET", tunnel.target("/")).status == 200
            backend.drop_all()
            proc.wait_until(lambda: backend.open_connections() == 0, 5, "backend connections")


def test_many_visitors_at_once(tunnel, backend):
    visitors = [tunnel.connect() for _ in range(300)]
    try:
        for visitor in visitors:
            visitor.request("GET", tunnel.target("/all"))
        for visitor in visitors:
            assert visitor.answer().status == 200
    finally:
        for visitor in visitors:
            visitor.close()


def test_nobody_is_left_behind(api, backend, daemon):
    """After visitors are gone, so are the backend connections and the relay's descriptors."""
    tunnel, relay = daemon.create_with_relay(backend)
    for _ in range(20):
        tunnel.get("/big/100000")  # a few pipes are kept for whoever comes next
    proc.wait_until(lambda: backend.open_connections() == 0, 5, "backend connections")
    before = relay.descriptors()
    for _ in range(50):
        tunnel.get("/big/100000")
    proc.wait_until(lambda: backend.open_connections() == 0, 5, "backend connections")
    if before is not None:
        proc.wait_until(lambda: relay.descriptors() <= before, 5,
                        lambda: f"{relay.descriptors()} descriptors, {before} before")
