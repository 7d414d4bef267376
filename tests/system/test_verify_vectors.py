# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel verify --quote` on evidence from real machines, each case at its own time: verdict, failed
# checks and every field that was measured beside them. The evidence is no part of this tree; it is
# looked for in TUNNELD_VECTORS and beside the tree. Without it the made-up evidence of test_verify_quote.py
# and its neighbours covers the same rules.

import json
import os
import pathlib
import subprocess

import pytest
from support.daemon import program

PLACES = [os.environ.get("TUNNELD_VECTORS"),
          *(folder / "shared/vectors/tdx" for folder in pathlib.Path(__file__).resolve().parents)]
VECTORS = next((pathlib.Path(place) for place in PLACES if place and (pathlib.Path(place) / "vectors.json").exists()),
               None)
CASES = json.loads((VECTORS / "vectors.json").read_text()) if VECTORS else []
FILES = {"quote": "--quote", "event_log": "--event-log", "app_compose": "--app-compose", "collateral": "--collateral"}
# Inputs, what others found on the way, and what `tcb` has only when there is collateral.
OTHER = {*FILES, "id", "at", "at_unix", "why", "verdict", "failed_checks", "collateral_window", "tcb", "quote_sha256",
         "pck_not_before", "pck_not_after", "app_compose_sha256", "td_debug", "sept_ve_disable"}


def test_evidence_is_here(report):
    if VECTORS is None:
        report("no evidence of real machines here: TUNNELD_VECTORS would say where it is; made-up evidence was verified")
        pytest.skip("no evidence of real machines")
    assert len(CASES) >= 23


def verify(case):
    command = [program("tunnel"), "verify", "--at", case["at"], "--json"]
    for name, option in FILES.items():
        if name in case:
            command += [option, VECTORS / case[name]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode in (0, 6) and done.stderr == "", done
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_vector(case):
    status, found = verify(case)
    assert (found["verdict"], found["failed_checks"]) == (case["verdict"], case["failed_checks"]), found["checks"]
    assert (status == 0) == (case["verdict"] == "UpToDate")
    wanted = {name: value for name, value in case.items() if name not in OTHER}
    assert {name: found.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES
                                  if "tcb" in case and case["verdict"] != "rejected"])
def test_status(case):
    _, found = verify(case)
    wanted = {name: value for name, value in case["tcb"].items() if name in found["tcb"]}
    assert len(wanted) >= 6
    got = {name: found["tcb"][name] for name in wanted}
    for tcb in (got, wanted):
        tcb["advisory_ids"] = sorted(tcb["advisory_ids"])
        tcb["module_id"] = tcb["module_id"].upper()
    assert got == wanted
