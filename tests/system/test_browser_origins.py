# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: in one browser, two tunnels with origins of their own know nothing of each other: neither their
# servers' cookies nor ours reach the other's server or page, nor what is in storage. On ports of one host
# that is true of cookies that no script reads. What one below the prefix may do stays below the prefix.

import pytest

from support.backend import HttpBackend, head
from support.browser import Browser
from support.daemon import Daemon
from test_origins import served

NAMES = ["MAP *.t.example 127.0.0.1"]


def page(name):
    def serve(received, request, stream):
        body = f"<!DOCTYPE html><title>{name}</title><p>{name}".encode()
        stream.send(head(200, [
            ("Content-Type", "text/html"), ("Content-Length", len(body)),
            ("Set-Cookie", f"session=of-{name}; Path=/; HttpOnly"), ("Set-Cookie", f"seen=by-{name}; Path=/")]), body)
        return True
    return serve


@pytest.fixture
def servers():
    with HttpBackend() as one, HttpBackend() as two:
        one.route("/", page("one")), two.route("/", page("two"))
        yield one, two


def cookies_got(server):
    return [value for received in server.received for name, value in received.fields if name.lower() == "cookie"]


def visit(browser, tunnel, name):
    browser.open(tunnel.document["share_url"])
    browser.wait(f"document.title === '{name}' && location.href.startsWith('{tunnel.url}')")


def know_nothing_of_each_other(browser, tunnels, servers):
    one, two = tunnels
    visit(browser, one, "one")
    browser.ask("localStorage.setItem('kept', 'by one')")
    visit(browser, two, "two")
    assert browser.ask("document.cookie") == "seen=by-two"
    assert browser.ask("localStorage.getItem('kept')") is None
    visit(browser, one, "one")
    assert browser.ask("document.cookie") == "seen=by-one"
    # A page cannot get at the other with its visitor's login.
    browser.ask(f"fetch('{two.url}', {{credentials: 'include', mode: 'cors'}}).then(() => window.got = 'it', () => window.got = 'no')")
    assert browser.wait("window.got") == "no"
    for server, other in ((servers[0], "two"), (servers[1], "one")):
        got = cookies_got(server)
        assert got and not [value for value in got if other in value or "tunneld_" in value], got
    for tunnel in tunnels:
        names = {cookie["name"]: cookie for cookie in browser.cookies(tunnel.url)}
        session = "session" if tunnel.document["origin"] == "wildcard" else f"tunneld_{tunnel.id}_session"
        assert set(names) == {session, "seen", f"tunneld_{tunnel.id}"}, names
        assert names[f"tunneld_{tunnel.id}"]["httpOnly"] and names[f"tunneld_{tunnel.id}"]["path"] == "/"


def test_by_name(servers):
    with Daemon(wildcard_domain="t.example") as daemon, Browser(hosts=NAMES) as browser:
        tunnels = [daemon.api.create(server, auth="bearer") for server in servers]
        know_nothing_of_each_other(browser, tunnels, servers)


def test_by_port_with_names_of_their_own(servers):
    daemon = served(port_pool_url="http://app-{port}.gw.example")
    hosts = [f"MAP app-{port}.gw.example:80 127.0.0.1:{port}" for port in daemon.pool]
    with daemon, Browser(hosts=hosts) as browser:
        tunnels = [daemon.api.create(server, auth="bearer") for server in servers]
        know_nothing_of_each_other(browser, tunnels, servers)


def test_by_port_of_one_host(servers):
    """Browsers send cookies to all ports: those that no script reads reach their own server only, and
    those that scripts read all of them. Ours get no further than us. Storage is apart."""
    with served() as daemon, Browser() as browser:
        one, two = (daemon.api.create(server, auth="bearer") for server in servers)
        visit(browser, one, "one")
        browser.ask("localStorage.setItem('kept', 'by one')")
        visit(browser, two, "two")
        assert browser.ask("localStorage.getItem('kept')") is None
        visit(browser, one, "one")
        visit(browser, two, "two")
        assert browser.ask("document.cookie") == "seen=by-two", "the last one that set it"
        for server, name in zip(servers, ("one", "two")):
            got = cookies_got(server)
            assert not [value for value in got if "tunneld" in value]
            assert {piece for value in got for piece in value.split("; ")} == {
                f"session=of-{name}", "seen=by-one", "seen=by-two"}, got


def test_a_session_on_a_port_ends(servers):
    """Servers take a cookie back with fewer attributes than they have set it with."""
    servers[0].raw("/out", head(200, [("Content-Type", "text/html"), ("Content-Length", 0),
                                      ("Set-Cookie", "session=; Path=/; Max-Age=0")]))
    with served() as daemon, Browser() as browser:
        one, two = (daemon.api.create(server, auth="bearer") for server in servers)
        visit(browser, one, "one"), visit(browser, two, "two")
        names = lambda: {cookie["name"] for cookie in browser.cookies(one.url) if "session" in cookie["name"]}
        both = {f"tunneld_{tunnel.id}_session" for tunnel in (one, two)}
        assert names() == both
        browser.open(one.url + "out")
        browser.wait(f"location.href === '{one.url}out'")
        assert names() == both - {f"tunneld_{one.id}_session"}


