# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel verify --quote` on made-up evidence with a single fault each, by what it is called.

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support import tdx
from support.keccak import keccak256
from support.tdx import COMPOSE, event, sha512
from support.tdx_case import PASSED, case_of, outcome, verify
from support.tdx_pki import AT, DAY, Entity, Pki


FAULTS = {}


def fault(*failed, **quote):
    def note(change):
        FAULTS[change.__name__] = (change, list(failed), quote)
        return change
    return note


@fault("quote_signature")
def another_signed(case):
    case.quote.key = ec.generate_private_key(ec.SECP256R1())


@fault("qe_report_data")
def qe_for_another_key(case):
    case.quote.qe_report_data = bytes(64)


@fault("qe_report_data")
def qe_report_data_with_a_tail(case):
    case.quote.qe_report_data = tdx.sha256(case.quote.key_bytes, case.quote.qe_auth) + bytes(31) + b"\1"


@fault("qe_not_debug", "tcb")
def qe_under_debug(case):
    case.quote.qe_attributes = bytes([0x13]) + bytes(15)


@fault("tcb")
def qe_of_somebody_else(case):
    case.quote.qe_signer = b"\x11" * 32


@fault("tcb")
def another_enclave_of_intel(case):
    case.quote.qe_product = 1


@fault("tcb")
def qe_misc_select(case):
    case.quote.qe_misc = b"\1\0\0\0"


@fault("tcb")
def qe_too_old_for_any_level(case):
    case.quote.qe_svn = 3


@fault("qe_report_signature")
def qe_report_signed_by_another(case):
    case.quote.qe_key = ec.generate_private_key(ec.SECP256R1())


@fault("pck_present")
def no_chain(case):
    case.quote.chain = b""


@fault("pck_present")
def certification_by_id(case):
    case.quote.certification_type, case.quote.chain = 3, bytes(404)


@fault("pck_present")
def two_certificates(case):
    case.quote.chain = (case.pki.pck.pem() + case.pki.ca.pem()).encode()


@fault("pck_present")
def four_certificates(case):
    case.quote.chain = (case.pki.chain() + case.pki.root.pem()).encode()


@fault("td_not_debug")
def td_under_debug(case):
    case.quote.td["td_attributes"] = b"\1" + bytes(7)


@fault("td_attributes")
def td_can_be_moved(case):
    case.quote.td["td_attributes"] = (1 << 29).to_bytes(8, "little")


@fault("td_attributes")
def td_attribute_nobody_knows(case):
    case.quote.td["td_attributes"] = (1 << 40).to_bytes(8, "little")


@fault("no_service_td", version=5, body_type=3)
def service_td(case):
    case.quote.td["mr_service_td"] = bytes(47) + b"\1"


@fault("tcb", "td_attributes")
def another_module_signer(case):
    case.quote.td["mr_signer_seam"] = b"\1" + bytes(47)


@fault("tcb")
def module_attribute_outside_the_mask(case):
    case.quote.td["seam_attributes"] = b"\1" + bytes(7)
    case.collateral.tcb_info["tdxModuleIdentities"][0]["attributesMask"] = "FE" + "FF" * 7


@fault("tcb")
def module_attributes(case):
    case.quote.td["seam_attributes"] = b"\1" + bytes(7)


# ---- the event log

def move(log, i, j):
    log = list(log)
    log.insert(j, log.pop(i))
    return log


@fault("rtmr3_replay")
def log_in_another_order(case):
    case.log = move(case.log, 5, 7)


@fault("rtmr3_replay")
def log_cut(case):
    case.log = case.log[:-1]


@fault("rtmr3_replay")
def log_with_an_event_twice(case):
    case.log = case.log + case.log[-1:]


@fault("rtmr3_replay")
def event_renamed(case):
    case.log[-2] = case.log[-2] | {"event": "key-provided"}


@fault("rtmr3_replay", "boot_events", "compose_hash")
def compose_hash_changed_digest_kept(case):
    case.log[6] = case.log[6] | {"event_payload": "11" * 31}


@fault("rtmr3_replay")
def digest_that_is_not_of_its_event(case):
    case.log[5] = case.log[5] | {"digest": "00" * 48}


@fault("rtmr3_replay", "compose_hash")
def compose_hash_changed_digest_removed(case):
    case.log[6] = case.log[6] | {"event_payload": "11" * 32, "digest": ""}


