"""Does what gossip wants done, and tells it what it has to know of this node.

`gossip` is a state machine: it says what is to be sent, and on whose word a view is to be fetched. Here its messages
are cast, the view is fetched, and the incarnation is stored. Each round begins with what this node says of itself, its
`Announcement`; the node gathers it from the parts that know it, of which none is known here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, TypeVar

import gossip.messages
from gossip.core import Gossip, Output
from gossip.loop import rounds
from gossip.membership import State
from gossip.settings import Settings
from gossip.view import Address, ViewId
from node.errors import StorageFault
from node.net.transport import Transport
from node.storage.identity import note_behind
from node.storage.keys import Setting
from node.storage.store import Store
from node.timing.clock import HybridClock, Time
from node.views.calls import Calls
from node.views.census import Census, LastHeard
from node.views.holder import Views

T = TypeVar("T")

log = logging.getLogger(__name__)


class Announcement(NamedTuple):
    """What this node says of itself in one round of gossip; see the fields of `gossip.messages.MemberRecord`."""

    settled_epoch: int
    key_count: int
    settled_digest: int = 0
    stable: int = 0
    forgettable: int = 0
    to_hand_over: int = 0
    kept: int = 0


class GossipDriver:
    """What is begun here runs in `tasks`, those of the node. `renew_announcement` is called once at the start of each
    round. `note_behind` is called when this disk is found to be older than it was, and tells whether that matters."""

    def __init__(
        self,
        gossip: Gossip,
        settings: Settings,
        time: Time,
        rng: random.Random,
        clock: HybridClock,
        store: Store,
        views: Views,
        calls: Calls,
        transport: Transport,
        renew_announcement: Callable[[], Announcement],
        note_behind: Callable[[], bool],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._gossip = gossip
        self._settings = settings
        self._time = time
        self._rng = rng
        self._clock = clock
        self._store = store
        self._views = views
        self._calls = calls
        self._transport = transport
        self._renew_announcement = renew_announcement
        self._note_behind = note_behind
        self._stable_before = store.low_watermark()
        """Up to which clock this disk has what it takes to announce it, or is known not to have it."""
        self._tasks = tasks
        self._keeping: asyncio.Task[None] | None = None
        """The write of a new lead of the clock that is under way."""
        self._keeping_founding: asyncio.Task[None] | None = None
        """That of who holds the view in force."""

    def rounds(self) -> AbstractAsyncContextManager[None]:
        """Meanwhile, this node gossips."""
        return rounds(self._start_round, self._settings, self._rng)

    def change_view(self) -> None:
        """Another view is in force here."""
        self._gossip.set_view(self._views.view_id, self._views.current.nodes)
        self._clock.forget_all_but(self._gossip.members)

    def census(self) -> Census:
        """What was last heard of the keys of each node."""
        census: dict[Address, LastHeard] = {}
        for node, (state, record) in self._gossip.members.items():
            if record is not None:
                settled, is_well = ViewId(record.settled_epoch, record.settled_digest), state is State.ALIVE
                census[node] = LastHeard(record.key_count, record.to_hand_over, settled, is_well)
        return census

    def hear(self, sender: Address, message: gossip.messages.Message) -> None:
        """Take a cast, if it comes from a node of this store: its record, and what it tells of others, would be told on
        to everybody. Of whom nobody knows whether it is, its view is asked first."""
        views = self._views
        if message.view_id == views.view_id:
            views.note_same_view(sender, [sender] if message.record.key_count else [])
        elif sender in views.kinship.foreign:
            return
        elif not views.kinship.is_judged(sender):
            self._begin(self._calls.learn(sender))
            return
        self._do(self._gossip.receive(sender, message, self._time.monotonic()))
        if self._gossip.stable_before > self._stable_before:
            self._face_older_disk(self._gossip.stable_before)

    def _face_older_disk(self, stable: int) -> None:
        """A process under this address has announced what is not on this disk, though it is there before it is said."""
        self._stable_before = stable
        if self._note_behind():
            log.warning("the disk is older than it was: nobody believes it before co-owners have been compared with")
            self._begin(self._keep_behind(stable))

    def _start_round(self) -> None:
        self._gossip.update(*self._renew_announcement())
        self._do(self._gossip.start_round(self._time.monotonic(), self._rng))
        self._clock.judge()
        if self._clock.has_new_lead and self._keeping is None:
            self._keeping = self._begin(self._keep_lead())
        if self._views.has_new_founding and self._keeping_founding is None:
            self._keeping_founding = self._begin(self._keep_founding())

    def _do(self, output: Output) -> None:
        foreign = self._views.kinship.foreign
        for to, message in output.sends:
            if to not in foreign:
                self._transport.cast(to, message)
        if output.incarnation is not None:
            self._begin(self._store_incarnation(output.incarnation))
        if output.fetch_view_from is not None:
            self._begin(self._calls.learn(output.fetch_view_from))

    def _begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T] | None:
        """None: the node ends. Rounds and casts still come until its last part has ended; nothing new is begun."""
        try:
            return self._tasks.create_task(work)
        except RuntimeError:  # The group says so, and leaves the work to whoever wanted it.
            work.close()
            return None

    async def _keep_lead(self) -> None:
        try:
            await self._clock.keep_lead()
        except StorageFault as fault:
            log.error("cannot store by how much another clock leads: %s", fault)
        self._keeping = None

    async def _keep_behind(self, stable: int) -> None:
        try:
            await note_behind(self._store, stable)
        except StorageFault as fault:
            log.error("cannot store that the disk is older than it was: %s", fault)

    async def _keep_founding(self) -> None:
        try:
            await self._views.keep_founding()
        except StorageFault as fault:
            log.error("cannot store who holds the view in force: %s", fault)
        self._keeping_founding = None

    async def _store_incarnation(self, incarnation: int) -> None:
        """A full disk is no reason to die: an incarnation that comes again is noticed, and gone above, again."""
        try:
            await self._store.set(Setting.INCARNATION, incarnation.to_bytes(8))
        except StorageFault as fault:
            log.error("cannot store incarnation %d: %s", incarnation, fault)
