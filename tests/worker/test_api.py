# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-api and its clients: what it answers, and what it asks the supervisor for.

import datetime
import hashlib
import json
import os
import re
import socket
import sqlite3
import time

import pytest
from api_stage import (
    EXPIRED, FAILED, REVOKED, TOKEN, URL, Stage, boottime_us, code, problem, rows)
from child import MSG, SETTLE, Channel, one_way
from support import proc, wire

UNKNOWN = "t-" + "z" * 26
BACKEND = {"backend": "http://127.0.0.1:3000"}
NAVIGATION = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")]
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket")]


def seconds_until(text):
    then = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return then.timestamp() - time.time()


# ---- creating

def test_a_tunnel_is_asked_for_and_described(stage):
    client = stage.ask("POST", "/_api/tunnels", {
        "backend": "ws://LOCALHOST:3000/", "timeout": 60, "auth": "basic", "name": "démo ☕",
        "prefix": "keep", "origin": "path",
        "limits": {"connections": 5, "requests": 6, "bytes": 2**53 - 1, "request_rate": 7}})
    spawn = stage.spawn()
    assert (spawn.name, spawn.backend, spawn.auth, spawn.prefix, spawn.owner, spawn.life_ms,
            spawn.deadline_us, spawn.counters) == (
        "démo ☕", "http://localhost:3000", "basic", "keep", True, 60000, 0, b"")
    assert (spawn.max_connections, spawn.max_requests, spawn.max_bytes, spawn.request_rate) == (
        5, 6, 2**53 - 1, 7)
    assert not client.readable(0.1), "answered before the relay is there"
    stage.spawned(spawn)
    answer = client.answer()
    made = json.loads(answer.body)
    assert answer.status == 201 and answer.fields.get("Location") == f"/_api/tunnels/{spawn.id}"
    assert re.fullmatch(r"t-[a-z2-7]{26}", made["id"]) and made["id"] == spawn.id
    assert made["url"] == f"{URL}/t/{spawn.id}/" and made["urls"] == [made["url"]]
    assert hashlib.sha256(made["secret"].encode()).digest() == spawn.secret_hash
    assert len(made["secret"]) == 52, "256 bits in base32"
    assert 58 < seconds_until(made["expires_at"]) <= 60.5, made
    assert -2 < seconds_until(made["created_at"]) <= 0, made
    expected = {"state": "active", "mode": "push", "auth": "basic", "name": "démo ☕",
                "prefix": "keep", "backend": "http://localhost:3000", "origin": "path", "timeout": 60}
    assert expected.items() <= made.items(), made
    assert answer.fields.get("Cache-Control") == "no-store"


def test_defaults(stage):
    made = stage.create()
    assert (made["auth"], made["prefix"], made["name"], made["timeout"]) == ("bearer", "strip", "", 3600)
    assert made["limits"] == {
        "connections": 1000, "requests": None, "bytes": None, "request_rate": None}


def test_without_auth_there_is_no_secret(stage):
    assert stage.create(auth="none")["secret"] is None


def test_everything_wrong_is_said_at_once(stage):
    said = problem(stage.call("POST", "/_api/tunnels", {
        "backend": "ftp://h", "timeout": 86401, "auth": "x", "name": "a\u0007", "prefix": 1,
        "origin": "port", "limits": {"connections": 1001, "bytes": 0, "z": 1}, "nope": 1}), 422, "invalid")
    assert {error["pointer"] for error in said["errors"]} == {
        "/backend", "/timeout", "/auth", "/name", "/prefix", "/origin", "/limits/connections",
        "/limits/bytes", "/limits/z", "/nope"}, said
    assert said["detail"] == (
        "/backend: the scheme must be http, https, ws, wss or tcp. (and 9 more)")
    said = problem(stage.call("POST", "/_api/tunnels", BACKEND | {"timeout": 0}), 422, "invalid")
    assert said["detail"] == "/timeout: must be a whole number from 1 to 86400."


