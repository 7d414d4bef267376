# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whoever calls the API wrongly learns everything that was wrong, from one answer.

import json

import pytest

CODES_401 = [
    ("none", []),
    ("wrong", [("Authorization", "Bearer not-the-token")]),
    ("empty", [("Authorization", "Bearer ")]),
    ("scheme", [("Authorization", "Basic b3duZXI6eA==")]),
    ("cookie", [("Cookie", "token=owner-token-of-the-tests-0123456789abcdef")]),
]


def problem(answer, status, code):
    """Checks the form every refusal has; returns its members."""
    assert answer.status == status, answer
    assert answer.type == "application/problem+json", answer.fields
    said = json.loads(answer.body)
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(said), said
    assert (said["status"], said["code"], said["error"]) == (status, code, said["detail"]), said
    assert answer.fields["Tunnel-Error"] == code, answer.fields
    return said


def create(api, members):
    return api.call("POST", "/_api/tunnels", members)


@pytest.mark.parametrize("fields", [f for _, f in CODES_401], ids=[n for n, _ in CODES_401])
@pytest.mark.parametrize("method,path", [
    ("POST", "/_api/tunnels"), ("GET", "/_api/tunnels"),
    ("GET", "/_api/tunnels/t-aaaaaaaaaaaaaaaaaaaaaaaaaa"),
    ("DELETE", "/_api/tunnels/t-aaaaaaaaaaaaaaaaaaaaaaaaaa")])
def test_without_the_token_nothing_is_told(api, method, path, fields):
    answer = api.call(method, path, token="", fields=fields)
    problem(answer, 401, "token_invalid")
    assert answer.fields["WWW-Authenticate"].startswith("Bearer"), answer.fields


def test_every_wrong_member_is_named_at_once(api):
    said = problem(create(api, {
        "backend": "unix:/run/x.sock",
        "timeout": 0,
        "auth": "magic",
        "nope": 1,
        "limits": {"bytes": -1, "requests": "many", "speed": 3},
    }), 422, "invalid")
    pointers = {error["pointer"] for error in said["errors"]}
    assert pointers == {
        "/backend", "/timeout", "/auth", "/nope", "/limits/bytes", "/limits/requests",
        "/limits/speed"}, said
    assert all(error["detail"] for error in said["errors"]), said


def test_pointers_are_escaped(api, backend):
    said = problem(create(api, {"backend": backend.url(), "a/b~c": 1}), 422, "invalid")
    assert [error["pointer"] for error in said["errors"]] == ["/a~1b~0c"], said


@pytest.mark.parametrize("timeout", [0, -1, 86401, 1.5, "60", True, None, [], 2**63, 10**30])
def test_timeout_is_whole_seconds_up_to_a_day(api, backend, timeout):
    answer = create(api, {"backend": backend.url(), "timeout": timeout})
    if timeout == 10**30:  # some JSON readers refuse the number itself
        assert answer.status in (400, 422), answer
        return
    said = problem(answer, 422, "invalid")
    assert [error["pointer"] for error in said["errors"]] == ["/timeout"], said


def test_a_day_is_allowed(api, backend):
    assert create(api, {"backend": backend.url(), "timeout": 86400}).status == 201


@pytest.mark.parametrize("url", [
    "", "x", "localhost:80", "ftp://localhost/", "unix:/x", "http://", "http://:80", "http://h:0",
    "http://h:65536", "http://h:8x", "http://u:p@h/", "http://h/path", "http://h/?q", "http://h/#f",
    "http://1.2.3", "http://0x7f.1", "http://127.0.0.1 ", "http://[::1", "http://[fe80::1%25lo]/",
    "http://a..b", "http://-a.b", "http://" + "a" * 300, "tcp://h", "http://h\u0000", "http://ü",
    7, None, ["http://h"]])
def test_backend_must_be_an_address(api, url):
    said = problem(create(api, {"backend": url}), 422, "invalid")
    assert [error["pointer"] for error in said["errors"]] == ["/backend"], said


@pytest.mark.parametrize("body", [
    b"", b"{", b"{}}", b'{"backend":"http://h"', b"nonsense", b'{"backend":"http://h",}',
    b'{"a":1} x', b'\xff\xfe', b'{"backend":"\xff"}', b"[" * 20000, b'{"a":' * 9000])
def test_what_is_not_json_is_400(api, body):
    problem(api.call("POST", "/_api/tunnels", body, fields=[("Content-Type", "application/json")]),
            400, "bad_request")


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_json_that_is_no_object_is_refused(api, body):
    answer = api.call("POST", "/_api/tunnels", body, fields=[("Content-Type", "application/json")])
    assert answer.status in (400, 422), answer


def test_a_member_named_twice_is_refused(api, backend):
    body = f'{{"backend":"{backend.url()}","timeout":5,"timeout":6}}'.encode()
    answer = api.call("POST", "/_api/tunnels", body, fields=[("Content-Type", "application/json")])
    assert answer.status in (400, 422), answer


def test_a_body_of_64_kib_is_the_most(api, daemon, backend):
    padded = json.dumps({"backend": backend.url()}).encode().ljust(64 << 10)
    kind = [("Content-Type", "application/json")]
    assert api.call("POST", "/_api/tunnels", padded, fields=kind).status == 201
    problem(api.call("POST", "/_api/tunnels", padded + b" ", fields=kind), 413, "too_large")
    with daemon.connect() as client:  # refused by its announced length, before it is sent
        client.request("POST", "/_api/tunnels", [
            ("Authorization", f"Bearer {api.token}"), ("Content-Length", str(1 << 40)), *kind])
        assert client.answer().status == 413
    with daemon.connect() as client:  # and without a length, by what has come
        client.request("POST", "/_api/tunnels", [
            ("Authorization", f"Bearer {api.token}"), ("Transfer-Encoding", "chunked"), *kind])
        try:
            for _ in range(40):
                client.chunk(b" " * 4096)
        except ConnectionError:
            pass
        assert client.answer().status == 413


def test_a_chunked_body_is_as_good(api, daemon, backend):
    with daemon.connect() as client:
        client.request(
            "POST", "/_api/tunnels",
            [("Authorization", f"Bearer {api.token}"), ("Content-Type", "application/json")],
            [b'{"backend":"', backend.url().encode(), b'"}'], chunked=True)
        assert client.answer().status == 201


def test_paths_and_methods_that_do_not_exist(api):
    problem(api.call("GET", "/_api/nothing"), 404, "not_found")
    for method, path in [("PUT", "/_api/tunnels"), ("POST", "/_api/version")]:
        answer = api.call(method, path, {} if method == "PUT" else None)
        problem(answer, 405, "method_not_allowed")
        assert "GET" in answer.fields["Allow"], answer.fields


def test_a_name_that_does_not_exist_is_said_at_creation(api):
    said = create(api, {"backend": "http://no-such-host.invalid:80"})
    assert said.status in (422, 502), said
    assert "no-such-host.invalid" in said.json()["detail"], said
