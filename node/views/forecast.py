"""What a view change would do, told without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gossip.view import Address
from node.config import Config
from node.net.messages import CountKeys, KeyCounts
from node.views.asking import Asking
from node.views.calls import Calls
from node.views.census import TakeCensus, who_bring
from node.views.change_conditions import (
    TakeBack,
    Wish,
    demand_epoch,
    demand_native,
    demand_reachable,
    demand_to_be_taken_back,
)
from node.views.holder import Views
from node.views.plan import Plan, plan_for
from node.views.risk import Risk, risk_of
from ring.hashing import pack


class Forecast(NamedTuple):
    """What a change would do."""

    plan: Plan
    by_source: Mapping[Address, list[int]]
    """The partitions that would move, by who would bring them."""
    key_counts: Mapping[int, int]
    """The live keys of each, as far as that one can be asked."""
    risk: Risk
    """What it would give up."""


class Forecaster:
    def __init__(self, config: Config, views: Views, calls: Calls, asking: Asking, census: TakeCensus) -> None:
        self._config = config
        self._views = views
        self._calls = calls
        self._asking = asking
        self._census = census

    async def forecast(self, wish: Wish | TakeBack) -> Forecast:
        """What would come of it now. Raises Conflict or Unavailable, as far as that can be told without asking for
        promises; that keys would be lost is no reason, but part of the answer."""
        statuses = await self._asking.statuses(self._concerned(wish), self._config.unreachable_s)
        newest: Address = max(statuses, key=lambda node: statuses[node].view)
        if statuses[newest].view.supersedes(self._views.view_id):
            await self._calls.greet(newest)
            statuses |= await self._asking.statuses(self._concerned(wish) - statuses.keys(), self._config.unreachable_s)
        old = self._views.current
        demand_epoch(old, wish.if_epoch)
        if isinstance(wish, TakeBack):
            demand_to_be_taken_back(old, statuses)
        nodes = wish.under(old).nodes
        demand_native(nodes, await self._asking.foreign_among(nodes))
        demand_reachable(nodes, statuses)
        plan = plan_for(old, wish, statuses)
        counts: dict[int, int] = {}
        by_source = plan.partitions_by_source(statuses)
        for source, partitions in by_source.items():
            answer = await self._asking.call(source, CountKeys(pack(partitions)))
            if isinstance(answer, KeyCounts):
                counts.update(zip(partitions, answer.counts, strict=True))
        return Forecast(plan, by_source, counts, risk_of(old, nodes, statuses, self._census()))

    def _concerned(self, wish: Wish | TakeBack) -> frozenset[Address]:
        view = self._views.current
        return (
            view.nodes | view.donor_nodes | wish.under(view).nodes | who_bring(self._census()) | {self._config.address}
        )
