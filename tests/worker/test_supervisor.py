# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real supervisor; the test plays the API worker and, where that is the story, relays.

import os
import resource
import signal
import socket
import struct
import time

import pytest
from child import MSG
from supervisor_stage import (
    EXHAUSTED, EXPIRED, FAILED, REVOKED, Stage, boottime_us, holds, quiet, tunnel_id)
from support import backend, proc


@pytest.fixture
def server():
    with backend.HttpBackend() as server:
        yield server


@pytest.fixture
def stage():
    """The API worker is played, all else is real."""
    with Stage("api") as stage:
        yield stage


@pytest.fixture
def relays():
    """The API worker and the relays are played."""
    with Stage("api", "relay") as stage:
        yield stage


class TestLife:
    def test_from_spawn_to_end(self, stage, server):
        worker = stage.worker()
        before = boottime_us()
        spawn = worker.spawn(server.url(), life_ms=5000)
        deadline = worker.spawned(spawn)
        assert before + 5_000_000 < deadline < boottime_us(5)
        assert stage.visit(spawn[1]) == 200
        assert worker.counters(spawn[1]).requests == 1
        (relay,) = stage.relays()
        worker.end(spawn[1])
        counters = worker.ended(spawn[1], REVOKED)
        assert not relay.alive()
        assert (counters.requests, counters.open) == (1, 0)
        worker.send(MSG.ENDED_ACK, spawn[1])
        assert worker.counters(spawn[1]).requests == 0

    def test_settings_reach_the_relay(self, relays, server):
        worker = relays.worker()
        relay, id_ = relays.tunnel(
            worker, server.url(), name="my app", auth="basic", prefix="keep", life_ms=7000,
            max_connections=3, max_requests=4, max_bytes=5, request_rate=6)
        assert relay.config == [1, id_, "my app", server.url(), "basic", "keep", "visitor", 7000,
                                3, 4, 5, 6, "path", 0]

    def test_limits_of_the_operator(self, server):
        with Stage("api", "relay", max_timeout="10s", default_timeout="5s", request_rate=50,
                   max_connections_per_tunnel=20) as stage:
            worker = stage.worker()
            relay, _ = stage.tunnel(worker, server.url(), life_ms=10**9)
            assert relay.config[7:12] == [10_000, 20, 0, 0, 50]
            relay, _ = stage.tunnel(worker, server.url(), max_connections=21, request_rate=51)
            assert relay.config[7:12] == [10_000, 20, 0, 0, 50]
            relay, _ = stage.tunnel(worker, server.url(), max_connections=1, request_rate=1)
            assert relay.config[7:12] == [10_000, 1, 0, 0, 1]

    def test_deadline_of_a_restored_tunnel(self, relays, server):
        worker = relays.worker()
        for deadline, life, expected in ((boottime_us(3), 60_000, 3), (boottime_us(60), 4000, 4)):
            spawn = worker.spawn(server.url(), deadline_us=deadline, life_ms=life)
            relays.child("relay").start()
            assert abs(worker.spawned(spawn) - boottime_us(expected)) < 1_000_000

    def test_deadline_in_the_past(self, relays, server):
        worker = relays.worker()
        spawn = worker.spawn(server.url(), deadline_us=1)
        relay = relays.child("relay").ready()
        worker.spawned(spawn)
        worker.ended(spawn[1], EXPIRED)
        assert relay.killed()

    def test_counters_of_a_restored_tunnel(self, relays, server):
        worker = relays.worker()
        old = [10, 3, 20, 2**40, 2**41, 1_790_000_000, 2]
        packed = bytes([0x97]) + b"".join(b"\xcf" + value.to_bytes(8, "big") for value in old)
        relay, id_ = relays.tunnel(worker, server.url(), counters=packed)
        assert struct.unpack("7Q", os.pread(relay.fds[1], 56, 0)) == (10, 0, *old[2:6], 0)
        assert worker.counters(id_) == (10, 0, *old[2:6], 0)

    def test_ends_on_time(self, stage, server):
        """Also when the worker does not listen, and while others are made."""
        worker = stage.worker()
        spawn = worker.spawn(server.url(), life_ms=1500)
        deadline = worker.spawned(spawn)
        (relay,) = stage.relays()
        for _ in range(40):
            worker.spawn(server.url())
        proc.wait_until(lambda: not relay.alive(), 5, "the relay lives on")
        assert 0 <= boottime_us() - deadline < 100_000
        while (message := worker.recv()).type != MSG.ENDED:
            assert message.type == MSG.SPAWNED
        assert message.fields[:2] == [spawn[1], EXPIRED]

    def test_budget_used_up(self, relays, server):
        worker = relays.worker()
        relay, id_ = relays.tunnel(worker, server.url())
        relay.counters(connections=1, open=1, requests=2, bytes_in=3, bytes_out=4)
        relay.send(MSG.USED_UP, "bytes")
        assert worker.ended(id_, EXHAUSTED) == (1, 0, 2, 3, 4, 0, 0)
        assert relay.killed()

    def test_end_of_what_is_not_there(self, stage):
        worker = stage.worker()
        id_ = tunnel_id()
        worker.end(id_, REVOKED)
        assert worker.ended(id_, REVOKED) == (0,) * 7

    def test_end_while_starting(self, relays, server):
        worker = relays.worker()
        spawn = worker.spawn(server.url())
        relay = relays.child("relay")
        worker.end(spawn[1])
        worker.spawn_failed(spawn, "conflict")
        worker.ended(spawn[1], REVOKED)
        assert relay.killed()

    def test_gone_for_visitors_at_the_end(self, stage, server):
        worker = stage.worker()
        _, id_ = stage.tunnel(worker, server.url())
        with stage.connect() as client:
            assert client.exchange("GET", f"/t/{id_}/").status == 200
            worker.end(id_)
            worker.ended(id_, REVOKED)
            assert client.ended() == "reset"
        with stage.connect() as client:  # what has no relay is the API worker's
            client.request("GET", f"/t/{id_}/")
            sock, _ = worker.visitor()
            sock.close()

    def test_three_descriptors_for_each(self, stage, server):
        worker = stage.worker()
        before = stage.supervisor.descriptors()
        for _ in range(10):
            stage.tunnel(worker, server.url())
        holds(stage.supervisor, before + 30)

    def test_too_many(self, server):
        with Stage("api", max_tunnels=2) as stage:
            worker = stage.worker()
            ids = [stage.tunnel(worker, server.url())[1] for _ in range(2)]
            worker.spawn_failed(worker.spawn(server.url()), "quota_reached", "max_tunnels")
            worker.end(ids[0])
            worker.ended(ids[0], REVOKED)
            stage.tunnel(worker, server.url())

    def test_ends_nobody_acknowledges_are_bounded(self, server):
        with Stage("api", max_tunnels=2) as stage:
            worker = stage.worker()
            ids = [stage.tunnel(worker, server.url())[1] for _ in range(2)]
            for id_ in ids:
                worker.end(id_)
                worker.ended(id_, REVOKED)
            more = [stage.tunnel(worker, server.url())[1] for _ in range(2)]
            worker.end(more[0])
            worker.ended(more[0], REVOKED)
            worker.spawn_failed(worker.spawn(server.url()), "quota_reached")
            worker.send(MSG.ENDED_ACK, ids[0])
            stage.tunnel(worker, server.url())

    def test_out_of_descriptors(self, server):
        """New tunnels are refused, old ones stay, and there is no busy waiting."""
        stage = Stage("api")
        # Not less: the kernel also holds it against all descriptors this user has under way.
        stage.prepare = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
        with stage:
            assert "max_tunnels = 1000" in stage.logged("limit of open files is 400")
            worker = stage.worker()
            ids = []
            while True:
                spawn = worker.spawn(server.url())
                answer = worker.recv()
                if answer.type != MSG.SPAWNED:
                    break
                ids.append(spawn[1])
            assert answer.type == MSG.SPAWN_FAILED and "no descriptors" in answer.fields[2]
            assert 80 < len(ids) < 130
            used = stage.supervisor.cpu_seconds()
            time.sleep(0.5)
            assert stage.supervisor.cpu_seconds() - used < 0.1
            worker.end(ids[0])
            worker.ended(ids[0], REVOKED)
            assert stage.visit(ids[1]) == 200
            stage.tunnel(worker, server.url())

    def test_same_id_twice(self, stage, server):
        worker = stage.worker()
        _, id_ = stage.tunnel(worker, server.url())
        worker.spawn_failed(worker.spawn(server.url(), id_), "conflict")
        assert stage.visit(id_) == 200


