# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: where the operator wants it, a person who opens a tunnel is told once what that is; programs,
# frames, scripts and upgrades pass, and so does whoever has been told.

import pytest

from support import websocket
from support import wire
from support.daemon import Daemon
from test_origins import served
from test_pages import ABUSE, page

pytestmark = pytest.mark.usefixtures("mode")

PERSON = [("Accept", "text/html,application/xhtml+xml"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")]
TITLE = "You are about to enter a tunnel"


@pytest.fixture(scope="module")
def daemon():
    with Daemon(interstitial="yes", abuse_contact=ABUSE) as running:
        yield running


def noticed(answer):
    return b"<h1>" + TITLE.encode() in answer.body


def enter(tunnel, fields=PERSON, id_=None):
    with wire.Client(tunnel.address) as visitor:
        return visitor.exchange("POST", f"/_t/{id_ or tunnel.id}/enter", fields, b"")


def test_a_person_is_told_and_goes_on(api, backend):
    tunnel = api.create(backend)
    answer = tunnel.get("/some/page?x=1", PERSON)
    assert (answer.status, answer.fields.get("Content-Type")) == (200, "text/html; charset=utf-8"), answer
    assert noticed(answer) and backend.received == []
    assert answer.fields.get("Cache-Control") == "no-store" and "Tunnel-Error" not in answer.fields
    policy = answer.fields.get("Content-Security-Policy")
    assert "form-action 'self'" in policy and "script-src" not in policy, policy
    assert f'action="/_t/{tunnel.id}/enter"' in answer.text() and ABUSE in answer.text()
    answer = enter(tunnel, [*PERSON, ("Referer", tunnel.url + "some/page?x=1"), ("Sec-Fetch-Site", "same-origin")])
    assert (answer.status, answer.fields.get("Location")) == (303, f"/t/{tunnel.id}/some/page?x=1"), answer
    pairs = {field.partition(";")[0] for field in answer.fields.all("Set-Cookie")}
    assert pairs == {f"tunneld_seen_{tunnel.id}=1"}
    for field in answer.fields.all("Set-Cookie"):
        assert "; HttpOnly; SameSite=Lax" in field, field
    echo = tunnel.reach("/some/page", [*PERSON, ("Cookie", f"a=b; tunneld_seen_{tunnel.id}=1")])
    assert ["Cookie", "a=b"] in echo["fields"], "ours stays with us"


@pytest.mark.parametrize("fields", [
    [], [("Accept", "*/*")], [("Accept", "text/html"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
    [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
    [("Accept", "image/png"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")]])
def test_nobody_else_is(api, backend, fields):
    answer = api.create(backend).get("/", fields)
    assert answer.status == 200 and not noticed(answer), answer


def test_other_methods_and_upgrades_pass(api, backend):
    tunnel = api.create(backend)
    assert not noticed(tunnel.ask("POST", "/", PERSON, b"x=1"))
    assert len(backend.received) == 1
    stream = websocket.connect(tunnel, "/ws/echo")
    stream.stream.close()


@pytest.mark.parametrize("cookie", [
    "tunneld_seen_{other}=1", "tunneld_seen_{id}=", "tunneld_seen_{id}=11", "tunneld_seen_{id}", "xtunneld_seen_{id}=1"])
def test_what_does_not_say_so(api, backend, cookie):
    tunnel, other = api.create(backend), api.create(backend)
    value = cookie.format(id=tunnel.id, other=other.id)
    assert noticed(tunnel.get("/", [*PERSON, ("Cookie", value)])), value
    assert backend.received == []


def test_it_uses_up_nothing(api, backend):
    tunnel = api.create(backend, limits={"requests": 1})
    for _ in range(5):
        assert noticed(tunnel.get("/", PERSON))
    assert tunnel.get("/", [*PERSON, ("Cookie", f"tunneld_seen_{tunnel.id}=1")]).status == 200


def test_who_is_not_let_in_is_asked_first(api, backend):
    tunnel = api.create(backend, auth="bearer")
    answer = tunnel.get("/", PERSON)
    assert answer.status == 401 and not noticed(answer)
    assert noticed(tunnel.get("/", [*PERSON, *tunnel.bearer()]))
    basic = api.create(backend, auth="basic")
    assert basic.get("/", PERSON).status == 401
    assert noticed(basic.get("/", [*PERSON, *basic.basic()]))


def test_posts_of_other_sites(api, backend):
    tunnel = api.create(backend)
    for foreign in (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "http://elsewhere.example")):
        answer = enter(tunnel, [*PERSON, foreign])
        assert noticed(answer) and "Set-Cookie" not in answer.fields, answer
        answer = enter(tunnel, [foreign])
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (400, "bad_request"), answer
    answer = enter(tunnel, [*PERSON, ("Referer", "http://elsewhere.example/x")])
    assert answer.fields.get("Location") == f"/t/{tunnel.id}/"


def test_tunnels_that_are_not_there(api, backend):
    tunnel = api.create(backend)
    assert enter(tunnel, id_="t-" + 26 * "a").status == 404
    tunnel.revoke()
    assert enter(tunnel).status == 410


@pytest.mark.ways("push")
def test_on_an_origin_of_its_own(backend):
    with served(interstitial="yes") as daemon:
        tunnel = daemon.api.create(backend)
        assert tunnel.prefix == "" and noticed(tunnel.get("/deep", PERSON))
        answer = enter(tunnel, [*PERSON, ("Referer", tunnel.url + "deep")])
        assert answer.fields.get("Location") == "/deep"
        [field] = answer.fields.all("Set-Cookie")
        assert field.startswith(f"tunneld_seen_{tunnel.id}=1; Path=/;"), field


@pytest.mark.ways("push")
def test_not_unless_the_operator_wants_it(backend):
    with Daemon() as daemon:
        tunnel = daemon.api.create(backend)
        assert not noticed(tunnel.get("/", PERSON)) and len(backend.received) == 1
