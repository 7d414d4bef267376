# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-relay and what visitors show it: the tunnel cookie beside the secret, what of it the
# backend gets to see, and what happens to those who are wrong too often.

import http.cookies
import random
import time

import pytest

from child import MSG
from relay_stage import ID, PEER, SECRET, Relay, get, read_all, read_exactly, read_head, reset, wait_until
from support import cookie

RIGHT = cookie.make(ID, SECRET, 4_000_000_000)
WRONG = f"tunneld_{ID}=4000000000.{'0' * 64}"
OLD = cookie.make(ID, SECRET, 1_000_000_000)
OTHER = cookie.make("t-zbcdefghijklmnopqrstuvwxyz", SECRET, 4_000_000_000)
BEARER = f"Authorization: Bearer {SECRET}"
THEIRS = "Authorization: Bearer for-the-backend"
OWN = f"X-Tunnel-Authorization: Bearer {SECRET}"
AUTH_REQUIRED, AUTH_FAILED = 3, 4


def lines_of(*fields):
    return "".join(f"{field}\r\n" for field in fields)


def seen_by_backend(relay, *fields):
    """The fields a request arrives with, by lower-case name, but for those we add."""
    visitor = relay.visit(get("/", lines_of(*fields)))
    backend = relay.accept()
    lines, _ = read_head(backend)
    backend.close()
    reset(visitor)
    return dict(line.split(": ", 1) for line in lines[1:])


def refusal(relay, *fields, peer=PEER):
    """(status, Tunnel-Error, fields) of the refusal of a request."""
    visitor = relay.visit(get("/", lines_of("Connection: close", *fields)), peer)
    head, _, _ = read_all(visitor).partition(b"\r\n\r\n")
    visitor.close()
    first, *lines = head.decode().split("\r\n")
    answer = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), answer["Tunnel-Error"], answer


@pytest.mark.parametrize("fields, authorization", (
    ([f"Cookie: {RIGHT}"], None),
    ([f"Cookie: a=b; {RIGHT}; c=d"], None),
    (["Cookie: a=b", f"Cookie: {RIGHT}"], None),
    ([f"Cookie: {WRONG}; {RIGHT}"], None),
    ([f"Cookie: {WRONG}", f"Cookie: {RIGHT}"], None),
    ([f"Cookie: {RIGHT}", THEIRS], THEIRS),
    ([f"Cookie: {RIGHT}", "Authorization: Basic eDp5"], "Authorization: Basic eDp5"),
    ([f"Cookie: {RIGHT}", BEARER], None),
    ([f"Cookie: __Host-{RIGHT}"], None),
    ([f"Cookie: {WRONG}", BEARER], None),
    ([f"Cookie: {WRONG}", OWN], None),
    ([f"Cookie: {WRONG}", OWN, THEIRS], THEIRS),
))
def test_what_opens_the_tunnel(fields, authorization):
    with Relay(auth="bearer") as relay:
        seen = seen_by_backend(relay, *fields)
    wanted = authorization.partition(": ")[2] if authorization else None
    assert seen.get("Authorization") == wanted, seen
    assert "tunneld_" not in str(seen) and SECRET not in str(seen), seen


@pytest.mark.parametrize("fields, code", (
    ([f"Cookie: {WRONG}"], "auth_failed"),
    ([f"Cookie: {OLD}"], "auth_failed"),
    ([f"Cookie: {WRONG}; {OLD}"], "auth_failed"),
    ([f"Cookie: {WRONG}", "Authorization: Bearer wrong"], "auth_failed"),
    ([f"Cookie: {OTHER}", "Authorization: Bearer wrong"], "auth_failed"),
    ([f"Cookie: {OTHER}"], "auth_required"),
    (["Cookie: a=b"], "auth_required"),
    ([f"Cookie: __Secure-{RIGHT}"], "auth_required"),
    ([f"Cookie: {RIGHT}", "X-Tunnel-Authorization: Bearer wrong"], "auth_failed"),
    ([f"Cookie: {RIGHT}", BEARER, "X-Tunnel-Authorization: Bearer wrong"], "auth_failed"),
))
def test_what_does_not(fields, code):
    with Relay(auth="bearer") as relay:
        status, said, answer = refusal(relay, *fields)
        assert (status, said) == (401, code), answer
        assert answer["WWW-Authenticate"].startswith("Bearer"), answer
        assert relay.silent(0.1), "nobody was dialled"


