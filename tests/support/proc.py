# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Processes as /proc shows them: who is whose child, which role, how much memory, sealed how.

import contextlib
import itertools
import os
import resource
import threading
import time

ROLES = ("tunneld", "tunneld-gate", "tunneld-api", "tunneld-relay", "tunneld-resolve", "tunneld-attest")
ROOT = os.geteuid() == 0
LIMITS = {"NOFILE": "Max open files", "DATA": "Max data size", "FSIZE": "Max file size"}


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


class Process:
    """A process that stays itself: a recycled pid is another process."""

    def __init__(self, pid):
        self.pid = pid
        fields = self._stat()
        if fields is None:
            raise ProcessLookupError(pid)
        self.parent, self.started = int(fields[1]), int(fields[19])
        argv0 = _read(f"/proc/{pid}/cmdline").split(b"\0")[0]
        comm = _read(f"/proc/{pid}/comm").strip()
        self.role = os.path.basename(argv0 or comm).decode()

    def _stat(self):
        text = _read(f"/proc/{self.pid}/stat")
        return text.rpartition(b") ")[2].split() if text else None

    def alive(self):
        """Running or stopped; a zombie is gone."""
        fields = self._stat()
        return bool(fields) and int(fields[19]) == self.started and fields[0] not in (b"Z", b"X")

    def status(self):
        text = _read(f"/proc/{self.pid}/status").decode()
        pairs = (line.partition(":") for line in text.splitlines())
        return {name: value.strip() for name, _, value in pairs}

    def signal(self, number):
        assert self.alive(), f"{self} is gone"
        os.kill(self.pid, number)

    def private_kib(self):
        """Memory nobody shares, in KiB: smaps_rollup where it can be read, else RssAnon."""
        rollup = _read(f"/proc/{self.pid}/smaps_rollup").decode()
        if rollup:
            return sum(_kib(line) for line in rollup.splitlines() if line.startswith("Private_"))
        return self.rss_anon_kib()

    def pss_kib(self):
        rollup = _read(f"/proc/{self.pid}/smaps_rollup").decode()
        return sum(_kib(line) for line in rollup.splitlines() if line.startswith("Pss:"))

    def rss_anon_kib(self):
        return int((self.status().get("RssAnon") or "0 kB").split()[0])

    def descriptors(self):
        """How many are open; None where this kernel tells nobody but the owner."""
        folder = f"/proc/{self.pid}/fd"
        try:
            return len(os.listdir(folder))
        except PermissionError:
            return os.stat(folder).st_size or None  # Linux 6.2 and later

    @contextlib.contextmanager
    def short_of_descriptors(self, spare=0):
        """Meanwhile it can open SPARE more."""
        try:
            taken = {int(name) for name in os.listdir(f"/proc/{self.pid}/fd")}
        except PermissionError:
            # The supervisor keeps the first twelve and has holes behind them; others have none.
            taken = set(range(12 if self.role == "tunneld" else self.descriptors()))
        limit = next(itertools.islice((n for n in itertools.count() if n not in taken), spare, None))
        with self.limited("NOFILE", limit):
            yield

    @contextlib.contextmanager
    def limited(self, name, soft):
        """Meanwhile its RLIMIT_<name> is SOFT."""
        line = next(line for line in _read(f"/proc/{self.pid}/limits").decode().splitlines()
                    if line.startswith(LIMITS[name]))
        before = line[26:].split()[0]
        self._set_limit(name, soft)
        try:
            yield
        finally:
            if self.alive():
                self._set_limit(name, resource.RLIM_INFINITY if before == "unlimited" else int(before))

    def _set_limit(self, name, soft):
        """By a process of the same user: root is not allowed to everywhere."""
        which, status = getattr(resource, f"RLIMIT_{name}"), self.status()
        user, group = (int(status[key].split()[0]) for key in ("Uid", "Gid"))
        child = os.fork()
        if child == 0:
            try:
                if user != os.getuid():
                    os.setgroups([])
                    os.setresgid(group, group, group)
                    os.setresuid(user, user, user)
                hard = resource.prlimit(self.pid, which)[1]
                resource.prlimit(self.pid, which, (soft, hard))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0, f"RLIMIT_{name} of {self} cannot be changed"

    def cpu_seconds(self):
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __repr__(self):
        return f"{self.role}[{self.pid}]"

    def __eq__(self, other):
        return (self.pid, self.started) == (other.pid, other.started)

    def __hash__(self):
        return hash((self.pid, self.started))


def _kib(line):
    return int(line.split()[1])


def everyone():
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                yield Process(int(name))
            except ProcessLookupError:
                pass


def children(pid):
    return [process for process in everyone() if process.parent == pid and process.alive()]


def with_uids(first, count):
    """Processes whose real uid lies in first .. first+count-1."""
    found = []
    for process in everyone():
        uid = int((process.status().get("Uid") or "-1").split()[0])
        if first <= uid < first + count and process.alive():
            found.append(process)
    return found


def wait_until(condition, seconds, what):
    """Polls until CONDITION is true and returns its value; fails with WHAT after SECONDS."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < limit, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.004)
    return value


class MemoryWatch:
    """Samples the private memory of processes while its block runs and keeps the highest."""

    def __init__(self, find, every=0.05):
        self._find, self._every = find, every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.highest = {}
        self.samples = 0

    def _run(self):
        while True:
            for process in self._find():
                kib = process.private_kib()
                self.highest[process] = max(kib, self.highest.get(process, 0))
            self.samples += 1
            if self._over.wait(self._every):
                return

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
