# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-gate. The test is everything around it: supervisor, relays, API worker, visitors.

import contextlib
import ipaddress
import json
import os
import resource
import signal
import socket
import time

import pytest
from child import MSG, OWN_UID, SECCOMP, SETTLE, UID, Channel, Child, listener, one_way, readable
from support import proc, wire

A = "t-aaaaaaaaaaaaaaaaaaaaaaaaaa"
B = "t-bbbbbbbbbbbbbbbbbbbbbbbbbb"
HEAD_MAX, LINE_MAX, FIELDS_MAX = 32 * 1024, 8 * 1024, 100
TRAVELS_MAX = 48 * 1024  # bytes that go along with a descriptor
PARK = 5                 # seconds that a visitor waits for a busy receiver
PARKED_MAX = 256         # visitors that wait for one of them


def get(path, *fields, method="GET", version="HTTP/1.1"):
    lines = "".join(f"{field}\r\n" for field in ("Host: example.org", *fields))
    return f"{method} {path} {version}\r\n{lines}\r\n".encode()


def sized_head(size):
    """A request head of exactly SIZE bytes, in lines of at most 1 KiB."""
    head = get(f"/t/{A}/")[:-2]
    while (left := size - len(head) - 2) > 0:
        line = min(left, 1024)
        if 0 < left - line < 8:
            line -= 8
        head += b"F: " + b"x" * (line - 5) + b"\r\n"
    head += b"\r\n"
    assert len(head) == size, (len(head), size)
    return head


def names(count):
    """Tunnel ids that are neither A nor B."""
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    return [f"t-{'c' * 24}{alphabet[i // 32]}{alphabet[i % 32]}" for i in range(count)]


