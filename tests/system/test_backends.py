# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a tunnel reaches its backend by any kind of address, and says plainly when it cannot.

import socket

import pytest

from support.backend import HttpBackend, TcpBackend, head
from support.daemon import free_port


def test_by_ipv4(api, backend):
    assert api.create(f"http://127.0.0.1:{backend.port}").get("/").status == 200


def test_by_ipv6(api):
    with HttpBackend("::1") as backend:
        tunnel = api.create(f"http://[::1]:{backend.port}")
        echo = tunnel.reach("/")
        assert ["Host", f"[::1]:{backend.port}"] in echo["fields"], echo


def test_by_name(api, backend):
    tunnel = api.create(f"http://localhost:{backend.port}")
    echo = tunnel.reach("/")
    assert ["Host", f"localhost:{backend.port}"] in echo["fields"], echo


def test_by_a_name_whose_first_address_refuses(api):
    """localhost may be ::1 and 127.0.0.1; the backend listens on one of them only."""
    for host in ("127.0.0.1", "::1"):
        addresses = {info[4][0] for info in socket.getaddrinfo("localhost", None)}
        if host not in addresses:
            continue
        with HttpBackend(host) as backend:
            assert api.create(f"http://localhost:{backend.port}").get("/").status == 200


def test_nobody_listening_is_502(api):
    answer = api.create(f"http://127.0.0.1:{free_port()}").get("/")
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (502, "backend_refused"), answer


def test_a_backend_may_come_later(api):
    port = free_port()
    tunnel = api.create(f"http://127.0.0.1:{port}")
    assert tunnel.get("/").status == 502
    listener = socket.create_server(("127.0.0.1", port))
    with listener:
        with tunnel.connect() as visitor:
            visitor.request("GET", tunnel.target("/"))
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(head(200, [("Content-Length", 2)]) + b"up")
                assert visitor.answer().body == b"up"


def test_a_visitor_can_try_again_on_the_same_connection(api):
    tunnel = api.create(f"http://127.0.0.1:{free_port()}")
    with tunnel.connect() as visitor:
        first = visitor.exchange("GET", tunnel.target("/"))
        assert first.status == 502
        if "close" not in first.fields.tokens("Connection"):
            assert visitor.exchange("GET", tunnel.target("/")).status == 502


def test_a_safe_request_is_retried_when_a_fresh_backend_connection_can_serve_it(tunnel, backend):
    """The kept connection ends between two requests, in the worst moment: as the request arrives."""
    def once(received, request, stream):
        stream.send(head(200, [("Content-Length", 0)]))
        stream.head()  # the next request comes, and is not answered

    with tunnel.connect() as visitor:
        backend.route("/once", once)
        assert visitor.exchange("GET", tunnel.target("/once")).status == 200
        assert visitor.exchange("GET", tunnel.target("/again")).status == 200


def test_an_unsafe_request_is_never_sent_twice(api):
    seen = []

    def serve(stream):
        seen.append(stream.head())
        stream.send(head(200, [("Content-Length", 0)]))
        seen.append(stream.head())

    with TcpBackend(serve) as backend:
        tunnel = api.create(backend)
        with tunnel.connect() as visitor:
            assert visitor.exchange("GET", tunnel.target("/a")).status == 200
            answer = visitor.exchange("POST", tunnel.target("/b"), body=b"")
            assert answer.status == 502, answer
        posts = [raw for raw in seen if raw.startswith(b"POST")]
        assert len(posts) == 1, seen


def test_a_backend_that_accepts_and_says_nothing_holds_only_its_visitor(api, backend, tunnel):
    def silent(stream):
        stream.rest()

    with TcpBackend(silent) as dumb:
        stuck = api.create(dumb)
        with stuck.connect() as waiting:
            waiting.request("GET", stuck.target("/"))
            assert tunnel.get("/").status == 200
            assert stuck.state() == "active"
            assert not waiting.readable(0), "no answer was given, so none may be invented"
            assert stuck.revoke().status == 200
            assert waiting.ended(1) == "reset"