class TestRelayProcess:
    def test_crash_is_repaired(self, relays, server):
        worker = relays.worker()
        relay, id_ = relays.tunnel(worker, server.url(), life_ms=30_000)
        relay.counters(connections=5, open=2, requests=9)
        start = time.monotonic()
        relay.tell("crash")
        successor = relays.child("relay", 1).start()
        assert time.monotonic() - start < 1
        assert relay.killed()
        assert successor.config == relay.config
        assert successor.epoch > relay.epoch
        assert struct.unpack("3Q", os.pread(successor.fds[1], 24, 0)) == (5, 0, 9)
        with relays.connect() as client:  # gates know the new one
            client.request("GET", f"/t/{id_}/")
            successor.visitor()[0].close()
        assert "SIGKILL" in relays.logged("died of")

    def test_visitors_wait_for_the_next_relay(self, relays, server):
        worker = relays.worker()
        relay, id_ = relays.tunnel(worker, server.url())
        relay.exit(3)
        assert relay.killed()
        successor = relays.child("relay")
        with relays.connect() as client:
            client.request("GET", f"/t/{id_}/")
            assert quiet(client.sock)
            successor.be_real()
            assert client.answer().status == 200
        assert "status 3" in relays.logged("exited")

    def test_new_gate_while_there_is_no_relay(self, server):
        with Stage("api", "relay", "gate", gates=1) as stage:
            worker = stage.worker()
            gate = stage.child("gate").ready()
            relay, id_ = stage.tunnel(worker, server.url())
            other = stage.tunnel(worker, server.url())[1]
            relay.exit(1)
            successor = stage.child("relay")
            gate.exit(1)
            gate = stage.child("gate").ready()
            gate.setup(routes=[id_, other])
            successor.ready()
            assert gate.expect(MSG.ROUTE_ADD).fields == [id_, 0]

    def test_visitors_of_a_new_gate_wait_for_the_next_relay(self, server):
        with Stage("api", "relay", "gate", gates=1) as stage:
            worker = stage.worker()
            stage.child("gate").be_real()
            relay, id_ = stage.tunnel(worker, server.url())
            relay.exit(1)
            successor = stage.child("relay")
            assert relay.killed()
            (gate,) = stage.gates()
            gate.signal(signal.SIGKILL)
            stage.child("gate").be_real()
            with stage.connect() as client:
                client.request("GET", f"/t/{id_}/")
                assert quiet(client.sock)
                successor.be_real()
                assert client.answer().status == 200

    def test_ends_on_time_between_two_relays(self, relays, server):
        worker = relays.worker()
        relay, id_ = relays.tunnel(worker, server.url(), life_ms=500)
        relay.exit(1)
        successor = relays.child("relay")  # and stays where it is
        worker.ended(id_, EXPIRED, 2)
        assert successor.killed()

    def test_crashes_too_often(self, relays, server):
        worker = relays.worker()
        good = relays.real_tunnel(worker, server.url())
        relay, id_ = relays.tunnel(worker, server.url())
        for _ in range(4):
            relay.exit(1)
            relay = relays.child("relay").start()
        relay.exit(1)
        worker.ended(id_, FAILED)
        assert relays.no_child("relay", 0.5)
        assert relays.visit(good) == 200

    def test_does_not_start(self, relays, server):
        worker = relays.worker()
        spawn = worker.spawn(server.url())
        relays.child("relay").exit(1)
        worker.spawn_failed(spawn, "internal")
        assert relays.no_child("relay", 0.3)

    def test_is_never_ready(self, relays, server):
        worker = relays.worker()
        good = relays.real_tunnel(worker, server.url())
        spawn = worker.spawn(server.url())
        relay = relays.child("relay").lie()
        assert relays.visit(good) == 200
        worker.spawn_failed(spawn, "internal")
        assert relay.killed()
        relays.logged("not ready after 5000 ms")

    def test_is_not_sealed(self, relays, server):
        worker = relays.worker()
        spawn = worker.spawn(server.url())
        relay = relays.child("relay").lie(sealed=False)
        relay.send(MSG.READY, 31)
        worker.spawn_failed(spawn, "internal")
        assert relay.killed()
        assert "refused" in relays.logged("lacks=seccomp")

    def test_is_not_sealed_but_that_is_accepted(self, server):
        with Stage("api", "relay", sandbox="best-effort") as stage:
            worker = stage.worker()
            spawn = worker.spawn(server.url())
            relay = stage.child("relay").lie(sealed=False)
            relay.send(MSG.READY, 31)
            worker.spawned(spawn)
            stage.logged("lacks=seccomp")

    def test_kill(self, stage, server):
        worker = stage.worker()
        _, id_ = stage.tunnel(worker, server.url())
        _, other = stage.tunnel(worker, server.url())
        first, second = stage.relays()
        first.signal(signal.SIGKILL)
        proc.wait_until(lambda: not first.alive(), 1, "it is still there")
        proc.wait_until(lambda: len(stage.relays()) == 2, 1, "no new relay")
        assert stage.visit(id_) == 200
        assert stage.visit(other) == 200
        assert second.alive()

    def test_many_at_once(self, relays, server):
        """Only so many are on their way at once, the others take their turn."""
        worker = relays.worker()
        spawns = {worker.spawn(server.url())[0] for _ in range(40)}
        children = [relays.child("relay") for _ in range(16)]
        assert relays.no_child("relay", 0.3)
        for _ in range(24):
            children.pop(0).ready()
            children.append(relays.child("relay"))
        for child in children:
            child.ready()
        assert {worker.expect(MSG.SPAWNED).fields[0] for _ in range(40)} == spawns


