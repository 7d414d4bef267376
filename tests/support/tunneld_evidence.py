# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The documents a tunneld in a TDX machine serves (docs/attestation.md), made under the PKI of the
# tests. A test changes the statements before it asks for a document.

import base64
import json

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from . import tdx

TUNNEL = "t-aaaaaaaaaaaaaaaaaaaaaaaaaa"


def encoded(statement):
    return json.dumps(statement, separators=(",", ":")).encode()


class Instance:
    """An instance: its keys, its statement, and a quote that certifies it."""

    def __init__(self, pki, tls_key=None):
        self.pki = pki
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.tls_key = tls_key or ec.generate_private_key(ec.SECP256R1())
        self.compose, self.collateral, self.tee = tdx.COMPOSE, tdx.Collateral(pki), "tdx"
        self.log = tdx.boot_log(self.compose)
        self.relay = "ab" * 32
        public = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.statement = {
            "type": "tunneld-instance/1", "instance_key": public.hex(),
            "tls": [{"listener": "127.0.0.1:443", "spki_sha256": tdx.sha256(tdx.key_spki(self.tls_key)).hex()}],
            "components": [{"name": "tunneld", "sha256": "aa" * 32, "seccomp_sha256": None},
                           {"name": "tunneld-relay", "sha256": self.relay, "seccomp_sha256": "cc" * 32}],
            "source": {"version": "0.1.0", "commit": "0" * 40, "tree_sha256": "dd" * 32}, "config_sha256": "ee" * 32,
            "started_at": "2026-05-31T00:00:00Z"}

    def quote(self, report_data):
        return tdx.Quote(self.pki, report_data, self.log)

    def quote_of_statement(self):
        return self.quote(tdx.sha512(b"tunneld-instance:", encoded(self.statement)))

    def certificate(self):
        """The member `instance`."""
        return {"statement": base64.b64encode(encoded(self.statement)).decode(),
                "quote": self.quote_of_statement().bytes().hex(), "quote_state": "quoted", "event_log": self.log,
                "app_compose": self.compose, "vm_config": None, "guest_version": None,
                "collateral": self.collateral.json() if self.collateral else None}

    def sign(self, statement):
        text = encoded(statement)
        return {"statement": base64.b64encode(text).decode(),
                "signature": self.key.sign(statement["type"].encode() + b":" + text).hex(),
                "instance": self.certificate(), "tee": self.tee}

    def document(self):
        return self.sign(self.statement)

    def tunnel_statement(self, id, nonce):
        return {"type": "tunneld-tunnel/1", "nonce": nonce, "untrusted_time": tdx.TIME, "uptime_ms": 1000,
                "tunnel": {"id": id, "name": "", "backend": "http://127.0.0.1:3000", "auth": "bearer"},
                "relay": {"sha256": self.relay, "uid": 65616, "seccomp": "filter", "no_new_privs": True,
                          "capabilities": 0, "landlock": True},
                "counters": {"connections": 0, "open": 0, "requests": 0, "bytes_in": 0, "bytes_out": 0}}

    def tunnel_document(self, id, nonce):
        return self.sign(self.tunnel_statement(id, nonce))

    def fresh(self, nonce):
        """The member `fresh`."""
        data = tdx.sha512(b"tunneld-fresh:", tdx.sha256(encoded(self.statement)), bytes.fromhex(nonce))
        return {"nonce": nonce, "quote": self.quote(data).bytes().hex(), "event_log": self.log}

    def policy(self, **rules):
        quote = self.quote_of_statement()
        return {"type": "tunneld-policy/1", "app_compose": [tdx.sha256(self.compose.encode()).hex()],
                "measurements": [{name: quote.td[name].hex() for name in ("mr_td", "rtmr0", "rtmr1", "rtmr2")}],
                "components": {"tunneld-relay": [self.relay]}, "source": ["dd" * 32], **rules}
