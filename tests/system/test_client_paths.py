# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: the tunnel command reaches its server over TLS and through proxies, trusts nobody it should
# not, and tunnel doctor names the step of the way that is broken.

import json
import select
import time

import pytest

from support import wire
from support.backend import TcpBackend
from support.client import Command
from support.daemon import TOKEN, free_port
from support.front import Authority, ConnectProxy, TlsFront

CONNECTED = "200 Connection established"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def front(daemon, authority):
    """https://localhost:PORT and https://127.0.0.1:PORT, which are the daemon."""
    with TlsFront(daemon.address, authority.issue("DNS:localhost,DNS:server.test,IP:127.0.0.1")) as serving:
        yield serving


@pytest.fixture
def tunnel(tmp_path, front, authority):
    return Command(tmp_path, f"https://localhost:{front.port}")


def expect(result, status, *words):
    assert result.status == status and result.out == "", result
    for word in words:
        assert word in result.err, result
    assert result.err.count("\n") == 1, result


# ---- TLS


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_over_tls_by_name(tunnel, front, authority, backend, scheme):
    server = f"{scheme}://localhost:{front.port}"
    made = tunnel.good("create", backend.port, "--ca", authority.path, "--server", server)
    assert made.err.count("warning") == 0, made
    assert front.seen[-1][0] == "localhost"


def test_over_tls_by_address(tunnel, front, authority):
    """The address has to be in the certificate; an address is no server name (RFC 6066)."""
    tunnel.good("ls", "--ca", authority.path, "--server", f"https://127.0.0.1:{front.port}")
    assert front.seen[-1][0] is None


def test_a_stranger_is_not_trusted(tunnel):
    expect(tunnel.run("ls"), 5, "TLS with localhost failed: ", "certificate")


@pytest.mark.parametrize("names, server, words", [
    ("DNS:other.test", "localhost", "hostname mismatch"),
    ("DNS:127.0.0.1", "127.0.0.1", "IP address mismatch"),
    ("IP:127.0.0.2", "127.0.0.1", "IP address mismatch"),
    ("DNS:*host", "localhost", "hostname mismatch"),
    ("DNS:localhost.evil.test", "localhost", "hostname mismatch"),
])
def test_the_name_has_to_be_the_servers(tunnel, daemon, authority, names, server, words):
    with TlsFront(daemon.address, authority.issue(names)) as front:
        result = tunnel.run("ls", "--ca", authority.path, "--server", f"https://{server}:{front.port}")
        expect(result, 5, words)


def test_an_old_certificate_is_refused(tunnel, daemon, authority):
    with TlsFront(daemon.address, authority.issue("DNS:localhost", days="-1")) as front:
        expect(tunnel.run("ls", "--ca", authority.path, "--server", f"https://localhost:{front.port}"), 5,
               "certificate has expired")


def test_the_token_is_not_sent_to_a_stranger(tunnel, daemon, authority):
    heard = []

    def serve(stream):
        heard.append(stream.sock.recv(65536))
        stream.send(b"SSH-2.0-nothing of TLS\r\n")
        while piece := stream.sock.recv(65536):
            heard.append(piece)

    with TcpBackend(serve) as listener:
        expect(tunnel.run("ls", "--server", f"https://localhost:{listener.port}", timeout=60), 5)
        assert heard and TOKEN.encode() not in b"".join(heard)


def test_schemes_that_do_not_fit(tunnel, front, daemon, authority):
    expect(tunnel.run("ls", "--server", f"https://localhost:{daemon.port}", "--ca", authority.path), 5,
           "TLS with localhost failed")
    result = tunnel.run("ls", "--server", f"http://localhost:{front.port}")
    assert result.status == 5, result


def test_a_file_that_is_no_certificate(tunnel, tmp_path):
    (tmp_path / "empty").touch()
    for path in ("/nonexistent", "/dev/null", tmp_path / "empty"):
        expect(tunnel.run("ls", "--ca", path), 2, str(path))


def test_login_remembers_the_authority(tunnel, front, authority):
    bare = {"TUNNEL_SERVER": None, "TUNNEL_TOKEN": None}
    tunnel.good("login", f"https://localhost:{front.port}", "--ca", authority.path, input=TOKEN, **bare)
    tunnel.good("ls", **bare)


def test_a_session_is_resumed(tunnel, authority):
    """The second page of a list comes over a second connection."""
    seen = []

    def serve(stream):
        seen.append(wire.Request(stream).target)
        link = 'Link: </_api/tunnels?cursor=x>; rel="next"\r\n' if len(seen) == 1 else ""
        stream.send(f"HTTP/1.1 200 OK\r\n{link}Content-Length: 4\r\n\r\n[{len(seen)} ]".encode())

    with TcpBackend(serve) as plain, TlsFront(plain.address, authority.issue("DNS:localhost")) as front:
        result = tunnel.good("ls", "--json", "--ca", authority.path, "--server", f"https://localhost:{front.port}")
        assert result.json() == [1, 2] and seen[1] == "/_api/tunnels?cursor=x"
        assert front.seen == [("localhost", False), ("localhost", True)]


