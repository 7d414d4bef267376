# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a person's path, in steps. From an address in a chat message to the application: one click with a
# share link or a public tunnel, a click and a paste with a secret that came apart. From scripts/run to a
# shared application on this machine: two commands.

import html
import os
import pathlib
import re
import signal
import subprocess

import pytest

from support import axe, proc
from support.backend import HttpBackend, head
from support.browser import Browser
from support.daemon import Daemon, free_port
from support.program import Program

TOP = pathlib.Path(__file__).parents[2]
CHAT = TOP / "tests" / "support" / "chat.py"


@pytest.fixture(scope="module")
def app():
    with Program(CHAT, "{port}") as running:
        yield running


class Person:
    """Reads a message in a browser, and counts what she does."""

    def __init__(self, browser, message):
        self.browser, self.steps = browser, []
        text = f"<!DOCTYPE html><title>message</title><p>{message}".encode()
        with HttpBackend() as messenger:
            messenger.route("/", lambda received, request, stream: stream.send(head(200, [
                ("Content-Type", "text/html"), ("Content-Length", len(text))]), text) or True)
            browser.open(messenger.url() + "/")
            browser.wait("document.title === 'message'")

    def copies_the_secret(self):
        """Before she leaves the message: how the paste comes about."""
        self.browser.ask("getSelection().selectAllChildren(document.querySelector('code'))")
        self.browser.edit("copy")

    def clicks(self, selector):
        self.steps.append("click")
        self.browser.click(selector)

    def pastes(self):
        self.steps.append("paste")
        self.browser.edit("paste")

    def is_there(self):
        self.browser.wait("document.title === 'Team chat' && document.body.innerText.includes('connected')")


def link(url):
    return f'<a href="{html.escape(url)}">{html.escape(url)}</a>'


def test_from_a_share_link(daemon, app):
    tunnel = daemon.api.create(app, auth="bearer")
    with Browser() as browser:
        person = Person(browser, f"Look: {link(tunnel.document['share_url'])}")
        person.clicks("a")
        person.is_there()
        assert person.steps == ["click"]


def test_from_an_address_and_a_secret(daemon, app):
    tunnel = daemon.api.create(app, auth="bearer")
    with Browser() as browser:
        person = Person(browser, f"Look: {link(tunnel.url)} with <code>{tunnel.secret}</code>")
        person.copies_the_secret()
        person.clicks("a")
        browser.wait("document.activeElement.id === 'secret'")
        person.pastes()
        person.is_there()
        assert person.steps == ["click", "paste"]
        assert not [url for url in browser.history() if tunnel.secret in url]


def test_from_an_address_alone(daemon, app):
    tunnel = daemon.api.create(app)
    with Browser() as browser:
        person = Person(browser, f"Look: {link(tunnel.url)}")
        person.clicks("a")
        person.is_there()
        assert person.steps == ["click"]


def test_with_a_notice(app):
    with Daemon(interstitial="yes") as daemon, Browser() as browser:
        tunnel = daemon.api.create(app, auth="bearer")
        person = Person(browser, f"Look: {link(tunnel.document['share_url'])}")
        person.clicks("a")
        browser.wait("document.title === 'You are about to enter a tunnel'")
        for scheme in ("light", "dark"):
            browser.look(360, 640, scheme)
            assert browser.ask("document.documentElement.scrollWidth") <= 360
            axe.check(browser, f"the notice, {scheme}")
        person.clicks("button")
        person.is_there()
        assert browser.ask("location.href") == tunnel.url
        browser.open("about:blank")
        browser.wait("location.href === 'about:blank'")
        browser.open(tunnel.url)  # once is enough
        person.is_there()
        other = daemon.api.create(app)
        browser.open(other.url)
        browser.wait("document.title === 'You are about to enter a tunnel'")


def test_from_scripts_run_to_a_shared_application(app, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TUNNEL")}
    output, port = tmp_path / "output", free_port()
    with open(output, "wb") as file:
        first = subprocess.Popen([TOP / "scripts/run", "-o", f"listen=127.0.0.1:{port}"], cwd=tmp_path, env=environment,
                                 stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
    try:
        proc.wait_until(lambda: first.poll() is not None or "ready:" in output.read_text(), 110, output.read_text)
        assert first.poll() is None, output.read_text()
        # The second command is the one it prints, with the port of the application.
        [command] = re.findall(r"^ *('\S+/tunnel' create .*)$", output.read_text(), re.MULTILINE)
        second = subprocess.run(["bash", "-c", command.replace(" 3000 ", f" {app.port} ")], env=environment,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        assert second.returncode == 0, second
        with Browser() as browser:
            person = Person(browser, f"Look: {link(second.stdout.strip())}")
            person.clicks("a")
            person.is_there()
            assert person.steps == ["click"]
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(10)
