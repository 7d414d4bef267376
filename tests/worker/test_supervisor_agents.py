# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Agents on their way from the API worker to the relay, through a real supervisor: nothing is lost
# while a relay is replaced or behind, nothing waits for ever, and a worker that lies is ended.

import os
import socket
import time

import pytest
from child import MSG, Channel, readable
from supervisor_stage import EXPIRED, REVOKED, Stage, quiet, tunnel_id
from support import backend, proc

PATIENCE_S = 5    # AGENTS_PATIENCE_MS of supervisor/agents.h
OF_A_TUNNEL = 4   # AGENTS_OF_TUNNEL_MAX
OF_ALL = 16       # AGENTS_WAITING_MAX


@pytest.fixture
def stage():
    with Stage("api", "relay") as stage:
        yield stage


@pytest.fixture
def server():
    with backend.HttpBackend() as server:
        yield server


class Agent:
    """A connection as a worker has it after the 101, and the agent's end of it."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.sock = socket.create_connection(listener.getsockname())
            self.given, _ = listener.accept()
        self.given.setblocking(False)

    def send(self, worker, id_, data=b""):
        worker.send(MSG.AGENT_IN, id_, data, fd=self.given)
        self.given.close()
        return self

    def came_to(self, message):
        """Whether MESSAGE to a relay has this connection."""
        with message.take_socket() as found:
            return found.getpeername() == self.sock.getsockname()

    def cut_off(self, seconds=1):
        """Waits for its end."""
        if not readable(self.sock, seconds):
            return False
        try:
            return self.sock.recv(1) == b""
        except ConnectionError:
            return True


def test_a_pull_tunnel_has_nothing_to_connect_to(stage):
    worker = stage.worker()
    relay, _ = stage.tunnel(worker, "")
    assert relay.config[3] == ""
    relay.send(MSG.DIAL, 1, 0)
    assert relay.killed()
    stage.logged("protocol violation")


def test_an_agent_comes_to_its_relay(stage):
    worker = stage.worker()
    one, two = stage.tunnel(worker, ""), stage.tunnel(worker, "")
    before = stage.supervisor.descriptors()
    for relay, id_ in (one, two):
        for data in (b"", b"x", b"y" * 49152):
            agent = Agent().send(worker, id_, data)
            message = relay.expect(MSG.AGENT)
            assert message.fields == [data] and agent.came_to(message)
    assert quiet(one[0].sock) and quiet(two[0].sock)
    assert stage.supervisor.descriptors() == before


def test_agents_wait_for_the_next_relay(stage):
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, "")
    relay.exit(3)
    assert relay.killed()
    successor = stage.child("relay")
    agents = [Agent().send(worker, id_, b"%d" % i) for i in range(OF_A_TUNNEL)]
    assert Agent().send(worker, id_).cut_off(), "those have room, no more"
    successor.start()
    for i, agent in enumerate(agents):
        message = successor.expect(MSG.AGENT)
        assert message.fields == [b"%d" % i] and agent.came_to(message), "the oldest first"
    assert quiet(successor.sock)


def test_they_do_not_wait_for_ever(stage):
    """A relay that never gets ready is replaced; its agents are cut off, and none is left."""
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, "")
    relay.exit(3)
    assert relay.killed()
    successor = stage.child("relay")
    before = stage.supervisor.descriptors()
    agent, sent = Agent().send(worker, id_), time.monotonic()
    assert agent.cut_off(PATIENCE_S + 2)
    assert PATIENCE_S - 0.1 < time.monotonic() - sent
    stage.logged(f"{id_}: an agent is cut off")
    proc.wait_until(lambda: stage.supervisor.descriptors() <= before, 1, "its descriptor is held")
    del successor


def test_a_relay_that_is_behind_gets_them_in_order(stage):
    """Its channel is full of agents; each comes, or is cut off, and none before an older one."""
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, "")
    agents = [Agent().send(worker, id_, b"%03d" % i + b"z" * 40000) for i in range(40)]
    worker.counters(id_)  # all of them have been taken
    came = []
    while readable(relay.sock, 0.5):
        message = relay.expect(MSG.AGENT)
        number = int(message.fields[0][:3])
        assert agents[number].came_to(message)
        came.append(number)
    assert came == sorted(came) and len(came) >= OF_A_TUNNEL, came
    for number, agent in enumerate(agents):
        assert number in came or agent.cut_off(), f"{number} is lost"


def test_few_wait_in_all(stage):
    worker = stage.worker()
    waiting = []
    for _ in range(OF_ALL // OF_A_TUNNEL + 1):
        relay, id_ = stage.tunnel(worker, "")
        relay.exit(3)
        assert relay.killed()
        waiting.append((stage.child("relay"), id_))
    before = stage.supervisor.descriptors()
    agents = [Agent().send(worker, id_) for _, id_ in waiting for _ in range(OF_A_TUNNEL)]
    worker.counters(waiting[0][1])
    assert stage.supervisor.descriptors() == before + OF_ALL
    assert all(agent.cut_off() for agent in agents[OF_ALL:])
    for relay, _ in waiting[:-1]:
        relay.start()
        for _ in range(OF_A_TUNNEL):
            relay.expect(MSG.AGENT).close()


def share(relay):
    """Of agent_memory, in MiB, as the relay is told next."""
    message = Channel.recv(relay)
    assert message.type == MSG.AGENT_MEMORY, message
    return message.fields[0] >> 20


def test_shares_of_memory():
    """The more pull tunnels there are the less each may keep, and all together never more than is allowed."""
    with Stage("api", "relay", agent_memory="1024") as stage:
        worker = stage.worker()
        tunnels = [stage.tunnel(worker, "") for _ in range(4)]
        relays = [relay for relay, _ in tunnels]
        assert [relay.memory >> 20 for relay in relays] == [1024, 512, 256, 256]
        assert [share(relays[0]), share(relays[0]), share(relays[1])] == [512, 256, 256]
        assert all(quiet(relay.sock) for relay in relays)
        for relay, id_ in tunnels:
            worker.end(id_)
            worker.ended(id_, REVOKED)
        relay, _ = stage.tunnel(worker, "")
        assert relay.memory >> 20 == 512, "it grows again when they are gone"


def test_relays_of_pull_tunnels_are_asked_to_end(stage, server):
    """Others are killed at once, and one that stays is, a second later."""
    worker = stage.worker()
    pull, push = stage.tunnel(worker, "")[0], stage.tunnel(worker, server.url())[0]
    stage.process.terminate()
    assert pull.expect(MSG.DRAIN).fields == []
    assert push.killed(1) and pull.process.alive()
    assert pull.killed(3)


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_those_that_wait_end_with_the_tunnel(stage, how):
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, "", life_ms=1500 if how == "expired" else 60000)
    relay.exit(3)
    assert relay.killed()
    successor = stage.child("relay")
    agent = Agent().send(worker, id_)
    assert quiet(agent.sock)
    if how == "revoked":
        worker.end(id_)
    worker.ended(id_, REVOKED if how == "revoked" else EXPIRED)
    assert agent.cut_off()
    del successor


def test_agents_of_what_is_no_more(stage):
    """It has ended while its agent was answered: nobody's fault."""
    worker = stage.worker()
    _, id_ = stage.tunnel(worker, "")
    worker.end(id_)
    worker.ended(id_, REVOKED)
    assert Agent().send(worker, id_).cut_off()
    assert Agent().send(worker, tunnel_id()).cut_off()
    gone = Agent()
    gone.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    gone.sock.close()  # reset before it was passed on
    other, other_id = stage.tunnel(worker, "")
    gone.send(worker, other_id)
    alive = Agent().send(worker, other_id)
    assert alive.came_to(other.expect(MSG.AGENT))


