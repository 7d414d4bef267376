# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What is signed, when the API worker (played here) lies and when the attestor does: a worker can choose
# settings, and cannot have others signed than the relay enforces.

import base64
import json
import os
import time

import msgpack
import pytest

from child import MSG, SETTLE
from supervisor_stage import EXHAUSTED, EXPIRED, FAILED, REVOKED, CODE, Stage
from support import proc, tls
from support.backend import HttpBackend
from support.collateral_source import Source
from support.daemon import free_port
from support.evidence import Evidence

NAMES = ("id", "name", "backend", "auth", "prefix", "backend_reuse", "life_ms", "max_connections", "max_requests",
         "max_bytes", "request_rate", "origin", "port")
REASONS = {EXPIRED: "expired", REVOKED: "revoked", EXHAUSTED: "exhausted", FAILED: "failed"}


def attentive(worker):
    """WORKER, which sorts out the certificates and receipts that it is told, whenever they come."""
    plain, worker.certificates, worker.receipts, worker.certified = worker.recv, [], {}, {}
    pieces, known = bytearray(), {}  # known: of which instances, the present one (False) and a former one

    def sorted_out(message):
        if message is not None and message.type == MSG.CERTIFICATE:
            offset, size, tail, _, instance, piece, former = message.fields
            assert offset in (0, len(pieces))
            pieces[offset:] = piece
            if len(pieces) == size:
                known[former] = instance
                if not former:
                    worker.certificates.append(json.loads(b"{" + pieces[tail:]))
        elif message is not None and message.type == MSG.RECEIPT:
            worker.receipts[message.fields[0]] = message.fields[1:]
            worker.certified[message.fields[0]] = message.fields[3] in known.values()
        else:
            return False
        return True

    def recv(seconds=SETTLE):
        while sorted_out(message := plain(seconds)):
            pass
        return message

    def silent(seconds):
        limit = time.monotonic() + seconds
        while worker.readable(max(0, limit - time.monotonic())):
            if not sorted_out(plain(0)):
                return False
        return True

    worker.recv, worker.silent = recv, silent
    return worker


def a_worker(stage, **told):
    """One that has been told a certificate."""
    worker = attentive(stage.child("api")).start(**told)
    proc.wait_until(lambda: worker.silent(0.05) and worker.certificates, SETTLE, "no certificate")
    return worker


def evidence(worker, statement, signature):
    return Evidence({"statement": base64.b64encode(statement).decode(), "signature": signature.hex(),
                     **worker.certificates[-1]})


def ask(worker, id_, nonce=None):
    """The answer to STATEMENT_GET: evidence, or a code."""
    nonce = nonce or os.urandom(20)
    worker.send(MSG.STATEMENT_GET, 77, id_, nonce)
    request, code, statement, signature = worker.expect(MSG.STATEMENT).fields
    assert request == 77
    if code:
        return code
    found = evidence(worker, statement, signature)
    assert found.said["nonce"] == nonce.hex()
    return found


def enforced(config):
    """What CONFIG, as a relay got it, has to look like in a statement."""
    version, *values = config
    assert version == 1
    found = dict(zip(NAMES, values, strict=True))
    found["mode"] = "push" if found["backend"] else "pull"
    return found


@pytest.fixture
def backend():
    with HttpBackend() as serving:
        yield serving


@pytest.fixture
def stage():
    options = {"attestation": "auto", "max_connections_per_tunnel": "50", "request_rate": "20", "max_timeout": "2h",
               "dstack_socket": "/nowhere/dstack.sock"}
    with Stage("api", "relay", **options) as running:
        yield running


GREEDY = {"name": "all I want", "auth": "bearer", "life_ms": 10**9, "max_connections": 10**6, "max_requests": 12,
          "max_bytes": 10**15, "request_rate": 10**6}


def test_what_is_signed_is_what_the_relay_has(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url(), **GREEDY)
    said = ask(worker, id_).said
    assert said["tunnel"] == enforced(relay.config)
    assert (said["tunnel"]["max_connections"], said["tunnel"]["request_rate"], said["tunnel"]["life_ms"]) == (50, 20, 7_200_000)


