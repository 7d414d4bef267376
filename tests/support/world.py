# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A network of the test's own, with any address on its loopback and names as the test wants them: by a
# hosts file and by a name server. What must never be dialled can be there and listen, and is seen if
# somebody comes. Only root may make one (CAP_SYS_ADMIN), and the thread that made it is inside until
# close(); what it starts is inside for good.

import contextlib
import ctypes
import fcntl
import ipaddress
import os
import pathlib
import shutil
import socket
import struct
import tempfile
import threading

_libc = ctypes.CDLL(None, use_errno=True)
NEWNS, NEWNET = 0x20000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
SIOCSIFADDR, SIOCSIFFLAGS, SIOCSIFNETMASK = 0x8916, 0x8914, 0x891C
IFF_UP = 1
A, CNAME, AAAA = 1, 5, 28
SILENCE = object()  # in a zone: the question is not answered


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


class World:
    def __init__(self):
        """Raises OSError where namespaces are not to be had."""
        self._outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._aliases = 0
        try:
            _call("unshare", NEWNET)
        except OSError:
            os.close(self._outside)
            raise
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tunneld-world-"))
        self.folder.chmod(0o755)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        self.names = NameServer("127.0.0.53")
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.53\noptions timeout:1 attempts:2\n")
        self.hosts()

    def close(self):
        self.names.close()
        _call("setns", self._outside, NEWNET)
        os.close(self._outside)
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def go_to(name):
        """For a process about to become another program: it is in that network of `ip netns`, for good."""
        with open(f"/run/netns/{name}") as space:
            _call("setns", space.fileno(), NEWNET)

    def add(self, address):
        """Puts an address on the loopback."""
        packed = ipaddress.ip_address(address).packed
        if len(packed) == 16:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                fcntl.ioctl(sock, SIOCSIFADDR, packed + struct.pack("II", 128, socket.if_nametoindex("lo")))
            return
        self._aliases += 1
        name = f"lo:{self._aliases}".encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for request, value in ((SIOCSIFADDR, packed), (SIOCSIFNETMASK, b"\xff" * 4)):
                fcntl.ioctl(sock, request, struct.pack("16sHH4s8x", name, socket.AF_INET, 0, value))

    def hosts(self, names=None):
        """The hosts file: names, each with its addresses. Rewritten in place: it is mounted."""
        names = names or {"localhost": ["127.0.0.1", "::1"]}
        lines = [f"{address} {name}\n" for name, addresses in names.items() for address in addresses]
        (self.folder / "hosts").write_text("".join(lines))

    def enter(self):
        """For a process about to become tunneld: makes it see our files."""
        _call("unshare", NEWNS)
        _call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
        for name in ("hosts", "resolv.conf"):
            _call("mount", bytes(self.folder / name), f"/etc/{name}".encode(), None, MS_BIND, None)


class NameServer:
    """
    Answers with what is in `zone`: name -> addresses, a name (an alias), or a function that returns
    one of these each time it is asked. Unknown names do not exist. `asked` has the questions.
    """

    def __init__(self, address):
        self.zone, self.asked = {}, []
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((address, 53))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)  # wakes the thread
        self._thread.join(5)
        self._sock.close()

    def _run(self):
        while True:
            try:
                question, peer = self._sock.recvfrom(512)
            except OSError:
                return
            if not question:
                return
            if answer := self._answer(question):
                self._sock.sendto(answer, peer)

    def _answer(self, question):
        labels, at = [], 12
        while size := question[at]:
            labels.append(question[at + 1: at + 1 + size].decode())
            at += 1 + size
        name, kind = ".".join(labels).lower(), question[at + 2]
        self.asked.append((name, kind))
        if self.zone.get(name) is SILENCE:
            return None
        records = self._records(name, kind)
        head = question[:2] + struct.pack(">HHHHH", 0x8180 | (3 if records is None else 0), 1, len(records or ()), 0, 0)
        return head + question[12: at + 5] + b"".join(records or ())

    def _records(self, name, kind):
        """Resource records, or None if there is no such name."""
        found = self.zone.get(name)
        if callable(found):
            found = found()
        if found is None:
            return None
        if isinstance(found, str):
            alias = b"".join(bytes([len(label)]) + label.encode() for label in found.split(".")) + b"\0"
            behind = self._records(found, kind)
            # Records of the alias carry its name in full.
            return [_record(b"\xc0\x0c", CNAME, alias)] + [alias + record[2:] for record in behind or ()]
        packed = [ipaddress.ip_address(address).packed for address in found]
        return [_record(b"\xc0\x0c", kind, data) for data in packed if kind == {4: A, 16: AAAA}[len(data)]]


def _record(name, kind, data):
    return name + struct.pack(">HHIH", kind, 1, 0, len(data)) + data


class Witness:
    """Listens on every address at some ports, in both families, and keeps who was called."""

    def __init__(self, *ports):
        self.called = []
        self._listeners = []
        for port in ports:
            listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
            self._listeners.append(listener)
            threading.Thread(target=self._run, args=(listener,), daemon=True).start()

    def _run(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                address = ipaddress.ip_address(sock.getsockname()[0])
                self.called.append(str(address.ipv4_mapped or address))

    def close(self):
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
