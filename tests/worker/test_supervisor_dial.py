# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# How a real supervisor connects for its relays: sockets, policy, several addresses, names. The test
# plays the API worker, relays, and resolvers.

import os
import socket
import time

import pytest
from child import MSG
from supervisor_stage import FORBIDDEN, REFUSED, UNRESOLVED, Stage, holds, quiet
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


class TestDial:
    def test_socket(self, relays, server):
        relay, _ = relays.tunnel(relays.worker(), server.url())
        sock, attempts = relay.dial()
        assert attempts == 1
        with sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == b"\1\0\0\0\0\0\0\0"
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert not os.get_blocking(sock.fileno())
            sock.settimeout(5)
            proc.wait_until(lambda: sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, 5, "")
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")

    def test_supervisor_keeps_no_copy(self, relays, server):
        relay, _ = relays.tunnel(relays.worker(), server.url())
        before = relays.supervisor.descriptors()
        sockets = [relay.dial()[0] for _ in range(20)]
        holds(relays.supervisor, before)
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
        worker.spawn_failed(spawn, "invalid", "lookup_timeout")
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


class TestLimitsOfLookUps:
    """The resolvers are played here, and say nothing."""

    def test_lookup_timeout(self):
        with Stage("api", "resolve", lookup_timeout="1s") as stage:
            worker = stage.worker()
            begin = time.monotonic()
            spawn = worker.spawn("http://backend.test:80")
            resolver = stage.child("resolve")
            assert resolver.asked() == "backend.test"
            worker.spawn_failed(spawn, "invalid", "no answer within lookup_timeout")
            assert 0.9 < time.monotonic() - begin < 4
            assert resolver.killed()

    @pytest.mark.parametrize("most", [1, 3])
    def test_max_lookups(self, most):
        with Stage("api", "resolve", lookup_timeout="2s", max_lookups=str(most)) as stage:
            worker = stage.worker()
            spawns = [worker.spawn(f"http://backend{n}.test:80") for n in range(most + 1)]
            resolvers = [stage.child("resolve") for _ in range(most)]
            by_name = {resolver.asked(): resolver for resolver in resolvers}  # they start in any order
            assert len(stage.children("tunneld-resolve")) == most and quiet(worker)
            by_name["backend0.test"].answer("169.254.169.254")  # refused: the place is free
            worker.spawn_failed(spawns[0], "backend_forbidden")
            last = stage.child("resolve")
            assert last.asked() == f"backend{most}.test"

    def test_too_many_wait(self):
        with Stage("api", "resolve", lookup_timeout="30s", max_lookups="1") as stage:
            worker = stage.worker()
            spawns = [worker.spawn(f"http://backend{n}.test:80") for n in range(1 + 256 + 20)]
            stage.child("resolve").asked()
            for spawn in spawns[1 + 256:]:
                worker.spawn_failed(spawn, "draining", "max_lookups")
