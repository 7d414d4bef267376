# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel connect`: a local port that leads through a tunnel, for psql and whatever else speaks TCP.

import contextlib
import hashlib
import random
import socket
import threading

import pytest

from support import proc, wire
from support.backend import TcpBackend, echo_tcp
from support.daemon import free_port
from support.postgres import Postgres, run_psql
from support.up import Up


@pytest.fixture
def server(daemon):
    return f"http://127.0.0.1:{daemon.port}"


@pytest.fixture
def echo():
    with TcpBackend(echo_tcp) as backend:
        yield backend


class Connect(Up):
    """Listens on a free port and says on which."""

    def __init__(self, url, *arguments, **how):
        super().__init__("http://nowhere.invalid", url, "-L", "0", *arguments, command="connect", **how)

    def stream(self):
        host, port = self.url().rsplit(":", 1)
        return wire.Stream(socket.create_connection((host, int(port)), 20))


def share_url(tunnel):
    return f"{tunnel.url}#{tunnel.secret}"


@pytest.mark.parametrize("auth", ["bearer", "basic", "none"])
def test_bytes_go_and_come_back(api, echo, auth):
    tunnel = api.create(echo.url("tcp"), auth=auth)
    url = tunnel.url if auth == "none" else share_url(tunnel)
    with Connect(url) as connect, connect.stream() as first, connect.stream() as second:
        for stream in (first, second):
            stream.send(b"hello")
            assert stream.take(5) == b"hello"
            stream.finish()
            assert stream.rest() == b""
        connect.interrupt()
        assert connect.wait() == 0, connect.both()


def test_through_tunnel_up_as_well(server, echo):
    noise = random.Random(3).randbytes(3 << 20)
    with Up(server, f"tcp://127.0.0.1:{echo.port}", "--output", "json") as up:
        with Connect(up.event("ready")["share_url"]) as connect, connect.stream() as stream:
            sender = threading.Thread(target=lambda: (stream.send(noise), stream.finish()))
            sender.start()
            assert hashlib.sha256(stream.rest()).digest() == hashlib.sha256(noise).digest()
            sender.join()


def test_psql(server):
    with Postgres() as database, Up(server, f"tcp://127.0.0.1:{database.port}", "--output", "json") as up:
        with Connect(up.event("ready")["share_url"]) as connect:
            port = int(connect.url().rsplit(":", 1)[1])
            assert run_psql(port, "-c", "SELECT current_user, 6 * 7").stdout == b"demo|42\n"
            many = "SELECT n, md5(n::text) FROM generate_series(1, 100000) AS n"
            assert run_psql(port, "-c", many).stdout.count(b"\n") == 100000


def test_the_secret_need_not_be_in_the_url(api, echo, tmp_path):
    tunnel = api.create(echo.url("tcp"), auth="bearer")
    (tmp_path / "secret").write_text(tunnel.secret + "\n")
    for how in ({"TUNNEL_SECRET": tunnel.secret}, {}):
        arguments = [] if how else ["--secret-file", tmp_path / "secret"]
        with Connect(tunnel.url, *arguments, **how) as connect, connect.stream() as stream:
            stream.send(b"x")
            assert stream.take(1) == b"x"


def test_a_reset_crosses_as_a_reset(api):
    def angry(stream):
        stream.take(1)
        stream.reset()

    with TcpBackend(angry) as backend:
        with Connect(api.create(backend.url("tcp")).url) as connect, connect.stream() as stream:
            stream.send(b"x")
            assert stream.ended() == "reset"


def test_a_wrong_secret_is_the_end(api, echo):
    tunnel = api.create(echo.url("tcp"), auth="bearer")
    with Connect(f"{tunnel.url}#{'a' * 52}") as connect:
        with contextlib.suppress(ConnectionResetError), connect.stream() as stream:  # it ends at once
            assert stream.ended() in ("reset", "eof")
        assert connect.wait() == 3, connect.both()
        assert "it wants a secret" in connect.text()


def test_a_tunnel_that_is_over_is_the_end(api, echo):
    tunnel = api.create(echo.url("tcp"))
    with Connect(tunnel.url) as connect, connect.stream() as stream:
        stream.send(b"x")
        assert stream.take(1) == b"x"
        api.call("DELETE", f"/_api/tunnels/{tunnel.id}")
        assert stream.ended() == "reset"
        with contextlib.suppress(ConnectionError), connect.stream() as late:  # it may have ended
            assert late.ended() in ("reset", "eof")
        assert connect.wait() == 4, connect.both()


def test_a_server_that_is_gone_is_said_and_waited_for(own_daemon, echo):
    tunnel = own_daemon.api.create(echo.url("tcp"))
    with Connect(tunnel.url) as connect:
        connect.url()
        own_daemon.stop()
        with contextlib.suppress(ConnectionError), connect.stream() as stream:  # it may have ended
            assert stream.ended() in ("reset", "eof")
        connect.expect("does not answer")
        own_daemon.start()
        # Live again: it wants an upgrade, and is no longer 503 while it is restored.
        proc.wait_until(lambda: tunnel.get("/").status == 400, 5, own_daemon.log)
        with connect.stream() as stream:
            stream.send(b"x")
            assert stream.take(1) == b"x"


def test_a_hundred_idle_ones_cost_little(api, echo):
    with Connect(api.create(echo.url("tcp")).url) as connect:
        streams = [connect.stream() for _ in range(100)]
        for stream in streams:
            stream.send(b"x")
            assert stream.take(1) == b"x"
        assert connect.rss() < 24 << 10
        for stream in streams:
            stream.close()
        proc.wait_until(lambda: echo.open_connections() == 0, 10, connect.both)


def test_mistakes(api, echo):
    url = api.create(echo.url("tcp")).url
    for wrong in ([url], [url, "-L", "x"], [url, "-L", "70000"], [url, "-L", "host.example:80"], ["ftp://x", "-L", "1"],
                  ["-L", "1"]):
        with Up("http://nowhere.invalid", *wrong, command="connect") as connect:
            assert connect.wait() == 2, connect.both()
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        with Up("http://nowhere.invalid", url, "-L", str(taken.getsockname()[1]), command="connect") as connect:
            assert connect.wait() == 1 and "cannot listen" in connect.text(), connect.both()
