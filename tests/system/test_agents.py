# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Pull tunnels as their owner lives with them: agents come, go, are killed, come back, and share; what
# visitors notice of it, and that a tunnel's end is an end for them too.

import concurrent.futures
import contextlib
import signal
import ssl
import threading
import time

import pytest

from support import proc
from support.agents import Agent, Command, connected
from support.api import Api
from support.cut import Watched
from support.daemon import Daemon, TlsDaemon, free_port
from support.rawagent import NOTICE, OPEN, RawAgent
from support.up import Up


LIFE_S = 5  # time enough for two agents to come


@pytest.fixture
def pull(api):
    made = api.pull()
    yield made
    api.call("DELETE", f"/_api/tunnels/{made.id}")


@pytest.fixture(params=[Agent, Command], ids=["python", "tunnel"])
def agent_of(request):
    """agent_of(tunnel, backend): an agent of either kind, killed in the end whatever becomes of the test."""
    started = []

    def start(tunnel, backend, **how):
        started.append(request.param(tunnel, backend.url(), **how))
        return started[-1]
    yield start
    for agent in started:
        agent.kill()


def name_of(tunnel):
    """Which agent has answered."""
    answer = tunnel.get("/")
    assert answer.status == 200, answer
    return answer.text()


# ---- coming in

def test_agent_and_owner_tokens(api, pull, backend):
    other = api.pull()
    for token in (None, api.token):
        with RawAgent(pull, token=token) as agent:
            connected(pull)
            agent.serve("raw")
            assert name_of(pull) == "raw"
        connected(pull, 0)
    for token in (other.document["agent"]["token"], "wrong"):
        assert RawAgent(pull, token=token).answer.status == 401


def test_by_the_visitors_address_and_by_that_of_the_api():
    control = free_port()
    with Daemon(control_listen=f"127.0.0.1:{control}") as daemon:
        with contextlib.closing(Api(control, daemon.api.token)) as api:
            tunnel = api.pull()
            for port in (daemon.port, control):
                with RawAgent(tunnel, port=port) as agent:
                    connected(tunnel)
                    agent.serve("raw")
                    assert name_of(tunnel) == "raw"
                connected(tunnel, 0)


def test_what_visitors_send_arrives_as_it_was(pull, backend, agent_of):
    with agent_of(pull, backend):
        echo = pull.reach("/a/b?c=d", [("X-Own", "kept")])
        assert echo["target"] == "/a/b?c=d"
        fields = {name.lower(): value for name, value in echo["fields"]}
        assert fields["x-own"] == "kept" and fields["host"] == f"127.0.0.1:{backend.port}", fields


def test_the_secret_is_asked_for_before_an_agent_hears_of_it(api, backend, agent_of):
    tunnel = api.pull(auth="bearer")
    with agent_of(tunnel, backend):
        assert tunnel.get("/").status == 401
        assert not backend.received
        assert tunnel.get("/", tunnel.bearer()).status == 200


def test_the_service_is_down(pull):
    with Agent(pull, f"http://127.0.0.1:{free_port()}"):
        answer = pull.get("/")
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (502, "backend_refused"), answer


# ---- nobody there

def test_without_an_agent_visitors_wait_and_are_told(backend):
    with Daemon(agent_grace="1") as daemon:
        tunnel = daemon.api.pull()
        began = time.monotonic()
        answer = tunnel.get("/")
        waited = time.monotonic() - began
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (503, "agent_offline"), answer
        assert int(answer.fields.get("Retry-After")) >= 1
        assert 0.9 < waited < 3, waited


def test_an_agent_that_comes_in_time_is_not_missed(pull, backend, agent_of):
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(pull.ask, "POST", "/sink", body=b"x" * 100_000) for _ in range(5)]
        time.sleep(0.2)
        assert not any(answer.done() for answer in waiting)
        with agent_of(pull, backend):
            for answer in waiting:
                assert answer.result(10).status == 200


# ---- going and coming back

