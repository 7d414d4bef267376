# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: with request_log each request has one line in the log, in the form the operator chose, which
# holds no secret, no query and no full tunnel id, and which no peer can forge.

import json
import re
import shlex
import signal

import pytest

from support import metrics, proc, wire
from support import websocket as ws
from support.backend import HttpBackend, head
from support.daemon import Daemon, free_port

SECRET = "s3cr3t-of-a-visitor"


@pytest.fixture(scope="module")
def daemon():
    with Daemon(request_log="yes", log_format="json", head_timeout="1", request_log_rate="1000") as running:
        yield running


def lines(daemon):
    """Lines of the request log since the mark, as dicts; every line of the log has to be JSON."""
    # The last one may not have been written to its end yet.
    read = [json.loads(line) for line in daemon.log().rpartition("\n")[0].splitlines()]
    return [line for line in read if line["msg"] == "request"]


def line_of(daemon, **wanted):
    """The one line that says this; waits for it."""
    found = lambda: [line for line in lines(daemon) if wanted.items() <= line.items()]
    proc.wait_until(found, 5, lambda: f"{wanted} in\n{daemon.log()}")
    assert len(found()) == 1, found()
    return found()[0]


def test_a_request_and_its_answer(daemon, tunnel, backend):
    def page(received, request, stream):
        HttpBackend.absorb(received, request, stream)  # else what is counted may be less
        stream.send(head(200, [("Content-Length", 5)]), b"hello")
        return True

    backend.route("/page", page)
    assert tunnel.ask("POST", f"/page?key={SECRET}", [("X-Key", SECRET)], body=b"x" * 1000).status == 200
    line = line_of(daemon, path="/page")
    took = line.pop("ms")
    assert 0 <= took < 5000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.pop("ts"))
    assert line == {
        "level": "info", "msg": "request", "role": "relay", "tunnel": tunnel.id[:10], "method": "POST",
        "path": "/page", "status": 200, "by": "backend", "bytes_in": 1000, "bytes_out": 5, "cut": False}
    assert SECRET not in daemon.log()


def test_each_request_of_a_connection(daemon, tunnel):
    with tunnel.connect() as visitor:
        for n in range(20):
            assert visitor.exchange("GET", tunnel.target(f"/n{n}")).status == 200
    for n in range(20):
        assert line_of(daemon, path=f"/n{n}")["status"] == 200


def test_what_the_backend_answers(daemon, tunnel):
    assert tunnel.get("/status/503").status == 503
    line = line_of(daemon, path="/status/503")
    assert (line["status"], line["by"], line["cut"], "code" in line) == (503, "backend", False, False), line


def test_our_own_errors(daemon, api, backend):
    tunnel = api.create(backend, auth="bearer")
    assert tunnel.get(f"/no?{SECRET}").status == 401
    line = line_of(daemon, path="/no")
    assert (line["status"], line["by"], line["code"]) == (401, "tunneld", "auth_required"), line
    gone = api.create(f"http://127.0.0.1:{free_port()}")
    assert gone.get("/nobody").status == 502
    line = line_of(daemon, path="/nobody")
    assert (line["status"], line["by"], line["code"]) == (502, "tunneld", "backend_refused"), line


def test_a_redirect_of_ours(daemon, tunnel):
    assert tunnel.get("").status == 308
    assert line_of(daemon, status=308)["by"] == "tunneld"


def test_a_page(daemon, api, backend):
    tunnel = api.create(backend, auth="bearer")
    assert tunnel.get("/page-for-people", [("Sec-Fetch-Mode", "navigate")]).status == 401
    assert line_of(daemon, path="/page-for-people")["code"] == "auth_required"


