# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel up` with a real tunneld: what a new user sees, and what visitors get.

import asyncio
import collections
import contextlib
import hashlib
import json
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pytest
import websockets

from support import pattern, proc
from support.backend import HttpBackend
from support.daemon import free_port
from support.tls_front import TlsFront, self_signed
from support.up import COLUMNS, Up


@pytest.fixture
def server(daemon):
    return f"http://127.0.0.1:{daemon.port}"


class Visitor:
    """Who was sent what `tunnel up` printed."""

    def __init__(self, up, ready=None):
        if ready:
            self.url, self.secret = ready["url"], ready["secret"]
            return
        self.url = up.url()
        up.expect("Ctrl-C")  # the last of what it says at first
        self.secret = re.search(rb"secret +(?:\x1b\[0m )?([\w-]{40,})", up.err).group(1).decode()

    def open(self, path="", body=None, **fields):
        fields = {"Authorization": f"Bearer {self.secret}"} | fields
        return urllib.request.urlopen(urllib.request.Request(self.url + path, body, fields), timeout=20)

    def get(self, path="", body=None):
        with self.open(path, body) as answer:
            return answer.read()

    def status(self, path=""):
        try:
            with self.open(path) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


def lines(text):
    return text.replace("\r\n", "\n").split("\n")


# What a new user sees

def test_in_a_terminal(server, backend):
    with Up(server, backend.port, "--timeout", "2h", tty=True) as up:
        visitor = Visitor(up)
        visitor.get("hello?" + "x" * 200)
        up.expect("GET")
        assert up.out.decode() == visitor.url + "\n"
        assert "\033[" in up.text()  # colours
        plain = re.sub("\033\\[[0-9;]*m", "", up.text())
        long = [line for line in lines(plain) if len(line) > COLUMNS and visitor.secret not in line]
        assert not long, long
        assert f"leads to  http://localhost:{backend.port}" in plain
        assert f"share     {visitor.url}#{visitor.secret}" in plain
        assert re.search(r"ends +in (2h|1h 59m)", plain), plain
        assert re.search(r"\d\d:\d\d:\d\d GET     /hello\?x+\.\.\. +200 +\d+ ms +\d+ B\n", plain.replace("\r", "")), plain


def test_without_colours(server, backend):
    with Up(server, backend.port, tty=True, NO_COLOR="1") as up:
        Visitor(up).get("hello")
        up.expect("200")
        assert "\033" not in up.text(), repr(up.text())


def test_the_qr_code_can_be_read(server, backend):
    with Up(server, backend.port, "--qr", NO_COLOR="1") as up:
        visitor = Visitor(up)
        code = proc.wait_until(lambda: re.findall("^[ \u2580\u2584\u2588]{20,}$", up.text(), re.M), 10, up.both)
        cells = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}
        rows = [[255 * cells[c][half] for c in line] for line in code for half in (0, 1)]
        scale = 8
        picture = b"".join(bytes(v for v in row for _ in range(scale)) * scale for row in rows)
        with tempfile.NamedTemporaryFile(suffix=".pgm") as file:
            file.write(b"P5 %d %d 255\n" % (len(rows[0]) * scale, len(rows) * scale) + picture)
            file.flush()
            read = subprocess.run(["zbarimg", "-q", "--raw", file.name], capture_output=True, timeout=60).stdout
        assert read.decode().strip() == f"{visitor.url}#{visitor.secret}"


def test_quiet(server, backend):
    with Up(server, backend.port, "--quiet", "--auth", "none") as up:
        with urllib.request.urlopen(up.url() + "hello") as answer:
            answer.read()
        up.interrupt()
        assert up.wait() == 0
        assert up.text() == ""


def test_events_for_programs(server, backend):
    with Up(server, backend.port, "--output", "json", "--name", "mine") as up:
        ready = up.event("ready")
        assert ready["url"].startswith(server) and ready["share_url"] == f"{ready['url']}#{ready['secret']}"
        assert ready["target"] == f"http://localhost:{backend.port}" and ready["name"] == "mine", ready
        asked = urllib.request.Request(ready["url"] + "big/1000?a=b", b"12345",
                                       {"Authorization": "Bearer " + ready["secret"]})
        urllib.request.urlopen(asked).read()
        told = up.event("request")
        assert (told["method"], told["path"], told["status"], told["bytes_in"], told["bytes_out"], told["cut"]) \
            == ("POST", "/big/1000?a=b", 200, 5, 1000, False), told
        assert 0 <= told["ms"] < 5000
        up.interrupt()
        assert up.wait() == 0
        assert up.events()[-1] | {"time": 0} == {"event": "closed", "time": 0, "reason": "the tunnel is ended", "code": 0}


def test_the_word_up_may_be_left_out(server, backend):
    with Up(server, command=str(backend.port)) as up:
        assert Visitor(up).status("hello") == 200


# The built-in demo