def test_what_the_supervisor_finds_wrong_has_a_pointer_too(stage):
    client = stage.ask("POST", "/_api/tunnels", BACKEND)
    spawn = stage.spawn()
    stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("backend_forbidden"), "not \"there\"")
    said = client.problem(422, "backend_forbidden")
    assert said["errors"] == [{"pointer": "/backend", "detail": "Not \"there\"."}], said
    assert said["detail"] == "/backend: not \"there\".", said
    assert stage.state(spawn.id) == "failed"


def test_other_failures_of_the_start(stage):
    client = stage.ask("POST", "/_api/tunnels", BACKEND)
    spawn = stage.spawn()
    stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("internal"), "out of memory")
    said = client.problem(500, "internal")
    assert "errors" not in said and said["detail"] == "Out of memory.", said
    stage.stop()
    assert stage.log().count(f"[0] answered 500 internal, request_id {said['request_id']}") == 1


def test_content_type(stage):
    """A body is JSON whatever is said of it: `curl -d` calls it a form."""
    body = json.dumps(BACKEND).encode()
    for fields in ([], *([("Content-Type", kind)] for kind in (
            "application/x-www-form-urlencoded", "text/plain", "Application/JSON ; charset=utf-8"))):
        client = stage.ask("POST", "/_api/tunnels", body, fields=fields)
        stage.spawned(stage.spawn())
        assert client.answer().status == 201


def test_as_many_tunnels_as_configured(folder):
    with Stage(folder, max_tunnels=2) as stage:
        first = stage.create()
        starting = stage.ask("POST", "/_api/tunnels", BACKEND)
        spawn = stage.spawn()
        refused = stage.call("POST", "/_api/tunnels", BACKEND)
        problem(refused, 429, "quota_reached")
        assert int(refused.fields.get("Retry-After")) > 0
        stage.spawned(spawn)
        assert starting.answer().status == 201
        stage.delete(first["id"])
        stage.create()


def test_as_fast_as_configured(folder):
    with Stage(folder, create_rate=2) as stage:
        stage.create()
        stage.create()
        refused = stage.call("POST", "/_api/tunnels", BACKEND)
        problem(refused, 429, "rate_limited")
        assert 25 <= int(refused.fields.get("Retry-After")) <= 30, refused


def test_the_secret_is_stored_as_a_hash_only(stage, folder):
    made = stage.create()
    stage.stop()
    for path in folder.iterdir():
        data = path.read_bytes()
        assert made["secret"].encode() not in data and TOKEN.encode() not in data, path
    (row,) = rows(folder, "SELECT secret_hash FROM tunnels")
    assert row["secret_hash"] == hashlib.sha256(made["secret"].encode()).digest()
    assert made["secret"] not in stage.log() and TOKEN not in stage.log()


# ---- ending

def test_delete_answers_when_the_end_is_stored(stage):
    made = stage.create()
    client = stage.ask("DELETE", f"/_api/tunnels/{made['id']}")
    end = stage.expect(MSG.END)
    assert end.fields[1:] == [made["id"], REVOKED]
    assert not client.readable(0.2), "answered before the relay is dead"
    stage.ended(made["id"], REVOKED, (3, 0, 4, 5, 6, 7, 8))
    stage.acknowledged(made["id"])
    assert json.loads(client.answer().body) == {"ok": True}
    shown = stage.show(made["id"])
    assert shown["state"] == "revoked" and seconds_until(shown["ended_at"]) < 1
    assert shown["counters"] == {
        "connections": 3, "open": 0, "requests": 4, "bytes_in": 5, "bytes_out": 6, "agents": 0,
        "last_activity": "1970-01-01T00:00:07Z"}
    problem(stage.call("DELETE", f"/_api/tunnels/{made['id']}"), 410, "tunnel_over")
    problem(stage.call("DELETE", f"/_api/tunnels/{UNKNOWN}"), 404, "tunnel_unknown")
    problem(stage.call("GET", f"/_api/tunnels/{UNKNOWN}"), 404, "tunnel_unknown")


