"""The one mover of keys: whoever holds keys of a partition that it does not own brings them to the owner, then forgets
them.

This one rule makes every story end well: an old owner after a view change, a removed node that comes back, a newcomer
that took writes under its own view, the loser of two rival views. A donor announces to each owner of which of its
partitions it holds records; the announcement is complete, so it also says of which it holds none. It then pushes them
in bounded batches, and drops what the owner has confirmed to have on disk: each record only if it is still the version
that was sent, and only while the view is still the one under which it was confirmed. Dropped any earlier, a crash of
the owner would lose the key; dropped under a newer view, this node might just have become the owner itself.

Everything can be repeated, and is, until nothing is left: merging keeps the newer version, so a batch that arrives
twice changes nothing. A transfer resumes where it broke off, since what has been confirmed is gone here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gossip.view import Address, Stamp
from node.clock import Time
from node.config import Config
from node.errors import Fenced, PeerFault, StorageFault
from node.records import decode_record, version_of
from node.store import Store
from node.transport import Transport
from node.views import Views
from node.wire import Answer, Claim, Foreign, Holding, Owed, Push, Taken, Unable, ViewIs
from ring.hashing import pack, partition_of, unpack
from ring.ring import Ring

log = logging.getLogger(__name__)

TRANSFER_S = 2.0
"""An owner that has not made a batch durable within this is taken for silent, and sent it again: long for a small batch
on a slow disk, short for a link that went dead while a cut lasted."""


class Batch(NamedTuple):
    records: tuple[tuple[bytes, bytes], ...]
    finished: tuple[int, ...]


class Sync:
    """`clients_served` tells whether this node has served clients a moment ago: transfers then leave them room."""

    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        transport: Transport,
        clients_served: Callable[[], bool],
    ) -> None:
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._transport = transport
        self._clients_served = clients_served
        self._misplaced: dict[Address, list[int]] = {}
        self._misplaced_under: tuple[Ring, frozenset[int]] | None = None
        """What `_misplaced` was worked out from."""
        self._wake = asyncio.Event()
        self._turn = asyncio.Lock()
        views.listeners.append(self._wake.set)

    # What there is to do

    def misplaced(self) -> Mapping[Address, list[int]]:
        """For each owner, its partitions of which this node, no owner itself, holds records."""
        ring, occupied = self._views.ring, self._store.occupied
        if (
            self._misplaced_under is None
            or self._misplaced_under[0] is not ring
            or self._misplaced_under[1] is not occupied
        ):
            self._misplaced_under = ring, occupied
            self._misplaced = {}
            for partition in sorted(occupied):
                owners = ring.owners(partition)
                if self._config.address not in owners:
                    for owner in owners:
                        self._misplaced.setdefault(owner, []).append(partition)
        return self._misplaced

    def handing(self) -> tuple[Owed, ...]:
        """What this node has to hand over, by owner."""
        return tuple(
            Owed(owner, len(partitions), sum(self._store.stats(partition).records for partition in partitions))
            for owner, partitions in self.misplaced().items()
        )

    def waiting(self) -> tuple[Owed, ...]:
        """What this node has yet to hear of, by donor; how many records it will be, only the donor knows."""
        return tuple(Owed(donor, len(partitions), 0) for donor, partitions in self._views.donors.by_donor().items())

    def is_settled(self) -> bool:
        """Nothing to hand over, and nobody to wait for but removed nodes that cannot be reached."""
        nodes = self._views.current.nodes
        return not self.misplaced() and all(
            donor not in nodes and self._transport.is_down(donor) for donor in self._views.donors.by_donor()
        )

    def check(self) -> None:
        """Raises AssertionError unless what is to be handed over is what is held and not owned."""
        me, ring = self._config.address, self._views.ring
        foreign = {partition for partition in self._store.occupied if me not in ring.owners(partition)}
        assert foreign == set().union(*self.misplaced().values()), "what is misplaced is not what is not owned"

    # The side of the donor

    async def run(self) -> None:
        """Hand over and claim, for as long as the node runs."""
        transfers: dict[Address, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                transfers = {owner: task for owner, task in transfers.items() if not task.done()}
                for owner, partitions in self.misplaced().items():
                    if owner not in transfers:
                        transfers[owner] = tasks.create_task(self._hand_over(owner, partitions))
                await asyncio.gather(*map(self._claim, self._views.donors.by_donor()))
                try:
                    async with asyncio.timeout(self._config.handoff_retry_s):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _hand_over(self, owner: Address, partitions: list[int]) -> None:
        """Bring `owner` what is here of its partitions; whatever interrupts this, the next round goes on."""
        stamp = self._views.stamp
        streams = [partitions[start :: self._config.handoff_streams] for start in range(self._config.handoff_streams)]
        try:
            if await self._ask(owner, Holding(pack(partitions)), stamp):
                async with asyncio.TaskGroup() as tasks:
                    for stream in streams:
                        tasks.create_task(self._stream(owner, stream, stamp))
        except* Fenced:
            log.debug("the view changed during a transfer to %s", owner)
        except* StorageFault as faults:
            log.error("transfer to %s: %s", owner, faults.exceptions[0])

    async def _stream(self, owner: Address, partitions: Iterable[int], stamp: Stamp) -> None:
        for batch in self._batches(partitions):
            async with self._turn if self._clients_served() else _NO_TURN:
                began = self._time.monotonic()
                if not await self._ask(owner, Push(batch.records, pack(batch.finished)), stamp):
                    return
                await self._store.drop(
                    stamp, [(partition_of(key), key, version_of(record)) for key, record in batch.records]
                )
                if self._clients_served():
                    await asyncio.sleep(self._time.monotonic() - began)

    def _batches(self, partitions: Iterable[int]) -> Iterator[Batch]:
        """The records of `partitions` in batches of bounded size, each read when its turn has come."""
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
                    yield Batch(tuple(records), tuple(finished))
                    records, finished, room = [], [], self._config.batch_bytes
            finished.append(partition)
        yield Batch(tuple(records), tuple(finished))

    async def _ask(self, peer: Address, request: Holding | Push, stamp: Stamp) -> bool:
        """Whether `peer` has taken what `request` brings it."""
        try:
            answer = await self._transport.call(peer, request, stamp, TRANSFER_S, bulk=True)
        except PeerFault as fault:
            log.debug("transfer to %s: %s", peer, fault)
            return False
        if isinstance(answer, ViewIs):
            await self._views.take(answer.view, peer)
        return isinstance(answer, Taken)

    def claim(self, owner: Address) -> Holding:
        """Answer an owner: of which of its partitions are there records here?"""
        return Holding(pack(self.misplaced().get(owner, [])))

    # The side of the owner

    async def _claim(self, donor: Address) -> None:
        """Ask a donor for its announcement: it may hold nothing, and then would never speak."""
        stamp = self._views.stamp
        try:
            answer = await self._transport.call(donor, Claim(), stamp, self._config.silence_s)
        except PeerFault as fault:
            log.debug("claim at %s: %s", donor, fault)
            return
        refusal = await self._views.take(answer.view, donor) if isinstance(answer, ViewIs) else answer
        if isinstance(refusal, Foreign):
            answer = Holding(b"")  # Another cluster's node has its address now.
        if isinstance(answer, Holding):
            await self.announced(donor, stamp, answer)

    async def announced(self, donor: Address, stamp: Stamp, holding: Holding) -> Answer:
        """Take note of all that `donor` holds of this node's partitions, and so of what it does not hold."""
        donors = self._views.donors
        try:
            held = set(unpack(holding.partitions))
        except ValueError:
            return self._malformed(donor)
        mine = set(self._views.ring.partitions_of(self._config.address))
        if not held <= mine:
            return self._malformed(donor)
        add = [(partition, donor) for partition in held if donor not in donors.of(partition)]
        remove = [(partition, donor) for partition in donors.by_donor().get(donor, []) if partition not in held]
        if add or remove:
            return await self._durable(stamp, self._store.change_donors(stamp, add, remove), add, remove)
        return Taken()

    async def push(self, donor: Address, stamp: Stamp, push: Push) -> Answer:
        """Take a donor's records, and forget about the donor where it has finished."""
        try:
            records = [(partition_of(key), key, decode_record(record)) for key, record in push.records]
            finished = [(partition, donor) for partition in unpack(push.finished)]
        except ValueError:
            return self._malformed(donor)
        partitions = {*(partition for partition, *_ in records), *(partition for partition, _ in finished)}
        if not all(self._views.ring.owns(self._config.address, partition) for partition in partitions):
            return self._malformed(donor)
        return await self._durable(stamp, self._store.merge(stamp, records, finished), (), finished)

    async def _durable(
        self,
        stamp: Stamp,
        written: Awaitable[None],
        add: Sequence[tuple[int, Address]],
        remove: Sequence[tuple[int, Address]],
    ) -> Answer:
        """Once a change to records and donors is durable, make it visible; the answer to who asked for it."""
        try:
            await written
        except Fenced:
            return ViewIs(self._views.current.encoded)
        except StorageFault:
            return Unable()
        if self._views.stamp == stamp:
            self._views.donors.add(add)
            self._views.donors.remove(remove)
        return Taken()

    def _malformed(self, donor: Address) -> Answer:
        log.error("%s announced or sent what does not belong here", donor)
        return Unable()


_NO_TURN: contextlib.nullcontext[None] = contextlib.nullcontext()
