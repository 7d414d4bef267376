# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a client makes a tunnel, finds it in the list, looks at it, uses it and ends it.

import datetime
import json
import re
import time

from support import proc


def seconds_until(text):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text), text
    then = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return then.timestamp() - time.time()


def test_create_answers_201_with_all_it_takes_to_use_the_tunnel(api, backend, daemon):
    asked = {"backend": backend.url(), "timeout": 120}
    answer = api.expect(201, "POST", "/_api/tunnels", asked)
    made = answer.json()
    assert re.fullmatch(r"t-[a-z2-7]{20,}", made["id"]), made
    assert answer.fields["Location"].endswith(f"/_api/tunnels/{made['id']}"), answer.fields
    assert answer.type == "application/json"
    assert made["url"] == f"http://127.0.0.1:{daemon.port}/t/{made['id']}/"
    assert made["urls"][0] == made["url"], made
    assert len(made["secret"]) >= 43, "256 bits do not fit in fewer base64 characters"
    assert 118 < seconds_until(made["expires_at"]) <= 120.5, made
    assert -5 < seconds_until(made["created_at"]) <= 0.5, made
    assert (made["mode"], made["auth"], made["state"]) == ("push", "bearer", "active"), made


def test_the_default_life_is_an_hour(api, backend):
    made = api.expect(201, "POST", "/_api/tunnels", {"backend": backend.url()}).json()
    assert 3598 < seconds_until(made["expires_at"]) <= 3600.5, made


def test_a_new_tunnel_works_at_once(api, backend):
    for _ in range(20):
        assert api.create(backend).get("/first").status == 200


def test_ids_and_secrets_are_never_alike(api, backend):
    made = [api.create(backend, auth="bearer") for _ in range(20)]
    assert len({tunnel.id for tunnel in made}) == 20
    assert len({tunnel.secret for tunnel in made}) == 20


def test_the_list_shows_active_tunnels_without_secrets(api, backend):
    first, second = api.create(backend, auth="bearer"), api.create(backend)
    answer = api.expect(200, "GET", "/_api/tunnels")
    entries = {entry["id"]: entry for entry in answer.json()}
    assert {first.id, second.id} <= set(entries), entries
    assert first.secret not in answer.body.decode()
    assert all("secret" not in entry for entry in entries.values()), entries
    assert entries[first.id]["url"] == first.url
    second.revoke()
    assert second.id not in api.ids()
    assert second.id in api.ids("?state=all")


def test_one_tunnel_shows_its_state_and_counters(api, backend):
    tunnel = api.create(backend)
    assert tunnel.show()["counters"]["requests"] == 0
    tunnel.ask("POST", "/x", body=b"12345")
    tunnel.get("/big/1000")

    def counters():
        return tunnel.show()["counters"]

    proc.wait_until(lambda: counters()["bytes_out"] >= 1000, 3, counters)
    shown = tunnel.show()
    assert shown["state"] == "active"
    assert shown["counters"]["requests"] == 2, shown
    assert shown["counters"]["connections"] == 2, shown
    assert shown["counters"]["bytes_in"] >= 5, shown
    assert -5 < seconds_until(shown["counters"]["last_activity"]) <= 1, shown
    assert "secret" not in shown


def test_delete_ends_it_for_visitors_and_says_so_afterwards(api, backend):
    tunnel = api.create(backend)
    assert tunnel.get("/").status == 200
    assert tunnel.revoke().json() == {"ok": True}
    answer = tunnel.get("/")
    assert answer.status == 410, answer
    assert answer.fields.get("Tunnel-Error") == "tunnel_over", answer
    assert tunnel.show()["state"] == "revoked"
    again = api.call("DELETE", f"/_api/tunnels/{tunnel.id}")
    assert (again.status, again.json()["code"]) == (410, "tunnel_over"), again


def test_unknown_tunnels_are_404_everywhere(api, daemon):
    unknown = "t-" + "a" * 26
    for method in ("GET", "DELETE"):
        answer = api.call(method, f"/_api/tunnels/{unknown}")
        assert (answer.status, answer.json()["code"]) == (404, "tunnel_unknown"), answer
    for target in (f"/t/{unknown}/", f"/t/{unknown}/x?y", "/t/", "/t/../x", "/t/T-AAAA/"):
        answer = daemon.get(target)
        assert answer.status == 404, f"{target}: {answer}"


def test_a_name_is_kept(api, backend):
    assert api.create(backend, name="démo ☕").show()["name"] == "démo ☕"


def test_ws_means_http(api, backend):
    assert api.create(backend.url("ws")).get("/").status == 200


def test_health_and_version_need_no_token(api):
    assert api.call("GET", "/healthz", token="").status == 200
    assert api.call("GET", "/readyz", token="").status == 200
    version = api.call("GET", "/_api/version", token="")
    assert version.status == 200 and re.match(r"\d+\.\d+", version.json()["version"]), version


def test_a_connection_to_the_api_ends_with_its_answer(daemon):
    for version, fields in (("HTTP/1.1", []), ("HTTP/1.0", [("Connection", "keep-alive")])):
        with daemon.connect() as client:
            answer = client.exchange("GET", "/_api/version", fields, version=version)
            assert (answer.status, answer.fields.get("Connection")) == (200, "close"), answer
            assert client.ended() == "eof"


def test_a_body_sent_as_curl_sends_it(api, backend):
    body = json.dumps({"backend": backend.url()}).encode()
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    assert api.call("POST", "/_api/tunnels", body, fields=form).status == 201
