# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: in one browser, two tunnels with origins of their own know nothing of each other: neither their
# servers' cookies nor ours reach the other's server or page, nor what is in storage.

import json

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
    browser.wait(f"document.title === '{name}'")


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
        assert set(names) == {"session", "seen", f"tunneld_{tunnel.id}"}, names
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
    """Browsers send cookies to all ports; ours get no further than us. Storage is apart."""
    with served() as daemon, Browser() as browser:
        one, two = (daemon.api.create(server, auth="bearer") for server in servers)
        visit(browser, one, "one")
        browser.ask("localStorage.setItem('kept', 'by one')")
        visit(browser, two, "two")
        assert browser.ask("localStorage.getItem('kept')") is None
        visit(browser, one, "one")
        assert not browser.ask("document.cookie.includes('tunneld')")
        for server in servers:
            assert not [value for value in cookies_got(server) if "tunneld" in value]
