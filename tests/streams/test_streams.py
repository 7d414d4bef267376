# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whatever visitors and backends send through the whole server, nothing crashes, hangs or
# leaks, a clean request is answered meanwhile, and what comes out on either side is proper HTTP.
#
# TUNNELD_STREAMS is how many (20,000), TUNNELD_SEED where the sequence begins. scripts/test streams
# runs it with sanitizers, and without, where a small leak can be seen; the full million is
# TUNNELD_STREAMS=1000000.

import collections
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from parsers import readers, rules
from streams.visitors import Visitors
from support import proc
from support.backend import HttpBackend
from support.daemon import SANITIZED, Daemon
from support.grammar import Grammar

STREAMS = int(os.environ.get("TUNNELD_STREAMS", 20_000))
SEED = int(os.environ.get("TUNNELD_SEED", 1))
ROUND = 1000  # streams between two looks
PER_DAEMON = STREAMS // 2
GROWTH_KIB = 48 * 1024 if SANITIZED else 320  # of a process, from a tenth of the way to the end
LIVELY_S = 5


class RawBackend:
    def __enter__(self):
        path = pathlib.Path(__file__).with_name("backend.py")
        self.process = subprocess.Popen([sys.executable, path, str(SEED)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def url(self, scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port}"

    def __exit__(self, *_):
        if self.process.stdin:
            self.seen()

    def seen(self):
        output, _ = self.process.communicate(timeout=10)
        self.process.stdin = None
        return json.loads(output)


class Watch:
    """That everything is as it was: processes, descriptors, memory, answers to clean requests."""

    def __init__(self, daemon, tunnel):
        self.daemon, self.tunnel = daemon, tunnel
        self.processes = set(daemon.everyone())
        self.memory = None
        self.slowest = 0
        self.look()  # with what a first request leaves behind, a kept connection perhaps
        self.descriptors = self.count_descriptors()

    def count_descriptors(self):
        return {process: process.descriptors() for process in self.processes}

    def measure(self):
        return {process: process.rss_anon_kib() for process in self.processes}

    def look(self):
        begin = time.monotonic()
        answer = self.tunnel.get("/clean")
        took = time.monotonic() - begin
        assert answer.status == 200, answer
        assert took < LIVELY_S, f"{took:.1f} s for a clean request"
        assert self.daemon.get("/healthz").status == 200
        assert set(self.daemon.everyone()) == self.processes, "a process was replaced"
        self.slowest = max(self.slowest, took)

    def growth(self):
        return {process: now - self.memory[process] for process, now in self.measure().items()}

    def nothing_left(self):
        proc.wait_until(lambda: self.count_descriptors() == self.descriptors, 15,
                        lambda: f"descriptors {self.count_descriptors()}, before {self.descriptors}")
        growth = self.growth()
        assert max(growth.values()) < GROWTH_KIB, f"memory grew: {growth}"
        return growth


def all_proper(kind, messages):
    """What comes out of a relay reads well as far as it goes, and llhttp, if it is here, agrees."""
    cases = [(kind, message[:readers.CASE_MAX]) for message in messages]
    ours = readers.program("parser_ours")(cases)
    for case, result in zip(cases, ours):
        assert result.verdict != b"R", (case, result)
    try:
        theirs = readers.program("parser_llhttp")(cases)
    except FileNotFoundError:
        return
    for (_, data), mine, other in zip(cases, ours, theirs):
        rules.classify("llhttp", data, mine, other)


@pytest.mark.parametrize("reuse", ["visitor", "shared"])
def test_streams(reuse, report):
    signal.alarm(100 + PER_DAEMON // 50)  # instead of the usual deadline
    with RawBackend() as raw, HttpBackend() as honest, Daemon(
            backend_reuse=reuse, head_timeout="5", idle_timeout="5", gates="2",
            request_rate="0") as daemon:
        create = functools.partial(daemon.api.create, timeout=86400)
        tunnels = [create(raw), create(raw, prefix="keep"), create(raw, auth="bearer"), create(raw.url("tcp"))]
        clean = create(honest)
        visitors = Visitors(daemon.address, [tunnel.prefix for tunnel in tunnels], Grammar(SEED))
        watch = Watch(daemon, clean)
        begin = time.monotonic()
        for number in range(0, PER_DAEMON, ROUND):
            visitors.run(min(ROUND, PER_DAEMON - number))
            watch.look()
            assert not visitors.hung, visitors.hung
            all_proper(readers.RESPONSE, visitors.answers)
            visitors.answers.clear()
            if watch.memory is None and number >= PER_DAEMON // 10:
                watch.memory = watch.measure()
        took = time.monotonic() - begin
        growth = watch.nothing_left()
        seen = raw.seen()
        assert not seen["faults"], f"not a proper request: {seen['faults']}"
        all_proper(readers.REQUEST, map(bytes.fromhex, seen["requests"]))
        assert seen["connections"] > PER_DAEMON / 5, seen
        daemon.judge_log()
    by_role = collections.defaultdict(list)
    for process, kib in growth.items():
        by_role[process.role].append(kib)
    report(f"streams, backend_reuse={reuse}: {PER_DAEMON} in {took:.0f} s ({PER_DAEMON / took:.0f} a second), "
           f"{dict(visitors.kinds)}, {seen['connections']} connections to the backend; outcomes "
           f"{dict(visitors.outcomes.most_common(12))}; slowest clean request {1000 * watch.slowest:.0f} ms; "
           f"memory grew by {dict(by_role)} KiB")
