# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The whole way: a tunneld whose guest service signs quotes of real form under the PKI of the tests,
# and `tunnel verify` on what it serves; then two parties who distrust each other.

import base64
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support import daemon as daemons
from support import proc, tdx, tls
from support.daemon import Daemon, free_port, program
from support.evidence_server import tls_context
from support.guest import Guest
from support.tdx_pki import Pki, der
from support.verifier import Verifier

PASSED = ("UpToDate", [], 0)


class SigningGuest(Guest):
    """A guest service whose quotes are good under PKI."""

    def __init__(self, path, pki):
        self.pki, self.log = pki, tdx.boot_log()
        super().__init__(path)

    def _quote(self, asked):
        quote = tdx.Quote(self.pki, bytes.fromhex(asked["report_data"]), self.log)
        return {"quote": quote.bytes().hex(), "event_log": json.dumps(self.log), "report_data": asked["report_data"],
                "vm_config": "{}"}

    def _info(self, asked):
        return {"app_id": "00" * 20, "tcb_info": json.dumps({"app_compose": tdx.COMPOSE, "event_log": self.log})}


class Machine:
    """A TDX machine of the tests' own that runs tunneld."""

    def __init__(self, folder, pki, **options):
        self.pki = pki
        self.guest = SigningGuest(folder / "dstack.sock", pki)
        (folder / "collateral.json").write_text(json.dumps(tdx.Collateral(pki).json()))
        self.tls = f"127.0.0.1:{free_port()}"
        self.daemon = Daemon(tls_listen=self.tls, dstack_socket=str(folder / "dstack.sock"), collateral=str(folder / "collateral.json"),
                             attestation="require", fresh_rate="600", **options)

    def __enter__(self):
        self.daemon.__enter__()
        proc.wait_until(lambda: self.document()["tee"] == "tdx", 20, self.daemon.log)
        return self

    def __exit__(self, *exception):
        self.daemon.__exit__(*exception)
        self.guest.close()

    @property
    def plain(self):
        return f"http://127.0.0.1:{self.daemon.port}"

    def document(self):
        return self.daemon.api.expect(200, "GET", "/_api/attestation", token="").json()

    def policy(self, **rules):
        quote = tdx.Quote(self.pki, log=self.guest.log)
        instance = json.loads(base64.b64decode(self.document()["instance"]["statement"]))
        relay = next(part["sha256"] for part in instance["components"] if part["name"] == "tunneld-relay")
        return {"type": "tunneld-policy/1", "app_compose": [tdx.sha256(tdx.COMPOSE.encode()).hex()],
                "measurements": [{name: quote.td[name].hex() for name in ("mr_td", "rtmr0", "rtmr1", "rtmr2")}],
                "components": {"tunneld-relay": [relay]}, "source": [instance["source"]["tree_sha256"]], **rules}


@pytest.fixture(scope="module")
def pki():
    return Pki()


@pytest.fixture(scope="module")
def machine(tmp_path_factory, pki):
    with Machine(tmp_path_factory.mktemp("machine"), pki) as running:
        yield running


@pytest.fixture
def verifier(tmp_path, pki):
    return Verifier(tmp_path, pki.root.pem())


@pytest.fixture
def tunnel(machine, backend):
    made = machine.daemon.api.create(backend)
    yield made
    machine.daemon.api.call("DELETE", f"/_api/tunnels/{made.id}")


def outcome(found):
    return found["verdict"], found["failed_checks"], found["status"]


def test_all_but_tls(machine, tunnel, verifier):
    """Over plain HTTP everything passes but that the connection is nobody's."""
    for url in (machine.plain, f"{machine.plain}/t/{tunnel.id}/"):
        for more in ((), ("--fresh",)):
            found = verifier.run(url, *more, policy=machine.policy())
            assert outcome(found) == ("rejected", ["tls_key"], 6), found["reasons"]


def test_passes(machine, tunnel, verifier):
    for url in (f"https://{machine.tls}", f"https://{machine.tls}/t/{tunnel.id}/"):
        for more in ((), ("--fresh",)):
            found = verifier.run(url, *more, policy=machine.policy())
            assert outcome(found) == PASSED, found["reasons"]


def test_no_tee(verifier, backend):
    with Daemon() as daemon:
        found = verifier.run(f"http://127.0.0.1:{daemon.port}/t/{daemon.api.create(backend).id}/")
    assert found["verdict"] == "rejected" and found["failed_checks"][0] == "tee"


def test_receipt(machine, verifier, backend, pki):
    api = machine.daemon.api
    made = api.create(backend)
    api.expect(200, "DELETE", f"/_api/tunnels/{made.id}")
    document = api.expect(200, "GET", f"/_api/tunnels/{made.id}/receipt")
    receipt = verifier.file("receipt.json", document.body)
    assert outcome(verifier.run(receipt, "--tunnel", made.id, policy=machine.policy())) == PASSED
    assert outcome(verifier.run(receipt, "--tunnel", "t-" + "a" * 26, policy=machine.policy()))[1] == ["tunnel"]


# ---- the certificate by itself, as RA-TLS has it

QUOTE, EVENT_LOG = (x509.ObjectIdentifier(f"1.3.6.1.4.1.62397.1.{n}") for n in (1, 2))


def shown(address):
    """The certificate that openssl(1) sees there."""
    seen = subprocess.run(["openssl", "s_client", "-connect", address], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=20).stdout
    return x509.load_pem_x509_certificate(seen)


def carried(certificate, oid):
    """What stands in the extension of that name; None: there is none."""
    for extension in certificate.extensions:
        if extension.oid == oid:
            assert not extension.critical
            outer = extension.value.value
            inner = outer[2 + (outer[1] & 0x7f if outer[1] & 0x80 else 0):]
            assert outer == der(0x04, inner)
            return inner
    return None


