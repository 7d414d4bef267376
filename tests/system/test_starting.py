# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: starting tunneld wrongly is answered with what to change; --check and --version tell what
# there is.

import os
import re
import subprocess

import pytest

from support.backend import HttpBackend
from support.daemon import TOKEN, Daemon, free_port, program


def run(*arguments, **environment):
    return subprocess.run(
        [program(), *arguments], capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", **environment})


def test_version():
    answer = run("--version")
    assert answer.returncode == 0 and re.search(r"tunneld \d+\.\d+\.\d+", answer.stdout), answer


def test_help_names_every_option():
    answer = run("--help")
    assert answer.returncode == 0, answer
    for key in ("listen", "state_dir", "api_token_file", "max_tunnels", "max_timeout", "default_timeout",
                "gates", "retention", "backend_allow", "backend_deny", "sandbox", "relay_uid_base"):
        assert re.search(rf"\b{key}\b", answer.stdout), key


def test_check_tells_what_this_machine_offers(tmp_path):
    answer = run("--check", "-o", f"state_dir={tmp_path}/state", TUNNELD_API_TOKEN=TOKEN)
    assert answer.returncode == 0, answer
    for word in ("seccomp", "landlock", "no_new_privs"):
        assert word in (answer.stdout + answer.stderr).lower(), answer


@pytest.mark.parametrize("option", ["nonsense=1", "max_tunnels=many", "max_tunnels=-1", "listen=nowhere",
                                    "listen=127.0.0.1:99999", "sandbox=perhaps", "max_timeout="])
def test_a_bad_option_is_exit_2_and_named(option):
    answer = run("-o", option, TUNNELD_API_TOKEN=TOKEN)
    assert answer.returncode == 2, answer
    assert option.partition("=")[0] in answer.stderr, answer.stderr


def test_a_bad_line_in_the_file_is_named_with_its_number(tmp_path):
    path = tmp_path / "tunneld.conf"
    path.write_text("# a comment\nmax_tunnels = 5\n\nnonsense = 1\n")
    answer = run("-c", str(path), TUNNELD_API_TOKEN=TOKEN)
    assert answer.returncode == 2, answer
    assert f"{path}:4" in answer.stderr and "nonsense" in answer.stderr, answer.stderr


def test_a_bad_variable_is_named():
    answer = run(TUNNELD_MAX_TUNNELS="many", TUNNELD_API_TOKEN=TOKEN)
    assert answer.returncode == 2 and "TUNNELD_MAX_TUNNELS" in answer.stderr, answer


def test_a_missing_file_is_named():
    answer = run("-c", "/nonexistent/tunneld.conf", TUNNELD_API_TOKEN=TOKEN)
    assert answer.returncode == 2 and "/nonexistent/tunneld.conf" in answer.stderr, answer


def test_all_mistakes_are_told_at_once(tmp_path):
    path = tmp_path / "tunneld.conf"
    path.write_text("one = 1\ntwo = 2\n")
    answer = run("-c", str(path), "-o", "three=3", TUNNELD_GATES="four", TUNNELD_API_TOKEN=TOKEN)
    assert answer.returncode == 2, answer
    for word in ("one", "two", "three", "TUNNELD_GATES"):
        assert word in answer.stderr, (word, answer.stderr)


def test_a_token_on_the_command_line_is_refused():
    answer = run("-o", f"api_token={TOKEN}")
    assert answer.returncode == 2, answer
    assert TOKEN not in answer.stderr, answer.stderr


def test_options_win_over_environment_over_file(tmp_path):
    path = tmp_path / "tunneld.conf"
    path.write_text("max_timeout = 100\ndefault_timeout = 30\nmax_tunnels = 50\n")
    daemon = Daemon(max_timeout="300")
    daemon.arguments = ["-c", str(path)]
    daemon.environment["TUNNELD_MAX_TIMEOUT"] = "200"
    daemon.environment["TUNNELD_MAX_TUNNELS"] = "1"
    with HttpBackend() as backend, daemon:
        assert daemon.api.create(backend, timeout=300)
        over = {"backend": backend.url(), "timeout": 301}
        assert daemon.api.call("POST", "/_api/tunnels", over).status == 422
        second = daemon.api.call("POST", "/_api/tunnels", {"backend": backend.url()})
        assert (second.status, second.json()["code"]) == (429, "quota_reached"), second


def start_beside(daemon, **options):
    """A second one with the options of a running one, but for some."""
    words = [word for key, value in (daemon.options | options).items() for word in ("-o", f"{key}={value}")]
    return run(*words, TUNNELD_API_TOKEN=TOKEN)


def told(answer):
    """The lines of its log that are errors: one mistake, one line."""
    return [line for line in answer.stderr.splitlines() if " error" in line]


def test_a_taken_port_is_named():
    with Daemon() as daemon:
        answer = start_beside(daemon, state_dir=f"{daemon.folder}/other")
        assert answer.returncode not in (0, 2), answer
        (line,) = told(answer)
        assert line.endswith(f"cannot listen on 127.0.0.1:{daemon.port}: Address already in use; "
                             "choose another address with -o listen=ADDRESS:PORT"), line


def test_a_state_folder_in_use_is_refused():
    """Two supervisors on one state would both serve its tunnels."""
    with Daemon() as daemon:
        answer = start_beside(daemon, listen=f"127.0.0.1:{free_port()}")
        assert answer.returncode not in (0, 2), answer
        (line,) = told(answer)
        assert line.endswith(f"state_dir {daemon.folder}/state is in use by another tunneld"), line


def test_a_token_file_that_cannot_be_made_is_named(tmp_path):
    path = tmp_path / "no" / "token"
    answer = run("-o", f"api_token_file={path}", "-o", f"state_dir={tmp_path}/state")
    assert answer.returncode == 1, answer
    (line,) = told(answer)
    assert line.endswith(f"api_token_file {path} cannot be read or made: No such file or directory"), line


def test_an_unknown_option_is_told_with_one_hint():
    answer = run("--nonsense")
    assert answer.returncode == 2, answer
    assert "--nonsense" in answer.stderr and answer.stderr.count("--help") == 1, answer.stderr


def test_several_listeners():
    second = free_port()
    with HttpBackend() as backend:
        daemon = Daemon()
        daemon.options["listen"] = f"127.0.0.1:{daemon.port},127.0.0.1:{second}"
        with daemon:
            tunnel = daemon.api.create(backend)
            for port in (daemon.port, second):
                tunnel.address = ("127.0.0.1", port)
                assert tunnel.get("/").status == 200


def test_the_token_may_come_from_a_file(tmp_path):
    path = tmp_path / "token"
    path.write_text("another-token-0123456789abcdef0123456789\n")
    path.chmod(0o600)
    daemon = Daemon(api_token_file=str(path))
    daemon.environment = {}
    daemon.api.token = path.read_text().strip()
    with HttpBackend() as backend, daemon:
        assert daemon.api.create(backend)


def test_a_token_file_open_to_others_is_refused(tmp_path):
    path = tmp_path / "token"
    path.write_text("another-token-0123456789abcdef0123456789\n")
    path.chmod(0o644)
    answer = run("-o", f"api_token_file={path}", "-o", f"state_dir={tmp_path}/state")
    assert answer.returncode != 0 and str(path) in answer.stderr, answer
    assert "another-token" not in answer.stderr, answer


def test_without_a_token_one_is_made_for_the_owner_alone():
    daemon = Daemon()
    daemon.environment = {}
    with HttpBackend() as backend, daemon:
        path = daemon.folder / "state" / "owner-token"
        assert path.stat().st_mode & 0o077 == 0, oct(path.stat().st_mode)
        daemon.api.token = path.read_text().strip()
        assert len(daemon.api.token) >= 43, "256 random bits"
        assert daemon.api.create(backend)
        daemon.api.secrets.append(daemon.api.token)


def test_a_missing_state_folder_is_made_and_private():
    with Daemon() as daemon:
        mode = os.stat(daemon.folder / "state").st_mode & 0o777
        assert mode & 0o077 == 0, oct(mode)
