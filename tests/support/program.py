# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A backend that is a program of its own, as it would run without us.

import os
import socket
import subprocess
import tempfile

from . import proc
from .daemon import free_port


class Program:
    """Runs `python3 ARGUMENTS`, in which {port} is a free port it is going to listen on."""

    def __init__(self, *arguments, folder=None):
        self.port = free_port()
        self._log = tempfile.TemporaryFile()
        command = ["/usr/bin/python3", *(str(word).format(port=self.port) for word in arguments)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=folder,
                                         env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1",
                                              "PYTHONDONTWRITEBYTECODE": "1"})

    def __enter__(self):
        proc.wait_until(self._listens, 20, self.log)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)
        self._log.close()

    def _listens(self):
        assert self._process.poll() is None, self.log()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, scheme="http"):
        return f"{scheme}://127.0.0.1:{self.port}"

    def log(self):
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")
