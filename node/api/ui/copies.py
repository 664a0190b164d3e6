"""`GET /ui/copies?key=K`: where each copy of a key stands.

Every owner is asked for what is on its own disk, and so is whoever may still hold the key from an earlier view. A read
would not tell: it answers with the newest.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from gossip.view import Address
from node.api.answers import JSON_HEADERS
from node.api.conditions import etag_of
from node.api.query import options_of
from node.api.shapes.page import Copies, Copy
from node.api.shapes.words import KEY_CHARACTERS_MAX
from node.errors import RequestFault
from node.net.messages import Fetch, Fetched
from node.node import Node
from node.values.record import decode_record
from node.values.version import clock_of
from ring.hashing import partition_of

_encode = msgspec.json.Encoder().encode


class CopiesApi:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def copies(self, request: web.Request) -> web.Response:
        key = key_of(request.rel_url.raw_query_string)
        partition, views = partition_of(key), self._node.views
        owners = views.ring.owners(partition)
        earlier = sorted((views.current.donor_nodes | views.donors.of(partition).keys()) - {*owners})
        told = await asyncio.gather(*(self._copy_at(node, node in owners, key) for node in (*owners, *earlier)))
        # Of those that may have something of the earlier view, who has nothing of this key is not worth a line.
        shown = tuple(copy for copy in told if copy.owner or copy.state not in ("none", "unknown"))
        answer = Copies("Copies retrieved successfully", partition, str(views.ring.table[partition] + 1), shown)
        return web.Response(body=_encode(answer), headers=JSON_HEADERS)

    async def _copy_at(self, node: Address, is_owner: bool, key: bytes) -> Copy:
        answer = await self._ask(node, key)
        if answer is None:
            return Copy(node, is_owner, "unknown")
        if answer.record is None:
            return Copy(node, is_owner, "none")
        record = decode_record(answer.record)
        is_live = record.is_live(self._node.expiry_now_ms())
        return Copy(
            node,
            is_owner,
            "value" if is_live else "expired" if record.has_value else "deleted",
            etag_of(record.version).decode(),
            clock_of(record.version) >> 16,
            record.expires_ms,
            len(record.value or b""),
        )

    async def _ask(self, node: Address, key: bytes) -> Fetched | None:
        if node == self._node.config.address:
            return self._node.owner.fetch(key)
        answer = await self._node.calls.try_ask(node, Fetch(key), self._node.calls.silence_s(node))
        return answer if isinstance(answer, Fetched) else None


def key_of(query: str) -> bytes:
    """Raises RequestFault."""
    key = options_of(query, {"key"}).get("key", "")
    if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
        raise RequestFault(f"Malformed key: not 1 to {KEY_CHARACTERS_MAX} characters, as ?key=K")
    return key.encode()