def test_two_deletes_of_one_tunnel(stage):
    made = stage.create()
    clients = [stage.ask("DELETE", f"/_api/tunnels/{made['id']}") for _ in range(2)]
    for _ in clients:
        stage.expect(MSG.END)
    stage.ended(made["id"], REVOKED)
    stage.acknowledged(made["id"])
    assert [client.answer().status for client in clients] == [200, 200]


def test_delete_of_what_the_supervisor_does_not_know(stage):
    made = stage.create()
    client = stage.ask("DELETE", f"/_api/tunnels/{made['id']}")
    stage.expect(MSG.END)
    stage.ended(made["id"], REVOKED)
    stage.acknowledged(made["id"])
    assert client.answer().status == 200
    assert stage.state(made["id"]) == "revoked"


@pytest.mark.parametrize("how", ["SPAWN_FAILED", "ENDED", "SPAWNED"])
def test_delete_while_starting(stage, how):
    creator = stage.ask("POST", "/_api/tunnels", BACKEND)
    spawn = stage.spawn()
    assert stage.show(spawn.id)["expires_at"] is None
    deleter = stage.ask("DELETE", f"/_api/tunnels/{spawn.id}")
    assert stage.expect(MSG.END).fields[1:] == [spawn.id, REVOKED]
    creator.problem(409, "conflict")
    if how == "SPAWN_FAILED":
        stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("conflict"), "was ended")
    else:
        if how == "SPAWNED":  # crossed the END
            stage.spawned(spawn)
        stage.ended(spawn.id, REVOKED)
        stage.acknowledged(spawn.id)
    assert deleter.answer().status == 200
    assert stage.state(spawn.id) == "revoked"


def test_ends_of_many_at_once_are_all_stored(stage, folder):
    made = [stage.create(auth="none")["id"] for _ in range(200)]
    begin = time.monotonic()
    for tunnel in made:
        stage.ended(tunnel, EXPIRED)
    acknowledged = {stage.expect(MSG.ENDED_ACK).fields[0] for _ in made}
    assert acknowledged == set(made)
    assert time.monotonic() - begin < 2
    assert stage.ids() == []
    stage.stop()
    assert rows(folder, "SELECT count(*) AS n FROM tunnels WHERE state = 'expired'")[0]["n"] == 200


def test_an_end_of_something_unknown_is_acknowledged(stage):
    stage.ended(UNKNOWN, FAILED)
    stage.acknowledged(UNKNOWN)


def test_every_change_of_state_is_audited(stage, folder):
    kept, deleted, failed = stage.create()["id"], stage.create()["id"], None
    stage.delete(deleted)
    client = stage.ask("POST", "/_api/tunnels", BACKEND)
    spawn = stage.spawn()
    failed = spawn.id
    stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("invalid"), "no such host")
    client.problem(422, "invalid")
    stage.ended(kept, EXPIRED)
    stage.acknowledged(kept)
    stage.stop()
    found = [tuple(row.values()) for row in rows(
        folder, "SELECT subject, was, became, actor, reason FROM audit ORDER BY seq")]
    assert found == [
        (kept, None, "starting", "owner", "asked for"),
        (kept, "starting", "active", "owner", "its relay is ready"),
        (deleted, None, "starting", "owner", "asked for"),
        (deleted, "starting", "active", "owner", "its relay is ready"),
        (deleted, "active", "revoked", "owner", "deleted"),
        (failed, None, "starting", "owner", "asked for"),
        (failed, "starting", "failed", "supervisor", "no such host"),
        (kept, "active", "expired", "supervisor", "its time was over"),
    ]


# ---- a creator that goes away

def test_a_creator_that_is_gone_before_the_answer(stage):
    client = stage.ask("POST", "/_api/tunnels", BACKEND)
    spawn = stage.spawn()
    client.reset()
    assert stage.expect(MSG.END).fields[1:] == [spawn.id, REVOKED]
    stage.worker.send(MSG.SPAWN_FAILED, spawn.request, code("conflict"), "")
    assert stage.state(spawn.id) == "revoked"


