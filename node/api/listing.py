"""The HTTP interface for listing keys: what a request says, and how its answer is written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from aiohttp import web

from node.api.answers import JSON_HEADERS
from node.api.conditions import etag_of
from node.api.query import options_of, part_of_key, truth_of
from node.api.shapes.streams import Entries, Entry, Keys
from node.api.ttl import seconds
from node.errors import RequestFault
from node.operations.listing import Entry as Found
from node.operations.listing import Lister, Page
from node.operations.shard_inquiry import PAUSE_S

LIMIT, LIMIT_MAX = 1000, 10_000
"""How many keys a page has at most: unless the client says, and whatever it says."""

ENTRIES_A_TURN = 256
"""So many are written at once: an eighth of a millisecond."""

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
        return web.Response(body=await _rendered(page, wanted.with_values), headers=JSON_HEADERS)


def wanted_of(query: str) -> Wanted:
    """`query`: as it was sent. Raises RequestFault."""
    given = options_of(query, {"prefix", "after", "limit", "values"})
    prefix, after = part_of_key(given, "prefix"), part_of_key(given, "after")
    limit = given.get("limit", str(LIMIT))
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 9 and 1 <= int(limit) <= LIMIT_MAX):
        raise RequestFault(f"Malformed limit: not a number from 1 to {LIMIT_MAX}")
    return Wanted(prefix, after, int(limit), truth_of(given, "values", False))


async def _rendered(page: Page, with_values: bool) -> bytes:
    """The body: a part of the entries after the other, between which others have their turns."""
    following = None if page.end is None else page.end.decode()
    whole = _encode(Entries(MESSAGE, (), following) if with_values else Keys(MESSAGE, (), following))
    head, _, tail = whole.partition(b"[]")
    parts = list[bytes]()
    for start in range(0, len(page.entries), ENTRIES_A_TURN):
        await asyncio.sleep(PAUSE_S)
        some = page.entries[start : start + ENTRIES_A_TURN]
        told = _with_values(some, page.left_ms) if with_values else [key.decode() for key, *_ in some]
        parts.append(_encode(told)[1:-1])
    return b"%b[%b]%b" % (head, b",".join(parts), tail)


def _with_values(entries: Sequence[Found], left_ms: Mapping[bytes, int]) -> list[Entry]:
    return [
        Entry(
            key.decode(),
            msgspec.Raw(value or b""),
            etag_of(version).decode(),
            msgspec.Raw(seconds(left_ms[key])) if key in left_ms else msgspec.UNSET,
        )
        for key, version, value in entries
    ]
