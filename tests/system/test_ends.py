# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: when a tunnel's time is over the kernel ends every connection of it within 100 ms, delivers
# nothing afterwards, and a cut answer is an error to its reader; whatever state anything is in.

import signal
import time

import pytest

from support import proc
from support import websocket as ws
from support.backend import head
from support.cut import Watched, bytes_received
from support.daemon import Daemon

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]

TOLERANCE = 0.100
LIFE = 2


class Visitors:
    """
    Downloads to an HTTP/1.0 visitor (read until close) and an HTTP/1.1 one (in chunks), an open
    WebSocket, a slow reader and an idle kept connection.
    """

    def __init__(self, tunnel, backend):
        def pour(received, request, stream):
            stream.send(head(200, [("Connection", "close")]))  # read until close
            while True:
                stream.send(b"x" * 4096)
                time.sleep(0.001)  # the rate of the download

        def ticking(received, request, stream):
            stream.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        b"Connection: Upgrade\r\n\r\n")
            while True:
                stream.send(b"\x82\x01.")
                time.sleep(0.005)

        backend.route("/pour", pour)
        backend.route("/ticking", ticking)
        upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
        idle = tunnel.connect()
        assert idle.exchange("GET", tunnel.target("/")).status == 200
        self.slow = self._open(tunnel, "/pour", "slow reader", version="HTTP/1.0", slow=True)
        self.quick = [
            self._open(tunnel, "/pour", "download until close", version="HTTP/1.0").flowing(),
            self._open(tunnel, "/pour", "download in chunks").flowing(),
            self._open(tunnel, "/ticking", "WebSocket", upgrade).flowing(),
            Watched("idle", idle)]

    @staticmethod
    def _open(tunnel, path, name, fields=(), version="HTTP/1.1", slow=False):
        visitor = tunnel.connect(receive_buffer=16384 if slow else None)
        visitor.request("GET", tunnel.target(path), fields, version=version)
        answer = visitor.answer_head()
        assert answer.status in (200, 101), answer
        if version == "HTTP/1.0":
            assert answer.framing == "close", answer
        return Watched(name, visitor, slow)

    def check_cut(self, earliest, latest, report):
        """All were ended by a reset in that time; nothing came later, not even to the slow one."""
        for watched in self.quick:
            watched.join()
            assert watched.how == "reset", f"{watched}: a cut must not look like an end"
            assert earliest <= watched.end <= latest, (
                f"{watched} ended {watched.end - latest:+.3f} s after the latest moment allowed, "
                f"{watched.end - earliest:+.3f} s after the earliest")
            report(f"{watched} at most {1000 * (watched.end - earliest):.1f} ms after the end")
        time.sleep(max(0, latest - time.monotonic()))  # up to the moment the contract names
        delivered = bytes_received(self.slow.stream.sock)
        buffered = len(self.slow.stream.buffer)
        time.sleep(0.3)  # in which anything late would come
        assert bytes_received(self.slow.stream.sock) == delivered, "bytes came after the end"
        self.slow.release()
        self.slow.join()
        assert self.slow.how == "reset", self.slow
        assert self.slow.count <= delivered + buffered, self.slow

    def close(self):
        for watched in [self.slow, *self.quick]:
            watched.release()
            watched.stream.close()


@pytest.mark.parametrize("worker", ["running", "stopped"])
def test_expiry_cuts_everything_in_time(own_daemon, backend, report, worker):
    long_lived = own_daemon.api.create(backend)
    before = time.monotonic()
    tunnel, relay = own_daemon.create_with_relay(backend, timeout=LIFE)
    after = time.monotonic()
    if worker == "stopped":
        own_daemon.worker().signal(signal.SIGSTOP)
    visitors = Visitors(tunnel, backend)
    served = 0
    while time.monotonic() < before + LIFE - 0.2:
        assert tunnel.get("/new").status == 200, "new visitors are served to the end"
        assert long_lived.get("/new").status == 200
        served += 1
    assert served > 10
    visitors.check_cut(before + LIFE, after + LIFE + TOLERANCE, report)
    own_daemon.expect_gone([relay])
    assert long_lived.get("/after").status == 200
    proc.wait_until(lambda: backend.open_connections() == 0, 5, "the backend's side is still open")
    if worker == "stopped":
        with tunnel.connect() as visitor:  # nobody can serve it, and it must not reach anything
            visitor.request("GET", tunnel.target("/late"))
            own_daemon.worker().signal(signal.SIGCONT)
            assert visitor.answer().status in (410, 503), "503: it has yet to learn of the end"
    proc.wait_until(lambda: tunnel.get("/late").status == 410, 2, lambda: tunnel.get("/late"))
    answer = tunnel.get("/late")
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (410, "tunnel_over"), answer
    assert "/late" not in [received.path for received in backend.received]
    proc.wait_until(lambda: tunnel.state() == "expired", 2, tunnel.show)
    assert tunnel.id not in own_daemon.api.ids()
    visitors.close()


