# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: crowds cost what they must cost and leave nothing behind. Sizes are a tenth of what tunneld
# is made for, so that this can run anywhere; TUNNELD_LOAD=full is the real thing. How long
# something took is told, not judged: that depends on the machine and on who else is using it.

import os
import time

import pytest

from support import proc
from support.crowd import Backend, Player
from support.daemon import Daemon
from support.up import Up

FULL = os.environ.get("TUNNELD_LOAD") == "full"


def sized(full):
    return full if FULL else full // 10


def memory(process):
    return process.pss_kib() if proc.ROOT else process.rss_anon_kib()


def in_all(processes):
    return sum(memory(process) for process in processes)


def milliseconds(times):
    return (f"p50 {times['p50_us'] / 1000:.2f} ms, p99 {times['p99_us'] / 1000:.2f} ms, "
            f"longest {times['max_us'] / 1000:.1f} ms of {times['n']}")


@pytest.fixture
def crowd_backend():
    with Backend() as serving:
        yield serving


# ---- WebSockets


def test_many_idle_websockets(crowd_backend, report):
    tunnels, sockets, seconds = sized(50), sized(10000), 4
    with Daemon() as daemon:
        made = [daemon.api.create(crowd_backend, timeout=3600) for _ in range(tunnels)]
        relays = daemon.relays()
        before = in_all(daemon.everyone())
        with Player("sockets", daemon.port, sockets, sockets // 10, seconds,
                    *(tunnel.prefix for tunnel in made)) as crowd:
            begin = time.monotonic()
            assert crowd.next(90) == {"open": sockets}
            took = time.monotonic() - begin
            each = (in_all(daemon.everyone()) - before) / sockets
            cpu = sum(process.cpu_seconds() for process in daemon.everyone())
            time.sleep(1)  # the time measured over
            idle = sum(process.cpu_seconds() for process in daemon.everyone()) - cpu
            crowd.go()
            times = crowd.next(30)
        report(f"{sockets} WebSockets over {tunnels} tunnels: opened in {took:.1f} s, {each:.2f} KiB each, "
               f"idle {1000 * idle:.0f} ms of processor time a second; echoes: {milliseconds(times)}")
        assert (times["unanswered"], times["lost"]) == (0, 0), times
        assert times["late"] == 0, f"an echo took more than a second: {times}"
        assert times["n"] >= sockets // 10 * seconds * 0.9, times
        assert each < 4, f"{each:.2f} KiB for each"
        assert idle < 0.5, f"{idle:.2f} s of processor time in a second of doing nothing"
        assert daemon.relays() == relays
        shown = [tunnel.show() for tunnel in made]
        assert sum(entry["counters"]["connections"] for entry in shown) == sockets


# ---- tunnels that come and go


AT_ONCE = 50


def come_and_go(daemon, backend):
    """A batch is created, used and deleted. Returns how long creating took, one by one."""
    took, made = [], []
    for _ in range(AT_ONCE):
        begin = time.monotonic()
        made.append(daemon.api.create(backend, auth="bearer"))
        took.append(time.monotonic() - begin)
    for tunnel in made:
        assert tunnel.get("/", tunnel.bearer()).body == b"ok"
    for tunnel in made:
        tunnel.revoke()
    return took


def descriptors(daemon):
    return {repr(process): process.descriptors() for process in daemon.everyone()}


