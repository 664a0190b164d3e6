"""The time by which keys expire: the one rule of what is "now" for them, on each node.

A key is gone once its time has come, and what is gone is thrown away. So this time must be one that can be believed,
and must not be set back:

- It is the time that two wall clocks confirm (`HybridClock.agreed_ms`), the same on all nodes that hear each other,
  however far their own clocks are apart. One node with a wrong clock makes no key vanish, be it ahead by a second or by
  a year.
- *What was told to have expired stays so.* Where the time is set back, this one stands still, over a restart too, until
  all that had expired by then is a tombstone on disk. Then nothing is left here that could come back, and it goes on
  with the others: a clock that was a year ahead does not keep what is written later for a year.
- *Unsure*, a node goes by its own clock, but throws nothing away, and is bound to nothing it has said: its machine was
  started a moment ago, and of the other nodes none was heard yet. Otherwise its clock, if it is wrong, would empty
  values here that are there on all other copies, under the same versions, so that no comparison would find it out.

The readings of the hybrid clock are no such time: stamps may be ahead of it, by a minute or, where one had to pass
another that was, by years. So a key expires at the time that this clock shows when its write is stamped, and its `ttl`
more; that travels with the write, so that all copies and all repetitions of it agree. A write that is stamped anew has
a new time too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class AgreedTime(Protocol):
    """A `HybridClock`, as far as it is asked here."""

    @property
    def is_grounded(self) -> bool: ...
    def agreed_ms(self) -> int: ...


class ExpiryClock:
    """`is_alone`: whether there is no other node that could be heard. `told_ms`: up to when keys were told to have
    expired, as this disk remembers; 0: none were."""

    def __init__(self, clock: AgreedTime, is_alone: Callable[[], bool], told_ms: int) -> None:
        self._clock = clock
        self._is_alone = is_alone
        self._told_ms = told_ms

    @property
    def is_sure(self) -> bool:
        """Whether what has expired may be thrown away."""
        return self._clock.is_grounded or self._is_alone()

    def now_ms(self) -> int:
        """The time, in milliseconds since 1970."""
        now_ms = self._clock.agreed_ms()
        if now_ms <= self._told_ms:
            return self._told_ms
        if self.is_sure:
            self._told_ms = now_ms
        return now_ms

    def note_turned(self, until_ms: int) -> None:
        """Whatever had expired by then is a tombstone on disk."""
        if self._told_ms <= until_ms:
            self._told_ms = min(self._told_ms, self._clock.agreed_ms())
