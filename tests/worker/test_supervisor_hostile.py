# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Children that lie. The supervisor ends each, says so in the log, starts another where there has to
# be one, and nobody else pays: a second tunnel serves its visitors from before to after.

import os
import signal
import socket
import time

import msgpack
import pytest
from child import MSG
from supervisor_stage import (
    EXPIRED, FAILED, HASH, REVOKED, Stage, boottime_us, holds, quiet, tunnel_id)
from support import backend, proc


@pytest.fixture
def server():
    with backend.HttpBackend() as server:
        yield server


@pytest.fixture
def stage(request):
    with Stage("api", *getattr(request, "param", ["relay"])) as stage:
        yield stage


@pytest.fixture
def descriptors():
    """One of each kind that may and may not be passed as a visitor."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    good, _ = listener.accept()
    pipe = os.pipe()
    ours, theirs = socket.socketpair()
    found = {
        "good": good, "blocking": client, "listening": listener,
        "unconnected": socket.socket(), "datagram": socket.socket(type=socket.SOCK_DGRAM),
        "seqpacket": socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)[0],
        "unix_blocking": ours, "pipe": os.fdopen(pipe[0], "rb"), "file": open("/dev/null", "rb"),
        "itself": None,
    }
    for name in ("good", "listening", "unconnected", "datagram", "seqpacket"):
        found[name].setblocking(False)
    yield found
    os.close(pipe[1])
    theirs.close()
    for held in found.values():
        held and held.close()


LATE_US = 300_000  # this process competes with what it measures; test_ends.py has the tight bound

# Whatever role sends it on its control channel.
ANYBODY = {
    "garbage": lambda c: c.raw(b"garbage"),
    "empty_array": lambda c: c.raw(b"\x90"),
    "oversized": lambda c: c.raw(msgpack.packb([MSG.LOG, c.epoch, 0, "x" * 70_000])),
    "unknown_type": lambda c: c.send(99),
    "type_zero": lambda c: c.send(0),
    "huge_type": lambda c: c.send(2**64 - 1),
    "of_the_supervisor": lambda c: c.send(MSG.LIVE_DONE),
    "ready_again": lambda c: c.send(MSG.READY, 31),
    "field_missing": lambda c: c.send(MSG.LOG, 1),
    "field_extra": lambda c: c.send(MSG.LOG, 1, "x", 1),
    "field_of_other_kind": lambda c: c.send(MSG.LOG, "1", "x"),
    "field_too_large": lambda c: c.send(MSG.LOG, 4, "x"),
    "text_too_long": lambda c: c.send(MSG.LOG, 1, "x" * 1025),
    "not_text": lambda c: c.raw(bytes([0x94, MSG.LOG, c.epoch, 1, 0xa1, 0xff])),
    "bytes_left_over": lambda c: c.raw(msgpack.packb([MSG.LOG, c.epoch, 1, "x"]) + b"\0"),
    "stray_descriptor": lambda c: c.send(MSG.LOG, 1, "x", fd=0),
    "many_descriptors": lambda c: c.send(MSG.LOG, 1, "x", fds=[0] * 253),
    "descriptors_with_garbage": lambda c: c.raw(b"garbage", [0] * 100),
}

OF_A_RELAY = {
    "of_a_worker": lambda c: c.send(MSG.END, 0, tunnel_id(), REVOKED),
    "spawns": lambda c: c.send(MSG.SPAWN, 1, tunnel_id(), "", "http://127.0.0.1", "none", "strip",
                               HASH, True, 1000, 0, 0, 0, 0, 0, b"", "", 0),
    "page_without_descriptor": lambda c: c.send(MSG.PAGE_OUT, 3, False, 0),
    "page_with_two": lambda c: c.send(MSG.PAGE_OUT, 3, False, 0, fds=[0, 0]),
    "dial_with_descriptor": lambda c: c.send(MSG.DIAL, 1, 0, fd=0),
    "attempt_too_large": lambda c: c.send(MSG.DIAL, 1, 17),
    "code_too_large": lambda c: c.send(MSG.PAGE_OUT, 999, False, 0, fd=0),
}


class TestRelay:
    @pytest.fixture
    def others(self, stage, server):
        """A worker, and a tunnel that must not notice anything."""
        worker = stage.worker()
        id_ = stage.real_tunnel(worker, server.url())
        (relay,) = stage.relays()
        with stage.connect() as client:
            assert client.exchange("GET", f"/t/{id_}/").status == 200
            yield worker
            assert client.exchange("GET", f"/t/{id_}/").status == 200  # still the same connection
        assert relay.alive()

    @pytest.mark.parametrize("what", [*ANYBODY, *OF_A_RELAY])
    def test_message(self, stage, server, others, what):
        liar, id_ = stage.tunnel(others, server.url())
        before = stage.supervisor.descriptors()
        (ANYBODY | OF_A_RELAY)[what](liar)
        assert liar.killed()
        assert f"relay[{liar.pid}] {id_}: protocol violation" in stage.logged("violation")
        stage.child("relay").be_real()
        proc.wait_until(lambda: stage.visit(id_) == 200, 5, "the tunnel is not repaired")
        holds(stage.supervisor, before)

    @pytest.mark.parametrize("kind", ["listening", "unconnected", "blocking", "unix_blocking",
                                      "datagram", "seqpacket", "pipe", "file", "itself"])
    def test_page_out_of_what_is_no_visitor(self, stage, server, others, descriptors, kind):
        liar, id_ = stage.tunnel(others, server.url())
        before = stage.supervisor.descriptors()
        liar.send(MSG.PAGE_OUT, 3, False, 0, fd=descriptors[kind] or liar.sock)
        assert liar.killed()
        stage.logged(f"{id_}: protocol violation: refused message")
        stage.child("relay").be_real()
        proc.wait_until(lambda: stage.visit(id_) == 200, 5, "the tunnel is not repaired")
        holds(stage.supervisor, before)

    def test_page_out_with_code_none(self, stage, server, others, descriptors):
        liar, _ = stage.tunnel(others, server.url())
        liar.send(MSG.PAGE_OUT, 0, False, 0, fd=descriptors["good"])
        assert liar.killed()

    @pytest.mark.parametrize("message", [
        (MSG.DIAL, 1, 0), (MSG.USED_UP, "bytes"), (MSG.READY, 32), (MSG.READY,)])
    def test_before_ready(self, stage, server, others, message):
        spawn = others.spawn(server.url())
        liar = stage.child("relay").lie()
        liar.send(*message)
        others.spawn_failed(spawn, "internal")
        assert liar.killed()
        stage.logged("protocol violation")

    def test_other_epochs_are_dropped(self, stage, server, others, descriptors):
        liar, _ = stage.tunnel(others, server.url())
        before = stage.supervisor.descriptors()
        for epoch in (0, liar.epoch - 1, liar.epoch + 1, 2**32 - 1):
            liar.send(MSG.PAGE_OUT, 3, False, 0, fd=descriptors["good"], epoch=epoch)
            liar.send(MSG.USED_UP, "bytes", epoch=epoch)
        liar.send(MSG.LOG, 2, "still there")
        stage.logged("still there")
        holds(stage.supervisor, before)
        assert others.silent(0.1)

    def test_closes_its_channel(self, stage, server, others):
        liar, id_ = stage.tunnel(others, server.url())
        liar.sock.close()
        assert liar.killed()
        stage.child("relay").be_real()
        proc.wait_until(lambda: stage.visit(id_) == 200, 5, "the tunnel is not repaired")

    def test_speaks_on_the_channel_of_visitors(self, stage, server, others):
        liar, _ = stage.tunnel(others, server.url())
        with socket.socket(fileno=os.dup(liar.fds[0])) as visitors:
            with pytest.raises(BrokenPipeError):
                visitors.send(msgpack.packb([MSG.ROUTE_DROP, 0, "t-x"]))

    def test_shuts_the_channel_of_visitors(self, stage, server, others):
        liar, id_ = stage.tunnel(others, server.url())
        with socket.socket(fileno=os.dup(liar.fds[0])) as visitors:
            visitors.shutdown(socket.SHUT_RD)
        with stage.connect() as client:  # its own visitors wait
            client.request("GET", f"/t/{id_}/")
            assert quiet(client.sock)

    def test_changes_the_counters(self, stage, server, others):
        """They are its word; it cannot take the page away from under the supervisor."""
        liar, id_ = stage.tunnel(others, server.url())
        with pytest.raises(PermissionError):
            os.ftruncate(liar.fds[1], 0)
        with pytest.raises(PermissionError):
            os.ftruncate(liar.fds[1], 8192)
        liar.counters(**dict.fromkeys(
            ("connections", "open", "requests", "bytes_in", "bytes_out", "last_activity",
             "agents"),
            2**64 - 1))
        assert set(others.counters(id_)) == {2**64 - 1}
        others.end(id_)
        others.ended(id_, REVOKED)

    def test_floods_the_log(self, stage, server, others):
        liar, _ = stage.tunnel(others, server.url())
        for i in range(5000):
            liar.send(MSG.LOG, 2, f"flood {i}")
        time.sleep(0.3)
        liar.send(MSG.LOG, 2, "last")
        stage.logged("lines of it were left out")
        assert 100 <= stage.log().count("flood ") < 300

    def test_cannot_forge_a_line(self, stage, server, others):
        liar, _ = stage.tunnel(others, server.url())
        liar.send(MSG.LOG, 2, "x\n2026-01-01T00:00:00Z error   forged \x1b[2J")
        line = stage.logged("forged")
        assert f"relay[{liar.pid}]" in line and "\x1b" not in line and "\\u000a" in line

    def test_dials_and_does_not_read(self, stage, server, others):
        liar, id_ = stage.tunnel(others, server.url())
        spawn = others.spawn(server.url(), life_ms=300)  # whose end must not be late
        stage.child("relay").ready()
        deadline = others.spawned(spawn)
        try:
            for i in range(100_000):
                liar.send(MSG.DIAL, i, 0)
        except OSError:
            pass
        others.ended(spawn[1], EXPIRED)
        assert boottime_us() - deadline < LATE_US
        assert liar.killed()
        stage.logged(f"{id_}: does not read its channel")

    def test_dials_without_end(self, stage, server, others):
        """Reading its answers it may go on as long as it likes: others are not kept waiting."""
        liar, id_ = stage.tunnel(others, server.url())
        spawn = others.spawn(server.url(), life_ms=500)
        stage.child("relay").ready()
        deadline = others.spawned(spawn)
        dialled = 0
        while not others.readable(0):
            for _ in range(50):
                liar.send(MSG.DIAL, dialled, 0)
            for _ in range(50):
                liar.recv().close()
                dialled += 1
        assert boottime_us() - deadline < LATE_US
        others.ended(spawn[1], EXPIRED)
        assert dialled > 100

    def test_lies_until_its_tunnel_is_given_up(self, stage, server, others):
        liar, id_ = stage.tunnel(others, server.url())
        for _ in range(4):
            liar.raw(b"lie")
            liar = stage.child("relay").start()
        liar.raw(b"lie")
        others.ended(id_, FAILED)
        assert stage.no_child("relay", 0.3)


class TestWorker:
    @pytest.fixture
    def others(self, stage, server):
        """The first worker; its tunnel has to be there for the next one."""
        worker = stage.worker()
        worker.tunnel = stage.real_tunnel(worker, server.url())
        with stage.connect() as client:
            assert client.exchange("GET", f"/t/{worker.tunnel}/").status == 200
            yield worker
            successor = stage.worker(alive=[worker.tunnel])
            assert successor.epoch > worker.epoch
            assert client.exchange("GET", f"/t/{worker.tunnel}/").status == 200
        successor.end(worker.tunnel)
        successor.ended(worker.tunnel, REVOKED)

    @pytest.mark.parametrize("what", ANYBODY)
    def test_message(self, stage, others, what):
        ANYBODY[what](others)
        assert others.killed()
        stage.logged(rf"api\[{others.pid}\]: protocol violation")

    @pytest.mark.parametrize("message", [
        (MSG.DIAL, 1, 0),
        (MSG.USED_UP, "bytes"),
        (MSG.RESOLVED, b"\0" * 16),
        (MSG.END, 0, "t-abc", 0),
        (MSG.END, 0, "t-abc", 9),
        (MSG.SPAWN, 1),
        (MSG.ENDED_ACK, ""),
        (MSG.COUNTERS_GET, 1, "t" * 33),
    ])
    def test_request(self, stage, others, message):
        others.send(*message)
        assert others.killed()
        stage.logged("protocol violation")

    @pytest.mark.parametrize("changes", [
        {"id_": "t-short"}, {"id_": "x-" + "a" * 26}, {"id_": "t-" + "A" * 26},
        {"id_": "t-" + "a" * 25 + "/"}, {"backend": "unix:/etc/passwd"}, {"backend": "http://"},
        {"backend": "http://127.0.0.1:99999"}, {"backend": "http://127.1"},
        {"backend": "http://user@127.0.0.1"}, {"auth": "open"}, {"prefix": "none"},
        {"secret_hash": b"short"}, {"counters": b"\x93\1\2\3"}, {"counters": b"\x97\1\2\3\4\5\6\xa0"},
        {"name": "x" * 129}], ids=str)
    def test_spawn_of_what_is_no_tunnel(self, stage, others, changes):
        others.spawn(**{"backend": "http://127.0.0.1:1"} | changes)
        assert others.killed()
        stage.logged("protocol violation")
        assert stage.no_child("relay", 0.1)

    def test_before_ready(self, stage, others):
        others.exit(1)
        liar = stage.child("api").lie()
        liar.send(MSG.SNAPSHOT)
        assert liar.killed()
        stage.logged("protocol violation: message out of phase")

    def test_is_not_sealed(self, stage, others):
        others.exit(1)
        liar = stage.child("api").lie(sealed=False)
        liar.send(MSG.READY, 31)
        assert liar.killed()

    def test_floods_and_does_not_read(self, stage, others):
        try:
            for _ in range(100_000):
                others.send(MSG.COUNTERS_GET, 1, others.tunnel)
        except OSError:
            pass
        assert others.killed()
        stage.logged("api.*does not read its channel")

    def test_floods_the_log_with_refusals(self, stage, others):
        before = stage.log().count("\n")
        for _ in range(500):
            others.spawn("http://0.0.0.0:1")
        for _ in range(500):
            others.expect(MSG.SPAWN_FAILED)
        assert stage.log().count("\n") - before < 200
        others.exit(0)

    def test_dies_while_a_tunnel_starts(self, stage, server, others):
        others.spawn(server.url())
        orphan = stage.child("relay")
        others.exit(0)
        assert orphan.killed(2)

    def test_spawns_and_ends_without_end(self, stage, server, others):
        spawns = [others.spawn(server.url()) for _ in range(300)]
        for spawn in spawns:
            others.end(spawn[1])
        ended = set()
        while len(ended) < 300:
            message = others.recv()
            if message.type == MSG.ENDED:
                ended.add(message.fields[0])
        assert ended == {spawn[1] for spawn in spawns}
        for spawn in spawns:
            others.send(MSG.ENDED_ACK, spawn[1])
        assert others.counters(others.tunnel).requests == 1
        others.exit(0)

    def test_shuts_the_channel_of_visitors(self, stage, others):
        gates = stage.gates()
        with socket.socket(fileno=os.dup(others.fds[0])) as visitors:
            visitors.shutdown(socket.SHUT_RD)
        others.exit(1)
        stage.logged("channel from the gates to the API worker was shut")
        proc.wait_until(lambda: not any(gate.alive() for gate in gates), 5, "old gates")
        proc.wait_until(lambda: stage.visit(others.tunnel) == 200, 5, "no visitor gets through")


class TestWorkerIsAway:
    def test_ends_are_told_to_the_next(self, stage, server):
        worker = stage.worker()
        relay, first = stage.tunnel(worker, server.url())
        _, second = stage.tunnel(worker, server.url(), life_ms=400)
        _, third = stage.tunnel(worker, server.url())
        worker.end(first)
        worker.ended(first, REVOKED)  # and is not acknowledged
        worker.exit(0)
        absent = stage.child("api")
        time.sleep(0.6)
        worker = absent.start(alive=[third], ended=[(first, REVOKED), (second, EXPIRED)])
        worker.send(MSG.ENDED_ACK, first)
        worker.send(MSG.SNAPSHOT)
        worker.expect_told(alive=[third], ended=[(second, EXPIRED)])
        worker.send(MSG.ENDED_ACK, second)
        worker.send(MSG.SNAPSHOT)
        worker.expect_told(alive=[third])

    def test_many(self, stage, server):
        """More than a channel holds: told at the reader's pace, each once."""
        worker = stage.worker()
        ids = []
        for _ in range(400):
            spawn = worker.spawn(server.url(), life_ms=86_400_000)
            stage.child("relay").ready()
            worker.spawned(spawn)
            ids.append(spawn[1])
        worker.exit(0)
        worker = stage.worker(alive=ids)
        for id_ in ids:
            worker.end(id_)
        assert {worker.expect(MSG.ENDED).fields[0] for _ in ids} == set(ids)

    def test_visitors_of_the_api_wait(self, stage):
        worker = stage.worker()
        worker.exit(0)
        absent = stage.child("api")
        with stage.connect() as client:
            client.request("GET", "/readyz")
            assert quiet(client.sock)
            worker = absent.start()
            worker.visitor()[0].close()

    def test_answers_for_a_dead_worker_are_dropped(self, stage, server):
        worker = stage.worker()
        worker.spawn(server.url())
        relay = stage.child("relay")
        worker.exit(0)
        assert relay.killed(2)
        worker = stage.worker()
        assert worker.silent(0.2)

    def test_back_within_a_second(self, stage):
        for _ in range(4):
            worker = stage.worker()
            stage.logged("ready:")
            worker.exit(1)
            start = time.monotonic()
            assert worker.killed()
            stage._waiting["api"].append(stage.child("api", 2))
            assert time.monotonic() - start < 1