class TestPages:
    def test_passed_on(self, relays, server):
        worker = relays.worker()
        relay, id_ = relays.tunnel(worker, server.url())
        with relays.connect() as client:
            client.request("GET", f"/t/{id_}/")
            sock, _ = relay.visitor()
            relay.send(MSG.PAGE_OUT, 3, True, 7, fd=sock)
            sock.close()
            page = worker.expect(MSG.PAGE)
            assert page.fields == [id_, 3, True, 7]
            with page.take_socket() as got:
                got.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                assert client.answer("HEAD").status == 200

    def test_without_a_worker(self, relays, server):
        worker = relays.worker()
        relay, id_ = relays.tunnel(worker, server.url())
        worker.exit(0)
        assert worker.killed()
        with relays.connect() as client:
            client.request("GET", f"/t/{id_}/")
            sock, _ = relay.visitor()
            relay.send(MSG.PAGE_OUT, 3, False, 0, fd=sock)
            sock.close()
            assert client.ended() == "reset"

    def test_worker_that_does_not_read(self, relays, server):
        """Connections are dropped, not piled up; what matters is told when it reads again."""
        worker = relays.worker()
        relay, id_ = relays.tunnel(worker, server.url())
        before = relays.supervisor.descriptors()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        for _ in range(2000):
            relay.send(MSG.PAGE_OUT, 3, False, 0, fd=theirs)
        relay.send(MSG.USED_UP, "bytes")
        assert relay.killed()
        assert relays.supervisor.descriptors() < before + 200
        pages = 0
        while (message := worker.recv()).type == MSG.PAGE:
            pages += 1
        assert message.type == MSG.ENDED and message.fields[0] == id_
        assert 50 < pages < 1000
        ours.close()
        theirs.close()
