# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: tunneld-api speaks HTTP/1.1 as it should with clients of every kind, and neither hostile
# clients nor a lying gate get more of it than their own end.

import json
import os
import re
import socket
import time

import pytest
from api_stage import PEER, TOKEN, Stage, code, problem
from child import MSG, SETTLE
from support import proc, wire

BACKEND = b'{"backend":"http://127.0.0.1:3000"}'
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
SERVED, REFUSED = 256, 32  # connections
AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n".encode()
CONTROL_ENDED = 5  # exit status


def post(*fields, body=b"", path="/_api/tunnels"):
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"POST " + path.encode() + b" HTTP/1.1\r\nHost: h\r\n" + AUTHORIZED + lines + b"\r\n" + body


def created(stage, client):
    stage.spawned(stage.spawn())
    answer = client.answer()
    assert answer.status == 201, answer
    return answer


# ---- requests in all shapes

@pytest.mark.parametrize("fields", [[], [("Connection", "keep-alive")], [("Connection", "close")]])
@pytest.mark.parametrize("path", ["/healthz", "/_api/tunnels", "/nothing", "/t/t-unknown/"])
def test_a_connection_is_for_one_request(stage, path, fields):
    """Whoever asks for a tunnel on it next takes a new one, which leads there."""
    for token, method in ((TOKEN, "GET"), (None, "GET"), (TOKEN, "OPTIONS")):
        client = stage.ask(method, path, token=token, fields=fields)
        assert client.answer(method).fields.get("Connection") == "close"
        assert client.ended() == "eof"


def test_what_comes_behind_the_request_is_ignored(stage):
    create = post(b"Content-Length: %d" % len(BACKEND), body=BACKEND)
    client = stage.client()
    client.send(HEALTH, create, HEALTH)
    client.accepted.recv(0, socket.MSG_PEEK)
    stage.hand_over(client)
    client.send(create, b"no request at all")
    assert client.answer().status == 200
    assert client.rest() == b"", "one answer, and an orderly end"
    assert stage.works()
    assert stage.worker.silent(0.2), "no tunnel was made"


def test_bytes_one_by_one(stage):
    client = stage.client()
    stage.hand_over(client, b"P")
    for byte in post(b"Content-Length: %d" % len(BACKEND), body=BACKEND)[1:]:
        client.send(bytes([byte]))
    created(stage, client)


def test_a_chunked_body_in_small_pieces(stage):
    client = stage.client()
    stage.hand_over(client, post(b"Transfer-Encoding: chunked"))
    for start in range(0, len(BACKEND), 3):
        client.chunk(BACKEND[start:start + 3])
        time.sleep(0.001)
    client.send(b"0\r\nTrailer: x\r\n\r\n", HEALTH)
    created(stage, client)
    assert client.rest() == b""


def test_expect_continue(stage):
    client = stage.client()
    stage.hand_over(client, post(b"Expect: 100-continue", b"Content-Length: %d" % len(BACKEND)))
    assert wire.Response(client).status == 100
    client.send(BACKEND)
    created(stage, client)
    refused = stage.client()  # told no before it has sent anything
    stage.hand_over(refused, post(b"Expect: 100-continue", b"Content-Length: 70000"))
    refused.problem(413, "too_large")
    unknown = stage.client()
    stage.hand_over(unknown, post(b"Expect: 100-continue", b"Content-Length: 7").replace(
        AUTHORIZED, b""))
    unknown.problem(401, "token_invalid")
    early = stage.client()  # it did not wait: then there is nothing to grant
    stage.hand_over(early, post(b"Expect: 100-continue", b"Content-Length: %d" % len(BACKEND), body=BACKEND))
    stage.spawned(stage.spawn())
    assert wire.Response(early).status == 201


def test_bodies_of_up_to_64_kib(stage):
    client = stage.client()
    stage.hand_over(client, post(b"Content-Length: 65536"))
    client.send(BACKEND.ljust(65536))
    created(stage, client)
    for head in (post(b"Content-Length: 65537"), post(b"Content-Length: 999999999999")):
        client = stage.client()
        stage.hand_over(client, head)
        client.problem(413, "too_large")
        assert client.ended() == "eof"
    client = stage.client()
    stage.hand_over(client, post(b"Transfer-Encoding: chunked"))
    for _ in range(40):  # more than is read before the answer, and all of it is taken
        client.chunk(b" " * 4096)
    client.problem(413, "too_large")


def test_a_body_nobody_asked_for(stage):
    client = stage.client()
    stage.hand_over(client, b"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345" + HEALTH)
    assert client.answer().status == 200
    assert client.rest() == b""


def test_an_answer_before_the_body(stage):
    client = stage.client()
    stage.hand_over(client, b"POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 37\r\n\r\n" + HEALTH)
    said = client.problem(404, "not_found")
    assert said and client.ended() == "eof"


