# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a server that lies, floods, cuts or says nothing costs its user a sentence and an exit status,
# and no byte of it acts on the terminal.

import itertools
import json
import re

import pytest

from support import wire
from support.backend import TcpBackend
from support.client import Command
from support.daemon import SANITIZED

ID = "t-abcdefghijklmnopqrstuvwxyz"
EVIL = "\x1b]0;owned\x07\x1b[31m\u202e\x9b31m\r\nfake line\t\x7f"
MEMORY = None if SANITIZED else 128 << 20  # of addresses: whatever comes, this is enough
TUNNEL = {"id": ID, "url": f"http://a.test/t/{ID}/", "urls": [f"http://a.test/t/{ID}/"], "state": "active",
          "mode": "push", "auth": "bearer", "name": "", "backend": "http://b.test", "timeout": 60,
          "expires_at": "2099-01-01T00:00:00Z", "secret": None, "share_url": None}


class Liar(TcpBackend):
    """Answers every request with the bytes it was made with, or what a function sends."""

    def __init__(self, answer):
        self.requests = []
        self._answer = answer
        super().__init__(self._serve)

    def _serve(self, stream):
        request = wire.Request(stream)
        body = bytearray()
        request.read(body.extend)
        self.requests.append((request, bytes(body)))
        if callable(self._answer):
            self._answer(stream, request)
        else:
            stream.send(self._answer)

    def command(self, folder):
        return Command(folder, f"http://127.0.0.1:{self.port}", token="t" * 43)


def document(value, status="200 OK", fields=""):
    body = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}Connection: close\r\n\r\n"
    return head.encode() + body


def expect_harmless(result):
    for text in (result.out, result.err):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), result
    return result


def flood(start, piece):
    def send(stream, request):
        stream.send(start)
        for _ in itertools.count():
            stream.send(piece)  # until the other side has had enough
    return send


