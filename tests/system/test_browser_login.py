# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a person opens a share link in a real browser and is there; or is asked for the secret, in a
# page that works without a script, at any width, in light and dark, and read aloud.

import json
import os
import threading

import pytest

from support import cookie, proc
from support.backend import HttpBackend, head
from support.browser import Browser
from support.daemon import Daemon

THERE = b"<!DOCTYPE html><title>there</title><p id=hello>hello</p>"
WRONG = "a" * 52


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as running:
        yield running


@pytest.fixture
def backend():
    def page(received, request, stream):
        stream.send(head(200, [("Content-Type", "text/html"), ("Content-Length", len(THERE))]), THERE)
        return True

    with HttpBackend() as serving:
        for path in ("/", "/some/page"):
            serving.route(path, page)
        yield serving


@pytest.fixture
def tunnel(daemon, backend):
    return daemon.api.create(backend, auth="bearer")


@pytest.fixture
def browser():
    with Browser() as opened:
        yield opened


def arrive(browser, url):
    # Both at once: the page before may have the same title.
    browser.wait(f"document.title === 'there' && location.href === {json.dumps(url)}")
    assert browser.ask("document.getElementById('hello').innerText") == "hello"


def form(browser):
    """Waits for the form and returns what it says."""
    assert browser.wait("document.forms.length === 1 && document.title === 'A secret is needed'")
    browser.wait("document.activeElement.id === 'secret'")  # given with the next picture, not with the tree
    return browser.ask("document.body.innerText")


def told(browser):
    """Waits for the form that says what is wrong."""
    browser.wait("document.activeElement?.getAttribute('aria-invalid') === 'true'")


def nothing_left(browser, backend, tunnel):
    """The secret is in no address, and with the server behind the tunnel neither."""
    assert not [url for url in browser.history() if tunnel.secret in url or "#" in url]
    assert tunnel.secret not in (browser.ask("document.referrer") or "")
    assert not (browser.ask("document.cookie") or ""), "HttpOnly"
    assert browser.ask("localStorage.length + sessionStorage.length") == 0
    for received in backend.received:
        assert tunnel.secret.encode() not in received.raw and b"tunneld_" not in received.raw
    # The statuses of pages and of the icon are no complaints; what a policy forbids is one.
    complaints = [text for text in browser.complaints if "Failed to load resource" not in text]
    assert not complaints, complaints


@pytest.mark.parametrize("page", ["", "some/page?x=1&y=%20"])
def test_the_share_link(browser, backend, tunnel, page):
    browser.open(f"{tunnel.url}{page}#{tunnel.secret}")
    arrive(browser, tunnel.url + page)
    [kept] = [entry for entry in browser.cookies(tunnel.url) if entry["name"].startswith("tunneld_t-")]
    assert (kept["httpOnly"], kept["secure"], kept["sameSite"]) == (True, False, "Lax"), kept
    assert (kept["name"], kept["path"]) == (f"tunneld_{tunnel.id}", f"/t/{tunnel.id}/"), kept
    expiry = int(kept["value"].partition(".")[0])
    assert f"{kept['name']}={kept['value']}" == cookie.make(tunnel.id, tunnel.secret, expiry)
    nothing_left(browser, backend, tunnel)
    # From now on the address alone will do, with its last slash and without.
    for url in (tunnel.url, tunnel.url[:-1]):
        browser.open("about:blank")
        browser.wait("location.href === 'about:blank'")
        browser.open(url)
        arrive(browser, tunnel.url)


def test_the_fragment_goes_before_anything_else(browser, tunnel):
    browser.open(tunnel.url + "#no-secret-at-all")
    said = form(browser)
    assert browser.ask("location.href") == tunnel.url
    assert "not the secret" not in said, "what cannot be a secret is not tried"


def test_a_wrong_link_and_then_the_right_secret(browser, backend, tunnel):
    browser.open(f"{tunnel.url}some/page?x=1#{WRONG}")
    told(browser)
    assert "not the secret of this tunnel" in form(browser)
    assert browser.ask("document.forms[0].elements.secret.value") == ""
    assert not [url for url in browser.history() if WRONG in url]
    browser.type(tunnel.secret)
    browser.press_enter()
    arrive(browser, tunnel.url + "some/page?x=1")
    nothing_left(browser, backend, tunnel)


def test_without_script(browser, backend, tunnel):
    browser.without_script()
    browser.open(tunnel.url + "some/page?x=1")
    form(browser)
    browser.type("wrong")
    browser.press_enter()
    told(browser)
    browser.type(tunnel.secret)
    browser.press_enter()
    arrive(browser, tunnel.url + "some/page?x=1")
    nothing_left(browser, backend, tunnel)


def test_one_tunnel_after_the_other(browser, daemon, backend, tunnel):
    """The browser may have a connection that belongs to another tunnel: it takes a new one."""
    public = daemon.api.create(backend)
    browser.open(public.url)
    arrive(browser, public.url)
    browser.open(f"{tunnel.url}#{WRONG}")
    told(browser)
    browser.open(public.url)
    arrive(browser, public.url)
    browser.open(f"{tunnel.url}#{tunnel.secret}")
    arrive(browser, tunnel.url)
    assert not (browser.ask("document.cookie") or "")
    # Logged in to one is not logged in to another.
    other = daemon.api.create(backend, auth="bearer")
    browser.open(other.url)
    form(browser)