def test_the_demo(server):
    with Up(server, "--demo", "--auth", "none") as up:
        url = up.url()
        with urllib.request.urlopen(url) as answer:
            page = answer.read().decode()
            assert answer.headers.get_content_type() == "text/html" and "It works" in page
        asked = urllib.request.Request(url + "echo?x=1", b"a body", {"X-Mine": "yes"})
        with urllib.request.urlopen(asked) as answer:
            echo = answer.read().decode()
        assert echo.startswith("POST /echo?x=1 HTTP/1.1\r\n") and "X-Mine: yes" in echo and echo.endswith("a body")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url + "echo", b"x" * 100000))
        assert refused.value.code == 413

        async def talk():
            async with websockets.connect(url.replace("http", "ws") + "ws") as socket:
                for message in ("hello", b"\0\1", "x" * 100000):
                    await socket.send(message)
                    assert await socket.recv() == message

        asyncio.run(talk())


# Targets

class TlsBackend(HttpBackend):
    def __init__(self, context):
        self._context = context
        super().__init__()

    def _run(self, stream):
        try:
            stream.sock = self._context.wrap_socket(stream.sock, server_side=True)
        except (OSError, ssl.SSLError):
            return stream.close()
        return super()._run(stream)


@pytest.fixture(scope="module")
def certificate():
    with tempfile.TemporaryDirectory() as folder:
        yield folder, self_signed(folder)


def test_https_with_a_certificate_of_its_own(server, certificate):
    _, context = certificate
    with TlsBackend(context) as backend:
        with Up(server, f"https://localhost:{backend.port}") as up:
            assert Visitor(up).status("hello") == 502
            up.expect("no TLS, or a certificate that is not trusted")
        with Up(server, f"https+insecure:localhost:{backend.port}") as up:
            visitor = Visitor(up)
            assert visitor.status("hello") == 200
            assert len(visitor.get("big/5000000")) == 5000000
            assert json.loads(visitor.get("x", b"y" * 3000000))["length"] == 3000000


def test_https_that_the_system_trusts(server, certificate):
    folder, context = certificate
    with TlsBackend(context) as backend:
        with Up(server, f"https://localhost:{backend.port}", SSL_CERT_FILE=f"{folder}/certificate") as up:
            assert Visitor(up).status("hello") == 200
        with Up(server, f"https://127.0.0.1:{backend.port}", SSL_CERT_FILE=f"{folder}/certificate") as up:
            assert Visitor(up).status("hello") == 200


def test_a_server_behind_tls(daemon, backend, certificate):
    """Everything goes over one TLS connection to the server, small and large, both ways."""
    folder, context = certificate
    with TlsFront(daemon.address, context) as front:
        server = f"https://localhost:{front.port}"
        with Up(server, backend.port, "--auth", "none") as up:
            assert up.wait() == 5 and "certificate" in up.text(), up.both()
        with Up(server, backend.port, "--ca", f"{folder}/certificate", "--output", "json") as up:
            visitor = Visitor(up, up.event("ready"))
            assert [visitor.status("hello") for _ in range(20)] == [200] * 20
            assert hashlib.sha256(visitor.get("big/20000000")).hexdigest() == pattern.digest(20000000)
            assert json.loads(visitor.get("x", b"y" * 20000000))["length"] == 20000000
            up.interrupt()
            assert up.wait() == 0, up.both()


def test_a_unix_socket(server):
    with tempfile.TemporaryDirectory() as folder:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"{folder}/s")
        listener.listen(8)

        def serve():
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                with sock:
                    head = sock.recv(65536)
                    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(head) + head)

        threading.Thread(target=serve, daemon=True).start()
        try:
            with Up(server, f"unix:{folder}/s") as up:
                assert b"Host: localhost\r\n" in Visitor(up).get("hello")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def test_a_target_on_ipv6_only(server):
    with HttpBackend("::1") as backend:
        with Up(server, backend.port) as up:
            visitor = Visitor(up)
            assert [visitor.status("hello") for _ in range(3)] == [200] * 3


def test_a_target_that_comes_and_goes(server):
    port = free_port()
    with Up(server, port) as up:
        visitor = Visitor(up)
        assert visitor.status("hello") == 502
        up.expect(f"nothing answers at http://localhost:{port}")


def test_require_backend(server, api):
    before = len(api.list())
    with Up(server, free_port(), "--require-backend") as up:
        assert up.wait() == 7, up.both()
        assert "nothing answers" in up.text() and up.out == b""
    assert len(api.list()) == before


# Its life

def test_ctrl_c_ends_the_tunnel(server, backend, api):
    with Up(server, backend.port) as up:
        visitor = Visitor(up)
        visitor.get("hello")
        up.interrupt()
        assert up.wait() == 0
        assert visitor.status("hello") == 410


def test_attaching_to_a_tunnel_that_is_there(server, backend, api):
    document = api.expect(201, "POST", "/_api/tunnels", {"auth": "none"}).json()
    url = document["url"]
    with Up(server, backend.port, "--attach", document["id"]) as first, Up(server, backend.port, "--attach", url) as other:
        assert first.url() == other.url() == url
        agents = lambda: api.expect(200, "GET", "/_api/tunnels/" + document["id"]).json()["counters"]["agents"]
        proc.wait_until(lambda: agents() == 2, 5, agents)
        first.interrupt()
        assert first.wait() == 0
        with urllib.request.urlopen(url + "hello") as answer:
            assert answer.status == 200
        api.expect(200, "DELETE", "/_api/tunnels/" + document["id"])
        assert other.wait() == 9, other.both()
    with Up(server, backend.port, "--attach", document["id"]) as late:
        assert late.wait() == 9
    with Up(server, backend.port, "--attach", "t-" + "a" * 26) as wrong:
        assert wrong.wait() == 4
    push = api.create(backend)
    with Up(server, backend.port, "--attach", push.id) as wrong:
        assert wrong.wait() == 3


