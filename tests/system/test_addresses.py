# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: no spelling of an address gets past the address policy. Each row is what an attacker would try
# and what has to come of it. What names and their changes can do is in test_names.py; every reading of
# an address alone, in tests/unit/test_policy.c.

import json

import pytest

from support.backend import HttpBackend, TcpBackend, head
from support.daemon import Daemon, free_port

FORBIDDEN, INVALID = "backend_forbidden", "invalid"
NUMBER, NAME, ASCII, PORT, BRACKETS = "ends in a number", "a host name may", "xn--", "port is", "in brackets"

# {own}: tunneld's own port. {port}: a backend's, on 127.0.0.1 and nowhere else.
REFUSED = [
    # The metadata service, 169.254.169.254.
    ("http://169.254.169.254", FORBIDDEN, "metadata", "as it is"),
    ("http://2852039166", INVALID, NUMBER, "one decimal number"),
    ("http://0xa9fea9fe", INVALID, NUMBER, "one hexadecimal number"),
    ("http://025177524776", INVALID, NUMBER, "one octal number"),
    ("http://0xa9.0xfe.0xa9.0xfe", INVALID, NUMBER, "hexadecimal bytes"),
    ("http://0251.0376.0251.0376", INVALID, NUMBER, "octal bytes"),
    ("http://169.254.43518", INVALID, NUMBER, "three parts"),
    ("http://169.16689662", INVALID, NUMBER, "two parts"),
    ("http://169.254.169.0xfe", INVALID, NUMBER, "mixed bases"),
    ("http://425.510.425.510", INVALID, NUMBER, "bytes that overflow to it"),
    ("http://7147006462", INVALID, NUMBER, "a number that overflows to it"),
    ("http://169.254.169.254.", INVALID, NUMBER, "a trailing dot"),
    ("http://[::ffff:169.254.169.254]", FORBIDDEN, "metadata", "mapped"),
    ("http://[::ffff:a9fe:a9fe]", FORBIDDEN, "metadata", "mapped, in hexadecimal"),
    ("http://[0:0:0:0:0:ffff:a9fe:a9fe]", FORBIDDEN, "metadata", "mapped, in full"),
    ("http://[::FFFF:A9FE:A9FE]", FORBIDDEN, "metadata", "mapped, in capitals"),
    ("http://[::ffff:0:169.254.169.254]", FORBIDDEN, "metadata", "translated"),
    ("http://[::169.254.169.254]", FORBIDDEN, "metadata", "compatible"),
    ("http://[64:ff9b::169.254.169.254]", FORBIDDEN, "metadata", "NAT64"),
    ("http://[64:ff9b:1::a9fe:a9fe]", FORBIDDEN, "metadata", "local NAT64"),
    ("http://[64:ff9b:1:a9fe:a9:fe00::]", FORBIDDEN, "metadata", "local NAT64, at another length"),
    ("http://[2002:a9fe:a9fe::1]", FORBIDDEN, "metadata", "6to4"),
    ("http://[2001:0:a9fe:a9fe:8000:63bf:f7f7:f7f7]", FORBIDDEN, "metadata", "a Teredo server"),
    ("http://[2001:0:808:808:8000:63bf:5601:5601]", FORBIDDEN, "metadata", "a Teredo client"),
    ("http://[2001:db8::5efe:169.254.169.254]", FORBIDDEN, "metadata", "ISATAP"),
    ("http://[2001:db8::200:5efe:a9fe:a9fe]", FORBIDDEN, "metadata", "ISATAP, unique"),
    ("http://[::ffff:169.254.169.254%25eth0]", INVALID, "zone", "a zone behind it"),
    ("http://[::ffff:0251.254.169.254]", INVALID, "not an ipv6", "octal inside"),
    ("http://169。254。169。254", INVALID, ASCII, "ideographic full stops"),
    ("http://１６９.２５４.１６９.２５４", INVALID, ASCII, "fullwidth digits"),
    ("http://①⑥⑨.②⑤④.①⑥⑨.②⑤④", INVALID, ASCII, "digits in circles"),
    ("http://169%2e254%2e169%2e254", INVALID, NAME, "percent-encoded dots"),
    ("http://%31%36%39.254.169.254", INVALID, NUMBER, "percent-encoded digits"),
    ("http://169.254.169.254%00.example.org", INVALID, NAME, "a percent-encoded NUL"),
    ("http://169.254.169.254\0.example.org", INVALID, "control", "a NUL"),
    ("http://example.org@169.254.169.254", INVALID, "user name", "a user in front of it"),
    ("http://169.254.169.254@example.org", INVALID, "user name", "as a user"),
    ("http://example.org:80@169.254.169.254", INVALID, "user name", "user and password"),
    ("http://example.org%40169.254.169.254", INVALID, NUMBER, "a percent-encoded @"),
    ("http://example.org\\@169.254.169.254", INVALID, "user name", "a backslash"),
    ("http://169.254.169.254\\.example.org", INVALID, NAME, "a backslash behind it"),
    ("http://169.254.169.254#@example.org", INVALID, "fragment", "a fragment"),
    ("http://169.254.169.254?@example.org", INVALID, "query", "a query"),
    ("http://example.org/@169.254.169.254", INVALID, "path", "a path"),
    ("http:169.254.169.254", INVALID, "scheme", "no slashes"),
    ("http:///169.254.169.254", INVALID, "no host", "three slashes"),
    ("http://\t169.254.169.254", INVALID, "white space", "a tab"),
    ("http://169.254.169.254\r\nHost: a", INVALID, "white space", "a line of its own"),
    ("gopher://169.254.169.254", INVALID, "scheme", "another scheme"),
    ("file:///etc/passwd", INVALID, "scheme", "a file"),
    ("unix:/run/docker.sock", INVALID, "unix", "a local socket"),
    # Other services of clouds.
    ("http://100.100.100.200", FORBIDDEN, "metadata", "Alibaba"),
    ("http://192.0.0.192", FORBIDDEN, "metadata", "Oracle"),
    ("http://168.63.129.16", FORBIDDEN, "metadata", "Azure"),
    ("http://[fd00:ec2::254]", FORBIDDEN, "metadata", "AWS"),
    ("http://[fd00:0ec2:0000:0000:0000:0000:0000:0254]", FORBIDDEN, "metadata", "AWS, in full"),
    ("http://[FD20:CE::254]", FORBIDDEN, "metadata", "Google"),
    ("http://[fd00:c1::a9fe:a9fe]", FORBIDDEN, "metadata", "Oracle by IPv6"),
    ("http://169.254.170.2", FORBIDDEN, "link-local", "credentials of containers"),
    ("http://[fe80::a9fe:a9fe]", FORBIDDEN, "link-local", "OpenStack by IPv6"),
    ("http://[fe80::1%25lo]", INVALID, "zone", "link-local with a zone"),
    # Addresses that mean this machine, or everybody.
    ("http://0.0.0.0:{port}", FORBIDDEN, "unspecified", "unspecified"),
    ("http://0:{port}", INVALID, NUMBER, "unspecified, short"),
    ("http://0.0.0.1:{port}", FORBIDDEN, "unspecified", "this network"),
    ("http://0.1.2.3:{port}", FORBIDDEN, "unspecified", "this network"),
    ("http://[::]:{port}", FORBIDDEN, "unspecified", "unspecified, IPv6"),
    ("http://[::0]:{port}", FORBIDDEN, "unspecified", "the same"),
    ("http://[0:0:0:0:0:0:0:0]:{port}", FORBIDDEN, "unspecified", "the same in full"),
    ("http://[::ffff:0.0.0.0]:{port}", FORBIDDEN, "unspecified", "mapped"),
    ("http://255.255.255.255:{port}", FORBIDDEN, "broadcast", "broadcast"),
    ("http://224.0.0.1:{port}", FORBIDDEN, "multicast", "multicast"),
    ("http://[ff02::1]:{port}", FORBIDDEN, "multicast", "multicast"),
    # tunneld itself.
    ("http://127.0.0.1:{own}", FORBIDDEN, "itself", "as it is"),
    ("tcp://127.0.0.1:{own}", FORBIDDEN, "itself", "another scheme"),
    ("ws://127.0.0.1:{own}", FORBIDDEN, "itself", "another scheme"),
    ("http://127.1:{own}", INVALID, NUMBER, "short"),
    ("http://127.0.1:{own}", INVALID, NUMBER, "short"),
    ("http://2130706433:{own}", INVALID, NUMBER, "a number"),
    ("http://0x7f.1:{own}", INVALID, NUMBER, "hexadecimal and short"),
    ("http://017700000001:{own}", INVALID, NUMBER, "octal"),
    ("http://127.000.000.001:{own}", INVALID, NUMBER, "zeros in front"),
    ("http://localhost:{own}", FORBIDDEN, "itself", "by name"),
    ("http://LOCALHOST:{own}", FORBIDDEN, "itself", "in capitals"),
    ("http://localhost.:{own}", FORBIDDEN, "itself", "with a dot"),
    ("http://ｌｏｃａｌｈｏｓｔ:{own}", INVALID, ASCII, "fullwidth letters"),
    ("http://locaKhost:{own}".replace("K", "ⅼ"), INVALID, ASCII, "a letter like another"),
    ("http://[::ffff:127.0.0.1]:{own}", FORBIDDEN, "itself", "mapped"),
    ("http://[::ffff:7f00:1]:{own}", FORBIDDEN, "itself", "mapped, in hexadecimal"),
    ("http://[::127.0.0.1]:{own}", FORBIDDEN, "itself", "compatible"),
    ("http://[64:ff9b::127.0.0.1]:{own}", FORBIDDEN, "itself", "NAT64"),
    ("http://[2002:7f00:1::]:{own}", FORBIDDEN, "itself", "6to4"),
    ("http://[127.0.0.1]:{own}", INVALID, "not an ipv6", "IPv4 in brackets"),
    ("http://[::1:{own}", INVALID, BRACKETS, "half a bracket"),
    ("http://::ffff:127.0.0.1:{own}", INVALID, BRACKETS, "no brackets"),
    ("http://[[::1]]:{own}", INVALID, "", "brackets in brackets"),
    ("http://127.0.0.1:{own}/t/", INVALID, "path", "a path"),
    # Ports.
    ("http://127.0.0.1:0", INVALID, PORT, "none"),
    ("http://127.0.0.1:", INVALID, PORT, "empty"),
    ("http://127.0.0.1:65536", INVALID, PORT, "too large"),
    ("http://127.0.0.1:0{own}", INVALID, PORT, "a zero in front"),
    ("http://127.0.0.1:4295{own:06}", INVALID, PORT, "more digits than there are"),
    ("http://127.0.0.1:+{own}", INVALID, PORT, "a sign"),
    ("http://127.0.0.1:-1", INVALID, PORT, "a sign"),
    ("http://127.0.0.1:0x50", INVALID, PORT, "hexadecimal"),
    ("http://127.0.0.1:{own} ", INVALID, "white space", "a blank"),
    ("http://127.0.0.1:８０", INVALID, ASCII, "fullwidth digits"),
    ("http://127.0.0.1:80:{own}", INVALID, BRACKETS, "two ports"),
    ("tcp://127.0.0.1", INVALID, "needs a port", "none where one is needed"),
]


