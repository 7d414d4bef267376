# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: the API worker and the whole daemon are killed at random moments while tunnels are made and
# revoked. Nothing that was answered is forgotten, and the database is sound every time.
# TUNNELD_KILLS says how often.

import contextlib
import http.client
import os
import random
import shutil
import signal
import sqlite3
import tempfile
import threading
import time

import pytest

from support import proc
from support.api import Api, Refused
from support.daemon import TOKEN, Daemon

KILLS = int(os.environ.get("TUNNELD_KILLS") or 30)
KILLS_A_ROUND = 50  # fits into the time a test has
AT_ONCE = 6  # tunnels of each client


class Client(threading.Thread):
    """Creates and revokes, and remembers what it was told."""

    def __init__(self, port, url):
        super().__init__(daemon=True)
        self.api, self.url, self.over = Api(port, TOKEN, timeout=8), url, threading.Event()
        self.alive_ids, self.revoked, self.created = [], set(), 0
        self.calling = threading.Lock()

    def run(self):
        while not self.over.is_set():
            try:
                with self.calling:
                    self.one()
            except (OSError, http.client.HTTPException, Refused):
                pass  # it is being replaced
            time.sleep(0.005)  # let others have the lock

    def one(self):
        if len(self.alive_ids) < AT_ONCE:
            self.alive_ids.append(self.api.create(self.url, timeout=3600).id)
            self.created += 1
            return
        self.api.expect(200, "PATCH", f"/_api/tunnels/{self.alive_ids[0]}", {"timeout": 1800})
        name = self.alive_ids.pop(0)
        self.api.expect(200, "DELETE", f"/_api/tunnels/{name}")
        self.revoked.add(name)

    def stop(self):
        self.over.set()
        self.join(20)
        self.api.close()


def sound(daemon):
    """Looks at a copy: opening the files could change them."""
    with tempfile.TemporaryDirectory() as folder:
        for file in (daemon.folder / "state").rglob("*.db*"):
            shutil.copy(file, folder)
        database = sqlite3.connect(f"{folder}/tunneld.db")
        try:
            return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        finally:
            database.close()


def agree(daemon, clients):
    """What the API says is what the clients were told, and as many relays live."""
    told = {name for client in clients for name in client.alive_ids}
    revoked = set().union(*(client.revoked for client in clients))
    listed = daemon.api.ids("?limit=1000")
    lost, back, relays = told - listed, revoked & listed, len(daemon.relays())
    return not lost and not back and relays == len(listed) or \
        (f"lost {lost}, back {back}, {relays} relays of {len(listed)}")


def assert_agreement(daemon, clients):
    with contextlib.ExitStack() as held:
        for client in clients:
            held.enter_context(client.calling)
        # What a dead worker has left half-way is tidied up by the next one.
        proc.wait_until(lambda: agree(daemon, clients) is True, 10,
                        lambda: f"{agree(daemon, clients)}\n{daemon.log()[-4000:]}")


@pytest.mark.parametrize("seed", range(1, 1 + max(1, KILLS // KILLS_A_ROUND)))
def test_kills_at_random_moments(backend, report, seed):
    chance, kills = random.Random(seed), min(KILLS, KILLS_A_ROUND)
    with Daemon() as daemon:
        clients = [Client(daemon.port, backend.url()) for _ in range(3)]
        for client in clients:
            client.start()
        workers = 0
        try:
            for number in range(kills):
                time.sleep(chance.uniform(0, 0.25))  # any moment
                if chance.random() < 0.7:
                    workers += 1
                    for worker in daemon.children("tunneld-api"):
                        worker.signal(signal.SIGKILL)
                else:
                    daemon.kill()
                    assert sound(daemon), f"after kill {number}"
                    daemon.start()
                proc.wait_until(daemon.ready, 10, daemon.log)
                if number % 10 == 9:
                    assert_agreement(daemon, clients)
            assert_agreement(daemon, clients)
        finally:
            for client in clients:
                client.stop()
        report(f"{kills} kills, {workers} of the API worker alone, while "
               f"{sum(client.created for client in clients)} tunnels were made")
        daemon.stop()
        assert sound(daemon)