# Below the prefix


def hostile(other):
    """An answer that says whatever could reach the tunnel OTHER."""
    reaching = [("Path=/", "Path=/t/", f"Path={other.prefix}/", "Domain=127.0.0.1; Path=/", "Path=", "Path=..")]
    fields = [("Set-Cookie", f"evil{n}=1; {attributes}") for n, attributes in enumerate(*reaching)]
    fields += [("Set-Cookie", "__Host-evil=1; Path=/; Secure"), ("Set-Cookie", f"tunneld_{other.id}=1; Path={other.prefix}/"),
               ("Set-Cookie", f"tunneld_{other.id}=; Max-Age=0; Path={other.prefix}/"),
               ("Set-Cookie", f"tunneld_route={other.id}; Path=/"), ("Set-Cookie", "session=evil; Path=/"),
               ("Clear-Site-Data", '"*"'), ("Service-Worker-Allowed", "/"), ("Strict-Transport-Security", "max-age=60"),
               ("Alt-Svc", 'h3=":1"'), ("Location", f"{other.prefix}/gone")]
    return head(302, [*fields, ("Content-Length", 0)])


def test_a_hostile_server_changes_nothing_outside_its_prefix(servers):
    with Daemon() as daemon, Browser() as browser:
        one, two = (daemon.api.create(server, auth="bearer") for server in servers)
        visit(browser, one, "one")
        browser.ask("localStorage.setItem('kept', 'by one')")
        before = browser.cookies(one.url)
        assert {cookie["name"] for cookie in before} == {"session", "seen", "tunneld_route", f"tunneld_{one.id}"}
        visit(browser, two, "two")
        servers[1].raw("/do", hostile(one))
        servers[1].route(f"{one.prefix}/gone", page("its own"))
        browser.open(two.url + "do")
        browser.wait("document.title === 'its own'")
        assert browser.ask("location.pathname") == f"{two.prefix}{one.prefix}/gone", "its own, whatever it says"
        here = {cookie["name"] for cookie in browser.cookies(two.url + "t/x")}
        assert {"evil0", "tunnel-host-evil", "session"} <= here, here
        # The routing cookie names the tunnel that was opened last: that is all.
        kept = lambda cookies: {(cookie["name"], cookie["value"], cookie["path"]) for cookie in cookies
                                if cookie["name"] != "tunneld_route"}
        assert kept(browser.cookies(one.url)) == kept(before)
        [at_root] = browser.cookies(f"http://127.0.0.1:{daemon.port}/")
        assert at_root["name"] == "tunneld_route" and at_root["value"].startswith(two.id), at_root
        visit(browser, one, "one")
        assert browser.ask("localStorage.getItem('kept')") == "by one"
        assert not [value for value in cookies_got(servers[0]) if "evil" in value]
        assert not [value for value in cookies_got(servers[1]) if "of-one" in value or "by-one" in value]


def test_what_pages_of_one_origin_can_do_to_each_other(servers):
    """Exactly what SECURITY.md says: requests and WebSockets in the visitor's name, cookies by script,
    storage; not the cookies that no script reads, nor our own."""
    with Daemon() as daemon, Browser() as browser:
        one, two = (daemon.api.create(server, auth="bearer") for server in servers)
        visit(browser, one, "one")
        browser.ask("localStorage.setItem('kept', 'by one')")
        visit(browser, two, "two")
        assert browser.ask("localStorage.getItem('kept')") == "by one"
        browser.ask(f"fetch('{one.prefix}/').then(r => r.text()).then(text => window.read = text)")
        assert "one" in browser.wait("window.read")
        browser.ask(f"new WebSocket('ws://' + location.host + '{one.prefix}/ws/echo').onopen = () => window.opened = true")
        browser.wait("window.opened")
        browser.ask(f"document.cookie = 'by-script=two; path={one.prefix}/'")
        assert browser.ask("document.cookie") == "seen=by-two"
        # At the root, what has no Referer goes to the tunnel that was opened last.
        browser.ask("new WebSocket('ws://' + location.host + '/ws/echo').onopen = () => window.at_root = true")
        browser.wait("window.at_root")
        assert servers[1].received[-1].target == "/ws/echo"
        visit(browser, one, "one")
        assert "by-script=two" in cookies_got(servers[0])[-1]
        for server in servers:
            assert not [value for value in cookies_got(server) if "tunneld_" in value]
        assert not [value for value in cookies_got(servers[1]) if "of-one" in value or "by-one" in value]
