# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: the next start has every unexpired tunnel at its URL, with its secret, settings and the right
# time left, whether the machine was rebooted in between or not.

import datetime
import sqlite3
import time

import pytest

from support import proc
from support.daemon import Daemon

OTHER_BOOT = "00000000-1111-2222-3333-444444444444"


@pytest.fixture(params=["killed", "stopped"])
def interrupt(request, own_daemon):
    """Ends tunneld one way or the other, lets the test look at its files, and starts it again."""
    def run(between=lambda: None):
        if request.param == "killed":
            own_daemon.expect_gone(own_daemon.kill())
        else:
            own_daemon.stop()
        between()
        own_daemon.start()
    return run


def seconds_left(tunnel):
    text = tunnel.show()["expires_at"]
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - time.time()


def served(tunnel, fields=()):
    """The answer of a restored tunnel; before its relay is back visitors are asked to come again."""
    answers = []

    def back():
        answers.append(tunnel.get("/x", fields))
        return answers[-1].status != 503 or answers[-1].fields.get("Retry-After") is None

    proc.wait_until(back, 2, lambda: answers[-1])
    return answers[-1]


def edit_boot_id(daemon):
    """What another boot looks like: the stored boot id is not this one's."""
    with sqlite3.connect(daemon.database) as database:
        changed = 0
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if "boot_id" in columns:
                changed += database.execute(
                    f"UPDATE {table} SET boot_id = ?", (OTHER_BOOT,)).rowcount
        assert changed, "no boot_id is stored"
    database.close()


def test_tunnels_come_back(own_daemon, backend, interrupt):
    tunnels = [own_daemon.api.create(backend, auth=auth, prefix=prefix)
               for auth in ("none", "bearer", "basic") for prefix in ("strip", "keep")]
    revoked = own_daemon.api.create(backend)
    revoked.revoke()
    interrupt()
    assert own_daemon.api.ids() == {tunnel.id for tunnel in tunnels}
    for tunnel in tunnels:
        fields = {"none": [], "bearer": tunnel.bearer(), "basic": tunnel.basic()}[tunnel.document["auth"]]
        assert served(tunnel, fields).status == 200
        if fields:
            assert tunnel.get("/x").status == 401, "the secret is still asked for"
    assert {r.target.partition("/x")[0] for r in backend.received} == {
        "", *(t.prefix for t in tunnels[1::2])}, "prefix kept and stripped as before"
    assert revoked.get("/").status == 410
    assert revoked.show()["state"] == "revoked"


def test_the_time_away_counts(own_daemon, backend, interrupt):
    begin = time.monotonic()
    tunnel = own_daemon.api.create(backend, timeout=3)
    interrupt()
    assert abs(seconds_left(tunnel) - (3 - (time.monotonic() - begin))) < 0.5 + 1
    assert served(tunnel).status == 200
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/")).status == 200
        assert visitor.ended(6) == "reset"
    took = time.monotonic() - begin
    assert 3 <= took < 3.5, f"{took:.2f} s of 3"


def test_what_expired_meanwhile_does_not_come_back(own_daemon, backend, interrupt):
    begin = time.monotonic()
    tunnel = own_daemon.api.create(backend, timeout=1)

    def until_it_is_over():
        time.sleep(max(0, begin + 1.5 - time.monotonic()))

    interrupt(until_it_is_over)
    assert tunnel.get("/").status == 410
    assert tunnel.show()["state"] == "expired"
    assert own_daemon.relays() == []


def test_after_another_boot_the_time_left_is_not_longer(own_daemon, backend, interrupt):
    tunnel = own_daemon.api.create(backend, timeout=600)
    begin = time.monotonic()
    interrupt(lambda: edit_boot_id(own_daemon))
    assert served(tunnel).status == 200
    left, away = seconds_left(tunnel), time.monotonic() - begin
    assert 560 < left <= 600 - away + 1.5, f"{left:.1f} s left after {away:.1f} s"


def test_after_another_boot_expiry_still_cuts(own_daemon, backend, interrupt):
    begin = time.monotonic()
    tunnel = own_daemon.api.create(backend, timeout=3)
    interrupt(lambda: edit_boot_id(own_daemon))
    assert served(tunnel).status == 200
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/")).status == 200
        assert visitor.ended(8) == "reset"
    took = time.monotonic() - begin
    assert took < 4.5, f"{took:.2f} s of 3"


def test_used_budgets_are_remembered(own_daemon, backend):
    """An orderly stop writes down what had been used; the rest is what is left."""
    tunnel = own_daemon.api.create(backend, limits={"requests": 6})
    assert [tunnel.get("/").status for _ in range(5)] == [200] * 5
    own_daemon.restart()
    assert served(tunnel).status == 200
    proc.wait_until(lambda: tunnel.state() == "exhausted", 2, tunnel.show)
    assert tunnel.show()["counters"]["requests"] == 6, tunnel.show()


def test_a_hundred_tunnels_come_back_quickly(backend, report):
    with Daemon() as daemon:
        tunnels = [daemon.api.create(backend) for _ in range(100)]
        daemon.expect_gone(daemon.kill())
        begin = time.monotonic()
        daemon.start()
        proc.wait_until(lambda: len(daemon.relays()) == 100, 10, daemon.log)
        report(f"100 tunnels restored {time.monotonic() - begin:.2f} s after the start")
        assert all(served(tunnel).status == 200 for tunnel in tunnels)


def test_a_state_folder_of_a_later_version_is_not_touched(own_daemon):
    """An older program must not write to a newer schema."""
    own_daemon.stop()
    with sqlite3.connect(own_daemon.database) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] >= 1
        database.execute("PRAGMA user_version = 9999")
    database.close()
    with pytest.raises(AssertionError):
        own_daemon.start()
    with sqlite3.connect(own_daemon.database) as database:
        assert database.execute("PRAGMA user_version").fetchone()[0] == 9999
    database.close()
    own_daemon.allowed_in_log = "."
