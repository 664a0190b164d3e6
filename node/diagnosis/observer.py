"""What all nodes did lately, put together by the one that shows it: asked of each, and remembered as long as somebody
looks.

Each node is asked for no more than what it has not told yet. What was told stays, be the node dead by now: how it went
before it died is what one wants to see.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from itertools import takewhile
from typing import NamedTuple

from gossip.view import Address
from node.diagnosis.recorder import KEPT
from node.net.messages import AskFigures, Figures, Interval
from node.views.calls import Calls


class Point(NamedTuple):
    """One interval of one node."""

    serial: int
    """Rises with each that comes in, whosever it is."""
    ended_ms: int
    """By this node's wall clock, in milliseconds since 1970."""
    interval: Interval


class History:
    """Of one node."""

    def __init__(self) -> None:
        self.points: deque[Point] = deque(maxlen=KEPT)
        self.asked = AskFigures()
        self.latest: Figures | None = None
        """What it has answered last; None: it does not answer."""

    def add(self, figures: Figures, wall_ms: int, serial: int) -> None:
        ended_ms = wall_ms - figures.ended_ms
        points = deque[Point]()
        for interval in reversed(figures.intervals):
            points.appendleft(Point(serial, ended_ms, interval))
            ended_ms -= interval.lasted_ms
        self.points.extend(points)
        self.asked, self.latest = AskFigures(figures.life, figures.number), figures


class Observer:
    """`figures`: what this node, `me`, says of itself; `wall_ms`: its wall clock."""

    def __init__(
        self,
        me: Address,
        calls: Calls,
        figures: Callable[[AskFigures], Figures],
        wall_ms: Callable[[], int],
    ) -> None:
        self._me = me
        self._calls = calls
        self._figures = figures
        self._wall_ms = wall_ms
        self.histories: dict[Address, History] = {}
        """Of those that were asked last."""
        self.serial = 0
        """Of the last look."""

    async def look(self, nodes: Collection[Address]) -> None:
        """Ask all of them at once, and forget the others."""
        histories = self.histories = {node: self.histories.get(node) or History() for node in sorted(nodes)}
        answers = await asyncio.gather(*(self._ask(node, history.asked) for node, history in histories.items()))
        wall_ms, self.serial = self._wall_ms(), self.serial + 1
        for history, answer in zip(histories.values(), answers, strict=True):
            history.latest = answer
            if answer is not None:
                history.add(answer, wall_ms, self.serial)

    async def _ask(self, node: Address, request: AskFigures) -> Figures | None:
        if node == self._me:
            return self._figures(request)
        if self._calls.is_foreign(node) or self._calls.older([node]):
            return None
        answer = await self._calls.try_ask(node, request, self._calls.silence_s(node))
        return answer if isinstance(answer, Figures) else None

    def since(self, serial: int) -> dict[Address, list[Point]]:
        """What has come in after the look `serial`, by node, the latest last."""
        found = {
            node: [*takewhile(lambda point: point.serial > serial, reversed(history.points))][::-1]
            for node, history in self.histories.items()
        }
        return {node: points for node, points in found.items() if points}
