# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whatever a backend says, its own visitor gets an honest answer or a cut one, the next visitor
# gets nothing of it, and the relay lives on with nothing left over.

import contextlib
import threading
import time

import pytest

from support import proc, websocket as ws
from support.backend import TcpBackend, head
from support.daemon import Daemon

pytestmark = pytest.mark.usefixtures("mode")

OK = b"HTTP/1.1 200 OK\r\n"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\nConnection: upgrade\r\n\r\n"


@pytest.fixture(scope="module", params=["visitor", "shared"])
def daemon(request):
    with Daemon(backend_reuse=request.param) as running:
        yield running


@pytest.fixture
def steady(daemon, backend):
    """A tunnel whose relay must be as well after the test as before it."""
    tunnel, relay = daemon.create_with_relay(backend)
    assert tunnel.reach("/before")["connection"] == 1
    before, counted = relay.descriptors(), tunnel.show()["counters"]["requests"]
    tunnel.asked, tunnel.relay = 0, relay
    yield tunnel
    assert tunnel.reach("/after")["target"] == "/after", "the next visitor"
    assert relay.alive(), f"the relay is gone\n{daemon.log()}"
    proc.wait_until(lambda: relay.descriptors() <= before + 1, 5,  # one may be kept for reuse
                    lambda: f"{relay.descriptors()} descriptors, {before} before")
    requests = lambda: tunnel.show()["counters"]["requests"] - counted
    proc.wait_until(lambda: requests() == tunnel.asked + 1, 5, lambda: f"{requests()} counted, asked {tunnel.asked}")
    proc.wait_until(lambda: tunnel.show()["counters"].get("open", 0) == 0, 5, "connections are still counted")
    tunnel.revoke()


@contextlib.contextmanager
def ask(tunnel, path="/bad", method="GET", fields=(), body=None):
    tunnel.asked += 1
    with tunnel.connect() as visitor:
        visitor.request(method, tunnel.target(path), fields, body)
        yield visitor


def is_refused(visitor, method="GET"):
    answer = visitor.answer(method)
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (502, "backend_bad_response"), answer


def is_cut(visitor):
    """No complete answer: one of ours, or an end, with or without a part of one before."""
    try:
        answer = visitor.answer()
    except ConnectionError:
        return
    assert answer.status == 502, f"complete: {answer}"
    assert answer.fields.get("Tunnel-Error") == "backend_bad_response", answer


# ---- what is no answer

