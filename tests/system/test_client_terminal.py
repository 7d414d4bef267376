# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: on a terminal of 80 columns everything fits and the token is not shown; in a pipe and with
# NO_COLOR there are no colours; bash completes what there is.

import json
import pathlib
import re
import subprocess

import pytest

from support.client import Command, Terminal
from support.daemon import TOKEN, program

ESCAPE = re.compile("\x1b\\[[0-9;]*m")
COMMANDS = ["completion", "create", "doctor", "events", "extend", "login", "logout", "ls", "rm", "show", "version"]


@pytest.fixture
def tunnel(daemon, tmp_path):
    return Command(tmp_path, f"http://127.0.0.1:{daemon.port}")


def shown_by(terminal, status=0):
    """All that is shown, without colours; it fits."""
    with terminal:
        assert terminal.finish() == status, terminal.shown
    text = ESCAPE.sub("", terminal.shown)
    assert "\x1b" not in text, repr(text)
    for line in text.splitlines():
        assert len(line) < 80, f"{len(line)} columns: {line}"
    return text


def test_help_fits(tunnel):
    overview = shown_by(tunnel.at_terminal("--help"))
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", overview, re.MULTILINE), overview
        assert f"usage: tunnel {command} " in shown_by(tunnel.at_terminal(command, "--help"))


def test_a_list_fits(own_daemon, tmp_path, backend):
    tunnel = Command(tmp_path, f"http://127.0.0.1:{own_daemon.port}")
    assert "no tunnels" in shown_by(tunnel.at_terminal("ls"))
    long = "http://a-name-that-is-really-very-long-indeed.and-goes-on.for-long.example.org:8080"
    for backend_url, name in ((backend.url(), ""), (backend.url(), "n" * 128), (backend.url(), "日本語" * 14)):
        own_daemon.api.create(backend_url, name=name)
    tunnel.run("create", long, "--name", "x" * 60)  # whether the name can be resolved or not
    text = shown_by(tunnel.at_terminal("ls", "--all"))
    assert text.splitlines()[0].split() == ["ID", "LEFT", "BACKEND", "NAME"]
    assert "nnn..." in text, text
    wide = tunnel.at_terminal("ls", columns=250)
    with wide:
        assert wide.finish() == 0 and "n" * 128 in wide.shown, wide.shown
    assert "n" * 128 in tunnel.good("ls").out, "a pipe has no width"


def test_a_tunnel_and_the_doctor_fit(tunnel, backend):
    made = tunnel.good("create", backend.port, "--auth", "none", "--json").json()
    assert made["id"] in shown_by(tunnel.at_terminal("show", made["id"]))
    assert "ok    upgrade" in shown_by(tunnel.at_terminal("doctor"))
    assert "FAIL  tcp" in shown_by(tunnel.at_terminal("doctor", "--server", "http://127.0.0.1:1"), 5)
    shown_by(tunnel.at_terminal("create", backend.port, "--auth", "none"))


def test_colours_are_for_terminals_that_want_them(tunnel):
    def colours(**environment):
        with tunnel.at_terminal("doctor", **environment) as terminal:
            assert terminal.finish() == 0, terminal.shown
        return bool(ESCAPE.search(terminal.shown))

    assert colours()
    assert not colours(NO_COLOR="1") and not colours(TERM="dumb") and not colours(TERM=None)
    assert colours(NO_COLOR="")
    assert not ESCAPE.search(tunnel.good("doctor", TERM="xterm").out)