@pytest.fixture(scope="module")
def ratls(machine):
    certificate = proc.wait_until(lambda: (now := shown(machine.tls)) and carried(now, QUOTE) and now, 20, machine.daemon.log)
    assert json.loads(carried(certificate, EVENT_LOG)) == machine.guest.log
    return certificate


def pem(certificate):
    return certificate.public_bytes(Encoding.PEM)


def test_certificate(machine, verifier, ratls):
    evidence = {"app_compose": tdx.COMPOSE, "collateral": tdx.Collateral(machine.pki).json()}
    policy = {name: rule for name, rule in machine.policy().items() if name not in ("components", "source")}
    found = verifier.run(quote=pem(ratls), policy=policy, **evidence)
    assert outcome(found) == PASSED, found["reasons"]
    states = {check["name"]: check["state"] for check in found["checks"]}
    assert {states[name] for name in ("report_data", "rtmr3_replay", "measurements", "app")} == {"passed"}
    listed = [key["spki_sha256"] for key in json.loads(base64.b64decode(machine.document()["instance"]["statement"]))["tls"]]
    spki = ratls.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert listed == [tdx.sha256(spki).hex()]


def test_its_quote_in_the_certificate_of_another_key(verifier, ratls):
    extensions = {number: carried(ratls, oid) for number, oid in ((1, QUOTE), (2, EVENT_LOG))}
    taken = tdx.ratls(ec.generate_private_key(ec.SECP256R1()), extensions)
    assert "report_data" in verifier.run(quote=taken)["failed_checks"]


def test_the_quote_of_the_instance_is_not_for_a_certificate(machine, verifier, ratls):
    """Each quote is for one purpose, though both are about the same key in the end."""
    instance = machine.document()["instance"]
    spki = ratls.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = verifier.run(quote=instance["quote"], spki=spki)
    assert "report_data" in found["failed_checks"]


def test_a_certificate_from_a_file_carries_none(tmp_path, pki):
    authority = tls.Authority(tmp_path)
    files = authority.issue("own", "localhost")
    (tmp_path / "m").mkdir()  # addresses of Unix sockets are short
    with Machine(tmp_path / "m", pki, tls_cert=str(files[0]), tls_key=str(files[1])) as machine:
        asked = [bytes.fromhex(asked["report_data"]) for method, asked in machine.guest.asked if method == "GetQuote"]
        certificate = shown(machine.tls)
        spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert carried(certificate, QUOTE) is None and tdx.sha512(b"ratls-cert:", spki) not in asked


# ---- somebody in the middle

@contextlib.contextmanager
def middleman(port):
    """Ends TLS with a key of its own and passes everything on to PORT."""
    context = tls_context(ec.generate_private_key(ec.SECP256R1()))
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve():
        while True:
            try:
                raw, _ = listener.accept()
                inside = context.wrap_socket(raw, server_side=True)
            except OSError:
                return
            outside = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=pump, args=(inside, outside), daemon=True).start()
            pump(outside, inside)
            inside.close()
            outside.close()

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_middleman(machine, tunnel, verifier):
    with middleman(machine.daemon.port) as origin:
        found = verifier.run(f"{origin}/t/{tunnel.id}/", policy=machine.policy())
    assert outcome(found) == ("rejected", ["tls_key"], 6)
    assert "somebody else" in found["reasons"]["tls_key"]


# ---- two parties

@contextlib.contextmanager
def other_build(name):
    """The same programs but one, which is another build."""
    with tempfile.TemporaryDirectory() as folder:
        for built in ("tunneld", "tunneld-gate", "tunneld-api", "tunneld-relay", "tunneld-resolve", "tunneld-attest",
                      "tunneld-edge"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(program(built), folder)
        with open(pathlib.Path(folder) / name, "ab") as changed:
            changed.write(b"\0")
        yield str(pathlib.Path(folder) / "tunneld")


def test_two_parties(machine, pki, verifier, tmp_path, backend, monkeypatch):
    """
    Alice serves, Bob visits, neither owns the relay. Each has read the source, built it, and accepts that
    build and no other. Both ask, and both see the same tunnel. Then the relay is swapped: the machine is
    genuine, everything is signed, and both clients refuse.
    """
    policy = machine.policy()
    tunnel = machine.daemon.api.create(backend, name="a deal")
    seen = []
    for who in ("alice", "bob"):
        found = verifier.run(f"{machine.plain}/t/{tunnel.id}/", "--save", tmp_path / who, policy=policy)
        assert found["failed_checks"] == ["tls_key"]
        seen.append(json.loads((tmp_path / who / "statement.json").read_text()))
    assert seen[0]["nonce"] != seen[1]["nonce"]
    assert seen[0]["tunnel"] == seen[1]["tunnel"] and seen[0]["tunnel"]["name"] == "a deal"
    assert seen[0]["relay"]["sha256"] == seen[1]["relay"]["sha256"] == policy["components"]["tunneld-relay"][0]

    with other_build("tunneld-relay") as swapped:
        monkeypatch.setattr(daemons, "program", lambda name="tunneld": swapped if name == "tunneld" else program(name))
        (tmp_path / "swapped").mkdir()
        with Machine(tmp_path / "swapped", pki) as other:
            tunnel = other.daemon.api.create(backend, name="a deal")
            found = verifier.run(f"{other.plain}/t/{tunnel.id}/", policy=policy)
    assert found["failed_checks"] == ["tls_key", "components"], found["reasons"]
    assert "tunneld-relay" in found["reasons"]["components"]
