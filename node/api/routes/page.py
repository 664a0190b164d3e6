"""The page, and what it alone asks for: it may be other things in the next release."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from node.api.routes.common import NOT_FOUND
from node.api.routes.words import EVENTS, Answer, Content, Header, Operation, Parameter, Route
from node.api.shapes.page import Copies
from node.api.shapes.words import KEY_CHARACTERS_MAX

Key = Annotated[str, Meta(min_length=1, max_length=KEY_CHARACTERS_MAX)]
FileTag = Annotated[str, Meta(pattern='^"[0-9a-f]{16}"$')]
TAG = Header("Which content it is", FileTag, is_always=True)
MEDIA = ("text/html", "text/css", "text/javascript", "image/svg+xml")


def file(path: str, id_: str, summary: str, media: tuple[str, ...], *parameters: Parameter) -> Route:
    answers = (
        Answer(200, "The file", tuple(Content((), each, "As it lies in the release") for each in media), {"ETag": TAG}),
        Answer(304, "It is the same as `If-None-Match` names", (), {"ETag": TAG}),
        *((NOT_FOUND,) if parameters else ()),
    )
    return Route(path, (Operation("get", id_, summary, answers, parameters),))


ROUTES = (
    file("/ui", "getPage", "A page that shows all of this, for a browser", MEDIA[:1]),
    file(
        "/ui/{file}",
        "getPagePart",
        "What the page consists of",
        MEDIA,
        Parameter("file", "path", "One of its files", str),
    ),
    Route(
        "/ui/stream",
        (
            Operation(
                "get",
                "watchStore",
                "What the page shows, as server-sent events",
                (Answer(200, "Events, as long as it is open", (Content((), EVENTS, "Each is a part of the page"),)),),
            ),
        ),
    ),
    Route(
        "/ui/copies",
        (
            Operation(
                "get",
                "getCopies",
                "Where each copy of a key stands",
                (Answer.of(200, "What its owners say", Copies),),
                (Parameter("key", "query", "Of this key", Key, is_needed=True),),
            ),
        ),
    ),
)
