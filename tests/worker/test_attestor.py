# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The attestor alone: the test is its supervisor and its guest service.

import base64
import hashlib
import json
import os
import socket
import time

import msgpack
import pytest

from child import MSG, SETTLE, Child
from support import guest as guests
from support.collateral_source import Source
from support.evidence import Evidence, Wrong, check_signature

RELAY, FILTER = hashlib.sha256(b"relay").digest(), hashlib.sha256(b"filter").digest()
CONFIG_HASH = hashlib.sha256(b"settings").digest()
TREE = hashlib.sha256(b"tree").hexdigest()
STARTED = 1_800_000_000
ID = "t-abcdefghijklmnopqrstuvwxyz"
NONCE = bytes(range(16))
COUNTERS = (1, 2, 3, 4, 5, 6, 7)


def config(**changes):
    fields = {"version": 1, "id": ID, "name": "a \"name\" of ours, \u00e9", "backend": "http://127.0.0.1:3000",
              "auth": "bearer", "prefix": "strip", "reuse": "visitor", "life_ms": 600_000, "connections": 10,
              "requests": 0, "bytes": 1 << 40, "rate": 5, "origin": "path", "port": 0} | changes
    return msgpack.packb(list(fields.values()))


def collateral(content=b""):
    fd = os.memfd_create("collateral")
    os.write(fd, content)
    return fd