def test_killed_and_restarted_during_a_hundred_requests(pull, backend, report, agent_of):
    """None fails: none of them had begun its answer when its agent died."""
    begun = threading.Semaphore(0)

    def slow(received, request, stream):
        backend.absorb(received, request, stream)
        begun.release()
        time.sleep(0.3)
        stream.send(b"HTTP/1.1 200 Fine\r\nContent-Length: 4\r\n\r\nslow")
        return True
    backend.route("/slow", slow)
    agent = agent_of(pull, backend)
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(pull.get, "/slow") for _ in range(100)]
        for _ in range(30):
            assert begun.acquire(timeout=10)
        agent.kill()
        began = time.monotonic()
        agent_of(pull, backend, wait=False)
        assert pull.get("/").status == 200
        back = time.monotonic() - began
        statuses = [answer.result(30).status for answer in answers]
    assert statuses == [200] * 100, statuses
    report(f"the first answer {1000 * back:.0f} ms after the start of the next agent")
    assert back < agent.STARTS_S, back


def test_an_answer_that_has_begun_is_cut(pull, backend, agent_of):
    feed = backend.feed("/feed", b"HTTP/1.1 200 Fine\r\nContent-Length: 100\r\n\r\n")
    with agent_of(pull, backend) as agent:
        with pull.connect() as visitor:
            visitor.request("GET", pull.target("/feed"))
            answer = visitor.answer_head()
            feed.send(b"beginning")
            assert visitor.take(9) == b"beginning" and answer.status == 200
            agent.kill()
            assert visitor.ended() == "reset", "a cut must not look like an end"


def test_what_cannot_be_repeated_is_refused_and_not_repeated(pull, backend, agent_of):
    """A POST whose body has left is not sent twice."""
    tap = backend.tap("/tap")
    with agent_of(pull, backend) as agent, pull.connect() as visitor:
        visitor.request("POST", pull.target("/tap"), [("Content-Length", "20")])
        visitor.send(b"half of it")
        assert tap.wait(10) == b"half of it"
        agent.kill()
        with agent_of(pull, backend):
            answer = visitor.answer("POST")
            assert answer.status in (502, 503), answer
            assert pull.get("/").status == 200
    assert sum(received.path == "/tap" for received in backend.received) == 1


def test_the_newest_connection_of_an_instance_counts(pull):
    with RawAgent(pull, "one") as old:
        visitor = pull.connect()
        visitor.request("GET", pull.target("/"))
        stream, _ = old.request()
        with RawAgent(pull, "one") as new:
            assert old.hear(NOTICE) == [NOTICE, "replaced", 0]
            new.serve("new")
            assert [name_of(pull) for _ in range(5)] == ["new"] * 5
            old.reply(stream, b"old")  # what was open on it goes on to its end
            assert visitor.answer().body == b"old"
            assert old.closed()[0] == 4000
            connected(pull, 1)
            assert name_of(pull) == "new"
        visitor.close()


def test_instances_share_the_load(pull):
    with RawAgent(pull, "one") as one, RawAgent(pull, "two") as two:
        visitors = [pull.connect() for _ in range(10)]
        for visitor in visitors:
            visitor.request("GET", pull.target("/"))
        opened = [[agent.request(2) for _ in range(5)] for agent in (one, two)]
        assert all(all(requests) for requests in opened), opened
        assert one.hear(OPEN, 0.1) is None and two.hear(OPEN, 0.1) is None
        for agent, requests in zip((one, two), opened):
            for stream, _ in requests:
                agent.reply(stream, b"x")
        for visitor in visitors:
            assert visitor.answer().status == 200
            visitor.close()


def test_one_of_two_dies(pull, backend, agent_of):
    with agent_of(pull, backend) as one:
        with agent_of(pull, backend, wait=False):
            connected(pull, 2)
            one.kill()
            assert [pull.get("/").status for _ in range(20)] == [200] * 20
            connected(pull, 1)


def test_agents_are_told_of_the_end(api):
    tunnel = api.pull(timeout=90)
    with RawAgent(tunnel) as agent:
        kind, what, seconds = agent.hear(NOTICE)
        assert what == "expiring" and 85 <= seconds <= 90, seconds
    tunnel.revoke()


