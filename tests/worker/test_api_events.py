# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# GET /_api/events as tunneld-api does it: what is told, in which order, from which place on, and
# what a client that stalls, vanishes or lies about its place costs.

import os
import socket
import time

import pytest
import test_api_tokens as tokens_of_others
from api_stage import EXPIRED, PEER, REVOKED, TOKEN, VISITORS, Stage, boottime_us, problem
from child import MSG
from support import proc
from support.daemon import SANITIZED
from support.events import Events

BEAT = 15
KEPT = 1024


def follow(stage, last=None, query="", **how):
    fields = [("Last-Event-ID", last)] if last is not None else []
    return Events(stage.ask("GET", "/_api/events" + query, fields=fields, **how))


def end(stage, tunnel, reason=EXPIRED):
    stage.ended(tunnel, reason)
    stage.acknowledged(tunnel)


def patch(stage, tunnel, timeout):
    client = stage.ask("PATCH", f"/_api/tunnels/{tunnel}", {"timeout": timeout})
    request = stage.expect(MSG.EXTEND).fields[0]
    stage.worker.send(MSG.EXTENDED, request, boottime_us(timeout))
    assert client.answer().status == 200
    client.close()


def without(document, *names):
    return {name: value for name, value in document.items() if name not in names}


def test_a_life(stage):
    events = follow(stage)
    made = stage.create(name="démo", timeout=60)
    told = events.next("created")
    assert told == without(made, "secret", "share_url")
    patch(stage, made["id"], 300)
    told = events.next("updated")
    assert told == without(stage.show(made["id"]), "counters") and told["timeout"] == 300
    stage.delete(made["id"])
    told = events.next("ended")
    assert told == without(stage.show(made["id"]), "counters") and told["state"] == "revoked"
    assert events.silent()


def test_every_kind_of_end(stage):
    events = follow(stage)
    for reason, name in ((1, "expired"), (2, "revoked"), (3, "exhausted"), (4, "failed")):
        tunnel = stage.create()["id"]
        events.next("created")
        end(stage, tunnel, reason)
        told = events.next("ended")
        assert (told["id"], told["state"]) == (tunnel, name) and told["ended_at"]


def test_a_tunnel_that_never_was_active_is_not_told(stage):
    events = follow(stage)
    client = stage.ask("POST", "/_api/tunnels", {"backend": "http://127.0.0.1:1"})
    spawn = stage.spawn()
    stage.worker.send(MSG.SPAWN_FAILED, spawn.request, 11, "refused")
    assert client.answer().status >= 400
    assert events.silent()


def test_places(stage):
    """Whoever comes back with the id it saw last misses nothing and gets nothing twice."""
    events = follow(stage)
    opened = events.place
    ids = [stage.create()["id"] for _ in range(5)]
    places = []
    for id_ in ids:
        assert events.next("created")["id"] == id_
        places.append(events.place)
    assert len({opened, *places}) == 6, "ids are unique"
    assert len({place.partition("-")[0] for place in places}) == 1
    events.close()
    for start, place in enumerate([opened, *places]):
        again = follow(stage, last=place)
        assert again.place == place
        for id_ in ids[start:]:
            assert again.next("created")["id"] == id_
        assert again.silent()
        again.close()
    fresh = follow(stage)
    assert fresh.place == places[-1] and fresh.silent(), "from now on"


@pytest.mark.parametrize("place", [
    "", "0", "x", "-1", "0123456789abcdef-1", "\t", "{own}", "{own}-", "{own}-9", "{own}-18446744073709551617",
    "{own}--1", "{own}-1x", "{own}-1 1", "9" * 5000], ids=range(14))
def test_places_nobody_knows(stage, place):
    """`reset` first, then what happens from now on."""
    first = follow(stage)
    stage.create()
    first.next("created")
    own = first.place.partition("-")[0]
    events = follow(stage, last=place.replace("{own}", own))
    assert events.next("reset") == {}
    assert events.place == first.place
    tunnel = stage.create()["id"]
    assert events.next("created")["id"] == tunnel
    assert first.next("created")["id"] == tunnel


def test_two_places_are_none(stage):
    events = follow(stage)
    client = stage.ask("GET", "/_api/events", fields=[("Last-Event-ID", events.place)] * 2)
    assert client.answer_head().status == 200
    assert b"event: reset" in client._until(b"data: {}\n", 4096)


def test_the_next_worker_knows_no_place_of_this_one(folder):
    with Stage(folder) as stage:
        events = follow(stage)
        tunnel = stage.create()["id"]
        events.next("created")
        stage.worker.kill()
        assert events.ended() in ("eof", "reset")
    with Stage(folder, live=[(tunnel, boottime_us(60))]) as stage:
        again = follow(stage, last=events.place)
        assert again.next("reset") == {}
        assert again.place.partition("-")[0] != events.place.partition("-")[0]


