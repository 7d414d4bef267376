# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: seen from outside, in /proc, every child is sealed: no privileges, no way to get any, no files,
# a uid of its own where the supervisor runs as root.

import contextlib
import os

import pytest

from support import proc
from support.daemon import SANITIZED

# Bits of <linux/capability.h>: KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT.
SUPERVISOR_CAPABILITIES = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18
ROLES = ["tunneld-gate", "tunneld-api", "tunneld-attest", "tunneld-relay", "tunneld-edge"]


@pytest.fixture
def relays(daemon, backend):
    """Three relays that have served somebody."""
    tunnels = [daemon.api.create(backend) for _ in range(3)]
    for tunnel in tunnels:
        assert tunnel.get("/").status == 200
    yield daemon.relays()
    for tunnel in tunnels:
        tunnel.revoke()


@pytest.fixture(params=ROLES)
def child(request, daemon, relays):
    return daemon.children(request.param)[0]


def test_every_role_is_there_and_nothing_else(daemon, relays):
    roles = {process.role for process in daemon.children()}
    assert roles == set(ROLES), roles
    assert len(daemon.children("tunneld-api")) == 1
    assert len(daemon.gates()) >= 1


def test_seccomp_and_no_new_privs(child):
    status = child.status()
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1"), status
    assert int(status["Seccomp_filters"]) >= 1, status


def test_no_capabilities(child):
    status = child.status()
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind], 16) == 0, f"{child} {kind} {status[kind]}"


def test_no_groups(child):
    groups = child.status()["Groups"].split()
    assert groups == [] or not proc.ROOT, groups


def test_one_thread_and_the_right_parent(child, daemon):
    status = child.status()
    assert (status["Threads"], int(status["PPid"])) == ("1", daemon.process.pid), status


def test_uids(daemon, relays):
    """As root all are different and none is root's; else all are the starting user's."""
    uids = {}
    for process in daemon.children():
        real, effective, saved, filesystem = process.status()["Uid"].split()
        assert real == effective == saved == filesystem, process.status()
        uids.setdefault((process.role, int(real)), []).append(process)
    if not proc.ROOT:
        assert {uid for _, uid in uids} == {os.getuid()}
        return
    assert all(uid > 0 for _, uid in uids), uids
    relay_uids = [uid for role, uid in uids if role == "tunneld-relay"]
    assert len(relay_uids) == len(relays), f"relays share a uid: {uids}"
    by_uid = {}
    for role, uid in uids:
        by_uid.setdefault(uid, set()).add(role)
    assert all(len(roles) == 1 for roles in by_uid.values()), f"roles share a uid: {by_uid}"


def test_the_supervisor_keeps_four_capabilities_at_most(daemon):
    status = daemon.supervisor.status()
    held = int(status["CapEff"], 16) | int(status["CapPrm"], 16)
    allowed = SUPERVISOR_CAPABILITIES if proc.ROOT else 0
    assert held & ~allowed == 0, f"{held:#x}"


@contextlib.contextmanager
def eyes_of_root():
    """What only root may look at; anybody else must be refused, the process being non-dumpable."""
    if proc.ROOT:
        yield
        return
    with pytest.raises(PermissionError):
        yield
        raise AssertionError("an ordinary user could look")


def test_an_empty_root_folder(child):
    with eyes_of_root():
        inside = os.listdir(os.path.join("/proc", str(child.pid), "root"))
        if child.role == "tunneld-api":
            assert not [name for name in inside if "db" not in name], inside
        else:
            assert inside == [], inside


def test_an_empty_environment(child):
    with eyes_of_root(), open(f"/proc/{child.pid}/environ", "rb") as file:
        assert file.read().strip(b"\0") == b""


def test_nothing_secret_on_the_command_line(child):
    with open(f"/proc/{child.pid}/cmdline", "rb") as file:
        arguments = file.read().split(b"\0")[1:-1]
    assert all(argument.lstrip(b"-").isdigit() for argument in arguments), arguments


def test_a_relay_holds_sockets_and_pipes_only(relays):
    for relay in relays:
        folder = f"/proc/{relay.pid}/fd"
        with eyes_of_root():
            for name in os.listdir(folder):
                target = os.readlink(f"{folder}/{name}")
                plain = target.startswith(("socket:", "pipe:", "anon_inode:", "/dev/null", "/memfd:"))
                assert plain or name == "2", f"{relay} holds {name} -> {target}"


def test_what_runs_is_a_sealed_copy(child):
    """fexecve of a memfd: the file on disk may change, what runs may not."""
    with eyes_of_root():
        assert os.readlink(f"/proc/{child.pid}/exe").startswith("/memfd:")


def test_a_neighbour_cannot_be_looked_into(child):
    """Non-dumpable: even the same user is refused its memory."""
    assert os.stat(f"/proc/{child.pid}/mem").st_uid == 0, "a dumpable process's files are its user's"
    with eyes_of_root():
        open(f"/proc/{child.pid}/mem", "rb").close()


def test_limits_of_a_relay(relays):
    with open(f"/proc/{relays[0].pid}/limits") as file:
        limits = {line[:26].strip(): line[26:].split()[:2] for line in file}
    assert limits["Max core file size"] == ["0", "0"], limits
    if not SANITIZED:  # whose reports may go to a file
        assert limits["Max file size"][1] == "0", limits
    assert limits["Max processes"][1] in ("0", "1"), limits
