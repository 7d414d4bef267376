# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The tunnel command as its user has it: a home of its own, a clean environment, a pipe or a terminal.

import fcntl
import json
import os
import pty
import resource
import select
import struct
import subprocess
import termios
import time

from . import daemon


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def json(self):
        return json.loads(self.out)

    def lines(self):
        return self.out.splitlines()

    def __repr__(self):
        return f"<exit status {self.status}\n-- out:\n{self.out}-- err:\n{self.err}>"


class Command:
    def __init__(self, home, server=None, token=daemon.TOKEN):
        self.home = home
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "TZ": "UTC"}
        self.environment |= {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        if server:
            self.environment["TUNNEL_SERVER"] = server
        if token:
            self.environment["TUNNEL_TOKEN"] = token

    @property
    def config(self):
        return self.home / ".config" / "tunnel" / "config"

    def _how(self, words, environment):
        merged = {k: v for k, v in (self.environment | environment).items() if v is not None}
        return [daemon.program("tunnel"), *map(str, words)], merged

    def run(self, *words, input="", timeout=30, memory=None, **environment):
        """Runs it to its end, with MEMORY bytes of addresses. A variable that is None is not there."""
        command, merged = self._how(words, environment)
        limit = (lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory))) if memory else None
        done = subprocess.run(command, input=input.encode(), capture_output=True, timeout=timeout,
                              env=merged, cwd=self.home, preexec_fn=limit)
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *words, **how):
        result = self.run(*words, **how)
        assert result.status == 0, result
        return result

    def start(self, *words, **environment):
        command, merged = self._how(words, environment)
        return Running(command, merged, self.home)

    def at_terminal(self, *words, columns=80, **environment):
        command, merged = self._how(words, {"TERM": "xterm"} | environment)
        return Terminal(command, merged, self.home, columns)


class Running:
    """Started, and read line by line."""

    def __init__(self, command, environment, folder):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment, cwd=folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=10)

    def line(self, stream=None, seconds=20):
        """The next line of standard output (or STREAM), without its end."""
        stream = stream or self.process.stdout
        deadline = time.monotonic() + seconds
        text = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([stream], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"no line in {seconds} s, only {text!r}"
            piece = os.read(stream.fileno(), 1)
            assert piece, f"the end, behind {text!r}"
            text += piece
        return text.decode().rstrip("\n")

    def complaint(self, seconds=20):
        return self.line(self.process.stderr, seconds)


class Terminal:
    """All three standard streams are one terminal."""

    def __init__(self, command, environment, folder, columns):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment,
                                        cwd=folder, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.shown = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._master)

    def type(self, text):
        os.write(self._master, text.encode())

    def read_until(self, words, seconds=20):
        deadline = time.monotonic() + seconds
        while words not in self.shown:
            assert self._read(deadline), f"{words!r} is not shown:\n{self.shown}"

    def finish(self, seconds=30):
        """Reads to the end. Returns the exit status."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self.process.wait(10)

    def interrupt(self, seconds=20):
        """Types Ctrl-C and reads to the end. Returns the exit status. readpassphrase(3) does not notice a
        signal that comes between its question and its read(), so it is typed again."""
        deadline = time.monotonic() + seconds
        while True:
            self.type("\x03")
            while select.select([self._master], [], [], 0.5)[0]:
                if not self._read(deadline):
                    return self.process.wait(10)
            assert time.monotonic() < deadline, f"it goes on:\n{self.shown}"

    def _read(self, deadline):
        ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing more is shown:\n{self.shown}"
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # nobody has the terminal open any more
            piece = b""
        self.shown += piece.decode(errors="replace").replace("\r\n", "\n")
        return bool(piece)
