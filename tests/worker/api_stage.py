# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-api with everything around it played by the test: supervisor, gates, clients.

import hashlib
import json
import os
import socket
import sqlite3
import time

from child import MSG, SETTLE, UID, Channel, Child, listener, one_way
from support import proc, wire

TOKEN = "owner-token-of-the-tests-0123456789abcdef"
BOOT = "11111111-2222-3333-4444-555555555555"
URL = "http://127.0.0.1:8080"
PEER = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1]) + (1234).to_bytes(2, "big")
EXPIRED, REVOKED, EXHAUSTED, FAILED = 1, 2, 3, 4
VISITORS, METRICS, CONTROL, PORT = range(4)  # listener_use

# In the order of common/code.h.
CODES = (
    "none tunnel_unknown tunnel_over auth_required auth_failed rate_limited too_many_connections "
    "quota_reached backend_refused backend_timeout backend_bad_response backend_forbidden "
    "agent_offline bad_request misdirected too_large head_too_large invalid token_invalid "
    "token_scope idempotency_expired conflict draining internal").split()


def code(name):
    return CODES.index(name)


def boottime_us(seconds=0):
    """A moment on the clock that drives deadlines, SECONDS from now."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000 + round(seconds * 1e6)


def state_folder(tmp_path):
    """A folder that belongs to the worker."""
    folder = tmp_path / "state"
    folder.mkdir()
    if proc.ROOT:
        os.chown(folder, UID, UID)
        for parent in (tmp_path, *tmp_path.parents):
            if parent.owner() == "root" and parent.stat().st_uid == 0 and str(parent) != "/tmp":
                parent.chmod(parent.stat().st_mode | 0o011)
    return folder


def rows(folder, sql, *values):
    """What a stopped worker has left in its database."""
    with sqlite3.connect(folder / "tunneld.db") as database:
        database.row_factory = sqlite3.Row
        found = [dict(row) for row in database.execute(sql, values)]
    database.close()
    return found


def change(folder, sql, *values):
    with sqlite3.connect(folder / "tunneld.db") as database:
        changed = database.execute(sql, values).rowcount
    database.close()
    if proc.ROOT:  # what this process has created or changed belongs to the worker again
        for path in folder.iterdir():
            os.chown(path, UID, UID)
    return changed


class Spawn:
    """The fields of a SPAWN by name."""

    NAMES = ("request", "id", "name", "backend", "auth", "prefix", "secret_hash", "owner", "life_ms",
             "deadline_us", "max_connections", "max_requests", "max_bytes", "request_rate", "counters",
             "origin", "port")

    def __init__(self, message):
        assert len(message.fields) == len(self.NAMES), message
        self.__dict__.update(zip(self.NAMES, message.fields))


class Client(wire.Client):
    """A client whose connection is in the hands of the worker."""

    def problem(self, status, code_name):
        answer = self.answer()
        return problem(answer, status, code_name)


def problem(answer, status, code_name):
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (status, code_name), answer
    assert answer.fields.get("Content-Type") == "application/problem+json", answer
    said = json.loads(answer.body)
    assert (said["status"], said["code"], said["error"]) == (status, code_name, said["detail"]), said
    assert said["request_id"] and said["title"] and said["type"], said
    return said


class Stage:
    """A worker that is set up and in agreement with its supervisor."""

    SETTINGS = {
        "version": "1.2.3", "boot_id": BOOT, "max_tunnels": 1000,
        "max_timeout": 86400, "default_timeout": 3600, "max_connections": 1000, "request_rate": 0,
        "create_rate": 0, "retention": 86400, "failure_rate": 0, "max_tokens": 100,
        "request_log": 0, "max_event_streams": 8, "idempotency_answers": 100,
        "max_api_connections": 256, "head_timeout": 10_000, "api_timeout": 10_000,
        "agent_rate": 0, "attestation": 3, "control_host": "", "abuse_contact": ""}  # off: no attestor to wait for

    ORIGINS = {"trusted": b"", "path": URL, "port": "", "wildcard": "", "control": False}

    def __init__(self, folder, live=(), ended=(), ready=True, origins=(), **settings):
        self.folder = folder
        self.listener = listener(defer=False)
        sending, receiving = one_way()
        self.gate = Channel(sending)
        self.worker = Child("api", {4: receiving}, folder=folder)
        self.clients = []
        self.setup = self.SETTINGS | settings
        self.origins = self.ORIGINS | dict(origins)
        self.worker.ready()
        if ready:
            self.start(live, ended)

    def set_up(self):
        token = hashlib.sha256(TOKEN.encode()).digest()
        self.worker.send(MSG.ORIGINS, *self.origins.values())
        self.worker.send(MSG.API_SETUP, token, *self.setup.values())

    def start(self, live=(), ended=()):
        """API_SETUP and the agreement about what lives."""
        self.set_up()
        for tunnel, deadline in live:
            self.live(tunnel, deadline)
        for tunnel, reason in ended:
            self.ended(tunnel, reason)
        self.worker.send(MSG.LIVE_DONE)

    def __enter__(self):
        self.worker.__enter__()
        return self

    def __exit__(self, *exception):
        for thing in (*self.clients, self.gate, self.listener):
            thing.close()
        self.worker.__exit__(*exception)

    def log(self):
        return self.worker.log()

    # The supervisor

    def expect(self, type_, **how):
        return self.worker.expect(type_, **how)

    def spawn(self):
        return Spawn(self.expect(MSG.SPAWN))

    def spawned(self, spawn, seconds=None):
        deadline = boottime_us(spawn.life_ms / 1000 if seconds is None else seconds)
        self.worker.send(MSG.SPAWNED, spawn.request, deadline, "path", 0)
        return deadline

    def active(self, spawn):
        """The same, and waits until the worker knows: no answer tells when."""
        self.spawned(spawn)
        proc.wait_until(lambda: self.state(spawn.id) == "active", SETTLE, f"{spawn.id} is not active")

    def live(self, tunnel, deadline, counters=(0,) * 7):
        self.worker.send(MSG.LIVE, tunnel, deadline, *counters)

    def ended(self, tunnel, reason, counters=(0,) * 7):
        self.worker.send(MSG.ENDED, tunnel, reason, *counters)

    def acknowledged(self, tunnel):
        assert self.expect(MSG.ENDED_ACK).fields == [tunnel]

    def stop(self, live=()):
        """
        An orderly end; the database can be looked at afterwards. LIVE: (id, deadline, counters) of
        what lives, which the supervisor tells a last time before it.
        """
        for tunnel in live:
            self.live(*tunnel)
        if live:
            self.worker.send(MSG.LIVE_DONE)
        self.worker.send(MSG.STOP)
        self.expect(MSG.STOPPED)
        assert self.worker.wait() == 0

    # Clients by way of the gates

    def client(self, **how):
        """A connection that has been accepted and not yet been handed over."""
        client = Client(self.listener.getsockname()[:2], **how)
        client.accepted, _ = self.listener.accept()
        client.accepted.setblocking(False)
        self.clients.append(client)
        return client

    def hand_over(self, client, data=None, use=VISITORS):
        """Passes it to the worker with what it has sent so far, as a gate does that USEs its listener so."""
        if data is None:
            while b"\r\n\r\n" not in (data := client.accepted.recv(48 * 1024, socket.MSG_PEEK)):
                pass
            client.accepted.recv(len(data))
        self.gate.send(MSG.VISITOR, PEER, use, False, "", data, fd=client.accepted)
        client.accepted.close()
        return client

    def ask(self, method, path, body=None, *, token=TOKEN, fields=(), use=VISITORS, **how):
        """Sends a request; the answer is the caller's to read."""
        fields = list(fields)
        if token:
            fields.append(("Authorization", f"Bearer {token}"))
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            fields.append(("Content-Type", "application/json"))
        client = self.client()
        client.request(method, path, fields, body, **how)
        return self.hand_over(client, use=use)

    def call(self, method, path, body=None, **how):
        """One exchange on a connection of its own."""
        client = self.ask(method, path, body, **how)
        answer = client.answer(method)
        client.close()
        return answer

    def create(self, life=None, *, backend="http://127.0.0.1:3000", token=TOKEN, **members):
        """A tunnel, a pull tunnel without BACKEND: what its creator was told."""
        if backend:
            members["backend"] = backend
        client = self.ask("POST", "/_api/tunnels", members, token=token)
        spawn = self.spawn()
        self.spawned(spawn, life)
        answer = client.answer()
        assert answer.status == 201, answer
        client.close()
        return json.loads(answer.body)

    def delete(self, tunnel):
        client = self.ask("DELETE", f"/_api/tunnels/{tunnel}")
        end = self.expect(MSG.END)
        assert end.fields[1:] == [tunnel, REVOKED], end
        self.ended(tunnel, REVOKED)
        self.acknowledged(tunnel)
        answer = client.answer()
        assert (answer.status, json.loads(answer.body)) == (200, {"ok": True}), answer

    def show(self, tunnel, counters=(0,) * 7):
        """GET of one tunnel, with counters when it is active."""
        client = self.ask("GET", f"/_api/tunnels/{tunnel}")
        while not client.readable(0.01):
            if not self.worker.readable(0):
                continue
            got = self.worker.recv()
            if got.type == MSG.LOG:
                self.worker.logged.append(tuple(got.fields))
                continue
            assert got.type == MSG.COUNTERS_GET and got.fields[1] == tunnel, got
            self.worker.send(MSG.COUNTERS, got.fields[0], *counters)
        answer = client.answer()
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def state(self, tunnel):
        return self.show(tunnel)["state"]

    def ids(self, query=""):
        answer = self.call("GET", "/_api/tunnels" + query)
        assert answer.status == 200, answer
        return [entry["id"] for entry in json.loads(answer.body)]

    def works(self):
        answer = self.call("GET", "/healthz", token=None)
        assert answer.status == 200, answer
        return True
