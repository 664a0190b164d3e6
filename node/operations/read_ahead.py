"""What a page of a listing has read and not told, kept for the page after it.

To find the first key of a page, each partition has to be asked for its next one: thousands of looks into the store. The
next page begins where this one ends, or a little before, and most partitions are still where they were. So its merge is
kept for a while, of few listings, as long as nobody knows whether there is a next page. Of a partition that has changed
since it says nothing, see `key_order`.
"""

from __future__ import annotations

from typing import NamedTuple

from node.net.messages import Range
from node.operations.key_order import Merge

LISTINGS_MAX = 4
"""So many are kept: four megabytes each, or eight where keys are long."""


class _Kept(NamedTuple):
    prefix: bytes
    after: bytes
    """The page has begun after this one."""
    end: bytes | None
    """The page has ended there; None: with the last key."""
    merge: Merge

    def may_be_followed_by(self, range_: Range) -> bool:
        """A page of several owners ends where the first of them does."""
        is_on = self.after <= range_.after and (self.end is None or range_.after <= self.end)
        return self.prefix == range_.prefix and is_on


class ReadAhead:
    def __init__(self) -> None:
        self._kept: list[_Kept] = []
        """The last one kept is last."""

    def take(self, range_: Range) -> Merge:
        """What has been kept for a page that begins there. It belongs to whoever takes it, who goes on reading."""
        for index, kept in enumerate(self._kept):
            if kept.may_be_followed_by(range_):
                return self._kept.pop(index).merge
        return Merge()

    def keep(self, range_: Range, end: bytes | None, merge: Merge) -> None:
        """What has been read for a page that has come to its end."""
        self._kept.append(_Kept(range_.prefix, range_.after, end, merge))
        del self._kept[:-LISTINGS_MAX]
