# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: with the tunnel command a user makes, looks at, extends and ends tunnels, and follows what
# happens; scripts learn from exit status and JSON what came of it.

import json
import os
import re
import select
import signal
import time
import urllib.parse

import pytest

from support import proc
from support.client import Command
from support.daemon import TOKEN, Daemon, free_port

UNKNOWN = "t-aaaaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.fixture
def tunnel(daemon, tmp_path):
    """The command, with server and token in its environment."""
    return Command(tmp_path, f"http://127.0.0.1:{daemon.port}")


def create(tunnel, backend, *options):
    return tunnel.good("create", backend.port, "--json", *options).json()


def test_create_prints_the_url_and_how_to_get_in(tunnel, daemon, backend):
    made = tunnel.good("create", backend.port, "--timeout", "15m", "--name", "for Anna")
    (url,) = made.lines()
    share, secret = (re.search(rf"^{word} +(\S+)$", made.err, re.MULTILINE)[1] for word in ("share", "secret"))
    assert share == f"{url}#{secret}", made
    assert "ends      in 1" in made.err, made
    path = urllib.parse.urlsplit(url).path
    with daemon.connect() as visitor:
        assert visitor.exchange("GET", path).status == 401
    with daemon.connect() as visitor:
        answer = visitor.exchange("GET", path + "hello", [("Authorization", f"Bearer {secret}")])
        assert answer.status == 200 and backend.last().target == "/hello", answer


@pytest.mark.parametrize("auth, words", [("basic", "password:"), ("none", "the URL and nothing else")])
def test_create_says_what_visitors_need(tunnel, backend, auth, words):
    made = tunnel.good("create", backend.port, "--auth", auth)
    assert words in made.err and ("secret" in made.err) == (auth == "basic"), made


def test_create_has_all_members_of_the_api(tunnel, backend):
    made = create(tunnel, backend, "-t", "1h30m", "--auth", "none", "-n", "Grüße", "--prefix", "keep",
                  "--connections", "5", "--requests", "2k", "--bytes", "3M", "--rate", "10")
    assert made["backend"] == f"http://127.0.0.1:{backend.port}"
    assert made["timeout"] == 5400 and made["auth"] == "none" and made["name"] == "Grüße", made
    assert made["prefix"] == "keep"
    assert made["limits"] == {"connections": 5, "requests": 2000, "bytes": 3000000, "request_rate": 10}


def test_a_point_in_time_is_the_end(tunnel, backend):
    end = int(time.time()) + 1800
    made = create(tunnel, backend, "--timeout", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)))
    assert abs(made["timeout"] - 1800) <= 5, made
    made = create(tunnel, backend, "--timeout", str(end))
    assert abs(made["timeout"] - 1800) <= 5, made


def test_ls_show_extend_rm(tunnel, backend):
    first, second = create(tunnel, backend, "-n", "first"), create(tunnel, backend, "--auth", "none")
    listed = tunnel.good("ls").lines()
    assert listed[0].split() == ["ID", "LEFT", "BACKEND", "NAME"], listed
    (row,) = [line for line in listed if first["id"] in line]
    assert row.endswith("first") and first["backend"] in row, row
    assert {first["id"], second["id"]} <= {one["id"] for one in tunnel.good("ls", "--json").json()}

    shown = tunnel.good("show", first["share_url"])  # an address with its secret is a name, too
    assert f"id        {first['id']}" in shown.out and "first" in shown.out, shown
    assert first["secret"] not in shown.out + shown.err
    assert tunnel.good("show", second["id"], "--json").json()["counters"]["requests"] == 0

    extended = tunnel.good("extend", first["id"], "2h")
    assert re.match(rf"{first['id']} ends in (2h|1h 59m), at 20", extended.out), extended
    later = tunnel.good("extend", first["url"], "3h", "--json").json()
    assert later["timeout"] == 3 * 3600

    removed = tunnel.good("rm", first["id"], second["url"])
    assert removed.lines() == [f"{first['id']} is revoked", f"{second['id']} is revoked"]
    assert first["id"] not in tunnel.good("ls").out
    (row,) = [line for line in tunnel.good("ls", "--all").lines() if first["id"] in line]
    assert "revoked" in row, row
    assert tunnel.good("show", first["id"], "--json").json()["state"] == "revoked"


