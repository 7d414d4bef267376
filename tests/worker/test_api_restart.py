# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whatever ends the worker, the supervisor or the machine, the next tunneld-api agrees with
# its supervisor about what lives, has the rest restored with the right time left, and forgets what
# is long over.

import json
import os
import sqlite3
import subprocess
import time

import msgpack
import pytest
from api_stage import (
    BOOT, EXHAUSTED, EXPIRED, FAILED, REVOKED, Stage, boottime_us, change, code, problem, rows)
from child import MSG, UID
from support import proc

OTHER_BOOT = "99999999-8888-7777-6666-555555555555"
BACKEND = {"backend": "http://127.0.0.1:3000"}
DATABASE_UNUSABLE = 8  # exit status


@pytest.fixture(params=["stopped", "killed"])
def finish(request):
    """Ends a worker one way or the other."""
    def run(stage):
        if request.param == "stopped":
            stage.stop()
        else:
            stage.worker.kill()
    return run


def cast(folder, finish, *lives, **how):
    """Creates tunnels with such lives in a worker that is then ended; returns what they were told."""
    with Stage(folder) as stage:
        made = [stage.create(timeout=max(1, round(life)), life=life, **how) for life in lives]
        finish(stage)
    return [tunnel["id"] for tunnel in made]


def test_what_lives_is_left_alone(folder, finish):
    (tunnel,) = cast(folder, finish, 60)
    with Stage(folder, live=[(tunnel, boottime_us(50))]) as stage:
        assert stage.worker.silent(0.3), "nothing is spawned or ended"
        assert stage.ids() == [tunnel]
        stage.delete(tunnel)


def test_same_boot(folder, finish):
    """After the supervisor has died: the old deadline, settings and secret; counters go on."""
    with Stage(folder) as stage:
        client = stage.ask("POST", "/_api/tunnels", BACKEND | {
            "timeout": 60, "name": "n", "auth": "basic", "prefix": "keep",
            "limits": {"connections": 3, "requests": 4, "bytes": 5, "request_rate": 6}})
        first = stage.spawn()
        deadline = stage.spawned(first)
        assert client.answer().status == 201
        finish(stage)
    with Stage(folder) as stage:
        again = stage.spawn()
        assert again.deadline_us == deadline and again.life_ms == 60000
        for name in ("id", "name", "backend", "auth", "prefix", "secret_hash", "max_connections",
                     "max_requests", "max_bytes", "request_rate", "owner"):
            assert getattr(again, name) == getattr(first, name), name
        assert msgpack.unpackb(again.counters) == [0] * 7
        shown = stage.show(first.id)
        stage.worker.send(MSG.SPAWNED, again.request, deadline, "path", 0)
        assert stage.show(first.id)["expires_at"] == shown["expires_at"]
        assert stage.worker.silent(0.2)
        assert stage.state(first.id) == "active"


def test_the_end_that_was_told_does_not_jitter(folder, finish):
    """It is worked out of two clocks: a second more or less is no other end."""
    (tunnel,) = cast(folder, finish, 60)
    told = rows(folder, "SELECT expires_at FROM tunnels")[0]["expires_at"]
    with Stage(folder) as stage:
        again = stage.spawn()
        stage.worker.send(MSG.SPAWNED, again.request, again.deadline_us + 1_200_000, "path", 0)
        stage.stop()
    (row,) = rows(folder, "SELECT expires_at, deadline_us FROM tunnels")
    assert row == {"expires_at": told, "deadline_us": again.deadline_us + 1_200_000}


def test_other_boot(folder, finish):
    """The smaller of the time left by the wall clock and of that last written down."""
    smaller, larger, over = cast(folder, finish, 600, 600, 600)
    assert change(folder, "UPDATE tunnels SET boot_id = ?", OTHER_BOOT) == 3
    change(folder, "UPDATE tunnels SET remaining_ms = 100000 WHERE id = ?", smaller)
    change(folder, "UPDATE tunnels SET expires_at = ? WHERE id = ?", int(time.time()) + 200, larger)
    change(folder, "UPDATE tunnels SET expires_at = ? WHERE id = ?", int(time.time()) - 5, over)
    with Stage(folder) as stage:
        spawns = {spawn.id: spawn for spawn in (stage.spawn(), stage.spawn())}
        assert set(spawns) == {smaller, larger}
        assert all(spawn.life_ms == 600_000 for spawn in spawns.values()), "what is gone is gone"
        now = boottime_us()
        assert 99e6 < spawns[smaller].deadline_us - now <= 100e6
        assert 198e6 < spawns[larger].deadline_us - now <= 200e6
        for spawn in spawns.values():
            stage.worker.send(MSG.SPAWNED, spawn.request, spawn.deadline_us, "path", 0)
        assert stage.worker.silent(0.2)
        assert set(stage.ids()) == {smaller, larger}
        assert stage.state(over) == "expired"
        stage.stop()
    found = {row["id"]: row for row in rows(folder, "SELECT * FROM tunnels")}
    assert found[smaller]["boot_id"] == BOOT
    assert 95 < found[smaller]["expires_at"] - time.time() < 101
    assert 95000 < found[smaller]["remaining_ms"] < 100001


