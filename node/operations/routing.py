"""Bringing an operation to one of those that may carry it out.

Whom to ask next, and which answer counts, is decided in `route_state`; here the questions are put.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from typing import NamedTuple, TypeAlias
from zlib import crc32

from gossip.view import Address, ViewId
from node.config import Config
from node.errors import PeerFault, Unavailable
from node.net.messages import Answer, Export, ListKeys, Read, Write, WriteIf
from node.net.transport import Transport
from node.operations.route_state import Answered, Ask, GivenUp, Greet, NextRound, RouteState, in_order
from node.timing.clock import Time
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness
from ring.placement import Shard

Operation: TypeAlias = Read | Write | WriteIf | ListKeys | Export


class Brought(NamedTuple):
    answered: Answered
    view_id: ViewId
    """The view under which it was carried out."""


class NotBrought(Unavailable):
    """Nobody could carry it out in time."""

    def __init__(self, unreachable: Set[Address]) -> None:
        super().__init__()
        self.unreachable = unreachable
        """Those who were missing for it."""


class Routing:
    def __init__(
        self, config: Config, time: Time, views: Views, readiness: Readiness, calls: Calls, transport: Transport
    ) -> None:
        self._config = config
        self._time = time
        self._views = views
        self._readiness = readiness
        self._calls = calls
        self._transport = transport
        self._turn = crc32(config.address.encode())

    def in_order(self, owners: Shard) -> Sequence[Address]:
        """The order in which to try them: this node itself, then those that are not known to be down, each node
        beginning with another one."""
        if len(owners) == 1:
            return owners
        return in_order(owners, self._config.address, self._readiness.is_ready, self._turn, self._transport.is_down)

    async def bring(
        self,
        operation: Operation,
        owners: Callable[[], Sequence[Address]],
        carry_out: Callable[[], Awaitable[Answer]],
        deadline: float,
        bulk: bool = False,
        may_be_stored: bool = False,
    ) -> Brought:
        """Bring the operation to one of `owners`, those under the view in force in the order in which to try them; if
        that is this node, it is to `carry_out`. `bulk`: its answer is large. `may_be_stored`: see `RouteState`.
        Raises NotBrought."""
        is_write = isinstance(operation, Write | WriteIf)
        route = RouteState(self._config, deadline, is_write, self._transport.is_down, may_be_stored)
        step = route.begin(self._views.view_id, owners(), self._time.monotonic())
        while not isinstance(step, Answered):
            match step:
                case Ask():
                    heard: Answer | PeerFault
                    try:
                        if step.owner == self._config.address:
                            heard = await carry_out()
                        else:
                            heard = await self._calls.ask(
                                step.owner, operation, step.limit_s, route.view_id, bulk, step.is_attempt
                            )
                    except PeerFault as fault:
                        heard = fault
                    step = route.hear(heard, self._views.view_id, self._time.monotonic())
                case Greet():
                    await self._calls.greet(step.owner)
                    step = route.greeted(self._views.view_id, self._time.monotonic())
                case NextRound():
                    if step.wait_s:
                        await asyncio.sleep(step.wait_s)
                    step = route.begin(self._views.view_id, owners(), self._time.monotonic())
                case GivenUp():
                    refusal = NotBrought(route.unreachable).with_hint(route.hint)
                    raise refusal.before_anything(is_write and not route.may_be_stored)
        return Brought(step, route.view_id)
