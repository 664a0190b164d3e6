"""What this node does with a client's read, write or delete: route it to an owner, and stamp it.

The version of a write is chosen here, where the client's request arrived, and a repetition elsewhere keeps it: so doing
it twice is doing it once. Only an owner that holds a newer version makes it be stamped anew, and only if no earlier
attempt may have been stored; else the write could happen twice, with another one in between.

So is the causal context of a client's request: taken in, for the clock to be above it, and handed out again, less what
is stable, see `stability`. What it demands is judged by the owner; one that cannot satisfy it is no reason not to ask
the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias
from zlib import crc32

import msgspec

from gossip.view import Address
from node.config import Config
from node.errors import PeerLost, PeerRefused, Unavailable
from node.net.messages import (
    Answer,
    Foreign,
    MayBeStored,
    NothingDeleted,
    Read,
    ReadResult,
    Superseded,
    Unable,
    Unsatisfied,
    ViewIs,
    Write,
    Wrote,
)
from node.net.transport import Transport
from node.operations.owner import Owner
from node.timing.clock import HybridClock, Time
from node.timing.deadlines import Timeouts
from node.values.context import Context, from_json
from node.views.holder import Views
from ring.hashing import partition_of

RETRY_S = 0.02
"""Between two attempts of a request when nothing has changed that would make the next one fare better."""

Operation: TypeAlias = Read | Write


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a request: the owner's answer, and who gave it (None: this node). Unsatisfied: it was refused, for
    nobody can show that the answer would respect the context."""

    answer: Answer
    served_by: Address | None
    context: Context | None = None
    """What the client depends on now; None if its request had no context."""


class Router:
    def __init__(
        self,
        config: Config,
        time: Time,
        clock: HybridClock,
        views: Views,
        owner: Owner,
        unstable: Callable[[Context], Context],
        transport: Transport,
    ) -> None:
        self._config = config
        self._time = time
        self._clock = clock
        self._views = views
        self._owner = owner
        self._unstable = unstable
        self._transport = transport
        self._turn = crc32(config.address.encode())
        self._timeouts = Timeouts()

    def owners(self, key: bytes) -> Sequence[Address]:
        """Who may serve `key` under the present view, in the order in which to try them: this node itself, then those
        that are not known to be down, each node beginning with another one."""
        owners, me = self._views.ring.owners(partition_of(key)), self._config.address
        if len(owners) == 1:
            return owners
        first = owners.index(me) if me in owners and self._owner.is_ready() else self._turn % len(owners)
        turns = owners[first:] + owners[:first]
        down = [owner for owner in turns if owner != me and self._transport.is_down(owner)]
        return [*(owner for owner in turns if owner not in down), *down] if down else turns

    def read_here(self, key: bytes) -> ReadResult | None:
        """The answer to a read that this node can give at once; None if it must ask somebody. The hot path."""
        return self._owner.read_here(key)

    def take_context(self, value: Any) -> Context:
        """What is left to respect of a context that a client sent as this JSON. Raises BadContext."""
        context = from_json(value, self._clock.latest)
        self._clock.observe(context.newest)
        return self._unstable(context)

    async def read(self, key: bytes, context: Context | None = None) -> Outcome:
        """Raises Unavailable."""
        return self._rendered(await self._within_time(self._route(key, Read(key, context), self._deadline())), context)

    async def write(self, key: bytes, value: bytes | None, context: Context | None = None) -> Outcome:
        """A put, or with `value` None a delete. Raises Unavailable: it may have happened."""
        deadline = self._deadline()
        if self._owner.is_stale():
            raise Unavailable()  # It was read from its socket before this node stood still, and begins only now.
        return self._rendered(await self._within_time(self._write(key, value, context, deadline)), context)

    def _rendered(self, outcome: Outcome, context: Context | None) -> Outcome:
        if context is None:
            return outcome
        answer = outcome.answer
        if isinstance(answer, ReadResult | Wrote | NothingDeleted) and answer.context is not None:
            context = answer.context
        self._clock.observe(context.newest)
        return Outcome(answer, outcome.served_by, self._unstable(context))

    async def _within_time(self, work: Coroutine[None, None, Outcome]) -> Outcome:
        """Whatever it is that hangs, a disk or a peer: the client gets its answer in time."""
        try:
            return await self._timeouts.within(self._config.answer_s, work)
        except TimeoutError:
            raise Unavailable() from None

    async def _write(self, key: bytes, value: bytes | None, context: Context | None, deadline: float) -> Outcome:
        version, refusals = await self._clock.stamp(), 0
        while True:
            outcome = await self._route(key, Write(key, version, value, context), deadline)
            if not isinstance(outcome.answer, Superseded):
                return outcome
            refusals += 1
            version = await self._clock.stamp_above(outcome.answer.version, lead_ms=2 ** min(refusals, 16))

    def _deadline(self) -> float:
        return self._time.monotonic() + self._config.request_s

    async def _route(self, key: bytes, operation: Operation, deadline: float) -> Outcome:
        """Bring the operation to an owner. Raises Unavailable: if it was a write, it may have happened, under its
        version."""
        may_be_stored = False
        while deadline > self._time.monotonic():
            view_id, owners = self._views.view_id, self.owners(key)
            attempt_s = self._config.attempt_s if len(owners) > 1 else self._config.request_s
            refused = 0
            unsatisfied: Outcome | None = None
            for owner in owners:
                if unsatisfied is not None and self._transport.is_down(owner):
                    continue  # It was just asked in vain.
                try:
                    if owner == self._config.address:
                        answer = await self._owner.carry_out(operation, deadline)
                    else:
                        timeout_s = min(attempt_s, deadline - self._time.monotonic())
                        is_attempt = timeout_s <= self._config.attempt_s
                        answer = await self._transport.call(owner, operation, view_id, timeout_s, attempt=is_attempt)
                except PeerRefused:
                    refused += 1
                    continue
                except PeerLost:
                    may_be_stored = True
                    continue
                match answer:
                    case Unable() | Foreign():
                        refused += 1
                    case MayBeStored():
                        may_be_stored = True
                    case Superseded() if may_be_stored:
                        raise Unavailable()
                    case ViewIs():
                        await self._views.take(answer.view, owner)
                        if self._views.view_id == view_id:
                            await self._views.greet(owner)
                            await asyncio.sleep(RETRY_S)
                        break
                    case Unsatisfied():
                        unsatisfied = unsatisfied or self._outcome(answer, owner)
                    case _:
                        return self._outcome(answer, owner)
                if self._views.view_id != view_id:
                    break
            if unsatisfied is not None and self._views.view_id == view_id:
                if may_be_stored and isinstance(operation, Write):
                    raise Unavailable()
                return unsatisfied
            if refused == len(owners) and self._views.view_id == view_id:
                raise Unavailable()
            if self._views.view_id == view_id:
                await asyncio.sleep(RETRY_S)
        raise Unavailable()

    def _outcome(self, answer: Answer, owner: Address) -> Outcome:
        return Outcome(answer, None if owner == self._config.address else owner)
