# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-api and requests that are repeated: whatever becomes of the first one, its client
# learns the secret of the one tunnel there is, or that it has to look after it.

import hashlib
import json

import pytest
from api_stage import FAILED, REVOKED, Stage, boottime_us, code, problem, rows
from child import MSG

from support import proc

BACKEND = {"backend": "http://127.0.0.1:3000"}
KEY = [("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324")]


def ask(stage, body=BACKEND, key=KEY, **how):
    return stage.ask("POST", "/_api/tunnels", body, fields=key, **how)


def whole(client):
    """Every byte of the answer."""
    answer = client.answer()
    client.close()
    return answer.raw + answer.body


def first(stage, **how):
    client = ask(stage, **how)
    spawn = stage.spawn()
    stage.spawned(spawn)
    return whole(client), spawn


def document(data):
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 "), data
    return json.loads(body)


# ---- repeated

def test_the_same_answer_byte_for_byte(stage):
    answer, spawn = first(stage)
    made = document(answer)
    assert hashlib.sha256(made["secret"].encode()).digest() == spawn.secret_hash
    for key in (KEY, [("idempotency-key", f'"{KEY[0][1]}"')]):
        assert whole(ask(stage, key=key)) == answer
    assert stage.worker.silent(0.1), "and there is no second tunnel"
    assert stage.ids() == [spawn.id]


def test_it_is_the_first_answer_whatever_became_of_the_tunnel(stage):
    answer, spawn = first(stage)
    stage.delete(spawn.id)
    assert whole(ask(stage)) == answer
    assert stage.state(spawn.id) == "revoked"


def test_another_key_is_another_tunnel(stage):
    one, two = first(stage)[0], first(stage, key=[("Idempotency-Key", "other")])[0]
    assert document(one)["id"] != document(two)["id"]
    assert document(first(stage, key=())[0])["id"] not in (document(one)["id"], document(two)["id"])


def test_another_body_under_the_same_key(stage):
    answer, _ = first(stage)
    for body in (BACKEND | {"timeout": 60}, b"", b"{", b" " + json.dumps(BACKEND).encode()):
        said = ask(stage, body).problem(422, "invalid")
        assert [error["header"] for error in said["errors"]] == ["Idempotency-Key"], said
    assert stage.worker.silent(0.1)
    assert whole(ask(stage)) == answer


def test_while_the_first_is_under_way(stage):
    client = ask(stage)
    spawn = stage.spawn()
    for _ in range(3):
        answer = ask(stage).answer()
        problem(answer, 409, "conflict")
        assert answer.fields.get("Retry-After") == "1"
    said = ask(stage, BACKEND | {"timeout": 60}).problem(422, "invalid")
    assert said["errors"][0]["header"] == "Idempotency-Key"
    assert stage.worker.silent(0.1)
    stage.spawned(spawn)
    assert whole(client) == whole(ask(stage))


def test_every_token_has_keys_of_its_own(stage):
    lent = [json.loads(stage.call("POST", "/_api/tokens", {}).body)["token"] for _ in range(2)]
    ids = {document(first(stage, **how)[0])["id"] for how in ({}, *({"token": token} for token in lent))}
    assert len(ids) == 3
    assert document(whole(ask(stage, token=lent[0])))["id"] in ids
    assert stage.worker.silent(0.1)


def test_neither_rate_nor_quota_refuse_what_was_made(folder):
    with Stage(folder, create_rate=1, max_tunnels=1) as stage:
        answer, _ = first(stage)
        assert whole(ask(stage)) == answer
        ask(stage, key=()).problem(429, "rate_limited")


def test_keys_that_are_none(stage):
    for key in ("", '"', '""', '"a', "a b", '"a";q=1', "a" * 256, "é"):
        said = ask(stage, key=[("Idempotency-Key", key)]).problem(400, "bad_request")
        assert "Idempotency-Key" in said["detail"]
    ask(stage, key=KEY * 2).problem(400, "bad_request")
    assert stage.worker.silent(0.1)


def test_elsewhere_the_field_means_nothing(stage):
    assert stage.call("GET", "/_api/tunnels", fields=[("Idempotency-Key", "")]).status == 200
    one, two = (json.loads(stage.call("POST", "/_api/tokens", {}, fields=KEY).body) for _ in range(2))
    assert one["id"] != two["id"]


# ---- failures

def test_what_failed_is_tried_again(stage, folder):
    ask(stage, BACKEND | {"timeout": 0}).problem(422, "invalid")
    client = ask(stage)
    spawn = stage.spawn()
    stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("backend_forbidden"), "no")
    client.problem(422, "backend_forbidden")
    assert document(first(stage, body=BACKEND | {"timeout": 60})[0])["timeout"] == 60
    stage.stop()
    assert [row["n"] for row in rows(
        folder, "SELECT count(idempotency_key) AS n FROM tunnels WHERE state = 'failed'")] == [0]


