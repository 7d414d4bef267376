# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# What every pytest suite has: tests/support on the path, the logs of the daemons of a failed test,
# and measured values at the end of the run.

import contextlib
import pathlib
import resource
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

SECONDS_A_TEST = 120

# A thousand sockets are more than the usual soft limit lets a process have.
_, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))

_values = []


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): how long a test may take, when it may take longer")


@pytest.fixture(scope="session")
def report():
    """report(text): a value worth reading, shown when the run is over."""
    return _values.append


def pytest_sessionfinish(session):
    """One of several processes of a run hands its values to the first (pytest-xdist)."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["values"] = _values


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    _values.extend(getattr(node, "workeroutput", {}).get("values", []))


def pytest_terminal_summary(terminalreporter):
    if _values:
        terminalreporter.section("values")
        for text in _values:
            terminalreporter.line(text)


def pytest_make_parametrize_id(val, argname):
    """Bytes are no name of a test: those with a fresh mask are others in each process of a run."""
    return argname if isinstance(val, bytes) else None


@contextlib.contextmanager
def _deadline(what, item):
    """A test that hangs fails, and says where it hung."""
    marker = item.get_closest_marker("seconds")
    seconds = marker.args[0] if marker else SECONDS_A_TEST

    def over(number, frame):
        raise TimeoutError(f"{what} took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    with _deadline("the test", item):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    with _deadline("its preparation", item):
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for name, value in getattr(item, "funcargs", {}).items():
        log = getattr(value, "log", None)
        if callable(log):
            report.sections.append((f"log of {name}", log()[-20000:]))
