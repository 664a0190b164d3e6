"""Many keys: listed, exported, sent at once, watched."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from node.api.batch_lines import BATCH
from node.api.listing import LIMIT, LIMIT_MAX
from node.api.routes.common import PREFIX, READS_BODY, PartOfKey
from node.api.routes.words import EVENTS, LINES, Answer, Body, Content, Operation, Parameter, Route
from node.api.shapes.streams import (
    BatchAnswer,
    BatchLine,
    Broken,
    Cursor,
    End,
    Entries,
    Exported,
    Gap,
    Happened,
    Keys,
)
from node.watching.hub import POSITION

EventId = Annotated[
    Any, Meta(extra_json_schema={"anyOf": [{"const": ""}, {"type": "string", "pattern": f"^{POSITION}$"}]})
]
"""Empty is none: so a browser may say it."""

ROUTES = (
    Route(
        "/kvs/keys",
        (
            Operation(
                "get",
                "listKeys",
                "The keys of the whole store, in order, a page at a time",
                (Answer.of(200, "A page, of 8 MiB at most", Keys, Entries),),
                (
                    PREFIX,
                    Parameter("after", "query", "Only keys that come after this one", PartOfKey),
                    Parameter(
                        "limit",
                        "query",
                        f"How many keys at most; {LIMIT}, if it is left out",
                        Annotated[int, Meta(ge=1, le=LIMIT_MAX)],
                    ),
                    Parameter("values", "query", "Whether to tell `entries` in place of `keys`", bool),
                ),
            ),
        ),
    ),
    Route(
        "/kvs/export",
        (
            Operation(
                "get",
                "exportKeys",
                "All keys and values, as a stream of lines, in no order",
                (
                    Answer(
                        200,
                        "Lines as they come",
                        (Content((Exported, Cursor, End, Broken), LINES, "The last line is `end`, or what broke it"),),
                    ),
                ),
                (
                    PREFIX,
                    Parameter("cursor", "query", "Go on after this one, of an export of the same prefix", str),
                ),
            ),
        ),
    ),
    Route(
        BATCH,
        (
            Operation(
                "post",
                "sendBatch",
                "Any number of operations, a line each",
                (
                    Answer(
                        200,
                        "An answer for each line, in order, while more come in",
                        (Content((BatchAnswer,), LINES, "A last line without a key says why a batch ends early"),),
                    ),
                    READS_BODY[1],
                ),
                body=Body(Content((BatchLine,), LINES, "Blank lines are passed over")),
            ),
        ),
    ),
    Route(
        "/kvs/watch",
        (
            Operation(
                "get",
                "watchKeys",
                "What changes, as server-sent events, without an end",
                (
                    Answer(
                        200,
                        "Events as they happen, and a comment every 15 s",
                        (Content((Happened, Gap), EVENTS, "The `data` of `put`, `delete`, `expire`, and of `gap`"),),
                    ),
                ),
                (PREFIX, Parameter("Last-Event-ID", "header", "Go on after this one, through whatever node", EventId)),
            ),
        ),
    ),
)