def test_a_cookie_ends():
    with Relay(auth="bearer") as relay:
        until = int(time.time()) + 2
        assert seen_by_backend(relay, f"Cookie: {cookie.make(ID, SECRET, until)}")
        while time.time() < until:
            time.sleep(until - time.time())  # it is time itself that is tested
        assert refusal(relay, f"Cookie: {cookie.make(ID, SECRET, until)}")[:2] == (401, "auth_failed")


def test_the_cookie_is_for_bearer_tunnels_only_and_stays_here_all_the_same():
    basic = "Authorization: Basic eDp0aGUtc2VjcmV0LW9mLXRoaXMtdGVzdA=="
    with Relay(auth="basic") as relay:
        assert refusal(relay, f"Cookie: {RIGHT}")[:2] == (401, "auth_required")
        assert seen_by_backend(relay, f"Cookie: a=b; {RIGHT}; {OTHER}", basic)["Cookie"] == "a=b"
    with Relay(auth="none") as relay:
        assert "Cookie" not in seen_by_backend(relay, f"Cookie: {OTHER}; {RIGHT}")


def test_an_upgrade_with_the_cookie():
    with Relay(auth="bearer") as relay:
        seen = seen_by_backend(relay, f"Cookie: {RIGHT}", "Connection: Upgrade", "Upgrade: websocket")
    assert seen["Upgrade"] == "websocket" and "Cookie" not in seen, seen


def generated(seed):
    """Cookie fields as browsers, programs and attackers write them."""
    chance = random.Random(seed)
    names = ["a", "b1", "tunneld", "tunneld_", "tunneld_x", f"tunneld_{ID}", "__Host-tunneld_y",
             "Tunneld_x", "xtunneld_", "__Host-a", "", "=tunneld_z", "tunneld_q q"]
    values = ["", "1", "x=y", '"quoted"', '"', "tunneld_", "a,b", "\xe4\xf6".encode().decode("latin-1"),
              RIGHT.partition("=")[2], "x y", "%3B", "\\"]
    marks = ["; "] * 6 + [";", ";;", " ; ", ";\t", " "]
    while True:
        value = ""
        for _ in range(chance.randrange(1, 9)):
            value += chance.choice(names)
            value += chance.choice(["=", "=", "=", "", " = "]) + chance.choice(values)
            value += chance.choice(marks)
        yield (value[: chance.randrange(len(value) + 1)] if chance.random() < 0.3 else value).strip(" \t")


def orderly(seed):
    """Cookie fields of well-formed pairs: what readers of all kinds agree about."""
    chance = random.Random(seed)
    while True:
        names = chance.sample(["a", "b1", "__Host-c", "d.e", "xtunneld_", "Tunneld_f"], chance.randrange(5))
        pairs = [f"{name}={chance.choice(['1', 'x=y', 'tunneld_'])}" for name in names]
        pairs += chance.sample([RIGHT, OTHER, "tunneld_x=1", "__Host-tunneld_y=2"], chance.randrange(1, 4))
        chance.shuffle(pairs)
        yield "; ".join(pairs)


def jar(value):
    return {name: morsel.value for name, morsel in http.cookies.SimpleCookie(value).items()}


def others(cookies):
    return {name: value for name, value in cookies.items() if not name.startswith(cookie.OURS)}


