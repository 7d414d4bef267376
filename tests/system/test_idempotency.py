# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a script that creates a tunnel over a bad line repeats its request until it has an answer, and
# has one tunnel in the end, with its secret.

import random
import signal
import threading
import time
import uuid

import pytest

from support import proc
from support.api import Api, Tunnel


def key():
    return {"Idempotency-Key": str(uuid.uuid4())}


def ask(api, backend, fields, **members):
    return api.call("POST", "/_api/tunnels", {"backend": backend.url()} | members, fields=fields)


def known(api, answer):
    """The tunnel of a 201, whose secret must not be in the log."""
    assert answer.status == 201, answer
    return Tunnel(api, answer.json())


def test_repeating_a_request_finds_the_same_tunnel(api, backend):
    fields = key()
    answers = [ask(api, backend, fields) for _ in range(3)]
    assert len({answer.body for answer in answers}) == 1
    assert len({tuple(answer.fields.items()) for answer in answers}) == 1
    tunnel = known(api, answers[0])
    assert tunnel.get("/").status == 401
    assert tunnel.get("/", tunnel.bearer()).status == 200
    assert api.ids() == {tunnel.id}
    tunnel.revoke()


def test_a_line_that_breaks_before_the_answer(daemon, backend):
    """With a key the tunnel waits for its creator, without one it is of no use."""
    for fields in (key(), {}):
        before = daemon.api.ids()
        with daemon.connect() as client:
            body = b'{"backend":"%s"}' % backend.url().encode()
            client.request("POST", "/_api/tunnels", [
                ("Authorization", f"Bearer {daemon.api.token}"), *fields.items()], body)
            client.reset()
        if not fields:
            proc.wait_until(lambda: daemon.api.ids() == before, 3, daemon.api.list)
            continue
        answers = []

        def answered():
            answers.append(daemon.api.call("POST", "/_api/tunnels", body, fields=fields))
            return answers[-1].status != 409
        proc.wait_until(answered, 3, lambda: answers)
        tunnel = known(daemon.api, answers[-1])
        assert tunnel.get("/", tunnel.bearer()).status == 200
        assert daemon.api.ids() == before | {tunnel.id}
        tunnel.revoke()


def test_many_at_once_with_one_key(daemon, backend):
    fields, answers = key(), []

    def repeat():
        api = Api(daemon.port, daemon.api.token)
        while (answer := ask(api, backend, fields)).status == 409:
            assert answer.json()["code"] == "conflict", answer
            assert answer.fields["Retry-After"] == "1"
        answers.append(answer)
        api.close()

    threads = [threading.Thread(target=repeat) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.body for answer in answers}) == 1 and len(answers) == 8, answers
    tunnel = known(daemon.api, answers[0])
    assert daemon.api.ids() == {tunnel.id}
    tunnel.revoke()


def test_another_request_needs_another_key(api, backend):
    fields = key()
    tunnel = known(api, ask(api, backend, fields))
    answer = ask(api, backend, fields, timeout=60)
    assert (answer.status, answer.json()["code"]) == (422, "invalid"), answer
    assert api.ids() == {tunnel.id}
    tunnel.revoke()


def test_a_failure_is_not_kept(api, backend):
    fields = key()
    refused = api.call("POST", "/_api/tunnels", {"backend": "http://169.254.169.254"}, fields=fields)
    assert (refused.status, refused.json()["code"]) == (422, "backend_forbidden"), refused
    known(api, ask(api, backend, fields)).revoke()


@pytest.mark.parametrize("end", ["worker", "restart", "kill"])
def test_after_a_death_the_tunnel_can_be_found(own_daemon, backend, end):
    fields = key()
    tunnel = known(own_daemon.api, ask(own_daemon.api, backend, fields))
    own_daemon.die(end)
    answer = ask(own_daemon.api, backend, fields)
    assert (answer.status, answer.json()["code"]) == (409, "idempotency_expired"), answer
    assert answer.fields["Location"] == f"/_api/tunnels/{tunnel.id}"
    own_daemon.api.expect(200, "DELETE", answer.fields["Location"])
    assert ask(own_daemon.api, backend, fields).status == 409, "and it stays so"
    assert own_daemon.api.ids() == set()


def test_whenever_the_worker_dies_there_is_one_tunnel_for_a_key(own_daemon, backend, report):
    """kill -9 of the worker somewhere around the commit and the answer, while the client repeats."""
    outcomes = {"answered": 0, "found": 0}
    for round_ in range(12):
        fields, stop = key(), threading.Event()

        def kill():
            stop.wait(random.uniform(0, 0.006))
            own_daemon.worker().signal(signal.SIGKILL)

        before, killer = own_daemon.api.ids("?state=all"), threading.Thread(target=kill)
        killer.start()
        limit = time.monotonic() + 10
        while True:
            try:
                answer = ask(own_daemon.api, backend, fields)
            except OSError:
                answer = None
            if answer and (answer.status == 201 or answer.json()["code"] == "idempotency_expired"):
                break
            assert time.monotonic() < limit, answer
            time.sleep(0.02)
        killer.join()
        proc.wait_until(own_daemon.ready, 5, own_daemon.log)
        if answer.status == 201:
            outcomes["answered"] += 1
            own = known(own_daemon.api, answer).id
        else:
            outcomes["found"] += 1
            own = answer.fields["Location"].rpartition("/")[2]
        assert own not in before
        assert own_daemon.api.ids() == {own}, f"round {round_}"
        own_daemon.api.expect(200, "DELETE", f"/_api/tunnels/{own}")
    report(f"12 deaths of the worker around a POST with a key: {outcomes}")


def test_hostile_keys(daemon, backend):
    body = b'{"backend":"%s"}' % backend.url().encode()
    before = daemon.api.ids()
    for value in ("", '"', '"a', "a b", "\x7f", "\xff", "a" * 256, '"' + "\\" * 255, "a" * 8000):
        with daemon.connect() as client:
            answer = client.exchange("POST", "/_api/tunnels", [
                ("Authorization", f"Bearer {daemon.api.token}"), ("Idempotency-Key", value)], body)
            assert answer.status in (400, 431), (value, answer)
    assert daemon.api.ids() == before
