"""How the owners of a shard know of each other whether they are in step: leases, and who may be left out of a write.

For each co-owner there is a `Pair`. Two promises hold together, and each needs the other:

- *Whoever answers a read alone has all that was acknowledged.* A co-owner is asked every 100 ms whether this node has
  everything it has; its "everything" is a lease, good for 400 ms from the moment the question was *sent*. Without a
  lease, this node asks that co-owner before it answers.
- *A write is acknowledged when each co-owner has it on disk, or can know that it may not have it.* One that is silent
  is left out only when no "everything" of this node can count any more at the other end.

A co-owner that was never compared with (a new view, a start, an overflow), or that owes a confirmation for long, is not
told "everything". The comparison itself is the business of `handoff`, what goes from one to the other that of
`streams`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any

from gossip.view import Address
from node.config import Config
from node.errors import PeerFault, StorageFault
from node.net.messages import Answer, Heartbeat, HeartbeatAnswer, Unable
from node.net.transport import Transport
from node.replication.outbox import Outbox
from node.storage.identity import Identity, note_filled
from node.storage.store import Store
from node.timing.clock import Time
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness

log = logging.getLogger(__name__)

BLANK_S = 3.0
"""A node that starts with an empty disk waits for so long for a co-owner that is merely slow, until it takes what
nobody tells it of for nothing: in a store that is new, nobody will."""


class Pair:
    """This node and one co-owner, under one view."""

    def __init__(self, peer: Address, granted_at: float) -> None:
        self.peer = peer
        self.outbox = Outbox()
        self.is_compared = False
        """Whether the co-owner has all that this node has, but for what is in the outbox."""
        self.is_comparing = False
        """Whether this node is bringing it what it may lack."""
        self.store_id: int | None = None
        """The co-owner's, as last heard: an emptied disk is another store."""
        self.has_nothing = False
        """Whether it is at its first start too, and no key has come to it."""
        self.is_another = False
        """Whether it has become another store since the comparison under way began."""
        self.is_silent = False
        """Whether it could be left out when it was last tried."""
        self.left_out_upto = 0
        """Up to this position of the outbox, something was acknowledged without it."""
        self.granted_at = granted_at
        """When this node last said "everything", or may have let another one say it."""
        self.has_no_room = False
        """Whether the co-owner's disk has refused what it was sent last."""
        self.is_owed = True
        """Whether the co-owner is about to bring this node what it lacks: it has something in its outbox that should
        have been here by now, or has to compare, or does. Nobody knows until it has answered a heartbeat."""
        self.leased_at = float("-inf")
        """When this node sent the last question that was answered "everything"."""
        self.heard_at = float("-inf")
        """When the co-owner was first heard under this view: from then on it lets nobody answer alone under another."""

    def note_store(self, store_id: int, has_nothing: bool, now: float) -> None:
        """The co-owner was heard. Whatever another store was brought, this one may lack."""
        if self.store_id is None:
            self.heard_at = now
        elif self.store_id != store_id:
            self.is_compared, self.is_another = False, True
        self.store_id, self.has_nothing = store_id, has_nothing


