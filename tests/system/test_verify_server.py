# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel verify URL` against a server that stands in for a tunneld in a TDX machine: what passes, and by
# what name each lie is caught.

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support import tdx
from support.evidence_server import EvidenceServer
from support.tdx_pki import Pki
from support.tunneld_evidence import TUNNEL, Instance, encoded
from support.verifier import Verifier

_pki = Pki()


@pytest.fixture
def instance():
    return Instance(_pki)


@pytest.fixture
def verifier(tmp_path):
    return Verifier(tmp_path, _pki.root.pem())


def verify(verifier, server, *arguments, url=None, **files):
    files.setdefault("policy", server.instance.policy())
    return verifier.run(url or server.url, *arguments, **files)


def outcome(found):
    return found["verdict"], found["failed_checks"], found["status"]


PASSED = ("UpToDate", [], 0)


def test_tunnel(instance, verifier):
    with EvidenceServer(instance) as server:
        found = verify(verifier, server)
        assert outcome(found) == PASSED, found["reasons"]
        assert {"tls_key", "signature", "nonce", "tunnel", "relay", "report_data", "measurements", "app", "components",
                "source", "socket_alone", "images"} <= {check["name"] for check in found["checks"] if check["state"] == "passed"}
        verify(verifier, server)
    nonces = [path.partition("nonce=")[2] for path in server.seen]
    assert len(nonces) == 2 and nonces[0] != nonces[1] and all(len(nonce) == 64 for nonce in nonces)


def test_instance(instance, verifier):
    with EvidenceServer(instance) as server:
        found = verify(verifier, server, url=server.origin)
        assert outcome(found) == PASSED, found["reasons"]
        assert outcome(verify(verifier, server, "--fresh", url=server.origin)) == PASSED


def test_secret_of_a_url_is_not_sent(instance, verifier):
    with EvidenceServer(instance) as server:
        assert outcome(verify(verifier, server, url=server.url + "x?y=sesame#sesame")) == PASSED
    assert "sesame" not in str(server.seen)


def test_fresh(instance, verifier):
    with EvidenceServer(instance) as server:
        assert outcome(verify(verifier, server, "--fresh")) == PASSED
        server.change = lambda document, query: {**document, "fresh": instance.fresh("00" * 32)}
        assert outcome(verify(verifier, server, "--fresh")) == ("rejected", ["fresh"], 6)
        server.change = lambda document, query: {**document, "fresh": None}
        assert outcome(verify(verifier, server, "--fresh")) == ("rejected", ["fresh"], 6)


def test_fresh_quote_of_another_machine(instance, verifier):
    other = Instance(_pki)
    other.key, other.statement = instance.key, instance.statement
    other.log = [tdx.event("x", imr=0, type=4) | {"digest": "11" * 48}] + instance.log
    with EvidenceServer(instance, change=lambda document, query: document | {"fresh": other.fresh(query["nonce"])}) as server:
        found = verify(verifier, server, "--fresh", policy=instance.policy())
        assert outcome(found) == ("rejected", ["fresh"], 6)
        policy = instance.policy(measurements=instance.policy()["measurements"] + other.policy()["measurements"])
        found = verify(verifier, server, "--fresh", policy=policy)
        assert outcome(found) == ("rejected", ["fresh"], 6) and "another machine" in found["reasons"]["fresh"]


def test_fresh_quote_of_another_application(instance, verifier):
    """Both may be good ones, for the policy; only one of them is asked."""
    other = Instance(_pki)
    other.key, other.statement, other.compose = instance.key, instance.statement, instance.compose + " "
    other.log = tdx.boot_log(other.compose)
    policy = instance.policy(app_compose=[tdx.sha256(text.encode()).hex() for text in (instance.compose, other.compose)])
    with EvidenceServer(instance) as server:
        assert outcome(verify(verifier, server, "--fresh", policy=policy)) == PASSED
        server.change = lambda document, query: document | {"fresh": other.fresh(query["nonce"])}
        found = verify(verifier, server, "--fresh", policy=policy)
        assert outcome(found) == ("rejected", ["fresh"], 6)
        assert "another application" in found["reasons"]["fresh"], found


