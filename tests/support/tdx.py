# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Evidence in the formats of real machines, under the PKI of tdx_pki.py: quotes, event logs,
# collateral, RA-TLS certificates. What a test wants different it changes before it asks for bytes.

import datetime
import hashlib
import json
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .tdx_pki import AT, DAY, FMSPC, PCEID, der, public_bytes, sign

TIME = "2026-06-01T00:00:00Z"
QE_SIGNER = bytes.fromhex("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5")
VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
RUNTIME = 0x08000001
COMPOSE = json.dumps({
    "manifest_version": 2, "name": "tunneld", "runner": "docker-compose",
    "docker_compose_file": "services:\n  tunneld:\n    image: tunneld@sha256:" + "00" * 32 + "\n    volumes:\n"
                           "      - /var/run/dstack.sock:/var/run/dstack.sock\n"})


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def sha384(*parts):
    return hashlib.sha384(b"".join(parts)).digest()


def sha512(*parts):
    return hashlib.sha512(b"".join(parts)).digest()


def when(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- event logs

def event(name, payload=b"", version=None, digest=True, imr=3, type=RUNTIME):
    text = {"imr": imr, "event_type": type, "digest": "", "event": name, "event_payload": payload.hex()}
    if version is not None:
        text["version"] = version
    if digest:
        text["digest"] = event_digest(text).hex()
    return text


def event_preimage(entry):
    name, payload = entry["event"], entry["event_payload"]
    if entry.get("version") == 2:
        return json.dumps({"name": name, "payload": payload, "type": RUNTIME}, separators=(",", ":"),
                          ensure_ascii=False).encode()
    return b"\x01\0\0\x08:" + name.encode() + b":" + bytes.fromhex(payload)


def event_digest(entry):
    return sha384(event_preimage(entry))


def boot_log(compose=COMPOSE, version=None, digest=True):
    compose_hash = sha256(compose.encode())
    names = [("system-preparing", b""), ("app-id", compose_hash[:20]), ("compose-hash", compose_hash),
             ("instance-id", bytes(range(20))), ("boot-mr-done", b""), ("os-image-hash", bytes(32)),
             ("key-provider", b'{"name":"none","id":""}'), ("system-ready", b"")]
    measured = [{"imr": i, "event_type": 4, "digest": sha384(bytes([i])).hex(), "event": "", "event_payload": ""}
                for i in (0, 0, 1, 2)]
    return measured + [event(name, payload, version, digest) for name, payload in names]


def replay(log, register):
    value = bytes(48)
    for entry in log:
        if entry["imr"] == register:
            digest = event_digest(entry) if entry["event_type"] == RUNTIME else bytes.fromhex(entry["digest"])
            value = sha384(value, digest)
    return value


# ---- quotes

class Quote:
    """A quote that has not been made yet. Its fields are those of a TD report, as bytes."""

    def __init__(self, pki, report_data=bytes(63) + b"\1", log=None, version=4, body_type=2):
        log = boot_log() if log is None else log
        self.pki, self.version, self.body_type, self.log = pki, version, body_type, log
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.key_bytes = public_bytes(self.key)
        self.td = {
            "tee_tcb_svn": bytes([6, 1, 5] + [0] * 13), "mr_seam": b"\x5e" * 48, "mr_signer_seam": bytes(48),
            "seam_attributes": bytes(8), "td_attributes": (1 << 28).to_bytes(8, "little"),
            "xfam": bytes.fromhex("e702060000000000"), "mr_td": b"\xd0" * 48, "mr_config_id": bytes(48),
            "mr_owner": bytes(48), "mr_owner_config": bytes(48), "rtmr0": replay(log, 0), "rtmr1": replay(log, 1),
            "rtmr2": replay(log, 2), "rtmr3": replay(log, 3), "report_data": report_data,
        }
        if body_type == 3:
            self.td |= {"tee_tcb_svn2": bytes([6, 1, 5] + [0] * 13), "mr_service_td": bytes(48)}
        self.qe_auth = bytes(range(32))
        self.qe_attributes = bytes([0x11]) + bytes(15)
        self.qe_signer, self.qe_product, self.qe_svn, self.qe_misc = QE_SIGNER, 2, 6, bytes(4)
        self.qe_report_data = None  # made of the key
        self.qe_key = pki.pck.key
        self.chain = pki.chain().encode() + b"\0"
        self.header = struct.pack("<HHIHH16s20s", version, 2, 0x81, 0, 0, VENDOR, bytes(20))
        self.certification_type, self.outer_type, self.trailing = 5, 6, b""

    def measured(self):
        body = b"".join(self.td.values())
        head = struct.pack("<HI", self.body_type, len(body)) if self.version == 5 else b""
        return self.header + head + body

    def qe_report(self):
        data = self.qe_report_data or sha256(self.key_bytes, self.qe_auth) + bytes(32)
        return b"".join([bytes(16), self.qe_misc, bytes(28), self.qe_attributes, b"\x3e" * 32, bytes(32), self.qe_signer,
                         bytes(96), struct.pack("<HH", self.qe_product, self.qe_svn), bytes(60), data])

    def bytes(self):
        measured, report = self.measured(), self.qe_report()
        inner = report + sign(self.qe_key, report) + struct.pack("<H", len(self.qe_auth)) + self.qe_auth
        inner += struct.pack("<HI", self.certification_type, len(self.chain)) + self.chain
        auth = sign(self.key, measured) + self.key_bytes + struct.pack("<HI", self.outer_type, len(inner)) + inner
        return measured + struct.pack("<I", len(auth)) + auth + self.trailing


# ---- collateral

def _levels(svn, *rest):
    return [{"tcb": {"isvsvn": svn}, "tcbDate": "2026-01-01T00:00:00Z", "tcbStatus": "UpToDate"}, *rest]


def platform_level(status, sgx=(5,) * 16, pce=13, tdx=(6, 0, 5) + (0,) * 13, advisories=()):
    level = {"tcb": {"sgxtcbcomponents": [{"svn": svn} for svn in sgx], "pcesvn": pce,
                     "tdxtcbcomponents": [{"svn": svn} for svn in tdx]},
             "tcbDate": "2026-01-01T00:00:00Z", "tcbStatus": status}
    return level | ({"advisoryIDs": list(advisories)} if advisories else {})


def module(id="TDX_01", levels=None):
    identity = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
    return identity if id is None else {"id": id, **identity, "tcbLevels": levels or _levels(6, {
        "tcb": {"isvsvn": 3}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "OutOfDate",
        "advisoryIDs": ["INTEL-SA-00001"]})}


class Collateral:
    def __init__(self, pki):
        self.pki = pki
        dates = {"issueDate": when(AT - 3 * DAY), "nextUpdate": when(AT + 27 * DAY)}
        self.tcb_info = {"id": "TDX", "version": 3, **dates, "fmspc": FMSPC.upper(), "pceId": PCEID, "tcbType": 0,
                         "tcbEvaluationDataNumber": 20, "tdxModule": module(None), "tdxModuleIdentities": [module()],
                         "tcbLevels": [platform_level("UpToDate"),
                                       platform_level("OutOfDate", (3,) * 16, 11, (3, 0, 3) + (0,) * 13,
                                                      ["INTEL-SA-00002"])]}
        self.qe_identity = {"id": "TD_QE", "version": 2, **dates, "tcbEvaluationDataNumber": 20,
                            "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
                            "attributes": "11" + "00" * 15, "attributesMask": "FB" + "FF" * 7 + "00" * 8,
                            "mrsigner": QE_SIGNER.hex().upper(), "isvprodid": 2, "tcbLevels": _levels(4)}
        self.signer = pki.tcb
        self.chain = pki.tcb.pem() + pki.root.pem()
        self.root_crl, self.pck_crl = pki.root.crl(), pki.ca.crl()

    def current(self):
        """The same as of now, for what has no --at."""
        now = datetime.datetime.utcnow()
        for text in (self.tcb_info, self.qe_identity):
            text |= {"issueDate": when(now - DAY), "nextUpdate": when(now + DAY)}
        self.root_crl = self.pki.root.crl(before=now - DAY, after=now + DAY)
        self.pck_crl = self.pki.ca.crl(before=now - DAY, after=now + DAY)
        return self

    def json(self):
        texts = {name: json.dumps(getattr(self, name), separators=(",", ":")) for name in ("tcb_info", "qe_identity")}
        return {"pck_crl_issuer_chain": self.pki.ca.pem() + self.pki.root.pem(), "root_ca_crl": self.root_crl.hex(),
                "pck_crl": self.pck_crl.hex(),
                **{f"{name}_issuer_chain": self.chain for name in texts}, **texts,
                **{f"{name}_signature": sign(self.signer.key, text.encode()).hex() for name, text in texts.items()}}


# ---- other forms of a quote

def compact(number):
    """A number in SCALE's compact form."""
    if number < 1 << 6:
        return bytes([number << 2])
    if number < 1 << 14:
        return struct.pack("<H", number << 2 | 1)
    return struct.pack("<I", number << 2 | 2)


def scale(quote, log, report_data):
    def vector(value):
        return compact(len(value)) + value

    events = b"".join(struct.pack("<II", entry["imr"], entry["event_type"]) + vector(bytes.fromhex(entry["digest"])) +
                      vector(entry["event"].encode()) + vector(bytes.fromhex(entry["event_payload"])) for entry in log)
    return b"\0\0" + vector(quote) + compact(len(log)) + events + compact(0) + report_data + vector(b"{}")


def key_spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def ratls(key, extensions):
    """A self-signed certificate with dstack's extensions {number: bytes}, DER."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tunneld")])
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
               .serial_number(1).not_valid_before(AT - DAY).not_valid_after(AT + DAY))
    for number, value in extensions.items():
        oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.62397.1.{number}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, der(0x04, value)), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
