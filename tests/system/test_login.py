# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: somebody with a browser and the secret gets into a tunnel, by the share link or the form, and
# stays in; nobody else does, and nobody is sent to another site.

import re
import time
import urllib.parse

import pytest

from support import cookie, wire
from support.daemon import Daemon

pytestmark = pytest.mark.usefixtures("mode")

PERSON = [("Accept", "text/html,application/xhtml+xml")]
FORM = ("Content-Type", "application/x-www-form-urlencoded")
ELSEWHERE = "http://elsewhere.example"


@pytest.fixture
def bearer(api, backend):
    return api.create(backend, auth="bearer")


def login_path(tunnel):
    return f"/_t/{tunnel.id}/login"


def origin(tunnel):
    return tunnel.url[: tunnel.url.index("/t/")]


def ask(tunnel, method, target, fields=(), body=None):
    with wire.Client(tunnel.address) as visitor:
        return visitor.exchange(method, target, fields, body)


def post(tunnel, secret=None, fields=(), **more):
    """A login as a browser's form sends it."""
    values = ({} if secret is None else {"secret": secret}) | more
    return ask(tunnel, "POST", login_path(tunnel), [FORM, *PERSON, *fields],
               urllib.parse.urlencode(values).encode())


def pair_of(answer):
    """`name=value` of the cookie that is set, for the tunnel and for the page about it."""
    [pair] = {field.partition(";")[0] for field in answer.fields.all("Set-Cookie")}
    return pair


def led_to(answer):
    assert answer.status == 303 and answer.body == b"", answer
    return answer.fields.get("Location")


def form_page(answer, status, code, tunnel):
    text = answer.text()
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (status, code), answer
    assert answer.fields.get("Content-Type") == "text/html; charset=utf-8", answer
    assert f'<form method="post" action="{login_path(tunnel)}">' in text, text
    assert answer.fields.get("Cache-Control") == "no-store"
    assert tunnel.secret not in text
    assert not answer.fields.all("Set-Cookie"), answer
    return text


def test_the_form_where_a_person_arrives_without_the_secret(bearer, backend):
    answer = bearer.get("/some/page?x=1", PERSON)
    text = form_page(answer, 401, "auth_required", bearer)
    assert answer.fields.get("WWW-Authenticate", "").startswith("Bearer"), answer
    assert "aria-invalid=" not in text and 'role="alert"' not in text
    assert backend.received == []


def test_login_and_visit(bearer, backend):
    answer = post(bearer, bearer.secret, [("Referer", f"{bearer.url}some/page?x=1")])
    assert led_to(answer) == f"/t/{bearer.id}/some/page?x=1"
    assert answer.fields.get("Cache-Control") == "no-store"
    echo = bearer.reach("/some/page?x=1", [("Cookie", f"a=b; {pair_of(answer)}")])
    assert ["Cookie", "a=b"] in echo["fields"], echo
    for received in backend.received:
        assert bearer.secret.encode() not in received.raw and b"tunneld_" not in received.raw


def test_the_cookie_is_as_described(bearer):
    answer = post(bearer, bearer.secret)
    field, about = answer.fields.all("Set-Cookie")
    assert about == field.replace(f"Path=/t/{bearer.id}/", f"Path=/_t/{bearer.id}/"), (field, about)
    pair, *attributes = field.split("; ")
    expiry = int(re.fullmatch(rf"tunneld_{bearer.id}=(\d+)\.[0-9a-f]{{64}}", pair)[1])
    assert pair == cookie.make(bearer.id, bearer.secret, expiry)
    [age] = [int(a[8:]) for a in attributes if a.startswith("Max-Age=")]
    assert sorted(a for a in attributes if not a.startswith("Max-Age=")) == [
        "HttpOnly", f"Path=/t/{bearer.id}/", "SameSite=Lax"], field
    # Until the latest end that the tunnel could be given: max_timeout, a day.
    assert 86400 - 60 < age < 86400 + 120 and abs(time.time() + age - expiry) < 5, field


