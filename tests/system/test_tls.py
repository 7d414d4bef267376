# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# TLS as visitors meet it: who can speak it with us, whose key they see, and that an end is an end
# and a cut a cut, whoever makes it.

import fcntl
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import termios
import threading
import time

import pytest

from support import proc, tls, wire
from support.agents import connected
from support.backend import TcpBackend, head
from support.daemon import SANITIZED, TOKEN, TlsDaemon, free_port
from support.rawagent import RawAgent

ANYBODY = tls.trusting_nobody()


@pytest.fixture(scope="module")
def daemon():
    with TlsDaemon(gates=2, edges=2) as running:
        yield running


@pytest.fixture
def own_daemon():
    with TlsDaemon(edges=2) as running:
        yield running


def shown(daemon, name=None, context=ANYBODY):
    """The SHA-256 of the public key that a visitor is shown."""
    with tls.connect(daemon.tls_address, context, name) as visitor:
        return tls.spki(visitor.tls.getpeercert(True))


# ---- who can speak it


def test_urls_are_https(daemon, tunnel):
    assert tunnel.url.startswith("https://127.0.0.1:%d/t/" % daemon.tls_address[1])


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_python(daemon, tunnel, version):
    version = ssl.TLSVersion[version]
    context = tls.trusting_nobody(minimum_version=version, maximum_version=version)
    with tunnel.connect(tls=context) as visitor:
        answer = visitor.exchange("GET", tunnel.target("/echo"))
        assert answer.status == 200 and visitor.exchange("GET", tunnel.target("/echo")).status == 200


def test_curl(tunnel):
    done = subprocess.run(["curl", "-sk", tunnel.url + "echo"], capture_output=True, timeout=20)
    assert done.returncode == 0 and json.loads(done.stdout)["method"] == "GET", done


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client(daemon, tunnel, version):
    ask = f"GET {tunnel.target('/echo')} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
    done = subprocess.run(
        ["openssl", "s_client", version, "-quiet", "-ign_eof", "-connect", "%s:%d" % daemon.tls_address],
        input=ask, capture_output=True, timeout=20)
    assert done.returncode == 0 and b"HTTP/1.1 200" in done.stdout, done


def test_older_versions_are_refused(daemon):
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0",
         "-connect", "%s:%d" % daemon.tls_address], input=b"", capture_output=True, timeout=20)
    assert done.returncode != 0 and b"alert protocol version" in done.stderr, done


def test_http_1_1_is_what_is_spoken(daemon):
    context = tls.trusting_nobody()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with tls.connect(daemon.tls_address, context) as visitor:
        assert visitor.tls.selected_alpn_protocol() == "http/1.1"
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        tls.connect(daemon.tls_address, context)


def test_what_the_backend_and_the_browser_are_told(daemon, backend):
    tunnel = daemon.api.create(backend, auth="bearer")
    with tunnel.connect(tls=ANYBODY) as visitor:
        answer = visitor.exchange("GET", tunnel.target("/echo"), tunnel.bearer())
    seen = dict(json.loads(answer.body)["fields"])
    assert (seen["X-Forwarded-Proto"], seen["X-Forwarded-For"]) == ("https", "127.0.0.1"), seen
    with tunnel.connect(tls=ANYBODY) as visitor:
        answer = visitor.exchange("POST", f"/_t/{tunnel.id}/login",
                                  {"Content-Type": "application/x-www-form-urlencoded"},
                                  f"secret={tunnel.secret}".encode())
    assert "; Secure" in answer.fields.get("Set-Cookie", ""), answer


def test_plain_listeners_are_still_plain(daemon, tunnel):
    with wire.Client(daemon.address) as visitor:
        answer = visitor.exchange("GET", tunnel.target("/echo"))
    seen = dict(json.loads(answer.body)["fields"])
    assert seen["X-Forwarded-Proto"] == "http", seen


