# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: GET /metrics says what operators need, in the format of Prometheus, on its own listener only,
# and without a word about who visits what.

import http.client
import signal
import socket
import time

import pytest

from support import api, metrics, proc, tls, wire
from support.backend import HttpBackend, head
from support.daemon import Daemon, TlsDaemon, free_port
from support.rawagent import RawAgent

SECRET_NAME = "name-nobody-may-read"


@pytest.fixture(scope="module")
def daemon():
    port = free_port()
    with Daemon(metrics_listen=f"127.0.0.1:{port}", max_tunnels="20") as running:
        running.metrics_address = ("127.0.0.1", port)
        yield running


def ask(daemon, target="/metrics", method="GET", fields=()):
    """By http.client: what is answered here is no answer of the API that openapi.json describes."""
    connection = http.client.HTTPConnection(*daemon.metrics_address, timeout=10)
    try:
        connection.request(method, target, headers=dict(fields))
        return api.Answer(connection.getresponse())
    finally:
        connection.close()


def scrape(daemon):
    answer = ask(daemon)
    assert answer.status == 200, answer
    return metrics.parse(answer.body.decode("ascii"))


class Watch:
    """What one number has grown by since the watch was made."""

    def __init__(self, daemon):
        self.daemon, self.before = daemon, scrape(daemon)

    def grown(self, name, **labels):
        return metrics.get(scrape(self.daemon), name, **labels) - metrics.get(self.before, name, **labels)

    def until(self, wanted, name, **labels):
        proc.wait_until(lambda: self.grown(name, **labels) == wanted, 5, lambda: (
            f"{name} {labels} grew by {self.grown(name, **labels)}, not by {wanted}"))


@pytest.fixture
def watch(daemon):
    return Watch(daemon)


# ---- the format and the listener

def test_the_answer_is_prometheus_text(daemon):
    answer = ask(daemon)
    assert answer.fields.get("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    found = metrics.parse(answer.body.decode("ascii"))
    assert all(name.startswith("tunneld_") for name, _ in found)
    assert metrics.get(found, "start_time_seconds") == pytest.approx(time.time(), abs=600)
    assert [pairs for name, pairs in found if name == "tunneld_build_info"] == [(("version", "0.1.0"),)]


def test_head_has_the_same_length_and_no_body(daemon):
    answer = ask(daemon, method="HEAD")
    assert (answer.status, answer.body) == (200, b"") and int(answer.fields.get("Content-Length")) > 1000


@pytest.mark.parametrize("target", [
    "/", "/metrics/", "/metricsx", "/Metrics", "/healthz", "/readyz", "/_api/version", "/_api/tunnels",
    "/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/", "/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/", "//metrics"])
def test_there_is_nothing_else(daemon, target):
    answer = ask(daemon, target, fields=[("Authorization", f"Bearer {daemon.api.token}")])
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (404, "not_found"), answer


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "PUT"])
def test_other_methods_find_nothing(daemon, method):
    assert ask(daemon, method=method).status == 404


def test_a_live_tunnel_is_not_reached_by_it(daemon, backend):
    tunnel = daemon.api.create(backend)
    answer = ask(daemon, tunnel.target("/"))
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (404, "not_found"), answer
    assert tunnel.get("/").status == 200
    tunnel.revoke()


def test_visitors_find_no_metrics(daemon):
    token = [("Authorization", f"Bearer {daemon.api.token}")]
    for fields in ((), token):
        answer = daemon.get("/metrics", fields)
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (404, "not_found"), answer


def test_a_backend_cannot_be_the_listener(daemon):
    host, port = daemon.metrics_address
    answer = daemon.api.call("POST", "/_api/tunnels", {"backend": f"http://{host}:{port}"})
    assert (answer.status, answer.json()["code"]) == (422, "backend_forbidden"), answer


def test_without_the_key_there_are_none(own_daemon):
    assert own_daemon.get("/metrics").status == 404
    assert "metrics" not in own_daemon.log()


# ---- the numbers

def test_the_life_of_a_tunnel(daemon, backend, watch):
    tunnel = daemon.api.create(backend)
    assert watch.grown("tunnels", state="active") == 1
    assert watch.grown("tunnel_start_seconds_count") == 1
    assert watch.grown("process_starts_total", role="relay") == 1
    assert watch.grown("processes", role="relay") == 1
    tunnel.revoke()
    watch.until(0, "tunnels", state="active")
    watch.until(0, "tunnels", state="ending")
    assert watch.grown("tunnel_ends_total", reason="revoked") == 1
    assert watch.grown("processes", role="relay") == 0


@pytest.mark.parametrize("role,program", [
    ("gate", "tunneld-gate"), ("edge", "tunneld-edge"), ("api", "tunneld-api"),
    ("attestor", "tunneld-attest")])
def test_processes_that_are_always_there(daemon, role, program):
    """As many as there are children of that program."""
    assert metrics.get(scrape(daemon), "processes", role=role) == len(daemon.children(program)) > 0


