# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: the owner lends somebody a token for a few tunnels and some time, and that is all they get:
# their own tunnels, to allowed backends, until the token ends.

import contextlib
import signal
import threading
import time

import pytest

from support import proc
from support.api import Api, Refused, Tunnel
from support.backend import HttpBackend
from support.daemon import Daemon

ALLOWED = "127.0.0.1/32"


@pytest.fixture(scope="module")
def daemon():
    with Daemon(backend_allow=ALLOWED) as running:
        yield running


@pytest.fixture
def lend(daemon):
    """lend(**members): the API as the holder of a new token sees it; the tokens end with the test."""
    with contextlib.ExitStack() as stack:
        def make(at=daemon, **members):
            made = at.api.expect(201, "POST", "/_api/tokens", members).json()
            at.api.secrets.append(made["token"])
            holder = Api(at.port, made["token"])
            holder.secrets = at.api.secrets
            holder.id, holder.document = made["id"], made
            stack.callback(holder.close)
            if at is daemon:
                stack.callback(daemon.api.call, "DELETE", f"/_api/tokens/{made['id']}")
            return holder
        yield make


def refusal(api, status, code, method, path, body=None):
    answer = api.expect(status, method, path, body)
    assert answer.json()["code"] == code, answer
    return answer.json()


def cut(tunnel, visitor, seconds=1):
    """The tunnel and what went through it are gone."""
    proc.wait_until(lambda: tunnel.get("/").status == 410, seconds, lambda: tunnel.get("/"))
    with pytest.raises((ConnectionError, AssertionError)):
        visitor.exchange("GET", tunnel.target("/again"))


def open_visitor(tunnel):
    visitor = tunnel.connect()
    assert visitor.exchange("GET", tunnel.target("/")).status == 200
    return visitor


# ---- what it is good for

def test_a_lent_token_makes_tunnels_of_its_own(daemon, lend, backend):
    holder, stranger = lend(name="for the workshop", quota=2), lend()
    tunnel = holder.create(backend)
    assert tunnel.reach("/x")["target"] == "/x"
    assert holder.ids() == {tunnel.id} and stranger.ids() == set()
    assert tunnel.id in daemon.api.ids()
    for other in (stranger,):
        refusal(other, 404, "tunnel_unknown", "GET", f"/_api/tunnels/{tunnel.id}")
        refusal(other, 404, "tunnel_unknown", "DELETE", f"/_api/tunnels/{tunnel.id}")
    assert tunnel.get("/").status == 200
    tunnel.revoke()
    assert tunnel.get("/").status == 410


def test_a_holder_cannot_lend(daemon, lend):
    holder = lend()
    for method, path in [("POST", "/_api/tokens"), ("GET", "/_api/tokens"),
                         ("GET", f"/_api/tokens/{holder.id}"), ("DELETE", f"/_api/tokens/{holder.id}")]:
        refusal(holder, 403, "token_scope", method, path, {} if method == "POST" else None)
    found = daemon.api.expect(200, "GET", "/_api/tokens").json()
    assert [token["id"] for token in found] == [holder.id]
    assert "token" not in found[0]


def test_a_secret_is_no_token(lend, backend):
    holder = lend()
    tunnel = holder.create(backend, auth="bearer")
    for wrong in (tunnel.secret, holder.id, "owner", ""):
        assert holder.call("GET", "/_api/tunnels", token=wrong or "x").status == 401
    assert tunnel.ask("GET", "/", [("Authorization", f"Bearer {holder.token}")]).status == 401


# ---- where its tunnels may lead

@pytest.mark.parametrize("host", ["127.0.0.2", "127.1", "0x7f000002", "[::1]", "[::ffff:127.0.0.2]",
                                  "10.0.0.1", "192.0.2.1"])
def test_only_allowed_backends(lend, host):
    holder = lend()
    answer = holder.call("POST", "/_api/tunnels", {"backend": f"http://{host}:9", "auth": "none"})
    assert answer.status == 422, answer
    assert holder.ids() == set()


