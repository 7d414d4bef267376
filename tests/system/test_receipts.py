# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: at the end of a tunnel there is a signed receipt of what it was, for its owner and for those who
# knew its secret, whatever happens around the end.

import contextlib
import os
import signal
import sqlite3
import time

import pytest

from support import proc
from support.daemon import Daemon
from support.evidence import Evidence


def target(tunnel):
    return f"/_api/tunnels/{tunnel.id}/receipt"


def receipt(api, tunnel, **how):
    made = Evidence(api.expect(200, "GET", target(tunnel), **how).json())
    assert made.type == "tunneld-receipt/1" and made.said["tunnel"]["id"] == tunnel.id
    return made


def over(tunnel):
    return proc.wait_until(lambda: (state := tunnel.state()) not in ("starting", "active") and state, 20, "still there")


def test_revoked(api, backend):
    tunnel = api.create(backend, auth="bearer")
    tunnel.ask("GET", "/", tunnel.bearer())
    tunnel.revoke()
    said = receipt(api, tunnel).said
    assert (said["reason"], said["counters"]["requests"]) == ("revoked", 1)
    assert said["tunnel"]["backend"] == tunnel.show()["backend"]


def test_expired(api, backend):
    tunnel = api.create(backend, timeout=1)
    assert over(tunnel) == "expired"
    assert receipt(api, tunnel).said["reason"] == "expired"


def test_exhausted(api, backend):
    tunnel = api.create(backend, limits={"requests": 2})
    for _ in range(2):
        tunnel.get()
    assert over(tunnel) == "exhausted"
    said = receipt(api, tunnel).said
    assert (said["reason"], said["counters"]["requests"], said["tunnel"]["max_requests"]) == ("exhausted", 2, 2)


def test_failed(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    while tunnel.state() == "active":
        for child in own_daemon.children("tunneld-relay"):
            try:
                os.kill(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    assert over(tunnel) == "failed"
    assert receipt(own_daemon.api, tunnel).said["reason"] == "failed"


# Who may see it.


def test_for_those_who_know_the_secret(api, backend):
    tunnel = api.create(backend, auth="bearer")
    tunnel.revoke()
    owner = receipt(api, tunnel).document
    for fields in (tunnel.bearer(), [("X-Tunnel-Authorization", f"Bearer {tunnel.secret}")], tunnel.basic()):
        assert receipt(api, tunnel, token="", fields=fields).document == owner
    assert api.call("GET", target(tunnel), token="").json()["code"] == "auth_required"
    for wrong in ("x" * 52, api.create(backend, auth="bearer").secret):
        answer = api.call("GET", target(tunnel), token=wrong)
        assert (answer.status, answer.json()["code"]) == (401, "auth_failed"), answer


def test_for_the_token_it_was_made_with(backend):
    with Daemon(backend_allow="127.0.0.0/8") as daemon:
        tokens = [daemon.api.expect(201, "POST", "/_api/tokens", {"quota": 3, "life": 600}).json() for _ in range(2)]
        mine, other = (token["token"] for token in tokens)
        made = daemon.api.expect(201, "POST", "/_api/tunnels", {"backend": backend.url(), "auth": "none"}, token=mine).json()
        path = f"/_api/tunnels/{made['id']}"
        daemon.api.expect(200, "DELETE", path, token=mine)
        assert daemon.api.call("GET", path + "/receipt", token=mine).status == 200
        assert daemon.api.call("GET", path + "/receipt").status == 200
        assert daemon.api.call("GET", path + "/receipt", token=other).status == 401


def test_wrong_secrets_are_counted(backend):
    with Daemon(failure_rate="3") as daemon:
        tunnel = daemon.api.create(backend, auth="bearer")
        tunnel.revoke()
        statuses = [daemon.api.call("GET", target(tunnel), token=f"wrong-secret-{n}").status for n in range(5)]
        assert statuses == [401, 401, 401, 429, 429]
        assert receipt(daemon.api, tunnel, token=tunnel.secret)


def test_not_before_the_end(api, tunnel):
    answer = api.call("GET", target(tunnel))
    assert (answer.status, answer.json()["code"]) == (409, "conflict"), answer


def test_unknown(api):
    answer = api.call("GET", f"/_api/tunnels/t-{'a' * 26}/receipt")
    assert (answer.status, answer.json()["code"]) == (404, "tunnel_unknown"), answer


def test_forgotten_with_its_tunnel(backend):
    with Daemon(retention="0s") as daemon:
        tunnel = daemon.api.create(backend, timeout=1)
        over_or_gone = lambda: daemon.api.call("GET", target(tunnel)).status  # noqa: E731
        proc.wait_until(lambda: over_or_gone() != 409, 10, "still active")
        daemon.restart()  # looks for what can be forgotten
        proc.wait_until(lambda: over_or_gone() == 404, 15, "not forgotten")
        daemon.stop()
        with contextlib.closing(sqlite3.connect(daemon.folder / "state" / "api" / "tunneld.db")) as database:
            for table in ("receipts", "certificates"):
                assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        daemon.start()


# What happens around the end.


def test_the_api_worker_is_killed_around_the_end(own_daemon, backend):
    api = own_daemon.api
    tunnels = [api.create(backend, timeout=3) for _ in range(10)]
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for child in own_daemon.children("tunneld-api"):
            try:
                os.kill(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.3)
    proc.wait_until(own_daemon.ready, 10, "not ready")
    for tunnel in tunnels:
        assert over(tunnel) == "expired"
        assert receipt(api, tunnel).said["reason"] == "expired"


def test_the_attestor_is_killed_around_the_end(own_daemon, backend):
    api = own_daemon.api
    tunnels = [api.create(backend, timeout=3) for _ in range(5)]
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for child in own_daemon.children("tunneld-attest"):
            try:
                os.kill(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.5)
    for tunnel in tunnels:  # signed by a successor, which has a key of its own
        assert over(tunnel) == "expired"
        document = api.expect(200, "GET", target(tunnel)).json()
        if document["instance"] is not None:
            Evidence(document)


def test_both_are_replaced_before_it_is_stored(own_daemon, backend):
    api = own_daemon.api
    tunnel = api.create(backend, timeout=2)
    worker, attestor = own_daemon.children("tunneld-api")[0], own_daemon.children("tunneld-attest")[0]
    os.kill(worker.pid, signal.SIGSTOP)
    proc.wait_until(lambda: not own_daemon.children("tunneld-relay"), 20, "still there")
    os.kill(attestor.pid, signal.SIGKILL)
    proc.wait_until(lambda: (now := own_daemon.children("tunneld-attest")) and now[0].pid != attestor.pid, 20, "no attestor")
    os.kill(worker.pid, signal.SIGKILL)
    proc.wait_until(own_daemon.ready, 20, "not ready")
    assert over(tunnel) == "expired"
    assert receipt(api, tunnel).instance["instance_key"]


def test_it_outlives_the_daemon(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    tunnel.revoke()
    before = receipt(own_daemon.api, tunnel)
    key = before.instance["instance_key"]
    own_daemon.restart()
    after = receipt(own_daemon.api, tunnel)
    assert after.document == before.document
    now = proc.wait_until(lambda: (answer := own_daemon.api.call("GET", "/_api/attestation")).status == 200 and answer, 10,
                          "no evidence")
    assert Evidence(now.json()).instance["instance_key"] != key


def test_a_tunnel_that_was_restored(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    own_daemon.restart()
    proc.wait_until(lambda: tunnel.get().status == 200, 10, "not restored")
    tunnel.revoke()
    assert receipt(own_daemon.api, tunnel).said["reason"] == "revoked"
