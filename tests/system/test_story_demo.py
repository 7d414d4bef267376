# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Story: a developer shows a chat that runs on her machine to two friends. She makes a tunnel and sends
# them its share link, or address and secret; they talk, and when she has seen enough it is over at once.
# In real browsers: test_browser_demo.py.

import asyncio
import json
import pathlib
import subprocess

import pytest
import websockets

from support import proc
from support.program import Program

pytestmark = pytest.mark.usefixtures("mode")

CHAT = pathlib.Path(__file__).parents[1] / "support" / "chat.py"


@pytest.fixture(scope="module")
def chat():
    with Program(CHAT, "{port}") as running:
        yield running


@pytest.fixture
def tunnel(api, chat):
    made = api.create(chat, auth="bearer", timeout=600, name="chat demo")
    yield made
    api.call("DELETE", f"/_api/tunnels/{made.id}")


def joins(tunnel, secret=None, cookie=None):
    """A friend's chat window: a WebSocket by the library that his program uses."""
    fields = {"Cookie": cookie} if cookie else {"Authorization": f"Bearer {secret or tunnel.secret}"}
    return websockets.connect("ws" + tunnel.url.removeprefix("http"), extra_headers=fields, open_timeout=10)


async def hears(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


def curl(url, *arguments):
    done = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", *arguments, url], capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.decode().rpartition("\n")
    return int(status), body


def test_a_friend_opens_the_address_with_the_secret_he_was_sent(tunnel):
    status, page = curl(tunnel.url, "-H", f"Authorization: Bearer {tunnel.secret}")
    assert (status, "<h1>Team chat</h1>" in page) == (200, True), page


def test_a_friend_opens_the_share_link_and_is_in(tunnel, tmp_path):
    """What his browser does with it, step by step: the secret behind the # stays in the browser."""
    address, _, secret = tunnel.document["share_url"].partition("#")
    jar = ["-b", tmp_path / "jar", "-c", tmp_path / "jar", "-H", "Accept: text/html"]
    status, form = curl(address, *jar)
    assert status == 401 and "<form" in form and f'action="/_t/{tunnel.id}/login"' in form, form
    login = f"http://{tunnel.address[0]}:{tunnel.address[1]}/_t/{tunnel.id}/login"
    status, page = curl(login, *jar, "-L", "--data-urlencode", f"secret={secret}", "-d", f"to={tunnel.prefix}/")
    assert status == 200 and "<h1>Team chat</h1>" in page, page
    status, page = curl(address, *jar)
    assert status == 200 and "<h1>Team chat</h1>" in page, "the next page needs no secret"
    # One cookie, for the tunnel and for the page about it.
    [(name, value)] = {tuple(line.split()[-2:]) for line in (tmp_path / "jar").read_text().splitlines()
                       if "tunneld_t-" in line}
    asyncio.run(says_hello(tunnel, f"{name}={value}"))


async def says_hello(tunnel, cookie):
    async with joins(tunnel, cookie=cookie) as ada:
        await ada.send("Ada")
        assert (await hears(ada))["joined"] == "Ada"


def test_an_error_of_the_chat_is_the_chats_own(tunnel):
    status, page = curl(tunnel.url + "nowhere", "-H", f"Authorization: Bearer {tunnel.secret}")
    assert (status, page) == (404, "<h1>No such page</h1>")


def test_a_stranger_who_found_the_address_sees_nothing_of_the_chat(tunnel, chat):
    before = chat.log()
    status, said = curl(tunnel.url)
    assert (status, json.loads(said)["code"]) == (401, "auth_required"), said
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        asyncio.run(come_and_go(tunnel, "a" * 52))
    assert refused.value.status_code == 401
    assert chat.log() == before


async def come_and_go(tunnel, secret):
    async with joins(tunnel, secret):
        pass


async def two_friends_talk(tunnel):
    async with joins(tunnel) as ada, joins(tunnel) as grace:
        await ada.send("Ada")
        assert await hears(ada) == {"joined": "Ada", "here": ["Ada"]}
        await grace.send("Grace")
        for friend in (ada, grace):
            assert await hears(friend) == {"joined": "Grace", "here": ["Ada", "Grace"]}
        for text in ("Hello!", "Grüße ☕ 你好", "x" * 200_000):
            await ada.send(text)
            for friend in (ada, grace):
                assert await hears(friend) == {"from": "Ada", "text": text}
        shown = tunnel.show()
        assert (shown["name"], shown["counters"]["open"]) == ("chat demo", 2), shown
        await grace.close()
        assert await hears(ada) == {"left": "Grace", "here": ["Ada"]}


def test_two_friends_talk(tunnel):
    asyncio.run(two_friends_talk(tunnel))


async def the_developer_has_seen_enough(tunnel):
    async with joins(tunnel) as ada:
        await ada.send("Ada")
        await hears(ada)
        await asyncio.get_running_loop().run_in_executor(None, tunnel.revoke)
        with pytest.raises(websockets.ConnectionClosedError):
            await hears(ada)


def test_when_she_ends_it_everybody_is_out_at_once(tunnel, chat):
    asyncio.run(the_developer_has_seen_enough(tunnel))
    status, said = curl(tunnel.url, "-H", f"Authorization: Bearer {tunnel.secret}")
    assert (status, json.loads(said)["code"]) == (410, "tunnel_over"), said
    status, page = curl(tunnel.url, "-H", "Accept: text/html")
    assert status == 410 and "<h1>This tunnel is over</h1>" in page, page
    assert tunnel.show()["state"] == "revoked"


async def the_hour_is_over(tunnel):
    async with joins(tunnel) as ada:
        await ada.send("Ada")
        await hears(ada)
        with pytest.raises(websockets.ConnectionClosedError):
            await hears(ada)


def test_when_nobody_ends_it_time_does(api, chat):
    short = api.create(chat, auth="bearer", timeout=2)
    asyncio.run(the_hour_is_over(short))
    proc.wait_until(lambda: short.state() == "expired", 5, short.show)
