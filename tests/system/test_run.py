# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a newcomer runs scripts/run, copies the line it prints, and has a tunnel; Ctrl-C ends all.

import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

from support import proc
from support.daemon import free_port

TOP = pathlib.Path(__file__).parents[2]


@pytest.fixture
def started(tmp_path):
    """scripts/run in a folder of its own; yields the process, the port and what it printed."""
    port = free_port()
    output = tmp_path / "output"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TUNNELD_")}

    def start(*options):
        with open(output, "wb") as file:
            return subprocess.Popen(
                [TOP / "scripts/run", "-o", f"listen=127.0.0.1:{port}", *options],
                cwd=tmp_path, env=environment,
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)

    started = []

    def run(*options):
        started.append(start(*options))
        ready = lambda: _curl(f"curl -sf http://127.0.0.1:{port}/readyz").returncode == 0
        proc.wait_until(lambda: started[-1].poll() is not None or ready(), 110, output.read_text)
        assert started[-1].poll() is None, output.read_text()
        return started[-1], output.read_text()

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def _curl(line):
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20)


def test_the_printed_line_makes_a_tunnel(started, tmp_path, backend):
    process, printed = started()
    (line,) = re.findall(r"^ *(curl .*)$", printed, re.MULTILINE)
    answer = _curl(line.replace("127.0.0.1:3000", f"127.0.0.1:{backend.port}"))
    assert answer.returncode == 0, answer
    tunnel = json.loads(answer.stdout)
    assert _curl(f"curl -sf {tunnel['url']}hello").returncode == 0
    assert backend.last().target == "/hello"

    children = proc.children(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C sends: to the whole foreground group
    assert process.wait(10) == 0, printed
    assert not [child for child in children if child.alive()]


def test_the_printed_tunnel_command_makes_a_tunnel(started, tmp_path, backend):
    process, printed = started()
    (line,) = re.findall(r"^ *('.*/build/tunnel' create .*)$", printed, re.MULTILINE)
    answer = _curl(line.replace(" 3000 ", f" {backend.port} "))
    assert answer.returncode == 0, answer
    (url,) = answer.stdout.splitlines()
    assert _curl(f"curl -sf {url}hello").returncode == 0
    assert backend.last().target == "/hello"


def test_the_token_is_shown_once_and_kept_for_the_owner_alone(started, tmp_path):
    process, printed = started()
    path = tmp_path / "var" / "owner-token"
    token = path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch("tnl_[a-z2-7]{52}", token), "the form of those tunneld makes"
    assert printed.count(token) == 1, printed
    process.terminate()
    assert process.wait(10) == 0
    process, printed = started()
    assert token not in printed and path.read_text().strip() == token, printed


def test_a_token_file_named_by_an_option_is_the_one_printed(started, tmp_path, backend):
    path = tmp_path / "mine" / "token"
    process, printed = started("-o", f"api_token_file={path}")
    assert printed.count(path.read_text().strip()) == 1, printed
    (line,) = re.findall(r"^ *(curl .*)$", printed, re.MULTILINE)
    answer = _curl(line.replace("127.0.0.1:3000", f"127.0.0.1:{backend.port}"))
    assert json.loads(answer.stdout)["state"] == "active", answer
    assert not (tmp_path / "var" / "owner-token").exists()


def _run(folder, *arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TUNNELD_")}
    return subprocess.run([TOP / "scripts/run", *arguments], cwd=folder, env=clean | environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110)


def test_a_token_in_the_environment_is_refused(tmp_path):
    """The line it prints would not work."""
    answer = _run(tmp_path, TUNNELD_API_TOKEN="x" * 43)
    assert answer.returncode == 2 and answer.stdout == "", answer
    assert answer.stderr == ("scripts/run: unset TUNNELD_API_TOKEN, the token is kept in "
                             f"{tmp_path}/var/owner-token\n"), answer.stderr
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("option", ["--help", "--version", "--check"])
def test_questions_go_straight_to_tunneld(tmp_path, option):
    answer = _run(tmp_path, option)
    assert answer.returncode == 0 and answer.stdout != "", answer
    assert "Share" not in answer.stdout and "token:" not in answer.stdout, answer.stdout
    assert not (tmp_path / "var").exists()


def test_the_address_of_a_file_counts(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    port = free_port()
    (folder / "my.conf").write_text(f"listen = 127.0.0.1:{port}\n")
    output = folder / "output"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TUNNELD_")}
    with open(output, "wb") as file:
        process = subprocess.Popen([TOP / "scripts/run", "-c", "my.conf"], cwd=folder, env=environment,
                                   stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        proc.wait_until(lambda: process.poll() is not None or "ready:" in output.read_text(), 110,
                        output.read_text)
        printed = output.read_text()
        assert process.poll() is None, printed
        assert f"listening on 127.0.0.1:{port}" in printed, printed
        assert "http://ADDRESS/_api/tunnels" in printed and "8080" not in printed, printed
    finally:
        process.terminate()
        assert process.wait(10) == 0
