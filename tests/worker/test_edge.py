# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# An edge alone: what it passes on and when, how ends and cuts go through it, and what hostile
# visitors, hostile holders of the decrypted side, and a hostile supervisor get out of it.

import hashlib
import ipaddress
import os
import select
import signal
import socket
import ssl
import time

import pytest
from child import MSG, SETTLE
from cryptography import x509
from edge_stage import HALF, LEFT, WHOLE, Keygen, Stage, memory_file
from support import proc, tls
from support.daemon import SANITIZED
from support.tdx_pki import der

GROWTH_KIB = 4096 if SANITIZED else 1024  # what was freed is kept for a while


@pytest.fixture
def stage():
    with Stage() as running:
        yield running


def end_of(visitor):
    try:
        while visitor.recv(65536):
            pass
        return "close_notify"
    except tls.Truncated:
        return "FIN"
    except ConnectionResetError:
        return "reset"


# ---- what is passed on


def test_a_stream_goes_to_a_gate_with_its_first_bytes(stage):
    visitor, taken = stage.pair(b"GET / HTTP/1.1\r\n")
    with visitor, taken:
        host, port = visitor.getsockname()
        assert ipaddress.IPv6Address(taken.peer[:16]).ipv4_mapped == ipaddress.ip_address(host)
        assert int.from_bytes(taken.peer[16:], "big") == port
        assert (taken.listener, taken.use) == (3, 0)
        visitor.sendall(b"more")
        assert taken.sock.recv(100) == b"more"
        taken.sock.sendall(b"answer")
        assert visitor.recv(100) == b"answer"


def test_nobody_is_passed_on_who_says_nothing(stage):
    with stage.visitor():
        assert stage.gates.silent(0.3)
    assert stage.still_works()


def test_handshakes_have_a_deadline():
    with Stage(timeout=0.5) as stage:
        began = time.monotonic()
        silent = socket.create_connection(stage.address)
        slow = socket.create_connection(stage.address)
        slow.send(b"\x16\x03\x01\x02\x00\x01")
        mute = stage.visitor()
        for sock in (silent, slow, mute.tcp):
            sock.settimeout(SETTLE)
            with pytest.raises(ConnectionResetError):
                while sock.recv(65536):  # a session ticket may come first
                    pass
            sock.close()
        assert time.monotonic() - began < 4
        assert stage.still_works()


def test_the_oldest_handshake_gives_way():
    with Stage(handshakes=16) as stage:
        crowd = [socket.create_connection(stage.address) for _ in range(40)]
        for sock in crowd:
            sock.send(b"\x16\x03")
        assert stage.still_works()
        with pytest.raises(ConnectionResetError):
            crowd[0].settimeout(SETTLE)
            crowd[0].recv(1)
        for sock in crowd:
            sock.close()


def test_streams_wait_for_busy_gates(stage):
    """No gate reads: streams wait in the edge, and come when one does."""
    visitors = [stage.visitor(b"%d" % i) for i in range(300)]
    seen = set()
    for _ in visitors:
        with stage.take() as taken:
            seen.add(int(taken.bytes))
    assert seen == set(range(300))
    for visitor in visitors:
        visitor.close()