def test_what_expired_meanwhile(folder, finish):
    (tunnel,) = cast(folder, finish, 0.3)
    time.sleep(0.4)
    with Stage(folder) as stage:
        assert stage.worker.silent(0.2), "it is not asked for again"
        assert stage.state(tunnel) == "expired"
        stage.stop()
    last = rows(folder, "SELECT was, became, actor FROM audit ORDER BY seq DESC LIMIT 1")[0]
    assert tuple(last.values()) == ("active", "expired", "worker")


def test_ends_nobody_stored(folder, finish):
    """Told again by the supervisor, before or after it has named what lives."""
    first, second = cast(folder, finish, 60, 60)
    with Stage(folder, ended=[(first, EXHAUSTED)]) as stage:
        stage.ended(second, REVOKED)
        seen = []
        while len([m for m in seen if m.type == MSG.ENDED_ACK]) < 2:
            seen.append(stage.worker.recv())
        assert first not in [m.fields[1] for m in seen if m.type == MSG.SPAWN]
        for spawn in [m for m in seen if m.type == MSG.SPAWN]:
            stage.worker.send(MSG.SPAWNED, spawn.fields[0], boottime_us(60), "path", 0)
        assert stage.state(first) == "exhausted"
        assert stage.state(second) == "revoked"


def test_an_end_that_is_told_late_stops_the_restoring(folder, finish):
    """The supervisor still has the end it wants stored, and so refuses to start the tunnel."""
    (tunnel,) = cast(folder, finish, 60)
    with Stage(folder) as stage:
        spawn = stage.spawn()
        stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("conflict"), "there is one")
        stage.ended(tunnel, EXHAUSTED)
        stage.acknowledged(tunnel)
        assert stage.worker.silent(1.5), "it would have been tried again after a second"
        assert stage.state(tunnel) == "exhausted"


def test_a_post_that_was_lost(folder):
    """Its tunnel is of no use: whether it lives by now or not, it is ended."""
    with Stage(folder) as stage:
        stage.ask("POST", "/_api/tunnels", BACKEND)
        stage.ask("POST", "/_api/tunnels", BACKEND)
        dead, alive = stage.spawn().id, stage.spawn().id
        stage.worker.kill()
    with Stage(folder, live=[(alive, boottime_us(60))]) as stage:
        ended = set()
        while stage.worker.readable(0.3):
            message = stage.worker.recv()
            assert message.type in (MSG.END, MSG.LOG), message
            if message.type == MSG.END:
                assert message.fields[2] == FAILED
                ended.add(message.fields[1])
        assert ended == {dead, alive}
        stage.ended(alive, FAILED)
        stage.acknowledged(alive)
        assert stage.state(dead) == stage.state(alive) == "failed"
        assert stage.ids() == []


def test_what_lives_without_a_record_is_ended(folder):
    stray = "t-" + "s" * 26
    with Stage(folder, live=[(stray, boottime_us(60))]) as stage:
        assert stage.expect(MSG.END).fields[1:] == [stray, FAILED]
        stage.ended(stray, FAILED)
        stage.acknowledged(stray)


def test_restores_are_paced(folder, finish):
    tunnels = cast(folder, finish, *[1000 - 10 * n for n in range(40)])
    with Stage(folder) as stage:
        asked = [stage.spawn() for _ in range(16)]
        assert stage.worker.silent(0.2), "more than 16 at once"
        assert [spawn.id for spawn in asked] == tunnels[::-1][:16], "soonest end first"
        order = []
        while asked:
            spawn = asked.pop(0)
            order.append(spawn.id)
            stage.spawned(spawn)
            if len(order) + len(asked) < 40:
                asked.append(stage.spawn())
        assert sorted(order) == sorted(tunnels)
        assert stage.worker.silent(0.1)


def test_a_backend_that_is_not_allowed_any_more(folder, finish):
    (tunnel,) = cast(folder, finish, 60)
    with Stage(folder) as stage:
        spawn = stage.spawn()
        stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("backend_forbidden"), "denied now")
        assert stage.worker.silent(0.2)
        assert stage.state(tunnel) == "failed"


