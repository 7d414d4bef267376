# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Story, in two real browsers: a developer shares a chat by its link, two friends open it and talk, and
# she ends it.

import pathlib

import pytest

from support.browser import Browser
from support.program import Program

CHAT = pathlib.Path(__file__).parents[1] / "support" / "chat.py"


@pytest.fixture(scope="module")
def chat():
    with Program(CHAT, "{port}") as running:
        yield running


class Friend:
    """Somebody before a browser of his own."""

    def __init__(self, browser, link):
        self.browser = browser
        browser.open(link)
        browser.wait("document.title === 'Team chat'")
        self.sees("connected")

    def says(self, text):
        self.browser.ask("document.querySelector('input').focus()")
        self.browser.type(text)
        self.browser.press_enter()

    def sees(self, text):
        self.browser.wait(f"[...document.querySelectorAll('li')].some(line => line.innerText === {text!r})")


def test_two_friends_talk_until_the_developer_ends_it(api, chat):
    tunnel = api.create(chat, auth="bearer")
    link = tunnel.document["share_url"]
    with Browser() as one, Browser() as other:
        ada, grace = Friend(one, link), Friend(other, link)
        ada.says("Ada")
        grace.says("Grace")
        ada.sees("here: Ada, Grace")
        ada.says("Can you see this?")
        grace.sees("Ada: Can you see this?")
        grace.says("Yes.")
        ada.sees("Grace: Yes.")
        tunnel.revoke()
        for friend in (ada, grace):
            friend.sees("disconnected")
        one.open("about:blank")
        one.wait("location.href === 'about:blank'")
        one.open(link)  # once more, later
        one.wait("document.title === 'This tunnel is over'")
        assert "Ask whoever shared it for a new one" in one.ask("document.body.innerText")
