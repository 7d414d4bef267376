# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The commands of `tunnel` with a server they attest: a real tunneld behind a front that has the
# evidence of a TDX machine. Whoever does not pass gets neither token nor secret nor a byte of the user's.

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support import proc, wire
from support.attested_front import AttestedFront
from support.backend import TcpBackend, echo_tcp
from support.client import Command
from support.daemon import TOKEN
from support.tdx import Collateral
from support.tdx_pki import Pki
from support.tunneld_evidence import Instance
from support.up import Up

UNREACHABLE, NOT_ATTESTED = 5, 6


@pytest.fixture(scope="module")
def pki():
    return Pki()


def instance_of(pki):
    made = Instance(pki)
    made.collateral = Collateral(pki).current()
    return made


@pytest.fixture
def instance(pki):
    return instance_of(pki)


@pytest.fixture
def options(instance, pki, tmp_path):
    (tmp_path / "root.pem").write_text(pki.root.pem())
    (tmp_path / "policy.json").write_text(json.dumps(instance.policy()))
    return ["--attest", "require", "--root-ca", tmp_path / "root.pem", "--policy", tmp_path / "policy.json"]


def visit(daemon, url):
    """By the daemon's own address: visitors are not what is tried here."""
    return daemon.get("/" + url.split("/", 3)[3]).status


def nothing_was_sent(front):
    assert front.passed == [] and TOKEN.encode() not in b"".join(front.asked)


def test_up(daemon, backend, instance, options):
    with AttestedFront(instance, daemon.port) as front, \
            Up(front.origin, backend.url(), "--auth", "none", *options) as up:
        assert visit(daemon, up.url()) == 200
        assert len(front.asked) == 2 and b"/_api/tunnels/" in front.asked[1]
        up.interrupt()
        assert up.wait() == 0, up.both()


@pytest.mark.parametrize("lie", ["relay", "tee", "key"])
def test_up_refuses(lie, daemon, backend, instance, options):
    key = ec.generate_private_key(ec.SECP256R1()) if lie == "key" else None
    if lie == "tee":
        instance.tee = None
    if lie == "relay":
        instance.statement["components"][1]["sha256"] = "00" * 32
    with AttestedFront(instance, daemon.port, key=key) as front, Up(front.origin, backend.url(), *options) as up:
        assert up.wait() == NOT_ATTESTED, up.both()
        nothing_was_sent(front)
    assert {"relay": "components", "tee": "tee", "key": "tls_key"}[lie] in up.text()


def test_up_leaves_no_tunnel_that_does_not_pass(daemon, api, backend, instance, options):
    instance.relay = "00" * 32  # of the statement about the tunnel; the instance's own is right
    with AttestedFront(instance, daemon.port) as front, Up(front.origin, backend.url(), *options) as up:
        assert up.wait() == NOT_ATTESTED, up.both()
        assert "relay" in up.text()
        assert [head.split()[0] for head in front.passed] == [b"POST", b"DELETE"], front.passed
    assert api.call("GET", "/_api/tunnels").json() == []


def test_up_comes_back_to_another_instance_once_it_passes(daemon, backend, instance, options, pki):
    with AttestedFront(instance, daemon.port) as front, \
            Up(front.origin, backend.url(), "--auth", "none", *options) as up:
        assert visit(daemon, up.url()) == 200
        front.close()
        with AttestedFront(instance_of(pki), daemon.port, port=front.port) as successor:
            proc.wait_until(lambda: len(successor.passed) > 0, 30, up.both)
            assert len(successor.asked) == 1
            assert visit(daemon, up.url()) == 200


def test_up_does_not_come_back_to_somebody_else(daemon, backend, instance, options, pki):
    with AttestedFront(instance, daemon.port) as front, \
            Up(front.origin, backend.url(), "--auth", "none", *options) as up:
        up.url()
        front.close()
        with AttestedFront(instance, daemon.port, key=ec.generate_private_key(ec.SECP256R1()), port=front.port) as other:
            assert up.wait(30) == NOT_ATTESTED, up.both()
            nothing_was_sent(other)


@pytest.mark.parametrize("honest", [True, False])
def test_connect(honest, daemon, api, instance, options):
    key = None if honest else ec.generate_private_key(ec.SECP256R1())
    with TcpBackend(echo_tcp) as echo, AttestedFront(instance, daemon.port, key=key) as front:
        tunnel = api.create(echo.url("tcp"), auth="bearer")
        url = f"{front.origin}/t/{tunnel.id}/#{tunnel.secret}"
        with Up("http://nowhere.invalid", url, "-L", "0", *options, command="connect") as connect:
            if not honest:
                assert connect.wait() == NOT_ATTESTED, connect.both()
                nothing_was_sent(front)
                return
            host, port = connect.url().rsplit(":", 1)
            with wire.Stream(wire.socket.create_connection((host, int(port)), 20)) as stream:
                stream.send(b"hello")
                assert stream.take(5) == b"hello"
        assert tunnel.id.encode() in front.asked[0] and tunnel.secret.encode() not in b"".join(front.asked)


def test_every_other_command(daemon, backend, instance, options, pki, tmp_path):
    """By what a login has stored they reach a server whose certificate nobody vouches for; nobody else gets the token."""
    attest, root, policy = options[:2], options[2:4], options[4:]
    with AttestedFront(instance, daemon.port) as front:
        tunnel = Command(tmp_path, front.origin)
        assert tunnel.run("ls", *root).status == UNREACHABLE, "on this machine no evidence is asked for"
        tunnel.good("login", *attest, *policy, *root)
        made = tunnel.good("create", backend.port, "--json", *root).json()
        assert made["id"] in tunnel.good("ls", *root).out
        assert tunnel.good("show", made["id"], "--json", *root).json()["id"] == made["id"]
        tunnel.good("extend", made["id"], "5m", *root)
        tunnel.good("rm", made["id"], *root)
        with tunnel.start("events", *root):
            proc.wait_until(lambda: b"/_api/events" in front.passed[-1], 20, "it does not ask for events")
    with AttestedFront(instance, daemon.port, key=ec.generate_private_key(ec.SECP256R1()), port=front.port) as other:
        for words in (["ls"], ["show", made["id"]], ["create", "3000"], ["rm", made["id"]], ["extend", made["id"], "5m"],
                      ["events"], ["login"]):
            assert tunnel.run(*words, *root).status == NOT_ATTESTED, words
        nothing_was_sent(other)
