# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# The HTTP API as a program uses it (http.client, not our own reader), and a tunnel as its answer
# describes it.

import base64
import http.client
import json
import urllib.parse

from . import agents, openapi, wire


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.fields = response.headers
        self.body = response.read()
        self.type = response.headers.get_content_type()

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:800]!r}>"


class Refused(AssertionError):
    """An API call that had to succeed did not."""


class Api:
    """Calls, each on a connection of its own: the API ends it with its answer."""

    def __init__(self, port, token, *, host="127.0.0.1", timeout=15):
        self.token = token
        self.address = (host, port)
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)
        self.secrets = []
        self._served = []  # tunnels with an agent of ours

    def close(self):
        for tunnel in self._served:
            agents.stop(tunnel)
        self._served.clear()
        self._connection.close()

    def call(self, method, path, body=None, *, fields=(), token=None):
        """BODY: bytes as they are, anything else as JSON. TOKEN: "" for none."""
        headers = dict(fields)
        token = self.token if token is None else token
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            self._connection.request(method, path, body, headers)
            answer = Answer(self._connection.getresponse())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        openapi.check(method, path, headers, body, answer.status, answer.fields, answer.body)
        return answer

    def expect(self, status, method, path, body=None, **how):
        answer = self.call(method, path, body, **how)
        if answer.status != status:
            raise Refused(f"{method} {path} {body}: wanted {status}, got {answer!r}")
        return answer

    def create(self, backend, *, auth="none", timeout=600, **members):
        """Creates a tunnel to a backend (its URL, or an object with a url()), or by way of an agent."""
        url = backend if isinstance(backend, str) else backend.url()
        if agents.mode != "push":
            tunnel = self.pull(auth=auth, timeout=timeout, **members)
            agents.serve(tunnel, url)
            self._served.append(tunnel)
            return tunnel
        return self._create(backend=url, auth=auth, timeout=timeout, **members)

    def pull(self, *, auth="none", timeout=600, **members):
        """Creates a tunnel that no agent serves yet."""
        return self._create(auth=auth, timeout=timeout, **members)

    def _create(self, **asked):
        return Tunnel(self, self.expect(201, "POST", "/_api/tunnels", asked).json())

    def list(self, query=""):
        return self.expect(200, "GET", "/_api/tunnels" + query).json()

    def ids(self, query=""):
        return {entry["id"] for entry in self.list(query)}


class Tunnel:
    def __init__(self, api, document):
        self.api, self.document = api, document
        self.id, self.url, self.secret = document["id"], document["url"], document.get("secret")
        if self.secret:
            api.secrets.append(self.secret)
        if "agent" in document:
            api.secrets.append(document["agent"]["token"])
        parts = urllib.parse.urlsplit(self.url)
        self.address = (parts.hostname, parts.port)
        self.prefix = parts.path.rstrip("/")

    def target(self, path="/"):
        return self.prefix + path

    def connect(self, **how):
        return wire.Client(self.address, **how)

    def ask(self, method, path="/", fields=(), body=None, **how):
        """One exchange on a connection of its own."""
        with self.connect() as visitor:
            return visitor.exchange(method, self.target(path), fields, body, **how)

    def get(self, path="/", fields=()):
        return self.ask("GET", path, fields)

    def reach(self, path="/", fields=()):
        """What the backend saw of a GET, as the echo describes it."""
        answer = self.get(path, fields)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def show(self):
        return self.api.expect(200, "GET", f"/_api/tunnels/{self.id}").json()

    def state(self):
        return self.show()["state"]

    def revoke(self):
        return self.api.expect(200, "DELETE", f"/_api/tunnels/{self.id}")

    def bearer(self):
        return [("Authorization", f"Bearer {self.secret}")]

    def basic(self, user="anyone", password=None):
        pair = f"{user}:{self.secret if password is None else password}"
        return [("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())]
