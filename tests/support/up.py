# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# `tunnel up` as a person or a script runs it: with pipes, or in a terminal of 80 columns.

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading

from .daemon import NEVER_LOGGED, TOKEN, program

COLUMNS = 80


class Up:
    """
    Started at once; what it prints is kept as it comes. `tty`: standard error is a terminal. With
    `command` it is another command that runs until it is stopped.
    """

    def __init__(self, server, *arguments, command="up", tty=False, token=TOKEN, prepare=None, **environment):
        self.out, self.err = bytearray(), bytearray()
        self._news = threading.Condition()
        theirs = subprocess.PIPE
        if tty:
            ours, theirs = pty.openpty()
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        keep = {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}
        self.process = subprocess.Popen(
            [program("tunnel"), command, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=theirs, start_new_session=True, preexec_fn=prepare,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "TERM": "xterm", "TZ": "UTC", "TUNNEL_SERVER": server,
                 "TUNNEL_TOKEN": token} | keep | environment)
        if tty:
            os.close(theirs)
        sources = {self.process.stdout.fileno(): self.out, ours if tty else self.process.stderr.fileno(): self.err}
        self._tty = ours if tty else None
        self._readers = [threading.Thread(target=self._read, args=source, daemon=True) for source in sources.items()]
        for reader in self._readers:
            reader.start()

    def _read(self, fd, sink):
        while True:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                piece = b""
            with self._news:
                sink += piece
                self._news.notify_all()
            if not piece:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for reader in self._readers:
            reader.join(5)
        if self._tty is not None:
            os.close(self._tty)
        self.process.stdout.close()
        if self.process.stderr:
            self.process.stderr.close()
        assert self.process.returncode != -signal.SIGSYS, f"its sandbox killed it\n{self.both()}"
        assert not NEVER_LOGGED.search(self.text()), self.both()

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        return self.err.decode(errors="replace")

    def both(self):
        return f"-- stdout\n{self.out.decode(errors='replace')}\n-- stderr\n{self.text()}"

    def _wait_for(self, test, seconds):
        with self._news:
            self._news.wait_for(lambda: test() or self.process.poll() is not None, seconds)
            found = test()
        assert found, f"not within {seconds} s, exit status {self.process.poll()}\n{self.both()}"
        return found

    def url(self, seconds=15):
        """The URL it prints, once visitors can come."""
        self._wait_for(lambda: b"\n" in self.out, seconds)
        return self.out.decode().split("\n")[0]

    def expect(self, text, seconds=15):
        """Waits until that is on standard error."""
        return self._wait_for(lambda: text.encode() in self.err, seconds)

    def events(self):
        """What --output json has printed, whole lines only."""
        return [json.loads(line) for line in bytes(self.out).split(b"\n")[:-1]]

    def event(self, name, count=1, seconds=15):
        """The first event of that name, or the COUNTth."""
        found = lambda: [event for event in self.events() if event["event"] == name]
        self._wait_for(lambda: len(found()) >= count, seconds)
        return found()[count - 1]

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def wait(self, seconds=15):
        """The exit status; everything printed is there then."""
        status = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        return status

    def descriptors(self):
        """How many it holds; 0 for an ordinary user, who may not look (it is not dumpable)."""
        return len(os.listdir(f"/proc/{self.pid}/fd")) if os.geteuid() == 0 else 0

    def rss(self):
        """Resident memory in KiB."""
        with open(f"/proc/{self.pid}/status") as status:
            return int(next(line for line in status if line.startswith("VmRSS")).split()[1])
