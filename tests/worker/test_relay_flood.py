# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A relay that has been taken over and sends a million messages: senseless, meant for others, too
# many to read, but none for which it would be killed at once. It costs nobody else anything: other
# tunnels serve as before, get new connections to their backend, are made and end on time, and
# neither the supervisor's memory nor the log grows.

import contextlib
import multiprocessing
import os
import socket
import time

import msgpack
import pytest
from child import MSG
from supervisor_stage import EXPIRED, FAILED, REVOKED, Stage, boottime_us

from support import backend, wire
from support.daemon import SANITIZED

MESSAGES = int(os.environ.get("TUNNELD_MESSAGES", 1_000_000))
SLOWER = 0.050  # seconds by which, on a busy machine, others' p99 may be higher meanwhile
GROWTH_KIB = 20_000 if SANITIZED else 1024
LOG_BYTES = 100_000
LOG_BYTES_A_SECOND = 20_000  # a child's ten lines, and those of the tunnels made meanwhile


@pytest.fixture
def server():
    with backend.HttpBackend() as server:
        yield server


@pytest.fixture
def stage():
    with Stage("api", "relay") as stage:
        yield stage


def messages(epoch):
    """One round of what it sends, packed; those with True come with a descriptor."""
    pack = lambda type_, *fields, epoch=epoch: msgpack.packb([int(type_), epoch, *fields])
    return [
        (pack(MSG.LOG, 2, "a line of a relay that has much to say " + "x" * 200), False),
        (pack(MSG.LOG, 3, "a\n2026-01-01T00:00:00Z error   forged"), False),
        (pack(MSG.DIAL, 1, 0, epoch=epoch + 1), False),
        (pack(MSG.DIAL, 1, 0, epoch=0), False),
        (pack(MSG.USED_UP, "bytes", epoch=epoch - 1), False),
        (pack(MSG.LOG, 1, "x", epoch=2**32 - 1), False),
        (pack(MSG.PAGE_OUT, 3, False, 0, epoch=epoch + 1), True),
        (pack(MSG.DIAL, 2**64 - 1, 16), False),  # no such attempt: refused, which it reads
    ]


def flood(sock, epoch, count, sent, stop):
    """In a process of its own: the relay. It reads what it is told so that it may go on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        whole = messages(epoch)
        sock.setblocking(True)
        number = 0
        while number < count and not stop.value:
            for data, with_descriptor in whole:
                if with_descriptor:
                    socket.send_fds(sock, [data], [listener.fileno()])
                else:
                    sock.send(data)
                number += 1
            sent.value = number
            with contextlib.suppress(BlockingIOError):
                while True:
                    sock.recv(4096, socket.MSG_DONTWAIT)


class Others:
    """An honest tunnel's visitors; times of their requests in seconds."""

    def __init__(self, stage, tunnel):
        self.stage, self.tunnel = stage, tunnel
        self.kept = wire.Client(stage.address)

    def measure(self, count, what):
        took = []
        for _ in range(count):
            begin = time.monotonic()
            what()
            took.append(time.monotonic() - begin)
        return sorted(took)

    def request(self):
        assert self.kept.exchange("GET", f"/t/{self.tunnel}/").status == 200

    def connection(self):
        """With a connection to the backend that the supervisor has to make."""
        assert self.stage.visit(self.tunnel) == 200


def describe(times):
    return f"p50 {1000 * times[len(times) // 2]:.2f}, p99 {1000 * times[len(times) * 99 // 100]:.2f} ms"


def test_a_million_messages(stage, server, report):
    worker = stage.worker()
    honest = stage.real_tunnel(worker, server.url())
    liar, id_ = stage.tunnel(worker, server.url())
    others = Others(stage, honest)
    others.measure(50, others.request)
    calm = others.measure(300, others.request), others.measure(300, others.connection)
    memory, log, cpu = stage.supervisor.rss_anon_kib(), len(stage.log()), stage.supervisor.cpu_seconds()

    sent, stop = multiprocessing.Value("Q", 0), multiprocessing.Value("b", 0)
    process = multiprocessing.get_context("fork").Process(
        target=flood, args=(liar.sock, liar.epoch, MESSAGES, sent, stop), daemon=True)
    begin = time.monotonic()
    process.start()
    try:
        busy = [], []
        while process.is_alive():
            busy[0].extend(others.measure(20, others.request))
            busy[1].extend(others.measure(20, others.connection))
            assert liar.process.alive(), stage.log()[-2000:]
            # Made and over in time.
            spawn = worker.spawn(server.url(), life_ms=150)
            stage.child("relay").ready()
            deadline = worker.spawned(spawn)
            worker.ended(spawn[1], EXPIRED)
            assert boottime_us() - deadline < 300_000
    finally:
        stop.value = 1
        process.join(30)
    took = time.monotonic() - begin
    assert sent.value >= MESSAGES and process.exitcode == 0, (sent.value, process.exitcode)

    for name, before, meanwhile in zip(("requests", "connections"), calm, map(sorted, busy)):
        report(f"a relay sends {sent.value} messages in {took:.1f} s; others' {name}: {describe(before)} before, "
               f"{describe(meanwhile)} meanwhile ({len(meanwhile)} of them)")
        assert meanwhile[len(meanwhile) * 99 // 100] < before[len(before) * 99 // 100] + SLOWER
    growth, lines = stage.supervisor.rss_anon_kib() - memory, len(stage.log()) - log
    report(f"meanwhile the supervisor used {stage.supervisor.cpu_seconds() - cpu:.1f} s of processor time, grew by "
           f"{growth} KiB, and the log by {lines} bytes")
    assert growth < GROWTH_KIB and lines < LOG_BYTES + LOG_BYTES_A_SECOND * took, (growth, lines, took)
    worker.end(id_)
    worker.ended(id_, REVOKED)
    others.kept.close()


def test_violations_without_end(stage, server):
    """What it is killed for it can do five times; then its tunnel is given up, and others are as before."""
    worker = stage.worker()
    honest = stage.real_tunnel(worker, server.url())
    memory = stage.supervisor.rss_anon_kib()
    for _ in range(10):
        liar, id_ = stage.tunnel(worker, server.url())
        for attempt in range(5):
            with contextlib.suppress(OSError):
                for _ in range(1000):
                    liar.raw(os.urandom(100))
            assert stage.visit(honest) == 200
            if attempt < 4:
                liar = stage.child("relay").start()
        worker.ended(id_, FAILED)
    assert stage.supervisor.rss_anon_kib() - memory < GROWTH_KIB