def test_a_place_that_is_too_old(stage):
    """Only the latest are kept: behind them one is told so, however one fell behind."""
    events = follow(stage)
    first = stage.create()["id"]
    events.next("created")
    old = events.place
    for timeout in range(1, KEPT):
        patch(stage, first, timeout)
    still = follow(stage, last=old)
    assert still.next("updated")["timeout"] == 1
    still.close()
    patch(stage, first, 5000)
    patch(stage, first, 6000)
    gone = follow(stage, last=old)
    assert gone.next("reset") == {} and gone.silent()
    for timeout in range(1, KEPT):
        assert events.next("updated")["timeout"] == timeout, "who reads gets everything"


def test_head_and_methods(stage):
    client = stage.ask("HEAD", "/_api/events")
    answer = client.answer("HEAD")
    assert (answer.status, answer.fields.get("Content-Type")) == (200, "text/event-stream"), answer
    assert client.ended() == "eof", "it has an end"
    for method in ("POST", "DELETE", "PUT", "PATCH"):
        problem(stage.call(method, "/_api/events"), 405, "method_not_allowed")
    allow = stage.call("OPTIONS", "/_api/events", token=None).fields.get("Allow")
    assert set(allow.split(", ")) == {"GET", "HEAD", "OPTIONS"}
    problem(stage.call("GET", "/_api/events", token=None), 401, "token_invalid")
    problem(stage.call("GET", "/_api/events", token="wrong"), 401, "token_invalid")


def test_as_many_as_there_may_be(folder):
    with Stage(folder, max_event_streams=3) as stage:
        streams = [follow(stage) for _ in range(3)]
        refused = stage.call("GET", "/_api/events")
        said = problem(refused, 503, "too_many_connections")
        assert "max_event_streams (3)" in said["detail"] and refused.fields.get("Retry-After") == "3"
        assert stage.call("HEAD", "/_api/events").status == 200, "which takes no place"
        streams.pop().close()
        proc.wait_until(lambda: stage.call("HEAD", "/healthz", token=None).status == 200, 5, "works")

        def opened():
            client = stage.ask("GET", "/_api/events")
            return client if client.answer_head().status == 200 else None

        assert proc.wait_until(opened, 5, "its place is free again")
    with Stage(folder, max_event_streams=0) as stage:
        problem(stage.call("GET", "/_api/events"), 503, "too_many_connections")


def test_streams_take_no_places_of_requests(folder):
    with Stage(folder, max_event_streams=300) as stage:
        streams = [follow(stage) for _ in range(260)]
        tunnel = stage.create()["id"]
        for events in streams:
            assert events.next("created")["id"] == tunnel
        assert stage.works()


