# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The supervisor gives ports away: to one tunnel each, the old one back to a tunnel it restores, and
# whatever the API worker says.

import pytest

from child import MSG, USE
from supervisor_stage import REVOKED, Stage
from support import daemon

BACKEND = "http://127.0.0.1:9"


@pytest.fixture
def stage():
    first = daemon.free_ports(2)
    with Stage("api", port_pool=f"{first}-{first + 1}", wildcard_domain="t.example") as staged:
        staged.pool = (first, first + 1)
        yield staged


def found(worker, spawn):
    worker.spawned(spawn)
    return worker.found


def test_each_gets_its_own(stage):
    worker = stage.worker()
    first, second, third = (found(worker, worker.spawn(BACKEND)) for _ in range(3))
    assert {first[1], second[1]} == set(stage.pool) and third[1] == 0
    assert {first[0], second[0], third[0]} == {"wildcard"}
    worker.spawn_failed(worker.spawn(BACKEND, origin="port"), "quota_reached", "every port of port_pool is taken")


def test_who_wants_none_gets_none(stage):
    worker = stage.worker()
    assert found(worker, worker.spawn(BACKEND, origin="path")) == ["path", 0]
    assert found(worker, worker.spawn(BACKEND, origin="wildcard")) == ["wildcard", 0]
    assert found(worker, worker.spawn(BACKEND, origin="port"))[0] == "port"


def test_the_old_one_comes_back(stage):
    worker = stage.worker()
    wanted = stage.pool[1]
    assert found(worker, worker.spawn(BACKEND, origin="port", port=wanted)) == ["port", wanted]
    # Another tunnel that says it had this one gets another, and then none; it lives all the same.
    assert found(worker, worker.spawn(BACKEND, origin="port", port=wanted)) == ["port", stage.pool[0]]
    assert found(worker, worker.spawn(BACKEND, origin="port", port=wanted)) == ["wildcard", 0]
    assert found(worker, worker.spawn(BACKEND, origin="port", port=1)) == ["wildcard", 0]


def test_a_port_rests_but_not_for_its_tunnel(stage):
    worker = stage.worker()
    spawn = worker.spawn(BACKEND, origin="port")
    _, port = found(worker, spawn)
    worker.end(spawn[1])
    worker.ended(spawn[1], REVOKED)
    _, other = found(worker, worker.spawn(BACKEND, origin="port"))
    assert other != port
    worker.spawn_failed(worker.spawn(BACKEND, origin="port"), "quota_reached", "rests for a minute")
    assert found(worker, worker.spawn(BACKEND, origin="port", port=port)) == ["port", port]


@pytest.mark.parametrize("origin", ["Path", "none", "p"])
def test_a_worker_that_asks_for_what_there_is_not(stage, origin):
    worker = stage.worker()
    worker.spawn(BACKEND, origin=origin)
    assert worker.closed()
    stage.logged("protocol violation")


def test_a_gate_learns_whose_a_port_is():
    first = daemon.free_port()
    with Stage("api", "gate", port_pool=f"{first}-{first}", control_listen=f"127.0.0.1:{daemon.free_port()}") as stage:
        gate, worker = stage.child("gate").ready(), stage.worker()
        origins = ["http://127.0.0.1:%d" % stage.port, "http://127.0.0.1:{port}", "", True]
        gate.settings(MSG.GATE_SETUP)
        assert gate.origins[1:] == worker.origins[1:] == origins
        told = {}
        for _ in range(3):
            message = gate.expect(MSG.LISTENER)
            told[USE(message.fields[1])] = message.fields[0]
            message.close()
        assert set(told) == {USE.VISITORS, USE.CONTROL, USE.PORT}
        spawn = worker.spawn(BACKEND)
        added = gate.expect(MSG.ROUTE_ADD)
        assert added.fields == [spawn[1], told[USE.PORT]]
        assert found(worker, spawn) == ["port", first]
