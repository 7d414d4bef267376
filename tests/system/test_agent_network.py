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
from support.daemon import Daemon
from support.world import World

PING_S = 1  # of the agent: with the 20 of its library the test would take as long as it tells of
CUT_S = 6

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


def test_the_network_goes_and_comes_back(remote, report):
    """The agent notices, and comes back to the same URL; of the old connection nothing is left."""
    daemon = Daemon()
    daemon.options["listen"] = f"0.0.0.0:{daemon.port}"
    daemon.options["public_url"] = f"http://10.77.0.1:{daemon.port}"
    with daemon:
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
