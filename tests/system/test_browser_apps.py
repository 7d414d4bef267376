# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: applications that people have work in a browser as they are, by a share link, whichever way the
# tunnel goes: below /t/<id>/, on a port of its own, and below /t/<id>/ by way of `tunnel up`. All of their
# WebSockets go through the tunnel.

import json

import pytest

from support import agents
from support.apps import Jupyter, Vite, Vnc
from support.browser import Browser
from support.up import Up
from test_origins import served

WAYS = {"path": ("push", "path"), "port": ("push", "port"), "agent": ("tunnel", "path")}


@pytest.fixture(scope="module")
def daemon():
    with served(8) as running:  # a port rests for a while behind its tunnel
        yield running


@pytest.fixture(params=WAYS)
def way(request):
    agents.mode, origin = WAYS[request.param]
    yield origin
    agents.mode = "push"


@pytest.fixture
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture
def share(daemon, way):
    """Makes a tunnel to an application that asks visitors for its secret."""
    made = []

    def share(app, **members):
        made.append(daemon.api.create(app, auth="bearer", origin=way, **members))
        return made[-1]
    yield share
    for tunnel in made:
        tunnel.revoke()


def by_tunnel(browser, tunnel, least=1):
    """Whether that is where all WebSockets of the page went."""
    here = "ws://%s:%d/" % tunnel.address
    assert len(browser.sockets) >= least and all(url.startswith(here) for url in browser.sockets), browser.sockets


# Vite


@pytest.fixture(scope="module")
def vite():
    with Vite() as running:
        yield running


def test_vite_changes_what_has_changed(vite, share, browser):
    """A change of the source arrives by hot reload: the page stays the one it was."""
    vite.say("first")
    tunnel = share(vite)
    browser.open(tunnel.document["share_url"])
    said = "document.getElementById('said')?.innerText"
    browser.wait(f"{said} === 'first' && location.href === {json.dumps(tunnel.url)}")
    browser.wait("getComputedStyle(document.getElementById('said')).color === 'rgb(1, 2, 3)'")
    browser.connected()
    browser.ask("window.mark = 'the same page'")
    vite.say("second")
    browser.wait(f"{said} === 'second'")
    assert browser.ask("window.mark") == "the same page"
    by_tunnel(browser, tunnel)


# Jupyter


CELL = "print('it is', 6 * 7)"
RUN = f"""(() => {{ const cell = Jupyter.notebook.get_cell(0); cell.set_text({json.dumps(CELL)}); cell.execute(); }})()"""


def run_a_cell(browser, tunnel, query=""):
    """Makes a notebook as a person does, by the menu's address, and runs a cell in it."""
    url, _, secret = tunnel.document["share_url"].partition("#")
    browser.open(f"{url}tree{query}#{secret}")
    browser.wait("document.getElementById('new-buttons') !== null && window.Jupyter?.notebook_list")
    made = browser.ask("""fetch(document.body.dataset.baseUrl + 'api/contents', {method: 'POST', body: '{"type": "notebook"}',
        headers: {'X-XSRFToken': document.cookie.match('_xsrf=([^;]*)')[1]}}).then(r => r.json())
        .then(made => window.made = made.path, error => window.made = String(error))""")
    name = browser.wait("window.made")
    assert name.endswith(".ipynb"), name
    browser.open(f"{url}notebooks/{name}")
    browser.wait("window.Jupyter?.notebook?.kernel?.is_connected()")
    browser.ask(RUN)
    assert browser.wait("document.querySelector('.output_stdout')?.innerText").strip() == "it is 42"
    by_tunnel(browser, tunnel)


@pytest.fixture(scope="module")
def open_jupyter():
    with Jupyter() as running:
        yield running


def test_jupyter_runs_a_cell(open_jupyter, share, browser):
    run_a_cell(browser, share(open_jupyter))


TOKEN = "token-of-the-notebook"


@pytest.mark.parametrize("way", ["port"], indirect=True)
def test_jupyter_asks_for_its_token(daemon, share, browser):
    with Jupyter(TOKEN) as jupyter:
        run_a_cell(browser, share(jupyter), f"?token={TOKEN}")
        with Up(f"http://127.0.0.1:{daemon.port}", jupyter.port, "--origin", "path") as up:
            up.expect("Jupyter has to know its path: --ServerApp.base_url=/t/t-")


@pytest.mark.parametrize("way", ["agent"], indirect=True)
def test_jupyter_is_told_its_path(share, browser):
    """As `tunnel up` advises: below a path its WebSockets would come without its login else."""
    jupyter = Jupyter(TOKEN)
    tunnel = share(jupyter, prefix="keep")
    jupyter.base = tunnel.prefix
    with jupyter:
        run_a_cell(browser, tunnel, f"?token={TOKEN}")


# noVNC


@pytest.fixture(scope="module")
def vnc():
    with Vnc() as running:
        yield running


SEEN = """(() => {
    const canvas = document.querySelector('canvas');
    if (!canvas?.width) return '';
    const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    for (let i = 0; i < bytes.length; i += 4) bytes[i + 3] && colours.add(bytes[i]);
    return colours.has(0) && colours.has(255) && canvas.width + 'x' + canvas.height;
})()"""


def test_novnc_shows_the_screen(vnc, share, browser):
    """The black and white pattern of an X server's root window."""
    tunnel = share(vnc)
    url, _, secret = tunnel.document["share_url"].partition("#")
    browser.open(f"{url}vnc.html?autoconnect=1#{secret}")
    assert browser.wait(SEEN) == "%dx%d" % vnc.SIZE
    by_tunnel(browser, tunnel)
