# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a tunnel has web origins of its own where the server has them to give: a port, a host name. It
# is at their root, they lead to it alone, and they come back with it after a restart. The API can have
# an origin of its own too.

import asyncio
import contextlib
import json
import re

import pytest
import websockets

from support import api as api_of, tls, wire
from support.backend import HttpBackend
from support.daemon import Daemon, TlsDaemon, free_port, free_ports
from support.proc import wait_until

DOMAIN = "t.example"


def served(count=3, kind=Daemon, **options):
    first = free_ports(count)
    daemon = kind(port_pool=f"{first}-{first + count - 1}", **options)
    daemon.pool = range(first, first + count)
    return daemon


@pytest.fixture(scope="module")
def daemon():
    """Has names for all tunnels, and ports for some."""
    with served(12, wildcard_domain=DOMAIN) as running:
        yield running


@pytest.fixture
def ports():
    with served() as running:
        yield running


@pytest.fixture
def named(daemon, backend):
    made = daemon.api.create(backend, origin="wildcard")
    yield made
    made.revoke()


def at(daemon, host, method="GET", target="/", fields=(), body=None, port=None):
    with wire.Client(("127.0.0.1", port or daemon.port)) as client:
        return client.exchange(method, target, [("Host", host), *fields], body)


def seen(answer):
    assert answer.status == 200, answer
    return json.loads(answer.body)


def fields_of(answer):
    return {name: value for name, value in seen(answer)["fields"]}


# Which there are


def test_urls_and_their_order(daemon, backend):
    base = f"http://127.0.0.1:{daemon.port}"
    by_name = daemon.api.create(backend)
    port = int(by_name.document["urls"][1].split(":")[2].strip("/"))
    assert port in daemon.pool
    name, own, path = (f"http://{by_name.id}.{DOMAIN}:{daemon.port}/", f"http://127.0.0.1:{port}/",
                       f"{base}/t/{by_name.id}/")
    assert (by_name.url, by_name.document["urls"], by_name.document["origin"]) == (
        name, [name, own, path], "wildcard")
    by_path = daemon.api.create(backend, origin="path", auth="bearer")
    assert by_path.document["urls"] == [f"{base}/t/{by_path.id}/",
                                        f"http://{by_path.id}.{DOMAIN}:{daemon.port}/"]
    assert by_path.document["share_url"] == f"{by_path.url}#{by_path.secret}"
    by_port = daemon.api.create(backend, origin="port")
    assert by_port.url == by_port.document["urls"][0] and by_port.document["origin"] == "port"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", by_port.url)
    shown = daemon.api.expect(200, "GET", f"/_api/tunnels/{by_port.id}").json()
    assert (shown["url"], shown["urls"]) == (by_port.url, by_port.document["urls"])
    for made in (by_name, by_path, by_port):
        made.revoke()


@pytest.mark.parametrize("options, refused", [
    ({}, ("port", "wildcard")), ({"wildcard_domain": DOMAIN}, ("port",))])
def test_what_there_is_not_cannot_be_chosen(backend, options, refused):
    with Daemon(**options) as daemon:
        for origin in refused:
            answer = daemon.api.call("POST", "/_api/tunnels", {"backend": backend.url(), "origin": origin})
            assert answer.status == 422
            [error] = answer.json()["errors"]
            assert error["pointer"] == "/origin" and "This server has no" in error["detail"], error


def test_ports_that_run_out(ports, backend):
    """Without a wish there is the path left; a wish is refused. An ended one's port is not given at once."""
    made = [ports.api.create(backend) for _ in range(3)]
    assert {tunnel.address[1] for tunnel in made} == set(ports.pool)
    assert ports.api.create(backend).document["origin"] == "path"
    answer = ports.api.call("POST", "/_api/tunnels", {"backend": backend.url(), "origin": "port"})
    assert (answer.status, answer.json()["code"]) == (429, "quota_reached")
    made[0].revoke()
    assert ports.api.create(backend).document["origin"] == "path"


def test_the_gateways_names(backend):
    with served(port_pool_url="https://app-{port}.gw.example", public_url="https://app.gw.example",
                wildcard_domain="gw.example") as daemon:
        tunnel = daemon.api.create(backend, origin="port", auth="bearer")
        found = re.fullmatch(r"https://app-(\d+)\.gw\.example/", tunnel.url)
        port = int(found[1])
        assert tunnel.document["urls"][1:] == [f"https://{tunnel.id}.gw.example/",
                                               f"https://app.gw.example/t/{tunnel.id}/"]
        host = f"app-{port}.gw.example"
        found = fields_of(at(daemon, host, fields=tunnel.bearer(), port=port))
        assert (found["X-Forwarded-Proto"], found["X-Forwarded-Host"]) == ("https", host)
        answer = at(daemon, host, "POST", f"/_t/{tunnel.id}/login",
                    [("Content-Type", "application/x-www-form-urlencoded")],
                    f"secret={tunnel.secret}".encode(), port=port)
        assert answer.status == 303 and answer.fields.get("Location") == "/"
        cookie = answer.fields.get("Set-Cookie")
        assert re.fullmatch(rf"__Host-tunneld_{tunnel.id}=[^;]+; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure",
                            cookie), cookie
        pair = cookie.split(";")[0]
        found = fields_of(at(daemon, host, fields=[("Cookie", f"a=b; {pair}")], port=port))
        assert found["Cookie"] == "a=b"


