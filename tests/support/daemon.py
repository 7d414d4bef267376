# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A tunneld of the test's own: its folder, its port, its log. TUNNELD_BUILD names the build folder
# (default: build/ beside the tests).

import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from . import api, proc, wire

BUILD = pathlib.Path(os.environ.get("TUNNELD_BUILD") or pathlib.Path(__file__).parents[2] / "build")
SANITIZED = bool(os.environ.get("TUNNELD_SANITIZED"))
TOKEN = "owner-token-of-the-tests-0123456789abcdef"

# Ports below the range from which the kernel takes those of outgoing connections.
PORTS = range(20000, 32000)

# Never a part of normal work, whatever the story: a sandbox that killed, a sanitizer that spoke.
NEVER_LOGGED = re.compile(
    r"SIGSYS|signal 31\b|AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed|"
    r"protocol violation", re.IGNORECASE)

OPTIONS = {
    "create_rate": "100000",   # stories create many tunnels from one address
    "failure_rate": "100000",  # and show many wrong secrets
}

USER_IDS_OF_A_DAEMON = 20016


def program(name="tunneld"):
    """Path of a built program."""
    for path in (BUILD / name, BUILD / "bin" / name, *BUILD.glob(f"*/{name}")):
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise FileNotFoundError(f"{name} is not in {BUILD}; TUNNELD_BUILD names the build folder")


def free_port():
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise OSError("no free port")


def free_ports(count):
    """The first of COUNT ports in a row that are free."""
    while True:
        first = free_port()
        probes = []
        try:
            for port in range(first, first + count):
                probes.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()


def uid_base():
    """As root, user ids no other tunneld on this machine has, if the user namespace has room."""
    with open("/proc/self/uid_map") as file:
        inside, _, count = map(int, file.readline().split())
    if not proc.ROOT or inside + count < 2_000_000_000:
        return {}
    return {"relay_uid_base": str(random.randrange(10**8, 2 * 10**9, USER_IDS_OF_A_DAEMON))}


class Daemon:
    """Started by start(); everything it needs lies in `folder`, which close() removes."""

    def __init__(self, **options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tunneld-test-"))
        self.port = free_port()
        self.options = OPTIONS | uid_base() | {
            "listen": f"127.0.0.1:{self.port}",
            "state_dir": str(self.folder / "state"),
        } | options
        self.arguments = []
        self.prepare = None  # called in the new process before it becomes tunneld
        self.environment = {"TUNNELD_API_TOKEN": TOKEN}
        self.log_path = self.folder / "log"
        self._log_from = 0
        self.process = None
        self.allowed_in_log = None
        self.api = api.Api(self.port, TOKEN)

    # Life

    def command(self):
        options = [word for key, value in self.options.items() for word in ("-o", f"{key}={value}")]
        return [program(), *options, *self.arguments]

    def start(self):
        keep = {name: os.environ[name] for name in os.environ if name.endswith("SAN_OPTIONS")}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=self.prepare, env={"PATH": "/usr/bin:/bin", **keep, **self.environment})
        self.supervisor = proc.Process(self.process.pid)
        try:
            proc.wait_until(self.ready, 15, lambda: f"tunneld is not ready\n{self.log()}")
        except BaseException:
            self.process.kill()  # its children go with it
            self.process.wait(10)
            raise
        return self

    def ready(self):
        """Whether /readyz says so; fails when tunneld has exited."""
        assert self.process.poll() is None, f"tunneld exited {self.process.returncode}\n{self.log()}"
        try:
            with wire.Client(("127.0.0.1", self.port)) as client:
                return client.exchange("GET", "/readyz", {"Connection": "close"}).status == 200
        except (ConnectionError, TimeoutError):
            return False

    def tls_keys(self):
        """Those it has logged since it began: SHA-256 of the public key, in hexadecimal."""
        return re.findall(r"TLS key spki_sha256=(\w+)", self._whole_log().decode())

    def stop(self):
        """SIGTERM; exit status 0 and no process left, both in time."""
        children = self.children()
        self.process.terminate()
        status = self.process.wait(10)
        assert status == 0, f"tunneld exited {status}\n{self.log()}"
        self.expect_gone(children)

    def kill(self):
        """kill -9 of the supervisor. Returns what were its children."""
        children = self.children()
        self.process.kill()
        self.process.wait(10)
        return children

    def restart(self):
        self.stop()
        return self.start()

    def die(self, how):
        """What ends without a warning, or with one: the API "worker", the daemon ("kill", "restart")."""
        if how == "worker":
            worker = self.worker()
            worker.signal(signal.SIGKILL)
            self.expect_gone([worker])
        elif how == "kill":
            self.expect_gone(self.kill())
            self.start()
        else:
            assert how == "restart", how
            self.restart()

    def close(self):
        """Stops it however it is, judges the log, removes the folder."""
        try:
            self.api.close()
            if self.process and self.process.poll() is None:
                children = self.children()
                for process in children:  # stopped ones cannot end
                    process.alive() and process.signal(signal.SIGCONT)
                self.process.terminate()
                try:
                    self.process.wait(10)
                finally:
                    self._finish(children)
            self.judge_log()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _finish(self, children):
        for process in [self.supervisor, *children]:
            try:
                process.alive() and process.signal(signal.SIGKILL)
            except (AssertionError, ProcessLookupError):
                pass
        self.process.wait(10)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def __exit__(self, *_):
        self.close()

    # Log

    def mark(self):
        """log() begins here from now on."""
        self._log_from = self.log_path.stat().st_size

    def log(self):
        return self._whole_log()[self._log_from:].decode(errors="replace")

    def _whole_log(self):
        return self.log_path.read_bytes() if self.log_path.exists() else b""

    def judge_log(self):
        log = self._whole_log().decode(errors="replace")
        for secret in [TOKEN, *self.api.secrets]:
            assert secret not in log, f"a secret is in the log:\n{log}"
        for line in log.splitlines():
            bad = NEVER_LOGGED.search(line)
            allowed = self.allowed_in_log and re.search(self.allowed_in_log, line)
            assert not bad or allowed, f"never to be logged: {line}\n{log}"

    # Processes

    def children(self, role=None):
        found = proc.children(self.process.pid)
        return [process for process in found if role in (None, process.role)]

    def everyone(self):
        return [self.supervisor, *self.children()]

    def worker(self):
        (worker,) = self.children("tunneld-api")
        return worker

    def gates(self):
        return self.children("tunneld-gate")

    def relays(self):
        return self.children("tunneld-relay")

    def create_with_relay(self, *what, **how):
        """A tunnel and the process that was started for it."""
        before = set(self.relays())
        tunnel = self.api.create(*what, **how)
        (relay,) = set(self.relays()) - before
        return tunnel, relay

    def expect_gone(self, processes, seconds=1):
        left = lambda: [process for process in processes if process.alive()]
        proc.wait_until(lambda: not left(), seconds, lambda: f"still running: {left()}")

    # Ways in

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def connect(self, **how):
        return wire.Client(self.address, **how)

    def get(self, target, fields=()):
        with self.connect() as client:
            return client.exchange("GET", target, fields)

    @property
    def database(self):
        """The SQLite file; to be opened only while tunneld is stopped."""
        (path,) = (self.folder / "state").rglob("*.db")
        return path


class TlsDaemon(Daemon):
    """One that has an address for HTTPS, too; it is up when its keys are there."""

    def __init__(self, **options):
        self.tls_address = ("127.0.0.1", free_port())
        super().__init__(tls_listen="%s:%d" % self.tls_address, **options)

    def ready(self):
        return "ready: listening" in self.log() and super().ready()
