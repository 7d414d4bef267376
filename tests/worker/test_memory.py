# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Each process without memory: every single allocation of a whole story is refused, one a round, and
# then it and all behind it. The story may fail, in a way its user can see; the process goes on, the
# next story succeeds, and no memory, descriptor or tunnel is left over.

import contextlib
import itertools
import json
import mmap
import os
import select
import socket
import struct
import time

import pytest

import api_stage
import gate_stage
from child import MSG, SETTLE, Child
from support import proc, wire
from relay_stage import Relay, get, tcp_pair

FORMAT = "QQQQQq"


class Faults:
    """The page that faults.c reads."""

    def __init__(self):
        self.memory = os.memfd_create("faults")
        os.ftruncate(self.memory, mmap.PAGESIZE)
        self.page = mmap.mmap(self.memory, mmap.PAGESIZE)

    def _read(self):
        return struct.unpack_from(FORMAT, self.page)

    def arm(self, at, stays):
        struct.pack_into("QQQQ", self.page, 8, at, stays, 0, 0)
        struct.pack_into("Q", self.page, 0, 1)

    def disarm(self):
        struct.pack_into("Q", self.page, 0, 0)

    @property
    def hits(self):
        return self._read()[4]

    @property
    def blocks(self):
        return self._read()[5]


@pytest.fixture
def faults(monkeypatch):
    made = Faults()
    monkeypatch.setattr(Child, "programs", "faulty-")
    monkeypatch.setattr(Child, "also", {7: made.memory})
    yield made
    os.close(made.memory)


def refuse_each(faults, child, story, sound, *, stays, most=2000):
    """
    STORY() once for every allocation it makes, with that one refused, and SOUND() after each.
    Returns how many there were.
    """
    sound()  # what is allocated once is allocated now
    blocks = None
    while blocks != (blocks := faults.blocks):
        time.sleep(0.2)  # until the last connections are closed
    descriptors = child.descriptors()
    for at in range(1, most, 3 if stays else 1):
        faults.arm(at, stays)
        try:
            story()
        finally:
            faults.disarm()
        hits = faults.hits
        sound()
        assert child.alive(), f"allocation {at}: exited {child.status}\n{child.log()}"
        # Fewer can be: something that is kept for later, and that there was no memory for.
        proc.wait_until(lambda: faults.blocks <= blocks, SETTLE,
                        lambda: f"allocation {at}: {faults.blocks} blocks instead of {blocks}")
        proc.wait_until(lambda: child.descriptors() == descriptors, SETTLE,
                        lambda: f"allocation {at}: {child.descriptors()} descriptors instead of {descriptors}")
        if hits == 0:
            return at - 1
    raise AssertionError(f"more than {most} allocations")


modes = pytest.mark.parametrize("stays", [False, True], ids=["once", "from then on"])

# ---- a relay


BODY = b"0123456789" * 3000
ANSWER = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
          + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n")
PIECES = (  # a head in two pieces, a body in two, and a request right behind it
    get("/up", f"Content-Length: {len(BODY)}\r\nX-Long: {'x' * 3000}\r\n", "POST")[:1500],
    get("/up", f"Content-Length: {len(BODY)}\r\nX-Long: {'x' * 3000}\r\n", "POST")[1500:] + BODY[:9000],
    BODY[9000:] + get("/again"))


class Exchange:
    """Two requests on one connection, with the backend played here as far as the relay gets."""

    def __init__(self, relay):
        self.relay, self.backends = relay, {}
        self.answers = b""
        self.over = False

    def dialled(self):
        message = self.relay.recv()
        if message.type == MSG.DIAL:
            ours, theirs = tcp_pair()
            self.relay.send(MSG.DIALED, message.fields[0], 1, fd=theirs)
            theirs.close()
            self.backends[ours] = b""

    def asked(self, backend):
        try:
            piece = backend.recv(1 << 17)
        except ConnectionResetError:
            piece = b""
        if not piece:
            self.backends.pop(backend)
            backend.close()
            return
        self.backends[backend] += piece
        if b"\r\n\r\n" in self.backends[backend]:
            head, _, body = self.backends[backend].partition(b"\r\n\r\n")
            wanted = len(BODY) if head.startswith(b"POST") else 0
            if len(body) >= wanted:
                self.backends[backend] = body[wanted:]
                with contextlib.suppress(OSError):
                    backend.sendall(ANSWER)

    def answered(self, client):
        try:
            piece = client.recv(1 << 17)
        except ConnectionResetError:
            piece = b""
        self.answers += piece
        self.over = not piece or self.answers.count(b"\r\n0\r\n\r\n") == 2

    def run(self):
        client, limit = self.relay.visit(PIECES[0]), time.monotonic() + SETTLE
        for piece in PIECES[1:]:
            with contextlib.suppress(OSError):
                client.sendall(piece)
        with client:
            while not self.over:
                assert time.monotonic() < limit, f"neither an answer nor an end: {self.answers[-200:]!r}"
                ready, _, _ = select.select([self.relay, client, *self.backends], [], [], 1)
                for source in ready:
                    if source is self.relay:
                        self.dialled()
                    elif source is client:
                        self.answered(client)
                    else:
                        self.asked(source)
        for backend in self.backends:
            backend.close()
        return self.answers


