# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Other reverse tunnels, each as a server and an agent on this machine. OpenSSH comes from Debian; the
# others are used where they are installed: on PATH, or in the folder that BENCH_PEERS names.

import getpass
import os
import pathlib
import shutil
import subprocess
import tempfile

from support import daemon, proc

from targets import Program, listening

SSHD = """
Port {control}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding remote
MaxSessions 1000
LogLevel ERROR
"""

RATHOLE_SERVER = """
[server]
bind_addr = "127.0.0.1:{control}"
default_token = "bench"
[server.services.backend]
bind_addr = "127.0.0.1:{port}"
nodelay = true
"""

RATHOLE_CLIENT = """
[client]
remote_addr = "127.0.0.1:{control}"
default_token = "bench"
[client.services.backend]
local_addr = "127.0.0.1:{backend}"
nodelay = true
"""


def find(name):
    """Where a program is, or None."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("BENCH_PEERS", ""), os.environ["PATH"], "/usr/sbin"]))


class Reverse(Program):
    """server() and client() say what to run; the client leads what comes to `port` to the backend."""

    needs = ()  # programs

    def __init__(self, name, backend):
        super().__init__(name)
        self.backend, self.control = backend, daemon.free_port()
        self.folder = self.agent = None

    def missing(self):
        return [name for name in self.needs if not find(name)]

    def write(self, name, template):
        path = self.folder / name
        path.write_text(template.format(
            folder=self.folder, control=self.control, port=self.port, backend=self.backend.port))
        return path

    def prepare(self):
        """What has to be there before the server starts."""

    def server(self):
        raise NotImplementedError

    def client(self):
        raise NotImplementedError

    def _run(self, words, port):
        program, *rest = words
        process = subprocess.Popen(
            [find(program), *map(str, rest)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, env={**os.environ, "RUST_LOG": "error"})
        proc.wait_until(lambda: listening(process, port), 10, f"{self.name}: {program} listens")
        return process

    def start(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
        self.prepare()
        self.process = self._run(self.server(), self.control)
        self.agent = self._run(self.client(), self.port)

    def stop(self):
        if self.agent:
            self.agent.kill()
            self.agent.wait(10)
            self.agent = None
        super().stop()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self):
        """A session of sshd has a process of its own."""
        servers = super().processes()
        return [*servers, *(child for server in servers[1:] for child in proc.children(server.pid)), *self.agents()]

    def agents(self):
        return [proc.Process(self.agent.pid)]


class Ssh(Reverse):
    """With AES-GCM, which costs it less than what it would choose."""

    needs = ("sshd", "ssh", "ssh-keygen")

    def prepare(self):
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for name in ("host", "user"):
            subprocess.run([find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name], check=True)

    def server(self):
        return "sshd", "-D", "-e", "-f", self.write("sshd.conf", SSHD)

    def client(self):
        options = {"IdentityFile": self.folder / "user", "IdentitiesOnly": "yes", "StrictHostKeyChecking": "no",
                   "UserKnownHostsFile": "/dev/null", "ExitOnForwardFailure": "yes", "Ciphers": "aes128-gcm@openssh.com"}
        return ("ssh", "-F", "none", "-N", "-p", self.control, *(f"-o{key}={value}" for key, value in options.items()),
                "-R", f"127.0.0.1:{self.port}:127.0.0.1:{self.backend.port}", f"{getpass.getuser()}@127.0.0.1")


class Rathole(Reverse):
    needs = ("rathole",)

    def server(self):
        return "rathole", self.write("server.toml", RATHOLE_SERVER)

    def client(self):
        return "rathole", self.write("client.toml", RATHOLE_CLIENT)


class Chisel(Reverse):
    """Always encrypts."""

    needs = ("chisel",)

    def server(self):
        return "chisel", "server", "--host", "127.0.0.1", "--port", self.control, "--reverse"

    def client(self):
        return ("chisel", "client", f"http://127.0.0.1:{self.control}",
                f"R:127.0.0.1:{self.port}:127.0.0.1:{self.backend.port}")


class Bore(Reverse):
    """Its server has one port for agents, 7835, and listens for visitors where agents want it, on loopback."""

    needs = ("bore",)

    def __init__(self, name, backend):
        super().__init__(name, backend)
        self.control = 7835

    def server(self):
        return ("bore", "server", "--bind-addr", "127.0.0.1", "--bind-tunnels", "127.0.0.1", "--secret", "bench",
                "--min-port", self.port, "--max-port", self.port)

    def client(self):
        return ("bore", "local", self.backend.port, "-l", "127.0.0.1", "-t", "127.0.0.1", "-p", self.port,
                "--secret", "bench")


KINDS = {"ssh -R": Ssh, "rathole": Rathole, "bore": Bore, "chisel": Chisel}


def make(backend):
    """Those that are installed, by name; and for the others what is missing."""
    every = {name: kind(name, backend) for name, kind in KINDS.items()}
    missing = {name: target.missing() for name, target in every.items() if target.missing()}
    return {name: target for name, target in every.items() if name not in missing}, missing