# On them


def test_on_its_name_it_is_at_the_root(daemon, named):
    host = f"{named.id}.{DOMAIN}:{daemon.port}"
    answer = at(daemon, host, target="/a/b?c")
    assert seen(answer)["target"] == "/a/b?c"
    found = fields_of(answer)
    assert (found["X-Forwarded-Host"], found["X-Forwarded-Proto"]) == (host, "http")
    assert "X-Forwarded-Prefix" not in found
    assert seen(at(daemon, host, target=f"/t/{named.id}/x"))["target"] == f"/t/{named.id}/x"
    assert seen(at(daemon, f"{named.id}.{DOMAIN.upper()}"))["target"] == "/"


def test_the_path_leads_there_all_the_same(daemon, named):
    found = fields_of(daemon.get(f"/t/{named.id}/x"))
    assert found["X-Forwarded-Prefix"] == f"/t/{named.id}"


def test_on_its_port_it_is_at_the_root(ports, backend):
    tunnel = ports.api.create(backend)
    assert tunnel.prefix == ""
    assert tunnel.reach("/a?b")["target"] == "/a?b"
    with tunnel.connect() as client:  # whatever the host, and again
        for host in ("x", f"127.0.0.1:{ports.port}"):
            client.request("GET", "/y", [("Host", host)])
            assert json.loads(client.answer().body)["target"] == "/y"


def test_its_port_speaks_tls_where_visitors_do(backend):
    """With the same key; and nothing else."""
    with served(kind=TlsDaemon) as daemon:
        tunnel = daemon.api.create(backend, origin="port", auth="bearer")
        port = tunnel.address[1]
        assert port in daemon.pool and tunnel.document["urls"] == [
            f"https://127.0.0.1:{port}/", "https://127.0.0.1:%d/t/%s/" % (daemon.tls_address[1], tunnel.id)]
        with tunnel.connect(tls=tls.trusting_nobody()) as visitor:
            assert [tls.spki(visitor.sock.tls.getpeercert(True))] == daemon.tls_keys()
            answer = visitor.exchange("POST", f"/_t/{tunnel.id}/login",
                                      {"Content-Type": "application/x-www-form-urlencoded"},
                                      f"secret={tunnel.secret}".encode())
            cookie = answer.fields.get("Set-Cookie")
            assert re.fullmatch(rf"__Host-tunneld_{tunnel.id}=[^;]+; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax; Secure",
                                cookie), cookie
        with tunnel.connect(tls=tls.trusting_nobody()) as visitor:
            found = fields_of(visitor.exchange("GET", "/", [("Cookie", cookie.split(";")[0])]))
            assert (found["X-Forwarded-Proto"], found["X-Forwarded-Host"]) == ("https", f"127.0.0.1:{port}")
        with tunnel.connect() as visitor, pytest.raises(ConnectionError):
            visitor.exchange("GET", "/")


def test_one_connection_is_for_one_tunnel(daemon, backend):
    one, two = (daemon.api.create(backend, origin="wildcard") for _ in range(2))
    with daemon.connect() as client:
        client.request("GET", "/", [("Host", f"{one.id}.{DOMAIN}")])
        assert client.answer().status == 200
        client.request("GET", f"/t/{one.id}/", [("Host", "127.0.0.1")])
        assert client.answer().status == 200
        client.request("GET", "/", [("Host", f"{two.id}.{DOMAIN}")])
        assert client.answer().status == 421
    for path in ("/", "/_api/tunnels", f"/_t/{one.id}/login"):
        with daemon.connect() as client:
            client.request("GET", "/", [("Host", f"{one.id}.{DOMAIN}")])
            assert client.answer().status == 200
            client.request("GET", path, [("Host", f"{one.id}.{DOMAIN}" if path != "/" else "127.0.0.1")])
            assert client.answer().status == 421, path
    one.revoke(), two.revoke()


