"""A client of `GET /kvs/watch` for tests: the events of one stream, as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from yarl import URL

from gossip.view import Address

PATIENCE_S = 20.0


class Seen(NamedTuple):
    """One event: its kind, and what it tells."""

    kind: str
    data: dict[str, Any]
    id: str

    @property
    def brief(self) -> tuple[str, str, Any]:
        return self.kind, self.data.get("key", ""), self.data.get("value")


class Events:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.id = ""
        """The last one that was told."""

    async def next(self) -> Seen | None:
        """The next event; None: the stream has ended."""
        fields: dict[str, str] = {}
        with suppress(aiohttp.ClientPayloadError):  # It broke.
            async with asyncio.timeout(PATIENCE_S):
                while line := (await self.response.content.readline()).decode():
                    if line == "\n" and "event" in fields:
                        return Seen(fields["event"], json.loads(fields["data"]), self.id)
                    name, _, value = line.rstrip("\n").partition(": ")
                    if name == "id":
                        self.id = value
                    elif name:
                        fields[name] = value
        return None

    async def take(self, count: int) -> list[Seen]:
        """So many."""
        found = [await self.next() for _ in range(count)]
        assert None not in found, f"the stream has ended: {found}"
        return [seen for seen in found if seen is not None]


@asynccontextmanager
async def watching(node: Address, prefix: str = "", since: str | None = None) -> AsyncIterator[Events]:
    """What is told through `node` of the keys that begin with `prefix`, from its beginning on."""
    url = URL(f"http://{node}/kvs/watch?prefix={quote(prefix, safe='')}", encoded=True)
    headers = {} if since is None else {"Last-Event-ID": since}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, headers=headers) as response:
        assert response.status == 200, await response.text()
        events = Events(response)
        line = (await response.content.readline()).decode()
        events.id = line.removeprefix("id: ").rstrip("\n")
        yield events
