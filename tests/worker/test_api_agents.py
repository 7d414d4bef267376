# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# A real tunneld-api and the agents of pull tunnels: who may come in, what the others are told, and
# that a connection is given away whole, after the 101 and with every byte that came behind it.

import hashlib
import json
import socket
import struct

import pytest
from api_stage import TOKEN, Stage, boottime_us, problem, rows
from child import MSG, SETTLE

from support import proc

UNKNOWN = "t-" + "z" * 26
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # and its answer: RFC 6455 section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HANDSHAKE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Protocol": "tunneld.v1"}


def pull(stage, **members):
    return stage.create(backend=None, **members)


def ask(stage, tunnel, token, **changes):
    """An agent's request; a header of None is left out."""
    fields = [(name, value) for name, value in (HANDSHAKE | changes).items() if value is not None]
    return stage.ask("GET", f"/_api/tunnels/{tunnel}/agent", token=token, fields=fields)


def given(stage, client, tunnel):
    """The connection that was given away: its end of the socket, and the bytes with it."""
    answer = client.answer_head()
    assert answer.status == 101, answer
    message = stage.expect(MSG.AGENT_IN)
    assert message.fields[0] == tunnel, message
    return message.take_socket(), message.fields[1]


def scoped(stage, **members):
    answer = stage.call("POST", "/_api/tokens", members)
    assert answer.status == 201, answer
    return json.loads(answer.body)["token"]


# ---- the tunnel

def test_a_pull_tunnel_is_described(stage):
    client = stage.ask("POST", "/_api/tunnels", {"timeout": 60, "auth": "none"})
    spawn = stage.spawn()
    assert (spawn.backend, spawn.auth, spawn.owner) == ("", "none", True)
    stage.spawned(spawn)
    made = json.loads(client.answer().body)
    assert (made["mode"], made["backend"], made["secret"]) == ("pull", None, None), made
    url, token = made["agent"]["url"], made["agent"]["token"]
    assert url == f"ws://127.0.0.1:8080/_api/tunnels/{made['id']}/agent"
    assert len(token) == 52, "256 bits in base32"
    shown = stage.show(made["id"], (1, 1, 1, 1, 1, 1, 2))
    assert (shown["mode"], shown["backend"], shown["counters"]["agents"]) == ("pull", None, 2), shown
    assert "agent" not in shown and "secret" not in shown, "shown once"
    (listed,) = json.loads(stage.call("GET", "/_api/tunnels").body)
    assert listed["mode"] == "pull" and "agent" not in listed


def test_only_the_hash_of_the_agent_token_is_kept(folder):
    with Stage(folder) as stage:
        token = pull(stage)["agent"]["token"]
        stage.stop()
    (row,) = rows(folder, "SELECT * FROM tunnels")
    assert row["agent_hash"] == hashlib.sha256(token.encode()).digest()
    assert (row["mode"], row["backend"]) == ("pull", None)
    for path in folder.iterdir():
        assert token.encode() not in path.read_bytes(), path


def test_a_secure_server_has_a_secure_address_for_agents(folder):
    with Stage(folder, origins={"path": "https://tunnels.example"}) as stage:
        made = pull(stage)
        assert made["agent"]["url"] == f"wss://tunnels.example/_api/tunnels/{made['id']}/agent"


def test_every_tunnel_has_an_agent_token_of_its_own(stage):
    tokens = {pull(stage)["agent"]["token"] for _ in range(5)}
    assert len(tokens) == 5
    assert "agent" not in stage.create()


def test_a_repeated_request_is_told_the_same_agent_token(stage):
    key = [("Idempotency-Key", "k1")]
    client = stage.ask("POST", "/_api/tunnels", {}, fields=key)
    stage.spawned(stage.spawn())
    first = json.loads(client.answer().body)
    again = json.loads(stage.ask("POST", "/_api/tunnels", {}, fields=key).answer().body)
    assert again == first and again["agent"]["token"]


def test_it_is_restored(folder):
    with Stage(folder) as stage:
        made = pull(stage)
        stage.stop(live=[(made["id"], boottime_us(3600), (0,) * 7)])
    with Stage(folder) as stage:
        token = made["agent"]["token"]
        again = stage.spawn()
        assert (again.id, again.backend) == (made["id"], "")
        problem(ask(stage, made["id"], token).answer(), 503, "draining")  # it has no relay yet
        stage.spawned(again)
        stage.works()
        connection, _ = given(stage, ask(stage, made["id"], token), made["id"])
        connection.close()


