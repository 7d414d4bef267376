# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: whoever owns a name cannot lead a tunnel where none may go: not with addresses among good
# ones, not by changing them afterwards. In a network of the test's own, where the addresses that are
# refused exist and listen, so that a connection to one of them would be seen.

import json

import pytest

from support import proc
from support.api import Api
from support.backend import HttpBackend, TcpBackend
from support.daemon import Daemon
from support.world import SILENCE, Witness, World

if not proc.ROOT:
    pytest.skip("only root may make a network of its own", allow_module_level=True)

METADATA = ["169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254",
            "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:100::100:200", "fd00:42::42", "fd00:a9fe:a9fe::1"]
OTHERS = ["169.254.1.1", "10.77.0.1", "192.0.2.77", "2001:db8:77::1", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
          "2001:db8::5efe:a9fe:a9fe", "::ffff:0:a9fe:a9fe", "64:ff9b:1::a9fe:a9fe"]


@pytest.fixture(scope="module")
def world():
    try:
        made = World()
    except OSError as error:
        pytest.skip(f"no network namespace is to be had here: {error}")
    try:
        for address in METADATA + OTHERS:
            made.add(address)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def witness(world):
    """Would be called if something dialled port 80 of any address."""
    listening = Witness(80)
    yield listening
    listening.close()


@pytest.fixture(scope="module")
def daemon(world):
    """Listens on every address, as few should."""
    running = Daemon(backend_deny="127.0.0.66,10.88.0.0/16")
    running.options["listen"] = f"0.0.0.0:{running.port},[::]:{running.port + 1}"
    running.options["public_url"] = f"http://127.0.0.1:{running.port}"
    running.prepare = world.enter
    with running:
        yield running


@pytest.fixture(autouse=True)
def usual_hosts(world):
    yield
    world.hosts()


@pytest.fixture
def names(world):
    world.names.zone.clear()
    world.names.asked.clear()
    return world.names


def create(daemon, backend, **members):
    return daemon.api.call("POST", "/_api/tunnels", {"backend": backend, "auth": "none", **members})


def verdict(answer):
    return "created" if answer.status == 201 else answer.json()["code"]


# ---- addresses as such

@pytest.mark.parametrize("address", METADATA + [
    "169.254.1.1", "0.0.0.0", "0.0.0.1", "::", "::2", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "::169.254.169.254",
    "2002:a9fe:a9fe::1", "2001:db8::5efe:a9fe:a9fe", "::ffff:0:a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "224.0.0.1",
    "255.255.255.255", "ff02::1", "fe80::1"])
def test_an_address_that_exists_and_listens_is_refused_all_the_same(daemon, witness, address):
    host = f"[{address}]" if ":" in address else address
    answer = create(daemon, f"http://{host}:80")
    assert verdict(answer) == "backend_forbidden", answer
    assert "refused" in answer.json()["detail"], answer
    assert witness.called == []


@pytest.mark.parametrize("address", ["10.77.0.1", "192.0.2.77", "127.0.0.1", "127.9.9.9", "2001:db8:77::1", "::1"])
def test_the_witness_sees_what_is_dialled(daemon, witness, address):
    """The owner may reach every address that is not refused; and the tests here can tell."""
    host = f"[{address}]" if ":" in address else address
    answer = create(daemon, f"tcp://{host}:80")
    assert verdict(answer) == "created", answer
    with daemon.connect() as visitor:
        visitor.exchange("GET", f"/t/{answer.json()['id']}/", {"Connection": "Upgrade", "Upgrade": "tcp"})
        proc.wait_until(lambda: witness.called == [address], 5, lambda: witness.called)
    witness.called.clear()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "10.77.0.1", "192.0.2.77", "::1", "2001:db8:77::1", "::ffff:10.77.0.1"])
@pytest.mark.parametrize("listener", [0, 1])
def test_no_address_of_this_machine_leads_back_into_a_wildcard_listener(daemon, address, listener):
    host = f"[{address}]" if ":" in address else address
    answer = create(daemon, f"http://{host}:{daemon.port + listener}")
    assert verdict(answer) == "backend_forbidden", answer
    assert "itself" in answer.json()["detail"], answer


# ---- names

