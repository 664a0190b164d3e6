"""One view change: promise, adopt, move, settle. Any node can be its coordinator, in the old view or the new or
neither. What must hold for it is told by `change_conditions`, what the next view is by `plan`.

1. Promise. The lowest address of the old view that can promise is asked first and alone: it decides between two
   coordinators. The new epoch is above every one seen or promised.
2. Adopt. The new view is stored here, then pushed to all. From then on the change completes whatever becomes of this
   node: gossip carries the view, and the nodes move keys by themselves.
3. Move. That is the business of `repair`; nothing to do here.
4. Settle. All nodes are asked, again and again, until none that can be reached has anything left to hand over or to
   take.

A change belongs to a task of this node, not to the request that asked for it, so that it completes when the client goes
away; who asks for the same again joins it. Not where this process was paused for long meanwhile: whoever asked may have
asked for something else since, elsewhere, and have been told that it is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gossip.view import Address, View
from node.config import Config
from node.errors import Conflict, Reason, StorageFault, Unavailable
from node.net.messages import Promise, Release, Status
from node.timing.clock import Time
from node.views.asking import Asking
from node.views.calls import Calls
from node.views.census import TakeCensus, who_bring
from node.views.change_conditions import (
    UNDER_WAY,
    Again,
    State,
    TakeBack,
    Target,
    Wish,
    demand_all_hold,
    demand_any_met,
    demand_epoch,
    demand_native,
    demand_nothing_moves,
    demand_promises,
    demand_reachable,
    demand_to_be_taken_back,
    former_of_next,
    full_in_the_way,
    is_settled,
    removed_by,
    returning,
    state_of,
)
from node.views.confirming import Confirming
from node.views.holder import Views
from node.views.plan import is_dealt_by_zones, plan_for
from node.views.promises import Promises
from node.views.risk import NO_RISK, Risk, demand_safe, left_behind, risk_of
from node.views.rules import next_epoch

log = logging.getLogger(__name__)


class ViewChange(NamedTuple):
    """A view in force, and all nodes that are to hear of it: those of the view it was built on too."""

    view: View
    nodes: frozenset[Address]
    removed: frozenset[Address] = frozenset()
    """The nodes that it lets go."""
    risk: Risk = NO_RISK
    """What it gives up as it is made."""


class Settled(NamedTuple):
    """The outcome of a change: the view, and the live keys of each node that could be reached, counted in that
    state."""

    view: View
    key_counts: Mapping[Address, int]
    risk: Risk
    """What it has given up in the end."""


class Progress(NamedTuple):
    """How far the change to the view in force has come, or the next one, if that is being prepared."""

    view: View
    state: State
    statuses: Mapping[Address, Status | None]
    """Where each node of the view and each donor stands, by address, ascending; None where it cannot be reached."""


class _Made(NamedTuple):
    """A view that is in force, as it was made."""

    view: View
    promised: frozenset[Address]
    """Who waits for it."""
    foreign: frozenset[Address]
    """Who was found to be of another cluster."""
    risk: Risk


class Coordinator:
    """`now_ms`: the time by the fastest clock it knows."""

    def __init__(
        self,
        config: Config,
        time: Time,
        views: Views,
        calls: Calls,
        asking: Asking,
        confirming: Confirming,
        now_ms: Callable[[], int],
        census: TakeCensus,
    ) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._calls = calls
        self._asking = asking
        self._confirming = confirming
        self._now_ms = now_ms
        self._census = census
        self._preparing: dict[Wish | TakeBack, asyncio.Task[ViewChange]] = {}

    def break_off(self) -> None:
        """What is asked for is not brought about, unless its view is stored by now."""
        for task in self._preparing.values():
            task.cancel()

    async def close(self) -> None:
        self.break_off()
        await asyncio.gather(*self._preparing.values(), return_exceptions=True)
        await self._confirming.close()

    # What the API calls

    async def change(self, wish: Wish | TakeBack) -> ViewChange:
        """Bring a view in force; returns as soon as nothing can stop it. One at a time: nodes let a coordinator replace
        its own promise, for its earlier attempt must be over then. Raises Conflict, Unavailable."""
        task = self._preparing.get(wish)
        if task is None:
            if self._preparing:
                raise Conflict(UNDER_WAY)
            task = self._preparing[wish] = asyncio.create_task(self._prepare(wish))
            task.add_done_callback(lambda _: self._preparing.pop(wish, None))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise Unavailable from None
            raise

    async def await_settled(self, change: ViewChange) -> Settled:
        """Wait until all keys are where the view wants them. Raises Conflict if another view supersedes it, Unavailable
        if it cannot go on because disks are full."""
        target, nodes = Target(change.view.nodes, change.view.repl_factor), change.nodes
        await self._confirming.await_established()
        began, told = self._time.monotonic(), frozenset[Address]()
        while True:
            statuses = await self._asking.statuses(nodes)
            # A removed node whose disk does not take the view is waited for by whoever must hear what it holds.
            deaf = (told & self._asking.who_hold_another(statuses)) - self._views.current.nodes
            heard = {node: status for node, status in statuses.items() if node not in deaf}
            missing = nodes - statuses.keys()
            if missing and is_settled(self._views.view_id, heard.values()):
                heard |= await self._asking.statuses(missing, self._config.unreachable_s)
            if self._is_superseded(target):
                raise Conflict("Superseded by another view change")
            settled = is_settled(self._views.view_id, heard.values())
            self._asking.note_waits(nodes, statuses | heard, settled)
            if settled:
                view, counts = self._views.current, {node: status.key_count for node, status in heard.items()}
                return Settled(view, counts, left_behind(view, change.removed, heard, self._census(), change.risk))
            if full := full_in_the_way(self._views.view_id, statuses, self._config.stall_s):
                raise Unavailable(full=full).because(Reason.DISK)
            told = self._asking.who_hold_another(statuses | heard)
            nodes -= await self._asking.bring_view_to(told)
            waited = self._time.monotonic() - began
            await asyncio.sleep(min(max(waited / 10, self._config.settle_poll_s), self._config.settle_poll_s_max))

    async def progress(self) -> Progress:
        """How far the view in force is from being settled."""
        view = self._views.current
        nodes = view.nodes | view.donor_nodes
        reached = await self._asking.statuses(nodes)
        statuses = {node: reached.get(node) for node in sorted(nodes)}
        return Progress(view, state_of(view, reached), statuses)

    # Preparing: from what was asked for to a view in force

    async def _prepare(self, wish: Wish | TakeBack) -> ViewChange:
        deadline, why = self._time.monotonic() + self._config.prepare_s, ""
        while self._time.monotonic() < deadline:
            try:
                return await self._attempt(wish)
            except Again as again:
                why = str(again)
                await asyncio.sleep(self._config.settle_poll_s)
        raise Conflict(why or UNDER_WAY)

    async def _attempt(self, wish: Wish | TakeBack) -> ViewChange:
        """One try at bringing about what is wished. Raises Again if what it was built on no longer holds."""
        old, takes_back = self._views.current, isinstance(wish, TakeBack)
        target = wish.under(old)
        nodes = old.nodes | old.donor_nodes | target.nodes | who_bring(self._census())
        statuses = await self._asking.statuses(nodes | {self._config.address}, self._config.unreachable_s)
        if self._views.is_blank and target.nodes != old.nodes:
            await self._join({node: statuses[node] for node in target.nodes & statuses.keys()})
        behind = old.nodes & self._asking.who_hold_another(statuses)
        foreign = await self._asking.bring_view_to(behind) | await self._asking.foreign_among(nodes)
        statuses |= await self._asking.statuses(behind - foreign)  # Some were only late to hear of the view in force.
        demand_native(target.nodes, foreign)
        statuses = {node: status for node, status in statuses.items() if node not in foreign}
        await self._learn_newest(old, target, statuses, takes_back)
        demand_epoch(old, wish.if_epoch)
        if takes_back:
            demand_to_be_taken_back(old, statuses)
        if old.epoch == 0:  # The environment has only named them: those that nobody has met may not be there at all.
            met = statuses.keys() | set(filter(self._calls.has_met, nodes))
            demand_reachable(target.nodes, met)
            if self._config.address not in old.nodes:
                demand_any_met(old.nodes, met)
        silent = old.donor_nodes - statuses.keys() - set(old.absent)
        vouches = wish.gone_for_good and (bool(silent) or not self._views.standing.is_established(old))
        is_dealt = bool(target.nodes - statuses.keys()) or is_dealt_by_zones(old, statuses)
        if target.is_met_by(old) and is_dealt and not vouches:
            return ViewChange(old, nodes - foreign, removed_by(old) - foreign)
        await self._let_come_home(old, target, statuses, takes_back)
        demand_reachable(target.nodes, statuses)
        if takes_back:
            demand_all_hold(old, statuses, self._config.stall_s)
        else:
            demand_nothing_moves(old, statuses, self._config.stall_s)
        self._give_up(old, wish, statuses)
        made = await self._bring_in_force(old, wish, statuses)
        await self._asking.bring_view_to(made.promised)
        self._confirming.begin_to_establish_among(made.promised)
        removed = old.nodes - made.view.nodes - made.foreign
        return ViewChange(made.view, nodes - foreign - made.foreign, removed, made.risk)

    async def _join(self, statuses: Mapping[Address, Status]) -> None:
        """A node that has nothing, and knows nobody, was asked to make a view with these: the view that they are in is
        to be extended, not replaced by one that begins with this node. Of those that may have nothing either, the one
        with the lowest address is joined, or two that are asked at once would follow each other. Raises Again if there
        is such a view."""
        me, alone = self._config.address, self._views.current
        others = {node for node, status in statuses.items() if status.view.epoch or status.holds_records or node < me}
        self._views.introduce(others - {me})
        await asyncio.gather(*map(self._calls.greet, sorted(others - {me})))
        if self._views.current is not alone:
            raise Again

    async def _learn_newest(
        self, old: View, target: Target, statuses: Mapping[Address, Status], takes_back: bool
    ) -> None:
        """Raises Again if another view than `old` is, or may be, in force: a later one, or another environment's;
        Conflict if that is of another change, which is not over, unless just that is to be taken back."""
        newest = max(statuses, key=lambda node: statuses[node].view)
        others = [node for node in old.nodes if node in statuses and statuses[node].view != old.id]
        if statuses[newest].view.supersedes(old.id):
            await self._calls.greet(newest)
            if not takes_back and not statuses[newest].settled and self._is_superseded(target):
                raise Conflict(UNDER_WAY)
        elif old.epoch == 0 and others:
            await asyncio.gather(*map(self._calls.greet, others))
            raise Again
        if self._views.current is not old:
            raise Again

    async def _let_come_home(
        self, old: View, target: Target, statuses: Mapping[Address, Status], takes_back: bool
    ) -> None:
        """A node that was removed brings home what it holds before it is taken in again, as far as it finds anybody to
        take it: nodes of one view believe each other. Raises Again if one has yet to."""
        coming = returning(old, target, statuses, self._config.stall_s, self._now_ms(), takes_back)
        if coming and not await self._asking.bring_view_to(self._asking.who_hold_another(coming)):
            raise Again(f"{', '.join(sorted(coming))}: has yet to hand over what it holds from an earlier view")

    async def _bring_in_force(self, old: View, wish: Wish | TakeBack, statuses: Mapping[Address, Status]) -> _Made:
        """Make the new view, and store it here. Until it is stored, the promises are given back whatever happens."""
        heard = (epoch for status in statuses.values() for epoch in (status.view.epoch, status.promised))
        epoch, target = next_epoch(old.epoch, heard), wish.under(old)
        began = self._time.monotonic()
        replies = Promises()
        try:
            await self._gather_promises(epoch, old, target, statuses, replies)
            answered = {node: status for node, status in statuses.items() if node not in replies.silent}
            risk = self._give_up(old, wish, answered)
            plan = plan_for(old, wish, {node: statuses[node] for node in replies.promised})
            former = former_of_next(old, statuses, isinstance(wish, TakeBack))
            electors = () if wish.gone_for_good else replies.electors_of_next(old)
            absent = (old.nodes | old.donor_nodes) - target.nodes - replies.promised
            spare_until_ms = self._spare_until_ms(old, target)
            view = plan.view(old, epoch, self._config.address, spare_until_ms, former, absent, electors)
            if self._time.monotonic() - began > self._config.promise_s / 2:
                raise Again  # Promises as old as that may be void before the view is stored, and count for nothing.
            if await self._views.adopt(view, self._config.address) is not None or self._views.current is not view:
                raise Again
        except BaseException as fault:
            await self._give_back(epoch, replies.promised)
            if isinstance(fault, StorageFault):
                raise Unavailable(full=[self._config.address]).because(Reason.DISK) from None
            raise
        return _Made(view, frozenset(replies.promised), frozenset(replies.foreign), risk)

    def _give_up(self, old: View, wish: Wish | TakeBack, answered: Mapping[Address, Status]) -> Risk:
        """What the change gives up if just these nodes can be reached: judged before anybody is asked for a promise,
        and again once all have been. Raises Conflict if it may not."""
        risk = risk_of(old, wish.under(old).nodes, answered, self._census())
        if wish.if_safe:
            demand_safe(risk)
        return risk

    async def _gather_promises(
        self, epoch: int, old: View, target: Target, statuses: Mapping[Address, Status], so_far: Promises
    ) -> None:
        """Add to `so_far` as answers come in: what has been promised has to be given back even if this ends early.
        Raises Conflict, Unavailable or Again."""
        lineage, base = old.lineage_of_successor, old.id
        request = Promise(epoch, self._config.address, target.name, tuple(sorted(old.nodes)), lineage, base)
        alone = [[node] for node in sorted(old.nodes) if node in statuses]
        for round_ in (*alone, sorted(statuses)):
            if so_far.promised and round_ in alone:
                continue  # There is an arbiter.
            asked = [node for node in round_ if node not in so_far.promised]
            answers = await asyncio.gather(*(self._asking.call(node, request) for node in asked))
            replies = dict(zip(asked, answers, strict=True))
            so_far.add(replies)
            demand_native(target.nodes, so_far.foreign)
            if self._views.current is not old and self._is_superseded(target):
                raise Conflict(UNDER_WAY)  # One has taken the view of another change since it was asked.
            demand_promises(target, replies)

    async def _give_back(self, epoch: int, promised: Iterable[Address]) -> None:
        release = Release(epoch, self._config.address)
        await asyncio.gather(*(self._asking.call(node, release) for node in promised))

    def _is_superseded(self, target: Target) -> bool:
        """Whether the view in force is not what was asked for, so that another change must have made it. To be asked
        once a view has come: the one before does not meet `target` either."""
        return not target.is_met_by(self._views.current)

    def _spare_until_ms(self, old: View, target: Target) -> int:
        """Whoever is removed has the whole grace to come home, whatever it may have missed before."""
        return old.spare_until_ms if old.nodes <= target.nodes else self._now_ms() + self._config.tombstone_grace_ms