@pytest.mark.parametrize("pieces", [1, 3])
def test_a_proxy_says_for_whom(pieces):
    """Its header comes before the handshake, and has to."""
    with Stage(proxy=True) as stage:
        header = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"
        tcp = socket.create_connection(stage.address)
        tcp.settimeout(SETTLE)
        for i in range(pieces):
            tcp.sendall(header[i * len(header) // pieces:(i + 1) * len(header) // pieces])
            time.sleep(0.05)  # so that they come apart
        with tls.TlsSocket(tcp) as visitor:
            visitor.sendall(b"hello")
            with stage.take() as taken:
                assert ipaddress.IPv6Address(taken.peer[:16]).ipv4_mapped == ipaddress.ip_address("192.0.2.7")
                assert int.from_bytes(taken.peer[16:], "big") == 4711 and taken.bytes == b"hello"
        with pytest.raises(ConnectionError):
            stage.visitor()


# ---- ends and cuts


def test_closing_without_a_word_is_a_reset(stage):
    """What is queued is not delivered either."""
    visitor, taken = stage.pair()
    os.kill(stage.edge.pid, signal.SIGSTOP)
    taken.sock.sendall(b"x" * 100_000)
    taken.sock.close()
    os.kill(stage.edge.pid, signal.SIGCONT)
    assert end_of(visitor) == "reset"


def test_shutdown_is_no_end_to_an_edge(stage):
    """Only the mark is: whoever can be killed in the middle of an answer leaves the same behind.
    Also when the edge learns of the bytes and of the shutdown at once."""
    visitor, taken = stage.pair()
    with taken:
        os.kill(stage.edge.pid, signal.SIGSTOP)
        taken.sock.sendall(b"x")
        taken.sock.shutdown(socket.SHUT_WR)
        os.kill(stage.edge.pid, signal.SIGCONT)
        assert end_of(visitor) == "reset"


@pytest.mark.parametrize("how", [HALF, WHOLE, LEFT])
def test_an_end_that_was_said_is_close_notify(stage, how):
    visitor, taken = stage.pair()
    with taken:
        taken.sock.sendall(b"y" * 150_000)
        taken.say(how)
        got = b""
        while piece := visitor.recv(65536):
            got += piece
        assert got == b"y" * 150_000


def test_who_has_left_need_not_stay(stage):
    visitor, taken = stage.pair()
    taken.sock.sendall(b"y" * 50_000)
    taken.say(LEFT)
    taken.sock.close()
    got = b""
    while piece := visitor.recv(65536):
        got += piece
    assert got == b"y" * 50_000


def test_who_has_not_left_and_goes_takes_the_rest_along(stage):
    """The visitor does not read: what it has not got by then it does not get."""
    visitor, taken = stage.pair()
    visitor.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    taken.sock.setblocking(False)
    sent = 0
    limit = time.monotonic() + 1
    while time.monotonic() < limit:
        try:
            sent += taken.sock.send(b"z" * 65536)
        except BlockingIOError:
            time.sleep(0.01)
    taken.sock.close()
    assert end_of(visitor) == "reset"


def test_half_an_end(stage):
    visitor, taken = stage.pair()
    with taken:
        taken.say(HALF)
        assert visitor.recv(10) == b""
        visitor.sendall(b"still here")
        assert taken.sock.recv(100) == b"still here"
        visitor.shutdown(socket.SHUT_WR)
        assert taken.sock.recv(100) == b""
        assert not taken.events(0.2) & select.POLLHUP, "the edge waits for the last word"
        taken.say(WHOLE)
        proc.wait_until(lambda: taken.events() & select.POLLHUP, 5, "it does not close")


def test_the_edge_closes_when_nothing_more_is_wanted(stage):
    """Also when the visitor stays."""
    visitor, taken = stage.pair()
    with visitor, taken:
        taken.say(WHOLE)
        assert visitor.recv(10) == b""
        proc.wait_until(lambda: taken.events(0.1) & select.POLLHUP, 5, "it does not close")


def test_close_notify_is_an_end_and_all_else_a_cut(stage):
    for how in ("close_notify", "FIN", "reset"):
        visitor, taken = stage.pair()
        with visitor, taken:
            if how == "close_notify":
                visitor.shutdown(socket.SHUT_WR)
            elif how == "FIN":
                visitor.tcp.shutdown(socket.SHUT_WR)
            else:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                visitor.close()
            events = taken.events()
            assert bool(events & select.POLLHUP) == (how != "close_notify"), (how, events)


# ---- pressure


def test_nothing_is_read_that_nobody_takes(stage):
    """Both ways: a sender stops, the edge does not grow."""
    visitor, taken = stage.pair()
    with visitor, taken:
        before = proc.Process(stage.edge.pid).rss_anon_kib()
        visitor.tcp.setblocking(False)
        taken.sock.setblocking(False)
        up = down = 0
        limit = time.monotonic() + 1
        while time.monotonic() < limit:
            try:
                visitor.sendall(b"u" * 65536)
                up += 65536
            except BlockingIOError:
                time.sleep(0.01)
                break
        while time.monotonic() < limit:
            try:
                down += taken.sock.send(b"d" * 65536)
            except BlockingIOError:
                time.sleep(0.01)
        assert proc.Process(stage.edge.pid).rss_anon_kib() - before < GROWTH_KIB, (up, down)
    assert stage.still_works()


# ---- hostility


NO_HELLOS = {
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "short": b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff",
    "sslv2": b"\x80\x2e\x01\x00\x02" + bytes(44),
    "alert": b"\x15\x03\x03\x00\x02\x02\x00",
    "data": b"\x17\x03\x03\x40\x00" + bytes(0x4000),
    "noise": bytes(range(1, 256)) * 12,
    "one byte": b"\x16" * 20000,
}


@pytest.mark.parametrize("what", NO_HELLOS)
def test_what_is_no_client_hello(stage, what):
    with socket.create_connection(stage.address) as sock:
        sock.settimeout(SETTLE)
        sock.sendall(NO_HELLOS[what])
        with pytest.raises(ConnectionResetError):
            while sock.recv(65536):
                pass
    assert stage.still_works()


def test_a_damaged_record(stage):
    visitor, taken = stage.pair()
    with taken:
        visitor.tcp.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        assert taken.events() & select.POLLHUP


def test_renegotiation_is_refused(stage):
    context = tls.trusting_nobody(maximum_version=ssl.TLSVersion.TLSv1_2)
    visitor = stage.visitor(b"hello", context=context)
    with visitor, stage.take() as taken:
        assert visitor.tls.version() == "TLSv1.2" and visitor.tls.compression() is None
        taken.sock.sendall(b"x")
        assert visitor.recv(1) == b"x"


def test_bytes_behind_an_end(stage):
    visitor, taken = stage.pair()
    with taken:
        taken.say(HALF)
        taken.sock.sendall(b"more")
        assert end_of(visitor) in ("reset", "close_notify")
        assert taken.events() & select.POLLHUP
    assert stage.still_works()


@pytest.mark.parametrize("message", [
    (MSG.EDGE_SETUP, 1, 1), (MSG.TICKET_KEYS, b"short", b""), (MSG.EDGE_KEY, 1, 2, b"x"),
    (MSG.ROUTE_ADD, "t-x"), (MSG.KEY_JOB, "", b"", 1, b"", b"")])
def test_what_a_supervisor_never_sends(stage, message):
    stage.edge.send(*message)
    assert stage.edge.closed()
    assert stage.edge.wait() == 5


def test_a_bad_certificate_changes_nothing(stage):
    key = memory_file(b"no key")
    stage.edge.send(MSG.EDGE_KEY, 0, 1, b"no certificate", fd=key)
    os.close(key)
    assert stage.still_works()


# ---- metrics


def test_what_it_counts(stage):
    visitor, taken = stage.pair()
    with visitor, taken, socket.create_connection(stage.address), stage.visitor():
        with socket.create_connection(stage.address) as other:
            other.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(ConnectionResetError):
                while other.recv(100):
                    pass
        proc.wait_until(lambda: stage.edge.counted()[:5] == [1, 1, 2, 0, 1], 20, lambda: stage.edge.counts)
    proc.wait_until(lambda: stage.edge.counted()[:5] == [2, 2, 0, 0, 0], 20, lambda: stage.edge.counts)


# ---- keys


def test_keygen_makes_and_checks(tmp_path):
    ca = tls.Authority(tmp_path)
    certificate, key = ca.issue("one.test")
    with Keygen() as keygen:
        made, spki, chain = keygen.make()
        again = keygen.check(made, chain)
        assert again.type == MSG.KEY_MADE and again.fields == [spki, chain]
        file = memory_file(key.read_bytes())
        told = hashlib.sha256(keygen.check(file, certificate.read_bytes()).fields[0]).hexdigest()
        assert told == tls.spki(ssl.PEM_cert_to_DER_cert(certificate.read_text().split("-----END")[0]
                                                         + "-----END CERTIFICATE-----\n"))
        for bad, why in ((chain, "not that of the certificate"), (b"nonsense", "no certificate")):
            answer = keygen.check(file, bad)
            assert answer.type == MSG.KEY_REFUSED and why in answer.fields[0], answer
        os.close(file)
        os.close(made)


def test_every_key_is_another():
    with Keygen() as one, Keygen() as two:
        assert one.make()[1] != two.make()[1]


def test_a_certificate_is_made_again_over_the_same_key():
    quote, log = os.urandom(10 * 1024), b"[" * (12 * 1024)
    with Keygen() as keygen:
        key, spki, first = keygen.make()
        size = os.fstat(key).st_size
        for carried in ({}, {"quote": quote}, {"quote": quote, "log": log}):
            answer = keygen.ask(key, **carried)
            assert answer.type == MSG.KEY_MADE and answer.fields[0] == spki, answer
            made = x509.load_pem_x509_certificate(answer.fields[1])
            dstack = [e.value.value for e in made.extensions if e.oid.dotted_string.startswith("1.3.6.1.4.1.62397.1.")]
            assert dstack == [der(4, bytes) for bytes in carried.values()]
            assert answer.fields[1] != first and keygen.check(key, answer.fields[1]).type == MSG.KEY_MADE
        assert os.fstat(key).st_size == size
        os.close(key)


def test_a_failed_backend_is_forgotten_though_somebody_has_a_copy(stage):
    """The supervisor closes its copy of the socket when it gets to it; the kernel tells of it until then."""
    with socket.create_server(("127.0.0.1", 0)) as backends, socket.create_connection(backends.getsockname()) as copy:
        backend, _ = backends.accept()
        with backend:
            copy.setblocking(False)
            stage.edge.send(MSG.EDGE_DIAL, 7, "backend.test", True, 10000, fd=copy.fileno())
            backend.recv(4096)  # its ClientHello
            backend.sendall(b"this is no TLS\r\n")
            assert stage.edge.expect(MSG.EDGE_DIAL_FAILED).fields[0] == 7
            backend.sendall(b"x")
            assert stage.still_works()