@pytest.mark.parametrize("path", ["/_api/tunnels", "/_api/tokens", "/_api/events"])
def test_the_api_is_not_there(daemon, named, path):
    token = [("Authorization", f"Bearer {daemon.api.token}")]
    assert at(daemon, f"{named.id}.{DOMAIN}", target=path, fields=token).status == 404


def test_what_is_public_is_there(daemon, named):
    assert at(daemon, f"{named.id}.{DOMAIN}", target="/_api/version").status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/.well-known/x"])
def test_other_paths_are_the_tunnels(daemon, named, path):
    assert seen(at(daemon, f"{named.id}.{DOMAIN}", target=path))["target"] == path


def test_names_of_no_tunnel(daemon, named, backend):
    over = daemon.api.create(backend, origin="wildcard")
    over.revoke()
    for label, status in ((over.id, 410), ("t-aaaaaaaaaaaaaaaaaaaaaaaaaa", 404), ("www", 200)):
        answer = at(daemon, f"{label}.{DOMAIN}", target="/" if label != "www" else f"/t/{named.id}/")
        assert answer.status == status, (label, answer)


def test_a_port_of_no_tunnel(ports):
    for target in ("/", "/_api/version", "/t/t-aaaaaaaaaaaaaaaaaaaaaaaaaa/"):
        answer = at(ports, "127.0.0.1", target=target, port=ports.pool[1])
        assert answer.status == (200 if "version" in target else 404), answer


def test_a_websocket_on_its_port(ports, backend):
    async def story():
        async with websockets.connect(f"ws{ports.api.create(backend).url[4:]}ws/echo") as connection:
            await connection.send("hello")
            return await asyncio.wait_for(connection.recv(), 10)

    assert asyncio.run(story()) == "hello"


# Logging in


@pytest.mark.parametrize("how", ["port", "wildcard"])
def test_login(daemon, backend, how):
    tunnel, other = (daemon.api.create(backend, auth="bearer", origin=how) for _ in range(2))
    port = tunnel.address[1]
    host = tunnel.url.split("/")[2]
    page = at(daemon, host, fields=[("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate"),
                                    ("Sec-Fetch-Dest", "document")], port=port)
    assert page.status == 401 and f'action="/_t/{tunnel.id}/login"'.encode() in page.body

    def log_in(target, fields=()):
        return at(daemon, host, "POST", target,
                  [("Content-Type", "application/x-www-form-urlencoded"), *fields],
                  f"secret={tunnel.secret}".encode(), port=port)

    answer = log_in(f"/_t/{tunnel.id}/login", [("Referer", f"http://{host}/some/page?x"),
                                               ("Origin", f"http://{host}")])
    assert (answer.status, answer.fields.get("Location")) == (303, "/some/page?x")
    cookie = answer.fields.get("Set-Cookie")
    # Without https browsers would refuse __Host-.
    assert re.fullmatch(rf"tunneld_{tunnel.id}=[^;]+; Path=/; Max-Age=\d+; HttpOnly; SameSite=Lax", cookie), cookie
    pair = cookie.split(";")[0]
    assert "Cookie" not in fields_of(at(daemon, host, fields=[("Cookie", pair)], port=port))
    # Addresses of ours and of others are no place to go to.
    for to in ("//evil.example/", "/_t/x", "/_api/tunnels", "/../x", "/%2e%2E/x", "http://evil.example/"):
        answer = log_in(f"/_t/{tunnel.id}/login", [("Referer", f"http://{host}{to}")])
        assert (answer.status, answer.fields.get("Location")) == (303, "/"), to
    # Another tunnel's login is not here, and its cookie opens nothing.
    assert log_in(f"/_t/{other.id}/login").status == 404
    foreign = pair.replace(tunnel.id, other.id)
    assert at(daemon, host, fields=[("Cookie", foreign)], port=port).status == 401
    # A post of a page on another origin is none of ours.
    answer = log_in(f"/_t/{tunnel.id}/login", [("Origin", f"http://127.0.0.1:{daemon.port + 1}")])
    assert answer.status == 400
    tunnel.revoke(), other.revoke()


# After a restart


@pytest.mark.parametrize("how", ["restart", "kill", "worker"])
def test_the_same_port_afterwards(ports, backend, how):
    first, second = ports.api.create(backend), ports.api.create(backend)
    first.revoke()
    ports.die(how)
    shown = lambda: ports.api.expect(200, "GET", f"/_api/tunnels/{second.id}").json()
    wait_until(lambda: shown()["state"] == "active", 5, "it is not back")
    wait_until(lambda: second.get("/").status == 200, 5, "it is not there")
    assert shown()["url"] == second.url


def test_a_new_gate_knows_it(ports, backend):
    tunnel = ports.api.create(backend)
    gates = ports.gates()
    for gate in gates:
        gate.signal(9)
    ports.expect_gone(gates)
    assert tunnel.reach("/x")["target"] == "/x"


