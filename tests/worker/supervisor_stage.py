# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld whose children, of the roles a test names, are played by the test (liar.c):
#
#     with Stage("api", "relay") as stage:
#         worker = stage.worker()                    # sealed, READY, set up
#         spawn = worker.spawn(backend.url())        # SPAWN is sent
#         relay = stage.child("relay").ready()       # ... or .be_real()
#         relay.settings(MSG.RELAY_SETUP)
#         worker.spawned(spawn)
#
# The supervisor finds its programs beside its own: the stage is a folder with copies of them.

import collections
import hashlib
import os
import pathlib
import re
import secrets
import shutil
import socket
import time

import msgpack

from child import MSG, SETTLE, Channel, Message, readable
from support import daemon, proc, wire

PROGRAMS = {role: f"tunneld-{role}" for role in ("gate", "api", "relay", "resolve", "attest", "edge")}
MARK = b"LIAR-SOCKET:"
REACHED = 31  # what READY claims: everything
EXPIRED, REVOKED, EXHAUSTED, FAILED = 1, 2, 3, 4
REFUSED, TIMEOUT, FORBIDDEN, UNRESOLVED, EMPTY = 1, 2, 3, 4, 5  # enum dial_failure
HASH = hashlib.sha256(b"secret").digest()

Counters = collections.namedtuple(
    "Counters", "connections open requests bytes_in bytes_out last_activity agents")


def codes():
    """Numbers of enum code by name."""
    text = (pathlib.Path(__file__).parents[2] / "common" / "code.h").read_text()
    names = re.findall(r"^\tCODE_(\w+)", text, re.MULTILINE)
    return {name.lower(): number for number, name in enumerate(names)}


CODE = codes()


def tunnel_id():
    return "t-" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(26))


def boottime_us(seconds=0):
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + round(seconds * 1e6)


def quiet(sock):
    """Sends nothing more from the other side: its end, or nothing within a moment."""
    return not readable(sock, 0.1)


def holds(process, count):
    """Waits until it has that many descriptors: a copy just sent is closed a moment later."""
    proc.wait_until(lambda: process.descriptors() == count, 5,
                    lambda: f"{process} holds {process.descriptors()}, expected {count}")


class Played(Channel):
    """A child of the supervisor that the test plays: its control channel, and its process."""

    def __init__(self, role, epoch, pid, line, fds):
        """LINE leads to the stand-in, FDS are its descriptors from 3 on."""
        super().__init__(socket.socket(fileno=fds[0]), int(epoch))
        self.sock.setblocking(True)
        self.role, self.pid, self.line, self.fds = role, int(pid), line, fds[1:]
        try:
            self.process = proc.Process(self.pid)
        except ProcessLookupError:
            self.process = None  # has been ended already

    # What it becomes

    def tell(self, word):
        self.line.send(word.encode())

    def lie(self, sealed=True):
        """Looks sealed from outside; the test speaks for it from now on."""
        self.tell("lie" if sealed else "unsealed")
        assert self.line.recv(1) == b"\0", "the stand-in died"
        return self

    def ready(self):
        self.lie()
        self.send(MSG.READY, REACHED)
        return self

    def settings(self, type_):
        """What it is told first: where requests come from, then its own settings."""
        self.origins = self.expect(MSG.ORIGINS).fields
        return self.expect(type_).fields

    def be_real(self):
        """Becomes the real program; the test has no part in it any more."""
        self.tell(f"be {daemon.program(PROGRAMS[self.role])}")
        self.close()

    def exit(self, status):
        self.tell(f"exit {status}")

    # Its end

    def killed(self, seconds=SETTLE):
        """Waits for its process to be gone; what it held is closed, except its control channel."""
        if not readable(self.line, seconds) or self.line.recv(256):
            return False
        if self.process:
            proc.wait_until(lambda: not self.process.alive(), seconds, f"{self.process} is there")
        self._drop()
        return True

    def _drop(self):
        while self.fds:
            os.close(self.fds.pop())

    def close(self):
        super().close()
        self.line.close()
        self._drop()


class Gate(Played):
    def setup(self, routes=(), listeners=1):
        """What every new gate is sent, with these tunnels first; returns the listening sockets."""
        self.settings(MSG.GATE_SETUP)
        added = [self.expect(MSG.ROUTE_ADD).fields[0] for _ in routes]
        assert sorted(added) == sorted(routes)
        return [self.expect(MSG.LISTENER).take_socket() for _ in range(listeners)]


