# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: an application that believes it is at the root of its own origin works below /t/<id>/ by fields
# alone; and nothing it says reaches beyond its prefix (docs/path-prefix.md).

import json

import pytest

from support.backend import HttpBackend, head


@pytest.fixture
def serve(backend):
    """Makes the backend answer a path with these fields."""
    def serve(path, *fields, status=200):
        backend.raw(path, head(status, [*fields, ("Content-Length", 0)]))
    return serve


def all_of(answer, name):
    return [value for got, value in answer.fields if got.lower() == name.lower()]


def test_redirects_stay_in_the_tunnel(tunnel, backend, serve):
    for to, seen in (("/login?next=/", f"{tunnel.prefix}/login?next=/"), ("next", "next"),
                     (f"http://127.0.0.1:{backend.port}/a", f"{tunnel.prefix}/a"),
                     (f"{tunnel.url}a", f"{tunnel.prefix}/a"),
                     ("/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/", f"{tunnel.prefix}/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/"),
                     ("https://elsewhere.example/", "https://elsewhere.example/")):
        serve("/r", ("Location", to), status=302)
        assert tunnel.get("/r").fields.get("Location") == seen


def test_cookies_are_the_tunnels(tunnel, serve, backend):
    serve("/c", ("Set-Cookie", "a=1; Path=/; Domain=127.0.0.1"), ("Set-Cookie", "__Host-b=2; Path=/; Secure"),
          ("Set-Cookie", "tunneld_x=3"))
    answer = tunnel.get("/c")
    assert all_of(answer, "Set-Cookie") == [f"a=1; Path={tunnel.prefix}/",
                                            f"tunnel-host-b=2; Path={tunnel.prefix}/; Secure"]
    seen = dict(tunnel.reach("/", [("Cookie", "a=1; tunnel-host-b=2; tunneld_route=x")])["fields"])
    assert seen["Cookie"] == "a=1; __Host-b=2"


def test_cookies_of_a_request_without_the_slash_are_the_tunnels(tunnel, serve):
    """To browsers its folder is /t, which is all tunnels'."""
    serve("/", ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=x"))
    with tunnel.connect() as visitor:
        answer = visitor.exchange("POST", tunnel.prefix, body=b"x")
    assert all_of(answer, "Set-Cookie") == [f"a=1; Path={tunnel.prefix}", f"b=2; Path={tunnel.prefix}; Path={tunnel.prefix}"]


def test_the_backend_sees_its_own_origin(tunnel, backend):
    host = f"127.0.0.1:{tunnel.address[1]}"
    own = f"http://127.0.0.1:{backend.port}"
    seen = dict(tunnel.reach("/", [("Host", host), ("Origin", f"http://{host}"),
                                   ("Referer", f"http://{host}{tunnel.prefix}/a?b")])["fields"])
    assert (seen["Origin"], seen["Referer"]) == (own, f"{own}/a?b")
    seen = dict(tunnel.reach("/", [("Host", host), ("Origin", "https://evil.example"),
                                   ("Referer", f"http://{host}/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/secret")])["fields"])
    assert seen["Origin"] == "https://evil.example" and "Referer" not in seen


def test_a_worker_gets_no_more_than_the_tunnel(tunnel, serve):
    serve("/sw.js", ("Service-Worker-Allowed", "/"), ("Clear-Site-Data", '"*"'), ("Alt-Svc", "h3"), ("NEL", "{}"))
    answer = tunnel.get("/sw.js")
    assert answer.fields.get("Service-Worker-Allowed") == f"{tunnel.prefix}/"
    assert not {name.lower() for name, _ in answer.fields} & {"clear-site-data", "alt-svc", "nel"}


# Paths at the root


def stray(daemon, path, *fields, method="GET"):
    with daemon.connect() as client:
        return client.exchange(method, path, [("Host", f"127.0.0.1:{daemon.port}"), *fields])


def test_a_page_names_a_path_at_the_root(daemon, tunnel):
    referer = ("Referer", f"http://127.0.0.1:{daemon.port}{tunnel.prefix}/page")
    cookie = ("Cookie", f"x=y; tunneld_route={tunnel.id}")
    for fields in ([referer], [cookie], [referer, ("Cookie", "tunneld_route=t-aaaaaaaaaaaaaaaaaaaaaaaaaa")]):
        for method in ("GET", "POST"):
            answer = stray(daemon, "/app.css?x", *fields, method=method)
            assert (answer.status, answer.fields.get("Location")) == (307, f"{tunnel.prefix}/app.css?x")
            assert answer.fields.get("Vary") == "Referer, Cookie"


@pytest.mark.parametrize("path", ["/", "/_api/nothing", "/_t/nothing", "/healthz", "/t", "/t/"])
def test_paths_of_ours_are_not_stray(daemon, tunnel, path):
    assert stray(daemon, path, ("Cookie", f"tunneld_route={tunnel.id}")).status != 307


def test_who_is_not_led_there(daemon, tunnel):
    for fields in ([], [("Referer", f"http://elsewhere.example{tunnel.prefix}/")],
                   [("Cookie", "tunneld_route=t-aaaaaaaaaaaaaaaaaaaaaaaaaa")], [("Cookie", "tunneld_route=..")],
                   [("Cookie", f"tunneld_route={tunnel.id}"), ("Service-Worker", "script")]):
        assert stray(daemon, "/sw.js", *fields).status == 404


def test_an_upgrade_goes_there_at_once(daemon, tunnel, backend):
    with daemon.connect() as client:
        client.request("GET", "/ws/echo", [
            ("Host", f"127.0.0.1:{daemon.port}"), ("Cookie", f"tunneld_route={tunnel.id}"), ("Connection", "Upgrade"),
            ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")])
        assert client.answer_head().status == 101
    assert backend.received[-1].target == "/ws/echo"


def test_a_page_leaves_the_routing_cookie(tunnel):
    page = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
    routing = f"tunneld_route={tunnel.id}; Path=/; HttpOnly; SameSite=Lax"
    assert all_of(tunnel.get("/", page), "Set-Cookie") == [routing]
    assert not all_of(tunnel.get("/"), "Set-Cookie")