def test_the_share_link(bearer, api, backend):
    assert bearer.document["share_url"] == f"{bearer.url}#{bearer.secret}"
    assert "share_url" not in bearer.show() and "share_url" not in api.list()[0]
    for auth in ("basic", "none"):
        assert api.create(backend, auth=auth).document["share_url"] is None


@pytest.mark.parametrize("make", [
    lambda s: s[:-1], lambda s: s + "a", lambda s: s.upper(), lambda s: s[:20] + " " + s[20:],
    lambda s: "x" * 250, lambda s: "x" * 300, lambda s: "ä\0"])
def test_wrong_secrets_get_the_form_again(bearer, make):
    text = form_page(post(bearer, make(bearer.secret)), 401, "auth_failed", bearer)
    assert 'aria-invalid="true" aria-describedby="wrong"' in text
    assert 'id="wrong" role="alert"' in text


def test_blanks_around_a_copied_secret_do_not_matter(bearer):
    assert post(bearer, f" \t{bearer.secret}\r\n").status == 303


@pytest.mark.parametrize("body", [b"", b"secret=", b"secret=+++", b"other=1", b"secre=1", b"Secret=1"])
def test_nothing_entered_is_no_failure(bearer, body):
    answer = ask(bearer, "POST", login_path(bearer), [FORM, *PERSON], body)
    form_page(answer, 401, "auth_required", bearer)


def test_odd_forms(bearer):
    encoded = "".join(f"%{ord(c):02X}" for c in bearer.secret)
    for body, status in [
            (f"secret={encoded}", 303), (f"&&a&=&secret={bearer.secret}&", 303),
            (f"secret={bearer.secret}&secret={bearer.secret}", 401), (f"secret={bearer.secret}%", 401),
            (f"secret={bearer.secret}%0", 401), (f"secret={bearer.secret}%00", 401),
            (f"{encoded}", 401), (f"%73ecret={bearer.secret}", 401)]:
        answer = ask(bearer, "POST", login_path(bearer), [FORM], body.encode())
        assert answer.status == status, (body, answer)


def test_programs(bearer):
    answer = ask(bearer, "POST", login_path(bearer), [FORM], f"secret={bearer.secret}".encode())
    assert led_to(answer) == f"/t/{bearer.id}/"
    assert bearer.get("/", [("Cookie", pair_of(answer))]).status == 200
    answer = ask(bearer, "POST", login_path(bearer), [FORM], b"secret=wrong")
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (401, "auth_failed"), answer
    assert answer.fields.get("Content-Type") == "application/problem+json", answer
    assert answer.fields.get("WWW-Authenticate", "").startswith("Bearer"), answer
    for type_ in ("application/json", "text/plain", "application/x-www-form-urlencodedx", ""):
        answer = ask(bearer, "POST", login_path(bearer), [("Content-Type", type_)],
                     f"secret={bearer.secret}".encode())
        assert (answer.status, answer.fields.get("Tunnel-Error")) == (400, "bad_request"), answer
    answer = ask(bearer, "POST", login_path(bearer), [FORM], b"x=" + bytes(9000))
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (413, "too_large"), answer
    for method in ("PUT", "DELETE"):
        answer = ask(bearer, method, login_path(bearer))
        assert answer.status == 405 and "POST" in answer.fields.get("Allow"), answer


def test_the_form_asked_for(bearer):
    text = form_page(ask(bearer, "GET", login_path(bearer)), 200, None, bearer)
    assert ask(bearer, "HEAD", login_path(bearer)).status == 200
    assert text.count("<form") == 1


# ---- where it leads

def test_the_destination_outlives_a_wrong_secret(bearer):
    there = f"/t/{bearer.id}/a;b/%C3%A4?x=1&y='\"".replace('"', "%22")
    text = form_page(post(bearer, "wrong", [("Referer", origin(bearer) + there)]),
                     401, "auth_failed", bearer)
    kept = re.search(r'name="to" value="([^"]*)"', text)[1].replace("&amp;", "&")
    assert kept == there
    answer = post(bearer, bearer.secret, [("Referer", origin(bearer) + login_path(bearer))], to=kept)
    assert led_to(answer) == there


