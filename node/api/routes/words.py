"""In which words a route is described."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

Shape: TypeAlias = Any
"""A type, as `msgspec.json.schema_components` takes it."""

JSON = "application/json"
TEXT = "text/plain"
LINES = "application/x-ndjson"
EVENTS = "text/event-stream"


class Content(NamedTuple):
    """What a body may be: one of some shapes; or a text, which is a sequence of them."""

    shapes: tuple[Shape, ...] = ()
    media: str = JSON
    what: str = ""
    """Of a text."""


class Header(NamedTuple):
    """Of an answer."""

    what: str
    shape: Shape
    is_always: bool = False


class Answer(NamedTuple):
    status: int
    what: str
    contents: tuple[Content, ...] = ()
    headers: Mapping[str, Header] = {}

    @classmethod
    def of(cls, status: int, what: str, *shapes: Shape, **headers: Header) -> Answer:
        """One in JSON. `headers`: with `_` for `-`."""
        return cls(status, what, (Content(shapes),), {name.replace("_", "-"): each for name, each in headers.items()})


class Parameter(NamedTuple):
    name: str
    place: Literal["path", "query", "header"]
    what: str
    shape: Shape
    is_needed: bool = False
    """One of the path always is."""


class Body(NamedTuple):
    """Of a request."""

    content: Content
    needed: tuple[str, ...] = ()
    """The fields that may not be missing; none: nor need there be a body."""
    is_exact: bool = False
    """Whether all other fields than those of the shape are refused."""


class Operation(NamedTuple):
    method: Literal["get", "put", "post", "delete"]
    id: str
    summary: str
    answers: tuple[Answer, ...]
    """Besides those that every operation may give."""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    more: str = ""
    """What is said besides."""


class Route(NamedTuple):
    path: str
    """As it is declared, with the names of its parameters in braces."""
    operations: tuple[Operation, ...]
