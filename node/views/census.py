"""What gossip last heard of the keys of each node: for what concerns nodes that cannot be asked, or that nobody would
think of asking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from gossip.view import Address, ViewId


class LastHeard(NamedTuple):
    """What gossip last heard of the live keys on a node's disk."""

    owned: int
    to_hand_over: int
    """Of partitions that it does not own."""
    settled: ViewId
    """The view that it had settled; of digest 0 if it had none."""
    is_well: bool = True
    """Whether it is there, as far as gossip knows."""

    def under(self, view_id: ViewId) -> Estimate:
        """What that comes to while the view of `view_id` is in force."""
        nothing = self._nothing(view_id)
        return Estimate(self.owned or nothing, self.to_hand_over or nothing)

    def all_under(self, view_id: ViewId) -> int | None:
        """All its live keys, whosever they are under the view of `view_id`; None: nobody knows."""
        return self.owned + self.to_hand_over or self._nothing(view_id)

    def _nothing(self, view_id: ViewId) -> int | None:
        """What it comes to that there were none."""
        return 0 if self.settled == view_id else None


class Estimate(NamedTuple):
    """How many live keys a node may have; None: nobody knows, so any number."""

    owned: int | None = None
    to_hand_over: int | None = None


Census: TypeAlias = Mapping[Address, LastHeard]
"""What was last heard of each node; of those that are missing nothing was, since this node's start."""
TakeCensus: TypeAlias = Callable[[], Census]
"""The census as it is now."""


def who_bring(census: Census) -> frozenset[Address]:
    """Those that are there, and have something for others. No view need name them: one that was down while a view was
    made without it has told those owners only whom it found."""
    return frozenset(node for node, last in census.items() if last.is_well and last.to_hand_over)
