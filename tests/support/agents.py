# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Agents of pull tunnels. One process of docs/agent.py serves all tunnels of a test run that are made by
# way of an agent: starting one for each would take longer than what it is for.
#
# `mode` decides how Api.create() makes the tunnels of a test: "push", or "pull" with an agent in between.

import os
import pathlib
import subprocess

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
    """An agent in a process of its own, of a TUNNEL that serves HOST:PORT."""

    def __init__(self, tunnel, host, port, wait=True):
        agent = tunnel.document["agent"]
        self.tunnel = tunnel
        self._process = subprocess.Popen(
            [PYTHON, str(SOURCE), agent["url"], host, str(port)], stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "AGENT_TOKEN": agent["token"]})
        if wait:
            connected(tunnel)

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


def connected(tunnel, count=1, seconds=10):
    """Waits until so many agents of TUNNEL are connected."""
    proc.wait_until(lambda: tunnel.show()["counters"]["agents"] == count, seconds,
                    lambda: f"{tunnel.show()['counters']} of {count} agents")


_crew = None


def crew():
    """The one of this run."""
    global _crew
    if _crew is None:
        _crew = Crew()
    return _crew


def dismiss():
    global _crew
    if _crew is not None:
        _crew.close()
        _crew = None