def test_the_owner_may_reach_more(daemon, lend):
    with HttpBackend(host="127.0.0.2") as elsewhere:
        tunnel = daemon.api.create(elsewhere)
        assert tunnel.get("/").status == 200
        found = refusal(lend(), 422, "backend_forbidden", "POST", "/_api/tunnels",
                        {"backend": elsewhere.url()})
        assert "backend_allow" in found["detail"]
        tunnel.revoke()


def test_without_backend_allow_there_are_no_tunnels(own_daemon, lend, backend):
    holder = lend(own_daemon)
    refusal(holder, 422, "backend_forbidden", "POST", "/_api/tunnels", {"backend": backend.url()})
    assert own_daemon.api.create(backend).get("/").status == 200


def test_the_list_counts_again_after_a_restart(own_daemon, lend, backend):
    """A tunnel that comes back is still one of a lent token."""
    own_daemon.options["backend_allow"] = ALLOWED
    own_daemon.restart()
    holder = lend(own_daemon)
    tunnel, owners = holder.create(backend), own_daemon.api.create(backend)
    own_daemon.restart()
    proc.wait_until(lambda: tunnel.get("/").status == 200, 3, lambda: tunnel.get("/"))
    assert holder.ids() == {tunnel.id}
    del own_daemon.options["backend_allow"]
    own_daemon.restart()
    proc.wait_until(lambda: owners.get("/").status == 200, 3, lambda: owners.get("/"))
    proc.wait_until(lambda: tunnel.state() == "failed", 3, tunnel.show)
    refusal(holder, 422, "backend_forbidden", "POST", "/_api/tunnels", {"backend": backend.url()})


# ---- how many, how long

def test_the_quota(lend, backend):
    holder = lend(quota=2)
    first = holder.create(backend)
    holder.create(backend)
    found = refusal(holder, 429, "quota_reached", "POST", "/_api/tunnels", {"backend": backend.url()})
    assert "the quota of this token" in found["detail"]
    first.revoke()
    holder.create(backend)


def test_two_tokens_race_for_the_last_place(lend, backend):
    """However they come, there are never more than allowed, and no place is lost."""
    with Daemon(max_tunnels="3", backend_allow=ALLOWED) as daemon:
        holders = [lend(daemon, quota=3), lend(daemon, quota=3)]
        for _ in range(4):
            answers = []

            def ask(holder):
                api = Api(daemon.port, holder.token)
                answers.append(api.call("POST", "/_api/tunnels", {"backend": backend.url()}))
                api.close()

            threads = [threading.Thread(target=ask, args=(holder,)) for holder in holders * 4]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(answer.status for answer in answers) == [201] * 3 + [429] * 5, answers
            made = [answer.json() for answer in answers if answer.status == 201]
            daemon.api.secrets += [document["secret"] for document in made]
            assert {document["id"] for document in made} == daemon.api.ids()
            for document in made:
                Tunnel(daemon.api, document).revoke()


def test_deleting_a_token_cuts_what_it_has_made(daemon, lend, backend):
    holder, other = lend(), lend()
    tunnels, kept = [holder.create(backend) for _ in range(3)], other.create(backend)
    visitors = [open_visitor(tunnel) for tunnel in tunnels]
    daemon.api.expect(200, "DELETE", f"/_api/tokens/{holder.id}")
    for tunnel, visitor in zip(tunnels, visitors):
        assert tunnel.get("/").status == 410, "answered once it is over"
        cut(tunnel, visitor)
        assert daemon.api.expect(200, "GET", f"/_api/tunnels/{tunnel.id}").json()["state"] == "revoked"
    refusal(holder, 401, "token_invalid", "GET", "/_api/tunnels")
    refusal(daemon.api, 404, "not_found", "DELETE", f"/_api/tokens/{holder.id}")
    assert kept.get("/").status == 200