@pytest.mark.parametrize("target", [
    "//elsewhere.example/", "http://elsewhere.example/", "/\\elsewhere.example", "/", "/_api/tunnels",
    "/t/{id}", "/t/{id}x/", "/t/{other}/", "/t/{id}/../{other}/", "/t/{id}/..", "/t/{id}/a\\b",
    "/t/{id}/%2e%2E/{other}/", "/t/{id}/.%2e/{other}/", "/t/{id}/a/%2E./..",
    "/t/{id}/\r\nSet-Cookie: x=1", "/t/{id}/ x", "/t/{id}/#x", "/t/{id}/<x>", '/t/{id}/"', "/t/{id}/ä",
    "javascript:alert(1)", "t/{id}/", "/t/{id}/" + 2100 * "x"])
def test_no_other_destination(bearer, target):
    target = target.format(id=bearer.id, other="t-" + 26 * "a")
    root = f"/t/{bearer.id}/"
    assert led_to(post(bearer, bearer.secret, to=target)) == root
    referer = ("Referer", target.encode().decode("latin-1").replace("\r\n", ""))
    assert led_to(post(bearer, bearer.secret, [referer])) == root
    if target.startswith("/"):
        referer = ("Referer", origin(bearer) + referer[1])
        assert led_to(post(bearer, bearer.secret, [referer])) == root


def test_no_foreign_referer(bearer):
    path = f"/t/{bearer.id}/x"
    for url in (ELSEWHERE + path, origin(bearer) + ".elsewhere.example" + path,
                origin(bearer).replace("//", "//user@") + path, origin(bearer) + "0" + path, path):
        answer = post(bearer, bearer.secret, [("Referer", url)])
        assert led_to(answer) == f"/t/{bearer.id}/", url


# ---- whose post it is

@pytest.mark.parametrize("fields", [
    [("Sec-Fetch-Site", "cross-site")], [("Sec-Fetch-Site", "same-site")],
    [("Sec-Fetch-Site", "cross-site"), ("Origin", "{own}")],
    [("Origin", ELSEWHERE)], [("Origin", "null")], [("Origin", "{own}.elsewhere.example")],
    [("Origin", "{own}/")], [("Origin", "")]])
def test_posts_of_other_sites_are_refused(bearer, fields):
    fields = [(name, value.format(own=origin(bearer))) for name, value in fields]
    form_page(post(bearer, bearer.secret, fields), 401, "auth_required", bearer)
    answer = ask(bearer, "POST", login_path(bearer), [FORM, *fields], f"secret={bearer.secret}".encode())
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (400, "bad_request"), answer


@pytest.mark.parametrize("fields", [
    [("Sec-Fetch-Site", "same-origin"), ("Origin", "null")], [("Sec-Fetch-Site", "none")],
    [("Origin", "{own}")], [("Origin", "https://tunnels.example"), ("Host", "tunnels.example")]])
def test_posts_of_our_own_pages_are_taken(bearer, fields):
    fields = [(name, value.format(own=origin(bearer))) for name, value in fields]
    assert post(bearer, bearer.secret, fields).status == 303


# ---- tunnels of other kinds

def test_other_auth_leads_to_the_tunnel(api, backend):
    for auth in ("basic", "none"):
        tunnel = api.create(backend, auth=auth)
        for method in ("GET", "POST"):
            answer = ask(tunnel, method, login_path(tunnel), [FORM], b"secret=x" if method == "POST" else None)
            assert led_to(answer) == f"/t/{tunnel.id}/" and "Set-Cookie" not in answer.fields


def test_no_tunnel_or_none_any_more(api, backend, bearer):
    bearer.revoke()
    assert post(bearer, bearer.secret).fields.get("Tunnel-Error") == "tunnel_over"
    for id_ in ("t-" + 26 * "a", "t-x", "x", "%2e", ""):
        answer = ask(bearer, "POST", f"/_t/{id_}/login", [FORM], b"secret=x")
        assert answer.status == 404, (id_, answer)
        assert ask(bearer, "GET", f"/_t/{id_}/").status == 404, id_
    assert ask(bearer, "GET", f"/_t/{bearer.id}/").status == 410


# ---- how long it lasts

