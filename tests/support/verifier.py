# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel verify` for tests.

import json
import pathlib
import subprocess

from .daemon import program
from .tdx import TIME


class Verifier:
    """Runs it in a folder of the test's, with a root of its own unless `root` is None."""

    def __init__(self, folder, root=None):
        self.folder = pathlib.Path(folder)
        self.root = None if root is None else self.file("root.pem", root)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else
                         (content if isinstance(content, str) else json.dumps(content)).encode())
        return path

    def run(self, *arguments, at=TIME, **files):
        """files: option name with _ for -, and what is to be in the file."""
        command = [program("tunnel"), "verify", *arguments, "--json"]
        command += ["--at", at] if at else []
        command += ["--root-ca", self.root] if self.root else []
        for option, content in files.items():
            if content is not None:
                command += ["--" + option.replace("_", "-"), self.file(option, content)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin"})
        assert done.returncode in (0, 6), (command, done)
        found = json.loads(done.stdout)
        found["status"] = done.returncode
        found["reasons"] = {check["name"]: check["reason"] for check in found["checks"] if check["state"] == "failed"}
        assert (done.returncode == 0) == found["accepted"], found
        assert list(found["reasons"]) == found["failed_checks"], found
        assert (found["verdict"] == "rejected") == bool(found["failed_checks"]), found
        return found
