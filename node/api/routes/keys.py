"""One key: its value, its versions, conditions on them, and how long it stays."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from node.api.data import KEYS
from node.api.routes.common import (
    COPIES,
    DETAIL,
    IF_MATCH,
    IF_NONE_MATCH,
    READS_BODY,
    UNAVAILABLE,
    VERSION_IF_ANY,
    VERSION_OF,
)
from node.api.routes.words import Answer, Body, Content, Operation, Parameter, Route
from node.api.shapes.faults import KeyFault
from node.api.shapes.keys import (
    Added,
    ContextBody,
    DataBody,
    Deleted,
    Missing,
    Refused,
    Retrieved,
    Unsatisfied,
    Updated,
)
from node.api.shapes.words import Key
from node.api.waiting import WAIT_S_MAX

KEY = Parameter("key", "path", "Any characters, percent-encoded where a URL needs it: `/` is `%2F`", Key)
WAIT = Parameter(
    "wait",
    "query",
    "With `If-None-Match`: answer as soon as the key has another version, 304 after so many seconds",
    Annotated[float, Meta(gt=0, le=WAIT_S_MAX)],
)
MISSING = Answer.of(404, "There is no such key", Missing)
REFUSED = Answer.of(412, "A condition does not hold", Refused, ETag=VERSION_IF_ANY)
TOO_LARGE = Answer.of(413, "The value is larger than 1 MiB", KeyFault)
CONTEXT = Body(Content((ContextBody,)))
ANSWERS = (REFUSED, TOO_LARGE, READS_BODY[1], UNAVAILABLE)


def malformed(*shapes: type) -> Answer:
    what = "The key, the body, a condition or the causal context is malformed; or that context cannot be respected"
    return Answer.of(400, what, KeyFault, *shapes, Kvs_Detail=DETAIL)


ROUTES = (
    Route(
        KEYS + "{key}",
        (
            Operation(
                "get",
                "getKey",
                "The value of a key",
                (
                    Answer.of(200, "Its value", Retrieved, ETag=VERSION_OF),
                    Answer(304, "It still has that version", (), {"ETag": VERSION_OF}),
                    malformed(Unsatisfied),
                    MISSING,
                    *ANSWERS,
                ),
                (KEY, WAIT, IF_MATCH, IF_NONE_MATCH),
                CONTEXT,
            ),
            Operation(
                "put",
                "putKey",
                "Give a key a value",
                (
                    Answer.of(200, "It had another value", Updated, ETag=VERSION_OF, Kvs_Copies=COPIES),
                    Answer.of(201, "It is new", Added, ETag=VERSION_OF, Kvs_Copies=COPIES),
                    malformed(),
                    *ANSWERS,
                ),
                (KEY, IF_MATCH, IF_NONE_MATCH),
                Body(Content((DataBody,)), ("value",)),
            ),
            Operation(
                "delete",
                "deleteKey",
                "Delete a key",
                (
                    Answer.of(200, "It is gone", Deleted, Kvs_Copies=COPIES),
                    malformed(Unsatisfied),
                    MISSING,
                    *ANSWERS,
                ),
                (KEY, IF_MATCH, IF_NONE_MATCH),
                CONTEXT,
            ),
        ),
    ),
)