def test_a_backend_that_cannot_be_found_is_tried_again_until_the_end(folder, finish):
    (tunnel,) = cast(folder, finish, 3.5)
    with Stage(folder) as stage:
        gaps, last = [], time.monotonic()
        while time.monotonic() < last + 3:
            if not stage.worker.readable(0.05):
                if stage.state(tunnel) != "active":
                    break
                continue
            message = stage.worker.recv()
            if message.type == MSG.SPAWN:
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
                stage.worker.send(
                    MSG.SPAWN_FAILED, message.fields[0], code("backend_refused"), "no such host")
        assert 2 <= len(gaps) <= 3, gaps
        assert 0.9 < gaps[1] < 1.5, gaps
        assert stage.state(tunnel) == "expired"


def readiness(stage):
    answer = stage.call("GET", "/readyz", token=None)
    return answer.status, json.loads(answer.body).get("detail")


def test_not_ready_before_each_was_tried(folder, finish):
    """What cannot be restored now does not hold up everything else."""
    cast(folder, finish, 60, 70)
    with Stage(folder) as stage:
        first, second = stage.spawn(), stage.spawn()
        missing = (503, "Tunnels from before the start are not back yet.")
        assert readiness(stage) == missing
        stage.active(first)
        assert readiness(stage) == missing
        stage.worker.send(MSG.SPAWN_FAILED, second.request, code("backend_refused"), "no such host")
        proc.wait_until(lambda: readiness(stage) == (200, None), 5, lambda: readiness(stage))
        again = stage.spawn()
        assert (again.id, readiness(stage)) == (second.id, (200, None))


@pytest.mark.parametrize("attestation, quoted, ready", [(1, False, True), (2, False, False), (2, True, True)])
def test_not_ready_before_the_attestor_has_spoken(folder, attestation, quoted, ready):
    with Stage(folder, attestation=attestation) as stage:
        assert readiness(stage) == (503, "The attestor has not signed anything yet.")
        document = b'{"statement":"","instance":{}}'
        stage.worker.send(MSG.CERTIFICATE, 0, len(document), 2, quoted, bytes(32), document, False)
        proc.wait_until(lambda: "attestor" not in (readiness(stage)[1] or ""), 5, "still waiting")
        assert (readiness(stage)[0] == 200) == ready, readiness(stage)


def test_delete_of_what_is_being_restored(folder, finish):
    asked, waiting = cast(folder, finish, 60, 70)
    with Stage(folder) as stage:
        spawns = {spawn.id: spawn for spawn in (stage.spawn(), stage.spawn())}
        stage.worker.send(
            MSG.SPAWN_FAILED, spawns[waiting].request, code("backend_refused"), "no such host")
        assert stage.state(waiting) == "active"
        assert stage.call("DELETE", f"/_api/tunnels/{waiting}").status == 200
        client = stage.ask("DELETE", f"/_api/tunnels/{asked}")
        assert stage.expect(MSG.END).fields[1:] == [asked, REVOKED]
        stage.worker.send(MSG.SPAWN_FAILED, spawns[asked].request, code("conflict"), "ended")
        assert client.answer().status == 200
        assert stage.state(waiting) == stage.state(asked) == "revoked"


def test_counters_are_written_down_at_the_end(folder):
    with Stage(folder) as stage:
        tunnel = stage.create(life=60)["id"]
        stage.stop([(tunnel, boottime_us(55), (10, 1, 20, 30, 2**64 - 1, 1700000000, 2))])
    (row,) = rows(folder, "SELECT * FROM tunnels")
    assert (row["connections"], row["requests"], row["bytes_in"], row["bytes_out"],
            row["last_activity"]) == (10, 20, 30, 2**63 - 1, 1700000000)
    assert 53000 < row["remaining_ms"] <= 55000
    with Stage(folder) as stage:
        again = stage.spawn()
        assert msgpack.unpackb(again.counters) == [10, 0, 20, 30, 2**63 - 1, 1700000000, 0]


def test_stopping_answers_and_leaves_no_log_behind(folder):
    with Stage(folder) as stage:
        stage.create()
        unfinished = stage.hand_over(stage.client(), b"GET /healthz HTTP/1.1\r\n")
        assert stage.works()
        stage.stop()
        assert unfinished.ended() == "eof"
    assert [path.name for path in folder.iterdir()] == ["tunneld.db"]
    assert (folder / "tunneld.db").stat().st_mode & 0o777 == 0o600


def test_remaining_times_are_written_down_at_the_end(folder):
    with Stage(folder) as stage:
        stage.create(life=60)
        time.sleep(1.1)
        stage.stop()
    (row,) = rows(folder, "SELECT remaining_ms FROM tunnels")
    assert 57000 < row["remaining_ms"] < 59000


def test_stop_before_it_was_set_up(folder):
    with Stage(folder, ready=False) as stage:
        stage.stop()


