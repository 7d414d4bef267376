# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real role process, started and driven as the supervisor does it, so that a test can play all
# its neighbours:
#
#     sending, receiving = one_way()                     # from the gates, played by the test
#     visitors = Channel(sending)
#     with Child("relay", {4: receiving, 5: counters}) as relay:
#         relay.ready()                                  # sealed; READY has been checked
#         relay.send(MSG.RELAY_SETUP, config, hash, 10000, 75000, 5000, "http://h/", 0)
#         visitors.send(MSG.VISITOR, peer, 0, False, "", head, fd=sock)
#         dial = relay.expect(MSG.DIAL)                  # LOG lines on the way are kept in .logged
#         relay.send(MSG.DIALED, dial.fields[0], 1, fd=backend)
#
# As root the child gets a uid of its own and an empty folder to chroot to; otherwise it keeps both.
# Whatever a story does, its child must not die of it: leaving the block raises when the child was
# killed by its sandbox, a fault or a sanitizer, and otherwise ends it by its pid.

import array
import contextlib
import enum
import fcntl
import os
import pathlib
import re
import select
import signal
import socket
import tempfile
import time

import msgpack

from support import proc
from support.daemon import program

COMMON = pathlib.Path(__file__).parents[2] / "common"
FIRST_FREE = 100  # descriptors are moved out of the way of the fixed numbers before they get there
CONTROL = 3       # where a child finds its control channel
FOLDER = 6        # and the folder it enters
UID = 61000       # what a child becomes when the tests run as root: nobody else's
SETTLE = 10       # seconds: longer than anything takes on a busy machine


def _numbers(header, prefix):
    """The members of an enum in a header of common/ whose names begin with PREFIX."""
    text = (COMMON / header).read_text()
    return {name: int(n) for name, n in re.findall(rf"\b{prefix}(\w+) = (\d+),", text)}


MSG = enum.IntEnum("MSG", _numbers("messages.h", "MSG_"))

# What a listener is for (enum listener_use).
USE = enum.IntEnum("USE", _numbers("messages.h", "LISTENER_"))

# Bits of READY's `reached` (enum seal_reached).
CHROOT, OWN_UID, NO_NEW_PRIVS, LANDLOCK, SECCOMP = (1 << bit for bit in range(5))


def readable(what, seconds):
    """Whether there is something to read, an end or an error, within that time."""
    poll = select.poll()  # select() knows no descriptors above 1023
    poll.register(what, select.POLLIN)
    return bool(poll.poll(max(0, seconds) * 1000))


class Message:
    """One message received. Its descriptor, if any, is closed with it unless taken."""

    def __init__(self, values, fds):
        self.type, self.epoch, *self.fields = values
        with contextlib.suppress(ValueError):
            self.type = MSG(self.type)
        self.fds = fds

    def take_fd(self):
        """The one descriptor that came along; the caller's from now on."""
        assert len(self.fds) == 1, f"{self} has {len(self.fds)} descriptors"
        return self.fds.pop()

    def take_socket(self):
        return socket.socket(fileno=self.take_fd())

    def close(self):
        while self.fds:
            os.close(self.fds.pop())

    __del__ = close

    def __repr__(self):
        return f"<{self.type!r} epoch {self.epoch} {self.fields!r} fds {self.fds}>"