class Resolver(Played):
    def asked(self):
        self.ready()
        return self.expect(MSG.RESOLVE).fields[0]

    def answer(self, *addresses):
        packed = (
            socket.inet_pton(socket.AF_INET6, a if ":" in a else f"::ffff:{a}") for a in addresses)
        self.send(MSG.RESOLVED, b"".join(packed))


class Relay(Played):
    """A relay; with start() its tunnel lives as far as it is concerned. `memory`: its share, of a pull tunnel."""

    _request = 0

    def start(self):
        self.ready()
        self.config = msgpack.unpackb(self.settings(MSG.RELAY_SETUP)[0])
        if self.config[3] == "":
            self.memory = self.expect(MSG.AGENT_MEMORY).fields[0]
        return self

    def recv(self, *how, **kwhow):
        """Another share may come at any time."""
        while (message := super().recv(*how, **kwhow)) and message.type == MSG.AGENT_MEMORY and hasattr(self, "memory"):
            self.memory = message.fields[0]
        return message

    def counters(self, **values):
        """Writes what it has counted."""
        page = Counters(0, 0, 0, 0, 0, 0, 0)._replace(**values)
        os.pwrite(self.fds[1], b"".join(value.to_bytes(8, "little") for value in page), 0)

    def dial(self, attempt=0):
        """Asks for a connection: (socket, attempts there are) or the reason why not."""
        Relay._request += 1
        self.send(MSG.DIAL, Relay._request, attempt)
        answer = self.recv()
        assert answer.fields[0] == Relay._request, answer
        if answer.type == MSG.DIAL_FAILED:
            return answer.fields[1]
        assert answer.type == MSG.DIALED, answer
        return answer.take_socket(), answer.fields[1]

    def visitor(self):
        """The next visitor that the gates hand over."""
        with Channel(socket.socket(fileno=os.dup(self.fds[0]))) as visitors:
            message = visitors.recv()
            assert message.type == MSG.VISITOR, message
            return message.take_socket(), message.fields


class Worker(Played):
    """An API worker."""

    _request = 0

    def start(self, alive=(), ended=()):
        """READY; takes what a new worker is told, which must be this."""
        self.ready()
        self.told = self.settings(MSG.API_SETUP)
        self.expect_told(alive, ended)
        return self

    def expect_told(self, alive=(), ended=()):
        told = [self.expect(MSG.LIVE) for _ in alive]
        assert {message.fields[0] for message in told} == set(alive)
        self.expect(MSG.LIVE_DONE)
        for id_, reason in ended:
            self.ended(id_, reason)
        return told

    def spawn(self, backend, id_=None, **changes):
        """Sends SPAWN; returns (request, id)."""
        Worker._request += 1
        id_ = id_ or tunnel_id()
        fields = {
            "request": Worker._request, "id": id_, "name": "", "backend": backend, "auth": "none",
            "prefix": "strip", "secret_hash": HASH, "owner": True, "life_ms": 60000,
            "deadline_us": 0, "max_connections": 0, "max_requests": 0, "max_bytes": 0,
            "request_rate": 0, "counters": b"", "origin": "", "port": 0} | changes
        self.send(MSG.SPAWN, *fields.values())
        return Worker._request, id_

    def spawned(self, spawn):
        """Waits for SPAWNED; returns the deadline. Where the tunnel is found is kept in `found`."""
        answer = self.expect(MSG.SPAWNED)
        self.found = answer.fields[2:]
        assert answer.fields[0] == spawn[0], f"answer to another: {answer}"
        return answer.fields[1]

    def spawn_failed(self, spawn, code, detail=""):
        answer = self.expect(MSG.SPAWN_FAILED)
        request, number, text = answer.fields
        assert (request, number) == (spawn[0], CODE[code]), answer
        assert re.search(detail, text), answer

    def end(self, id_, reason=REVOKED):
        self.send(MSG.END, 0, id_, reason)

    def ended(self, id_, reason, seconds=SETTLE):
        """Waits for ENDED; returns the counters. Does not acknowledge."""
        fields = self.expect(MSG.ENDED, seconds).fields
        assert fields[:2] == [id_, reason]
        return Counters(*fields[2:])

    def counters(self, id_):
        self.send(MSG.COUNTERS_GET, 7, id_)
        fields = self.expect(MSG.COUNTERS).fields
        assert fields[0] == 7
        return Counters(*fields[1:])

    def visitor(self):
        """The next visitor that the gates hand over."""
        return Relay.visitor(self)