FLOODS = {
    "head": (flood(b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 1000 + b"\r\n"), "head is too large"),
    "line": (flood(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4096), "head is too large"),
    "interim": (flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10), "interim answers"),
    "body": (flood(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 65536), "larger than any answer"),
    "chunks": (flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n"),
               "larger than any answer"),
    "extension": (flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x" * 4096), "malformed"),
    "refusal": (flood(b"HTTP/1.1 422 No\r\n\r\n", b"x" * 65536), "larger than any answer"),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_are_cut_off(tmp_path, kind):
    answer, words = FLOODS[kind]
    with Liar(answer) as liar:
        result = liar.command(tmp_path).run("ls", memory=MEMORY)
        assert result.status == 5 and words in result.err, result


LIES = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "short body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "cut chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[]",
    "not JSON": document(b"<html>hello</html>"),
    "empty": document(b""),
    "no list": document({"a": 1}),
    "half JSON": document(b'[{"id":'),
    "twice": document(b'[{"id":1,"id":2}]'),
    "deep": document(b"[" * 100000),
    "not UTF-8": document(b'["\xff"]'),
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    "redirect": document(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"),
    "page": document(b"<html>blocked</html>", "403 Forbidden", "Content-Type: text/html\r\n"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_not_believed(tmp_path, lie):
    with Liar(LIES[lie]) as liar:
        result = expect_harmless(liar.command(tmp_path).run("ls"))
        assert result.status == (3 if lie == "page" else 5) and result.out == "", result
        assert result.err.count("\n") == 1, result


ANYTHING = [None, True, 7, -1.5, 10**18, "", "text", EVIL, "x" * 100000, [], {}, [[]], {"a": {}}, ["urls"]]


@pytest.mark.parametrize("command", [["ls"], ["ls", "--json"], ["show", ID], ["show", ID, "--json"],
                                     ["extend", ID, "5m"], ["create", "3000"], ["rm", ID], ["doctor"]])
def test_members_of_any_kind(tmp_path, command):
    """Every member in turn is everything it should not be: a wrong answer, but never a crash."""
    members = [*TUNNEL, "limits", "counters", "token", "created_at"]
    for i, value in enumerate(ANYTHING):
        made = TUNNEL | {name: ANYTHING[(i + k) % len(ANYTHING)] for k, name in enumerate(members)}
        made |= {"id": ID, "url": "http://a.test/"} if i % 2 else {}
        with Liar(document([made] if command[0] == "ls" else made)) as liar:
            result = expect_harmless(liar.command(tmp_path).run(*command))
            assert result.status in (0, 1, 3, 5), result


def test_text_of_the_server_does_not_act(tmp_path):
    made = TUNNEL | {name: EVIL for name in ("name", "state", "backend", "auth", "expires_at", "token")}
    made |= {"urls": [EVIL], "ended_at": EVIL, "secret": EVIL, "share_url": EVIL}
    cases = [
        (["ls"], document([made])), (["ls", "--json"], document([made])),
        (["show", ID], document(made)), (["show", ID, "--json"], document(made)),
        (["create", "3000"], document(made)), (["create", "3000", "--json"], document(made)),
        (["extend", ID, "5m"], document(made)),
        (["rm", ID], document({"code": EVIL, "detail": EVIL}, "422 No")),
        (["ls"], document({"code": "invalid", "detail": EVIL, "errors": [{"pointer": EVIL, "detail": EVIL}]},
                          "422 No")),
        (["doctor"], document({"name": "tunneld", "version": EVIL})),
    ]
    for words, answer in cases:
        with Liar(answer) as liar:
            result = expect_harmless(liar.command(tmp_path).run(*words))
            assert re.search(r"(\\x1b|\\u001B)\]0;owned(\\x07|\\u0007)", result.out + result.err), result


def test_an_id_that_is_none_is_not_printed_as_one(tmp_path):
    for bad in ("../../_api/tokens", "", EVIL, "t-SHOUT" + "x" * 20, 7):
        with Liar(document(TUNNEL | {"id": bad}, "201 Created")) as liar:
            result = liar.command(tmp_path).run("create", "3000")
            assert result.status == 5 and result.out == "", result


def test_a_list_does_not_lead_elsewhere(tmp_path):
    """The next page is a path of the same server, and there is an end to them."""
    for link in ("<http://127.0.0.1:1/x>", "<//127.0.0.1:1/x>", "</x y>", "</x", "<>", "</" + "x" * 5000 + ">"):
        answer = document([TUNNEL], fields=f'Link: {link}; rel="next"\r\n')
        with Liar(answer) as liar:
            assert len(liar.command(tmp_path).good("ls", "--json").json()) == 1
            assert len(liar.requests) == 1, link
    with Liar(document([], fields='Link: </_api/tunnels>; rel="next"\r\n')) as liar:
        assert liar.command(tmp_path).good("ls", "--json").json() == []
    with Liar(document([TUNNEL], fields='Link: </_api/tunnels>; rel="next"\r\n')) as liar:
        assert len(liar.command(tmp_path).good("ls", "--json", timeout=60).json()) == 1000


def test_a_lost_creation_is_asked_for_again_under_the_same_key(tmp_path):
    def answer(stream, request):
        if len(liar.requests) == 1:
            stream.reset()
        else:
            stream.send(document(TUNNEL, "201 Created"))

    with Liar(answer) as liar:
        result = liar.command(tmp_path).good("create", "3000")
        assert result.lines() == [TUNNEL["url"]]
        (first, body), (second, again) = liar.requests
        assert body == again and len(first.fields.get("Idempotency-Key")) == 32
        assert first.fields.get("Idempotency-Key") == second.fields.get("Idempotency-Key")


def test_a_slow_server_has_a_deadline(tmp_path):
    """A byte now and then does not keep the command waiting for ever."""
    def trickle(stream, request):
        stream.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stream.readable(1):
            stream.send(b" ")

    with Liar(trickle) as liar:
        result = liar.command(tmp_path).run("ls", timeout=50)
        assert result.status == 5 and "does not answer in time" in result.err, result


# ---- events


def events(*pieces):
    def send(stream, request):
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", *pieces)
        stream.readable(20)
    return send


def test_events_do_not_act_either(tmp_path):
    data = json.dumps(TUNNEL | {"name": EVIL, "state": EVIL}, ensure_ascii=False).encode()
    piece = f"event: ended{chr(27)}[31m\nid: {EVIL}\n".encode() + b"data: " + data + b"\n\n"
    for options in ([], ["--json"]):
        with Liar(events(piece)) as liar, liar.command(tmp_path).start("events", *options) as running:
            line = running.line()
            assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", line), line
            assert "owned" in line, line


def test_an_event_without_an_end_is_cut_off(tmp_path):
    def send(stream, request):
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ")
        while True:
            stream.send(b"x" * 65536)

    with Liar(send) as liar, liar.command(tmp_path).start("events") as running:
        assert "larger than any of tunneld" in running.complaint()


def test_the_place_in_the_stream_is_told(tmp_path):
    def send(stream, request):
        n = len(liar.requests)
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 10\n"
                    b"id: place-%d\ndata: {}\n\n" % n)

    with Liar(send) as liar, liar.command(tmp_path).start("events", "--json") as running:
        for n in range(1, 4):
            assert json.loads(running.line())["id"] == f"place-{n}"
        assert [request.fields.get("Last-Event-ID") for request, _ in liar.requests[:3]] == [
            None, "place-1", "place-2"]


def test_what_is_no_stream_is_refused(tmp_path):
    with Liar(document([])) as liar:
        result = liar.command(tmp_path).run("events")
        assert result.status == 5 and "no stream of events" in result.err, result