@pytest.mark.parametrize("fields", (generated, orderly))
def test_generated_cookie_fields(fields):
    with Relay(auth="none") as relay:
        visitor = relay.visit(get())
        backend = relay.accept()
        read_head(backend)
        stripped = 0
        for value, _ in zip(fields(20260101), range(2000)):
            backend.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            read_head(visitor)
            visitor.sendall(get("/", "@").replace(b"@", f"Cookie: {value}\r\n".encode("latin-1")))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += backend.recv(65536)
            lines = head.decode("latin-1").split("\r\n")
            left = [line[8:].strip(" \t") for line in lines if line.startswith("Cookie: ")]
            wanted = cookie.strip(value)
            assert left == ([] if wanted is None else [wanted]), (value, left, wanted)
            if fields == orderly:
                assert jar(left[0] if left else "") == others(jar(value)), (value, left)
            stripped += wanted != value
        assert stripped > 500, stripped
        backend.close()
        reset(visitor)


def test_backends_cannot_set_cookies_of_ours():
    with Relay(auth="none") as relay:
        visitor = relay.visit(get())
        backend = relay.accept()
        read_head(backend)
        backend.sendall(("HTTP/1.1 103 Early Hints\r\nSet-Cookie: tunneld_a=1\r\n\r\n"
                         "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + lines_of(
                             "Set-Cookie: a=b; Path=/", f"Set-Cookie: tunneld_{ID}=; Max-Age=0",
                             "set-cookie: __Host-tunneld_x=1", "Set-Cookie: =tunneld_x=1",
                             "Set-Cookie: c=tunneld_x") + "\r\n").encode())
        lines, rest = read_head(visitor)
        assert lines[0].startswith("HTTP/1.1 103") and "tunneld_" not in str(lines), lines
        lines = rest.decode().split("\r\n") if rest else read_head(visitor)[0]
        assert [line for line in lines if line.lower().startswith("set-cookie")] == [
            f"Set-Cookie: a=b; Path=/t/{ID}/", "Set-Cookie: c=tunneld_x"], lines


# ---- those who are wrong too often

def peer(last, network=1):
    """An IPv6 visitor."""
    return bytes([0x20, 1, 0xd, 0xb8, 0, 0, 0, network]) + bytes(7) + bytes([last]) + b"\x12\x34"


def test_failures_are_limited_by_address():
    wrong = "Authorization: Bearer wrong"
    with Relay(auth="bearer", setup=False) as relay:
        relay.setup(auth="bearer", failure_rate=3)
        for fields in ([wrong], [f"Cookie: {WRONG}"], ["X-Tunnel-Authorization: Bearer no"]):
            assert refusal(relay, *fields)[:2] == (401, "auth_failed")
        for _ in range(5):
            status, code, answer = refusal(relay, wrong)
            assert (status, code) == (429, "rate_limited"), answer
            assert 1 <= int(answer["Retry-After"]) <= 20, answer
            assert "WWW-Authenticate" not in answer, answer
        # No credential is no failure, and a right one is never refused.
        assert refusal(relay)[:2] == (401, "auth_required")
        for right in (BEARER, OWN, f"Cookie: {RIGHT}", f"Cookie: {WRONG}; {RIGHT}"):
            assert seen_by_backend(relay, right)
        # Others are not concerned; of IPv6 a whole /64 is one.
        for last in (1, 2, 3):
            assert refusal(relay, wrong, peer=peer(last))[0] == 401
        assert refusal(relay, wrong, peer=peer(4))[0] == 429
        assert refusal(relay, wrong, peer=peer(4, network=2))[0] == 401


def test_pages_and_upgrades_are_limited_too():
    wrong = "Authorization: Bearer wrong"
    with Relay(auth="bearer", setup=False) as relay:
        relay.setup(auth="bearer", failure_rate=1)
        visitors = []
        for wait in (0, 60):
            visitors.append(relay.visit(get("/", lines_of("Sec-Fetch-Mode: navigate", wrong))))
            page = relay.expect(MSG.PAGE_OUT)
            assert page.fields[:2] == [AUTH_FAILED, False]
            assert wait - 10 <= page.fields[2] <= wait, page.fields
            page.take_socket().close()
        upgrade = ["Connection: Upgrade", "Upgrade: websocket", wrong]
        visitors.append(relay.visit(get("/", lines_of(*upgrade))))
        lines, rest = read_head(visitors[-1])
        assert lines[0].startswith("HTTP/1.1 429") and rest == b"", lines
        visitors.append(relay.visit(get("/", lines_of("Sec-Fetch-Mode: navigate"))))
        assert relay.expect(MSG.PAGE_OUT).fields == [AUTH_REQUIRED, False, 0]


