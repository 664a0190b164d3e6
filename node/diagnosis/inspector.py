"""Asks all nodes how they are, and tells what is wrong: the driver of `problems`.

Everybody is asked at once, and nobody is waited for longer than makes a node silent. What only gossip knows, such as
the keys of a node that is down, is taken from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from gossip.core import Gossip
from gossip.view import Address
from node.config import Config
from node.diagnosis.attendance import Attendance
from node.diagnosis.problems import problems_of
from node.diagnosis.survey import Problem, Seen, Survey
from node.diagnosis.vitals import Vitals
from node.net.messages import AskHealth, AskStatus, Health, Status
from node.timing.clock import HybridClock, Time
from node.views.calls import Calls
from node.views.confirming import NOBODY, Confirming
from node.views.holder import Views
from ring.zones import crowded


class Inspector:
    """`status`: where this node itself stands."""

    def __init__(
        self,
        config: Config,
        time: Time,
        views: Views,
        calls: Calls,
        confirming: Confirming,
        clock: HybridClock,
        gossip: Gossip,
        vitals: Vitals,
        status: Callable[[], Status],
    ) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._calls = calls
        self._confirming = confirming
        self._clock = clock
        self._gossip = gossip
        self._vitals = vitals
        self._status = status
        self._attendance = Attendance(time)

    def look(self) -> None:
        """To be called in each round of gossip: note what begins and what ends."""
        self._vitals.look()
        self._attendance.look(self._gossip.dead, self._gossip.members, self._views.current.nodes)

    async def problems(self) -> list[Problem]:
        """What is wrong, of all that can be seen from here."""
        return problems_of(await self.survey())

    async def survey(self) -> Survey:
        """Ask all how they are."""
        view, ring = self._views.current, self._views.ring
        seen, undecided = await asyncio.gather(self._see_all({*view.nodes, *self._alive()}), self._establish())
        awaited = {owed.address for one in seen.values() if one.status for owed in one.status.waiting}
        seen |= await self._see_all(awaited - seen.keys())
        return Survey(
            self._config.address,
            view,
            seen,
            crowded([view.zone_of[node] for node in replicas] for replicas in view.shards),
            tuple(bits.bit_count() for bits in ring.bits),
            undecided,
            self._config.round_trip_s,
            self._config.stall_s,
        )

    def _alive(self) -> Collection[Address]:
        """Those outside the view too that may have something to hand over."""
        return self._gossip.members.keys() - set(self._gossip.dead)

    async def _establish(self) -> Collection[Address]:
        return await self._confirming.establish() if self._views.current.electors else NOBODY

    async def _see_all(self, nodes: Collection[Address]) -> dict[Address, Seen]:
        ordered = sorted(nodes)
        return dict(zip(ordered, await asyncio.gather(*map(self._see, ordered)), strict=True))

    async def _see(self, node: Address) -> Seen:
        began = self._time.monotonic()
        status, health = await self._ask(node)
        took_s = self._time.monotonic() - began
        member, calls = self._gossip.members.get(node), self._calls
        record = member.record if member else None
        return Seen(
            status,
            health,
            took_s,
            record.key_count if record else 0,
            record.kept if record else 0,
            self._attendance.dead_s(node) if status is None else None,
            self._clock.offsets_ms.get(node),
            calls.is_foreign(node),
            calls.why_refused(node),
            bool(calls.older([node])),
            self._views.kinship.complaint(node),
        )

    async def _ask(self, node: Address) -> tuple[Status | None, Health | None]:
        if node == self._config.address:
            return self._status(), self._vitals.health()
        if self._calls.is_foreign(node):
            return None, None
        patience_s = self._calls.silence_s(node)
        asked = [self._calls.try_ask(node, AskStatus(), patience_s)]
        if not self._calls.older([node]):
            asked.append(self._calls.try_ask(node, AskHealth(), patience_s))
        answers = await asyncio.gather(*asked)
        status = next((answer for answer in answers if isinstance(answer, Status)), None)
        return status, next((answer for answer in answers if isinstance(answer, Health)), None)
