# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a person with an API token sees and does in a browser what the API can, without the token
# being anywhere but in the memory of the page.

import base64
import contextlib
import json
import os
import socket
import subprocess
import tempfile

import pytest

from support import axe, proc, wire
from support.api import Api
from support.backend import HttpBackend, TcpBackend
from support.browser import Browser
from support.daemon import TOKEN, Daemon, free_port
from support.events import Events
from support.guest import Guest
from support.up import Up

WRONG = "a" * 52


class Controlled(Daemon):
    """One with an address for the API; `api` uses that."""

    def __init__(self, **options):
        self.control = free_port()
        super().__init__(control_listen=f"127.0.0.1:{self.control}", **options)
        self.api = Api(self.control, TOKEN)
        self.page = f"http://127.0.0.1:{self.control}/"


@pytest.fixture(scope="module")
def daemon():
    with Controlled() as running:
        yield running


@pytest.fixture
def backend():
    with HttpBackend() as serving:
        yield serving


@pytest.fixture(scope="module")
def opened():
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(daemon, opened):
    """One for all: what a page knows goes with it."""
    opened.complaints.clear()
    opened.look(1280, 900, "light")
    yield opened
    for id_ in daemon.api.ids():
        daemon.api.call("DELETE", f"/_api/tunnels/{id_}")


def at(id_):
    return f"document.getElementById({json.dumps(id_)})"


def text(browser, id_):
    return browser.ask(f"{at(id_)}.textContent")


def click(browser, what):
    """WHAT: an id, or a selector."""
    found = f"document.querySelector({json.dumps(what)})" if any(c in what for c in "#[ ") else at(what)
    assert browser.ask(f"{found}.click(), true"), what


def fill(browser, id_, value):
    browser.ask(f"{at(id_)}.value = {json.dumps(value)}")


def door(browser, daemon):
    browser.open(daemon.page)
    browser.wait(f"!{at('door')}.hidden")


def enter(browser, token):
    browser.ask(f"{at('token')}.focus()")
    browser.type(token)
    browser.press_enter()


def sign_in(browser, daemon, token=TOKEN):
    door(browser, daemon)
    enter(browser, token)
    live(browser)


def live(browser):
    browser.wait(f"{at('link')}.textContent === 'Live' && {at('loading')}.hidden && !{at('desk')}.hidden")


def refused(browser, why):
    browser.wait(f"!{at('why')}.hidden && {at('why')}.textContent.includes({json.dumps(why)})")
    assert browser.ask("document.activeElement.id") == "token"
    assert browser.ask(f"{at('desk')}.hidden && {at('token')}.value === ''")


def row(tunnel):
    """The row of a tunnel, as an expression."""
    return f"document.querySelector('#list [data-id={tunnel if isinstance(tunnel, str) else tunnel.id}]')"


def listed(tunnel):
    return row(tunnel) + " !== null"


def rows(browser):
    return browser.ask("[...document.querySelectorAll('#list li')].map(row => row.dataset.id)")


def count(browser, tunnel, name, value):
    browser.wait(f"{row(tunnel)}?.querySelector('[data-count={name}]').textContent === {json.dumps(value)}")