JUDGED = {  # addresses of a name, or its alias -> verdict
    "a metadata service": (["169.254.169.254"], "backend_forbidden"),
    "a metadata service of IPv6": (["fd00:ec2::254"], "backend_forbidden"),
    "an alias of one": ("metadata.test", "backend_forbidden"),
    "one as a mapped address": (["::ffff:169.254.169.254"], "backend_forbidden"),
    "one behind NAT64": (["64:ff9b::a9fe:a9fe"], "backend_forbidden"),
    "one behind 6to4": (["2002:a9fe:a9fe::1"], "backend_forbidden"),
    "this machine, whichever address": (["0.0.0.0"], "backend_forbidden"),
    "the same in IPv6": (["::"], "backend_forbidden"),
    "a denied address": (["127.0.0.66"], "backend_forbidden"),
    "denied and metadata": (["127.0.0.66", "169.254.169.254", "fd00:ec2::254"], "backend_forbidden"),
    "no address at all": ([], "invalid"),
    "no such name": (None, "invalid"),
    "a good address": (["127.0.0.2"], "created"),
    "a good address among bad ones": (["169.254.169.254", "127.0.0.66", "127.0.0.2", "fd00:ec2::254"], "created"),
    "more bad ones than are looked at": ([f"169.254.7.{n}" for n in range(1, 25)], "backend_forbidden"),
}


@pytest.mark.parametrize("what", JUDGED)
def test_a_name_is_judged_by_its_addresses(daemon, names, witness, what):
    addresses, expected = JUDGED[what]
    names.zone["metadata.test"] = ["169.254.169.254"]
    if addresses is not None:
        names.zone["victim.test"] = addresses
    answer = create(daemon, "http://victim.test:80")
    assert verdict(answer) == expected, answer
    assert witness.called == []


@pytest.mark.parametrize("name", ["LOCALHOST", "localhost.", "LocalHost", "alias.test", "inner.localhost"])
@pytest.mark.parametrize("listener", [0, 1])
def test_names_of_this_machine_lead_not_into_tunneld(daemon, world, names, name, listener):
    names.zone["inner.localhost"] = ["127.0.0.1"]
    world.hosts({"localhost": ["127.0.0.1", "::1"], "alias.test": ["127.0.0.1", "10.77.0.1", "::1"]})
    answer = create(daemon, f"http://{name}:{daemon.port + listener}")
    assert verdict(answer) == "backend_forbidden", answer


def test_refused_ones_among_the_addresses_of_a_name_are_never_dialled(daemon, names):
    with TcpBackend(lambda stream: None, "127.0.0.66") as denied:
        names.zone["mixed.test"] = ["127.0.0.66", "127.0.0.2", "127.0.0.3"]
        answer = create(daemon, f"http://mixed.test:{denied.port}")
        assert verdict(answer) == "created", answer
        for _ in range(3):  # nobody listens on the two that are allowed
            got = daemon.get(f"/t/{answer.json()['id']}/")
            assert (got.status, got.fields.get("Tunnel-Error")) == (502, "backend_refused"), got
        assert denied.accepted == 0


# ---- names that change

class Moving:
    """A tunnel to a name, with a backend at 127.0.0.2."""

    def __init__(self, daemon, names):
        self.daemon, self.names = daemon, names
        self.backend = HttpBackend("127.0.0.2")
        names.zone["moving.test"] = ["127.0.0.2"]
        self.tunnel = daemon.api.create(f"http://moving.test:{self.backend.port}")

    def points_to(self, *addresses):
        self.names.zone["moving.test"] = list(addresses)

    def visit(self):
        return self.tunnel.get("/")


@pytest.fixture
def moving(daemon, names):
    made = Moving(daemon, names)
    yield made
    made.backend.close()
    daemon.api.call("DELETE", f"/_api/tunnels/{made.tunnel.id}")


def test_a_tunnel_is_pinned_to_the_addresses_it_began_with(moving, names):
    asked = len(names.asked)
    assert {kind for _, kind in names.asked} == {1, 28}, names.asked
    with TcpBackend(lambda stream: None, "127.0.0.3") as elsewhere:
        moving.points_to("127.0.0.3", "169.254.169.254")
        for _ in range(5):
            assert moving.visit().status == 200
        assert (len(names.asked), elsewhere.accepted) == (asked, 0), names.asked


