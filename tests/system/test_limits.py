# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: every limit is a named refusal for what is new, and costs nobody who is there already.

import os
import resource
import subprocess
import time

import pytest

from support import daemon as daemons
from support import proc
from support.backend import head
from support.daemon import Daemon, free_port

pytestmark = pytest.mark.usefixtures("mode")


def limited(answer, status, code):
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (status, code), answer
    assert int(answer.fields.get("Retry-After")) > 0, answer


def test_connections_of_a_tunnel(api, backend):
    tunnel = api.create(backend, limits={"connections": 3})
    feed = backend.feed("/hold", head(200, [("Content-Length", 2)]))
    holding = [tunnel.connect() for _ in range(3)]
    try:
        for visitor in holding:
            visitor.request("GET", tunnel.target("/hold"))
            assert visitor.answer_head().status == 200
        limited(tunnel.get("/"), 503, "too_many_connections")
        feed.send(b"ok" * 3)
    finally:
        for visitor in holding:
            visitor.close()
    proc.wait_until(lambda: tunnel.get("/").status == 200, 5, "room again after they left")


def test_requests_a_second_of_a_tunnel(api, backend):
    tunnel = api.create(backend, limits={"request_rate": 5})
    with tunnel.connect() as visitor:
        answers = [visitor.exchange("GET", tunnel.target("/")) for _ in range(40)]
        refused = [answer for answer in answers if answer.status != 200]
        assert 4 <= len(answers) - len(refused) <= 20, [answer.status for answer in answers]
        for answer in refused:
            limited(answer, 429, "rate_limited")
        # Room comes back with time: this waits for the clock and nothing else.
        proc.wait_until(lambda: visitor.exchange("GET", tunnel.target("/")).status == 200, 3, "again")


def test_tunnels_at_once(backend):
    with Daemon(max_tunnels="3") as daemon:
        made = [daemon.api.create(backend) for _ in range(3)]
        answer = daemon.api.call("POST", "/_api/tunnels", {"backend": backend.url()})
        assert (answer.status, answer.json()["code"]) == (429, "quota_reached"), answer
        assert int(answer.fields["Retry-After"]) > 0, answer.fields
        made[0].revoke()
        assert daemon.api.create(backend).get("/").status == 200
        assert all(tunnel.get("/").status == 200 for tunnel in made[1:])


def test_creations_a_minute(backend):
    with Daemon(create_rate="6") as daemon:
        asked = {"backend": backend.url(), "auth": "none"}
        answers = [daemon.api.call("POST", "/_api/tunnels", asked) for _ in range(20)]
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {201, 429} and 1 <= statuses.count(201) <= 8, statuses
        assert answers[-1].json()["code"] == "rate_limited", answers[-1]
        assert int(answers[-1].fields["Retry-After"]) > 0


@pytest.fixture
def few_descriptors():
    """A tunneld whose processes may have 640 descriptors each."""
    daemon = Daemon()
    daemon.prepare = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (640, 640))
    with daemon:
        yield daemon


def test_too_few_descriptors_are_said_at_the_start():
    """Also those for gates, of which there is one for each core when nobody says how many, for edges
    and for the ports of tunnels of their own; --check says as many."""
    first = free_port()
    keys = {"max_tunnels": "100", "edges": "3", "port_pool": f"{first}-{first}"}
    enough = 3 * 100 + 2 * min(len(os.sched_getaffinity(0)), 64) + 2 * 3 + 1 + 64
    check = subprocess.run([daemons.program(), "--check", *(f"-o{key}={value}" for key, value in keys.items())],
                           env={}, capture_output=True, text=True, timeout=20, check=False)
    assert f"the configuration may use {enough}\n" in check.stdout, check
    for limit, warned in ((enough, False), (enough - 1, True)):
        daemon = Daemon(**keys)
        daemon.prepare = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        with daemon:
            assert (f"the limit of open files is {limit}: too low" in daemon.log()) == warned, daemon.log()


def test_out_of_descriptors(few_descriptors, backend):
    """New visitors wait or are refused, old ones are served, nothing spins, and it passes."""
    daemon = few_descriptors
    tunnel = daemon.api.create(backend)
    with tunnel.connect() as old:
        assert old.exchange("GET", tunnel.target("/old")).status == 200
        crowd = [tunnel.connect() for _ in range(700)]
        try:
            for number, visitor in enumerate(crowd):
                visitor.request("GET", tunnel.target("/crowd"))
                if number % 100 == 0:
                    assert old.exchange("GET", tunnel.target("/old")).status == 200
            before, begin = _cpu(daemon), time.monotonic()
            time.sleep(0.5)  # the time measured over
            busy = (_cpu(daemon) - before) / (time.monotonic() - begin)
            assert busy < 0.5, f"{busy:.2f} of a processor while nothing can be done"
            assert old.exchange("GET", tunnel.target("/old")).status == 200
        finally:
            for visitor in crowd:
                visitor.close()
        proc.wait_until(lambda: _served(tunnel), 5, daemon.log)
        assert old.exchange("GET", tunnel.target("/old")).status == 200
    assert daemon.api.create(backend).get("/").status == 200


def _cpu(daemon):
    return sum(process.cpu_seconds() for process in daemon.everyone())


def _served(tunnel):
    try:
        return tunnel.get("/new").status == 200
    except OSError:
        return False
