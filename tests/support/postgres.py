# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A PostgreSQL server of the test's own: cluster, port and user in a temporary folder, nothing shared
# with one that the machine may run. And psql as a person would use it.

import glob
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

from . import proc
from .daemon import free_port

USER, PASSWORD = "demo", "an elephant never forgets"
SETTINGS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "log_connections": "on",
    "shared_buffers": "16MB", "max_connections": "20", "autovacuum": "off", "wal_level": "minimal",
    "max_wal_senders": "0"}


def _program(name):
    """Debian keeps the server's programs in a folder of their version."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    assert found, f"there is no {name}: scripts/install-deps test"
    return found[-1]


class Postgres:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tunneld-postgres-"))
        self.port = free_port()
        # The server refuses to be root.
        self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []} if proc.ROOT else {}
        (self.folder / "password").write_text(PASSWORD + "\n")
        if proc.ROOT:
            for path in (self.folder, self.folder / "password"):
                shutil.chown(path, "nobody", "nogroup")
        self._process = None

    def __enter__(self):
        try:
            self._run(_program("initdb"), "--no-sync", "--auth=scram-sha-256", f"--username={USER}",
                      f"--pwfile={self.folder}/password", "--encoding=UTF8", "--locale=C",
                      "-D", f"{self.folder}/cluster")
            options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
            with open(self.folder / "log", "wb") as log:
                self._process = subprocess.Popen(
                    [_program("postgres"), "-D", f"{self.folder}/cluster", "-p", str(self.port), *options],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, env=self._environment(), **self._as)
            proc.wait_until(lambda: self.ask("SELECT 1", check=False).returncode == 0, 30, self.log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process:
            self._process.send_signal(signal.SIGINT)  # ends sessions, too
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _environment():
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}

    def _run(self, *command):
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, cwd=self.folder,
                       env=self._environment(), timeout=60, **self._as)

    def url(self):
        return f"tcp://127.0.0.1:{self.port}"

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def ask(self, sql, **how):
        """Asks the server itself, not by way of a tunnel."""
        return run_psql(self.port, "-c", sql, name="direct", **how)

    def value(self, sql):
        return self.ask(sql).stdout.decode().strip()

    def sessions(self, name):
        return int(self.value(f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'"))


def command(port, *arguments):
    """Unaligned, tuples only, no start-up file, and the first error ends it."""
    return ["psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", USER,
            "-d", "postgres", *arguments]


def environment(name):
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGPASSWORD": PASSWORD, "PGAPPNAME": name,
            "PGSSLMODE": "disable", "PGGSSENCMODE": "disable", "PGCONNECT_TIMEOUT": "10", "HOME": "/nonexistent"}


def run_psql(port, *arguments, name="psql", check=True, stdin=b"", timeout=60):
    done = subprocess.run(command(port, *arguments), env=environment(name), input=stdin,
                          capture_output=True, timeout=timeout)
    assert done.returncode == 0 or not check, done.stderr.decode()
    return done


def start_psql(port, *arguments, name="psql"):
    """A psql that goes on: its standard input is the caller's."""
    return subprocess.Popen(command(port, *arguments), env=environment(name), stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