def nowhere(browser, token=TOKEN):
    """Only the memory of the page has the token."""
    assert not [url for url in browser.history() if token in url]
    assert browser.ask("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    assert browser.cookies(browser.ask("location.href")) == []
    assert token not in browser.ask("document.documentElement.outerHTML")
    assert not browser.ask(f"[...document.querySelectorAll('input')].some(i => i.value.includes('{token}'))")


def quiet(browser):
    """Nothing was forbidden, and no script failed."""
    loud = [said for said in browser.complaints if "Failed to load resource" not in said]
    assert not loud, loud


# Signing in and out

def test_tokens(browser, daemon):
    door(browser, daemon)
    for wrong in (WRONG, "\u00e4\u20ac", "two words"):
        enter(browser, wrong)
        refused(browser, "does not know this token")
    enter(browser, TOKEN)
    live(browser)
    assert text(browser, "scope") == "Owner"
    nowhere(browser)
    click(browser, "out")
    browser.wait(f"!{at('door')}.hidden && {at('desk')}.hidden && {at('why')}.hidden")
    nowhere(browser)
    quiet(browser)


def test_a_reload_signs_out(browser, daemon):
    sign_in(browser, daemon)
    browser.call("Page.reload")
    browser.wait(f"!{at('door')}.hidden && {at('desk')}.hidden")


def test_a_scoped_token_and_its_end(browser, daemon, backend):
    token = daemon.api.expect(201, "POST", "/_api/tokens", {"name": "workshop"}).json()
    daemon.api.secrets.append(token["token"])
    hidden = daemon.api.create(backend, name="the owner's")
    sign_in(browser, daemon, token["token"])
    assert text(browser, "scope") == "Scoped token: its own tunnels only"
    own = Api(daemon.control, token["token"]).pull(name="mine")
    browser.wait(listed(own))
    assert hidden.id not in rows(browser)
    click(browser, f"[data-id={own.id}] [data-act=revoke]")
    daemon.api.expect(200, "DELETE", f"/_api/tokens/{token['id']}")
    refused(browser, "not valid any more")
    assert rows(browser) == [] and "mine" not in browser.ask("document.body.innerText")
    assert browser.ask("document.querySelector('dialog[open]') === null"), "nor does a question stay"
    enter(browser, token["token"])
    refused(browser, "was revoked")
    nowhere(browser, token["token"])
    quiet(browser)


def test_too_many_wrong_tokens(browser):
    with Controlled(failure_rate="1") as daemon:
        door(browser, daemon)
        enter(browser, WRONG)
        refused(browser, "does not know this token")
        enter(browser, WRONG)
        refused(browser, "Too many wrong tokens")
        enter(browser, TOKEN)
        live(browser)


# The list

def test_what_happens_is_seen(browser, daemon, backend):
    sign_in(browser, daemon)
    assert browser.ask(f"!{at('empty')}.hidden"), browser.ask("document.body.innerText")
    tunnel = daemon.api.create(backend, name="a demo")
    browser.wait(f"{row(tunnel)} && {at('empty')}.hidden")
    browser.wait(f"{at('news')}.textContent === 'a demo is open.'")
    assert browser.ask(f"{row(tunnel)}.querySelector('a').href") == tunnel.url
    count(browser, tunnel, "requests", "0")
    for _ in range(3):
        assert tunnel.get("/").status == 200
    count(browser, tunnel, "requests", "3")
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/")).status == 200
        count(browser, tunnel, "open", "1")
    count(browser, tunnel, "open", "0")
    shown = f"{row(tunnel)}.querySelector('time').textContent"
    assert browser.ask(shown).startswith(("9:", "10:00")), browser.ask(shown)
    before = browser.ask(shown)
    browser.wait(f"{shown} !== '{before}'")
    assert text(browser, "news") == "a demo is open.", "a second, or a request, is no news"
    daemon.api.expect(200, "PATCH", f"/_api/tunnels/{tunnel.id}", {"timeout": 7200})
    browser.wait(f"{shown}.startsWith('1 h') || {shown}.startsWith('2 h')")
    tunnel.revoke()
    browser.wait(f"!{row(tunnel)} && {at('news')}.textContent === 'a demo was revoked.' && !{at('empty')}.hidden")
    browser.wait(f"{at('log')}.firstElementChild?.textContent.includes('a demo revoked \u2013 deleted (owner)')")
    assert "7200 s from now" in text(browser, "log")
    quiet(browser)


def test_those_that_were_there_before(browser, daemon, backend):
    tunnels = [daemon.api.create(backend, name=f"number {n}") for n in range(3)]
    tunnels[0].get("/")
    sign_in(browser, daemon)
    assert rows(browser) == [tunnel.id for tunnel in reversed(tunnels)], "newest first"
    count(browser, tunnels[0], "requests", "1")


HOSTILE = ["<img src=x onerror=\"document.title='taken'\">", "</bdi><script>document.title='taken'</script>",
           "\u202egnirts desrever\u2066", "{{x}} ${x} &lt;b&gt;", "w" * 128]


def test_hostile_names(browser, daemon, backend):
    sign_in(browser, daemon)
    for name in HOSTILE:
        tunnel = daemon.api.create(backend, name=name)
        browser.wait(listed(tunnel))
        assert browser.ask(f"{row(tunnel)}.querySelector('h3').textContent") == name
        click(browser, f"[data-id={tunnel.id}] [data-act=revoke]")
        assert browser.ask("document.querySelector('#revoke bdi').textContent") == name
        browser.press("Escape")
        browser.wait("!document.querySelector('dialog[open]')")
    browser.wait(f"{at('log')}.textContent.includes({json.dumps(HOSTILE[-1])})")
    assert browser.ask("document.querySelectorAll('img, script:not([src])').length") == 0
    assert browser.ask("document.title") == "tunneld: your tunnels"
    for width in (360, 1440):
        browser.look(width, 800, "light")
        assert browser.ask("document.documentElement.scrollWidth <= innerWidth"), width
    quiet(browser)


# What people do

def created(browser):
    """What is told once, by its heading."""
    browser.wait("document.querySelector('#made').open")
    return dict(browser.ask("[...document.querySelectorAll('#made-body h3')].map("
                            "h => [h.textContent, h.nextSibling.querySelector('code').textContent])"))


def read_code(browser, selector):
    """What a camera reads."""
    box = browser.ask(f"(r => [r.x, r.y, r.width, r.height])(document.querySelector('{selector}').getBoundingClientRect())")
    clip = dict(zip(("x", "y", "width", "height"), box), scale=3)
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(base64.b64decode(browser.call("Page.captureScreenshot", format="png", clip=clip)["data"]))
        file.flush()
        read = subprocess.run(["zbarimg", "-q", "--raw", file.name], capture_output=True, timeout=60).stdout
    return read.decode().strip()


def test_making_one_by_keyboard(browser, daemon, backend):
    browser.look(1440, 1200, "light")
    sign_in(browser, daemon)
    browser.press("Tab")  # from the heading, which has the focus, to the button beside it
    assert browser.ask("document.activeElement.id") == "new"
    browser.press("Enter")
    browser.wait("document.querySelector('#create').open")
    browser.press("Tab")
    assert browser.ask("document.activeElement.id") == "backend"
    browser.type(backend.url())
    browser.press("Tab")
    browser.type("by hand")
    browser.press("Enter")
    told = created(browser)
    link, secret = told["Link to share, with the secret"], told["Secret"]
    daemon.api.secrets.append(secret)
    [id_] = daemon.api.ids()
    made = daemon.api.expect(200, "GET", f"/_api/tunnels/{id_}").json()
    assert link == f"{made['url']}#{secret}" and made["name"] == "by hand", (link, made)
    assert (made["backend"], made["timeout"], made["auth"]) == (backend.url(), 3600, "bearer"), made
    assert read_code(browser, "#made .qr") == link
    browser.press("Escape")
    browser.wait("!document.querySelector('dialog[open]')")
    assert secret not in browser.ask("document.documentElement.outerHTML")
    browser.wait(listed(id_))
    # And as somebody who was sent the link.
    browser.open(link)
    browser.wait(f"location.href === {json.dumps(made['url'])}")
    proc.wait_until(lambda: backend.received, 20, "nobody came")


@pytest.mark.parametrize("auth, told", [("basic", {"Address", "Password, for any user name"}), ("none", {"Address"})])
def test_other_ways_in(browser, daemon, backend, auth, told):
    sign_in(browser, daemon)
    click(browser, "new")
    fill(browser, "backend", backend.url())
    fill(browser, "auth", auth)
    click(browser, "#create form button")
    assert set(shown := created(browser)) == told
    daemon.api.secrets.extend(value for name, value in shown.items() if name != "Address")
    assert daemon.api.list()[0]["auth"] == auth


def test_what_is_wrong_is_said_where_it_is(browser, daemon):
    sign_in(browser, daemon)
    click(browser, "new")
    fill(browser, "backend", "ftp://nowhere")
    fill(browser, "life", "100000")
    click(browser, "#create form button")
    browser.wait("document.querySelectorAll('#create [aria-invalid=true]').length === 2")
    assert browser.ask("document.activeElement.id") == "backend"
    for field in ("backend", "life"):
        said = browser.ask(f"document.getElementById({at(field)}.getAttribute('aria-errormessage')).textContent")
        assert said, field
    assert "86400" in browser.ask("document.querySelector('#life-wrong').textContent")
    fill(browser, "backend", "http://169.254.169.254/")
    fill(browser, "life", "1")
    click(browser, "#create form button")
    browser.wait("document.querySelectorAll('#create [aria-invalid=true]').length === 1")
    assert daemon.api.ids() == set()


def after_posts(browser, what):
    """Has the page do WHAT when a POST has been answered, before it is told."""
    browser.ask("window.fetched ??= window.fetch; window.fetch = async (path, options) => {"
                "const answer = await window.fetched(path, options);"
                f"if (options.method === 'POST') {{ {what} }} return answer }}, true")


def test_an_answer_that_is_lost(browser, daemon, backend):
    """Asking again leads to the same tunnel."""
    sign_in(browser, daemon)
    after_posts(browser, "if (!window.lost) { window.lost = true; throw new TypeError() }")
    click(browser, "new")
    fill(browser, "backend", backend.url())
    click(browser, "#create form button")
    browser.wait("document.querySelector('#create .wrong').textContent.includes('cannot be reached')")
    click(browser, "#create form button")
    daemon.api.secrets.append(created(browser)["Secret"])
    assert len(daemon.api.ids()) == 1


def test_an_answer_that_comes_too_late(browser, daemon, backend):
    """Who has signed out is told no secret."""
    sign_in(browser, daemon)
    after_posts(browser, "await new Promise(go => window.go = go)")
    click(browser, "new")
    fill(browser, "backend", backend.url())
    click(browser, "#create form button")
    browser.wait("window.go !== undefined")
    click(browser, "out")
    browser.ask("setTimeout(() => window.over = true, 100), go(), true")
    browser.wait("window.over")
    assert browser.ask(f"!{at('door')}.hidden && document.querySelector('dialog[open]') === null")
    assert browser.ask(f"{at('made-body')}.childElementCount") == 0


def test_pull_with_the_command_that_is_shown(browser, daemon, backend):
    sign_in(browser, daemon)
    click(browser, "new")
    click(browser, "#create [value=pull]")
    assert browser.ask(f"{at('push')}.hidden && !{at('backend')}.required")
    click(browser, "#create form button")
    told = created(browser)
    secret = told["Secret"]
    daemon.api.secrets.append(secret)
    assert TOKEN not in json.dumps(told)
    [id_] = daemon.api.ids()
    count(browser, id_, "agents", "0")
    [command] = [value for name, value in told.items() if name.startswith("To serve it")]
    program, up, port, *options = command.split()
    assert (program, up, port, options[2]) == ("tunnel", "up", "3000", "--server"), command
    with Up(options[3], backend.port, *options[:2]):
        count(browser, id_, "agents", "1")
        url = daemon.api.list()[0]["url"]
        answer = daemon.get(url.partition(f":{daemon.port}")[2], [("Authorization", f"Bearer {secret}")])
        assert answer.status == 200 and backend.received, answer
        count(browser, id_, "requests", "1")
    count(browser, id_, "agents", "0")


def test_moving_the_end(browser, daemon, backend):
    tunnel = daemon.api.create(backend, timeout=600)
    sign_in(browser, daemon)
    click(browser, f"[data-id={tunnel.id}] [data-act=extend]")
    fill(browser, "more", "48")
    click(browser, "#extend form button")
    browser.wait("document.querySelector('#extend [aria-invalid=true]')?.id === 'more'")
    assert tunnel.show()["timeout"] == 600
    fill(browser, "more", "3")
    click(browser, "#extend form button")
    browser.wait("!document.querySelector('#extend').open")
    browser.wait(f"/^(2 h 59|3 h 00) min/.test({row(tunnel)}.querySelector('time').textContent)")
    assert tunnel.show()["timeout"] == 10800


def test_revoking_is_asked_about(browser, daemon, backend):
    tunnel, other = (daemon.api.create(backend, name=name) for name in ("first", "second"))
    sign_in(browser, daemon)
    button = f"{row(tunnel)}.querySelector('[data-act=revoke]')"
    for leave in ("Enter", "Escape"):  # what has the focus at first is: keep it
        browser.ask(f"{button}.focus()")
        browser.press("Enter")
        browser.wait("document.querySelector('#revoke').open")
        assert browser.ask("document.querySelector('#revoke bdi').textContent") == "first"
        browser.press(leave)
        browser.wait(f"!document.querySelector('#revoke').open && document.activeElement === {button}")
    assert tunnel.state() == "active"
    browser.press("Enter")
    click(browser, "#revoke .danger")
    browser.wait(f"!{row(tunnel)} && !document.querySelector('#revoke').open")
    assert tunnel.state() == "revoked" and other.state() == "active"
    browser.wait("document.activeElement.id === 'tunnels-title'")


def test_copying(browser, daemon, backend):
    tunnel = daemon.api.create(backend)
    sign_in(browser, daemon)
    button = f"[data-id={tunnel.id}] [data-act=copy]"
    said = f"document.querySelector('{button}').textContent"
    # Without leave it is selected, for the person to do the rest.
    browser.ask("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    click(browser, button)
    browser.wait(f"{said} === 'Press Ctrl+C'")
    assert browser.ask("getSelection().toString()") == tunnel.url
    browser.wait(f"{said} === 'Copy address'")
    browser.ask("navigator.clipboard.writeText = async text => { window.copied = text }")
    click(browser, button)
    browser.wait(f"{said} === 'Copied' && window.copied === {json.dumps(tunnel.url)}")


def test_the_code_of_an_address(browser, daemon, backend):
    browser.look(1440, 1000, "dark")
    tunnel = daemon.api.create(backend, auth="bearer")
    sign_in(browser, daemon)
    click(browser, f"[data-id={tunnel.id}] [data-act=code]")
    assert read_code(browser, "#code .qr") == tunnel.url


def test_codes_of_any_length(browser, daemon):
    """Each version, and both widths of its length; what does not fit is said to be too long."""
    browser.look(900, 900, "light")
    door(browser, daemon)
    browser.ask("import('/assets/qr.js').then(qr => window.qr = qr), true")
    browser.wait("window.qr")
    for n in (1, 17, 32, 33, 78, 106, 134, 135, 154, 192, 230, 231, 271, 321, 458, 586, 718, 858):
        words = ("https://tunnels.example/t/" + "abcdefghij-7" * 70)[:n]
        browser.ask(f"document.body.replaceChildren(qr.draw({json.dumps(words)}, 'x')), "
                    "document.querySelector('svg').setAttribute('style', 'width: 800px')")
        assert read_code(browser, "svg") == words, n
    assert browser.ask("qr.draw('x'.repeat(859), 'x')") is None and browser.ask("qr.draw('x'.repeat(859), 'x') === null")


# Evidence

def test_what_runs_here(browser, daemon):
    sign_in(browser, daemon)
    browser.wait(f"{at('facts')}.childElementCount > 0")
    envelope = daemon.api.call("GET", "/_api/attestation", token="").json()
    statement = json.loads(base64.b64decode(envelope["instance"]["statement"]))
    shown = text(browser, "facts")
    for value in (statement["instance_key"], statement["config_sha256"], statement["source"]["tree_sha256"],
                  *(component["sha256"] for component in statement["components"])):
        assert value in shown, value
    assert "Nothing vouches for this server" in text(browser, "vouch")
    tunnel = daemon.api.pull()
    browser.wait(f"{at('verify')}.textContent === 'tunnel verify {tunnel.url}'")


def test_with_a_quote(browser, tmp_path):
    with Guest(tmp_path / "dstack.sock", "current", 0), Controlled(dstack_socket=str(tmp_path / "dstack.sock")) as daemon:
        proc.wait_until(lambda: daemon.api.call("GET", "/_api/attestation", token="").json()["tee"], 20, "there is no quote")
        sign_in(browser, daemon)
        browser.wait(f"{at('vouch')}.textContent.startsWith('This server shows a quote')")
        assert text(browser, "facts").startswith("Statequoted")
        for word in ("verified", "trusted", "secure"):
            assert word not in browser.ask("document.body.innerText"), "that is not for a page to say"


def test_without_evidence(browser):
    with Controlled(attestation="off") as daemon:
        sign_in(browser, daemon)
        browser.wait(f"{at('vouch')}.textContent.includes('gives no evidence')")
        assert browser.ask(f"{at('check')}.hidden && {at('facts')}.childElementCount === 0")


# When the server is not there

class Line(TcpBackend):
    """What is between browser and daemon. `heads` has what was asked, a connection each."""

    def __init__(self, port):
        self._port, self._up, self._ends, self.heads = port, True, [], []
        super().__init__(self._carry)

    def _carry(self, stream):
        self.heads.append(head := stream.sock.recv(1 << 16))
        if not self._up:
            return
        with socket.create_connection(("127.0.0.1", self._port)) as end:
            self._ends.append(end)
            end.sendall(head)
            while piece := end.recv(1 << 16):
                stream.sock.sendall(piece)

    def cut(self):
        self._up = False
        for end in self._ends:
            with contextlib.suppress(OSError):  # it is over
                end.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self._up = True

    def close(self):
        self.cut()
        super().close()


def test_cut_and_mended(browser, daemon, backend):
    """It goes on where it was: nothing is missed, and nothing read again."""
    with Line(daemon.control) as line:
        browser.open(line.url() + "/")
        browser.wait(f"!{at('door')}.hidden")
        enter(browser, TOKEN)
        live(browser)
        first = daemon.api.create(backend, name="first")
        browser.wait(listed(first))
        line.cut()
        browser.wait(f"{at('link')}.textContent.includes('connection is lost')")
        second = daemon.api.create(backend, name="second")
        first.revoke()
        line.mend()
        browser.ask("dispatchEvent(new Event('online')), true")  # then it does not wait
        live(browser)
        browser.wait(f"{listed(second)} && !{row(first)}")
        count(browser, second, "requests", "0")
        [*_, last] = [head for head in line.heads if b"GET /_api/events" in head]
        assert b"\r\nlast-event-id: " in last.lower(), last
        assert len([head for head in line.heads if b"GET /_api/tunnels " in head]) == 1


def test_lost_and_back(browser, backend):
    with Controlled() as daemon:
        kept, ending = daemon.api.create(backend, name="kept"), daemon.api.create(backend, name="ending")
        sign_in(browser, daemon)
        count(browser, kept, "requests", "0")
        daemon.stop()
        browser.wait(f"{at('link')}.textContent.includes('connection is lost')")
        assert browser.ask("document.body.classList.contains('lost')") and len(rows(browser)) == 2
        click(browser, f"[data-id={kept.id}] [data-act=extend]")
        click(browser, "#extend form button")
        browser.wait("document.querySelector('#extend .wrong').textContent.includes('cannot be reached')")
        browser.press("Escape")
        daemon.start()
        proc.wait_until(lambda: kept.get("/").status == 200, 20, "it is not restored")
        ending.revoke()
        live(browser)
        browser.wait(f"!{row(ending)}")
        count(browser, kept, "requests", "1")
        assert not browser.ask("document.body.classList.contains('lost')")
        daemon.die("worker")
        late = proc.wait_until(lambda: made(daemon, backend), 20, "no tunnel is made")
        browser.wait(listed(late))
        quiet(browser)


def made(daemon, backend):
    """A tunnel, or None while the worker is away."""
    try:
        return daemon.api.create(backend, name="late")
    except (OSError, AssertionError):
        return None


def test_a_list_that_cannot_be_read(browser, daemon, backend):
    tunnel = daemon.api.create(backend)
    browser.call("Network.setBlockedURLs", urls=["*/_api/tunnels"])
    door(browser, daemon)
    enter(browser, TOKEN)
    browser.wait(f"!{at('failed')}.hidden && {at('failed-why')}.textContent.includes('could not be read')")
    assert browser.ask(f"{at('loading')}.hidden && {at('empty')}.hidden")
    browser.call("Network.setBlockedURLs", urls=[])
    click(browser, "again")
    browser.wait(f"{at('failed')}.hidden && {listed(tunnel)}")


def test_no_place_for_another_stream(browser, backend):
    """What there is is looked at from time to time, until there is one."""
    with Controlled(max_event_streams="1") as daemon:
        with wire.Client(("127.0.0.1", daemon.control)) as other:
            other.request("GET", "/_api/events", [("Authorization", f"Bearer {TOKEN}")])
            Events(other)
            door(browser, daemon)
            enter(browser, TOKEN)
            browser.wait(f"{at('link')}.textContent.includes('max_event_streams')")
            tunnel = daemon.api.create(backend)
            browser.wait(listed(tunnel))
        live(browser)
        count(browser, tunnel, "requests", "0")


# The page itself

def test_the_policy(browser, daemon):
    sign_in(browser, daemon)
    answer = daemon.api.call("GET", "/", fields=[("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")], token="")
    policy = dict(part.strip().partition(" ")[::2] for part in answer.fields["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
        "require-trusted-types-for": "'script'", "trusted-types": "'none'", "base-uri": "'none'",
        "form-action": "'none'", "frame-ancestors": "'none'"}, policy
    for name, value in {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
                        "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"}.items():
        assert answer.fields[name] == value, name
    browser.ask("window.forbidden = [], addEventListener('securitypolicyviolation', e => forbidden.push(e.effectiveDirective)), true")
    for attempt, directive in {
            "s = document.createElement('script'), s.append('window.ran = 1'), document.body.append(s)": "require-trusted-types-for",
            "s = document.createElement('script'), s.src = 'https://evil.example/', document.body.append(s)": "require-trusted-types-for",
            "i = new Image(), i.src = '/x.png'": "img-src",
            f"fetch('http://127.0.0.1:{daemon.port}/').catch(() => 0)": "connect-src"}.items():
        browser.ask(f"window.forbidden.length = 0, {attempt}, true")
        browser.wait(f"forbidden.includes('{directive}')")
    for sink in ("document.body.innerHTML = '<p>'", "document.write('<p>')", "trustedTypes.createPolicy('x', {})"):
        assert browser.ask(f"(() => {{ try {{ {sink} }} catch (e) {{ return e.name }} }})()") == "TypeError", sink
    assert browser.ask("window.ran") is None


def test_what_is_read_aloud(browser, daemon, backend):
    tunnel = daemon.api.create(backend, name="a demo")
    sign_in(browser, daemon)
    browser.wait(f"{at('facts')}.childElementCount > 0")
    assert {heading["name"] for heading in browser.described("heading")} == {
        "tunneld", "Tunnels", "a demo", "What runs here", "What has happened"}
    buttons = {(b["name"], b["description"]) for b in browser.described("button") if b["description"]}
    assert buttons == {(name, "a demo") for name in ("Copy address", "QR code", "Extend", "Revoke")}
    assert browser.ask(f"{row(tunnel)}.closest('[role=status], [aria-live]') === null"), "no chatter"
    click(browser, f"[data-id={tunnel.id}] [data-act=revoke]")
    [dialog] = browser.described("dialog")
    assert (dialog["name"], dialog.get("modal")) == ("Revoke this tunnel?", True), dialog


PICTURES = os.environ.get("TUNNELD_PICTURES")  # a folder to put them into, to be looked at


@pytest.mark.parametrize("width, height", [(360, 640), (1440, 900)])
def test_what_it_looks_like(browser, daemon, backend, width, height):
    def seen(name):
        for scheme in ("light", "dark"):
            browser.look(width, height, scheme, f"{PICTURES}/dashboard-{name}-{width}-{scheme}.png" if PICTURES else None)
            assert browser.ask("document.documentElement.scrollWidth <= innerWidth"), (name, scheme)
            outside = browser.ask(
                "[...document.querySelectorAll('button, input, select, h2, h3')].filter(e => { const r = e.getBoundingClientRect();"
                "return r.width && (r.left < 0 || r.right > innerWidth) }).map(e => e.outerHTML)")
            assert outside == [], (name, scheme)
            if width == 360:  # what it looks for does not depend on the width
                axe.check(browser, f"{name}, {scheme}")

    door(browser, daemon)
    seen("door")
    enter(browser, WRONG)
    refused(browser, "does not know")
    seen("refused")
    enter(browser, TOKEN)
    live(browser)
    browser.wait(f"!{at('empty')}.hidden && {at('facts')}.childElementCount > 0")
    seen("empty")
    tunnels = [daemon.api.create(backend, name="a demo"), daemon.api.pull(name="from my laptop", auth="bearer")]
    for tunnel in tunnels:
        count(browser, tunnel, "requests", "0")
    seen("list")
    browser.ask("document.body.classList.add('lost')")
    seen("lost")
    for name in ("new", f"[data-id={tunnels[0].id}] [data-act=extend]", f"[data-id={tunnels[0].id}] [data-act=revoke]",
                 f"[data-id={tunnels[0].id}] [data-act=code]"):
        click(browser, name)
        seen(name.partition("act=")[2].rstrip("]") or name)
        browser.press("Escape")
        browser.wait("!document.querySelector('dialog[open]')")
    click(browser, "new")
    click(browser, "#create [value=pull]")
    click(browser, "#create form button")
    daemon.api.secrets.append(created(browser)["Secret"])
    seen("made")