def test_tunnels_come_and_go_and_leave_nothing(crowd_backend, report):
    """Not a process, not a descriptor, no growing memory; and no row, once forgetting is due."""
    count = sized(5000)
    with Daemon(retention="1s") as daemon:
        for _ in range(4):  # what grows once, grows now
            come_and_go(daemon, crowd_backend)
        everyone, open_before = daemon.everyone(), descriptors(daemon)
        before = {process: memory(process) for process in everyone}
        took, begin = [], time.monotonic()
        for _ in range(count // AT_ONCE):
            took += come_and_go(daemon, crowd_backend)
        seconds = time.monotonic() - begin
        proc.wait_until(lambda: daemon.everyone() == everyone, 2, daemon.everyone)
        after = {process: memory(process) for process in everyone}
        took.sort()
        report(f"{count} tunnels came and went in {seconds:.1f} s, creating one took "
               f"p50 {1000 * took[len(took) // 2]:.1f} ms; KiB before and after: "
               + ", ".join(f"{p.role} {before[p]} {after[p]}" for p in everyone))
        assert descriptors(daemon) == open_before
        for process in everyone:
            # SQLite's page cache and the index of its log are still filling: both are bounded.
            most = 2500 if process.role == "tunneld-api" else 128
            assert after[process] - before[process] < most, (process, before, after)
        assert daemon.api.list() == []
        daemon.restart()
        proc.wait_until(lambda: daemon.api.list("?state=all") == [], 10,
                        lambda: f"{len(daemon.api.list('?state=all'))} rows are left")


# ---- readers that do not read


def pipes(process):
    """How many there are: what they hold, 256 KiB each at most, cannot be seen."""
    links = [os.readlink(f"/proc/{process.pid}/fd/{name}") for name in os.listdir(f"/proc/{process.pid}/fd")]
    return sum(link.startswith("pipe:") for link in links) // 2


def kernel_queues(visitors_port, backend_port):
    """KiB that the kernel holds for us: towards visitors, and from the backend."""
    to_visitors = from_backend = 0
    with open("/proc/net/tcp") as file:
        for line in file.readlines()[1:]:
            _, local, remote, _, queues = line.split()[:5]
            sent, received = (int(number, 16) for number in queues.split(":"))
            if int(local.split(":")[1], 16) == visitors_port:
                to_visitors += sent
            if int(remote.split(":")[1], 16) == backend_port:
                from_backend += received
    return to_visitors >> 10, from_backend >> 10


def test_slow_readers_cost_little_and_disturb_nobody(crowd_backend, report):
    """One tunnel with them and one without, asked in turns: what else the machine does hits both."""
    readers, size, rounds = 64, sized(64 << 20), 12
    with Daemon() as daemon:
        slow, relay = daemon.create_with_relay(crowd_backend)
        quiet, _ = daemon.create_with_relay(crowd_backend)
        with (Player("readers", daemon.port, readers, size, slow.prefix) as crowd,
              Player("gets", daemon.port, 150, slow.prefix) as beside,
              Player("gets", daemon.port, 150, quiet.prefix) as apart):
            assert crowd.next() == {"reading": readers}
            beside.next(), apart.next()
            with proc.MemoryWatch(lambda: [relay]) as watch:
                times = {beside: [], apart: []}
                for _ in range(rounds):
                    for player in (apart, beside):
                        player.go()
                        times[player].append(player.next())
                if proc.ROOT:
                    report(f"a relay with {readers} slow readers holds {pipes(relay)} pipes")
                report("the kernel's queues then: %d KiB towards visitors, %d KiB from the backend"
                       % kernel_queues(daemon.port, crowd_backend.port))
                crowd.go()
                assert crowd.next(100) == {"complete": readers, "bad": 0}
        best = {player: min(times[player], key=lambda each: each["p99_us"]) for player in times}
        ratio = best[beside]["p99_us"] / best[apart]["p99_us"]
        highest = watch.highest[relay]
        report(f"{readers} slow readers of {size >> 20} MiB: the relay's memory was {highest} KiB at most; "
               f"best of {rounds} rounds beside them {milliseconds(best[beside])}, "
               f"on another tunnel {milliseconds(best[apart])}")
        assert highest < 32 << 10
        assert ratio < 2, f"{ratio:.2f} x: {times}"


@pytest.mark.seconds(900)  # all of them: visitors come one after the other
def test_many_slow_visitors_of_one_agent(crowd_backend, report):
    """
    What they do not read is bounded, in the relay and in the agent, and others are served meanwhile. When it
    is too many, those go of whom most is kept.
    """
    # The kernel keeps up to a megabyte for each: all of them need gigabytes of net.ipv4.tcp_mem.
    visitors, seconds = 9990 if FULL else 400, 6
    with Daemon(max_connections_per_tunnel="10000") as daemon:
        with Up(f"http://127.0.0.1:{daemon.port}", crowd_backend.port, "-q", "--auth", "none") as up:
            prefix = "/t/" + up.url().split("/t/")[1].rstrip("/")
            (relay,) = daemon.relays()
            with proc.MemoryWatch(lambda: [relay]) as watch, \
                    Player("paced", daemon.port, visitors, 1000, 3000, 1000 * seconds, 1 << 30, prefix) as slow:
                assert slow.next(600) == {"reading": visitors}
                with Player("gets", daemon.port, 2000, prefix) as beside:
                    beside.next()
                    beside.go()
                    times = beside.next(60)
                kept, agent = slow.next(90), up.rss()
            highest = watch.highest[relay]
            report(f"{visitors} slow visitors of one agent: {kept['cut']} were cut; the relay's memory was {highest} KiB at "
                   f"most, the agent has {agent} KiB; beside them {milliseconds(times)}")
            assert kept["behind"] == 0, kept
            assert kept["cut"] == 0 or FULL, kept
            assert highest < 3 * (128 << 10)
            assert agent < 64 << 10