def test_a_tunnel_is_found_by_an_address_without_its_id(tmp_path, backend):
    port = free_port()
    with Daemon(port_pool=f"{port}-{port}") as daemon:
        tunnel = Command(tmp_path, f"http://127.0.0.1:{daemon.port}")
        made = create(tunnel, backend, "--origin", "port", "--auth", "bearer")
        assert made["id"] not in made["url"] and str(port) in made["url"], made
        for name in (made["url"], made["url"].rstrip("/"), made["share_url"], made["url"] + "a?b"):
            assert made["id"] in tunnel.good("show", name).out
        expect(tunnel.run("show", made["url"].rstrip("/") + "0/#" + "s" * 52), 4, "no tunnel of yours")
        assert "sss" not in tunnel.run("show", made["url"].rstrip("/") + "0/#" + "s" * 52).err
        assert tunnel.good("rm", made["url"]).out == f"{made['id']} is revoked\n"


def test_rm_goes_on_behind_one_that_is_gone(tunnel, backend):
    made = create(tunnel, backend)
    result = tunnel.run("rm", UNKNOWN, made["id"], UNKNOWN, "--json")
    assert result.status == 4, result
    assert json.loads(result.out) == {"id": made["id"], "ok": True}
    assert result.err.count(f"tunnel: {UNKNOWN}: ") == 2, result


def test_lists_of_several_pages(own_daemon, tmp_path, backend):
    tunnel = Command(tmp_path, f"http://127.0.0.1:{own_daemon.port}")
    made = {own_daemon.api.create(backend).id for _ in range(5)}
    pages = own_daemon.api.call("GET", "/_api/tunnels?limit=2")
    assert 'rel="next"' in pages.fields["Link"]
    assert {one["id"] for one in tunnel.good("ls", "--json").json()} == made


# ---- exit status and sentences


def expect(result, status, *words):
    assert result.status == status and result.out == "", result
    for word in words:
        assert word in result.err, result
    assert result.err.startswith("tunnel: ") and result.err.count("\n") == 1, result


def test_what_the_server_refuses(tunnel):
    expect(tunnel.run("create", "3000", "--timeout", "99d"), 3, "/timeout", "86400")
    expect(tunnel.run("create", "unix:/tmp/x"), 3, "/backend")
    expect(tunnel.run("create", "3000", "--name", "a\nb"), 3, "/name")
    expect(tunnel.run("ls", TUNNEL_TOKEN="x" * 43), 3, "does not accept the token")


def test_what_there_is_not(tunnel, backend):
    for words in (["show", UNKNOWN], ["extend", UNKNOWN, "5m"], ["show", "http://127.0.0.1:1/other"]):
        expect(tunnel.run(*words), 4)
    made = create(tunnel, backend)
    tunnel.good("rm", made["id"])
    expect(tunnel.run("extend", made["id"], "5m"), 4)


def test_what_is_used_up(own_daemon, tmp_path, backend):
    tunnel = Command(tmp_path, f"http://127.0.0.1:{own_daemon.port}")
    token = own_daemon.api.expect(201, "POST", "/_api/tokens", {"quota": 1}).json()["token"]
    own_daemon.api.secrets.append(token)
    other = Command(tmp_path, f"http://127.0.0.1:{own_daemon.port}", token=token)
    expect(other.run("create", backend.port), 3, "backend")  # not in backend_allow
    for _ in range(2):
        status = tunnel.run("create", backend.port).status
        assert status == 0
    own_daemon.stop()
    own_daemon.options |= {"max_tunnels": "3"}
    own_daemon.start()
    proc.wait_until(lambda: len(tunnel.good("ls").lines()) == 3, 10, "tunnels are not restored")
    tunnel.good("create", backend.port)
    expect(tunnel.run("create", backend.port), 8)


def test_where_nobody_answers(tunnel):
    expect(tunnel.run("ls", TUNNEL_SERVER="http://127.0.0.1:1"), 5, "127.0.0.1:1 does not answer")
    warned = tunnel.run("ls", TUNNEL_SERVER="http://no-such-name.invalid")
    assert "warning: the token travels unencrypted to no-such-name.invalid" in warned.err, warned
    expect(tunnel.run("ls", TUNNEL_SERVER="https://no-such-name.invalid"), 5, "cannot be resolved")


