"""Which view this node holds, and what makes it take another. The rules, once each:

- `judge`: may a view follow the one held? From epoch 1 on, the higher id of the same lineage does. Views from the
  environment (epoch 0) are not ordered like that, for an operator's typing error must not spread: a node follows a peer
  that its own environment names if that peer's view omits it, and of two views that name both nodes the higher digest
  wins.
- `adopt`: a view is durable before it is acted on, and goes through the writer's queue, so that every write queued
  under the old one is refused. The donors that come with it are stored in the same transaction. It happens whole, even
  if whoever asked for it goes away.
- `reconcile`: what every call from another node passes first. The holder of the higher view refuses and attaches it;
  the holder of the lower one fetches and adopts it before it acts. A donor that has answered its successor is thereby
  fenced.
- `promise`: durable, to one coordinator for one epoch; it keeps lower views out, and is void after a time.
- `is_behind`: who knows of a later view that its disk cannot take serves nothing until it can.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple, TypeAlias

import msgspec

from gossip.view import Address, BadView, View, ViewId, decode_view
from node.config import Config
from node.errors import PeerLost, PeerRefused, StorageFault
from node.net.messages import Answer, Busy, FetchView, Foreign, Hello, Promise, Promised, ViewIs
from node.net.transport import Transport
from node.storage.keys import Setting
from node.storage.store import Store
from node.storage.transaction import Transaction
from node.timing.clock import Time
from node.values.donors import Donors, DonorsChange, shares_under
from ring.placement import Placement, first_placement
from ring.ring import Ring
from ring.sets import ALL

log = logging.getLogger(__name__)


class Verdict(Enum):
    TAKE = "take"
    KEEP = "keep"
    FOREIGN = "foreign"


class Promisee(NamedTuple):
    """Who has this node's promise, for which epoch and change."""

    epoch: int
    coordinator: Address
    target: str


Heard: TypeAlias = Answer | None
"""What came of asking a peer for its view: None if it did not answer, Foreign if it is of another cluster."""

NOBODY = Promisee(0, "", "")


def environment_view(config: Config) -> View:
    """The epoch-0 view that `config` describes: the same on every node that is told the same, in whatever order."""
    placement = first_placement(config.view, config.repl_factor)
    return View(0, 0, None, "", config.repl_factor, placement.shards, placement.table, ())


def ring_of(view: View) -> Ring:
    """Raises BadView if the view's table is not one of this product's."""
    try:
        return Ring(Placement(view.shards, view.table))
    except ValueError as error:
        raise BadView(str(error)) from None


