# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a database that cannot be written to, or not even opened, costs new tunnels and nothing else:
# those that live serve and end in time, what goes on is said, and when it is over nothing has to be
# started again.

import contextlib
import fcntl
import os
import signal
import time

import pytest

from support import proc

SQLITE_LOCKS = (512, 0x40000000)  # where SQLite puts its locks: bytes, from


@contextlib.contextmanager
def living(daemon, backend):
    """Two tunnels: one that goes on and one that ends after three seconds, on the dot."""
    begin = time.monotonic()
    brief, lasting = daemon.api.create(backend, timeout=3), daemon.api.create(backend)
    with brief.connect() as visitor, lasting.connect() as old:
        assert visitor.exchange("GET", brief.target("/")).status == 200
        assert old.exchange("GET", lasting.target("/")).status == 200
        yield lasting, brief
        assert visitor.ended(max(0.1, begin + 5 - time.monotonic())) == "reset"
        took = time.monotonic() - begin
        assert took >= 2.99, f"{took:.2f} s of 3"
        assert old.exchange("GET", lasting.target("/")).status == 200
        assert lasting.get("/new").status == 200


def problem(answer, status, code):
    assert (answer.status, answer.json()["code"]) == (status, code), answer
    assert answer.json()["detail"]


def test_a_full_disk(own_daemon, backend):
    """For the worker's files there is no more room. To SQLite a limit on their size is the same."""
    api, worker = own_daemon.api, own_daemon.worker()
    revoked, relay = own_daemon.create_with_relay(backend)
    with living(own_daemon, backend) as (lasting, brief):
        files = (own_daemon.folder / "state").rglob("*.db*")
        with worker.limited("FSIZE", max(file.stat().st_size for file in files)):
            problem(api.call("POST", "/_api/tunnels", {"backend": backend.url()}), 500, "internal")
            problem(api.call("GET", "/readyz"), 503, "draining")
            assert own_daemon.get("/healthz").status == 200
            problem(api.call("DELETE", f"/_api/tunnels/{revoked.id}"), 500, "internal")
            own_daemon.expect_gone([relay])
            assert lasting.show()["state"] == "active"
            proc.wait_until(lambda: len(own_daemon.relays()) == 1, 5, "the brief one has ended")
        proc.wait_until(own_daemon.ready, 5, own_daemon.log)
        proc.wait_until(lambda: revoked.state() == "revoked" and brief.state() == "expired", 10,
                        lambda: (revoked.show(), brief.show()))
    assert api.create(backend).get("/").status == 200
    assert own_daemon.worker() == worker


# ---- a database that the next worker cannot open


@contextlib.contextmanager
def log_read_only(files):
    with read_only([file for file in files if file.name.endswith("-wal")]):
        yield


@contextlib.contextmanager
def read_only(files):
    modes = {file: file.stat().st_mode for file in files}
    for file in files:
        file.chmod(0o400)
    yield
    for file, mode in modes.items():
        file.chmod(mode)


@contextlib.contextmanager
def damaged(files):
    """Noise where pages and log were; the operator puts back what was there."""
    before = {file: file.read_bytes() for file in files}
    for file, content in before.items():
        file.write_bytes(os.urandom(len(content)))
    yield
    for file, content in before.items():
        assert file.exists(), f"{file} was removed"
        file.write_bytes(content)


@contextlib.contextmanager
def locked(files):
    """As if somebody looked at it with a tool."""
    with open(files[0], "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, *SQLITE_LOCKS)
        yield


@contextlib.contextmanager
def no_worker(daemon):
    """There is none and no next one is started meanwhile."""
    daemon.supervisor.signal(signal.SIGSTOP)
    try:
        workers = daemon.children("tunneld-api")
        for worker in workers:
            with contextlib.suppress(AssertionError):  # it may have just given up by itself
                worker.signal(signal.SIGKILL)
        daemon.expect_gone(workers)
        yield
    finally:
        daemon.supervisor.signal(signal.SIGCONT)


@pytest.mark.parametrize("spoil", [read_only, log_read_only, damaged, locked])
def test_a_database_that_cannot_be_opened(own_daemon, backend, spoil):
    with living(own_daemon, backend) as (lasting, brief):
        with no_worker(own_daemon):
            files = sorted((own_daemon.folder / "state").rglob("*.db*"))
            spoilt = spoil(files)
            spoilt.__enter__()
        own_daemon.mark()
        proc.wait_until(lambda: own_daemon.log().count("cannot be used") >= 2, 8, own_daemon.log)
        before = own_daemon.supervisor.cpu_seconds()
        assert lasting.get("/meanwhile").status == 200
        for answer in (own_daemon.api.call("GET", "/readyz"), own_daemon.api.call("GET", "/_api/tunnels"),
                       own_daemon.api.call("POST", "/_api/tunnels", {"backend": backend.url()})):
            assert (answer.status, answer.fields["Tunnel-Error"]) == (503, "draining"), answer
        assert own_daemon.supervisor.cpu_seconds() - before < 0.5, "it tries again and again"
        with no_worker(own_daemon):
            spoilt.__exit__(None, None, None)
        proc.wait_until(own_daemon.ready, 8, own_daemon.log)
        proc.wait_until(lambda: brief.state() == "expired", 5, brief.show)
        assert lasting.state() == "active"
    assert own_daemon.api.create(backend).get("/").status == 200
