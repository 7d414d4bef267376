# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a person opens a share link over TLS, with a key that only who has been told of it believes; is
# logged in by a cookie that plain HTTP never gets; and the page's WebSocket comes through.

import pytest

from support.backend import HttpBackend, head
from support.browser import Browser
from support.daemon import TlsDaemon
from test_origins import served

THERE = b"<!DOCTYPE html><title>there</title><p>hello"
ECHO = """for (const path of ['ws/echo', '/ws/echo']) {
    const socket = new WebSocket(new URL(path, location.href.replace('http', 'ws')));
    socket.onopen = () => socket.send('hello');
    socket.onmessage = message => window.said = (window.said ?? '') + message.data;}"""


@pytest.fixture(scope="module")
def daemon():
    with served(kind=TlsDaemon) as running:
        yield running


@pytest.fixture
def backend():
    with HttpBackend() as serving:
        serving.route("/", lambda received, request, stream: stream.send(
            head(200, [("Content-Type", "text/html"), ("Content-Length", len(THERE))]), THERE) or True)
        yield serving


@pytest.mark.parametrize("origin", ["path", "port"])
def test_the_share_link(daemon, backend, origin):
    tunnel = daemon.api.create(backend, auth="bearer", origin=origin)
    assert tunnel.document["share_url"].startswith("https://")
    with Browser(keys=daemon.tls_keys()) as browser:
        browser.open(tunnel.document["share_url"])
        browser.wait("document.title === 'there'")
        assert browser.ask("location.href") == tunnel.url
        [kept] = [entry for entry in browser.cookies(tunnel.url) if "tunneld_t-" in entry["name"]]
        assert (kept["httpOnly"], kept["secure"], kept["sameSite"]) == (True, True, "Lax"), kept
        assert (kept["name"], kept["path"]) == {
            "path": (f"tunneld_{tunnel.id}", f"/t/{tunnel.id}/"),
            "port": (f"__Host-tunneld_{tunnel.id}", "/")}[origin], kept
        browser.ask(ECHO)
        assert browser.wait("window.said?.length === 10 && window.said") == "hellohello"
        for entry in browser.cookies(tunnel.url):
            assert (entry["httpOnly"], entry["secure"]) == (True, True), entry
        for received in backend.received:
            assert tunnel.secret.encode() not in received.raw and b"tunneld_" not in received.raw


def test_who_has_not_been_told_of_the_key_is_warned(daemon, backend):
    tunnel = daemon.api.create(backend, auth="bearer", origin="path")
    with Browser(keys=["00" * 32]) as browser:
        browser.open(tunnel.document["share_url"])
        browser.wait("document.body.innerText.includes('ERR_CERT_AUTHORITY_INVALID')")
        assert browser.cookies(tunnel.url) == [] and backend.received == []
