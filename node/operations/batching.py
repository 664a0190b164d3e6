"""What this node does with many of a client's operations at once, each as if it had come alone.

Operations of different keys go on together, those of one key one after the other. The first one of each key, if it is a
plain one, goes to an owner in one message with all others that this owner may take, or to this node's own store; there,
`together` carries out what takes no questions. Whatever was left there, or was not brought there, or comes with a
condition or an expiry, takes the ordinary way through the `router`, where all rules are that concern it, with a time
limit of its own. Of a message that was lost, nobody knows what was done: its writes go on under the versions that they
have got, so none of them happens twice.

Bounded: what many reads find is held up to `FOUND_BYTES_MAX`, and what a few more find; the others are put off. They
are for the caller to do one by one (`alone`), once it has got rid of what was found before them.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeAlias

import msgspec

from gossip.view import Address
from node.config import Config
from node.errors import PeerFault, PeerRefused, Reason, StorageFault, TooManyCalls, Unavailable
from node.net.messages import (
    Answer,
    Batch,
    BatchAnswer,
    Batched,
    Foreign,
    MayBeStored,
    Read,
    ReadResult,
    Unable,
    ViewIs,
    Write,
    Wrote,
)
from node.operations.owner import Owner
from node.operations.router import Outcome, Router
from node.operations.routing import Routing
from node.operations.together import LEFT, MAY_BE_STORED
from node.timing.clock import HybridClock
from node.values.condition import NO_CONDITION, Condition
from node.values.version import Version
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness
from ring.hashing import partition_of
from ring.placement import Shard

ALONE_MAX = 256
"""So many operations of all batches take the ordinary way at a time; as many as there are clients in a busy store."""
READS_ALONE_MAX = 8
"""So many of them, of one call, are reads: what each of them finds may be a megabyte."""
FOUND_BYTES_MAX = 1024 * 1024


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What a client wants of one key: to read it, to put a value, or with `value` None to delete it."""

    key: bytes
    is_read: bool = False
    value: bytes | None = None
    condition: Condition = NO_CONDITION
    ttl_ms: int | None = None

    @property
    def is_plain(self) -> bool:
        """An empty condition that is another object than `NO_CONDITION` only takes the ordinary way."""
        return self.ttl_ms is None and self.condition is NO_CONDITION


Came: TypeAlias = Outcome | Exception | None
"""What came of it: what the router gave, or raised. None: it was put off, nothing was done."""


