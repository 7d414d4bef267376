# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a thousand live tunnels at once (five thousand with TUNNELD_LOAD=full), and what each costs.

import os
import statistics
import time

import pytest

from support import proc
from support.backend import HttpBackend
from support.daemon import Daemon

COUNT = 5000 if os.environ.get("TUNNELD_LOAD") == "full" else 1000
PSS_OF_A_TUNNEL_KIB = 600 * 1024 / 5000  # in all, everything tunneld runs


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@pytest.fixture(scope="module")
def crowd():
    with Daemon(max_tunnels=str(COUNT)) as daemon, HttpBackend() as backend:
        daemon.idle_descriptors = daemon.supervisor.descriptors()
        daemon.times, daemon.tunnels = [], []
        for _ in range(COUNT):
            begin = time.monotonic()
            daemon.tunnels.append(daemon.api.create(backend))
            daemon.times.append(time.monotonic() - begin)
        yield daemon


def test_a_thousand_tunnels_live_and_serve(crowd, report):
    assert len(crowd.relays()) == COUNT
    report(f"creation of {COUNT} tunnels: p50 {1000 * statistics.median(crowd.times):.1f} ms, "
           f"p99 {1000 * percentile(crowd.times, 0.99):.1f} ms")
    for tunnel in crowd.tunnels[::20] + crowd.tunnels[-1:]:
        assert tunnel.get("/").status == 200
    assert len(crowd.api.ids("?limit=1000") | crowd.api.ids()) > 0


def test_one_more_is_refused_by_name(crowd):
    answer = crowd.api.call("POST", "/_api/tunnels", {"backend": "http://127.0.0.1:1"})
    assert (answer.status, answer.json()["code"]) == (429, "quota_reached"), answer


def test_at_most_three_descriptors_a_tunnel_in_the_supervisor(crowd, report):
    now = crowd.supervisor.descriptors()
    if now is None:  # this kernel tells only root; FDSize is the next power of two
        size = int(crowd.supervisor.status()["FDSize"])
        report(f"descriptor table of the supervisor with {COUNT} tunnels: {size}")
        assert size <= 4 * COUNT + 1024, size
        return
    each = (now - crowd.idle_descriptors) / COUNT
    report(f"descriptors a tunnel in the supervisor: {each:.3f} ({crowd.idle_descriptors} idle, {now} now)")
    assert each <= 3, (crowd.idle_descriptors, now)


def test_memory_of_a_relay(crowd, report):
    relays = crowd.relays()
    if proc.ROOT:
        values, what = [relay.pss_kib() for relay in relays], "PSS"
    else:
        values, what = [relay.rss_anon_kib() for relay in relays], "RssAnon"
    report(f"{what} of a relay among {COUNT}: median {statistics.median(values):.0f} KiB, "
           f"highest {max(values)} KiB")
    report(f"supervisor {crowd.supervisor.private_kib()} KiB, API worker {crowd.worker().private_kib()} KiB, "
           f"gates {[gate.private_kib() for gate in crowd.gates()]} KiB of their own")
    assert min(values) > 0
    if proc.ROOT:
        everything = sum(process.pss_kib() for process in crowd.everyone())
        report(f"PSS of all of it: {everything / 1024:.1f} MiB, {everything / COUNT:.1f} KiB a tunnel")
        assert everything < PSS_OF_A_TUNNEL_KIB * COUNT + 8192, everything


def test_a_thousand_idle_tunnels_cost_no_processor_time(crowd, report):
    before = [process.cpu_seconds() for process in crowd.everyone()]
    time.sleep(2)  # the time measured over
    after = [process.cpu_seconds() for process in crowd.everyone()]
    spent = sum(after) - sum(before)
    report(f"{COUNT} idle tunnels spent {1000 * spent:.0f} ms of processor time in 2 s")
    assert spent < 1


def test_they_all_end(crowd, report):
    relays = crowd.relays()
    begin = time.monotonic()
    for tunnel in crowd.tunnels:
        tunnel.revoke()
    report(f"revoking {COUNT} tunnels took {time.monotonic() - begin:.2f} s")
    crowd.expect_gone(relays)
    now = crowd.supervisor.descriptors()
    assert now is None or now <= crowd.idle_descriptors + 5, (crowd.idle_descriptors, now)