def test_what_was_ended_while_it_started_is_tried_again(stage):
    client = ask(stage)
    spawn = stage.spawn()
    deleting = stage.ask("DELETE", f"/_api/tunnels/{spawn.id}")
    stage.expect(MSG.END)
    client.problem(409, "conflict")
    stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("conflict"), "")
    stage.ended(spawn.id, REVOKED)
    stage.acknowledged(spawn.id)
    assert deleting.answer().status == 200
    assert document(first(stage)[0])["id"] != spawn.id


# ---- clients that go away

@pytest.mark.parametrize("leave", [lambda client: client.reset(), lambda client: client.close()])
def test_a_client_that_left_learns_the_secret_later(stage, leave):
    client = ask(stage)
    spawn = stage.spawn()
    leave(client)
    assert stage.worker.silent(0.2), "it is not revoked"
    ask(stage).problem(409, "conflict")
    stage.active(spawn)
    made = document(whole(ask(stage)))
    assert made["id"] == spawn.id and made["state"] == "active"
    assert hashlib.sha256(made["secret"].encode()).digest() == spawn.secret_hash
    assert stage.worker.silent(0.2) and stage.state(spawn.id) == "active"


def test_without_a_key_it_is_revoked(stage):
    client = ask(stage, key=())
    spawn = stage.spawn()
    client.reset()
    assert stage.expect(MSG.END).fields[1:] == [spawn.id, REVOKED]


# ---- after a restart

@pytest.mark.parametrize("finish", ["stop", "kill"])
def test_after_a_restart_there_is_the_tunnel_but_no_answer(folder, finish):
    with Stage(folder) as stage:
        answer, spawn = first(stage)
        stage.stop() if finish == "stop" else stage.worker.kill()
    made = document(answer)
    for path in folder.iterdir():
        assert made["secret"].encode() not in path.read_bytes(), path
    with Stage(folder, live=[(spawn.id, boottime_us(60))]) as stage:
        for body in (BACKEND, BACKEND | {"timeout": 60}):
            again = ask(stage, body).answer()
            problem(again, 409, "idempotency_expired")
            assert again.fields.get("Location") == f"/_api/tunnels/{spawn.id}"
        lent = json.loads(stage.call("POST", "/_api/tokens", {}).body)["token"]
        assert document(first(stage, token=lent)[0])["id"] != spawn.id
        stage.delete(spawn.id)
        problem(ask(stage).answer(), 409, "idempotency_expired")


def test_killed_between_the_commit_and_the_answer(folder):
    """The tunnel lives, and its creator can find it: not a second one is made."""
    with Stage(folder) as stage:
        client = ask(stage)
        spawn = stage.spawn()
        client.reset()  # so that nobody gets an answer
        stage.active(spawn)
        stage.worker.kill()
    with Stage(folder, live=[(spawn.id, boottime_us(60))]) as stage:
        again = ask(stage).answer()
        problem(again, 409, "idempotency_expired")
        stage.delete(again.fields.get("Location").rpartition("/")[2])


def test_killed_before_the_commit(folder):
    with Stage(folder) as stage:
        ask(stage)
        spawn = stage.spawn()
        stage.worker.kill()
    with Stage(folder) as stage:
        assert stage.expect(MSG.END).fields[1:] == [spawn.id, FAILED]
        assert document(first(stage)[0])["id"] != spawn.id


def test_a_forgotten_tunnel_frees_its_key(folder):
    with Stage(folder, retention=0) as stage:
        _, spawn = first(stage)
        stage.delete(spawn.id)
        stage.stop()
    with Stage(folder, retention=0) as stage:
        path = f"/_api/tunnels/{spawn.id}"
        proc.wait_until(lambda: stage.call("GET", path).status == 404, 5, "it is remembered")
        assert document(first(stage)[0])["id"] != spawn.id


# ---- how many

def test_the_oldest_answer_goes_first(folder):
    with Stage(folder, idempotency_answers=2) as stage:
        keys = [[("Idempotency-Key", f"key-{i}")] for i in range(3)]
        made = [first(stage, key=key) for key in keys]
        again = ask(stage, key=keys[0]).answer()
        problem(again, 409, "idempotency_expired")
        assert again.fields.get("Location") == f"/_api/tunnels/{made[0][1].id}"
        for key, (answer, _) in list(zip(keys, made))[1:]:
            assert whole(ask(stage, key=key)) == answer


def test_lent_tokens_do_not_push_out_the_owners_answers(folder):
    with Stage(folder, idempotency_answers=4) as stage:
        lent = json.loads(stage.call("POST", "/_api/tokens", {"quota": 50}).body)["token"]
        answer, _ = first(stage)
        for i in range(10):
            first(stage, token=lent, key=[("Idempotency-Key", str(i))])
        assert whole(ask(stage)) == answer


def test_nothing_is_kept_if_nothing_may_be(folder):
    with Stage(folder, idempotency_answers=0) as stage:
        _, spawn = first(stage)
        again = ask(stage).answer()
        problem(again, 409, "idempotency_expired")
        assert again.fields.get("Location") == f"/_api/tunnels/{spawn.id}"