@pytest.mark.parametrize("spelling, code, why, what", REFUSED, ids=[f"{row[3]} {ascii(row[0])}" for row in REFUSED])
def test_refused(api, daemon, backend, spelling, code, why, what):
    url = spelling.format(own=daemon.port, port=backend.port)
    answer = api.call("POST", "/_api/tunnels", {"backend": url})
    assert (answer.status, answer.json()["code"]) == (422, code), answer
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/backend" and why in error["detail"].lower(), answer
    assert backend.accepted == 0


@pytest.fixture(scope="module")
def many_listeners():
    """A tunneld with several listeners, and one for metrics."""
    running = Daemon()
    ports = [running.port, free_port(), free_port()]
    running.options["listen"] = f"127.0.0.1:{ports[0]},[::1]:{ports[1]}"
    running.options["metrics_listen"] = f"127.0.0.1:{ports[2]}"
    with running:
        yield running, ports


@pytest.mark.parametrize("host, listener", [
    ("127.0.0.1", 0), ("[::1]", 1), ("127.0.0.1", 2), ("localhost", 0), ("localhost", 1), ("localhost", 2),
    ("[::ffff:127.0.0.1]", 2), ("[64:ff9b::7f00:1]", 2)])
def test_no_tunnel_leads_to_any_listener(many_listeners, host, listener):
    """Metrics are for those who reach their address, which visitors of a tunnel must not be."""
    daemon, ports = many_listeners
    answer = daemon.api.call("POST", "/_api/tunnels", {"backend": f"http://{host}:{ports[listener]}"})
    if host == "localhost" and answer.status == 201:
        # It has two addresses, and we listen on one of them: the other one is not ours.
        got = daemon.get(f"/t/{answer.json()['id']}/", {"Authorization": f"Bearer {answer.json()['secret']}"})
        assert (got.status, got.fields.get("Tunnel-Error")) == (502, "backend_refused"), got
        return
    assert (answer.status, answer.json()["code"]) == (422, FORBIDDEN), answer
    assert "itself" in answer.json()["detail"], answer


