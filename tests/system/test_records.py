# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: what is written down is enough to account for every tunnel, and of no use to a thief.

import contextlib
import sqlite3

from support import proc
from support.daemon import TOKEN


@contextlib.contextmanager
def records(daemon):
    """The database of a daemon that has been stopped."""
    database = sqlite3.connect(f"file:{daemon.database}?mode=ro", uri=True)
    try:
        yield database
    finally:
        database.close()


def changes(database, tunnel):
    rows = database.execute("SELECT was, became FROM audit WHERE subject = ? ORDER BY seq", (tunnel.id,))
    return rows.fetchall()


def test_every_change_of_state_is_written_down(own_daemon, backend):
    api = own_daemon.api
    revoked, used, expired, alive = (
        api.create(backend), api.create(backend, limits={"requests": 1}),
        api.create(backend, timeout=1), api.create(backend))
    revoked.revoke()
    used.get("/")
    proc.wait_until(lambda: used.state() == "exhausted", 3, used.show)
    proc.wait_until(lambda: expired.state() == "expired", 3, expired.show)
    own_daemon.stop()
    with records(own_daemon) as database:
        for tunnel, end in [(revoked, "revoked"), (used, "exhausted"), (expired, "expired"), (alive, None)]:
            expected = [(None, "starting"), ("starting", "active")] + ([("active", end)] if end else [])
            assert changes(database, tunnel) == expected, end
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA user_version").fetchone()[0] >= 1


def test_the_state_folder_holds_no_secret(own_daemon, backend):
    tunnels = [own_daemon.api.create(backend, auth=auth) for auth in ("bearer", "basic")]
    for tunnel in tunnels:
        assert tunnel.get("/", tunnel.bearer() if tunnel.document["auth"] == "bearer" else
                          tunnel.basic()).status == 200
    own_daemon.kill()  # whatever was in the write-ahead log is still there
    files = [path for path in (own_daemon.folder / "state").rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        for secret in [TOKEN, *(tunnel.secret for tunnel in tunnels)]:
            assert secret.encode() not in content, path
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"


def test_a_damaged_database_is_refused_not_replaced(own_daemon, backend):
    own_daemon.api.create(backend)
    own_daemon.stop()
    path = own_daemon.database
    damaged = b"this is no database".ljust(8192, b"!")
    path.write_bytes(damaged)
    for side in path.parent.glob(path.name + "-*"):
        side.unlink()
    try:
        own_daemon.start()
    except AssertionError:
        pass
    else:
        raise AssertionError("started on a damaged database")
    assert path.read_bytes() == damaged
    own_daemon.allowed_in_log = "."
