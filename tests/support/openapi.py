# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Every answer of the API that a test sees has to be one that api/openapi.json describes: status,
# fields, type, and each member of the body. Readers are told to ignore members they do not know; the
# tests are stricter, so that a new member gets its description.

import functools
import gzip
import json
import pathlib
import re
import urllib.parse

import jsonschema

PATH = pathlib.Path(__file__).parents[2] / "api" / "openapi.json"
SERVICE = ("/", "/healthz", "/readyz")
LIST_MOST = 40  # entries of a long list that are looked at, from either end


class Undescribed(AssertionError):
    """An answer, or a request that was accepted, that openapi.json does not describe."""


@functools.cache
def document():
    return json.loads(PATH.read_text())


def pointed(reference):
    found = document()
    for name in reference.removeprefix("#/").split("/"):
        found = found[name.replace("~1", "/").replace("~0", "~")]
    return found


def resolve(value):
    return pointed(value["$ref"]) if "$ref" in value else value


def _closed(schema):
    """SCHEMA, with members that it does not name forbidden wherever it names some."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema and "openapi" not in schema["properties"]:
        closed.setdefault("additionalProperties", False)
    return closed


@functools.cache
def _root():
    return {"components": _closed(document()["components"])}


def _validator(schema):
    # The components stand beside it, so that its references lead there.
    return jsonschema.Draft202012Validator({**_closed(schema), **_root()})


def _complain(schema_validator, value, what):
    error = jsonschema.exceptions.best_match(schema_validator.iter_errors(value))
    if error:
        where = "/".join(str(part) for part in error.absolute_path)
        raise Undescribed(f"{what}: at /{where}: {error.message[:600]}")


@functools.cache
def _paths():
    def pattern(path):
        return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))

    return [(pattern(path), item) for path, item in document()["paths"].items()]


def _item(path):
    return next((item for pattern, item in _paths() if pattern.fullmatch(path)), None)


class _Response:
    """A described answer, ready to be compared with one that came."""

    def __init__(self, description):
        self.fields = []
        for name, header in description.get("headers", {}).items():
            header = resolve(header)
            self.fields.append((name, header.get("required"), _validator(header["schema"])))
        self.types = {
            kind: _validator(media["schema"])
            for kind, media in description.get("content", {}).items()}

    def check(self, asked, fields, body, what):
        for name, required, validator in self.fields:
            value = fields.get(name)
            if value is not None:
                _complain(validator, value, f"{what}, field {name}")
            elif required:
                raise Undescribed(f"{what}: without {name}")
        if not self.types or body == b"" and ("upgrade" in asked or what.startswith("HEAD ")):
            if body:
                raise Undescribed(f"{what}: has a body {body[:200]!r}")
            return
        if fields.get("Content-Encoding") == "gzip" and body:
            body = gzip.decompress(body)
        kind = (fields.get("Content-Type") or "").partition(";")[0].strip()
        if kind == "text/html" and "application/problem+json" in self.types and " /_t/" in what:
            return  # browsers get a page, as the operation says
        if kind not in self.types:
            raise Undescribed(f"{what}: is of type {kind!r}, not {list(self.types)}")
        if kind.endswith("json") and body is not None:
            _complain(self.types[kind], _shortened(json.loads(body)), what)


def _shortened(value):
    if isinstance(value, list) and len(value) > 2 * LIST_MOST:
        return value[:LIST_MOST] + value[-LIST_MOST:]
    return value


@functools.cache
def _response(where, status):
    """WHERE: an operation's path and method, or the name of an answer that every address has."""
    if isinstance(where, str):
        return _Response(pointed(f"#/components/responses/{where}"))
    path, method = where
    described = document()["paths"][path][method]["responses"]
    return _Response(resolve(described[status])) if status in described else None


