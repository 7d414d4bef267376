# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: the backend sees a request made for it, the visitor an answer made for them; what is between
# two neighbours stays between them, and nobody outside can tell the backend who they are.

import json

import pytest

from support.backend import head

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]

HOP = [
    ("Connection", "keep-alive, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "timeout=9"),
    ("Proxy-Connection", "keep-alive"), ("Proxy-Authorization", "Basic eDp5"), ("TE", "trailers"),
    ("Upgrade", "h2c")]


def fields_of(echo):
    found = {}
    for name, value in echo["fields"]:
        found.setdefault(name.lower(), []).append(value)
    return found


def test_host_is_the_backends(tunnel, backend):
    assert fields_of(tunnel.reach("/"))["host"] == [f"127.0.0.1:{backend.port}"]


@pytest.mark.parametrize("path", [
    "/", "/a", "/a/?q=/t/x", "/a//b", "//a", "/a%2Fb", "/a;b=c", "/a?b?c", "/%2e%2E/%00", "/a/../b", "/?", "/*"])
def test_prefix_is_stripped_and_nothing_else_changed(tunnel, path):
    assert tunnel.reach(path)["target"] == path


@pytest.mark.parametrize("rest", ["", "?q=1"])
def test_the_address_without_its_slash(tunnel, rest):
    """A browser is led to the address with the slash, or relative links would miss the tunnel."""
    answer = tunnel.get(rest)
    assert answer.status == 308, answer
    assert answer.fields.get("Location", "").endswith(f"{tunnel.prefix}/{rest}"), answer


@pytest.mark.parametrize("rest", ["", "?q=1"])
def test_the_address_without_its_slash_for_who_cannot_be_redirected(tunnel, backend, rest):
    """What reaches the backend is a request it can read, whatever is decided."""
    answer = tunnel.ask("POST", rest, body=b"abc")
    assert answer.status in (200, 308), answer
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.prefix + rest, [("Connection", "Upgrade"), ("Upgrade", "x")])
        assert visitor.answer().status in (200, 308)
    assert {received.target for received in backend.received} <= {f"/{rest}"}, backend.received


def test_prefix_is_kept_where_asked(api, backend):
    tunnel = api.create(backend, prefix="keep")
    assert tunnel.reach("/a?b")["target"] == tunnel.prefix + "/a?b"


def test_dot_segments_do_not_leave_the_tunnel(api, tunnel, backend):
    other = api.create(backend)
    for path in (f"/../{other.id}/x", f"/%2e%2e/{other.id}/x", f"/..%2f{other.id}/x", "/../../_api/tunnels"):
        answer = tunnel.get(path)
        assert answer.status in (200, 400, 404, 421), (path, answer)
        if answer.status == 200:  # it went to this tunnel's own backend, as it was
            assert backend.last().target == path, backend.last()


def test_forwarding_fields_are_ours_and_not_the_visitors(tunnel, daemon):
    claims = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Host", "evil.example"),
              ("X-Forwarded-Proto", "https"), ("X-Forwarded-Prefix", "/evil"),
              ("X-Forwarded-Port", "1"), ("X-Real-IP", "6.6.6.6"),
              ("Forwarded", "for=6.6.6.6;host=evil.example"), ("Via", "1.0 before")]
    seen = fields_of(tunnel.reach("/", claims))
    assert seen["x-forwarded-for"] == ["127.0.0.1"], seen
    assert seen["x-forwarded-host"] == [f"127.0.0.1:{daemon.port}"], seen
    assert seen["x-forwarded-proto"] == ["http"], seen
    assert seen["x-forwarded-prefix"] == [tunnel.prefix], seen
    (forwarded,) = seen["forwarded"]
    assert "for=127.0.0.1" in forwarded and "proto=http" in forwarded, forwarded
    assert "6.6.6.6" not in str(seen) and "evil" not in str(seen), seen
    assert any("1.1" in via for via in seen["via"]), seen
    assert "1.0 before" in ", ".join(seen["via"]), "Via is a list that grows"


