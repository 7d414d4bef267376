# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# How a gate takes a visitor: which head goes where, what it answers by itself, and how long it
# waits for one.

import ipaddress
import re
import resource
import time

import pytest
from child import MSG, SETTLE, USE, listener, readable
from gate_stage import A, B, Stage, get, problem
from support import proxy_header, proc

HEAD_MAX, LINE_MAX, FIELDS_MAX = 32 * 1024, 8 * 1024, 100
TRAVELS_MAX = 48 * 1024  # bytes that go along with a descriptor


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


@pytest.fixture
def stage():
    with Stage() as running:
        yield running


# Handing over


def test_a_whole_head_goes_to_the_relay_of_its_tunnel(stage):
    relay = stage.relay(A)
    client = stage.visitor(get(f"/t/{A}/path?query"))
    with stage.take(relay) as taken:
        assert taken.bytes == get(f"/t/{A}/path?query")
        assert (taken.use, taken.tls) == (USE.VISITORS, False)
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
    f"/T/{A}/", f"//t/{A}/", f"/t/{A}1/", f"/t/{A}_/", f"/t/{B}b/", f"/t/{A[:-1]}/",
    f"/t/{A.upper()}/", f"/t/{A};x/",
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
def test_the_peer_is_named(stage, host):
    other = listener(host)
    stage.gate.send(MSG.LISTENER, 7, USE.VISITORS, False, fd=other)
    client = stage.visitor(get("/"), to=other)
    with other, stage.take(stage.api) as taken:
        address, port = client.sock.getsockname()[:2]
        mapped = f"::ffff:{address}" if "." in address else address
        assert taken.peer == (ipaddress.IPv6Address(mapped), port)


@pytest.mark.parametrize("path", ["/metrics", f"/t/{A}/", f"/{A}/", "*"])
def test_a_listener_for_metrics_leads_to_the_api_worker_only(stage, path):
    relay, other = stage.relay(A), listener("127.0.0.1")
    stage.gate.send(MSG.LISTENER, 9, USE.METRICS, False, fd=other)
    head = get(path, method="OPTIONS" if path == "*" else "GET")
    client = stage.visitor(head, to=other)
    with other, stage.take(stage.api) as taken:
        assert (taken.use, taken.bytes) == (USE.METRICS, head)
        assert taken.is_of(client)
    assert relay.silent(0.05)


def test_counts_are_told_once_a_second(stage):
    begin = time.monotonic()
    for _ in range(3):
        problem(stage.visitor(b"GET / HTTP/1.1\r\n\r\n"), 400, "bad_request")
    stage.visitor(b"GET / HT")
    sums = [0] * 10
    while sums[6] != 1 or sums[2] != 3:
        told = stage.gate.expect(MSG.GATE_COUNTS).fields
        sums = [a + b for a, b in zip(sums[:6], told[:6])] + told[6:]
        assert time.monotonic() - begin < 5, sums
    assert time.monotonic() - begin > 0.9
    assert sums[:9] == [4, 0, 3, 0, 0, 0, 1, 0, 3] and sums[9] > 30, sums
    for client in stage.clients:
        client.close()
    while any(stage.gate.expect(MSG.GATE_COUNTS).fields[6:9]):
        assert time.monotonic() - begin < 8
    assert stage.gate.silent(1.2), "nothing has happened since"


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
    assert detail in told["detail"] and re.fullmatch("[A-Z].*\\.", told["detail"]), told
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
    assert len(answer.fields.all("Date")) == 1, answer
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


@pytest.fixture
def stage_of_many():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"needs 4096 descriptors, may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    with Stage(head_timeout=120) as running:
        yield running
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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
        problem(oldest, 503, "draining")
    assert not readable(slow[-1].sock, 0), "the newest was dropped"


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


# PROXY headers


@pytest.mark.parametrize("split", [0, 1, 12, 20, 28, 40])
def test_a_proxy_header_names_the_peer(stage, split):
    other, head = listener(defer=False), get("/")
    stage.gate.send(MSG.LISTENER, 5, USE.VISITORS, True, fd=other)
    bytes_ = proxy_header.version_2("198.51.100.7", 4711) + head
    client = stage.visitor(bytes_[:split], to=other)
    assert stage.still_works()
    client.send(bytes_[split:])
    with other, stage.take(stage.api) as taken:
        assert taken.peer == (ipaddress.IPv6Address("::ffff:198.51.100.7"), 4711)
        assert taken.bytes == head
        assert taken.is_of(client)


