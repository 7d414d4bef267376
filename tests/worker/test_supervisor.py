# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real supervisor; the test plays the API worker and, where that is the story, relays.

import os
import signal
import socket
import struct
import time

import pytest
from child import MSG, readable
from supervisor_stage import (
    EXHAUSTED, EXPIRED, FAILED, FORBIDDEN, REFUSED, REVOKED, UNRESOLVED, Stage, boottime_us, quiet,
    tunnel_id)
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


def option(sock, level, name):
    return sock.getsockopt(level, name)


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
                                3, 4, 5, 6]

    def test_limits_of_the_operator(self, server):
        with Stage("api", "relay", max_timeout="10s", default_timeout="5s", request_rate=50,
                   max_connections_per_tunnel=20) as stage:
            worker = stage.worker()
            relay, _ = stage.tunnel(worker, server.url(), life_ms=10**9)
            assert relay.config[7:] == [10_000, 20, 0, 0, 50]
            relay, _ = stage.tunnel(worker, server.url(), max_connections=21, request_rate=51)
            assert relay.config[7:] == [10_000, 20, 0, 0, 50]
            relay, _ = stage.tunnel(worker, server.url(), max_connections=1, request_rate=1)
            assert relay.config[7:] == [10_000, 1, 0, 0, 1]

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
        old = [10, 3, 20, 2**40, 2**41, 1_790_000_000]
        packed = bytes([0x96]) + b"".join(b"\xcf" + value.to_bytes(8, "big") for value in old)
        relay, id_ = relays.tunnel(worker, server.url(), counters=packed)
        assert struct.unpack("6Q", os.pread(relay.fds[1], 48, 0)) == (10, 0, *old[2:])
        assert worker.counters(id_) == (10, 0, *old[2:])

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
        assert worker.ended(id_, EXHAUSTED) == (1, 0, 2, 3, 4, 0)
        assert relay.killed()

    def test_end_of_what_is_not_there(self, stage):
        worker = stage.worker()
        id_ = tunnel_id()
        worker.end(id_, REVOKED)
        assert worker.ended(id_, REVOKED) == (0,) * 6

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
        assert stage.supervisor.descriptors() - before == 30

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
        assert successor.config == relay.config
        assert successor.epoch > relay.epoch
        assert struct.unpack("3Q", os.pread(successor.fds[1], 24, 0)) == (5, 0, 9)
        with relays.connect() as client:  # gates know the new one
            client.request("GET", f"/t/{id_}/")
            successor.visitor()[0].close()
        assert "SIGSEGV" in relays.logged("died of")

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
        proc.wait_until(lambda: len(stage.relays()) == 2, 1, "no new relay")
        assert stage.visit(id_) == 200
        assert stage.visit(other) == 200
        assert second in stage.relays() or first in stage.relays()

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


class TestDial:
    def test_socket(self, relays, server):
        relay, _ = relays.tunnel(relays.worker(), server.url())
        sock, attempts = relay.dial()
        assert attempts == 1
        with sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == b"\1\0\0\0\0\0\0\0"
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert not sock.getblocking()
            sock.settimeout(5)
            proc.wait_until(lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, 5, "")
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")

    def test_supervisor_keeps_no_copy(self, relays, server):
        relay, _ = relays.tunnel(relays.worker(), server.url())
        before = relays.supervisor.descriptors()
        sockets = [relay.dial()[0] for _ in range(20)]
        assert relays.supervisor.descriptors() == before
        for sock in sockets:
            sock.close()

    def test_no_further_attempt(self, relays, server):
        relay, _ = relays.tunnel(relays.worker(), server.url())
        assert relay.dial(1) == REFUSED
        assert relay.dial(16) == REFUSED

    @pytest.mark.parametrize("address", [
        "http://169.254.169.254", "http://0.0.0.0:80", "http://[::]:80", "tcp://224.0.0.1:9",
        "http://[fe80::1]:80", "http://[::ffff:169.254.169.254]:80"])
    def test_forbidden(self, stage, address):
        worker = stage.worker()
        worker.spawn_failed(worker.spawn(address), "backend_forbidden", "refused")

    def test_own_listener(self, stage):
        worker = stage.worker()
        spawn = worker.spawn(f"http://127.0.0.1:{stage.port}")
        worker.spawn_failed(spawn, "backend_forbidden", "refused")

    def test_scoped_token(self, server):
        with Stage("api", backend_allow=f"127.0.0.1:{server.port}") as stage:
            worker = stage.worker()
            stage.tunnel(worker, server.url(), owner=False)
            worker.spawn_failed(worker.spawn("http://127.0.0.1:1", owner=False),
                                "backend_forbidden")
            stage.tunnel(worker, "http://127.0.0.1:1")


