# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel verify --quote` on made-up evidence under a PKI of the tests' own: what passes, in which forms,
# and what is said of bytes that are wrong. Nothing of it passes under the built-in root.

import json
import ssl
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support import tdx
from support.tdx import COMPOSE, boot_log, event, sha512
from support.tdx_case import PASSED, case_of, outcome, verify
from support.verifier import Verifier


# ---- what passes

GOOD = {
    "version 4": {},
    "version 5, report 1.0": {"version": 5},
    "version 5, report 1.5": {"version": 5, "body_type": 3},
    "log version 2": {"log": boot_log(version=2)},
    "log without digests": {"log": boot_log(digest=False)},
    "log of both versions": {"log": boot_log(version=2) + [event("own", b"\0\xff"), event("again", b"", 2, False)]},
    "log with preimages": {"log": [entry | ({"preimage": tdx.event_preimage(entry).hex()} if entry["imr"] == 3 else {})
                                   for entry in boot_log(version=2)]},
    "names that JSON escapes": {"log": boot_log() + [event(chr(c) + '"\\/\x7f\u00e9\U0001f600', b"x", 2)
                                                     for c in range(32)]},
    "nothing measured later": {"report_data": b"\xff" * 64},
}


@pytest.mark.parametrize("arguments", GOOD.values(), ids=GOOD)
def test_passes(arguments, tmp_path):
    case = case_of(**arguments)
    found = verify(case, tmp_path)
    assert outcome(found) == PASSED, found["reasons"]
    assert found["root"] != "intel"
    assert found["rtmr_replay_matches"] == [True] * 4


@pytest.mark.parametrize("arguments", GOOD.values(), ids=GOOD)
def test_built_in_root_refuses_all(arguments, tmp_path):
    found = verify(case_of(**arguments), tmp_path, root=False)
    assert found["root"] == "intel"
    assert outcome(found) == ("rejected", ["pck_chain", "root_is_intel", "tcb_info", "qe_identity"])


def test_without_collateral_nothing_is_known_of_the_platform(tmp_path):
    case = case_of()
    case.collateral = None
    found = verify(case, tmp_path)
    assert outcome(found) == ("authentic-no-tcb", []) and found["status"] == 6


def test_quote_alone(tmp_path):
    case = case_of()
    case.log = case.compose = None
    assert outcome(verify(case, tmp_path)) == PASSED


# ---- bytes that are wrong

def flip(offset, bit=0):
    def patch(data):
        data = bytearray(data)
        data[offset] ^= 1 << bit
        return bytes(data)
    return patch


def put(offset, form, value):
    def patch(data):
        data = bytearray(data)
        struct.pack_into(form, data, offset, value)
        return bytes(data)
    return patch


AUTH = 48 + 584 + 4  # where the authentication data of a version 4 quote begins
HEADER_FAULTS = {"version 3": put(0, "<H", 3), "version 6": put(0, "<H", 6), "key type": put(2, "<H", 3),
                 "SGX": put(4, "<I", 0), "other TEE": put(4, "<I", 0x80), "vendor": flip(12), "vendor's end": flip(27, 7),
                 "outer certification type": put(AUTH + 128, "<H", 5)}
LENGTHS = {"authentication data": (AUTH - 4, "<I"), "certification data": (AUTH + 130, "<I"),
           "QE authentication data": (AUTH + 582, "<H"), "chain": (AUTH + 584 + 32 + 2, "<I")}


@pytest.mark.parametrize("patch", HEADER_FAULTS.values(), ids=HEADER_FAULTS)
def test_header(patch, tmp_path):
    case = case_of()
    case.patch = patch
    assert outcome(verify(case, tmp_path)) == ("rejected", ["format"])


@pytest.mark.parametrize("place", LENGTHS.values(), ids=LENGTHS)
def test_lengths(place, tmp_path):
    case = case_of()
    offset, form = place
    right, = struct.unpack_from(form, case.quote.bytes(), offset)
    for wrong in (0, right - 1, right + 1, 2 ** (8 * struct.calcsize(form)) - 1):
        case.patch = put(offset, form, wrong)
        assert outcome(verify(case, tmp_path)) == ("rejected", ["format"]), wrong


@pytest.mark.parametrize("offset", [28, 48, 64, 112, 128, 160, 168, 176, 184, 232, 280, 328, 376, 424, 472, 520, 583, 631])
def test_flipped_bit_in_what_is_measured(offset, tmp_path):
    case = case_of()
    case.patch = flip(offset, 1)
    found = verify(case, tmp_path)
    assert found["verdict"] == "rejected" and "quote_signature" in found["failed_checks"]


@pytest.mark.parametrize("offset,failed", [
    (AUTH, ["quote_signature"]), (AUTH + 63, ["quote_signature"]),
    (AUTH + 64, ["quote_signature", "qe_report_data"]),
    (AUTH + 134 + 383, ["qe_report_data", "qe_report_signature"]), (AUTH + 134, ["qe_report_signature"]),
    (AUTH + 518, ["qe_report_signature"]), (AUTH + 584, ["qe_report_data"]),
], ids=str)
def test_flipped_bit_in_signatures(offset, failed, tmp_path):
    case = case_of()
    case.patch = flip(offset)
    assert outcome(verify(case, tmp_path)) == ("rejected", failed)


