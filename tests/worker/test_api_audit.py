# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# GET /_api/audit as tunneld-api does it: what has happened, to whom it is told, and in which pages.

import json
import re

import pytest
from api_stage import EXPIRED, problem
from test_api_tokens import delete, make, tunnel

from support import openapi


def audit(stage, query="", token=None):
    """The rows, and the query of the next page."""
    path = "/_api/audit" + query
    answer = stage.call("GET", path, **({"token": token} if token else {}))
    assert answer.status == 200, answer
    openapi.check("GET", path, [], None, 200, answer.fields, answer.body)
    link = re.search(r"<.*(\?.*)>", answer.fields.get("Link") or "")
    return json.loads(answer.body), link and link[1]


def told(rows):
    return [(row["subject"], row["was"], row["became"], row["actor"]) for row in rows]


def test_a_life(stage):
    made = stage.create(name='"a\u202e<b>')["id"]
    stage.ended(made, EXPIRED)
    stage.acknowledged(made)
    rows, more = audit(stage)
    assert more is None and told(rows) == [
        (made, "active", "expired", "supervisor"), (made, "starting", "active", "owner"),
        (made, None, "starting", "owner")]
    assert {row["name"] for row in rows} == {'"a\u202e<b>'}
    assert [row["reason"] for row in rows] == ["its time was over", "its relay is ready", "asked for"]


def test_nothing_yet(stage):
    assert audit(stage) == ([], None)


def test_pages(stage):
    """None is left out or told twice, though more happens meanwhile."""
    ids = [stage.create()["id"] for _ in range(3)]
    rows, more = audit(stage, "?limit=4")
    assert len(rows) == 4
    stage.create()
    rest, end = audit(stage, more)
    assert end is None, "that is all"
    assert told(rows + rest) == [
        (id_, *step, "owner") for id_ in reversed(ids) for step in (("starting", "active"), (None, "starting"))]


def test_whose(stage):
    """The owner is told all; others what is about their own tunnels, whoever did it."""
    token, other = make(stage, name="mine"), make(stage)
    own = tunnel(stage, token)["id"]
    stage.create()
    stage.delete(own)
    assert told(audit(stage, token=token["token"])[0]) == [
        (own, "active", "revoked", "owner"), (own, "starting", "active", token["id"]),
        (own, None, "starting", token["id"])]
    assert audit(stage, token=other["token"]) == ([], None)
    delete(stage, other)
    rows, _ = audit(stage)
    assert told(rows)[0] == (other["id"], "active", "revoked", "owner")
    assert len(rows) == 3 + 2 + 3, "two tokens that came, one that went, two tunnels"


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=0", "cursor=-1", "state=all", "x"])
def test_wrong_parameters(stage, query):
    said = problem(stage.call("GET", "/_api/audit?" + query), 422, "invalid")
    assert [error["parameter"] for error in said["errors"]] == [query.partition("=")[0]]


def test_without_a_token(stage):
    problem(stage.call("GET", "/_api/audit", token="wrong"), 401, "token_invalid")
