# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel verify --quote` on made-up evidence: the certificates of a platform, its status by Intel's
# rules, and what a policy accepts.

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from support import tdx
from support.tdx import COMPOSE
from support.tdx_case import PASSED, case_of, levels, outcome, verify
from support.tdx_pki import AT, DAY, Pki


# ---- certificates

P384 = {"curve": ec.SECP384R1}
CHAINS = {
    "PCK expired": ({"pck": {"after": AT - DAY}}, ["pck_chain"]),
    "PCK not yet valid": ({"pck": {"before": AT + DAY}}, ["pck_chain"]),
    "platform CA expired": ({"ca": {"after": AT - DAY}}, ["pck_chain"]),
    "platform CA is none": ({"ca": {"ca": False}}, ["pck_chain"]),
    "root expired": ({"root": {"after": AT - DAY}}, ["pck_chain", "tcb_info", "qe_identity"]),
    "root of another name": ({"root": {"name": "Root"}}, ["pck_chain", "tcb_info", "qe_identity"]),
    "leaf is no PCK": ({"pck": {"name": "Somebody"}}, ["pck_chain"]),
    "signer is none": ({"tcb": {"name": "Somebody"}}, ["tcb_info", "qe_identity"]),
    "signer expired": ({"tcb": {"after": AT - DAY}}, ["tcb_info", "qe_identity"]),
    "CA of another curve": ({"ca": P384}, ["pck_chain"]),
    "weaker hash": ({"pck": {"hash": hashes.SHA224}}, ["pck_chain"]),
    "no extension": ({"pck": {"extension": None}}, ["sgx_extension"]),
    "extension is no DER": ({"pck": {"extension": b"\x30\x80"}}, ["sgx_extension"]),
    "extension without FMSPC": ({"platform": {"leave_out": (4,)}}, ["sgx_extension"]),
    "extension without versions": ({"platform": {"leave_out": (2,)}}, ["sgx_extension"]),
    "fifteen components": ({"platform": {"components": (5,) * 15, "cpusvn": bytes(16)}}, ["sgx_extension"]),
    "component beyond a byte": ({"platform": {"components": (256,) * 16, "cpusvn": bytes(16)}}, ["sgx_extension"]),
    "seventeen components": ({"platform": {"components": (5,) * 17, "cpusvn": bytes(16)}}, ["sgx_extension"]),
    "long CPUSVN": ({"platform": {"cpusvn": bytes(17)}}, ["sgx_extension"]),
}


@pytest.mark.parametrize("arguments,failed", CHAINS.values(), ids=CHAINS)
def test_chain(arguments, failed, tmp_path):
    found = verify(case_of(Pki(**arguments)), tmp_path)
    assert outcome(found) == ("rejected", failed), found["reasons"]


def test_platform_ca_of_another_root(tmp_path):
    case = case_of()
    case.quote.chain = (case.pki.pck.pem() + Pki().ca.pem() + case.pki.root.pem()).encode()
    assert outcome(verify(case, tmp_path)) == ("rejected", ["pck_chain"])


def test_another_root_is_not_the_one_given(tmp_path):
    case = case_of()
    case.quote.chain = (case.pki.pck.pem() + case.pki.ca.pem() + Pki().root.pem()).encode()
    assert outcome(verify(case, tmp_path)) == ("rejected", ["pck_chain", "root_is_intel"])


# ---- the status of a platform

@pytest.mark.parametrize("platform", ["UpToDate", "SWHardeningNeeded", "ConfigurationNeeded",
                                      "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"])
