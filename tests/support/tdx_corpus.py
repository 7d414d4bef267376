# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Writes the corpora of the fuzz targets that read evidence, made-up evidence in all its forms:
#
#     cd tests && python3 -m support.tdx_corpus

import json
import pathlib

from cryptography.hazmat.primitives.asymmetric import ec

from . import tdx, tunneld_evidence
from .tdx_pki import Pki, sgx_extension

CORPUS = pathlib.Path(__file__).parents[1] / "fuzz/corpus"


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(exist_ok=True)
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    (folder / name).write_bytes(content)


def main():
    pki = Pki()
    quotes = {"v4": tdx.Quote(pki), "v5-10": tdx.Quote(pki, version=5), "v5-15": tdx.Quote(pki, version=5, body_type=3)}
    for name, quote in quotes.items():
        write("quote", name, quote.bytes())
    write("quote", "empty", b"\4\0\2\0")
    quote, log = quotes["v4"].bytes(), tdx.boot_log()
    key = ec.generate_private_key(ec.SECP256R1())
    write("evidence", "binary", quote)
    write("evidence", "hex", quote.hex())
    write("evidence", "json", {"quote": quote.hex(), "event_log": json.dumps(log), "app_compose": tdx.COMPOSE})
    write("evidence", "scale", tdx.scale(quote, log, bytes(64)))
    write("evidence", "certificate", tdx.ratls(key, {1: quote, 2: json.dumps(log).encode()}))
    write("event_log", "version-1", log)
    write("event_log", "version-2", tdx.boot_log(version=2, digest=False))
    write("event_log", "names", [tdx.event(chr(c) + "\"\\é", b"\0", 2) for c in range(33)])
    write("event_log", "preimage", [entry | {"preimage": tdx.event_preimage(entry).hex()} for entry in log])
    write("event_log", "malformed", [{"imr": 9}])
    write("collateral", "whole", tdx.Collateral(pki).json())
    write("collateral", "empty", {})
    write("sgx_extension", "whole", sgx_extension())
    write("sgx_extension", "short", sgx_extension(leave_out=(2,)))
    server = tunneld_evidence.Instance(pki)
    write("statement", "tunnel", server.tunnel_document("t-aaaaaaaaaaaaaaaaaaaaaaaaaa", "00" * 32))
    write("statement", "instance", server.document())
    write("statement", "no-tee", server.document() | {"tee": None})
    write("policy_file", "whole", server.policy())
    write("policy_file", "unknown", {"type": "tunneld-policy/1", "x": []})


main()
