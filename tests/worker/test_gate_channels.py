# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A gate among its neighbours: routes that come and go, receivers that are busy or dead, too few
# descriptors, and its own start and end.

import contextlib
import os
import signal
import time

import pytest
from child import MSG, OWN_UID, SECCOMP, SETTLE, UID, USE, Channel, Child, one_way
from gate_stage import A, B, Stage, get, names, problem
from support import proc

PARK = 5          # seconds that a visitor waits for a busy receiver
PARKED_MAX = 256  # visitors that wait for one of them


@pytest.fixture
def stage():
    with Stage() as running:
        yield running


# Routes


def test_a_route_that_waits_in_the_channel_is_known(stage):
    """A visitor can be there before the gate has read that its tunnel lives."""
    assert stage.still_works()
    stage.gate.kill(signal.SIGSTOP)
    client = stage.visitor(get(f"/t/{A}/"))
    for name in names(80):
        stage.relay(name)
    relay = stage.relay(A)
    stage.gate.kill(signal.SIGCONT)
    with stage.take(relay) as taken:
        assert taken.is_of(client)


def test_a_dropped_route_is_the_api_workers(stage):
    stage.relay(A)
    stage.gate.send(MSG.ROUTE_DROP, A)
    assert stage.still_works()
    client = stage.visitor(get(f"/t/{A}/"))
    with stage.take(stage.api) as taken:
        assert taken.is_of(client)
    stage.gate.send(MSG.ROUTE_DROP, A)  # once more is no mistake
    assert stage.still_works()


def test_a_new_channel_replaces_a_living_one(stage):
    old = stage.relay(A)
    new = stage.relay(A)
    assert stage.still_works()
    client = stage.visitor(get(f"/t/{A}/"))
    with stage.take(new) as taken:
        assert taken.is_of(client)
    assert old.closed()


def test_many_routes(stage):
    relays = {name: stage.relay(name) for name in names(300)}
    dropped = names(300)[::2]
    for name in dropped:
        stage.gate.send(MSG.ROUTE_DROP, name)
    assert stage.still_works()
    for name, relay in relays.items():
        client = stage.visitor(get(f"/t/{name}/"))
        with stage.take(stage.api if name in dropped else relay) as taken:
            assert taken.is_of(client)


# Busy and dead receivers


BULKY = "Content-Length: 40000"


def bulky(path):
    """A request so large that a handful of them fills a channel."""
    return get(path, BULKY) + bytes(40000)


def overfill(stage, channel, path, count=24):
    """More visitors than the channel takes: the rest is parked. Returns all, in order."""
    visitors = [stage.visitor(bulky(path)) for _ in range(count)]
    assert stage.still_works(), "others have to wait"
    return visitors


def test_a_full_channel_is_waited_for(stage):
    relay = stage.relay(A)
    visitors = overfill(stage, relay, f"/t/{A}/")
    for client in visitors:  # first come, first served
        with stage.take(relay) as taken:
            assert taken.sock.getpeername() == client.sock.getsockname()
            assert taken.bytes.startswith(get(f"/t/{A}/", BULKY))
    client = stage.visitor(get(f"/t/{A}/"))
    with stage.take(relay) as taken:
        assert taken.is_of(client)


def test_visitors_parked_at_the_api_workers_channel(stage):
    relay = stage.relay(A)
    visitors = [stage.visitor(bulky("/_api/")) for _ in range(24)]
    client = stage.visitor(get(f"/t/{A}/"))
    with stage.take(relay) as taken:
        assert taken.is_of(client), "a stopped API worker costs a tunnel's visitor something"
    for client in visitors:
        with stage.take(stage.api) as taken:
            assert taken.sock.getpeername() == client.sock.getsockname()