def test_login_asks_and_does_not_show(tunnel, daemon):
    bare = {"TUNNEL_SERVER": None, "TUNNEL_TOKEN": None}
    with tunnel.at_terminal("login", **bare) as terminal:
        terminal.read_until("Server [http://127.0.0.1:8080]: ")
        terminal.type(f"http://127.0.0.1:{daemon.port}\n")
        terminal.read_until("Token (is not shown): ")
        terminal.type(f"{TOKEN}\n")
        assert terminal.finish() == 0, terminal.shown
        assert TOKEN not in terminal.shown and "logged in" in terminal.shown, terminal.shown
    tunnel.good("ls", **bare)
    with tunnel.at_terminal("login", **bare) as terminal:  # what is there is offered
        terminal.read_until(f"Server [http://127.0.0.1:{daemon.port}]: ")
        terminal.type("\n")
        terminal.read_until("Token (is not shown): ")
        terminal.interrupt()
    tunnel.good("ls", **bare)


def test_the_terminal_echoes_again_after_an_interrupted_login(tunnel, daemon):
    script = f"{program('tunnel')} login http://127.0.0.1:{daemon.port}; stty -a"
    with Terminal(["bash", "-c", f"trap : INT; {script}"], tunnel.environment | {"TUNNEL_TOKEN": ""}, tunnel.home,
                  80) as terminal:
        terminal.read_until("Token (is not shown): ")
        terminal.interrupt()
        assert re.search(r"(?<!-)\becho\b", terminal.shown), terminal.shown


# ---- bash


def complete(tunnel, *words):
    """What bash would offer for the last of WORDS."""
    script = (f'source <({program("tunnel")} completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_tunnel; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash", "tunnel", *words], capture_output=True, text=True,
                          timeout=20, env=tunnel.environment, cwd=tunnel.home)
    assert done.returncode == 0 and done.stderr == "", done
    return set(done.stdout.split())


def test_bash_completes(tunnel):
    (tunnel.home / "authority.pem").touch()
    assert complete(tunnel, "") >= {*COMMANDS, "--help", "--version"}
    assert complete(tunnel, "e") == {"events", "extend"}
    assert complete(tunnel, "create", "--t") == {"--timeout", "--token-file"}
    assert complete(tunnel, "create", "3000", "--auth", "") == {"bearer", "basic", "none"}
    assert complete(tunnel, "create", "--auth", "b") == {"bearer", "basic"}
    assert complete(tunnel, "ls", "--ca", "auth") == {"authority.pem"}
    assert complete(tunnel, "ls", "--server", "") == set()
    assert complete(tunnel, "completion", "b") == {"bash"}
    for command in COMMANDS:
        offered = complete(tunnel, command, "--")
        assert set(re.findall(r"--[a-z-]+", tunnel.good(command, "--help").out)) >= offered >= {"--help"}


def test_bash_completes_while_one_types(tunnel):
    folder = pathlib.Path(program("tunnel")).parent
    environment = tunnel.environment | {"PATH": f"{folder}:/usr/bin:/bin", "TERM": "dumb", "PS1": "> "}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], environment, tunnel.home, 80) as terminal:
        terminal.type("source <(tunnel completion bash); echo rea''dy\n")
        terminal.read_until("\nready")
        terminal.type("tunnel vers\t--js\t\n")
        terminal.read_until('"name":"tunnel"')
        terminal.type("exit\n")
        assert terminal.finish() == 0, terminal.shown


def test_the_manual_names_all_there_is(tunnel):
    path = pathlib.Path(__file__).parents[2] / "man" / "tunnel.1"
    if not path.exists():
        pytest.skip("the manual is not beside the tests")
    page = subprocess.run(["mandoc", "-Tutf8", path], capture_output=True, timeout=20, check=True).stdout.decode()
    page = re.sub(".\b", "", page)
    for command in COMMANDS:
        for option in re.findall(r"--[a-z-]+", tunnel.good(command, "--help").out):
            assert option in page, (command, option)
    statuses = re.findall(r"^ +(\d+) +\S", page[page.index("EXIT STATUS"):], re.MULTILINE)
    assert statuses == [str(n) for n in range(11)], page


def test_json_is_one_document(tunnel, backend):
    for words in (["create", backend.port], ["ls"], ["doctor"], ["version"]):
        json.loads(tunnel.good(*words, "--json").out)