def test_http_1_0(stage):
    client = stage.client()
    stage.hand_over(client, b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = client.answer()
    assert answer.status == 200 and answer.fields.get("Connection") == "close"
    assert client.ended() == "eof"


def test_a_client_that_ended_its_side_is_answered(stage):
    client = stage.client()
    stage.hand_over(client, HEALTH)
    client.finish()
    assert client.answer().status == 200
    assert client.ended() == "eof"


def test_date_and_fields(stage):
    client = stage.client()
    stage.hand_over(client, HEALTH)
    for answer in (client.answer(), stage.call("GET", "/nothing"), stage.call("GET", "/_api/tunnels")):
        date = answer.fields.get("Date")
        then = time.strptime(date, "%a, %d %b %Y %H:%M:%S GMT")
        assert time.strftime("%a, %d %b %Y %H:%M:%S GMT", then) == date
        assert answer.fields.get("X-Content-Type-Options") == "nosniff"
        assert answer.fields.get("Cache-Control") == "no-store"


@pytest.mark.parametrize("bytes_sent", [
    b"GET /healthz HTTP/1.1\r\n\r\n", b"GET /healthz HTTP/1.1\nHost: h\n\n",
    b"GET  /healthz HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /healthz HTTP/2.0\r\nHost: h\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /_api/tunnels HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
    b"POST /_api/tunnels HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"])
def test_what_is_not_http_is_400_and_the_end(stage, bytes_sent):
    client = stage.client()
    stage.hand_over(client, bytes_sent + HEALTH)
    client.problem(400, "bad_request")
    assert client.ended() == "eof"


def test_malformed_chunks(stage):
    client = stage.client()
    stage.hand_over(client, post(b"Transfer-Encoding: chunked", body=b"5\r\nabcdefg\r\n0\r\n\r\n"))
    client.problem(400, "bad_request")
    assert client.ended() == "eof"


def test_heads_that_are_too_large(stage):
    client = stage.client()
    stage.hand_over(client, b"GET /" + b"x" * 9000)
    client.problem(431, "head_too_large")
    client = stage.client()
    stage.hand_over(client, HEALTH[:-2] + b"".join(b"A%d: b\r\n" % n for n in range(120)) + b"\r\n")
    client.problem(431, "head_too_large")
    client = stage.client()
    stage.hand_over(client, HEALTH[:-2] + b"A: b\r\n" * (40000 // 6))  # as much as a gate may pass on
    client.problem(431, "head_too_large")


def test_methods_of_all_kinds(stage):
    for line in (b"CONNECT h:80", b"FOO /healthz", b"OPTIONS /healthz", b"GET http://h/healthz"):
        client = stage.client()
        stage.hand_over(client, line + b" HTTP/1.1\r\nHost: h:80\r\n\r\n" if b"CONNECT" in line
                        else line + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = client.answer()
        expected = {b"CON": (404, 400), b"FOO": (405,), b"OPT": (204,), b"GET": (200,)}[line[:3]]
        assert answer.status in expected, (line, answer)


# ---- clients that do harm

def test_clients_that_vanish_at_every_point(stage):
    whole = post(b"Content-Length: %d" % len(BACKEND), body=BACKEND)
    for length in [1, 20, 60, len(whole) - len(BACKEND), len(whole) - 1]:
        for end in ("close", "reset"):
            client = stage.client()
            stage.hand_over(client, whole[:length])
            getattr(client, end)()
    assert stage.works()
    assert stage.worker.silent(0.2), "no tunnel was made"


def test_connections_that_were_answered_give_way(stage):
    """Even if their clients do not end them."""
    answered = []
    for _ in range(SERVED * 2):
        client = stage.client()
        stage.hand_over(client, HEALTH)
        assert client.answer().status == 200
        answered.append(client)
    for client in answered:
        client.close()


def test_strangers_cannot_take_all_places(stage):
    """Whoever has shown no token gives way, whatever it is in the middle of."""
    strangers = []
    for begun in (HEALTH[:-2], b"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"):
        for _ in range(SERVED):
            client = stage.client()
            stage.hand_over(client, begun)
            strangers.append(client)
        assert stage.works()
        stage.create()
    for client in strangers:
        client.close()


def test_more_than_are_served_are_told_so(stage):
    busy = []
    for _ in range(SERVED):
        client = stage.client()
        stage.hand_over(client, post(b"Content-Length: 5", body=b"1234"))  # the owner's
        busy.append(client)
    told = 0
    for _ in range(REFUSED * 2):
        client = stage.client()
        client.request("GET", "/healthz")
        stage.hand_over(client)
        try:
            answer = client.answer()
            problem(answer, 503, "draining")
            assert answer.fields.get("Retry-After")
            told += 1
        except ConnectionError:
            pass
        client.close()
    assert told >= REFUSED
    assert proc.Process(stage.worker.pid).rss_anon_kib() < 16 * 1024
    for client in busy:
        client.close()
    proc.wait_until(lambda: stage.call("GET", "/healthz", token=None).status == 200, 5, "not free again")


def test_a_client_that_sends_and_does_not_read_does_not_hold_up_others(stage):
    for n in range(8):
        stage.create(name=str(n) * 100)
    client = stage.client(receive_buffer=4096)
    one = b"GET /_api/tunnels HTTP/1.1\r\nHost: h\r\n" + AUTHORIZED + b"\r\n"
    client.sock.setblocking(False)
    stage.hand_over(client, one)
    sent = 0
    try:
        while sent < 64 << 20:
            sent += client.sock.send(one * 100)
    except (BlockingIOError, ConnectionError):
        pass
    assert stage.works()
    assert proc.Process(stage.worker.pid).rss_anon_kib() < 16 * 1024


# ---- a gate that lies

def test_descriptors_that_are_no_visitors(stage):
    listening = socket.create_server(("127.0.0.1", 0))
    unconnected = socket.socket()
    datagram, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    read_end, write_end = os.pipe()
    file = os.open("/dev/null", os.O_RDONLY)
    assert stage.works()
    before = stage.worker.descriptors()
    for fd in (listening, unconnected, datagram, read_end, write_end, file):
        stage.gate.send(MSG.VISITOR, PEER, 0, False, "", HEALTH, fd=fd)
    assert stage.works()
    for thing in (listening, unconnected, datagram, other):
        thing.close()
    for fd in (read_end, write_end, file):
        os.close(fd)
    assert before is None or stage.worker.descriptors() <= before + 1
    assert len([text for _, text in logged(stage) if "from a gate" in text]) == 6


def logged(stage):
    stage.worker.silent(0.1)
    return stage.worker.logged


def test_messages_a_gate_may_not_send(stage):
    client = stage.client()
    stage.gate.send(MSG.VISITOR, PEER, 0, False, "", HEALTH)  # no descriptor
    stage.gate.send(MSG.VISITOR, PEER, 0, False, "", HEALTH, fds=[client.accepted, client.accepted])
    stage.gate.send(MSG.VISITOR, PEER[:-1], 0, False, "", HEALTH, fd=client.accepted)
    stage.gate.send(MSG.VISITOR, PEER, 0, False, "", b"", fd=client.accepted)
    stage.gate.send(MSG.PAGE, "t-" + "a" * 26, code("internal"), False, 0, fd=client.accepted)
    stage.gate.send(MSG.STOP)
    stage.gate.send(200, 1, 2)
    stage.gate.raw(b"\xc1garbage")
    client.accepted.close()
    assert client.ended() in ("eof", "reset"), "no copy of the descriptor is kept"
    assert stage.works() and stage.worker.alive()


# ---- a supervisor nobody should have

@pytest.mark.parametrize("message", [
    (MSG.VISITOR, PEER, 0, False, "", HEALTH), (MSG.API_SETUP,), (MSG.SPAWNED, 1), (MSG.READY, 0), (MSG.SPAWN_FAILED, 1, 99, ""),
    (77,)])
def test_the_worker_ends_when_its_supervisor_breaks_the_rules(folder, message):
    with Stage(folder) as stage:
        assert stage.works()
        stage.worker.send(*message)
        assert stage.worker.wait() == CONTROL_ENDED


def test_messages_before_the_set_up(folder):
    with Stage(folder, ready=False) as stage:
        stage.worker.send(MSG.LIVE_DONE)
        assert stage.worker.wait() == CONTROL_ENDED


def test_the_worker_does_not_outlive_its_supervisor(folder):
    with Stage(folder) as stage:
        assert stage.works()
        stage.worker.close()
        assert stage.worker.wait() == CONTROL_ENDED


def test_answers_nobody_asked_for_are_dropped(stage):
    stage.worker.send(MSG.SPAWNED, 12345, 1, "path", 0)
    stage.worker.send(MSG.SPAWN_FAILED, 12346, code("internal"), "x")
    stage.worker.send(MSG.COUNTERS, 12347, *[0] * 7)
    stage.worker.send(MSG.LIVE_DONE)
    stage.worker.send(MSG.LIVE_DONE, epoch=stage.worker.epoch - 1)
    assert stage.works()


def test_answers_of_the_wrong_kind(stage):
    client = stage.ask("POST", "/_api/tunnels", {"backend": "http://127.0.0.1:1"})
    spawn = stage.spawn()
    stage.worker.send(MSG.COUNTERS, spawn.request, *[0] * 7)
    stage.spawned(spawn)
    assert client.answer().status == 201


def test_pages_for_what_is_no_connection(stage):
    listening = socket.create_server(("127.0.0.1", 0))
    stage.worker.send(MSG.PAGE, "t-" + "a" * 26, code("internal"), False, 0, fd=listening)
    listening.close()
    assert stage.works()