class Channel:
    """One end of a SOCK_SEQPACKET channel; speaks messages or, with raw(), anything else."""

    def __init__(self, sock, epoch=0):
        self.sock = sock
        self.epoch = epoch
        self.logged = []  # (level, text) of LOG messages that expect() passed over

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending

    def send(self, type_, *fields, fd=None, fds=(), epoch=None):
        """int, bool, str and bytes become uint, bool, str and bin. FD stays the caller's."""
        values = [int(type_), self.epoch if epoch is None else epoch, *fields]
        self.raw(msgpack.packb(values), [fd] if fd is not None else fds)

    def raw(self, data, fds=()):
        numbers = array.array("i", [f if isinstance(f, int) else f.fileno() for f in fds])
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if fds else []
        self.sock.sendmsg([data], control, socket.MSG_NOSIGNAL)

    # Receiving

    def readable(self, seconds):
        return readable(self.sock, seconds)

    def recv(self, seconds=SETTLE):
        """The next message, whatever it is; None when the peer has closed the channel."""
        assert self.readable(seconds), f"no message within {seconds} s; logged: {self.logged}"
        try:
            data, control, flags, _ = self.sock.recvmsg(
                65536, socket.CMSG_SPACE(253 * 4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return None
        fds = array.array("i")
        for level, kind, value in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(value[: len(value) - len(value) % fds.itemsize])
        if not data and not fds:
            return None
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), "message was truncated"
        return Message(msgpack.unpackb(data), list(fds))

    def expect(self, type_, seconds=SETTLE):
        """The next message that is not a LOG, which must be of this type and epoch."""
        limit = time.monotonic() + seconds
        while (message := self.recv(max(0, limit - time.monotonic()))) is not None:
            if message.type == MSG.LOG and type_ != MSG.LOG:
                self.logged.append(tuple(message.fields))
                continue
            assert message.type == type_, f"expected {type_!r}, got {message}"
            assert message.epoch == self.epoch, f"expected epoch {self.epoch}, got {message}"
            return message
        raise AssertionError(f"channel closed instead of {type_!r}; logged: {self.logged}")

    def silent(self, seconds):
        """Whether nothing but LOG arrives for that long."""
        limit = time.monotonic() + seconds
        while self.readable(max(0, limit - time.monotonic())):
            message = self.recv(0)
            if message is None or message.type != MSG.LOG:
                return False
            self.logged.append(tuple(message.fields))
        return True

    def closed(self, seconds=SETTLE):
        """Waits for the peer to close the channel; messages on the way are dropped."""
        limit = time.monotonic() + seconds
        while self.readable(max(0, limit - time.monotonic())):
            if self.recv(0) is None:
                return True
        return False


def one_way():
    """
    (sending end, receiving end) of a channel that carries visitors, made as the supervisor makes
    it: nothing can flow back. The test wraps its own end in a Channel; the other one is a child's.
    """
    sending, receiving = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    receiving.shutdown(socket.SHUT_WR)
    return sending, receiving


def listener(host="127.0.0.1", *, backlog=4096, defer=True):
    """A listening socket with the options that the supervisor gives its own."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if defer:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
    sock.bind((host, 0))
    sock.listen(backlog)
    sock.setblocking(False)
    return sock


class Child(Channel):
    """
    A running role and the supervisor's end of its control channel.

    FDS maps numbers (4 and up) to what the child finds there: sockets or descriptors. They are
    closed here once the child has them, so that it holds the only copies, except with KEEP.
    FOLDER is what the child enters: as root by default an empty folder of its own, else none. One
    given here must belong to UID when the tests run as root. DESCRIPTORS is its RLIMIT_NOFILE.
    """

    _next_epoch = 1
    programs = "tunneld-"  # what the names of the programs begin with
    also = {}              # more descriptors every child finds, by number; they stay the test's

    def __init__(self, role, fds=None, *, epoch=None, keep=False, folder=None, uid=UID, args=None,
                 descriptors=None):
        if epoch is None:
            epoch = Child._next_epoch
            Child._next_epoch += 1
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        super().__init__(ours, epoch)
        self.role = role
        self.status = None  # as subprocess has it: exit code, or minus the signal
        self._folder = tempfile.TemporaryDirectory(prefix="tunneld-child-")
        self._log = open(pathlib.Path(self._folder.name) / "stderr", "w+b")
        self._start(fds or {}, theirs, folder, uid, args, descriptors)
        theirs.close()
        for held in {} if keep else fds or {}:
            taken = fds[held]
            os.close(taken) if isinstance(taken, int) else taken.close()

    def _start(self, fds, control, folder, uid, args, descriptors):
        # PR_SET_PDEATHSIG speaks of the starting thread: it has to be one that stays.
        holds = dict(fds) | self.also | {0: os.open(os.devnull, os.O_RDWR), 2: self._log, CONTROL: control}
        own = [holds[0]]
        if proc.ROOT and folder is None:
            folder = pathlib.Path(self._folder.name) / "root"
            folder.mkdir()
            os.chown(folder, uid, uid)
        if folder is not None:
            holds[FOLDER] = os.open(folder, os.O_DIRECTORY | os.O_RDONLY)
            own.append(holds[FOLDER])
        ids = str(uid) if proc.ROOT else "-1"
        last = [ids, ids, str(FOLDER) if folder is not None else "-1"]
        path = program(self.programs + self.role)
        argv = [path, *(args or [str(self.epoch), str(os.getpid()), *last])]
        if descriptors is not None:  # a shell, because posix_spawn sets no limits
            argv = ["/bin/sh", "-c", f'ulimit -n {descriptors} && exec "$0" "$@"', *argv]
        moved = {to: fcntl.fcntl(f, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE) for to, f in holds.items()}
        moved[1] = fcntl.fcntl(holds[0], fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
        actions = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in moved.items()]
        environment = {n: v for n, v in os.environ.items() if n.endswith("SAN_OPTIONS")}
        try:
            self.pid = os.posix_spawn(argv[0], argv, environment, file_actions=actions)
        finally:
            for fd in (*moved.values(), *own):
                os.close(fd)
        self._pidfd = os.pidfd_open(self.pid)
        self.process = proc.Process(self.pid)

    # The start of its life

    def ready(self):
        """Waits for READY; returns what the child reached."""
        reached = self.expect(MSG.READY).fields[0]
        needed = NO_NEW_PRIVS | SECCOMP | (CHROOT | OWN_UID if proc.ROOT else 0)
        assert reached & needed == needed, f"reached {reached:#x}, needed {needed:#x}"
        return reached

    # Looking at it

    def log(self):
        """What it wrote to stderr and what it logged: shown when a test fails."""
        if not self._log.closed:
            self._log.seek(0)
            self._written = self._log.read().decode(errors="replace")
        return self._written + "\n".join(f"[{level}] {text}" for level, text in self.logged)

    def descriptors(self):
        return self.process.descriptors()

    # The end of it

    def alive(self):
        return self.status is None and self.wait(0) is None

    def wait(self, seconds=SETTLE):
        """Its exit status (negative: a signal), or None when it is still there after that."""
        if self.status is None and readable(self._pidfd, seconds):
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def kill(self, number=signal.SIGKILL):
        """Signals it; SIGKILL is waited for."""
        if self.wait(0) is None:
            signal.pidfd_send_signal(self._pidfd, number)
            if number == signal.SIGKILL:
                self.wait()

    def __exit__(self, kind, *_):
        died = self.wait(0)
        self.kill()
        self.close()
        os.close(self._pidfd)
        log = self.log()
        self._log.close()
        self._folder.cleanup()
        violent = died is not None and -died in (
            signal.SIGSYS, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)
        if kind is None:
            assert not violent, f"{self.role} died of {signal.Signals(-died).name}\n{log}"
            assert "Sanitizer" not in log and "runtime error:" not in log, log
