"""What this node does with a client's read, write or delete: stamp it, and bring it to an owner.

The version of a write is chosen here, where the client's request arrived, and a repetition elsewhere keeps it: so doing
it twice is doing it once. Only an owner that holds a newer version makes it be stamped anew. How it is brought
there is the work of `routing`.

A plain put may take a short way, see `put`.

The causal context of a request passes here too: the clock is set above it, and what is stable by now is left out, see
`stability`, when it comes in and when it is handed out. What it demands is judged by the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from gossip.view import Address
from node.config import Config
from node.errors import CommitFailed, Fenced, Reason, StorageFault, TimedOut, Unavailable
from node.net.messages import (
    Answer,
    AskStamp,
    NothingDeleted,
    Read,
    ReadResult,
    Stamped,
    Superseded,
    Unable,
    Unmet,
    Write,
    WriteExpiring,
    WriteIf,
    Wrote,
)
from node.operations.owner import Owner
from node.operations.put import Put
from node.operations.route_state import Answered
from node.operations.routing import NotBrought, Routing
from node.storage.writes import Written
from node.timing.clock import HybridClock, Time
from node.timing.deadlines import SameLimit, Timeouts
from node.values.condition import NO_CONDITION, Condition
from node.values.context import Context, from_json
from node.values.version import Version
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness
from ring.hashing import hash_of, partition_of

T = TypeVar("T")


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a request: the owner's answer, and who gave it (None: this node). Unsatisfied: it was refused, for
    nobody can show that the answer would respect the context."""

    answer: Answer
    served_by: Address | None
    context: Context | None = None
    """What the client depends on now; None if its request had no context."""
    version: Version | None = None
    """That of the value which was read or written; None if there is none, or if the owner does not tell it."""


