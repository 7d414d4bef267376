# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a person sees a page, a program problem+json, an upgrade just the status; and all three can
# tell our refusals from the backend's.

import json

import pytest

pytestmark = pytest.mark.usefixtures("mode")

NAVIGATION = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("Sec-Fetch-Mode", "navigate")]
UPGRADE = [
    ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


@pytest.fixture
def refusals(api, backend):
    """(what, expected status, code, a function that asks for it) for each kind of refusal."""
    over, secret = api.create(backend), api.create(backend, auth="bearer")
    silent = api.create("http://127.0.0.1:1")
    over.revoke()
    unknown = over.id[:-3] + "aaa"
    return [
        ("over", 410, "tunnel_over", over.get),
        ("secret", 401, "auth_required", secret.get),
        ("silent", 502, "backend_refused", silent.get),
        ("unknown", 404, "tunnel_unknown",
         lambda path, fields=(): _get(over, f"/t/{unknown}{path}", fields)),
    ]


def _get(tunnel, target, fields):
    with tunnel.connect() as visitor:
        return visitor.exchange("GET", target, fields)


def marked(answer, status, code):
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (status, code), answer
    assert len(answer.fields.all("Date")) == 1, answer


def test_programs_get_problem_json(refusals):
    for what, status, code, ask in refusals:
        answer = ask("/x")
        marked(answer, status, code)
        assert answer.fields.get("Content-Type") == "application/problem+json", (what, answer)
        said = json.loads(answer.body)
        assert (said["status"], said["code"]) == (status, code), said


def test_navigations_get_a_page(refusals):
    for what, status, code, ask in refusals:
        answer = ask("/x", NAVIGATION)
        marked(answer, status, code)
        assert answer.fields.get("Content-Type", "").startswith("text/html"), (what, answer)
        page = answer.text()
        assert page.lower().startswith("<!doctype html>") and "<title>" in page, page
        assert "default-src 'none'" in answer.fields.get("Content-Security-Policy", ""), answer
        assert "no-store" in answer.fields.get("Cache-Control", ""), answer


def test_upgrades_get_the_status_alone(refusals):
    for what, status, code, ask in refusals:
        answer = ask("/x", UPGRADE)
        marked(answer, status, code)
        assert answer.body == b"", (what, answer)


def test_head_gets_no_body(refusals, api, backend):
    tunnel = api.create(backend, auth="bearer")
    answer = tunnel.ask("HEAD", "/")
    marked(answer, 401, "auth_required")


def test_a_page_never_shows_markup_from_the_request(daemon):
    answer = daemon.get("/t/t-<script>alert(1)</script>/?<script>", NAVIGATION)
    assert answer.status in (400, 404), answer
    assert b"<script>alert" not in answer.body, answer


def test_our_gateway_errors_carry_proxy_status(api):
    answer = api.create("http://127.0.0.1:1").get("/")
    assert "error=connection_refused" in answer.fields.get("Proxy-Status", ""), answer


def test_the_backends_own_errors_are_not_ours(tunnel):
    for status in (401, 404, 410, 502, 503):
        answer = tunnel.get(f"/status/{status}")
        assert answer.status == status, answer
        assert answer.text() == f"status {status}\n"
        assert "Tunnel-Error" not in answer.fields and "Proxy-Status" not in answer.fields, answer


def test_a_backend_cannot_pose_as_us(tunnel, backend):
    backend.raw("/liar", b"HTTP/1.1 200 OK\r\nTunnel-Error: internal\r\nContent-Length: 0\r\n\r\n")
    assert "Tunnel-Error" not in tunnel.get("/liar").fields