class Taken:
    """A visitor as a relay or the API worker receives it."""

    def __init__(self, message):
        peer, self.listener, self.bytes = message.fields
        self.peer = (ipaddress.IPv6Address(peer[:16]), int.from_bytes(peer[16:], "big"))
        self.sock = message.take_socket()
        self.sock.settimeout(SETTLE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def is_of(self, client):
        """Whether this descriptor is the other end of CLIENT: by address, and by bytes both ways."""
        if self.sock.getpeername()[:2] != client.sock.getsockname()[:2]:
            return False
        client.send(b"ping")
        self.sock.sendall(b"pong")
        return self.sock.recv(4, socket.MSG_WAITALL) == b"ping" and client.take(4) == b"pong"


class Stage:
    """A gate that is set up and accepts."""

    def __init__(self, head_timeout=10, max_pending=1024, defer=True, descriptors=None):
        sending, receiving = one_way()
        self.api = Channel(receiving)
        self.gate = Child("gate", {4: sending}, descriptors=descriptors)
        self.reached = self.gate.ready()
        self.gate.send(MSG.GATE_SETUP, round(head_timeout * 1000), max_pending)
        self.listener = listener(defer=defer)
        self.gate.send(MSG.LISTENER, 0, fd=self.listener)
        self.relays = []
        self.clients = []

    def __enter__(self):
        self.gate.__enter__()
        return self

    def __exit__(self, *exception):
        for thing in (*self.clients, *self.relays, self.api, self.listener):
            thing.close()
        self.gate.__exit__(*exception)

    def log(self):
        return self.gate.log()

    def relay(self, tunnel):
        """A live route; returns where its relay receives visitors."""
        sending, receiving = one_way()
        with sending:
            self.gate.send(MSG.ROUTE_ADD, tunnel, fd=sending)
        self.relays.append(Channel(receiving))
        return self.relays[-1]

    def visitor(self, data=b"", to=None):
        client = wire.Client((to or self.listener).getsockname()[:2])
        self.clients.append(client)
        if data:
            client.send(data)
        return client

    def take(self, channel):
        return Taken(channel.expect(MSG.VISITOR))

    def still_works(self):
        """
        A new visitor is served at once. It asks for an unknown tunnel, before which the gate looks
        at every message that waits for it: all sent so far have been handled.
        """
        client = self.visitor(get("/t/t-unknownunknownunknown/"))
        with self.take(self.api) as taken:
            return taken.is_of(client)


@pytest.fixture
def stage():
    with Stage() as running:
        yield running


def problem(client, status, code, *, seconds=SETTLE):
    """Reads an answer of the gate's own, complete and followed by an orderly end."""
    client.sock.settimeout(seconds)
    answer = client.answer()
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (status, code), answer
    assert answer.fields.get("Connection") == "close", answer
    assert answer.fields.get("Content-Type") == "application/problem+json", answer
    told = json.loads(answer.body)
    assert (told["status"], told["code"]) == (status, code), told
    assert client.rest() == b""  # an orderly end, or this raises
    return answer, told


# Handing over


def test_a_whole_head_goes_to_the_relay_of_its_tunnel(stage):
    relay = stage.relay(A)
    client = stage.visitor(get(f"/t/{A}/path?query"))
    with stage.take(relay) as taken:
        assert taken.bytes == get(f"/t/{A}/path?query")
        assert taken.listener == 0
        assert taken.is_of(client)


def test_the_gate_keeps_nothing_of_it(stage):
    relay = stage.relay(A)
    assert stage.still_works()
    before = stage.gate.descriptors()
    for _ in range(20):
        client = stage.visitor(get(f"/t/{A}/"))
        with stage.take(relay):
            pass
        assert client.ended() == "reset"  # ours was the last copy, and it had SO_LINGER {1,0}
    proc.wait_until(lambda: stage.gate.descriptors() <= before, SETTLE, "not all were closed")


@pytest.mark.parametrize("path", [
    f"/t/{A}", f"/t/{A}/", f"/t/{A}?q", f"/t/{A}/a/b?c=d", f"/t/{A}//", f"/t/{A}/t/{B}/",
    f"http://example.org/t/{A}/x", f"HTTP://EXAMPLE.ORG/t/{A}",
])
def test_targets_of_the_tunnel(stage, path):
    relay = stage.relay(A)
    client = stage.visitor(get(path))
    with stage.take(relay) as taken:
        assert taken.bytes == get(path)
        assert taken.is_of(client)


@pytest.mark.parametrize("path", [
    "/", "/_api/tunnels", "/_t/", "/healthz", "/favicon.ico", "/t", "/t/", "/t//", f"/t/{B}/",
    f"/T/{A}/", f"//t/{A}/", f"/t/{A}1/", f"/t/{A}_/", f"/t/{B}b/", f"/t/{A[:-1]}/", f"/t/{A.upper()}/", f"/t/{A};x/",
    f"/t/%74{A[1:]}/", f"/./t/{A}/", "/t-short/", f"/{A}1", f"/{A};x", "http://example.org/",
])
def test_everything_else_is_the_api_workers(stage, path):
    stage.relay(A)
    client = stage.visitor(get(path))
    with stage.take(stage.api) as taken:
        assert taken.bytes == get(path)
        assert taken.is_of(client)


def test_options_of_the_whole_server_is_the_api_workers(stage):
    client = stage.visitor(get("*", method="OPTIONS"))
    with stage.take(stage.api) as taken:
        assert taken.is_of(client)


def test_http_1_0_is_served(stage):
    relay = stage.relay(A)
    client = stage.visitor(f"GET /t/{A}/ HTTP/1.0\r\n\r\n".encode())
    with stage.take(relay) as taken:
        assert taken.is_of(client)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_peer_and_the_listener_are_named(stage, host):
    other = listener(host)
    stage.gate.send(MSG.LISTENER, 7, fd=other)
    client = stage.visitor(get("/"), to=other)
    with other, stage.take(stage.api) as taken:
        address, port = client.sock.getsockname()[:2]
        mapped = f"::ffff:{address}" if "." in address else address
        assert taken.peer == (ipaddress.IPv6Address(mapped), port)
        assert taken.listener == 7


def test_a_head_that_trickles_in(stage):
    relay = stage.relay(A)
    head = get(f"/t/{A}/slow", "Cookie: a=b")
    client = stage.visitor()
    for byte in head[:-1]:
        client.send(bytes([byte]))
    assert relay.silent(0.05), "handed over before the head was complete"
    client.send(head[-1:])
    with stage.take(relay) as taken:
        assert taken.bytes == head
        assert taken.is_of(client)


def test_what_follows_the_head_travels_along(stage):
    relay = stage.relay(A)
    both = get(f"/t/{A}/1") + get(f"/t/{B}/2")
    client = stage.visitor(both)
    with stage.take(relay) as taken:
        assert taken.bytes == both
        assert taken.is_of(client)


def test_a_body_is_split_between_message_and_descriptor(stage):
    relay = stage.relay(A)
    sent = sized_head(HEAD_MAX - 100)[:-2] + b"Content-Length: 200000\r\n\r\n" + bytes(200000)
    client = stage.visitor(sent)
    with stage.take(relay) as taken:
        assert len(taken.bytes) <= TRAVELS_MAX
        got = taken.bytes
        while len(got) < len(sent) and (piece := taken.sock.recv(65536)):
            got += piece
        assert got == sent
        assert taken.is_of(client)


def test_empty_lines_before_the_request_are_passed_over(stage):
    client = stage.visitor(b"\r\n\r\n" + get("/"))
    with stage.take(stage.api) as taken:
        assert taken.is_of(client)


# Answers of the gate's own


@pytest.mark.parametrize("size, fits", [(HEAD_MAX, True), (HEAD_MAX + 1, False),
                                        (HEAD_MAX * 3, False)])
@pytest.mark.parametrize("pieces", [1, 7])
def test_size_of_a_head(stage, size, fits, pieces):
    relay = stage.relay(A)
    head = sized_head(size)
    client = stage.visitor()
    step = -(-size // pieces)
    for at in range(0, size, step):
        client.send(head[at : at + step])
    if fits:
        with stage.take(relay) as taken:
            assert taken.bytes == head
            assert taken.is_of(client)
    else:
        problem(client, 431, "head_too_large")


@pytest.mark.parametrize("over", [0, 1])
def test_length_of_the_request_line(stage, over):
    path = "/".ljust(LINE_MAX - len("GET  HTTP/1.1") + over, "p")
    client = stage.visitor(get(path))
    if over:
        problem(client, 431, "head_too_large")
    else:
        with stage.take(stage.api) as taken:
            assert taken.is_of(client)


@pytest.mark.parametrize("over", [0, 1])
def test_number_of_fields(stage, over):
    client = stage.visitor(get("/", *("F: x" for _ in range(FIELDS_MAX - 1 + over))))
    if over:
        problem(client, 431, "head_too_large")
    else:
        with stage.take(stage.api) as taken:
            assert taken.is_of(client)


@pytest.mark.parametrize("head, detail", [
    (b"GET / HTTP/1.1\r\n\r\n", "Host"),
    (b"GET / HTTP/1.1\nHost: x\n\n", "CR LF"),
    (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", "control"),
    (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", "control"),
    (b"hello\r\n\r\n", "method"),
    (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "version"),
    (b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n", "fragment"),
    (b"GET http://other/ HTTP/1.1\r\nHost: x\r\n\r\n", "host"),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     "Content-Length"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "white space"),
    (b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", "CONNECT"),
])
def test_what_is_not_http_is_told_why(stage, head, detail):
    _, told = problem(stage.visitor(head), 400, "bad_request")
    assert detail in told["detail"], told
    assert stage.api.silent(0)


def test_a_refused_head_request_gets_no_body(stage):
    client = stage.visitor(b"HEAD /#a HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = client.answer("HEAD")
    assert answer.status == 400
    assert int(answer.fields.get("Content-Length")) > 0
    assert client.rest() == b""


def test_a_head_cut_off_by_the_visitor(stage):
    client = stage.visitor(b"GET / HTTP/1.1\r\nHo")
    client.finish()
    _, told = problem(client, 400, "bad_request")
    assert "ended" in told["detail"]


def test_a_visitor_that_resets_inside_its_head(stage):
    for _ in range(10):
        stage.visitor(b"GET / HT").reset()
    assert stage.still_works()


@pytest.mark.parametrize("behind", [0, 1000, 100000])
def test_the_answer_arrives_though_more_was_sent(stage, behind):
    client = stage.visitor(b"BAD\r\n\r\n" + bytes(behind))
    problem(client, 400, "bad_request")


def test_a_visitor_that_takes_no_notice_of_the_answer_is_cut(stage):
    client = stage.visitor(b"BAD\r\n\r\n")
    client.sock.settimeout(SETTLE)
    assert client.answer().status == 400
    started = time.monotonic()
    with pytest.raises(ConnectionError):
        while time.monotonic() - started < SETTLE:
            client.send(bytes(65536))
    assert stage.still_works()


def test_a_visitor_that_stays_after_the_answer_is_cut(stage):
    client = stage.visitor(b"BAD\r\n\r\n")
    assert client.answer().status == 400
    started = time.monotonic()
    with pytest.raises(ConnectionError):  # comes when nobody has the other end any more
        while time.monotonic() - started < SETTLE:
            client.send(b".")
            time.sleep(0.02)
    assert 1.5 < time.monotonic() - started < 4


@pytest.mark.parametrize("path, location", [
    (f"/{A}", f"/t/{A}"),
    (f"/{A}/", f"/t/{A}/"),
    (f"/{A}/a/b?c=%2f&d", f"/t/{A}/a/b?c=%2f&d"),
    (f"/{A}?q", f"/t/{A}?q"),
    (f"http://example.org/{A}/x", f"/t/{A}/x"),
    (f"/{A}/".ljust(8000, "x"), f"/t/{A}/".ljust(8002, "x")),
])
def test_a_bare_id_is_redirected(stage, path, location):
    client = stage.visitor(get(path, method="PUT"))
    answer = client.answer()
    assert (answer.status, answer.fields.get("Location")) == (308, location)
    assert (answer.fields.get("Connection"), answer.body) == ("close", b"")
    assert client.ended() == "eof"


# Slow heads


def test_a_slow_head_is_answered_in_time_however_it_trickles():
    with Stage(head_timeout=0.6) as stage:
        client = stage.visitor(b"GET / HTTP/1.1\r\n")
        started = time.monotonic()
        while not client.readable(0.02):
            client.send(b"A: b\r\n")
            assert time.monotonic() - started < SETTLE
        assert 0.5 < time.monotonic() - started < 2
        problem(client, 408, "request_timeout")


def test_who_says_nothing_is_left_without_an_answer():
    with Stage(head_timeout=0.3, defer=False) as stage:
        client = stage.visitor()
        assert client.rest() == b""  # an end, not a reset


def test_1500_slow_heads_stop_nobody(stage_of_many):
    stage = stage_of_many
    relay = stage.relay(A)
    assert stage.still_works()
    slow = [stage.visitor(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ") for _ in range(1500)]
    started = time.monotonic()
    for _ in range(50):
        client = stage.visitor(get(f"/t/{A}/"))
        with stage.take(relay) as taken:
            assert taken.is_of(client)
    assert time.monotonic() - started < 5
    # One that needs a place itself gets it: the one that has waited longest goes.
    client = stage.visitor(get(f"/t/{A}/")[:-2])
    assert relay.silent(0.05)
    client.send(b"\r\n")
    with stage.take(relay) as taken:
        assert taken.is_of(client)
    for oldest in slow[:3]:
        problem(oldest, 408, "request_timeout")
    assert not readable(slow[-1].sock, 0), "the newest was dropped"


@pytest.fixture
def stage_of_many():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"needs 4096 descriptors, may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    with Stage(head_timeout=120) as running:
        yield running
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_memory_of_a_waiting_visitor(stage_of_many, report):
    stage = stage_of_many
    assert stage.still_works()
    before = stage.gate.process.private_kib()
    head = get("/", "Cookie: " + "c" * 200)[:-2]
    for _ in range(1000):
        stage.visitor(head)
    assert stage.still_works()
    each = (stage.gate.process.private_kib() - before) * 1024 / 1000
    report(f"gate: {each:.0f} bytes for a visitor waiting with {len(head)} bytes of its head")
    assert each < 1024 + len(head)


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
            gate.send(MSG.ROUTE_ADD, A, fd=sending)
        sending.close()
        assert stage.still_works()
        other.gate.send(MSG.LISTENER, 1, fd=stage.listener)
        assert other.still_works()
        clients = {}
        for _ in range(200):
            client = stage.visitor(get(f"/t/{A}/"))
            clients[client.sock.getsockname()] = client
        seen = set()
        for _ in range(200):
            with stage.take(both) as taken:
                assert taken.is_of(clients.pop(taken.sock.getpeername()))
                seen.add(taken.listener)
        assert both.silent(0) and relay.closed()
        both.close()
        assert seen <= {0, 1}


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
    (MSG.GATE_SETUP, 1, 1), (MSG.ROUTE_DROP, 1), (MSG.ROUTE_DROP,), (MSG.DIALED, 1, 1), (99,)])
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