def test_a_proxy_header_has_its_deadline():
    with Stage(head_timeout=0.2) as stage:
        other = listener(defer=False)
        stage.gate.send(MSG.LISTENER, 5, USE.VISITORS, True, fd=other)
        silent, slow = stage.visitor(b"", to=other), stage.visitor(b"PROXY TCP4 ", to=other)
        with other:
            problem(slow, 408, "request_timeout")
            assert silent.rest() == b""


def test_without_a_proxy_header_nobody_gets_in(stage):
    other = listener()
    stage.gate.send(MSG.LISTENER, 5, USE.VISITORS, True, fd=other)
    with other:
        problem(stage.visitor(get("/"), to=other), 400, "bad_request")
    assert stage.still_works()


# Origins of tunnels

OWN = "http://{id}.t.example:8080"


@pytest.fixture
def wildcard():
    with Stage(wildcard=OWN) as stage:
        yield stage


def at(host, path):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


@pytest.mark.parametrize("path", ["/", "/a", f"/t/{B}/", f"/{B}", "/t/", "/_apis", "/healthz"])
def test_on_its_host_all_is_the_tunnels(wildcard, path):
    relay, other = wildcard.relay(A), wildcard.relay(B)
    wildcard.visitor(at(f"{A}.t.example:8080", path))
    with wildcard.take(relay) as taken:
        assert (taken.own, taken.use) == (A, USE.VISITORS)
    assert other.silent(0.05)


@pytest.mark.parametrize("path", ["/_api", "/_api/tunnels", f"/_t/{A}/login", f"/_t/{B}/login"])
def test_but_for_our_own_paths(wildcard, path):
    relay = wildcard.relay(A)
    wildcard.visitor(at(f"{A}.t.example", path))
    with wildcard.take(wildcard.api) as taken:
        assert taken.own == A
    assert relay.silent(0.05)


def test_a_host_without_a_tunnel(wildcard):
    wildcard.visitor(at(f"{B}.t.example", "/"))
    with wildcard.take(wildcard.api) as taken:
        assert taken.own == B


@pytest.mark.parametrize("host", ["t.example", "www.t.example", f"a.{A}.t.example", f"{A}.example"])
def test_on_other_hosts_the_path_decides(wildcard, host):
    relay = wildcard.relay(A)
    wildcard.visitor(at(host, "/"))
    with wildcard.take(wildcard.api) as taken:
        assert taken.own == ""
    wildcard.visitor(at(host, f"/t/{A}/"))
    with wildcard.take(relay) as taken:
        assert taken.own == ""


def test_a_port_of_its_own(stage):
    other = listener()
    stage.gate.send(MSG.LISTENER, 9, USE.PORT, False, fd=other)
    with other:
        stage.visitor(get("/"), to=other)
        with stage.take(stage.api) as taken:
            assert (taken.own, taken.use) == ("", USE.PORT)
        relay = stage.relay(A, listener=9)
        for path in ("/", f"/t/{B}/"):
            stage.visitor(get(path), to=other)
            with stage.take(relay) as taken:
                assert (taken.own, taken.use) == (A, USE.PORT)
        stage.visitor(get("/_api/tunnels"), to=other)
        with stage.take(stage.api) as taken:
            assert taken.own == A
        stage.visitor(get(f"/t/{A}/"))  # the path leads there as well
        with stage.take(relay) as taken:
            assert (taken.own, taken.use) == ("", USE.VISITORS)
        # The next tunnel gets it.
        stage.gate.send(MSG.ROUTE_DROP, A)
        following = stage.relay(B, listener=9)
        stage.visitor(get("/"), to=other)
        with stage.take(following) as taken:
            assert taken.own == B


def test_a_new_relay_keeps_the_port(stage):
    other = listener()
    stage.gate.send(MSG.LISTENER, 9, USE.PORT, False, fd=other)
    stage.relay(A, listener=9)
    again = stage.relay(A, listener=9)
    with other:
        stage.visitor(get("/"), to=other)
        with stage.take(again) as taken:
            assert taken.own == A


@pytest.mark.parametrize("path", ["/", "/_api/tunnels", f"/t/{A}/", f"/{A}"])
def test_a_listener_for_the_api(stage, path):
    relay, other = stage.relay(A), listener()
    stage.gate.send(MSG.LISTENER, 9, USE.CONTROL, False, fd=other)
    with other:
        stage.visitor(get(path), to=other)
        with stage.take(stage.api) as taken:
            assert (taken.own, taken.use) == ("", USE.CONTROL)
    assert relay.silent(0.05)
