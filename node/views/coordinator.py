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
away; who asks for the same again joins it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from gossip.view import Address, View
from node.config import Config
from node.errors import Conflict
from node.net.messages import (
    Adopt,
    Answer,
    AskStatus,
    CountKeys,
    Foreign,
    KeyCounts,
    Promise,
    Promised,
    Release,
    Request,
    Status,
    ViewIs,
)
from node.timing.clock import Time
from node.views.calls import Calls
from node.views.change_conditions import (
    UNDER_WAY,
    Again,
    State,
    Target,
    Wish,
    demand_native,
    demand_nothing_moves,
    demand_promises,
    demand_reachable,
    is_settled,
    returning,
    state_of,
)
from node.views.holder import Views
from node.views.plan import Plan, is_dealt_by_zones, plan_change
from ring.hashing import pack

log = logging.getLogger(__name__)


class ViewChange(NamedTuple):
    """A view in force, and all nodes that are to hear of it: those of the view it was built on too."""

    view: View
    nodes: frozenset[Address]


class Settled(NamedTuple):
    """The outcome of a change: the view, and the live keys of each node that could be reached, counted in that
    state."""

    view: View
    key_counts: Mapping[Address, int]


class Progress(NamedTuple):
    """How far the change to the view in force has come, or the next one, if that is being prepared."""

    view: View
    state: State
    statuses: Mapping[Address, Status | None]
    """Where each node of the view and each donor stands, by address, ascending; None where it cannot be reached."""


