# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# EXTEND as the supervisor does it, honest workers and others: what may live how long, what the
# relay is told, and that an end is kept to the moment whatever has been asked before.

import os
import time

import msgpack
import pytest
from child import MSG
from supervisor_stage import CODE, EXPIRED, REVOKED, Stage, boottime_us, tunnel_id
from support import backend, proc

MAX_MS = 86_400_000
LATE_US = 300_000  # this process competes with what it measures


@pytest.fixture
def server():
    with backend.HttpBackend() as server:
        yield server


@pytest.fixture
def stage():
    """The API worker and the relays are played."""
    with Stage("api", "relay") as stage:
        yield stage


def send(worker, id_, left_ms, request=77):
    worker.send(MSG.EXTEND, request, id_, left_ms)


def extended(worker, request=77):
    """The new deadline."""
    answer = worker.expect(MSG.EXTENDED)
    assert answer.fields[0] == request, answer
    return answer.fields[1]


def failed(worker, code, request=77):
    """The sentence that comes with it."""
    answer = worker.expect(MSG.EXTEND_FAILED)
    assert answer.fields[:2] == [request, CODE[code]], answer
    return answer.fields[2]


def config(relay):
    return msgpack.unpackb(relay.expect(MSG.RELAY_CONFIG).fields[0])


def test_later_and_sooner(stage, server):
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, server.url(), life_ms=60_000, name="n", max_requests=5)
    born = boottime_us()
    for left_ms in (3_600_000, 30_000, 500):
        asked = boottime_us()
        send(worker, id_, left_ms)
        deadline = extended(worker)
        assert asked <= deadline - left_ms * 1000 <= boottime_us()
        new = config(relay)
        assert new[:7] + new[8:] == relay.config[:7] + relay.config[8:], "only the life differs"
        assert abs(born + new[7] * 1000 - deadline) < LATE_US, "from its beginning to its end"
    worker.ended(id_, EXPIRED, 2)
    assert 0 <= boottime_us() - deadline < LATE_US
    assert relay.killed()


def test_the_old_end_passes(stage, server):
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, server.url(), life_ms=400)
    send(worker, id_, 1500)
    deadline = extended(worker)
    assert worker.silent(0.8), "it would have been over by now"
    worker.ended(id_, EXPIRED)
    assert 0 <= boottime_us() - deadline < LATE_US


def test_a_new_worker_is_told_the_new_end(stage, server):
    worker = stage.worker()
    _, id_ = stage.tunnel(worker, server.url())
    send(worker, id_, 600_000)
    deadline = extended(worker)
    worker.exit(0)
    worker = stage.child("api").ready()
    worker.settings(MSG.API_SETUP)
    (told,) = worker.expect_told(alive=[id_])
    assert told.fields[1] == deadline


def test_no_longer_than_max_timeout_from_its_beginning(server):
    with Stage("api", "relay", max_timeout="10s", default_timeout="5s") as stage:
        worker = stage.worker()
        relay, id_ = stage.tunnel(worker, server.url(), life_ms=5000)
        send(worker, id_, 10_000)  # the last second is rounded up, the end is not
        latest = extended(worker)
        assert config(relay)[7] == 10_000
        for left_ms in (10_001, 11_000, 86_400_000, 2**31 * 1000 - 1000):
            send(worker, id_, left_ms)
            assert failed(worker, "invalid") == "Must be a whole number from 1 to 10 now."
        time.sleep(1.1)
        send(worker, id_, 10_000)
        assert failed(worker, "invalid") == "Must be a whole number from 1 to 9 now."
        send(worker, id_, 9000)
        assert extended(worker) == latest
        send(worker, id_, 1000)
        extended(worker)
        send(worker, id_, 9000)
        assert extended(worker) == latest, "shortening does not move its beginning"


def test_a_restored_tunnel_has_lived_already(stage, server):
    """Its whole life comes with SPAWN, in the boot in which it began or another one."""
    worker = stage.worker()
    end = boottime_us(600)
    relay, id_ = stage.tunnel(worker, server.url(), life_ms=MAX_MS - 1_000_000, deadline_us=end)
    assert relay.config[7] == MAX_MS - 1_000_000
    send(worker, id_, 1_700_000)
    assert "from 1 to 1600 now" in failed(worker, "invalid")
    send(worker, id_, 1_600_000)
    assert abs(extended(worker) - end - 1_000_000_000) < 1000
    assert config(relay)[7] == MAX_MS


def test_a_crashed_relay_gets_the_new_config(stage, server):
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, server.url(), life_ms=60_000)
    send(worker, id_, 300_000)
    extended(worker)
    first = config(relay)
    relay.exit(1)
    relay = stage.child("relay").start()
    assert relay.config == first