def test_a_creator_that_closed_without_a_reset(stage):
    """It cannot be told from one that only ended its side, until the answer is refused."""
    client = stage.ask("POST", "/_api/tunnels", BACKEND)
    spawn = stage.spawn()
    client.close()
    assert stage.worker.silent(0.2)
    stage.spawned(spawn)
    assert stage.expect(MSG.END).fields[1:] == [spawn.id, REVOKED]
    stage.ended(spawn.id, REVOKED)
    stage.acknowledged(spawn.id)


def test_a_creator_that_ended_its_side_gets_its_answer(stage):
    client = stage.ask("POST", "/_api/tunnels", BACKEND)
    spawn = stage.spawn()
    client.finish()
    time.sleep(0.1)
    stage.spawned(spawn)
    assert client.answer().status == 201
    assert client.ended() == "eof"
    client.close()
    assert stage.worker.silent(0.3), "the tunnel stays"
    assert stage.state(spawn.id) == "active"


# ---- looking

def test_lists(stage):
    made = [stage.create(name=f"n{i}")["id"] for i in range(5)]
    stage.delete(made[2])
    newest_first = made[::-1]
    assert stage.ids() == [t for t in newest_first if t != made[2]]
    assert stage.ids("?state=all") == newest_first
    assert stage.ids("?state=revoked") == [made[2]]
    answer = stage.call("GET", "/_api/tunnels?state=all&limit=2")
    pages = []
    while True:
        pages.append([entry["id"] for entry in json.loads(answer.body)])
        link = answer.fields.get("Link")
        if not link:
            break
        target = re.fullmatch(r'<(/_api/tunnels\?[^>]*)>; rel="next"', link)[1]
        answer = stage.call("GET", target)
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    for wrong in ("?limit=0", "?limit=1001", "?limit=-1", "?cursor=x", "?state=x", "?x=1", "?limit"):
        (error,) = problem(stage.call("GET", "/_api/tunnels" + wrong), 422, "invalid")["errors"]
        assert error["parameter"] == re.match(r"\?(\w+)", wrong)[1]
    said = problem(stage.call("GET", "/_api/tunnels?x=1&state=x&limit=0"), 422, "invalid")
    assert [error["parameter"] for error in said["errors"]] == ["x", "state", "limit"]
    assert said["errors"][1]["detail"] == (
        "state must be all, starting, active, expired, revoked, exhausted or failed.")
    assert said["detail"] == '"x" is no parameter: there are state, limit and cursor. (and 2 more)'
    assert b"secret" not in stage.call("GET", "/_api/tunnels").body


def test_live_counters(stage):
    made = stage.create()["id"]
    shown = stage.show(made, (9, 2, 30, 400, 2**64 - 1, 1700000000, 3))
    assert shown["counters"] == {
        "connections": 9, "open": 2, "requests": 30, "bytes_in": 400, "bytes_out": 2**64 - 1,
        "agents": 3, "last_activity": "2023-11-14T22:13:20Z"}
    assert "secret" not in shown


def test_counters_that_do_not_come_do_not_hold_up_the_answer(stage):
    made = stage.create()["id"]
    client = stage.ask("GET", f"/_api/tunnels/{made}")
    stage.expect(MSG.COUNTERS_GET)
    assert json.loads(client.answer().body)["counters"]["requests"] == 0


def test_service_routes(stage):
    assert json.loads(stage.call("GET", "/healthz", token=None).body) == {"status": "ok"}
    assert stage.call("GET", "/readyz", token=None).status == 200
    assert json.loads(stage.call("GET", "/_api/version", token=None).body)["version"] == "1.2.3"
    head = stage.call("HEAD", "/_api/version", token=None)
    assert head.status == 200 and int(head.fields.get("Content-Length")) > 10 and head.body == b""


def test_ready_only_when_it_is_known_what_lives(folder):
    with Stage(folder, ready=False) as stage:
        stage.set_up()
        waiting = stage.ask("GET", "/readyz", token=None)
        assert not waiting.readable(0.3), "visitors wait a moment for the agreement"
        stage.worker.send(MSG.LIVE_DONE)
        assert waiting.answer().status == 200