def test_a_channel_full_for_too_long_and_a_relay_that_stays_dead(stage):
    full = stage.relay(A)
    dead = stage.relay(B)
    assert stage.still_works()
    dead.close()
    started = time.monotonic()
    in_vain = [
        stage.visitor(get(f"/t/{B}/")),
        *overfill(stage, full, f"/t/{A}/")[-2:],
    ]
    to_head = stage.visitor(get(f"/t/{B}/", method="HEAD"))
    upgrade = stage.visitor(get(f"/t/{B}/", "Connection: upgrade", "Upgrade: websocket"))
    for client in in_vain:
        answer, _ = problem(client, 503, "draining", seconds=PARK + SETTLE)
        assert int(answer.fields.get("Retry-After")) > 0
    assert PARK - 0.5 < time.monotonic() - started < PARK + 3
    answer = to_head.answer("HEAD")
    assert (answer.status, to_head.rest()) == (503, b"")
    answer = upgrade.answer()
    assert (answer.status, answer.body) == (503, b"")
    # Those that are in the channel are the relay's, whenever it looks.
    with stage.take(full) as taken:
        assert taken.bytes.startswith(get(f"/t/{A}/", BULKY))


def test_only_so_many_are_parked_at_one_tunnel(stage):
    stage.relay(A).close()
    path = get(f"/t/{A}/")
    parked = [stage.visitor(path) for _ in range(PARKED_MAX)]
    problem(stage.visitor(path), 503, "draining", seconds=PARK - 1)
    assert stage.still_works()
    relay = stage.relay(A)
    for client in parked:
        with stage.take(relay) as taken:
            assert taken.is_of(client)


def test_only_so_many_are_parked_in_all():
    with Stage(max_pending=3) as stage:
        for tunnel in (A, B):
            stage.relay(tunnel).close()
        assert stage.still_works()
        for tunnel in (A, A, B):
            stage.visitor(get(f"/t/{tunnel}/"))
        problem(stage.visitor(get(f"/t/{B}/")), 503, "draining", seconds=PARK - 1)
        assert stage.still_works()


def test_the_visitors_of_a_relay_that_comes_back_do_not_notice(stage):
    dead = stage.relay(A)
    client = stage.visitor(get(f"/t/{A}/"))
    stage.take(dead).sock.close()
    dead.close()
    clients = [stage.visitor(get(f"/t/{A}/{number}")) for number in range(10)]
    clients[3].reset()
    trickling = stage.visitor(get(f"/t/{A}/trickle")[:-1])
    assert stage.still_works()
    trickling.send(b"\n")
    relay = stage.relay(A)
    for number, client in enumerate(clients):
        with stage.take(relay) as taken:
            assert taken.bytes == get(f"/t/{A}/{number}")
            if number != 3:
                assert taken.is_of(client)
    with stage.take(relay) as taken:
        assert taken.is_of(trickling)


def test_who_is_parked_when_the_tunnel_ends_hears_it_from_the_api_worker(stage):
    stage.relay(A).close()
    clients = [stage.visitor(get(f"/t/{A}/")) for _ in range(5)]
    assert stage.still_works()
    stage.gate.send(MSG.ROUTE_DROP, A)
    for client in clients:
        with stage.take(stage.api) as taken:
            assert taken.is_of(client)


# Out of descriptors


def cpu_share(stage, seconds):
    before = stage.gate.process.cpu_seconds()
    time.sleep(seconds)
    return (stage.gate.process.cpu_seconds() - before) / seconds


@pytest.fixture
def small_stage():
    """With little room for visitors: 32 descriptors are the gate's reserve."""
    with Stage(descriptors=80) as running:
        yield running


def test_slow_heads_that_use_up_all_descriptors(small_stage):
    stage = small_stage
    relay = stage.relay(A)
    for _ in range(300):
        stage.visitor(b"GET / HTTP/1.1\r\n")
    for _ in range(50):
        client = stage.visitor(get(f"/t/{A}/"))
        with stage.take(relay) as taken:
            assert taken.is_of(client)
    new = stage.relay(B)  # its channel can still be received
    client = stage.visitor(get(f"/t/{B}/"))
    with stage.take(new) as taken:
        assert taken.is_of(client)
    assert cpu_share(stage, 0.5) < 0.2


