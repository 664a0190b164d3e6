"""Which protocols a node speaks, and which one it speaks with another node.

A protocol is all that two nodes take for granted of each other on a link: which messages there are, and what their
fields mean. Each end tells the lowest and the highest number that it understands, and both speak the highest that they
have in common. If there is none they part: half understood, a message may lose a write.

    1  What nodes spoke that tell no number: those before release 4.0. A message with a field more than they know ends
       the link.
    2  Fields beyond those that are known are skipped, so that a release may add some, see `messages.base`.

A release understands what the one before it speaks, so that nodes are replaced one by one; a number may go from the low
end once no release before this one needs it. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")
TEXT_CHARS_MAX = 40
"""Of what is no range, so much is told to people."""


class Protocols(NamedTuple):
    """All from the lowest to the highest."""

    lowest: int
    highest: int

    @property
    def told(self) -> str:
        """As the other end is told, and people."""
        return f"{self.lowest}-{self.highest}"


SPOKEN = Protocols(1, 2)
"""By this release."""
UNTOLD = Protocols(1, 1)
"""By who tells none."""


def protocols_of(told: str | None) -> Protocols | None:
    """Those of the other end, by what it tells; None: that is none."""
    if told is None:
        return UNTOLD
    match = _RANGE.fullmatch(told)
    found = match and Protocols(int(match[1]), int(match[2]))
    return found if found and 0 < found.lowest <= found.highest else None


def common(ours: Protocols, theirs: Protocols) -> int | None:
    """The protocol that both ends speak; None: they have none in common."""
    highest = min(ours.highest, theirs.highest)
    return highest if highest >= max(ours.lowest, theirs.lowest) else None


def why_apart(ours: Protocols, told: str | None) -> str:
    """For people, of who has told this and has no protocol in common with this node."""
    theirs = protocols_of(told)
    if theirs is None:
        return f"it does not tell which protocols it speaks, but {(told or '')[:TEXT_CHARS_MAX]!r}"
    release = "its release is too old" if theirs.highest < ours.lowest else "this node's release is too old"
    both = f"it speaks the protocols {theirs.told}, and this node {ours.told}"
    return f"{both}: {release}, go from one release to the next"