def test_body_types(tmp_path):
    for offset, form, wrong in ((48, "<H", 1), (48, "<H", 4), (48, "<H", 2), (50, "<I", 584), (50, "<I", 0xffffffff)):
        case = case_of(version=5, body_type=3)
        case.patch = put(offset, form, wrong)
        assert outcome(verify(case, tmp_path)) == ("rejected", ["format"]), (offset, wrong)


def test_cut_off(tmp_path):
    case = case_of()
    whole = len(case.quote.bytes())
    for n in {*range(0, whole, 97), whole - 1, AUTH, AUTH - 4, 48, 47, 1}:
        case.patch = lambda data, n=n: data[:n]
        assert outcome(verify(case, tmp_path)) == ("rejected", ["format"]), n


def test_bytes_behind_carry_nothing(tmp_path):
    case = case_of()
    case.quote.trailing = b"\xff" * 1000
    assert outcome(verify(case, tmp_path)) == PASSED
    case.quote.trailing = bytes(65536)
    assert outcome(verify(case, tmp_path)) == ("rejected", ["format"])


# ---- what is compared, and other forms

def test_report_data(tmp_path):
    case = case_of(report_data=bytes(range(64)))
    verifier = Verifier(tmp_path, case.pki.root.pem())
    files = {"quote": case.quote.bytes(), "collateral": case.collateral.json()}
    assert outcome(verifier.run("--report-data", bytes(range(64)).hex(), **files)) == PASSED
    other = bytes(range(63)) + b"\0"
    assert outcome(verifier.run("--report-data", other.hex(), **files)) == ("rejected", ["report_data"])


def test_no_match_is_all_zero(tmp_path):
    case = case_of(report_data=bytes(64))
    verifier = Verifier(tmp_path, case.pki.root.pem())
    found = verifier.run("--report-data", bytes(64).hex(), quote=case.quote.bytes(), collateral=case.collateral.json())
    assert outcome(found) == ("rejected", ["report_data"])


KEY = ec.generate_private_key(ec.SECP256R1())


def forms():
    case = case_of(report_data=sha512(b"ratls-cert:", tdx.key_spki(KEY)))
    quote, log = case.quote.bytes(), case.quote.log
    text = json.dumps(log)
    return case, {
        "hex": quote.hex(), "hex with 0x and a line end": "0x" + quote.hex().upper() + "\n",
        "JSON": {"quote": quote.hex(), "event_log": text, "report_data": "00"},
        "JSON with arrays": {"quote": quote.hex(), "event_log": log, "app_compose": COMPOSE},
        "SCALE": tdx.scale(quote, log, case.quote.td["report_data"]),
        "certificate": tdx.ratls(KEY, {1: quote, 2: text.encode()}),
        "certificate in PEM": ssl.DER_cert_to_PEM_cert(tdx.ratls(KEY, {1: quote, 2: text.encode()})),
        "certificate with an attestation": tdx.ratls(KEY, {8: tdx.scale(quote, log, bytes(64))}),
    }


_case, FORMS = forms()


@pytest.mark.parametrize("name", FORMS)
def test_forms(name, tmp_path):
    verifier = Verifier(tmp_path, _case.pki.root.pem())
    found = verifier.run(quote=FORMS[name], collateral=_case.collateral.json(), app_compose=None)
    assert outcome(found) == PASSED, found["reasons"]
    if name.startswith("cert"):
        assert "report_data" in [check["name"] for check in found["checks"] if check["state"] == "passed"]
    found = verifier.run(quote=FORMS[name], collateral=_case.collateral.json(), spki=tdx.key_spki(KEY))
    assert outcome(found) == PASSED
    found = verifier.run(quote=FORMS[name], collateral=_case.collateral.json(), spki=tdx.key_spki(_case.pki.root.key))
    assert outcome(found) == ("rejected", ["report_data"])


def test_certificate_around_the_quote_of_another_key(tmp_path):
    other = ec.generate_private_key(ec.SECP256R1())
    found = Verifier(tmp_path, _case.pki.root.pem()).run(quote=tdx.ratls(other, {1: _case.quote.bytes()}),
                                                         collateral=_case.collateral.json())
    assert outcome(found) == ("rejected", ["report_data"])


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\1", b"\0\0\3\xff\xff\xff\xff", b"{}", b'{"quote":1}', b"{", b"04", b"0x",
                                  b"\x30\x82\xff\xff", b"-----BEGIN CERTIFICATE-----\n", b"\xff" * 100], ids=repr)
def test_no_evidence(data, tmp_path):
    found = Verifier(tmp_path).run(quote=data)
    assert outcome(found) == ("rejected", ["format"])
