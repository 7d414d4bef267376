# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Evidence as a verifier reads it, apart from the quote itself: signatures, what the quotes are about,
# and every statement against its schema in docs/schemas.

import base64
import functools
import hashlib
import json
import pathlib

import jsonschema
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import guest

SCHEMAS = pathlib.Path(__file__).parents[2] / "docs" / "schemas"


class Wrong(AssertionError):
    """Evidence that a verifier refuses."""


@functools.cache
def _validator(name):
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check_form(document, name):
    error = jsonschema.exceptions.best_match(_validator(name).iter_errors(document))
    if error:
        raise Wrong(f"{name}: at /{'/'.join(map(str, error.absolute_path))}: {error.message[:600]}")


def check_signature(key, statement, signature, type_):
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
            bytes.fromhex(signature), type_.encode() + b":" + statement)
    except InvalidSignature:
        raise Wrong(f"the signature of {statement[:200]!r} is wrong") from None


class Evidence:
    """A document that has been checked: `said` is its statement, `instance` the instance's."""

    def __init__(self, document):
        check_form(document, "evidence")
        self.document = document
        self.certificate = document["instance"]
        self.exact = base64.b64decode(document["statement"], validate=True)
        self.instance_exact = base64.b64decode(self.certificate["statement"], validate=True)
        self.said = json.loads(self.exact)
        self.instance = json.loads(self.instance_exact)
        self.type = self.said["type"]
        check_form(self.instance, "instance-statement")
        check_form(self.said, {"tunneld-instance/1": "instance-statement", "tunneld-tunnel/1": "tunnel-statement",
                               "tunneld-receipt/1": "receipt-statement"}[self.type])
        check_signature(self.instance["instance_key"], self.exact, document["signature"], self.type)
        for statement, read in ((self.exact, self.said), (self.instance_exact, self.instance)):
            if json.dumps(read, separators=(",", ":"), ensure_ascii=False).encode() != statement:
                raise Wrong(f"not compact: {statement!r}")
        self._check_quotes()

    def _check_quotes(self):
        certificate, document = self.certificate, self.document
        if (certificate["quote"] is None) != (document["tee"] is None):
            raise Wrong(f"tee {document['tee']}")
        if certificate["quote"] is not None:
            wanted = hashlib.sha512(b"tunneld-instance:" + self.instance_exact).digest()
            if guest.report_data_of(certificate["quote"]) != wanted:
                raise Wrong("the quote is about something else")
        if fresh := document.get("fresh"):
            digest = hashlib.sha256(self.instance_exact).digest()
            wanted = hashlib.sha512(b"tunneld-fresh:" + digest + bytes.fromhex(fresh["nonce"])).digest()
            if guest.report_data_of(fresh["quote"]) != wanted:
                raise Wrong("the fresh quote is about something else")

    def component(self, name):
        found = [c for c in self.instance["components"] if c["name"] == name]
        assert len(found) == 1, (name, self.instance)
        return found[0]