def test_ends_by_reason(daemon, backend, watch):
    daemon.api.create(backend, timeout=1)
    used = daemon.api.create(backend, limits={"requests": 1})
    assert used.get("/").status == 200
    watch.until(1, "tunnel_ends_total", reason="exhausted")
    watch.until(1, "tunnel_ends_total", reason="expired")


def test_traffic_is_counted_and_stays_when_the_tunnel_is_gone(daemon, backend, watch):
    tunnel = daemon.api.create(backend)
    with tunnel.connect() as visitor:
        for _ in range(3):
            assert visitor.exchange("POST", tunnel.target("/"), body=b"x" * 1000).status == 200
        watch.until(1, "visitor_connections")
    numbers = [("visitor_connections_total", {}, 1), ("requests_total", {}, 3),
               ("visitor_bytes_total", {"direction": "in"}, 3000)]
    for name, labels, wanted in numbers:
        watch.until(wanted, name, **labels)
    sent = watch.grown("visitor_bytes_total", direction="out")
    assert sent > 0
    tunnel.revoke()
    watch.until(0, "tunnels", state="ending")
    for name, labels, wanted in numbers:
        assert watch.grown(name, **labels) == wanted, name
    assert watch.grown("visitor_bytes_total", direction="out") == sent
    assert watch.grown("visitor_connections") == 0


def test_counters_never_fall(daemon, backend):
    """Also when relays crash, and with them what only their page knew."""
    tunnel, relay = daemon.create_with_relay(backend, auth="bearer")
    before = scrape(daemon)
    for round_ in range(4):
        assert tunnel.get("/").status == 401
        assert tunnel.get("/", tunnel.bearer()).status == 200
        if round_ == 1:
            relay.signal(signal.SIGKILL)
        proc.wait_until(lambda: metrics.get(scrape(daemon), "tunnels", state="replacing") == 0, 5, "back")
        after = scrape(daemon)
        fallen = [(key, n, after[key]) for key, n in before.items()
                  if "_total" in key[0] and after[key] < n]
        assert not fallen
        before = after
    tunnel.revoke()


def test_refusals_of_relays(daemon, backend, watch):
    tunnel = daemon.api.create(backend, auth="bearer")
    assert tunnel.get("/").status == 401
    assert tunnel.get("/", [("Authorization", "Bearer wrong")]).status == 401
    assert daemon.get(tunnel.target("/"), [("Sec-Fetch-Mode", "navigate")]).status == 401  # a page
    assert watch.grown("refusals_total", by="relay", code="auth_required") == 2
    assert watch.grown("refusals_total", by="relay", code="auth_failed") == 1
    assert watch.grown("refusals_total", by="api", code="auth_required") == 0, "counted twice"


def test_a_backend_that_is_not_there(daemon, watch):
    port = free_port()
    tunnel = daemon.api.create(f"http://127.0.0.1:{port}")
    assert tunnel.get("/").status == 502
    assert watch.grown("dials_total") >= 1
    assert watch.grown("refusals_total", by="relay", code="backend_refused") == 1


def test_refusals_of_the_api(daemon, watch):
    assert daemon.api.call("GET", "/_api/tunnels", token="wrong").status == 401
    assert daemon.get("/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/").status == 404
    assert watch.grown("refusals_total", by="api", code="token_invalid") == 1
    assert watch.grown("refusals_total", by="api", code="tunnel_unknown") == 1


def test_tunnels_that_were_not_started(daemon, watch):
    answer = daemon.api.call("POST", "/_api/tunnels", {"backend": "http://169.254.169.254/"})
    assert answer.status == 422
    assert watch.grown("tunnel_start_failures_total", code="backend_forbidden") == 1
    answer = daemon.api.call("POST", "/_api/tunnels", {"backend": "http://nowhere.invalid/"})
    assert answer.status == 422
    assert watch.grown("lookups_total") == 1 and watch.grown("lookup_failures_total") == 1
    assert watch.grown("tunnel_start_failures_total", code="invalid") == 1


def test_what_gates_refuse_and_who_waits_there(daemon, watch):
    with daemon.connect() as client:
        client.send(b"GET / HTTP/9.9\r\n\r\n")
        assert client.answer().status == 400
    watch.until(1, "refusals_total", by="gate", code="bad_request")
    with daemon.connect() as client:
        client.send(b"GET / HT")
        watch.until(1, "gate_waiting", **{"for": "head"})
    watch.until(0, "gate_waiting", **{"for": "head"})
    assert watch.grown("gate_accepted_total") >= 2


