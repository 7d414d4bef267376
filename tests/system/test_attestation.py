# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whoever visits can ask what runs here and gets it signed, with the hardware's word for the key
# where there is hardware (a stand-in for its guest service here); and no other process than the
# supervisor has a say in it.

import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

from support import proc, wire
from support.backend import HttpBackend
from support.collateral_source import Source
from support.daemon import SANITIZED, Daemon, free_port, program
from support.evidence import Evidence
from support.guest import COMPOSE, Guest, event_log

INSTANCE = "/_api/attestation"


def path(tunnel, nonce=None, more=""):
    return f"/_api/tunnels/{tunnel.id}/attestation?nonce={nonce or os.urandom(16).hex()}{more}"


def get(api, target, status=200, **how):
    answer = api.expect(status, "GET", target, token="", **how)
    assert answer.fields["Access-Control-Allow-Origin"] == "*", answer.fields
    return answer


def evidence(api, target):
    return Evidence(get(api, target).json())


def quoted(api, state="quoted", seconds=20):
    """The instance's evidence, once it is in this state."""
    def found():
        made = evidence(api, INSTANCE)
        return made if made.certificate["quote_state"] == state else None
    return proc.wait_until(found, seconds, lambda: get(api, INSTANCE).body[-300:])


class Machine:
    """A tunneld on a machine with a guest service."""

    def __init__(self, folder, how="current", delay=3, **options):
        self.guest = Guest(folder / "dstack.sock", how, delay)
        self.daemon = Daemon(dstack_socket=str(folder / "dstack.sock"), **options)
        self.api = self.daemon.api

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *exception):
        self.daemon.__exit__(*exception)
        self.guest.close()

    def log(self):
        return self.daemon.log()


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guest")
    with Machine(folder, fresh_rate="600") as running:
        quoted(running.api)
        yield running


@pytest.fixture
def api(machine):
    return machine.api


@pytest.fixture
def tunnel(api, backend):
    made = api.create(backend, auth="bearer", name="what is signed")
    yield made
    api.call("DELETE", f"/_api/tunnels/{made.id}")


def test_instance(api, machine):
    made = quoted(api)
    assert made.document["tee"] == "tdx" and made.certificate["quote_state"] == "quoted"
    assert (made.certificate["app_compose"], made.certificate["event_log"]) == (COMPOSE, event_log())
    for name in ("tunneld", "tunneld-gate", "tunneld-api", "tunneld-relay", "tunneld-resolve", "tunneld-attest", "tunneld-edge"):
        content = pathlib.Path(program(name)).read_bytes()
        assert made.component(name)["sha256"] == hashlib.sha256(content).hexdigest(), name
    said = made.instance["source"]
    version = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True).stdout
    assert version == f"tunneld {said['version']}\ncommit {said['commit']}\ntree_sha256 {said['tree_sha256']}\n"


def test_filters_are_those_of_the_build(api):
    build = pathlib.Path(program()).parent
    text = {c["name"]: c["seccomp_sha256"] for c in quoted(api).instance["components"]}
    for role in ("gate", "api", "relay", "resolve", "attest"):
        found = list(build.glob(f"**/{role}.seccomp.txt"))
        if found:
            assert text[f"tunneld-{role}"] in found[0].read_text(), role


def test_libraries_are_named(api):
    names = {c["name"]: c for c in quoted(api).instance["components"]}
    linked = subprocess.run(["ldd", program("tunneld-api")], capture_output=True, text=True, check=True).stdout
    for path_ in re.findall(r"(/\S+) \(0x", linked):
        assert names[pathlib.Path(path_).name]["sha256"] == hashlib.sha256(pathlib.Path(path_).read_bytes()).hexdigest()


def test_settings_have_a_hash(tmp_path):
    hashes = set()
    for options in ({}, {}, {"max_tunnels": "7"}):
        with Daemon(**options) as daemon:
            said = evidence(daemon.api, INSTANCE).instance
            hashes.add((options.get("max_tunnels"), said["config_sha256"]))
    assert len(hashes) == 3  # each has a port and a folder of its own


