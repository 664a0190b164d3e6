"""Which time is possible? What other nodes' wall clocks show decides about this machine's.

A wall clock may be wrong by a year, and right again a few seconds later. Whatever was stamped by it meanwhile would win
over all that is written for a year, and whoever took its readings over would stamp like that too. So a clock counts for
as much as another one confirms: it is *within reach* if it is no more than `reach_ms` above the fastest of the others.

- This machine's own is measured by the others. Nobody can tell who is right where two are apart, so the one that is
  ahead stamps nothing: what is too late is passed by the next write, what is too early is not.
- Another one's is measured by all the rest, this machine's included, before it is followed.
- Between what was heard of a clock and now, time passes as the monotonic clock says. So those that fell silent go on
  confirming. But where none was heard lately this node is *alone*: nobody contradicts, so its clock is not refused,
  only not believed beyond what was confirmed before, or shown at the start.

All values are by how much something is ahead of this machine's monotonic clock, in milliseconds: they stay the same as
long as nobody sets a clock. Pure: no time is read here.
"""

from __future__ import annotations

from collections.abc import Container
from enum import Enum

NOBODY = -(1 << 62)
"""Behind all that a clock can show."""


class Standing(Enum):
    """What this machine's wall clock is worth."""

    BELIEVED = 1
    REFUSED = 2
    """It is ahead of all others: nothing is stamped."""
    ALONE = 3
    """It was set ahead, and nobody is there who could confirm it: stamps go on as if it had not been."""


class Witnesses:
    """`own_ms`: what this machine's wall clock shows at the start. `followed_ms`: what a faster one did that was
    followed before."""

    def __init__(self, reach_ms: int, own_ms: int, followed_ms: int = NOBODY) -> None:
        self._reach_ms = reach_ms
        self._heard: dict[str, int] = {}
        self.confirmed_ms = own_ms
        """The fastest of the others; before any was heard, what was shown at the start."""
        self.limit_ms = own_ms + reach_ms
        """What this machine's wall clock may show at most to be believed."""
        self.followed_ms = followed_ms
        """The fastest of the others that is within reach of another one."""
        self.possible_ms = own_ms
        """The second fastest of all. No reading that is out of its reach is taken over: one clock alone that is wrong
        cannot have made anybody believe it."""

    @property
    def has_heard(self) -> bool:
        """Whether anything is known of another one."""
        return bool(self._heard)

    def hear(self, peer: str, ahead_ms: int, own_ms: int) -> None:
        """Of the wall clock of `peer`, while this machine's own is at `own_ms`."""
        self._heard[peer] = ahead_ms
        self.judge(own_ms)

    def forget_all_but(self, peers: Container[str]) -> None:
        """They are no nodes of this store any more. What they have confirmed stands until others are heard."""
        self._heard = {peer: ahead_ms for peer, ahead_ms in self._heard.items() if peer in peers}

    def judge(self, own_ms: int) -> None:
        """Once more, for this machine's clock may have been set."""
        if not self._heard:
            return
        fastest_ms, second_ms = NOBODY, NOBODY
        for ahead_ms in self._heard.values():
            if ahead_ms > fastest_ms:
                fastest_ms, second_ms = ahead_ms, fastest_ms
            elif ahead_ms > second_ms:
                second_ms = ahead_ms
        self.confirmed_ms, self.limit_ms = fastest_ms, fastest_ms + self._reach_ms
        is_within_reach = fastest_ms <= max(own_ms, second_ms) + self._reach_ms
        self.followed_ms = fastest_ms if is_within_reach else second_ms
        self.possible_ms = max(min(own_ms, fastest_ms), second_ms)