@pytest.mark.parametrize("part", ["module", "qe"])
def test_statuses_are_folded(platform, part, tmp_path):
    case = case_of()
    levels(case, platform)
    assert verify(case, tmp_path)["verdict"] == platform
    if part == "qe":
        case.collateral.qe_identity["tcbLevels"][0]["tcbStatus"] = "OutOfDate"
    else:
        case.quote.td["tee_tcb_svn"] = bytes([3, 1, 5] + [0] * 13)
    folded = {"UpToDate": "OutOfDate", "SWHardeningNeeded": "OutOfDate"}.get(
        platform, platform if platform.startswith("OutOfDate") else "OutOfDateConfigurationNeeded")
    found = verify(case, tmp_path)
    assert outcome(found) == (folded, []) and found["status"] == 6


def test_order_of_levels_in_the_file_does_not_matter(tmp_path):
    case = case_of()
    levels(case, "UpToDate", "SWHardeningNeeded", "OutOfDate")
    case.collateral.tcb_info["tcbLevels"].reverse()
    case.collateral.tcb_info["tdxModuleIdentities"][0]["tcbLevels"].reverse()
    assert outcome(verify(case, tmp_path)) == PASSED


@pytest.mark.parametrize("version,status", [(1, "UpToDate"), (0, "OutOfDate")])
def test_module_components_are_compared_only_without_an_identity(version, status, tmp_path):
    case = case_of()
    case.quote.td["tee_tcb_svn"] = bytes([6, version, 5] + [0] * 13)
    case.collateral.tcb_info["tcbLevels"] = [tdx.platform_level("UpToDate", tdx=(7, 0, 5) + (0,) * 13),
                                             tdx.platform_level("OutOfDate", tdx=(5, 0, 5) + (0,) * 13)]
    found = verify(case, tmp_path)
    assert found["verdict"] == status
    assert ("module_id" in found["tcb"]) == (version > 0)


def test_updated_under_a_running_machine(tmp_path):
    case = case_of(version=5, body_type=3)
    case.quote.td["tee_tcb_svn"] = bytes([3, 1, 5] + [0] * 13)
    found = verify(case, tmp_path)
    assert found["verdict"] == "OutOfDate" and found["tcb"]["relaunch_advised"]
    assert found["tcb"]["advisory_ids"] == ["INTEL-SA-00001"]
    case.quote.td["tee_tcb_svn2"] = bytes([5, 1, 5] + [0] * 13)
    assert not verify(case, tmp_path)["tcb"]["relaunch_advised"]


# ---- policy

def sets(quote, **other):
    return [{"name": "test", **{name: quote.td[name].hex() for name in ("mr_td", "rtmr0", "rtmr1", "rtmr2")}, **other}]


def test_policy(tmp_path):
    case = case_of()
    hash = tdx.sha256(COMPOSE.encode()).hex()
    for rule, failed in (({"measurements": sets(case.quote)}, []),
                         ({"measurements": sets(case.quote, mr_td="00" * 48)}, ["measurements"]),
                         ({"measurements": sets(case.quote, rtmr2="00" * 48) + sets(case.quote)}, []),
                         ({"measurements": []}, ["measurements"]),
                         ({"app_compose": ["00" * 32, hash.upper()]}, []), ({"app_compose": ["00" * 32]}, ["app"]),
                         ({"td_attributes": {"needed": "0000004000000000"}}, ["td_attributes"]),
                         ({"td_attributes": {"allowed": "0000001000000000", "needed": "0000001000000000"}}, []),
                         ({"td_attributes": {"allowed": "00" * 8}}, ["td_attributes"])):
        case.files["policy"] = {"type": "tunneld-policy/1", **rule}
        assert verify(case, tmp_path)["failed_checks"] == failed, rule


def test_policy_on_status(tmp_path):
    case = case_of()
    levels(case, "SWHardeningNeeded")
    for accepted, status in ((["UpToDate"], 6), (["UpToDate", "SWHardeningNeeded"], 0)):
        case.files["policy"] = {"type": "tunneld-policy/1", "tcb_status": accepted}
        found = verify(case, tmp_path)
        assert (found["verdict"], found["failed_checks"], found["status"]) == ("SWHardeningNeeded", [], status)