def test_the_cookie_ends_with_its_tunnel_and_opens_no_other(api, backend, bearer):
    pair = pair_of(post(bearer, bearer.secret))
    other = api.create(backend, auth="bearer")
    assert other.get("/", [("Cookie", pair)]).fields.get("Tunnel-Error") == "auth_required"
    renamed = pair.replace(bearer.id, other.id)
    assert other.get("/", [("Cookie", renamed)]).fields.get("Tunnel-Error") == "auth_failed"
    bearer.revoke()
    assert bearer.get("/", [("Cookie", pair)]).fields.get("Tunnel-Error") == "tunnel_over"


@pytest.mark.ways("push")  # its agents would come by https, too
def test_the_cookie_is_for_https_only_where_visitors_come_by_https(backend):
    with Daemon(public_url="https://tunnels.example.org") as daemon:
        tunnel = daemon.api.create(backend, auth="bearer")
        tunnel.address = daemon.api.address
        own = [("Origin", "https://tunnels.example.org"),
               ("Referer", f"https://tunnels.example.org/t/{tunnel.id}/x")]
        answer = post(tunnel, tunnel.secret, own)
        assert led_to(answer) == f"/t/{tunnel.id}/x"
        assert answer.fields.get("Set-Cookie").endswith("; Secure")


def test_an_address_without_its_slash_is_completed_before_anybody_is_asked(bearer, backend):
    answer = ask(bearer, "GET", f"/t/{bearer.id}?x=1", PERSON)
    assert (answer.status, answer.fields.get("Location")) == (308, f"/t/{bearer.id}/?x=1"), answer
    assert ask(bearer, "GET", f"/t/{bearer.id}", [("Authorization", "Bearer x")]).status == 308
    assert backend.received == []


# ---- those who are wrong too often

def test_failures_are_limited_and_a_right_secret_is_not(backend):
    with Daemon(failure_rate="5") as daemon:
        tunnel = daemon.api.create(backend, auth="bearer")
        pages = [post(tunnel, f"wrong{n}") for n in range(8)]
        assert [page.status for page in pages] == [401] * 5 + [429] * 3
        text = form_page(pages[-1], 429, "rate_limited", tunnel)
        assert 'id="wrong" role="alert"' in text
        assert 1 <= int(pages[-1].fields.get("Retry-After")) <= 12, pages[-1]
        assert post(tunnel).status == 401  # nothing entered
        # The tokens of the API are counted with the logins ...
        answer = daemon.api.call("GET", "/_api/tunnels", token="wrong")
        assert (answer.status, answer.json()["code"]) == (429, "rate_limited"), answer
        assert int(answer.fields["Retry-After"]) >= 1
        assert daemon.api.call("GET", "/_api/tunnels", token="").status == 401
        assert daemon.api.ids() == {tunnel.id}
        # ... and the relay counts for itself.
        guess = [("Authorization", "Bearer wrong")]
        statuses = [tunnel.get("/", guess).status for _ in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        form_page(tunnel.get("/", guess + PERSON), 429, "rate_limited", tunnel)
        form_page(tunnel.get("/", PERSON), 401, "auth_required", tunnel)
        # Somebody at the very same address who knows the secret gets in.
        answer = post(tunnel, tunnel.secret)
        assert tunnel.get("/", [("Cookie", pair_of(answer))]).status == 200
        assert tunnel.get("/", tunnel.bearer()).status == 200
        assert "wrong" not in daemon.log() and tunnel.secret not in daemon.log()


def test_basic_tunnels_are_limited_too(backend):
    with Daemon(failure_rate="2") as daemon:
        tunnel = daemon.api.create(backend, auth="basic")
        wrong = tunnel.basic(password="wrong") + PERSON
        answers = [tunnel.get("/", wrong) for _ in range(4)]
        assert [answer.status for answer in answers] == [401, 401, 429, 429]
        assert "<form" not in answers[-1].text() and "WWW-Authenticate" not in answers[-1].fields
        assert tunnel.get("/", PERSON).fields.get("WWW-Authenticate", "").startswith("Basic")
        assert tunnel.get("/", tunnel.basic()).status == 200