def test_pages_and_errors(daemon, tunnel):
    """The gate's, the relay's, the API worker's and, passed on by the relay, a page."""
    for ask, status in ((b"BAD\r\n\r\n", 400),
                        (b"GET /_api/version HTTP/1.1\r\nHost: a\r\n\r\n", 200),
                        (b"GET /t/t-nonenonenonenonenone/ HTTP/1.1\r\nHost: a\r\n\r\n", 404)):
        with wire.Client(daemon.tls_address, tls=ANYBODY) as visitor:
            visitor.send(ask)
            answer = visitor.answer()
            assert answer.status == status and visitor.rest() == b"", answer
    closed = daemon.api.create(f"http://127.0.0.1:{free_port()}")
    with closed.connect(tls=ANYBODY) as visitor:
        answer = visitor.exchange("GET", closed.target("/"),
                                  {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
        assert answer.status == 502 and "text/html" in answer.fields.get("Content-Type"), answer
        assert visitor.rest() == b""


# ---- who takes nothing


def test_who_reads_nothing_is_let_go(own_daemon):
    def held():
        return sum(edge.descriptors() for edge in own_daemon.children("tunneld-edge"))
    before, visitors = held(), []
    for _ in range(10):
        visitor = socket.socket()
        visitor.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        visitor.connect(own_daemon.tls_address)
        visitors.append(ANYBODY.wrap_socket(visitor))
        visitors[-1].sendall(b"GET /_api/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n")
    proc.wait_until(lambda: held() >= before + 10, 10, "no visitors")
    proc.wait_until(lambda: held() == before, 60, lambda: f"{held()} descriptors, {before} before")
    for visitor in visitors:
        visitor.close()


# ---- new keys (RFC 8446 section 4.6.3)


class Rekeying:
    """openssl s_client, which has a new key for what it sends after a read that begins with k."""

    def __init__(self, daemon):
        command = ["openssl", "s_client", "-tls1_3", "-connect", "%s:%d" % daemon.tls_address]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.say(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def say(self, text):
        """By a read of its own; false when it has ended."""
        def taken():
            return self.process.poll() is not None or fcntl.ioctl(self.process.stdin, termios.FIONREAD, bytes(4)) == bytes(4)
        try:
            os.write(self.process.stdin.fileno(), text)
        except BrokenPipeError:
            return False
        proc.wait_until(taken, 10, "openssl s_client does not read")
        return self.process.poll() is None

    def rekey(self, most):
        """How many fields went with a key of their own."""
        for n in range(most):
            if not self.say(b"k\n") or not self.say(b"a: b\r\n"):
                return n
        return most

    def answer(self):
        return [line for line in iter(self.process.stdout.readline, b"") if line.startswith(b"HTTP/1.1")][0]


def test_new_keys(daemon):
    with Rekeying(daemon) as client:
        assert client.rekey(20) == 20
        client.say(b"Connection: close\r\n\r\n")
        assert client.answer().startswith(b"HTTP/1.1 200")


def test_new_keys_without_end(daemon):
    with Rekeying(daemon) as client:
        done = client.rekey(90)
        assert 32 <= done < 90, done


# ---- keys


def test_one_key_for_all_edges_and_their_successors(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    (key,) = own_daemon.tls_keys()
    assert {shown(own_daemon) for _ in range(8)} == {key}
    visitors = [wire.Client(own_daemon.tls_address, tls=ANYBODY) for _ in range(16)]
    for visitor in visitors:
        assert visitor.exchange("GET", tunnel.target("/echo")).status == 200
    # The kernel may have given all of them to one.
    first, _ = sorted(own_daemon.children("tunneld-edge"), key=lambda edge: edge.descriptors())
    first.signal(signal.SIGKILL)
    own_daemon.expect_gone([first])
    alive = 0
    for visitor in visitors:
        try:
            alive += visitor.exchange("GET", tunnel.target("/echo")).status == 200
        except (ConnectionError, wire.Ended):
            pass
    assert alive >= 8, "those of the other edge live on"
    proc.wait_until(lambda: len(own_daemon.children("tunneld-edge")) == 2, 1, "not back within 1 s")
    assert {shown(own_daemon) for _ in range(8)} == {key} and own_daemon.tls_keys() == [key]


def test_sessions_are_resumed_by_any_edge(own_daemon):
    context = tls.trusting_nobody()
    with wire.Client(own_daemon.tls_address, tls=context) as visitor:
        visitor.exchange("GET", "/healthz")
        session = visitor.sock.tls.session
    assert session and session.has_ticket
    resumed = 0
    for _ in range(8):
        with tls.connect(own_daemon.tls_address, context, session=session) as visitor:
            resumed += visitor.tls.session_reused
    assert resumed == 8


def test_own_certificates(tmp_path):
    ca = tls.Authority(tmp_path)
    made = [ca.issue("one.test"), ca.issue("*.two.test", rsa=True), ca.issue("three.test")]
    keys = {f"tls_{what}": ",".join(str(pair[i]) for pair in made)
            for i, what in enumerate(("cert", "key"))}
    with TlsDaemon(**keys) as daemon:
        context = ca.context()
        logged = daemon.tls_keys()
        for name, key in zip(("one.test", "a.two.test", "three.test"), logged, strict=True):
            assert shown(daemon, name, context) == key
        assert shown(daemon, "other.test") == logged[0]


def test_new_certificates_under_load(tmp_path):
    """Not one handshake fails while they change; bad ones are not taken."""
    ca = tls.Authority(tmp_path)
    certificate, key = ca.issue("one.test", file="live")
    with TlsDaemon(tls_cert=str(certificate), tls_key=str(key)) as daemon:
        stop, failed, served = threading.Event(), [], []

        def visit():
            context = ca.context()
            while not stop.is_set():
                try:
                    with wire.Client(daemon.tls_address) as plain:
                        secured = tls.TlsSocket(plain.sock, context, "one.test")
                        visitor = wire.Stream(secured)
                        visitor.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                        assert b" 200 " in visitor.head()
                        served.append(1)
                except Exception as error:
                    failed.append(repr(error))

        threads = [threading.Thread(target=visit) for _ in range(4)]
        for thread in threads:
            thread.start()
        seen = {shown(daemon, "one.test", ca.context())}
        for _ in range(3):
            ca.issue("one.test", file="live")
            daemon.supervisor.signal(signal.SIGHUP)
            proc.wait_until(lambda: shown(daemon, "one.test", ca.context()) not in seen, 10,
                            daemon.log)
            seen.add(shown(daemon, "one.test", ca.context()))
        good = certificate.read_bytes()
        for bad, why in ((b"nonsense", "no certificate"), (good[:300], "damaged|no certificate"),
                         (ca.certificate.read_bytes(), "not that of the certificate")):
            certificate.write_bytes(bad)
            daemon.mark()
            daemon.supervisor.signal(signal.SIGHUP)
            proc.wait_until(lambda: re.search(why, daemon.log()), 10, daemon.log)
            assert "stays as it was" in daemon.log()
        key.chmod(0o644)
        daemon.mark()
        daemon.supervisor.signal(signal.SIGHUP)
        proc.wait_until(lambda: "closed to them" in daemon.log(), 10, daemon.log)
        assert shown(daemon, "one.test", ca.context()) in seen
        stop.set()
        for thread in threads:
            thread.join(20)
        assert not failed and len(served) > 20, (failed[:3], len(served))


def test_a_certificate_of_our_own_is_made_again(backend):
    """In time, over the same key, and without dropping a connection."""
    def other_than(seen):
        with tls.connect(daemon.tls_address) as visitor:
            certificate = visitor.tls.getpeercert(True)
        return certificate if certificate not in seen else None

    with TlsDaemon(edges=2, tls_life="6s") as daemon:
        tunnel = daemon.api.create(backend)
        with tunnel.connect(tls=ANYBODY) as visitor:
            assert visitor.exchange("GET", tunnel.target("/echo")).status == 200
            seen = []
            for n in range(3):
                proc.wait_until(lambda: daemon.log().count("over the same keys") >= n, 20 + 20 * SANITIZED, daemon.log)
                seen.append(proc.wait_until(lambda: other_than(seen), 20, daemon.log))
            assert {tls.spki(certificate) for certificate in seen} == set(daemon.tls_keys())
            assert visitor.exchange("GET", tunnel.target("/echo")).status == 200


def test_bad_certificates_at_start(tmp_path):
    ca = tls.Authority(tmp_path)
    certificate, key = ca.issue("one.test")
    other = ca.issue("two.test")[1]
    for wrong, why in (((certificate, tmp_path / "none"), "No such file"),
                       ((certificate, other), "not that of the certificate")):
        daemon = TlsDaemon(tls_cert=str(wrong[0]), tls_key=str(wrong[1]))
        with pytest.raises(AssertionError, match=why), daemon:
            pass


# ---- ends and cuts


def test_events(own_daemon, backend):
    """The mark that such a stream has no end is for the edge alone."""
    with wire.Client(own_daemon.tls_address, tls=ANYBODY) as visitor:
        visitor.request("GET", "/_api/events", {"Authorization": f"Bearer {TOKEN}"})
        assert visitor.answer_head().status == 200
        tunnel = own_daemon.api.create(backend)
        seen = b""
        while tunnel.id.encode() not in seen:
            seen += visitor.some()
        assert seen.startswith((b"retry: ", b"id: ")) and b"\nevent: created\n" in seen, seen


def test_the_end_of_a_budget_cuts_no_answer(own_daemon, backend):
    """One who has his answer still on the way, and could ask again, while another uses the last request."""
    tunnel = own_daemon.api.create(backend, limits={"requests": 2})
    with wire.Client(own_daemon.tls_address, tls=ANYBODY, receive_buffer=4096) as slow, tunnel.connect(tls=ANYBODY) as last:
        slow.request("GET", tunnel.target("/big/100000"))
        proc.wait_until(lambda: tunnel.show()["counters"]["bytes_out"] == 100_000, 20, tunnel.show)
        time.sleep(0.6)  # the relay sees in this time that all has left it, and waits for a request
        assert last.exchange("GET", tunnel.target("/echo")).status == 200 and last.rest() == b""
        proc.wait_until(lambda: tunnel.state() == "exhausted", 20, tunnel.show)
        answer = slow.answer()
        assert len(answer.body) == 100_000 and slow.rest() == b""


class Pouring:
    """A backend that answers without an end."""

    def __init__(self, backend):
        def pour(received, request, stream):
            stream.send(head(200, [("Connection", "close")]))
            while True:
                stream.send(b"x" * 4096)
                time.sleep(0.001)

        backend.route("/pour", pour)


def open_download(tunnel):
    """An answer that only its end ends: HTTP/1.0."""
    visitor = tunnel.connect(tls=ANYBODY)
    visitor.request("GET", tunnel.target("/pour"), version="HTTP/1.0")
    assert visitor.answer_head().status == 200
    visitor.some()
    return visitor


def end_of(visitor):
    try:
        while visitor.some():
            pass
        return "close_notify"
    except tls.Truncated:
        return "FIN"
    except ConnectionResetError:
        return "reset"


@pytest.mark.parametrize("half", [False, True], ids=["open", "half-closed"])
@pytest.mark.parametrize("how", ["kill", "expiry", "revoked"])
def test_a_killed_relay_is_never_an_end(own_daemon, backend, half, how):
    Pouring(backend)
    tunnel, relay = own_daemon.create_with_relay(backend, timeout=2 if how == "expiry" else 600)
    visitor = open_download(tunnel)
    if half:
        visitor.finish()
        visitor.some()
    if how == "kill":
        relay.signal(signal.SIGKILL)
    elif how == "revoked":
        tunnel.revoke()
    assert end_of(visitor) == "reset"


def test_a_whole_answer_ends_with_close_notify(tunnel):
    for path in ("/echo", "/big/3000000"):
        visitor = tunnel.connect(tls=ANYBODY)
        visitor.request("GET", tunnel.target(path), version="HTTP/1.0")
        assert visitor.answer().status == 200
        assert end_of(visitor) == "close_notify"


def tcp_tunnel(daemon, serve):
    backend = TcpBackend(serve)
    tunnel = daemon.api.create(backend.url("tcp"))
    visitor = tunnel.connect(tls=ANYBODY)
    visitor.request("GET", tunnel.target("/"), {"Connection": "Upgrade", "Upgrade": "tcp"})
    assert visitor.answer().status == 101
    return backend, visitor


def test_half_close_through_a_byte_relay(daemon):
    """close_notify reaches the server as its end, and what it says afterwards the visitor."""
    def serve(stream):
        stream.send(b"got %d" % len(stream.rest()))

    backend, visitor = tcp_tunnel(daemon, serve)
    with backend:
        visitor.send(b"x" * 1_000_000)
        visitor.finish()
        assert visitor.rest() == b"got 1000000"


def test_the_server_may_end_first(daemon):
    def serve(stream):
        stream.send(b"bye")
        stream.finish()
        said.append(stream.rest())

    said = []
    backend, visitor = tcp_tunnel(daemon, serve)
    with backend:
        assert visitor.rest() == b"bye"
        visitor.sock.tcp.setblocking(True)
        visitor.send(b"still here")
        visitor.finish()
        proc.wait_until(lambda: said, 5, "the server has heard nothing")
        assert said == [b"still here"]


@pytest.mark.parametrize("cut", ["FIN", "reset"])
def test_a_cut_visitor_is_a_reset_to_the_server(daemon, cut):
    def serve(stream):
        stream.send(b"hello")
        stream.send(stream.take(5))
        heard.append(stream.ended())

    heard = []
    backend, visitor = tcp_tunnel(daemon, serve)
    with backend:
        assert visitor.take(5) == b"hello"
        visitor.send(b"there")
        assert visitor.take(5) == b"there"
        if cut == "FIN":
            visitor.sock.tcp.shutdown(socket.SHUT_WR)
        else:
            visitor.reset()
        proc.wait_until(lambda: heard, 5, "the server has heard nothing")
        assert heard == ["reset"]


def test_the_worker_may_die(own_daemon, backend):
    """A download goes on, and new visitors come."""
    Pouring(backend)
    tunnel = own_daemon.api.create(backend)
    visitor = open_download(tunnel)
    own_daemon.die("worker")
    with tunnel.connect(tls=ANYBODY) as another:
        assert another.exchange("GET", tunnel.target("/echo")).status == 200
    visitor.take(1_000_000)
    visitor.close()


def test_both_ways_at_once(tunnel):
    """More than any buffer holds, while neither side waits for the other."""
    size = 40_000_000
    with tunnel.connect(tls=ANYBODY) as visitor:
        visitor.request("GET", tunnel.target(f"/big/{size}"))
        answer = visitor.answer_head()
        got = bytearray(1)
        answer.read(lambda piece: got.__setitem__(0, 0))
        assert answer.status == 200


# ---- agents


def test_an_agent(own_daemon):
    """It serves, is told why it has to go, and is gone when it goes; nobody dies of it."""
    tunnel = own_daemon.api.pull()
    for _ in range(2):
        with RawAgent(tunnel, tls=ANYBODY) as agent:
            connected(tunnel)
            agent.serve("by TLS")
            for _ in range(3):
                with tunnel.connect(tls=ANYBODY) as visitor:
                    answer = visitor.exchange("GET", tunnel.target("/"))
                    assert (answer.status, answer.text()) == (200, "by TLS")
        connected(tunnel, 0)


def test_an_agent_that_is_closed(own_daemon):
    tunnel = own_daemon.api.pull()
    with RawAgent(tunnel, tls=ANYBODY) as agent:
        connected(tunnel)
        agent.raw(b"\xff" * 14)
        assert agent.closed()[0] == 1002
        assert agent.stream.sock.recv(1) == b"", "close_notify"
    connected(tunnel, 0)


def test_an_agent_at_the_tunnels_end(own_daemon):
    tunnel = own_daemon.api.pull()
    with RawAgent(tunnel, tls=ANYBODY) as agent:
        connected(tunnel)
        own_daemon.api.call("DELETE", f"/_api/tunnels/{tunnel.id}")
        with pytest.raises(ConnectionError):
            while agent.stream.sock.recv(65536):
                pass


# ---- crowds


def half_open(daemon, count, begin):
    made = []
    for _ in range(count):
        sock = socket.create_connection(daemon.tls_address)
        if begin:
            sock.send(begin)
        made.append(sock)
    return made


@pytest.mark.parametrize("begin", [b"", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["silent", "slow"])
def test_half_open_handshakes_stop_nobody(own_daemon, begin):
    crowd = half_open(own_daemon, 2000, begin)
    took = []
    try:
        for _ in range(100):
            began = time.monotonic()
            with wire.Client(own_daemon.tls_address, tls=ANYBODY) as visitor:
                assert visitor.exchange("GET", "/healthz").status == 200
            took.append(time.monotonic() - began)
    finally:
        for sock in crowd:
            sock.close()
    assert sorted(took)[-2] < 0.25, sorted(took)[-5:]