def test_tombstones_are_forgotten(folder):
    with Stage(folder) as stage:
        old, new = stage.create()["id"], stage.create()["id"]
        stage.delete(old)
        stage.delete(new)
        stage.stop()
    change(folder, "UPDATE tunnels SET ended_at = ended_at - 100 WHERE id = ?", old)
    change(folder, "UPDATE audit SET at = at - 31 * 86400 WHERE subject = ?", old)
    with Stage(folder, retention=50) as stage:
        while len(stage.ids("?state=all")) > 1:
            time.sleep(0.02)
        problem(stage.call("GET", f"/t/{old}/", token=None), 404, "tunnel_unknown")
        problem(stage.call("GET", f"/t/{new}/", token=None), 410, "tunnel_over")
        stage.stop()
    assert {row["subject"] for row in rows(folder, "SELECT DISTINCT subject FROM audit")} == {new}


# ---- a database that cannot be used

def test_a_newer_schema_is_not_touched(folder):
    with Stage(folder) as stage:
        stage.create()
        stage.stop()
    change(folder, "PRAGMA user_version = 9999")
    before = (folder / "tunneld.db").read_bytes()
    with Stage(folder, ready=False) as stage:
        stage.set_up()
        assert stage.worker.wait() == DATABASE_UNUSABLE
        assert stage.worker.closed()
    assert (folder / "tunneld.db").read_bytes() == before


@pytest.mark.parametrize("harm", ["garbage", "foreign", "damaged"])
def test_a_file_that_is_not_ours_or_damaged(folder, harm):
    path = folder / "tunneld.db"
    if harm == "garbage":
        path.write_bytes(b"not a database" * 1000)
    elif harm == "foreign":
        path.touch()
        change(folder, "CREATE TABLE tunnels(x)")
    else:
        with Stage(folder) as stage:
            for _ in range(50):
                stage.create(name="x" * 100)
            stage.stop()
        data = bytearray(path.read_bytes())
        for page in range(2, len(data) // 4096):
            data[page * 4096:page * 4096 + 8] = b"\xff" * 8
        path.write_bytes(data)
    change_owner(path)
    before = path.read_bytes()
    with Stage(folder, ready=False) as stage:
        stage.set_up()
        logged = []
        while (message := stage.worker.recv()) is not None:
            logged.append(message.fields)
        assert stage.worker.wait() == DATABASE_UNUSABLE
        assert logged and logged[0][0] == 0 and "tunneld.db" in logged[0][1], logged
    assert path.read_bytes() == before


def change_owner(path):
    if proc.ROOT:
        stat = path.parent.stat()
        os.chown(path, stat.st_uid, stat.st_gid)


def test_another_program_holds_the_database(folder):
    """It is waited for a moment, then the supervisor may try again."""
    with Stage(folder) as stage:
        stage.stop()
    holder = sqlite3.connect(folder / "tunneld.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    for path in folder.iterdir():
        change_owner(path)
    with Stage(folder, ready=False) as stage:
        stage.set_up()
        assert stage.worker.wait() == DATABASE_UNUSABLE
    holder.close()
    for path in folder.iterdir():
        change_owner(path)
    with Stage(folder) as stage:
        assert stage.works()


def limit_files(stage, size):
    """No file of the worker may grow beyond that: to SQLite the same as a full disk."""
    subprocess.run(
        ["prlimit", f"--pid={stage.worker.pid}", f"--fsize={size}:"], check=True,
        **({"user": UID, "group": UID, "extra_groups": []} if proc.ROOT else {}))


def test_a_full_disk_costs_no_more_than_it_must(folder):
    """Nothing is created, what lives stays known, ends are stored when there is room again."""
    with Stage(folder) as stage:
        kept, ending = stage.create()["id"], stage.create()["id"]
        limit_files(stage, max(path.stat().st_size for path in folder.iterdir()))
        problem(stage.call("POST", "/_api/tunnels", BACKEND), 500, "internal")
        deletion = stage.ask("DELETE", f"/_api/tunnels/{ending}")
        stage.expect(MSG.END)
        stage.ended(ending, REVOKED)
        deletion.problem(500, "internal")
        assert stage.works()
        problem(stage.call("GET", "/readyz", token=None), 503, "draining")
        assert set(stage.ids()) == {kept, ending}
        problem(stage.call("GET", f"/t/{kept}/", token=None), 503, "draining")
        assert stage.worker.silent(0.2), "the end is not acknowledged"
        limit_files(stage, 1 << 30)
        stage.acknowledged(ending)
        assert stage.state(ending) == "revoked"
        stage.create()
        assert stage.call("GET", "/readyz", token=None).status == 200
        assert any(level == 0 and "database" in text for level, text in stage.worker.logged)
