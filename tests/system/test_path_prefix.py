# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: an application that believes it is at the root of its own origin works below /t/<id>/ by fields
# alone; and nothing it says reaches beyond its prefix (docs/path-prefix.md).

import base64
import hashlib
import json
import re

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


PAGE = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]


def upgrade(daemon, target, cookie, *fields, protocol="websocket", method="GET"):
    """The status that a page's WebSocket gets."""
    with daemon.connect() as client:
        client.request(method, target, [
            ("Host", f"127.0.0.1:{daemon.port}"), ("Cookie", cookie), ("Connection", "Upgrade"), ("Upgrade", protocol),
            ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), *fields])
        return client.answer_head().status


def test_an_upgrade_goes_there_at_once(daemon, tunnel, backend):
    for target in ("/ws/echo", "/ws/echo?x"):
        assert upgrade(daemon, target, f"tunneld_route={tunnel.id}") == 101
        assert backend.received[-1].target == target
    upgrade(daemon, "/?token=1", f"tunneld_route={tunnel.id}")
    assert backend.received[-1].target == "/?token=1", "we have none there, and others do"


# WebSockets at the root of a tunnel that asks for a secret


@pytest.fixture(params=["bearer", "basic"])
def locked(request, api, backend):
    return api.create(backend, auth=request.param)


def credential(tunnel):
    basic = "Basic " + base64.b64encode(f"me:{tunnel.secret}".encode()).decode()
    return ("Authorization", basic if tunnel.document["auth"] == "basic" else f"Bearer {tunnel.secret}")


def pass_of(tunnel):
    """The routing cookie that a page leaves with who has been let in to see it."""
    answer = tunnel.get("/", [*PAGE, credential(tunnel)])
    assert all_of(answer, "Cache-Control") == ['private="Set-Cookie"']
    [cookie] = all_of(answer, "Set-Cookie")
    found = re.fullmatch(rf"(tunneld_route={tunnel.id}\.[0-9a-f]{{64}}); Path=/; HttpOnly; SameSite=Lax", cookie)
    assert found, cookie
    return found.group(1)


def test_a_page_lets_its_websockets_in(daemon, locked, backend):
    shown = pass_of(locked)
    own = ("Origin", f"http://127.0.0.1:{daemon.port}")
    assert upgrade(daemon, "/ws/echo", f"a=b; {shown}", own) == 101
    got = backend.received[-1]
    assert (got.target, dict(got.fields)["Cookie"]) == ("/ws/echo", "a=b") and b"tunneld_" not in got.raw


def test_what_the_pass_is_not_good_for(daemon, api, locked, backend):
    shown = pass_of(locked)
    here = f"http://127.0.0.1:{daemon.port}"
    own, before = ("Origin", here), len(backend.received)
    for origin in (None, "null", here.replace("http", "https"), here + "0", "http://127.0.0.1", here + "/", here[7:]):
        assert upgrade(daemon, "/ws/echo", shown, *([("Origin", origin)] if origin else [])) == 401, origin
    wrong = [shown[:-1], shown[:-1] + "g", shown + "0", shown[:-64], shown.partition(".")[0],
             shown[:-64] + hashlib.sha256(locked.secret.encode()).hexdigest()]
    for cookie in wrong:
        assert upgrade(daemon, "/ws/echo", cookie, own) == 401, cookie
    assert upgrade(daemon, "/ws/echo", shown, own, protocol="h2c") == 401
    assert upgrade(daemon, "/ws/echo", shown, own, method="POST") == 401
    assert upgrade(daemon, locked.target("/ws/echo"), shown, own) == 401, "there the tunnel cookie is shown"
    for target in (locked.target("/"), locked.target("/ws/echo")):
        assert locked.get(target[len(locked.prefix):], [("Cookie", shown), own]).status == 401
    assert stray(daemon, "/x", ("Cookie", shown), own).status == 307
    other = api.create(backend, auth="bearer")
    assert upgrade(daemon, "/ws/echo", shown.replace(locked.id, other.id), own) == 401
    assert len(backend.received) == before, "none of it has reached the server"


def test_the_pass_ends_with_its_tunnel(daemon, locked):
    shown = pass_of(locked)
    locked.revoke()
    assert upgrade(daemon, "/ws/echo", shown, ("Origin", f"http://127.0.0.1:{daemon.port}")) == 404


def test_a_page_nobody_was_let_in_to_leaves_no_pass(locked):
    for fields in ([], [("Authorization", "Bearer wrong")]):
        answer = locked.get("/", [*PAGE, *fields])
        assert answer.status == 401 and not [value for value in all_of(answer, "Set-Cookie") if "route" in value]
    assert not all_of(locked.get("/", [credential(locked)]), "Set-Cookie"), "a program navigates to nothing"


def test_a_page_leaves_the_routing_cookie(tunnel):
    routing = f"tunneld_route={tunnel.id}; Path=/; HttpOnly; SameSite=Lax"
    assert all_of(tunnel.get("/", PAGE), "Set-Cookie") == [routing]
    assert not all_of(tunnel.get("/"), "Set-Cookie")