class TestNames:
    @pytest.fixture
    def stage(self):
        with Stage("api", "relay", "resolve") as stage:
            yield stage

    def spawn(self, stage, worker, *addresses, port):
        spawn = worker.spawn(f"http://backend.test:{port}")
        resolver = stage.child("resolve")
        assert resolver.asked() == "backend.test"
        resolver.answer(*addresses)
        relay = stage.child("relay").start()
        worker.spawned(spawn)
        return relay

    @staticmethod
    def peer(answer):
        sock, attempts = answer
        with sock:
            proc.wait_until(lambda: sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\2",
                            5, "still connecting")
            try:
                return sock.getpeername()[0], attempts
            except OSError:
                return None, attempts

    def test_real_resolver(self, server):
        with Stage("api") as stage:
            worker = stage.worker()
            _, id_ = stage.tunnel(worker, server.url(host="localhost"))
            assert stage.visit(id_) == 200
            assert not stage.children("tunneld-resolve")

    def test_attempts(self, stage, server):
        """The one asked for last comes first; the others in order; then the name again."""
        relay = self.spawn(
            stage, stage.worker(), "127.0.0.2", "127.0.0.3", "127.0.0.1", port=server.port)
        assert self.peer(relay.dial(0)) == (None, 5)  # three, the first again, the name
        assert self.peer(relay.dial(1)) == (None, 5)
        assert self.peer(relay.dial(2)) == ("127.0.0.1", 5)
        assert self.peer(relay.dial(0)) == ("127.0.0.1", 5)
        assert self.peer(relay.dial(3)) == (None, 5)

    def test_looked_up_again(self, stage, server):
        relay = self.spawn(stage, stage.worker(), "127.0.0.2", port=server.port)
        assert self.peer(relay.dial(0)) == (None, 2)
        assert relay.dial(1) == REFUSED  # the look-up is not a second old
        time.sleep(1)
        for request in (101, 102):
            relay.send(MSG.DIAL, request, 1)
        resolver = stage.child("resolve")
        assert resolver.asked() == "backend.test"
        resolver.answer("127.0.0.1")
        for request in (101, 102):
            message = relay.expect(MSG.DIALED)
            assert message.fields[0] == request
            assert self.peer((message.take_socket(), 0))[0] == "127.0.0.1"
        assert self.peer(relay.dial(0)) == ("127.0.0.1", 2)

    @pytest.mark.parametrize("addresses, reason", [
        (["127.0.0.2"], REFUSED), (["169.254.169.254"], FORBIDDEN), ([], UNRESOLVED)])
    def test_looked_up_again_in_vain(self, stage, server, addresses, reason):
        relay = self.spawn(stage, stage.worker(), "127.0.0.2", port=server.port)
        time.sleep(1)
        relay.send(MSG.DIAL, 1, 1)
        resolver = stage.child("resolve")
        resolver.asked()
        if addresses:
            resolver.answer(*addresses)
        else:
            resolver.send(MSG.RESOLVE_FAILED, "no such name")
        assert relay.expect(MSG.DIAL_FAILED).fields == [1, reason]
        assert self.peer(relay.dial(0)) == (None, 2)  # the old address is kept

    def test_only_what_is_allowed(self, stage, server):
        relay = self.spawn(stage, stage.worker(), "169.254.169.254", "0.0.0.0", "127.0.0.1",
                           port=server.port)
        assert self.peer(relay.dial(0)) == ("127.0.0.1", 2)

    def test_nothing_allowed(self, stage):
        worker = stage.worker()
        spawn = worker.spawn("http://metadata.test")
        resolver = stage.child("resolve")
        resolver.asked()
        resolver.answer("169.254.169.254")
        worker.spawn_failed(spawn, "backend_forbidden", "refused")

    def test_unknown(self, stage):
        worker = stage.worker()
        spawn = worker.spawn("http://nothing.test")
        resolver = stage.child("resolve")
        resolver.asked()
        resolver.send(MSG.RESOLVE_FAILED, "no such name")
        worker.spawn_failed(spawn, "invalid", "nothing.test .*no such name")

    def test_no_answer(self, stage):
        worker = stage.worker()
        spawn = worker.spawn("http://slow.test")
        resolver = stage.child("resolve")
        resolver.asked()
        start = time.monotonic()
        worker.spawn_failed(spawn, "invalid", "5 seconds")
        assert 4 < time.monotonic() - start < 6
        assert resolver.killed()

    def test_dies(self, stage):
        worker = stage.worker()
        spawn = worker.spawn("http://slow.test")
        stage.child("resolve").exit(1)
        worker.spawn_failed(spawn, "invalid", "without an answer")

    @pytest.mark.parametrize("answer", [
        (MSG.RESOLVED, b"\0" * 17), (MSG.RESOLVED, b""), (MSG.RESOLVED, b"\0" * 16 * 17), (99,),
        (MSG.RESOLVE_FAILED, ""), (MSG.READY, 31)])
    def test_lies(self, stage, answer):
        worker = stage.worker()
        spawn = worker.spawn("http://liar.test")
        resolver = stage.child("resolve")
        resolver.asked()
        resolver.send(*answer)
        worker.spawn_failed(spawn, "invalid")
        assert resolver.killed()
        stage.logged("resolver.*protocol violation")

    def test_several_at_once(self, stage):
        worker = stage.worker()
        spawns = [worker.spawn(f"http://name{i}.test") for i in range(10)]
        first = [stage.child("resolve") for _ in range(8)]
        assert stage.no_child("resolve", 0.2)
        names = {resolver.asked() for resolver in first}
        first[0].send(MSG.RESOLVE_FAILED, "no")
        names.add(stage.child("resolve").asked())
        assert len(names) == 9
        for spawn in spawns:
            worker.end(spawn[1])
        done = {spawn[1]: 0 for spawn in spawns}
        while min(done.values()) == 0:
            message = worker.recv()
            if message.type == MSG.ENDED:
                done[message.fields[0]] += 1
        assert all(resolver.killed() for resolver in first)


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
