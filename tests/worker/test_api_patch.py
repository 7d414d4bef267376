# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# PATCH as tunneld-api does it: the supervisor is asked first, its word is the end, and the row
# follows, at once or when it can.

import datetime
import json
import time

import pytest
from api_stage import (
    BOOT, EXPIRED, REVOKED, Stage, boottime_us, change, code, problem, rows)
from child import MSG
from support import proc
from test_api_restart import limit_files

OTHER_BOOT = "99999999-8888-7777-6666-555555555555"
UNKNOWN = "t-" + "z" * 26


def ask(stage, tunnel, timeout=300):
    """Sends a PATCH; returns (client, number of the request to the supervisor)."""
    client = stage.ask("PATCH", f"/_api/tunnels/{tunnel}", {"timeout": timeout})
    asked = stage.expect(MSG.EXTEND)
    assert asked.fields[1:] == [tunnel, timeout * 1000], asked
    return client, asked.fields[0]


def extended(stage, request, seconds):
    deadline = boottime_us(seconds)
    stage.worker.send(MSG.EXTENDED, request, deadline)
    return deadline


def answered(client):
    answer = client.answer()
    assert answer.status == 200, answer
    return json.loads(answer.body)


def seconds_until(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - time.time()


def test_a_new_end(stage, folder):
    before = stage.create(timeout=60)
    client, request = ask(stage, before["id"])
    assert not client.readable(0.1), "not before the supervisor has said so"
    deadline = extended(stage, request, 300)
    after = answered(client)
    assert 298 < seconds_until(after["expires_at"]) < 301
    assert after.pop("timeout") == 300 and after.pop("expires_at") != before["expires_at"]
    assert after == {name: value for name, value in before.items()
                     if name not in ("timeout", "expires_at", "secret", "share_url")}
    assert stage.show(before["id"])["timeout"] == 300
    stage.stop()
    (row,) = rows(folder, "SELECT * FROM tunnels")
    assert (row["timeout_s"], row["deadline_us"], row["boot_id"]) == (300, deadline, BOOT)
    assert 295_000 < row["remaining_ms"] <= 300_000
    assert 300_000 <= row["life_ms"] < 305_000, "what it has lived already and what is left"
    audited = rows(folder, "SELECT was, became, actor, reason FROM audit ORDER BY seq DESC LIMIT 1")[0]
    assert tuple(audited.values()) == ("active", "active", "owner", "ends 300 s from now")


def test_what_the_supervisor_says_counts(stage):
    """It may have capped what was asked for."""
    tunnel = stage.create()["id"]
    client, request = ask(stage, tunnel, 3600)
    extended(stage, request, 100)
    assert 98 < seconds_until(answered(client)["expires_at"]) < 101


def test_a_small_change_is_told_to_the_second(stage):
    """Though an end that only two clocks see differently is not told anew."""
    tunnel = stage.create(timeout=60)["id"]
    client, request = ask(stage, tunnel, 62)
    extended(stage, request, 62)
    assert 60.5 < seconds_until(answered(client)["expires_at"]) < 62.5


@pytest.mark.parametrize("said,detail,status,name", [
    ("tunnel_over", "x", 410, "tunnel_over"), ("tunnel_unknown", "x", 410, "tunnel_over"),
    ("conflict", "x", 410, "tunnel_over"), ("internal", "out of memory", 500, "internal"),
    ("draining", "the server is stopping", 503, "draining"), ("none", "", 500, "internal")])
def test_refusals_of_the_supervisor(stage, said, detail, status, name):
    tunnel = stage.create()
    client, request = ask(stage, tunnel["id"])
    stage.worker.send(MSG.EXTEND_FAILED, request, code(said), detail)
    client.problem(status, name)
    assert stage.show(tunnel["id"])["expires_at"] == tunnel["expires_at"], "nothing has changed"


def test_too_long_names_the_greatest(stage):
    tunnel = stage.create()["id"]
    client, request = ask(stage, tunnel, 86400)
    stage.worker.send(MSG.EXTEND_FAILED, request, code("invalid"), "Must be at most 86000 now.")
    said = client.problem(422, "invalid")
    assert said["errors"] == [{"pointer": "/timeout", "detail": "Must be at most 86000 now."}], said
    assert said["detail"] == "/timeout: must be at most 86000 now.", said


def test_refused_without_asking(stage):
    starting = stage.ask("POST", "/_api/tunnels", {"backend": "http://127.0.0.1:1"})
    spawn = stage.spawn()
    over, lives = stage.create()["id"], stage.create()["id"]
    stage.delete(over)

    def refused(status, name, id_, body, **how):
        return problem(stage.call("PATCH", f"/_api/tunnels/{id_}", body, **how), status, name)

    new = {"timeout": 5}
    refused(409, "conflict", spawn.id, new)
    refused(410, "tunnel_over", over, new)
    refused(404, "tunnel_unknown", UNKNOWN, new)
    refused(404, "tunnel_unknown", "t-1", new)
    refused(401, "token_invalid", lives, new, token="wrong")
    for body in (b"", b"{", b'{"timeout":1,"timeout":2}'):
        refused(400, "bad_request", lives, body)
    for body, pointer in (({}, "/timeout"), ({"timeout": 0}, "/timeout"), ({"timeout": "5"}, "/timeout"),
                          ({"timeout": 86401}, "/timeout"), (new | {"name": "x"}, "/name"),
                          ([], "")):
        said = refused(422, "invalid", lives, json.dumps(body).encode())
        assert [error["pointer"] for error in said["errors"]] == [pointer], said
    assert stage.worker.silent(0.1), "the supervisor has nothing to do with any of these"
    stage.spawned(spawn)
    assert starting.answer().status == 201


def test_no_answer_in_time(stage):
    """Nobody knows then: what lives is asked for soon, not within a minute."""
    tunnel = stage.create(timeout=60)["id"]
    client, _ = ask(stage, tunnel, 300)
    client.sock.settimeout(20)
    client.problem(503, "draining")
    stage.expect(MSG.SNAPSHOT, seconds=5)
    stage.live(tunnel, boottime_us(300))
    stage.worker.send(MSG.LIVE_DONE)
    proc.wait_until(lambda: seconds_until(stage.show(tunnel)["expires_at"]) > 290, 5,
                    lambda: stage.show(tunnel))


def test_two_at_once_the_last_one_counts(stage, folder):
    tunnel = stage.create(timeout=60)["id"]
    first, second = ask(stage, tunnel, 300), ask(stage, tunnel, 200)
    extended(stage, first[1], 300)
    last = extended(stage, second[1], 200)
    assert answered(first[0])["timeout"] == 300
    assert answered(second[0])["timeout"] == 200
    stage.stop()
    (row,) = rows(folder, "SELECT timeout_s, deadline_us, life_ms FROM tunnels")
    assert (row["timeout_s"], row["deadline_us"]) == (200, last)
    assert 200_000 <= row["life_ms"] < 205_000, "lives do not add up"


def test_a_client_that_is_gone(stage):
    tunnel = stage.create()["id"]
    client, request = ask(stage, tunnel)
    client.close()
    assert stage.works()
    extended(stage, request, 300)
    assert stage.works()
    assert stage.show(tunnel)["timeout"] == 300


def test_an_end_in_between(stage):
    """EXTENDED, then the end: both are told in the order in which they came."""
    tunnel = stage.create()["id"]
    client, request = ask(stage, tunnel)
    extended(stage, request, 300)
    stage.ended(tunnel, REVOKED)
    assert answered(client)["timeout"] == 300
    stage.acknowledged(tunnel)
    assert stage.state(tunnel) == "revoked"


def test_an_end_before(stage):
    tunnel = stage.create()["id"]
    client, request = ask(stage, tunnel)
    stage.ended(tunnel, EXPIRED)
    stage.worker.send(MSG.EXTEND_FAILED, request, code("tunnel_over"), "over")
    client.problem(410, "tunnel_over")
    stage.acknowledged(tunnel)
    assert stage.state(tunnel) == "expired"


def test_killed_before_the_row_follows(folder):
    """The supervisor has the new end, the database the old one: the next worker learns of it."""
    with Stage(folder) as stage:
        tunnel = stage.create(timeout=60)["id"]
        ask(stage, tunnel)
        stage.worker.kill()
    with Stage(folder, live=[(tunnel, boottime_us(300))]) as stage:
        assert stage.works()
        assert 298 < seconds_until(stage.show(tunnel)["expires_at"]) < 301
        stage.stop(live=[(tunnel, boottime_us(300), (0,) * 7)])
    (row,) = rows(folder, "SELECT life_ms FROM tunnels")
    assert 300_000 <= row["life_ms"] < 310_000


def test_the_supervisor_ends_before_the_row_follows(folder):
    """Then the stored end counts: the old one."""
    with Stage(folder) as stage:
        tunnel = stage.create(timeout=60)["id"]
        ask(stage, tunnel)
        stage.worker.kill()
    with Stage(folder) as stage:
        again = stage.spawn()
        assert again.life_ms == 60_000 and again.deadline_us < boottime_us(60)


def test_a_full_disk(folder):
    """An answer of 500, the new end in force, and the row follows when there is room."""
    with Stage(folder) as stage:
        tunnel = stage.create(timeout=60)["id"]
        limit_files(stage, max(path.stat().st_size for path in folder.iterdir()))
        client, request = ask(stage, tunnel)
        deadline = extended(stage, request, 300)
        client.problem(500, "internal")
        assert seconds_until(stage.show(tunnel)["expires_at"]) < 61
        limit_files(stage, 1 << 30)
        stage.expect(MSG.SNAPSHOT, seconds=10)
        stage.live(tunnel, deadline)
        stage.worker.send(MSG.LIVE_DONE)
        assert stage.works()
        assert 290 < seconds_until(stage.show(tunnel)["expires_at"]) < 301


def test_while_it_is_told_what_lives(stage, folder):
    """LIVE with the old end has come when the new one does: it must not come back."""
    tunnel = stage.create(timeout=60)["id"]
    old = boottime_us(60)
    client, request = ask(stage, tunnel)
    stage.live(tunnel, old)
    new = extended(stage, request, 300)
    answered(client)
    stage.worker.send(MSG.LIVE_DONE)
    stage.stop()
    assert rows(folder, "SELECT deadline_us FROM tunnels")[0]["deadline_us"] == new


@pytest.mark.parametrize("boot", [BOOT, OTHER_BOOT])
def test_a_restored_tunnel_keeps_its_new_end_and_its_whole_life(folder, boot):
    with Stage(folder) as stage:
        tunnel = stage.create(timeout=60)["id"]
        client, request = ask(stage, tunnel)
        extended(stage, request, 300)
        answered(client)
        stage.stop()
    change(folder, "UPDATE tunnels SET boot_id = ?", boot)
    with Stage(folder) as stage:
        again = stage.spawn()
        assert 300_000 <= again.life_ms < 305_000
        assert 295e6 < again.deadline_us - boottime_us() < 300e6
        stage.worker.send(MSG.SPAWNED, again.request, again.deadline_us, "path", 0)
        client, request = ask(stage, tunnel, 30)
        extended(stage, request, 30)
        assert answered(client)["timeout"] == 30
        stage.stop()
    (row,) = rows(folder, "SELECT life_ms, boot_id FROM tunnels")
    assert row["boot_id"] == BOOT and 30_000 <= row["life_ms"] < 40_000


def test_a_tunnel_that_is_being_restored_is_waited_for(folder):
    with Stage(folder) as stage:
        tunnel = stage.create(timeout=60)["id"]
        stage.worker.kill()
    with Stage(folder) as stage:
        again = stage.spawn()
        client, request = ask(stage, tunnel)
        stage.worker.send(MSG.EXTEND_FAILED, request, code("conflict"), "the tunnel is starting")
        stage.worker.send(MSG.SPAWNED, again.request, again.deadline_us, "path", 0)
        asked = stage.expect(MSG.EXTEND)
        assert asked.fields[0] != request
        extended(stage, asked.fields[0], 300)
        assert answered(client)["timeout"] == 300


def test_a_tunnel_that_is_not_restored_in_time(folder):
    with Stage(folder) as stage:
        tunnel = stage.create(timeout=60)["id"]
        stage.worker.kill()
    with Stage(folder) as stage:
        stage.spawn()
        client, request = ask(stage, tunnel)
        while True:
            stage.worker.send(MSG.EXTEND_FAILED, request, code("conflict"), "starting")
            if client.readable(0.2):
                break
            request = stage.expect(MSG.EXTEND).fields[0]
        answer = client.answer()
        assert (answer.status, answer.fields.get("Retry-After")) == (503, "1"), answer
