"""The description is valid, says of each route what the table says, and is made once, when it is asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any
from unittest.mock import patch

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from node.api import openapi
from node.api.doors import ROLES
from node.api.openapi import OpenApi, described
from node.api.routes.table import ROUTES
from node.api.routes.words import Answer, Body, Content, Operation, Route
from node.api.shapes.faults import Fault
from node.api.shapes.keys import Added
from node.tokens import Role
from tests.node.api.two_nodes import TwoNodes

KEY = "/kvs/keys/{key}"


def document(has_tokens: bool = False) -> Any:
    return json.loads(json.dumps(described(ROUTES, has_tokens)))


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        yield from ((path, method, operation) for method, operation in item.items())


@pytest.mark.parametrize("has_tokens", [False, True])
def test_openapi_is_valid(has_tokens: bool) -> None:
    assert list(OpenAPIV31SpecValidator(document(has_tokens)).iter_errors()) == []


def test_openapi_validator_finds_what_is_wrong() -> None:
    spoiled = document()
    del spoiled["paths"][KEY]["get"]["parameters"][0]
    assert list(OpenAPIV31SpecValidator(spoiled).iter_errors())


@pytest.mark.asyncio(loop_scope="module")
async def test_openapi_is_answered_by_each_node(two: TwoNodes) -> None:
    for node in two.nodes:
        reply = await two.http.ask(node, "GET", "/openapi.json")
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        assert reply.json == document()


async def test_openapi_is_made_once_and_not_before_it_is_asked_for() -> None:
    openapi._rendered.cache_clear()
    with patch.object(openapi, "described", wraps=described) as making:
        handlers = [OpenApi(has_tokens=False), OpenApi(has_tokens=False)]
        assert making.call_count == 0
        request: Any = None
        answers = [await handler.describe(request) for handler in handlers * 2]
        assert making.call_count == 1
    assert len({answer.body for answer in answers}) == 1


def test_openapi_has_head_where_there_is_get_and_options_everywhere() -> None:
    for path, item in document()["paths"].items():
        assert "options" in item and ("head" in item) == ("get" in item), path


def test_openapi_head_and_options_have_no_bodies() -> None:
    for path, method, operation in operations(document()):
        contents = [answer["content"] for answer in operation["responses"].values() if "content" in answer]
        if method == "head":
            assert contents == [] and "requestBody" not in operation, path
        elif method == "options":
            assert set(operation["responses"]) == {"204", "400", "414", "417", "431", "500", "503"}


def test_openapi_ids_are_unique() -> None:
    ids = [operation["operationId"] for *_, operation in operations(document())]
    assert len(set(ids)) == len(ids)


def test_openapi_refers_to_what_there_is_and_has_nothing_else() -> None:
    found = document()
    components = found["components"]
    names = set(re.findall('"#/components/schemas/(.*?)"', json.dumps(found)))
    assert names == components["schemas"].keys()
    assert set(re.findall('"#/components/responses/(.*?)"', json.dumps(found))) < components["responses"].keys()


def test_openapi_without_tokens_speaks_of_none() -> None:
    found = document()
    assert found["components"]["securitySchemes"] == {}
    assert not any("security" in operation or "401" in operation["responses"] for *_, operation in operations(found))


def test_openapi_with_tokens_says_of_each_operation_which_role_it_takes() -> None:
    for path, method, operation in operations(document(has_tokens=True)):
        told = chain.from_iterable(each["token"] for each in operation["security"])
        role = ROLES[path].get("GET" if method == "head" else method.upper()) or min(ROLES[path].values())
        assert list(told) == ([] if role is Role.ANYBODY else [role.name.lower()]), (path, method)
        assert ("401" in operation["responses"]) == ("403" in operation["responses"]) == (role is not Role.ANYBODY)


def one(operation: Operation) -> Any:
    return described([Route("/x", (operation,))], False)["paths"]["/x"][operation.method]


def test_openapi_body_says_which_fields_it_needs_and_whether_there_may_be_others() -> None:
    content = Content((Fault,))
    free = one(Operation("put", "id", "", (), (), Body(content)))["requestBody"]
    strict = one(Operation("put", "id", "", (), (), Body(content, ("error",), is_exact=True)))["requestBody"]
    schema = {"$ref": "#/components/schemas/Fault"}
    assert free == {"content": {"application/json": {"schema": schema}}, "required": False}
    told = schema | {"required": ["error"], "unevaluatedProperties": False}
    assert strict == {"content": {"application/json": {"schema": told}}, "required": True}


def test_openapi_own_answer_takes_the_place_of_the_one_that_all_have() -> None:
    responses = one(Operation("get", "id", "", (Answer.of(400, "My own", Added, Fault),)))["responses"]
    assert responses["400"]["description"] == "My own"
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in ("Added", "Fault")]
    assert responses["400"]["content"] == {"application/json": {"schema": {"anyOf": refs}}}
    assert responses["503"] == {"$ref": "#/components/responses/503"}
