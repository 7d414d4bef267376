# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: PATCH moves the end of a tunnel, and whoever it races with, its answer is true: after a 200
# the tunnel lives until its new end and is cut then, after a 410 it is dead.

import datetime
import http.client
import signal
import threading
import time

import pytest

from support import proc
from support.cut import Watched
from support.daemon import Daemon
from test_restore import edit_boot_id, served

TOLERANCE = 0.100


def patch(api, tunnel, timeout, **how):
    return api.call("PATCH", f"/_api/tunnels/{tunnel.id}", {"timeout": timeout}, **how)


def moved(tunnel, timeout):
    """The tunnel as PATCH answers it; the moments between which its end lies."""
    before = time.monotonic()
    answer = tunnel.api.expect(200, "PATCH", f"/_api/tunnels/{tunnel.id}", {"timeout": timeout})
    return answer.json(), before + timeout, time.monotonic() + timeout


def seconds_left(document):
    text = document["expires_at"]
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - time.time()


def open_visitor(tunnel):
    visitor = tunnel.connect()
    assert visitor.exchange("GET", tunnel.target("/")).status == 200
    return Watched(tunnel.id, visitor)


def check_cut(watched, earliest, latest, report=None):
    """It is reset in that time; what this process itself is woken late by is not held against it."""
    late = 0
    limit = latest + 5
    while not watched.how and (now := time.monotonic()) < limit:
        time.sleep(0.002)
        late = max(late, time.monotonic() - now - 0.002)
    watched.stream.close()
    assert watched.how == "reset", watched
    assert earliest <= watched.end <= latest + TOLERANCE + late, (
        f"{watched.end - earliest:+.3f} s after the earliest end, {watched.end - latest:+.3f} s "
        f"after the latest; this process was woken up to {late:.3f} s late")
    if report:
        report(f"cut at most {1000 * (watched.end - earliest):.1f} ms after the new end")


def works(tunnel):
    """Whether it serves; one who meets a dying relay may be cut."""
    try:
        return tunnel.get("/").status == 200
    except ConnectionError:
        return False


# ---- one at a time

def test_later_and_sooner(api, backend, report):
    tunnel = api.create(backend, timeout=2)
    visitor = open_visitor(tunnel)
    document, _, _ = moved(tunnel, 600)
    assert document["timeout"] == 600 and 598 < seconds_left(document) < 601.5
    assert "secret" not in document and document["state"] == "active"
    assert {**document, "counters": 0} == {**tunnel.show(), "counters": 0}
    assert [entry for entry in api.list() if entry["id"] == tunnel.id] == [document]
    time.sleep(2.3)
    assert visitor.how is None and tunnel.get("/").status == 200, "the old end has passed"
    _, earliest, latest = moved(tunnel, 1)
    check_cut(visitor, earliest, latest, report)
    proc.wait_until(lambda: tunnel.get("/").status == 410, 2, tunnel.show)
    proc.wait_until(lambda: tunnel.state() == "expired", 2, tunnel.show)
    assert patch(api, tunnel, 60).status == 410


def test_the_longest_life(backend):
    with Daemon(max_timeout="20s", default_timeout="5s") as daemon:
        tunnel = daemon.api.create(backend, timeout=10)
        answer = patch(daemon.api, tunnel, 21)
        assert answer.status == 422 and answer.json()["code"] == "invalid", answer
        time.sleep(1.2)
        answer = patch(daemon.api, tunnel, 20)
        assert answer.status == 422, "20 s from now is more than 20 s in all"
        (error,) = answer.json()["errors"]
        assert error == {"pointer": "/timeout", "detail": "Must be a whole number from 1 to 19 now."}
        document = moved(tunnel, 19)[0]
        assert 17 < seconds_left(document) < 19.5


def test_refusals(api, tunnel):
    path = f"/_api/tunnels/{tunnel.id}"
    before = tunnel.show()["expires_at"]
    for body, status in (({}, 422), ({"timeout": 0}, 422), ({"timeout": 5, "auth": "none"}, 422),
                         ({"timeout": 86401}, 422), (b"x", 400), (b"", 400)):
        answer = api.call("PATCH", path, body)
        assert answer.status == status and answer.type == "application/problem+json", answer
    assert api.call("PATCH", path, {"timeout": 5}, token="wrong").status == 401
    assert api.call("PATCH", "/_api/tunnels/t-" + "z" * 26, {"timeout": 5}).status == 404
    assert api.call("PATCH", "/_api/tunnels", {"timeout": 5}).status == 405
    assert "PATCH" in api.call("OPTIONS", path).fields["Allow"].split(", ")
    assert tunnel.show()["expires_at"] == before


# ---- races

def test_at_the_very_moment_of_expiry(daemon, backend, report):
    """Tried around the end: either 200 and it lives on, or 410 and it is dead, never 200 and dead."""
    early, lived, tries = 0.010, 0, 0  # how long before the end to ask: later after a 200, and back
    for _ in range(6):
        made = []
        for _ in range(10):
            tunnel = daemon.api.create(backend, timeout=1)
            made.append((tunnel, time.monotonic() + 1, open_visitor(tunnel)))
        answers = []
        for tunnel, due, _ in made:
            time.sleep(max(0, due - early - time.monotonic()))
            answers.append(patch(daemon.api, tunnel, 600))
            early += -0.0015 if answers[-1].status == 200 else 0.0020
        time.sleep(0.2)
        for (tunnel, _, visitor), answer in zip(made, answers):
            if answer.status == 200:
                assert visitor.how is None and tunnel.get("/").status == 200, "200 and dead"
                assert tunnel.state() == "active"
                tunnel.revoke()
            else:
                assert answer.status == 410, answer
                assert visitor.how == "reset", "410 and alive"
                assert tunnel.get("/").status == 410 and tunnel.state() == "expired"
            visitor.stream.close()
        lived += sum(answer.status == 200 for answer in answers)
        tries += len(answers)
    report(f"PATCH at the moment of expiry: {lived} of {tries} lived on")
    assert 0 < lived < tries, "both have to happen for this to be a test"