@fault("rtmr3_replay", "boot_events", "compose_hash")
def measured_event_in_disguise(case):
    case.log[6] = case.log[6] | {"event_type": 4}


@fault("rtmr3_replay")
def preimage_of_another_event(case):
    case.log[4] = case.log[4] | {"version": 2, "digest": "", "preimage": "7b7d"}


@fault("rtmr3_replay", "compose_hash")
def unknown_event_version(case):
    case.log[4] = case.log[4] | {"version": 3}


@fault("rtmr3_replay", "compose_hash")
def log_is_no_array(case):
    case.log = {"events": []}


@fault("rtmr3_replay", "compose_hash")
def register_beyond(case):
    case.log = [case.log[0] | {"imr": 4}]


def presented(case, log):
    """The log that was measured, too: what is wrong is what it says."""
    case.log = log
    case.quote.td["rtmr3"] = tdx.replay(log, 3)


@fault("compose_hash")
def compose_hash_only_after_the_boot(case):
    other = event("compose-hash", tdx.sha256(b"{}"))
    presented(case, case.log + [other])
    case.compose = "{}"


@fault("boot_events")
def two_compose_hashes_in_the_boot(case):
    presented(case, case.log[:7] + [event("compose-hash", bytes(32))] + case.log[7:])


@fault("boot_events")
def two_app_ids_in_the_boot(case):
    presented(case, case.log[:7] + [event("app-id", bytes(20))] + case.log[7:])


@fault("boot_events")
def colon_in_the_name_of_a_boot_event(case):
    presented(case, case.log[:7] + [event("a:b")] + case.log[7:])


@fault("boot_events", "compose_hash")
def boot_without_compose_hash(case):
    presented(case, [entry for entry in case.log if entry["event"] != "compose-hash"])


@fault("boot_events")
def mr_config_id_of_another_application(case):
    case.quote.td["mr_config_id"] = b"\1" + bytes(47)


@fault("compose_hash")
def another_compose_text(case):
    case.compose = COMPOSE + "\n"


# What the host has committed to, in mr_config_id: it has to agree with the events of the boot.

COMPOSE_HASH = tdx.sha256(COMPOSE.encode())
APP, INSTANCE, PROVIDER, SCRIPTS, GPU = COMPOSE_HASH[:20], bytes(range(20)), b"\xab\xcd", (b"\1" * 32, b"\2" * 32), b"\3" * 32


def booted_with(case, provider="kms", id=PROVIDER, more=()):
    """CASE, whose boot had this key provider and MORE events."""
    entry = event("key-provider", json.dumps({"name": provider, "id": id.hex()}).encode())
    presented(case, [entry if e["event"] == "key-provider" else e for e in case.log[:-1]]
              + [event(*each) for each in more] + case.log[-1:])
    return case


def judged(case, folder, kind, hash, rest=bytes(15)):
    case.quote.td["mr_config_id"] = bytes([kind]) + hash + rest
    return outcome(verify(case, folder))


def document(**members):
    text = json.dumps({"version": 3, **members}, sort_keys=True, separators=(",", ":")).encode()
    return tdx.sha256(b"dstack-mr-config-v3:\0", text)


DOCUMENT = {"app_id": APP.hex(), "compose_hash": COMPOSE_HASH.hex(), "instance_id": INSTANCE.hex(), "key_provider": "kms",
            "key_provider_id": PROVIDER.hex()}
REFUSED = ("rejected", ["boot_events"])


@pytest.mark.parametrize("rest, expected", [(bytes(15), PASSED), (bytes(14) + b"\1", REFUSED)])
def test_mr_config_id_1(tmp_path, rest, expected):
    assert judged(case_of(), tmp_path, 1, COMPOSE_HASH, rest) == expected


@pytest.mark.parametrize("number, name", enumerate(["none", "local-sgx", "kms", "tpm"]))
def test_mr_config_id_2(tmp_path, number, name):
    case = booted_with(case_of(), name)
    assert judged(case, tmp_path, 2, keccak256(COMPOSE_HASH, APP, bytes([number]), PROVIDER)) == PASSED


