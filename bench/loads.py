# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The loads, each a function from a running target to what one measurement gave.

import json
import os
import statistics
import subprocess
import time

from support import daemon, proc

import targets

GIB = 1 << 30
IDLE = 5000
MANY = 5000
STARTED = 200  # tunnels started to time one


def cpu_seconds(pid):
    """Of a process and its threads, by the scheduler's account."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def machine_busy():
    """Seconds all cores have been busy, whoever with."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_until_quiet(seconds=30):
    """Until others leave the cores alone for half a second, or not any longer."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        before = machine_busy()
        time.sleep(0.5)
        if machine_busy() - before < 0.08:
            return


class Load:
    """A run of bench-load against a target: ready() once it has warmed up, then result()."""

    def __init__(self, target, mode, **options):
        words = [word for key, value in options.items() for word in (f"-{key}", str(value))]
        fields = [word for field in target.fields for word in ("-H", field)] + ["-t"] * target.tls
        self.process = subprocess.Popen(
            [daemon.BUILD / "bench/bench-load", mode, str(target.port), target.path, *words, *fields],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ready(self):
        assert self.process.stdout.readline() == "ready\n", "the load failed"

    def result(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline() or "null")


def run(target, backend, mode, **options):
    """Adds to what bench-load says the processor time of the target and of strangers."""
    theirs = [process.pid for process in target.processes()]
    agents = [process.pid for process in target.agents()] if hasattr(target, "agents") else []
    cpu = lambda pids: sum(map(cpu_seconds, pids))
    with Load(target, mode, **options) as load:
        load.ready()
        before, busy, backends = cpu(theirs), machine_busy(), cpu([backend.process.pid])
        of_agents = cpu(agents)
        result = load.result()
        assert result and result["failed"] == 0, f"{target.name}: {result}"
        result["cpu"] = cpu(theirs) - before
        result["agent"] = cpu(agents) - of_agents
        others = machine_busy() - busy - result["client_cpu"]
        if target is not backend:
            others -= result["cpu"]
        others -= cpu([backend.process.pid]) - backends
        result["noise"] = max(0, others / result["seconds"])
    return result


def closed_loop(mode, connections):
    def measure(target, backend, options):
        result = run(target, backend, mode, c=connections, d=options.seconds,
                     w=min(1, options.seconds / 2))
        return {
            "rate": result["done"] / result["seconds"],
            "cpu": result["cpu"] / result["done"], "agent": result["agent"] / result["done"],
            "p50": result["p50_us"], "p99": result["p99_us"], "noise": result["noise"],
        }
    return measure


def bulk(mode):
    def measure(target, backend, options):
        result = run(target, backend, mode, n=GIB)
        return {
            "rate": result["bytes"] / result["seconds"],
            "cpu": result["cpu"] * GIB / result["bytes"],
            "agent": result["agent"] * GIB / result["bytes"], "noise": result["noise"],
        }
    return measure


def pss_kib(target):
    return sum(process.pss_kib() for process in target.processes())


def agent_pss_kib(target):
    return sum(process.pss_kib() for process in target.agents()) if hasattr(target, "agents") else 0


def idle(target, backend, options):
    target.stop()  # memory as it is after a fresh start
    target.start()
    before, of_agents = pss_kib(target), agent_pss_kib(target)
    with Load(target, "idle", c=IDLE) as load:
        load.ready()
        pss, agents = pss_kib(target) - before, agent_pss_kib(target) - of_agents
        result = load.result()
    assert result["opened"] == IDLE, f"{target.name}: {result}"
    return {"pss": pss / IDLE, "agent": agents / IDLE}


def start(target, backend, options):
    """A relay's start by itself; a tunnel's by the API, with its memory."""
    uid = ["-u", "60001"] if proc.ROOT else []
    spawned = json.loads(subprocess.run(
        [daemon.BUILD / "bench/bench-spawn", daemon.BUILD, *uid],
        check=True, capture_output=True, text=True).stdout)
    fresh = targets.Tunneld("tunneld", backend, tunnels=STARTED)
    fresh.start()
    try:
        before, posts = pss_kib(fresh), []
        for _ in range(STARTED):
            begin = time.monotonic()
            fresh.create()
            posts.append(time.monotonic() - begin)
        pss = pss_kib(fresh) - before
    finally:
        fresh.stop()
    return spawned | {"post": statistics.median(posts), "pss": pss / STARTED}


def many(target, backend, options):
    fresh = targets.Tunneld("tunneld", backend, tunnels=MANY)
    fresh.start()
    try:
        for _ in range(MANY):
            fresh.create()
        return {"pss": pss_kib(fresh)}
    finally:
        fresh.stop()