@pytest.mark.parametrize("how, code, words", [
    ("expire", 10, "time"), ("revoke", 9, "revoked"), ("exhaust", 8, "budget")])
def test_how_it_ends(server, backend, api, how, code, words):
    options = {"expire": ["--timeout", "3s"], "revoke": [], "exhaust": ["--requests", "1"]}[how]
    with Up(server, backend.port, *options) as up:
        visitor = Visitor(up)
        if how == "revoke":
            api.call("DELETE", "/_api/tunnels/" + visitor.url.split("/")[-2])
        if how == "exhaust":
            with contextlib.suppress(OSError):  # its answer is cut when it is over
                visitor.get("hello")
                visitor.get("hello")
        assert up.wait() == code, up.both()
        assert words in up.text()


def test_refusals(server, backend):
    with Up(server, backend.port, token="a-token-that-nobody-has-made") as up:
        assert up.wait() == 3 and "token" in up.text(), up.both()
    with Up(server, backend.port, "--timeout", "400d") as up:
        assert up.wait() == 3 and "timeout" in up.text(), up.both()
    with Up(f"http://127.0.0.1:{free_port()}", backend.port) as up:
        assert up.wait() == 5, up.both()
    for wrong in ([], ["nonsense"], ["ftp://a"], [3000, "--demo"], ["--frobnicate", 3000]):
        with Up(server, *wrong) as up:
            assert up.wait() == 2, up.both()


def test_a_restarted_server_is_found_again(own_daemon, backend):
    with Up(f"http://127.0.0.1:{own_daemon.port}", backend.port) as up:
        visitor = Visitor(up)
        visitor.get("hello")
        own_daemon.restart()
        up.expect("connected again")
        assert visitor.status("hello") == 200


def test_killed_and_started_again_during_requests(server, backend, api):
    """None of them fails that had not begun its answer, and the URL works at once."""
    document = api.expect(201, "POST", "/_api/tunnels", {"auth": "none"}).json()
    backend.route("/slow", lambda received, request, stream: (
        time.sleep(0.3), stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))[0])
    results = []

    def visit():
        try:
            with urllib.request.urlopen(document["url"] + "slow", timeout=30) as answer:
                results.append(answer.read())
        except (OSError, urllib.error.URLError) as error:
            results.append(error)

    with Up(server, backend.port, "--attach", document["id"]) as up:
        up.url()
        visitors = [threading.Thread(target=visit) for _ in range(100)]
        for visitor in visitors:
            visitor.start()
        up.process.kill()
    with Up(server, backend.port, "--attach", document["id"]) as up:
        begun = time.monotonic()
        with urllib.request.urlopen(document["url"] + "hello", timeout=10) as answer:
            assert answer.status == 200
        assert time.monotonic() - begun < 1
        for visitor in visitors:
            visitor.join(30)
    assert results == [b"ok"] * 100, [result for result in results if result != b"ok"][:5]


def test_renewing_under_load_costs_no_request(server, backend):
    """Nor one with a body, which could not be sent a second time."""
    stop, failures, count = threading.Event(), [], collections.Counter()
    with Up(server, backend.port, "--reconnect-after", "1s", "--output", "json", "--auth", "none") as up:
        url = up.event("ready")["url"]

        def get(size):
            with urllib.request.urlopen(f"{url}big/{size}", timeout=20) as answer:
                assert len(answer.read()) == size

        def post(size):
            with urllib.request.urlopen(f"{url}echo", bytes(size), timeout=20) as answer:
                assert answer.status == 200

        def visit(ask, size):
            while not stop.is_set():
                try:
                    ask(size)
                    count[ask, size] += 1
                except Exception as error:  # every one counts
                    failures.append((ask, size, error))

        loads = [(get, 1), (get, 100_000), (get, 3_000_000), (post, 1), (post, 1000), (post, 500_000)]
        visitors = [threading.Thread(target=visit, args=load) for load in loads]
        for visitor in visitors:
            visitor.start()
        for renewal in range(1, 6):
            assert up.event("reconnect", renewal)["state"] == "renewed"
        stop.set()
        for visitor in visitors:
            visitor.join(30)
        assert not failures, failures[:3]
        assert all(count[load] > 5 for load in loads), count
        proc.wait_until(lambda: up.descriptors() < 16, 10, up.both)


def test_nothing_is_sent_to_a_server_that_does_not_prove_itself(server, backend, api):
    before = len(api.list("?state=all"))
    with Up(server, backend.port, "--attest", "require") as up:
        assert up.wait() in (5, 6), up.both()
        assert up.out == b""
    assert len(api.list("?state=all")) == before
