"""The HTTP interface for listing keys: what a request says, and how its answer is written."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from node.api.answers import JSON_HEADERS
from node.api.conditions import etag_of
from node.api.query import options_of, part_of_key, truth_of
from node.api.shapes.streams import Entries, Entry, Keys
from node.api.ttl import seconds
from node.errors import RequestFault
from node.operations.listing import Lister, Page

LIMIT, LIMIT_MAX = 1000, 10_000
"""How many keys a page has at most: unless the client says, and whatever it says."""

MESSAGE: Final = "Keys retrieved successfully"

_encode = msgspec.json.Encoder().encode


class Wanted(NamedTuple):
    prefix: bytes = b""
    after: bytes = b""
    limit: int = LIMIT
    with_values: bool = False


class ListingApi:
    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    async def keys(self, request: web.Request) -> web.Response:
        wanted = wanted_of(request.rel_url.raw_query_string)
        page = await self._lister.page(*wanted)
        return web.Response(body=_encode(_answer(page, wanted.with_values)), headers=JSON_HEADERS)


def wanted_of(query: str) -> Wanted:
    """`query`: as it was sent. Raises RequestFault."""
    given = options_of(query, {"prefix", "after", "limit", "values"})
    prefix, after = part_of_key(given, "prefix"), part_of_key(given, "after")
    limit = given.get("limit", str(LIMIT))
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= LIMIT_MAX):
        raise RequestFault(f"Malformed limit: not a number from 1 to {LIMIT_MAX}")
    return Wanted(prefix, after, int(limit), truth_of(given, "values", False))


def _answer(page: Page, with_values: bool) -> Keys | Entries:
    following = None if page.end is None else page.end.decode()
    if not with_values:
        return Keys(MESSAGE, tuple(key.decode() for key, *_ in page.entries), following)
    left = {key: msgspec.Raw(seconds(left_ms)) for key, left_ms in page.left_ms.items()}
    entries = (
        Entry(key.decode(), msgspec.Raw(value or b""), etag_of(version).decode(), left.get(key, msgspec.UNSET))
        for key, version, value in page.entries
    )
    return Entries(MESSAGE, tuple(entries), following)