class Router:
    def __init__(
        self,
        config: Config,
        time: Time,
        clock: HybridClock,
        views: Views,
        readiness: Readiness,
        owner: Owner,
        unstable: Callable[[Context], Context],
        calls: Calls,
        routing: Routing,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the time by which keys expire."""
        self._config = config
        self._time = time
        self._clock = clock
        self._views = views
        self._readiness = readiness
        self._owner = owner
        self.read_here = owner.read_here
        """The answer to a read that this node can give at once; None if it must ask somebody. The hot path."""
        self.puts_here = owner.puts_here
        """Whether a plain put of this key may take the short way. The hot path."""
        self._unstable = unstable
        self._calls = calls
        self._routing = routing
        self._now_ms = now_ms
        self._timeouts = Timeouts()
        self._put_limit, self._copies_limit = SameLimit(config.answer_s), SameLimit(config.answer_s)

    def owners(self, key: bytes) -> Sequence[Address]:
        """Who may serve `key` under the present view, in the order in which to try them."""
        return self._routing.in_order(self._views.ring.owners(partition_of(key)))

    def take_context(self, value: Any) -> Context:
        """What is left to respect of a context that a client sent as this JSON. Raises BadContext."""
        context = from_json(value, self._clock.latest)
        self._clock.observe(context.newest)
        return self._unstable(context)

    async def read(self, key: bytes, context: Context | None = None) -> Outcome:
        """Raises Unavailable."""
        began = self._time.monotonic()
        answered = await self._within_time(began, self._route(key, Read(key, context), self._deadline(began)))
        version = answered.answer.version if isinstance(answered.answer, ReadResult) else None
        return self._outcome(answered, context, version)

    async def write(
        self,
        key: bytes,
        value: bytes | None,
        context: Context | None = None,
        condition: Condition = NO_CONDITION,
        ttl_ms: int | None = None,
    ) -> Outcome:
        """A put, or with `value` None a delete, if the condition is met; what is put expires in `ttl_ms`. Raises
        Unavailable: it may have happened."""
        is_plain = context is None and condition == NO_CONDITION and ttl_ms is None
        if is_plain and value is not None and self.puts_here(key) and (put := self.put_here(key, value)) is not None:
            try:
                await asyncio.wait([put.stored])
                if (copied := self.await_copies(put)) is not None:
                    await asyncio.wait([copied])
            finally:
                put.cancel()
            return self.end_put(put) or await self.go_on(put)
        return await self._write_through(key, value, context, condition, ttl_ms, self._time.monotonic())

    # The short way of a plain put

    def put_here(self, key: bytes, value: bytes) -> Put | None:
        """Begin a put for which `puts_here` has just been asked; `await_copies` is to follow once it is `stored`. None:
        its stamp takes waiting, it is for `write`. Raises Unavailable."""
        version = self._clock.stamp_here()
        if version is None:
            return None
        stored = asyncio.ensure_future(self._owner.put_here(key, version, value))
        due = self._put_limit.set(stored)
        return Put(key, value, version, self._views.view_id, self._time.monotonic(), due, stored)

    def await_copies(self, put: Put) -> asyncio.Future[bool] | None:
        """What is to be done before `end_put`, once it is `stored`; None: nothing."""
        stored = put.stored
        if stored.cancelled() or stored.exception() is not None:
            return None
        copied = put.copied = self._owner.await_copies_here(put.key, stored.result(), put.view_id)
        if copied is not None:
            self._copies_limit.set(copied, put.due)
        return copied

    def end_put(self, put: Put) -> Outcome | None:
        """What became of it; None: it is for `go_on` to tell. Raises Unavailable: it may have happened."""
        if put.is_late:
            raise TimedOut
        try:
            are_copied = put.copied is not None and put.copied.result()
            wrote = self._owner.wrote_here(put.stored.result(), put.view_id, are_copied)
        except (Fenced, StorageFault):
            return None
        return None if wrote is None else Outcome(wrote, None, None, put.version)

    async def go_on(self, put: Put) -> Outcome:
        """Take the ordinary way, in what is left of its time. Raises Unavailable: it may have happened."""
        fault = put.stored.exception()
        if isinstance(fault, CommitFailed) or (fault is None and isinstance(put.stored.result(), Written)):
            return await self.write_again(put.key, put.value, put.version, put.began)
        return await self._write_through(put.key, put.value, None, NO_CONDITION, None, put.began)

    # The ordinary way

    async def _write_through(
        self,
        key: bytes,
        value: bytes | None,
        context: Context | None,
        condition: Condition,
        ttl_ms: int | None,
        began: float,
    ) -> Outcome:
        """See `write`. `began`: monotonic."""
        if not self._readiness.admit():
            # It was read from its socket before a pause of this node, and begins only now.
            raise Unavailable().because(Reason.GATE).before_anything()
        if ttl_ms is not None and (older := self._calls.older(sorted(self._views.current.nodes))):
            fault = Unavailable("These nodes are of a release that knows of no ttl", nodes=older)
            raise fault.because(Reason.RELEASE).before_anything()
        version: Version | None
        writing = self._write(key, value, context, condition, ttl_ms, self._deadline(began))
        answered, version = await self._within_time(began, writing)
        if isinstance(answered.answer, Unmet):
            version = answered.answer.version
        return self._outcome(answered, context, version)

    async def write_again(
        self, key: bytes, value: bytes | None, version: Version, began: float | None = None
    ) -> Outcome:
        """Go on with a plain write that may have been stored under `version`: it is done under that or not at all.
        `began`: monotonic; by default now. Raises Unavailable: it may have happened."""
        began = self._time.monotonic() if began is None else began
        write, deadline = Write(key, version, value), self._deadline(began)
        carry_out = partial(self._owner.carry_out, write, deadline)
        bringing = self._routing.bring(write, partial(self.owners, key), carry_out, deadline, may_be_stored=True)
        return self._outcome((await self._within_time(began, bringing)).answered, None, version)

    def _outcome(self, answered: Answered, context: Context | None, version: Version | None) -> Outcome:
        answer = answered.answer
        served_by = None if answered.owner == self._config.address else answered.owner
        if context is None:
            return Outcome(answer, served_by, None, version)
        if isinstance(answer, ReadResult | Wrote | NothingDeleted | Unmet) and answer.context is not None:
            context = answer.context
        self._clock.observe(context.newest)
        return Outcome(answer, served_by, self._unstable(context), version)

    def _within_time(self, began: float, work: Coroutine[None, None, T]) -> Awaitable[T]:
        """Whatever it is that hangs, a disk or a peer: the client gets its answer in time. Raises Unavailable else."""
        return self._timeouts.within(began + self._config.answer_s - self._time.monotonic(), work, TimedOut)

    async def _write(
        self,
        key: bytes,
        value: bytes | None,
        context: Context | None,
        condition: Condition,
        ttl_ms: int | None,
        deadline: float,
    ) -> tuple[Answered, Version]:
        """With the version under which it was written."""
        if not self._clock.is_grounded and not await self._readiness.wait_until_ready(deadline):
            # Others have yet to tell what time is possible.
            raise Unavailable().because(Reason.GATE).before_anything()
        try:
            version, refusals = await self._clock.stamp(), 0
        except StorageFault:
            version, refusals = await self._borrow_stamp(key), 0
        if context and (seen := context.floor(hash_of(key))) >= version:
            version = await self._stamp(key, self._clock.stamp_above(seen, lead_ms=1))
        while True:
            # Counted from each stamp, so that all copies and repetitions of it agree.
            expires_ms = None if ttl_ms is None else self._now_ms() + ttl_ms
            write: Write | WriteIf = Write(key, version, value, context)
            if condition != NO_CONDITION:
                write = WriteIf(key, version, value, condition, context, expires_ms)
            elif expires_ms is not None:
                write = WriteExpiring(key, version, value, context, expires_ms)
            answered = await self._route(key, write, deadline)
            if not isinstance(answered.answer, Superseded):
                return answered, version
            refusals += 1
            stamping = self._clock.stamp_above(answered.answer.version, lead_ms=2 ** min(refusals, 16))
            version = await self._stamp(key, stamping)

    async def _stamp(self, key: bytes, stamping: Awaitable[Version]) -> Version:
        """This node's own stamp, or one of another owner. Raises Unavailable."""
        try:
            return await stamping
        except StorageFault:
            return await self._borrow_stamp(key)

    async def _borrow_stamp(self, key: bytes) -> Version:
        """Where this node's disk takes no ceiling of its clock: a stamp of another owner, which has heard by then how
        far this node's clock was to go. Raises Unavailable."""
        for owner in self.owners(key):
            if owner != self._config.address:
                answer = await self._calls.try_ask(owner, AskStamp(), self._config.attempt_s, attempt=True)
                if isinstance(answer, Stamped):
                    return answer.version
        raise Unavailable().because(Reason.DISK).before_anything()  # An attempt under another stamp has been refused.

    async def lend_stamp(self) -> Stamped | Unable:
        """Answer a node whose own clock may not go on."""
        try:
            return Stamped(await self._clock.stamp())
        except (StorageFault, Unavailable):
            return Unable()

    def _deadline(self, began: float) -> float:
        return began + self._config.request_s

    async def _route(self, key: bytes, operation: Read | Write | WriteIf, deadline: float) -> Answered:
        """Bring the operation to an owner, or what only one may decide to that one. Raises Unavailable: if it was a
        write, it may have happened, under its version."""
        carry_out = partial(self._owner.carry_out, operation, deadline)
        if not isinstance(operation, WriteIf):
            return (await self._routing.bring(operation, partial(self.owners, key), carry_out, deadline)).answered
        try:
            return (await self._routing.bring(operation, partial(self._decider, key), carry_out, deadline)).answered
        except NotBrought as fault:
            raise self._undecided(fault) from None

    def _undecided(self, fault: NotBrought) -> Unavailable:
        """What is told of a condition that nobody could decide."""
        if not fault.unreachable:
            return Unavailable().with_hint(fault.hint).before_anything(fault.has_not_happened)
        hint, removed = fault.hint, sorted(fault.unreachable - self._views.current.nodes)
        if removed:
            hint += f"; {', '.join(removed)}: no more in the view, but may decide under another one"
        undecided = Unavailable(unreachable=sorted(fault.unreachable)).with_hint(hint)
        return undecided.before_anything(fault.has_not_happened)

    def _decider(self, key: bytes) -> Sequence[Address]:
        return self._views.ring.owners(partition_of(key))[:1]