# ---- the end

@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_the_end_cuts_agents_too(api, backend, how, agent_of):
    tunnel = api.pull(timeout=LIFE_S if how == "expired" else 600)
    began = time.monotonic()
    own = agent_of(tunnel, backend)
    raw = RawAgent(tunnel)
    connected(tunnel, 2)
    watched = Watched("agent", raw.stream)
    if how == "revoked":
        tunnel.revoke()
        latest = time.monotonic() + 0.1
    else:
        latest = began + LIFE_S + 0.3
    watched.join()
    assert watched.how == "reset", watched
    assert watched.end <= latest, f"{watched.end - latest:+.3f} s late"
    assert own.exited() == own.AFTER[how], "the next attempt is answered 410"
    assert RawAgent(tunnel).answer.status == 410


@pytest.mark.parametrize("how", ["worker", "kill", "restart"])
def test_restarts_are_survived(backend, how, agent_of):
    """A dead API worker costs nothing; a dead tunneld a moment, and the URL stays the same."""
    with Daemon() as daemon:
        tunnel = daemon.api.pull()
        with agent_of(tunnel, backend) as agent:
            with tunnel.connect() as visitor:
                assert visitor.exchange("GET", tunnel.target("/")).status == 200
                daemon.die(how)
                if how == "worker":  # not even the visitor's connection
                    assert visitor.exchange("GET", tunnel.target("/")).status == 200
            proc.wait_until(lambda: tunnel.get("/").status == 200, 15, "the tunnel does not work again")
            assert agent.running()
        proc.wait_until(daemon.ready, 10, "not ready")
        connected(tunnel, 0)
        with agent_of(tunnel, backend):
            assert tunnel.get("/").status == 200


def test_agents_are_told_that_the_server_stops(backend):
    """By NOTICE and close code; one that does not listen keeps nobody waiting for long."""
    with Daemon() as daemon:
        tunnel = daemon.api.pull()
        with RawAgent(tunnel, "one") as raw, Up(f"http://127.0.0.1:{daemon.port}", backend.port, "--auth", "none") as up:
            up.url()
            deaf = RawAgent(tunnel, "deaf")
            connected(tunnel, 2)
            relays = daemon.relays()
            daemon.process.terminate()
            assert raw.hear(NOTICE) == [NOTICE, "draining", 0]
            assert raw.closed() == (1001, "the server is stopping")
            up.expect("the server is about to stop")
            assert daemon.process.wait(10) == 0
            daemon.expect_gone(relays)
            daemon.start()
            up.expect("connected again", seconds=30)
            deaf.close()


def test_agents_that_came_by_tls_are_told_too():
    """The edge stays until the relay has gone."""
    with TlsDaemon() as daemon:
        tunnel = daemon.api.pull()
        with RawAgent(tunnel, port=daemon.tls_address[1], tls=ssl._create_unverified_context()) as agent:
            connected(tunnel)
            daemon.process.terminate()
            assert agent.hear(NOTICE) == [NOTICE, "draining", 0]
            assert agent.closed() == (1001, "the server is stopping")
        assert daemon.process.wait(10) == 0


def test_a_crashed_relay_gets_its_agent_back(own_daemon, backend, agent_of):
    tunnel = own_daemon.api.pull()
    with agent_of(tunnel, backend):
        assert tunnel.get("/").status == 200
        (relay,) = own_daemon.relays()
        relay.signal(signal.SIGKILL)
        own_daemon.expect_gone([relay])
        assert tunnel.get("/").status == 200
        connected(tunnel)


def test_the_log_tells_of_agents(own_daemon, backend):
    tunnel = own_daemon.api.pull()
    with RawAgent(tunnel, "laptop", agent="raw/7"):
        connected(tunnel)
    connected(tunnel, 0)
    log = own_daemon.log()
    assert "agent laptop (raw/7) is there" in log and "agent laptop is gone" in log, log
    assert tunnel.document["agent"]["token"] not in log
