# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: who shares an application below a path that has to be told that path hears so from `tunnel up`, with
# the setting; and nobody else does.

import urllib.request

import pytest

from support.backend import head
from support.up import Up
from test_origins import served


@pytest.fixture(scope="module")
def daemon():
    with served() as running:
        yield running


@pytest.fixture
def server(daemon):
    return f"http://127.0.0.1:{daemon.port}"


def visit(up, path="later"):
    with urllib.request.urlopen(up.url() + path, timeout=20) as answer:
        answer.read()


def page(text="", *fields, status=200):
    body = f"<!DOCTYPE html><head>{text}</head><p>hello".encode()
    return head(status, [("Content-Type", "text/html"), ("Content-Length", len(body)), *fields]) + body


def to(path):
    return head(302, [("Location", path), ("Content-Length", 0)])


JUPYTER = '<title>Jupyter Server</title><input name="password">'

# What it answers, by path, and what is said of it.
NEED_IT = {
    "jupyter": ({"/": to("/lab?"), "/lab": to("/login?next=%2Flab"), "/login": page(JUPYTER)},
                "Jupyter has to know its path: --ServerApp.base_url={prefix}/ and --prefix keep"),
    "next": ({"/": page("", ("X-Powered-By", "Next.js"))},
             "Next.js has to know its path: basePath: '{prefix}' and --prefix keep"),
    "nuxt": ({"/": page('<div id="__nuxt"></div>')},
             "Nuxt has to know its path: NUXT_APP_BASE_URL={prefix}/ and --prefix keep"),
    "docusaurus": ({"/": page('<meta name="generator" content="Docusaurus v3.5.2">')},
                   "Docusaurus has to know its path: baseUrl: '{prefix}/' and --prefix keep"),
    "grafana": ({"/": to("/login"), "/login": page("<title>Grafana</title>")},
                "Grafana has to know its path: GF_SERVER_ROOT_URL=%(protocol)s://%(domain)s{prefix}/ (see"),
    "kibana": ({"/": to("/spaces/enter"), "/spaces/enter": page("", ("kbn-name", "a"))},
               'Kibana has to know its path: server.basePath: "{prefix}" (see'),
    "far": ({"/": page("x" * 60_000 + JUPYTER)}, "Jupyter has to know its path"),
    "chunked": ({"/": head(200, [("Transfer-Encoding", "chunked")]) + b"b\r\n<div id=\"__\r\n5\r\nnuxt\"\r\n0\r\n\r\n"},
                "Nuxt has to know its path"),
    "to its end": ({"/": head(200, [("Connection", "close")]) + JUPYTER.encode()}, "Jupyter has to know its path"),
}


def serve(backend, answers):
    for path, answer in answers.items():
        backend.raw(path, answer)


def prefix_of(up, server):
    assert up.url().startswith(server + "/t/"), up.both()
    return up.url()[len(server):].rstrip("/")


@pytest.mark.parametrize("kind", NEED_IT)
def test_who_needs_it_is_told(server, backend, kind):
    answers, said = NEED_IT[kind]
    serve(backend, answers)
    with Up(server, backend.port, "--origin", "path") as up:
        up.expect(said.format(prefix=prefix_of(up, server)))
        up.expect("(see BASE PATHS in tunnel(1))\n")
        assert up.text().count("has to know its path") == 1
    assert backend.received[0].path == "/"
    assert dict(backend.received[0].fields)["Host"] == f"localhost:{backend.port}"


LOOP = {"/": to("/1"), **{f"/{n}": to(f"/{n + 1}") for n in range(1, 9)}}

NEED_NOTHING = {
    "plain": {"/": page()},
    "jupyter without a login": {"/": to("/lab"), "/lab": page("<title>JupyterLab</title>")},
    "vite": {"/": page('<script type="module" src="/@vite/client"></script>')},
    "elsewhere": {"/": to("http://127.0.0.1:1/lab")},
    "host": {"/": to("//127.0.0.1:1/lab")},
    "round and round": LOOP,
    "too far": {"/": page("x" * 70_000 + JUPYTER)},
    "no http": {"/": b"nonsense\r\n\r\n"},
    "cut": {"/": head(200, [("Content-Length", 1000)]) + JUPYTER.encode()},
}


@pytest.mark.parametrize("kind", NEED_NOTHING)
def test_who_needs_nothing_is_not(server, backend, kind):
    serve(backend, NEED_NOTHING[kind])
    with Up(server, backend.port, "--origin", "path", "--auth", "none") as up:
        visit(up)  # it serves, whatever became of that
        up.expect("/later")
        assert "path:" not in up.text(), up.both()
    assert len(backend.received) <= 5, backend.received


def test_on_an_origin_of_its_own_nobody_is(server, backend):
    serve(backend, NEED_IT["next"][0])
    with Up(server, backend.port, "--origin", "port", "--auth", "none") as up:
        visit(up)
        up.expect("/later")
        assert "path:" not in up.text(), up.both()
    assert [received.path for received in backend.received] == ["/later"], "it was not asked"


def test_quiet_people_are_not(server, backend):
    serve(backend, NEED_IT["next"][0])
    with Up(server, backend.port, "--origin", "path", "--auth", "none", "--quiet") as up:
        visit(up)
        assert up.text() == ""


def test_programs_are_told_too(server, backend):
    serve(backend, NEED_IT["next"][0])
    with Up(server, backend.port, "--origin", "path", "--output", "json") as up:
        assert up.event("note")["text"].startswith("Next.js has to know its path: basePath: '/t/t-")


def test_with_the_path_kept_it_is_asked_there(server, daemon, backend):
    tunnel = daemon.api.pull(prefix="keep", origin="path")
    serve(backend, {f"{tunnel.prefix}/": page("", ("X-Powered-By", "Next.js"))})
    with Up(server, backend.port, "--attach", tunnel.id) as up:
        visit(up, "")
        up.expect("GET")
        assert "path:" not in up.text(), up.both()
    backend.raw(f"{tunnel.prefix}/", page(status=404))
    with Up(server, backend.port, "--attach", tunnel.id) as up:
        up.expect(f"the service has nothing at {tunnel.prefix}/: with --prefix keep it has to know its path")


def test_a_service_that_is_silent_holds_nothing_up(server, backend):
    feed = backend.feed("/", b"")
    with Up(server, backend.port, "--origin", "path", "--auth", "none") as up:
        visit(up)
        up.interrupt()
        assert up.wait() == 0
    feed.close()
