# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whichever process has no descriptor or no memory left, what is new is refused or waits, what is there goes
# on, nobody spins, nothing is lost, and all is well again once there are some.

import contextlib
import resource
import signal
import time

import pytest

from support import proc
from support import websocket as ws
from support.daemon import SANITIZED, Daemon

SPIN = 0.2  # seconds of processor time in a second that are too many for one that can only wait


def assert_calm(*processes):
    before = [process.cpu_seconds() for process in processes]
    time.sleep(1)  # the time measured over
    spent = [process.cpu_seconds() - was for process, was in zip(processes, before)]
    assert max(spent) < SPIN, f"processor time in a second: {dict(zip(processes, spent))}"


def echoed(wire):
    wire.protocol.send_text(b"still here")
    wire.flush()
    return bytes(next(ws.messages(wire))[1]) == b"still here"


@contextlib.contextmanager
def old_visitors(tunnel):
    """A byte relay and a kept connection, which have to survive everything."""
    wire = ws.connect(tunnel, "/ws/echo")
    with tunnel.connect() as kept:
        def served():
            assert echoed(wire)
            assert kept.exchange("GET", tunnel.target("/old")).status == 200
            return True

        assert served()
        yield served
        assert served()
    wire.stream.close()


def status_of(tunnel):
    """Of a GET by a new visitor; None: it was not answered."""
    try:
        return tunnel.get("/new").status
    except OSError:
        return None


def all_served(*tunnels):
    proc.wait_until(lambda: all(status_of(tunnel) == 200 for tunnel in tunnels), 8,
                    lambda: [status_of(tunnel) for tunnel in tunnels])


def test_the_supervisor_has_none(own_daemon, backend):
    api, supervisor = own_daemon.api, own_daemon.supervisor
    tunnel, other, short = (api.create(backend) for _ in range(3))
    brief = api.create(backend, timeout=2)
    before = {process: process.descriptors() for process in own_daemon.everyone()}
    with old_visitors(tunnel) as served:
        with supervisor.short_of_descriptors():
            assert status_of(tunnel) == 503, "it cannot be dialled for"
            answer = api.call("POST", "/_api/tunnels", {"backend": backend.url()})
            assert (answer.status, answer.json()["code"]) == (503, "draining"), answer
            assert_calm(supervisor)
            assert served()
            proc.wait_until(lambda: brief.state() == "expired", 3, brief.show)
            short.revoke()
            assert short.state() == "revoked"
        all_served(tunnel, other, api.create(backend))
    assert supervisor.descriptors() == before[supervisor] - 3, "one less than before"
    assert {process for process in before if process.alive()} >= {supervisor, own_daemon.worker()}


def test_children_that_die_while_the_supervisor_has_none(own_daemon, backend):
    """They cannot be replaced as long as others have taken their descriptors, and are afterwards."""
    supervisor = own_daemon.supervisor
    tunnel, relay = own_daemon.create_with_relay(backend)
    other = own_daemon.api.create(backend)
    with old_visitors(other) as served:
        with supervisor.short_of_descriptors():
            # What they had in the supervisor is not enough: a start needs more for a moment.
            with supervisor.limited("NOFILE", 20):
                for victim in (relay, own_daemon.worker()):
                    victim.signal(signal.SIGKILL)
                    own_daemon.expect_gone([victim])
                proc.wait_until(lambda: own_daemon.log().count("cannot be started") >= 3, 5, own_daemon.log)
                assert_calm(supervisor)
                assert served()
        proc.wait_until(own_daemon.ready, 10, own_daemon.log)
        all_served(tunnel, other)
        assert tunnel.state() == "active"


def test_a_low_limit_leaves_room_for_those_who_are_there(backend):
    """More tunnels are wanted than the limit of open files allows: the last ones are refused, and
    those there are can still dial and be repaired."""
    daemon = Daemon()
    daemon.prepare = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
    with daemon:
        tunnels = []
        while True:
            answer = daemon.api.call("POST", "/_api/tunnels", {"backend": backend.url(), "auth": "none"})
            if answer.status != 201:
                break
            tunnels.append(answer.json()["id"])
            assert len(tunnels) < 60
        assert (answer.status, answer.json()["code"]) == (503, "draining"), answer
        assert int(answer.fields["Retry-After"]) > 0
        assert len(tunnels) >= 20, len(tunnels)
        for victim in [*daemon.relays(), *daemon.gates(), daemon.worker()]:
            victim.signal(signal.SIGKILL)
            daemon.expect_gone([victim])

        def back():
            try:
                return {daemon.get(f"/t/{name}/").status for name in tunnels} == {200}
            except OSError:
                return False

        proc.wait_until(back, 10, daemon.log)
        assert daemon.api.ids() == set(tunnels)