def test_visitors_by_tls(backend):
    port = free_port()
    with TlsDaemon(metrics_listen=f"127.0.0.1:{port}", handshake_timeout="1m") as daemon:
        daemon.metrics_address = ("127.0.0.1", port)
        watch = Watch(daemon)
        tunnel = daemon.api.create(backend)
        with socket.create_connection(daemon.tls_address), tunnel.connect(tls=tls.trusting_nobody()) as visitor:
            assert visitor.exchange("GET", tunnel.target("/")).status == 200
            watch.until(1, "tls_connections", state="open")
            watch.until(1, "tls_connections", state="handshake")
            assert watch.grown("tls_handshakes_total", result="completed") == 1
        watch.until(1, "tls_handshakes_total", result="failed")
        watch.until(0, "tls_connections", state="open")
        edges = daemon.children("tunneld-edge")
        assert metrics.get(scrape(daemon), "processes", role="edge") == len(edges)
        def told():
            return metrics.get(scrape(daemon), "descriptors", role="edge")
        proc.wait_until(lambda: told() == sum(edge.descriptors() for edge in edges), 20, told)
        assert told() < metrics.get(scrape(daemon), "descriptors_max", role="edge")


def test_processes_that_are_replaced(daemon, backend, watch):
    tunnel, relay = daemon.create_with_relay(backend)
    for victim, role in ((relay, "relay"), (daemon.gates()[0], "gate")):
        victim.signal(signal.SIGKILL)
        watch.until(1, "process_restarts_total", role=role)
    proc.wait_until(lambda: tunnel.get("/").status == 200, 5, "served again")
    daemon.worker().signal(signal.SIGKILL)
    proc.wait_until(lambda: Worker.back(daemon, watch), 10, daemon.log)
    tunnel.revoke()


class Worker:
    @staticmethod
    def back(daemon, watch):
        try:
            return watch.grown("process_restarts_total", role="api") == 1
        except (OSError, AssertionError):
            return False


def test_descriptors(daemon, backend, watch):
    made = [daemon.api.create(backend) for _ in range(5)]
    watch.until(15, "descriptors", role="supervisor")  # three for each tunnel
    def used(role):
        found = scrape(daemon)
        most = metrics.get(found, "descriptors_max", role=role)
        return 5 < metrics.get(found, "descriptors", role=role) < most
    for role in ("supervisor", "gate", "api"):
        proc.wait_until(lambda: used(role), 5, role)
    for tunnel in made:
        tunnel.revoke()


def test_the_supervisors_descriptors_are_those_it_has(daemon):
    def differ():
        told = metrics.get(scrape(daemon), "descriptors", role="supervisor")
        return told - daemon.supervisor.descriptors()
    proc.wait_until(lambda: differ() == 0, 5, lambda: f"differs by {differ()}")


def test_log_lines(daemon, backend, watch):
    tunnel = daemon.api.create(backend)
    tunnel.revoke()
    assert watch.grown("log_lines_total") >= 2


def test_nobody_is_named(daemon, backend):
    tunnel = daemon.api.create(backend, name=SECRET_NAME)
    assert tunnel.get("/path-of-the-visitor").status == 200
    text = ask(daemon).body.decode()
    for word in (tunnel.id, tunnel.id[2:10], SECRET_NAME, "path-of-the-visitor", backend.url(), "127.0.0.1"):
        assert word not in text, word
    tunnel.revoke()


def test_agents(daemon, watch):
    tunnel = daemon.api.pull()
    with RawAgent(tunnel, "one"), RawAgent(tunnel, "two"):
        watch.until(2, "agents")
    watch.until(0, "agents")
    assert RawAgent(tunnel, token="wrong").answer.status == 401
    watch.until(1, "refusals_total", by="api", code="token_invalid")
    tunnel.revoke()


def test_a_tunnel_restored_brings_no_counts_of_an_earlier_life(backend):
    port = free_port()
    with Daemon(metrics_listen=f"127.0.0.1:{port}") as daemon:
        daemon.metrics_address = ("127.0.0.1", port)
        tunnel = daemon.api.create(backend)
        for _ in range(5):
            assert tunnel.get("/").status == 200
        daemon.restart()
        proc.wait_until(lambda: tunnel.get("/").status == 200, 5, daemon.log)
        found = scrape(daemon)
        assert metrics.get(found, "requests_total") == 1
        assert tunnel.show()["counters"]["requests"] == 6


# ---- under load

def test_metrics_come_while_visitors_hold_every_place(daemon):
    """The API worker's places for visitors are full of requests that never end."""
    crowd = [daemon.connect() for _ in range(300)]
    try:
        for client in crowd:
            client.send(b"POST /_api/tunnels HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        for _ in range(3):
            assert metrics.get(scrape(daemon), "api_connections", kind="served") > 0
    finally:
        for client in crowd:
            client.close()


def test_many_ask_at_once(daemon):
    """All are answered; numbers just collected are good for several."""
    clients = [wire.Client(daemon.metrics_address) for _ in range(50)]
    for client in clients:
        client.request("GET", "/metrics")
    for client in clients:
        assert client.answer().status == 200
        client.close()