def test_a_token_and_its_tunnels_end_by_themselves(daemon, lend, backend):
    holder = lend(life=2)
    begun = time.time()
    tunnel = holder.create(backend, timeout=1)
    with pytest.raises(Refused, match="the token ends then"):
        holder.create(backend, timeout=60)
    answer = holder.expect(201, "POST", "/_api/tunnels", {"backend": backend.url(), "auth": "none"})
    longest = Tunnel(holder, answer.json())
    assert longest.document["expires_at"] <= holder.document["expires_at"]
    visitor = open_visitor(longest)
    proc.wait_until(lambda: holder.call("GET", "/_api/tunnels").status == 401, 4, holder.list)
    assert 1.9 <= time.time() - begun <= 4
    cut(longest, visitor)
    for over in (tunnel, longest):
        state = daemon.api.expect(200, "GET", f"/_api/tunnels/{over.id}").json()["state"]
        assert state in ("expired", "revoked"), state


def test_the_end_does_not_need_the_worker(daemon, lend, backend):
    """Its tunnels end in time by the supervisor's own clock."""
    holder = lend(life=2)
    answer = holder.expect(201, "POST", "/_api/tunnels", {"backend": backend.url(), "auth": "none"})
    tunnel = Tunnel(holder, answer.json())
    visitor = open_visitor(tunnel)
    worker, relays = daemon.worker(), daemon.relays()
    worker.signal(signal.SIGSTOP)
    try:
        proc.wait_until(lambda: len(daemon.relays()) < len(relays), 4, daemon.relays)
        with pytest.raises((ConnectionError, AssertionError)):
            visitor.exchange("GET", tunnel.target("/again"))
    finally:
        worker.signal(signal.SIGCONT)


# ---- through deaths and restarts

def test_a_token_outlives_the_worker_and_the_daemon(own_daemon, lend, backend):
    own_daemon.options["backend_allow"] = ALLOWED
    own_daemon.restart()
    holder = lend(own_daemon, quota=1, name="lent")
    tunnel = holder.create(backend)
    for end in ("worker", "restart", "kill"):
        own_daemon.die(end)
        proc.wait_until(lambda: own_daemon.ready() and tunnel.get("/").status == 200, 5, own_daemon.log)
        assert holder.ids() == {tunnel.id}
        refusal(holder, 429, "quota_reached", "POST", "/_api/tunnels", {"backend": backend.url()})
        shown = own_daemon.api.expect(200, "GET", f"/_api/tokens/{holder.id}").json()
        assert (shown["name"], shown["tunnels"]) == ("lent", 1)


def test_a_revocation_is_not_lost_with_the_daemon(own_daemon, lend, backend):
    """kill -9 right behind the DELETE, answered or not: neither token nor tunnel come back."""
    own_daemon.options["backend_allow"] = ALLOWED
    own_daemon.restart()
    holder = lend(own_daemon)
    tunnel = holder.create(backend)
    own_daemon.api.expect(200, "DELETE", f"/_api/tokens/{holder.id}")
    own_daemon.expect_gone(own_daemon.kill())
    own_daemon.start()
    refusal(holder, 401, "token_invalid", "GET", "/_api/tunnels")
    assert tunnel.get("/").status == 410
    assert own_daemon.api.ids() == set()


# ---- hostile input

def test_hostile_tokens(daemon, lend):
    holder = lend()
    for wrong in ("' OR 1=1 --", "%00", "k-" + "a" * 26, "a" * 8000, "\xff\xfe", "0" * 64, "Bearer x",
                  holder.token[:20] + "\t" + holder.token[20:], "{}", holder.token[:-1] + "="):
        with daemon.connect() as client:
            answer = client.exchange("GET", "/_api/tunnels", [("Authorization", f"Bearer {wrong}")])
            assert answer.status in (400, 401, 431), (wrong, answer)
    refusal(daemon.api, 422, "invalid", "POST", "/_api/tokens", {"quota": 2**53, "life": 2**53})
    for path in ("/_api/tokens/../tunnels", "/_api/tokens/%6b", "/_api/tokens/" + "k" * 7000):
        with daemon.connect() as client:
            fields = [("Authorization", f"Bearer {daemon.api.token}")]
            assert client.exchange("DELETE", path, fields).status in (400, 404), path
    assert holder.ids() == set()
