"""What this node did within the last quarter of an hour, some seconds at a time: enough to draw it. Pure.

What was counted since the start is looked at now and then, and what has been added since the look before is an
interval. Nothing is noted as it happens, so that it costs a request nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from node.histogram import SECONDS, quantile
from node.net.messages import AskFigures, Figures, Interval
from node.storage.disk import Space

INTERVAL_S = 5.0
KEPT = 180
"""So many intervals are remembered: those of 15 minutes."""
UNKNOWN = Space(0, 0)


class Counted(NamedTuple):
    """What clients have asked of a node since its start."""

    reads: int = 0
    writes: int = 0
    lines: int = 0
    """Of batches."""
    refused: int = 0
    """Answers of 503."""
    took: Sequence[int] = (0,) * (len(SECONDS) + 1)
    """Requests for keys by how long they took, as a `Histogram` of `SECONDS` counts them."""


def nothing_counted() -> Counted:
    return Counted()


class Recorder:
    """`life`: the incarnation of this node. `now`: seconds, monotonic."""

    def __init__(self, life: int, counted: Callable[[], Counted], owed: Callable[[], int], now: float) -> None:
        self._life = life
        self._counted = counted
        self._owed = owed
        self._before = counted()
        self._ended = now
        """When the last interval has ended, or the first one begun."""
        self._number = 0
        self._intervals: deque[Interval] = deque(maxlen=KEPT)

    def look(self, now: float) -> None:
        """To be called more often than an interval lasts."""
        if now - self._ended < INTERVAL_S:
            return
        counted, before = self._counted(), self._before
        took = [after - earlier for after, earlier in zip(counted.took, before.took, strict=True)]
        self._intervals.append(
            Interval(
                round(1000 * (now - self._ended)),
                counted.reads - before.reads,
                counted.writes - before.writes,
                counted.lines - before.lines,
                counted.refused - before.refused,
                _microseconds(took, 0.5),
                _microseconds(took, 0.99),
                self._owed(),
            )
        )
        self._before, self._ended, self._number = counted, now, self._number + 1

    def figures(self, asked: AskFigures, now: float, space: Space = UNKNOWN) -> Figures:
        """Those that `asked` lacks."""
        after = asked.after if asked.life == self._life else 0
        known = len(self._intervals) - max(0, self._number - after)
        lacking = tuple(islice(self._intervals, max(0, known), None))
        ended_ms = max(0, round(1000 * (now - self._ended)))
        return Figures(self._life, self._number, ended_ms, lacking, space.store, space.free, space.disk)


def _microseconds(took: Sequence[int], share: float) -> int:
    seconds = quantile(SECONDS, took, share)
    return 0 if seconds is None else max(1, round(1_000_000 * seconds))
