# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: tunneld runs with what deploy/compose.yaml leaves it: four capabilities, no_new_privs, and a state
# folder made by somebody else. (That the file system is read-only is not tried.)

import json
import os
import pathlib
import re

import pytest

from support import proc, tdx
from support.daemon import Daemon
from support.evidence_server import EvidenceServer
from support.tdx_pki import Pki
from support.tunneld_evidence import Instance
from support.verifier import Verifier

COMPOSE = pathlib.Path(__file__).parents[2] / "deploy" / "compose.yaml"
CAPABILITIES = ("SETUID", "SETGID", "SYS_CHROOT", "KILL")
API = 1  # offset of the API worker's user id


class Contained(Daemon):
    def command(self):
        kept = ",".join(f"+{name.lower()}" for name in CAPABILITIES)
        return ["setpriv", "--no-new-privs", "--inh-caps=-all", "--ambient-caps=-all", f"--bounding-set=-all,{kept}",
                *super().command()]


@pytest.mark.skipif(not proc.ROOT, reason="only root has capabilities to keep")
def test_four_capabilities_are_enough(backend):
    daemon = Contained()
    state = daemon.folder / "state"
    (state / "api").mkdir(parents=True, mode=0o700)
    state.chmod(0o700)
    uid = int(daemon.options["relay_uid_base"]) + API
    os.chown(state / "api", uid, uid)
    with daemon:
        tunnel = daemon.api.create(backend)
        assert tunnel.get().status == 200
        uids = {child.status()["Uid"].split()[0] for child in daemon.children()}
        assert len(uids) == 5, uids  # gate, API worker, edge, attestor, relay
        tunnel.revoke()


@pytest.mark.skipif(not COMPOSE.exists(), reason="the source tree is not here")
def test_what_the_compose_file_says():
    text = COMPOSE.read_text()
    added = re.search(r"cap_add:\n((?: +- \w+\n)+)", text).group(1)
    assert re.findall(r"\w+", added) == list(CAPABILITIES)
    for line in ("cap_drop:\n      - ALL", "read_only: true", "no-new-privileges:true"):
        assert line in text, line


@pytest.mark.skipif(not COMPOSE.exists(), reason="the source tree is not here")
def test_a_verifier_takes_it(tmp_path):
    pki = Pki()
    instance = Instance(pki)
    instance.compose = json.dumps({"runner": "docker-compose", "docker_compose_file": COMPOSE.read_text()})
    instance.log = tdx.boot_log(instance.compose)
    with EvidenceServer(instance) as server:
        found = Verifier(tmp_path, pki.root.pem()).run(server.origin, policy=instance.policy())
    assert found["failed_checks"] == [], found["reasons"]