def test_fresh_quote_of_a_platform_out_of_date(instance, verifier):
    class Old(Instance):
        def quote(self, report_data):
            quote = super().quote(report_data)
            quote.td["tee_tcb_svn"] = bytes([3]) + quote.td["tee_tcb_svn"][1:]
            return quote
    other = Old(_pki)
    other.key, other.statement = instance.key, instance.statement
    with EvidenceServer(instance, change=lambda document, query: document | {"fresh": other.fresh(query["nonce"])}) as server:
        found = verify(verifier, server, "--fresh")
        assert outcome(found) == ("rejected", ["fresh"], 6) and "OutOfDate" in found["reasons"]["fresh"]


def test_two_instance_statements(instance, verifier):
    def change(document, query):
        return instance.sign(instance.statement | {"started_at": tdx.TIME}) | {"instance": document["instance"]}
    with EvidenceServer(instance, change=change) as server:
        assert outcome(verify(verifier, server, url=server.origin)) == ("rejected", ["instance"], 6)


def test_built_in_root(instance, tmp_path):
    with EvidenceServer(instance) as server:
        found = verify(Verifier(tmp_path), server)
        assert outcome(found) == ("rejected", ["pck_chain", "root_is_intel", "tcb_info", "qe_identity"], 6)


# ---- somebody in the middle, something altered, something replayed

def test_middleman(instance, verifier):
    with EvidenceServer(instance, key=ec.generate_private_key(ec.SECP256R1())) as server:
        assert outcome(verify(verifier, server)) == ("rejected", ["tls_key"], 6)


def test_key_from_a_file(instance, verifier):
    instance.statement["tls"][0]["from_file"] = True
    with EvidenceServer(instance) as server:
        assert outcome(verify(verifier, server)) == ("rejected", ["tls_key"], 6)
        assert outcome(verify(verifier, server, policy=instance.policy(tls_key_file=False))) == ("rejected", ["tls_key"], 6)
        assert outcome(verify(verifier, server, policy=instance.policy(tls_key_file=True))) == PASSED


def test_no_tls(instance, verifier):
    with EvidenceServer(instance, tls=False) as server:
        assert outcome(verify(verifier, server)) == ("rejected", ["tls_key"], 6)


def statement_of(document):
    return json.loads(base64.b64decode(document["statement"]))


def resigned(instance, document, **members):
    return instance.sign(statement_of(document) | members)


def altered(document, **members):
    return document | {"statement": base64.b64encode(encoded(statement_of(document) | members)).decode()}


def within(document, **members):
    return document | {"instance": document["instance"] | members}


def flipped(hex, at):
    data = bytearray.fromhex(hex)
    data[at] ^= 1
    return data.hex()


