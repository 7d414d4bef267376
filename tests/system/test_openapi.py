# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: 2026 the tunneld authors
#
# Goal: a program can be made from /_api/openapi.json alone, since it is valid OpenAPI 3.1 and true.
# That it is true is checked by every test that asks the API anything (tests/support/openapi.py);
# that it has every route and every code, by tests/unit/test_openapi.c.

import json
import re

import jsonschema
import pytest

from support import openapi

TEXT = {"type": "string", "minLength": 1}


def members(required, /, **optional):
    """An object with these members and no others but x-..., as the specification has them."""
    return {
        "type": "object", "required": list(required), "properties": {**required, **optional},
        "patternProperties": {"^x-": True}, "additionalProperties": False}


def map_of(pattern, kind, least=0):
    return {"type": "object", "patternProperties": {pattern: kind}, "additionalProperties": False,
            "minProperties": least}


def ref(name):
    return {"$ref": f"#/$defs/{name}"}


def or_reference(name):
    return {"if": {"required": ["$ref"]}, "then": ref("reference"), "else": ref(name)}


SCHEMA = {"anyOf": [{"type": "object"}, {"type": "boolean"}]}  # checked by jsonschema itself
NAMES = "^[a-zA-Z0-9._-]+$"

# OpenAPI 3.1.0 section 4.8, as far as the document goes.
RULES = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **members(
        {"openapi": {"const": "3.1.0"}, "info": ref("info"), "paths": map_of("^/", ref("item"), 1)},
        servers={"type": "array", "items": members({"url": TEXT}, description=TEXT)},
        components=members(
            {}, securitySchemes=map_of(NAMES, ref("securityScheme")),
            parameters=map_of(NAMES, ref("parameter")), headers=map_of(NAMES, ref("header")),
            schemas=map_of(NAMES, SCHEMA), responses=map_of(NAMES, ref("response"))),
        security=ref("security"), tags={"type": "array", "items": members({"name": TEXT}, description=TEXT)}),
    "$defs": {
        "info": members(
            {"title": TEXT, "version": TEXT}, summary=TEXT, description=TEXT,
            license=members({"name": TEXT}, identifier=TEXT)),
        "reference": members({"$ref": {"type": "string", "pattern": "^#/components/"}}, summary=TEXT,
                             description=TEXT),
        "item": members(
            {}, parameters={"type": "array", "items": or_reference("parameter")},
            **{method: ref("operation") for method in (
                "get", "put", "post", "delete", "options", "head", "patch", "trace")}),
        "operation": members(
            {"operationId": TEXT, "responses": map_of("^[1-5]([0-9]{2}|XX)$|^default$", or_reference("response"), 1),
             "summary": TEXT},
            tags={"type": "array", "items": TEXT}, description=TEXT, security=ref("security"),
            parameters={"type": "array", "items": or_reference("parameter"), "uniqueItems": True},
            requestBody=members({"content": ref("content")}, description=TEXT, required={"type": "boolean"})),
        "parameter": members(
            {"name": TEXT, "in": {"enum": ["query", "header", "path", "cookie"]}, "schema": SCHEMA},
            description=TEXT, required={"type": "boolean"}) | {
                "if": {"properties": {"in": {"const": "path"}}},
                "then": {"required": ["required"], "properties": {"required": {"const": True}}}},
        "header": members({"schema": SCHEMA}, description=TEXT, required={"type": "boolean"}),
        "response": members({"description": TEXT}, headers=map_of(".", or_reference("header")),
                            content=ref("content")),
        "content": map_of("^[a-z]+/[a-z+.-]+$", members({}, schema=SCHEMA, example=True), 1),
        "security": {"type": "array", "items": map_of(NAMES, {"type": "array", "items": TEXT})},
        "securityScheme": members({"type": {"const": "http"}, "scheme": TEXT}, description=TEXT),
    },
}


@pytest.fixture(scope="module")
def document():
    return openapi.document()


def everything(value, path=""):
    """Yields (path, value) of all that is in it."""
    yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inside:
        yield from everything(item, f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}")


def references(document):
    return {value["$ref"] for _, value in everything(document) if isinstance(value, dict) and "$ref" in value}


def operations(document):
    return [(path, method, operation) for path, item in document["paths"].items()
            for method, operation in item.items() if method != "parameters"]


def test_anybody_may_read_it(api):
    answer = api.expect(200, "GET", "/_api/openapi.json", token="")
    assert (answer.type, answer.fields["Cache-Control"]) == ("application/json", "no-cache"), answer.fields
    assert answer.body == openapi.PATH.read_bytes()
    bare = api.expect(200, "HEAD", "/_api/openapi.json", token="")
    assert bare.body == b"" and int(bare.fields["Content-Length"]) == len(answer.body), bare.fields
    assert api.call("POST", "/_api/openapi.json", {}).status == 405


