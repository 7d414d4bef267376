# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Applications that people have, as they come: a Vite dev server, Jupyter, noVNC before a VNC server. Each
# is started for itself on a port of its own, and believes that it is at the root of its own origin.
# What is not installed says so, by skipping.

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from . import proc
from .daemon import free_port

NODE_MODULES = pathlib.Path(__file__).parents[2] / "build-node" / "node_modules"
NOVNC = pathlib.Path("/usr/share/novnc")
PATIENCE = 60


def need(there, what):
    if not there:
        pytest.skip(f"{what} is not there: scripts/install-deps browser")


class App:
    """A program with a folder of its own, which is its home too."""

    def __init__(self, name):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"tunneld-{name}-"))
        self.port = free_port()
        self._log = open(self.folder / "log", "w+b")
        self._processes = []

    def run(self, *command, port=None, **environment):
        """Starts COMMAND and waits until it listens."""
        port = port or self.port
        process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            cwd=self.folder, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1",
                 "LC_ALL": "C.UTF-8", **environment})
        self._processes.append(process)
        proc.wait_until(lambda: self._listens(process, port), PATIENCE, self.log)

    def _listens(self, process, port):
        assert process.poll() is None, f"{process.args} exited {process.returncode}\n{self.log()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    @staticmethod
    def _signal(process, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self._processes):
            self._signal(process, signal.SIGTERM)  # so that it cleans up
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            self._signal(process, signal.SIGKILL)
            process.wait(10)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-5000:]


# Vite

VITE_PAGE = """<!DOCTYPE html><title>vite</title><link rel=stylesheet href=/style.css>
<p id=said></p><script type=module src=/main.js></script>"""
VITE_MAIN = """import {text} from './text.js'
const show = text => document.getElementById('said').innerText = text
show(text)
import.meta.hot.accept('./text.js', changed => show(changed.text))
"""


class Vite(App):
    """`vite` in a project whose page shows what text.js says."""

    def __init__(self):
        need((NODE_MODULES / "vite").exists() and shutil.which("node"), "Vite")
        super().__init__("vite")

    def __enter__(self):
        (self.folder / "index.html").write_text(VITE_PAGE)
        (self.folder / "main.js").write_text(VITE_MAIN)
        (self.folder / "style.css").write_text("#said { color: rgb(1, 2, 3) }")
        (self.folder / "node_modules").symlink_to(NODE_MODULES)
        (self.folder / "vite.config.mjs").write_text("export default {cacheDir: '.vite'}")
        self.say("first")
        self.run("node", NODE_MODULES / "vite/bin/vite.js", "--host", "127.0.0.1", "--port", self.port, "--strictPort")
        return self

    def say(self, text):
        (self.folder / "text.js").write_text(f"export const text = '{text}'\n")


# Jupyter


class Jupyter(App):
    """`jupyter notebook`; TOKEN is what it asks for, "" that it asks for nothing."""

    base = "/"  # its path

    def __init__(self, token=""):
        need(pathlib.Path("/usr/lib/python3/dist-packages/notebook").exists()
             and pathlib.Path("/usr/lib/python3/dist-packages/ipykernel").exists(), "Jupyter")
        super().__init__("jupyter")
        self.token = token

    def __enter__(self):
        self.run("/usr/bin/python3", "-m", "notebook", "--no-browser", "--ip=127.0.0.1", f"--port={self.port}",
                 "--port-retries=0", f"--NotebookApp.token={self.token}", "--NotebookApp.password=",
                 f"--NotebookApp.base_url={self.base}", "--allow-root", f"--notebook-dir={self.folder}")
        return self


# VNC


class Vnc(App):
    """noVNC and websockify before an X server of its own that speaks VNC."""

    SIZE = (320, 200)

    def __init__(self):
        need(shutil.which("websockify") and NOVNC.exists() and shutil.which("Xtigervnc"), "noVNC with a VNC server")
        super().__init__("vnc")

    def __enter__(self):
        vnc = free_port()
        # The display has a number that nobody else has: that of its port.
        self.run("Xtigervnc", f":{vnc}", "-rfbport", vnc, "-localhost", "-SecurityTypes", "None", "-geometry",
                 "%dx%d" % self.SIZE, "-depth", "24", "-retro", "-nolisten", "local", port=vnc)
        self.run("websockify", "--web", NOVNC, f"127.0.0.1:{self.port}", f"127.0.0.1:{vnc}")
        return self
