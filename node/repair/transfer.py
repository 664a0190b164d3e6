"""Bringing what a node holds of some partitions to others: to co-owners that missed it, or to the owners it is for.

First the digests are compared, partition by partition. If the other side holds nothing of a partition, everything is
sent; if it holds something different, keys and versions are offered first, and only what it wants is sent; if both are
equal, nothing is. Records travel in batches of bounded size that may span partitions, and are durable on the other side
before they are confirmed. Merging keeps the newer version, so what arrives twice, or late, changes nothing.

The owners of a shard are brought its partitions chunk by chunk, in turn, each compared just before: the first has
passed on to its co-owners what it was brought, and another donor of the same may have been there meanwhile. So a record
crosses the wire once for each copy to be made, not once for each donor and owner.

A chunk is forgotten here, if that is asked for, only when each peer that it was brought to has confirmed it, only in
the versions that were brought, and only while the view is still the one under which it was brought. Dropped earlier, a
key would be lost if its owner crashed; dropped under a newer view, it might be one that this node owns by then.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced, PeerFault, StorageFault
from node.net.messages import Answer, Compare, Differing, Offer, Push, Request, Taken, Wanted
from node.repair.movement import Movement
from node.storage.store import Store
from node.timing.clock import Time
from node.values.record import version_of
from node.values.version import Version
from node.views.calls import Calls
from ring.hashing import pack, partition_of, unpack

log = logging.getLogger(__name__)


CHUNK_RECORDS = 256
"""A chunk has about so many, or is one partition: many enough for its comparison to cost little beside them, few enough
for two donors of the same partitions to bring little twice where they meet."""


SHARED_LANES = 2
"""Lanes to several owners: each takes on to its co-owners what it is brought, one batch after the other."""


class _Target(NamedTuple):
    """A peer that records are brought to, and how its partitions compare with those here."""

    peer: Address
    empty: frozenset[int]
    different: frozenset[int]

    def lacks(self, partition: int) -> bool:
        return partition in self.empty or partition in self.different


class _Batch(NamedTuple):
    records: tuple[tuple[bytes, bytes], ...]
    finished: tuple[int, ...]


class _Stopped(Exception):
    """A target did not take what it was brought."""


class Transfers:
    """`clients_served` tells whether this node served clients a moment ago: then transfers leave them room. `may_lack`:
    whether others must not take its word for what it does not bring."""

    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        calls: Calls,
        clients_served: Callable[[], bool],
        may_lack: Callable[[], bool],
        movement: Movement,
    ) -> None:
        self._config = config
        self._time = time
        self._store = store
        self._calls = calls
        self._clients_served = clients_served
        self._may_lack = may_lack
        self._movement = movement
        self._turns = {forget: asyncio.Lock() for forget in (False, True)}
        """For comparisons of co-owners, and for handing over: writes may have to wait for the former to end."""

    async def bring(self, peers: Sequence[Address], partitions: Sequence[int], view_id: ViewId, forget: bool) -> bool:
        """Bring `peers` what is here of `partitions`, and with `forget`, drop it here. Returns whether each of them now
        holds all of it, or later versions. Whatever interrupts this, it can be begun again."""
        lanes = self._config.transfer_lanes if len(peers) == 1 else SHARED_LANES
        arrived = False
        try:
            known = await self._compare(peers[0], partitions, view_id) if len(peers) == 1 else None
            async with asyncio.TaskGroup() as tasks:
                for start in range(min(lanes, len(partitions))):
                    tasks.create_task(self._bring_lane(peers, known, partitions[start::lanes], view_id, forget))
            arrived = True
            self._movement.note()
        except* (Fenced, _Stopped) as reasons:
            log.debug("transfer to %s: %s", peers, reasons.exceptions)
        except* StorageFault as faults:  # Whoever runs this node is told so by the store, once.
            log.debug("transfer to %s: %s", peers, faults.exceptions)
        return arrived

    async def bring_newer(self, peer: Address, partitions: Sequence[int], view_id: ViewId, clock: int) -> None:
        """Bring `peer`, of what differs and both hold some of, what is stamped above `clock`, and list nothing of the
        rest. Where the peer has all that is older, that is all it lacks; whether it is, `bring` finds out."""
        lanes = self._config.transfer_lanes
        try:
            known = await self._compare(peer, partitions, view_id)
            different = sorted(known.different)
            async with asyncio.TaskGroup() as tasks:
                for start in range(min(lanes, len(different))):
                    tasks.create_task(self._bring_newer_lane(known, different[start::lanes], view_id, clock))
        except* (_Stopped, StorageFault) as reasons:
            log.debug("transfer to %s: %s", peer, reasons.exceptions)

    async def _bring_newer_lane(self, target: _Target, partitions: Sequence[int], view_id: ViewId, clock: int) -> None:
        records: list[tuple[bytes, bytes]] = []
        room = self._config.batch_bytes
        for partition in partitions:
            after: bytes | None = b""
            while after is not None:
                found, after = self._store.scan_above(partition, after, self._config.batch_bytes, clock)
                records += found
                room -= sum(len(key) + len(record) for key, record in found)
                if room <= 0:
                    await self._give(target, _Batch(tuple(records), ()), view_id)
                    records, room = [], self._config.batch_bytes
                else:
                    await asyncio.sleep(0)  # Others have their turn too, however little is found.
        await self._give(target, _Batch(tuple(records), ()), view_id)

    async def _compare(self, peer: Address, partitions: Sequence[int], view_id: ViewId) -> _Target:
        compare = Compare(pack(partitions), self._store.digests(partitions), self._store.stable_watermark)
        answer = await self._ask(peer, compare, view_id)
        if not isinstance(answer, Differing):
            raise _Stopped(str(answer))
        return _Target(peer, frozenset(_numbers(answer.empty)), frozenset(_numbers(answer.different)))

    async def _bring_lane(
        self, peers: Sequence[Address], known: _Target | None, partitions: Sequence[int], view_id: ViewId, forget: bool
    ) -> None:
        """`known`: how the only peer compares; of several, that is asked anew for each chunk."""
        read = [number for number in partitions if forget or known is None or known.lacks(number)]
        alike = sorted(set(partitions) - set(read))
        if alike:
            await self._bring_chunk(peers, known, alike, view_id, forget)
        for chunk in self._chunks(read):
            async with self._turns[forget] if self._clients_served() else _NO_TURN:
                began = self._time.monotonic()
                await self._bring_chunk(peers, known, chunk, view_id, forget)
                if self._clients_served():  # Asked anew: the turn and the chunk may have taken long.
                    worked_s = self._time.monotonic() - began
                    await asyncio.sleep(min(worked_s, self._config.transfer_rest_s_max))

    async def _bring_chunk(
        self, peers: Sequence[Address], known: _Target | None, chunk: Sequence[int], view_id: ViewId, forget: bool
    ) -> None:
        brought: list[list[tuple[int, bytes, Version]]] = []
        for place, peer in enumerate(peers):
            target = known or await self._compare(peer, chunk, view_id)
            is_read = forget and place == 0  # All of it, for it is to be forgotten.
            read = [number for number in chunk if is_read or target.lacks(number)]
            alike = tuple(sorted(set(chunk) - set(read)))
            for batch in chain([_Batch((), alike)] if alike else [], self._batches(read)):
                await self._give(target, batch, view_id)
                if is_read:
                    brought.append([(partition_of(key), key, version_of(record)) for key, record in batch.records])
        await asyncio.gather(*(self._store.drop(view_id, versions) for versions in brought if versions))
        if any(brought):
            self._movement.note_handed_over(sum(map(len, brought)))

    def _chunks(self, partitions: Iterable[int]) -> Iterator[list[int]]:
        chunk: list[int] = []
        count = 0
        for partition in partitions:
            chunk.append(partition)
            count += self._store.stats(partition).records
            if count >= CHUNK_RECORDS:
                yield chunk
                chunk, count = [], 0
        if chunk:
            yield chunk

    def _batches(self, partitions: Iterable[int]) -> Iterator[_Batch]:
        """The records of `partitions` in batches of bounded size, each read from disk when it is its turn."""
        records: list[tuple[bytes, bytes]] = []
        finished: list[int] = []
        room = self._config.batch_bytes
        for partition in partitions:
            after: bytes | None = None
            while found := self._store.scan(partition, after, room):
                after = found[-1][0]
                records += found
                room -= sum(len(key) + len(record) for key, record in found)
                if room <= 0:
                    yield _Batch(tuple(records), tuple(finished))
                    records, finished, room = [], [], self._config.batch_bytes
            finished.append(partition)
        yield _Batch(tuple(records), tuple(finished))

    async def _give(self, target: _Target, batch: _Batch, view_id: ViewId) -> None:
        """Raises _Stopped."""
        records: list[tuple[bytes, bytes]] = []
        unsure: list[tuple[bytes, bytes]] = []
        for item in batch.records:
            partition = partition_of(item[0])
            if partition in target.empty:
                records.append(item)
            elif partition in target.different:
                unsure.append(item)
        if unsure:
            offer = Offer(tuple((key, version_of(record)) for key, record in unsure), self._store.stable_watermark)
            answer = await self._ask(target.peer, offer, view_id)
            if not isinstance(answer, Wanted):
                raise _Stopped(str(answer))
            wanted = set(_numbers(answer.indexes))
            records += [item for index, item in enumerate(unsure) if index in wanted]
        if records or batch.finished:
            push = Push(tuple(records), pack(batch.finished), self._may_lack())
            answer = await self._ask(target.peer, push, view_id)
            if not isinstance(answer, Taken):
                raise _Stopped(str(answer))
            if records:
                self._movement.note()

    async def _ask(self, peer: Address, request: Request, view_id: ViewId) -> Answer:
        """Raises _Stopped."""
        try:
            return await self._calls.ask(peer, request, self._config.transfer_s, view_id, bulk=True)
        except PeerFault as fault:
            raise _Stopped(str(fault)) from None


def _numbers(packed: bytes) -> tuple[int, ...]:
    """Raises _Stopped."""
    try:
        return unpack(packed)
    except ValueError as error:
        raise _Stopped(str(error)) from None


_NO_TURN: contextlib.nullcontext[None] = contextlib.nullcontext()