def judged(answers):
    """Whatever arrived is a true beginning of the answers, or an answer of the relay's own."""
    whole = answers.count(b"HTTP/1.1 200")
    for number in range(whole):
        body = answers.split(b"HTTP/1.1 200")[number + 1]
        if b"\r\n0\r\n\r\n" in body:
            assert body.count(BODY) == 1, f"answer {number} is complete and wrong"
    return whole


@modes
def test_a_relay(faults, stays, report):
    with Relay() as relay:
        def sound():
            assert judged(Exchange(relay).run()) == 2
            proc.wait_until(lambda: relay.counter("open") == 0, SETTLE, "connections are left")

        count = refuse_each(
            faults, relay, lambda: judged(Exchange(relay).run()), sound, stays=stays)
    report(f"a relay makes {count} allocations for two requests")
    assert count >= 5


# ---- a gate


def visit(stage, relay, tunnel):
    """A head in two pieces, and one that is not good; each is handed over, answered or closed."""
    head = gate_stage.get(f"/t/{tunnel}/x", f"X-Long: {'y' * 3000}")
    slow, bad, bare = (stage.visitor(data) for data in (
        head[:2000], b"GET / HTTP/1.1\r\n bad\r\n\r\n", gate_stage.get(f"/{tunnel}/")))
    time.sleep(0.002)  # so that it comes in two pieces
    with contextlib.suppress(OSError):
        slow.send(head[2000:])
    poll = select.poll()
    for source in (relay, stage.api, slow.sock):
        poll.register(source, select.POLLIN)
    assert poll.poll(SETTLE * 1000), "neither handed over nor ended"
    for channel in (relay, stage.api):
        while channel.readable(0):
            gate_stage.Taken(channel.recv()).sock.close()
    for client in (bad, bare):
        with contextlib.suppress(ConnectionError):
            while client.sock.recv(65536):
                pass
    for client in (slow, bad, bare):
        client.close()
    stage.clients.clear()


@modes
def test_a_gate(faults, stays, report):
    tunnel = gate_stage.A
    with gate_stage.Stage() as stage:
        relay = stage.relay(tunnel)

        def sound():
            visit(stage, relay, tunnel)
            with contextlib.suppress(AssertionError):
                stage.gate.recv(0)  # log lines
            client = stage.visitor(gate_stage.get(f"/t/{tunnel}/"))
            with stage.take(relay) as taken:
                assert taken.is_of(client)
            client.close()
            stage.clients.clear()

        count = refuse_each(faults, stage.gate, lambda: visit(stage, relay, tunnel), sound, stays=stays)
    report(f"a gate makes {count} allocations for three visitors")
    assert count >= 3


def test_a_gate_sheds_visitors_for_a_route(faults):
    """Half-open connections go before a route is missed: a missed route is a tunnel nobody reaches."""
    with gate_stage.Stage() as stage:
        waiting = [stage.visitor(b"GET / HT") for _ in range(4)]
        assert stage.still_works()
        faults.arm(1, False)
        relay = stage.relay(gate_stage.B)
        proc.wait_until(lambda: faults.hits, SETTLE, "the route is made")
        faults.disarm()
        client = stage.visitor(gate_stage.get(f"/t/{gate_stage.B}/"))
        with stage.take(relay) as taken:
            assert taken.is_of(client)
        ended = [visitor.readable(0) for visitor in waiting]
        assert ended.count(True) == 2, ended


# ---- the API worker