class Pairs:
    """Needs a running event loop; `run` must be running."""

    def __init__(
        self,
        config: Config,
        time: Time,
        identity: Identity,
        store: Store,
        views: Views,
        readiness: Readiness,
        calls: Calls,
        transport: Transport,
    ) -> None:
        self._config = config
        self._time = time
        self._store_id = identity.store_id
        self._is_unfilled = identity.is_unfilled
        self._blank_until = time.monotonic() + BLANK_S if self._is_unfilled else float("-inf")
        self._store = store
        self._views = views
        self._readiness = readiness
        self._calls = calls
        self._transport = transport
        self._pairs: dict[Address, Pair] = {}
        self._since = float("-inf")
        """When the view in force was adopted here."""
        self._changed = asyncio.Event()
        self._is_stopping = False
        self._leased_until = float("-inf")
        """When the first of the leases ends: what each read asks."""
        self.change_view()

    async def run(self) -> None:
        """Beat, for as long as the node runs."""
        await self.attend(self._beat)

    async def attend(self, work: Callable[[Pair], Coroutine[Any, Any, None]]) -> None:
        """Do `work` for each pair of the view in force, begun anew when that changes."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                changed = self._changed
                running = [tasks.create_task(work(pair)) for pair in self.all()]
                await changed.wait()
                for task in running:
                    task.cancel()

    def stop(self) -> None:
        """Give up all leases, and give none any more: others will take this node's silence for its end."""
        self._is_stopping = True
        self._note_leases()

    def change_view(self) -> None:
        """What was promised under the view before holds for as long as it can count; all else begins anew."""
        before, now = self._pairs, self._time.monotonic()
        self._since = now
        for pair in before.values():
            pair.outbox.give_up()
        peers = self._views.ring.co_owners(self._config.address)
        self._pairs = {peer: Pair(peer, granted_at=now) for peer in peers}
        self._note_leases()
        self._changed.set()
        self._changed = asyncio.Event()

    def all(self, exclude: Collection[Address] = ()) -> list[Pair]:
        """Those of the view in force, with other co-owners than these."""
        return [pair for peer, pair in self._pairs.items() if peer not in exclude]

    def is_of_this_view(self, pair: Pair) -> bool:
        return self._pairs.get(pair.peer) is pair

    def is_alone(self) -> bool:
        """Whether this node has no co-owners."""
        return not self._pairs

    # Leases

    def unleased(self) -> Collection[Address]:
        """The co-owners that must be asked before this node answers; none if it may answer alone."""
        if self._time.monotonic() < self._leased_until:
            return ()
        expired = self._time.monotonic() - self._config.lease_s
        return [peer for peer, pair in self._pairs.items() if pair.leased_at <= expired or self._is_stopping]

    def is_blank(self) -> bool:
        """Whether this node has just started with an empty disk, and no co-owner has brought it all that it may have
        lost: what is not here may exist nevertheless. Not where they all have nothing either."""
        if self._pairs and all(pair.has_nothing for pair in self._pairs.values()):
            self._blank_until = float("-inf")
        return bool(self._pairs) and self._time.monotonic() < self._blank_until

    def may_lack(self) -> bool:
        """Whether others must not take this node's word for what does not exist: it lost its disk, or is new, and has
        not got everything from a co-owner that has it all, nor from all of them."""
        return self._is_unfilled and any(not pair.has_nothing for pair in self._pairs.values())

    def _has_nothing(self) -> bool:
        return self._is_unfilled and not self._views.holds_keys()

    async def _note_filled(self) -> None:
        self._is_unfilled, self._blank_until = False, float("-inf")
        try:
            await note_filled(self._store)
        except StorageFault as fault:
            log.error("cannot store that this node has all that its co-owners had: %s", fault)

    def drop_leases(self) -> None:
        """This process was paused."""
        for pair in self._pairs.values():
            pair.leased_at = float("-inf")
        self._note_leases()

    def _note_leases(self) -> None:
        """To be called after each change of a lease."""
        first = min((pair.leased_at for pair in self._pairs.values()), default=float("inf"))
        self._leased_until = float("-inf") if self._pairs and self._is_stopping else first + self._config.lease_s

    def grant(self, sender: Address, beat: Heartbeat) -> Answer:
        """Answer a co-owner's heartbeat."""
        pair = self._pairs.get(sender)
        if pair is None or self._is_stopping or not self._readiness.enter():
            return Unable()
        now = self._time.monotonic()
        pair.note_store(beat.store_id, beat.has_nothing, now)
        in_step = self._is_in_step(pair)
        lease_granted = in_step and not self._owes(pair)
        if lease_granted:
            pair.granted_at = now
        owing = not lease_granted if in_step else pair.is_comparing or pair.outbox.has_overflowed
        return HeartbeatAnswer(self._store_id, self._has_nothing(), self.may_lack(), lease_granted, owing)

    async def _beat(self, pair: Pair) -> None:
        while True:
            sent_at = self._time.monotonic()
            try:
                heartbeat = Heartbeat(self._store_id, self._has_nothing())
                answer = await self._calls.ask(pair.peer, heartbeat, self._config.silence_s)
            except PeerFault:
                answer = Unable()
                self.note_silence(pair)
            if isinstance(answer, HeartbeatAnswer):
                pair.is_silent = False
                pair.note_store(answer.store_id, answer.has_nothing, self._time.monotonic())
                pair.leased_at = sent_at if answer.lease_granted else float("-inf")
                pair.is_owed = answer.owing
                self._note_leases()
                if self._is_unfilled and answer.lease_granted and (not answer.may_lack or not self.unleased()):
                    await self._note_filled()
            await asyncio.sleep(max(0.0, sent_at + self._config.beat_s - self._time.monotonic()))

    # Comparisons, which `handoff` makes

    def out_of_step(self) -> list[Address]:
        """The co-owners that may lack something that is not in their outbox."""
        return [peer for peer, pair in self._pairs.items() if not self._is_in_step(pair)]

    def in_step(self) -> list[Address]:
        """The others."""
        return [peer for peer, pair in self._pairs.items() if self._is_in_step(pair)]

    def distrust(self, peer: Address) -> None:
        """The co-owner was seen to hold something else, whatever was thought before."""
        if peer in self._pairs:
            self._pairs[peer].is_compared = False

    def to_compare(self) -> list[Address]:
        """Those of them with which it is time to compare. Not while one cannot be reached; nor before it has answered a
        beat and told which store it is, lest the comparison be credited to another one. Nor while it is about to bring
        this node what it lacks: what both have by then need not be listed. But if it has missed more than the outbox
        remembers, no write is acknowledged until the comparison has begun, so then at once."""
        peers = [(peer, self._pairs[peer]) for peer in self.out_of_step()]
        return [
            peer
            for peer, pair in peers
            if not self._transport.is_down(peer)
            and pair.store_id is not None
            and (pair.outbox.has_overflowed or not pair.is_owed)
        ]

    def start_comparison(self, peer: Address) -> Pair | None:
        """What changes from here on is for the stream."""
        pair = self._pairs.get(peer)
        if pair is not None:
            pair.is_compared, pair.is_comparing = False, True
            pair.outbox.start_over()
            pair.has_no_room = False
            pair.is_another = False
        return pair

    def end_comparison(self, pair: Pair, has_arrived: bool) -> None:
        """`has_arrived`: the co-owner has all that was here when it started; unless it was another one then."""
        pair.is_comparing = False
        if has_arrived and not pair.outbox.has_overflowed and not pair.is_another:
            pair.is_compared = True
            pair.outbox.compared()

    def _is_in_step(self, pair: Pair) -> bool:
        return pair.is_compared and not pair.outbox.has_overflowed

    def old_leases_end(self) -> float:
        """When the last lease ends that an owner under an earlier view may have of this node, or of a co-owner that was
        heard under the view in force."""
        return max([self._since, *(pair.heard_at for pair in self._pairs.values())]) + self._config.lease_s

    # Who may be left out

    def note_silence(self, pair: Pair) -> None:
        """Nobody shall wait for a co-owner that may be left out. It may have told one of the others what it could not
        tell all of them any more, so these compare what they hold."""
        if not self.may_be_left_out(pair):
            pair.is_silent = False
            return
        pair.outbox.give_up()
        if not pair.is_silent:
            pair.is_silent = True
            for other in self._pairs.values():
                other.is_compared = other.is_compared and other is pair

    def leave_out(self, pair: Pair) -> None:
        """What is in its outbox now may be acknowledged without it: until it has that, it is not told for a moment that
        it has everything."""
        pair.left_out_upto = pair.outbox.position

    def may_be_left_out(self, pair: Pair) -> bool:
        """It is silent or gone, and no lease that it may have can count any more."""
        return self._transport.is_down(pair.peer) and self._time.monotonic() > pair.granted_at + self._config.lease_s

    def is_some_disk_full(self) -> bool:
        """Whether a co-owner that can be reached cannot store what it is sent: no write could be acknowledged."""
        full = [pair for pair in self._pairs.values() if pair.has_no_room]
        return not all(map(self.may_be_left_out, full))

    # Who has what

    def is_well(self, pair: Pair) -> bool:
        """Whether the co-owner has all that is here, but for what is on its way."""
        return self._is_in_step(pair) and not self._owes(pair) and not self._transport.is_down(pair.peer)

    def _owes(self, pair: Pair) -> bool:
        """Whether the co-owner has yet to confirm what was acknowledged without it, or what it has had long enough."""
        owed_since = pair.outbox.oldest_since()
        return owed_since is not None and (
            not pair.outbox.is_past(pair.left_out_upto) or self._time.monotonic() - owed_since >= self._config.owing_s
        )

    def is_everywhere(self, key: bytes) -> bool:
        """Whether every co-owner is known to have what is held of `key`. Of several, one may have sent it here that has
        yet to bring it to the others."""
        return len(self._pairs) < 2 and all(
            self._is_in_step(pair) and pair.outbox.position_of(key) is None for pair in self._pairs.values()
        )

    def marks(self) -> Mapping[Pair, int]:
        """How far it is to `have_passed`."""
        return {pair: pair.outbox.position for pair in self._pairs.values()}

    def have_passed(self, marks: Mapping[Pair, int]) -> bool:
        """Whether each co-owner has all that was here at `marks`, but for what other co-owners had sent; never again
        after a change of view."""
        return marks.keys() == set(self._pairs.values()) and all(
            self._is_in_step(pair) and pair.outbox.is_past(mark) for pair, mark in marks.items()
        )
