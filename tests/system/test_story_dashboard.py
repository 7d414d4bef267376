# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Story: a dashboard that lives on server-sent events is watched through a tunnel for a day. Each event
# is there when it is sent, not when a buffer is full; a viewer whose line breaks goes on where it was.

import queue

import pytest

from support import proc
from support.backend import HttpBackend, head
from support.cut import Watched

pytestmark = pytest.mark.usefixtures("mode")

HEAD = head(200, [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")])


class Dashboard(HttpBackend):
    """Sends what the test tells it to each viewer, as numbered events; resumes where one asks it to."""

    def __init__(self, framing="close"):
        super().__init__()
        self.history = []
        self.viewers = []
        self.framing = framing
        self.route("/events", self._events)

    def _events(self, received, request, stream):
        self.absorb(received, request, stream)
        pieces = queue.Queue()
        if self.framing == "chunked":
            stream.send(HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n")
        else:
            stream.send(HEAD)
        for event in self.history[int(received.fields.get("Last-Event-ID", len(self.history))):]:
            self._send(stream, event)
        self.viewers.append(pieces)
        while piece := pieces.get(timeout=60):
            self._send(stream, piece)
        if self.framing == "chunked":
            stream.send(b"0\r\n\r\n")

    def _send(self, stream, piece):
        if self.framing == "chunked":
            stream.send(b"%x\r\n" % len(piece), piece, b"\r\n")
        else:
            stream.send(piece)

    def tell(self, text):
        event = b"id: %d\ndata: %s\n\n" % (len(self.history) + 1, text.encode())
        self.history.append(event)
        for viewer in self.viewers:
            viewer.put(event)
        return event

    def whisper(self):
        """A comment, sent so that nobody in between gives the line up."""
        for viewer in self.viewers:
            viewer.put(b":\n\n")

    def hang_up(self):
        while self.viewers:
            self.viewers.pop().put(None)

    def close(self):
        self.hang_up()
        super().close()


class Viewer:
    """An EventSource, as the HTML standard has it."""

    def __init__(self, tunnel, last_id=None):
        self.line = tunnel.connect()
        fields = [("Accept", "text/event-stream"), ("Cache-Control", "no-cache"), *tunnel.bearer()]
        if last_id is not None:
            fields.append(("Last-Event-ID", str(last_id)))
        self.line.request("GET", tunnel.target("/events"), fields)
        self.answer = self.line.answer_head()
        self.last_id = last_id
        self._chunked = self.answer.framing == "chunked"
        self._text = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.line.close()

    def next(self):
        """The bytes of the next event or comment, as soon as they are there."""
        while b"\n\n" not in self._text:
            if self._chunked:
                size = int(self.line.line(), 16)
                self._text += self.line.take(size)
                assert self.line.line() == b""
            else:
                piece = self.line.some()
                assert piece, f"ended after {bytes(self._text)!r}"
                self._text += piece
        event, _, rest = bytes(self._text).partition(b"\n\n")
        self._text = bytearray(rest)
        if event.startswith(b"id: "):
            self.last_id = int(event[4:].partition(b"\n")[0])
        return event + b"\n\n"

    def ends(self):
        """Whether the stream ends now, in order."""
        if self._chunked:
            return (self.line.line(), self.line.line()) == (b"0", b"")
        return self.line.ended() == "eof"

    def nothing_more(self):
        return not self._text and not self.line.readable(0)


@pytest.fixture(params=["close", "chunked"])
def dashboard(request):
    with Dashboard(request.param) as running:
        yield running


@pytest.fixture
def tunnel(api, dashboard):
    made = api.create(dashboard, auth="bearer")
    yield made
    api.call("DELETE", f"/_api/tunnels/{made.id}")


def wait_for_viewers(dashboard, n):
    proc.wait_until(lambda: len(dashboard.viewers) == n, 5, lambda: dashboard.viewers)


def test_the_dashboard_begins_before_anything_has_happened(tunnel, dashboard):
    """The head comes at once, though no event has been sent."""
    with Viewer(tunnel) as viewer:
        assert viewer.answer.status == 200, viewer.answer
        assert viewer.answer.fields.get("Content-Type") == "text/event-stream"
        assert viewer.answer.fields.get("X-Accel-Buffering") == "no"
        assert "Content-Length" not in viewer.answer.fields and "Content-Encoding" not in viewer.answer.fields


def test_events_arrive_one_by_one_as_they_are_sent(tunnel, dashboard):
    """The next one is sent only when the last one has been seen: what was held back would never come."""
    with Viewer(tunnel) as viewer:
        wait_for_viewers(dashboard, 1)
        for number in range(30):
            sent = dashboard.tell(f"orders: {number}")
            assert viewer.next() == sent
            assert viewer.nothing_more()
        dashboard.whisper()
        assert viewer.next() == b":\n\n"
        large = dashboard.tell("x" * 300_000)
        assert viewer.next() == large


def test_two_viewers_see_the_same(tunnel, dashboard):
    with Viewer(tunnel) as office, Viewer(tunnel) as home:
        wait_for_viewers(dashboard, 2)
        for number in range(5):
            sent = dashboard.tell(f"orders: {number}")
            assert office.next() == home.next() == sent


def test_a_viewer_who_reads_nothing_for_a_while_holds_up_nobody(tunnel, dashboard):
    with Viewer(tunnel) as asleep, Viewer(tunnel) as awake:
        wait_for_viewers(dashboard, 2)
        for number in range(200):
            sent = dashboard.tell("%d: " % number + "x" * 20_000)
            assert awake.next() == sent
        for sent in dashboard.history:
            assert asleep.next() == sent


def test_a_broken_line_goes_on_where_it_was(tunnel, dashboard):
    with Viewer(tunnel) as viewer:
        wait_for_viewers(dashboard, 1)
        for number in range(3):
            dashboard.tell(f"orders: {number}")
            viewer.next()
        last = viewer.last_id
    dashboard.hang_up()
    missed = [dashboard.tell(f"while away: {number}") for number in range(4)]
    with Viewer(tunnel, last) as again:
        assert dashboard.last().fields.get("Last-Event-ID") == "3"
        assert [again.next() for _ in missed] == missed
        wait_for_viewers(dashboard, 1)
        sent = dashboard.tell("back")
        assert again.next() == sent


def test_a_dashboard_that_restarts_ends_the_stream_in_order_and_is_found_again(tunnel, dashboard):
    with Viewer(tunnel) as viewer:
        wait_for_viewers(dashboard, 1)
        sent = dashboard.tell("last words")
        assert viewer.next() == sent
        dashboard.hang_up()
        assert viewer.ends()
    with Viewer(tunnel, 1) as again:
        wait_for_viewers(dashboard, 1)
        assert again.answer.status == 200
        sent = dashboard.tell("new words")
        assert again.next() == sent


def test_a_dashboard_that_crashes_looks_crashed(api):
    with Dashboard("chunked") as dashboard:
        with Viewer(api.create(dashboard, auth="bearer")) as viewer:
            wait_for_viewers(dashboard, 1)
            sent = dashboard.tell("last words")
            assert viewer.next() == sent
            dashboard.drop_all()  # without the end of its answer
            assert viewer.line.ended() == "reset"


def test_a_viewer_who_closes_the_window_is_gone_for_the_dashboard_too(tunnel, dashboard):
    with Viewer(tunnel):
        wait_for_viewers(dashboard, 1)
        assert dashboard.open_connections() == 1

    def noticed():
        dashboard.whisper()  # a dashboard notices when it writes
        return dashboard.open_connections() == 0

    proc.wait_until(noticed, 5, dashboard.open_connections)


def test_when_the_tunnel_ends_so_does_the_stream_and_nobody_tries_for_ever(tunnel, dashboard):
    """A status other than 200 tells an EventSource to stop trying."""
    with Viewer(tunnel) as viewer:
        wait_for_viewers(dashboard, 1)
        dashboard.tell("one")
        viewer.next()
        watched = Watched("viewer", viewer.line)
        tunnel.revoke()
        assert watched.join().how == "reset"
    with Viewer(tunnel, 1) as again:
        assert again.answer.status == 410, again.answer
