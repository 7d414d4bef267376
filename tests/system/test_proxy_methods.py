# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: any method and any status cross the tunnel with their own rules kept.

import json

import h11
import pytest

from support.backend import head

pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.ways("push", "pull", "tunnel")]

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-Y.Z!"]


@pytest.mark.parametrize("method", METHODS)
def test_methods_pass_as_they_are(tunnel, backend, method):
    answer = tunnel.ask(method, "/a/b?c=d&e", body=None if method == "GET" else b"body")
    assert answer.status == 200, answer
    echo = json.loads(answer.body)
    assert (echo["method"], echo["target"]) == (method, "/a/b?c=d&e"), echo
    assert echo["length"] == (0 if method == "GET" else 4), echo


def test_head_keeps_the_length_and_has_no_body(tunnel):
    with tunnel.connect() as visitor:
        answer = visitor.exchange("HEAD", tunnel.target("/big/12345"))
        assert (answer.status, answer.fields.get("Content-Length")) == (200, "12345"), answer
        again = visitor.exchange("GET", tunnel.target("/big/10"))
        assert (again.status, len(again.body)) == (200, 10), "the connection must be usable"


def test_head_of_a_chunked_answer(tunnel):
    with tunnel.connect() as visitor:
        answer = visitor.exchange("HEAD", tunnel.target("/big/5?framing=chunked"))
        assert answer.status == 200 and answer.body == b"", answer
        assert visitor.exchange("GET", tunnel.target("/x")).status == 200


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(tunnel, status):
    with tunnel.connect() as visitor:
        answer = visitor.exchange("GET", tunnel.target(f"/status/{status}"))
        assert (answer.status, answer.framing) == (status, "none"), answer
        assert answer.fields.get("ETag") == '"v1"'
        assert visitor.exchange("GET", tunnel.target("/x")).status == 200


def test_304_may_say_how_long_the_answer_would_have_been(tunnel, backend):
    backend.raw("/cached", head(304, [("Content-Length", 999), ("ETag", '"v2"')]))
    assert tunnel.get("/cached").fields.get("ETag") == '"v2"'


@pytest.mark.parametrize("status", [200, 201, 206, 301, 400, 401, 403, 404, 418, 429, 500, 503, 599])
def test_statuses_pass(tunnel, status):
    answer = tunnel.get(f"/status/{status}")
    assert (answer.status, answer.text()) == (status, f"status {status}\n")


def test_options_asterisk_belongs_to_no_tunnel(daemon, tunnel, backend):
    with daemon.connect() as visitor:
        assert visitor.exchange("OPTIONS", "*").status < 500
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/mine")).status == 200
        assert visitor.exchange("OPTIONS", "*").status == 421
    assert [received.path for received in backend.received] == ["/mine"]


def test_connect_and_trace_are_not_for_tunnels(tunnel, backend):
    with tunnel.connect() as visitor:
        answer = visitor.exchange("CONNECT", "example.org:443", [("Host", "example.org:443")])
        assert 400 <= answer.status < 500, answer
    assert backend.received == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_another_http_library_reads_what_both_ends_get(tunnel, backend, method):
    """h11, strict and written by others, is the judge of our heads and framing."""
    for path in ("/x", "/big/70000?framing=chunked", "/status/204", "/big/9?framing=close"):
        judge = h11.Connection(h11.CLIENT)
        asked = [h11.Request(method=method, target=tunnel.target(path),
                             headers=[("Host", "127.0.0.1"), ("Content-Length", "0")]),
                 h11.EndOfMessage()]
        with tunnel.connect() as visitor:
            visitor.send(*(judge.send(event) for event in asked))
            events = []
            while not events or not isinstance(events[-1], h11.EndOfMessage):
                event = judge.next_event()
                if event is h11.NEED_DATA:
                    judge.receive_data(visitor.some() if visitor.readable(5) else b"")
                else:
                    events.append(event)
        assert isinstance(events[0], h11.Response), events
    for received in backend.received:
        judge = h11.Connection(h11.SERVER)
        judge.receive_data(received.raw)
        assert isinstance(judge.next_event(), h11.Request)