OTHER = Instance(_pki)
LIES = {
    "another nonce": (lambda i, d: resigned(i, d, nonce="00" * 32), ["nonce"]),
    "answer replayed": (lambda i, d: i.tunnel_document(TUNNEL, "11" * 32), ["nonce"]),
    "another tunnel": (lambda i, d: resigned(i, d, tunnel={"id": "t-bbbbbbbbbbbbbbbbbbbbbbbbbb"}), ["tunnel"]),
    "instance in place of a tunnel": (lambda i, d: i.document(), ["tunnel"]),
    "statement altered": (lambda i, d: altered(d, uptime_ms=1), ["signature"]),
    "relay altered": (lambda i, d: altered(d, relay={**statement_of(d)["relay"], "sha256": "00" * 32}), ["signature", "relay"]),
    "another relay signed": (lambda i, d: resigned(i, d, relay={**statement_of(d)["relay"], "sha256": "00" * 32}), ["relay"]),
    "relay without filter": (lambda i, d: resigned(i, d, relay={**statement_of(d)["relay"], "seccomp": "none"}), ["relay"]),
    "relay that may gain privileges":
        (lambda i, d: resigned(i, d, relay={**statement_of(d)["relay"], "no_new_privs": False}), ["relay"]),
    "relay with a capability": (lambda i, d: resigned(i, d, relay={**statement_of(d)["relay"], "capabilities": 1}), ["relay"]),
    "signature altered": (lambda i, d: d | {"signature": flipped(d["signature"], 63)}, ["signature"]),
    "signed by another": (lambda i, d: OTHER.sign(statement_of(d)) | {"instance": d["instance"]}, ["signature"]),
    "instance of another": (lambda i, d: d | {"instance": OTHER.certificate()}, ["tls_key", "signature"]),
    "quote of another instance": (lambda i, d: within(d, quote=OTHER.certificate()["quote"]), ["report_data"]),
    "quote altered": (lambda i, d: within(d, quote=flipped(d["instance"]["quote"], 200)), ["quote_signature", "measurements"]),
    "event log altered": (lambda i, d: within(d, event_log=d["instance"]["event_log"][:-1]), ["rtmr3_replay"]),
    "event log absent": (lambda i, d: within(d, event_log=None), ["rtmr3_replay", "compose_hash", "app"]),
    "compose text altered": (lambda i, d: within(d, app_compose=d["instance"]["app_compose"] + " "), ["compose_hash"]),
    "compose text absent": (lambda i, d: within(d, app_compose=None), ["compose_hash"]),
    "no TEE": (lambda i, d: within(d, quote=None, quote_state="no guest service") | {"tee": None}, ["tee"]),
    "no document": (lambda i, d: {"instance": {}}, ["instance"]),
    "a state in many words": (lambda i, d: within(d, quote=None, quote_state="\u00e9" * 60 + "x") | {"tee": None}, ["tee"]),
    "and cut elsewhere": (lambda i, d: within(d, quote=None, quote_state="x" + "\u00e9" * 60) | {"tee": None}, ["tee"]),
    "an array": (lambda i, d: [], ["instance"]),
    "a type of tomorrow": (lambda i, d: resigned(i, d, type="tunneld-tunnel/2"), ["instance"]),
}


@pytest.mark.parametrize("name", LIES)
def test_lie(name, instance, verifier):
    change, failed = LIES[name]
    with EvidenceServer(instance, change=lambda document, query: change(instance, document)) as server:
        found = verify(verifier, server)
    assert outcome(found) == ("rejected", failed, 6), found["reasons"]


def test_tunnel_that_is_not_there(instance, verifier):
    with EvidenceServer(instance) as server:
        found = verify(verifier, server, "--tunnel", "t-cccccccccccccccccccccccccc")
    assert outcome(found) == ("rejected", ["instance"], 6)
    assert "404" in found["reasons"]["instance"]


def test_no_collateral(instance, verifier):
    instance.collateral = None
    with EvidenceServer(instance) as server:
        assert outcome(verify(verifier, server)) == ("authentic-no-tcb", [], 6)
        assert outcome(verify(verifier, server, collateral=tdx.Collateral(_pki).json())) == PASSED


# ---- what the verifier accepts

def test_without_policy_system_and_application_are_unknown(instance, verifier):
    with EvidenceServer(instance) as server:
        assert outcome(verify(verifier, server, policy=None)) == ("rejected", ["measurements", "app"], 6)


@pytest.mark.parametrize("rule,failed", [
    ({"measurements": []}, ["measurements"]), ({"app_compose": ["00" * 32]}, ["app"]),
    ({"components": {"tunneld-relay": ["00" * 32]}}, ["components"]), ({"components": {"other": ["00" * 32]}}, ["components"]),
    ({"source": ["00" * 32]}, ["source"]),
], ids=str)
def test_policy(rule, failed, instance, verifier):
    with EvidenceServer(instance) as server:
        assert outcome(verify(verifier, server, policy=instance.policy(**rule))) == ("rejected", failed, 6)


