"""Bringing home what is held here and belongs elsewhere, and co-owners up to date: when, and to whom; how, see
`transfer`.

One rule makes every story end well: *whoever holds keys of a partition that it does not own brings them to its owners,
and forgets them once as many owners have them as the factor asks for*: an old owner after a view change, a removed node
that comes back, a newcomer that took writes under its own view, the loser of two rival views. A donor announces to each
owner of which of its partitions it holds records; the announcement is complete, so it also says of which it holds none.

A second rule keeps copies alike: *whoever was never compared with a co-owner brings it what it may lack*, after a new
view, a start, an emptied disk, or more writes than an outbox remembers. Until then it is a donor to that co-owner as
well, if the view named it.

Everything can be repeated, and is, until nothing is left. What that is, `holdings` decides; what others bring, see
`arrivals`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import Fenced, PeerFault, StorageFault, TooManyCalls
from node.net.messages import Answer, AskHolding, Foreign, Holding, Owed
from node.net.transport import answer_of
from node.repair import holdings
from node.repair.arrivals import Arrivals
from node.repair.movement import Movement
from node.repair.transfer import Transfers
from node.replication.co_owners import CoOwners
from node.replication.peer_state import PeerState
from node.replication.streams import Streams
from node.storage.store import Store
from node.timing.clock import Time
from node.values.donors import NO_CHANGE
from node.values.version import reading_at
from node.views.calls import Calls
from node.views.holder import Views
from ring.hashing import pack
from ring.placement import Shard
from ring.ring import Ring

log = logging.getLogger(__name__)

MISSING_S_MORE = 1.0
"""What a co-owner misses may have been stamped so long before this node took it down."""
STILL_MS = 500
"""If nothing has moved for so long, nothing more is coming."""


class Handoff:
    """`run` must be running."""

    def __init__(
        self,
        config: Config,
        store: Store,
        views: Views,
        co_owners: CoOwners,
        streams: Streams,
        calls: Calls,
        transfers: Transfers,
        arrivals: Arrivals,
        movement: Movement,
        time: Time,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the time by the fastest clock that is known."""
        self._config = config
        self._store = store
        self._views = views
        self._co_owners = co_owners
        self._streams = streams
        self._calls = calls
        self._transfers = transfers
        self._arrivals = arrivals
        self._movement = movement
        self._time = time
        self._now_ms = now_ms
        self._silent_since: dict[Address, float] = {}
        """Since when (monotonic) each donor that does not say what it holds has been asked in vain."""
        self._misplaced: Mapping[Shard, list[int]] = {}
        self._misplaced_under: tuple[Ring, frozenset[int]] | None = None
        """The ring and the occupied partitions that `_misplaced` was worked out from."""
        self._brought: dict[Shard, frozenset[Address]] = {}
        """Of what is kept here for owners that cannot be reached: those that have it. Nothing changes in a partition
        that is not owned, so they have it until they say otherwise."""
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """There may be something to do at once: the view has changed."""
        self._brought.clear()
        self.forget_silence()
        self._awake.set()

    def forget_silence(self) -> None:
        """This node was paused, or asks under another view: who did not answer may do so now."""
        self._silent_since.clear()

    # Where this node stands

    def misplaced(self) -> Mapping[Shard, list[int]]:
        """By their owners, the partitions of which this node, no owner itself, holds records."""
        ring, occupied, under = self._views.ring, self._store.occupied, self._misplaced_under
        if under is None or under[0] is not ring or under[1] is not occupied:
            self._misplaced_under = ring, occupied
            self._misplaced = holdings.misplaced(self._config.address, ring, occupied)
        return self._misplaced

    def handing(self) -> tuple[Owed, ...]:
        """What this node has to hand over, by the first of its owners that has not got it."""
        return holdings.handing(self.misplaced(), self._brought, lambda partition: self._store.stats(partition).records)

    def to_hand_over(self) -> int:
        """The live keys here that this node does not own."""
        return self._live(partition for partitions in self.misplaced().values() for partition in partitions)

    def kept(self) -> int:
        """Those of them that are kept until more of their owners have a copy."""
        return self._live(holdings.kept(self.misplaced(), self._brought))

    def _live(self, partitions: Iterable[int]) -> int:
        return sum(self._store.stats(partition).live for partition in partitions)

    def waiting(self) -> tuple[Owed, ...]:
        """What this node has yet to hear of, by donor."""
        return holdings.waiting(self._views.donors.shares)

    def is_settled(self) -> bool:
        """Nothing is left to hand over, to wait for or to compare, as far as those who have a part in it can be
        reached."""
        return holdings.is_settled(
            self.misplaced(),
            self._brought,
            self._views.donors.shares,
            self._views.current.nodes,
            self._co_owners.out_of_step(),
            self._calls.is_down,
        )

    def check(self) -> None:
        """Raises AssertionError unless what is to be handed over is what is held and not owned."""
        foreign = self._store.occupied - self._views.ring.partitions_of(self._config.address)
        assert foreign == set().union(*self.misplaced().values()), "what is misplaced is not what is not owned"

    def holding_for(self, owner: Address) -> Answer:
        """Answer an owner that asks of which of its partitions there are records here that it has not heard of."""
        for owners, have in self._brought.items():  # It asks, so it does not know: it may have lost its disk.
            self._brought[owners] = have - {owner}
        return Holding(pack(self._unheard_by(owner)), self._co_owners.may_lack())

    def _unheard_by(self, owner: Address) -> list[int]:
        """Of which of its partitions `owner` has not heard all that is here."""
        if owner in self._co_owners.out_of_step():
            return sorted(self._store.occupied & self._views.ring.partitions_of(self._config.address))
        return holdings.misplaced_of(owner, self.misplaced())

    # What it does about it

    async def run(self) -> None:
        """Hand over, compare, and ask donors what they hold, for as long as the node runs."""
        under_way: dict[Shard | Address, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._awake.clear()
                under_way = {what: task for what, task in under_way.items() if not task.done()}
                view_id = self._views.view_id
                for owners, partitions in self.misplaced().items():
                    if owners not in under_way:
                        under_way[owners] = tasks.create_task(self._hand_over(owners, partitions, view_id))
                for peer in self._co_owners.to_compare():
                    if peer not in under_way:
                        under_way[peer] = tasks.create_task(self._bring_up_to_date(peer))
                await asyncio.gather(*map(self._ask_for_holding, self._views.donors.shares))
                await self._give_up_donors()
                retry = asyncio.get_running_loop().call_later(self._config.handoff_retry_s, self._awake.set)
                await self._awake.wait()
                retry.cancel()

    async def _hand_over(self, owners: Shard, partitions: list[int], view_id: ViewId) -> None:
        """Announce to the owners what is here of their partitions, and do what is to be done about it now."""
        have = self._brought.get(owners, frozenset())
        lacking = [owner for owner in owners if owner not in have]
        answers = await asyncio.gather(*(self._announce(owner, partitions, view_id) for owner in lacking))
        needed = holdings.copies_needed(owners, self._views.current.repl_factor)
        to, forget = holdings.handover(have, dict(zip(lacking, answers, strict=True)), needed)
        if to:
            turns = holdings.in_turn(self._config.address, to, partitions, self._views.current.donors)
            has_arrived = await self._transfers.bring(*turns, view_id, forget)
            if has_arrived and view_id == self._views.view_id:
                self._brought[owners] = frozenset() if forget else self._brought.get(owners, frozenset()).union(to)

    async def _announce(self, owner: Address, partitions: list[int], view_id: ViewId) -> Answer | None:
        """Let `owner` know that there is something to come; None if it cannot be reached."""
        try:
            holding = Holding(pack(partitions), self._co_owners.may_lack())
            return await self._calls.ask(owner, holding, self._calls.silence_s(owner), view_id)
        except PeerFault as fault:
            log.debug("announcement to %s: %s", owner, fault)
            return None

    async def _bring_up_to_date(self, peer: Address) -> None:
        view_id, state = self._views.view_id, self._streams.begin_comparison(peer)
        if state is not None:
            if (since := state.outbox.missing_since) is not None:
                await self._bring_newer(state, since, view_id)
            has_arrived = await self._transfers.bring([peer], self._unheard_by(peer), view_id, forget=False)
            self._streams.end_comparison(state, has_arrived)
            if state.is_stuck:
                await asyncio.sleep(self._config.stuck_compare_s)

    async def _bring_newer(self, state: PeerState, since: float, view_id: ViewId) -> None:
        """Bring a co-owner what has come here since that moment (monotonic), as far as that can be told by the stamps.
        Then wait for what it is bringing itself, for as long as that moves: were the two compared before, each would
        list all that the other lacks."""
        peer, missing_s = state.address, self._time.monotonic() - since + MISSING_S_MORE
        clock = reading_at(max(0, self._now_ms() - int(1000 * missing_s)))
        await self._transfers.bring_newer(peer, self._unheard_by(peer), view_id, clock)
        until = self._time.monotonic() + self._config.give_up_s  # Other things may go on moving for long.
        while state.is_bringing and self._movement.still_ms() < STILL_MS:
            if self._time.monotonic() > until:
                break
            await asyncio.sleep(self._config.retry_s)

    async def _ask_for_holding(self, donor: Address) -> None:
        """Ask a donor for its announcement: one that holds nothing has no reason to make it."""
        view_id, asked_at = self._views.view_id, self._time.monotonic()
        share = self._views.donors.shares.get(donor)
        answer: Answer | None
        try:
            answer = await self._calls.ask(donor, AskHolding(), self._calls.silence_s(donor), view_id)
        except TooManyCalls as fault:
            log.debug("no announcement from %s: %s", donor, fault)
            return  # That is not its silence.
        except PeerFault as fault:
            log.debug("no announcement from %s: %s", donor, fault)
            answer = Foreign() if self._calls.is_foreign(donor) else None
        if self._views.view_id != view_id:
            return  # What was asked is out of force.
        if isinstance(answer, Foreign) and donor not in self._views.current.nodes:
            answer = Holding(b"")  # It was removed, and another store's node has its address now.
        if isinstance(answer, Holding):
            self._silent_since.pop(donor, None)
            if self._views.donors.shares.get(donor) != share:
                return  # It has handed over something since it said so: it would be waited for once more.
            await answer_of(self._arrivals.note_holding(donor, answer))
        else:
            self._silent_since.setdefault(donor, asked_at)

    async def _give_up_donors(self) -> None:
        """Drop those that nobody has to wait for any more, be they dead, or alive and unable to take this view."""
        view_id = self._views.view_id
        shares, members = self._views.donors.shares, self._views.current.nodes
        change = holdings.given_up(shares, members, self._is_silent, self._is_grace_over)
        if change != NO_CHANGE:
            with suppress(Fenced, StorageFault):  # They are looked at again.
                await self._store.change_donors(view_id, change)
                self._views.change_donors(view_id, change)
                self._movement.note()

    def _silent_s(self, donor: Address) -> float:
        now = self._time.monotonic()
        return now - self._silent_since.get(donor, now)

    def _is_silent(self, donor: Address) -> bool:
        return self._silent_s(donor) > self._config.give_up_s

    def _is_grace_over(self, donor: Address) -> bool:
        """Of a donor that the view names, the view tells; one that has announced itself since is waited for as long,
        from when it fell silent."""
        view = self._views.current
        if donor in view.donor_nodes and 0 < view.spare_until_ms <= self._now_ms():
            return True
        return self._silent_s(donor) > self._config.tombstone_grace_s