@pytest.mark.parametrize("spelling, canonical", [
    ("http://127.0.0.1:{port}", "http://127.0.0.1:{port}"),
    ("HTTP://127.0.0.1:{port}/", "http://127.0.0.1:{port}"),
    ("ws://127.0.0.1:{port}", "http://127.0.0.1:{port}"),
    ("http://LocalHost.:{port}", "http://localhost:{port}"),
    ("http://[::FFFF:7F00:1]:{port}", "http://[::ffff:127.0.0.1]:{port}"),
    ("http://[0:0:0:0:0:ffff:127.0.0.1]:{port}", "http://[::ffff:127.0.0.1]:{port}")])
def test_what_is_not_refused_is_shown_in_one_spelling_and_works(api, backend, spelling, canonical):
    tunnel = api.create(spelling.format(port=backend.port))
    assert tunnel.document["backend"] == canonical.format(port=backend.port)
    assert tunnel.get("/").status == 200


# A tunnel carries answers, it does not act on them.

@pytest.mark.parametrize("status, field", [
    *((status, "Location") for status in (301, 302, 303, 307, 308)), (200, "Refresh"), (200, "Link"), (200, "Alt-Svc")])
def test_no_answer_of_a_backend_makes_tunneld_go_elsewhere(api, status, field):
    with TcpBackend(lambda stream: None) as elsewhere, HttpBackend() as backend:
        value = {"Location": elsewhere.url() + "/secret", "Refresh": f"0; url={elsewhere.url()}/",
                 "Link": f"<{elsewhere.url()}/>; rel=preload", "Alt-Svc": f'h2=":{elsewhere.port}"'}[field]
        backend.raw("/away", head(status, [(field, value), ("Content-Length", 0)]))
        answer = api.create(backend).get("/away")
        assert answer.status == status, answer
        if field == "Location":
            assert answer.fields.get(field) == value, "somebody else's address is nothing of ours"
        assert elsewhere.accepted == 0
        assert [request.path for request in backend.received] == ["/away"]


