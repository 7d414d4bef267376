# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# One tunneld for each file, a fresh backend and tunnel for each test.

import os

import pytest

from support import agents
from support.backend import HttpBackend
from support.daemon import Daemon


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as running:
        yield running


@pytest.fixture(autouse=True)
def log_of_this_test(request):
    """A failed test shows what was logged during it, not what was before."""
    if "daemon" in request.fixturenames:
        request.getfixturevalue("daemon").mark()


@pytest.fixture
def own_daemon():
    """A tunneld the test may ill-treat."""
    with Daemon() as running:
        yield running


def pytest_configure(config):
    config.addinivalue_line("markers", "ways(...): the modes that a test or file is run in")


def pytest_generate_tests(metafunc):
    """Files with `usefixtures("mode")` tell of tunnels to a backend and by way of an agent alike."""
    if "mode" in metafunc.fixturenames:
        ways = metafunc.definition.get_closest_marker("ways")
        metafunc.parametrize("mode", ways.args if ways else ["push", "pull"], indirect=True)


@pytest.fixture
def mode(request):
    agents.mode = request.param
    yield request.param
    agents.mode = "push"


@pytest.fixture(scope="session", autouse=True)
def crew():
    yield
    agents.dismiss()


@pytest.fixture
def api(daemon):
    return daemon.api


@pytest.fixture
def backend():
    with HttpBackend() as serving:
        yield serving


@pytest.fixture
def tunnel(api, backend):
    """A tunnel to the backend that everybody may use."""
    made = api.create(backend)
    yield made
    api.call("DELETE", f"/_api/tunnels/{made.id}")


@pytest.fixture(scope="session", autouse=True)
def who(report):
    """Says which form of the root-dependent checks this run made."""
    if os.geteuid() == 0:
        report("ran as root: own uids, empty capability sets, chroot and PSS were checked")
    else:
        report("ran as an ordinary user: instead of own uids, PSS and chroot, the tests checked "
               "that children have the starting user's uid, no capabilities, and RssAnon")