def test_gates_have_none(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    gates = own_daemon.gates()
    with old_visitors(tunnel) as served, contextlib.ExitStack() as later:
        with contextlib.ExitStack() as shortage:
            for gate in gates:
                shortage.enter_context(gate.short_of_descriptors())
            waiting = [later.enter_context(tunnel.connect()) for _ in range(20)]
            for visitor in waiting:
                visitor.request("GET", tunnel.target("/waiting"))
            assert not any(visitor.readable(0.05) for visitor in waiting)
            assert_calm(*gates)
            assert served()
        for visitor in waiting:  # they were in the queue of the listener
            assert visitor.answer().status == 200
    assert own_daemon.gates() == gates
    assert own_daemon.api.create(backend).get("/").status == 200


def test_the_api_worker_has_none(own_daemon, backend):
    tunnel, brief = own_daemon.api.create(backend), own_daemon.api.create(backend, timeout=3)
    worker = own_daemon.worker()
    with old_visitors(tunnel) as served:
        with worker.short_of_descriptors():
            for _ in range(3):
                with pytest.raises(OSError):
                    own_daemon.get("/healthz")
            assert_calm(worker)
            assert served() and tunnel.get("/new").status == 200, "its business is elsewhere"
            proc.wait_until(lambda: status_of(brief) != 200, 4, "the end comes all the same")
        proc.wait_until(own_daemon.ready, 3, own_daemon.log)
        assert (brief.state(), tunnel.state()) == ("expired", "active")
    assert own_daemon.worker() == worker


@pytest.mark.parametrize("spare", [0, 1])
def test_a_relay_has_none(own_daemon, backend, spare):
    """Without any, a visitor is lost on the way; with one, its backend connection is."""
    tunnel, relay = own_daemon.create_with_relay(backend)
    other = own_daemon.api.create(backend)
    with old_visitors(tunnel) as served:
        with relay.short_of_descriptors(spare):
            for _ in range(3):
                assert status_of(tunnel) in (None, 503)
            assert_calm(relay)
            assert served() and other.get("/").status == 200
        all_served(tunnel)
    assert relay.alive()


def test_too_many_descriptors_under_way(own_daemon, backend):
    """An ordinary user may have RLIMIT_NOFILE descriptors in messages that nobody has taken yet, and
    to the kernel each gate is one. Sending waits then, for every receiver, and goes on afterwards."""
    tunnels = [own_daemon.create_with_relay(backend) for _ in range(8)]
    gates = own_daemon.gates()
    free = own_daemon.api.create(backend)
    with old_visitors(free) as served, contextlib.ExitStack() as held:
        for gate in gates:
            held.enter_context(gate.short_of_descriptors(spare=4))
        waiting = []
        for _, relay in tunnels:
            relay.signal(signal.SIGSTOP)
        for tunnel, _ in tunnels:
            for _ in range(9):  # fewer than a channel takes
                visitor = held.enter_context(tunnel.connect())
                visitor.request("GET", tunnel.target("/stuck"))
                waiting.append(visitor)
        time.sleep(0.2)  # until they have been sent as far as they can be
        assert_calm(*gates)
        assert served()
        for _, relay in tunnels:
            relay.signal(signal.SIGCONT)
        statuses = [visitor.answer().status for visitor in waiting]
        assert set(statuses) == {200}, statuses
    assert own_daemon.gates() == gates
    all_served(free, *(tunnel for tunnel, _ in tunnels))


# ---- memory: what a process has may not grow. Every single allocation: tests/worker/test_memory.py


PART = b"X-Part: " + b"y" * 1000 + b"\r\n"
CROWD = 300
NO_MORE = 4096  # bytes of data; to the kernel 0 is no limit


def big_heads(tunnel):
    """Heads of 20 KB whose end does not come: a gate has to keep them."""
    return f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: h\r\n".encode() + 20 * PART


def second_heads(tunnel):
    """The same behind a whole request: a relay has to."""
    return f"GET {tunnel.target('/')} HTTP/1.1\r\nHost: h\r\n\r\n".encode() + big_heads(tunnel)


def big_bodies(tunnel):
    """Half of a body, for the API worker."""
    head = "POST /_api/tunnels HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n"
    return f"{head}Authorization: Bearer {tunnel.api.token}\r\n\r\n".encode() + 30 * b"z" * 1000


def is_over(visitor):
    """Whether it was ended; answers on the way are passed over."""
    try:
        while visitor.readable(0):
            if not visitor.sock.recv(65536):
                return True
    except OSError:
        return True
    return False


@pytest.mark.skipif(SANITIZED, reason="a sanitizer gives up its process when memory is refused")
@pytest.mark.parametrize("role,load", [
    ("tunneld-gate", big_heads), ("tunneld-relay", second_heads), ("tunneld-api", big_bodies)])
def test_no_memory(own_daemon, backend, role, load):
    tunnel, other = own_daemon.api.create(backend), own_daemon.api.create(backend)
    victims = own_daemon.children(role)
    everyone = own_daemon.children()
    with old_visitors(tunnel) as served, contextlib.ExitStack() as held:
        with contextlib.ExitStack() as shortage:
            for victim in victims:
                shortage.enter_context(victim.limited("DATA", NO_MORE))
            crowd = [held.enter_context(tunnel.connect()) for _ in range(CROWD)]
            for visitor in crowd:
                with contextlib.suppress(OSError):
                    visitor.send(load(tunnel))
            proc.wait_until(lambda: any(map(is_over, crowd)), 5, "none is refused")
            assert_calm(*victims)
            assert served()
        for visitor in crowd:
            visitor.close()
        all_served(tunnel, other)
        assert own_daemon.api.create(backend).get("/").status == 200
    assert set(everyone) < set(own_daemon.children()), "somebody had to be replaced"


def test_the_supervisor_has_no_memory(own_daemon, backend):
    api, supervisor = own_daemon.api, own_daemon.supervisor
    tunnel, short = api.create(backend), api.create(backend)
    brief = api.create(backend, timeout=3)
    with old_visitors(tunnel) as served:
        with supervisor.limited("DATA", NO_MORE):
            for _ in range(500):
                answer = api.call("POST", "/_api/tunnels", {"backend": backend.url()})
                if answer.status != 201:
                    break
            assert answer.status in (500, 503), answer
            assert served() and tunnel.get("/new").status == 200
            short.revoke()
            proc.wait_until(lambda: brief.state() == "expired", 4, brief.show)
            assert_calm(supervisor)
        all_served(tunnel, api.create(backend))
        assert (tunnel.state(), short.state()) == ("active", "revoked")
