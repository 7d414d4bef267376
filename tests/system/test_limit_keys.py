# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: every limit holds at its value, one beyond it and far beyond it; a setting has bounds of its
# own; and who is refused is told which limit it was, and when to come back.

import collections
import re
import signal
import subprocess
import time

import pytest

from support import daemon as daemons
from support import proc, wire
from support.backend import head
from support.daemon import TOKEN, Daemon

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
BEARER = ("Authorization", f"Bearer {TOKEN}")


def refused(answer, status, code, *names):
    """A refusal that names the limit and, where waiting helps, says how long."""
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (status, code), answer
    for name in names:
        assert name in answer.body.decode(), (name, answer.body)
    if status in (429, 503):
        assert int(answer.fields.get("Retry-After")) > 0, answer
    return answer


# ---- the bounds of the settings themselves

def number_of(text):
    digits, unit = re.fullmatch(r"(\d+)([smhd]?)", text).groups()
    return int(digits) * UNITS.get(unit, 1)


def keys_with_bounds():
    """(key, least, most) of every key that has bounds, as --help tells them."""
    text = subprocess.run([daemons.program(), "--help"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^  (\w+) = .*\n        .*\n        (\d+[smhd]?) to (\d+[smhd]?)", text, re.MULTILINE)
    return [(key, number_of(least), number_of(most)) for key, least, most in found]


def complaints(tmp_path, values):
    """What is said about a configuration with these values: {key: complaint}."""
    path = tmp_path / "tunneld.conf"
    path.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
    run = subprocess.run([daemons.program(), "-c", path, "--check"], capture_output=True, text=True,
                         timeout=20, env={})
    said = re.findall(rf"^.*{path}:\d+: (\w+): (.*)$", run.stderr + run.stdout, re.MULTILINE)
    assert (run.returncode == 2) == bool(said), run
    return dict(said)


KEYS = keys_with_bounds()


def test_there_are_bounds():
    assert len(KEYS) >= 22, KEYS
    assert all(least < most for _, least, most in KEYS)


def test_least_and_most_are_right(tmp_path):
    assert complaints(tmp_path, {key: most for key, _, most in KEYS}) == {}
    least = {key: least for key, least, _ in KEYS}
    assert complaints(tmp_path, least) == {}


@pytest.mark.parametrize("beyond", [lambda n: n + 1, lambda n: n * 10 + 1, lambda n: 2**32, lambda n: 2**64,
                                    lambda n: "9" * 60], ids=["plus_1", "times_10", "32_bits", "64_bits", "huge"])
def test_more_than_the_most_is_refused(tmp_path, beyond):
    said = complaints(tmp_path, {key: beyond(most) for key, _, most in KEYS})
    for key, _, _ in KEYS:
        assert "is too large: write" in said[key], said.get(key)


def test_less_than_the_least_is_refused(tmp_path):
    bounded = {key: least - 1 for key, least, _ in KEYS if least > 0}
    said = complaints(tmp_path, bounded)
    assert all("is too small: write" in said[key] for key in bounded), said


@pytest.mark.parametrize("value", ["-1", "+1", "1.5", "0x10", "ten", "1 0", "1e3", ""])
def test_what_is_no_number_is_refused(tmp_path, value):
    said = complaints(tmp_path, {key: value for key, _, _ in KEYS})
    assert set(said) == {key for key, _, _ in KEYS}, said


# ---- heads, which are no settings: see docs/http.md

HEAD, LINE, FIELDS = 32 * 1024, 8 * 1024, 100


def sized(prefix, total):
    start = f"GET {prefix}/ HTTP/1.1\r\nHost: x\r\n"
    left = total - len(start) - 2
    lines = []
    while left > 0:  # lines of at most 8 KiB
        size = left if left <= 4000 else min(4000, left - 20)
        lines.append(f"X-{'a' * 4}: " + "b" * (size - 10) + "\r\n")
        left -= size
    found = (start + "".join(lines) + "\r\n").encode()
    assert len(found) == total
    return found


def with_fields(prefix, number):
    return (f"GET {prefix}/ HTTP/1.1\r\nHost: x\r\n" + "".join(
        f"X-{n}: y\r\n" for n in range(number - 1)) + "\r\n").encode()


def with_line(prefix, size):
    around = len(f"GET {prefix}/ HTTP/1.1")
    return f"GET {prefix}/{'p' * (size - around)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


HEADS = [(make, limit, limit + extra, extra <= 0)
         for make, limit in ((sized, HEAD), (with_fields, FIELDS), (with_line, LINE))
         for extra in (-1, 0, 1, 9 * limit)]


@pytest.mark.parametrize("kept", [False, True], ids=["first", "kept"])
@pytest.mark.parametrize("make,limit,size,fits", HEADS)
def test_heads(tunnel, make, limit, size, fits, kept):
    """The first head of a connection is read by a gate, later ones by the relay."""
    with tunnel.connect() as visitor:
        if kept:
            assert visitor.exchange("GET", tunnel.target("/")).status == 200
        try:
            visitor.send(make(tunnel.prefix, size))
        except ConnectionError:
            assert not fits
        answer = visitor.answer()
        if fits:
            assert answer.status == 200, answer
        else:
            assert refused(answer, 431, "head_too_large"), answer


# ---- tunnels

@pytest.fixture(scope="module")
def strict():
    with Daemon(max_connections_per_tunnel="3", max_timeout="600s", default_timeout="50s", request_rate="4",
                retention="2s", api_timeout="1s", idle_timeout="1s", connect_timeout="1s") as running:
        yield running


def ask_for(daemon, backend, **members):
    return daemon.api.call("POST", "/_api/tunnels", {"backend": backend.url(), "auth": "none", **members})


@pytest.mark.parametrize("timeout,fits", [(1, True), (599, True), (600, True), (601, False), (10_000, False),
                                          (2**53 - 1, False), (0, False)])
def test_max_timeout(strict, backend, timeout, fits):
    answer = ask_for(strict, backend, timeout=timeout)
    assert answer.status == (201 if fits else 422), answer
    if not fits:
        assert answer.json()["errors"][0]["pointer"] == "/timeout" and "1 to 600" in answer.json()["detail"]


def test_default_timeout(strict, backend):
    assert ask_for(strict, backend).json()["timeout"] == 50


@pytest.mark.parametrize("member,most", [("connections", 3), ("request_rate", 4)])
def test_limits_of_a_tunnel_within_those_of_the_server(strict, backend, member, most):
    for value, fits in ((1, True), (most, True), (most + 1, False), (most * 1000, False), (0, False)):
        answer = ask_for(strict, backend, limits={member: value})
        assert answer.status == (201 if fits else 422), (value, answer)
    assert ask_for(strict, backend).json()["limits"][member] == most, "the server's own is the default"


def test_max_connections_per_tunnel(strict, backend):
    tunnel = strict.api.create(backend, limits={"request_rate": 4})
    feeds = [backend.feed(f"/hold{n}", head(200, [("Content-Length", 2)])) for n in range(3)]
    holding = [tunnel.connect() for _ in range(3)]
    for n, visitor in enumerate(holding):
        visitor.request("GET", tunnel.target(f"/hold{n}"))
        assert visitor.answer_head().status == 200
    crowd = [tunnel.connect() for _ in range(30)]
    for visitor in crowd:
        visitor.request("GET", tunnel.target("/"))
    for visitor in crowd:
        refused(visitor.answer(), 503, "too_many_connections", "limits.connections")
    for feed, visitor in zip(feeds, holding):
        feed.send(b"ok")
        assert visitor.take(2) == b"ok", "who was there is served on"
    for visitor in (*holding, *crowd):
        visitor.close()
    proc.wait_until(lambda: tunnel.get("/").status == 200, 5, "room again")


def test_request_rate(strict, backend):
    tunnel = strict.api.create(backend)
    with tunnel.connect() as visitor:
        answers = [visitor.exchange("GET", tunnel.target("/")) for _ in range(40)]
        served = [answer.status for answer in answers].count(200)
        assert 4 <= served <= 20 and [answer.status for answer in answers[:4]] == [200] * 4, served
        for answer in answers:
            answer.status == 200 or refused(answer, 429, "rate_limited", "limits.request_rate")
        proc.wait_until(lambda: visitor.exchange("GET", tunnel.target("/")).status == 200, 3, "again")


@pytest.mark.parametrize("far", [1, 20])
def test_a_budget_of_requests(strict, backend, far):
    tunnel = strict.api.create(backend, limits={"requests": 3})
    assert [tunnel.get("/").status for _ in range(3)] == [200] * 3
    proc.wait_until(lambda: tunnel.state() == "exhausted", 5, tunnel.state)
    for _ in range(far):
        assert tunnel.get("/").status == 410


@pytest.mark.parametrize("size,state", [(999, "active"), (1000, "exhausted"), (1001, "exhausted"),
                                        (100_000, "exhausted")])
def test_a_budget_of_bytes(strict, backend, size, state):
    backend.raw("/sized", head(200, [("Content-Length", size)]) + b"x" * size)
    tunnel = strict.api.create(backend, limits={"bytes": 1000})
    got = b""
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/sized"))
        try:
            assert visitor.answer_head().status == 200
            while len(got) < size and (piece := visitor.some()):
                got += piece
        except ConnectionError:
            pass  # cut, as it has to be
    assert len(got) <= min(size, 1000)
    assert state == "exhausted" or len(got) == size
    proc.wait_until(lambda: tunnel.state() == state, 5, tunnel.state)


def test_retention(strict, backend):
    tunnel = strict.api.create(backend)
    tunnel.revoke()
    assert tunnel.get("/").status == 410
    # What is old is looked for once after the start of the worker and then every ten minutes.
    time.sleep(2.1)  # the time that is configured
    strict.worker().signal(signal.SIGKILL)
    def status():
        try:
            return tunnel.get("/").status
        except ConnectionError:
            return None
    proc.wait_until(lambda: status() == 404, 10, status)


def test_max_tunnels_and_create_rate(backend):
    with Daemon(max_tunnels="3", create_rate="13") as daemon:
        made = [daemon.api.create(backend) for _ in range(3)]
        for _ in range(10):
            refused(ask_for(daemon, backend), 429, "quota_reached", "max_tunnels")
        for _ in range(5):
            refused(ask_for(daemon, backend), 429, "rate_limited", "create_rate")
        assert all(tunnel.get("/").status == 200 for tunnel in made)


# ---- deadlines

def lasted(visitor, seconds=6):
    begin = time.monotonic()
    said = b""
    while visitor.readable(max(0, begin + seconds - time.monotonic())):
        try:
            piece = visitor.some()
        except ConnectionResetError:
            piece = b""
        if not piece:
            return time.monotonic() - begin, said
        said += piece
    raise AssertionError(f"still open after {seconds} s")


def test_api_timeout_of_a_body(strict):
    with strict.connect() as client:
        client.send(b"POST /_api/tunnels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TOKEN.encode() +
                    b"\r\nContent-Length: 10\r\n\r\n{")
        begin = time.monotonic()
        refused(client.answer(), 408, "request_timeout", "api_timeout")
        assert 0.9 < time.monotonic() - begin < 3


def test_idle_timeout(strict, backend):
    tunnel = strict.api.create(backend)
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/")).status == 200
        took, said = lasted(visitor)
        assert 0.9 < took < 3 and said == b"", (took, said)
    with tunnel.connect() as visitor:
        visitor.request("POST", tunnel.target("/"), [("Content-Length", "10")])
        begin = time.monotonic()
        refused(visitor.answer(), 408, "request_timeout", "idle_timeout")
        assert 0.9 < time.monotonic() - begin < 4


# ---- gates

@pytest.fixture(scope="module")
def narrow():
    """One gate that keeps few."""
    with Daemon(gates="1", max_pending="16", max_pending_per_tunnel="4", pending_timeout="1s",
                head_timeout="30s", max_api_connections="8", api_timeout="20s") as running:
        yield running


@pytest.mark.parametrize("number", [16, 17, 160])
def test_max_pending_heads(narrow, number):
    """The oldest give way; the newest are kept and served."""
    crowd = [narrow.connect() for _ in range(number)]
    try:
        for visitor in crowd:
            visitor.send(b"GET /healthz HTTP/1.1\r\n")
        ended = crowd[:number - 16]
        for visitor in ended:
            refused(visitor.answer(), 503, "draining", "max_pending")
        for visitor in crowd[number - 16:]:
            assert not visitor.readable(0), "kept"
            visitor.send(b"Host: x\r\n\r\n")
            assert visitor.answer().status == 200
    finally:
        for visitor in crowd:
            visitor.close()


def test_max_pending_per_tunnel_and_pending_timeout(narrow):
    """The worker takes no more: its channel fills, a few wait at the gate, the others are refused."""
    worker = narrow.worker()
    worker.signal(signal.SIGSTOP)
    crowd = []
    try:
        for _ in range(700):  # more than a channel between processes holds
            visitor = narrow.connect()
            visitor.request("GET", "/healthz")
            crowd.append(visitor)
            if len(crowd) > 20 and crowd[-20].readable(0):
                break
        reasons = collections.Counter()
        def answered():
            for visitor in [visitor for visitor in crowd if visitor.readable(0)]:
                body = refused(visitor.answer(), 503, "draining").body
                reasons[re.search(rb"max_pending_per_tunnel|pending_timeout", body)[0]] += 1
                crowd.remove(visitor)
                visitor.close()
            return reasons[b"pending_timeout"] == 4  # those who waited, after a second
        proc.wait_until(answered, 5, lambda: reasons)
        assert reasons[b"max_pending_per_tunnel"] >= 15, reasons
    finally:
        worker.signal(signal.SIGCONT)
        for visitor in crowd:
            visitor.close()
    proc.wait_until(narrow.ready, 10, narrow.log)


@pytest.mark.parametrize("number", [8, 9, 30])
def test_max_api_connections(narrow, number):
    """With a token nobody gives way to others; who comes too late is told."""
    crowd = [narrow.connect() for _ in range(number)]
    try:
        for n, client in enumerate(crowd):
            client.send(b"POST /_api/tunnels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TOKEN.encode() +
                        b"\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            if n < 8:
                assert client.head().startswith(b"HTTP/1.1 100 "), n
        for client in crowd[8:]:
            refused(client.answer(), 503, "draining", "max_api_connections")
        for client in crowd[:8]:
            client.send(b"[]")
            assert client.answer().status == 422
    finally:
        for client in crowd:
            client.close()
    proc.wait_until(narrow.ready, 10, narrow.log)


# ---- the end

@pytest.mark.parametrize("seconds", [1, 3])
def test_stop_timeout(seconds):
    with Daemon(stop_timeout=str(seconds)) as daemon:
        daemon.worker().signal(signal.SIGSTOP)
        begin = time.monotonic()
        daemon.process.terminate()
        daemon.process.wait(10)
        took = time.monotonic() - begin
        assert seconds - 0.1 < took < seconds + 1.5, f"{took:.1f} s"