class Supervisor:
    """Answers the worker as the supervisor would, and knows what lives."""

    def __init__(self, stage, faults):
        self.stage, self.faults, self.lives, self.over = stage, faults, {}, {}

    def serve(self):
        """One message, whatever it is."""
        message, worker = self.stage.worker.recv(), self.stage.worker
        assert message is not None, f"the worker has ended\n{worker.log()}"
        if message.type == MSG.SPAWN:
            spawn = api_stage.Spawn(message)
            self.lives[spawn.id] = self.stage.spawned(spawn)
        elif message.type == MSG.END:
            _, name, reason = message.fields
            if self.lives.pop(name, None):
                self.over[name] = reason
                self.stage.ended(name, reason)
        elif message.type == MSG.EXTEND:
            request, name, left_ms = message.fields
            if name in self.lives:
                self.lives[name] = api_stage.boottime_us(left_ms / 1000)
                worker.send(MSG.EXTENDED, request, self.lives[name])
            else:
                worker.send(MSG.EXTEND_FAILED, request, api_stage.code("tunnel_over"), "it is over")
        elif message.type == MSG.ENDED_ACK:
            self.over.pop(message.fields[0], None)
        elif message.type == MSG.COUNTERS_GET:
            worker.send(MSG.COUNTERS, message.fields[0], *(0,) * 7)
        elif message.type == MSG.SNAPSHOT:
            for tunnel, deadline in self.lives.items():
                self.stage.live(tunnel, deadline)
            worker.send(MSG.LIVE_DONE)
            for name, reason in self.over.items():
                self.stage.ended(name, reason)

    def call(self, method, path, body=None, **how):
        """The answer, or None when the connection was closed without one."""
        client = self.stage.ask(method, path, body, **how)
        limit = time.monotonic() + SETTLE
        poll = select.poll()
        for source in (self.stage.worker, client.sock):
            poll.register(source, select.POLLIN)
        try:
            asked = time.monotonic()
            while client.sock.fileno() not in dict(poll.poll(200)):
                assert time.monotonic() < limit, f"{method} {path}: no answer"
                if time.monotonic() > asked + 0.5:
                    self.faults.disarm()  # what is tried again succeeds in the end
                while self.stage.worker.readable(0):
                    self.serve()
            return client.answer(method)
        except OSError:
            return None
        finally:
            client.close()
            self.stage.clients.remove(client)

    def agrees(self):
        """Whether the worker lists what lives and has stored what ended."""
        while self.stage.worker.readable(0.01):
            self.serve()
        return not self.over and self.listed() == set(self.lives)

    def listed(self):
        answer = self.call("GET", "/_api/tunnels")
        assert answer is not None and answer.status == 200, answer
        return {entry["id"] for entry in json.loads(answer.body)}


def story_of_a_tunnel(supervisor):
    body = {"backend": "http://127.0.0.1:3000", "name": "a name", "limits": {"requests": 5}}
    made = supervisor.call("POST", "/_api/tunnels", body)
    supervisor.call("GET", "/_api/tunnels")
    if made is not None and made.status == 201:
        name = made.fields.get("Location")
        supervisor.call("GET", name)
        supervisor.call("PATCH", name, {"timeout": 300})
        supervisor.call("DELETE", name)
    return [made]


def story_of_a_token(supervisor):
    """It makes a tunnel, twice with one key, and ends with it."""
    lent = supervisor.call("POST", "/_api/tokens", {"name": "lent", "quota": 2})
    if lent is None or lent.status != 201:
        return [lent]
    key = [("Idempotency-Key", json.dumps(str(next(keys))))]
    made = [supervisor.call("POST", "/_api/tunnels", {"backend": "http://127.0.0.1:3000"},
                            token=json.loads(lent.body)["token"], fields=key) for _ in range(2)]
    supervisor.call("DELETE", lent.fields.get("Location"))
    return [lent, *made]


keys = itertools.count()


EVENTS_KEPT = 1024  # of api/events.h


def fill_history(supervisor):
    """Afterwards each event takes the place of an older one."""
    for _ in range(EVENTS_KEPT // 2 + 1):  # two for each tunnel
        made = supervisor.call("POST", "/_api/tunnels", {"backend": "http://127.0.0.1:3000"})
        assert supervisor.call("DELETE", made.fields.get("Location")).status == 200


@pytest.mark.parametrize("story", [story_of_a_tunnel, story_of_a_token])
def test_the_api_worker(faults, tmp_path, report, story):
    folder = api_stage.state_folder(tmp_path)
    with api_stage.Stage(folder, idempotency_answers=4) as stage:
        supervisor = Supervisor(stage, faults)

        def sound():
            proc.wait_until(supervisor.agrees, SETTLE, lambda: (
                f"listed {supervisor.listed()}, alive {supervisor.lives}, ended {supervisor.over}"))
            for name in list(supervisor.lives):
                assert supervisor.call("DELETE", f"/_api/tunnels/{name}").status == 200
            for token in json.loads(supervisor.call("GET", "/_api/tokens").body):
                assert supervisor.call("DELETE", f"/_api/tokens/{token['id']}").status == 200
            answers = story(supervisor)
            assert all(answer is not None and answer.status == 201 for answer in answers), answers
            proc.wait_until(supervisor.agrees, SETTLE, "all has ended")
            assert not supervisor.lives

        def visible():
            for answer in story(supervisor):
                assert answer is None or answer.status in (201, 409, 500, 503), answer

        counts = []
        fill_history(supervisor)
        for _ in range(4):  # and as many answers as are kept
            sound()
        for stays in (False, True):
            counts.append(refuse_each(faults, stage.worker, visible, sound, stays=stays))
    report(f"{story.__name__}: {counts[0]} allocations of the API worker, SQLite's not counted")
    assert counts[0] > 20