def test_while_the_relay_is_being_replaced(stage, server):
    """Between two relays, and with one that is not READY: the next one has the new CONFIG."""
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, server.url(), life_ms=500)
    relay.exit(1)
    successor = stage.child("relay")
    send(worker, id_, 600)
    extended(worker)
    send(worker, id_, 2000)
    deadline = extended(worker)
    successor.start()
    assert 1900 < successor.config[7] < 2500
    assert successor.silent(0.1), "what it was set up with needs no repeating"
    worker.ended(id_, EXPIRED, 3)
    assert 0 <= boottime_us() - deadline < LATE_US


def test_a_relay_that_is_behind_is_told_the_latest(stage, server):
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, server.url())
    for request in range(5000):
        send(worker, id_, 600_000 + request, request)
        deadline = extended(worker, request)
    received = [config(relay)]
    while relay.readable(0.3):
        received.append(config(relay))
    assert len(received) < 1000, "what waits for it is bounded"
    lives = [new[7] for new in received]
    assert lives == sorted(lives) and lives[-1] >= 604_999
    assert relay.process.alive() and worker.silent(0)


def test_what_cannot_be_extended(stage, server):
    worker = stage.worker()
    send(worker, tunnel_id(), 1000)
    failed(worker, "tunnel_unknown")
    send(worker, "any", 1000)
    failed(worker, "tunnel_unknown")
    spawn = worker.spawn(server.url(), life_ms=60_000)
    starting = stage.child("relay")
    send(worker, spawn[1], 1000)
    failed(worker, "conflict")
    starting.start()
    worker.spawned(spawn)
    send(worker, spawn[1], 0)
    failed(worker, "invalid")
    worker.end(spawn[1])
    worker.ended(spawn[1], REVOKED)
    send(worker, spawn[1], 1000)
    failed(worker, "tunnel_over")
    worker.send(MSG.ENDED_ACK, spawn[1])
    send(worker, spawn[1], 1000)
    failed(worker, "tunnel_unknown")


@pytest.mark.parametrize("fields", [
    (1, tunnel_id(), 2**31 * 1000), (1, tunnel_id(), 2**64 - 1), (1, "t", 1), (1, "t" * 33, 1),
    (1, tunnel_id(), "1"), (1, tunnel_id()), (1, tunnel_id(), 1, 1), (tunnel_id(), 1, 1)])
def test_no_worker_of_ours_sends_this(stage, server, fields):
    worker = stage.worker()
    _, id_ = stage.tunnel(worker, server.url())
    worker.send(MSG.EXTEND, *fields)
    assert worker.killed()
    stage.logged("protocol violation")
    stage.worker(alive=[id_])


def test_a_worker_that_asks_without_end(stage, server):
    """Others end on time while one worker moves an end as fast as it can."""
    worker = stage.worker()
    _, short = stage.tunnel(worker, server.url(), life_ms=700)
    deadline = boottime_us(0.7)
    real = stage.real_tunnel(worker, server.url())
    ended = asked = 0
    while not ended:
        for _ in range(50):
            send(worker, real, 100_000 + asked, asked)
            asked += 1
        answered = 0
        while answered < 50:
            message = worker.recv()
            answered += message.type == MSG.EXTENDED
            ended = ended or (message.type == MSG.ENDED and boottime_us())
    assert ended - deadline < LATE_US, f"{ended - deadline} us late after {asked}"
    assert stage.visit(real) == 200, "its relay is as good as before"


def test_at_the_very_moment_of_the_end(stage, server):
    """EXTENDED means that it lives on, EXTEND_FAILED that it does not: tried around the deadline."""
    worker = stage.worker()
    outcomes = {MSG.EXTENDED: 0, MSG.EXTEND_FAILED: 0}
    for i in range(40):
        _, id_ = stage.tunnel(worker, server.url(), life_ms=200)
        due = boottime_us(0.2)
        while boottime_us() < due - 6000 + 200 * i:  # 6 ms before to 2 ms after
            pass
        send(worker, id_, 60_000, i)
        ended = False
        while (message := worker.recv()).type not in outcomes:
            assert message.type == MSG.ENDED, message
            ended = True
        outcomes[message.type] += 1
        if message.type == MSG.EXTENDED:
            assert not ended and worker.silent(0.02), "it was said to live on"
            worker.end(id_)
            worker.ended(id_, REVOKED)
        elif not ended:
            worker.ended(id_, EXPIRED)
        worker.send(MSG.ENDED_ACK, id_)
    assert all(outcomes.values()), f"both have to happen: {outcomes}"