def test_it_is_of_the_version_that_serves_it(api, document):
    assert document["info"]["version"] == api.call("GET", "/_api/version").json()["version"]


def test_it_keeps_the_rules_of_openapi(document):
    jsonschema.Draft202012Validator.check_schema(RULES)
    errors = list(jsonschema.Draft202012Validator(RULES).iter_errors(document))
    assert not errors, [(list(error.absolute_path), error.message[:300]) for error in errors[:5]]


def test_its_schemas_are_schemas(document):
    found = [value for path, value in everything(document)
             if re.search(r"/schema$|^/components/schemas/[^/]+$", path)]
    assert len(found) > 20
    for schema in found:
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document):
    used = references(document)
    for reference in used:
        openapi.pointed(reference)
    general = {f"#/components/responses/{name}" for name in openapi.GENERAL}
    for kind in ("parameters", "headers", "schemas", "responses"):
        for name in document["components"].get(kind, {}):
            reference = f"#/components/{kind}/{name}"
            assert reference in used | general, f"{reference} is never used"


def test_operations_have_names_tags_and_path_parameters_of_their_own(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names), names
    tags = {tag["name"] for tag in document["tags"]}
    for path, method, operation in operations(document):
        assert set(operation["tags"]) <= tags, (path, method)
        parameters = document["paths"][path].get("parameters", []) + operation.get("parameters", [])
        declared = {p["name"] for p in map(openapi.resolve, parameters) if p["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path)), (path, method)


def test_required_members_are_described(document):
    for path, value in everything(document):
        if isinstance(value, dict) and value.get("type") == "object" and isinstance(value.get("required"), list):
            missing = set(value["required"]) - set(value.get("properties", {}))
            assert not missing or path.endswith("/schema"), (path, missing)


# That the check of all the other tests sees what it has to see.

GOOD = {"status": "ok"}


def judge(status=200, body=GOOD, fields=(), method="GET", target="/healthz", asked=b""):
    fields = {"Content-Type": "application/json", "Cache-Control": "no-store", **dict(fields)}
    openapi.check(method, target, {}, asked, status, fields, json.dumps(body).encode())


def problem(code, status, **more):
    return {"type": f"urn:tunneld:error:{code}", "title": "t", "status": status, "code": code,
            "request_id": "0" * 24, "detail": "d", "error": "d", **more}


def error_fields(code):
    return {"Content-Type": "application/problem+json", "Tunnel-Error": code}


def test_a_described_answer_passes():
    judge()
    judge(400, problem("bad_request", 400), error_fields("bad_request"))
    judge(404, problem("not_found", 404), error_fields("not_found"), target="/_api/nothing")
    judge(target="/anything/else", body=[1])


UNDESCRIBED = {
    "another status": dict(status=202),
    "another member": dict(body=GOOD | {"more": 1}),
    "a missing member": dict(body={}),
    "a member of another type": dict(body={"status": 1}),
    "another value": dict(body={"status": "fine"}),
    "another type of body": dict(fields={"Content-Type": "text/plain"}),
    "an answer to be stored": dict(fields={"Cache-Control": "max-age=60"}),
    "a code of another status": dict(status=400, body=problem("internal", 400), fields=error_fields("internal")),
    "a code this call does not have": dict(
        status=409, body=problem("conflict", 409), fields=error_fields("conflict")),
    "an error without its field": dict(
        status=400, body=problem("bad_request", 400), fields={"Content-Type": "application/problem+json"}),
    "an address that is not described": dict(target="/_api/more"),
    "a method that is not described": dict(method="POST"),
    "a secret in a list": dict(target="/_api/tunnels", body=[{"secret": "x" * 52}]),
    "a parameter that is not described": dict(target="/_api/tunnels?order=up", body=[]),
    "a value that is not described": dict(target="/_api/tunnels?state=asleep", body=[]),
}


@pytest.mark.parametrize("what", UNDESCRIBED)
def test_an_answer_that_is_not_described_is_noticed(what):
    with pytest.raises(openapi.Undescribed):
        judge(**UNDESCRIBED[what])


def test_a_body_that_is_accepted_without_being_described_is_noticed(api, backend):
    asked = {"backend": backend.url(), "auth": "none"}
    answer = api.expect(201, "POST", "/_api/tunnels", asked)
    more = json.dumps(asked | {"colour": "red"}).encode()
    with pytest.raises(openapi.Undescribed, match="colour"):
        openapi.check("POST", "/_api/tunnels", {}, more, 201, answer.fields, answer.body)