def test_after_a_change_of_its_end(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url(), **GREEDY)
    before = ask(worker, id_).said["tunnel"]["life_ms"]
    worker.send(MSG.EXTEND, 5, id_, 60_000)
    worker.expect(MSG.EXTENDED)
    relay.config = msgpack.unpackb(relay.expect(MSG.RELAY_CONFIG).fields[0])
    said = ask(worker, id_).said["tunnel"]
    assert said == enforced(relay.config) and said["life_ms"] < before


def test_after_a_refused_change(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url())
    worker.send(MSG.EXTEND, 5, id_, 10**12)
    worker.expect(MSG.EXTEND_FAILED)
    assert ask(worker, id_).said["tunnel"] == enforced(relay.config)


def test_after_the_relay_was_replaced(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url(), **GREEDY)
    before = ask(worker, id_).said
    relay.tell("crash")
    assert relay.killed()
    successor = stage.child("relay")
    assert ask(worker, id_) == CODE["draining"]  # there is nothing to vouch for
    successor.start()
    proc.wait_until(lambda: isinstance(ask(worker, id_), Evidence), SETTLE, "no statement")
    said = ask(worker, id_).said
    assert said["tunnel"] == enforced(successor.config) == before["tunnel"]
    assert proc.ROOT is False or said["relay"]["uid"] != before["relay"]["uid"]


def test_what_was_seen_of_the_relay(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url())
    found = ask(worker, id_)
    seen = found.said["relay"]
    assert seen["sha256"] == found.component("tunneld-relay")["sha256"]
    assert (seen["seccomp"], seen["no_new_privs"], seen["capabilities"]) == ("filter", True, 0)
    assert seen["uid"] == int(stage.options["relay_uid_base"]) + 16 if proc.ROOT else os.getuid()


def test_counters_are_the_relays(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url())
    relay.counters(connections=3, requests=7, bytes_out=1 << 40)
    assert ask(worker, id_).said["counters"] == {
        "connections": 3, "open": 0, "requests": 7, "bytes_in": 0, "bytes_out": 1 << 40, "last_activity": 0, "agents": 0}


def test_tunnels_that_are_not_there(stage, backend):
    worker = a_worker(stage)
    assert ask(worker, "t-" + "a" * 26) == CODE["tunnel_unknown"]
    relay, id_ = stage.tunnel(worker, backend.url())
    worker.end(id_)
    worker.ended(id_, REVOKED)
    assert ask(worker, id_) == CODE["tunnel_over"]


@pytest.mark.parametrize("nonce", [b"", b"x" * 15, b"x" * 65])
def test_no_nonce_of_another_length(stage, nonce):
    worker = a_worker(stage)
    worker.send(MSG.STATEMENT_GET, 1, "t-" + "a" * 26, nonce)
    assert worker.killed()


def test_a_worker_gets_no_answers_to_its_predecessor(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url())
    for _ in range(20):
        worker.send(MSG.STATEMENT_GET, 77, id_, b"x" * 16)
    worker.tell("crash")
    assert worker.killed()
    worker = a_worker(stage, alive=[id_])
    assert worker.silent(0.3)
    assert ask(worker, id_).said["tunnel"] == enforced(relay.config)


# Receipts.


def end_by(stage, worker, relay, id_, reason):
    if reason == REVOKED:
        worker.end(id_)
    elif reason == EXHAUSTED:
        relay.send(MSG.USED_UP, "requests")
    elif reason == FAILED:
        for _ in range(5):
            relay.tell("crash")
            assert relay.killed()
            relay = stage.child("relay").start() if _ < 4 else None


@pytest.mark.parametrize("reason", REASONS)
def test_receipt(stage, backend, reason):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url(), life_ms=1500 if reason == EXPIRED else 60_000)
    config = relay.config
    relay.counters(requests=5)
    end_by(stage, worker, relay, id_, reason)
    worker.ended(id_, reason)
    statement, signature, _ = worker.receipts[id_]  # came before it
    said = evidence(worker, statement, signature).said
    assert (said["type"], said["reason"], said["tunnel"]) == ("tunneld-receipt/1", REASONS[reason], enforced(config))
    assert said["counters"]["requests"] == 5


