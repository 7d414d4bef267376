# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The crowd of tests/load: programs in C that play many visitors, or a backend for them.

import json
import select
import subprocess

from .daemon import program


class Player:
    """One part, for the length of a `with` block. next() is what it says next."""

    def __init__(self, *part):
        self.process = subprocess.Popen(
            [program("crowd"), *map(str, part)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.part = part[0]

    def next(self, seconds=60):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        assert ready, f"crowd {self.part} said nothing for {seconds} s"
        line = self.process.stdout.readline()
        assert line, f"crowd {self.part} exited {self.process.wait(5)}"
        return json.loads(line)

    def go(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process.stdout.close()


class Backend(Player):
    """/ws echoes, /big/N is N bytes, anything else is two bytes."""

    def __init__(self):
        super().__init__("backend")
        self.port = self.next()

    def url(self):
        return f"http://127.0.0.1:{self.port}"
