"""What there is to move, and when: whoever holds what others should have brings it to them, see `transfer`.

One rule makes every story end well: *whoever holds keys of a partition that it does not own brings them to its owners,
then forgets them*: an old owner after a view change, a removed node that comes back, a newcomer that took writes under
its own view, the loser of two rival views. A donor announces to each owner of which of its partitions it holds records;
the announcement is complete, so it also says of which it holds none.

A second one keeps copies alike: *whoever was never compared with a co-owner brings it what it may lack*, after a new
view, a start, an emptied disk, or more writes than an outbox remembers. Until then it is a donor to it as well, if the
view named it.

Everything can be repeated, and is, until nothing is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced, PeerFault, StorageFault
from node.net.messages import (
    Answer,
    AskHolding,
    Compare,
    Differing,
    Foreign,
    Holding,
    Offer,
    Owed,
    Push,
    Taken,
    Unable,
    ViewIs,
    Wanted,
)
from node.net.transport import Transport
from node.repair.transfer import Transfers
from node.replication.co_owners import CoOwners
from node.replication.streams import Streams
from node.storage.store import Store
from node.values.donors import NO_CHANGE, NOTHING, DonorsChange, Share
from node.values.record import checked
from node.views.calls import Calls
from node.views.holder import Views
from ring.hashing import pack, partition_of, unpack
from ring.placement import Shard
from ring.ring import Ring
from ring.sets import bits_of

T = TypeVar("T")

CO_OWNERS_S = 1.5
"""How long a batch may wait for this node's co-owners: its sender waits for 2 s."""

log = logging.getLogger(__name__)