def test_revoke_cuts_everything_before_or_right_after_its_answer(api, backend, report):
    tunnel = api.create(backend)
    visitors = Visitors(tunnel, backend)
    before = time.monotonic()
    tunnel.revoke()
    visitors.check_cut(before, time.monotonic() + TOLERANCE, report)
    assert tunnel.get("/late").status == 410
    visitors.close()


def test_an_upload_is_cut_as_well(api, backend):
    tunnel = api.create(backend)
    tap = backend.tap("/tap")
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/tap"), [("Content-Length", "1000")])
        visitor.send(b"x" * 10)
        assert tap.wait(10) == b"x" * 10
        tunnel.revoke()
        assert visitor.ended(1) == "reset"
    assert tap.wait_end() in ("Ended", "ConnectionResetError"), tap.ended


def test_visitors_in_every_stage_are_cut(api, backend):
    """Mid-head on a kept connection, waiting for an answer, waiting for a 100, just connected."""
    tunnel = api.create(backend)
    feed = backend.feed("/wait", b"")
    stages = []
    for rest in ("GET {}/ HTTP/1.1\r\nHost", "GET {}/wait HTTP/1.1\r\nHost: x\r\n\r\n",
                 "POST {}/wait HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"):
        visitor = tunnel.connect()
        assert visitor.exchange("GET", tunnel.target("/first")).status == 200
        visitor.send(rest.replace("{}", tunnel.prefix).encode())
        stages.append(visitor)
    assert feed.opened.wait(5)
    tunnel.revoke()
    for visitor in stages:
        with visitor:
            assert visitor.ended(1) == "reset"


def test_many_tunnels_end_at_the_same_moment(daemon, backend):
    others = set(daemon.relays())
    tunnels = [daemon.api.create(backend) for _ in range(50)]
    relays = set(daemon.relays()) - others
    watched = []
    for tunnel in tunnels:
        visitor = tunnel.connect()
        visitor.exchange("GET", tunnel.target("/"))
        watched.append(Watched(tunnel.id, visitor))
    before = time.monotonic()
    for tunnel in tunnels:  # once all have been entered, however long that took
        daemon.api.expect(200, "PATCH", f"/_api/tunnels/{tunnel.id}", {"timeout": LIFE})
    patched = time.monotonic()
    for one in watched:
        one.join(LIFE + 2)
        assert one.how == "reset" and before + LIFE <= one.end <= patched + LIFE + TOLERANCE, (
            one, one.end - before, one.end - patched)
        one.stream.close()
    daemon.expect_gone(relays, 2)


def test_the_websocket_library_sees_an_abnormal_end(api, backend):
    tunnel = api.create(backend)
    wire = ws.connect(tunnel, "/ws/echo")
    tunnel.revoke()
    assert wire.stream.ended(1) == "reset"
    wire.stream.close()


def over(tunnel):
    """Whether visitors are told that it is over; one who comes at its very end may be cut."""
    try:
        return tunnel.get("/").status == 410
    except ConnectionError:
        return False


def test_a_budget_of_requests(api, backend):
    tunnel = api.create(backend, limits={"requests": 3})
    assert [tunnel.get("/").status for _ in range(3)] == [200] * 3
    proc.wait_until(lambda: over(tunnel), 2, tunnel.show)
    proc.wait_until(lambda: tunnel.state() == "exhausted", 2, tunnel.show)
    assert len(backend.received) == 3


def test_a_budget_of_bytes(api, backend):
    tunnel = api.create(backend, limits={"bytes": 1_000_000})
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/big/5000000"))
        count = Watched("download", visitor).join()
        assert count.how == "reset" and count.count < 1_100_000, count
    proc.wait_until(lambda: tunnel.state() == "exhausted", 2, tunnel.show)
    assert tunnel.get("/").status == 410


def test_a_budget_of_bytes_counts_websocket_bytes_and_uploads(api, backend):
    tunnel = api.create(backend, limits={"bytes": 100_000})
    tunnel.ask("POST", "/sink", body=bytes(40_000))
    wire = ws.connect(tunnel, "/ws/echo")
    wire.protocol.send_binary(bytes(40_000))
    wire.flush()
    assert wire.stream.ended(5) == "reset"
    wire.stream.close()
    proc.wait_until(lambda: tunnel.state() == "exhausted", 2, tunnel.show)


def test_counters_survive_the_end(api, backend):
    tunnel = api.create(backend)
    tunnel.get("/big/5000")
    proc.wait_until(lambda: tunnel.show()["counters"]["bytes_out"] >= 5000, 3, tunnel.show)
    tunnel.revoke()
    counters = tunnel.show()["counters"]
    assert counters["requests"] == 1 and counters["bytes_out"] >= 5000, counters


def test_a_tombstone_is_kept_for_the_retention_only(backend):
    with Daemon(retention="1") as daemon:
        tunnel = daemon.api.create(backend)
        tunnel.revoke()
        assert tunnel.get("/").status == 410
        proc.wait_until(lambda: tunnel.get("/").status == 404, 10, "the tombstone is still there")
        assert daemon.api.call("GET", f"/_api/tunnels/{tunnel.id}").status == 404