@pytest.mark.parametrize("words, complaint", [
    (["lst"], "did you mean 'tunnel ls'?"),
    (["ls", "--token", TOKEN], "--token is refused"),
    (["create", "--timeout", "soon"], "--timeout: 'soon': write 15m"),
    (["create", "--requests", "-1"], "--requests: '-1'"),
    (["create", "--bytes", "1X"], "--bytes: '1X'"),
    (["create", "--bytes", "9999999999999T"], "--bytes"),
    (["create", "http://caf\udce9:3000"], "is not UTF-8"),
    (["extend", UNKNOWN, "1999-01-01T00:00Z"], "that time is over"),
    (["show", "nonsense"], "neither the id nor the URL"),
    (["ls", "--server", "ftp://x"], "--server: "),
    (["ls", "--token-file", "/nonexistent"], "/nonexistent cannot be read"),
])
def test_usage(tunnel, words, complaint):
    result = tunnel.run(*words)
    expect(result, 2, complaint)
    assert TOKEN not in result.err


def test_without_a_token(tunnel):
    expect(tunnel.run("ls", TUNNEL_TOKEN=None), 2, "tunnel login", "TUNNEL_TOKEN", "--token-file")


def test_without_words_it_helps(tunnel):
    result = tunnel.run()
    assert result.status == 2 and result.out == "" and "create" in result.err, result
    assert tunnel.good("--help").out == result.err
    assert tunnel.good("--version").out == tunnel.good("version").out
    assert tunnel.good("version", "--json").json()["name"] == "tunnel"


def test_output_that_cannot_be_written_is_an_error(tunnel):
    command, environment = tunnel._how(["--help"], {})
    pid = os.fork()
    if pid == 0:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, 1)
        os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
        os.execve(command[0], command, environment)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_the_token_is_not_to_be_seen_from_outside(tunnel, daemon):
    """Neither in /proc nor by a debugger of the same user: the process is not dumpable."""
    with tunnel.start("events", "--json") as running:
        proc.wait_until(lambda: daemon.api.call("GET", "/healthz").status == 200, 5, "")
        tunnel.good("ls")
        time.sleep(0.2)  # it has read its environment by now
        with open(f"/proc/{running.process.pid}/cmdline", "rb") as file:
            assert TOKEN.encode() not in file.read()
        if not proc.ROOT:
            with pytest.raises(PermissionError):
                open(f"/proc/{running.process.pid}/environ", "rb").close()
        else:
            with open(f"/proc/{running.process.pid}/environ", "rb") as file:
                assert TOKEN.encode() not in file.read()
            with open(f"/proc/{running.process.pid}/limits") as file:
                assert re.search(r"Max core file size +0 +0 ", file.read())


# ---- events


def first_event_is_heard(running, tunnel, backend):
    """Makes tunnels until one is told of: the stream may not be there at once."""
    made = []

    def heard():
        made.append(create(tunnel, backend))
        return select.select([running.process.stdout], [], [], 0.3)[0]

    proc.wait_until(heard, 15, "no event")
    return made


def test_events_are_told_as_they_happen(tunnel, backend):
    with tunnel.start("events", "--json") as running:
        first_event_is_heard(running, tunnel, backend)
        made = create(tunnel, backend, "-n", "a name")
        tunnel.good("extend", made["id"], "20m")
        tunnel.good("rm", made["id"])
        seen = []
        while not seen or seen[-1]["event"] != "ended":
            event = json.loads(running.line())
            if event["data"].get("id") == made["id"]:
                seen.append(event)
        assert [event["event"] for event in seen] == ["created", "updated", "ended"]
        assert seen[-1]["data"]["state"] == "revoked" and seen[-1]["id"] != seen[0]["id"]
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == -signal.SIGINT


def test_events_for_people(tunnel, backend):
    with tunnel.start("events") as running:
        first_event_is_heard(running, tunnel, backend)
        made = create(tunnel, backend, "-n", "a name")
        tunnel.good("rm", made["id"])
        lines = [running.line()]
        while not re.search(rf"ended +{made['id']}", lines[-1]):
            lines.append(running.line())
        assert re.fullmatch(rf"\d\d:\d\d:\d\d  ended     {made['id']}  revoked  a name", lines[-1]), lines
        assert all(len(line) < 80 for line in lines), lines


