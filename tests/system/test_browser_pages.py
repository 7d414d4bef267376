# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: every page of ours reads well in a real browser, on a telephone and on a desk, in light and in
# dark, for those who see it and for those who hear it; it runs nothing but what is ours, and does what
# it promises without a script where that is possible.

import os
import socket

import pytest

from support import agents, axe
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
        stream.send(head(200, [("Content-Type", "text/html"), ("Content-Length", len(THERE))]), THERE)
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


def pull(api, **members):
    """A pull tunnel that has no agent."""
    return api.call("POST", "/_api/tunnels", members or {"auth": "none"}).json()


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
        open_and_wait(browser, pull(self.api)["url"], "The developer\\'s machine is offline")

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
    assert len(backgrounds) == 2, backgrounds
    complaints = [text for text in browser.complaints[before:] if "Failed to load resource" not in text]
    assert not complaints, complaints
