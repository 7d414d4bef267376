# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: every page of ours reads well in a real browser, on a telephone and on a desk, in light and in
# dark, for those who see it and for those who hear it; it runs nothing but what is ours, and does what
# it promises without a script where that is possible.

import os
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support import agents, axe, wire
from support.backend import HttpBackend, head
from support.browser import Browser
from support.daemon import Daemon

PICTURES = os.environ.get("TUNNELD_PICTURES")  # a folder to put them into, to be looked at
SIZES = [(360, 640), (1440, 900)]
THERE = b"<!DOCTYPE html><title>there</title><p id=hello>hello</p>"
NAME = "Demo of <script>alert(1)</script> & \"friends\" " + "W" * 40


@pytest.fixture(scope="module")
def daemon():
    with Daemon(agent_grace="0", connect_timeout="1") as running:
        yield running


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def backend():
    def page(received, request, stream):
        body = THERE if received.method == "GET" else b""
        stream.send(head(200, [("Content-Type", "text/html"), ("Content-Length", len(THERE))]), body)
        return True

    with HttpBackend() as serving:
        serving.route("/", page)
        yield serving


@pytest.fixture(scope="module")
def full():
    """A server whose queue of connections is full: a connection to it takes for ever."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for client in waiting:
            client.close()


def open_and_wait(browser, url, title):
    browser.open("about:blank")
    browser.wait("location.href === 'about:blank'")
    browser.open(url)
    browser.wait(f"document.title === '{title}'")


class Pages:
    """How each page is come by: opened in BROWSER."""

    def __init__(self, daemon, backend, full):
        self.daemon, self.api, self.backend, self.full = daemon, daemon.api, backend, full
        self.origin = f"http://127.0.0.1:{daemon.port}"

    def front(self, browser):
        open_and_wait(browser, self.origin + "/", "tunneld")

    def login(self, browser):
        open_and_wait(browser, self.api.create(self.backend, auth="bearer").url, "A secret is needed")

    def login_wrong(self, browser):
        self.login(browser)
        browser.wait("document.activeElement.id === 'secret'")
        browser.type("wrong")
        browser.press_enter()
        browser.wait("document.activeElement?.getAttribute('aria-invalid') === 'true'")

    def offline(self, browser):
        open_and_wait(browser, self.api.pull().url, "The developer\\'s machine is offline")

    def backend_down(self, browser):
        open_and_wait(browser, self.api.create("http://127.0.0.1:1").url, "The service does not answer")

    def backend_slow(self, browser):
        open_and_wait(browser, self.api.create(self.full).url, "The service cannot be reached")

    def backend_bad(self, browser):
        self.backend.raw("/bad", b"SSH-2.0-x\r\n\r\n")
        open_and_wait(browser, self.api.create(self.backend).url + "bad", "The service answered badly")

    def over(self, browser):
        tunnel = self.api.create(self.backend)
        tunnel.revoke()
        open_and_wait(browser, tunnel.url, "This tunnel is over")

    def unknown(self, browser):
        open_and_wait(browser, self.origin + "/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/", "No such tunnel")

    def limited(self, browser):
        tunnel = self.api.create(self.backend, limits={"request_rate": 1})
        for _ in range(20):
            tunnel.get("/")
        open_and_wait(browser, tunnel.url, "Too many requests")

    def crowded(self, browser):
        tunnel = self.api.create(self.backend, limits={"connections": 1})
        self.visitor = tunnel.connect()
        self.visitor.exchange("GET", f"{tunnel.prefix}/")
        open_and_wait(browser, tunnel.url, "Too many connections")

    def about(self, browser):
        tunnel = self.api.create(self.backend, name=NAME)
        open_and_wait(browser, f"{self.origin}/_t/{tunnel.id}/", "About this tunnel")

    def about_closed(self, browser):
        tunnel = self.api.create(self.backend, auth="bearer")
        open_and_wait(browser, f"{self.origin}/_t/{tunnel.id}/", "About this tunnel")

    def evidence(self, browser):
        open_and_wait(browser, self.origin + "/_api/attestation", "What runs here")


KINDS = [name for name in vars(Pages) if not name.startswith("_")]


@pytest.fixture(scope="module")
def pages(daemon, backend, full):
    return Pages(daemon, backend, full)


@pytest.mark.parametrize("kind", KINDS)
def test_every_page(browser, pages, kind):
    getattr(pages, kind)(browser)
    before = len(browser.complaints)
    backgrounds = set()
    for width, height in SIZES:
        for scheme in ("light", "dark"):
            path = f"{PICTURES}/{kind}-{width}-{scheme}.png" if PICTURES else None
            browser.look(width, height, scheme, path)
            assert browser.ask("document.documentElement.scrollWidth") <= width, (kind, width)
            axe.check(browser, f"{kind}, {width} wide, {scheme}")
            backgrounds.add(browser.ask("getComputedStyle(document.body).backgroundColor"))
    browser.look(320, 640, "light")
    assert browser.ask("document.documentElement.scrollWidth") <= 320, kind
    assert len(backgrounds) == 2, backgrounds
    complaints = [text for text in browser.complaints[before:] if "Failed to load resource" not in text]
    assert not complaints, complaints


def test_in_forced_colours_and_without_motion(pages):
    with Browser() as browser:  # one that is used to them paints others' backgrounds wrongly
        for kind in ("login_wrong", "offline", "about"):
            getattr(pages, kind)(browser)
            browser.look(320, 640, "dark", PICTURES and f"{PICTURES}/{kind}-forced.png", forced_colors="active",
                         prefers_reduced_motion="reduce")
            assert browser.ask("matchMedia('(forced-colors: active)').matches")
            assert browser.ask("document.documentElement.scrollWidth") <= 320, kind
            [border] = browser.ask("[...document.querySelectorAll('button, .button')].slice(0, 1).map("
                                   "e => getComputedStyle(e).borderTopColor + getComputedStyle(e).borderTopStyle)")
            assert "rgba(0, 0, 0, 0)" not in border and "none" not in border, border


# ---- what they do

def test_a_page_opens_the_tunnel_when_its_agent_is_back(browser, daemon, backend):
    tunnel = daemon.api.pull()
    open_and_wait(browser, tunnel.url, "The developer\\'s machine is offline")
    assert f"tunnel up PORT --attach {tunnel.id}" in browser.ask("document.querySelector('pre').innerText")
    assert browser.wait("document.getElementById('retry').innerText.startsWith('Not back yet.')")
    before = len(backend.received)
    agents.serve(tunnel, backend.url())
    try:
        browser.wait("document.title === 'there'")
    finally:
        agents.stop(tunnel)
    methods = [received.method for received in backend.received[before:] if received.path == "/"]
    assert methods == ["HEAD", "GET"], methods


def test_a_page_asks_more_slowly_each_time(browser, daemon):
    open_and_wait(browser, daemon.api.create("http://127.0.0.1:1").url, "The service does not answer")
    assert browser.wait("document.getElementById('retry').innerText.includes('in 4 seconds')")
    assert browser.wait("document.getElementById('retry').innerText.includes('in 8 seconds')")


def test_how_long_it_lives(browser, daemon, backend):
    tunnel = daemon.api.create(backend, timeout=4000)
    open_and_wait(browser, f"http://127.0.0.1:{daemon.port}/_t/{tunnel.id}/", "About this tunnel")
    said = browser.ask("document.getElementById('left').innerText")
    assert re.fullmatch(r"\(1 hour \d+ minutes? left\)", said), said
    assert browser.ask("document.getElementById('ends').dateTime") == tunnel.show()["expires_at"]


def focused(browser):
    """Whatever the keyboard leads to, one after the other, until it leaves the page; and whether it is seen."""
    found = []
    for _ in range(20):
        browser.press_tab()
        name = browser.ask("(e => e === document.body ? null : (e.id || e.innerText.trim()))(document.activeElement)")
        if name is None or name in found:
            return found
        assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") != "none", name
        found.append(name)
    raise AssertionError(found)


def test_by_keyboard(browser, pages):
    pages.login(browser)
    browser.wait("document.activeElement.id === 'secret'")
    assert focused(browser) == ["Open the tunnel", "About this tunnel"]
    pages.offline(browser)
    assert focused(browser) == ["Try again", "About this tunnel"]
    pages.about(browser)
    assert focused(browser) == ["Open the tunnel", "Programs and their SHA-256"]


def test_without_a_script(daemon, backend):
    tunnel = daemon.api.create(backend)
    with Browser() as browser:
        browser.without_script()
        open_and_wait(browser, f"http://127.0.0.1:{daemon.port}/_t/{tunnel.id}/", "About this tunnel")
        assert browser.ask("document.getElementById('ends').innerText") == tunnel.show()["expires_at"]
        browser.click("a.button")
        browser.wait("document.title === 'there'")
        late = daemon.api.pull()
        open_and_wait(browser, late.url, "The developer\\'s machine is offline")
        assert browser.ask("document.getElementById('retry').innerText") == ""
        agents.serve(late, backend.url())
        try:
            browser.click("a.button")
            browser.wait("document.title === 'there'")
        finally:
            agents.stop(late)


# ---- what they do not do

INJECTED = b"""<script>window.injected = 'inline'</script>
<script src="/_t/x.js"></script><script src="data:text/javascript,window.injected='data'"></script>
<img src=x onerror="window.injected = 'handler'"><style>main { display: none }</style>
<iframe srcdoc="<script>parent.injected = 'frame'</script>"></iframe><base href="http://elsewhere.example/">
<form id=evil action="http://elsewhere.example/"><button></button></form>"""


class Meddler(ThreadingHTTPServer):
    """Passes GET requests on to ADDRESS and puts into the pages what an attacker would."""

    daemon_threads = True

    def __init__(self, address):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path.endswith(".js"):
                    body, fields = b"window.injected = 'file'", [("Content-Type", "text/javascript")]
                    status = 200
                else:
                    with wire.Client(address) as visitor:
                        answer = visitor.exchange("GET", self.path, [("Accept", "text/html")])
                    body, status = answer.body.replace(b"<main", INJECTED + b"<main"), answer.status
                    fields = [pair for pair in answer.fields if pair[0] not in ("Content-Length", "Connection", "Date")]
                self.send_response(status)
                for name, value in [*fields, ("Content-Length", str(len(body)))]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


@pytest.mark.parametrize("target", ["/", "/t/{bearer}/", "/t/{pull}/", "/_t/{bearer}/", "/_api/attestation", "/nothing"])
def test_what_is_put_into_a_page_does_nothing(browser, daemon, backend, target):
    path = target.format(bearer=daemon.api.create(backend, auth="bearer").id, pull=daemon.api.pull().id)
    with Meddler(("127.0.0.1", daemon.port)) as origin:
        browser.open("about:blank")
        browser.wait("location.href === 'about:blank'")
        before = len(browser.complaints)
        browser.open(origin + path)
        browser.wait("document.getElementById('evil') !== null")
        assert browser.ask("window.injected") is None
        assert browser.ask("getComputedStyle(document.querySelector('main')).display") != "none"
        assert browser.ask("document.baseURI").startswith(origin)
        browser.ask("document.getElementById('evil').submit()")
        assert browser.ask("location.href").startswith(origin)
        refused = [text for text in browser.complaints[before:] if "Content Security Policy" in text]
        assert len(refused) >= 6, browser.complaints[before:]