def test_forwarding_fields_cannot_be_dropped_by_naming_them_in_connection(tunnel):
    answer = tunnel.get("/", [("Connection", "close, X-Forwarded-For, Via, Forwarded")])
    if answer.status != 400:  # refusing it is as good
        seen = fields_of(json.loads(answer.body))
        assert seen["x-forwarded-for"] == ["127.0.0.1"], seen
        assert "via" in seen and "forwarded" in seen, seen


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Authorization"])
def test_fields_that_matter_here_cannot_be_dropped_by_naming_them_in_connection(api, backend, name):
    """Refused or taken as if it were not named; never passed on without."""
    tunnel = api.create(backend, auth="bearer")
    answer = tunnel.ask("POST", "/x", [("Connection", f"close, {name}"), *tunnel.bearer()], b"abc")
    assert answer.status in (200, 400), answer
    if answer.status == 200:
        assert backend.last().body == b"abc" and "Host" in backend.last().fields, backend.last()


def test_underscored_spellings_of_our_fields_do_not_pass(tunnel):
    seen = fields_of(tunnel.reach("/", [("X_Forwarded_For", "6.6.6.6")]))
    assert "6.6.6.6" not in str(seen), "WSGI and CGI would read it as X-Forwarded-For"


def test_hop_by_hop_fields_of_the_request_stop_here(tunnel):
    seen = fields_of(tunnel.reach("/", HOP))
    left = {name for name, _ in HOP if name.lower() in seen} - {"Connection"}
    assert not left, seen
    assert "x-mine" not in ", ".join(seen.get("connection", [])).lower(), seen


def test_hop_by_hop_fields_of_the_answer_stop_here(tunnel, backend):
    backend.raw("/hop", head(200, [
        ("Connection", "close, X-Theirs"), ("X-Theirs", "1"), ("Keep-Alive", "timeout=9"),
        ("Proxy-Authenticate", "Basic"), ("Content-Length", 0)]))
    answer = tunnel.get("/hop")
    for name in ("X-Theirs", "Keep-Alive", "Proxy-Authenticate"):
        assert name not in answer.fields, answer
    assert "Via" in answer.fields, answer


def test_everything_else_passes_in_order_and_as_it_was(tunnel, backend):
    ours = [("X-A", "1"), ("x-a", "2"), ("Accept", "*/*"), ("X-Empty", ""), ("X-Latin", "caf\xe9"),
            ("Cookie", "a=b; c=d"), ("User-Agent", "test"), ("X-A", "3")]
    seen = [(n, v) for n, v in tunnel.reach("/", ours)["fields"] if (n, v) in ours]
    assert seen == ours, seen
    theirs = [("Set-Cookie", "a=b; Path=/x"), ("Set-Cookie", "c=d"), ("X-B", "1"), ("x-b", "2"),
              ("Cache-Control", "no-store"), ("Content-Type", "text/odd; x=y")]
    backend.raw("/fields", head(200, [*theirs, ("Content-Length", 0)]))
    got = [(n, v) for n, v in tunnel.get("/fields").fields if n.lower() in {x[0].lower() for x in theirs}]
    assert got == theirs or [p for p in got if p[0] != "Set-Cookie"] == [
        p for p in theirs if p[0] != "Set-Cookie"], got


def test_the_reason_phrase_may_be_anything_or_nothing(tunnel, backend):
    backend.raw("/none", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")
    assert tunnel.get("/none").status == 200
    backend.raw("/odd", b"HTTP/1.1 299 \xe4\xf6 odd\r\nContent-Length: 0\r\n\r\n")
    assert tunnel.get("/odd").status == 299


def test_an_http_1_0_visitor_without_host(tunnel, backend):
    with tunnel.connect() as visitor:
        visitor.send(f"GET {tunnel.target('/old')} HTTP/1.0\r\n\r\n".encode())
        answer = visitor.answer()
        assert answer.status == 200, answer
        assert visitor.ended() == "eof"
    assert "Host" in backend.last().fields


def test_absolute_form_for_this_host(tunnel, daemon):
    with tunnel.connect() as visitor:
        answer = visitor.exchange("GET", f"http://127.0.0.1:{daemon.port}{tunnel.target('/abs?x')}")
    assert answer.status == 200 and '"target": "/abs?x"' in answer.text(), answer


def test_absolute_form_for_another_host_is_refused(tunnel, backend):
    with tunnel.connect() as visitor:
        answer = visitor.exchange("GET", f"http://other.example{tunnel.target('/abs')}")
        assert answer.status == 400, answer
    assert backend.received == []


@pytest.mark.parametrize("n", [0, 50, 90])
def test_many_fields_pass(tunnel, n):
    fields = [(f"X-{i}", "v" * 100) for i in range(n)]
    assert len([f for f in tunnel.reach("/", fields)["fields"] if f[1] == "v" * 100]) == n
