"""Which view this node holds, and how it comes to hold another one.

- Whether a view may follow the one held is decided by `rules`, here it is done. A view is durable before it is acted
  on, and goes through the writer's queue, so that every write queued under the old one is refused. The donors that come
  with it are stored in the same transaction. It happens whole, even if whoever asked for it goes away.
- A promise is durable, to one coordinator for one epoch; it keeps lower views out but for those that it builds on, see
  `promisee`, and is void after a time. But its epoch is never promised again, not even once the promise is void or
  given back: a coordinator that died with a view stored and told to nobody may return an hour later, and must not find
  another view of the same epoch in force, which by its digest might lose to it although it was acknowledged.
- A node that knows of a later view and cannot store it serves nothing, see `lag`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

import msgspec

from gossip.view import Address, BadView, View, ViewId, decode_view
from node.config import Config
from node.errors import Fenced, StorageFault
from node.net.messages import Busy, Foreign, NoRoom, Promise, Promised, ToldView, Unable, ViewIs
from node.storage.kept import read_kept
from node.storage.keys import Setting
from node.storage.store import Store
from node.storage.transaction import Transaction
from node.timing.clock import Time
from node.values.donors import Donors, DonorsChange, shares_under
from node.values.version import reading_at
from node.views.founding import Founding, founding_at_start, founding_of
from node.views.kinship import Kinship
from node.views.lag import Lag
from node.views.promisee import NOBODY, Promisee
from node.views.rules import (
    Heard,
    Succession,
    ViewHolder,
    are_kin,
    believable,
    decide_succession,
    difference_to_environment,
    environment_view,
    environments_contradict,
    is_foreign,
    may_be_promised,
    ring_of,
)
from node.views.standing import Standing
from node.views.takeover import take_over
from ring.ring import Ring
from ring.sets import ALL

log = logging.getLogger(__name__)


class Views:
    """The view of one node. `on_change` is called whenever another one has become visible here, before anything else
    happens."""

    def __init__(
        self,
        config: Config,
        store: Store,
        time: Time,
        on_change: Callable[[], None],
        former: Address | None = None,
    ) -> None:
        """`former`: see `Identity`. Raises StorageFault."""
        self._config = config
        self._store = store
        self._time = time
        self._on_change = on_change
        self._former = former
        self._adopting = asyncio.Lock()
        self._adoptions: dict[tuple[bytes, tuple[Address, ...], Address], asyncio.Task[Busy | Foreign | None]] = {}
        self._followed: Address | None = None
        self._introduced: frozenset[Address] = frozenset()
        self._has_asked_around = False
        self.kinship = Kinship(config.address)
        # Whoever asks may read these; they are attributes because each request asks ten times.
        stored = store.view()
        self.current: View = stored or environment_view(config)
        """The view in force here."""
        self._founding = founding_at_start(store.setting(Setting.FOUNDING), stored, self.current, config.address)
        self._founding_kept = self._founding
        """As it is on disk."""
        self.view_id: ViewId = self.current.id
        self.ring: Ring = read_kept(Setting.VIEW, ring_of, self.current)
        """That of the view in force; another object whenever that changes."""
        self.donors = Donors(store.donors())
        """Those of the view in force that have yet to hand over."""
        self.lag = Lag(config.adoption_s)
        self.standing = Standing(store)
        self.is_newcomer = False
        """Whether this node came into the view, or one before it, since it started, and so with the disk that it has:
        of what it was ever brought as an owner, nothing is lost."""
        self._promisee = store.kept(Setting.PROMISE, Promisee.decoded, NOBODY)
        self._promised_at = time.monotonic()

    async def start(self) -> None:
        """Make the environment's view durable where the disk has none, and this node's what was another's."""
        if self._store.view() is None:
            view, founding, now = self.current, self._founding, reading_at(self._time.wall_ms())

            def job(transaction: Transaction) -> None:
                transaction.enter(view)
                transaction.set(Setting.FOUNDING, msgspec.msgpack.encode(founding))
                transaction.raise_stable_watermark(now)

            await self._store.submit(job)
        elif (difference := difference_to_environment(self._config, self.current)) is not None:
            log.warning("%s", difference)
        if self._former is not None:
            me = self._config.address
            self.donors = await take_over(self._store, self.current, self.ring, me, self._former)

    def holds_keys(self) -> bool:
        return bool(self._store.occupied)

    def _as_holder(self) -> ViewHolder:
        me = self._config.address
        named = (self._introduced | frozenset(self._config.view)) - {me}
        founders = self.founding.founders
        asked, stores = self._has_asked_around, self.kinship.stores
        return ViewHolder(me, named, self.current, founders, self.holds_keys(), self._followed, asked, stores)

    @property
    def is_blank(self) -> bool:
        """Whether this node has never held a key, and knows no one but itself."""
        return self.current.nodes == {self._config.address} and not self._as_holder().has_a_store

    def introduce(self, nodes: Iterable[Address]) -> None:
        """An operator wants this node together with these: they are as good as named by its environment."""
        self._introduced |= frozenset(nodes)

    def note_asked_around(self) -> None:
        """Those that the environment names have been asked for their views, as far as they could be reached."""
        self._has_asked_around = True

    def told(self) -> ViewIs:
        """What this node answers when it is asked for its view."""
        return ViewIs(self.current.encoded, self.founders)

    @property
    def founders(self) -> tuple[Address, ...]:
        """Those of the view in force, as they are told."""
        return tuple(sorted(self.founding.founders))

    def refusal(self, view_id: ViewId) -> ViewIs | None:
        """None if what was said under that view may be acted on; else the answer that refuses it."""
        return None if view_id == self.view_id else self.told()

    # Who is of this store

    @property
    def founding(self) -> Founding:
        """What is known by now of the view in force."""
        if self.current.epoch == 0 and not self._founding.has_keys and self.holds_keys():
            self._founding = self._founding.with_holders(self.current, (), has_keys=True)
        return self._founding

    def note_same_view(self, peer: Address, founders: Collection[Address] = ()) -> None:
        """`peer` holds the view in force, and knows of these founders."""
        self.kinship.note_store(peer, self.current.lineage_of_successor)
        self.kinship.note_same_view(peer)
        if self.current.epoch == 0:
            self._founding = self.founding.with_holders(self.current, [peer, *founders], bool(founders))

    @property
    def has_new_founding(self) -> bool:
        """Whether `keep_founding` has something to do."""
        return self.current.epoch == 0 and self.founding != self._founding_kept

    async def keep_founding(self) -> None:
        """Make durable what is new of it. To be called now and then: a node that started anew without it would take
        whoever has the address of one of its kind for that one. Raises StorageFault."""
        view_id, founding = self.view_id, self.founding

        def job(transaction: Transaction) -> None:
            transaction.demand(view_id)
            transaction.set(Setting.FOUNDING, msgspec.msgpack.encode(founding))

        with suppress(Fenced):  # It is of another view by now.
            await self._store.submit(job)
            self._founding_kept = founding

    # Adopting

    async def adopt(self, view: View, source: Address) -> Busy | Foreign | None:
        """Take `view`, heard from `source`, if it may follow the one held. None: it did, or was not needed. Raises
        BadView, StorageFault."""
        return await self._adopt_once((view.encoded, (), source), lambda: view)

    async def _adopt_once(
        self, told: tuple[bytes, tuple[Address, ...], Address], decode: Callable[[], View]
    ) -> Busy | Foreign | None:
        """All who bring the same view at the same time wait for one adoption, lest each call that a change of view
        refuses decode it anew. Whoever waits may go away: half an adoption must not be left. `told`: the view, its
        founders, and who has told it."""
        adoption = self._adoptions.get(told)
        if adoption is None:
            _, founders, source = told
            view = decode()
            heard = Heard(view, view.nodes.intersection(founders), source)
            adoption = self._adoptions[told] = asyncio.create_task(self._adopt(heard))
            adoption.add_done_callback(lambda _: self._adoptions.pop(told))
        return await asyncio.shield(adoption)

    async def _adopt(self, heard: Heard) -> Busy | Foreign | None:
        """Whether the view may follow is decided at once, so that one which changes nothing waits for nobody; and again
        under the lock, for another view may have been adopted while this one waited for it."""
        view, _, source = heard
        self.kinship.note_store(source, view.lineage_of_successor)
        if environments_contradict(self._as_holder(), heard):
            higher = source if view.id > self.view_id else self._config.address
            self.kinship.complain(
                source, f"its VIEW or REPL_FACTOR differs from this node's; the one of {higher} holds"
            )
        if decide_succession(self._as_holder(), heard) is Succession.KEEP:
            self._note_kept(heard)
            return None
        ring = ring_of(view)
        async with self.lag.adopting(), self._adopting:
            succession = decide_succession(self._as_holder(), heard)
            if succession is Succession.FOREIGN:
                self.kinship.note_foreign(source)
                return Foreign()
            if succession is Succession.AWAIT:
                self.kinship.note_awaited(source, is_member=source in self.current.nodes)
                return None
            promisee = self.promisee()
            if succession is Succession.KEEP:
                self._note_kept(heard)
                return None
            if promisee.keeps_out(view.id):
                return promisee.as_busy
            me, held = self._config.address, self.founding.who_held(self.current)
            shares = shares_under(view, ring, self.current, self.ring, self.donors, me, held)
            change = DonorsChange(remove=dict.fromkeys(self.donors.shares, ALL), put=shares)
            left = promisee if view.epoch < promisee.epoch else promisee.given_back()
            founding = founding_of(view, [source, me, *heard.founders], bool(heard.founders))
            now, strayed = reading_at(self._time.wall_ms()), self.standing.move(self.current, view)

            def job(transaction: Transaction) -> None:
                if not self._store.occupied and not transaction.stats:
                    transaction.raise_stable_watermark(now)  # Who holds nothing has missed nothing; see `tombstones`.
                transaction.enter(view)
                transaction.set(Setting.PROMISE, left.encoded())
                transaction.set(Setting.FOUNDING, msgspec.msgpack.encode(founding))
                transaction.change_donors(change)
                self.standing.keep(transaction, strayed)

            await self._store.submit(job)
            self.standing.note_moved(strayed)
            if not are_kin(self.current, view):
                self.kinship.begin_anew()
            if view.epoch == 0:
                self._followed = source
            self.is_newcomer = me in view.nodes and (self.is_newcomer or me not in self.current.nodes)
            self._promisee = left
            self.lag.note_stored()
            self.current, self.view_id, self.ring = view, view.id, ring
            self._founding = self._founding_kept = founding
            self.kinship.note_taken_in(view.nodes)
            self.kinship.note_same_view(source)
            self.donors = Donors(shares)
        log.info("view %s: %d nodes, %d shards", view.id, len(view.nodes), len(view.shards))
        self._on_change()
        return None

    async def take(self, told: ToldView, source: Address) -> Busy | Foreign | None:
        """`adopt` a view as it came from a peer. One that is none is logged and refused; one that cannot be stored now
        will be heard of again."""
        if told.view == self.current.encoded:
            self.note_same_view(source, told.founders)
            return None
        try:
            return await self._adopt_once((told.view, told.founders, source), lambda: decode_view(told.view))
        except BadView as error:
            self.kinship.complain(source, f"what it sends is no view: {error}")
            return Foreign()
        except StorageFault as fault:
            self.kinship.complain(source, f"its view, a later one, cannot be stored: {fault}")
            self.lag.note_refused()
            return None

    def _note_kept(self, heard: Heard) -> None:
        """A node that is behind is of this store; whether one that holds another environment's view is, will show."""
        if are_kin(self.current, heard.view):
            self.kinship.note_kin(heard.source)

    # Donors

    def change_donors(self, view_id: ViewId, change: DonorsChange) -> None:
        """Make visible what has changed on disk under the view `view_id`: not if another one has been adopted since,
        which came with donors of its own."""
        if view_id == self.view_id:
            self.donors.change(change)

    # Promises

    def promisee(self) -> Promisee:
        """Who has this node's promise now."""
        is_void = self._time.monotonic() - self._promised_at > self._config.promise_s
        return self._promisee.given_back() if is_void else self._promisee

    async def promise(self, request: Promise) -> Promised | Busy | Foreign | ViewIs | NoRoom | Unable:
        async with self._adopting:
            return await self._promise(request)

    async def _promise(self, request: Promise) -> Promised | Busy | Foreign | ViewIs | NoRoom | Unable:
        mine, held = self.current, self.promisee()
        wanted = Promisee(request.epoch, request.coordinator, request.target, request.base)
        if is_foreign(self._as_holder(), request.lineage, request.coordinator, request.old_nodes):
            return Foreign()
        if request.base is not None and mine.id.supersedes(request.base):
            return self.told()  # What it builds on is out of force: what was done since would be undone.
        if held.is_held and held.coordinator != wanted.coordinator and request.epoch > mine.epoch:
            return held.as_busy
        if request.epoch <= max(mine.epoch, believable(held.epoch, mine.epoch)) and held != wanted:
            return self.told()
        if not may_be_promised(request.epoch, mine.epoch + 1):
            log.error("refused to promise the epoch %d: that in force is %d", request.epoch, mine.epoch)
            return Unable()
        try:
            await self._hold(wanted)
        except StorageFault:
            return NoRoom()
        supports = mine.id == request.base and self.standing.supports(mine)
        return Promised(supports, supports and self.standing.is_established(mine))

    async def release(self, epoch: int, coordinator: Address) -> ViewIs:
        """Forget the promise of `epoch` to `coordinator`; a no-op if another one is held."""
        if self._promisee[:2] == (epoch, coordinator):
            await self._hold(self._promisee.given_back())
        return self.told()

    async def _hold(self, promisee: Promisee) -> None:
        before = self._promisee, self._promised_at
        self._promisee, self._promised_at = promisee, self._time.monotonic()
        try:
            await self._store.set(Setting.PROMISE, promisee.encoded())
        except StorageFault:
            self._promisee, self._promised_at = before
            raise
