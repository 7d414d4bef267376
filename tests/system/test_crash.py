# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whatever process dies, the others go on; a dead supervisor takes all down; and the dead are
# back within a second.

import http.client
import os
import signal
import threading
import time

import pytest

from support import pattern, proc
from support import websocket as ws
from support.backend import head


def killed(daemon, process):
    process.signal(signal.SIGKILL)
    daemon.expect_gone([process])
    return time.monotonic()


class Downloads:
    """Many downloads at once, held half-way until the test lets them end."""

    def __init__(self, tunnel, backend, count, size=2_000_000):
        self.size, self.gate = size, threading.Event()
        self.digests = [pattern.Sha256() for _ in range(count)]
        self.errors = []

        def held(received, request, stream):
            stream.send(head(200, [("Content-Length", size)]))
            for number, block in enumerate(pattern.blocks(size)):
                if number:
                    self.gate.wait(30)
                stream.send(block)

        backend.route("/held", held)
        self._threads = [
            threading.Thread(target=self._run, args=(tunnel, digest), daemon=True)
            for digest in self.digests]
        for thread in self._threads:
            thread.start()
        proc.wait_until(lambda: all(d.length for d in self.digests) or self.errors, 20, "downloads")

    def _run(self, tunnel, digest):
        try:
            with tunnel.connect(timeout=30) as visitor:
                visitor.request("GET", tunnel.target("/held"))
                visitor.answer(sink=digest)
        except Exception as error:
            self.errors.append(repr(error))

    def finish(self):
        self.gate.set()
        for thread in self._threads:
            thread.join(60)
        assert not self.errors, self.errors[:5]
        wrong = [d.length for d in self.digests if d.hex() != pattern.digest(self.size)]
        assert not wrong, f"{len(wrong)} of {len(self.digests)} incomplete: {wrong[:5]}"


def create_again(daemon, backend, since):
    """A tunnel can be created within a second of the death."""
    tunnel = None

    def attempt():
        nonlocal tunnel
        try:
            answer = daemon.api.call("POST", "/_api/tunnels", {"backend": backend.url(), "auth": "none"})
        except (OSError, http.client.HTTPException):
            return False
        assert answer.status in (201, 503), answer
        if answer.status == 201:
            tunnel = answer.json()
        return tunnel

    proc.wait_until(attempt, 5, "no tunnel could be created again")
    took = time.monotonic() - since
    assert took < 1, f"{took:.2f} s until a tunnel could be created again"
    assert daemon.get(tunnel["url"].partition(f":{daemon.port}")[2]).status == 200


