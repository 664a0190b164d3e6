"""The store as its clients see it: a typed method for each request, over HTTP, to an endpoint that answers.

Owns which endpoint is asked, how long to wait for it, and what its silence means. A request is repeated at the next
endpoint if the first cannot have executed it, or if executing it twice has the same effect as executing it once. A
DELETE that has been sent is neither: repeated, it would answer "not found" for the very key that it deleted. Every
fault leaves here as Unreachable or Refused.

Imports nothing of `node`: this side of HTTP knows the store by its interface alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import yarl

from kvs.names import Names
from kvs.responses import (
    Accepted,
    Changed,
    EntriesPage,
    ErrorBody,
    Got,
    KeysPage,
    NoFields,
    Plan,
    Progress,
    Put,
    RingMap,
    Shard,
    ShardIds,
    Shards,
    Status,
)

T = TypeVar("T")
Page = TypeVar("Page", bound=KeysPage | EntriesPage)

CONNECT_TIMEOUT_S = 1.0
DATA_TIMEOUT_S = 2.5
"""The store answers these requests within 2 s, whatever is down; the rest is for the network."""
ADMIN_TIMEOUT_S = 10.0
"""For answers that a node may have to collect from all others."""
PAGE_KEYS_MAX = 10_000
"""The store gives no more at once, and no more than 8 MiB. Small pages cost it as much as large ones: each is merged
from all partitions."""
POLL_INTERVAL_S = 0.2
SHARDS_AT_ONCE = 16
"""How many shards are asked about at the same time: enough to be quick with 200, few enough not to be a burst."""


class ClientFault(Exception):
    """The request brought no result; the message is one line for people."""


class Unreachable(ClientFault):
    """No endpoint answered, or none that did could reach what it needed."""

    def __init__(self, reasons: dict[str, str], *, in_doubt: bool = False) -> None:
        self.in_doubt = in_doubt
        """Whether the request may have been executed all the same."""
        told = ", ".join(f"{endpoint} ({reason})" for endpoint, reason in reasons.items())
        super().__init__(f"no node could answer: {told}" + ("; it may have happened all the same" if in_doubt else ""))


class Refused(ClientFault):
    """The store answered, and said no."""

    def __init__(self, status: int, body: ErrorBody) -> None:
        super().__init__(body.line)
        self.status = status
        self.error = body.error
        self.unreachable = body.unreachable
        self.epoch = body.epoch
        self.keys_at_risk = body.keys_at_risk
        self.view = body.view


class Change(msgspec.Struct, frozen=True):
    """A view change as it is asked for."""

    nodes: tuple[str, ...] | None
    """None: take back the one under way."""
    repl_factor: int | None = None
    """None: leave it as it is."""
    if_epoch: int | None = None
    """Only if the view in force is of this epoch."""
    if_safe: bool = False
    """Not if keys would be lost."""
    gone_for_good: bool = False
    """The nodes that cannot be reached serve nobody, and never will."""

    def at(self, epoch: int) -> Self:
        """The same, made conditional on another epoch."""
        return msgspec.structs.replace(self, if_epoch=epoch)

    @property
    def method(self) -> str:
        return "DELETE" if self.nodes is None else "PUT"

    def body(self) -> bytes:
        fields: dict[str, object] = {} if self.nodes is None else {"view": ",".join(self.nodes)}
        given = {
            "repl-factor": self.repl_factor,
            "if-epoch": self.if_epoch,
            "if-safe": self.if_safe or None,
            "gone-for-good": self.gone_for_good or None,
        }
        return msgspec.json.encode(fields | {name: value for name, value in given.items() if value is not None})


class _Failed(Exception):
    """One endpoint gave no result. `sent`: the request may have been executed there."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class Client:
    """To be used as an async context manager. Every method raises Unreachable or Refused."""

    def __init__(self, endpoints: Iterable[str], *, data_timeout_s: float = DATA_TIMEOUT_S) -> None:
        self._endpoints = tuple(endpoints)
        self._data_timeout_s = data_timeout_s
        self._failed: set[str] = set()
        """Endpoints that gave no result the last time: asked after the others."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=Names(CONNECT_TIMEOUT_S)),
            headers={"Content-Type": "application/json"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, key: str) -> bytes:
        """The value as it was sent, a JSON text."""
        return bytes((await self._ask(Got, "GET", _path_of(key), timeout_s=self._data_timeout_s)).value)

    async def put(self, key: str, value: bytes, *, start: int = 0) -> bool:
        """Whether it replaced a value. `value` is a JSON text; `start` spreads a load over the endpoints."""
        path, body, timeout_s = _path_of(key), b'{"value":' + value + b"}", self._data_timeout_s
        return (await self._ask(Put, "PUT", path, body, timeout_s=timeout_s, start=start)).replaced

    async def delete(self, key: str) -> None:
        path, timeout_s = _path_of(key), self._data_timeout_s
        await self._ask(NoFields, "DELETE", path, timeout_s=timeout_s, repeatable=False)

    async def page(
        self, kind: type[Page], prefix: str = "", after: str | None = None, limit: int = PAGE_KEYS_MAX
    ) -> Page:
        """The first keys, at most `limit`, of those that begin with `prefix` and come after `after`."""
        values = "true" if kind is EntriesPage else None
        asked = {"prefix": prefix or None, "after": after, "limit": str(limit), "values": values}
        query = urlencode({name: value for name, value in asked.items() if value is not None}, quote_via=quote, safe="")
        return await self._ask(kind, "GET", f"/kvs/keys?{query}")

    async def scan(self, kind: type[Page], prefix: str = "", limit: int | None = None) -> AsyncIterator[Page]:
        """All keys that begin with `prefix`, or the first `limit` of them, a page at a time. Pages after one another
        may come from different endpoints, for all list the same store."""
        after, left = None, sys.maxsize if limit is None else limit
        while left > 0:
            page = await self.page(kind, prefix, after, min(left, PAGE_KEYS_MAX))
            yield page
            if page.next is None:
                return
            if after is not None and page.next <= after:  # Strings compare as their UTF-8 does.
                raise Unreachable(dict.fromkeys(self._endpoints, "its listing does not get on"))
            after, left = page.next, left - len(page.listed)

    async def status(self) -> Status:
        return await self._ask(Status, "GET", "/kvs/status")

    async def ring(self) -> RingMap:
        return await self._ask(RingMap, "GET", "/kvs/ring")

    async def shards(self) -> Shards:
        ids = (await self._ask(ShardIds, "GET", "/kvs/shards")).shards
        shards: list[Shard] = []
        for first in range(0, len(ids), SHARDS_AT_ONCE):
            questions = (
                self._ask(Shard, "GET", f"/kvs/shards/{quote(id, safe='')}")
                for id in ids[first : first + SHARDS_AT_ONCE]
            )
            shards += await asyncio.gather(*questions)
        return Shards(tuple(shards))

    async def progress(self) -> Progress:
        return await self._ask(Progress, "GET", "/kvs/view-change")

    async def plan(self, change: Change) -> Plan:
        """What it would move, and lose. Refused where the change itself would be, but for keys at risk."""
        return await self._ask(Plan, change.method, "/kvs/view-change?dry-run=true", change.body())

    async def start_view_change(self, change: Change) -> Accepted:
        return await self._make(Accepted, change, "?wait=false", ADMIN_TIMEOUT_S)

    async def change_view(self, change: Change, on_progress: Callable[[Progress], None]) -> Changed:
        """Returns when every key is where the new view wants it, however long that takes."""
        watcher = asyncio.create_task(self._watch(on_progress))
        try:
            return await self._make(Changed, change, "", None)
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])

    async def _make(self, answer: type[T], change: Change, query: str, timeout_s: float | None) -> T:
        """Where it is not known whether a conditional change was made, asking again elsewhere would be refused for the
        very view that it has made: then whether it was is looked up first."""
        for _ in self._endpoints:
            unconditional = change.nodes is not None and change.if_epoch is None
            try:
                return await self._ask(
                    answer,
                    change.method,
                    f"/kvs/view-change{query}",
                    change.body(),
                    timeout_s=timeout_s,
                    repeatable=unconditional,
                )
            except Unreachable as fault:
                again = await self._look_up(change) if fault.in_doubt else None
                if again is None:
                    raise
                change = again
        raise Unreachable(dict.fromkeys(self._endpoints, "the connection broke"), in_doubt=True)

    async def _look_up(self, change: Change) -> Change | None:
        """What to ask for now that it is in doubt whether the change was made: the same if it was not, and to join it
        if it was; None if that cannot be told."""
        ring = await self.ring()
        if change.nodes is None:
            return None
        is_made = set(ring.nodes) == set(change.nodes) and change.repl_factor in (None, ring.repl_factor)
        return change if ring.epoch == change.if_epoch else change.at(ring.epoch) if is_made else None

    async def _watch(self, on_progress: Callable[[Progress], None]) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            try:
                on_progress(await self.progress())
            except ClientFault:
                continue  # If something is wrong, the change itself says so; this only shows how far it is.

    async def _ask(
        self,
        answer: type[T],
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        timeout_s: float | None = ADMIN_TIMEOUT_S,
        repeatable: bool = True,
        start: int = 0,
    ) -> T:
        reasons: dict[str, str] = {}
        for endpoint in self._in_turn(start):
            try:
                result = await self._ask_one(endpoint, answer, method, path, body, timeout_s)
            except _Failed as failure:
                self._failed.add(endpoint)
                reasons[endpoint] = str(failure)
                if failure.sent and not repeatable:
                    raise Unreachable(reasons, in_doubt=True) from None
            else:
                self._failed.discard(endpoint)
                return result
        raise Unreachable(reasons)

    def _in_turn(self, start: int) -> list[str]:
        start %= len(self._endpoints)
        turn = (*self._endpoints[start:], *self._endpoints[:start])
        return sorted(turn, key=self._failed.__contains__) if self._failed else list(turn)

    async def _ask_one(
        self,
        endpoint: str,
        answer: type[T],
        method: str,
        path: str,
        body: bytes | None,
        timeout_s: float | None,
    ) -> T:
        # Marked as encoded, so that yarl neither decodes the key nor takes `..` out of the path.
        url = yarl.URL(f"http://{endpoint}{path}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        try:
            async with self._session.request(
                method, url, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                status, content = response.status, await response.read()
        except aiohttp.ClientConnectorDNSError:
            raise _Failed("no address is found for its name", sent=False) from None
        except aiohttp.ClientConnectorError as error:
            reason = os.strerror(error.errno).lower() if error.errno else "no connection"
            raise _Failed(reason, sent=False) from None
        except aiohttp.ConnectionTimeoutError:
            raise _Failed(f"no connection within {CONNECT_TIMEOUT_S} s", sent=False) from None
        except TimeoutError:
            raise _Failed(f"no answer within {timeout_s} s", sent=True) from None
        except (aiohttp.ClientError, OSError):
            raise _Failed("the connection broke", sent=True) from None
        try:
            if status < 300:
                return msgspec.json.decode(content, type=answer)
            refusal = msgspec.json.decode(content, type=ErrorBody)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise _Failed(f"its answer, of status {status}, is not that of a store", sent=True) from None
        # This node cannot answer; another one may, unless what is in the way is part of the change asked for.
        if status >= 500 and (method == "GET" or not refusal.in_the_way):
            raise _Failed(refusal.line, sent=True)
        raise Refused(status, refusal)


def _path_of(key: str) -> str:
    return f"/kvs/keys/{quote(key, safe='')}"
