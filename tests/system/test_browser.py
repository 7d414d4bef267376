# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a real browser uses a tunnel: page, style, fetch both ways, server-sent events, and
# WebSockets with text, binary, fragments, pings, 64 MiB messages and close codes; and all of it over
# TLS. The page makes the checks (page.html) and posts what it found through the tunnel.

import json
import pathlib
import queue

import pytest

from support import pattern
from support.backend import HttpBackend, head
from support.chromium import Chromium, dump
from support.daemon import Daemon, TlsDaemon

PAGE = pathlib.Path(__file__).with_name("page.html").read_bytes()


def serve_page(backend):
    """Puts the page and what it asks for on the backend; returns the queue of its results."""
    results = queue.Queue()

    def page(received, request, stream):
        stream.send(head(200, [("Content-Type", "text/html"), ("Content-Length", len(PAGE))]), PAGE)
        return True

    def style(received, request, stream):
        css = b":root { --reached: yes; }"
        stream.send(head(200, [("Content-Type", "text/css"), ("Content-Length", len(css))]), css)
        return True

    def result(received, request, stream):
        HttpBackend.absorb(received, request, stream)
        stream.send(head(204))
        results.put(json.loads(received.body))
        return True

    turn = queue.Queue()

    def events(received, request, stream):
        stream.send(head(200, [("Content-Type", "text/event-stream")]))
        for number in (1, 2, 3):
            stream.send(b"data: %d\n\n" % number)
            turn.get(timeout=20)

    def following(received, request, stream):
        HttpBackend.absorb(received, request, stream)
        stream.send(head(204))
        turn.put(None)
        return True

    for path, handler in [("/", page), ("/style.css", style), ("/result", result),
                          ("/events", events), ("/next", following)]:
        backend.route(path, handler)
    return results


@pytest.fixture(scope="module", params=[Daemon, TlsDaemon], ids=["http", "https"])
def found(request):
    with request.param() as daemon, HttpBackend() as backend:
        results = serve_page(backend)
        tunnel = daemon.api.create(backend)
        with Chromium(tunnel.url, keys=daemon.tls_keys()) as browser:
            try:
                yield results.get(timeout=90)
            except queue.Empty:
                pytest.fail(f"the page posted no result\n{browser.log()}\n{daemon.log()}")


EXPECTED = {
    "text": [True] * 4,
    "binary": [True] * 7,
    "big": True,
    "fragments": ["onetwothree", "pong: are you there"],
    "subprotocol": "tunneld.test",
    "closedByBackend": [4002, "as you wish", True],
    "closedByVisitor": [4001, "enough", True],
    "vanished": [1006, False],
    "events": ["1", "2", "3"],
    "upload": [5_000_000],
    "download": [5_000_000, pattern.data(24).hex()],
    "style": "yes",
}


@pytest.mark.parametrize("check", EXPECTED)
def test_in_chromium(found, check):
    assert found.get(check) == EXPECTED[check], found


def test_a_person_sees_a_page_where_the_tunnel_is_over():
    with Daemon() as daemon, HttpBackend() as backend:
        over = daemon.api.create(backend)
        over.revoke()
        seen = dump(over.url + "some/page")
    assert "<title>This tunnel is over" in seen, seen
    assert "problem+json" not in seen and "{" not in seen.partition("<body")[2], seen
