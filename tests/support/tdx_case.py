# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A verification of made-up evidence in which everything is right, to be spoilt by a test.

import types

from . import tdx
from .tdx import COMPOSE, Collateral, Quote
from .tdx_pki import Pki
from .verifier import Verifier

PASSED = ("UpToDate", [])
PKI = Pki()


def case_of(pki=PKI, **quote):
    made = Quote(pki, **quote)
    return types.SimpleNamespace(pki=pki, quote=made, log=made.log, compose=COMPOSE, collateral=Collateral(pki),
                                 files={}, at=tdx.TIME, patch=lambda data: data, members=lambda document: document)


def verify(case, folder, root=True):
    verifier = Verifier(folder, case.pki.root.pem() if root else None)
    files = {"quote": case.patch(case.quote.bytes()), "event_log": case.log, "app_compose": case.compose,
             "collateral": case.members(case.collateral.json()) if case.collateral else None, **case.files}
    return verifier.run(at=case.at, **files)


def outcome(found):
    return found["verdict"], found["failed_checks"]


def levels(case, *statuses):
    case.collateral.tcb_info["tcbLevels"] = [tdx.platform_level(status, sgx=(5 - i,) * 16)
                                             for i, status in enumerate(statuses)]
