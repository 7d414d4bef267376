# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Story: somebody from support needs a short look at an internal panel, in a browser that knows no
# tokens. The tunnel asks for a password and has a budget: after so many requests it is gone by itself.

import json
import re
import subprocess

import pytest

from support import proc
from support.program import Program

pytestmark = pytest.mark.usefixtures("mode")

BUDGET = 8


@pytest.fixture(scope="module")
def panel(tmp_path_factory):
    """The panel is a folder of pages, served as one does in a hurry."""
    folder = tmp_path_factory.mktemp("panel")
    (folder / "index.html").write_text("<title>Panel</title><link rel=stylesheet href=style.css>")
    (folder / "style.css").write_text("body { color: black }")
    (folder / "numbers.json").write_text('{"orders": 17}')
    (folder / "big.bin").write_bytes(bytes(range(256)) * 40_000)
    with Program("-m", "http.server", "{port}", "--bind", "127.0.0.1", folder=folder) as running:
        yield running


@pytest.fixture
def tunnel(api, panel):
    made = api.create(panel, auth="basic", limits={"requests": BUDGET})
    yield made
    api.call("DELETE", f"/_api/tunnels/{made.id}")


class Seen:
    def __init__(self, output):
        head, _, self.body = output.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])
        self.head = head.decode()

    def field(self, name):
        found = re.search(rf"^{name}: (.*?)\r?$", self.head, re.MULTILINE | re.IGNORECASE)
        return found and found.group(1)


def look(tunnel, path="", password=None, *arguments):
    """As a browser would ask, by curl."""
    who = ["-u", f"support:{password}"] if password else []
    done = subprocess.run(["curl", "-sS", "-i", *who, "-H", "Accept: text/html,*/*", *arguments, tunnel.url + path],
                          capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return Seen(done.stdout)


def reached(panel):
    """Requests the panel has seen."""
    return panel.log().count('"GET ')


def test_the_browser_asks_for_a_password_and_then_shows_the_panel(tunnel, panel):
    before = reached(panel)
    asked = look(tunnel)
    assert asked.status == 401 and asked.field("WWW-Authenticate").startswith("Basic realm="), asked.head
    assert "UTF-8" in asked.field("WWW-Authenticate"), asked.head
    wrong = look(tunnel, "", "guess")
    assert (wrong.status, wrong.field("Tunnel-Error")) == (401, "auth_failed"), wrong.head
    assert reached(panel) == before, "the panel heard of somebody without the password"
    shown = look(tunnel, "", tunnel.secret)
    assert shown.status == 200 and b"<title>Panel</title>" in shown.body, shown.head
    assert look(tunnel, "style.css", tunnel.secret).field("Content-Type") == "text/css"


def test_any_user_name_will_do_and_curl_asks_like_a_browser(tunnel):
    done = subprocess.run(["curl", "-sS", "--anyauth", "-u", f"whoever:{tunnel.secret}", tunnel.url + "numbers.json"],
                          capture_output=True, timeout=20, check=True)
    assert json.loads(done.stdout) == {"orders": 17}


def test_the_password_is_not_the_panels_to_know(api, backend):
    tunnel = api.create(backend, auth="basic")
    answer = tunnel.get("/", tunnel.basic())
    assert answer.status == 200
    assert tunnel.secret not in repr(backend.last().fields) and "Authorization" not in backend.last().fields


def test_after_its_budget_the_panel_is_gone(tunnel, panel):
    before = reached(panel)
    for _ in range(3):
        assert look(tunnel, "", "guess").status == 401, "a guess must not cost the budget"
    for _ in range(BUDGET - 1):
        assert look(tunnel, "numbers.json", tunnel.secret).status == 200
    last = look(tunnel, "big.bin", tunnel.secret)
    assert (last.status, len(last.body)) == (200, 256 * 40_000), "the last request is served in full"
    proc.wait_until(lambda: tunnel.state() == "exhausted", 5, tunnel.show)
    gone = look(tunnel, "numbers.json", tunnel.secret)
    assert gone.status == 410 and b"<h1>This tunnel is over</h1>" in gone.body, gone.head
    assert reached(panel) == before + BUDGET
    assert tunnel.show()["counters"]["requests"] == BUDGET


def test_everybody_shares_the_budget(tunnel, panel):
    """Many at once get as many answers as there are in it, and not one more."""
    before = reached(panel)
    visitors = [tunnel.connect() for _ in range(3 * BUDGET)]
    for visitor in visitors:
        try:
            visitor.request("GET", tunnel.target("/numbers.json"), tunnel.basic())
        except ConnectionError:
            pass
    served = 0
    for visitor in visitors:
        with visitor:
            try:
                served += visitor.answer().status == 200
            except (ConnectionError, TimeoutError):
                pass
    proc.wait_until(lambda: tunnel.state() == "exhausted", 5, tunnel.show)
    assert (served, reached(panel) - before) == (BUDGET, BUDGET)
