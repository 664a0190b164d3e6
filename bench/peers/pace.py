"""When the load asks: a closed loop as soon as it is answered, an open one at moments that are set beforehand.

A closed loop slows down with who answers: while a server stands still for a second, 32 connections ask nothing, and one
second of waiting is counted 32 times, not as often as somebody would have waited. An open loop has its moments whatever
happens, and each request's time is counted from its own, also while it has to wait for a connection
("coordinated omission": Gil Tene, "How NOT to Measure Latency"). All times are nanoseconds of one clock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Protocol

NS_PER_S = 1_000_000_000


class Pace(Protocol):
    begin_ns: int
    """When the warm-up is over."""
    end_ns: int
    """Nothing is due then or later."""
    last_ns: int
    """So long is waited for answers."""

    def take(self, now_ns: int) -> int | None:
        """The moment from which the next request's time counts, if that may be sent now."""

    def is_over(self, now_ns: int) -> bool:
        """Whether nothing is asked any more."""

    def next_ns(self) -> int:
        """When there is something to send, for those who found nothing."""

    def taken_ns(self, answered: Iterable[tuple[int, int]]) -> list[int]:
        """How long those took that count, of pairs of the moment that `take` gave and that of the answer."""


class Closed:
    """As soon as there is a connection, `most` times at most. What is answered after the warm-up and before the end
    counts."""

    def __init__(self, began_ns: int, warm_up_s: float, duration_s: float, most: int | None = None) -> None:
        self._left = sys.maxsize if most is None else most
        self.begin_ns = began_ns + int(warm_up_s * NS_PER_S)
        self.end_ns = self.last_ns = self.begin_ns + int(duration_s * NS_PER_S)

    def take(self, now_ns: int) -> int | None:
        if now_ns >= self.end_ns or not self._left:
            return None
        self._left -= 1
        return now_ns

    def is_over(self, now_ns: int) -> bool:
        return now_ns >= self.end_ns or not self._left

    def next_ns(self) -> int:
        return self.end_ns

    def taken_ns(self, answered: Iterable[tuple[int, int]]) -> list[int]:
        return [at - asked for asked, at in answered if self.begin_ns < at <= self.end_ns]


class Open:
    """`per_second`, evenly. What was due after the warm-up counts, answered or not: what is not answered `patience_s`
    after the end has waited until then."""

    def __init__(
        self, began_ns: int, warm_up_s: float, duration_s: float, per_second: float, patience_s: float
    ) -> None:
        self._began_ns, self._per_second = began_ns, per_second
        self._skipped = round(warm_up_s * per_second)
        self._count = self._skipped + max(1, round(duration_s * per_second))
        self._taken = 0
        self.begin_ns, self.end_ns = self._moment_ns(self._skipped), self._moment_ns(self._count)
        self.last_ns = self.end_ns + int(patience_s * NS_PER_S)

    def take(self, now_ns: int) -> int | None:
        if self._taken == self._count or (due_ns := self._moment_ns(self._taken)) > now_ns:
            return None
        self._taken += 1
        return due_ns

    def is_over(self, now_ns: int) -> bool:
        return self._taken == self._count

    def next_ns(self) -> int:
        return self._moment_ns(self._taken) if self._taken < self._count else self.last_ns

    def taken_ns(self, answered: Iterable[tuple[int, int]]) -> list[int]:
        ends = dict(answered)
        due = map(self._moment_ns, range(self._skipped, self._count))
        return [ends.get(moment_ns, self.last_ns) - moment_ns for moment_ns in due]

    def _moment_ns(self, number: int) -> int:
        """Of each from the beginning, not from the one before: nothing adds up."""
        return self._began_ns + int(number * NS_PER_S / self._per_second)


def per_second(pace: Pace, answered_ns: Iterable[int]) -> float:
    """Answers between the warm-up and the end."""
    count = sum(pace.begin_ns < at <= pace.end_ns for at in answered_ns)
    return count * NS_PER_S / (pace.end_ns - pace.begin_ns)
