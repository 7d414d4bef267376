# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: what pages load is served on the address of the API and nowhere else; clients that have it, or
# take gzip, are sent no more than need be.

import gzip
import pathlib

import pytest

from api_stage import CONTROL, PORT, VISITORS, Stage, problem, state_folder

STYLE = "/assets/style.css"


@pytest.fixture
def stage(tmp_path):
    with Stage(state_folder(tmp_path)) as running:
        yield running


def get(stage, path=STYLE, fields=(), use=CONTROL, method="GET"):
    return stage.call(method, path, token=None, fields=fields, use=use)


def test_a_file(stage):
    answer = get(stage)
    assert (answer.status, answer.fields.get("Content-Type")) == (200, "text/css; charset=utf-8"), answer
    assert "Content-Encoding" not in answer.fields
    assert b"--back:" in answer.body and b"SPDX" not in answer.body, answer.body
    for name, value in {
            "Cache-Control": "no-cache", "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin", "Referrer-Policy": "no-referrer"}.items():
        assert answer.fields.get(name) == value, answer


@pytest.mark.parametrize("accepted, packed", [
    ("gzip", True), ("gzip, deflate, br", True), ("br;q=1.0, GZIP ; q=0.5", True), ("x, gzip;q=0.001", True),
    ("identity", False), ("", False), ("gzip;q=0", False), ("gzip; q=0.000", False), ("xgzip", False), ("*", False)])
def test_gzip(stage, accepted, packed):
    plain = get(stage)
    answer = get(stage, fields=[("Accept-Encoding", accepted)])
    assert answer.status == 200 and answer.fields.get("ETag") == plain.fields.get("ETag")
    assert (answer.fields.get("Content-Encoding") == "gzip") == packed, answer
    assert (gzip.decompress(answer.body) if packed else answer.body) == plain.body
    assert not packed or len(answer.body) < len(plain.body) / 2, (len(answer.body), len(plain.body))
    head = get(stage, fields=[("Accept-Encoding", accepted)], method="HEAD")
    assert (head.status, head.body, head.fields.get("Content-Length")) == (200, b"", str(len(answer.body)))


@pytest.mark.parametrize("named, has", [
    ("{}", True), ('"x", {}', True), ("*", True), ("{strong}", True), ('"x", W/"y" ,{strong}', True),
    ('"x"', False), ("", False), ("W/", False), ("{}x", False), ("{bare}", False)])
def test_who_has_it_already(stage, named, has):
    plain = get(stage)
    tag = plain.fields.get("ETag")
    value = named.format(tag, strong=tag.removeprefix("W/"), bare=tag.removeprefix("W/").strip('"'))
    for method in ("GET", "HEAD"):
        answer = get(stage, fields=[("If-None-Match", value), ("Accept-Encoding", "gzip")], method=method)
        assert answer.status == (304 if has else 200), (value, answer)
        assert answer.fields.get("ETag") == tag and answer.fields.get("Cache-Control") == "no-cache", answer
        if has:
            assert answer.body == b"" and "Content-Length" not in answer.fields, answer


def test_the_description_of_the_api_too(stage):
    whole = get(stage, "/_api/openapi.json", use=VISITORS)
    assert whole.body == (pathlib.Path(__file__).parents[2] / "api/openapi.json").read_bytes()
    tag = whole.fields.get("ETag")
    assert tag != get(stage).fields.get("ETag")
    assert get(stage, "/_api/openapi.json", [("If-None-Match", tag)], VISITORS).status == 304
    assert gzip.decompress(get(stage, "/_api/openapi.json", [("Accept-Encoding", "gzip")]).body) == whole.body


@pytest.mark.parametrize("use", [VISITORS, PORT])
def test_not_where_visitors_come(stage, use):
    answer = get(stage, use=use)
    assert answer.status == 404 and answer.fields.get("Tunnel-Error") in ("not_found", "tunnel_unknown"), answer
    assert get(stage, use=use, method="POST").status == 404


@pytest.mark.parametrize("name", [
    "login.html", "waiting.html", "head.html", "style.cs", "style.css/", "style.css%20", "../api/openapi.json", "a" * 300, "."])
def test_nothing_else(stage, name):
    answer = get(stage, f"/assets/{name}")
    problem(answer, 404, "not_found")