def test_events_over_tls(tunnel, front, authority, backend):
    with tunnel.start("events", "--json", "--ca", authority.path) as running:
        for _ in range(20):
            made = tunnel.good("create", backend.port, "--json", "--ca", authority.path).json()
            if select.select([running.process.stdout], [], [], 0.3)[0]:
                break
        tunnel.good("rm", made["id"], "--ca", authority.path)
        event = json.loads(running.line())
        while event["event"] != "ended" or event["data"]["id"] != made["id"]:
            event = json.loads(running.line())
        front.drop_all()
        running.complaint()
        assert running.complaint() == "tunnel: connected again"


def test_a_cut_is_not_an_end(tunnel, authority):
    """Over TLS, an answer that lasts until the connection ends has to end with close_notify."""
    def serve(stream):
        wire.Request(stream)
        stream.send(b"HTTP/1.1 200 OK\r\n\r\n[]")

    with TcpBackend(serve) as plain, TlsFront(plain.address, authority.issue("DNS:localhost")) as front:
        whole = tunnel.run("ls", "--json", "--ca", authority.path, "--server", f"https://localhost:{front.port}")
        assert whole.status == 0 and json.loads(whole.out) == [], whole

    class Cutting(TlsFront):
        def _serve(self, stream):
            inner = self._context.wrap_socket(stream.sock, server_side=True)
            stream.sock = inner
            wire.Request(wire.Stream(inner))
            inner.sendall(b"HTTP/1.1 200 OK\r\n\r\n[]")  # and then FIN, without a word of TLS

    with Cutting(None, authority.issue("DNS:localhost")) as front:
        expect(tunnel.run("ls", "--json", "--ca", authority.path, "--server", f"https://localhost:{front.port}"), 5,
               "broke: Connection reset")


# ---- proxies


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_a_proxy_leads_to_a_name_only_it_knows(tunnel, front, authority, variable):
    with ConnectProxy(front.address) as proxy:
        server = f"https://server.test:{front.port}"
        tunnel.good("ls", "--attest", "off", "--ca", authority.path, "--server", server,
                    **{variable: f"http://127.0.0.1:{proxy.port}"})
        ((method, target, fields),) = proxy.seen
        assert (method, target) == ("CONNECT", f"server.test:{front.port}")
        assert fields.get("Host") == target and "Authorization" not in fields
        assert front.seen[-1][0] == "server.test"


def test_a_proxy_for_http(tunnel, daemon):
    with ConnectProxy(daemon.address) as proxy:
        result = tunnel.good("ls", "--attest", "off", "--server", "http://server.test", http_proxy=f"127.0.0.1:{proxy.port}")
        assert proxy.seen[0][1] == "server.test:80" and "unencrypted" in result.err
        tunnel.good("ls", "--server", f"http://127.0.0.1:{daemon.port}", http_proxy=f"127.0.0.1:{proxy.port}")
        assert len(proxy.seen) == 1, "loopback needs no proxy"


