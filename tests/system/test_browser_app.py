# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a classic application, written for the root of its own origin, works in a browser through each
# kind of address, and through an agent: absolute links, a stylesheet and a script at the root, a login with
# cookie and redirect, a POST, fetch, server-sent events and a WebSocket.

import pytest

from support import agents
from support.backend import HttpBackend, head
from support.browser import Browser
from test_origins import served

PAGE = b"""<!DOCTYPE html><title>app</title><link rel=stylesheet href=/app.css>
<p id=styled>text</p><a id=next href=/next>next</a>
<form method=post action=/login><input name=user value=me><button>in</button></form>
<script src=/app.js></script>"""
SCRIPT = b"""fetch('/data').then(r => r.text()).then(t => window.fetched = t);
new EventSource('/events').onmessage = e => window.told = e.data;
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws/echo');
socket.onopen = () => socket.send('hello'); socket.onmessage = e => window.echoed = e.data;"""


def answer(kind, body, *fields, status=200):
    def handle(received, request, stream):
        if received.method == "POST" and request.body:
            request.body(lambda piece: None)
        stream.send(head(status, [("Content-Type", kind), ("Content-Length", len(body)), *fields]), body)
        return True
    return handle


def private(received, request, stream):
    there = "session=1" in dict(received.fields).get("Cookie", "")
    return answer("text/html", b"<!DOCTYPE html><title>%s</title>" % (b"private" if there else b"locked"))(
        received, request, stream)


@pytest.fixture
def app():
    with HttpBackend() as backend:
        backend.route("/", answer("text/html", PAGE))
        backend.route("/app.css", answer("text/css", b"#styled{color:rgb(1,2,3)}"))
        backend.route("/app.js", answer("text/javascript", SCRIPT))
        backend.route("/data", answer("text/plain", b"some data"))
        backend.route("/next", answer("text/html", b"<!DOCTYPE html><title>next</title>"))
        backend.raw("/login", head(303, [("Location", "/private"), ("Set-Cookie", "session=1; Path=/; HttpOnly"),
                                         ("Content-Length", 0)]))
        backend.route("/private", private)
        backend.route("/events", answer("text/event-stream", b"data: news\n\n"))
        yield backend


@pytest.fixture(scope="module")
def daemon():
    with served(wildcard_domain="t.example") as running:
        yield running


@pytest.mark.usefixtures("mode")
@pytest.mark.ways("push", "tunnel")
@pytest.mark.parametrize("origin", ["path", "port", "wildcard"])
def test_it_works(app, daemon, origin):
    with Browser(hosts=["MAP *.t.example 127.0.0.1"]) as browser:
        tunnel = daemon.api.create(app, auth="bearer", origin=origin)
        browser.open(tunnel.document["share_url"])
        browser.wait("document.title === 'app'")
        assert browser.ask("location.href") == tunnel.url
        browser.wait("getComputedStyle(document.getElementById('styled')).color === 'rgb(1, 2, 3)'")
        assert browser.wait("window.fetched") == "some data"
        assert browser.wait("window.told") == "news"
        assert browser.wait("window.echoed") == "hello"
        browser.ask("document.getElementById('next').click()")
        browser.wait("document.title === 'next'")
        assert browser.ask("location.href") == f"{tunnel.url}next"
        browser.open(tunnel.url)
        browser.wait("document.title === 'app' && document.forms.length")
        browser.ask("document.forms[0].submit()")
        browser.wait("document.title === 'private'")
        assert browser.ask("location.href") == f"{tunnel.url}private"
        tunnel.revoke()
        for received in app.received:
            assert b"tunneld_" not in received.raw and tunnel.id.encode() not in received.raw.split(b"X-Forwarded")[0]