def test_tunnel(api, tunnel):
    nonce = os.urandom(32).hex()
    said = evidence(api, path(tunnel, nonce)).said
    shown = tunnel.show()
    assert said["nonce"] == nonce
    assert (said["tunnel"]["id"], said["tunnel"]["name"], said["tunnel"]["backend"]) == (
        tunnel.id, "what is signed", shown["backend"])
    assert (said["tunnel"]["auth"], said["tunnel"]["life_ms"]) == ("bearer", 600_000)
    assert said["relay"]["seccomp"] == "filter" and said["relay"]["no_new_privs"]


def test_no_secret_is_in_it(api, tunnel):
    body = get(api, path(tunnel)).body.decode()
    made = Evidence(json.loads(body))
    for text in (body, made.exact.decode(), made.instance_exact.decode()):
        for secret in (tunnel.secret, api.token, hashlib.sha256(tunnel.secret.encode()).hexdigest()):
            assert secret not in text


def test_it_follows_a_change(api, tunnel):
    api.expect(200, "PATCH", f"/_api/tunnels/{tunnel.id}", {"timeout": 60})
    assert 59_000 < evidence(api, path(tunnel)).said["tunnel"]["life_ms"] < 120_000


def test_fresh(api, tunnel, machine):
    nonce = os.urandom(64).hex()
    for target in (path(tunnel, nonce, "&fresh=1"), f"{INSTANCE}?fresh=1&nonce={nonce}"):
        made = evidence(api, target)
        assert made.document["fresh"]["nonce"] == nonce
    assert set(machine.guest.methods()) <= {"GetQuote", "Info", "Version"}


@pytest.mark.parametrize("query, why", [
    ("", "nonce is missing"), ("?nonce=", "32 to 128"), ("?nonce=" + "0" * 31, "32 to 128"),
    ("?nonce=" + "0" * 130, "32 to 128"), ("?nonce=" + "g" * 32, "32 to 128"),
    ("?nonce=" + "0" * 32 + "&nonce=" + "0" * 32, "once"), ("?fresh=2&nonce=" + "0" * 32, "0 or 1"),
    ("?nonces=1", "no parameter")])
def test_what_is_wrong_with_a_question(api, tunnel, query, why):
    answer = get(api, f"/_api/tunnels/{tunnel.id}/attestation{query}", 422)
    assert why in answer.json()["detail"] and answer.json()["errors"], answer


def test_a_nonce_for_the_instance_is_for_a_quote(api):
    assert "fresh=1" in get(api, f"{INSTANCE}?nonce={'0' * 32}", 422).json()["detail"]
    assert "missing" in get(api, f"{INSTANCE}?fresh=1", 422).json()["detail"]


def test_tunnels_that_are_not_there(api, backend):
    assert get(api, f"/_api/tunnels/t-{'a' * 26}/attestation?nonce={'0' * 32}", 404).json()["code"] == "tunnel_unknown"
    made = api.create(backend)
    made.revoke()
    assert get(api, path(made), 410).json()["code"] == "tunnel_over"


def test_scripts_of_any_page_may_ask(api, tunnel):
    for target in (INSTANCE, path(tunnel)):
        answer = api.call("OPTIONS", target, token="")
        assert answer.status == 204 and answer.fields["Access-Control-Allow-Methods"] == "GET, HEAD", answer.fields
        assert answer.fields["Access-Control-Allow-Origin"] == "*"
        assert api.call("HEAD", target, token="").status == 200
    assert "Access-Control-Allow-Origin" not in api.call("OPTIONS", "/_api/tunnels", token="").fields
    assert "Access-Control-Allow-Origin" not in api.call("GET", f"/_api/tunnels/{tunnel.id}").fields


# How fast, and how slow.


def cpu_seconds(daemon):
    """Of all its processes, by the scheduler's account."""
    found = 0
    for process in (daemon.supervisor, *daemon.children()):
        for task in os.listdir(f"/proc/{process.pid}/task"):
            with open(f"/proc/{process.pid}/task/{task}/schedstat") as file:
                found += int(file.read().split()[0])
    return found / 1e9