class Views:
    """The view of one node. `listeners` are told of each new one after it has become visible here."""

    def __init__(self, config: Config, store: Store, time: Time, transport: Transport) -> None:
        self._config = config
        self._store = store
        self._time = time
        self._transport = transport
        self._adopting = asyncio.Lock()
        self._adoptions: dict[tuple[bytes, Address], asyncio.Task[Busy | Foreign | None]] = {}
        self._questions: dict[Address, asyncio.Task[Heard]] = {}
        self._followed: Address | None = None
        self.is_behind = False
        """Whether a later view is known that could not be stored: what this node holds is out of force."""
        self.listeners: list[Callable[[], None]] = []
        self.current = store.view() or environment_view(config)
        self.ring = ring_of(self.current)
        self.donors = Donors(store.donors())
        promise = store.setting(Setting.PROMISE)
        self._promisee = NOBODY if promise is None else msgspec.msgpack.decode(promise, type=Promisee)
        self._promised_at = time.monotonic()

    @property
    def view_id(self) -> ViewId:
        return self.current.id

    async def start(self) -> None:
        """Make the environment's view durable where the disk has none."""
        if self._store.view() is None:
            view, now = self.current, self._time.wall_ms() << 16

            def job(transaction: Transaction) -> None:
                transaction.enter(view)
                transaction.raise_stable_watermark(now)

            await self._store.submit(job)

    def holds_keys(self) -> bool:
        return bool(self._store.occupied)

    def names(self, nodes: Iterable[Address]) -> bool:
        """Whether this node's environment names any of `nodes`, itself apart."""
        return not set(nodes).isdisjoint(set(self._config.view) - {self._config.address})

    # Adopting

    def judge(self, view: View, source: Address) -> Verdict:
        mine = self.current
        if view.id == mine.id or view.epoch == 0 < mine.epoch:
            return Verdict.KEEP
        if view.epoch == mine.epoch == 0:
            return self._judge_environments(view, source)
        if mine.epoch == 0:
            related = view.lineage == mine.lineage_of_successor or self.names(view.nodes | {source})
            taken_in = self._config.address in view.nodes and not self.holds_keys()
            return Verdict.TAKE if related or taken_in else Verdict.FOREIGN
        if view.lineage != mine.lineage:
            return Verdict.FOREIGN
        return Verdict.TAKE if view.id > mine.id else Verdict.KEEP

    def _judge_environments(self, theirs: View, source: Address) -> Verdict:
        me, mine = self._config.address, self.current
        if not self.names([source]):
            return Verdict.KEEP
        higher = theirs.id > mine.id
        if me not in theirs.nodes:
            return Verdict.TAKE if higher or me in mine.nodes or self._followed == source else Verdict.KEEP
        if me not in mine.nodes:
            return Verdict.TAKE if self._followed == source else Verdict.KEEP
        log.error(
            "VIEW or REPL_FACTOR of %s and %s differ; %s goes by the one of %s",
            me,
            source,
            me,
            source if higher else me,
        )
        return Verdict.TAKE if higher else Verdict.KEEP

    async def adopt(self, view: View, source: Address) -> Busy | Foreign | None:
        """Take `view`, heard from `source`, if it may follow the one held. None: it did, or was not needed. Raises
        BadView, StorageFault."""
        return await self._adopt_once(view.encoded, source, lambda: view)

    async def _adopt_once(self, encoded: bytes, source: Address, decode: Callable[[], View]) -> Busy | Foreign | None:
        """All who bring the same view at the same time wait for one adoption, lest each call that a change of view
        refuses decode it anew. Whoever waits may go away: half an adoption must not be left."""
        adoption = self._adoptions.get((encoded, source))
        if adoption is None:
            adoption = self._adoptions[encoded, source] = asyncio.create_task(self._adopt(decode(), source))
            adoption.add_done_callback(lambda _: self._adoptions.pop((encoded, source)))
        return await asyncio.shield(adoption)

    async def _adopt(self, view: View, source: Address) -> Busy | Foreign | None:
        if self.judge(view, source) is Verdict.KEEP:
            return None
        ring = ring_of(view)
        async with self._adopting:
            verdict = self.judge(view, source)
            if verdict is Verdict.FOREIGN:
                log.error("refused the view %s of %s: it is of another cluster", view.id, source)
                return Foreign()
            promisee = self.promisee()
            if verdict is Verdict.KEEP:
                return None
            if view.epoch < promisee.epoch:
                return Busy(*promisee)
            shares = shares_under(view, ring, self.current, self.ring, self.donors, self._config.address)
            change = DonorsChange(remove=dict.fromkeys(self.donors.shares, ALL), put=shares)
            now = self._time.wall_ms() << 16

            def job(transaction: Transaction) -> None:
                if not self._store.occupied and not transaction.stats:
                    transaction.raise_stable_watermark(now)  # Who holds nothing has missed nothing; see `purge`.
                transaction.enter(view)
                transaction.set(Setting.PROMISE, msgspec.msgpack.encode(NOBODY))
                transaction.change_donors(change)

            await self._store.submit(job)
            if view.epoch == 0:
                self._followed = source
            self._promisee = NOBODY
            self.is_behind = False
            self.current, self.ring = view, ring
            self.donors = Donors(shares)
        log.info("view %s: %d nodes, %d shards", view.id, len(view.nodes), len(view.shards))
        for listener in self.listeners:
            listener()
        return None

    async def take(self, encoded: bytes, source: Address) -> Busy | Foreign | None:
        """`adopt` a view as it came from a peer. One that is none is logged and refused; one that cannot be stored now
        will be heard of again."""
        if encoded == self.current.encoded:
            return None
        try:
            return await self._adopt_once(encoded, source, lambda: decode_view(encoded))
        except BadView as error:
            log.error("refused a view of %s: %s", source, error)
            return Foreign()
        except StorageFault as fault:
            log.error("cannot store a view of %s: %s", source, fault)
            self.is_behind = True
            return None

    # Learning of views

    async def reconcile(self, sender: Address, view_id: ViewId) -> Answer | None:
        """None if a call made under `view_id` may be acted on; else the answer that refuses it."""
        is_later = view_id.epoch > 0 and view_id > self.view_id
        if is_later and isinstance(await self.learn(sender), Foreign):
            return Foreign()
        return None if view_id == self.view_id else ViewIs(self.current.encoded)

    async def learn(self, peer: Address) -> Heard:
        """Fetch the view of `peer`, and take it if it may follow. All who want that at the same time share one
        question."""
        question = self._questions.get(peer)
        if question is None:
            question = self._questions[peer] = asyncio.create_task(self._ask_view(peer, FetchView()))
            question.add_done_callback(lambda _: self._questions.pop(peer))
        return await asyncio.shield(question)

    async def greet(self, peer: Address) -> Heard:
        """Exchange views with `peer`."""
        return await self._ask_view(peer, Hello(self.current.encoded))

    async def _ask_view(self, peer: Address, question: FetchView | Hello) -> Heard:
        """One that refused the connection has no news, nor has one that was silent; a link that merely broke says
        nothing, so the question is put anew."""
        deadline = self._time.monotonic() + self._config.silence_s
        while (left := deadline - self._time.monotonic()) > 0:
            try:
                answer = await self._transport.call(peer, question, self.view_id, left)
            except PeerRefused:
                break
            except PeerLost:
                continue
            refusal = await self.take(answer.view, peer) if isinstance(answer, ViewIs) else None
            return refusal if isinstance(refusal, Foreign) else answer
        log.debug("no view from %s", peer)
        return None

    async def hello(self, sender: Address, request: Hello) -> Answer:
        await self.take(request.view, sender)
        return ViewIs(self.current.encoded)

    # Promises

    def promisee(self) -> Promisee:
        """Who has this node's promise now."""
        void = self._time.monotonic() - self._promised_at > self._config.promise_s
        return NOBODY if void else self._promisee

    async def promise(self, request: Promise) -> Promised | Busy | Foreign | ViewIs:
        async with self._adopting:
            return await self._promise(request)

    async def _promise(self, request: Promise) -> Promised | Busy | Foreign | ViewIs:
        mine, held = self.current, self.promisee()
        wanted = Promisee(request.epoch, request.coordinator, request.target)
        if self._foreign_to(request):
            return Foreign()
        if request.epoch <= mine.epoch:
            return ViewIs(mine.encoded)
        if held != NOBODY and held.coordinator != wanted.coordinator:
            return Busy(*held)
        await self._hold(wanted)
        return Promised()

    async def release(self, epoch: int, coordinator: Address) -> None:
        """Forget the promise of `epoch` to `coordinator`; a no-op if another one is held."""
        if self._promisee[:2] == (epoch, coordinator):
            await self._hold(NOBODY)

    def _foreign_to(self, request: Promise) -> bool:
        mine = self.current
        if mine.epoch:
            return mine.lineage != request.lineage
        related = mine.lineage_of_successor == request.lineage or self.names(request.old_nodes)
        return not related and self.holds_keys()

    async def _hold(self, promisee: Promisee) -> None:
        before = self._promisee, self._promised_at
        self._promisee, self._promised_at = promisee, self._time.monotonic()
        try:
            await self._store.set(Setting.PROMISE, msgspec.msgpack.encode(promisee))
        except StorageFault:
            self._promisee, self._promised_at = before
            raise