class Coordinator:
    """`answer_here` is this node's own handler: it takes part in its own changes like any other node. `now_ms`: the
    time by the fastest clock it knows."""

    def __init__(
        self,
        config: Config,
        time: Time,
        views: Views,
        calls: Calls,
        answer_here: Callable[[Request], Awaitable[Answer]],
        now_ms: Callable[[], int],
    ) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._calls = calls
        self._answer_here = answer_here
        self._now_ms = now_ms
        self._preparing: dict[Wish, asyncio.Task[ViewChange]] = {}

    async def close(self) -> None:
        for task in self._preparing.values():
            task.cancel()
        if self._preparing:
            await asyncio.wait(self._preparing.values())

    # What the API calls

    async def change(self, nodes: Iterable[Address], repl_factor: int | None) -> ViewChange:
        """Bring a view of `nodes` in force; returns as soon as nothing can stop it. `repl_factor` None keeps the
        present one. One at a time: nodes let a coordinator replace its own promise, for its earlier attempt must be
        over then. Raises Conflict or Unavailable."""
        wish = Wish(frozenset(nodes), repl_factor)
        task = self._preparing.get(wish)
        if task is None:
            if self._preparing:
                raise Conflict(UNDER_WAY)
            task = self._preparing[wish] = asyncio.create_task(self._prepare(wish))
            task.add_done_callback(lambda _: self._preparing.pop(wish, None))
        return await asyncio.shield(task)

    async def await_settled(self, change: ViewChange) -> Settled:
        """Wait until all keys are where the view wants them. Raises Conflict if another view supersedes it."""
        target, nodes = Target(change.view.nodes, change.view.repl_factor), change.nodes
        began = self._time.monotonic()
        while True:
            statuses = await self._statuses(nodes)
            if len(statuses) < len(nodes) and is_settled(self._views.view_id, statuses.values()):
                statuses |= await self._statuses(nodes - statuses.keys(), self._config.unreachable_s)
            if self._is_superseded(target):
                raise Conflict("Superseded by another view change")
            if is_settled(self._views.view_id, statuses.values()):
                return Settled(self._views.current, {node: status.key_count for node, status in statuses.items()})
            nodes -= await self._bring_view_to(self._who_hold_another(statuses))
            waited = self._time.monotonic() - began
            await asyncio.sleep(min(max(waited / 10, self._config.settle_poll_s), self._config.settle_poll_s_max))

    async def plan(self, nodes: Iterable[Address], repl_factor: int | None) -> tuple[Plan, dict[int, int]]:
        """What a change would do, and how many live keys each partition holds that would move."""
        wish = Wish(frozenset(nodes), repl_factor)
        statuses = await self._statuses(self._views.current.nodes | wish.nodes, self._config.unreachable_s)
        demand_reachable(wish.nodes, statuses)
        newest = max(statuses, key=lambda node: statuses[node].view)
        if statuses[newest].view.epoch and statuses[newest].view > self._views.view_id:
            await self._calls.greet(newest)
        target = wish.under(self._views.current)
        plan = plan_change(self._views.current, target.nodes, target.repl_factor, statuses)
        counts: dict[int, int] = {}
        for source, partitions in plan.partitions_by_source().items():
            answer = await self._call(source, CountKeys(pack(partitions)))
            if isinstance(answer, KeyCounts):
                counts.update(zip(partitions, answer.counts, strict=True))
        return plan, counts

    async def progress(self) -> Progress:
        """How far the view in force is from being settled."""
        view = self._views.current
        nodes = view.nodes | view.donor_nodes
        reached = await self._statuses(nodes)
        statuses = {node: reached.get(node) for node in sorted(nodes)}
        return Progress(view, state_of(view.id, statuses.values()), statuses)

    # Preparing: from what was asked for to a view in force

    async def _prepare(self, wish: Wish) -> ViewChange:
        deadline, why = self._time.monotonic() + self._config.prepare_s, ""
        while self._time.monotonic() < deadline:
            try:
                return await self._attempt(wish)
            except Again as again:
                why = str(again)
                await asyncio.sleep(self._config.settle_poll_s)
        raise Conflict(why or UNDER_WAY)

    async def _attempt(self, wish: Wish) -> ViewChange:
        """One try at bringing about what is wished. Raises Again if what it was built on no longer holds."""
        old = self._views.current
        target = wish.under(old)
        nodes = old.nodes | old.donor_nodes | target.nodes
        statuses = await self._statuses(nodes | {self._config.address}, self._config.unreachable_s)
        if self._views.is_blank and target.nodes != old.nodes:
            await self._join({node: statuses[node] for node in target.nodes & statuses.keys()})
        behind = old.nodes & self._who_hold_another(statuses)
        foreign = await self._bring_view_to(behind)
        statuses |= await self._statuses(behind - foreign)  # Some were only late to hear of the view in force.
        demand_native(target, foreign)
        statuses = {node: status for node, status in statuses.items() if node not in foreign}
        await self._learn_newest(old, target, statuses)
        if old.epoch == 0:  # The environment has only named them: those that nobody has met may not be there at all.
            demand_reachable((node for node in target.nodes if not self._calls.has_met(node)), statuses)
        if target.is_met_by(old) and (target.nodes - statuses.keys() or is_dealt_by_zones(old, statuses)):
            return ViewChange(old, nodes - foreign)
        await self._let_come_home(old, target, statuses)
        demand_reachable(target.nodes, statuses)
        demand_nothing_moves(old, statuses)
        view, promised, refused = await self._bring_in_force(old, target, statuses)
        await self._bring_view_to(promised)
        return ViewChange(view, nodes - foreign - refused)

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

    async def _learn_newest(self, old: View, target: Target, statuses: Mapping[Address, Status]) -> None:
        """Raises Again if another view than `old` is, or may be, in force: a later one, or another environment's;
        Conflict if that is of another change, which is not over."""
        newest = max(statuses, key=lambda node: statuses[node].view)
        others = [node for node in old.nodes if node in statuses and statuses[node].view != old.id]
        if statuses[newest].view.supersedes(old.id):
            await self._calls.greet(newest)
            if not statuses[newest].settled and self._is_superseded(target):
                raise Conflict(UNDER_WAY)
        elif old.epoch == 0 and others:
            await asyncio.gather(*map(self._calls.greet, others))
            raise Again
        if self._views.current is not old:
            raise Again

    async def _let_come_home(self, old: View, target: Target, statuses: Mapping[Address, Status]) -> None:
        """A node that was removed brings home what it holds before it is taken in again, as far as it finds anybody to
        take it: nodes of one view believe each other. Raises Again if one has yet to."""
        coming = returning(old, target, statuses)
        if coming and not await self._bring_view_to(self._who_hold_another(coming)):
            raise Again(f"{', '.join(sorted(coming))}: has yet to hand over what it holds from an earlier view")

    async def _bring_in_force(
        self, old: View, target: Target, statuses: Mapping[Address, Status]
    ) -> tuple[View, frozenset[Address], frozenset[Address]]:
        """The new view, stored here; who has promised to wait for it; and who was found to be of another cluster. Until
        it is stored, the promises are given back whatever happens."""
        epoch = 1 + max(max(status.view.epoch, status.promised) for status in statuses.values())
        began = self._time.monotonic()
        promised: set[Address] = set()
        foreign: set[Address] = set()
        try:
            await self._gather_promises(epoch, old, target, statuses, promised, foreign)
            plan = plan_change(old, target.nodes, target.repl_factor, {node: statuses[node] for node in promised})
            view = plan.view(old, epoch, self._config.address, self._spare_until_ms(old, target))
            if self._time.monotonic() - began > self._config.promise_s / 2:
                raise Again  # Promises as old as that may be void before the view is stored, and count for nothing.
            if await self._views.adopt(view, self._config.address) is not None or self._views.current is not view:
                raise Again
        except BaseException:
            await asyncio.gather(*(self._call(node, Release(epoch, self._config.address)) for node in promised))
            raise
        return view, frozenset(promised), frozenset(foreign)

    async def _gather_promises(
        self,
        epoch: int,
        old: View,
        target: Target,
        statuses: Mapping[Address, Status],
        promised: set[Address],
        foreign: set[Address],
    ) -> None:
        """Add to `promised` and `foreign` as answers come in: what has been promised has to be given back even if this
        ends early. Raises Conflict, Unavailable or Again."""
        request = Promise(epoch, self._config.address, target.name, tuple(sorted(old.nodes)), old.lineage_of_successor)
        alone = [[node] for node in sorted(old.nodes) if node in statuses]
        for round_ in (*alone, sorted(statuses)):
            if promised and round_ in alone:
                continue  # There is an arbiter.
            asked = [node for node in round_ if node not in promised]
            answers = await asyncio.gather(*(self._call(node, request) for node in asked))
            replies = dict(zip(asked, answers, strict=True))
            promised |= {node for node, answer in replies.items() if isinstance(answer, Promised)}
            foreign |= {node for node, answer in replies.items() if isinstance(answer, Foreign)}
            demand_native(target, foreign)
            if self._views.current is not old and self._is_superseded(target):
                raise Conflict(UNDER_WAY)  # One has taken the view of another change since it was asked.
            demand_promises(target, replies)

    def _is_superseded(self, target: Target) -> bool:
        """Whether the view in force is not what was asked for, so that another change must have made it. To be asked
        once a view has come: the one before does not meet `target` either."""
        return not target.is_met_by(self._views.current)

    def _spare_until_ms(self, old: View, target: Target) -> int:
        """Whoever is removed has the whole grace to come home, whatever it may have missed before."""
        return old.spare_until_ms if old.nodes <= target.nodes else self._now_ms() + self._config.tombstone_grace_ms

    # Asking

    def _who_hold_another(self, statuses: Mapping[Address, Status]) -> frozenset[Address]:
        """Those that hold another view than this node."""
        return frozenset(node for node, status in statuses.items() if status.view != self._views.view_id)

    async def _bring_view_to(self, nodes: Iterable[Address]) -> frozenset[Address]:
        """Push this node's view to all others of `nodes`. Returns those that refuse it for good: a node of another
        cluster has their address now."""
        others = sorted(set(nodes) - {self._config.address})
        answers = await asyncio.gather(*map(self._push, others))
        return frozenset(node for node, answer in zip(others, answers, strict=True) if isinstance(answer, Foreign))

    async def _push(self, node: Address) -> Answer | None:
        answer = await self._call(node, Adopt(self._views.current.encoded))
        if not isinstance(answer, ViewIs):
            log.info("%s has not taken view %s yet: %s", node, self._views.view_id, answer)
        return answer

    async def _statuses(self, nodes: Iterable[Address], patience_s: float = 0.0) -> dict[Address, Status]:
        """Where those of `nodes` stand that can be reached."""
        asked = sorted(nodes)
        answers = await asyncio.gather(*(self._call(node, AskStatus(), patience_s) for node in asked))
        return {node: answer for node, answer in zip(asked, answers, strict=True) if isinstance(answer, Status)}

    async def _call(self, node: Address, request: Request, patience_s: float = 0.0) -> Answer | None:
        """None if the node cannot be reached: it refused, or was silent. It is tried again for `patience_s`."""
        if node == self._config.address:
            return await self._answer_here(request)
        deadline = self._time.monotonic() + patience_s
        while True:
            answer = await self._calls.try_ask(node, request, self._config.unreachable_s)
            if answer is not None or self._time.monotonic() >= deadline:
                return answer
            await asyncio.sleep(self._config.settle_poll_s)