class Handoff:
    def __init__(
        self,
        config: Config,
        store: Store,
        views: Views,
        co_owners: CoOwners,
        streams: Streams,
        calls: Calls,
        transport: Transport,
        transfers: Transfers,
    ) -> None:
        self._config = config
        self._store = store
        self._views = views
        self._co_owners = co_owners
        self._streams = streams
        self._calls = calls
        self._transport = transport
        self._transfers = transfers
        self._misplaced: dict[Shard, list[int]] = {}
        self._misplaced_under: tuple[Ring, frozenset[int]] | None = None
        """What `_misplaced` was worked out from."""
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do at once: the view has changed."""
        self._awake.set()

    # What there is to do

    def misplaced(self) -> Mapping[Shard, list[int]]:
        """By their owners, the partitions of which this node, no owner itself, holds records."""
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
                    self._misplaced.setdefault(owners, []).append(partition)
        return self._misplaced

    def _unheard(self, owner: Address) -> list[int]:
        """Of which of its partitions `owner` has not heard all that is here."""
        if owner in self._co_owners.out_of_step():
            return sorted(self._store.occupied & self._views.ring.partitions_of(self._config.address))
        return next((partitions for owners, partitions in self.misplaced().items() if owner in owners), [])

    def handing(self) -> tuple[Owed, ...]:
        """What this node has to hand over, by the first of its owners."""
        return tuple(
            Owed(
                owners[0],
                len(partitions),
                sum(self._store.stats(partition).records for partition in partitions),
            )
            for owners, partitions in self.misplaced().items()
        )

    def waiting(self) -> tuple[Owed, ...]:
        """What this node has yet to hear of, by donor; how many records it will be, only the donor knows."""
        donors = self._views.donors.shares
        return tuple(Owed(donor, share.partitions.bit_count(), 0) for donor, share in donors.items())

    def is_settled(self) -> bool:
        """Nothing to hand over, nobody to wait for but removed nodes that cannot be reached, and each co-owner that can
        be reached has what is here."""
        nodes = self._views.current.nodes
        waits = any(donor in nodes or not self._transport.is_down(donor) for donor in self._views.donors.shares)
        behind = any(not self._transport.is_down(peer) for peer in self._co_owners.out_of_step())
        return not self.misplaced() and not waits and not behind

    def check(self) -> None:
        """Raises AssertionError unless what is to be handed over is what is held and not owned."""
        foreign = self._store.occupied - self._views.ring.partitions_of(self._config.address)
        assert foreign == set().union(*self.misplaced().values()), "what is misplaced is not what is not owned"

    # The side that holds

    async def run(self) -> None:
        """Hand over, compare and claim, for as long as the node runs."""
        under_way: dict[Shard | Address, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._awake.clear()
                under_way = {what: task for what, task in under_way.items() if not task.done()}
                for owners, partitions in self.misplaced().items():
                    if owners not in under_way:
                        under_way[owners] = tasks.create_task(self._hand_over(owners, partitions))
                for peer in self._co_owners.to_compare():
                    if peer not in under_way:
                        under_way[peer] = tasks.create_task(self._bring_up_to_date(peer))
                await asyncio.gather(*map(self._claim, self._views.donors.shares))
                retry = asyncio.get_running_loop().call_later(self._config.handoff_retry_s, self._awake.set)
                await self._awake.wait()
                retry.cancel()

    async def _hand_over(self, owners: Shard, partitions: list[int]) -> None:
        """Bring all owners that can be reached, one at least, what is here of their partitions, and forget it."""
        view_id = self._views.view_id
        answers = await asyncio.gather(*(self._announce(owner, partitions, view_id) for owner in owners))
        reached = {owner: answer for owner, answer in zip(owners, answers, strict=True) if answer is not None}
        if reached and all(isinstance(answer, Taken) for answer in reached.values()):
            await self._transfers.bring(list(reached), partitions, view_id, forget=True)

    async def _announce(self, owner: Address, partitions: list[int], view_id: ViewId) -> Answer | None:
        """Let `owner` know that there is something to come; None if it cannot be reached."""
        try:
            return await self._calls.ask(owner, Holding(pack(partitions)), self._config.silence_s, view_id)
        except PeerFault as fault:
            log.debug("announcement to %s: %s", owner, fault)
            return None

    async def _bring_up_to_date(self, peer: Address) -> None:
        view_id, state = self._views.view_id, self._streams.begin_comparison(peer)
        if state is not None:
            has_arrived = await self._transfers.bring([peer], self._unheard(peer), view_id, forget=False)
            self._streams.end_comparison(state, has_arrived)

    def claim(self, owner: Address) -> Answer:
        """Answer an owner: of which of its partitions are there records here that it has not heard of?"""
        if self._co_owners.may_lack():
            return Unable()
        return Holding(pack(self._unheard(owner)))

    # The side that takes

    async def _claim(self, donor: Address) -> None:
        """Ask a donor for its announcement: it may hold nothing, and then would never speak."""
        view_id = self._views.view_id
        try:
            answer = await self._calls.ask(donor, AskHolding(), self._config.silence_s, view_id)
        except PeerFault as fault:
            log.debug("claim at %s: %s", donor, fault)
            return
        if isinstance(answer, Foreign):
            answer = Holding(b"")  # Another cluster's node has its address now.
        if isinstance(answer, Holding):
            with suppress(StorageFault):  # It will be claimed again.
                await self.announced(donor, view_id, answer)

    async def announced(self, donor: Address, view_id: ViewId, holding: Holding) -> Answer:
        """Take note of all that `donor` holds of this node's partitions, and so of what it does not hold."""
        donors, me = self._views.donors, self._config.address
        try:
            held = bits_of(unpack(holding.partitions))
        except ValueError:
            return self._malformed(donor)
        if held & ~self._views.ring.bits_of(me):
            return self._malformed(donor)
        # A co-owner names all that it holds until the end of a comparison; of what it is a donor, the view has said.
        known = donors.shares.get(donor, NOTHING).partitions
        new = 0 if donor in self._views.ring.co_owners(me) else held & ~known
        change = donors.finish(donor, ~held)
        if new:
            change = change._replace(put={donor: Share(alone=new)})
        if change == NO_CHANGE:
            return Taken()
        try:
            await self._change(view_id, self._store.change_donors(view_id, change), change)
        except Fenced:
            return ViewIs(self._views.current.encoded)
        return Taken()

    async def push(self, sender: Address, view_id: ViewId, push: Push) -> Answer:
        """Take records, on to this node's co-owners too, and forget about a donor where it has finished."""
        try:
            records = [(partition_of(key), key, checked(record)) for key, record in push.records]
            finished = bits_of(unpack(push.finished))
        except ValueError:
            return self._malformed(sender)
        if not self._owns({partition for partition, *_ in records}):
            return self._malformed(sender)
        change = self._views.donors.finish(sender, finished)
        try:
            merged = self._store.merge(view_id, records, {sender}, change)
            taken = await self._change(view_id, merged, change)
            async with asyncio.timeout(CO_OWNERS_S):
                await self._streams.await_copies(taken, exclude={sender})
                if finished:  # What came in an earlier batch, whose confirmation was lost, counts too.
                    await self._streams.await_outboxes(exclude={sender})
        except Fenced:
            return ViewIs(self._views.current.encoded)
        except TimeoutError:
            return Unable()
        return Taken()

    async def _change(self, view_id: ViewId, written: Awaitable[T], change: DonorsChange) -> T:
        """Once `written` is durable, make visible what it changes of the donors. Raises Fenced, StorageFault."""
        result = await written
        if self._views.view_id == view_id:
            self._views.donors.change(change)
        return result

    def compare(self, sender: Address, compare: Compare) -> Answer:
        try:
            partitions = unpack(compare.partitions)
        except ValueError:
            return self._malformed(sender)
        if not self._owns(partitions) or len(compare.digests) != 8 * len(partitions):
            return self._malformed(sender)
        empty: list[int] = []
        different: list[int] = []
        is_doubted = self._is_doubted(sender, compare.stable_watermark)
        for place, partition in enumerate(partitions):
            stats = self._store.stats(partition)
            if stats.digest != int.from_bytes(compare.digests[8 * place : 8 * place + 8]):
                (different if stats.records or is_doubted else empty).append(partition)
        return Differing(pack(empty), pack(different), self._store.sweep_watermark)

    def offer(self, sender: Address, offer: Offer) -> Answer:
        wanted: list[int] = []
        is_doubted = self._is_doubted(sender, offer.stable_watermark)
        for index, (key, version) in enumerate(offer.versions):
            if is_doubted and self._store.is_outdated(version, offer.stable_watermark):
                continue
            held = self._store.get(partition_of(key), key)
            if held is None or held.version < version:
                wanted.append(index)
        return Wanted(pack(wanted))

    def _is_doubted(self, sender: Address, seen: int) -> bool:
        """Whether it may bring what was deleted so long ago that nobody remembers; see `tombstones`."""
        return sender not in self._views.current.nodes and seen < self._store.purge_watermark

    def _owns(self, partitions: Iterable[int]) -> bool:
        return all(self._views.ring.owns(self._config.address, partition) for partition in partitions)

    def _malformed(self, sender: Address) -> Answer:
        log.error("%s sent what does not belong here", sender)
        return Unable()
