# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Names that `tunnel up` looks up: its server's and its target's, each time anew, when it is sealed
# already. In a network of the test's own, with a name server that the test plays.

import time
import urllib.error
import urllib.request

import pytest

from support import proc
from support.backend import HttpBackend
from support.daemon import Daemon
from support.up import Up
from support.world import SILENCE, World

if not proc.ROOT:
    pytest.skip("only root may make a network of its own", allow_module_level=True)


@pytest.fixture(scope="module")
def world():
    try:
        made = World()
    except OSError as error:
        pytest.skip(f"no network namespace is to be had here: {error}")
    try:
        made.add("10.77.0.1")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def daemon(world):
    running = Daemon()
    running.options["public_url"] = f"http://127.0.0.1:{running.port}"
    running.prepare = world.enter
    with running:
        yield running


@pytest.fixture
def names(world):
    world.names.zone.clear()
    world.names.asked.clear()
    world.names.zone["server.example"] = ["127.0.0.1"]
    return world.names


def status(url):
    try:
        with urllib.request.urlopen(url + "hello", timeout=20) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def up(daemon, world, *arguments):
    return Up(f"http://server.example:{daemon.port}", *arguments, "--auth", "none", "--attest", "off",
              prepare=world.enter)


def test_a_target_that_moves(daemon, world, names):
    names.zone["app.example"] = ["10.77.0.1"]
    with HttpBackend("10.77.0.1") as backend, up(daemon, world, f"http://app.example:{backend.port}") as running:
        url = running.url()
        assert status(url) == 200
        names.zone["app.example"] = ["127.0.0.1"]
        backend.drop_all()
        proc.wait_until(lambda: status(url) == 502, 5, running.both)
        names.zone["app.example"] = ["127.0.0.1", "10.77.0.1"]
        assert status(url) == 200
        del names.zone["app.example"]
        backend.drop_all()
        proc.wait_until(lambda: status(url) == 502, 5, running.both)
        assert running.process.poll() is None


def test_a_name_server_that_is_silent_stops_nobody_else(daemon, world, names):
    names.zone["app.example"] = SILENCE
    with up(daemon, world, "app.example:80") as running:
        url, begun = running.url(), time.monotonic()
        assert status(url) in (502, 504)
        assert time.monotonic() - begun < 8
        assert running.process.poll() is None


def test_the_server_is_looked_up_again(daemon, world, names):
    with HttpBackend() as backend, up(daemon, world, backend.port) as running:
        url = running.url()
        asked = len(names.asked)
        daemon.restart()
        running.expect("connected again")
        assert status(url) == 200
        assert ("server.example", 1) in names.asked[asked:], names.asked
