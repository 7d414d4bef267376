# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel verify` as a person and a script see it: lines for people, exit codes, and command lines and
# files that are wrong.

import json
import subprocess

import pytest
from support import tdx
from support.daemon import program
from support.evidence_server import EvidenceServer
from support.tdx import Collateral, Quote
from support.tdx_case import PKI
from support.tunneld_evidence import TUNNEL, Instance

PASSED, USAGE, UNREACHABLE, NOT_ATTESTED = 0, 2, 5, 6


@pytest.fixture
def run(tmp_path):
    def run(*arguments):
        done = subprocess.run([program("tunnel"), "verify", *arguments], capture_output=True, text=True, timeout=60,
                              cwd=tmp_path, env={"HOME": str(tmp_path)})
        return done.returncode, done.stdout, done.stderr
    (tmp_path / "root.pem").write_text(PKI.root.pem())
    (tmp_path / "quote").write_bytes(Quote(PKI).bytes())
    (tmp_path / "collateral").write_text(json.dumps(Collateral(PKI).json()))
    return run


GOOD = ["--quote", "quote", "--root-ca", "root.pem", "--at", tdx.TIME]


def test_lines(run):
    status, out, err = run(*GOOD, "--collateral", "collateral")
    lines = out.splitlines()
    assert (status, err) == (PASSED, "")
    assert lines[0].split()[:2] == ["ok", "format"] and lines[-1].startswith(f"UpToDate at {tdx.TIME}: accepted as a platform")
    assert any(line.split()[:2] == ["--", "rtmr3_replay"] and "no event log" in line for line in lines)
    assert "this proves nothing about Intel's hardware" in out


def test_lines_of_a_failure(run):
    status, out, err = run("--quote", "quote", "--at", tdx.TIME)
    assert (status, err) == (NOT_ATTESTED, "")
    assert any(line.startswith("FAIL  root_is_intel ") for line in out.splitlines())
    assert out.splitlines()[-1] == f"rejected at {tdx.TIME}: not accepted"


def test_lines_without_collateral(run):
    status, out, _ = run(*GOOD)
    assert status == NOT_ATTESTED
    assert out.splitlines()[-1].startswith(f"authentic-no-tcb at {tdx.TIME}: not accepted: without collateral")


def test_what_a_server_says_cannot_act_on_a_terminal(run, tmp_path):
    instance = Instance(PKI)
    instance.tee = None
    document = instance.document()
    document["instance"]["quote_state"] = "\x1b]0;owned\x07\u202e\x9b31m"
    (tmp_path / "document").write_text(json.dumps(document))
    for form in ([], ["--json"]):
        status, out, err = run("document", "--root-ca", "root.pem", *form)
        assert status == NOT_ATTESTED and "owned" in out
        for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
            assert bad not in out + err, form


@pytest.mark.parametrize("arguments,said", [
    ([], "give a URL"), (["--quote", "quote", "x"], "give a URL"), (["--quote", "nowhere"], "nowhere"),
    (["--quote", "/dev/zero"], "/dev/zero"), (["--quote", "."], "."),
    ([*GOOD, "--policy", "quote"], "quote"), ([*GOOD, "--root-ca", "quote"], "twice"),
    (["--quote", "quote", "--root-ca", "quote"], "not one certificate"), (["--quote", "quote", "--at", "today"], "2026-01-31"),
    (["--quote", "quote", "--at", "2026-02-30T00:00:00Z"], "2026-01-31"),
    ([*GOOD, "--report-data", "00"], "64 bytes"), ([*GOOD, "--report-data", "00" * 64, "--spki", "root.pem"], "one of them"),
    ([*GOOD, "--spki", "collateral"], "neither"), (["https://127.0.0.1:1/", "--offline"], "--save"),
    (["https://127.0.0.1:1/", "--tunnel", "x HTTP/1.1"], "no tunnel's id"),
    (["tcp://127.0.0.1:1/"], "https://"), (["quote", "--save", "x"], "--save"),
], ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None)
def test_usage(arguments, said, run):
    status, out, err = run(*arguments)
    assert (status, out) == (USAGE, "") and said in err


def test_nobody_there(run):
    assert run("https://127.0.0.1:1/")[0] == UNREACHABLE


def test_folder_that_was_not_saved(run, tmp_path):
    (tmp_path / "folder").mkdir()
    assert run("folder", "--offline")[0] == USAGE
    (tmp_path / "folder/evidence.json").write_text("{}")
    (tmp_path / "folder/question.json").write_text("{}")
    assert run("folder", "--offline")[0] == USAGE


def test_save_replaces_what_was_saved(run, tmp_path):
    instance = Instance(PKI)
    with EvidenceServer(instance) as server:
        for _ in range(2):
            assert run(server.url, "--save", "kept")[0] == NOT_ATTESTED
    kept = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert kept == ["app-compose.json", "collateral.json", "event-log.json", "evidence.json", "instance.json",
                    "policy-seen.json", "question.json", "quote.bin", "statement.json"]
    assert json.loads((tmp_path / "kept/question.json").read_text())["tunnel"] == TUNNEL


def test_policy_from_what_was_saved(run, tmp_path):
    """The way of docs/verify.md: look, write down what is accepted, verify."""
    instance = Instance(PKI)
    with EvidenceServer(instance) as server:
        options = [server.url, "--root-ca", "root.pem", "--at", tdx.TIME, "--json"]
        status, out, _ = run(*options, "--save", "kept")
        seen = json.loads(out)
        assert (status, seen["failed_checks"]) == (NOT_ATTESTED, ["measurements", "app"])
        policy = json.loads((tmp_path / "kept/policy-seen.json").read_text())
        assert policy["measurements"] == [{name: seen[name] for name in ("mr_td", "rtmr0", "rtmr1", "rtmr2")}]
        assert policy["app_compose"] == [tdx.sha256((tmp_path / "kept/app-compose.json").read_bytes()).hex()]
        assert policy["components"] == {"tunneld-relay": [instance.relay]} and policy["source"] == ["dd" * 32]
        (tmp_path / "policy.json").write_text(json.dumps(policy))
        status, out, _ = run(*options, "--policy", "policy.json")
        assert (status, json.loads(out)["verdict"]) == (PASSED, "UpToDate")
