# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a program that follows GET /_api/events always knows which tunnels live and until when,
# through lost connections and a worker that dies, and costs next to nothing while nothing happens.

import signal
import time

import pytest

from support import proc
from support.daemon import SANITIZED, TOKEN, Daemon
from support.events import Events


def follow(daemon, last=None, token=TOKEN):
    fields = [("Authorization", f"Bearer {token}")]
    if last is not None:
        fields.append(("Last-Event-ID", last))
    client = daemon.connect()
    client.request("GET", "/_api/events", fields)
    return Events(client)


@pytest.fixture
def events(daemon):
    stream = follow(daemon)
    yield stream
    stream.close()


def without(document, *names):
    return {name: value for name, value in document.items() if name not in names}


def test_a_life(api, backend, events):
    tunnel = api.create(backend, auth="bearer", timeout=60, name="a story")
    told = events.next("created")
    assert told == without(tunnel.document, "secret", "share_url")
    assert api.call("PATCH", f"/_api/tunnels/{tunnel.id}", {"timeout": 1}).status == 200
    before = time.monotonic()
    assert events.next("updated")["timeout"] == 1
    told = events.next("ended")
    assert 0.8 < time.monotonic() - before < 3, "it was told when it happened"
    assert told == without(tunnel.show(), "counters") and told["state"] == "expired"
    assert events.silent()


def test_ends_of_each_kind(api, backend, events):
    revoked, exhausted = api.create(backend), api.create(backend, limits={"requests": 1})
    assert [events.next("created")["id"] for _ in range(2)] == [revoked.id, exhausted.id]
    revoked.revoke()
    assert events.next("ended")["state"] == "revoked"
    assert exhausted.get("/").status == 200
    told = events.next("ended")
    assert (told["id"], told["state"]) == (exhausted.id, "exhausted")
    assert api.call("POST", "/_api/tunnels", {"backend": "http://169.254.169.254"}).status == 422
    assert events.silent(), "what never lived is not told"


def test_a_client_that_lost_its_connection(daemon, api, backend):
    events = follow(daemon)
    first = api.create(backend)
    events.next("created")
    events.client.reset()
    second = api.create(backend)
    first.revoke()
    again = follow(daemon, events.place)
    assert again.next("created")["id"] == second.id
    assert again.next("ended")["id"] == first.id
    assert again.silent()
    second.revoke()
    again.close()


def test_a_worker_that_dies(own_daemon, backend):
    """Its streams end; the next one says `reset`, and the list has everything."""
    events = follow(own_daemon)
    tunnel = own_daemon.api.create(backend)
    events.next("created")
    own_daemon.worker().signal(signal.SIGKILL)
    assert events.ended() in ("eof", "reset")
    proc.wait_until(own_daemon.ready, 5, own_daemon.log)
    again = follow(own_daemon, events.place)
    assert again.next("reset") == {}
    assert own_daemon.api.ids() == {tunnel.id}
    tunnel.revoke()
    assert again.next("ended")["id"] == tunnel.id
    assert again.place.partition("-")[0] != events.place.partition("-")[0]
    own_daemon.stop()
    assert again.ended() in ("eof", "reset"), "an orderly stop does not wait for it"


def test_a_restart_that_finds_a_tunnel_over(own_daemon, backend):
    """What ended while nobody was there is in the list behind a `reset`."""
    events = follow(own_daemon)
    tunnel = own_daemon.api.create(backend, timeout=1)
    events.next("created")
    own_daemon.kill()
    time.sleep(1.2)
    own_daemon.start()
    again = follow(own_daemon, events.place)
    assert again.next("reset") == {}
    proc.wait_until(lambda: tunnel.state() == "expired", 5, tunnel.show)
    assert own_daemon.api.ids() == set()


def test_idle_streams_cost_next_to_nothing(report):
    with Daemon(max_event_streams="200") as daemon:
        worker = daemon.worker()
        memory, processor = worker.private_kib(), worker.cpu_seconds()
        streams = [follow(daemon) for _ in range(200)]
        used = worker.cpu_seconds()
        time.sleep(2)
        idle = worker.cpu_seconds() - used
        grown = worker.private_kib() - memory
        report(f"200 event streams: {grown / 200:.1f} KiB each in the API worker, "
               f"{idle:.2f} s of processor in 2 s, {used - processor:.2f} s to open them")
        assert SANITIZED or idle <= 0.02 and grown < 200 * 8, (idle, grown)
        answer = daemon.api.call("GET", "/_api/events")
        assert (answer.status, answer.json()["code"]) == (503, "too_many_connections"), answer
        assert daemon.api.list() == [], "the API works on"
        for stream in streams:
            stream.close()
