"""The client of those who run a store: what the `kvs` command asks for, besides keys.

A view change that lost its coordinator is joined through another node. Unlike a program, whoever types waits for an
answer: each endpoint is asked once, in the order in which they were given, and if none answers, that is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Self, TypeVar
from urllib.parse import quote

import msgspec

from kvs.answers import body_in, no_result
from kvs.asking import Request
from kvs.client import AsyncClient, asker_of
from kvs.endpoints import HTTPS, addresses_of, are_secure, endpoints_of
from kvs.errors import KvsError, OutcomeUnknown
from kvs.http import Reply
from kvs.repeating import Effect, Patience
from kvs.responses import (
    Accepted,
    Changed,
    ErrorBody,
    NodeReport,
    Plan,
    Progress,
    RingMap,
    Shard,
    ShardIds,
    Shards,
    Status,
)
from kvs.tls import CaFile

T = TypeVar("T")

DATA_TIMEOUT_S = 2.5
"""The store answers requests for keys within 2 s, whatever is down; the rest is for the network."""
ADMIN_TIMEOUT_S = 10.0
"""For answers that a node may have to collect from all others."""
POLL_INTERVAL_S = 0.2
SHARDS_AT_ONCE = 16
"""How many shards are asked about at the same time: enough to be quick with 200, few enough not to be a burst."""


class Refused(KvsError):
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

    @property
    def effect(self) -> Effect:
        """To take back twice would go back to the view before that one."""
        return Effect.SAME if self.nodes is not None and self.if_epoch is None else Effect.ONCE

    def body(self) -> bytes:
        fields: dict[str, object] = {} if self.nodes is None else {"view": ",".join(self.nodes)}
        given = {
            "repl-factor": self.repl_factor,
            "if-epoch": self.if_epoch,
            "if-safe": self.if_safe or None,
            "gone-for-good": self.gone_for_good or None,
        }
        return msgspec.json.encode(fields | {name: value for name, value in given.items() if value is not None})


class Operator(AsyncClient):
    """What is for operators raises Refused besides."""

    def __init__(
        self,
        endpoints: str | Iterable[str],
        *,
        data_timeout_s: float = DATA_TIMEOUT_S,
        token: str | None = None,
        ca: CaFile | None = None,
    ) -> None:
        given = endpoints_of(endpoints)
        self._endpoints = addresses_of(given)
        self._scheme = HTTPS if are_secure(given) else ""
        self._token = token
        self._ca = ca
        self._begin_with(asker_of(given, Patience(None, data_timeout_s, 1), token, ca))

    def of_one(self, node: str) -> Operator:
        """One with the same token, for this node alone, asked in the same way."""
        return Operator((f"{self._scheme}{node}",), token=self._token, ca=self._ca)

    async def learn_ring(self) -> None:
        """So that owners are asked themselves: worth it for many keys."""
        await self._asker.learn_ring()

    async def status(self) -> Status:
        return await self._look_at(Status, "/kvs/status")

    async def report(self) -> NodeReport:
        return await self._look_at(NodeReport, "/kvs/node")

    async def metrics(self, node_s: float) -> str:
        """In the text format of Prometheus; empty from a release that has none."""
        told, _ = await self._asker.ask(Request("GET", "/metrics", _text, Effect.NONE, node_s=node_s))
        return told

    async def ring(self) -> RingMap:
        return await self._look_at(RingMap, "/kvs/ring")

    async def shards(self) -> Shards:
        ids = (await self._look_at(ShardIds, "/kvs/shards")).shards
        shards: list[Shard] = []
        for first in range(0, len(ids), SHARDS_AT_ONCE):
            some = ids[first : first + SHARDS_AT_ONCE]
            shards += await asyncio.gather(*(self._look_at(Shard, f"/kvs/shards/{quote(id, safe='')}") for id in some))
        return Shards(tuple(shards))

    async def progress(self) -> Progress:
        return await self._look_at(Progress, "/kvs/view-change")

    async def plan(self, change: Change) -> Plan:
        """What it would move, and lose. Refused where the change itself would be, but for keys at risk."""
        return await self._send(Plan, change, "?dry-run=true", Effect.SAME, ADMIN_TIMEOUT_S)

    async def start_view_change(self, change: Change) -> Accepted:
        return await self._make(Accepted, change, "?wait=false", ADMIN_TIMEOUT_S)

    async def change_view(self, change: Change, on_progress: Callable[[Progress], None]) -> Changed:
        """Returns when every key is where the new view wants it, however long that takes."""
        watcher = asyncio.create_task(self._watch(on_progress))
        try:
            return await self._make(Changed, change, "", float("inf"))
        finally:
            watcher.cancel()
            await asyncio.wait([watcher])

    async def _make(self, answer: type[T], change: Change, query: str, node_s: float) -> T:
        """Where it is not known whether a conditional change was made, asking again elsewhere would be refused for the
        very view that it has made: then whether it was is looked up first."""
        for _ in self._endpoints:
            try:
                return await self._send(answer, change, query, change.effect, node_s)
            except OutcomeUnknown:
                again = await self._look_up(change) if change.effect is Effect.ONCE else None
                if again is None:
                    raise
                change = again
        raise OutcomeUnknown(dict.fromkeys(self._endpoints, "the connection broke"))

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
            except KvsError:
                continue  # If something is wrong, the change itself says so; this only shows how far it is.

    async def _look_at(self, answer: type[T], path: str) -> T:
        request = Request("GET", path, partial(_told, answer, True), Effect.NONE, node_s=ADMIN_TIMEOUT_S)
        told, _ = await self._asker.ask(request)
        return told

    async def _send(self, answer: type[T], change: Change, query: str, effect: Effect, node_s: float) -> T:
        read, path = partial(_told, answer, False), f"/kvs/view-change{query}"
        told, _ = await self._asker.ask(Request(change.method, path, read, effect, body=change.body(), node_s=node_s))
        return told


def _text(reply: Reply) -> str:
    """Raises Failed."""
    if reply.status == 404:
        return ""
    if reply.status >= 300:
        raise no_result(reply, ErrorBody(f"status {reply.status}"))
    return reply.body.decode(errors="replace")


def _told(kind: type[T], is_look: bool, reply: Reply) -> T:
    """Raises Failed, Malformed, or Refused."""
    if reply.status < 300:
        return body_in(reply, kind)
    refusal = body_in(reply, ErrorBody)
    # This node cannot answer; another one may, unless what is in the way is part of the change asked for.
    if reply.status >= 500 and (is_look or not refusal.in_the_way):
        raise no_result(reply, refusal)
    raise Refused(reply.status, refusal)