def test_an_answer_that_changes_with_each_question_gains_nothing(daemon, names, witness):
    """Good to the first that asks, bad to the second: there is only one who asks, and what it heard is
    what is judged and dialled."""
    answers = [["127.0.0.2"], ["127.0.0.2"]]  # IPv4 and IPv6
    names.zone["rebinding.test"] = lambda: answers.pop() if answers else ["169.254.169.254"]
    with HttpBackend("127.0.0.2") as backend:
        tunnel = daemon.api.create(f"http://rebinding.test:{backend.port}")
        for _ in range(3):
            assert tunnel.get("/").status == 200
    assert names.asked == [("rebinding.test", kind) for _, kind in names.asked] and len(names.asked) == 2
    assert witness.called == []


def detail(answer):
    """What a visitor is told."""
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (502, "backend_refused"), answer
    return json.loads(answer.body)["detail"]


def test_addresses_of_a_name_that_moved_are_judged_anew(moving, daemon, names, witness):
    """When the server is gone the name is looked up again, a second after the last time at the earliest."""
    moving.backend.close()
    moving.points_to("169.254.169.254", "127.0.0.66", "fd00:ec2::254")
    proc.wait_until(lambda: "an address that tunnels may not use" in detail(moving.visit()), 5,
                    "was not looked up again")
    assert len(names.asked) == 4, names.asked
    assert "moving.test now has an address that is refused: it is a cloud metadata" in daemon.log()
    moving.points_to()
    proc.wait_until(lambda: "no longer resolves" in detail(moving.visit()), 5, "was not looked up again")
    assert witness.called == []


def test_a_name_that_moved_to_a_good_address_is_followed(daemon, names, witness):
    with HttpBackend("127.0.0.3") as backend:
        names.zone["moving.test"] = ["127.0.0.2"]
        tunnel = daemon.api.create(f"http://moving.test:{backend.port}")
        assert tunnel.get("/").status == 502
        names.zone["moving.test"] = ["169.254.169.254", "127.0.0.3"]
        proc.wait_until(lambda: tunnel.get("/").status == 200, 5, "does not follow")
        names.zone["moving.test"] = ["127.0.0.2"]
        assert tunnel.get("/").status == 200, "pinned to the new address"
    assert witness.called == []


def test_after_a_restart_a_name_is_judged_anew(names, world, witness):
    names.zone["moving.test"] = ["127.0.0.2"]
    running = Daemon()
    running.prepare = world.enter
    with running, HttpBackend("127.0.0.2") as backend:
        tunnel = running.api.create(f"http://moving.test:{backend.port}")
        assert tunnel.get("/").status == 200
        names.zone["moving.test"] = ["169.254.169.254"]
        running.restart()
        proc.wait_until(lambda: tunnel.get("/").status == 410, 5, tunnel.show)
        assert tunnel.state() == "failed"
    assert witness.called == []


def test_a_hosts_file_is_judged_like_a_name_server(daemon, world, witness):
    world.hosts({"localhost": ["169.254.169.254"], "inside.test": ["127.0.0.2", "fd00:ec2::254"]})
    assert verdict(create(daemon, "http://localhost:80")) == "backend_forbidden"
    with HttpBackend("127.0.0.2") as backend:
        tunnel = daemon.api.create(f"http://inside.test:{backend.port}")
        assert tunnel.get("/").status == 200
        world.hosts({"inside.test": ["169.254.169.254"]})
        assert tunnel.get("/").status == 200
    assert witness.called == []


def test_a_name_server_that_says_nothing_is_given_up(daemon, names):
    names.zone["silent.test"] = SILENCE
    answer = create(daemon, "http://silent.test:80")
    assert verdict(answer) == "invalid", answer
    assert "silent.test" in answer.json()["detail"], answer


# ---- what a lent token may reach: what is in backend_allow, judged the same way

ALLOW = "127.0.0.2,10.77.0.0/16:80,[2001:db8:77::]/64:80,0.0.0.0/1:8099,[::]/0:8099"


@pytest.fixture(scope="module")
def strict(world):
    running = Daemon(backend_allow=ALLOW, backend_deny="10.77.66.0/24")
    running.prepare = world.enter
    with running:
        yield running


def lend(daemon):
    made = daemon.api.expect(201, "POST", "/_api/tokens", {}).json()
    daemon.api.secrets.append(made["token"])
    holder = Api(daemon.port, made["token"])
    holder.secrets = daemon.api.secrets
    return holder


@pytest.fixture
def holder(strict):
    lent = lend(strict)
    yield lent
    lent.close()