def test_receipts_are_told_until_the_end_is_stored(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url())
    worker.end(id_)
    worker.ended(id_, REVOKED)
    first = worker.receipts[id_]
    for _ in range(2):  # the same ones, whoever asks
        worker.tell("crash")
        assert worker.killed()
        worker = attentive(stage.child("api"))
        worker.start(ended=[(id_, REVOKED)])
        assert worker.receipts[id_] == first
    worker.send(MSG.ENDED_ACK, id_)
    worker.send(MSG.SNAPSHOT)
    worker.expect(MSG.LIVE_DONE)
    assert worker.silent(0.2)


def test_an_end_while_there_is_no_worker(stage, backend):
    worker = a_worker(stage)
    relay, id_ = stage.tunnel(worker, backend.url(), life_ms=1000)
    worker.tell("crash")
    assert worker.killed()
    worker = stage.child("api")  # not READY
    assert relay.killed()
    worker = attentive(worker)
    worker.start(ended=[(id_, EXPIRED)])
    assert id_ in worker.receipts


def test_many_ends_at_once(stage, backend):
    worker = a_worker(stage)
    tunnels = [stage.tunnel(worker, backend.url(), life_ms=2500)[1] for _ in range(30)]
    for _ in tunnels:
        worker.expect(MSG.ENDED)
    assert set(worker.receipts) == set(tunnels)


# The attestor, played.


@pytest.fixture
def liar():
    with Stage("api", "relay", "attest", attestation="auto") as running:
        yield running


def an_attestor(stage):
    attestor = stage.child("attest")
    attestor.ready()
    attestor.setup = attestor.expect(MSG.ATTEST_SETUP).fields
    attestor.expect(MSG.TLS_KEYS)
    return attestor


A, B = b"\7" * 32, b"\10" * 32  # instances


def certify(attestor, document=b'{"statement":"","signature":"","instance":{},"tee":null}', instance=A):
    tail = document.index(b'"instance"')
    attestor.send(MSG.CERTIFIED, 0, len(document), tail, False, instance, document)


def test_what_the_attestor_is_told(liar):
    import hashlib
    version, commit, tree, config, started_at, started_us, rate, components, fetches = an_attestor(liar).setup
    assert fetches is False
    assert abs(started_at - time.time()) < 60 and len(tree) == 64 and len(config) == 32 and rate == 10
    values = msgpack.unpackb(components)
    found = {values[i]: values[i + 1: i + 3] for i in range(0, len(values), 3)}
    for role in ("gate", "api", "relay", "resolve", "attest"):
        content = (liar.bin / f"tunneld-{role}").read_bytes()
        assert found[f"tunneld-{role}"][0] == hashlib.sha256(content).digest(), role
        assert len(found[f"tunneld-{role}"][1]) == 32, role
    assert found["tunneld"] == [hashlib.sha256((liar.bin / "tunneld").read_bytes()).digest(), b""]
    assert "libc.so.6" in found and found["libc.so.6"][1] == b""


def test_an_attestor_that_is_away_holds_up_no_end(liar, backend):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    relay, id_ = liar.tunnel(worker, backend.url())
    certify(attestor)
    began = time.monotonic()
    worker.end(id_)
    assert relay.killed() and time.monotonic() - began < 1
    asked = attestor.expect(MSG.STATE).fields
    assert (asked[1], asked[2], asked[3]) == (0, b"", REVOKED)
    worker.ended(id_, REVOKED, 10)
    assert 4.5 < time.monotonic() - began < 7
    assert not worker.receipts


def test_no_receipt_is_waited_for_at_the_stop(liar, backend):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    relay, id_ = liar.tunnel(worker, backend.url())
    certify(attestor)
    worker.end(id_)
    attestor.expect(MSG.STATE)
    began = time.monotonic()
    liar.process.terminate()
    worker.ended(id_, REVOKED)  # or the next start would bring it back
    assert worker.expect(MSG.LIVE_DONE) and time.monotonic() - began < 1


def test_a_new_attestor_signs_what_the_old_one_has_not(liar, backend):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    relay, id_ = liar.tunnel(worker, backend.url())
    certify(attestor, instance=A)
    worker.end(id_)
    attestor.expect(MSG.STATE)
    attestor.tell("crash")
    attestor = an_attestor(liar)
    certify(attestor, instance=B)
    attestor.expect(MSG.STATE)
    attestor.send(MSG.STATED, 0, 0, id_, b"signed", b"\1" * 64, B)
    worker.ended(id_, REVOKED)
    assert worker.receipts[id_] == [b"signed", b"\1" * 64, B] and worker.certified[id_]