@pytest.mark.parametrize("parts", [
    (bytes(32), APP, b"\2", PROVIDER), (COMPOSE_HASH, bytes(20), b"\2", PROVIDER), (COMPOSE_HASH, APP, b"\1", PROVIDER),
    (COMPOSE_HASH, APP, b"\2", b"")], ids=["application", "app id", "provider", "provider id"])
def test_mr_config_id_2_of_another(tmp_path, parts):
    assert judged(booted_with(case_of()), tmp_path, 2, keccak256(*parts)) == REFUSED


@pytest.mark.parametrize("left_out", [(), ("app_id",), ("instance_id", "key_provider_id"),
                                      ("app_id", "instance_id", "key_provider_id")])
def test_mr_config_id_3(tmp_path, left_out):
    members = {name: value for name, value in DOCUMENT.items() if name not in left_out}
    assert judged(booted_with(case_of()), tmp_path, 3, document(**members)) == PASSED


def test_mr_config_id_3_with_all_there_is(tmp_path):
    more = [("init-script-hash", script) for script in SCRIPTS] + [("gpu-policy-hash", GPU)]
    case = booted_with(case_of(), more=more)
    members = {**DOCUMENT, "gpu_policy_hash": GPU.hex(), "init_script_hashes": [script.hex() for script in SCRIPTS]}
    assert judged(case, tmp_path, 3, document(**members)) == PASSED
    members["init_script_hashes"].reverse()
    assert judged(case, tmp_path, 3, document(**members)) == REFUSED


def test_mr_config_id_3_as_it_was_without_a_provider(tmp_path):
    case = booted_with(case_of(), "none", b"")
    assert judged(case, tmp_path, 3, document(**{**DOCUMENT, "key_provider": "none", "key_provider_id": ""})) == PASSED


@pytest.mark.parametrize("name, value", [("app_id", "00" * 20), ("compose_hash", "00" * 32), ("instance_id", "00" * 20),
                                         ("key_provider", "tpm"), ("key_provider_id", "00"), ("more", "x")])
def test_mr_config_id_3_of_another(tmp_path, name, value):
    assert judged(booted_with(case_of()), tmp_path, 3, document(**{**DOCUMENT, name: value})) == REFUSED


@pytest.mark.parametrize("kind, hash, rest", [(4, COMPOSE_HASH, bytes(15)), (0, COMPOSE_HASH, bytes(15)), (0, bytes(32), b"\1" * 15),
                                              (3, document(**DOCUMENT), bytes(14) + b"\1")])
def test_mr_config_id_of_no_kind(tmp_path, kind, hash, rest):
    assert judged(booted_with(case_of()), tmp_path, kind, hash, rest) == REFUSED


def test_mr_config_id_2_without_a_provider_in_the_log(tmp_path):
    case = case_of()
    presented(case, [entry for entry in case.log if entry["event"] != "key-provider"])
    assert judged(case, tmp_path, 2, keccak256(COMPOSE_HASH, APP, b"\0")) == REFUSED


# ---- collateral

@fault("tcb_info")
def tcb_info_edited(case):
    case.members = lambda document: document | {"tcb_info": document["tcb_info"].replace("OutOfDate", "UpToDate")}


@fault("tcb_info")
def tcb_info_reformatted(case):
    case.members = lambda document: document | {"tcb_info": document["tcb_info"].replace(",", ", ")}


@fault("qe_identity")
def qe_identity_edited(case):
    case.members = lambda document: document | {"qe_identity": document["qe_identity"].replace("2", "3")}


@fault("tcb_info", "qe_identity")
def each_in_place_of_the_other(case):
    case.members = lambda document: document | {"tcb_info": document["qe_identity"], "qe_identity": document["tcb_info"]}


@fault("tcb_info")
def tcb_info_expired(case):
    case.collateral.tcb_info["nextUpdate"] = tdx.when(AT - DAY / 24)


@fault("tcb_info")
def tcb_info_of_the_future(case):
    case.collateral.tcb_info["issueDate"] = tdx.when(AT + DAY / 24)


@fault("qe_identity")
def qe_identity_expired(case):
    case.collateral.qe_identity["nextUpdate"] = tdx.when(AT - DAY)


@fault("tcb_info")
def date_that_is_none(case):
    case.collateral.tcb_info["nextUpdate"] = "2026-02-30T00:00:00Z"