def test_from_a_tunnel_with_many_connections_to_another(browser, daemon, backend, tunnel):
    """A browser takes those that it has kept, one after the other, and shows what the second one says."""
    count = 6  # as many as it makes to one host
    all_there = threading.Barrier(count)

    def together(received, request, stream):
        all_there.wait(20)
        stream.send(head(200, [("Content-Length", 0)]))
        return True

    backend.route("/together", together)
    public = daemon.api.create(backend)
    for link in (tunnel.document["share_url"], tunnel.url):
        browser.open(public.url)
        arrive(browser, public.url)
        browser.ask(f"Promise.all(Array.from(Array({count}), (_, n) => fetch('together?' + n, {{cache: 'no-store'}})))"
                    ".then(() => window.kept = true)")
        browser.wait("window.kept")
        browser.open(link)
        arrive(browser, tunnel.url)


def test_a_password_goes_to_its_tunnel_only(browser, daemon, backend):
    """Browsers send it to whoever of the same origin asks in the same words."""
    tunnel, another = (daemon.api.create(backend, auth="basic") for _ in range(2))
    asked, words = [], []

    def ask(received, request, stream):
        asked.extend(value for name, value in received.fields if name == "Authorization")
        stream.send(head(401, [("WWW-Authenticate", words[-1]), ("Content-Length", 0)]))
        return True

    backend.route("/ask", ask)
    hostile = daemon.api.create(backend)
    browser.open(tunnel.url.replace("//", f"//anyone:{tunnel.secret}@"))
    browser.wait("document.title === 'there'")
    for known in ('Basic realm="tunnel", charset="UTF-8"', another.get("/").fields.get("WWW-Authenticate")):
        words.append(known)
        before = len(backend.received)  # icons are asked for too
        browser.open(hostile.url + "ask")
        proc.wait_until(lambda: "/ask" in [got.path for got in backend.received[before:]], 20, lambda: backend.received)
        browser.wait("document.title !== 'there'")  # nobody is there to be asked: the answer's page is shown
        browser.open(tunnel.url)
        arrive(browser, tunnel.url)
    assert asked == [], "another tunnel got the password"


WORKER = b"""
addEventListener('install', () => skipWaiting());
addEventListener('activate', event => event.waitUntil(clients.claim()));
addEventListener('fetch', event => event.respondWith(new Response(
    '<!DOCTYPE html><title>taken</title>', {headers: {'Content-Type': 'text/html'}})));
"""


def registered(browser, scope):
    """Whether the page's service worker may have this SCOPE, once that is known."""
    browser.ask(f"""delete window.done; navigator.serviceWorker.register('sw.js', {{scope: {scope}}})
        .then(() => navigator.serviceWorker.getRegistration({scope}))
        .then(r => window.done = String(r?.scope), error => window.done = error.name)""")
    return browser.wait("window.done")


def test_a_service_worker_stays_in_its_tunnel(browser, daemon, backend, tunnel):
    """One that reached further would read the secret of every share link, and outlive its tunnel."""
    def script(received, request, stream):
        fields = [("Content-Type", "text/javascript"), ("Content-Length", len(WORKER)),
                  ("Service-Worker-Allowed", "/")]
        stream.send(head(200, fields), WORKER)
        return True

    backend.route("/sw.js", script)
    hostile = daemon.api.create(backend)
    browser.open(hostile.url)
    arrive(browser, hostile.url)
    for scope in ("'/'", "'/t/'", f"'{tunnel.prefix}/'"):
        assert registered(browser, scope) == "SecurityError", scope
    assert registered(browser, "'./'") == hostile.url, "its own tunnel is its business"
    browser.wait("navigator.serviceWorker.controller !== null")
    browser.open(hostile.url)
    browser.wait("document.title === 'taken'")
    browser.open(tunnel.document["share_url"])
    arrive(browser, tunnel.url)


def test_what_is_read_aloud(browser, tunnel):
    browser.open(tunnel.url)
    form(browser)
    [field] = browser.described("textbox")
    assert (field["name"], field.get("required"), field.get("invalid")) == ("Secret", True, "false"), field
    assert [button["name"] for button in browser.described("button")] == ["Open the tunnel"]
    assert [heading["name"] for heading in browser.described("heading")] == ["A secret is needed"]
    browser.type("wrong")
    browser.press_enter()
    told(browser)
    [field] = browser.described("textbox")
    assert field.get("invalid") == "true" and "not the secret" in field["description"], field
    assert len(browser.described("alert")) == 1


PICTURES = os.environ.get("TUNNELD_PICTURES")  # a folder to put them into, to be looked at


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_what_it_looks_like(browser, tunnel, width):
    browser.open(tunnel.url)
    form(browser)
    browser.type("wrong")
    browser.press_enter()
    told(browser)
    backgrounds = set()
    for scheme in ("light", "dark"):
        path = f"{PICTURES}/login-{width}-{scheme}.png" if PICTURES else None
        browser.look(width, 740, scheme, path)
        assert browser.ask("document.documentElement.scrollWidth") <= width
        widths = browser.ask("[...document.querySelectorAll('input:not([hidden]),button')].filter("
                             "e => e.type !== 'hidden').map(e => e.getBoundingClientRect().width)")
        assert len(widths) == 2 and widths[0] == widths[1] > width / 2 or width == 1280, widths
        backgrounds.add(browser.ask("getComputedStyle(document.body).backgroundColor"))
    assert len(backgrounds) == 2, backgrounds