# ---- who may come in

def test_an_agent_comes_in(stage):
    made = pull(stage)
    client = ask(stage, made["id"], made["agent"]["token"], Origin="http://elsewhere")
    answer = client.answer_head()
    assert answer.status == 101 and answer.start == "HTTP/1.1 101 Switching Protocols", answer
    assert answer.fields.get("Sec-WebSocket-Accept") == ACCEPT, answer
    assert answer.fields.get("Sec-WebSocket-Protocol") == "tunneld.v1"
    assert answer.fields.get("Upgrade") == "websocket"
    assert answer.fields.tokens("Connection") == ["upgrade"]
    assert "Sec-WebSocket-Extensions" not in answer.fields
    message = stage.expect(MSG.AGENT_IN)
    assert message.fields == [made["id"], b""]
    connection = message.take_socket()
    client.send(b"from the agent")
    assert connection.recv(100) == b"from the agent"
    connection.send(b"from the relay")
    assert client.take(14) == b"from the relay"
    linger = connection.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    assert struct.unpack("ii", linger) == (1, 0), "what is cut at the end has to look cut"
    connection.close()
    assert client.ended() == "reset"


def test_the_worker_keeps_nothing_of_it(stage):
    made = pull(stage)
    stage.works()
    before = stage.worker.process.descriptors()
    held = [given(stage, ask(stage, made["id"], made["agent"]["token"]), made["id"])[0]
            for _ in range(20)]
    stage.works()
    proc.wait_until(lambda: stage.worker.process.descriptors() <= before, SETTLE,
                    lambda: f"{before} before, now {stage.worker.process.descriptors()}")
    for connection in held:
        connection.close()


