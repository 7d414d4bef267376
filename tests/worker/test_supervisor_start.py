# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# How the supervisor starts, refuses to start, and stops.

import json
import os
import shutil
import signal
import socket
import stat
import subprocess

import pytest
from child import MSG
from supervisor_stage import PROGRAMS, REVOKED, Stage
from support import backend, daemon, proc

API_USER = 1  # its number above relay_uid_base
RELAYS = 16


@pytest.fixture
def server():
    with backend.HttpBackend() as server:
        yield server


def refuses(stage, pattern, status=1):
    """Starts it, which must fail with this in the log."""
    with stage:
        assert stage.process.wait(10) == status, stage.log()
        return stage.logged(pattern)


class TestStart:
    def test_says_when_ready(self):
        with Stage("api", gates=3) as stage:
            stage.worker()
            assert stage.logged("ready:").endswith(f"listening on 127.0.0.1:{stage.port}")
            assert len(stage.gates()) == 3

    def test_settings_of_the_worker(self):
        with Stage("api", max_tunnels=7, max_timeout="50s", default_timeout="40s", retention="30s",
                   max_connections_per_tunnel=8, request_rate=9, create_rate=10, failure_rate=11,
                   max_event_streams=12, max_tokens=13, idempotency_answers=14, agent_rate=15,
                   public_url="https://tunnels.example.org", abuse_contact="mailto:abuse@example.org") as stage:
            worker = stage.worker()
            with open("/proc/sys/kernel/random/boot_id") as file:
                boot_id = file.read().strip()
            assert worker.origins[1:] == ["https://tunnels.example.org", "", "", False]
            assert worker.told[2:] == [boot_id, 7, 50, 40, 8, 9, 10, 30, 11, 13, 0, 12, 14, 256, 10_000,
                                       10_000, 15, 3, "", "mailto:abuse@example.org"]

    def test_whose_word_is_taken(self):
        with Stage("api", trusted_proxies="10.0.0.0/8,fd00::/8") as stage:
            ten, fd = bytes(10) + b"\xff\xff\x0a\0\0\0", b"\xfd" + bytes(15)
            assert stage.worker().origins[0] == ten + bytes([104]) + fd + bytes([8])

    def test_hashes_are_logged(self):
        with Stage("api") as stage:
            for role, name in PROGRAMS.items():
                digest = subprocess.check_output(["sha256sum", stage.bin / name], text=True)
                assert digest.split()[0] in stage.logged(f"{name} sha256=")
                assert "seccomp_sha256=" in stage.logged(f"{name} sha256=")

    def test_what_was_hashed_is_what_runs(self, server):
        with Stage("api") as stage:
            worker = stage.worker()
            (stage.bin / "tunneld-relay").unlink()
            shutil.copy("/bin/true", stage.bin / "tunneld-relay")
            _, id_ = stage.tunnel(worker, server.url())
            assert stage.visit(id_) == 200

    def test_public_url_by_default(self):
        with Stage("api") as stage:
            assert stage.worker().origins[1] == f"http://127.0.0.1:{stage.port}"

    def test_several_listeners(self, server):
        ports = [daemon.free_port() for _ in range(2)]
        with Stage("api", listen=f"127.0.0.1:{ports[0]},[::1]:{ports[1]}") as stage:
            _, id_ = stage.tunnel(stage.worker(), server.url())
            for host, port in (("127.0.0.1", ports[0]), ("::1", ports[1])):
                with socket.create_connection((host, port), 5) as sock:
                    sock.sendall(f"GET /t/{id_}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    assert sock.recv(100).startswith(b"HTTP/1.1 200")

    def test_both_wildcards(self):
        port = daemon.free_port()
        with Stage("api", listen=f"[::]:{port},0.0.0.0:{port}") as stage:
            stage.worker()
            stage.logged("ready:")
            for host in ("127.0.0.1", "::1"):
                socket.create_connection((host, port), 5).close()

    def test_wildcard_takes_both_families(self):
        port = daemon.free_port()
        with Stage("api", listen=f"[::]:{port}") as stage:
            stage.worker()
            stage.logged("ready:")
            socket.create_connection(("127.0.0.1", port), 5).close()

    @pytest.mark.parametrize("form", ["text", "logfmt", "json"])
    def test_forms_of_the_log(self, form):
        with Stage("api", log_format=form) as stage:
            worker = stage.worker()
            worker.send(MSG.LOG, 1, 'a "word"')
            line = stage.logged("a .*word")
        if form == "json":
            entry = json.loads(line)
            assert (entry["level"], entry["role"], entry["msg"]) == ("warning", "api", 'a "word"')
            assert all(json.loads(line) for line in stage.lines)
        elif form == "logfmt":
            assert f'level=warning role=api pid={worker.pid} msg="a \\"word\\""' in line
        else:
            assert f'warning api[{worker.pid}]: a "word"' in line

    def test_inherited_descriptors_are_closed(self):
        with open("/dev/null") as file:
            stage = Stage("api")
            stage.prepare = lambda: os.dup2(file.fileno(), 200)
            with stage:
                stage.worker()
                if proc.ROOT:
                    assert "200" not in os.listdir(f"/proc/{stage.process.pid}/fd")

    def test_is_closed_to_others(self):
        """Not dumpable: its /proc files are root's, whoever started it."""
        with Stage("api") as stage:
            stage.worker()
            assert os.stat(f"/proc/{stage.process.pid}/environ").st_uid == 0
            if proc.ROOT:
                assert os.readlink(f"/proc/{stage.process.pid}/cwd") == "/"

    def test_children_hold_what_they_need(self, server):
        with Stage() as stage:
            proc.wait_until(lambda: daemon.Daemon.ready(stage), 10, "not ready")
            stage.api.create(server)
            if not proc.ROOT:
                pytest.skip("descriptors of sealed processes are root's to see")
            for child in stage.children():
                links = [os.readlink(f"/proc/{child.pid}/fd/{fd}")
                         for fd in os.listdir(f"/proc/{child.pid}/fd")]
                environment = open(f"/proc/{child.pid}/environ", "rb").read()
                assert environment == b""
                assert not [link for link in links if "pipe:" in link], (child, links)
                files = [link for link in links if link.startswith("/") and "memfd" not in link
                         and link not in ("/dev/null", str(stage.log_path))]
                owner = child.role == "tunneld-api"
                assert all(str(stage.folder / "state/api") in link for link in files), files
                assert owner or not files, (child, files)

    @pytest.mark.skipif(not proc.ROOT, reason="user ids are root's to give")
    def test_user_ids(self, server):
        with Stage("api") as stage:
            worker = stage.worker()
            for _ in range(2):
                stage.tunnel(worker, server.url())
            base = int(stage.options.get("relay_uid_base", 50000))
            uids = {tuple(child.status()["Uid"].split()) for child in stage.relays()}
            assert uids == {4 * (str(base + RELAYS + i),) for i in range(2)}
            assert {gate.status()["Uid"].split()[0] for gate in stage.gates()} == {str(base)}
            folder = stage.folder / "state" / "api"
            assert folder.stat().st_uid == base + API_USER
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stage.supervisor.status()["CapEff"] == "%016x" % (1 << 5 | 1 << 6 | 1 << 7 | 1 << 18)

    @pytest.mark.skipif(not proc.ROOT, reason="user ids are root's to give")
    def test_user_id_is_used_again_only_after_its_process(self, server):
        with Stage("api", max_tunnels=1) as stage:
            worker = stage.worker()
            seen = []
            for _ in range(3):
                _, id_ = stage.tunnel(worker, server.url())
                (relay,) = stage.relays()
                seen.append(relay.status()["Uid"].split()[0])
                worker.end(id_)
                worker.ended(id_, REVOKED)
                worker.send(MSG.ENDED_ACK, id_)
            assert len(set(seen)) == 3


class TestRefusal:
    def test_program_is_missing(self):
        stage = Stage("api")
        (stage.bin / "tunneld-gate").unlink()
        refuses(stage, "tunneld-gate, which must lie beside tunneld, cannot be loaded")

    def test_port_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            refuses(Stage("api", listen=f"127.0.0.1:{port}"),
                    f"cannot listen on 127.0.0.1:{port}: Address already in use")

    def test_state_dir_cannot_be_made(self):
        stage = Stage("api")
        stage.options["state_dir"] = str(stage.folder / "no" / "such")
        refuses(stage, "state_dir .*/no/such cannot be made: No such file")

    def test_state_dir_is_a_file(self):
        stage = Stage("api")
        (stage.folder / "state").write_text("")
        refuses(stage, "state_dir .* cannot be opened: Not a directory")

    def test_state_dir_is_open_to_others(self):
        stage = Stage("api")
        (stage.folder / "state").mkdir()
        (stage.folder / "state").chmod(0o777)
        refuses(stage, "can be written to by others: chmod go-w")

    def test_state_dir_in_use(self):
        with Stage("api") as first:
            first.worker()
            refuses(Stage("api", state_dir=first.options["state_dir"]),
                    f"state_dir {first.folder}/state is in use by another tunneld")

    @pytest.mark.skipif(not proc.ROOT, reason="files are root's to give away")
    def test_state_dir_of_another(self):
        stage = Stage("api")
        (stage.folder / "state").mkdir()
        os.chown(stage.folder / "state", 12345, 12345)
        refuses(stage, "state_dir .* belongs to user id 12345; .* which is 0")

    @pytest.mark.skipif(not proc.ROOT, reason="files are root's to give away")
    def test_folder_of_the_worker_of_another(self):
        stage = Stage("api")
        (stage.folder / "state").mkdir(0o700)
        (stage.folder / "state" / "api").mkdir(0o700)
        refuses(stage, r"/state/api belongs to user id 0, .*: chown -R")

    def test_folder_of_the_worker_is_a_link(self):
        stage = Stage("api")
        (stage.folder / "state").mkdir(0o700)
        (stage.folder / "state" / "api").symlink_to("/tmp")
        refuses(stage, "/state/api cannot be made, or given to user id")

    @pytest.mark.skipif(not proc.ROOT, reason="user ids are root's to give")
    def test_user_ids_of_others(self):
        stage = Stage("api", relay_uid_base=65000)  # 65534 is nobody
        refuses(stage, "user ids 65000 to .* there is (user|group) .*relay_uid_base")

    def test_token_is_too_short(self):
        stage = Stage("api")
        stage.environment["TUNNELD_API_TOKEN"] = "short"
        refuses(stage, "too short", status=2)

    def test_token_file_is_open_to_others(self):
        stage = Stage("api")
        del stage.environment["TUNNELD_API_TOKEN"]
        (stage.folder / "state").mkdir(0o700)
        (stage.folder / "state" / "owner-token").write_text("x" * 40)
        (stage.folder / "state" / "owner-token").chmod(0o644)
        refuses(stage, "owner-token is open to group or others")

    def test_worker_that_never_starts(self):
        with Stage("api") as stage:
            for _ in range(3):
                stage.child("api").exit(4)
            assert stage.process.wait(10) == 1
            stage.logged("cannot go on: a process that is needed does not start")

    def test_worker_that_ends_as_soon_as_it_is_set_up(self):
        with Stage("api") as stage:
            for _ in range(3):
                stage.worker().exit(5)
            assert stage.process.wait(10) == 1

    def test_token_is_made(self):
        stage = Stage("api")
        del stage.environment["TUNNELD_API_TOKEN"]
        with stage:
            stage.worker()
            path = stage.folder / "state" / "owner-token"
            stage.logged(f"owner token written to {path}")
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert path.read_text().strip() not in stage.log()


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_in_order(self, server, number):
        with Stage("api") as stage:
            worker = stage.worker()
            _, id_ = stage.tunnel(worker, server.url())
            _, over = stage.tunnel(worker, server.url())
            worker.end(over)
            worker.ended(over, REVOKED)  # and is not acknowledged
            assert stage.visit(id_) == 200
            children = stage.children()
            stage.process.send_signal(number)
            (last,) = worker.expect_told(alive=[id_], ended=[(over, REVOKED)])
            assert last.fields[4] == 1  # requests, to go on from
            worker.expect(MSG.STOP)
            assert stage.process.poll() is None  # the worker has its time
            proc.wait_until(lambda: not (stage.relays() + stage.gates()), 5, "others are there")
            worker.send(MSG.STOPPED)
            worker.exit(0)
            assert stage.process.wait(5) == 0
            assert not [child for child in children if child.alive()]
            assert worker.recv(1) is None  # no ENDED: the tunnel goes on

    def test_worker_that_does_not_stop(self):
        with Stage("api") as stage:
            worker = stage.worker()
            stage.process.terminate()
            worker.expect_told()
            worker.expect(MSG.STOP)
            assert stage.process.wait(2) == 0
            assert worker.killed()
            stage.logged("did not stop in time")

    def test_hangup_changes_nothing(self, server):
        with Stage("api") as stage:
            worker = stage.worker()
            stage.process.send_signal(signal.SIGHUP)
            stage.logged("SIGHUP")
            _, id_ = stage.tunnel(worker, server.url())
            assert stage.visit(id_) == 200

    def test_killed(self, server):
        """Nothing outlives it."""
        with Stage() as stage:
            proc.wait_until(lambda: daemon.Daemon.ready(stage), 10, "not ready")
            for _ in range(5):
                stage.api.create(server)
            children = stage.kill()
            assert len(children) >= 7
            stage.expect_gone(children, 1)

    def test_nobody_reads_the_log(self, server):
        """A full pipe costs lines, not punctuality."""
        reading, writing = os.pipe()
        stage = Stage("api")
        stage.prepare = lambda: os.dup2(writing, 2)
        with stage:
            worker = stage.worker()
            for _ in range(100):  # all it may say at once: more than a pipe holds
                worker.send(MSG.LOG, 1, "x" * 1000)
            _, id_ = stage.tunnel(worker, server.url())
            assert stage.visit(id_) == 200
            os.set_blocking(reading, False)
            while True:
                try:
                    os.read(reading, 65536)
                except BlockingIOError:
                    break
            worker.send(MSG.LOG, 1, "again")
            assert stage.visit(id_) == 200
            os.set_blocking(reading, True)
            assert b"lines were lost" in os.read(reading, 65536)
        os.close(reading)
        os.close(writing)