@pytest.mark.skipif(SANITIZED, reason="sanitizers are slow")
@pytest.mark.parametrize("how", ["current", "slow"])
def test_a_thousand_nonces_a_second_and_core(tmp_path, backend, report, how):
    with Machine(tmp_path, how, 3, fresh_rate="600") as machine:
        tunnel = machine.api.create(backend)
        quoted(machine.api, "quoted" if how == "current" else "pending")
        for _ in range(20):
            evidence(machine.api, path(tunnel))
        load = subprocess.Popen(
            [program("bench-load"), "ask", str(machine.api.address[1]), path(tunnel), "-c", "8", "-d", "2", "-w", "0.3"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert load.stdout.readline() == "ready\n"
        before = cpu_seconds(machine.daemon)
        result = json.loads(load.communicate("go\n")[0])
        cost = (cpu_seconds(machine.daemon) - before) / result["done"]
        report(f"nonces, guest service {how}: {result['done'] / result['seconds']:.0f} a second, "
               f"{1e6 * cost:.0f} us of CPU each: {1 / cost:.0f} a second and core")
        assert result["failed"] == 0 and 1 / cost > 1000, result


def test_floods_for_fresh_quotes(tmp_path, report):
    with Machine(tmp_path, "slow", 1, fresh_rate="6") as machine:
        statuses, lock = [], threading.Lock()

        def ask():
            with wire.Client(machine.api.address, timeout=60) as client:
                answer = client.exchange("GET", f"{INSTANCE}?fresh=1&nonce={os.urandom(16).hex()}")
            with lock:
                statuses.append(answer.status)
                assert answer.status == 200 or int(answer.fields.get("Retry-After")) > 0, answer

        threads = [threading.Thread(target=ask) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report(f"40 fresh questions at once, fresh_rate = 6, a quote takes 1 s: {statuses.count(200)} answered")
        assert set(statuses) == {200, 429} and statuses.count(200) <= 6, statuses
        assert machine.guest.most == 1
        assert evidence(machine.api, INSTANCE).said  # others are served


@pytest.mark.parametrize("how, state", [("lying", "mismatch"), ("garbage", "malformed"), ("cut off", "cut_off"),
                                        ("huge", "too_large"), ("error", "error")])
def test_a_bad_guest_service_has_a_name(tmp_path, how, state):
    with Machine(tmp_path, how) as machine:
        made = quoted(machine.api, state)
        assert made.certificate["quote"] is None and made.document["tee"] is None
        answer = get(machine.api, f"{INSTANCE}?fresh=1&nonce={'0' * 32}", 503)
        assert state in answer.json()["detail"], answer


def test_without_a_tee(daemon, backend):
    made = quoted(daemon.api, "unavailable")
    assert made.document["tee"] is None
    tunnel = daemon.api.create(backend)
    assert evidence(daemon.api, path(tunnel)).document["tee"] is None


# Settings.


def ready(daemon):
    return daemon.api.call("GET", "/readyz", token="").status


def test_not_ready_without_a_quote(tmp_path, backend):
    with Guest(tmp_path / "dstack.sock", "error") as guest:
        daemon = Daemon(dstack_socket=str(tmp_path / "dstack.sock"), attestation="require")
        daemon.ready = lambda: "ready: listening" in daemon.log()
        with daemon:
            proc.wait_until(lambda: ready(daemon) == 503, 10, "never 503")
            answer = daemon.api.call("GET", "/readyz", token="")
            assert "quote" in answer.json()["detail"], answer
            guest.how = "current"
            proc.wait_until(lambda: ready(daemon) == 200, 20, lambda: daemon.log())


def test_off(backend):
    with Daemon(attestation="off") as daemon:
        tunnel = daemon.api.create(backend)
        assert not daemon.children("tunneld-attest")
        for target in (INSTANCE, path(tunnel)):
            assert get(daemon.api, target, 404).json()["code"] == "not_found"
        tunnel.revoke()
        assert daemon.api.call("GET", f"/_api/tunnels/{tunnel.id}/receipt").status == 404


def started_with(**environment):
    command = [program(), "-o", "state_dir=/nowhere/state", "-o", "listen=127.0.0.1:1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20,
                          env={"PATH": "/usr/bin:/bin", "TUNNELD_API_TOKEN": "x" * 20, **environment})


@pytest.mark.parametrize("environment", [
    {"DSTACK_SIMULATOR_ENDPOINT": "http://127.0.0.1:8090"}, {"TUNNELD_DSTACK_SOCKET": "http://127.0.0.1:8090"},
    {"TUNNELD_DSTACK_SOCKET": "run/dstack.sock"}, {"TUNNELD_DSTACK_SOCKET": "/" + "x" * 120}])
def test_only_sockets_are_asked(environment):
    answer = started_with(**environment)
    assert answer.returncode == 2, answer
    assert next(iter(environment)) in answer.stderr and "Unix socket" in answer.stderr, answer


def test_the_simulators_variable_is_obeyed(tmp_path):
    with Guest(tmp_path / "simulator.sock"):
        daemon = Daemon()
        daemon.environment["DSTACK_SIMULATOR_ENDPOINT"] = str(tmp_path / "simulator.sock")
        with daemon:
            assert quoted(daemon.api).document["tee"] == "tdx"


def test_collateral(tmp_path):
    file = tmp_path / "collateral.json"
    file.write_text('{"tcb_info": "...", "level": 1}')
    with Daemon(collateral=str(file)) as daemon:
        assert quoted(daemon.api, "unavailable").certificate["collateral"] == {"tcb_info": "...", "level": 1}


def test_collateral_is_fetched():
    with Source() as source, Daemon(collateral=source.url) as daemon:
        def fetched():
            made = evidence(daemon.api, INSTANCE).certificate
            return made if made["collateral_state"] == "fetched" else None
        assert proc.wait_until(fetched, 20, daemon.log)["collateral"] == source.object


@pytest.mark.parametrize("url, why", [("https://a.test/b", "write http://"), ("http://a.test", "write the path"),
                                      ("http://a.test/b#c", "%XX"), ("ftp://a.test/b", "collateral ftp")])
def test_collateral_that_is_nowhere(tmp_path, url, why):
    answer = subprocess.run([program(), "-o", f"state_dir={tmp_path}/state", "-o", f"listen=127.0.0.1:{free_port()}",
                             "-o", f"collateral={url}"], capture_output=True, text=True, timeout=20,
                            env={"PATH": "/usr/bin:/bin", "TUNNELD_API_TOKEN": "x" * 20})
    assert answer.returncode == 1 and why in answer.stderr, answer


@pytest.mark.parametrize("content", [None, b"x" * (512 * 1024 + 1)])
def test_collateral_that_cannot_be_read(tmp_path, content):
    file = tmp_path / "collateral.json"
    if content:
        file.write_bytes(content)
    command = [program(), "-o", f"state_dir={tmp_path}/state", "-o", f"listen=127.0.0.1:{free_port()}",
               "-o", f"collateral={file}"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20,
                            env={"PATH": "/usr/bin:/bin", "TUNNELD_API_TOKEN": "x" * 20})
    assert answer.returncode == 1 and "collateral" in answer.stderr, answer


# Processes that end.


def kill(daemon, name):
    found = daemon.children(name)
    assert len(found) == 1, found
    os.kill(found[0].pid, signal.SIGKILL)


def test_a_new_attestor_has_a_new_key(tmp_path, backend):
    with Machine(tmp_path) as machine:
        before = quoted(machine.api)
        tunnel = machine.api.create(backend)
        kill(machine.daemon, "tunneld-attest")
        proc.wait_until(lambda: quoted(machine.api).instance["instance_key"] != before.instance["instance_key"], 10,
                        "the key is the old one")
        proc.wait_until(lambda: machine.api.call("GET", path(tunnel), token="").status == 200, 10, "no statement")
        evidence(machine.api, path(tunnel))


def test_a_new_api_worker_has_the_evidence(tmp_path, backend):
    with Machine(tmp_path) as machine:
        before = quoted(machine.api)
        kill(machine.daemon, "tunneld-api")
        proc.wait_until(lambda: machine.api.call("GET", INSTANCE, token="").status == 200, 10, "no evidence")
        assert evidence(machine.api, INSTANCE).document == before.document