KINDS = {"gate": Gate, "api": Worker, "relay": Relay, "resolve": Resolver,
         "attest": Played}


class Stage(daemon.Daemon):
    """ROLES are played by the test; the other programs are the real ones."""

    def __init__(self, *roles, **options):
        # One gate: with two, the second may not be there yet when the first serves already.
        # No attestor: what it has workers told comes at any time. Tests of it switch it on.
        super().__init__(**{"gates": 1, "attestation": "off"} | options)
        self.allowed_in_log = "protocol violation"
        self.folder.chmod(0o755)
        self._programs(roles)
        path = str(self.folder / "stage")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        os.chmod(path, 0o777)
        self._listener.listen(512)
        self._waiting = {role: [] for role in PROGRAMS}
        self._all = []

    def _programs(self, roles):
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        shutil.copy(daemon.program(), self.bin)
        for role, name in PROGRAMS.items():
            shutil.copy(daemon.program("liar" if role in roles else name), self.bin / name)
            if role in roles:
                self._address(self.bin / name)

    def _address(self, path):
        """Writes the address of the stage into a copy of the stand-in."""
        content = path.read_bytes()
        assert content.count(MARK) == 1
        place = content.index(MARK) + len(MARK)
        address = str(self.folder / "stage").encode() + b"\0"
        path.write_bytes(content[:place] + address + content[place + len(address):])

    def command(self):
        return [str(self.bin / "tunneld"), *super().command()[1:]]

    def ready(self):
        return True

    # Its children

    def child(self, role, seconds=SETTLE):
        """The next process of this role, at the very start of its life."""
        limit = time.monotonic() + seconds
        while not self._waiting[role]:
            left = max(0, limit - time.monotonic())
            assert readable(self._listener, left), f"no new {role} in {seconds} s\n{self.log()}"
            line, _ = self._listener.accept()
            introduction, fds, _, _ = socket.recv_fds(line, 256, 8)
            if not introduction:
                line.close()  # was ended before it could say a word
                continue
            name, epoch, pid = introduction.decode().split()
            found = name.removeprefix("tunneld-")
            played = KINDS[found](found, epoch, pid, line, fds)
            self._all.append(played)
            self._waiting[found].append(played)
        return self._waiting[role].pop(0)

    def no_child(self, role, seconds):
        """Whether no process of this role is started in that time."""
        try:
            self._waiting[role].append(self.child(role, seconds))
        except AssertionError:
            return True
        return False

    def worker(self, **told):
        return self.child("api").start(**told)

    def tunnel(self, worker, backend, **changes):
        """A live tunnel: (relay, id). Where relays are real ones the relay is None."""
        spawn = worker.spawn(backend, **changes)
        relay = self.child("relay").start() if "relay" in self._played() else None
        worker.spawned(spawn)
        return relay, spawn[1]

    def real_tunnel(self, worker, backend, **changes):
        """A live tunnel whose relay is real though relays are played: its id."""
        spawn = worker.spawn(backend, **changes)
        self.child("relay").be_real()
        worker.spawned(spawn)
        return spawn[1]

    def _played(self):
        return [role for role, name in PROGRAMS.items()
                if MARK in (self.bin / name).read_bytes()]

    def logged(self, pattern, seconds=SETTLE):
        """Waits for a line that matches; returns it."""
        def find():
            return re.search(f"^.*(?:{pattern}).*$", self.log(), re.MULTILINE)
        return proc.wait_until(find, seconds, lambda: f"{pattern!r} in\n{self.log()}").group()

    # Visitors

    def visit(self, id_, path="/", timeout=10):
        """The status a visitor of the tunnel gets."""
        with wire.Client(self.address, timeout=timeout) as client:
            return client.exchange("GET", f"/t/{id_}{path}").status

    def close(self):
        try:
            self.process.terminate()
            for played in self._all:  # which ends them
                played.close()
            self.process.wait(10)
            self.lines = self.log().splitlines()
            super().close()
        finally:
            self._listener.close()