NO_ANSWERS = {
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 4\r\n\r\nabcd",
    "two equal lengths": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": OK + b"Content-Length: 2, 2\r\n\r\nab",
    "length and chunked": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two codings": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length beyond 63 bits": OK + b"Content-Length: 9223372036854775808\r\n\r\n",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2 settings": b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64",
    "HTTP/2 in text": b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
    "TLS alert": b"\x15\x03\x01\0\x02\x02\x46",
    "SSH": b"SSH-2.0-x\r\n",
    "empty lines first": b"\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "many fields": OK + b"".join(b"X%d: y\r\n" % i for i in range(101)) + b"\r\n",
    "large fields": OK + b"".join(b"X%d: %s\r\n" % (i, b"y" * 4000) for i in range(9)) + b"\r\n",
    "long line": b"HTTP/1.1 200 " + b"x" * 9000 + b"\r\n\r\n",
    "endless line": b"HTTP/1.1 200 " + b"x" * 200_000,
    "status 999": b"HTTP/1.1 999 X\r\n\r\n",
    "status 000": b"HTTP/1.1 000 X\r\n\r\n",
    "LF in a value": OK + b"X: a\nSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n",
    "CR in a value": OK + b"X: a\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n",
    "CR CR LF": OK + b"X: a\r\r\nSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "LF in the reason": b"HTTP/1.1 200 O\nSet-Cookie: evil=1\r\n\r\n",
    "folded": OK + b"X: a\r\n Set-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n",
    "Connection names a cookie": OK + b"Set-Cookie: a=b\r\nConnection: set-cookie\r\nContent-Length: 0\r\n\r\n",
    "Connection names many": OK + b"Connection: " + b",".join(b"x%d" % i for i in range(40)) + b"\r\n\r\n",
    "flood of 100": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    "flood of 103": (b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 1000 + b"\r\n\r\n") * 1000,
    "100 and no more": b"HTTP/1.1 100 Continue\r\n\r\n",
    "bad answer behind a 100": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\n\n",
    "101 unasked": SWITCH % b"websocket" + b"bytes",
    "101 without a word": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_no_answer(steady, backend, answer):
    backend.raw("/bad", answer)
    with ask(steady) as visitor:
        is_refused(visitor)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_end_at_every_byte_of_a_head(steady, backend, how):
    whole = OK + b"Content-Length: 2\r\nX: y\r\n\r\n"

    def stop(received, request, stream):
        stream.send(whole[:int(received.query["at"])])
        if how == "reset":
            stream.reset()

    backend.route("/bad", stop)
    for at in range(len(whole)):
        with ask(steady, f"/bad?at={at}") as visitor:
            is_refused(visitor)
    with ask(steady, f"/bad?at={len(whole)}") as visitor:
        is_cut(visitor)


def test_resets_before_a_request_can_be_sent(daemon, report):
    with TcpBackend(lambda stream: stream.reset()) as backend:
        tunnel, relay = daemon.create_with_relay(backend)
        before = relay.descriptors()
        for _ in range(50):
            answer = tunnel.get("/")
            assert answer.status == 502, answer
            assert answer.fields.get("Tunnel-Error") in ("backend_refused", "backend_bad_response"), answer
        assert relay.alive()
        proc.wait_until(lambda: relay.descriptors() == before, 5, "descriptors")


# ---- what is an answer and lies about itself

CUTS = {
    "length too long": OK + b"Content-Length: 9\r\n\r\nabc",
    "length far too long": OK + b"Content-Length: 9223372036854775807\r\n\r\nabc",
    "chunks without an end": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "chunk too short": OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc",
    "huge chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nabc",
    "chunk beyond 63 bits": OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
    "chunk beyond 64 bits": OK + b"Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
    "no chunks at all": OK + b"Transfer-Encoding: chunked\r\n\r\n<html>",
    "wrong end of a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcX0\r\n\r\n",
    "LF behind a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n",
    "flood of extensions": OK + b"Transfer-Encoding: chunked\r\n\r\n3;" + b"x" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
    "flood of trailers": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "split by a trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\nSet-Cookie: evil\r\n\r\n",
}


@pytest.mark.parametrize("pause", [0, 0.05], ids=["at once", "body later"])
@pytest.mark.parametrize("answer", CUTS.values(), ids=CUTS)
def test_a_body_that_breaks_is_cut(steady, backend, answer, pause):
    def serve(received, request, stream):
        start, mark, body = answer.partition(b"\r\n\r\n")
        stream.send(start + mark + (b"" if pause else body))
        time.sleep(pause)
        stream.send(body if pause else b"")

    backend.route("/bad", serve)
    with ask(steady) as visitor:
        is_cut(visitor)


SURPLUS = {
    "length too short": ("GET", 200, OK + b"Content-Length: 2\r\n\r\nok"),
    "no length at all": ("GET", 200, OK + b"Content-Length: 0\r\n\r\n"),
    "behind chunks": ("GET", 200, OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    "behind trailers": ("GET", 200, OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 50\r\n\r\n"),
    "body of HEAD": ("HEAD", 200, OK + b"Content-Length: 62\r\n\r\n"),
    "chunked body of HEAD": ("HEAD", 200, OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    "body of 204": ("GET", 204, b"HTTP/1.1 204 No Content\r\nContent-Length: 62\r\n\r\n"),
    "chunked body of 204": ("GET", 204, b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "body of 304": ("GET", 304, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 62\r\n\r\n"),
    "chunked body of 304": ("GET", 304, b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
}


@pytest.mark.parametrize("pause", [0, 0.05], ids=["at once", "a moment later"])
@pytest.mark.parametrize("method, status, answer", SURPLUS.values(), ids=SURPLUS)
def test_what_follows_an_answer_reaches_nobody(steady, backend, method, status, answer, pause, mode):
    for surplus in (POISON, b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n"):
        done = threading.Event()

        def serve(received, request, stream):
            try:
                stream.send(answer + (b"" if pause else surplus))
                time.sleep(pause)
                stream.send(surplus if pause else b"")
            finally:  # the relay may be quick to end this connection
                done.set()
            return True

        backend.route("/bad", serve)
        with ask(steady, method=method) as visitor:
            got = visitor.answer(method)
            assert got.status == status and b"poison" not in got.body, got
            assert done.wait(5)
            time.sleep(pause if mode != "push" else 0)  # it is on its way to the relay
            gets_its_own(steady, visitor)
        assert steady.reach("/other")["target"] == "/other", "another visitor"
        steady.asked += 1


def gets_its_own(steady, visitor):
    """Or none, because this connection has been ended."""
    with contextlib.suppress(ConnectionError):
        visitor.request("GET", steady.target("/own"))
        own = visitor.answer()
        assert own.status in (200, 502) and b"poison" not in own.body, own
        steady.asked += 1


def test_a_surplus_that_comes_while_the_connection_is_kept(steady, backend):
    """Time and again, so that it meets the next visitor as near as may be."""
    def serve(received, request, stream):
        stream.send(OK + b"Content-Length: 2\r\n\r\nok")
        time.sleep(0.002)
        stream.send(POISON)
        return True

    backend.route("/bad", serve)
    for _ in range(30):
        with ask(steady) as visitor:
            assert visitor.answer().body == b"ok"
        time.sleep(0.1)  # it has arrived, through an agent too, and nobody has asked since
        assert steady.reach("/own")["target"] == "/own"
        steady.asked += 1


def test_upgraded_to_something_else(steady, backend):
    """Which protocol it is the two ends agree on; bytes are bytes."""
    def serve(received, request, stream):
        stream.send(SWITCH % b"other" + b"hello")
        assert stream.take(2) == b"hi"
        stream.finish()

    backend.route("/bad", serve)
    with ask(steady, fields=[("Connection", "upgrade"), ("Upgrade", "websocket")]) as visitor:
        answer = visitor.answer_head()
        assert answer.status == 101 and answer.fields.get("Upgrade") == "other"
        assert visitor.take(5) == b"hello"
        visitor.send(b"hi")
        visitor.finish()
        assert visitor.rest() == b""


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n", SWITCH.replace(b"Connection: upgrade\r\n", b"") % b"websocket",
    b"HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 X\r\n\r\n"])
def test_a_switch_that_does_not_say_to_what(steady, backend, answer):
    backend.raw("/bad", answer + b"bytes")
    with ask(steady, fields=[("Connection", "upgrade"), ("Upgrade", "websocket")]) as visitor:
        is_refused(visitor)


# ---- time


def test_it_answers_before_it_has_the_request(steady, backend):
    backend.route("/bad", lambda received, request, stream: stream.send(
        head(200, [("Content-Length", 2)]), b"ok"))
    with ask(steady, method="POST", fields=[("Content-Length", "100000")]) as visitor:
        visitor.send(b"x" * 1000)
        assert visitor.answer().body == b"ok"
        assert visitor.ended() in ("eof", "reset"), "what it has not read cannot be the next request"


def trickle(stream, data, every=0.004):
    for at in range(len(data)):
        stream.send(data[at:at + 1])
        time.sleep(every)


@pytest.mark.parametrize("what", [OK + b"X: " + b"y" * 100_000, OK + b"Content-Length: 100000\r\n\r\n" + b"z" * 99_000,
                                  OK + b"\r\n" + b"z" * 100_000], ids=["head", "body", "body until close"])
def test_it_speaks_a_byte_at_a_time(steady, backend, what):
    """Nobody else waits for it, it costs next to nothing, and it is left when its visitor leaves."""
    gone = threading.Event()

    def serve(received, request, stream):
        try:
            trickle(stream, what)
        finally:
            gone.set()

    backend.route("/bad", serve)
    relay = steady.relay
    with ask(steady) as visitor:
        before, begin = relay.cpu_seconds(), time.monotonic()
        while time.monotonic() < begin + 1:
            assert steady.reach("/own")["target"] == "/own"
            steady.asked += 1
            time.sleep(0.02)
        assert relay.cpu_seconds() - before < 0.5
        visitor.reset()  # an end alone could mean that it still listens
    assert gone.wait(5), "its connection stays though nobody wants the answer"


def test_it_never_reads(steady, backend):
    release = threading.Event()
    backend.route("/bad", lambda received, request, stream: release.wait(30) and None)
    relay = steady.relay
    before = relay.rss_anon_kib()
    with ask(steady, method="POST", fields=[("Content-Length", str(1 << 30))]) as visitor:
        visitor.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            for _ in range(1024):
                visitor.send(b"x" * (1 << 20))
        assert steady.reach("/own")["target"] == "/own"
        steady.asked += 1
        assert relay.rss_anon_kib() - before < 1024
    release.set()


def test_it_never_reads_a_byte_relay(steady, backend):
    release = threading.Event()

    def serve(received, request, stream):
        stream.send(SWITCH % b"websocket")
        release.wait(30)

    backend.route("/bad", serve)
    relay = steady.relay
    with ask(steady, fields=[("Connection", "upgrade"), ("Upgrade", "websocket")]) as visitor:
        assert visitor.answer_head().status == 101
        visitor.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            for _ in range(1024):
                visitor.send(b"x" * (1 << 20))
        assert relay.rss_anon_kib() < 4096
    release.set()


PHASES = {
    "the head": b"",
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "half a head": OK + b"Content-",
    "a head": OK + b"Content-Length: 9\r\n\r\n",
    "half a body": OK + b"Content-Length: 9\r\n\r\nabcd",
    "half a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nabcd",
    "a body until close": OK + b"\r\nabcd",
}


@pytest.mark.parametrize("said", PHASES.values(), ids=PHASES)
@pytest.mark.parametrize("method, fields", [
    ("GET", ()), ("POST", [("Content-Length", "100000")]), ("POST", [("Transfer-Encoding", "chunked")])],
    ids=["GET", "length", "chunked"])
def test_it_resets_after(steady, backend, said, method, fields):
    def serve(received, request, stream):
        stream.send(said)
        time.sleep(0.01)
        stream.reset()

    backend.route("/bad", serve)
    with ask(steady, method=method, fields=fields) as visitor:
        is_cut(visitor)


def test_websocket_backend_that_goes_mad(steady, backend):
    """After the switch nothing is looked at: the visitor's own client judges."""
    def serve(received, request, stream):
        stream.send(SWITCH % b"websocket" + b"\xff" * 70000 + POISON)
        stream.reset()

    backend.route("/bad", serve)
    with ask(steady, fields=[("Connection", "upgrade"), ("Upgrade", "websocket")]) as visitor:
        assert visitor.answer_head().status == 101
        assert visitor.ended() == "reset"
    wire = ws.connect(steady, "/ws/echo")
    steady.asked += 1
    wire.protocol.send_text(b"sane")
    wire.flush()
    assert bytes(next(ws.messages(wire))[1]) == b"sane"
    wire.stream.close()