def test_the_agreement_is_not_waited_for_for_ever(folder):
    with Stage(folder, ready=False) as stage:
        stage.set_up()
        stage.ask("GET", "/readyz", token=None).problem(503, "draining")
        assert stage.works()
        problem(stage.call("POST", "/_api/tunnels", BACKEND), 503, "draining")
        assert json.loads(stage.call("GET", "/_api/tunnels").body) == []


# ---- who may, and what is there

@pytest.mark.parametrize("authorization", [
    [], ["Bearer wrong"], ["Bearer "], [f"Basic {TOKEN}"], [TOKEN], [f"Bearer {TOKEN}x"],
    [f"Bearer {TOKEN[:-1]}"], [f"Bearer  x {TOKEN}"]])
@pytest.mark.parametrize("method,path", [
    ("POST", "/_api/tunnels"), ("GET", "/_api/tunnels"), ("GET", f"/_api/tunnels/{UNKNOWN}"),
    ("DELETE", f"/_api/tunnels/{UNKNOWN}"), ("HEAD", "/_api/tunnels")])
def test_only_the_owner(stage, method, path, authorization):
    answer = stage.call(method, path, token=None, fields=[("Authorization", a) for a in authorization])
    assert answer.status == 401 and answer.fields.get("Tunnel-Error") == "token_invalid", answer
    assert answer.fields.get("WWW-Authenticate").startswith("Bearer"), answer


def test_two_tokens_are_none(stage):
    answer = stage.call("GET", "/_api/tunnels", fields=[("Authorization", "Bearer wrong")])
    assert answer.status in (400, 401), answer


def test_methods_and_routes(stage):
    for method, path, allow in [
            ("PUT", "/_api/tunnels", {"GET", "HEAD", "POST", "OPTIONS"}),
            ("POST", f"/_api/tunnels/{UNKNOWN}", {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}),
            ("POST", "/_api/version", {"GET", "HEAD", "OPTIONS"}),
            ("TRACE", "/healthz", {"GET", "HEAD", "OPTIONS"})]:
        answer = stage.call(method, path)
        said = problem(answer, 405, "method_not_allowed")
        assert all(method in said["detail"] for method in allow), said
        assert set(answer.fields.get("Allow").split(", ")) == allow, answer
    answer = stage.call("OPTIONS", "/_api/tunnels", token=None)
    assert answer.status == 204 and "POST" in answer.fields.get("Allow"), answer
    assert stage.call("OPTIONS", "*", token=None).status == 204
    for path in ("/_api/nothing", "/_api/tunnels/", f"/_api/tunnels/{UNKNOWN}/agents", "/_api/tokens/",
                 "/_api/events/", "/favicon.ico", "/_t/x/log", "/_t/x/y/login", "/_t/login", "/_api/tunnels/a/b", "/_apix", "/x?y"):
        problem(stage.call("GET", path), 404, "not_found")


# ---- visitors whose tunnel has no relay

def test_tunnels_without_a_relay(stage):
    made = stage.create()["id"]
    for target in (f"/t/{UNKNOWN}/", f"/t/{UNKNOWN}", "/t/", "/t", "/t/../x", "/t/T-AAAA/",
                   f"/t/{made.upper()}/"):
        problem(stage.call("GET", target, token=None), 404, "tunnel_unknown")
    answer = stage.call("GET", f"/t/{made}/x", token=None)
    problem(answer, 503, "draining")
    assert answer.fields.get("Retry-After") == "1"
    stage.delete(made)
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "FOO"):
        problem(stage.call(method, f"/t/{made}/x?y=z", token=None), 410, "tunnel_over")
    page = stage.call("GET", f"/t/{made}/", token=None, fields=NAVIGATION)
    check_page(page, 410, "tunnel_over")
    upgrade = stage.call("GET", f"/t/{made}/", token=None, fields=UPGRADE)
    assert (upgrade.status, upgrade.body) == (410, b"") and "Content-Type" not in upgrade.fields
    head = stage.call("HEAD", f"/t/{made}/", token=None)
    assert head.status == 410 and head.body == b""