def signed_for(liar, attestor, worker, backend, instance):
    """A tunnel that has ended while WORKER was away, with a receipt of INSTANCE. Returns its id and the next worker."""
    relay, id_ = liar.tunnel(worker, backend.url(), life_ms=1000)
    worker.tell("crash")
    assert worker.killed()
    worker = liar.child("api")
    assert relay.killed()
    attestor.expect(MSG.STATE)
    attestor.send(MSG.STATED, 0, 0, id_, b"signed", b"\1" * 64, instance)
    return id_, attentive(worker)


def test_a_receipt_keeps_its_certificate(liar, backend):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    certify(attestor, instance=A)
    id_, worker = signed_for(liar, attestor, worker, backend, A)
    attestor.tell("crash")  # and all that knew what certified it has ended
    certify(an_attestor(liar), instance=B)
    worker.start(ended=[(id_, EXPIRED)])
    assert worker.receipts[id_][2] == A and worker.certified[id_]


def test_a_receipt_has_the_certificate_as_it_was_told_last(liar, backend):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    certify(attestor, instance=A)
    id_, worker = signed_for(liar, attestor, worker, backend, A)
    certify(attestor, b'{"instance":{"n":2},"tee":"tdx"}', A)
    worker.start(ended=[(id_, EXPIRED)])
    assert worker.certified[id_] and worker.certificates == [{"instance": {"n": 2}, "tee": "tdx"}]


def test_a_receipt_that_nothing_certifies_is_none(liar, backend):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    relay, id_ = liar.tunnel(worker, backend.url())
    worker.end(id_)
    assert relay.killed() and attestor.silent(0.3)  # it has not said yet who it is
    certify(attestor, instance=A)
    attestor.expect(MSG.STATE)
    attestor.send(MSG.STATED, 0, 0, id_, b"signed", b"\1" * 64, B)
    certify(attestor, instance=B)
    attestor.expect(MSG.STATE)
    attestor.send(MSG.STATED, 0, 0, id_, b"again", b"\1" * 64, B)
    worker.ended(id_, REVOKED)
    assert worker.receipts[id_][0] == b"again" and worker.certified[id_]


def test_receipts_nobody_asked_for(liar, backend):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    relay, id_ = liar.tunnel(worker, backend.url())
    certify(attestor)
    for tunnel in (id_, "t-" + "a" * 26):
        attestor.send(MSG.STATED, 0, 0, tunnel, b"early", b"\1" * 64, A)
    worker.end(id_)
    attestor.expect(MSG.STATE)
    for word in (b"first", b"second"):
        attestor.send(MSG.STATED, 0, 0, id_, word, b"\1" * 64, A)
    worker.ended(id_, REVOKED)
    assert worker.receipts[id_][0] == b"first"


def test_a_statement_without_its_certificate_is_not_passed_on(liar, backend):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    relay, id_ = liar.tunnel(worker, backend.url())
    certify(attestor)
    for instance, code in ((b"\7" * 32, 0), (b"\10" * 32, CODE["draining"])):
        worker.send(MSG.STATEMENT_GET, 3, id_, b"n" * 16)
        request, asker = attestor.expect(MSG.STATE).fields[:2]
        attestor.send(MSG.STATED, request, asker, id_, b"signed", b"\1" * 64, instance)
        assert worker.expect(MSG.STATEMENT).fields[:2] == [3, code]