def test_an_edge_is_told_that_a_stream_has_no_end(stage):
    """On the edge's socket it shows that nobody reads. It is told by a byte that carries a descriptor."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    head = f"GET /_api/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    stage.gate.send(MSG.VISITOR, PEER, VISITORS, True, "", head, fd=theirs)
    theirs.close()
    ours.settimeout(20)
    seen, mark = b"", None
    while mark is None or b"\r\n" not in seen:
        data, fds, _, _ = socket.recv_fds(ours, 4096, 4)
        assert data, seen
        if fds:
            data, mark = data[:-1], data[-1]
        seen += data
        for fd in fds:
            os.close(fd)
    assert mark == 3 and seen.startswith(b"HTTP/1.1 200 "), (mark, seen)
    ours.close()


def test_clients_that_vanish(stage):
    assert stage.works()
    before = stage.worker.descriptors()
    for how in ("close", "reset", "half"):
        events = follow(stage)
        if how == "reset":
            events.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if how == "half":
            events.client.sock.shutdown(socket.SHUT_WR)
            assert events.ended() == "eof", "who sends no more is gone"
        events.close()
    proc.wait_until(lambda: stage.worker.descriptors() <= before, 5,
                    lambda: f"{stage.worker.descriptors()} descriptors, not {before} at most")
    stage.create()
    assert stage.works()


def test_what_a_client_sends_behind_its_request_does_not_matter(stage):
    events = follow(stage)
    events.client.send(b"GET /_api/tunnels HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    tunnel = stage.create()["id"]
    assert events.next("created")["id"] == tunnel


def test_a_client_that_does_not_read(stage):
    """It is cut; nothing is collected for it, and others do not wait."""
    tunnel = stage.create(name="n" * 128)["id"]
    client = stage.client(receive_buffer=4096)
    client.accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client.request("GET", "/_api/events", [("Authorization", f"Bearer {TOKEN}")])
    stage.hand_over(client)
    assert client.answer_head().status == 200
    reader = follow(stage)
    descriptors = stage.worker.descriptors()
    memory = stage.worker.process.rss_anon_kib()
    start = time.monotonic()
    timeout = 0
    while stage.worker.descriptors() >= descriptors:
        timeout += 1
        patch(stage, tunnel, timeout)
        assert reader.next("updated")["timeout"] == timeout
        assert time.monotonic() - start < 30, "it is still there"
    assert time.monotonic() - start > 8, "it had some time"
    grown = stage.worker.process.rss_anon_kib() - memory
    assert grown < 4096 or SANITIZED, f"{grown} KiB more for {timeout} events"


def test_a_client_that_takes_nothing_of_a_little(stage):
    """What the kernel has taken is not with the client: it may be gone without a word."""
    tunnel = stage.create(name="n" * 128)["id"]
    client = stage.client(receive_buffer=4096)
    client.request("GET", "/_api/events", [("Authorization", f"Bearer {TOKEN}")])
    stage.hand_over(client)
    assert client.answer_head().status == 200
    reader = follow(stage)
    descriptors = stage.worker.descriptors()
    for timeout in range(1, 31):
        patch(stage, tunnel, timeout)
        assert reader.next("updated")["timeout"] == timeout
    start = time.monotonic()
    proc.wait_until(lambda: stage.worker.descriptors() < descriptors, 20, lambda: "it is still there")
    assert time.monotonic() - start > 5, "it had some time"
    patch(stage, tunnel, 60)
    assert reader.next("updated")["timeout"] == 60, "who reads stays"


def test_it_says_something_every_now_and_then(stage):
    events, other = follow(stage), follow(stage)
    start = time.monotonic()
    for stream in (events, other):
        stream.client.sock.settimeout(2 * BEAT)
    assert events.client.take(3) == b":\n\n"
    assert BEAT - 2 < time.monotonic() - start < BEAT + 3
    assert other.client.take(3) == b":\n\n"


def test_the_end_of_the_worker_ends_it(stage, folder):
    events = follow(stage)
    stage.stop()
    assert events.ended() == "eof"


def test_ends_in_great_numbers(stage):
    """A batch of ends is told completely, in order, and only once each."""
    ids = [stage.create()["id"] for _ in range(200)]
    events = follow(stage)
    for id_ in ids:
        stage.ended(id_, EXPIRED)
    for id_ in ids:
        stage.acknowledged(id_)
    assert [events.next("ended")["id"] for _ in ids] == ids
    for id_ in ids[:3]:  # told again, as to a worker that forgot to acknowledge
        stage.ended(id_, REVOKED)
        stage.acknowledged(id_)
    assert events.silent()


def test_names_cannot_break_the_stream(stage):
    events = follow(stage)
    made = stage.create(name="\u2028 data: x \\n id: 1 \" é")
    assert events.next("created")["name"] == made["name"]
    assert events.silent()


def test_an_end_that_was_moved_without_its_row(stage):
    """The supervisor says so later; who follows learns of it then."""
    tunnel = stage.create(timeout=60)["id"]
    events = follow(stage)
    moved = boottime_us(600)
    for _ in range(2):  # once is enough
        stage.live(tunnel, moved)
        stage.worker.send(MSG.LIVE_DONE)
    told = events.next("updated")
    assert told == without(stage.show(tunnel), "counters")
    assert events.silent()


# ---- scoped tokens

@pytest.fixture
def tokens(stage):
    return tokens_of_others.make(stage), tokens_of_others.make(stage)


def test_a_token_follows_its_own_tunnels_only(stage, tokens):
    one, other = tokens
    owner, mine, theirs = (follow(stage, token=token) for token in (
        TOKEN, one["token"], other["token"]))
    made = tokens_of_others.tunnel(stage, one)
    for events in (owner, mine):
        assert events.next("created") == without(made, "secret", "share_url")
    stage.create()
    owner.next("created")
    place = mine.place
    other_made = tokens_of_others.tunnel(stage, other)
    assert theirs.next("created")["id"] == other_made["id"]
    end(stage, made["id"])
    assert mine.next("ended")["id"] == made["id"]
    for events in (mine, theirs):
        assert events.silent(), "of others it hears nothing"
    again = follow(stage, place, token=one["token"])
    assert again.next("ended")["id"] == made["id"]
    taken = follow(stage, owner.place, token=other["token"])
    assert taken.next("created")["id"] == other_made["id"]
    assert taken.silent(), "a place of somebody else's shows nothing of theirs"


def test_what_others_do_costs_a_token_no_place(stage, tokens):
    events = follow(stage, token=tokens[0]["token"])
    tunnel = stage.create()["id"]
    for timeout in range(1, KEPT + 10):
        patch(stage, tunnel, timeout)
    made = tokens_of_others.tunnel(stage, tokens[0])
    assert events.next("created")["id"] == made["id"], "and no reset"


def test_a_token_that_ends_loses_its_streams(stage, tokens):
    one, other = tokens
    first, second, stays = (follow(stage, token=token["token"]) for token in (one, one, other))
    owner = follow(stage)
    made = tokens_of_others.tunnel(stage, one)
    owner.next("created")
    tokens_of_others.delete(stage, one, made)
    for events in (first, second):
        assert events.ended() == "eof"
    problem(stage.call("GET", "/_api/events", token=one["token"]), 401, "token_invalid")
    assert owner.next("ended")["id"] == made["id"]
    assert stays.silent(), "others have theirs"


def test_a_token_whose_time_is_over_loses_its_stream(stage):
    token = tokens_of_others.make(stage, life=2)
    events = follow(stage, token=token["token"])
    start = time.monotonic()
    assert events.ended(10) == "eof"
    assert time.monotonic() - start < 4


def test_tokens_leave_the_owner_a_place(folder):
    """8 streams: 2 of one token, 6 of all."""
    with Stage(folder, max_event_streams=8) as stage:
        four = [tokens_of_others.make(stage) for _ in range(4)]
        streams = []
        for token in four[:3]:
            streams += [follow(stage, token=token["token"]) for _ in range(2)]
            problem(stage.call("GET", "/_api/events", token=token["token"]), 503, "too_many_connections")
        problem(stage.call("GET", "/_api/events", token=four[3]["token"]), 503, "too_many_connections")
        streams += [follow(stage) for _ in range(2)]
        problem(stage.call("GET", "/_api/events"), 503, "too_many_connections")


# Counters

def count(stage, *all_):
    """Answers the questions of one round: for the newest tunnel first."""
    asked = []
    for counters in all_:
        question = stage.expect(MSG.COUNTERS_GET, seconds=20)
        asked.append(question.fields[1])
        stage.worker.send(MSG.COUNTERS, question.fields[0], *counters)
    return asked


def test_counters(stage):
    """All that live at first, then those that have changed; nothing is asked for nobody."""
    first, second = stage.create()["id"], stage.create()["id"]
    plain, events = follow(stage), follow(stage, query="?counters=1")
    assert count(stage, (1, 1, 2, 30, 40, 0, 0), (0,) * 7) == [second, first]
    assert events.counters() == {"id": second, "counters": {
        "connections": 1, "open": 1, "requests": 2, "bytes_in": 30, "bytes_out": 40, "agents": 0,
        "last_activity": None}}
    assert events.counters()["id"] == first
    count(stage, (1, 0, 2, 30, 40, 0, 0), (0,) * 7)
    told = events.counters()
    assert (told["id"], told["counters"]["open"]) == (second, 0)
    count(stage, (1, 0, 2, 30, 40, 0, 0), (0,) * 7)
    assert events.silent() and plain.silent()
    later = follow(stage, query="?counters=1")
    assert [later.counters()["id"] for _ in range(2)] == [second, first], "what is known is told at once"
    for stream in (events, later):
        stream.close()
    # Ends of tunnels go on being told between, and a new stream begins anew.
    end(stage, first)
    assert [plain.next(kind)["id"] for kind in ("ended",)] == [first]
    again = follow(stage, query="?counters=1")
    while count(stage, (2, 0, 3, 30, 40, 0, 0)) != [second]:
        pass  # a question of before may have been on its way
    assert again.counters()["counters"]["requests"] == 3


def test_whose_counters(stage):
    token = tokens_of_others.make(stage)
    own = tokens_of_others.tunnel(stage, token)["id"]
    stage.create()
    events = follow(stage, query="?counters=1", token=token["token"])
    for _ in range(2):
        assert count(stage, (1, 0, 2, 30, 40, 0, 0)) == [own], "nobody wants to know about the other"
    assert events.counters()["id"] == own
    assert events.silent()


def test_counters_that_nobody_answers(stage):
    """A round goes on without."""
    first, second = stage.create()["id"], stage.create()["id"]
    events = follow(stage, query="?counters=1")
    assert stage.expect(MSG.COUNTERS_GET).fields[1] == second
    assert count(stage, (1, 0, 2, 30, 40, 0, 0)) == [first]
    assert events.counters()["id"] == first


@pytest.mark.parametrize("query", ["counters=2", "counters", "counter=1"])
def test_wrong_parameters(stage, query):
    said = problem(stage.call("GET", "/_api/events?" + query), 422, "invalid")
    assert [error["parameter"] for error in said["errors"]] == [query.partition("=")[0]]