def test_a_request_nobody_understands(daemon, tunnel):
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/before")).status == 200
        visitor.send(b"GET " + tunnel.target("/mine").encode() + b" HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert visitor.answer().status == 400
    line = line_of(daemon, code="bad_request")
    assert (line["method"], line["path"], line["role"]) == ("-", "-", "relay"), line


def test_another_tunnel_on_the_connection_is_not_named(daemon, tunnel, api, backend):
    other = api.create(backend)
    with tunnel.connect() as visitor:
        assert visitor.exchange("GET", tunnel.target("/")).status == 200
        assert visitor.exchange("GET", other.target("/x")).status == 421
    assert line_of(daemon, status=421)["path"] == f"/t/{other.id[:10]}.../x"


def test_a_websocket_has_one_line_at_its_end(daemon, tunnel):
    wire_ = ws.connect(tunnel, "/ws/echo")
    wire_.protocol.send_text(b"hello")
    wire_.flush()
    next(ws.messages(wire_))
    assert not [line for line in lines(daemon) if line["path"] == "/ws/echo"], "it goes on"
    wire_.stream.close()
    line = line_of(daemon, path="/ws/echo")
    assert (line["status"], line["by"]) == (101, "backend") and line["bytes_in"] >= 5 <= line["bytes_out"], line


def test_a_visitor_that_goes_away(daemon, tunnel, backend):
    feed = backend.feed("/endless", head(200, [("Content-Length", 100000)]))
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/endless"))
        assert visitor.answer_head().status == 200
        feed.send(b"some")
        assert visitor.take(4) == b"some"
        visitor.reset()
    line = line_of(daemon, path="/endless")
    assert (line["status"], line["cut"], line["bytes_out"]) == (200, True, 4), line


def test_a_backend_that_cuts_its_answer(daemon, tunnel, backend):
    backend.raw("/short", head(200, [("Content-Length", 10)]) + b"half")
    with tunnel.connect() as visitor:
        visitor.request("GET", tunnel.target("/short"))
        with pytest.raises((ConnectionError, EOFError, AssertionError)):
            visitor.answer()
    assert line_of(daemon, path="/short")["cut"] is True


def test_a_long_path_is_cut(daemon, tunnel):
    assert tunnel.get("/long/" + "a" * 3000).status == 200
    proc.wait_until(lambda: any(line["path"].startswith("/long/") for line in lines(daemon)), 5, daemon.log)
    (line,) = [line for line in lines(daemon) if line["path"].startswith("/long/")]
    assert line["path"] == "/long/" + "a" * 191 + "...", line


def test_requests_to_the_api(daemon, api, backend):
    tunnel = api.create(backend)
    tunnel.show()
    line = line_of(daemon, role="api", path=f"/_api/tunnels/{tunnel.id[:10]}...", method="GET")
    assert (line["status"], line["by"], "tunnel" in line) == (200, "tunneld", False) and line["bytes_out"] > 100, line
    assert api.call("GET", "/_api/tunnels?state=all", token="wrong").status == 401
    assert line_of(daemon, role="api", code="token_invalid")["path"] == "/_api/tunnels"
    line = line_of(daemon, role="api", method="POST", path="/_api/tunnels")
    assert line["status"] == 201 and line["bytes_in"] > 20, line


@pytest.mark.parametrize("spelling", ["{}", "%74-{1}", "T-{1}"])
def test_ids_of_unknown_tunnels_are_shortened(daemon, spelling):
    wanted = "t-" + "abcd2345" * 3
    daemon.mark()
    assert daemon.get(f"/t/{spelling.format(wanted, wanted[2:])}/deep").status == 404
    line = line_of(daemon, role="api", status=404)
    assert line["path"] == "/t/t-abcd2345.../deep", line


def test_what_gates_refuse(daemon):
    with daemon.connect() as visitor:
        visitor.send(b"BREW /pot HTTP/1.1\r\n\r\n")
        assert visitor.answer().status == 400
    line = line_of(daemon, role="gate", status=400)
    assert (line["method"], line["path"], line["code"]) == ("-", "-", "bad_request")


def test_nothing_of_the_last_second_is_lost(daemon, api, backend):
    """What a relay had not sent when it was killed is in its page."""
    tunnel, relay = daemon.create_with_relay(backend)
    assert tunnel.get("/last-words").status == 200
    assert tunnel.get("/next").status == 200  # so the relay is done with the one before
    relay.signal(signal.SIGKILL)
    line_of(daemon, path="/last-words")
    assert tunnel.get("/after-that").status == 200
    tunnel.revoke()
    line_of(daemon, path="/after-that")


def test_no_full_id_and_no_secret_in_lines_of_requests(daemon, api, backend):
    tunnel = api.create(backend, auth="basic")
    assert tunnel.get(f"/x?token={tunnel.secret}", tunnel.basic()).status == 200
    line_of(daemon, path="/x")
    text = "".join(json.dumps(line) for line in lines(daemon))
    assert tunnel.id not in text and tunnel.secret not in text


def test_too_many_are_counted(backend):
    port = free_port()
    with Daemon(request_log="yes", log_format="json", request_log_rate="5", gates="1",
                metrics_listen=f"127.0.0.1:{port}") as daemon:
        tunnel = daemon.api.create(backend)
        with tunnel.connect() as visitor:
            for n in range(60):
                assert visitor.exchange("GET", tunnel.target("/many")).status == 200
        told = lambda: sum(int(n) for n in re.findall(r"(\d+) requests got no line", daemon.log()))
        logged = lambda: len([line for line in lines(daemon) if line["path"] == "/many"])
        proc.wait_until(lambda: logged() + told() == 60, 5, lambda: f"{logged()} and {told()}")
        assert 5 <= logged() <= 30, logged()
        with wire.Client(("127.0.0.1", port)) as client:
            text = client.exchange("GET", "/metrics").body.decode()
        assert metrics.get(metrics.parse(text), "log_lines_dropped_total", reason="limit") >= told()


@pytest.mark.parametrize("log_format", ["text", "logfmt"])
def test_other_forms(backend, log_format):
    with Daemon(request_log="addresses", log_format=log_format) as daemon:
        tunnel = daemon.api.create(backend)
        assert tunnel.get('/quote"and\\back').status == 200
        start = {"text": " request relay ", "logfmt": "msg=request role=relay"}[log_format]
        found = lambda: [line for line in daemon.log().splitlines() if start in line]
        proc.wait_until(found, 5, daemon.log)
        (line,) = found()
        if log_format == "text":
            assert re.fullmatch(
                rf'\S+Z request relay {tunnel.id[:10]}: GET "/quote\\"and\\\\back" 200 by backend, '
                r"\d+ ms, in 0, out \d+, from 127.0.0.1", line), line
        else:
            fields = dict(word.split("=", 1) for word in shlex.split(line))
            assert fields["path"] == '/quote"and\\back' and fields["status"] == "200", fields
            assert fields["tunnel"] == tunnel.id[:10] and fields["peer"] == "127.0.0.1", fields
        assert tunnel.get("/t", [("X-Forwarded-For", "203.0.113.9")]).status == 200
        assert "203.0.113.9" not in daemon.log()


def test_without_addresses(daemon, tunnel):
    assert tunnel.get("/who").status == 200
    assert "peer" not in line_of(daemon, path="/who")


def test_it_is_off_unless_asked_for(own_daemon, backend):
    tunnel = own_daemon.api.create(backend)
    assert tunnel.get("/unseen").status == 200
    tunnel.revoke()
    own_daemon.stop()
    assert "unseen" not in own_daemon.log() and "request relay" not in own_daemon.log()


def test_a_page_for_too_many_failures_is_logged_as_what_it_is(backend):
    """The relay hands the connection over for the page, and the line has the page's status."""
    with Daemon(request_log="yes", log_format="json", failure_rate="1") as daemon:
        tunnel = daemon.api.create(backend, auth="bearer")
        wrong = [("Authorization", "Bearer wrong"), ("Sec-Fetch-Mode", "navigate"), ("Accept", "text/html")]
        statuses = [tunnel.get("/wrong", wrong).status for _ in range(3)]
        assert statuses == [401, 429, 429], statuses
        logged = lambda: [line["status"] for line in lines(daemon) if line["path"] == "/wrong"]
        proc.wait_until(lambda: len(logged()) == 3, 5, daemon.log)
        assert logged() == statuses, logged()