HOSTILE = {
    "a piece without a beginning": lambda a: a.send(MSG.CERTIFIED, 5, 10, 2, False, bytes(32), b"x"),
    "more than there is": lambda a: a.send(MSG.CERTIFIED, 0, 3, 2, False, bytes(32), b"xxxx"),
    "a tail behind the end": lambda a: a.send(MSG.CERTIFIED, 0, 3, 4, False, bytes(32), b"xx"),
    "another size": lambda a: (a.send(MSG.CERTIFIED, 0, 3, 2, False, bytes(32), b"x"),
                               a.send(MSG.CERTIFIED, 1, 4, 2, False, bytes(32), b"x")),
    "too large": lambda a: a.send(MSG.CERTIFIED, 0, (1 << 20) + 1, 2, False, bytes(32), b"x"),
    "a statement too long": lambda a: a.send(MSG.STATED, 0, 0, "t-" + "a" * 26, b"x" * 8193, b"\1" * 64, bytes(32)),
    "a request of a worker's": lambda a: a.send(MSG.STATEMENT_GET, 1, "t-" + "a" * 26, b"x" * 16),
    "a descriptor": lambda a: a.send(MSG.GUEST_WANTED, fd=os.open(os.devnull, os.O_RDONLY)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_attestor_that_breaks_the_rules_is_replaced(liar, backend, what):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    relay, id_ = liar.tunnel(worker, backend.url())
    if what == "a piece without a beginning":
        certify(attestor)
        attestor.send(MSG.CERTIFIED, 0, 10, 2, False, bytes(32), b"x")
    HOSTILE[what](attestor)
    assert attestor.killed()
    an_attestor(liar)
    worker.end(id_)  # and everybody else goes on
    assert relay.killed()


def test_connections_are_limited(liar):
    attestor = an_attestor(liar)
    for _ in range(200):
        attestor.send(MSG.GUEST_WANTED)
    answers = [attestor.recv().type for _ in range(200)]
    assert set(answers) == {MSG.GUEST_FAILED}  # there is none on this machine


def test_a_connection_to_where_collateral_is():
    with Source() as source, Stage("api", "attest", attestation="auto", collateral=source.url) as stage:
        attestor = an_attestor(stage)
        assert attestor.setup[-1] is True
        for n in range(1, 3):
            attestor.send(MSG.COLLATERAL_WANTED)
            message = attestor.expect(MSG.COLLATERAL)
            assert message.fields == ["127.0.0.1:%d" % source.address[1], "/intel/collateral.json?fmspc=00"]
            with message.take_socket() as sock:
                sock.setblocking(True)
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert sock.recv(8) == b"HTTP/1.1" and len(source.asked) == n


def test_no_connection_to_collateral_that_the_policy_refuses():
    url = "http://169.254.169.254/collateral"
    with Stage("api", "attest", attestation="auto", collateral=url) as stage:
        attestor = an_attestor(stage)
        attestor.send(MSG.COLLATERAL_WANTED)
        attestor.expect(MSG.COLLATERAL_FAILED)


def test_no_connection_to_collateral_that_is_nowhere(liar):
    attestor = an_attestor(liar)
    attestor.send(MSG.COLLATERAL_WANTED)
    assert attestor.killed()


# What it has the certificate carry.


def test_the_certificate_carries_what_the_attestor_says():
    address = ("127.0.0.1", free_port())
    with Stage("api", "attest", attestation="auto", tls_listen="%s:%d" % address) as stage:
        attestor, worker = stage.child("attest").ready(), stage.child("api").start()
        attestor.expect(MSG.ATTEST_SETUP)
        key = msgpack.unpackb(attestor.expect(MSG.TLS_KEYS).fields[0])[1]

        def shown():
            with tls.connect(address) as visitor:
                return visitor.tls.getpeercert(True)

        stage.logged("ready: listening")
        plain = shown()
        quote = os.urandom(5000)
        attestor.send(MSG.RATLS, quote, b"[]")
        proc.wait_until(lambda: quote in shown(), 20, stage.log)
        assert tls.spki(shown()) == tls.spki(plain) == key.hex()
        assert attestor.silent(0.2) and worker.silent(0)  # nothing that is stated has changed


def test_answers_to_workers_that_are_no_more(liar):
    attestor = an_attestor(liar)
    worker = attentive(liar.child("api")).start()
    certify(attestor)
    for asker in (worker.epoch + 1, worker.epoch - 1, 2**32 - 1):
        attestor.send(MSG.STATED, 1, asker, "t-" + "a" * 26, b"x", b"\1" * 64, b"\7" * 32)
        attestor.send(MSG.QUOTED, 1, asker, 0, 0, "", b"{}")
    assert worker.silent(0.3)