LENT = [
    ("http://127.0.0.2:1234", "created", "an allowed address"),
    ("http://127.0.0.3:1234", "backend_forbidden", "its neighbour"),
    ("http://localhost:1234", "backend_forbidden", "this machine by name"),
    ("http://10.77.0.1:80", "created", "an allowed network and port"),
    ("http://10.77.0.1:81", "backend_forbidden", "another port"),
    ("http://10.77.66.1:80", "backend_forbidden", "a denied part of it"),
    ("http://10.78.0.1:80", "backend_forbidden", "the network beside it"),
    ("http://[::ffff:10.77.0.1]:80", "created", "another spelling of an allowed address"),
    ("http://[::ffff:10.78.0.1]:80", "backend_forbidden", "another spelling of one that is not"),
    ("http://[64:ff9b::10.77.0.1]:80", "created", "an allowed address behind NAT64"),
    ("http://[64:ff9b::10.78.0.1]:80", "backend_forbidden", "one that is not"),
    ("http://[2002:a4d:1::1]:80", "backend_forbidden", "a host behind an allowed 6to4 router"),
    ("http://[2001:db8::5efe:10.77.0.1]:80", "backend_forbidden", "a host behind an allowed ISATAP router"),
    ("http://[2001:db8:77::1]:80", "created", "an allowed network of IPv6"),
    ("http://[2001:db8:78::1]:80", "backend_forbidden", "the one beside it"),
    ("http://[::ffff:130.0.0.1]:8099", "backend_forbidden", "all of IPv6 is not the rest of IPv4"),
    ("http://[2001:db8:99::1]:8099", "created", "all of IPv6"),
    ("http://169.254.169.254:8099", "backend_forbidden", "metadata, whatever is allowed"),
    ("http://[fd00:ec2::254]:8099", "backend_forbidden", "metadata of IPv6, whatever is allowed"),
    ("http://0.0.0.0:8099", "backend_forbidden", "any address of this machine, whatever is allowed"),
]


@pytest.mark.parametrize("backend, expected, what", LENT, ids=[row[2] for row in LENT])
def test_a_lent_token_reaches_what_is_allowed(holder, witness, backend, expected, what):
    answer = holder.call("POST", "/_api/tunnels", {"backend": backend, "auth": "none"})
    assert verdict(answer) == expected, answer
    assert witness.called == []


def test_a_lent_token_goes_by_a_name_to_its_allowed_addresses_only(strict, holder, names, witness):
    with TcpBackend(lambda stream: None, "127.0.0.3") as beside:
        names.zone["mixed.test"] = ["127.0.0.3", "127.0.0.2", "169.254.169.254"]
        tunnel = holder.create(f"http://mixed.test:{beside.port}")
        for _ in range(3):  # nobody listens on the one that is allowed
            assert tunnel.get("/").status == 502
        assert beside.accepted == 0
    assert witness.called == []


def test_a_name_that_moves_does_not_take_a_lent_token_along(strict, holder, names):
    with HttpBackend("127.0.0.2") as backend:
        names.zone["moving.test"] = ["127.0.0.2"]
        tunnel = holder.create(f"http://moving.test:{backend.port}")
        assert tunnel.get("/").status == 200
        port = backend.port
    with TcpBackend(lambda stream: None, "127.0.0.3", port) as beside:
        names.zone["moving.test"] = ["127.0.0.3"]
        proc.wait_until(lambda: "an address that tunnels may not use" in detail(tunnel.get("/")), 5,
                        "was not looked up again")
        assert beside.accepted == 0
    assert "not in backend_allow" in strict.log()


def test_what_is_no_longer_allowed_is_over_at_the_next_start(world, names):
    running = Daemon(backend_allow="127.0.0.2,127.0.0.3")
    running.prepare = world.enter
    with running, HttpBackend("127.0.0.2") as kept, HttpBackend("127.0.0.3") as dropped:
        holder = lend(running)
        stays, goes = holder.create(kept), holder.create(dropped)
        owners = running.api.create(dropped)
        running.options["backend_allow"] = "127.0.0.2"
        running.restart()
        statuses = lambda: [tunnel.get("/").status for tunnel in (stays, goes, owners)]
        proc.wait_until(lambda: statuses() == [200, 410, 200], 5, statuses)
        assert goes.state() == "failed"
        holder.close()