@pytest.mark.parametrize("stage", [["gate"]], indirect=True)
class TestGate:
    @pytest.fixture
    def pair(self, stage, server):
        """A worker, a lying gate, and an honest one that serves a tunnel."""
        worker = stage.worker()
        first = stage.child("gate").ready()
        first.setup()
        stage.child("gate").be_real()
        _, id_ = stage.tunnel(worker, server.url())
        assert first.expect(MSG.ROUTE_ADD).fields == [id_, 0]
        assert stage.visit(id_) == 200
        yield first, id_
        assert stage.visit(id_) == 200

    @pytest.fixture
    def stage(self, request):
        with Stage("api", "gate", gates=2) as stage:
            yield stage

    @pytest.mark.parametrize("what", ANYBODY)
    def test_message(self, stage, pair, what):
        liar, id_ = pair
        ANYBODY[what](liar)
        assert liar.killed()
        stage.logged(rf"gate\[{liar.pid}\]: protocol violation")
        stage.child("gate").ready().setup(routes=[id_])

    @pytest.mark.parametrize("message", [
        (MSG.END, 0, tunnel_id(), REVOKED), (MSG.DIAL, 1, 0), (MSG.SNAPSHOT,),
        (MSG.ROUTE_ADD, "t-x")])
    def test_request(self, stage, pair, message):
        liar, _ = pair
        liar.send(*message)
        assert liar.killed()
        stage.logged("protocol violation")

    def test_routes_come_and_go(self, stage, server, pair):
        gate, id_ = pair
        (worker,) = [played for played in stage._all if played.role == "api"]
        _, second = stage.tunnel(worker, server.url())
        assert gate.expect(MSG.ROUTE_ADD).fields == [second, 0]
        worker.end(second)
        worker.ended(second, REVOKED)
        assert gate.expect(MSG.ROUTE_DROP).fields == [second]

    def test_kill(self, stage, pair):
        gate, id_ = pair
        gate.process.signal(signal.SIGKILL)
        stage.child("gate", 1).ready().setup(routes=[id_])

    def test_does_not_read(self, stage, server, pair):
        """It is told of many tunnels and does not listen: replaced after five seconds."""
        gate, id_ = pair
        (worker,) = [played for played in stage._all if played.role == "api"]
        before = stage.supervisor.descriptors()
        for _ in range(400):
            worker.spawn(server.url(), life_ms=700)
        told = [worker.recv().type for _ in range(800)]
        assert sorted(told) == 400 * [MSG.SPAWNED] + 400 * [MSG.ENDED]
        assert gate.killed(10)
        stage.logged(rf"gate\[{gate.pid}\]: does not read its channel")
        assert stage.supervisor.descriptors() < before + 3 * 400 + 50
        stage.child("gate").ready().setup(routes=[id_])
