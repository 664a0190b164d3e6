"""What many routes have in common: the answers that each may give, and headers and parameters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from node.api.routes.words import Answer, Header, Parameter
from node.api.shapes.faults import Fault, Unavailable
from node.api.shapes.words import KEY_CHARACTERS_MAX, ETag

RETRY = Header("After how many seconds to ask again", Annotated[int, Meta(ge=1)], is_always=True)
DETAIL = Header("What is wrong, in more words, for people: no program may rely on them", str)
REQUEST_ID = Header("That of the request, or the one under which it stands in the node's log", str)

BAD_REQUEST = Answer.of(400, "The request is malformed", Fault)
UNAVAILABLE = Answer.of(503, "It cannot be satisfied now", Unavailable, Retry_After=RETRY)
COMMON = (
    BAD_REQUEST,
    Answer.of(414, "The line of the request, with its path, is too long", Fault),
    Answer.of(417, "`Expect` has something else than `100-continue`", Fault),
    Answer.of(431, "The headers of the request are too long, or too many", Fault),
    Answer.of(500, "A mistake of the node's", Fault),
    UNAVAILABLE,
)
"""What every operation may answer."""
GUARDED = (
    Answer.of(
        401,
        "The token is missing, or unknown",
        Fault,
        WWW_Authenticate=Header("Which kind of token", Literal["Bearer"], is_always=True),
    ),
    Answer.of(403, "The token is for less than this", Fault),
)
"""What those besides that take a token, where nodes have some."""
READS_BODY = (
    Answer.of(413, "The body is too large", Fault),
    Answer.of(415, "The body is compressed", Fault),
)
"""What those besides that take a body."""
ALLOW = Header("The methods that this path takes", str, is_always=True)
NOT_FOUND = Answer.of(404, "There is no such path", Fault)
NOT_ALLOWED = Answer.of(405, "The path takes no such method", Fault, Allow=ALLOW)
OPTIONS = Answer(204, "What the path takes", (), {"Allow": ALLOW})

VERSION_OF = Header("The version of the value, the same through every node", ETag, is_always=True)
VERSION_IF_ANY = Header("The present version, if there is a value", ETag)
COPIES = Header(
    "Only of a write that was acknowledged by fewer owners than its key has: by how many, of how many",
    Annotated[str, Meta(pattern="^[0-9]+/[0-9]+$", examples=["1/2"])],
)

LISTED = r'^(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*$'
Tags = Annotated[Any, Meta(extra_json_schema={"anyOf": [{"const": "*"}, {"type": "string", "pattern": LISTED}]})]
IF_MATCH = Parameter("If-Match", "header", "`*`, or versions: the key must have a value, or one of these", Tags)
IF_NONE_MATCH = Parameter("If-None-Match", "header", "`*`, or versions: it must have none, or none of these", Tags)
ID = Parameter("X-Request-Id", "header", "By which client and log mean the same request", str)

PartOfKey = Annotated[str, Meta(max_length=KEY_CHARACTERS_MAX)]
PREFIX = Parameter("prefix", "query", "Only keys that begin with this", PartOfKey)