def together(*calls):
    """Runs them at the same moment; returns what they return."""
    barrier = threading.Barrier(len(calls))
    results = [None] * len(calls)

    def run(i, call):
        barrier.wait()
        results[i] = call()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return results


def another(daemon):
    """A second client of the API."""
    return type(daemon.api)(daemon.port, daemon.api.token)


def test_against_delete(daemon, backend):
    """DELETE always wins in the end; PATCH says 200 or 410."""
    other = another(daemon)
    seen = set()
    for _ in range(30):
        tunnel = daemon.api.create(backend)
        patched, deleted = together(
            lambda: patch(other, tunnel, 60).status, lambda: tunnel.revoke().status)
        assert deleted == 200 and patched in (200, 410), (deleted, patched)
        seen.add(patched)
        assert tunnel.get("/").status == 410 and tunnel.state() == "revoked"
    assert 410 in seen or 200 in seen
    other.close()


def test_two_at_once(daemon, backend):
    """Both are answered, and the end is one of the two, the same to everybody."""
    other = another(daemon)
    for _ in range(10):
        tunnel = daemon.api.create(backend)
        answers = together(lambda: patch(daemon.api, tunnel, 1000), lambda: patch(other, tunnel, 2000))
        assert [answer.status for answer in answers] == [200, 200], answers
        shown = tunnel.show()
        assert shown["timeout"] in (1000, 2000)
        assert abs(seconds_left(shown) - shown["timeout"]) < 2
        tunnel.revoke()
    other.close()


def test_a_relay_that_crashes(own_daemon, backend, report):
    """PATCH while it is dead, and its death right after PATCH: the next relay ends at the new end."""
    for pause in (0, 0.005, 0.03):
        tunnel, relay = own_daemon.create_with_relay(backend, timeout=600)
        relay.signal(signal.SIGKILL)
        time.sleep(pause)
        _, earliest, latest = moved(tunnel, 2)
        proc.wait_until(lambda: works(tunnel), 2, "it has no relay again")
        if pause:
            (relay,) = own_daemon.relays()
            relay.signal(signal.SIGKILL)
            proc.wait_until(lambda: works(tunnel), 2, "it has no relay again")
        check_cut(open_visitor(tunnel), earliest, latest, report)
        proc.wait_until(lambda: not own_daemon.relays(), 2, "its relay is still there")


def test_a_worker_that_is_killed_in_between(own_daemon, backend):
    """Whether the PATCH was answered or not: the next worker knows the end that counts."""
    tunnel = own_daemon.api.create(backend, timeout=600)
    for i in range(6):
        worker = own_daemon.worker()
        wanted = 100 * (i + 1)
        outcome = []

        def call():
            try:
                outcome.append(patch(another(own_daemon), tunnel, wanted).status)
            except (OSError, http.client.HTTPException):
                outcome.append(None)

        before = tunnel.show()
        thread = threading.Thread(target=call)
        thread.start()
        time.sleep(0.001 * i)
        worker.signal(signal.SIGKILL)
        thread.join(20)
        proc.wait_until(lambda: own_daemon.ready(), 5, own_daemon.log)
        after = tunnel.show()
        assert outcome[0] in (200, None, 503), outcome
        if outcome[0] == 200:
            assert after["timeout"] == wanted
        assert min(abs(seconds_left(after) - wanted),
                   abs(seconds_left(after) - seconds_left(before))) < 2.5, (after, before, wanted)
    _, earliest, latest = moved(tunnel, 1)
    check_cut(open_visitor(tunnel), earliest, latest)


# ---- restarts

@pytest.mark.parametrize("how", ["killed", "stopped", "another boot"])
def test_after_a_restart(own_daemon, backend, how, report):
    """The new end comes back, can be moved again, and max_timeout counts from the first beginning."""
    tunnel = own_daemon.api.create(backend, timeout=5)
    moved(tunnel, 86390)
    own_daemon.kill() if how == "killed" else own_daemon.stop()
    if how == "another boot":
        edit_boot_id(own_daemon)
    time.sleep(1.5)
    own_daemon.start()
    document = moved(tunnel, 600)[0]  # at once: it may not have been restored yet
    assert 598 < seconds_left(document) < 601.5
    answer = patch(own_daemon.api, tunnel, 86400)
    assert answer.status == 422, "it has lived for a while"
    (error,) = answer.json()["errors"]
    most = int(error["detail"].split()[-2])
    assert 86380 < most < 86400, error
    most -= 3  # seconds go by
    assert served(tunnel).status == 200
    assert moved(tunnel, most)[0]["timeout"] == most
    own_daemon.restart()
    assert served(tunnel).status == 200
    assert seconds_left(tunnel.show()) > most - 10
    _, earliest, latest = moved(tunnel, 1)
    check_cut(open_visitor(tunnel), earliest, latest, report)
    own_daemon.restart()
    assert tunnel.get("/").status == 410
