# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A headless Chromium in a test's hands, over the DevTools protocol on a pair of pipes: opening
# addresses, typing, asking the page.
#
#     with Browser() as browser:
#         browser.open(url)
#         browser.wait("document.title === 'there'")
#         browser.type("text"); browser.press_enter()

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from .chromium import command, environment

PATIENCE = 30
TO_BROWSER, FROM_BROWSER = 3, 4  # where --remote-debugging-pipe has them


class Browser:
    def __init__(self, hosts=(), keys=()):
        self.folder = tempfile.mkdtemp(prefix="tunneld-chromium-")
        self.complaints = []  # what the console and the page's own errors said
        self.sockets = []  # the address of each WebSocket that was tried
        self.answered = 0  # how many of those a server has accepted
        self._last, self._rest, self._session = 0, b"", None
        theirs, ours = zip(os.pipe(), os.pipe()[::-1])
        self._from_us, self._to_us = (self._away(fd) for fd in theirs)
        self._write, self._read = ours

        def place():
            os.dup2(self._from_us, TO_BROWSER)
            os.dup2(self._to_us, FROM_BROWSER)

        self._log = open(os.path.join(self.folder, "log"), "w+b")
        self._process = subprocess.Popen(
            command(self.folder, "--remote-debugging-pipe", "about:blank", hosts=hosts,
                    keys=keys),
            env=environment(self.folder), stdin=subprocess.DEVNULL, stdout=self._log,
            stderr=self._log, start_new_session=True, close_fds=False, preexec_fn=place)
        os.close(self._from_us)
        os.close(self._to_us)

    @staticmethod
    def _away(fd):
        """The same pipe, on a number that the browser has no use for."""
        moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
        os.close(fd)
        return moved

    def __enter__(self):
        [page] = [target for target in self.call("Target.getTargets")["targetInfos"]
                  if target["type"] == "page"]
        self._session = self.call(
            "Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(10)
        os.close(self._write)
        os.close(self._read)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The protocol

    def _message(self, limit):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0, limit - time.monotonic()))
            piece = os.read(self._read, 1 << 20) if ready else b""
            if not piece:
                self._log.seek(0)
                raise TimeoutError("the browser does not answer: "
                                   + self._log.read().decode(errors="replace")[-3000:])
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event):
        if event.get("method") == "Log.entryAdded":
            entry = event["params"]["entry"]
            self.complaints.append(f"{entry['source']}: {entry['text']}")
        elif event.get("method") == "Network.webSocketCreated":
            self.sockets.append(event["params"]["url"])
        elif event.get("method") == "Network.webSocketHandshakeResponseReceived":
            self.answered += event["params"]["response"]["status"] == 101
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(event["params"]["exceptionDetails"]))

    def call(self, method, **parameters):
        self._last += 1
        asked = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            asked["sessionId"] = self._session
        os.write(self._write, json.dumps(asked).encode() + b"\0")
        limit = time.monotonic() + PATIENCE
        while (message := self._message(limit)).get("id") != self._last:
            self._note(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    # A person

    def open(self, url):
        self.call("Page.navigate", url=url)

    def type(self, text):
        """Into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def press_enter(self):
        self._press(key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")

    def press_tab(self):
        self._press(key="Tab", code="Tab", windowsVirtualKeyCode=9)

    def _press(self, **key):
        self.call("Input.dispatchKeyEvent", type="keyDown", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key["key"], code=key["code"])

    def edit(self, command):
        """Copies what is selected, or pastes, as by the keyboard."""
        self.call("Input.dispatchKeyEvent", type="rawKeyDown", key=command[0], modifiers=2, commands=[command])
        self.call("Input.dispatchKeyEvent", type="keyUp", key=command[0])

    def click(self, selector):
        """With the mouse, in the middle of the first element that SELECTOR names."""
        x, y = self.ask(f"(r => [r.x + r.width / 2, r.y + r.height / 2])("
                        f"document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        for type_ in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=type_, x=x, y=y, button="left", clickCount=1)

    def press(self, key, *, shift=False):
        """Tab, Escape, Enter or Space, on whatever has the focus."""
        code, text = {"Tab": (9, ""), "Escape": (27, ""), "Enter": (13, "\r"), "Space": (32, " ")}[key]
        sent = {"key": text if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code,
                "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown", **sent, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **sent)

    def ask(self, expression):
        """The value of EXPRESSION in the page, None while there is no page to ask."""
        try:
            answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        except RuntimeError:
            return None  # between two pages
        return answer["result"].get("value")

    def wait(self, expression):
        """Until EXPRESSION is true in a page that has been loaded; returns its value."""
        limit = time.monotonic() + PATIENCE
        while True:
            if value := self.ask(f"document.readyState === 'complete' && ({expression})"):
                return value
            if time.monotonic() > limit:
                raise TimeoutError(f"never true: {expression} at {self.ask('location.href')}: "
                                   f"{self.ask('document.body.innerText')} {self.complaints}")
            time.sleep(0.02)

    def connected(self):
        """Waits until a server has accepted a WebSocket of the page."""
        limit = time.monotonic() + PATIENCE
        while not self.answered:
            assert time.monotonic() < limit, f"none of {self.sockets}: {self.complaints}"
            self.ask("1")
            time.sleep(0.02)

    def without_script(self):
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def look(self, width, height, scheme, path=None, **media):
        """Makes it so wide and light or dark, with other features of MEDIA; takes a picture if asked to."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": name.replace("_", "-"), "value": value}
                            for name, value in {"prefers_color_scheme": scheme, "forced_colors": "none",
                                                "prefers_reduced_motion": "no-preference", **media}.items()])
        if path:
            picture = self.call("Page.captureScreenshot", format="png")["data"]
            with open(path, "wb") as file:
                file.write(base64.b64decode(picture))

    def cookies(self, url):
        return self.call("Network.getCookies", urls=[url])["cookies"]

    def history(self):
        return [entry["url"] for entry in self.call("Page.getNavigationHistory")["entries"]]

    def described(self, role):
        """What assistive technology is told about the elements with this role."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [{"name": node.get("name", {}).get("value"),
                 "description": node.get("description", {}).get("value"),
                 **{p["name"]: p["value"].get("value") for p in node.get("properties", ())}}
                for node in nodes if node.get("role", {}).get("value") == role]