@functools.cache
def _accepts(path, method):
    """Validators of what a request may have: its body, and each query parameter."""
    item = document()["paths"][path]
    operation = item[method]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    parameters = {}
    for parameter in map(resolve, item.get("parameters", []) + operation.get("parameters", [])):
        if parameter["in"] == "query":
            parameters[parameter["name"]] = parameter["schema"]
    return body and _validator(body["schema"]), {
        name: (schema.get("type"), _validator(schema)) for name, schema in parameters.items()}


def _check_request(path, method, query, body, what):
    """What was accepted has to be described: else the description is too narrow."""
    validator, parameters = _accepts(path, method)
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if name not in parameters:
            raise Undescribed(f"{what}: accepted the parameter {name}")
        kind, parameter = parameters[name]
        _complain(parameter, int(value) if kind == "integer" else value, f"{what}, {name}")
    if validator and isinstance(body, bytes):
        _complain(validator, json.loads(body), f"{what}, its request")


def covers(target):
    path = target.partition("?")[0]
    return path.startswith(("/_api/", "/_t/")) or path in SERVICE


@functools.cache
def _problem():
    return _validator({"$ref": "#/components/schemas/Problem"})


def check_problem(status, fields, body):
    """What visitors of tunnels are told by us has the same form and codes."""
    if "Tunnel-Error" in fields and body and fields.get("Content-Type") == "application/problem+json":
        said = json.loads(body)
        _complain(_problem(), said, f"{status} {body[:300]!r}")
        if (said["status"], said["code"]) != (status, fields.get("Tunnel-Error")):
            raise Undescribed(f"{status} {fields.get('Tunnel-Error')}: {body[:300]!r}")


def check_listed(tunnel, what):
    """A tunnel as lists and events show it."""
    _complain(_listed(), tunnel, what)


@functools.cache
def _listed():
    listed = pointed("#/paths/~1_api~1tunnels/get/responses/200")
    return _validator(listed["content"]["application/json"]["schema"]["items"])


def check_counters(data):
    """The data of the event `counters`."""
    if set(data) != {"id", "counters"}:
        raise Undescribed(f"event counters: {data}")
    _complain(_validator({"$ref": "#/components/schemas/Counters"}), data["counters"], "event counters")


def check(method, target, asked, request_body, status, fields, body):
    """
    Raises Undescribed unless the answer (STATUS, FIELDS with get(), BODY) to METHOD TARGET is
    described. ASKED: names of the request's fields; REQUEST_BODY: bytes, or None if not known; BODY
    of None: a stream, whose pieces are the caller's to check.
    """
    if not covers(target):
        return
    path, _, query = target.partition("?")
    what = f"{method} {path} -> {status} {(body or b'')[:300]!r}"
    item = _item(path)
    asked = {name.lower() for name in asked}
    operation = {"HEAD": "get"}.get(method, method.lower())
    kept = "no-cache" if "ETag" in fields else "no-store"
    if fields.get("Cache-Control") != kept and method != "OPTIONS":
        raise Undescribed(f"{what}: without Cache-Control: {kept}")
    if item is not None and operation in item:
        known = next(name for name, described in document()["paths"].items() if described is item)
        response = _response((known, operation), str(status))
        if (status, fields.get("Tunnel-Error"), fields.get("Location")) == (307, "misdirected", target):
            if _response((known, operation), "421") and not body:  # it tells of navigations, too
                return
        if response is None:
            raise Undescribed(f"{what}: {operation} {known} has no such answer")
        response.check(asked, fields, body, what)
        if status < 300:
            _check_request(known, operation, query, request_body, what)
        return
    if item is not None and method == "OPTIONS" and status == 204:
        return
    name = _general_code(status, fields, what)
    _response(name, None).check(asked, fields, body, what)


# Answers of addresses and methods that are not described, whose code tells which one it is.
GENERAL = {"not_found", "method_not_allowed", "bad_request", "request_timeout", "too_large", "misdirected",
           "head_too_large", "internal", "draining"}


def _general_code(status, fields, what):
    name = fields.get("Tunnel-Error")
    if name not in GENERAL:
        raise Undescribed(f"{what}: no answer of an unknown address or method")
    return name
