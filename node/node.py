"""One node, put together: which part of it answers which call, and the tasks that run as long as it does.

Clock, chance, store and transport come in from outside, so that whole clusters can live in one process. What a node is
called by others is decided in `answer`, and only there: a call under another view than this node's never reaches the
part it is for.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Collection

import gossip.messages
from gossip.core import Gossip
from gossip.settings import Settings
from gossip.view import Address, ViewId
from node.config import Config
from node.diagnosis.inspector import Inspector
from node.diagnosis.own_keys import OwnKeys
from node.diagnosis.recorder import Counted, Recorder, nothing_counted
from node.diagnosis.vitals import Vitals
from node.errors import StorageFault
from node.gossip_driver import Announcement, GossipDriver
from node.net.messages import (
    Adopt,
    Answer,
    AskFigures,
    AskHealth,
    AskHolding,
    AskStamp,
    AskStatus,
    Batch,
    Compare,
    Confirm,
    CountKeys,
    Export,
    Fetch,
    FetchPartitions,
    FetchRange,
    FetchView,
    Heartbeat,
    Hello,
    Holding,
    ListKeys,
    Offer,
    Promise,
    Push,
    Read,
    Release,
    Replicate,
    Request,
    Status,
    Tail,
    Unable,
    Write,
    WriteIf,
)
from node.net.transport import Answering, Transport, answer_of
from node.operations.batching import Batching
from node.operations.owner import Owner
from node.operations.router import Router
from node.operations.routing import Routing
from node.operations.whole_store import WholeStore
from node.repair.antientropy import AntiEntropy
from node.repair.arrivals import Arrivals
from node.repair.handoff import Handoff
from node.repair.movement import Movement
from node.repair.transfer import Transfers
from node.replication.co_owner_tasks import CoOwnerTasks
from node.replication.co_owners import CoOwners
from node.replication.heartbeats import Heartbeats
from node.replication.streams import Streams
from node.retention.expiry import Expiry
from node.retention.stability import Stability
from node.retention.tombstones import Tombstones
from node.state_log import StateLog
from node.storage.clock_memory import ClockMemory
from node.storage.identity import Identity
from node.storage.store import Store
from node.storage.transaction import Transaction
from node.time_limits import gossip_settings_for
from node.timing.clock import HybridClock, Time
from node.timing.expiry_clock import ExpiryClock
from node.views.asking import Asking
from node.views.calls import Calls
from node.views.census import Census
from node.views.confirming import Confirming
from node.views.coordinator import Coordinator
from node.views.forecast import Forecaster
from node.views.holder import Views
from node.views.readiness import Readiness
from node.watching.hub import Hub
from node.watching.owner_log import OwnerLog
from ring.hashing import unpack

log = logging.getLogger(__name__)


class Node:
    def __init__(
        self,
        config: Config,
        time: Time,
        rng: random.Random,
        store: Store,
        identity: Identity,
        transport: Transport,
        gossip_settings: Settings | None = None,
        counted: Callable[[], Counted] = nothing_counted,
    ) -> None:
        self.config = config
        self._time = time
        self.store = store
        memory = ClockMemory(store, config.commit_s)
        clock = self.clock = HybridClock(config, time, identity.store_id, memory.recall(), memory.keep)
        self.transport = transport
        transport.attach(clock, self)
        views = self.views = Views(config, store, time, self._view_changed, identity.former)
        lapse = ExpiryClock(clock, lambda: views.current.nodes == {config.address}, store.expiries.told_ms())
        calls = self.calls = Calls(config, time, views, transport)
        readiness = self.readiness = Readiness(config, time, rng, views, calls, self._was_paused)
        co_owners = self.co_owners = CoOwners(config, time, views, identity.is_filled, calls, identity.is_behind)
        tasks = CoOwnerTasks(co_owners)
        streams = self.streams = Streams(config, time, store, views, co_owners, tasks, calls)
        now_ms = self.expiry_now_ms = lapse.now_ms
        """The time by which keys expire."""
        own_log = self._own_log = OwnerLog(config, time, rng, views, readiness, co_owners, streams)
        store.attach(self._committed)
        clock.attach(readiness.admit_peer)
        self.hub = Hub(config, time, views, calls, own_log)
        self.heartbeats = Heartbeats(
            config, time, identity.store_id, store, readiness, co_owners, tasks, streams, calls
        )
        confirming = self._confirming = Confirming(config, views, calls)
        self.owner = Owner(config, time, clock, store, views, readiness, co_owners, streams, calls, confirming, now_ms)
        movement = self.movement = Movement(time)
        transfers = Transfers(config, time, store, calls, self._clients_served, co_owners.may_lack, movement)
        self.arrivals = Arrivals(config, time, store, views, self.streams, self._clients_served, movement)
        self.handoff = Handoff(
            config, store, views, co_owners, self.streams, calls, transfers, self.arrivals, movement, time, clock.now_ms
        )
        self.antientropy = AntiEntropy(config, store, views, co_owners, calls)
        asking = Asking(config, time, views, calls, self._answer_here, StateLog())
        self.coordinator = Coordinator(config, time, views, calls, asking, confirming, clock.now_ms, self._census)
        self.forecaster = Forecaster(config, views, calls, asking, self._census)
        settings = gossip_settings or gossip_settings_for(config.round_trip_ms)
        assert config.tombstone_grace_s <= settings.forget_unsettled_s, "whoever may bring something home is remembered"
        self.gossip = Gossip(config.address, identity.store_id, identity.incarnation, settings, time.monotonic())
        self.stability = Stability(config, time, clock, store, views, co_owners, self.gossip)
        self.tombstones = Tombstones(
            config, time, store, views, self.stability, clock.now_ms, lambda: bool(self.handoff.misplaced())
        )
        self.expiry = Expiry(config, store, lapse, clock.observe)
        routing, unstable = Routing(config, time, views, readiness, calls, transport), self.stability.unstable
        self.router = Router(config, time, clock, views, readiness, self.owner, unstable, calls, routing, now_ms)
        self.batching = Batching(config, clock, views, readiness, self.owner, calls, routing, self.router)
        self.whole_store = WholeStore(config, time, store, views, readiness, co_owners, calls, routing, now_ms)
        self.own_keys = OwnKeys(config, store, views)
        recorder = Recorder(identity.incarnation, counted, self.handoff.to_hand_over, time.monotonic())
        self.vitals = Vitals(config, time, store, views, readiness, clock, recorder)
        self.inspector = Inspector(config, time, views, calls, confirming, clock, self.gossip, self.vitals, self.status)
        self._tasks, announce, note_behind = asyncio.TaskGroup(), self._renew_announcement, co_owners.note_behind
        self._gossip_driver = GossipDriver(
            self.gossip, settings, time, rng, clock, store, views, calls, transport, announce, note_behind, self._tasks
        )

    async def start(self) -> None:
        """Before `run`. Raises StorageFault."""
        await self.views.start()
        mine, view = self.status().zone_at(self.config.address), self.views.current
        if (told := view.zone_of.get(self.config.address)) not in (None, mine):
            log.warning("ZONE is %s, but %s in view %s: the next view change goes by it", mine, told, view.id)
        self._gossip_driver.change_view()

    async def run(self) -> None:
        """Live, until cancelled. An error in any part ends the whole: a node that is half alive misleads everybody."""
        async with self._gossip_driver.rounds(), self._tasks:
            lasting = (self.readiness, self.heartbeats, self.streams, self.handoff, self.stability, self.tombstones)
            for part in (*lasting, self.expiry, self.antientropy, self.hub):
                self._tasks.create_task(part.run())

    def stop_serving(self) -> None:
        """Let co-owners answer and acknowledge without this node, which is about to stop: it gives up its leases, and
        grants none. Whoever watches through it is told nothing more."""
        self.co_owners.stop()
        self.hub.stop()

    async def close(self) -> None:
        """After `run` has ended: give up what is under way, and every link."""
        await self.coordinator.close()
        await self.transport.close()

    def _renew_announcement(self) -> Announcement:
        """Bring up to date what this node says of itself, and return it."""
        view, is_settled = self.views.current, self.handoff.is_settled()
        self.stability.advance(is_settled)
        self.inspector.look()
        return Announcement(
            view.epoch if is_settled else max(0, view.epoch - 1),
            self.own_keys.count,
            view.id.digest if is_settled else 0,
            self.stability.announced,
            self.tombstones.forgettable(),
            self.handoff.to_hand_over(),
            self.handoff.kept(),
        )

    def check(self, partitions: Collection[int] | None = None) -> None:
        """Raises AssertionError if an invariant does not hold. Of the store it checks these partitions; None: all, and
        what only a walk can show. To be called when nothing waits to run: between a commit and those who waited for it,
        disk and memory differ."""
        self.handoff.check()
        self.co_owners.check()
        self.store.check(partitions)
        if partitions is None:
            self.gossip.check()
            view, ring = self.views.current, self.views.ring
            assert (ring.shards, ring.table) == (view.shards, unpack(view.table)), "the ring is not that of the view"
            assert self.store.view() == view, "the view in force is not the one on disk"
            self.arrivals.check()

    # What the whole node does about what one part has noticed

    def _committed(self, transaction: Transaction) -> None:
        self.streams.spread(transaction.news)
        self._own_log.note(transaction.changes)

    def _view_changed(self) -> None:
        """In this order: what was promised to co-owners is settled before anything is moved."""
        self.movement.note()
        self.streams.change_view()
        self.owner.change_view()
        self.hub.change_view()
        for donor in self.views.donors.shares:
            self.transport.dial_anew(donor)  # It may have come up, and not know that this node will ask.
        self.handoff.wake()
        self._gossip_driver.change_view()

    def _was_paused(self, is_long: bool) -> None:
        """Nothing that counted before may count now, and nothing that had piled up is executed."""
        if is_long:
            self.coordinator.break_off()
        self.co_owners.drop_leases()
        self.transport.reset()
        self.handoff.forget_silence()

    # Other nodes

    def answer(self, sender: Address, view_id: ViewId, budget_s: float, request: Request) -> Answering:
        if not self.readiness.admit_peer():
            return Unable()  # The links are being reset: nobody hears it.
        if view_id == self.views.view_id or request.any_view:
            return self._act(sender, budget_s, request)
        return self._answer_reconciled(sender, view_id, budget_s, request)

    async def _answer_reconciled(self, sender: Address, view_id: ViewId, budget_s: float, request: Request) -> Answer:
        until = self._time.monotonic() + budget_s
        try:
            async with asyncio.timeout(self.config.reconcile_share * budget_s):
                refusal = await self.calls.reconcile(sender, view_id)
        except TimeoutError:
            return Unable()  # The disk is slow. Who is merely silent is passed over, and what only it has is missed.
        return await answer_of(refusal or self._act(sender, until - self._time.monotonic(), request))

    async def _answer_here(self, request: Request) -> Answer:
        """What any other node would be answered: a full disk here is no reason to forget what others have answered."""
        try:
            return await answer_of(self._act(self.config.address, self.config.request_s, request))
        except StorageFault as fault:
            log.error("a call of this node to itself: %s", fault)
            return Unable()

    def _act(self, sender: Address, budget_s: float, request: Request) -> Answering:
        """Begins at once, under the view in force; what it waits for later, the store's fence holds to that view."""
        match request:
            case Read() | Write() | WriteIf() | Batch():
                return self.owner.serve(request, budget_s)
            case Fetch(key):
                return self.owner.fetch(key)
            case ListKeys() | Export():
                return self.whole_store.serve(request, budget_s)
            case FetchRange() | FetchPartitions():
                return self.whole_store.fetch(sender, request)
            case Tail():
                return self._own_log.serve(sender, request)
            case AskStamp():
                return self.router.lend_stamp()
            case Heartbeat():
                return self.heartbeats.answer(sender, request)
            case Replicate():
                return self.streams.replicate(sender, request)
            case Compare():
                return self.arrivals.compare(sender, request)
            case Offer():
                return self.arrivals.offer(sender, request)
            case Push():
                return self.arrivals.push(sender, request)
            case Holding():
                return self.arrivals.note_holding(sender, request)
            case AskHolding():
                return self.handoff.holding_for(sender)
            case Hello():
                return self.calls.hello(sender, request)
            case FetchView():
                return self.views.told()
            case Promise():
                return self.views.promise(request)
            case Release(epoch, coordinator):
                return self.views.release(epoch, coordinator)
            case Adopt():
                return self._adopt(request, sender)
            case Confirm():
                return self._confirming.answer(request)
            case AskStatus():
                return self.status()
            case AskHealth() | AskFigures():
                return self.vitals.answer(request)
            case CountKeys(partitions):
                return self.own_keys.counts(partitions)

    async def _adopt(self, request: Adopt, sender: Address) -> Answer:
        return await self.views.take(request, sender) or self.views.told()

    def status(self) -> Status:
        promisee = self.views.promisee()
        return Status(
            self.views.view_id,
            promisee.epoch,
            promisee.target,
            self.own_keys.count,
            self.handoff.handing(),
            self.handoff.waiting(),
            self.handoff.is_settled(),
            self.views.holds_keys(),
            self.config.zone,
            self.co_owners.may_lack() and not self.views.is_newcomer,
            self.store.is_full,
            self.movement.still_ms(),
        )

    def hear(self, sender: Address, message: gossip.messages.Message) -> None:
        self._gossip_driver.hear(sender, message)

    def _census(self) -> Census:
        return self._gossip_driver.census()

    def _clients_served(self) -> bool:
        return self._time.monotonic() - self.owner.served_at < self.config.clients_recent_s