def test_api_worker_dies_during_200_downloads(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    downloads = Downloads(tunnel, backend, 200)
    died = killed(own_daemon, own_daemon.worker())
    assert tunnel.get("/new").status == 200, "visitors do not notice"
    create_again(own_daemon, backend, died)
    downloads.finish()
    assert tunnel.id in own_daemon.api.ids(), "its successor knows the tunnel"
    assert tunnel.revoke().status == 200
    assert tunnel.get("/").status == 410


def test_api_worker_dies_again_and_again(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    for _ in range(3):
        worker = proc.wait_until(lambda: own_daemon.children("tunneld-api"), 10, own_daemon.log)[0]
        killed(own_daemon, worker)
        assert tunnel.get("/").status == 200
    proc.wait_until(own_daemon.ready, 20, own_daemon.log)
    assert own_daemon.api.create(backend).get("/").status == 200


def test_tunnels_end_in_time_without_an_api_worker(own_daemon, backend):
    begin = time.monotonic()
    tunnel, relay = own_daemon.create_with_relay(backend, timeout=2)
    own_daemon.worker().signal(signal.SIGSTOP)
    with tunnel.connect() as visitor:
        visitor.exchange("GET", tunnel.target("/"))
        assert visitor.ended(4) == "reset"
        assert 2 <= time.monotonic() - begin < 2.5
    own_daemon.expect_gone([relay])
    own_daemon.worker().signal(signal.SIGKILL)  # and its successor learns of it
    proc.wait_until(own_daemon.ready, 10, own_daemon.log)
    assert tunnel.show()["state"] == "expired"


def test_gates_die(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    wire = ws.connect(tunnel, "/ws/echo")
    with tunnel.connect() as kept:
        assert kept.exchange("GET", tunnel.target("/before")).status == 200
        for gate in own_daemon.gates():
            died = killed(own_daemon, gate)
        assert kept.exchange("GET", tunnel.target("/during")).status == 200
        proc.wait_until(lambda: _served(tunnel), 5, own_daemon.log)
        assert time.monotonic() - died < 1, own_daemon.log()
        wire.protocol.send_text(b"still here")
        wire.flush()
        assert bytes(next(ws.messages(wire))[1]) == b"still here"
        wire.stream.close()
    assert own_daemon.api.create(backend).get("/").status == 200


def _served(tunnel, fields=()):
    try:
        return tunnel.get("/served", fields).status == 200
    except OSError:
        return False


def test_relay_dies(own_daemon, backend):
    """Its visitors lose their connections, seen as cut; the tunnel is back at the same URL."""
    tunnel, relay = own_daemon.create_with_relay(backend, auth="bearer")
    other = own_daemon.api.create(backend)
    feed = backend.feed("/endless", head(200, [("Connection", "close")]))
    with tunnel.connect() as cut, other.connect() as unharmed:
        cut.request("GET", tunnel.target("/endless"), tunnel.bearer())
        assert cut.answer_head().status == 200 and feed.opened.wait(5)
        assert unharmed.exchange("GET", other.target("/")).status == 200
        died = killed(own_daemon, relay)
        assert cut.ended(1) == "reset"
        assert unharmed.exchange("GET", other.target("/")).status == 200
    proc.wait_until(lambda: _served(tunnel, tunnel.bearer()), 5, own_daemon.log)
    assert time.monotonic() - died < 1, own_daemon.log()
    assert tunnel.get("/").status == 401, "with the same secret"
    assert tunnel.state() == "active"


def test_a_relays_successor_ends_at_the_same_time(own_daemon, backend):
    begin = time.monotonic()
    tunnel, relay = own_daemon.create_with_relay(backend, timeout=3)
    killed(own_daemon, relay)
    proc.wait_until(lambda: _served(tunnel), 2, own_daemon.log)
    with tunnel.connect() as visitor:
        visitor.exchange("GET", tunnel.target("/"))
        assert visitor.ended(5) == "reset"
    took = time.monotonic() - begin
    assert 3 <= took < 3.5, f"{took:.2f} s of 3"


def test_used_budgets_stay_used_when_the_relay_dies(own_daemon, backend):
    tunnel, relay = own_daemon.create_with_relay(backend, limits={"requests": 4})
    assert [tunnel.get("/").status for _ in range(2)] == [200, 200]
    killed(own_daemon, relay)
    statuses = []

    def over():
        try:
            statuses.append(tunnel.get("/").status)
        except OSError:
            pass
        return statuses[-1:] == [410]

    proc.wait_until(over, 5, lambda: statuses)
    assert statuses.count(200) == 2, statuses


def test_supervisor_dies(own_daemon, backend):
    tunnels = [own_daemon.api.create(backend) for _ in range(20)]
    with tunnels[0].connect() as visitor:
        visitor.exchange("GET", tunnels[0].target("/"))
        uids = [int(child.status()["Uid"].split()[0]) for child in own_daemon.children()]
        children = own_daemon.kill()
        assert len(children) >= 22, children
        own_daemon.expect_gone(children, 1)
        assert visitor.ended(1) == "reset"
    if proc.ROOT:
        left = proc.with_uids(min(uids), max(uids) - min(uids) + 1)
        assert not left, f"processes with uids of ours are left: {left}"


@pytest.mark.parametrize("stop", [
    lambda pid: os.kill(pid, signal.SIGTERM), lambda pid: os.kill(pid, signal.SIGINT),
    lambda pid: os.killpg(pid, signal.SIGINT)], ids=["SIGTERM", "SIGINT", "Ctrl-C"])
def test_an_orderly_stop_leaves_nothing(own_daemon, backend, stop):
    tunnels = [own_daemon.api.create(backend) for _ in range(5)]
    with tunnels[0].connect() as visitor:
        visitor.exchange("GET", tunnels[0].target("/"))
        children = own_daemon.children()
        stop(own_daemon.process.pid)
        assert own_daemon.process.wait(10) == 0, own_daemon.log()
        own_daemon.expect_gone(children)
        assert visitor.ended(1) in ("eof", "reset")


def test_readyz_tells_when_the_worker_is_gone(own_daemon):
    """healthz and readyz never answer 200 from a worker that is stopped, and do again after it."""
    worker = own_daemon.worker()
    worker.signal(signal.SIGSTOP)
    with own_daemon.connect(timeout=1) as client:
        client.request("GET", "/readyz")
        assert not client.readable(0.3) or client.answer().status == 503
    worker.signal(signal.SIGCONT)
    assert own_daemon.get("/readyz").status == 200
