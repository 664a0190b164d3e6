"""Does what gossip wants done, and tells it what it has to know of this node.

`gossip` is a state machine: it says what is to be sent, and on whose word a view is to be fetched. Here its messages
are cast, the view is fetched, and the incarnation is stored. What this node says of itself in each round is gathered
from the parts that know it: how many keys it has, whether it has settled its view, and if so, up to where all is on all
owners and deletions may be forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import gossip.messages
from gossip.core import Gossip, Output
from gossip.loop import rounds
from gossip.settings import Settings
from gossip.view import Address
from node.errors import StorageFault
from node.net.transport import Transport
from node.repair.handoff import Handoff
from node.retention.stability import Stability
from node.retention.tombstones import Tombstones
from node.storage.keys import Setting
from node.storage.store import Store
from node.timing.clock import HybridClock, Time
from node.views.calls import Calls
from node.views.holder import Views

log = logging.getLogger(__name__)


class GossipDriver:
    """What is begun here runs in `tasks`. `key_count`: the live keys that this node owns."""

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
        handoff: Handoff,
        stability: Stability,
        tombstones: Tombstones,
        key_count: Callable[[], int],
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
        self._handoff = handoff
        self._stability = stability
        self._tombstones = tombstones
        self._key_count = key_count
        self._tasks = tasks
        self._keeping: asyncio.Task[None] | None = None
        """The write of a new lead of the clock that is under way."""

    def rounds(self) -> AbstractAsyncContextManager[None]:
        """Meanwhile, this node gossips."""
        return rounds(self._start_round, self._settings, self._rng)

    def change_view(self) -> None:
        """Another view is in force here."""
        self._gossip.set_view(self._views.view_id, self._views.current.nodes)
        self._clock.forget_all_but(self._gossip.members)

    def hear(self, sender: Address, message: gossip.messages.Message) -> None:
        """Take a cast."""
        self._do(self._gossip.receive(sender, message, self._time.monotonic()))

    def _start_round(self) -> None:
        view = self._views.current
        is_settled = self._handoff.is_settled()
        self._stability.advance(is_settled)
        if is_settled:
            stable, forgettable = self._stability.announced, self._tombstones.forgettable()
            self._gossip.update(view.epoch, self._key_count(), view.id.digest, stable, forgettable)
        else:
            self._gossip.update(max(0, view.epoch - 1), self._key_count())
        self._do(self._gossip.start_round(self._time.monotonic(), self._rng))
        self._clock.notice_wall()
        if self._clock.has_new_lead and self._keeping is None:
            self._keeping = self._tasks.create_task(self._keep_lead())

    def _do(self, output: Output) -> None:
        for to, message in output.sends:
            self._transport.cast(to, message)
        if output.incarnation is not None:
            self._tasks.create_task(self._store_incarnation(output.incarnation))
        if output.fetch_view_from is not None:
            self._tasks.create_task(self._calls.learn(output.fetch_view_from))

    async def _keep_lead(self) -> None:
        try:
            await self._clock.keep_lead()
        except StorageFault as fault:
            log.error("cannot store by how much another clock leads: %s", fault)
        self._keeping = None

    async def _store_incarnation(self, incarnation: int) -> None:
        """A full disk is no reason to die: an incarnation that comes again is noticed, and gone above, again."""
        try:
            await self._store.set(Setting.INCARNATION, incarnation.to_bytes(8))
        except StorageFault as fault:
            log.error("cannot store incarnation %d: %s", incarnation, fault)
