# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# An agent in a network of its own, whose cable is pulled and put back. Needs namespaces, which only root
# may make.

import contextlib
import os
import subprocess
import time

import pytest

from support import agents, proc
from support.agents import connected
from support.api import Tunnel
from support.daemon import SANITIZED, Daemon
from support.up import Up
from support.world import World

PING_S = 1  # of the agent: with the 20 of its library the test would take as long as it tells of
CUT_S = 6
LONG_CUT_S = 30

# The agent beside the documentation, quicker to notice that nobody is there.
QUICK = f"""
import asyncio, functools, importlib.util, os, sys, websockets
websockets.connect = functools.partial(
    websockets.connect, ping_interval={PING_S}, ping_timeout={PING_S}, open_timeout={PING_S})
spec = importlib.util.spec_from_file_location("agent", {str(agents.SOURCE)!r})
agent = importlib.util.module_from_spec(spec)
spec.loader.exec_module(agent)
asyncio.run(agent.main(sys.argv[1], os.environ["AGENT_TOKEN"], sys.argv[2], int(sys.argv[3])))
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Remote:
    """A network namespace behind a cable; ours is at 10.77.0.1."""

    def __init__(self):
        self.name = f"tunneld-{os.getpid()}"
        self._processes = []
        ip("netns", "add", self.name)
        try:
            ip("-n", self.name, "link", "set", "lo", "up")
            ip("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", self.name)
            ip("address", "add", "10.77.0.1/24", "dev", "cable")
            ip("-n", self.name, "address", "add", "10.77.0.2/24", "dev", "cable")
            ip("-n", self.name, "link", "set", "cable", "up")
            self.plug()
        except BaseException:
            self.close()
            raise

    def plug(self):
        ip("link", "set", "cable", "up")

    def unplug(self):
        ip("link", "set", "cable", "down")

    def run(self, *words, **environment):
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, agents.PYTHON, *words], env={**os.environ, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._processes.append(process)
        return process

    def enter(self):
        World.go_to(self.name)

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait(10)
        ip("netns", "del", self.name)


@pytest.fixture
def remote():
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(contextlib.closing(World()))
            made = stack.enter_context(contextlib.closing(Remote()))
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no network namespaces here")
        yield made


def works(tunnel):
    with contextlib.suppress(OSError):
        return tunnel.get("/").status == 200


@pytest.fixture
def daemon(remote):
    """Reachable from beyond the cable."""
    made = Daemon()
    made.options["listen"] = f"0.0.0.0:{made.port}"
    made.options["public_url"] = f"http://10.77.0.1:{made.port}"
    with made:
        yield made


@pytest.mark.seconds(200)
@pytest.mark.skipif(SANITIZED, reason="is about time, and takes it")
def test_half_a_minute_without_a_network(remote, daemon, report):
    """`tunnel up` notices that it is gone, and serves the same URL soon after it is back; nothing is left over."""
    remote.run("-m", "http.server", "3000", "--bind", "127.0.0.1")
    server = f"http://10.77.0.1:{daemon.port}"
    with Up(server, "3000", "--auth", "none", "--attest", "off", "--output", "json", prepare=remote.enter) as up:
        up.event("ready")
        tunnel = Tunnel(daemon.api, daemon.api.list()[0])
        proc.wait_until(lambda: works(tunnel), 20, "the service does not answer")
        (relay,) = daemon.relays()
        before, theirs = relay.descriptors(), up.descriptors()
        remote.unplug()
        began = time.monotonic()
        assert up.event("reconnect", seconds=LONG_CUT_S)["state"] == "lost"
        noticed = time.monotonic() - began
        time.sleep(LONG_CUT_S - noticed)
        remote.plug()
        began = time.monotonic()
        proc.wait_until(lambda: works(tunnel), 60, up.both)
        back = time.monotonic() - began
        report(f"tunnel up: noticed after {noticed:.0f} s, works again {back:.1f} s after the network came back")
        connected(tunnel, 1)
        proc.wait_until(lambda: relay.descriptors() <= before and up.descriptors() <= theirs, 20,
                        lambda: f"{before} and {theirs} descriptors before, now {relay.descriptors()} and {up.descriptors()}")


def test_the_network_goes_and_comes_back(remote, daemon, report):
    """The agent notices, and comes back to the same URL; of the old connection nothing is left."""
    remote.run("-m", "http.server", "3000", "--bind", "127.0.0.1")
    tunnel = daemon.api.pull()
    agent = tunnel.document["agent"]
    process = remote.run("-c", QUICK, agent["url"], "127.0.0.1", "3000", AGENT_TOKEN=agent["token"])
    connected(tunnel)
    proc.wait_until(lambda: works(tunnel), 10, "the service does not answer")
    (relay,) = daemon.relays()
    before = relay.descriptors()
    remote.unplug()
    time.sleep(CUT_S)
    assert process.poll() is None, "the agent has given up"
    remote.plug()
    began = time.monotonic()
    proc.wait_until(lambda: works(tunnel), 20, "the tunnel does not work again")
    report(f"{time.monotonic() - began:.1f} s after the network came back the tunnel works again")
    connected(tunnel, 1)
    proc.wait_until(lambda: relay.descriptors() <= before, 10,
                    lambda: f"{before} descriptors before, now {relay.descriptors()}")
