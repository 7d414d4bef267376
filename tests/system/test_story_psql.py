# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Story: a colleague gets an hour with a database that only the server can reach. She runs psql against
# a local port, behind which a small program enters the tunnel. It is psql as she knows it, until the
# tunnel ends.

import hashlib
import signal
import time

import pytest

from support import proc
from support.forward import Forwarder
from support.postgres import Postgres, run_psql, start_psql

pytestmark = pytest.mark.usefixtures("mode")

ROWS = 300_000
MANY = f"SELECT n, md5(n::text) FROM generate_series(1, {ROWS}) AS n"


@pytest.fixture(scope="module")
def database():
    with Postgres() as running:
        yield running


@pytest.fixture
def tunnel(api, database):
    made = api.create(database.url(), auth="bearer")
    yield made
    api.call("DELETE", f"/_api/tunnels/{made.id}")


@pytest.fixture
def local(tunnel):
    """The colleague's local port."""
    with Forwarder(tunnel, tunnel.bearer()) as forwarder:
        yield forwarder


def test_she_logs_in_with_her_password_and_asks(local):
    said = run_psql(local.port, "-c", "SELECT current_user, 6 * 7").stdout
    assert said == b"demo|42\n"


def test_without_the_secret_the_database_hears_of_nobody(tunnel, database):
    before = database.log().count("connection received")
    for fields in ([], [("Authorization", "Bearer " + "a" * 52)]):
        with Forwarder(tunnel, fields) as outsider:
            failed = run_psql(outsider.port, "-c", "SELECT 1", check=False)
            assert failed.returncode == 2 and b"server closed the connection" in failed.stderr, failed
            assert outsider.answers == [401]
    assert database.log().count("connection received") == before


def test_a_wrong_password_is_the_databases_own_business(local, database):
    failed = run_psql(local.port, "-c", "SELECT 1", "-U", "nobody_here", check=False)
    assert b"password authentication failed" in failed.stderr, failed.stderr


def test_a_big_result_is_the_one_the_database_gave(local, database):
    here = run_psql(local.port, "-c", MANY).stdout
    there = database.ask(MANY).stdout
    assert here.count(b"\n") == ROWS
    assert hashlib.sha256(here).digest() == hashlib.sha256(there).digest()


def test_rows_come_while_she_reads_and_not_before(local, tunnel):
    """A reader who stops stops the database too: nothing in between collects the result."""
    reader = start_psql(local.port, "-v", "FETCH_COUNT=1000", "-c",
                        "SELECT n, repeat('x', 1000) FROM generate_series(1, 1000000) AS n")
    try:
        reader.stdout.read(1 << 20)
        sent = [tunnel.show()["counters"]["bytes_out"]]

        def stands_still():
            time.sleep(0.5)
            sent.append(tunnel.show()["counters"]["bytes_out"])
            return sent[-1] == sent[-2]

        proc.wait_until(stands_still, 10, sent)
        assert 1 << 20 < sent[-1] < 64 << 20, sent
    finally:
        reader.kill()
        reader.communicate()


def test_copy_in_and_out(local, database):
    rows = b"".join(b"%d,%s\n" % (n, hashlib.md5(b"%d" % n).hexdigest().encode()) for n in range(200_000))
    database.ask("DROP TABLE IF EXISTS copied; CREATE TABLE copied (n integer PRIMARY KEY, hash text)")
    said = run_psql(local.port, "-c", "COPY copied FROM STDIN (FORMAT csv)", stdin=rows).stdout
    assert said == b"COPY 200000\n"
    assert database.value("SELECT count(*), count(DISTINCT hash) FROM copied") == "200000|200000"
    back = run_psql(local.port, "-c", "COPY (SELECT * FROM copied ORDER BY n) TO STDOUT (FORMAT csv)").stdout
    assert back == rows


def test_ctrl_c_cancels_the_query(local, database):
    """psql cancels on a connection of its own: another one through the tunnel."""
    patient = start_psql(local.port, "-c", "SELECT pg_sleep(60)", name="patient")
    try:
        running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'patient' AND state = 'active'"
        proc.wait_until(lambda: database.value(running) == "1", 10, database.log)
        begin = time.monotonic()
        patient.send_signal(signal.SIGINT)
        _, said = patient.communicate(timeout=10)
        assert b"canceling statement due to user request" in said, said
        assert time.monotonic() - begin < 5
    finally:
        patient.kill()
        patient.communicate()
    assert local.answers == [101, 101]


def test_two_sessions_are_apart(local, database):
    database.ask("DROP TABLE IF EXISTS shared; CREATE TABLE shared (n integer)")
    one = start_psql(local.port, name="one")
    try:
        one.stdin.write(b"BEGIN; INSERT INTO shared VALUES (1);\n\\echo inserted\n")
        one.stdin.flush()
        lines = [one.stdout.readline() for _ in range(3)]
        assert lines[-1] == b"inserted\n", lines
        count = lambda: run_psql(local.port, "-c", "SELECT count(*) FROM shared").stdout
        assert count() == b"0\n"
        one.communicate(b"COMMIT;\n", timeout=10)
        assert count() == b"1\n"
    finally:
        one.kill()
        one.communicate()


def test_when_the_tunnel_ends_so_does_psql(local, tunnel, database, mode):
    idle = start_psql(local.port, name="idle")
    busy = start_psql(local.port, "-c", "SELECT pg_sleep(60)", name=f"busy {mode}")
    try:
        idle.stdin.write(b"SELECT 'here';\n")
        idle.stdin.flush()
        assert idle.stdout.readline() == b"here\n"
        proc.wait_until(lambda: database.sessions(f"busy {mode}") == 1, 10, database.log)
        begin = time.monotonic()
        tunnel.revoke()
        _, said = busy.communicate(timeout=10)
        assert time.monotonic() - begin < 5
        assert busy.returncode == 2 and b"server closed the connection unexpectedly" in said, said
        out, said = idle.communicate(b"SELECT 'still here';\n", timeout=10)
        assert out == b"" and b"connection" in said and idle.returncode != 0, (out, said)
        proc.wait_until(lambda: database.sessions("idle") == 0, 10, "the database keeps the session")
        again = run_psql(local.port, "-c", "SELECT 1", check=False)
        assert again.returncode == 2, again
        assert local.answers == [101, 101, 410]
    finally:
        for psql in (idle, busy):
            psql.kill()
            psql.communicate()