WAITING = ("agent_offline", "backend_refused", "draining", "too_many_connections")  # they ask again by themselves


def check_page(answer, status, code_name, login=False):
    waits = code_name in WAITING
    assert answer.status == status, answer
    assert answer.fields.get("Tunnel-Error") == code_name, answer
    assert answer.fields.get("Content-Type") == "text/html; charset=utf-8"
    policy = answer.fields.get("Content-Security-Policy")
    assert "default-src 'none'" in policy and ("script-src 'sha256-" in policy) == (login or waits)
    assert ("connect-src 'self'; " in policy) == waits
    assert "unsafe" not in policy and "base-uri 'none'" in policy and "frame-ancestors 'none'" in policy
    assert f"form-action {chr(39)}{'self' if login else 'none'}" in policy
    assert answer.fields.get("X-Content-Type-Options") == "nosniff"
    for name in ("Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy"):
        assert answer.fields.get(name) == "same-origin", answer
    assert answer.fields.get("Referrer-Policy") == ("same-origin" if login else "no-referrer")
    assert "no-store" in answer.fields.get("Cache-Control")
    text = answer.body.decode()
    assert text.startswith("<!DOCTYPE html>") and "<title>" in text
    assert ("<script" in text) == (login or waits) and ("<form" in text) == login
    return text


def test_front_door(stage):
    page = stage.call("GET", "/", token=None, fields=NAVIGATION)
    assert page.status == 200 and "<h1>" in check_page(page, 200, None)
    assert json.loads(stage.call("GET", "/", token=None).body)["name"] == "tunneld"
    check_page(stage.call("GET", "/nothing", token=None, fields=NAVIGATION), 404, "not_found")
    problem(stage.call("GET", "/_api/nothing", token=None, fields=NAVIGATION), 404, "not_found")


def test_nothing_of_the_request_is_in_a_page(stage):
    page = stage.call("GET", "/t/<script>alert(1)</script>?<b>", token=None, fields=NAVIGATION)
    assert page.status in (400, 404) and b"alert" not in page.body, page


@pytest.mark.parametrize("auth,scheme", [("bearer", "Bearer"), ("basic", "Basic realm=")])
def test_pages_for_relays(stage, auth, scheme):
    made = stage.create(auth=auth)["id"]
    for name, status in [("auth_required", 401), ("backend_refused", 502), ("too_many_connections", 503)]:
        client = stage.client()
        client.request("GET", "/")
        stage.worker.send(MSG.PAGE, made, code(name), False, 7, fd=client.accepted)
        client.accepted.close()
        answer = client.answer()
        check_page(answer, status, name, login=status == 401 and auth == "bearer")
        assert answer.fields.get("Connection") == "close"
        assert answer.fields.get("Retry-After") == "7"
        if status == 401:
            assert answer.fields.get("WWW-Authenticate").startswith(scheme), answer
        assert client.ended() == "eof", "unread bytes of the request do not turn the end into a reset"
    client = stage.client()  # failures came too fast
    stage.worker.send(MSG.PAGE, made, code("auth_failed"), False, 7, fd=client.accepted)
    client.accepted.close()
    answer = client.answer()
    check_page(answer, 429, "rate_limited", login=auth == "bearer")
    assert answer.fields.get("Retry-After") == "7" and "WWW-Authenticate" not in answer.fields, answer
    client = stage.client()
    stage.worker.send(MSG.PAGE, UNKNOWN, 0, True, 0, fd=client.accepted)
    client.accepted.close()
    assert client.answer("HEAD").status == 200, "the notice"


def test_pages_of_one_tunnel_do_not_use_up_those_of_others(stage):
    held = []
    for _ in range(100):
        client = stage.client()
        stage.worker.send(MSG.PAGE, UNKNOWN, code("draining"), False, 0, fd=client.accepted)
        client.accepted.close()
        held.append(client)
    made = stage.create()["id"]
    client = stage.client()
    stage.worker.send(MSG.PAGE, made, code("draining"), False, 0, fd=client.accepted)
    client.accepted.close()
    check_page(client.answer(), 503, "draining")