COMPOSE_FILE = json.loads(tdx.COMPOSE)["docker_compose_file"]


def of_application(instance, verifier, compose_file, rules=None, **members):
    """What fails when the machine runs this application, which the policy accepts by its hash."""
    instance.compose = json.dumps({"docker_compose_file": compose_file, **members})
    instance.log = tdx.boot_log(instance.compose)
    with EvidenceServer(instance) as server:
        return verify(verifier, server, policy=instance.policy(**(rules or {})))["failed_checks"]


def test_socket_in_two_containers(instance, verifier):
    assert of_application(instance, verifier, COMPOSE_FILE + "      - /var/run/dstack.sock:/b\n") == ["socket_alone"]


@pytest.mark.parametrize("image", ["tunneld:1.0", "${IMAGE}", "tunneld@sha256:00"])
def test_image_that_anything_could_be(instance, verifier, image):
    assert of_application(instance, verifier, COMPOSE_FILE.replace("tunneld@sha256:" + "00" * 32, image)) == ["images"]


def test_script_outside_containers(instance, verifier):
    scripts = {"pre_launch_script": "echo"}
    assert of_application(instance, verifier, COMPOSE_FILE, **scripts) == ["socket_alone"]
    accepted = {"scripts": [tdx.sha256(b"echo").hex()]}
    assert of_application(instance, verifier, COMPOSE_FILE, accepted, **scripts) == []


# ---- saved evidence

def test_saved(instance, verifier, tmp_path):
    folder = tmp_path / "saved"
    with EvidenceServer(instance) as server:
        assert outcome(verify(verifier, server, "--save", folder)) == PASSED
    policy = instance.policy()
    assert outcome(verifier.run(folder, "--offline", policy=policy)) == PASSED
    assert hashlib.sha256((folder / "app-compose.json").read_bytes()).hexdigest() == policy["app_compose"][0]
    parts = verifier.run(quote=(folder / "quote.bin").read_bytes(), event_log=(folder / "event-log.json").read_bytes(),
                         collateral=(folder / "collateral.json").read_bytes(),
                         app_compose=(folder / "app-compose.json").read_bytes())
    assert outcome(parts) == PASSED
    question = json.loads((folder / "question.json").read_text())
    (folder / "question.json").write_text(json.dumps(question | {"nonce": "00" * 32}))
    assert outcome(verifier.run(folder, "--offline", policy=policy)) == ("rejected", ["nonce"], 6)
    (folder / "question.json").write_text(json.dumps(question | {"spki_sha256": None}))
    assert outcome(verifier.run(folder, "--offline", policy=policy)) == ("rejected", ["tls_key"], 6)


def test_file(instance, verifier):
    nonce = "22" * 32
    document = verifier.file("document.json", instance.tunnel_document(TUNNEL, nonce))
    policy, spki = instance.policy(), tdx.key_spki(instance.tls_key)
    assert outcome(verifier.run(document, "--nonce", nonce, "--tunnel", TUNNEL, policy=policy, spki=spki)) == PASSED
    assert outcome(verifier.run(document, policy=policy)) == ("rejected", ["tls_key", "nonce", "tunnel"], 6)


def test_receipt(instance, verifier):
    receipt = instance.tunnel_statement(TUNNEL, "") | {"type": "tunneld-receipt/1", "reason": "expired"}
    receipt.pop("nonce")
    document = verifier.file("receipt.json", instance.sign(receipt))
    assert outcome(verifier.run(document, "--tunnel", TUNNEL, policy=instance.policy())) == PASSED
    altered_receipt = instance.sign(receipt) | {"statement": base64.b64encode(encoded(receipt | {"reason": "revoked"})).decode()}
    document = verifier.file("receipt.json", altered_receipt)
    assert outcome(verifier.run(document, "--tunnel", TUNNEL, policy=instance.policy())) == ("rejected", ["signature"], 6)