class _Work:
    """One call's operations, and what has come of them."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        self.asked = asked
        self.came: list[Came] = [None] * len(asked)
        self.versions: dict[int, Version] = {}
        """Under which a write may have been stored."""
        self.first: list[int] = []
        """The plain ones that are the first of their keys."""
        self.has_reads = False
        self.left: dict[bytes, list[int]] = {}
        """What is for the ordinary way: of each key, in this order."""
        self.room = FOUND_BYTES_MAX
        self.reads = asyncio.Semaphore(READS_ALONE_MAX)
        seen = set[bytes]()
        for place, each in enumerate(asked):
            key = each.key
            if each.is_read:
                self.has_reads = True
            if key not in seen and each.is_plain:
                self.first.append(place)
            else:
                self.left.setdefault(key, []).append(place)
            seen.add(key)

    def leave(self, place: int, version: Version | None = None) -> None:
        """To the ordinary way, before all that comes later of its key. `version`: under which it may be stored."""
        if version is not None:
            self.versions[place] = version
        self.left.setdefault(self.asked[place].key, []).insert(0, place)

    def note(self, place: int, came: Outcome | Exception) -> None:
        self.came[place] = came
        if isinstance(came, Outcome):
            self.room -= came.answer.carried_bytes()


class Batching:
    def __init__(
        self,
        config: Config,
        clock: HybridClock,
        views: Views,
        readiness: Readiness,
        owner: Owner,
        calls: Calls,
        routing: Routing,
        router: Router,
    ) -> None:
        self._config = config
        self._clock = clock
        self._views = views
        self._readiness = readiness
        self._owner = owner
        self._calls = calls
        self._routing = routing
        self._router = router
        self._alone = asyncio.Semaphore(ALONE_MAX)

    async def carry_out(self, asked: Sequence[Asked]) -> Sequence[Came]:
        """What came of each; if something of a key was put off, so was all that follows of it."""
        if not self._readiness.admit():
            # As in `Router.write`.
            return [Unavailable().because(Reason.GATE).before_anything(is_write=not each.is_read) for each in asked]
        work = _Work(asked)
        if not await self._write_here(work):
            await self._do_together(work)
        if work.left:
            await asyncio.gather(*(self._do_in_turn(work, places) for places in work.left.values()))
        return work.came

    async def alone(self, asked: Asked, version: Version | None = None) -> Outcome | Exception:
        """The ordinary way. `version`: under which it may have been stored."""
        try:
            async with self._alone:
                if asked.is_read:
                    found = self._router.read_here(asked.key)
                    if found is not None:
                        return Outcome(found, None, None, found.version)
                    return await self._router.read(asked.key)
                if version is not None:
                    return await self._router.write_again(asked.key, asked.value, version)
                return await self._router.write(asked.key, asked.value, None, asked.condition, asked.ttl_ms)
        except Exception as fault:
            return fault

    async def _do_in_turn(self, work: _Work, places: Iterable[int]) -> None:
        """Those of one key."""
        for place in places:
            each = work.asked[place]
            if not each.is_read:
                work.note(place, await self.alone(each, work.versions.get(place)))
                continue
            async with work.reads:
                if work.room <= 0:
                    return
                work.note(place, await self.alone(each))

    # Together

    async def _write_here(self, work: _Work) -> bool:
        """The short way of many writes: if nobody has to be asked about any of them, nor told, they go to the store as
        they are, without a message for each. False: nothing was done."""
        asked, view_id = work.asked, self._views.view_id
        if work.left or work.has_reads or not asked:
            return False
        partitions = [partition_of(each.key) for each in asked]
        if not self._owner.writes_here(partitions):
            return False
        stamps = await self._stamps(len(asked))
        writes = [(at, each.key, stamp, each.value) for at, each, stamp in zip(partitions, asked, stamps, strict=False)]
        answers = await self._owner.write_here(view_id, writes) if writes else None
        if answers is None:
            return False
        came = work.came
        for place, (version, answer) in enumerate(zip(stamps, answers, strict=True)):
            if isinstance(answer, Wrote):
                came[place] = Outcome(answer, None, None, version)
            else:
                work.leave(place, version if isinstance(answer, MayBeStored) else None)
        return True

    async def _do_together(self, work: _Work) -> None:
        """What can be: the rest is left."""
        operations = await self._stamped(work)
        ring, of_shard = self._views.ring, defaultdict[int, list[int]](list)
        table = ring.table
        for place, operation in operations.items():
            of_shard[table[partition_of(operation.key)]].append(place)
        brought = list[Awaitable[None]]()
        for shard, places in of_shard.items():
            target = self._target(ring.shards[shard])
            if target is None:
                for place in places:
                    work.leave(place)
            else:
                brought.append(self._bring(work, target, places, operations))
        await asyncio.gather(*brought)

    async def _stamped(self, work: _Work) -> Mapping[int, Read | Write]:
        """The messages for the first operations of all keys; those that cannot be stamped now are left."""
        stamps = await self._stamps(sum(not work.asked[place].is_read for place in work.first))
        versions = iter(stamps)
        operations: dict[int, Read | Write] = {}
        asked = work.asked
        for place in work.first:
            each = asked[place]
            if each.is_read:
                operations[place] = Read(each.key)
            elif stamps:
                operations[place] = Write(each.key, next(versions), each.value)
            else:
                work.leave(place)
        return operations

    async def _stamps(self, count: int) -> list[Version]:
        """For so many writes; none if they cannot be had now."""
        if count and (self._clock.is_grounded or self._readiness.enter()):
            with suppress(StorageFault, Unavailable):  # Each is told so by itself, or gets another node's stamp.
                return await self._clock.stamps(count)
        return []

    def _target(self, owners: Shard) -> Address | None:
        """Which of the owners gets what is theirs; None: one of a release that knows of no batches."""
        target = self._routing.in_order(owners)[0]
        return None if self._calls.older([target]) else target

    async def _bring(
        self, work: _Work, target: Address, places: Sequence[int], operations: Mapping[int, Read | Write]
    ) -> None:
        """To one owner, this node or another one."""
        batch = [operations[place] for place in places]
        is_here = target == self._config.address
        answers = await (self._carry_out_here(batch) if is_here else self._ask(target, batch))
        served_by = None if is_here else target
        came = work.came
        for place, operation, answer in zip(places, batch, answers, strict=True):
            version = operation.version if isinstance(operation, Write) else None
            if isinstance(answer, Wrote):
                came[place] = Outcome(answer, served_by, None, version)
            elif isinstance(answer, ReadResult):
                work.note(place, Outcome(answer, served_by, None, answer.version))
            else:
                work.leave(place, version if isinstance(answer, MayBeStored) else None)

    async def _carry_out_here(self, batch: Sequence[Read | Write]) -> Sequence[BatchAnswer]:
        return await self._owner.carry_out_together(batch, self._config.attempt_s)

    async def _ask(self, target: Address, batch: Sequence[Read | Write]) -> Sequence[BatchAnswer]:
        heard: Answer | PeerFault
        try:
            heard = await self._calls.ask(target, Batch(tuple(batch)), self._config.attempt_s, bulk=True, attempt=True)
        except PeerFault as fault:
            heard = fault
        match heard:
            case Batched(answers) if len(answers) == len(batch):
                return answers
            case PeerRefused() | TooManyCalls() | Unable() | ViewIs() | Foreign():
                return [LEFT] * len(batch)
            case _:  # It was lost, or the answer makes no sense: nobody can tell what was done.
                return [MAY_BE_STORED] * len(batch)
