# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: only who knows the secret gets in, and the secret stops at us.

import pytest

pytestmark = pytest.mark.usefixtures("mode")

PUBLIC = ("Authorization", "X-Tunnel-Authorization", "Cookie")


@pytest.fixture
def bearer(api, backend):
    return api.create(backend, auth="bearer")


@pytest.fixture
def basic(api, backend):
    return api.create(backend, auth="basic")


def saw(backend, secret):
    """Nothing the backend got may hold the secret."""
    for received in backend.received:
        assert secret.encode() not in received.raw, received


def refused(answer, code, scheme):
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (401, code), answer
    assert answer.fields.get("WWW-Authenticate", "").startswith(scheme), answer


def test_bearer_secret_in_authorization_is_met_and_taken(bearer, backend):
    echo = bearer.reach("/x", bearer.bearer())
    assert not [f for f in echo["fields"] if f[0].lower() == "authorization"], echo
    saw(backend, bearer.secret)


def test_x_tunnel_authorization_leaves_authorization_to_the_backend(bearer, backend):
    echo = bearer.reach("/x", [
        ("X-Tunnel-Authorization", f"Bearer {bearer.secret}"),
        ("Authorization", "Bearer for-the-backend")])
    assert ["Authorization", "Bearer for-the-backend"] in echo["fields"], echo
    assert not [f for f in echo["fields"] if f[0].lower() == "x-tunnel-authorization"], echo
    saw(backend, bearer.secret)


def test_x_tunnel_authorization_decides_when_both_are_there(bearer):
    answer = bearer.get("/", [("X-Tunnel-Authorization", "Bearer wrong"), *bearer.bearer()])
    refused(answer, "auth_failed", "Bearer")


def test_no_secret(bearer, backend):
    refused(bearer.get("/"), "auth_required", "Bearer")
    assert backend.received == []


@pytest.mark.parametrize("make", [
    lambda s: "Bearer wrong", lambda s: f"Bearer {s[:-1]}", lambda s: f"Bearer {s}x",
    lambda s: f"Bearer {s} x", lambda s: f"Bearer {s.swapcase()}", lambda s: s])
def test_wrong_secrets(bearer, backend, make):
    answer = bearer.get("/", [("Authorization", make(bearer.secret))])
    assert answer.status == 401, answer
    assert answer.fields.get("Tunnel-Error") in ("auth_failed", "auth_required"), answer
    assert backend.received == []


def test_the_scheme_is_case_insensitive(bearer):
    assert bearer.get("/", [("authorization", f"bEaReR {bearer.secret}")]).status == 200


def test_two_authorization_fields_are_refused(bearer, backend):
    answer = bearer.get("/", [*bearer.bearer(), ("Authorization", "Bearer wrong")])
    assert answer.status in (400, 401), answer
    assert backend.received == []


def test_the_secret_of_one_tunnel_does_not_open_another(api, backend, bearer):
    other = api.create(backend, auth="bearer")
    refused(other.get("/", bearer.bearer()), "auth_failed", "Bearer")


def test_the_owner_token_is_no_visitor_secret(api, bearer):
    refused(bearer.get("/", [("Authorization", f"Bearer {api.token}")]), "auth_failed", "Bearer")


def test_basic_takes_any_user_with_the_secret_as_password(basic, backend):
    for user in ("", "anyone", "ünal"):
        echo = basic.reach("/x", basic.basic(user))
        assert not [f for f in echo["fields"] if f[0].lower() == "authorization"], echo
    for received in backend.received:
        assert basic.basic("anyone")[0][1].encode() not in received.raw


def test_basic_refusals_make_a_browser_ask(basic):
    realm = f'Basic realm="tunnel {basic.id}"'  # its own: browsers send the password to a realm
    refused(basic.get("/"), "auth_required", realm)
    refused(basic.get("/", basic.basic(password="wrong")), "auth_failed", realm)
    refused(basic.get("/", [("Authorization", "Basic !!!")]), "auth_failed", "Basic")
    # Never for /t/, where one that was entered at the address without its slash would be sent.
    for fields in ((), basic.basic(password="wrong"), basic.basic()):
        assert basic.get("", fields).status == 308


def test_auth_none_passes_everything_on(api, backend):
    tunnel = api.create(backend, auth="none")
    echo = tunnel.reach("/x", [("Authorization", "Bearer for-the-backend"), ("Cookie", "a=b")])
    assert ["Authorization", "Bearer for-the-backend"] in echo["fields"], echo
    assert ["Cookie", "a=b"] in echo["fields"], echo


def test_every_request_of_a_connection_is_asked(bearer, backend):
    with bearer.connect() as visitor:
        assert visitor.exchange("GET", bearer.target("/1"), bearer.bearer()).status == 200
        assert visitor.exchange("GET", bearer.target("/2")).status == 401
    assert [received.path for received in backend.received] == ["/1"]


def test_failures_are_limited_but_the_right_secret_always_enters(api, backend):
    tunnel = api.create(backend, auth="bearer")
    statuses = {tunnel.get("/", [("Authorization", f"Bearer guess{n}")]).status for n in range(200)}
    assert statuses <= {401, 429}, statuses
    assert tunnel.get("/", tunnel.bearer()).status == 200


def test_a_refused_upload_is_not_read_to_its_end(bearer, backend):
    with bearer.connect() as visitor:
        visitor.request("POST", bearer.target("/sink"), [("Content-Length", str(1 << 40))])
        assert visitor.answer().status == 401
        assert visitor.ended() in ("eof", "reset")
    assert backend.received == []
