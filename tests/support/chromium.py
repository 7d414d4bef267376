# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A headless Chromium that opens one page in a fresh profile; the page reports for itself.

import base64
import os
import shutil
import signal
import subprocess
import tempfile

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--no-proxy-server", "--disable-default-apps", "--disable-extensions",
]
# It asks nobody but us.
NOBODY = "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
STAY = "--remote-debugging-port=0"  # without it a headless browser may leave once the page is loaded


def command(folder, *arguments, hosts=(), keys=()):
    """HOSTS: rules for names that are to lead somewhere, as "MAP a.example 127.0.0.1:80". KEYS: those
    that are believed whoever vouches for them, as a tunneld logs them."""
    rules = " , ".join([*hosts, NOBODY])
    believed = ",".join(base64.b64encode(bytes.fromhex(key)).decode() for key in keys)
    return ["chromium", *FLAGS, f"--host-resolver-rules={rules}", f"--user-data-dir={folder}/profile",
            f"--ignore-certificate-errors-spki-list={believed}", *arguments]


def environment(folder):
    return {"PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder}


def dump(url):
    """The page at URL as the browser understood it, as HTML."""
    with tempfile.TemporaryDirectory(prefix="tunneld-chromium-") as folder:
        run = subprocess.run(command(folder, "--dump-dom", url), env=environment(folder),
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return run.stdout.decode()


class Chromium:
    """Opens URL and stays until the block is left."""

    def __init__(self, url, keys=()):
        self.folder = tempfile.mkdtemp(prefix="tunneld-chromium-")
        self._log = open(os.path.join(self.folder, "log"), "w+b")
        self._process = subprocess.Popen(
            command(self.folder, STAY, url, keys=keys), env=environment(self.folder),
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait(10)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-5000:]
