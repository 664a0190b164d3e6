"""What other nodes bring: their announcements of what they hold, digests and versions to compare, and records.

Whatever comes is for partitions that this node owns, or is refused whole. Records are taken on to the co-owners before
they are confirmed, for who brings them may forget them then. The list of donors changes on disk first, in the
transaction that takes the records.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced, StorageFault
from node.net.messages import Answer, Compare, Differing, Holding, NoRoom, Offer, Push, Taken, Unable, Wanted
from node.net.transport import Answering
from node.repair.holdings import change_by_holding
from node.repair.movement import Movement
from node.replication.streams import Streams
from node.storage.store import Store
from node.timing.clock import Time
from node.values.donors import NO_CHANGE, NOTHING, DonorsChange, Share
from node.values.record import received, version_of
from node.views.holder import Views
from ring.hashing import pack, partition_of, unpack
from ring.sets import bits_of

log = logging.getLogger(__name__)


class _Batch(NamedTuple):
    """What one message brings."""

    sender: Address
    view_id: ViewId
    """Under which it was let in."""
    records: Sequence[tuple[int, bytes, bytes]]
    finished: int
    """The partitions of which nothing is left to bring."""
    covers: bool
    """Whether the sender has all that a copy has to have."""


class Arrivals:
    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        streams: Streams,
        clients_served: Callable[[], bool],
        movement: Movement,
    ) -> None:
        """`clients_served`: whether this node served clients a moment ago."""
        self._config = config
        self._time = time
        self._store = store
        self._views = views
        self._streams = streams
        self._clients_served = clients_served
        self._movement = movement
        self._unsaved: dict[tuple[ViewId, Address], int] = {}
        """The partitions of which somebody has announced to be a donor, and which the disk has not taken down yet."""
        self._turn = asyncio.Lock()
        """One batch at a time is taken while clients are served, and one at a time goes on to the co-owners: what
        clients write meanwhile queues up behind it."""

    def note_holding(self, donor: Address, holding: Holding) -> Answering:
        """Take note of all that `donor` holds of this node's partitions, and so of what it does not hold. A full disk
        takes such notes, but then the donor need not begin to bring anything."""
        ring, me = self._views.ring, self._config.address
        try:
            held = bits_of(unpack(holding.partitions))
        except ValueError:
            return self._refused(donor)
        if held & ~ring.bits_of(me):
            return self._refused(donor)
        is_co_owner, view_id = donor in ring.co_owners(me), self._views.view_id
        change = change_by_holding(self._views.donors, donor, held, is_co_owner, holding.may_lack)
        if unsaved := self.unsaved(donor) & held & ~change.put.get(donor, NOTHING).partitions:
            change = change._replace(put={donor: change.put.get(donor, NOTHING).joined(Share(alone=unsaved))})
        return self._note(view_id, donor, change, bool(held))

    def unsaved(self, donor: Address) -> int:
        """The partitions of which it is a donor, as it has announced, of which the disk does not know yet."""
        return self._unsaved.get((self._views.view_id, donor), 0)

    def check(self) -> None:
        """Raises AssertionError if a restart would forget some of what somebody is a donor of."""
        stored = self._store.donors()
        for donor, share in self._views.donors.shares.items():
            kept = stored.get(donor, NOTHING).joined(Share(alone=self.unsaved(donor)))
            forgotten = any(held & ~on_disk for held, on_disk in zip(share, kept, strict=True))
            assert not forgotten, f"some of what {donor} is a donor of would be forgotten by a restart"

    async def _note(self, view_id: ViewId, donor: Address, change: DonorsChange, brings_any: bool) -> Answer:
        """A donor that is new is asked from now on, however long the disk takes to note that, or if it never does:
        whoever reads its keys meanwhile must not be told that there are none."""
        if change != NO_CHANGE:
            if donor in change.put:
                self._unsaved[view_id, donor] = change.put[donor].partitions
                self._views.change_donors(view_id, DonorsChange(put=change.put))
            try:
                await self._store.change_donors(view_id, change)
            except Fenced:
                self._unsaved.pop((view_id, donor), None)
                return self._views.told()
            except StorageFault:
                return NoRoom()
            self._unsaved.pop((view_id, donor), None)
            self._views.change_donors(view_id, change)
            self._movement.note()
        return NoRoom() if brings_any and self._store.is_full else Taken()

    def compare(self, sender: Address, compare: Compare) -> Answer:
        """Tell of which partitions `sender` holds other records than this node, and of which there are none here."""
        try:
            partitions = unpack(compare.partitions)
        except ValueError:
            return self._refused(sender)
        if not self._owns(partitions) or len(compare.digests) != 8 * len(partitions):
            return self._refused(sender)
        empty: list[int] = []
        different: list[int] = []
        # Records are offered before they are brought, if some of them may be refused: even where nothing is held.
        must_offer = self._is_outside(sender) and self._store.has_forgotten_beyond(compare.stable_watermark)
        for place, partition in enumerate(partitions):
            stats = self._store.stats(partition)
            if stats.digest != int.from_bytes(compare.digests[8 * place : 8 * place + 8]):
                (different if stats.records or must_offer else empty).append(partition)
        return Differing(pack(empty), pack(different), self._store.sweep_watermark)

    def offer(self, sender: Address, offer: Offer) -> Answer:
        """Tell which of the versions offered are newer than what is here, and may be taken."""
        partitions = [partition_of(key) for key, _ in offer.versions]
        if not self._owns(partitions):
            return self._refused(sender)
        wanted: list[int] = []
        is_outside = self._is_outside(sender)
        for index, (partition, (key, version)) in enumerate(zip(partitions, offer.versions, strict=True)):
            if is_outside and self._store.may_revive(version, offer.stable_watermark):
                continue
            held = self._store.encoded(partition, key)
            if held is None or version_of(held) < version:
                wanted.append(index)
        return Wanted(pack(wanted))

    def push(self, sender: Address, push: Push) -> Answering:
        """Take records, on to this node's co-owners too, and forget about a donor where it has finished."""
        try:
            records = received(push.records, self._views.ring, self._config.address)
            finished = bits_of(unpack(push.finished))
        except ValueError:
            return self._refused(sender)
        co_owners = self._views.ring.co_owners(self._config.address)
        batch = _Batch(sender, self._views.view_id, records, finished, not push.may_lack)
        deadline = self._time.monotonic() + self._config.co_owners_wait_s
        waits = sender not in co_owners and (bool(co_owners) or self._clients_served())
        return self._take_in_turn(batch, deadline) if waits else self._take(batch, deadline)

    async def _take_in_turn(self, batch: _Batch, deadline: float) -> Answer:
        """Not for what a co-owner brings: its own turn may be what the others wait for."""
        try:
            async with asyncio.timeout(self._config.co_owners_wait_s):
                await self._turn.acquire()
        except TimeoutError:
            return Unable()
        try:
            return await self._take(batch, deadline)
        finally:
            self._turn.release()

    async def _take(self, batch: _Batch, deadline: float) -> Answer:
        """Once it is on disk here, it is waited for elsewhere until `deadline` (monotonic)."""
        sender, view_id, records, finished, covers = batch
        change = self._views.donors.finish(sender, finished, covers=covers)
        try:
            taken = await self._store.merge(view_id, records, {sender}, change)
            self._views.change_donors(view_id, change)
            if taken or change != NO_CHANGE:
                self._movement.note()
            async with asyncio.timeout(deadline - self._time.monotonic()):
                await self._streams.await_copies(taken, exclude={sender})
                if finished:  # What came in an earlier batch, whose confirmation was lost, counts too.
                    await self._streams.await_outboxes(exclude={sender})
        except Fenced:
            return self._views.told()
        except StorageFault:
            return NoRoom()
        except TimeoutError:
            return Unable()
        return Taken()

    def _is_outside(self, sender: Address) -> bool:
        """Whether it is no node of the view, so that what it brings may revive deleted keys; see `tombstones`."""
        return sender not in self._views.current.nodes

    def _owns(self, partitions: Iterable[int]) -> bool:
        return all(self._views.ring.owns(self._config.address, partition) for partition in partitions)

    def _refused(self, sender: Address) -> Answer:
        log.error("%s sent what cannot be taken", sender)
        return Unable()
