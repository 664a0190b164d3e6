"""How much of what it should hold a node's disk can be taken to hold, and what its "there is no such key" is worth.

A disk may be replaced by an empty one. Its node then lacks what it had acknowledged, and its word for what does not
exist must count for nothing until a co-owner has brought it all back. But a store that is new consists of nothing but
such nodes, and has to answer all the same: so where all co-owners are empty too, nothing can be lacking; and where they
say nothing at all, a node waits for them for some seconds, not for ever.

A disk may also be replaced by an older copy of itself. If others remember that its node has announced what is not on
it, see `gossip_driver`, the node is *behind*: neither what it holds nor what it does not counts for anything, however
long that takes, until a co-owner has brought it all back, or none of those that could is in the view any more.

Pure: the time is an argument.
"""

from __future__ import annotations

from enum import Enum, auto


class Filling(Enum):
    EMPTY = auto()
    """No co-owner has ever filled this disk, and there is nothing on it: it is a new one."""
    PARTIAL = auto()
    """There is something on it, but it may lack what a disk before it held, or what the co-owners hold."""
    FULL = auto()
    """A co-owner has brought all that there was."""


class OwnFilling:
    """How far this node's disk is filled. `is_filled`: whether it is known to be full from an earlier life."""

    def __init__(self, is_filled: bool, wait_until: float, is_behind: bool = False) -> None:
        self._is_filled = is_filled
        self.is_behind = is_behind
        self._wait_until = float("-inf") if is_filled else wait_until
        """Until then, this node waits for a co-owner that is merely slow."""

    def check(self) -> None:
        """Raises AssertionError if an invariant does not hold."""
        is_waiting = self.is_behind or self._wait_until != float("-inf")
        assert not (self._is_filled and is_waiting), "a node waits to be filled that is full"

    def state(self, holds_keys: bool) -> Filling:
        if self._is_filled:
            return Filling.FULL
        return Filling.PARTIAL if holds_keys else Filling.EMPTY

    @property
    def is_filled(self) -> bool:
        return self._is_filled

    def is_waiting(self, now: float) -> bool:
        """Whether what is not here may exist nevertheless, and a co-owner that has it may be about to say so."""
        return self.is_behind or now < self._wait_until

    def become_filled(self) -> None:
        self._is_filled = True
        self.end_wait()

    def become_behind(self) -> None:
        """The disk was found to be older than it was."""
        self._is_filled, self.is_behind = False, True

    def end_wait(self) -> None:
        """Nobody has anything to bring: all co-owners have said that they are empty too, or are new ones."""
        self._wait_until, self.is_behind = float("-inf"), False