def test_parked_visitors_that_use_up_all_descriptors(small_stage):
    """Nothing can be given back here, so accepting pauses until the parked ones have gone."""
    stage = small_stage
    stage.relay(A).close()
    clients = [stage.visitor(get(f"/t/{A}/")) for _ in range(100)]
    stage.gate.expect(MSG.LOG)
    assert cpu_share(stage, 0.5) < 0.2
    relay = stage.relay(A)  # the reserve is there for this
    for client in clients:
        with stage.take(relay) as taken:
            assert taken.is_of(client)
    assert stage.still_works()


def test_too_many_descriptors_under_way(small_stage):
    """
    The kernel lets a user have only so many in all sockets together. A channel can be refused more
    while it is empty, so that epoll calls it writable all the time.
    """
    stage = small_stage
    relays = {name: stage.relay(name) for name in names(10)}
    for relay in relays:  # 90 visitors, of which 81 can be on their way
        clients = [stage.visitor(get(f"/t/{relay}/")) for _ in range(9)]
    last = relays[relay]
    assert cpu_share(stage, 0.5) < 0.2
    assert last.silent(0)
    for relay in list(relays.values())[:-1]:
        for _ in range(9):
            stage.take(relay).sock.close()
    for client in clients:
        with stage.take(last) as taken:
            assert taken.is_of(client)
    assert stage.still_works()


def test_a_lost_route_ends_the_gate(small_stage):
    """It could never learn which one it was: the next gate gets them all again."""
    with contextlib.suppress(ConnectionError):
        for name in names(80):
            small_stage.relay(name)
    assert small_stage.gate.wait() == 6


# Life


def test_two_gates_share_a_listener(stage):
    relay = stage.relay(A)
    with Stage() as other:
        sending, receiving = one_way()
        both = Channel(receiving)
        for gate in (stage.gate, other.gate):
            gate.send(MSG.ROUTE_ADD, A, 0, fd=sending)
        sending.close()
        assert stage.still_works()
        other.gate.send(MSG.LISTENER, 1, USE.VISITORS, False, fd=stage.listener)
        assert other.still_works()
        clients = {}
        for _ in range(200):
            client = stage.visitor(get(f"/t/{A}/"))
            clients[client.sock.getsockname()] = client
        for _ in range(200):
            with stage.take(both) as taken:
                assert taken.is_of(clients.pop(taken.sock.getpeername()))
        assert both.silent(0) and relay.closed()
        both.close()


def test_it_is_sealed(stage):
    status = stage.gate.process.status()
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1"), status
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0, status
    assert stage.reached & SECCOMP
    uid = UID if proc.ROOT else os.getuid()
    assert status["Uid"].split() == [str(uid)] * 4, status
    assert bool(stage.reached & OWN_UID) == proc.ROOT


def test_it_goes_with_its_supervisor(stage):
    stage.gate.close()
    assert stage.gate.wait() == 5


@pytest.mark.parametrize("fields", [
    (MSG.GATE_SETUP, 1, 1, 0, 1, 1), (MSG.ROUTE_DROP, 1), (MSG.ROUTE_DROP,), (MSG.DIALED, 1, 1), (99,)])
def test_a_message_that_does_not_belong_ends_it(stage, fields):
    stage.gate.send(*fields)
    assert stage.gate.wait() == 5


def test_a_message_for_its_predecessor_is_dropped(stage):
    stage.gate.send(MSG.ROUTE_DROP, A, epoch=stage.gate.epoch + 1)
    assert stage.still_works()


def test_by_hand_it_does_not_start():
    with Child("gate", args=["nonsense"]) as gate:
        assert gate.wait() == 2
        assert b"by hand" in gate.log().encode()
