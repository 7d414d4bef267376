# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The request log against relays that lie: they can make up what their own tunnel answered, and
# nothing else. Not another tunnel's line, not a line of another kind, not more lines than allowed.

import json
import os
import time

import msgpack
import pytest
from child import MSG
from supervisor_stage import Stage, quiet
from support import proc


def entry(path=b"/x", method=b"GET", at=None, ms=1, status=200, code=0, bytes_in=0, bytes_out=0, ours=False,
          cut=False, peer=b""):
    at = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6) if at is None else at
    packed = msgpack.packb(
        [at, method, path, ms, status, code, bytes_in, bytes_out, ours, cut, peer], use_bin_type=True)
    return len(packed).to_bytes(2, "big") + packed


@pytest.fixture
def stage():
    with Stage("api", "relay", request_log="addresses", log_format="json", request_log_rate="20") as stage:
        yield stage


@pytest.fixture
def liar(stage):
    worker = stage.worker()
    relay, id_ = stage.tunnel(worker, "http://127.0.0.1:9")
    relay.id = id_
    return relay


def lines(stage):
    read = [json.loads(line) for line in stage.log().rpartition("\n")[0].splitlines()]
    return [line for line in read if line["msg"] == "request"]


def wait_for_lines(stage, number):
    proc.wait_until(lambda: len(lines(stage)) >= number, 5, stage.log)
    return lines(stage)


def test_the_supervisor_says_whose_line_it_is(stage, liar):
    liar.send(MSG.REQUESTS, 0, entry(b'/a","tunnel":"t-other"}\n{"msg":"request"', method=b"GET"))
    (line,) = wait_for_lines(stage, 1)
    assert line["tunnel"] == liar.id[:10] and line["role"] == "relay", line
    assert line["path"] == '/a","tunnel":"t-other"}\n{"msg":"request"', line


@pytest.mark.parametrize("path", [b"\xff\xfe", b"\x00", b"\x1b[2J", b'"', b"\\", b"\n", b"\xc2\x9b", b""])
def test_any_bytes_are_one_line(stage, liar, path):
    liar.send(MSG.REQUESTS, 0, entry(path) + entry(b"/end"))
    found = wait_for_lines(stage, 2)
    assert [line["path"] for line in found][1:] == ["/end"], found
    assert all(b >= 0x20 or b == 0x0a for b in stage.log_path.read_bytes())


@pytest.mark.parametrize("at", [0, 2**63 - 1, 2**64 - 1])
def test_no_line_from_another_time(stage, liar, at):
    liar.send(MSG.REQUESTS, 0, entry(at=at))
    (line,) = wait_for_lines(stage, 1)
    then = time.mktime(time.strptime(line["ts"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
    assert abs(time.time() - then) < 90, line


@pytest.mark.parametrize("entries", [
    b"x", b"\0\0", b"\0\1\xc0", entry()[:-1], entry() + b"\0", entry(method=b""), entry(method=b"G T"),
    entry(method=b"G\"T"), entry(method=b"G\0"), entry(method=b"G" * 17), entry(path=b"x" * 201),
    entry(status=1000), entry(code=999), entry(peer=b"x"), entry(peer=b"x" * 19), entry(ms="x"),
    b"".join(entry() for _ in range(3)) + b"\0\1"], ids=range(17))
def test_malformed_entries_end_the_relay(stage, liar, entries):
    liar.send(MSG.REQUESTS, 0, entries)
    assert liar.killed()
    assert "protocol violation" in stage.log()


def test_more_than_is_allowed_is_counted(stage, liar):
    for _ in range(50):
        liar.send(MSG.REQUESTS, 1000, b"".join(entry() for _ in range(20)))
    proc.wait_until(lambda: "requests got no line" in stage.log(), 5, stage.log)
    quiet(liar)
    assert 20 <= len(lines(stage)) <= 100, len(lines(stage))


def test_what_nobody_asked_for(request):
    with Stage("api", "relay") as stage:
        relay, _ = stage.tunnel(stage.worker(), "http://127.0.0.1:9")
        relay.send(MSG.REQUESTS, 0, entry())
        assert relay.killed()
        assert "request relay" not in stage.log()


@pytest.mark.parametrize("word", [b"\xff\xff\xff\xff", b"\x64\0\0\0", b"\1\0\0\0", b"\xac\x0d\0\0"])
def test_a_page_full_of_lies_when_the_relay_is_gone(stage, liar, word):
    """As long as a batch says it is, and full of what no batch has."""
    os.pwrite(liar.fds[1], word * 1024, 0)
    liar.exit(1)
    assert liar.killed()
    assert stage.child("relay").start().config[0] is not None, "replaced as any other"
    assert lines(stage) == []
