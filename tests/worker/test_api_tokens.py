# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-api and scoped tokens: what they are told, may see, may ask the supervisor for, and
# that what they have granted ends with them.

import datetime
import hashlib
import json
import re
import time

import pytest
from api_stage import REVOKED, TOKEN, Stage, boottime_us, problem, rows
from child import MSG

BACKEND = {"backend": "http://127.0.0.1:3000"}
UNKNOWN = "k-" + "z" * 26


def until(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def make(stage, **members):
    answer = stage.call("POST", "/_api/tokens", members)
    assert answer.status == 201, answer
    return json.loads(answer.body)


def ask(stage, token, **members):
    """A POST with a token of ours and the SPAWN it led to."""
    client = stage.ask("POST", "/_api/tunnels", BACKEND | members, token=token["token"])
    return client, stage.spawn()


def tunnel(stage, token, **members):
    client, spawn = ask(stage, token, **members)
    stage.spawned(spawn)
    answer = client.answer()
    assert answer.status == 201, answer
    return json.loads(answer.body)


def create(stage, token):
    return stage.call("POST", "/_api/tunnels", BACKEND, token=token["token"])


def delete(stage, token, *tunnels):
    """DELETE of a token, answered when the supervisor has ended its TUNNELS."""
    client = stage.ask("DELETE", f"/_api/tokens/{token['id']}")
    ends = {stage.expect(MSG.END).fields[1] for _ in tunnels}
    assert ends == {made["id"] for made in tunnels}
    assert not tunnels or not client.readable(0.1), "answered before the relays are dead"
    for made in tunnels:
        stage.ended(made["id"], REVOKED)
        stage.acknowledged(made["id"])
    answer = client.answer()
    assert (answer.status, json.loads(answer.body)) == (200, {"ok": True}), answer


# ---- the tokens themselves

def test_a_token_is_shown_once(stage, folder):
    answer = stage.call("POST", "/_api/tokens", {"name": "ci ☕", "quota": 3, "life": 600})
    made = json.loads(answer.body)
    assert answer.status == 201 and answer.fields.get("Location") == f"/_api/tokens/{made['id']}"
    assert answer.fields.get("Cache-Control") == "no-store"
    assert re.fullmatch(r"k-[a-z2-7]{26}", made["id"]), made
    assert re.fullmatch(r"[a-z2-7]{52}", made["token"]), "256 bits in base32"
    assert (made["name"], made["quota"], made["tunnels"]) == ("ci ☕", 3, 0)
    assert until(made["expires_at"]) - until(made["created_at"]) in (600, 601)
    shown = {name: made[name] for name in made if name != "token"}
    assert json.loads(stage.call("GET", f"/_api/tokens/{made['id']}").body) == shown
    assert json.loads(stage.call("GET", "/_api/tokens").body) == [shown]
    log = stage.log()
    stage.stop()
    (row,) = rows(folder, "SELECT * FROM tokens")
    assert row["hash"] == hashlib.sha256(made["token"].encode()).digest()
    for path in folder.iterdir():
        assert made["token"].encode() not in path.read_bytes(), path
    assert made["token"] not in log + stage.log()


def test_defaults_and_order(stage):
    first, second = make(stage), make(stage, name="b")
    assert (first["name"], first["quota"]) == ("", 10)
    assert until(first["expires_at"]) - until(first["created_at"]) in (30 * 86400, 30 * 86400 + 1)
    found = json.loads(stage.call("GET", "/_api/tokens").body)
    assert [token["id"] for token in found] == [second["id"], first["id"]]
    assert first["token"] != second["token"]


def test_the_quota_is_no_more_than_the_server_allows(folder):
    with Stage(folder, max_tunnels=4) as stage:
        assert make(stage)["quota"] == 4
        said = problem(stage.call("POST", "/_api/tokens", {"quota": 5}), 422, "invalid")
        assert said["errors"] == [
            {"pointer": "/quota", "detail": "Must be a whole number from 1 to 4."}]


def test_what_is_wrong_is_said_at_once(stage):
    said = problem(stage.call("POST", "/_api/tokens", {
        "name": "a\u0000", "quota": 0, "life": 365 * 86400 + 1, "token": "mine"}), 422, "invalid")
    assert {error["pointer"] for error in said["errors"]} == {"/name", "/quota", "/life", "/token"}
    for body in (b"", b"{", b"\xff", b'{"life":1,"life":1}'):
        problem(stage.call("POST", "/_api/tokens", body), 400, "bad_request")
    problem(stage.call("POST", "/_api/tokens", b"[]"), 422, "invalid")
    assert json.loads(stage.call("GET", "/_api/tokens").body) == []


def test_as_many_tokens_as_configured(folder):
    with Stage(folder, max_tokens=2) as stage:
        make(stage)
        second = make(stage)
        said = problem(stage.call("POST", "/_api/tokens", {}), 429, "quota_reached")
        assert "max_tokens" in said["detail"]
        delete(stage, second)
        make(stage)


@pytest.mark.parametrize("id_", [UNKNOWN, "k-", "owner", "x", "k-%27", "k-" + "a" * 4000])
def test_there_is_no_such_token(stage, id_):
    make(stage)
    for method in ("GET", "DELETE"):
        problem(stage.call(method, f"/_api/tokens/{id_}"), 404, "not_found")


def test_only_the_owner_has_a_say_about_tokens(stage):
    token = make(stage)
    for method, path, body in [
            ("POST", "/_api/tokens", {}), ("GET", "/_api/tokens", None),
            ("GET", f"/_api/tokens/{token['id']}", None),
            ("DELETE", f"/_api/tokens/{token['id']}", None)]:
        problem(stage.call(method, path, body, token=token["token"]), 403, "token_scope")
        problem(stage.call(method, path, body, token=None), 401, "token_invalid")
    assert len(json.loads(stage.call("GET", "/_api/tokens").body)) == 1


@pytest.mark.parametrize("bend", [
    lambda text: text[:-1], lambda text: text + "a", lambda text: text.upper(),
    lambda text: hashlib.sha256(text.encode()).hexdigest(), lambda text: text + " " + text])
def test_almost_a_token(stage, bend):
    token = make(stage)
    answer = stage.call("GET", "/_api/tunnels", token=bend(token["token"]))
    problem(answer, 401, "token_invalid")
    assert answer.fields.get("WWW-Authenticate") == 'Bearer realm="tunneld"'


def test_the_id_is_no_token(stage):
    problem(stage.call("GET", "/_api/tunnels", token=make(stage)["id"]), 401, "token_invalid")


def test_two_tokens_in_one_request(stage):
    token = make(stage)
    twice = [("Authorization", f"Bearer {token['token']}")]
    problem(stage.call("GET", "/_api/tunnels", token=token["token"], fields=twice), 400, "bad_request")


# ---- what they see and do

def test_the_supervisor_is_told_who_asks(stage):
    token = make(stage)
    made = tunnel(stage, token)
    assert made["token"] == token["id"]
    client, spawn = ask(stage, token)
    assert spawn.owner is False
    stage.spawned(spawn)
    assert client.answer().status == 201
    client = stage.ask("POST", "/_api/tunnels", BACKEND)
    spawn = stage.spawn()
    assert spawn.owner is True
    stage.spawned(spawn)
    assert json.loads(client.answer().body)["token"] == "owner"


@pytest.mark.parametrize("finish", ["stop", "kill"])
def test_nobody_becomes_the_owner_by_a_restart(folder, finish):
    with Stage(folder) as stage:
        token = make(stage)
        scoped, owners = tunnel(stage, token), stage.create()
        stage.stop() if finish == "stop" else stage.worker.kill()
    with Stage(folder) as stage:
        spawns = [stage.spawn(), stage.spawn()]
        assert {spawn.id: spawn.owner for spawn in spawns} == {scoped["id"]: False, owners["id"]: True}
        for spawn in spawns:
            stage.spawned(spawn)
        assert len(json.loads(stage.call("GET", "/_api/tunnels", token=token["token"]).body)) == 1


def test_a_token_sees_its_own_tunnels_only(stage):
    one, two = make(stage), make(stage)
    mine, other, owners = tunnel(stage, one), tunnel(stage, two), stage.create()

    def ids(query="", **how):
        return {entry["id"] for entry in json.loads(
            stage.call("GET", "/_api/tunnels" + query, **how).body)}

    for query in ("", "?state=all", "?state=active"):
        assert ids(query, token=one["token"]) == {mine["id"]}
        assert ids(query, token=two["token"]) == {other["id"]}
        assert ids(query) == {mine["id"], other["id"], owners["id"]}
    unknown = stage.call("GET", f"/_api/tunnels/t-{'z' * 26}", token=one["token"])
    for theirs in (other["id"], owners["id"]):
        for method in ("GET", "DELETE"):
            said = problem(stage.call(method, f"/_api/tunnels/{theirs}", token=one["token"]),
                           404, "tunnel_unknown")
            assert said["detail"] == json.loads(unknown.body)["detail"]
    assert stage.worker.silent(0.1), "nothing was ended"
    assert stage.state(other["id"]) == stage.state(mine["id"]) == "active"
    assert json.loads(stage.call("GET", f"/_api/tokens/{one['id']}").body)["tunnels"] == 1


def test_pages_of_a_tokens_list(stage):
    token = make(stage)
    mine = [tunnel(stage, token)["id"] for _ in range(3) if stage.create()]
    seen, path = [], "/_api/tunnels?state=all&limit=2"
    while path:
        answer = stage.call("GET", path, token=token["token"])
        seen += [entry["id"] for entry in json.loads(answer.body)]
        link = answer.fields.get("Link")
        path = link and link[1:link.index(">")]
    assert seen == mine[::-1]


def test_a_token_ends_its_own_tunnel(stage, folder):
    token = make(stage)
    made = tunnel(stage, token)
    client = stage.ask("DELETE", f"/_api/tunnels/{made['id']}", token=token["token"])
    assert stage.expect(MSG.END).fields[1:] == [made["id"], REVOKED]
    stage.ended(made["id"], REVOKED)
    stage.acknowledged(made["id"])
    assert client.answer().status == 200
    stage.stop()
    (row,) = rows(folder, "SELECT actor, reason FROM audit WHERE became = 'revoked'")
    assert row == {"actor": token["id"], "reason": "deleted"}


def test_the_quota(stage):
    token, other = make(stage, quota=2), make(stage, quota=1)
    first = tunnel(stage, token)
    client, starting = ask(stage, token)
    said = problem(create(stage, token), 429, "quota_reached")
    assert said["detail"] == "There are 2 tunnels, as many as the quota of this token allows."
    tunnel(stage, other)
    stage.create()
    stage.spawned(starting)
    assert client.answer().status == 201
    stage.delete(first["id"])
    tunnel(stage, token)
    problem(create(stage, token), 429, "quota_reached")


def test_the_servers_own_limit_comes_after_the_quota(folder):
    with Stage(folder, max_tunnels=1) as stage:
        token = make(stage)
        stage.create()
        assert "max_tunnels" in problem(create(stage, token), 429, "quota_reached")["detail"]


def test_the_rate_is_each_tokens_own(folder):
    with Stage(folder, create_rate=2) as stage:
        one, two = make(stage), make(stage)
        tunnel(stage, one), tunnel(stage, one)
        refused = create(stage, one)
        problem(refused, 429, "rate_limited")
        assert 1 <= int(refused.fields.get("Retry-After")) <= 30
        tunnel(stage, two)
        stage.create()


def test_no_tunnel_outlives_its_token(stage):
    token = make(stage, life=100)
    end = until(token["expires_at"])
    client, spawn = ask(stage, token)
    assert 97000 <= spawn.life_ms <= 101000, "the default is shortened"
    assert abs(spawn.deadline_us - boottime_us(end - time.time())) < 1e6
    stage.worker.send(MSG.SPAWNED, spawn.request, spawn.deadline_us, "path", 0)
    assert until(json.loads(client.answer().body)["expires_at"]) <= end
    said = problem(stage.call("POST", "/_api/tunnels", BACKEND | {"timeout": 102},
                              token=token["token"]), 422, "invalid")
    assert said["errors"][0]["pointer"] == "/timeout" and "the token ends then" in said["detail"]
    client, spawn = ask(stage, token, timeout=50)
    assert spawn.life_ms == 50000
    client = stage.ask("POST", "/_api/tunnels", BACKEND)
    assert stage.spawn().deadline_us == 0, "the owner's token has no end"


def test_moving_the_end_of_a_tunnel(stage, folder):
    """Neither its holder nor the owner moves it behind the end of the token it was made with."""
    token, other = make(stage, life=100), make(stage)
    path = f"/_api/tunnels/{tunnel(stage, token)['id']}"
    for asker in (token["token"], TOKEN):
        said = problem(stage.call("PATCH", path, {"timeout": 102}, token=asker), 422, "invalid")
        assert said["errors"][0]["pointer"] == "/timeout" and "the token ends then" in said["detail"]
    problem(stage.call("PATCH", path, {"timeout": 9}, token=other["token"]), 404, "tunnel_unknown")
    assert stage.worker.silent(0.1)
    for asker, seconds in ((token["token"], 50), (TOKEN, 60)):
        client = stage.ask("PATCH", path, {"timeout": seconds}, token=asker)
        asked = stage.expect(MSG.EXTEND)
        assert asked.fields[2] == seconds * 1000
        stage.worker.send(MSG.EXTENDED, asked.fields[0], boottime_us(seconds))
        assert client.answer().status == 200
    stage.stop()
    found = rows(folder, "SELECT actor FROM audit WHERE was = became ORDER BY seq")
    assert [row["actor"] for row in found] == [token["id"], "owner"]


# ---- their end

def test_deleting_a_token_ends_its_tunnels(stage, folder):
    token, other = make(stage), make(stage)
    mine, kept = [tunnel(stage, token), tunnel(stage, token)], tunnel(stage, other)
    delete(stage, token, *mine)
    problem(stage.call("GET", "/_api/tunnels", token=token["token"]), 401, "token_invalid")
    problem(stage.call("GET", f"/_api/tokens/{token['id']}"), 404, "not_found")
    assert [stage.state(made["id"]) for made in (*mine, kept)] == ["revoked", "revoked", "active"]
    stage.stop()
    found = [tuple(row.values()) for row in rows(
        folder, "SELECT was, became, actor, reason FROM audit WHERE subject = ? ORDER BY seq", token["id"])]
    assert found == [(None, "active", "owner", "asked for"), ("active", "revoked", "owner", "deleted")]
    (row,) = rows(folder, "SELECT actor, reason FROM audit WHERE subject = ? AND became = 'revoked'",
                  mine[0]["id"])
    assert row == {"actor": "worker", "reason": "its token is no longer valid"}


def test_deleting_a_token_ends_what_is_starting(stage):
    token = make(stage)
    starting, spawn = ask(stage, token)
    client = stage.ask("DELETE", f"/_api/tokens/{token['id']}")
    assert stage.expect(MSG.END).fields[1:] == [spawn.id, REVOKED]
    starting.problem(409, "conflict")
    stage.worker.send(MSG.SPAWN_FAILED, spawn.request, 21, "ended")
    stage.ended(spawn.id, REVOKED)
    stage.acknowledged(spawn.id)
    assert client.answer().status == 200
    assert stage.state(spawn.id) == "revoked"


def test_deleting_a_token_ends_what_is_being_restored(folder):
    with Stage(folder) as stage:
        token = make(stage)
        made = tunnel(stage, token)
        stage.worker.kill()
    with Stage(folder) as stage:
        spawn = stage.spawn()
        stage.worker.send(MSG.SPAWN_FAILED, spawn.request, 22, "not now")  # it is tried again later
        assert stage.state(made["id"]) == "active"
        client = stage.ask("DELETE", f"/_api/tokens/{token['id']}")
        while not client.readable(0.05):
            if stage.worker.readable(0):
                got = stage.worker.recv()
                assert got.type != MSG.SPAWN, got
                if got.type == MSG.END:
                    stage.ended(made["id"], REVOKED)
        assert client.answer().status == 200
        assert stage.state(made["id"]) == "revoked"


def test_a_client_that_leaves_has_deleted_the_token_all_the_same(stage):
    token = make(stage)
    made = tunnel(stage, token)
    client = stage.ask("DELETE", f"/_api/tokens/{token['id']}")
    stage.expect(MSG.END)
    client.close()
    problem(stage.call("GET", "/_api/tunnels", token=token["token"]), 401, "token_invalid")
    stage.ended(made["id"], REVOKED)
    stage.acknowledged(made["id"])
    assert stage.works()


def test_the_end_of_a_token_in_the_middle_of_a_request(stage):
    """It was valid when the head came, and is not when the body has."""
    token = make(stage)
    client = stage.client()
    body = json.dumps(BACKEND).encode()
    client.send(f"POST /_api/tunnels HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token['token']}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:5])
    stage.hand_over(client)
    assert not client.readable(0.1)
    delete(stage, token)
    client.send(body[5:])
    client.problem(401, "token_invalid")
    assert stage.worker.silent(0.1)


def test_a_token_ends_by_itself(stage, folder):
    token, longer = make(stage, life=1), make(stage, life=100)
    client, spawn = ask(stage, token)
    stage.worker.send(MSG.SPAWNED, spawn.request, boottime_us(60), "path", 0)  # a supervisor that is late
    assert client.answer().status == 201
    kept = tunnel(stage, longer)
    end = stage.expect(MSG.END, seconds=5)
    assert time.time() >= until(token["expires_at"])
    assert end.fields[1:] == [spawn.id, REVOKED]
    stage.ended(spawn.id, REVOKED)
    stage.acknowledged(spawn.id)
    problem(create(stage, token), 401, "token_invalid")
    assert [found["id"] for found in json.loads(stage.call("GET", "/_api/tokens").body)] == [longer["id"]]
    assert (stage.state(spawn.id), stage.state(kept["id"])) == ("revoked", "active")
    stage.stop()
    (row,) = rows(folder, "SELECT actor FROM audit WHERE subject = ? AND became = 'expired'", token["id"])
    assert row == {"actor": "worker"}


def test_a_token_that_ended_while_nobody_was_there(folder):
    with Stage(folder) as stage:
        token = make(stage, life=1)
        made = tunnel(stage, token)
        stage.worker.kill()
    time.sleep(max(0, until(token["expires_at"]) - time.time()) + 0.05)
    with Stage(folder, live=[(made["id"], boottime_us(60))]) as stage:
        assert stage.expect(MSG.END).fields[1:] == [made["id"], REVOKED]
        stage.ended(made["id"], REVOKED)
        stage.acknowledged(made["id"])
        problem(create(stage, token), 401, "token_invalid")
        assert stage.state(made["id"]) == "revoked"


def test_a_worker_that_died_between_the_end_of_a_token_and_those_of_its_tunnels(folder):
    with Stage(folder) as stage:
        token = make(stage)
        alive, missing = tunnel(stage, token), tunnel(stage, token)
        stage.ask("DELETE", f"/_api/tokens/{token['id']}")
        stage.expect(MSG.END)
        stage.worker.kill()
    with Stage(folder, live=[(alive["id"], boottime_us(60))]) as stage:
        ends = {stage.expect(MSG.END).fields[1] for _ in range(2)}
        assert ends == {alive["id"], missing["id"]}, "and neither is restored"
        for made in (alive, missing):
            stage.ended(made["id"], REVOKED)
            stage.acknowledged(made["id"])
        assert stage.state(alive["id"]) == stage.state(missing["id"]) == "revoked"


# ---- against each other

def test_two_tokens_and_the_last_place(folder):
    with Stage(folder, max_tunnels=1) as stage:
        tokens = [make(stage), make(stage)]
        clients = [stage.ask("POST", "/_api/tunnels", BACKEND, token=token["token"])
                   for token in tokens * 5]
        stage.spawned(stage.spawn())
        answers = sorted(client.answer().status for client in clients)
        assert answers == [201] + [429] * 9
        assert stage.worker.silent(0.1)


def test_a_token_cannot_take_the_owners_places(stage):
    """Whoever holds one and stalls keeps half of all places at most."""
    token = make(stage)
    stalling = (f"POST /_api/tunnels HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token['token']}\r\n"
                f"Content-Length: 10\r\n\r\n")
    clients = []
    for _ in range(300):
        client = stage.client()
        client.send(stalling.encode())
        clients.append(stage.hand_over(client))
    for _ in range(130):
        assert stage.call("GET", "/_api/tunnels").status == 200
    assert stage.works()


def test_nothing_of_a_token_reaches_the_log(stage):
    token = make(stage, name="named")
    made = tunnel(stage, token)
    delete(stage, token, made)
    stage.stop()
    assert token["token"] not in stage.log() and made["secret"] not in stage.log()
