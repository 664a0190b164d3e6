"""How much of what it should hold a node's disk can be taken to hold, and what its "there is no such key" is worth.

A disk may be replaced by an empty one. Its node then lacks what it had acknowledged, and its word for what does not
exist must count for nothing until a co-owner has brought it all back. But a store that is new consists of nothing but
such nodes, and has to answer all the same: so where all co-owners are empty too, nothing can be lacking; and where some
are, and others say nothing at all, a node waits for those for some seconds, not for ever: that two disks were lost at
once is less likely than that the store is new. Alone it cannot tell; whoever knows that the others have nothing takes
them out of the view.

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
    """A co-owner has brought all that there was; or there was nothing anywhere when all were new."""


class OwnFilling:
    """How far this node's disk is filled. `is_filled`: whether it is known to be full from an earlier life."""

    def __init__(self, is_filled: bool, is_behind: bool = False) -> None:
        self._is_filled = is_filled
        self._is_new = False
        """Whether it counts as filled since all co-owners were empty too, in this life: until it holds a key, they
        hear that it is empty, so that each of them finds the store to be new."""
        self._is_news = False
        """Whether it has become filled since `take_news`."""
        self.is_behind = is_behind
        self._wait_until = float("-inf") if is_filled else float("inf")
        """Until then, this node waits for a co-owner that may have what this disk lacks."""

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

    def is_empty(self, holds_keys: bool) -> bool:
        """Whether there is nothing on this disk that anybody may lack, as others are told."""
        return not holds_keys and (self._is_new or not self._is_filled)

    def take_news(self) -> bool:
        """Whether it has become filled since this was last asked, which is to be remembered on the disk."""
        is_news, self._is_news = self._is_news, False
        return is_news

    def is_waiting(self, now: float) -> bool:
        """Whether what is not here may exist nevertheless, on a co-owner."""
        return self.is_behind or now < self._wait_until

    def become_filled(self) -> None:
        self._is_news |= not self._is_filled
        self._is_filled, self._is_new = True, False
        self.end_wait()

    def hear_that_all_are_empty(self, holds_keys: bool) -> None:
        """All co-owners have said that there is nothing on their disks. If there is nothing here either, the store is
        new, and this disk lacks nothing: that is to be known in its next life, in which it may be alone."""
        if not (holds_keys or self._is_filled or self.is_behind):
            self._is_filled = self._is_new = self._is_news = True
        self.end_wait()

    def become_behind(self) -> None:
        """The disk was found to be older than it was."""
        self._is_filled, self._is_new, self.is_behind = False, False, True

    def end_wait_by(self, until: float) -> None:
        """A co-owner is empty too; the others have so long to say something else."""
        self._wait_until = min(self._wait_until, until)

    def end_wait(self) -> None:
        """Nobody has anything to bring: all co-owners are new ones."""
        self._wait_until, self.is_behind = float("-inf"), False