def test_a_worker_that_dies_with_agents_under_way(stage):
    """Each comes to the relay or is cut off; the next worker can send others."""
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, "")
    agents = [Agent().send(worker, id_, b"%d" % i) for i in range(10)]
    worker.exit(1)
    assert worker.killed()
    worker.close()
    successor = stage.worker(alive=[id_])
    came = set()
    while readable(relay.sock, 0.2):
        message = relay.expect(MSG.AGENT)
        came.add(int(message.fields[0]))
        message.close()
    for number, agent in enumerate(agents):
        assert number in came or agent.cut_off(), f"{number} is lost"
    last = Agent().send(successor, id_)
    assert last.came_to(relay.expect(MSG.AGENT))


def test_a_liar_cannot_pass_an_agent_to_a_push_tunnel(stage, server):
    worker = stage.worker()
    _, id_ = stage.tunnel(worker, server.url())
    Agent().send(worker, id_)
    assert worker.killed()
    stage.logged(rf"api\[{worker.pid}\]: protocol violation")


@pytest.mark.parametrize("what", ["pipe", "listening", "blocking", "datagram", "unconnected"])
def test_a_liar_cannot_pass_what_is_no_connection(stage, what):
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, "")
    pair = socket.socketpair()
    found = {
        "pipe": lambda: os.fdopen(os.pipe()[0], "rb"),
        "listening": lambda: socket.create_server(("127.0.0.1", 0)),
        "blocking": lambda: pair[0],
        "datagram": lambda: socket.socket(type=socket.SOCK_DGRAM),
        "unconnected": socket.socket}[what]()
    if what not in ("pipe", "blocking"):
        found.setblocking(False)
    worker.send(MSG.AGENT_IN, id_, b"", fd=found)
    assert worker.killed()
    stage.logged("protocol violation")
    assert quiet(relay.sock)
    found.close()


@pytest.mark.parametrize("message", [
    (MSG.AGENT_IN, "t-abc", b""), (MSG.AGENT_IN, "t" * 33, b""), (MSG.AGENT, b"")])
def test_what_fits_no_row(stage, message):
    worker = stage.worker()
    worker.send(*message)
    assert worker.killed()
    stage.logged("protocol violation")