def test_what_comes_behind_the_request_goes_along(stage):
    """However it is cut: what the gate has read, what the worker reads, what comes later."""
    made = pull(stage)
    behind = bytes(range(256)) * 64
    for early in (0, 1, 5000, len(behind)):
        client = stage.client()
        fields = HANDSHAKE | {"Host": "h", "Authorization": f"Bearer {made['agent']['token']}"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"GET /_api/tunnels/{made['id']}/agent HTTP/1.1\r\n{lines}\r\n".encode()
        client.send(behind[early:])
        stage.hand_over(client, head + behind[:early])
        connection, got = given(stage, client, made["id"])
        connection.setblocking(True)
        while len(got) < len(behind):
            got += connection.recv(65536)
        assert got == behind
        connection.close()


def test_whoever_owns_the_tunnel_may_serve_it(stage):
    token = scoped(stage)
    mine, owners = pull(stage, token=token)["id"], pull(stage)["id"]
    given(stage, ask(stage, mine, token), mine)[0].close()
    given(stage, ask(stage, mine, TOKEN), mine)[0].close()
    given(stage, ask(stage, owners, TOKEN), owners)[0].close()
    problem(ask(stage, owners, token).answer(), 404, "tunnel_unknown")
    problem(ask(stage, UNKNOWN, TOKEN).answer(), 404, "tunnel_unknown")
    problem(ask(stage, "nonsense", TOKEN).answer(), 404, "tunnel_unknown")


def test_wrong_tokens_learn_nothing(stage):
    one, two, push = pull(stage), pull(stage), stage.create()
    for tunnel in (one["id"], push["id"], UNKNOWN, "nonsense"):
        for token in (None, "wrong", two["agent"]["token"], one["secret"], one["agent"]["token"] + "x"):
            if (tunnel, token) == (two["id"], two["agent"]["token"]):
                continue
            said = problem(ask(stage, tunnel, token).answer(), 401, "token_invalid")
            assert said["detail"] == "Send a valid API token as `Authorization: Bearer TOKEN`."


def test_an_agent_token_opens_nothing_else(stage):
    made = pull(stage)
    token = made["agent"]["token"]
    for method, path in (("GET", "/_api/tunnels"), ("POST", "/_api/tunnels"),
                         ("DELETE", f"/_api/tunnels/{made['id']}"), ("GET", f"/_api/tunnels/{made['id']}"),
                         ("GET", "/_api/events")):
        problem(stage.call(method, path, token=token), 401, "token_invalid")


def test_two_tokens_are_none(stage):
    made = pull(stage)
    fields = [*HANDSHAKE.items(), ("Authorization", f"Bearer {made['agent']['token']}")]
    client = stage.ask("GET", f"/_api/tunnels/{made['id']}/agent", token=TOKEN, fields=fields)
    assert client.answer().status == 400


def test_wrong_tokens_are_counted(folder):
    with Stage(folder, failure_rate=3) as stage:
        made = pull(stage)
        for _ in range(3):
            problem(ask(stage, made["id"], "wrong").answer(), 401, "token_invalid")
        answer = ask(stage, made["id"], "wrong").answer()
        problem(answer, 429, "rate_limited")
        assert int(answer.fields.get("Retry-After")) >= 1
        given(stage, ask(stage, made["id"], made["agent"]["token"]), made["id"])[0].close()


# ---- what stands against it

@pytest.mark.parametrize("changes, status, code, says", [
    ({"Upgrade": None, "Connection": None}, 426, "upgrade_required", "for agents"),
    ({"Upgrade": "tcp"}, 426, "upgrade_required", "for agents"),
    ({"Sec-WebSocket-Version": "8"}, 426, "upgrade_required", "version 13"),
    ({"Sec-WebSocket-Version": None}, 426, "upgrade_required", "version 13"),
    ({"Sec-WebSocket-Key": "c2hvcnQ="}, 400, "bad_request", "16 bytes"),
    ({"Sec-WebSocket-Key": None}, 400, "bad_request", "16 bytes"),
    ({"Sec-WebSocket-Protocol": "tunneld.v9"}, 400, "bad_request", "tunneld.v1"),
    ({"Sec-WebSocket-Protocol": None}, 400, "bad_request", "tunneld.v1"),
], ids=str)
def test_a_wrong_handshake(stage, changes, status, code, says):
    made = pull(stage)
    answer = ask(stage, made["id"], made["agent"]["token"], **changes).answer()
    said = problem(answer, status, code)
    assert says in said["detail"], said
    if status == 426:
        assert answer.fields.get("Upgrade") == "websocket"
        assert "upgrade" in answer.fields.tokens("Connection")
        assert answer.fields.get("Sec-WebSocket-Version") == "13"
    assert stage.worker.silent(0.05)


def test_other_methods(stage):
    made = pull(stage)
    path = f"/_api/tunnels/{made['id']}/agent"
    problem(stage.call("POST", path, {}), 405, "method_not_allowed")
    assert stage.call("HEAD", path).status == 426


def test_no_agent_serves_a_push_tunnel(stage):
    made = stage.create()
    said = problem(ask(stage, made["id"], TOKEN).answer(), 409, "conflict")
    assert "backend of its own" in said["detail"], said


def test_a_tunnel_that_is_over(stage):
    made = pull(stage)
    stage.delete(made["id"])
    for token in (TOKEN, made["agent"]["token"]):
        said = problem(ask(stage, made["id"], token).answer(), 410, "tunnel_over")
        assert "revoked" in said["detail"], said


def test_a_tunnel_that_is_starting(stage):
    stage.ask("POST", "/_api/tunnels", {})
    spawn = stage.spawn()
    answer = ask(stage, spawn.id, TOKEN).answer()
    problem(answer, 503, "draining")
    assert answer.fields.get("Retry-After") == "1"
    stage.active(spawn)
    given(stage, ask(stage, spawn.id, TOKEN), spawn.id)[0].close()


def test_agents_of_a_tunnel_come_so_often(folder):
    with Stage(folder, agent_rate=3) as stage:
        one, two = pull(stage)["id"], pull(stage)["id"]
        for _ in range(3):
            given(stage, ask(stage, one, TOKEN), one)[0].close()
        answer = ask(stage, one, TOKEN).answer()
        said = problem(answer, 429, "rate_limited")
        assert "agent_rate" in said["detail"] and 1 <= int(answer.fields.get("Retry-After")) <= 20
        given(stage, ask(stage, two, TOKEN), two)[0].close()


def test_before_it_is_known_what_lives(folder):
    with Stage(folder, ready=False) as stage:
        stage.set_up()
        client = ask(stage, UNKNOWN, TOKEN)
        stage.worker.send(MSG.LIVE_DONE)
        problem(client.answer(), 404, "tunnel_unknown")


def test_a_client_that_is_gone_before_its_101(stage):
    """It is given away all the same, or not; the worker goes on."""
    made = pull(stage)
    for _ in range(20):
        client = ask(stage, made["id"], made["agent"]["token"])
        client.reset()
    assert stage.works()
    given(stage, ask(stage, made["id"], TOKEN), made["id"])[0].close()
