# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Following GET /_api/events, read as the specification of server-sent events says: lines up to an
# empty one make a block; one with data is an event.

import json
import re

from . import openapi

BLOCK_MAX = 1 << 16
ID = re.compile(r"([0-9a-f]{16})-(0|[1-9]\d*)")


class Events:
    """A stream on CLIENT, which has sent the request."""

    def __init__(self, client):
        self.client = client
        self.answer = client.answer_head()
        assert self.answer.status == 200, self.answer
        assert self.answer.fields.get("Content-Type") == "text/event-stream", self.answer
        assert self.answer.fields.get("Cache-Control") == "no-store", self.answer
        assert self.answer.framing == "close", self.answer
        openapi.check("GET", "/_api/events", [], None, 200, self.answer.fields, None)
        self.place, self.beats = None, 0
        opening = self.block()
        assert opening.pop("retry") == "3000" and set(opening) <= {"id"}, opening

    def block(self, seconds=10):
        """The fields of the next block; those that only keep the connection alive are counted."""
        self.client.sock.settimeout(seconds)
        while True:
            fields = {}
            text = self.client._until(b"\n\n", BLOCK_MAX).decode()
            for line in text.split("\n")[:-2]:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            self.beats += "" in fields
            fields.pop("", None)
            if fields:
                self.place = fields.get("id", self.place)
                return fields

    def next(self, kind, seconds=10):
        """The data of the next event, which has to be of this kind."""
        fields = self.block(seconds)
        assert fields.get("event") == kind, fields
        assert ID.fullmatch(fields["id"]), fields
        data = json.loads(fields["data"])
        if kind != "reset":
            openapi.check_listed(data, f"event {kind}")
        return data

    def counters(self, seconds=20):
        """The data of the next event, which has to be of this kind: it is at no place of its own."""
        place, fields = self.place, self.block(seconds)
        assert (fields["event"], self.place) == ("counters", place) and "id" not in fields, fields
        data = json.loads(fields["data"])
        openapi.check_counters(data)
        return data

    def silent(self, seconds=0.1):
        return not self.client.readable(seconds)

    def ended(self, seconds=5):
        return self.client.ended(seconds)

    def close(self):
        self.client.close()