def test_nothing_is_missed_while_the_api_is_away(own_daemon, tmp_path, backend):
    """The API worker dies: the stream is made again, and begins with a reset because its ids are new."""
    tunnel = Command(tmp_path, f"http://127.0.0.1:{own_daemon.port}")
    with tunnel.start("events", "--json") as running:
        first_event_is_heard(running, tunnel, backend)
        own_daemon.die("worker")
        assert "tunnel: " in running.complaint()
        assert running.complaint(40) == "tunnel: connected again"
        made = create(tunnel, backend)
        events = [json.loads(running.line())]
        while events[-1]["data"].get("id") != made["id"]:
            events.append(json.loads(running.line()))
        assert "reset" in [event["event"] for event in events], events
        own_daemon.stop()
        assert "tunnel: " in running.complaint()
        assert running.process.poll() is None


def test_events_end_when_the_token_does(own_daemon, tmp_path):
    answer = own_daemon.api.expect(201, "POST", "/_api/tokens", {"quota": 1}).json()
    own_daemon.api.secrets.append(answer["token"])
    tunnel = Command(tmp_path, f"http://127.0.0.1:{own_daemon.port}", token=answer["token"])
    with tunnel.start("events") as running:
        time.sleep(0.5)
        own_daemon.api.expect(200, "DELETE", f"/_api/tokens/{answer['id']}")
        assert running.process.wait(30) == 3
        assert "does not accept the token" in running.process.stderr.read().decode()


# ---- login


def test_login_stores_what_works(tunnel, daemon, backend):
    bare = {"TUNNEL_SERVER": None, "TUNNEL_TOKEN": None}
    url = f"http://127.0.0.1:{daemon.port}"
    expect(tunnel.run("login", url, input="y" * 43 + "\n", **bare), 3, "does not accept the token")
    assert not tunnel.config.exists()
    result = tunnel.good("login", url, input=f"{TOKEN}\n", **bare)
    assert TOKEN not in result.out + result.err and str(tunnel.config) in result.err, result
    assert tunnel.config.stat().st_mode & 0o777 == 0o600
    assert tunnel.config.parent.stat().st_mode & 0o077 == 0
    assert tunnel.good("create", backend.port, **bare).out.startswith(url)
    # Its token is for its server.
    expect(tunnel.run("ls", "--server", "http://127.0.0.1:1", **bare), 2, "no token for 127.0.0.1")
    tunnel.good("logout", **bare)
    assert TOKEN not in tunnel.config.read_text() and url in tunnel.config.read_text()
    expect(tunnel.run("ls", **bare), 2, "no token")


def test_a_failed_login_leaves_the_file_as_it_was(tunnel, daemon):
    bare = {"TUNNEL_SERVER": None, "TUNNEL_TOKEN": None}
    tunnel.good("login", f"http://127.0.0.1:{daemon.port}", input=TOKEN, **bare)
    before = tunnel.config.read_text()
    assert tunnel.run("login", "http://127.0.0.1:1", input=TOKEN, **bare).status == 5
    assert tunnel.run("login", f"http://127.0.0.1:{daemon.port}", input="", **bare).status == 2
    assert tunnel.run("login", f"http://127.0.0.1:{daemon.port}", input="no token", **bare).status == 2
    assert tunnel.config.read_text() == before
    assert [path.name for path in tunnel.config.parent.iterdir()] == ["config"]


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o644])
def test_a_file_open_to_others_is_refused(tunnel, daemon, bits):
    bare = {"TUNNEL_SERVER": None, "TUNNEL_TOKEN": None}
    tunnel.good("login", f"http://127.0.0.1:{daemon.port}", input=TOKEN, **bare)
    tunnel.config.chmod(bits)
    expect(tunnel.run("ls", **bare), 2, f"chmod 600 '{tunnel.config}'")
    tunnel.config.chmod(0o600)
    tunnel.good("ls", **bare)


def test_a_token_file(tunnel, tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    tunnel.good("ls", "--token-file", path, TUNNEL_TOKEN=None)
    tunnel.good("ls", "--token-file", "-", input=TOKEN, TUNNEL_TOKEN=None)