def test_without_the_pool_it_lives_on_by_its_path(backend):
    with served() as daemon:
        tunnel = daemon.api.create(backend)
        del daemon.options["port_pool"]
        daemon.restart()
        shown = lambda: daemon.api.expect(200, "GET", f"/_api/tunnels/{tunnel.id}").json()
        wait_until(lambda: daemon.get(f"/t/{tunnel.id}/").status == 200, 5, "it is not there")
        wait_until(lambda: shown()["origin"] == "path", 5, shown)
        assert shown()["urls"] == [f"http://127.0.0.1:{daemon.port}/t/{tunnel.id}/"]


# The API on an origin of its own


@pytest.fixture(scope="module")
def controlled():
    port = free_port()
    with Daemon(control_listen=f"127.0.0.1:{port}") as running:
        running.control = api_of.Api(port, running.api.token)
        yield running
        running.control.close()


@pytest.mark.parametrize("method, path", [
    ("GET", "/_api/tunnels"), ("POST", "/_api/tunnels"), ("GET", "/_api/tokens"), ("GET", "/_api/events")])
def test_visitors_do_not_reach_the_api(controlled, method, path):
    answer = controlled.api.call(method, path, {} if method == "POST" else None)
    assert answer.status == 404 and "control_listen" in answer.json()["detail"], answer.body
    assert controlled.api.call(method, path, token="").status == 404


def test_the_api_is_on_its_own_origin(controlled, backend):
    tunnel = controlled.control.create(backend)
    assert tunnel.url == f"http://127.0.0.1:{controlled.port}/t/{tunnel.id}/"
    assert tunnel.reach("/")["target"] == "/"
    assert tunnel.id in controlled.control.ids()
    assert controlled.control.call("GET", f"/t/{tunnel.id}/").status == 404
    assert controlled.control.call("GET", f"/_t/{tunnel.id}/login").status == 404
    for path in ("/_api/version", "/healthz", "/readyz", "/_api/openapi.json"):
        assert controlled.control.call("GET", path).status == 200
        assert controlled.api.call("GET", path, token="").status == 200


def test_no_tunnel_leads_to_them(controlled, daemon):
    """Own listeners are no backends, whatever they are for."""
    for port, on in ((controlled.control.address[1], controlled.control), (daemon.pool[0], daemon.api)):
        answer = on.call("POST", "/_api/tunnels", {"backend": f"http://127.0.0.1:{port}"})
        assert (answer.status, answer.json()["code"]) == (422, "backend_forbidden")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{}", "127.0.0.1.evil.example", "localhost.evil.example"])
def test_a_name_that_others_can_lead_here(controlled, host):
    """DNS rebinding: a page of that name would be of one origin with the dashboard."""
    for path in ("/", "/_api/tunnels", "/assets/style.css", "/healthz"):
        answer = controlled.control.call("GET", path, fields=[("Host", host.format(controlled.control.address[1]))])
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (421, "misdirected"), (path, answer)


def test_names_of_the_api(controlled):
    port = controlled.control.address[1]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "[::1]", "10.0.0.1"):
        assert controlled.control.call("GET", "/_api/tunnels", fields=[("Host", host)]).status == 200
    with Daemon(control_listen=f"127.0.0.1:{(port := free_port())}", control_url="https://Control.Example") as daemon:
        with contextlib.closing(api_of.Api(port, daemon.api.token)) as control:
            for host, status in (("control.example", 200), ("127.0.0.1", 200), ("other.example", 421)):
                answer = control.call("GET", "/_api/tunnels", fields=[("Host", host)])
                assert answer.status == status, (host, answer)


PAGE = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")]


def test_the_dashboard_is_not_for_visitors(controlled):
    """It is at the root of the API's own address, and nowhere else, whatever Host says."""
    here = controlled.control.call("GET", "/", fields=PAGE, token="")
    assert here.status == 200 and b"dashboard.js" in here.body, here
    for host in (f"127.0.0.1:{controlled.port}", "127.0.0.1:%d" % controlled.control.address[1]):
        there = controlled.api.call("GET", "/", fields=[*PAGE, ("Host", host)], token="")
        assert there.status == 200 and b"dashboard" not in there.body, there
        for name in ("dashboard.js", "dashboard.css", "dashboard.html", "api.js", "style.css"):
            answer = controlled.api.call("GET", "/assets/" + name, fields=[("Host", host)], token="")
            assert answer.status == 404, (name, answer)
    assert controlled.control.call("GET", "/assets/dashboard.html").status == 404
    with Daemon() as daemon:  # without an address of its own there is none
        assert b"dashboard" not in daemon.api.call("GET", "/", fields=PAGE, token="").body
