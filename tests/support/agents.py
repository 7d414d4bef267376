# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Agents of pull tunnels. `mode` decides how Api.create() makes the tunnels of a test: "push"; "pull", with
# docs/agent.py in between; or "tunnel", with the tunnel command.
#
# One process of docs/agent.py serves all tunnels of a test run: starting one for each would take longer
# than what it is for.

import os
import pathlib
import subprocess
import urllib.parse

from . import proc

PROGRAM = pathlib.Path(__file__).with_name("crew.py")
SOURCE = pathlib.Path(__file__).parents[2] / "docs" / "agent.py"
PYTHON = "/usr/bin/python3"  # Debian's: it has the libraries

mode = "push"


class Crew:
    """A process in which many agents run, each for one tunnel, until close()."""

    def __init__(self):
        self._process = subprocess.Popen(
            [PYTHON, str(PROGRAM), str(SOURCE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True)

    def serve(self, tunnel, host, port):
        """An agent of TUNNEL; returns when it is connected."""
        agent = tunnel.document["agent"]
        self._say("serve", agent["url"], agent["token"], host, port)
        connected(tunnel)

    def stop(self, tunnel):
        self._say("stop", tunnel.document["agent"]["url"])

    def _say(self, *words):
        print(*words, file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "done\n", "the agents have died"

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


class Agent:
    """docs/agent.py in a process of its own, for a TUNNEL that leads to URL."""

    AFTER = {"expired": 1, "revoked": 1}  # exit status when the tunnel is over
    STARTS_S = 3  # at most, on a busy machine: an interpreter and its libraries

    def __init__(self, tunnel, url, wait=True):
        self.tunnel = tunnel
        self._process = self._start(url)
        if wait:
            connected(tunnel)

    def _start(self, url):
        agent, parts = self.tunnel.document["agent"], urllib.parse.urlsplit(url)
        return subprocess.Popen(
            [PYTHON, str(SOURCE), agent["url"], parts.hostname, str(parts.port)], stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "AGENT_TOKEN": agent["token"]})

    def kill(self):
        """kill -9"""
        self._process.kill()
        self._process.wait(10)

    def exited(self, seconds=10):
        """Waits for its end; the exit status."""
        return self._process.wait(seconds)

    def running(self):
        return self._process.poll() is None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class Command(Agent):
    """The same of the tunnel command."""

    AFTER = {"expired": 10, "revoked": 9}
    STARTS_S = 1

    def _start(self, url):
        from .daemon import program  # which imports us
        host, port = self.tunnel.api.address
        return subprocess.Popen(
            [program("tunnel"), "up", url, "--attach", self.tunnel.id, "--quiet"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TUNNEL_SERVER": f"http://{host}:{port}",
                 "TUNNEL_TOKEN": self.tunnel.api.token})


def connected(tunnel, count=1, seconds=10):
    """Waits until so many agents of TUNNEL are connected."""
    proc.wait_until(lambda: tunnel.show()["counters"]["agents"] == count, seconds,
                    lambda: f"{tunnel.show()['counters']} of {count} agents")


_crew = None
_commands = {}  # by tunnel


def serve(tunnel, url):
    """What leads to URL, of the kind that `mode` says."""
    global _crew
    if mode == "tunnel":
        _commands[tunnel] = Command(tunnel, url)
        return
    if _crew is None:
        _crew = Crew()
    parts = urllib.parse.urlsplit(url)
    _crew.serve(tunnel, parts.hostname, parts.port or 80)


def stop(tunnel):
    if tunnel in _commands:
        _commands.pop(tunnel).kill()
    else:
        _crew.stop(tunnel)


def dismiss():
    global _crew
    if _crew is not None:
        _crew.close()
        _crew = None