def test_a_proxy_that_wants_a_password(tunnel, front, authority):
    with ConnectProxy(front.address) as proxy:
        tunnel.good("ls", "--attest", "off", "--ca", authority.path, "--server", f"https://server.test:{front.port}",
                    HTTPS_PROXY=f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        assert proxy.seen[0][2].get("Proxy-Authorization") == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize("answer, words", [
    ("407 Who are you", "wants a user and password"),
    ("403 Not to there", "does not connect to server.test: 403 Not to there"),
    ("hello", "no HTTP proxy"),
    ("200 OK\r\nX: " + "y" * 40000, ""),
])
def test_proxies_that_refuse(tunnel, front, authority, answer, words):
    with ConnectProxy(front.address, answer) as proxy:
        expect(tunnel.run("ls", "--server", "https://server.test", HTTPS_PROXY=f"127.0.0.1:{proxy.port}"), 5, words)


def test_a_proxy_that_speaks_out_of_turn(tunnel, front):
    with ConnectProxy(front.address, f"{CONNECTED}\r\n\r\n\x16\x03\x01") as proxy:
        expect(tunnel.run("ls", "--server", "https://server.test", HTTPS_PROXY=f"127.0.0.1:{proxy.port}"), 5,
               "no HTTP proxy")


def test_proxies_that_are_not_there(tunnel):
    expect(tunnel.run("ls", "--server", "https://server.test", HTTPS_PROXY="127.0.0.1:1"), 5,
           "the proxy 127.0.0.1:1 does not answer")
    expect(tunnel.run("ls", "--server", "https://server.test", HTTPS_PROXY="socks5://127.0.0.1:1"), 2, "HTTPS_PROXY")
    expect(tunnel.run("ls", "--server", "https://server.invalid", HTTPS_PROXY="127.0.0.1:1", NO_PROXY=".invalid"), 5,
           "the name server.invalid cannot be resolved")


# ---- doctor


def examine(tunnel, *words, **environment):
    """Exit status, and verdict and text of each step."""
    result = tunnel.run("doctor", "--json", *words, **environment)
    found = result.json()
    assert found["ok"] == (result.status == 0), result
    steps = {step["step"]: (step["verdict"], step["text"]) for step in found["steps"]}
    for step in found["steps"]:
        assert step["remedy"] or step["verdict"] == "ok" or step["step"] == "clock", step
    return result.status, steps


def test_doctor_finds_nothing(tunnel, front, authority):
    with ConnectProxy(front.address) as proxy:
        status, steps = examine(tunnel, "--ca", authority.path, "--server", f"https://server.test:{front.port}",
                                HTTPS_PROXY=f"127.0.0.1:{proxy.port}")
        assert status == 0, steps
        assert list(steps) == ["server", "name", "tcp", "proxy", "tls", "path", "http", "version", "clock", "ready",
                               "token", "upgrade"]
        assert {verdict for verdict, _ in steps.values()} == {"ok"}, steps
        assert "TLSv1.3" in steps["tls"][1], steps


@pytest.mark.parametrize("server, environment, step, words", [
    ("https://no-such-name.invalid", {}, "name", "cannot be resolved"),
    ("https://127.0.0.1:1", {}, "tcp", "does not answer"),
    ("https://server.test", {"HTTPS_PROXY": "127.0.0.1:{refusing}"}, "proxy", "403"),
    ("https://localhost:{front}", {}, "tls", "certificate"),
    ("http://127.0.0.1:{other}", {}, "http", "not tunneld"),
])
def test_doctor_names_the_broken_step(tunnel, front, backend, server, environment, step, words):
    with ConnectProxy(front.address, "403 No") as refusing:
        ports = {"refusing": refusing.port, "front": front.port, "other": backend.port}
        environment = {name: value.format(**ports) for name, value in environment.items()}
        status, steps = examine(tunnel, "--server", server.format(**ports), **environment)
        assert status == 5 and list(steps)[-1] == step, steps
        assert steps[step][0] == "fail" and words in steps[step][1], steps


def test_doctor_on_tokens(tunnel, authority):
    status, steps = examine(tunnel, "--ca", authority.path, TUNNEL_TOKEN="x" * 43)
    assert status == 3 and steps["token"][0] == "fail" and steps["upgrade"][0] == "ok", steps
    status, steps = examine(tunnel, "--ca", authority.path, TUNNEL_TOKEN=None)
    assert status == 0 and steps["token"][0] == "warn", steps


class Filter(TcpBackend):
    """Passes requests on to the daemon, without the fields that ask for an upgrade, and changes
    the date of its answers."""

    def __init__(self, address, strip=(), seconds=0):
        self._to, self._strip, self._seconds = address, strip, seconds
        super().__init__(self._serve)

    def _serve(self, stream):
        request = wire.Request(stream)
        fields = [(name, value) for name, value in request.fields if name.lower() not in self._strip]
        with wire.Client(self._to) as client:
            answer = client.exchange(request.method, request.target, [*fields, ("Connection", "close")]
                                     if "connection" in self._strip else fields)
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + self._seconds))
        kept = [(name, value) for name, value in answer.fields
                if name.lower() not in ("date", "content-length", "transfer-encoding", "connection")]
        head = "".join(f"{name}: {value}\r\n" for name, value in
                       [*kept, ("Date", date), ("Content-Length", len(answer.body)), ("Connection", "close")])
        stream.send(f"HTTP/1.1 {answer.status} X\r\n{head}\r\n".encode() + bytes(answer.body))


def test_doctor_on_proxies_that_drop_upgrades(tunnel, daemon):
    with Filter(daemon.address, strip=("upgrade", "connection")) as dropping:
        status, steps = examine(tunnel, "--server", f"http://127.0.0.1:{dropping.port}")
        assert status == 5 and steps["upgrade"][0] == "fail" and "ordinary" in steps["upgrade"][1], steps
        assert steps["token"][0] == "ok"


@pytest.mark.parametrize("seconds, words", [(3700, "1h 1m behind"), (-90, "1m 30s ahead of"), (2, "the same")])
def test_doctor_on_clocks(tunnel, daemon, seconds, words):
    with Filter(daemon.address, seconds=seconds) as shifting:
        status, steps = examine(tunnel, "--server", f"http://127.0.0.1:{shifting.port}")
        assert status == 0 and steps["clock"][0] == ("ok" if seconds == 2 else "warn"), steps
        assert words in steps["clock"][1] or seconds == 3700 and "1h 2m behind" in steps["clock"][1], steps


def test_a_listener_that_says_nothing(tunnel):
    """Connections are accepted by the kernel, and then nothing comes."""
    with TcpBackend(lambda stream: stream.rest()) as silent:
        status, steps = examine(tunnel, "--server", f"http://127.0.0.1:{silent.port}")
        assert status == 5 and "in time" in steps["http"][1], steps


def test_every_address_is_tried(tunnel, daemon):
    """localhost is ::1 and 127.0.0.1; the daemon listens on one of them."""
    tunnel.good("ls", "--server", f"http://localhost:{daemon.port}")
    expect(tunnel.run("ls", "--server", f"http://localhost:{free_port()}"), 5, "does not answer")