def test_many_addresses_only_push_each_other_out():
    wrong = "Authorization: Bearer wrong"
    with Relay(auth="bearer", setup=False) as relay:
        relay.setup(auth="bearer", failure_rate=1)
        assert refusal(relay, wrong)[0] == 401
        assert refusal(relay, wrong)[0] == 429
        for network in range(256):
            assert refusal(relay, wrong, peer=peer(1, network))[0] == 401
        assert refusal(relay, wrong)[0] == 401  # forgotten
        assert seen_by_backend(relay, BEARER)


# ---- the secret itself

def authorized(fields, path="/"):
    return get(path, fields)


@pytest.mark.parametrize("auth, fields, passes", (
    ("bearer", f"Authorization: Bearer {SECRET}\r\n", False),
    ("bearer", f"X-Tunnel-Authorization: Bearer {SECRET}\r\nAuthorization: mine\r\n", True),
    ("basic", "Authorization: Basic eDp0aGUtc2VjcmV0LW9mLXRoaXMtdGVzdA==\r\n", False),
    ("none", "Authorization: Bearer whatever\r\n", True),
))
def test_credentials_open_the_tunnel_and_stay_here(auth, fields, passes):
    with Relay(auth=auth) as relay:
        relay.visit(authorized(fields))
        lines, _ = read_head(relay.accept())
        assert ("Authorization" in "".join(lines)) == passes, lines
        assert "X-Tunnel" not in "".join(lines) and SECRET not in "".join(lines)


@pytest.mark.parametrize("auth, fields, code", (
    ("bearer", "", "auth_required"),
    ("bearer", "Authorization: Bearer wrong\r\n", "auth_failed"),
    ("bearer", "Authorization: Basic eDp0aGUtc2VjcmV0LW9mLXRoaXMtdGVzdA==\r\n", "auth_failed"),
    ("bearer", f"Authorization: Bearer {SECRET}\r\nX-Tunnel-Authorization: Bearer no\r\n", "auth_failed"),
    ("basic", "Authorization: Basic !!\r\n", "auth_failed"),
    ("basic", "", "auth_required"),
))
def test_refused_credentials(auth, fields, code):
    with Relay(auth=auth) as relay:
        visitor = relay.visit(authorized(fields + "Connection: close\r\n"))
        answer = read_all(visitor)
        assert answer.startswith(b"HTTP/1.1 401 "), answer
        assert f"Tunnel-Error: {code}".encode() in answer
        scheme = b"Basic" if auth == "basic" else b"Bearer"
        assert b"WWW-Authenticate: " + scheme in answer
        assert relay.silent(0.2), "nobody was dialled"


def test_navigation_goes_to_the_page_maker(relay):
    with Relay(auth="bearer") as relay:
        visitor = relay.visit(get("/", "Accept: text/html\r\n"))
        page = relay.expect(MSG.PAGE_OUT)
        assert page.fields == [3, False, 0]  # auth_required
        theirs = page.take_socket()
        theirs.sendall(b"a page")
        assert read_exactly(visitor, 6) == b"a page"
        wait_until(lambda: relay.counter("open") == 0, "the relay has let go of it")
        theirs.close()


def test_upgrade_is_refused_with_a_bare_status():
    with Relay(auth="bearer") as relay:
        visitor = relay.visit(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        lines, rest = read_head(visitor)
        assert lines[0].startswith("HTTP/1.1 401") and "Content-Length: 0" in lines and rest == b""
