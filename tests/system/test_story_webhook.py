# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Story: a payment service calls a developer's machine. It signs the very bytes of each call, expects
# an answer, and tries again when something went wrong. The receiver must see what was sent, byte by
# byte, once for each attempt; the service must be told apart whether the receiver failed or is gone.

import gzip
import hashlib
import hmac
import json

import pytest

from support.backend import HttpBackend, head

pytestmark = pytest.mark.usefixtures("mode")

KEY = b"shared by the service and the receiver"

BODIES = {
    "json as some write it": b'{\n\t"id" : 7,"amount":1.0e2 ,"name":"Gr\\u00fc\xc3\x9fe" }\r\n\r\n',
    "an empty call": b"",
    "one byte": b"\0",
    "all bytes there are": bytes(range(256)) * 3,
    "a form": b"payload=%7B%22a%22%3A1%7D&x=+%20",
    "something that looks like a request": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "something that looks like chunks": b"5\r\nhello\r\n0\r\n\r\n",
    "compressed": gzip.compress(b'{"id":7}' * 1000, mtime=0),
    "a megabyte": bytes(range(251)) * 4000,
}


def sign(body):
    return "sha256=" + hmac.new(KEY, body, hashlib.sha256).hexdigest()


class Receiver(HttpBackend):
    """The developer's program: checks the signature, and fails as often as it is told to."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.failing = []  # answers to give before a good one
        self.route("/hook", self._hook)

    def _hook(self, received, request, stream):
        self.absorb(received, request, stream)
        self.calls.append(received)
        genuine = hmac.compare_digest(received.fields.get("X-Signature-256", ""), sign(received.body))
        if not genuine:
            answer = 403, [], b"bad signature"
        elif self.failing:
            answer = self.failing.pop(0)
        else:
            answer = 202, [("X-Receipt", received.fields.get("X-Delivery", "none"))], b'{"ok":true}'
        status, fields, body = answer
        stream.send(head(status, [*fields, ("Content-Length", len(body))]), body)
        return True


class Service:
    """The payment service: knows an address, and perhaps a field to send with each call."""

    def __init__(self, tunnel, fields=()):
        self.tunnel, self.fields = tunnel, list(fields)

    def deliver(self, body, number="1", *, chunked=False, fields=()):
        pieces = [body[:3], body[3:]] if chunked else body
        signed = [("X-Signature-256", sign(body)), ("X-Delivery", number)]
        return self.tunnel.ask("POST", "/hook", [*self.fields, *signed, *fields],
                               [piece for piece in pieces if piece] if chunked else body, chunked=chunked)

    def deliver_until_accepted(self, body, number, attempts=5):
        """As services do: again after every answer of 500 and more."""
        answers = []
        for _ in range(attempts):
            answers.append(self.deliver(body, number))
            if answers[-1].status < 500:
                break
        return answers


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture(params=["anybody who knows the address", "a bearer field"])
def service(request, api, receiver):
    """Some services can send a field of one's choice, others cannot."""
    if request.param == "a bearer field":
        tunnel = api.create(receiver, auth="bearer")
        yield Service(tunnel, tunnel.bearer())
    else:
        yield Service(api.create(receiver, auth="none"))


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
@pytest.mark.parametrize("what", BODIES)
def test_the_signature_is_right_over_what_arrives(service, receiver, what, chunked):
    body = BODIES[what]
    answer = service.deliver(body, chunked=chunked)
    assert (answer.status, answer.body) == (202, b'{"ok":true}'), answer
    (call,) = receiver.calls
    assert (call.length, call.sha256) == (len(body), hashlib.sha256(body).hexdigest())


def test_a_call_somebody_changed_is_the_receivers_to_refuse(service, receiver):
    answer = service.tunnel.ask("POST", "/hook", [*service.fields, ("X-Signature-256", sign(b"1 euro"))], b"9 euro")
    assert (answer.status, answer.body) == (403, b"bad signature"), answer
    assert "Tunnel-Error" not in answer.fields