@pytest.mark.parametrize("target", [
    "http://169.254.169.254/", "//169.254.169.254/", "/http://169.254.169.254/", "/@169.254.169.254/",
    "/..//169.254.169.254/", "/\\169.254.169.254/"])
def test_what_a_visitor_asks_for_does_not_choose_the_backend(tunnel, backend, target):
    """A path is a path, whatever it looks like to others; other hosts in it are refused."""
    with tunnel.connect() as visitor:
        visitor.request("GET", target if target.startswith("http") else tunnel.target(target))
        answer = visitor.answer()
    if answer.status == 200:
        seen = json.loads(answer.body)
        assert ["Host", f"127.0.0.1:{backend.port}"] in seen["fields"], seen
    else:
        assert answer.status in (400, 404, 421), answer


@pytest.mark.parametrize("fields", [
    {"Host": "169.254.169.254"}, {"Host": "localhost:1"}, {"X-Forwarded-Host": "169.254.169.254"},
    {"Forwarded": "host=169.254.169.254"}, {"X-Original-URL": "http://169.254.169.254/"},
    {"X-Rewrite-URL": "/other"}, {"Destination": "http://169.254.169.254/"}])
def test_no_field_of_a_visitor_chooses_the_backend(tunnel, backend, fields):
    seen = tunnel.reach("/here", fields)
    assert seen["target"] == "/here" and ["Host", f"127.0.0.1:{backend.port}"] in seen["fields"], seen
