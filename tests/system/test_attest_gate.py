# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The gate before everything that `tunnel` sends to a server which is attested (client/attest_gate.h):
# nothing leaves before the evidence has passed, and later connections have to end at the same instance.

import json
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support.daemon import program
from support.evidence_server import EvidenceServer
from support.tdx import Collateral
from support.tdx_pki import Pki
from support.tunneld_evidence import TUNNEL, Instance

OK, UNREACHABLE, NOT_ATTESTED = 0, 5, 6
TOKEN = "tok-sesame-open-please-0123456789"


@pytest.fixture(scope="module")
def pki():
    return Pki()


@pytest.fixture
def instance(pki):
    made = Instance(pki)
    made.collateral = Collateral(pki).current()
    return made


class Probe:
    def __init__(self, folder, server, *options):
        root, policy = folder / "root.pem", folder / "policy.json"
        root.write_text(server.instance.pki.root.pem())
        policy.write_text(json.dumps(server.instance.policy()))
        self._process = subprocess.Popen(
            [program("gate-probe"), f"--server={server.origin}", f"--root-ca={root}", f"--policy={policy}", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"TUNNEL_TOKEN": TOKEN, "HOME": str(folder)})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.errors = self._process.communicate(timeout=20)[1]

    def ask(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        code, _, text = self._process.stdout.readline().rstrip("\n").partition(" ")
        return int(code), text


def paths(server):
    return [path.partition("?")[0] for path in server.seen]


def test_passes(instance, tmp_path):
    with EvidenceServer(instance) as server, Probe(tmp_path, server, "--attest=require") as probe:
        assert probe.ask("open") == (OK, "")
        assert probe.ask("get /_api/version") == (OK, "404")
        assert probe.ask(f"open {TUNNEL}") == (OK, "")
        assert probe.ask("get /_api/version") == (OK, "404")
    assert paths(server) == ["/_api/attestation", "/_api/version", f"/_api/tunnels/{TUNNEL}/attestation", "/_api/version"]
    assert [TOKEN in str(head) for head in server.heads] == [False, True, False, True]


def test_without_evidence_no_connection(instance, tmp_path):
    with EvidenceServer(instance) as server, Probe(tmp_path, server, "--attest=require") as probe:
        instance.tee = None
        code, text = probe.ask("open")
        assert code == NOT_ATTESTED and "tee" in text and "--attest off" in text
    assert paths(server) == ["/_api/attestation"] and TOKEN not in str(server.heads)


def test_middleman_from_the_start(instance, tmp_path):
    with EvidenceServer(instance, key=ec.generate_private_key(ec.SECP256R1())) as server, \
            Probe(tmp_path, server, "--attest=require") as probe:
        code, text = probe.ask("open")
        assert code == NOT_ATTESTED and "tls_key" in text
    assert TOKEN not in str(server.heads)


def test_middleman_later_gets_nothing(instance, tmp_path):
    with EvidenceServer(instance) as server, Probe(tmp_path, server, "--attest=require") as probe:
        assert probe.ask("open") == (OK, "")
        assert probe.ask("get /_api/version") == (OK, "404")
        port = server.server.server_port
        server.__exit__()
        with EvidenceServer(instance, port=port, key=ec.generate_private_key(ec.SECP256R1())) as other:
            code, text = probe.ask("get /_api/version")
            assert code == UNREACHABLE and "TLS" in text
            assert other.seen == []
            code, text = probe.ask("open")
            assert code == NOT_ATTESTED and "tls_key" in text
            assert TOKEN not in str(other.heads)
        with EvidenceServer(instance, port=port):
            assert probe.ask("get /_api/version") == (OK, "404")


def test_new_instance_has_to_be_attested_anew(instance, tmp_path):
    with EvidenceServer(instance) as server, Probe(tmp_path, server, "--attest=require") as probe:
        assert probe.ask("open") == (OK, "")
        port = server.server.server_port
        server.__exit__()
        successor = Instance(instance.pki)
        successor.collateral = instance.collateral
        with EvidenceServer(successor, port=port):
            assert probe.ask("get /_api/version")[0] == UNREACHABLE
            assert probe.ask("open") == (OK, "")
            assert probe.ask("get /_api/version") == (OK, "404")


def test_plain_http_is_never_attested(instance, tmp_path):
    with EvidenceServer(instance, tls=False) as server, Probe(tmp_path, server, "--attest=require") as probe:
        code, text = probe.ask("open")
        assert code == NOT_ATTESTED and "tls_key" in text


def test_warn(instance, tmp_path):
    instance.tee = None
    with EvidenceServer(instance, tls=False) as server, Probe(tmp_path, server, "--attest=warn") as probe:
        assert probe.ask("open") == (OK, "")
        assert probe.ask("get /_api/version") == (OK, "404")
    assert "not attested: tee" in probe.errors


@pytest.mark.parametrize("options", [["--attest=off"], []])
def test_not_asked_for(options, instance, tmp_path):
    """Nothing is asked of a server on this machine, unless --attest says so."""
    with EvidenceServer(instance, tls=False) as server, Probe(tmp_path, server, *options) as probe:
        assert probe.ask("open") == (OK, "")
        assert probe.ask("get /_api/version") == (OK, "404")
    assert paths(server) == ["/_api/version"]


def test_required_of_servers_elsewhere(instance, tmp_path):
    """Without --attest evidence is asked for: the name is looked up before anything else."""
    with EvidenceServer(instance) as server:
        server.origin = f"https://relay.invalid:{server.server.server_port}"
        with Probe(tmp_path, server) as probe:
            assert probe.ask("open")[0] == UNREACHABLE
    assert server.seen == []
