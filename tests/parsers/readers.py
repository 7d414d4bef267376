# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The parsers that are compared, each as a function from cases to results. A case is (kind, bytes);
# the kinds and what a result holds are those of case.h.

import collections
import struct
import subprocess

import h11
import msgpack
from h11._connection import _body_framing

from support import daemon

REQUEST, RESPONSE, RESPONSE_TO_HEAD = b"q", b"r", b"h"
CASE_MAX = 256 * 1024

Result = collections.namedtuple(
    "Result", "verdict reason end start target minor framing length body names values")


def program(name):
    """A reader of the built program with this name."""
    path = daemon.program(name)

    def read(cases):
        pieces = []
        for kind, data in cases:
            pieces += (kind, struct.pack("<I", len(data)), data)
        done = subprocess.run([path], input=b"".join(pieces), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, f"{name}: {done.returncode} {done.stderr[:4000]!r}"
        unpacker = msgpack.Unpacker(max_buffer_size=0)
        unpacker.feed(done.stdout)
        results = [Result(*fields) for fields in unpacker]
        assert len(results) == len(cases), f"{name}: {len(results)} results for {len(cases)} cases"
        return results

    return read


def h11_reader(cases):
    return [_h11_one(kind, data) for kind, data in cases]


_ASKED = {
    kind: h11.Request(method=method, target="/", headers=[
        ("Host", "h"), ("Upgrade", "websocket"), ("Connection", "upgrade")])
    for kind, method in ((RESPONSE, "GET"), (RESPONSE_TO_HEAD, "HEAD"))
}
_FRAMINGS = {"content-length": b"length", "chunked": b"chunked", "http/1.0": b"close"}


def _h11_connection(kind):
    if kind == REQUEST:
        return h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(_ASKED[kind])
    connection.send(h11.EndOfMessage())
    return connection


def _h11_framing(kind, head):
    if isinstance(head, h11.InformationalResponse):
        return b"none", 0
    method = b"HEAD" if kind == RESPONSE_TO_HEAD else b"GET"
    name, arguments = _body_framing(head.method if kind == REQUEST else method, head)
    length = arguments[0] if arguments else 0
    return (b"none" if name == "content-length" and length == 0 else _FRAMINGS[name]), length


def _h11_one(kind, data):
    connection = _h11_connection(kind)
    head, body, verdict, reason = None, b"", b"M", b"head"
    try:
        if data:  # nothing would say that the connection has ended
            connection.receive_data(data)
        while verdict == b"M":
            event = connection.next_event()
            if event is h11.NEED_DATA:
                # What comes after a case is the end of its connection.
                if head is None or connection.trailing_data[1]:
                    break
                if _h11_framing(kind, head)[0] != b"close":
                    break
                connection.receive_data(b"")
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                verdict, reason = b"A", b""  # paused: another protocol follows
            elif isinstance(event, h11.InformationalResponse):
                head, verdict, reason = event, b"A", b""
            else:
                assert isinstance(event, (h11.Request, h11.Response)), (event, data)
                head, reason = event, b"body"
    except h11.RemoteProtocolError as error:
        verdict, reason = b"R", str(error).encode()
    end = len(data) - len(connection.trailing_data[0])
    if head is None:
        return Result(verdict, reason, end, b"", b"", 0, b"", 0, b"", [], [])
    start = head.method if kind == REQUEST else b"%d" % head.status_code
    target = head.target if kind == REQUEST else b""
    framing, length = _h11_framing(kind, head)
    names, values = [], []
    for name, value in head.headers.raw_items():
        names.append(bytes(name))
        values.append(bytes(value))
    minor = int(head.http_version.partition(b".")[2])
    return Result(verdict, reason, end, start, target, minor, framing, length, body, names, values)
