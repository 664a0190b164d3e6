"""`/openapi.json`: the table of routes, as OpenAPI 3.1, made when somebody first asks for it.

JSON Schema, which OpenAPI 3.1 takes as it is, comes from the types of the bodies. What is a sequence of lines has the
shape of one of them in `x-item-schema`: OpenAPI has a word for that (`itemSchema`) from 3.2 on.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from aiohttp import web

from node.api.answers import JSON_HEADERS
from node.api.doors import role_of, role_to_be_told
from node.api.routes import words
from node.api.routes.common import COMMON, GUARDED, ID, NOT_ALLOWED, NOT_FOUND, OPTIONS, REQUEST_ID
from node.api.routes.table import ROUTES
from node.api.routes.words import Answer, Body, Content, Header, Operation, Parameter, Route, Shape
from node.api.shapes.streams import Event
from node.release import version
from node.tokens import Role

Object = dict[str, Any]
"""A part of the document."""

UNRELEASED = "0"
"""The version of what runs from its source."""
SCHEME = "token"
ABOUT = (
    "Any node takes any request, and forwards what it does not own. A path that does not exist is 404, and a method "
    "that a path does not take 405, both in the usual form. HEAD is answered as GET is, without the body. A body is "
    "read as JSON whatever its `Content-Type` says."
)


class OpenApi:
    """The handler. `has_tokens`: whether this node does."""

    def __init__(self, has_tokens: bool) -> None:
        self._has_tokens = has_tokens

    async def describe(self, _: web.Request) -> web.Response:
        return web.Response(body=_rendered(self._has_tokens), headers=JSON_HEADERS)


@cache
def _rendered(has_tokens: bool) -> bytes:
    return msgspec.json.encode(described(ROUTES, has_tokens))


def described(routes: Iterable[Route], has_tokens: bool) -> Object:
    """The whole document."""
    writer = _Writer(has_tokens)
    parameters = {ID.name: writer.parameter(ID)}
    responses = {str(answer.status): writer.response(answer) for answer in (*COMMON, *GUARDED, NOT_FOUND, NOT_ALLOWED)}
    paths = {route.path: writer.path_item(route) for route in routes}
    schemes = {SCHEME: {"type": "http", "scheme": "bearer", "description": "By its role: read, write or admin"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "kvs, a key-value store", "description": ABOUT, "version": version() or UNRELEASED},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(writer.schemas.items())),
            "responses": responses,
            "parameters": parameters,
            "securitySchemes": schemes if has_tokens else {},
        },
    }


class _Writer:
    """Writes parts of a document, and keeps the schemas that they refer to."""

    def __init__(self, has_tokens: bool) -> None:
        self._has_tokens = has_tokens
        self.schemas: dict[str, Object] = {}
        """By name."""

    def path_item(self, route: Route) -> Object:
        item: Object = {operation.method: self._operation(route, operation) for operation in route.operations}
        if "get" in item:
            get = next(operation for operation in route.operations if operation.method == "get")
            item["head"] = self._head(route, get)
        return item | {"options": self._options(route)}

    def _operation(self, route: Route, operation: Operation) -> Object:
        role = role_of(route.path, operation.method.upper())
        own = {str(answer.status): self.response(answer) for answer in operation.answers}
        shared = {str(answer.status): _response_ref(answer) for answer in self._shared(role)}
        body = {"requestBody": self._body(operation.body)} if operation.body else {}
        return {
            "operationId": operation.id,
            "summary": operation.summary,
            **({"description": operation.more} if operation.more else {}),
            **self._asked(operation.parameters),
            **body,
            "responses": dict(sorted((shared | own).items())),
            **self._security(role),
        }

    def _head(self, route: Route, get: Operation) -> Object:
        """What GET would answer, without the body."""
        role = role_of(route.path, "HEAD")
        answers = {answer.status: answer for answer in (*self._shared(role), *get.answers)}
        return {
            "operationId": f"{get.id}Head",
            "summary": f"{get.summary}: the head of the answer",
            **self._asked(get.parameters),
            "responses": {
                str(status): self.response(answers[status]._replace(contents=())) for status in sorted(answers)
            },
            **self._security(role),
        }

    def _options(self, route: Route) -> Object:
        parameters = route.operations[0].parameters
        of_path = [each._replace(shape=str) for each in parameters if each.place == "path"]
        role = role_to_be_told(route.path)
        shared = {str(answer.status): _response_ref(answer) for answer in self._shared(role)}
        return {
            "operationId": f"{route.operations[0].id}Options",
            "summary": "The methods that this path takes",
            **self._asked(of_path),
            "responses": {str(OPTIONS.status): self.response(OPTIONS)} | shared,
            **self._security(role),
        }

    def _shared(self, role: Role) -> tuple[Answer, ...]:
        """What an operation may answer that takes this role, besides its own."""
        return (*COMMON, *GUARDED) if self._has_tokens and role is not Role.ANYBODY else COMMON

    def _security(self, role: Role) -> Object:
        if not self._has_tokens:
            return {}
        return {"security": [] if role is Role.ANYBODY else [{SCHEME: [role.name.lower()]}]}

    def _asked(self, parameters: Iterable[Parameter]) -> Object:
        shared = {"$ref": f"#/components/parameters/{ID.name}"}
        return {"parameters": [*map(self.parameter, parameters), shared]}

    def parameter(self, parameter: Parameter) -> Object:
        needed = {"required": True} if parameter.place == "path" or parameter.is_needed else {}
        schema = self._schema(parameter.shape)
        return {
            "name": parameter.name,
            "in": parameter.place,
            "description": parameter.what,
            **needed,
            "schema": schema,
        }

    def _body(self, body: Body) -> Object:
        content = self._content(body.content)
        schema = content["schema"]
        if body.needed:
            schema["required"] = list(body.needed)
        if body.is_exact:
            schema["unevaluatedProperties"] = False
        return {"content": {body.content.media: content}, "required": bool(body.needed)}

    def response(self, answer: Answer) -> Object:
        headers = {name: self._header(header) for name, header in {**answer.headers, **ANY_ANSWER}.items()}
        content = {content.media: self._content(content) for content in answer.contents}
        return {"description": answer.what, "headers": headers, **({"content": content} if content else {})}

    def _header(self, header: Header) -> Object:
        return {"description": header.what, "required": header.is_always, "schema": self._schema(header.shape)}

    def _content(self, content: Content) -> Object:
        schemas = [self._schema(shape) for shape in content.shapes]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        match content.media:
            case words.JSON:
                return {"schema": schema}
            case words.EVENTS:
                return {"schema": self._event(content, schema) if schemas else any_event(content)}
            case _:
                items = {"x-item-schema": schema} if schemas else {}
                return {"schema": {"type": "string", "description": content.what}, **items}

    def _event(self, content: Content, data: Object) -> Object:
        """Each of a stream. Before OpenAPI 3.2, that is what the schema of a stream is of."""
        event = self._schema(Event)
        as_json = {"contentMediaType": words.JSON, "contentSchema": data}
        return event | {"description": content.what, "properties": {"data": as_json}}

    def _schema(self, shape: Shape) -> Object:
        """Of a type; what it refers to is kept."""
        (schema,), referred = msgspec.json.schema_components([shape], ref_template="#/components/schemas/{name}")
        for name, other in referred.items():
            assert self.schemas.setdefault(name, other) == other, f"two types are called {name}"
        return schema


def any_event(content: Content) -> Object:
    """Each of a stream of which no more is promised than that."""
    return {"type": "object", "required": ["event", "data"], "description": content.what}


ANY_ANSWER = {"X-Request-Id": REQUEST_ID}
"""The headers that each answer may have."""


def _response_ref(answer: Answer) -> Object:
    return {"$ref": f"#/components/responses/{answer.status}"}