@fault("tcb_info", "qe_identity")
def signed_by_the_pck(case):
    case.collateral.signer, case.collateral.chain = case.pki.pck, case.pki.pck.pem() + case.pki.root.pem()


@fault("tcb_info", "qe_identity")
def signer_of_another_root(case):
    other = Pki()
    case.collateral.signer, case.collateral.chain = other.tcb, other.tcb.pem() + case.pki.root.pem()


@fault("tcb_info", "qe_identity")
def signing_chain_of_one(case):
    case.collateral.chain = case.pki.tcb.pem()


@fault("pck_chain", "tcb_info", "qe_identity")
def no_root_crl(case):
    case.members = lambda document: {name: value for name, value in document.items() if name != "root_ca_crl"}


@fault("pck_chain")
def no_pck_crl(case):
    case.members = lambda document: {name: value for name, value in document.items() if name != "pck_crl"}


@fault("pck_chain")
def pck_crl_of_another_issuer(case):
    case.collateral.pck_crl = case.pki.root.crl()


@fault("pck_chain")
def pck_crl_signed_by_another(case):
    case.collateral.pck_crl = case.pki.ca.crl(signer=Entity("x"))


@fault("pck_chain")
def pck_revoked(case):
    case.collateral.pck_crl = case.pki.ca.crl(revoked=[case.pki.pck])


@fault("pck_chain")
def platform_ca_revoked(case):
    case.collateral.root_crl = case.pki.root.crl(revoked=[case.pki.ca])


@fault("tcb_info", "qe_identity")
def tcb_signer_revoked(case):
    case.collateral.root_crl = case.pki.root.crl(revoked=[case.pki.tcb])


@fault("pck_chain")
def pck_crl_expired(case):
    case.collateral.pck_crl = case.pki.ca.crl(before=AT - 30 * DAY, after=AT - DAY)


@fault("pck_chain", "tcb_info", "qe_identity")
def root_crl_of_the_future(case):
    case.collateral.root_crl = case.pki.root.crl(before=AT + DAY)


@fault("pck_chain", "tcb_info", "qe_identity")
def collateral_without_members(case):
    case.members = lambda document: {}


@fault("tcb")
def another_fmspc(case):
    case.collateral.tcb_info["fmspc"] = "b0c06f000001"


@fault("tcb")
def another_pceid(case):
    case.collateral.tcb_info["pceId"] = "0001"


@fault("tcb")
def sgx_tcb_info(case):
    case.collateral.tcb_info["id"] = "SGX"


@fault("tcb")
def identity_of_the_sgx_quoting_enclave(case):
    case.collateral.qe_identity["id"] = "QE"


@fault("tcb")
def module_nobody_knows(case):
    case.collateral.tcb_info["tdxModuleIdentities"] = [tdx.module("TDX_03")]


@fault("tcb")
def module_below_every_level(case):
    case.quote.td["tee_tcb_svn"] = bytes([2, 1, 5] + [0] * 13)


@fault("tcb")
def platform_below_every_level(case):
    case.collateral.tcb_info["tcbLevels"] = [tdx.platform_level("UpToDate", pce=14)]


@fault("tcb")
def status_nobody_knows(case):
    case.collateral.tcb_info["tcbLevels"].append(tdx.platform_level("Fine", sgx=(0,) * 16))


@fault("tcb")
def level_of_fifteen_components(case):
    case.collateral.tcb_info["tcbLevels"][0]["tcb"]["sgxtcbcomponents"].pop()


@fault("tcb_not_revoked")
def platform_revoked(case):
    case.collateral.tcb_info["tcbLevels"][0]["tcbStatus"] = "Revoked"


@fault("tcb_not_revoked")
def qe_revoked(case):
    case.collateral.qe_identity["tcbLevels"][0]["tcbStatus"] = "Revoked"


# ---- report_data

@fault("report_data")
def report_data_other_in_its_last_byte(case):
    case.quote.td["report_data"] = sha512(b"ratls-cert:", tdx.key_spki(case.pki.root.key))[:-1] + b"\0"
    case.files["spki"] = tdx.key_spki(case.pki.root.key)


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name, tmp_path):
    change, failed, arguments = FAULTS[name]
    case = case_of(**arguments)
    change(case)
    found = verify(case, tmp_path)
    assert outcome(found) == ("rejected", failed), found["reasons"]