def test_fields_arrive_as_they_were_sent(service, receiver):
    sent = [("X-Event", "charge.succeeded"), ("X-Event", "charge.updated"), ("Content-Type", 'application/json; charset="utf-8"'),
            ("User-Agent", "Pay/1.0 (+https://pay.example)"), ("Idempotency-Key", "k-1"), ("X-Empty", ""),
            ("X-List", "a,  b ,c"), ("Content-Encoding", "gzip"), ("x-lower", "kept"), ("X-Time", "t=1700000000,v1=abc=")]
    assert service.deliver(b"body", fields=sent).status == 202
    (call,) = receiver.calls
    arrived = [(name, value) for name, value in call.fields if (name, value) in sent]
    assert arrived == sent, list(call.fields)
    assert call.method == "POST" and call.target == "/hook"


def test_the_answer_goes_back_as_it_is(service):
    answer = service.deliver(b"x", "delivery-77")
    assert answer.fields.get("X-Receipt") == "delivery-77"


def test_a_receiver_that_fails_is_called_again_by_the_service_and_by_nobody_else(service, receiver):
    receiver.failing = [(500, [], b"oops"), (503, [("Retry-After", "7")], b"busy")]
    answers = service.deliver_until_accepted(b"body", "d-1")
    assert [answer.status for answer in answers] == [500, 503, 202]
    assert answers[0].body == b"oops" and answers[1].fields.get("Retry-After") == "7", answers
    assert all("Tunnel-Error" not in answer.fields for answer in answers), "these are the receiver's own"
    assert len(receiver.calls) == 3
    assert len({call.sha256 for call in receiver.calls}) == 1


def test_a_receiver_that_dies_in_the_middle_is_not_called_twice(service, receiver):
    """Nobody knows how far it came: only the service may decide to try again."""
    def dies(received, request, stream):
        receiver.absorb(received, request, stream)
        receiver.calls.append(received)

    receiver.route("/hook", dies)
    answer = service.deliver(b"body")
    assert (answer.status, answer.fields.get("Tunnel-Error")) == (502, "backend_bad_response"), answer
    assert len(receiver.calls) == 1


def test_while_the_receiver_is_off_the_service_is_told_so(service, receiver):
    receiver.refuse()
    answers = service.deliver_until_accepted(b"body", "d-2", attempts=2)
    assert [answer.status for answer in answers] == [502, 502]
    for answer in answers:
        said = json.loads(answer.body)
        assert said["code"] == answer.fields.get("Tunnel-Error") == "backend_refused", answer
    assert receiver.calls == []


def test_many_calls_on_one_connection_are_many_calls(service, receiver):
    with service.tunnel.connect() as connection:
        for number in range(50):
            body = b'{"n":%d}' % number
            answer = connection.exchange(
                "POST", service.tunnel.target("/hook"),
                [*service.fields, ("X-Signature-256", sign(body)), ("X-Delivery", str(number))], body)
            assert (answer.status, answer.fields.get("X-Receipt")) == (202, str(number)), answer
    assert [call.body for call in receiver.calls] == [b'{"n":%d}' % number for number in range(50)]


def test_a_service_with_an_authorization_of_its_own_keeps_it(api, receiver):
    """The secret then goes into a field of ours, which the receiver does not see."""
    tunnel = api.create(receiver, auth="bearer")
    service = Service(tunnel, [("X-Tunnel-Authorization", f"Bearer {tunnel.secret}"), ("Authorization", "Basic aG9vazpwdw==")])
    assert service.deliver(b"body").status == 202
    (call,) = receiver.calls
    assert call.fields.all("Authorization") == ["Basic aG9vazpwdw=="]
    assert "X-Tunnel-Authorization" not in call.fields and tunnel.secret not in repr(call.fields)


def test_a_caller_without_the_secret_is_turned_away_before_the_receiver(api, receiver):
    tunnel = api.create(receiver, auth="bearer")
    assert Service(tunnel).deliver(b"body").status == 401
    assert receiver.accepted == 0