class Attestor(Child):
    """An attestor whose guest service is at SERVICE (a Guest; None: there is none)."""

    def __init__(self, service=None, *, given=b"", fresh_rate=600, old=False, tls=None, source=None):
        super().__init__("attest", {4: collateral(given)})
        self.service, self.old, self.source = service, old, source
        self.wanted, self.documents, self.answers = 0, [], []
        self._pieces = b""
        self.ready()
        components = ["tunneld", b"\1" * 32, b"", "tunneld-relay", RELAY, FILTER, "libc.so.6", b"\2" * 32, b""]
        self.send(MSG.ATTEST_SETUP, "1.2.3", "unknown", TREE, CONFIG_HASH, STARTED,
                  time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000, fresh_rate, msgpack.packb(components),
                  source is not None)
        self.tls(tls or [])

    def tls(self, keys, own=b""):
        self.send(MSG.TLS_KEYS, msgpack.packb(keys) if keys else b"", own)

    # The supervisor's part: what comes is sorted, whoever asked for it.

    def step(self, seconds=SETTLE):
        message = self.recv(seconds)
        assert message is not None, f"the attestor has ended\n{self.log()}"
        assert message.epoch == self.epoch, message
        if message.type == MSG.LOG:
            self.logged.append(tuple(message.fields))
        elif message.type == MSG.GUEST_WANTED:
            self.wanted += 1
            self.connect()
        elif message.type == MSG.COLLATERAL_WANTED:
            self.connect_source()
        elif message.type == MSG.CERTIFIED:
            self._piece(*message.fields)
        else:
            self.answers.append(message)

    def connect(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            try:
                sock.connect(self.service.path)
                sock.setblocking(False)
                self.send(MSG.GUEST, self.old, fd=sock)
            except (AttributeError, OSError):
                self.send(MSG.GUEST_FAILED)

    def connect_source(self):
        try:
            with socket.create_connection(self.source.address) as sock:
                sock.setblocking(False)
                self.send(MSG.COLLATERAL, "collateral.test:80", "/a?b", fd=sock)
        except OSError:
            self.send(MSG.COLLATERAL_FAILED)

    def collateral(self, state):
        """The certificate, once its collateral_state is that."""
        return self.until(lambda: next((e.certificate for e in self.documents[-1:]
                                        if e.certificate["collateral_state"] == state), None))

    def _piece(self, offset, size, tail, quoted, instance, piece):
        assert offset == (len(self._pieces) if offset else 0)
        self._pieces = (self._pieces if offset else b"") + piece
        if len(self._pieces) < size:
            return
        document = json.loads(self._pieces)
        assert json.loads(b"{" + self._pieces[tail:]).keys() == {"instance", "tee"}
        evidence = Evidence(document)
        assert evidence.type == "tunneld-instance/1" and evidence.exact == evidence.instance_exact
        assert instance == hashlib.sha256(evidence.exact).digest()
        assert quoted == (document["tee"] == "tdx")
        self.documents.append(evidence)

    def until(self, what, seconds=SETTLE):
        limit = time.monotonic() + seconds
        while not what():
            self.step(max(0.01, limit - time.monotonic()))
        return what()

    def certificate(self, state, seconds=SETTLE):
        """The certificate, once its quote_state is that."""
        def found():
            last = self.documents[-1] if self.documents else None
            return last if last and last.certificate["quote_state"] == state else None
        return self.until(found, seconds)

    def answer(self, type_, seconds=SETTLE):
        self.until(lambda: self.answers, seconds)
        message = self.answers.pop(0)
        assert message.type == type_, message
        return message.fields

    def ask(self, nonce=NONCE, reason=0, request=1, asker=9, settings=None, **relay):
        seen = {"uid": 4711, "seccomp": 2, "no_new_privs": True, "capabilities": 0, "landlock": False} | relay
        self.send(MSG.STATE, request, asker, nonce, reason, 5000, settings or config(), *seen.values(), *COUNTERS)

    def stated(self, **how):
        self.ask(**how)
        request, asker, id_, statement, signature, instance = self.answer(MSG.STATED)
        assert (request, asker, id_) == (how.get("request", 1), how.get("asker", 9), ID)
        last = self.documents[-1]
        assert instance == hashlib.sha256(last.instance_exact).digest()
        document = {"statement": base64.b64encode(statement).decode(), "signature": signature.hex(),
                    "instance": last.certificate, "tee": last.document["tee"]}
        return Evidence(document)

    def fresh(self, nonce=NONCE, request=1):
        self.send(MSG.FRESH, request, 9, nonce)

    def quoted(self, seconds=SETTLE):
        request, asker, code, retry_after, detail, document = self.answer(MSG.QUOTED, seconds)
        assert asker == 9
        return request, code, retry_after, detail, document


@pytest.fixture
def service(tmp_path):
    with guests.Guest(tmp_path / "dstack.sock") as serving:
        yield serving


@pytest.fixture
def alone():
    with Attestor() as attestor:
        attestor.certificate("unavailable")
        yield attestor


# What it states about the instance.


def test_instance_statement():
    with Attestor(tls=["0.0.0.0:443", b"\3" * 32, False, "1.2.3.4:443", b"\4" * 32, True]) as attestor:
        said = attestor.certificate("unavailable").said
        assert len(said.pop("instance_key")) == 64
        assert said == {
            "type": "tunneld-instance/1", "tls": [
                {"listener": "0.0.0.0:443", "spki_sha256": "03" * 32},
                {"listener": "1.2.3.4:443", "spki_sha256": "04" * 32, "from_file": True}],
            "components": [
                {"name": "tunneld", "sha256": "01" * 32, "seccomp_sha256": None},
                {"name": "tunneld-relay", "sha256": RELAY.hex(), "seccomp_sha256": FILTER.hex()},
                {"name": "libc.so.6", "sha256": "02" * 32, "seccomp_sha256": None}],
            "source": {"version": "1.2.3", "commit": "unknown", "tree_sha256": TREE},
            "config_sha256": CONFIG_HASH.hex(), "started_at": "2027-01-15T08:00:00Z"}


def test_every_attestor_has_a_key_of_its_own():
    keys = set()
    for _ in range(3):
        with Attestor() as attestor:
            keys.add(attestor.certificate("unavailable").instance["instance_key"])
    assert len(keys) == 3


def test_another_tls_key_makes_another_statement_and_quote(service):
    with Attestor(service) as attestor:
        before = attestor.certificate("quoted")
        attestor.tls(["127.0.0.1:443", b"\4" * 32, False])
        attestor.until(lambda: attestor.documents[-1].instance["tls"])
        after = attestor.certificate("quoted")
        assert after.instance["instance_key"] == before.instance["instance_key"]
        assert after.certificate["quote"] != before.certificate["quote"]  # Evidence checks what it is about


# The guest service as it should be.


@pytest.mark.parametrize("how", ["current", "v5", "chunked", "old"])
def test_quote(service, how):
    service.how = how
    with Attestor(service, old=how == "old") as attestor:
        evidence = attestor.certificate("quoted")
        certificate = evidence.certificate
        assert evidence.document["tee"] == "tdx"
        assert certificate["event_log"] == guests.event_log() and certificate["app_compose"] == guests.COMPOSE
        assert certificate["vm_config"] == (None if how == "old" else guests.VM_CONFIG)
        assert certificate["guest_version"] == (None if how == "old" else "0.5.7")
        wanted = {"GetQuote", "Info", "Version"} if how != "old" else {"RawQuote", "Info"}
        assert set(service.methods()) == wanted, service.asked


def test_nothing_that_holds_a_key_is_asked_for(service):
    with Attestor(service) as attestor:
        attestor.certificate("quoted")
        attestor.fresh()
        assert attestor.quoted()[1] == 0
        attestor.stated()
        assert set(service.methods()) == {"GetQuote", "Info", "Version"}
        assert all(set(asked) <= {"report_data"} for _, asked in service.asked), service.asked


def test_one_call_at_a_time(service):
    service.how, service.delay = "slow", 0.1
    with Attestor(service) as attestor:
        for request in range(4):
            attestor.fresh(request=request)
        attestor.certificate("quoted")
        assert [attestor.quoted()[0] for _ in range(4)] == [0, 1, 2, 3]
        assert service.most == 1


def test_collateral_is_passed_on_as_it_is():
    given = b'{ "tcb_info" : "{\\"a\\": 1}",  "n": 1.0 }\n'
    with Attestor(given=given) as attestor:
        assert attestor.certificate("unavailable").certificate["collateral"] == json.loads(given)
        assert given.strip() in attestor._pieces


@pytest.mark.parametrize("given", [b"", b"{", b"[]", b"\xff", b'{"a":1,"a":2}'])
def test_what_is_no_collateral_is_left_out(given):
    with Attestor(given=given) as attestor:
        assert attestor.certificate("unavailable").certificate["collateral"] is None


def test_collateral_is_fetched():
    with Source() as source, Attestor(source=source) as attestor:
        assert attestor.collateral("fetched")["collateral"] == source.object
        assert source.content in attestor._pieces  # as it is
        assert source.asked == [("/a?b", "collateral.test:80")]
        assert attestor.certificate("unavailable").certificate["collateral"] == source.object


COLLATERAL_WRONG = {"error": "error", "huge": "too_large", "no object": "malformed", "garbage": "malformed", "cut off": "cut_off"}


@pytest.mark.parametrize("how", COLLATERAL_WRONG)
def test_collateral_that_cannot_be_fetched(how):
    with Source(how) as source, Attestor(source=source) as attestor:
        assert attestor.collateral(COLLATERAL_WRONG[how])["collateral"] is None
        assert attestor.stated().said["nonce"] == NONCE.hex()
        source.how = "good"
        assert attestor.collateral("fetched")["collateral"] == source.object


def test_collateral_that_comes_late():
    with Source() as source:
        pass
    with Attestor(source=source) as attestor:
        assert attestor.collateral("unavailable")["collateral"] is None
        with Source() as attestor.source:
            assert attestor.collateral("fetched")["collateral"] == source.object


def test_collateral_from_a_file_is_not_fetched():
    with Attestor(given=b'{"a": 1}') as attestor:
        assert attestor.certificate("unavailable").certificate["collateral_state"] is None
        with Source() as attestor.source:
            attestor.connect_source()  # nobody has asked for it
            assert attestor.stated().certificate["collateral"] == {"a": 1}
            assert attestor.source.asked == []


# The guest service as it should not be: each has its name, none is waited for.

WRONG = {"lying": "mismatch", "no tdx": "mismatch", "error": "error", "huge": "too_large", "endless": "too_large",
         "cut off": "cut_off", "garbage": "malformed", "no json": "malformed", "no quote": "malformed",
         "no log": "malformed"}


@pytest.mark.parametrize("how", WRONG)
def test_wrong_answers_have_their_names(service, how):
    service.how = how
    with Attestor(service) as attestor:
        evidence = attestor.certificate(WRONG[how])
        assert evidence.certificate["quote"] is None and evidence.document["tee"] is None
        assert attestor.stated().said["nonce"] == NONCE.hex()  # signatures do not depend on it
        attestor.fresh()
        request, code, _, detail, document = attestor.quoted()
        assert (code != 0, WRONG[how] in detail, document) == (True, True, b""), (code, detail, document)


def test_it_tries_again(service):
    service.how = "error"
    with Attestor(service) as attestor:
        attestor.certificate("error")
        service.how = "current"
        attestor.certificate("quoted")


def test_a_service_that_comes_later(tmp_path):
    with Attestor() as attestor:
        attestor.certificate("unavailable")
        with guests.Guest(tmp_path / "late.sock") as attestor.service:
            attestor.certificate("quoted")


def test_silence_ends_after_fifteen_seconds(service, report):
    service.how = "silent"
    with Attestor(service) as attestor:
        began = time.monotonic()
        # Version, Info and GetQuote are three calls.
        evidence = attestor.certificate("slow", 60)
        took = time.monotonic() - began
        assert evidence.certificate["quote"] is None and 44 < took < 50, took
        assert attestor.stated().said["nonce"] == NONCE.hex()
        report(f"a guest service that says nothing: given up after {took:.1f} s, three calls")


def test_a_slow_service_holds_up_no_signature(service, report):
    service.how, service.delay = "slow", 3
    with Attestor(service) as attestor:
        attestor.certificate("pending")
        began, n = time.monotonic(), 0
        while time.monotonic() - began < 1.5:
            attestor.stated(nonce=os.urandom(32))
            n += 1
        report(f"statements while a quote takes 3 s: {n / 1.5:.0f} a second, each checked by this test")
        assert not any(e.certificate["quote"] for e in attestor.documents)
        assert n > 100, n


def test_more_than_four_do_not_wait(service):
    service.how, service.delay = "slow", 0.5
    with Attestor(service) as attestor:
        attestor.certificate("quoted")
        for request in range(7):
            attestor.fresh(request=request)
        answers = [attestor.quoted() for _ in range(7)]
        limited = [request for request, code, *_ in answers if code == 5]
        assert (limited, [a[0] for a in answers if a[1] == 0]) == ([4, 5, 6], [0, 1, 2, 3]), answers
        assert all("wait" in detail for _, code, _, detail, _ in answers if code)


@pytest.mark.parametrize("rate, made", [(3, 3), (0, 0)])
def test_the_rate_of_fresh_quotes(service, rate, made):
    with Attestor(service, fresh_rate=rate) as attestor:
        attestor.certificate("quoted")
        codes = []
        for request in range(5):
            attestor.fresh(request=request)
            answer = attestor.quoted()
            codes.append(answer[1])
            assert answer[1] == 0 or ("fresh_rate" in answer[3] and answer[2] > 0), answer
        assert codes == [0] * made + [5] * (5 - made)


def test_a_fresh_quote_is_about_the_nonce(service):
    with Attestor(service) as attestor:
        certificate = attestor.certificate("quoted")
        nonces = [os.urandom(n) for n in (16, 64)]
        for nonce in nonces:
            attestor.fresh(nonce)
            document = certificate.document | {"fresh": json.loads(attestor.quoted()[4])}
            assert Evidence(document).document["fresh"]["nonce"] == nonce.hex()
            document["fresh"]["nonce"] = nonces[0][:-1].hex() + "00"
            with pytest.raises(Wrong):
                Evidence(document)


# What the certificate of a TLS key made here is to carry.

SPKI = b"\x30\x59" + bytes(range(89))


def certified_key(attestor):
    quote, event_log = attestor.answer(MSG.RATLS)
    return guests.report_data_of(quote.hex()), json.loads(event_log)


def test_a_quote_about_a_tls_key(service):
    with Attestor(service) as attestor:
        attestor.tls(["tls_listen", hashlib.sha256(SPKI).digest(), False], SPKI)
        assert certified_key(attestor) == (hashlib.sha512(b"ratls-cert:" + SPKI).digest(), guests.event_log())
        attestor.certificate("quoted")
        asked = service.methods().count("GetQuote")
        attestor.tls(["tls_listen", hashlib.sha256(SPKI).digest(), False])  # it has one now
        attestor.fresh()
        assert attestor.quoted()[1] == 0
        assert service.methods().count("GetQuote") == asked + 1  # the same keys: nothing is asked again


def test_a_key_from_a_file_gets_none(service):
    with Attestor(service, tls=["tls_listen", hashlib.sha256(SPKI).digest(), True]) as attestor:
        attestor.certificate("quoted")
        attestor.fresh()
        assert attestor.quoted()[1] == 0  # and no other answer before that
        assert service.methods().count("GetQuote") == 2


def test_a_quote_about_a_tls_key_comes_late(service):
    service.how = "error"
    with Attestor(service) as attestor:
        attestor.tls(["tls_listen", hashlib.sha256(SPKI).digest(), False], SPKI)
        attestor.certificate("error")
        service.how = "current"
        assert certified_key(attestor)[0] == hashlib.sha512(b"ratls-cert:" + SPKI).digest()


@pytest.mark.parametrize("how", ["long log", "long quote"])
def test_what_a_certificate_has_no_room_for(service, how):
    service.how = how
    with Attestor(service) as attestor:
        attestor.tls(["tls_listen", hashlib.sha256(SPKI).digest(), False], SPKI)
        attestor.certificate("quoted")
        attestor.until(lambda: any("has no room for a quote" in text for _, text in attestor.logged))
        assert not attestor.answers


# What it signs about tunnels.


def test_tunnel_statement(alone):
    evidence = alone.stated()
    said = evidence.said
    assert abs(time.time() - calendar(said.pop("untrusted_time"))) < 5
    assert 0 <= said.pop("uptime_ms") < 60_000
    assert said == {
        "type": "tunneld-tunnel/1", "nonce": NONCE.hex(),
        "tunnel": {"id": ID, "name": "a \"name\" of ours, \u00e9", "mode": "push", "backend": "http://127.0.0.1:3000",
                   "auth": "bearer", "prefix": "strip", "backend_reuse": "visitor", "origin": "path", "port": 0, "life_ms": 600_000,
                   "max_connections": 10, "max_requests": 0, "max_bytes": 1 << 40, "request_rate": 5},
        "relay": {"sha256": RELAY.hex(), "uid": 4711, "seccomp": "filter", "no_new_privs": True, "capabilities": 0,
                  "landlock": False},
        "counters": dict(zip("connections open requests bytes_in bytes_out last_activity agents".split(), COUNTERS))}


def calendar(text):
    import calendar as module
    return module.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def test_every_setting_of_config_is_in_it(alone):
    # The version is CONFIG's own; `mode` says whether there is a backend.
    assert len(alone.stated().said["tunnel"]) == len(msgpack.unpackb(config())) - 1 + 1


def test_a_pull_tunnel_has_no_backend(alone):
    said = alone.stated(settings=config(backend="")).said["tunnel"]
    assert (said["mode"], said["backend"]) == ("pull", None)


def test_a_relay_that_lacks_something_is_told(alone):
    said = alone.stated(seccomp=0, no_new_privs=False, capabilities=1 << 21).said["relay"]
    assert (said["seccomp"], said["no_new_privs"], said["capabilities"]) == ("none", False, 1 << 21)


@pytest.mark.parametrize("reason, name", [(1, "expired"), (2, "revoked"), (3, "exhausted"), (4, "failed")])
def test_receipt(alone, reason, name):
    evidence = alone.stated(nonce=b"", reason=reason, request=0, asker=0)
    said = evidence.said
    assert (said["type"], said["reason"]) == ("tunneld-receipt/1", name)
    assert calendar(said["ended_at"]) - calendar(said["started_at"]) == 5
    assert "nonce" not in said


def test_a_signature_is_for_its_type_alone(alone):
    evidence = alone.stated()
    with pytest.raises(Wrong):
        check_signature(evidence.instance["instance_key"], evidence.exact, evidence.document["signature"],
                        "tunneld-receipt/1")


# Messages that no supervisor sends end it, and its sandbox is one (Child.ready() looks).

BAD = {
    "a receipt with a nonce": lambda a: a.ask(reason=1),
    "a statement without one": lambda a: a.ask(nonce=b""),
    "no config": lambda a: a.ask(settings=b"\x90"),
    "another config": lambda a: a.ask(settings=config() + b"\0"),
    "tls keys of another form": lambda a: a.tls(["a", b"short", False]),
    "a key without its listener": lambda a: a.tls([b"\1" * 32, False]),
    "a key without its origin": lambda a: a.tls(["a", b"\1" * 32, 1]),
    "set up twice": lambda a: a.send(MSG.ATTEST_SETUP, "1", "1", TREE, CONFIG_HASH, 1, 1, 1, b"\x90", False),
    "a short nonce": lambda a: a.send(MSG.FRESH, 1, 1, b"x" * 15),
    "a descriptor that is no socket": lambda a: a.send(MSG.GUEST, False, fd=os.open(os.devnull, os.O_RDWR)),
    "garbage": lambda a: a.raw(b"\xc1"),
}


@pytest.mark.parametrize("what", BAD)
def test_violation(alone, what):
    BAD[what](alone)
    assert alone.closed() and alone.wait() == 5


def test_connections_nobody_asked_for(alone, service):
    alone.service = service
    for _ in range(3):
        alone.connect()
    alone.send(MSG.GUEST_FAILED)
    assert alone.stated().said["nonce"] == NONCE.hex()
